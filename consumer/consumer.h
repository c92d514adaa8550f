
/*
 * Copyright (C) Rush
 *
 * The consumer daemon.  Threads: main (signals, http), N writers (stream to
 * MySQL), one for ordinary orders, the controller (Redis follows MySQL), the
 * monitor (gauges), the courier (codes to people), the asker (WeChat), the
 * cashier (notices of payments), the teller (calls of payment providers).  Each
 * thread owns its Redis and MySQL connections; threads share rush_daemon_t
 * only: the configuration never changes, counters are atomic, stop is set
 * once.
 *
 * Connections never come back by themselves: rush_redis_ready() and
 * rush_db_ready() connect, everything else fails while there is none.  So
 * work that must not span two connections just does not call them.
 */


#ifndef _RUSH_CONSUMER_H_INCLUDED_
#define _RUSH_CONSUMER_H_INCLUDED_


#include <stdarg.h>
#include <stdio.h>
#include <hiredis/hiredis.h>

#include "rush_base.h"
#include "rush_buf.h"
#include "rush_failpoint.h"
#include "rush_seal.h"
#include "rush_stream.h"

#include "pay_conf.h"


#define RUSH_MAX_WRITERS  16
#define RUSH_NAME_LEN     48            /* of an instance, NUL included */
#define RUSH_SHA_LEN      40


/* configuration, see conf/consumer.conf; strings are never NULL */

typedef struct {
    char            *socket;            /* "": host and port */
    char            *host;
    int64_t          port;
    char            *user;
    char            *password_file;     /* "": no password */
    char            *password;          /* contents of the file */
    char            *database;          /* mysql only */
    int64_t          db;                /* redis only */
    int64_t          connect_timeout;   /* ms */
    int64_t          timeout;           /* ms, of one call */
} rush_peer_t;


typedef struct {                        /* [courier], [sms], [mail] */
    int64_t          parallel;          /* messages on their way at once */
    int64_t          retry_min;         /* ms, the first pause */
    int64_t          retry_max;         /* ms, the longest one */
    char            *file;              /* of drivers "log" */
    char            *brand;             /* who writes, UTF-8 */
    char            *subject;
    char            *text_register;
    char            *text_login;
    char            *text_reset;
    char            *text_bind;

    char            *sms_driver;        /* "", webhook, log */
    char            *sms_url;
    char            *sms_secret_file;
    char            *sms_secret;        /* contents of the file */
    char            *sms_ca_file;       /* "": those of the system */
    int64_t          sms_timeout;       /* ms, of one try */

    char            *mail_driver;       /* "", smtp, log */
    char            *mail_url;
    int64_t          mail_starttls;     /* 1: or nothing is sent */
    char            *mail_user;
    char            *mail_password_file;
    char            *mail_password;     /* contents of the file */
    char            *mail_from;
    char            *mail_ca_file;
    int64_t          mail_timeout;
} rush_courier_conf_t;


typedef struct {                        /* [wechat] */
    char            *appid;             /* "": WeChat is not asked */
    char            *secret_file;
    char            *secret;            /* contents of the file */
    char            *base_url;
    char            *ca_file;           /* "": those of the system */
    int64_t          parallel;          /* asks under way at once */
    int64_t          timeout;           /* ms, of all calls of an ask */
} rush_wechat_conf_t;


typedef struct {                        /* [cashier] */
    int64_t          enabled;
    int64_t          sweep;             /* ms, look at what had to wait */
    int64_t          unmatched_alarm;   /* s, a notice without a payment */
    char            *late_payment;      /* revive refund */
} rush_cashier_conf_t;


