
/*
 * Copyright (C) Rush
 *
 * Tokens, against a verifier of OpenSSL's HMAC() and jansson.  The first byte
 * of the input tells what follows:
 *
 *   bit 0      header and claims as JSON, with a NUL between them; they are
 *              encoded and signed, so that the claims are reached
 *   bit 1      else: a token, whose signature is replaced by the right one
 *   bit 2      signed with the second key
 *   others     the clock: minutes around the one of the corpus
 */


#define _GNU_SOURCE
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "fuzz.h"
#include "rush_jwt.h"


#define NOW     1795000000
#define LEEWAY  5
#define BIG     4096


static const char  *secrets[2] = {
    "0123456789abcdef0123456789abcdef",
    "secrets may be longer than the block of a hash, which is 64 bytes; this"
};
static rush_str_t   kids[2] = { rush_string("k1"), rush_string("k2") };

static rush_jwt_t  *jwt;


static int fuzz_equal(const rush_claims_t *a, const rush_claims_t *b);
static size_t fuzz_token(fuzz_input_t *in, unsigned how, unsigned char *token);
static size_t fuzz_encode(unsigned char *dst, const unsigned char *p,
    size_t len);
static size_t fuzz_sign(unsigned char *token, size_t len, unsigned key);
static int ref_verify(const unsigned char *token, size_t len, int64_t now,
    rush_claims_t *c);
static json_t *ref_segment(const unsigned char *p, size_t len);
static int ref_claims(json_t *o, int64_t now, rush_claims_t *c);
static int ref_minus(const unsigned char *p, size_t len, json_t *o);
static int ref_audience(json_t *v);
static int ref_number(json_t *o, const char *name, int64_t *v, int required);
static int ref_id(json_t *o, const char *name, int64_t *v, int required);
static int ref_is(json_t *o, const char *name, const char *text);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int             rc, ok;
    size_t          len;
    int64_t         now, peek;
    unsigned        i, how;
    fuzz_input_t    in;
    rush_claims_t   got, want, before;
    unsigned char  *p, token[BIG * 4];

    if (jwt == NULL) {
        jwt = rush_jwt_create("rush", "rush", LEEWAY);
        fuzz_check(jwt != NULL);

        for (i = 0; i < 2; i++) {
            rc = rush_jwt_add_key(jwt, &kids[i],
                                  (const unsigned char *) secrets[i],
                                  strlen(secrets[i]));
            fuzz_check(rc == RUSH_OK);
        }
    }

    if (size > BIG) {
        return 0;
    }

    in.p = data;
    in.len = size;

    how = fuzz_byte(&in);
    now = NOW + ((int64_t) (how >> 3) - 16) * 60;
    len = fuzz_token(&in, how, token);

    memset(&got, 0, sizeof(got));
    memset(&want, 0, sizeof(want));
    memset(&before, 0, sizeof(before));

    ok = ref_verify(token, len, now, &want);

    p = fuzz_copy(token, len);
    rc = rush_jwt_verify(jwt, p, len, now, &got);
    peek = rush_jwt_peek(jwt, p, len);
    free(p);

    fuzz_check(ok == (rc == RUSH_OK));
    fuzz_check(peek >= 0);

    if (!ok) {
        fuzz_check(memcmp(&got, &before, sizeof(got)) == 0);
        return 0;
    }

    fuzz_check(fuzz_equal(&got, &want));

    /* what was verified can be signed again and says the same */

    len = rush_jwt_sign(jwt, &got, token);
    fuzz_check(len != 0);
    fuzz_check(rush_jwt_peek(jwt, token, len) == got.user);
    fuzz_check(rush_jwt_verify(jwt, token, len, now, &before) == RUSH_OK);
    fuzz_check(fuzz_equal(&got, &before));

    return 0;
}


static int
fuzz_equal(const rush_claims_t *a, const rush_claims_t *b)
{
    return a->user == b->user && a->session == b->session
           && a->version == b->version && a->issued == b->issued
           && a->expires == b->expires && a->roles == b->roles;
}


static size_t
fuzz_token(fuzz_input_t *in, unsigned how, unsigned char *token)
{
    size_t       len;
    unsigned     key;
    rush_str_t   part;

    key = how >> 2 & 1;

    if (how & 1) {
        part = fuzz_until(in, '\0');
        len = fuzz_encode(token, part.data, part.len);
        token[len++] = '.';
        len += fuzz_encode(token + len, in->p, in->len);
        return fuzz_sign(token, len, key);
    }

    len = in->len;

    if (len != 0) {
        memcpy(token, in->p, len);
    }

    if (how & 2) {

        while (len > 0 && token[len - 1] != '.') {
            len--;
        }

        return fuzz_sign(token, len ? len - 1 : in->len, key);
    }

    return len;
}


static size_t
fuzz_encode(unsigned char *dst, const unsigned char *p, size_t len)
{
    size_t  i, n;

    n = (size_t) EVP_EncodeBlock(dst, p, (int) len);

    while (n > 0 && dst[n - 1] == '=') {
        n--;
    }

    for (i = 0; i < n; i++) {
        dst[i] = dst[i] == '+' ? '-' : dst[i] == '/' ? '_' : dst[i];
    }

    return n;
}


static size_t
fuzz_sign(unsigned char *token, size_t len, unsigned key)
{
    unsigned       n;
    unsigned char  mac[EVP_MAX_MD_SIZE];

    HMAC(EVP_sha256(), secrets[key], (int) strlen(secrets[key]), token, len,
         mac, &n);

    token[len++] = '.';

    return len + fuzz_encode(token + len, mac, n);
}


