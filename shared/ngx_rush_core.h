
/*
 * Copyright (C) Rush
 *
 * Private to the core module: its configuration and what its files share.
 */


#ifndef _NGX_RUSH_CORE_H_INCLUDED_
#define _NGX_RUSH_CORE_H_INCLUDED_


#include "ngx_rush.h"
#include "ngx_rush_redis.h"
#include "ngx_rush_mysql.h"
#include "ngx_rush_shm.h"


#define NGX_RUSH_MAX_PARAMS  4          /* {names} in one path */
#define NGX_RUSH_MAX_BODY    65536      /* bytes */


typedef struct ngx_rush_node_s  ngx_rush_node_t;


typedef struct {                        /* what the router knows of a route */
    ngx_rush_route_t      *route;
    ngx_uint_t             param[NGX_RUSH_MAX_PARAMS];  /* row of fields */
    ngx_uint_t             nparams;
    unsigned               body:1;      /* has rows of that place */
    unsigned               query:1;
    unsigned               header:1;
} ngx_rush_entry_t;


typedef struct {
    ngx_rush_entry_t      *entry;       /* NULL: no such route */
    ngx_uint_t             methods;     /* others of this path, for Allow */
    ngx_str_t              param[NGX_RUSH_MAX_PARAMS];  /* borrowed, uri */
} ngx_rush_match_t;


typedef struct {
    ngx_rush_route_t      *routes;
    ngx_uint_t             n;
} ngx_rush_table_t;


typedef struct {                        /* "rush_events" */
    ngx_uint_t             max;         /* listeners of a worker */
    ngx_uint_t             user;        /* of one user */
    ngx_uint_t             address;     /* of one address */
    ngx_msec_t             heartbeat;
    ngx_msec_t             lifetime;
    ngx_msec_t             stall;       /* until a slow one is closed */
} ngx_rush_events_conf_t;


typedef struct {
    ngx_array_t            tables;      /* ngx_rush_table_t; index: API bit */
    ngx_rush_node_t       *router;
    ngx_rush_entry_t      *entries;     /* index: route->index */
    ngx_uint_t             nroutes;
    ngx_uint_t             used;        /* API bits of all locations */

    ngx_rush_redis_conf_t  redis;
    ngx_rush_mysql_conf_t  mysql;
    ngx_thread_pool_t     *thread_pool;
    rush_jwt_t            *jwt;
    rush_seal_t           *seal;        /* NULL: none */
    ngx_int_t              node_id;
    ngx_msec_t             idem_lock;
    ngx_msec_t             idem_keep;
    ngx_array_t           *internal;    /* ngx_cidr_t */
    ngx_rush_events_conf_t events;

    size_t                 limit_zone;
    size_t                 cache_zone;
    size_t                 revoke_zone;
    size_t                 stats_zone;
} ngx_rush_main_conf_t;


typedef struct {
    ngx_uint_t             apis;        /* bits of tables; not inherited */
    ngx_rush_rate_t        limits[NGX_RUSH_LIMIT_CLASSES];
} ngx_rush_loc_conf_t;


extern rush_random_t  ngx_rush_random;

ngx_int_t ngx_rush_handler(ngx_http_request_t *r);
ngx_int_t ngx_rush_error_handler(ngx_http_request_t *r);

ngx_int_t ngx_rush_compile_routes(ngx_conf_t *cf, ngx_rush_main_conf_t *mcf);
void ngx_rush_route_init(ngx_rush_main_conf_t *mcf);
void ngx_rush_find_route(ngx_rush_main_conf_t *mcf, ngx_uint_t apis,
    ngx_http_request_t *r, ngx_rush_match_t *match);
ngx_str_t *ngx_rush_route_name(ngx_uint_t index);
ngx_uint_t ngx_rush_route_count(void);

/* RUSH_OK or the code to answer */
ngx_int_t ngx_rush_admit(ngx_rush_req_t *q, ngx_rush_loc_conf_t *lcf,
    ngx_rush_main_conf_t *mcf);

void ngx_rush_reply(ngx_rush_req_t *q, ngx_int_t rc);
ngx_uint_t ngx_rush_reply_status(ngx_int_t rc);
void ngx_rush_reply_data(ngx_rush_req_t *q, ngx_str_t *data);

/* trace id, caching, and what the status needs */
ngx_int_t ngx_rush_reply_headers(ngx_rush_req_t *q, ngx_uint_t status);

