
/*
 * Copyright (C) Rush
 */


#include "ngx_rush_cache.h"


/*
 * Who loads an answer, who is served and who waits.
 *
 * The lease of a cell says who loads: deadline in ms and a stamp of the
 * loader.  A put whose lease is not the cell's any more is dropped: the key
 * was changed (ngx_rush_cache_drop()), its cell was given to another key, or
 * the loader was too slow, and then a newer one is at work.  The lease goes
 * back when the request ends, by a cleanup of its pool, so a load that failed
 * or was aborted holds nobody up.
 *
 * Who has to wait is an operation outside of the request pool, in one queue
 * a worker.  A timer of 10 ms looks at the cells; it is not cancelable, and
 * runs only while somebody waits.  After 2 s the answer is BUSY.
 */


#define NGX_RUSH_CACHE_LEASE   2000         /* ms */
#define NGX_RUSH_CACHE_TICK    10           /* ms */
#define NGX_RUSH_CACHE_WAIT    2000         /* ms */
#define NGX_RUSH_CACHE_SPINS   2000
#define NGX_RUSH_CACHE_TRIES   4


typedef struct {                            /* in the pool of the loader */
    ngx_rush_cache_cell_t  *cell;
    uint64_t                hash;
    uint64_t                lease;
} ngx_rush_cache_claim_t;


typedef struct {
    ngx_rush_op_t           op;             /* must be first */
    ngx_queue_t             queue;
    uint64_t                hash;
    ngx_msec_t              deadline;
} ngx_rush_cache_wait_t;


static ngx_int_t ngx_rush_cache_serve(ngx_rush_req_t *q,
    ngx_rush_cache_cell_t *cell, ngx_rush_cache_view_t *view);
static ngx_int_t ngx_rush_cache_etag(ngx_rush_req_t *q, uint64_t etag);

static ngx_int_t ngx_rush_cache_lease(ngx_rush_req_t *q,
    ngx_rush_cache_cell_t *cell, uint64_t hash);
static void ngx_rush_cache_release(void *data);
static ngx_rush_cache_claim_t *ngx_rush_cache_claimed(ngx_rush_req_t *q,
    uint64_t hash);

static ngx_int_t ngx_rush_cache_wait(ngx_rush_req_t *q, uint64_t hash);
static void ngx_rush_cache_tick(ngx_event_t *ev);
static ngx_int_t ngx_rush_cache_waited(ngx_rush_cache_wait_t *w);


static uint64_t          ngx_rush_cache_stamp;

static ngx_queue_t       ngx_rush_cache_waiting;
static ngx_event_t       ngx_rush_cache_event;
static ngx_connection_t  ngx_rush_cache_dummy;


ngx_int_t
ngx_rush_cache_get(ngx_rush_req_t *q, ngx_str_t *key)
{
    uint64_t                hash;
    ngx_int_t               rc;
    ngx_uint_t              tries;
    ngx_rush_cache_cell_t  *cell;
    ngx_rush_cache_view_t   view;

    if (ngx_rush_cache_sh == NULL || key->len > sizeof(cell->key)) {
        return NGX_DECLINED;
    }

    hash = ngx_rush_cache_hash(key);
    cell = ngx_rush_cache_find(hash);

    if (cell == NULL) {
        cell = ngx_rush_cache_take(hash, key);
        if (cell == NULL) {
            return ngx_rush_cache_wait(q, hash);
        }
    }

    for (tries = 0; tries < NGX_RUSH_CACHE_TRIES; tries++) {

        rc = ngx_rush_cache_look(cell, hash, key, &view);

        if (rc == NGX_DECLINED) {
            return NGX_DECLINED;        /* another key of the same hash */
        }

        if (rc == NGX_AGAIN) {
            break;
        }

        if (!ngx_rush_cache_usable(&view, NGX_RUSH_CACHE_FRESH)
            && ngx_rush_cache_lease(q, cell, hash) == NGX_OK)
        {
            return NGX_DECLINED;
        }

        if (!ngx_rush_cache_usable(&view, NGX_RUSH_CACHE_SERVED)) {
            break;
        }

        rc = ngx_rush_cache_serve(q, cell, &view);

        if (rc != NGX_AGAIN) {
            return rc;
        }
    }

    return ngx_rush_cache_wait(q, hash);
}


