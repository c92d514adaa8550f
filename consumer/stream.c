
/*
 * Copyright (C) Rush
 *
 * From the streams to the store.  A writer reads all warm activities with one
 * XREADGROUP; what it was given stays pending under its name until the rows
 * are committed.  After each connect it asks for its own pending entries
 * first, so nothing that was given to it is left to others.
 *
 * While MySQL is away a writer holds its batch and neither reads nor claims.
 */


#include <stdlib.h>

#include "store.h"
#include "consumer_sql.h"


#define RUSH_WRITER_IDLE  5000000      /* us between moves without work */


/* where entries come from, the last words of the command */

typedef enum {
    RUSH_READ_NEW = 0,
    RUSH_READ_OWN
} rush_read_e;


static int rush_writer_turn(rush_store_t *s, rush_writer_t *w);
static int rush_writer_join(rush_store_t *s);
static int rush_writer_read(rush_store_t *s, rush_activity_t *only,
    rush_read_e what, int64_t block, size_t *n);
static int rush_writer_claim(rush_store_t *s, rush_activity_t *a,
    int64_t idle);
static int rush_writer_groups(rush_store_t *s);
static int rush_writer_warm(rush_store_t *s, rush_activity_t *a);
static rush_activity_t *rush_writer_key(rush_store_t *s,
    const redisReply *key);
static size_t rush_writer_count(rush_store_t *s);


int
rush_writer_run(rush_writer_t *w)
{
    int            rc;
    unsigned       redis;
    int64_t        now, discover, claim;
    rush_db_t     *db;
    rush_store_t  *s;
    rush_redis_t  *rd;
    rush_daemon_t *d;

    d = w->daemon;
    rd = rush_redis_create(d, w->name);
    db = rush_db_create(d, w->name);
    s = (rd && db) ? rush_store_create(d, rd, db, w->name) : NULL;

    redis = 0;
    discover = 0;
    claim = 0;

    while (s != NULL && !rush_stopping(d)) {

        if (rush_db_ready(db) != RUSH_OK || rush_redis_ready(rd) != RUSH_OK) {
            (void) rush_wait(d, 50);
            continue;
        }

        now = rush_mono();

        if (redis != rush_redis_generation(rd)) {
            redis = rush_redis_generation(rd);
            rush_store_unjoin(s);
            discover = 0;
        }

        if (now >= discover) {
            discover = now + d->conf.discover * 1000;

            if (rush_activity_warm(s) != RUSH_OK
                || rush_writer_join(s) != RUSH_OK)
            {
                (void) rush_wait(d, 50);
                discover = 0;
                continue;
            }
        }

        if (now >= claim) {
            claim = now + d->conf.claim_interval * 1000;

            if (rush_stream_claim(s, d->conf.claim_idle) != RUSH_OK) {
                continue;
            }
        }

        if (rush_writer_turn(s, w) != RUSH_OK) {
            (void) rush_wait(d, 200);
        }
    }

    rc = s == NULL ? RUSH_ERROR : RUSH_OK;

    rush_store_destroy(s);
    rush_db_destroy(db);
    rush_redis_destroy(rd);

    return rc;
}


static int
rush_writer_turn(rush_store_t *s, rush_writer_t *w)
{
    size_t   i, n;
    int64_t  now;

    for (i = 0; i < s->nactivities; i++) {
        if (s->activities[i]->warm) {
            break;
        }
    }

    if (i == s->nactivities) {
        (void) rush_wait(w->daemon, w->daemon->conf.discover);
        return RUSH_OK;
    }

    if (rush_writer_read(s, NULL, RUSH_READ_NEW, w->daemon->conf.block, &n)
        != RUSH_OK)
    {
        return RUSH_ERROR;
    }

    now = rush_mono();

    if (n == 0 && now >= w->idle) {
        w->idle = now + RUSH_WRITER_IDLE;

        for (i = 0; i < s->nactivities; i++) {
            if (s->activities[i]->warm
                && rush_stream_idle(s, s->activities[i]) != RUSH_OK)
            {
                return RUSH_ERROR;
            }
        }
    }

    return RUSH_OK;
}


/* for each activity that is new to this writer */

