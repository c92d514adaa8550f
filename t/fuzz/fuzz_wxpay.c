
/*
 * Copyright (C) Rush
 *
 * WeChat Pay.  The first byte tells what follows: an object (notice, trade,
 * refund, certificates) that jansson reads too; lines with the headers of a
 * signature and a body, as they are or rightly signed; a text that is encrypted
 * and must come back, or a resource that nobody has encrypted.
 */


#define _GNU_SOURCE
#include <ctype.h>
#include <openssl/evp.h>

#include "fuzz_pay.h"
#include "rush_wxpay.h"


#define NOW     1795000000LL
#define SERIAL  "PUB_KEY_ID_1"
#define APIV3   "0123456789abcdef0123456789abcdef"


static void fuzz_notice(const unsigned char *p, size_t len);
static void fuzz_trade(const unsigned char *p, size_t len);
static void fuzz_refund(const unsigned char *p, size_t len);
static void fuzz_others(const unsigned char *p, size_t len);
static void fuzz_sent(const unsigned char *p, size_t len);
static void fuzz_signed(const unsigned char *p, size_t len);
static void fuzz_sealed(const unsigned char *p, size_t len);
static void fuzz_resource(const unsigned char *p, size_t len);
static void fuzz_base64(const unsigned char *p, size_t len);

static void fuzz_headers(const unsigned char *p, size_t len,
    rush_wxpay_seal_t *seal, rush_str_t *body);
static int ref_seal(const rush_wxpay_seal_t *seal);
static size_t ref_sign(const rush_wxpay_seal_t *seal, const rush_str_t *body,
    unsigned char *dst);


const fuzz_target_pt  fuzz_targets[] = {
    fuzz_notice, fuzz_trade, fuzz_refund, fuzz_others, fuzz_sent, fuzz_signed,
    fuzz_sealed, fuzz_resource, fuzz_base64
};

const size_t  fuzz_targets_n = ROWS(fuzz_targets);

