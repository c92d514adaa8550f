
/*
 * Copyright (C) Rush
 *
 * The courier's side of the stream: entries come, are kept, taken over from
 * those who are gone, acknowledged.
 */


#include <stdlib.h>

#include "courier.h"


static int rush_courier_take(rush_courier_t *co, const redisReply *entries);
static void rush_courier_entry(rush_courier_t *co, const redisReply *entry);


/* the group, and what was given to this name before */

int
rush_courier_join(rush_courier_t *co)
{
    return rush_inbox_join(&co->inbox) == RUSH_OK
           ? rush_courier_read(co, "0", 0) : RUSH_ERROR;
}


int
rush_courier_read(rush_courier_t *co, const char *from, int64_t block)
{
    int                rc;
    redisReply        *reply;
    const redisReply  *entries;

    if (rush_inbox_read(&co->inbox, rush_courier_count(co, RUSH_MESSAGE_FREE),
                        block, 0, from, &reply, &entries)
        != RUSH_OK)
    {
        return RUSH_ERROR;
    }

    rc = entries != NULL ? rush_courier_take(co, entries) : RUSH_OK;
    freeReplyObject(reply);

    return rc;
}


static int
rush_courier_take(rush_courier_t *co, const redisReply *entries)
{
    size_t             i;
    const redisReply  *entry;

    for (i = 0; i < entries->elements; i++) {
        entry = entries->element[i];

        if (entry->type != REDIS_REPLY_ARRAY || entry->elements != 2
            || entry->element[0]->type != REDIS_REPLY_STRING
            || (size_t) entry->element[0]->len >= RUSH_ID_LEN)
        {
            rush_log(RUSH_LOG_ERROR, "courier: malformed entry");
            return RUSH_ERROR;
        }

        if (rush_courier_find(co, entry->element[0]->str) == NULL) {
            rush_courier_entry(co, entry);
        }
    }

    return RUSH_OK;
}


/* what this key cannot open nobody ever will: it is told and dropped */

static void
rush_courier_entry(rush_courier_t *co, const redisReply *entry)
{
    const char        *id;
    rush_message_t    *m;
    const redisReply  *kind, *sealed;

    m = rush_courier_find(co, NULL);

    if (m == NULL) {
        return;                         /* it stays pending until claimed */
    }

    id = entry->element[0]->str;
    kind = rush_reply_find(entry->element[1], "k");
    sealed = rush_reply_find(entry->element[1], "m");

    if (entry->element[1]->type == REDIS_REPLY_NIL) {
        /* trimmed while it was pending: an hour old */
        memset(m, 0, sizeof(rush_message_t));
        rush_id_copy(m->id, id);
        rush_stat_add(co->daemon, messages_expired, 1);
        m->state = RUSH_MESSAGE_OVER;
        return;
    }

    if (kind == NULL || sealed == NULL || strcmp(kind->str, "code") != 0
        || rush_message_open(co, m, id, sealed->str, (size_t) sealed->len)
           != RUSH_OK)
    {
        rush_log(RUSH_LOG_ERROR, "courier: message %s cannot be opened: is "
                 "seal_key that of nginx?", id);
        rush_id_copy(m->id, id);
        rush_stat_add(co->daemon, messages_failed, 1);
        m->state = RUSH_MESSAGE_OVER;
    }
}


/* of those who are gone */

