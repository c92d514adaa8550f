
/*
 * Copyright (C) Rush
 *
 * Alipay.  Published vectors are of the tests of its SDKs and of gopay and
 * QuickPay; the notice here is the real one of alipay-sdk-nodejs-all
 * (test/alipay.test.ts).  Answers are in test_alipay_read.c.
 */


#define _GNU_SOURCE                     /* memmem() */

#include "unit.h"
#include "rush_alipay.h"


static const char  public[] =
    "-----BEGIN PUBLIC KEY-----\n"
    "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAqObrdC7hrgAVM98tK0nv\n"
    "3hSQRGGKT4lBsQjHiGjeYZjOPIPHR5knm2jnnz/YGIXIofVHkA/tAlBAd5DrY7Yp\n"
    "vI4tP5EONLtZKC2ghBMx7McI2wRD0xiqzxOQr1FuhZGJ8/AUokBzJrzY+aGX2xcO\n"
    "rxFYRlFilvVLTXg4LWjR1tdPkO6+i7wQZAIVMClPkwVRZEbaERRHlKqTzv2gGv5r\n"
    "DU8gRoe1LeaN+6BlbTqHWkQcNCUNrA8C6l17XAXGKDsm/9TFWwO8EPHHHCaQdjtV\n"
    "5/FdcWIt+L8SR1ss7EXTjYDFtxcKVv9rEoY1lX8T4mX+GbXfZHraG5NCF1+XioL5\n"
    "JwIDAQAB\n"
    "-----END PUBLIC KEY-----\n";


static const char  notice[] =
    "gmt_create=2019-08-15+15%3A56%3A22&charset=utf-8&seller_email=z97-"
    "yuquerevenue%40service.aliyun.com&subject=%E8%AF%AD%E9%9B%80%E7%A9"
    "%BA%E9%97%B4+500%E4%BA%BA%E8%A7%84%E6%A8%A1&sign=QfTb8tqE1BMhS5qAn"
    "XtvsF3%2FjBkEvu9q9en0pdbBUDDjvKycZhQb7h8GDs4FKfi049PynaNuatxSgLb%2"
    "FnLWZpXyyh0LEWdK2S6Ri7nPwrVgOs08zugLO20vOQz44y3ti2Ncm8%2FwZts1Fr2g"
    "Z7pShnVX3d1B50hbsXnObT1r%2FU8ONNQjWXd0HIul4TG%2BQ3fm3svmSvFEy0Wnzu"
    "hcyHPX5Gm4ELNctL6Qd5YniGJFNcc7kopHYtI%2FXD9YCKCH6Ct02rzUs9i11C9Csa"
    "dtZn%2BWhxF26Dqt9sGEFajkJ8cxUTLi8%2BVCpLHsgPE8P0y095uQcDdK0YjCh4x7"
    "wVSov%2BlrmOQ%3D%3D&buyer_id=2088102534368455&invoice_amount=0.10&"
    "notify_id=2019081500222155624068450559358070&fund_bill_list=%5B%7B"
    "%22amount%22%3A%220.10%22%2C%22fundChannel%22%3A%22ALIPAYACCOUNT%2"
    "2%7D%5D&notify_type=trade_status_sync&trade_status=TRADE_SUCCESS&r"
    "eceipt_amount=0.10&buyer_pay_amount=0.10&sign_type=RSA2&app_id=201"
    "9073166072302&seller_id=2088531891668739&gmt_payment=2019-08-15+15"
    "%3A56%3A24&notify_time=2019-08-15+15%3A56%3A25&version=1.0&out_tra"
    "de_no=20190815155618536-564-57&total_amount=0.10&trade_no=20190815"
    "22001468450512505578&auth_app_id=2019073166072302&buyer_logon_id=x"
    "ud%2A%2A%2A%40126.com&point_amount=0.00";


/* the verdict over a form; *json, when not NULL, gets it as JSON */

static int
check(const rush_rsa_t *rsa, const char *form, size_t len, rush_buf_t *json)
{
    int             n, doubt;
    const char     *err;
    rush_pair_t     f[RUSH_ALIPAY_FIELDS];
    unsigned char  *p;

    p = unit_copy(form, len);
    n = rush_form_read(f, p, len, &err);
    doubt = (n < 0) ? RUSH_DOUBT_FORMAT : (int) rush_alipay_check(rsa, f,
                                                                 (size_t) n);

    if (json != NULL && n >= 0) {
        rush_alipay_json(f, (size_t) n, json);
    }

    free(p);

    return doubt;
}


