
/*
 * Copyright (C) Rush
 *
 * What must pause a sale: a stream that grows faster than MySQL can follow,
 * clocks that differ.  Paused is a state of the meta hash only; the row in
 * MySQL keeps saying what administrators want.
 */


#include <stdlib.h>

#include "controller.h"
#include "rush_order.h"


#define RUSH_GUARD_COUNT  10000         /* entries, when Redis has no lag */


static int rush_guard_clock(rush_controller_t *ctl);
static int64_t rush_guard_skew(rush_controller_t *ctl);
static int rush_guard_backlog(rush_controller_t *ctl, size_t i);
static int rush_guard_orders(rush_controller_t *ctl);
static rush_guard_t *rush_guard_find(rush_controller_t *ctl, int64_t id);
static rush_guard_t *rush_guard_add(rush_controller_t *ctl, int64_t id,
    int paused);
static void rush_queue_group(const redisReply *group, rush_queue_t *queue);
static int rush_queue_lag(rush_controller_t *ctl, const char *key,
    rush_queue_t *queue);
static int rush_queue_oldest(rush_controller_t *ctl, const char *key,
    rush_queue_t *queue);


int
rush_guard(rush_controller_t *ctl)
{
    size_t   i;
    int64_t  paused;

    if (rush_guard_clock(ctl) != RUSH_OK || rush_guard_orders(ctl) != RUSH_OK)
    {
        return RUSH_ERROR;
    }

    for (i = 0; i < ctl->n; i++) {
        if (ctl->metas[i].epoch != 0
            && rush_guard_backlog(ctl, i) != RUSH_OK)
        {
            return RUSH_ERROR;
        }
    }

    paused = 0;

    for (i = 0; i < ctl->nguards; i++) {
        paused += ctl->guards[i].paused;
    }

    rush_stat_set(ctl->daemon, paused_backlog, paused);

    return RUSH_OK;
}


int
rush_guard_paused(rush_controller_t *ctl, int64_t id)
{
    rush_guard_t  *guard;

    guard = rush_guard_find(ctl, id);

    return guard != NULL && guard->paused;
}


static int
rush_guard_clock(rush_controller_t *ctl)
{
    int64_t       skew;
    unsigned      bad;
    rush_conf_t  *conf;

    conf = &ctl->daemon->conf;
    skew = rush_guard_skew(ctl);

    if (skew < 0) {
        return RUSH_ERROR;
    }

    rush_stat_set(ctl->daemon, clock_skew, skew);

    bad = skew > conf->clock_pause
          || (ctl->clock_bad && skew > conf->clock_alarm);

    if (bad != ctl->clock_bad) {
        ctl->clock_bad = bad & 1;
        rush_log(RUSH_LOG_WARN, "clocks: %lld ms apart, sales %s",
                 (long long) skew, bad ? "are paused" : "go on");
    }

    if (skew <= conf->clock_alarm) {
        ctl->clock_told = 0;
        return RUSH_OK;
    }

    if (ctl->clock_told) {
        return RUSH_OK;
    }

    ctl->clock_told = 1;

    return rush_alarm(ctl->daemon, ctl->db, "clock", 0, "clocks of redis, "
                      "mysql and this host are %lld ms apart",
                      (long long) skew) == RUSH_OK ? RUSH_OK : RUSH_ERROR;
}


/* the greatest difference of two of the three clocks, in ms; how long the
 * questions took is not held against them.  -1: a connection was lost */

static int64_t
rush_guard_skew(rush_controller_t *ctl)
{
    int64_t      own, redis, mysql, took, least, most;
    redisReply  *reply;
    rush_rows_t  rows;

    memset(&rows, 0, sizeof(rush_rows_t));
    own = rush_now();

    reply = rush_redis_words(ctl->rd, "TIME", NULL);

    if (!rush_reply_ok(reply, "time") || reply->type != REDIS_REPLY_ARRAY
        || reply->elements != 2)
    {
        freeReplyObject(reply);
        return -1;
    }

    redis = rush_reply_int(reply->element[0], 0) * 1000
            + rush_reply_int(reply->element[1], 0) / 1000;
    freeReplyObject(reply);

    if (rush_ctl_run(ctl, NOW, NULL, 0, &rows) != RUSH_OK || rows.n != 1) {
        rush_rows_free(&rows);
        return -1;
    }

    mysql = rush_cell_int(&rows, 0, 0);
    rush_rows_free(&rows);

    took = rush_now() - own;
    least = own < redis ? own : redis;
    least = least < mysql ? least : mysql;
    most = own > redis ? own : redis;
    most = most > mysql ? most : mysql;

    most = most - least - (took > 0 ? took : 0);

    return most > 0 ? most : 0;
}


