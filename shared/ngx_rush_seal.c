
/*
 * Copyright (C) Rush
 *
 * The key that this node shares with the consumer.
 */


#include "ngx_rush_core.h"


static void ngx_rush_seal_wipe(void *data);


char *
ngx_rush_seal_key_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_rush_main_conf_t  *mcf = conf;

    ssize_t                n;
    u_char                 text[RUSH_SEAL_TEXT];
    ngx_int_t              rc;
    ngx_str_t             *value;
    ngx_file_t             file;
    const char            *err;
    ngx_pool_cleanup_t    *cln;

    value = cf->args->elts;

    if (mcf->seal) {
        return "is duplicate";
    }

    if (ngx_conf_full_name(cf->cycle, &value[1], 1) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    cln = ngx_pool_cleanup_add(cf->pool, sizeof(rush_seal_t));
    if (cln == NULL) {
        return NGX_CONF_ERROR;
    }

    cln->handler = ngx_rush_seal_wipe;

    ngx_memzero(&file, sizeof(ngx_file_t));
    file.name = value[1];
    file.log = cf->log;
    file.fd = ngx_open_file(value[1].data, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);

    if (file.fd == NGX_INVALID_FILE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           "seal key file \"%V\" cannot be read", &value[1]);
        return NGX_CONF_ERROR;
    }

    n = ngx_read_file(&file, text, sizeof(text), 0);

    (void) ngx_close_file(file.fd);

    err = "cannot be read";
    rc = n < 0 ? RUSH_ERROR : rush_seal_load(cln->data, text, n, &err);

    ngx_explicit_memzero(text, sizeof(text));

    if (rc != RUSH_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "seal key file \"%V\" %s",
                           &value[1], err);
        return NGX_CONF_ERROR;
    }

    mcf->seal = cln->data;

    return NGX_CONF_OK;
}


static void
ngx_rush_seal_wipe(void *data)
{
    rush_seal_wipe(data);
}


ngx_int_t
ngx_rush_need_seal(ngx_conf_t *cf, const char *directive)
{
    ngx_rush_main_conf_t  *mcf;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_rush_core_module);

    if (mcf->seal) {
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "\"%s\" needs \"rush_seal_key\"", directive);

    return NGX_ERROR;
}


const rush_seal_t *
ngx_rush_seal_key(ngx_http_request_t *r)
{
    ngx_rush_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_rush_core_module);

    return mcf->seal;
}
