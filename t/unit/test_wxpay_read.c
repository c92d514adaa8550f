
/*
 * Copyright (C) Rush
 *
 * What WeChat Pay encrypts and the objects in it.  AEAD of wechatpay-java
 * AeadAesCipherTest and of wechatpay-axios-plugin aes.test.js.
 */


#include "unit.h"
#include "rush_wxpay.h"


#define APIV3   "a7cde1ZJB1kG2e7VfTs3jQzaWizur8Gb"


static void
opens(const char *k, const char *nonce, const char *with, const char *text,
    const char *want)
{
    long                    n;
    size_t                  i;
    unsigned char           dst[256];
    rush_wxpay_resource_t   rs;

    rs.algorithm = unit_str("AEAD_AES_256_GCM");
    rs.nonce = unit_str(nonce);
    rs.associated_data = unit_str(with);
    rs.ciphertext = unit_str(text);
    assert_true(rs.ciphertext.len < sizeof(dst));

    memset(dst, 'x', sizeof(dst));
    n = rush_wxpay_open((const unsigned char *) k, &rs, dst);

    if (want != NULL) {
        assert_int_equal(n, strlen(want));
        assert_memory_equal(dst, want, n);

        rs.algorithm = unit_str("AEAD_AES_128_GCM");
        assert_int_equal(rush_wxpay_open((const unsigned char *) k, &rs, dst),
                         -1);
        return;
    }

    /* nothing of the plaintext stays */

    assert_int_equal(n, -1);

    for (i = 0; i < rs.ciphertext.len / 4 * 3; i++) {
        assert_true(dst[i] == 0 || dst[i] == 'x');
    }
}


static void
test_open(void **state)
{
    static const char  axios[] = "0123456789abcdef0123456789abcdef";

    opens(APIV3, "uluk4a9R25RW", "associatedData",
          "ulwSiIajGClcvcOYvOQ7+l+0PAbzzwI=", "message");
    opens(axios, "0123456789abcdef", "world", "APoZlYpivU3HjbAiB4CvW1rAFr8J",
          "hello");
    opens(axios, "0123456789abcdef", "", "GvpmmdtYwexXIPhySs9Tlg==", "");

    opens(APIV3, "uluk4a9R25RW", "associatedDate",
          "ulwSiIajGClcvcOYvOQ7+l+0PAbzzwI=", NULL);
    opens(APIV3, "uluk4a9R25RV", "associatedData",
          "ulwSiIajGClcvcOYvOQ7+l+0PAbzzwI=", NULL);
    opens(APIV3, "uluk4a9R25RW", "associatedData",
          "vlwSiIajGClcvcOYvOQ7+l+0PAbzzwI=", NULL);
    opens(axios, "uluk4a9R25RW", "associatedData",
          "ulwSiIajGClcvcOYvOQ7+l+0PAbzzwI=", NULL);
    opens(APIV3, "uluk4a9R25RW", "", "AAAA", NULL);
    opens(APIV3, "uluk4a9R25RW", "", "", NULL);
    opens(APIV3, "uluk4a9R25R", "", "GvpmmdtYwexXIPhySs9Tlg==", NULL);
    opens(APIV3, "uluk4a9R25RW", "", "no base64", NULL);
}


static void
test_apiv3(void **state)
{
    size_t          i;
    const char     *err;
    unsigned char   k[RUSH_WXPAY_APIV3];

    static const char  *bad[] = {
        "", "testMchAPIv3Key0", "a7cde1ZJB1kG2e7VfTs3jQzaWizur8G",
        "a7cde1ZJB1kG2e7VfTs3jQzaWizur8Gb7", "a7cde1ZJB1kG2e7V Ts3jQzaWizur8Gb",
        " a7cde1ZJB1kG2e7VfTs3jQzaWizur8Gb", "a7cde1ZJB1kG2e7V\xc3\xa4Ts3jQzaW"
    };

    assert_int_equal(rush_wxpay_apiv3(APIV3, 32, k, &err), RUSH_OK);
    assert_memory_equal(k, APIV3, 32);
    assert_int_equal(rush_wxpay_apiv3(APIV3 "\r\n", 34, k, &err), RUSH_OK);

    for (i = 0; i < unit_count(bad); i++) {
        assert_int_equal(rush_wxpay_apiv3(bad[i], strlen(bad[i]), k, &err),
                         RUSH_ERROR);
        assert_null(strstr(err, "a7cd"));
    }
}


