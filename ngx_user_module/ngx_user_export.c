
/*
 * Copyright (C) Rush
 */


#include "ngx_user_data.h"


static ngx_int_t ngx_user_read_states(ngx_rush_req_t *q);
static ngx_int_t ngx_user_states_read(ngx_rush_req_t *q);

static ngx_int_t ngx_user_read_account(ngx_rush_req_t *q);
static ngx_int_t ngx_user_export_account(ngx_rush_req_t *q);
static ngx_int_t ngx_user_export_sessions(ngx_rush_req_t *q);
static ngx_int_t ngx_user_export_addresses(ngx_rush_req_t *q);
static ngx_int_t ngx_user_export_sponsors(ngx_rush_req_t *q);
static ngx_int_t ngx_user_export_orders(ngx_rush_req_t *q);
static ngx_int_t ngx_user_exported(ngx_rush_req_t *q);

static void ngx_user_export_cleanup(void *data);
static ngx_int_t ngx_user_next_sessions(ngx_rush_req_t *q);
static ngx_int_t ngx_user_next_orders(ngx_rush_req_t *q);
static void ngx_user_put_account(rush_buf_t *b, ngx_user_t *u);
static void ngx_user_put_wechat(rush_buf_t *b, rush_str_t *key);
static void ngx_user_put_session(rush_buf_t *b, ngx_rush_rows_t *rows,
    ngx_uint_t row);
static void ngx_user_put_order(rush_buf_t *b, ngx_rush_rows_t *rows,
    ngx_uint_t row);


ngx_rush_step_t  ngx_user_stats_steps[] = {
    ngx_rush_step(ngx_user_read_states),         /* mysql: order_states */
    ngx_rush_step(ngx_user_states_read),
    ngx_rush_null_step
};


/*
 * Each step writes what the one before has asked for; the steps of sessions
 * and of orders run once a page.  Nothing is in q->out before all of it is
 * there, so a failure answers without a half of it.
 */

ngx_rush_step_t  ngx_user_export_steps[] = {
    ngx_rush_step(ngx_user_read_account),        /* mysql: user_by_id */
    ngx_rush_step(ngx_user_export_account),      /* mysql: sessions_all */
    ngx_rush_step(ngx_user_export_sessions),     /* mysql: addresses */
    ngx_rush_step(ngx_user_export_addresses),    /* mysql: sponsors */
    ngx_rush_step(ngx_user_export_sponsors),     /* mysql: orders_after */
    ngx_rush_step(ngx_user_export_orders),
    ngx_rush_step(ngx_user_exported),
    ngx_rush_null_step
};


static const char  *ngx_user_order_names[NGX_USER_ORDER_STATES] = {
    "processing", "to_pay", "paid", "shipped", "done", "cancelled",
    "refunding", "refunded", "expired", "rejected"
};


/* columns of orders_after */

enum {
    O_NO = 0, O_REQ, O_TITLE, O_REASON, O_ACTIVITY, O_PRODUCT, O_QTY, O_PRICE,
    O_AMOUNT, O_STATUS, O_GRANTED, O_DEADLINE, O_PAID, O_CLOSED
};


static ngx_int_t
ngx_user_read_states(ngx_rush_req_t *q)
{
    return ngx_user_query_mine(q, ngx_user_stmt(ORDER_STATES));
}


static ngx_int_t
ngx_user_states_read(ngx_rush_req_t *q)
{
    int64_t      state, total, n[NGX_USER_ORDER_STATES];
    rush_buf_t  *b;
    ngx_uint_t   i;

    ngx_memzero(n, sizeof(n));
    total = 0;

    for (i = 0; i < q->rows->n; i++) {
        state = ngx_rush_cell_int(q->rows, i, 0);
        total += ngx_rush_cell_int(q->rows, i, 1);

        if (state >= 0 && state < NGX_USER_ORDER_STATES) {
            n[state] = ngx_rush_cell_int(q->rows, i, 1);
        }
    }

    b = &q->out;

    rush_json_open(b, NULL, '{');
    rush_json_int(b, "orders_total", total);
    rush_json_open(b, "orders", '{');

    for (i = 0; i < NGX_USER_ORDER_STATES; i++) {
        rush_json_int(b, ngx_user_order_names[i], n[i]);
    }

    rush_json_close(b, '}');
    rush_json_close(b, '}');

    return NGX_OK;
}


static ngx_int_t
ngx_user_read_account(ngx_rush_req_t *q)
{
    return ngx_user_query_mine(q, ngx_user_stmt(USER_BY_ID));
}


