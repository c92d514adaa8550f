
/*
 * Copyright (C) Rush
 */


#include "ngx_rush_redis.h"
#include "ngx_rush_revoke.h"


/*
 * The feed of revocations, a stream in Redis that all nodes write and read.
 *
 * Reading: every 250 ms one of the workers of the node, by lease, asks for
 * what follows the last id kept in the zone, and at once again after a full
 * answer.  The id is one word (ms << 20 | sequence) that only rises.  When
 * two workers read at a time, or a sequence does not fit into its 20 bits,
 * entries are read again, which changes nothing.  A node that starts reads
 * the stream from its beginning; it is trimmed by age.
 *
 * "heard" is the time at which that was asked which was answered in full last:
 * what Redis had then, the table has.  When it is too long ago, a request
 * with a token waits for one more look.
 *
 * Writing: what could not be sent stays in a list of the worker and is sent
 * again every 500 ms, when the outcome is unknown too, since an entry told
 * twice changes nothing.  A leaving worker tries for 5 s; what is left then
 * is counted as lost to the other nodes (MySQL has it).
 */


#define NGX_RUSH_FEED_LEASE      225        /* ms, under the period, so that
                                               a tick finds it free */
#define NGX_RUSH_FEED_PERIOD     250        /* ms */
#define NGX_RUSH_FEED_FRESH      900        /* ms, under the second that was
                                               promised */
#define NGX_RUSH_FEED_WAITING    1024       /* requests of a worker */
#define NGX_RUSH_FEED_COUNT      1000

#define NGX_RUSH_SEQ_BITS        20
#define NGX_RUSH_SEQ_MAX         ((1 << NGX_RUSH_SEQ_BITS) - 1)

#define NGX_RUSH_RETRY_ITEMS     1024
#define NGX_RUSH_RETRY_PERIOD    500        /* ms */
#define NGX_RUSH_RETRY_LAST      10         /* periods when leaving */

#define NGX_RUSH_REVOKE_NEVER    ((uint64_t) -1)    /* no place to keep it */


typedef struct {                            /* one revocation to be sent */
    int64_t                  id;
    int64_t                  version;
    u_char                   kind;          /* 0: item is free */
    unsigned                 sent:1;        /* answer is awaited */
    uint64_t                 serial;
} ngx_rush_feed_item_t;


typedef struct {                            /* waits for the next look */
    ngx_rush_op_t            op;            /* must be first */
    ngx_queue_t              queue;
} ngx_rush_feed_op_t;


static void ngx_rush_feed_send(ngx_rush_feed_item_t *item);
static void ngx_rush_feed_sent(void *data, redisReply *reply,
    rush_outcome_e outcome);
static void ngx_rush_retry_handler(ngx_event_t *ev);
static void ngx_rush_feed_handler(ngx_event_t *ev);
static ngx_int_t ngx_rush_feed_read(void);
static void ngx_rush_feed_answer(void *data, redisReply *reply,
    rush_outcome_e outcome);
static void ngx_rush_feed_wake(ngx_int_t rc);
static ngx_uint_t ngx_rush_feed_entries(redisReply *reply);
static ngx_int_t ngx_rush_feed_entry(redisReply *entry, uint64_t *last);
static ngx_int_t ngx_rush_feed_fields(redisReply *fields);
static int64_t ngx_rush_feed_number(redisReply *reply);


static ngx_event_t           ngx_rush_feed_event;
static ngx_event_t           ngx_rush_retry_event;
static ngx_connection_t      ngx_rush_feed_dummy;
static ngx_uint_t            ngx_rush_feed_asked;
static ngx_msec_t            ngx_rush_feed_asked_at;
static ngx_queue_t           ngx_rush_feed_waiting;
static ngx_uint_t            ngx_rush_feed_nwaiting;
static uint64_t              ngx_rush_feed_serial;
static ngx_uint_t            ngx_rush_retry_leaving;
static ngx_rush_feed_item_t  ngx_rush_retry_items[NGX_RUSH_RETRY_ITEMS];