static int
rush_guard_backlog(rush_controller_t *ctl, size_t i)
{
    int64_t        n, limit;
    rush_meta_t   *meta;
    rush_wish_t   *wish;
    rush_guard_t  *guard;
    rush_queue_t   queue;

    wish = &ctl->wishes[i];
    meta = &ctl->metas[i];

    guard = rush_guard_find(ctl, wish->id);

    if (guard == NULL) {

        /* a pause that nobody asked for is one of the last controller */

        guard = rush_guard_add(ctl, wish->id,
                               wish->status == 1
                               && wish->rev == wish->applied_rev
                               && strcmp(meta->state, "paused") == 0);
        if (guard == NULL) {
            return RUSH_ERROR;
        }
    }

    if (rush_queue_read(ctl, wish->id, &queue) != RUSH_OK) {
        return RUSH_ERROR;
    }

    n = queue.lag + queue.pending;
    limit = ctl->daemon->conf.max_backlog;

    if (n < limit / 2) {
        guard->paused = 0;
        guard->told = 0;
        return RUSH_OK;
    }

    if (n > limit) {
        guard->paused = 1;
    }

    if (guard->told) {
        return RUSH_OK;
    }

    guard->told = 1;

    return rush_alarm(ctl->daemon, ctl->db, "backlog", wish->id, "%lld "
                      "entries are not stored yet, the sale pauses at %lld",
                      (long long) n, (long long) limit) == RUSH_OK
           ? RUSH_OK : RUSH_ERROR;
}


/* workers refuse more of them by themselves (seckill_order_backlog) */

static int
rush_guard_orders(rush_controller_t *ctl)
{
    int64_t       n, limit;
    rush_queue_t  queue;

    if (rush_queue_key(ctl, RUSH_ORDERS_KEY, &queue) != RUSH_OK) {
        return RUSH_ERROR;
    }

    n = queue.lag + queue.pending;
    limit = ctl->daemon->conf.order_backlog;

    if (n <= limit / 2) {
        ctl->orders_told = 0;
    }

    if (n <= limit || ctl->orders_told) {
        return RUSH_OK;
    }

    ctl->orders_told = 1;

    return rush_alarm(ctl->daemon, ctl->db, "backlog", 0, "%lld ordinary "
                      "orders are not stored yet", (long long) n)
           == RUSH_OK ? RUSH_OK : RUSH_ERROR;
}


static rush_guard_t *
rush_guard_find(rush_controller_t *ctl, int64_t id)
{
    size_t  i;

    for (i = 0; i < ctl->nguards; i++) {
        if (ctl->guards[i].id == id) {
            return &ctl->guards[i];
        }
    }

    return NULL;
}


static rush_guard_t *
rush_guard_add(rush_controller_t *ctl, int64_t id, int paused)
{
    rush_guard_t  *guards;

    guards = realloc(ctl->guards,
                     (ctl->nguards + 1) * sizeof(rush_guard_t));
    if (guards == NULL) {
        rush_log(RUSH_LOG_ERROR, "guard: no memory");
        return NULL;
    }

    ctl->guards = guards;
    guards += ctl->nguards++;

    memset(guards, 0, sizeof(rush_guard_t));
    guards->id = id;
    guards->paused = paused != 0;

    return guards;
}


int
rush_queue_read(rush_controller_t *ctl, int64_t id, rush_queue_t *queue)
{
    char  key[RUSH_KEY_LEN];

    (void) rush_key(key, id, 's');

    return rush_queue_key(ctl, key, queue);
}


