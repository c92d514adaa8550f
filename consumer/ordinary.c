
/*
 * Copyright (C) Rush
 *
 * From the stream of ordinary orders into batches, then XACK.  Who is killed
 * anywhere finds his entries still pending; what was stored is found by its
 * order number.
 */


#include <stdlib.h>

#include "ordinary.h"


#define RUSH_ORDINARY_PAUSE      50     /* ms, while MySQL is away: first */
#define RUSH_ORDINARY_MAX_PAUSE  2000
#define RUSH_ORDINARY_RETRY      100    /* ms, after Redis refused */


static void rush_ordinary_turn(rush_ordinary_t *o, int64_t *claim);
static int rush_ordinary_own(rush_ordinary_t *o);
static int rush_ordinary_claim(rush_ordinary_t *o);
static int rush_ordinary_claimed(rush_ordinary_t *o, redisReply *reply);
static int rush_ordinary_next(rush_ordinary_t *o, const char *from,
    int64_t block, size_t *n);
static int rush_ordinary_take(rush_ordinary_t *o, const redisReply *entries);
static int rush_ordinary_commit(rush_ordinary_t *o);
static int rush_ordinary_flush(rush_ordinary_t *o);
static int rush_ordinary_aside(rush_ordinary_t *o, const redisReply *entry,
    const char *cause);


int
rush_ordinary_run(rush_daemon_t *d)
{
    int               rc;
    int64_t           claim;
    rush_db_t        *db;
    rush_redis_t     *rd;
    rush_ordinary_t  *o;

    rd = rush_redis_create(d, "orders");
    db = rush_db_create(d, "orders");
    o = (rd && db) ? rush_ordinary_create(d, rd, db, "orders") : NULL;

    claim = 0;

    while (o != NULL && !rush_stopping(d)) {
        rush_ordinary_turn(o, &claim);
    }

    rc = o == NULL ? RUSH_ERROR : RUSH_OK;

    rush_ordinary_destroy(o);
    rush_db_destroy(db);
    rush_redis_destroy(rd);

    return rc;
}


rush_ordinary_t *
rush_ordinary_create(rush_daemon_t *d, rush_redis_t *rd, rush_db_t *db,
    const char *name)
{
    rush_ordinary_t  *o;

    o = calloc(1, sizeof(rush_ordinary_t));
    if (o == NULL) {
        goto failed;
    }

    o->daemon = d;
    o->rd = rd;
    o->db = db;
    o->pause = RUSH_ORDINARY_PAUSE;
    o->size = (size_t) d->conf.batch;
    o->inbox = (rush_inbox_t) { d, rd, &o->args, RUSH_ORDERS_KEY,
                                RUSH_ORDINARY_RETRY, 0 };

    o->store = rush_store_create(d, rd, db, name);
    o->rows = calloc(o->size, sizeof(rush_ordinary_row_t));
    o->lost = calloc(o->size, sizeof(rush_str_t));
    o->sorted = calloc(o->size, sizeof(rush_ordinary_row_t *));
    o->list = calloc(o->size, sizeof(int64_t));
    o->products = calloc(o->size, sizeof(rush_ordinary_product_t));

    /* a column of text takes two words a row */

    o->memory = calloc(o->size, RUSH_ORDINARY_COLUMNS * 2 * sizeof(int64_t));

    if (o->store != NULL && o->rows != NULL && o->lost != NULL
        && o->sorted != NULL && o->list != NULL && o->products != NULL
        && o->memory != NULL)
    {
        return o;
    }

failed:

    rush_log(RUSH_LOG_ERROR, "no memory for ordinary orders");
    rush_ordinary_destroy(o);

    return NULL;
}


void
rush_ordinary_destroy(rush_ordinary_t *o)
{
    if (o == NULL) {
        return;
    }

    rush_store_destroy(o->store);
    rush_args_free(&o->args);
    rush_rows_free(&o->titles);
    rush_rows_free(&o->addresses);
    rush_buf_free(&o->places);
    free(o->rows);
    free(o->lost);
    free(o->sorted);
    free(o->list);
    free(o->products);
    free(o->memory);
    free(o);
}


