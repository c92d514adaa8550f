
/*
 * Copyright (C) Rush
 */


#include "ngx_seckill.h"
#include "ngx_rush_counters.h"


/*
 * Tallies: what became of the buys of each activity, for its report.
 *
 * A worker counts in memory of its own, one cell a slot, so a refusal costs
 * one addition and shares nothing.  A cell that has counted is in a list; a
 * second after the first one came, all of the list are added to {a:ID}r in
 * Redis, where all workers of all nodes meet.  The timer is not cancelable: a
 * worker that stops tells what it knows, and looks often enough not to be
 * waited for.
 *
 * What was certainly not added is counted again; where that is not known it
 * is lost, as with a worker that is killed: a report is a little too low then,
 * never too high.
 */


#define NGX_SECKILL_TALLY_PERIOD  1000  /* ms */
#define NGX_SECKILL_TALLY_LOOK    100   /* ms, whether the worker stops */


typedef struct ngx_seckill_cell_s  ngx_seckill_cell_t;

struct ngx_seckill_cell_s {
    int64_t                id;          /* activity */
    ngx_seckill_cell_t    *next;
    ngx_uint_t             dirty;       /* in the list */
    uint64_t               n[NGX_SECKILL_T_COUNT];
};


typedef struct {
    int64_t                id;
    ngx_uint_t             slot;
    uint64_t               n[NGX_SECKILL_T_COUNT];
} ngx_seckill_told_t;                   /* under way to Redis */


static ngx_seckill_cell_t *ngx_seckill_cell(ngx_seckill_slot_t *slot);
static void ngx_seckill_cell_touch(ngx_seckill_cell_t *cell);
static void ngx_seckill_tally_flush(ngx_event_t *ev);
static ngx_int_t ngx_seckill_tally_tell(ngx_seckill_cell_t *cell);
static ngx_int_t ngx_seckill_tally_send(ngx_seckill_told_t *told);
static void ngx_seckill_tally_told(void *data, redisReply *reply,
    rush_outcome_e outcome);
static void ngx_seckill_tally_back(ngx_seckill_told_t *told);


static ngx_event_t          ngx_seckill_tally_event;
static ngx_msec_t           ngx_seckill_tally_since;
static ngx_seckill_cell_t  *ngx_seckill_cells;          /* by slot */
static ngx_seckill_cell_t  *ngx_seckill_dirty;


ngx_str_t  ngx_seckill_tally_names[NGX_SECKILL_T_COUNT] = {
#define NGX_SECKILL_TALLY_NAME(NAME, name)  ngx_string(#name),
    NGX_SECKILL_TALLIES(NGX_SECKILL_TALLY_NAME)
#undef NGX_SECKILL_TALLY_NAME
    ngx_string("ms"),
#define NGX_SECKILL_BUCKET_NAME(ms, le)  ngx_string("le" #ms),
    NGX_RUSH_BUCKETS(NGX_SECKILL_BUCKET_NAME)
#undef NGX_SECKILL_BUCKET_NAME
    ngx_string("inf")
};


ngx_int_t
ngx_seckill_tally_init(ngx_cycle_t *cycle)
{
    ngx_seckill_cells = ngx_pcalloc(cycle->pool, ngx_seckill_shm->capacity
                                                * sizeof(ngx_seckill_cell_t));
    if (ngx_seckill_cells == NULL) {
        return NGX_ERROR;
    }

    ngx_seckill_tally_event.handler = ngx_seckill_tally_flush;
    ngx_seckill_tally_event.data = &ngx_seckill_tally_event;
    ngx_seckill_tally_event.log = cycle->log;

    return NGX_OK;
}


void
ngx_seckill_tally_refused(ngx_seckill_slot_t *slot, ngx_int_t code)
{
    ngx_seckill_cell_t  *cell;

    cell = ngx_seckill_cell(slot);

    cell->n[ngx_seckill_tally_of(code)]++;
    ngx_seckill_cell_touch(cell);
}


void
ngx_seckill_tally_answered(int64_t activity, ngx_uint_t tally,
    ngx_http_request_t *r)
{
    ngx_uint_t           i;
    ngx_time_t          *tp;
    ngx_msec_int_t       ms;
    ngx_seckill_cell_t  *cell;
    ngx_seckill_slot_t  *slot;

    static const ngx_msec_int_t  bounds[] = {
#define NGX_SECKILL_BUCKET_BOUND(ms, le)  ms,
        NGX_RUSH_BUCKETS(NGX_SECKILL_BUCKET_BOUND)
#undef NGX_SECKILL_BUCKET_BOUND
    };

    slot = ngx_seckill_find_slot(activity);

    if (slot == NULL) {
        return;
    }

    cell = ngx_seckill_cell(slot);

    cell->n[tally]++;
    ngx_seckill_cell_touch(cell);

    if (r == NULL) {
        return;
    }

    tp = ngx_timeofday();

    ms = (ngx_msec_int_t) ((tp->sec - r->start_sec) * 1000
                           + (tp->msec - r->start_msec));
    ms = ngx_max(ms, 0);

    for (i = 0; i < NGX_RUSH_BUCKET_COUNT - 1 && ms > bounds[i]; i++) {
        /* void */
    }

    cell->n[NGX_SECKILL_T_BUCKETS + i]++;
    cell->n[NGX_SECKILL_T_MS] += ms;
}


