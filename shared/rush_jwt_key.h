
/*
 * Copyright (C) Rush
 *
 * Keys of rush_jwt_t.  Private to rush_jwt.c (keys, signing) and
 * rush_jwt_verify.c.
 */


#ifndef _RUSH_JWT_KEY_H_INCLUDED_
#define _RUSH_JWT_KEY_H_INCLUDED_


#include <openssl/sha.h>
#include "rush_jwt.h"


#define RUSH_JWT_MAX_KID     32
#define RUSH_JWT_MAX_HEADER  128        /* base64url of ours and the dot */
#define RUSH_JWT_MAX_START   256        /* that, and claims that never change */
#define RUSH_JWT_MAC         32
#define RUSH_JWT_SIGNATURE   43         /* base64url of a MAC */
#define RUSH_JWT_JTI         22         /* base64url of 16 bytes */
#define RUSH_JWT_MAX_INT     (1LL << 53)    /* JSON numbers are exact below */


typedef struct {
    SHA256_CTX       inner;             /* after key ^ ipad */
    SHA256_CTX       outer;             /* after key ^ opad */
    SHA256_CTX       started;           /* inner, after start */
    size_t           kid_len;
    size_t           header_len;        /* with the dot */
    size_t           start_len;
    unsigned char    kid[RUSH_JWT_MAX_KID];
    unsigned char    start[RUSH_JWT_MAX_START];     /* how our tokens begin:
                                           header, then base64url of own */
} rush_jwt_key_t;


struct rush_jwt_s {
    rush_str_t       iss;               /* borrowed */
    rush_str_t       aud;               /* borrowed */
    int64_t          leeway;            /* in s */
    unsigned char   *own;               /* how our claims begin: {"iss": to
                                           the quote before the value of sub */
    size_t           own_len;
    unsigned         nkeys;
    rush_jwt_key_t   keys[RUSH_JWT_MAX_KEYS];
};


/* NULL: no such kid */
rush_jwt_key_t *rush_jwt_find_key(rush_jwt_t *jwt, const rush_str_t *kid);

/* HMAC-SHA256 into mac[RUSH_JWT_MAC] */
void rush_jwt_mac(const rush_jwt_key_t *key, const unsigned char *data,
    size_t len, unsigned char *mac);


#endif /* _RUSH_JWT_KEY_H_INCLUDED_ */
