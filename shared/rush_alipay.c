
/*
 * Copyright (C) Rush
 *
 * Signatures of Alipay, both sides, and forms.  Objects are read in
 * rush_alipay_read.c.
 */


#define _GNU_SOURCE                     /* memmem() */

#include "rush_alipay.h"

#include <stdlib.h>
#include <strings.h>

#include "rush_field.h"


static int rush_pair_cmp(const void *one, const void *two);
static int rush_pair_is(const rush_pair_t *f, const char *name);
static int rush_pair_skipped(const rush_pair_t *f, const char *skip);
static int rush_form_unescape(rush_str_t *text);
static int rush_form_hex(unsigned char c);
static int rush_alipay_hides(const rush_pair_t *f, size_t n);
static int rush_alipay_check_with(const rush_rsa_t *key, rush_pair_t *f,
    size_t n, const char *skip, const rush_str_t *sign);


void
rush_alipay_message(rush_pair_t *f, size_t n, const char *skip,
    rush_buf_t *b)
{
    size_t    i;
    unsigned  first;

    if (n == 0) {
        return;
    }

    qsort(f, n, sizeof(rush_pair_t), rush_pair_cmp);
    first = 1;

    for (i = 0; i < n; i++) {

        if (f[i].value.len == 0 || rush_pair_is(&f[i], "sign")
            || rush_pair_skipped(&f[i], skip))
        {
            continue;
        }

        if (!first) {
            rush_buf_add(b, "&", 1);
        }

        first = 0;
        rush_buf_add(b, f[i].name.data, f[i].name.len);
        rush_buf_add(b, "=", 1);
        rush_buf_add(b, f[i].value.data, f[i].value.len);
    }
}


static int
rush_pair_cmp(const void *one, const void *two)
{
    int                 rc;
    size_t              len;
    const rush_pair_t  *a = one, *b = two;

    len = a->name.len < b->name.len ? a->name.len : b->name.len;
    rc = len ? memcmp(a->name.data, b->name.data, len) : 0;

    if (rc != 0 || a->name.len == b->name.len) {
        return rc;
    }

    return a->name.len < b->name.len ? -1 : 1;
}


static int
rush_pair_is(const rush_pair_t *f, const char *name)
{
    size_t  len;

    len = strlen(name);

    return f->name.len == len && memcmp(f->name.data, name, len) == 0;
}


/* is it one of the names with blanks between? */

static int
rush_pair_skipped(const rush_pair_t *f, const char *skip)
{
    size_t  len;

    while (skip != NULL && *skip != '\0') {
        len = strcspn(skip, " ");

        if (f->name.len == len && memcmp(f->name.data, skip, len) == 0) {
            return 1;
        }

        skip += len;
        skip += strspn(skip, " ");
    }

    return 0;
}


int
rush_alipay_sign(const rush_rsa_t *key, rush_pair_t *f, size_t n,
    rush_buf_t *b)
{
    size_t          i;
    rush_buf_t      text;
    rush_str_t      part, sign;
    unsigned char   dst[RUSH_RSA_SIGN_TEXT];

    memset(&text, 0, sizeof(rush_buf_t));
    rush_alipay_message(f, n, NULL, &text);

    part.data = text.data;
    part.len = text.len;
    sign.data = dst;
    sign.len = text.failed || text.len == 0
               ? 0 : rush_rsa_sign(key, &part, 1, dst);

    rush_buf_free(&text);

    if (sign.len == 0) {
        return RUSH_ERROR;
    }

    for (i = 0; i < n; i++) {

        if (f[i].value.len == 0 || rush_pair_is(&f[i], "sign")) {
            continue;
        }

        rush_form_add(b, &f[i].name);
        rush_buf_add(b, "=", 1);
        rush_form_add(b, &f[i].value);
        rush_buf_add(b, "&", 1);
    }

    rush_buf_puts(b, "sign=");
    rush_form_add(b, &sign);

    return b->failed ? RUSH_ERROR : RUSH_OK;
}


