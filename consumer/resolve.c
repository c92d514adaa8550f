
/*
 * Copyright (C) Rush
 *
 * A unique key refused some order of a batch.  All rows of the buyers are
 * read at once, and for each order:
 *
 *   the same order is there, equal            SAME: delivered again
 *   its order number or request is another's  BAD, alarm order_conflict
 *   the slot is taken by a live order         the buyer's first free slot
 *   no slot is free                           REJECT, alarm limit_blocked
 *
 * The limit is a rule of one epoch: an order granted under another epoch may
 * take slots beyond today's limit, because it was promised under that one's.
 */


#include <stdlib.h>

#include "store.h"
#include "consumer_sql.h"


#define RUSH_MAX_SLOTS  1024            /* looked at, of one buyer */


/* columns of orders_of_users */

enum {
    RUSH_U_USER = 0,
    RUSH_U_ORDER,
    RUSH_U_REQ,
    RUSH_U_QTY,
    RUSH_U_SLOT,
    RUSH_U_STATE
};


/* one buyer: stored[from .. to) and sorted[first .. last) */

typedef struct {
    rush_rows_t      *stored;
    size_t            from;
    size_t            to;
    rush_row_t      **rows;
    size_t            n;
    rush_activity_t  *activity;
} rush_buyer_t;


static int rush_resolve_activity(rush_store_t *s, rush_row_t **rows,
    size_t n);
static void rush_resolve_buyer(const rush_buyer_t *b);
static int rush_resolve_known(const rush_buyer_t *b, size_t i);
static void rush_resolve_slot(const rush_buyer_t *b, size_t i);
static int rush_resolve_taken(const rush_buyer_t *b, size_t i, int64_t slot);
static void rush_resolve_conflict(rush_row_t *row, const char *what);
static int rush_resolve_compare(const void *one, const void *two);
static int rush_same(const rush_str_t *a, const rush_str_t *b);


int
rush_resolve(rush_store_t *s, size_t from, size_t to)
{
    int               rc;
    size_t            i, k, n;
    rush_activity_t  *a;

    n = 0;

    for (i = from; i < to; i++) {

        /* a reject decided by an older look is looked at again */

        if (s->rows[i].state == RUSH_ROW_NEW) {
            s->sorted[n++] = &s->rows[i];
        }
    }

    if (n > 1) {
        qsort(s->sorted, n, sizeof(rush_row_t *), rush_resolve_compare);
    }

    for (i = 0; i < n; i = k) {

        for (k = i + 1; k < n; k++) {
            if (s->sorted[k]->activity != s->sorted[i]->activity) {
                break;
            }
        }

        /* the limit may be younger than our copy */

        rc = rush_activity_load(s, s->sorted[i]->activity->id, &a);

        if (rc == RUSH_OK) {
            rc = rush_resolve_activity(s, &s->sorted[i], k - i);
        }

        if (rc != RUSH_OK) {
            return rc;
        }
    }

    return RUSH_OK;
}


/* rows are sorted by buyer, and in stream order within one */

static int
rush_resolve_activity(rush_store_t *s, rush_row_t **rows, size_t n)
{
    int            rc;
    size_t         i, k, users;
    int64_t       *list, user;
    rush_rows_t    stored;
    rush_buyer_t   b;
    rush_param_t   param;

    memset(&stored, 0, sizeof(rush_rows_t));

    list = malloc(n * sizeof(int64_t));
    if (list == NULL) {
        rush_log(RUSH_LOG_ERROR, "no memory to compare orders");
        return RUSH_DB_DOWN;
    }

    users = 0;

    for (i = 0; i < n; i++) {
        if (users == 0 || list[users - 1] != rows[i]->grant.user) {
            list[users++] = rows[i]->grant.user;
        }
    }

    param = rush_p_int(rows[0]->activity->id);

    rc = rush_db_list(s->db, &rush_sql[RUSH_SQL_ORDERS_OF_USERS], &param, 1,
                      list, users, &stored);
    free(list);

    if (rc != RUSH_OK) {
        return rc;
    }

    b.stored = &stored;
    b.activity = rows[0]->activity;
    b.to = 0;

    for (i = 0; i < n; i = k) {
        user = rows[i]->grant.user;

        for (k = i + 1; k < n && rows[k]->grant.user == user; k++) {
            /* void */
        }

        b.rows = &rows[i];
        b.n = k - i;
        b.from = b.to;

        while (b.from < stored.n
               && rush_cell_int(&stored, b.from, RUSH_U_USER) < user)
        {
            b.from++;
        }

        b.to = b.from;

        while (b.to < stored.n
               && rush_cell_int(&stored, b.to, RUSH_U_USER) == user)
        {
            b.to++;
        }

        rush_resolve_buyer(&b);
    }

    rush_rows_free(&stored);

    return RUSH_OK;
}


static void
rush_resolve_buyer(const rush_buyer_t *b)
{
    size_t  i;

    for (i = 0; i < b->n; i++) {

        if (!rush_resolve_known(b, i)) {
            rush_resolve_slot(b, i);
        }
    }
}


