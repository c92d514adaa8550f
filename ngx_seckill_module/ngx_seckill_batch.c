
/*
 * Copyright (C) Rush
 */


#include "ngx_seckill.h"
#include "ngx_rush_counters.h"


/*
 * Batches: buyers of one activity that arrive in one turn of the event loop
 * share one call of buy.lua.
 *
 * A worker has one open batch a slot.  A posted event at the end of the turn
 * sends it.  While NGX_SECKILL_FLIGHTS batches of the slot are under way the
 * next one waits for a reply and grows meanwhile, to RUSH_BATCH_MAX at most:
 * under load Redis is asked less often for more buyers.
 *
 * NGX_SECKILL_WAITING buyers of a slot wait for answers at most, others are
 * turned away: Redis grants no more a second when more of them wait, only
 * later, and a buyer who is granted too late has left.
 *
 * States of a batch: open -> sent -> (answer lost) sent again on the SIDE
 * lane with every buyer marked as a retry -> freed.  It belongs to the worker,
 * not to a request; a buyer whose client has left has op.q NULL.  Buyers that
 * left before the batch was sent are not sent.
 */


#define NGX_SECKILL_FLIGHTS    2
#define NGX_SECKILL_WAITING    (4 * RUSH_BATCH_MAX)
#define NGX_SECKILL_MAX_FREE   64
#define NGX_SECKILL_HEAD_ARGS  8        /* EVALSHA sha 3 m u s epoch deadline */


typedef struct ngx_seckill_batch_s  ngx_seckill_batch_t;

struct ngx_seckill_batch_s {
    ngx_seckill_batch_t   *next;        /* in the free or the full list */
    ngx_seckill_slot_t    *slot;        /* may serve another activity later */
    int64_t                activity;
    int64_t                deadline;    /* ms, Redis must not run it after */
    ngx_uint_t             n;
    unsigned               again:1;     /* the first answer was lost */
    ngx_seckill_buyer_t    buyers[RUSH_BATCH_MAX];
};


typedef struct {
    ngx_seckill_batch_t   *open;
    ngx_uint_t             flights;
    ngx_uint_t             waiting;     /* buyers in batches */
    ngx_queue_t            queue;       /* of open batches to send */
    unsigned               queued:1;
} ngx_seckill_lane_t;


static ngx_seckill_batch_t *ngx_seckill_batch_get(ngx_seckill_slot_t *slot);
static void ngx_seckill_batch_free(ngx_seckill_batch_t *batch);
static void ngx_seckill_batch_post(ngx_seckill_lane_t *lane);
static void ngx_seckill_batch_flush(ngx_event_t *ev);
static void ngx_seckill_batch_pack(ngx_seckill_batch_t *batch);
static void ngx_seckill_batch_send(ngx_seckill_batch_t *batch);
static void ngx_seckill_batch_done(void *data, redisReply *reply,
    rush_outcome_e outcome);
static void ngx_seckill_batch_answer(ngx_seckill_batch_t *batch,
    redisReply *reply, rush_buy_head_t *head);
static void ngx_seckill_batch_fail(ngx_seckill_batch_t *batch,
    rush_outcome_e outcome);
static ngx_int_t ngx_seckill_batch_move(ngx_seckill_batch_t *batch,
    ngx_seckill_buyer_t *buyer);


static ngx_event_t           ngx_seckill_batch_event;
static ngx_queue_t           ngx_seckill_batch_queue;
static ngx_seckill_lane_t   *ngx_seckill_lanes;
static ngx_seckill_batch_t  *ngx_seckill_batch_list;
static ngx_seckill_batch_t  *ngx_seckill_batch_full;    /* FIFO, to be sent */
static ngx_seckill_batch_t **ngx_seckill_batch_last = &ngx_seckill_batch_full;
static ngx_uint_t            ngx_seckill_batch_nfree;


u_char  ngx_seckill_sha[RUSH_LUA_COUNT][40];


