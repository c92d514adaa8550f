
/*
 * Copyright (C) Rush
 */


#include "ngx_rush_core.h"
#include "ngx_rush_counters.h"


/*
 * What happens before a request's input is looked at, in this order: peers
 * of internal routes, global limit, limit by address, token, role, limit by
 * user.  Nothing of it waits; ngx_rush_sure() comes later.
 */


static ngx_int_t ngx_rush_check_peer(ngx_rush_req_t *q,
    ngx_rush_main_conf_t *mcf);
static void ngx_rush_expect_buyer(ngx_rush_req_t *q, ngx_rush_rate_t *rate,
    ngx_rush_main_conf_t *mcf);
static ngx_int_t ngx_rush_bearer(ngx_rush_req_t *q);
static ngx_int_t ngx_rush_check_token(ngx_rush_req_t *q,
    ngx_rush_main_conf_t *mcf);
static ngx_int_t ngx_rush_check_limit(ngx_rush_req_t *q,
    ngx_rush_loc_conf_t *lcf, ngx_uint_t class, uint64_t key);


ngx_int_t
ngx_rush_admit(ngx_rush_req_t *q, ngx_rush_loc_conf_t *lcf,
    ngx_rush_main_conf_t *mcf)
{
    ngx_int_t          rc;
    ngx_rush_route_t  *route;

    route = q->route;

    if (route->auth == NGX_RUSH_INTERNAL) {
        return ngx_rush_check_peer(q, mcf);
    }

    if (route->limit == NGX_RUSH_LIMIT_BUY) {
        ngx_rush_expect_buyer(q, &lcf->limits[NGX_RUSH_LIMIT_BUY], mcf);
    }

    rc = ngx_rush_check_limit(q, lcf, NGX_RUSH_LIMIT_GLOBAL, 0);

    if (rc == RUSH_OK && (route->limit == NGX_RUSH_LIMIT_API
                          || route->limit == NGX_RUSH_LIMIT_LOGIN))
    {
        rc = ngx_rush_check_limit(q, lcf, route->limit,
                                  ngx_rush_addr_key(q->r));
    }

    if (rc == RUSH_OK && route->auth != NGX_RUSH_PUBLIC) {
        rc = ngx_rush_check_token(q, mcf);
    }

    if (rc == RUSH_OK && route->limit == NGX_RUSH_LIMIT_BUY) {
        rc = ngx_rush_check_limit(q, lcf, NGX_RUSH_LIMIT_BUY, q->user.user);
    }

    return rc;
}


static ngx_int_t
ngx_rush_check_peer(ngx_rush_req_t *q, ngx_rush_main_conf_t *mcf)
{
    struct sockaddr  *sa;

    sa = q->r->connection->sockaddr;

#if (NGX_HAVE_UNIX_DOMAIN)
    if (sa->sa_family == AF_UNIX) {
        return RUSH_OK;
    }
#endif

    if (ngx_cidr_match(sa, mcf->internal) == NGX_OK) {
        return RUSH_OK;
    }

    return RUSH_NOT_FOUND;              /* does not tell that it exists */
}


/*
 * A million buyers have a million cells of the limit: to wait for the memory
 * of one takes as long as half a signature, so it is on its way meanwhile.
 */

static void
ngx_rush_expect_buyer(ngx_rush_req_t *q, ngx_rush_rate_t *rate,
    ngx_rush_main_conf_t *mcf)
{
    if (mcf->jwt && ngx_rush_bearer(q) == NGX_OK) {
        ngx_rush_limit_fetch(rate, rush_jwt_peek(mcf->jwt, q->token.data,
                                                 q->token.len));
    }
}


static ngx_int_t
ngx_rush_bearer(ngx_rush_req_t *q)
{
    ngx_table_elt_t  *h;

    static const u_char  bearer[] = "Bearer ";

    h = q->r->headers_in.authorization;

    if (h == NULL || h->value.len <= sizeof(bearer) - 1
        || (ngx_memcmp(h->value.data, bearer, sizeof(bearer) - 1) != 0
            && ngx_strncasecmp(h->value.data, (u_char *) bearer,
                               sizeof(bearer) - 1)
               != 0))
    {
        return NGX_DECLINED;
    }

    q->token.data = h->value.data + sizeof(bearer) - 1;
    q->token.len = h->value.len - (sizeof(bearer) - 1);

    return NGX_OK;
}


static ngx_int_t
ngx_rush_check_token(ngx_rush_req_t *q, ngx_rush_main_conf_t *mcf)
{
    ngx_uint_t  auth;

    auth = ngx_rush_auth(q->route);

    if (q->r->headers_in.authorization == NULL) {
        return auth == NGX_RUSH_OPTIONAL ? RUSH_OK : RUSH_UNAUTHORIZED;
    }

    if (mcf->jwt == NULL || ngx_rush_bearer(q) != NGX_OK) {
        return RUSH_UNAUTHORIZED;
    }

    /*
     * A bad token is refused on OPTIONAL routes too: the client believes to
     * be somebody, and an answer for nobody would hide that it is not.
     */

    if (rush_jwt_verify(mcf->jwt, q->token.data, q->token.len, ngx_time(),
                        &q->user)
        != RUSH_OK)
    {
        ngx_rush_count(NGX_RUSH_C_TOKEN_BAD, 1);
        return RUSH_UNAUTHORIZED;
    }

    if (ngx_rush_revoked(&q->user) != NGX_OK) {
        ngx_rush_count(NGX_RUSH_C_TOKEN_REVOKED, 1);
        return RUSH_UNAUTHORIZED;
    }

    q->logged = 1;
    q->came = ngx_current_msec;
    q->unsure = !ngx_rush_revoke_heard(q->came);

    return auth == NGX_RUSH_ADMIN
           ? ngx_rush_may(q->user.roles, ngx_rush_permission(q->route))
           : RUSH_OK;
}


