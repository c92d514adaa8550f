
/*
 * Copyright (C) Rush
 *
 * Private to ngx_rush_cache_cell.c, the cells in shared memory, and
 * ngx_rush_cache.c, who may load, who is served and who waits.
 */


#ifndef _NGX_RUSH_CACHE_H_INCLUDED_
#define _NGX_RUSH_CACHE_H_INCLUDED_


#include "ngx_rush_shm.h"
#include "ngx_rush_counters.h"


#define NGX_RUSH_CACHE_FRESH   500          /* ms */
#define NGX_RUSH_CACHE_SERVED  1000         /* ms */

#define NGX_RUSH_STAMP_BITS    20           /* lock and lease: ms above */
#define NGX_RUSH_STAMP_MASK    ((1 << NGX_RUSH_STAMP_BITS) - 1)


typedef enum {
    NGX_RUSH_CACHE_EMPTY = 0,
    NGX_RUSH_CACHE_VALUE,
    NGX_RUSH_CACHE_ABSENT,
    NGX_RUSH_CACHE_LARGE
} ngx_rush_cache_state_e;


typedef struct {                            /* in shm */
    ngx_atomic_t            lock;           /* ms of change, sequence */
    ngx_atomic_t            lease;          /* deadline, stamp; 0: free */

    uint64_t                hash;
    uint64_t                loaded;         /* ms */
    uint64_t                etag;           /* hash of the value */
    uint32_t                state;
    uint32_t                len;
    uint32_t                key_len;
    u_char                  pad[76];

    u_char                  key[128];
    u_char                  value[16384 - 256];
} ngx_rush_cache_cell_t;


typedef struct {                            /* in shm */
    uint64_t                buckets;
    uint64_t                seed;
    u_char                  pad[112];
} ngx_rush_cache_sh_t;


typedef struct {                            /* a cell's header as one saw it */
    uint64_t                lock;
    uint64_t                loaded;
    uint64_t                etag;
    uint32_t                state;
    uint32_t                len;
} ngx_rush_cache_view_t;


uint64_t ngx_rush_cache_hash(ngx_str_t *key);
ngx_rush_cache_cell_t *ngx_rush_cache_find(uint64_t hash);

/* key may be NULL: the hash decides.  NGX_DECLINED: not the key's cell any
 * more; NGX_AGAIN: a writer is at work */
ngx_int_t ngx_rush_cache_look(ngx_rush_cache_cell_t *cell, uint64_t hash,
    ngx_str_t *key, ngx_rush_cache_view_t *view);

/* there is something younger than ms */
ngx_uint_t ngx_rush_cache_usable(ngx_rush_cache_view_t *view, ngx_msec_t ms);

/* whether one who waits should try again */
ngx_uint_t ngx_rush_cache_ready(uint64_t hash);

/* gives a cell to the key; NULL: none can be had now */
ngx_rush_cache_cell_t *ngx_rush_cache_take(uint64_t hash, ngx_str_t *key);

/* 0: somebody else writes */
uint64_t ngx_rush_cache_lock(ngx_rush_cache_cell_t *cell);
void ngx_rush_cache_unlock(ngx_rush_cache_cell_t *cell, uint64_t lock);


extern ngx_rush_cache_sh_t  *ngx_rush_cache_sh;     /* NULL: no zone */


#endif /* _NGX_RUSH_CACHE_H_INCLUDED_ */
