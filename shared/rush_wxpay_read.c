
/*
 * Copyright (C) Rush
 *
 * Objects of WeChat Pay.
 */


#include "rush_wxpay.h"

#include <stdlib.h>

#include "rush_paths.h"


#define RUSH_WXPAY_MAX_FEN  1000000000000LL
#define RUSH_WXPAY_URL      512         /* bytes */

#define rush_wxpay_row(type, path, kind, max, member)                         \
    { path, RUSH_P_##kind, max, offsetof(type, member) }

#define rush_rows_of(a)  (sizeof(a) / sizeof((a)[0]))


static rush_wxpay_state_e rush_wxpay_state(const rush_str_t *text);
static int rush_wxpay_data(rush_reader_t *j);


#define rush_notice_row(path, kind, max, member)                              \
    rush_wxpay_row(rush_wxpay_notice_t, path, kind, max, member)

static const rush_path_t  rush_wxpay_notice_rows[] = {
    rush_notice_row("id", STR, 256, id),
    rush_notice_row("event_type", ID, 64, event_type),
    rush_notice_row("resource_type", ID, 64, resource_type),
    rush_notice_row("create_time", TIME, 0, created),
    rush_notice_row("resource.original_type", ID, 64, original_type),
    rush_notice_row("resource.algorithm", ID, 64, resource.algorithm),
    rush_notice_row("resource.nonce", TEXT, 64, resource.nonce),
    rush_notice_row("resource.associated_data", TEXT, 1024,
                    resource.associated_data),
    rush_notice_row("resource.ciphertext", TEXT, RUSH_WXPAY_RESOURCE,
                    resource.ciphertext)
};


#define rush_trade_row(path, kind, max, member)                               \
    rush_wxpay_row(rush_wxpay_trade_t, path, kind, max, member)

static const rush_path_t  rush_wxpay_trade_rows[] = {
    rush_trade_row("appid", ID, 32, appid),
    rush_trade_row("mchid", ID, 32, mchid),
    rush_trade_row("out_trade_no", ID, 64, out_trade_no),
    rush_trade_row("transaction_id", ID, 64, transaction_id),
    rush_trade_row("trade_type", ID, 32, trade_type),
    rush_trade_row("trade_state", ID, 32, trade_state),
    rush_trade_row("bank_type", STR, 64, bank_type),
    rush_trade_row("attach", TEXT, 512, attach),
    rush_trade_row("success_time", TIME, 0, success_ms),
    rush_trade_row("payer.openid", ID, 128, openid),
    rush_trade_row("amount.total", INT, RUSH_WXPAY_MAX_FEN, total),
    rush_trade_row("amount.payer_total", INT, RUSH_WXPAY_MAX_FEN,
                   payer_total),
    rush_trade_row("amount.currency", ID, 16, currency)
};


#define rush_refund_row(path, kind, max, member)                              \
    rush_wxpay_row(rush_wxpay_refund_t, path, kind, max, member)

static const rush_path_t  rush_wxpay_refund_rows[] = {
    rush_refund_row("mchid", ID, 32, mchid),
    rush_refund_row("out_trade_no", ID, 64, out_trade_no),
    rush_refund_row("transaction_id", ID, 64, transaction_id),
    rush_refund_row("out_refund_no", ID, 64, out_refund_no),
    rush_refund_row("refund_id", ID, 64, refund_id),
    rush_refund_row("status", ID, 32, status),
    rush_refund_row("refund_status", ID, 32, status),
    rush_refund_row("channel", ID, 32, channel),
    rush_refund_row("user_received_account", TEXT, 256, account),
    rush_refund_row("success_time", TIME, 0, success_ms),
    rush_refund_row("amount.total", INT, RUSH_WXPAY_MAX_FEN, total),
    rush_refund_row("amount.refund", INT, RUSH_WXPAY_MAX_FEN, refund),
    rush_refund_row("amount.payer_refund", INT, RUSH_WXPAY_MAX_FEN,
                    payer_refund),
    rush_refund_row("amount.currency", ID, 16, currency)
};


#define rush_prepay_row(path, kind, max, member)                              \
    rush_wxpay_row(rush_wxpay_prepay_t, path, kind, max, member)

static const rush_path_t  rush_wxpay_prepay_rows[] = {
    rush_prepay_row("prepay_id", ID, 64, prepay_id),
    rush_prepay_row("code_url", STR, RUSH_WXPAY_URL, code_url),
    rush_prepay_row("h5_url", STR, RUSH_WXPAY_URL, h5_url)
};


#define rush_bill_row(path, kind, max, member)                                \
    rush_wxpay_row(rush_wxpay_bill_t, path, kind, max, member)

static const rush_path_t  rush_wxpay_bill_rows[] = {
    rush_bill_row("hash_type", ID, 32, hash_type),
    rush_bill_row("hash_value", ID, 128, hash_value),
    rush_bill_row("download_url", STR, 2048, download_url)
};


#define rush_error_row(path, kind, max, member)                               \
    rush_wxpay_row(rush_wxpay_error_t, path, kind, max, member)

static const rush_path_t  rush_wxpay_error_rows[] = {
    rush_error_row("code", ID, 64, code),
    rush_error_row("message", TEXT, 4096, message)
};


#define rush_cert_row(path, kind, max, member)                                \
    rush_wxpay_row(rush_wxpay_certificate_t, path, kind, max, member)

static const rush_path_t  rush_wxpay_cert_rows[] = {
    rush_cert_row("serial_no", ID, RUSH_WXPAY_SERIAL, serial),
    rush_cert_row("effective_time", TIME, 0, from),
    rush_cert_row("expire_time", TIME, 0, until),
    rush_cert_row("encrypt_certificate.algorithm", ID, 64,
                  resource.algorithm),
    rush_cert_row("encrypt_certificate.nonce", TEXT, 64, resource.nonce),
    rush_cert_row("encrypt_certificate.associated_data", TEXT, 1024,
                  resource.associated_data),
    rush_cert_row("encrypt_certificate.ciphertext", TEXT,
                  RUSH_WXPAY_RESOURCE, resource.ciphertext)
};


int
rush_wxpay_notice(rush_wxpay_notice_t *n, unsigned char *json, size_t len,
    const char **err)
{
    memset(n, 0, sizeof(rush_wxpay_notice_t));

    if (rush_paths(rush_wxpay_notice_rows,
                   rush_rows_of(rush_wxpay_notice_rows), n, json, len, err)
        != RUSH_OK)
    {
        return RUSH_ERROR;
    }

    if (n->id.len == 0 || n->event_type.len == 0
        || n->resource.algorithm.len == 0 || n->resource.ciphertext.len == 0)
    {
        *err = "id, event_type or resource is missing";
        return RUSH_ERROR;
    }

    return RUSH_OK;
}


int
rush_wxpay_is_event(const rush_wxpay_notice_t *n, const char *prefix,
    const char *type)
{
    size_t  len;

    len = strlen(prefix);

    return n->event_type.len > len
           && memcmp(n->event_type.data, prefix, len) == 0
           && n->original_type.len == strlen(type)
           && memcmp(n->original_type.data, type, strlen(type)) == 0;
}


int
rush_wxpay_trade(rush_wxpay_trade_t *t, unsigned char *json, size_t len,
    const char **err)
{
    memset(t, 0, sizeof(rush_wxpay_trade_t));
    t->total = -1;
    t->payer_total = -1;

    if (rush_paths(rush_wxpay_trade_rows, rush_rows_of(rush_wxpay_trade_rows),
                   t, json, len, err)
        != RUSH_OK)
    {
        return RUSH_ERROR;
    }

    if (t->out_trade_no.len == 0 || t->trade_state.len == 0) {
        *err = "out_trade_no or trade_state is missing";
        return RUSH_ERROR;
    }

    t->state = rush_wxpay_state(&t->trade_state);

    return RUSH_OK;
}


int
rush_wxpay_refund(rush_wxpay_refund_t *t, unsigned char *json, size_t len,
    const char **err)
{
    memset(t, 0, sizeof(rush_wxpay_refund_t));
    t->total = -1;
    t->refund = -1;
    t->payer_refund = -1;

    if (rush_paths(rush_wxpay_refund_rows,
                   rush_rows_of(rush_wxpay_refund_rows), t, json, len, err)
        != RUSH_OK)
    {
        return RUSH_ERROR;
    }

    if (t->out_refund_no.len == 0 || t->status.len == 0) {
        *err = "out_refund_no or status is missing";
        return RUSH_ERROR;
    }

    t->state = rush_wxpay_state(&t->status);

    return RUSH_OK;
}


static rush_wxpay_state_e
rush_wxpay_state(const rush_str_t *text)
{
    size_t  i;

    static const struct {
        const char          *name;
        rush_wxpay_state_e   state;
    } states[] = {
        { "SUCCESS", RUSH_WXPAY_SUCCESS },
        { "REFUND", RUSH_WXPAY_REFUND },
        { "NOTPAY", RUSH_WXPAY_NOTPAY },
        { "CLOSED", RUSH_WXPAY_CLOSED },
        { "REVOKED", RUSH_WXPAY_REVOKED },
        { "USERPAYING", RUSH_WXPAY_USERPAYING },
        { "PAYERROR", RUSH_WXPAY_PAYERROR },
        { "PROCESSING", RUSH_WXPAY_PROCESSING },
        { "ABNORMAL", RUSH_WXPAY_ABNORMAL }
    };

    for (i = 0; i < rush_rows_of(states); i++) {

        if (strlen(states[i].name) == text->len
            && memcmp(states[i].name, text->data, text->len) == 0)
        {
            return states[i].state;
        }
    }

    return RUSH_WXPAY_OTHER;
}


int
rush_wxpay_prepay(rush_wxpay_prepay_t *t, unsigned char *json, size_t len,
    const char **err)
{
    memset(t, 0, sizeof(rush_wxpay_prepay_t));

    if (rush_paths(rush_wxpay_prepay_rows,
                   rush_rows_of(rush_wxpay_prepay_rows), t, json, len, err)
        != RUSH_OK)
    {
        return RUSH_ERROR;
    }

    if (t->prepay_id.len == 0 && t->code_url.len == 0 && t->h5_url.len == 0) {
        *err = "prepay_id, code_url and h5_url are missing";
        return RUSH_ERROR;
    }

    return RUSH_OK;
}


int
rush_wxpay_bill(rush_wxpay_bill_t *t, unsigned char *json, size_t len,
    const char **err)
{
    memset(t, 0, sizeof(rush_wxpay_bill_t));

    if (rush_paths(rush_wxpay_bill_rows, rush_rows_of(rush_wxpay_bill_rows),
                   t, json, len, err)
        != RUSH_OK)
    {
        return RUSH_ERROR;
    }

    if (t->hash_type.len == 0 || t->hash_value.len == 0
        || t->download_url.len == 0)
    {
        *err = "hash_type, hash_value or download_url is missing";
        return RUSH_ERROR;
    }

    return RUSH_OK;
}


void
rush_wxpay_error(rush_wxpay_error_t *t, unsigned char *json, size_t len)
{
    size_t          i;
    const char     *err;
    unsigned char   c;

    memset(t, 0, sizeof(rush_wxpay_error_t));

    if (rush_paths(rush_wxpay_error_rows, rush_rows_of(rush_wxpay_error_rows),
                   t, json, len, &err)
        != RUSH_OK)
    {
        memset(t, 0, sizeof(rush_wxpay_error_t));
        return;
    }

    for (i = 0; i < t->code.len; i++) {
        c = t->code.data[i];

        if (!((c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_')) {
            t->code.len = 0;
        }
    }
}


int
rush_wxpay_certificates(rush_wxpay_certificate_t *rows, unsigned max,
    unsigned char *json, size_t len, const char **err)
{
    unsigned       n;
    rush_token_e   token;
    rush_reader_t  j;

    n = 0;
    rush_reader_init(&j, json, len);

    if (rush_wxpay_data(&j) != RUSH_OK) {
        *err = j.error ? j.error : "data is missing";
        return RUSH_ERROR;
    }

    j.many = 1;

    while ((token = rush_reader_next(&j)) == RUSH_J_OBJECT && n < max) {
        memset(&rows[n], 0, sizeof(rush_wxpay_certificate_t));

        if (rush_paths_object(rush_wxpay_cert_rows,
                              rush_rows_of(rush_wxpay_cert_rows), &rows[n],
                              &j, err)
            != RUSH_OK)
        {
            return RUSH_ERROR;
        }

        if (!rush_wxpay_is_serial(&rows[n].serial)
            || rows[n].resource.ciphertext.len == 0)
        {
            *err = "serial_no or encrypt_certificate is missing";
            return RUSH_ERROR;
        }

        n++;
    }

    if (token != RUSH_J_CLOSE || rush_reader_next(&j) != RUSH_J_CLOSE
        || rush_reader_next(&j) != RUSH_J_END)
    {
        *err = j.error ? j.error : "more certificates than there may be";
        return RUSH_ERROR;
    }

    return (int) n;
}


/* the head: {"data":[ */

static int
rush_wxpay_data(rush_reader_t *j)
{
    if (rush_reader_next(j) != RUSH_J_OBJECT) {
        return RUSH_ERROR;
    }

    if (rush_reader_next(j) != RUSH_J_KEY || j->text.len != 4
        || memcmp(j->text.data, "data", 4) != 0)
    {
        return RUSH_ERROR;
    }

    return rush_reader_next(j) == RUSH_J_ARRAY ? RUSH_OK : RUSH_ERROR;
}


rush_rsa_t *
rush_wxpay_certificate(const unsigned char *key,
    const rush_wxpay_certificate_t *row, rush_buf_t *pem, const char **err)
{
    long            n;
    rush_rsa_t     *cert;
    unsigned char  *text;

    text = malloc(row->resource.ciphertext.len / 4 * 3 + 1);
    if (text == NULL) {
        *err = "finds no memory";
        return NULL;
    }

    n = rush_wxpay_open(key, &row->resource, text);

    if (n < 0) {
        *err = "cannot be decrypted";
        free(text);
        return NULL;
    }

    cert = rush_rsa_public(text, (size_t) n, err);

    if (cert != NULL) {

        if (!rush_wxpay_is_of(cert, &row->serial)) {
            *err = "has another serial than serial_no";
            rush_rsa_free(cert);
            cert = NULL;

        } else {
            rush_buf_add(pem, text, (size_t) n);
        }
    }

    free(text);

    return cert;
}


int
rush_wxpay_is_of(const rush_rsa_t *key, const rush_str_t *serial)
{
    size_t                len;
    const char           *own;
    const unsigned char  *p;

    p = serial->data;
    len = serial->len;
    own = rush_rsa_info(key)->serial;

    while (len > 0 && *p == '0') {
        p++;
        len--;
    }

    while (*own == '0') {
        own++;
    }

    return len != 0 && strlen(own) == len && memcmp(own, p, len) == 0;
}
