
/*
 * Copyright (C) Rush
 */


#include "ngx_rush_core.h"
#include "ngx_rush_counters.h"


/*
 * Counters in shared memory.
 *
 *     header | names of routes, as hashes | blocks of workers
 *     block:  counters, answers by code | routes: 5 rows of 14 buckets, sum
 *
 * A worker writes to the block of its number, so nobody shares a cache line
 * with it but the old worker of that number during a reload: therefore the
 * words are atomics.  /metrics adds up all blocks that were ever used; those
 * of workers that are gone keep what they counted.
 *
 * The routes of a configuration have running numbers that another one may
 * give to other routes, while the zone lives on.  So a route has a place in
 * the zone by the hash of its name, taken by compare-and-swap when a worker
 * counts for the first time.  Place 0 is for requests without a route, and
 * for routes beyond the room there is (32 more than the configuration had
 * that made the zone).
 *
 * One answer is one addition in most cases: the bucket of its time, in the
 * row of its status class, is at the same time the count of requests; success
 * has a row of its own, and only other answers count by code too.  Sums of
 * ms are exact; a histogram and its sum are read one after the other and may
 * differ by what came in between.
 */


#define NGX_RUSH_STATS_BLOCKS  256
#define NGX_RUSH_STATS_LEAST   4            /* blocks */
#define NGX_RUSH_STATS_ROOM    32           /* places for later routes */
#define NGX_RUSH_STATS_ROUTES  1024


typedef struct {
    ngx_atomic_t             rows[NGX_RUSH_ROW_COUNT][NGX_RUSH_BUCKET_COUNT];
    ngx_atomic_t             sum;           /* ms */
    ngx_atomic_t             pad;
} ngx_rush_stats_route_t;


typedef struct {
    ngx_atomic_t             used;
    ngx_atomic_t             counters[NGX_RUSH_COUNTER_COUNT];
    ngx_atomic_t             codes[RUSH_ERROR_COUNT + 1];
    ngx_atomic_t             lag[NGX_RUSH_LAG_COUNT];
    ngx_atomic_t             lag_us;
} ngx_rush_stats_block_t;


typedef struct {
    uint64_t                 places;        /* multiple of 16 */
    uint64_t                 blocks;
    uint64_t                 size;          /* of a block, with routes */
    u_char                   pad[104];
    ngx_atomic_t             names[];       /* 0: free */
} ngx_rush_stats_sh_t;


_Static_assert(sizeof(ngx_rush_stats_route_t) == 576
               && sizeof(ngx_rush_stats_sh_t) == 128,
               "routes are aligned to lines");

#define NGX_RUSH_BLOCK_HEAD  ((sizeof(ngx_rush_stats_block_t) + 127)          \
                              & ~(size_t) 127)

/* another list of counters or codes is another layout */

#define NGX_RUSH_STATS_LAYOUT                                                 \
    (0x54000000 + NGX_RUSH_COUNTER_COUNT * 1024 + RUSH_ERROR_COUNT)


static ngx_int_t ngx_rush_stats_fresh(void *base, size_t size,
    ngx_log_t *log);
static size_t ngx_rush_stats_size(ngx_uint_t places);
static ngx_uint_t ngx_rush_stats_start(void);
static void ngx_rush_stats_map(void);
static ngx_uint_t ngx_rush_stats_place(uint64_t name);
static ngx_rush_stats_block_t *ngx_rush_stats_block(ngx_uint_t n);
static ngx_rush_stats_route_t *ngx_rush_stats_route(
    ngx_rush_stats_block_t *block, ngx_uint_t place);
static ngx_uint_t ngx_rush_stats_row(ngx_uint_t error_index,
    ngx_uint_t status);


static ngx_uint_t               ngx_rush_stats_places;  /* of a fresh zone */
static ngx_rush_stats_sh_t     *ngx_rush_stats_sh;

static ngx_rush_stats_block_t  *ngx_rush_stats_mine;    /* NULL: not begun */
static ngx_uint_t               ngx_rush_stats_mapped;
static uint16_t                 ngx_rush_stats_of[NGX_RUSH_STATS_ROUTES];


void
ngx_rush_count(ngx_uint_t counter, ngx_uint_t n)
{
    if (ngx_rush_stats_mine == NULL && !ngx_rush_stats_start()) {
        return;
    }

    (void) ngx_atomic_fetch_add(&ngx_rush_stats_mine->counters[counter], n);
}


