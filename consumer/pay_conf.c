
/*
 * Copyright (C) Rush
 *
 * Rules of [pay], [wechat_pay], [alipay] and [sandbox].  Keys are loaded here
 * and make a trial signature: a daemon that starts can sign.
 */


#include <errno.h>
#include <stdlib.h>

#include "consumer.h"


#define RUSH_PAY_URL  255               /* bytes of an address for notices */

#define RUSH_DIGITS   "0123456789"
#define RUSH_LETTERS  "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


static int rush_pay_wechat(rush_wechat_pay_conf_t *w, FILE *err);
static int rush_pay_wechat_keys(rush_wechat_pay_conf_t *w, FILE *err);
static int rush_pay_alipay(rush_alipay_conf_t *a, FILE *err);
static int rush_pay_alipay_keys(rush_alipay_conf_t *a, FILE *err);
static int rush_pay_alipay_certs(rush_alipay_conf_t *a, FILE *err);
static int rush_pay_word(const char *section, const char *name,
    const char *s, size_t max, const char *set, FILE *err);
static int rush_pay_host(const char *section, const char *name,
    const char *url, FILE *err);
static int rush_pay_notify(const char *section, const char *name,
    const char *url, const char *host, FILE *err);
static char *rush_pay_file(const char *section, const char *name,
    const char *file, size_t *len, FILE *err);
static void rush_pay_wipe(char *text, size_t len);
static rush_rsa_t *rush_pay_key(const char *section, const char *name,
    const char *file, int secret, FILE *err);
static int rush_pay_trial(const char *section, const rush_rsa_t *key,
    FILE *err);


int
rush_pay_wanted(const rush_conf_t *conf)
{
    return conf->wechat_pay.appid[0] != '\0'
           || conf->alipay.app_id[0] != '\0' || conf->sandbox;
}


int
rush_pay_check(rush_conf_t *conf, FILE *err)
{
    int               faults;
    rush_pay_conf_t  *p;

    p = &conf->pay;
    faults = 0;

    if (p->retry_max < p->retry_min) {
        fprintf(err, "[pay] \"retry_max\" must not be below \"retry_min\"\n");
        faults++;
    }

    if (p->timeout < p->connect_timeout) {
        fprintf(err, "[pay] \"timeout\" must not be below "
                "\"connect_timeout\"\n");
        faults++;
    }

    if (conf->wechat_pay.appid[0] != '\0') {
        faults += rush_pay_wechat(&conf->wechat_pay, err);

        /* workers learn of certificates under this seal */

        if (conf->seal_key[0] == '\0') {
            fprintf(err, "[consumer] \"seal_key\" is needed for WeChat "
                    "Pay\n");
            faults++;
        }
    }

    if (conf->alipay.app_id[0] != '\0') {
        faults += rush_pay_alipay(&conf->alipay, err);
    }

    return faults;
}


void
rush_pay_free(rush_conf_t *conf)
{
    rush_rsa_free(conf->wechat_pay.key);
    rush_rsa_free(conf->wechat_pay.public_key);
    rush_rsa_free(conf->alipay.key);
    rush_rsa_free(conf->alipay.public_key);

    conf->wechat_pay.key = NULL;
    conf->wechat_pay.public_key = NULL;
    conf->alipay.key = NULL;
    conf->alipay.public_key = NULL;

    explicit_bzero(conf->wechat_pay.apiv3, RUSH_WXPAY_APIV3);
    rush_buf_free(&conf->alipay.app_sn);
    rush_buf_free(&conf->alipay.root_sn);
}


static int
rush_pay_wechat(rush_wechat_pay_conf_t *w, FILE *err)
{
    int  faults;

    faults = rush_pay_word("wechat_pay", "appid", w->appid, 32,
                           RUSH_LETTERS RUSH_DIGITS, err)
             + rush_pay_word("wechat_pay", "mchid", w->mchid, 32,
                             RUSH_DIGITS, err)
             + rush_pay_word("wechat_pay", "serial", w->serial,
                             RUSH_RSA_SERIAL, "0123456789ABCDEF", err)
             + rush_pay_host("wechat_pay", "base_url", w->base_url, err)
             + rush_pay_notify("wechat_pay", "notify_url", w->notify_url,
                               w->base_url, err)
             + rush_pay_notify("wechat_pay", "refund_notify_url",
                               w->refund_notify_url, w->base_url, err);

    if (w->base_url2[0] != '\0') {
        faults += rush_pay_host("wechat_pay", "base_url2", w->base_url2, err);
    }

    if ((w->public_key_id[0] != '\0') != (w->public_key_file[0] != '\0')) {
        fprintf(err, "[wechat_pay] \"public_key_id\" and \"public_key_file\" "
                "go together; without them platform certificates are used\n");
        faults++;
    }

    if (w->public_key_id[0] != '\0'
        && (strncmp(w->public_key_id, "PUB_KEY_ID_", 11) != 0
            || rush_pay_word("wechat_pay", "public_key_id",
                             w->public_key_id, RUSH_WXPAY_SERIAL,
                             RUSH_LETTERS RUSH_DIGITS "_", err)))
    {
        fprintf(err, "[wechat_pay] \"public_key_id\" must begin with "
                "PUB_KEY_ID_\n");
        faults++;
    }

    return faults + rush_pay_wechat_keys(w, err);
}


