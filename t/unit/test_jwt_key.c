
/*
 * Copyright (C) Rush
 *
 * Keys, key files, base64url and the MAC, by published vectors.
 */


#include "unit.h"
#include "rush_jwt_key.h"


#define NOW  1700000000LL


static const unsigned char  old_key[] = "0123456789abcdef0123456789abcdef";
static const unsigned char  new_key[] = "fedcba9876543210fedcba9876543210";


static void
test_add_key(void **state)
{
    unsigned       i;
    rush_jwt_t    *other;
    rush_str_t     kid;
    unsigned char  name[40];

    other = rush_jwt_create("rush", "rush-api", 0);
    assert_non_null(other);

    memset(name, 'a', sizeof(name));
    kid.data = name;

    kid.len = 0;
    assert_int_equal(rush_jwt_add_key(other, &kid, old_key, 32), RUSH_ERROR);
    kid.len = 33;
    assert_int_equal(rush_jwt_add_key(other, &kid, old_key, 32), RUSH_ERROR);
    kid.len = 32;
    assert_int_equal(rush_jwt_add_key(other, &kid, old_key, 31), RUSH_ERROR);
    assert_int_equal(rush_jwt_add_key(other, &kid, old_key, 32), RUSH_OK);
    assert_int_equal(rush_jwt_add_key(other, &kid, new_key, 32), RUSH_ERROR);

    name[0] = '/';
    assert_int_equal(rush_jwt_add_key(other, &kid, old_key, 32), RUSH_ERROR);

    kid.len = 1;

    for (i = 1; i < RUSH_JWT_MAX_KEYS; i++) {
        name[0] = (unsigned char) ('0' + i);
        assert_int_equal(rush_jwt_add_key(other, &kid, old_key, 32), RUSH_OK);
    }

    name[0] = 'z';
    assert_int_equal(rush_jwt_add_key(other, &kid, old_key, 32), RUSH_ERROR);

    rush_jwt_destroy(other);
}


#define SECRET1  "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY"    /* old_key */
#define SECRET2  "ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA"    /* new_key */

static const struct {
    const char  *text;
    int          keys;                  /* -1: refused */
} files[] = {
    { "k1:" SECRET1 "\nk2:" SECRET2 "\n", 2 },
    { "# keys\n\nk1:" SECRET1 "\r\n#x:y\nk2:" SECRET2, 2 },
    { "k2:" SECRET2 "\n", 1 },
    { "0123456789abcdef0123456789abcdef\n", 1 },
    { "0123456789abcdef0123456789abcdef", 1 },
    { "0123456789abcdef0123456789abcdef\n\n", 1 },
    { "", -1 }, { "\n", -1 }, { "short\n", -1 },
    { "0123456789abcdef0123456789abcde\n", -1 },
    { "#k1:" SECRET1 "\n", -1 },
    { "k1:" SECRET1 "\nk1:" SECRET2 "\n", -1 },
    { "k1:" SECRET1 "=\n", -1 }, { "k1: " SECRET1 "\n", -1 },
    { "k1:\n", -1 }, { ":" SECRET1 "\n", -1 }, { "k 1:" SECRET1 "\n", -1 },
    { "k1:" SECRET1 "\nno colon here\n", -1 },
    { "k1:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZQ\n", -1 },
    { "k1:" SECRET1 ":" SECRET1 "\n", -1 },
    { "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa:" SECRET1 "\n", -1 },
    { "1:" SECRET1 "\n2:" SECRET1 "\n3:" SECRET1 "\n4:" SECRET1 "\n5:" SECRET1
      "\n6:" SECRET1 "\n7:" SECRET1 "\n8:" SECRET1 "\n", 8 },
    { "1:" SECRET1 "\n2:" SECRET1 "\n3:" SECRET1 "\n4:" SECRET1 "\n5:" SECRET1
      "\n6:" SECRET1 "\n7:" SECRET1 "\n8:" SECRET1 "\n9:" SECRET1 "\n", -1 }
};


