
/*
 * Copyright (C) Rush
 *
 * Orders: input of their routes, their rows.
 */


#ifndef _NGX_SECKILL_ORDER_H_INCLUDED_
#define _NGX_SECKILL_ORDER_H_INCLUDED_


#include "ngx_seckill_row.h"


/* what orders_any_after and order_whole add to the columns of order_any */

enum {
    O_SHOP = O_VERSION + 1, O_REMARK, O_ADDRESS, O_PAY_TYPE, O_TRADE_CODE,
    O_REDEEMED, O_SHIPPED, O_DONE, O_CARRIER, O_TRACKING, O_HIDDEN,

    /* order_whole only: a row for each change, NULL when there is none */

    O_LOG_FROM, O_LOG_TO, O_LOG_VERSION, O_LOG_KIND, O_LOG_ACTOR,
    O_LOG_REASON, O_LOG_TIME
};


/* who looks */

#define NGX_SECKILL_OWNER      0
#define NGX_SECKILL_CLERK      1        /* an administrator: mobile numbers
                                           are masked */
#define NGX_SECKILL_PRIVY      2        /* one who may see them */

/* of the caller of a route with a permission */
ngx_uint_t ngx_seckill_viewer(ngx_rush_req_t *q);

/* everything of the order in q->rows, from order_whole */
void ngx_seckill_put_order_whole(ngx_rush_req_t *q, ngx_uint_t viewer);

/* asks for it; order_no is borrowed for the call */
ngx_int_t ngx_seckill_read_whole(ngx_rush_req_t *q, ngx_str_t *order_no);


typedef struct {                        /* the address of an order, text */
    rush_str_t          receiver;
    rush_str_t          mobile;
    rush_str_t          province;
    rush_str_t          city;
    rush_str_t          district;
    rush_str_t          detail;
    rush_str_t          postcode;
} ngx_seckill_place_t;

#define NGX_SECKILL_PLACE      8192     /* bytes of one as JSON */
#define NGX_SECKILL_MOBILE     32       /* bytes of a masked number */

/* buf (NGX_SECKILL_PLACE bytes) holds the text; an empty one leaves all of it
 * empty */
void ngx_seckill_read_place(ngx_str_t *json, u_char *buf,
    ngx_seckill_place_t *place);

/* points *mobile to masked, which has NGX_SECKILL_MOBILE bytes */
void ngx_seckill_mask(rush_str_t *mobile, u_char *masked);


/* orders of administrators in pieces (ngx_seckill_order_csv.c): what the last
 * step of the list does for export=csv, and what it calls for the next page */

ngx_int_t ngx_seckill_csv_begin(ngx_rush_req_t *q);
ngx_int_t ngx_seckill_csv_next(ngx_rush_req_t *q);
ngx_int_t ngx_seckill_csv_sent(ngx_rush_req_t *q);
ngx_int_t ngx_seckill_read_after(ngx_rush_req_t *q, ngx_str_t *last,
    ngx_uint_t n);


#endif /* _NGX_SECKILL_ORDER_H_INCLUDED_ */
