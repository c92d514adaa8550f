
/*
 * Copyright (C) Rush
 *
 * WeChat Pay.  Published vectors are of its manual and of the tests of its
 * SDKs; the small ones stand here: the key, message and signature of "GET path
 * param" (pay.weixin.qq.com/doc/v3/merchant/4012365334) and the client's
 * signature (wechatpay-skills).  What
 * is encrypted is in test_wxpay_read.c.
 */


#include "unit.h"
#include "rush_wxpay.h"


#define NOW     1554208460
#define NONCE   "593BEC0C930BF1AFEB40B4A08C8FB242"


static const char  key[] =
    "MIIEvAIBADANBgkqhkiG9w0BAQEFAASCBKYwggSiAgEAAoIBAQCm2mb6q8gMKH/3CN"
    "TbpJAIrbqiBiQGEOtjGcBrDYltsGynWgNscqT7WvfzU14FQbYcQUC5T4Wvva7mi3fI"
    "p3OgX8VqMDNA0qebnr38Pe6kqiLyZgFpJPXlSKDyPyqhRbVTbXssvSMQeVKcdXeVxo"
    "NNeoOlNFHgF/P0io6AmAVnz+hN8SiZKuOsth5/zUTLGvtkgxBcQooQrtXhRcpLT798"
    "OyIb9xeJ2HO3xRtMv2+perEzb4gMibI74UBz+2QEbnkubPE+2jU2rRZudnNEz/BPOt"
    "3Qj/w2V6/G0VumGDh6+UeMU0jv4aupHztWITC4Akn0l7lBCNy3lgl8VFaJnkIxAgMB"
    "AAECggEAYGL8aESB7NwciDWW2UdoWUsa7GxFtSdjAz2mFXGdeTsYmVh7b9OOkRGM+Q"
    "io4LqEHDBp1mMk5E/cUJwy1zw8pGGO5nfvs7u9TT3XnHaefIs4YvUgTYAneIuLRkXN"
    "N5rQU+CD7mVYczTSz0Vgjqo9wa1LjUz7G0xbBmJgTdMEFGJseJjy6AbJo0CGIwp6HJ"
    "bTm4CmOUgXnnDAIbEGTIRImkZFH/rzneIeR7oZ77FVwxr1CZB2gfRCov/yRPbw8vnr"
    "yYkmvQ7D/ze3j5097vRg/MoDGBSdoOwcmo75vyofr0ASzytMjmHYyifqkf5slPropS"
    "iJeGf4p/7gtKyF6dE/XQKBgQDVAlJ+4U5ZVGOuDc3+sAhz8CTzgFNlq9vKuSoFK6hO"
    "z2L+cwj+E7NXGkOe2DsHHZNy2Xqxk7caKhPEp1z9hhpMpyLVMoFt6CKemyoRBWDCQw"
    "LLwem9SZF/IAyovBkLiH36P42Jm26gUkNMKC/5Zhtqxf6RZgRQzbVudJi47vIRCwKB"
    "gQDIh0+v27Oo+DM3fhObH4I1NrXpWOEGH7OQG1dEsMuFYF4hjGhg0kBEP3w9vVdl2+"
    "mRllZKTsx9oqjb8OibPLLIH8xsdbAB0WLfJvjLu4wl/ILUzN1RI03dWnnv2EnEeQn6"
    "c3hizvrJ9wR5U4ue9RPVnQooJ0hZF1PUuCL5fWK3MwKBgElReU/PAYbh80WP3t3Rfb"
    "daa32dKBeQ5iCLR5lsA4zM+YgX1HqQEWTj126vgvHaDkyz6vWAoL/Sx+cirHFfXWIR"
    "DX5Q2hgYlQH+6qXdMgbrxeSYpHnQ/tHBGFpkFELSAnrGsVMyOwvYBO4LzyeLK9i+uf"
    "cWJFoj1FVmsMLHDG8tAoGARdbiiQQCoYG4DMarO2aQ6cmhN6EN1h0qY7EyBqlwaIZ0"
    "okiNfdMcMOjPc41DKCWcRmlOqlihXcxN9TQFPzO3rH1urAOdBjUPs1qWYhZyrDQyuL"
    "yVBBJApyxAtajloDjrob+fmQIvVDHk7ACN6xG+E7K6+9salnTKbJapD618uQMCgYBN"
    "y6XUvzLkP/A1U/UZdtcxl8GwU/dturLxz4CyGbqDw4ubaYY2e13lnqHUqQgPtiSyH5"
    "1nq3tdo8G0YAJdfkSvKvnfslW91fyEBUKnkdW1o3/1UFU/wprZ7ixVL/F42A4xDu7O"
    "FE8EnweJOZ0jWceEOdhCkaIGBCfRnlECRK8UyQ==";


