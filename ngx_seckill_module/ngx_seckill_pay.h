
/*
 * Copyright (C) Rush
 *
 * Payments and refunds in a worker: it writes down what is wanted, gives the
 * consumer a hint and looks at the row for a while.  It calls no provider.
 */


#ifndef _NGX_SECKILL_PAY_H_INCLUDED_
#define _NGX_SECKILL_PAY_H_INCLUDED_


#include "ngx_seckill_row.h"
#include "rush_notice.h"
#include "rush_pay.h"


/* orders.status, of which money can go back */
#define NGX_SECKILL_PAID        2
#define NGX_SECKILL_SHIPPED     3
#define NGX_SECKILL_DONE        4
#define NGX_SECKILL_EXPIRED     8

#define NGX_SECKILL_STOCK_HELD  0       /* orders.stock_state */

#define NGX_SECKILL_PAY_WAIT    2500    /* ms, for the consumer */
#define NGX_SECKILL_PAY_FIRST   40      /* ms, until the first look */
#define NGX_SECKILL_PAY_MOST    320     /* ms, between two looks */
#define NGX_SECKILL_PAY_POLL    1000    /* ms, told to clients */

#define NGX_SECKILL_PAY_SYNC    3000    /* ms, between two questions to the
                                           provider about one payment */


/* columns of payment_mine */

enum {
    Y_ID = 0, Y_ORDER_NO, Y_CHANNEL, Y_AMOUNT, Y_STATE, Y_PARAMS, Y_CAUSE,
    Y_REFUNDED, Y_RETURNED, Y_DEADLINE, Y_PAID, Y_CLOSED, Y_CREATED,
    Y_VERSION
};


/* columns of every statement that reads refunds */

enum {
    F_ID = 0, F_PAYMENT, F_ORDER_NO, F_USER, F_PROVIDER, F_AMOUNT, F_TOTAL,
    F_REASON, F_ORIGIN, F_STATE, F_RESERVED, F_WHOLE, F_UNITS_BACK,
    F_PROVIDER_NO, F_CAUSE, F_DECIDED_BY, F_TRIES, F_NEXT, F_DONE, F_CREATED,
    F_UPDATED, F_VERSION
};


/*
 * The last three steps of a route that waits are
 *
 *     ngx_seckill_pay_sleep   asleep for a while
 *     ngx_seckill_pay_look    mysql: payment_mine
 *     one of the route        NGX_OK, or ngx_seckill_pay_again()
 *
 * and the first member of q->data is ngx_seckill_wait_t.
 */

ngx_int_t ngx_seckill_pay_sleep(ngx_rush_req_t *q);
ngx_int_t ngx_seckill_pay_look(ngx_rush_req_t *q);
ngx_int_t ngx_seckill_pay_again(ngx_rush_req_t *q);

/* whether there is time to look once more */
ngx_uint_t ngx_seckill_pay_may_wait(ngx_rush_req_t *q);

/* UNKNOWN, with where to ask */
ngx_int_t ngx_seckill_pay_unknown(ngx_rush_req_t *q);

/* {"payment_id":...,"state":...} of a refusal */
void ngx_seckill_put_refusal(rush_buf_t *b, int64_t payment, int64_t state,
    ngx_str_t *cause);

/* a row of payment_mine */
void ngx_seckill_put_payment(rush_buf_t *b, ngx_rush_rows_t *rows,
    ngx_uint_t row);

/* "" for what is no state */
const char *ngx_seckill_payment_name(int64_t state);

/* what buyers are told of a cause, which is for operators */
const char *ngx_seckill_pay_class(ngx_str_t *cause);

/* a hint for the teller; kind "pay", "close" or "refund".  Nobody waits */
void ngx_seckill_pay_nudge(const char *kind, int64_t id);


/* REFUND_SUM, with what is left */
ngx_int_t ngx_seckill_refund_refuse(ngx_rush_req_t *q, int64_t left);

/* a refund; admin: with what buyers are not told */
void ngx_seckill_put_refund(rush_buf_t *b, ngx_rush_rows_t *rows,
    ngx_uint_t row, ngx_uint_t admin);

/* --- channels (ngx_seckill_pay_conf.c) --- */

typedef struct {
    ngx_str_t             name;
    ngx_uint_t            channel;      /* RUSH_CHANNEL_* */
    ngx_uint_t            provider;     /* RUSH_PROVIDER_* */
} ngx_seckill_channel_t;

/* slot of "seckill_pay_channels name ...": bits of channels */
char *ngx_seckill_pay_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

const ngx_seckill_channel_t *ngx_seckill_find_channel(ngx_str_t *name);
const char *ngx_seckill_channel_name(int64_t channel);
const char *ngx_seckill_provider_name(int64_t provider);

/* 0: there is no such provider */
ngx_uint_t ngx_seckill_find_provider(ngx_str_t *name);

#define ngx_seckill_is_offered(channel)                                       \
    ((ngx_seckill_conf->pay_channels >> (channel)) & 1)


#endif /* _NGX_SECKILL_PAY_H_INCLUDED_ */