static int
rush_writer_join(rush_store_t *s)
{
    size_t            i;
    rush_activity_t  *a;

    for (i = 0; i < s->nactivities; i++) {
        a = s->activities[i];

        if (!a->warm || a->joined) {
            continue;
        }

        if (rush_stream_group(s->daemon, s->rd, s->db, a->id) == RUSH_ERROR
            || rush_stream_position(s, a) != RUSH_OK)
        {
            return RUSH_ERROR;
        }

        /*
         * Before anything moves the position of this writer: it may be the
         * one that tells what is missing, so each writer does it.
         */

        if (!a->replayed) {

            if (rush_stream_replay(s, a) != RUSH_OK) {
                return RUSH_ERROR;
            }

            a->replayed = 1;
        }

        if (rush_stream_own(s, a) != RUSH_OK) {
            return RUSH_ERROR;
        }

        a->joined = 1;
    }

    return RUSH_OK;
}


void
rush_store_unjoin(rush_store_t *s)
{
    size_t  i;

    for (i = 0; i < s->nactivities; i++) {
        s->activities[i]->joined = 0;
    }
}


/* own pending entries, the oldest first; acknowledged ones are gone, so the
 * question is always the same */

int
rush_stream_own(rush_store_t *s, rush_activity_t *a)
{
    int     rc;
    size_t  n;

    do {
        rc = rush_writer_read(s, a, RUSH_READ_OWN, 0, &n);
    } while (rc == RUSH_OK && n > 0);

    return rc;
}


int
rush_stream_claim(rush_store_t *s, int64_t idle)
{
    size_t  i;

    for (i = 0; i < s->nactivities; i++) {

        if (s->activities[i]->warm
            && rush_writer_claim(s, s->activities[i], idle) != RUSH_OK)
        {
            return RUSH_ERROR;
        }
    }

    return RUSH_OK;
}


int
rush_stream_new(rush_store_t *s, rush_activity_t *a, size_t *n)
{
    return rush_writer_read(s, a, RUSH_READ_NEW, 0, n);
}


/* one XREADGROUP: of one activity, or of all warm ones; *n entries came */

static int
rush_writer_read(rush_store_t *s, rush_activity_t *only, rush_read_e what,
    int64_t block, size_t *n)
{
    int                rc;
    size_t             i, streams;
    redisReply        *reply, *stream;
    rush_args_t       *args;
    rush_activity_t   *a;

    *n = 0;
    streams = 0;
    args = &s->args;

    rush_arg_text(args, "XREADGROUP");
    rush_arg_text(args, "GROUP");
    rush_arg_text(args, RUSH_GROUP);
    rush_arg_text(args, s->consumer);
    rush_arg_text(args, "COUNT");
    rush_arg_int(args, (int64_t) rush_writer_count(s));

    if (block > 0) {
        rush_arg_text(args, "BLOCK");
        rush_arg_int(args, block);
    }

    rush_arg_text(args, "STREAMS");

    for (i = 0; i < s->nactivities; i++) {
        a = s->activities[i];

        if (only ? a == only : a->warm) {
            rush_arg_key(args, a->id, 's');
            streams++;
        }
    }

    for (i = 0; i < streams; i++) {
        rush_arg_text(args, what == RUSH_READ_NEW ? ">" : "0");
    }

    reply = rush_redis_call(s->rd, args);

    if (reply == NULL) {
        return RUSH_ERROR;
    }

    if (rush_reply_is(reply, "NOGROUP")) {
        freeReplyObject(reply);
        *n = 1;                         /* not empty: ask again */
        return rush_writer_groups(s);
    }

    rc = RUSH_ERROR;
    rush_store_reset(s);

    if (rush_reply_is(reply, "UNBLOCKED")) {

        /* an unloaded activity, or a lost one: the next turn will see */

        rush_log(RUSH_LOG_INFO, "a stream is gone");
        goto done;
    }

    if (!rush_reply_ok(reply, "xreadgroup")) {
        goto done;
    }

    for (i = 0; reply->type == REDIS_REPLY_ARRAY && i < reply->elements; i++)
    {
        stream = reply->element[i];

        if (stream->type != REDIS_REPLY_ARRAY || stream->elements != 2) {
            rush_log(RUSH_LOG_ERROR, "redis: xreadgroup: malformed reply");
            goto done;
        }

        a = rush_writer_key(s, stream->element[0]);
        *n += stream->element[1]->elements;

        if (a == NULL
            || rush_stream_entries(s, a, stream->element[1]) != RUSH_OK)
        {
            goto done;
        }
    }

    if (*n > 0 && RUSH_FP("D1")) {
        rush_redis_close(s->rd);
        goto done;
    }

    rc = rush_stream_commit(s);

done:

    freeReplyObject(reply);

    return rc;
}


