
/*
 * Copyright (C) Rush
 */


#include "ngx_user_admin.h"


/*
 * Acts on one user: read the row, decide, change it by one statement that
 * asks for what was decided upon, read it again.  When nothing was changed,
 * the second look tells why.
 */


static ngx_int_t ngx_user_delete(ngx_rush_req_t *q);
static ngx_int_t ngx_user_restore(ngx_rush_req_t *q);
static ngx_int_t ngx_user_set_status(ngx_rush_req_t *q);
static ngx_int_t ngx_user_check_roles(ngx_rush_req_t *q);
static ngx_int_t ngx_user_roles_checked(ngx_rush_req_t *q);
static ngx_int_t ngx_user_set_roles(ngx_rush_req_t *q);
static ngx_int_t ngx_user_revoke_all(ngx_rush_req_t *q);
static ngx_int_t ngx_user_acted(ngx_rush_req_t *q);
static ngx_int_t ngx_user_show_act(ngx_rush_req_t *q);

static ngx_int_t ngx_user_end_sessions(ngx_rush_req_t *q, int64_t status,
    rush_str_t *reason, int64_t until, int64_t deleted);
static ngx_int_t ngx_user_open_account(ngx_rush_req_t *q);


ngx_rush_step_t  ngx_user_admin_delete_steps[] = {
    ngx_rush_step(ngx_user_read_subject),        /* mysql: admin_user */
    ngx_rush_step(ngx_user_subject_read),
    ngx_rush_step(ngx_user_delete),              /* mysql: admin_end */
    ngx_rush_step(ngx_user_acted),
    ngx_rush_step(ngx_user_read_subject),        /* mysql: admin_user */
    ngx_rush_step(ngx_user_show_act),
    ngx_rush_null_step
};


ngx_rush_step_t  ngx_user_admin_restore_steps[] = {
    ngx_rush_step(ngx_user_read_subject),        /* mysql: admin_user */
    ngx_rush_step(ngx_user_subject_read),
    ngx_rush_step(ngx_user_restore),             /* mysql: admin_open */
    ngx_rush_step(ngx_user_acted),
    ngx_rush_step(ngx_user_read_subject),        /* mysql: admin_user */
    ngx_rush_step(ngx_user_show_act),
    ngx_rush_null_step
};


ngx_rush_step_t  ngx_user_admin_status_steps[] = {
    ngx_rush_step(ngx_user_read_subject),        /* mysql: admin_user */
    ngx_rush_step(ngx_user_subject_read),
    ngx_rush_step(ngx_user_set_status),          /* mysql: admin_end, or
                                                    admin_open */
    ngx_rush_step(ngx_user_acted),
    ngx_rush_step(ngx_user_read_subject),        /* mysql: admin_user */
    ngx_rush_step(ngx_user_show_act),
    ngx_rush_null_step
};


ngx_rush_step_t  ngx_user_admin_roles_steps[] = {
    ngx_rush_step(ngx_user_check_roles),         /* mysql: role_list */
    ngx_rush_step(ngx_user_roles_checked),
    ngx_rush_step(ngx_user_read_subject),        /* mysql: admin_user */
    ngx_rush_step(ngx_user_subject_read),
    ngx_rush_step(ngx_user_set_roles),           /* mysql: admin_set_roles */
    ngx_rush_step(ngx_user_acted),
    ngx_rush_step(ngx_user_read_subject),        /* mysql: admin_user */
    ngx_rush_step(ngx_user_show_act),
    ngx_rush_null_step
};


ngx_rush_step_t  ngx_user_admin_revoke_steps[] = {
    ngx_rush_step(ngx_user_read_subject),        /* mysql: admin_user */
    ngx_rush_step(ngx_user_subject_read),
    ngx_rush_step(ngx_user_revoke_all),          /* mysql: admin_end */
    ngx_rush_step(ngx_user_acted),
    ngx_rush_step(ngx_user_read_subject),        /* mysql: admin_user */
    ngx_rush_step(ngx_user_show_act),
    ngx_rush_null_step
};


