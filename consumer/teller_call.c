
/*
 * Copyright (C) Rush
 *
 * Calls of providers: the intent before, the transfer, what its end means
 * whoever was called.
 */


#include <stdarg.h>
#include <strings.h>

#include "teller.h"


#define RUSH_BILL_TIMEOUTS  10          /* a bill may take longer */


typedef struct {
    const char      *name;
    size_t           len;
    size_t           offset;            /* in rush_call_http_t */
    size_t           size;
} rush_call_header_t;


static int rush_call_start(rush_teller_t *te, rush_job_t *job);
static int rush_call_fly(rush_teller_t *te, rush_job_t *job);
static void rush_call_url(rush_teller_t *te, rush_job_t *job,
    rush_buf_t *url);
static size_t rush_call_read(char *src, size_t size, size_t n, void *data);
static size_t rush_call_header(char *src, size_t size, size_t n, void *data);
static void rush_call_outcome(rush_teller_t *te, rush_job_t *job,
    CURLcode rc);
static int rush_call_other(rush_teller_t *te, rush_job_t *job);


#define rush_call_field(name, field)                                          \
    { name, sizeof(name) - 1, offsetof(rush_call_http_t, field),              \
      sizeof(((rush_call_http_t *) 0)->field) }

static const rush_call_header_t  rush_call_headers[] = {
    rush_call_field("Wechatpay-Timestamp:", timestamp),
    rush_call_field("Wechatpay-Nonce:", nonce),
    rush_call_field("Wechatpay-Serial:", serial),
    rush_call_field("Wechatpay-Signature:", signature),
    rush_call_field("Request-ID:", request_id)
};

#define RUSH_CALL_HEADERS                                                     \
    (sizeof(rush_call_headers) / sizeof(rush_call_header_t))


static const char  *rush_op_names[] = {
    "nothing", "prepay", "query", "close", "refund", "refund query",
    "certificates", "bill", "bill file"
};


int
rush_job_call(rush_teller_t *te, rush_job_t *job, rush_op_e op)
{
    int  rc;

    rush_call_drop(te, job);
    rush_buf_reset(&job->said.out);

    job->store = 0;
    job->second = 0;
    job->op = op;
    job->until = rush_mono() + rush_call_patience(te, op) * 1000;

    if (RUSH_FP("T1")) {
        rush_db_close(te->db);
    }

    rc = job->kind == RUSH_JOB_PAYMENT ? rush_payment_intent(te, job)
         : job->kind == RUSH_JOB_REFUND ? rush_refund_intent(te, job)
         : job->kind == RUSH_JOB_BILL ? rush_bill_intent(te, job) : RUSH_OK;

    if (rc == RUSH_OK && RUSH_FP("T2")) {
        rc = RUSH_ERROR;
    }

    return rc == RUSH_OK ? rush_call_start(te, job) : RUSH_ERROR;
}


static int
rush_call_start(rush_teller_t *te, rush_job_t *job)
{
    int                     rc;
    const rush_provider_t  *provider;

    provider = job->provider;

    memset(&job->http, 0, sizeof(rush_call_http_t));
    memset(job->said.cause, 0, sizeof(job->said.cause));
    job->said.what = RUSH_SAID_UNKNOWN;
    job->said.doubt = 0;
    job->said.alarm = 0;
    job->http.most = RUSH_CALL_ANSWER;

    rc = provider->ask(te, job);

    if (rc == RUSH_PROVIDER_DONE) {
        rush_call_drop(te, job);
        rush_breaker_count(te, job);
        rush_job_landed(te, job);
        return RUSH_OK;
    }

    job->host = rush_breaker_host(te, provider);

    if (rc == RUSH_OK) {
        rc = rush_call_fly(te, job);
    }

    if (rc != RUSH_OK) {
        rush_log(RUSH_LOG_ERROR, "%s: %s %lld: the call could not be made",
                 provider->name, rush_op_names[job->op],
                 (long long) job->row.id);
        rush_call_drop(te, job);
    }

    return rc;
}


