
/*
 * Copyright (C) Rush
 *
 * Platform certificates of WeChat Pay: fetched when the teller gets the lock,
 * each "certificates" seconds, and when something is signed by a serial that
 * nobody knows.  Old and new ones are kept side by side until they end.
 *
 * Workers find them in Redis under RUSH_PAYKEY_KEY, sealed (rush_notice.h).
 * They are published again from time to time, so that a Redis that has lost
 * its data has them soon.
 */


#include <stdlib.h>

#include "teller.h"


#define RUSH_KEYS_PUBLISH  60000000LL   /* us */
#define RUSH_KEYS_SOON     60           /* s, between downloads at least */


static int rush_keys_are_wanted(rush_teller_t *te);
static void rush_keys_read(rush_teller_t *te, rush_job_t *job,
    unsigned char *json, size_t len);
static rush_doubt_e rush_keys_believe(rush_teller_t *te, rush_job_t *job,
    rush_rsa_t **keys, size_t n);
static void rush_keys_keep(rush_teller_t *te, const rush_rsa_info_t *info,
    rush_buf_t *pem);
static int rush_keys_put(rush_teller_t *te, size_t i);


void
rush_keys_due(rush_teller_t *te)
{
    int64_t                 now;
    rush_job_t             *job;
    const rush_provider_t  *p;

    p = &rush_provider_wechat;
    now = rush_mono();

    if (!p->is_on(&te->daemon->conf) || !rush_keys_are_wanted(te)
        || now < te->next_keys || !rush_breaker_allows(te, p)
        || rush_job_find(te, RUSH_JOB_KEYS, p->number) != NULL)
    {
        return;
    }

    job = rush_job_new(te, RUSH_JOB_KEYS, p);
    if (job == NULL) {
        return;
    }

    te->next_keys = now + te->daemon->conf.pay.retry_min * 1000;
    te->keys_asked = now;
    job->row.id = p->number;

    if (rush_job_call(te, job, RUSH_OP_KEYS) != RUSH_OK) {
        rush_job_end(te, job);
    }
}


static int
rush_keys_are_wanted(rush_teller_t *te)
{
    const rush_wechat_pay_conf_t  *w;

    w = &te->daemon->conf.wechat_pay;

    return w->public_key_id[0] == '\0' || w->both;
}


void
rush_keys_soon(rush_teller_t *te)
{
    int64_t  at;

    at = te->keys_asked + RUSH_KEYS_SOON * te->daemon->conf.pay.minute
                          / 60 * 1000;

    if (at < te->next_keys) {
        te->next_keys = at;
        te->next_poll = te->next_poll < at ? te->next_poll : at;
    }
}


void
rush_keys_judge(rush_teller_t *te, rush_job_t *job)
{
    rush_buf_t  copy;

    memset(&copy, 0, sizeof(rush_buf_t));
    rush_buf_add(&copy, job->http.answer.data, job->http.answer.len);

    if (copy.failed) {
        rush_said(job, RUSH_SAID_UNKNOWN, "no memory");

    } else {
        rush_keys_read(te, job, copy.data, copy.len);
    }

    rush_buf_wipe(&copy);
}


/* the first download is signed by a key that it brings: whoever made that has
 * the APIv3 key */

static void
rush_keys_read(rush_teller_t *te, rush_job_t *job, unsigned char *json,
    size_t len)
{
    int                       i, n;
    const char               *why;
    rush_rsa_t               *keys[RUSH_WXPAY_KEYS];
    rush_buf_t                pems[RUSH_WXPAY_KEYS];
    rush_doubt_e              doubt;
    rush_wxpay_certificate_t  rows[RUSH_WXPAY_KEYS];

    memset(keys, 0, sizeof(keys));
    memset(pems, 0, sizeof(pems));

    n = rush_wxpay_certificates(rows, RUSH_WXPAY_KEYS, json, len, &why);

    if (n < 0) {
        rush_said(job, RUSH_SAID_UNKNOWN, "certificates: %s", why);
        return;
    }

    for (i = 0; i < n; i++) {
        keys[i] = rush_wxpay_certificate(te->daemon->conf.wechat_pay.apiv3,
                                         &rows[i], &pems[i], &why);

        if (keys[i] == NULL || pems[i].failed) {
            rush_log(RUSH_LOG_ERROR, "wechat: a certificate %s",
                     keys[i] == NULL ? why : "needs memory");
            rush_rsa_free(keys[i]);
            keys[i] = NULL;
        }
    }

    doubt = rush_keys_believe(te, job, keys, (size_t) n);

    if (doubt != RUSH_TRUSTED) {
        rush_said_doubt(job, doubt);

    } else {
        rush_said(job, RUSH_SAID_HAVE, NULL);
    }

    for (i = 0; i < n; i++) {

        if (keys[i] != NULL && doubt == RUSH_TRUSTED
            && rush_rsa_info(keys[i])->until > rush_now())
        {
            rush_keys_keep(te, rush_rsa_info(keys[i]), &pems[i]);
            (void) rush_wxpay_ring_add(&te->ring, NULL, keys[i]);
            keys[i] = NULL;
        }

        rush_rsa_free(keys[i]);
        rush_buf_free(&pems[i]);
    }
}


