
/*
 * Copyright (C) Rush
 *
 * Alipay, gateway.do with RSA2.  A request is a signed form, an answer is
 * believed when the exact text of its inner object is signed.  Pages for a
 * browser need no call: the address is the request.
 */


#include "bill_csv.h"
#include "provider_alipay.h"


#define RUSH_ALIPAY_PAIRS    16

#define RUSH_ALIPAY_BILL_API  "alipay.data.dataservice.bill.downloadurl.query"


static int rush_alipay_is_on(const rush_conf_t *conf);
static int rush_alipay_is_ready(rush_teller_t *te);
static const char *rush_alipay_host(const rush_conf_t *conf, unsigned n);
static const char *rush_alipay_ca_file(const rush_conf_t *conf);
static int rush_alipay_ask(rush_teller_t *te, rush_job_t *job);
static int rush_alipay_bill_rows(rush_job_t *job, rush_bill_row_t **rows,
    size_t *n, const char **err);

static void rush_alipay_content(rush_job_t *job, rush_buf_t *b);
static int rush_alipay_form(rush_teller_t *te, const rush_job_t *job,
    const rush_buf_t *content, rush_buf_t *form);
static int rush_alipay_page(rush_teller_t *te, rush_job_t *job,
    const rush_buf_t *form);


const rush_provider_t  rush_provider_alipay = {
    RUSH_PROVIDER_ALIPAY,
    RUSH_NOTICE_ALIPAY,
    rush_alipay_is_on,
    rush_alipay_is_ready,
    rush_alipay_host,
    rush_alipay_ca_file,
    rush_alipay_ask,
    rush_alipay_judge,
    rush_alipay_bill_rows
};


static int
rush_alipay_is_on(const rush_conf_t *conf)
{
    return conf->alipay.app_id[0] != '\0';
}


static int
rush_alipay_is_ready(rush_teller_t *te)
{
    return 1;
}


/* there is one only */

static const char *
rush_alipay_host(const rush_conf_t *conf, unsigned n)
{
    return n == 0 ? conf->alipay.gateway : "";
}


static const char *
rush_alipay_ca_file(const rush_conf_t *conf)
{
    return conf->alipay.ca_file;
}


static int
rush_alipay_ask(rush_teller_t *te, rush_job_t *job)
{
    int         rc;
    rush_buf_t  content, form;

    if (job->op == RUSH_OP_BILL_FILE) {
        job->http.method = "GET";
        job->http.whole = 1;
        job->http.most = RUSH_CALL_BILL;
        rush_buf_add(&job->http.target, job->url.data, job->url.len);
        return job->http.target.failed ? RUSH_ERROR : RUSH_OK;
    }

    if (rush_alipay_method(job) == NULL) {
        rush_said(job, RUSH_SAID_REFUSED, "no such channel");
        return RUSH_PROVIDER_DONE;
    }

    memset(&content, 0, sizeof(rush_buf_t));
    memset(&form, 0, sizeof(rush_buf_t));

    rush_alipay_content(job, &content);

    rc = rush_alipay_form(te, job, &content, &form);

    if (rc == RUSH_OK && job->op == RUSH_OP_PREPAY
        && job->row.channel != RUSH_CHANNEL_ALIPAY_PRECREATE)
    {
        rc = rush_alipay_page(te, job, &form);

    } else if (rc == RUSH_OK) {
        job->http.method = "POST";
        job->http.body = form;
        memset(&form, 0, sizeof(rush_buf_t));

        rc = rush_curl_header(&job->http.list, "Content-Type",
                              "application/x-www-form-urlencoded;"
                              "charset=utf-8");
    }

    rush_buf_free(&content);
    rush_buf_free(&form);

    return rc;
}


const char *
rush_alipay_method(const rush_job_t *job)
{
    switch (job->op) {

    case RUSH_OP_PREPAY:

        switch (job->row.channel) {

        case RUSH_CHANNEL_ALIPAY_PAGE:
            return "alipay.trade.page.pay";

        case RUSH_CHANNEL_ALIPAY_WAP:
            return "alipay.trade.wap.pay";

        case RUSH_CHANNEL_ALIPAY_PRECREATE:
            return "alipay.trade.precreate";

        default:
            return NULL;
        }

    case RUSH_OP_QUERY:
        return "alipay.trade.query";

    case RUSH_OP_CLOSE:
        return "alipay.trade.close";

    case RUSH_OP_REFUND:
        return "alipay.trade.refund";

    case RUSH_OP_REFUND_QUERY:
        return "alipay.trade.fastpay.refund.query";

    case RUSH_OP_BILL:
        return RUSH_ALIPAY_BILL_API;

    default:
        return NULL;
    }
}


