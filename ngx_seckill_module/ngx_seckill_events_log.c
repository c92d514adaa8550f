
/*
 * Copyright (C) Rush
 */


#include "ngx_seckill_events.h"
#include "ngx_rush_counters.h"


/*
 * Changes of orders.  A trigger writes each change of a status into order_log,
 * in its transaction, whoever made it and on whichever node.  So one worker of
 * the node, by lease, asks MySQL for the rows that follow the last one, five
 * times a second, and puts the present states of their orders into a ring in
 * shared memory; every worker reads the ring and tells its listeners.
 *
 *     last | gaps | head | ring of NGX_SECKILL_RING entries
 *
 * Ids of a table become visible out of order: one whose transaction still
 * runs is a gap, which is asked about for NGX_SECKILL_GAP_TIME, and closed
 * when it is found.  After that, or with more gaps than there is room, a
 * change may be missed here; so may it when a worker is killed in between, or
 * is so slow that the ring has turned.  A listener's topic asks by itself
 * every half a minute (and all at once after a turn), so it is late then, not
 * lost.
 *
 * While MySQL is away nothing is asked; "last" stands, so nothing is missed.
 * A worker whose answer comes when another one writes drops it: "last" has
 * not moved for it.  An entry is claimed by adding to head; its seq is its
 * number once it is whole.  What stays 0, because its writer was killed, is
 * waited for one tick and then counts as a turn of the ring.
 */


#define NGX_SECKILL_LOG_LAYOUT  0x736c3031      /* "sl01" */
#define NGX_SECKILL_RING        8192            /* entries */
#define NGX_SECKILL_GAPS        64
#define NGX_SECKILL_GAPS_ASKED  16              /* of order_log_after */
#define NGX_SECKILL_GAP_TIME    10000           /* ms */
#define NGX_SECKILL_LOG_LEASE   190             /* ms, two ticks */
#define NGX_SECKILL_LOG_WRITE   100             /* ms, longer than it takes */
#define NGX_SECKILL_LOG_ROWS    500             /* LIMIT of the statement */
#define NGX_SECKILL_LOG_CHECK   64              /* looks from check to check
                                                   whether ids went back */


typedef struct {
    ngx_atomic_t          seq;          /* its number; 0: not whole */
    ngx_atomic_t          spare;
    ngx_seckill_news_t    news;
} ngx_seckill_entry_t;


typedef struct {
    int64_t               id;           /* 0: free */
    ngx_msec_t            since;
} ngx_seckill_gap_t;


typedef struct {
    ngx_atomic_t          lease;        /* reads order_log */
    ngx_atomic_t          write;        /* lease: writes all below */
    ngx_atomic_t          begun;        /* last is known */
    ngx_atomic_t          last;         /* id */
    ngx_atomic_t          looks;
    ngx_atomic_t          head;         /* number of the newest entry */
    ngx_atomic_t          spare[10];
    ngx_seckill_gap_t     gaps[NGX_SECKILL_GAPS];
    ngx_seckill_entry_t   ring[NGX_SECKILL_RING];
} ngx_seckill_log_sh_t;


static void ngx_seckill_log_ask(void);
static void ngx_seckill_log_first(void *data, ngx_rush_rows_t *rows,
    ngx_int_t rc);
static void ngx_seckill_log_rows(void *data, ngx_rush_rows_t *rows,
    ngx_int_t rc);
static void ngx_seckill_log_close_gap(int64_t id);
static void ngx_seckill_log_open_gaps(int64_t from, int64_t to);
static void ngx_seckill_log_put(ngx_seckill_news_t *news);
static void ngx_seckill_log_read(void);


static ngx_rush_zone_t        ngx_seckill_log_spec;
static ngx_seckill_log_sh_t  *ngx_seckill_log_sh;
static ngx_uint_t             ngx_seckill_log_busy;
static ngx_atomic_uint_t      ngx_seckill_log_seen;     /* entries */
static ngx_uint_t             ngx_seckill_log_waits;    /* ticks */


