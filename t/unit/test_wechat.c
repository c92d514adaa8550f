
/*
 * Copyright (C) Rush
 *
 * Answers of WeChat's servers and its "open data".  The sample of open data
 * is the one in WeChat's manual (WXBizDataCrypt); the other texts were
 * encrypted under its key with openssl(1).
 */


#include "unit.h"

#include <openssl/evp.h>

#include "wechat.h"


#define APPID  "wx4f4bc4dec97d474b"
#define KEY    "tiihtNczf5v6AKRyjwEUhQ=="
#define IV     "r7BXXKkLb8qrSNn05n0qiA=="
#define NOW    1477314200               /* s, just after the sample was made */


static const char  sample[] =
    "CiyLU1Aw2KjvrjMdj8YKliAjtP4gsMZMQmRzooG2xrDcvSnxIMXFufNstNGTyaGS9uT5"
    "geRa0W4oTOb1WT7fJlAC+oNPdbB+3hVbJSRgv+4lGOETKUQz6OYStslQ142dNCuabNPG"
    "BzlooOmB231qMM85d2/fV6ChevvXvQP8Hkue1poOFtnEtpyxVLW1zAo6/1Xx1COxFvrc"
    "2d7UL/lmHInNlxuacJXwu0fjpXfz/YqYzBIBzD6WUfTIF9GRHpOn/Hz7saL8xz+W//FR"
    "AUid1OksQaQx4CMs8LOddcQhULW4ucetDf96JcR3g0gfRK4PC7E/r7Z6xNrXd2UIeorG"
    "j5Ef7b1pJAYB6Y5anaHqZ9J6nKEBvB4DnNLIVWSgARns/8wR2SiRS7MNACwTyrGvt9ts"
    "8p12PKFdlqYTopNHR1Vf7XjfhQlVsAJdNiKdYmYVoKlaRv85IfVunYzO0IKXsyl7JCUj"
    "CpoG20f0a04COwfneQAGGwd5oa+T8yO5hzuyDb/XcxxmK01EpqOyuxINew==";

static const char  plain[] =
    "{\"openId\":\"oGZUI0egBJY1zhBYw2KhdUfwVJJE\",\"nickName\":\"Band\","
    "\"gender\":1,\"language\":\"zh_CN\",\"city\":\"Guangzhou\",\"provinc"
    "e\":\"Guangdong\",\"country\":\"CN\",\"avatarUrl\":\"http://wx.qlogo"
    ".cn/mmopen/vi_32/aSKcBBPpibyKNicHNTMM0qJVh8Kjgiak2AHWr8MHM4WgMEm7GFh"
    "sf8OYrySdbvAMvTsw3mo8ibKicsnfN5pRjl1p8HQ/0\",\"unionId\":\"ocMvos6Nj"
    "eKLIBqg5Mr9QjxrP1FA\",\"watermark\":{\"timestamp\":1477314187,\"appi"
    "d\":\"wx4f4bc4dec97d474b\"}}";


/* encrypts as WeChat does, so that each fault can be made */

static char *
open_data(const char *text, const char *iv)
{
    int             n, rest;
    char           *out;
    unsigned char   key[32], start[32], raw[2048];
    EVP_CIPHER_CTX *ctx;

    assert_int_equal(EVP_DecodeBlock(key, (const unsigned char *) KEY, 24),
                     18);
    assert_int_equal(EVP_DecodeBlock(start, (const unsigned char *) iv, 24),
                     18);

    ctx = EVP_CIPHER_CTX_new();
    assert_non_null(ctx);
    assert_int_equal(EVP_EncryptInit_ex(ctx, EVP_aes_128_cbc(), NULL, key,
                                        start), 1);
    assert_int_equal(EVP_EncryptUpdate(ctx, raw, &n,
                                       (const unsigned char *) text,
                                       (int) strlen(text)), 1);
    assert_int_equal(EVP_EncryptFinal_ex(ctx, raw + n, &rest), 1);
    EVP_CIPHER_CTX_free(ctx);

    out = malloc((size_t) (n + rest) * 2);
    assert_non_null(out);
    (void) EVP_EncodeBlock((unsigned char *) out, raw, n + rest);

    return out;
}