static ngx_int_t
ngx_rush_cache_serve(ngx_rush_req_t *q, ngx_rush_cache_cell_t *cell,
    ngx_rush_cache_view_t *view)
{
    switch (view->state) {

    case NGX_RUSH_CACHE_ABSENT:
        ngx_rush_count(NGX_RUSH_C_CACHE_HITS, 1);
        return RUSH_NOT_FOUND;

    case NGX_RUSH_CACHE_LARGE:
        return NGX_DECLINED;            /* without a lease, see put */
    }

    rush_buf_reset(&q->out);
    rush_buf_add(&q->out, cell->value, view->len);

    __atomic_thread_fence(__ATOMIC_ACQUIRE);

    if (cell->lock != view->lock) {
        rush_buf_reset(&q->out);        /* changed while it was copied */
        return NGX_AGAIN;
    }

    if (q->out.failed || ngx_rush_cache_etag(q, view->etag) != NGX_OK) {
        return RUSH_BUSY;
    }

    ngx_rush_count(NGX_RUSH_C_CACHE_HITS, 1);

    return NGX_OK;
}


static ngx_int_t
ngx_rush_cache_etag(ngx_rush_req_t *q, uint64_t etag)
{
    u_char  *p;

    p = ngx_pnalloc(q->r->pool, sizeof("W/\"0123456789abcdef\"") - 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    q->etag.data = p;
    q->etag.len = ngx_sprintf(p, "W/\"%016xL\"", etag) - p;

    return NGX_OK;
}


static ngx_int_t
ngx_rush_cache_lease(ngx_rush_req_t *q, ngx_rush_cache_cell_t *cell,
    uint64_t hash)
{
    uint64_t                 old, lease;
    ngx_pool_cleanup_t      *cln;
    ngx_rush_cache_claim_t  *claim;

    old = cell->lease;

    if ((ngx_msec_int_t) ((old >> NGX_RUSH_STAMP_BITS) - ngx_current_msec) > 0)
    {
        return NGX_DECLINED;
    }

    lease = (uint64_t) (ngx_current_msec + NGX_RUSH_CACHE_LEASE)
            << NGX_RUSH_STAMP_BITS
            | ((++ngx_rush_cache_stamp * 1024 + ngx_worker)
               & NGX_RUSH_STAMP_MASK);

    if (!ngx_atomic_cmp_set(&cell->lease, old, lease)) {
        return NGX_DECLINED;
    }

    ngx_rush_count(NGX_RUSH_C_CACHE_LOADS, 1);

    cln = ngx_pool_cleanup_add(q->r->pool, sizeof(ngx_rush_cache_claim_t));

    if (cln) {
        claim = cln->data;
        claim->cell = cell;
        claim->hash = hash;
        claim->lease = lease;

        cln->handler = ngx_rush_cache_release;
    }

    return NGX_OK;
}


static void
ngx_rush_cache_release(void *data)
{
    ngx_rush_cache_claim_t  *claim = data;

    (void) ngx_atomic_cmp_set(&claim->cell->lease, claim->lease, 0);
}


static ngx_rush_cache_claim_t *
ngx_rush_cache_claimed(ngx_rush_req_t *q, uint64_t hash)
{
    ngx_pool_cleanup_t      *cln;
    ngx_rush_cache_claim_t  *claim;

    for (cln = q->r->pool->cleanup; cln; cln = cln->next) {

        if (cln->handler == ngx_rush_cache_release) {
            claim = cln->data;

            if (claim->hash == hash) {
                return claim;
            }
        }
    }

    return NULL;
}


void
ngx_rush_cache_put(ngx_rush_req_t *q, ngx_str_t *key, ngx_uint_t found)
{
    uint64_t                 etag, lock;
    ngx_rush_cache_cell_t   *cell;
    ngx_rush_cache_claim_t  *claim;

    etag = 0;

    if (found) {
        etag = ngx_rush_hash(q->out.data, q->out.len, 0);

        if (q->out.failed || ngx_rush_cache_etag(q, etag) != NGX_OK) {
            return;
        }
    }

    if (ngx_rush_cache_sh == NULL || key->len > sizeof(cell->key)) {
        return;
    }

    claim = ngx_rush_cache_claimed(q, ngx_rush_cache_hash(key));
    if (claim == NULL) {
        return;
    }

    cell = claim->cell;

    lock = ngx_rush_cache_lock(cell);
    if (lock == 0) {
        return;
    }

    if (cell->lease == claim->lease) {

        /* written again: the worker that had the lock may have been killed */

        cell->hash = claim->hash;
        cell->key_len = key->len;
        ngx_memcpy(cell->key, key->data, key->len);

        cell->loaded = ngx_current_msec;
        cell->etag = etag;
        cell->len = 0;

        if (!found) {
            cell->state = NGX_RUSH_CACHE_ABSENT;

        } else if (q->out.len > sizeof(cell->value)) {
            cell->state = NGX_RUSH_CACHE_LARGE;
            ngx_rush_count(NGX_RUSH_C_CACHE_TOO_LARGE, 1);

        } else {
            cell->state = NGX_RUSH_CACHE_VALUE;
            cell->len = q->out.len;
            ngx_memcpy(cell->value, q->out.data, q->out.len);
        }
    }

    ngx_rush_cache_unlock(cell, lock);
    ngx_rush_cache_release(claim);
}


void
ngx_rush_cache_drop(ngx_str_t *key)
{
    uint64_t                hash, lock;
    ngx_uint_t              spins;
    ngx_rush_cache_cell_t  *cell;

    if (ngx_rush_cache_sh == NULL || key->len > sizeof(cell->key)) {
        return;
    }

    hash = ngx_rush_cache_hash(key);

    cell = ngx_rush_cache_find(hash);
    if (cell == NULL) {
        return;
    }

    /* who loads now may have read what was before the change */

    cell->lease = 0;

    for (spins = 0; spins < NGX_RUSH_CACHE_SPINS; spins++) {

        lock = ngx_rush_cache_lock(cell);

        if (lock) {
            if (cell->hash == hash) {
                cell->state = NGX_RUSH_CACHE_EMPTY;
            }

            ngx_rush_cache_unlock(cell, lock);
            return;
        }

        ngx_cpu_pause();
    }
}


static ngx_int_t
ngx_rush_cache_wait(ngx_rush_req_t *q, uint64_t hash)
{
    ngx_event_t            *ev;
    ngx_rush_cache_wait_t  *w;

    w = ngx_calloc(sizeof(ngx_rush_cache_wait_t), ngx_cycle->log);
    if (w == NULL) {
        return RUSH_BUSY;
    }

    w->op.on_fail = RUSH_BUSY;
    w->hash = hash;
    w->deadline = ngx_current_msec + NGX_RUSH_CACHE_WAIT;

    ev = &ngx_rush_cache_event;

    if (ev->handler == NULL) {
        ngx_rush_cache_dummy.fd = (ngx_socket_t) -1;

        ev->handler = ngx_rush_cache_tick;
        ev->data = &ngx_rush_cache_dummy;
        ev->log = ngx_cycle->log;

        ngx_queue_init(&ngx_rush_cache_waiting);
    }

    ngx_queue_insert_tail(&ngx_rush_cache_waiting, &w->queue);

    if (!ev->timer_set) {
        ngx_add_timer(ev, NGX_RUSH_CACHE_TICK);
    }

    ngx_rush_count(NGX_RUSH_C_CACHE_WAITS, 1);

    return ngx_rush_op_start(q, &w->op);
}


static void
ngx_rush_cache_tick(ngx_event_t *ev)
{
    ngx_int_t               rc;
    ngx_queue_t            *p, seen;
    ngx_rush_req_t         *q;
    ngx_rush_cache_wait_t  *w;

    ngx_queue_init(&seen);

    /* apart, since a resumed request may begin to wait again at once */

    if (!ngx_queue_empty(&ngx_rush_cache_waiting)) {
        ngx_queue_add(&seen, &ngx_rush_cache_waiting);
        ngx_queue_init(&ngx_rush_cache_waiting);
    }

    while (!ngx_queue_empty(&seen)) {
        p = ngx_queue_head(&seen);
        ngx_queue_remove(p);

        w = ngx_queue_data(p, ngx_rush_cache_wait_t, queue);

        rc = ngx_rush_cache_waited(w);

        if (rc == NGX_AGAIN) {
            ngx_queue_insert_tail(&ngx_rush_cache_waiting, p);
            continue;
        }

        q = ngx_rush_op_finish(&w->op);
        ngx_free(w);

        if (q) {
            ngx_rush_resume(q, rc);
        }
    }

    if (!ngx_queue_empty(&ngx_rush_cache_waiting) && !ev->timer_set) {
        ngx_add_timer(ev, NGX_RUSH_CACHE_TICK);
    }
}


static ngx_int_t
ngx_rush_cache_waited(ngx_rush_cache_wait_t *w)
{
    if (w->op.q == NULL || ngx_rush_cache_ready(w->hash)) {
        return NGX_OK;
    }

    if ((ngx_msec_int_t) (ngx_current_msec - w->deadline) < 0) {
        return NGX_AGAIN;
    }

    ngx_rush_count(NGX_RUSH_C_CACHE_BUSY, 1);

    return RUSH_BUSY;
}
