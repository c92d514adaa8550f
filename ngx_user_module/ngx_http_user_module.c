
/*
 * Copyright (C) Rush
 */


#include "ngx_user_admin.h"
#include "ngx_user_wx.h"
#include "ngx_user_api.h"


static ngx_int_t ngx_http_user_preconfiguration(ngx_conf_t *cf);
static ngx_int_t ngx_http_user_postconfiguration(ngx_conf_t *cf);
static void *ngx_http_user_create_main_conf(ngx_conf_t *cf);
static void *ngx_http_user_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_user_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child);
static char *ngx_http_user_check_ttl(ngx_conf_t *cf, void *post, void *data);
static char *ngx_http_user_limit(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

static ngx_int_t ngx_http_user_init_process(ngx_cycle_t *cycle);


#define NGX_USER_FIELD(route, member, type, place, req, lo, hi, text)         \
    NGX_RUSH_FIELD_ROW(user, route, member, type, place, req, lo, hi)

#define NGX_USER_FIELDS_TABLE(x, name, method, path, auth, limit, flags,      \
    shape, schema, text)                                                      \
    static const rush_field_t  ngx_user_##name##_fields[] = {                 \
        NGX_USER_FIELDS_##name(NGX_USER_FIELD) NGX_RUSH_FIELD_END };

NGX_USER_ROUTES(NGX_USER_FIELDS_TABLE)


static ngx_rush_route_t  ngx_user_routes[] = {
    NGX_USER_ROUTES(NGX_RUSH_ROUTE_ROW)
};


static ngx_conf_num_bounds_t  ngx_http_user_cost_bounds = {
    ngx_conf_check_num_bounds, 4, 14
};


typedef struct {
    ngx_conf_post_handler_pt  handler;
    time_t                    max;
} ngx_http_user_ttl_t;


static ngx_http_user_ttl_t  ngx_http_user_access_bounds = {
    ngx_http_user_check_ttl, 24 * 3600
};

static ngx_http_user_ttl_t  ngx_http_user_refresh_bounds = {
    ngx_http_user_check_ttl, 90 * 24 * 3600
};


typedef struct {
    ngx_str_t                 name;     /* of "name=value" */
    size_t                    offset;   /* of an ngx_int_t */
    ngx_uint_t                time;     /* 1: ms, else a number */
    ngx_int_t                 min;
    ngx_int_t                 max;
} ngx_http_user_limit_t;


typedef struct {
    ngx_http_user_limit_t    *limits;
    const char               *rule;     /* the same in words */
} ngx_http_user_limits_t;


/* histories in Redis are short lists */

static ngx_http_user_limit_t  ngx_http_user_code_limits[] = {

    { ngx_string("interval"), offsetof(ngx_user_code_limit_t, interval),
      1, 0, 24 * 3600 * 1000 },

    { ngx_string("hour"), offsetof(ngx_user_code_limit_t, hour),
      0, 0, NGX_USER_MAX_CODES },

    { ngx_string("day"), offsetof(ngx_user_code_limit_t, day),
      0, 0, NGX_USER_MAX_CODES },

    { ngx_string("address"), offsetof(ngx_user_code_limit_t, address),
      0, 0, NGX_USER_MAX_CODES },

    { ngx_null_string, 0, 0, 0, 0 }
};

static ngx_http_user_limits_t  ngx_http_user_code_rule = {
    ngx_http_user_code_limits,
    "interval=0..24h, hour=0..1000, day=0..1000, address=0..1000"
};


static ngx_http_user_limit_t  ngx_http_user_wechat_limits[] = {

    { ngx_string("address"), offsetof(ngx_user_wx_limit_t, address),
      0, 0, NGX_USER_MAX_CODES },

    { ngx_string("waiting"), offsetof(ngx_user_wx_limit_t, waiting),
      0, 1, 10000 },

    { ngx_null_string, 0, 0, 0, 0 }
};

static ngx_http_user_limits_t  ngx_http_user_wechat_rule = {
    ngx_http_user_wechat_limits,
    "address=0..1000, waiting=1..10000"
};


