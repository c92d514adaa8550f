
/*
 * Copyright (C) Rush
 *
 * Keys and signatures.  The key and its signature of "source" are those of
 * the tests of wechatpay-go (utils/sign_test.go), the other key material was
 * made with openssl(1).
 */


#include "unit.h"
#include "rush_rsa.h"


static const char  key[] =
    "MIIEvgIBADANBgkqhkiG9w0BAQEFAASCBKgwggSkAgEAAoIBAQDZUJN33V+dSfvdfL"
    "0Mu+39XrZNXFFMQSy1V15FpncHeV47SmV0TzTqZc7hHB0ddqAdDi8Z5k3TKqb76sOw"
    "Yr5TcAfuR6PIPaleyE0/0KrljBum2Isa2Nyq7Dgc3ElBQ6YN4l/a+DpvKaz1FSKmKr"
    "hLNskqokWVSlu4g8OlKlbPXQ9ibII14MZRQrrkTmHYHzfi7GXXM0thAKuR0HNvyhTH"
    "Bh4/lrYM3GaMvmWwkwvsMavnOex6+eioZHBOb1/EIZ/LzC6zuHArPpyW3daGaZ1rtQ"
    "B1vVzTyERAVVFsXXgBHvfFud3w3ShsJYk8JvMwK2RpJ5/gV0QSARcmLDRUAlPzAgMB"
    "AAECggEBAMc7rDeUaXiWv6bMGbZ3BTXpg1FhdddnWUnYE8HfX/kmOFI7XtBHXcgYFp"
    "cjYz4D5787pcsk7ezPidAj58zqenuclmjKnUmT3pfbI5eCA2v4C9HnbYDrmUPK1ZcA"
    "Dtka4D6ScDccpNYNa1g2TFHzkIrEa6H+q7S3O2fqxY/DRVtN0JIXalBb8daaqL5QVz"
    "SmM2BMVnHy+YITJWIkP2a3pKs9C0W65JGDsnG0wVrHinHF+cnhFZIbaPEI//DAFMc9"
    "NkrWOKVRTEgcCUxCFaHOZVNxDWZD7A2ZfJB2rK6eg//ygEiFDR2h6mTaDowMB4YF2n"
    "2dsIO4/dCG8vPHI20jn4ECgYEA/ZGu6lEMlO0XZnamAZGtiNgLcCfM/C2ZERZE7QTR"
    "PZH1WdK92Al9ndldsswFw4baJrJLCmghjF/iG4zihhBvLnOLksnZUfjdumxoHDWXo2"
    "QBWbI5QsWIE7AuTiWgWj1I7X4fCXSQf6i+M/y26TogQ7d0ANpZFyOkTNMn/tiJvLEC"
    "gYEA22XqlamG/yfAGWery5KNH2DGlTIyd6xJWtJ9j3jU99lZ0bCQ5xhiBbU9ImxCi3"
    "zgTsoqLWgA/p00HhNFNoUcTl9ofc0G3zwTD1y0ZzcnVKxGJdZ6ohW52V0hJStAigtj"
    "YAsUgjm7//FH7PiQDBDP1Wa6xSRkDQU/aSbQxvEE8+MCgYEA3bb8krW7opyM0XL9RH"
    "H0oqsFlVO30Oit5lrqebS0oHl3Zsr2ZGgoBlWBsEzk3UqUhTFwm/DhJLTSJ/TQPRkx"
    "nhQ5/mewNhS9C7yua7wQkzVmWN+VYeUGTvDGDF6qDz12/vJAgSwDDRym8x4NcXD5tT"
    "w7mmNRcwIfL22SkysThIECgYAVBgccoEoXWS/HP2/u6fQr9ZIR6eV8Ij5FPbZacTG3"
    "LlS1Cz5XZra95UgebFFUHHtCEY1JHJY7z8SWvTH8r3Su7eWNaIAoFBGffzqqSVazfm"
    "6aYZsOvRY6BfqPHT3p/H1hTq6AbBffxrcltgvXnCTORjHPglU0CjSxVs7awW3AEQKB"
    "gB5WtaC8VLROM7rkfVIq+RXqE5vtJfa3e3N7W3RqxKp4zHFAPfr82FK5CX2bppEaxY"
    "7SEZVvVInKDc5gKdG/jWNRBmvvftZhY59PILHO2X5vO4FXh7suEjy6VIh0gsnK36mm"
    "RboYIBGsNuDHjXLeBDa+8mDLkWu5nHEhOxy2JJZl";