static int
rush_call_fly(rush_teller_t *te, rush_job_t *job)
{
    int                     rc;
    CURL                   *easy;
    rush_buf_t              url;
    rush_breaker_t         *b;
    const rush_conf_t      *conf;
    rush_call_http_t       *h;
    const rush_provider_t  *provider;

    h = &job->http;
    provider = job->provider;
    conf = &te->daemon->conf;
    memset(&url, 0, sizeof(rush_buf_t));

    h->begun = rush_mono();
    h->easy = curl_easy_init();
    easy = h->easy;

    rush_call_url(te, job, &url);

    rc = (easy == NULL || url.failed || h->body.failed
          || rush_curl_options(easy, job, rush_call_timeout(te, job->op),
                               provider->ca_file(conf)) != RUSH_OK
          || rush_curl_header(&h->list, "Expect", "") != RUSH_OK
          || curl_easy_setopt(easy, CURLOPT_HTTPHEADER, h->list) != CURLE_OK
          || curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L) != CURLE_OK
          || rush_curl_protocols(easy, "http,https",
                                 CURLPROTO_HTTP|CURLPROTO_HTTPS) != CURLE_OK
          || curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                              (long) conf->pay.connect_timeout) != CURLE_OK
          || curl_easy_setopt(easy, CURLOPT_USERAGENT,
                              "rush-consumer/" RUSH_VERSION) != CURLE_OK
          || curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, rush_call_read)
             != CURLE_OK
          || curl_easy_setopt(easy, CURLOPT_WRITEDATA, h) != CURLE_OK
          || curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, rush_call_header)
             != CURLE_OK
          || curl_easy_setopt(easy, CURLOPT_HEADERDATA, h) != CURLE_OK
          || curl_easy_setopt(easy, CURLOPT_URL, (char *) url.data)
             != CURLE_OK
          || (strcmp(h->method, "POST") == 0
              && rush_curl_post(easy, &h->body) != RUSH_OK)
          || rush_curl_add(&te->loop, easy) != RUSH_OK)
         ? RUSH_ERROR : RUSH_OK;

    rush_buf_free(&url);

    if (rc != RUSH_OK) {
        return RUSH_ERROR;
    }

    h->flying = 1;
    b = &te->breakers[provider->number];

    if (rush_breaker_state(b) == RUSH_BREAKER_HALF) {
        b->probing = 1;
        job->probe = 1;
    }

    return RUSH_OK;
}


int64_t
rush_call_timeout(rush_teller_t *te, rush_op_e op)
{
    return te->daemon->conf.pay.timeout
           * (op == RUSH_OP_BILL_FILE ? RUSH_BILL_TIMEOUTS : 1);
}


int64_t
rush_call_patience(rush_teller_t *te, rush_op_e op)
{
    return 2 * rush_call_timeout(te, op) + RUSH_TELLER_LEASE;
}


/* when a row is due again if nobody tells what came of its call */

int64_t
rush_call_lease(rush_teller_t *te, rush_op_e op)
{
    return rush_now() + rush_call_patience(te, op);
}


static void
rush_call_url(rush_teller_t *te, rush_job_t *job, rush_buf_t *url)
{
    size_t       len;
    const char  *base;

    base = job->provider->host(&te->daemon->conf, job->host);
    len = strlen(base);

    if (!job->http.whole) {

        while (len > 0 && base[len - 1] == '/') {
            len--;
        }

        rush_buf_add(url, base, len);
    }

    rush_buf_add(url, job->http.target.data, job->http.target.len);
    rush_buf_add(url, "", 1);
    url->failed |= job->http.target.failed;
}


static size_t
rush_call_read(char *src, size_t size, size_t n, void *data)
{
    rush_call_http_t  *h = data;

    size_t             len;

    len = size * n;

    if (len > h->most - h->answer.len) {
        h->large = 1;
        return 0;
    }

    rush_buf_add(&h->answer, src, len);

    return h->answer.failed ? 0 : len;
}


/* a header that comes twice is none: nobody knows which one was signed */

static size_t
rush_call_header(char *src, size_t size, size_t n, void *data)
{
    rush_call_http_t  *h = data;

    char                      *dst;
    size_t                     i, len, all;
    const rush_call_header_t  *f;

    all = size * n;
    len = all;

    while (len > 0 && (src[len - 1] == '\n' || src[len - 1] == '\r'
                       || src[len - 1] == ' '))
    {
        len--;
    }

    for (i = 0; i < RUSH_CALL_HEADERS; i++) {
        f = &rush_call_headers[i];

        if (len < f->len || strncasecmp(src, f->name, f->len) != 0) {
            continue;
        }

        src += f->len;
        len -= f->len;

        while (len > 0 && *src == ' ') {
            src++;
            len--;
        }

        dst = (char *) h + f->offset;

        if (dst[0] != '\0' || len == 0 || len >= f->size) {
            dst[0] = '\0';
            dst[1] = '\1';              /* for ever */

        } else if (dst[1] != '\1') {
            memcpy(dst, src, len);
            dst[len] = '\0';
        }

        break;
    }

    return all;
}


