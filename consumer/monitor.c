
/*
 * Copyright (C) Rush
 *
 * Gauges of /metrics, measured once a second on connections of their own, so
 * that a scrape is answered from memory and a stuck writer is seen.
 */


#include "rush_order.h"
#include "store.h"
#include "consumer_sql.h"


#define RUSH_MONITOR_PAUSE  1000        /* ms */


static int rush_monitor_mysql(rush_store_t *s);
static void rush_monitor_redis(rush_store_t *s, int alive);
static int rush_monitor_beat(rush_store_t *s);
static int rush_monitor_stream(rush_store_t *s, const char *key,
    int64_t *lag, int64_t *pending);


int
rush_monitor_run(rush_daemon_t *d)
{
    int            rc;
    rush_db_t     *db;
    rush_redis_t  *rd;
    rush_store_t  *s;

    rd = rush_redis_create(d, "monitor");
    db = rush_db_create(d, "monitor");
    s = (rd && db) ? rush_store_create(d, rd, db, "monitor") : NULL;

    while (s != NULL && !rush_stopping(d)) {
        rush_monitor_redis(s, rush_monitor_mysql(s));

        (void) rush_wait(d, RUSH_MONITOR_PAUSE);
    }

    rc = s == NULL ? RUSH_ERROR : RUSH_OK;

    rush_store_destroy(s);
    rush_db_destroy(db);
    rush_redis_destroy(rd);

    return rc;
}


static int
rush_monitor_mysql(rush_store_t *s)
{
    int          up;
    rush_rows_t  rows;

    memset(&rows, 0, sizeof(rush_rows_t));

    up = rush_db_ready(s->db) == RUSH_OK
         && rush_activity_warm(s) == RUSH_OK
         && rush_db_run(s->db, &rush_sql[RUSH_SQL_DEAD_OPEN], NULL, 0, &rows)
            == RUSH_OK;

    if (up && rows.n == 1) {
        rush_stat_set(s->daemon, dead_open, rush_cell_int(&rows, 0, 0));
    }

    rush_rows_free(&rows);
    rush_stat_set(s->daemon, mysql_up, up);

    return up;
}


static void
rush_monitor_redis(rush_store_t *s, int alive)
{
    int          up;
    char         key[RUSH_KEY_LEN];
    size_t       i;
    int64_t      lag, pending, streams, orders, held;
    redisReply  *reply;

    lag = 0;
    pending = 0;
    streams = 0;
    orders = 0;
    held = 0;
    up = rush_redis_ready(s->rd) == RUSH_OK;

    if (up) {
        reply = rush_redis_words(s->rd, "PING", NULL);
        up = reply != NULL && reply->type == REDIS_REPLY_STATUS;
        freeReplyObject(reply);
    }

    if (up && alive) {
        up = rush_monitor_beat(s) == RUSH_OK;
    }

    for (i = 0; up && i < s->nactivities; i++) {

        if (s->activities[i]->warm) {
            streams++;
            (void) rush_key(key, s->activities[i]->id, 's');
            up = rush_monitor_stream(s, key, &lag, &pending) == RUSH_OK;
        }
    }

    if (up) {
        up = rush_monitor_stream(s, RUSH_ORDERS_KEY, &orders, &held)
             == RUSH_OK;
    }

    rush_stat_set(s->daemon, redis_up, up);

    if (up) {
        rush_stat_set(s->daemon, lag, lag);
        rush_stat_set(s->daemon, pending, pending);
        rush_stat_set(s->daemon, streams, streams);
        rush_stat_set(s->daemon, ordinary_lag, orders);
        rush_stat_set(s->daemon, ordinary_pending, held);
    }
}


/*
 * The sign of life that /ready of every nginx node looks at: some consumer
 * reaches both backends.
 */

static int
rush_monitor_beat(rush_store_t *s)
{
    int          rc;
    char         now[24];
    redisReply  *reply;

    snprintf(now, sizeof(now), "%lld", (long long) rush_now());

    reply = rush_redis_words(s->rd, "SET", RUSH_BEAT_KEY, now, NULL);
    rc = reply != NULL && reply->type == REDIS_REPLY_STATUS ? RUSH_OK
                                                            : RUSH_ERROR;
    freeReplyObject(reply);

    return rc;
}


/* RUSH_ERROR: the connection was lost */

static int
rush_monitor_stream(rush_store_t *s, const char *key, int64_t *lag,
    int64_t *pending)
{
    size_t             i;
    redisReply        *reply;
    const redisReply  *name;

    rush_arg_text(&s->args, "XINFO");
    rush_arg_text(&s->args, "GROUPS");
    rush_arg_text(&s->args, key);

    reply = rush_redis_call(s->rd, &s->args);
    if (reply == NULL) {
        return RUSH_ERROR;
    }

    /* an error reply is "no such key": nothing has been there yet */

    for (i = 0; reply->type == REDIS_REPLY_ARRAY && i < reply->elements; i++)
    {
        name = rush_reply_find(reply->element[i], "name");

        if (name != NULL && strcmp(name->str, RUSH_GROUP) == 0) {
            *lag += rush_reply_int(rush_reply_find(reply->element[i], "lag"),
                                   0);
            *pending += rush_reply_int(rush_reply_find(reply->element[i],
                                                       "pending"),
                                       0);
        }
    }

    freeReplyObject(reply);

    return RUSH_OK;
}
