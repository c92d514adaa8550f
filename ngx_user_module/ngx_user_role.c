
/*
 * Copyright (C) Rush
 */


#include "ngx_user_admin.h"


/*
 * Roles.  A role that may more than the caller can be neither made nor
 * changed nor removed; role 1 not at all.  Nodes follow within a second
 * (ngx_rush_roles.c).
 */


static ngx_int_t ngx_user_list_roles(ngx_rush_req_t *q);
static ngx_int_t ngx_user_roles_listed(ngx_rush_req_t *q);

static ngx_int_t ngx_user_check_role(ngx_rush_req_t *q);
static ngx_int_t ngx_user_insert_role(ngx_rush_req_t *q);
static ngx_int_t ngx_user_role_inserted(ngx_rush_req_t *q);
static ngx_int_t ngx_user_show_new_role(ngx_rush_req_t *q);

static ngx_int_t ngx_user_read_role(ngx_rush_req_t *q);
static ngx_int_t ngx_user_role_read(ngx_rush_req_t *q);
static ngx_int_t ngx_user_change_role(ngx_rush_req_t *q);
static ngx_int_t ngx_user_role_changed(ngx_rush_req_t *q);
static ngx_int_t ngx_user_show_role(ngx_rush_req_t *q);
static ngx_int_t ngx_user_delete_role(ngx_rush_req_t *q);
static ngx_int_t ngx_user_role_deleted(ngx_rush_req_t *q);
static ngx_int_t ngx_user_explain_role(ngx_rush_req_t *q);

static void ngx_user_put_role(rush_buf_t *b, ngx_rush_rows_t *rows,
    ngx_uint_t row);


enum {                                  /* columns of the role* statements */
    NGX_USER_ROLE_ID = 0,
    NGX_USER_ROLE_NAME,
    NGX_USER_ROLE_PERMISSIONS,
    NGX_USER_ROLE_CREATED,
    NGX_USER_ROLE_UPDATED,
    NGX_USER_ROLE_VERSION,
    NGX_USER_ROLE_MINE                  /* of role_made only */
};


ngx_rush_step_t  ngx_user_role_list_steps[] = {
    ngx_rush_step(ngx_user_list_roles),          /* mysql: role_list */
    ngx_rush_step(ngx_user_roles_listed),
    ngx_rush_null_step
};


ngx_rush_step_t  ngx_user_role_create_steps[] = {
    ngx_rush_step(ngx_user_check_role),          /* local */
    ngx_rush_step(ngx_user_insert_role),         /* mysql: role_insert */
    ngx_rush_step(ngx_user_role_inserted),       /* mysql: role_made */
    ngx_rush_step(ngx_user_show_new_role),
    ngx_rush_null_step
};


ngx_rush_step_t  ngx_user_role_change_steps[] = {
    ngx_rush_step(ngx_user_check_role),          /* local */
    ngx_rush_step(ngx_user_read_role),           /* mysql: role */
    ngx_rush_step(ngx_user_role_read),
    ngx_rush_step(ngx_user_change_role),         /* mysql: role_change */
    ngx_rush_step(ngx_user_role_changed),
    ngx_rush_step(ngx_user_read_role),           /* mysql: role */
    ngx_rush_step(ngx_user_show_role),
    ngx_rush_null_step
};


ngx_rush_step_t  ngx_user_role_delete_steps[] = {
    ngx_rush_step(ngx_user_read_role),           /* mysql: role */
    ngx_rush_step(ngx_user_role_read),
    ngx_rush_step(ngx_user_delete_role),         /* mysql: role_delete */
    ngx_rush_step(ngx_user_role_deleted),        /* mysql: role, when refused */
    ngx_rush_step(ngx_user_explain_role),
    ngx_rush_null_step
};


static ngx_int_t
ngx_user_list_roles(ngx_rush_req_t *q)
{
    return ngx_rush_query(q, ngx_user_stmt(ROLE_LIST), NULL, 0, NGX_OK);
}


