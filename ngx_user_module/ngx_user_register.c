
/*
 * Copyright (C) Rush
 */


#include "ngx_user_module.h"


static ngx_int_t ngx_user_check_register(ngx_rush_req_t *q);
static ngx_int_t ngx_user_show_register(ngx_rush_req_t *q);
static ngx_int_t ngx_user_register_shown(ngx_rush_req_t *q);
static ngx_int_t ngx_user_hash_first(ngx_rush_req_t *q);
static ngx_int_t ngx_user_first_hashed(ngx_rush_req_t *q);
static ngx_int_t ngx_user_insert(ngx_rush_req_t *q);
static ngx_int_t ngx_user_inserted(ngx_rush_req_t *q);

static ngx_int_t ngx_user_check_names(ngx_rush_req_t *q);
static ngx_int_t ngx_user_match_target(ngx_rush_req_t *q);


/* many have no username: NULL is no duplicate */

#define ngx_user_p_name(s)                                                    \
    ((s)->len ? ngx_rush_p_str(s) : ngx_rush_p_null())


ngx_rush_step_t  ngx_user_register_steps[] = {
    ngx_rush_step(ngx_user_check_register),      /* local */
    ngx_rush_step(ngx_user_show_register),       /* redis: code_take.lua or
                                                    ticket_take.lua */
    ngx_rush_step(ngx_user_register_shown),
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

    ngx_int_t             rc;
    ngx_user_loc_conf_t  *ucf;

    rc = ngx_user_check_names(q);
    if (rc != NGX_OK) {
        return rc;
    }

    if (reg->ticket.len) {
        return reg->code.len ? ngx_rush_refuse(q, "code",
                                               "give a code or a ticket")
                             : NGX_OK;
    }

    if (reg->code.len) {
        return ngx_user_take_target(q, &reg->mobile, &reg->email,
                                    &reg->flow.proof.target);
    }

    if (reg->username.len == 0 && reg->mobile.len == 0 && reg->email.len == 0)
    {
        return ngx_rush_refuse(q, "username",
                               "give username, mobile, email or several");
    }

    ucf = ngx_http_get_module_loc_conf(q->r, ngx_http_user_module);

    if (ucf->verify && (reg->mobile.len || reg->email.len)) {
        return ngx_rush_refuse(q, "code",
                               "a mobile or email needs a code or a ticket");
    }

    if (reg->password.len == 0) {
        return ngx_rush_refuse(q, "password", "is required");
    }

    return NGX_OK;
}


static ngx_int_t
ngx_user_check_names(ngx_rush_req_t *q)
{
    ngx_user_register_t  *reg = q->data;

    if (reg->username.len && ngx_user_username(&reg->username) != NGX_OK) {
        return ngx_rush_refuse(q, "username",
                               "must be a letter, then letters, digits, "
                               "\"_\", \".\" or \"-\"");
    }

    if (reg->mobile.len && ngx_user_mobile(&reg->mobile) != NGX_OK) {
        return ngx_rush_refuse(q, "mobile", NGX_USER_MOBILE_RULE);
    }

    if (reg->email.len && ngx_user_email(&reg->email) != NGX_OK) {
        return ngx_rush_refuse(q, "email", NGX_USER_EMAIL_RULE);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_user_show_register(ngx_rush_req_t *q)
{
    ngx_user_register_t  *reg = q->data;

    if (reg->ticket.len) {
        return ngx_user_take_ticket(q, &reg->flow.proof, "register",
                                    &reg->ticket, &reg->idempotency_key,
                                    reg->idempotency_key.len != 0);
    }

    if (reg->code.len) {
        return ngx_user_take_code(q, &reg->flow.proof, "register",
                                  &reg->code, &reg->idempotency_key);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_user_register_shown(ngx_rush_req_t *q)
{
    ngx_user_register_t  *reg = q->data;

    ngx_int_t             rc;
    ngx_user_t           *u;

    if (reg->ticket.len || reg->code.len) {
        rc = ngx_user_proof_taken(q, &reg->flow.proof);

        if (rc == NGX_OK) {
            rc = ngx_user_match_target(q);
        }

        if (rc != NGX_OK) {
            return rc;
        }
    }

    u = &reg->flow.user;

    u->username = reg->username;
    u->mobile = reg->mobile;
    u->email = reg->email;
    u->nickname = reg->nickname;
    u->roles = RUSH_ROLE_USER;
    u->status = NGX_USER_ACTIVE;
    u->version = 1;                     /* the default of the column */
    u->created_ms = ngx_rush_now_ms();
    u->id = ngx_rush_id();

    if (u->id == 0) {
        return RUSH_BUSY;
    }

    if (reg->password.len == 0) {
        return NGX_OK;
    }

    return ngx_user_check_policy(q, &reg->password, u);
}


/* a proof is of one number or address; another one may be bound later */

static ngx_int_t
ngx_user_match_target(ngx_rush_req_t *q)
{
    ngx_user_register_t  *reg = q->data;

    rush_str_t           *given, *other;
    ngx_user_target_t    *target;

    target = &reg->flow.proof.target;
    given = target->email ? &reg->email : &reg->mobile;
    other = target->email ? &reg->mobile : &reg->email;

    if (other->len
        || (given->len
            && (given->len != target->text.len
                || ngx_memcmp(given->data, target->text.data, given->len)
                   != 0)))
    {
        return RUSH_TICKET_INVALID;
    }

    *given = target->text;

    return NGX_OK;
}


static ngx_int_t
ngx_user_hash_first(ngx_rush_req_t *q)
{
    ngx_user_register_t  *reg = q->data;

    return reg->password.len ? ngx_user_hash(q, &reg->password) : NGX_OK;
}


static ngx_int_t
ngx_user_first_hashed(ngx_rush_req_t *q)
{
    ngx_user_register_t  *reg = q->data;

    ngx_int_t             rc;

    if (reg->password.len) {
        rc = ngx_user_take_hash(q);

        if (rc != NGX_OK) {
            return rc;
        }
    }

    return ngx_user_give_nickname(q, &reg->flow.user);
}


static ngx_int_t
ngx_user_insert(ngx_rush_req_t *q)
{
    ngx_user_register_t  *reg = q->data;

    ngx_user_t           *u;
    ngx_rush_param_t      params[8];

    u = &reg->flow.user;

    params[0] = ngx_rush_p_int(u->id);
    params[1] = ngx_user_p_name(&u->username);
    params[2] = ngx_user_p_name(&u->mobile);
    params[3] = ngx_user_p_name(&u->email);
    params[4] = ngx_rush_p_str(&u->hash);
    params[5] = ngx_rush_p_str(&u->nickname);
    params[6] = ngx_rush_p_int(u->created_ms);
    params[7] = ngx_rush_p_int(u->created_ms);

    return ngx_rush_query(q, ngx_user_stmt(USER_INSERT), params, 8,
                          RUSH_USER_EXISTS);
}


static ngx_int_t
ngx_user_inserted(ngx_rush_req_t *q)
{
    ngx_rush_assert(q->rows && q->rows->affected == 1);

    return NGX_OK;
}


/* who gives none is "user" with the end of the id */

ngx_int_t
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
