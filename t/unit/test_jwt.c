
/*
 * Copyright (C) Rush
 *
 * Tokens are signed here with EVP_Q_mac(), not with the code under test.
 */


#include <openssl/evp.h>

#include "unit.h"
#include "rush_jwt_key.h"


#define NOW     1700000000LL
#define LEEWAY  30

#define HEADER  "{\"alg\":\"HS256\",\"kid\":\"k2\",\"typ\":\"at+jwt\"}"
#define HEAD    "\"iss\":\"rush\",\"aud\":\"rush-api\",\"sub\":\"42\""
#define TIMES   "\"iat\":1700000000,\"exp\":1700000900"
#define CLAIMS  "{" HEAD "," TIMES ",\"jti\":\"x\"}"

/* one claim in the place of another one */

#define ISS(v)  "{\"iss\":" v ",\"aud\":\"rush-api\",\"sub\":\"42\"," TIMES   \
                ",\"jti\":\"x\"}"
#define AUD(v)  "{\"iss\":\"rush\",\"aud\":" v ",\"sub\":\"42\"," TIMES       \
                ",\"jti\":\"x\"}"
#define SUB(v)  "{\"iss\":\"rush\",\"aud\":\"rush-api\",\"sub\":" v ","       \
                TIMES ",\"jti\":\"x\"}"
#define IAT(v)  "{" HEAD ",\"iat\":" v ",\"exp\":1700000900,\"jti\":\"x\"}"
#define EXP(v)  "{" HEAD ",\"iat\":1700000000,\"exp\":" v ",\"jti\":\"x\"}"
#define JTI(v)  "{" HEAD "," TIMES ",\"jti\":" v "}"
#define MORE(m) "{" HEAD "," TIMES ",\"jti\":\"x\"," m "}"

/* of the form that rush_jwt_sign() writes, which is read in a shorter way */

#define OPEN(sub, sid, ver, role, iat, exp, jti)                              \
    "{\"iss\":\"rush\",\"aud\":\"rush-api\",\"sub\":\"" sub "\",\"sid\":\""   \
    sid "\",\"ver\":" ver ",\"role\":\"" role "\",\"iat\":" iat ",\"exp\":"   \
    exp ",\"jti\":\"" jti
#define OWN(sub, sid, ver, role, iat, exp, jti)                               \
    OPEN(sub, sid, ver, role, iat, exp, jti) "\"}"
#define JTI22  "AAECAwQFBgcICQoLDA0ODw"


static const unsigned char  old_key[] = "0123456789abcdef0123456789abcdef";
static const unsigned char  new_key[] = "fedcba9876543210fedcba9876543210";
static rush_jwt_t          *jwt;


static int
setup(void **state)
{
    rush_str_t  k1 = rush_string("k1"), k2 = rush_string("k2");

    jwt = rush_jwt_create("rush", "rush-api", LEEWAY);
    assert_non_null(jwt);
    assert_int_equal(rush_jwt_add_key(jwt, &k1, old_key, 32), RUSH_OK);
    assert_int_equal(rush_jwt_add_key(jwt, &k2, new_key, 32), RUSH_OK);

    return 0;
}


static int
teardown(void **state)
{
    rush_jwt_destroy(jwt);
    rush_jwt_destroy(NULL);

    return 0;
}


static size_t
make_token(unsigned char *dst, const char *header, const char *claims,
    const unsigned char *key)
{
    size_t         n, len;
    unsigned char  mac[32];

    n = rush_base64url_encode(dst, (const unsigned char *) header,
                              strlen(header));
    dst[n++] = '.';
    n += rush_base64url_encode(dst + n, (const unsigned char *) claims,
                               strlen(claims));

    assert_non_null(EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, key, 32,
                              dst, n, mac, sizeof(mac), &len));
    assert_int_equal(len, 32);

    dst[n++] = '.';

    return n + rush_base64url_encode(dst + n, mac, sizeof(mac));
}


