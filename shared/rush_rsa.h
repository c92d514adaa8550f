
/*
 * Copyright (C) Rush
 *
 * RSA keys as payment providers give them out, signatures with SHA-256 and
 * PKCS#1 v1.5, and base64 (RFC 4648, section 4).
 *
 * A key is loaded from PEM (PKCS#8, PKCS#1, SubjectPublicKeyInfo, X.509), from
 * DER, or from the bare base64 text of DER that the Alipay console shows, with
 * or without line ends.  It has 2048 to 8192 bits; anything else is refused.
 * A loaded key is not changed any more, so threads may share it.
 *
 * No function here writes a key into a message; *err is a static sentence
 * without a subject ("is no RSA key").
 */


#ifndef _RUSH_RSA_H_INCLUDED_
#define _RUSH_RSA_H_INCLUDED_


#include "rush_base.h"
#include "rush_buf.h"


#define RUSH_RSA_MIN_BITS  2048
#define RUSH_RSA_MAX_BITS  8192
#define RUSH_RSA_FILE      65536        /* bytes of a key file, at most */
#define RUSH_RSA_SERIAL    40           /* hex digits of a serial (20 bytes) */
#define RUSH_RSA_SN        32           /* hex digits of an Alipay SN */
#define RUSH_RSA_SIGN      1024         /* bytes of a signature, at most */
#define RUSH_RSA_SIGN_TEXT 1368         /* its base64 */


typedef struct rush_rsa_s  rush_rsa_t;


/* what a certificate tells; serial is "" for a bare public key */

typedef struct {
    char             serial[RUSH_RSA_SERIAL + 1];   /* upper-case hex, without
                                           leading zero bytes */
    char             sn[RUSH_RSA_SN + 1];   /* md5 of issuer and serial as
                                           Alipay wants it */
    int64_t          from;              /* ms, notBefore; 0: no certificate */
    int64_t          until;             /* ms, notAfter */
} rush_rsa_info_t;


/* NULL: *err tells; the text is not changed and may be wiped then */
rush_rsa_t *rush_rsa_private(const void *text, size_t len, const char **err);
rush_rsa_t *rush_rsa_public(const void *text, size_t len, const char **err);
void rush_rsa_free(rush_rsa_t *key);    /* NULL is fine; wipes */

const rush_rsa_info_t *rush_rsa_info(const rush_rsa_t *key);
unsigned rush_rsa_bits(const rush_rsa_t *key);

/* does this private key belong to that public one? */
int rush_rsa_is_pair(const rush_rsa_t *private_key,
    const rush_rsa_t *public_key);


/*
 * The message is n parts, one after the other (so that a body need not be
 * copied to be signed).  dst holds RUSH_RSA_SIGN_TEXT bytes; returns the length
 * of the base64 text, 0 on error.  Safe in any thread.
 */
size_t rush_rsa_sign(const rush_rsa_t *key, const rush_str_t *parts, size_t n,
    unsigned char *dst);

/* signature is base64; RUSH_OK only when it is right, RUSH_ERROR when it is
 * wrong, RUSH_UNSURE when that could not be found out (memory) */
int rush_rsa_verify(const rush_rsa_t *key, const rush_str_t *parts, size_t n,
    const rush_str_t *signature);


/*
 * alipay_root_cert_sn: SNs of all certificates of the bundle that are signed
 * by RSA, joined with "_", are added to b.  RUSH_ERROR: none, or bad PEM.
 */
int rush_rsa_root_sn(const void *pem, size_t len, rush_buf_t *b,
    const char **err);


/*
 * Base64 with padding.  The reader is strict: length a multiple of 4, "=" at
 * the end only, unused bits zero, nothing else in it.  dst of the reader holds
 * len / 4 * 3 bytes (it may be src); -1 when the text is bad.  dst of the
 * writer holds (len + 2) / 3 * 4 bytes.
 */
long rush_base64_decode(unsigned char *dst, const unsigned char *src,
    size_t len);
size_t rush_base64_encode(unsigned char *dst, const unsigned char *src,
    size_t len);


#endif /* _RUSH_RSA_H_INCLUDED_ */
