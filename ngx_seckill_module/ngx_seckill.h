
/*
 * Copyright (C) Rush
 *
 * Private to the seckill module: input of the routes, activity slots in
 * shared memory, what the files call of each other.
 */


#ifndef _NGX_SECKILL_H_INCLUDED_
#define _NGX_SECKILL_H_INCLUDED_


#include "ngx_rush.h"
#include "ngx_rush_redis.h"
#include "ngx_rush_mysql.h"
#include "ngx_rush_shm.h"
#include "rush_id.h"
#include "rush_wxpay.h"
#include "rush_order.h"
#include "rush_stream.h"
#include "ngx_seckill_api.h"
#include "ngx_seckill_pay_data.h"
#include "ngx_seckill_sql.h"
#include "rush_lua.h"


#define NGX_SECKILL_CURRENCY      "CNY"

/* seckill_activity.status */
#define NGX_SECKILL_DRAFT         0
#define NGX_SECKILL_ONLINE        1
#define NGX_SECKILL_IS_PAUSED     2
#define NGX_SECKILL_OFFLINE       3

/* state a client sees */
#define NGX_SECKILL_NOT_STARTED   0
#define NGX_SECKILL_RUNNING       1
#define NGX_SECKILL_PAUSED        2
#define NGX_SECKILL_SOLD_OUT      3
#define NGX_SECKILL_ENDED         4
#define NGX_SECKILL_STATES        5


/* --- activity slots (ngx_seckill_slot.c) --- */

#define NGX_SECKILL_TTL        1000     /* ms from probe to probe, sold out */
#define NGX_SECKILL_WINDOW     100      /* ms of one admission budget */
#define NGX_SECKILL_JSON       4096     /* bytes of the rendered part */

/*
 * One activity.  The words of the first line are hot: each is read and
 * changed alone.  The definition changes rarely; words of it are read alone
 * too, the JSON under a sequence counter (odd while it is written).  A wrong
 * mixture can only refuse wrongly for one refresh, never grant.
 */

typedef struct {
    ngx_atomic_t           id;          /* 0: free */
    ngx_atomic_t           epoch;       /* 0: not loaded into Redis */
    ngx_atomic_t           remain;      /* hint, units */
    ngx_atomic_t           rver;        /* of that hint */
    ngx_atomic_t           soldout;     /* ms: none left since, or 0 */
    ngx_atomic_t           window;      /* number of the budget window */
    ngx_atomic_t           used;        /* admitted in it */
    ngx_atomic_t           probe;       /* ms of the last probe */

    ngx_atomic_t           start;       /* ms */
    ngx_atomic_t           stop;        /* ms */
    ngx_atomic_t           status;      /* NGX_SECKILL_ONLINE, ... */
    ngx_atomic_t           limit;       /* units a buyer may hold */
    ngx_atomic_t           total;
    ngx_atomic_t           product;
    ngx_atomic_t           rev;
    ngx_atomic_t           seen;        /* refresh that saw it last */

    ngx_atomic_t           seq;
    ngx_atomic_t           json_len;
    ngx_atomic_t           spare[14];
    u_char                 json[NGX_SECKILL_JSON];  /* members, no braces */
} ngx_seckill_slot_t;


typedef struct {
    ngx_atomic_t           catalog;     /* lease: reads MySQL */
    ngx_atomic_t           stock;       /* lease: reads Redis */
    ngx_atomic_t           round;       /* of the catalog */
    ngx_atomic_t           catalog_ms;  /* when MySQL answered last */
    ngx_atomic_t           stock_ms;    /* when Redis answered last */
    ngx_atomic_t           gate;        /* 1: buy.lua is loaded */
    ngx_atomic_t           beat_ms;     /* last sign of life of a consumer */
    ngx_atomic_t           capacity;    /* slots */
    ngx_atomic_t           full;        /* activities that found no slot */
    ngx_atomic_t           fill;        /* lease: writes slots */
    ngx_atomic_t           looked;      /* round whose slots Redis has filled,
                                           0: none yet */
    ngx_atomic_t           selling;     /* the red switch, 0: not known */
    ngx_atomic_t           switch_msec; /* when MySQL was asked for it */
    ngx_atomic_t           spare[3];
    ngx_seckill_slot_t     slots[1];
} ngx_seckill_shm_t;


