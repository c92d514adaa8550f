
/*
 * Copyright (C) Rush
 *
 * What had to wait: notices that came before their payment, refunds that an
 * administrator has approved, dead letters that are to be tried again, and
 * settlements.  Several cashiers may do the same at once.
 */


#include <stdlib.h>

#include "cashier.h"
#include "rush_field.h"


#define RUSH_SWEEP_PAGE       100       /* LIMIT of the statements */
#define RUSH_LETTER_OPEN      0
#define RUSH_LETTER_REPLAYED  1
#define RUSH_LETTER_ASKED     3


static int rush_cashier_unmatched(rush_cashier_t *ca);
static int rush_cashier_old(rush_cashier_t *ca);
static int rush_cashier_tell(rush_cashier_t *ca, const rush_rows_t *rows,
    size_t i);
static int rush_cashier_approved(rush_cashier_t *ca);
static int rush_cashier_letters(rush_cashier_t *ca);
static int rush_cashier_letter(rush_cashier_t *ca, const rush_rows_t *rows,
    size_t i);
static int rush_cashier_gauges(rush_cashier_t *ca);
static int rush_cashier_gauge(rush_cashier_t *ca, const rush_stmt_t *stmt,
    int64_t *n);


int
rush_cashier_sweep(rush_cashier_t *ca)
{
    int     rc;
    size_t  i;

    static int (*const parts[])(rush_cashier_t *ca) = {
        rush_cashier_unmatched,
        rush_cashier_old,
        rush_cashier_approved,
        rush_cashier_letters,
        rush_cashier_gauges
    };

    for (i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        rc = parts[i](ca);

        /* a deadlock: again at the next sweep */

        if (rc != RUSH_OK && rc != RUSH_DB_RETRY) {
            return rc;
        }
    }

    rc = rush_settle_due(ca->daemon, ca->db, rush_now(), &ca->settled);

    return rc == RUSH_DB_RETRY ? RUSH_OK : rc;
}


/* their rows are there by now; a page a sweep, so that those which still do
 * not fit hold up nobody */

static int
rush_cashier_unmatched(rush_cashier_t *ca)
{
    int           rc;
    size_t        i;
    const char   *cause;
    rush_rows_t   rows;
    rush_told_t   told;
    rush_param_t  param;

    memset(&rows, 0, sizeof(rush_rows_t));
    memset(&told, 0, sizeof(rush_told_t));
    param = rush_p_int(ca->after_notice);

    rc = rush_cash_run(ca->db, NOTICES_DUE, &param, 1, &rows);

    for (i = 0; i < rows.n && rc == RUSH_OK; i++) {
        ca->after_notice = rush_cell_int(&rows, i, 0);

        told.provider = (int) rush_cell_int(&rows, i, 1);
        told.key = *rush_cell(&rows, i, 2);
        told.kind = rush_str_is(rush_cell(&rows, i, 3), RUSH_NOTICE_REFUND)
                    ? RUSH_NOTICE_REFUND : RUSH_NOTICE_PAY;
        told.body = *rush_cell(&rows, i, 4);
        told.received_ms = rush_cell_int(&rows, i, 5);
        told.again = 1;

        rc = rush_cashier_apply(ca, &told, &cause);

        if (rc == RUSH_DB_DATA) {
            rush_log(RUSH_LOG_ERROR, "notice %lld cannot be applied: %s",
                     (long long) ca->after_notice, cause);
            rc = RUSH_OK;
        }
    }

    if (rc == RUSH_OK && rows.n < RUSH_SWEEP_PAGE) {
        ca->after_notice = 0;
    }

    rush_rows_free(&rows);

    return rc;
}


/* money that nobody has asked for: somebody has to look at it, once */

static int
rush_cashier_old(rush_cashier_t *ca)
{
    int           rc;
    size_t        i;
    rush_rows_t   rows;
    rush_param_t  param;

    memset(&rows, 0, sizeof(rush_rows_t));
    param = rush_p_int(rush_now()
                       - ca->daemon->conf.cashier.unmatched_alarm * 1000);

    rc = rush_cash_run(ca->db, NOTICES_OLD, &param, 1, &rows);

    for (i = 0; i < rows.n && rc == RUSH_OK; i++) {
        rc = rush_cashier_tell(ca, &rows, i);
    }

    rush_rows_free(&rows);

    return rc;
}


