
/*
 * Copyright (C) Rush
 *
 * Rows of MySQL as JSON, and pages of them.
 */


#ifndef _NGX_SECKILL_ROW_H_INCLUDED_
#define _NGX_SECKILL_ROW_H_INCLUDED_


#include "ngx_seckill.h"


/* columns of every statement that reads whole orders */

enum {
    O_ORDER_NO = 0, O_USER, O_ACTIVITY, O_PRODUCT, O_REQ, O_QTY, O_PRICE,
    O_AMOUNT, O_TITLE, O_STATUS, O_STOCK_STATE, O_CANCEL_REASON, O_GRANTED,
    O_DEADLINE, O_PAID, O_CLOSED, O_VERSION
};


/* whole products */

enum {
    P_ID = 0, P_TITLE, P_DESCRIPTION, P_IMAGE, P_CATEGORY, P_PRICE, P_STOCK,
    P_STATUS, P_VERSION, P_CREATED, P_UPDATED
};


/* whole activities, as an admin sees them */

enum {
    A_ID = 0, A_PRODUCT, A_TITLE, A_PRICE, A_PRICE_VER, A_START, A_STOP,
    A_TOTAL, A_SOLD, A_LIMIT, A_PAY_SECONDS, A_STATUS, A_WARM, A_REV,
    A_APPLIED_REV, A_EPOCH, A_CREATED, A_UPDATED
};


#define NGX_SECKILL_KEY  64             /* bytes of a cache key of a product */


typedef struct {
    int64_t       page;
    int64_t       size;
    int64_t       offset;
} ngx_seckill_page_t;


/* 0 is "not given" */
ngx_seckill_page_t ngx_seckill_page(int64_t page, int64_t size);

/* opens {"list":[ and closes it with the numbers of a page */
void ngx_seckill_list_open(ngx_rush_req_t *q);
void ngx_seckill_list_close(ngx_rush_req_t *q, ngx_seckill_page_t *page,
    int64_t total);

/* a list by key has no numbers: it ends with next_last_id when the page is
 * full; col is that of the id */
#define ngx_seckill_feed_size(size)                                           \
    ((size) ? (size) : NGX_SECKILL_PAGE_SIZE)

void ngx_seckill_feed_close(ngx_rush_req_t *q, int64_t size, ngx_uint_t col);

/* one order; admin: with the buyer and the request id.  And its members into
 * an object that is open */
void ngx_seckill_put_order(rush_buf_t *b, ngx_rush_rows_t *rows,
    ngx_uint_t row, ngx_uint_t admin);
void ngx_seckill_put_order_members(rush_buf_t *b, ngx_rush_rows_t *rows,
    ngx_uint_t row, ngx_uint_t admin);

/* {"id":...} of what was removed */
void ngx_seckill_put_deleted(ngx_rush_req_t *q, int64_t id);

void ngx_seckill_put_product(rush_buf_t *b, ngx_rush_rows_t *rows,
    ngx_uint_t row);
void ngx_seckill_put_stock(rush_buf_t *b, ngx_rush_rows_t *rows);

/* key of a cached product, or of its stock; dst has NGX_SECKILL_KEY */
size_t ngx_seckill_product_key(u_char *dst, int64_t id, ngx_uint_t stock);
void ngx_seckill_drop_product(int64_t id);


/* reads an activity by the id in front of q->data: the next step has it */
ngx_int_t ngx_seckill_read_activity(ngx_rush_req_t *q);
void ngx_seckill_put_admin_activity(rush_buf_t *b, ngx_rush_rows_t *rows,
    ngx_uint_t row);


/* was the field given?  And it as a parameter, NULL when it was not */
ngx_rush_param_t ngx_seckill_opt_int(ngx_rush_req_t *q, const char *name,
    int64_t v);
ngx_rush_param_t ngx_seckill_opt_str(ngx_rush_req_t *q, const char *name,
    ngx_str_t *v);


/* the place of a name in a list of n, n: it is not there */
ngx_uint_t ngx_seckill_find_name(const char *const *names, ngx_uint_t n,
    ngx_str_t *name);


/*
 * An order without a row may be on its way.  Asks Redis: how many units the
 * caller holds in the activity, of an ordinary order (activity 0) who has
 * made it.  Then, in the next step: may it be on its way, and is it his?
 */
ngx_int_t ngx_seckill_ask_order(ngx_rush_req_t *q, ngx_str_t *order_no,
    int64_t activity);
ngx_uint_t ngx_seckill_is_coming(ngx_rush_req_t *q, int64_t activity);

/* the first of both, for units; 0: none */
ngx_int_t ngx_seckill_ask_held(ngx_rush_req_t *q, int64_t activity);
int64_t ngx_seckill_held(ngx_rush_req_t *q);

/* order_any: the row of a number, whoever has it */
ngx_int_t ngx_seckill_read_order(ngx_rush_req_t *q, ngx_str_t *order_no);

/* an order number so young that its row may still be on the way */
ngx_uint_t ngx_seckill_is_young(int64_t id);

/* after order_any: there is a row, and it is not the caller's */
ngx_uint_t ngx_seckill_is_strange(ngx_rush_req_t *q);


#endif /* _NGX_SECKILL_ROW_H_INCLUDED_ */
