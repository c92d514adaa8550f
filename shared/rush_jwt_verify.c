
/*
 * Copyright (C) Rush
 *
 * Verifying runs on every buy: the header segment is compared with the one we
 * write ourselves before it is decoded, and the claims are read in one pass
 * over a buffer on the stack.
 */


#include <openssl/crypto.h>

#include "rush_json.h"
#include "rush_jwt_key.h"


#define RUSH_JWT_MAX_DECODED  (RUSH_JWT_MAX_LEN * 3 / 4 + 3)

/* so much of the claims holds up to 2 bytes of own, 19 digits and a quote */

#define RUSH_JWT_PEEK  32

/* claims without which a token is not ours */

#define RUSH_JWT_SEEN_ISS   0x01
#define RUSH_JWT_SEEN_AUD   0x02
#define RUSH_JWT_SEEN_SUB   0x04
#define RUSH_JWT_SEEN_IAT   0x08
#define RUSH_JWT_SEEN_EXP   0x10
#define RUSH_JWT_SEEN_JTI   0x20
#define RUSH_JWT_SEEN_ALL   0x3f

#define RUSH_JWT_SEEN_ADMIN 0x40        /* "role":"admin" */
#define RUSH_JWT_SEEN_ROLES 0x80


static rush_jwt_key_t *rush_jwt_read_header(rush_jwt_t *jwt,
    const unsigned char *token, size_t len, size_t *header_len);
static rush_jwt_key_t *rush_jwt_parse_header(rush_jwt_t *jwt,
    unsigned char *json, size_t len);
static int rush_jwt_read_own(rush_jwt_t *jwt, const unsigned char *json,
    size_t len, rush_claims_t *claims);
static int rush_jwt_take(rush_str_t *rest, const unsigned char *text,
    size_t len);
static int rush_jwt_digits(rush_str_t *rest, int64_t *v);
static int rush_jwt_read_claims(rush_jwt_t *jwt, unsigned char *json,
    size_t len, rush_claims_t *claims, int64_t *nbf);
static int rush_jwt_claim(rush_jwt_t *jwt, rush_reader_t *j,
    rush_claims_t *claims, int64_t *nbf, unsigned *seen);
static int rush_jwt_check(rush_jwt_t *jwt, const rush_claims_t *claims,
    int64_t nbf, int64_t now);
static int rush_jwt_audience(rush_jwt_t *jwt, rush_reader_t *j,
    rush_token_e token);
static int rush_jwt_int(rush_reader_t *j, rush_token_e token, int64_t *v);
static int rush_jwt_id(rush_reader_t *j, rush_token_e token, int64_t *v);


#define rush_is_text(s, text)                                                 \
    ((s)->len == sizeof(text) - 1                                             \
     && memcmp((s)->data, text, sizeof(text) - 1) == 0)

#define rush_take(rest, text)                                                 \
    rush_jwt_take(rest, (const unsigned char *) text, sizeof(text) - 1)


int
rush_jwt_verify(rush_jwt_t *jwt, const unsigned char *token, size_t len,
    int64_t now, rush_claims_t *claims)
{
    long                  n;
    size_t                header_len, signed_len;
    int64_t               nbf;
    rush_claims_t         c;
    rush_jwt_key_t       *key;
    unsigned char         mac[RUSH_JWT_MAC];
    unsigned char         sent[RUSH_JWT_SIGNATURE * 3 / 4 + 3];
    unsigned char         json[RUSH_JWT_MAX_DECODED];

    /* the length of a signature is known, so is the place of its dot */

    if (len < RUSH_JWT_SIGNATURE + sizeof("a.a.") - 1
        || len > RUSH_JWT_MAX_LEN)
    {
        return RUSH_ERROR;
    }

    signed_len = len - RUSH_JWT_SIGNATURE - 1;

    if (token[signed_len] != '.') {
        return RUSH_ERROR;
    }

    key = rush_jwt_read_header(jwt, token, signed_len, &header_len);
    if (key == NULL || header_len == signed_len) {
        return RUSH_ERROR;
    }

    n = rush_base64url_decode(sent, token + signed_len + 1,
                              RUSH_JWT_SIGNATURE);

    rush_jwt_mac(key, token, signed_len, mac);

    if (n != RUSH_JWT_MAC
        || CRYPTO_memcmp(mac, sent, RUSH_JWT_MAC) != 0)
    {
        return RUSH_ERROR;
    }

    /* a third dot is not of the alphabet */

    n = rush_base64url_decode(json, token + header_len,
                              signed_len - header_len);
    if (n < 0) {
        return RUSH_ERROR;
    }

    nbf = 0;

    if (rush_jwt_read_own(jwt, json, (size_t) n, &c) != RUSH_OK
        && rush_jwt_read_claims(jwt, json, (size_t) n, &c, &nbf) != RUSH_OK)
    {
        return RUSH_ERROR;
    }

    if (rush_jwt_check(jwt, &c, nbf, now) != RUSH_OK) {
        return RUSH_ERROR;
    }

    *claims = c;

    return RUSH_OK;
}