static int
ref_verify(const unsigned char *token, size_t len, int64_t now,
    rush_claims_t *c)
{
    int                   i, ok;
    size_t                n;
    json_t               *header, *claims;
    const unsigned char  *dot1, *dot2;
    unsigned char         mac[EVP_MAX_MD_SIZE], sent[128];

    if (len == 0 || len > RUSH_JWT_MAX_LEN) {
        return 0;
    }

    dot1 = memchr(token, '.', len);
    dot2 = memrchr(token, '.', len);

    if (dot1 == NULL || dot1 == dot2 || token + len - dot2 - 1 != 43
        || memchr(dot1 + 1, '.', (size_t) (dot2 - dot1 - 1)) != NULL
        || ref_base64url(sent, dot2 + 1, 43) != 32)
    {
        return 0;
    }

    header = ref_segment(token, (size_t) (dot1 - token));
    i = ref_is(header, "kid", "k1") ? 0 : ref_is(header, "kid", "k2") ? 1 : -1;

    ok = i >= 0 && ref_is(header, "alg", "HS256")
         && ref_is(header, "typ", "at+jwt")
         && json_object_get(header, "crit") == NULL;

    json_decref(header);

    if (!ok) {
        return 0;
    }

    n = (size_t) (dot2 - token);
    HMAC(EVP_sha256(), secrets[i], (int) strlen(secrets[i]), token, n, mac,
         NULL);

    if (memcmp(mac, sent, 32) != 0) {
        return 0;
    }

    claims = ref_segment(dot1 + 1, (size_t) (dot2 - dot1 - 1));
    ok = claims != NULL && ref_claims(claims, now, c)
         && !ref_minus(dot1 + 1, (size_t) (dot2 - dot1 - 1), claims);
    json_decref(claims);

    return ok;
}


/* an object, within the limits of rush_field.h; or NULL */

static json_t *
ref_segment(const unsigned char *p, size_t len)
{
    long            n;
    json_t         *v;
    unsigned        keys;
    unsigned char   text[BIG];

    n = ref_base64url(text, p, len);

    if (n <= 0) {
        return NULL;
    }

    keys = 0;
    v = ref_json(text, (size_t) n, 0);

    if (!json_is_object(v) || ref_depth(v, &keys) > 8 || keys > 32) {
        json_decref(v);
        return NULL;
    }

    return v;
}


static int
ref_claims(json_t *o, int64_t now, rush_claims_t *c)
{
    int64_t      nbf;
    json_t      *role, *roles;
    const char  *jti;

    nbf = 0;
    role = json_object_get(o, "role");
    roles = json_object_get(o, "roles");
    jti = json_string_value(json_object_get(o, "jti"));

    if (!ref_is(o, "iss", "rush") || !ref_audience(json_object_get(o, "aud"))
        || !ref_id(o, "sub", &c->user, 1)
        || !ref_id(o, "sid", &c->session, 0)
        || !ref_number(o, "exp", &c->expires, 1)
        || !ref_number(o, "iat", &c->issued, 1)
        || !ref_number(o, "nbf", &nbf, 0)
        || !ref_number(o, "ver", &c->version, 0)
        || !ref_number(o, "roles", &c->roles, 0)
        || jti == NULL || jti[0] == '\0')
    {
        return 0;
    }

    if (role != NULL && !ref_is(o, "role", "admin")
        && !ref_is(o, "role", "user"))
    {
        return 0;
    }

    if (roles == NULL) {
        c->roles = ref_is(o, "role", "admin");
    }

    return c->user != 0 && c->expires != 0 && c->expires < 1LL << 53
           && c->version < 1LL << 53 && now < c->expires + LEEWAY
           && now >= c->issued - LEEWAY && now >= nbf - LEEWAY;
}


/* "-0" is no number of ours */

static int
ref_minus(const unsigned char *p, size_t len, json_t *o)
{
    long            n;
    size_t          i;
    json_t         *v;
    unsigned char   text[BIG];

    static const char  *names[] = { "iat", "nbf", "ver", "roles" };

    n = ref_base64url(text, p, len);

    for (i = 0; i < 3; i++) {
        v = json_object_get(o, names[i]);

        if (json_is_integer(v) && json_integer_value(v) == 0
            && ref_is_minus(text, (size_t) n, names[i]))
        {
            return 1;
        }
    }

    return 0;
}


static int
ref_audience(json_t *v)
{
    int     found;
    size_t  i;

    if (json_is_string(v)) {
        return strcmp(json_string_value(v), "rush") == 0;
    }

    found = 0;

    for (i = 0; i < json_array_size(v); i++) {

        if (!json_is_string(json_array_get(v, i))) {
            return 0;
        }

        found |= strcmp(json_string_value(json_array_get(v, i)), "rush") == 0;
    }

    return found;
}


static int
ref_number(json_t *o, const char *name, int64_t *v, int required)
{
    json_t  *n;

    n = json_object_get(o, name);
    *v = 0;

    if (n == NULL) {
        return !required;
    }

    *v = json_integer_value(n);

    return json_is_integer(n) && *v >= 0;
}


static int
ref_id(json_t *o, const char *name, int64_t *v, int required)
{
    json_t  *n;

    n = json_object_get(o, name);
    *v = 0;

    if (n == NULL) {
        return !required;
    }

    return json_is_string(n)
           && ref_u63((const unsigned char *) json_string_value(n),
                      json_string_length(n), v);
}


static int
ref_is(json_t *o, const char *name, const char *text)
{
    json_t  *v;

    v = json_object_get(o, name);

    return json_is_string(v) && strcmp(json_string_value(v), text) == 0;
}
