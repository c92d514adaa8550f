
/*
 * Copyright (C) Rush
 *
 * Alipay.  The first byte tells what follows: a form, as it is or rightly
 * signed; an answer of the gateway; a flat object; an amount; a time.
 */


#define _GNU_SOURCE
#include <ctype.h>

#include "fuzz_pay.h"
#include "rush_alipay.h"


static void fuzz_form(const unsigned char *p, size_t len);
static void fuzz_signed(const unsigned char *p, size_t len);
static void fuzz_slice(const unsigned char *p, size_t len);
static void fuzz_notice(const unsigned char *p, size_t len);
static void fuzz_answer(const unsigned char *p, size_t len);
static void fuzz_money(const unsigned char *p, size_t len);
static void fuzz_time(const unsigned char *p, size_t len);

static long ref_unescape(unsigned char *dst, const unsigned char *p,
    size_t len);
static int ref_hides(const rush_pair_t *f, int n);
static void ref_message(const rush_pair_t *f, int n, rush_buf_t *b);
static int ref_before(const rush_str_t *a, const rush_str_t *b);
static int ref_is(const rush_str_t *s, const char *text);


const fuzz_target_pt  fuzz_targets[] = {
    fuzz_form, fuzz_signed, fuzz_slice, fuzz_notice, fuzz_answer, fuzz_money,
    fuzz_time
};

const size_t  fuzz_targets_n = ROWS(fuzz_targets);