int64_t
rush_jwt_peek(const rush_jwt_t *jwt, const unsigned char *token, size_t len)
{
    size_t                 skip, n;
    int64_t                user;
    const rush_jwt_key_t  *key;
    unsigned char          text[RUSH_JWT_PEEK * 3 / 4 + 3];

    if (jwt->nkeys == 0) {
        return 0;
    }

    key = &jwt->keys[jwt->nkeys - 1];

    if (len < key->start_len + RUSH_JWT_PEEK + RUSH_JWT_SIGNATURE
        || memcmp(token, key->start, key->start_len) != 0
        || rush_base64url_decode(text, token + key->start_len, RUSH_JWT_PEEK)
           < 0)
    {
        return 0;
    }

    skip = jwt->own_len % 3;

    for (n = skip; n < RUSH_JWT_PEEK * 3 / 4 && text[n] != '"'; n++) {
        /* void */
    }

    if (n == RUSH_JWT_PEEK * 3 / 4
        || rush_parse_u63(text + skip, n - skip, &user) != RUSH_OK)
    {
        return 0;
    }

    return user;
}


/*
 * Our own header names the key without being decoded; *header_len counts the
 * dot.
 */

static rush_jwt_key_t *
rush_jwt_read_header(rush_jwt_t *jwt, const unsigned char *token, size_t len,
    size_t *header_len)
{
    long                  n;
    unsigned              i;
    rush_jwt_key_t       *key;
    unsigned char         json[RUSH_JWT_MAX_DECODED];
    const unsigned char  *dot;

    for (i = jwt->nkeys; i > 0; i--) {
        key = &jwt->keys[i - 1];

        if (len >= key->header_len
            && memcmp(token, key->start, key->header_len) == 0)
        {
            *header_len = key->header_len;
            return key;
        }
    }

    dot = memchr(token, '.', len);
    if (dot == NULL) {
        return NULL;
    }

    *header_len = (size_t) (dot - token) + 1;

    n = rush_base64url_decode(json, token, *header_len - 1);
    if (n < 0) {
        return NULL;
    }

    return rush_jwt_parse_header(jwt, json, (size_t) n);
}


/* names of keys that a header may bring along (jwk, jku, x5u) are ignored */

static rush_jwt_key_t *
rush_jwt_parse_header(rush_jwt_t *jwt, unsigned char *json, size_t len)
{
    unsigned         alg, typ;
    rush_str_t       name;
    rush_token_e     token;
    rush_reader_t    j;
    rush_jwt_key_t  *key;

    key = NULL;
    alg = 0;
    typ = 0;

    rush_reader_init(&j, json, len);

    if (rush_reader_next(&j) != RUSH_J_OBJECT) {
        return NULL;
    }

    while (rush_reader_next(&j) == RUSH_J_KEY) {

        name = j.text;
        token = rush_reader_next(&j);

        if (rush_is_text(&name, "crit")) {
            return NULL;                /* we know no critical extension */
        }

        if (token == RUSH_J_STRING) {

            if (rush_is_text(&name, "alg")) {
                alg = rush_is_text(&j.text, "HS256");

            } else if (rush_is_text(&name, "typ")) {
                typ = rush_is_text(&j.text, "at+jwt");

            } else if (rush_is_text(&name, "kid")) {
                key = rush_jwt_find_key(jwt, &j.text);
            }
        }

        if (rush_reader_skip(&j, token) != RUSH_OK) {
            return NULL;
        }
    }

    if (j.error != NULL || rush_reader_next(&j) != RUSH_J_END) {
        return NULL;
    }

    return (alg && typ) ? key : NULL;
}