static void
test_load(void **state)
{
    int             rc;
    size_t          i, n;
    const char     *err;
    rush_jwt_t     *other;
    unsigned char  *p;

    for (i = 0; i < unit_count(files); i++) {
        other = rush_jwt_create("rush", "rush-api", 0);
        assert_non_null(other);

        n = strlen(files[i].text);
        p = unit_copy(files[i].text, n);
        err = NULL;
        rc = rush_jwt_load(other, p, n, &err);
        free(p);

        if (files[i].keys < 0) {
            assert_int_equal(rc, RUSH_ERROR);
            assert_non_null(err);

        } else {
            assert_int_equal(rc, RUSH_OK);
            assert_int_equal(other->nkeys, files[i].keys);
        }

        rush_jwt_destroy(other);
    }
}


/* what a loaded key signs, its owner of the same bytes verifies */

static void
test_loaded_keys(void **state)
{
    size_t                n, i;
    const char           *err;
    rush_jwt_t           *other, *owner;
    rush_str_t            kid = rush_string("k2");
    rush_claims_t         claims;
    unsigned char         token[RUSH_JWT_MAX_LEN], binary[40];
    static rush_claims_t  in = { 5, 6, 7, NOW, NOW + 9, RUSH_ROLE_USER };
    static const char     text[] = "k1:" SECRET1 "\nk2:" SECRET2 "\n";

    owner = rush_jwt_create("rush", "rush-api", 0);
    assert_non_null(owner);
    assert_int_equal(rush_jwt_add_key(owner, &kid, new_key, 32), RUSH_OK);

    other = rush_jwt_create("rush", "rush-api", 0);
    assert_non_null(other);
    assert_int_equal(rush_jwt_load(other, (const unsigned char *) text,
                                   sizeof(text) - 1, &err),
                     RUSH_OK);
    n = rush_jwt_sign(other, &in, token);
    assert_true(n > 0);
    assert_int_equal(rush_jwt_verify(owner, token, n, NOW, &claims), RUSH_OK);
    assert_int_equal(claims.session, 6);
    rush_jwt_destroy(other);

    /* a plain file may hold any bytes */
    for (i = 0; i < sizeof(binary); i++) {
        binary[i] = (unsigned char) i;
    }

    other = rush_jwt_create("rush", "rush-api", 0);
    assert_non_null(other);
    assert_int_equal(rush_jwt_load(other, binary, sizeof(binary), &err),
                     RUSH_OK);
    n = rush_jwt_sign(other, &in, token);
    assert_true(n > 0);
    assert_int_equal(rush_jwt_verify(other, token, n, NOW, &claims), RUSH_OK);
    assert_int_equal(rush_jwt_verify(owner, token, n, NOW, &claims),
                     RUSH_ERROR);
    rush_jwt_destroy(other);
    rush_jwt_destroy(owner);
}


static void
test_sign_refused(void **state)
{
    char                  name[2000];
    rush_jwt_t           *jwt, *other;
    rush_str_t            kid = rush_string("a");
    rush_claims_t         bad;
    unsigned char         token[RUSH_JWT_MAX_LEN];
    static rush_claims_t  good = { 1, 1, 1, NOW, NOW + 1, RUSH_ROLE_USER };

    jwt = rush_jwt_create("rush", "rush-api", 0);
    assert_non_null(jwt);
    assert_int_equal(rush_jwt_add_key(jwt, &kid, old_key, 32), RUSH_OK);
    assert_true(rush_jwt_sign(jwt, &good, token) > 0);

    bad = good;
    bad.user = 0;
    assert_int_equal(rush_jwt_sign(jwt, &bad, token), 0);

    bad = good;
    bad.session = -1;
    assert_int_equal(rush_jwt_sign(jwt, &bad, token), 0);

    bad = good;
    bad.version = 1LL << 53;
    assert_int_equal(rush_jwt_sign(jwt, &bad, token), 0);

    bad = good;
    bad.expires = 0;
    assert_int_equal(rush_jwt_sign(jwt, &bad, token), 0);

    bad = good;
    bad.roles = -1;
    assert_int_equal(rush_jwt_sign(jwt, &bad, token), 0);

    rush_jwt_destroy(jwt);

    memset(name, 'n', sizeof(name));
    name[sizeof(name) - 1] = '\0';
    other = rush_jwt_create(name, "aud", 0);
    assert_non_null(other);
    assert_int_equal(rush_jwt_sign(other, &good, token), 0);   /* no key */
    assert_int_equal(rush_jwt_add_key(other, &kid, old_key, 32), RUSH_OK);
    assert_int_equal(rush_jwt_sign(other, &good, token), 0);   /* no room */
    rush_jwt_destroy(other);

    assert_null(rush_jwt_create(NULL, "aud", 0));
    assert_null(rush_jwt_create("iss", NULL, 0));
}


