
/*
 * Copyright (C) Rush
 *
 * Answers and notices of Alipay, its money and its time.
 */


#define _GNU_SOURCE                     /* memmem() */

#include "rush_alipay.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "rush_paths.h"


#define RUSH_CHINA         28800        /* s ahead of UTC */
#define RUSH_ALIPAY_KEY    128          /* bytes of "..._response" */

#define rush_rows_of(a)  (sizeof(a) / sizeof((a)[0]))


static const unsigned char *rush_slice_blank(const unsigned char *p,
    const unsigned char *last);
static const unsigned char *rush_slice_string(const unsigned char *p,
    const unsigned char *last);
static const unsigned char *rush_slice_value(const unsigned char *p,
    const unsigned char *last);
static int rush_slice_take(rush_str_t *dst, const unsigned char *p,
    const unsigned char *end, unsigned quoted);
static int rush_slice_verify(const rush_rsa_t *key,
    const rush_alipay_slice_t *s);
static int rush_slice_is(const rush_str_t *name, const char *text);


#define rush_answer_row(path, kind, max, member)                              \
    { path, RUSH_P_##kind, max, offsetof(rush_alipay_answer_t, member) }

static const rush_path_t  rush_alipay_answer_rows[] = {
    rush_answer_row("code", ID, 16, code),
    rush_answer_row("sub_code", ID, 128, sub_code),
    rush_answer_row("msg", TEXT, 1024, msg),
    rush_answer_row("sub_msg", TEXT, 4096, sub_msg),
    rush_answer_row("trade_no", ID, 64, trade_no),
    rush_answer_row("out_trade_no", ID, 64, out_trade_no),
    rush_answer_row("trade_status", ID, 32, trade_status),
    rush_answer_row("qr_code", STR, 1024, qr_code),
    rush_answer_row("buyer_user_id", ID, 64, buyer_id),
    rush_answer_row("buyer_open_id", ID, 128, buyer_id),
    rush_answer_row("fund_change", ID, 8, fund_change),
    rush_answer_row("out_request_no", ID, 64, out_request_no),
    rush_answer_row("refund_status", ID, 32, refund_status),
    rush_answer_row("bill_download_url", STR, 2048, bill_download_url),
    rush_answer_row("total_amount", YUAN, 0, total),
    rush_answer_row("receipt_amount", YUAN, 0, receipt),
    rush_answer_row("refund_fee", YUAN, 0, refund_fee),
    rush_answer_row("refund_amount", YUAN, 0, refund_amount),
    rush_answer_row("send_pay_date", CHINA, 0, paid_ms),
    rush_answer_row("gmt_refund_pay", CHINA, 0, refund_ms)
};


#define rush_trade_row(path, kind, max, member)                               \
    { path, RUSH_P_##kind, max, offsetof(rush_alipay_notice_t, member) }

static const rush_path_t  rush_alipay_notice_rows[] = {
    rush_trade_row("notify_id", STR, 512, notify_id),
    rush_trade_row("notify_type", ID, 64, notify_type),
    rush_trade_row("app_id", ID, 32, app_id),
    rush_trade_row("seller_id", ID, 32, seller_id),
    rush_trade_row("trade_no", ID, 64, trade_no),
    rush_trade_row("out_trade_no", ID, 64, out_trade_no),
    rush_trade_row("out_biz_no", ID, 64, out_biz_no),
    rush_trade_row("trade_status", ID, 32, trade_status),
    rush_trade_row("buyer_id", ID, 64, buyer_id),
    rush_trade_row("total_amount", YUAN, 0, total),
    rush_trade_row("receipt_amount", YUAN, 0, receipt),
    rush_trade_row("refund_fee", YUAN, 0, refund_fee),
    rush_trade_row("gmt_payment", CHINA, 0, paid_ms),
    rush_trade_row("gmt_refund", CHINA, 0, refund_ms)
};


int
rush_alipay_slice(rush_alipay_slice_t *s, const char *method,
    const unsigned char *text, size_t len, const char **err)
{
    int                   rc;
    char                  key[RUSH_ALIPAY_KEY];
    size_t                i;
    rush_str_t            name, *dst;
    unsigned              quoted;
    const unsigned char  *p, *end, *last;

    memset(s, 0, sizeof(rush_alipay_slice_t));

    for (i = 0; i < sizeof(key) - 10 && method[i] != '\0'; i++) {
        key[i] = (method[i] == '.') ? '_' : method[i];
    }

    memcpy(&key[i], "_response", 10);

    last = text + len;
    p = rush_slice_blank(text, last);
    *err = "is no JSON object";

    if (p == last || *p != '{') {
        return RUSH_ERROR;
    }

    do {
        p = rush_slice_blank(p + 1, last);
        end = rush_slice_string(p, last);

        if (end == NULL) {
            return RUSH_ERROR;
        }

        name.data = (unsigned char *) (uintptr_t) p + 1;
        name.len = (size_t) (end - p) - 2;

        p = rush_slice_blank(end, last);
        if (p == last || *p != ':') {
            return RUSH_ERROR;
        }

        p = rush_slice_blank(p + 1, last);
        end = rush_slice_value(p, last);
        if (end == NULL) {
            return RUSH_ERROR;
        }

        quoted = 0;
        dst = NULL;

        if (rush_slice_is(&name, key)
            || rush_slice_is(&name, "error_response"))
        {
            dst = &s->signed_text;
            s->error = rush_slice_is(&name, "error_response");

        } else if (rush_slice_is(&name, "sign")) {
            dst = &s->sign;
            quoted = 1;

        } else if (rush_slice_is(&name, "alipay_cert_sn")) {
            dst = &s->cert_sn;
            quoted = 1;
        }

        if (dst != NULL) {
            rc = rush_slice_take(dst, p, end, quoted);

            if (rc != RUSH_OK) {
                *err = "has a member twice, or of another type";
                return RUSH_ERROR;
            }
        }

        p = rush_slice_blank(end, last);

    } while (p < last && *p == ',');

    if (p == last || *p != '}' || rush_slice_blank(p + 1, last) != last) {
        return RUSH_ERROR;
    }

    if (s->signed_text.len == 0) {
        *err = "has no answer";
        return RUSH_ERROR;
    }

    return RUSH_OK;
}


static const unsigned char *
rush_slice_blank(const unsigned char *p, const unsigned char *last)
{
    while (p < last && (*p == ' ' || *p == '\t' || *p == '\r' || *p == '\n')) {
        p++;
    }

    return p;
}


/* behind the string that begins at p, or NULL */

static const unsigned char *
rush_slice_string(const unsigned char *p, const unsigned char *last)
{
    if (p == last || *p != '"') {
        return NULL;
    }

    for (p++; p < last; p++) {

        if (*p == '"') {
            return p + 1;
        }

        if (*p == '\\') {
            p++;
        }
    }

    return NULL;
}


/* behind the value that begins at p, by counting brackets, or NULL */

static const unsigned char *
rush_slice_value(const unsigned char *p, const unsigned char *last)
{
    size_t                depth;
    const unsigned char  *start;

    start = p;
    depth = 0;

    while (p < last) {

        switch (*p) {

        case '"':

            p = rush_slice_string(p, last);
            if (p == NULL) {
                return NULL;
            }

            if (depth == 0) {
                return p;
            }

            continue;

        case '{':
        case '[':
            depth++;
            break;

        case '}':
        case ']':

            if (depth == 0) {
                return p > start ? p : NULL;
            }

            depth--;

            if (depth == 0) {
                return p + 1;
            }

            break;

        case ',':

            if (depth == 0) {
                return p > start ? p : NULL;
            }

            break;
        }

        p++;
    }

    return NULL;
}


static int
rush_slice_take(rush_str_t *dst, const unsigned char *p,
    const unsigned char *end, unsigned quoted)
{
    if (dst->data != NULL) {
        return RUSH_ERROR;
    }

    if (quoted) {

        if (*p != '"') {
            return RUSH_ERROR;
        }

        p++;
        end--;
    }

    dst->data = (unsigned char *) (uintptr_t) p;
    dst->len = (size_t) (end - p);

    return RUSH_OK;
}


static int
rush_slice_is(const rush_str_t *name, const char *text)
{
    return name->len == strlen(text)
           && memcmp(name->data, text, name->len) == 0;
}


rush_doubt_e
rush_alipay_verify(const rush_rsa_t *key, const rush_alipay_slice_t *s)
{
    const char    *sn;
    rush_doubt_e   doubt;

    if (s->sign.len == 0) {
        return RUSH_DOUBT_UNSIGNED;
    }

    doubt = rush_doubt(rush_slice_verify(key, s), RUSH_DOUBT_SIGNATURE);

    if (doubt != RUSH_DOUBT_SIGNATURE) {
        return doubt;
    }

    sn = rush_rsa_info(key)->sn;

    return (s->cert_sn.len != 0 && *sn != '\0'
            && !rush_slice_is(&s->cert_sn, sn))
           ? RUSH_DOUBT_SERIAL : RUSH_DOUBT_SIGNATURE;
}


static int
rush_slice_verify(const rush_rsa_t *key, const rush_alipay_slice_t *s)
{
    int             rc;
    size_t          i;
    rush_str_t      sign, plain;
    unsigned char  *p, text[RUSH_RSA_SIGN_TEXT];

    /* it is a JSON string: the "/" of base64 may be written "\/" */

    sign.data = text;
    sign.len = 0;

    for (i = 0; i < s->sign.len; i++) {

        if (s->sign.data[i] == '\\') {
            continue;
        }

        if (sign.len == sizeof(text)) {
            return RUSH_ERROR;
        }

        text[sign.len++] = s->sign.data[i];
    }

    rc = rush_rsa_verify(key, &s->signed_text, 1, &sign);

    if (rc != RUSH_ERROR
        || memmem(s->signed_text.data, s->signed_text.len, "\\/", 2) == NULL)
    {
        return rc;
    }

    p = malloc(s->signed_text.len);
    if (p == NULL) {
        return RUSH_UNSURE;
    }

    plain.data = p;
    plain.len = 0;

    for (i = 0; i < s->signed_text.len; i++) {

        if (s->signed_text.data[i] == '\\' && i + 1 < s->signed_text.len
            && s->signed_text.data[i + 1] == '/')
        {
            continue;
        }

        p[plain.len++] = s->signed_text.data[i];
    }

    rc = rush_rsa_verify(key, &plain, 1, &sign);
    free(p);

    return rc;
}


int
rush_alipay_answer(rush_alipay_answer_t *a, unsigned char *json, size_t len,
    const char **err)
{
    memset(a, 0, sizeof(rush_alipay_answer_t));
    a->total = -1;
    a->receipt = -1;
    a->refund_fee = -1;
    a->refund_amount = -1;

    if (rush_paths(rush_alipay_answer_rows,
                   rush_rows_of(rush_alipay_answer_rows), a, json, len, err)
        != RUSH_OK)
    {
        return RUSH_ERROR;
    }

    if (a->code.len == 0) {
        *err = "code is missing";
        return RUSH_ERROR;
    }

    return RUSH_OK;
}


rush_alipay_state_e
rush_alipay_state(const rush_str_t *trade_status)
{
    return rush_slice_is(trade_status, "WAIT_BUYER_PAY") ? RUSH_ALIPAY_WAIT
           : rush_slice_is(trade_status, "TRADE_SUCCESS") ? RUSH_ALIPAY_SUCCESS
           : rush_slice_is(trade_status, "TRADE_FINISHED")
             ? RUSH_ALIPAY_FINISHED
           : rush_slice_is(trade_status, "TRADE_CLOSED") ? RUSH_ALIPAY_CLOSED
           : RUSH_ALIPAY_OTHER;
}


int
rush_alipay_notice(rush_alipay_notice_t *t, unsigned char *json, size_t len,
    const char **err)
{
    memset(t, 0, sizeof(rush_alipay_notice_t));
    t->total = -1;
    t->receipt = -1;
    t->refund_fee = -1;

    if (rush_paths(rush_alipay_notice_rows,
                   rush_rows_of(rush_alipay_notice_rows), t, json, len, err)
        != RUSH_OK)
    {
        return RUSH_ERROR;
    }

    if (t->notify_id.len == 0 || t->out_trade_no.len == 0
        || t->trade_status.len == 0)
    {
        *err = "notify_id, out_trade_no or trade_status is missing";
        return RUSH_ERROR;
    }

    t->state = rush_alipay_state(&t->trade_status);
    t->is_refund = t->refund_ms != 0 || t->refund_fee >= 0
                   || t->out_biz_no.len != 0;

    return RUSH_OK;
}


size_t
rush_fen_to_yuan(unsigned char *dst, int64_t fen)
{
    int  n;

    if (fen < 0 || fen > RUSH_ALIPAY_MAX_FEN) {
        return 0;
    }

    n = snprintf((char *) dst, RUSH_ALIPAY_YUAN, "%lld.%02lld",
                 (long long) (fen / 100), (long long) (fen % 100));

    return (size_t) n;
}


int
rush_yuan_to_fen(const unsigned char *p, size_t len, int64_t *fen)
{
    size_t   i, digits;
    int64_t  v;

    for (digits = 0; digits < len && isdigit(p[digits]); digits++) {
        /* void */
    }

    if (digits > 10 || rush_parse_u63(p, digits, &v) != RUSH_OK) {
        return RUSH_ERROR;
    }

    v *= 100;

    if (digits < len) {
        i = len - digits;               /* ".", and one or two decimals */

        if (p[digits] != '.' || i < 2 || i > 3 || !isdigit(p[digits + 1])
            || (i == 3 && !isdigit(p[digits + 2])))
        {
            return RUSH_ERROR;
        }

        v += (p[digits + 1] - '0') * 10;
        v += (i == 3) ? p[digits + 2] - '0' : 0;
    }

    if (v > RUSH_ALIPAY_MAX_FEN) {
        return RUSH_ERROR;
    }

    *fen = v;

    return RUSH_OK;
}


size_t
rush_alipay_format_time(unsigned char *dst, int64_t ms)
{
    time_t     sec;
    struct tm  tm;
    char       text[64];

    sec = (time_t) (ms / 1000 + RUSH_CHINA);

    if (ms < 0 || gmtime_r(&sec, &tm) == NULL || tm.tm_year > 8099) {
        return 0;
    }

    (void) snprintf(text, sizeof(text), "%04d-%02d-%02d %02d:%02d:%02d",
                    tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
                    tm.tm_min, tm.tm_sec);
    memcpy(dst, text, RUSH_ALIPAY_TIME);

    return RUSH_ALIPAY_TIME;
}


/* some have a fraction: ".320" */

int
rush_alipay_parse_time(const unsigned char *p, size_t len, int64_t *ms)
{
    unsigned char  text[32];

    if (len < RUSH_ALIPAY_TIME || len > RUSH_ALIPAY_TIME + 4 || p[10] != ' ') {
        return RUSH_ERROR;
    }

    memcpy(text, p, len);
    text[10] = 'T';
    memcpy(text + len, "+08:00", 6);

    return rush_parse_time(text, len + 6, ms);
}