static void
test_notice(void **state)
{
    char                   text[2048];
    const char            *err;
    rush_buf_t             b;
    rush_rsa_t            *rsa;
    rush_alipay_notice_t   t;

    memset(&b, 0, sizeof(b));
    rsa = unit_rsa(unit_str(public), 0);

    assert_int_equal(check(rsa, notice, strlen(notice), &b), RUSH_TRUSTED);
    assert_int_equal(rush_alipay_notice(&t, b.data, b.len, &err), RUSH_OK);
    assert_true(unit_is(&t.out_trade_no, "20190815155618536-564-57"));
    assert_true(unit_is(&t.app_id, "2019073166072302"));
    assert_true(unit_is(&t.seller_id, "2088531891668739"));
    assert_true(unit_is(&t.notify_id, "2019081500222155624068450559358070"));
    assert_int_equal(t.state, RUSH_ALIPAY_SUCCESS);
    assert_true(t.total == 10 && t.receipt == 10 && t.refund_fee == -1);
    assert_false(t.is_refund);
    assert_true(t.paid_ms == 1565855784000);    /* 15:56:24 in China */
    assert_null(memmem(b.data, b.len, "\"sign", 5));

    /* a field that is empty is not signed, one that is not is */

    strcpy(text, notice);
    strcat(text, "&passback_params=");
    assert_int_equal(check(rsa, text, strlen(text), NULL), RUSH_TRUSTED);
    strcat(text, "1");
    assert_int_equal(check(rsa, text, strlen(text), NULL),
                     RUSH_DOUBT_SIGNATURE);

    strcpy(text, notice);
    strcat(text, "&total_amount=0.10");
    assert_int_equal(check(rsa, text, strlen(text), NULL),
                     RUSH_DOUBT_FORMAT);

    rush_buf_free(&b);
    rush_rsa_free(rsa);
}


/* each byte of a notice counts, but how it is encoded */

static void
test_mutations(void **state)
{
    int          doubt;
    char         text[2048];
    size_t       i;
    rush_rsa_t  *rsa;

    rsa = unit_rsa(unit_str(public), 0);

    for (i = 0; i < strlen(notice); i++) {
        strcpy(text, notice);
        text[i] = (text[i] == 'Q') ? 'R' : 'Q';
        doubt = check(rsa, text, strlen(text), NULL);
        assert_int_not_equal(doubt, RUSH_TRUSTED);
    }

    rush_rsa_free(rsa);
}


static void
replace(char *dst, const char *from, const char *to)
{
    const char  *p;

    p = strstr(notice, from);
    assert_non_null(p);
    memcpy(dst, notice, (size_t) (p - notice));
    strcpy(dst + (p - notice), to);
    strcat(dst, p + strlen(from));
}


static void
test_doubts(void **state)
{
    char         text[4096];
    size_t       i;
    rush_rsa_t  *rsa;

    static const struct {
        const char  *from;
        const char  *to;
        int          doubt;
    } bad[] = {
        { "sign_type=RSA2", "sign_type=RSA", RUSH_DOUBT_UNSIGNED },
        { "sign_type=RSA2", "sign_type=MD5", RUSH_DOUBT_UNSIGNED },
        { "sign_type=RSA2", "sign_type=", RUSH_DOUBT_UNSIGNED },
        { "&sign_type=RSA2", "", RUSH_DOUBT_UNSIGNED },
        { "&sign=", "&sigm=", RUSH_DOUBT_UNSIGNED },
        { "&sign=", "&sign=&sigm=", RUSH_DOUBT_UNSIGNED },
        { "&sign=", "&sign=AAAA&sign=", RUSH_DOUBT_FORMAT },
        { "&sign=", "&sign=AAAA&si%67n=", RUSH_DOUBT_FORMAT },
        { "charset=utf-8", "charset=gbk", RUSH_DOUBT_FORMAT },
        { "total_amount=0.10", "total_amount=0.01", RUSH_DOUBT_SIGNATURE },
        { "trade_status=TRADE_SUCCESS", "trade_status=TRADE_FINISHED",
          RUSH_DOUBT_SIGNATURE },
        { "&version=1.0", "", RUSH_DOUBT_SIGNATURE },
        { "&version=1.0", "&version=1.0&version=1.0", RUSH_DOUBT_FORMAT },
        { "&version=1.0", "&version=1.0%00", RUSH_DOUBT_FORMAT },
        { "&version=1.0", "&version=1.%3", RUSH_DOUBT_FORMAT },
        { "&version=1.0", "&version=1.%zz", RUSH_DOUBT_FORMAT },
        { "&version=1.0", "&version=%ff", RUSH_DOUBT_FORMAT },
        { "&version=1.0", "&=1.0", RUSH_DOUBT_FORMAT },
        { "&version=1.0", "&a%3Db=1.0", RUSH_DOUBT_FORMAT },

        /* the signed text is the same, the fields are not */

        { "&trade_no=2019081522001468450512505578", "", RUSH_DOUBT_SIGNATURE },
        { "&total_amount=0.10&trade_no=2019081522001468450512505578",
          "&total_amount=0.10%26trade_no%3D2019081522001468450512505578",
          RUSH_DOUBT_FORMAT }
    };

    rsa = unit_rsa(unit_str(public), 0);

    for (i = 0; i < unit_count(bad); i++) {
        replace(text, bad[i].from, bad[i].to);
        assert_int_equal(check(rsa, text, strlen(text), NULL), bad[i].doubt);
    }

    assert_int_equal(check(rsa, "", 0, NULL), RUSH_DOUBT_UNSIGNED);

    /* how a character is written is not signed */

    replace(text, "&version=1.0", "&v%65rsion=%31.0");
    assert_int_equal(check(rsa, text, strlen(text), NULL), RUSH_TRUSTED);

    /* another key of theirs is another key */

    rush_rsa_free(rsa);
    rsa = unit_rsa(unit_str(unit_key), 1);
    assert_int_equal(check(rsa, notice, strlen(notice), NULL),
                     RUSH_DOUBT_SIGNATURE);
    rush_rsa_free(rsa);
}