static void
rush_alipay_content(rush_job_t *job, rush_buf_t *b)
{
    char                      text[40];
    const rush_teller_row_t  *row;

    row = &job->row;

    rush_json_open(b, NULL, '{');

    if (job->op == RUSH_OP_BILL) {
        snprintf(text, sizeof(text), "%04lld-%02lld-%02lld",
                 (long long) row->day / 10000,
                 (long long) row->day / 100 % 100, (long long) row->day % 100);

        rush_json_text(b, "bill_type", "trade");
        rush_json_text(b, "bill_date", text);
        rush_json_close(b, '}');
        return;
    }

    rush_json_id(b, "out_trade_no", row->payment);

    if (job->op == RUSH_OP_REFUND || job->op == RUSH_OP_REFUND_QUERY) {
        snprintf(text, sizeof(text), RUSH_REFUND_PREFIX "%lld",
                 (long long) row->id);
        rush_json_text(b, "out_request_no", text);
    }

    if (job->op == RUSH_OP_REFUND) {
        rush_alipay_put_yuan(b, "refund_amount", row->amount);

        if (row->subject[0] != '\0') {
            rush_json_text(b, "refund_reason", row->subject);
        }
    }

    if (job->op == RUSH_OP_PREPAY) {
        rush_alipay_put_yuan(b, "total_amount", row->amount);
        rush_json_text(b, "subject", row->subject[0] ? row->subject
                                                     : row->order_no);
        rush_alipay_put_time(b, "time_expire", row->deadline_ms);
        rush_json_text(b, "product_code",
                       row->channel == RUSH_CHANNEL_ALIPAY_PAGE
                       ? "FAST_INSTANT_TRADE_PAY"
                       : row->channel == RUSH_CHANNEL_ALIPAY_WAP
                       ? "QUICK_WAP_WAY" : "QR_CODE_OFFLINE");
    }

    rush_json_close(b, '}');
}


/* common parameters, and the signature over all */

static int
rush_alipay_form(rush_teller_t *te, const rush_job_t *job,
    const rush_buf_t *content, rush_buf_t *form)
{
    size_t                      n;
    rush_str_t                  stamp;
    rush_pair_t                 f[RUSH_ALIPAY_PAIRS];
    unsigned char               now[RUSH_ALIPAY_TIME];
    const rush_alipay_conf_t   *a;

    a = &te->daemon->conf.alipay;
    n = 0;

    if (content->failed) {
        return RUSH_ERROR;
    }

    stamp.data = now;
    stamp.len = rush_alipay_format_time(now, rush_now());

#define rush_alipay_pair(key, text)                                           \
    f[n].name = (rush_str_t) rush_string(key);                                \
    f[n++].value = text

    rush_alipay_pair("app_id", rush_text_str(a->app_id));
    rush_alipay_pair("method", rush_text_str(rush_alipay_method(job)));
    rush_alipay_pair("format", ((rush_str_t) rush_string("JSON")));
    rush_alipay_pair("charset", ((rush_str_t) rush_string("utf-8")));
    rush_alipay_pair("sign_type", ((rush_str_t) rush_string("RSA2")));
    rush_alipay_pair("timestamp", stamp);
    rush_alipay_pair("version", ((rush_str_t) rush_string("1.0")));
    rush_alipay_pair("biz_content", rush_buf_str(content));
    rush_alipay_pair("app_cert_sn", rush_buf_str(&a->app_sn));
    rush_alipay_pair("alipay_root_cert_sn", rush_buf_str(&a->root_sn));

    if (job->op == RUSH_OP_PREPAY) {
        rush_alipay_pair("notify_url", rush_text_str(a->notify_url));

        if (job->row.channel != RUSH_CHANNEL_ALIPAY_PRECREATE) {
            rush_alipay_pair("return_url", rush_text_str(a->return_url));
        }
    }

#undef rush_alipay_pair

    if (rush_alipay_sign(a->key, f, n, form) != RUSH_OK || form->failed) {
        return RUSH_ERROR;
    }

    return RUSH_OK;
}


/* the browser makes the call */

static int
rush_alipay_page(rush_teller_t *te, rush_job_t *job, const rush_buf_t *form)
{
    rush_buf_t  url, *b;
    rush_str_t  text;

    memset(&url, 0, sizeof(rush_buf_t));
    b = &job->said.out;

    rush_buf_puts(&url, te->daemon->conf.alipay.gateway);
    rush_buf_puts(&url, "?");
    rush_buf_add(&url, form->data, form->len);
    text = rush_buf_str(&url);

    rush_json_open(b, NULL, '{');
    rush_json_str(b, "pay_url", &text);
    rush_json_close(b, '}');

    b->failed |= url.failed;
    rush_buf_free(&url);

    if (b->failed) {
        return RUSH_ERROR;
    }

    rush_said(job, RUSH_SAID_OPEN, NULL);

    return RUSH_PROVIDER_DONE;
}


static int
rush_alipay_bill_rows(rush_job_t *job, rush_bill_row_t **rows, size_t *n,
    const char **err)
{
    return rush_bill_alipay(&job->said.out, rows, n, err);
}


void
rush_alipay_put_yuan(rush_buf_t *b, const char *name, int64_t fen)
{
    rush_str_t     s;
    unsigned char  text[RUSH_ALIPAY_YUAN];

    s.data = text;
    s.len = rush_fen_to_yuan(text, fen);

    if (s.len > 0) {
        rush_json_str(b, name, &s);
    }
}


void
rush_alipay_put_time(rush_buf_t *b, const char *name, int64_t ms)
{
    rush_str_t     s;
    unsigned char  text[RUSH_ALIPAY_TIME];

    if (ms > 0) {
        s.data = text;
        s.len = rush_alipay_format_time(text, ms);
        rush_json_str(b, name, &s);
    }
}