/* names stay taken until the account is erased, so it can be restored; roles
 * are gone, or nobody could ever remove them */

static ngx_int_t
ngx_user_delete(ngx_rush_req_t *q)
{
    ngx_user_admin_delete_t  *act = q->data;

    ngx_user_subject_t       *s;

    s = &act->subject;

    if (s->status == NGX_USER_DELETED) {
        return RUSH_USER_STATE;
    }

    return ngx_user_end_sessions(q, NGX_USER_DELETED, &s->ban_reason, 0,
                                 ngx_rush_now_ms());
}


static ngx_int_t
ngx_user_restore(ngx_rush_req_t *q)
{
    ngx_user_admin_restore_t  *act = q->data;

    if (act->subject.status != NGX_USER_DELETED || act->subject.erased_ms) {
        return RUSH_USER_STATE;
    }

    return ngx_user_open_account(q);
}


static ngx_int_t
ngx_user_set_status(ngx_rush_req_t *q)
{
    ngx_user_admin_status_t  *act = q->data;

    rush_str_t               *status;
    ngx_user_subject_t       *s;

    s = &act->subject;
    status = &act->status;

    if (s->status == NGX_USER_DELETED) {
        return RUSH_USER_STATE;
    }

    if (status->len == 6 && ngx_memcmp(status->data, "active", 6) == 0) {

        if (act->until) {
            return ngx_rush_refuse(q, "until", "belongs to a ban");
        }

        if (s->status == NGX_USER_ACTIVE) {
            s->done = 1;                /* allowed already */
            return NGX_OK;
        }

        return ngx_user_open_account(q);
    }

    if (status->len != 6 || ngx_memcmp(status->data, "banned", 6) != 0) {
        return ngx_rush_refuse(q, "status", "must be banned or active");
    }

    if (act->reason.len == 0) {
        return ngx_rush_refuse(q, "reason", "is required");
    }

    if (ngx_rush_given(q, "until") && act->until <= ngx_rush_now_ms()) {
        return ngx_rush_refuse(q, "until", "must be in the future");
    }

    return ngx_user_end_sessions(q, NGX_USER_BANNED, &act->reason, act->until,
                                 0);
}


static ngx_int_t
ngx_user_check_roles(ngx_rush_req_t *q)
{
    ngx_user_admin_roles_t  *act = q->data;

    int64_t                  id;
    rush_str_t               rest, member;

    rest = act->roles;

    while (rush_list_next(&rest, &member)) {

        if (rush_parse_u63(member.data, member.len, &id) != RUSH_OK
            || id < 1 || id > RUSH_MAX_ROLES)
        {
            return ngx_rush_refuse(q, "roles", "must be 1 to 62");
        }

        if (!(act->mask & rush_role_bit(id))) {
            act->mask |= rush_role_bit(id);
            act->count++;
        }
    }

    return ngx_rush_query(q, ngx_user_stmt(ROLE_LIST), NULL, 0, NGX_OK);
}


/* not from shared memory: that may not know a new role yet */

static ngx_int_t
ngx_user_roles_checked(ngx_rush_req_t *q)
{
    ngx_user_admin_roles_t  *act = q->data;

    int64_t                  id, unknown;
    ngx_uint_t               i;

    unknown = act->mask;

    for (i = 0; i < q->rows->n; i++) {
        id = ngx_rush_cell_int(q->rows, i, 0);

        if (id >= 1 && id <= RUSH_MAX_ROLES
            && (act->mask & rush_role_bit(id)))
        {
            unknown &= ~rush_role_bit(id);
            act->may |= ngx_rush_cell_int(q->rows, i, 2);
        }
    }

    return unknown ? RUSH_ROLE_UNKNOWN : ngx_user_covers(q, act->may);
}


