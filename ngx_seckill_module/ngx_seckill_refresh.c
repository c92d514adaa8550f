
/*
 * Copyright (C) Rush
 */


#include "ngx_seckill.h"


/*
 * The refresh keeps the slots of a node true: definitions from MySQL, stock
 * and epoch from Redis.  Every worker has the timer, a lease in shared memory
 * lets one of them work, so the backends see two rounds a second a node,
 * whatever the traffic.  When a backend is silent its part of the slots grows
 * old (the ages are in /ready and in the metrics) and the other goes on:
 * selling needs no MySQL.
 */


#define NGX_SECKILL_TICK      100       /* ms between looks at the leases */
#define NGX_SECKILL_PERIOD    400       /* ms of a lease */
#define NGX_SECKILL_FILL      100       /* ms, longer than slots take */
#define NGX_SECKILL_KEEP      86400000  /* ms an ended activity is shown */
#define NGX_SECKILL_FRESH     3000      /* ms, older is not ready */


typedef struct {
    ngx_seckill_slot_t    *slot;
    int64_t                id;          /* the slot may change hands */
} ngx_seckill_ask_t;


static void ngx_seckill_tick(ngx_event_t *ev);
static void ngx_seckill_read_catalog(void);
static void ngx_seckill_catalog_read(void *data, ngx_rush_rows_t *rows,
    ngx_int_t rc);
static void ngx_seckill_fill_slot(ngx_rush_rows_t *rows, ngx_uint_t i,
    ngx_atomic_uint_t round);
static void ngx_seckill_render(ngx_rush_rows_t *rows, ngx_uint_t i);
static void ngx_seckill_read_stock(void);
static void ngx_seckill_stock_read(void *data, redisReply *reply,
    rush_outcome_e outcome);
static void ngx_seckill_read_gate(void);
static void ngx_seckill_gate_read(void *data, redisReply *reply,
    rush_outcome_e outcome);
static void ngx_seckill_beat_read(void *data, redisReply *reply,
    rush_outcome_e outcome);
static void ngx_seckill_stock_learn(ngx_seckill_ask_t *ask, redisReply *reply,
    rush_outcome_e outcome);
static void ngx_seckill_stock_done(rush_outcome_e outcome);
static int64_t ngx_seckill_reply_int(redisReply *reply);


static ngx_event_t         ngx_seckill_timer;
static ngx_connection_t    ngx_seckill_dummy;  /* debug lines print its fd */
static ngx_uint_t          ngx_seckill_catalog_busy;
static ngx_uint_t          ngx_seckill_stock_busy;
static ngx_uint_t          ngx_seckill_stock_again;
static ngx_uint_t          ngx_seckill_stock_failed;
static ngx_atomic_uint_t   ngx_seckill_stock_round;
static ngx_seckill_ask_t  *ngx_seckill_asks;
static rush_buf_t          ngx_seckill_json;


/* columns of the statement "catalog" */

enum {
    C_ID = 0, C_PRODUCT, C_TITLE, C_PRODUCT_TITLE, C_IMAGE, C_PRICE,
    C_PRODUCT_PRICE, C_START, C_STOP, C_LIMIT, C_TOTAL, C_PAY_SECONDS,
    C_STATUS, C_REV, C_WARM
};


ngx_int_t
ngx_seckill_refresh_init(ngx_cycle_t *cycle)
{
    ngx_seckill_asks = ngx_pcalloc(cycle->pool, ngx_seckill_shm->capacity
                                                * sizeof(ngx_seckill_ask_t));
    if (ngx_seckill_asks == NULL) {
        return NGX_ERROR;
    }

    ngx_seckill_timer.handler = ngx_seckill_tick;
    ngx_seckill_timer.data = &ngx_seckill_dummy;
    ngx_seckill_timer.log = cycle->log;
    ngx_seckill_timer.cancelable = 1;

    ngx_add_timer(&ngx_seckill_timer, 1);

    return NGX_OK;
}


static void
ngx_seckill_tick(ngx_event_t *ev)
{
    if (ngx_exiting || ngx_quit || ngx_terminate) {
        return;
    }

    if (!ngx_seckill_catalog_busy
        && ngx_rush_lease(&ngx_seckill_shm->catalog, NGX_SECKILL_PERIOD)
           == NGX_OK)
    {
        ngx_seckill_read_catalog();
    }

    if (!ngx_seckill_stock_busy
        && ngx_rush_lease(&ngx_seckill_shm->stock, NGX_SECKILL_PERIOD)
           == NGX_OK)
    {
        ngx_seckill_read_gate();
        ngx_seckill_read_stock();
    }

    ngx_add_timer(ev, NGX_SECKILL_TICK);
}


