
/*
 * Copyright (C) Rush
 *
 * A bill against our rows.  MySQL is a few arrays here: statements are known
 * by their names.
 */


#include "unit.h"

#include <stdarg.h>
#include "pay_int.h"


#define DAY    20261121
#define PAGE   5000


typedef struct {
    int64_t          id;
    int64_t          amount;
    int64_t          shop;
    int              refund;
    int              elsewhere;         /* of another day */
} ours_t;


static const ours_t   *ours;            /* sorted by id */
static size_t          nours;
static char            diffs[65536];    /* "kind number ours theirs\n" */
static char            sums[200];
static char            fees[200];
static unsigned        alarms, settled, pages;
static int             fail;            /* statements until one fails */


/* what bill.c calls */

int64_t
rush_now(void)
{
    return 1795280000000LL;
}


void
rush_log(int level, const char *fmt, ...)
{
    (void) level;
}


int
rush_alarm(rush_daemon_t *d, rush_db_t *db, const char *kind,
    int64_t activity, const char *fmt, ...)
{
    assert_string_equal(kind, "bill_differs");
    alarms++;

    return RUSH_OK;
}


int
rush_settle_day(rush_daemon_t *d, rush_db_t *db, int64_t day)
{
    assert_int_equal(day, DAY);
    settled++;

    return RUSH_OK;
}


int
rush_pay_transaction(rush_daemon_t *d, rush_db_t *db, rush_pay_body_pt body,
    void *data)
{
    return body(data);
}


const char *
rush_provider_name(int64_t provider)
{
    return provider == RUSH_PROVIDER_WECHAT ? "wechat" : "";
}


void
rush_rows_free(rush_rows_t *rows)
{
    size_t  i;

    for (i = 0; i < rows->n * rows->cols; i++) {
        free(rows->cells[i].data);
    }

    free(rows->cells);
    memset(rows, 0, sizeof(rush_rows_t));
}


int64_t
rush_cell_int(const rush_rows_t *rows, size_t row, size_t col)
{
    return strtoll((char *) rush_cell(rows, row, col)->data, NULL, 10);
}


static void
put(rush_rows_t *rows, size_t col, int64_t v)
{
    char         text[24];
    rush_str_t  *cell;

    if (col == 0) {
        rows->cells = realloc(rows->cells, (rows->n + 1) * rows->cols
                                           * sizeof(rush_str_t));
        assert_non_null(rows->cells);
        rows->n++;
    }

    cell = rush_cell(rows, rows->n - 1, col);
    cell->len = (size_t) snprintf(text, sizeof(text), "%lld", (long long) v);
    cell->data = (unsigned char *) strdup(text);
}


static void
page(const rush_param_t *p, int refund, rush_rows_t *rows)
{
    size_t  i;

    pages++;
    rows->cols = 3;
    assert_int_equal(p[0].i, RUSH_PROVIDER_WECHAT);
    assert_int_equal(p[1].i, rush_pay_day_start(DAY));
    assert_int_equal(p[2].i - p[1].i, RUSH_PAY_DAY);

    for (i = 0; i < nours && rows->n < PAGE; i++) {
        if (ours[i].refund == refund && !ours[i].elsewhere
            && ours[i].id > p[3].i)
        {
            put(rows, 0, ours[i].id);
            put(rows, 1, ours[i].amount);
            put(rows, 2, ours[i].shop);
        }
    }
}


static void
one(const rush_param_t *p, int refund, rush_rows_t *rows)
{
    size_t  i;

    rows->cols = 1;

    for (i = 0; i < nours; i++) {
        if (ours[i].refund == refund && ours[i].id == p[0].i) {
            put(rows, 0, ours[i].amount);
        }
    }
}


