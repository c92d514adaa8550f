
/*
 * Copyright (C) Rush
 *
 * What belongs to a user: sessions, addresses, sponsor cards, figures,
 * export, the end of an account.  Private to the user module.
 *
 * Every statement names the user besides the object, so what is another
 * one's is not found.
 */


#ifndef _NGX_USER_DATA_H_INCLUDED_
#define _NGX_USER_DATA_H_INCLUDED_


#include "ngx_user_module.h"
#include "rush_address.h"


#define NGX_USER_ADDRESSES      20      /* a user may have */
#define NGX_USER_SPONSORS       50      /* as many as user_slot has rows */

#define NGX_USER_PAGE_SIZE      20

#define NGX_USER_FRESH_LOGIN    (10 * 60 * 1000)            /* ms */

#define NGX_USER_EXPORT_PAGE    200     /* rows of one statement */
#define NGX_USER_EXPORT_SESSIONS  5000  /* of one document, at most */
#define NGX_USER_EXPORT_ORDERS  5000

#define NGX_USER_ORDER_STATES   10
#define NGX_USER_BODY           16      /* fields of a body, at most */


typedef struct {
    int64_t               page;
    int64_t               page_size;
    int64_t               total;
} ngx_user_paged_t;

typedef ngx_user_paged_t  ngx_user_sessions_t;
typedef ngx_user_paged_t  ngx_user_addresses_t;
typedef ngx_user_paged_t  ngx_user_sponsors_t;


typedef struct {
    int64_t               id;
} ngx_user_object_t;

typedef ngx_user_object_t  ngx_user_session_end_t;
typedef ngx_user_object_t  ngx_user_address_remove_t;
typedef ngx_user_object_t  ngx_user_sponsor_t;
typedef ngx_user_object_t  ngx_user_sponsor_remove_t;


/* an address or a card that is added or changed; the first member */

typedef struct {
    int64_t               id;
    rush_str_t            idempotency_key;
    uint64_t              hash;         /* of what was given */
    ngx_uint_t            tries;
    unsigned              full:1;       /* no slot was free */
    unsigned              taken:1;      /* a unique key refused */
} ngx_user_item_t;


typedef struct {
    union {
        ngx_user_item_t   item;
        struct {                        /* what the fields name */
            int64_t       id;
            rush_str_t    idempotency_key;
        };
    };
    rush_str_t            receiver;
    rush_str_t            mobile;
    rush_str_t            province;
    rush_str_t            city;
    rush_str_t            district;
    rush_str_t            detail;
    rush_str_t            postcode;
    rush_str_t            tag;
    int64_t               is_default;
} ngx_user_address_add_t;

typedef ngx_user_address_add_t  ngx_user_address_change_t;


typedef struct {
    union {
        ngx_user_item_t   item;
        struct {
            int64_t       id;
            rush_str_t    idempotency_key;
        };
    };
    int64_t               type;
    int64_t               applet_type;
    rush_str_t            name;
    rush_str_t            desc;
    rush_str_t            avatar;
    rush_str_t            qr_code;
    rush_str_t            input_a;
    rush_str_t            input_b;
    int64_t               is_show;
} ngx_user_sponsor_add_t;

typedef ngx_user_sponsor_add_t  ngx_user_sponsor_change_t;


typedef struct {
    rush_str_t            text;
} ngx_user_address_parse_t;


typedef struct {
    int64_t               none;
} ngx_user_stats_t;


typedef struct {
    ngx_user_t            user;
    rush_buf_t            doc;          /* freed with the pool */
    rush_str_t            orders_after; /* the last one written */
    int64_t               session;      /* the same */
    ngx_uint_t            sessions;     /* written */
    ngx_uint_t            orders;       /* written */
    u_char                order_no[40];
} ngx_user_export_t;


typedef struct {
    ngx_user_flow_t       flow;
    rush_str_t            password;
    unsigned              gone:1;       /* no open account */
} ngx_user_close_t;