int
rush_queue_key(rush_controller_t *ctl, const char *key, rush_queue_t *queue)
{
    size_t        i;
    redisReply   *reply;

    memset(queue, 0, sizeof(rush_queue_t));

    rush_arg_text(&ctl->args, "XINFO");
    rush_arg_text(&ctl->args, "GROUPS");
    rush_arg_text(&ctl->args, key);

    reply = rush_redis_call(ctl->rd, &ctl->args);

    if (rush_reply_is(reply, "ERR no such key")) {
        freeReplyObject(reply);
        return RUSH_OK;
    }

    if (!rush_reply_ok(reply, "xinfo") || reply->type != REDIS_REPLY_ARRAY) {
        freeReplyObject(reply);
        return RUSH_ERROR;
    }

    for (i = 0; i < reply->elements; i++) {
        rush_queue_group(reply->element[i], queue);
    }

    freeReplyObject(reply);

    if (!queue->exists) {
        return RUSH_OK;
    }

    if (queue->lag < 0 && rush_queue_lag(ctl, key, queue) != RUSH_OK) {
        return RUSH_ERROR;
    }

    /* asked after the last delivered entry: what is delivered in between is
     * above it */

    return queue->pending ? rush_queue_oldest(ctl, key, queue) : RUSH_OK;
}


static void
rush_queue_group(const redisReply *group, rush_queue_t *queue)
{
    size_t             i;
    const char        *name;
    const redisReply  *v;

    if (group->type != REDIS_REPLY_ARRAY || group->elements < 2
        || group->element[1]->type != REDIS_REPLY_STRING
        || strcmp(group->element[1]->str, RUSH_GROUP) != 0)
    {
        return;
    }

    queue->exists = 1;
    queue->lag = -1;

    for (i = 2; i + 1 < group->elements; i += 2) {
        name = group->element[i]->str;
        v = group->element[i + 1];

        if (strcmp(name, "pending") == 0) {
            queue->pending = rush_reply_int(v, 0);

        } else if (strcmp(name, "lag") == 0) {
            queue->lag = rush_reply_int(v, -1);

        } else if (strcmp(name, "last-delivered-id") == 0) {
            snprintf(queue->delivered, sizeof(queue->delivered), "%s",
                     v->type == REDIS_REPLY_STRING ? v->str : "");
        }
    }
}


/* Redis does not know the lag of a group that was made in the middle */

static int
rush_queue_lag(rush_controller_t *ctl, const char *key, rush_queue_t *queue)
{
    char          start[52];
    redisReply   *reply;
    rush_args_t  *a;

    a = &ctl->args;
    snprintf(start, sizeof(start), "(%s", queue->delivered);

    rush_arg_text(a, "XRANGE");
    rush_arg_text(a, key);
    rush_arg_text(a, start);
    rush_arg_text(a, "+");
    rush_arg_text(a, "COUNT");
    rush_arg_int(a, RUSH_GUARD_COUNT);

    reply = rush_redis_call(ctl->rd, a);

    if (!rush_reply_ok(reply, "xrange") || reply->type != REDIS_REPLY_ARRAY) {
        freeReplyObject(reply);
        return RUSH_ERROR;
    }

    queue->lag = (int64_t) reply->elements;
    freeReplyObject(reply);

    return RUSH_OK;
}


static int
rush_queue_oldest(rush_controller_t *ctl, const char *key,
    rush_queue_t *queue)
{
    redisReply  *reply;

    rush_arg_text(&ctl->args, "XPENDING");
    rush_arg_text(&ctl->args, key);
    rush_arg_text(&ctl->args, RUSH_GROUP);

    reply = rush_redis_call(ctl->rd, &ctl->args);

    if (!rush_reply_ok(reply, "xpending") || reply->type != REDIS_REPLY_ARRAY
        || reply->elements != 4)
    {
        freeReplyObject(reply);
        return RUSH_ERROR;
    }

    queue->pending = rush_reply_int(reply->element[0], 0);

    if (reply->element[1]->type == REDIS_REPLY_STRING) {
        snprintf(queue->oldest, sizeof(queue->oldest), "%s",
                 reply->element[1]->str);
    }

    freeReplyObject(reply);

    return RUSH_OK;
}
