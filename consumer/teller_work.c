
/*
 * Copyright (C) Rush
 *
 * Rows that are due become jobs.  Each provider is looked for by itself, so
 * that one which is silent does not stand before the others.
 */


#include <stdlib.h>

#include "teller.h"


#define RUSH_WORK_SHARE  20             /* of the time, at most a 20th */


static int rush_work_payments(rush_teller_t *te, const rush_provider_t *p);
static int rush_work_ended(rush_teller_t *te, const rush_provider_t *p);
static int rush_work_refunds(rush_teller_t *te, const rush_provider_t *p);
static int rush_work_bills(rush_teller_t *te, const rush_provider_t *p);
static int rush_work_nobody(rush_teller_t *te, int provider);
static int rush_work_rows(rush_teller_t *te, const rush_provider_t *p,
    rush_job_e kind, const rush_rows_t *rows);
static void rush_work_row(rush_teller_row_t *row, const rush_rows_t *rows,
    size_t n);
static int64_t rush_work_room(rush_teller_t *te, const rush_provider_t *p);


static const rush_provider_t  *rush_providers[RUSH_PROVIDERS] = {
    [RUSH_PROVIDER_WECHAT] = &rush_provider_wechat,
    [RUSH_PROVIDER_ALIPAY] = &rush_provider_alipay,
    [RUSH_PROVIDER_SANDBOX] = &rush_provider_sandbox
};


const rush_provider_t *
rush_provider_get(int64_t number)
{
    return (number >= 0 && number < RUSH_PROVIDERS) ? rush_providers[number]
                                                    : NULL;
}


int
rush_work_find(rush_teller_t *te)
{
    int                     i, ended;
    const rush_provider_t  *p;

    ended = rush_mono() >= te->next_ended;
    te->more = 0;

    if (ended) {
        te->next_ended = rush_mono() + te->daemon->conf.pay.minute * 1000
                                       / RUSH_TELLER_ENDED;
    }

    for (i = 1; i < RUSH_PROVIDERS; i++) {
        p = rush_provider_get(i);

        if (p == NULL || !p->is_on(&te->daemon->conf)) {

            if (ended && rush_work_nobody(te, i) != RUSH_OK) {
                return RUSH_ERROR;
            }

            continue;
        }

        if (!rush_breaker_allows(te, p) || !p->is_ready(te)) {
            continue;
        }

        te->more |= (rush_jobs_free(te) == 0);

        if (rush_work_payments(te, p) != RUSH_OK
            || rush_work_refunds(te, p) != RUSH_OK
            || (ended && (rush_work_ended(te, p) != RUSH_OK
                          || rush_work_bills(te, p) != RUSH_OK)))
        {
            return RUSH_ERROR;
        }
    }

    return RUSH_OK;
}


static int
rush_work_payments(rush_teller_t *te, const rush_provider_t *p)
{
    int           rc;
    rush_rows_t   rows;
    rush_param_t  params[3];

    memset(&rows, 0, sizeof(rush_rows_t));

    params[0] = rush_p_int(p->number);
    params[1] = rush_p_int(rush_now());
    params[2] = rush_p_int(rush_work_room(te, p));

    if (params[2].i == 0) {
        return RUSH_OK;
    }

    rc = rush_te_run(te, PAYMENTS_DUE, params, 3, &rows);

    if (rc == RUSH_OK) {
        rc = rush_work_rows(te, p, RUSH_JOB_PAYMENT, &rows);
    }

    rush_rows_free(&rows);

    return rc == RUSH_OK ? RUSH_OK : RUSH_ERROR;
}


/* nobody can pay for an order any more: what is open is closed.  The order of
 * each open payment is looked at, so it may not be looked for too often */

