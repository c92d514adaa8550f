
/*
 * Copyright (C) Rush
 *
 * The slot of "rush_mysql".  All strings are NUL-terminated: the library
 * wants them so.
 */


#include "ngx_rush_mysql_int.h"


#define NGX_RUSH_MYSQL_PASSWORD_MAX  1024       /* bytes of the file */


static char *ngx_rush_mysql_address(ngx_conf_t *cf, ngx_rush_mysql_conf_t *my,
    ngx_str_t *value);
static char *ngx_rush_mysql_option(ngx_conf_t *cf, ngx_rush_mysql_conf_t *my,
    ngx_str_t *arg);
static ngx_int_t ngx_rush_mysql_number(ngx_str_t *value, ngx_uint_t *n,
    ngx_uint_t max);
static ngx_int_t ngx_rush_mysql_msec(ngx_str_t *value, ngx_msec_t *msec);
static ngx_int_t ngx_rush_mysql_copy(ngx_conf_t *cf, ngx_str_t *dst,
    u_char *data, size_t len);
static char *ngx_rush_mysql_password(ngx_conf_t *cf, ngx_str_t *password,
    ngx_str_t *name);


char *
ngx_rush_mysql_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char                   *rv, *p = conf;
    ngx_str_t              *value;
    ngx_uint_t              i;
    ngx_rush_mysql_conf_t  *my;

    my = (ngx_rush_mysql_conf_t *) (p + cmd->offset);

    if (my->connections) {
        return "is duplicate";
    }

    my->connections = 4;
    my->queue = 256;
    my->timeout = 3000;
    my->connect_timeout = 1000;

    value = cf->args->elts;

    rv = ngx_rush_mysql_address(cf, my, &value[1]);
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    for (i = 2; i < cf->args->nelts; i++) {
        rv = ngx_rush_mysql_option(cf, my, &value[i]);
        if (rv != NGX_CONF_OK) {
            return rv;
        }
    }

    if (my->user.len == 0 || my->database.len == 0) {
        return "needs \"user=\" and \"database=\"";
    }

    if (my->password.data == NULL
        && ngx_rush_mysql_copy(cf, &my->password, (u_char *) "", 0)
           != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/* names are resolved here, once: the library would block a worker */

static char *
ngx_rush_mysql_address(ngx_conf_t *cf, ngx_rush_mysql_conf_t *my,
    ngx_str_t *value)
{
    size_t      len;
    u_char      text[NGX_SOCKADDR_STRLEN];
    ngx_url_t   u;

    ngx_memzero(&u, sizeof(ngx_url_t));

    u.url = *value;
    u.default_port = NGX_RUSH_MYSQL_PORT;

    if (ngx_parse_url(cf->pool, &u) != NGX_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "%s in address \"%V\"",
                           u.err ? u.err : "failure", value);
        return NGX_CONF_ERROR;
    }

#if (NGX_HAVE_UNIX_DOMAIN)

    if (u.family == AF_UNIX) {
        return (ngx_rush_mysql_copy(cf, &my->socket,
                                    value->data + sizeof("unix:") - 1,
                                    value->len - (sizeof("unix:") - 1))
                == NGX_OK) ? NGX_CONF_OK : NGX_CONF_ERROR;
    }

#endif

    if (u.naddrs == 0) {
        return "has no address";
    }

    len = ngx_sock_ntop(u.addrs[0].sockaddr, u.addrs[0].socklen, text,
                        NGX_SOCKADDR_STRLEN, 0);

    if (ngx_rush_mysql_copy(cf, &my->host, text, len) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    my->port = ngx_inet_get_port(u.addrs[0].sockaddr);

    return NGX_CONF_OK;
}


static char *
ngx_rush_mysql_option(ngx_conf_t *cf, ngx_rush_mysql_conf_t *my,
    ngx_str_t *arg)
{
    u_char      *p;
    ngx_int_t    rc;
    ngx_str_t    name, value;

    p = ngx_strlchr(arg->data, arg->data + arg->len, '=');

    if (p == NULL) {
        goto invalid;
    }

    name.data = arg->data;
    name.len = p - arg->data;
    value.data = p + 1;
    value.len = arg->data + arg->len - value.data;

    if (value.len == 0) {
        goto invalid;
    }

#define ngx_rush_mysql_is(s)                                                  \
    (name.len == sizeof(s) - 1 && ngx_strncmp(name.data, s, name.len) == 0)

    if (ngx_rush_mysql_is("user")) {
        rc = ngx_rush_mysql_copy(cf, &my->user, value.data, value.len);

    } else if (ngx_rush_mysql_is("database")) {
        rc = ngx_rush_mysql_copy(cf, &my->database, value.data, value.len);

    } else if (ngx_rush_mysql_is("password_file")) {
        return ngx_rush_mysql_password(cf, &my->password, &value);

    } else if (ngx_rush_mysql_is("connections")) {
        rc = ngx_rush_mysql_number(&value, &my->connections, 64);

    } else if (ngx_rush_mysql_is("queue")) {
        rc = ngx_rush_mysql_number(&value, &my->queue, 65536);

    } else if (ngx_rush_mysql_is("timeout")) {
        rc = ngx_rush_mysql_msec(&value, &my->timeout);

    } else if (ngx_rush_mysql_is("connect_timeout")) {
        rc = ngx_rush_mysql_msec(&value, &my->connect_timeout);

    } else {
        goto invalid;
    }

    if (rc == NGX_OK) {
        return NGX_CONF_OK;
    }

    if (rc == NGX_ERROR) {
        return NGX_CONF_ERROR;
    }

invalid:

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid parameter \"%V\"", arg);

    return NGX_CONF_ERROR;
}