/* RFC 4648, section 10, and what is not canonical */

static void
test_base64(void **state)
{
    long                n;
    size_t              i, len;
    unsigned char       out[64], *p, back[64];
    static const char  *good[][2] = {
        { "", "" }, { "f", "Zg" }, { "fo", "Zm8" }, { "foo", "Zm9v" },
        { "foob", "Zm9vYg" }, { "fooba", "Zm9vYmE" },
        { "foobar", "Zm9vYmFy" }, { "\xfb\xff\xbf", "-_-_" }
    };
    static const char  *bad[] = {
        "Z", "Zm9vY", "Zh", "Zm9", "Zg==", "Zm8=", "Zm9v\n", "Zm9+", "Zm9/",
        "Zm 9v", "=", "A=", "Zm9v====", "\xff\xff\xff\xff", "Zm9\x80", "Z\xc1"
    };

    for (i = 0; i < unit_count(good); i++) {
        len = strlen(good[i][1]);
        p = unit_copy(good[i][1], len);
        n = rush_base64url_decode(out, p, len);
        free(p);

        assert_int_equal(n, strlen(good[i][0]));
        assert_memory_equal(out, good[i][0], (size_t) n);
        assert_int_equal(rush_base64url_encode(back, out, (size_t) n), len);
        assert_memory_equal(back, good[i][1], len);
    }

    for (i = 0; i < unit_count(bad); i++) {
        len = strlen(bad[i]);
        p = unit_copy(bad[i], len);
        assert_int_equal(rush_base64url_decode(out, p, len), -1);
        free(p);
    }
}


static void
add_key(rush_jwt_t *other, const unsigned char *secret, size_t len)
{
    rush_str_t  kid = rush_string("t");

    assert_int_equal(rush_jwt_add_key(other, &kid, secret, len), RUSH_OK);
}


/* RFC 7515, appendix A.1: the header holds CR LF and is signed as it is */

static void
test_rfc7515(void **state)
{
    long                n;
    rush_jwt_t         *other;
    rush_claims_t       claims;
    unsigned char       key[80], mac[32], sent[40];
    static const char   k[] =
        "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hc"
        "gUuTwjAzZr1Z9CAow";
    static const char   input[] =
        "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9."
        "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlL"
        "mNvbS9pc19yb290Ijp0cnVlfQ";
    static const char   signature[] =
        "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    char                token[512];

    n = rush_base64url_decode(key, (const unsigned char *) k, sizeof(k) - 1);
    assert_int_equal(n, 64);

    other = rush_jwt_create("joe", "", 0);
    assert_non_null(other);
    add_key(other, key, 64);

    rush_jwt_mac(&other->keys[0], (const unsigned char *) input,
                 sizeof(input) - 1, mac);
    n = rush_base64url_decode(sent, (const unsigned char *) signature,
                              sizeof(signature) - 1);
    assert_int_equal(n, 32);
    assert_memory_equal(mac, sent, 32);

    /* still no access token of ours: no kid, typ "JWT" */
    n = snprintf(token, sizeof(token), "%s.%s", input, signature);
    assert_int_equal(rush_jwt_verify(other, (unsigned char *) token,
                                     (size_t) n, 1300819379, &claims),
                     RUSH_ERROR);

    rush_jwt_destroy(other);
}


