
/*
 * Copyright (C) Rush
 *
 * One MySQL transaction a batch:
 *
 *   INSERT orders, sorted by order number     (writers take locks in the
 *   UPDATE sold once an activity, by id        same order; the hot row of an
 *   INSERT stream_position                     activity is locked last)
 *   COMMIT                                     the caller then sends XACK
 *
 * Whatever fails, the transaction is rolled back as a whole and the batch is
 * run again; order numbers are primary keys, so a batch that was committed
 * unseen finds its rows.  What the ledger or the data types refuse is cut in
 * halves until single orders remain: those become rows with status 9 or dead
 * letters.  The positions move with the last transaction of a batch only.
 */


#include <stdlib.h>

#include "store.h"
#include "consumer_sql.h"


#define RUSH_STORE_RETRIES   10
#define RUSH_STORE_LOOK      16         /* batches, after one was found */

#define RUSH_STORE_LEDGER    (-10)      /* beside RUSH_DB_* */


static int rush_store_range(rush_store_t *s, size_t from, size_t to);
static int rush_store_one(rush_store_t *s, size_t i, int fault);
static int rush_store_try(rush_store_t *s, size_t from, size_t to,
    int positions);
static size_t rush_store_sort(rush_store_t *s, size_t from, size_t to);
static void rush_store_columns(rush_store_t *s, size_t n);
static int rush_store_ledger(rush_store_t *s, size_t n);
static int rush_store_positions(rush_store_t *s);
static int rush_store_set_aside(rush_store_t *s, rush_row_t *row);
static int rush_store_reject(rush_store_t *s, rush_row_t *row);
static int rush_store_compare(const void *one, const void *two);


int
rush_store_batch(rush_store_t *s)
{
    int     rc;
    size_t  i, stored;

    rc = rush_store_price(s);
    if (rc != RUSH_OK) {
        return rc;
    }

    if (s->look_first > 0) {
        s->look_first--;

        rc = rush_resolve(s, 0, s->nrows);
        if (rc != RUSH_OK) {
            return RUSH_DB_DOWN;
        }
    }

    rc = rush_store_range(s, 0, s->nrows);
    if (rc != RUSH_OK) {
        return rc;
    }

    stored = 0;

    for (i = 0; i < s->nrows; i++) {

        rc = rush_store_set_aside(s, &s->rows[i]);
        if (rc != RUSH_OK) {
            return RUSH_DB_DOWN;
        }

        stored += s->rows[i].state == RUSH_ROW_STORED;
    }

    /* nothing is left to insert: moves the positions if that is still due */

    rc = rush_store_try(s, 0, s->nrows, 1);
    if (rc != RUSH_OK) {
        return RUSH_DB_DOWN;
    }

    rush_stat_add(s->daemon, orders, stored);

    for (i = 0; i < s->nrows; i++) {
        if (s->rows[i].state == RUSH_ROW_SAME) {
            rush_stat_add(s->daemon, duplicates, 1);
        }
    }

    return RUSH_OK;
}


/* RUSH_OK: no row from .. to is NEW any more; or RUSH_DB_DOWN */

static int
rush_store_range(rush_store_t *s, size_t from, size_t to)
{
    int     rc, tries, whole;
    size_t  mid;

    whole = (from == 0 && to == s->nrows);
    tries = 0;

    for ( ;; ) {
        rc = rush_store_try(s, from, to, whole);

        if (rc == RUSH_OK || rc == RUSH_DB_DOWN) {
            return rc;
        }

        if (rc == RUSH_STORE_LEDGER || rc == RUSH_DB_DATA
            || tries == RUSH_STORE_RETRIES)
        {
            break;
        }

        tries++;
        rush_stat_add(s->daemon, retries, 1);

        if (rc == RUSH_DB_DUP) {

            if (tries > 3) {
                break;
            }

            s->look_first = RUSH_STORE_LOOK;
            rc = rush_resolve(s, from, to);

            if (rc == RUSH_DB_DOWN) {
                return rc;
            }

            continue;
        }

        if (rush_wait(s->daemon, 1 + random() % (5 * tries))) {
            return RUSH_DB_DOWN;
        }
    }

    if (to == from) {
        return RUSH_DB_DOWN;
    }

    if (to - from == 1) {
        return rush_store_one(s, from, rc);
    }

    mid = from + (to - from) / 2;

    rc = rush_store_range(s, from, mid);
    if (rc != RUSH_OK) {
        return rc;
    }

    return rush_store_range(s, mid, to);
}


/* a single order that was refused */

