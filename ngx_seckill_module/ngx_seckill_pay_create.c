
/*
 * Copyright (C) Rush
 */


#include "ngx_seckill_pay.h"


#define NGX_SECKILL_PAY_TRIES  3        /* to insert */


/* columns of payment_why */

enum {
    W_USER = 0, W_STATUS, W_STOCK_STATE, W_DEADLINE, W_AMOUNT, W_PAYER,
    W_PAYMENT, W_CHANNEL, W_STATE
};


static ngx_int_t ngx_seckill_pay_check(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_pay_addressed(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_pay_insert(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_pay_inserted(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_pay_explained(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_pay_held(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_pay_asked(ngx_rush_req_t *q);

static ngx_int_t ngx_seckill_pay_refuse(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_pay_found(ngx_rush_req_t *q);


/* an order has one open payment: u_open refuses the second, whoever asks */

#define ngx_seckill_pay_steps                                                 \
    ngx_rush_step(ngx_seckill_pay_check),       /* mysql: the address */      \
    ngx_rush_step(ngx_seckill_pay_addressed),   /* mysql, if not changed */   \
    ngx_rush_step(ngx_seckill_pay_insert),      /* mysql: the whole effect */ \
    ngx_rush_step(ngx_seckill_pay_inserted),    /* mysql, if refused: why */  \
    ngx_rush_step(ngx_seckill_pay_explained),   /* redis, without a row */    \
    ngx_rush_step(ngx_seckill_pay_held),                                      \
    ngx_rush_step(ngx_seckill_pay_sleep),                                     \
    ngx_rush_step(ngx_seckill_pay_look),        /* mysql */                   \
    ngx_rush_step(ngx_seckill_pay_asked),                                     \
    ngx_rush_null_step

ngx_rush_step_t  ngx_seckill_payment_create_steps[] = {
    ngx_seckill_pay_steps
};

ngx_rush_step_t  ngx_seckill_order_pay_steps[] = {
    ngx_seckill_pay_steps
};

ngx_rush_step_t  ngx_seckill_wechat_order_steps[] = {
    ngx_seckill_pay_steps
};


static ngx_int_t
ngx_seckill_pay_check(ngx_rush_req_t *q)
{
    ngx_seckill_payment_create_t  *pay = q->data;

    ngx_rush_param_t              p[3];
    const ngx_seckill_channel_t  *channel;

    if (q->route->steps == ngx_seckill_order_pay_steps) {
        pay->order_id = pay->id;
    }

    if (rush_order_no_parse(pay->order_id.data, pay->order_id.len,
                            &pay->order, &pay->activity)
        != RUSH_OK)
    {
        return RUSH_NOT_FOUND;
    }

    if (pay->channel.len == 0) {
        ngx_str_set(&pay->channel, "wechat_native");    /* may be left out
                                                           there only */
    }

    channel = ngx_seckill_find_channel(&pay->channel);

    if (channel == NULL || !ngx_seckill_is_offered(channel->channel)
        || (q->route->steps == ngx_seckill_wechat_order_steps
            && channel->provider != RUSH_PROVIDER_WECHAT))
    {
        return RUSH_PAY_CHANNEL;
    }

    pay->number = channel->channel;
    pay->provider = channel->provider;

    if (pay->address_id == 0) {
        return NGX_OK;
    }

    p[0] = ngx_rush_p_int(pay->address_id);
    p[1] = ngx_rush_p_str(&pay->order_id);
    p[2] = ngx_rush_p_int(q->user.user);

    return ngx_rush_query(q, &ngx_seckill_sql[NGX_SECKILL_SQL_ORDER_ADDRESS],
                          p, 3, RUSH_INTERNAL);
}


/* one that is set stays; the one that was named must be there all the same */

static ngx_int_t
ngx_seckill_pay_addressed(ngx_rush_req_t *q)
{
    ngx_seckill_payment_create_t  *pay = q->data;

    ngx_rush_param_t  p[2];

    if (q->rows == NULL || q->rows->affected) {
        return NGX_OK;
    }

    p[0] = ngx_rush_p_int(pay->address_id);
    p[1] = ngx_rush_p_int(q->user.user);

    return ngx_rush_query(q,
                          &ngx_seckill_sql[NGX_SECKILL_SQL_ADDRESS_IS_MINE],
                          p, 2, RUSH_INTERNAL);
}


static ngx_int_t
ngx_seckill_pay_insert(ngx_rush_req_t *q)
{
    ngx_seckill_payment_create_t  *pay = q->data;

    int64_t           now;
    ngx_rush_param_t  p[12];

    if (q->rows && q->rows->cols && q->rows->n == 0) {
        return RUSH_ADDRESS_UNKNOWN;
    }

    if (pay->made == 0) {
        pay->made = ngx_rush_made_id(q);

        if (pay->made == 0) {
            return RUSH_BUSY;
        }
    }

    now = ngx_rush_now_ms();

    p[0] = ngx_rush_p_int(pay->made);
    p[1] = ngx_rush_p_int(pay->provider);
    p[2] = ngx_rush_p_int(pay->number);
    p[3] = p[2];
    p[4] = ngx_rush_p_str(&q->r->connection->addr_text);
    p[5] = ngx_rush_p_int(now);
    p[6] = p[5];
    p[7] = p[5];
    p[8] = ngx_rush_p_str(&pay->order_id);
    p[9] = ngx_rush_p_int(q->user.user);
    p[10] = p[5];
    p[11] = p[2];

    return ngx_rush_query(q, &ngx_seckill_sql[NGX_SECKILL_SQL_PAYMENT_INSERT],
                          p, 12, NGX_OK);
}


static ngx_int_t
ngx_seckill_pay_inserted(ngx_rush_req_t *q)
{
    ngx_seckill_payment_create_t  *pay = q->data;

    ngx_rush_param_t  p[3];

    if (q->rows && q->rows->affected) {
        pay->wait.payment = pay->made;
        ngx_seckill_pay_nudge("pay", pay->made);

        q->step += 2;                   /* ngx_seckill_pay_sleep() */
        return NGX_OK;
    }

    p[0] = ngx_rush_p_int(pay->made);
    p[1] = ngx_rush_p_str(&pay->order_id);
    p[2] = p[0];

    return ngx_rush_query(q, &ngx_seckill_sql[NGX_SECKILL_SQL_PAYMENT_WHY], p,
                          3, RUSH_INTERNAL);
}


static ngx_int_t
ngx_seckill_pay_explained(ngx_rush_req_t *q)
{
    ngx_seckill_payment_create_t  *pay = q->data;

    if (q->rows->n) {

        if (ngx_rush_cell_int(q->rows, 0, W_USER) != q->user.user) {
            return RUSH_NOT_FOUND;
        }

        return ngx_rush_cell(q->rows, 0, W_PAYMENT)->len
               ? ngx_seckill_pay_found(q) : ngx_seckill_pay_refuse(q);
    }

    if (pay->again || !ngx_seckill_is_young(pay->order)) {
        return RUSH_NOT_FOUND;
    }

    return ngx_seckill_ask_order(q, &pay->order_id, pay->activity);
}


/* there is a payment already */

static ngx_int_t
ngx_seckill_pay_found(ngx_rush_req_t *q)
{
    ngx_seckill_payment_create_t  *pay = q->data;

    int64_t  state;

    pay->wait.payment = ngx_rush_cell_int(q->rows, 0, W_PAYMENT);
    state = ngx_rush_cell_int(q->rows, 0, W_STATE);

    /* one that is open outlives its order until the consumer closes it */

    if (pay->wait.payment != pay->made
        && ngx_rush_cell_int(q->rows, 0, W_STATUS) != RUSH_ORDER_TO_PAY)
    {
        return RUSH_ORDER_STATE;
    }

    if (pay->wait.payment != pay->made
        && (state == RUSH_PAYMENT_CLOSING
            || ngx_rush_cell_int(q->rows, 0, W_CHANNEL)
               != (int64_t) pay->number))
    {
        ngx_seckill_put_refusal(&q->out, pay->wait.payment, state, NULL);
        return RUSH_PAY_OPEN;
    }

    q->step += 2;                       /* ngx_seckill_pay_look() */

    return NGX_OK;
}


static ngx_int_t
ngx_seckill_pay_refuse(ngx_rush_req_t *q)
{
    ngx_seckill_payment_create_t  *pay = q->data;

    ngx_rush_rows_t  *rows;

    rows = q->rows;

    if (ngx_rush_cell_int(rows, 0, W_STATUS) != RUSH_ORDER_TO_PAY
        || ngx_rush_cell_int(rows, 0, W_STOCK_STATE) != NGX_SECKILL_STOCK_HELD
        || ngx_rush_cell_int(rows, 0, W_DEADLINE) <= ngx_rush_now_ms())
    {
        return RUSH_ORDER_STATE;
    }

    if (ngx_rush_cell_int(rows, 0, W_AMOUNT) == 0) {
        return RUSH_NOTHING_TO_PAY;        /* no provider takes that */
    }

    if (pay->number == RUSH_CHANNEL_WECHAT_JSAPI
        && ngx_rush_cell_int(rows, 0, W_PAYER) == 0)
    {
        return RUSH_PAYER_UNKNOWN;
    }

    /* what stood in the way has gone since */

    if (++pay->tries == NGX_SECKILL_PAY_TRIES) {
        return RUSH_BUSY;
    }

    q->step -= 3;                       /* ngx_seckill_pay_insert() */

    return NGX_OK;
}


/* the row may have come since MySQL was asked */

static ngx_int_t
ngx_seckill_pay_held(ngx_rush_req_t *q)
{
    ngx_seckill_payment_create_t  *pay = q->data;

    if (ngx_seckill_is_coming(q, pay->activity)) {
        return RUSH_ORDER_PROCESSING;
    }

    pay->again = 1;
    q->step -= 4;                       /* ngx_seckill_pay_insert() */

    return NGX_OK;
}


static ngx_int_t
ngx_seckill_pay_asked(ngx_rush_req_t *q)
{
    ngx_seckill_payment_create_t  *pay = q->data;

    int64_t  state;

    if (q->rows->n == 0) {
        return RUSH_NOT_FOUND;
    }

    state = ngx_rush_cell_int(q->rows, 0, Y_STATE);

    switch (state) {

    case RUSH_PAYMENT_ASKED:
        return ngx_seckill_pay_may_wait(q) ? ngx_seckill_pay_again(q)
                                           : ngx_seckill_pay_unknown(q);

    case RUSH_PAYMENT_CLOSING:
    case RUSH_PAYMENT_CLOSED:           /* meanwhile, by another request */
        ngx_seckill_put_refusal(&q->out, pay->wait.payment, state, NULL);
        return RUSH_PAY_STATE;

    case RUSH_PAYMENT_FAILED:
        ngx_seckill_put_refusal(&q->out, pay->wait.payment, state,
                                ngx_rush_cell(q->rows, 0, Y_CAUSE));
        return RUSH_PAY_FAILED;
    }

    ngx_seckill_put_payment(&q->out, q->rows, 0);

    return NGX_OK;
}
