
/*
 * Copyright (C) Rush
 *
 * Orders by administrators.  Edges that somebody may go by hand stand in
 * shared/rush_order.h; what concerns money goes by refunds only.
 */


#include "ngx_seckill_order.h"


static ngx_int_t ngx_seckill_find_any_order(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_any_order_found(ngx_rush_req_t *q);

static ngx_int_t ngx_seckill_set_status(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_status_set(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_check_status(ngx_rush_req_t *q);

static ngx_int_t ngx_seckill_ship_order(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_order_shipped(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_check_shipped(ngx_rush_req_t *q);

static ngx_int_t ngx_seckill_redeem_code(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_code_redeemed(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_code_found(ngx_rush_req_t *q);

static ngx_int_t ngx_seckill_target_status(ngx_str_t *name);
static ngx_uint_t ngx_seckill_is_cell(ngx_rush_req_t *q, ngx_uint_t col,
    ngx_str_t *value);
static void ngx_seckill_put_used(ngx_rush_req_t *q, int64_t redeemed);


ngx_rush_step_t  ngx_seckill_admin_order_detail_steps[] = {
    ngx_rush_step(ngx_seckill_find_any_order),      /* mysql */
    ngx_rush_step(ngx_seckill_any_order_found),
    ngx_rush_null_step
};


ngx_rush_step_t  ngx_seckill_admin_order_status_steps[] = {
    ngx_rush_step(ngx_seckill_set_status),          /* mysql: the effect */
    ngx_rush_step(ngx_seckill_status_set),          /* mysql: reads it back */
    ngx_rush_step(ngx_seckill_check_status),
    ngx_rush_null_step
};


ngx_rush_step_t  ngx_seckill_admin_order_ship_steps[] = {
    ngx_rush_step(ngx_seckill_ship_order),          /* mysql: the effect */
    ngx_rush_step(ngx_seckill_order_shipped),       /* mysql: reads it back */
    ngx_rush_step(ngx_seckill_check_shipped),
    ngx_rush_null_step
};


ngx_rush_step_t  ngx_seckill_admin_order_redeem_steps[] = {
    ngx_rush_step(ngx_seckill_redeem_code),         /* mysql: the effect */
    ngx_rush_step(ngx_seckill_code_redeemed),       /* mysql: whose it is */
    ngx_rush_step(ngx_seckill_code_found),          /* mysql: the order */
    ngx_rush_step(ngx_seckill_any_order_found),
    ngx_rush_null_step
};


static ngx_int_t
ngx_seckill_find_any_order(ngx_rush_req_t *q)
{
    ngx_seckill_admin_order_detail_t  *order = q->data;

    return ngx_seckill_read_whole(q, &order->id);
}


static ngx_int_t
ngx_seckill_any_order_found(ngx_rush_req_t *q)
{
    if (q->rows->n == 0) {
        return RUSH_NOT_FOUND;
    }

    ngx_seckill_put_order_whole(q, ngx_seckill_viewer(q));

    return NGX_OK;
}


static ngx_int_t
ngx_seckill_target_status(ngx_str_t *name)
{
    ngx_uint_t  i;

    i = ngx_seckill_find_name(rush_order_states, RUSH_ORDER_NSTATES, name);

    switch (i) {

    case RUSH_ORDER_SHIPPED:
    case RUSH_ORDER_DONE:
    case RUSH_ORDER_CANCELLED:
    case RUSH_ORDER_EXPIRED:
        return i;
    }

    return NGX_ERROR;
}


static ngx_int_t
ngx_seckill_set_status(ngx_rush_req_t *q)
{
    ngx_seckill_admin_order_status_t  *order = q->data;

    ngx_int_t         to;
    ngx_uint_t        n;
    ngx_rush_param_t  p[14], now, target;

    to = ngx_seckill_target_status(&order->status);

    if (to == NGX_ERROR) {
        return ngx_rush_refuse(q, "status", "must be shipped, done, "
                               "cancelled or expired");
    }

    order->to = to;

    n = 0;
    target = ngx_rush_p_int(to);
    now = ngx_rush_p_int(ngx_rush_now_ms());

    p[n++] = target;
    p[n++] = ngx_rush_p_int(q->user.user);
    p[n++] = ngx_rush_p_str(&order->reason);
    p[n++] = target;                    /* stock_state */
    p[n++] = target;                    /* cancel_reason */
    p[n++] = target;                    /* closed_ms */
    p[n++] = now;
    p[n++] = target;                    /* shipped_ms */
    p[n++] = now;
    p[n++] = target;                    /* done_ms */
    p[n++] = now;
    p[n++] = ngx_rush_p_str(&order->id);
    p[n++] = ngx_rush_p_int(order->version);
    p[n++] = target;

    return ngx_rush_query(q, &ngx_seckill_sql[NGX_SECKILL_SQL_ORDER_STATUS],
                          p, n, RUSH_INTERNAL);
}


static ngx_int_t
ngx_seckill_status_set(ngx_rush_req_t *q)
{
    ngx_seckill_admin_order_status_t  *order = q->data;

    order->missed = (q->rows->affected == 0);

    return ngx_seckill_read_whole(q, &order->id);
}


static ngx_int_t
ngx_seckill_check_status(ngx_rush_req_t *q)
{
    ngx_seckill_admin_order_status_t  *order = q->data;

    if (q->rows->n && order->missed) {
        return ngx_rush_cell_int(q->rows, 0, O_VERSION) != order->version
               ? RUSH_CONFLICT : RUSH_ORDER_STATE;
    }

    return ngx_seckill_any_order_found(q);
}


static ngx_int_t
ngx_seckill_ship_order(ngx_rush_req_t *q)
{
    ngx_seckill_admin_order_ship_t  *order = q->data;

    ngx_rush_param_t  p[7];

    p[0] = ngx_rush_p_str(&order->carrier);
    p[1] = ngx_rush_p_str(&order->number);
    p[2] = ngx_rush_p_int(ngx_rush_now_ms());
    p[3] = ngx_rush_p_int(q->user.user);
    p[4] = ngx_rush_p_str(&order->id);
    p[5] = ngx_seckill_opt_int(q, "version", order->version);
    p[6] = p[5];

    return ngx_rush_query(q, &ngx_seckill_sql[NGX_SECKILL_SQL_ORDER_SHIP],
                          p, 7, RUSH_INTERNAL);
}


static ngx_int_t
ngx_seckill_order_shipped(ngx_rush_req_t *q)
{
    ngx_seckill_admin_order_ship_t  *order = q->data;

    order->missed = (q->rows->affected == 0);

    return ngx_seckill_read_whole(q, &order->id);
}


static ngx_int_t
ngx_seckill_check_shipped(ngx_rush_req_t *q)
{
    ngx_seckill_admin_order_ship_t  *order = q->data;

    if (q->rows->n == 0 || !order->missed
        || (ngx_rush_cell_int(q->rows, 0, O_STATUS) == RUSH_ORDER_SHIPPED
            && ngx_seckill_is_cell(q, O_CARRIER, &order->carrier)
            && ngx_seckill_is_cell(q, O_TRACKING, &order->number)))
    {
        return ngx_seckill_any_order_found(q);
    }

    if (ngx_rush_given(q, "version")
        && ngx_rush_cell_int(q->rows, 0, O_VERSION) != order->version)
    {
        return RUSH_CONFLICT;
    }

    return RUSH_ORDER_STATE;
}


static ngx_uint_t
ngx_seckill_is_cell(ngx_rush_req_t *q, ngx_uint_t col, ngx_str_t *value)
{
    ngx_str_t  *cell;

    cell = ngx_rush_cell(q->rows, 0, col);

    return cell->len == value->len
           && ngx_memcmp(cell->data, value->data, value->len) == 0;
}


/* each try counts, so that nobody finds a code by trying */

static ngx_int_t
ngx_seckill_redeem_code(ngx_rush_req_t *q)
{
    ngx_seckill_admin_order_redeem_t  *redeem = q->data;

    ngx_str_t         code;
    ngx_rush_param_t  p[4];
    ngx_rush_quota_t  quota;

    if (ngx_rush_limit(&ngx_seckill_conf->redeem_rate, q->user.user, &quota)
        != NGX_OK)
    {
        q->retry_after = quota.retry_after;
        return RUSH_LIMITED;
    }

    if (rush_trade_code_read(redeem->code, redeem->trade_code.data,
                             redeem->trade_code.len)
        != RUSH_OK)
    {
        ngx_seckill_put_used(q, 0);
        return RUSH_TRADE_CODE;
    }

    ngx_explicit_memzero(redeem->trade_code.data, redeem->trade_code.len);

    code.data = redeem->code;
    code.len = RUSH_TRADE_LEN;

    p[0] = ngx_rush_p_int(ngx_rush_now_ms());
    p[1] = p[0];
    p[2] = ngx_rush_p_int(q->user.user);
    p[3] = ngx_rush_p_str(&code);

    return ngx_rush_query(q, &ngx_seckill_sql[NGX_SECKILL_SQL_ORDER_REDEEM],
                          p, 4, RUSH_INTERNAL);
}


static ngx_int_t
ngx_seckill_code_redeemed(ngx_rush_req_t *q)
{
    ngx_seckill_admin_order_redeem_t  *redeem = q->data;

    ngx_int_t         rc;
    ngx_str_t         code;
    ngx_rush_param_t  p;

    redeem->missed = (q->rows->affected == 0);

    code.data = redeem->code;
    code.len = RUSH_TRADE_LEN;
    p = ngx_rush_p_str(&code);

    rc = ngx_rush_query(q, &ngx_seckill_sql[NGX_SECKILL_SQL_ORDER_BY_CODE],
                        &p, 1, RUSH_INTERNAL);

    ngx_explicit_memzero(redeem->code, RUSH_TRADE_LEN);

    return rc;
}


/* who comes second learns that somebody came first, not who */

static ngx_int_t
ngx_seckill_code_found(ngx_rush_req_t *q)
{
    ngx_seckill_admin_order_redeem_t  *redeem = q->data;

    int64_t  redeemed, activity;

    if (q->rows->n == 0) {
        ngx_seckill_put_used(q, 0);
        return RUSH_TRADE_CODE;
    }

    if (redeem->missed) {
        redeemed = ngx_rush_cell_int(q->rows, 0, 2);

        if (redeemed == 0) {
            return RUSH_ORDER_STATE;
        }

        ngx_seckill_put_used(q, redeemed);
        return RUSH_TRADE_CODE;
    }

    /* for the record */

    (void) rush_order_no_parse(ngx_rush_cell(q->rows, 0, 0)->data,
                               ngx_rush_cell(q->rows, 0, 0)->len,
                               &q->object, &activity);

    return ngx_seckill_read_whole(q, ngx_rush_cell(q->rows, 0, 0));
}


static void
ngx_seckill_put_used(ngx_rush_req_t *q, int64_t redeemed)
{
    rush_json_open(&q->out, NULL, '{');
    rush_json_text(&q->out, "reason", redeemed ? "used" : "unknown");
    rush_json_time(&q->out, "redeemed_at", redeemed);
    rush_json_close(&q->out, '}');
}
