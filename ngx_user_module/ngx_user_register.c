
/*
 * Copyright (C) Rush
 */


#include "ngx_user_module.h"


static ngx_int_t ngx_user_check_register(ngx_rush_req_t *q);
static ngx_int_t ngx_user_hash_first(ngx_rush_req_t *q);
static ngx_int_t ngx_user_first_hashed(ngx_rush_req_t *q);
static ngx_int_t ngx_user_insert(ngx_rush_req_t *q);
static ngx_int_t ngx_user_inserted(ngx_rush_req_t *q);

static ngx_int_t ngx_user_give_nickname(ngx_rush_req_t *q, ngx_user_t *u);


ngx_rush_step_t  ngx_user_register_steps[] = {
    ngx_rush_step(ngx_user_check_register),      /* local */
    ngx_rush_step(ngx_user_hash_first),          /* thread: bcrypt */
    ngx_rush_step(ngx_user_first_hashed),
    ngx_rush_step(ngx_user_insert),              /* mysql: user_insert */
    ngx_rush_step(ngx_user_inserted),
    ngx_rush_step(ngx_user_open_session),        /* mysql: session_insert */
    ngx_rush_step(ngx_user_session_opened),
    ngx_rush_null_step
};


static ngx_int_t
ngx_user_check_register(ngx_rush_req_t *q)
{
    ngx_user_register_t  *reg = q->data;

    ngx_user_t           *u;

    u = &reg->flow.user;

    if (reg->username.len == 0 && reg->mobile.len == 0) {
        return ngx_rush_refuse(q, "username", "give username, mobile or both");
    }

    if (reg->username.len && ngx_user_username(&reg->username) != NGX_OK) {
        return ngx_rush_refuse(q, "username",
                               "must be a letter, then letters, digits, "
                               "\"_\", \".\" or \"-\"");
    }

    if (reg->mobile.len && ngx_user_mobile(&reg->mobile) != NGX_OK) {
        return ngx_rush_refuse(q, "mobile",
                               "must be 11 digits, or + and 7 to 15 digits");
    }

    u->username = reg->username;
    u->mobile = reg->mobile;
    u->nickname = reg->nickname;
    u->roles = RUSH_ROLE_USER;
    u->status = NGX_USER_ACTIVE;
    u->version = 1;                     /* the default of the column */
    u->created_ms = ngx_rush_now_ms();
    u->id = ngx_rush_id();

    if (u->id == 0) {
        return RUSH_BUSY;
    }

    return ngx_user_check_policy(q, &reg->password, u);
}


static ngx_int_t
ngx_user_hash_first(ngx_rush_req_t *q)
{
    ngx_user_register_t  *reg = q->data;

    return ngx_user_hash(q, &reg->password);
}


static ngx_int_t
ngx_user_first_hashed(ngx_rush_req_t *q)
{
    ngx_user_register_t  *reg = q->data;

    ngx_int_t             rc;

    rc = ngx_user_take_hash(q);
    if (rc != NGX_OK) {
        return rc;
    }

    return ngx_user_give_nickname(q, &reg->flow.user);
}


static ngx_int_t
ngx_user_insert(ngx_rush_req_t *q)
{
    ngx_user_register_t  *reg = q->data;

    ngx_user_t           *u;
    ngx_rush_param_t      params[7];

    u = &reg->flow.user;

    params[0] = ngx_rush_p_int(u->id);
    params[1] = u->username.len ? ngx_rush_p_str(&u->username)
                                : ngx_rush_p_null();
    params[2] = u->mobile.len ? ngx_rush_p_str(&u->mobile)
                              : ngx_rush_p_null();
    params[3] = ngx_rush_p_str(&u->hash);
    params[4] = ngx_rush_p_str(&u->nickname);
    params[5] = ngx_rush_p_int(u->created_ms);
    params[6] = ngx_rush_p_int(u->created_ms);

    return ngx_rush_query(q, ngx_user_stmt(USER_INSERT), params, 7,
                          RUSH_USER_EXISTS);
}


static ngx_int_t
ngx_user_inserted(ngx_rush_req_t *q)
{
    ngx_rush_assert(q->rows && q->rows->affected == 1);

    return NGX_OK;
}


/* who gives none is "user" with the end of the id */

static ngx_int_t
ngx_user_give_nickname(ngx_rush_req_t *q, ngx_user_t *u)
{
    u_char  *p;

    if (u->nickname.len) {
        return NGX_OK;
    }

    if (u->username.len) {
        u->nickname = u->username;
        return NGX_OK;
    }

    p = ngx_pnalloc(q->r->pool, sizeof("user123456") - 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    u->nickname.data = p;
    u->nickname.len = ngx_sprintf(p, "user%06L", u->id % 1000000) - p;

    return NGX_OK;
}
