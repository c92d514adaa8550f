
/*
 * Copyright (C) Rush
 *
 * Private to the user module (nginx has an ngx_user.h of its own).
 *
 * An access token carries the version of its user and the id of its session;
 * it ends with either.  A refresh token is 16 random bytes that all tokens of
 * a session share (the family) and 16 that are its own.  MySQL keeps SHA-256
 * of the family and of the newest token: whoever shows the right family with
 * another token uses one that was traded before, and the session ends.
 */


#ifndef _NGX_USER_MODULE_H_INCLUDED_
#define _NGX_USER_MODULE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_rush.h"
#include "ngx_rush_mysql.h"
#include "ngx_rush_shm.h"
#include "rush_password.h"

#include "ngx_user_code.h"
#include "ngx_user_sql.h"


#define NGX_USER_ACTIVE         0       /* user.status */
#define NGX_USER_BANNED         1

#define NGX_USER_PASSWORD_MIN   8       /* bytes */

/*
 * After so many wrong passwords the next one is looked at only after a wait,
 * which doubles with each: 1 s, 2 s, ... 1024 s at most.  Nobody is locked
 * out: a code opens at any time and forgives all.
 */
#define NGX_USER_FREE_TRIES     5
#define NGX_USER_MAX_DOUBLINGS  10
#define NGX_USER_MAX_WAIT       (15 * 60 * 1000)            /* ms */
#define NGX_USER_TRY_MEMORY     (24 * 3600 * 1000LL)        /* ms */

#define NGX_USER_MOBILE_RULE    "must be 11 digits, or + and 7 to 15 digits"
#define NGX_USER_EMAIL_RULE     "must be an address as name@example.com"

/* refreshing does not keep a session for longer than this */
#define NGX_USER_FAMILY_LIFE    (90 * 24 * 3600 * 1000LL)   /* ms */

#define NGX_USER_HALF_LEN       16      /* bytes of the family, of the rest */
#define NGX_USER_REFRESH_LEN    43      /* base64url of both */
#define NGX_USER_HASH_LEN       64      /* hex SHA-256 */
#define NGX_USER_AGENT_LEN      200


typedef struct {                        /* what "user_wechat_limit" sets */
    ngx_int_t             address;      /* asks a minute; 0: any number */
    ngx_int_t             waiting;      /* asks of all workers */
} ngx_user_wx_limit_t;


typedef struct {
    time_t                access_ttl;   /* s, the longest of all locations */
} ngx_user_main_conf_t;


typedef struct {
    ngx_int_t             bcrypt_cost;
    time_t                access_ttl;   /* s */
    time_t                refresh_ttl;  /* s */
    ngx_flag_t            verify;
    ngx_user_code_limit_t code_limit;
    ngx_user_wx_limit_t   wx_limit;
} ngx_user_loc_conf_t;


typedef struct {                        /* a row of user, in r->pool */
    rush_str_t            username;
    rush_str_t            mobile;
    rush_str_t            email;
    rush_str_t            nickname;
    rush_str_t            avatar;
    rush_str_t            info;
    rush_str_t            signature;
    rush_str_t            location_name;
    rush_str_t            longitude;
    rush_str_t            latitude;
    rush_str_t            hash;         /* of the password */
    rush_str_t            wx_key;       /* "appid:openid" */
    int64_t               id;           /* 0: no such account */
    int64_t               sex;
    int64_t               roles;        /* mask, bit id - 1 */
    int64_t               status;
    int64_t               version;      /* of its tokens */
    int64_t               fail_ms;      /* the last wrong password */
    int64_t               created_ms;
    int64_t               fails;        /* wrong passwords in a row */
} ngx_user_t;


typedef struct {
    int64_t               id;
    u_char                token[NGX_USER_REFRESH_LEN];
    u_char                hash[NGX_USER_HASH_LEN];      /* of the token */
    u_char                family[NGX_USER_HASH_LEN];
} ngx_user_session_t;


/* what the shared steps work on; the first member of q->data */

typedef struct {
    ngx_user_t            user;
    ngx_user_session_t    session;
    rush_password_t       secret;       /* no password while a step waits */
    ngx_user_proof_t      proof;
    unsigned              counted:1;    /* a try that was not judged yet */
    unsigned              proved:1;     /* no password is asked for */
} ngx_user_flow_t;


typedef struct {
    ngx_user_flow_t       flow;
    rush_str_t            username;
    rush_str_t            mobile;
    rush_str_t            email;
    rush_str_t            password;
    rush_str_t            code;
    rush_str_t            ticket;
    rush_str_t            nickname;
    rush_str_t            idempotency_key;
} ngx_user_register_t;


typedef struct {
    ngx_user_flow_t       flow;
    rush_str_t            account;
    rush_str_t            username;
    rush_str_t            mobile;
    rush_str_t            email;
    rush_str_t            password;
    rush_str_t            code;
    rush_str_t            ticket;
    rush_str_t            idempotency_key;
} ngx_user_login_t;


typedef struct {
    int64_t               all;
} ngx_user_logout_t;


