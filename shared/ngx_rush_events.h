
/*
 * Copyright (C) Rush
 *
 * Streams of server-sent events.  A step of a NGX_RUSH_RAW route turns its
 * request into a listener of a topic:
 *
 *     event = ngx_rush_event("order", version, json->data, json->len, 0);
 *     return ngx_rush_listen(q, &order->topic, event);
 *
 * From then on the owner of the topic says ngx_rush_topic_send(), and the
 * listeners get it, some at a time.  An event is rendered once and shared by
 * all who wait for it.  A listener has at most one event under way and one
 * behind it, the newest: so an event must tell a state, not a change.
 *
 * Heartbeats, slow and old listeners, ended tokens, limits, reloads are dealt
 * with here; see "rush_events" in docs/directives.md and docs/events.md.
 */


#ifndef _NGX_RUSH_EVENTS_H_INCLUDED_
#define _NGX_RUSH_EVENTS_H_INCLUDED_


#include "ngx_rush.h"


typedef struct ngx_rush_topic_s     ngx_rush_topic_t;
typedef struct ngx_rush_event_s     ngx_rush_event_t;

typedef void (*ngx_rush_topic_pt)(ngx_rush_topic_t *topic);


struct ngx_rush_topic_s {               /* in memory of its owner */
    ngx_queue_t           fed;          /* listeners that have the event */
    ngx_queue_t           stale;        /* listeners that it is for */
    ngx_queue_t           feeding;      /* topics with stale listeners */
    ngx_rush_event_t     *event;        /* being fed; NULL: none */
    ngx_uint_t            n;            /* listeners */
    ngx_rush_topic_pt     left;         /* the last one has left: the owner
                                           may free the topic */
};


void ngx_rush_topic_init(ngx_rush_topic_t *topic, ngx_rush_topic_pt left);

/*
 * data is JSON in one line.  With last, "event: end" with the same data
 * follows, and whoever has got it is closed.  NULL: no memory.
 */
ngx_rush_event_t *ngx_rush_event(const char *name, uint64_t id, u_char *data,
    size_t len, ngx_uint_t last);
void ngx_rush_event_free(ngx_rush_event_t *event);

/* may one more listener come: RUSH_OK, LIMITED or BUSY.  ngx_rush_listen()
 * asks this too; ask it before work is done for a listener */
ngx_int_t ngx_rush_may_listen(ngx_rush_req_t *q);

/*
 * Answers with the event, which is freed (NULL answers BUSY); then the
 * request is a listener, unless the event is the last or the method HEAD.
 * Nobody has joined when topic->n is what it was.  Returns what the step has
 * to return.
 */
ngx_int_t ngx_rush_listen(ngx_rush_req_t *q, ngx_rush_topic_t *topic,
    ngx_rush_event_t *event);

/* the event is taken; NULL is ignored.  The topic may be gone after a later
 * turn, never inside of this call */
void ngx_rush_topic_send(ngx_rush_topic_t *topic, ngx_rush_event_t *event);

/* closes listeners that are not this user; the topic may be gone after */
void ngx_rush_topic_keep(ngx_rush_topic_t *topic, int64_t user);


#endif /* _NGX_RUSH_EVENTS_H_INCLUDED_ */