#define NOTICE(path, kind, max, member)                                       \
    { path, REF_##kind, max, offsetof(rush_wxpay_notice_t, member) }

static const ref_path_t  notice_rows[] = {
    NOTICE("id", STR, 256, id),
    NOTICE("event_type", ID, 64, event_type),
    NOTICE("resource_type", ID, 64, resource_type),
    NOTICE("create_time", TIME, 0, created),
    NOTICE("resource.original_type", ID, 64, original_type),
    NOTICE("resource.algorithm", ID, 64, resource.algorithm),
    NOTICE("resource.nonce", TEXT, 64, resource.nonce),
    NOTICE("resource.associated_data", TEXT, 1024, resource.associated_data),
    NOTICE("resource.ciphertext", TEXT, 65536, resource.ciphertext)
};

#define TRADE(path, kind, max, member)                                        \
    { path, REF_##kind, max, offsetof(rush_wxpay_trade_t, member) }

static const ref_path_t  trade_rows[] = {
    TRADE("appid", ID, 32, appid),
    TRADE("mchid", ID, 32, mchid),
    TRADE("out_trade_no", ID, 64, out_trade_no),
    TRADE("transaction_id", ID, 64, transaction_id),
    TRADE("trade_type", ID, 32, trade_type),
    TRADE("trade_state", ID, 32, trade_state),
    TRADE("bank_type", STR, 64, bank_type),
    TRADE("attach", TEXT, 512, attach),
    TRADE("success_time", TIME, 0, success_ms),
    TRADE("payer.openid", ID, 128, openid),
    TRADE("amount.total", INT, 1000000000000, total),
    TRADE("amount.payer_total", INT, 1000000000000, payer_total),
    TRADE("amount.currency", ID, 16, currency)
};

#define REFUND(path, kind, max, member)                                       \
    { path, REF_##kind, max, offsetof(rush_wxpay_refund_t, member) }

static const ref_path_t  refund_rows[] = {
    REFUND("mchid", ID, 32, mchid),
    REFUND("out_trade_no", ID, 64, out_trade_no),
    REFUND("transaction_id", ID, 64, transaction_id),
    REFUND("out_refund_no", ID, 64, out_refund_no),
    REFUND("refund_id", ID, 64, refund_id),
    REFUND("status", ID, 32, status),
    REFUND("channel", ID, 32, channel),
    REFUND("user_received_account", TEXT, 256, account),
    REFUND("success_time", TIME, 0, success_ms),
    REFUND("amount.total", INT, 1000000000000, total),
    REFUND("amount.refund", INT, 1000000000000, refund),
    REFUND("amount.payer_refund", INT, 1000000000000, payer_refund),
    REFUND("amount.currency", ID, 16, currency)
};


static void
fuzz_notice(const unsigned char *p, size_t len)
{
    int                   rc, want;
    const char           *err;
    unsigned char        *copy;
    rush_wxpay_notice_t   n;

    static const char *const  must[] = {
        "id", "event_type", "resource.algorithm", "resource.ciphertext", NULL
    };

    err = NULL;
    copy = fuzz_copy(p, len);
    want = ref_paths(notice_rows, ROWS(notice_rows), must, p, len);
    rc = rush_wxpay_notice(&n, copy, len, &err);

    fuzz_check(want == -1 || want == (rc == RUSH_OK));
    fuzz_check(rc == RUSH_OK || err != NULL);

    if (rc == RUSH_OK) {
        ref_compare(notice_rows, ROWS(notice_rows), &n, p, len);
        fuzz_check(!rush_wxpay_is_pay(&n) || !rush_wxpay_is_refund(&n));
    }

    free(copy);
}


static void
fuzz_trade(const unsigned char *p, size_t len)
{
    int                  rc, want;
    const char          *err;
    unsigned char       *copy;
    rush_wxpay_trade_t   t;

    static const char *const  must[] = { "out_trade_no", "trade_state", NULL };

    err = NULL;
    copy = fuzz_copy(p, len);
    want = ref_paths(trade_rows, ROWS(trade_rows), must, p, len);
    rc = rush_wxpay_trade(&t, copy, len, &err);

    fuzz_check(want == -1 || want == (rc == RUSH_OK));
    fuzz_check(rc == RUSH_OK || err != NULL);

    if (rc == RUSH_OK) {
        ref_compare(trade_rows, ROWS(trade_rows), &t, p, len);
        fuzz_check(t.total >= -1 && t.payer_total >= -1);
        fuzz_check((t.state == RUSH_WXPAY_SUCCESS)
                   == (t.trade_state.len == 7
                       && memcmp(t.trade_state.data, "SUCCESS", 7) == 0));
    }

    free(copy);
}


/* a notice has refund_status, which cannot be told apart here */

static void
fuzz_refund(const unsigned char *p, size_t len)
{
    int                   rc, want;
    const char           *err;
    unsigned char        *copy;
    rush_wxpay_refund_t   t;

    static const char *const  must[] = { "out_refund_no", "status", NULL };

    err = NULL;
    copy = fuzz_copy(p, len);
    want = memmem(p, len, "refund_status", 13) != NULL
           || memmem(p, len, "\\u", 2) != NULL
           ? -1 : ref_paths(refund_rows, ROWS(refund_rows), must, p, len);
    rc = rush_wxpay_refund(&t, copy, len, &err);

    fuzz_check(want == -1 || want == (rc == RUSH_OK));
    fuzz_check(rc == RUSH_OK || err != NULL);

    if (rc == RUSH_OK && want == 1) {
        ref_compare(refund_rows, ROWS(refund_rows), &t, p, len);
    }

    free(copy);
}


static void
fuzz_others(const unsigned char *p, size_t len)
{
    int                         i, n;
    json_t                     *root;
    const char                 *err;
    rush_buf_t                  pem;
    unsigned char              *copy;
    rush_wxpay_bill_t           bill;
    rush_wxpay_error_t          error;
    rush_wxpay_prepay_t         prepay;
    rush_wxpay_certificate_t    rows[4];

    memset(&pem, 0, sizeof(pem));

    copy = fuzz_copy(p, len);
    n = rush_wxpay_certificates(rows, 4, copy, len, &err);
    fuzz_check(n >= -1 && n <= 4);

    root = ref_json(p, len, 0);

    if (n >= 0 && root != NULL) {
        fuzz_check(json_array_size(json_object_get(root, "data"))
                   == (size_t) n);
    }

    json_decref(root);

    for (i = 0; i < n; i++) {
        fuzz_check(rush_wxpay_is_serial(&rows[i].serial));
        fuzz_check(rush_wxpay_certificate((const unsigned char *) APIV3,
                                          &rows[i], &pem, &err)
                   == NULL);
        fuzz_check(pem.len == 0);
    }

    free(copy);

    copy = fuzz_copy(p, len);
    (void) rush_wxpay_prepay(&prepay, copy, len, &err);
    free(copy);

    copy = fuzz_copy(p, len);
    (void) rush_wxpay_bill(&bill, copy, len, &err);
    free(copy);

    copy = fuzz_copy(p, len);
    rush_wxpay_error(&error, copy, len);
    fuzz_check(error.code.len <= 64);
    free(copy);

    rush_buf_free(&pem);
}


/* timestamp, nonce, serial, signature, body: a line each */

static void
fuzz_headers(const unsigned char *p, size_t len, rush_wxpay_seal_t *seal,
    rush_str_t *body)
{
    fuzz_input_t  in;

    in.p = p;
    in.len = len;

    seal->timestamp = fuzz_until(&in, '\n');
    seal->nonce = fuzz_until(&in, '\n');
    seal->serial = fuzz_until(&in, '\n');
    seal->signature = fuzz_until(&in, '\n');
    body->data = (unsigned char *) (uintptr_t) in.p;
    body->len = in.len;
}


static rush_doubt_e
fuzz_verify(const rush_wxpay_seal_t *seal, const rush_str_t *body)
{
    const char                *err;
    rush_str_t                 serial;
    static rush_wxpay_ring_t   ring;

    if (ring.n == 0) {
        serial.data = (unsigned char *) SERIAL;
        serial.len = sizeof(SERIAL) - 1;
        fuzz_check(rush_wxpay_ring_add(&ring, &serial,
                       rush_rsa_private(FUZZ_KEY, strlen(FUZZ_KEY), &err))
                   == RUSH_OK);
    }

    return rush_wxpay_verify(&ring, seal, body, NOW * 1000);
}


/* what is there without a signature, in another way than the product */

static int
ref_seal(const rush_wxpay_seal_t *seal)
{
    size_t   i;
    int64_t  at;

    if (!ref_u63(seal->timestamp.data, seal->timestamp.len, &at)
        || at <= NOW - 300 || at >= NOW + 300
        || seal->serial.len != sizeof(SERIAL) - 1
        || memcmp(seal->serial.data, SERIAL, sizeof(SERIAL) - 1) != 0
        || seal->nonce.len == 0 || seal->nonce.len > 128)
    {
        return 0;
    }

    for (i = 0; i < seal->nonce.len; i++) {

        if (!isascii(seal->nonce.data[i]) || !isgraph(seal->nonce.data[i])) {
            return 0;
        }
    }

    return 1;
}


static size_t
ref_sign(const rush_wxpay_seal_t *seal, const rush_str_t *body,
    unsigned char *dst)
{
    int          n;
    size_t       len;
    char        *text;
    rush_str_t   part;

    n = asprintf(&text, "%.*s\n%.*s\n", (int) seal->timestamp.len,
                 seal->timestamp.data, (int) seal->nonce.len,
                 seal->nonce.data);
    fuzz_check(n > 0);

    part.len = (size_t) n + body->len + 1;
    part.data = malloc(part.len);
    fuzz_check(part.data != NULL);

    memcpy(part.data, text, (size_t) n);

    if (body->len) {
        memcpy(part.data + n, body->data, body->len);
    }

    part.data[part.len - 1] = '\n';

    len = rush_rsa_sign(fuzz_key(), &part, 1, dst);
    fuzz_check(len != 0);

    free(part.data);
    free(text);

    return len;
}


/* nobody guesses a signature */

static void
fuzz_sent(const unsigned char *p, size_t len)
{
    rush_str_t          body;
    rush_doubt_e        doubt;
    rush_wxpay_seal_t   seal;

    fuzz_headers(p, len, &seal, &body);
    doubt = fuzz_verify(&seal, &body);

    fuzz_check(doubt != RUSH_TRUSTED);
    fuzz_check(doubt < RUSH_DOUBT_COUNT);
    fuzz_check(doubt != RUSH_DOUBT_SIGNATURE || ref_seal(&seal));
    fuzz_check((doubt == RUSH_DOUBT_UNSIGNED)
               == (seal.timestamp.len == 0 || seal.nonce.len == 0
                   || seal.serial.len == 0 || seal.signature.len == 0));
}


static void
fuzz_signed(const unsigned char *p, size_t len)
{
    int                 good;
    rush_str_t          body;
    rush_wxpay_seal_t   seal;
    unsigned char       sign[RUSH_RSA_SIGN_TEXT];

    fuzz_headers(p, len, &seal, &body);
    good = ref_seal(&seal);

    seal.signature.data = sign;
    seal.signature.len = ref_sign(&seal, &body, sign);

    fuzz_check((fuzz_verify(&seal, &body) == RUSH_TRUSTED) == good);

    if (good && body.len) {
        body.data[body.len / 2] ^= 4;
        fuzz_check(fuzz_verify(&seal, &body) == RUSH_DOUBT_SIGNATURE);
    }
}


/* nonce and associated data, each to an LF, and a text */

static void
fuzz_sealed(const unsigned char *p, size_t len)
{
    int                     n;
    unsigned char          *out, *sealed, *text;
    fuzz_input_t            in;
    EVP_CIPHER_CTX         *ctx;
    rush_wxpay_resource_t   rs;

    in.p = p;
    in.len = len;

    rs.algorithm.data = (unsigned char *) "AEAD_AES_256_GCM";
    rs.algorithm.len = 16;
    rs.nonce = fuzz_until(&in, '\n');
    rs.associated_data = fuzz_until(&in, '\n');

    sealed = malloc(in.len + 16);
    text = malloc((in.len + 16) * 2 + 8);
    ctx = EVP_CIPHER_CTX_new();
    fuzz_check(sealed != NULL && text != NULL && ctx != NULL);

    if (rs.nonce.len < 12 || rs.nonce.len > 16) {
        goto done;
    }

    fuzz_check(EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, NULL, NULL)
               == 1
               && EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN,
                                      (int) rs.nonce.len, NULL) == 1
               && EVP_EncryptInit_ex(ctx, NULL, NULL,
                                     (const unsigned char *) APIV3,
                                     rs.nonce.data) == 1);

    if (rs.associated_data.len) {
        EVP_EncryptUpdate(ctx, NULL, &n, rs.associated_data.data,
                          (int) rs.associated_data.len);
    }

    if (in.len) {
        EVP_EncryptUpdate(ctx, sealed, &n, in.p, (int) in.len);
    }

    EVP_EncryptFinal_ex(ctx, sealed + in.len, &n);
    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, 16, sealed + in.len);

    n = EVP_EncodeBlock(text, sealed, (int) in.len + 16);
    rs.ciphertext.data = text;
    rs.ciphertext.len = (size_t) n;

    out = malloc((size_t) n / 4 * 3);
    fuzz_check(out != NULL);

    fuzz_check(rush_wxpay_open((const unsigned char *) APIV3, &rs, out)
               == (long) in.len);
    fuzz_check(in.len == 0 || memcmp(out, in.p, in.len) == 0);

    text[(size_t) n / 2] = (text[(size_t) n / 2] == 'A') ? 'B' : 'A';
    fuzz_check(rush_wxpay_open((const unsigned char *) APIV3, &rs, out)
               == -1);

    free(out);

done:

    EVP_CIPHER_CTX_free(ctx);
    free(sealed);
    free(text);
}


