
/*
 * Copyright (C) Rush
 */


#include "ngx_seckill_pay.h"


static ngx_int_t ngx_seckill_pay_find(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_pay_ask(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_pay_synced(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_pay_known(ngx_rush_req_t *q);

static ngx_int_t ngx_seckill_pay_close(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_pay_closing(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_pay_closed(ngx_rush_req_t *q);


#define ngx_seckill_pay_status_steps                                          \
    ngx_rush_step(ngx_seckill_pay_find),        /* mysql */                   \
    ngx_rush_step(ngx_seckill_pay_ask),         /* mysql, with sync=1 */      \
    ngx_rush_step(ngx_seckill_pay_synced),                                    \
    ngx_rush_step(ngx_seckill_pay_sleep),                                     \
    ngx_rush_step(ngx_seckill_pay_look),        /* mysql */                   \
    ngx_rush_step(ngx_seckill_pay_known),                                     \
    ngx_rush_null_step

ngx_rush_step_t  ngx_seckill_payment_status_steps[] = {
    ngx_seckill_pay_status_steps
};

ngx_rush_step_t  ngx_seckill_wechat_query_steps[] = {
    ngx_seckill_pay_status_steps
};


#define ngx_seckill_pay_close_steps                                           \
    ngx_rush_step(ngx_seckill_pay_close),       /* mysql: the whole effect */ \
    ngx_rush_step(ngx_seckill_pay_closing),                                   \
    ngx_rush_step(ngx_seckill_pay_sleep),                                     \
    ngx_rush_step(ngx_seckill_pay_look),        /* mysql */                   \
    ngx_rush_step(ngx_seckill_pay_closed),                                    \
    ngx_rush_null_step

ngx_rush_step_t  ngx_seckill_payment_close_steps[] = {
    ngx_seckill_pay_close_steps
};

ngx_rush_step_t  ngx_seckill_wechat_close_steps[] = {
    ngx_seckill_pay_close_steps
};


static ngx_int_t
ngx_seckill_pay_find(ngx_rush_req_t *q)
{
    ngx_seckill_payment_status_t  *pay = q->data;

    pay->wait.payment = pay->id;

    return ngx_seckill_pay_look(q);
}


/* the consumer is at those that are asked or closing without being told */

static ngx_int_t
ngx_seckill_pay_ask(ngx_rush_req_t *q)
{
    ngx_seckill_payment_status_t  *pay = q->data;

    int64_t           now;
    ngx_rush_param_t  p[5];

    if (q->rows->n == 0) {
        return RUSH_NOT_FOUND;
    }

    if (!pay->sync
        || ngx_rush_cell_int(q->rows, 0, Y_STATE) != RUSH_PAYMENT_OPEN)
    {
        ngx_seckill_put_payment(&q->out, q->rows, 0);
        return NGX_DONE;
    }

    now = ngx_rush_now_ms();
    pay->version = ngx_rush_cell_int(q->rows, 0, Y_VERSION);

    p[0] = ngx_rush_p_int(now);
    p[1] = p[0];
    p[2] = ngx_rush_p_int(pay->id);
    p[3] = ngx_rush_p_int(q->user.user);
    p[4] = ngx_rush_p_int(now - NGX_SECKILL_PAY_SYNC);

    return ngx_rush_query(q, &ngx_seckill_sql[NGX_SECKILL_SQL_PAYMENT_SYNC],
                          p, 5, RUSH_INTERNAL);
}


static ngx_int_t
ngx_seckill_pay_synced(ngx_rush_req_t *q)
{
    ngx_seckill_payment_status_t  *pay = q->data;

    if (q->rows->affected == 0) {
        q->step++;                      /* asked just now: ngx_seckill_pay_
                                           look() */
        pay->version = 0;
        return NGX_OK;
    }

    ngx_seckill_pay_nudge("pay", pay->id);

    return NGX_OK;
}


/* who has asked the provider raises the version, whatever the answer was */

static ngx_int_t
ngx_seckill_pay_known(ngx_rush_req_t *q)
{
    ngx_seckill_payment_status_t  *pay = q->data;

    if (q->rows->n == 0) {
        return RUSH_NOT_FOUND;
    }

    if (ngx_rush_cell_int(q->rows, 0, Y_VERSION) == pay->version
        && ngx_seckill_pay_may_wait(q))
    {
        return ngx_seckill_pay_again(q);
    }

    ngx_seckill_put_payment(&q->out, q->rows, 0);

    return NGX_OK;
}


static ngx_int_t
ngx_seckill_pay_close(ngx_rush_req_t *q)
{
    ngx_seckill_payment_close_t  *pay = q->data;

    ngx_rush_param_t  p[4];

    pay->wait.payment = pay->id;

    p[0] = ngx_rush_p_int(ngx_rush_now_ms());
    p[1] = p[0];
    p[2] = ngx_rush_p_int(pay->id);
    p[3] = ngx_rush_p_int(q->user.user);

    return ngx_rush_query(q, &ngx_seckill_sql[NGX_SECKILL_SQL_PAYMENT_CLOSE],
                          p, 4, RUSH_INTERNAL);
}


static ngx_int_t
ngx_seckill_pay_closing(ngx_rush_req_t *q)
{
    ngx_seckill_payment_close_t  *pay = q->data;

    if (q->rows->affected == 0) {
        q->step++;                      /* ngx_seckill_pay_look() */
        return NGX_OK;
    }

    ngx_seckill_pay_nudge("close", pay->id);

    return NGX_OK;
}


/* a repeated close finds what the first one did */

static ngx_int_t
ngx_seckill_pay_closed(ngx_rush_req_t *q)
{
    int64_t  state;

    if (q->rows->n == 0) {
        return RUSH_NOT_FOUND;
    }

    state = ngx_rush_cell_int(q->rows, 0, Y_STATE);

    switch (state) {

    case RUSH_PAYMENT_ASKED:
    case RUSH_PAYMENT_OPEN:
        return RUSH_BUSY;               /* came between, nothing was done */

    case RUSH_PAYMENT_CLOSING:
        return ngx_seckill_pay_may_wait(q) ? ngx_seckill_pay_again(q)
                                           : ngx_seckill_pay_unknown(q);

    case RUSH_PAYMENT_CLOSED:
    case RUSH_PAYMENT_FAILED:
        ngx_seckill_put_payment(&q->out, q->rows, 0);
        return NGX_OK;
    }

    ngx_seckill_put_refusal(&q->out, ngx_rush_cell_int(q->rows, 0, Y_ID),
                            state, NULL);

    return RUSH_PAY_STATE;
}
