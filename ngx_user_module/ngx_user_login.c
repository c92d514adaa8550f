
/*
 * Copyright (C) Rush
 */


#include "ngx_user_module.h"


static ngx_int_t ngx_user_find(ngx_rush_req_t *q);
static ngx_int_t ngx_user_found(ngx_rush_req_t *q);
static ngx_int_t ngx_user_check_login(ngx_rush_req_t *q);
static ngx_int_t ngx_user_login_checked(ngx_rush_req_t *q);
static ngx_int_t ngx_user_forgive(ngx_rush_req_t *q);
static ngx_int_t ngx_user_forgiven(ngx_rush_req_t *q);

static const rush_stmt_t *ngx_user_choose(ngx_user_login_t *login,
    rush_str_t *name);
static void ngx_user_put_wait(ngx_rush_req_t *q, ngx_user_t *u);


/*
 * A name that nobody has goes the same way as one that somebody has, with a
 * hash that nothing matches: neither the answer nor its time tells which it
 * was.
 */

ngx_rush_step_t  ngx_user_login_steps[] = {
    ngx_rush_step(ngx_user_find),                /* mysql: user_by_... */
    ngx_rush_step(ngx_user_found),
    ngx_rush_step(ngx_user_count_try),           /* mysql: user_count_try */
    ngx_rush_step(ngx_user_try_counted),
    ngx_rush_step(ngx_user_check_login),         /* thread: bcrypt */
    ngx_rush_step(ngx_user_login_checked),
    ngx_rush_step(ngx_user_forgive),             /* mysql: user_forgive */
    ngx_rush_step(ngx_user_forgiven),
    ngx_rush_step(ngx_user_open_session),        /* mysql: session_insert */
    ngx_rush_step(ngx_user_session_opened),
    ngx_rush_null_step
};


static ngx_int_t
ngx_user_find(ngx_rush_req_t *q)
{
    ngx_user_login_t   *login = q->data;

    rush_str_t          name;
    ngx_uint_t          given;
    ngx_rush_param_t    param;
    const rush_stmt_t  *stmt;

    given = (login->account.len != 0) + (login->username.len != 0)
            + (login->mobile.len != 0) + (login->email.len != 0);

    if (given != 1) {
        return ngx_rush_refuse(q, "account",
                               "give one of account, username, mobile, email");
    }

    stmt = ngx_user_choose(login, &name);
    param = ngx_rush_p_str(&name);

    return ngx_rush_query(q, stmt, &param, 1, NGX_OK);
}


static ngx_int_t
ngx_user_found(ngx_rush_req_t *q)
{
    ngx_user_login_t  *login = q->data;

    ngx_int_t          rc;

    rc = ngx_user_load(q, &login->flow.user);

    return rc == NGX_DECLINED ? NGX_OK : rc;
}


ngx_int_t
ngx_user_count_try(ngx_rush_req_t *q)
{
    ngx_user_flow_t   *flow = q->data;

    int64_t            now, open;
    ngx_rush_param_t   params[6];

    now = ngx_rush_now_ms();
    open = now - NGX_USER_TRY_WINDOW;

    params[0] = ngx_rush_p_int(open);
    params[1] = ngx_rush_p_int(open);
    params[2] = ngx_rush_p_int(now);
    params[3] = ngx_rush_p_int(flow->user.id);
    params[4] = ngx_rush_p_int(NGX_USER_MAX_TRIES);
    params[5] = ngx_rush_p_int(open);

    return ngx_rush_query(q, ngx_user_stmt(USER_COUNT_TRY), params, 6,
                          NGX_OK);
}


ngx_int_t
ngx_user_try_counted(ngx_rush_req_t *q)
{
    ngx_user_flow_t  *flow = q->data;

    if (flow->user.id == 0) {
        return NGX_OK;
    }

    if (q->rows == NULL || q->rows->affected == 0) {
        ngx_user_put_wait(q, &flow->user);
        return RUSH_USER_LOCKED;
    }

    flow->counted = 1;

    return NGX_OK;
}


static ngx_int_t
ngx_user_check_login(ngx_rush_req_t *q)
{
    ngx_user_login_t  *login = q->data;

    ngx_user_t        *u;

    u = &login->flow.user;

    return ngx_user_verify(q, &login->password, u->id ? &u->hash : NULL);
}