static void
ngx_seckill_read_catalog(void)
{
    ngx_rush_param_t  param;

    ngx_seckill_switch_read();

    param = ngx_rush_p_int(ngx_seckill_now() - NGX_SECKILL_KEEP);

    if (ngx_rush_mysql_send(&ngx_seckill_sql[NGX_SECKILL_SQL_CATALOG], &param,
                            1, ngx_seckill_catalog_read, NULL)
        == NGX_OK)
    {
        ngx_seckill_catalog_busy = 1;
    }
}


static void
ngx_seckill_catalog_read(void *data, ngx_rush_rows_t *rows, ngx_int_t rc)
{
    ngx_uint_t           i;
    ngx_atomic_uint_t    round;
    ngx_seckill_slot_t  *slot;

    ngx_seckill_catalog_busy = 0;

    if (rc != NGX_OK) {
        return;                         /* the driver has logged it */
    }

    /*
     * A MySQL that has stood still answers several workers at a time, each
     * had its lease.  Slots have one writer: the others know nothing newer.
     */

    if (ngx_rush_lease(&ngx_seckill_shm->fill, NGX_SECKILL_FILL) != NGX_OK) {
        return;
    }

    round = ngx_seckill_shm->round + 1;
    ngx_seckill_shm->full = 0;

    for (i = 0; i < rows->n; i++) {
        ngx_seckill_fill_slot(rows, i, round);
    }

    for (i = 0; i < ngx_seckill_shm->capacity; i++) {
        slot = &ngx_seckill_shm->slots[i];

        if (slot->id && slot->seen != round) {
            slot->status = NGX_SECKILL_DRAFT;
            slot->id = 0;
        }
    }

    ngx_seckill_shm->round = round;
    ngx_seckill_shm->catalog_ms = ngx_seckill_now();

    /* a new activity should not wait for the next look at Redis */

    if (ngx_seckill_stock_busy) {
        ngx_seckill_stock_again = 1;

    } else {
        ngx_seckill_read_stock();
    }
}


static void
ngx_seckill_fill_slot(ngx_rush_rows_t *rows, ngx_uint_t i,
    ngx_atomic_uint_t round)
{
    ngx_seckill_slot_t  *slot;

    slot = ngx_seckill_take_slot(ngx_rush_cell_int(rows, i, C_ID));

    if (slot == NULL) {
        ngx_seckill_shm->full++;
        return;
    }

    slot->start = ngx_rush_cell_int(rows, i, C_START);
    slot->stop = ngx_rush_cell_int(rows, i, C_STOP);
    slot->limit = ngx_rush_cell_int(rows, i, C_LIMIT);
    slot->total = ngx_rush_cell_int(rows, i, C_TOTAL);
    slot->product = ngx_rush_cell_int(rows, i, C_PRODUCT);
    slot->rev = ngx_rush_cell_int(rows, i, C_REV);
    slot->seen = round;

    ngx_seckill_render(rows, i);

    if (!ngx_seckill_json.failed
        && ngx_seckill_json.len <= NGX_SECKILL_JSON
        && (slot->json_len != ngx_seckill_json.len || (slot->seq & 1)
            || ngx_memcmp(slot->json, ngx_seckill_json.data,
                          ngx_seckill_json.len)
               != 0))
    {
        ngx_seckill_publish(slot, ngx_seckill_json.data,
                            ngx_seckill_json.len);
    }

    slot->status = ngx_rush_cell_int(rows, i, C_STATUS);
}


