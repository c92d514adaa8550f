
/*
 * Copyright (C) Rush
 */


#include "ngx_seckill_row.h"


static ngx_int_t ngx_seckill_count_any_orders(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_any_orders_counted(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_any_orders_listed(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_find_any_order(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_any_order_found(ngx_rush_req_t *q);

static ngx_uint_t ngx_seckill_fill_any_filter(ngx_rush_req_t *q,
    ngx_rush_param_t *p);


ngx_rush_step_t  ngx_seckill_admin_order_list_steps[] = {
    ngx_rush_step(ngx_seckill_count_any_orders),    /* mysql */
    ngx_rush_step(ngx_seckill_any_orders_counted),  /* mysql: the page */
    ngx_rush_step(ngx_seckill_any_orders_listed),
    ngx_rush_null_step
};


ngx_rush_step_t  ngx_seckill_admin_order_detail_steps[] = {
    ngx_rush_step(ngx_seckill_find_any_order),      /* mysql */
    ngx_rush_step(ngx_seckill_any_order_found),
    ngx_rush_null_step
};


static ngx_uint_t
ngx_seckill_fill_any_filter(ngx_rush_req_t *q, ngx_rush_param_t *p)
{
    ngx_seckill_admin_order_list_t  *list = q->data;

    p[0] = ngx_seckill_opt_int(q, "status", list->status);
    p[1] = p[0];
    p[2] = ngx_seckill_opt_int(q, "user_id", list->user_id);
    p[3] = p[2];
    p[4] = ngx_seckill_opt_int(q, "activity_id", list->activity_id);
    p[5] = p[4];

    return 6;
}


static ngx_int_t
ngx_seckill_count_any_orders(ngx_rush_req_t *q)
{
    ngx_uint_t        n;
    ngx_rush_param_t  p[6];

    n = ngx_seckill_fill_any_filter(q, p);

    return ngx_rush_query(q,
                          &ngx_seckill_sql[NGX_SECKILL_SQL_COUNT_ORDERS_ANY],
                          p, n, RUSH_INTERNAL);
}


static ngx_int_t
ngx_seckill_any_orders_counted(ngx_rush_req_t *q)
{
    ngx_seckill_admin_order_list_t  *list = q->data;

    ngx_uint_t           n;
    ngx_rush_param_t     p[8];
    ngx_seckill_page_t   page;

    list->total_rows = ngx_rush_cell_int(q->rows, 0, 0);

    page = ngx_seckill_page(list->page, list->page_size);

    n = ngx_seckill_fill_any_filter(q, p);
    p[n++] = ngx_rush_p_int(page.size);
    p[n++] = ngx_rush_p_int(page.offset);

    return ngx_rush_query(q, &ngx_seckill_sql[NGX_SECKILL_SQL_ORDERS_ANY],
                          p, n, RUSH_INTERNAL);
}


static ngx_int_t
ngx_seckill_any_orders_listed(ngx_rush_req_t *q)
{
    ngx_seckill_admin_order_list_t  *list = q->data;

    ngx_uint_t           i;
    ngx_seckill_page_t   page;

    page = ngx_seckill_page(list->page, list->page_size);

    ngx_seckill_list_open(q);

    for (i = 0; i < q->rows->n; i++) {
        ngx_seckill_put_order(&q->out, q->rows, i, 1);
    }

    ngx_seckill_list_close(q, &page, list->total_rows);

    return NGX_OK;
}


static ngx_int_t
ngx_seckill_find_any_order(ngx_rush_req_t *q)
{
    ngx_seckill_admin_order_detail_t  *order = q->data;

    return ngx_seckill_read_order(q, &order->id);
}


static ngx_int_t
ngx_seckill_any_order_found(ngx_rush_req_t *q)
{
    if (q->rows->n == 0) {
        return RUSH_NOT_FOUND;
    }

    ngx_seckill_put_order(&q->out, q->rows, 0, 1);

    return NGX_OK;
}
