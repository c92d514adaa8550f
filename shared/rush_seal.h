
/*
 * Copyright (C) Rush
 *
 * What workers and the consumer hide from those who only read Redis or MySQL.
 * Both know one key of 32 bytes; each use has a key of its own, HMAC-SHA256
 * (key, label), so what was made for one use is no good for another.
 *
 * Sealed text is nonce (12 random bytes), AES-256-GCM ciphertext, tag (16
 * bytes).  With random nonces one label may seal 2^32 texts.
 */


#ifndef _RUSH_SEAL_H_INCLUDED_
#define _RUSH_SEAL_H_INCLUDED_


#include "rush_base.h"


#define RUSH_SEAL_KEY    32
#define RUSH_SEAL_NONCE  12
#define RUSH_SEAL_TAG    16
#define RUSH_SEAL_EXTRA  (RUSH_SEAL_NONCE + RUSH_SEAL_TAG)
#define RUSH_SEAL_MAC    32

#define RUSH_SEAL_TEXT   256            /* bytes of a key file, at most */


typedef struct {
    unsigned char    key[RUSH_SEAL_KEY];
} rush_seal_t;


/* text of a key file: 43 characters of base64url, blanks at the end.
 * RUSH_ERROR: *err is a static sentence */
int rush_seal_load(rush_seal_t *seal, const unsigned char *text, size_t len,
    const char **err);
void rush_seal_wipe(rush_seal_t *seal);

/* dst holds len + RUSH_SEAL_EXTRA; returns the length, 0 on error.  "with" is
 * bound to the text but not in it, NULL: nothing */
size_t rush_seal(const rush_seal_t *seal, const char *label,
    const rush_str_t *with, const void *data, size_t len, unsigned char *dst);

/* dst holds len - RUSH_SEAL_EXTRA; returns the length, RUSH_ERROR when it was
 * not sealed so, RUSH_UNSURE when memory failed */
int rush_unseal(const rush_seal_t *seal, const char *label,
    const rush_str_t *with, const void *data, size_t len, unsigned char *dst);

/* of n parts that cannot run into each other; dst holds RUSH_SEAL_MAC */
int rush_seal_mac(const rush_seal_t *seal, const char *label,
    const rush_str_t *parts, size_t n, unsigned char *dst);


/* what the above are made of, for the published vectors */

int rush_seal_gcm(const unsigned char *key, const unsigned char *nonce,
    const rush_str_t *with, const void *data, size_t len, unsigned char *dst,
    unsigned char *tag);
int rush_unseal_gcm(const unsigned char *key, const unsigned char *nonce,
    const rush_str_t *with, const void *data, size_t len, unsigned char *dst,
    const unsigned char *tag);
int rush_hmac(const void *key, size_t key_len, const void *data, size_t len,
    unsigned char *dst);


#endif /* _RUSH_SEAL_H_INCLUDED_ */