static ngx_command_t  ngx_http_user_commands[] = {

    { ngx_string("user_api"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_rush_api_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      ngx_user_routes },

    { ngx_string("user_bcrypt_cost"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_user_loc_conf_t, bcrypt_cost),
      &ngx_http_user_cost_bounds },

    { ngx_string("user_access_ttl"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_sec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_user_loc_conf_t, access_ttl),
      &ngx_http_user_access_bounds },

    { ngx_string("user_refresh_ttl"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_sec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_user_loc_conf_t, refresh_ttl),
      &ngx_http_user_refresh_bounds },

    { ngx_string("user_verify"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_user_loc_conf_t, verify),
      NULL },

    { ngx_string("user_code_limit"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_user_limit,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_user_loc_conf_t, code_limit),
      &ngx_http_user_code_rule },

    { ngx_string("user_wechat_limit"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_user_limit,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_user_loc_conf_t, wx_limit),
      &ngx_http_user_wechat_rule },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_user_module_ctx = {
    ngx_http_user_preconfiguration,        /* preconfiguration */
    ngx_http_user_postconfiguration,       /* postconfiguration */

    ngx_http_user_create_main_conf,        /* create main configuration */
    NULL,                                  /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_user_create_loc_conf,         /* create location configuration */
    ngx_http_user_merge_loc_conf           /* merge location configuration */
};


ngx_module_t  ngx_http_user_module = {
    NGX_MODULE_V1,
    &ngx_http_user_module_ctx,             /* module context */
    ngx_http_user_commands,                /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    ngx_http_user_init_process,            /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    NULL,                                  /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static ngx_int_t
ngx_http_user_preconfiguration(ngx_conf_t *cf)
{
    return ngx_rush_add_routes(cf, NGX_RUSH_ABI, "ngx_http_user_module",
                               ngx_user_routes,
                               sizeof(ngx_user_routes)
                               / sizeof(ngx_rush_route_t));
}


static ngx_int_t
ngx_http_user_postconfiguration(ngx_conf_t *cf)
{
    if (!ngx_rush_api_used(cf, ngx_user_routes)) {
        return NGX_OK;
    }

    if (ngx_rush_need_threads(cf, "user_api") != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_rush_need_seal(cf, "user_api");
}


static void *
ngx_http_user_create_main_conf(ngx_conf_t *cf)
{
    return ngx_pcalloc(cf->pool, sizeof(ngx_user_main_conf_t));
}


static void *
ngx_http_user_create_loc_conf(ngx_conf_t *cf)
{
    ngx_user_loc_conf_t  *conf;

    conf = ngx_palloc(cf->pool, sizeof(ngx_user_loc_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    conf->bcrypt_cost = NGX_CONF_UNSET;
    conf->access_ttl = NGX_CONF_UNSET;
    conf->refresh_ttl = NGX_CONF_UNSET;
    conf->verify = NGX_CONF_UNSET;
    conf->code_limit.interval = NGX_CONF_UNSET;
    conf->code_limit.hour = NGX_CONF_UNSET;
    conf->code_limit.day = NGX_CONF_UNSET;
    conf->code_limit.address = NGX_CONF_UNSET;
    conf->wx_limit.address = NGX_CONF_UNSET;
    conf->wx_limit.waiting = NGX_CONF_UNSET;

    return conf;
}


static char *
ngx_http_user_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_user_loc_conf_t   *prev = parent;
    ngx_user_loc_conf_t   *conf = child;

    ngx_user_main_conf_t  *umcf;

    ngx_conf_merge_value(conf->bcrypt_cost, prev->bcrypt_cost, 10);
    ngx_conf_merge_sec_value(conf->access_ttl, prev->access_ttl, 2 * 3600);
    ngx_conf_merge_sec_value(conf->refresh_ttl, prev->refresh_ttl,
                             14 * 24 * 3600);
    ngx_conf_merge_value(conf->verify, prev->verify, 1);
    ngx_conf_merge_value(conf->code_limit.interval, prev->code_limit.interval,
                         60 * 1000);
    ngx_conf_merge_value(conf->code_limit.hour, prev->code_limit.hour, 5);
    ngx_conf_merge_value(conf->code_limit.day, prev->code_limit.day, 10);
    ngx_conf_merge_value(conf->code_limit.address, prev->code_limit.address,
                         20);
    ngx_conf_merge_value(conf->wx_limit.address, prev->wx_limit.address, 60);
    ngx_conf_merge_value(conf->wx_limit.waiting, prev->wx_limit.waiting, 256);

    if (conf->access_ttl > conf->refresh_ttl) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"user_access_ttl\" must not be longer than "
                           "\"user_refresh_ttl\": %T s and %T s",
                           conf->access_ttl, conf->refresh_ttl);
        return NGX_CONF_ERROR;
    }

    umcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_user_module);
    umcf->access_ttl = ngx_max(umcf->access_ttl, conf->access_ttl);

    return NGX_CONF_OK;
}


static char *
ngx_http_user_check_ttl(ngx_conf_t *cf, void *post, void *data)
{
    ngx_http_user_ttl_t  *bounds = post;
    time_t               *ttl = data;

    if (*ttl < 1 || *ttl > bounds->max) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "value must be between 1s and %T hours",
                           bounds->max / 3600);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/* "user_code_limit [interval=60s] [hour=5] [day=10] [address=20]",
 * "user_wechat_limit [address=60] [waiting=256]" */

static char *
ngx_http_user_limit(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    size_t                   len;
    u_char                  *eq;
    ngx_int_t                n, *p;
    ngx_str_t               *value, text;
    ngx_uint_t               i;
    ngx_http_user_limit_t   *limit;
    ngx_http_user_limits_t  *all;

    all = cmd->post;
    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {
        eq = ngx_strlchr(value[i].data, value[i].data + value[i].len, '=');
        len = eq ? (size_t) (eq - value[i].data) : 0;

        for (limit = all->limits; limit->name.len; limit++) {

            if (limit->name.len == len
                && ngx_strncmp(limit->name.data, value[i].data, len) == 0)
            {
                break;
            }
        }

        if (limit->name.len == 0) {
            goto invalid;
        }

        p = (ngx_int_t *) ((char *) conf + cmd->offset + limit->offset);

        if (*p != NGX_CONF_UNSET) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"%V\" is given twice", &limit->name);
            return NGX_CONF_ERROR;
        }

        text.data = eq + 1;
        text.len = value[i].len - len - 1;

        n = limit->time ? ngx_parse_time(&text, 0)
                        : ngx_atoi(text.data, text.len);

        if (n == NGX_ERROR || n < limit->min || n > limit->max) {
            goto invalid;
        }

        *p = n;
    }

    return NGX_CONF_OK;

invalid:

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"%V\" is none of %s",
                       &value[i], all->rule);

    return NGX_CONF_ERROR;
}


static ngx_int_t
ngx_http_user_init_process(ngx_cycle_t *cycle)
{
    ngx_user_main_conf_t  *umcf;

    ngx_user_code_init();

    umcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_user_module);

    if (umcf && umcf->access_ttl) {
        /* a revoked token must be remembered until it expires */
        ngx_rush_revoke_ttl(umcf->access_ttl);
    }

    return NGX_OK;
}
