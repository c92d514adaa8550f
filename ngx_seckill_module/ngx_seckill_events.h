
/*
 * Copyright (C) Rush
 *
 * Private to the event streams of the seckill module.
 */


#ifndef _NGX_SECKILL_EVENTS_H_INCLUDED_
#define _NGX_SECKILL_EVENTS_H_INCLUDED_


#include "ngx_seckill_row.h"
#include "ngx_rush_events.h"


#define NGX_SECKILL_EVENTS_TICK    100  /* ms */
#define NGX_SECKILL_ASK            64   /* orders in one question */
#define NGX_SECKILL_REASON         16   /* bytes of cancel_reason */


/* columns of the statements of events.sql */

enum {
    L_ORDER_NO = 0, L_USER, L_STATUS, L_VERSION, L_REASON, L_DEADLINE, L_ID
};


/* what is known of an order; version 0: it has no row yet */

typedef struct {
    int64_t               id;           /* parts of the order number */
    int64_t               activity;
    int64_t               user;         /* its owner; 0: not known yet */
    int64_t               deadline;
    uint32_t              version;
    uint32_t              status;
    u_char                reason[NGX_SECKILL_REASON];   /* filled with NUL */
} ngx_seckill_news_t;


/* NGX_ERROR: that is no order */
ngx_int_t ngx_seckill_news_read(ngx_seckill_news_t *news,
    ngx_rush_rows_t *rows, ngx_uint_t row);


/* --- orders that somebody listens to (ngx_seckill_events_order.c) --- */

void ngx_seckill_live_init(void);

/* a step's answer: the caller listens, what was read is the present state */
ngx_int_t ngx_seckill_live_join(ngx_rush_req_t *q, ngx_seckill_news_t *news);

/* somebody has seen an order in this state: its listeners are told */
void ngx_seckill_live_learn(ngx_seckill_news_t *news);

void ngx_seckill_live_ask(void);        /* each tick */
void ngx_seckill_live_ask_all(void);    /* something may have been missed */


/* --- the activities (ngx_seckill_events_activity.c) --- */

void ngx_seckill_watch_init(void);
void ngx_seckill_watch_tick(void);


/* --- changes of orders of the whole site (ngx_seckill_events_log.c) --- */

ngx_int_t ngx_seckill_log_zone(ngx_conf_t *cf);
void ngx_seckill_log_init(void);        /* finds the zone in this process */
void ngx_seckill_log_tick(void);


#endif /* _NGX_SECKILL_EVENTS_H_INCLUDED_ */
