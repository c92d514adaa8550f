
/*
 * Copyright (C) Rush
 */


#include "ngx_rush_core.h"


/*
 * The router is a tree of path segments, built once while nginx reads its
 * configuration.  A literal child wins over the "{name}" child.  Of literal
 * children the one that was asked for last comes first; each worker has a copy
 * of its own.
 */

#define NGX_RUSH_METHODS  4


struct ngx_rush_node_s {
    ngx_str_t          segment;         /* "" for {name} */
    ngx_rush_node_t   *children;        /* literal ones */
    ngx_rush_node_t   *param;           /* {name} */
    ngx_rush_node_t   *next;            /* among the parent's children */
    ngx_rush_entry_t  *entry[NGX_RUSH_METHODS];
};


static ngx_int_t ngx_rush_method_slot(ngx_uint_t method);
static ngx_int_t ngx_rush_add_route(ngx_conf_t *cf,
    ngx_rush_main_conf_t *mcf, ngx_rush_entry_t *entry);
static ngx_rush_node_t *ngx_rush_add_node(ngx_conf_t *cf,
    ngx_rush_node_t *parent, ngx_str_t *segment);
static ngx_int_t ngx_rush_find_param(ngx_rush_entry_t *entry,
    ngx_str_t *segment);
static ngx_rush_node_t *ngx_rush_find_node(ngx_rush_node_t *node, u_char *p,
    u_char *end, ngx_rush_match_t *match, ngx_uint_t nparams);


/*
 * Set when a process starts, not while a configuration is read: one that is
 * refused is freed, and workers go on with the one before.
 */

static ngx_rush_main_conf_t  *ngx_rush_routes_conf;


ngx_int_t
ngx_rush_add_routes(ngx_conf_t *cf, ngx_uint_t abi, const char *module,
    ngx_rush_route_t *routes, ngx_uint_t n)
{
    ngx_uint_t             i;
    ngx_rush_table_t      *table;
    ngx_rush_main_conf_t  *mcf;

    if (abi != NGX_RUSH_ABI) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "module %s was built for another "
                      "ngx_http_rush_core_module: interface %ui instead of %d",
                      module, abi, NGX_RUSH_ABI);
        return NGX_ERROR;
    }

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_rush_core_module);

    table = ngx_array_push(&mcf->tables);
    if (table == NULL) {
        return NGX_ERROR;
    }

    table->routes = routes;
    table->n = n;

    for (i = 0; i < n; i++) {
        routes[i].api = (ngx_uint_t) 1 << (mcf->tables.nelts - 1);
        routes[i].index = mcf->nroutes++;
    }

    return NGX_OK;
}


char *
ngx_rush_api_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_rush_route_t          *routes = cmd->post;

    ngx_rush_loc_conf_t       *lcf;
    ngx_rush_main_conf_t      *mcf;
    ngx_http_core_loc_conf_t  *clcf;

    lcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_rush_core_module);
    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_rush_core_module);
    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (lcf->apis & routes->api) {
        return "is duplicate";
    }

    lcf->apis |= routes->api;
    mcf->used |= routes->api;

    clcf->handler = ngx_rush_handler;

    return NGX_CONF_OK;
}


ngx_uint_t
ngx_rush_api_used(ngx_conf_t *cf, ngx_rush_route_t *routes)
{
    ngx_rush_main_conf_t  *mcf;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_rush_core_module);

    return (mcf->used & routes->api) != 0;
}


ngx_int_t
ngx_rush_compile_routes(ngx_conf_t *cf, ngx_rush_main_conf_t *mcf)
{
    ngx_uint_t         i, j;
    ngx_rush_entry_t  *entry;
    ngx_rush_table_t  *table;

    mcf->router = ngx_pcalloc(cf->pool, sizeof(ngx_rush_node_t));
    mcf->entries = ngx_pcalloc(cf->pool,
                               (mcf->nroutes + 1) * sizeof(ngx_rush_entry_t));

    if (mcf->router == NULL || mcf->entries == NULL) {
        return NGX_ERROR;
    }

    table = mcf->tables.elts;

    for (i = 0; i < mcf->tables.nelts; i++) {
        for (j = 0; j < table[i].n; j++) {

            entry = &mcf->entries[table[i].routes[j].index];
            entry->route = &table[i].routes[j];

            if (ngx_rush_add_route(cf, mcf, entry) != NGX_OK) {
                return NGX_ERROR;
            }
        }
    }

    return NGX_OK;
}


void
ngx_rush_route_init(ngx_rush_main_conf_t *mcf)
{
    ngx_rush_routes_conf = mcf;
}


