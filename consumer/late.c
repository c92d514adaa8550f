
/*
 * Copyright (C) Rush
 *
 * Payments of orders that waited no more (payment.state 6).  An order that
 * only ran out of time comes back when its units can be had again; else the
 * money goes back.  Each payment ends in one transaction: 2 with its order, or
 * 7 with a refund.
 *
 * Units of a flash sale come from Redis first, by retake.lua, as a grant does:
 * Redis never has more to sell than the ledger.  When the controller is killed
 * in between, the next one finds the payment as it was, and retake.lua tells
 * that the order holds its units already; or, after a rebuild, that they are
 * to be taken anew.
 */


#include <stdlib.h>

#include "controller.h"
#include "pay_int.h"
#include "rush_order.h"


#define RUSH_RETAKEN     1
#define RUSH_RETAKE_WAS  2
#define RUSH_UNLOADED  (-1)


typedef struct {
    rush_controller_t  *ctl;
    rush_rows_t         payment_rows;   /* owned, rows borrow */
    rush_rows_t         order_rows;
    rush_pay_row_t      payment;
    rush_pay_order_t    goods;
    int64_t             id;
    rush_late_e         what;           /* found in the transaction */
    unsigned            taken:1;        /* units in Redis, or none needed */
    unsigned            cold:1;         /* the activity is not in Redis */
    unsigned            none:1;         /* there are no units */
    unsigned            torn:1;         /* Redis may hold units for it */
    unsigned            revived:1;
} rush_late_t;


static int rush_late_one(rush_controller_t *ctl, int64_t id);
static int rush_late_run(rush_late_t *l);
static int rush_late_body(void *data);
static int rush_late_refund(rush_late_t *l);
static int rush_late_stock(rush_late_t *l);
static int rush_late_sold(rush_late_t *l);
static int rush_late_change(rush_late_t *l, const rush_stmt_t *stmt,
    const rush_param_t *params, size_t n);
static int rush_late_slot(rush_late_t *l);
static int rush_late_revive(rush_late_t *l);
static int rush_late_turn(rush_late_t *l, int state, int64_t refunded);
static int rush_late_retake(rush_late_t *l);
static int rush_late_cold(rush_late_t *l);
static int rush_late_script(rush_late_t *l, unsigned lua, int64_t *result);


int
rush_late(rush_controller_t *ctl)
{
    int           rc;
    size_t        i;
    int64_t       batch;
    rush_rows_t   rows;
    rush_param_t  params[2];

    memset(&rows, 0, sizeof(rush_rows_t));
    batch = ctl->daemon->conf.sweep_batch;

    params[0] = rush_p_int(ctl->late_after);
    params[1] = rush_p_int(batch);

    rc = rush_cash_run(ctl->db, LATE_DUE, params, 2, &rows);

    for (i = 0; i < rows.n && rc == RUSH_OK; i++) {
        ctl->late_after = rush_cell_int(&rows, i, 0);
        rc = rush_late_one(ctl, ctl->late_after);
    }

    if (rows.n < (size_t) batch) {
        ctl->late_after = 0;
    }

    rush_rows_free(&rows);

    return rc == RUSH_OK ? RUSH_OK : RUSH_ERROR;
}


static int
rush_late_one(rush_controller_t *ctl, int64_t id)
{
    int          rc;
    rush_late_t  l;

    memset(&l, 0, sizeof(rush_late_t));
    l.ctl = ctl;
    l.id = id;

    rc = rush_late_run(&l);

    if (rc == RUSH_OK && l.torn) {
        l.none = 1;
        rc = rush_late_script(&l, RUSH_LUA_RELEASE, NULL);

        if (rc == RUSH_OK) {
            rc = rush_late_run(&l);
        }
    }

    if (rc == RUSH_OK && l.what == RUSH_LATE_RETAKE && !l.taken && !l.none) {
        rc = rush_late_retake(&l);

        if (rc == RUSH_OK && RUSH_FP("C7")) {
            rc = RUSH_ERROR;
        }

        if (rc == RUSH_OK && (l.taken || l.none)) {
            rc = rush_late_run(&l);
        }

        if (rc == RUSH_DB_DATA) {

            /* the ledger has fewer than Redis had: they go back first, so
             * that nothing is held when the order is over */

            l.none = 1;
            rc = rush_late_script(&l, RUSH_LUA_RELEASE, NULL);

            if (rc == RUSH_OK) {
                rc = rush_late_run(&l);
            }
        }
    }

    if (rc == RUSH_OK && l.revived) {
        rush_stat_add(ctl->daemon, pay_revived, 1);
        rush_log(RUSH_LOG_INFO, "order %.*s is paid after all",
                 (int) l.goods.order_no.len, l.goods.order_no.data);
    }

    rush_rows_free(&l.payment_rows);
    rush_rows_free(&l.order_rows);

    /* one that is locked, or never fits, holds up nobody */

    return (rc == RUSH_DB_RETRY || rc == RUSH_DB_DATA) ? RUSH_OK : rc;
}


