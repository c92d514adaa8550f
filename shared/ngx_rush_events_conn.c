
/*
 * Copyright (C) Rush
 */


#include "ngx_rush_events_int.h"


/*
 * What is said to a listener, and its end.
 *
 * With a connection only, the bytes of an event go straight to the socket.
 * With a request (ngx_rush_events_listen.c says when) an event is copied into
 * one buffer of the listener and goes through the filters.  A listener whose
 * socket is full is blocked: one event is under way, and of those that come
 * only the newest stays behind it.
 *
 * After listener_close() and _bye() neither listener nor connection nor
 * request may be touched.  Requests are finalized from events of the hub, so
 * posted requests are run there, see finish().
 */


#define NGX_RUSH_EVENTS_UNWANTED  4096  /* bytes a listener may send */

#define ngx_rush_listener_count(event)                                        \
    ngx_rush_count((event) == ngx_rush_hub.beat ? NGX_RUSH_C_EVENTS_BEATS     \
                                                : NGX_RUSH_C_EVENTS_SENT, 1)


static ngx_uint_t ngx_rush_listener_revoked(ngx_rush_listener_t *l);
static ngx_int_t ngx_rush_listener_send(ngx_rush_listener_t *l);
static ngx_int_t ngx_rush_listener_output(ngx_rush_listener_t *l);
static ngx_int_t ngx_rush_listener_push(ngx_rush_listener_t *l);
static void ngx_rush_listener_unbind(ngx_http_request_t *r);
static void ngx_rush_listener_finish(ngx_http_request_t *r, ngx_int_t rc);


/* a listener has nothing to say; but it may leave */

void
ngx_rush_listener_read(ngx_event_t *rev)
{
    u_char                buf[512];
    ssize_t               n;
    ngx_connection_t     *c;
    ngx_rush_listener_t  *l;

    c = rev->data;
    l = c->data;

    if (c->close) {
        ngx_rush_listener_close(l, NGX_RUSH_CLOSED_LEAVE);
        return;
    }

    for ( ;; ) {
        n = c->recv(c, buf, sizeof(buf));

        if (n == NGX_AGAIN) {
            break;
        }

        if (n <= 0 || l->received + n > NGX_RUSH_EVENTS_UNWANTED) {
            ngx_rush_listener_close(l, NGX_RUSH_CLOSED_LEFT);
            return;
        }

        l->received += n;
    }

    if (ngx_handle_read_event(rev, 0) != NGX_OK) {
        ngx_rush_listener_close(l, NGX_RUSH_CLOSED_LEFT);
    }
}


void
ngx_rush_listener_write(ngx_event_t *wev)
{
    ngx_connection_t     *c;
    ngx_rush_listener_t  *l;

    c = wev->data;
    l = c->data;

    if (l->event == NULL && l->next == NULL) {
        return;
    }

    (void) ngx_rush_listener_push(l);
}


/* the same with a request; its caller runs posted requests */

void
ngx_rush_listener_writer(ngx_http_request_t *r)
{
    ngx_int_t             rc;
    ngx_rush_req_t       *q;
    ngx_rush_listener_t  *l;

    q = ngx_http_get_module_ctx(r, ngx_http_rush_core_module);
    l = q->listener;

    if (l == NULL || !l->blocked) {
        return;
    }

    rc = ngx_http_output_filter(r, NULL);

    if (rc != NGX_ERROR) {
        rc = (r->out || r->connection->buffered) ? NGX_AGAIN
             : l->next ? ngx_rush_listener_output(l) : NGX_OK;
    }

    switch (rc) {

    case NGX_OK:
        ngx_rush_hub_refresh(l);
        return;

    case NGX_AGAIN:

        if (ngx_handle_write_event(r->connection->write, 0) == NGX_OK) {
            return;
        }

        break;

    case NGX_DONE:
        ngx_http_finalize_request(r, NGX_OK);
        return;
    }

    ngx_http_finalize_request(r, NGX_ERROR);
}


