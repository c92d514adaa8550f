
/*
 * Copyright (C) Rush
 *
 * What the files of the hub of event streams share.
 */


#ifndef _NGX_RUSH_EVENTS_INT_H_INCLUDED_
#define _NGX_RUSH_EVENTS_INT_H_INCLUDED_


#include "ngx_rush_core.h"
#include "ngx_rush_counters.h"
#include "ngx_rush_events.h"


#define NGX_RUSH_EVENTS_TICK     100    /* ms */
#define NGX_RUSH_EVENTS_SLICE    128    /* listeners fed in one turn */
#define NGX_RUSH_EVENTS_DRAIN    2000   /* ms until a leaving worker has
                                           closed all */
#define NGX_RUSH_EVENTS_BYES     16     /* different "retry:" */


/*
 * bytes: the size of a chunk, the payload, "CRLF" and the last chunk.  With
 * chunks head + len + 2 of them are sent, or all; without, the payload.
 */

struct ngx_rush_event_s {
    uint32_t              refs;
    uint32_t              head;         /* bytes before the payload */
    uint32_t              len;          /* of the payload */
    uint32_t              last;         /* the stream ends with it */
    u_char                bytes[];
};


typedef struct {                        /* listeners of a user or an address */
    ngx_rbtree_node_t     node;
    ngx_uint_t            n;
} ngx_rush_events_count_t;


/*
 * As long as nginx has not sent all of the first answer, and for good with
 * HTTP/2, a listener has its request (r).  Else it has only the connection.
 */

struct ngx_rush_listener_s {
    ngx_queue_t                 link;       /* of its topic */
    ngx_queue_t                 due;        /* fresh, idle or blocked */
    ngx_rush_topic_t           *topic;
    ngx_http_request_t         *r;          /* or NULL */
    ngx_connection_t           *c;          /* when r is NULL */
    ngx_rush_event_t           *event;      /* under way */
    ngx_rush_event_t           *next;       /* waits behind it */
    ngx_buf_t                  *buf;        /* when r is there, in its pool */

    ngx_rush_events_count_t    *user;       /* NULL: nobody is logged in */
    ngx_rush_events_count_t    *address;    /* NULL: a unix socket */
    int64_t                     session;    /* of the token */
    uint32_t                    version;    /* of the token */
    uint32_t                    until;      /* s, then it has to come again */
    ngx_msec_t                  since;      /* sent last, or blocked */
    uint32_t                    sent;       /* bytes of event */
    uint16_t                    received;   /* bytes that nobody wants */

    unsigned                    chunked:1;
    unsigned                    blocked:1;
};


typedef struct {
    ngx_uint_t            n;            /* listeners */
    ngx_queue_t           fresh;        /* their requests may go */
    ngx_queue_t           idle;         /* by since */
    ngx_queue_t           blocked;      /* by since */
    ngx_queue_t           feeding;      /* topics */
    ngx_rbtree_t          users;
    ngx_rbtree_t          addresses;
    ngx_rbtree_node_t     sentinel;
    ngx_event_t           tick;
    ngx_event_t           feed;
    ngx_event_t           detach;
    ngx_rush_event_t     *beat;         /* a comment */
    ngx_rush_event_t     *byes[NGX_RUSH_EVENTS_BYES];
    ngx_msec_t            leaving;      /* since when, 0: not */
    ngx_rush_events_conf_t  *conf;
} ngx_rush_events_hub_t;


extern ngx_rush_events_hub_t  ngx_rush_hub;


/* why a listener is closed, as counters */

#define NGX_RUSH_CLOSED_LEFT   NGX_RUSH_C_EVENTS_LEFT
#define NGX_RUSH_CLOSED_SLOW   NGX_RUSH_C_EVENTS_SLOW
#define NGX_RUSH_CLOSED_OLD    NGX_RUSH_C_EVENTS_OLD
#define NGX_RUSH_CLOSED_TOKEN  NGX_RUSH_C_EVENTS_TOKEN
#define NGX_RUSH_CLOSED_LEAVE  NGX_RUSH_C_EVENTS_LEAVE
#define NGX_RUSH_CLOSED_END    NGX_RUSH_C_EVENTS_END


/* text is the payload; "retry:" and comments have no other form */
ngx_rush_event_t *ngx_rush_event_raw(u_char *text, size_t len,
    ngx_uint_t last);

/* the newest thing to say; the listener may be gone after */
void ngx_rush_listener_tell(ngx_rush_listener_t *l, ngx_rush_event_t *event);

/* says "retry:" if it can, and closes */
void ngx_rush_listener_bye(ngx_rush_listener_t *l, ngx_uint_t why);
void ngx_rush_listener_close(ngx_rush_listener_t *l, ngx_uint_t why);
void ngx_rush_listener_detach(ngx_event_t *ev);

/* handlers of a connection, and of a request that is not given up yet */
void ngx_rush_listener_read(ngx_event_t *rev);
void ngx_rush_listener_write(ngx_event_t *wev);
void ngx_rush_listener_writer(ngx_http_request_t *r);

/* of the hub: a listener comes, and goes (counted, out of all lists) */
void ngx_rush_hub_enter(ngx_rush_listener_t *l, ngx_rush_topic_t *topic);
void ngx_rush_hub_leave(ngx_rush_listener_t *l, ngx_uint_t why);

/* into the list of those whose requests may go; into another, since now */
void ngx_rush_hub_refresh(ngx_rush_listener_t *l);
void ngx_rush_hub_wait(ngx_rush_listener_t *l, ngx_uint_t blocked);

ngx_rush_events_count_t *ngx_rush_events_count(ngx_rbtree_t *tree,
    uint64_t key);
void ngx_rush_events_uncount(ngx_rbtree_t *tree,
    ngx_rush_events_count_t *count);

void ngx_rush_events_gauge(ngx_uint_t n);   /* listeners of this worker */


#endif /* _NGX_RUSH_EVENTS_INT_H_INCLUDED_ */