static int
verify_at(const unsigned char *token, size_t len, int64_t now,
    rush_claims_t *claims)
{
    int             rc;
    rush_claims_t   before;
    unsigned char  *p;

    memset(&before, 0x55, sizeof(rush_claims_t));
    *claims = before;

    p = unit_copy(token, len);
    rc = rush_jwt_verify(jwt, p, len, now, claims);
    free(p);

    if (rc != RUSH_OK) {
        assert_int_equal(rc, RUSH_ERROR);
        assert_memory_equal(claims, &before, sizeof(rush_claims_t));
    }

    return rc;
}


static int
verify(const char *header, const char *json)
{
    size_t         n;
    rush_claims_t  claims;
    unsigned char  token[8192];

    n = make_token(token, header, json, new_key);

    return verify_at(token, n, NOW, &claims);
}


static void
test_own(void **state)
{
    size_t         n;
    rush_claims_t  in, out;
    unsigned char  token[RUSH_JWT_MAX_LEN], again[RUSH_JWT_MAX_LEN];
    unsigned char  text[RUSH_JWT_MAX_LEN];

    memset(&in, 0, sizeof(rush_claims_t));
    in.user = INT64_MAX;
    in.session = 9007199254740993LL;
    in.version = 7;
    in.issued = NOW;
    in.expires = NOW + 900;
    in.roles = RUSH_ROLE_ADMIN;

    n = rush_jwt_sign(jwt, &in, token);
    assert_true(n > 0);
    assert_int_equal(verify_at(token, n, NOW, &out), RUSH_OK);

    assert_true(out.user == in.user && out.session == in.session
                && out.version == 7 && out.roles == RUSH_ROLE_ADMIN
                && out.issued == NOW && out.expires == NOW + 900);

    /* the newest key signs, and the bytes are those of the contract */
    assert_true(rush_base64url_decode(text, token, strcspn((char *) token,
                                                           "."))
                == sizeof(HEADER) - 1);
    assert_memory_equal(text, HEADER, sizeof(HEADER) - 1);

    assert_int_equal(rush_jwt_sign(jwt, &in, again), n);
    assert_memory_not_equal(token, again, n);           /* jti */

    in.roles = RUSH_ROLE_USER;
    in.session = 0;
    n = rush_jwt_sign(jwt, &in, token);
    assert_int_equal(verify_at(token, n, NOW, &out), RUSH_OK);
    assert_true(out.roles == RUSH_ROLE_USER && out.session == 0);
}


/* {claims, accepted at NOW}; the header is ours */