/* RUSH_DB_DATA: there are no units */

static int
rush_late_run(rush_late_t *l)
{
    return rush_pay_transaction(l->ctl->daemon, l->ctl->db, rush_late_body,
                                l);
}


static int
rush_late_body(void *data)
{
    rush_late_t  *l = data;

    int         rc, revive;
    rush_db_t  *db;

    db = l->ctl->db;
    l->revived = 0;

    rc = rush_pay_row_get(db, l->id, &l->payment_rows, &l->payment);

    if (rc == RUSH_OK) {
        rc = rush_pay_order_get(db, &l->payment.order_no, &l->order_rows,
                                &l->goods);
    }

    l->what = RUSH_LATE_WAIT;

    if (rc != RUSH_OK || l->payment.state != RUSH_PAYMENT_LATE) {
        return rc;
    }

    revive = strcmp(l->ctl->daemon->conf.cashier.late_payment, "revive") == 0;
    l->what = rush_late_decide(&l->payment, &l->goods, revive);

    switch (l->what) {

    case RUSH_LATE_KEEP:
        return rush_late_revive(l);

    case RUSH_LATE_STOCK:
        return rush_late_stock(l);

    case RUSH_LATE_RETAKE:
        return l->none ? rush_late_refund(l)
               : l->taken ? rush_late_sold(l) : RUSH_OK;

    case RUSH_LATE_WAIT:
        return RUSH_OK;

    default:

        /* a controller with another rule may have been killed after it took
         * the units of a flash sale: they are given back first */

        l->torn = !l->none && l->goods.activity > 0
                  && l->goods.status == RUSH_ORDER_CANCELLED
                  && l->goods.stock_state == RUSH_STOCK_BACK;

        return l->torn ? RUSH_OK : rush_late_refund(l);
    }
}


static int
rush_late_refund(rush_late_t *l)
{
    int  rc, second;

    second = l->what == RUSH_LATE_SECOND;
    rc = rush_late_turn(l, RUSH_PAYMENT_RETURNED, l->payment.amount);

    return rc == RUSH_OK
           ? rush_refund_make(l->ctl->db, &l->payment,
                              second ? RUSH_ORIGIN_SECOND : RUSH_ORIGIN_LATE,
                              second ? "paid twice" : "paid too late")
           : rc;
}


static int
rush_late_stock(rush_late_t *l)
{
    int           rc;
    rush_param_t  params[4];

    params[0] = rush_p_int(l->goods.qty);
    params[1] = params[0];
    params[2] = rush_p_int(l->goods.product);
    params[3] = params[0];

    rc = rush_late_change(l, &rush_cash_sql[RUSH_CASH_SQL_LATE_STOCK], params,
                          4);

    return rc == 1 ? rush_late_revive(l)
           : rc == 0 ? rush_late_refund(l) : rc;
}


static int
rush_late_sold(rush_late_t *l)
{
    int           rc;
    rush_param_t  params[3];

    rc = rush_late_slot(l);

    if (rc != RUSH_OK) {
        return rc;
    }

    rc = rush_late_revive(l);

    if (rc != RUSH_OK) {
        return rc;
    }

    /* the hot row is the last one */

    params[0] = rush_p_int(l->goods.qty);
    params[1] = rush_p_int(l->goods.activity);
    params[2] = params[0];

    rc = rush_late_change(l, &rush_cash_sql[RUSH_CASH_SQL_LATE_SOLD], params,
                          3);

    return rc == 1 ? RUSH_OK : rc == 0 ? RUSH_DB_DATA : rc;
}


/* 1 done, 0 fewer are left, RUSH_DB_* */

static int
rush_late_change(rush_late_t *l, const rush_stmt_t *stmt,
    const rush_param_t *params, size_t n)
{
    int          rc;
    rush_rows_t  rows;

    memset(&rows, 0, sizeof(rush_rows_t));

    rc = rush_db_run(l->ctl->db, stmt, params, n, &rows);

    if (rc == RUSH_OK) {
        rc = rows.affected == 1;
    }

    rush_rows_free(&rows);

    return rc;
}


/* the buyer may have another order by now, in the place of this one */

static int
rush_late_slot(rush_late_t *l)
{
    int           rc;
    size_t        i;
    int64_t       slot;
    rush_rows_t   rows;
    rush_param_t  params[2];

    memset(&rows, 0, sizeof(rush_rows_t));

    params[0] = rush_p_int(l->goods.activity);
    params[1] = rush_p_int(l->goods.user);

    rc = rush_cash_run(l->ctl->db, LATE_LIVE, params, 2, &rows);

    slot = 0;

    for (i = 0; i < rows.n && rush_cell_int(&rows, i, 0) == slot; i++) {
        slot++;
    }

    l->goods.slot = slot;
    rush_rows_free(&rows);

    return rc;
}


