
/*
 * Copyright (C) Rush
 */


#include "ngx_user_admin.h"


static ngx_int_t ngx_user_check_new(ngx_rush_req_t *q);
static ngx_int_t ngx_user_hash_new(ngx_rush_req_t *q);
static ngx_int_t ngx_user_new_hashed(ngx_rush_req_t *q);
static ngx_int_t ngx_user_insert_new(ngx_rush_req_t *q);
static ngx_int_t ngx_user_new_inserted(ngx_rush_req_t *q);
static ngx_int_t ngx_user_show_new(ngx_rush_req_t *q);

static ngx_int_t ngx_user_check_members(ngx_rush_req_t *q);
static ngx_int_t ngx_user_change_members(ngx_rush_req_t *q);
static ngx_int_t ngx_user_members_changed(ngx_rush_req_t *q);

static ngx_int_t ngx_user_check_names(ngx_rush_req_t *q, rush_str_t *username,
    rush_str_t *mobile, rush_str_t *email);
static ngx_uint_t ngx_user_is_email(rush_str_t *s);


/* many have no mobile: NULL is no duplicate */

#define ngx_user_p_or_null(s)                                                 \
    ((s)->len ? ngx_rush_p_str(s) : ngx_rush_p_null())


ngx_rush_step_t  ngx_user_admin_create_steps[] = {
    ngx_rush_step(ngx_user_check_new),           /* local */
    ngx_rush_step(ngx_user_hash_new),            /* thread: bcrypt */
    ngx_rush_step(ngx_user_new_hashed),
    ngx_rush_step(ngx_user_insert_new),          /* mysql: admin_insert */
    ngx_rush_step(ngx_user_new_inserted),        /* mysql: admin_user */
    ngx_rush_step(ngx_user_show_new),
    ngx_rush_null_step
};


ngx_rush_step_t  ngx_user_admin_change_steps[] = {
    ngx_rush_step(ngx_user_check_members),       /* local */
    ngx_rush_step(ngx_user_read_subject),        /* mysql: admin_user */
    ngx_rush_step(ngx_user_subject_read),
    ngx_rush_step(ngx_user_change_members),      /* mysql: admin_change */
    ngx_rush_step(ngx_user_members_changed),
    ngx_rush_step(ngx_user_read_subject),        /* mysql: admin_user */
    ngx_rush_step(ngx_user_show_subject),
    ngx_rush_null_step
};


static ngx_int_t
ngx_user_check_new(ngx_rush_req_t *q)
{
    ngx_user_admin_create_t  *new = q->data;

    ngx_int_t                 rc;
    ngx_user_t               *u;

    if (new->username.len == 0 && new->mobile.len == 0
        && new->email.len == 0)
    {
        return ngx_rush_refuse(q, "username",
                               "give username, mobile, email or several");
    }

    rc = ngx_user_check_names(q, &new->username, &new->mobile, &new->email);
    if (rc != NGX_OK) {
        return rc;
    }

    if (new->password.len == 0 && new->mobile.len == 0
        && new->email.len == 0)
    {
        return ngx_rush_refuse(q, "password",
                               "is required without mobile and email");
    }

    new->id = ngx_rush_made_id(q);
    if (new->id == 0) {
        return RUSH_BUSY;
    }

    if (new->password.len == 0) {
        return NGX_OK;
    }

    u = &new->flow.user;
    u->username = new->username;
    u->mobile = new->mobile;
    u->nickname = new->nickname;

    return ngx_user_check_policy(q, &new->password, u);
}


static ngx_int_t
ngx_user_hash_new(ngx_rush_req_t *q)
{
    ngx_user_admin_create_t  *new = q->data;

    return new->password.len ? ngx_user_hash(q, &new->password) : NGX_OK;
}


static ngx_int_t
ngx_user_new_hashed(ngx_rush_req_t *q)
{
    ngx_user_admin_create_t  *new = q->data;

    u_char                   *p;

    if (new->nickname.len == 0 && new->username.len) {
        new->nickname = new->username;
    }

    if (new->nickname.len == 0) {
        p = ngx_pnalloc(q->r->pool, sizeof("user123456") - 1);
        if (p == NULL) {
            return NGX_ERROR;
        }

        new->nickname.data = p;
        new->nickname.len = ngx_sprintf(p, "user%06L", new->id % 1000000) - p;
    }

    return new->password.len ? ngx_user_take_hash(q) : NGX_OK;
}


