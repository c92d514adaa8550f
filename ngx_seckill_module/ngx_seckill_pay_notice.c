
/*
 * Copyright (C) Rush
 *
 * What providers have told, for administrators: of one payment, and what
 * somebody has to look at because it was not applied.  Such a notice is closed
 * when that is done; from then on nothing is done by it.
 */


#include "ngx_seckill_order.h"
#include "ngx_seckill_pay.h"


#define NGX_SECKILL_NOTICE_NAME(NAME, number, name)  name,

static const char  *ngx_seckill_notice_names[] = {
    RUSH_NOTICE_STATES(NGX_SECKILL_NOTICE_NAME)
};


/* columns of notices_of_payment, notices_any and notice_one */

enum {
    N_ID = 0, N_PROVIDER, N_KIND, N_KEY, N_PAYMENT, N_REFUND, N_TRANSACTION,
    N_AMOUNT, N_STATE, N_CAUSE, N_BODY, N_TIMES, N_RECEIVED, N_APPLIED,
    N_CLOSED, N_CLOSED_BY, N_REASON
};


static ngx_int_t ngx_seckill_notices_list(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_notices_listed(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_notices_none(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_notices_look(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_notices_looked(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_notice_close(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_notice_closed(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_notice_show(ngx_rush_req_t *q);

static void ngx_seckill_put_notices(ngx_rush_req_t *q, int64_t size);
static void ngx_seckill_put_notice(ngx_rush_req_t *q, ngx_uint_t row,
    ngx_uint_t viewer);


#define ngx_seckill_text(col)  ((rush_str_t *) ngx_rush_cell(rows, row, col))
#define ngx_seckill_int(col)   ngx_rush_cell_int(rows, row, col)


/* a notice may have come of a payment that nobody knows */

ngx_rush_step_t  ngx_seckill_payment_notices_steps[] = {
    ngx_rush_step(ngx_seckill_notices_list),    /* mysql */
    ngx_rush_step(ngx_seckill_notices_listed),  /* mysql, when there is none */
    ngx_rush_step(ngx_seckill_notices_none),
    ngx_rush_null_step
};


ngx_rush_step_t  ngx_seckill_admin_notices_steps[] = {
    ngx_rush_step(ngx_seckill_notices_look),    /* mysql */
    ngx_rush_step(ngx_seckill_notices_looked),
    ngx_rush_null_step
};


ngx_rush_step_t  ngx_seckill_notice_close_steps[] = {
    ngx_rush_step(ngx_seckill_notice_close),    /* mysql: the whole effect */
    ngx_rush_step(ngx_seckill_notice_closed),   /* mysql: reads it back */
    ngx_rush_step(ngx_seckill_notice_show),
    ngx_rush_null_step
};


static ngx_int_t
ngx_seckill_notices_list(ngx_rush_req_t *q)
{
    ngx_seckill_payment_notices_t  *list = q->data;

    ngx_rush_param_t  p[3];

    p[0] = ngx_rush_p_int(list->id);
    p[1] = ngx_rush_p_int(list->last_id ? list->last_id : INT64_MAX);
    p[2] = ngx_rush_p_int(ngx_seckill_feed_size(list->page_size));

    return ngx_rush_query(q,
                       &ngx_seckill_sql[NGX_SECKILL_SQL_NOTICES_OF_PAYMENT],
                       p, 3, RUSH_INTERNAL);
}


static ngx_int_t
ngx_seckill_notices_listed(ngx_rush_req_t *q)
{
    ngx_seckill_payment_notices_t  *list = q->data;

    ngx_rush_param_t  p;

    ngx_seckill_put_notices(q, list->page_size);

    if (q->rows->n || list->last_id) {
        return NGX_DONE;
    }

    p = ngx_rush_p_int(list->id);

    return ngx_rush_query(q, &ngx_seckill_sql[NGX_SECKILL_SQL_PAYMENT_EXISTS],
                          &p, 1, RUSH_INTERNAL);
}


static ngx_int_t
ngx_seckill_notices_none(ngx_rush_req_t *q)
{
    if (q->rows->n == 0) {
        rush_buf_reset(&q->out);
        return RUSH_NOT_FOUND;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_seckill_notices_look(ngx_rush_req_t *q)
{
    ngx_seckill_admin_notices_t  *list = q->data;

    ngx_uint_t        which;
    ngx_rush_param_t  p[4];

    static const char  *names[] = { "open", "closed" };

    which = 0;

    if (list->state.len) {
        which = ngx_seckill_find_name(names, 2, &list->state);
    }

    if (which == 2) {
        return ngx_rush_refuse(q, "state", "must be open or closed");
    }

    p[0] = ngx_rush_p_int(which ? RUSH_NOTICE_CLOSED : RUSH_NOTICE_MISMATCH);
    p[1] = ngx_rush_p_int(which ? RUSH_NOTICE_CLOSED : RUSH_NOTICE_UNMATCHED);
    p[2] = ngx_rush_p_int(list->last_id ? list->last_id : INT64_MAX);
    p[3] = ngx_rush_p_int(ngx_seckill_feed_size(list->page_size));

    return ngx_rush_query(q, &ngx_seckill_sql[NGX_SECKILL_SQL_NOTICES_ANY], p,
                          4, RUSH_INTERNAL);
}


static ngx_int_t
ngx_seckill_notices_looked(ngx_rush_req_t *q)
{
    ngx_seckill_admin_notices_t  *list = q->data;

    ngx_seckill_put_notices(q, list->page_size);

    return NGX_OK;
}


static ngx_int_t
ngx_seckill_notice_close(ngx_rush_req_t *q)
{
    ngx_seckill_notice_close_t  *notice = q->data;

    ngx_rush_param_t  p[4];

    p[0] = ngx_rush_p_int(ngx_rush_now_ms());
    p[1] = ngx_rush_p_int(q->user.user);
    p[2] = ngx_rush_p_str(&notice->reason);
    p[3] = ngx_rush_p_int(notice->id);

    return ngx_rush_query(q, &ngx_seckill_sql[NGX_SECKILL_SQL_NOTICE_CLOSE],
                          p, 4, RUSH_INTERNAL);
}


static ngx_int_t
ngx_seckill_notice_closed(ngx_rush_req_t *q)
{
    ngx_seckill_notice_close_t  *notice = q->data;

    ngx_rush_param_t  p;

    p = ngx_rush_p_int(notice->id);

    return ngx_rush_query(q, &ngx_seckill_sql[NGX_SECKILL_SQL_NOTICE_ONE], &p,
                          1, RUSH_INTERNAL);
}


/* closed before: the first one stands, and the answer tells who it was */

static ngx_int_t
ngx_seckill_notice_show(ngx_rush_req_t *q)
{
    if (q->rows->n == 0) {
        return RUSH_NOT_FOUND;
    }

    if (ngx_rush_cell_int(q->rows, 0, N_STATE) != RUSH_NOTICE_CLOSED) {
        return RUSH_CONFLICT;
    }

    ngx_seckill_put_notice(q, 0, ngx_seckill_viewer(q));

    return NGX_OK;
}


static void
ngx_seckill_put_notices(ngx_rush_req_t *q, int64_t size)
{
    ngx_uint_t  i, viewer;

    viewer = ngx_seckill_viewer(q);

    ngx_seckill_list_open(q);

    for (i = 0; i < q->rows->n; i++) {
        ngx_seckill_put_notice(q, i, viewer);
    }

    ngx_seckill_feed_close(q, ngx_seckill_feed_size(size), N_ID);
}


static void
ngx_seckill_put_notice(ngx_rush_req_t *q, ngx_uint_t row, ngx_uint_t viewer)
{
    int64_t           state;
    rush_buf_t       *b;
    ngx_rush_rows_t  *rows;

    b = &q->out;
    rows = q->rows;
    state = ngx_seckill_int(N_STATE);

    rush_json_open(b, NULL, '{');
    rush_json_id(b, "id", ngx_seckill_int(N_ID));
    rush_json_text(b, "provider",
                   ngx_seckill_provider_name(ngx_seckill_int(N_PROVIDER)));
    rush_json_str(b, "kind", ngx_seckill_text(N_KIND));
    rush_json_str(b, "notice_key", ngx_seckill_text(N_KEY));
    rush_json_id(b, "payment_id", ngx_seckill_int(N_PAYMENT));
    rush_json_id(b, "refund_id", ngx_seckill_int(N_REFUND));
    rush_json_str(b, "transaction_id", ngx_seckill_text(N_TRANSACTION));
    rush_json_int(b, "amount", ngx_seckill_int(N_AMOUNT));
    rush_json_int(b, "state", state);
    rush_json_text(b, "state_text",
                   (state >= 0
                    && state < (int64_t) (sizeof(ngx_seckill_notice_names)
                                          / sizeof(char *)))
                   ? ngx_seckill_notice_names[state] : "");
    rush_json_str(b, "cause", ngx_seckill_text(N_CAUSE));

    /* who has paid is in it */

    if (viewer == NGX_SECKILL_PRIVY) {
        rush_json_str(b, "body", ngx_seckill_text(N_BODY));

    } else {
        rush_json_text(b, "body", "***");
    }

    rush_json_int(b, "times", ngx_seckill_int(N_TIMES));
    rush_json_time(b, "received_at", ngx_seckill_int(N_RECEIVED));
    rush_json_time(b, "applied_at", ngx_seckill_int(N_APPLIED));
    rush_json_time(b, "closed_at", ngx_seckill_int(N_CLOSED));
    rush_json_id(b, "closed_by", ngx_seckill_int(N_CLOSED_BY));
    rush_json_str(b, "reason", ngx_seckill_text(N_REASON));
    rush_json_close(b, '}');
}