/* ngx_user_item.c: what addresses and cards have in common */

typedef void (*ngx_user_put_pt)(rush_buf_t *b, ngx_rush_rows_t *rows,
    ngx_uint_t row, ngx_uint_t is_default);

typedef struct {
    const rush_stmt_t    *insert;
    const rush_stmt_t    *by_id;
    const rush_stmt_t    *by_req;
    ngx_uint_t            hash;         /* column of them */
    ngx_uint_t            is_default;   /* the same */
    ngx_uint_t            place;        /* the last field is is_default */
    ngx_uint_t            slots;
    ngx_int_t             full;         /* code */
    ngx_user_put_pt       put;
} ngx_user_kind_t;

/* the steps that add one: they stand at 1 to 4 of the route's steps */

ngx_int_t ngx_user_insert_item(ngx_rush_req_t *q);
ngx_int_t ngx_user_item_inserted(ngx_rush_req_t *q);
ngx_int_t ngx_user_item_judged(ngx_rush_req_t *q);
ngx_int_t ngx_user_item_refused(ngx_rush_req_t *q);

/* a step that shows the row that was read */
ngx_int_t ngx_user_show_item(ngx_rush_req_t *q);

/* a step after a DELETE */
ngx_int_t ngx_user_item_removed(ngx_rush_req_t *q);

void ngx_user_take_place(ngx_rush_param_t *p, int64_t now);

/* parameters for the fields of the body, in their order; returns their
 * number, NULL stands for what was not given */
ngx_uint_t ngx_user_body(ngx_rush_req_t *q, ngx_rush_param_t *params);

/* statements with the parameters user, and user and id */
ngx_int_t ngx_user_query_mine(ngx_rush_req_t *q, const rush_stmt_t *stmt);
ngx_int_t ngx_user_query_item(ngx_rush_req_t *q, const rush_stmt_t *stmt,
    int64_t id);

/* one page of a list that was read as a whole */
void ngx_user_put_page(ngx_rush_req_t *q, ngx_user_put_pt put);
void ngx_user_page_defaults(ngx_user_paged_t *page);
void ngx_user_list_close(ngx_rush_req_t *q, ngx_user_paged_t *page);

#define ngx_user_cell(rows, row, col)                                         \
    ((rush_str_t *) ngx_rush_cell(rows, row, col))


/* ngx_user_address.c, ngx_user_sponsor.c */

void ngx_user_put_place(rush_buf_t *b, ngx_rush_rows_t *rows, ngx_uint_t row,
    ngx_uint_t is_default);
void ngx_user_put_card(rush_buf_t *b, ngx_rush_rows_t *rows, ngx_uint_t row,
    ngx_uint_t is_default);

extern const ngx_user_kind_t  ngx_user_address_kind;
extern const ngx_user_kind_t  ngx_user_sponsor_kind;


extern ngx_rush_step_t  ngx_user_sessions_steps[];
extern ngx_rush_step_t  ngx_user_session_end_steps[];
extern ngx_rush_step_t  ngx_user_addresses_steps[];
extern ngx_rush_step_t  ngx_user_address_add_steps[];
extern ngx_rush_step_t  ngx_user_address_change_steps[];
extern ngx_rush_step_t  ngx_user_address_remove_steps[];
extern ngx_rush_step_t  ngx_user_address_parse_steps[];
extern ngx_rush_step_t  ngx_user_sponsors_steps[];
extern ngx_rush_step_t  ngx_user_sponsor_add_steps[];
extern ngx_rush_step_t  ngx_user_sponsor_steps[];
extern ngx_rush_step_t  ngx_user_sponsor_change_steps[];
extern ngx_rush_step_t  ngx_user_sponsor_remove_steps[];
extern ngx_rush_step_t  ngx_user_stats_steps[];
extern ngx_rush_step_t  ngx_user_export_steps[];
extern ngx_rush_step_t  ngx_user_close_steps[];


#endif /* _NGX_USER_DATA_H_INCLUDED_ */
