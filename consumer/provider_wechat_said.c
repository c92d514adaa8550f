
/*
 * Copyright (C) Rush
 *
 * What WeChat Pay has answered.  Bytes are verified first and read then; what
 * is not proven may only lead to another question.
 */


#include <openssl/evp.h>

#include "bill_csv.h"
#include "provider_wechat.h"


typedef struct {                        /* what an error code means */
    const char      *code;
    unsigned         ops;               /* bits of operations, 0: all */
    rush_said_e      said;
    unsigned         alarm;
} rush_wechat_code_t;


static rush_doubt_e rush_wechat_verify(rush_teller_t *te, rush_job_t *job);
static void rush_wechat_error(rush_job_t *job, unsigned char *json,
    size_t len);
static void rush_wechat_answer(rush_teller_t *te, rush_job_t *job,
    unsigned char *json, size_t len);
static void rush_wechat_params(rush_teller_t *te, rush_job_t *job,
    unsigned char *json, size_t len);
static void rush_wechat_traded(rush_job_t *job, unsigned char *json,
    size_t len);
static void rush_wechat_refunded(rush_job_t *job, unsigned char *json,
    size_t len);
static void rush_wechat_billed(rush_job_t *job, unsigned char *json,
    size_t len);
static void rush_wechat_file(rush_job_t *job);
static void rush_wechat_sense(rush_job_t *job, const char *why);
static int rush_wechat_is_ours(const rush_str_t *no, const char *prefix,
    int64_t id);


#define RUSH_OPS(op)  (1u << RUSH_OP_##op)

/* the first that fits; what is not here is refused */

static const rush_wechat_code_t  rush_wechat_codes[] = {
    { "SYSTEM_ERROR", 0, RUSH_SAID_UNKNOWN, 0 },
    { "BANK_ERROR", 0, RUSH_SAID_UNKNOWN, 0 },
    { "FREQUENCY_LIMITED", 0, RUSH_SAID_LATER, 0 },
    { "ORDER_NOT_EXIST", RUSH_OPS(QUERY)|RUSH_OPS(CLOSE), RUSH_SAID_ABSENT,
      0 },
    { "RESOURCE_NOT_EXISTS",
      RUSH_OPS(QUERY)|RUSH_OPS(CLOSE)|RUSH_OPS(REFUND_QUERY),
      RUSH_SAID_ABSENT, 0 },
    { "ORDER_PAID", RUSH_OPS(PREPAY)|RUSH_OPS(CLOSE), RUSH_SAID_ASK, 0 },
    { "OUT_TRADE_NO_USED", RUSH_OPS(PREPAY), RUSH_SAID_ASK, 0 },
    { "TRADE_ERROR", RUSH_OPS(CLOSE), RUSH_SAID_ASK, 0 },
    { "ORDER_CLOSED", RUSH_OPS(CLOSE), RUSH_SAID_CLOSED, 0 },
    { "USER_PAYING", 0, RUSH_SAID_PAYING, 0 },
    { "USERPAYING", 0, RUSH_SAID_PAYING, 0 },
    { "NO_STATEMENT_EXIST", RUSH_OPS(BILL), RUSH_SAID_ABSENT, 0 },
    { "STATEMENT_CREATING", RUSH_OPS(BILL), RUSH_SAID_LATER, 0 },
    { "SIGN_ERROR", RUSH_OPS(PREPAY), RUSH_SAID_REFUSED, 1 },
    { "SIGN_ERROR", 0, RUSH_SAID_LATER, 1 },
    { "NO_AUTH", 0, RUSH_SAID_REFUSED, 1 },
    { "ACCOUNT_ERROR", 0, RUSH_SAID_REFUSED, 1 },
    { "APPID_MCHID_NOT_MATCH", 0, RUSH_SAID_REFUSED, 1 },
    { "MCH_NOT_EXISTS", 0, RUSH_SAID_REFUSED, 1 },
    { "PARAM_ERROR", 0, RUSH_SAID_REFUSED, 1 },
    { "INVALID_REQUEST", 0, RUSH_SAID_REFUSED, 1 },
    { "NOT_ENOUGH", 0, RUSH_SAID_REFUSED, 1 }
};

#define RUSH_WECHAT_CODES                                                     \
    (sizeof(rush_wechat_codes) / sizeof(rush_wechat_code_t))


