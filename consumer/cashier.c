
/*
 * Copyright (C) Rush
 *
 * The thread: notices come from Redis, in the order of the stream, and each
 * is acknowledged after the COMMIT that has it.
 */


#include <stdlib.h>

#include "cashier.h"


#define RUSH_CASHIER_POLL  20           /* ms, while a server is away */
#define RUSH_CASHIER_HELD  1000000      /* us, until it is tried again */


static int rush_cashier_turn(rush_cashier_t *ca);
static int rush_cashier_join(rush_cashier_t *ca);
static int rush_cashier_own(rush_cashier_t *ca);
static int rush_cashier_read(rush_cashier_t *ca, char *id, int64_t block,
    size_t *n);
static int rush_cashier_take(rush_cashier_t *ca, const redisReply *entries,
    char *id);
static int rush_cashier_ack(rush_cashier_t *ca, const char *id);
static int rush_cashier_claim(rush_cashier_t *ca);
static int rush_cashier_trim(rush_cashier_t *ca);
static int rush_cashier_edge(rush_cashier_t *ca, char *id);


int
rush_cashier_run(rush_daemon_t *d)
{
    int              rc;
    rush_cashier_t  *ca;

    ca = calloc(1, sizeof(rush_cashier_t));
    if (ca == NULL) {
        rush_log(RUSH_LOG_ERROR, "no memory for the cashier");
        return RUSH_ERROR;
    }

    ca->daemon = d;
    ca->rd = rush_redis_create(d, "cashier");
    ca->db = rush_db_create(d, "cashier");
    ca->inbox = (rush_inbox_t) { d, ca->rd, &ca->args, RUSH_NOTICE_KEY,
                                 RUSH_CASHIER_POLL, 0 };
    ca->store.daemon = d;
    ca->store.db = ca->db;

    rc = (ca->rd != NULL && ca->db != NULL) ? RUSH_OK : RUSH_ERROR;

    while (rc == RUSH_OK && !rush_stopping(d)) {

        if (rush_cashier_turn(ca) != RUSH_OK) {
            ca->own = 1;
            ca->next_own = 0;
            (void) rush_wait(d, RUSH_CASHIER_POLL);
        }
    }

    rush_redis_destroy(ca->rd);
    rush_db_destroy(ca->db);
    rush_args_free(&ca->args);
    rush_buf_free(&ca->json);
    free(ca);

    return rc;
}


/* MySQL first: what is read while it is away would only be held up */

static int
rush_cashier_turn(rush_cashier_t *ca)
{
    char            id[RUSH_ID_LEN];
    size_t          n;
    int64_t         now;
    rush_daemon_t  *d;

    d = ca->daemon;

    if (rush_db_ready(ca->db) != RUSH_OK) {
        return RUSH_ERROR;
    }

    now = rush_mono();

    if (now >= ca->next_sweep) {
        ca->next_sweep = now + d->conf.cashier.sweep * 1000;

        if (rush_cashier_sweep(ca) != RUSH_OK) {
            return RUSH_ERROR;
        }
    }

    if (rush_redis_ready(ca->rd) != RUSH_OK) {
        return RUSH_ERROR;
    }

    if (ca->inbox.generation != rush_redis_generation(ca->rd)
        && rush_cashier_join(ca) != RUSH_OK)
    {
        return RUSH_ERROR;
    }

    if (ca->own && now >= ca->next_own && rush_cashier_own(ca) != RUSH_OK) {
        return RUSH_ERROR;
    }

    if (now >= ca->next_claim) {
        ca->next_claim = now + d->conf.claim_interval * 1000;

        if (rush_cashier_claim(ca) != RUSH_OK
            || rush_cashier_trim(ca) != RUSH_OK)
        {
            return RUSH_ERROR;
        }
    }

    rush_id_copy(id, ">");

    return rush_cashier_read(ca, id, d->conf.block, &n);
}


/* what was given to this name before, from the oldest to the last; one that
 * is locked now, again and again, holds up nobody and is tried later */

