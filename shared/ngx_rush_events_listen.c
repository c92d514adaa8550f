
/*
 * Copyright (C) Rush
 */


#include "ngx_rush_events_int.h"


/*
 * How a request becomes a listener.
 *
 * Headers and the first event go the way of every answer.  When nginx has
 * sent them, an HTTP/1 request is given up: it is logged and freed with its
 * pool, its header buffers too, as nginx does it for keepalive.  What stays
 * is the connection with its small pool, and the listener; what follows is
 * written by c->send() from the shared bytes of an event.  That needs no
 * filter: the stream is chunked, or (HTTP/1.0) ends with the connection.
 *
 *     q, r --listen()--> fresh --detach()--> idle <--> blocked
 *
 * HTTP/2 and 3 need the request.  While it is there, a listener is bound to
 * it by a cleanup, so nginx may finish the request at any time.
 */


static ngx_int_t ngx_rush_listen_headers(ngx_rush_req_t *q);
static ngx_int_t ngx_rush_listen_first(ngx_rush_req_t *q,
    ngx_rush_event_t *event, ngx_uint_t last);
static ngx_rush_listener_t *ngx_rush_listener_create(ngx_rush_req_t *q);
static void ngx_rush_listener_cleanup(void *data);
static ngx_uint_t ngx_rush_listener_may_detach(ngx_http_request_t *r);
static ngx_int_t ngx_rush_listener_take(ngx_rush_listener_t *l);


static ngx_str_t  ngx_rush_events_type = ngx_string("text/event-stream");
static ngx_str_t  ngx_rush_events_no = ngx_string("no");


ngx_int_t
ngx_rush_listen(ngx_rush_req_t *q, ngx_rush_topic_t *topic,
    ngx_rush_event_t *event)
{
    ngx_int_t             rc;
    ngx_uint_t            last;
    ngx_http_request_t   *r;
    ngx_rush_listener_t  *l;

    r = q->r;
    l = NULL;

    rc = event ? ngx_rush_may_listen(q) : RUSH_BUSY;

    if (rc == RUSH_OK && r->discard_body) {
        rc = RUSH_BAD_REQUEST;          /* a body that is not here yet */
    }

    if (rc != RUSH_OK) {
        ngx_rush_event_free(event);
        return rc;
    }

    last = event->last;

    if (!last && r->method != NGX_HTTP_HEAD) {
        l = ngx_rush_listener_create(q);

        if (l == NULL) {
            ngx_rush_event_free(event);
            return NGX_ERROR;
        }
    }

    if (ngx_rush_listen_headers(q) != NGX_OK) {
        ngx_http_clean_header(r);
        ngx_rush_event_free(event);
        rc = NGX_ERROR;
        goto failed;
    }

    q->replied = 1;
    q->raw_rc = ngx_rush_listen_first(q, event, last);
    ngx_rush_event_free(event);

    rc = NGX_DONE;

    if (l == NULL || q->raw_rc == NGX_ERROR || q->raw_rc > NGX_OK
        || r->header_only)
    {
        goto failed;
    }

    /* the request stays, whoever finalizes it now */

    r->main->count++;
    q->raw_rc = NGX_DONE;
    q->listener = l;
    l->r = r;

    r->read_event_handler = ngx_http_test_reading;
    r->write_event_handler = ngx_rush_listener_writer;

    ngx_rush_hub_enter(l, topic);

    if (r->connection->read->ready) {
        ngx_post_event(r->connection->read, &ngx_posted_events);
    }

    return NGX_DONE;

failed:

    if (l) {
        ngx_rush_events_uncount(&ngx_rush_hub.users, l->user);
        ngx_rush_events_uncount(&ngx_rush_hub.addresses, l->address);
        ngx_free(l);
    }

    return rc;
}