typedef struct {
    char            *name;              /* of this instance, stable */
    int64_t          writers;
    int64_t          batch;             /* orders of one transaction */
    int64_t          block;             /* ms, XREADGROUP waits */
    int64_t          claim_idle;        /* ms, others' entries are taken */
    int64_t          claim_interval;    /* ms */
    int64_t          discover;          /* ms, look for warm activities */
    char            *listen;            /* "127.0.0.1:9122", "": none */
    char            *log;               /* file, "": stderr */
    char            *log_level;         /* debug info warn error */
    char            *seal_key;          /* file, "": none */
    rush_seal_t      seal;              /* contents of the file */

    int64_t          controller;        /* 0: never hold the lock */
    int64_t          poll;              /* ms, look for rev <> applied_rev */
    int64_t          sweep;             /* ms, look for unpaid orders */
    int64_t          sweep_batch;       /* orders of one sweep */
    int64_t          reconcile;         /* s between checks, 0: never */
    int64_t          recheck;           /* ms, before a second look */
    int64_t          trim_interval;     /* s */
    int64_t          trim_keep;         /* s, entries younger stay */
    int64_t          max_backlog;       /* entries, above: sale is paused */
    int64_t          clock_alarm;       /* ms of difference */
    int64_t          clock_pause;       /* ms of difference */

    int64_t          erase_after;       /* s, after an account was closed */
    int64_t          erase_interval;    /* ms */
    int64_t          session_keep;      /* s, after a session has ended */

    int64_t          order_pay_seconds; /* of ordinary orders */
    int64_t          order_backlog;     /* of them, not stored: an alarm */

    rush_peer_t      redis;
    rush_peer_t      mysql;

    rush_courier_conf_t  courier;
    rush_wechat_conf_t   wechat;
    rush_cashier_conf_t  cashier;

    rush_pay_conf_t         pay;
    rush_wechat_pay_conf_t  wechat_pay;
    rush_alipay_conf_t      alipay;
    int64_t                 sandbox;    /* 1: payments that are none */
} rush_conf_t;


/* what came of calls of payment providers */

#define RUSH_PAY_WHO  5                 /* numbers of providers */

#define RUSH_PAY_OUTCOMES(O)                                                  \
    O(ANSWERED, "answered")                                                   \
    O(REFUSED,  "refused")              /* for good */                        \
    O(LATER,    "later")                /* not now: too often, or our fault */\
    O(UNKNOWN,  "unknown")              /* no answer, or HTTP 5xx */          \
    O(UNSEEN,   "unseen")               /* no connection */                   \
    O(FORGED,   "forged")               /* the signature is wrong */

typedef enum {
#define RUSH_OUTCOME_ENUM(name, text)  RUSH_OUTCOME_##name,
    RUSH_PAY_OUTCOMES(RUSH_OUTCOME_ENUM)
#undef RUSH_OUTCOME_ENUM
    RUSH_OUTCOMES
} rush_call_outcome_e;


/* counters and gauges of /metrics: rush_stat_add(), rush_stat_set() */

#define RUSH_HISTOGRAM  12              /* buckets without +Inf */

typedef struct {
    int64_t          orders;            /* rows committed */
    int64_t          rejected;          /* rows with status 9 */
    int64_t          duplicates;        /* delivered again */
    int64_t          batches;
    int64_t          batch_bucket[RUSH_HISTOGRAM + 1];
    int64_t          batch_us;          /* sum */
    int64_t          ordinary;          /* rows of ordinary orders */
    int64_t          ordinary_refused;  /* of them: cancelled at once */
    int64_t          retries;           /* transactions, after an error */
    int64_t          claimed;           /* entries of other consumers */
    int64_t          dead_letters;      /* written by this process */
    int64_t          oversell_blocked;
    int64_t          limit_blocked;
    int64_t          entries_lost;      /* id without a body */
    int64_t          group_lost;
    int64_t          alarms;
    int64_t          last_commit;       /* ms, 0: none yet */

    int64_t          messages_sent;     /* by the courier */
    int64_t          messages_failed;   /* refused for good */
    int64_t          messages_retried;  /* tries after the first */
    int64_t          messages_expired;
    int64_t          messages_held;     /* gauge */

    int64_t          asks_answered;     /* by WeChat */
    int64_t          asks_refused;      /* the client's fault */
    int64_t          asks_failed;       /* WeChat was away, or refuses us */
    int64_t          asks_retried;      /* calls */
    int64_t          asks_expired;      /* nobody waited any more */
    int64_t          asks_held;         /* gauge */

    int64_t          pay_paid;          /* orders */
    int64_t          pay_late;          /* payments of the next six kinds */
    int64_t          pay_second;
    int64_t          pay_known;         /* notices that told nothing new */
    int64_t          pay_unmatched;
    int64_t          pay_mismatch;
    int64_t          pay_revived;       /* orders, by the controller */
    int64_t          refunds_done;
    int64_t          refunds_failed;
    int64_t          notices_open;      /* gauge: unmatched now */
    int64_t          refunds_open;      /* gauge: failed, to be decided */
    int64_t          calls[RUSH_PAY_WHO][RUSH_OUTCOMES];    /* by the teller */
    int64_t          breaker[RUSH_PAY_WHO]; /* gauges: 0 closed, 1 half, 2 */
    int64_t          pay_open;          /* payments that wait */
    int64_t          refunds_waiting;
    int64_t          pay_silent;        /* ms: oldest row without an answer */
    int64_t          teller;            /* 1: holds the lock */

    int64_t          dead_open;         /* gauges, by the monitor */
    int64_t          lag;
    int64_t          pending;
    int64_t          streams;
    int64_t          ordinary_lag;
    int64_t          ordinary_pending;
    int64_t          redis_up;
    int64_t          mysql_up;

    int64_t          controller;        /* 1: holds the lock; from here on
                                           by the controller */
    int64_t          rebuilds;
    int64_t          timeouts;          /* unpaid orders cancelled */
    int64_t          releases;          /* units' orders given back */
    int64_t          adjusts;           /* stock operations done */
    int64_t          trimmed;           /* entries */
    int64_t          erased;            /* accounts */
    int64_t          purged;            /* sessions */
    int64_t          repairs;           /* made by reconcile */
    int64_t          differences;       /* gauge: found by the last check */
    int64_t          paused_backlog;    /* gauge: activities */
    int64_t          audit_waiting;     /* gauge: rows, 1000 at most */
    int64_t          clock_skew;        /* gauge: ms, greatest */
} rush_stats_t;