static int
rush_late_revive(rush_late_t *l)
{
    int            rc;
    rush_str_t     code;
    rush_param_t   params[7];
    unsigned char  text[RUSH_TRADE_LEN];

    if (rush_trade_code(text) != RUSH_OK) {
        rush_log(RUSH_LOG_ERROR, "no random bytes for a trade code");
        return rush_pay_cut(l->ctl->db);
    }

    code.data = text;
    code.len = RUSH_TRADE_LEN;

    params[0] = rush_p_int(l->goods.slot);
    params[1] = rush_p_text(rush_channel_name(l->payment.channel));
    params[2] = rush_p_int(l->payment.id);
    params[3] = rush_p_int(l->payment.paid_ms);
    params[4] = rush_p_str(&code);
    params[5] = rush_p_str(&l->goods.order_no);
    params[6] = rush_p_int(l->goods.stock_state);

    rc = rush_pay_one(l->ctl->db, &rush_cash_sql[RUSH_CASH_SQL_LATE_REVIVE],
                      params, 7);

    if (rc == RUSH_OK) {
        rc = rush_late_turn(l, RUSH_PAYMENT_PAID, 0);
    }

    l->revived = (rc == RUSH_OK);

    return rc;
}


static int
rush_late_turn(rush_late_t *l, int state, int64_t refunded)
{
    rush_param_t  params[4];

    params[0] = rush_p_int(state);
    params[1] = rush_p_int(refunded);
    params[2] = rush_p_int(rush_now());
    params[3] = rush_p_int(l->payment.id);

    return rush_pay_one(l->ctl->db,
                        &rush_cash_sql[RUSH_CASH_SQL_PAYMENT_TURN], params,
                        4);
}


/* neither taken nor none: it has to wait until the activity is loaded */

static int
rush_late_retake(rush_late_t *l)
{
    int      rc;
    int64_t  result;

    rc = rush_late_script(l, RUSH_LUA_RETAKE, &result);

    if (rc != RUSH_OK) {
        return rc;
    }

    switch (result) {

    case RUSH_RETAKEN:
    case RUSH_RETAKE_WAS:
        l->taken = 1;
        return RUSH_OK;

    case RUSH_UNLOADED:
        return rush_late_cold(l);

    default:
        l->none = 1;
        return RUSH_OK;
    }
}


/* an activity that has left Redis: its rows tell all.  Only this thread can
 * bring it back meanwhile */

static int
rush_late_cold(rush_late_t *l)
{
    int           rc;
    size_t        i;
    int64_t       units, limit;
    rush_rows_t   rows;
    rush_param_t  params[2];

    memset(&rows, 0, sizeof(rush_rows_t));

    params[0] = rush_p_int(l->goods.activity);
    params[1] = rush_p_int(l->goods.user);

    rc = rush_cash_run(l->ctl->db, LATE_ACTIVITY, params, 1, &rows);

    if (rc != RUSH_OK || rows.n != 1) {
        l->none = rc == RUSH_OK;
        rush_rows_free(&rows);
        return rc;
    }

    l->cold = rush_cell_int(&rows, 0, 0) == 0;
    limit = rush_cell_int(&rows, 0, 1);
    rush_rows_free(&rows);

    if (!l->cold) {
        return RUSH_OK;
    }

    rc = rush_cash_run(l->ctl->db, LATE_LIVE, params, 2, &rows);

    units = l->goods.qty;

    for (i = 0; i < rows.n; i++) {
        units += rush_cell_int(&rows, i, 1);
    }

    rush_rows_free(&rows);

    l->taken = rc == RUSH_OK && units <= limit;
    l->none = rc == RUSH_OK && units > limit;

    return rc;
}


/* release.lua of an activity that is not loaded does nothing, which is
 * right */

static int
rush_late_script(rush_late_t *l, unsigned lua, int64_t *result)
{
    int           rc;
    redisReply   *reply;
    rush_args_t  *a;

    a = &l->ctl->args;

    rush_arg_int(a, l->goods.user);
    rush_arg_str(a, &l->goods.req);
    rush_arg_str(a, &l->goods.order_no);
    rush_arg_int(a, l->goods.qty);

    reply = rush_redis_script(l->ctl->rd, lua, l->goods.activity, "mu", a);

    rc = (rush_reply_ok(reply, "retake.lua")
          && reply->type == REDIS_REPLY_INTEGER) ? RUSH_OK : RUSH_ERROR;

    if (rc == RUSH_OK && result != NULL) {
        *result = reply->integer;
    }

    freeReplyObject(reply);

    return rc;
}
