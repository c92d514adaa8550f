
/*
 * Copyright (C) Rush
 */


#include "ngx_seckill_pay.h"


/*
 * The sandbox is a provider of our own: its trades are rows that the consumer
 * makes as it would ask WeChat for one.  Here the buyer pays such a trade, and
 * the notice goes where a verified one of a real provider goes.  When it is
 * lost the consumer finds the trade by asking for it.
 */


/* columns of sandbox_trade */

enum {
    T_STATE = 0, T_AMOUNT, T_PAID
};


static ngx_int_t ngx_seckill_sandbox_check(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_sandbox_paid(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_sandbox_wait(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_sandbox_tell(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_sandbox_told(ngx_rush_req_t *q);

static void ngx_seckill_put_trade(rush_buf_t *b,
    ngx_seckill_sandbox_pay_t *pay);


ngx_rush_step_t  ngx_seckill_sandbox_pay_steps[] = {
    ngx_rush_step(ngx_seckill_sandbox_check),   /* mysql: the whole effect */
    ngx_rush_step(ngx_seckill_sandbox_paid),    /* mysql: the trade */
    ngx_rush_step(ngx_seckill_sandbox_wait),    /* asleep, as asked */
    ngx_rush_step(ngx_seckill_sandbox_tell),    /* redis: the notice */
    ngx_rush_step(ngx_seckill_sandbox_told),
    ngx_rush_null_step
};


static ngx_int_t
ngx_seckill_sandbox_check(ngx_rush_req_t *q)
{
    ngx_seckill_sandbox_pay_t  *pay = q->data;

    ngx_str_t         *fault;
    ngx_rush_param_t   p[3];

    if (!ngx_seckill_is_offered(RUSH_CHANNEL_SANDBOX)) {
        return RUSH_NOT_FOUND;
    }

    fault = &pay->fault;
    pay->notices = 1;

#define ngx_seckill_fault_is(text)                                            \
    (fault->len == sizeof(text) - 1                                           \
     && ngx_memcmp(fault->data, text, sizeof(text) - 1) == 0)

    if (ngx_seckill_fault_is("lost")) {
        pay->notices = 0;

    } else if (ngx_seckill_fault_is("twice")) {
        pay->notices = 2;

    } else if (ngx_seckill_fault_is("wrong_amount")) {
        pay->wrong = 1;

    } else if (fault->len && !ngx_seckill_fault_is("none")) {
        return ngx_rush_refuse(q, "fault",
                               "must be none, lost, twice or wrong_amount");
    }

#undef ngx_seckill_fault_is

    p[0] = ngx_rush_p_int(ngx_rush_now_ms());
    p[1] = ngx_rush_p_int(pay->id);
    p[2] = ngx_rush_p_int(q->user.user);

    return ngx_rush_query(q, &ngx_seckill_sql[NGX_SECKILL_SQL_SANDBOX_PAY], p,
                          3, RUSH_INTERNAL);
}


static ngx_int_t
ngx_seckill_sandbox_paid(ngx_rush_req_t *q)
{
    ngx_seckill_sandbox_pay_t  *pay = q->data;

    ngx_rush_param_t  p[2];

    pay->paid = (q->rows->affected != 0);

    p[0] = ngx_rush_p_int(pay->id);
    p[1] = ngx_rush_p_int(q->user.user);

    return ngx_rush_query(q, &ngx_seckill_sql[NGX_SECKILL_SQL_SANDBOX_TRADE],
                          p, 2, RUSH_INTERNAL);
}


static ngx_int_t
ngx_seckill_sandbox_wait(ngx_rush_req_t *q)
{
    ngx_seckill_sandbox_pay_t  *pay = q->data;

    if (q->rows->n == 0) {
        return RUSH_NOT_FOUND;
    }

    if (!pay->paid) {
        return RUSH_PAY_STATE;          /* not there yet, paid, or closed */
    }

    pay->amount = ngx_rush_cell_int(q->rows, 0, T_AMOUNT);
    pay->paid_ms = ngx_rush_cell_int(q->rows, 0, T_PAID);

    return pay->late_ms ? ngx_rush_sleep(q, pay->late_ms) : NGX_OK;
}


static ngx_int_t
ngx_seckill_sandbox_tell(ngx_rush_req_t *q)
{
    ngx_seckill_sandbox_pay_t  *pay = q->data;

    u_char      key[sizeof("sbx") + NGX_INT64_LEN], now[NGX_INT64_LEN];
    ngx_int_t   rc;
    ngx_str_t   args[13];
    rush_buf_t  b;

    if (pay->notices == 0) {
        return NGX_OK;
    }

    ngx_memzero(&b, sizeof(rush_buf_t));
    ngx_seckill_put_trade(&b, pay);

    if (b.failed) {
        rush_buf_free(&b);
        return NGX_ERROR;
    }

    ngx_str_set(&args[0], "XADD");
    ngx_str_set(&args[1], RUSH_NOTICE_KEY);
    ngx_str_set(&args[2], "*");
    ngx_str_set(&args[3], "p");
    ngx_str_set(&args[4], RUSH_NOTICE_SANDBOX);
    ngx_str_set(&args[5], "k");
    ngx_str_set(&args[6], RUSH_NOTICE_PAY);
    ngx_str_set(&args[7], "n");
    args[8].data = key;
    args[8].len = ngx_sprintf(key, "sbx%L", pay->id) - key;
    ngx_str_set(&args[9], "b");
    args[10].data = b.data;
    args[10].len = b.len;
    ngx_str_set(&args[11], "r");
    args[12].data = now;
    args[12].len = ngx_sprintf(now, "%L", ngx_rush_now_ms()) - now;

    rc = ngx_rush_redis(q, 13, args, NGX_OK);

    rush_buf_free(&b);                  /* arguments are copied */

    return rc == NGX_AGAIN ? NGX_AGAIN : NGX_OK;
}


static ngx_int_t
ngx_seckill_sandbox_told(ngx_rush_req_t *q)
{
    ngx_seckill_sandbox_pay_t  *pay = q->data;

    if (q->reply && pay->notices > 1) {
        pay->notices--;
        q->step -= 2;                   /* ngx_seckill_sandbox_tell() */
        return NGX_OK;
    }

    rush_json_open(&q->out, NULL, '{');
    rush_json_id(&q->out, "id", pay->id);
    rush_json_time(&q->out, "paid_at", pay->paid_ms);
    rush_json_text(&q->out, "notice", q->reply ? "sent" : "lost");
    rush_json_close(&q->out, '}');

    return NGX_OK;
}


/* as WeChat's decrypted resource */

static void
ngx_seckill_put_trade(rush_buf_t *b, ngx_seckill_sandbox_pay_t *pay)
{
    u_char      text[sizeof("SBX") + NGX_INT64_LEN];
    rush_str_t  number;

    number.data = text;
    number.len = ngx_sprintf(text, "SBX%L", pay->id) - text;

    rush_json_open(b, NULL, '{');
    rush_json_id(b, "out_trade_no", pay->id);
    rush_json_str(b, "transaction_id", &number);
    rush_json_text(b, "trade_type", "SANDBOX");
    rush_json_text(b, "trade_state", "SUCCESS");
    rush_json_time(b, "success_time", pay->paid_ms);
    rush_json_open(b, "amount", '{');
    rush_json_int(b, "total", pay->amount + pay->wrong);
    rush_json_text(b, "currency", NGX_SECKILL_CURRENCY);
    rush_json_close(b, '}');
    rush_json_close(b, '}');
}
