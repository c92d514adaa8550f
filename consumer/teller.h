
/*
 * Copyright (C) Rush
 *
 * The teller: one thread that talks to payment providers.  One instance of all
 * holds the lock 'rush_teller.DB' of MySQL and does the work; the others wait
 * for it.
 *
 * Work is rows that are due: payments in states 0 asked, 1 open, 3 closing,
 * refunds in 1 approved, 2 sending, 3 processing, bills that were asked for,
 * and the certificates of WeChat Pay.  They are looked for once in "poll" ms,
 * and at once when a worker has left a hint in the stream RUSH_TELL_KEY.
 *
 * A job is one row under way.  Before each call its intent is stored: "tries"
 * rises by a conditional UPDATE, and "next_ms" moves behind the time that the
 * call may take.  Whoever dies meanwhile leaves a row that comes due again,
 * with tries > 0: then the provider is asked first what it knows, and only what
 * it has not seen is sent again, under the same number.  What came of a call
 * is stored on the condition of the same "tries", so an answer that arrives
 * after somebody else took over has no effect.  One that could not be stored
 * until its row came due again is dropped: who has the lock asks anew.
 *
 *   FREE     no job
 *   FLYING   its call is under way
 *   STORE    its answer waits for MySQL
 *
 * Failpoints: T1 before the intent, T2 between it and the call, T3 after the
 * answer, T4 after it was stored; T5 before certificates are published.
 */


#ifndef _RUSH_TELLER_H_INCLUDED_
#define _RUSH_TELLER_H_INCLUDED_


#include "provider.h"
#include "teller_sql.h"


#define RUSH_JOBS           64
#define RUSH_TELLER_TICK    10          /* ms, while something is under way */
#define RUSH_TELLER_GRACE   3000        /* ms, for calls at the end */
#define RUSH_TELLER_LEASE   5000        /* ms, beyond the time of two calls */
#define RUSH_TELLER_HOST    300000      /* ms, until the first host again */
#define RUSH_TELLER_ENDED   30          /* looks a minute for what nobody has
                                           hinted at: bills, orders that have
                                           ended */

