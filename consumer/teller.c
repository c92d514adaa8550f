
/*
 * Copyright (C) Rush
 *
 * The thread: the lock, hints of workers, and turns of the loop.
 */


#include <stdlib.h>

#include "teller.h"


static int rush_teller_open(rush_teller_t *te, rush_daemon_t *d);
static void rush_teller_close(rush_teller_t *te);
static int rush_teller_lock(rush_teller_t *te);
static void rush_teller_turn(rush_teller_t *te);
static void rush_teller_store(rush_teller_t *te);
static int rush_teller_hints(rush_teller_t *te, int64_t block);
static int rush_teller_first(rush_teller_t *te);
static void rush_teller_work(rush_teller_t *te);
static void rush_teller_stop(rush_teller_t *te);


int
rush_teller_run(rush_daemon_t *d)
{
    int             rc;
    rush_teller_t  *te;

    te = calloc(1, sizeof(rush_teller_t));
    if (te == NULL) {
        rush_log(RUSH_LOG_ERROR, "no memory for the teller");
        return RUSH_ERROR;
    }

    rc = rush_teller_open(te, d);

    while (rc == RUSH_OK && !rush_stopping(d)) {
        rush_teller_turn(te);
    }

    if (rc == RUSH_OK) {
        rush_teller_stop(te);
    }

    rush_stat_set(d, teller, 0);
    rush_teller_close(te);
    free(te);

    return rc;
}


static int
rush_teller_open(rush_teller_t *te, rush_daemon_t *d)
{
    rush_str_t               id;
    rush_rsa_t              *key;
    rush_wechat_pay_conf_t  *w;

    te->daemon = d;
    te->rd = rush_redis_create(d, "teller");
    te->db = rush_db_create(d, "teller");

    if (te->rd == NULL || te->db == NULL
        || rush_curl_open(&te->loop, d, "teller", rush_call_landed, te)
           != RUSH_OK)
    {
        return RUSH_ERROR;
    }

    w = &d->conf.wechat_pay;

    if (w->public_key == NULL) {
        return RUSH_OK;
    }

    /* the ring owns what it is given, whatever becomes of it */

    key = w->public_key;
    w->public_key = NULL;
    id = rush_text_str(w->public_key_id);

    if (rush_wxpay_ring_add(&te->ring, &id, key) != RUSH_OK) {
        rush_log(RUSH_LOG_ERROR, "wechat: the public key has a bad id");
        return RUSH_ERROR;
    }

    return RUSH_OK;
}


static void
rush_teller_close(rush_teller_t *te)
{
    size_t  i;

    for (i = 0; i < RUSH_JOBS; i++) {
        rush_job_end(te, &te->jobs[i]);
    }

    rush_keys_free(te);
    rush_curl_close(&te->loop);
    rush_redis_destroy(te->rd);
    rush_db_destroy(te->db);
    rush_args_free(&te->args);
}


static int
rush_teller_lock(rush_teller_t *te)
{
    int          held;
    rush_rows_t  rows;

    if (rush_db_ready(te->db) != RUSH_OK) {
        held = 0;

    } else if (te->lock_generation == rush_db_generation(te->db)) {
        return 1;

    } else {
        memset(&rows, 0, sizeof(rush_rows_t));
        held = rush_te_run(te, LOCK_GET, NULL, 0, &rows) == RUSH_OK
               && rows.n == 1 && rush_cell_int(&rows, 0, 0) == 1;
        rush_rows_free(&rows);
    }

    if (held != (int) rush_stat_get(te->daemon, teller)) {
        rush_log(RUSH_LOG_INFO, held ? "teller: the lock is ours"
                                     : "teller: the lock is lost");
        rush_stat_set(te->daemon, teller, held);
    }

    te->lock_generation = held ? rush_db_generation(te->db) : 0;

    return held;
}


static void
rush_teller_turn(rush_teller_t *te)
{
    int      held, hinted;
    int64_t  left;

    held = rush_teller_lock(te);
    rush_teller_store(te);

    if (te->more && rush_jobs_free(te) > 0) {
        te->next_poll = 0;
    }

    left = (te->next_poll - rush_mono()) / 1000;
    hinted = 0;

    if (held && rush_redis_ready(te->rd) == RUSH_OK) {
        rush_keys_publish(te);
        hinted = rush_teller_hints(te, te->loop.flying ? 0 : left);
    }

    if (held && (hinted || rush_mono() >= te->next_poll)) {
        te->next_poll = rush_mono() + te->daemon->conf.pay.poll * 1000;
        rush_teller_work(te);
    }

    if (te->loop.flying > 0) {
        rush_curl_perform(&te->loop, RUSH_TELLER_TICK);

    } else if (!held || !rush_redis_connected(te->rd)) {
        (void) rush_wait(te->daemon, 5 * RUSH_TELLER_TICK);
    }
}


/* answers that MySQL has not taken yet, because it was away, or somebody else
 * has got the lock meanwhile and may keep it for long */

static void
rush_teller_store(rush_teller_t *te)
{
    size_t       i;
    rush_job_t  *job;

    for (i = 0; i < RUSH_JOBS; i++) {
        job = &te->jobs[i];

        if (job->kind == RUSH_JOB_FREE || !job->store) {
            continue;
        }

        if (rush_mono() < job->until) {
            rush_job_landed(te, job);
            continue;
        }

        rush_log(RUSH_LOG_WARN, "%s: %lld: an answer could not be stored in "
                 "time", job->provider->name, (long long) job->row.id);
        rush_job_end(te, job);
    }
}