static const char  public[] =
    "-----BEGIN PUBLIC KEY-----\n"
    "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAptpm+qvIDCh/9wjU26SQ\n"
    "CK26ogYkBhDrYxnAaw2JbbBsp1oDbHKk+1r381NeBUG2HEFAuU+Fr72u5ot3yKdz\n"
    "oF/FajAzQNKnm569/D3upKoi8mYBaST15Uig8j8qoUW1U217LL0jEHlSnHV3lcaD\n"
    "TXqDpTRR4Bfz9IqOgJgFZ8/oTfEomSrjrLYef81Eyxr7ZIMQXEKKEK7V4UXKS0+/\n"
    "fDsiG/cXidhzt8UbTL9vqXqxM2+IDImyO+FAc/tkBG55LmzxPto1Nq0WbnZzRM/w\n"
    "Tzrd0I/8NlevxtFbphg4evlHjFNI7+GrqR87ViEwuAJJ9Je5QQjct5YJfFRWiZ5C\n"
    "MQIDAQAB\n"
    "-----END PUBLIC KEY-----\n";


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


static const char  get_sign[] =
    "Lc9VXxmeonkdV8Xk9tmigQFLhl0vRWTerdmoRu01aAnYwIrD/5nsSwE1WlmZGLRlAF"
    "TNQ3QsMa0+VRDlJp1Wp5p0nO8EK68b5sJBbjouxaFciIfq1zfDWWz+jqhcMoKXI1A6"
    "dPm1AW7D4d30WsMTNzp6g23OXakIsh9LO3lUmwvTuE0BY8ncf6tNGk4wKmvXwERd/Z"
    "poQY3MAVKz+Nakwc+2XBmzT66KcUehU5kr4IvGa/lEU5RZb/q00zP9VLdBhC/jQSX3"
    "X1UcJLCtEc4gTmib4tnmAT+bHF/e17ZAuxDNcx6rqT8gNEXqaJGG+1OflMSTU2tpyG"
    "65G4dMKdFcoA==";


static const char  jsapi_sign[] =
    "mI35pfNEQV6777ke/1T+LJLQDNTm7yeoUJH+j/adPGhmCCi0PbgkvYQTRcXH0uibcL"
    "VtvFLdGLpmoYO9FV6lBBsTAjuhh5YOvQi0e2g3e0yytitiNET9FEuqM0pjnKfRW4K6"
    "LIZDdbWJv9KhZUx3DrJa5TL7OJ7VdADVivxVySIlPVKjGwuCXzuXSJes0UcILgWQUM"
    "yha5/3nYofuHtS7r+KYyMuxD+oJ9VM1Qdxk4UIG59CP5Y3wtYIFybyF3bdu1caHTRR"
    "X+DLyMXyYA/IrTmiW01c4RPjpHBX5Dk1sZyY1zVsWNsvMHr2e1NTWtBxKJ+qk5N61J"
    "7caYoepHFaxw==";


/* what stands in: mchid="...",...  of an Authorization header */