typedef struct {
    size_t                 zone;        /* bytes */
    ngx_uint_t             nodes;       /* nginx nodes on one Redis */
    ngx_uint_t             admit_min;   /* least budget of a window */
    ngx_msec_t             skew;        /* tolerated between clocks */
    ngx_msec_t             deadline;    /* of a buy, ms */
    ngx_uint_t             pay_channels;    /* bit n: RUSH_CHANNEL_... n */
    struct ngx_seckill_notice_conf_s  *notice;  /* ngx_seckill_notice.h */
    ngx_uint_t             order_backlog;   /* ordinary orders that wait */
    ngx_uint_t             redeem_limit;    /* tries of one administrator a
                                               minute, 0: any number */
    ngx_rush_rate_t        redeem_rate;
} ngx_seckill_main_conf_t;


extern ngx_module_t              ngx_http_seckill_module;
extern ngx_seckill_main_conf_t  *ngx_seckill_conf;     /* of this process */
extern ngx_seckill_shm_t        *ngx_seckill_shm;

ngx_int_t ngx_seckill_zone(ngx_conf_t *cf, size_t size);
void ngx_seckill_slot_init(void);       /* finds the zone in this process */
ngx_seckill_slot_t *ngx_seckill_find_slot(int64_t id);

/* what to say without a slot: a zone that was never filled proves nothing */
#define ngx_seckill_no_slot()                                                 \
    (ngx_seckill_shm->catalog_ms ? RUSH_NOT_FOUND : RUSH_BUSY)

/* for the refresh: a slot for an activity, NULL when the zone is full */
ngx_seckill_slot_t *ngx_seckill_take_slot(int64_t id);
void ngx_seckill_publish(ngx_seckill_slot_t *slot, u_char *json, size_t len);

/* copies the JSON to dst (NGX_SECKILL_JSON bytes), returns its length; 0: it
 * is being written */
size_t ngx_seckill_read_json(ngx_seckill_slot_t *slot, u_char *dst);

/* slots in use, by start; rebuilt once a refresh; borrowed until then */
ngx_seckill_slot_t **ngx_seckill_sorted(ngx_uint_t *n);

/* NGX_OK: ask Redis; else the refusal to answer */
ngx_int_t ngx_seckill_admit(ngx_seckill_slot_t *slot, int64_t now,
    ngx_uint_t retry);

/* what a reply of buy.lua or a refresh tells */
void ngx_seckill_learn(ngx_seckill_slot_t *slot, int64_t epoch,
    int64_t remain, int64_t rver, int64_t now);

ngx_uint_t ngx_seckill_state(ngx_seckill_slot_t *slot, int64_t now);

/* units left, as clients are told (ngx_seckill_activity.c) */
int64_t ngx_seckill_left(ngx_seckill_slot_t *slot, int64_t now);
extern const char  *ngx_seckill_state_names[NGX_SECKILL_STATES];

/* ms of the event loop's clock */
#define ngx_seckill_now()                                                     \
    ((int64_t) ngx_time() * 1000 + (int64_t) ngx_timeofday()->msec)


/* --- refresh (ngx_seckill_refresh.c) --- */

ngx_int_t ngx_seckill_refresh_init(ngx_cycle_t *cycle);
ngx_int_t ngx_seckill_ready(rush_buf_t *b);
void ngx_seckill_metrics(rush_buf_t *b);


/* --- event streams (ngx_seckill_events.c) --- */

ngx_int_t ngx_seckill_events_init(ngx_cycle_t *cycle);
ngx_int_t ngx_seckill_log_zone(ngx_conf_t *cf);