static void
ngx_seckill_render(ngx_rush_rows_t *rows, ngx_uint_t i)
{
    int64_t      start, stop;
    rush_buf_t  *b;

    b = &ngx_seckill_json;
    start = ngx_rush_cell_int(rows, i, C_START);
    stop = ngx_rush_cell_int(rows, i, C_STOP);

    if (b->failed) {
        rush_buf_free(b);
    }

    rush_buf_reset(b);
    rush_json_open(b, NULL, '{');
    rush_json_id(b, "id", ngx_rush_cell_int(rows, i, C_ID));
    rush_json_id(b, "product_id", ngx_rush_cell_int(rows, i, C_PRODUCT));
    rush_json_str(b, "title", (rush_str_t *) ngx_rush_cell(rows, i, C_TITLE));
    rush_json_str(b, "product_title",
                  (rush_str_t *) ngx_rush_cell(rows, i, C_PRODUCT_TITLE));
    rush_json_str(b, "image", (rush_str_t *) ngx_rush_cell(rows, i, C_IMAGE));
    rush_json_int(b, "price", ngx_rush_cell_int(rows, i, C_PRICE));
    rush_json_int(b, "original_price",
                  ngx_rush_cell_int(rows, i, C_PRODUCT_PRICE));
    rush_json_text(b, "currency", NGX_SECKILL_CURRENCY);
    rush_json_time(b, "start_at", start);
    rush_json_int(b, "start_ms", start);
    rush_json_time(b, "end_at", stop);
    rush_json_int(b, "end_ms", stop);
    rush_json_int(b, "limit_per_user", ngx_rush_cell_int(rows, i, C_LIMIT));
    rush_json_int(b, "total", ngx_rush_cell_int(rows, i, C_TOTAL));
    rush_json_int(b, "pay_seconds", ngx_rush_cell_int(rows, i, C_PAY_SECONDS));
}


static void
ngx_seckill_read_stock(void)
{
    char                 key[RUSH_KEY_LEN];
    ngx_str_t            args[6];
    ngx_uint_t           i;
    ngx_seckill_ask_t   *ask;
    ngx_seckill_slot_t  *slot;

    ngx_str_set(&args[0], "HMGET");
    args[1].data = (u_char *) key;
    ngx_str_set(&args[2], "epoch");
    ngx_str_set(&args[3], "remain");
    ngx_str_set(&args[4], "rver");

    ngx_seckill_stock_round = ngx_seckill_shm->round;
    ngx_seckill_stock_failed = 0;

    for (i = 0; i < ngx_seckill_shm->capacity; i++) {
        slot = &ngx_seckill_shm->slots[i];

        if (slot->id == 0 || slot->status == NGX_SECKILL_DRAFT) {
            continue;
        }

        ask = &ngx_seckill_asks[i];
        ask->slot = slot;
        ask->id = slot->id;

        args[1].len = rush_key(key, ask->id, 'm');

        if (ngx_rush_redis_send(NGX_RUSH_LANE_SIDE, 5, args, 0,
                                ngx_seckill_stock_read, ask)
            != NGX_OK)
        {
            ngx_seckill_stock_failed = 1;
            return;
        }

        ngx_seckill_stock_busy++;
    }
}


static void
ngx_seckill_stock_read(void *data, redisReply *reply, rush_outcome_e outcome)
{
    ngx_seckill_stock_learn(data, reply, outcome);
    ngx_seckill_stock_done(outcome);
}


static void
ngx_seckill_stock_learn(ngx_seckill_ask_t *ask, redisReply *reply,
    rush_outcome_e outcome)
{
    int64_t              epoch;
    ngx_seckill_slot_t  *slot;

    slot = ask->slot;

    if (outcome != RUSH_DONE || reply->type != REDIS_REPLY_ARRAY
        || reply->elements != 3 || (int64_t) slot->id != ask->id)
    {
        return;
    }

    epoch = ngx_seckill_reply_int(reply->element[0]);

    if (epoch <= 0) {
        slot->epoch = 0;                /* not loaded */
        return;
    }

    ngx_seckill_learn(slot, epoch, ngx_seckill_reply_int(reply->element[1]),
                      ngx_seckill_reply_int(reply->element[2]),
                      ngx_seckill_now());
}


/* a question of this round is answered; perhaps the last one */

static void
ngx_seckill_stock_done(rush_outcome_e outcome)
{
    if (outcome != RUSH_DONE) {
        ngx_seckill_stock_failed = 1;
    }

    if (--ngx_seckill_stock_busy) {
        return;
    }

    if (!ngx_seckill_stock_failed) {
        ngx_seckill_shm->looked = ngx_seckill_stock_round;
    }

    if (ngx_seckill_stock_again) {
        ngx_seckill_stock_again = 0;
        ngx_seckill_read_stock();
    }
}


/* SCRIPT EXISTS only looks; loading is the controller's alone */

