
/*
 * Copyright (C) Rush
 */


#include "ngx_rush_cache.h"


/*
 * Rendered answers in shared memory.
 *
 *     header | tags: 8 hashes a bucket, one line | cells of 16 KB
 *
 * There is one class of cells: 256 bytes of header and key, the rest for a
 * value; a larger value is not cached, its cell says so for a second.  1 MB
 * of zone holds 63 answers.
 *
 * A tag leads to a cell, the key in the cell decides.  All of a cell but
 * "lock" and "lease" is a seqlock: a writer takes "lock" from even to odd,
 * changes, makes it even again; a reader that saw the same even word before
 * and after has read one state.  The word carries the ms since which a writer
 * is at work: one that has not finished in 2 s was killed, and the next
 * writer takes over.  (Copying 16 KB takes microseconds; a writer that is
 * stopped inside of it for 2 s and goes on then is not handled.)
 *
 * "lease" is a word of its own and belongs to ngx_rush_cache.c.
 */


#define NGX_RUSH_CACHE_LAYOUT  0x43414301
#define NGX_RUSH_CACHE_WAYS    8
#define NGX_RUSH_CACHE_READS   64           /* tries to see one state */
#define NGX_RUSH_CACHE_STUCK   2000         /* ms */


typedef struct {
    ngx_atomic_t            tags[NGX_RUSH_CACHE_WAYS];
} ngx_rush_cache_bucket_t;


_Static_assert(sizeof(ngx_rush_cache_cell_t) == 16384
               && sizeof(ngx_rush_cache_sh_t) == 128,
               "cells are aligned to lines");


static ngx_int_t ngx_rush_cache_fresh(void *base, size_t size,
    ngx_log_t *log);
static ngx_rush_cache_cell_t *ngx_rush_cache_cell(uint64_t bucket,
    ngx_uint_t way);
static ngx_rush_cache_cell_t *ngx_rush_cache_oldest(uint64_t bucket,
    ngx_uint_t *way);
static ngx_uint_t ngx_rush_cache_stuck(uint64_t lock);


ngx_rush_cache_sh_t  *ngx_rush_cache_sh;


uint64_t
ngx_rush_cache_hash(ngx_str_t *key)
{
    uint64_t  hash;

    hash = ngx_rush_hash(key->data, key->len, ngx_rush_cache_sh->seed);

    return hash ? hash : 1;
}


ngx_rush_cache_cell_t *
ngx_rush_cache_find(uint64_t hash)
{
    uint64_t                  n;
    ngx_uint_t                i;
    ngx_rush_cache_bucket_t  *bucket;

    n = hash % ngx_rush_cache_sh->buckets;
    bucket = (ngx_rush_cache_bucket_t *) (ngx_rush_cache_sh + 1) + n;

    for (i = 0; i < NGX_RUSH_CACHE_WAYS; i++) {

        if (bucket->tags[i] == hash) {
            return ngx_rush_cache_cell(n, i);
        }
    }

    return NULL;
}


static ngx_rush_cache_cell_t *
ngx_rush_cache_cell(uint64_t bucket, ngx_uint_t way)
{
    u_char                   *p;
    ngx_rush_cache_bucket_t  *buckets;

    buckets = (ngx_rush_cache_bucket_t *) (ngx_rush_cache_sh + 1);
    p = (u_char *) (buckets + ngx_rush_cache_sh->buckets);

    return (ngx_rush_cache_cell_t *) p + bucket * NGX_RUSH_CACHE_WAYS + way;
}


ngx_int_t
ngx_rush_cache_look(ngx_rush_cache_cell_t *cell, uint64_t hash,
    ngx_str_t *key, ngx_rush_cache_view_t *view)
{
    ngx_uint_t  tries, ours;

    for (tries = 0; tries < NGX_RUSH_CACHE_READS; tries++) {

        view->lock = __atomic_load_n(&cell->lock, __ATOMIC_ACQUIRE);

        if (view->lock & 1) {
            ngx_cpu_pause();
            continue;
        }

        view->loaded = cell->loaded;
        view->etag = cell->etag;
        view->state = cell->state;
        view->len = cell->len;

        ours = (cell->hash == hash
                && (key == NULL
                    || (cell->key_len == key->len
                        && ngx_memcmp(cell->key, key->data, key->len) == 0)));

        __atomic_thread_fence(__ATOMIC_ACQUIRE);

        if (cell->lock == view->lock) {
            return ours ? NGX_OK : NGX_DECLINED;
        }
    }

    if (!(view->lock & 1) || !ngx_rush_cache_stuck(view->lock)) {
        return NGX_AGAIN;
    }

    /* nothing can be read, the next load repairs it */

    view->state = NGX_RUSH_CACHE_EMPTY;

    return NGX_OK;
}


ngx_uint_t
ngx_rush_cache_usable(ngx_rush_cache_view_t *view, ngx_msec_t ms)
{
    ngx_msec_int_t  age;

    /* below zero when the clock of this worker is some ms behind */

    age = (ngx_msec_int_t) (ngx_current_msec - view->loaded);

    return view->state != NGX_RUSH_CACHE_EMPTY
           && age < (ngx_msec_int_t) ms;
}


ngx_uint_t
ngx_rush_cache_ready(uint64_t hash)
{
    uint64_t                lease;
    ngx_rush_cache_cell_t  *cell;
    ngx_rush_cache_view_t   view;

    cell = ngx_rush_cache_find(hash);

    if (cell == NULL) {
        return 1;
    }

    switch (ngx_rush_cache_look(cell, hash, NULL, &view)) {

    case NGX_AGAIN:
        return 0;

    case NGX_DECLINED:
        return 1;
    }

    lease = cell->lease >> NGX_RUSH_STAMP_BITS;

    return ngx_rush_cache_usable(&view, NGX_RUSH_CACHE_SERVED)
           || (ngx_msec_int_t) (lease - ngx_current_msec) <= 0;
}