ngx_int_t
ngx_seckill_log_zone(ngx_conf_t *cf)
{
    ngx_rush_zone_t  *zone;

    zone = &ngx_seckill_log_spec;

    ngx_memzero(zone, sizeof(ngx_rush_zone_t));

    ngx_str_set(&zone->name, "rush_order_log");
    zone->min = sizeof(ngx_seckill_log_sh_t);
    zone->size = ngx_align(zone->min, ngx_pagesize)
                 + ngx_align(zone->min / ngx_pagesize
                             * sizeof(ngx_slab_page_t), ngx_pagesize)
                 + 8 * ngx_pagesize;
    zone->layout = NGX_SECKILL_LOG_LAYOUT;
    zone->tag = &ngx_seckill_log_spec;

    return ngx_rush_zone_add(cf, zone);
}


void
ngx_seckill_log_init(void)
{
    ngx_seckill_log_sh = ngx_seckill_log_spec.base;
    ngx_seckill_log_seen = ngx_seckill_log_sh->head;
}


void
ngx_seckill_log_tick(void)
{
    ngx_seckill_log_read();

    if (!ngx_seckill_log_busy
        && ngx_rush_lease(&ngx_seckill_log_sh->lease, NGX_SECKILL_LOG_LEASE)
           == NGX_OK)
    {
        ngx_seckill_log_ask();
    }
}


static void
ngx_seckill_log_ask(void)
{
    ngx_int_t          rc;
    ngx_uint_t         i, n;
    ngx_seckill_gap_t  gap;
    ngx_rush_param_t   p[1 + NGX_SECKILL_GAPS_ASKED];

    if (!ngx_seckill_log_sh->begun
        || ngx_atomic_fetch_add(&ngx_seckill_log_sh->looks, 1)
           % NGX_SECKILL_LOG_CHECK == 0)
    {
        rc = ngx_rush_mysql_send(
                 &ngx_seckill_sql[NGX_SECKILL_SQL_ORDER_LOG_LAST], NULL, 0,
                 ngx_seckill_log_first, NULL);

        ngx_seckill_log_busy = (rc == NGX_OK);
        return;
    }

    n = 0;
    p[n++] = ngx_rush_p_int(ngx_seckill_log_sh->last);

    for (i = 0; i < NGX_SECKILL_GAPS && n <= NGX_SECKILL_GAPS_ASKED; i++) {
        gap = ngx_seckill_log_sh->gaps[i];

        if (gap.id && ngx_current_msec - gap.since < NGX_SECKILL_GAP_TIME) {
            p[n++] = ngx_rush_p_int(gap.id);
        }
    }

    while (n <= NGX_SECKILL_GAPS_ASKED) {
        p[n++] = ngx_rush_p_int(0);
    }

    rc = ngx_rush_mysql_send(&ngx_seckill_sql[NGX_SECKILL_SQL_ORDER_LOG_AFTER],
                             p, n, ngx_seckill_log_rows, NULL);

    ngx_seckill_log_busy = (rc == NGX_OK);
}


/* where the log ends; a MySQL that was put back has lower ids than before */

static void
ngx_seckill_log_first(void *data, ngx_rush_rows_t *rows, ngx_int_t rc)
{
    int64_t  last;

    ngx_seckill_log_busy = 0;

    if (rc != NGX_OK || rows->n == 0
        || ngx_rush_lease(&ngx_seckill_log_sh->write, NGX_SECKILL_LOG_WRITE)
           != NGX_OK)
    {
        return;
    }

    last = ngx_rush_cell_int(rows, 0, 0);

    if (!ngx_seckill_log_sh->begun
        || last < (int64_t) ngx_seckill_log_sh->last)
    {
        ngx_seckill_log_sh->last = last;
        ngx_seckill_log_sh->begun = 1;
    }

    ngx_seckill_log_sh->write = 0;
}


