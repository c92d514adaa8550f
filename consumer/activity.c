
/*
 * Copyright (C) Rush
 *
 * What orders copy from their activity.  Rows of a batch point to an
 * activity, so one is never moved or freed before its store.
 */


#include <stdlib.h>

#include "store.h"
#include "consumer_sql.h"


static int rush_activity_put(rush_store_t *s, const rush_rows_t *rows,
    size_t row, rush_activity_t **out);
static int rush_activity_prices(rush_store_t *s, const int64_t *ids,
    size_t n);


rush_activity_t *
rush_activity_find(rush_store_t *s, int64_t id)
{
    size_t  lo, hi, mid;

    lo = 0;
    hi = s->nactivities;

    while (lo < hi) {
        mid = lo + (hi - lo) / 2;

        if (s->activities[mid]->id == id) {
            return s->activities[mid];
        }

        if (s->activities[mid]->id < id) {
            lo = mid + 1;

        } else {
            hi = mid;
        }
    }

    return NULL;
}


int
rush_activity_price(const rush_activity_t *a, int64_t version,
    int64_t *price)
{
    size_t  i;

    /* the newest stand at the end */

    for (i = a->nprices; i > 0; i--) {

        if (a->prices[i - 1].version == version) {
            *price = a->prices[i - 1].price;
            return RUSH_OK;
        }
    }

    return RUSH_ERROR;
}


int
rush_activity_warm(rush_store_t *s)
{
    int               rc;
    size_t            i;
    int64_t          *ids;
    rush_rows_t       rows;
    rush_activity_t  *a;

    memset(&rows, 0, sizeof(rush_rows_t));

    rc = rush_db_run(s->db, &rush_sql[RUSH_SQL_ACTIVITIES_WARM], NULL, 0,
                     &rows);
    if (rc != RUSH_OK) {
        return rc;
    }

    for (i = 0; i < s->nactivities; i++) {
        s->activities[i]->warm = 0;
    }

    ids = calloc(rows.n + 1, sizeof(int64_t));
    if (ids == NULL) {
        rush_log(RUSH_LOG_ERROR, "no memory for activities");
        rc = RUSH_DB_DOWN;
        goto done;
    }

    for (i = 0; i < rows.n; i++) {

        if (rush_activity_put(s, &rows, i, &a) != RUSH_OK) {
            rc = RUSH_DB_DOWN;
            goto done;
        }

        a->warm = 1;
        ids[i] = a->id;
    }

    for (i = 0; i < s->nactivities; i++) {

        /* warm again later: the group may have gone meanwhile */

        if (!s->activities[i]->warm) {
            s->activities[i]->joined = 0;
        }
    }

    if (rows.n > 0) {
        rc = rush_activity_prices(s, ids, rows.n);
    }

done:

    free(ids);
    rush_rows_free(&rows);

    return rc;
}


int
rush_activity_load(rush_store_t *s, int64_t id, rush_activity_t **a)
{
    int           rc;
    rush_rows_t   rows;
    rush_param_t  param;

    *a = NULL;
    memset(&rows, 0, sizeof(rush_rows_t));
    param = rush_p_int(id);

    rc = rush_db_run(s->db, &rush_sql[RUSH_SQL_ACTIVITY_BY_ID], &param, 1,
                     &rows);

    if (rc == RUSH_OK && rows.n == 1) {

        if (rush_activity_put(s, &rows, 0, a) != RUSH_OK) {
            rc = RUSH_DB_DOWN;

        } else {
            rc = rush_activity_prices(s, &id, 1);
        }
    }

    rush_rows_free(&rows);

    return rc;
}


static int
rush_activity_put(rush_store_t *s, const rush_rows_t *rows, size_t row,
    rush_activity_t **out)
{
    size_t             i;
    int64_t            id;
    rush_str_t        *title;
    unsigned char     *copy;
    rush_activity_t   *a, **list;

    id = rush_cell_int(rows, row, 0);
    a = rush_activity_find(s, id);

    if (a == NULL) {
        list = realloc(s->activities,
                       (s->nactivities + 1) * sizeof(rush_activity_t *));
        if (list == NULL) {
            goto failed;
        }

        s->activities = list;

        a = calloc(1, sizeof(rush_activity_t));
        if (a == NULL) {
            goto failed;
        }

        a->id = id;
        rush_id_copy(a->position, "0-0");

        for (i = s->nactivities; i > 0 && list[i - 1]->id > id; i--) {
            list[i] = list[i - 1];
        }

        list[i] = a;
        s->nactivities++;
    }

    a->product = rush_cell_int(rows, row, 1);
    a->limit = rush_cell_int(rows, row, 5);
    a->pay_seconds = rush_cell_int(rows, row, 6);
    a->epoch = rush_cell_int(rows, row, 7);

    title = rush_cell(rows, row, 2);

    if (a->title.data == NULL || a->title.len != title->len
        || memcmp(a->title.data, title->data, title->len) != 0)
    {
        copy = malloc(title->len + 1);
        if (copy == NULL) {
            goto failed;
        }

        memcpy(copy, title->data, title->len + 1);
        free(a->title.data);
        a->title.data = copy;
        a->title.len = title->len;
    }

    /* the current price stands in the activity itself */

    if (a->prices == NULL) {
        a->prices = malloc(sizeof(rush_price_t));
        if (a->prices == NULL) {
            goto failed;
        }
    }

    a->prices[0].version = rush_cell_int(rows, row, 4);
    a->prices[0].price = rush_cell_int(rows, row, 3);
    a->nprices = 1;

    *out = a;

    return RUSH_OK;

failed:

    rush_log(RUSH_LOG_ERROR, "no memory for an activity");

    return RUSH_ERROR;
}


static int
rush_activity_prices(rush_store_t *s, const int64_t *ids, size_t n)
{
    int               rc;
    size_t            i;
    rush_rows_t       rows;
    rush_price_t     *prices;
    rush_activity_t  *a;

    memset(&rows, 0, sizeof(rush_rows_t));

    rc = rush_db_list(s->db, &rush_sql[RUSH_SQL_PRICES], NULL, 0, ids, n,
                      &rows);
    if (rc != RUSH_OK) {
        return rc;
    }

    for (i = 0; i < rows.n; i++) {
        a = rush_activity_find(s, rush_cell_int(&rows, i, 0));
        if (a == NULL) {
            continue;
        }

        prices = realloc(a->prices,
                         (a->nprices + 1) * sizeof(rush_price_t));
        if (prices == NULL) {
            rush_log(RUSH_LOG_ERROR, "no memory for prices");
            rc = RUSH_DB_DOWN;
            break;
        }

        a->prices = prices;
        prices[a->nprices].version = rush_cell_int(&rows, i, 1);
        prices[a->nprices].price = rush_cell_int(&rows, i, 2);
        a->nprices++;
    }

    rush_rows_free(&rows);

    return rc;
}


void
rush_activity_free(rush_store_t *s)
{
    size_t  i;

    for (i = 0; i < s->nactivities; i++) {
        free(s->activities[i]->title.data);
        free(s->activities[i]->prices);
        free(s->activities[i]);
    }

    free(s->activities);
    s->activities = NULL;
    s->nactivities = 0;
}
