
/*
 * Copyright (C) Rush
 *
 * A provider of our own, for demo and drills: its trades are rows that only
 * this file and the buyer's "pay" of a worker change.  It is asked as the
 * others are, and answers at once.
 */


#include <stdlib.h>

#include "teller.h"


#define RUSH_SANDBOX_ID    "SBX"        /* before the id of the payment */


enum {
    RUSH_SANDBOX_WAITS = 0,
    RUSH_SANDBOX_PAID,
    RUSH_SANDBOX_CLOSED
};


static int rush_sandbox_is_on(const rush_conf_t *conf);
static int rush_sandbox_is_ready(rush_teller_t *te);
static const char *rush_sandbox_none(const rush_conf_t *conf);
static const char *rush_sandbox_host(const rush_conf_t *conf, unsigned n);
static int rush_sandbox_ask(rush_teller_t *te, rush_job_t *job);
static void rush_sandbox_judge(rush_teller_t *te, rush_job_t *job);
static int rush_sandbox_bill(rush_job_t *job, rush_bill_row_t **rows,
    size_t *n, const char **err);

static int rush_sandbox_prepay(rush_teller_t *te, rush_job_t *job);
static int rush_sandbox_query(rush_teller_t *te, rush_job_t *job);
static int rush_sandbox_close(rush_teller_t *te, rush_job_t *job);
static int rush_sandbox_refund(rush_teller_t *te, rush_job_t *job);
static int rush_sandbox_taken(rush_teller_t *te, rush_job_t *job);
static int rush_sandbox_refund_query(rush_teller_t *te, rush_job_t *job);
static int rush_sandbox_bill_file(rush_teller_t *te, rush_job_t *job);
static int rush_sandbox_bill_part(rush_teller_t *te, rush_job_t *job,
    int stmt, const char *mark);


const rush_provider_t  rush_provider_sandbox = {
    RUSH_PROVIDER_SANDBOX,
    RUSH_NOTICE_SANDBOX,
    rush_sandbox_is_on,
    rush_sandbox_is_ready,
    rush_sandbox_host,
    rush_sandbox_none,
    rush_sandbox_ask,
    rush_sandbox_judge,
    rush_sandbox_bill
};


static int
rush_sandbox_is_on(const rush_conf_t *conf)
{
    return conf->sandbox != 0;
}


static int
rush_sandbox_is_ready(rush_teller_t *te)
{
    return 1;
}


static const char *
rush_sandbox_none(const rush_conf_t *conf)
{
    return "";
}


static const char *
rush_sandbox_host(const rush_conf_t *conf, unsigned n)
{
    return "";
}


static int
rush_sandbox_ask(rush_teller_t *te, rush_job_t *job)
{
    int  rc;

    switch (job->op) {

    case RUSH_OP_PREPAY:
        rc = rush_sandbox_prepay(te, job);
        break;

    case RUSH_OP_QUERY:
        rc = rush_sandbox_query(te, job);
        break;

    case RUSH_OP_CLOSE:
        rc = rush_sandbox_close(te, job);
        break;

    case RUSH_OP_REFUND:
        rc = rush_sandbox_refund(te, job);
        break;

    case RUSH_OP_REFUND_QUERY:
        rc = rush_sandbox_refund_query(te, job);
        break;

    case RUSH_OP_BILL:
        rush_said(job, RUSH_SAID_HAVE, NULL);
        rc = RUSH_OK;
        break;

    case RUSH_OP_BILL_FILE:
        rc = rush_sandbox_bill_file(te, job);
        break;

    default:
        rc = RUSH_ERROR;
    }

    if (rc != RUSH_OK || job->said.out.failed) {
        return RUSH_ERROR;
    }

    return RUSH_PROVIDER_DONE;
}


/* no call, no answer */

static void
rush_sandbox_judge(rush_teller_t *te, rush_job_t *job)
{
    rush_said(job, RUSH_SAID_UNKNOWN, NULL);
}


static int
rush_sandbox_prepay(rush_teller_t *te, rush_job_t *job)
{
    int            rc;
    char           url[80];
    rush_buf_t    *b;
    rush_param_t   params[3];

    params[0] = rush_p_int(job->row.id);
    params[1] = rush_p_int(job->row.amount);
    params[2] = rush_p_int(rush_now());

    rc = rush_te_run(te, SANDBOX_MAKE, params, 3, NULL);

    if (rc != RUSH_OK && rc != RUSH_DB_DUP) {
        return RUSH_ERROR;
    }

    snprintf(url, sizeof(url), "/api/v1/payment/sandbox/%lld/pay",
             (long long) job->row.id);

    b = &job->said.out;
    rush_json_open(b, NULL, '{');
    rush_json_text(b, "pay_url", url);
    rush_json_close(b, '}');

    rush_said(job, RUSH_SAID_OPEN, NULL);

    return RUSH_OK;
}


