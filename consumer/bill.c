
/*
 * Copyright (C) Rush
 *
 * A provider's bill of a day against our payments and refunds.  Both sides
 * are sorted by number and walked together.  A row of the bill that is none
 * of that day for us is looked for among all: clocks differ at midnight, and
 * it is no difference when we have it on another day.
 */


#include <stdlib.h>

#include "pay_int.h"


#define RUSH_BILL_PAGE   5000           /* LIMIT of the statements */
#define RUSH_BILL_DIFFS  1000           /* stored; all are counted */


typedef struct {
    int64_t          id;
    int64_t          amount;
    int64_t          shop;
} rush_bill_ours_t;


typedef struct {
    const char      *kind;
    char             number[RUSH_PAY_NUMBER];
    int64_t          ours;
    int64_t          theirs;
} rush_bill_diff_t;


typedef struct {
    int64_t          shop;
    int64_t          fee;
} rush_bill_fee_t;


typedef struct {
    rush_daemon_t     *daemon;
    rush_db_t         *db;
    int64_t            day;
    int                provider;

    rush_bill_row_t   *rows;            /* theirs, sorted */
    size_t             n;

    rush_bill_ours_t  *ours;            /* owned, of one kind */
    size_t             nours;
    rush_bill_diff_t  *diffs;           /* owned, RUSH_BILL_DIFFS */
    size_t             ndiffs;          /* found */
    rush_bill_fee_t   *fees;            /* owned, one a matched row */
    size_t             nfees;

    int64_t            count[2];        /* sums of theirs; 1: refunds */
    int64_t            sum[2];
    int64_t            fee;
} rush_bill_t;


static size_t rush_bill_sort(rush_bill_row_t *rows, size_t n);
static int rush_bill_cmp(const void *one, const void *two);
static int64_t rush_bill_id(const rush_bill_row_t *row);
static int rush_bill_side(rush_bill_t *b, int refund);
static int rush_bill_read(rush_bill_t *b, int refund);
static int rush_bill_page(rush_bill_t *b, int refund, int64_t after,
    size_t *n);
static int rush_bill_walk(rush_bill_t *b, int refund);
static int rush_bill_theirs(rush_bill_t *b, const rush_bill_row_t *row);
static void rush_bill_match(rush_bill_t *b, const rush_bill_row_t *row,
    const rush_bill_ours_t *ours);
static void rush_bill_diff(rush_bill_t *b, const char *kind,
    const char *number, int64_t ours, int64_t theirs);
static int rush_bill_body(void *data);
static int rush_bill_diffs(rush_bill_t *b, int64_t now);
static int rush_bill_fees(rush_bill_t *b);
static int rush_bill_fee_cmp(const void *one, const void *two);


int
rush_bill_compare(rush_daemon_t *d, rush_db_t *db, int64_t day,
    int provider, rush_bill_row_t *rows, size_t n)
{
    int          rc;
    rush_bill_t  b;

    memset(&b, 0, sizeof(rush_bill_t));

    b.daemon = d;
    b.db = db;
    b.day = day;
    b.provider = provider;
    b.rows = rows;
    b.n = rush_bill_sort(rows, n);

    if (rush_pay_day_start(day) == 0) {
        return RUSH_DB_DATA;
    }

    rc = RUSH_DB_DOWN;

    b.diffs = calloc(RUSH_BILL_DIFFS, sizeof(rush_bill_diff_t));
    b.fees = calloc(b.n + 1, sizeof(rush_bill_fee_t));

    if (b.diffs == NULL || b.fees == NULL) {
        rush_log(RUSH_LOG_ERROR, "bill: no memory");
        goto done;
    }

    rc = rush_bill_side(&b, 0);

    if (rc == RUSH_OK) {
        rc = rush_bill_side(&b, 1);
    }

    if (rc == RUSH_OK) {
        rc = rush_settle_day(d, db, day);
    }

    if (rc == RUSH_OK) {
        rc = rush_pay_transaction(d, db, rush_bill_body, &b);
    }

done:

    free(b.ours);
    free(b.diffs);
    free(b.fees);

    return rc;
}


/* one row a number; returns how many are left */

static size_t
rush_bill_sort(rush_bill_row_t *rows, size_t n)
{
    size_t  i, k;

    if (n == 0) {
        return 0;
    }

    qsort(rows, n, sizeof(rush_bill_row_t), rush_bill_cmp);

    for (i = 1, k = 0; i < n; i++) {

        if (rush_bill_cmp(&rows[k], &rows[i]) == 0) {
            rows[k].amount += rows[i].amount;
            rows[k].fee += rows[i].fee;
            continue;
        }

        rows[++k] = rows[i];
    }

    return k + 1;
}


/* payments, then refunds; by id, and what is no number of ours by its text */

