
/*
 * Copyright (C) Rush
 */


#include <string.h>

#include <jansson.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "wechat.h"


static rush_wx_rc_e rush_wx_read(const char *body, size_t len, json_t **root,
    int64_t *code);
static int rush_wx_text(json_t *root, const char *name, char *dst,
    size_t size);
static rush_wx_rc_e rush_wx_number(json_t *info, const char *appid,
    int64_t now, char *mobile);
static int rush_wx_digits(const char *s, size_t min, size_t max);
static long rush_wx_base64(unsigned char *dst, size_t size,
    const unsigned char *src, size_t len);


static const struct {
    int64_t       code;
    rush_wx_rc_e  rc;
} rush_wx_codes[] = {
    { -1,    RUSH_WX_BUSY },
    { 45009, RUSH_WX_BUSY },
    { 40029, RUSH_WX_BAD_CODE },
    { 40163, RUSH_WX_BAD_CODE },
    { 45011, RUSH_WX_OFTEN },
    { 40226, RUSH_WX_BLOCKED },
    { 40001, RUSH_WX_BAD_TOKEN },
    { 40014, RUSH_WX_BAD_TOKEN },
    { 42001, RUSH_WX_BAD_TOKEN },
    { 0,     RUSH_WX_OK }
};


rush_wx_rc_e
rush_wx_session(const char *body, size_t len, rush_wx_session_t *s,
    int64_t *code)
{
    long           n;
    char           key[RUSH_WX_KEY * 2];
    json_t        *root;
    rush_wx_rc_e   rc;

    memset(s, 0, sizeof(rush_wx_session_t));

    rc = rush_wx_read(body, len, &root, code);
    if (rc != RUSH_WX_OK) {
        return rc;
    }

    n = RUSH_ERROR;

    if (rush_wx_text(root, "openid", s->openid, sizeof(s->openid)) == RUSH_OK
        && s->openid[0] != '\0'
        && rush_wx_text(root, "unionid", s->unionid, sizeof(s->unionid))
           == RUSH_OK
        && rush_wx_text(root, "session_key", key, sizeof(key)) == RUSH_OK)
    {
        n = rush_wx_base64(s->key, sizeof(s->key), (unsigned char *) key,
                           strlen(key));
    }

    OPENSSL_cleanse(key, sizeof(key));
    json_decref(root);

    return n == RUSH_WX_KEY ? RUSH_WX_OK : RUSH_WX_BUSY;
}


rush_wx_rc_e
rush_wx_token(const char *body, size_t len, char token[RUSH_WX_TOKEN],
    int64_t *expires, int64_t *code)
{
    json_t        *root;
    rush_wx_rc_e   rc;

    token[0] = '\0';

    rc = rush_wx_read(body, len, &root, code);
    if (rc != RUSH_WX_OK) {
        return rc;
    }

    *expires = json_integer_value(json_object_get(root, "expires_in"));

    if (rush_wx_text(root, "access_token", token, RUSH_WX_TOKEN) != RUSH_OK
        || token[0] == '\0' || *expires <= 0)
    {
        rc = RUSH_WX_BUSY;
    }

    json_decref(root);

    return rc;
}


rush_wx_rc_e
rush_wx_phone(const char *body, size_t len, const char *appid, int64_t now,
    char mobile[RUSH_WX_MOBILE], int64_t *code)
{
    json_t        *root;
    rush_wx_rc_e   rc;

    mobile[0] = '\0';

    rc = rush_wx_read(body, len, &root, code);
    if (rc != RUSH_WX_OK) {
        return rc;
    }

    rc = rush_wx_number(json_object_get(root, "phone_info"), appid, now,
                        mobile);
    json_decref(root);

    return rc;
}


rush_wx_rc_e
rush_wx_open_phone(const unsigned char key[RUSH_WX_KEY],
    const rush_str_t *data, const rush_str_t *iv, const char *appid,
    int64_t now, char mobile[RUSH_WX_MOBILE])
{
    long            n;
    json_t         *root;
    rush_wx_rc_e    rc;
    unsigned char   text[RUSH_WX_DATA_MAX];

    mobile[0] = '\0';

    if (data->len > sizeof(text)) {
        return RUSH_WX_BAD_DATA;
    }

    n = rush_wx_open(text, key, data, iv);
    if (n == RUSH_ERROR) {
        return RUSH_WX_BAD_DATA;
    }

    root = json_loadb((char *) text, (size_t) n, JSON_REJECT_DUPLICATES,
                      NULL);
    rc = rush_wx_number(root, appid, now, mobile);

    json_decref(root);
    OPENSSL_cleanse(text, sizeof(text));

    return rc;
}


