
/*
 * Copyright (C) Rush
 *
 * Answers of Alipay, its money and its time.
 */


#include "unit.h"
#include "rush_alipay.h"


static void
test_slice(void **state)
{
    size_t                i;
    const char           *err;
    rush_alipay_slice_t   s;

    static const char  *bad[] = {
        "", "{", "[]", "{}", "x", "{\"sign\":\"a\"}", "{\"a_b_response\":}",
        "{\"a_b_response\":{}", "{\"a_b_response\":{}}}",
        "{\"a_b_response\":{}} x", "{\"a_b_response\":{\"a\":\"}",
        "{\"a_b_response\":{},\"a_b_response\":{}}",
        "{\"a_b_response\":{},\"error_response\":{}}",
        "{\"a_b_response\":{},\"sign\":\"a\",\"sign\":\"b\"}",
        "{\"a_b_response\":{},\"sign\":1}", "{\"a_b_response\" {}}",
        "{\"x\":{\"a_b_response\":{}}}", "{\"a_b_response\":{},}",
        "{a_b_response:{}}", "{\"a_b_response\":{}]"
    };

    for (i = 0; i < unit_count(bad); i++) {
        assert_int_equal(rush_alipay_slice(&s, "a.b",
                             (const unsigned char *) bad[i], strlen(bad[i]),
                             &err), RUSH_ERROR);
        assert_non_null(err);
    }

#define slice(text)                                                           \
    rush_alipay_slice(&s, "a.b", (const unsigned char *) text,                \
                      sizeof(text) - 1, &err)

    assert_int_equal(slice(" { \"sign\" : \"x\\/y\" , \"a_b_response\" :\t"
                           "{ \"sign\" : \"}\\\"\" } } "), RUSH_OK);
    assert_true(unit_is(&s.signed_text, "{ \"sign\" : \"}\\\"\" }"));
    assert_true(unit_is(&s.sign, "x\\/y"));
    assert_false(s.error);

    assert_int_equal(slice("{\"error_response\":{\"code\":\"40002\"}}"),
                     RUSH_OK);
    assert_true(s.error);
    assert_int_equal(s.sign.len, 0);
}


/* signed as "/", sent as "\/": both are taken */

static void
test_slashes(void **state)
{
    char                  text[1024];
    size_t                i, n;
    const char           *err;
    rush_rsa_t           *rsa;
    rush_str_t            part;
    unsigned char         sign[RUSH_RSA_SIGN_TEXT];
    rush_alipay_slice_t   s;

    static const char  *texts[] = { "{\"u\":\"a/b\"}", "{\"u\":\"a\\/b\"}" };

    rsa = unit_rsa(unit_str(unit_key), 1);

    for (i = 0; i < 2; i++) {
        part = unit_str(texts[i]);
        n = rush_rsa_sign(rsa, &part, 1, sign);
        snprintf(text, sizeof(text), "{\"a_b_response\":%s,\"sign\":\"%.*s\"}",
                 texts[1], (int) n, (char *) sign);
        assert_int_equal(rush_alipay_slice(&s, "a.b", (unsigned char *) text,
                                           strlen(text), &err), RUSH_OK);
        assert_int_equal(rush_alipay_verify(rsa, &s), RUSH_TRUSTED);

        text[20] ^= 1;
        assert_int_equal(rush_alipay_slice(&s, "a.b", (unsigned char *) text,
                                           strlen(text), &err), RUSH_OK);
        assert_int_equal(rush_alipay_verify(rsa, &s), RUSH_DOUBT_SIGNATURE);
    }

    s.sign.len = 0;
    assert_int_equal(rush_alipay_verify(rsa, &s), RUSH_DOUBT_UNSIGNED);

    rush_rsa_free(rsa);
}


