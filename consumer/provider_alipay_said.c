
/*
 * Copyright (C) Rush
 *
 * What Alipay has answered.  Only what its key has signed is a fact; what the
 * gateway itself refuses comes without a signature.
 */


#include "provider_alipay.h"


#define RUSH_ALIPAY_URL  2048           /* bytes of an address */


typedef struct {                        /* what a sub_code means */
    const char      *code;
    unsigned         ops;               /* bits of operations, 0: all */
    rush_said_e      said;
    unsigned         alarm;
} rush_alipay_code_t;


static void rush_alipay_file(rush_job_t *job);
static void rush_alipay_read(rush_teller_t *te, rush_job_t *job,
    rush_alipay_slice_t *s);
static void rush_alipay_refused(rush_job_t *job,
    const rush_alipay_answer_t *a);
static void rush_alipay_fine(rush_teller_t *te, rush_job_t *job,
    const rush_alipay_answer_t *a);
static void rush_alipay_traded(rush_teller_t *te, rush_job_t *job,
    const rush_alipay_answer_t *a);
static void rush_alipay_refunded(rush_teller_t *te, rush_job_t *job,
    const rush_alipay_answer_t *a);
static void rush_alipay_billed(rush_teller_t *te, rush_job_t *job,
    const rush_alipay_answer_t *a);
static int rush_alipay_is(const rush_str_t *s, const char *text);


#define RUSH_OPS(op)  (1u << RUSH_OP_##op)

/* the first that fits; what is not here is refused */

static const rush_alipay_code_t  rush_alipay_codes[] = {
    { "ACQ.SYSTEM_ERROR", 0, RUSH_SAID_UNKNOWN, 0 },
    { "AQC.SYSTEM_ERROR", 0, RUSH_SAID_UNKNOWN, 0 },
    { "isp.unknow-error", 0, RUSH_SAID_UNKNOWN, 0 },
    { "aop.unknow-error", 0, RUSH_SAID_UNKNOWN, 0 },
    { "ACQ.TRADE_NOT_EXIST",
      RUSH_OPS(QUERY)|RUSH_OPS(CLOSE)|RUSH_OPS(REFUND_QUERY),
      RUSH_SAID_ABSENT, 0 },
    { "ACQ.TRADE_HAS_SUCCESS", RUSH_OPS(PREPAY)|RUSH_OPS(CLOSE),
      RUSH_SAID_ASK, 0 },
    { "ACQ.TRADE_HAS_FINISHED", RUSH_OPS(PREPAY)|RUSH_OPS(CLOSE),
      RUSH_SAID_ASK, 0 },
    { "ACQ.TRADE_STATUS_ERROR", RUSH_OPS(CLOSE), RUSH_SAID_ASK, 0 },
    { "ACQ.TRADE_HAS_CLOSE", RUSH_OPS(CLOSE), RUSH_SAID_ASK, 0 },
    { "ACQ.REASON_TRADE_STATUS_INVALID", RUSH_OPS(CLOSE), RUSH_SAID_ASK, 0 },
    { "isp.bill_not_exist", RUSH_OPS(BILL), RUSH_SAID_ABSENT, 0 },
    { "isv.invalid-signature", RUSH_OPS(PREPAY), RUSH_SAID_REFUSED, 1 },
    { "isv.invalid-signature", 0, RUSH_SAID_LATER, 1 },
    { "ACQ.ACCESS_FORBIDDEN", 0, RUSH_SAID_REFUSED, 1 },
    { "ACQ.INVALID_PARAMETER", 0, RUSH_SAID_REFUSED, 1 },
    { "ACQ.CONTEXT_INCONSISTENT", 0, RUSH_SAID_REFUSED, 1 },
    { "ACQ.DISCORDANT_REPEAT_REQUEST", 0, RUSH_SAID_REFUSED, 1 },
    { "ACQ.SELLER_BALANCE_NOT_ENOUGH", 0, RUSH_SAID_REFUSED, 1 }
};

#define RUSH_ALIPAY_CODES                                                     \
    (sizeof(rush_alipay_codes) / sizeof(rush_alipay_code_t))


void
rush_alipay_judge(rush_teller_t *te, rush_job_t *job)
{
    const char           *why;
    rush_doubt_e          doubt;
    rush_call_http_t     *h;
    rush_alipay_slice_t   s;

    h = &job->http;

    if (job->op == RUSH_OP_BILL_FILE) {
        rush_alipay_file(job);
        return;
    }

    /* the gateway answers 200 to everything that it understands */

    if (h->status != 200) {
        rush_said(job, RUSH_SAID_UNKNOWN, "HTTP %ld", h->status);
        return;
    }

    if (rush_alipay_slice(&s, rush_alipay_method(job), h->answer.data,
                          h->answer.len, &why)
        != RUSH_OK)
    {
        rush_said(job, RUSH_SAID_FORGED, "not an answer of Alipay: %s", why);
        return;
    }

    doubt = rush_alipay_verify(te->daemon->conf.alipay.public_key, &s);

    /* what the gateway itself refuses has no signature */

    if (doubt == RUSH_DOUBT_UNSURE || (doubt != RUSH_TRUSTED && !s.error)) {
        rush_said_doubt(job, doubt);
        return;
    }

    rush_alipay_read(te, job, &s);
    job->said.doubt = (doubt != RUSH_TRUSTED);

    if (job->said.doubt && job->said.what >= RUSH_SAID_OPEN
        && job->said.what != RUSH_SAID_ABSENT)
    {
        rush_said(job, RUSH_SAID_FORGED, "good news without a signature");
    }
}