/* --- batches of buyers (ngx_seckill_batch.c) --- */

typedef struct {
    ngx_rush_op_t          op;          /* op.q NULL: the client has left */
    int64_t                order_id;
    int64_t                activity;
    u_char                 user[20];
    u_char                 qty[12];
    u_char                 order_no[RUSH_ORDER_NO_LEN];
    u_char                 req[RUSH_REQ_MAX];
    uint8_t                user_len;
    uint8_t                qty_len;
    uint8_t                order_no_len;
    uint8_t                req_len;
    unsigned               keyed:1;     /* the client made the id: a refusal
                                           must be kept */
    unsigned               again:1;     /* was sent with an old epoch once */
} ngx_seckill_buyer_t;

ngx_int_t ngx_seckill_batch_init(ngx_cycle_t *cycle);

/* as many buyers of the slot wait for an answer as may */
ngx_uint_t ngx_seckill_batch_is_full(ngx_seckill_slot_t *slot);

/* a place in the open batch of the slot; NULL: no memory */
ngx_seckill_buyer_t *ngx_seckill_batch_add(ngx_seckill_slot_t *slot);

/* the batch's answer for one buyer (ngx_seckill_buy.c): code of buy.lua or
 * a class of outcome, then the request goes on */
void ngx_seckill_buy_finish(ngx_seckill_buyer_t *buyer, ngx_int_t code,
    rush_str_t *order_no, rush_outcome_e outcome);

extern u_char  ngx_seckill_sha[RUSH_LUA_COUNT][40];


/* --- paging --- */

#define NGX_SECKILL_PAGE_SIZE  20       /* when the client does not say */


/* --- input of the routes, filled by the core from ngx_seckill_api.h --- */

typedef struct {
    ngx_str_t           state;
    int64_t             page;
    int64_t             page_size;
} ngx_seckill_activity_list_t;

typedef struct {
    int64_t             id;
} ngx_seckill_activity_detail_t;

typedef struct {
    int64_t             id;
    int64_t             mine;
} ngx_seckill_activity_status_t;

typedef ngx_seckill_activity_detail_t  ngx_seckill_activity_stock_t;


typedef struct {
    int64_t             product_id;
    int64_t             stock;
    int64_t             price;
    int64_t             limit_per_user;
} ngx_seckill_init_t;

typedef struct {
    ngx_str_t           order_no;
    int64_t             order_id;       /* parts of order_no */
    int64_t             activity;
    ngx_uint_t          again;          /* Redis was asked */
} ngx_seckill_result_t;

typedef struct {
    ngx_str_t           request_id;
    int64_t             activity_id;
    ngx_uint_t          settled;        /* settle.lua was asked */
} ngx_seckill_request_t;

typedef struct {
    int64_t             status;
    ngx_str_t           kind;
    int64_t             since;          /* ms */
    int64_t             until;
    ngx_str_t           last_id;
    int64_t             page;
    int64_t             page_size;
    int64_t             total;          /* rows, counted first */
} ngx_seckill_order_list_t;

typedef ngx_seckill_order_list_t      ngx_seckill_mine_t;

typedef struct {
    int64_t             page;
    int64_t             page_size;
    ngx_str_t           category;
    ngx_str_t           keyword;
    ngx_str_t           sort;

    ngx_str_t           key;            /* of the cache */
    ngx_str_t           like;           /* pattern of keyword */
    ngx_uint_t          order;          /* 0 new, 1 cheap, 2 dear first */
    ngx_uint_t          loading;        /* MySQL is asked by this request */
    int64_t             total;
} ngx_seckill_product_list_t;

typedef struct {
    int64_t             id;

    ngx_str_t           key;            /* of the cache, in text */
    ngx_uint_t          loading;        /* MySQL is asked by this request */
    u_char              text[64];
} ngx_seckill_product_detail_t;

typedef ngx_seckill_product_detail_t  ngx_seckill_product_stock_t;

