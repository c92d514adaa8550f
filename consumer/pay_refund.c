
/*
 * Copyright (C) Rush
 *
 * Refunds inside of MySQL.  The sum of an approved one is reserved by one
 * conditional UPDATE of its payment, which is the cap: however many are
 * approved at once, what is promised is never above what was paid.  What a
 * provider says of it afterwards is applied as a payment's notice is.
 */


#include "pay_int.h"
#include "rush_order.h"


typedef struct {
    rush_daemon_t              *daemon;
    rush_db_t                  *db;
    const rush_refund_facts_t  *facts;  /* NULL: a reservation */
    rush_rows_t                 refund_rows;    /* owned, rows borrow */
    rush_rows_t                 payment_rows;
    rush_rows_t                 order_rows;
    rush_refund_row_t           refund;
    rush_pay_row_t              payment;
    rush_pay_order_t            goods;
    int64_t                     id;
    int64_t                     notice;
    const char                 *cause;
    rush_did_e                  did;
} rush_refund_tx_t;


static int rush_refund_body(void *data);
static int rush_refund_read(rush_refund_tx_t *tx);
static int rush_refund_act(rush_refund_tx_t *tx);
static int rush_refund_paid(rush_refund_tx_t *tx);
static int rush_refund_order(rush_refund_tx_t *tx, int64_t ms);
static int rush_refund_turn(rush_refund_tx_t *tx, int state);
static int rush_refund_alarm(rush_refund_tx_t *tx, const char *kind);
static int rush_reserve_body(void *data);
static int rush_reserve_sum(rush_refund_tx_t *tx, unsigned *whole,
    unsigned *units);
static int rush_reserve_whole(rush_refund_tx_t *tx);
static int rush_refund_run(rush_refund_tx_t *tx, rush_pay_body_pt body);


int
rush_refund_apply(rush_daemon_t *d, rush_db_t *db,
    const rush_refund_facts_t *facts, rush_did_e *did)
{
    int               rc;
    rush_refund_tx_t  tx;

    memset(&tx, 0, sizeof(rush_refund_tx_t));

    tx.daemon = d;
    tx.db = db;
    tx.facts = facts;
    tx.id = facts->refund;
    tx.cause = "";

    rc = rush_refund_run(&tx, rush_refund_body);

    if (rc != RUSH_OK) {
        return rc;
    }

    if (tx.did == RUSH_DID_REFUNDED) {
        rush_stat_add(d, refunds_done, 1);

    } else if (tx.did == RUSH_DID_FAIL) {
        rush_stat_add(d, refunds_failed, 1);

    } else if (tx.did == RUSH_DID_DOUBT) {
        rush_stat_add(d, pay_mismatch, 1);

    } else if (tx.did == RUSH_DID_KNOW) {
        rush_stat_add(d, pay_known, 1);
    }

    if (did != NULL) {
        *did = tx.did;
    }

    return RUSH_OK;
}


static int
rush_refund_run(rush_refund_tx_t *tx, rush_pay_body_pt body)
{
    int  rc;

    rc = rush_pay_transaction(tx->daemon, tx->db, body, tx);

    rush_rows_free(&tx->refund_rows);
    rush_rows_free(&tx->payment_rows);
    rush_rows_free(&tx->order_rows);

    return rc;
}


static int
rush_refund_body(void *data)
{
    rush_refund_tx_t  *tx = data;

    int                         rc, known;
    rush_notice_t               n;
    rush_pay_ours_t             ours;
    const rush_refund_facts_t  *f;

    f = tx->facts;

    n = (rush_notice_t) { f->provider, f->kind, f->key, f->body,
                          f->received_ms, 0, f->refund, f->number,
                          f->amount, f->again };

    rc = rush_notice_keep(tx->db, &n, &tx->notice, &known);

    if (rc != RUSH_OK) {
        return rc;
    }

    if (known) {
        tx->did = RUSH_DID_KNOW;
        return RUSH_OK;
    }

    rc = rush_refund_read(tx);

    if (rc != RUSH_OK) {
        return rc;
    }

    rush_pay_ours(tx->daemon, f->provider, &ours);
    tx->did = rush_refund_decide(f, &tx->refund, &ours, &tx->cause);

    rc = rush_refund_act(tx);

    if (rc == RUSH_OK) {
        rc = rush_notice_done(tx->db, tx->notice, tx->did, tx->cause);
    }

    return rc;
}