static int
rush_bill_cmp(const void *one, const void *two)
{
    int64_t                 x, y;
    const rush_bill_row_t  *a, *b;

    a = one;
    b = two;

    if (a->refund != b->refund) {
        return a->refund - b->refund;
    }

    x = rush_bill_id(a);
    y = rush_bill_id(b);

    return x < y ? -1 : x > y ? 1 : strcmp(a->number, b->number);
}


static int64_t
rush_bill_id(const rush_bill_row_t *row)
{
    rush_str_t  text;

    text.data = (unsigned char *) (uintptr_t) row->number;
    text.len = strlen(row->number);

    return row->refund ? rush_refund_number(&text) : rush_pay_number(&text);
}


static int
rush_bill_side(rush_bill_t *b, int refund)
{
    int  rc;

    free(b->ours);
    b->ours = NULL;
    b->nours = 0;

    rc = rush_bill_read(b, refund);

    return rc == RUSH_OK ? rush_bill_walk(b, refund) : rc;
}


static int
rush_bill_read(rush_bill_t *b, int refund)
{
    int      rc;
    size_t   n;
    int64_t  after;

    after = 0;

    for ( ;; ) {
        rc = rush_bill_page(b, refund, after, &n);

        if (rc != RUSH_OK || n == 0) {
            return rc;
        }

        if (n < RUSH_BILL_PAGE) {
            return RUSH_OK;
        }

        after = b->ours[b->nours - 1].id;
    }
}


static int
rush_bill_page(rush_bill_t *b, int refund, int64_t after, size_t *n)
{
    int                rc;
    size_t             i;
    int64_t            start;
    rush_rows_t        rows;
    rush_param_t       params[4];
    rush_bill_ours_t  *ours;

    memset(&rows, 0, sizeof(rush_rows_t));
    start = rush_pay_day_start(b->day);

    params[0] = rush_p_int(b->provider);
    params[1] = rush_p_int(start);
    params[2] = rush_p_int(start + RUSH_PAY_DAY);
    params[3] = rush_p_int(after);

    rc = refund ? rush_cash_run(b->db, BILL_REFUNDS, params, 4, &rows)
                : rush_cash_run(b->db, BILL_PAYMENTS, params, 4, &rows);

    *n = rows.n;

    if (rc == RUSH_OK && rows.n > 0) {
        ours = realloc(b->ours, (b->nours + rows.n)
                                * sizeof(rush_bill_ours_t));

        if (ours == NULL) {
            rush_log(RUSH_LOG_ERROR, "bill: no memory");
            rush_rows_free(&rows);
            return RUSH_DB_DOWN;
        }

        b->ours = ours;

        for (i = 0; i < rows.n; i++) {
            ours = &b->ours[b->nours++];
            ours->id = rush_cell_int(&rows, i, 0);
            ours->amount = rush_cell_int(&rows, i, 1);
            ours->shop = rush_cell_int(&rows, i, 2);
        }
    }

    rush_rows_free(&rows);

    return rc;
}


static int
rush_bill_walk(rush_bill_t *b, int refund)
{
    int               rc;
    char              number[RUSH_PAY_NUMBER];
    size_t            i, k;
    int64_t           id;
    rush_bill_row_t  *row;

    k = 0;

    for (i = 0; i < b->n; i++) {
        row = &b->rows[i];

        if (row->refund != refund) {
            continue;
        }

        b->count[refund]++;
        b->sum[refund] += row->amount;
        b->fee += row->fee;
        id = rush_bill_id(row);

        for ( /* void */ ; k < b->nours && b->ours[k].id < id; k++) {
            snprintf(number, sizeof(number), "%s%lld",
                     refund ? RUSH_REFUND_PREFIX : "",
                     (long long) b->ours[k].id);
            rush_bill_diff(b, refund ? "refund_unknown" : "pay_unknown",
                           number, b->ours[k].amount, -1);
        }

        if (k < b->nours && b->ours[k].id == id) {
            rush_bill_match(b, row, &b->ours[k++]);
            continue;
        }

        rc = rush_bill_theirs(b, row);

        if (rc != RUSH_OK) {
            return rc;
        }
    }

    for ( /* void */ ; k < b->nours; k++) {
        snprintf(number, sizeof(number), "%s%lld",
                 refund ? RUSH_REFUND_PREFIX : "",
                 (long long) b->ours[k].id);
        rush_bill_diff(b, refund ? "refund_unknown" : "pay_unknown", number,
                       b->ours[k].amount, -1);
    }

    return RUSH_OK;
}


static void
rush_bill_match(rush_bill_t *b, const rush_bill_row_t *row,
    const rush_bill_ours_t *ours)
{
    b->fees[b->nfees].shop = ours->shop;
    b->fees[b->nfees].fee = row->fee;
    b->nfees++;

    if (row->amount != ours->amount) {
        rush_bill_diff(b, row->refund ? "refund_amount" : "pay_amount",
                       row->number, ours->amount, row->amount);
    }
}


/* they have it on this day, we do not */