static ngx_int_t
ngx_user_set_roles(ngx_rush_req_t *q)
{
    ngx_user_admin_roles_t  *act = q->data;

    int64_t                  now;
    ngx_rush_param_t         params[9];
    ngx_user_subject_t      *s;

    s = &act->subject;

    if (s->status == NGX_USER_DELETED) {
        return RUSH_USER_STATE;
    }

    now = ngx_rush_now_ms();
    s->ends = 1;

    params[0] = ngx_rush_p_int(act->mask);
    params[1] = ngx_rush_p_int(now);
    params[2] = ngx_rush_p_int(now);
    params[3] = ngx_rush_p_int(act->id);
    params[4] = ngx_rush_p_int(s->tokens);
    params[5] = ngx_rush_p_int(act->count);
    params[6] = ngx_rush_p_int(act->mask);
    params[7] = ngx_rush_p_int(act->mask);
    params[8] = ngx_rush_p_int(act->id);

    return ngx_rush_query(q, ngx_user_stmt(ADMIN_SET_ROLES), params, 9,
                          NGX_OK);
}


static ngx_int_t
ngx_user_revoke_all(ngx_rush_req_t *q)
{
    ngx_user_admin_revoke_t  *act = q->data;

    ngx_user_subject_t       *s;

    s = &act->subject;

    return ngx_user_end_sessions(q, s->status, &s->ban_reason,
                                 s->ban_until_ms, s->deleted_ms);
}


static ngx_int_t
ngx_user_acted(ngx_rush_req_t *q)
{
    ngx_user_admin_user_t  *act = q->data;

    ngx_user_subject_t     *s;

    s = &act->subject;

    if (q->rows && q->rows->affected) {
        s->done = 1;

        if (s->ends) {
            ngx_rush_revoke(q, 'u', act->id, s->tokens + 1);
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_user_show_act(ngx_rush_req_t *q)
{
    ngx_user_admin_user_t  *act = q->data;

    ngx_int_t               rc;
    ngx_user_subject_t      before;

    if (act->subject.done) {
        return ngx_user_show_subject(q);
    }

    before = act->subject;
    rc = ngx_user_subject_read(q);

    if (rc != NGX_OK) {
        return rc;
    }

    /* it is as it was, so another condition was not met */

    if (before.ends && before.tokens == act->subject.tokens
        && before.status == act->subject.status
        && (before.roles & RUSH_ROLE_ADMIN))
    {
        return RUSH_LAST_ADMIN;
    }

    return RUSH_CONFLICT;
}


static ngx_int_t
ngx_user_end_sessions(ngx_rush_req_t *q, int64_t status, rush_str_t *reason,
    int64_t until, int64_t deleted)
{
    ngx_user_admin_user_t  *act = q->data;

    int64_t                 now;
    ngx_rush_param_t        params[13];
    ngx_user_subject_t     *s;

    s = &act->subject;
    s->ends = 1;

    now = ngx_rush_now_ms();

    params[0] = ngx_rush_p_int(status);
    params[1] = ngx_rush_p_str(reason);
    params[2] = ngx_rush_p_int(until);
    params[3] = ngx_rush_p_int(deleted);
    params[4] = ngx_rush_p_int(status);
    params[5] = ngx_rush_p_int(now);
    params[6] = ngx_rush_p_int(now);
    params[7] = ngx_rush_p_int(now);
    params[8] = ngx_rush_p_int(act->id);
    params[9] = ngx_rush_p_int(s->tokens);
    params[10] = ngx_rush_p_int(s->status);

    /* the account is taken away, not only its sessions */
    params[11] = ngx_rush_p_int(status != s->status);
    params[12] = ngx_rush_p_int(act->id);

    return ngx_rush_query(q, ngx_user_stmt(ADMIN_END), params, 13, NGX_OK);
}


static ngx_int_t
ngx_user_open_account(ngx_rush_req_t *q)
{
    ngx_user_admin_user_t  *act = q->data;

    ngx_rush_param_t        params[4];

    params[0] = ngx_rush_p_int(ngx_rush_now_ms());
    params[1] = ngx_rush_p_int(act->id);
    params[2] = ngx_rush_p_int(act->subject.tokens);
    params[3] = ngx_rush_p_int(act->subject.status);

    return ngx_rush_query(q, ngx_user_stmt(ADMIN_OPEN), params, 4, NGX_OK);
}
