
/*
 * Copyright (C) Rush
 */


#include "ngx_seckill_pay.h"


#define NGX_SECKILL_DIFFS     100       /* of one answer */
#define NGX_SECKILL_BILL_DAY  86400000LL        /* ms */


/* columns of bill_one and bill_diffs */

enum {
    B_DAY = 0, B_PROVIDER, B_STATE, B_TRADES, B_PAID, B_REFUNDS, B_REFUNDED,
    B_FEE, B_DIFFS, B_CAUSE, B_CREATED, B_UPDATED
};

enum {
    D_ID = 0, D_KIND, D_NUMBER, D_OURS, D_THEIRS
};


static ngx_int_t ngx_seckill_bill_check(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_bill_find(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_bill_found(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_bill_told(ngx_rush_req_t *q);

static ngx_int_t ngx_seckill_bill_input(ngx_rush_req_t *q);
static ngx_uint_t ngx_seckill_is_over(int64_t day);


ngx_rush_step_t  ngx_seckill_bill_ask_steps[] = {
    ngx_rush_step(ngx_seckill_bill_check),      /* mysql: the whole effect */
    ngx_rush_step(ngx_seckill_bill_find),       /* mysql: reads it back */
    ngx_rush_step(ngx_seckill_bill_found),      /* mysql: differences */
    ngx_rush_step(ngx_seckill_bill_told),
    ngx_rush_null_step
};


ngx_rush_step_t  ngx_seckill_bill_steps[] = {
    ngx_rush_step(ngx_seckill_bill_input),
    ngx_rush_step(ngx_seckill_bill_find),       /* mysql */
    ngx_rush_step(ngx_seckill_bill_found),      /* mysql: differences */
    ngx_rush_step(ngx_seckill_bill_told),
    ngx_rush_null_step
};


static ngx_int_t
ngx_seckill_bill_input(ngx_rush_req_t *q)
{
    ngx_seckill_bill_t  *bill = q->data;

    bill->number = ngx_seckill_find_provider(&bill->provider);

    if (bill->number == 0 || bill->number == RUSH_PROVIDER_WALLET) {
        return ngx_rush_refuse(q, "provider",
                               "must be wechat, alipay or sandbox");
    }

    return NGX_OK;
}


static ngx_int_t
ngx_seckill_bill_check(ngx_rush_req_t *q)
{
    ngx_seckill_bill_ask_t  *bill = q->data;

    ngx_int_t         rc;
    ngx_rush_param_t  p[5];

    rc = ngx_seckill_bill_input(q);

    if (rc != NGX_OK) {
        return rc;
    }

    if (!ngx_seckill_is_over(bill->day)) {
        return ngx_rush_refuse(q, "day", "must be a day that is over");
    }

    q->object = bill->day;

    p[0] = ngx_rush_p_int(bill->day);
    p[1] = ngx_rush_p_int(bill->number);
    p[2] = ngx_rush_p_int(ngx_rush_now_ms());
    p[3] = p[2];
    p[4] = p[2];

    return ngx_rush_query(q, &ngx_seckill_sql[NGX_SECKILL_SQL_BILL_ASK], p, 5,
                          RUSH_INTERNAL);
}


/* a day of the calendar, before that of now in China */

static ngx_uint_t
ngx_seckill_is_over(int64_t day)
{
    u_char   text[sizeof("YYYY-MM-DDT00:00:00+08:00")];
    int64_t  start;
    size_t   len;

    len = ngx_sprintf(text, "%04L-%02L-%02LT00:00:00+08:00", day / 10000,
                      day / 100 % 100, day % 100)
          - text;

    return rush_parse_time(text, len, &start) == RUSH_OK
           && start + NGX_SECKILL_BILL_DAY <= ngx_rush_now_ms();
}


static ngx_int_t
ngx_seckill_bill_find(ngx_rush_req_t *q)
{
    ngx_seckill_bill_t  *bill = q->data;

    ngx_rush_param_t  p[2];

    p[0] = ngx_rush_p_int(bill->day);
    p[1] = ngx_rush_p_int(bill->number);

    return ngx_rush_query(q, &ngx_seckill_sql[NGX_SECKILL_SQL_BILL_ONE], p, 2,
                          RUSH_INTERNAL);
}


static ngx_int_t
ngx_seckill_bill_found(ngx_rush_req_t *q)
{
    ngx_seckill_bill_t  *bill = q->data;

    int64_t            state;
    rush_buf_t        *b;
    ngx_rush_rows_t   *rows;
    ngx_rush_param_t   p[4];

    static const char  *names[] = { "asked", "done", "failed" };

    b = &q->out;
    rows = q->rows;

    if (rows->n == 0) {
        return RUSH_NOT_FOUND;
    }

    state = ngx_rush_cell_int(rows, 0, B_STATE);

    rush_json_open(b, NULL, '{');
    rush_json_int(b, "day", bill->day);
    rush_json_text(b, "provider", ngx_seckill_provider_name(bill->number));
    rush_json_int(b, "state", state);
    rush_json_text(b, "state_text",
                   (state >= 0 && state < 3) ? names[state] : "");
    rush_json_int(b, "trades", ngx_rush_cell_int(rows, 0, B_TRADES));
    rush_json_int(b, "paid", ngx_rush_cell_int(rows, 0, B_PAID));
    rush_json_int(b, "refunds", ngx_rush_cell_int(rows, 0, B_REFUNDS));
    rush_json_int(b, "refunded", ngx_rush_cell_int(rows, 0, B_REFUNDED));
    rush_json_int(b, "fee", ngx_rush_cell_int(rows, 0, B_FEE));
    rush_json_int(b, "diffs", ngx_rush_cell_int(rows, 0, B_DIFFS));
    rush_json_str(b, "cause",
                  (rush_str_t *) ngx_rush_cell(rows, 0, B_CAUSE));
    rush_json_time(b, "created_at", ngx_rush_cell_int(rows, 0, B_CREATED));
    rush_json_time(b, "updated_at", ngx_rush_cell_int(rows, 0, B_UPDATED));

    p[0] = ngx_rush_p_int(bill->day);
    p[1] = ngx_rush_p_int(bill->number);
    p[2] = ngx_rush_p_int(bill->last_id);
    p[3] = ngx_rush_p_int(NGX_SECKILL_DIFFS);

    return ngx_rush_query(q, &ngx_seckill_sql[NGX_SECKILL_SQL_BILL_DIFFS], p,
                          4, RUSH_INTERNAL);
}


static ngx_int_t
ngx_seckill_bill_told(ngx_rush_req_t *q)
{
    rush_buf_t       *b;
    ngx_uint_t        i;
    ngx_rush_rows_t  *rows;

    b = &q->out;
    rows = q->rows;

    rush_json_open(b, "differences", '[');

    for (i = 0; i < rows->n; i++) {
        rush_json_open(b, NULL, '{');
        rush_json_id(b, "id", ngx_rush_cell_int(rows, i, D_ID));
        rush_json_str(b, "kind",
                      (rush_str_t *) ngx_rush_cell(rows, i, D_KIND));
        rush_json_str(b, "number",
                      (rush_str_t *) ngx_rush_cell(rows, i, D_NUMBER));
        rush_json_int(b, "ours", ngx_rush_cell_int(rows, i, D_OURS));
        rush_json_int(b, "theirs", ngx_rush_cell_int(rows, i, D_THEIRS));
        rush_json_close(b, '}');
    }

    ngx_seckill_feed_close(q, NGX_SECKILL_DIFFS, D_ID);

    return NGX_OK;
}
