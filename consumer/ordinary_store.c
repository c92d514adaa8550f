
/*
 * Copyright (C) Rush
 *
 * One MySQL transaction a batch:
 *
 *   SELECT products, addresses             what becomes of each order
 *   INSERT orders, sorted by number
 *   UPDATE stock once a product, by id     the hot row is locked last
 *   COMMIT                                 the caller then sends XACK
 *
 * The products are read without a lock, so an UPDATE may find less than was
 * planned for: the transaction is rolled back and run again with the products
 * locked first.  What the data types refuse is cut in halves until single
 * orders remain, which become dead letters.
 */


#include <stdlib.h>

#include "ordinary.h"
#include "consumer_sql.h"


#define RUSH_ORDINARY_RETRIES  10

#define RUSH_ORDINARY_STALE    (-10)    /* beside RUSH_DB_* */


static int rush_ordinary_range(rush_ordinary_t *o, size_t from, size_t to);
static int rush_ordinary_again(rush_ordinary_t *o, size_t from, size_t to,
    int fault, int tries);
static int rush_ordinary_one(rush_ordinary_t *o, size_t i, int fault);
static int rush_ordinary_try(rush_ordinary_t *o, size_t from, size_t to,
    int locked);
static int rush_ordinary_write(rush_ordinary_t *o, size_t n);
static size_t rush_ordinary_sort(rush_ordinary_t *o, size_t from, size_t to);
static int rush_ordinary_compare(const void *one, const void *two);
static int rush_ordinary_units(rush_ordinary_t *o);
static int rush_ordinary_take(rush_ordinary_t *o,
    const rush_ordinary_product_t *p);
static int rush_ordinary_resolve(rush_ordinary_t *o,
    rush_ordinary_row_t *row);
static void rush_ordinary_count(rush_ordinary_t *o);


int
rush_ordinary_store(rush_ordinary_t *o)
{
    int                   rc;
    size_t                i;
    rush_ordinary_row_t  *row;

    rc = rush_ordinary_range(o, 0, o->n);
    if (rc != RUSH_OK) {
        return rc;
    }

    for (i = 0; i < o->n; i++) {
        row = &o->rows[i];

        if (row->state != RUSH_ORDINARY_BAD) {
            continue;
        }

        if (rush_dead_entry(o->store, RUSH_ORDERS_LETTER, &row->id,
                            row->entry->element[1], row->cause)
            != RUSH_OK)
        {
            return RUSH_DB_DOWN;
        }

        row->state = RUSH_ORDINARY_DEAD;
    }

    rush_ordinary_count(o);

    return RUSH_OK;
}


static void
rush_ordinary_count(rush_ordinary_t *o)
{
    size_t   i;
    int64_t  stored, refused, same;

    stored = 0;
    refused = 0;
    same = 0;

    for (i = 0; i < o->n; i++) {

        if (o->rows[i].state == RUSH_ORDINARY_SAME) {
            same++;

        } else if (o->rows[i].state == RUSH_ORDINARY_STORED) {
            stored++;
            refused += o->rows[i].refused != NULL;
        }
    }

    rush_stat_add(o->daemon, ordinary, stored);
    rush_stat_add(o->daemon, ordinary_refused, refused);
    rush_stat_add(o->daemon, duplicates, same);
}


/* RUSH_OK: no row from .. to is NEW any more; or RUSH_DB_DOWN */

