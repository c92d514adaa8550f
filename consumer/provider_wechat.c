
/*
 * Copyright (C) Rush
 *
 * WeChat Pay, API v3.  What is asked is signed by the merchant's key, what is
 * answered is believed when a platform certificate or the public key proves it.
 * Bodies are made from the row and the configuration only, in one order: sent
 * again they are the same bytes.
 */


#include "bill_csv.h"
#include "provider_wechat.h"
#include "rush_alipay.h"


static int rush_wechat_is_on(const rush_conf_t *conf);
static int rush_wechat_is_ready(rush_teller_t *te);
static const char *rush_wechat_host(const rush_conf_t *conf, unsigned n);
static const char *rush_wechat_ca_file(const rush_conf_t *conf);
static int rush_wechat_ask(rush_teller_t *te, rush_job_t *job);
static int rush_wechat_bill(rush_job_t *job, rush_bill_row_t **rows,
    size_t *n, const char **err);

static int rush_wechat_prepay(const rush_conf_t *conf, rush_job_t *job);
static void rush_wechat_refund(const rush_conf_t *conf, rush_job_t *job);
static void rush_wechat_expire(rush_buf_t *b, int64_t ms);
static int rush_wechat_sign(rush_teller_t *te, rush_job_t *job);


const rush_provider_t  rush_provider_wechat = {
    RUSH_PROVIDER_WECHAT,
    RUSH_NOTICE_WECHAT,
    rush_wechat_is_on,
    rush_wechat_is_ready,
    rush_wechat_host,
    rush_wechat_ca_file,
    rush_wechat_ask,
    rush_wechat_judge,
    rush_wechat_bill
};


static int
rush_wechat_is_on(const rush_conf_t *conf)
{
    return conf->wechat_pay.appid[0] != '\0';
}


/* nothing could be believed without a key */

static int
rush_wechat_is_ready(rush_teller_t *te)
{
    return te->ring.n > 0;
}


static const char *
rush_wechat_host(const rush_conf_t *conf, unsigned n)
{
    return n == 0 ? conf->wechat_pay.base_url : conf->wechat_pay.base_url2;
}


static const char *
rush_wechat_ca_file(const rush_conf_t *conf)
{
    return conf->wechat_pay.ca_file;
}


static int
rush_wechat_ask(rush_teller_t *te, rush_job_t *job)
{
    int                            rc;
    rush_buf_t                    *b;
    long long                      id;
    const rush_wechat_pay_conf_t  *w;

    w = &te->daemon->conf.wechat_pay;
    b = &job->http.target;
    id = (long long) job->row.id;

    job->http.method = "GET";

    switch (job->op) {

    case RUSH_OP_PREPAY:
        rc = rush_wechat_prepay(&te->daemon->conf, job);

        if (rc != RUSH_OK) {
            return rc;
        }

        break;

    case RUSH_OP_QUERY:
        rush_buf_printf(b, "/v3/pay/transactions/out-trade-no/%lld?mchid=%s",
                        id, w->mchid);
        break;

    case RUSH_OP_CLOSE:
        job->http.method = "POST";
        rush_buf_printf(b, "/v3/pay/transactions/out-trade-no/%lld/close",
                        id);
        rush_json_open(&job->http.body, NULL, '{');
        rush_json_text(&job->http.body, "mchid", w->mchid);
        rush_json_close(&job->http.body, '}');
        break;

    case RUSH_OP_REFUND:
        rush_wechat_refund(&te->daemon->conf, job);
        break;

    case RUSH_OP_REFUND_QUERY:
        rush_buf_printf(b, "/v3/refund/domestic/refunds/"
                        RUSH_REFUND_PREFIX "%lld", id);
        break;

    case RUSH_OP_KEYS:
        rush_buf_puts(b, "/v3/certificates");
        break;

    case RUSH_OP_BILL:
        rush_buf_printf(b, "/v3/bill/tradebill?bill_date=%04lld-%02lld-%02lld"
                        "&bill_type=ALL", (long long) job->row.day / 10000,
                        (long long) job->row.day / 100 % 100,
                        (long long) job->row.day % 100);
        break;

    default:                            /* RUSH_OP_BILL_FILE */
        job->http.most = RUSH_CALL_BILL;
        rush_buf_add(b, job->url.data, job->url.len);
    }

    return rush_wechat_sign(te, job);
}


