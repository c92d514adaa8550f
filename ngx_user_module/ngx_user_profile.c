
/*
 * Copyright (C) Rush
 */


#include "ngx_user_module.h"


#define NGX_USER_CHANGES  8             /* fields of the route */


static ngx_int_t ngx_user_read_profile(ngx_rush_req_t *q);
static ngx_int_t ngx_user_profile_read(ngx_rush_req_t *q);

static ngx_int_t ngx_user_check_change(ngx_rush_req_t *q);
static ngx_int_t ngx_user_change(ngx_rush_req_t *q);
static ngx_int_t ngx_user_changed(ngx_rush_req_t *q);

static ngx_uint_t ngx_user_is_degrees(rush_str_t *s, int64_t limit);


ngx_rush_step_t  ngx_user_profile_steps[] = {
    ngx_rush_step(ngx_user_read_profile),        /* mysql: user_by_id */
    ngx_rush_step(ngx_user_profile_read),
    ngx_rush_null_step
};


ngx_rush_step_t  ngx_user_change_steps[] = {
    ngx_rush_step(ngx_user_check_change),        /* local */
    ngx_rush_step(ngx_user_change),              /* mysql: user_change */
    ngx_rush_step(ngx_user_changed),
    ngx_rush_step(ngx_user_read_profile),        /* mysql: user_by_id */
    ngx_rush_step(ngx_user_profile_read),
    ngx_rush_null_step
};


/* text columns in the order of the user_by_* statements */

static const size_t  ngx_user_texts[] = {
    offsetof(ngx_user_t, username),
    offsetof(ngx_user_t, mobile),
    offsetof(ngx_user_t, email),
    offsetof(ngx_user_t, nickname),
    offsetof(ngx_user_t, avatar),
    offsetof(ngx_user_t, info),
    offsetof(ngx_user_t, signature),
    offsetof(ngx_user_t, location_name),
    offsetof(ngx_user_t, longitude),
    offsetof(ngx_user_t, latitude),
    offsetof(ngx_user_t, hash),
    offsetof(ngx_user_t, wx_key)
};

#define NGX_USER_TEXTS  (sizeof(ngx_user_texts) / sizeof(size_t))


static const size_t  ngx_user_numbers[] = {      /* the columns that follow */
    offsetof(ngx_user_t, id),
    offsetof(ngx_user_t, sex),
    offsetof(ngx_user_t, roles),
    offsetof(ngx_user_t, status),
    offsetof(ngx_user_t, version),
    offsetof(ngx_user_t, fail_ms),
    offsetof(ngx_user_t, created_ms),
    offsetof(ngx_user_t, fails)
};

#define NGX_USER_NUMBERS  (sizeof(ngx_user_numbers) / sizeof(size_t))


static ngx_int_t
ngx_user_read_profile(ngx_rush_req_t *q)
{
    ngx_rush_param_t  param;

    param = ngx_rush_p_int(q->user.user);

    return ngx_rush_query(q, ngx_user_stmt(USER_BY_ID), &param, 1, NGX_OK);
}


static ngx_int_t
ngx_user_profile_read(ngx_rush_req_t *q)
{
    ngx_user_t  *u = q->data;

    ngx_int_t    rc;

    rc = ngx_user_load(q, u);

    if (rc == NGX_DECLINED) {
        return RUSH_NOT_FOUND;
    }

    if (rc != NGX_OK) {
        return rc;
    }

    ngx_user_put(&q->out, NULL, u);

    return NGX_OK;
}


static ngx_int_t
ngx_user_check_change(ngx_rush_req_t *q)
{
    ngx_user_change_t  *change = q->data;

    if (!ngx_user_is_address(&change->avatar)) {
        return ngx_rush_refuse(q, "avatar",
                               "must begin with http://, https:// or /");
    }

    if (!ngx_user_is_degrees(&change->longitude, 180)) {
        return ngx_rush_refuse(q, "longitude", "must be -180 to 180, decimal");
    }

    if (!ngx_user_is_degrees(&change->latitude, 90)) {
        return ngx_rush_refuse(q, "latitude", "must be -90 to 90, decimal");
    }

    return NGX_OK;
}


/* the first parameters of user_change are the fields, in their order */

static ngx_int_t
ngx_user_change(ngx_rush_req_t *q)
{
    u_char             *base = q->data;

    ngx_uint_t          i, n;
    rush_str_t         *text;
    ngx_rush_param_t    params[NGX_USER_CHANGES + 2];
    const rush_field_t  *f;

    if (q->present == 0) {
        return NGX_OK;
    }

    n = q->route->nfields;
    ngx_rush_assert(n == NGX_USER_CHANGES);

    for (i = 0; i < n; i++) {
        f = &q->route->fields[i];

        if (!(q->present & ((uint64_t) 1 << i))) {
            params[i] = ngx_rush_p_null();

        } else if (f->type == RUSH_T_INT) {
            params[i] = ngx_rush_p_int(*(int64_t *) (base + f->offset));

        } else {
            text = (rush_str_t *) (base + f->offset);
            params[i] = ngx_rush_p_str(text);
        }
    }

    params[n] = ngx_rush_p_int(ngx_rush_now_ms());
    params[n + 1] = ngx_rush_p_int(q->user.user);

    return ngx_rush_query(q, ngx_user_stmt(USER_CHANGE), params, n + 2,
                          NGX_OK);
}


static ngx_int_t
ngx_user_changed(ngx_rush_req_t *q)
{
    if (q->present && (q->rows == NULL || q->rows->affected == 0)) {
        return RUSH_NOT_FOUND;
    }

    return NGX_OK;
}


