
/*
 * Copyright (C) Rush
 *
 * A payment becomes paid, in one transaction with its notice, its order and
 * the ledger.  Whoever tells it, and how often and in what order, the rules of
 * pay_rules.c decide over rows that are locked, and each change names the
 * state it starts from.
 */


#include "pay_int.h"
#include "rush_order.h"


typedef struct {
    rush_daemon_t            *daemon;
    rush_db_t                *db;
    const rush_pay_facts_t   *facts;
    rush_rows_t               payment;  /* owned, row borrows */
    rush_rows_t               order;    /* owned, the same */
    rush_pay_row_t            row;
    rush_pay_order_t          goods;
    int64_t                   notice;
    int64_t                   paid_ms;
    const char               *cause;
    rush_did_e                did;
} rush_pay_tx_t;


static int rush_pay_body(void *data);
static int rush_pay_read(rush_pay_tx_t *tx);
static int rush_pay_act(rush_pay_tx_t *tx);
static int rush_pay_state(rush_pay_tx_t *tx, int state, int64_t refunded);
static int rush_pay_order(rush_pay_tx_t *tx);
static int rush_pay_alarm(rush_pay_tx_t *tx);
static void rush_pay_count(rush_daemon_t *d, rush_did_e did);


int
rush_pay_apply(rush_daemon_t *d, rush_db_t *db, const rush_pay_facts_t *facts,
    rush_did_e *did)
{
    int            rc;
    rush_pay_tx_t  tx;

    memset(&tx, 0, sizeof(rush_pay_tx_t));

    tx.daemon = d;
    tx.db = db;
    tx.facts = facts;
    tx.cause = "";

    rc = rush_pay_transaction(d, db, rush_pay_body, &tx);

    rush_rows_free(&tx.payment);
    rush_rows_free(&tx.order);

    if (rc != RUSH_OK) {
        return rc;
    }

    if (!facts->again || tx.did != RUSH_DID_MISS) {
        rush_pay_count(d, tx.did);
    }

    if (did != NULL) {
        *did = tx.did;
    }

    return RUSH_OK;
}


static int
rush_pay_body(void *data)
{
    rush_pay_tx_t  *tx = data;

    int                       rc, known;
    rush_notice_t             n;
    const rush_pay_facts_t   *f;

    f = tx->facts;

    n = (rush_notice_t) { f->provider, f->kind, f->key, f->body,
                          f->received_ms, f->payment, 0, f->transaction_id,
                          f->amount, f->again };

    rc = rush_notice_keep(tx->db, &n, &tx->notice, &known);

    if (rc != RUSH_OK) {
        return rc;
    }

    if (known) {
        tx->did = RUSH_DID_KNOW;
        return RUSH_OK;
    }

    rc = rush_pay_read(tx);

    if (rc == RUSH_OK) {
        rc = rush_pay_act(tx);
    }

    if (rc == RUSH_OK) {
        rc = rush_notice_done(tx->db, tx->notice, tx->did, tx->cause);
    }

    return rc;
}


static int
rush_pay_read(rush_pay_tx_t *tx)
{
    int              rc;
    rush_pay_ours_t  ours;

    rc = rush_pay_row_get(tx->db, tx->facts->payment, &tx->payment, &tx->row);

    if (rc == RUSH_OK) {
        rc = rush_pay_order_get(tx->db, &tx->row.order_no, &tx->order,
                                &tx->goods);
    }

    if (rc != RUSH_OK) {
        return rc;
    }

    tx->paid_ms = tx->facts->paid_ms ? tx->facts->paid_ms
                                     : tx->facts->received_ms;

    rush_pay_ours(tx->daemon, tx->facts->provider, &ours);
    tx->did = rush_pay_decide(tx->facts, &tx->row, &tx->goods, &ours,
                              &tx->cause);

    if (tx->did != RUSH_DID_PAID && tx->did != RUSH_DID_LATE
        && tx->did != RUSH_DID_SECOND)
    {
        return RUSH_OK;
    }

    rc = rush_pay_other(tx->db, tx->facts, &tx->row, &tx->cause);

    if (rc == RUSH_OK && *tx->cause != '\0') {
        tx->did = RUSH_DID_DOUBT;
    }

    return rc;
}


