
/*
 * Copyright (C) Rush
 *
 * One order, by its buyer.  What changes it is one conditional UPDATE; the
 * row is read back, and tells whether that, or an earlier copy of the same
 * request, has done it.
 */


#include "ngx_seckill_order.h"


static ngx_int_t ngx_seckill_find_order(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_order_found(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_show_order(ngx_rush_req_t *q);

static ngx_int_t ngx_seckill_change_order(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_order_changed(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_check_changed(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_change_again(ngx_rush_req_t *q);

static ngx_int_t ngx_seckill_parse_order(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_order_missing(ngx_rush_req_t *q);
static ngx_uint_t ngx_seckill_is_changed(ngx_rush_req_t *q);


ngx_rush_step_t  ngx_seckill_order_detail_steps[] = {
    ngx_rush_step(ngx_seckill_find_order),      /* mysql */
    ngx_rush_step(ngx_seckill_order_found),     /* redis, without a row */
    ngx_rush_step(ngx_seckill_show_order),      /* mysql, if not there */
    ngx_rush_step(ngx_seckill_order_found),
    ngx_rush_null_step
};


ngx_rush_step_t  ngx_seckill_order_cancel_steps[] = {
    ngx_rush_step(ngx_seckill_change_order),    /* mysql: the whole effect */
    ngx_rush_step(ngx_seckill_order_changed),   /* mysql: reads it back */
    ngx_rush_step(ngx_seckill_check_changed),   /* redis, without a row */
    ngx_rush_step(ngx_seckill_change_again),    /* mysql, if not there */
    ngx_rush_step(ngx_seckill_check_changed),
    ngx_rush_null_step
};


ngx_rush_step_t  ngx_seckill_order_confirm_steps[] = {
    ngx_rush_step(ngx_seckill_change_order),    /* mysql: the whole effect */
    ngx_rush_step(ngx_seckill_order_changed),   /* mysql: reads it back */
    ngx_rush_step(ngx_seckill_check_changed),   /* redis, without a row */
    ngx_rush_step(ngx_seckill_change_again),    /* mysql, if not there */
    ngx_rush_step(ngx_seckill_check_changed),
    ngx_rush_null_step
};


ngx_rush_step_t  ngx_seckill_order_hide_steps[] = {
    ngx_rush_step(ngx_seckill_change_order),    /* mysql: the whole effect */
    ngx_rush_step(ngx_seckill_order_changed),   /* mysql: reads it back */
    ngx_rush_step(ngx_seckill_check_changed),   /* redis, without a row */
    ngx_rush_step(ngx_seckill_change_again),    /* mysql, if not there */
    ngx_rush_step(ngx_seckill_check_changed),
    ngx_rush_null_step
};


static ngx_int_t
ngx_seckill_parse_order(ngx_rush_req_t *q)
{
    ngx_seckill_order_detail_t  *order = q->data;

    return rush_order_no_parse(order->id.data, order->id.len,
                               &order->order_id, &order->activity)
           == RUSH_OK ? NGX_OK : RUSH_NOT_FOUND;
}


/* no row: it may be on its way; asked once only */

static ngx_int_t
ngx_seckill_order_missing(ngx_rush_req_t *q)
{
    ngx_seckill_order_detail_t  *order = q->data;

    if (order->again || !ngx_seckill_is_young(order->order_id)) {
        return RUSH_NOT_FOUND;
    }

    return ngx_seckill_ask_order(q, &order->id, order->activity);
}


static ngx_int_t
ngx_seckill_find_order(ngx_rush_req_t *q)
{
    ngx_seckill_order_detail_t  *order = q->data;

    ngx_int_t  rc;

    rc = ngx_seckill_parse_order(q);

    return rc == NGX_OK ? ngx_seckill_read_whole(q, &order->id) : rc;
}


static ngx_int_t
ngx_seckill_order_found(ngx_rush_req_t *q)
{
    if (ngx_seckill_is_strange(q)) {
        return RUSH_NOT_FOUND;
    }

    if (q->rows->n == 0) {
        return ngx_seckill_order_missing(q);
    }

    ngx_seckill_put_order_whole(q, NGX_SECKILL_OWNER);

    return NGX_DONE;
}


/* the row may have come, and its units gone back, since MySQL was asked */

static ngx_int_t
ngx_seckill_show_order(ngx_rush_req_t *q)
{
    ngx_seckill_order_detail_t  *order = q->data;

    if (ngx_seckill_is_coming(q, order->activity)) {
        return RUSH_ORDER_PROCESSING;
    }

    order->again = 1;

    return ngx_seckill_read_whole(q, &order->id);
}


static ngx_int_t
ngx_seckill_change_order(ngx_rush_req_t *q)
{
    ngx_seckill_order_detail_t  *order = q->data;

    ngx_int_t         rc;
    ngx_uint_t        n, stmt;
    ngx_rush_param_t  p[3];

    rc = ngx_seckill_parse_order(q);
    if (rc != NGX_OK) {
        return rc;
    }

    n = 0;

    if (q->route->steps == ngx_seckill_order_hide_steps) {
        stmt = NGX_SECKILL_SQL_ORDER_HIDE;

    } else {
        stmt = (q->route->steps == ngx_seckill_order_cancel_steps)
               ? NGX_SECKILL_SQL_ORDER_CANCEL : NGX_SECKILL_SQL_ORDER_CONFIRM;

        p[n++] = ngx_rush_p_int(ngx_rush_now_ms());
    }

    p[n++] = ngx_rush_p_str(&order->id);
    p[n++] = ngx_rush_p_int(q->user.user);

    return ngx_rush_query(q, &ngx_seckill_sql[stmt], p, n, RUSH_INTERNAL);
}


static ngx_int_t
ngx_seckill_order_changed(ngx_rush_req_t *q)
{
    ngx_seckill_order_detail_t  *order = q->data;

    return ngx_seckill_read_whole(q, &order->id);
}


static ngx_int_t
ngx_seckill_change_again(ngx_rush_req_t *q)
{
    return ngx_seckill_show_order(q);
}


static ngx_int_t
ngx_seckill_check_changed(ngx_rush_req_t *q)
{
    ngx_seckill_order_detail_t  *order = q->data;

    if (ngx_seckill_is_strange(q)) {
        return RUSH_NOT_FOUND;
    }

    if (q->rows->n == 0) {
        return ngx_seckill_order_missing(q);
    }

    if (!ngx_seckill_is_changed(q)) {

        /* a row that has come since could not be changed */

        return order->again ? RUSH_ORDER_PROCESSING : RUSH_ORDER_STATE;
    }

    if (q->route->steps == ngx_seckill_order_hide_steps) {
        rush_json_open(&q->out, NULL, '{');
        rush_json_str(&q->out, "order_no", (rush_str_t *) &order->id);
        rush_json_close(&q->out, '}');

    } else {
        ngx_seckill_put_order(&q->out, q->rows, 0, 0);
    }

    return NGX_DONE;
}


/* also by an earlier copy of the request */

static ngx_uint_t
ngx_seckill_is_changed(ngx_rush_req_t *q)
{
    int64_t           status;
    ngx_str_t        *reason;
    ngx_rush_step_t  *steps;

    steps = q->route->steps;
    status = ngx_rush_cell_int(q->rows, 0, O_STATUS);

    if (steps == ngx_seckill_order_hide_steps) {
        return ngx_rush_cell_int(q->rows, 0, O_HIDDEN) != 0;
    }

    if (steps == ngx_seckill_order_confirm_steps) {
        return status == RUSH_ORDER_DONE
               && ngx_rush_cell_int(q->rows, 0, O_SHIPPED) != 0;
    }

    reason = ngx_rush_cell(q->rows, 0, O_CANCEL_REASON);

    return status == RUSH_ORDER_CANCELLED && reason->len == 4
           && ngx_memcmp(reason->data, "user", 4) == 0;
}
