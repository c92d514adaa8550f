
/*
 * Copyright (C) Rush
 *
 * Administration.  Who acts on another user must be allowed all that this
 * user is allowed, and can give only what he has: nobody becomes more by
 * making another, or himself, more.
 */


#ifndef _NGX_USER_ADMIN_H_INCLUDED_
#define _NGX_USER_ADMIN_H_INCLUDED_


#include "ngx_user_module.h"
#include "rush_list.h"


#define NGX_USER_DELETED      2         /* user.status */

#define NGX_USER_PAGE_SIZE    20


/* the user that an act is about, as far as acts look at it */

typedef struct {
    int64_t               status;
    int64_t               roles;
    int64_t               tokens;       /* version of its tokens */
    int64_t               version;      /* of the row */
    int64_t               ban_until_ms;
    int64_t               deleted_ms;
    int64_t               erased_ms;
    rush_str_t            ban_reason;   /* in r->pool */
    unsigned              username:1;   /* it has one */
    unsigned              mobile:1;
    unsigned              email:1;
    unsigned              done:1;       /* the act has changed the row */
    unsigned              ends:1;       /* and ended its tokens */
} ngx_user_subject_t;


/* the first members of each struct of a route with a user's {id} */

typedef struct {
    int64_t               id;
    ngx_user_subject_t    subject;
} ngx_user_admin_user_t;

typedef ngx_user_admin_user_t  ngx_user_admin_delete_t;
typedef ngx_user_admin_user_t  ngx_user_admin_restore_t;
typedef ngx_user_admin_user_t  ngx_user_admin_revoke_t;


typedef struct {
    int64_t               id;
    ngx_user_subject_t    subject;
    int64_t               until;
    rush_str_t            status;
    rush_str_t            reason;
} ngx_user_admin_status_t;


typedef struct {
    int64_t               id;
    ngx_user_subject_t    subject;
    int64_t               mask;
    int64_t               count;        /* of its roles */
    int64_t               may;          /* what they may */
    rush_str_t            roles;
} ngx_user_admin_roles_t;


typedef struct {
    int64_t               id;
    ngx_user_subject_t    subject;
    rush_str_t            username;
    rush_str_t            mobile;
    rush_str_t            email;
    rush_str_t            nickname;
    rush_str_t            info;
    rush_str_t            signature;
} ngx_user_admin_change_t;


typedef struct {
    ngx_user_flow_t       flow;
    int64_t               id;
    rush_str_t            username;
    rush_str_t            mobile;
    rush_str_t            email;
    rush_str_t            password;
    rush_str_t            nickname;
} ngx_user_admin_create_t;


typedef struct {
    int64_t               id;
    int64_t               role;
    int64_t               from;         /* ms */
    int64_t               to;
    int64_t               page;
    int64_t               page_size;
    int64_t               total;
    rush_str_t            username;
    rush_str_t            mobile;
    rush_str_t            email;
    rush_str_t            q;
    rush_str_t            pattern;      /* of LIKE, in r->pool */
    rush_str_t            status;
} ngx_user_admin_users_t;


typedef struct {
    rush_str_t            ids;
} ngx_user_admin_batch_t;


typedef struct {
    int64_t               id;
    int64_t               version;
    int64_t               mask;         /* of permissions */
    rush_str_t            name;
    rush_str_t            permissions;
    unsigned              done:1;
} ngx_user_role_change_t;

typedef ngx_user_role_change_t  ngx_user_role_list_t;
typedef ngx_user_role_change_t  ngx_user_role_create_t;
typedef ngx_user_role_change_t  ngx_user_role_delete_t;


typedef struct {
    int64_t               last_id;
    int64_t               page_size;
    int64_t               user_id;
    int64_t               act;
    int64_t               from;         /* ms */
    int64_t               to;
    rush_str_t            object;
    rush_str_t            route;
} ngx_user_audit_t;


/* ngx_user_admin_find.c */

/* one row of the admin_user* statements */
void ngx_user_admin_put(ngx_rush_req_t *q, ngx_uint_t row);

/* steps of routes with an {id}: the row, whether the caller may act on it,
 * the row again */
ngx_int_t ngx_user_read_subject(ngx_rush_req_t *q);
ngx_int_t ngx_user_subject_read(ngx_rush_req_t *q);
ngx_int_t ngx_user_show_subject(ngx_rush_req_t *q);

/* a mask as an array of the numbers (from 1) of its bits */
void ngx_user_put_roles(rush_buf_t *b, int64_t roles);

/* RUSH_OK or FORBIDDEN: does the caller have all of these permissions */
ngx_int_t ngx_user_covers(ngx_rush_req_t *q, int64_t permissions);


extern ngx_rush_step_t  ngx_user_admin_users_steps[];
extern ngx_rush_step_t  ngx_user_admin_batch_steps[];
extern ngx_rush_step_t  ngx_user_admin_create_steps[];
extern ngx_rush_step_t  ngx_user_admin_user_steps[];
extern ngx_rush_step_t  ngx_user_admin_change_steps[];
extern ngx_rush_step_t  ngx_user_admin_delete_steps[];
extern ngx_rush_step_t  ngx_user_admin_restore_steps[];
extern ngx_rush_step_t  ngx_user_admin_status_steps[];
extern ngx_rush_step_t  ngx_user_admin_roles_steps[];
extern ngx_rush_step_t  ngx_user_admin_revoke_steps[];
extern ngx_rush_step_t  ngx_user_role_list_steps[];
extern ngx_rush_step_t  ngx_user_role_create_steps[];
extern ngx_rush_step_t  ngx_user_role_change_steps[];
extern ngx_rush_step_t  ngx_user_role_delete_steps[];
extern ngx_rush_step_t  ngx_user_audit_steps[];


#endif /* _NGX_USER_ADMIN_H_INCLUDED_ */
