
/*
 * Copyright (C) Rush
 *
 * Rare ways through a stream: the drain before a rebuild, a group that is
 * gone, and entries that MySQL has forgotten.
 */


#include <stdlib.h>

#include "store.h"
#include "consumer_sql.h"


static int rush_stream_oldest(rush_db_t *db, int64_t activity,
    const char *consumer, char *oldest, char *own);
static int rush_stream_delivered(rush_store_t *s, rush_activity_t *a,
    char *id);
static int rush_stream_move(rush_store_t *s, rush_activity_t *a,
    const char *id);
static int rush_drain_run(rush_store_t *s, int64_t activity);


int
rush_stream_drain(rush_daemon_t *d, rush_redis_t *rd, rush_db_t *db,
    int64_t activity)
{
    int            rc;
    char           name[RUSH_NAME_LEN + 8];
    rush_store_t  *s;

    snprintf(name, sizeof(name), "%s-c", d->conf.name);

    s = rush_store_create(d, rd, db, name);
    if (s == NULL) {
        return RUSH_ERROR;
    }

    s->drain = 1;
    rc = rush_drain_run(s, activity);

    rush_store_destroy(s);

    return rc;
}


static int
rush_drain_run(rush_store_t *s, int64_t activity)
{
    int               rc;
    size_t            n;
    rush_param_t      params[2];
    rush_activity_t  *a;

    if (!rush_db_connected(s->db)
        || rush_activity_load(s, activity, &a) != RUSH_OK)
    {
        return RUSH_ERROR;
    }

    if (a == NULL) {
        rush_log(RUSH_LOG_ERROR, "drain: there is no activity %lld",
                 (long long) activity);
        return RUSH_ERROR;
    }

    a->warm = 1;

    if (rush_stream_group(s->daemon, s->rd, s->db, activity) == RUSH_ERROR
        || rush_stream_own(s, a) != RUSH_OK
        || rush_stream_claim(s, 0) != RUSH_OK
        || rush_stream_replay(s, a) != RUSH_OK)
    {
        return RUSH_ERROR;
    }

    do {
        if (rush_stopping(s->daemon)) {
            return RUSH_ERROR;
        }

        rc = rush_stream_new(s, a, &n);
    } while (rc == RUSH_OK && n > 0);

    /* what a writer of this process or of another has read meanwhile */

    if (rc != RUSH_OK || rush_stream_claim(s, 0) != RUSH_OK) {
        return RUSH_ERROR;
    }

    /* a position that nobody moves would hold the lowest one down */

    params[0] = rush_p_int(activity);
    params[1] = rush_p_text(s->consumer);

    if (rush_db_run(s->db, &rush_sql[RUSH_SQL_POSITION_DELETE], params, 2,
                    NULL)
        != RUSH_OK)
    {
        return RUSH_ERROR;
    }

    return RUSH_OK;
}


/*
 * A group that begins at the oldest committed position delivers again what
 * some consumer had not committed; equal orders are found in MySQL.  An empty
 * stream begins at 0: it may be a new one, with ids below the old position.
 */