#define rush_stat_add(d, name, n)                                             \
    ((void) __atomic_fetch_add(&(d)->stats.name, (int64_t) (n),               \
                               __ATOMIC_RELAXED))
#define rush_stat_set(d, name, v)                                             \
    __atomic_store_n(&(d)->stats.name, (int64_t) (v), __ATOMIC_RELAXED)
#define rush_stat_get(d, name)                                                \
    __atomic_load_n(&(d)->stats.name, __ATOMIC_RELAXED)


typedef struct {
    rush_conf_t      conf;              /* read-only after the start */
    rush_stats_t     stats;
    int              stop;              /* rush_stopping() */
    int              stop_fd;           /* readable for ever after the stop */
} rush_daemon_t;


/* wait.c: 1 after SIGTERM or SIGINT: finish the batch and return */

int rush_stopping(rush_daemon_t *d);

/* sleeps; returns 1 at once when the daemon stops, 0 after ms */
int rush_wait(rush_daemon_t *d, int64_t ms);

void rush_stop(rush_daemon_t *d);

int64_t rush_now(void);                 /* ms since the epoch */
int64_t rush_mono(void);                /* us, never steps back */


/* conf.c */

/* file may be NULL.  Returns the number of faults; a sentence for each goes
 * to "err" */
int rush_conf_read(rush_conf_t *conf, const char *file, FILE *err);
void rush_conf_free(rush_conf_t *conf);

/* courier_conf.c: rules of [courier], [sms], [mail]; returns the number of
 * faults.  RUSH_OK when there is something to do for a courier */
int rush_courier_check(rush_conf_t *conf, FILE *err);
int rush_courier_wanted(const rush_conf_t *conf);

/* 0, or 1: a sentence went to "err".  scheme "http" takes https too; whether
 * it leads to this host */
int rush_conf_url(const char *section, const char *name, const char *url,
    const char *scheme, FILE *err);
int rush_conf_is_local(const char *url);

/* wechat_conf.c: the same of [wechat] */
int rush_wechat_check(rush_conf_t *conf, FILE *err);
int rush_wechat_wanted(const rush_conf_t *conf);

/* pay_conf.c: rules of [pay], [wechat_pay], [alipay]; loads the keys */
int rush_pay_check(rush_conf_t *conf, FILE *err);
int rush_pay_wanted(const rush_conf_t *conf);
void rush_pay_free(rush_conf_t *conf);


/* log.c: one JSON object a line: time, level, thread, message */

#define RUSH_LOG_DEBUG  0
#define RUSH_LOG_INFO   1
#define RUSH_LOG_WARN   2               /* a peer misbehaves, we go on */
#define RUSH_LOG_ERROR  3               /* work is delayed or set aside */
#define RUSH_LOG_ALERT  4               /* an invariant is broken */

int rush_log_open(const char *file, const char *level);
void rush_log_reopen(void);
void rush_log_thread(const char *name); /* borrowed, of the calling thread */
void rush_log(int level, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));


/*
 * redis.c, reply.c.  A rush_redis_t is used by one thread.  NULL instead of a
 * reply means: the connection was lost (logged, closed) and nobody knows
 * whether the command ran.  An error reply is a reply.  freeReplyObject()
 * frees it.
 */

