
/*
 * Copyright (C) Rush
 */


#include "rush_seal.h"

#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include "rush_buf.h"
#include "rush_jwt.h"


#define RUSH_SEAL_KEY_TEXT  43          /* base64url of a key */


static int rush_seal_subkey(const rush_seal_t *seal, const char *label,
    unsigned char *dst);
static int rush_seal_with(EVP_CIPHER_CTX *ctx, int encrypt,
    const rush_str_t *with);


int
rush_seal_load(rush_seal_t *seal, const unsigned char *text, size_t len,
    const char **err)
{
    unsigned char  raw[RUSH_SEAL_KEY_TEXT];

    while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\r'
                       || text[len - 1] == ' '))
    {
        len--;
    }

    if (len != RUSH_SEAL_KEY_TEXT
        || rush_base64url_decode(raw, text, len) != RUSH_SEAL_KEY)
    {
        *err = "must hold 32 random bytes as 43 characters of base64url";
        return RUSH_ERROR;
    }

    memcpy(seal->key, raw, RUSH_SEAL_KEY);
    OPENSSL_cleanse(raw, sizeof(raw));

    return RUSH_OK;
}


void
rush_seal_wipe(rush_seal_t *seal)
{
    OPENSSL_cleanse(seal, sizeof(rush_seal_t));
}


size_t
rush_seal(const rush_seal_t *seal, const char *label, const rush_str_t *with,
    const void *data, size_t len, unsigned char *dst)
{
    int            rc;
    unsigned char  key[RUSH_SEAL_KEY];

    if (rush_seal_subkey(seal, label, key) != RUSH_OK
        || RAND_bytes(dst, RUSH_SEAL_NONCE) != 1)
    {
        return 0;
    }

    rc = rush_seal_gcm(key, dst, with, data, len, dst + RUSH_SEAL_NONCE,
                       dst + RUSH_SEAL_NONCE + len);

    OPENSSL_cleanse(key, sizeof(key));

    return rc == RUSH_OK ? len + RUSH_SEAL_EXTRA : 0;
}


int
rush_unseal(const rush_seal_t *seal, const char *label, const rush_str_t *with,
    const void *data, size_t len, unsigned char *dst)
{
    int                   rc;
    unsigned char         key[RUSH_SEAL_KEY];
    const unsigned char  *p;

    if (len < RUSH_SEAL_EXTRA || len > INT_MAX) {
        return RUSH_ERROR;
    }

    if (rush_seal_subkey(seal, label, key) != RUSH_OK) {
        return RUSH_UNSURE;
    }

    p = data;
    len -= RUSH_SEAL_EXTRA;

    rc = rush_unseal_gcm(key, p, with, p + RUSH_SEAL_NONCE, len, dst,
                         p + RUSH_SEAL_NONCE + len);

    OPENSSL_cleanse(key, sizeof(key));

    return rc == RUSH_OK ? (int) len : rc;
}


/* the length of each part goes first: "ab", "c" is not "a", "bc" */

int
rush_seal_mac(const rush_seal_t *seal, const char *label,
    const rush_str_t *parts, size_t n, unsigned char *dst)
{
    int            rc;
    size_t         i, j;
    rush_buf_t     b;
    unsigned char  key[RUSH_SEAL_KEY], length[8];

    if (rush_seal_subkey(seal, label, key) != RUSH_OK) {
        return RUSH_ERROR;
    }

    memset(&b, 0, sizeof(rush_buf_t));

    for (i = 0; i < n; i++) {

        for (j = 0; j < sizeof(length); j++) {
            length[j] = (unsigned char) ((uint64_t) parts[i].len
                                         >> (8 * (7 - j)));
        }

        rush_buf_add(&b, length, sizeof(length));
        rush_buf_add(&b, parts[i].data, parts[i].len);
    }

    rc = b.failed ? RUSH_ERROR
                  : rush_hmac(key, sizeof(key), b.data, b.len, dst);

    if (b.data != NULL) {
        OPENSSL_cleanse(b.data, b.len);
    }

    rush_buf_free(&b);
    OPENSSL_cleanse(key, sizeof(key));

    return rc;
}