#define NOTICE(path, kind, max, member)                                       \
    { path, REF_##kind, max, offsetof(rush_alipay_notice_t, member) }

static const ref_path_t  notice_rows[] = {
    NOTICE("notify_id", STR, 512, notify_id),
    NOTICE("notify_type", ID, 64, notify_type),
    NOTICE("app_id", ID, 32, app_id),
    NOTICE("seller_id", ID, 32, seller_id),
    NOTICE("trade_no", ID, 64, trade_no),
    NOTICE("out_trade_no", ID, 64, out_trade_no),
    NOTICE("out_biz_no", ID, 64, out_biz_no),
    NOTICE("trade_status", ID, 32, trade_status),
    NOTICE("buyer_id", ID, 64, buyer_id),
    NOTICE("total_amount", YUAN, 0, total),
    NOTICE("receipt_amount", YUAN, 0, receipt),
    NOTICE("refund_fee", YUAN, 0, refund_fee),
    NOTICE("gmt_payment", CHINA, 0, paid_ms),
    NOTICE("gmt_refund", CHINA, 0, refund_ms)
};


/* decoded by sscanf(); -1: a bad escape or a zero byte */

static long
ref_unescape(unsigned char *dst, const unsigned char *p, size_t len)
{
    size_t    i;
    long      n;
    unsigned  v;
    char      hex[3];

    for (n = 0, i = 0; i < len; i++) {
        v = p[i];

        if (v == '+') {
            v = ' ';

        } else if (v == '%') {

            if (i + 2 >= len || !isxdigit(p[i + 1]) || !isxdigit(p[i + 2])) {
                return -1;
            }

            hex[0] = (char) p[i + 1];
            hex[1] = (char) p[i + 2];
            hex[2] = '\0';
            v = (unsigned) strtoul(hex, NULL, 16);
            i += 2;
        }

        if (v == 0) {
            return -1;
        }

        dst[n++] = (unsigned char) v;
    }

    return n;
}


static void
fuzz_form(const unsigned char *p, size_t len)
{
    int             i, n;
    long            a, b;
    size_t          at, end, eq;
    const char     *err;
    rush_pair_t     f[RUSH_ALIPAY_FIELDS];
    unsigned char  *copy, *name, *value;

    copy = fuzz_copy(p, len);
    name = malloc(len + 1);
    value = malloc(len + 1);
    fuzz_check(name != NULL && value != NULL);

    n = rush_form_read(f, copy, len, &err);
    i = 0;

    for (at = 0; n >= 0 && at < len; at = end + 1) {

        for (end = at; end < len && p[end] != '&'; end++) { /* void */ }
        for (eq = at; eq < end && p[eq] != '='; eq++) { /* void */ }

        if (end == at) {
            continue;
        }

        a = ref_unescape(name, p + at, eq - at);
        b = ref_unescape(value, p + eq + 1, end > eq ? end - eq - 1 : 0);

        fuzz_check(i < n && a > 0 && b >= 0);
        fuzz_check((long) f[i].name.len == a && (long) f[i].value.len == b);
        fuzz_check(memcmp(f[i].name.data, name, (size_t) a) == 0);
        fuzz_check(b == 0
                   || memcmp(f[i].value.data, value, (size_t) b) == 0);
        i++;
    }

    fuzz_check(n < 0 || i == n);

    for (i = 0; i < n * n; i++) {
        fuzz_check(i / n == i % n || ref_before(&f[i / n].name, &f[i % n].name)
                   || ref_before(&f[i % n].name, &f[i / n].name));
    }

    fuzz_check(n < 0
               || rush_alipay_check(fuzz_key(), f, (size_t) n)
                  != RUSH_TRUSTED);

    free(copy);
    free(name);
    free(value);
}


/* the fields of a form, with a good signature */

static void
fuzz_signed(const unsigned char *p, size_t len)
{
    int                n, i, k, good;
    size_t             size;
    json_t            *root;
    const char        *err;
    rush_buf_t         b;
    rush_str_t         part;
    rush_pair_t        f[RUSH_ALIPAY_FIELDS];
    rush_doubt_e       doubt;
    unsigned char     *copy, sign[RUSH_RSA_SIGN_TEXT];

    memset(&b, 0, sizeof(b));
    copy = fuzz_copy(p, len);
    n = rush_form_read(f, copy, len, &err);

    if (n < 0 || n > RUSH_ALIPAY_FIELDS - 2) {
        goto done;
    }

    for (i = 0, k = 0; i < n; i++) {

        if (!ref_is(&f[i].name, "sign") && !ref_is(&f[i].name, "sign_type")
            && !ref_is(&f[i].name, "alipay_cert_sn"))
        {
            f[k++] = f[i];
        }
    }

    n = k;
    good = !ref_hides(f, n);

    for (i = 0; i < n; i++) {
        good = good && ref_utf8(f[i].name.data, f[i].name.len)
               && ref_utf8(f[i].value.data, f[i].value.len)
               && (!ref_is(&f[i].name, "charset")
                   || (f[i].value.len == 5
                       && strncasecmp((char *) f[i].value.data, "utf-8", 5)
                          == 0));
    }

    ref_message(f, n, &b);

    if (b.len == 0) {
        goto done;
    }

    part.data = b.data;
    part.len = b.len;
    size = rush_rsa_sign(fuzz_key(), &part, 1, sign);

    f[n].name.data = (unsigned char *) "sign_type";
    f[n].name.len = 9;
    f[n].value.data = (unsigned char *) "RSA2";
    f[n++].value.len = 4;
    f[n].name.data = (unsigned char *) "sign";
    f[n].name.len = 4;
    f[n].value.data = sign;
    f[n++].value.len = size;

    doubt = rush_alipay_check(fuzz_key(), f, (size_t) n);
    fuzz_check((doubt == RUSH_TRUSTED) == good);
    fuzz_check(good || doubt == RUSH_DOUBT_FORMAT);

    if (!good) {
        goto done;
    }

    /* as JSON it says the same */

    rush_buf_reset(&b);
    rush_alipay_json(f, (size_t) n, &b);
    root = ref_json(b.data, b.len, 0);
    fuzz_check(json_object_size(root) == (size_t) n - 2);
    json_decref(root);

    for (i = 0; i < n; i++) {

        if (f[i].value.len == 0 || ref_is(&f[i].name, "sign")
            || ref_is(&f[i].name, "sign_type"))
        {
            continue;
        }

        f[i].value.data[0] ^= 1;
        fuzz_check(rush_alipay_check(fuzz_key(), f, (size_t) n)
                   != RUSH_TRUSTED);
        break;
    }

done:

    rush_buf_free(&b);
    free(copy);
}


static int
ref_is(const rush_str_t *s, const char *text)
{
    return s->len == strlen(text) && memcmp(s->data, text, s->len) == 0;
}


/* does a value look like the end of one and the field behind it? */

static int
ref_hides(const rush_pair_t *f, int n)
{
    int     i;
    size_t  k;
    char   *copy;

    static const char  *names[] = {
        "app_id", "charset", "gmt_payment", "gmt_refund", "notify_id",
        "notify_type", "out_biz_no", "out_trade_no", "receipt_amount",
        "refund_fee", "seller_id", "total_amount", "trade_no", "trade_status"
    };

    char  word[32];
    int   found;

    found = 0;

    for (i = 0; i < n; i++) {
        copy = strndup((char *) f[i].value.data, f[i].value.len);
        fuzz_check(copy != NULL);

        for (k = 0; k < ROWS(names); k++) {
            snprintf(word, sizeof(word), "&%s=", names[k]);
            found |= strstr(copy, word) != NULL;
        }

        free(copy);
    }

    return found;
}


/* by taking the least name again and again */

static void
ref_message(const rush_pair_t *f, int n, rush_buf_t *b)
{
    int                i, k;
    const rush_pair_t *least, *last;

    last = NULL;

    for (k = 0; k < n; k++) {
        least = NULL;

        for (i = 0; i < n; i++) {

            if ((last == NULL || ref_before(&last->name, &f[i].name))
                && (least == NULL || ref_before(&f[i].name, &least->name)))
            {
                least = &f[i];
            }
        }

        last = least;
        fuzz_check(least != NULL);

        if (least->value.len) {
            rush_buf_printf(b, "%s%.*s=%.*s", b->len ? "&" : "",
                            (int) least->name.len, least->name.data,
                            (int) least->value.len, least->value.data);
        }
    }
}


static int
ref_before(const rush_str_t *a, const rush_str_t *b)
{
    size_t  i;

    for (i = 0; i < a->len && i < b->len; i++) {

        if (a->data[i] != b->data[i]) {
            return a->data[i] < b->data[i];
        }
    }

    return a->len < b->len;
}


static void
fuzz_slice(const unsigned char *p, size_t len)
{
    int                   rc, must;
    json_t               *root, *v, *part;
    const char           *err;
    unsigned char        *copy;
    rush_alipay_slice_t   s;

    err = NULL;
    copy = fuzz_copy(p, len);
    rc = rush_alipay_slice(&s, "a.b", copy, len, &err);

    fuzz_check(rc == RUSH_OK || err != NULL);
    fuzz_check(len == 0 || memcmp(copy, p, len) == 0);

    root = ref_json(p, len, 0);
    v = json_object_get(root, "a_b_response");

    if (v == NULL) {
        v = json_object_get(root, "error_response");
        must = (v != NULL);

    } else {
        must = json_object_get(root, "error_response") == NULL;
    }

    /* names are compared as they are written */

    must = must && memmem(p, len, "\\u", 2) == NULL
           && memmem(p, len, "\\/", 2) == NULL
           && (json_object_get(root, "sign") == NULL
               || json_is_string(json_object_get(root, "sign")))
           && (json_object_get(root, "alipay_cert_sn") == NULL
               || json_is_string(json_object_get(root, "alipay_cert_sn")));

    fuzz_check(!must || rc == RUSH_OK);

    if (rc == RUSH_OK) {
        fuzz_check(s.signed_text.len != 0);
        fuzz_check(rush_alipay_verify(fuzz_key(), &s) != RUSH_TRUSTED);
    }

    if (must) {
        part = json_loadb((char *) s.signed_text.data, s.signed_text.len,
                          JSON_DECODE_ANY, NULL);

        /* a number that jansson does not read was made smaller in v */
        fuzz_check(part == NULL || json_is_real(part) || json_is_object(part)
                   || json_is_array(part) || json_equal(part, v));
        json_decref(part);
    }

    json_decref(root);
    free(copy);
}


static void
fuzz_notice(const unsigned char *p, size_t len)
{
    int                    rc, want;
    const char            *err;
    unsigned char         *copy;
    rush_alipay_notice_t   t;

    static const char *const  must[] = { "notify_id", "out_trade_no",
                                         "trade_status", NULL };

    err = NULL;
    copy = fuzz_copy(p, len);
    want = ref_paths(notice_rows, ROWS(notice_rows), must, p, len);
    rc = rush_alipay_notice(&t, copy, len, &err);

    fuzz_check(want == -1 || want == (rc == RUSH_OK));
    fuzz_check(rc == RUSH_OK || err != NULL);

    if (rc == RUSH_OK) {
        ref_compare(notice_rows, ROWS(notice_rows), &t, p, len);
        fuzz_check(t.total >= -1 && t.refund_fee >= -1);
    }

    free(copy);
}


static void
fuzz_answer(const unsigned char *p, size_t len)
{
    const char            *err;
    unsigned char         *copy;
    rush_alipay_answer_t   a;

    copy = fuzz_copy(p, len);

    if (rush_alipay_answer(&a, copy, len, &err) == RUSH_OK) {
        fuzz_check(a.code.len != 0 && a.total >= -1 && a.refund_fee >= -1);
    }

    free(copy);
}


static void
fuzz_money(const unsigned char *p, size_t len)
{
    int             rc;
    size_t          n;
    int64_t         fen, want;
    unsigned char   text[RUSH_ALIPAY_YUAN];

    fen = -7;
    rc = rush_yuan_to_fen(p, len, &fen);

    fuzz_check((rc == RUSH_OK) == ref_yuan(p, len, &want));
    fuzz_check(rc == RUSH_OK ? fen == want : fen == -7);

    if (rc == RUSH_OK) {
        n = rush_fen_to_yuan(text, fen);
        fuzz_check(n >= 4 && text[n - 3] == '.');
        fuzz_check(rush_yuan_to_fen(text, n, &want) == RUSH_OK);
        fuzz_check(want == fen);
    }
}


static void
fuzz_time(const unsigned char *p, size_t len)
{
    int             rc;
    int64_t         ms, want;
    unsigned char   text[RUSH_ALIPAY_TIME];

    rc = rush_alipay_parse_time(p, len, &ms);

    fuzz_check((rc == RUSH_OK) == ref_china(p, len, &want));

    if (rc == RUSH_OK) {
        fuzz_check(ms == want);

        if (ms >= 0) {
            fuzz_check(rush_alipay_format_time(text, ms)
                       == RUSH_ALIPAY_TIME);
            fuzz_check(rush_alipay_parse_time(text, RUSH_ALIPAY_TIME, &want)
                       == RUSH_OK);
            fuzz_check(want == ms - ms % 1000);
        }
    }
}