void
rush_wechat_judge(rush_teller_t *te, rush_job_t *job)
{
    rush_buf_t         copy;
    rush_doubt_e       doubt;
    rush_call_http_t  *h;

    h = &job->http;
    memset(&copy, 0, sizeof(rush_buf_t));

    if (job->op == RUSH_OP_BILL_FILE && h->status == 200) {
        rush_wechat_file(job);
        return;
    }

    if (job->op == RUSH_OP_KEYS && h->status == 200) {
        rush_keys_judge(te, job);
        return;
    }

    doubt = rush_wechat_verify(te, job);

    if (doubt == RUSH_DOUBT_SERIAL) {
        rush_keys_soon(te);
    }

    if (h->status < 300 && doubt != RUSH_TRUSTED) {
        rush_said_doubt(job, doubt);

        if (doubt == RUSH_DOUBT_SERIAL) {
            job->said.what = RUSH_SAID_UNKNOWN;     /* a certificate comes */
        }

        return;
    }

    /* readers decode in place, and what is stored is what was signed */

    rush_buf_add(&copy, h->answer.data, h->answer.len);

    if (copy.failed) {
        rush_said(job, RUSH_SAID_UNKNOWN, "no memory");

    } else if (h->status >= 300) {
        rush_wechat_error(job, copy.data, copy.len);
        job->said.doubt = (doubt != RUSH_TRUSTED);

        /* what ends a payment is asked once more */

        if (job->said.doubt && job->said.what == RUSH_SAID_CLOSED) {
            job->said.what = RUSH_SAID_ASK;
        }

    } else {
        rush_wechat_answer(te, job, copy.data, copy.len);
    }

    rush_buf_wipe(&copy);
}


static rush_doubt_e
rush_wechat_verify(rush_teller_t *te, rush_job_t *job)
{
    rush_str_t         body;
    rush_wxpay_seal_t  seal;

    seal.timestamp = rush_text_str(job->http.timestamp);
    seal.nonce = rush_text_str(job->http.nonce);
    seal.serial = rush_text_str(job->http.serial);
    seal.signature = rush_text_str(job->http.signature);
    body = rush_buf_str(&job->http.answer);

    return rush_wxpay_verify(&te->ring, &seal, &body, rush_now());
}


/* by status and code; a message is for people */

static void
rush_wechat_error(rush_job_t *job, unsigned char *json, size_t len)
{
    size_t                     i;
    rush_wxpay_error_t         e;
    const rush_wechat_code_t  *c;

    rush_wxpay_error(&e, json, len);

    for (i = 0; i < RUSH_WECHAT_CODES; i++) {
        c = &rush_wechat_codes[i];

        if (e.code.len == strlen(c->code)
            && memcmp(e.code.data, c->code, e.code.len) == 0
            && (c->ops == 0 || (c->ops & (1u << job->op)) != 0))
        {
            rush_said(job, c->said, "%s", c->code);
            job->said.alarm = c->alarm;
            return;
        }
    }

    /* a page of something between us and WeChat */

    if (e.code.len == 0) {
        rush_said(job, RUSH_SAID_UNKNOWN, "HTTP %ld without a code",
                  job->http.status);
        return;
    }

    rush_said(job, RUSH_SAID_REFUSED, "%.*s", (int) e.code.len, e.code.data);
}


static void
rush_wechat_answer(rush_teller_t *te, rush_job_t *job, unsigned char *json,
    size_t len)
{
    switch (job->op) {

    case RUSH_OP_PREPAY:
        rush_wechat_params(te, job, json, len);
        break;

    case RUSH_OP_QUERY:
        rush_wechat_traded(job, json, len);
        break;

    case RUSH_OP_CLOSE:
        rush_said(job, RUSH_SAID_CLOSED, NULL);
        break;

    case RUSH_OP_REFUND:
    case RUSH_OP_REFUND_QUERY:
        rush_wechat_refunded(job, json, len);
        break;

    default:
        rush_wechat_billed(job, json, len);
    }
}


/* what the client needs to open the payment */

static void
rush_wechat_params(rush_teller_t *te, rush_job_t *job, unsigned char *json,
    size_t len)
{
    int                            rc;
    rush_buf_t                    *b;
    const char                    *why, *name;
    const rush_str_t              *value;
    rush_wxpay_client_t            c;
    rush_wxpay_prepay_t            t;
    const rush_wechat_pay_conf_t  *w;

    b = &job->said.out;
    w = &te->daemon->conf.wechat_pay;

    if (rush_wxpay_prepay(&t, json, len, &why) != RUSH_OK) {
        rush_wechat_sense(job, why);
        return;
    }

    value = job->row.channel == RUSH_CHANNEL_WECHAT_NATIVE ? &t.code_url
            : job->row.channel == RUSH_CHANNEL_WECHAT_H5 ? &t.h5_url
            : &t.prepay_id;
    name = job->row.channel == RUSH_CHANNEL_WECHAT_NATIVE ? "code_url"
           : "h5_url";

    if (value->len == 0) {
        rush_wechat_sense(job, "of another product");
        return;
    }

    rush_json_open(b, NULL, '{');
    rc = RUSH_OK;

    if (job->row.channel == RUSH_CHANNEL_WECHAT_JSAPI) {
        memset(&c, 0, sizeof(rush_wxpay_client_t));
        c.appid = rush_text_str(w->appid);
        c.prepay_id = t.prepay_id;
        c.now = rush_now();

        rc = rush_wxpay_jsapi(w->key, &c, b);

    } else {
        rush_json_str(b, name, value);
    }

    rush_json_close(b, '}');

    rush_said(job, (rc == RUSH_OK && !b->failed) ? RUSH_SAID_OPEN
                                                 : RUSH_SAID_UNKNOWN, NULL);
}


