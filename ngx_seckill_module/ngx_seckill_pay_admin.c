
/*
 * Copyright (C) Rush
 */


#include "ngx_seckill_pay.h"


#define NGX_SECKILL_PAYER_HEAD   4      /* characters that are shown */
#define NGX_SECKILL_PAYER_TAIL   2


/* columns of payments_any */

enum {
    M_ID = 0, M_ORDER_NO, M_USER, M_PROVIDER, M_CHANNEL, M_AMOUNT, M_SUBJECT,
    M_PAYER, M_STATE, M_CAUSE, M_TRANSACTION, M_REFUNDED, M_RETURNED, M_TRIES,
    M_NEXT, M_DEADLINE, M_CREATED, M_PAID, M_CLOSED, M_UPDATED, M_VERSION
};


/* columns of settlements */

enum {
    S_DAY = 0, S_SHOP, S_PROVIDER, S_PAID_COUNT, S_PAID, S_REFUND_COUNT,
    S_REFUNDED, S_FEE, S_CREATED
};


static ngx_int_t ngx_seckill_payments_list(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_payments_listed(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_count_days(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_days_counted(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_days_listed(ngx_rush_req_t *q);

static ngx_int_t ngx_seckill_fill_days(ngx_rush_req_t *q,
    ngx_rush_param_t *p);
static void ngx_seckill_put_money(rush_buf_t *b, ngx_rush_rows_t *rows,
    ngx_uint_t row);
static void ngx_seckill_put_payer(rush_buf_t *b, ngx_str_t *payer);


#define ngx_seckill_text(col)  ((rush_str_t *) ngx_rush_cell(rows, row, col))
#define ngx_seckill_int(col)   ngx_rush_cell_int(rows, row, col)


ngx_rush_step_t  ngx_seckill_admin_payments_steps[] = {
    ngx_rush_step(ngx_seckill_payments_list),   /* mysql */
    ngx_rush_step(ngx_seckill_payments_listed),
    ngx_rush_null_step
};


ngx_rush_step_t  ngx_seckill_settlements_steps[] = {
    ngx_rush_step(ngx_seckill_count_days),      /* mysql */
    ngx_rush_step(ngx_seckill_days_counted),    /* mysql: the page */
    ngx_rush_step(ngx_seckill_days_listed),
    ngx_rush_null_step
};


static ngx_int_t
ngx_seckill_payments_list(ngx_rush_req_t *q)
{
    ngx_seckill_admin_payments_t  *list = q->data;

    ngx_uint_t                    i, provider;
    ngx_rush_param_t              p[18];
    const ngx_seckill_channel_t  *channel;

    p[0] = ngx_rush_p_int(list->last_id ? list->last_id : INT64_MAX);
    p[1] = ngx_rush_p_int(list->payment_id);
    p[2] = list->payment_id ? p[1] : ngx_rush_p_int(INT64_MAX);
    p[3] = ngx_seckill_opt_int(q, "state", list->state);
    p[5] = ngx_rush_p_null();
    p[7] = ngx_rush_p_null();

    if (ngx_rush_given(q, "channel")) {
        channel = ngx_seckill_find_channel(&list->channel);

        if (channel == NULL) {
            return ngx_rush_refuse(q, "channel", "is none");
        }

        p[5] = ngx_rush_p_int(channel->channel);
    }

    if (ngx_rush_given(q, "provider")) {
        provider = ngx_seckill_find_provider(&list->provider);

        if (provider == 0) {
            return ngx_rush_refuse(q, "provider", "is none");
        }

        p[7] = ngx_rush_p_int(provider);
    }

    p[9] = ngx_seckill_opt_int(q, "user_id", list->user_id);
    p[11] = ngx_seckill_opt_str(q, "order_no", &list->order_no);
    p[13] = ngx_seckill_opt_str(q, "transaction_id", &list->transaction_id);

    for (i = 3; i < 15; i += 2) {
        p[i + 1] = p[i];
    }

    p[15] = ngx_rush_p_int(list->from);
    p[16] = ngx_rush_p_int(ngx_rush_given(q, "to") ? list->to : INT64_MAX);
    p[17] = ngx_rush_p_int(ngx_seckill_feed_size(list->page_size));

    return ngx_rush_query(q, &ngx_seckill_sql[NGX_SECKILL_SQL_PAYMENTS_ANY],
                          p, 18, RUSH_INTERNAL);
}


static ngx_int_t
ngx_seckill_payments_listed(ngx_rush_req_t *q)
{
    ngx_seckill_admin_payments_t  *list = q->data;

    ngx_uint_t  i;

    ngx_seckill_list_open(q);

    for (i = 0; i < q->rows->n; i++) {
        ngx_seckill_put_money(&q->out, q->rows, i);
    }

    ngx_seckill_feed_close(q, ngx_seckill_feed_size(list->page_size), M_ID);

    return NGX_OK;
}


static void
ngx_seckill_put_money(rush_buf_t *b, ngx_rush_rows_t *rows, ngx_uint_t row)
{
    int64_t  state;

    state = ngx_seckill_int(M_STATE);

    rush_json_open(b, NULL, '{');
    rush_json_id(b, "id", ngx_seckill_int(M_ID));
    rush_json_str(b, "order_no", ngx_seckill_text(M_ORDER_NO));
    rush_json_id(b, "user_id", ngx_seckill_int(M_USER));
    rush_json_text(b, "provider",
                   ngx_seckill_provider_name(ngx_seckill_int(M_PROVIDER)));
    rush_json_text(b, "channel",
                   ngx_seckill_channel_name(ngx_seckill_int(M_CHANNEL)));
    rush_json_int(b, "amount", ngx_seckill_int(M_AMOUNT));
    rush_json_text(b, "currency", NGX_SECKILL_CURRENCY);
    rush_json_str(b, "subject", ngx_seckill_text(M_SUBJECT));
    ngx_seckill_put_payer(b, ngx_rush_cell(rows, row, M_PAYER));
    rush_json_int(b, "state", state);
    rush_json_text(b, "state_text", ngx_seckill_payment_name(state));
    rush_json_str(b, "cause", ngx_seckill_text(M_CAUSE));
    rush_json_str(b, "transaction_id", ngx_seckill_text(M_TRANSACTION));
    rush_json_int(b, "refunded", ngx_seckill_int(M_REFUNDED));
    rush_json_int(b, "returned", ngx_seckill_int(M_RETURNED));
    rush_json_int(b, "tries", ngx_seckill_int(M_TRIES));
    rush_json_time(b, "next_at", ngx_seckill_int(M_NEXT));
    rush_json_time(b, "pay_deadline", ngx_seckill_int(M_DEADLINE));
    rush_json_time(b, "created_at", ngx_seckill_int(M_CREATED));
    rush_json_time(b, "paid_at", ngx_seckill_int(M_PAID));
    rush_json_time(b, "closed_at", ngx_seckill_int(M_CLOSED));
    rush_json_time(b, "updated_at", ngx_seckill_int(M_UPDATED));
    rush_json_int(b, "version", ngx_seckill_int(M_VERSION));
    rush_json_close(b, '}');
}


/* enough to compare with what a provider shows, not to know who it is */

static void
ngx_seckill_put_payer(rush_buf_t *b, ngx_str_t *payer)
{
    u_char      text[NGX_SECKILL_PAYER_HEAD + 3 + NGX_SECKILL_PAYER_TAIL];
    u_char     *p;
    rush_str_t  masked;

    masked.data = text;
    p = text;

    if (payer->len >= 4 * (NGX_SECKILL_PAYER_HEAD + NGX_SECKILL_PAYER_TAIL)) {
        p = ngx_cpymem(p, payer->data, NGX_SECKILL_PAYER_HEAD);
        p = ngx_cpymem(p, "***", 3);
        p = ngx_cpymem(p, payer->data + payer->len - NGX_SECKILL_PAYER_TAIL,
                       NGX_SECKILL_PAYER_TAIL);

    } else if (payer->len) {
        p = ngx_cpymem(p, "***", 3);
    }

    masked.len = p - text;

    rush_json_str(b, "payer", &masked);
}


static ngx_int_t
ngx_seckill_fill_days(ngx_rush_req_t *q, ngx_rush_param_t *p)
{
    ngx_seckill_settlements_t  *list = q->data;

    ngx_uint_t  provider;

    p[0] = ngx_rush_p_int(list->from);
    p[1] = ngx_rush_p_int(ngx_rush_given(q, "to") ? list->to : INT32_MAX);
    p[2] = ngx_rush_p_int(list->shop_id);
    p[3] = ngx_rush_given(q, "shop_id") ? p[2] : ngx_rush_p_int(INT64_MAX);
    p[4] = ngx_rush_p_int(0);
    p[5] = ngx_rush_p_int(RUSH_PROVIDERS);

    if (ngx_rush_given(q, "provider")) {
        provider = ngx_seckill_find_provider(&list->provider);

        if (provider == 0) {
            return ngx_rush_refuse(q, "provider", "is none");
        }

        p[4] = ngx_rush_p_int(provider);
        p[5] = p[4];
    }

    return NGX_OK;
}


static ngx_int_t
ngx_seckill_count_days(ngx_rush_req_t *q)
{
    ngx_int_t         rc;
    ngx_rush_param_t  p[6];

    rc = ngx_seckill_fill_days(q, p);

    if (rc != NGX_OK) {
        return rc;
    }

    return ngx_rush_query(q,
                          &ngx_seckill_sql[NGX_SECKILL_SQL_COUNT_SETTLEMENTS],
                          p, 6, RUSH_INTERNAL);
}


static ngx_int_t
ngx_seckill_days_counted(ngx_rush_req_t *q)
{
    ngx_seckill_settlements_t  *list = q->data;

    ngx_rush_param_t    p[8];
    ngx_seckill_page_t  page;

    list->total = ngx_rush_cell_int(q->rows, 0, 0);

    page = ngx_seckill_page(list->page, list->page_size);

    (void) ngx_seckill_fill_days(q, p);     /* was good before */
    p[6] = ngx_rush_p_int(page.size);
    p[7] = ngx_rush_p_int(page.offset);

    return ngx_rush_query(q, &ngx_seckill_sql[NGX_SECKILL_SQL_SETTLEMENTS], p,
                          8, RUSH_INTERNAL);
}


static ngx_int_t
ngx_seckill_days_listed(ngx_rush_req_t *q)
{
    ngx_seckill_settlements_t  *list = q->data;

    rush_buf_t          *b;
    ngx_uint_t           row;
    ngx_rush_rows_t     *rows;
    ngx_seckill_page_t   page;

    b = &q->out;
    rows = q->rows;

    page = ngx_seckill_page(list->page, list->page_size);

    ngx_seckill_list_open(q);

    for (row = 0; row < rows->n; row++) {
        rush_json_open(b, NULL, '{');
        rush_json_int(b, "day", ngx_seckill_int(S_DAY));
        rush_json_id(b, "shop_id", ngx_seckill_int(S_SHOP));
        rush_json_text(b, "provider",
                       ngx_seckill_provider_name(ngx_seckill_int(S_PROVIDER)));
        rush_json_int(b, "paid_count", ngx_seckill_int(S_PAID_COUNT));
        rush_json_int(b, "paid", ngx_seckill_int(S_PAID));
        rush_json_int(b, "refund_count", ngx_seckill_int(S_REFUND_COUNT));
        rush_json_int(b, "refunded", ngx_seckill_int(S_REFUNDED));
        rush_json_int(b, "fee", ngx_seckill_int(S_FEE));
        rush_json_int(b, "net", ngx_seckill_int(S_PAID)
                                - ngx_seckill_int(S_REFUNDED)
                                - ngx_seckill_int(S_FEE));
        rush_json_text(b, "currency", NGX_SECKILL_CURRENCY);
        rush_json_time(b, "created_at", ngx_seckill_int(S_CREATED));
        rush_json_close(b, '}');
    }

    ngx_seckill_list_close(q, &page, list->total);

    return NGX_OK;
}
