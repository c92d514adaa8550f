
/*
 * Copyright (C) Rush
 */


#include "ngx_user_wx.h"


static ngx_int_t ngx_user_wx_read(ngx_rush_req_t *q);
static ngx_int_t ngx_user_wx_bind_read(ngx_rush_req_t *q);
static ngx_int_t ngx_user_wx_bind_fresh(ngx_rush_req_t *q);
static ngx_int_t ngx_user_wx_bind(ngx_rush_req_t *q);
static ngx_int_t ngx_user_wx_bound(ngx_rush_req_t *q);
static ngx_int_t ngx_user_wx_unbind(ngx_rush_req_t *q);
static ngx_int_t ngx_user_wx_unbound(ngx_rush_req_t *q);

static ngx_int_t ngx_user_wx_mine(ngx_rush_req_t *q, ngx_user_t *u);
static ngx_uint_t ngx_user_wx_may_unbind(ngx_user_t *u);


/*
 * What is bound opens the account for good, so a token that was stolen is not
 * enough: the session has to be of just now.  All else is judged before the
 * code is shown to WeChat, which takes it once.
 */

ngx_rush_step_t  ngx_user_wx_mini_bind_steps[] = {
    ngx_rush_step(ngx_user_wx_read),             /* mysql: user_by_id */
    ngx_rush_step(ngx_user_wx_bind_read),        /* mysql: session_one */
    ngx_rush_step(ngx_user_wx_bind_fresh),
    ngx_rush_step(ngx_user_ask),                 /* redis: ask.lua */
    ngx_rush_step(ngx_user_ask_wait),            /* sleeps */
    ngx_rush_step(ngx_user_ask_look),            /* redis: GET */
    ngx_rush_step(ngx_user_ask_answered),        /* back, without one */
    ngx_rush_step(ngx_user_wx_bind),             /* mysql: wx_bind */
    ngx_rush_step(ngx_user_wx_bound),
    ngx_rush_step(ngx_user_ask_forget),
    ngx_rush_null_step
};


ngx_rush_step_t  ngx_user_wx_mini_unbind_steps[] = {
    ngx_rush_step(ngx_user_wx_read),             /* mysql: user_by_id */
    ngx_rush_step(ngx_user_wx_unbind),           /* mysql: wx_unbind */
    ngx_rush_step(ngx_user_wx_unbound),
    ngx_rush_null_step
};


static ngx_int_t
ngx_user_wx_read(ngx_rush_req_t *q)
{
    return ngx_user_query_mine(q, ngx_user_stmt(USER_BY_ID));
}


static ngx_int_t
ngx_user_wx_bind_read(ngx_rush_req_t *q)
{
    ngx_user_wx_mini_bind_t  *bind = q->data;

    ngx_int_t         rc;
    ngx_rush_param_t  p[2];

    rc = ngx_user_wx_mine(q, &bind->flow.user);
    if (rc != NGX_OK) {
        return rc;
    }

    p[0] = ngx_rush_p_int(q->user.session);
    p[1] = ngx_rush_p_int(q->user.user);

    return ngx_rush_query(q, ngx_user_stmt(SESSION_ONE), p, 2, RUSH_INTERNAL);
}


static ngx_int_t
ngx_user_wx_bind_fresh(ngx_rush_req_t *q)
{
    int64_t  age;

    if (q->rows->n == 0 || ngx_rush_cell_int(q->rows, 0, 1) != 0) {
        return RUSH_LOGIN_AGAIN;
    }

    age = ngx_rush_now_ms() - ngx_rush_cell_int(q->rows, 0, 0);

    return age <= NGX_USER_FRESH_LOGIN ? NGX_OK : RUSH_LOGIN_AGAIN;
}


static ngx_int_t
ngx_user_wx_bind(ngx_rush_req_t *q)
{
    ngx_user_wx_mini_bind_t  *bind = q->data;

    rush_str_t        *key;
    ngx_user_t        *u;
    ngx_rush_param_t   params[4];

    u = &bind->flow.user;
    key = &bind->ask.wx_key;

    if (u->wx_key.len) {
        bind->mine = (u->wx_key.len == key->len
                      && ngx_memcmp(u->wx_key.data, key->data, key->len)
                         == 0);

        return bind->mine ? NGX_OK : RUSH_WX_BOUND;
    }

    params[0] = ngx_rush_p_str(key);
    params[1] = ngx_rush_p_int(ngx_rush_now_ms());
    params[2] = ngx_rush_p_int(u->id);
    params[3] = ngx_rush_p_int(u->version);

    return ngx_rush_query(q, ngx_user_stmt(WX_BIND), params, 4,
                          RUSH_WX_BOUND);
}


static ngx_int_t
ngx_user_wx_bound(ngx_rush_req_t *q)
{
    ngx_user_wx_mini_bind_t  *bind = q->data;

    if (!bind->mine && (q->rows == NULL || q->rows->affected == 0)) {
        return RUSH_CONFLICT;           /* another one, or a new password */
    }

    bind->flow.user.wx_key = bind->ask.wx_key;
    ngx_user_put(&q->out, NULL, &bind->flow.user);

    return NGX_OK;
}


static ngx_int_t
ngx_user_wx_unbind(ngx_rush_req_t *q)
{
    ngx_user_wx_mini_unbind_t  *unbind = q->data;

    ngx_int_t          rc;
    ngx_user_t        *u;
    ngx_rush_param_t   params[3];

    u = &unbind->user;

    rc = ngx_user_wx_mine(q, u);
    if (rc != NGX_OK) {
        return rc;
    }

    if (u->wx_key.len == 0) {
        return NGX_OK;
    }

    if (!ngx_user_wx_may_unbind(u)) {
        return RUSH_LAST_LOGIN;
    }

    params[0] = ngx_rush_p_int(ngx_rush_now_ms());
    params[1] = ngx_rush_p_int(u->id);
    params[2] = ngx_rush_p_int(u->version);

    return ngx_rush_query(q, ngx_user_stmt(WX_UNBIND), params, 3,
                          RUSH_INTERNAL);
}


static ngx_int_t
ngx_user_wx_unbound(ngx_rush_req_t *q)
{
    ngx_user_wx_mini_unbind_t  *unbind = q->data;

    ngx_user_t  *u;

    u = &unbind->user;

    if (u->wx_key.len && q->rows->affected == 0) {
        return RUSH_CONFLICT;           /* a new password, or a name went */
    }

    u->wx_key.len = 0;
    ngx_user_put(&q->out, NULL, u);

    return NGX_OK;
}


/* the caller's account, open, as the token knows it */

static ngx_int_t
ngx_user_wx_mine(ngx_rush_req_t *q, ngx_user_t *u)
{
    ngx_int_t  rc;

    rc = ngx_user_load(q, u);

    if (rc == NGX_DECLINED) {
        return RUSH_NOT_FOUND;
    }

    if (rc != NGX_OK) {
        return rc;
    }

    if (u->status != NGX_USER_ACTIVE) {
        return RUSH_USER_BANNED;
    }

    /* else this node learns of it just now */

    return u->version == q->user.version ? NGX_OK : RUSH_UNAUTHORIZED;
}


/* as wx_unbind, which has the last word */

static ngx_uint_t
ngx_user_wx_may_unbind(ngx_user_t *u)
{
    return u->mobile.len || u->email.len || (u->username.len && u->hash.len);
}