int
rush_courier_claim(rush_courier_t *co)
{
    int           rc;
    size_t        i, n;
    redisReply   *reply;
    rush_args_t  *a;

    n = rush_courier_count(co, RUSH_MESSAGE_FREE);

    if (n == 0) {
        return RUSH_OK;
    }

    a = &co->args;

    rush_arg_text(a, "XAUTOCLAIM");
    rush_arg_text(a, RUSH_OUT_KEY);
    rush_arg_text(a, RUSH_GROUP);
    rush_arg_text(a, co->daemon->conf.name);
    rush_arg_int(a, co->daemon->conf.claim_idle);
    rush_arg_text(a, "0-0");
    rush_arg_text(a, "COUNT");
    rush_arg_int(a, (int64_t) n);

    reply = rush_redis_call(co->rd, a);

    if (rush_reply_is(reply, "NOGROUP")) {
        freeReplyObject(reply);
        co->inbox.generation = 0;
        return RUSH_ERROR;
    }

    rc = RUSH_ERROR;

    if (rush_reply_ok(reply, "xautoclaim")
        && reply->type == REDIS_REPLY_ARRAY && reply->elements >= 2
        && reply->element[1]->type == REDIS_REPLY_ARRAY)
    {
        rc = rush_courier_take(co, reply->element[1]);

        /* Redis 7 tells which were trimmed and drops them by itself */

        for (i = 0; reply->elements > 2 && i < reply->element[2]->elements;
             i++)
        {
            rush_stat_add(co->daemon, messages_expired, 1);
        }
    }

    freeReplyObject(reply);

    return rc;
}


/* to claim one's own again makes it young; those that are not in the answer
 * have been handed over by somebody else */

int
rush_courier_keep(rush_courier_t *co)
{
    size_t           i, n;
    redisReply      *reply;
    rush_args_t     *a;
    rush_message_t  *m;

    a = &co->args;
    n = 0;

    rush_arg_text(a, "XCLAIM");
    rush_arg_text(a, RUSH_OUT_KEY);
    rush_arg_text(a, RUSH_GROUP);
    rush_arg_text(a, co->daemon->conf.name);
    rush_arg_text(a, "0");

    for (i = 0; i < RUSH_MESSAGES; i++) {
        m = &co->messages[i];
        m->ours = 0;

        if (m->state == RUSH_MESSAGE_WAITING
            || m->state == RUSH_MESSAGE_FLYING)
        {
            rush_arg_text(a, m->id);
            n++;
        }
    }

    if (n == 0) {
        rush_buf_reset(&a->buf);
        a->n = 0;
        return RUSH_OK;
    }

    rush_arg_text(a, "JUSTID");

    reply = rush_redis_call(co->rd, a);

    if (!rush_reply_ok(reply, "xclaim") || reply->type != REDIS_REPLY_ARRAY) {
        freeReplyObject(reply);
        return RUSH_ERROR;
    }

    for (i = 0; i < reply->elements; i++) {
        m = rush_courier_find(co, reply->element[i]->str);

        if (m != NULL) {
            m->ours = 1;
        }
    }

    freeReplyObject(reply);

    for (i = 0; i < RUSH_MESSAGES; i++) {
        m = &co->messages[i];

        if (m->state == RUSH_MESSAGE_WAITING && !m->ours) {
            rush_courier_drop(co, m);
        }
    }

    return RUSH_OK;
}


/* acknowledges; what cannot be now is tried again */

int
rush_courier_over(rush_courier_t *co)
{
    size_t           i;
    redisReply      *reply;
    rush_args_t     *a;
    rush_message_t  *m;
    static const char  *words[] = { "XACK", "XDEL" };

    a = &co->args;

    for (i = 0; i < RUSH_MESSAGES; i++) {
        m = &co->messages[i];

        if (m->state != RUSH_MESSAGE_OVER) {
            continue;
        }

        rush_message_wipe(m);

        if (RUSH_FP("M1")) {
            return RUSH_ERROR;
        }

        rush_arg_text(a, words[0]);
        rush_arg_text(a, RUSH_OUT_KEY);
        rush_arg_text(a, RUSH_GROUP);
        rush_arg_text(a, m->id);

        reply = rush_redis_call(co->rd, a);

        if (!rush_reply_ok(reply, "xack")) {
            freeReplyObject(reply);
            return RUSH_ERROR;
        }

        freeReplyObject(reply);
        rush_courier_drop(co, m);

        /* who is killed here leaves an entry that nobody reads; it is
         * trimmed within the hour */

        rush_arg_text(a, words[1]);
        rush_arg_text(a, RUSH_OUT_KEY);
        rush_arg_text(a, m->id);

        reply = rush_redis_call(co->rd, a);

        if (!rush_reply_ok(reply, "xdel")) {
            freeReplyObject(reply);
            return RUSH_ERROR;
        }

        freeReplyObject(reply);
    }

    return RUSH_OK;
}
