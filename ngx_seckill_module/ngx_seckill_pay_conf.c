
/*
 * Copyright (C) Rush
 */


#include "ngx_seckill_pay.h"


#define NGX_SECKILL_CHANNEL(NAME, number, name, provider)                     \
    { ngx_string(name), RUSH_CHANNEL_##NAME, RUSH_PROVIDER_##provider },

static const ngx_seckill_channel_t  ngx_seckill_channels[] = {
    RUSH_PAY_CHANNELS(NGX_SECKILL_CHANNEL)
    { ngx_null_string, 0, 0 }
};


#define NGX_SECKILL_PROVIDER(NAME, number, name)  name,

static const char  *ngx_seckill_providers[] = {
    RUSH_PAY_PROVIDERS(NGX_SECKILL_PROVIDER)
};


/* "seckill_pay_channels wechat_native ... sandbox" */

char *
ngx_seckill_pay_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_seckill_main_conf_t  *mcf = conf;

    ngx_str_t                    *value;
    ngx_uint_t                    i;
    const ngx_seckill_channel_t  *c;

    if (mcf->pay_channels) {
        return "is duplicate";
    }

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {
        c = ngx_seckill_find_channel(&value[i]);

        if (c == NULL) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "there is no channel \"%V\"", &value[i]);
            return NGX_CONF_ERROR;
        }

        if ((mcf->pay_channels >> c->channel) & 1) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "channel \"%V\" is given twice", &value[i]);
            return NGX_CONF_ERROR;
        }

        mcf->pay_channels |= (ngx_uint_t) 1 << c->channel;
    }

    return NGX_CONF_OK;
}


const ngx_seckill_channel_t *
ngx_seckill_find_channel(ngx_str_t *name)
{
    const ngx_seckill_channel_t  *c;

    for (c = ngx_seckill_channels; c->name.len; c++) {

        if (c->name.len == name->len
            && ngx_memcmp(c->name.data, name->data, name->len) == 0)
        {
            return c;
        }
    }

    return NULL;
}


const char *
ngx_seckill_channel_name(int64_t channel)
{
    const ngx_seckill_channel_t  *c;

    for (c = ngx_seckill_channels; c->name.len; c++) {

        if ((int64_t) c->channel == channel) {
            return (const char *) c->name.data;
        }
    }

    return "";
}


const char *
ngx_seckill_provider_name(int64_t provider)
{
    return (provider > 0 && provider < RUSH_PROVIDERS)
           ? ngx_seckill_providers[provider] : "";
}


ngx_uint_t
ngx_seckill_find_provider(ngx_str_t *name)
{
    ngx_uint_t  i;

    i = ngx_seckill_find_name(ngx_seckill_providers, RUSH_PROVIDERS, name);

    return i == RUSH_PROVIDERS ? RUSH_PROVIDER_NONE : i;
}