static int
rush_pay_wechat_keys(rush_wechat_pay_conf_t *w, FILE *err)
{
    int          faults;
    char        *text;
    size_t       len;
    const char  *why;

    faults = 0;

    w->key = rush_pay_key("wechat_pay", "key_file", w->key_file, 1, err);
    faults += rush_pay_trial("wechat_pay", w->key, err);

    text = rush_pay_file("wechat_pay", "apiv3_key_file", w->apiv3_key_file,
                         &len, err);
    faults += (text == NULL);

    /* a key of 16 bytes would make another cipher of it, without a word */

    if (text != NULL
        && rush_wxpay_apiv3(text, len, w->apiv3, &why) != RUSH_OK)
    {
        fprintf(err, "[wechat_pay] \"apiv3_key_file\": \"%s\" %s\n",
                w->apiv3_key_file, why);
        faults++;
    }

    rush_pay_wipe(text, len);

    if (w->public_key_file[0] != '\0') {
        w->public_key = rush_pay_key("wechat_pay", "public_key_file",
                                     w->public_key_file, 0, err);
        faults += (w->public_key == NULL);
    }

    return faults;
}


static int
rush_pay_alipay(rush_alipay_conf_t *a, FILE *err)
{
    int  faults, certs;

    faults = rush_pay_word("alipay", "app_id", a->app_id, 32, RUSH_DIGITS,
                           err)
             + rush_pay_word("alipay", "seller_id", a->seller_id, 28,
                             RUSH_DIGITS, err)
             + rush_pay_host("alipay", "gateway", a->gateway, err)
             + rush_pay_notify("alipay", "notify_url", a->notify_url,
                               a->gateway, err);

    if (a->return_url[0] != '\0') {
        faults += rush_pay_notify("alipay", "return_url", a->return_url,
                                  a->gateway, err);
    }

    certs = (a->app_cert_file[0] != '\0') + (a->cert_file[0] != '\0')
            + (a->root_cert_file[0] != '\0');

    if ((certs != 0 && certs != 3)
        || (certs == 3) == (a->public_key_file[0] != '\0'))
    {
        fprintf(err, "[alipay] either \"public_key_file\" is needed, or "
                "\"app_cert_file\", \"cert_file\" and \"root_cert_file\" "
                "together\n");
        faults++;
    }

    return faults + rush_pay_alipay_keys(a, err);
}


static int
rush_pay_alipay_keys(rush_alipay_conf_t *a, FILE *err)
{
    int  faults;

    a->key = rush_pay_key("alipay", "key_file", a->key_file, 1, err);
    faults = rush_pay_trial("alipay", a->key, err);

    if (a->public_key_file[0] != '\0') {
        a->public_key = rush_pay_key("alipay", "public_key_file",
                                     a->public_key_file, 0, err);
        return faults + (a->public_key == NULL);
    }

    if (a->cert_file[0] != '\0' && a->app_cert_file[0] != '\0'
        && a->root_cert_file[0] != '\0')
    {
        faults += rush_pay_alipay_certs(a, err);
    }

    return faults;
}


static int
rush_pay_alipay_certs(rush_alipay_conf_t *a, FILE *err)
{
    int          faults;
    char        *text;
    size_t       len;
    const char  *why;
    rush_rsa_t  *app;

    faults = 0;

    a->public_key = rush_pay_key("alipay", "cert_file", a->cert_file, 0,
                                 err);
    faults += (a->public_key == NULL);

    if (a->public_key != NULL && rush_rsa_info(a->public_key)->sn[0] == '\0') {
        fprintf(err, "[alipay] \"cert_file\" is a bare key and no "
                "certificate\n");
        faults++;
    }

    app = rush_pay_key("alipay", "app_cert_file", a->app_cert_file, 0,
                       err);
    faults += (app == NULL);

    if (app != NULL) {
        rush_buf_puts(&a->app_sn, rush_rsa_info(app)->sn);

        if (a->key != NULL && !rush_rsa_is_pair(a->key, app)) {
            fprintf(err, "[alipay] \"app_cert_file\" is not of the key in "
                    "\"key_file\"\n");
            faults++;
        }
    }

    rush_rsa_free(app);

    text = rush_pay_file("alipay", "root_cert_file", a->root_cert_file, &len,
                         err);
    faults += (text == NULL);

    if (text != NULL
        && rush_rsa_root_sn(text, len, &a->root_sn, &why) != RUSH_OK)
    {
        fprintf(err, "[alipay] \"root_cert_file\": \"%s\" %s\n",
                a->root_cert_file, why);
        faults++;
    }

    rush_pay_wipe(text, len);

    if (a->app_sn.failed || a->root_sn.failed) {
        fprintf(err, "[alipay] no memory\n");
        faults++;
    }

    return faults;
}