void
ngx_rush_count_answer(ngx_uint_t route, ngx_uint_t error_index,
    ngx_uint_t status, ngx_msec_t elapsed)
{
    ngx_uint_t               i, row, place;
    ngx_rush_stats_route_t  *r;

    static const ngx_msec_t  bounds[] = {
#define NGX_RUSH_BOUND(ms, le)  ms,
        NGX_RUSH_BUCKETS(NGX_RUSH_BOUND)
#undef NGX_RUSH_BOUND
        (ngx_msec_t) -1
    };

    _Static_assert(sizeof(bounds) / sizeof(bounds[0])
                   == NGX_RUSH_BUCKET_COUNT, "one bucket a bound");

    if (ngx_rush_stats_mine == NULL && !ngx_rush_stats_start()) {
        return;
    }

    place = (route < ngx_rush_stats_mapped) ? ngx_rush_stats_of[route] : 0;
    row = ngx_rush_stats_row(error_index, status);
    r = ngx_rush_stats_route(ngx_rush_stats_mine, place);

    for (i = 0; elapsed > bounds[i]; i++) { /* void */ }

    (void) ngx_atomic_fetch_add(&r->rows[row][i], 1);

    if (elapsed) {
        (void) ngx_atomic_fetch_add(&r->sum, elapsed);
    }

    if (row != NGX_RUSH_ROW_OK && error_index <= RUSH_ERROR_COUNT) {
        (void) ngx_atomic_fetch_add(&ngx_rush_stats_mine->codes[error_index],
                                    1);
    }
}


void
ngx_rush_count_lag(uint64_t us)
{
    ngx_uint_t  i;

    static const uint64_t  bounds[] = {
#define NGX_RUSH_BOUND(us, le)  us,
        NGX_RUSH_LAGS(NGX_RUSH_BOUND)
#undef NGX_RUSH_BOUND
        (uint64_t) -1
    };

    _Static_assert(sizeof(bounds) / sizeof(bounds[0]) == NGX_RUSH_LAG_COUNT,
                   "one bucket a bound");

    if (ngx_rush_stats_mine == NULL && !ngx_rush_stats_start()) {
        return;
    }

    for (i = 0; us > bounds[i]; i++) { /* void */ }

    (void) ngx_atomic_fetch_add(&ngx_rush_stats_mine->lag[i], 1);
    (void) ngx_atomic_fetch_add(&ngx_rush_stats_mine->lag_us, us);
}


static ngx_uint_t
ngx_rush_stats_row(ngx_uint_t error_index, ngx_uint_t status)
{
    if (status < 300) {
        return error_index == RUSH_ERROR_COUNT ? NGX_RUSH_ROW_OK
                                               : NGX_RUSH_ROW_2XX;
    }

    if (status < 400) {
        return NGX_RUSH_ROW_3XX;
    }

    return status < 500 ? NGX_RUSH_ROW_4XX : NGX_RUSH_ROW_5XX;
}


/* the first count of this process */

static ngx_uint_t
ngx_rush_stats_start(void)
{
    if (ngx_rush_stats_sh == NULL) {
        return 0;
    }

    ngx_rush_stats_mine = ngx_rush_stats_block(ngx_worker
                                               % ngx_rush_stats_sh->blocks);
    ngx_rush_stats_mine->used = 1;

    ngx_rush_stats_map();

    return 1;
}


static void
ngx_rush_stats_map(void)
{
    uint64_t     hash;
    ngx_str_t   *name;
    ngx_uint_t   i, n;

    n = ngx_min(ngx_rush_route_count(), NGX_RUSH_STATS_ROUTES);

    for (i = 0; i < n; i++) {
        name = ngx_rush_route_name(i);

        hash = ngx_rush_hash(name->data, name->len, 0);
        ngx_rush_stats_of[i] = ngx_rush_stats_place(hash ? hash : 1);
    }

    ngx_rush_stats_mapped = n;
}


static ngx_uint_t
ngx_rush_stats_place(uint64_t name)
{
    ngx_uint_t            i;
    ngx_rush_stats_sh_t  *sh;

    sh = ngx_rush_stats_sh;

    for (i = 1; i < sh->places; i++) {

        if (sh->names[i] == 0) {
            (void) ngx_atomic_cmp_set(&sh->names[i], 0, name);
        }

        if (sh->names[i] == name) {
            return i;
        }
    }

    return 0;
}


static ngx_rush_stats_block_t *
ngx_rush_stats_block(ngx_uint_t n)
{
    u_char               *p;
    ngx_rush_stats_sh_t  *sh;

    sh = ngx_rush_stats_sh;
    p = (u_char *) &sh->names[sh->places];

    return (ngx_rush_stats_block_t *) (p + n * sh->size);
}


static ngx_rush_stats_route_t *
ngx_rush_stats_route(ngx_rush_stats_block_t *block, ngx_uint_t place)
{
    return (ngx_rush_stats_route_t *) ((u_char *) block + NGX_RUSH_BLOCK_HEAD)
           + place;
}