static void
test_answer(void **state)
{
    size_t                 n;
    const char            *err;
    unsigned char         *p;
    rush_alipay_answer_t   a;

    static const char  good[] =
        "{\"code\":\"10000\",\"msg\":\"Success\",\"out_trade_no\":\"177\","
        "\"trade_no\":\"2019\",\"trade_status\":\"TRADE_SUCCESS\","
        "\"total_amount\":\"99.00\",\"receipt_amount\":\"\",\"buyer_user_id\":"
        "\"2088\",\"send_pay_date\":\"2019-08-15 15:56:24\",\"refund_fee\":"
        "\"0.5\",\"fund_bill_list\":[{\"amount\":\"1\"}]}";

    n = sizeof(good) - 1;
    p = unit_copy(good, n);
    assert_int_equal(rush_alipay_answer(&a, p, n, &err), RUSH_OK);
    assert_true(a.total == 9900 && a.receipt == -1 && a.refund_fee == 50);
    assert_true(a.paid_ms == 1565855784000);
    assert_true(unit_is(&a.buyer_id, "2088"));
    assert_int_equal(rush_alipay_state(&a.trade_status),
                     RUSH_ALIPAY_SUCCESS);
    free(p);

    p = unit_copy("{\"msg\":\"x\"}", 11);
    assert_int_equal(rush_alipay_answer(&a, p, 11, &err), RUSH_ERROR);
    free(p);

    p = unit_copy("\"eyJ9\"", 6);
    assert_int_equal(rush_alipay_answer(&a, p, 6, &err), RUSH_ERROR);
    free(p);
}


static void
test_money(void **state)
{
    size_t          i, n;
    int64_t         fen;
    unsigned char   text[RUSH_ALIPAY_YUAN];

    static const struct {
        const char  *yuan;
        int64_t      fen;
    } good[] = {
        { "0", 0 }, { "0.0", 0 }, { "0.01", 1 }, { "0.1", 10 }, { "1", 100 },
        { "1.0", 100 }, { "1.00", 100 }, { "88.88", 8888 },
        { "100000000.00", 10000000000 }
    };

    static const char  *bad[] = {
        "", ".", "1.", ".5", "1.000", "1.001", "-1", "+1", "01", "00.10",
        " 1", "1 ", "1,00", "1e2", "0x1", "1.0a", "1..0", "100000000.01",
        "100000001", "99999999999999999999", "1\0", "\xef\xbc\x91"
    };

    for (i = 0; i < unit_count(good); i++) {
        n = strlen(good[i].yuan);
        assert_int_equal(rush_yuan_to_fen(
                             (const unsigned char *) good[i].yuan, n, &fen),
                         RUSH_OK);
        assert_true(fen == good[i].fen);
        n = rush_fen_to_yuan(text, fen);
        assert_true(n >= 4);
        assert_int_equal(rush_yuan_to_fen(text, n, &fen), RUSH_OK);
        assert_true(fen == good[i].fen);
    }

    for (i = 0; i < unit_count(bad); i++) {
        n = (i == unit_count(bad) - 2) ? 2 : strlen(bad[i]);
        assert_int_equal(rush_yuan_to_fen((const unsigned char *) bad[i], n,
                                          &fen), RUSH_ERROR);
    }

    assert_int_equal(rush_fen_to_yuan(text, 9905), 5);
    assert_memory_equal(text, "99.05", 5);
    assert_int_equal(rush_fen_to_yuan(text, -1), 0);
    assert_int_equal(rush_fen_to_yuan(text, 10000000001), 0);
}


