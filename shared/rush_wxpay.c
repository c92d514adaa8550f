
/*
 * Copyright (C) Rush
 *
 * Signatures of WeChat Pay, both sides, and encrypted resources.  Objects are
 * read in rush_wxpay_read.c.
 */


#include "rush_wxpay.h"

#include <stdio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "rush_field.h"
#include "rush_seal.h"


#define RUSH_WXPAY_SCHEME  "WECHATPAY2-SHA256-RSA2048 "
#define RUSH_WXPAY_AEAD    "AEAD_AES_256_GCM"

#define RUSH_WXPAY_HEADER  128          /* bytes of a nonce, at most */

#define RUSH_WXPAY_MIN_IV  12           /* bytes */
#define RUSH_WXPAY_MAX_IV  16


static int rush_wxpay_nonce(const rush_str_t *given, unsigned char *dst,
    rush_str_t *nonce);
static int rush_wxpay_line(const rush_rsa_t *key, rush_str_t *lines,
    size_t n, unsigned char *dst, rush_str_t *signature);
static int rush_wxpay_decrypt(const unsigned char *key,
    const rush_wxpay_resource_t *rs, unsigned char *p, int len);


static rush_str_t  rush_wxpay_lf = rush_string("\n");


int
rush_wxpay_authorize(const rush_wxpay_merchant_t *m,
    const rush_wxpay_request_t *rq, rush_buf_t *b)
{
    int             n;
    char            text[24];
    rush_str_t      lines[5], nonce, timestamp, signature;
    unsigned char   own[RUSH_WXPAY_NONCE], sign[RUSH_RSA_SIGN_TEXT];

    n = snprintf(text, sizeof(text), "%lld", (long long) (rq->now / 1000));

    timestamp.data = (unsigned char *) text;
    timestamp.len = (size_t) n;

    if (rush_wxpay_nonce(&rq->nonce, own, &nonce) != RUSH_OK) {
        return RUSH_ERROR;
    }

    lines[0] = rq->method;
    lines[1] = rq->target;
    lines[2] = timestamp;
    lines[3] = nonce;
    lines[4] = rq->body;

    if (rush_wxpay_line(m->key, lines, 5, sign, &signature) != RUSH_OK) {
        return RUSH_ERROR;
    }

    rush_buf_puts(b, RUSH_WXPAY_SCHEME "mchid=\"");
    rush_buf_add(b, m->mchid.data, m->mchid.len);
    rush_buf_puts(b, "\",nonce_str=\"");
    rush_buf_add(b, nonce.data, nonce.len);
    rush_buf_puts(b, "\",timestamp=\"");
    rush_buf_add(b, timestamp.data, timestamp.len);
    rush_buf_puts(b, "\",serial_no=\"");
    rush_buf_add(b, m->serial.data, m->serial.len);
    rush_buf_puts(b, "\",signature=\"");
    rush_buf_add(b, signature.data, signature.len);
    rush_buf_puts(b, "\"");

    return b->failed ? RUSH_ERROR : RUSH_OK;
}


void
rush_wxpay_message(const rush_wxpay_request_t *rq,
    const rush_str_t *timestamp, const rush_str_t *nonce, rush_buf_t *b)
{
    size_t             i;
    const rush_str_t  *lines[5];

    lines[0] = &rq->method;
    lines[1] = &rq->target;
    lines[2] = timestamp;
    lines[3] = nonce;
    lines[4] = &rq->body;

    for (i = 0; i < 5; i++) {
        rush_buf_add(b, lines[i]->data, lines[i]->len);
        rush_buf_add(b, "\n", 1);
    }
}