static int
rush_cashier_tell(rush_cashier_t *ca, const rush_rows_t *rows, size_t i)
{
    int           rc;
    rush_rows_t   told;
    rush_param_t  param;

    memset(&told, 0, sizeof(rush_rows_t));
    param = rush_p_int(rush_cell_int(rows, i, 0));

    rc = rush_db_begin(ca->db);

    if (rc == RUSH_OK) {
        rc = rush_cash_run(ca->db, NOTICE_TOLD, &param, 1, &told);
    }

    if (rc == RUSH_OK && told.affected == 1) {
        rc = rush_alarm(ca->daemon, ca->db, "payment_unmatched", 0,
                        "notice %s: payment %s, refund %s of %s: %s fen, and "
                        "no such row",
                        (char *) rush_cell(rows, i, 0)->data,
                        (char *) rush_cell(rows, i, 2)->data,
                        (char *) rush_cell(rows, i, 3)->data,
                        rush_provider_name(rush_cell_int(rows, i, 1)),
                        (char *) rush_cell(rows, i, 4)->data);
    }

    rush_rows_free(&told);

    if (rc == RUSH_OK) {
        rc = rush_db_commit(ca->db);
    }

    if (rc != RUSH_OK) {
        rush_db_rollback(ca->db);
    }

    return rc;
}


static int
rush_cashier_approved(rush_cashier_t *ca)
{
    int           rc;
    size_t        i;
    rush_rows_t   rows;
    rush_param_t  param;

    memset(&rows, 0, sizeof(rush_rows_t));
    param = rush_p_int(ca->after_refund);

    rc = rush_cash_run(ca->db, REFUNDS_DUE, &param, 1, &rows);

    for (i = 0; i < rows.n && rc == RUSH_OK; i++) {
        ca->after_refund = rush_cell_int(&rows, i, 0);
        rc = rush_refund_reserve(ca->daemon, ca->db, ca->after_refund);

        if (rc == RUSH_DB_DATA) {
            rush_log(RUSH_LOG_ERROR, "refund %lld cannot be reserved: %s",
                     (long long) ca->after_refund, rush_db_error(ca->db));
            rc = RUSH_OK;
        }
    }

    if (rc == RUSH_OK && rows.n < RUSH_SWEEP_PAGE) {
        ca->after_refund = 0;
    }

    rush_rows_free(&rows);

    return rc;
}


static int
rush_cashier_letters(rush_cashier_t *ca)
{
    int          rc;
    size_t       i;
    rush_rows_t  rows;

    memset(&rows, 0, sizeof(rush_rows_t));

    rc = rush_cash_run(ca->db, LETTERS_ASKED, NULL, 0, &rows);

    for (i = 0; i < rows.n && rc == RUSH_OK; i++) {
        rc = rush_cashier_letter(ca, &rows, i);
    }

    rush_rows_free(&rows);

    return rc;
}


/* it is closed, or open again with what is wrong with it */

static int
rush_cashier_letter(rush_cashier_t *ca, const rush_rows_t *rows, size_t i)
{
    int           rc, state;
    redisReply   *entry;
    const char   *cause;
    rush_param_t  params[5];

    entry = rush_dead_body(rush_cell(rows, i, 2), rush_cell(rows, i, 1));
    cause = "the body cannot be read";

    rc = entry == NULL ? RUSH_ERROR
         : rush_cashier_replay(ca->daemon, ca->db, entry, &cause);

    freeReplyObject(entry);

    if (rc != RUSH_OK && rc != RUSH_ERROR) {
        return rc;
    }

    state = rc == RUSH_OK ? RUSH_LETTER_REPLAYED : RUSH_LETTER_OPEN;

    params[0] = rush_p_int(state);
    params[1] = rush_p_null();

    if (rc != RUSH_OK) {
        params[1] = rush_p_text(cause);
    }

    params[2] = rush_p_int(rc == RUSH_OK ? rush_now() : 0);
    params[3] = rush_p_int(rush_cell_int(rows, i, 0));
    params[4] = rush_p_int(RUSH_LETTER_ASKED);

    return rush_cash_run(ca->db, LETTER_TURN, params, 5, NULL);
}


static int
rush_cashier_gauges(rush_cashier_t *ca)
{
    int      rc;
    int64_t  n;

    rc = rush_cashier_gauge(ca, &rush_cash_sql[RUSH_CASH_SQL_NOTICES_OPEN],
                            &n);

    if (rc == RUSH_OK) {
        rush_stat_set(ca->daemon, notices_open, n);

        rc = rush_cashier_gauge(ca,
                                &rush_cash_sql[RUSH_CASH_SQL_REFUNDS_FAILED],
                                &n);
    }

    if (rc == RUSH_OK) {
        rush_stat_set(ca->daemon, refunds_open, n);
    }

    return rc;
}


static int
rush_cashier_gauge(rush_cashier_t *ca, const rush_stmt_t *stmt, int64_t *n)
{
    int          rc;
    rush_rows_t  rows;

    memset(&rows, 0, sizeof(rush_rows_t));

    rc = rush_db_run(ca->db, stmt, NULL, 0, &rows);
    *n = rows.n == 1 ? rush_cell_int(&rows, 0, 0) : 0;
    rush_rows_free(&rows);

    return rc;
}