static ngx_int_t
ngx_rush_add_route(ngx_conf_t *cf, ngx_rush_main_conf_t *mcf,
    ngx_rush_entry_t *entry)
{
    u_char            *p, *end;
    ngx_int_t          slot, row;
    ngx_str_t          segment;
    ngx_uint_t         i;
    ngx_rush_node_t   *node;
    ngx_rush_route_t  *route;

    route = entry->route;

    for (i = 0; i < route->nfields; i++) {
        entry->body |= (route->fields[i].place == RUSH_IN_BODY);
        entry->query |= (route->fields[i].place == RUSH_IN_QUERY);
        entry->header |= (route->fields[i].place == RUSH_IN_HEADER);
    }

    if (route->flags & NGX_RUSH_RAW_BODY) {
        entry->body = 1;
    }

    node = mcf->router;
    p = route->path.data;
    end = p + route->path.len;

    while (p < end) {
        segment.data = ++p;             /* skips "/" */

        while (p < end && *p != '/') {
            p++;
        }

        segment.len = p - segment.data;

        if (segment.len && segment.data[0] == '{') {
            row = ngx_rush_find_param(entry, &segment);

            if (row == NGX_ERROR) {
                ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                              "route \"%V\" has no field for \"%V\"",
                              &route->name, &segment);
                return NGX_ERROR;
            }

            entry->param[entry->nparams++] = row;
            segment.len = 0;
        }

        node = ngx_rush_add_node(cf, node, &segment);
        if (node == NULL) {
            return NGX_ERROR;
        }
    }

    slot = ngx_rush_method_slot(route->method);

    if (slot == NGX_ERROR || node->entry[slot]) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "route \"%V\" cannot be added", &route->name);
        return NGX_ERROR;
    }

    if (ngx_rush_audited(route) && (route->flags & NGX_RUSH_RAW)) {
        /* its answer would be out before its outcome is written */
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "route \"%V\" cannot be recorded", &route->name);
        return NGX_ERROR;
    }

    if (ngx_rush_idem_check(cf, route) != NGX_OK) {
        return NGX_ERROR;
    }

    node->entry[slot] = entry;

    return NGX_OK;
}


static ngx_int_t
ngx_rush_find_param(ngx_rush_entry_t *entry, ngx_str_t *segment)
{
    ngx_uint_t           i;
    const rush_field_t  *f;

    if (entry->nparams == NGX_RUSH_MAX_PARAMS || segment->len < 3) {
        return NGX_ERROR;
    }

    f = entry->route->fields;

    for (i = 0; i < entry->route->nfields; i++) {

        if (f[i].place == RUSH_IN_PATH
            && f[i].name.len == segment->len - 2
            && ngx_memcmp(f[i].name.data, segment->data + 1, f[i].name.len)
               == 0)
        {
            return i;
        }
    }

    return NGX_ERROR;
}


static ngx_rush_node_t *
ngx_rush_add_node(ngx_conf_t *cf, ngx_rush_node_t *parent, ngx_str_t *segment)
{
    ngx_rush_node_t  *node;

    if (segment->len == 0) {

        if (parent->param == NULL) {
            parent->param = ngx_pcalloc(cf->pool, sizeof(ngx_rush_node_t));
        }

        return parent->param;
    }

    for (node = parent->children; node; node = node->next) {

        if (node->segment.len == segment->len
            && ngx_memcmp(node->segment.data, segment->data, segment->len)
               == 0)
        {
            return node;
        }
    }

    node = ngx_pcalloc(cf->pool, sizeof(ngx_rush_node_t));
    if (node == NULL) {
        return NULL;
    }

    node->segment = *segment;
    node->next = parent->children;
    parent->children = node;

    return node;
}


static ngx_int_t
ngx_rush_method_slot(ngx_uint_t method)
{
    switch (method) {

    case NGX_HTTP_GET:
    case NGX_HTTP_HEAD:
        return 0;

    case NGX_HTTP_POST:
        return 1;

    case NGX_HTTP_PUT:
        return 2;

    case NGX_HTTP_DELETE:
        return 3;
    }

    return NGX_ERROR;
}


void
ngx_rush_find_route(ngx_rush_main_conf_t *mcf, ngx_uint_t apis,
    ngx_http_request_t *r, ngx_rush_match_t *match)
{
    ngx_int_t          slot;
    ngx_uint_t         i;
    ngx_rush_node_t   *node;
    ngx_rush_entry_t  *entry;

    match->entry = NULL;
    match->methods = 0;

    node = ngx_rush_find_node(mcf->router, r->uri.data,
                              r->uri.data + r->uri.len, match, 0);
    if (node == NULL) {
        return;
    }

    slot = ngx_rush_method_slot(r->method);

    for (i = 0; i < NGX_RUSH_METHODS; i++) {
        entry = node->entry[i];

        if (entry == NULL || !(entry->route->api & apis)) {
            continue;
        }

        match->methods |= entry->route->method;

        if ((ngx_int_t) i == slot) {
            match->entry = entry;
        }
    }
}


static ngx_rush_node_t *
ngx_rush_find_node(ngx_rush_node_t *node, u_char *p, u_char *end,
    ngx_rush_match_t *match, ngx_uint_t nparams)
{
    size_t             len;
    u_char            *start;
    ngx_rush_node_t   *child, *found, **link;

    if (p == end) {
        return node;
    }

    start = ++p;

    while (p < end && *p != '/') {
        p++;
    }

    len = p - start;

    for (link = &node->children; *link; link = &child->next) {
        child = *link;

        if (child->segment.len != len
            || ngx_memcmp(child->segment.data, start, len) != 0)
        {
            continue;
        }

        found = ngx_rush_find_node(child, p, end, match, nparams);

        if (found == NULL) {
            break;
        }

        /* to the front: in a sale nearly all requests are for one route */

        *link = child->next;
        child->next = node->children;
        node->children = child;

        return found;
    }

    if (node->param == NULL || len == 0 || nparams == NGX_RUSH_MAX_PARAMS) {
        return NULL;
    }

    match->param[nparams].data = start;
    match->param[nparams].len = len;

    return ngx_rush_find_node(node->param, p, end, match, nparams + 1);
}


ngx_str_t *
ngx_rush_route_name(ngx_uint_t index)
{
    return &ngx_rush_routes_conf->entries[index].route->name;
}


ngx_uint_t
ngx_rush_route_count(void)
{
    return ngx_rush_routes_conf->nroutes;
}
