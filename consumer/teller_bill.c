
/*
 * Copyright (C) Rush
 *
 * Daily bills: asked for once a day, from "bill_hour" in China on, or by an
 * administrator; fetched, taken apart, and handed over to be compared.
 */


#include <stdlib.h>

#include "teller.h"


#define RUSH_BILLS_PERIOD  60           /* s */
#define RUSH_BILL_TRIES    30


static int rush_bill_compared(rush_teller_t *te, rush_job_t *job);
static int rush_bill_later(rush_teller_t *te, rush_job_t *job);
static int rush_bill_failed(rush_teller_t *te, rush_job_t *job,
    const char *cause);
static int rush_bill_over(rush_teller_t *te, rush_job_t *job, int rc);


/* yesterday's, of each provider that is configured */

int
rush_bills_due(rush_teller_t *te)
{
    int                     i;
    int64_t                 now;
    rush_param_t            params[4];
    const rush_conf_t      *conf;
    const rush_provider_t  *p;

    conf = &te->daemon->conf;
    now = rush_now();

    if (!conf->pay.bills || rush_mono() < te->next_bills
        || (now + RUSH_PAY_ZONE) / RUSH_PAY_HOUR % 24 < conf->pay.bill_hour)
    {
        return RUSH_OK;
    }

    for (i = 1; i < RUSH_PROVIDERS; i++) {
        p = rush_provider_get(i);

        if (p == NULL || !p->is_on(conf)) {
            continue;
        }

        params[0] = rush_p_int(rush_pay_day(now - RUSH_PAY_DAY));
        params[1] = rush_p_int(i);
        params[2] = rush_p_int(now);
        params[3] = params[2];

        if (rush_te_run(te, BILL_MAKE, params, 4, NULL) != RUSH_OK) {
            return RUSH_ERROR;
        }
    }

    te->next_bills = rush_mono() + RUSH_BILLS_PERIOD * conf->pay.minute
                                   / 60 * 1000;

    return RUSH_OK;
}


int
rush_bill_begin(rush_teller_t *te, rush_job_t *job)
{
    if (job->row.tries >= RUSH_BILL_TRIES) {
        return rush_bill_failed(te, job, "given up");
    }

    if (rush_pay_day_start(job->row.day) == 0) {
        return rush_bill_failed(te, job, "there is no such day");
    }

    return rush_job_call(te, job, RUSH_OP_BILL);
}


int
rush_bill_intent(rush_teller_t *te, rush_job_t *job)
{
    int           rc;
    rush_rows_t   rows;
    rush_param_t  params[5];

    memset(&rows, 0, sizeof(rush_rows_t));

    params[0] = rush_p_int(rush_call_lease(te, job->op));
    params[1] = rush_p_int(rush_now());
    params[2] = rush_p_int(job->row.day);
    params[3] = rush_p_int(job->provider->number);
    params[4] = rush_p_int(job->row.tries);

    rc = rush_te_run(te, BILL_INTENT, params, 5, &rows);

    if (rc == RUSH_OK && rows.affected != 1) {
        rc = RUSH_ERROR;
    }

    rush_rows_free(&rows);
    job->row.tries++;

    return rc == RUSH_OK ? RUSH_OK : RUSH_ERROR;
}


int
rush_bill_said(rush_teller_t *te, rush_job_t *job)
{
    switch (job->said.what) {

    case RUSH_SAID_HAVE:

        if (job->op == RUSH_OP_BILL_FILE) {
            return rush_bill_compared(te, job);
        }

        if (rush_job_call(te, job, RUSH_OP_BILL_FILE) == RUSH_OK) {
            return RUSH_OK;
        }

        /* the lease of a file is long, and nobody waits for this one */

        job->store = 1;
        rush_said(job, RUSH_SAID_UNKNOWN, "the file could not be asked for");
        return rush_bill_later(te, job);

    case RUSH_SAID_ABSENT:

        /* a day without a trade has no bill */

        rush_buf_reset(&job->said.out);
        job->op = RUSH_OP_NONE;
        return rush_bill_compared(te, job);

    case RUSH_SAID_REFUSED:
        return rush_bill_failed(te, job, job->said.cause);

    default:
        return rush_bill_later(te, job);
    }
}


static int
rush_bill_compared(rush_teller_t *te, rush_job_t *job)
{
    int               rc;
    size_t            n;
    const char       *why;
    rush_bill_row_t  *rows;

    n = 0;
    rows = NULL;

    rc = (job->op == RUSH_OP_NONE) ? RUSH_OK
         : job->provider->bill(job, &rows, &n, &why);

    if (rc == RUSH_ERROR) {
        free(rows);
        return rush_bill_failed(te, job, why);
    }

    if (rc == RUSH_OK) {
        rc = rush_bill_compare(te->daemon, te->db, job->row.day,
                               job->provider->number, rows, n);
    }

    free(rows);

    if (rc == RUSH_OK) {
        rush_job_end(te, job);
        return RUSH_OK;
    }

    /* it is fetched once more, after a pause */

    rush_said(job, RUSH_SAID_UNKNOWN, "it could not be compared");
    return rush_bill_later(te, job);
}


static int
rush_bill_later(rush_teller_t *te, rush_job_t *job)
{
    rush_param_t  params[5];

    params[0] = rush_p_int(rush_now()
                           + rush_teller_pause(te, job->row.tries + 4));
    params[1] = rush_p_text(job->said.cause);
    params[2] = rush_p_int(rush_now());
    params[3] = rush_p_int(job->row.day);
    params[4] = rush_p_int(job->provider->number);

    return rush_bill_over(te, job, rush_te_run(te, BILL_LATER, params, 5,
                                               NULL));
}


static int
rush_bill_failed(rush_teller_t *te, rush_job_t *job, const char *cause)
{
    rush_param_t  params[4];

    rush_log(RUSH_LOG_ERROR, "%s: bill of %lld: %s", job->provider->name,
             (long long) job->row.day, cause);

    params[0] = rush_p_text(cause);
    params[1] = rush_p_int(rush_now());
    params[2] = rush_p_int(job->row.day);
    params[3] = rush_p_int(job->provider->number);

    return rush_bill_over(te, job, rush_te_run(te, BILL_FAILED, params, 4,
                                               NULL));
}


static int
rush_bill_over(rush_teller_t *te, rush_job_t *job, int rc)
{
    if (rc == RUSH_DB_DOWN || rc == RUSH_DB_RETRY) {
        return RUSH_ERROR;
    }

    rush_job_end(te, job);

    return RUSH_OK;
}
