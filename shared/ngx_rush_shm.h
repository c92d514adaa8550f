
/*
 * Copyright (C) Rush
 *
 * Shared memory of the workers of one node: zones, the id generator, rate
 * limits, revoked tokens, the cache of hot answers, counters.  Nothing in a
 * zone points to process memory; everything is an array sized once, read and
 * changed by atomics; a worker killed at any point leaves nothing locked.
 */


#ifndef _NGX_RUSH_SHM_H_INCLUDED_
#define _NGX_RUSH_SHM_H_INCLUDED_


#include "ngx_rush.h"


/* --- zones (ngx_rush_zone.c) --- */

typedef struct {
    ngx_str_t             name;         /* "rush_limit" */
    size_t                size;         /* asked for, bytes */
    size_t                min;          /* least that works */
    uint32_t              layout;       /* magic of the contents: an older
                                           one with another layout is
                                           refused with EMERG */
    /* fills fresh memory (zeroed); not called when the zone is reused */
    ngx_int_t           (*init)(void *base, size_t size, ngx_log_t *log);
    void                 *tag;          /* address in a module */

    void                 *base;         /* set when the zone is mapped; 64-byte
                                           aligned, usable bytes below */
    size_t                usable;       /* at least min */
    void                **link;         /* a worker's own pointer to base, or
                                           NULL; set when it starts, because
                                           a configuration that fails must
                                           leave nothing of it behind */
} ngx_rush_zone_t;

/* the spec must live in cf->pool or be static; EMERG when size is too small
 * for min usable bytes */
ngx_int_t ngx_rush_zone_add(ngx_conf_t *cf, ngx_rush_zone_t *zone);

/* sets base, usable and link of all zones to those of the cycle in which
 * the worker lives; done by ngx_rush_id_init() */
void ngx_rush_zone_attach(ngx_cycle_t *cycle);

/* hash of bytes; not for secrets */
uint64_t ngx_rush_hash(const void *data, size_t len, uint64_t seed);

static ngx_inline uint64_t
ngx_rush_mix(uint64_t h)
{
    h ^= h >> 33;
    h *= 0xff51afd7ed558ccdULL;
    h ^= h >> 33;
    h *= 0xc4ceb9fe1a85ec53ULL;
    h ^= h >> 33;

    return h;
}


/* a lease in shared memory: one of all workers of a node does a periodic
 * job, once in ms.  NGX_OK: do it now, nobody else gets it until now + ms;
 * NGX_DECLINED: it is not due (also for the one who had it last).  The word
 * lies in shared memory and begins as 0 */
ngx_int_t ngx_rush_lease(ngx_atomic_t *lease, ngx_msec_t ms);


/* --- rate limits (ngx_rush_limit.c): GCRA, one cell a key --- */

typedef struct {
    ngx_uint_t            rate;         /* requests a period; 0: off */
    ngx_uint_t            burst;        /* requests at once, size of the
                                           bucket; 0 is 1 */
    ngx_uint_t            period;       /* s, 1 or 60 */

    /* computed by ngx_rush_limit_merge() */
    uint64_t              step;         /* time of a request, in 256 ns */
    uint64_t              depth;        /* what may be taken in advance */
    uint64_t              salt;         /* of class, step and depth */
} ngx_rush_rate_t;

typedef struct {
    ngx_uint_t            remaining;    /* requests left now */
    ngx_uint_t            reset;        /* s until all are back */
    ngx_uint_t            retry_after;  /* s, >= 1 when refused */
} ngx_rush_quota_t;

/* NGX_OK or NGX_DECLINED; *quota is filled when refused.  key is a user id
 * or a hash of the address */
ngx_int_t ngx_rush_limit(ngx_rush_rate_t *rate, uint64_t key,
    ngx_rush_quota_t *quota);

/* lets the memory of a key come into the cache: a limit is asked soon */
void ngx_rush_limit_fetch(ngx_rush_rate_t *rate, uint64_t key);

/* hash of the client's address (after realip): IPv4 whole, IPv6 its /64,
 * mapped IPv4 as IPv4, unix socket 0 */
uint64_t ngx_rush_addr_key(ngx_http_request_t *r);

/* "rush_limit class rate=N[r/s|r/m] [burst=N]", "rush_limit class off" into
 * ngx_rush_rate_t[NGX_RUSH_LIMIT_CLASSES] at cmd->offset */
char *ngx_rush_limit_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
void ngx_rush_limit_unset(ngx_rush_rate_t *rates);

/* of a module's own: requests in period seconds, 0: any number */
void ngx_rush_rate_init(ngx_rush_rate_t *rate, ngx_uint_t n,
    ngx_uint_t burst, ngx_uint_t period);
