
/*
 * Copyright (C) Rush
 *
 * A module for the bench alone: one route that reads one row by its key
 * through the pool of the core and answers with a number.  No token, no
 * limit: what reading a row costs at the least.
 */


#include "ngx_rush.h"
#include "ngx_rush_mysql.h"


typedef struct {
    int64_t          id;
} ngx_bench_bare_t;


static ngx_int_t ngx_bench_ask(ngx_rush_req_t *q);
static ngx_int_t ngx_bench_answered(ngx_rush_req_t *q);
static ngx_int_t ngx_http_bench_preconfiguration(ngx_conf_t *cf);


static const rush_stmt_t  ngx_bench_stmt = {
    "bench_bare", "SELECT id FROM user WHERE id = ?",
    sizeof("SELECT id FROM user WHERE id = ?") - 1, 1
};


static ngx_rush_step_t  ngx_bench_bare_steps[] = {
    ngx_rush_step(ngx_bench_ask),                /* mysql */
    ngx_rush_step(ngx_bench_answered),
    ngx_rush_null_step
};


static const rush_field_t  ngx_bench_bare_fields[] = {
    { rush_string("id"), RUSH_T_ID, RUSH_IN_PATH, 1, 1, INT64_MAX,
      offsetof(ngx_bench_bare_t, id) },
    NGX_RUSH_FIELD_END
};


static ngx_rush_route_t  ngx_bench_routes[] = {
    NGX_RUSH_ROUTE_ROW(bench, bare, GET, "/bench/row/{id}", PUBLIC, NONE, 0,
                       OBJECT, none, "")
};


static ngx_command_t  ngx_http_bench_commands[] = {

    { ngx_string("bench_api"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_rush_api_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      ngx_bench_routes },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_bench_module_ctx = {
    ngx_http_bench_preconfiguration,       /* preconfiguration */
    NULL, NULL, NULL, NULL, NULL, NULL, NULL
};


ngx_module_t  ngx_http_bench_module = {
    NGX_MODULE_V1,
    &ngx_http_bench_module_ctx,            /* module context */
    ngx_http_bench_commands,               /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL, NULL, NULL, NULL, NULL, NULL, NULL,
    NGX_MODULE_V1_PADDING
};


/* what nginx looks for in a dynamic module */

ngx_module_t  *ngx_modules[] = { &ngx_http_bench_module, NULL };
char          *ngx_module_names[] = { "ngx_http_bench_module", NULL };
char          *ngx_module_order[] = { NULL };


static ngx_int_t
ngx_http_bench_preconfiguration(ngx_conf_t *cf)
{
    return ngx_rush_add_routes(cf, NGX_RUSH_ABI, "ngx_http_bench_module",
                               ngx_bench_routes, 1);
}


static ngx_int_t
ngx_bench_ask(ngx_rush_req_t *q)
{
    ngx_bench_bare_t  *bare = q->data;

    ngx_rush_param_t   param;

    param = ngx_rush_p_int(bare->id);

    return ngx_rush_query(q, &ngx_bench_stmt, &param, 1, RUSH_INTERNAL);
}


static ngx_int_t
ngx_bench_answered(ngx_rush_req_t *q)
{
    rush_json_open(&q->out, NULL, '{');
    rush_json_id(&q->out, "id", ngx_rush_cell_int(q->rows, 0, 0));
    rush_json_close(&q->out, '}');

    return NGX_OK;
}