static void
ngx_seckill_read_gate(void)
{
    ngx_str_t  args[3];

    ngx_str_set(&args[0], "SCRIPT");
    ngx_str_set(&args[1], "EXISTS");
    args[2].data = ngx_seckill_sha[RUSH_LUA_BUY];
    args[2].len = 40;

    if (ngx_rush_redis_send(NGX_RUSH_LANE_SIDE, 3, args, 0,
                            ngx_seckill_gate_read, NULL)
        != NGX_OK)
    {
        return;
    }

    ngx_seckill_stock_busy++;

    ngx_str_set(&args[0], "GET");
    ngx_str_set(&args[1], RUSH_BEAT_KEY);

    if (ngx_rush_redis_send(NGX_RUSH_LANE_SIDE, 2, args, 0,
                            ngx_seckill_beat_read, NULL)
        == NGX_OK)
    {
        ngx_seckill_stock_busy++;
    }
}


static void
ngx_seckill_gate_read(void *data, redisReply *reply, rush_outcome_e outcome)
{
    ngx_seckill_stock_done(outcome);

    if (outcome != RUSH_DONE || reply->type != REDIS_REPLY_ARRAY
        || reply->elements != 1)
    {
        return;
    }

    ngx_seckill_shm->gate = (reply->element[0]->integer == 1);
    ngx_seckill_shm->stock_ms = ngx_seckill_now();
}


static void
ngx_seckill_beat_read(void *data, redisReply *reply, rush_outcome_e outcome)
{
    ngx_seckill_stock_done(outcome);

    if (outcome == RUSH_DONE && reply->type == REDIS_REPLY_STRING) {
        ngx_seckill_shm->beat_ms = ngx_seckill_reply_int(reply);
    }
}


static int64_t
ngx_seckill_reply_int(redisReply *reply)
{
    int64_t  v;

    if (reply->type != REDIS_REPLY_STRING
        || rush_parse_u63((u_char *) reply->str, reply->len, &v) != RUSH_OK)
    {
        return 0;
    }

    return v;
}


ngx_int_t
ngx_seckill_ready(rush_buf_t *b)
{
    int64_t  now, catalog, stock, beat;

    now = ngx_seckill_now();
    catalog = now - (int64_t) ngx_seckill_shm->catalog_ms;
    stock = now - (int64_t) ngx_seckill_shm->stock_ms;
    beat = now - (int64_t) ngx_seckill_shm->beat_ms;

    rush_json_bool(b, "selling", ngx_seckill_sells());
    rush_json_bool(b, "gate", ngx_seckill_shm->gate != 0);
    rush_json_int(b, "catalog_age_ms", ngx_max(catalog, 0));
    rush_json_int(b, "stock_age_ms", ngx_max(stock, 0));
    rush_json_int(b, "consumer_age_ms", ngx_max(beat, 0));

    if (!ngx_seckill_sells()
        || ngx_seckill_shm->gate == 0 || ngx_seckill_shm->looked == 0
        || catalog > NGX_SECKILL_FRESH
        || stock > NGX_SECKILL_FRESH || beat > 2 * NGX_SECKILL_FRESH)
    {
        return NGX_DECLINED;
    }

    return NGX_OK;
}


void
ngx_seckill_metrics(rush_buf_t *b)
{
    int64_t               now;
    ngx_uint_t            i, n;
    ngx_seckill_slot_t  **slots;

    now = ngx_seckill_now();
    slots = ngx_seckill_sorted(&n);

    rush_buf_puts(b, "# HELP rush_seckill_stock Units left, as this node "
                     "knows.\n# TYPE rush_seckill_stock gauge\n");

    for (i = 0; i < n; i++) {

        if (ngx_seckill_state(slots[i], now) == NGX_SECKILL_ENDED) {
            continue;
        }

        rush_buf_printf(b, "rush_seckill_stock{activity=\"%lld\"} %lld\n",
                        (long long) slots[i]->id,
                        (long long) slots[i]->remain);
    }

    rush_buf_printf(b, "# HELP rush_seckill_gate 1 when the controller has "
                       "opened Redis for selling.\n"
                       "# TYPE rush_seckill_gate gauge\n"
                       "rush_seckill_gate %d\n",
                    ngx_seckill_shm->gate != 0);

    rush_buf_printf(b, "# HELP rush_seckill_without_slot Activities that did "
                       "not fit into seckill_zone.\n"
                       "# TYPE rush_seckill_without_slot gauge\n"
                       "rush_seckill_without_slot %llu\n",
                    (unsigned long long) ngx_seckill_shm->full);
}