static int
rush_ordinary_range(rush_ordinary_t *o, size_t from, size_t to)
{
    int     rc, tries, locked;
    size_t  mid;

    locked = 0;

    for (tries = 0; /* void */ ; tries++) {
        rc = rush_ordinary_try(o, from, to, locked);

        if (rc == RUSH_OK || rc == RUSH_DB_DOWN) {
            return rc;
        }

        if (rc == RUSH_DB_DATA || tries == RUSH_ORDINARY_RETRIES) {
            break;
        }

        rush_stat_add(o->daemon, retries, 1);

        if (rc == RUSH_ORDINARY_STALE) {
            locked = 1;
            continue;
        }

        rc = rush_ordinary_again(o, from, to, rc, tries);

        if (rc == RUSH_DB_DOWN) {
            return rc;
        }

        if (rc != RUSH_OK) {
            break;
        }
    }

    if (to == from) {
        return RUSH_DB_DOWN;
    }

    if (to - from == 1) {
        return rush_ordinary_one(o, from, rc);
    }

    /* the first half is in front of the second one for the units, too */

    mid = from + (to - from) / 2;

    rc = rush_ordinary_range(o, from, mid);
    if (rc != RUSH_OK) {
        return rc;
    }

    return rush_ordinary_range(o, mid, to);
}


/* RUSH_OK: to be tried again */

static int
rush_ordinary_again(rush_ordinary_t *o, size_t from, size_t to, int fault,
    int tries)
{
    size_t  i;

    if (fault != RUSH_DB_DUP) {
        return rush_wait(o->daemon, 1 + random() % (5 * (tries + 1)))
               ? RUSH_DB_DOWN : RUSH_OK;
    }

    if (tries > 2) {
        return RUSH_DB_DUP;
    }

    for (i = from; i < to; i++) {

        if (o->rows[i].state == RUSH_ORDINARY_NEW
            && rush_ordinary_resolve(o, &o->rows[i]) != RUSH_OK)
        {
            return RUSH_DB_DOWN;
        }
    }

    return RUSH_OK;
}


/* is it stored already?  Then nothing is to be done */

static int
rush_ordinary_resolve(rush_ordinary_t *o, rush_ordinary_row_t *row)
{
    int           rc;
    size_t        i;
    rush_rows_t   rows;
    rush_str_t   *no;
    rush_param_t  params[3];

    memset(&rows, 0, sizeof(rush_rows_t));

    params[0] = rush_p_str(&row->order_no);
    params[1] = rush_p_int(row->user);
    params[2] = rush_p_str(&row->req);

    rc = rush_db_run(o->db, &rush_sql[RUSH_SQL_ORDINARY_FIND], params, 3,
                     &rows);

    for (i = 0; rc == RUSH_OK && i < rows.n; i++) {
        no = rush_cell(&rows, i, 0);

        if (rush_cell_int(&rows, i, 1) != row->user) {
            row->state = RUSH_ORDINARY_BAD;
            snprintf(row->cause, sizeof(row->cause),
                     "order number of another user");
            break;
        }

        row->state = RUSH_ORDINARY_SAME;

        if (no->len != row->order_no.len
            || memcmp(no->data, row->order_no.data, no->len) != 0)
        {
            rush_log(RUSH_LOG_WARN, "order %.*s: its request is order %.*s",
                     (int) row->order_no.len, row->order_no.data,
                     (int) no->len, no->data);
        }
    }

    rush_rows_free(&rows);

    return rc;
}


/* a single order that was refused */

static int
rush_ordinary_one(rush_ordinary_t *o, size_t i, int fault)
{
    rush_ordinary_row_t  *row;

    row = &o->rows[i];

    if (row->state != RUSH_ORDINARY_NEW) {
        return RUSH_OK;
    }

    if (fault != RUSH_DB_DATA && fault != RUSH_DB_DUP) {

        /* somebody holds a lock for long: that is no fault of the order */

        return RUSH_DB_DOWN;
    }

    row->state = RUSH_ORDINARY_BAD;
    snprintf(row->cause, sizeof(row->cause), "%s", rush_db_error(o->db));

    return RUSH_OK;
}


