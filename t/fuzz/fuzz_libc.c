
/*
 * Copyright (C) Rush
 *
 * Calls of libc (and of libcrypt) while nginx works on an input: time goes
 * only when the target says so, nothing waits, no name is asked for, a hash
 * is right at once, and the error log is looked at instead of written.
 */


#define _GNU_SOURCE
#include <crypt.h>
#include <dlfcn.h>
#include <netdb.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "fuzz_nginx.h"


#define FUZZ_LEVEL  (sizeof("2026/11/21 03:04:05 ") - 1)

/* the form of a hash of bcrypt */

#define FUZZ_HASH                                                             \
    "$2b$04$abcdefghijklmnopqrstuu0123456789ABCDEFGHIJKLMNOPQRSTU"


static int fuzz_is_client(const char *line);


volatile int        fuzz_inside;
char               *fuzz_target;
char               *fuzz_dir;
char               *fuzz_args;
int                 fuzz_stderr;
int                 fuzz_verbose;
size_t              fuzz_errors;
size_t              fuzz_traffic;
size_t              fuzz_connects;

static struct timespec  real_start;     /* of the clock */
static struct timespec  mono_start;
static int64_t      passed;             /* since then, in steps */
static pthread_t    main_thread;
static size_t          quiet;           /* fuzz_traffic of the last event */
static volatile int posted;             /* tasks for the thread pool */
static volatile int notified;           /* and how many are done */


/* nginx forgets its environment and turns stderr into its log; a symbolizer
 * that is started is not to load this file too */

static void __attribute__((constructor))
fuzz_loaded(void)
{
    const char  *target, *dir, *args;

    target = getenv("RUSH_FUZZ_TARGET");
    dir = getenv("RUSH_FUZZ_DIR");
    args = getenv("RUSH_FUZZ_ARGS");

    fuzz_target = strdup(target ? target : "");
    fuzz_dir = strdup(dir ? dir : "");
    fuzz_args = strdup(args ? args : "");
    fuzz_stderr = dup(2);
    fuzz_verbose = getenv("RUSH_FUZZ_VERBOSE") != NULL;

    unsetenv("LD_PRELOAD");
}


void
fuzz_clock_start(void)
{
    main_thread = pthread_self();

    /* nginx's own time: however long the start took, it is none of that of
     * the timers that are set by now */

    real_start.tv_sec = ngx_cached_time->sec;
    real_start.tv_nsec = ngx_cached_time->msec * 1000000;
    mono_start.tv_sec = ngx_current_msec / 1000;
    mono_start.tv_nsec = ngx_current_msec % 1000 * 1000000;
}


void
fuzz_clock_step(int64_t ms)
{
    passed += ms;
}


int64_t
fuzz_now(void)
{
    return real_start.tv_sec * 1000 + real_start.tv_nsec / 1000000 + passed;
}


int
clock_gettime(clockid_t id, struct timespec *ts)
{
    int64_t           ns;
    struct timespec  *start;

    if (!fuzz_inside) {
        return (int) syscall(SYS_clock_gettime, id, ts);
    }

    start = (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)
            ? &real_start : &mono_start;

    ns = start->tv_nsec + passed % 1000 * 1000000;

    ts->tv_sec = start->tv_sec + passed / 1000 + ns / 1000000000;
    ts->tv_nsec = ns % 1000000000;

    return 0;
}


int
gettimeofday(struct timeval *restrict tv, void *restrict tz)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_REALTIME, &ts);

    tv->tv_sec = ts.tv_sec;
    tv->tv_usec = ts.tv_nsec / 1000;

    return 0;
}


/* nothing was sent, read or opened since there was no event: none is asked
 * for again */

int
epoll_wait(int ep, struct epoll_event *events, int n, int timeout)
{
    int     rc;
    size_t  traffic;

    if (!fuzz_inside) {
        return (int) syscall(SYS_epoll_wait, ep, events, n, timeout);
    }

    traffic = fuzz_traffic_now();

    if (traffic == quiet) {
        return 0;
    }

    rc = (int) syscall(SYS_epoll_wait, ep, events, n, 0);

    if (rc == 0) {
        quiet = traffic;
    }

    return rc;
}


size_t
fuzz_traffic_now(void)
{
    return fuzz_traffic + (size_t) __atomic_load_n(&notified,
                                                   __ATOMIC_SEQ_CST);
}


int
epoll_ctl(int ep, int op, int fd, struct epoll_event *event)
{
    fuzz_traffic++;

    return (int) syscall(SYS_epoll_ctl, ep, op, fd, event);
}


