
/*
 * Copyright (C) Rush
 */


#include "ngx_user_admin.h"


#define NGX_USER_FILTERS  17            /* parameters of the list */


/* columns of the admin_user* statements */

enum {
    NGX_USER_COL_ID = 0,
    NGX_USER_COL_USERNAME,
    NGX_USER_COL_MOBILE,
    NGX_USER_COL_EMAIL,
    NGX_USER_COL_NICKNAME,
    NGX_USER_COL_AVATAR,
    NGX_USER_COL_INFO,
    NGX_USER_COL_SIGNATURE,
    NGX_USER_COL_STATUS,
    NGX_USER_COL_BAN_REASON,
    NGX_USER_COL_BAN_UNTIL,
    NGX_USER_COL_ROLES,
    NGX_USER_COL_CREATED,
    NGX_USER_COL_UPDATED,
    NGX_USER_COL_DELETED,
    NGX_USER_COL_TOKENS,
    NGX_USER_COL_VERSION,
    NGX_USER_COL_ERASED
};


static ngx_int_t ngx_user_check_filter(ngx_rush_req_t *q);
static ngx_int_t ngx_user_count_users(ngx_rush_req_t *q);
static ngx_int_t ngx_user_users_counted(ngx_rush_req_t *q);
static ngx_int_t ngx_user_users_listed(ngx_rush_req_t *q);
static ngx_int_t ngx_user_read_batch(ngx_rush_req_t *q);
static ngx_int_t ngx_user_batch_read(ngx_rush_req_t *q);

static ngx_int_t ngx_user_make_pattern(ngx_rush_req_t *q);
static ngx_int_t ngx_user_fill_filter(ngx_rush_req_t *q,
    ngx_rush_param_t *params);
static ngx_int_t ngx_user_status_of(rush_str_t *name);


ngx_rush_step_t  ngx_user_admin_users_steps[] = {
    ngx_rush_step(ngx_user_check_filter),        /* local */
    ngx_rush_step(ngx_user_count_users),         /* mysql */
    ngx_rush_step(ngx_user_users_counted),       /* mysql: the page */
    ngx_rush_step(ngx_user_users_listed),
    ngx_rush_null_step
};


ngx_rush_step_t  ngx_user_admin_batch_steps[] = {
    ngx_rush_step(ngx_user_read_batch),          /* mysql */
    ngx_rush_step(ngx_user_batch_read),
    ngx_rush_null_step
};


ngx_rush_step_t  ngx_user_admin_user_steps[] = {
    ngx_rush_step(ngx_user_read_subject),        /* mysql */
    ngx_rush_step(ngx_user_show_subject),
    ngx_rush_null_step
};


static const char  *ngx_user_states[] = { "active", "banned", "deleted" };


static ngx_int_t
ngx_user_check_filter(ngx_rush_req_t *q)
{
    ngx_user_admin_users_t  *list = q->data;

    /* what can be no such name belongs to nobody */

    if (list->username.len && ngx_user_username(&list->username) != NGX_OK) {
        list->username.len = 0;
    }

    if (list->mobile.len && ngx_user_mobile(&list->mobile) != NGX_OK) {
        list->mobile.len = 0;
    }

    if (ngx_user_ascii(&list->email) != NGX_OK) {
        list->email.len = 0;
    }

    if (ngx_rush_given(q, "status")
        && ngx_user_status_of(&list->status) == NGX_ERROR)
    {
        return ngx_rush_refuse(q, "status",
                               "must be active, banned or deleted");
    }

    return list->q.len ? ngx_user_make_pattern(q) : NGX_OK;
}


/* usernames are in lower case, nicknames compare without it */

static ngx_int_t
ngx_user_make_pattern(ngx_rush_req_t *q)
{
    ngx_user_admin_users_t  *list = q->data;

    u_char  *p, c;
    size_t   i;

    p = ngx_pnalloc(q->r->pool, 2 * list->q.len + 2);
    if (p == NULL) {
        return NGX_ERROR;
    }

    list->pattern.data = p;

    *p++ = '%';

    for (i = 0; i < list->q.len; i++) {
        c = list->q.data[i];

        if (c == '%' || c == '_' || c == '\\') {
            *p++ = '\\';
        }

        *p++ = ngx_tolower(c);
    }

    *p++ = '%';

    list->pattern.len = p - list->pattern.data;

    return NGX_OK;
}