/* 1 when the order needs no row of its own */

static int
rush_resolve_known(const rush_buyer_t *b, size_t i)
{
    size_t         k;
    rush_row_t    *row, *other;
    rush_rows_t   *stored;
    rush_grant_t  *grant;

    row = b->rows[i];
    grant = &row->grant;
    stored = b->stored;

    for (k = b->from; k < b->to; k++) {

        if (rush_same(rush_cell(stored, k, RUSH_U_ORDER), &grant->order_no)) {

            if (rush_same(rush_cell(stored, k, RUSH_U_REQ), &grant->req)
                && rush_cell_int(stored, k, RUSH_U_QTY) == grant->qty)
            {
                row->state = RUSH_ROW_SAME;

            } else {
                rush_resolve_conflict(row, "stored with other values");
            }

            return 1;
        }

        if (rush_same(rush_cell(stored, k, RUSH_U_REQ), &grant->req)) {
            rush_resolve_conflict(row, "its request has another order");
            return 1;
        }
    }

    /* twice in this batch */

    for (k = 0; k < i; k++) {
        other = b->rows[k];

        if (other->state != RUSH_ROW_NEW) {
            continue;
        }

        if (rush_same(&other->grant.order_no, &grant->order_no)
            && rush_same(&other->grant.req, &grant->req)
            && other->grant.qty == grant->qty)
        {
            row->state = RUSH_ROW_SAME;
            return 1;
        }

        if (rush_same(&other->grant.order_no, &grant->order_no)
            || rush_same(&other->grant.req, &grant->req))
        {
            rush_resolve_conflict(row, "another order of this batch");
            return 1;
        }
    }

    return 0;
}


static void
rush_resolve_slot(const rush_buyer_t *b, size_t i)
{
    int64_t      slot, limit;
    rush_row_t  *row;

    row = b->rows[i];
    limit = b->activity->limit;

    if (row->epoch != b->activity->epoch || limit > RUSH_MAX_SLOTS) {
        limit = RUSH_MAX_SLOTS;
    }

    for (slot = 0; slot < limit; slot++) {

        if (!rush_resolve_taken(b, i, slot)) {
            row->slot = slot;
            return;
        }
    }

    row->state = RUSH_ROW_REJECT;
    row->alarm = "limit_blocked";
}


static int
rush_resolve_taken(const rush_buyer_t *b, size_t i, int64_t slot)
{
    size_t   k;
    int64_t  state;

    for (k = b->from; k < b->to; k++) {
        state = rush_cell_int(b->stored, k, RUSH_U_STATE);

        if (state != 2 && state != 3 && state != 5
            && rush_cell_int(b->stored, k, RUSH_U_SLOT) == slot)
        {
            return 1;
        }
    }

    for (k = 0; k < i; k++) {
        if (b->rows[k]->state == RUSH_ROW_NEW && b->rows[k]->slot == slot) {
            return 1;
        }
    }

    return 0;
}


static void
rush_resolve_conflict(rush_row_t *row, const char *what)
{
    row->state = RUSH_ROW_BAD;
    row->alarm = "order_conflict";
    snprintf(row->cause, sizeof(row->cause), "order conflict: %s", what);
}


int
rush_resolve_one(rush_store_t *s, rush_row_t *row)
{
    int           rc;
    rush_rows_t   rows;
    rush_param_t  param;

    memset(&rows, 0, sizeof(rush_rows_t));
    param = rush_p_str(&row->grant.order_no);

    rc = rush_db_run(s->db, &rush_sql[RUSH_SQL_ORDER_BY_NO], &param, 1,
                     &rows);
    if (rc != RUSH_OK) {
        return rc;
    }

    if (rows.n == 1
        && rush_cell_int(&rows, 0, 0) == row->grant.user
        && rush_cell_int(&rows, 0, 1) == row->activity->id
        && rush_same(rush_cell(&rows, 0, 2), &row->grant.req)
        && rush_cell_int(&rows, 0, 3) == row->grant.qty)
    {
        row->state = RUSH_ROW_SAME;

    } else {
        rush_resolve_conflict(row, rows.n == 1
                              ? "the number is another buyer's"
                              : "a unique key refuses it");
    }

    rush_rows_free(&rows);

    return RUSH_OK;
}


static int
rush_resolve_compare(const void *one, const void *two)
{
    rush_row_t  *a, *b;

    a = *(rush_row_t * const *) one;
    b = *(rush_row_t * const *) two;

    if (a->activity != b->activity) {
        return a->activity->id < b->activity->id ? -1 : 1;
    }

    if (a->grant.user != b->grant.user) {
        return a->grant.user < b->grant.user ? -1 : 1;
    }

    /* rows of one batch stand in one array */

    return a < b ? -1 : 1;
}


static int
rush_same(const rush_str_t *a, const rush_str_t *b)
{
    return a->len == b->len && memcmp(a->data, b->data, a->len) == 0;
}
