
/*
 * Copyright (C) Rush
 */


#include "ngx_rush_revoke.h"


/*
 * Revoked tokens: a table that every worker of the node reads at each request
 * with a token.
 *
 *     header, 256 bytes | buckets of 7 cells {key, word} and "spilled"
 *
 * key is id << 1 | kind (ids are below 2^63, so it is the id itself, no
 * hash); word is version << 32 | second in which it expires.  For a user,
 * tokens with a lower version are revoked, for a session all.  An expired
 * word means nothing, whatever the key.  A key that finds its bucket full of
 * live cells goes to another one, up to 8; "spilled" says until when a
 * reader has to look there.  With all 8 full the cell that expires first
 * gives way, which is counted: the zone is too small then.
 *
 * No locks.  A reader takes key, word, key: the same key twice means that the
 * word is that key's.  A writer claims a cell by compare-and-swap of the key,
 * and only when its word expired GRACE seconds ago, while the key's own
 * writers leave such a cell alone from half of that on; so both never change
 * one cell, short of a worker that stands still in between for seconds.  A
 * writer killed after the claim leaves a key with an expired word, which is a
 * free cell.  Two workers may give one key two cells: readers look at all.
 */


#define NGX_RUSH_REVOKE_LAYOUT   0x52565201
#define NGX_RUSH_REVOKE_MIN      65536
#define NGX_RUSH_REVOKE_WAYS     7
#define NGX_RUSH_REVOKE_SPILL    8          /* buckets a key may stand in */
#define NGX_RUSH_REVOKE_TRIES    8
#define NGX_RUSH_REVOKE_TTL      900        /* s */
#define NGX_RUSH_REVOKE_SLACK    60         /* s, for clocks and leeway */
#define NGX_RUSH_REVOKE_GRACE    8          /* s */

#define NGX_RUSH_REVOKE_MAX_VER  0xffffffffLL

#define ngx_rush_revoke_until(word)  ((word) & 0xffffffff)


typedef struct {
    ngx_atomic_t             key;           /* 0: never used */
    ngx_atomic_t             word;
} ngx_rush_revoke_cell_t;


typedef struct {
    ngx_rush_revoke_cell_t   cells[NGX_RUSH_REVOKE_WAYS];
    ngx_atomic_t             spilled;       /* s */
    ngx_atomic_t             pad;
} ngx_rush_revoke_bucket_t;


_Static_assert(sizeof(ngx_rush_revoke_bucket_t) == 128
               && sizeof(ngx_rush_revoke_sh_t) == 256,
               "buckets are aligned to two lines");


static ngx_uint_t ngx_rush_revoke_found(uint64_t key, uint64_t version,
    uint64_t now);
static ngx_rush_revoke_bucket_t *ngx_rush_revoke_bucket(uint64_t key,
    ngx_uint_t n);
static ngx_int_t ngx_rush_revoke_place(uint64_t key, uint64_t word,
    uint64_t now);
static ngx_int_t ngx_rush_revoke_merge(ngx_rush_revoke_cell_t *cell,
    uint64_t key, uint64_t word, uint64_t now);
static void ngx_rush_revoke_evict(uint64_t key, uint64_t word, uint64_t now);
static ngx_int_t ngx_rush_revoke_fresh(void *base, size_t size,
    ngx_log_t *log);


ngx_rush_revoke_sh_t  *ngx_rush_revoke_sh;

static ngx_uint_t      ngx_rush_revoke_life = NGX_RUSH_REVOKE_TTL;


ngx_int_t
ngx_rush_revoked(rush_claims_t *claims)
{
    uint64_t  now;

    now = ngx_time();

    if (ngx_rush_revoke_sh == NULL || ngx_rush_revoke_sh->latest <= now) {
        return NGX_OK;
    }

    if (ngx_rush_revoke_found((uint64_t) claims->user << 1,
                              (uint64_t) ngx_max(claims->version, 0), now)
        || ngx_rush_revoke_found((uint64_t) claims->session << 1 | 1, 0, now))
    {
        return NGX_DECLINED;
    }

    return NGX_OK;
}