static const struct {
    const char  *claims;
    int          good;
} claims_rows[] = {
    { CLAIMS, 1 },
    { " {\r\n" HEAD ",\t" TIMES " , \"jti\" : \"x\" } ", 1 },

    { ISS("\"other\""), 0 }, { ISS("\"Rush\""), 0 }, { ISS("\"rush \""), 0 },
    { ISS("\"rus\""), 0 }, { ISS("[\"rush\"]"), 0 }, { ISS("null"), 0 },
    { ISS("\"\""), 0 }, { ISS("1"), 0 }, { ISS("\"r\\u0075sh\""), 1 },

    { AUD("[\"rush-api\"]"), 1 }, { AUD("[\"a\",\"rush-api\",\"b\"]"), 1 },
    { AUD("[]"), 0 }, { AUD("[\"a\"]"), 0 }, { AUD("\"a\""), 0 },
    { AUD("\"rush-api2\""), 0 }, { AUD("\"rush-api rush\""), 0 },
    { AUD("[\"rush-api\",1]"), 0 }, { AUD("[1,\"rush-api\"]"), 0 },
    { AUD("[[\"rush-api\"]]"), 0 }, { AUD("[\"rush-api\",[]]"), 0 },
    { AUD("{\"rush-api\":1}"), 0 }, { AUD("null"), 0 },

    { SUB("\"1\""), 1 }, { SUB("\"9223372036854775807\""), 1 },
    { SUB("\"9223372036854775808\""), 0 }, { SUB("42"), 0 }, { SUB("\"\""), 0 },
    { SUB("\"0\""), 0 }, { SUB("\"007\""), 0 }, { SUB("\"-1\""), 0 },
    { SUB("\"4 2\""), 0 }, { SUB("\"12345678901234567890\""), 0 },
    { SUB("\"bob\""), 0 }, { SUB("null"), 0 },

    { EXP("1699999971"), 1 },           /* now < exp + leeway */
    { EXP("1699999970"), 0 },
    { EXP("9007199254740991"), 1 }, { EXP("9007199254740992"), 0 },
    { EXP("1700000900.5"), 0 }, { EXP("1700000900.0"), 0 },
    { EXP("1.7e9"), 0 }, { EXP("1e12"), 0 }, { EXP("\"1700000900\""), 0 },
    { EXP("0"), 0 }, { EXP("-1"), 0 }, { EXP("null"), 0 }, { EXP("true"), 0 },
    { EXP("[1]"), 0 }, { EXP("9223372036854775808"), 0 },

    { IAT("1700000030"), 1 }, { IAT("1700000031"), 0 }, { IAT("0"), 1 },
    { IAT("-1"), 0 }, { IAT("1.5"), 0 }, { IAT("\"1700000000\""), 0 },
    { IAT("null"), 0 },

    { MORE("\"nbf\":1700000030"), 1 }, { MORE("\"nbf\":1700000031"), 0 },
    { MORE("\"nbf\":1700000000.5"), 0 }, { MORE("\"nbf\":\"1\""), 0 },
    { MORE("\"nbf\":null"), 0 }, { MORE("\"nbf\":9007199254740992"), 0 },

    { JTI("\"\""), 0 }, { JTI("7"), 0 }, { JTI("null"), 0 },

    { MORE("\"role\":\"user\""), 1 }, { MORE("\"role\":\"admin\""), 1 },
    { MORE("\"role\":\"Admin\""), 0 }, { MORE("\"role\":\"root\""), 0 },
    { MORE("\"role\":\"\""), 0 }, { MORE("\"role\":1"), 0 },
    { MORE("\"role\":[\"admin\"]"), 0 }, { MORE("\"role\":null"), 0 },
    { MORE("\"sid\":\"9223372036854775807\""), 1 }, { MORE("\"sid\":5"), 0 },
    { MORE("\"sid\":\"\""), 0 }, { MORE("\"sid\":\"-5\""), 0 },
    { MORE("\"ver\":0"), 1 }, { MORE("\"ver\":\"0\""), 0 },
    { MORE("\"ver\":-1"), 0 }, { MORE("\"ver\":1.0"), 0 },
    { MORE("\"ver\":9007199254740992"), 0 },

    { MORE("\"other\":{\"a\":[1,2,{\"exp\":1}]}"), 1 },
    { MORE("\"Role\":\"root\",\"EXP\":1"), 1 },
    { MORE("\"iss\":\"rush\""), 0 }, { MORE("\"exp\":1700000900"), 0 },
    { MORE("\"\\u0065xp\":1700000900"), 0 },
    { MORE("\"a\":1,\"a\":1"), 0 }, { MORE("\"o\":{\"a\":1,\"a\":1}"), 0 },

    { "{" TIMES ",\"jti\":\"x\"}", 0 },
    { "{\"aud\":\"rush-api\",\"sub\":\"42\"," TIMES ",\"jti\":\"x\"}", 0 },
    { "{\"iss\":\"rush\",\"sub\":\"42\"," TIMES ",\"jti\":\"x\"}", 0 },
    { "{\"iss\":\"rush\",\"aud\":\"rush-api\"," TIMES ",\"jti\":\"x\"}", 0 },
    { "{" HEAD ",\"iat\":1700000000,\"jti\":\"x\"}", 0 },
    { "{" HEAD ",\"exp\":1700000900,\"jti\":\"x\"}", 0 },
    { "{" HEAD "," TIMES "}", 0 },

    { "", 0 }, { "{}", 0 }, { "[]", 0 }, { "null", 0 }, { "foo", 0 },
    { "[" CLAIMS "]", 0 }, { CLAIMS CLAIMS, 0 }, { CLAIMS ",", 0 },
    { CLAIMS "x", 0 }, { "{" HEAD "," TIMES ",\"jti\":\"x\"", 0 },
    { "{" HEAD "," TIMES ",\"jti\":\"\xff\"}", 0 },
    { "{" HEAD "," TIMES ",\"jti\":\"\\u0000\"}", 0 },
    { "\xef\xbb\xbf" CLAIMS, 0 },

    { OWN("42", "7", "3", "user", "1700000000", "1700000900", JTI22), 1 },
    { OWN("42", "0", "0", "admin", "1700000030", "1699999971", JTI22), 1 },
    { OWN("42", "7", "3", "user", "1700000000", "1700000900", "any"), 1 },
    { OWN("42", "7", "3", "user", "1700000000", "1700000900", JTI22 "\\n"),
      1 },
    { OWN("0", "7", "3", "user", "1700000000", "1700000900", JTI22), 0 },
    { OWN("042", "7", "3", "user", "1700000000", "1700000900", JTI22), 0 },
    { OWN("", "7", "3", "user", "1700000000", "1700000900", JTI22), 0 },
    { OWN("42", "", "3", "user", "1700000000", "1700000900", JTI22), 0 },
    { OWN("42", "7", "", "user", "1700000000", "1700000900", JTI22), 0 },
    { OWN("42", "7", "9007199254740992", "user", "1700000000", "1700000900",
          JTI22), 0 },
    { OWN("42", "7", "3", "root", "1700000000", "1700000900", JTI22), 0 },
    { OWN("42", "7", "3", "users", "1700000000", "1700000900", JTI22), 0 },
    { OWN("42", "7", "3", "user", "1700000031", "1700000900", JTI22), 0 },
    { OWN("42", "7", "3", "user", "1700000000", "1699999970", JTI22), 0 },
    { OWN("42", "7", "3", "user", "1700000000", "0", JTI22), 0 },
    { OWN("42", "7", "3", "user", "1700000000", "1700000900.5", JTI22), 0 },
    { OWN("42", "7", "3", "user", "1700000000", "9007199254740992", JTI22),
      0 },
    { OWN("42", "7", "3", "user", "1700000000", "1700000900",
          "AAECAwQFBgcICQoLDA0OD\""), 0 },
    { OWN("42", "7", "3", "user", "1700000000", "1700000900", JTI22) "x", 0 },
    { OPEN("42", "7", "3", "user", "1700000000", "1700000900", JTI22) "\"]",
      0 },
    { OWN("42", "7", "3", "user", "1700000000", "1700000900",
          JTI22 "\",\"nbf\":1700000031,\"x\":\""), 0 },
    { OWN("42", "7", "3", "user", "1700000000", "1700000900",
          JTI22 "\",\"sub\":\"43"), 0 }
};


