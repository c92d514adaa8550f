
/*
 * Copyright (C) Rush
 *
 * What certificates tell: serials, times, and the SN of Alipay.
 */


#define _GNU_SOURCE                     /* timegm() */

#include "rush_rsa_int.h"

#include <stdio.h>
#include <time.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/pem.h>


#define RUSH_RSA_NAME  1024             /* bytes of an issuer's text */


static int rush_rsa_time(const ASN1_TIME *t, int64_t *ms);
static int rush_rsa_sn(X509 *x, char *dst);
static int rush_rsa_issuer(X509 *x, rush_buf_t *b);


EVP_PKEY *
rush_rsa_of_x509(rush_rsa_t *key, X509 *x)
{
    char      *hex;
    BIGNUM    *number;
    EVP_PKEY  *pkey;

    if (x == NULL) {
        return NULL;
    }

    pkey = NULL;
    hex = NULL;
    number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(x), NULL);

    if (number != NULL) {
        hex = BN_bn2hex(number);
    }

    if (hex != NULL && hex[0] != '-' && strlen(hex) <= RUSH_RSA_SERIAL
        && rush_rsa_time(X509_get0_notBefore(x), &key->info.from) == RUSH_OK
        && rush_rsa_time(X509_get0_notAfter(x), &key->info.until) == RUSH_OK
        && rush_rsa_sn(x, key->info.sn) == RUSH_OK)
    {
        memcpy(key->info.serial, hex, strlen(hex) + 1);
        pkey = X509_get_pubkey(x);
    }

    OPENSSL_free(hex);
    BN_free(number);
    X509_free(x);

    return pkey;
}


static int
rush_rsa_time(const ASN1_TIME *t, int64_t *ms)
{
    struct tm  tm;

    if (t == NULL || ASN1_TIME_to_tm(t, &tm) != 1) {
        return RUSH_ERROR;
    }

    *ms = (int64_t) timegm(&tm) * 1000;

    return RUSH_OK;
}


/* md5 in hex of the issuer's text and the serial in decimal */

static int
rush_rsa_sn(X509 *x, char *dst)
{
    int             rc;
    char           *decimal;
    size_t          i;
    BIGNUM         *number;
    unsigned        n;
    rush_buf_t      b;
    unsigned char   md5[EVP_MAX_MD_SIZE];

    memset(&b, 0, sizeof(rush_buf_t));

    decimal = NULL;
    rc = RUSH_ERROR;
    number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(x), NULL);

    if (number != NULL) {
        decimal = BN_bn2dec(number);
    }

    if (decimal == NULL || rush_rsa_issuer(x, &b) != RUSH_OK) {
        goto done;
    }

    rush_buf_puts(&b, decimal);

    if (b.failed
        || EVP_Digest(b.data, b.len, md5, &n, EVP_md5(), NULL) != 1
        || n * 2 != RUSH_RSA_SN)
    {
        goto done;
    }

    for (i = 0; i < n; i++) {
        (void) snprintf(dst + 2 * i, 3, "%02x", md5[i]);
    }

    rc = RUSH_OK;

done:

    rush_buf_free(&b);
    OPENSSL_free(decimal);
    BN_free(number);

    return rc;
}


/* from the most specific name to the least: "CN=...,OU=...,O=...,C=..." */

static int
rush_rsa_issuer(X509 *x, rush_buf_t *b)
{
    int                     i, n;
    const char             *name;
    unsigned char          *text;
    const X509_NAME        *issuer;
    const X509_NAME_ENTRY  *e;

    issuer = X509_get_issuer_name(x);

    for (i = X509_NAME_entry_count(issuer) - 1; i >= 0; i--) {
        e = X509_NAME_get_entry(issuer, i);
        name = OBJ_nid2sn(OBJ_obj2nid(X509_NAME_ENTRY_get_object(e)));
        text = NULL;
        n = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(e));

        if (n < 0 || name == NULL || b->len > RUSH_RSA_NAME) {
            OPENSSL_free(text);
            return RUSH_ERROR;
        }

        if (b->len != 0) {
            rush_buf_puts(b, ",");
        }

        rush_buf_puts(b, name);
        rush_buf_puts(b, "=");
        rush_buf_add(b, text, (size_t) n);
        OPENSSL_free(text);
    }

    return b->failed ? RUSH_ERROR : RUSH_OK;
}


int
rush_rsa_root_sn(const void *pem, size_t len, rush_buf_t *b, const char **err)
{
    int     rc;
    BIO    *bio;
    char    sn[RUSH_RSA_SN + 1];
    X509   *x;
    size_t  start;

    if (len == 0 || len > RUSH_RSA_FILE) {
        *err = len ? "is too long for certificates" : "is empty";
        return RUSH_ERROR;
    }

    bio = BIO_new_mem_buf(pem, (int) len);
    if (bio == NULL) {
        *err = "finds no memory";
        return RUSH_ERROR;
    }

    start = b->len;
    rc = RUSH_OK;

    while (rc == RUSH_OK) {
        x = PEM_read_bio_X509(bio, NULL, rush_rsa_no_password, NULL);
        if (x == NULL) {
            break;
        }

        /* the one that is signed by SM2 does not count */

        switch (X509_get_signature_nid(x)) {

        case NID_sha256WithRSAEncryption:
        case NID_sha1WithRSAEncryption:
        case NID_sha384WithRSAEncryption:
        case NID_sha512WithRSAEncryption:
        case NID_sha224WithRSAEncryption:
        case NID_md5WithRSAEncryption:
        case NID_md2WithRSAEncryption:
            rc = rush_rsa_sn(x, sn);

            if (rc == RUSH_OK) {
                rush_buf_puts(b, b->len > start ? "_" : "");
                rush_buf_puts(b, sn);
            }
        }

        X509_free(x);
    }

    BIO_free(bio);
    ERR_clear_error();

    if (rc != RUSH_OK || b->failed || b->len == start) {
        *err = "holds no certificate that is signed by RSA";
        return RUSH_ERROR;
    }

    return RUSH_OK;
}