static ngx_int_t
ngx_user_roles_listed(ngx_rush_req_t *q)
{
    ngx_uint_t  i;

    rush_json_open(&q->out, NULL, '[');

    for (i = 0; i < q->rows->n; i++) {
        ngx_user_put_role(&q->out, q->rows, i);
    }

    rush_json_close(&q->out, ']');

    return NGX_OK;
}


static ngx_int_t
ngx_user_check_role(ngx_rush_req_t *q)
{
    ngx_user_role_change_t  *role = q->data;

    int                      bit;
    rush_str_t               rest, member;

    rest = role->permissions;

    while (rush_list_next(&rest, &member)) {
        bit = rush_permission_find(&member);

        if (bit < 0) {
            return ngx_rush_refuse(q, "permissions",
                                   "must be names of permissions");
        }

        role->mask |= (int64_t) 1 << bit;
    }

    return ngx_user_covers(q, role->mask);
}


static ngx_int_t
ngx_user_insert_role(ngx_rush_req_t *q)
{
    ngx_user_role_create_t  *role = q->data;

    ngx_rush_param_t         params[5];

    params[0] = ngx_rush_p_str(&role->name);
    params[1] = ngx_rush_p_int(role->mask);
    params[2] = ngx_rush_p_int(ngx_rush_now_ms());
    params[3] = params[2];
    params[4] = ngx_rush_p_int(ngx_rush_made_id(q));

    if (params[4].i == 0) {
        return RUSH_BUSY;
    }

    return ngx_rush_query(q, ngx_user_stmt(ROLE_INSERT), params, 5, NGX_OK);
}


static ngx_int_t
ngx_user_role_inserted(ngx_rush_req_t *q)
{
    ngx_user_role_create_t  *role = q->data;

    ngx_rush_param_t         params[4];

    role->done = (q->rows == NULL || q->rows->affected != 0);

    params[0] = ngx_rush_p_int(ngx_rush_made_id(q));
    params[1] = ngx_rush_p_str(&role->name);
    params[2] = params[0];
    params[3] = params[0];

    return ngx_rush_query(q, ngx_user_stmt(ROLE_MADE), params, 4, NGX_OK);
}


/*
 * Not stored as a duplicate: of the name, another has taken the id, or an
 * earlier try has made it.  That one may have taken the last free id, too.
 */

static ngx_int_t
ngx_user_show_new_role(ngx_rush_req_t *q)
{
    ngx_user_role_create_t  *role = q->data;

    if (q->rows->n == 0 || !ngx_rush_cell_int(q->rows, 0, NGX_USER_ROLE_MINE))
    {
        return !role->done ? RUSH_ROLES_FULL
               : q->rows->n ? RUSH_ROLE_EXISTS : RUSH_BUSY;
    }

    q->object = ngx_rush_cell_int(q->rows, 0, NGX_USER_ROLE_ID);
    ngx_user_put_role(&q->out, q->rows, 0);

    return NGX_OK;
}


static ngx_int_t
ngx_user_read_role(ngx_rush_req_t *q)
{
    ngx_user_role_change_t  *role = q->data;

    ngx_rush_param_t         param;

    param = ngx_rush_p_int(role->id);

    return ngx_rush_query(q, ngx_user_stmt(ROLE), &param, 1, NGX_OK);
}


static ngx_int_t
ngx_user_role_read(ngx_rush_req_t *q)
{
    ngx_user_role_change_t  *role = q->data;

    if (q->rows->n == 0) {
        return RUSH_NOT_FOUND;
    }

    if (role->id == RUSH_ADMIN_ROLE) {
        return RUSH_ROLE_FIXED;
    }

    role->version = ngx_rush_cell_int(q->rows, 0, NGX_USER_ROLE_VERSION);

    return ngx_user_covers(q, ngx_rush_cell_int(q->rows, 0,
                                                NGX_USER_ROLE_PERMISSIONS));
}