uint64_t
ngx_rush_sum_counter(ngx_uint_t counter)
{
    uint64_t    sum;
    ngx_uint_t  i;

    sum = 0;

    for (i = 0; ngx_rush_stats_sh && i < ngx_rush_stats_sh->blocks; i++) {
        sum += ngx_rush_stats_block(i)->counters[counter];
    }

    return sum;
}


uint64_t
ngx_rush_sum_answers(ngx_uint_t error_index)
{
    uint64_t                 sum;
    ngx_uint_t               i, j, k;
    ngx_rush_stats_route_t  *r;
    ngx_rush_stats_block_t  *block;

    sum = 0;

    for (i = 0; ngx_rush_stats_sh && i < ngx_rush_stats_sh->blocks; i++) {
        block = ngx_rush_stats_block(i);

        if (!block->used) {
            continue;
        }

        sum += block->codes[error_index];

        if (error_index != RUSH_ERROR_COUNT) {
            continue;
        }

        for (j = 0; j < ngx_rush_stats_sh->places; j++) {
            r = ngx_rush_stats_route(block, j);

            for (k = 0; k < NGX_RUSH_BUCKET_COUNT; k++) {
                sum += r->rows[NGX_RUSH_ROW_OK][k];
            }
        }
    }

    return sum;
}


void
ngx_rush_sum_route(ngx_uint_t route, ngx_rush_route_sum_t *sum)
{
    ngx_uint_t               i, j, k, place;
    ngx_rush_stats_route_t  *r;
    ngx_rush_stats_block_t  *block;

    ngx_memzero(sum, sizeof(ngx_rush_route_sum_t));

    place = (route < ngx_rush_stats_mapped) ? ngx_rush_stats_of[route] : 0;

    if (place == 0 && route != NGX_RUSH_NO_ROUTE) {
        return;
    }

    for (i = 0; ngx_rush_stats_sh && i < ngx_rush_stats_sh->blocks; i++) {
        block = ngx_rush_stats_block(i);

        if (!block->used) {
            continue;
        }

        r = ngx_rush_stats_route(block, place);

        for (j = 0; j < NGX_RUSH_ROW_COUNT; j++) {
            for (k = 0; k < NGX_RUSH_BUCKET_COUNT; k++) {
                sum->rows[j][k] += r->rows[j][k];
            }
        }

        sum->sum += r->sum;
    }
}


void
ngx_rush_sum_lag(ngx_rush_lag_sum_t *sum)
{
    ngx_uint_t               i, j;
    ngx_rush_stats_block_t  *block;

    ngx_memzero(sum, sizeof(ngx_rush_lag_sum_t));

    for (i = 0; ngx_rush_stats_sh && i < ngx_rush_stats_sh->blocks; i++) {
        block = ngx_rush_stats_block(i);

        for (j = 0; j < NGX_RUSH_LAG_COUNT; j++) {
            sum->buckets[j] += block->lag[j];
        }

        sum->us += block->lag_us;
    }
}


ngx_int_t
ngx_rush_stats_zone(ngx_conf_t *cf, size_t size, ngx_uint_t routes)
{
    ngx_rush_zone_t  *zone;

    zone = ngx_pcalloc(cf->pool, sizeof(ngx_rush_zone_t));
    if (zone == NULL) {
        return NGX_ERROR;
    }

    ngx_rush_stats_places = ngx_align(1 + routes + NGX_RUSH_STATS_ROOM, 16);

    ngx_str_set(&zone->name, "rush_stats");
    zone->size = size;
    zone->min = sizeof(ngx_rush_stats_sh_t)
                + ngx_rush_stats_places * sizeof(ngx_atomic_t)
                + NGX_RUSH_STATS_LEAST
                  * ngx_rush_stats_size(ngx_rush_stats_places);
    zone->layout = NGX_RUSH_STATS_LAYOUT;
    zone->init = ngx_rush_stats_fresh;
    zone->tag = &ngx_http_rush_core_module;
    zone->link = (void **) &ngx_rush_stats_sh;

    return ngx_rush_zone_add(cf, zone);
}


static size_t
ngx_rush_stats_size(ngx_uint_t places)
{
    return ngx_align(NGX_RUSH_BLOCK_HEAD
                     + places * sizeof(ngx_rush_stats_route_t), 128);
}


static ngx_int_t
ngx_rush_stats_fresh(void *base, size_t size, ngx_log_t *log)
{
    ngx_rush_stats_sh_t  *sh = base;

    sh->places = ngx_rush_stats_places;
    sh->size = ngx_rush_stats_size(sh->places);

    size -= sizeof(ngx_rush_stats_sh_t) + sh->places * sizeof(ngx_atomic_t);

    sh->blocks = ngx_min(size / sh->size, NGX_RUSH_STATS_BLOCKS);

    return NGX_OK;
}