static int
rush_bill_theirs(rush_bill_t *b, const rush_bill_row_t *row)
{
    int           rc;
    int64_t       amount;
    rush_rows_t   rows;
    rush_param_t  params[2];

    memset(&rows, 0, sizeof(rush_rows_t));

    params[0] = rush_p_int(rush_bill_id(row));
    params[1] = rush_p_int(b->provider);

    rc = row->refund ? rush_cash_run(b->db, BILL_REFUND, params, 2, &rows)
                     : rush_cash_run(b->db, BILL_PAYMENT, params, 2, &rows);

    amount = rows.n == 1 ? rush_cell_int(&rows, 0, 0) : -1;
    rush_rows_free(&rows);

    if (rc != RUSH_OK || amount == row->amount) {
        return rc;
    }

    if (amount == -1) {
        rush_bill_diff(b, row->refund ? "refund_missing" : "pay_missing",
                       row->number, -1, row->amount);

    } else {
        rush_bill_diff(b, row->refund ? "refund_amount" : "pay_amount",
                       row->number, amount, row->amount);
    }

    return RUSH_OK;
}


static void
rush_bill_diff(rush_bill_t *b, const char *kind, const char *number,
    int64_t ours, int64_t theirs)
{
    rush_bill_diff_t  *diff;

    if (b->ndiffs < RUSH_BILL_DIFFS) {
        diff = &b->diffs[b->ndiffs];

        diff->kind = kind;
        snprintf(diff->number, sizeof(diff->number), "%s", number);
        diff->ours = ours;
        diff->theirs = theirs;
    }

    b->ndiffs++;
}


static int
rush_bill_body(void *data)
{
    rush_bill_t  *b = data;

    int           rc;
    int64_t       now;
    rush_param_t  params[10];

    now = rush_now();

    params[0] = rush_p_int(b->day);
    params[1] = rush_p_int(b->provider);
    params[2] = rush_p_int(b->count[0]);
    params[3] = rush_p_int(b->sum[0]);
    params[4] = rush_p_int(b->count[1]);
    params[5] = rush_p_int(b->sum[1]);
    params[6] = rush_p_int(b->fee);
    params[7] = rush_p_int(b->ndiffs);
    params[8] = rush_p_int(now);
    params[9] = rush_p_int(now);

    rc = rush_cash_run(b->db, BILL_DONE, params, 10, NULL);

    if (rc == RUSH_OK) {
        rc = rush_cash_run(b->db, BILL_CLEAR, params, 2, NULL);
    }

    if (rc == RUSH_OK) {
        rc = rush_bill_diffs(b, now);
    }

    if (rc == RUSH_OK) {
        rc = rush_bill_fees(b);
    }

    if (rc == RUSH_OK && b->ndiffs > 0) {
        rc = rush_alarm(b->daemon, b->db, "bill_differs", 0,
                        "bill of %s for %lld: %zu differences",
                        rush_provider_name(b->provider), (long long) b->day,
                        b->ndiffs);
    }

    return rc;
}


static int
rush_bill_diffs(rush_bill_t *b, int64_t now)
{
    int               rc;
    size_t            i;
    rush_param_t      params[7];
    rush_bill_diff_t  *diff;

    rc = RUSH_OK;

    for (i = 0; i < b->ndiffs && i < RUSH_BILL_DIFFS && rc == RUSH_OK; i++) {
        diff = &b->diffs[i];

        params[0] = rush_p_int(b->day);
        params[1] = rush_p_int(b->provider);
        params[2] = rush_p_text(diff->kind);
        params[3] = rush_p_text(diff->number);
        params[4] = rush_p_int(diff->ours);
        params[5] = rush_p_int(diff->theirs);
        params[6] = rush_p_int(now);

        rc = rush_cash_run(b->db, BILL_DIFFERS, params, 7, NULL);
    }

    return rc;
}


/* the sum of each shop */

static int
rush_bill_fees(rush_bill_t *b)
{
    int           rc;
    size_t        i, k;
    int64_t       fee;
    rush_param_t  params[4];

    rc = RUSH_OK;

    if (b->nfees > 1) {
        qsort(b->fees, b->nfees, sizeof(rush_bill_fee_t), rush_bill_fee_cmp);
    }

    for (i = 0; i < b->nfees && rc == RUSH_OK; i = k) {
        fee = 0;

        for (k = i; k < b->nfees && b->fees[k].shop == b->fees[i].shop; k++) {
            fee += b->fees[k].fee;
        }

        params[0] = rush_p_int(fee);
        params[1] = rush_p_int(b->day);
        params[2] = rush_p_int(b->fees[i].shop);
        params[3] = rush_p_int(b->provider);

        rc = rush_cash_run(b->db, SETTLEMENT_FEE, params, 4, NULL);
    }

    return rc;
}


static int
rush_bill_fee_cmp(const void *one, const void *two)
{
    const rush_bill_fee_t  *a, *b;

    a = one;
    b = two;

    return a->shop < b->shop ? -1 : a->shop > b->shop;
}