/* others follow it in their browsers: no "javascript:" */

ngx_uint_t
ngx_user_is_address(rush_str_t *s)
{
    return s->len == 0
           || s->data[0] == '/'
           || (s->len > 8 && ngx_strncasecmp(s->data, (u_char *) "https://", 8)
                             == 0)
           || (s->len > 7 && ngx_strncasecmp(s->data, (u_char *) "http://", 7)
                             == 0);
}


/* "-?digits(.digits)?" with an absolute value up to limit; or "" */

static ngx_uint_t
ngx_user_is_degrees(rush_str_t *s, int64_t limit)
{
    u_char      *p, *last, *start;
    int64_t      whole;
    ngx_uint_t   rest;

    if (s->len == 0) {
        return 1;
    }

    p = s->data;
    last = p + s->len;
    whole = 0;
    rest = 0;

    if (*p == '-') {
        p++;
    }

    for (start = p; p < last && *p >= '0' && *p <= '9'; p++) {
        whole = whole * 10 + (*p - '0');
    }

    if (p == start || p - start > 3 || (*start == '0' && p - start > 1)) {
        return 0;
    }

    if (p < last) {

        if (*p++ != '.' || p == last) {
            return 0;
        }

        for ( /* void */ ; p < last; p++) {

            if (*p < '0' || *p > '9') {
                return 0;
            }

            rest |= (*p != '0');
        }
    }

    return whole < limit || (whole == limit && !rest);
}


ngx_int_t
ngx_user_load(ngx_rush_req_t *q, ngx_user_t *u)
{
    u_char           *p;
    size_t            len;
    ngx_str_t        *cell;
    rush_str_t       *text;
    ngx_uint_t        i;
    ngx_rush_rows_t  *rows;

    rows = q->rows;

    if (rows == NULL || rows->n == 0) {
        return NGX_DECLINED;
    }

    if (rows->cols != NGX_USER_TEXTS + NGX_USER_NUMBERS) {
        ngx_log_error(NGX_LOG_ALERT, q->r->connection->log, 0,
                      "user statement has %ui columns", rows->cols);
        return NGX_ERROR;
    }

    len = 1;

    for (i = 0; i < NGX_USER_TEXTS; i++) {
        len += ngx_rush_cell(rows, 0, i)->len;
    }

    p = ngx_pnalloc(q->r->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < NGX_USER_TEXTS; i++) {
        cell = ngx_rush_cell(rows, 0, i);
        text = (rush_str_t *) ((u_char *) u + ngx_user_texts[i]);

        text->data = p;
        text->len = cell->len;

        if (cell->len) {
            p = ngx_cpymem(p, cell->data, cell->len);
        }
    }

    for (i = 0; i < NGX_USER_NUMBERS; i++) {
        *(int64_t *) ((u_char *) u + ngx_user_numbers[i]) =
            ngx_rush_cell_int(rows, 0, NGX_USER_TEXTS + i);
    }

    return NGX_OK;
}


void
ngx_user_put(rush_buf_t *b, const char *key, ngx_user_t *u)
{
    rush_json_open(b, key, '{');

    rush_json_id(b, "id", u->id);
    rush_json_str(b, "username", &u->username);
    ngx_user_put_mobile(b, &u->mobile);
    ngx_user_put_email(b, &u->email);
    rush_json_str(b, "nickname", &u->nickname);
    rush_json_str(b, "avatar", &u->avatar);
    rush_json_int(b, "sex", u->sex);
    rush_json_str(b, "info", &u->info);
    rush_json_str(b, "signature", &u->signature);
    rush_json_str(b, "location_name", &u->location_name);
    rush_json_str(b, "longitude", &u->longitude);
    rush_json_str(b, "latitude", &u->latitude);
    rush_json_bool(b, "wechat", u->wx_key.len != 0);
    rush_json_text(b, "role", u->roles & RUSH_ROLE_ADMIN ? "admin" : "user");
    rush_json_time(b, "created_at", u->created_ms);

    rush_json_close(b, '}');
}


/* 13812345678 -> 138****5678; at least four digits are hidden */

void
ngx_user_put_mobile(rush_buf_t *b, rush_str_t *s)
{
    u_char      *p, text[32];
    size_t       tail;
    rush_str_t   masked;

    if (s->len < 8 || s->len > 20) {
        /* none, or nothing that could be masked */
        masked.data = (u_char *) "****";
        masked.len = s->len ? 4 : 0;
        rush_json_str(b, "mobile", &masked);
        return;
    }

    tail = ngx_min(s->len - 7, 4);

    p = ngx_cpymem(text, s->data, 3);
    p = ngx_cpymem(p, "****", 4);
    p = ngx_cpymem(p, s->data + s->len - tail, tail);

    masked.data = text;
    masked.len = p - text;

    rush_json_str(b, "mobile", &masked);
}


/* ann@example.com -> a***@example.com */

void
ngx_user_put_email(rush_buf_t *b, rush_str_t *s)
{
    u_char      *at, *p, text[160];
    rush_str_t   masked;

    p = text;
    at = s->len ? ngx_strlchr(s->data, s->data + s->len, '@') : NULL;

    if (at && s->len < sizeof(text) - 8) {
        *p++ = s->data[0];
        p = ngx_cpymem(p, "***", 3);
        p = ngx_cpymem(p, at, s->data + s->len - at);

    } else if (s->len) {
        p = ngx_cpymem(p, "***", 3);
    }

    masked.data = text;
    masked.len = p - text;

    rush_json_str(b, "email", &masked);
}