typedef struct {
    ngx_str_t           title;
    ngx_str_t           description;
    ngx_str_t           image;
    ngx_str_t           category;
    int64_t             price;
    int64_t             stock;
    int64_t             status;
} ngx_seckill_product_create_t;

/* what reads an object back finds its id in front */

typedef struct {
    int64_t             id;
    ngx_uint_t          missed;         /* no row was changed */
    ngx_str_t           title;
    ngx_str_t           description;
    ngx_str_t           image;
    ngx_str_t           category;
    int64_t             price;
    int64_t             status;
    int64_t             version;
} ngx_seckill_product_update_t;

typedef ngx_seckill_activity_detail_t  ngx_seckill_product_delete_t;

typedef struct {
    int64_t             id;
    int64_t             stock;
    int64_t             delta;
    ngx_str_t           reason;
} ngx_seckill_product_adjust_t;

typedef struct {
    int64_t             status;
    int64_t             page;
    int64_t             page_size;

    int64_t             total;          /* rows, counted first */
} ngx_seckill_admin_list_t;

typedef struct {
    int64_t             product_id;
    ngx_str_t           title;
    int64_t             price;
    int64_t             start_at;
    int64_t             end_at;
    int64_t             total;
    int64_t             limit_per_user;
    int64_t             pay_seconds;
    int64_t             online;
} ngx_seckill_admin_create_t;

typedef ngx_seckill_activity_detail_t  ngx_seckill_admin_get_t;

typedef struct {
    int64_t             id;
    int64_t             product_id;
    ngx_str_t           title;
    int64_t             price;
    int64_t             start_at;
    int64_t             end_at;
    int64_t             limit_per_user;
    int64_t             pay_seconds;
    int64_t             total;

    int64_t             rev;            /* the one that was looked at */
    ngx_uint_t          missed;         /* no row was changed */
} ngx_seckill_admin_update_t;

typedef ngx_seckill_activity_detail_t  ngx_seckill_admin_delete_t;

typedef struct {
    int64_t             id;

    ngx_uint_t          missed;         /* no row was changed */
} ngx_seckill_admin_online_t;

typedef ngx_seckill_admin_online_t    ngx_seckill_admin_offline_t;

typedef ngx_seckill_admin_online_t    ngx_seckill_admin_pause_t;

typedef ngx_seckill_admin_online_t    ngx_seckill_admin_resume_t;

typedef ngx_seckill_admin_online_t    ngx_seckill_admin_warmup_t;

typedef struct {
    int64_t             id;
    int64_t             delta;
    ngx_str_t           reason;

    int64_t             op;             /* id of the change */
} ngx_seckill_admin_stock_t;

typedef struct {                        /* units */
    int64_t             total;
    int64_t             sold;
    int64_t             held;
    int64_t             paid;
    int64_t             returning;      /* cancelled, still counted in sold */
    int64_t             returned;
    int64_t             remain;         /* in Redis, -1: not loaded */
    int64_t             epoch;
    int64_t             pending;        /* stream entries */
} ngx_seckill_books_t;

typedef struct {
    int64_t             id;

    ngx_seckill_books_t books;
} ngx_seckill_admin_availability_t;

typedef struct {
    int64_t             id;
    ngx_seckill_books_t books;          /* where availability has them */

    ngx_str_t           mode;
    int64_t             dry_run;
    ngx_uint_t          repair;
} ngx_seckill_admin_reconcile_t;

typedef struct {
    ngx_str_t           id;
    int64_t             order_id;       /* parts of id */
    int64_t             activity;
    ngx_uint_t          again;          /* Redis was asked */
} ngx_seckill_order_detail_t;

typedef ngx_seckill_order_detail_t    ngx_seckill_order_cancel_t;

typedef ngx_seckill_order_detail_t    ngx_seckill_order_confirm_t;

typedef ngx_seckill_order_detail_t    ngx_seckill_order_hide_t;