static int
rush_wechat_prepay(const rush_conf_t *conf, rush_job_t *job)
{
    rush_buf_t               *b;
    const char               *path;
    const rush_teller_row_t  *row;

    b = &job->http.body;
    row = &job->row;

    path = row->channel == RUSH_CHANNEL_WECHAT_NATIVE ? "native"
           : row->channel == RUSH_CHANNEL_WECHAT_JSAPI ? "jsapi"
           : row->channel == RUSH_CHANNEL_WECHAT_H5 ? "h5" : NULL;

    if (path == NULL
        || (row->channel == RUSH_CHANNEL_WECHAT_JSAPI
            && row->payer[0] == '\0'))
    {
        rush_said(job, RUSH_SAID_REFUSED, path == NULL ? "no such channel"
                  : "nobody knows the payer's openid");
        return RUSH_PROVIDER_DONE;
    }

    job->http.method = "POST";
    rush_buf_printf(&job->http.target, "/v3/pay/transactions/%s", path);

    rush_json_open(b, NULL, '{');
    rush_json_text(b, "appid", conf->wechat_pay.appid);
    rush_json_text(b, "mchid", conf->wechat_pay.mchid);
    rush_json_text(b, "description", row->subject[0] ? row->subject
                                                     : row->order_no);
    rush_json_id(b, "out_trade_no", row->id);
    rush_wechat_expire(b, row->deadline_ms);
    rush_json_text(b, "notify_url", conf->wechat_pay.notify_url);
    rush_json_open(b, "amount", '{');
    rush_json_int(b, "total", row->amount);
    rush_json_text(b, "currency", "CNY");
    rush_json_close(b, '}');

    if (row->channel == RUSH_CHANNEL_WECHAT_JSAPI) {
        rush_json_open(b, "payer", '{');
        rush_json_text(b, "openid", row->payer);
        rush_json_close(b, '}');

    } else if (row->channel == RUSH_CHANNEL_WECHAT_H5) {
        rush_json_open(b, "scene_info", '{');
        rush_json_text(b, "payer_client_ip", row->client_ip[0]
                                             ? row->client_ip : "127.0.0.1");
        rush_json_open(b, "h5_info", '{');
        rush_json_text(b, "type", "Wap");
        rush_json_close(b, '}');
        rush_json_close(b, '}');
    }

    rush_json_close(b, '}');

    return RUSH_OK;
}


static void
rush_wechat_refund(const rush_conf_t *conf, rush_job_t *job)
{
    char         number[RUSH_PAY_NUMBER];
    rush_buf_t  *b;

    b = &job->http.body;
    job->http.method = "POST";
    rush_buf_puts(&job->http.target, "/v3/refund/domestic/refunds");

    snprintf(number, sizeof(number), RUSH_REFUND_PREFIX "%lld",
             (long long) job->row.id);

    rush_json_open(b, NULL, '{');
    rush_json_id(b, "out_trade_no", job->row.payment);
    rush_json_text(b, "out_refund_no", number);

    if (job->row.subject[0] != '\0') {
        rush_json_text(b, "reason", job->row.subject);
    }

    rush_json_text(b, "notify_url", conf->wechat_pay.refund_notify_url);
    rush_json_open(b, "amount", '{');
    rush_json_int(b, "refund", job->row.amount);
    rush_json_int(b, "total", job->row.total);
    rush_json_text(b, "currency", "CNY");
    rush_json_close(b, '}');
    rush_json_close(b, '}');
}


/* "2025-01-01T08:00:00+08:00" */

static void
rush_wechat_expire(rush_buf_t *b, int64_t ms)
{
    char  text[RUSH_ALIPAY_TIME + sizeof("+08:00")];

    (void) rush_alipay_format_time((unsigned char *) text, ms);
    text[10] = 'T';
    memcpy(text + RUSH_ALIPAY_TIME, "+08:00", sizeof("+08:00"));

    rush_json_text(b, "time_expire", text);
}


static int
rush_wechat_sign(rush_teller_t *te, rush_job_t *job)
{
    int                            rc;
    rush_buf_t                     b;
    rush_call_http_t              *h;
    rush_wxpay_request_t           rq;
    rush_wxpay_merchant_t          m;
    const rush_wechat_pay_conf_t  *w;

    h = &job->http;
    w = &te->daemon->conf.wechat_pay;
    memset(&b, 0, sizeof(rush_buf_t));
    memset(&rq, 0, sizeof(rush_wxpay_request_t));

    if (h->target.failed || h->body.failed) {
        return RUSH_ERROR;
    }

    m.mchid = rush_text_str(w->mchid);
    m.serial = rush_text_str(w->serial);
    m.key = w->key;

    rq.method = rush_text_str(h->method);
    rq.target = rush_buf_str(&h->target);
    rq.body = rush_buf_str(&h->body);
    rq.now = rush_now();

    rc = rush_wxpay_authorize(&m, &rq, &b);
    rush_buf_add(&b, "", 1);

    if (rc == RUSH_OK && !b.failed) {
        rc = rush_curl_header(&h->list, "Authorization", (char *) b.data);
    }

    rush_buf_free(&b);

    if (rc == RUSH_OK) {
        rc = rush_curl_header(&h->list, "Accept", "application/json");
    }

    if (rc == RUSH_OK && h->body.len > 0) {
        rc = rush_curl_header(&h->list, "Content-Type", "application/json");
    }

    if (rc == RUSH_OK && w->public_key_id[0] != '\0') {
        rc = rush_curl_header(&h->list, "Wechatpay-Serial",
                              w->public_key_id);
    }

    return rc;
}


static int
rush_wechat_bill(rush_job_t *job, rush_bill_row_t **rows, size_t *n,
    const char **err)
{
    return rush_bill_wechat(&job->said.out, rows, n, err);
}