static void
rush_alipay_read(rush_teller_t *te, rush_job_t *job, rush_alipay_slice_t *s)
{
    rush_buf_t             copy;
    const char            *why;
    rush_alipay_answer_t   a;

    memset(&copy, 0, sizeof(rush_buf_t));
    rush_buf_add(&copy, s->signed_text.data, s->signed_text.len);

    if (copy.failed) {
        rush_said(job, RUSH_SAID_UNKNOWN, "no memory");

    } else if (rush_alipay_answer(&a, copy.data, copy.len, &why) != RUSH_OK) {
        rush_said(job, RUSH_SAID_UNKNOWN, "the answer makes no sense: %s",
                  why);
        job->said.alarm = 1;

    } else if (rush_alipay_is(&a.code, "10000")) {
        rush_alipay_fine(te, job, &a);

    } else {
        rush_alipay_refused(job, &a);
    }

    rush_buf_wipe(&copy);
}


static void
rush_alipay_refused(rush_job_t *job, const rush_alipay_answer_t *a)
{
    size_t                     i;
    const rush_alipay_code_t  *c;

    for (i = 0; i < RUSH_ALIPAY_CODES; i++) {
        c = &rush_alipay_codes[i];

        if (rush_alipay_is(&a->sub_code, c->code)
            && (c->ops == 0 || (c->ops & (1u << job->op)) != 0))
        {
            rush_said(job, c->said, "%s", c->code);
            job->said.alarm = c->alarm;
            return;
        }
    }

    if (rush_alipay_is(&a->code, "10003")) {
        rush_said(job, job->op == RUSH_OP_REFUND ? RUSH_SAID_PROCESSING
                                                 : RUSH_SAID_PAYING, "10003");
        return;
    }

    if (rush_alipay_is(&a->code, "20000")) {
        rush_said(job, RUSH_SAID_UNKNOWN, "20000 %.*s",
                  (int) a->sub_code.len, a->sub_code.data);
        return;
    }

    if (rush_alipay_is(&a->code, "40005")) {
        rush_said(job, RUSH_SAID_LATER, "40005 %.*s", (int) a->sub_code.len,
                  a->sub_code.data);
        return;
    }

    rush_said(job, RUSH_SAID_REFUSED, "%.*s %.*s", (int) a->code.len,
              a->code.data, (int) a->sub_code.len, a->sub_code.data);

    /* all but what is the buyer's or the trade's: configuration */

    job->said.alarm = !rush_alipay_is(&a->code, "40004");
}


static void
rush_alipay_fine(rush_teller_t *te, rush_job_t *job,
    const rush_alipay_answer_t *a)
{
    rush_buf_t  *b;

    b = &job->said.out;

    switch (job->op) {

    case RUSH_OP_PREPAY:

        if (a->qr_code.len == 0) {
            rush_said(job, RUSH_SAID_UNKNOWN, "no qr_code");
            return;
        }

        rush_json_open(b, NULL, '{');
        rush_json_str(b, "qr_code", &a->qr_code);
        rush_json_close(b, '}');

        rush_said(job, b->failed ? RUSH_SAID_UNKNOWN : RUSH_SAID_OPEN, NULL);
        break;

    case RUSH_OP_QUERY:
        rush_alipay_traded(te, job, a);
        break;

    case RUSH_OP_CLOSE:
        rush_said(job, RUSH_SAID_CLOSED, NULL);
        break;

    case RUSH_OP_REFUND:
    case RUSH_OP_REFUND_QUERY:
        rush_alipay_refunded(te, job, a);
        break;

    default:
        rush_alipay_billed(te, job, a);
    }
}


/* in the words of a notice, which is what is stored and applied */

