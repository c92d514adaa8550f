
/*
 * Copyright (C) Rush
 */


#include "ngx_user_data.h"


static ngx_int_t ngx_user_read_own(ngx_rush_req_t *q);
static ngx_int_t ngx_user_own_read(ngx_rush_req_t *q);
static ngx_int_t ngx_user_judge_login(ngx_rush_req_t *q);
static ngx_int_t ngx_user_count_own(ngx_rush_req_t *q);
static ngx_int_t ngx_user_own_counted(ngx_rush_req_t *q);
static ngx_int_t ngx_user_check_own(ngx_rush_req_t *q);
static ngx_int_t ngx_user_own_checked(ngx_rush_req_t *q);
static ngx_int_t ngx_user_close(ngx_rush_req_t *q);
static ngx_int_t ngx_user_closed(ngx_rush_req_t *q);


/*
 * The password, or for an account that has none a login of just now, proves
 * that this is not a stranger with a stolen access token.
 */

ngx_rush_step_t  ngx_user_close_steps[] = {
    ngx_rush_step(ngx_user_read_own),            /* mysql: user_by_id */
    ngx_rush_step(ngx_user_own_read),            /* mysql: session_one,
                                                    without a password;
                                                    user_closed, without an
                                                    account */
    ngx_rush_step(ngx_user_judge_login),
    ngx_rush_step(ngx_user_count_own),           /* mysql: user_count_try */
    ngx_rush_step(ngx_user_own_counted),
    ngx_rush_step(ngx_user_check_own),           /* thread: bcrypt */
    ngx_rush_step(ngx_user_own_checked),
    ngx_rush_step(ngx_user_close),               /* mysql: user_close */
    ngx_rush_step(ngx_user_closed),
    ngx_rush_null_step
};


static ngx_int_t
ngx_user_read_own(ngx_rush_req_t *q)
{
    return ngx_user_query_mine(q, ngx_user_stmt(USER_BY_ID));
}


static ngx_int_t
ngx_user_own_read(ngx_rush_req_t *q)
{
    ngx_user_close_t  *close = q->data;

    ngx_int_t          rc;
    ngx_user_t        *u;
    ngx_rush_param_t   p[2];

    u = &close->flow.user;

    rc = ngx_user_load(q, u);

    if (rc == NGX_DECLINED) {
        close->gone = 1;
        return ngx_user_query_mine(q, ngx_user_stmt(USER_CLOSED));
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

    if (u->roles) {
        return RUSH_FORBIDDEN;          /* roles have to be given up first */
    }

    if (u->hash.len) {
        return close->password.len
               ? NGX_OK : ngx_rush_refuse(q, "password", "must be given");
    }

    p[0] = ngx_rush_p_int(q->user.session);
    p[1] = ngx_rush_p_int(q->user.user);

    return ngx_rush_query(q, ngx_user_stmt(SESSION_ONE), p, 2, RUSH_INTERNAL);
}


static ngx_int_t
ngx_user_judge_login(ngx_rush_req_t *q)
{
    ngx_user_close_t  *close = q->data;

    int64_t            age, version;

    if (close->gone) {

        if (q->rows->n == 0) {
            return RUSH_NOT_FOUND;
        }

        /* it is closed; whose answer was lost could not tell the workers */

        version = ngx_rush_cell_int(q->rows, 0, 0);
        ngx_rush_revoke(q, 'u', q->user.user, version);

        return version > q->user.version ? NGX_DONE : RUSH_NOT_FOUND;
    }

    if (close->flow.user.hash.len) {
        return NGX_OK;
    }

    ngx_explicit_memzero(close->password.data, close->password.len);

    if (q->rows->n == 0 || ngx_rush_cell_int(q->rows, 0, 1) != 0) {
        return RUSH_LOGIN_AGAIN;
    }

    age = ngx_rush_now_ms() - ngx_rush_cell_int(q->rows, 0, 0);

    return age <= NGX_USER_FRESH_LOGIN ? NGX_OK : RUSH_LOGIN_AGAIN;
}


static ngx_int_t
ngx_user_count_own(ngx_rush_req_t *q)
{
    ngx_user_close_t  *close = q->data;

    return close->flow.user.hash.len ? ngx_user_count_try(q) : NGX_OK;
}


static ngx_int_t
ngx_user_own_counted(ngx_rush_req_t *q)
{
    ngx_user_close_t  *close = q->data;

    return close->flow.user.hash.len ? ngx_user_try_counted(q) : NGX_OK;
}


static ngx_int_t
ngx_user_check_own(ngx_rush_req_t *q)
{
    ngx_user_close_t  *close = q->data;

    ngx_user_t        *u;

    u = &close->flow.user;

    return u->hash.len ? ngx_user_verify(q, &close->password, &u->hash)
                       : NGX_OK;
}


static ngx_int_t
ngx_user_own_checked(ngx_rush_req_t *q)
{
    ngx_user_close_t  *close = q->data;

    return close->flow.user.hash.len
           ? ngx_user_verified(q, RUSH_WRONG_PASSWORD) : NGX_OK;
}


static ngx_int_t
ngx_user_close(ngx_rush_req_t *q)
{
    ngx_user_close_t  *close = q->data;

    int64_t            now;
    ngx_rush_param_t   p[6];

    now = ngx_rush_now_ms();

    p[0] = ngx_rush_p_int(now);
    p[1] = ngx_rush_p_int(now);
    p[2] = ngx_rush_p_int(now);
    p[3] = ngx_rush_p_int(now);
    p[4] = ngx_rush_p_int(close->flow.user.id);
    p[5] = ngx_rush_p_int(close->flow.user.version);

    return ngx_rush_query(q, ngx_user_stmt(USER_CLOSE), p, 6, RUSH_INTERNAL);
}


static ngx_int_t
ngx_user_closed(ngx_rush_req_t *q)
{
    ngx_user_close_t  *close = q->data;

    if (q->rows->affected == 0) {
        return RUSH_CONFLICT;           /* the password was changed since */
    }

    ngx_rush_revoke(q, 'u', close->flow.user.id, close->flow.user.version + 1);

    return NGX_OK;
}
