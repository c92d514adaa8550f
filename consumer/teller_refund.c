
/*
 * Copyright (C) Rush
 *
 * A refund on its way: always one number and one body, however often it is
 * sent.  Whatever is not known is asked first; a second request under the same
 * number does nothing at a provider that has the first.
 *
 *   approved    send
 *   sending     query; the provider has never seen it: send again
 *   processing  query after a minute, then with growing gaps
 */


#include "teller.h"


#define RUSH_REFUNDS_MOST  50           /* of a payment, WeChat's rule */


static int rush_refund_fact(rush_teller_t *te, rush_job_t *job);
static int rush_refund_apply_fact(rush_teller_t *te, rush_job_t *job,
    unsigned char *json, size_t len);
static int rush_refund_fail(rush_teller_t *te, rush_job_t *job,
    const char *cause);
static int rush_refund_later(rush_teller_t *te, rush_job_t *job,
    int64_t state, int64_t pause);
static int rush_refund_next(rush_teller_t *te, rush_job_t *job,
    rush_op_e op);
static int64_t rush_refund_gap(rush_teller_t *te, const rush_job_t *job);
static int rush_refund_over(rush_teller_t *te, rush_job_t *job, int rc);


int
rush_refund_begin(rush_teller_t *te, rush_job_t *job)
{
    int64_t       sent, near;
    rush_rows_t   rows;
    rush_param_t  params[3];

    if (job->row.state != RUSH_REFUND_APPROVED) {
        return rush_job_call(te, job, RUSH_OP_REFUND_QUERY);
    }

    memset(&rows, 0, sizeof(rush_rows_t));

    params[0] = rush_p_int(rush_now() - te->daemon->conf.pay.minute);
    params[1] = rush_p_int(job->row.payment);
    params[2] = rush_p_int(job->row.id);

    if (rush_te_run(te, REFUNDS_SENT, params, 3, &rows) != RUSH_OK) {
        return RUSH_ERROR;
    }

    sent = rows.n == 1 ? rush_cell_int(&rows, 0, 0) : 0;
    near = rows.n == 1 ? rush_cell_int(&rows, 0, 1) : 0;
    rush_rows_free(&rows);

    /* another one of the same look was faster */

    if (near > 0) {
        return RUSH_ERROR;
    }

    if (sent >= RUSH_REFUNDS_MOST) {
        return rush_refund_fail(te, job, "50 refunds of this payment are "
                                "all there can be");
    }

    return rush_job_call(te, job, RUSH_OP_REFUND);
}


int
rush_refund_intent(rush_teller_t *te, rush_job_t *job)
{
    int            rc;
    int64_t        now;
    rush_rows_t    rows;
    rush_param_t   params[5];

    memset(&rows, 0, sizeof(rush_rows_t));
    now = rush_now();

    params[0] = rush_p_int(rush_call_lease(te, job->op));

    if (job->row.state == RUSH_REFUND_APPROVED) {
        params[1] = rush_p_int(now);
        params[2] = rush_p_int(job->row.id);

        rc = rush_te_run(te, REFUND_INTENT, params, 3, &rows);

        job->row.tries = 0;

    } else if (job->op == RUSH_OP_REFUND) {
        params[1] = rush_p_int(now);
        params[2] = rush_p_int(job->row.id);
        params[3] = rush_p_int(job->row.state);
        params[4] = rush_p_int(job->row.tries);

        rc = rush_te_run(te, REFUND_RESEND, params, 5, &rows);

    } else {
        params[1] = rush_p_int(job->row.id);
        params[2] = rush_p_int(job->row.state);
        params[3] = rush_p_int(job->row.tries);

        rc = rush_te_run(te, REFUND_AGAIN, params, 4, &rows);
    }

    if (rc == RUSH_OK && rows.affected != 1) {
        rc = RUSH_ERROR;                /* a notice was faster */
    }

    rush_rows_free(&rows);

    if (job->op == RUSH_OP_REFUND) {
        job->row.state = RUSH_REFUND_SENDING;
    }

    job->row.tries++;

    return rc == RUSH_OK ? RUSH_OK : RUSH_ERROR;
}


int
rush_refund_said(rush_teller_t *te, rush_job_t *job)
{
    switch (job->said.what) {

    case RUSH_SAID_DONE:
    case RUSH_SAID_FAILED:
        return rush_refund_fact(te, job);

    case RUSH_SAID_PROCESSING:

        if (job->said.out.len > 0) {
            return rush_refund_fact(te, job);
        }

        return rush_refund_later(te, job, job->row.state,
                                 rush_refund_gap(te, job));

    case RUSH_SAID_ABSENT:

        if (job->op == RUSH_OP_REFUND_QUERY) {
            return rush_refund_next(te, job, RUSH_OP_REFUND);
        }

        return rush_refund_fail(te, job, job->said.cause);

    case RUSH_SAID_ASK:

        if (job->op == RUSH_OP_REFUND) {
            return rush_refund_next(te, job, RUSH_OP_REFUND_QUERY);
        }

        break;

    case RUSH_SAID_REFUSED:

        /* a question that is refused tells nothing of the refund */

        if (job->op == RUSH_OP_REFUND) {
            return rush_refund_fail(te, job, job->said.cause);
        }

        break;

    default:
        break;
    }

    return rush_refund_later(te, job, job->row.state,
                             rush_teller_pause(te, job->row.tries));
}


