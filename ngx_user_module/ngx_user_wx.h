
/*
 * Copyright (C) Rush
 *
 * Login by WeChat mini program: what is asked of WeChat, see rush_ask.h, and
 * the accounts that it opens.  Private to the user module.
 */


#ifndef _NGX_USER_WX_H_INCLUDED_
#define _NGX_USER_WX_H_INCLUDED_


#include "ngx_user_data.h"
#include "rush_ask.h"


#define NGX_USER_WX_ROUNDS     4        /* looks for an account, when others
                                           write it at the same time */
#define NGX_USER_POLL_FIRST    20       /* ms, then twice as many, */
#define NGX_USER_POLL_MOST     320      /* up to this */


typedef struct {
    rush_str_t            wx_key;       /* of the answer, "appid:openid" */
    rush_str_t            mobile;       /* normal form, or "" */
    ngx_msec_t            started;
    ngx_msec_t            pause;        /* before the next look */
    u_char                key[sizeof(RUSH_ANSWER_KEY) + RUSH_ASK_ID];
} ngx_user_ask_t;


typedef struct {
    ngx_user_flow_t       flow;
    ngx_user_ask_t        ask;
    rush_str_t            code;
    rush_str_t            phone_code;
    rush_str_t            iv;
    rush_str_t            encrypted_data;
    ngx_uint_t            rounds;
    unsigned              mine:1;       /* the number is of flow.user */
} ngx_user_wx_mini_auth_t;

typedef ngx_user_wx_mini_auth_t  ngx_user_wx_mini_bind_t;


typedef struct {
    ngx_user_t            user;
} ngx_user_wx_mini_unbind_t;


/* ngx_user_ask.c: four steps in this order, which make ask.wx_key */

ngx_int_t ngx_user_ask(ngx_rush_req_t *q);
ngx_int_t ngx_user_ask_wait(ngx_rush_req_t *q);
ngx_int_t ngx_user_ask_look(ngx_rush_req_t *q);
ngx_int_t ngx_user_ask_answered(ngx_rush_req_t *q);

/* the last step: the answer is good for no second login */
ngx_int_t ngx_user_ask_forget(ngx_rush_req_t *q);


extern ngx_rush_step_t  ngx_user_wx_mini_auth_steps[];
extern ngx_rush_step_t  ngx_user_wx_mini_bind_steps[];
extern ngx_rush_step_t  ngx_user_wx_mini_unbind_steps[];


#endif /* _NGX_USER_WX_H_INCLUDED_ */
