
/*
 * Copyright (C) Rush
 */


#include "ngx_seckill_events.h"


/*
 * Streams of activities, from the slots in shared memory: neither backend is
 * asked for them.  Every NGX_SECKILL_WATCH ms each activity that has listeners
 * is looked at; when what they were told has changed, one event is rendered
 * for all of them.  A state is told at once.  Units left may change with each
 * buyer: they are told at most four times a second, and not more often than
 * feeding costs a twentieth of the worker's time, so that with 20000 listeners
 * it is once a second.
 *
 * A stream ends with the activity.  What is not in the slots any more has
 * ended too; but a zone that was never filled proves nothing.
 */


#define NGX_SECKILL_WATCH       200     /* ms */
#define NGX_SECKILL_WATCH_LEAST 250     /* ms between numbers */
#define NGX_SECKILL_WATCH_EACH  50      /* us of that for each listener */


typedef struct {                        /* what listeners are told */
    ngx_uint_t            state;
    int64_t               left;
    int64_t               total;
    int64_t               start;
    int64_t               stop;
} ngx_seckill_seen_t;


typedef struct {
    ngx_rush_topic_t      topic;        /* must be first */
    ngx_queue_t           queue;        /* all that are watched */
    int64_t               id;
    ngx_msec_t            told;
    ngx_seckill_seen_t    seen;
} ngx_seckill_watch_t;


static ngx_int_t ngx_seckill_listen_activity(ngx_rush_req_t *q);

static ngx_int_t ngx_seckill_watch_look(int64_t id,
    ngx_seckill_seen_t *seen);
static ngx_seckill_watch_t *ngx_seckill_watch_find(int64_t id);
static void ngx_seckill_watch_left(ngx_rush_topic_t *topic);
static ngx_uint_t ngx_seckill_watch_news(ngx_seckill_watch_t *watch,
    ngx_seckill_seen_t *seen);
static ngx_rush_event_t *ngx_seckill_watch_event(int64_t id,
    ngx_seckill_seen_t *seen);


ngx_rush_step_t  ngx_seckill_activity_events_steps[] = {
    ngx_rush_step(ngx_seckill_listen_activity),
    ngx_rush_null_step
};


static ngx_queue_t  ngx_seckill_watches;
static ngx_msec_t   ngx_seckill_watch_looked;
static rush_buf_t   ngx_seckill_watch_json;


void
ngx_seckill_watch_init(void)
{
    ngx_queue_init(&ngx_seckill_watches);
}


static ngx_int_t
ngx_seckill_listen_activity(ngx_rush_req_t *q)
{
    ngx_seckill_activity_events_t  *stream = q->data;

    ngx_int_t             rc;
    ngx_rush_event_t     *event;
    ngx_seckill_seen_t    seen;
    ngx_seckill_watch_t  *watch;

    rc = ngx_rush_may_listen(q);

    if (rc != RUSH_OK) {
        return rc;
    }

    if (ngx_seckill_watch_look(stream->id, &seen) != NGX_OK) {
        return ngx_seckill_no_slot();
    }

    event = ngx_seckill_watch_event(stream->id, &seen);

    if (seen.state == NGX_SECKILL_ENDED) {
        return ngx_rush_listen(q, NULL, event);
    }

    watch = ngx_seckill_watch_find(stream->id);

    if (watch == NULL) {
        watch = ngx_calloc(sizeof(ngx_seckill_watch_t), ngx_cycle->log);

        if (watch == NULL) {
            ngx_rush_event_free(event);
            return NGX_ERROR;
        }

        ngx_rush_topic_init(&watch->topic, ngx_seckill_watch_left);
        ngx_queue_insert_tail(&ngx_seckill_watches, &watch->queue);

        watch->id = stream->id;
        watch->told = ngx_current_msec;
        watch->seen = seen;
    }

    rc = ngx_rush_listen(q, &watch->topic, event);

    if (watch->topic.n == 0) {
        ngx_seckill_watch_left(&watch->topic);
    }

    return rc;
}