int
rush_stream_group(rush_daemon_t *d, rush_redis_t *rd, rush_db_t *db,
    int64_t activity)
{
    char          oldest[RUSH_ID_LEN], own[RUSH_ID_LEN];
    int64_t       len;
    redisReply   *reply;
    rush_args_t   args;

    memset(&args, 0, sizeof(rush_args_t));

    rush_arg_text(&args, "XLEN");
    rush_arg_key(&args, activity, 's');
    reply = rush_redis_call(rd, &args);

    if (!rush_reply_ok(reply, "xlen")) {
        freeReplyObject(reply);
        rush_args_free(&args);
        return RUSH_ERROR;
    }

    len = rush_reply_int(reply, 0);
    freeReplyObject(reply);

    if (rush_stream_oldest(db, activity, "", oldest, own) != RUSH_OK) {
        rush_args_free(&args);
        return RUSH_ERROR;
    }

    rush_arg_text(&args, "XGROUP");
    rush_arg_text(&args, "CREATE");
    rush_arg_key(&args, activity, 's');
    rush_arg_text(&args, RUSH_GROUP);
    rush_arg_text(&args, len > 0 ? oldest : "0-0");
    rush_arg_text(&args, "MKSTREAM");

    reply = rush_redis_call(rd, &args);
    rush_args_free(&args);

    if (rush_reply_is(reply, "BUSYGROUP")) {
        freeReplyObject(reply);
        return 1;
    }

    if (!rush_reply_ok(reply, "xgroup create")) {
        freeReplyObject(reply);
        return RUSH_ERROR;
    }

    freeReplyObject(reply);

    if (strcmp(oldest, "0-0") != 0) {
        rush_stat_add(d, group_lost, 1);

        if (rush_alarm(d, db, "group_lost", activity,
                       "the group was gone, it begins again at %s",
                       len > 0 ? oldest : "0-0")
            != RUSH_OK)
        {
            return RUSH_ERROR;
        }
    }

    return 0;
}


/* the lowest position of all consumers that have one, "0-0" without any */

static int
rush_stream_oldest(rush_db_t *db, int64_t activity, const char *consumer,
    char *oldest, char *own)
{
    int                rc, found;
    size_t             i;
    rush_rows_t        rows;
    rush_param_t       param;
    const rush_str_t  *id;

    rush_id_copy(oldest, "0-0");
    rush_id_copy(own, "0-0");
    found = 0;

    memset(&rows, 0, sizeof(rush_rows_t));
    param = rush_p_int(activity);

    rc = rush_db_run(db, &rush_sql[RUSH_SQL_POSITION_ALL], &param, 1, &rows);
    if (rc != RUSH_OK) {
        return rc;
    }

    for (i = 0; i < rows.n; i++) {
        id = rush_cell(&rows, i, 1);

        if (id->len >= RUSH_ID_LEN) {
            continue;
        }

        if (!found
            || rush_id_cmp((char *) id->data, id->len, oldest, strlen(oldest))
               < 0)
        {
            rush_id_copy(oldest, (char *) id->data);
            found = 1;
        }

        if (strcmp((char *) rush_cell(&rows, i, 0)->data, consumer) == 0) {
            rush_id_copy(own, (char *) id->data);
        }
    }

    rush_rows_free(&rows);

    return RUSH_OK;
}


/*
 * Entries between the oldest committed position and the last delivered one
 * should all be in MySQL or pending.  If MySQL came back without its last
 * seconds they are not, though they were acknowledged.  They go through the
 * store once more: it looks first and inserts what is missing.
 */

int
rush_stream_replay(rush_store_t *s, rush_activity_t *a)
{
    int           rc;
    char          from[RUSH_ID_LEN + 1], to[RUSH_ID_LEN], own[RUSH_ID_LEN];
    redisReply   *reply, *last;
    rush_param_t  param;

    param = rush_p_int(a->id);

    if (rush_stream_oldest(s->db, a->id, s->consumer, from + 1, own)
        != RUSH_OK
        || rush_stream_delivered(s, a, to) != RUSH_OK
        || rush_db_run(s->db, &rush_sql[RUSH_SQL_DEAD_PARTS], &param, 1,
                       &s->dead)
           != RUSH_OK)
    {
        return RUSH_ERROR;
    }

    from[0] = '(';
    s->no_position = 1;

    for ( ;; ) {
        rc = RUSH_OK;

        if (rush_id_cmp(from + 1, strlen(from + 1), to, strlen(to)) >= 0) {
            break;
        }

        rc = RUSH_ERROR;

        rush_arg_text(&s->args, "XRANGE");
        rush_arg_key(&s->args, a->id, 's');
        rush_arg_text(&s->args, from);
        rush_arg_text(&s->args, to);
        rush_arg_text(&s->args, "COUNT");
        rush_arg_int(&s->args, s->daemon->conf.batch);

        reply = rush_redis_call(s->rd, &s->args);

        if (!rush_reply_ok(reply, "xrange")
            || reply->type != REDIS_REPLY_ARRAY)
        {
            freeReplyObject(reply);
            break;
        }

        if (reply->elements == 0) {
            freeReplyObject(reply);
            rc = RUSH_OK;
            break;
        }

        rush_store_reset(s);
        s->look_first = 2;

        if (rush_stream_entries(s, a, reply) == RUSH_OK) {
            rc = rush_stream_commit(s);
        }

        last = reply->element[reply->elements - 1];

        if (rc == RUSH_OK) {
            snprintf(from + 1, RUSH_ID_LEN, "%s", last->element[0]->str);
        }

        freeReplyObject(reply);

        if (rc != RUSH_OK) {
            break;
        }

        if (rush_stopping(s->daemon)) {
            rc = RUSH_ERROR;
            break;
        }
    }

    s->no_position = 0;
    s->look_first = 0;
    rush_rows_free(&s->dead);

    return rc;
}


