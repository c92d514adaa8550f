
/*
 * Copyright (C) Rush
 */


#include "ngx_seckill_notice.h"
#include "ngx_seckill_pay.h"


static ngx_int_t ngx_http_seckill_preconfiguration(ngx_conf_t *cf);
static ngx_int_t ngx_http_seckill_postconfiguration(ngx_conf_t *cf);
static void *ngx_http_seckill_create_main_conf(ngx_conf_t *cf);
static char *ngx_http_seckill_init_main_conf(ngx_conf_t *cf, void *conf);
static ngx_int_t ngx_http_seckill_init_process(ngx_cycle_t *cycle);


#define NGX_SECKILL_FIELD(route, member, type, place, req, lo, hi, text)      \
    NGX_RUSH_FIELD_ROW(seckill, route, member, type, place, req, lo, hi)

#define NGX_SECKILL_FIELD_TABLE(x, name, method, path, auth, limit, flags,    \
    shape, schema, text)                                                      \
    static const rush_field_t  ngx_seckill_##name##_fields[] = {              \
        NGX_SECKILL_FIELDS_##name(NGX_SECKILL_FIELD) NGX_RUSH_FIELD_END };

NGX_SECKILL_ROUTES(NGX_SECKILL_FIELD_TABLE)


static ngx_rush_route_t  ngx_seckill_routes[] = {
    NGX_SECKILL_ROUTES(NGX_RUSH_ROUTE_ROW)
};


static ngx_conf_num_bounds_t  ngx_http_seckill_nodes_bounds = {
    ngx_conf_check_num_bounds, 1, 1024
};


static ngx_conf_num_bounds_t  ngx_http_seckill_redeem_bounds = {
    ngx_conf_check_num_bounds, 0, 100000
};


static ngx_command_t  ngx_http_seckill_commands[] = {

    { ngx_string("seckill_api"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_rush_api_slot,
      0,
      0,
      ngx_seckill_routes },

    { ngx_string("seckill_zone"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_size_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_seckill_main_conf_t, zone),
      NULL },

    { ngx_string("seckill_nodes"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_seckill_main_conf_t, nodes),
      &ngx_http_seckill_nodes_bounds },

    { ngx_string("seckill_admit_min"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_seckill_main_conf_t, admit_min),
      NULL },

    { ngx_string("seckill_clock_skew"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_seckill_main_conf_t, skew),
      NULL },

    { ngx_string("seckill_order_backlog"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_seckill_main_conf_t, order_backlog),
      NULL },

    { ngx_string("seckill_redeem_limit"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_seckill_main_conf_t, redeem_limit),
      &ngx_http_seckill_redeem_bounds },

    { ngx_string("seckill_deadline"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_seckill_main_conf_t, deadline),
      NULL },

    { ngx_string("seckill_pay_channels"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_seckill_pay_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("seckill_wechat_pay"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_seckill_wechat_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("seckill_alipay"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_seckill_alipay_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_seckill_module_ctx = {
    ngx_http_seckill_preconfiguration,     /* preconfiguration */
    ngx_http_seckill_postconfiguration,    /* postconfiguration */

    ngx_http_seckill_create_main_conf,     /* create main configuration */
    ngx_http_seckill_init_main_conf,       /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    NULL,                                  /* create location configuration */
    NULL                                   /* merge location configuration */
};


ngx_module_t  ngx_http_seckill_module = {
    NGX_MODULE_V1,
    &ngx_http_seckill_module_ctx,          /* module context */
    ngx_http_seckill_commands,             /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    ngx_http_seckill_init_process,         /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    NULL,                                  /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


ngx_seckill_main_conf_t  *ngx_seckill_conf;


static ngx_int_t
ngx_http_seckill_preconfiguration(ngx_conf_t *cf)
{
    return ngx_rush_add_routes(cf, NGX_RUSH_ABI, "ngx_http_seckill_module",
                               ngx_seckill_routes,
                               sizeof(ngx_seckill_routes)
                               / sizeof(ngx_rush_route_t));
}


static ngx_int_t
ngx_http_seckill_postconfiguration(ngx_conf_t *cf)
{
    ngx_seckill_main_conf_t  *mcf;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_seckill_module);

    if (!ngx_rush_api_used(cf, ngx_seckill_routes)) {
        mcf->zone = 0;
        return NGX_OK;
    }

    if (ngx_seckill_notice_make(cf, mcf) == NULL
        || ngx_seckill_notice_check(cf, mcf->notice) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_seckill_zone(cf, mcf->zone) != NGX_OK
        || ngx_seckill_log_zone(cf) != NGX_OK
        || ngx_rush_add_ready(cf, ngx_seckill_ready) != NGX_OK
        || ngx_rush_add_metrics(cf, ngx_seckill_metrics) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


static void *
ngx_http_seckill_create_main_conf(ngx_conf_t *cf)
{
    ngx_seckill_main_conf_t  *mcf;

    mcf = ngx_pcalloc(cf->pool, sizeof(ngx_seckill_main_conf_t));
    if (mcf == NULL) {
        return NULL;
    }

    mcf->zone = NGX_CONF_UNSET_SIZE;
    mcf->nodes = NGX_CONF_UNSET_UINT;
    mcf->admit_min = NGX_CONF_UNSET_UINT;
    mcf->skew = NGX_CONF_UNSET_MSEC;
    mcf->deadline = NGX_CONF_UNSET_MSEC;
    mcf->order_backlog = NGX_CONF_UNSET_UINT;
    mcf->redeem_limit = NGX_CONF_UNSET_UINT;

    return mcf;
}


static char *
ngx_http_seckill_init_main_conf(ngx_conf_t *cf, void *conf)
{
    ngx_seckill_main_conf_t  *mcf = conf;

    ngx_conf_init_size_value(mcf->zone, 4 * 1024 * 1024);
    ngx_conf_init_uint_value(mcf->nodes, 1);
    ngx_conf_init_uint_value(mcf->admit_min, 64);
    ngx_conf_init_msec_value(mcf->skew, 2000);
    ngx_conf_init_msec_value(mcf->deadline, 3000);

    ngx_conf_init_uint_value(mcf->order_backlog, 100000);
    ngx_conf_init_uint_value(mcf->redeem_limit, 30);

    ngx_rush_rate_init(&mcf->redeem_rate, mcf->redeem_limit,
                       2 * mcf->redeem_limit, 60);

    if (mcf->deadline < 1000) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"seckill_deadline\" must be 1s at least");
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_seckill_init_process(ngx_cycle_t *cycle)
{
    ngx_seckill_conf = ngx_http_cycle_get_module_main_conf(cycle,
                                                   ngx_http_seckill_module);

    if (ngx_seckill_conf == NULL || ngx_seckill_conf->zone == 0
        || (ngx_process != NGX_PROCESS_WORKER
            && ngx_process != NGX_PROCESS_SINGLE))
    {
        return NGX_OK;
    }

    ngx_seckill_slot_init();

    if (ngx_seckill_batch_init(cycle) != NGX_OK
        || ngx_seckill_tally_init(cycle) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_seckill_events_init(cycle) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_seckill_refresh_init(cycle);
}
