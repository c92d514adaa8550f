
/*
 * Copyright (C) Rush
 */


#include "ngx_seckill_pay.h"


#define NGX_SECKILL_REFUND_NAME(NAME, number, name)  name,

static const char  *ngx_seckill_refund_names[] = {
    RUSH_REFUND_STATES(NGX_SECKILL_REFUND_NAME)
};

static const char  *ngx_seckill_origin_names[] = {
    RUSH_REFUND_ORIGINS(NGX_SECKILL_REFUND_NAME)
};

#define NGX_SECKILL_ORIGINS                                                   \
    (sizeof(ngx_seckill_origin_names) / sizeof(char *))

#define ngx_seckill_name_of(names, i)                                         \
    ((i) >= 0 && (i) < (int64_t) (sizeof(names) / sizeof(char *))             \
     ? names[i] : "")


static ngx_int_t ngx_seckill_refund_approve(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_refund_reject(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_refund_retry(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_refund_decided(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_refund_told(ngx_rush_req_t *q);

static ngx_int_t ngx_seckill_refunds_list(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_refunds_listed(ngx_rush_req_t *q);

static ngx_int_t ngx_seckill_refund_decide(ngx_rush_req_t *q, int64_t state,
    ngx_str_t *cause);
static void ngx_seckill_put_private(rush_buf_t *b, ngx_rush_rows_t *rows,
    ngx_uint_t row);


/* of many decisions one changes the row: the first */

ngx_rush_step_t  ngx_seckill_refund_approve_steps[] = {
    ngx_rush_step(ngx_seckill_refund_approve),  /* mysql: the whole effect */
    ngx_rush_step(ngx_seckill_refund_decided),  /* mysql: reads it back */
    ngx_rush_step(ngx_seckill_refund_told),
    ngx_rush_null_step
};


ngx_rush_step_t  ngx_seckill_refund_reject_steps[] = {
    ngx_rush_step(ngx_seckill_refund_reject),   /* mysql: the whole effect */
    ngx_rush_step(ngx_seckill_refund_decided),  /* mysql: reads it back */
    ngx_rush_step(ngx_seckill_refund_told),
    ngx_rush_null_step
};


ngx_rush_step_t  ngx_seckill_refund_retry_steps[] = {
    ngx_rush_step(ngx_seckill_refund_retry),    /* mysql: the whole effect */
    ngx_rush_step(ngx_seckill_refund_decided),  /* mysql: reads it back */
    ngx_rush_step(ngx_seckill_refund_told),
    ngx_rush_null_step
};


ngx_rush_step_t  ngx_seckill_admin_refunds_steps[] = {
    ngx_rush_step(ngx_seckill_refunds_list),    /* mysql */
    ngx_rush_step(ngx_seckill_refunds_listed),
    ngx_rush_null_step
};


static ngx_int_t
ngx_seckill_refund_approve(ngx_rush_req_t *q)
{
    ngx_str_t  none = ngx_null_string;

    return ngx_seckill_refund_decide(q, RUSH_REFUND_APPROVED, &none);
}


static ngx_int_t
ngx_seckill_refund_reject(ngx_rush_req_t *q)
{
    ngx_seckill_refund_reject_t  *refund = q->data;

    return ngx_seckill_refund_decide(q, RUSH_REFUND_REJECTED,
                                     &refund->reason);
}


static ngx_int_t
ngx_seckill_refund_decide(ngx_rush_req_t *q, int64_t state, ngx_str_t *cause)
{
    ngx_seckill_refund_approve_t  *refund = q->data;

    ngx_rush_param_t  p[7];

    p[0] = ngx_rush_p_int(state);
    p[1] = ngx_rush_p_str(cause);
    p[2] = ngx_rush_p_int(q->user.user);
    p[3] = ngx_rush_p_int(ngx_rush_now_ms());
    p[4] = p[3];
    p[5] = ngx_rush_p_int(refund->id);
    p[6] = ngx_seckill_opt_int(q, "version", refund->version);

    return ngx_rush_query(q, &ngx_seckill_sql[NGX_SECKILL_SQL_REFUND_DECIDE],
                          p, 7, RUSH_INTERNAL);
}


static ngx_int_t
ngx_seckill_refund_retry(ngx_rush_req_t *q)
{
    ngx_seckill_refund_retry_t  *refund = q->data;

    ngx_rush_param_t  p[5];

    p[0] = ngx_rush_p_int(q->user.user);
    p[1] = ngx_rush_p_int(ngx_rush_now_ms());
    p[2] = p[1];
    p[3] = ngx_rush_p_int(refund->id);
    p[4] = ngx_seckill_opt_int(q, "version", refund->version);

    return ngx_rush_query(q, &ngx_seckill_sql[NGX_SECKILL_SQL_REFUND_AGAIN],
                          p, 5, RUSH_INTERNAL);
}


static ngx_int_t
ngx_seckill_refund_decided(ngx_rush_req_t *q)
{
    ngx_seckill_refund_approve_t  *refund = q->data;

    ngx_rush_param_t  p;

    refund->missed = (q->rows->affected == 0);

    if (!refund->missed) {
        ngx_seckill_pay_nudge("refund", refund->id);
    }

    p = ngx_rush_p_int(refund->id);

    return ngx_rush_query(q, &ngx_seckill_sql[NGX_SECKILL_SQL_REFUND_ONE], &p,
                          1, RUSH_INTERNAL);
}


static ngx_int_t
ngx_seckill_refund_told(ngx_rush_req_t *q)
{
    ngx_seckill_refund_approve_t  *refund = q->data;

    int64_t  state, wanted;

    if (q->rows->n == 0) {
        return RUSH_NOT_FOUND;
    }

    if (refund->missed) {
        state = ngx_rush_cell_int(q->rows, 0, F_STATE);
        wanted = q->route->steps == ngx_seckill_refund_retry_steps
                 ? RUSH_REFUND_FAILED : RUSH_REFUND_REQUESTED;

        return state == wanted ? RUSH_CONFLICT : RUSH_REFUND_STATE;
    }

    ngx_seckill_put_refund(&q->out, q->rows, 0, 1);

    return NGX_OK;
}


static ngx_int_t
ngx_seckill_refunds_list(ngx_rush_req_t *q)
{
    ngx_seckill_admin_refunds_t  *list = q->data;

    int64_t           provider;
    ngx_uint_t        i;
    ngx_rush_param_t  p[16];

    p[0] = ngx_rush_p_int(list->last_id ? list->last_id : INT64_MAX);
    p[1] = ngx_seckill_opt_int(q, "state", list->state);
    p[3] = ngx_rush_p_null();
    p[5] = ngx_rush_p_null();

    if (ngx_rush_given(q, "origin")) {

        i = ngx_seckill_find_name(ngx_seckill_origin_names,
                                  NGX_SECKILL_ORIGINS, &list->origin);

        if (i == NGX_SECKILL_ORIGINS) {
            return ngx_rush_refuse(q, "origin", "must be user, admin, late, "
                                   "second or mismatch");
        }

        p[3] = ngx_rush_p_int(i);
    }

    if (ngx_rush_given(q, "provider")) {
        provider = ngx_seckill_find_provider(&list->provider);

        if (provider == 0) {
            return ngx_rush_refuse(q, "provider", "is none");
        }

        p[5] = ngx_rush_p_int(provider);
    }

    p[7] = ngx_seckill_opt_int(q, "payment_id", list->payment_id);
    p[9] = ngx_seckill_opt_int(q, "user_id", list->user_id);
    p[11] = ngx_seckill_opt_str(q, "order_no", &list->order_no);

    for (i = 1; i < 13; i += 2) {
        p[i + 1] = p[i];
    }

    p[13] = ngx_rush_p_int(list->from);
    p[14] = ngx_rush_p_int(ngx_rush_given(q, "to") ? list->to : INT64_MAX);
    p[15] = ngx_rush_p_int(ngx_seckill_feed_size(list->page_size));

    return ngx_rush_query(q, &ngx_seckill_sql[NGX_SECKILL_SQL_REFUNDS_ANY], p,
                          16, RUSH_INTERNAL);
}


static ngx_int_t
ngx_seckill_refunds_listed(ngx_rush_req_t *q)
{
    ngx_seckill_admin_refunds_t  *list = q->data;

    ngx_uint_t  i;

    ngx_seckill_list_open(q);

    for (i = 0; i < q->rows->n; i++) {
        ngx_seckill_put_refund(&q->out, q->rows, i, 1);
    }

    ngx_seckill_feed_close(q, ngx_seckill_feed_size(list->page_size), F_ID);

    return NGX_OK;
}


void
ngx_seckill_put_refund(rush_buf_t *b, ngx_rush_rows_t *rows, ngx_uint_t row,
    ngx_uint_t admin)
{
    int64_t     state, origin;
    rush_str_t  *cause;

    state = ngx_rush_cell_int(rows, row, F_STATE);
    origin = ngx_rush_cell_int(rows, row, F_ORIGIN);
    cause = (rush_str_t *) ngx_rush_cell(rows, row, F_CAUSE);

    rush_json_open(b, NULL, '{');
    rush_json_id(b, "id", ngx_rush_cell_int(rows, row, F_ID));
    rush_json_id(b, "payment_id", ngx_rush_cell_int(rows, row, F_PAYMENT));
    rush_json_str(b, "order_no",
                  (rush_str_t *) ngx_rush_cell(rows, row, F_ORDER_NO));
    rush_json_int(b, "amount", ngx_rush_cell_int(rows, row, F_AMOUNT));
    rush_json_text(b, "currency", NGX_SECKILL_CURRENCY);
    rush_json_str(b, "reason",
                  (rush_str_t *) ngx_rush_cell(rows, row, F_REASON));
    rush_json_text(b, "origin",
                   ngx_seckill_name_of(ngx_seckill_origin_names, origin));
    rush_json_int(b, "state", state);
    rush_json_text(b, "state_text",
                   ngx_seckill_name_of(ngx_seckill_refund_names, state));

    if (cause->len && (admin || state == RUSH_REFUND_REJECTED)) {
        rush_json_str(b, "cause", cause);
    }

    rush_json_time(b, "created_at", ngx_rush_cell_int(rows, row, F_CREATED));
    rush_json_time(b, "done_at", ngx_rush_cell_int(rows, row, F_DONE));

    if (admin) {
        ngx_seckill_put_private(b, rows, row);
    }

    rush_json_close(b, '}');
}


static void
ngx_seckill_put_private(rush_buf_t *b, ngx_rush_rows_t *rows, ngx_uint_t row)
{
    u_char      text[sizeof(RUSH_REFUND_PREFIX) + NGX_INT64_LEN];
    rush_str_t  number;

    number.data = text;
    number.len = ngx_sprintf(text, RUSH_REFUND_PREFIX "%L",
                             ngx_rush_cell_int(rows, row, F_ID))
                 - text;

    rush_json_id(b, "user_id", ngx_rush_cell_int(rows, row, F_USER));
    rush_json_text(b, "provider", ngx_seckill_provider_name(
                                ngx_rush_cell_int(rows, row, F_PROVIDER)));
    rush_json_str(b, "out_refund_no", &number);
    rush_json_str(b, "provider_no",
                  (rush_str_t *) ngx_rush_cell(rows, row, F_PROVIDER_NO));
    rush_json_int(b, "total", ngx_rush_cell_int(rows, row, F_TOTAL));
    rush_json_bool(b, "reserved",
                   ngx_rush_cell_int(rows, row, F_RESERVED) != 0);
    rush_json_bool(b, "whole", ngx_rush_cell_int(rows, row, F_WHOLE) != 0);
    rush_json_bool(b, "units_back",
                   ngx_rush_cell_int(rows, row, F_UNITS_BACK) != 0);
    rush_json_id(b, "decided_by", ngx_rush_cell_int(rows, row, F_DECIDED_BY));
    rush_json_int(b, "tries", ngx_rush_cell_int(rows, row, F_TRIES));
    rush_json_time(b, "next_at", ngx_rush_cell_int(rows, row, F_NEXT));
    rush_json_time(b, "updated_at", ngx_rush_cell_int(rows, row, F_UPDATED));
    rush_json_int(b, "version", ngx_rush_cell_int(rows, row, F_VERSION));
}