static int
rush_cashier_own(rush_cashier_t *ca)
{
    char    id[RUSH_ID_LEN];
    size_t  n;

    ca->held = 0;
    rush_id_copy(id, "0");

    do {
        if (rush_stopping(ca->daemon)) {
            return RUSH_OK;
        }

        if (rush_cashier_read(ca, id, 0, &n) != RUSH_OK) {
            return RUSH_ERROR;
        }

    } while (n > 0);

    ca->own = ca->held;
    ca->next_own = rush_mono() + RUSH_CASHIER_HELD;

    return RUSH_OK;
}


static int
rush_cashier_join(rush_cashier_t *ca)
{
    if (rush_inbox_join(&ca->inbox) != RUSH_OK) {
        return RUSH_ERROR;
    }

    ca->inbox.generation = rush_redis_generation(ca->rd);
    ca->own = 1;
    ca->next_own = 0;

    return RUSH_OK;
}


/* after "id", which becomes that of the last entry; *n entries came */

static int
rush_cashier_read(rush_cashier_t *ca, char *id, int64_t block, size_t *n)
{
    int                rc;
    redisReply        *reply;
    const redisReply  *entries;

    *n = 0;

    rc = rush_inbox_read(&ca->inbox, RUSH_CASHIER_READ, block, 0, id, &reply,
                         &entries);

    if (rc != RUSH_OK) {
        return RUSH_ERROR;
    }

    if (entries != NULL) {
        *n = entries->elements;

        if (*n > 0 && RUSH_FP("K1")) {
            rush_redis_close(ca->rd);
            rc = RUSH_ERROR;

        } else {
            rc = rush_cashier_take(ca, entries, id);
        }
    }

    freeReplyObject(reply);

    return rc;
}


static int
rush_cashier_take(rush_cashier_t *ca, const redisReply *entries, char *id)
{
    int                rc;
    size_t             i;
    const redisReply  *entry;

    for (i = 0; i < entries->elements; i++) {
        entry = entries->element[i];

        if (entry->type != REDIS_REPLY_ARRAY || entry->elements != 2
            || entry->element[0]->type != REDIS_REPLY_STRING
            || (size_t) entry->element[0]->len >= RUSH_ID_LEN)
        {
            rush_log(RUSH_LOG_ERROR, "cashier: malformed entry");
            rush_redis_close(ca->rd);
            return RUSH_ERROR;
        }

        rush_id_copy(id, entry->element[0]->str);
        rc = rush_cashier_entry(ca, entry);

        if (rc == RUSH_DB_RETRY) {
            rush_log(RUSH_LOG_WARN, "cashier: notice %s has to wait", id);
            ca->held = 1;
            ca->own = 1;
            continue;
        }

        if (rc == RUSH_OK && RUSH_FP("K6")) {
            rush_redis_close(ca->rd);
            rc = RUSH_ERROR;
        }

        if (rc == RUSH_OK) {
            rc = rush_cashier_ack(ca, entry->element[0]->str);
        }

        if (rc != RUSH_OK) {
            return RUSH_ERROR;
        }
    }

    return RUSH_OK;
}


static int
rush_cashier_ack(rush_cashier_t *ca, const char *id)
{
    int          rc;
    redisReply  *reply;

    rush_arg_text(&ca->args, "XACK");
    rush_arg_text(&ca->args, RUSH_NOTICE_KEY);
    rush_arg_text(&ca->args, RUSH_GROUP);
    rush_arg_text(&ca->args, id);

    reply = rush_redis_call(ca->rd, &ca->args);
    rc = rush_reply_ok(reply, "xack") ? RUSH_OK : RUSH_ERROR;
    freeReplyObject(reply);

    if (rc == RUSH_OK && RUSH_FP("K7")) {
        rush_redis_close(ca->rd);
        rc = RUSH_ERROR;
    }

    return rc;
}


/* of those who are gone */