static ngx_int_t
ngx_user_fill_filter(ngx_rush_req_t *q, ngx_rush_param_t *params)
{
    ngx_user_admin_users_t  *list = q->data;

    int64_t            bit;
    ngx_int_t          status;
    ngx_rush_param_t  *p;

    p = params;
    status = ngx_rush_given(q, "status") ? ngx_user_status_of(&list->status)
                                         : NGX_ERROR;
    bit = list->role ? rush_role_bit(list->role) : 0;

    *p = list->id ? ngx_rush_p_int(list->id) : ngx_rush_p_null();
    p[1] = p[0];
    p += 2;

    *p = ngx_rush_given(q, "username") ? ngx_rush_p_str(&list->username)
                                       : ngx_rush_p_null();
    p[1] = p[0];
    p += 2;

    *p = ngx_rush_given(q, "mobile") ? ngx_rush_p_str(&list->mobile)
                                     : ngx_rush_p_null();
    p[1] = p[0];
    p += 2;

    *p = ngx_rush_given(q, "email") ? ngx_rush_p_str(&list->email)
                                    : ngx_rush_p_null();
    p[1] = p[0];
    p += 2;

    *p = list->pattern.len ? ngx_rush_p_str(&list->pattern)
                           : ngx_rush_p_null();
    p[1] = p[0];
    p[2] = p[0];
    p += 3;

    *p++ = ngx_rush_p_int(status == NGX_ERROR ? NGX_USER_ACTIVE : status);
    *p++ = ngx_rush_p_int(status == NGX_ERROR ? NGX_USER_BANNED : status);

    *p = bit ? ngx_rush_p_int(bit) : ngx_rush_p_null();
    p[1] = p[0];
    p += 2;

    *p++ = ngx_rush_p_int(list->from);
    *p++ = ngx_rush_p_int(ngx_rush_given(q, "to") ? list->to : INT64_MAX);

    return p - params;
}


static ngx_int_t
ngx_user_count_users(ngx_rush_req_t *q)
{
    ngx_int_t         n;
    ngx_rush_param_t  params[NGX_USER_FILTERS];

    n = ngx_user_fill_filter(q, params);

    return ngx_rush_query(q, ngx_user_stmt(ADMIN_USERS_COUNT), params, n,
                          NGX_OK);
}


static ngx_int_t
ngx_user_users_counted(ngx_rush_req_t *q)
{
    ngx_user_admin_users_t  *list = q->data;

    ngx_int_t         n;
    ngx_rush_param_t  params[NGX_USER_FILTERS + 2];

    list->total = ngx_rush_cell_int(q->rows, 0, 0);
    list->page = list->page ? list->page : 1;
    list->page_size = list->page_size ? list->page_size : NGX_USER_PAGE_SIZE;

    n = ngx_user_fill_filter(q, params);
    params[n++] = ngx_rush_p_int(list->page_size);
    params[n++] = ngx_rush_p_int((list->page - 1) * list->page_size);

    return ngx_rush_query(q, ngx_user_stmt(ADMIN_USERS), params, n, NGX_OK);
}


static ngx_int_t
ngx_user_users_listed(ngx_rush_req_t *q)
{
    ngx_user_admin_users_t  *list = q->data;

    ngx_uint_t  i;

    rush_json_open(&q->out, NULL, '{');
    rush_json_open(&q->out, "list", '[');

    for (i = 0; i < q->rows->n; i++) {
        ngx_user_admin_put(q, i);
    }

    rush_json_close(&q->out, ']');
    rush_json_int(&q->out, "total", list->total);
    rush_json_int(&q->out, "page", list->page);
    rush_json_int(&q->out, "page_size", list->page_size);
    rush_json_int(&q->out, "total_page",
                  (list->total + list->page_size - 1) / list->page_size);
    rush_json_close(&q->out, '}');

    return NGX_OK;
}