static void
test_claims(void **state)
{
    int     rc;
    size_t  i;

    for (i = 0; i < unit_count(claims_rows); i++) {
        rc = verify(HEADER, claims_rows[i].claims);

        if (rc != (claims_rows[i].good ? RUSH_OK : RUSH_ERROR)) {
            fail_msg("row %zu: %s", i, claims_rows[i].claims);
        }
    }
}


static void
test_defaults(void **state)
{
    size_t         n;
    rush_claims_t  claims;
    unsigned char  token[2048];

    n = make_token(token, HEADER, CLAIMS, new_key);
    assert_int_equal(verify_at(token, n, NOW, &claims), RUSH_OK);
    assert_int_equal(claims.user, 42);
    assert_int_equal(claims.session, 0);
    assert_int_equal(claims.version, 0);
    assert_int_equal(claims.roles, RUSH_ROLE_USER);
    assert_int_equal(claims.issued, NOW);
    assert_int_equal(claims.expires, NOW + 900);

    assert_int_equal(verify_at(token, n, NOW + 929, &claims), RUSH_OK);
    assert_int_equal(verify_at(token, n, NOW + 930, &claims), RUSH_ERROR);
    assert_int_equal(verify_at(token, n, NOW - 30, &claims), RUSH_OK);
    assert_int_equal(verify_at(token, n, NOW - 31, &claims), RUSH_ERROR);
}