ngx_int_t
ngx_seckill_batch_init(ngx_cycle_t *cycle)
{
    ngx_uint_t  i;

    ngx_seckill_lanes = ngx_pcalloc(cycle->pool, ngx_seckill_shm->capacity
                                                * sizeof(ngx_seckill_lane_t));
    if (ngx_seckill_lanes == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < RUSH_LUA_COUNT; i++) {
        ngx_rush_script_sha(ngx_seckill_sha[i], &rush_lua[i]);
    }

    ngx_queue_init(&ngx_seckill_batch_queue);

    ngx_seckill_batch_event.handler = ngx_seckill_batch_flush;
    ngx_seckill_batch_event.log = cycle->log;

    return NGX_OK;
}


ngx_uint_t
ngx_seckill_batch_is_full(ngx_seckill_slot_t *slot)
{
    return ngx_seckill_lanes[slot - ngx_seckill_shm->slots].waiting
           >= NGX_SECKILL_WAITING;
}


ngx_seckill_buyer_t *
ngx_seckill_batch_add(ngx_seckill_slot_t *slot)
{
    ngx_seckill_lane_t   *lane;
    ngx_seckill_buyer_t  *buyer;
    ngx_seckill_batch_t  *batch;

    lane = &ngx_seckill_lanes[slot - ngx_seckill_shm->slots];
    batch = lane->open;

    if (batch && (batch->n == RUSH_BATCH_MAX
                  || batch->activity != (int64_t) slot->id))
    {
        /* not sent from here: a failure would answer others in our step */

        *ngx_seckill_batch_last = batch;
        ngx_seckill_batch_last = &batch->next;
        batch->next = NULL;
        batch = NULL;

        ngx_post_event(&ngx_seckill_batch_event, &ngx_posted_events);
    }

    if (batch == NULL) {
        batch = ngx_seckill_batch_get(slot);
        if (batch == NULL) {
            return NULL;
        }

        lane->open = batch;
    }

    lane->waiting++;

    buyer = &batch->buyers[batch->n++];
    ngx_memzero(buyer, offsetof(ngx_seckill_buyer_t, user));
    buyer->activity = batch->activity;
    buyer->keyed = 0;
    buyer->again = 0;

    if (lane->flights < NGX_SECKILL_FLIGHTS || batch->n == RUSH_BATCH_MAX) {
        ngx_seckill_batch_post(lane);
    }

    return buyer;
}


static ngx_seckill_batch_t *
ngx_seckill_batch_get(ngx_seckill_slot_t *slot)
{
    ngx_seckill_batch_t  *batch;

    batch = ngx_seckill_batch_list;

    if (batch) {
        ngx_seckill_batch_list = batch->next;
        ngx_seckill_batch_nfree--;

    } else {
        batch = ngx_alloc(sizeof(ngx_seckill_batch_t), ngx_cycle->log);
        if (batch == NULL) {
            return NULL;
        }
    }

    batch->slot = slot;
    batch->activity = slot->id;
    batch->deadline = 0;
    batch->n = 0;
    batch->again = 0;

    return batch;
}


static void
ngx_seckill_batch_free(ngx_seckill_batch_t *batch)
{
    ngx_seckill_lanes[batch->slot - ngx_seckill_shm->slots].waiting -= batch->n;

    if (ngx_seckill_batch_nfree == NGX_SECKILL_MAX_FREE) {
        ngx_free(batch);
        return;
    }

    batch->next = ngx_seckill_batch_list;
    ngx_seckill_batch_list = batch;
    ngx_seckill_batch_nfree++;
}


static void
ngx_seckill_batch_post(ngx_seckill_lane_t *lane)
{
    if (!lane->queued) {
        lane->queued = 1;
        ngx_queue_insert_tail(&ngx_seckill_batch_queue, &lane->queue);
    }

    ngx_post_event(&ngx_seckill_batch_event, &ngx_posted_events);
}