static ngx_int_t
ngx_seckill_watch_look(int64_t id, ngx_seckill_seen_t *seen)
{
    int64_t              now;
    ngx_seckill_slot_t  *slot;

    slot = ngx_seckill_find_slot(id);

    if (slot == NULL || slot->status == NGX_SECKILL_DRAFT) {
        return NGX_DECLINED;
    }

    now = ngx_seckill_now();

    seen->state = ngx_seckill_state(slot, now);
    seen->left = ngx_seckill_left(slot, now);
    seen->total = slot->total;
    seen->start = slot->start;
    seen->stop = slot->stop;

    /* the slot may have been given to another meanwhile */

    return slot->id == (ngx_atomic_uint_t) id ? NGX_OK : NGX_DECLINED;
}


static ngx_seckill_watch_t *
ngx_seckill_watch_find(int64_t id)
{
    ngx_queue_t          *q;
    ngx_seckill_watch_t  *watch;

    for (q = ngx_queue_head(&ngx_seckill_watches);
         q != ngx_queue_sentinel(&ngx_seckill_watches);
         q = ngx_queue_next(q))
    {
        watch = ngx_queue_data(q, ngx_seckill_watch_t, queue);

        if (watch->id == id) {
            return watch;
        }
    }

    return NULL;
}


static void
ngx_seckill_watch_left(ngx_rush_topic_t *topic)
{
    ngx_seckill_watch_t  *watch = (ngx_seckill_watch_t *) topic;

    ngx_queue_remove(&watch->queue);
    ngx_free(watch);
}


void
ngx_seckill_watch_tick(void)
{
    ngx_queue_t          *q;
    ngx_rush_event_t     *event;
    ngx_seckill_seen_t    seen;
    ngx_seckill_watch_t  *watch;

    if (ngx_current_msec - ngx_seckill_watch_looked < NGX_SECKILL_WATCH) {
        return;
    }

    ngx_seckill_watch_looked = ngx_current_msec;

    for (q = ngx_queue_head(&ngx_seckill_watches);
         q != ngx_queue_sentinel(&ngx_seckill_watches);
         q = ngx_queue_next(q))
    {
        watch = ngx_queue_data(q, ngx_seckill_watch_t, queue);

        if (ngx_seckill_watch_look(watch->id, &seen) != NGX_OK) {

            if (ngx_seckill_shm->catalog_ms == 0) {
                continue;
            }

            seen = watch->seen;
            seen.state = NGX_SECKILL_ENDED;
        }

        if (!ngx_seckill_watch_news(watch, &seen)) {
            continue;
        }

        event = ngx_seckill_watch_event(watch->id, &seen);

        if (event) {
            watch->seen = seen;
            watch->told = ngx_current_msec;

            /* nobody is closed inside of this call */

            ngx_rush_topic_send(&watch->topic, event);
        }
    }
}


static ngx_uint_t
ngx_seckill_watch_news(ngx_seckill_watch_t *watch, ngx_seckill_seen_t *seen)
{
    ngx_msec_t  pause;

    if (seen->state != watch->seen.state) {
        return 1;
    }

    if (seen->left == watch->seen.left && seen->total == watch->seen.total
        && seen->start == watch->seen.start && seen->stop == watch->seen.stop)
    {
        return 0;
    }

    pause = watch->topic.n * NGX_SECKILL_WATCH_EACH / 1000;
    pause = ngx_max(pause, NGX_SECKILL_WATCH_LEAST);

    return ngx_current_msec - watch->told >= pause;
}


static ngx_rush_event_t *
ngx_seckill_watch_event(int64_t id, ngx_seckill_seen_t *seen)
{
    int64_t      now;
    rush_buf_t  *b;

    b = &ngx_seckill_watch_json;
    now = ngx_rush_now_ms();

    if (b->failed) {
        rush_buf_free(b);
    }

    rush_buf_reset(b);
    rush_json_open(b, NULL, '{');
    rush_json_id(b, "id", id);
    rush_json_text(b, "state", ngx_seckill_state_names[seen->state]);
    rush_json_int(b, "left", seen->left);
    rush_json_int(b, "total", seen->total);
    rush_json_int(b, "start_ms", seen->start);
    rush_json_int(b, "end_ms", seen->stop);
    rush_json_int(b, "server_time_ms", now);
    rush_json_close(b, '}');

    if (b->failed) {
        return NULL;
    }

    return ngx_rush_event("activity", now, b->data, b->len,
                          seen->state == NGX_SECKILL_ENDED);
}