static int
rush_seal_subkey(const rush_seal_t *seal, const char *label,
    unsigned char *dst)
{
    return rush_hmac(seal->key, RUSH_SEAL_KEY, label, strlen(label), dst);
}


int
rush_hmac(const void *key, size_t key_len, const void *data, size_t len,
    unsigned char *dst)
{
    unsigned  n;

    n = RUSH_SEAL_MAC;

    if (key_len > INT_MAX
        || HMAC(EVP_sha256(), key, (int) key_len,
                data ? data : (const void *) "", len, dst, &n)
           == NULL
        || n != RUSH_SEAL_MAC)
    {
        return RUSH_ERROR;
    }

    return RUSH_OK;
}


int
rush_seal_gcm(const unsigned char *key, const unsigned char *nonce,
    const rush_str_t *with, const void *data, size_t len, unsigned char *dst,
    unsigned char *tag)
{
    int              n, rc;
    EVP_CIPHER_CTX  *ctx;

    if (len > INT_MAX) {
        return RUSH_ERROR;
    }

    ctx = EVP_CIPHER_CTX_new();
    if (ctx == NULL) {
        return RUSH_ERROR;
    }

    rc = RUSH_ERROR;

    if (EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, nonce) == 1
        && rush_seal_with(ctx, 1, with) == RUSH_OK
        && (len == 0 || EVP_EncryptUpdate(ctx, dst, &n, data, (int) len) == 1)
        && EVP_EncryptFinal_ex(ctx, dst + len, &n) == 1
        && EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, RUSH_SEAL_TAG, tag)
           == 1)
    {
        rc = RUSH_OK;
    }

    EVP_CIPHER_CTX_free(ctx);

    return rc;
}


/* what is not authentic does not stay in dst */

int
rush_unseal_gcm(const unsigned char *key, const unsigned char *nonce,
    const rush_str_t *with, const void *data, size_t len, unsigned char *dst,
    const unsigned char *tag)
{
    int              n, rc;
    unsigned char    copy[RUSH_SEAL_TAG];
    EVP_CIPHER_CTX  *ctx;

    if (len > INT_MAX) {
        return RUSH_ERROR;
    }

    ctx = EVP_CIPHER_CTX_new();
    if (ctx == NULL) {
        return RUSH_UNSURE;
    }

    memcpy(copy, tag, RUSH_SEAL_TAG);
    rc = RUSH_UNSURE;                   /* only the tag can be wrong */

    if (EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, nonce) == 1
        && rush_seal_with(ctx, 0, with) == RUSH_OK
        && (len == 0 || EVP_DecryptUpdate(ctx, dst, &n, data, (int) len) == 1)
        && EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, RUSH_SEAL_TAG,
                               copy)
           == 1)
    {
        rc = (EVP_DecryptFinal_ex(ctx, dst + len, &n) == 1) ? RUSH_OK
                                                            : RUSH_ERROR;
    }

    if (rc != RUSH_OK && len > 0) {
        OPENSSL_cleanse(dst, len);
    }

    EVP_CIPHER_CTX_free(ctx);

    return rc;
}


static int
rush_seal_with(EVP_CIPHER_CTX *ctx, int encrypt, const rush_str_t *with)
{
    int  n, rc;

    if (with == NULL || with->len == 0) {
        return RUSH_OK;
    }

    if (with->len > INT_MAX) {
        return RUSH_ERROR;
    }

    rc = encrypt
         ? EVP_EncryptUpdate(ctx, NULL, &n, with->data, (int) with->len)
         : EVP_DecryptUpdate(ctx, NULL, &n, with->data, (int) with->len);

    return rc == 1 ? RUSH_OK : RUSH_ERROR;
}
