
/*
 * Copyright (C) Rush
 */


#include "ngx_rush_core.h"


/*
 * Bodies in pieces, whose length nobody knows before their end.  A piece is
 * borrowed until it has left for the client; that is an operation of its
 * step, so the next one is made when there is room for it.
 *
 * The operation lives in the request pool: the one who ends it is the write
 * event of the request.  Any other end of the request than the last piece
 * closes the connection, so half a body never looks like a whole one.
 */


static ngx_int_t ngx_rush_piece_begin(ngx_rush_req_t *q, ngx_str_t *type);
static ngx_int_t ngx_rush_piece_wait(ngx_rush_req_t *q);
static ngx_int_t ngx_rush_piece_event(ngx_http_request_t *r);
static void ngx_rush_piece_handler(ngx_http_request_t *r);


ngx_int_t
ngx_rush_piece(ngx_rush_req_t *q, ngx_str_t *type, u_char *data, size_t len,
    ngx_uint_t last)
{
    ngx_int_t            rc;
    ngx_buf_t           *b;
    ngx_chain_t          out;
    ngx_http_request_t  *r;

    r = q->r;

    if (!q->replied) {
        rc = ngx_rush_piece_begin(q, type);

        if (rc != NGX_OK) {
            return rc;
        }
    }

    b = ngx_calloc_buf(r->pool);
    if (b == NULL) {
        return NGX_ERROR;
    }

    b->pos = data;
    b->last = data + len;
    b->memory = (len != 0);
    b->sync = (len == 0);
    b->flush = 1;
    b->last_buf = last & 1;
    b->last_in_chain = 1;

    out.buf = b;
    out.next = NULL;

    rc = ngx_http_output_filter(r, &out);

    if (last || rc == NGX_ERROR) {
        q->raw_rc = rc;
        return NGX_DONE;
    }

    if (r->buffered || r->connection->buffered) {
        return ngx_rush_piece_wait(q);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_rush_piece_begin(ngx_rush_req_t *q, ngx_str_t *type)
{
    ngx_int_t            rc;
    ngx_http_request_t  *r;

    r = q->r;

    if (ngx_rush_reply_headers(q, NGX_HTTP_OK) != NGX_OK) {
        ngx_http_clean_header(r);
        return NGX_ERROR;
    }

    q->replied = 1;
    q->raw_rc = NGX_ERROR;

    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_type = *type;
    r->headers_out.content_type_len = type->len;
    r->disable_not_modified = 1;

    ngx_http_clear_content_length(r);

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        q->raw_rc = rc;
        return NGX_DONE;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_rush_piece_wait(ngx_rush_req_t *q)
{
    ngx_rush_op_t       *op;
    ngx_http_request_t  *r;

    r = q->r;

    op = ngx_pcalloc(r->pool, sizeof(ngx_rush_op_t));
    if (op == NULL) {
        return NGX_ERROR;
    }

    /* the reading side was set when the request waited first */

    if (!q->suspended) {
        q->suspended = 1;
        r->read_event_handler = ngx_http_test_reading;
    }

    r->write_event_handler = ngx_rush_piece_handler;

    if (ngx_rush_piece_event(r) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_rush_op_start(q, op);
}


static ngx_int_t
ngx_rush_piece_event(ngx_http_request_t *r)
{
    ngx_event_t               *wev;
    ngx_http_core_loc_conf_t  *clcf;

    wev = r->connection->write;
    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (!wev->delayed) {
        ngx_add_timer(wev, clcf->send_timeout);
    }

    return ngx_handle_write_event(wev, clcf->send_lowat);
}


static void
ngx_rush_piece_handler(ngx_http_request_t *r)
{
    ngx_event_t       *wev;
    ngx_rush_req_t    *q;
    ngx_connection_t  *c;

    c = r->connection;
    wev = c->write;
    q = ngx_http_get_module_ctx(r, ngx_http_rush_core_module);

    if (wev->timedout) {
        ngx_connection_error(c, NGX_ETIMEDOUT, "client timed out");
        c->timedout = 1;
        ngx_http_finalize_request(r, NGX_HTTP_REQUEST_TIME_OUT);
        return;
    }

    if (!wev->delayed) {

        if (ngx_http_output_filter(r, NULL) == NGX_ERROR) {
            ngx_http_finalize_request(r, NGX_ERROR);
            return;
        }

        if (!r->buffered && !c->buffered) {

            if (wev->timer_set) {
                ngx_del_timer(wev);
            }

            r->write_event_handler = ngx_http_request_empty_handler;

            (void) ngx_rush_op_finish(q->op);
            ngx_rush_resume(q, NGX_OK);
            return;
        }
    }

    if (ngx_rush_piece_event(r) != NGX_OK) {
        ngx_http_finalize_request(r, NGX_ERROR);
    }
}