static ngx_uint_t
ngx_rush_listener_revoked(ngx_rush_listener_t *l)
{
    rush_claims_t  claims;

    if (l->user == NULL) {
        return 0;
    }

    ngx_memzero(&claims, sizeof(rush_claims_t));

    claims.user = l->user->node.key;
    claims.session = l->session;
    claims.version = l->version;

    return ngx_rush_revoked(&claims) != NGX_OK;
}


void
ngx_rush_listener_tell(ngx_rush_listener_t *l, ngx_rush_event_t *event)
{
    ngx_uint_t  old;

    if (ngx_rush_listener_revoked(l)) {
        ngx_rush_listener_bye(l, NGX_RUSH_CLOSED_TOKEN);
        return;
    }

    old = (time_t) l->until <= ngx_time();

    if (old && event == ngx_rush_hub.beat) {
        ngx_rush_listener_bye(l, NGX_RUSH_CLOSED_OLD);
        return;
    }

    if (l->next) {
        ngx_rush_count(NGX_RUSH_C_EVENTS_DROPPED, 1);
        ngx_rush_event_free(l->next);
    }

    event->refs++;
    l->next = event;

    if (l->blocked) {
        return;                         /* until its socket has room */
    }

    if (ngx_rush_listener_send(l) == NGX_OK && old) {
        ngx_rush_listener_bye(l, NGX_RUSH_CLOSED_OLD);
    }
}


/* NGX_OK: all is sent, and the listener is there */

static ngx_int_t
ngx_rush_listener_send(ngx_rush_listener_t *l)
{
    ngx_int_t            rc;
    ngx_http_request_t  *r;

    if (l->r == NULL) {
        return ngx_rush_listener_push(l);
    }

    r = l->r;
    rc = ngx_rush_listener_output(l);

    if (rc == NGX_ERROR || rc == NGX_DONE) {
        ngx_rush_listener_finish(r, rc == NGX_DONE ? NGX_OK : NGX_ERROR);
        return NGX_DONE;
    }

    return rc;
}


/*
 * Through the filters.  NGX_OK, NGX_AGAIN: blocked; NGX_DONE: it was the
 * last, NGX_ERROR: in both cases the request has to be finalized.
 */

static ngx_int_t
ngx_rush_listener_output(ngx_rush_listener_t *l)
{
    ngx_int_t            rc;
    ngx_buf_t           *b;
    ngx_chain_t          out;
    ngx_rush_event_t    *event;
    ngx_http_request_t  *r;

    r = l->r;
    event = l->next;
    l->next = NULL;

    b = l->buf;

    if (b == NULL || (size_t) (b->end - b->start) < event->len) {

        b = ngx_create_temp_buf(r->pool, event->len + 256);
        if (b == NULL) {
            ngx_rush_event_free(event);
            return NGX_ERROR;
        }

        b->tag = (ngx_buf_tag_t) &ngx_http_rush_core_module;
        l->buf = b;
    }

    b->pos = b->start;
    b->last = ngx_cpymem(b->start, event->bytes + event->head, event->len);
    b->flush = 1;
    b->last_buf = event->last;
    b->last_in_chain = event->last;

    out.buf = b;
    out.next = NULL;

    rc = ngx_http_output_filter(r, &out);

    ngx_rush_listener_count(event);

    if (rc == NGX_ERROR) {
        ngx_rush_event_free(event);
        return NGX_ERROR;
    }

    if (event->last) {
        ngx_rush_event_free(event);
        ngx_rush_listener_unbind(r);
        ngx_rush_hub_leave(l, NGX_RUSH_CLOSED_END);
        return NGX_DONE;
    }

    ngx_rush_event_free(event);

    if (r->out || r->connection->buffered) {
        ngx_rush_hub_wait(l, 1);
        return NGX_AGAIN;
    }

    ngx_rush_hub_wait(l, 0);

    return NGX_OK;
}


/* straight to the socket: NGX_OK, NGX_AGAIN blocked, NGX_DONE closed */