typedef struct rush_redis_s  rush_redis_t;

/* a command being built; bytes are copied; zero-filled is valid and empty */

typedef struct {
    rush_buf_t       buf;
    size_t           n;
} rush_args_t;

void rush_arg(rush_args_t *a, const void *data, size_t len);
void rush_arg_text(rush_args_t *a, const char *text);
void rush_arg_str(rush_args_t *a, const rush_str_t *s);
void rush_arg_int(rush_args_t *a, int64_t v);
void rush_arg_key(rush_args_t *a, int64_t activity, char kind);
void rush_args_free(rush_args_t *a);

/* name: static, for log lines and CLIENT SETNAME; does not connect */
rush_redis_t *rush_redis_create(rush_daemon_t *d, const char *name);
void rush_redis_destroy(rush_redis_t *rd);

/* connects, logs in, selects when there is no connection.  RUSH_OK or
 * RUSH_ERROR; tries are spaced (50 ms to 2 s), between them it fails at once,
 * so callers loop with rush_wait(d, 50) */
int rush_redis_ready(rush_redis_t *rd);
int rush_redis_connected(rush_redis_t *rd);
void rush_redis_close(rush_redis_t *rd);

/* grows with each connect: compare to know that it is still the same one */
unsigned rush_redis_generation(rush_redis_t *rd);

/* sends "a" and empties it (its memory stays for the next command) */
redisReply *rush_redis_call(rush_redis_t *rd, rush_args_t *a);

/* a whole command of words: rush_redis_words(rd, "SCRIPT", "FLUSH", NULL) */
redisReply *rush_redis_words(rush_redis_t *rd, ...)
    __attribute__((sentinel));

/* pipelining: push n commands, then pull n replies */
int rush_redis_push(rush_redis_t *rd, rush_args_t *a);
redisReply *rush_redis_pull(rush_redis_t *rd);

/*
 * EVALSHA of rush_lua[lua] (rush_lua.h) with one key for each letter of
 * "keys": m u s o as in rush_stream.h, n is {a:ID}u:new, the users hash under
 * construction.  argv is emptied; NULL: no arguments.
 */
redisReply *rush_redis_script(rush_redis_t *rd, unsigned lua,
    int64_t activity, const char *keys, rush_args_t *argv);
const char *rush_redis_sha(unsigned lua);       /* 40 hex digits */

/* SCRIPT LOAD; RUSH_ERROR (logged) when refused or lost */
int rush_redis_load(rush_redis_t *rd, unsigned lua);

/* 1 when the reply is an error that begins with the word, "NOGROUP" */
int rush_reply_is(const redisReply *reply, const char *word);

/* 1 when the reply is there and no error; else logs "what" and returns 0 */
int rush_reply_ok(const redisReply *reply, const char *what);

/* an integer, or a string of digits; dflt for all else (also NULL) */
int64_t rush_reply_int(const redisReply *reply, int64_t dflt);

/* of "name", value pairs (XINFO): a string or integer, NULL: not there */
const redisReply *rush_reply_find(const redisReply *list, const char *name);

#define RUSH_ID_LEN  48                 /* of a stream entry, NUL included */

void rush_id_copy(char *dst, const char *src);      /* dst has RUSH_ID_LEN */

/* "ms-seq" ids: <0, 0, >0; bad ids are 0-0 */
int rush_id_cmp(const char *a, size_t alen, const char *b, size_t blen);


/*
 * db.c.  A rush_db_t is used by one thread; statements are prepared once a
 * connection.  Sessions run READ COMMITTED, autocommit outside of begin and
 * commit, affected counts changed rows.  After a failed statement inside a
 * transaction commit refuses and rolls back: there is no "error, then
 * commit".
 */

typedef struct rush_db_s  rush_db_t;

#define RUSH_DB_DOWN   (-2)     /* connection lost (then it is closed), or the
                                   server cannot work now: try later.  The
                                   outcome of COMMIT is unknown */
#define RUSH_DB_RETRY  (-3)     /* 1205, 1213: roll back and run again */
#define RUSH_DB_DUP    (-4)     /* 1062: a unique key refused */
#define RUSH_DB_DATA   (-5)     /* SQLSTATE 22, 23: this data never fits */

typedef enum {
    RUSH_P_INT = 0,
    RUSH_P_STR,
    RUSH_P_NULL
} rush_param_e;