static ngx_int_t
ngx_rush_mysql_number(ngx_str_t *value, ngx_uint_t *n, ngx_uint_t max)
{
    ngx_int_t  v;

    v = ngx_atoi(value->data, value->len);

    if (v < 1 || (ngx_uint_t) v > max) {
        return NGX_DECLINED;
    }

    *n = v;

    return NGX_OK;
}


static ngx_int_t
ngx_rush_mysql_msec(ngx_str_t *value, ngx_msec_t *msec)
{
    ngx_int_t  v;

    v = ngx_parse_time(value, 0);

    if (v < 10 || v > 3600 * 1000) {
        return NGX_DECLINED;
    }

    *msec = v;

    return NGX_OK;
}


static ngx_int_t
ngx_rush_mysql_copy(ngx_conf_t *cf, ngx_str_t *dst, u_char *data, size_t len)
{
    dst->data = ngx_pnalloc(cf->pool, len + 1);
    if (dst->data == NULL) {
        return NGX_ERROR;
    }

    dst->len = len;
    *ngx_cpymem(dst->data, data, len) = '\0';

    return NGX_OK;
}


/* the first line of the file */

static char *
ngx_rush_mysql_password(ngx_conf_t *cf, ngx_str_t *password, ngx_str_t *name)
{
    char       *rv;
    u_char     *p, buf[NGX_RUSH_MYSQL_PASSWORD_MAX];
    ssize_t     n;
    ngx_fd_t    fd;
    ngx_str_t   file;

    rv = NGX_CONF_ERROR;
    file = *name;

    if (ngx_conf_full_name(cf->cycle, &file, 1) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    fd = ngx_open_file(file.data, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           ngx_open_file_n " \"%V\" failed", &file);
        return NGX_CONF_ERROR;
    }

    n = ngx_read_fd(fd, buf, sizeof(buf));

    if (n == -1) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           ngx_read_fd_n " \"%V\" failed", &file);
        goto done;
    }

    p = ngx_strlchr(buf, buf + n, LF);

    if (p == NULL) {
        p = buf + n;
    }

    if (p > buf && p[-1] == CR) {
        p--;
    }

    if (p == buf || n == sizeof(buf) || ngx_strlchr(buf, p, '\0')) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" holds no password", &file);
        goto done;
    }

    if (ngx_rush_mysql_copy(cf, password, buf, p - buf) == NGX_OK) {
        rv = NGX_CONF_OK;
    }

done:

    ngx_explicit_memzero(buf, sizeof(buf));

    if (ngx_close_file(fd) == NGX_FILE_ERROR) {
        ngx_conf_log_error(NGX_LOG_ALERT, cf, ngx_errno,
                           ngx_close_file_n " \"%V\" failed", &file);
    }

    return rv;
}