static void
rush_ordinary_turn(rush_ordinary_t *o, int64_t *claim)
{
    size_t          n;
    rush_daemon_t  *d;

    d = o->daemon;

    if (rush_db_ready(o->db) != RUSH_OK || rush_redis_ready(o->rd) != RUSH_OK)
    {
        (void) rush_wait(d, RUSH_ORDINARY_PAUSE);
        return;
    }

    if (o->inbox.generation != rush_redis_generation(o->rd)) {

        if (rush_inbox_join(&o->inbox) != RUSH_OK) {
            (void) rush_wait(d, RUSH_ORDINARY_RETRY);
            return;
        }

        o->inbox.generation = rush_redis_generation(o->rd);

        if (rush_ordinary_own(o) != RUSH_OK) {
            o->inbox.generation = 0;
            (void) rush_wait(d, RUSH_ORDINARY_RETRY);
            return;
        }
    }

    if (rush_mono() >= *claim) {
        *claim = rush_mono() + d->conf.claim_interval * 1000;

        if (rush_ordinary_claim(o) != RUSH_OK) {
            (void) rush_wait(d, RUSH_ORDINARY_RETRY);
            return;
        }
    }

    if (rush_ordinary_next(o, ">", d->conf.block, &n) != RUSH_OK) {
        (void) rush_wait(d, RUSH_ORDINARY_RETRY);
    }
}


/* acknowledged ones are gone, so the question is always the same */

static int
rush_ordinary_own(rush_ordinary_t *o)
{
    int     rc;
    size_t  n;

    do {
        rc = rush_ordinary_next(o, "0", 0, &n);
    } while (rc == RUSH_OK && n > 0);

    return rc;
}


static int
rush_ordinary_next(rush_ordinary_t *o, const char *from, int64_t block,
    size_t *n)
{
    int                rc;
    redisReply        *reply;
    const redisReply  *entries;

    *n = 0;

    rc = rush_inbox_read(&o->inbox, o->size, block, 0, from, &reply,
                         &entries);

    if (rc != RUSH_OK) {
        return RUSH_ERROR;
    }

    if (entries != NULL && entries->elements > 0) {
        *n = entries->elements;

        if (RUSH_FP("O1")) {
            rush_redis_close(o->rd);
            rc = RUSH_ERROR;

        } else {
            rc = rush_ordinary_take(o, entries);
        }
    }

    freeReplyObject(reply);

    return rc;
}


/* entries of others that have been pending for long */

static int
rush_ordinary_claim(rush_ordinary_t *o)
{
    int           rc, more;
    char          cursor[RUSH_ID_LEN];
    redisReply   *reply;
    rush_args_t  *a;

    rush_id_copy(cursor, "0-0");
    a = &o->args;

    do {
        rush_arg_text(a, "XAUTOCLAIM");
        rush_arg_text(a, RUSH_ORDERS_KEY);
        rush_arg_text(a, RUSH_GROUP);
        rush_arg_text(a, o->daemon->conf.name);
        rush_arg_int(a, o->daemon->conf.claim_idle);
        rush_arg_text(a, cursor);
        rush_arg_text(a, "COUNT");
        rush_arg_int(a, (int64_t) o->size);

        reply = rush_redis_call(o->rd, a);

        if (rush_reply_is(reply, "NOGROUP")) {
            o->inbox.generation = 0;
            freeReplyObject(reply);
            return RUSH_ERROR;
        }

        if (!rush_reply_ok(reply, "xautoclaim")
            || reply->type != REDIS_REPLY_ARRAY || reply->elements < 2
            || reply->element[0]->type != REDIS_REPLY_STRING
            || reply->element[1]->type != REDIS_REPLY_ARRAY
            || (size_t) reply->element[0]->len >= RUSH_ID_LEN)
        {
            freeReplyObject(reply);
            return RUSH_ERROR;
        }

        rush_id_copy(cursor, reply->element[0]->str);
        more = strcmp(cursor, "0-0") != 0;

        rc = rush_ordinary_claimed(o, reply);
        freeReplyObject(reply);

    } while (rc == RUSH_OK && more);

    return rc;
}


static int
rush_ordinary_claimed(rush_ordinary_t *o, redisReply *reply)
{
    int          rc;
    size_t       i;
    redisReply  *deleted;

    rush_stat_add(o->daemon, claimed, reply->element[1]->elements);

    rc = reply->element[1]->elements > 0
         ? rush_ordinary_take(o, reply->element[1]) : RUSH_OK;

    /* Redis 7 has dropped these from the pending list by itself */

    deleted = reply->elements > 2 ? reply->element[2] : NULL;

    for (i = 0; rc == RUSH_OK && deleted != NULL && i < deleted->elements;
         i++)
    {
        o->n = 0;
        o->nlost = 1;
        o->lost[0].data = (unsigned char *) deleted->element[i]->str;
        o->lost[0].len = (size_t) deleted->element[i]->len;

        rc = rush_ordinary_flush(o);
    }

    return rc;
}


