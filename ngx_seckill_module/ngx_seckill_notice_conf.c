
/*
 * Copyright (C) Rush
 *
 * Directives of notices: which provider, and by what its notices are proved.
 */


#include "ngx_seckill_notice.h"


typedef struct {
    ngx_str_t             name;         /* with "=" */
    ngx_str_t            *value;
    ngx_array_t         **values;       /* or this: may come several times */
} ngx_seckill_option_t;


static void ngx_seckill_notice_wipe(void *data);
static char *ngx_seckill_notice_options(ngx_conf_t *cf,
    ngx_seckill_option_t *options, ngx_uint_t n);
static ngx_int_t ngx_seckill_notice_file(ngx_conf_t *cf, ngx_str_t *name,
    ngx_str_t *text);
static rush_rsa_t *ngx_seckill_notice_load(ngx_conf_t *cf, ngx_str_t *name);
static ngx_int_t ngx_seckill_notice_apiv3(ngx_conf_t *cf, ngx_str_t *name,
    u_char *key);


#define ngx_seckill_option(name, value, values)                               \
    { ngx_string(name "="), value, values }

#define NGX_SECKILL_PUBLIC_KEY  "PUB_KEY_ID_"


/* seckill_wechat_pay apiv3_key=FILE [public_key_id=ID public_key=FILE]
 *     [mchid=ID] [appid=ID]...; */

char *
ngx_seckill_wechat_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_seckill_main_conf_t  *mcf = conf;

    char                       *err;
    ngx_str_t                   apiv3, id, file;
    rush_rsa_t                 *key;
    ngx_seckill_wechat_conf_t  *wcf;

    ngx_seckill_option_t  options[] = {
        ngx_seckill_option("apiv3_key", &apiv3, NULL),
        ngx_seckill_option("public_key_id", &id, NULL),
        ngx_seckill_option("public_key", &file, NULL),
        ngx_seckill_option("mchid", NULL, NULL),
        ngx_seckill_option("appid", NULL, NULL)
    };

    if (ngx_seckill_notice_make(cf, mcf) == NULL) {
        return NGX_CONF_ERROR;
    }

    wcf = &mcf->notice->wechat;

    if (wcf->on) {
        return "is duplicate";
    }

    options[3].value = &wcf->mchid;
    options[4].values = &wcf->appids;
    ngx_str_null(&apiv3);
    ngx_str_null(&id);
    ngx_str_null(&file);

    err = ngx_seckill_notice_options(cf, options, 5);

    if (err != NGX_CONF_OK) {
        return err;
    }

    if (apiv3.len == 0) {
        return "needs \"apiv3_key=\"";
    }

    if ((id.len == 0) != (file.len == 0)) {
        return "needs both \"public_key_id=\" and \"public_key=\", or none";
    }

    if (ngx_seckill_notice_apiv3(cf, &apiv3, wcf->apiv3) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    wcf->on = 1;

    if (id.len == 0) {
        return NGX_CONF_OK;
    }

    if (id.len < sizeof(NGX_SECKILL_PUBLIC_KEY)
        || ngx_strncmp(id.data, NGX_SECKILL_PUBLIC_KEY,
                       sizeof(NGX_SECKILL_PUBLIC_KEY) - 1) != 0)
    {
        return "has a \"public_key_id=\" without \"PUB_KEY_ID_\"";
    }

    key = ngx_seckill_notice_load(cf, &file);
    if (key == NULL) {
        return NGX_CONF_ERROR;
    }

    if (rush_wxpay_ring_add(&wcf->ring, (rush_str_t *) &id, key) != RUSH_OK) {
        return "has a bad \"public_key_id=\"";
    }

    return NGX_CONF_OK;
}


/* seckill_alipay key=FILE [seller_id=ID] [app_id=ID]...; */

char *
ngx_seckill_alipay_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_seckill_main_conf_t  *mcf = conf;

    char                       *err;
    ngx_str_t                   file;
    ngx_seckill_alipay_conf_t  *acf;

    ngx_seckill_option_t  options[] = {
        ngx_seckill_option("key", &file, NULL),
        ngx_seckill_option("seller_id", NULL, NULL),
        ngx_seckill_option("app_id", NULL, NULL)
    };

    if (ngx_seckill_notice_make(cf, mcf) == NULL) {
        return NGX_CONF_ERROR;
    }

    acf = &mcf->notice->alipay;

    if (acf->key) {
        return "is duplicate";
    }

    options[1].value = &acf->seller;
    options[2].values = &acf->apps;
    ngx_str_null(&file);

    err = ngx_seckill_notice_options(cf, options, 3);

    if (err != NGX_CONF_OK) {
        return err;
    }

    if (file.len == 0) {
        return "needs \"key=\"";
    }

    acf->key = ngx_seckill_notice_load(cf, &file);

    return acf->key ? NGX_CONF_OK : NGX_CONF_ERROR;
}


/* in postconfiguration */

ngx_int_t
ngx_seckill_notice_check(ngx_conf_t *cf, ngx_seckill_notice_conf_t *ncf)
{
    if (!ncf->wechat.on || ncf->wechat.ring.n) {
        return NGX_OK;
    }

    /* certificates come from the consumer, sealed */

    return ngx_rush_need_seal(cf, "seckill_wechat_pay");
}