typedef struct {
    int64_t             product_id;
    int64_t             quantity;
    int64_t             address_id;
    ngx_str_t           remark;

    ngx_str_t           req;            /* id of this request */
    int64_t             hash;           /* of what it says */
    ngx_uint_t          refused;        /* a code, if it is a new one */
    ngx_uint_t          replayed;
    u_char              order_no[RUSH_ORDER_NO_LEN];
    size_t              order_no_len;
} ngx_seckill_order_place_t;

typedef struct {
    int64_t             status;
    ngx_str_t           kind;
    int64_t             user_id;
    int64_t             product_id;
    int64_t             activity_id;
    int64_t             since;          /* ms */
    int64_t             until;
    ngx_str_t           last_id;
    ngx_str_t           export;
    int64_t             page;
    int64_t             page_size;
    int64_t             total_rows;     /* counted first */
    void               *csv;            /* of an export */
} ngx_seckill_admin_order_list_t;

typedef ngx_seckill_order_detail_t    ngx_seckill_admin_order_detail_t;

typedef struct {
    ngx_str_t           id;
    ngx_str_t           status;
    ngx_str_t           reason;
    int64_t             version;

    int64_t             to;             /* number of status */
    ngx_uint_t          missed;         /* no row was changed */
} ngx_seckill_admin_order_status_t;

typedef struct {
    ngx_str_t           id;
    ngx_str_t           carrier;
    ngx_str_t           number;
    int64_t             version;

    ngx_uint_t          missed;         /* no row was changed */
} ngx_seckill_admin_order_ship_t;

typedef struct {
    ngx_str_t           trade_code;     /* wiped */

    ngx_uint_t          missed;         /* no row was changed */
    u_char              code[RUSH_TRADE_LEN];          /* wiped */
} ngx_seckill_admin_order_redeem_t;

typedef struct {
    int64_t             id;
    ngx_str_t           last_event_id;
} ngx_seckill_activity_events_t;

typedef struct {
    ngx_str_t           id;
    ngx_str_t           last_event_id;
    int64_t             order_id;       /* parts of id */
    int64_t             activity;
    ngx_uint_t          again;          /* Redis was asked */
} ngx_seckill_order_events_t;

typedef struct {                        /* the same with another name */
    ngx_str_t           order_no;
    ngx_str_t           last_event_id;
    int64_t             order_id;
    int64_t             activity;
    ngx_uint_t          again;
} ngx_seckill_result_events_t;

typedef struct {
    int64_t             id;             /* one of the two is given */
    int64_t             product_id;
    int64_t             quantity;
    int64_t             retry;
    ngx_str_t           idempotency_key;

    ngx_seckill_slot_t *slot;           /* found on the way */
    ngx_str_t           req;            /* id of this request */
    ngx_uint_t          replayed;
    u_char              order_no[RUSH_ORDER_NO_LEN];
    size_t              order_no_len;
} ngx_seckill_buy_t;

typedef ngx_seckill_buy_t             ngx_seckill_buy_product_t;


typedef struct {
    rush_wxpay_seal_t   seal;
    const rush_rsa_t   *key;            /* NULL: not found yet */
    int64_t             now;            /* ms, when it came */
    ngx_uint_t          slept;          /* somebody else asks for the key */
} ngx_seckill_callback_wechat_t;

typedef ngx_seckill_callback_wechat_t  ngx_seckill_callback_wechat_refund_t;

typedef ngx_seckill_callback_wechat_t  ngx_seckill_wechat_notify_t;

typedef struct {
    ngx_uint_t          none;
} ngx_seckill_callback_alipay_t;


/* --- steps of all routes --- */

#define NGX_SECKILL_STEPS_DECL(x, name, method, path, auth, limit, flags,     \
    shape, schema, text)                                                      \
    extern ngx_rush_step_t  ngx_seckill_##name##_steps[];

NGX_SECKILL_ROUTES(NGX_SECKILL_STEPS_DECL)


#include "ngx_seckill_ops.h"


#endif /* _NGX_SECKILL_H_INCLUDED_ */
