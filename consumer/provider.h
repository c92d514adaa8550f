
/*
 * Copyright (C) Rush
 *
 * What the teller wants of a payment provider, and what came of it.  A
 * provider is a table of functions: "ask" makes the call of job->op (or gives
 * the answer at once, when none is needed), "judge" reads the answer.  All that
 * is the same for each provider is in teller*.c: when and where to call, what
 * is stored before and after.
 *
 * An answer counts only when its signature is right.  What is not signed may
 * lead to another question or to the same request again ("doubt" is set), but
 * is no fact.
 */


#ifndef _RUSH_PROVIDER_H_INCLUDED_
#define _RUSH_PROVIDER_H_INCLUDED_


#include "curl_loop.h"
#include "pay.h"
#include "rush_notice.h"


#define RUSH_CALL_SEAL     RUSH_RSA_SIGN_TEXT
#define RUSH_CALL_ANSWER   65536        /* bytes, of all but bills */
#define RUSH_CALL_BILL     (64 << 20)
#define RUSH_CALL_CAUSE    200
#define RUSH_HOSTS         2


typedef enum {
    RUSH_OP_NONE = 0,
    RUSH_OP_PREPAY,
    RUSH_OP_QUERY,
    RUSH_OP_CLOSE,
    RUSH_OP_REFUND,
    RUSH_OP_REFUND_QUERY,
    RUSH_OP_KEYS,                       /* platform certificates */
    RUSH_OP_BILL,                       /* where it is */
    RUSH_OP_BILL_FILE
} rush_op_e;


typedef enum {
    RUSH_SAID_UNKNOWN = 0,              /* whether it was done: query first */
    RUSH_SAID_UNSEEN,                   /* there was no connection */
    RUSH_SAID_FORGED,                   /* UNKNOWN, and somebody lies */
    RUSH_SAID_LATER,                    /* not done: slower, or our fault */
    RUSH_SAID_REFUSED,                  /* not done, for good */
    RUSH_SAID_ASK,                      /* not done: query tells why */

    RUSH_SAID_OPEN,                     /* of PREPAY: out has client
                                           parameters; of QUERY: not paid */
    RUSH_SAID_PAYING,                   /* the buyer is at it */
    RUSH_SAID_PAID,                     /* out has what was signed, JSON */
    RUSH_SAID_CLOSED,
    RUSH_SAID_ABSENT,                   /* there is no such number */

    RUSH_SAID_PROCESSING,               /* a refund; out if there is one */
    RUSH_SAID_DONE,                     /* the same; out has what was signed */
    RUSH_SAID_FAILED,                   /* the same */

    RUSH_SAID_HAVE                      /* KEYS; BILL: job->url is where it
                                           is; BILL_FILE: out is the file */
} rush_said_e;


typedef struct {
    rush_said_e      what;
    rush_buf_t       out;
    char             cause[RUSH_CALL_CAUSE];    /* for a row and the log */
    unsigned         doubt:1;           /* was not signed */
    unsigned         alarm:1;           /* somebody should look */
} rush_said_t;


/* one HTTP call; ask fills method, target, body and list */

typedef struct {
    CURL                *easy;
    struct curl_slist   *list;
    const char          *method;        /* "GET", "POST" */
    rush_buf_t           target;        /* path and query, NUL behind; or a
                                           whole address */
    rush_buf_t           body;
    rush_buf_t           answer;
    size_t               most;          /* bytes of answer */
    long                 status;
    int64_t              begun;         /* us, rush_mono() */
    unsigned             whole:1;       /* target is an address */
    unsigned             flying:1;
    unsigned             large:1;       /* the answer was too large */

    char                 timestamp[32];         /* headers, "": none */
    char                 nonce[128];
    char                 serial[RUSH_WXPAY_SERIAL + 16];
    char                 signature[RUSH_CALL_SEAL + 8];
    char                 request_id[96];
} rush_call_http_t;


typedef struct {                        /* a row, and what became of it */
    int64_t          id;
    int64_t          payment;           /* of a refund: the payment's id */
    int64_t          channel;
    int64_t          amount;            /* fen; of a refund: its own */
    int64_t          total;             /* fen, of the payment */
    int64_t          state;
    int64_t          tries;
    int64_t          deadline_ms;
    int64_t          created_ms;
    int64_t          updated_ms;
    int64_t          order_status;      /* -1: there is no order */
    int64_t          day;               /* of a bill */
    char             order_no[48];
    char             subject[520];      /* of a refund: its reason */
    char             payer[136];
    char             client_ip[48];
    char             transaction_id[72];
} rush_teller_row_t;


typedef struct rush_teller_s    rush_teller_t;
typedef struct rush_job_s       rush_job_t;


#define RUSH_PROVIDER_DONE  1           /* ask: said is filled, no call */

typedef struct {
    int              number;            /* RUSH_PROVIDER_* */
    const char      *name;

    /* 1: it is configured */
    int            (*is_on)(const rush_conf_t *conf);

    /* 1: calls can be made now */
    int            (*is_ready)(rush_teller_t *te);

    /* base of addresses, "": there is no such host; and who is trusted */
    const char    *(*host)(const rush_conf_t *conf, unsigned n);
    const char    *(*ca_file)(const rush_conf_t *conf);

    /* RUSH_OK: the call is made; RUSH_PROVIDER_DONE; RUSH_ERROR: no memory,
     * no signature, no connection to MySQL */
    int            (*ask)(rush_teller_t *te, rush_job_t *job);

    /* an answer with a status below 500 that is no 429 is whole */
    void           (*judge)(rush_teller_t *te, rush_job_t *job);

    /* a bill that was fetched, into rows; rows are the caller's.
     * RUSH_ERROR: *err tells; RUSH_UNSURE: no memory, try again */
    int            (*bill)(rush_job_t *job, rush_bill_row_t **rows, size_t *n,
                           const char **err);
} rush_provider_t;


/* by number of the provider; NULL: nobody */
const rush_provider_t *rush_provider_get(int64_t number);

extern const rush_provider_t  rush_provider_wechat;
extern const rush_provider_t  rush_provider_alipay;
extern const rush_provider_t  rush_provider_sandbox;


/* teller_call.c, for providers */

/* sets said; fmt may be NULL: no cause */
void rush_said(rush_job_t *job, rush_said_e what, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* an answer whose signature is not believed: FORGED, or UNKNOWN */
void rush_said_doubt(rush_job_t *job, rush_doubt_e doubt);

#define rush_buf_str(b)  ((rush_str_t) { (b)->len, (b)->data })
#define rush_text_str(t) ((rush_str_t) { strlen(t),                           \
                              (unsigned char *) (uintptr_t) (t) })


#endif /* _RUSH_PROVIDER_H_INCLUDED_ */
