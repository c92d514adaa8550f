
/*
 * Copyright (C) Rush
 */


#define _GNU_SOURCE                     /* memmem() */

#include "rush_rsa_int.h"

#include <stdlib.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>


/*
 * What OpenSSL says about a bad key is not kept: its error queue belongs to
 * the thread, and whoever looks at it next means something else.
 */


static rush_rsa_t *rush_rsa_load(const void *text, size_t len,
    unsigned private_key, const char **err);
static unsigned char *rush_rsa_bytes(const void *text, size_t len, long *n);
static EVP_PKEY *rush_rsa_read_private(const unsigned char *p, long n,
    int is_pem);
static EVP_PKEY *rush_rsa_read_public(rush_rsa_t *key, const unsigned char *p,
    long n, int is_pem);
static int rush_rsa_why(void);
static int rush_rsa_is_good(rush_rsa_t *key, unsigned private_key,
    const char **err);


rush_rsa_t *
rush_rsa_private(const void *text, size_t len, const char **err)
{
    return rush_rsa_load(text, len, 1, err);
}


rush_rsa_t *
rush_rsa_public(const void *text, size_t len, const char **err)
{
    return rush_rsa_load(text, len, 0, err);
}


static rush_rsa_t *
rush_rsa_load(const void *text, size_t len, unsigned private_key,
    const char **err)
{
    int             is_pem;
    long            n;
    rush_rsa_t     *key;
    unsigned char  *p;

    if (text == NULL || len == 0 || len > RUSH_RSA_FILE) {
        *err = len > RUSH_RSA_FILE ? "is too long for a key" : "is empty";
        return NULL;
    }

    p = NULL;
    n = (long) len;
    is_pem = (memmem(text, len, "-----BEGIN ", 11) != NULL);

    if (is_pem && !private_key
        && memmem(text, len, "PRIVATE KEY-----", 16) != NULL)
    {
        *err = "is a private key, the public one is wanted";
        return NULL;
    }

    if (!is_pem) {
        p = rush_rsa_bytes(text, len, &n);

        if (p == NULL) {
            *err = "is neither PEM nor DER nor base64";
            return NULL;
        }
    }

    key = calloc(1, sizeof(rush_rsa_t));

    if (key != NULL) {
        key->pkey = private_key
                    ? rush_rsa_read_private(p ? p : text, n, is_pem)
                    : rush_rsa_read_public(key, p ? p : text, n, is_pem);
    }

    if (p != NULL) {
        OPENSSL_cleanse(p, (size_t) n);
        free(p);
    }

    if (key == NULL || rush_rsa_is_good(key, private_key, err) != RUSH_OK) {

        if (key == NULL) {
            *err = "finds no memory";
        }

        rush_rsa_free(key);
        ERR_clear_error();
        return NULL;
    }

    ERR_clear_error();

    return key;
}


/* DER as it is, or what is in base64 with any blanks */

static unsigned char *
rush_rsa_bytes(const void *text, size_t len, long *n)
{
    size_t                i;
    unsigned char        *p, *dst;
    const unsigned char  *src;

    src = text;

    p = malloc(len);
    if (p == NULL) {
        return NULL;
    }

    /* a SEQUENCE with a length of two bytes is no text */

    if (len > 4 && src[0] == 0x30 && src[1] == 0x82) {
        memcpy(p, src, len);
        return p;
    }

    dst = p;

    for (i = 0; i < len; i++) {

        if (src[i] != ' ' && src[i] != '\t' && src[i] != '\r'
            && src[i] != '\n')
        {
            *dst++ = src[i];
        }
    }

    *n = rush_base64_decode(p, p, (size_t) (dst - p));

    if (*n <= 0) {
        OPENSSL_cleanse(p, len);
        free(p);
        return NULL;
    }

    return p;
}


static EVP_PKEY *
rush_rsa_read_private(const unsigned char *p, long n, int is_pem)
{
    BIO       *bio;
    EVP_PKEY  *pkey;

    if (!is_pem) {
        return d2i_AutoPrivateKey(NULL, &p, n);
    }

    bio = BIO_new_mem_buf(p, (int) n);
    if (bio == NULL) {
        return NULL;
    }

    pkey = PEM_read_bio_PrivateKey(bio, NULL, rush_rsa_no_password, NULL);
    BIO_free(bio);

    return pkey;
}


/* a certificate, SubjectPublicKeyInfo, or the key alone */

static EVP_PKEY *
rush_rsa_read_public(rush_rsa_t *key, const unsigned char *p, long n,
    int is_pem)
{
    BIO                  *bio;
    X509                 *x;
    EVP_PKEY             *pkey;
    const unsigned char  *start;

    if (is_pem) {
        bio = BIO_new_mem_buf(p, (int) n);
        if (bio == NULL) {
            return NULL;
        }

        if (memmem(p, (size_t) n, "-----BEGIN CERTIFICATE", 22) != NULL) {
            x = PEM_read_bio_X509(bio, NULL, rush_rsa_no_password, NULL);
            pkey = rush_rsa_of_x509(key, x);

        } else {
            pkey = PEM_read_bio_PUBKEY(bio, NULL, rush_rsa_no_password, NULL);
        }

        BIO_free(bio);

        return pkey;
    }

    start = p;
    x = d2i_X509(NULL, &p, n);

    if (x != NULL) {
        return rush_rsa_of_x509(key, x);
    }

    p = start;
    pkey = d2i_PUBKEY(NULL, &p, n);

    if (pkey == NULL) {
        p = start;
        pkey = d2i_PublicKey(EVP_PKEY_RSA, NULL, &p, n);
    }

    return pkey;
}