static void
test_fields(void **state)
{
    size_t          i, n;
    const char     *err;
    char            text[1024];
    rush_pair_t     f[RUSH_ALIPAY_FIELDS];
    unsigned char  *p;

    for (n = RUSH_ALIPAY_FIELDS; n <= RUSH_ALIPAY_FIELDS + 1; n++) {
        text[0] = '\0';

        for (i = 0; i < n; i++) {
            sprintf(text + strlen(text), "%sn%zu=%zu", i ? "&" : "", i, i);
        }

        p = unit_copy(text, strlen(text));
        assert_int_equal(rush_form_read(f, p, strlen(text), &err),
                         n > RUSH_ALIPAY_FIELDS ? -1 : (int) n);
        free(p);
    }

    p = unit_copy("a=b+c%2B&d&&e==1&", 17);
    assert_int_equal(rush_form_read(f, p, 17, &err), 3);
    assert_true(unit_is(rush_form_find(f, 3, "a"), "b c+"));
    assert_true(unit_is(rush_form_find(f, 3, "d"), ""));
    assert_true(unit_is(rush_form_find(f, 3, "e"), "=1"));
    assert_null(rush_form_find(f, 3, "b"));
    free(p);
}


/* sign_type and the name of the certificate, signed or not */

static void
test_certificate(void **state)
{
    size_t          i, k, n;
    rush_buf_t      b;
    rush_rsa_t     *rsa;
    rush_str_t      part;
    rush_pair_t     f[4];
    unsigned char   sign[RUSH_RSA_SIGN_TEXT];

    static const char  *without[] = {
        "", "sign_type", "alipay_cert_sn", "sign_type alipay_cert_sn"
    };

    memset(&b, 0, sizeof(b));
    rsa = unit_rsa(unit_str(unit_key), 1);

    for (i = 0; i < unit_count(without); i++) {
        f[0].name = unit_str("app_id");
        f[0].value = unit_str("2017");
        f[1].name = unit_str("sign_type");
        f[1].value = unit_str("RSA2");
        f[2].name = unit_str("alipay_cert_sn");
        f[2].value = unit_str("ab");

        rush_buf_reset(&b);
        rush_alipay_message(f, 3, without[i], &b);
        part.data = b.data;
        part.len = b.len;

        f[3].name = unit_str("sign");
        f[3].value.data = sign;
        f[3].value.len = rush_rsa_sign(rsa, &part, 1, sign);

        assert_int_equal(rush_alipay_check(rsa, f, 4), RUSH_TRUSTED);

        for (k = 0, n = 0; k < 4; k++) {

            if (unit_is(&f[k].name, "app_id")) {
                f[k].value = unit_str("2018");
                n++;
            }
        }

        assert_int_equal(n, 1);
        assert_int_equal(rush_alipay_check(rsa, f, 4), RUSH_DOUBT_SIGNATURE);
    }

    rush_buf_free(&b);
    rush_rsa_free(rsa);
}


/* what we sign is what a gateway reads */