static void
fuzz_resource(const unsigned char *p, size_t len)
{
    unsigned char          *out;
    fuzz_input_t            in;
    rush_wxpay_resource_t   rs;

    in.p = p;
    in.len = len;

    rs.algorithm.data = (unsigned char *) "AEAD_AES_256_GCM";
    rs.algorithm.len = 16;
    rs.nonce = fuzz_until(&in, '\n');
    rs.associated_data = fuzz_until(&in, '\n');
    rs.ciphertext.data = (unsigned char *) (uintptr_t) in.p;
    rs.ciphertext.len = in.len;

    out = malloc(in.len / 4 * 3);
    fuzz_check(out != NULL || in.len < 4);

    fuzz_check(rush_wxpay_open((const unsigned char *) APIV3, &rs, out)
               == -1);
    free(out);
}


static void
fuzz_base64(const unsigned char *p, size_t len)
{
    long            n;
    const char     *err;
    unsigned char  *got, *text, key[32];

    got = malloc(len / 4 * 3);
    text = malloc(len / 3 * 4 + 8);
    fuzz_check((got != NULL || len < 4) && text != NULL);

    n = rush_base64_decode(got, p, len);

    if (n >= 0) {
        /* what was taken is what would be written */
        fuzz_check((size_t) EVP_EncodeBlock(text, got, (int) n) == len);
        fuzz_check(len == 0 || memcmp(text, p, len) == 0);
        fuzz_check(rush_base64_encode(text, got, (size_t) n) == len);
        fuzz_check(len == 0 || memcmp(text, p, len) == 0);
    }

    n = (long) rush_base64_encode(text, p, len);
    fuzz_check(rush_base64_decode(text, text, (size_t) n) == (long) len);
    fuzz_check(len == 0 || memcmp(text, p, len) == 0);

    if (rush_wxpay_apiv3(p, len, key, &err) == RUSH_OK) {
        fuzz_check(len >= 32 && memcmp(key, p, 32) == 0);
    }

    free(got);
    free(text);
}