static ngx_int_t
ngx_rush_listen_headers(ngx_rush_req_t *q)
{
    ngx_http_request_t  *r;

    r = q->r;

    if (ngx_rush_reply_headers(q, NGX_HTTP_OK) != NGX_OK
        || ngx_rush_add_header(r, "X-Accel-Buffering",
                               sizeof("X-Accel-Buffering") - 1,
                               &ngx_rush_events_no)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_length_n = -1;
    r->headers_out.content_type = ngx_rush_events_type;
    r->headers_out.content_type_len = ngx_rush_events_type.len;
    r->disable_not_modified = 1;
    r->keepalive = 0;

#if (NGX_HTTP_GZIP)
    r->gzip_tested = 1;                 /* it would keep events back */
    r->gzip_ok = 0;
#endif

    return NGX_OK;
}


/* what ngx_http_output_filter() or the like has said */

static ngx_int_t
ngx_rush_listen_first(ngx_rush_req_t *q, ngx_rush_event_t *event,
    ngx_uint_t last)
{
    ngx_int_t            rc;
    ngx_buf_t           *b;
    ngx_chain_t          out;
    ngx_http_request_t  *r;

    r = q->r;

    b = ngx_create_temp_buf(r->pool, event->len);
    if (b == NULL) {
        return NGX_ERROR;
    }

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    b->last = ngx_cpymem(b->last, event->bytes + event->head, event->len);
    b->flush = 1;
    b->last_buf = last;
    b->last_in_chain = last;

    out.buf = b;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}


static ngx_rush_listener_t *
ngx_rush_listener_create(ngx_rush_req_t *q)
{
    int64_t               until;
    uint64_t              address;
    ngx_rush_listener_t  *l;
    ngx_http_cleanup_t   *cln;

    address = ngx_rush_addr_key(q->r);

    cln = ngx_http_cleanup_add(q->r, 0);
    l = ngx_calloc(sizeof(ngx_rush_listener_t), ngx_cycle->log);

    if (cln == NULL || l == NULL) {
        goto failed;
    }

    if (q->logged) {
        l->user = ngx_rush_events_count(&ngx_rush_hub.users, q->user.user);

        if (l->user == NULL) {
            goto failed;
        }
    }

    if (address) {
        l->address = ngx_rush_events_count(&ngx_rush_hub.addresses, address);

        if (l->address == NULL) {
            ngx_rush_events_uncount(&ngx_rush_hub.users, l->user);
            goto failed;
        }
    }

    until = ngx_time() + (int64_t) ngx_rush_hub.conf->lifetime / 1000;

    if (q->logged) {
        until = ngx_min(until, q->user.expires);
        l->session = q->user.session;
        l->version = ngx_min(q->user.version, 0xffffffffLL);
    }

    l->until = until;

    /* finds it by q: the listener may be gone, or not yet in */

    cln->handler = ngx_rush_listener_cleanup;
    cln->data = q;

    return l;

failed:

    if (l) {
        ngx_free(l);
    }

    return NULL;
}


/* nginx frees the request: its client has left, or so */

static void
ngx_rush_listener_cleanup(void *data)
{
    ngx_rush_req_t  *q = data;

    if (q->listener) {
        ngx_rush_hub_leave(q->listener, NGX_RUSH_CLOSED_LEFT);
        q->listener = NULL;
    }
}


/* posted, so that no request is on the stack */

void
ngx_rush_listener_detach(ngx_event_t *ev)
{
    ngx_queue_t          *q;
    ngx_connection_t     *c;
    ngx_rush_listener_t  *l;

    while (!ngx_queue_empty(&ngx_rush_hub.fresh)) {
        q = ngx_queue_head(&ngx_rush_hub.fresh);
        l = ngx_queue_data(q, ngx_rush_listener_t, due);
        c = l->r->connection;

        if (l->r->out || c->buffered) {
            ngx_rush_hub_wait(l, 1);

            if (ngx_handle_write_event(c->write, 0) != NGX_OK) {
                ngx_rush_listener_close(l, NGX_RUSH_CLOSED_LEFT);
            }

            continue;
        }

        ngx_rush_hub_wait(l, 0);

        if (ngx_rush_listener_may_detach(l->r)
            && ngx_rush_listener_take(l) != NGX_OK)
        {
            ngx_rush_listener_close(l, NGX_RUSH_CLOSED_LEFT);
        }
    }
}


static ngx_uint_t
ngx_rush_listener_may_detach(ngx_http_request_t *r)
{
    return r->http_version < NGX_HTTP_VERSION_20
           && r == r->main && r->count == 1 && r->blocked == 0
           && r->posted_requests == NULL && r->postponed == NULL
           && r->connection->data == r && !r->connection->error
           && !r->connection->write->timer_set;
}


/* as ngx_http_set_keepalive() */

static ngx_int_t
ngx_rush_listener_take(ngx_rush_listener_t *l)
{
    ngx_chain_t               *cl, *ln;
    ngx_uint_t                 nodelay;
    ngx_rush_req_t            *q;
    ngx_connection_t          *c;
    ngx_http_request_t        *r;
    ngx_http_connection_t     *hc;
    ngx_http_core_loc_conf_t  *clcf;

    r = l->r;
    c = r->connection;
    hc = r->http_connection;
    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    nodelay = clcf->tcp_nodelay;

    l->chunked = r->chunked;
    l->buf = NULL;
    l->r = NULL;
    l->c = c;

    q = ngx_http_get_module_ctx(r, ngx_http_rush_core_module);
    q->listener = NULL;

    ngx_http_free_request(r, 0);

    c->data = l;
    c->destroyed = 0;
    c->log->action = "listening";

    c->read->handler = ngx_rush_listener_read;
    c->write->handler = ngx_rush_listener_write;

    /* buffers outside of the pool of the connection */

    (void) ngx_pfree(c->pool, c->buffer->start);
    c->buffer = NULL;

    for (cl = hc->free; cl; cl = ln) {
        ln = cl->next;
        (void) ngx_pfree(c->pool, cl->buf->start);
    }

    for (cl = hc->busy; cl; cl = ln) {
        ln = cl->next;
        (void) ngx_pfree(c->pool, cl->buf->start);
    }

    hc->free = NULL;
    hc->busy = NULL;
    hc->nbusy = 0;

#if (NGX_HTTP_SSL)
    if (c->ssl) {
        ngx_ssl_free_buffer(c);
    }
#endif

    if (c->tcp_nopush == NGX_TCP_NOPUSH_SET) {

        if (ngx_tcp_push(c->fd) == -1) {
            return NGX_ERROR;
        }

        c->tcp_nopush = NGX_TCP_NOPUSH_UNSET;
    }

    if (nodelay && ngx_tcp_nodelay(c) != NGX_OK) {
        return NGX_ERROR;
    }

    if (c->read->ready) {
        ngx_post_event(c->read, &ngx_posted_events);
        return NGX_OK;
    }

    return ngx_handle_read_event(c->read, 0);
}
