
/*
 * Copyright (C) Rush
 *
 * What a ticket opens: a new password, another number or address.
 */


#include "ngx_user_module.h"


static ngx_int_t ngx_user_show_reset(ngx_rush_req_t *q);
static ngx_int_t ngx_user_find_reset(ngx_rush_req_t *q);
static ngx_int_t ngx_user_reset_found(ngx_rush_req_t *q);
static ngx_int_t ngx_user_hash_reset(ngx_rush_req_t *q);
static ngx_int_t ngx_user_reset_hashed(ngx_rush_req_t *q);
static ngx_int_t ngx_user_reset(ngx_rush_req_t *q);
static ngx_int_t ngx_user_reset_done(ngx_rush_req_t *q);

static ngx_int_t ngx_user_show_bind(ngx_rush_req_t *q);
static ngx_int_t ngx_user_read_bind(ngx_rush_req_t *q);
static ngx_int_t ngx_user_bind_read(ngx_rush_req_t *q);
static ngx_int_t ngx_user_count_bind(ngx_rush_req_t *q);
static ngx_int_t ngx_user_bind_counted(ngx_rush_req_t *q);
static ngx_int_t ngx_user_check_bind(ngx_rush_req_t *q);
static ngx_int_t ngx_user_bind_checked(ngx_rush_req_t *q);
static ngx_int_t ngx_user_bind(ngx_rush_req_t *q);
static ngx_int_t ngx_user_bound(ngx_rush_req_t *q);


/* nobody is logged in by it: who reads the message of another must at least
 * set a password that the other will notice */

ngx_rush_step_t  ngx_user_reset_steps[] = {
    ngx_rush_step(ngx_user_show_reset),          /* redis: ticket_take.lua */
    ngx_rush_step(ngx_user_find_reset),          /* mysql: user_by_... */
    ngx_rush_step(ngx_user_reset_found),
    ngx_rush_step(ngx_user_hash_reset),          /* thread: bcrypt */
    ngx_rush_step(ngx_user_reset_hashed),
    ngx_rush_step(ngx_user_reset),               /* mysql: user_set_password */
    ngx_rush_step(ngx_user_reset_done),
    ngx_rush_null_step
};


/* a number resets the password, so who replaces one must know it: a token
 * that was stolen is not enough */

ngx_rush_step_t  ngx_user_bind_steps[] = {
    ngx_rush_step(ngx_user_show_bind),           /* redis: ticket_take.lua */
    ngx_rush_step(ngx_user_read_bind),           /* mysql: user_by_id */
    ngx_rush_step(ngx_user_bind_read),
    ngx_rush_step(ngx_user_count_bind),          /* mysql: user_count_try */
    ngx_rush_step(ngx_user_bind_counted),
    ngx_rush_step(ngx_user_check_bind),          /* thread: bcrypt */
    ngx_rush_step(ngx_user_bind_checked),
    ngx_rush_step(ngx_user_bind),                /* mysql: user_bind_... */
    ngx_rush_step(ngx_user_bound),
    ngx_rush_null_step
};


static ngx_int_t
ngx_user_show_reset(ngx_rush_req_t *q)
{
    ngx_user_reset_t  *reset = q->data;

    ngx_int_t          rc;

    rc = ngx_user_check_policy(q, &reset->new_password, &reset->flow.user);
    if (rc != NGX_OK) {
        return rc;
    }

    /* known by the new password: one ticket sets one */

    return ngx_user_take_ticket(q, &reset->flow.proof, "reset",
                                &reset->ticket, &reset->new_password, 1);
}


static ngx_int_t
ngx_user_find_reset(ngx_rush_req_t *q)
{
    ngx_user_reset_t  *reset = q->data;

    ngx_int_t          rc;
    ngx_rush_param_t   param;

    rc = ngx_user_proof_taken(q, &reset->flow.proof);
    if (rc != NGX_OK) {
        return rc;
    }

    param = ngx_rush_p_str(&reset->flow.proof.target.text);

    return ngx_rush_query(q, ngx_user_by_target(&reset->flow.proof.target),
                          &param, 1, NGX_OK);
}


static ngx_int_t
ngx_user_reset_found(ngx_rush_req_t *q)
{
    ngx_user_reset_t  *reset = q->data;

    ngx_int_t          rc;

    rc = ngx_user_load(q, &reset->flow.user);

    if (rc == NGX_DECLINED) {
        return RUSH_NOT_FOUND;
    }

    if (rc != NGX_OK) {
        return rc;
    }

    if (reset->flow.user.status != NGX_USER_ACTIVE) {
        return RUSH_USER_BANNED;
    }

    return ngx_user_check_policy(q, &reset->new_password, &reset->flow.user);
}


static ngx_int_t
ngx_user_hash_reset(ngx_rush_req_t *q)
{
    ngx_user_reset_t  *reset = q->data;

    return ngx_user_hash(q, &reset->new_password);
}


static ngx_int_t
ngx_user_reset_hashed(ngx_rush_req_t *q)
{
    return ngx_user_take_hash(q);
}