static int
rush_ordinary_try(rush_ordinary_t *o, size_t from, size_t to, int locked)
{
    int     rc;
    size_t  i, n;

    n = rush_ordinary_sort(o, from, to);

    if (n == 0) {
        return RUSH_OK;
    }

    rc = rush_db_begin(o->db);
    if (rc != RUSH_OK) {
        return RUSH_DB_DOWN;
    }

    if (RUSH_FP("O2")) {
        rush_db_close(o->db);
        return RUSH_DB_DOWN;
    }

    rc = rush_ordinary_plan(o, n, locked);

    if (rc == RUSH_OK) {
        rc = rush_ordinary_write(o, n);
    }

    if (rc != RUSH_OK) {
        rush_db_rollback(o->db);
        return rc;
    }

    if (RUSH_FP("O4")) {
        rush_db_close(o->db);
        return RUSH_DB_DOWN;
    }

    rc = rush_db_commit(o->db);

    if (rc != RUSH_OK) {

        /* MariaDB may report a deadlock here; it has rolled back then */

        rush_db_rollback(o->db);
        return rc == RUSH_DB_RETRY ? RUSH_DB_RETRY : RUSH_DB_DOWN;
    }

    if (RUSH_FP("O5")) {
        rush_db_close(o->db);
        return RUSH_DB_DOWN;
    }

    for (i = 0; i < n; i++) {
        o->sorted[i]->state = RUSH_ORDINARY_STORED;
    }

    rush_stat_set(o->daemon, last_commit, rush_now());

    return RUSH_OK;
}


static int
rush_ordinary_write(rush_ordinary_t *o, size_t n)
{
    int  rc;

    /* the plan went by the stream, locks go by the number */

    qsort(o->sorted, n, sizeof(rush_ordinary_row_t *),
          rush_ordinary_compare);

    rush_ordinary_columns(o, n);

    rc = rush_db_insert(o->db, &rush_sql[RUSH_SQL_ORDINARY_INSERT], o->cols,
                        0, n);
    if (rc != RUSH_OK) {
        return rc;
    }

    if (RUSH_FP("O3")) {
        rush_db_close(o->db);
        return RUSH_DB_DOWN;
    }

    return rush_ordinary_units(o);
}


static size_t
rush_ordinary_sort(rush_ordinary_t *o, size_t from, size_t to)
{
    size_t  i, n;

    n = 0;

    for (i = from; i < to; i++) {

        if (o->rows[i].state == RUSH_ORDINARY_NEW) {
            o->sorted[n++] = &o->rows[i];
        }
    }

    return n;
}


static int
rush_ordinary_compare(const void *one, const void *two)
{
    int          rc;
    size_t       len;
    rush_str_t  *a, *b;

    a = &(*(rush_ordinary_row_t * const *) one)->order_no;
    b = &(*(rush_ordinary_row_t * const *) two)->order_no;

    len = a->len < b->len ? a->len : b->len;
    rc = memcmp(a->data, b->data, len);

    if (rc != 0 || a->len == b->len) {
        return rc;
    }

    return a->len < b->len ? -1 : 1;
}


/* products are sorted by id: all consumers lock them in that order */

static int
rush_ordinary_units(rush_ordinary_t *o)
{
    int                             rc;
    size_t                          i;
    const rush_ordinary_product_t  *p;

    for (i = 0; i < o->nproducts; i++) {
        p = &o->products[i];

        rc = p->taken ? rush_ordinary_take(o, p) : RUSH_OK;

        if (rc != RUSH_OK) {
            return rc;
        }
    }

    return RUSH_OK;
}


static int
rush_ordinary_take(rush_ordinary_t *o, const rush_ordinary_product_t *p)
{
    int           rc;
    rush_rows_t   rows;
    rush_param_t  params[4];

    memset(&rows, 0, sizeof(rush_rows_t));

    params[0] = rush_p_int(p->taken);
    params[1] = params[0];
    params[2] = rush_p_int(p->id);
    params[3] = params[0];

    rc = rush_db_run(o->db, &rush_sql[RUSH_SQL_PRODUCT_TAKE], params, 4,
                     &rows);

    if (rc == RUSH_OK && rows.affected != 1) {
        rc = RUSH_ORDINARY_STALE;
    }

    rush_rows_free(&rows);

    return rc;
}