int
rush_db_run(rush_db_t *db, const rush_stmt_t *stmt, const rush_param_t *p,
    size_t n, rush_rows_t *rows)
{
    const char  *name;

    name = stmt->name;

    if (rows != NULL) {
        rush_rows_free(rows);
    }

    if (fail > 0 && --fail == 0) {
        return RUSH_DB_DOWN;
    }

    if (strcmp(name, "bill_payments") == 0) {
        page(p, 0, rows);

    } else if (strcmp(name, "bill_refunds") == 0) {
        page(p, 1, rows);

    } else if (strcmp(name, "bill_payment") == 0) {
        one(p, 0, rows);

    } else if (strcmp(name, "bill_refund") == 0) {
        one(p, 1, rows);

    } else if (strcmp(name, "bill_done") == 0) {
        snprintf(sums, sizeof(sums), "%lld %lld %lld %lld %lld %lld",
                 (long long) p[2].i, (long long) p[3].i, (long long) p[4].i,
                 (long long) p[5].i, (long long) p[6].i, (long long) p[7].i);

    } else if (strcmp(name, "bill_clear") == 0) {
        diffs[0] = '\0';

    } else if (strcmp(name, "bill_differs") == 0) {
        snprintf(diffs + strlen(diffs), sizeof(diffs) - strlen(diffs),
                 "%.*s %.*s %lld %lld\n", (int) p[2].s.len, p[2].s.data,
                 (int) p[3].s.len, p[3].s.data, (long long) p[4].i,
                 (long long) p[5].i);

    } else if (strcmp(name, "settlement_fee") == 0) {
        snprintf(fees + strlen(fees), sizeof(fees) - strlen(fees),
                 "%lld:%lld ", (long long) p[2].i, (long long) p[0].i);

    } else {
        fail_msg("%s", name);
    }

    return RUSH_OK;
}


static int
compare(const ours_t *rows, size_t nrows, const rush_bill_row_t *bill,
    size_t n)
{
    int               rc;
    rush_bill_row_t  *copy;

    ours = rows;
    nours = nrows;
    alarms = 0;
    settled = 0;
    pages = 0;
    diffs[0] = '\0';
    sums[0] = '\0';
    fees[0] = '\0';

    copy = calloc(n + 1, sizeof(rush_bill_row_t));
    assert_non_null(copy);

    if (n > 0) {
        memcpy(copy, bill, n * sizeof(rush_bill_row_t));
    }

    rc = rush_bill_compare(NULL, NULL, DAY, RUSH_PROVIDER_WECHAT, copy, n);
    free(copy);

    return rc;
}


static void
test_bill_same(void **state)
{
    static const ours_t  rows[] = {
        { 11, 100, 1, 0, 0 }, { 12, 200, 2, 0, 0 }, { 21, 50, 1, 1, 0 },
        { 103, 300, 1, 0, 0 }
    };

    /* the order of a bill is its own */

    static const rush_bill_row_t  bill[] = {
        { "R21", 1, 50, -1 }, { "103", 0, 300, 3 }, { "12", 0, 200, 2 },
        { "11", 0, 100, 1 }
    };

    assert_int_equal(compare(rows, 4, bill, 4), RUSH_OK);
    assert_string_equal(diffs, "");
    assert_string_equal(sums, "3 600 1 50 5 0");
    assert_string_equal(fees, "1:3 2:2 ");
    assert_int_equal(alarms, 0);
    assert_int_equal(settled, 1);

    assert_int_equal(compare(NULL, 0, NULL, 0), RUSH_OK);
    assert_string_equal(sums, "0 0 0 0 0 0");
}


static void
test_bill_differs(void **state)
{
    static const ours_t  rows[] = {
        { 11, 100, 1, 0, 0 }, { 12, 200, 1, 0, 0 }, { 13, 300, 1, 0, 0 },
        { 14, 400, 1, 0, 1 }, { 15, 500, 1, 0, 1 },
        { 21, 50, 1, 1, 0 }, { 22, 60, 1, 1, 0 }, { 23, 70, 1, 1, 1 }
    };

    static const rush_bill_row_t  bill[] = {
        { "12", 0, 201, 0 },                /* another amount */
        { "13", 0, 300, 0 },
        { "14", 0, 400, 0 },                /* ours, of another day */
        { "15", 0, 499, 0 },                /* that, and another amount */
        { "99", 0, 9, 0 },                  /* not ours */
        { "SHOP-7", 0, 7, 0 },              /* no number of ours */
        { "SHOP-8", 0, 8, 0 },
        { "R22", 1, 61, 0 },
        { "R23", 1, 70, 0 },
        { "R98", 1, 5, 0 },
        { "77", 1, 4, 0 },                  /* a refund without "R" */
    };

    assert_int_equal(compare(rows, 8, bill, 11), RUSH_OK);
    assert_string_equal(diffs,
                        "pay_missing SHOP-7 -1 7\n"
                        "pay_missing SHOP-8 -1 8\n"
                        "pay_unknown 11 100 -1\n"
                        "pay_amount 12 200 201\n"
                        "pay_amount 15 500 499\n"
                        "pay_missing 99 -1 9\n"
                        "refund_missing 77 -1 4\n"
                        "refund_unknown R21 50 -1\n"
                        "refund_amount R22 60 61\n"
                        "refund_missing R98 -1 5\n");
    assert_string_equal(sums, "7 1424 4 140 0 10");
    assert_int_equal(alarms, 1);

    /* a bill without anything */

    assert_int_equal(compare(rows, 8, NULL, 0), RUSH_OK);
    assert_string_equal(sums, "0 0 0 0 0 5");
}


