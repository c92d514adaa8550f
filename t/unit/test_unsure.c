
/*
 * Copyright (C) Rush
 *
 * A check that has no memory is neither passed nor failed: OpenSSL misses the
 * n-th block, or all from the n-th on, for n = 1, 2, 3 ... until none is left.
 */


#include "unit.h"

#include <openssl/crypto.h>

#include "rush_alipay.h"
#include "rush_seal.h"
#include "rush_wxpay.h"


#define BODY    "{\"a\":1}"
#define NONCE   "593bec0c930bf1afeb40b4a08c8fb242"
#define NOW     1554208460
#define SECONDS "1554208460"
#define MOST    1000                    /* blocks of one check */


static long      left;                  /* 0: memory is good */
static unsigned  for_good;
static unsigned  missed;


static int
miss(void)
{
    if (left == 0 || --left > 0) {
        return 0;
    }

    left = for_good;
    missed++;

    return 1;
}


static void *
get(size_t size, const char *file, int line)
{
    return miss() ? NULL : malloc(size);
}


static void *
change(void *p, size_t size, const char *file, int line)
{
    return miss() ? NULL : realloc(p, size);
}


static void
drop(void *p, const char *file, int line)
{
    free(p);
}


typedef struct {
    rush_rsa_t      *rsa;
    rush_str_t       sign;              /* of WeChat */
    rush_str_t       form;              /* of Alipay */
    rush_seal_t      seal;
    unsigned char    sealed[sizeof(BODY) - 1 + RUSH_SEAL_EXTRA];
    unsigned         altered;
    unsigned char    memory[2][RUSH_RSA_SIGN_TEXT];
} checks_t;


static int
check_wechat(checks_t *c)
{
    rush_str_t         body;
    rush_wxpay_seal_t  seal;

    seal.timestamp = unit_str(SECONDS);
    seal.nonce = unit_str(NONCE);
    seal.serial = unit_str("any");
    seal.signature = c->sign;
    body = unit_str(c->altered ? "{\"a\":2}" : BODY);

    return rush_wxpay_verify_by(c->rsa, &seal, &body, NOW * 1000LL);
}


static int
check_alipay(checks_t *c)
{
    rush_pair_t  f[3];

    f[0].name = unit_str("app_id");
    f[0].value = unit_str(c->altered ? "2018" : "2017");
    f[1].name = unit_str("sign_type");
    f[1].value = unit_str("RSA2");
    f[2].name = unit_str("sign");
    f[2].value = c->form;

    return rush_alipay_check(c->rsa, f, 3);
}


static int
check_answer(checks_t *c)
{
    rush_alipay_slice_t  s;

    memset(&s, 0, sizeof(s));
    s.signed_text = unit_str(c->altered ? "app_id=2018" : "app_id=2017");
    s.sign = c->form;

    return rush_alipay_verify(c->rsa, &s);
}


static int
check_resource(checks_t *c)
{
    long                    n;
    unsigned char           dst[256];
    rush_wxpay_resource_t   rs;

    static const char  apiv3[] = "0123456789abcdef0123456789abcdef";

    rs.algorithm = unit_str("AEAD_AES_256_GCM");
    rs.nonce = unit_str("0123456789abcdef");
    rs.associated_data = unit_str(c->altered ? "worle" : "world");
    rs.ciphertext = unit_str("APoZlYpivU3HjbAiB4CvW1rAFr8J");

    n = rush_wxpay_open((const unsigned char *) apiv3, &rs, dst);

    return n >= 0 ? RUSH_TRUSTED : rush_doubt(n, RUSH_DOUBT_SIGNATURE);
}


/* a certificate of WeChat in Redis */

static int
check_sealed(checks_t *c)
{
    int            n;
    rush_str_t     with;
    unsigned char  dst[sizeof(c->sealed)];

    with = unit_str(c->altered ? "AB02" : "AB01");
    n = rush_unseal(&c->seal, "paykey", &with, c->sealed, sizeof(c->sealed),
                    dst);

    if (n >= 0) {
        return RUSH_TRUSTED;
    }

    return n == RUSH_UNSURE ? RUSH_DOUBT_UNSURE : RUSH_DOUBT_SIGNATURE;
}


static void
plays(checks_t *c, int (*check)(checks_t *))
{
    long  n;
    int   doubt, want, unsure;

    want = c->altered ? RUSH_DOUBT_SIGNATURE : RUSH_TRUSTED;
    assert_int_equal(check(c), want);

    unsure = 0;

    for (n = 1; n < MOST; n++) {
        missed = 0;
        left = n;
        doubt = check(c);
        left = 0;

        if (missed == 0) {
            break;
        }

        assert_true(doubt == want || doubt == RUSH_DOUBT_UNSURE);
        unsure += (doubt == RUSH_DOUBT_UNSURE);

        assert_int_equal(check(c), want);
    }

    assert_in_range(n, 2, MOST - 1);
    assert_true(unsure > 0);
}


static void
test_unsure(void **state)
{
    unsigned    i;
    checks_t    c;
    rush_str_t  part;

    static int  (*const  checks[])(checks_t *) = {
        check_wechat, check_alipay, check_answer, check_resource, check_sealed
    };

    c.rsa = unit_rsa(unit_str(unit_key), 1);

    part = unit_str(SECONDS "\n" NONCE "\n" BODY "\n");
    c.sign.data = c.memory[0];
    c.sign.len = rush_rsa_sign(c.rsa, &part, 1, c.memory[0]);

    part = unit_str("app_id=2017");
    c.form.data = c.memory[1];
    c.form.len = rush_rsa_sign(c.rsa, &part, 1, c.memory[1]);

    memset(&c.seal, 7, sizeof(rush_seal_t));
    part = unit_str("AB01");
    assert_int_equal(rush_seal(&c.seal, "paykey", &part, BODY,
                               sizeof(BODY) - 1, c.sealed),
                     sizeof(c.sealed));

    for (for_good = 0; for_good < 2; for_good++) {

        for (i = 0; i < 2 * unit_count(checks); i++) {
            c.altered = i & 1;
            plays(&c, checks[i / 2]);
        }
    }

    rush_rsa_free(c.rsa);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_unsure)
    };

    /* before OpenSSL has taken its first block */

    if (CRYPTO_set_mem_functions(get, change, drop) != 1) {
        return 1;
    }

    return cmocka_run_group_tests_name("unsure", tests, NULL, NULL);
}