static void
has(const rush_buf_t *b, const char *name, const rush_str_t *value)
{
    char  text[2048], *p, *start;

    assert_false(b->failed);
    assert_true(b->len < sizeof(text));
    memcpy(text, b->data, b->len);
    text[b->len] = '\0';

    start = strchr(text, ' ');
    assert_non_null(start);

    p = strstr(start, name);
    assert_non_null(p);
    assert_true(p[-1] == ' ' || p[-1] == ',');
    p += strlen(name);
    assert_memory_equal(p, "=\"", 2);
    assert_memory_equal(p + 2, value->data, value->len);
    assert_true(p[2 + value->len] == '"');
}


static void
request(const rush_str_t *c)
{
    size_t                 i;
    rush_buf_t             b;
    rush_rsa_t            *rsa;
    rush_str_t             message;
    rush_wxpay_request_t   rq;
    rush_wxpay_merchant_t  m;

    memset(&b, 0, sizeof(b));
    memset(&rq, 0, sizeof(rq));

    rsa = unit_rsa(c[0], 1);
    m.mchid = unit_str("1900007291");
    m.serial = unit_str("408B07E79B8269FEC3D5D3E6AB8ED163A6A380DB");
    m.key = rsa;

    rq.method = c[1];
    rq.target = c[2];
    rq.now = strtoll((char *) c[3].data, NULL, 10) * 1000 + 999;
    rq.nonce = c[4];
    rq.body = c[5];

    rush_wxpay_message(&rq, &c[3], &c[4], &b);
    message.data = b.data;
    message.len = b.len;
    assert_int_equal(b.len, c[6].len);
    assert_memory_equal(b.data, c[6].data, b.len);
    assert_int_equal(rush_rsa_verify(rsa, &message, 1, &c[7]), RUSH_OK);

    /* and each byte of it counts */

    for (i = 0; i < b.len; i++) {
        b.data[i] ^= 1;
        assert_int_equal(rush_rsa_verify(rsa, &message, 1, &c[7]),
                         RUSH_ERROR);
        b.data[i] ^= 1;
    }

    rush_buf_reset(&b);
    assert_int_equal(rush_wxpay_authorize(&m, &rq, &b), RUSH_OK);
    assert_memory_equal(b.data, "WECHATPAY2-SHA256-RSA2048 ", 26);
    has(&b, "mchid", &m.mchid);
    has(&b, "serial_no", &m.serial);
    has(&b, "timestamp", &c[3]);
    has(&b, "nonce_str", &c[4]);
    has(&b, "signature", &c[7]);

    rush_buf_free(&b);
    rush_rsa_free(rsa);
}


static void
test_request(void **state)
{
    rush_str_t  c[8];

    c[0] = unit_str(key);
    c[1] = unit_str("GET");
    c[2] = unit_str("/v3/refund/domestic/refunds/123123123123");
    c[3] = unit_str("1554208460");
    c[4] = unit_str(NONCE);
    c[5] = unit_str("");
    c[6] = unit_str("GET\n/v3/refund/domestic/refunds/123123123123\n"
                    "1554208460\n" NONCE "\n\n");
    c[7] = unit_str(get_sign);
    request(c);
}


/* a nonce of ours is another one each time */

static void
test_nonce(void **state)
{
    size_t                  i;
    rush_buf_t              b[2];
    rush_str_t              k;
    rush_rsa_t             *rsa;
    rush_wxpay_request_t    rq;
    rush_wxpay_merchant_t   m;

    memset(b, 0, sizeof(b));
    memset(&rq, 0, sizeof(rq));
    k = unit_str(key);
    rsa = unit_rsa(k, 1);
    m.mchid = unit_str("1900007291");
    m.serial = unit_str("408B");
    m.key = rsa;
    rq.method = unit_str("GET");
    rq.target = unit_str("/v3/certificates");
    rq.now = NOW * 1000LL;

    for (i = 0; i < 2; i++) {
        assert_int_equal(rush_wxpay_authorize(&m, &rq, &b[i]), RUSH_OK);
    }

    assert_int_equal(b[0].len, b[1].len);
    assert_memory_not_equal(b[0].data, b[1].data, 100);

    rush_buf_free(&b[0]);
    rush_buf_free(&b[1]);
    rush_rsa_free(rsa);
}