static ngx_uint_t
ngx_rush_revoke_found(uint64_t key, uint64_t version, uint64_t now)
{
    uint64_t                   word;
    ngx_uint_t                 i, n;
    ngx_rush_revoke_cell_t    *cell;
    ngx_rush_revoke_bucket_t  *bucket;

    for (n = 0; n < NGX_RUSH_REVOKE_SPILL; n++) {
        bucket = ngx_rush_revoke_bucket(key, n);

        for (i = 0; i < NGX_RUSH_REVOKE_WAYS; i++) {
            cell = &bucket->cells[i];

            if (__atomic_load_n(&cell->key, __ATOMIC_ACQUIRE) != key) {
                continue;
            }

            word = __atomic_load_n(&cell->word, __ATOMIC_ACQUIRE);

            if (ngx_rush_revoke_until(word) > now
                && ((key & 1) || version < word >> 32)
                && __atomic_load_n(&cell->key, __ATOMIC_RELAXED) == key)
            {
                return 1;
            }
        }

        if (bucket->spilled <= now) {
            break;
        }
    }

    return 0;
}


static ngx_rush_revoke_bucket_t *
ngx_rush_revoke_bucket(uint64_t key, ngx_uint_t n)
{
    uint64_t                   i, hash, size;
    ngx_rush_revoke_bucket_t  *buckets;

    buckets = (ngx_rush_revoke_bucket_t *) (ngx_rush_revoke_sh + 1);
    size = ngx_rush_revoke_sh->buckets;

    hash = ngx_rush_mix(key);
    i = ((hash >> 32) * size) >> 32;

    if (n) {
        /* steps of its own, so that full buckets do not crowd together */

        i = (i + n * (1 + (hash & 0xffffffff) % (size - 1))) % size;
    }

    return &buckets[i];
}


void
ngx_rush_revoke_insert(u_char kind, int64_t id, int64_t version)
{
    uint64_t    key, word, now, until;
    ngx_uint_t  tries;

    now = ngx_time();
    until = now + ngx_rush_revoke_keep();

    version = ngx_max(version, 0);

    key = (uint64_t) id << 1 | (kind == 's');
    word = (uint64_t) ngx_min(version, NGX_RUSH_REVOKE_MAX_VER) << 32 | until;

    /* first, or a reader would not look */

    ngx_rush_revoke_raise(&ngx_rush_revoke_sh->latest, until);

    for (tries = 0; tries < NGX_RUSH_REVOKE_TRIES; tries++) {

        if (ngx_rush_revoke_place(key, word, now) == NGX_OK) {
            return;
        }
    }

    ngx_rush_count(NGX_RUSH_C_REVOKE_EVICTED, 1);
    ngx_rush_revoke_evict(key, word, now);
}


/* one look at all cells the key may stand in; NGX_AGAIN: lost a race or no
 * cell is free */

static ngx_int_t
ngx_rush_revoke_place(uint64_t key, uint64_t word, uint64_t now)
{
    uint64_t                   old, until;
    ngx_uint_t                 i, n;
    ngx_rush_revoke_cell_t    *cell, *idle;
    ngx_rush_revoke_bucket_t  *bucket;

    for (n = 0; n < NGX_RUSH_REVOKE_SPILL; n++) {
        bucket = ngx_rush_revoke_bucket(key, n);
        idle = NULL;

        for (i = 0; i < NGX_RUSH_REVOKE_WAYS; i++) {
            cell = &bucket->cells[i];
            until = ngx_rush_revoke_until(cell->word);

            if (cell->key == key
                && until + NGX_RUSH_REVOKE_GRACE / 2 > now)
            {
                return ngx_rush_revoke_merge(cell, key, word, now);
            }

            if (idle == NULL && until + NGX_RUSH_REVOKE_GRACE < now) {
                idle = cell;
            }
        }

        if (idle) {
            old = idle->key;

            if (ngx_rush_revoke_until(idle->word) + NGX_RUSH_REVOKE_GRACE < now
                && ngx_atomic_cmp_set(&idle->key, old, key))
            {
                return ngx_rush_revoke_merge(idle, key, word, now);
            }

            return NGX_AGAIN;
        }

        ngx_rush_revoke_raise(&bucket->spilled,
                              ngx_rush_revoke_until(word));
    }

    return NGX_AGAIN;
}


