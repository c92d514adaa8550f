
/*
 * Copyright (C) Rush
 *
 * Entries of a reply into batches, batches into the store, then XACK.
 */


#include "rush_id.h"
#include "store.h"


static int rush_entry_take(rush_store_t *s, rush_activity_t *a,
    const redisReply *entry);
static int rush_entry_aside(rush_store_t *s, rush_activity_t *a,
    const redisReply *entry, const rush_str_t *id, const char *cause);
static int rush_entry_ack(rush_store_t *s);


/* [[id, fields], ...] of one activity goes into the batch, which is written
 * each time it is full */

int
rush_stream_entries(rush_store_t *s, rush_activity_t *a,
    const redisReply *entries)
{
    size_t  i;

    for (i = 0; i < entries->elements; i++) {

        if (s->nrows >= (size_t) s->daemon->conf.batch) {

            if (rush_stream_commit(s) != RUSH_OK) {
                return RUSH_ERROR;
            }

            rush_store_reset(s);
        }

        if (rush_entry_take(s, a, entries->element[i]) != RUSH_OK) {
            return RUSH_ERROR;
        }
    }

    return RUSH_OK;
}


static int
rush_entry_take(rush_store_t *s, rush_activity_t *a,
    const redisReply *entry)
{
    rush_str_t   id;
    const char  *cause;

    if (entry->type == REDIS_REPLY_NIL) {

        /* Redis 6 claims what was deleted and does not even tell its id */

        return RUSH_OK;
    }

    if (entry->type != REDIS_REPLY_ARRAY || entry->elements != 2
        || entry->element[0]->type != REDIS_REPLY_STRING)
    {
        rush_log(RUSH_LOG_ERROR, "redis: malformed stream entry");
        return RUSH_ERROR;
    }

    id.data = (unsigned char *) entry->element[0]->str;
    id.len = (size_t) entry->element[0]->len;

    if (rush_store_item(s, a, &id) != RUSH_OK) {
        return RUSH_ERROR;
    }

    if (entry->element[1]->type == REDIS_REPLY_NIL) {
        return rush_stream_lost(s, a, &id);
    }

    if (rush_entry_read(s, a, entry, &cause) != RUSH_OK) {
        return rush_entry_aside(s, a, entry, &id, cause);
    }

    return rush_store_rows(s, a, &s->entry, -1);
}


/* an order number names its activity, or the order could not be found */

int
rush_entry_read(rush_store_t *s, const rush_activity_t *a,
    const redisReply *entry, const char **cause)
{
    size_t   i;
    int64_t  id, activity;

    if (rush_entry_parse(entry, &s->entry, cause) != RUSH_OK) {
        return RUSH_ERROR;
    }

    for (i = 0; i < s->entry.count; i++) {

        if (rush_order_no_parse(s->entry.grants[i].order_no.data,
                                s->entry.grants[i].order_no.len,
                                &id, &activity)
            != RUSH_OK
            || activity != a->id)
        {
            *cause = "order number of another activity";
            return RUSH_ERROR;
        }
    }

    return RUSH_OK;
}


/* MySQL may be away: then it is tried until the daemon stops */

static int
rush_entry_aside(rush_store_t *s, rush_activity_t *a,
    const redisReply *entry, const rush_str_t *id, const char *cause)
{
    int  rc;

    for ( ;; ) {
        rc = rush_store_ready(s);

        if (rc == RUSH_OK
            && rush_dead_entry(s, a->id, id, entry->element[1], cause)
               == RUSH_OK)
        {
            return RUSH_OK;
        }

        if (rc == RUSH_ERROR || rush_wait(s->daemon, 100)) {
            return RUSH_ERROR;
        }
    }
}


/* trimmed or deleted before it was stored: an order may be missing, which
 * reconcile puts right from the users hash */

int
rush_stream_lost(rush_store_t *s, rush_activity_t *a, const rush_str_t *id)
{
    int  rc;

    rush_stat_add(s->daemon, entries_lost, 1);

    for ( ;; ) {
        rc = rush_store_ready(s);

        if (rc == RUSH_OK
            && rush_alarm(s->daemon, s->db, "entry_lost", a->id,
                          "entry %.*s was pending and has no body",
                          (int) id->len, id->data)
               == RUSH_OK)
        {
            return RUSH_OK;
        }

        if (rc == RUSH_ERROR || rush_wait(s->daemon, 100)) {
            return RUSH_ERROR;
        }
    }
}


/* stores the batch, then acknowledges it */

int
rush_stream_commit(rush_store_t *s)
{
    if (s->nitems == 0) {
        return RUSH_OK;
    }

    if (rush_store_flush(s) != RUSH_OK) {
        return RUSH_ERROR;
    }

    if (s->no_position) {
        return RUSH_OK;
    }

    s->grants = (s->grants * 7 + s->nrows * 16 / s->nitems) / 8;

    if (RUSH_FP("D7")) {
        rush_redis_close(s->rd);
        return RUSH_ERROR;
    }

    return rush_entry_ack(s);
}


/* pipelined: one XACK for each run of entries of one activity */

static int
rush_entry_ack(rush_store_t *s)
{
    size_t            i, k, n;
    redisReply       *reply;
    rush_activity_t  *a;

    n = 0;

    for (i = 0; i < s->nitems; i = k) {
        a = s->items[i].activity;

        for (k = i + 1; k < s->nitems && s->items[k].activity == a; k++) {
            /* void */
        }

        rush_arg_text(&s->args, "XACK");
        rush_arg_key(&s->args, a->id, 's');
        rush_arg_text(&s->args, RUSH_GROUP);

        while (i < k) {
            rush_arg_str(&s->args, &s->items[i++].id);
        }

        if (rush_redis_push(s->rd, &s->args) != RUSH_OK) {
            return RUSH_ERROR;
        }

        n++;
    }

    while (n-- > 0) {
        reply = rush_redis_pull(s->rd);

        if (!rush_reply_ok(reply, "xack")) {
            freeReplyObject(reply);

            /* the next connection begins with what is still pending */

            rush_redis_close(s->rd);
            return RUSH_ERROR;
        }

        freeReplyObject(reply);
    }

    if (RUSH_FP("D8")) {
        rush_redis_close(s->rd);
        return RUSH_ERROR;
    }

    return RUSH_OK;
}
