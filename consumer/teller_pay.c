
/*
 * Copyright (C) Rush
 *
 * A payment from what was asked for to what is closed.  What is paid goes to
 * rush_pay_apply(), whatever the state; nothing here believes in money.
 *
 *   asked    prepay; after an answer that never came, query first
 *   open     query from time to time
 *   closing  query; not paid: close; again, until the provider says so
 */


#include "rush_order.h"
#include "teller.h"


#define RUSH_PAYMENT_LONGEST  25        /* hours, of asking while closing */


static int rush_payment_asked(rush_teller_t *te, rush_job_t *job);
static int rush_payment_open(rush_teller_t *te, rush_job_t *job);
static int rush_payment_closing(rush_teller_t *te, rush_job_t *job);
static int rush_payment_paid(rush_teller_t *te, rush_job_t *job);
static int rush_payment_told(rush_teller_t *te, rush_job_t *job);
static int rush_payment_opened(rush_teller_t *te, rush_job_t *job);
static int rush_payment_end(rush_teller_t *te, rush_job_t *job, int state,
    const char *cause);
static int rush_payment_close(rush_teller_t *te, rush_job_t *job);
static int rush_payment_later(rush_teller_t *te, rush_job_t *job,
    int64_t tries, int64_t next);
static int rush_payment_next(rush_teller_t *te, rush_job_t *job,
    rush_op_e op);
static int rush_payment_update(rush_teller_t *te, rush_job_t *job, int stmt,
    const rush_param_t *params, size_t n);
static int rush_payment_is_over(const rush_job_t *job);
static int rush_payment_is_old(rush_teller_t *te, const rush_job_t *job);


int
rush_payment_begin(rush_teller_t *te, rush_job_t *job)
{
    rush_teller_row_t  *row;

    row = &job->row;

    if (rush_payment_is_over(job)) {

        /* nothing was sent: nothing is to be closed */

        if (row->state == RUSH_PAYMENT_ASKED && row->tries == 0) {
            return rush_payment_end(te, job, RUSH_PAYMENT_FAILED,
                                    "the order waits no more");
        }

        if (row->state != RUSH_PAYMENT_CLOSING) {
            return rush_payment_close(te, job);
        }
    }

    return rush_job_call(te, job,
                         row->state == RUSH_PAYMENT_ASKED && row->tries == 0
                         ? RUSH_OP_PREPAY : RUSH_OP_QUERY);
}


static int
rush_payment_is_over(const rush_job_t *job)
{
    return job->row.deadline_ms <= rush_now()
           || job->row.order_status != RUSH_ORDER_TO_PAY;
}


static int
rush_payment_is_old(rush_teller_t *te, const rush_job_t *job)
{
    return rush_now() - job->row.updated_ms
           > RUSH_PAYMENT_LONGEST * 60 * te->daemon->conf.pay.minute;
}


int
rush_payment_intent(rush_teller_t *te, rush_job_t *job)
{
    int            rc;
    rush_rows_t    rows;
    rush_param_t   params[4];

    memset(&rows, 0, sizeof(rush_rows_t));

    params[0] = rush_p_int(rush_call_lease(te, job->op));
    params[1] = rush_p_int(job->row.id);
    params[2] = rush_p_int(job->row.state);
    params[3] = rush_p_int(job->row.tries);

    rc = rush_te_run(te, PAYMENT_INTENT, params, 4, &rows);

    if (rc == RUSH_OK && rows.affected != 1) {
        rc = RUSH_ERROR;                /* a notice was faster */
    }

    rush_rows_free(&rows);
    job->row.tries++;

    return rc == RUSH_OK ? RUSH_OK : RUSH_ERROR;
}


int
rush_payment_said(rush_teller_t *te, rush_job_t *job)
{
    if (job->said.what == RUSH_SAID_PAID) {
        return rush_payment_paid(te, job);
    }

    switch (job->row.state) {

    case RUSH_PAYMENT_ASKED:
        return rush_payment_asked(te, job);

    case RUSH_PAYMENT_OPEN:
        return rush_payment_open(te, job);

    default:
        return rush_payment_closing(te, job);
    }
}