int
rush_stream_position(rush_store_t *s, rush_activity_t *a)
{
    char  oldest[RUSH_ID_LEN], own[RUSH_ID_LEN];

    if (rush_stream_oldest(s->db, a->id, s->consumer, oldest, own)
        != RUSH_OK)
    {
        return RUSH_ERROR;
    }

    rush_id_copy(a->position, own);

    return rush_stream_move(s, a, own);
}


int
rush_stream_idle(rush_store_t *s, rush_activity_t *a)
{
    char  delivered[RUSH_ID_LEN];

    if (rush_stream_delivered(s, a, delivered) != RUSH_OK) {
        return RUSH_ERROR;
    }

    if (rush_id_cmp(delivered, strlen(delivered), a->position,
                    strlen(a->position))
        <= 0)
    {
        return RUSH_OK;
    }

    if (rush_stream_move(s, a, delivered) != RUSH_OK) {
        return RUSH_ERROR;
    }

    rush_id_copy(a->position, delivered);

    return RUSH_OK;
}


static int
rush_stream_move(rush_store_t *s, rush_activity_t *a, const char *id)
{
    rush_param_t  params[4];

    params[0] = rush_p_int(a->id);
    params[1] = rush_p_text(s->consumer);
    params[2] = rush_p_text(id);
    params[3] = rush_p_int(rush_now());

    if (rush_db_run(s->db, &rush_sql[RUSH_SQL_POSITION_SET], params, 4, NULL)
        != RUSH_OK)
    {
        return RUSH_ERROR;
    }

    return RUSH_OK;
}


static int
rush_stream_delivered(rush_store_t *s, rush_activity_t *a, char *id)
{
    size_t             i, k;
    redisReply        *reply;
    const redisReply  *group, *value;

    rush_id_copy(id, "0-0");

    rush_arg_text(&s->args, "XINFO");
    rush_arg_text(&s->args, "GROUPS");
    rush_arg_key(&s->args, a->id, 's');

    reply = rush_redis_call(s->rd, &s->args);

    if (rush_reply_is(reply, "ERR no such key")) {

        /* unloaded since we looked */

        freeReplyObject(reply);
        return RUSH_OK;
    }

    if (!rush_reply_ok(reply, "xinfo groups")
        || reply->type != REDIS_REPLY_ARRAY)
    {
        freeReplyObject(reply);
        return RUSH_ERROR;
    }

    for (i = 0; i < reply->elements; i++) {
        group = reply->element[i];

        value = rush_reply_find(group, "name");
        if (value == NULL || strcmp(value->str, RUSH_GROUP) != 0) {
            continue;
        }

        value = rush_reply_find(group, "last-delivered-id");

        if (value != NULL) {
            k = (size_t) value->len;

            if (k < RUSH_ID_LEN) {
                rush_id_copy(id, value->str);
            }
        }
    }

    freeReplyObject(reply);

    return RUSH_OK;
}