static int
rush_refund_read(rush_refund_tx_t *tx)
{
    int  rc;

    rc = rush_refund_row_get(tx->db, tx->id, &tx->refund_rows, &tx->refund);

    if (rc == RUSH_OK) {
        rc = rush_pay_row_get(tx->db, tx->refund.payment, &tx->payment_rows,
                              &tx->payment);
    }

    if (rc == RUSH_OK) {
        rc = rush_pay_order_get(tx->db, &tx->payment.order_no,
                                &tx->order_rows, &tx->goods);
    }

    return rc;
}


static int
rush_refund_act(rush_refund_tx_t *tx)
{
    int  rc;

    switch (tx->did) {

    case RUSH_DID_REFUNDED:
        return rush_refund_paid(tx);

    case RUSH_DID_PROGRESS:
        return rush_refund_turn(tx, RUSH_REFUND_PROCESSING);

    case RUSH_DID_FAIL:
        tx->cause = "closed or abnormal";
        rc = rush_refund_turn(tx, RUSH_REFUND_FAILED);

        return rc == RUSH_OK ? rush_refund_alarm(tx, "refund_failed") : rc;

    case RUSH_DID_DOUBT:
        return rush_refund_alarm(tx, "refund_mismatch");

    default:
        return RUSH_OK;
    }
}


static int
rush_refund_paid(rush_refund_tx_t *tx)
{
    int           rc;
    int64_t       ms, now;
    rush_param_t  params[5];

    now = rush_now();
    ms = tx->facts->done_ms ? tx->facts->done_ms : tx->facts->received_ms;

    params[0] = rush_p_str(&tx->facts->number);
    params[1] = rush_p_int(ms);
    params[2] = rush_p_int(now);
    params[3] = rush_p_int(tx->refund.id);
    params[4] = rush_p_int(tx->refund.state);

    rc = rush_pay_one(tx->db, &rush_cash_sql[RUSH_CASH_SQL_REFUND_DONE],
                      params, 5);

    if (rc == RUSH_OK) {
        rc = rush_pay_fail(tx->db, "K3");
    }

    if (rc == RUSH_OK) {
        params[0] = rush_p_int(tx->refund.amount);
        params[1] = rush_p_int(now);
        params[2] = rush_p_int(tx->payment.id);
        params[3] = params[0];

        rc = rush_pay_one(tx->db, &rush_cash_sql[RUSH_CASH_SQL_PAYMENT_RETURN],
                          params, 4);
    }

    if (rc == RUSH_OK) {
        rc = rush_pay_ledger(tx->db, 'r', tx->refund.id, tx->refund.provider,
                             &tx->payment.order_no, tx->refund.amount);
    }

    if (rc == RUSH_OK
        && tx->payment.returned + tx->refund.amount == tx->payment.amount
        && tx->goods.payment == tx->payment.id
        && tx->goods.status == RUSH_ORDER_REFUNDING)
    {
        rc = rush_refund_order(tx, ms);
    }

    if (rc == RUSH_OK) {
        rc = rush_settle_old(tx->db, ms, tx->goods.shop, tx->refund.provider);
    }

    return rc;
}


/* the last of it has gone back; units come back when the reservation that
 * ended the order has said so, whichever refund was the last one */

static int
rush_refund_order(rush_refund_tx_t *tx, int64_t ms)
{
    int           rc;
    int64_t       units;
    rush_rows_t   rows;
    rush_param_t  params[4];

    memset(&rows, 0, sizeof(rush_rows_t));
    params[0] = rush_p_int(tx->payment.id);

    rc = rush_cash_run(tx->db, REFUND_UNITS, params, 1, &rows);
    units = rows.n == 1 ? rush_cell_int(&rows, 0, 0) : 0;
    rush_rows_free(&rows);

    if (rc != RUSH_OK) {
        return rc;
    }

    params[0] = rush_p_int(units);
    params[1] = rush_p_int(ms);
    params[2] = rush_p_str(&tx->goods.order_no);
    params[3] = rush_p_int(tx->payment.id);

    return rush_pay_one(tx->db, &rush_cash_sql[RUSH_CASH_SQL_ORDER_REFUNDED],
                        params, 4);
}