static ngx_int_t
ngx_user_export_account(ngx_rush_req_t *q)
{
    ngx_user_export_t   *export = q->data;

    ngx_int_t            rc;
    rush_buf_t          *b;
    ngx_pool_cleanup_t  *cln;

    rc = ngx_user_load(q, &export->user);

    if (rc == NGX_DECLINED) {
        return RUSH_NOT_FOUND;
    }

    if (rc != NGX_OK) {
        return rc;
    }

    cln = ngx_pool_cleanup_add(q->r->pool, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    b = &export->doc;

    cln->handler = ngx_user_export_cleanup;
    cln->data = b;

    rush_json_open(b, NULL, '{');
    rush_json_time(b, "exported_at", ngx_rush_now_ms());
    ngx_user_put_account(b, &export->user);
    rush_json_open(b, "sessions", '[');

    return ngx_user_next_sessions(q);
}


static void
ngx_user_export_cleanup(void *data)
{
    rush_buf_t  *b = data;

    rush_buf_free(b);
}


static ngx_int_t
ngx_user_export_sessions(ngx_rush_req_t *q)
{
    ngx_user_export_t  *export = q->data;

    ngx_uint_t          i, n;

    n = q->rows->n;

    for (i = 0; i < n; i++) {
        ngx_user_put_session(&export->doc, q->rows, i);
        export->session = ngx_rush_cell_int(q->rows, i, 2);
    }

    export->sessions += n;

    if (n == NGX_USER_EXPORT_PAGE
        && export->sessions < NGX_USER_EXPORT_SESSIONS)
    {
        q->step--;                      /* this one again */
        return ngx_user_next_sessions(q);
    }

    rush_json_close(&export->doc, ']');

    return ngx_user_query_mine(q, ngx_user_stmt(ADDRESSES));
}


static ngx_int_t
ngx_user_export_addresses(ngx_rush_req_t *q)
{
    ngx_user_export_t  *export = q->data;

    ngx_uint_t          i;

    rush_json_open(&export->doc, "addresses", '[');

    for (i = 0; i < q->rows->n; i++) {
        ngx_user_put_place(&export->doc, q->rows, i, i == 0);
    }

    rush_json_close(&export->doc, ']');

    return ngx_user_query_mine(q, ngx_user_stmt(SPONSORS));
}


static ngx_int_t
ngx_user_export_sponsors(ngx_rush_req_t *q)
{
    ngx_user_export_t  *export = q->data;

    ngx_uint_t          i;

    rush_json_open(&export->doc, "sponsors", '[');

    for (i = 0; i < q->rows->n; i++) {
        ngx_user_put_card(&export->doc, q->rows, i, 0);
    }

    rush_json_close(&export->doc, ']');
    rush_json_open(&export->doc, "orders", '[');

    return ngx_user_next_orders(q);
}


static ngx_int_t
ngx_user_export_orders(ngx_rush_req_t *q)
{
    ngx_user_export_t  *export = q->data;

    ngx_str_t          *no;
    ngx_uint_t          i, n;

    n = q->rows->n;

    for (i = 0; i < n; i++) {
        ngx_user_put_order(&export->doc, q->rows, i);
    }

    export->orders += n;

    if (n) {
        no = ngx_rush_cell(q->rows, n - 1, O_NO);

        export->orders_after.data = export->order_no;
        export->orders_after.len = ngx_min(no->len, sizeof(export->order_no));

        ngx_memcpy(export->order_no, no->data, export->orders_after.len);
    }

    if (n == NGX_USER_EXPORT_PAGE && export->orders < NGX_USER_EXPORT_ORDERS)
    {
        q->step--;
        return ngx_user_next_orders(q);
    }

    rush_json_close(&export->doc, ']');

    if (n == NGX_USER_EXPORT_PAGE) {
        rush_json_str(&export->doc, "orders_next", &export->orders_after);
    }

    rush_json_close(&export->doc, '}');

    return NGX_OK;
}


static ngx_int_t
ngx_user_exported(ngx_rush_req_t *q)
{
    ngx_user_export_t  *export = q->data;

    u_char             *p;
    ngx_str_t           value;

    p = ngx_pnalloc(q->r->pool, 64);
    if (p == NULL) {
        return NGX_ERROR;
    }

    value.data = p;
    value.len = ngx_snprintf(p, 64, "attachment; filename=\"rush-%L.json\"",
                             export->user.id)
                - p;

    if (ngx_rush_add_header(q->r, "Content-Disposition",
                            sizeof("Content-Disposition") - 1, &value)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    q->out = export->doc;
    ngx_memzero(&export->doc, sizeof(rush_buf_t));

    return NGX_OK;
}


static ngx_int_t
ngx_user_next_sessions(ngx_rush_req_t *q)
{
    ngx_user_export_t  *export = q->data;

    ngx_rush_param_t    p[3];

    p[0] = ngx_rush_p_int(q->user.user);
    p[1] = ngx_rush_p_int(export->session);
    p[2] = ngx_rush_p_int(NGX_USER_EXPORT_PAGE);

    return ngx_rush_query(q, ngx_user_stmt(SESSIONS_ALL), p, 3,
                          RUSH_INTERNAL);
}


static ngx_int_t
ngx_user_next_orders(ngx_rush_req_t *q)
{
    ngx_user_export_t  *export = q->data;

    ngx_rush_param_t    p[3];

    p[0] = ngx_rush_p_int(q->user.user);
    p[1] = ngx_rush_p_str(&export->orders_after);
    p[2] = ngx_rush_p_int(NGX_USER_EXPORT_PAGE);

    return ngx_rush_query(q, ngx_user_stmt(ORDERS_AFTER), p, 3,
                          RUSH_INTERNAL);
}


/* as ngx_user_put(), but what the user gave is not masked */

static void
ngx_user_put_account(rush_buf_t *b, ngx_user_t *u)
{
    rush_json_open(b, "account", '{');
    rush_json_id(b, "id", u->id);
    rush_json_str(b, "username", &u->username);
    rush_json_str(b, "mobile", &u->mobile);
    rush_json_str(b, "email", &u->email);
    rush_json_str(b, "nickname", &u->nickname);
    rush_json_str(b, "avatar", &u->avatar);
    rush_json_int(b, "sex", u->sex);
    rush_json_str(b, "info", &u->info);
    rush_json_str(b, "signature", &u->signature);
    rush_json_str(b, "location_name", &u->location_name);
    rush_json_str(b, "longitude", &u->longitude);
    rush_json_str(b, "latitude", &u->latitude);
    ngx_user_put_wechat(b, &u->wx_key);
    rush_json_time(b, "created_at", u->created_ms);
    rush_json_close(b, '}');
}


/* the end of the openid, which nobody but servers knows; "" if none */

static void
ngx_user_put_wechat(rush_buf_t *b, rush_str_t *key)
{
    u_char      text[8];
    rush_str_t  masked;

    masked.data = text;
    masked.len = key->len < 8 ? 0 : 8;

    if (masked.len) {
        ngx_memcpy(text, "****", 4);
        ngx_memcpy(text + 4, key->data + key->len - 4, 4);
    }

    rush_json_str(b, "wechat", &masked);
}


static void
ngx_user_put_session(rush_buf_t *b, ngx_rush_rows_t *rows, ngx_uint_t row)
{
    rush_json_open(b, NULL, '{');
    rush_json_id(b, "id", ngx_rush_cell_int(rows, row, 2));
    rush_json_str(b, "device", ngx_user_cell(rows, row, 0));
    rush_json_str(b, "address", ngx_user_cell(rows, row, 1));
    rush_json_time(b, "created_at", ngx_rush_cell_int(rows, row, 3));
    rush_json_time(b, "used_at", ngx_rush_cell_int(rows, row, 4));
    rush_json_time(b, "expires_at", ngx_rush_cell_int(rows, row, 5));
    rush_json_time(b, "ended_at", ngx_rush_cell_int(rows, row, 6));
    rush_json_close(b, '}');
}


static void
ngx_user_put_order(rush_buf_t *b, ngx_rush_rows_t *rows, ngx_uint_t row)
{
    int64_t  status;

    status = ngx_rush_cell_int(rows, row, O_STATUS);

    rush_json_open(b, NULL, '{');
    rush_json_str(b, "order_no", ngx_user_cell(rows, row, O_NO));
    rush_json_str(b, "request_id", ngx_user_cell(rows, row, O_REQ));
    rush_json_id(b, "activity_id", ngx_rush_cell_int(rows, row, O_ACTIVITY));
    rush_json_id(b, "product_id", ngx_rush_cell_int(rows, row, O_PRODUCT));
    rush_json_str(b, "title", ngx_user_cell(rows, row, O_TITLE));
    rush_json_int(b, "quantity", ngx_rush_cell_int(rows, row, O_QTY));
    rush_json_int(b, "price", ngx_rush_cell_int(rows, row, O_PRICE));
    rush_json_int(b, "amount", ngx_rush_cell_int(rows, row, O_AMOUNT));
    rush_json_text(b, "currency", "CNY");
    rush_json_text(b, "status_text",
                   (status >= 0 && status < NGX_USER_ORDER_STATES)
                   ? ngx_user_order_names[status] : "");
    rush_json_str(b, "cancel_reason", ngx_user_cell(rows, row, O_REASON));
    rush_json_time(b, "created_at", ngx_rush_cell_int(rows, row, O_GRANTED));
    rush_json_time(b, "pay_deadline", ngx_rush_cell_int(rows, row, O_DEADLINE));
    rush_json_time(b, "paid_at", ngx_rush_cell_int(rows, row, O_PAID));
    rush_json_time(b, "closed_at", ngx_rush_cell_int(rows, row, O_CLOSED));
    rush_json_close(b, '}');
}