static void
test_session(void **state)
{
    size_t             i;
    int64_t            code;
    rush_wx_session_t  s;

    static const struct {
        const char    *body;
        rush_wx_rc_e   rc;
        int64_t        code;
    } bad[] = {
        { "", RUSH_WX_BUSY, 0 },
        { "<html>", RUSH_WX_BUSY, 0 },
        { "[]", RUSH_WX_BUSY, 0 },
        { "{}", RUSH_WX_BUSY, 0 },
        { "{\"openid\":\"o\"}", RUSH_WX_BUSY, 0 },
        { "{\"openid\":7,\"session_key\":\"" KEY "\"}", RUSH_WX_BUSY, 0 },
        { "{\"openid\":\"\",\"session_key\":\"" KEY "\"}",
          RUSH_WX_BUSY, 0 },
        { "{\"openid\":\"o\",\"session_key\":\"AAAA\"}",
          RUSH_WX_BUSY, 0 },
        { "{\"openid\":\"o\",\"session_key\":\"!iihtNczf5v6AKRyjwEUhQ==\"}",
          RUSH_WX_BUSY, 0 },
        { "{\"openid\":\"a\\u0000b\",\"session_key\":\"" KEY "\"}",
          RUSH_WX_BUSY, 0 },
        { "{\"errcode\":-1,\"errmsg\":\"system error\"}",
          RUSH_WX_BUSY, -1 },
        { "{\"errcode\":40029,\"errmsg\":\"invalid code\"}",
          RUSH_WX_BAD_CODE, 40029 },
        { "{\"errcode\":40163}", RUSH_WX_BAD_CODE, 40163 },
        { "{\"errcode\":45011}", RUSH_WX_OFTEN, 45011 },
        { "{\"errcode\":40226}", RUSH_WX_BLOCKED, 40226 },
        { "{\"errcode\":40013}", RUSH_WX_REFUSED, 40013 },
        { "{\"errcode\":\"0\"}", RUSH_WX_REFUSED, 0 }
    };

    static const char  good[] = "{\"session_key\":\"" KEY "\","
        "\"openid\":\"oGZUI0egBJY1zhBYw2KhdUfwVJJE\",\"errcode\":0,"
        "\"unionid\":\"u1\"}";

    assert_int_equal(rush_wx_session(good, strlen(good), &s, &code),
                     RUSH_WX_OK);
    assert_string_equal(s.openid, "oGZUI0egBJY1zhBYw2KhdUfwVJJE");
    assert_string_equal(s.unionid, "u1");
    assert_int_equal(s.key[0], 0xb6);
    assert_int_equal(s.key[15], 0x85);

    for (i = 0; i < unit_count(bad); i++) {
        assert_int_equal(rush_wx_session(bad[i].body, strlen(bad[i].body),
                                         &s, &code), bad[i].rc);
        assert_int_equal(code, bad[i].code);
    }
}


static void
test_token(void **state)
{
    char     token[RUSH_WX_TOKEN];
    size_t   i;
    int64_t  expires, code;

    static const char  good[] =
        "{\"access_token\":\"abc\",\"expires_in\":7200}";

    static const char *bad[] = {
        "{\"access_token\":\"\",\"expires_in\":7200}",
        "{\"access_token\":\"a\",\"expires_in\":0}",
        "{\"access_token\":\"a\"}", "{\"expires_in\":7200}"
    };

    assert_int_equal(rush_wx_token(good, strlen(good), token, &expires,
                                   &code), RUSH_WX_OK);
    assert_string_equal(token, "abc");
    assert_int_equal(expires, 7200);

    for (i = 0; i < unit_count(bad); i++) {
        assert_int_equal(rush_wx_token(bad[i], strlen(bad[i]), token,
                                       &expires, &code), RUSH_WX_BUSY);
    }
}


static void
test_open(void **state)
{
    char            *text;
    long             n;
    size_t           i;
    rush_str_t       data, iv;
    unsigned char    dst[RUSH_WX_DATA_MAX], key[32];

    assert_int_equal(EVP_DecodeBlock(key, (const unsigned char *) KEY, 24),
                     18);
    data = unit_str(sample);
    iv = unit_str(IV);

    n = rush_wx_open(dst, key, &data, &iv);
    assert_int_equal(n, strlen(plain));
    assert_string_equal((char *) dst, plain);

    /* cut anywhere, it is refused or is something else */

    for (i = 0; i < data.len; i++) {
        text = (char *) unit_copy(sample, i);
        data.data = (unsigned char *) text;
        data.len = i;
        n = rush_wx_open(dst, key, &data, &iv);
        assert_true(n < (long) strlen(plain));
        free(text);
        data = unit_str(sample);
    }

    iv = unit_str("r7BXXKkLb8qrSNn05n0q");
    assert_int_equal(rush_wx_open(dst, key, &data, &iv), RUSH_ERROR);
    iv = unit_str("");
    assert_int_equal(rush_wx_open(dst, key, &data, &iv), RUSH_ERROR);

    iv = unit_str(IV);
    key[0] ^= 1;
    n = rush_wx_open(dst, key, &data, &iv);
    assert_true(n == RUSH_ERROR || memcmp(dst, plain, 16) != 0);
}


