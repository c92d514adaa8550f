
/*
 * Copyright (C) Rush
 *
 * Redis client, the directive
 *
 *   rush_redis unix:/path | address[:port] [user=name] [password_file=path]
 *              [db=n] [timeout=time] [connect_timeout=time] [stall=time]
 *              [queue=n];
 *
 * The conf is a member of the module's own conf at cmd->offset and starts
 * zeroed.  A name is resolved here, once; its first address is taken.
 */


#include "ngx_rush_redis.h"


#define NGX_RUSH_REDIS_PORT      6379
#define NGX_RUSH_REDIS_TIMEOUT   1000
#define NGX_RUSH_REDIS_QUEUE     65536
#define NGX_RUSH_REDIS_TIME_MAX  60000
#define NGX_RUSH_REDIS_DB_MAX    65535
#define NGX_RUSH_REDIS_PASS_MAX  512


static char *ngx_rush_redis_addr(ngx_conf_t *cf, ngx_rush_redis_conf_t *rcf,
    ngx_str_t *value);
static char *ngx_rush_redis_param(ngx_conf_t *cf, ngx_rush_redis_conf_t *rcf,
    ngx_str_t *value);
static ngx_int_t ngx_rush_redis_time(ngx_str_t *value, ngx_msec_t *ms);
static ngx_int_t ngx_rush_redis_number(ngx_str_t *value, ngx_int_t min,
    ngx_int_t max, ngx_int_t *n);
static char *ngx_rush_redis_password(ngx_conf_t *cf,
    ngx_rush_redis_conf_t *rcf, ngx_str_t *path);
static ngx_int_t ngx_rush_redis_read_file(ngx_conf_t *cf, ngx_str_t *name,
    u_char *buf, size_t size, size_t *len);


char *
ngx_rush_redis_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char  *p = conf;

    char                   *rv;
    ngx_str_t              *value;
    ngx_uint_t              i;
    ngx_rush_redis_conf_t  *rcf;

    rcf = (ngx_rush_redis_conf_t *) (p + cmd->offset);

    if (rcf->addr.sockaddr) {
        return "is duplicate";
    }

    rcf->connect_timeout = NGX_RUSH_REDIS_TIMEOUT;
    rcf->timeout = NGX_RUSH_REDIS_TIMEOUT;
    rcf->stall = NGX_RUSH_REDIS_TIMEOUT;
    rcf->queue = NGX_RUSH_REDIS_QUEUE;

    value = cf->args->elts;

    rv = ngx_rush_redis_addr(cf, rcf, &value[1]);
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    for (i = 2; i < cf->args->nelts; i++) {
        rv = ngx_rush_redis_param(cf, rcf, &value[i]);
        if (rv != NGX_CONF_OK) {
            return rv;
        }
    }

    if (rcf->user.len && rcf->password.len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"user\" needs \"password_file\" in \"%V\"",
                           &cmd->name);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static char *
ngx_rush_redis_addr(ngx_conf_t *cf, ngx_rush_redis_conf_t *rcf,
    ngx_str_t *value)
{
    ngx_url_t  u;

    ngx_memzero(&u, sizeof(ngx_url_t));

    u.url = *value;
    u.default_port = NGX_RUSH_REDIS_PORT;

    if (ngx_parse_url(cf->pool, &u) != NGX_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "%s in address \"%V\"",
                           u.err ? u.err : "no memory", &u.url);
        return NGX_CONF_ERROR;
    }

    if (u.naddrs == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "no address in \"%V\"",
                           &u.url);
        return NGX_CONF_ERROR;
    }

    rcf->addr = u.addrs[0];

    return NGX_CONF_OK;
}