static void
rush_alipay_traded(rush_teller_t *te, rush_job_t *job,
    const rush_alipay_answer_t *a)
{
    char                  number[RUSH_PAY_NUMBER];
    rush_buf_t           *b;
    rush_alipay_state_e   state;

    snprintf(number, sizeof(number), "%lld", (long long) job->row.id);

    if (!rush_alipay_is(&a->out_trade_no, number)) {
        rush_said(job, RUSH_SAID_FORGED, "the answer is of another trade");
        return;
    }

    state = rush_alipay_state(&a->trade_status);

    if (state == RUSH_ALIPAY_WAIT) {
        rush_said(job, RUSH_SAID_OPEN, NULL);
        return;
    }

    /* closed is what was never paid, or what went back as a whole */

    if (state == RUSH_ALIPAY_CLOSED && a->paid_ms == 0 && a->receipt <= 0) {
        rush_said(job, RUSH_SAID_CLOSED, NULL);
        return;
    }

    if (state == RUSH_ALIPAY_OTHER) {
        rush_said(job, RUSH_SAID_PAYING, NULL);
        return;
    }

    b = &job->said.out;

    rush_json_open(b, NULL, '{');
    rush_json_text(b, "notify_id", "query");
    rush_json_text(b, "app_id", te->daemon->conf.alipay.app_id);
    rush_json_text(b, "seller_id", te->daemon->conf.alipay.seller_id);
    rush_json_str(b, "out_trade_no", &a->out_trade_no);
    rush_json_str(b, "trade_no", &a->trade_no);
    rush_json_str(b, "trade_status", &a->trade_status);
    rush_alipay_put_yuan(b, "total_amount", a->total);
    rush_alipay_put_time(b, "gmt_payment", a->paid_ms);
    rush_json_close(b, '}');

    rush_said(job, RUSH_SAID_PAID, NULL);
}


/* "accepted" is not "done": only money that has moved is */

static void
rush_alipay_refunded(rush_teller_t *te, rush_job_t *job,
    const rush_alipay_answer_t *a)
{
    int          done;
    char         number[RUSH_PAY_NUMBER], trade[RUSH_PAY_NUMBER];
    rush_buf_t  *b;

    snprintf(number, sizeof(number), RUSH_REFUND_PREFIX "%lld",
             (long long) job->row.id);
    snprintf(trade, sizeof(trade), "%lld", (long long) job->row.payment);

    if (a->out_trade_no.len != 0 && !rush_alipay_is(&a->out_trade_no, trade))
    {
        rush_said(job, RUSH_SAID_FORGED, "the answer is of another trade");
        return;
    }

    if (job->op == RUSH_OP_REFUND) {
        done = rush_alipay_is(&a->fund_change, "Y");

    } else {

        if (a->refund_status.len == 0 && a->refund_amount == -1) {
            rush_said(job, RUSH_SAID_ABSENT, NULL);
            return;
        }

        if (!rush_alipay_is(&a->out_request_no, number)) {
            rush_said(job, RUSH_SAID_FORGED,
                      "the answer is of another refund");
            return;
        }

        done = rush_alipay_is(&a->refund_status, "REFUND_SUCCESS")
               || (a->refund_status.len == 0
                   && a->refund_amount == job->row.amount);
    }

    if (!done) {
        rush_said(job, job->op == RUSH_OP_REFUND ? RUSH_SAID_ASK
                                                 : RUSH_SAID_PROCESSING,
                  NULL);
        return;
    }

    b = &job->said.out;

    rush_json_open(b, NULL, '{');
    rush_json_text(b, "notify_id", "query");
    rush_json_text(b, "app_id", te->daemon->conf.alipay.app_id);
    rush_json_text(b, "seller_id", te->daemon->conf.alipay.seller_id);
    rush_json_id(b, "out_trade_no", job->row.payment);
    rush_json_str(b, "trade_no", &a->trade_no);
    rush_json_text(b, "trade_status", "TRADE_SUCCESS");
    rush_json_text(b, "out_biz_no", number);
    rush_alipay_put_yuan(b, "refund_fee", job->op == RUSH_OP_REFUND
                                          ? a->refund_fee : a->refund_amount);
    rush_alipay_put_time(b, "gmt_refund", a->refund_ms);
    rush_json_close(b, '}');

    rush_said(job, RUSH_SAID_DONE, NULL);
}


/* the file is elsewhere: an address that needs no signature of ours */

static void
rush_alipay_billed(rush_teller_t *te, rush_job_t *job,
    const rush_alipay_answer_t *a)
{
    char  url[RUSH_ALIPAY_URL];

    rush_work_text(url, sizeof(url), &a->bill_download_url);

    if (a->bill_download_url.len == 0
        || a->bill_download_url.len >= sizeof(url)
        || (strncmp(url, "https://", 8) != 0
            && strncmp(url, "http://dwbillcenter.alipay.com/", 31) != 0
            && !rush_conf_is_local(te->daemon->conf.alipay.gateway)))
    {
        rush_said(job, RUSH_SAID_UNKNOWN, "no address of a bill");
        return;
    }

    rush_buf_reset(&job->url);
    rush_buf_puts(&job->url, url);

    rush_said(job, job->url.failed ? RUSH_SAID_UNKNOWN : RUSH_SAID_HAVE, NULL);
}


static void
rush_alipay_file(rush_job_t *job)
{
    if (job->http.status != 200) {
        rush_said(job, RUSH_SAID_UNKNOWN, "HTTP %ld", job->http.status);
        return;
    }

    rush_buf_add(&job->said.out, job->http.answer.data, job->http.answer.len);
    rush_said(job, job->said.out.failed ? RUSH_SAID_UNKNOWN : RUSH_SAID_HAVE,
              NULL);
}


static int
rush_alipay_is(const rush_str_t *s, const char *text)
{
    return s->len == strlen(text) && memcmp(s->data, text, s->len) == 0;
}