void ngx_rush_limit_merge(ngx_rush_rate_t *conf, ngx_rush_rate_t *prev);


/* --- revoked tokens (ngx_rush_revoke.c) --- */

/* NGX_OK: not revoked as far as this node knows; NGX_DECLINED: revoked */
ngx_int_t ngx_rush_revoked(rush_claims_t *claims);

/* puts it into this node's table at once and sends it to the others through
 * the stream RUSH_REVOKE_KEY; the caller has stored it in MySQL before.
 * kind 'u': tokens of user id with a version below version; kind 's': the
 * session id.  The engine answers when Redis has it; if that takes more than
 * a second, BUSY, and it is retried in background */
void ngx_rush_revoke(ngx_rush_req_t *q, u_char kind, int64_t id,
    int64_t version);

/* is a revocation up to this one still to be sent by this worker? */
ngx_uint_t ngx_rush_untold(uint64_t revoked);

/* waits for one more look at the stream; BUSY: Redis cannot be asked */
ngx_int_t ngx_rush_feed_wait(ngx_rush_req_t *q);

/* lifetime of access tokens: how long a revocation is kept; default 900 */
void ngx_rush_revoke_ttl(ngx_uint_t seconds);

/* ms since this node asked for all that is in the stream, and was answered;
 * (ngx_msec_t) -1: never */
ngx_msec_t ngx_rush_revoke_age(void);

/* whether this node has heard of every revocation that is a second old, or
 * was told before came.  Without a zone there is nothing to hear */
ngx_uint_t ngx_rush_revoke_heard(ngx_msec_t came);

ngx_int_t ngx_rush_revoke_init(ngx_cycle_t *cycle);


/* --- cache of rendered answers (ngx_rush_cache.c) --- */

/*
 * Keyed by text, value is the JSON of "data".  A value is fresh for 500 ms
 * and served for 1 s: whoever asks in between or after takes the lease and
 * loads, everybody else gets the value while it is under 1 s, or waits.
 *
 *   NGX_OK       q->out (and q->etag) hold the value: return NGX_DONE
 *   NGX_DECLINED the lease is yours: load, then ngx_rush_cache_put(); it is
 *                given back when the request ends without that, and runs out
 *                by itself (2 s)
 *   NGX_AGAIN    somebody else loads: this is an operation; the next step
 *                must call ngx_rush_cache_get() again (at most a few times;
 *                then BUSY)
 *   RUSH_NOT_FOUND  a cached absence
 */
ngx_int_t ngx_rush_cache_get(ngx_rush_req_t *q, ngx_str_t *key);

/* sets q->etag from q->out and stores q->out, or an absence when found is 0 */
void ngx_rush_cache_put(ngx_rush_req_t *q, ngx_str_t *key, ngx_uint_t found);

void ngx_rush_cache_drop(ngx_str_t *key);       /* after a change */


/* --- counters and histograms (ngx_rush_stats.c, ngx_rush_counters.h) --- */

void ngx_rush_count(ngx_uint_t counter, ngx_uint_t n);
#define NGX_RUSH_NO_ROUTE  ((ngx_uint_t) -1)

/* error_index: RUSH_I_..., or RUSH_ERROR_COUNT for success */
void ngx_rush_count_answer(ngx_uint_t route, ngx_uint_t error_index,
    ngx_uint_t status, ngx_msec_t elapsed);

/* a module adds its own lines to /metrics */
typedef void (*ngx_rush_metrics_pt)(rush_buf_t *b);
ngx_int_t ngx_rush_add_metrics(ngx_conf_t *cf, ngx_rush_metrics_pt handler);


/* all counters, Prometheus text format 0.0.4 */
void ngx_rush_metrics(rush_buf_t *b);


/* node: of the ids this worker makes; also attaches the worker to the zones,
 * so it comes first in init_process */
void ngx_rush_id_init(ngx_uint_t node);


/* each adds its zone; called by the core module while it is configured */
ngx_int_t ngx_rush_core_zone(ngx_conf_t *cf);   /* ids, leases */
ngx_int_t ngx_rush_limit_zone(ngx_conf_t *cf, size_t size);
ngx_int_t ngx_rush_revoke_zone(ngx_conf_t *cf, size_t size);
ngx_int_t ngx_rush_cache_zone(ngx_conf_t *cf, size_t size);
ngx_int_t ngx_rush_stats_zone(ngx_conf_t *cf, size_t size, ngx_uint_t routes);


#endif /* _NGX_RUSH_SHM_H_INCLUDED_ */
