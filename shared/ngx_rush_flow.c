
/*
 * Copyright (C) Rush
 */


#include "ngx_rush_core.h"
#include "ngx_rush_counters.h"


/*
 * The engine.  A request is matched, admitted and parsed, then its steps run
 * one after another.  A step that waits parks the request; the driver that
 * has its answer resumes it.
 *
 * An aborted request is not kept alive: nginx frees it, the cleanup handler
 * cuts the operation off (op->q = NULL), and the answer finds nobody.  A
 * route with NGX_RUSH_KEEP_RUNNING does not look at the client while it
 * waits, so it finishes what it began; so do routes that are recorded, and
 * requests with an Idempotency-Key.
 */


#define NGX_RUSH_TELL_TIME   1000       /* ms */
#define NGX_RUSH_TELL_STEP   5


static ngx_rush_req_t *ngx_rush_create(ngx_http_request_t *r);
static void ngx_rush_trace(ngx_rush_req_t *q);
static void ngx_rush_body_handler(ngx_http_request_t *r);
static void ngx_rush_begin(ngx_rush_req_t *q);
static void ngx_rush_run(ngx_rush_req_t *q);
static void ngx_rush_end(ngx_rush_req_t *q, ngx_int_t rc);
static void ngx_rush_tell(ngx_rush_req_t *q);
static void ngx_rush_finish(ngx_rush_req_t *q, ngx_int_t rc);
static void ngx_rush_answer(ngx_rush_req_t *q, ngx_int_t rc);
static ngx_int_t ngx_rush_suspend(ngx_rush_req_t *q);
static void ngx_rush_detach(ngx_rush_req_t *q);
static void ngx_rush_cleanup(void *data);


rush_random_t  ngx_rush_random;


