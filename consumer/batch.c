
/*
 * Copyright (C) Rush
 *
 * The memory of a batch and what an order is worth.
 */


#include <stdlib.h>

#include "store.h"


#define RUSH_BATCH_PAUSE      50        /* ms, while MySQL is away: first */
#define RUSH_BATCH_MAX_PAUSE  2000


static int rush_store_grow(rush_store_t *s, size_t rows);
static void rush_store_measure(rush_store_t *s, int64_t us);


static const double  rush_buckets[RUSH_HISTOGRAM] = {
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5
};


rush_store_t *
rush_store_create(rush_daemon_t *d, rush_redis_t *rd, rush_db_t *db,
    const char *consumer)
{
    rush_store_t  *s;

    s = calloc(1, sizeof(rush_store_t));
    if (s == NULL) {
        rush_log(RUSH_LOG_ERROR, "no memory for a batch");
        return NULL;
    }

    s->daemon = d;
    s->rd = rd;
    s->db = db;
    s->consumer = consumer;
    s->pause = RUSH_BATCH_PAUSE;
    s->grants = 16;

    return s;
}


void
rush_store_destroy(rush_store_t *s)
{
    if (s == NULL) {
        return;
    }

    rush_activity_free(s);
    rush_args_free(&s->args);
    rush_rows_free(&s->dead);
    free(s->rows);
    free(s->items);
    free(s->sorted);
    free(s->memory);
    free(s);
}


void
rush_store_reset(rush_store_t *s)
{
    size_t  i;

    for (i = 0; i < s->nactivities; i++) {
        s->activities[i]->in_batch = 0;
    }

    s->nrows = 0;
    s->nitems = 0;
}


int
rush_store_item(rush_store_t *s, rush_activity_t *a, const rush_str_t *id)
{
    size_t        n;
    rush_item_t  *items;

    if (s->nitems == s->items_size) {
        n = s->items_size ? s->items_size * 2 : 64;

        items = realloc(s->items, n * sizeof(rush_item_t));
        if (items == NULL) {
            rush_log(RUSH_LOG_ERROR, "no memory for a batch");
            return RUSH_ERROR;
        }

        s->items = items;
        s->items_size = n;
    }

    s->items[s->nitems].activity = a;
    s->items[s->nitems].id = *id;
    s->nitems++;

    /* a position never steps back: old entries are claimed late */

    if (!a->in_batch) {
        rush_id_copy(a->batch, a->position);
        a->in_batch = 1;
    }

    if (id->len < RUSH_ID_LEN
        && rush_id_cmp((char *) id->data, id->len, a->batch,
                       strlen(a->batch)) > 0)
    {
        memcpy(a->batch, id->data, id->len);
        a->batch[id->len] = '\0';
    }

    return RUSH_OK;
}


/* part: -1 for all grants of the entry, else the number of its only one */

int
rush_store_rows(rush_store_t *s, rush_activity_t *a,
    const rush_entry_t *entry, int64_t part)
{
    size_t       i, k;
    rush_row_t  *row;

    if (s->nrows + entry->count > s->rows_size
        && rush_store_grow(s, s->nrows + entry->count) != RUSH_OK)
    {
        return RUSH_ERROR;
    }

    for (i = 0; i < entry->count; i++) {
        row = &s->rows[s->nrows++];

        row->activity = a;
        row->id = entry->id;
        row->epoch = entry->epoch;
        row->time = entry->time;
        row->price_ver = entry->price_ver;
        row->part = part == -1 ? (int64_t) i : part;
        row->grant = entry->grants[i];
        row->price = 0;
        row->amount = 0;
        row->slot = 0;
        row->state = RUSH_ROW_NEW;
        row->alarm = NULL;
        row->cause[0] = '\0';

        for (k = 0; k < s->dead.n; k++) {

            if (rush_cell_int(&s->dead, k, 1) == row->part
                && rush_cell(&s->dead, k, 0)->len == row->id.len
                && memcmp(rush_cell(&s->dead, k, 0)->data, row->id.data,
                          row->id.len)
                   == 0)
            {
                row->state = RUSH_ROW_DEAD;
            }
        }
    }

    return RUSH_OK;
}