static void
test_request(void **state)
{
    int             n;
    const char     *err;
    rush_buf_t      b, m;
    rush_rsa_t     *rsa;
    rush_str_t      part, sign;
    rush_pair_t     f[4], back[RUSH_ALIPAY_FIELDS];

    memset(&b, 0, sizeof(b));
    memset(&m, 0, sizeof(m));
    rsa = unit_rsa(unit_str(unit_key), 1);

    f[0].name = unit_str("method");
    f[0].value = unit_str("alipay.trade.query");
    f[1].name = unit_str("app_id");
    f[1].value = unit_str("2017");
    f[2].name = unit_str("notify_url");
    f[2].value = unit_str("");
    f[3].name = unit_str("biz_content");
    f[3].value = unit_str("{\"subject\":\"a+b &=%\xe4\xb8\xad\"}");

    assert_int_equal(rush_alipay_sign(rsa, f, 4, &b), RUSH_OK);
    assert_null(memchr(b.data, ' ', b.len));
    assert_null(memmem(b.data, b.len, "notify_url", 10));

    n = rush_form_read(back, b.data, b.len, &err);
    assert_int_equal(n, 4);
    sign = *rush_form_find(back, 4, "sign");
    assert_true(unit_is(rush_form_find(back, 4, "biz_content"),
                        "{\"subject\":\"a+b &=%\xe4\xb8\xad\"}"));

    rush_alipay_message(back, 4, NULL, &m);
    part.data = m.data;
    part.len = m.len;
    assert_memory_equal(m.data, "app_id=2017&biz_content={", 25);
    assert_int_equal(rush_rsa_verify(rsa, &part, 1, &sign), RUSH_OK);

    rush_buf_free(&b);
    rush_buf_free(&m);
    rush_rsa_free(rsa);
}


static void
request_row(const rush_str_t *c)
{
    int             n;
    const char     *err;
    rush_buf_t      b;
    rush_rsa_t     *rsa;
    rush_pair_t     f[RUSH_ALIPAY_FIELDS], back[RUSH_ALIPAY_FIELDS];
    unsigned char  *p;

    memset(&b, 0, sizeof(b));
    rsa = unit_rsa(c[0], 1);
    p = unit_copy(c[1].data, c[1].len);
    n = rush_form_read(f, p, c[1].len, &err);
    assert_true(n > 0);

    rush_alipay_message(f, (size_t) n, NULL, &b);
    assert_int_equal(b.len, c[2].len);
    assert_memory_equal(b.data, c[2].data, b.len);

    rush_buf_reset(&b);
    assert_int_equal(rush_alipay_sign(rsa, f, (size_t) n, &b), RUSH_OK);
    n = rush_form_read(back, b.data, b.len, &err);
    assert_true(unit_is(rush_form_find(back, (size_t) n, "sign"),
                        (char *) c[3].data));

    free(p);
    rush_buf_free(&b);
    rush_rsa_free(rsa);
}


static void
notice_row(const char *word, const rush_str_t *c)
{
    int             n;
    const char     *err;
    rush_buf_t      b;
    rush_rsa_t     *rsa;
    rush_pair_t     f[RUSH_ALIPAY_FIELDS];
    unsigned char  *p;

    rsa = unit_rsa(c[0], 0);

    if (strcmp(word, "forged") == 0) {
        assert_int_equal(check(rsa, (char *) c[1].data, c[1].len, NULL),
                         RUSH_DOUBT_SIGNATURE);
        rush_rsa_free(rsa);
        return;
    }

    memset(&b, 0, sizeof(b));
    p = unit_copy(c[1].data, c[1].len);
    n = rush_form_read(f, p, c[1].len, &err);
    assert_true(n > 0);
    assert_int_equal(rush_alipay_check(rsa, f, (size_t) n), RUSH_TRUSTED);
    rush_alipay_message(f, (size_t) n,
                        unit_is(&c[3], "drop") ? "sign_type" : NULL, &b);
    assert_int_equal(b.len, c[2].len);
    assert_memory_equal(b.data, c[2].data, b.len);

    free(p);
    rush_buf_free(&b);
    rush_rsa_free(rsa);
}


static void
test_published(void **state)
{
    unsigned         rows;
    rush_str_t      *c;
    unit_vectors_t   v;

    if (!unit_vectors(&v, "alipay")) {
        return;
    }

    c = v.column;

    for (rows = 0; unit_row(&v); rows++) {

        if (strcmp(v.word, "request") == 0) {
            request_row(c);

        } else if (strcmp(v.word, "notice") == 0
                   || strcmp(v.word, "forged") == 0)
        {
            notice_row(v.word, c);
        }
    }

    assert_true(rows > 15);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_notice),
        cmocka_unit_test(test_mutations),
        cmocka_unit_test(test_doubts),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_certificate),
        cmocka_unit_test(test_request),
        cmocka_unit_test(test_published)
    };

    return cmocka_run_group_tests_name("alipay", tests, NULL, NULL);
}
