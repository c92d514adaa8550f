
/*
 * Copyright (C) Rush
 *
 * Calls of the client library of MySQL that fail.  By "after" the call is
 * made, and its answer is then taken for lost: the server has done it.
 */


#define _GNU_SOURCE

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <mariadb/mysql.h>

#include "wrap.h"


static __thread int  inside;            /* the library calls itself */
static void         *pending;           /* a call that is to fail at its end */


/* where the connection is lost, nothing can come by it any more */

static void
torture_cut(MYSQL *my, unsigned int code)
{
    my_socket  fd;

    fd = mysql_get_socket(my);

    if ((code == 2006 || code == 2013) && fd != -1) {
        (void) shutdown(fd, SHUT_RDWR); /* the peer may have done it */
    }
}


static void
torture_mysql(MYSQL *my, MYSQL_STMT *st)
{
    unsigned int  code;
    const char   *state;

    code = torture_error();

    if (my == NULL && st != NULL && st->mysql != NULL) {
        torture_cut(st->mysql, code);

    } else if (my != NULL) {
        torture_cut(my, code);
    }

    state = (code == 1062) ? "23000" : (code == 1213) ? "40001" : "HY000";

    if (my != NULL) {
        my->net.last_errno = code;
        snprintf(my->net.last_error, sizeof(my->net.last_error),
                 "torture %u", code);
        memcpy(my->net.sqlstate, state, sizeof("HY000"));
    }

    if (st != NULL) {
        st->last_errno = code;
        snprintf(st->last_error, sizeof(st->last_error), "torture %u", code);
        memcpy(st->sqlstate, state, sizeof("HY000"));
    }
}


/*
 * After a connect that had no memory, mysql_close() of MariaDB's library 3.3
 * frees what was never set: there allocations are spared.
 */

static int
torture_enter(const char *name)
{
    int  outer;

    outer = inside;
    inside = 1;

    if (strncmp(name, "mysql_real_connect", 18) == 0
        || strcmp(name, "mysql_options") == 0)
    {
        torture_spare(1);
    }

    return outer;
}


static void
torture_leave(int outer, const char *name)
{
    inside = outer;

    if (strncmp(name, "mysql_real_connect", 18) == 0
        || strcmp(name, "mysql_options") == 0)
    {
        torture_spare(0);
    }
}


static int
torture_mysql_hit(void)
{
    return !inside && torture_hit(RUSH_TORTURE_MYSQL);
}