/*
 * Claims as rush_jwt_write_claims() puts them, member by member: what is not
 * byte for byte of that form goes the long way.  Nothing is trusted here that
 * the long way would refuse; it only saves a third of the time.
 */

static int
rush_jwt_read_own(rush_jwt_t *jwt, const unsigned char *json, size_t len,
    rush_claims_t *claims)
{
    rush_str_t     rest;
    unsigned char  jti[RUSH_JWT_JTI * 3 / 4 + 3];

    rest.data = (unsigned char *) json;
    rest.len = len;

    if (!rush_jwt_take(&rest, jwt->own, jwt->own_len)
        || !rush_jwt_digits(&rest, &claims->user)
        || !rush_take(&rest, "\",\"sid\":\"")
        || !rush_jwt_digits(&rest, &claims->session)
        || !rush_take(&rest, "\",\"ver\":")
        || !rush_jwt_digits(&rest, &claims->version)
        || !rush_take(&rest, ",\"role\":\""))
    {
        return RUSH_ERROR;
    }

    claims->roles = RUSH_ROLE_USER;

    if (rush_take(&rest, "admin")) {
        claims->roles = RUSH_ROLE_ADMIN;

    } else if (!rush_take(&rest, "user")) {
        return RUSH_ERROR;
    }

    if (!rush_take(&rest, "\"")
        || (rush_take(&rest, ",\"roles\":")
            && !rush_jwt_digits(&rest, &claims->roles))
        || !rush_take(&rest, ",\"iat\":")
        || !rush_jwt_digits(&rest, &claims->issued)
        || !rush_take(&rest, ",\"exp\":")
        || !rush_jwt_digits(&rest, &claims->expires)
        || !rush_take(&rest, ",\"jti\":\""))
    {
        return RUSH_ERROR;
    }

    if (rest.len != RUSH_JWT_JTI + 2
        || rush_base64url_decode(jti, rest.data, RUSH_JWT_JTI) < 0
        || memcmp(rest.data + RUSH_JWT_JTI, "\"}", 2) != 0)
    {
        return RUSH_ERROR;
    }

    return RUSH_OK;
}


static int
rush_jwt_take(rush_str_t *rest, const unsigned char *text, size_t len)
{
    if (rest->len < len || memcmp(rest->data, text, len) != 0) {
        return 0;
    }

    rest->data += len;
    rest->len -= len;

    return 1;
}


static int
rush_jwt_digits(rush_str_t *rest, int64_t *v)
{
    size_t  n;

    n = 0;

    while (n < rest->len && rest->data[n] >= '0' && rest->data[n] <= '9') {
        n++;
    }

    if (rush_parse_u63(rest->data, n, v) != RUSH_OK) {
        return 0;
    }

    rest->data += n;
    rest->len -= n;

    return 1;
}


static int
rush_jwt_read_claims(rush_jwt_t *jwt, unsigned char *json, size_t len,
    rush_claims_t *claims, int64_t *nbf)
{
    unsigned       seen;
    rush_token_e   token;
    rush_reader_t  j;

    memset(claims, 0, sizeof(rush_claims_t));
    seen = 0;

    rush_reader_init(&j, json, len);

    if (rush_reader_next(&j) != RUSH_J_OBJECT) {
        return RUSH_ERROR;
    }

    for ( ;; ) {

        token = rush_reader_next(&j);

        if (token == RUSH_J_CLOSE) {
            break;
        }

        if (token != RUSH_J_KEY
            || rush_jwt_claim(jwt, &j, claims, nbf, &seen) != RUSH_OK)
        {
            return RUSH_ERROR;
        }
    }

    if (rush_reader_next(&j) != RUSH_J_END
        || (seen & RUSH_JWT_SEEN_ALL) != RUSH_JWT_SEEN_ALL)
    {
        return RUSH_ERROR;
    }

    if (!(seen & RUSH_JWT_SEEN_ROLES)) {
        claims->roles = (seen & RUSH_JWT_SEEN_ADMIN) ? RUSH_ROLE_ADMIN
                                                     : RUSH_ROLE_USER;
    }

    return RUSH_OK;
}


/* one member; its name is in j->text */

