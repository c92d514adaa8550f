
/*
 * Copyright (C) Rush
 */


#include "ngx_rush_core.h"


/*
 * Answers.  The envelope of every code is built once; an answer is one
 * buffer: head of the code, data, tail with the trace id.  It goes out by
 * send_header and output_filter, not by finalizing with a status, so
 * error_page never replaces it.
 */


typedef struct {
    ngx_int_t            code;
    ngx_uint_t           status;
    ngx_str_t            head;          /* {"code":..,"message":..,"data": */
} ngx_rush_answer_t;


static ngx_uint_t ngx_rush_error_index(ngx_int_t code);
static void ngx_rush_field_reason(ngx_rush_req_t *q);
static ngx_int_t ngx_rush_retry_after(ngx_rush_req_t *q, ngx_uint_t status);
static ngx_int_t ngx_rush_output(ngx_rush_req_t *q, ngx_uint_t status,
    ngx_buf_t *b);


#define NGX_RUSH_TRACE_HEAD  ",\"trace_id\":\""
#define NGX_RUSH_TRACE_TAIL  "\"}"


static ngx_rush_answer_t  ngx_rush_answers[RUSH_ERROR_COUNT + 1] = {
#define NGX_RUSH_ANSWER(name, code, http, text)                               \
    { code, http,                                                             \
      ngx_string("{\"code\":" #code ",\"message\":\"" text "\",\"data\":") },
    RUSH_ERRORS(NGX_RUSH_ANSWER)
#undef NGX_RUSH_ANSWER
    { 0, NGX_HTTP_OK,
      ngx_string("{\"code\":0,\"message\":\"success\",\"data\":") }
};


static ngx_str_t  ngx_rush_json_type = ngx_string("application/json");
static ngx_str_t  ngx_rush_no_data = ngx_string("{}");
static ngx_str_t  ngx_rush_final = ngx_string("{\"final\":true}");
static ngx_str_t  ngx_rush_not_final = ngx_string("{\"final\":false}");
static ngx_str_t  ngx_rush_no_store = ngx_string("no-store");
static ngx_str_t  ngx_rush_max_age = ngx_string("public, max-age=1");
static ngx_str_t  ngx_rush_bearer =
    ngx_string("Bearer error=\"invalid_token\"");


static ngx_uint_t
ngx_rush_error_index(ngx_int_t code)
{
    switch (code) {

#define NGX_RUSH_CASE(name, number, http, text)                               \
    case number:                                                              \
        return RUSH_I_##name;

    RUSH_ERRORS(NGX_RUSH_CASE)
#undef NGX_RUSH_CASE

    case NGX_OK:
    case NGX_DONE:
        return RUSH_ERROR_COUNT;
    }

    return RUSH_I_INTERNAL;
}


ngx_uint_t
ngx_rush_reply_status(ngx_int_t rc)
{
    return ngx_rush_answers[ngx_rush_error_index(rc)].status;
}


void
ngx_rush_reply_data(ngx_rush_req_t *q, ngx_str_t *data)
{
    if (q->out.len) {
        data->data = q->out.data;
        data->len = q->out.len;

    } else if (q->not_final) {
        *data = ngx_rush_not_final;

    } else if (q->final) {
        *data = ngx_rush_final;

    } else {
        *data = ngx_rush_no_data;
    }
}


void
ngx_rush_reply(ngx_rush_req_t *q, ngx_int_t rc)
{
    size_t               len;
    ngx_buf_t           *b;
    ngx_str_t            data;
    ngx_uint_t           index;
    ngx_time_t          *tp;
    ngx_msec_int_t       ms;
    ngx_http_request_t  *r;
    ngx_rush_answer_t   *answer;

    r = q->r;

    index = ngx_rush_error_index(rc);
    answer = &ngx_rush_answers[index];

    if (rc == RUSH_BAD_REQUEST && q->field_error.reason) {
        ngx_rush_field_reason(q);
    }

    tp = ngx_timeofday();

    ms = (ngx_msec_int_t) ((tp->sec - r->start_sec) * 1000
                           + (tp->msec - r->start_msec));

    ngx_rush_count_answer(q->route ? q->route->index : NGX_RUSH_NO_ROUTE,
                          index, answer->status, ngx_max(ms, 0));

    if (q->replied) {
        /* a step of a NGX_RUSH_RAW route has sent its own body */
        ngx_http_finalize_request(r, q->raw_rc);
        return;
    }

    if (q->out.failed) {
        ngx_http_finalize_request(r, NGX_HTTP_INTERNAL_SERVER_ERROR);
        return;
    }

    ngx_rush_reply_data(q, &data);

    len = answer->head.len + data.len + sizeof(NGX_RUSH_TRACE_HEAD) - 1
          + RUSH_TRACE_LEN + sizeof(NGX_RUSH_TRACE_TAIL) - 1;

    b = ngx_create_temp_buf(r->pool, len);

    if (b == NULL || ngx_rush_reply_headers(q, answer->status) != NGX_OK) {
        ngx_http_clean_header(r);       /* the error page has its own */
        ngx_http_finalize_request(r, NGX_HTTP_INTERNAL_SERVER_ERROR);
        return;
    }

    b->last = ngx_cpymem(b->last, answer->head.data, answer->head.len);
    b->last = ngx_cpymem(b->last, data.data, data.len);
    b->last = ngx_cpymem(b->last, NGX_RUSH_TRACE_HEAD,
                         sizeof(NGX_RUSH_TRACE_HEAD) - 1);
    b->last = ngx_cpymem(b->last, q->trace.id, RUSH_TRACE_LEN);
    b->last = ngx_cpymem(b->last, NGX_RUSH_TRACE_TAIL,
                         sizeof(NGX_RUSH_TRACE_TAIL) - 1);

    r->headers_out.content_type = ngx_rush_json_type;
    r->headers_out.content_type_len = ngx_rush_json_type.len;

    ngx_http_finalize_request(r, ngx_rush_output(q, answer->status, b));
}


static ngx_int_t
ngx_rush_output(ngx_rush_req_t *q, ngx_uint_t status, ngx_buf_t *b)
{
    ngx_int_t            rc;
    ngx_chain_t          out;
    ngx_http_request_t  *r;

    r = q->r;
    q->replied = 1;

    b->last_buf = 1;
    b->last_in_chain = 1;

    r->headers_out.status = status;
    r->headers_out.content_length_n = b->last - b->pos;

    /*
     * If-Match, If-None-Match and the like are for what has an ETag.  With
     * any other answer they would hide from a client what it has done.
     */

    r->disable_not_modified = (q->etag.len == 0);

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    (void) RUSH_FP("W4");

    out.buf = b;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}


ngx_int_t
ngx_rush_send(ngx_rush_req_t *q, ngx_uint_t status, ngx_str_t *type,
    u_char *body, size_t len)
{
    ngx_buf_t  *b;

    b = ngx_create_temp_buf(q->r->pool, ngx_max(len, 1));

    if (b == NULL || ngx_rush_reply_headers(q, status) != NGX_OK) {
        ngx_http_clean_header(q->r);    /* the error has its own, */
        rush_buf_reset(&q->out);        /* and this is not its data */
        return NGX_ERROR;
    }

    b->last = ngx_cpymem(b->last, body, len);

    if (len == 0) {
        b->temporary = 0;               /* an end, and no empty bytes */
    }

    q->r->headers_out.content_type = *type;
    q->r->headers_out.content_type_len = type->len;

    q->raw_rc = ngx_rush_output(q, status, b);

    return NGX_DONE;
}


ngx_int_t
ngx_rush_reply_headers(ngx_rush_req_t *q, ngx_uint_t status)
{
    ngx_str_t            value;
    ngx_table_elt_t     *h;
    ngx_http_request_t  *r;

    r = q->r;

    value.data = q->trace.id;
    value.len = RUSH_TRACE_LEN;

    if (ngx_rush_add_header(r, "X-Trace-Id", sizeof("X-Trace-Id") - 1, &value)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    value = (q->route && (q->route->flags & NGX_RUSH_PUBLIC_CACHE)
             && status == NGX_HTTP_OK && !q->logged)
            ? ngx_rush_max_age : ngx_rush_no_store;

    if (ngx_rush_add_header(r, "Cache-Control", sizeof("Cache-Control") - 1,
                            &value)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    switch (status) {

    case NGX_HTTP_OK:

        if (q->etag.len) {
            h = ngx_list_push(&r->headers_out.headers);
            if (h == NULL) {
                return NGX_ERROR;
            }

            ngx_memzero(h, sizeof(ngx_table_elt_t));
            h->hash = 1;
            ngx_str_set(&h->key, "ETag");
            h->value = q->etag;
            r->headers_out.etag = h;
        }

        return NGX_OK;

    case NGX_HTTP_UNAUTHORIZED:
        return ngx_rush_add_header(r, "WWW-Authenticate",
                                   sizeof("WWW-Authenticate") - 1,
                                   &ngx_rush_bearer);

    case NGX_HTTP_TOO_MANY_REQUESTS:
    case NGX_HTTP_SERVICE_UNAVAILABLE:
    case NGX_HTTP_CONFLICT:
        return ngx_rush_retry_after(q, status);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_rush_retry_after(ngx_rush_req_t *q, ngx_uint_t status)
{
    u_char      *p;
    ngx_str_t    value;
    ngx_uint_t   seconds;

    seconds = q->retry_after;

    if (seconds == 0) {
        /* spread out, so that not everybody comes back at once */
        seconds = (status == NGX_HTTP_SERVICE_UNAVAILABLE)
                  ? 1 + rush_random_next(&ngx_rush_random) % 3 : 1;
    }

    p = ngx_pnalloc(q->r->pool, NGX_INT_T_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    value.data = p;
    value.len = ngx_sprintf(p, "%ui", seconds) - p;

    return ngx_rush_add_header(q->r, "Retry-After", sizeof("Retry-After") - 1,
                               &value);
}


ngx_int_t
ngx_rush_add_header(ngx_http_request_t *r, const char *name, size_t len,
    ngx_str_t *value)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    /* clears "next", which nginx 1.23 added */
    ngx_memzero(h, sizeof(ngx_table_elt_t));

    h->hash = 1;
    h->key.data = (u_char *) name;
    h->key.len = len;
    h->value = *value;

    return NGX_OK;
}


ngx_int_t
ngx_rush_allow(ngx_rush_req_t *q, ngx_uint_t methods)
{
    u_char     *p;
    ngx_str_t   value;

    p = ngx_pnalloc(q->r->pool, sizeof("GET, HEAD, POST, PUT, DELETE, "));
    if (p == NULL) {
        return NGX_ERROR;
    }

    value.data = p;

    if (methods & NGX_HTTP_GET) {
        p = ngx_cpymem(p, "GET, HEAD, ", 11);
    }

    if (methods & NGX_HTTP_POST) {
        p = ngx_cpymem(p, "POST, ", 6);
    }

    if (methods & NGX_HTTP_PUT) {
        p = ngx_cpymem(p, "PUT, ", 5);
    }

    if (methods & NGX_HTTP_DELETE) {
        p = ngx_cpymem(p, "DELETE, ", 8);
    }

    value.len = p - value.data - 2;

    return ngx_rush_add_header(q->r, "Allow", sizeof("Allow") - 1, &value);
}


static void
ngx_rush_field_reason(ngx_rush_req_t *q)
{
    rush_buf_t          *b;
    rush_field_error_t  *err;

    b = &q->out;
    err = &q->field_error;

    rush_buf_reset(b);
    rush_json_open(b, NULL, '{');

    if (err->field) {
        rush_json_str(b, "field", &err->field->name);
    }

    if (err->range && err->field) {
        rush_buf_puts(b, b->len > 1 ? ",\"reason\":\"" : "\"reason\":\"");
        rush_buf_printf(b, "must be %lld to %lld%s\"",
                        (long long) err->field->min,
                        (long long) err->field->max,
                        err->field->type == RUSH_T_LIST ? " members"
                        : err->field->type >= RUSH_T_STR ? " characters" : "");

    } else {
        rush_json_text(b, "reason", err->reason);
    }

    rush_json_close(b, '}');
}


ngx_int_t
ngx_rush_refuse(ngx_rush_req_t *q, const char *field, const char *reason)
{
    rush_buf_reset(&q->out);
    rush_json_open(&q->out, NULL, '{');
    rush_json_text(&q->out, "field", field);
    rush_json_text(&q->out, "reason", reason);
    rush_json_close(&q->out, '}');

    return RUSH_BAD_REQUEST;
}


ngx_int_t
ngx_rush_header(ngx_http_request_t *r, const char *lowcase, size_t len,
    ngx_str_t *value)
{
    ngx_int_t         rc;
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    rc = NGX_DECLINED;
    part = &r->headers_in.headers.part;

    for ( /* void */ ; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (h[i].key.len != len
                || ngx_memcmp(h[i].lowcase_key, lowcase, len) != 0)
            {
                continue;
            }

            if (rc == NGX_OK) {
                return NGX_ERROR;
            }

            rc = NGX_OK;
            *value = h[i].value;
        }
    }

    return rc;
}


ngx_int_t
ngx_rush_cookie(ngx_http_request_t *r, ngx_str_t *name, ngx_str_t *value)
{
#if (nginx_version >= 1023000)

    if (ngx_http_parse_multi_header_lines(r, r->headers_in.cookie, name,
                                          value)
        == NULL)
    {
        return NGX_DECLINED;
    }

#else

    if (ngx_http_parse_multi_header_lines(&r->headers_in.cookies, name, value)
        == NGX_DECLINED)
    {
        return NGX_DECLINED;
    }

#endif

    return NGX_OK;
}