static int
rush_work_ended(rush_teller_t *te, const rush_provider_t *p)
{
    int           rc;
    int64_t       start, next;
    rush_rows_t   rows;
    rush_param_t  params[2];

    memset(&rows, 0, sizeof(rush_rows_t));

    params[0] = rush_p_int(p->number);
    params[1] = rush_p_int(rush_work_room(te, p));

    if (params[1].i == 0) {
        return RUSH_OK;
    }

    start = rush_mono();
    rc = rush_te_run(te, PAYMENTS_ENDED, params, 2, &rows);
    next = rush_mono() + (rush_mono() - start) * RUSH_WORK_SHARE;
    te->next_ended = next > te->next_ended ? next : te->next_ended;

    if (rc == RUSH_OK) {
        rc = rush_work_rows(te, p, RUSH_JOB_PAYMENT, &rows);
    }

    rush_rows_free(&rows);

    return rc == RUSH_OK ? RUSH_OK : RUSH_ERROR;
}


/* one refund of a payment a minute: providers refuse more */

static int
rush_work_refunds(rush_teller_t *te, const rush_provider_t *p)
{
    int           rc;
    rush_rows_t   rows;
    rush_param_t  params[4];

    memset(&rows, 0, sizeof(rush_rows_t));

    params[0] = rush_p_int(p->number);
    params[1] = rush_p_int(rush_now());
    params[2] = rush_p_int(params[1].i - te->daemon->conf.pay.minute);
    params[3] = rush_p_int(rush_work_room(te, p));

    if (params[3].i == 0) {
        return RUSH_OK;
    }

    rc = rush_te_run(te, REFUNDS_DUE, params, 4, &rows);

    if (rc == RUSH_OK) {
        rc = rush_work_rows(te, p, RUSH_JOB_REFUND, &rows);
    }

    rush_rows_free(&rows);

    return rc == RUSH_OK ? RUSH_OK : RUSH_ERROR;
}


static int
rush_work_bills(rush_teller_t *te, const rush_provider_t *p)
{
    int           rc;
    rush_job_t   *job;
    rush_rows_t   rows;
    rush_param_t  params[3];

    /* one at a time: they are large */

    if (rush_work_room(te, p) == 0
        || rush_job_find(te, RUSH_JOB_BILL, p->number) != NULL)
    {
        return RUSH_OK;
    }

    memset(&rows, 0, sizeof(rush_rows_t));

    params[0] = rush_p_int(p->number);
    params[1] = rush_p_int(rush_now());
    params[2] = rush_p_int(1);

    rc = rush_te_run(te, BILLS_DUE, params, 3, &rows);

    if (rc == RUSH_OK && rows.n == 1) {
        job = rush_job_new(te, RUSH_JOB_BILL, p);

        if (job != NULL) {
            job->row.id = p->number;
            job->row.day = rush_cell_int(&rows, 0, 0);
            job->row.tries = rush_cell_int(&rows, 0, 2);

            if (rush_bill_begin(te, job) != RUSH_OK) {
                rush_job_end(te, job);
            }
        }
    }

    rush_rows_free(&rows);

    return rc == RUSH_OK ? RUSH_OK : RUSH_ERROR;
}


/* of a provider that is not configured (any more) */

static int
rush_work_nobody(rush_teller_t *te, int provider)
{
    rush_param_t  params[3];

    params[0] = rush_p_int(rush_now());
    params[1] = params[0];
    params[2] = rush_p_int(provider);

    return rush_te_run(te, PAYMENTS_NOBODY, params, 3, NULL) == RUSH_OK
           ? RUSH_OK : RUSH_ERROR;
}


static int
rush_work_rows(rush_teller_t *te, const rush_provider_t *p, rush_job_e kind,
    const rush_rows_t *rows)
{
    int          rc, begun, full;
    size_t       i;
    rush_job_t  *job;

    begun = 0;
    full = (rows->n > 1 && rush_jobs_free(te) <= rows->n);

    for (i = 0; i < rows->n; i++) {

        /* what waits to be stored may be due again */

        if (rush_job_find(te, kind, rush_cell_int(rows, i, 0)) != NULL) {
            continue;
        }

        if (!rush_breaker_allows(te, p)) {
            return RUSH_OK;
        }

        job = rush_job_new(te, kind, p);

        if (job == NULL) {
            return RUSH_OK;
        }

        rush_work_row(&job->row, rows, i);

        rc = kind == RUSH_JOB_PAYMENT ? rush_payment_begin(te, job)
                                      : rush_refund_begin(te, job);

        if (rc == RUSH_OK) {
            begun = 1;
            continue;
        }

        rush_job_end(te, job);

        if (!rush_db_connected(te->db)) {
            return RUSH_ERROR;
        }
    }

    /* the others are looked for as soon as there is a place, not at the next
     * turn of the clock; rows that cannot begin are no reason to hurry */

    te->more |= (begun && full);

    return RUSH_OK;
}