static void
client(const rush_str_t *c, int app)
{
    int                   rc;
    char                 *p;
    rush_buf_t            b;
    rush_str_t            mchid;
    rush_rsa_t           *rsa;
    rush_wxpay_client_t   in;

    memset(&b, 0, sizeof(b));
    mchid = unit_str("1900007291");
    rsa = unit_rsa(c[0], 1);
    in.appid = c[1];
    in.now = strtoll((char *) c[2].data, NULL, 10) * 1000;
    in.nonce = c[3];
    in.prepay_id = c[4];

    if (!app) {
        in.prepay_id.data += sizeof("prepay_id=") - 1;
        in.prepay_id.len -= sizeof("prepay_id=") - 1;
    }

    rush_json_open(&b, NULL, '{');
    rc = app ? rush_wxpay_app(rsa, &mchid, &in, &b)
             : rush_wxpay_jsapi(rsa, &in, &b);
    assert_int_equal(rc, RUSH_OK);
    rush_json_close(&b, '}');
    rush_buf_add(&b, "", 1);

    p = strstr((char *) b.data, app ? "\"sign\":\"" : "\"paySign\":\"");
    assert_non_null(p);
    p = strchr(p + 3, ':') + 2;
    assert_memory_equal(p, c[5].data, c[5].len);
    assert_true(p[c[5].len] == '"');
    assert_non_null(strstr((char *) b.data,
                           app ? "\"package\":\"Sign=WXPay\""
                               : "\"signType\":\"RSA\""));

    rush_buf_free(&b);
    rush_rsa_free(rsa);
}


static void
test_client(void **state)
{
    rush_str_t  c[6];

    c[0] = unit_str(key);
    c[1] = unit_str("wx2421b1c4370ec43b");
    c[2] = unit_str("1554208460");
    c[3] = unit_str(NONCE);
    c[4] = unit_str("prepay_id=wx201410272009395522657a690389285100");
    c[5] = unit_str(jsapi_sign);
    client(c, 0);
}


/* an answer that we sign as WeChat would, and what may be wrong with it */

