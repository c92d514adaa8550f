
/*
 * Copyright (C) Rush
 */


#include "ngx_seckill_row.h"


#define NGX_SECKILL_PAY_SECONDS  1800
#define NGX_SECKILL_INIT_LENGTH  86400000       /* ms, of a quick activity */


static ngx_int_t ngx_seckill_insert_quick(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_insert_activity(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_activity_inserted(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_price_inserted(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_show_made(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_show_admin_activity(ngx_rush_req_t *q);

static ngx_int_t ngx_seckill_count_activities(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_activities_counted(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_activities_listed(ngx_rush_req_t *q);

static ngx_int_t ngx_seckill_check_update(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_check_window(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_update_activity(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_activity_updated(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_show_updated(ngx_rush_req_t *q);

static ngx_int_t ngx_seckill_delete_activity(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_activity_deleted(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_activity_kept(ngx_rush_req_t *q);

static ngx_int_t ngx_seckill_put_insert(ngx_rush_req_t *q,
    ngx_seckill_admin_create_t *a);


ngx_rush_step_t  ngx_seckill_init_steps[] = {
    ngx_rush_step(ngx_seckill_insert_quick),        /* mysql */
    ngx_rush_step(ngx_seckill_activity_inserted),   /* mysql: its price */
    ngx_rush_step(ngx_seckill_price_inserted),      /* mysql: reads it back */
    ngx_rush_step(ngx_seckill_show_made),
    ngx_rush_null_step
};


ngx_rush_step_t  ngx_seckill_admin_create_steps[] = {
    ngx_rush_step(ngx_seckill_insert_activity),     /* mysql */
    ngx_rush_step(ngx_seckill_activity_inserted),   /* mysql: its price */
    ngx_rush_step(ngx_seckill_price_inserted),      /* mysql: reads it back */
    ngx_rush_step(ngx_seckill_show_made),
    ngx_rush_null_step
};


ngx_rush_step_t  ngx_seckill_admin_get_steps[] = {
    ngx_rush_step(ngx_seckill_read_activity),       /* mysql */
    ngx_rush_step(ngx_seckill_show_admin_activity),
    ngx_rush_null_step
};


ngx_rush_step_t  ngx_seckill_admin_list_steps[] = {
    ngx_rush_step(ngx_seckill_count_activities),    /* mysql */
    ngx_rush_step(ngx_seckill_activities_counted),  /* mysql: the page */
    ngx_rush_step(ngx_seckill_activities_listed),
    ngx_rush_null_step
};


/* the price of the next version stands before an order can name it */

ngx_rush_step_t  ngx_seckill_admin_update_steps[] = {
    ngx_rush_step(ngx_seckill_read_activity),       /* mysql */
    ngx_rush_step(ngx_seckill_check_update),        /* mysql: next price */
    ngx_rush_step(ngx_seckill_update_activity),     /* mysql */
    ngx_rush_step(ngx_seckill_activity_updated),    /* mysql: reads it back */
    ngx_rush_step(ngx_seckill_show_updated),
    ngx_rush_null_step
};


ngx_rush_step_t  ngx_seckill_admin_delete_steps[] = {
    ngx_rush_step(ngx_seckill_delete_activity),     /* mysql */
    ngx_rush_step(ngx_seckill_activity_deleted),    /* mysql, when refused */
    ngx_rush_step(ngx_seckill_activity_kept),
    ngx_rush_null_step
};


static ngx_int_t
ngx_seckill_insert_quick(ngx_rush_req_t *q)
{
    ngx_seckill_init_t  *init = q->data;

    ngx_seckill_admin_create_t  a;

    ngx_memzero(&a, sizeof(ngx_seckill_admin_create_t));

    a.product_id = init->product_id;
    a.price = init->price;
    a.start_at = ngx_rush_now_ms();
    a.end_at = a.start_at + NGX_SECKILL_INIT_LENGTH;
    a.total = init->stock;
    a.limit_per_user = init->limit_per_user;
    a.online = 1;

    return ngx_seckill_put_insert(q, &a);
}


static ngx_int_t
ngx_seckill_insert_activity(ngx_rush_req_t *q)
{
    ngx_seckill_admin_create_t  *a = q->data;

    if (a->end_at <= a->start_at) {
        return ngx_rush_refuse(q, "end_at", "must be after start_at");
    }

    if (a->end_at <= ngx_rush_now_ms()) {
        return ngx_rush_refuse(q, "end_at", "must be in the future");
    }

    return ngx_seckill_put_insert(q, a);
}


static ngx_int_t
ngx_seckill_put_insert(ngx_rush_req_t *q, ngx_seckill_admin_create_t *a)
{
    ngx_rush_param_t  p[13];

    p[0] = a->title.len ? ngx_rush_p_str(&a->title) : ngx_rush_p_null();
    p[1] = ngx_seckill_opt_int(q, "price", a->price);
    p[2] = ngx_rush_p_int(a->start_at);
    p[3] = ngx_rush_p_int(a->end_at);
    p[4] = ngx_rush_p_int(a->total);
    p[5] = ngx_rush_p_int(a->limit_per_user ? a->limit_per_user : 1);
    p[6] = ngx_rush_p_int(a->pay_seconds ? a->pay_seconds
                                         : NGX_SECKILL_PAY_SECONDS);
    p[7] = ngx_rush_p_int(a->online ? NGX_SECKILL_ONLINE : NGX_SECKILL_DRAFT);
    p[8] = ngx_rush_p_int(a->online ? 1 : 0);
    p[9] = ngx_rush_p_int(ngx_rush_now_ms());
    p[10] = p[9];
    p[11] = ngx_rush_p_int(ngx_rush_made_id(q));
    p[12] = ngx_rush_p_int(a->product_id);

    if (p[11].i == 0) {
        return RUSH_BUSY;
    }

    return ngx_rush_query(q,
                          &ngx_seckill_sql[NGX_SECKILL_SQL_ACTIVITY_INSERT],
                          p, 13, NGX_OK);
}


static ngx_int_t
ngx_seckill_activity_inserted(ngx_rush_req_t *q)
{
    ngx_rush_param_t  p;

    /* a duplicate: an earlier try has made it */

    if (q->rows) {

        if (q->rows->affected == 0) {
            return RUSH_NOT_FOUND;      /* the product */
        }

        q->object = q->rows->insert_id;
    }

    p = ngx_rush_p_int(ngx_rush_made_id(q));

    return ngx_rush_query(q, &ngx_seckill_sql[NGX_SECKILL_SQL_PRICE_INSERT],
                          &p, 1, RUSH_INTERNAL);
}


static ngx_int_t
ngx_seckill_price_inserted(ngx_rush_req_t *q)
{
    ngx_rush_param_t  p;

    p = ngx_rush_p_int(ngx_rush_made_id(q));

    return ngx_rush_query(q, &ngx_seckill_sql[NGX_SECKILL_SQL_ACTIVITY_MADE],
                          &p, 1, RUSH_INTERNAL);
}


static ngx_int_t
ngx_seckill_show_made(ngx_rush_req_t *q)
{
    if (q->rows->n) {
        q->object = ngx_rush_cell_int(q->rows, 0, A_ID);
    }

    return ngx_seckill_show_admin_activity(q);
}


ngx_int_t
ngx_seckill_read_activity(ngx_rush_req_t *q)
{
    int64_t  *id = q->data;

    ngx_rush_param_t  p;

    p = ngx_rush_p_int(*id);

    return ngx_rush_query(q, &ngx_seckill_sql[NGX_SECKILL_SQL_ACTIVITY], &p,
                          1, RUSH_INTERNAL);
}


static ngx_int_t
ngx_seckill_show_admin_activity(ngx_rush_req_t *q)
{
    if (q->rows->n == 0) {
        return RUSH_NOT_FOUND;
    }

    ngx_seckill_put_admin_activity(&q->out, q->rows, 0);

    return NGX_OK;
}


static ngx_int_t
ngx_seckill_count_activities(ngx_rush_req_t *q)
{
    ngx_seckill_admin_list_t  *list = q->data;

    ngx_rush_param_t  p[2];

    p[0] = ngx_seckill_opt_int(q, "status", list->status);
    p[1] = p[0];

    return ngx_rush_query(q,
                          &ngx_seckill_sql[NGX_SECKILL_SQL_COUNT_ACTIVITIES],
                          p, 2, RUSH_INTERNAL);
}


static ngx_int_t
ngx_seckill_activities_counted(ngx_rush_req_t *q)
{
    ngx_seckill_admin_list_t  *list = q->data;

    ngx_rush_param_t     p[4];
    ngx_seckill_page_t   page;

    list->total = ngx_rush_cell_int(q->rows, 0, 0);

    page = ngx_seckill_page(list->page, list->page_size);

    p[0] = ngx_seckill_opt_int(q, "status", list->status);
    p[1] = p[0];
    p[2] = ngx_rush_p_int(page.size);
    p[3] = ngx_rush_p_int(page.offset);

    return ngx_rush_query(q, &ngx_seckill_sql[NGX_SECKILL_SQL_ACTIVITIES], p,
                          4, RUSH_INTERNAL);
}


static ngx_int_t
ngx_seckill_activities_listed(ngx_rush_req_t *q)
{
    ngx_seckill_admin_list_t  *list = q->data;

    ngx_uint_t           i;
    ngx_seckill_page_t   page;

    page = ngx_seckill_page(list->page, list->page_size);

    ngx_seckill_list_open(q);

    for (i = 0; i < q->rows->n; i++) {
        ngx_seckill_put_admin_activity(&q->out, q->rows, i);
    }

    ngx_seckill_list_close(q, &page, list->total);

    return NGX_OK;
}


static ngx_int_t
ngx_seckill_check_update(ngx_rush_req_t *q)
{
    ngx_seckill_admin_update_t  *a = q->data;

    ngx_int_t         rc;
    ngx_rush_param_t  p[4];

    if (q->rows->n == 0) {
        return RUSH_NOT_FOUND;
    }

    rc = ngx_seckill_check_window(q);

    if (rc != NGX_OK) {
        return rc;
    }

    a->rev = ngx_rush_cell_int(q->rows, 0, A_REV);

    if (!ngx_rush_given(q, "price")) {
        a->price = ngx_rush_cell_int(q->rows, 0, A_PRICE);
    }

    p[0] = ngx_rush_p_int(a->price);
    p[1] = ngx_rush_p_int(a->id);
    p[2] = ngx_rush_p_int(a->rev);
    p[3] = p[0];

    return ngx_rush_query(q, &ngx_seckill_sql[NGX_SECKILL_SQL_PRICE_NEXT], p,
                          4, RUSH_INTERNAL);
}


static ngx_int_t
ngx_seckill_check_window(ngx_rush_req_t *q)
{
    ngx_seckill_admin_update_t  *a = q->data;

    int64_t  status, start, stop;

    status = ngx_rush_cell_int(q->rows, 0, A_STATUS);
    start = ngx_rush_cell_int(q->rows, 0, A_START);
    stop = ngx_rush_cell_int(q->rows, 0, A_STOP);

    if (status == NGX_SECKILL_OFFLINE) {
        return RUSH_ACTIVITY_STATE;
    }

    if (status != NGX_SECKILL_DRAFT
        && (ngx_rush_given(q, "product_id")
            || ngx_rush_given(q, "total")
            || (ngx_rush_given(q, "start_at")
                && start <= ngx_rush_now_ms())))
    {
        return RUSH_ACTIVITY_STATE;     /* buyers rely on these by now */
    }

    if (ngx_rush_given(q, "total")
        && ngx_rush_cell_int(q->rows, 0, A_WARM))
    {
        return RUSH_ACTIVITY_STATE;     /* Redis counts down from it */
    }

    start = ngx_rush_given(q, "start_at") ? a->start_at : start;
    stop = ngx_rush_given(q, "end_at") ? a->end_at : stop;

    if (stop <= start) {
        return ngx_rush_refuse(q, "end_at", "must be after start_at");
    }

    return NGX_OK;
}


static ngx_int_t
ngx_seckill_update_activity(ngx_rush_req_t *q)
{
    ngx_seckill_admin_update_t  *a = q->data;

    ngx_rush_param_t  p[16];

    p[0] = ngx_seckill_opt_int(q, "price", a->price);
    p[1] = p[0];
    p[2] = ngx_seckill_opt_int(q, "product_id", a->product_id);
    p[3] = ngx_seckill_opt_str(q, "title", &a->title);
    p[4] = ngx_seckill_opt_int(q, "start_at", a->start_at);
    p[5] = ngx_seckill_opt_int(q, "end_at", a->end_at);
    p[6] = ngx_seckill_opt_int(q, "total", a->total);
    p[7] = ngx_seckill_opt_int(q, "limit_per_user", a->limit_per_user);
    p[8] = ngx_seckill_opt_int(q, "pay_seconds", a->pay_seconds);
    p[9] = ngx_rush_p_int(ngx_rush_now_ms());
    p[10] = ngx_rush_p_int(a->id);
    p[11] = ngx_rush_p_int(a->rev);

    /* not when another update has changed the price prepared above */

    p[12] = p[0];
    p[13] = p[0];
    p[14] = p[2];
    p[15] = p[2];

    return ngx_rush_query(q,
                          &ngx_seckill_sql[NGX_SECKILL_SQL_ACTIVITY_UPDATE],
                          p, 16, RUSH_INTERNAL);
}


static ngx_int_t
ngx_seckill_activity_updated(ngx_rush_req_t *q)
{
    ngx_seckill_admin_update_t  *a = q->data;

    a->missed = (q->rows->affected == 0);

    return ngx_seckill_read_activity(q);
}


static ngx_int_t
ngx_seckill_show_updated(ngx_rush_req_t *q)
{
    ngx_seckill_admin_update_t  *a = q->data;

    if (a->missed && q->rows->n
        && ngx_rush_given(q, "product_id")
        && ngx_rush_cell_int(q->rows, 0, A_REV) == a->rev)
    {
        return RUSH_NOT_FOUND;          /* the product */
    }

    if (a->missed) {
        return RUSH_CONFLICT;           /* somebody was faster */
    }

    return ngx_seckill_show_admin_activity(q);
}


static ngx_int_t
ngx_seckill_delete_activity(ngx_rush_req_t *q)
{
    ngx_seckill_admin_delete_t  *a = q->data;

    ngx_rush_param_t  p;

    p = ngx_rush_p_int(a->id);

    return ngx_rush_query(q,
                          &ngx_seckill_sql[NGX_SECKILL_SQL_ACTIVITY_DELETE],
                          &p, 1, RUSH_INTERNAL);
}


static ngx_int_t
ngx_seckill_activity_deleted(ngx_rush_req_t *q)
{
    ngx_seckill_admin_delete_t  *a = q->data;

    if (q->rows->affected == 0) {
        return ngx_seckill_read_activity(q);
    }

    ngx_seckill_put_deleted(q, a->id);

    return NGX_DONE;
}


static ngx_int_t
ngx_seckill_activity_kept(ngx_rush_req_t *q)
{
    return q->rows->n ? RUSH_ACTIVITY_STATE : RUSH_NOT_FOUND;
}