static ngx_int_t
ngx_user_change_role(ngx_rush_req_t *q)
{
    ngx_user_role_change_t  *role = q->data;

    ngx_rush_param_t         params[5];

    params[0] = ngx_rush_given(q, "name") ? ngx_rush_p_str(&role->name)
                                          : ngx_rush_p_null();
    params[1] = ngx_rush_given(q, "permissions") ? ngx_rush_p_int(role->mask)
                                                 : ngx_rush_p_null();
    params[2] = ngx_rush_p_int(ngx_rush_now_ms());
    params[3] = ngx_rush_p_int(role->id);
    params[4] = ngx_rush_p_int(role->version);

    return ngx_rush_query(q, ngx_user_stmt(ROLE_CHANGE), params, 5,
                          RUSH_ROLE_EXISTS);
}


static ngx_int_t
ngx_user_role_changed(ngx_rush_req_t *q)
{
    return (q->rows && q->rows->affected) ? NGX_OK : RUSH_CONFLICT;
}


static ngx_int_t
ngx_user_show_role(ngx_rush_req_t *q)
{
    if (q->rows->n == 0) {
        return RUSH_NOT_FOUND;          /* removed meanwhile */
    }

    ngx_user_put_role(&q->out, q->rows, 0);

    return NGX_OK;
}


static ngx_int_t
ngx_user_delete_role(ngx_rush_req_t *q)
{
    ngx_user_role_delete_t  *role = q->data;

    ngx_rush_param_t         params[2];

    params[0] = ngx_rush_p_int(role->id);
    params[1] = ngx_rush_p_int(role->version);

    return ngx_rush_query(q, ngx_user_stmt(ROLE_DELETE), params, 2, NGX_OK);
}


static ngx_int_t
ngx_user_role_deleted(ngx_rush_req_t *q)
{
    ngx_user_role_delete_t  *role = q->data;

    if (q->rows == NULL || q->rows->affected == 0) {
        return ngx_user_read_role(q);
    }

    rush_json_open(&q->out, NULL, '{');
    rush_json_int(&q->out, "id", role->id);
    rush_json_close(&q->out, '}');

    return NGX_DONE;
}


static ngx_int_t
ngx_user_explain_role(ngx_rush_req_t *q)
{
    ngx_user_role_delete_t  *role = q->data;

    if (q->rows->n == 0) {
        return RUSH_NOT_FOUND;
    }

    return ngx_rush_cell_int(q->rows, 0, NGX_USER_ROLE_VERSION)
           == role->version ? RUSH_ROLE_IN_USE : RUSH_CONFLICT;
}


static void
ngx_user_put_role(rush_buf_t *b, ngx_rush_rows_t *rows, ngx_uint_t row)
{
    int64_t     mask;
    ngx_uint_t  i;

    mask = ngx_rush_cell_int(rows, row, NGX_USER_ROLE_PERMISSIONS);

    rush_json_open(b, NULL, '{');
    rush_json_int(b, "id", ngx_rush_cell_int(rows, row, NGX_USER_ROLE_ID));
    rush_json_str(b, "name", (rush_str_t *)
                             ngx_rush_cell(rows, row, NGX_USER_ROLE_NAME));
    rush_json_open(b, "permissions", '[');

    for (i = 0; i < rush_npermissions; i++) {

        if (mask >> rush_permissions[i].bit & 1) {
            rush_json_str(b, NULL, &rush_permissions[i].name);
        }
    }

    rush_json_close(b, ']');
    rush_json_time(b, "created_at",
                   ngx_rush_cell_int(rows, row, NGX_USER_ROLE_CREATED));
    rush_json_time(b, "updated_at",
                   ngx_rush_cell_int(rows, row, NGX_USER_ROLE_UPDATED));
    rush_json_close(b, '}');
}