static int
rush_payment_asked(rush_teller_t *te, rush_job_t *job)
{
    if (job->op == RUSH_OP_PREPAY) {

        switch (job->said.what) {

        case RUSH_SAID_OPEN:
            return rush_payment_opened(te, job);

        case RUSH_SAID_ASK:
            return rush_payment_next(te, job, RUSH_OP_QUERY);

        case RUSH_SAID_REFUSED:
            return rush_payment_end(te, job, RUSH_PAYMENT_FAILED,
                                    job->said.cause);

        default:
            return rush_payment_later(te, job, job->row.tries,
                               rush_teller_pause(te, job->row.tries));
        }
    }

    switch (job->said.what) {

    case RUSH_SAID_OPEN:
    case RUSH_SAID_PAYING:
    case RUSH_SAID_ABSENT:

        if (rush_payment_is_over(job)) {
            return rush_payment_close(te, job);
        }

        /* the client has nothing to pay with: the same once more */

        return rush_payment_next(te, job, RUSH_OP_PREPAY);

    case RUSH_SAID_CLOSED:
        return rush_payment_end(te, job, RUSH_PAYMENT_CLOSED,
                                "closed by the provider");

    case RUSH_SAID_REFUSED:
        return rush_payment_end(te, job, RUSH_PAYMENT_FAILED,
                                job->said.cause);

    default:
        return rush_payment_later(te, job, job->row.tries,
                               rush_teller_pause(te, job->row.tries));
    }
}


static int
rush_payment_open(rush_teller_t *te, rush_job_t *job)
{
    int64_t  next, now;

    now = rush_now();

    switch (job->said.what) {

    case RUSH_SAID_OPEN:
    case RUSH_SAID_PAYING:
    case RUSH_SAID_ABSENT:

        /* absent: an Alipay trade begins when the buyer opens it */

        if (rush_payment_is_over(job)) {
            return rush_payment_close(te, job);
        }

        next = rush_pay_next(job->row.tries, job->row.created_ms, now,
                             te->daemon->conf.pay.minute);
        next = (next == 0 || next > job->row.deadline_ms)
               ? job->row.deadline_ms : next;

        return rush_payment_later(te, job, job->row.tries, next - now);

    case RUSH_SAID_CLOSED:
        return rush_payment_end(te, job, RUSH_PAYMENT_CLOSED,
                                "closed by the provider");

    default:

        /* no place of the schedule is lost by a provider that is silent */

        next = rush_teller_pause(te, 64);
        next = next > job->row.deadline_ms - now
               ? job->row.deadline_ms - now : next;

        return rush_payment_later(te, job, job->row.tries - 1,
                                  next > 0 ? next : 0);
    }
}


static int
rush_payment_closing(rush_teller_t *te, rush_job_t *job)
{
    int64_t  age;

    age = rush_now() - job->row.updated_ms;

    switch (job->said.what) {

    case RUSH_SAID_CLOSED:
        return rush_payment_end(te, job, RUSH_PAYMENT_CLOSED, "closed");

    case RUSH_SAID_ABSENT:

        if (!job->said.doubt) {
            return rush_payment_end(te, job, RUSH_PAYMENT_CLOSED,
                                    "the provider has never seen it");
        }

        /* fall through */

    case RUSH_SAID_OPEN:

        if (job->op == RUSH_OP_QUERY) {
            return rush_payment_next(te, job, RUSH_OP_CLOSE);
        }

        break;

    case RUSH_SAID_ASK:

        if (job->op == RUSH_OP_CLOSE) {
            return rush_payment_next(te, job, RUSH_OP_QUERY);
        }

        break;

    default:
        break;
    }

    /* whoever waits for the order waits no longer; what is paid later is
     * honoured or returned */

    if (rush_payment_is_old(te, job)
        || (job->said.what == RUSH_SAID_ABSENT
            && age > te->daemon->conf.pay.close_patience * 1000))
    {
        rush_teller_alarm(te, job->provider, "pay_close", job->row.id,
                          "could not be closed");
        return rush_payment_end(te, job, RUSH_PAYMENT_CLOSED,
                                "given up without an answer");
    }

    return rush_payment_later(te, job, job->row.tries,
                              rush_teller_pause(te, job->row.tries));
}


/* what it means is known where notices are applied */

static int
rush_payment_paid(rush_teller_t *te, rush_job_t *job)
{
    int                rc;
    char               key[40];
    rush_buf_t         copy;
    rush_did_e         did;
    const char        *why;
    rush_pay_facts_t   facts;

    memset(&facts, 0, sizeof(rush_pay_facts_t));
    memset(&copy, 0, sizeof(rush_buf_t));

    rush_buf_add(&copy, job->said.out.data, job->said.out.len);

    if (copy.failed || job->said.out.failed) {
        rush_buf_free(&copy);
        return RUSH_ERROR;
    }

    rc = rush_pay_facts(&facts, job->provider->number, copy.data, copy.len,
                        &why);
    did = RUSH_DID_NOTHING;

    if (rc == RUSH_OK) {
        snprintf(key, sizeof(key), "q:%lld", (long long) job->row.id);

        facts.provider = job->provider->number;
        facts.kind = RUSH_NOTICE_QUERY;
        facts.key = rush_text_str(key);
        facts.body = rush_buf_str(&job->said.out);
        facts.received_ms = rush_now();

        rc = rush_pay_apply(te->daemon, te->db, &facts, &did);

    } else {
        rush_log(RUSH_LOG_ERROR, "%s: payment %lld: answer of a query: %s",
                 job->provider->name, (long long) job->row.id, why);
        rc = RUSH_OK;
    }

    rush_buf_wipe(&copy);

    if (rc == RUSH_DB_DATA) {
        rush_said(job, RUSH_SAID_PAID, "cannot be applied: %s",
                  rush_db_error(te->db));
        rush_log(RUSH_LOG_ERROR, "%s: payment %lld: answer of a query: %s",
                 job->provider->name, (long long) job->row.id,
                 job->said.cause);

    } else if (rc != RUSH_OK) {
        return RUSH_ERROR;
    }

    return rush_payment_told(te, job);
}