static int
rush_store_one(rush_store_t *s, size_t i, int fault)
{
    rush_row_t  *row;

    row = &s->rows[i];

    switch (fault) {

    case RUSH_STORE_LEDGER:
        row->state = RUSH_ROW_REJECT;
        row->alarm = "oversell_blocked";
        return RUSH_OK;

    case RUSH_DB_DUP:
        return rush_resolve_one(s, row) == RUSH_OK ? RUSH_OK : RUSH_DB_DOWN;

    case RUSH_DB_DATA:
        row->state = RUSH_ROW_BAD;
        snprintf(row->cause, sizeof(row->cause), "%s",
                 rush_db_error(s->db));
        return RUSH_OK;
    }

    /* somebody holds a lock for long: that is no fault of the order */

    return RUSH_DB_DOWN;
}


static int
rush_store_try(rush_store_t *s, size_t from, size_t to, int positions)
{
    int     rc;
    size_t  i, n;

    n = rush_store_sort(s, from, to);

    positions = positions && !s->no_position;

    if (positions) {
        positions = 0;

        for (i = 0; i < s->nactivities; i++) {
            positions |= s->activities[i]->in_batch;
        }
    }

    if (n == 0 && !positions) {
        return RUSH_OK;
    }

    rc = rush_db_begin(s->db);
    if (rc != RUSH_OK) {
        return RUSH_DB_DOWN;
    }

    if (RUSH_FP("D2")) {
        rush_db_close(s->db);
        return RUSH_DB_DOWN;
    }

    if (n > 0) {
        rush_store_columns(s, n);

        rc = rush_db_insert(s->db, &rush_sql[RUSH_SQL_ORDER_INSERT], s->cols,
                            0, n);

        if (RUSH_FP("D3")) {
            rush_db_close(s->db);
            return RUSH_DB_DOWN;
        }

        if (rc == RUSH_OK) {
            rc = rush_store_ledger(s, n);
        }
    }

    if (rc == RUSH_OK && positions) {
        rc = rush_store_positions(s);
    }

    if (rc != RUSH_OK) {
        rush_db_rollback(s->db);
        return rc;
    }

    if (RUSH_FP("D4")) {
        rush_db_close(s->db);
        return RUSH_DB_DOWN;
    }

    rc = rush_db_commit(s->db);

    if (rc != RUSH_OK) {

        /* MariaDB may report a deadlock here; it has rolled back then */

        rush_db_rollback(s->db);
        return rc == RUSH_DB_RETRY ? RUSH_DB_RETRY : RUSH_DB_DOWN;
    }

    if (RUSH_FP("D6")) {
        rush_db_close(s->db);
        return RUSH_DB_DOWN;
    }

    for (i = 0; i < n; i++) {
        s->sorted[i]->state = RUSH_ROW_STORED;
    }

    for (i = 0; positions && i < s->nactivities; i++) {

        if (s->activities[i]->in_batch) {
            s->activities[i]->in_batch = 0;
            rush_id_copy(s->activities[i]->position, s->activities[i]->batch);
        }
    }

    rush_stat_set(s->daemon, last_commit, rush_now());

    return RUSH_OK;
}


static size_t
rush_store_sort(rush_store_t *s, size_t from, size_t to)
{
    size_t  i, n;

    n = 0;

    for (i = from; i < to; i++) {

        if (s->rows[i].state == RUSH_ROW_NEW) {
            s->sorted[n++] = &s->rows[i];
        }
    }

    if (n > 1) {
        qsort(s->sorted, n, sizeof(rush_row_t *), rush_store_compare);
    }

    return n;
}


static int
rush_store_compare(const void *one, const void *two)
{
    int          rc;
    size_t       len;
    rush_str_t  *a, *b;

    a = &(*(rush_row_t * const *) one)->grant.order_no;
    b = &(*(rush_row_t * const *) two)->grant.order_no;

    len = a->len < b->len ? a->len : b->len;
    rc = memcmp(a->data, b->data, len);

    if (rc != 0 || a->len == b->len) {
        return rc;
    }

    return a->len < b->len ? -1 : 1;
}


static void
rush_store_columns(rush_store_t *s, size_t n)
{
    size_t            i;
    int64_t           now;
    rush_row_t       *row;
    rush_column_t    *c;
    rush_activity_t  *a;

    now = rush_now();
    c = s->cols;

#define rush_col_str(k, v)                                                    \
    c[k].s[i] = (char *) (v).data;                                            \
    c[k].len[i] = (v).len

    for (i = 0; i < n; i++) {
        row = s->sorted[i];
        a = row->activity;

        rush_col_str(0, row->grant.order_no);
        c[1].i[i] = row->grant.user;
        c[2].i[i] = a->id;
        c[3].i[i] = a->product;
        rush_col_str(4, row->grant.req);
        c[5].i[i] = row->grant.qty;
        c[6].i[i] = row->price;
        c[7].i[i] = row->amount;
        rush_col_str(8, a->title);
        c[9].i[i] = row->slot;
        rush_col_str(10, row->id);
        c[11].i[i] = row->time;
        c[12].i[i] = row->time + a->pay_seconds * 1000;
        c[13].i[i] = now;
    }

#undef rush_col_str
}


