
/*
 * Copyright (C) Rush
 */


#include "consumer.h"


#define RUSH_WX_SECRET  128             /* bytes of a secret */


static int rush_wechat_is_word(const char *s, size_t max);


int
rush_wechat_wanted(const rush_conf_t *conf)
{
    return conf->wechat.appid[0] != '\0';
}


int
rush_wechat_check(rush_conf_t *conf, FILE *err)
{
    int                         faults;
    const rush_wechat_conf_t   *w;

    w = &conf->wechat;

    if (!rush_wechat_wanted(conf)) {
        return 0;
    }

    faults = rush_conf_url("wechat", "base_url", w->base_url, "http", err);

    if (!faults && strchr(w->base_url, '?') != NULL) {
        fprintf(err, "[wechat] \"base_url\" must have no \"?\"\n");
        faults++;
    }

    if (strncmp(w->base_url, "https:", 6) != 0
        && !rush_conf_is_local(w->base_url))
    {
        fprintf(err, "[wechat] a secret is not sent without TLS: "
                "\"base_url\" must be https://...\n");
        faults++;
    }

    if (!rush_wechat_is_word(w->appid, 32)) {
        fprintf(err, "[wechat] \"appid\" must be letters and digits, not "
                "\"%s\"\n", w->appid);
        faults++;
    }

    if (w->secret == NULL || !rush_wechat_is_word(w->secret, RUSH_WX_SECRET)) {
        fprintf(err, "[wechat] \"secret_file\" must hold the secret of the "
                "mini program, letters and digits\n");
        faults++;
    }

    if (conf->seal_key[0] == '\0') {
        fprintf(err, "[consumer] \"seal_key\" is needed to ask WeChat\n");
        faults++;
    }

    return faults;
}


static int
rush_wechat_is_word(const char *s, size_t max)
{
    size_t  n;

    n = strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
               "0123456789");

    return n > 0 && n <= max && s[n] == '\0';
}