static ngx_int_t
ngx_user_read_batch(ngx_rush_req_t *q)
{
    ngx_user_admin_batch_t  *batch = q->data;

    int64_t           id;
    ngx_int_t         rc;
    ngx_str_t         text;
    rush_buf_t        b;
    rush_str_t        rest, member;
    ngx_rush_param_t  param;

    ngx_memzero(&b, sizeof(rush_buf_t));
    rush_json_open(&b, NULL, '[');
    rest = batch->ids;

    while (rush_list_next(&rest, &member)) {

        if (rush_parse_u63(member.data, member.len, &id) != RUSH_OK
            || id == 0)
        {
            rush_buf_free(&b);
            return ngx_rush_refuse(q, "ids", "must be ids");
        }

        rush_json_int(&b, NULL, id);
    }

    rush_json_close(&b, ']');

    if (b.failed) {
        rush_buf_free(&b);
        return NGX_ERROR;
    }

    text.data = b.data;
    text.len = b.len;
    param = ngx_rush_p_str(&text);

    rc = ngx_rush_query(q, ngx_user_stmt(ADMIN_BATCH), &param, 1, NGX_OK);

    rush_buf_free(&b);                  /* parameters are copied */

    return rc;
}


static ngx_int_t
ngx_user_batch_read(ngx_rush_req_t *q)
{
    ngx_uint_t  i;

    rush_json_open(&q->out, NULL, '[');

    for (i = 0; i < q->rows->n; i++) {
        ngx_user_admin_put(q, i);
    }

    rush_json_close(&q->out, ']');

    return NGX_OK;
}


ngx_int_t
ngx_user_read_subject(ngx_rush_req_t *q)
{
    ngx_user_admin_user_t  *act = q->data;

    ngx_rush_param_t        param;

    param = ngx_rush_p_int(act->id);

    return ngx_rush_query(q, ngx_user_stmt(ADMIN_USER), &param, 1, NGX_OK);
}


