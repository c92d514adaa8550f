
/*
 * Copyright (C) Rush
 *
 * Lists of orders: by page, with totals; or after the last order one has,
 * which costs the same however far one goes.
 */


#include "ngx_seckill_order.h"


#define NGX_SECKILL_MY_FILTERS   7
#define NGX_SECKILL_ANY_FILTERS  10


static ngx_int_t ngx_seckill_count_orders(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_orders_counted(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_orders_listed(ngx_rush_req_t *q);

static ngx_int_t ngx_seckill_count_any_orders(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_any_orders_counted(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_any_orders_listed(ngx_rush_req_t *q);

static ngx_int_t ngx_seckill_check_kind(ngx_rush_req_t *q, ngx_str_t *kind);
static ngx_uint_t ngx_seckill_fill_range(ngx_str_t *kind, int64_t activity,
    ngx_rush_param_t *p);
static ngx_uint_t ngx_seckill_fill_filter(ngx_rush_req_t *q,
    ngx_rush_param_t *p);
static ngx_uint_t ngx_seckill_fill_any_filter(ngx_rush_req_t *q,
    ngx_rush_param_t *p);
static void ngx_seckill_put_orders(ngx_rush_req_t *q, ngx_uint_t n,
    ngx_uint_t admin);
static void ngx_seckill_orders_close(ngx_rush_req_t *q, ngx_uint_t n,
    ngx_uint_t more);


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


ngx_rush_step_t  ngx_seckill_admin_order_list_steps[] = {
    ngx_rush_step(ngx_seckill_count_any_orders),    /* mysql */
    ngx_rush_step(ngx_seckill_any_orders_counted),  /* mysql: the page */
    ngx_rush_step(ngx_seckill_any_orders_listed),
    ngx_rush_step(ngx_seckill_csv_next),            /* the client: a piece */
    ngx_rush_step(ngx_seckill_csv_sent),            /* mysql: the next page */
    ngx_rush_null_step
};


static ngx_int_t
ngx_seckill_check_kind(ngx_rush_req_t *q, ngx_str_t *kind)
{
    if (kind->len == 0
        || (kind->len == 7 && ngx_memcmp(kind->data, "seckill", 7) == 0)
        || (kind->len == 8 && ngx_memcmp(kind->data, "ordinary", 8) == 0))
    {
        return NGX_OK;
    }

    return ngx_rush_refuse(q, "kind", "must be seckill or ordinary");
}


/* activities from .. to */

static ngx_uint_t
ngx_seckill_fill_range(ngx_str_t *kind, int64_t activity,
    ngx_rush_param_t *p)
{
    p[0] = ngx_rush_p_int(kind->len == 7 ? 1 : 0);
    p[1] = ngx_rush_p_int(kind->len == 8 ? 0 : INT64_MAX);

    if (activity) {
        p[0] = ngx_rush_p_int(ngx_max(activity, p[0].i));
        p[1] = ngx_rush_p_int(ngx_min(activity, p[1].i));
    }

    return 2;
}


/* order_list and mine differ in the kind only */

static ngx_uint_t
ngx_seckill_fill_filter(ngx_rush_req_t *q, ngx_rush_param_t *p)
{
    ngx_seckill_order_list_t  *list = q->data;

    ngx_uint_t  n, given;

    given = 0;
    n = 0;

    p[n++] = ngx_rush_p_int(q->user.user);

    if (q->route->steps == ngx_seckill_order_list_steps) {
        given = ngx_rush_given(q, "until");
        p[n] = ngx_seckill_opt_int(q, "status", list->status);

    } else {
        ngx_str_set(&list->kind, "seckill");
        p[n] = ngx_rush_p_null();
    }

    p[n + 1] = p[n];
    n += 2;

    n += ngx_seckill_fill_range(&list->kind, 0, &p[n]);
    p[n++] = ngx_rush_p_int(list->since);
    p[n++] = ngx_rush_p_int(given ? list->until - 1 : INT64_MAX);

    return n;
}


static ngx_int_t
ngx_seckill_count_orders(ngx_rush_req_t *q)
{
    ngx_seckill_order_list_t  *list = q->data;

    ngx_int_t         rc;
    ngx_uint_t        n;
    ngx_rush_param_t  p[NGX_SECKILL_MY_FILTERS + 2];

    rc = ngx_seckill_check_kind(q, &list->kind);
    if (rc != NGX_OK) {
        return rc;
    }

    n = ngx_seckill_fill_filter(q, p);

    if (q->route->steps != ngx_seckill_order_list_steps
        || !ngx_rush_given(q, "last_id"))
    {
        return ngx_rush_query(q,
                      &ngx_seckill_sql[NGX_SECKILL_SQL_COUNT_ORDERS_BY_USER],
                      p, n, RUSH_INTERNAL);
    }

    q->step++;                          /* the page at once */

    list->page = 0;
    list->page_size = ngx_seckill_feed_size(list->page_size);

    if (list->last_id.len == 0) {
        p[n++] = ngx_rush_p_int(list->page_size + 1);
        p[n++] = ngx_rush_p_int(0);

        return ngx_rush_query(q,
                            &ngx_seckill_sql[NGX_SECKILL_SQL_ORDERS_BY_USER],
                            p, n, RUSH_INTERNAL);
    }

    p[n++] = ngx_rush_p_str(&list->last_id);
    p[n++] = ngx_rush_p_int(list->page_size + 1);

    return ngx_rush_query(q,
                      &ngx_seckill_sql[NGX_SECKILL_SQL_ORDERS_BY_USER_AFTER],
                      p, n, RUSH_INTERNAL);
}


static ngx_int_t
ngx_seckill_orders_counted(ngx_rush_req_t *q)
{
    ngx_seckill_order_list_t  *list = q->data;

    ngx_uint_t           n;
    ngx_rush_param_t     p[NGX_SECKILL_MY_FILTERS + 2];
    ngx_seckill_page_t   page;

    list->total = ngx_rush_cell_int(q->rows, 0, 0);

    page = ngx_seckill_page(list->page, list->page_size);
    list->page = page.page;

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

    ngx_uint_t           n;
    ngx_seckill_page_t   page;

    if (list->page) {
        page = ngx_seckill_page(list->page, list->page_size);

        ngx_seckill_put_orders(q, q->rows->n, 0);
        ngx_seckill_list_close(q, &page, list->total);

        return NGX_OK;
    }

    n = ngx_min(q->rows->n, (ngx_uint_t) list->page_size);

    ngx_seckill_put_orders(q, n, 0);
    ngx_seckill_orders_close(q, n, q->rows->n > n);

    return NGX_OK;
}


static void
ngx_seckill_put_orders(ngx_rush_req_t *q, ngx_uint_t n, ngx_uint_t admin)
{
    ngx_uint_t  i;

    ngx_seckill_list_open(q);

    for (i = 0; i < n; i++) {
        ngx_seckill_put_order(&q->out, q->rows, i, admin);
    }
}


static void
ngx_seckill_orders_close(ngx_rush_req_t *q, ngx_uint_t n, ngx_uint_t more)
{
    rush_json_close(&q->out, ']');

    if (more) {
        rush_json_str(&q->out, "next_last_id",
                      (rush_str_t *) ngx_rush_cell(q->rows, n - 1,
                                                   O_ORDER_NO));
    }

    rush_json_close(&q->out, '}');
}


static ngx_uint_t
ngx_seckill_fill_any_filter(ngx_rush_req_t *q, ngx_rush_param_t *p)
{
    ngx_seckill_admin_order_list_t  *list = q->data;

    ngx_uint_t  n;

    p[0] = ngx_seckill_opt_int(q, "status", list->status);
    p[1] = p[0];
    p[2] = ngx_seckill_opt_int(q, "user_id", list->user_id);
    p[3] = p[2];
    p[4] = ngx_seckill_opt_int(q, "product_id", list->product_id);
    p[5] = p[4];

    n = 6 + ngx_seckill_fill_range(&list->kind, list->activity_id, &p[6]);
    p[n++] = ngx_rush_p_int(list->since);
    p[n++] = ngx_rush_p_int(ngx_rush_given(q, "until") ? list->until - 1
                                                       : INT64_MAX);

    return n;
}


static ngx_int_t
ngx_seckill_count_any_orders(ngx_rush_req_t *q)
{
    ngx_seckill_admin_order_list_t  *list = q->data;

    ngx_int_t         rc;
    ngx_uint_t        n;
    ngx_rush_param_t  p[NGX_SECKILL_ANY_FILTERS];

    rc = ngx_seckill_check_kind(q, &list->kind);
    if (rc != NGX_OK) {
        return rc;
    }

    if (list->export.len) {

        if (list->export.len != 3
            || ngx_memcmp(list->export.data, "csv", 3) != 0)
        {
            return ngx_rush_refuse(q, "export", "must be csv");
        }

        q->step += 2;

        return ngx_seckill_csv_begin(q);
    }

    if (ngx_rush_given(q, "last_id")) {
        q->step++;                      /* the page at once */

        list->page = 0;
        list->page_size = ngx_seckill_feed_size(list->page_size);

        return ngx_seckill_read_after(q, &list->last_id,
                                      list->page_size + 1);
    }

    n = ngx_seckill_fill_any_filter(q, p);

    return ngx_rush_query(q,
                          &ngx_seckill_sql[NGX_SECKILL_SQL_COUNT_ORDERS_ANY],
                          p, n, RUSH_INTERNAL);
}


ngx_int_t
ngx_seckill_read_after(ngx_rush_req_t *q, ngx_str_t *last, ngx_uint_t n)
{
    ngx_uint_t        i;
    ngx_rush_param_t  p[NGX_SECKILL_ANY_FILTERS + 3];

    i = ngx_seckill_fill_any_filter(q, p);

    p[i] = last->len ? ngx_rush_p_str(last) : ngx_rush_p_null();
    p[i + 1] = p[i];
    p[i + 2] = ngx_rush_p_int(n);

    return ngx_rush_query(q,
                          &ngx_seckill_sql[NGX_SECKILL_SQL_ORDERS_ANY_AFTER],
                          p, i + 3, RUSH_INTERNAL);
}


static ngx_int_t
ngx_seckill_any_orders_counted(ngx_rush_req_t *q)
{
    ngx_seckill_admin_order_list_t  *list = q->data;

    ngx_uint_t           n;
    ngx_rush_param_t     p[NGX_SECKILL_ANY_FILTERS + 2];
    ngx_seckill_page_t   page;

    list->total_rows = ngx_rush_cell_int(q->rows, 0, 0);

    page = ngx_seckill_page(list->page, list->page_size);
    list->page = page.page;

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

    ngx_uint_t           n;
    ngx_seckill_page_t   page;

    if (list->page) {
        page = ngx_seckill_page(list->page, list->page_size);

        ngx_seckill_put_orders(q, q->rows->n, 1);
        ngx_seckill_list_close(q, &page, list->total_rows);

        return NGX_DONE;
    }

    n = ngx_min(q->rows->n, (ngx_uint_t) list->page_size);

    ngx_seckill_put_orders(q, n, 1);
    ngx_seckill_orders_close(q, n, q->rows->n > n);

    return NGX_DONE;
}