static int
rush_sandbox_query(rush_teller_t *te, rush_job_t *job)
{
    int64_t        state;
    rush_buf_t    *b;
    rush_rows_t    rows;
    rush_param_t   param;
    char           number[sizeof(RUSH_SANDBOX_ID) + RUSH_PAY_NUMBER];

    memset(&rows, 0, sizeof(rush_rows_t));
    param = rush_p_int(job->row.id);

    if (rush_te_run(te, SANDBOX_GET, &param, 1, &rows) != RUSH_OK) {
        return RUSH_ERROR;
    }

    state = rows.n == 1 ? rush_cell_int(&rows, 0, 0) : -1;

    if (state == RUSH_SANDBOX_PAID) {
        snprintf(number, sizeof(number), RUSH_SANDBOX_ID "%lld",
                 (long long) job->row.id);

        b = &job->said.out;
        rush_json_open(b, NULL, '{');
        rush_json_id(b, "out_trade_no", job->row.id);
        rush_json_text(b, "transaction_id", number);
        rush_json_text(b, "trade_type", "SANDBOX");
        rush_json_text(b, "trade_state", "SUCCESS");
        rush_json_time(b, "success_time", rush_cell_int(&rows, 0, 1));
        rush_json_open(b, "amount", '{');
        rush_json_int(b, "total", rush_cell_int(&rows, 0, 2));
        rush_json_text(b, "currency", "CNY");
        rush_json_close(b, '}');
        rush_json_close(b, '}');
    }

    rush_rows_free(&rows);

    rush_said(job, state == RUSH_SANDBOX_PAID ? RUSH_SAID_PAID
                   : state == RUSH_SANDBOX_CLOSED ? RUSH_SAID_CLOSED
                   : state == RUSH_SANDBOX_WAITS ? RUSH_SAID_OPEN
                   : RUSH_SAID_ABSENT, NULL);

    return RUSH_OK;
}


static int
rush_sandbox_close(rush_teller_t *te, rush_job_t *job)
{
    int           rc;
    rush_rows_t   rows;
    rush_param_t  param;

    memset(&rows, 0, sizeof(rush_rows_t));
    param = rush_p_int(job->row.id);

    rc = rush_te_run(te, SANDBOX_CLOSE, &param, 1, &rows);

    if (rc == RUSH_OK) {
        rush_said(job, rows.affected == 1 ? RUSH_SAID_CLOSED : RUSH_SAID_ASK,
                  NULL);
    }

    rush_rows_free(&rows);

    return rc == RUSH_OK ? RUSH_OK : RUSH_ERROR;
}


static int
rush_sandbox_refund(rush_teller_t *te, rush_job_t *job)
{
    int  rc;

    rc = rush_db_begin(te->db);

    if (rc == RUSH_OK) {
        rc = rush_sandbox_taken(te, job);
    }

    if (rc == RUSH_OK && job->said.what == RUSH_SAID_DONE) {
        rc = rush_db_commit(te->db);

    } else {
        rush_db_rollback(te->db);
    }

    if (rc == RUSH_OK && job->said.what == RUSH_SAID_DONE) {
        return rush_sandbox_refund_query(te, job);
    }

    return rc == RUSH_OK ? RUSH_OK : RUSH_ERROR;
}


static int
rush_sandbox_taken(rush_teller_t *te, rush_job_t *job)
{
    int           rc;
    rush_rows_t   rows;
    rush_param_t  params[4];

    memset(&rows, 0, sizeof(rush_rows_t));

    params[0] = rush_p_int(job->row.id);
    params[1] = rush_p_int(job->row.payment);
    params[2] = rush_p_int(job->row.amount);
    params[3] = rush_p_int(rush_now());

    rc = rush_te_run(te, SANDBOX_REFUND_MAKE, params, 4, NULL);

    if (rc == RUSH_DB_DUP) {
        rush_said(job, RUSH_SAID_ASK, NULL);
        return RUSH_OK;
    }

    if (rc != RUSH_OK) {
        return rc;
    }

    params[0] = rush_p_int(job->row.amount);
    params[2] = params[0];

    rc = rush_te_run(te, SANDBOX_REFUND_TAKE, params, 3, &rows);

    if (rc == RUSH_OK) {
        rush_said(job, rows.affected == 1 ? RUSH_SAID_DONE
                                          : RUSH_SAID_REFUSED,
                  rows.affected == 1 ? NULL : "NOT_ENOUGH");
    }

    rush_rows_free(&rows);

    return rc;
}