static ngx_int_t
ngx_user_insert_new(ngx_rush_req_t *q)
{
    ngx_user_admin_create_t  *new = q->data;

    ngx_rush_param_t          params[8];

    params[0] = ngx_rush_p_int(new->id);
    params[1] = ngx_user_p_or_null(&new->username);
    params[2] = ngx_user_p_or_null(&new->mobile);
    params[3] = ngx_user_p_or_null(&new->email);
    params[4] = ngx_rush_p_str(&new->flow.user.hash);
    params[5] = ngx_rush_p_str(&new->nickname);
    params[6] = ngx_rush_p_int(ngx_rush_now_ms());
    params[7] = params[6];

    return ngx_rush_query(q, ngx_user_stmt(ADMIN_INSERT), params, 8, NGX_OK);
}


static ngx_int_t
ngx_user_new_inserted(ngx_rush_req_t *q)
{
    ngx_user_admin_create_t  *new = q->data;

    ngx_rush_param_t          param;

    if (q->rows) {
        q->object = new->id;
    }

    param = ngx_rush_p_int(new->id);

    return ngx_rush_query(q, ngx_user_stmt(ADMIN_USER), &param, 1, NGX_OK);
}


/* not stored as a duplicate: of a name, or an earlier try has made it */

static ngx_int_t
ngx_user_show_new(ngx_rush_req_t *q)
{
    ngx_user_admin_create_t  *new = q->data;

    if (q->rows->n == 0) {
        return RUSH_USER_EXISTS;
    }

    q->object = new->id;

    return ngx_user_show_subject(q);
}


static ngx_int_t
ngx_user_check_members(ngx_rush_req_t *q)
{
    ngx_user_admin_change_t  *change = q->data;

    return ngx_user_check_names(q, &change->username, &change->mobile,
                                &change->email);
}


static ngx_int_t
ngx_user_change_members(ngx_rush_req_t *q)
{
    ngx_user_admin_change_t  *change = q->data;

    ngx_uint_t           i, n, left;
    rush_str_t          *text;
    ngx_rush_param_t     params[12];
    ngx_user_subject_t  *s;

    static const char  *names[] = { "username", "mobile", "email",
                                    "nickname", "info", "signature" };

    s = &change->subject;

    if (s->status == NGX_USER_DELETED) {
        return RUSH_USER_STATE;
    }

    left = ngx_rush_given(q, "username") ? change->username.len
                                         : s->username;
    left += ngx_rush_given(q, "mobile") ? change->mobile.len : s->mobile;
    left += ngx_rush_given(q, "email") ? change->email.len : s->email;

    if (left == 0) {
        return ngx_rush_refuse(q, "username",
                               "one of username, mobile, email must be left");
    }

    /* the texts stand in the struct as their names do here */

    text = &change->username;

    for (i = 0, n = 0; i < sizeof(names) / sizeof(char *); i++, n++) {
        params[n] = ngx_rush_given(q, names[i]) ? ngx_rush_p_str(&text[i])
                                                : ngx_rush_p_null();
        if (i < 3) {
            params[n + 1] = params[n];
            n++;
        }
    }

    params[n++] = ngx_rush_p_int(ngx_rush_now_ms());
    params[n++] = ngx_rush_p_int(change->id);
    params[n++] = ngx_rush_p_int(s->version);

    return ngx_rush_query(q, ngx_user_stmt(ADMIN_CHANGE), params, n,
                          RUSH_USER_EXISTS);
}


static ngx_int_t
ngx_user_members_changed(ngx_rush_req_t *q)
{
    return (q->rows && q->rows->affected) ? NGX_OK : RUSH_CONFLICT;
}


static ngx_int_t
ngx_user_check_names(ngx_rush_req_t *q, rush_str_t *username,
    rush_str_t *mobile, rush_str_t *email)
{
    if (username->len && ngx_user_username(username) != NGX_OK) {
        return ngx_rush_refuse(q, "username",
                               "must be a letter, then letters, digits, "
                               "\"_\", \".\" or \"-\"");
    }

    if (mobile->len && ngx_user_mobile(mobile) != NGX_OK) {
        return ngx_rush_refuse(q, "mobile",
                               "must be 11 digits, or + and 7 to 15 digits");
    }

    if (email->len && !ngx_user_is_email(email)) {
        return ngx_rush_refuse(q, "email",
                               "must be an address as name@example.com");
    }

    return NGX_OK;
}


/* printable ASCII without blanks, one "@", a dot behind it */

static ngx_uint_t
ngx_user_is_email(rush_str_t *s)
{
    u_char  *at, *last;
    size_t   i;

    last = s->data + s->len;
    at = ngx_strlchr(s->data, last, '@');

    if (at == NULL || at == s->data || last - at < 4
        || ngx_strlchr(at + 1, last, '@') != NULL
        || ngx_strlchr(at + 2, last - 1, '.') == NULL)
    {
        return 0;
    }

    for (i = 0; i < s->len; i++) {

        if (s->data[i] <= ' ' || s->data[i] > '~') {
            return 0;
        }
    }

    return 1;
}