typedef struct {
    ngx_user_flow_t       flow;
    rush_str_t            refresh_token;
    u_char                half[NGX_USER_HALF_LEN];      /* the family */
    u_char                hash[NGX_USER_HASH_LEN];      /* as sent */
    unsigned              reused:1;
} ngx_user_refresh_t;


typedef struct {
    ngx_user_t            user;
} ngx_user_profile_t;


typedef struct {
    ngx_user_t            user;
    int64_t               sex;
    rush_str_t            nickname;
    rush_str_t            avatar;
    rush_str_t            info;
    rush_str_t            signature;
    rush_str_t            location_name;
    rush_str_t            longitude;
    rush_str_t            latitude;
} ngx_user_change_t;


typedef struct {
    ngx_user_flow_t       flow;
    rush_str_t            old_password;
    rush_str_t            new_password;
} ngx_user_password_t;


typedef struct {
    ngx_user_flow_t       flow;
    rush_str_t            ticket;
    rush_str_t            new_password;
} ngx_user_reset_t;


typedef struct {
    ngx_user_flow_t       flow;
    rush_str_t            ticket;
    rush_str_t            password;
    unsigned              there:1;      /* it is bound already */
    unsigned              other:1;      /* another one is replaced */
} ngx_user_bind_t;


/* ngx_user_login.c: steps that other flows share */

ngx_int_t ngx_user_count_try(ngx_rush_req_t *q);
ngx_int_t ngx_user_try_counted(ngx_rush_req_t *q);

/* bring both forms of one account together: case, country code.  NGX_OK,
 * or NGX_DECLINED for what can be no such name */
ngx_int_t ngx_user_username(rush_str_t *s);
ngx_int_t ngx_user_mobile(rush_str_t *s);
ngx_int_t ngx_user_ascii(rush_str_t *s);
ngx_int_t ngx_user_email(rush_str_t *s);

/* the statement that finds an account by it */
const rush_stmt_t *ngx_user_by_target(ngx_user_target_t *target);


/* ngx_user_register.c: for an account that has none */
ngx_int_t ngx_user_give_nickname(ngx_rush_req_t *q, ngx_user_t *u);


/* ngx_user_token.c */

ngx_int_t ngx_user_open_session(ngx_rush_req_t *q);
ngx_int_t ngx_user_session_opened(ngx_rush_req_t *q);

/* writes the members of "tokens" into the object that is open */
ngx_int_t ngx_user_put_tokens(ngx_rush_req_t *q, ngx_user_flow_t *flow);


/* ngx_user_profile.c */

/* copies the only row of a user_by_* statement; NGX_DECLINED: there is none */
ngx_int_t ngx_user_load(ngx_rush_req_t *q, ngx_user_t *u);
void ngx_user_put(rush_buf_t *b, const char *key, ngx_user_t *u);

/* the same members, masked */
void ngx_user_put_mobile(rush_buf_t *b, rush_str_t *s);
void ngx_user_put_email(rush_buf_t *b, rush_str_t *s);

/* of a picture: http, https or a path; or "" */
ngx_uint_t ngx_user_is_address(rush_str_t *s);


/* ngx_user_password.c */

/* NGX_OK, or WEAK_PASSWORD with its reason in q->out */
ngx_int_t ngx_user_check_policy(ngx_rush_req_t *q, rush_str_t *password,
    ngx_user_t *u);

/* operations of a step, in the thread pool; the password is wiped where it
 * was read.  stored NULL or empty: there is no such account, or it has no
 * password; takes the same time */
ngx_int_t ngx_user_hash(ngx_rush_req_t *q, rush_str_t *password);
ngx_int_t ngx_user_verify(ngx_rush_req_t *q, rush_str_t *password,
    rush_str_t *stored);

/* takes a try back: the password was right, or nobody looked at it */
void ngx_user_uncount(ngx_user_flow_t *flow);

/* stores u->hash and ends all sessions: the operation of a step, and what the
 * next one does */
ngx_int_t ngx_user_set_password(ngx_rush_req_t *q, ngx_user_t *u);
ngx_int_t ngx_user_password_set(ngx_rush_req_t *q, ngx_user_t *u);

/* the hash in flow->user.hash; whether the password was right */
ngx_int_t ngx_user_take_hash(ngx_rush_req_t *q);
ngx_int_t ngx_user_verified(ngx_rush_req_t *q, ngx_int_t wrong);


extern ngx_rush_step_t  ngx_user_register_steps[];
extern ngx_rush_step_t  ngx_user_login_steps[];
extern ngx_rush_step_t  ngx_user_logout_steps[];
extern ngx_rush_step_t  ngx_user_profile_steps[];
extern ngx_rush_step_t  ngx_user_change_steps[];
extern ngx_rush_step_t  ngx_user_password_steps[];
extern ngx_rush_step_t  ngx_user_refresh_steps[];
extern ngx_rush_step_t  ngx_user_reset_steps[];
extern ngx_rush_step_t  ngx_user_bind_steps[];

extern ngx_module_t  ngx_http_user_module;


#define ngx_user_stmt(name)  (&ngx_user_sql[NGX_USER_SQL_##name])


#endif /* _NGX_USER_MODULE_H_INCLUDED_ */
