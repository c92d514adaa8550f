
/*
 * Copyright (C) Rush
 */


#include "ngx_rush_core.h"
#include "rush_crypto.h"


static ngx_int_t ngx_http_rush_core_preconfiguration(ngx_conf_t *cf);
static ngx_int_t ngx_http_rush_core_postconfiguration(ngx_conf_t *cf);
static void *ngx_http_rush_core_create_main_conf(ngx_conf_t *cf);
static char *ngx_http_rush_core_init_main_conf(ngx_conf_t *cf, void *conf);
static void *ngx_http_rush_core_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_rush_core_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child);

static ngx_int_t ngx_http_rush_core_init_process(ngx_cycle_t *cycle);
static void ngx_http_rush_core_exit_process(ngx_cycle_t *cycle);

static char *ngx_http_rush_zone(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_rush_internal(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_rush_error(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);


extern ngx_rush_route_t  ngx_rush_system_table[];


static ngx_conf_num_bounds_t  ngx_http_rush_node_bounds = {
    ngx_conf_check_num_bounds, 0, 1023
};


static ngx_command_t  ngx_http_rush_core_commands[] = {

    { ngx_string("rush_redis"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_rush_redis_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_rush_main_conf_t, redis),
      NULL },

    { ngx_string("rush_mysql"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_rush_mysql_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_rush_main_conf_t, mysql),
      NULL },

    { ngx_string("rush_jwt_key"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_rush_jwt_key_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("rush_seal_key"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_rush_seal_key_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("rush_node_id"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_rush_main_conf_t, node_id),
      &ngx_http_rush_node_bounds },

    { ngx_string("rush_thread_pool"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_rush_thread_pool_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_rush_main_conf_t, thread_pool),
      NULL },

    { ngx_string("rush_zone"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE2,
      ngx_http_rush_zone,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("rush_idempotency"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE12,
      ngx_rush_idem_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("rush_internal"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_http_rush_internal,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("rush_events"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_rush_events_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_rush_main_conf_t, events),
      NULL },

    { ngx_string("rush_limit"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE23,
      ngx_rush_limit_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_rush_loc_conf_t, limits),
      NULL },

    { ngx_string("rush_api"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_rush_api_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      ngx_rush_system_table },

    { ngx_string("rush_error"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_http_rush_error,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_rush_core_module_ctx = {
    ngx_http_rush_core_preconfiguration,   /* preconfiguration */
    ngx_http_rush_core_postconfiguration,  /* postconfiguration */

    ngx_http_rush_core_create_main_conf,   /* create main configuration */
    ngx_http_rush_core_init_main_conf,     /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_rush_core_create_loc_conf,    /* create location configuration */
    ngx_http_rush_core_merge_loc_conf      /* merge location configuration */
};


ngx_module_t  ngx_http_rush_core_module = {
    NGX_MODULE_V1,
    &ngx_http_rush_core_module_ctx,        /* module context */
    ngx_http_rush_core_commands,           /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    ngx_http_rush_core_init_process,       /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    ngx_http_rush_core_exit_process,       /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static ngx_int_t
ngx_http_rush_core_preconfiguration(ngx_conf_t *cf)
{
    if (rush_crypto_ready() != RUSH_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "OpenSSL is not ready");
        return NGX_ERROR;
    }

    return ngx_rush_system_routes(cf);
}


static ngx_int_t
ngx_http_rush_core_postconfiguration(ngx_conf_t *cf)
{
    ngx_rush_main_conf_t  *mcf;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_rush_core_module);

    if (ngx_rush_compile_routes(cf, mcf) != NGX_OK) {
        return NGX_ERROR;
    }

    if (mcf->used == 0) {
        return NGX_OK;
    }

    if (mcf->redis.addr.sockaddr == NULL) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"rush_redis\" is not set, an API in a location "
                      "needs it");
        return NGX_ERROR;
    }

    if (mcf->mysql.host.len == 0 && mcf->mysql.socket.len == 0) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"rush_mysql\" is not set, an API in a location "
                      "needs it");
        return NGX_ERROR;
    }

    if (mcf->jwt == NULL) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"rush_jwt_key\" is not set, an API in a location "
                      "needs it");
        return NGX_ERROR;
    }

    if (ngx_rush_core_zone(cf) != NGX_OK
        || ngx_rush_limit_zone(cf, mcf->limit_zone) != NGX_OK
        || ngx_rush_cache_zone(cf, mcf->cache_zone) != NGX_OK
        || ngx_rush_revoke_zone(cf, mcf->revoke_zone) != NGX_OK
        || ngx_rush_roles_zone(cf) != NGX_OK
        || ngx_rush_events_zone(cf) != NGX_OK
        || ngx_rush_stats_zone(cf, mcf->stats_zone, mcf->nroutes) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


static void *
ngx_http_rush_core_create_main_conf(ngx_conf_t *cf)
{
    ngx_rush_main_conf_t  *mcf;

    mcf = ngx_pcalloc(cf->pool, sizeof(ngx_rush_main_conf_t));
    if (mcf == NULL) {
        return NULL;
    }

    if (ngx_array_init(&mcf->tables, cf->pool, 8, sizeof(ngx_rush_table_t))
        != NGX_OK)
    {
        return NULL;
    }

    mcf->node_id = NGX_CONF_UNSET;
    mcf->idem_lock = NGX_CONF_UNSET_MSEC;
    mcf->idem_keep = NGX_CONF_UNSET_MSEC;
    mcf->limit_zone = NGX_CONF_UNSET_SIZE;
    mcf->cache_zone = NGX_CONF_UNSET_SIZE;
    mcf->revoke_zone = NGX_CONF_UNSET_SIZE;
    mcf->stats_zone = NGX_CONF_UNSET_SIZE;

    ngx_rush_events_unset(&mcf->events);

    return mcf;
}


static char *
ngx_http_rush_core_init_main_conf(ngx_conf_t *cf, void *conf)
{
    ngx_rush_main_conf_t  *mcf = conf;

    ngx_uint_t             i;
    ngx_cidr_t            *cidr;
    ngx_str_t              loopback[] = { ngx_string("127.0.0.0/8"),
                                          ngx_string("::1/128") };

    ngx_conf_init_value(mcf->node_id, 0);
    ngx_conf_init_msec_value(mcf->idem_lock, 60000);
    ngx_conf_init_msec_value(mcf->idem_keep, 86400000);
    ngx_conf_init_size_value(mcf->limit_zone, 4 * 1024 * 1024);
    ngx_conf_init_size_value(mcf->cache_zone, 16 * 1024 * 1024);
    ngx_conf_init_size_value(mcf->revoke_zone, 4 * 1024 * 1024);
    ngx_conf_init_size_value(mcf->stats_zone, 4 * 1024 * 1024);

    if (mcf->internal == NULL) {

        mcf->internal = ngx_array_create(cf->pool, 2, sizeof(ngx_cidr_t));
        if (mcf->internal == NULL) {
            return NGX_CONF_ERROR;
        }

        for (i = 0; i < 2; i++) {
            cidr = ngx_array_push(mcf->internal);

            if (cidr == NULL || ngx_ptocidr(&loopback[i], cidr) == NGX_ERROR) {
                return NGX_CONF_ERROR;
            }
        }
    }

    return ngx_rush_events_conf(cf, &mcf->events);
}


static void *
ngx_http_rush_core_create_loc_conf(ngx_conf_t *cf)
{
    ngx_rush_loc_conf_t  *lcf;

    lcf = ngx_pcalloc(cf->pool, sizeof(ngx_rush_loc_conf_t));
    if (lcf == NULL) {
        return NULL;
    }

    ngx_rush_limit_unset(lcf->limits);

    return lcf;
}


static char *
ngx_http_rush_core_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_rush_loc_conf_t  *prev = parent;
    ngx_rush_loc_conf_t  *conf = child;

    ngx_rush_limit_merge(conf->limits, prev->limits);

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_rush_core_init_process(ngx_cycle_t *cycle)
{
    ngx_rush_main_conf_t  *mcf;

    mcf = ngx_http_cycle_get_module_main_conf(cycle,
                                              ngx_http_rush_core_module);

    if (mcf == NULL || mcf->used == 0
        || (ngx_process != NGX_PROCESS_WORKER
            && ngx_process != NGX_PROCESS_SINGLE))
    {
        return NGX_OK;
    }

    (void) RUSH_FP("W8");

    if (rush_random_init(&ngx_rush_random) != RUSH_OK) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, ngx_errno,
                      "getrandom() failed");
        return NGX_ERROR;
    }

    ngx_rush_id_init(mcf->node_id);     /* finds all zones, so it is first */
    ngx_rush_route_init(mcf);
    ngx_rush_idem_init();
    ngx_rush_thread_init(mcf->thread_pool);
    ngx_rush_lag_init(cycle);

    if (ngx_rush_redis_init(cycle, &mcf->redis) != NGX_OK
        || ngx_rush_mysql_init(cycle, &mcf->mysql) != NGX_OK
        || ngx_rush_revoke_init(cycle) != NGX_OK
        || ngx_rush_events_init(cycle, &mcf->events) != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_rush_roles_init(cycle);

    return NGX_OK;
}


static void
ngx_http_rush_core_exit_process(ngx_cycle_t *cycle)
{
    ngx_rush_main_conf_t  *mcf;

    mcf = ngx_http_cycle_get_module_main_conf(cycle,
                                              ngx_http_rush_core_module);

    if (mcf == NULL || mcf->used == 0) {
        return;
    }

    ngx_rush_events_exit();
    ngx_rush_redis_exit(cycle);
    ngx_rush_mysql_exit(cycle);
}


static char *
ngx_http_rush_zone(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_rush_main_conf_t  *mcf = conf;

    size_t                *p;
    ssize_t                size;
    ngx_str_t             *value;

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "limit") == 0) {
        p = &mcf->limit_zone;

    } else if (ngx_strcmp(value[1].data, "cache") == 0) {
        p = &mcf->cache_zone;

    } else if (ngx_strcmp(value[1].data, "revoke") == 0) {
        p = &mcf->revoke_zone;

    } else if (ngx_strcmp(value[1].data, "stats") == 0) {
        p = &mcf->stats_zone;

    } else {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "zone \"%V\" is unknown: limit, cache, revoke or "
                           "stats", &value[1]);
        return NGX_CONF_ERROR;
    }

    if (*p != NGX_CONF_UNSET_SIZE) {
        return "is duplicate";
    }

    size = ngx_parse_size(&value[2]);

    if (size == NGX_ERROR || size == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "size \"%V\" of zone \"%V\" is not valid",
                           &value[2], &value[1]);
        return NGX_CONF_ERROR;
    }

    *p = size;

    return NGX_CONF_OK;
}


static char *
ngx_http_rush_internal(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_rush_main_conf_t  *mcf = conf;

    ngx_str_t             *value;
    ngx_cidr_t            *cidr;
    ngx_uint_t             i;

    if (mcf->internal) {
        return "is duplicate";
    }

    mcf->internal = ngx_array_create(cf->pool, 4, sizeof(ngx_cidr_t));
    if (mcf->internal == NULL) {
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        cidr = ngx_array_push(mcf->internal);
        if (cidr == NULL) {
            return NGX_CONF_ERROR;
        }

        if (ngx_ptocidr(&value[i], cidr) == NGX_ERROR) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"%V\" is no address and no network",
                               &value[i]);
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_rush_error(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    clcf->handler = ngx_rush_error_handler;

    return NGX_CONF_OK;
}
