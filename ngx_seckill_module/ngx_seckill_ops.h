
/*
 * Copyright (C) Rush
 *
 * Operations: input of the routes, the red switch, tallies of activities.
 */


#ifndef _NGX_SECKILL_OPS_H_INCLUDED_
#define _NGX_SECKILL_OPS_H_INCLUDED_


#include "ngx_rush_counters.h"


typedef struct {
    ngx_str_t           reason;
} ngx_seckill_stop_selling_t;

typedef ngx_seckill_stop_selling_t  ngx_seckill_resume_selling_t;

typedef struct {
    int64_t             last_id;
    int64_t             page_size;

    ngx_uint_t          fixed;          /* next of the streams of all */
    int64_t             activity;       /* asked about now, 0: none */
    int64_t             next;           /* after the page, 0: none */
    ngx_uint_t          n;              /* activities of the page so far */
    rush_buf_t          doc;
} ngx_seckill_streams_t;

typedef struct {
    int64_t             last_id;
    int64_t             page_size;
    ngx_str_t           state;
} ngx_seckill_dead_letters_t;

typedef struct {
    int64_t             id;
    ngx_str_t           reason;

    ngx_uint_t          state;          /* asked for */
} ngx_seckill_dead_discard_t;

typedef ngx_seckill_dead_discard_t  ngx_seckill_dead_replay_t;


/* what a buy may end with: fields of {a:ID}r */

#define NGX_SECKILL_TALLIES(T)                                                \
    T(SUCCESS, success) T(REPLAYED, replayed) T(UNKNOWN, unknown)             \
    T(NOT_STARTED, not_started) T(SOLD_OUT, sold_out) T(ENDED, ended)         \
    T(BUY_LIMIT, buy_limit) T(PAUSED, paused) T(QUANTITY, quantity)           \
    T(CROWDED, crowded) T(RELEASED, released) T(DENIED, denied)               \
    T(CLOSED, closed) T(BUSY, busy)

enum {
#define NGX_SECKILL_TALLY_ENUM(NAME, name)  NGX_SECKILL_T_##NAME,
    NGX_SECKILL_TALLIES(NGX_SECKILL_TALLY_ENUM)
#undef NGX_SECKILL_TALLY_ENUM
    NGX_SECKILL_OUTCOMES
};

#define NGX_SECKILL_T_REFUSALS  NGX_SECKILL_T_NOT_STARTED  /* the first one */

/* then the sum of latencies in ms, and their buckets */

#define NGX_SECKILL_T_MS        NGX_SECKILL_OUTCOMES
#define NGX_SECKILL_T_BUCKETS   (NGX_SECKILL_OUTCOMES + 1)
#define NGX_SECKILL_T_COUNT     (NGX_SECKILL_T_BUCKETS + NGX_RUSH_BUCKET_COUNT)

typedef struct {
    int64_t             id;

    int64_t             tally[NGX_SECKILL_T_COUNT];
} ngx_seckill_report_t;


#define NGX_SECKILL_ORDERS      "{rush}order"   /* RUSH_ORDERS_KEY */


/* --- the red switch (ngx_seckill_ops_switch.c) --- */

#define NGX_SECKILL_SELLING     1       /* ngx_seckill_shm->selling; 0: not */
#define NGX_SECKILL_STOPPED     2       /* known */

/* the refresh asks MySQL */
void ngx_seckill_switch_read(void);

/* may anything be sold? */
#define ngx_seckill_sells()                                                   \
    (ngx_seckill_shm->selling == NGX_SECKILL_SELLING)


/* --- tallies (ngx_seckill_ops_tally.c) --- */

ngx_int_t ngx_seckill_tally_init(ngx_cycle_t *cycle);

/* a buy was refused from memory; code is what it is answered */
void ngx_seckill_tally_refused(ngx_seckill_slot_t *slot, ngx_int_t code);

/* Redis had a part in it; r NULL: the client has left */
void ngx_seckill_tally_answered(int64_t activity, ngx_uint_t tally,
    ngx_http_request_t *r);

ngx_uint_t ngx_seckill_tally_of(ngx_int_t code);
extern ngx_str_t  ngx_seckill_tally_names[NGX_SECKILL_T_COUNT];


#endif /* _NGX_SECKILL_OPS_H_INCLUDED_ */