ngx_rush_cache_cell_t *
ngx_rush_cache_take(uint64_t hash, ngx_str_t *key)
{
    uint64_t                  n, lock;
    ngx_uint_t                way;
    ngx_rush_cache_cell_t    *cell, *other;
    ngx_rush_cache_view_t     view;
    ngx_rush_cache_bucket_t  *bucket;

    n = hash % ngx_rush_cache_sh->buckets;
    bucket = (ngx_rush_cache_bucket_t *) (ngx_rush_cache_sh + 1) + n;

    cell = ngx_rush_cache_oldest(n, &way);
    if (cell == NULL) {
        return NULL;
    }

    lock = ngx_rush_cache_lock(cell);
    if (lock == 0) {
        return NULL;
    }

    other = ngx_rush_cache_find(hash);

    if (other) {
        ngx_rush_cache_unlock(cell, lock);
        return other;                   /* another worker was quicker */
    }

    view.state = cell->state;
    view.loaded = cell->loaded;

    if (ngx_rush_cache_usable(&view, NGX_RUSH_CACHE_SERVED)) {
        ngx_rush_count(NGX_RUSH_C_CACHE_EVICTED, 1);
    }

    cell->lease = 0;
    cell->state = NGX_RUSH_CACHE_EMPTY;
    cell->loaded = ngx_current_msec;
    cell->hash = hash;
    cell->key_len = key->len;
    ngx_memcpy(cell->key, key->data, key->len);

    bucket->tags[way] = hash;

    ngx_rush_cache_unlock(cell, lock);

    return cell;
}


/* as seen without a lock: others may make a cell younger meanwhile */

static ngx_rush_cache_cell_t *
ngx_rush_cache_oldest(uint64_t bucket, ngx_uint_t *way)
{
    uint64_t                lock, loaded, least;
    ngx_uint_t              i;
    ngx_rush_cache_cell_t  *cell, *oldest;

    oldest = NULL;
    least = 0;

    for (i = 0; i < NGX_RUSH_CACHE_WAYS; i++) {
        cell = ngx_rush_cache_cell(bucket, i);
        lock = cell->lock;
        loaded = cell->loaded;

        if ((lock & 1) && !ngx_rush_cache_stuck(lock)) {
            continue;
        }

        if (oldest == NULL || loaded < least) {
            oldest = cell;
            least = loaded;
            *way = i;
        }
    }

    return oldest;
}


uint64_t
ngx_rush_cache_lock(ngx_rush_cache_cell_t *cell)
{
    uint64_t  old, lock;

    old = cell->lock;
    lock = old + 1;

    if (old & 1) {

        if (!ngx_rush_cache_stuck(old)) {
            return 0;
        }

        lock = old + 2;
    }

    lock = (uint64_t) ngx_current_msec << NGX_RUSH_STAMP_BITS
           | (lock & NGX_RUSH_STAMP_MASK);

    if (!ngx_atomic_cmp_set(&cell->lock, old, lock)) {
        return 0;
    }

    return lock;
}


void
ngx_rush_cache_unlock(ngx_rush_cache_cell_t *cell, uint64_t lock)
{
    uint64_t  next;

    next = (lock & ~(uint64_t) NGX_RUSH_STAMP_MASK)
           | ((lock + 1) & NGX_RUSH_STAMP_MASK);

    /* not when it was taken over from a worker that stood still too long */

    (void) __atomic_compare_exchange_n(&cell->lock, &lock, next, 0,
                                       __ATOMIC_RELEASE, __ATOMIC_RELAXED);
}


/* whether an odd word was left behind by a worker that was killed */

static ngx_uint_t
ngx_rush_cache_stuck(uint64_t lock)
{
    uint64_t  since;

    since = lock >> NGX_RUSH_STAMP_BITS;

    return (ngx_msec_int_t) (ngx_current_msec - since)
           >= NGX_RUSH_CACHE_STUCK;
}


ngx_int_t
ngx_rush_cache_zone(ngx_conf_t *cf, size_t size)
{
    ngx_rush_zone_t  *zone;

    zone = ngx_pcalloc(cf->pool, sizeof(ngx_rush_zone_t));
    if (zone == NULL) {
        return NGX_ERROR;
    }

    ngx_str_set(&zone->name, "rush_cache");
    zone->size = size;
    zone->min = sizeof(ngx_rush_cache_sh_t)
                + 2 * (sizeof(ngx_rush_cache_bucket_t)
                       + NGX_RUSH_CACHE_WAYS * sizeof(ngx_rush_cache_cell_t));
    zone->layout = NGX_RUSH_CACHE_LAYOUT;
    zone->init = ngx_rush_cache_fresh;
    zone->tag = &ngx_http_rush_core_module;
    zone->link = (void **) &ngx_rush_cache_sh;

    return ngx_rush_zone_add(cf, zone);
}


static ngx_int_t
ngx_rush_cache_fresh(void *base, size_t size, ngx_log_t *log)
{
    ngx_rush_cache_sh_t  *sh = base;

    sh->buckets = (size - sizeof(ngx_rush_cache_sh_t))
                  / (sizeof(ngx_rush_cache_bucket_t)
                     + NGX_RUSH_CACHE_WAYS * sizeof(ngx_rush_cache_cell_t));

    /* even, so that the cells stand on whole pairs of lines */

    sh->buckets &= ~(uint64_t) 1;

    sh->seed = (uint64_t) ngx_random() << 32 ^ (uint64_t) ngx_random()
               ^ ngx_rush_mix((uint64_t) ngx_rush_now_ms() ^ ngx_pid);

    return NGX_OK;
}
