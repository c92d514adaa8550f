
/*
 * Copyright (C) Rush
 *
 * HS256 access tokens (RFC 7515, 7519, 8725).  The algorithm is fixed, keys
 * are chosen by "kid" from a small table, the newest key signs.  A keyed HMAC
 * context is prepared once per key and process (not shared by threads).
 *
 * Header as we write it:  {"alg":"HS256","kid":"...","typ":"at+jwt"}
 * Claims as we write them: {"iss","aud","sub":"<user id>","sid":"<session>",
 *     "ver":<token version>,"role":"user"|"admin"[,"roles":<mask>],"iat":s,
 *     "exp":s,"jti":"..."}
 * "roles" is there when the mask is not 0, and decides.  Without it "admin"
 * counts as role 1, which is what tokens of before had.
 * A token of another writer may leave out sid, ver (0 then), role and roles;
 * all others are required, sub and sid are strings, nbf may be added.
 */


#ifndef _RUSH_JWT_H_INCLUDED_
#define _RUSH_JWT_H_INCLUDED_


#include "rush_base.h"


#define RUSH_JWT_MAX_KEYS  8
#define RUSH_JWT_MAX_LEN   2048         /* of a token */
#define RUSH_JWT_MIN_KEY   32           /* bytes of secret, RFC 7518 3.2 */

#define RUSH_ROLE_USER   0             /* masks: no role, role 1 */
#define RUSH_ROLE_ADMIN  1


typedef struct rush_jwt_s  rush_jwt_t;


typedef struct {
    int64_t          user;              /* sub */
    int64_t          session;           /* sid */
    int64_t          version;           /* ver */
    int64_t          issued;            /* iat, seconds */
    int64_t          expires;           /* exp, seconds */
    int64_t          roles;             /* mask, see rush_permissions.h */
} rush_claims_t;


/* iss, aud: borrowed, must outlive the object; NULL when memory is short */
rush_jwt_t *rush_jwt_create(const char *iss, const char *aud, int leeway);
void rush_jwt_destroy(rush_jwt_t *jwt);

/* kid: 1..32 of [A-Za-z0-9_-]; the key added last signs.  secret is copied */
int rush_jwt_add_key(rush_jwt_t *jwt, const rush_str_t *kid,
    const unsigned char *secret, size_t len);

/*
 * One key file: each line "kid:base64url-secret", "#" starts a comment, the
 * last line signs; or a file without ":" whose bytes (final LF dropped) are
 * the secret of kid "0".  *err gets a static sentence.
 */
int rush_jwt_load(rush_jwt_t *jwt, const unsigned char *text, size_t len,
    const char **err);

/* RUSH_OK and *claims, or RUSH_ERROR: one answer for every fault.  now: s */
int rush_jwt_verify(rush_jwt_t *jwt, const unsigned char *token, size_t len,
    int64_t now, rush_claims_t *claims);

/*
 * sub of a token as rush_jwt_sign() writes it, 0 when it is not one.  Nothing
 * is verified: good for what is only a hint, as which memory to fetch while
 * the signature is checked.
 */
int64_t rush_jwt_peek(const rush_jwt_t *jwt, const unsigned char *token,
    size_t len);

/* writes a token to dst (at least RUSH_JWT_MAX_LEN); returns its length, 0
 * on failure.  jti is made from 16 random bytes */
size_t rush_jwt_sign(rush_jwt_t *jwt, const rush_claims_t *claims,
    unsigned char *dst);


/* base64url without padding; decode is strict (canonical), returns length or
 * -1; dst holds len * 3 / 4 + 3 */
long rush_base64url_decode(unsigned char *dst, const unsigned char *src,
    size_t len);
size_t rush_base64url_encode(unsigned char *dst, const unsigned char *src,
    size_t len);


#endif /* _RUSH_JWT_H_INCLUDED_ */
