
/*
 * Copyright (C) Rush
 */


#include "ngx_seckill_row.h"


static ngx_int_t ngx_seckill_count_orders(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_orders_counted(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_orders_listed(ngx_rush_req_t *q);

static ngx_int_t ngx_seckill_find_order(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_order_found(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_show_order(ngx_rush_req_t *q);

static ngx_int_t ngx_seckill_cancel_order(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_order_cancelled(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_check_cancelled(ngx_rush_req_t *q);

static ngx_uint_t ngx_seckill_fill_filter(ngx_rush_req_t *q,
    ngx_rush_param_t *p);


ngx_rush_step_t  ngx_seckill_order_list_steps[] = {
    ngx_rush_step(ngx_seckill_count_orders),    /* mysql */
    ngx_rush_step(ngx_seckill_orders_counted),  /* mysql: the page */
    ngx_rush_step(ngx_seckill_orders_listed),
    ngx_rush_null_step
};


ngx_rush_step_t  ngx_seckill_mine_steps[] = {
    ngx_rush_step(ngx_seckill_count_orders),    /* mysql */
    ngx_rush_step(ngx_seckill_orders_counted),  /* mysql: the page */
    ngx_rush_step(ngx_seckill_orders_listed),
    ngx_rush_null_step
};


ngx_rush_step_t  ngx_seckill_order_detail_steps[] = {
    ngx_rush_step(ngx_seckill_find_order),      /* mysql */
    ngx_rush_step(ngx_seckill_order_found),     /* redis, without a row */
    ngx_rush_step(ngx_seckill_show_order),      /* mysql, if not held */
    ngx_rush_step(ngx_seckill_order_found),
    ngx_rush_null_step
};


ngx_rush_step_t  ngx_seckill_order_cancel_steps[] = {
    ngx_rush_step(ngx_seckill_cancel_order),    /* mysql: the whole effect */
    ngx_rush_step(ngx_seckill_order_cancelled), /* mysql: reads it back */
    ngx_rush_step(ngx_seckill_check_cancelled), /* redis, without a row */
    ngx_rush_step(ngx_seckill_show_order),      /* mysql, if not held */
    ngx_rush_step(ngx_seckill_check_cancelled),
    ngx_rush_null_step
};


/* order_list and mine differ in two columns only */

static ngx_uint_t
ngx_seckill_fill_filter(ngx_rush_req_t *q, ngx_rush_param_t *p)
{
    ngx_seckill_order_list_t  *list = q->data;

    p[0] = ngx_rush_p_int(q->user.user);

    if (q->route->steps == ngx_seckill_mine_steps) {
        p[1] = ngx_rush_p_null();
        p[2] = ngx_rush_p_null();
        p[3] = ngx_rush_p_int(1);       /* of an activity */

    } else {
        p[1] = ngx_seckill_opt_int(q, "status", list->status);
        p[2] = p[1];
        p[3] = ngx_rush_p_int(0);
    }

    return 4;
}


static ngx_int_t
ngx_seckill_count_orders(ngx_rush_req_t *q)
{
    ngx_uint_t        n;
    ngx_rush_param_t  p[4];

    n = ngx_seckill_fill_filter(q, p);

    return ngx_rush_query(q,
                  &ngx_seckill_sql[NGX_SECKILL_SQL_COUNT_ORDERS_BY_USER],
                  p, n, RUSH_INTERNAL);
}


static ngx_int_t
ngx_seckill_orders_counted(ngx_rush_req_t *q)
{
    ngx_seckill_order_list_t  *list = q->data;

    ngx_uint_t           n;
    ngx_rush_param_t     p[6];
    ngx_seckill_page_t   page;

    list->total = ngx_rush_cell_int(q->rows, 0, 0);

    page = ngx_seckill_page(list->page, list->page_size);

    n = ngx_seckill_fill_filter(q, p);
    p[n++] = ngx_rush_p_int(page.size);
    p[n++] = ngx_rush_p_int(page.offset);

    return ngx_rush_query(q, &ngx_seckill_sql[NGX_SECKILL_SQL_ORDERS_BY_USER],
                          p, n, RUSH_INTERNAL);
}


static ngx_int_t
ngx_seckill_orders_listed(ngx_rush_req_t *q)
{
    ngx_seckill_order_list_t  *list = q->data;

    ngx_uint_t           i;
    ngx_seckill_page_t   page;

    page = ngx_seckill_page(list->page, list->page_size);

    ngx_seckill_list_open(q);

    for (i = 0; i < q->rows->n; i++) {
        ngx_seckill_put_order(&q->out, q->rows, i, 0);
    }

    ngx_seckill_list_close(q, &page, list->total);

    return NGX_OK;
}


static ngx_int_t
ngx_seckill_find_order(ngx_rush_req_t *q)
{
    ngx_seckill_order_detail_t  *order = q->data;

    if (rush_order_no_parse(order->id.data, order->id.len, &order->order_id,
                            &order->activity)
        != RUSH_OK)
    {
        return RUSH_NOT_FOUND;
    }

    return ngx_seckill_read_order(q, &order->id);
}


static ngx_int_t
ngx_seckill_order_found(ngx_rush_req_t *q)
{
    ngx_seckill_order_detail_t  *order = q->data;

    if (ngx_seckill_is_strange(q)) {
        return RUSH_NOT_FOUND;
    }

    if (q->rows->n) {
        ngx_seckill_put_order(&q->out, q->rows, 0, 0);
        return NGX_DONE;
    }

    if (order->again || order->activity == 0
        || !ngx_seckill_is_young(order->order_id))
    {
        return RUSH_NOT_FOUND;
    }

    return ngx_seckill_ask_held(q, order->activity);
}


/* the row may have come, and its units gone back, since MySQL was asked */

static ngx_int_t
ngx_seckill_show_order(ngx_rush_req_t *q)
{
    ngx_seckill_order_detail_t  *order = q->data;

    if (ngx_seckill_held(q)) {
        return RUSH_ORDER_PROCESSING;
    }

    order->again = 1;

    return ngx_seckill_read_order(q, &order->id);
}


static ngx_int_t
ngx_seckill_cancel_order(ngx_rush_req_t *q)
{
    ngx_seckill_order_cancel_t  *order = q->data;

    ngx_rush_param_t  p[3];

    if (rush_order_no_parse(order->id.data, order->id.len, &order->order_id,
                            &order->activity)
        != RUSH_OK)
    {
        return RUSH_NOT_FOUND;
    }

    p[0] = ngx_rush_p_int(ngx_rush_now_ms());
    p[1] = ngx_rush_p_str(&order->id);
    p[2] = ngx_rush_p_int(q->user.user);

    return ngx_rush_query(q, &ngx_seckill_sql[NGX_SECKILL_SQL_ORDER_CANCEL],
                          p, 3, RUSH_INTERNAL);
}


static ngx_int_t
ngx_seckill_order_cancelled(ngx_rush_req_t *q)
{
    ngx_seckill_order_cancel_t  *order = q->data;

    return ngx_seckill_read_order(q, &order->id);
}


static ngx_int_t
ngx_seckill_check_cancelled(ngx_rush_req_t *q)
{
    ngx_seckill_order_cancel_t  *order = q->data;

    int64_t     status;
    ngx_str_t  *reason;

    if (ngx_seckill_is_strange(q)) {
        return RUSH_NOT_FOUND;
    }

    if (q->rows->n == 0) {

        if (order->again || order->activity == 0
            || !ngx_seckill_is_young(order->order_id))
        {
            return RUSH_NOT_FOUND;
        }

        return ngx_seckill_ask_held(q, order->activity);
    }

    status = ngx_rush_cell_int(q->rows, 0, O_STATUS);
    reason = ngx_rush_cell(q->rows, 0, O_CANCEL_REASON);

    if (order->again && status == NGX_SECKILL_TO_PAY) {
        return RUSH_ORDER_PROCESSING;   /* was not there to be cancelled */
    }

    /* a repeated cancel finds what the first one did */

    if (status != NGX_SECKILL_CANCELLED
        || reason->len != 4 || ngx_memcmp(reason->data, "user", 4) != 0)
    {
        return RUSH_ORDER_STATE;
    }

    ngx_seckill_put_order(&q->out, q->rows, 0, 0);

    return NGX_DONE;
}