static void
ngx_seckill_batch_flush(ngx_event_t *ev)
{
    ngx_queue_t          *item;
    ngx_seckill_lane_t   *lane;
    ngx_seckill_batch_t  *batch;

    while (ngx_seckill_batch_full) {
        batch = ngx_seckill_batch_full;
        ngx_seckill_batch_full = batch->next;

        if (ngx_seckill_batch_full == NULL) {
            ngx_seckill_batch_last = &ngx_seckill_batch_full;
        }

        ngx_seckill_batch_send(batch);
    }

    while (!ngx_queue_empty(&ngx_seckill_batch_queue)) {
        item = ngx_queue_head(&ngx_seckill_batch_queue);
        ngx_queue_remove(item);

        lane = ngx_queue_data(item, ngx_seckill_lane_t, queue);
        lane->queued = 0;

        batch = lane->open;
        lane->open = NULL;

        if (batch) {
            ngx_seckill_batch_send(batch);
        }
    }
}


static void
ngx_seckill_batch_send(ngx_seckill_batch_t *batch)
{
    char                  keys[3][RUSH_KEY_LEN];
    u_char                epoch[NGX_INT64_LEN], deadline[NGX_INT64_LEN];
    ngx_int_t             rc;
    ngx_str_t            *arg;
    ngx_uint_t            i;
    ngx_seckill_buyer_t  *buyer;

    static ngx_str_t  args[NGX_SECKILL_HEAD_ARGS + 5 * RUSH_BATCH_MAX];

    ngx_seckill_batch_pack(batch);

    if (batch->n == 0) {
        ngx_seckill_batch_free(batch);
        return;
    }

    if (batch->deadline == 0) {
        batch->deadline = ngx_rush_now_ms() + ngx_seckill_conf->deadline;
    }

    ngx_str_set(&args[0], "EVALSHA");
    args[1].data = ngx_seckill_sha[RUSH_LUA_BUY];
    args[1].len = 40;
    ngx_str_set(&args[2], "3");

    for (i = 0; i < 3; i++) {
        args[3 + i].data = (u_char *) keys[i];
        args[3 + i].len = rush_key(keys[i], batch->activity, "mus"[i]);
    }

    args[6].data = epoch;
    args[6].len = ngx_sprintf(epoch, "%uA", batch->slot->epoch) - epoch;
    args[7].data = deadline;
    args[7].len = ngx_sprintf(deadline, "%L", batch->deadline) - deadline;

    arg = &args[NGX_SECKILL_HEAD_ARGS];

    for (i = 0; i < batch->n; i++) {
        buyer = &batch->buyers[i];

        arg[0].data = buyer->user;
        arg[0].len = buyer->user_len;
        arg[1].data = buyer->req;
        arg[1].len = buyer->req_len;
        arg[2].data = buyer->order_no;
        arg[2].len = buyer->order_no_len;
        arg[3].data = buyer->qty;
        arg[3].len = buyer->qty_len;
        arg[4].data = (u_char *) ((batch->again || buyer->keyed) ? "1" : "0");
        arg[4].len = 1;

        arg += 5;
    }

    rc = ngx_rush_redis_send(batch->again ? NGX_RUSH_LANE_SIDE
                                          : NGX_RUSH_LANE_HOT,
                             arg - args, args, 0, ngx_seckill_batch_done,
                             batch);

    (void) RUSH_FP("W2");

    if (rc != NGX_OK) {
        ngx_seckill_batch_fail(batch, RUSH_NOT_DONE);
        return;
    }

    ngx_seckill_lanes[batch->slot - ngx_seckill_shm->slots].flights++;

    ngx_rush_count(NGX_RUSH_C_BUY_BATCHES, 1);
    ngx_rush_count(batch->again ? NGX_RUSH_C_BUY_RETRIED
                                : NGX_RUSH_C_BUY_SENT, batch->n);
}


/* drops buyers whose clients have left; they were never sent */

static void
ngx_seckill_batch_pack(ngx_seckill_batch_t *batch)
{
    ngx_uint_t            i, n;
    ngx_seckill_buyer_t  *buyer;

    n = 0;

    for (i = 0; i < batch->n; i++) {
        buyer = &batch->buyers[i];

        if (buyer->op.q == NULL) {
            continue;
        }

        if (i != n) {
            batch->buyers[n] = *buyer;
            buyer = &batch->buyers[n];
            buyer->op.q->op = &buyer->op;
        }

        n++;
    }

    ngx_seckill_lanes[batch->slot - ngx_seckill_shm->slots].waiting
        -= batch->n - n;
    batch->n = n;
}