static void
test_open_phone(void **state)
{
    char           mobile[RUSH_WX_MOBILE], *text;
    size_t         i;
    rush_str_t     data, iv;
    unsigned char  key[32];

    static const struct {
        const char    *json;
        const char    *mobile;          /* NULL: refused */
    } cases[] = {
#define MARK  "\"watermark\":{\"timestamp\":1477314187,\"appid\":\"" APPID "\"}"
        { "{\"phoneNumber\":\"13580006666\",\"purePhoneNumber\":"
          "\"13580006666\",\"countryCode\":\"86\"," MARK "}",
          "13580006666" },
        { "{\"phoneNumber\":\"+4915112345678\",\"purePhoneNumber\":"
          "\"15112345678\",\"countryCode\":\"49\"," MARK "}",
          "+4915112345678" },
        { "{\"purePhoneNumber\":\"13580006666\",\"countryCode\":\"86\","
          "\"watermark\":{\"timestamp\":1477314187,\"appid\":"
          "\"wx4f4bc4dec97d474c\"}}", NULL },
        { "{\"purePhoneNumber\":\"13580006666\",\"countryCode\":\"86\","
          "\"watermark\":{\"appid\":\"" APPID "\"}}", NULL },
        { "{\"purePhoneNumber\":\"13580006666\",\"countryCode\":\"86\","
          "\"watermark\":{\"timestamp\":\"1477314187\",\"appid\":\"" APPID
          "\"}}", NULL },
        { "{\"purePhoneNumber\":\"13580006666\",\"countryCode\":\"86\"}",
          NULL },
        { "{\"purePhoneNumber\":\"1358000666\",\"countryCode\":\"86\","
          MARK "}", NULL },
        { "{\"purePhoneNumber\":\"1358000666a\",\"countryCode\":\"86\","
          MARK "}", NULL },
        { "{\"purePhoneNumber\":13580006666,\"countryCode\":\"86\"," MARK
          "}", NULL },
        { "{\"purePhoneNumber\":\"13580006666\"," MARK "}", NULL },
        { "{\"purePhoneNumber\":\"123456789012345\",\"countryCode\":"
          "\"1\"," MARK "}", NULL },
        { "{" MARK "}", NULL },
        { "[1]", NULL },
        { "", NULL }
#undef MARK
    };

    assert_int_equal(EVP_DecodeBlock(key, (const unsigned char *) KEY, 24),
                     18);
    iv = unit_str(IV);

    for (i = 0; i < unit_count(cases); i++) {
        text = open_data(cases[i].json, IV);
        data = unit_str(text);

        if (cases[i].mobile) {
            assert_int_equal(rush_wx_open_phone(key, &data, &iv, APPID,
                                                NOW, mobile), RUSH_WX_OK);
            assert_string_equal(mobile, cases[i].mobile);

        } else {
            assert_int_equal(rush_wx_open_phone(key, &data, &iv, APPID,
                                                NOW, mobile),
                             RUSH_WX_BAD_DATA);
            assert_string_equal(mobile, "");
        }

        free(text);
    }
}


static void
test_phone(void **state)
{
    char     mobile[RUSH_WX_MOBILE];
    size_t   i;
    int64_t  code;

    static const struct {
        int64_t        age;
        rush_wx_rc_e   rc;
    } ages[] = {
        { 0, RUSH_WX_OK },
        { RUSH_WX_AGE, RUSH_WX_OK },
        { RUSH_WX_AGE + 1, RUSH_WX_BAD_DATA },
        { -RUSH_WX_AGE, RUSH_WX_OK },
        { -RUSH_WX_AGE - 1, RUSH_WX_BAD_DATA }
    };

    static const char  good[] = "{\"errcode\":0,\"errmsg\":\"ok\","
        "\"phone_info\":{\"phoneNumber\":\"13580006666\","
        "\"purePhoneNumber\":\"13580006666\",\"countryCode\":\"86\","
        "\"watermark\":{\"timestamp\":1637744274,\"appid\":\"" APPID
        "\"}}}";

    static const char  old[] = "{\"errcode\":42001,\"errmsg\":\"expired\"}";
    static const char  none[] = "{\"errcode\":0}";

    assert_int_equal(rush_wx_phone(good, strlen(good), APPID, 1637744280,
                                   mobile, &code),
                     RUSH_WX_OK);
    assert_string_equal(mobile, "13580006666");

    assert_int_equal(rush_wx_phone(good, strlen(good), "wx0", 1637744280,
                                   mobile, &code),
                     RUSH_WX_BAD_DATA);
    for (i = 0; i < unit_count(ages); i++) {
        assert_int_equal(rush_wx_phone(good, strlen(good), APPID,
                                       1637744274 + ages[i].age, mobile,
                                       &code), ages[i].rc);
        assert_string_equal(mobile, ages[i].rc == RUSH_WX_OK ? "13580006666"
                                                             : "");
    }

    assert_int_equal(rush_wx_phone(old, strlen(old), APPID, 1637744280,
                                   mobile, &code),
                     RUSH_WX_BAD_TOKEN);
    assert_int_equal(rush_wx_phone(none, strlen(none), APPID, 1637744280,
                                   mobile, &code),
                     RUSH_WX_BAD_DATA);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_session),
        cmocka_unit_test(test_token),
        cmocka_unit_test(test_open),
        cmocka_unit_test(test_open_phone),
        cmocka_unit_test(test_phone)
    };

    return cmocka_run_group_tests_name("wechat", tests, NULL, NULL);
}