/* input (ngx_rush_input.c): RUSH_OK or the code to answer */
ngx_int_t ngx_rush_parse(ngx_rush_req_t *q, ngx_rush_match_t *match);
ngx_int_t ngx_rush_check_body(ngx_rush_req_t *q);
ngx_int_t ngx_rush_parse_body(ngx_rush_req_t *q);

/* RUSH_OK, or BAD_REQUEST naming the first required field not given */
ngx_int_t ngx_rush_missing(ngx_rush_req_t *q);

/* a header's value, without the quotes of a structured field */
ngx_int_t ngx_rush_header_item(ngx_http_request_t *r, const char *lowcase,
    size_t len, ngx_str_t *value);

#define NGX_RUSH_IDEM_PRINT  64         /* fingerprint, hex digits */
#define NGX_RUSH_IDEM_ARGS   8          /* of a call of idem_keep.lua */

/* Idempotency-Key (ngx_rush_idem.c).  header: RUSH_OK or BAD_REQUEST.
 * ask: NGX_OK (steps may run), NGX_AGAIN, or the code to answer; asked: the
 * same, with the reply.  keep: NGX_AGAIN, or there is nothing to wait for */
ngx_int_t ngx_rush_idem_header(ngx_rush_req_t *q);
ngx_int_t ngx_rush_idem_ask(ngx_rush_req_t *q);
ngx_int_t ngx_rush_idem_asked(ngx_rush_req_t *q, ngx_int_t rc);
ngx_uint_t ngx_rush_idem_over(ngx_rush_req_t *q);
ngx_int_t ngx_rush_idem_keep(ngx_rush_req_t *q, ngx_int_t rc);
void ngx_rush_idem_kept(ngx_rush_req_t *q, ngx_int_t rc);
void ngx_rush_idem_later(ngx_str_t *args, ngx_msec_t until);
ngx_int_t ngx_rush_idem_print(ngx_rush_req_t *q, u_char *hex);
ngx_int_t ngx_rush_idem_check(ngx_conf_t *cf, ngx_rush_route_t *route);
void ngx_rush_idem_init(void);
char *ngx_rush_idem_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

/* adds the Allow header */
ngx_int_t ngx_rush_allow(ngx_rush_req_t *q, ngx_uint_t methods);

/* operations, as of a step: the record of an audited route */
ngx_int_t ngx_rush_audit_intent(ngx_rush_req_t *q);
ngx_int_t ngx_rush_audit_outcome(ngx_rush_req_t *q, ngx_int_t code);

#define NGX_RUSH_AUDIT_INTENT   0
#define NGX_RUSH_AUDIT_OUTCOME  1

/* ms since roles were read from MySQL; (ngx_msec_t) -1: never */
ngx_msec_t ngx_rush_roles_age(void);
ngx_int_t ngx_rush_roles_zone(ngx_conf_t *cf);
void ngx_rush_roles_init(ngx_cycle_t *cycle);

ngx_int_t ngx_rush_system_routes(ngx_conf_t *cf);
char *ngx_rush_jwt_key_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

/* defined beside what they serve */
char *ngx_rush_seal_key_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_rush_thread_pool_slot(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
void ngx_rush_thread_init(ngx_thread_pool_t *tp);
void ngx_rush_id_init(ngx_uint_t node);
void ngx_rush_limit_unset(ngx_rush_rate_t *rates);
void ngx_rush_limit_merge(ngx_rush_rate_t *conf, ngx_rush_rate_t *prev);
void ngx_rush_metrics(rush_buf_t *b);
void ngx_rush_metrics_lag(rush_buf_t *b);
void ngx_rush_lag_init(ngx_cycle_t *cycle);

/* event streams */
void ngx_rush_events_unset(ngx_rush_events_conf_t *conf);
char *ngx_rush_events_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_rush_events_conf(ngx_conf_t *cf, ngx_rush_events_conf_t *conf);
ngx_int_t ngx_rush_events_zone(ngx_conf_t *cf);
ngx_int_t ngx_rush_events_init(ngx_cycle_t *cycle,
    ngx_rush_events_conf_t *conf);
void ngx_rush_events_exit(void);
void ngx_rush_events_metrics(rush_buf_t *b);


#endif /* _NGX_RUSH_CORE_H_INCLUDED_ */