static int
rush_refund_turn(rush_refund_tx_t *tx, int state)
{
    rush_param_t  params[5];

    params[0] = rush_p_int(state);
    params[1] = rush_p_text(tx->cause);
    params[2] = rush_p_int(rush_now());
    params[3] = rush_p_int(tx->refund.id);
    params[4] = rush_p_int(tx->refund.state);

    return rush_pay_one(tx->db, &rush_cash_sql[RUSH_CASH_SQL_REFUND_TURN],
                        params, 5);
}


static int
rush_refund_alarm(rush_refund_tx_t *tx, const char *kind)
{
    return rush_alarm(tx->daemon, tx->db, kind, tx->goods.activity,
                      "notice %lld: refund %lld of payment %lld, %lld fen: %s",
                      (long long) tx->notice, (long long) tx->id,
                      (long long) tx->payment.id,
                      (long long) tx->refund.amount, tx->cause);
}


int
rush_refund_reserve(rush_daemon_t *d, rush_db_t *db, int64_t refund)
{
    rush_refund_tx_t  tx;

    memset(&tx, 0, sizeof(rush_refund_tx_t));

    tx.daemon = d;
    tx.db = db;
    tx.id = refund;
    tx.cause = "";

    return rush_refund_run(&tx, rush_reserve_body);
}


static int
rush_reserve_body(void *data)
{
    rush_refund_tx_t  *tx = data;

    int           rc;
    unsigned      whole, units;
    rush_param_t  params[5];

    rc = rush_refund_read(tx);

    if (rc != RUSH_OK || tx->refund.id == 0 || tx->refund.reserved
        || tx->refund.state != RUSH_REFUND_APPROVED)
    {
        return rc;
    }

    whole = 0;
    units = 0;

    rc = tx->refund.origin == RUSH_ORIGIN_MISMATCH
         ? rush_mismatch_take(tx->daemon, tx->db, &tx->refund, &tx->payment,
                              &tx->goods, &tx->cause)
         : rush_reserve_sum(tx, &whole, &units);

    if (rc == RUSH_OK && *tx->cause != '\0') {
        return rush_refund_turn(tx, RUSH_REFUND_FAILED);
    }

    if (rc == RUSH_OK) {
        rc = rush_pay_fail(tx->db, "K8");
    }

    if (rc == RUSH_OK) {
        params[0] = rush_p_int(whole);
        params[1] = rush_p_int(units);
        params[2] = rush_p_int(rush_now());
        params[3] = params[2];
        params[4] = rush_p_int(tx->refund.id);

        rc = rush_pay_one(tx->db,
                          &rush_cash_sql[RUSH_CASH_SQL_REFUND_RESERVED],
                          params, 5);
    }

    return (rc == RUSH_OK && whole) ? rush_reserve_whole(tx) : rc;
}


/* of what was paid, no more than is left */

static int
rush_reserve_sum(rush_refund_tx_t *tx, unsigned *whole, unsigned *units)
{
    rush_param_t  params[4];

    tx->cause = rush_reserve_decide(&tx->refund, &tx->payment, &tx->goods,
                                    whole, units);

    if (*tx->cause != '\0') {
        return RUSH_OK;
    }

    params[0] = rush_p_int(tx->refund.amount);
    params[1] = rush_p_int(rush_now());
    params[2] = rush_p_int(tx->payment.id);
    params[3] = params[0];

    return rush_pay_one(tx->db, &rush_cash_sql[RUSH_CASH_SQL_PAYMENT_RESERVE],
                        params, 4);
}


static int
rush_reserve_whole(rush_refund_tx_t *tx)
{
    rush_param_t  params[5];

    params[0] = rush_p_int(tx->refund.decided_by ? RUSH_ACTOR_ADMIN
                                                 : RUSH_ACTOR_SYSTEM);
    params[1] = rush_p_int(tx->refund.decided_by);
    params[2] = rush_p_str(&tx->goods.order_no);
    params[3] = rush_p_int(tx->payment.id);
    params[4] = rush_p_int(tx->goods.status);

    return rush_pay_one(tx->db, &rush_cash_sql[RUSH_CASH_SQL_ORDER_REFUNDING],
                        params, 5);
}