int
rush_wxpay_jsapi(const rush_rsa_t *key, const rush_wxpay_client_t *c,
    rush_buf_t *b)
{
    int             n;
    char            text[24];
    rush_buf_t      package;
    rush_str_t      lines[4], signature;
    unsigned char   own[RUSH_WXPAY_NONCE], sign[RUSH_RSA_SIGN_TEXT];

    memset(&package, 0, sizeof(rush_buf_t));
    rush_buf_puts(&package, "prepay_id=");
    rush_buf_add(&package, c->prepay_id.data, c->prepay_id.len);

    n = snprintf(text, sizeof(text), "%lld", (long long) (c->now / 1000));

    lines[0] = c->appid;
    lines[1].data = (unsigned char *) text;
    lines[1].len = (size_t) n;
    lines[3].data = package.data;
    lines[3].len = package.len;

    if (package.failed
        || rush_wxpay_nonce(&c->nonce, own, &lines[2]) != RUSH_OK
        || rush_wxpay_line(key, lines, 4, sign, &signature) != RUSH_OK)
    {
        rush_buf_free(&package);
        return RUSH_ERROR;
    }

    rush_json_str(b, "appId", &c->appid);
    rush_json_str(b, "timeStamp", &lines[1]);
    rush_json_str(b, "nonceStr", &lines[2]);
    rush_json_str(b, "package", &lines[3]);
    rush_json_text(b, "signType", "RSA");
    rush_json_str(b, "paySign", &signature);

    rush_buf_free(&package);

    return b->failed ? RUSH_ERROR : RUSH_OK;
}


int
rush_wxpay_app(const rush_rsa_t *key, const rush_str_t *mchid,
    const rush_wxpay_client_t *c, rush_buf_t *b)
{
    int             n;
    char            text[24];
    rush_str_t      lines[4], signature;
    unsigned char   own[RUSH_WXPAY_NONCE], sign[RUSH_RSA_SIGN_TEXT];

    n = snprintf(text, sizeof(text), "%lld", (long long) (c->now / 1000));

    lines[0] = c->appid;
    lines[1].data = (unsigned char *) text;
    lines[1].len = (size_t) n;
    lines[3] = c->prepay_id;

    if (rush_wxpay_nonce(&c->nonce, own, &lines[2]) != RUSH_OK
        || rush_wxpay_line(key, lines, 4, sign, &signature) != RUSH_OK)
    {
        return RUSH_ERROR;
    }

    rush_json_str(b, "appid", &c->appid);
    rush_json_str(b, "partnerid", mchid);
    rush_json_str(b, "prepayid", &c->prepay_id);
    rush_json_text(b, "package", "Sign=WXPay");
    rush_json_str(b, "noncestr", &lines[2]);
    rush_json_str(b, "timestamp", &lines[1]);
    rush_json_str(b, "sign", &signature);

    return b->failed ? RUSH_ERROR : RUSH_OK;
}


/* the given one, or a random one in dst (RUSH_WXPAY_NONCE bytes) */

static int
rush_wxpay_nonce(const rush_str_t *given, unsigned char *dst,
    rush_str_t *nonce)
{
    size_t         i;
    unsigned char  bytes[RUSH_WXPAY_NONCE / 2];

    static const char  hex[] = "0123456789ABCDEF";

    if (given->len != 0) {
        *nonce = *given;
        return RUSH_OK;
    }

    if (RAND_bytes(bytes, sizeof(bytes)) != 1) {
        return RUSH_ERROR;
    }

    for (i = 0; i < sizeof(bytes); i++) {
        dst[2 * i] = (unsigned char) hex[bytes[i] >> 4];
        dst[2 * i + 1] = (unsigned char) hex[bytes[i] & 0xf];
    }

    nonce->data = dst;
    nonce->len = RUSH_WXPAY_NONCE;

    return RUSH_OK;
}


/* signs lines, each with an LF behind it, at most 5 */

static int
rush_wxpay_line(const rush_rsa_t *key, rush_str_t *lines, size_t n,
    unsigned char *dst, rush_str_t *signature)
{
    size_t      i;
    rush_str_t  parts[10];

    for (i = 0; i < n; i++) {
        parts[2 * i] = lines[i];
        parts[2 * i + 1] = rush_wxpay_lf;
    }

    signature->data = dst;
    signature->len = rush_rsa_sign(key, parts, 2 * n, dst);

    return signature->len ? RUSH_OK : RUSH_ERROR;
}


rush_doubt_e
rush_wxpay_verify(const rush_wxpay_ring_t *ring,
    const rush_wxpay_seal_t *seal, const rush_str_t *body, int64_t now)
{
    rush_doubt_e       doubt;
    const rush_rsa_t  *key;

    doubt = rush_wxpay_check(seal, now);

    if (doubt != RUSH_TRUSTED) {
        return doubt;
    }

    key = rush_wxpay_ring_find(ring, &seal->serial, now);

    if (key == NULL) {
        return RUSH_DOUBT_SERIAL;
    }

    return rush_wxpay_verify_by(key, seal, body, now);
}