#define TAIL  ",\"kid\":\"k2\",\"typ\":\"at+jwt\"}"
#define ALG(v)  "{\"alg\":" v TAIL
#define KID(v)  "{\"alg\":\"HS256\",\"kid\":" v ",\"typ\":\"at+jwt\"}"
#define TYP(v)  "{\"alg\":\"HS256\",\"kid\":\"k2\",\"typ\":" v "}"
#define EXTRA(m)  "{\"alg\":\"HS256\",\"kid\":\"k2\",\"typ\":\"at+jwt\"," m "}"

static const struct {
    const char  *header;
    int          good;
} header_rows[] = {
    { HEADER, 1 },
    { "{\"typ\":\"at+jwt\",\r\n \"kid\":\"k2\",\r\n \"alg\":\"HS256\"}", 1 },
    { "{\"alg\":\"HS25\\u0036\"" TAIL, 1 },

    { ALG("\"none\""), 0 }, { ALG("\"None\""), 0 }, { ALG("\"NONE\""), 0 },
    { ALG("\"nOnE\""), 0 }, { ALG("\"noNe\""), 0 }, { ALG("\"\""), 0 },
    { ALG("null"), 0 }, { ALG("\"hs256\""), 0 }, { ALG("\"Hs256\""), 0 },
    { ALG("\"HS256 \""), 0 }, { ALG("\"HS384\""), 0 }, { ALG("\"HS512\""), 0 },
    { ALG("\"RS256\""), 0 }, { ALG("\"ES256\""), 0 }, { ALG("\"PS256\""), 0 },
    { ALG("\"EdDSA\""), 0 }, { ALG("[\"HS256\"]"), 0 }, { ALG("256"), 0 },
    { ALG("true"), 0 }, { "{\"Alg\":\"HS256\"" TAIL, 0 },
    { "{\"kid\":\"k2\",\"typ\":\"at+jwt\"}", 0 },

    { TYP("\"JWT\""), 0 }, { TYP("\"jwt\""), 0 }, { TYP("\"rt+jwt\""), 0 },
    { TYP("\"AT+JWT\""), 0 }, { TYP("\"application/at+jwt\""), 0 },
    { TYP("\"\""), 0 }, { TYP("null"), 0 }, { TYP("[\"at+jwt\"]"), 0 },
    { "{\"alg\":\"HS256\",\"kid\":\"k2\"}", 0 },

    { KID("\"k3\""), 0 }, { KID("\"K2\""), 0 }, { KID("\"\""), 0 },
    { KID("2"), 0 }, { KID("null"), 0 }, { KID("[\"k2\"]"), 0 },
    { KID("\"../../dev/null\""), 0 }, { KID("\"k2' or '1'='1\""), 0 },
    { KID("\"k1\""), 0 },               /* signed with the other key */
    { "{\"alg\":\"HS256\",\"typ\":\"at+jwt\"}", 0 },

    { EXTRA("\"crit\":[\"exp\"],\"exp\":1"), 0 },
    { EXTRA("\"crit\":[]"), 0 }, { EXTRA("\"crit\":null"), 0 },
    { EXTRA("\"b64\":false,\"crit\":[\"b64\"]"), 0 },
    { EXTRA("\"jwk\":{\"kty\":\"oct\",\"k\":\"AAAA\"}"), 1 },
    { EXTRA("\"jku\":\"https://example.com/keys\""), 1 },
    { EXTRA("\"x5u\":\"https://example.com/cert\",\"x5c\":[\"AAAA\"]"), 1 },
    { EXTRA("\"cty\":\"JWT\""), 1 },
    { EXTRA("\"alg\":\"HS256\""), 0 }, { EXTRA("\"alg\":\"none\""), 0 },
    { EXTRA("\"\\u0061lg\":\"HS256\""), 0 }, { EXTRA("\"kid\":\"k2\""), 0 },
    { EXTRA("\"typ\":\"at+jwt\""), 0 }, { EXTRA("\"x\":1,\"x\":1"), 0 },

    { "{}", 0 }, { "[]", 0 }, { "\"HS256\"", 0 }, { "x", 0 },
    { HEADER "x", 0 }, { HEADER HEADER, 0 }, { "[" HEADER "]", 0 },
    { "{\"alg\":\"HS256\",\"kid\":\"k2\",\"typ\":\"at+jwt\",}", 0 },
    { EXTRA("\"x\":\"\xff\""), 0 }
};


