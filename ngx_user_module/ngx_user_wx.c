
/*
 * Copyright (C) Rush
 */


#include "ngx_user_wx.h"


static ngx_int_t ngx_user_wx_check(ngx_rush_req_t *q);
static ngx_int_t ngx_user_wx_find(ngx_rush_req_t *q);
static ngx_int_t ngx_user_wx_found(ngx_rush_req_t *q);
static ngx_int_t ngx_user_wx_find_mobile(ngx_rush_req_t *q);
static ngx_int_t ngx_user_wx_mobile_found(ngx_rush_req_t *q);
static ngx_int_t ngx_user_wx_enter(ngx_rush_req_t *q);
static ngx_int_t ngx_user_wx_entered(ngx_rush_req_t *q);

static ngx_int_t ngx_user_wx_make(ngx_rush_req_t *q);
static ngx_int_t ngx_user_wx_insert(ngx_rush_req_t *q);


/*
 * The one durable effect is an account, or a key for one that has the number;
 * who comes again finds it.  When somebody else writes the same at the same
 * time, it is looked for again.
 */

ngx_rush_step_t  ngx_user_wx_mini_auth_steps[] = {
    ngx_rush_step(ngx_user_wx_check),            /* local */
    ngx_rush_step(ngx_user_ask),                 /* redis: ask.lua */
    ngx_rush_step(ngx_user_ask_wait),            /* sleeps */
    ngx_rush_step(ngx_user_ask_look),            /* redis: GET */
    ngx_rush_step(ngx_user_ask_answered),        /* back, without one */
    ngx_rush_step(ngx_user_wx_find),             /* mysql: user_by_wx */
    ngx_rush_step(ngx_user_wx_found),
    ngx_rush_step(ngx_user_wx_find_mobile),      /* mysql: wx_by_mobile */
    ngx_rush_step(ngx_user_wx_mobile_found),
    ngx_rush_step(ngx_user_wx_enter),            /* mysql: wx_bind_mobile or
                                                    wx_insert */
    ngx_rush_step(ngx_user_wx_entered),          /* back, when others did */
    ngx_rush_step(ngx_user_open_session),        /* mysql: session_insert */
    ngx_rush_step(ngx_user_session_opened),
    ngx_rush_step(ngx_user_ask_forget),
    ngx_rush_null_step
};

#define NGX_USER_WX_FIND  5             /* of these steps */


static ngx_int_t
ngx_user_wx_check(ngx_rush_req_t *q)
{
    ngx_user_wx_mini_auth_t  *auth = q->data;

    if ((auth->iv.len != 0) != (auth->encrypted_data.len != 0)) {
        return ngx_rush_refuse(q, auth->iv.len ? "encrypted_data" : "iv",
                               "iv and encrypted_data go together");
    }

    if (auth->iv.len && auth->phone_code.len) {
        return ngx_rush_refuse(q, "phone_code",
                               "give phone_code or encrypted_data");
    }

    return NGX_OK;
}


static ngx_int_t
ngx_user_wx_find(ngx_rush_req_t *q)
{
    ngx_user_wx_mini_auth_t  *auth = q->data;

    ngx_rush_param_t  param;

    if (auth->rounds++ == NGX_USER_WX_ROUNDS) {
        return RUSH_BUSY;
    }

    param = ngx_rush_p_str(&auth->ask.wx_key);

    return ngx_rush_query(q, ngx_user_stmt(USER_BY_WX), &param, 1, NGX_OK);
}


static ngx_int_t
ngx_user_wx_found(ngx_rush_req_t *q)
{
    ngx_user_wx_mini_auth_t  *auth = q->data;

    ngx_int_t    rc;
    ngx_user_t  *u;

    u = &auth->flow.user;

    rc = ngx_user_load(q, u);

    if (rc != NGX_OK) {
        return rc == NGX_DECLINED ? NGX_OK : rc;
    }

    if (u->status == NGX_USER_ACTIVE) {
        return NGX_OK;
    }

    return u->status == NGX_USER_BANNED ? RUSH_USER_BANNED
                                        : RUSH_LOGIN_FAILED;
}


static ngx_int_t
ngx_user_wx_find_mobile(ngx_rush_req_t *q)
{
    ngx_user_wx_mini_auth_t  *auth = q->data;

    ngx_rush_param_t  param;

    if (auth->flow.user.id || auth->ask.mobile.len == 0) {
        return NGX_OK;
    }

    param = ngx_rush_p_str(&auth->ask.mobile);

    return ngx_rush_query(q, ngx_user_stmt(WX_BY_MOBILE), &param, 1, NGX_OK);
}