void
ngx_rush_revoke(ngx_rush_req_t *q, u_char kind, int64_t id, int64_t version)
{
    ngx_uint_t             i;
    ngx_rush_feed_item_t  *item;

    if (ngx_rush_revoke_sh == NULL) {
        return;
    }

    ngx_rush_count(NGX_RUSH_C_REVOKE_ADDED, 1);
    ngx_rush_revoke_insert(kind, id, version);

    q->revoked = ++ngx_rush_feed_serial;
    q->revoked_at = ngx_current_msec;

    for (i = 0; i < NGX_RUSH_RETRY_ITEMS; i++) {
        item = &ngx_rush_retry_items[i];

        if (item->kind == 0) {
            item->kind = kind;
            item->id = id;
            item->version = version;
            item->serial = q->revoked;

            ngx_rush_feed_send(item);
            return;
        }
    }

    q->revoked = NGX_RUSH_REVOKE_NEVER;
    ngx_rush_count(NGX_RUSH_C_REVOKE_LOST, 1);
}


ngx_uint_t
ngx_rush_untold(uint64_t revoked)
{
    ngx_uint_t  i;

    if (revoked == NGX_RUSH_REVOKE_NEVER) {
        return 1;
    }

    for (i = 0; i < NGX_RUSH_RETRY_ITEMS; i++) {

        if (ngx_rush_retry_items[i].kind
            && ngx_rush_retry_items[i].serial <= revoked)
        {
            return 1;
        }
    }

    return 0;
}


static void
ngx_rush_feed_send(ngx_rush_feed_item_t *item)
{
    u_char      id[NGX_INT64_LEN], version[NGX_INT64_LEN];
    u_char      oldest[NGX_INT64_LEN];
    int64_t     ms;
    ngx_str_t   args[12];

    ms = ngx_rush_now_ms() - (int64_t) ngx_rush_revoke_keep() * 1000;

    ngx_str_set(&args[0], "XADD");
    ngx_str_set(&args[1], RUSH_REVOKE_KEY);
    ngx_str_set(&args[2], "MINID");
    ngx_str_set(&args[3], "~");
    args[4].data = oldest;
    args[4].len = ngx_sprintf(oldest, "%L", ms) - oldest;
    ngx_str_set(&args[5], "*");
    ngx_str_set(&args[6], "k");
    args[7].data = &item->kind;
    args[7].len = 1;
    ngx_str_set(&args[8], "i");
    args[9].data = id;
    args[9].len = ngx_sprintf(id, "%L", item->id) - id;
    ngx_str_set(&args[10], "v");
    args[11].data = version;
    args[11].len = ngx_sprintf(version, "%L", item->version) - version;

    if (ngx_rush_redis_send(NGX_RUSH_LANE_SIDE, 12, args, 0,
                            ngx_rush_feed_sent, item)
        == NGX_OK)
    {
        item->sent = 1;
        return;
    }

    if (!ngx_rush_retry_event.timer_set) {
        ngx_add_timer(&ngx_rush_retry_event, NGX_RUSH_RETRY_PERIOD);
    }
}


static void
ngx_rush_feed_sent(void *data, redisReply *reply, rush_outcome_e outcome)
{
    ngx_rush_feed_item_t  *item = data;

    item->sent = 0;

    if (outcome == RUSH_DONE && reply && reply->type == REDIS_REPLY_STRING) {
        item->kind = 0;
        return;
    }

    if (!ngx_rush_retry_event.timer_set) {
        ngx_add_timer(&ngx_rush_retry_event, NGX_RUSH_RETRY_PERIOD);
    }
}


/* not cancelable: what was not sent yet is work in flight */

static void
ngx_rush_retry_handler(ngx_event_t *ev)
{
    ngx_uint_t             i;
    ngx_rush_feed_item_t  *item;

    if (ngx_exiting) {
        ngx_rush_retry_leaving++;
    }

    for (i = 0; i < NGX_RUSH_RETRY_ITEMS; i++) {
        item = &ngx_rush_retry_items[i];

        if (item->kind == 0 || item->sent) {
            continue;
        }

        if (ngx_rush_retry_leaving > NGX_RUSH_RETRY_LAST) {
            ngx_rush_count(NGX_RUSH_C_REVOKE_LOST, 1);
            item->kind = 0;
            continue;
        }

        ngx_rush_count(NGX_RUSH_C_REVOKE_RETRIES, 1);
        ngx_rush_feed_send(item);
    }
}


static void
ngx_rush_feed_handler(ngx_event_t *ev)
{
    if (ngx_exiting) {
        return;
    }

    if (!ngx_rush_feed_asked
        && ngx_rush_lease(&ngx_rush_revoke_sh->lease, NGX_RUSH_FEED_LEASE)
           == NGX_OK)
    {
        (void) ngx_rush_feed_read();
    }

    ngx_add_timer(ev, NGX_RUSH_FEED_PERIOD);
}