static void
rush_work_row(rush_teller_row_t *row, const rush_rows_t *rows, size_t n)
{
    size_t  i;

    struct {
        char    *text;
        size_t   size;
    } texts[] = {
        { row->order_no, sizeof(row->order_no) },
        { row->subject, sizeof(row->subject) },
        { row->payer, sizeof(row->payer) },
        { row->client_ip, sizeof(row->client_ip) },
        { row->transaction_id, sizeof(row->transaction_id) }
    };

    row->id = rush_cell_int(rows, n, 0);
    row->channel = rush_cell_int(rows, n, 1);
    row->amount = rush_cell_int(rows, n, 2);
    row->total = rush_cell_int(rows, n, 3);
    row->state = rush_cell_int(rows, n, 4);
    row->tries = rush_cell_int(rows, n, 5);
    row->deadline_ms = rush_cell_int(rows, n, 6);
    row->created_ms = rush_cell_int(rows, n, 7);
    row->updated_ms = rush_cell_int(rows, n, 8);
    row->order_status = rush_cell_int(rows, n, 9);

    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        rush_work_text(texts[i].text, texts[i].size,
                       rush_cell(rows, n, 10 + i));
    }

    row->payment = rows->cols > 15 ? rush_cell_int(rows, n, 15) : row->id;
}


void
rush_work_text(char *dst, size_t size, const rush_str_t *s)
{
    size_t  len;

    len = s->len < size ? s->len : size - 1;

    if (len > 0) {
        memcpy(dst, s->data, len);
    }

    dst[len] = '\0';
}


/* of a breaker that is half open one call may try */

static int64_t
rush_work_room(rush_teller_t *te, const rush_provider_t *p)
{
    int64_t  n;

    n = (int64_t) rush_jobs_free(te);

    if (n > 1
        && rush_breaker_state(&te->breakers[p->number])
           != RUSH_BREAKER_CLOSED)
    {
        n = 1;
    }

    return n;
}


int
rush_work_gauges(rush_teller_t *te)
{
    int64_t      now, first, other;
    rush_rows_t  rows;

    if (rush_mono() < te->next_gauges) {
        return RUSH_OK;
    }

    te->next_gauges = rush_mono() + te->daemon->conf.pay.poll * 5000;
    memset(&rows, 0, sizeof(rush_rows_t));

    if (rush_te_run(te, GAUGES, NULL, 0, &rows) != RUSH_OK || rows.n != 1) {
        rush_rows_free(&rows);
        return RUSH_ERROR;
    }

    now = rush_now();
    first = rush_cell_int(&rows, 0, 2);
    other = rush_cell_int(&rows, 0, 3);

    if (first == 0 || (other != 0 && other < first)) {
        first = other;
    }

    rush_stat_set(te->daemon, pay_open, rush_cell_int(&rows, 0, 0));
    rush_stat_set(te->daemon, refunds_waiting, rush_cell_int(&rows, 0, 1));
    rush_stat_set(te->daemon, pay_silent,
                  (first != 0 && first < now) ? now - first : 0);
    rush_rows_free(&rows);

    return RUSH_OK;
}


int64_t
rush_teller_pause(rush_teller_t *te, int64_t tries)
{
    int64_t           pause;
    rush_pay_conf_t  *conf;

    conf = &te->daemon->conf.pay;
    pause = conf->retry_min;

    while (tries-- > 1 && pause < conf->retry_max) {
        pause *= 2;
    }

    if (pause > conf->retry_max) {
        pause = conf->retry_max;
    }

    return pause * 3 / 4 + random() % (pause / 2 + 1);
}