ngx_int_t
ngx_user_subject_read(ngx_rush_req_t *q)
{
    ngx_user_admin_user_t  *act = q->data;

    ngx_str_t              *reason;
    ngx_rush_rows_t        *rows;
    ngx_user_subject_t     *s;

    rows = q->rows;
    s = &act->subject;

    if (rows->n == 0) {
        return RUSH_NOT_FOUND;
    }

    s->status = ngx_rush_cell_int(rows, 0, NGX_USER_COL_STATUS);
    s->roles = ngx_rush_cell_int(rows, 0, NGX_USER_COL_ROLES);
    s->tokens = ngx_rush_cell_int(rows, 0, NGX_USER_COL_TOKENS);
    s->version = ngx_rush_cell_int(rows, 0, NGX_USER_COL_VERSION);
    s->ban_until_ms = ngx_rush_cell_int(rows, 0, NGX_USER_COL_BAN_UNTIL);
    s->deleted_ms = ngx_rush_cell_int(rows, 0, NGX_USER_COL_DELETED);
    s->erased_ms = ngx_rush_cell_int(rows, 0, NGX_USER_COL_ERASED);
    s->username = ngx_rush_cell(rows, 0, NGX_USER_COL_USERNAME)->len != 0;
    s->mobile = ngx_rush_cell(rows, 0, NGX_USER_COL_MOBILE)->len != 0;
    s->email = ngx_rush_cell(rows, 0, NGX_USER_COL_EMAIL)->len != 0;

    reason = ngx_rush_cell(rows, 0, NGX_USER_COL_BAN_REASON);
    s->ban_reason.len = reason->len;
    s->ban_reason.data = ngx_pnalloc(q->r->pool, reason->len + 1);

    if (s->ban_reason.data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(s->ban_reason.data, reason->data, reason->len);

    if (!ngx_rush_roles_exist(s->roles)
        && ngx_rush_permissions(q->user.roles) != RUSH_MAY_ALL)
    {
        return RUSH_BUSY;               /* a new role, not known here yet */
    }

    return ngx_user_covers(q, ngx_rush_permissions(s->roles));
}


ngx_int_t
ngx_user_show_subject(ngx_rush_req_t *q)
{
    if (q->rows->n == 0) {
        return RUSH_NOT_FOUND;
    }

    ngx_user_admin_put(q, 0);

    return NGX_OK;
}


ngx_int_t
ngx_user_covers(ngx_rush_req_t *q, int64_t permissions)
{
    return (permissions & ~ngx_rush_permissions(q->user.roles)) == 0
           ? RUSH_OK : RUSH_FORBIDDEN;
}


void
ngx_user_admin_put(ngx_rush_req_t *q, ngx_uint_t row)
{
    int64_t           status;
    ngx_uint_t        i, private;
    rush_buf_t       *b;
    rush_str_t       *cell[NGX_USER_COL_ERASED + 1];
    ngx_rush_rows_t  *rows;

    b = &q->out;
    rows = q->rows;

    private = ngx_rush_may(q->user.roles, RUSH_MAY_users_private) == RUSH_OK;
    status = ngx_rush_cell_int(rows, row, NGX_USER_COL_STATUS);

    for (i = 0; i <= NGX_USER_COL_ERASED; i++) {
        cell[i] = (rush_str_t *) ngx_rush_cell(rows, row, i);
    }

    rush_json_open(b, NULL, '{');
    rush_json_id(b, "id", ngx_rush_cell_int(rows, row, NGX_USER_COL_ID));
    rush_json_str(b, "username", cell[NGX_USER_COL_USERNAME]);

    if (private) {
        rush_json_str(b, "mobile", cell[NGX_USER_COL_MOBILE]);
        rush_json_str(b, "email", cell[NGX_USER_COL_EMAIL]);

    } else {
        ngx_user_put_mobile(b, cell[NGX_USER_COL_MOBILE]);
        ngx_user_put_email(b, cell[NGX_USER_COL_EMAIL]);
    }

    rush_json_str(b, "nickname", cell[NGX_USER_COL_NICKNAME]);
    rush_json_str(b, "avatar", cell[NGX_USER_COL_AVATAR]);
    rush_json_str(b, "info", cell[NGX_USER_COL_INFO]);
    rush_json_str(b, "signature", cell[NGX_USER_COL_SIGNATURE]);
    rush_json_text(b, "status", (status >= 0 && status <= NGX_USER_DELETED)
                                ? ngx_user_states[status] : "");
    rush_json_str(b, "ban_reason", cell[NGX_USER_COL_BAN_REASON]);
    rush_json_time(b, "banned_until",
                   ngx_rush_cell_int(rows, row, NGX_USER_COL_BAN_UNTIL));

    ngx_user_put_roles(b, ngx_rush_cell_int(rows, row, NGX_USER_COL_ROLES));

    rush_json_time(b, "created_at",
                   ngx_rush_cell_int(rows, row, NGX_USER_COL_CREATED));
    rush_json_time(b, "updated_at",
                   ngx_rush_cell_int(rows, row, NGX_USER_COL_UPDATED));
    rush_json_time(b, "deleted_at",
                   ngx_rush_cell_int(rows, row, NGX_USER_COL_DELETED));
    rush_json_close(b, '}');
}


void
ngx_user_put_roles(rush_buf_t *b, int64_t roles)
{
    ngx_uint_t  i;

    rush_json_open(b, "roles", '[');

    for (i = 1; i <= RUSH_MAX_ROLES; i++) {

        if (roles & rush_role_bit(i)) {
            rush_json_int(b, NULL, i);
        }
    }

    rush_json_close(b, ']');
}


static ngx_int_t
ngx_user_status_of(rush_str_t *name)
{
    ngx_uint_t  i;

    for (i = 0; i <= NGX_USER_DELETED; i++) {

        if (name->len == ngx_strlen(ngx_user_states[i])
            && ngx_memcmp(name->data, ngx_user_states[i], name->len) == 0)
        {
            return i;
        }
    }

    return NGX_ERROR;
}
