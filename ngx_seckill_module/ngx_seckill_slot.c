
/*
 * Copyright (C) Rush
 */


#include "ngx_seckill.h"


/*
 * Activity slots: the filter in front of Redis.
 *
 * The zone is an array of slots; an activity may stand in one of
 * NGX_SECKILL_WAYS places after id % capacity.  Only the refresh takes and
 * frees slots.  The filter never grants.  It refuses (1) outside of the
 * window, with a margin for clocks, (2) while a sold-out mark stands, but for
 * one probe each NGX_SECKILL_TTL, (3) above a budget that follows the
 * remaining stock and expires with its window of 100 ms, so nothing has to be
 * given back and a crash leaks nothing.
 *
 * A mark is set by a reply that says "none left" and carries the stock's
 * version (rver); a slower, older reply changes nothing.  It stands until a
 * reply knows better: while Redis is silent nobody waits for it to say no.
 */


#define NGX_SECKILL_WAYS    8
#define NGX_SECKILL_LAYOUT  0x736b3032          /* "sk02" */


static ngx_int_t ngx_seckill_zone_init(void *base, size_t size,
    ngx_log_t *log);
static ngx_int_t ngx_seckill_check_budget(ngx_seckill_slot_t *slot,
    int64_t now);
static int ngx_libc_cdecl ngx_seckill_cmp_slots(const void *one,
    const void *two);


_Static_assert(offsetof(ngx_seckill_shm_t, slots) % 128 == 0,
               "slots must stand on cache lines");
_Static_assert(sizeof(ngx_seckill_slot_t) % 128 == 0,
               "slots must stand on cache lines");


static ngx_rush_zone_t       ngx_seckill_zone_spec;

static ngx_uint_t            ngx_seckill_sorted_round;
static ngx_uint_t            ngx_seckill_nsorted;
static ngx_seckill_slot_t  **ngx_seckill_sorted_slots;


ngx_seckill_shm_t  *ngx_seckill_shm;

const char  *ngx_seckill_state_names[NGX_SECKILL_STATES] = {
    "not_started", "running", "paused", "sold_out", "ended"
};


ngx_int_t
ngx_seckill_zone(ngx_conf_t *cf, size_t size)
{
    ngx_rush_zone_t  *zone;

    zone = &ngx_seckill_zone_spec;

    ngx_memzero(zone, sizeof(ngx_rush_zone_t));

    ngx_str_set(&zone->name, "rush_seckill");
    zone->size = size;
    zone->min = 256 * 1024;
    zone->layout = NGX_SECKILL_LAYOUT;
    zone->init = ngx_seckill_zone_init;
    zone->tag = &ngx_seckill_zone_spec;

    return ngx_rush_zone_add(cf, zone);
}


static ngx_int_t
ngx_seckill_zone_init(void *base, size_t size, ngx_log_t *log)
{
    ngx_seckill_shm_t  *shm = base;

    shm->capacity = (size - offsetof(ngx_seckill_shm_t, slots))
                    / sizeof(ngx_seckill_slot_t);

    return NGX_OK;
}


void
ngx_seckill_slot_init(void)
{
    ngx_seckill_shm = ngx_seckill_zone_spec.base;
}


ngx_seckill_slot_t *
ngx_seckill_find_slot(int64_t id)
{
    ngx_uint_t           i, n, capacity;
    ngx_seckill_slot_t  *slot;

    if (id <= 0) {
        return NULL;
    }

    capacity = ngx_seckill_shm->capacity;
    n = (ngx_uint_t) id % capacity;

    for (i = 0; i < NGX_SECKILL_WAYS; i++) {
        slot = &ngx_seckill_shm->slots[n];

        if (slot->id == (ngx_atomic_uint_t) id) {
            return slot;
        }

        if (++n == capacity) {
            n = 0;
        }
    }

    return NULL;
}


ngx_seckill_slot_t *
ngx_seckill_take_slot(int64_t id)
{
    ngx_uint_t           i, n, capacity;
    ngx_seckill_slot_t  *slot;

    slot = ngx_seckill_find_slot(id);
    if (slot) {
        return slot;
    }

    capacity = ngx_seckill_shm->capacity;
    n = (ngx_uint_t) id % capacity;

    for (i = 0; i < NGX_SECKILL_WAYS; i++) {
        slot = &ngx_seckill_shm->slots[n];

        if (slot->id == 0) {
            ngx_memzero((void *) slot, offsetof(ngx_seckill_slot_t, seq));

            /* status stays 0, a draft, until the refresh has filled it */
            ngx_memory_barrier();
            slot->id = id;

            return slot;
        }

        if (++n == capacity) {
            n = 0;
        }
    }

    return NULL;
}


void
ngx_seckill_publish(ngx_seckill_slot_t *slot, u_char *json, size_t len)
{
    /* odd already: a writer died here, its text is overwritten */

    slot->seq |= 1;
    __sync_synchronize();

    ngx_memcpy(slot->json, json, len);
    slot->json_len = len;

    __sync_synchronize();
    slot->seq++;
}


size_t
ngx_seckill_read_json(ngx_seckill_slot_t *slot, u_char *dst)
{
    size_t             len;
    ngx_uint_t         i;
    ngx_atomic_uint_t  seq;

    for (i = 0; i < 3; i++) {
        seq = slot->seq;
        __sync_synchronize();

        len = slot->json_len;

        if ((seq & 1) == 0 && len <= NGX_SECKILL_JSON) {
            ngx_memcpy(dst, slot->json, len);
            __sync_synchronize();

            if (slot->seq == seq) {
                return len;
            }
        }

        ngx_cpu_pause();
    }

    return 0;
}


