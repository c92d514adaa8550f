
/*
 * Copyright (C) Rush
 *
 * Preloaded into nginx and the consumer: makes the n-th call of a kind fail
 * in one process.  A file named by RUSH_TORTURE_FILE, mapped shared, tells
 * which; see rush_torture_t.  Torture.pm writes and reads it.
 *
 * Allocation: malloc() and its kin.  nginx takes small blocks from pools that
 * it has, where nothing can fail and nothing sees an overrun; the modules are
 * linked with --wrap so that each of their pool calls comes here and takes
 * memory of its own.
 */


#define _GNU_SOURCE

#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "wrap.h"


#define RUSH_TORTURE_FRAMES  14


static rush_torture_t  *ctl;
static __thread int     busy;           /* what a hit itself calls is free */


/* the allocator below: that of a sanitizer when there is one */

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t size);
extern void *__libc_memalign(size_t align, size_t size);
extern void __libc_free(void *p);

#pragma weak __interceptor_malloc
#pragma weak __interceptor_calloc
#pragma weak __interceptor_realloc
#pragma weak __interceptor_memalign
#pragma weak __interceptor_free
#pragma weak __lsan_do_recoverable_leak_check

extern void *__interceptor_malloc(size_t size);
extern void *__interceptor_calloc(size_t n, size_t size);
extern void *__interceptor_realloc(void *p, size_t size);
extern void *__interceptor_memalign(size_t align, size_t size);
extern void __interceptor_free(void *p);
extern int __lsan_do_recoverable_leak_check(void);


/* in the modules these names are those of nginx, see the head of the file */

extern void *ngx_pmemalign(void *pool, size_t size, size_t align);

#pragma weak ngx_pmemalign


__attribute__((constructor)) static void
torture_init(void)
{
    int          fd;
    void        *p, *frame;
    const char  *file;

    file = getenv("RUSH_TORTURE_FILE");
    if (file == NULL) {
        return;
    }

    (void) backtrace(&frame, 1);        /* loads what it needs */

    fd = open(file, O_RDWR|O_CLOEXEC);
    if (fd == -1) {
        return;
    }

    p = mmap(NULL, sizeof(rush_torture_t), PROT_READ|PROT_WRITE, MAP_SHARED,
             fd, 0);

    (void) close(fd);

    if (p != MAP_FAILED) {
        ctl = p;
    }
}


/* where it happened: "object+offset" of each frame */

static void
torture_note(void)
{
    int      i, n, len;
    void    *frames[RUSH_TORTURE_FRAMES];
    Dl_info  info;

    n = backtrace(frames, RUSH_TORTURE_FRAMES);
    len = 0;

    for (i = 2; i < n; i++) {

        if (dladdr(frames[i], &info) == 0 || info.dli_fname == NULL) {
            continue;
        }

        len += snprintf(ctl->where + len, sizeof(ctl->where) - len,
                        "%s+%#lx ", info.dli_fname,
                        (unsigned long) ((char *) frames[i] - 1
                                         - (char *) info.dli_fbase));

        if (len >= (int) sizeof(ctl->where)) {
            break;
        }
    }
}


/* whether this call is the one */

int
torture_hit(uint32_t kind)
{
    uint64_t  seen, n;

    if (ctl == NULL || !(ctl->kind & kind) || busy
        || (ctl->pid != -1 && ctl->pid != getpid()))
    {
        return 0;
    }

    n = ctl->n;
    seen = __atomic_add_fetch(&ctl->seen, 1, __ATOMIC_RELAXED);

    if (seen < n || seen - n >= ctl->times) {
        return 0;
    }

    if (__atomic_add_fetch(&ctl->hits, 1, __ATOMIC_RELAXED) == 1) {
        torture_spare(1);
        torture_note();
        torture_spare(0);
    }

    return 1;
}


/* nothing fails in between */

void
torture_spare(int on)
{
    busy += on ? 1 : -1;
}


uint32_t
torture_error(void)
{
    return ctl->error;
}


uint32_t
torture_after(void)
{
    return ctl->after;
}


/* blocks alive; a check for lost ones, asked for by the file */

static void
torture_count(int n)
{
    if (ctl == NULL || ctl->watch == 0 || ctl->watch != getpid()) {
        return;
    }

    (void) __atomic_add_fetch(&ctl->live, n, __ATOMIC_RELAXED);

    if (n == 1 && ctl->check == 1 && gettid() == getpid() && !busy) {
        busy = 1;
        ctl->check = 2;
        ctl->lost = __lsan_do_recoverable_leak_check
                    ? __lsan_do_recoverable_leak_check() : 0;
        ctl->check = 0;
        busy = 0;
    }
}


/* hiredis 0.14 aborts, or appends to a string that it did not get: spared */

static int
torture_alloc(void *caller)
{
    Dl_info  info;

    if (ctl == NULL || !(ctl->kind & RUSH_TORTURE_ALLOC)
        || (dladdr(caller, &info) != 0 && info.dli_sname != NULL
            && (strcmp(info.dli_sname, "sdsnewlen") == 0
                || strcmp(info.dli_sname, "hi_malloc") == 0)))
    {
        return 0;
    }

    return torture_hit(RUSH_TORTURE_ALLOC);
}


void *
malloc(size_t size)
{
    void  *p;

    if (torture_alloc(__builtin_return_address(0))) {
        errno = ENOMEM;
        return NULL;
    }

    p = __interceptor_malloc ? __interceptor_malloc(size)
                             : __libc_malloc(size);

    if (p != NULL) {
        torture_count(1);
    }

    return p;
}


void *
calloc(size_t n, size_t size)
{
    void  *p;

    if (torture_alloc(__builtin_return_address(0))) {
        errno = ENOMEM;
        return NULL;
    }

    p = __interceptor_calloc ? __interceptor_calloc(n, size)
                             : __libc_calloc(n, size);

    if (p != NULL) {
        torture_count(1);
    }

    return p;
}