static void
test_verify(void **state)
{
    size_t              i;
    rush_buf_t          b;
    rush_rsa_t         *rsa;
    rush_str_t          k, body, part;
    rush_wxpay_seal_t   seal, bad;
    rush_wxpay_ring_t   ring;
    unsigned char       sign[RUSH_RSA_SIGN_TEXT];

    static const char  *times[] = {
        "1554208160", "1554208760", "0", "-1554208460", "+1554208460",
        "01554208460", "1554208460 ", " 1554208460", "1554208460.0",
        "0x5ca3598c", "9223372036854775807", "99999999999999999999"
    };

    memset(&b, 0, sizeof(b));
    memset(&ring, 0, sizeof(ring));

    k = unit_str(key);
    rsa = unit_rsa(k, 1);
    k = unit_str(public);
    body = unit_str("PUB_KEY_ID_0116");
    assert_int_equal(rush_wxpay_ring_add(&ring, &body, unit_rsa(k, 0)),
                     RUSH_OK);

    body = unit_str("{\"a\":1}");
    seal.timestamp = unit_str("1554208460");
    seal.nonce = unit_str(NONCE);
    seal.serial = unit_str("PUB_KEY_ID_0116");
    seal.signature.data = sign;
    part = unit_str("1554208460\n" NONCE "\n{\"a\":1}\n");
    seal.signature.len = rush_rsa_sign(rsa, &part, 1, sign);

#define verify(s, b, ms)  rush_wxpay_verify(&ring, s, b, NOW * 1000LL + (ms))

    assert_int_equal(verify(&seal, &body, 0), RUSH_TRUSTED);
    assert_int_equal(verify(&seal, &body, 299999), RUSH_TRUSTED);
    assert_int_equal(verify(&seal, &body, -299999), RUSH_TRUSTED);
    assert_int_equal(verify(&seal, &body, 300000), RUSH_DOUBT_TIME);
    assert_int_equal(verify(&seal, &body, -300000), RUSH_DOUBT_TIME);

    for (i = 0; i < unit_count(times); i++) {
        bad = seal;
        bad.timestamp = unit_str(times[i]);
        assert_int_equal(verify(&bad, &body, 0), RUSH_DOUBT_TIME);
    }

    for (i = 0; i < 4; i++) {
        bad = seal;
        ((rush_str_t *) &bad)[i].len = 0;
        assert_int_equal(verify(&bad, &body, 0), RUSH_DOUBT_UNSIGNED);
    }

    bad = seal;
    bad.serial = unit_str("PUB_KEY_ID_0117");
    assert_int_equal(verify(&bad, &body, 0), RUSH_DOUBT_SERIAL);
    bad.serial = unit_str("PUB_KEY_ID_0116\r\n");
    assert_int_equal(verify(&bad, &body, 0), RUSH_DOUBT_FORMAT);

    /* the border between nonce and body cannot be moved */

    bad = seal;
    bad.nonce = unit_str(NONCE "\n{\"a\":1}");
    assert_int_equal(verify(&bad, &body, 0), RUSH_DOUBT_FORMAT);

    bad = seal;
    bad.nonce = unit_str("593bec0c930bf1afeb40b4a08c8fb242");
    assert_int_equal(verify(&bad, &body, 0), RUSH_DOUBT_SIGNATURE);

    bad = seal;
    bad.signature = unit_str("WECHATPAY/SIGNTEST/");
    assert_int_equal(verify(&bad, &body, 0), RUSH_DOUBT_SIGNATURE);

    part = unit_str("{\"a\":2}");
    assert_int_equal(verify(&seal, &part, 0), RUSH_DOUBT_SIGNATURE);
    part = unit_str("{\"a\":1}\n");
    assert_int_equal(verify(&seal, &part, 0), RUSH_DOUBT_SIGNATURE);

    rush_buf_free(&b);
    rush_wxpay_ring_free(&ring);
    rush_rsa_free(rsa);
}


static void
test_ring(void **state)
{
    char                name[16];
    unsigned            i;
    int64_t             until;
    rush_str_t          k, serial, own;
    rush_wxpay_ring_t   ring;

    memset(&ring, 0, sizeof(ring));

    /* a certificate is known by its own serial, and ends */

    k = unit_str(certificate);
    assert_int_equal(rush_wxpay_ring_add(&ring, NULL, unit_rsa(k, 0)), RUSH_OK);
    own = unit_str("F5765756002FDD77");
    until = ring.keys[0].until;
    assert_non_null(rush_wxpay_ring_find(&ring, &own, until - 1));
    assert_null(rush_wxpay_ring_find(&ring, &own, until));
    assert_true(rush_wxpay_is_of(rush_wxpay_ring_find(&ring, &own, 0), &own));
    serial = unit_str("00F5765756002FDD77");
    assert_true(rush_wxpay_is_of(rush_wxpay_ring_find(&ring, &own, 0),
                                 &serial));
    serial = unit_str("F5765756002FDD78");
    assert_false(rush_wxpay_is_of(rush_wxpay_ring_find(&ring, &own, 0),
                                  &serial));
    serial = unit_str("00");
    assert_false(rush_wxpay_is_of(rush_wxpay_ring_find(&ring, &own, 0),
                                  &serial));

    /* the same once more is one */

    assert_int_equal(rush_wxpay_ring_add(&ring, NULL, unit_rsa(k, 0)), RUSH_OK);
    assert_int_equal(ring.n, 1);

    /* a bare key has no serial of its own */

    k = unit_str(public);
    assert_int_equal(rush_wxpay_ring_add(&ring, NULL, unit_rsa(k, 0)),
                     RUSH_ERROR);

    for (i = 1; i < RUSH_WXPAY_KEYS; i++) {
        snprintf(name, sizeof(name), "PUB_%u", i);
        serial = unit_str(name);
        assert_int_equal(rush_wxpay_ring_add(&ring, &serial, unit_rsa(k, 0)),
                         RUSH_OK);
    }

    /* full: the one that ends goes, and those without end stay */

    serial = unit_str("PUB_8");
    assert_int_equal(rush_wxpay_ring_add(&ring, &serial, unit_rsa(k, 0)),
                     RUSH_OK);
    assert_null(rush_wxpay_ring_find(&ring, &own, 0));
    assert_non_null(rush_wxpay_ring_find(&ring, &serial, INT64_MAX));

    serial = unit_str("PUB_9");
    assert_int_equal(rush_wxpay_ring_add(&ring, &serial, unit_rsa(k, 0)),
                     RUSH_ERROR);

    rush_wxpay_ring_free(&ring);
    assert_int_equal(ring.n, 0);
}