long
rush_wx_open(unsigned char *dst, const unsigned char key[RUSH_WX_KEY],
    const rush_str_t *data, const rush_str_t *iv)
{
    int              n, rest;
    long             len;
    unsigned char    start[RUSH_WX_KEY], raw[RUSH_WX_DATA_MAX];
    EVP_CIPHER_CTX  *ctx;

    if (rush_wx_base64(start, sizeof(start), iv->data, iv->len)
        != RUSH_WX_KEY)
    {
        return RUSH_ERROR;
    }

    len = rush_wx_base64(raw, sizeof(raw), data->data, data->len);

    if (len <= 0 || len % RUSH_WX_KEY != 0) {
        return RUSH_ERROR;
    }

    ctx = EVP_CIPHER_CTX_new();
    if (ctx == NULL) {
        return RUSH_ERROR;
    }

    /* what is left after the padding is shorter than the base64 text */

    if (EVP_DecryptInit_ex(ctx, EVP_aes_128_cbc(), NULL, key, start) != 1
        || EVP_DecryptUpdate(ctx, dst, &n, raw, (int) len) != 1
        || EVP_DecryptFinal_ex(ctx, dst + n, &rest) != 1)
    {
        len = RUSH_ERROR;

    } else {
        len = n + rest;
        dst[len] = '\0';
    }

    EVP_CIPHER_CTX_free(ctx);

    return len;
}


/* RUSH_WX_OK and an object that has no errcode but 0 */

static rush_wx_rc_e
rush_wx_read(const char *body, size_t len, json_t **root, int64_t *code)
{
    size_t        i;
    json_t       *value;
    rush_wx_rc_e  rc;

    *code = 0;

    *root = json_loadb(body, len, JSON_REJECT_DUPLICATES, NULL);

    if (!json_is_object(*root)) {
        json_decref(*root);
        return RUSH_WX_BUSY;            /* a proxy's page, half an answer */
    }

    value = json_object_get(*root, "errcode");
    *code = json_integer_value(value);

    if (value == NULL || (json_is_integer(value) && *code == 0)) {
        return RUSH_WX_OK;
    }

    rc = RUSH_WX_REFUSED;

    for (i = 0; rush_wx_codes[i].code != 0; i++) {
        if (rush_wx_codes[i].code == *code) {
            rc = rush_wx_codes[i].rc;
        }
    }

    json_decref(*root);

    return rc;
}


/* a missing member is ""; RUSH_ERROR: too long, or another type */

static int
rush_wx_text(json_t *root, const char *name, char *dst, size_t size)
{
    size_t   len;
    json_t  *value;

    dst[0] = '\0';

    value = json_object_get(root, name);
    if (value == NULL) {
        return RUSH_OK;
    }

    len = json_string_length(value);

    if (!json_is_string(value) || len >= size
        || memchr(json_string_value(value), '\0', len) != NULL)
    {
        return RUSH_ERROR;
    }

    memcpy(dst, json_string_value(value), len + 1);

    return RUSH_OK;
}


/* a number that WeChat gave to another mini program is none of ours */

static rush_wx_rc_e
rush_wx_number(json_t *info, const char *appid, int64_t now, char *mobile)
{
    char         pure[RUSH_WX_MOBILE], country[RUSH_WX_MOBILE];
    json_t      *mark;
    int64_t      age;
    const char  *owner;

    mark = json_object_get(info, "watermark");
    owner = json_string_value(json_object_get(mark, "appid"));

    /* what is not there was marked in 1970 */

    age = now - json_integer_value(json_object_get(mark, "timestamp"));

    if (owner == NULL || strcmp(owner, appid) != 0
        || age > RUSH_WX_AGE || age < -RUSH_WX_AGE
        || rush_wx_text(info, "purePhoneNumber", pure, sizeof(pure))
           != RUSH_OK
        || rush_wx_text(info, "countryCode", country, sizeof(country))
           != RUSH_OK
        || rush_wx_digits(country, 1, 4) != RUSH_OK)
    {
        return RUSH_WX_BAD_DATA;
    }

    if (strcmp(country, "86") == 0) {

        if (rush_wx_digits(pure, 11, 11) != RUSH_OK) {
            return RUSH_WX_BAD_DATA;
        }

        memcpy(mobile, pure, 12);

        return RUSH_WX_OK;
    }

    /* E.164: 15 digits at most */

    if (rush_wx_digits(pure, 4, 15 - strlen(country)) != RUSH_OK) {
        return RUSH_WX_BAD_DATA;
    }

    mobile[0] = '+';
    memcpy(mobile + 1, country, strlen(country));
    memcpy(mobile + 1 + strlen(country), pure, strlen(pure) + 1);

    return RUSH_WX_OK;
}


static int
rush_wx_digits(const char *s, size_t min, size_t max)
{
    size_t  n;

    n = strspn(s, "0123456789");

    return s[n] == '\0' && n >= min && n <= max ? RUSH_OK : RUSH_ERROR;
}


/* RFC 4648, section 4; the library pads its result with zeros */

static long
rush_wx_base64(unsigned char *dst, size_t size, const unsigned char *src,
    size_t len)
{
    int            n, pad;
    unsigned char  buf[RUSH_WX_DATA_MAX];

    if (len == 0 || len % 4 != 0 || len > sizeof(buf)) {
        return RUSH_ERROR;
    }

    pad = (src[len - 1] == '=') + (src[len - 2] == '=');

    n = EVP_DecodeBlock(buf, src, (int) len);

    if (n < pad || (size_t) (n - pad) > size
        || memchr(src, '=', len - 2) != NULL)
    {
        OPENSSL_cleanse(buf, sizeof(buf));
        return RUSH_ERROR;
    }

    memcpy(dst, buf, (size_t) (n - pad));
    OPENSSL_cleanse(buf, sizeof(buf));

    return n - pad;
}