#define rush_te_run(te, name, params, n, rows)                                \
    rush_db_run((te)->db, &rush_te_sql[RUSH_TE_SQL_##name], params, n, rows)


typedef enum {
    RUSH_JOB_FREE = 0,
    RUSH_JOB_PAYMENT,
    RUSH_JOB_REFUND,
    RUSH_JOB_BILL,
    RUSH_JOB_KEYS
} rush_job_e;


struct rush_job_s {
    rush_job_e               kind;
    rush_op_e                op;
    const rush_provider_t   *provider;
    rush_teller_row_t        row;
    rush_call_http_t         http;
    rush_said_t              said;
    rush_buf_t               url;       /* of a bill: where it is */
    char                     hash[48];  /* and its digest, hex */
    int64_t                  until;     /* us, its row comes due again */
    unsigned                 host;      /* of this call */
    unsigned                 store:1;   /* the answer waits for MySQL */
    unsigned                 second:1;  /* the other host was tried too */
    unsigned                 probe:1;   /* of a breaker that is half open */
};


#define RUSH_BREAKER_CLOSED  0
#define RUSH_BREAKER_HALF    1          /* one call may try */
#define RUSH_BREAKER_OPEN    2          /* nobody is called */

typedef struct {                        /* of a provider */
    int64_t          failures;          /* one after the other */
    int64_t          until;             /* us, open till then; 0: closed */
    int64_t          host_until;        /* us, away from the first host */
    int64_t          next_forged;       /* us, of alarms */
    int64_t          next_refused;
    unsigned         bad;               /* answers of this host */
    unsigned         host;
    unsigned         probing:1;
} rush_breaker_t;


typedef struct {                        /* a certificate, for workers */
    rush_buf_t       text;
    int64_t          until;             /* ms */
    char             serial[RUSH_RSA_SERIAL + 1];
} rush_teller_pem_t;


struct rush_teller_s {
    rush_daemon_t       *daemon;
    rush_redis_t        *rd;
    rush_db_t           *db;
    rush_args_t          args;
    rush_curl_loop_t     loop;
    unsigned             more:1;        /* rows are due, places were not */
    unsigned             lock_generation;
    unsigned             redis_generation;
    char                 hint[RUSH_ID_LEN];     /* the last one that was read */
    int64_t              next_poll;     /* us */
    int64_t              next_ended;
    int64_t              next_bills;
    int64_t              next_gauges;
    int64_t              next_keys;
    int64_t              next_publish;
    int64_t              keys_asked;
    int64_t              keys_tries;
    rush_breaker_t       breakers[RUSH_PROVIDERS];
    rush_wxpay_ring_t    ring;
    rush_teller_pem_t    pems[RUSH_WXPAY_KEYS];
    size_t               npems;
    rush_job_t           jobs[RUSH_JOBS];
};


/* teller.c */

rush_job_t *rush_job_new(rush_teller_t *te, rush_job_e kind,
    const rush_provider_t *provider);
rush_job_t *rush_job_find(rush_teller_t *te, rush_job_e kind, int64_t id);
void rush_job_end(rush_teller_t *te, rush_job_t *job);
size_t rush_jobs_free(rush_teller_t *te);

/* judges what came of the call, stores it or lets it wait for that */
void rush_job_landed(rush_teller_t *te, rush_job_t *job);


/* teller_call.c */

/* RUSH_OK: it flies, or was answered at once and is judged */
int rush_job_call(rush_teller_t *te, rush_job_t *job, rush_op_e op);
void rush_call_landed(void *data, void *owner, CURLcode rc);
int64_t rush_call_timeout(rush_teller_t *te, rush_op_e op);
int64_t rush_call_patience(rush_teller_t *te, rush_op_e op);    /* ms */
int64_t rush_call_lease(rush_teller_t *te, rush_op_e op);
void rush_call_drop(rush_teller_t *te, rush_job_t *job);


/* teller_breaker.c */

void rush_breaker_count(rush_teller_t *te, rush_job_t *job);
unsigned rush_breaker_host(rush_teller_t *te,
    const rush_provider_t *provider);

/* 1: a call of this provider may begin */
int rush_breaker_allows(rush_teller_t *te, const rush_provider_t *provider);
int rush_breaker_state(const rush_breaker_t *b);

/* an alarm of a row */
void rush_teller_alarm(rush_teller_t *te, const rush_provider_t *provider,
    const char *kind, int64_t id, const char *text);


/* teller_work.c: rows that are due become jobs; RUSH_ERROR: MySQL is away */

int rush_work_find(rush_teller_t *te);
int rush_work_gauges(rush_teller_t *te);
void rush_work_text(char *dst, size_t size, const rush_str_t *s);


/*
 * teller_pay.c, teller_refund.c, teller_bill.c, teller_keys.c.  *_begin: the
 * row is in job->row; RUSH_ERROR: not now.  *_said: RUSH_OK: the answer is
 * stored, or another call of the job flies; RUSH_ERROR: MySQL is away, again.
 * *_intent: RUSH_ERROR: not stored, no call; the job is over.
 */

int rush_payment_begin(rush_teller_t *te, rush_job_t *job);
int rush_payment_intent(rush_teller_t *te, rush_job_t *job);
int rush_payment_said(rush_teller_t *te, rush_job_t *job);

int rush_refund_begin(rush_teller_t *te, rush_job_t *job);
int rush_refund_intent(rush_teller_t *te, rush_job_t *job);
int rush_refund_said(rush_teller_t *te, rush_job_t *job);

int rush_bills_due(rush_teller_t *te);
int rush_bill_begin(rush_teller_t *te, rush_job_t *job);
int rush_bill_intent(rush_teller_t *te, rush_job_t *job);
int rush_bill_said(rush_teller_t *te, rush_job_t *job);

void rush_keys_due(rush_teller_t *te);
void rush_keys_soon(rush_teller_t *te); /* a serial is not known */
void rush_keys_judge(rush_teller_t *te, rush_job_t *job);
int rush_keys_said(rush_teller_t *te, rush_job_t *job);
void rush_keys_publish(rush_teller_t *te);
void rush_keys_free(rush_teller_t *te);

/* ms of a pause: doubles with tries, jittered */
int64_t rush_teller_pause(rush_teller_t *te, int64_t tries);


#endif /* _RUSH_TELLER_H_INCLUDED_ */