static int
rush_jwt_claim(rush_jwt_t *jwt, rush_reader_t *j, rush_claims_t *claims,
    int64_t *nbf, unsigned *seen)
{
    rush_str_t    name;
    rush_token_e  token;

    name = j->text;
    token = rush_reader_next(j);

    if (rush_is_text(&name, "iss")) {
        *seen |= RUSH_JWT_SEEN_ISS;
        return (token == RUSH_J_STRING && j->text.len == jwt->iss.len
                && memcmp(j->text.data, jwt->iss.data, jwt->iss.len) == 0)
               ? RUSH_OK : RUSH_ERROR;
    }

    if (rush_is_text(&name, "aud")) {
        *seen |= RUSH_JWT_SEEN_AUD;
        return rush_jwt_audience(jwt, j, token);
    }

    if (rush_is_text(&name, "sub")) {
        *seen |= RUSH_JWT_SEEN_SUB;
        return rush_jwt_id(j, token, &claims->user);
    }

    if (rush_is_text(&name, "sid")) {
        return rush_jwt_id(j, token, &claims->session);
    }

    if (rush_is_text(&name, "exp")) {
        *seen |= RUSH_JWT_SEEN_EXP;
        return rush_jwt_int(j, token, &claims->expires);
    }

    if (rush_is_text(&name, "iat")) {
        *seen |= RUSH_JWT_SEEN_IAT;
        return rush_jwt_int(j, token, &claims->issued);
    }

    if (rush_is_text(&name, "nbf")) {
        return rush_jwt_int(j, token, nbf);
    }

    if (rush_is_text(&name, "ver")) {
        return rush_jwt_int(j, token, &claims->version);
    }

    if (rush_is_text(&name, "jti")) {
        *seen |= RUSH_JWT_SEEN_JTI;
        return (token == RUSH_J_STRING && j->text.len != 0)
               ? RUSH_OK : RUSH_ERROR;
    }

    if (rush_is_text(&name, "role")) {

        if (token == RUSH_J_STRING && rush_is_text(&j->text, "admin")) {
            *seen |= RUSH_JWT_SEEN_ADMIN;
            return RUSH_OK;
        }

        return (token == RUSH_J_STRING && rush_is_text(&j->text, "user"))
               ? RUSH_OK : RUSH_ERROR;
    }

    if (rush_is_text(&name, "roles")) {
        *seen |= RUSH_JWT_SEEN_ROLES;
        return rush_jwt_int(j, token, &claims->roles);
    }

    return rush_reader_skip(j, token);
}


/* what was read is of the right types; here are the rules */

static int
rush_jwt_check(rush_jwt_t *jwt, const rush_claims_t *claims, int64_t nbf,
    int64_t now)
{
    if (claims->user == 0
        || claims->expires == 0 || claims->expires >= RUSH_JWT_MAX_INT
        || claims->version >= RUSH_JWT_MAX_INT)
    {
        return RUSH_ERROR;
    }

    if (now >= claims->expires + jwt->leeway
        || now < claims->issued - jwt->leeway
        || now < nbf - jwt->leeway)
    {
        return RUSH_ERROR;
    }

    return RUSH_OK;
}


/* our name, or an array of strings with our name in it */

static int
rush_jwt_audience(rush_jwt_t *jwt, rush_reader_t *j, rush_token_e token)
{
    int  array, found;

    array = (token == RUSH_J_ARRAY);
    found = 0;

    if (array) {
        token = rush_reader_next(j);
    }

    while (token == RUSH_J_STRING) {

        if (j->text.len == jwt->aud.len
            && memcmp(j->text.data, jwt->aud.data, jwt->aud.len) == 0)
        {
            found = 1;
        }

        if (!array) {
            return found ? RUSH_OK : RUSH_ERROR;
        }

        token = rush_reader_next(j);
    }

    return (array && token == RUSH_J_CLOSE && found) ? RUSH_OK : RUSH_ERROR;
}


static int
rush_jwt_int(rush_reader_t *j, rush_token_e token, int64_t *v)
{
    if (token != RUSH_J_NUMBER) {
        return RUSH_ERROR;
    }

    return rush_parse_u63(j->text.data, j->text.len, v);
}


/* a string, because JavaScript keeps 53 bits of a number */

static int
rush_jwt_id(rush_reader_t *j, rush_token_e token, int64_t *v)
{
    if (token != RUSH_J_STRING) {
        return RUSH_ERROR;
    }

    return rush_parse_u63(j->text.data, j->text.len, v);
}
