
/*
 * Copyright (C) Rush
 */


#include "ngx_rush_core.h"


/*
 * Input: path, query, headers and body go into the struct of the route by the
 * rows of its fields.  A bad path is 404, since no object has such an id; all
 * else is 400 that names the field.
 */


static ngx_int_t ngx_rush_parse_query(ngx_rush_req_t *q);
static ngx_int_t ngx_rush_parse_headers(ngx_rush_req_t *q);
static ngx_int_t ngx_rush_join_body(ngx_rush_req_t *q, ngx_str_t *body);


ngx_int_t
ngx_rush_parse(ngx_rush_req_t *q, ngx_rush_match_t *match)
{
    ngx_int_t          rc;
    ngx_uint_t         i;
    ngx_rush_entry_t  *entry;
    ngx_rush_route_t  *route;

    route = q->route;
    entry = match->entry;

    if (route->size) {
        q->data = ngx_pcalloc(q->r->pool, route->size);
        if (q->data == NULL) {
            return RUSH_INTERNAL;
        }
    }

    for (i = 0; i < entry->nparams; i++) {

        if (rush_field_value(route->fields, entry->param[i], q->data,
                             &q->present, match->param[i].data,
                             match->param[i].len, &q->field_error)
            != RUSH_OK)
        {
            /* no object has such an id */
            return RUSH_NOT_FOUND;
        }
    }

    if (entry->query && q->r->args.len) {
        rc = ngx_rush_parse_query(q);

        if (rc != RUSH_OK) {
            return rc;
        }
    }

    if (entry->header) {
        rc = ngx_rush_parse_headers(q);

        if (rc != RUSH_OK) {
            return rc;
        }
    }

    return (route->flags & NGX_RUSH_IDEMPOTENT) ? ngx_rush_idem_header(q)
                                                : RUSH_OK;
}


/* values are decoded in place: not in the request line, which is logged */

static ngx_int_t
ngx_rush_parse_query(ngx_rush_req_t *q)
{
    u_char     *p;
    ngx_str_t  *args;

    args = &q->r->args;

    p = ngx_pnalloc(q->r->pool, args->len);
    if (p == NULL) {
        return RUSH_INTERNAL;
    }

    ngx_memcpy(p, args->data, args->len);

    if (rush_field_query(q->route->fields, q->route->nfields, q->data,
                         &q->present, p, args->len, &q->field_error)
        != RUSH_OK)
    {
        return RUSH_BAD_REQUEST;
    }

    return RUSH_OK;
}


static ngx_int_t
ngx_rush_parse_headers(ngx_rush_req_t *q)
{
    u_char              *name, lowcase[64];
    ngx_int_t            rc;
    ngx_str_t            value;
    ngx_uint_t           i, n;
    const rush_field_t  *f;

    f = q->route->fields;

    for (i = 0; i < q->route->nfields; i++) {

        if (f[i].place != RUSH_IN_HEADER) {
            continue;
        }

        name = f[i].name.data;

        for (n = 0; n < f[i].name.len && n < sizeof(lowcase); n++) {
            lowcase[n] = (name[n] == '_') ? '-' : name[n];
        }

        rc = ngx_rush_header_item(q->r, (char *) lowcase, n, &value);

        if (rc == NGX_DECLINED) {
            continue;
        }

        if (rc != NGX_OK
            || rush_field_value(f, i, q->data, &q->present, value.data,
                                value.len, &q->field_error)
               != RUSH_OK)
        {
            q->field_error.field = &f[i];
            return RUSH_BAD_REQUEST;
        }
    }

    return RUSH_OK;
}


ngx_int_t
ngx_rush_header_item(ngx_http_request_t *r, const char *lowcase, size_t len,
    ngx_str_t *value)
{
    ngx_int_t  rc;

    rc = ngx_rush_header(r, lowcase, len, value);

    if (rc == NGX_OK && value->len > 1 && value->data[0] == '"'
        && value->data[value->len - 1] == '"')
    {
        /* a structured field string, RFC 9651 */
        value->data++;
        value->len -= 2;
    }

    return rc;
}


