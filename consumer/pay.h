
/*
 * Copyright (C) Rush
 *
 * Money inside of MySQL: what is known of a payment or a refund becomes rows.
 * The cashier applies notices, the teller what providers have answered, both
 * by the same functions; nobody else changes payment.state to 2, 6 or 7,
 * payment.amount, payment.refunded, payment.returned, refund.state to 4, or the
 * ledger.
 *
 * Functions that return int without a word give RUSH_OK, or RUSH_DB_*:
 * nothing was done (after RUSH_DB_DOWN nobody knows, when it was the COMMIT),
 * call again with the same facts.  They begin and end their transaction.
 *
 * Locks are taken in this order: notice, refund, payment, order, product.
 *
 * The teller sends a refund with state 1 only when "reserved" is 1: its sum is
 * promised in payment.refunded then, once and for all.  A worker that lets a
 * refund begin again after state 6 sets 2 when "reserved" is 1, else 1.
 */


#ifndef _RUSH_CONSUMER_PAY_H_INCLUDED_
#define _RUSH_CONSUMER_PAY_H_INCLUDED_


#include "consumer.h"
#include "rush_pay.h"


#define RUSH_PAY_HOUR       3600000LL   /* ms */
#define RUSH_PAY_DAY        (24 * RUSH_PAY_HOUR)
#define RUSH_PAY_ZONE       (8 * RUSH_PAY_HOUR)     /* China, all the year */
#define RUSH_PAY_NUMBER     24          /* room for an id, "R" and NUL */


typedef enum {                          /* what a provider says of a payment */
    RUSH_SAYS_OTHER = 0,                /* nothing that counts: not paid yet,
                                           closed, unknown */
    RUSH_SAYS_PAID,
    RUSH_SAYS_RETURNED                  /* was paid, and some went back */
} rush_says_e;


/* all strings are borrowed; len 0: not told */

typedef struct {
    int              provider;          /* RUSH_PROVIDER_* */
    const char      *kind;              /* "pay" or "query" */
    rush_str_t       key;               /* of the notice; a query's is "q:" and
                                           the id of the payment */
    rush_str_t       body;              /* as it came, JSON in UTF-8 */
    int64_t          received_ms;
    unsigned         again:1;           /* stored before: not one more */

    int64_t          payment;           /* out_trade_no; 0: none of ours */
    rush_says_e      says;
    rush_str_t       transaction_id;
    rush_str_t       app;               /* WeChat appid, Alipay app_id */
    rush_str_t       merchant;          /* WeChat mchid, Alipay seller_id */
    rush_str_t       currency;
    int64_t          amount;            /* fen, -1: not told */
    int64_t          paid_ms;           /* 0: not told */
} rush_pay_facts_t;


typedef enum {
    RUSH_RETURN_PROCESSING = 0,
    RUSH_RETURN_DONE,
    RUSH_RETURN_FAILED,                 /* closed or abnormal */
    RUSH_RETURN_OTHER                   /* nothing that counts */
} rush_return_e;


typedef struct {
    int              provider;
    const char      *kind;              /* "refund" or "query" */
    rush_str_t       key;               /* a query's is "q:R" and the id of the
                                           refund, ":" and the state */
    rush_str_t       body;
    int64_t          received_ms;
    unsigned         again:1;

    int64_t          refund;            /* out_refund_no; 0: none of ours */
    rush_return_e    says;
    rush_str_t       number;            /* the provider's, of the refund */
    rush_str_t       merchant;
    rush_str_t       currency;
    int64_t          amount;            /* fen, of this one; -1: not told */
    int64_t          all;               /* fen, of all refunds of the payment,
                                           this one too; -1: not told */
    int64_t          done_ms;
} rush_refund_facts_t;


typedef enum {
    RUSH_DID_NOTHING = 0,               /* says nothing that counts */
    RUSH_DID_PAID,                      /* the order is paid now */
    RUSH_DID_LATE,                      /* it waits no more: payment 6 */
    RUSH_DID_SECOND,                    /* paid by another: payment 7 */
    RUSH_DID_REFUNDED,                  /* refund 4 */
    RUSH_DID_FAIL,                      /* refund 6 */
    RUSH_DID_PROGRESS,                  /* refund 3 */
    RUSH_DID_KNOW,                      /* a duplicate: it was known */
    RUSH_DID_MISS,                      /* unmatched: there is no such row */
    RUSH_DID_DOUBT                      /* mismatch: stored, alarm, no effect */
} rush_did_e;