static void
rush_wechat_traded(rush_job_t *job, unsigned char *json, size_t len)
{
    const char          *why;
    rush_said_e          said;
    rush_wxpay_trade_t   t;

    if (rush_wxpay_trade(&t, json, len, &why) != RUSH_OK) {
        rush_wechat_sense(job, why);
        return;
    }

    if (!rush_wechat_is_ours(&t.out_trade_no, "", job->row.id)) {
        rush_said(job, RUSH_SAID_FORGED, "the answer is of another trade");
        return;
    }

    switch (t.state) {

    case RUSH_WXPAY_SUCCESS:
    case RUSH_WXPAY_REFUND:
        said = RUSH_SAID_PAID;
        break;

    case RUSH_WXPAY_NOTPAY:
    case RUSH_WXPAY_PAYERROR:
        said = RUSH_SAID_OPEN;
        break;

    case RUSH_WXPAY_CLOSED:
    case RUSH_WXPAY_REVOKED:
        said = RUSH_SAID_CLOSED;
        break;

    default:                            /* what is not known is not final */
        said = RUSH_SAID_PAYING;
    }

    rush_buf_add(&job->said.out, job->http.answer.data, job->http.answer.len);
    rush_said(job, said, NULL);
}


static void
rush_wechat_refunded(rush_job_t *job, unsigned char *json, size_t len)
{
    const char           *why;
    rush_wxpay_refund_t   t;

    if (rush_wxpay_refund(&t, json, len, &why) != RUSH_OK) {
        rush_wechat_sense(job, why);
        return;
    }

    if (!rush_wechat_is_ours(&t.out_refund_no, RUSH_REFUND_PREFIX,
                             job->row.id))
    {
        rush_said(job, RUSH_SAID_FORGED, "the answer is of another refund");
        return;
    }

    rush_said(job, RUSH_SAID_PROCESSING, NULL);

    if (t.state == RUSH_WXPAY_SUCCESS) {
        rush_said(job, RUSH_SAID_DONE, NULL);

    } else if (t.state == RUSH_WXPAY_CLOSED
               || t.state == RUSH_WXPAY_ABNORMAL)
    {
        rush_said(job, RUSH_SAID_FAILED, "%.*s", (int) t.status.len,
                  t.status.data);

    } else if (t.state != RUSH_WXPAY_PROCESSING) {
        return;
    }

    rush_buf_add(&job->said.out, job->http.answer.data, job->http.answer.len);
}


/* the host of the address is not believed: it is ours */

static void
rush_wechat_billed(rush_job_t *job, unsigned char *json, size_t len)
{
    const char          *why;
    unsigned char       *p, *last;
    rush_wxpay_bill_t    t;

    if (rush_wxpay_bill(&t, json, len, &why) != RUSH_OK) {
        rush_wechat_sense(job, why);
        return;
    }

    p = t.download_url.data;
    last = p + t.download_url.len;

    while (last - p > 3 && memcmp(p, "://", 3) != 0) {
        p++;
    }

    for (p += 3; p < last && *p != '/'; p++) { /* void */ }

    if (p >= last || t.hash_value.len != 2 * RUSH_BILL_SHA1) {
        rush_wechat_sense(job, "no address or no digest");
        return;
    }

    rush_buf_reset(&job->url);
    rush_buf_add(&job->url, p, (size_t) (last - p));
    rush_work_text(job->hash, sizeof(job->hash), &t.hash_value);

    rush_said(job, job->url.failed ? RUSH_SAID_UNKNOWN : RUSH_SAID_HAVE, NULL);
}


/* a file is not signed, but the digest was */

static void
rush_wechat_file(rush_job_t *job)
{
    char           text[2 * RUSH_BILL_SHA1 + 1];
    unsigned       i, n;
    unsigned char  md[EVP_MAX_MD_SIZE];

    if (EVP_Digest(job->http.answer.data, job->http.answer.len, md, &n,
                   EVP_sha1(), NULL)
        != 1 || n != RUSH_BILL_SHA1)
    {
        rush_said(job, RUSH_SAID_UNKNOWN, "sha1 is not available");
        return;
    }

    for (i = 0; i < n; i++) {
        snprintf(text + 2 * i, 3, "%02x", md[i]);
    }

    if (strcmp(text, job->hash) != 0) {
        rush_said(job, RUSH_SAID_FORGED, "the bill has another digest");
        return;
    }

    rush_buf_add(&job->said.out, job->http.answer.data, job->http.answer.len);
    rush_said(job, job->said.out.failed ? RUSH_SAID_UNKNOWN : RUSH_SAID_HAVE,
              NULL);
}


static void
rush_wechat_sense(rush_job_t *job, const char *why)
{
    rush_said(job, RUSH_SAID_UNKNOWN, "the answer makes no sense: %s", why);
    job->said.alarm = 1;
}


static int
rush_wechat_is_ours(const rush_str_t *no, const char *prefix, int64_t id)
{
    int   n;
    char  text[RUSH_PAY_NUMBER];

    n = snprintf(text, sizeof(text), "%s%lld", prefix, (long long) id);

    return no->len == (size_t) n && memcmp(no->data, text, no->len) == 0;
}