ngx_int_t
ngx_rush_check_body(ngx_rush_req_t *q)
{
    u_char              *type;
    ngx_str_t           *value;
    ngx_http_request_t  *r;

    static const u_char  json[] = "application/json";

    r = q->r;

    if (r->headers_in.content_length_n <= 0 && !r->headers_in.chunked) {
        return RUSH_OK;
    }

    if (r->headers_in.content_length_n > NGX_RUSH_MAX_BODY) {
        return RUSH_TOO_LARGE;
    }

    r->request_body_in_single_buf = 1;

    if (q->route->flags & NGX_RUSH_RAW_BODY) {
        return RUSH_OK;
    }

    if (r->headers_in.content_type == NULL) {
        return RUSH_MEDIA_TYPE;
    }

    value = &r->headers_in.content_type->value;
    type = value->data;

    if (value->len < sizeof(json) - 1
        || (ngx_memcmp(type, json, sizeof(json) - 1) != 0
            && ngx_strncasecmp(type, (u_char *) json, sizeof(json) - 1) != 0)
        || (value->len > sizeof(json) - 1 && type[sizeof(json) - 1] != ';'
            && type[sizeof(json) - 1] != ' '))
    {
        return RUSH_MEDIA_TYPE;
    }

    return RUSH_OK;
}


ngx_int_t
ngx_rush_parse_body(ngx_rush_req_t *q)
{
    ngx_int_t  rc;
    ngx_str_t  body;

    ngx_str_null(&body);

    rc = ngx_rush_join_body(q, &body);

    if (rc != RUSH_OK || body.len == 0) {
        return rc;
    }

    if (q->route->flags & NGX_RUSH_RAW_BODY) {
        q->body = body;
        return RUSH_OK;
    }

    if (rush_field_body(q->route->fields, q->route->nfields, q->data,
                        &q->present, body.data, body.len, &q->field_error)
        != RUSH_OK)
    {
        return RUSH_BAD_REQUEST;
    }

    return RUSH_OK;
}


/* in one piece; what nginx has put into a file is too large */

static ngx_int_t
ngx_rush_join_body(ngx_rush_req_t *q, ngx_str_t *body)
{
    off_t                     len;
    u_char                   *p;
    ngx_chain_t              *cl;
    ngx_http_request_body_t  *rb;

    rb = q->r->request_body;

    if (rb == NULL || rb->bufs == NULL) {
        return RUSH_OK;
    }

    len = 0;

    for (cl = rb->bufs; cl; cl = cl->next) {

        if (cl->buf->in_file) {
            return RUSH_TOO_LARGE;
        }

        len += cl->buf->last - cl->buf->pos;
    }

    if (len == 0) {
        return RUSH_OK;
    }

    if (len > NGX_RUSH_MAX_BODY) {
        return RUSH_TOO_LARGE;
    }

    p = rb->bufs->buf->pos;

    if (rb->bufs->next) {
        p = ngx_pnalloc(q->r->pool, len);
        if (p == NULL) {
            return RUSH_INTERNAL;
        }

        for (cl = rb->bufs; cl; cl = cl->next) {

            if (cl->buf->pos) {         /* the last one may be a mark only */
                p = ngx_cpymem(p, cl->buf->pos,
                               cl->buf->last - cl->buf->pos);
            }
        }

        p -= len;
    }

    body->data = p;
    body->len = len;

    return RUSH_OK;
}


ngx_int_t
ngx_rush_missing(ngx_rush_req_t *q)
{
    if (rush_field_required(q->route->fields, q->route->nfields, q->present,
                            &q->field_error)
        != RUSH_OK)
    {
        return RUSH_BAD_REQUEST;
    }

    return RUSH_OK;
}


ngx_uint_t
ngx_rush_given(ngx_rush_req_t *q, const char *name)
{
    ngx_uint_t           i;
    const rush_field_t  *f;

    f = q->route->fields;

    for (i = 0; i < q->route->nfields; i++) {

        if (ngx_strcmp(f[i].name.data, name) == 0) {
            return (q->present >> i) & 1;
        }
    }

    ngx_log_error(NGX_LOG_ALERT, q->r->connection->log, 0,
                  "route \"%V\" has no field \"%s\"", &q->route->name, name);

    return 0;
}
