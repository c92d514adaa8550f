
/*
 * Copyright (C) Rush
 */


#include "ngx_rush_core.h"
#include "ngx_rush_api.h"
#include "rush_openapi.h"


typedef struct {
    ngx_uint_t                 unused;
} ngx_rush_health_t;


typedef ngx_rush_health_t      ngx_rush_healthz_t;
typedef ngx_rush_health_t      ngx_rush_api_health_t;
typedef ngx_rush_health_t      ngx_rush_ready_t;
typedef ngx_rush_health_t      ngx_rush_metrics_t;
typedef ngx_rush_health_t      ngx_rush_version_t;
typedef ngx_rush_health_t      ngx_rush_api_version_t;
typedef ngx_rush_health_t      ngx_rush_time_t;
typedef ngx_rush_health_t      ngx_rush_openapi_t;


#define NGX_RUSH_MAX_READY  8


static ngx_int_t ngx_rush_answer_health(ngx_rush_req_t *q);
static ngx_int_t ngx_rush_answer_ready(ngx_rush_req_t *q);
static ngx_int_t ngx_rush_answer_metrics(ngx_rush_req_t *q);
static ngx_int_t ngx_rush_answer_version(ngx_rush_req_t *q);
static ngx_int_t ngx_rush_answer_time(ngx_rush_req_t *q);
static ngx_int_t ngx_rush_answer_openapi(ngx_rush_req_t *q);


static ngx_rush_step_t  ngx_rush_health_steps[] = {
    ngx_rush_step(ngx_rush_answer_health),
    ngx_rush_null_step
};

#define ngx_rush_healthz_steps     ngx_rush_health_steps
#define ngx_rush_api_health_steps  ngx_rush_health_steps


static ngx_rush_step_t  ngx_rush_ready_steps[] = {
    ngx_rush_step(ngx_rush_answer_ready),
    ngx_rush_null_step
};


static ngx_rush_step_t  ngx_rush_metrics_steps[] = {
    ngx_rush_step(ngx_rush_answer_metrics),
    ngx_rush_null_step
};


static ngx_rush_step_t  ngx_rush_version_steps[] = {
    ngx_rush_step(ngx_rush_answer_version),
    ngx_rush_null_step
};

#define ngx_rush_api_version_steps  ngx_rush_version_steps


static ngx_rush_step_t  ngx_rush_time_steps[] = {
    ngx_rush_step(ngx_rush_answer_time),
    ngx_rush_null_step
};


static ngx_rush_step_t  ngx_rush_openapi_steps[] = {
    ngx_rush_step(ngx_rush_answer_openapi),
    ngx_rush_null_step
};


#define NGX_RUSH_FIELDS_TABLE(x, name, method, path, auth, limit, flags,      \
    shape, schema, text)                                                      \
    static const rush_field_t  ngx_rush_##name##_fields[] = {                 \
        NGX_RUSH_FIELDS_##name(NGX_RUSH_FIELD) NGX_RUSH_FIELD_END };

NGX_RUSH_ROUTES(NGX_RUSH_FIELDS_TABLE)


ngx_rush_route_t  ngx_rush_system_table[] = {
    NGX_RUSH_ROUTES(NGX_RUSH_ROUTE_ROW)
};


static ngx_str_t  ngx_rush_text_type =
    ngx_string("text/plain; version=0.0.4; charset=utf-8");
static ngx_str_t  ngx_rush_openapi_type = ngx_string("application/json");

static ngx_uint_t         ngx_rush_nready;
static ngx_rush_ready_pt  ngx_rush_ready_handlers[NGX_RUSH_MAX_READY];


ngx_int_t
ngx_rush_system_routes(ngx_conf_t *cf)
{
    ngx_rush_nready = 0;

    return ngx_rush_add_routes(cf, NGX_RUSH_ABI, "ngx_http_rush_core_module",
                               ngx_rush_system_table,
                               sizeof(ngx_rush_system_table)
                               / sizeof(ngx_rush_route_t));
}