rush_doubt_e
rush_wxpay_verify_by(const rush_rsa_t *key, const rush_wxpay_seal_t *seal,
    const rush_str_t *body, int64_t now)
{
    rush_str_t    parts[6];
    rush_doubt_e  doubt;

    doubt = rush_wxpay_check(seal, now);

    if (doubt != RUSH_TRUSTED) {
        return doubt;
    }

    parts[0] = seal->timestamp;
    parts[1] = rush_wxpay_lf;
    parts[2] = seal->nonce;
    parts[3] = rush_wxpay_lf;
    parts[4] = *body;
    parts[5] = rush_wxpay_lf;

    return rush_doubt(rush_rsa_verify(key, parts, 6, &seal->signature),
                      RUSH_DOUBT_SIGNATURE);
}


rush_doubt_e
rush_wxpay_check(const rush_wxpay_seal_t *seal, int64_t now)
{
    size_t   i;
    int64_t  seconds;

    if (seal->timestamp.len == 0 || seal->nonce.len == 0
        || seal->serial.len == 0 || seal->signature.len == 0)
    {
        return RUSH_DOUBT_UNSIGNED;
    }

    if (rush_parse_u63(seal->timestamp.data, seal->timestamp.len, &seconds)
        != RUSH_OK
        || seconds > INT64_MAX / 2000
        || now - seconds * 1000 >= RUSH_WXPAY_WINDOW
        || seconds * 1000 - now >= RUSH_WXPAY_WINDOW)
    {
        return RUSH_DOUBT_TIME;
    }

    if (!rush_wxpay_is_serial(&seal->serial)
        || seal->nonce.len > RUSH_WXPAY_HEADER)
    {
        return RUSH_DOUBT_FORMAT;
    }

    /* an LF in it would move the border to the body */

    for (i = 0; i < seal->nonce.len; i++) {

        if (seal->nonce.data[i] <= ' ' || seal->nonce.data[i] >= 0x7f) {
            return RUSH_DOUBT_FORMAT;
        }
    }

    return RUSH_TRUSTED;
}


int
rush_wxpay_is_serial(const rush_str_t *serial)
{
    size_t         i;
    unsigned char  c;

    if (serial->len == 0 || serial->len > RUSH_WXPAY_SERIAL) {
        return 0;
    }

    for (i = 0; i < serial->len; i++) {
        c = serial->data[i];

        if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z')
              || (c >= 'a' && c <= 'z') || c == '_'))
        {
            return 0;
        }
    }

    return 1;
}


int
rush_wxpay_ring_add(rush_wxpay_ring_t *ring, const rush_str_t *serial,
    rush_rsa_t *key)
{
    int64_t                until, first;
    unsigned               i, place;
    rush_str_t             own;
    const rush_rsa_info_t *info;

    info = rush_rsa_info(key);
    until = info->until;
    own.data = (unsigned char *) (uintptr_t) info->serial;
    own.len = strlen(info->serial);

    if (serial == NULL) {
        serial = &own;
    }

    if (!rush_wxpay_is_serial(serial)) {
        rush_rsa_free(key);
        return RUSH_ERROR;
    }

    place = ring->n;
    first = INT64_MAX;

    for (i = 0; i < ring->n; i++) {

        if (ring->keys[i].len == serial->len
            && memcmp(ring->keys[i].serial, serial->data, serial->len) == 0)
        {
            place = i;
            break;
        }

        if (ring->n == RUSH_WXPAY_KEYS && ring->keys[i].until != 0
            && ring->keys[i].until < first)
        {
            first = ring->keys[i].until;
            place = i;
        }
    }

    if (place == RUSH_WXPAY_KEYS) {
        rush_rsa_free(key);
        return RUSH_ERROR;
    }

    if (place < ring->n) {
        rush_rsa_free(ring->keys[place].key);

    } else {
        ring->n++;
    }

    ring->keys[place].key = key;
    ring->keys[place].until = until;
    ring->keys[place].len = serial->len;
    memcpy(ring->keys[place].serial, serial->data, serial->len);

    return RUSH_OK;
}