static void
test_headers(void **state)
{
    int     rc;
    size_t  i;

    for (i = 0; i < unit_count(header_rows); i++) {
        rc = verify(header_rows[i].header, CLAIMS);

        if (rc != (header_rows[i].good ? RUSH_OK : RUSH_ERROR)) {
            fail_msg("row %zu: %s", i, header_rows[i].header);
        }
    }
}


static void
test_keys_by_kid(void **state)
{
    size_t         n;
    rush_claims_t  claims;
    unsigned char  token[2048];

    n = make_token(token, KID("\"k1\""), CLAIMS, old_key);
    assert_int_equal(verify_at(token, n, NOW, &claims), RUSH_OK);

    n = make_token(token, KID("\"k1\"") " ", CLAIMS, old_key);
    assert_int_equal(verify_at(token, n, NOW, &claims), RUSH_OK);

    n = make_token(token, HEADER, CLAIMS, old_key);
    assert_int_equal(verify_at(token, n, NOW, &claims), RUSH_ERROR);
}


/* each byte of a good token, changed, cut off or followed by another */

static void
test_changes(void **state)
{
    size_t         i, n;
    rush_claims_t  claims;
    unsigned char  token[2048], c;

    n = make_token(token, HEADER, CLAIMS, new_key);
    assert_int_equal(verify_at(token, n, NOW, &claims), RUSH_OK);

    for (i = 0; i < n; i++) {
        c = token[i];

        token[i] = (c == 'A') ? 'B' : 'A';
        assert_int_equal(verify_at(token, n, NOW, &claims), RUSH_ERROR);
        token[i] = '.';

        if (c != '.') {
            assert_int_equal(verify_at(token, n, NOW, &claims), RUSH_ERROR);
        }

        token[i] = c ^ 0x80;
        assert_int_equal(verify_at(token, n, NOW, &claims), RUSH_ERROR);
        token[i] = c;

        assert_int_equal(verify_at(token, i, NOW, &claims), RUSH_ERROR);
        assert_int_equal(verify_at(token + i + 1, n - i - 1, NOW, &claims),
                         RUSH_ERROR);
    }

    for (i = 0; i < 256; i++) {
        token[n] = (unsigned char) i;
        assert_int_equal(verify_at(token, n + 1, NOW, &claims), RUSH_ERROR);
    }

    /* the two bits a signature of 43 digits does not use must be 0 */

    for (i = 0; i < 256; i++) {
        c = token[n - 1];
        token[n - 1] = (unsigned char) i;
        assert_int_equal(verify_at(token, n, NOW, &claims),
                         (i == c) ? RUSH_OK : RUSH_ERROR);
        token[n - 1] = c;
    }
}


/* parts of a good token: header, claims, signature */

static const struct {
    const char  *format;
    int          good;
} forms[] = {
    { "%1$s.%2$s.%3$s", 1 },
    { "%1$s.%2$s", 0 }, { "%1$s.%2$s.", 0 }, { "%2$s.%3$s", 0 },
    { ".%2$s.%3$s", 0 }, { "%1$s..%3$s", 0 }, { "%1$s.%3$s", 0 },
    { "%3$s", 0 }, { ".%3$s", 0 }, { "..%3$s", 0 }, { "..", 0 },
    { "%1$s.%2$s.%3$s.", 0 }, { "%1$s.%2$s.%3$s.%3$s", 0 },
    { "%1$s.%2$s.%3$s.%3$s.%3$s", 0 }, { ".%1$s.%2$s.%3$s", 0 },
    { "%1$s.%2$s..%3$s", 0 }, { "%1$s..%2$s.%3$s", 0 },
    { "%1$s.%2$s.%3$s=", 0 }, { "%1$s.%2$s=.%3$s", 0 },
    { "%1$s=.%2$s.%3$s", 0 }, { "%1$s==.%2$s==.%3$s=", 0 },
    { " %1$s.%2$s.%3$s", 0 }, { "%1$s.%2$s.%3$s ", 0 },
    { "%1$s.%2$s.%3$s\n", 0 }, { "%1$s. %2$s.%3$s", 0 },
    { "%1$s.%2$s.%3$sA", 0 }, { "%1$s.%2$s.A%3$s", 0 },
    { "%1$s.%2$s.%3$sAAAA", 0 }, { "%1$s.%2$s.%3$s%3$s", 0 },
    { "Bearer %1$s.%2$s.%3$s", 0 },
    { "%2$s.%1$s.%3$s", 0 }, { "%1$s.%1$s.%3$s", 0 },
    { "{\"payload\":\"%2$s\",\"protected\":\"%1$s\","
      "\"signature\":\"%3$s\"}", 0 }
};