static void
test_bill_twice(void **state)
{
    static const ours_t  rows[] = {
        { 11, 100, 1, 0, 0 }, { 12, 100, 1, 0, 0 }
    };

    static const rush_bill_row_t  bill[] = {
        { "11", 0, 60, 1 }, { "12", 0, 100, 0 }, { "11", 0, 40, 2 },
        { "12", 0, 100, 0 }
    };

    assert_int_equal(compare(rows, 2, bill, 4), RUSH_OK);
    assert_string_equal(diffs, "pay_amount 12 100 200\n");
    assert_string_equal(sums, "2 300 0 0 3 1");
}


/* more than a page of ours, more differences than are kept */

static void
test_bill_many(void **state)
{
    size_t            i, n;
    ours_t           *rows;
    rush_bill_row_t  *bill;

    n = 3 * PAGE + 1;
    rows = calloc(n, sizeof(ours_t));
    bill = calloc(n, sizeof(rush_bill_row_t));
    assert_true(rows != NULL && bill != NULL);

    for (i = 0; i < n; i++) {
        rows[i].id = (int64_t) (1000 + i);
        rows[i].amount = 1;
        rows[i].shop = (int64_t) (i % 2);
        snprintf(bill[n - 1 - i].number, sizeof(bill[0].number), "%zu",
                 1000 + i);
        bill[n - 1 - i].amount = 1;
        bill[n - 1 - i].fee = 1;
    }

    assert_int_equal(compare(rows, n, bill, n), RUSH_OK);
    assert_string_equal(diffs, "");
    assert_string_equal(sums, "15001 15001 0 0 15001 0");
    assert_string_equal(fees, "0:7501 1:7500 ");
    assert_int_equal(pages, 5);

    assert_int_equal(compare(rows, n, NULL, 0), RUSH_OK);
    assert_string_equal(sums, "0 0 0 0 0 15001");

    for (i = 0, n = 0; diffs[i] != '\0'; i++) {
        n += diffs[i] == '\n';
    }

    assert_int_equal(n, 1000);
    free(rows);
    free(bill);
}


/* the n-th statement fails: so does all of it */

static void
test_bill_down(void **state)
{
    int  n;

    static const ours_t  rows[] = {
        { 11, 100, 1, 0, 0 }, { 21, 50, 1, 1, 0 }
    };
    static const rush_bill_row_t  bill[] = {
        { "11", 0, 60, 1 }, { "99", 0, 1, 0 }, { "R98", 1, 1, 0 }
    };

    for (n = 1; n < 12; n++) {
        fail = n;

        if (compare(rows, 2, bill, 3) == RUSH_OK) {
            break;
        }
    }

    /* two pages, two looks, bill, clear, four differences, one fee */

    assert_int_equal(n, 12);
    fail = 0;
    assert_int_equal(compare(rows, 2, bill, 3), RUSH_OK);
    assert_int_equal(rush_bill_compare(NULL, NULL, 20261131, 1, NULL, 0),
                     RUSH_DB_DATA);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_bill_same),
        cmocka_unit_test(test_bill_differs),
        cmocka_unit_test(test_bill_twice),
        cmocka_unit_test(test_bill_many),
        cmocka_unit_test(test_bill_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
