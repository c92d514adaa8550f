
/*
 * Copyright (C) Rush
 *
 * Input of the routes of payments and refunds, included by ngx_seckill.h.
 */


#ifndef _NGX_SECKILL_PAY_DATA_H_INCLUDED_
#define _NGX_SECKILL_PAY_DATA_H_INCLUDED_


#include "ngx_rush.h"


typedef struct {                        /* of a route that waits for the
                                           consumer */
    int64_t             payment;
    ngx_msec_t          started;        /* when waiting is set */
    ngx_msec_t          pause;
    unsigned            waiting:1;
} ngx_seckill_wait_t;


typedef struct {
    ngx_seckill_wait_t  wait;
    ngx_str_t           id;             /* order number, of a path */
    ngx_str_t           order_id;
    ngx_str_t           channel;
    int64_t             address_id;

    int64_t             order;          /* parts of order_id */
    int64_t             activity;
    int64_t             made;           /* id of the payment */
    ngx_uint_t          number;         /* of the channel */
    ngx_uint_t          provider;
    ngx_uint_t          tries;          /* to insert */
    unsigned            again:1;        /* Redis was asked */
} ngx_seckill_payment_create_t;

typedef ngx_seckill_payment_create_t  ngx_seckill_order_pay_t;

typedef ngx_seckill_payment_create_t  ngx_seckill_wechat_order_t;

typedef struct {
    ngx_seckill_wait_t  wait;
    union {
        int64_t         id;
        int64_t         payment_id;     /* of a body or a query */
    };
    int64_t             sync;
    int64_t             version;        /* before the question */
} ngx_seckill_payment_status_t;

typedef ngx_seckill_payment_status_t  ngx_seckill_payment_close_t;

typedef ngx_seckill_payment_status_t  ngx_seckill_wechat_query_t;

typedef ngx_seckill_payment_status_t  ngx_seckill_wechat_close_t;

typedef struct {
    int64_t             id;
    ngx_str_t           fault;
    int64_t             late_ms;

    int64_t             amount;         /* of the trade */
    int64_t             paid_ms;
    ngx_uint_t          notices;        /* to be sent */
    unsigned            paid:1;         /* by this request */
    unsigned            wrong:1;        /* the amount in the notice */
} ngx_seckill_sandbox_pay_t;

typedef struct {
    union {
        int64_t         id;             /* payment */
        int64_t         payment_id;     /* of a body */
    };
    int64_t             amount;
    ngx_str_t           reason;

    int64_t             made;           /* id of the refund */
    ngx_uint_t          tries;
    unsigned            found:1;        /* an earlier try has made it */
} ngx_seckill_payment_refund_t;

typedef ngx_seckill_payment_refund_t  ngx_seckill_admin_payment_refund_t;

typedef ngx_seckill_payment_refund_t  ngx_seckill_wechat_refund_t;

typedef struct {
    ngx_seckill_wait_t  wait;
    int64_t             id;             /* payment */
    int64_t             amount;
    ngx_str_t           reason;

    int64_t             made;           /* id of the refund */
    ngx_uint_t          tries;
    unsigned            asking:1;       /* the provider is to tell */
    unsigned            found:1;        /* an earlier request has made it */
} ngx_seckill_give_back_t;

typedef struct {
    int64_t             id;             /* payment */
    int64_t             refund_id;
    unsigned            mine:1;
} ngx_seckill_refund_detail_t;

typedef ngx_seckill_refund_detail_t   ngx_seckill_payment_refunds_t;

typedef struct {
    int64_t             id;             /* refund */
    int64_t             version;
    ngx_str_t           reason;
    unsigned            missed:1;       /* no row was changed */
} ngx_seckill_refund_approve_t;

typedef ngx_seckill_refund_approve_t  ngx_seckill_refund_reject_t;

typedef ngx_seckill_refund_approve_t  ngx_seckill_refund_retry_t;

typedef struct {
    int64_t             last_id;
    int64_t             page_size;
    int64_t             state;
    int64_t             user_id;
    int64_t             payment_id;
    int64_t             from;
    int64_t             to;
    ngx_str_t           order_no;
    ngx_str_t           channel;
    ngx_str_t           provider;
    ngx_str_t           transaction_id;
    ngx_str_t           origin;
} ngx_seckill_admin_payments_t;

typedef ngx_seckill_admin_payments_t  ngx_seckill_admin_refunds_t;

typedef struct {
    int64_t             id;             /* payment */
    int64_t             last_id;
    int64_t             page_size;
} ngx_seckill_payment_notices_t;

typedef struct {
    int64_t             last_id;
    int64_t             page_size;
    ngx_str_t           state;
} ngx_seckill_admin_notices_t;

typedef struct {
    int64_t             id;             /* notice */
    ngx_str_t           reason;
} ngx_seckill_notice_close_t;

typedef struct {
    int64_t             day;
    int64_t             last_id;
    ngx_str_t           provider;
    ngx_uint_t          number;         /* of the provider */
} ngx_seckill_bill_t;

typedef ngx_seckill_bill_t            ngx_seckill_bill_ask_t;

typedef struct {
    int64_t             from;           /* days */
    int64_t             to;
    int64_t             shop_id;
    int64_t             page;
    int64_t             page_size;
    ngx_str_t           provider;
    int64_t             total;          /* rows, counted first */
} ngx_seckill_settlements_t;


#endif /* _NGX_SECKILL_PAY_DATA_H_INCLUDED_ */