/* activities are sorted by id: all writers lock them in that order */

static int
rush_store_ledger(rush_store_t *s, size_t n)
{
    int               rc;
    size_t            i, k;
    int64_t           qty;
    rush_rows_t       rows;
    rush_param_t      params[3];
    rush_activity_t  *a;

    memset(&rows, 0, sizeof(rush_rows_t));

    for (k = 0; k < s->nactivities; k++) {
        a = s->activities[k];
        qty = 0;

        for (i = 0; i < n; i++) {
            if (s->sorted[i]->activity == a) {
                qty += s->sorted[i]->grant.qty;
            }
        }

        if (qty == 0) {
            continue;
        }

        params[0] = rush_p_int(qty);
        params[1] = rush_p_int(a->id);
        params[2] = rush_p_int(qty);

        rc = rush_db_run(s->db, &rush_sql[RUSH_SQL_LEDGER_ADD], params, 3,
                         &rows);
        if (rc != RUSH_OK) {
            return rc;
        }

        if (rows.affected != 1) {
            return RUSH_STORE_LEDGER;
        }
    }

    return RUSH_OK;
}


static int
rush_store_positions(rush_store_t *s)
{
    int               rc;
    size_t            i;
    rush_param_t      params[4];
    rush_activity_t  *a;

    for (i = 0; i < s->nactivities; i++) {
        a = s->activities[i];

        if (!a->in_batch) {
            continue;
        }

        params[0] = rush_p_int(a->id);
        params[1] = rush_p_text(s->consumer);
        params[2] = rush_p_text(a->batch);
        params[3] = rush_p_int(rush_now());

        rc = rush_db_run(s->db, &rush_sql[RUSH_SQL_POSITION_SET], params, 4,
                         NULL);
        if (rc != RUSH_OK) {
            return rc;
        }
    }

    return RUSH_OK;
}


static int
rush_store_set_aside(rush_store_t *s, rush_row_t *row)
{
    int  rc;

    if (row->state == RUSH_ROW_REJECT) {
        return rush_store_reject(s, row);
    }

    if (row->state != RUSH_ROW_BAD) {
        return RUSH_OK;
    }

    if (row->alarm != NULL) {
        rc = rush_alarm(s->daemon, s->db, row->alarm, row->activity->id,
                        "order %.*s: %s", (int) row->grant.order_no.len,
                        row->grant.order_no.data, row->cause);
        if (rc != RUSH_OK) {
            return rc;
        }
    }

    rc = rush_dead_row(s, row);
    if (rc == RUSH_OK) {
        row->state = RUSH_ROW_DEAD;
    }

    return rc;
}


/* the row says to the buyer what became of the order; it holds nothing */

static int
rush_store_reject(rush_store_t *s, rush_row_t *row)
{
    int               rc;
    rush_param_t      p[14];
    rush_activity_t  *a;

    a = row->activity;

    p[0] = rush_p_str(&row->grant.order_no);
    p[1] = rush_p_int(row->grant.user);
    p[2] = rush_p_int(a->id);
    p[3] = rush_p_int(a->product);
    p[4] = rush_p_str(&row->grant.req);
    p[5] = rush_p_int(row->grant.qty);
    p[6] = rush_p_int(row->price);
    p[7] = rush_p_int(row->amount);
    p[8] = rush_p_str(&a->title);
    p[9] = rush_p_str(&row->id);
    p[10] = rush_p_int(row->time);
    p[11] = rush_p_int(row->time + a->pay_seconds * 1000);
    p[12] = rush_p_int(rush_now());
    p[13] = p[12];

    rc = rush_db_begin(s->db);
    if (rc != RUSH_OK) {
        return rc;
    }

    rc = rush_db_run(s->db, &rush_sql[RUSH_SQL_ORDER_REJECT], p, 14, NULL);

    if (rc == RUSH_OK) {
        rc = rush_alarm(s->daemon, s->db, row->alarm, a->id,
                        "order %.*s of user %lld, %lld units",
                        (int) row->grant.order_no.len,
                        row->grant.order_no.data,
                        (long long) row->grant.user,
                        (long long) row->grant.qty);
    }

    if (rc == RUSH_OK) {
        rc = rush_db_commit(s->db);
    }

    if (rc != RUSH_OK) {
        rush_db_rollback(s->db);

        /* stored by another writer meanwhile, or by a lost COMMIT */

        return rc == RUSH_DB_DUP ? rush_resolve_one(s, row) : rc;
    }

    row->state = RUSH_ROW_REJECTED;

    rush_stat_add(s->daemon, rejected, 1);

    if (strcmp(row->alarm, "oversell_blocked") == 0) {
        rush_stat_add(s->daemon, oversell_blocked, 1);

    } else {
        rush_stat_add(s->daemon, limit_blocked, 1);
    }

    return RUSH_OK;
}