static void
test_notice(void **state)
{
    size_t                i, n;
    const char           *err;
    unsigned char        *p;
    rush_wxpay_notice_t   o;

    static const char  good[] =
        "{\"id\":\"EV-1\",\"create_time\":\"2021-06-24T16:37:26+08:00\","
        "\"resource_type\":\"encrypt-resource\",\"event_type\":"
        "\"TRANSACTION.SUCCESS\",\"summary\":\"\xe6\x94\xaf\",\"resource\":{"
        "\"original_type\":\"transaction\",\"algorithm\":\"AEAD_AES_256_GCM\","
        "\"ciphertext\":\"AA\\/A\",\"associated_data\":\"\",\"nonce\":\"n\"}}";

    static const char  *bad[] = {
        "", "{}", "[]", "{\"id\":\"1\"}",
        "{\"id\":\"1\",\"id\":\"1\",\"event_type\":\"a\",\"resource\":"
        "{\"algorithm\":\"a\",\"ciphertext\":\"c\"}}",
        "{\"id\":\"1\",\"event_type\":\"a\",\"resource\":{\"algorithm\":\"a\"},"
        "\"resource\":{\"ciphertext\":\"c\"}}",
        "{\"id\":1,\"event_type\":\"a\",\"resource\":{\"algorithm\":\"a\","
        "\"ciphertext\":\"c\"}}",
        "{\"id\":\"1\",\"event_type\":\"a b\",\"resource\":{\"algorithm\":"
        "\"a\",\"ciphertext\":\"c\"}}",
        "{\"id\":\"1\",\"event_type\":\"a\",\"resource\":{\"algorithm\":\"a\","
        "\"ciphertext\":\"c\"}}x",
        "{\"id\":\"1\",\"event_type\":\"a\",\"resource\":[{\"algorithm\":\"a\","
        "\"ciphertext\":\"c\"}]}",
        "{\"id\":null,\"event_type\":\"a\",\"resource\":{\"algorithm\":\"a\","
        "\"ciphertext\":\"c\"}}"
    };

    n = sizeof(good) - 1;
    p = unit_copy(good, n);
    assert_int_equal(rush_wxpay_notice(&o, p, n, &err), RUSH_OK);
    assert_true(unit_is(&o.id, "EV-1"));
    assert_true(unit_is(&o.resource.ciphertext, "AA/A"));
    assert_true(unit_is(&o.resource.nonce, "n"));
    assert_true(o.created == 1624523846000);
    assert_true(rush_wxpay_is_pay(&o));
    assert_false(rush_wxpay_is_refund(&o));
    free(p);

    for (i = 0; i < unit_count(bad); i++) {
        n = strlen(bad[i]);
        p = unit_copy(bad[i], n);
        err = NULL;
        assert_int_equal(rush_wxpay_notice(&o, p, n, &err), RUSH_ERROR);
        assert_non_null(err);
        free(p);
    }
}


static void
test_trade(void **state)
{
    size_t                n;
    const char           *err;
    unsigned char        *p;
    rush_wxpay_trade_t    t;
    rush_wxpay_refund_t   r;
    rush_wxpay_error_t    e;

    static const char  trade[] =
        "{\"mchid\":\"1900\",\"appid\":\"wx1\",\"out_trade_no\":\"177\","
        "\"transaction_id\":\"42\",\"trade_type\":\"NATIVE\",\"trade_state\":"
        "\"SUCCESS\",\"success_time\":\"2021-06-24T16:37:26+08:00\",\"payer\":"
        "{\"openid\":\"o1\"},\"amount\":{\"total\":100,\"payer_total\":90,"
        "\"currency\":\"CNY\",\"more\":{\"total\":7}},\"promotion_detail\":["
        "{\"coupon_id\":\"1\",\"amount\":{\"total\":5},\"goods_detail\":[{"
        "\"a\":1,\"b\":2,\"c\":3,\"d\":4,\"e\":5,\"f\":6,\"g\":7,\"h\":8}]},"
        "{\"a\":1,\"b\":2,\"c\":3,\"d\":4,\"e\":5,\"f\":6,\"g\":7,\"h\":8}]}";
    static const char  open[] =
        "{\"out_trade_no\":\"177\",\"trade_state\":\"NOTPAY\",\"amount\":"
        "{\"total\":100,\"currency\":\"CNY\"}}";
    static const char  refund[] =
        "{\"out_refund_no\":\"R5\",\"status\":\"PROCESSING\",\"amount\":"
        "{\"refund\":30,\"total\":100}}";
    static const char  notice[] =
        "{\"out_refund_no\":\"R5\",\"refund_status\":\"ABNORMAL\","
        "\"success_time\":\"\"}";

    n = sizeof(trade) - 1;
    p = unit_copy(trade, n);
    assert_int_equal(rush_wxpay_trade(&t, p, n, &err), RUSH_OK);
    assert_int_equal(t.state, RUSH_WXPAY_SUCCESS);
    assert_true(t.total == 100 && t.payer_total == 90);
    assert_true(unit_is(&t.openid, "o1") && unit_is(&t.currency, "CNY"));
    assert_true(t.success_ms == 1624523846000);
    free(p);

    n = sizeof(open) - 1;
    p = unit_copy(open, n);
    assert_int_equal(rush_wxpay_trade(&t, p, n, &err), RUSH_OK);
    assert_int_equal(t.state, RUSH_WXPAY_NOTPAY);
    assert_true(t.total == 100 && t.payer_total == -1 && t.success_ms == 0);
    assert_int_equal(t.transaction_id.len, 0);
    free(p);

    n = sizeof(refund) - 1;
    p = unit_copy(refund, n);
    assert_int_equal(rush_wxpay_refund(&r, p, n, &err), RUSH_OK);
    assert_int_equal(r.state, RUSH_WXPAY_PROCESSING);
    assert_true(r.refund == 30 && r.total == 100 && r.payer_refund == -1);
    free(p);

    n = sizeof(notice) - 1;
    p = unit_copy(notice, n);
    assert_int_equal(rush_wxpay_refund(&r, p, n, &err), RUSH_ERROR);
    free(p);

    p = unit_copy("{\"code\":\"ORDER_PAID\",\"message\":\"m\"}", 35);
    rush_wxpay_error(&e, p, 35);
    assert_true(unit_is(&e.code, "ORDER_PAID"));
    free(p);

    p = unit_copy("<html>", 6);
    rush_wxpay_error(&e, p, 6);
    assert_int_equal(e.code.len, 0);
    free(p);
}