void *
realloc(void *old, size_t size)
{
    void  *p;

    if (size != 0 && torture_alloc(__builtin_return_address(0))) {
        errno = ENOMEM;
        return NULL;
    }

    p = __interceptor_realloc ? __interceptor_realloc(old, size)
                              : __libc_realloc(old, size);

    if (p != NULL && old == NULL) {
        torture_count(1);
    }

    if (p == NULL && old != NULL && size == 0) {
        torture_count(-1);
    }

    return p;
}


int
posix_memalign(void **p, size_t align, size_t size)
{
    if (torture_alloc(__builtin_return_address(0))) {
        return ENOMEM;
    }

    *p = __interceptor_memalign ? __interceptor_memalign(align, size)
                                : __libc_memalign(align, size);
    if (*p == NULL) {
        return ENOMEM;
    }

    torture_count(1);

    return 0;
}


void
free(void *p)
{
    if (p == NULL) {
        return;
    }

    torture_count(-1);

    if (__interceptor_free) {
        __interceptor_free(p);

    } else {
        __libc_free(p);
    }
}


/* --- pools: each call of the modules is an allocation --- */

static void *
torture_pool(void *pool, size_t size)
{
    if (torture_hit(RUSH_TORTURE_POOL)) {
        return NULL;
    }

    return ngx_pmemalign(pool, size, 16);
}


void *
__wrap_ngx_palloc(void *pool, size_t size)
{
    return torture_pool(pool, size);
}


void *
__wrap_ngx_pnalloc(void *pool, size_t size)
{
    return torture_pool(pool, size);
}


void *
__wrap_ngx_pcalloc(void *pool, size_t size)
{
    void  *p;

    p = torture_pool(pool, size);

    if (p != NULL) {
        memset(p, 0, size);
    }

    return p;
}


/* what else of nginx takes memory: the call as a whole fails */

#define WRAP(kind, type, error, name, params, args)                           \
                                                                              \
extern type name params;                                                      \
type __wrap_##name params;                                                    \
_Pragma(PRAGMA(weak name))                                                    \
                                                                              \
type                                                                          \
__wrap_##name params                                                          \
{                                                                             \
    return torture_hit(kind) ? error : name args;                             \
}

#define PRAGMA(x)  #x

#define ALLOC  (RUSH_TORTURE_ALLOC|RUSH_TORTURE_POOL)
#define SLAB   RUSH_TORTURE_SLAB

WRAP(ALLOC, void *, NULL, ngx_array_push, (void *a), (a))
WRAP(ALLOC, void *, NULL, ngx_list_push, (void *l), (l))
WRAP(ALLOC, void *, NULL, ngx_array_create, (void *p, size_t n, size_t size),
     (p, n, size))
WRAP(ALLOC, void *, NULL, ngx_create_temp_buf, (void *p, size_t n), (p, n))
WRAP(ALLOC, void *, NULL, ngx_http_cleanup_add, (void *r, size_t n), (r, n))
WRAP(ALLOC, void *, NULL, ngx_pool_cleanup_add, (void *p, size_t n), (p, n))
WRAP(ALLOC, void *, NULL, ngx_get_connection, (int fd, void *log), (fd, log))
WRAP(ALLOC, intptr_t, -1, ngx_thread_task_post, (void *tp, void *t), (tp, t))
WRAP(ALLOC, intptr_t, -1, ngx_http_send_header, (void *r), (r))
WRAP(ALLOC, intptr_t, -1, ngx_http_output_filter, (void *r, void *in), (r, in))
WRAP(SLAB, void *, NULL, ngx_slab_alloc, (void *pool, size_t n), (pool, n))
WRAP(SLAB, void *, NULL, ngx_shared_memory_add,
     (void *cf, void *name, size_t size, void *tag), (cf, name, size, tag))


/* --- sockets --- */

#define SYSCALL(kind, type, name, params, args)                               \
                                                                              \
type                                                                          \
name params                                                                   \
{                                                                             \
    static type  (*real) params;                                              \
                                                                              \
    if (real == NULL) {                                                       \
        real = (type (*) params) dlsym(RTLD_NEXT, #name);                     \
    }                                                                         \
                                                                              \
    if (torture_hit(kind)) {                                                  \
        errno = (int) ctl->error;                                             \
        return -1;                                                            \
    }                                                                         \
                                                                              \
    return real args;                                                         \
}

SYSCALL(RUSH_TORTURE_CONNECT, int, connect,
        (int s, const struct sockaddr *sa, socklen_t len), (s, sa, len))
SYSCALL(RUSH_TORTURE_SOCKET, int, socket, (int d, int type, int p),
        (d, type, p))
SYSCALL(RUSH_TORTURE_SEND, ssize_t, send,
        (int s, const void *p, size_t n, int flags), (s, p, n, flags))
SYSCALL(RUSH_TORTURE_SEND, ssize_t, writev,
        (int s, const struct iovec *v, int n), (s, v, n))
SYSCALL(RUSH_TORTURE_RECV, ssize_t, recv, (int s, void *p, size_t n,
        int flags), (s, p, n, flags))


/* the sanitizer asks for its stack, and ends the process without one */

int
pthread_getattr_np(pthread_t thread, pthread_attr_t *attr)
{
    int         rc;
    static int  (*real) (pthread_t thread, pthread_attr_t *attr);

    if (real == NULL) {
        real = (int (*) (pthread_t, pthread_attr_t *))
                   dlsym(RTLD_NEXT, "pthread_getattr_np");
    }

    torture_spare(1);
    rc = real(thread, attr);
    torture_spare(0);

    return rc;
}