/* 1: somebody has left a hint; which one does not matter */

static int
rush_teller_hints(rush_teller_t *te, int64_t block)
{
    size_t             n;
    redisReply        *reply;
    rush_args_t       *a;
    const redisReply  *list;

    a = &te->args;

    if (te->redis_generation != rush_redis_generation(te->rd)
        && rush_teller_first(te) != RUSH_OK)
    {
        return 0;
    }

    rush_arg_text(a, "XREAD");
    rush_arg_text(a, "COUNT");
    rush_arg_text(a, "1000");

    block = block < te->daemon->conf.block ? block : te->daemon->conf.block;

    if (block > 0) {
        rush_arg_text(a, "BLOCK");
        rush_arg_int(a, block);
    }

    rush_arg_text(a, "STREAMS");
    rush_arg_text(a, RUSH_TELL_KEY);
    rush_arg_text(a, te->hint);

    reply = rush_redis_call(te->rd, a);
    n = 0;

    if (rush_reply_ok(reply, "xread") && reply->type == REDIS_REPLY_ARRAY
        && reply->elements == 1
        && reply->element[0]->type == REDIS_REPLY_ARRAY
        && reply->element[0]->elements == 2)
    {
        list = reply->element[0]->element[1];
        n = list->elements;

        if (n > 0) {
            rush_id_copy(te->hint, list->element[n - 1]->element[0]->str);
        }

    } else if (reply != NULL && reply->type == REDIS_REPLY_ERROR) {
        (void) rush_wait(te->daemon, RUSH_TELLER_TICK);
    }

    freeReplyObject(reply);

    return n > 0;
}


/* what was hinted before is found by the first look into MySQL.  "$" would
 * miss what comes between two reads */

static int
rush_teller_first(rush_teller_t *te)
{
    int          rc;
    redisReply  *reply;

    reply = rush_redis_words(te->rd, "XREVRANGE", RUSH_TELL_KEY, "+", "-",
                             "COUNT", "1", NULL);

    rc = rush_reply_ok(reply, "xrevrange") ? RUSH_OK : RUSH_ERROR;

    if (rc == RUSH_OK) {
        rush_id_copy(te->hint, "0-0");

        if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 1
            && reply->element[0]->elements == 2)
        {
            rush_id_copy(te->hint, reply->element[0]->element[0]->str);
        }

        te->redis_generation = rush_redis_generation(te->rd);
        te->next_poll = 0;
        te->next_publish = 0;

    } else if (reply != NULL) {
        (void) rush_wait(te->daemon, RUSH_TELLER_TICK);
    }

    freeReplyObject(reply);

    return rc;
}


static void
rush_teller_work(rush_teller_t *te)
{
    rush_keys_due(te);

    if (rush_bills_due(te) == RUSH_OK && rush_work_find(te) == RUSH_OK) {
        (void) rush_work_gauges(te);
    }
}


/* what is under way may end: its answer is worth a question saved */

static void
rush_teller_stop(rush_teller_t *te)
{
    int64_t  end;

    end = rush_mono() + RUSH_TELLER_GRACE * 1000;

    while (te->loop.flying > 0 && rush_mono() < end) {
        rush_curl_perform(&te->loop, RUSH_TELLER_TICK);
    }

    rush_teller_store(te);
}


rush_job_t *
rush_job_new(rush_teller_t *te, rush_job_e kind,
    const rush_provider_t *provider)
{
    size_t       i;
    rush_job_t  *job;

    for (i = 0; i < RUSH_JOBS; i++) {
        job = &te->jobs[i];

        if (job->kind == RUSH_JOB_FREE) {
            memset(job, 0, sizeof(rush_job_t));
            job->kind = kind;
            job->provider = provider;
            return job;
        }
    }

    return NULL;
}


rush_job_t *
rush_job_find(rush_teller_t *te, rush_job_e kind, int64_t id)
{
    size_t       i;
    rush_job_t  *job;

    for (i = 0; i < RUSH_JOBS; i++) {
        job = &te->jobs[i];

        if (job->kind == kind && job->row.id == id) {
            return job;
        }
    }

    return NULL;
}


size_t
rush_jobs_free(rush_teller_t *te)
{
    size_t  i, busy, most;

    busy = 0;
    most = (size_t) te->daemon->conf.pay.parallel;

    for (i = 0; i < RUSH_JOBS; i++) {
        busy += (te->jobs[i].kind != RUSH_JOB_FREE);
    }

    return busy < most ? most - busy : 0;
}


void
rush_job_end(rush_teller_t *te, rush_job_t *job)
{
    rush_call_drop(te, job);
    rush_buf_wipe(&job->said.out);
    rush_buf_free(&job->url);
    explicit_bzero(&job->row, sizeof(rush_teller_row_t));
    job->kind = RUSH_JOB_FREE;
    job->store = 0;
}


void
rush_job_landed(rush_teller_t *te, rush_job_t *job)
{
    int  rc;

    job->store = 1;

    if (!rush_db_connected(te->db) || te->lock_generation == 0) {
        return;                         /* later */
    }

    switch (job->kind) {

    case RUSH_JOB_PAYMENT:
        rc = rush_payment_said(te, job);
        break;

    case RUSH_JOB_REFUND:
        rc = rush_refund_said(te, job);
        break;

    case RUSH_JOB_BILL:
        rc = rush_bill_said(te, job);
        break;

    default:
        rc = rush_keys_said(te, job);
    }

    /* a connection that was lost takes the lock with it */

    if (rc == RUSH_OK && RUSH_FP("T4")) {
        rush_db_close(te->db);
    }
}