static int
rush_pay_act(rush_pay_tx_t *tx)
{
    int  rc;

    switch (tx->did) {

    case RUSH_DID_PAID:
        rc = rush_pay_state(tx, RUSH_PAYMENT_PAID, 0);

        if (rc == RUSH_OK) {
            rc = rush_pay_fail(tx->db, "K3");
        }

        if (rc == RUSH_OK) {
            rc = rush_pay_order(tx);
        }

        break;

    case RUSH_DID_LATE:
        rc = rush_pay_state(tx, RUSH_PAYMENT_LATE, 0);
        break;

    case RUSH_DID_SECOND:
        rc = rush_pay_state(tx, RUSH_PAYMENT_RETURNED, tx->row.amount);

        if (rc == RUSH_OK) {
            rc = rush_refund_make(tx->db, &tx->row, RUSH_ORIGIN_SECOND,
                                  "paid twice");
        }

        break;

    case RUSH_DID_DOUBT:
        return rush_pay_alarm(tx);

    default:
        return RUSH_OK;
    }

    if (rc == RUSH_OK) {
        rc = rush_pay_ledger(tx->db, 'p', tx->row.id, tx->row.provider,
                             &tx->row.order_no, tx->row.amount);
    }

    if (rc == RUSH_OK) {
        rc = rush_settle_old(tx->db, tx->paid_ms, tx->goods.shop,
                             tx->row.provider);
    }

    return rc;
}


static int
rush_pay_state(rush_pay_tx_t *tx, int state, int64_t refunded)
{
    rush_param_t  params[7];

    params[0] = rush_p_int(state);
    params[1] = rush_p_str(&tx->facts->transaction_id);
    params[2] = rush_p_int(tx->paid_ms);
    params[3] = rush_p_int(refunded);
    params[4] = rush_p_int(rush_now());
    params[5] = rush_p_int(tx->row.id);
    params[6] = rush_p_int(tx->row.state);

    return rush_pay_one(tx->db, &rush_cash_sql[RUSH_CASH_SQL_PAYMENT_PAID],
                        params, 7);
}


/* a code that is taken already makes the transaction run again, with another
 * one */

static int
rush_pay_order(rush_pay_tx_t *tx)
{
    rush_str_t     code;
    rush_param_t   params[5];
    unsigned char  text[RUSH_TRADE_LEN];

    if (rush_trade_code(text) != RUSH_OK) {
        rush_log(RUSH_LOG_ERROR, "no random bytes for a trade code");
        return rush_pay_cut(tx->db);
    }

    code.data = text;
    code.len = RUSH_TRADE_LEN;

    params[0] = rush_p_text(rush_channel_name(tx->row.channel));
    params[1] = rush_p_int(tx->row.id);
    params[2] = rush_p_int(tx->paid_ms);
    params[3] = rush_p_str(&code);
    params[4] = rush_p_str(&tx->row.order_no);

    return rush_pay_one(tx->db, &rush_cash_sql[RUSH_CASH_SQL_ORDER_PAID],
                        params, 5);
}


static int
rush_pay_alarm(rush_pay_tx_t *tx)
{
    const rush_pay_facts_t  *f;

    f = tx->facts;

    return rush_alarm(tx->daemon, tx->db, "payment_mismatch",
                      tx->goods.activity, "notice %lld: payment %lld of %s: "
                      "%s: %lld fen %.*s told, %lld expected, transaction "
                      "%.*s", (long long) tx->notice, (long long) f->payment,
                      rush_provider_name(f->provider), tx->cause,
                      (long long) f->amount, (int) f->currency.len,
                      f->currency.data, (long long) tx->row.amount,
                      (int) f->transaction_id.len, f->transaction_id.data);
}


static void
rush_pay_count(rush_daemon_t *d, rush_did_e did)
{
    switch (did) {

    case RUSH_DID_PAID:
        rush_stat_add(d, pay_paid, 1);
        break;

    case RUSH_DID_LATE:
        rush_stat_add(d, pay_late, 1);
        break;

    case RUSH_DID_SECOND:
        rush_stat_add(d, pay_second, 1);
        break;

    case RUSH_DID_KNOW:
        rush_stat_add(d, pay_known, 1);
        break;

    case RUSH_DID_MISS:
        rush_stat_add(d, pay_unmatched, 1);
        break;

    case RUSH_DID_DOUBT:
        rush_stat_add(d, pay_mismatch, 1);
        break;

    default:
        break;
    }
}