void
rush_form_add(rush_buf_t *b, const rush_str_t *s)
{
    size_t         i, n;
    unsigned char  c, out[96];

    static const char  hex[] = "0123456789ABCDEF";

    n = 0;

    for (i = 0; i < s->len; i++) {
        c = s->data[i];

        if ((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z')
            || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_'
            || c == '~')
        {
            out[n++] = c;

        } else {
            out[n++] = '%';
            out[n++] = (unsigned char) hex[c >> 4];
            out[n++] = (unsigned char) hex[c & 0xf];
        }

        if (n > sizeof(out) - 3) {
            rush_buf_add(b, out, n);
            n = 0;
        }
    }

    rush_buf_add(b, out, n);
}


int
rush_form_read(rush_pair_t *f, unsigned char *text, size_t len,
    const char **err)
{
    size_t          i, n;
    unsigned char  *p, *last, *end, *eq;

    n = 0;
    last = text + len;

    for (p = text; p < last; p = end + 1) {

        end = memchr(p, '&', (size_t) (last - p));
        if (end == NULL) {
            end = last;
        }

        if (end == p) {
            continue;
        }

        if (n == RUSH_ALIPAY_FIELDS) {
            *err = "has too many fields";
            return RUSH_ERROR;
        }

        eq = memchr(p, '=', (size_t) (end - p));
        if (eq == NULL) {
            eq = end;
        }

        f[n].name.data = p;
        f[n].name.len = (size_t) (eq - p);
        f[n].value.data = (eq < end) ? eq + 1 : end;
        f[n].value.len = (size_t) (end - f[n].value.data);

        if (rush_form_unescape(&f[n].name) != RUSH_OK
            || rush_form_unescape(&f[n].value) != RUSH_OK)
        {
            *err = "has a bad escape or a zero byte";
            return RUSH_ERROR;
        }

        if (f[n].name.len == 0
            || memchr(f[n].name.data, '=', f[n].name.len) != NULL
            || memchr(f[n].name.data, '&', f[n].name.len) != NULL)
        {
            *err = "has a bad name";
            return RUSH_ERROR;
        }

        for (i = 0; i < n; i++) {

            if (rush_pair_cmp(&f[i], &f[n]) == 0) {
                *err = "has a field twice";
                return RUSH_ERROR;
            }
        }

        n++;
    }

    return (int) n;
}


static int
rush_form_unescape(rush_str_t *text)
{
    int             high, low;
    unsigned char  *p, *dst, *last;

    dst = text->data;
    last = dst + text->len;

    for (p = dst; p < last; p++) {

        if (*p == '+') {
            *dst++ = ' ';
            continue;
        }

        if (*p != '%') {

            if (*p == '\0') {
                return RUSH_ERROR;
            }

            *dst++ = *p;
            continue;
        }

        if (last - p < 3) {
            return RUSH_ERROR;
        }

        high = rush_form_hex(p[1]);
        low = rush_form_hex(p[2]);

        if (high < 0 || low < 0 || (high | low) == 0) {
            return RUSH_ERROR;
        }

        *dst++ = (unsigned char) (high << 4 | low);
        p += 2;
    }

    text->len = (size_t) (dst - text->data);

    return RUSH_OK;
}


static int
rush_form_hex(unsigned char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }

    c |= 0x20;

    return (c >= 'a' && c <= 'f') ? c - 'a' + 10 : -1;
}


const rush_str_t *
rush_form_find(const rush_pair_t *f, size_t n, const char *name)
{
    size_t  i;

    for (i = 0; i < n; i++) {

        if (rush_pair_is(&f[i], name)) {
            return &f[i].value;
        }
    }

    return NULL;
}