static ngx_int_t
ngx_rush_feed_read(void)
{
    u_char      id[2 * NGX_INT64_LEN], count[NGX_INT64_LEN];
    uint64_t    last;
    ngx_str_t   args[6];

    last = ngx_rush_revoke_sh->last;

    ngx_str_set(&args[0], "XREAD");
    ngx_str_set(&args[1], "COUNT");
    args[2].data = count;
    args[2].len = ngx_sprintf(count, "%d", NGX_RUSH_FEED_COUNT) - count;
    ngx_str_set(&args[3], "STREAMS");
    ngx_str_set(&args[4], RUSH_REVOKE_KEY);
    args[5].data = id;
    args[5].len = ngx_sprintf(id, "%uL-%uL", last >> NGX_RUSH_SEQ_BITS,
                              last & NGX_RUSH_SEQ_MAX) - id;

    if (ngx_rush_redis_send(NGX_RUSH_LANE_SIDE, 6, args, 0,
                            ngx_rush_feed_answer, NULL)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_rush_feed_asked = 1;
    ngx_rush_feed_asked_at = ngx_max(ngx_current_msec, 1);

    return NGX_OK;
}


static void
ngx_rush_feed_answer(void *data, redisReply *reply, rush_outcome_e outcome)
{
    ngx_rush_feed_asked = 0;

    if (outcome != RUSH_DONE || reply == NULL
        || reply->type == REDIS_REPLY_ERROR)
    {
        ngx_rush_feed_wake(RUSH_BUSY);  /* the driver has logged it */
        return;
    }

    if (ngx_rush_feed_entries(reply) >= NGX_RUSH_FEED_COUNT) {

        if (ngx_rush_feed_read() != NGX_OK) {
            ngx_rush_feed_wake(RUSH_BUSY);
        }

        return;
    }

    /* what was in the stream when it was asked is in the table now */

    ngx_rush_revoke_raise(&ngx_rush_revoke_sh->heard, ngx_rush_feed_asked_at);
    ngx_rush_feed_wake(NGX_OK);
}


ngx_int_t
ngx_rush_feed_wait(ngx_rush_req_t *q)
{
    ngx_rush_feed_op_t  *w;

    if (ngx_rush_feed_nwaiting == NGX_RUSH_FEED_WAITING) {
        return RUSH_BUSY;
    }

    w = ngx_calloc(sizeof(ngx_rush_feed_op_t), ngx_cycle->log);
    if (w == NULL) {
        return NGX_ERROR;
    }

    if (!ngx_rush_feed_asked && ngx_rush_feed_read() != NGX_OK) {
        ngx_free(w);
        return RUSH_BUSY;
    }

    ngx_queue_insert_tail(&ngx_rush_feed_waiting, &w->queue);
    ngx_rush_feed_nwaiting++;

    return ngx_rush_op_start(q, &w->op);
}


/* who comes back waits for another look, in another list */

static void
ngx_rush_feed_wake(ngx_int_t rc)
{
    ngx_queue_t          waiting, *e;
    ngx_rush_req_t      *q;
    ngx_rush_feed_op_t  *w;

    if (ngx_queue_empty(&ngx_rush_feed_waiting)) {
        return;
    }

    waiting = ngx_rush_feed_waiting;
    waiting.next->prev = &waiting;
    waiting.prev->next = &waiting;
    ngx_queue_init(&ngx_rush_feed_waiting);
    ngx_rush_feed_nwaiting = 0;

    while (!ngx_queue_empty(&waiting)) {
        e = ngx_queue_head(&waiting);
        ngx_queue_remove(e);

        w = ngx_queue_data(e, ngx_rush_feed_op_t, queue);
        q = ngx_rush_op_finish(&w->op);
        ngx_free(w);

        if (q) {
            ngx_rush_resume(q, rc);
        }
    }
}


/* nil, or [[key, [entry, ...]]]; how many entries there were */

static ngx_uint_t
ngx_rush_feed_entries(redisReply *reply)
{
    size_t       i;
    uint64_t     last;
    redisReply  *stream, *list;

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 1) {
        return 0;
    }

    stream = reply->element[0];

    if (stream->type != REDIS_REPLY_ARRAY || stream->elements != 2
        || stream->element[1]->type != REDIS_REPLY_ARRAY)
    {
        return 0;
    }

    list = stream->element[1];

    for (i = 0; i < list->elements; i++) {

        if (ngx_rush_feed_entry(list->element[i], &last) != NGX_OK) {
            ngx_rush_count(NGX_RUSH_C_REVOKE_BAD, 1);
        }

        ngx_rush_revoke_raise(&ngx_rush_revoke_sh->last, last);
    }

    ngx_rush_count(NGX_RUSH_C_REVOKE_RECEIVED, list->elements);

    return list->elements;
}