/* pay_apply.c.  kind, key and body are stored, twice is once.  *did may be
 * NULL */

int rush_pay_apply(rush_daemon_t *d, rush_db_t *db,
    const rush_pay_facts_t *facts, rush_did_e *did);

/* pay_refund.c: the same for a refund */

int rush_refund_apply(rush_daemon_t *d, rush_db_t *db,
    const rush_refund_facts_t *facts, rush_did_e *did);

/* an approved refund (state 1) that is not reserved: reserves its sum and
 * brings the order to 6, or fails it (state 6, cause "sum").  One of origin
 * "mismatch" brings its payment to 7 (pay_mismatch.c) */

int rush_refund_reserve(rush_daemon_t *d, rush_db_t *db, int64_t refund);


/*
 * pay_facts.c: out of what was signed.  "json" is decoded in place, the
 * strings are borrowed from it; body, key, kind, received_ms are the caller's.
 * RUSH_ERROR: *err is a static sentence.
 */

int rush_pay_facts(rush_pay_facts_t *facts, int provider,
    unsigned char *json, size_t len, const char **err);
int rush_refund_facts(rush_refund_facts_t *facts, int provider,
    unsigned char *json, size_t len, const char **err);

/* 1: a refund, whatever the worker took it for (Alipay tells both alike) */
int rush_pay_is_refund(int provider, unsigned char *json, size_t len);

/* digits of an id, or "R" and digits; 0: none of ours */
int64_t rush_pay_number(const rush_str_t *number);
int64_t rush_refund_number(const rush_str_t *number);

/* "wechat" -> RUSH_PROVIDER_WECHAT; 0: there is none */
int rush_provider_find(const char *name, size_t len);
const char *rush_provider_name(int64_t provider);
const char *rush_channel_name(int64_t channel);


/* pay_rules.c: no I/O */

/*
 * When an open payment made at "created" is asked about after "tries" calls:
 * 1, 5, 15, 60 min after it, then each hour for 25 h.  What was missed while
 * nobody ran is asked once, now.  0: never again.  All in ms; minute: 60000,
 * or less in a drill.
 */
int64_t rush_pay_next(int64_t tries, int64_t created, int64_t now,
    int64_t minute);

/* day in China as YYYYMMDD; and the first ms of such a day, 0: there is none */
int64_t rush_pay_day(int64_t ms);
int64_t rush_pay_day_start(int64_t day);


/* settle.c */

/* rows of a day, for each shop and provider; as often as one likes */
int rush_settle_day(rush_daemon_t *d, rush_db_t *db, int64_t day);

/* those of the days before today that the caller has not made yet (*done is
 * the last one, 0: none), and all that a late payment has made old; the
 * cashier calls it */
int rush_settle_due(rush_daemon_t *d, rush_db_t *db, int64_t now,
    int64_t *done);


/* bill.c */

typedef struct {
    char             number[RUSH_PAY_NUMBER];   /* out_trade_no, or
                                           out_refund_no of a refund */
    int              refund;            /* 1: a refund */
    int64_t          amount;            /* fen, > 0 */
    int64_t          fee;               /* fen, as the provider has it: below 0
                                           when it comes back */
} rush_bill_row_t;

/*
 * Compares a provider's bill of a day with our rows: bill_diff is made anew,
 * the row of table bill gets its sums and state 1, settlement its fees.  Sorts
 * the rows.  A number twice in a bill counts once, with the sum.
 */
int rush_bill_compare(rush_daemon_t *d, rush_db_t *db, int64_t day,
    int provider, rush_bill_row_t *rows, size_t n);


/* cashier.c: thread body */

int rush_cashier_run(rush_daemon_t *d);


#endif /* _RUSH_CONSUMER_PAY_H_INCLUDED_ */