ngx_int_t
ngx_rush_add_ready(ngx_conf_t *cf, ngx_rush_ready_pt handler)
{
    if (ngx_rush_nready == NGX_RUSH_MAX_READY) {
        return NGX_ERROR;
    }

    ngx_rush_ready_handlers[ngx_rush_nready++] = handler;

    return NGX_OK;
}


static ngx_int_t
ngx_rush_answer_health(ngx_rush_req_t *q)
{
    rush_json_open(&q->out, NULL, '{');
    rush_json_text(&q->out, "status", "ok");
    rush_json_close(&q->out, '}');

    return NGX_OK;
}


static ngx_int_t
ngx_rush_answer_ready(ngx_rush_req_t *q)
{
    ngx_int_t                rc;
    ngx_uint_t               i;
    ngx_rush_redis_state_t   redis;
    ngx_rush_mysql_state_t   mysql;

    ngx_rush_redis_state(&redis);
    ngx_rush_mysql_state(&mysql);

    rush_json_open(&q->out, NULL, '{');
    rush_json_bool(&q->out, "redis", redis.up == NGX_RUSH_LANES);
    rush_json_bool(&q->out, "mysql", mysql.down_since == 0);

    rush_json_bool(&q->out, "revocations",
                   ngx_rush_revoke_age() != (ngx_msec_t) -1);

    rush_json_bool(&q->out, "roles",
                   ngx_rush_roles_age() != (ngx_msec_t) -1);

    /* without a first look at them an ended token would be accepted */

    rc = (redis.up == NGX_RUSH_LANES && mysql.down_since == 0
          && ngx_rush_revoke_age() != (ngx_msec_t) -1
          && ngx_rush_roles_age() != (ngx_msec_t) -1)
         ? NGX_OK : RUSH_BUSY;

    for (i = 0; i < ngx_rush_nready; i++) {

        if (ngx_rush_ready_handlers[i](&q->out) != NGX_OK) {
            rc = RUSH_BUSY;
        }
    }

    rush_json_close(&q->out, '}');
    q->whole = 1;

    return rc;
}


static ngx_int_t
ngx_rush_answer_metrics(ngx_rush_req_t *q)
{
    ngx_rush_metrics(&q->out);

    if (q->out.failed) {
        return NGX_ERROR;
    }

    return ngx_rush_send(q, NGX_HTTP_OK, &ngx_rush_text_type, q->out.data,
                         q->out.len);
}


static ngx_int_t
ngx_rush_answer_version(ngx_rush_req_t *q)
{
    size_t                 len;
    ngx_str_t              name;
    ngx_uint_t             i;
    ngx_rush_table_t      *table;
    ngx_rush_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(q->r, ngx_http_rush_core_module);
    table = mcf->tables.elts;

    rush_json_open(&q->out, NULL, '{');
    rush_json_text(&q->out, "version", RUSH_VERSION);
    rush_json_text(&q->out, "nginx", NGINX_VERSION);
    rush_json_open(&q->out, "modules", '[');

    for (i = 0; i < mcf->tables.nelts; i++) {

        if (table[i].n == 0 || !(mcf->used & table[i].routes[0].api)) {
            continue;
        }

        /* routes are named module_name */

        name = table[i].routes[0].name;

        for (len = 0; len < name.len && name.data[len] != '_'; len++) {
            /* void */
        }

        name.len = len;
        rush_json_str(&q->out, NULL, (rush_str_t *) &name);
    }

    rush_json_close(&q->out, ']');
    rush_json_close(&q->out, '}');

    return NGX_OK;
}


static ngx_int_t
ngx_rush_answer_time(ngx_rush_req_t *q)
{
    int64_t  now;

    now = ngx_rush_now_ms();

    rush_json_open(&q->out, NULL, '{');
    rush_json_time(&q->out, "now", now);
    rush_json_int(&q->out, "now_ms", now);
    rush_json_close(&q->out, '}');

    return NGX_OK;
}


static ngx_int_t
ngx_rush_answer_openapi(ngx_rush_req_t *q)
{
    return ngx_rush_send(q, NGX_HTTP_OK, &ngx_rush_openapi_type,
                         (u_char *) rush_openapi, sizeof(rush_openapi) - 1);
}