/* numbers that are none, amounts out of range */

static void
test_amounts(void **state)
{
    size_t               i, n;
    char                 text[256];
    const char          *err;
    unsigned char       *p;
    rush_wxpay_trade_t   t;

    static const char  *bad[] = {
        "-1", "1.0", "1e2", "\"100\"", "01", "1000000000001",
        "99999999999999999999", "true", "{}", "[1]", "NaN"
    };

    for (i = 0; i < unit_count(bad); i++) {
        n = (size_t) snprintf(text, sizeof(text), "{\"out_trade_no\":\"1\","
                              "\"trade_state\":\"SUCCESS\",\"amount\":"
                              "{\"total\":%s}}", bad[i]);
        p = unit_copy(text, n);
        assert_int_equal(rush_wxpay_trade(&t, p, n, &err), RUSH_ERROR);
        free(p);
    }
}


static void
certificates(const rush_str_t *c)
{
    int                        n;
    const char                *err;
    rush_buf_t                 pem;
    rush_rsa_t                *rsa;
    unsigned char             *p, k[RUSH_WXPAY_APIV3];
    rush_wxpay_certificate_t   rows[4];

    memset(&pem, 0, sizeof(pem));
    p = unit_copy(c[1].data, c[1].len);
    n = rush_wxpay_certificates(rows, 4, p, c[1].len, &err);
    assert_int_equal(n, 1);
    assert_int_equal(rows[0].serial.len, c[2].len);
    assert_memory_equal(rows[0].serial.data, c[2].data, c[2].len);
    assert_true(rows[0].from > 0 && rows[0].from < rows[0].until);

    if (c[0].len != RUSH_WXPAY_APIV3) {
        /* a key of 16 bytes is no key */
        assert_int_equal(rush_wxpay_apiv3(c[0].data, c[0].len, k, &err),
                         RUSH_ERROR);
        free(p);
        return;
    }

    assert_int_equal(rush_wxpay_apiv3(c[0].data, c[0].len, k, &err), RUSH_OK);

    rsa = rush_wxpay_certificate(k, &rows[0], &pem, &err);
    assert_non_null(rsa);
    assert_memory_equal(pem.data, c[3].data, c[3].len);
    assert_true(rush_wxpay_is_of(rsa, &rows[0].serial));
    rush_rsa_free(rsa);
    rush_buf_reset(&pem);

    k[0] ^= 1;
    assert_null(rush_wxpay_certificate(k, &rows[0], &pem, &err));
    k[0] ^= 1;

    rows[0].serial.data[0] ^= 1;
    assert_null(rush_wxpay_certificate(k, &rows[0], &pem, &err));
    assert_non_null(strstr(err, "serial"));
    assert_int_equal(pem.len, 0);

    rush_buf_free(&pem);
    free(p);
}


static void
test_published(void **state)
{
    unsigned         rows;
    const char      *err;
    rush_str_t      *c;
    unsigned char    k[RUSH_WXPAY_APIV3];
    unit_vectors_t   v;

    if (!unit_vectors(&v, "wechatpay_v3")) {
        return;
    }

    c = v.column;
    rows = 0;

    while (unit_row(&v)) {

        if (strcmp(v.word, "open") == 0 || strcmp(v.word, "shut") == 0) {
            opens((char *) c[0].data, (char *) c[1].data, (char *) c[2].data,
                  (char *) c[3].data,
                  v.word[0] == 'o' ? (char *) c[4].data : NULL);

        } else if (strcmp(v.word, "short") == 0) {
            assert_int_equal(rush_wxpay_apiv3(c[0].data, c[0].len, k, &err),
                             RUSH_ERROR);

        } else if (strcmp(v.word, "certs") == 0) {
            certificates(c);

        } else {
            continue;
        }

        rows++;
    }

    assert_true(rows > 10);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_open),
        cmocka_unit_test(test_apiv3),
        cmocka_unit_test(test_notice),
        cmocka_unit_test(test_trade),
        cmocka_unit_test(test_amounts),
        cmocka_unit_test(test_published)
    };

    return cmocka_run_group_tests_name("wxpay_read", tests, NULL, NULL);
}