/* of effect, the row is another one by now; else nobody has to be asked for
 * ever what somebody has been told of */

static int
rush_payment_told(rush_teller_t *te, rush_job_t *job)
{
    if (job->row.state == RUSH_PAYMENT_CLOSING) {

        if (rush_payment_is_old(te, job)) {
            rush_teller_alarm(te, job->provider, "pay_close", job->row.id,
                              "paid, but not as it was asked for");
            return rush_payment_end(te, job, RUSH_PAYMENT_CLOSED,
                                    "paid, but not as it was asked for");
        }

    } else if (rush_payment_is_over(job)) {
        return rush_payment_close(te, job);
    }

    return rush_payment_later(te, job, job->row.tries,
                              rush_teller_pause(te, 64));
}


static int
rush_payment_opened(rush_teller_t *te, rush_job_t *job)
{
    int64_t        now, next;
    rush_str_t     text;
    rush_param_t   params[5];

    now = rush_now();
    next = rush_pay_next(0, job->row.created_ms, now,
                         te->daemon->conf.pay.minute);

    if (next == 0 || next > job->row.deadline_ms) {
        next = job->row.deadline_ms;
    }

    text = rush_buf_str(&job->said.out);

    params[0] = rush_p_str(&text);
    params[1] = rush_p_int(next);
    params[2] = rush_p_int(now);
    params[3] = rush_p_int(job->row.id);
    params[4] = rush_p_int(job->row.tries);

    return rush_payment_update(te, job, RUSH_TE_SQL_PAYMENT_OPENED, params,
                               5);
}


static int
rush_payment_end(rush_teller_t *te, rush_job_t *job, int state,
    const char *cause)
{
    rush_param_t  params[7];

    params[0] = rush_p_int(state);
    params[1] = rush_p_text(cause);
    params[2] = rush_p_int(rush_now());
    params[3] = params[2];
    params[4] = rush_p_int(job->row.id);
    params[5] = rush_p_int(job->row.state);
    params[6] = rush_p_int(job->row.tries);

    return rush_payment_update(te, job, RUSH_TE_SQL_PAYMENT_ENDED, params, 7);
}


/* the row becomes due at once, as one that is closing */

static int
rush_payment_close(rush_teller_t *te, rush_job_t *job)
{
    rush_param_t  params[5];

    params[0] = rush_p_int(rush_now());
    params[1] = params[0];
    params[2] = rush_p_int(job->row.id);
    params[3] = rush_p_int(job->row.state);
    params[4] = rush_p_int(job->row.tries);

    te->next_poll = 0;

    return rush_payment_update(te, job, RUSH_TE_SQL_PAYMENT_CLOSING, params,
                               5);
}


static int
rush_payment_later(rush_teller_t *te, rush_job_t *job, int64_t tries,
    int64_t pause)
{
    rush_param_t  params[6];

    params[0] = rush_p_int(rush_now() + pause);
    params[1] = rush_p_text(job->said.cause);
    params[2] = rush_p_int(tries);
    params[3] = rush_p_int(job->row.id);
    params[4] = rush_p_int(job->row.state);
    params[5] = rush_p_int(job->row.tries);

    return rush_payment_update(te, job, RUSH_TE_SQL_PAYMENT_LATER, params, 6);
}


/* the same job goes on with another call */

static int
rush_payment_next(rush_teller_t *te, rush_job_t *job, rush_op_e op)
{
    if (rush_job_call(te, job, op) != RUSH_OK) {
        rush_job_end(te, job);          /* the row comes due again */
    }

    return RUSH_OK;
}


/* a row that is another one by now needs nothing */

static int
rush_payment_update(rush_teller_t *te, rush_job_t *job, int stmt,
    const rush_param_t *params, size_t n)
{
    int  rc;

    rc = rush_db_run(te->db, &rush_te_sql[stmt], params, n, NULL);

    if (rc == RUSH_DB_DOWN || rc == RUSH_DB_RETRY) {
        return RUSH_ERROR;
    }

    rush_job_end(te, job);

    return RUSH_OK;
}