/* WeChat vouches for the number as a code does; but an account that another
 * WeChat opens, or that is closed, is none of this one's */

static ngx_int_t
ngx_user_wx_mobile_found(ngx_rush_req_t *q)
{
    ngx_user_wx_mini_auth_t  *auth = q->data;

    ngx_int_t    rc;
    ngx_user_t  *u;

    u = &auth->flow.user;

    if (u->id) {
        return NGX_OK;
    }

    auth->mine = 0;

    rc = ngx_user_load(q, u);

    if (rc == NGX_ERROR) {
        return rc;
    }

    if (rc == NGX_DECLINED) {
        return ngx_user_wx_make(q);
    }

    if (u->status == NGX_USER_BANNED) {
        return RUSH_USER_BANNED;
    }

    if (u->status == NGX_USER_ACTIVE && u->wx_key.len == 0) {
        auth->mine = 1;
        return NGX_OK;
    }

    ngx_memzero(u, sizeof(ngx_user_t));
    auth->ask.mobile.len = 0;

    return ngx_user_wx_make(q);
}


static ngx_int_t
ngx_user_wx_make(ngx_rush_req_t *q)
{
    ngx_user_wx_mini_auth_t  *auth = q->data;

    ngx_user_t  *u;

    u = &auth->flow.user;

    u->id = ngx_rush_id();
    if (u->id == 0) {
        return RUSH_BUSY;
    }

    u->mobile = auth->ask.mobile;
    u->roles = RUSH_ROLE_USER;
    u->status = NGX_USER_ACTIVE;
    u->version = 1;                     /* the default of the column */
    u->created_ms = ngx_rush_now_ms();
    u->nickname.len = 0;

    return ngx_user_give_nickname(q, u);
}


static ngx_int_t
ngx_user_wx_enter(ngx_rush_req_t *q)
{
    ngx_user_wx_mini_auth_t  *auth = q->data;

    ngx_user_t        *u;
    ngx_rush_param_t   params[5];

    u = &auth->flow.user;

    if (u->wx_key.len) {
        return NGX_OK;                  /* it was there */
    }

    if (!auth->mine) {
        return ngx_user_wx_insert(q);
    }

    params[0] = ngx_rush_p_str(&auth->ask.wx_key);
    params[1] = ngx_rush_p_int(ngx_rush_now_ms());
    params[2] = ngx_rush_p_int(u->id);
    params[3] = ngx_rush_p_int(u->version);
    params[4] = ngx_rush_p_str(&auth->ask.mobile);

    return ngx_rush_query(q, ngx_user_stmt(WX_BIND_MOBILE), params, 5,
                          NGX_OK);
}


static ngx_int_t
ngx_user_wx_insert(ngx_rush_req_t *q)
{
    ngx_user_wx_mini_auth_t  *auth = q->data;

    ngx_user_t        *u;
    ngx_rush_param_t   params[6];

    u = &auth->flow.user;

    params[0] = ngx_rush_p_int(u->id);
    params[1] = u->mobile.len ? ngx_rush_p_str(&u->mobile)
                              : ngx_rush_p_null();
    params[2] = ngx_rush_p_str(&auth->ask.wx_key);
    params[3] = ngx_rush_p_str(&u->nickname);
    params[4] = ngx_rush_p_int(u->created_ms);
    params[5] = ngx_rush_p_int(u->created_ms);

    return ngx_rush_query(q, ngx_user_stmt(WX_INSERT), params, 6, NGX_OK);
}


static ngx_int_t
ngx_user_wx_entered(ngx_rush_req_t *q)
{
    ngx_user_wx_mini_auth_t  *auth = q->data;

    ngx_user_t  *u;

    u = &auth->flow.user;

    if (u->wx_key.len) {
        return NGX_OK;
    }

    if (q->rows && q->rows->affected) {
        u->wx_key = auth->ask.wx_key;
        return NGX_OK;
    }

    /* the key or the number was taken since */

    ngx_memzero(u, sizeof(ngx_user_t));
    q->step = ngx_user_wx_mini_auth_steps + NGX_USER_WX_FIND;

    return NGX_OK;
}