static unit_vectors_t  vectors;


/* three parts, canonical, right MAC: what of a JWS is not of our profile */

static int
jws_good(rush_jwt_t *other, const rush_str_t *jws)
{
    size_t                n;
    unsigned char         mac[32], sent[64], *part;
    const unsigned char  *last, *dot;

    part = malloc(jws->len + 3);
    assert_non_null(part);

    last = jws->data + jws->len;
    n = (jws->len > 44) ? jws->len - 44 : 0;

    if (n == 0 || jws->data[n] != '.'
        || rush_base64url_decode(sent, jws->data + n + 1, 43) != 32)
    {
        free(part);
        return 0;
    }

    last = jws->data + n;
    dot = memchr(jws->data, '.', n);

    if (dot == NULL
        || rush_base64url_decode(part, jws->data, (size_t) (dot - jws->data))
           <= 0
        || rush_base64url_decode(part, dot + 1, (size_t) (last - dot - 1))
           <= 0)
    {
        free(part);
        return 0;
    }

    free(part);

    rush_jwt_mac(&other->keys[0], jws->data, n, mac);

    return memcmp(mac, sent, 32) == 0;
}


static void
check_jws(unit_vectors_t *v)
{
    long            n;
    rush_jwt_t     *other;
    rush_claims_t   claims;
    unsigned char   key[128];

    n = rush_base64url_decode(key, v->column[0].data, v->column[0].len);
    assert_true(n >= 32);

    other = rush_jwt_create("", "", 0);
    assert_non_null(other);
    add_key(other, key, (size_t) n);

    if (jws_good(other, &v->column[1]) != (strcmp(v->word, "accept") == 0)) {
        fail_msg("%s", (char *) v->column[2].data);
    }

    /* none of them is an access token */
    assert_int_equal(rush_jwt_verify(other, v->column[1].data,
                                     v->column[1].len, 1, &claims),
                     RUSH_ERROR);
    rush_jwt_destroy(other);
}


/* keys of RFC 4231 may be shorter than what a token may be signed with; a
 * key filled up with zeros to a block is the same key */

static void
check_hmac(unit_vectors_t *v)
{
    size_t          n;
    rush_jwt_t     *other;
    unsigned char   mac[32], key[256];

    memset(key, 0, sizeof(key));
    memcpy(key, v->column[0].data, v->column[0].len);
    n = (v->column[0].len < 64) ? 64 : v->column[0].len;

    other = rush_jwt_create("", "", 0);
    assert_non_null(other);
    add_key(other, key, n);

    rush_jwt_mac(&other->keys[0], v->column[1].data, v->column[1].len, mac);
    assert_memory_equal(mac, v->column[2].data, 32);

    rush_jwt_destroy(other);
}


static void
test_published(void **state)
{
    size_t          rows;
    rush_str_t     *c;
    unsigned char   out[64];

    if (!unit_vectors(&vectors, "jwt")) {
        return;
    }

    c = vectors.column;

    for (rows = 0; unit_row(&vectors); rows++) {

        if (strcmp(vectors.word, "hmac") == 0) {
            check_hmac(&vectors);

        } else if (strcmp(vectors.word, "base64") == 0) {
            assert_int_equal(rush_base64url_decode(out, c[1].data, c[1].len),
                             c[0].len);
            assert_memory_equal(out, c[0].data, c[0].len);

        } else if (strcmp(vectors.word, "bad64") == 0) {
            assert_int_equal(rush_base64url_decode(out, c[0].data, c[0].len),
                             -1);

        } else if (strcmp(vectors.word, "skip") != 0) {
            check_jws(&vectors);
        }
    }

    assert_true(rows > 50);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_add_key),
        cmocka_unit_test(test_load),
        cmocka_unit_test(test_loaded_keys),
        cmocka_unit_test(test_sign_refused),
        cmocka_unit_test(test_base64),
        cmocka_unit_test(test_rfc7515),
        cmocka_unit_test(test_published)
    };

    return cmocka_run_group_tests_name("rush_jwt keys", tests, NULL, NULL);
}