static void
test_time(void **state)
{
    size_t          i;
    int64_t         ms;
    unsigned char   text[RUSH_ALIPAY_TIME];

    static const char  *bad[] = {
        "", "2019-08-15", "2019-08-15T15:56:24", "2019-13-15 15:56:24",
        "2019-08-15 15:56:24.1234", "2019-08-15 15:56:2x",
        "2019-08-15 15:56:24Z"
    };

    assert_int_equal(rush_alipay_format_time(text, 1565855784999),
                     RUSH_ALIPAY_TIME);
    assert_memory_equal(text, "2019-08-15 15:56:24", RUSH_ALIPAY_TIME);
    assert_int_equal(rush_alipay_parse_time(text, RUSH_ALIPAY_TIME, &ms),
                     RUSH_OK);
    assert_true(ms == 1565855784000);

    assert_int_equal(rush_alipay_parse_time(
                         (const unsigned char *) "2019-08-15 15:56:24.320",
                         23, &ms), RUSH_OK);
    assert_true(ms == 1565855784320);

    /* the day ends at 16:00 of UTC */

    assert_int_equal(rush_alipay_format_time(text, 1565884800000),
                     RUSH_ALIPAY_TIME);
    assert_memory_equal(text, "2019-08-16 00:00:00", RUSH_ALIPAY_TIME);

    for (i = 0; i < unit_count(bad); i++) {
        assert_int_equal(rush_alipay_parse_time(
                             (const unsigned char *) bad[i], strlen(bad[i]),
                             &ms), RUSH_ERROR);
    }
}


static void
answer_row(const rush_str_t *public, const rush_str_t *c)
{
    char                  method[128];
    size_t                n;
    const char           *err;
    rush_rsa_t           *rsa;
    rush_alipay_slice_t   s;

    n = c[1].len - sizeof("_response") + 1;
    memcpy(method, c[1].data, n);
    method[n] = '\0';

    assert_int_equal(rush_alipay_slice(&s, method, c[0].data, c[0].len, &err),
                     RUSH_OK);
    assert_int_equal(s.signed_text.len, c[2].len);
    assert_memory_equal(s.signed_text.data, c[2].data, c[2].len);

    if (public == NULL) {
        return;
    }

    rsa = unit_rsa(*public, 0);
    assert_int_equal(rush_alipay_verify(rsa, &s), RUSH_TRUSTED);

    for (n = 0; n < s.signed_text.len; n += 3) {
        s.signed_text.data[n] ^= 1;
        assert_int_equal(rush_alipay_verify(rsa, &s), RUSH_DOUBT_SIGNATURE);
        s.signed_text.data[n] ^= 1;
    }

    rush_rsa_free(rsa);
}


static void
test_published(void **state)
{
    unsigned         rows;
    const char      *err;
    rush_buf_t       b;
    rush_str_t      *c;
    rush_rsa_t      *rsa;
    unit_vectors_t   v;

    if (!unit_vectors(&v, "alipay")) {
        return;
    }

    memset(&b, 0, sizeof(b));
    c = v.column;

    for (rows = 0; unit_row(&v); rows++) {

        if (strcmp(v.word, "slice") == 0) {
            answer_row(NULL, c);

        } else if (strcmp(v.word, "answer") == 0) {
            answer_row(&c[0], c + 1);

        } else if (strcmp(v.word, "sn") == 0) {
            rsa = unit_rsa(c[0], 0);
            assert_true(unit_is(&c[1], rush_rsa_info(rsa)->sn));
            rush_rsa_free(rsa);

        } else if (strcmp(v.word, "root") == 0) {
            rush_buf_reset(&b);
            assert_int_equal(rush_rsa_root_sn(c[0].data, c[0].len, &b, &err),
                             RUSH_OK);
            assert_int_equal(b.len, c[1].len);
            assert_memory_equal(b.data, c[1].data, b.len);
            assert_int_equal(rush_rsa_root_sn("x", 1, &b, &err), RUSH_ERROR);
        }
    }

    assert_true(rows > 15);
    rush_buf_free(&b);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_slice),
        cmocka_unit_test(test_slashes),
        cmocka_unit_test(test_answer),
        cmocka_unit_test(test_money),
        cmocka_unit_test(test_time),
        cmocka_unit_test(test_published)
    };

    return cmocka_run_group_tests_name("alipay_read", tests, NULL, NULL);
}