#define REAL(type, name, params)                                              \
                                                                              \
    static type  (*real) params;                                              \
                                                                              \
    if (real == NULL) {                                                       \
        real = (type (*) params) dlsym(RTLD_NEXT, #name);                     \
    }


/*
 * Calls that block: of the consumer.  One that reads is made also when it is
 * to fail, so that its error leaves the connection as one of the server does.
 */

#define CALL(reads, type, bad, name, params, args, my, st)                    \
                                                                              \
type                                                                          \
name params                                                                   \
{                                                                             \
    int   hit, outer;                                                         \
    type  rc;                                                                 \
                                                                              \
    REAL(type, name, params)                                                  \
                                                                              \
    hit = torture_mysql_hit();                                                \
                                                                              \
    if (hit && !reads && !torture_after()) {                                  \
        torture_mysql(my, st);                                                \
        return bad;                                                           \
    }                                                                         \
                                                                              \
    outer = torture_enter(#name);                                             \
    rc = real args;                                                           \
    torture_leave(outer, #name);                                              \
                                                                              \
    if (!hit) {                                                               \
        return rc;                                                            \
    }                                                                         \
                                                                              \
    torture_mysql(my, st);                                                    \
    return bad;                                                               \
}


CALL(0, MYSQL *, NULL, mysql_real_connect, (MYSQL *my, const char *host,
     const char *user, const char *password, const char *db, unsigned int port,
     const char *path, unsigned long flags),
     (my, host, user, password, db, port, path, flags), my, NULL)
CALL(0, int, 1, mysql_options, (MYSQL *my, enum mysql_option option,
     const void *value), (my, option, value), my, NULL)
CALL(0, int, 1, mysql_real_query, (MYSQL *my, const char *q, unsigned long n),
     (my, q, n), my, NULL)
CALL(0, int, 1, mysql_send_query, (MYSQL *my, const char *q, unsigned long n),
     (my, q, n), my, NULL)
CALL(1, my_bool, 1, mysql_read_query_result, (MYSQL *my), (my), my, NULL)
CALL(0, int, 1, mysql_stmt_prepare, (MYSQL_STMT *st, const char *q,
     unsigned long n), (st, q, n), NULL, st)
CALL(0, int, 1, mysql_stmt_execute, (MYSQL_STMT *st), (st), NULL, st)
CALL(1, int, 1, mysql_stmt_store_result, (MYSQL_STMT *st), (st), NULL, st)
CALL(1, int, 1, mysql_stmt_fetch, (MYSQL_STMT *st), (st), NULL, st)


/* a pair of calls, one that starts and one that goes on: of nginx */

#define PAIR(reads, type, bad, name, params, args, h, handle, my, st)         \
                                                                              \
static int                                                                    \
torture_##name##_end(type *ret, handle h, int wait)                           \
{                                                                             \
    if (wait == 0 && pending == h) {                                          \
        pending = NULL;                                                       \
        torture_mysql(my, st);                                                \
        *ret = bad;                                                           \
    }                                                                         \
                                                                              \
    return wait;                                                              \
}                                                                             \
                                                                              \
int                                                                           \
name##_start params                                                           \
{                                                                             \
    int  hit, wait;                                                           \
                                                                              \
    REAL(int, name##_start, params)                                           \
                                                                              \
    hit = torture_mysql_hit();                                                \
                                                                              \
    if (hit && !reads && !torture_after()) {                                  \
        torture_mysql(my, st);                                                \
        *ret = bad;                                                           \
        return 0;                                                             \
    }                                                                         \
                                                                              \
    pending = hit ? h : pending == h ? NULL : pending;                        \
    (void) torture_enter(#name);                                              \
    wait = real args;                                                         \
    torture_leave(0, #name);                                                  \
                                                                              \
    return torture_##name##_end(ret, h, wait);                                \
}                                                                             \
                                                                              \
int                                                                           \
name##_cont(type *ret, handle h, int events)                                  \
{                                                                             \
    int  wait;                                                                \
                                                                              \
    REAL(int, name##_cont, (type *, handle, int))                             \
                                                                              \
    (void) torture_enter(#name);                                              \
    wait = real(ret, h, events);                                              \
    torture_leave(0, #name);                                                  \
                                                                              \
    return torture_##name##_end(ret, h, wait);                                \
}


PAIR(0, MYSQL *, NULL, mysql_real_connect, (MYSQL **ret, MYSQL *h,
     const char *host, const char *user, const char *password, const char *db,
     unsigned int port, const char *path, unsigned long flags),
     (ret, h, host, user, password, db, port, path, flags), h, MYSQL *, h,
     NULL)
PAIR(0, int, 1, mysql_stmt_prepare, (int *ret, MYSQL_STMT *h, const char *q,
     unsigned long n), (ret, h, q, n), h, MYSQL_STMT *, NULL, h)
PAIR(0, int, 1, mysql_stmt_execute, (int *ret, MYSQL_STMT *h), (ret, h), h,
     MYSQL_STMT *, NULL, h)
PAIR(1, int, 1, mysql_stmt_store_result, (int *ret, MYSQL_STMT *h), (ret, h), h,
     MYSQL_STMT *, NULL, h)


/*
 * What libraries make once, when a process starts: without memory the C
 * library's names of services (which the client of MySQL asks for) and
 * OpenSSL's tables are used half made, or are lost.
 */

int
mysql_server_init(int argc, char **argv, char **groups)
{
    int  rc;

    REAL(int, mysql_server_init, (int, char **, char **))

    torture_spare(1);
    rc = real(argc, argv, groups);
    torture_spare(0);

    return rc;
}


void *
OSSL_LIB_CTX_get0_global_default(void)
{
    void  *ctx;

    REAL(void *, OSSL_LIB_CTX_get0_global_default, (void))

    torture_spare(1);
    ctx = real();
    torture_spare(0);

    return ctx;
}


/* once, too: see rush_crypto.h */

#define FETCH(name)                                                           \
                                                                              \
void *                                                                        \
name(void *ctx, const char *method, const char *properties)                   \
{                                                                             \
    void  *got;                                                               \
                                                                              \
    REAL(void *, name, (void *, const char *, const char *))                  \
                                                                              \
    torture_spare(1);                                                         \
    got = real(ctx, method, properties);                                      \
    torture_spare(0);                                                         \
                                                                              \
    return got;                                                               \
}

FETCH(EVP_MD_fetch)
FETCH(EVP_MAC_fetch)
FETCH(EVP_CIPHER_fetch)
FETCH(EVP_SIGNATURE_fetch)
FETCH(EVP_KEYMGMT_fetch)
FETCH(EVP_RAND_fetch)
FETCH(OSSL_DECODER_fetch)