static rush_doubt_e
rush_keys_believe(rush_teller_t *te, rush_job_t *job, rush_rsa_t **keys,
    size_t n)
{
    size_t             i;
    int64_t            now;
    rush_str_t         body;
    rush_doubt_e       doubt;
    rush_wxpay_seal_t  seal;

    seal.timestamp = rush_text_str(job->http.timestamp);
    seal.nonce = rush_text_str(job->http.nonce);
    seal.serial = rush_text_str(job->http.serial);
    seal.signature = rush_text_str(job->http.signature);

    body = rush_buf_str(&job->http.answer);
    now = rush_now();

    doubt = rush_wxpay_verify(&te->ring, &seal, &body, now);

    if (doubt != RUSH_DOUBT_SERIAL) {
        return doubt;
    }

    for (i = 0; i < n; i++) {

        if (keys[i] != NULL
            && strcmp(rush_rsa_info(keys[i])->serial, job->http.serial) == 0)
        {
            return rush_wxpay_verify_by(keys[i], &seal, &body, now);
        }
    }

    return doubt;
}


/* the text, for workers; of a full list the one that ends first goes */

static void
rush_keys_keep(rush_teller_t *te, const rush_rsa_info_t *info,
    rush_buf_t *pem)
{
    size_t              i, at;
    rush_teller_pem_t  *p;

    at = te->npems;

    for (i = 0; i < te->npems; i++) {

        if (strcmp(te->pems[i].serial, info->serial) == 0) {
            return;
        }

        if (te->npems == RUSH_WXPAY_KEYS
            && (at == te->npems || te->pems[i].until < te->pems[at].until))
        {
            at = i;
        }
    }

    if (at == te->npems) {
        te->npems++;
    }

    p = &te->pems[at];
    rush_buf_free(&p->text);

    p->text = *pem;
    memset(pem, 0, sizeof(rush_buf_t));
    p->until = info->until;
    memcpy(p->serial, info->serial, sizeof(p->serial));

    te->next_publish = 0;

    rush_log(RUSH_LOG_INFO, "wechat: certificate %s is new", p->serial);
}


int
rush_keys_said(rush_teller_t *te, rush_job_t *job)
{
    if (job->said.what == RUSH_SAID_HAVE) {
        te->next_keys = rush_mono()
                        + te->daemon->conf.wechat_pay.certificates * 1000000;
        te->keys_tries = 0;
        te->next_poll = 0;

        if (RUSH_FP("T5")) {
            rush_redis_close(te->rd);
        }

        rush_keys_publish(te);

    } else {
        te->next_keys = rush_mono()
                        + rush_teller_pause(te, ++te->keys_tries) * 1000;
    }

    rush_job_end(te, job);

    return RUSH_OK;
}


void
rush_keys_publish(rush_teller_t *te)
{
    size_t  i;

    if (te->npems == 0 || rush_mono() < te->next_publish
        || !rush_redis_connected(te->rd))
    {
        return;
    }

    for (i = 0; i < te->npems; i++) {

        if (rush_keys_put(te, i) != RUSH_OK) {
            return;
        }
    }

    te->next_publish = rush_mono() + RUSH_KEYS_PUBLISH;
}


static int
rush_keys_put(rush_teller_t *te, size_t i)
{
    int                 rc;
    char                key[sizeof(RUSH_PAYKEY_KEY) + RUSH_RSA_SERIAL];
    size_t              len;
    int64_t             left;
    rush_str_t          serial;
    redisReply         *reply;
    unsigned char       sealed[RUSH_PAYKEY_MAX];
    rush_teller_pem_t  *p;

    p = &te->pems[i];
    left = p->until - rush_now();

    if (left <= 0) {
        return RUSH_OK;
    }

    serial = rush_text_str(p->serial);

    len = p->text.len + RUSH_SEAL_EXTRA > sizeof(sealed)
          ? 0 : rush_seal(&te->daemon->conf.seal, RUSH_PAYKEY_LABEL, &serial,
                          p->text.data, p->text.len, sealed);

    if (len == 0) {
        rush_log(RUSH_LOG_ERROR, "wechat: cannot seal certificate %s",
                 p->serial);
        return RUSH_OK;
    }

    snprintf(key, sizeof(key), "%s%s", RUSH_PAYKEY_KEY, p->serial);

    rush_arg_text(&te->args, "SET");
    rush_arg_text(&te->args, key);
    rush_arg(&te->args, sealed, len);
    rush_arg_text(&te->args, "PX");
    rush_arg_int(&te->args, left);

    reply = rush_redis_call(te->rd, &te->args);
    rc = rush_reply_ok(reply, "set") ? RUSH_OK : RUSH_ERROR;
    freeReplyObject(reply);

    return rc;
}


void
rush_keys_free(rush_teller_t *te)
{
    size_t  i;

    for (i = 0; i < te->npems; i++) {
        rush_buf_free(&te->pems[i].text);
    }

    rush_wxpay_ring_free(&te->ring);
}