ngx_int_t
ngx_seckill_admit(ngx_seckill_slot_t *slot, int64_t now, ngx_uint_t retry)
{
    ngx_atomic_uint_t  probe;

    switch (slot->status) {

    case NGX_SECKILL_ONLINE:
        break;

    case NGX_SECKILL_IS_PAUSED:
        return retry ? ngx_seckill_check_budget(slot, now) : RUSH_PAUSED;

    case NGX_SECKILL_OFFLINE:
        return retry ? ngx_seckill_check_budget(slot, now) : RUSH_ENDED;

    default:
        return RUSH_NOT_FOUND;
    }

    if (slot->epoch == 0 || ngx_seckill_shm->gate == 0
        || !ngx_seckill_sells())
    {
        return RUSH_CLOSED;
    }

    if (retry) {
        /* it may hold an order already: only Redis may say no */
        return ngx_seckill_check_budget(slot, now);
    }

    if (now < (int64_t) slot->start - (int64_t) ngx_seckill_conf->skew) {
        return RUSH_NOT_STARTED;
    }

    if (now >= (int64_t) slot->stop + (int64_t) ngx_seckill_conf->skew) {
        return RUSH_ENDED;
    }

    if (slot->soldout) {
        probe = slot->probe;

        if (now - (int64_t) probe < NGX_SECKILL_TTL
            || !ngx_atomic_cmp_set(&slot->probe, probe, now))
        {
            return RUSH_SOLD_OUT;
        }

        return NGX_OK;
    }

    return ngx_seckill_check_budget(slot, now);
}


static ngx_int_t
ngx_seckill_check_budget(ngx_seckill_slot_t *slot, int64_t now)
{
    int64_t            budget;
    ngx_atomic_uint_t  number, old;

    number = now / NGX_SECKILL_WINDOW;
    old = slot->window;

    if (old != number && ngx_atomic_cmp_set(&slot->window, old, number)) {
        slot->used = 0;
    }

    budget = 2 * (int64_t) slot->remain / (int64_t) ngx_seckill_conf->nodes;
    budget = ngx_max(budget, (int64_t) ngx_seckill_conf->admit_min);

    if ((int64_t) slot->used >= budget
        || (int64_t) ngx_atomic_fetch_add(&slot->used, 1) >= budget)
    {
        return RUSH_CROWDED;
    }

    return NGX_OK;
}


void
ngx_seckill_learn(ngx_seckill_slot_t *slot, int64_t epoch, int64_t remain,
    int64_t rver, int64_t now)
{
    if (epoch < (int64_t) slot->epoch) {
        return;
    }

    if (epoch > (int64_t) slot->epoch) {
        slot->rver = rver;
        slot->remain = remain;
        slot->epoch = epoch;

    } else if (rver > (int64_t) slot->rver) {
        slot->rver = rver;
        slot->remain = remain;

    } else if (rver < (int64_t) slot->rver) {
        return;

    } else if (remain < (int64_t) slot->remain) {
        /* within one version stock only goes down */
        slot->remain = remain;
    }

    if ((int64_t) slot->remain > 0) {
        slot->soldout = 0;
        return;
    }

    slot->soldout = now;
}


ngx_uint_t
ngx_seckill_state(ngx_seckill_slot_t *slot, int64_t now)
{
    if (slot->status == NGX_SECKILL_OFFLINE || now >= (int64_t) slot->stop) {
        return NGX_SECKILL_ENDED;
    }

    if (slot->status == NGX_SECKILL_IS_PAUSED) {
        return NGX_SECKILL_PAUSED;
    }

    if (now < (int64_t) slot->start) {
        return NGX_SECKILL_NOT_STARTED;
    }

    if (slot->epoch && (int64_t) slot->remain <= 0) {
        return NGX_SECKILL_SOLD_OUT;
    }

    return NGX_SECKILL_RUNNING;
}


ngx_seckill_slot_t **
ngx_seckill_sorted(ngx_uint_t *n)
{
    ngx_uint_t           i;
    ngx_seckill_slot_t  *slot;

    if (ngx_seckill_sorted_slots == NULL) {
        ngx_seckill_sorted_slots = ngx_pcalloc(ngx_cycle->pool,
                                        ngx_seckill_shm->capacity
                                        * sizeof(ngx_seckill_slot_t *));
        if (ngx_seckill_sorted_slots == NULL) {
            *n = 0;
            return NULL;
        }
    }

    if (ngx_seckill_sorted_round != ngx_seckill_shm->round) {
        ngx_seckill_sorted_round = ngx_seckill_shm->round;
        ngx_seckill_nsorted = 0;

        for (i = 0; i < ngx_seckill_shm->capacity; i++) {
            slot = &ngx_seckill_shm->slots[i];

            if (slot->id && slot->status != NGX_SECKILL_DRAFT) {
                ngx_seckill_sorted_slots[ngx_seckill_nsorted++] = slot;
            }
        }

        ngx_qsort(ngx_seckill_sorted_slots, ngx_seckill_nsorted,
                  sizeof(ngx_seckill_slot_t *), ngx_seckill_cmp_slots);
    }

    *n = ngx_seckill_nsorted;

    return ngx_seckill_sorted_slots;
}


static int ngx_libc_cdecl
ngx_seckill_cmp_slots(const void *one, const void *two)
{
    ngx_seckill_slot_t  *a = *(ngx_seckill_slot_t **) one;
    ngx_seckill_slot_t  *b = *(ngx_seckill_slot_t **) two;

    if (a->start != b->start) {
        return a->start < b->start ? -1 : 1;
    }

    return a->id < b->id ? -1 : 1;
}