static ngx_int_t
ngx_user_reset(ngx_rush_req_t *q)
{
    ngx_user_reset_t  *reset = q->data;

    return ngx_user_set_password(q, &reset->flow.user);
}


static ngx_int_t
ngx_user_reset_done(ngx_rush_req_t *q)
{
    ngx_user_reset_t  *reset = q->data;

    ngx_int_t          rc;

    rc = ngx_user_password_set(q, &reset->flow.user);

    if (rc == NGX_OK) {
        reset->flow.proof.spent = 1;
    }

    return rc;
}


static ngx_int_t
ngx_user_show_bind(ngx_rush_req_t *q)
{
    ngx_user_bind_t  *bind = q->data;

    u_char            id[NGX_INT64_LEN];
    rush_str_t        user;

    user.data = id;
    user.len = ngx_sprintf(id, "%L", q->user.user) - id;

    return ngx_user_take_ticket(q, &bind->flow.proof, "bind", &bind->ticket,
                                &user, 1);
}


static ngx_int_t
ngx_user_read_bind(ngx_rush_req_t *q)
{
    ngx_user_bind_t   *bind = q->data;

    ngx_int_t          rc;
    ngx_rush_param_t   param;

    rc = ngx_user_proof_taken(q, &bind->flow.proof);
    if (rc != NGX_OK) {
        return rc;
    }

    param = ngx_rush_p_int(q->user.user);

    return ngx_rush_query(q, ngx_user_stmt(USER_BY_ID), &param, 1, NGX_OK);
}


static ngx_int_t
ngx_user_bind_read(ngx_rush_req_t *q)
{
    ngx_user_bind_t    *bind = q->data;

    ngx_int_t           rc;
    rush_str_t         *old;
    ngx_user_t         *u;
    ngx_user_target_t  *target;

    u = &bind->flow.user;

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

    if (u->version != q->user.version) {
        return RUSH_UNAUTHORIZED;       /* this node learns of it just now */
    }

    target = &bind->flow.proof.target;
    old = target->email ? &u->email : &u->mobile;

    bind->there = (old->len == target->text.len
                   && ngx_strncasecmp(old->data, target->text.data, old->len)
                      == 0);
    bind->other = (old->len && !bind->there && u->hash.len);

    if (bind->other && bind->password.len == 0) {
        return RUSH_WRONG_PASSWORD;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_user_count_bind(ngx_rush_req_t *q)
{
    ngx_user_bind_t  *bind = q->data;

    return bind->other ? ngx_user_count_try(q) : NGX_OK;
}


static ngx_int_t
ngx_user_bind_counted(ngx_rush_req_t *q)
{
    ngx_user_bind_t  *bind = q->data;

    return bind->other ? ngx_user_try_counted(q) : NGX_OK;
}


static ngx_int_t
ngx_user_check_bind(ngx_rush_req_t *q)
{
    ngx_user_bind_t  *bind = q->data;

    return bind->other ? ngx_user_verify(q, &bind->password,
                                         &bind->flow.user.hash)
                       : NGX_OK;
}


static ngx_int_t
ngx_user_bind_checked(ngx_rush_req_t *q)
{
    ngx_user_bind_t  *bind = q->data;

    ngx_int_t         rc;

    if (!bind->other) {
        return NGX_OK;
    }

    rc = ngx_user_verified(q, RUSH_WRONG_PASSWORD);

    if (rc == NGX_OK) {
        ngx_user_uncount(&bind->flow);
    }

    return rc;
}


static ngx_int_t
ngx_user_bind(ngx_rush_req_t *q)
{
    ngx_user_bind_t    *bind = q->data;

    const rush_stmt_t  *stmt;
    ngx_rush_param_t    params[4];
    ngx_user_target_t  *target;

    if (bind->there) {
        return NGX_OK;
    }

    target = &bind->flow.proof.target;
    stmt = target->email ? ngx_user_stmt(USER_BIND_EMAIL)
                         : ngx_user_stmt(USER_BIND_MOBILE);

    params[0] = ngx_rush_p_str(&target->text);
    params[1] = ngx_rush_p_int(ngx_rush_now_ms());
    params[2] = ngx_rush_p_int(bind->flow.user.id);
    params[3] = ngx_rush_p_int(bind->flow.user.version);

    return ngx_rush_query(q, stmt, params, 4, RUSH_USER_EXISTS);
}


static ngx_int_t
ngx_user_bound(ngx_rush_req_t *q)
{
    ngx_user_bind_t    *bind = q->data;

    ngx_user_t         *u;
    ngx_user_target_t  *target;

    u = &bind->flow.user;
    target = &bind->flow.proof.target;

    if (!bind->there) {

        if (q->rows == NULL || q->rows->affected == 0) {
            return RUSH_CONFLICT;       /* a new password, or closed */
        }

        if (target->email) {
            u->email = target->text;

        } else {
            u->mobile = target->text;
        }
    }

    bind->flow.proof.spent = 1;
    ngx_user_put(&q->out, NULL, u);

    return NGX_OK;
}