/* entries of others that have been pending for "idle" ms */

static int
rush_writer_claim(rush_store_t *s, rush_activity_t *a, int64_t idle)
{
    int          rc, more;
    char         cursor[RUSH_ID_LEN];
    size_t       i;
    redisReply  *reply, *deleted;
    rush_str_t   id;

    rush_id_copy(cursor, "0-0");

    do {
        rush_arg_text(&s->args, "XAUTOCLAIM");
        rush_arg_key(&s->args, a->id, 's');
        rush_arg_text(&s->args, RUSH_GROUP);
        rush_arg_text(&s->args, s->consumer);
        rush_arg_int(&s->args, idle);
        rush_arg_text(&s->args, cursor);
        rush_arg_text(&s->args, "COUNT");
        rush_arg_int(&s->args, (int64_t) rush_writer_count(s));

        reply = rush_redis_call(s->rd, &s->args);

        if (rush_reply_is(reply, "NOGROUP")) {
            freeReplyObject(reply);
            return rush_writer_groups(s);
        }

        if (!rush_reply_ok(reply, "xautoclaim")
            || reply->type != REDIS_REPLY_ARRAY || reply->elements < 2
            || reply->element[0]->type != REDIS_REPLY_STRING
            || (size_t) reply->element[0]->len >= RUSH_ID_LEN)
        {
            freeReplyObject(reply);
            return RUSH_ERROR;
        }

        rush_id_copy(cursor, reply->element[0]->str);
        more = strcmp(cursor, "0-0") != 0;

        rush_store_reset(s);
        rc = rush_stream_entries(s, a, reply->element[1]);

        /* Redis 7 has dropped these from the pending list by itself */

        deleted = reply->elements > 2 ? reply->element[2] : NULL;

        for (i = 0; rc == RUSH_OK && deleted != NULL && i < deleted->elements;
             i++)
        {
            id.data = (unsigned char *) deleted->element[i]->str;
            id.len = (size_t) deleted->element[i]->len;
            rc = rush_stream_lost(s, a, &id);
        }

        rush_stat_add(s->daemon, claimed, reply->element[1]->elements);

        if (rc == RUSH_OK) {
            rc = rush_stream_commit(s);
        }

        freeReplyObject(reply);

    } while (rc == RUSH_OK && more);

    return rc;
}


/* "NOGROUP" does not say which.  One that was unloaded since we looked must
 * not come back */

static int
rush_writer_groups(rush_store_t *s)
{
    size_t            i;
    rush_activity_t  *a;

    for (i = 0; i < s->nactivities; i++) {
        a = s->activities[i];

        if (a->warm && !s->drain && rush_writer_warm(s, a) != RUSH_OK) {
            return RUSH_ERROR;
        }

        if ((a->warm || s->drain)
            && rush_stream_group(s->daemon, s->rd, s->db, a->id)
               == RUSH_ERROR)
        {
            return RUSH_ERROR;
        }
    }

    return RUSH_OK;
}


/* waits for an unload that is under way */

static int
rush_writer_warm(rush_store_t *s, rush_activity_t *a)
{
    rush_rows_t   rows;
    rush_param_t  param;

    memset(&rows, 0, sizeof(rush_rows_t));
    param = rush_p_int(a->id);

    if (rush_db_run(s->db, &rush_sql[RUSH_SQL_ACTIVITY_IS_WARM], &param, 1,
                    &rows)
        != RUSH_OK)
    {
        return RUSH_ERROR;
    }

    if (rows.n != 1 || rush_cell_int(&rows, 0, 0) == 0) {
        a->warm = 0;
        a->joined = 0;
    }

    rush_rows_free(&rows);

    return RUSH_OK;
}


static rush_activity_t *
rush_writer_key(rush_store_t *s, const redisReply *key)
{
    if (key->type != REDIS_REPLY_STRING || strncmp(key->str, "{a:", 3) != 0) {
        rush_log(RUSH_LOG_ERROR, "redis: entries of an unknown stream");
        return NULL;
    }

    return rush_activity_find(s, strtoll(key->str + 3, NULL, 10));
}


/* entries that make about one batch: grants of an entry differ by load */

static size_t
rush_writer_count(rush_store_t *s)
{
    size_t  n;

    n = (size_t) s->daemon->conf.batch * 16
        / (s->grants < 16 ? 16 : s->grants);

    return n ? n : 1;
}