static int
rush_sandbox_refund_query(rush_teller_t *te, rush_job_t *job)
{
    char           number[RUSH_PAY_NUMBER];
    rush_buf_t    *b;
    rush_rows_t    rows;
    rush_param_t   param;

    memset(&rows, 0, sizeof(rush_rows_t));
    param = rush_p_int(job->row.id);

    if (rush_te_run(te, SANDBOX_REFUND_GET, &param, 1, &rows) != RUSH_OK) {
        return RUSH_ERROR;
    }

    rush_said(job, rows.n == 1 ? RUSH_SAID_DONE : RUSH_SAID_ABSENT, NULL);

    if (rows.n == 1) {
        snprintf(number, sizeof(number), RUSH_REFUND_PREFIX "%lld",
                 (long long) job->row.id);

        b = &job->said.out;
        rush_json_open(b, NULL, '{');
        rush_json_id(b, "out_trade_no", job->row.payment);
        rush_json_text(b, "out_refund_no", number);
        rush_json_text(b, "refund_id", number);
        rush_json_text(b, "refund_status", "SUCCESS");
        rush_json_time(b, "success_time", rush_cell_int(&rows, 0, 1));
        rush_json_open(b, "amount", '{');
        rush_json_int(b, "total", rush_cell_int(&rows, 0, 2));
        rush_json_int(b, "refund", rush_cell_int(&rows, 0, 0));
        rush_json_text(b, "currency", "CNY");
        rush_json_close(b, '}');
        rush_json_close(b, '}');
    }

    rush_rows_free(&rows);

    return RUSH_OK;
}


/* lines "P number amount" and "R number amount" */

static int
rush_sandbox_bill_file(rush_teller_t *te, rush_job_t *job)
{
    if (rush_sandbox_bill_part(te, job, RUSH_TE_SQL_SANDBOX_PAID, "P ")
        != RUSH_OK
        || rush_sandbox_bill_part(te, job, RUSH_TE_SQL_SANDBOX_REFUNDED, "R ")
           != RUSH_OK)
    {
        return RUSH_ERROR;
    }

    rush_said(job, RUSH_SAID_HAVE, NULL);

    return RUSH_OK;
}


static int
rush_sandbox_bill_part(rush_teller_t *te, rush_job_t *job, int stmt,
    const char *mark)
{
    size_t         i;
    int64_t        from;
    rush_rows_t    rows;
    rush_param_t   params[2];

    memset(&rows, 0, sizeof(rush_rows_t));
    from = rush_pay_day_start(job->row.day);

    params[0] = rush_p_int(from);
    params[1] = rush_p_int(from + RUSH_PAY_DAY);

    if (rush_db_run(te->db, &rush_te_sql[stmt], params, 2, &rows)
        != RUSH_OK)
    {
        return RUSH_ERROR;
    }

    for (i = 0; i < rows.n; i++) {
        rush_buf_printf(&job->said.out, "%s%lld %lld\n", mark,
                        (long long) rush_cell_int(&rows, i, 0),
                        (long long) rush_cell_int(&rows, i, 1));
    }

    rush_rows_free(&rows);

    return RUSH_OK;
}


static int
rush_sandbox_bill(rush_job_t *job, rush_bill_row_t **rows, size_t *n,
    const char **err)
{
    char             *p, *end;
    size_t            most;
    rush_bill_row_t  *row;

    *n = 0;
    most = job->said.out.len / 4 + 1;
    *rows = calloc(most, sizeof(rush_bill_row_t));

    rush_buf_add(&job->said.out, "", 1);

    if (*rows == NULL || job->said.out.failed) {
        *err = "no memory";
        return RUSH_UNSURE;
    }

    for (p = (char *) job->said.out.data; *p != '\0'; p = end + 1) {
        row = &(*rows)[(*n)++];
        row->refund = (*p == 'R');
        snprintf(row->number, sizeof(row->number), "%s%lld",
                 row->refund ? RUSH_REFUND_PREFIX : "",
                 strtoll(p + 2, &end, 10));
        row->amount = strtoll(end, &end, 10);
    }

    return RUSH_OK;
}