int
connect(int fd, const struct sockaddr *sa, socklen_t len)
{
    fuzz_traffic++;
    fuzz_connects++;

    return (int) syscall(SYS_connect, fd, sa, len);
}


int
shutdown(int fd, int how)
{
    fuzz_traffic++;

    return (int) syscall(SYS_shutdown, fd, how);
}


int
close(int fd)
{
    fuzz_traffic++;

    return (int) syscall(SYS_close, fd);
}


ssize_t
send(int fd, const void *data, size_t size, int flags)
{
    fuzz_traffic++;

    return syscall(SYS_sendto, fd, data, size, flags, NULL, 0);
}


ssize_t
writev(int fd, const struct iovec *vec, int n)
{
    fuzz_traffic++;

    return syscall(SYS_writev, fd, vec, n);
}


/* what is read makes room */

ssize_t
recv(int fd, void *data, size_t size, int flags)
{
    ssize_t  n;

    n = syscall(SYS_recvfrom, fd, data, size, flags, NULL, NULL);
    fuzz_traffic += n >= 0;

    return n;
}


/* addresses of directives: numbers are for inet_addr(), no name is known */

int
getaddrinfo(const char *restrict node, const char *restrict service,
    const struct addrinfo *restrict hints, struct addrinfo **restrict res)
{
    return EAI_NONAME;
}


char *
crypt_r(const char *key, const char *setting, struct crypt_data *data)
{
    size_t  n;

    /* any password is the right one, unless it begins with "n" */

    n = strnlen(setting, sizeof(data->output) - 1);
    memcpy(data->output, setting, n);
    data->output[n] = '\0';

    if (n < sizeof(FUZZ_HASH) - 1) {
        memcpy(data->output, FUZZ_HASH, sizeof(FUZZ_HASH));
    }

    if (key[0] == 'n') {
        data->output[n - 1] ^= 1;
    }

    return data->output;
}


int
pthread_cond_signal(pthread_cond_t *cond)
{
    static int  (*next)(pthread_cond_t *cond);

    if (next == NULL) {
        next = dlvsym(RTLD_NEXT, "pthread_cond_signal", "GLIBC_2.3.2");
    }

    if (fuzz_inside && pthread_equal(pthread_self(), main_thread)) {
        posted++;
    }

    return next(cond);
}


ssize_t
write(int fd, const void *data, size_t size)
{
    const char  *line;

    if (!fuzz_inside) {
        return syscall(SYS_write, fd, data, size);
    }

    if (!pthread_equal(pthread_self(), main_thread)) {
        size = (size_t) syscall(SYS_write, fd, data, size);
        __atomic_add_fetch(&notified, 1, __ATOMIC_SEQ_CST);
        return (ssize_t) size;
    }

    if (fd != ngx_cycle->log->file->fd) {
        return syscall(SYS_write, fd, data, size);
    }

    if (fuzz_verbose) {
        (void) syscall(SYS_write, 2, data, size);
    }

    /* the level stands behind the time; a client may have the word too */

    line = data;

    if (size < FUZZ_LEVEL + 8) {
        return (ssize_t) size;
    }

    line += FUZZ_LEVEL;

    if (strncmp(line, "[alert]", 7) == 0 || strncmp(line, "[crit]", 6) == 0
        || strncmp(line, "[emerg]", 7) == 0)
    {
        fuzz_inside = 0;
        (void) syscall(SYS_write, 2, data, size);
        fuzz_check(!"an alert in the error log");
    }

    if (strncmp(line, "[error]", 7) == 0) {

        if (fuzz_plan.faults == 0 && !fuzz_is_client(line)) {
            fuzz_inside = 0;
            (void) syscall(SYS_write, 2, data, size);
            fuzz_check(!"an error in the log, and no backend at fault");
        }

        fuzz_errors++;
    }

    return (ssize_t) size;
}


/* "[error] 1#1: *7 client ...": the core is of another opinion about what
 * clients do wrong */

static int
fuzz_is_client(const char *line)
{
    const char  *p;

    p = strstr(line, ": *");

    if (p == NULL) {
        return 0;
    }

    p += 3;
    p += strspn(p, "0123456789");

    return strncmp(p, " client ", 8) == 0;
}


void
fuzz_wait_threads(void)
{
    while (__atomic_load_n(&notified, __ATOMIC_SEQ_CST) < posted) {
        syscall(SYS_sched_yield);
    }
}