static void
ngx_seckill_log_rows(void *data, ngx_rush_rows_t *rows, ngx_int_t rc)
{
    int64_t             id;
    ngx_uint_t          i;
    ngx_seckill_news_t  news;

    ngx_seckill_log_busy = 0;

    if (rc != NGX_OK || rows->n == 0
        || ngx_rush_lease(&ngx_seckill_log_sh->write, NGX_SECKILL_LOG_WRITE)
           != NGX_OK)
    {
        return;                         /* the driver has logged it */
    }

    for (i = 0; i < rows->n; i++) {
        id = ngx_rush_cell_int(rows, i, L_ID);

        if (ngx_seckill_news_read(&news, rows, i) == NGX_OK) {
            ngx_seckill_log_put(&news);
        }

        /* told first: who is killed here leaves it to be told again */

        (void) RUSH_FP("W21");

        if (id <= (int64_t) ngx_seckill_log_sh->last) {
            ngx_seckill_log_close_gap(id);
            continue;
        }

        ngx_seckill_log_open_gaps(ngx_seckill_log_sh->last + 1, id);
        ngx_seckill_log_sh->last = id;
    }

    ngx_seckill_log_sh->write = 0;

    ngx_seckill_log_read();

    if (rows->n >= NGX_SECKILL_LOG_ROWS) {
        ngx_seckill_log_ask();
    }
}


static void
ngx_seckill_log_close_gap(int64_t id)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_SECKILL_GAPS; i++) {
        if (ngx_seckill_log_sh->gaps[i].id == id) {
            ngx_seckill_log_sh->gaps[i].id = 0;
        }
    }
}


/* ids that were given away, and are not there; the newest find room */

static void
ngx_seckill_log_open_gaps(int64_t from, int64_t to)
{
    int64_t             id;
    ngx_uint_t          i;
    ngx_seckill_gap_t  *gap, *place;

    from = ngx_max(from, to - NGX_SECKILL_GAPS);

    for (id = from; id < to; id++) {
        place = &ngx_seckill_log_sh->gaps[0];

        for (i = 0; i < NGX_SECKILL_GAPS; i++) {
            gap = &ngx_seckill_log_sh->gaps[i];

            if (gap->id == 0
                || ngx_current_msec - gap->since >= NGX_SECKILL_GAP_TIME)
            {
                place = gap;
                break;
            }

            if (gap->id < place->id) {
                place = gap;
            }
        }

        place->id = id;
        place->since = ngx_current_msec;
    }
}


static void
ngx_seckill_log_put(ngx_seckill_news_t *news)
{
    ngx_atomic_uint_t     n;
    ngx_seckill_entry_t  *entry;

    n = ngx_atomic_fetch_add(&ngx_seckill_log_sh->head, 1) + 1;
    entry = &ngx_seckill_log_sh->ring[n % NGX_SECKILL_RING];

    entry->seq = 0;
    __sync_synchronize();

    entry->news = *news;

    __sync_synchronize();
    entry->seq = n;
}


static void
ngx_seckill_log_read(void)
{
    ngx_atomic_uint_t     n;
    ngx_seckill_news_t    news;
    ngx_seckill_entry_t  *entry;

    while (ngx_seckill_log_seen != ngx_seckill_log_sh->head) {
        n = ngx_seckill_log_seen + 1;
        entry = &ngx_seckill_log_sh->ring[n % NGX_SECKILL_RING];

        if (ngx_seckill_log_sh->head - n < NGX_SECKILL_RING) {

            if (entry->seq == n) {
                __sync_synchronize();
                news = entry->news;
                __sync_synchronize();

                if (entry->seq == n) {
                    ngx_seckill_log_seen = n;
                    ngx_seckill_log_waits = 0;
                    ngx_seckill_live_learn(&news);
                    continue;
                }
            }

            if (ngx_seckill_log_waits++ == 0) {
                return;                 /* it is being written */
            }
        }

        /* the ring has turned, or its writer was killed */

        ngx_seckill_log_seen = ngx_seckill_log_sh->head;
        ngx_seckill_log_waits = 0;

        ngx_rush_count(NGX_RUSH_C_EVENTS_LOST, 1);
        ngx_seckill_live_ask_all();
    }
}