typedef struct {
    rush_param_e     type;
    int64_t          i;
    rush_str_t       s;
} rush_param_t;

#define rush_p_int(v)   ((rush_param_t) { RUSH_P_INT, (int64_t) (v),          \
                                          { 0, NULL } })
#define rush_p_str(v)   ((rush_param_t) { RUSH_P_STR, 0, *(v) })
#define rush_p_text(t)  ((rush_param_t) { RUSH_P_STR, 0, { strlen(t),         \
                                          (unsigned char *) (uintptr_t) (t) } })
#define rush_p_null()   ((rush_param_t) { RUSH_P_NULL, 0, { 0, NULL } })

typedef struct {
    size_t           n;                 /* rows */
    size_t           cols;
    uint64_t         affected;
    uint64_t         insert_id;
    rush_str_t      *cells;             /* text, NUL behind; data NULL: SQL
                                           NULL.  Owned, rush_rows_free() */
} rush_rows_t;

#define rush_cell(rows, row, col)                                             \
    (&(rows)->cells[(row) * (rows)->cols + (col)])

int64_t rush_cell_int(const rush_rows_t *rows, size_t row, size_t col);
void rush_rows_free(rush_rows_t *rows); /* a zero-filled one is fine */

rush_db_t *rush_db_create(rush_daemon_t *d, const char *name);
void rush_db_destroy(rush_db_t *db);

/* as rush_redis_ready(): RUSH_OK or RUSH_DB_DOWN */
int rush_db_ready(rush_db_t *db);
int rush_db_connected(rush_db_t *db);
void rush_db_close(rush_db_t *db);
unsigned rush_db_generation(rush_db_t *db);

/* RUSH_OK and *rows (freed and filled; may be NULL), or RUSH_DB_*; faults
 * but RUSH_DB_DUP are logged */
int rush_db_run(rush_db_t *db, const rush_stmt_t *stmt,
    const rush_param_t *params, size_t n, rush_rows_t *rows);

/* a statement with "(@list)": the numbers stand there; "?" takes integers
 * only.  Never send an empty list */
int rush_db_list(rush_db_t *db, const rush_stmt_t *stmt,
    const rush_param_t *params, size_t n, const int64_t *list, size_t count,
    rush_rows_t *rows);

int rush_db_begin(rush_db_t *db);
int rush_db_commit(rush_db_t *db);
void rush_db_rollback(rush_db_t *db);   /* nothing without a transaction */

/* of the last fault: server code and text */
unsigned rush_db_errno(rush_db_t *db);
const char *rush_db_error(rush_db_t *db);

/* one row for those who look after the system, and an ALERT line.  Part of
 * the transaction when there is one */
int rush_alarm(rush_daemon_t *d, rush_db_t *db, const char *kind,
    int64_t activity, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));


/*
 * stream.c.  Drain: own pending entries, those of others (taken over however
 * young they are), then all new ones, until the stream is empty; synchronous,
 * on the given connections, nothing is left unacknowledged.  RUSH_OK, or
 * RUSH_ERROR when a connection was lost or the daemon stops.
 */

int rush_stream_drain(rush_daemon_t *d, rush_redis_t *rd, rush_db_t *db,
    int64_t activity);

/* creates the group at the last committed entry when it is not there; 1 it
 * was there, 0 created, RUSH_ERROR */
int rush_stream_group(rush_daemon_t *d, rush_redis_t *rd, rush_db_t *db,
    int64_t activity);


/* controller.c: thread body, returns when the daemon stops */

int rush_controller_run(rush_daemon_t *d);


/* auditor.c: thread body */

int rush_auditor_run(rush_daemon_t *d);


/* ordinary.c: thread body */

int rush_ordinary_run(rush_daemon_t *d);


/* courier.c: thread body */

int rush_courier_run(rush_daemon_t *d);


/* ask.c: thread body */

int rush_asker_run(rush_daemon_t *d);


/* teller.c: thread body */

int rush_teller_run(rush_daemon_t *d);


/* reconcile.c: prints differences to stdout; exit status: 0 none left, 1
 * some, 2 could not look */

int rush_reconcile_main(rush_daemon_t *d, int repair, int dry_run);


/* audit_log_verify.c: looks whether the record of administrators is whole,
 * and prints what is not; exit status: 0 whole, 1 not, 2 could not look */

int rush_audit_log_main(rush_daemon_t *d);


#endif /* _RUSH_CONSUMER_H_INCLUDED_ */