static ngx_int_t
ngx_user_login_checked(ngx_rush_req_t *q)
{
    ngx_user_login_t  *login = q->data;

    ngx_int_t          rc;

    rc = ngx_user_verified(q, RUSH_LOGIN_FAILED);

    if (rc != NGX_OK) {
        return rc;
    }

    if (login->flow.user.status != NGX_USER_ACTIVE) {
        return RUSH_USER_BANNED;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_user_forgive(ngx_rush_req_t *q)
{
    ngx_user_login_t  *login = q->data;

    ngx_rush_param_t   param;

    param = ngx_rush_p_int(login->flow.user.id);

    return ngx_rush_query(q, ngx_user_stmt(USER_FORGIVE), &param, 1, NGX_OK);
}


static ngx_int_t
ngx_user_forgiven(ngx_rush_req_t *q)
{
    return NGX_OK;                      /* two logins at once change nothing */
}


/*
 * A username begins with a letter, a mobile number with "+" or a digit, an
 * email has "@".  What can be none of them, non-ASCII among it, is looked up
 * as "", which nobody has.
 */

static const rush_stmt_t *
ngx_user_choose(ngx_user_login_t *login, rush_str_t *name)
{
    u_char  c;
    size_t  i;

    if (login->account.len) {
        c = login->account.data[0];

        if (ngx_strlchr(login->account.data,
                        login->account.data + login->account.len, '@'))
        {
            login->email = login->account;

        } else if (c == '+' || (c >= '0' && c <= '9')) {
            login->mobile = login->account;

        } else {
            login->username = login->account;
        }
    }

    if (login->mobile.len) {
        *name = login->mobile;

        if (ngx_user_mobile(name) != NGX_OK) {
            name->len = 0;
        }

        return ngx_user_stmt(USER_BY_MOBILE);
    }

    if (login->username.len) {
        *name = login->username;

        if (ngx_user_username(name) != NGX_OK) {
            name->len = 0;
        }

        return ngx_user_stmt(USER_BY_USERNAME);
    }

    *name = login->email;

    for (i = 0; i < login->email.len; i++) {

        if (login->email.data[i] > 0x7e) {
            name->len = 0;
        }
    }

    return ngx_user_stmt(USER_BY_EMAIL);
}


ngx_int_t
ngx_user_username(rush_str_t *s)
{
    u_char  c;
    size_t  i;

    if (s->len < 3 || s->len > 32) {
        return NGX_DECLINED;
    }

    for (i = 0; i < s->len; i++) {
        c = ngx_tolower(s->data[i]);

        if (c >= 'a' && c <= 'z') {
            s->data[i] = c;
            continue;
        }

        if (i == 0 || !((c >= '0' && c <= '9') || c == '_' || c == '.'
                        || c == '-'))
        {
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


ngx_int_t
ngx_user_mobile(rush_str_t *s)
{
    size_t       i;
    ngx_uint_t   plus;

    plus = (s->len && s->data[0] == '+');

    for (i = plus; i < s->len; i++) {

        if (s->data[i] < '0' || s->data[i] > '9') {
            return NGX_DECLINED;
        }
    }

    if (plus && s->len == 14
        && ngx_strncmp(s->data, (u_char *) "+861", 4) == 0)
    {
        /* the same number as without its country */
        s->data += 3;
        s->len -= 3;
        plus = 0;
    }

    if (plus) {
        return (s->len >= 8 && s->len <= 16 && s->data[1] != '0')
               ? NGX_OK : NGX_DECLINED;
    }

    return (s->len == 11 && s->data[0] == '1' && s->data[1] >= '3')
           ? NGX_OK : NGX_DECLINED;
}


static void
ngx_user_put_wait(ngx_rush_req_t *q, ngx_user_t *u)
{
    int64_t  wait;

    wait = u->fail_ms + NGX_USER_TRY_WINDOW - ngx_rush_now_ms();

    if (wait <= 0 || wait > NGX_USER_TRY_WINDOW) {
        /* the window was opened after the row was read */
        wait = NGX_USER_TRY_WINDOW;
    }

    rush_json_open(&q->out, NULL, '{');
    rush_json_int(&q->out, "retry_after_s", (wait + 999) / 1000);
    rush_json_close(&q->out, '}');
}