static char *
ngx_rush_redis_param(ngx_conf_t *cf, ngx_rush_redis_conf_t *rcf,
    ngx_str_t *value)
{
    ngx_int_t   rc, n;
    ngx_str_t   s;

    n = 0;
    rc = NGX_ERROR;

    if (ngx_strncmp(value->data, "user=", 5) == 0) {
        rcf->user.data = value->data + 5;
        rcf->user.len = value->len - 5;
        rc = rcf->user.len ? NGX_OK : NGX_ERROR;

    } else if (ngx_strncmp(value->data, "password_file=", 14) == 0) {
        s.data = value->data + 14;
        s.len = value->len - 14;

        if (s.len) {
            return ngx_rush_redis_password(cf, rcf, &s);
        }

    } else if (ngx_strncmp(value->data, "db=", 3) == 0) {
        s.data = value->data + 3;
        s.len = value->len - 3;
        rc = ngx_rush_redis_number(&s, 0, NGX_RUSH_REDIS_DB_MAX, &n);
        rcf->db = n;

    } else if (ngx_strncmp(value->data, "queue=", 6) == 0) {
        s.data = value->data + 6;
        s.len = value->len - 6;
        rc = ngx_rush_redis_number(&s, 1, 16 * NGX_RUSH_REDIS_QUEUE, &n);
        rcf->queue = n;

    } else if (ngx_strncmp(value->data, "timeout=", 8) == 0) {
        s.data = value->data + 8;
        s.len = value->len - 8;
        rc = ngx_rush_redis_time(&s, &rcf->timeout);

    } else if (ngx_strncmp(value->data, "connect_timeout=", 16) == 0) {
        s.data = value->data + 16;
        s.len = value->len - 16;
        rc = ngx_rush_redis_time(&s, &rcf->connect_timeout);

    } else if (ngx_strncmp(value->data, "stall=", 6) == 0) {
        s.data = value->data + 6;
        s.len = value->len - 6;
        rc = ngx_rush_redis_time(&s, &rcf->stall);
    }

    if (rc != NGX_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid parameter \"%V\"",
                           value);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_rush_redis_time(ngx_str_t *value, ngx_msec_t *ms)
{
    ngx_int_t  n;

    n = ngx_parse_time(value, 0);

    if (n == NGX_ERROR || n == 0 || n > NGX_RUSH_REDIS_TIME_MAX) {
        return NGX_ERROR;
    }

    *ms = n;

    return NGX_OK;
}


static ngx_int_t
ngx_rush_redis_number(ngx_str_t *value, ngx_int_t min, ngx_int_t max,
    ngx_int_t *n)
{
    *n = ngx_atoi(value->data, value->len);

    if (*n == NGX_ERROR || *n < min || *n > max) {
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* the first line of the file */

static char *
ngx_rush_redis_password(ngx_conf_t *cf, ngx_rush_redis_conf_t *rcf,
    ngx_str_t *path)
{
    char       *rv;
    u_char     *p, buf[NGX_RUSH_REDIS_PASS_MAX + 2];
    size_t      len;
    ngx_str_t   name;

    name = *path;

    if (ngx_conf_full_name(cf->cycle, &name, 1) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    if (ngx_rush_redis_read_file(cf, &name, buf, sizeof(buf), &len)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    rv = NGX_CONF_ERROR;

    p = ngx_strlchr(buf, buf + len, LF);
    if (p) {
        len = p - buf;
    }

    if (len && buf[len - 1] == CR) {
        len--;
    }

    if (len == 0 || len > NGX_RUSH_REDIS_PASS_MAX) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "the first line of \"%V\" is no password of 1..%d "
                           "bytes", &name, NGX_RUSH_REDIS_PASS_MAX);
        goto done;
    }

    rcf->password.data = ngx_pnalloc(cf->pool, len);
    if (rcf->password.data == NULL) {
        goto done;
    }

    ngx_memcpy(rcf->password.data, buf, len);
    rcf->password.len = len;

    rv = NGX_CONF_OK;

done:

    ngx_explicit_memzero(buf, sizeof(buf));

    return rv;
}


static ngx_int_t
ngx_rush_redis_read_file(ngx_conf_t *cf, ngx_str_t *name, u_char *buf,
    size_t size, size_t *len)
{
    ssize_t          n;
    ngx_int_t        rc;
    ngx_file_t       file;
    ngx_file_info_t  fi;

    ngx_memzero(&file, sizeof(ngx_file_t));

    file.name = *name;
    file.log = cf->log;

    file.fd = ngx_open_file(name->data, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);

    if (file.fd == NGX_INVALID_FILE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           ngx_open_file_n " \"%V\" failed", name);
        return NGX_ERROR;
    }

    rc = NGX_ERROR;

    if (ngx_fd_info(file.fd, &fi) == NGX_FILE_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           ngx_fd_info_n " \"%V\" failed", name);
        goto done;
    }

    if (!ngx_is_file(&fi)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"%V\" is not a file",
                           name);
        goto done;
    }

    if (ngx_file_access(&fi) & (S_IROTH|S_IWOTH)) {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "\"%V\" is open to all users", name);
    }

    n = ngx_read_file(&file, buf, size, 0);

    if (n == NGX_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           ngx_read_file_n " \"%V\" failed", name);
        goto done;
    }

    *len = n;
    rc = NGX_OK;

done:

    if (ngx_close_file(file.fd) == NGX_FILE_ERROR) {
        ngx_conf_log_error(NGX_LOG_ALERT, cf, ngx_errno,
                           ngx_close_file_n " \"%V\" failed", name);
    }

    return rc;
}