const rush_rsa_t *
rush_wxpay_ring_find(const rush_wxpay_ring_t *ring, const rush_str_t *serial,
    int64_t now)
{
    unsigned  i;

    for (i = 0; i < ring->n; i++) {

        if (ring->keys[i].len == serial->len
            && memcmp(ring->keys[i].serial, serial->data, serial->len) == 0)
        {
            return (ring->keys[i].until != 0 && now >= ring->keys[i].until)
                   ? NULL : ring->keys[i].key;
        }
    }

    return NULL;
}


void
rush_wxpay_ring_free(rush_wxpay_ring_t *ring)
{
    unsigned  i;

    for (i = 0; i < ring->n; i++) {
        rush_rsa_free(ring->keys[i].key);
    }

    memset(ring, 0, sizeof(rush_wxpay_ring_t));
}


int
rush_wxpay_apiv3(const void *text, size_t len, unsigned char *key,
    const char **err)
{
    size_t                i;
    const unsigned char  *p;

    p = text;

    while (len > 0 && (p[len - 1] == '\n' || p[len - 1] == '\r'
                       || p[len - 1] == ' '))
    {
        len--;
    }

    *err = "must hold the APIv3 key, 32 printable characters";

    if (len != RUSH_WXPAY_APIV3) {
        return RUSH_ERROR;
    }

    for (i = 0; i < len; i++) {

        if (p[i] <= ' ' || p[i] >= 0x7f) {
            return RUSH_ERROR;
        }
    }

    memcpy(key, p, len);

    return RUSH_OK;
}


long
rush_wxpay_open(const unsigned char *key, const rush_wxpay_resource_t *rs,
    unsigned char *dst)
{
    int   rc;
    long  len;

    if (rs->algorithm.len != sizeof(RUSH_WXPAY_AEAD) - 1
        || memcmp(rs->algorithm.data, RUSH_WXPAY_AEAD, rs->algorithm.len) != 0
        || rs->ciphertext.len > RUSH_WXPAY_RESOURCE
        || rs->associated_data.len > RUSH_WXPAY_RESOURCE
        || rs->nonce.len < RUSH_WXPAY_MIN_IV
        || rs->nonce.len > RUSH_WXPAY_MAX_IV)
    {
        return RUSH_ERROR;
    }

    len = rush_base64_decode(dst, rs->ciphertext.data, rs->ciphertext.len);

    rc = (len < RUSH_SEAL_TAG)
         ? RUSH_ERROR
         : rush_wxpay_decrypt(key, rs, dst, (int) len - RUSH_SEAL_TAG);

    if (rc != RUSH_OK) {
        /* what is not authentic does not stay */
        OPENSSL_cleanse(dst, rs->ciphertext.len / 4 * 3);
        return rc;
    }

    return len - RUSH_SEAL_TAG;
}


/* in place; the tag follows the text.  The nonce may have any length, which
 * rush_unseal_gcm() does not allow */

static int
rush_wxpay_decrypt(const unsigned char *key, const rush_wxpay_resource_t *rs,
    unsigned char *p, int len)
{
    int              n, rc;
    EVP_CIPHER_CTX  *ctx;

    ctx = EVP_CIPHER_CTX_new();
    if (ctx == NULL) {
        return RUSH_UNSURE;
    }

    rc = RUSH_UNSURE;                   /* only the tag can be wrong */

    if (EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, NULL, NULL) == 1
        && EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN,
                               (int) rs->nonce.len, NULL) == 1
        && EVP_DecryptInit_ex(ctx, NULL, NULL, key, rs->nonce.data) == 1
        && (rs->associated_data.len == 0
            || EVP_DecryptUpdate(ctx, NULL, &n, rs->associated_data.data,
                                 (int) rs->associated_data.len) == 1)
        && (len == 0 || EVP_DecryptUpdate(ctx, p, &n, p, len) == 1)
        && EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, RUSH_SEAL_TAG,
                               p + len) == 1)
    {
        rc = (EVP_DecryptFinal_ex(ctx, p + len, &n) == 1) ? RUSH_OK
                                                          : RUSH_ERROR;
    }

    EVP_CIPHER_CTX_free(ctx);
    ERR_clear_error();

    return rc;
}