static ngx_int_t
ngx_rush_listener_push(ngx_rush_listener_t *l)
{
    size_t             end;
    ssize_t            n;
    ngx_connection_t  *c;
    ngx_rush_event_t  *event;

    c = l->c;

    while (l->event || l->next) {

        if (l->event == NULL) {
            l->event = l->next;
            l->next = NULL;
            l->sent = l->chunked ? 0 : l->event->head;
        }

        event = l->event;
        end = event->head + event->len;

        if (l->chunked) {
            end += event->last ? 7 : 2;
        }

        while (l->sent < end) {
            n = c->send(c, event->bytes + l->sent, end - l->sent);

            if (n == NGX_AGAIN || n == 0) {
                ngx_rush_hub_wait(l, 1);

                if (ngx_handle_write_event(c->write, 0) == NGX_OK) {
                    return NGX_AGAIN;
                }

                n = NGX_ERROR;
            }

            if (n < 0) {
                ngx_rush_listener_close(l, NGX_RUSH_CLOSED_LEFT);
                return NGX_DONE;
            }

            l->sent += n;
        }

        ngx_rush_listener_count(event);

        if (event->last) {
            ngx_rush_listener_close(l, NGX_RUSH_CLOSED_END);
            return NGX_DONE;
        }

        l->event = NULL;
        ngx_rush_event_free(event);
    }

    ngx_rush_hub_wait(l, 0);

    if (ngx_handle_write_event(c->write, 0) != NGX_OK) {
        ngx_rush_listener_close(l, NGX_RUSH_CLOSED_LEFT);
        return NGX_DONE;
    }

    return NGX_OK;
}


void
ngx_rush_listener_bye(ngx_rush_listener_t *l, ngx_uint_t why)
{
    size_t               end;
    ngx_buf_t           *b;
    ngx_chain_t          out;
    ngx_rush_event_t    *event;
    ngx_http_request_t  *r;

    event = ngx_rush_hub.byes[rush_random_next(&ngx_rush_random)
                              % NGX_RUSH_EVENTS_BYES];

    if (l->blocked) {
        ngx_rush_listener_close(l, why);
        return;
    }

    if (l->r == NULL) {
        end = event->head + event->len;

        /* few bytes into an empty buffer of a socket: it fits, or is gone */

        (void) (l->chunked ? l->c->send(l->c, event->bytes, end + 7)
                : l->c->send(l->c, event->bytes + event->head, event->len));

        ngx_rush_listener_close(l, why);
        return;
    }

    r = l->r;

    ngx_rush_listener_unbind(r);
    ngx_rush_hub_leave(l, why);

    b = ngx_create_temp_buf(r->pool, event->len);

    if (b == NULL) {
        ngx_rush_listener_finish(r, NGX_ERROR);
        return;
    }

    b->last = ngx_cpymem(b->last, event->bytes + event->head, event->len);
    b->last_buf = 1;
    b->last_in_chain = 1;

    out.buf = b;
    out.next = NULL;

    ngx_rush_listener_finish(r, ngx_http_output_filter(r, &out));
}


void
ngx_rush_listener_close(ngx_rush_listener_t *l, ngx_uint_t why)
{
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    r = l->r;
    c = l->c;

    if (r) {
        ngx_rush_listener_unbind(r);
        r->connection->error = 1;       /* what was sent is not whole */
    }

    ngx_rush_hub_leave(l, why);

    if (r) {
        ngx_rush_listener_finish(r, NGX_ERROR);
        return;
    }

    c->data = NULL;
    ngx_http_close_connection(c);
}


static void
ngx_rush_listener_finish(ngx_http_request_t *r, ngx_int_t rc)
{
    ngx_connection_t  *c;

    c = r->connection;                  /* r does not survive */

    ngx_http_set_log_request(c->log, r);
    ngx_http_finalize_request(r, rc);
    ngx_http_run_posted_requests(c);
}


/* q of a listener that has its request */

static void
ngx_rush_listener_unbind(ngx_http_request_t *r)
{
    ngx_rush_req_t  *q;

    q = ngx_http_get_module_ctx(r, ngx_http_rush_core_module);
    q->listener = NULL;
}