static int
rush_store_grow(rush_store_t *s, size_t rows)
{
    void        *memory;
    char        *p;
    size_t       i, n, width;
    rush_row_t  *list, **sorted;

    static const char  types[] = "siiisiiisisiii";

    n = s->rows_size ? s->rows_size : 512;

    while (n < rows) {
        n *= 2;
    }

    list = realloc(s->rows, n * sizeof(rush_row_t));
    if (list == NULL) {
        goto failed;
    }

    s->rows = list;

    sorted = realloc(s->sorted, n * sizeof(rush_row_t *));
    if (sorted == NULL) {
        goto failed;
    }

    s->sorted = sorted;

    /* widths of all columns are multiples of 8, so is every start */

    width = 0;

    for (i = 0; i < RUSH_COLUMNS; i++) {
        width += types[i] == 'i' ? sizeof(int64_t)
                                 : sizeof(char *) + sizeof(unsigned long);
    }

    memory = malloc(n * width);
    if (memory == NULL) {
        goto failed;
    }

    free(s->memory);
    s->memory = memory;
    p = memory;

    for (i = 0; i < RUSH_COLUMNS; i++) {

        if (types[i] == 'i') {
            s->cols[i].type = RUSH_P_INT;
            s->cols[i].i = (int64_t *) (void *) p;
            p += n * sizeof(int64_t);
            continue;
        }

        s->cols[i].type = RUSH_P_STR;
        s->cols[i].s = (char **) (void *) p;
        p += n * sizeof(char *);
        s->cols[i].len = (unsigned long *) (void *) p;
        p += n * sizeof(unsigned long);
    }

    s->rows_size = n;

    return RUSH_OK;

failed:

    rush_log(RUSH_LOG_ERROR, "no memory for a batch");

    return RUSH_ERROR;
}


/*
 * The lock of a controller ends with its connection: somebody else may be one
 * by now, and what is drained for a rebuild must not go on beside him.
 */

int
rush_store_ready(rush_store_t *s)
{
    if (s->drain && !rush_db_connected(s->db)) {
        return RUSH_ERROR;
    }

    return rush_db_ready(s->db);
}


int
rush_store_flush(rush_store_t *s)
{
    int      rc;
    int64_t  start;

    start = rush_mono();

    for ( ;; ) {
        rc = rush_store_ready(s);

        if (rc == RUSH_ERROR) {
            return RUSH_ERROR;
        }

        if (rc == RUSH_OK) {
            rc = rush_store_batch(s);
        }

        if (rc == RUSH_OK) {
            s->pause = RUSH_BATCH_PAUSE;
            rush_store_measure(s, rush_mono() - start);
            return RUSH_OK;
        }

        /* entries stay pending and are read again after the start */

        if (rush_wait(s->daemon, s->pause / 2 + random() % s->pause)) {
            return RUSH_ERROR;
        }

        rush_stat_add(s->daemon, retries, 1);

        s->pause *= 2;

        if (s->pause > RUSH_BATCH_MAX_PAUSE) {
            s->pause = RUSH_BATCH_MAX_PAUSE;
        }
    }
}


/* price and amount of NEW rows; a price may be younger than our copy */

int
rush_store_price(rush_store_t *s)
{
    int               rc;
    size_t            i;
    rush_row_t       *row;
    rush_activity_t  *a;

    a = NULL;

    for (i = 0; i < s->nrows; i++) {
        row = &s->rows[i];

        if (row->state != RUSH_ROW_NEW) {
            continue;
        }

        if (rush_activity_price(row->activity, row->price_ver, &row->price)
            != RUSH_OK)
        {
            if (a != row->activity) {
                rc = rush_activity_load(s, row->activity->id, &a);
                if (rc != RUSH_OK) {
                    return RUSH_DB_DOWN;
                }
            }

            if (rush_activity_price(row->activity, row->price_ver,
                                    &row->price)
                != RUSH_OK)
            {
                row->state = RUSH_ROW_BAD;
                snprintf(row->cause, sizeof(row->cause),
                         "price version %lld is not known",
                         (long long) row->price_ver);
                continue;
            }
        }

        if (__builtin_mul_overflow(row->price, row->grant.qty, &row->amount))
        {
            row->state = RUSH_ROW_BAD;
            snprintf(row->cause, sizeof(row->cause),
                     "amount of %lld units is out of range",
                     (long long) row->grant.qty);
        }
    }

    return RUSH_OK;
}


static void
rush_store_measure(rush_store_t *s, int64_t us)
{
    size_t  i;

    for (i = 0; i < RUSH_HISTOGRAM; i++) {
        if ((double) us <= rush_buckets[i] * 1e6) {
            break;
        }
    }

    rush_stat_add(s->daemon, batch_bucket[i], 1);
    rush_stat_add(s->daemon, batch_us, us);
    rush_stat_add(s->daemon, batches, 1);
}