static int
rush_rsa_is_good(rush_rsa_t *key, unsigned private_key, const char **err)
{
    int            rc;
    size_t         len;
    rush_str_t     part;
    rush_str_t     signature;
    unsigned char  sign[RUSH_RSA_SIGN_TEXT];

    if (key->pkey == NULL) {
        *err = private_key ? "is no private key, or is encrypted"
                           : "is no public key and no certificate";
        return RUSH_ERROR;
    }

    if (EVP_PKEY_base_id(key->pkey) != EVP_PKEY_RSA) {
        *err = "is no RSA key";
        return RUSH_ERROR;
    }

    if (rush_rsa_bits(key) < RUSH_RSA_MIN_BITS
        || rush_rsa_bits(key) > RUSH_RSA_MAX_BITS)
    {
        *err = "has not 2048 to 8192 bits";
        return RUSH_ERROR;
    }

    if (!private_key) {
        return RUSH_OK;
    }

    /* a key whose parts do not fit makes signatures that nobody takes */

    part.data = (unsigned char *) "";
    part.len = 0;

    len = rush_rsa_sign(key, &part, 1, sign);
    signature.data = sign;
    signature.len = len;

    rc = len ? rush_rsa_verify(key, &part, 1, &signature) : RUSH_ERROR;

    if (rc != RUSH_OK) {
        *err = "is a damaged key";
    }

    return rc;
}


void
rush_rsa_free(rush_rsa_t *key)
{
    if (key != NULL) {
        EVP_PKEY_free(key->pkey);       /* wipes a private key */
        free(key);
    }
}


const rush_rsa_info_t *
rush_rsa_info(const rush_rsa_t *key)
{
    return &key->info;
}


unsigned
rush_rsa_bits(const rush_rsa_t *key)
{
    return (unsigned) EVP_PKEY_bits(key->pkey);
}


int
rush_rsa_is_pair(const rush_rsa_t *private_key, const rush_rsa_t *public_key)
{
    int  rc;

    rc = EVP_PKEY_eq(private_key->pkey, public_key->pkey);
    ERR_clear_error();

    return rc == 1;
}


size_t
rush_rsa_sign(const rush_rsa_t *key, const rush_str_t *parts, size_t n,
    unsigned char *dst)
{
    size_t          i, len, text;
    EVP_MD_CTX     *ctx;
    unsigned char   sign[RUSH_RSA_SIGN];

    ctx = EVP_MD_CTX_new();
    if (ctx == NULL) {
        return 0;
    }

    text = 0;
    len = sizeof(sign);

    if (EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key->pkey) != 1) {
        goto done;
    }

    for (i = 0; i < n; i++) {

        if (EVP_DigestSignUpdate(ctx, parts[i].data, parts[i].len) != 1) {
            goto done;
        }
    }

    if (EVP_DigestSignFinal(ctx, sign, &len) == 1) {
        text = rush_base64_encode(dst, sign, len);
    }

done:

    EVP_MD_CTX_free(ctx);
    ERR_clear_error();

    return text;
}


int
rush_rsa_verify(const rush_rsa_t *key, const rush_str_t *parts, size_t n,
    const rush_str_t *signature)
{
    int             rc;
    long            len;
    size_t          i;
    EVP_MD_CTX     *ctx;
    unsigned char   sign[RUSH_RSA_SIGN_TEXT];

    if (signature->len > RUSH_RSA_SIGN_TEXT) {
        return RUSH_ERROR;
    }

    len = rush_base64_decode(sign, signature->data, signature->len);

    if (len <= 0) {
        return RUSH_ERROR;
    }

    ERR_clear_error();

    ctx = EVP_MD_CTX_new();
    if (ctx == NULL) {
        return RUSH_UNSURE;
    }

    rc = EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, key->pkey);

    for (i = 0; rc == 1 && i < n; i++) {
        rc = EVP_DigestVerifyUpdate(ctx, parts[i].data, parts[i].len);
    }

    if (rc == 1) {
        rc = EVP_DigestVerifyFinal(ctx, sign, (size_t) len);
    }

    EVP_MD_CTX_free(ctx);

    rc = (rc == 1) ? RUSH_OK : rush_rsa_why();
    ERR_clear_error();

    return rc;
}


/* a wrong signature is an error of RSA itself, and the first one: all others
 * (memory, above all) say nothing of the signature */

static int
rush_rsa_why(void)
{
    unsigned long  e;

    e = ERR_peek_error();

    return (ERR_GET_LIB(e) == ERR_LIB_RSA && !ERR_COMMON_ERROR(e))
           ? RUSH_ERROR : RUSH_UNSURE;
}


/* OpenSSL would ask the terminal */

int
rush_rsa_no_password(char *buf, int size, int flag, void *data)
{
    return 0;
}