void
rush_call_landed(void *data, void *owner, CURLcode rc)
{
    rush_teller_t  *te = data;
    rush_job_t     *job = owner;

    rush_curl_remove(&te->loop, job->http.easy);
    job->http.flying = 0;

    (void) curl_easy_getinfo(job->http.easy, CURLINFO_RESPONSE_CODE,
                             &job->http.status);

    rush_call_outcome(te, job, rc);
    rush_breaker_count(te, job);

    if (job->said.what == RUSH_SAID_UNSEEN && rush_call_other(te, job)) {
        return;
    }

    rush_call_drop(te, job);

    if (RUSH_FP("T3")) {
        rush_db_close(te->db);
    }

    rush_job_landed(te, job);
}


static void
rush_call_outcome(rush_teller_t *te, rush_job_t *job, CURLcode rc)
{
    long               status;
    rush_call_http_t  *h;

    h = &job->http;
    status = h->status;

    switch (rc) {

    case CURLE_OK:
        break;

    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
        rush_said(job, RUSH_SAID_UNSEEN, "no connection: %s",
                  curl_easy_strerror(rc));
        break;

    default:
        rush_said(job, h->large ? RUSH_SAID_FORGED : RUSH_SAID_UNKNOWN,
                  "no answer: %s", h->large ? "it is too large"
                                            : curl_easy_strerror(rc));
    }

    if (rc == CURLE_OK) {

        if (status >= 500 || (status >= 300 && status < 400)
            || status == 408)
        {
            rush_said(job, RUSH_SAID_UNKNOWN, "HTTP %ld", status);

        } else if (status == 429) {
            rush_said(job, RUSH_SAID_LATER, "HTTP 429");

        } else {
            job->provider->judge(te, job);
        }
    }

    rush_log(rc == CURLE_OK && status < 400
             && job->said.what >= RUSH_SAID_OPEN
             ? RUSH_LOG_INFO : RUSH_LOG_WARN,
             "%s: %s %lld: %s (%ld, host %u, %lld ms, request %s)",
             job->provider->name, rush_op_names[job->op],
             (long long) job->row.id,
             job->said.cause[0] ? job->said.cause : "answered", status,
             job->host + 1, (long long) ((rush_mono() - h->begun) / 1000),
             h->request_id[0] ? h->request_id : "-");
}


/* nobody has seen it: the other host may have it at once */

static int
rush_call_other(rush_teller_t *te, rush_job_t *job)
{
    unsigned  other;

    other = job->host ^ 1;

    if (job->second
        || job->provider->host(&te->daemon->conf, other)[0] == '\0'
        || rush_stopping(te->daemon))
    {
        return 0;
    }

    /* all headers are made again: the signature has a time */

    rush_call_drop(te, job);
    job->second = 1;
    te->breakers[job->provider->number].host = other;

    if (rush_call_start(te, job) != RUSH_OK) {
        rush_said(job, RUSH_SAID_UNSEEN, "no connection");
        return 0;
    }

    return 1;
}


void
rush_call_drop(rush_teller_t *te, rush_job_t *job)
{
    rush_call_http_t  *h;

    h = &job->http;

    if (h->flying) {
        rush_curl_remove(&te->loop, h->easy);
        h->flying = 0;

        if (job->probe) {
            te->breakers[job->provider->number].probing = 0;
            job->probe = 0;
        }
    }

    if (h->easy != NULL) {
        curl_easy_cleanup(h->easy);
        h->easy = NULL;
    }

    curl_slist_free_all(h->list);
    h->list = NULL;

    rush_buf_wipe(&h->target);
    rush_buf_wipe(&h->body);
    rush_buf_wipe(&h->answer);
}


void
rush_said(rush_job_t *job, rush_said_e what, const char *fmt, ...)
{
    char     *p;
    va_list   args;

    job->said.what = what;
    job->said.cause[0] = '\0';

    if (fmt == NULL) {
        return;
    }

    va_start(args, fmt);
    (void) vsnprintf(job->said.cause, sizeof(job->said.cause), fmt, args);
    va_end(args);

    /* what others have written goes into a row and a log */

    for (p = job->said.cause; *p != '\0'; p++) {

        if ((unsigned char) *p < 0x20 || (unsigned char) *p > 0x7e) {
            *p = '?';
        }
    }
}


void
rush_said_doubt(rush_job_t *job, rush_doubt_e doubt)
{
    static const char *const  why[] = {
        "trusted",
#define RUSH_DOUBT_WHY(name, text, why)  why,
        RUSH_DOUBTS(RUSH_DOUBT_WHY)
#undef RUSH_DOUBT_WHY
    };

    rush_said(job, doubt == RUSH_DOUBT_UNSURE ? RUSH_SAID_UNKNOWN
                                              : RUSH_SAID_FORGED,
              "the answer is not believed: %s", why[doubt]);
}
