
/*
 * Copyright (C) Rush
 *
 * Streams are cut from the old end only, hours behind, and never beyond what
 * is pending or not delivered: they are the log that heals a MySQL which
 * lost its last seconds.  An activity that ended a day ago and has nothing
 * open leaves Redis.
 */


#include "controller.h"
#include "rush_order.h"


#define RUSH_UNLOAD_AFTER  86400000     /* ms */


static int rush_trim_orders(rush_controller_t *ctl);
static int rush_trim_one(rush_controller_t *ctl, const char *key,
    const rush_queue_t *queue);
static int rush_unload(rush_controller_t *ctl, const rush_wish_t *wish);
static int rush_unload_keys(rush_controller_t *ctl, int64_t id);


int
rush_trim(rush_controller_t *ctl)
{
    char          key[RUSH_KEY_LEN];
    size_t        i;
    int64_t       now;
    rush_wish_t  *wish;
    rush_queue_t  queue;

    now = rush_now();

    for (i = 0; i < ctl->n; i++) {
        wish = &ctl->wishes[i];

        if (ctl->metas[i].epoch == 0) {
            continue;
        }

        if (rush_queue_read(ctl, wish->id, &queue) != RUSH_OK) {
            return RUSH_ERROR;
        }

        if (!queue.exists) {
            continue;
        }

        if (queue.lag + queue.pending == 0 && wish->repair == 0
            && wish->rev == wish->applied_rev
            && wish->stop + RUSH_UNLOAD_AFTER < now)
        {
            if (rush_unload(ctl, wish) != RUSH_OK) {
                return RUSH_ERROR;
            }

            continue;
        }

        (void) rush_key(key, wish->id, 's');

        if (rush_trim_one(ctl, key, &queue) != RUSH_OK) {
            return RUSH_ERROR;
        }
    }

    return rush_trim_orders(ctl);
}


static int
rush_trim_orders(rush_controller_t *ctl)
{
    rush_queue_t  queue;

    if (rush_queue_key(ctl, RUSH_ORDERS_KEY, &queue) != RUSH_OK) {
        return RUSH_ERROR;
    }

    return queue.exists ? rush_trim_one(ctl, RUSH_ORDERS_KEY, &queue)
                        : RUSH_OK;
}


static int
rush_trim_one(rush_controller_t *ctl, const char *key,
    const rush_queue_t *queue)
{
    char          old[52];
    int64_t       n;
    const char   *limit;
    redisReply   *reply;
    rush_args_t  *a;

    snprintf(old, sizeof(old), "%lld-0",
             (long long) (rush_now() - ctl->daemon->conf.trim_keep * 1000));
    limit = old;

    if (rush_id_cmp(queue->delivered, strlen(queue->delivered), limit,
                    strlen(limit)) < 0)
    {
        limit = queue->delivered;
    }

    if (queue->oldest[0] != '\0'
        && rush_id_cmp(queue->oldest, strlen(queue->oldest), limit,
                       strlen(limit)) < 0)
    {
        limit = queue->oldest;
    }

    if (RUSH_FP("D9")) {
        return RUSH_ERROR;
    }

    a = &ctl->args;

    rush_arg_text(a, "XTRIM");
    rush_arg_text(a, key);
    rush_arg_text(a, "MINID");
    rush_arg_text(a, "~");
    rush_arg_text(a, limit);

    reply = rush_redis_call(ctl->rd, a);

    if (!rush_reply_ok(reply, "xtrim") || RUSH_FP("D9")) {
        freeReplyObject(reply);
        return RUSH_ERROR;
    }

    n = rush_reply_int(reply, 0);
    freeReplyObject(reply);

    if (n > 0) {
        rush_stat_add(ctl->daemon, trimmed, n);
        rush_log(RUSH_LOG_INFO, "%s: %lld old entries trimmed", key,
                 (long long) n);
    }

    return RUSH_OK;
}


/* the row stays locked until the keys are gone: writers that miss a group
 * ask it first.  Keys that are gone without it are rebuilt */

static int
rush_unload(rush_controller_t *ctl, const rush_wish_t *wish)
{
    int           rc;
    int64_t       open;
    rush_rows_t   rows;
    rush_param_t  params[2];

    memset(&rows, 0, sizeof(rush_rows_t));

    params[0] = rush_p_int(wish->id);
    params[1] = rush_p_int(wish->rev);

    if (rush_ctl_run(ctl, ORDERS_UNFINISHED, params, 1, &rows) != RUSH_OK) {
        return RUSH_ERROR;
    }

    open = rows.n == 1 ? rush_cell_int(&rows, 0, 0) : 1;

    if (rush_ctl_run(ctl, OPS_OPEN, params, 1, &rows) != RUSH_OK) {
        rush_rows_free(&rows);
        return RUSH_ERROR;
    }

    open += rows.n == 1 ? rush_cell_int(&rows, 0, 0) : 1;
    rush_rows_free(&rows);

    if (open) {
        return RUSH_OK;
    }

    rc = rush_db_begin(ctl->db);

    if (rc == RUSH_OK) {
        rc = rush_ctl_run(ctl, UNLOAD, params, 2, &rows);
    }

    if (rc == RUSH_OK && rows.affected != 1) {

        /* somebody wants something else of it now */

        rush_rows_free(&rows);
        rush_db_rollback(ctl->db);
        return RUSH_OK;
    }

    rush_rows_free(&rows);

    if (rc != RUSH_OK || rush_unload_keys(ctl, wish->id) != RUSH_OK
        || rush_ctl_run(ctl, POSITIONS_DELETE, params, 1, NULL) != RUSH_OK
        || rush_db_commit(ctl->db) != RUSH_OK)
    {
        rush_db_rollback(ctl->db);
        return RUSH_ERROR;
    }

    rush_log(RUSH_LOG_INFO, "activity %lld: unloaded",
             (long long) wish->id);

    return RUSH_OK;
}


static int
rush_unload_keys(rush_controller_t *ctl, int64_t id)
{
    int           rc;
    redisReply   *reply;
    const char   *kind;
    rush_args_t  *a;

    a = &ctl->args;
    rush_arg_text(a, "UNLINK");

    for (kind = "muson"; *kind != '\0'; kind++) {
        rush_arg_key(a, id, *kind);
    }

    reply = rush_redis_call(ctl->rd, a);
    rc = rush_reply_ok(reply, "unlink") ? RUSH_OK : RUSH_ERROR;
    freeReplyObject(reply);

    return rc;
}