static void
verify_row(const rush_str_t *c)
{
    int64_t             now;
    rush_rsa_t         *rsa;
    rush_str_t          body;
    rush_wxpay_ring_t   ring;
    rush_wxpay_seal_t   seal;

    memset(&ring, 0, sizeof(ring));
    rsa = unit_rsa(c[0], 0);
    assert_int_equal(rush_wxpay_ring_add(&ring, &c[3], rsa), RUSH_OK);

    seal.timestamp = c[1];
    seal.nonce = c[2];
    seal.serial = c[3];
    seal.signature = c[4];
    body = c[5];
    now = strtoll((char *) c[6].data, NULL, 10) * 1000;

    assert_int_equal(rush_wxpay_verify(&ring, &seal, &body, now),
                     RUSH_TRUSTED);
    assert_int_equal(rush_wxpay_verify_by(rsa, &seal, &body, now),
                     RUSH_TRUSTED);
    body.data[body.len / 2] ^= 1;
    assert_int_equal(rush_wxpay_verify(&ring, &seal, &body, now),
                     RUSH_DOUBT_SIGNATURE);

    rush_wxpay_ring_free(&ring);
}


static void
layout_row(const rush_str_t *c)
{
    rush_buf_t            b;
    rush_wxpay_request_t  rq;

    memset(&b, 0, sizeof(b));
    memset(&rq, 0, sizeof(rq));
    rq.method = c[0];
    rq.target = c[1];
    rq.body = c[4];
    rush_wxpay_message(&rq, &c[2], &c[3], &b);
    assert_int_equal(b.len, c[5].len);
    assert_memory_equal(b.data, c[5].data, b.len);
    rush_buf_free(&b);
}


static void
test_published(void **state)
{
    unsigned         rows;
    rush_str_t      *c;
    unit_vectors_t   v;

    if (!unit_vectors(&v, "wechatpay_v3")) {
        return;
    }

    c = v.column;

    for (rows = 0; unit_row(&v); rows++) {

        if (strcmp(v.word, "request") == 0) {
            request(c);

        } else if (strcmp(v.word, "layout") == 0) {
            layout_row(c);

        } else if (strcmp(v.word, "verify") == 0) {
            verify_row(c);

        } else if (strcmp(v.word, "jsapi") == 0
                   || strcmp(v.word, "app") == 0)
        {
            client(c, v.word[0] == 'a');

        }
    }

    assert_true(rows > 20);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_request),
        cmocka_unit_test(test_nonce),
        cmocka_unit_test(test_client),
        cmocka_unit_test(test_verify),
        cmocka_unit_test(test_ring),
        cmocka_unit_test(test_published)
    };

    return cmocka_run_group_tests_name("wxpay", tests, NULL, NULL);
}