static void
ngx_seckill_batch_done(void *data, redisReply *reply, rush_outcome_e outcome)
{
    ngx_seckill_batch_t  *batch = data;

    rush_buy_head_t       head;
    ngx_seckill_lane_t   *lane;

    lane = &ngx_seckill_lanes[batch->slot - ngx_seckill_shm->slots];
    lane->flights--;

    if (lane->open) {
        ngx_seckill_batch_post(lane);
    }

    (void) RUSH_FP("W3");

    if (outcome == RUSH_DONE
        && rush_buy_reply(reply, batch->n, &head) != RUSH_OK)
    {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "buy.lua: the answer for %ui buyers has a wrong shape",
                      batch->n);
        outcome = RUSH_MAYBE;
    }

    if (outcome == RUSH_DONE) {
        ngx_seckill_batch_answer(batch, reply, &head);
        return;
    }

    if (outcome == RUSH_GATE_SHUT) {
        /* others need not ask; the refresh opens it again */
        ngx_seckill_shm->gate = 0;
    }

    if (outcome == RUSH_MAYBE && !batch->again
        && ngx_rush_now_ms() < batch->deadline)
    {
        batch->again = 1;
        ngx_seckill_batch_send(batch);
        return;
    }

    ngx_seckill_batch_fail(batch, outcome);
}


static void
ngx_seckill_batch_answer(ngx_seckill_batch_t *batch, redisReply *reply,
    rush_buy_head_t *head)
{
    ngx_int_t             code;
    rush_str_t            order_no;
    ngx_uint_t            i;
    ngx_seckill_buyer_t  *buyer;

    if (head->status == RUSH_NOT_LOADED) {
        ngx_seckill_batch_fail(batch, batch->again ? RUSH_MAYBE
                                                   : RUSH_GATE_SHUT);
        return;
    }

    if ((int64_t) batch->slot->id == batch->activity) {
        ngx_seckill_learn(batch->slot, head->epoch, head->remain, head->rver,
                          ngx_seckill_now());
    }

    for (i = 0; i < batch->n; i++) {
        buyer = &batch->buyers[i];
        code = rush_buy_result(reply, i, &order_no);

        if (code == RUSH_OLD_EPOCH && !buyer->again && buyer->op.q
            && ngx_seckill_batch_move(batch, buyer) == NGX_OK)
        {
            continue;
        }

        ngx_seckill_buy_finish(buyer, code, &order_no, RUSH_DONE);
    }

    ngx_seckill_batch_free(batch);
}


static void
ngx_seckill_batch_fail(ngx_seckill_batch_t *batch, rush_outcome_e outcome)
{
    ngx_uint_t            i;
    rush_str_t            order_no;
    ngx_seckill_buyer_t  *buyer;

    if (batch->again) {
        /* the first copy may have run, whatever became of the second */
        outcome = RUSH_MAYBE;
    }

    ngx_memzero(&order_no, sizeof(rush_str_t));

    for (i = 0; i < batch->n; i++) {
        buyer = &batch->buyers[i];
        ngx_seckill_buy_finish(buyer, 0, &order_no, outcome);
    }

    ngx_seckill_batch_free(batch);
}


/* the epoch has changed: the buyer was refused without a look; once more */

static ngx_int_t
ngx_seckill_batch_move(ngx_seckill_batch_t *batch, ngx_seckill_buyer_t *buyer)
{
    ngx_rush_req_t       *q;
    ngx_seckill_buyer_t  *moved;

    if (batch->again || (int64_t) batch->slot->id != batch->activity) {
        return NGX_DECLINED;
    }

    moved = ngx_seckill_batch_add(batch->slot);
    if (moved == NULL) {
        return NGX_DECLINED;
    }

    q = buyer->op.q;

    *moved = *buyer;
    moved->again = 1;
    q->op = &moved->op;
    buyer->op.q = NULL;

    return NGX_OK;
}