rush_doubt_e
rush_alipay_check(const rush_rsa_t *key, rush_pair_t *f, size_t n)
{
    int                rc;
    size_t             i, k;
    rush_str_t         sign;
    const rush_str_t  *v;

    static const char  *without[] = {
        "sign_type alipay_cert_sn", "alipay_cert_sn", "sign_type", ""
    };

    v = rush_form_find(f, n, "sign_type");

    if (v == NULL || v->len != 4 || memcmp(v->data, "RSA2", 4) != 0) {
        return RUSH_DOUBT_UNSIGNED;
    }

    v = rush_form_find(f, n, "sign");

    if (v == NULL || v->len == 0) {
        return RUSH_DOUBT_UNSIGNED;
    }

    sign = *v;                          /* pairs will be sorted */

    v = rush_form_find(f, n, "charset");

    if (v != NULL
        && (v->len != 5 || strncasecmp((char *) v->data, "utf-8", 5) != 0))
    {
        return RUSH_DOUBT_FORMAT;
    }

    for (i = 0; i < n; i++) {

        if (rush_utf8_check(f[i].name.data, f[i].name.len, NULL) != RUSH_OK
            || rush_utf8_check(f[i].value.data, f[i].value.len, NULL)
               != RUSH_OK)
        {
            return RUSH_DOUBT_FORMAT;
        }
    }

    if (rush_alipay_hides(f, n)) {
        return RUSH_DOUBT_FORMAT;
    }

    /* who checks notices does not agree on what is signed of these two */

    k = rush_form_find(f, n, "alipay_cert_sn") != NULL ? 4 : 2;
    rc = RUSH_ERROR;

    for (i = 0; rc == RUSH_ERROR && i < k; i++) {
        rc = rush_alipay_check_with(key, f, n, without[i], &sign);
    }

    return rush_doubt(rc, RUSH_DOUBT_SIGNATURE);
}


/*
 * The signed string does not tell "&" and "=" of a value from those between
 * fields: whoever forwards a notice could hide a field at the end of the one
 * before it.  So no value may look like it holds a field that we read.
 */

static int
rush_alipay_hides(const rush_pair_t *f, size_t n)
{
    size_t  i, k;

    static const char  *names[] = {
        "&app_id=", "&charset=", "&gmt_payment=", "&gmt_refund=",
        "&notify_id=", "&notify_type=", "&out_biz_no=", "&out_trade_no=",
        "&receipt_amount=", "&refund_fee=", "&seller_id=", "&total_amount=",
        "&trade_no=", "&trade_status="
    };

    for (i = 0; i < n; i++) {

        if (memchr(f[i].value.data, '&', f[i].value.len) == NULL) {
            continue;
        }

        for (k = 0; k < sizeof(names) / sizeof(names[0]); k++) {

            if (memmem(f[i].value.data, f[i].value.len, names[k],
                       strlen(names[k]))
                != NULL)
            {
                return 1;
            }
        }
    }

    return 0;
}


static int
rush_alipay_check_with(const rush_rsa_t *key, rush_pair_t *f, size_t n,
    const char *skip, const rush_str_t *sign)
{
    int         rc;
    rush_buf_t  b;
    rush_str_t  part;

    memset(&b, 0, sizeof(rush_buf_t));
    rush_alipay_message(f, n, skip, &b);

    part.data = b.data;
    part.len = b.len;

    if (b.failed) {
        rc = RUSH_UNSURE;

    } else {
        rc = b.len ? rush_rsa_verify(key, &part, 1, sign) : RUSH_ERROR;
    }

    rush_buf_free(&b);

    return rc;
}


void
rush_alipay_json(const rush_pair_t *f, size_t n, rush_buf_t *b)
{
    size_t  i;

    rush_json_open(b, NULL, '{');

    for (i = 0; i < n; i++) {

        if (rush_pair_is(&f[i], "sign") || rush_pair_is(&f[i], "sign_type")
            || rush_pair_is(&f[i], "alipay_cert_sn"))
        {
            continue;
        }

        /* a name is text of theirs: written as a value, which has its comma */

        rush_json_str(b, NULL, &f[i].name);
        rush_buf_add(b, ":", 1);
        rush_json_str(b, NULL, &f[i].value);
    }

    rush_json_close(b, '}');
}