static int
rush_pay_word(const char *section, const char *name, const char *s,
    size_t max, const char *set, FILE *err)
{
    size_t  n;

    n = strspn(s, set);

    if (n > 0 && n <= max && s[n] == '\0') {
        return 0;
    }

    fprintf(err, "[%s] \"%s\" must be 1 to %zu of %s, not \"%s\"\n", section,
            name, max, set[0] != '0' ? "letters and digits"
            : set[10] == '\0' ? "0-9" : "0-9 A-F", s);

    return 1;
}


static int
rush_pay_host(const char *section, const char *name, const char *url,
    FILE *err)
{
    int  faults;

    faults = rush_conf_url(section, name, url, "http", err);

    if (!faults && strpbrk(url, "?#") != NULL) {
        fprintf(err, "[%s] \"%s\" must have no \"?\" and no \"#\"\n", section,
                name);
        faults++;
    }

    if (!faults && strncmp(url, "https:", 6) != 0 && !rush_conf_is_local(url))
    {
        fprintf(err, "[%s] payments need TLS: \"%s\" must be https://...\n",
                section, name);
        faults++;
    }

    return faults;
}


/* providers take https only; who tries things out on this host may do so */

static int
rush_pay_notify(const char *section, const char *name, const char *url,
    const char *host, FILE *err)
{
    int  faults;

    faults = rush_conf_url(section, name, url, "http", err);

    if (!faults
        && (strpbrk(url, "?#") != NULL || strlen(url) > RUSH_PAY_URL
            || (strncmp(url, "https:", 6) != 0 && !rush_conf_is_local(host))))
    {
        fprintf(err, "[%s] \"%s\" must be https://..., without \"?\" and "
                "\"#\", %d bytes at most\n", section, name, RUSH_PAY_URL);
        faults++;
    }

    return faults;
}


/* the whole file, NUL behind; wipe it */

static char *
rush_pay_file(const char *section, const char *name, const char *file,
    size_t *len, FILE *err)
{
    char  *text;
    FILE  *f;

    *len = 0;

    if (file[0] == '\0') {
        fprintf(err, "[%s] \"%s\" is needed\n", section, name);
        return NULL;
    }

    text = calloc(1, RUSH_RSA_FILE + 1);
    f = text == NULL ? NULL : fopen(file, "re");

    if (f != NULL) {
        *len = fread(text, 1, RUSH_RSA_FILE, f);
    }

    if (f == NULL || ferror(f)) {
        fprintf(err, "[%s] \"%s\": cannot read \"%s\": %s\n", section, name,
                file, strerror(errno));
        rush_pay_wipe(text, *len);
        text = NULL;
    }

    if (f != NULL) {
        (void) fclose(f);
    }

    return text;
}


static void
rush_pay_wipe(char *text, size_t len)
{
    if (text != NULL) {
        explicit_bzero(text, len);
        free(text);
    }
}


/* secret: a private key */

static rush_rsa_t *
rush_pay_key(const char *section, const char *name, const char *file,
    int secret, FILE *err)
{
    char        *text;
    size_t       len;
    const char  *why;
    rush_rsa_t  *key;

    text = rush_pay_file(section, name, file, &len, err);
    if (text == NULL) {
        return NULL;
    }

    key = secret ? rush_rsa_private(text, len, &why)
                 : rush_rsa_public(text, len, &why);
    rush_pay_wipe(text, len);

    if (key == NULL) {
        fprintf(err, "[%s] \"%s\": \"%s\" %s\n", section, name, file, why);
    }

    return key;
}


/* without a key that was told already, but it is a fault */

static int
rush_pay_trial(const char *section, const rush_rsa_t *key, FILE *err)
{
    rush_str_t     text = rush_string("trial");
    unsigned char  sign[RUSH_RSA_SIGN_TEXT];

    if (key == NULL) {
        return 1;
    }

    if (rush_rsa_sign(key, &text, 1, sign) == 0) {
        fprintf(err, "[%s] the key in \"key_file\" cannot sign\n", section);
        return 1;
    }

    return 0;
}