ngx_int_t
ngx_rush_handler(ngx_http_request_t *r)
{
    ngx_int_t              rc, discarded;
    ngx_rush_req_t        *q;
    ngx_rush_match_t       match;
    ngx_rush_loc_conf_t   *lcf;
    ngx_rush_main_conf_t  *mcf;

    if (r != r->main || r->internal) {
        return NGX_HTTP_NOT_FOUND;      /* a buy must not run twice */
    }

    q = ngx_rush_create(r);
    if (q == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    lcf = ngx_http_get_module_loc_conf(r, ngx_http_rush_core_module);
    mcf = ngx_http_get_module_main_conf(r, ngx_http_rush_core_module);

    ngx_rush_find_route(mcf, lcf->apis, r, &match);

    if (match.entry) {
        q->route = match.entry->route;
        q->step = q->route->steps;

        rc = ngx_rush_admit(q, lcf, mcf);

        if (rc == RUSH_OK) {
            rc = ngx_rush_parse(q, &match);
        }

    } else {
        rc = match.methods ? RUSH_METHOD : RUSH_NOT_FOUND;

        if (match.methods && ngx_rush_allow(q, match.methods) != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    if (rc == RUSH_OK && match.entry->body) {
        rc = ngx_rush_check_body(q);

        if (rc == RUSH_OK) {
            rc = ngx_http_read_client_request_body(r, ngx_rush_body_handler);

            return rc >= NGX_HTTP_SPECIAL_RESPONSE ? rc : NGX_DONE;
        }
    }

    if (rc == RUSH_OK) {
        rc = ngx_rush_missing(q);
    }

    discarded = ngx_http_discard_request_body(r);

    if (discarded != NGX_OK) {
        return discarded;               /* its chunks are malformed */
    }

    /* the steps finalize the request by themselves, now or later */

    r->main->count++;

    if (rc == RUSH_OK) {
        ngx_rush_begin(q);

    } else {
        ngx_rush_reply(q, rc);
    }

    return NGX_DONE;
}


ngx_int_t
ngx_rush_error_handler(ngx_http_request_t *r)
{
    ngx_int_t        rc;
    ngx_rush_req_t  *q;

    q = ngx_rush_create(r);
    if (q == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    switch (r->err_status) {

    case NGX_HTTP_NOT_FOUND:
        rc = RUSH_NOT_FOUND;
        break;

    case NGX_HTTP_NOT_ALLOWED:
        rc = RUSH_METHOD;
        break;

    case NGX_HTTP_FORBIDDEN:
        rc = RUSH_FORBIDDEN;
        break;

    case NGX_HTTP_REQUEST_ENTITY_TOO_LARGE:
    case NGX_HTTP_REQUEST_URI_TOO_LARGE:
        rc = RUSH_TOO_LARGE;
        break;

    case NGX_HTTP_TOO_MANY_REQUESTS:
        rc = RUSH_LIMITED;
        break;

    case NGX_HTTP_SERVICE_UNAVAILABLE:
    case NGX_HTTP_BAD_GATEWAY:
    case NGX_HTTP_GATEWAY_TIME_OUT:
        rc = RUSH_BUSY;
        break;

    default:
        rc = r->err_status < NGX_HTTP_INTERNAL_SERVER_ERROR
             ? RUSH_BAD_REQUEST : RUSH_INTERNAL;
    }

    if (ngx_http_discard_request_body(r) != NGX_OK) {
        r->keepalive = 0;
    }

    r->main->count++;
    ngx_rush_reply(q, rc);

    return NGX_DONE;
}


static ngx_rush_req_t *
ngx_rush_create(ngx_http_request_t *r)
{
    ngx_rush_req_t      *q;
    ngx_http_cleanup_t  *cln;

    cln = ngx_http_cleanup_add(r, sizeof(ngx_rush_req_t));
    if (cln == NULL) {
        return NULL;
    }

    q = cln->data;
    ngx_memzero(q, sizeof(ngx_rush_req_t));
    cln->handler = ngx_rush_cleanup;

    q->r = r;

    ngx_http_set_ctx(r, q, ngx_http_rush_core_module);
    ngx_rush_trace(q);

    return q;
}


static void
ngx_rush_trace(ngx_rush_req_t *q)
{
    ngx_str_t  value;

    if (ngx_rush_header(q->r, "traceparent", sizeof("traceparent") - 1,
                        &value)
        == NGX_OK
        && rush_trace_parse(&q->trace, value.data, value.len) == RUSH_OK)
    {
        return;
    }

    rush_trace_new(&q->trace, &ngx_rush_random);
}


static void
ngx_rush_body_handler(ngx_http_request_t *r)
{
    ngx_int_t        rc;
    ngx_rush_req_t  *q;

    q = ngx_http_get_module_ctx(r, ngx_http_rush_core_module);

    rc = ngx_rush_parse_body(q);

    if (rc == RUSH_OK) {
        rc = ngx_rush_missing(q);
    }

    if (rc == RUSH_OK) {
        ngx_rush_begin(q);

    } else {
        ngx_rush_reply(q, rc);
    }
}


void
ngx_rush_resume(ngx_rush_req_t *q, ngx_int_t rc)
{
    ngx_connection_t  *c;

    c = q->r->connection;           /* q and r may not survive the steps */

    ngx_http_set_log_request(c->log, q->r);

    if (q->keeping) {
        ngx_rush_idem_kept(q, rc);
        ngx_rush_reply(q, q->outcome);

    } else if (!q->begun) {

        if (q->asking) {
            rc = ngx_rush_idem_asked(q, rc);
        }

        if (rc == NGX_OK) {
            ngx_rush_begin(q);

        } else {
            ngx_rush_reply(q, rc);
        }

    } else if (q->telling) {
        ngx_rush_tell(q);

    } else if (q->ending) {

        if (rc != NGX_OK) {
            ngx_rush_count(NGX_RUSH_C_AUDIT_LOST, 1);
        }

        ngx_rush_answer(q, q->outcome);

    } else if (rc == NGX_OK) {
        ngx_rush_run(q);

    } else {
        ngx_rush_end(q, rc);
    }

    ngx_http_run_posted_requests(c);
}


static void
ngx_rush_begin(ngx_rush_req_t *q)
{
    ngx_int_t  rc;

    rc = (q->route->flags & NGX_RUSH_SURE_LATER) ? NGX_OK : ngx_rush_sure(q);

    if (rc == NGX_OK) {
        rc = ngx_rush_idem_ask(q);
    }

    if (rc == NGX_OK) {
        q->begun = 1;

        if (!ngx_rush_audited(q->route)) {
            ngx_rush_run(q);
            return;
        }

        rc = ngx_rush_audit_intent(q);
    }

    if (rc == NGX_AGAIN) {
        rc = ngx_rush_suspend(q);

        if (rc == NGX_OK) {
            return;
        }

        ngx_rush_detach(q);
    }

    q->act = 0;                         /* nothing was done */
    ngx_rush_answer(q, rc);
}


static void
ngx_rush_run(ngx_rush_req_t *q)
{
    ngx_int_t         rc;
    ngx_rush_step_t  *step;

    if (q->act && q->step == q->route->steps) {
        (void) RUSH_FP("W10");          /* the intent is written */
    }

    do {
        step = q->step;

        if (step->handler == NULL) {
            rc = NGX_DONE;
            break;
        }

        if (ngx_rush_idem_over(q)) {
            rush_buf_reset(&q->out);
            rc = RUSH_BUSY;
            break;
        }

        ngx_log_debug2(NGX_LOG_DEBUG_HTTP, q->r->connection->log, 0,
                       "rush step: %V %V", &q->route->name, &step->name);

        /* nginx prints it: "client closed connection while ..." */
        q->r->connection->log->action = (char *) step->name.data;
        q->step = step + 1;

        rc = step->handler(q);

        q->reply = NULL;
        q->rows = NULL;

    } while (rc == NGX_OK);

    if (rc == NGX_AGAIN) {

        if (ngx_rush_suspend(q) == NGX_OK) {
            return;
        }

        ngx_rush_detach(q);
        rc = NGX_ERROR;
    }

    ngx_rush_end(q, rc);
}


/* who is told that tokens have ended may count on it */

static void
ngx_rush_end(ngx_rush_req_t *q, ngx_int_t rc)
{
    switch (rc) {

    case NGX_ERROR:
    case RUSH_INTERNAL:
    case RUSH_BUSY:
    case RUSH_CLOSED:

        /* a step that waits may have begun an answer that has no end now */

        if (!q->whole) {
            rush_buf_reset(&q->out);
        }
    }

    if (q->revoked == 0) {
        ngx_rush_finish(q, rc);
        return;
    }

    q->outcome = rc;
    q->telling = 1;

    ngx_rush_tell(q);
}


static void
ngx_rush_tell(ngx_rush_req_t *q)
{
    ngx_int_t  rc;

    rc = q->outcome;

    if (ngx_rush_untold(q->revoked)) {

        if (ngx_current_msec - q->revoked_at < NGX_RUSH_TELL_TIME) {

            if (ngx_rush_sleep(q, NGX_RUSH_TELL_STEP) == NGX_AGAIN
                && ngx_rush_suspend(q) == NGX_OK)
            {
                return;
            }

            ngx_rush_detach(q);
        }

        if (rc == NGX_OK || rc == NGX_DONE) {
            rush_buf_reset(&q->out);
            rc = RUSH_BUSY;
        }
    }

    q->telling = 0;
    ngx_rush_finish(q, rc);
}


/* the outcome is written before the client learns of it */

static void
ngx_rush_finish(ngx_rush_req_t *q, ngx_int_t rc)
{
    ngx_int_t  code;

    if (q->act == 0) {
        ngx_rush_answer(q, rc);
        return;
    }

    (void) RUSH_FP("W9");

    code = (rc == NGX_OK || rc == NGX_DONE) ? RUSH_OK
           : (rc == NGX_ERROR) ? RUSH_INTERNAL : rc;

    q->outcome = rc;
    q->ending = 1;

    if (ngx_rush_audit_outcome(q, code) == NGX_AGAIN) {

        if (ngx_rush_suspend(q) == NGX_OK) {
            return;
        }

        ngx_rush_detach(q);
    }

    ngx_rush_count(NGX_RUSH_C_AUDIT_LOST, 1);
    ngx_rush_answer(q, rc);
}


/* what becomes of the Idempotency-Key, too */

static void
ngx_rush_answer(ngx_rush_req_t *q, ngx_int_t rc)
{
    if (ngx_rush_idem_keep(q, rc) == NGX_AGAIN) {

        if (ngx_rush_suspend(q) == NGX_OK) {
            return;
        }

        ngx_rush_detach(q);
    }

    ngx_rush_reply(q, rc);
}


static ngx_int_t
ngx_rush_suspend(ngx_rush_req_t *q)
{
    ngx_uint_t           stays;
    ngx_event_t         *rev;
    ngx_http_request_t  *r;

    r = q->r;

    if (q->op == NULL) {
        ngx_log_error(NGX_LOG_ALERT, r->connection->log, 0,
                      "rush step waits for nothing in \"%V\"",
                      &q->route->name);
        return NGX_ERROR;
    }

    /* one that could be left at first may have to be finished now */

    stays = (q->route->flags & NGX_RUSH_KEEP_RUNNING) || q->act || q->asking
            || q->owner || q->keeping;

    if (q->suspended && q->stays == stays) {
        return NGX_OK;
    }

    q->suspended = 1;
    q->stays = stays;

    r->write_event_handler = ngx_http_request_empty_handler;

    if (stays) {
        r->read_event_handler = ngx_http_block_reading;
        return NGX_OK;
    }

    r->read_event_handler = ngx_http_test_reading;

    rev = r->connection->read;

    if (rev->ready) {
        ngx_post_event(rev, &ngx_posted_events);
        return NGX_OK;
    }

    return ngx_handle_read_event(rev, 0);
}


ngx_int_t
ngx_rush_op_start(ngx_rush_req_t *q, ngx_rush_op_t *op)
{
    ngx_rush_assert(q->op == NULL);

    op->q = q;
    q->op = op;

    return NGX_AGAIN;
}


ngx_rush_req_t *
ngx_rush_op_finish(ngx_rush_op_t *op)
{
    ngx_rush_req_t  *q;

    q = op->q;

    if (q) {
        ngx_rush_assert(q->op == op);
        q->op = NULL;
        op->q = NULL;
    }

    return q;
}


static void
ngx_rush_cleanup(void *data)
{
    ngx_rush_req_t  *q = data;

    (void) RUSH_FP("W5");

    if (q->op) {
        ngx_log_error(NGX_LOG_INFO, q->r->connection->log, 0,
                      "rush request is gone in \"%V\"", &q->route->name);
        ngx_rush_count(NGX_RUSH_C_ABORTED, 1);
        ngx_rush_detach(q);
    }

    rush_buf_free(&q->out);
}


/* the answer finds nobody */

static void
ngx_rush_detach(ngx_rush_req_t *q)
{
    if (q->op) {
        q->op->q = NULL;
        q->op = NULL;
    }
}