ngx_seckill_notice_conf_t *
ngx_seckill_notice_make(ngx_conf_t *cf, ngx_seckill_main_conf_t *mcf)
{
    ngx_pool_cleanup_t  *cln;

    if (mcf->notice) {
        return mcf->notice;
    }

    cln = ngx_pool_cleanup_add(cf->pool, sizeof(ngx_seckill_notice_conf_t));
    if (cln == NULL) {
        return NULL;
    }

    ngx_memzero(cln->data, sizeof(ngx_seckill_notice_conf_t));
    cln->handler = ngx_seckill_notice_wipe;
    mcf->notice = cln->data;

    return mcf->notice;
}


static void
ngx_seckill_notice_wipe(void *data)
{
    ngx_seckill_notice_conf_t  *ncf = data;

    rush_wxpay_ring_free(&ncf->wechat.ring);
    rush_rsa_free(ncf->alipay.key);
    ngx_explicit_memzero(ncf, sizeof(ngx_seckill_notice_conf_t));
}


static char *
ngx_seckill_notice_options(ngx_conf_t *cf, ngx_seckill_option_t *options,
    ngx_uint_t n)
{
    ngx_str_t   *value, *v;
    ngx_uint_t   i, k;

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        for (k = 0; k < n; k++) {

            if (value[i].len > options[k].name.len
                && ngx_strncmp(value[i].data, options[k].name.data,
                               options[k].name.len) == 0)
            {
                break;
            }
        }

        if (k == n) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "parameter \"%V\" is unknown or empty",
                               &value[i]);
            return NGX_CONF_ERROR;
        }

        v = options[k].value;

        if (options[k].values) {

            if (*options[k].values == NULL) {
                *options[k].values = ngx_array_create(cf->pool, 2,
                                                      sizeof(ngx_str_t));
            }

            v = *options[k].values ? ngx_array_push(*options[k].values)
                                   : NULL;
            if (v == NULL) {
                return NGX_CONF_ERROR;
            }

        } else if (v->len) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "parameter \"%V\" is duplicate", &value[i]);
            return NGX_CONF_ERROR;
        }

        v->data = value[i].data + options[k].name.len;
        v->len = value[i].len - options[k].name.len;
    }

    return NGX_CONF_OK;
}


/* in memory that the caller wipes and frees; the name becomes a full one */

static ngx_int_t
ngx_seckill_notice_file(ngx_conf_t *cf, ngx_str_t *name, ngx_str_t *text)
{
    ssize_t     n;
    ngx_file_t  file;

    if (ngx_conf_full_name(cf->cycle, name, 1) != NGX_OK) {
        return NGX_ERROR;
    }

    text->data = ngx_alloc(RUSH_RSA_FILE + 1, cf->log);
    if (text->data == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(&file, sizeof(ngx_file_t));
    file.name = *name;
    file.log = cf->log;
    file.fd = ngx_open_file(name->data, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);
    n = -1;

    if (file.fd != NGX_INVALID_FILE) {
        n = ngx_read_file(&file, text->data, RUSH_RSA_FILE + 1, 0);
        (void) ngx_close_file(file.fd);
    }

    if (n < 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           "key file \"%V\" cannot be read", name);
        ngx_free(text->data);
        return NGX_ERROR;
    }

    text->len = n;

    return NGX_OK;
}


static rush_rsa_t *
ngx_seckill_notice_load(ngx_conf_t *cf, ngx_str_t *name)
{
    ngx_str_t    text;
    rush_rsa_t  *key;
    const char  *err;

    if (ngx_seckill_notice_file(cf, name, &text) != NGX_OK) {
        return NULL;
    }

    key = rush_rsa_public(text.data, text.len, &err);

    ngx_explicit_memzero(text.data, text.len);
    ngx_free(text.data);

    if (key == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "key file \"%V\" %s", name,
                           err);
    }

    return key;
}


static ngx_int_t
ngx_seckill_notice_apiv3(ngx_conf_t *cf, ngx_str_t *name, u_char *key)
{
    int          rc;
    ngx_str_t    text;
    const char  *err;

    if (ngx_seckill_notice_file(cf, name, &text) != NGX_OK) {
        return NGX_ERROR;
    }

    rc = rush_wxpay_apiv3(text.data, text.len, key, &err);

    ngx_explicit_memzero(text.data, text.len);
    ngx_free(text.data);

    if (rc != RUSH_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "key file \"%V\" %s", name,
                           err);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* any, where none is configured */

ngx_uint_t
ngx_seckill_notice_is_ours(ngx_array_t *names, rush_str_t *name)
{
    ngx_str_t   *v;
    ngx_uint_t   i;

    if (names == NULL) {
        return 1;
    }

    v = names->elts;

    for (i = 0; i < names->nelts; i++) {

        if (v[i].len == name->len
            && ngx_memcmp(v[i].data, name->data, name->len) == 0)
        {
            return 1;
        }
    }

    return 0;
}
