
/*
 * Copyright (C) Rush
 */


#include "ngx_seckill_events.h"


/*
 * Streams of an order.  The caller is let in as by the routes that are
 * polled: the row's owner, or, while the order is on its way, who is known to
 * wait for it.
 */


static ngx_int_t ngx_seckill_find_live(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_live_found(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_live_queued(ngx_rush_req_t *q);

static ngx_int_t ngx_seckill_read_live(ngx_rush_req_t *q);
static void ngx_seckill_events_tick(ngx_event_t *ev);


ngx_rush_step_t  ngx_seckill_result_events_steps[] = {
    ngx_rush_step(ngx_seckill_find_live),       /* mysql */
    ngx_rush_step(ngx_seckill_live_found),      /* redis, without a row */
    ngx_rush_step(ngx_seckill_live_queued),     /* mysql, if not held */
    ngx_rush_step(ngx_seckill_live_found),
    ngx_rush_null_step
};


ngx_rush_step_t  ngx_seckill_order_events_steps[] = {
    ngx_rush_step(ngx_seckill_find_live),       /* mysql */
    ngx_rush_step(ngx_seckill_live_found),      /* redis, without a row */
    ngx_rush_step(ngx_seckill_live_queued),     /* mysql, if not held */
    ngx_rush_step(ngx_seckill_live_found),
    ngx_rush_null_step
};


_Static_assert(sizeof(ngx_seckill_result_events_t)
               == sizeof(ngx_seckill_order_events_t),
               "both routes have the same steps");


static ngx_event_t       ngx_seckill_events_timer;
static ngx_connection_t  ngx_seckill_events_dummy;  /* debug lines print its
                                                       fd */


static ngx_int_t
ngx_seckill_find_live(ngx_rush_req_t *q)
{
    ngx_seckill_order_events_t  *live = q->data;

    ngx_int_t  rc;

    if (rush_order_no_parse(live->id.data, live->id.len, &live->order_id,
                            &live->activity)
        != RUSH_OK)
    {
        return RUSH_NOT_FOUND;
    }

    rc = ngx_rush_may_listen(q);

    return rc == RUSH_OK ? ngx_seckill_read_live(q) : rc;
}


static ngx_int_t
ngx_seckill_read_live(ngx_rush_req_t *q)
{
    ngx_seckill_order_events_t  *live = q->data;

    ngx_rush_param_t  p;

    p = ngx_rush_p_str(&live->id);

    return ngx_rush_query(q, &ngx_seckill_sql[NGX_SECKILL_SQL_ORDER_LIVE],
                          &p, 1, RUSH_INTERNAL);
}


static ngx_int_t
ngx_seckill_live_found(ngx_rush_req_t *q)
{
    ngx_seckill_order_events_t  *live = q->data;

    ngx_seckill_news_t  news;

    if (q->rows->n) {

        if (ngx_rush_cell_int(q->rows, 0, L_USER) != q->user.user) {
            return RUSH_NOT_FOUND;
        }

        if (ngx_seckill_news_read(&news, q->rows, 0) != NGX_OK) {
            return NGX_ERROR;
        }

        return ngx_seckill_live_join(q, &news);
    }

    if (live->again || !ngx_seckill_is_young(live->order_id)) {
        return RUSH_NOT_FOUND;
    }

    return ngx_seckill_ask_order(q, &live->id, live->activity);
}


/*
 * Who does not hold units may have given them back since MySQL was asked:
 * then the row has come.  Whose number it is shows when the row is there.
 */

static ngx_int_t
ngx_seckill_live_queued(ngx_rush_req_t *q)
{
    ngx_seckill_order_events_t  *live = q->data;

    ngx_seckill_news_t  news;

    if (!ngx_seckill_is_coming(q, live->activity)) {
        live->again = 1;
        return ngx_seckill_read_live(q);
    }

    ngx_memzero(&news, sizeof(ngx_seckill_news_t));

    news.id = live->order_id;
    news.activity = live->activity;

    return ngx_seckill_live_join(q, &news);
}


ngx_int_t
ngx_seckill_news_read(ngx_seckill_news_t *news, ngx_rush_rows_t *rows,
    ngx_uint_t row)
{
    ngx_str_t  *s;

    ngx_memzero(news, sizeof(ngx_seckill_news_t));

    s = ngx_rush_cell(rows, row, L_ORDER_NO);

    if (rush_order_no_parse(s->data, s->len, &news->id, &news->activity)
        != RUSH_OK)
    {
        return NGX_ERROR;
    }

    news->user = ngx_rush_cell_int(rows, row, L_USER);
    news->status = ngx_rush_cell_int(rows, row, L_STATUS);
    news->version = ngx_rush_cell_int(rows, row, L_VERSION);
    news->deadline = ngx_rush_cell_int(rows, row, L_DEADLINE);

    s = ngx_rush_cell(rows, row, L_REASON);

    ngx_memcpy(news->reason, s->data, ngx_min(s->len, NGX_SECKILL_REASON));

    return NGX_OK;
}


ngx_int_t
ngx_seckill_events_init(ngx_cycle_t *cycle)
{
    ngx_seckill_log_init();
    ngx_seckill_live_init();
    ngx_seckill_watch_init();

    ngx_seckill_events_dummy.fd = (ngx_socket_t) -1;

    ngx_seckill_events_timer.handler = ngx_seckill_events_tick;
    ngx_seckill_events_timer.data = &ngx_seckill_events_dummy;
    ngx_seckill_events_timer.log = cycle->log;
    ngx_seckill_events_timer.cancelable = 1;

    ngx_add_timer(&ngx_seckill_events_timer, NGX_SECKILL_EVENTS_TICK);

    return NGX_OK;
}


static void
ngx_seckill_events_tick(ngx_event_t *ev)
{
    if (ngx_exiting || ngx_quit || ngx_terminate) {
        return;                         /* the hub says good bye to all */
    }

    ngx_seckill_log_tick();
    ngx_seckill_live_ask();
    ngx_seckill_watch_tick();

    ngx_add_timer(ev, NGX_SECKILL_EVENTS_TICK);
}