ngx_uint_t
ngx_seckill_tally_of(ngx_int_t code)
{
    switch (code) {

    case RUSH_NOT_STARTED:
        return NGX_SECKILL_T_NOT_STARTED;

    case RUSH_SOLD_OUT:
        return NGX_SECKILL_T_SOLD_OUT;

    case RUSH_ENDED:
        return NGX_SECKILL_T_ENDED;

    case RUSH_BUY_LIMIT:
        return NGX_SECKILL_T_BUY_LIMIT;

    case RUSH_PAUSED:
        return NGX_SECKILL_T_PAUSED;

    case RUSH_QUANTITY:
        return NGX_SECKILL_T_QUANTITY;

    case RUSH_CROWDED:
        return NGX_SECKILL_T_CROWDED;

    case RUSH_RELEASED:
        return NGX_SECKILL_T_RELEASED;

    case RUSH_DENIED:
        return NGX_SECKILL_T_DENIED;

    case RUSH_CLOSED:
        return NGX_SECKILL_T_CLOSED;
    }

    return NGX_SECKILL_T_BUSY;
}


static ngx_seckill_cell_t *
ngx_seckill_cell(ngx_seckill_slot_t *slot)
{
    ngx_seckill_cell_t  *cell;

    cell = &ngx_seckill_cells[slot - ngx_seckill_shm->slots];

    if (cell->id != (int64_t) slot->id) {

        /* the slot has changed hands */

        if (cell->dirty) {
            (void) ngx_seckill_tally_tell(cell);
        }

        ngx_memzero(cell->n, sizeof(cell->n));
        cell->id = slot->id;
    }

    return cell;
}


static void
ngx_seckill_cell_touch(ngx_seckill_cell_t *cell)
{
    if (cell->dirty) {
        return;
    }

    cell->dirty = 1;
    cell->next = ngx_seckill_dirty;
    ngx_seckill_dirty = cell;

    if (!ngx_seckill_tally_event.timer_set) {
        ngx_seckill_tally_since = ngx_current_msec;
        ngx_add_timer(&ngx_seckill_tally_event, NGX_SECKILL_TALLY_LOOK);
    }
}


static void
ngx_seckill_tally_flush(ngx_event_t *ev)
{
    ngx_seckill_cell_t  *cell, *next;

    if (!ngx_exiting
        && ngx_current_msec - ngx_seckill_tally_since
           < NGX_SECKILL_TALLY_PERIOD)
    {
        ngx_add_timer(ev, NGX_SECKILL_TALLY_LOOK);
        return;
    }

    cell = ngx_seckill_dirty;
    ngx_seckill_dirty = NULL;

    for ( /* void */ ; cell; cell = next) {
        next = cell->next;
        cell->dirty = 0;

        if (ngx_seckill_tally_tell(cell) != NGX_OK && !ngx_exiting) {
            ngx_seckill_cell_touch(cell);       /* the next time */
        }
    }
}


static ngx_int_t
ngx_seckill_tally_tell(ngx_seckill_cell_t *cell)
{
    ngx_seckill_told_t  *told;

    told = ngx_alloc(sizeof(ngx_seckill_told_t), ngx_cycle->log);
    if (told == NULL) {
        return NGX_ERROR;
    }

    told->id = cell->id;
    told->slot = cell - ngx_seckill_cells;
    ngx_memcpy(told->n, cell->n, sizeof(cell->n));

    if (ngx_seckill_tally_send(told) != NGX_OK) {
        ngx_free(told);
        return NGX_ERROR;
    }

    ngx_memzero(cell->n, sizeof(cell->n));

    return NGX_OK;
}


static ngx_int_t
ngx_seckill_tally_send(ngx_seckill_told_t *told)
{
    char        key[RUSH_KEY_LEN];
    u_char     *p, numbers[NGX_SECKILL_T_COUNT][NGX_INT64_LEN];
    ngx_str_t   args[4 + 2 * NGX_SECKILL_T_COUNT];
    ngx_uint_t  i, n;

    ngx_str_set(&args[0], "EVALSHA");
    args[1].data = ngx_seckill_sha[RUSH_LUA_TALLY];
    args[1].len = 40;
    ngx_str_set(&args[2], "1");
    args[3].data = (u_char *) key;
    args[3].len = rush_key(key, told->id, 'r');
    n = 4;

    for (i = 0; i < NGX_SECKILL_T_COUNT; i++) {

        if (told->n[i] == 0) {
            continue;
        }

        p = numbers[i];

        args[n++] = ngx_seckill_tally_names[i];
        args[n].data = p;
        args[n++].len = ngx_sprintf(p, "%uL", told->n[i]) - p;
    }

    return ngx_rush_redis_send(NGX_RUSH_LANE_SIDE, n, args, 0,
                               ngx_seckill_tally_told, told);
}


static void
ngx_seckill_tally_told(void *data, redisReply *reply, rush_outcome_e outcome)
{
    ngx_seckill_told_t  *told = data;

    if ((outcome == RUSH_NOT_DONE || outcome == RUSH_GATE_SHUT)
        && !ngx_exiting)
    {
        ngx_seckill_tally_back(told);
    }

    ngx_free(told);
}


static void
ngx_seckill_tally_back(ngx_seckill_told_t *told)
{
    ngx_uint_t           i;
    ngx_seckill_cell_t  *cell;

    cell = &ngx_seckill_cells[told->slot];

    if (cell->id != told->id) {
        return;
    }

    for (i = 0; i < NGX_SECKILL_T_COUNT; i++) {
        cell->n[i] += told->n[i];
    }

    ngx_seckill_cell_touch(cell);
}