/* COUNT was the size of a batch */

static int
rush_ordinary_take(rush_ordinary_t *o, const redisReply *entries)
{
    size_t             i;
    const char        *cause;
    const redisReply  *entry;

    o->n = 0;
    o->nlost = 0;

    for (i = 0; i < entries->elements; i++) {
        entry = entries->element[i];

        if (entry->type == REDIS_REPLY_NIL) {
            continue;                   /* Redis 6: claimed, and deleted */
        }

        if (entry->type != REDIS_REPLY_ARRAY || entry->elements != 2
            || entry->element[0]->type != REDIS_REPLY_STRING
            || o->n + o->nlost == o->size)
        {
            rush_log(RUSH_LOG_ERROR, "orders: malformed stream entry");
            return RUSH_ERROR;
        }

        if (entry->element[1]->type == REDIS_REPLY_NIL) {
            o->lost[o->nlost].data = (unsigned char *)
                                     entry->element[0]->str;
            o->lost[o->nlost++].len = (size_t) entry->element[0]->len;
            continue;
        }

        if (rush_ordinary_read(o, entry, &cause) != RUSH_OK
            && rush_ordinary_aside(o, entry, cause) != RUSH_OK)
        {
            return RUSH_ERROR;
        }
    }

    return rush_ordinary_commit(o);
}


/* the letter is written before the entry is acknowledged, as a lost one */

static int
rush_ordinary_aside(rush_ordinary_t *o, const redisReply *entry,
    const char *cause)
{
    rush_str_t  id;

    id.data = (unsigned char *) entry->element[0]->str;
    id.len = (size_t) entry->element[0]->len;

    for ( ;; ) {

        if (rush_db_ready(o->db) == RUSH_OK
            && rush_dead_entry(o->store, RUSH_ORDERS_LETTER, &id,
                               entry->element[1], cause)
               == RUSH_OK)
        {
            break;
        }

        if (rush_wait(o->daemon, RUSH_ORDINARY_PAUSE)) {
            return RUSH_ERROR;
        }
    }

    /* to be acknowledged with the batch */

    o->rows[o->n].id = id;
    o->rows[o->n++].state = RUSH_ORDINARY_DEAD;

    return RUSH_OK;
}


static int
rush_ordinary_commit(rush_ordinary_t *o)
{
    if (o->n + o->nlost == 0) {
        return RUSH_OK;
    }

    if (rush_ordinary_flush(o) != RUSH_OK) {
        return RUSH_ERROR;
    }

    if (RUSH_FP("O6")) {
        rush_redis_close(o->rd);
        return RUSH_ERROR;
    }

    return rush_ordinary_ack(o);
}


/* until it is stored; RUSH_ERROR when the daemon stops meanwhile */

static int
rush_ordinary_flush(rush_ordinary_t *o)
{
    int     rc;
    size_t  told;

    told = 0;

    for ( ;; ) {
        rc = rush_db_ready(o->db);

        while (rc == RUSH_OK && told < o->nlost) {
            rc = rush_alarm(o->daemon, o->db, "entry_lost", 0,
                            "entry %.*s of " RUSH_ORDERS_KEY " was pending "
                            "and has no body", (int) o->lost[told].len,
                            o->lost[told].data);

            if (rc == RUSH_OK) {
                rush_stat_add(o->daemon, entries_lost, 1);
                told++;
            }
        }

        if (rc == RUSH_OK) {
            rc = rush_ordinary_store(o);
        }

        if (rc == RUSH_OK) {
            o->pause = RUSH_ORDINARY_PAUSE;
            return RUSH_OK;
        }

        if (rush_wait(o->daemon, o->pause / 2 + random() % o->pause)) {
            return RUSH_ERROR;
        }

        rush_stat_add(o->daemon, retries, 1);

        o->pause *= 2;

        if (o->pause > RUSH_ORDINARY_MAX_PAUSE) {
            o->pause = RUSH_ORDINARY_MAX_PAUSE;
        }
    }
}