/* [id, [k, u|s, i, id, v, version]]; *last is 0 when there is no id */

static ngx_int_t
ngx_rush_feed_entry(redisReply *entry, uint64_t *last)
{
    u_char   *p, *dash, *end;
    int64_t   ms, seq;

    *last = 0;

    if (entry->type != REDIS_REPLY_ARRAY || entry->elements != 2
        || entry->element[0]->type != REDIS_REPLY_STRING)
    {
        return NGX_ERROR;
    }

    p = (u_char *) entry->element[0]->str;
    end = p + entry->element[0]->len;
    dash = ngx_strlchr(p, end, '-');

    if (dash == NULL) {
        return NGX_ERROR;
    }

    ms = ngx_atoof(p, dash - p);
    seq = ngx_atoof(dash + 1, end - dash - 1);

    if (ms < 0 || seq < 0 || ms >> (63 - NGX_RUSH_SEQ_BITS)) {
        return NGX_ERROR;
    }

    *last = (uint64_t) ms << NGX_RUSH_SEQ_BITS
            | (uint64_t) ngx_min(seq, NGX_RUSH_SEQ_MAX);

    return ngx_rush_feed_fields(entry->element[1]);
}


static ngx_int_t
ngx_rush_feed_fields(redisReply *fields)
{
    char         kind, name;
    size_t       i;
    int64_t      id, version;
    redisReply  *value;

    if (fields->type != REDIS_REPLY_ARRAY) {
        return NGX_ERROR;
    }

    kind = 0;
    id = 0;
    version = 0;

    for (i = 0; i + 1 < fields->elements; i += 2) {
        value = fields->element[i + 1];

        if (fields->element[i]->type != REDIS_REPLY_STRING
            || fields->element[i]->len != 1
            || value->type != REDIS_REPLY_STRING)
        {
            return NGX_ERROR;
        }

        name = fields->element[i]->str[0];

        if (name == 'k' && value->len == 1) {
            kind = value->str[0];

        } else if (name == 'i') {
            id = ngx_rush_feed_number(value);

        } else if (name == 'v') {
            version = ngx_rush_feed_number(value);
        }
    }

    if ((kind != 'u' && kind != 's') || id <= 0 || version < 0) {
        return NGX_ERROR;
    }

    ngx_rush_revoke_insert(kind, id, version);

    return NGX_OK;
}


static int64_t
ngx_rush_feed_number(redisReply *reply)
{
    return ngx_atoof((u_char *) reply->str, reply->len);
}


ngx_uint_t
ngx_rush_revoke_heard(ngx_msec_t came)
{
    ngx_msec_t  heard;

    if (ngx_rush_revoke_sh == NULL) {
        return 1;
    }

    heard = ngx_rush_revoke_sh->heard;

    return heard
           && ((ngx_msec_int_t) (ngx_current_msec - heard)
               <= NGX_RUSH_FEED_FRESH
               || (ngx_msec_int_t) (heard - came) >= 0);
}


ngx_msec_t
ngx_rush_revoke_age(void)
{
    ngx_msec_int_t  age;

    if (ngx_rush_revoke_sh == NULL || ngx_rush_revoke_sh->heard == 0) {
        return (ngx_msec_t) -1;
    }

    age = (ngx_msec_int_t) (ngx_current_msec - ngx_rush_revoke_sh->heard);

    return ngx_max(age, 0);             /* another worker's clock is ahead */
}


ngx_int_t
ngx_rush_revoke_init(ngx_cycle_t *cycle)
{
    if (ngx_rush_revoke_sh == NULL) {
        return NGX_OK;
    }

    ngx_queue_init(&ngx_rush_feed_waiting);

    ngx_rush_feed_dummy.fd = (ngx_socket_t) -1;

    ngx_rush_retry_event.handler = ngx_rush_retry_handler;
    ngx_rush_retry_event.data = &ngx_rush_feed_dummy;
    ngx_rush_retry_event.log = cycle->log;

    ngx_rush_feed_event.handler = ngx_rush_feed_handler;
    ngx_rush_feed_event.data = &ngx_rush_feed_dummy;
    ngx_rush_feed_event.log = cycle->log;
    ngx_rush_feed_event.cancelable = 1;

    ngx_add_timer(&ngx_rush_feed_event, 1);

    return NGX_OK;
}