static int
rush_refund_fact(rush_teller_t *te, rush_job_t *job)
{
    int         rc;
    rush_buf_t  copy;

    memset(&copy, 0, sizeof(rush_buf_t));
    rush_buf_add(&copy, job->said.out.data, job->said.out.len);

    rc = (copy.failed || job->said.out.failed)
         ? RUSH_ERROR : rush_refund_apply_fact(te, job, copy.data, copy.len);

    rush_buf_wipe(&copy);

    if (rc == RUSH_DB_DATA) {
        rush_said(job, job->said.what, "cannot be applied: %s",
                  rush_db_error(te->db));
        rush_log(RUSH_LOG_ERROR, "%s: refund %lld: an answer %s",
                 job->provider->name, (long long) job->row.id,
                 job->said.cause);

    } else if (rc != RUSH_OK) {
        return RUSH_ERROR;
    }

    /* what is over by now is not changed by this */

    return rush_refund_later(te, job,
                             job->said.what == RUSH_SAID_PROCESSING
                             ? RUSH_REFUND_PROCESSING : job->row.state,
                             rush_refund_gap(te, job));
}


static int
rush_refund_apply_fact(rush_teller_t *te, rush_job_t *job,
    unsigned char *json, size_t len)
{
    char                  key[48];
    rush_did_e            did;
    const char           *why, *state;
    rush_refund_facts_t   facts;

    memset(&facts, 0, sizeof(rush_refund_facts_t));

    if (rush_refund_facts(&facts, job->provider->number, json, len, &why)
        != RUSH_OK)
    {
        rush_log(RUSH_LOG_ERROR, "%s: refund %lld: an answer: %s",
                 job->provider->name, (long long) job->row.id, why);
        return RUSH_OK;
    }

    state = job->said.what == RUSH_SAID_DONE ? "done"
            : job->said.what == RUSH_SAID_FAILED ? "failed" : "processing";

    snprintf(key, sizeof(key), "q:" RUSH_REFUND_PREFIX "%lld:%s",
             (long long) job->row.id, state);

    facts.provider = job->provider->number;
    facts.kind = RUSH_NOTICE_QUERY;
    facts.key = rush_text_str(key);
    facts.body = rush_buf_str(&job->said.out);
    facts.received_ms = rush_now();

    return rush_refund_apply(te->daemon, te->db, &facts, &did);
}


/* the sum stays promised until an operator decides */

static int
rush_refund_fail(rush_teller_t *te, rush_job_t *job, const char *cause)
{
    int           rc;
    rush_param_t  params[5];

    params[0] = rush_p_text(cause);
    params[1] = rush_p_int(rush_now());
    params[2] = rush_p_int(job->row.id);
    params[3] = rush_p_int(job->row.state);
    params[4] = rush_p_int(job->row.tries);

    rc = rush_te_run(te, REFUND_FAILED, params, 5, NULL);

    if (rc == RUSH_OK) {
        rush_log(RUSH_LOG_ERROR, "%s: refund %lld has failed: %s",
                 job->provider->name, (long long) job->row.id, cause);
        rush_teller_alarm(te, job->provider, "refund_failed", job->row.id,
                          cause);
    }

    return rush_refund_over(te, job, rc);
}


static int
rush_refund_later(rush_teller_t *te, rush_job_t *job, int64_t state,
    int64_t pause)
{
    int           rc;
    rush_param_t  params[4];

    params[0] = rush_p_int(rush_now() + pause);
    params[1] = rush_p_text(job->said.cause);
    params[2] = rush_p_int(job->row.id);
    params[3] = rush_p_int(state);

    rc = rush_te_run(te, REFUND_LATER, params, 4, NULL);

    return rush_refund_over(te, job, rc);
}


static int
rush_refund_next(rush_teller_t *te, rush_job_t *job, rush_op_e op)
{
    if (rush_job_call(te, job, op) != RUSH_OK) {
        rush_job_end(te, job);          /* the row comes due again */
    }

    return RUSH_OK;
}


/* a minute, later a quarter of its age, an hour at most */

static int64_t
rush_refund_gap(rush_teller_t *te, const rush_job_t *job)
{
    int64_t  gap, minute;

    minute = te->daemon->conf.pay.minute;
    gap = (rush_now() - job->row.created_ms) / 4;
    gap = gap < 60 * minute ? gap : 60 * minute;

    return gap > minute ? gap : minute;
}


static int
rush_refund_over(rush_teller_t *te, rush_job_t *job, int rc)
{
    if (rc == RUSH_DB_DOWN || rc == RUSH_DB_RETRY) {
        return RUSH_ERROR;
    }

    rush_job_end(te, job);

    return RUSH_OK;
}