static const char  certificate[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIDVzCCAj+gAwIBAgIJAPV2V1YAL913MA0GCSqGSIb3DQEBCwUAMEIxCzAJBgNV\n"
    "BAYTAlhYMRUwEwYDVQQHDAxEZWZhdWx0IENpdHkxHDAaBgNVBAoME0RlZmF1bHQg\n"
    "Q29tcGFueSBMdGQwHhcNMjEwNDI3MDg0MDMyWhcNMzEwNDI1MDg0MDMyWjBCMQsw\n"
    "CQYDVQQGEwJYWDEVMBMGA1UEBwwMRGVmYXVsdCBDaXR5MRwwGgYDVQQKDBNEZWZh\n"
    "dWx0IENvbXBhbnkgTHRkMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA\n"
    "2VCTd91fnUn73Xy9DLvt/V62TVxRTEEstVdeRaZ3B3leO0pldE806mXO4RwdHXag\n"
    "HQ4vGeZN0yqm++rDsGK+U3AH7kejyD2pXshNP9Cq5YwbptiLGtjcquw4HNxJQUOm\n"
    "DeJf2vg6byms9RUipiq4SzbJKqJFlUpbuIPDpSpWz10PYmyCNeDGUUK65E5h2B83\n"
    "4uxl1zNLYQCrkdBzb8oUxwYeP5a2DNxmjL5lsJML7DGr5znsevnoqGRwTm9fxCGf\n"
    "y8wus7hwKz6clt3Whmmda7UAdb1c08hEQFVRbF14AR73xbnd8N0obCWJPCbzMCtk\n"
    "aSef4FdEEgEXJiw0VAJT8wIDAQABo1AwTjAdBgNVHQ4EFgQUT1c7nd/SUO76HSoZ\n"
    "umNUJv1R5PwwHwYDVR0jBBgwFoAUT1c7nd/SUO76HSoZumNUJv1R5PwwDAYDVR0T\n"
    "BAUwAwEB/zANBgkqhkiG9w0BAQsFAAOCAQEAM+tslqBxYwqL9fdvGG6hfy69sjfX\n"
    "UhBtBLWYugKKQCOWWLeq5dDWm3i5Cx2Rgiy9uc7RfmJNxQfIKlcoCNP85BjDoG1B\n"
    "YnVc6znlcrT9uHgseha3987WwZsFAQbcy8TLUYHzVB8gmDgq8O08xdIe0eczatI8\n"
    "t3Rg8WXO6Gs66JJ4JR+rD01o3FiSOQCRWhn19NSyDydsgPlOR2t9B9L+MkJwlsMG\n"
    "Krn85TnwL3qcInzRnU8X86faXXJrI0IJi44tECKw8ftngCl6vyNwNNKPDwdkcuuV\n"
    "8y3iBixO5IuKxEKEp2wGPV/4W1AXO73Z3Gb7z/1oxdgeO0hVqz1hBasTCQ==\n"
    "-----END CERTIFICATE-----\n";


static const char  signature[] =
    "BKyAfU4iMCuvXMXS0Wzam3V/cnxZ+JaqigPM5OhljS2iOT95OO6Fsuml2JkFANJU9K"
    "6q9bLlDhPXuoVz+pp4hAm6pHU4ld815U4jsKu1RkyaII+1CYBUYC8TK0XtJ8FwUXXz"
    "8vZHh58rrAVN1XwNyvD1vfpxrMT4SL536GLwvpUHlCqIMzoZUguLli/K8V29QiOhuH"
    "6IEqLNJn8e9b3nwNcQ7be3CzYGpDAKBfDGPCqCv8Rw5zndhlffk2FEA70G4hvMwe51"
    "qMN/RAJbknXG23bSlObuTCN7Ndj1aJGH6/L+hdwfLpUtJm4QYVazzW7DFD27EpSQEq"
    "A8bX9+8m1rLg==";


/* 1024 bits */

static const char  small[] =
    "MIICdwIBADANBgkqhkiG9w0BAQEFAASCAmEwggJdAgEAAoGBAMsr16HdYbDfUn3dNN"
    "sKIRQ8+Kquu25UjQxhLEBqSVU4HEi1+4k/f7Pl6DXlccyZRgcinXbFpeSyPqJ0jZ/7"
    "esG8MaTjOYmy99C2JCRAiPZVAlGMlD98wSGAqybo0Qk9I8jSAGa+aWIilZo0FyxZ6Z"
    "+oLBzlsKOkQ9UL4OZR9tWdAgMBAAECgYEAskF5I4800xZdLgkTAstUUolcM4Sy9g5A"
    "4oevZ6TZSme8iR8B3l1UEea5YfA5dCVWh5QbS8YF0y2APtC8IY1nGVriqbbqxH/oIV"
    "dtu+lTBgcjROYW+YLISmb3F1AGGZ49nEA0O/ar5GeH3wP2RmKB3WLFxdZyTujAK8Ai"
    "JTWZqpECQQDwVd1uZGIBpFqFqWEX7yUeWYtI3NtdiY0qkNNgE1zvm7x8bqwOzrjwo6"
    "n4NSsyL153fqblC+noUi0ZAH68A/wfAkEA2GnfPeQCldObhLNzSnEuQRtxyrTz/ZYV"
    "vNWlVVtFz/Ks8VuJYOh9MT/Sgw72BXHYT9i3Lm3QtikFY71Z5Fj2wwJAGpGTehm0z/"
    "OoYjBYYHn6g4FoqXRo9802AuehxnQ9iOuRibv+X2CxB0FAkATospKUAefJcXbAtAMp"
    "oyLv378dBwJAS4v58IMOG/t4yMRUNOJ5wSSxfo/YtOeVwwvZ4YgxQLx4fvDzbi76tR"
    "yQgkvQumnZl1YR7FVNjKmZRg4tuTcNPQJBAOf8obb31MVQQPvbzK7YtWYOoR0fNKGw"
    "lamhK/DITj6CNTumJfw6CinSmRsM8YIC6TF4urNhyD9CRanOpPbBMeM=";


/* prime256v1 */

static const char  elliptic[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg6sPADUr1uodHden9\n"
    "GH7hCIssDAQONElwXXwuNMoJeTGhRANCAAS4wb657qDlRenhyEoALcSgavTie/W2\n"
    "tbGF0BC329mC4nUxVelXzVmNWwXDpg4bmmAVKdmVLrTIWd+G5cPHbo1/\n"
    "-----END PRIVATE KEY-----\n";


static rush_rsa_t *
private_key(void)
{
    const char  *err;
    rush_rsa_t  *rsa;

    rsa = rush_rsa_private(key, strlen(key), &err);
    assert_non_null(rsa);

    return rsa;
}


static rush_rsa_t *
public_key(void)
{
    const char  *err;
    rush_rsa_t  *rsa;

    rsa = rush_rsa_public(certificate, strlen(certificate), &err);
    assert_non_null(rsa);

    return rsa;
}


static void
test_sign(void **state)
{
    size_t          i, n;
    rush_rsa_t     *rsa, *pub;
    rush_str_t      parts[3], sign;
    unsigned char   dst[RUSH_RSA_SIGN_TEXT];

    rsa = private_key();
    pub = public_key();

    /* in one part and in several */

    parts[0] = unit_str("source");
    n = rush_rsa_sign(rsa, parts, 1, dst);
    assert_int_equal(n, strlen(signature));
    assert_memory_equal(dst, signature, n);

    parts[0] = unit_str("so");
    parts[1] = unit_str("");
    parts[2] = unit_str("urce");
    n = rush_rsa_sign(rsa, parts, 3, dst);
    assert_memory_equal(dst, signature, n);

    sign.data = dst;
    sign.len = n;
    assert_int_equal(rush_rsa_verify(pub, parts, 3, &sign), RUSH_OK);
    assert_int_equal(rush_rsa_verify(rsa, parts, 3, &sign), RUSH_OK);
    assert_true(rush_rsa_is_pair(rsa, pub));

    parts[0] = unit_str("se");
    assert_int_equal(rush_rsa_verify(pub, parts, 3, &sign), RUSH_ERROR);

    /* each character of the signature counts */

    parts[0] = unit_str("source");

    for (i = 0; i < n; i++) {
        dst[i] = (dst[i] == 'A') ? 'B' : 'A';
        assert_int_equal(rush_rsa_verify(pub, parts, 1, &sign), RUSH_ERROR);
        dst[i] = (unsigned char) signature[i];
        assert_int_equal(rush_rsa_verify(pub, parts, 1, &sign), RUSH_OK);
    }

    sign.len = n - 4;
    assert_int_equal(rush_rsa_verify(pub, parts, 1, &sign), RUSH_ERROR);
    sign.len = 0;
    assert_int_equal(rush_rsa_verify(pub, parts, 1, &sign), RUSH_ERROR);

    rush_rsa_free(rsa);
    rush_rsa_free(pub);
}


/* a public key cannot sign */

static void
test_sign_public(void **state)
{
    rush_rsa_t     *pub;
    rush_str_t      part;
    unsigned char   dst[RUSH_RSA_SIGN_TEXT];

    pub = public_key();
    part = unit_str("source");
    assert_int_equal(rush_rsa_sign(pub, &part, 1, dst), 0);
    rush_rsa_free(pub);
}


static void
test_info(void **state)
{
    rush_rsa_t             *pub;
    const rush_rsa_info_t  *info;

    pub = public_key();
    info = rush_rsa_info(pub);
    assert_string_equal(info->serial, "F5765756002FDD77");
    assert_int_equal(strlen(info->sn), RUSH_RSA_SN);
    assert_true(info->from < info->until);
    assert_int_equal(rush_rsa_bits(pub), 2048);
    rush_rsa_free(pub);
}


/* the forms in which a key may come */

static void
test_forms(void **state)
{
    long            n;
    size_t          i;
    char            text[4096];
    const char     *err;
    rush_rsa_t     *rsa, *pub, *same;
    unsigned char   der[2048];

    rsa = private_key();
    pub = public_key();

    n = rush_base64_decode(der, (const unsigned char *) key, strlen(key));
    assert_true(n > 1000);

    same = rush_rsa_private(der, (size_t) n, &err);
    assert_non_null(same);
    assert_true(rush_rsa_is_pair(same, pub));
    rush_rsa_free(same);

    /* base64 in lines, with and without the armour of PEM */

    strcpy(text, "-----BEGIN PRIVATE KEY-----\n");

    for (i = 0; i < strlen(key); i += 64) {
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%.64s\n",
                 key + i);
    }

    same = rush_rsa_private(text + 28, strlen(text) - 28, &err);
    assert_non_null(same);
    assert_true(rush_rsa_is_pair(same, pub));
    rush_rsa_free(same);

    strcat(text, "-----END PRIVATE KEY-----\n");
    same = rush_rsa_private(text, strlen(text), &err);
    assert_non_null(same);
    assert_true(rush_rsa_is_pair(same, pub));
    rush_rsa_free(same);

    /* where a public key is wanted, this one is refused */

    assert_null(rush_rsa_public(text, strlen(text), &err));
    assert_non_null(strstr(err, "private"));
    assert_null(rush_rsa_public(key, strlen(key), &err));
    assert_null(rush_rsa_private(certificate, strlen(certificate), &err));

    rush_rsa_free(rsa);
    rush_rsa_free(pub);
}


static void
test_bad(void **state)
{
    char         text[2048];
    size_t       i;
    const char  *err;

    static const struct {
        const char  *text;
        const char  *err;
    } bad[] = {
        { "", "empty" },
        { "x", "neither" },
        { "====", "neither" },
        { "MIIEvgIBADANBgkqhkiG9w0BAQEF", "no private" },
        { "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
          "no private" },
        { "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
          "MIIBvTBXBgkqhkiG9w0BBQ0wSjApBgkqhkiG9w0BBQwwHAQIxiKxVzLmCJ0CAggA\n"
          "-----END ENCRYPTED PRIVATE KEY-----\n", "encrypted" },
        { small, "2048" },
        { elliptic, "no RSA" }
    };

    for (i = 0; i < unit_count(bad); i++) {
        err = NULL;
        assert_null(rush_rsa_private(bad[i].text, strlen(bad[i].text), &err));
        assert_non_null(strstr(err, bad[i].err));
    }

    assert_null(rush_rsa_private(key, RUSH_RSA_FILE + 1, &err));

    /* one byte of a key or a certificate is another: at least no crash */

    for (i = 0; i < strlen(key); i += 7) {
        strcpy(text, key);
        text[i] = (text[i] == 'A') ? 'B' : 'A';
        rush_rsa_free(rush_rsa_private(text, strlen(text), &err));
    }

    for (i = 0; i < strlen(certificate); i += 7) {
        strcpy(text, certificate);
        text[i] = (text[i] == 'A') ? 'B' : 'A';
        rush_rsa_free(rush_rsa_public(text, strlen(text), &err));
    }
}


static void
test_base64(void **state)
{
    size_t          i, k, n;
    unsigned char   raw[64], text[96], back[96];

    static const struct {
        const char  *text;
        const char  *raw;
    } good[] = {                        /* RFC 4648, section 10 */
        { "", "" }, { "Zg==", "f" }, { "Zm8=", "fo" }, { "Zm9v", "foo" },
        { "Zm9vYg==", "foob" }, { "Zm9vYmE=", "fooba" },
        { "Zm9vYmFy", "foobar" }, { "++//", "\xfb\xef\xff" }
    };

    static const char  *bad[] = {
        "Zg", "Zg=", "Zm8", "Z===", "====", "=Zm8", "Zg==Zg==", "Zg=v", "Zm9 ",
        "Zm9v\n", "Zm-_", "Zh==", "Zm9=", "Zm9vZg", "Zg==\n", " Zm9", "Zm\0v"
    };

    for (i = 0; i < unit_count(good); i++) {
        n = strlen(good[i].text);
        assert_int_equal(rush_base64_decode(back,
                                     (const unsigned char *) good[i].text, n),
                         strlen(good[i].raw));
        assert_memory_equal(back, good[i].raw, strlen(good[i].raw));
        assert_int_equal(rush_base64_encode(text,
                                     (const unsigned char *) good[i].raw,
                                     strlen(good[i].raw)), n);
        assert_memory_equal(text, good[i].text, n);
    }

    for (i = 0; i < unit_count(bad); i++) {
        n = (i == unit_count(bad) - 1) ? 4 : strlen(bad[i]);
        assert_int_equal(rush_base64_decode(back,
                                     (const unsigned char *) bad[i], n), -1);
    }

    /* in place, all lengths */

    for (i = 0; i < sizeof(raw); i++) {
        raw[i] = (unsigned char) (i * 37 + 11);
    }

    for (k = 0; k <= sizeof(raw); k++) {
        n = rush_base64_encode(text, raw, k);
        assert_int_equal(n, (k + 2) / 3 * 4);
        assert_int_equal(rush_base64_decode(text, text, n), (long) k);
        assert_memory_equal(text, raw, k);
    }
}


static void
raw_row(const char *word, const rush_str_t *c, size_t n)
{
    rush_str_t      cert, message;
    rush_rsa_t     *rsa;
    unsigned char   dst[RUSH_RSA_SIGN_TEXT];

    rsa = unit_rsa(c[0], strcmp(word, "sign") == 0);
    message = c[1];

    if (strcmp(word, "sign") == 0) {
        assert_int_equal(rush_rsa_sign(rsa, &message, 1, dst), c[2].len);
        assert_memory_equal(dst, c[2].data, c[2].len);

        if (n > 3 && c[3].len) {
            rush_rsa_free(rsa);
            cert = c[3];
            rsa = unit_rsa(cert, 0);
        }
    }

    assert_int_equal(rush_rsa_verify(rsa, &message, 1, &c[2]),
                     strcmp(word, "deny") == 0 ? RUSH_ERROR : RUSH_OK);
    rush_rsa_free(rsa);
}


static void
test_published(void **state)
{
    unsigned         rows;
    unit_vectors_t   v;

    if (!unit_vectors(&v, "wechatpay_v3")) {
        return;
    }

    rows = 0;

    while (unit_row(&v)) {

        if (strcmp(v.word, "sign") == 0 || strcmp(v.word, "accept") == 0
            || strcmp(v.word, "deny") == 0)
        {
            raw_row(v.word, v.column, v.n);
            rows++;
        }
    }

    assert_true(rows > 5);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_sign),
        cmocka_unit_test(test_sign_public),
        cmocka_unit_test(test_info),
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_base64),
        cmocka_unit_test(test_published)
    };

    return cmocka_run_group_tests_name("rsa", tests, NULL, NULL);
}