static void
test_parts(void **state)
{
    size_t          i, n, head, body;
    rush_claims_t   claims;
    char            bad[8192];
    unsigned char   token[2048];
    const char     *h, *b, *s;

    n = make_token(token, HEADER, CLAIMS, new_key);
    token[n] = '\0';

    head = strcspn((char *) token, ".");
    body = strcspn((char *) token + head + 1, ".");
    token[head] = '\0';
    token[head + 1 + body] = '\0';
    h = (char *) token;
    b = h + head + 1;
    s = b + body + 1;

    for (i = 0; i < unit_count(forms); i++) {
        n = (size_t) snprintf(bad, sizeof(bad), forms[i].format, h, b, s);
        assert_int_equal(verify_at((unsigned char *) bad, n, NOW, &claims),
                         forms[i].good ? RUSH_OK : RUSH_ERROR);
    }

    assert_int_equal(rush_jwt_verify(jwt, NULL, 0, NOW, &claims), RUSH_ERROR);
}


static void
test_length(void **state)
{
    size_t          n, len;
    rush_claims_t   claims;
    char            json[4096];
    unsigned char   token[8192];

    /* the longest claims whose token has no more than RUSH_JWT_MAX_LEN */
    for (len = 1300; /* void */ ; len++) {
        snprintf(json, sizeof(json), MORE("\"x\":\"%0*d\""), (int) len, 0);
        n = make_token(token, HEADER, json, new_key);

        if (n > RUSH_JWT_MAX_LEN) {
            break;
        }

        assert_int_equal(verify_at(token, n, NOW, &claims), RUSH_OK);
    }

    assert_int_equal(verify_at(token, n, NOW, &claims), RUSH_ERROR);
    assert_true(len > 1300);

}


/* a hint: the user of our own tokens, and never more than was given is read */

static void
test_peek(void **state)
{
    size_t          i, n, len;
    rush_claims_t   claims;
    unsigned char   token[RUSH_JWT_MAX_LEN], *p;

    static const int64_t  users[] = { 1, 9, 42, 123456, 987654321012LL,
                                      INT64_MAX };

    memset(&claims, 0, sizeof(rush_claims_t));
    claims.issued = NOW;
    claims.expires = NOW + 900;

    for (i = 0; i < sizeof(users) / sizeof(users[0]); i++) {
        claims.user = users[i];
        len = rush_jwt_sign(jwt, &claims, token);
        assert_true(len > 0);

        for (n = 0; n <= len; n++) {
            p = unit_copy(token, n);

            if (rush_jwt_peek(jwt, p, n) != (n < len ? 0 : users[i])) {
                assert_int_equal(rush_jwt_peek(jwt, p, n), users[i]);
                assert_true(n > len - RUSH_JWT_SIGNATURE - 200);
            }

            free(p);
        }
    }

    /* others get no hint, whatever they hold */

    n = make_token(token, HEADER, "{\"sub\":\"42\"," TIMES
                   ",\"pad\":\"0123456789012345678901234567890123456789\"}",
                   new_key);
    p = unit_copy(token, n);
    assert_int_equal(rush_jwt_peek(jwt, p, n), 0);
    free(p);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_own),
        cmocka_unit_test(test_claims),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_keys_by_kid),
        cmocka_unit_test(test_changes),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_length),
        cmocka_unit_test(test_peek)
    };

    return cmocka_run_group_tests_name("rush_jwt", tests, setup, teardown);
}
