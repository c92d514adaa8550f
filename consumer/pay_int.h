
/*
 * Copyright (C) Rush
 *
 * Inside of pay_*.c, cashier*.c and late.c: rows as they are decided upon, the
 * rules (which do no I/O), and the statements that several files share.
 */


#ifndef _RUSH_CONSUMER_PAY_INT_H_INCLUDED_
#define _RUSH_CONSUMER_PAY_INT_H_INCLUDED_


#include "pay.h"
#include "rush_notice.h"
#include "cashier_sql.h"


#define RUSH_PAY_TRIES  10              /* of a transaction */
#define RUSH_PAY_WAIT   20              /* ms between them, at most */


#define rush_cash_run(db, name, params, n, rows)                              \
    rush_db_run(db, &rush_cash_sql[RUSH_CASH_SQL_##name], params, n, rows)


/* rows; strings are borrowed from the rush_rows_t they were read into */

typedef struct {
    int64_t          id;                /* 0: there is none */
    int64_t          user;
    int64_t          provider;
    int64_t          channel;
    int64_t          amount;
    int64_t          state;
    int64_t          refunded;
    int64_t          returned;
    int64_t          paid_ms;
    rush_str_t       order_no;
    rush_str_t       transaction_id;
} rush_pay_row_t;


typedef struct {
    rush_str_t       order_no;          /* len 0: there is none */
    int64_t          user;
    int64_t          activity;
    int64_t          product;
    int64_t          qty;
    int64_t          status;
    int64_t          stock_state;
    int64_t          payment;
    int64_t          shop;
    int64_t          slot;
    rush_str_t       req;
    rush_str_t       cancel_reason;
} rush_pay_order_t;


typedef struct {
    int64_t          id;                /* 0: there is none */
    int64_t          payment;
    int64_t          provider;
    int64_t          amount;
    int64_t          state;
    int64_t          reserved;
    int64_t          whole;
    int64_t          units_back;
    int64_t          decided_by;
    int64_t          origin;
    rush_str_t       order_no;
} rush_refund_row_t;


/* who we are for a provider, borrowed; known 0: it is not configured */

typedef struct {
    unsigned         known:1;
    rush_str_t       app;               /* len 0: not compared */
    rush_str_t       merchant;
} rush_pay_ours_t;


/* pay_rules.c: *cause is a static word, "" when all is well */

rush_did_e rush_pay_decide(const rush_pay_facts_t *f,
    const rush_pay_row_t *row, const rush_pay_order_t *order,
    const rush_pay_ours_t *ours, const char **cause);

rush_did_e rush_refund_decide(const rush_refund_facts_t *f,
    const rush_refund_row_t *row, const rush_pay_ours_t *ours,
    const char **cause);

/* whether an approved refund can be reserved, and what it means for the order:
 * "" or the cause of the failure */
const char *rush_reserve_decide(const rush_refund_row_t *refund,
    const rush_pay_row_t *payment, const rush_pay_order_t *order,
    unsigned *whole, unsigned *units_back);

/* the same for money that came in another amount than was asked for */
const char *rush_mismatch_decide(const rush_pay_facts_t *f,
    const rush_refund_row_t *refund, const rush_pay_row_t *row,
    const rush_pay_ours_t *ours);

typedef enum {
    RUSH_LATE_REFUND = 0,
    RUSH_LATE_SECOND,                   /* refund: paid by another payment */
    RUSH_LATE_KEEP,                     /* its units are still held */
    RUSH_LATE_RETAKE,                   /* of a flash sale */
    RUSH_LATE_STOCK,                    /* of an ordinary product */
    RUSH_LATE_WAIT                      /* units are on their way back */
} rush_late_e;

rush_late_e rush_late_decide(const rush_pay_row_t *payment,
    const rush_pay_order_t *order, int revive);

int rush_did_state(rush_did_e did);     /* payment_notice.state */
int rush_str_is(const rush_str_t *s, const char *text);
int rush_str_same(const rush_str_t *a, const rush_str_t *b);


/* pay_rows.c: RUSH_OK or RUSH_DB_*; rows is freed and filled */

int rush_pay_row_get(rush_db_t *db, int64_t id, rush_rows_t *rows,
    rush_pay_row_t *row);
int rush_pay_order_get(rush_db_t *db, const rush_str_t *order_no,
    rush_rows_t *rows, rush_pay_order_t *order);
int rush_refund_row_get(rush_db_t *db, int64_t id, rush_rows_t *rows,
    rush_refund_row_t *row);

/* runs, and wants one row to change: RUSH_DB_RETRY when none did */
int rush_pay_one(rush_db_t *db, const rush_stmt_t *stmt,
    const rush_param_t *params, size_t n);

/* the two sides of txn "p:ID" (sign 1) or "r:ID" (-1) */
int rush_pay_ledger(rush_db_t *db, char kind, int64_t id, int64_t provider,
    const rush_str_t *order_no, int64_t amount);

/* an automatic refund of a whole payment: it has the payment's id, so it is
 * made once; payment.refunded is the caller's */
int rush_refund_make(rush_db_t *db, const rush_pay_row_t *payment,
    int origin, const char *reason);

/* the settlement of the day of ms is to be made again, if it is a past one */
int rush_settle_old(rush_db_t *db, int64_t ms, int64_t shop,
    int64_t provider);

/* *cause is set when the transaction has paid another payment */
int rush_pay_other(rush_db_t *db, const rush_pay_facts_t *f,
    const rush_pay_row_t *row, const char **cause);

void rush_pay_ours(const rush_daemon_t *d, int64_t provider,
    rush_pay_ours_t *ours);

/* a failpoint that ends the connection: RUSH_DB_DOWN */
#define rush_pay_fail(db, name)  (RUSH_FP(name) ? rush_pay_cut(db) : RUSH_OK)
int rush_pay_cut(rush_db_t *db);

/* runs body in a transaction, again after a deadlock or a unique key.
 * RUSH_DB_DATA: it never fits */
typedef int (*rush_pay_body_pt)(void *data);
int rush_pay_transaction(rush_daemon_t *d, rush_db_t *db,
    rush_pay_body_pt body, void *data);


/*
 * pay_mismatch.c: in the caller's transaction the payment of a refund of origin
 * "mismatch" becomes 7, with what came, all of it promised.  *cause other than
 * "": it cannot, nothing was changed
 */
int rush_mismatch_take(rush_daemon_t *d, rush_db_t *db,
    const rush_refund_row_t *refund, const rush_pay_row_t *row,
    const rush_pay_order_t *order, const char **cause);


/* pay_notice.c */

typedef struct {
    int              provider;
    const char      *kind;
    rush_str_t       key;
    rush_str_t       body;
    int64_t          received_ms;
    int64_t          payment;
    int64_t          refund;
    rush_str_t       transaction_id;
    int64_t          amount;
    unsigned         again:1;           /* it is stored: not one more */
} rush_notice_t;

/* finds or stores it, and locks it.  *known 1: it was dealt with */
int rush_notice_keep(rush_db_t *db, const rush_notice_t *n, int64_t *id,
    int *known);
int rush_notice_done(rush_db_t *db, int64_t id, rush_did_e did,
    const char *cause);


#endif /* _RUSH_CONSUMER_PAY_INT_H_INCLUDED_ */