static ngx_int_t
ngx_rush_revoke_merge(ngx_rush_revoke_cell_t *cell, uint64_t key,
    uint64_t word, uint64_t now)
{
    uint64_t  old, version, until;

    do {
        old = cell->word;
        version = word >> 32;
        until = ngx_rush_revoke_until(word);

        /* an expired word may be another key's */

        if (ngx_rush_revoke_until(old) > now) {
            version = ngx_max(version, old >> 32);
            until = ngx_max(until, ngx_rush_revoke_until(old));
        }

    } while (!ngx_atomic_cmp_set(&cell->word, old, version << 32 | until));

    return cell->key == key ? NGX_OK : NGX_AGAIN;
}


/* no cell is free: the next to expire of the first bucket has to go */

static void
ngx_rush_revoke_evict(uint64_t key, uint64_t word, uint64_t now)
{
    uint64_t                   old;
    ngx_uint_t                 i;
    ngx_rush_revoke_cell_t    *cell, *first;
    ngx_rush_revoke_bucket_t  *bucket;

    bucket = ngx_rush_revoke_bucket(key, 0);
    first = &bucket->cells[0];

    for (i = 1; i < NGX_RUSH_REVOKE_WAYS; i++) {
        cell = &bucket->cells[i];

        if (ngx_rush_revoke_until(cell->word)
            < ngx_rush_revoke_until(first->word))
        {
            first = cell;
        }
    }

    old = first->key;
    first->word = 0;                    /* not to be read as the new key's */

    if (ngx_atomic_cmp_set(&first->key, old, key)) {
        (void) ngx_rush_revoke_merge(first, key, word, now);
    }
}


void
ngx_rush_revoke_raise(ngx_atomic_t *value, uint64_t to)
{
    uint64_t  old;

    do {
        old = *value;

        if (old >= to) {
            return;
        }

    } while (!ngx_atomic_cmp_set(value, old, to));
}


void
ngx_rush_revoke_ttl(ngx_uint_t seconds)
{
    ngx_rush_revoke_life = seconds;
}


ngx_uint_t
ngx_rush_revoke_keep(void)
{
    return ngx_rush_revoke_life + NGX_RUSH_REVOKE_SLACK;
}


ngx_int_t
ngx_rush_revoke_zone(ngx_conf_t *cf, size_t size)
{
    ngx_rush_zone_t  *zone;

    zone = ngx_pcalloc(cf->pool, sizeof(ngx_rush_zone_t));
    if (zone == NULL) {
        return NGX_ERROR;
    }

    ngx_str_set(&zone->name, "rush_revoke");
    zone->size = size;
    zone->min = NGX_RUSH_REVOKE_MIN;
    zone->layout = NGX_RUSH_REVOKE_LAYOUT;
    zone->init = ngx_rush_revoke_fresh;
    zone->tag = &ngx_http_rush_core_module;
    zone->link = (void **) &ngx_rush_revoke_sh;

    return ngx_rush_zone_add(cf, zone);
}


static ngx_int_t
ngx_rush_revoke_fresh(void *base, size_t size, ngx_log_t *log)
{
    ngx_rush_revoke_sh_t  *sh = base;

    sh->buckets = (size - sizeof(ngx_rush_revoke_sh_t))
                  / sizeof(ngx_rush_revoke_bucket_t);

    return NGX_OK;
}
