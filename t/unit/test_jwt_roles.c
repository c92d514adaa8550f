
/*
 * Copyright (C) Rush
 *
 * The mask of roles in a token, and tokens of before it.
 */


#include <openssl/evp.h>

#include "unit.h"
#include "rush_jwt_key.h"


#define NOW     1700000000LL
#define HEADER  "{\"alg\":\"HS256\",\"kid\":\"k2\",\"typ\":\"at+jwt\"}"
#define JTI22   "AAECAwQFBgcICQoLDA0ODw"


static const unsigned char  key[] = "fedcba9876543210fedcba9876543210";
static rush_jwt_t          *jwt;


static int
setup(void **state)
{
    rush_str_t  kid = rush_string("k2");

    jwt = rush_jwt_create("rush", "rush-api", 30);
    assert_non_null(jwt);
    assert_int_equal(rush_jwt_add_key(jwt, &kid, key, 32), RUSH_OK);

    return 0;
}


static int
teardown(void **state)
{
    rush_jwt_destroy(jwt);

    return 0;
}


static size_t
make_token(unsigned char *dst, const char *claims)
{
    size_t         n, len;
    unsigned char  mac[32];

    n = rush_base64url_encode(dst, (const unsigned char *) HEADER,
                              strlen(HEADER));
    dst[n++] = '.';
    n += rush_base64url_encode(dst + n, (const unsigned char *) claims,
                               strlen(claims));

    assert_non_null(EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, key, 32,
                              dst, n, mac, sizeof(mac), &len));
    dst[n++] = '.';

    return n + rush_base64url_encode(dst + n, mac, sizeof(mac));
}


/* {claims, mask of roles, or -1: refused}; ours and those of before */

#define ROLES(m)                                                              \
    "{\"iss\":\"rush\",\"aud\":\"rush-api\",\"sub\":\"42\","                  \
    "\"iat\":1700000000,\"exp\":1700000900,\"jti\":\"x\"" m "}"
#define OWNED(m)                                                              \
    "{\"iss\":\"rush\",\"aud\":\"rush-api\",\"sub\":\"42\",\"sid\":\"7\","    \
    "\"ver\":3,\"role\":" m ",\"iat\":1700000000,\"exp\":1700000900,"         \
    "\"jti\":\"" JTI22 "\"}"

static const struct {
    const char  *claims;
    int64_t      roles;
} roles_rows[] = {
    { ROLES(""), 0 }, { ROLES(",\"role\":\"user\""), 0 },
    { ROLES(",\"role\":\"admin\""), 1 }, { ROLES(",\"roles\":6"), 6 },
    { ROLES(",\"role\":\"admin\",\"roles\":4"), 4 },
    { ROLES(",\"roles\":4,\"role\":\"admin\""), 4 },
    { ROLES(",\"role\":\"admin\",\"roles\":0"), 0 },
    { ROLES(",\"roles\":4611686018427387903"), 4611686018427387903LL },
    { ROLES(",\"roles\":\"1\""), -1 }, { ROLES(",\"roles\":-1"), -1 },
    { ROLES(",\"roles\":1.0"), -1 }, { ROLES(",\"roles\":1e0"), -1 },
    { ROLES(",\"roles\":[1]"), -1 }, { ROLES(",\"roles\":null"), -1 },
    { ROLES(",\"roles\":true"), -1 }, { ROLES(",\"roles\":01"), -1 },
    { ROLES(",\"roles\":9223372036854775808"), -1 },
    { ROLES(",\"roles\":1,\"roles\":1"), -1 },
    { ROLES(",\"Roles\":1"), 0 },

    { OWNED("\"user\""), 0 }, { OWNED("\"admin\""), 1 },
    { OWNED("\"admin\",\"roles\":3"), 3 },
    { OWNED("\"user\",\"roles\":2"), 2 },
    { OWNED("\"admin\",\"roles\":0"), 0 },
    { OWNED("\"user\",\"roles\":02"), -1 },
    { OWNED("\"user\",\"roles\":"), -1 },
    { OWNED("\"user\",\"roles\":-2"), -1 },
    { OWNED("\"user\",\"roles\":\"2\""), -1 },
    { OWNED("\"user\",\"roles\":2,\"role\":\"admin\""), -1 },
    { OWNED("\"user\",\"roles\":2,\"roles\":2"), -1 }
};


static void
test_roles(void **state)
{
    int            rc;
    size_t         i, n;
    rush_claims_t  claims;
    unsigned char  token[2048];

    for (i = 0; i < unit_count(roles_rows); i++) {
        n = make_token(token, roles_rows[i].claims);
        rc = rush_jwt_verify(jwt, token, n, NOW, &claims);

        if (roles_rows[i].roles == -1
            ? rc != RUSH_ERROR
            : rc != RUSH_OK || claims.roles != roles_rows[i].roles)
        {
            fail_msg("row %zu: %s", i, roles_rows[i].claims);
        }
    }
}


/* what is signed says both, so that a node of before takes nobody for an
 * administrator who has another role only */

static void
test_roles_signed(void **state)
{
    long           n;
    size_t         i;
    char          *dot;
    rush_claims_t  in, out;
    unsigned char  token[RUSH_JWT_MAX_LEN + 1], text[RUSH_JWT_MAX_LEN];

    static const struct {
        int64_t      roles;
        const char  *text;
    } rows[] = {
        { 0, "\"role\":\"user\",\"iat\"" },
        { 1, "\"role\":\"admin\",\"roles\":1,\"iat\"" },
        { 2, "\"role\":\"user\",\"roles\":2,\"iat\"" },
        { 7, "\"role\":\"admin\",\"roles\":7,\"iat\"" }
    };

    memset(&in, 0, sizeof(rush_claims_t));
    in.user = 42;
    in.issued = NOW;
    in.expires = NOW + 900;

    for (i = 0; i < unit_count(rows); i++) {
        in.roles = rows[i].roles;
        n = (long) rush_jwt_sign(jwt, &in, token);
        assert_true(n > 0);
        token[n] = '\0';

        assert_int_equal(rush_jwt_verify(jwt, token, (size_t) n, NOW, &out),
                         RUSH_OK);
        assert_true(out.roles == rows[i].roles);

        dot = strchr((char *) token, '.') + 1;
        n = rush_base64url_decode(text, (unsigned char *) dot,
                                  strcspn(dot, "."));
        assert_true(n > 0);
        text[n] = '\0';
        assert_non_null(strstr((char *) text, rows[i].text));
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_roles),
        cmocka_unit_test(test_roles_signed)
    };

    return cmocka_run_group_tests_name("rush_jwt roles", tests, setup,
                                       teardown);
}