static int
rush_cashier_claim(rush_cashier_t *ca)
{
    int           rc;
    char          id[RUSH_ID_LEN];
    size_t        i;
    redisReply   *reply, *deleted;
    rush_args_t  *a;

    a = &ca->args;

    rush_arg_text(a, "XAUTOCLAIM");
    rush_arg_text(a, RUSH_NOTICE_KEY);
    rush_arg_text(a, RUSH_GROUP);
    rush_arg_text(a, ca->daemon->conf.name);
    rush_arg_int(a, ca->daemon->conf.claim_idle);
    rush_arg_text(a, "0-0");
    rush_arg_text(a, "COUNT");
    rush_arg_int(a, RUSH_CASHIER_READ);

    reply = rush_redis_call(ca->rd, a);

    if (rush_reply_is(reply, "NOGROUP")) {
        ca->inbox.generation = 0;
    }

    if (!rush_reply_ok(reply, "xautoclaim")
        || reply->type != REDIS_REPLY_ARRAY || reply->elements < 2
        || reply->element[1]->type != REDIS_REPLY_ARRAY)
    {
        freeReplyObject(reply);
        return RUSH_ERROR;
    }

    rush_stat_add(ca->daemon, claimed, reply->element[1]->elements);
    rc = rush_cashier_take(ca, reply->element[1], id);

    /* Redis 7 has dropped these from the pending list by itself */

    deleted = reply->elements > 2 ? reply->element[2] : NULL;

    for (i = 0; rc == RUSH_OK && deleted != NULL && i < deleted->elements;
         i++)
    {
        rc = rush_cashier_lost(ca, deleted->element[i]->str);
    }

    freeReplyObject(reply);

    return rc == RUSH_OK ? RUSH_OK : RUSH_ERROR;
}


/* all that is stored goes: MySQL has it, and what it could lose the provider
 * is asked about.  Exactly what lies before the first entry that is not */

static int
rush_cashier_trim(rush_cashier_t *ca)
{
    int           rc;
    char          id[RUSH_ID_LEN];
    redisReply   *reply;
    rush_args_t  *a;

    rc = rush_cashier_edge(ca, id);

    if (rc != RUSH_OK || id[0] == '\0') {
        return rc;
    }

    a = &ca->args;

    rush_arg_text(a, "XTRIM");
    rush_arg_text(a, RUSH_NOTICE_KEY);
    rush_arg_text(a, "MINID");
    rush_arg_text(a, id);

    reply = rush_redis_call(ca->rd, a);
    rc = rush_reply_ok(reply, "xtrim") ? RUSH_OK : RUSH_ERROR;
    freeReplyObject(reply);

    return rc;
}


/* the oldest pending entry, or the last delivered one when none is: read in
 * this order, since what is delivered in between is younger.  "": nothing was
 * delivered */

static int
rush_cashier_edge(rush_cashier_t *ca, char *id)
{
    size_t             i;
    redisReply        *reply;
    const redisReply  *name, *last;

    id[0] = '\0';

    reply = rush_redis_words(ca->rd, "XINFO", "GROUPS", RUSH_NOTICE_KEY,
                             NULL);

    if (!rush_reply_ok(reply, "xinfo") || reply->type != REDIS_REPLY_ARRAY) {
        freeReplyObject(reply);
        return RUSH_ERROR;
    }

    for (i = 0; i < reply->elements; i++) {
        name = rush_reply_find(reply->element[i], "name");
        last = rush_reply_find(reply->element[i], "last-delivered-id");

        if (name != NULL && strcmp(name->str, RUSH_GROUP) == 0
            && last != NULL && last->type == REDIS_REPLY_STRING
            && (size_t) last->len < RUSH_ID_LEN)
        {
            rush_id_copy(id, last->str);
        }
    }

    freeReplyObject(reply);

    if (id[0] == '\0') {
        return RUSH_OK;
    }

    reply = rush_redis_words(ca->rd, "XPENDING", RUSH_NOTICE_KEY, RUSH_GROUP,
                             NULL);

    if (!rush_reply_ok(reply, "xpending") || reply->type != REDIS_REPLY_ARRAY
        || reply->elements < 2)
    {
        freeReplyObject(reply);
        return RUSH_ERROR;
    }

    last = reply->element[1];

    if (last->type == REDIS_REPLY_STRING && (size_t) last->len < RUSH_ID_LEN
        && rush_id_cmp(last->str, (size_t) last->len, id, strlen(id)) < 0)
    {
        rush_id_copy(id, last->str);
    }

    freeReplyObject(reply);

    return RUSH_OK;
}