ngx_int_t
ngx_rush_sure(ngx_rush_req_t *q)
{
    if (!q->unsure) {
        return NGX_OK;
    }

    if (!ngx_rush_revoke_heard(q->came)) {
        ngx_rush_count(NGX_RUSH_C_REVOKE_ASKED, 1);
        return ngx_rush_feed_wait(q);
    }

    q->unsure = 0;

    if (ngx_rush_revoked(&q->user) != NGX_OK) {
        ngx_rush_count(NGX_RUSH_C_TOKEN_REVOKED, 1);
        return RUSH_UNAUTHORIZED;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_rush_check_limit(ngx_rush_req_t *q, ngx_rush_loc_conf_t *lcf,
    ngx_uint_t class, uint64_t key)
{
    u_char            *p;
    ngx_str_t          value;
    ngx_rush_rate_t   *rate;
    ngx_rush_quota_t   quota;

    static ngx_str_t  names[NGX_RUSH_LIMIT_CLASSES] = {
        ngx_null_string, ngx_string("api"), ngx_string("buy"),
        ngx_string("login"), ngx_string("global")
    };

    static ngx_uint_t  counters[NGX_RUSH_LIMIT_CLASSES] = {
        0, NGX_RUSH_C_LIMITED_API, NGX_RUSH_C_LIMITED_BUY,
        NGX_RUSH_C_LIMITED_LOGIN, NGX_RUSH_C_LIMITED_GLOBAL
    };

    rate = &lcf->limits[class];

    if (rate->rate == 0
        || ngx_rush_limit(rate, key, &quota) == NGX_OK)
    {
        return RUSH_OK;
    }

    ngx_rush_count(counters[class], 1);

    q->retry_after = quota.retry_after;

    /* draft-ietf-httpapi-ratelimit-headers */

    p = ngx_pnalloc(q->r->pool, 128);
    if (p == NULL) {
        return RUSH_INTERNAL;
    }

    value.data = p;
    value.len = ngx_snprintf(p, 64, "\"%V\";r=%ui;t=%ui", &names[class],
                             quota.remaining, quota.reset) - p;

    if (ngx_rush_add_header(q->r, "RateLimit", sizeof("RateLimit") - 1,
                            &value)
        != NGX_OK)
    {
        return RUSH_INTERNAL;
    }

    p += 64;
    value.data = p;
    value.len = ngx_snprintf(p, 64, "\"%V\";q=%ui;w=%ui", &names[class],
                             rate->rate, rate->period) - p;

    if (ngx_rush_add_header(q->r, "RateLimit-Policy",
                            sizeof("RateLimit-Policy") - 1, &value)
        != NGX_OK)
    {
        return RUSH_INTERNAL;
    }

    return RUSH_LIMITED;
}


char *
ngx_rush_jwt_key_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_rush_main_conf_t  *mcf = conf;

    u_char                *text;
    ssize_t                n;
    ngx_str_t             *value;
    ngx_file_t             file;
    const char            *err;
    ngx_file_info_t        fi;
    ngx_pool_cleanup_t    *cln;

    value = cf->args->elts;

    if (mcf->jwt) {
        return "is duplicate";
    }

    if (ngx_conf_full_name(cf->cycle, &value[1], 1) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln == NULL) {
        return NGX_CONF_ERROR;
    }

    mcf->jwt = rush_jwt_create("rush", "rush", 30);
    if (mcf->jwt == NULL) {
        return NGX_CONF_ERROR;
    }

    cln->handler = (ngx_pool_cleanup_pt) rush_jwt_destroy;
    cln->data = mcf->jwt;

    ngx_memzero(&file, sizeof(ngx_file_t));
    file.name = value[1];
    file.log = cf->log;
    file.fd = ngx_open_file(value[1].data, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);

    if (file.fd == NGX_INVALID_FILE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           "token key file \"%V\" cannot be read", &value[1]);
        return NGX_CONF_ERROR;
    }

    text = NULL;
    n = NGX_ERROR;

    if (ngx_fd_info(file.fd, &fi) != NGX_FILE_ERROR
        && ngx_file_size(&fi) > 0 && ngx_file_size(&fi) < 65536)
    {
        text = ngx_alloc(ngx_file_size(&fi), cf->log);

        if (text) {
            n = ngx_read_file(&file, text, ngx_file_size(&fi), 0);
        }
    }

    (void) ngx_close_file(file.fd);

    err = "is empty, too large or cannot be read";

    if (n <= 0 || rush_jwt_load(mcf->jwt, text, n, &err) != RUSH_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "token key file \"%V\": %s",
                           &value[1], err);
        cmd = NULL;
    }

    if (text) {
        ngx_explicit_memzero(text, ngx_file_size(&fi));
        ngx_free(text);
    }

    return cmd ? NGX_CONF_OK : NGX_CONF_ERROR;
}


size_t
ngx_rush_token(rush_claims_t *claims, u_char *dst)
{
    ngx_rush_main_conf_t  *mcf;

    mcf = ngx_http_cycle_get_module_main_conf(ngx_cycle,
                                              ngx_http_rush_core_module);

    if (mcf == NULL || mcf->jwt == NULL) {
        return 0;
    }

    claims->issued = ngx_time();
    claims->expires += claims->issued;

    return rush_jwt_sign(mcf->jwt, claims, dst);
}
