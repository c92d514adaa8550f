
/*
 * Copyright (C) Rush
 *
 * Makes the meta hashes in Redis follow the rows of seckill_activity.
 */


#include <stdlib.h>

#include "controller.h"


static void rush_wish_fill(rush_wish_t *wish, const rush_rows_t *rows,
    size_t row);
static int rush_meta_ask(rush_controller_t *ctl, int64_t id);
static int rush_meta_answer(rush_controller_t *ctl, rush_meta_t *meta);
static int rush_follow_one(rush_controller_t *ctl, rush_wish_t *wish,
    rush_meta_t *meta);
static int rush_follow_load(rush_controller_t *ctl, const rush_wish_t *wish,
    const rush_meta_t *meta);
static int rush_follow_change(rush_controller_t *ctl,
    const rush_wish_t *wish, const rush_meta_t *meta);
static int rush_follow_applied(rush_controller_t *ctl,
    const rush_wish_t *wish);


static void
rush_wish_fill(rush_wish_t *wish, const rush_rows_t *rows, size_t row)
{
    wish->id = rush_cell_int(rows, row, 0);
    wish->status = rush_cell_int(rows, row, 1);
    wish->warm = rush_cell_int(rows, row, 2);
    wish->rev = rush_cell_int(rows, row, 3);
    wish->applied_rev = rush_cell_int(rows, row, 4);
    wish->epoch = rush_cell_int(rows, row, 5);
    wish->repair = rush_cell_int(rows, row, 6);
    wish->start = rush_cell_int(rows, row, 7);
    wish->stop = rush_cell_int(rows, row, 8);
    wish->total = rush_cell_int(rows, row, 9);
    wish->sold = rush_cell_int(rows, row, 10);
    wish->limit = rush_cell_int(rows, row, 11);
    wish->price_ver = rush_cell_int(rows, row, 12);
    wish->selling = rush_cell_int(rows, row, 13);
}


int
rush_wishes_read(rush_controller_t *ctl, unsigned stmt)
{
    size_t       i;
    rush_rows_t  rows;

    memset(&rows, 0, sizeof(rush_rows_t));

    if (rush_db_run(ctl->db, &rush_ctl_sql[stmt], NULL, 0, &rows) != RUSH_OK)
    {
        return RUSH_ERROR;
    }

    free(ctl->wishes);
    free(ctl->metas);

    ctl->n = 0;
    ctl->wishes = calloc(rows.n + 1, sizeof(rush_wish_t));
    ctl->metas = calloc(rows.n + 1, sizeof(rush_meta_t));

    if (ctl->wishes == NULL || ctl->metas == NULL) {
        rush_log(RUSH_LOG_ERROR, "controller: no memory");
        rush_rows_free(&rows);
        return RUSH_ERROR;
    }

    for (i = 0; i < rows.n; i++) {
        rush_wish_fill(&ctl->wishes[i], &rows, i);
    }

    ctl->n = rows.n;
    rush_rows_free(&rows);

    return RUSH_OK;
}


int
rush_wish_read(rush_controller_t *ctl, int64_t id, rush_wish_t *wish)
{
    int           rc;
    rush_rows_t   rows;
    rush_param_t  param;

    memset(&rows, 0, sizeof(rush_rows_t));
    param = rush_p_int(id);

    if (rush_ctl_run(ctl, ACTIVITY, &param, 1, &rows) != RUSH_OK) {
        return RUSH_ERROR;
    }

    rc = RUSH_ERROR;

    if (rows.n == 1) {
        rush_wish_fill(wish, &rows, 0);
        rc = RUSH_OK;
    }

    rush_rows_free(&rows);

    return rc;
}


int
rush_metas_read(rush_controller_t *ctl)
{
    size_t  i;

    for (i = 0; i < ctl->n; i++) {
        if (rush_meta_ask(ctl, ctl->wishes[i].id) != RUSH_OK) {
            return RUSH_ERROR;
        }
    }

    for (i = 0; i < ctl->n; i++) {
        if (rush_meta_answer(ctl, &ctl->metas[i]) != RUSH_OK) {

            /* the other answers are on their way: the connection is of no
             * use any more */

            rush_redis_close(ctl->rd);
            return RUSH_ERROR;
        }
    }

    return RUSH_OK;
}


int
rush_meta_read(rush_controller_t *ctl, int64_t id, rush_meta_t *meta)
{
    if (rush_meta_ask(ctl, id) != RUSH_OK) {
        return RUSH_ERROR;
    }

    return rush_meta_answer(ctl, meta);
}


static int
rush_meta_ask(rush_controller_t *ctl, int64_t id)
{
    rush_args_t  *a;

    a = &ctl->args;

    rush_arg_text(a, "HMGET");
    rush_arg_key(a, id, 'm');
    rush_arg_text(a, "epoch");
    rush_arg_text(a, "start");
    rush_arg_text(a, "stop");
    rush_arg_text(a, "remain");
    rush_arg_text(a, "limit");
    rush_arg_text(a, "price_ver");
    rush_arg_text(a, "total");
    rush_arg_text(a, "state");

    return rush_redis_push(ctl->rd, a);
}


static int
rush_meta_answer(rush_controller_t *ctl, rush_meta_t *meta)
{
    redisReply  *reply, *state;

    reply = rush_redis_pull(ctl->rd);

    if (!rush_reply_ok(reply, "hmget") || reply->type != REDIS_REPLY_ARRAY
        || reply->elements != 8)
    {
        freeReplyObject(reply);
        return RUSH_ERROR;
    }

    meta->epoch = rush_reply_int(reply->element[0], 0);
    meta->start = rush_reply_int(reply->element[1], 0);
    meta->stop = rush_reply_int(reply->element[2], 0);
    meta->remain = rush_reply_int(reply->element[3], -1);
    meta->limit = rush_reply_int(reply->element[4], 0);
    meta->price_ver = rush_reply_int(reply->element[5], 0);
    meta->total = rush_reply_int(reply->element[6], 0);

    state = reply->element[7];
    snprintf(meta->state, sizeof(meta->state), "%s",
             state->type == REDIS_REPLY_STRING ? state->str : "");

    freeReplyObject(reply);

    return RUSH_OK;
}


const char *
rush_wish_state(rush_controller_t *ctl, const rush_wish_t *wish)
{
    if (!wish->selling) {
        return "off";
    }

    if (wish->status == 1) {
        return (ctl->clock_bad || rush_guard_paused(ctl, wish->id))
               ? "paused" : "on";
    }

    return wish->status == 2 ? "paused" : "off";
}


int
rush_follow(rush_controller_t *ctl)
{
    size_t  i;

    for (i = 0; i < ctl->n; i++) {
        if (rush_follow_one(ctl, &ctl->wishes[i], &ctl->metas[i]) != RUSH_OK) {
            return RUSH_ERROR;
        }
    }

    return RUSH_OK;
}


static int
rush_follow_one(rush_controller_t *ctl, rush_wish_t *wish, rush_meta_t *meta)
{
    int  rc;

    rc = RUSH_OK;

    /* whoever goes online must be there, asked to warm up or not */

    if (wish->warm
        || ((wish->status == 1 || wish->status == 2)
            && wish->rev != wish->applied_rev && wish->stop > rush_now()))
    {
        if (meta->epoch == 0 || meta->epoch != wish->epoch) {

            if (rush_mono() < ctl->next_gate) {
                return RUSH_OK;
            }

            rc = rush_follow_load(ctl, wish, meta);

        } else {
            rc = rush_follow_change(ctl, wish, meta);
        }
    }

    if (rc != RUSH_OK) {

        /* the others need not wait for this one */

        ctl->next_gate = rush_mono() + 1000000;

        return rush_redis_connected(ctl->rd) && rush_db_connected(ctl->db)
               ? RUSH_OK : RUSH_ERROR;
    }

    return rush_follow_applied(ctl, wish);
}


static int
rush_follow_load(rush_controller_t *ctl, const rush_wish_t *wish,
    const rush_meta_t *meta)
{
    int64_t      epoch;
    redisReply  *reply;

    if (wish->epoch != 0 || wish->sold != 0 || meta->epoch != 0) {
        rush_log(RUSH_LOG_WARN, "activity %lld: epoch is %lld in redis, "
                 "%lld in mysql, rebuilding", (long long) wish->id,
                 (long long) meta->epoch, (long long) wish->epoch);

        return rush_rebuild(ctl, wish->id, 0);
    }

    /* nobody has ever bought from it */

    epoch = rush_epoch_next(wish, meta);

    if (rush_epoch_raise(ctl, wish, epoch) != RUSH_OK
        || rush_load_args(ctl, wish, epoch, rush_wish_state(ctl, wish),
                          wish->total)
           != RUSH_OK)
    {
        return RUSH_ERROR;
    }

    reply = rush_redis_script(ctl->rd, RUSH_LUA_LOAD, wish->id, "muso",
                              &ctl->args);

    if (!rush_reply_ok(reply, "load.lua")) {
        freeReplyObject(reply);
        return RUSH_ERROR;
    }

    if (rush_reply_int(reply, 0) != 1) {
        freeReplyObject(reply);
        return rush_rebuild(ctl, wish->id, 0);
    }

    freeReplyObject(reply);

    rush_log(RUSH_LOG_INFO, "activity %lld: loaded, %lld units",
             (long long) wish->id, (long long) wish->total);

    return RUSH_OK;
}


static int
rush_follow_change(rush_controller_t *ctl, const rush_wish_t *wish,
    const rush_meta_t *meta)
{
    int64_t      epoch;
    const char  *state;

    state = rush_wish_state(ctl, wish);
    epoch = 0;

    if (meta->limit != wish->limit || meta->price_ver != wish->price_ver) {

        /* copies made under the old rules are to be refused */

        epoch = rush_epoch_next(wish, meta);

        if (rush_epoch_raise(ctl, wish, epoch) != RUSH_OK) {
            return RUSH_ERROR;
        }

    } else if (meta->start == wish->start && meta->stop == wish->stop
               && strcmp(meta->state, state) == 0)
    {
        return RUSH_OK;
    }

    return rush_change(ctl, wish, meta, state, epoch);
}


int
rush_change(rush_controller_t *ctl, const rush_wish_t *wish,
    const rush_meta_t *meta, const char *state, int64_t epoch)
{
    int           rc;
    redisReply   *reply;
    rush_args_t  *a;

    a = &ctl->args;

    rush_arg_int(a, meta->epoch);
    rush_arg_text(a, state);
    rush_arg_int(a, wish->start);
    rush_arg_int(a, wish->stop);
    rush_arg_int(a, wish->limit);
    rush_arg_int(a, wish->price_ver);
    rush_arg_int(a, epoch ? epoch : meta->epoch);

    reply = rush_redis_script(ctl->rd, RUSH_LUA_CHANGE, wish->id, "m", a);

    if (!rush_reply_ok(reply, "change.lua")) {
        freeReplyObject(reply);
        return RUSH_ERROR;
    }

    rc = rush_reply_int(reply, 0) == 1 ? RUSH_OK : RUSH_ERROR;
    freeReplyObject(reply);

    if (rc == RUSH_OK && strcmp(meta->state, state) != 0) {
        rush_log(RUSH_LOG_INFO, "activity %lld: %s", (long long) wish->id,
                 state);
    }

    return rc;
}


int64_t
rush_epoch_next(const rush_wish_t *wish, const rush_meta_t *meta)
{
    /* a MySQL that lost its last seconds may be behind */

    return 1 + (meta->epoch > wish->epoch ? meta->epoch : wish->epoch);
}


int
rush_epoch_raise(rush_controller_t *ctl, const rush_wish_t *wish,
    int64_t epoch)
{
    int           rc;
    rush_rows_t   rows;
    rush_param_t  params[3];

    memset(&rows, 0, sizeof(rush_rows_t));

    params[0] = rush_p_int(epoch);
    params[1] = rush_p_int(wish->id);
    params[2] = rush_p_int(wish->epoch);

    rc = rush_ctl_run(ctl, EPOCH_RAISE, params, 3, &rows);

    if (rc != RUSH_OK || rows.affected != 1) {
        rush_rows_free(&rows);
        return RUSH_ERROR;
    }

    rush_rows_free(&rows);

    return RUSH_OK;
}


int
rush_load_args(rush_controller_t *ctl, const rush_wish_t *wish,
    int64_t epoch, const char *state, int64_t remain)
{
    size_t        i;
    rush_rows_t   rows;
    rush_args_t  *a;
    rush_param_t  param;

    memset(&rows, 0, sizeof(rush_rows_t));
    param = rush_p_int(wish->id);

    if (rush_ctl_run(ctl, OPS_IN_TOTAL, &param, 1, &rows) != RUSH_OK) {
        return RUSH_ERROR;
    }

    a = &ctl->args;

    rush_arg_int(a, epoch);
    rush_arg_text(a, state);
    rush_arg_int(a, wish->start);
    rush_arg_int(a, wish->stop);
    rush_arg_int(a, remain);
    rush_arg_int(a, wish->limit);
    rush_arg_int(a, wish->price_ver);
    rush_arg_int(a, wish->total);

    for (i = 0; i < rows.n; i++) {
        rush_arg_str(a, rush_cell(&rows, i, 0));
    }

    rush_rows_free(&rows);

    return RUSH_OK;
}


static int
rush_follow_applied(rush_controller_t *ctl, const rush_wish_t *wish)
{
    rush_param_t  params[3];

    if (wish->rev == wish->applied_rev) {
        return RUSH_OK;
    }

    /* a change in between has another rev and is seen at the next tick */

    params[0] = rush_p_int(wish->rev);
    params[1] = rush_p_int(wish->id);
    params[2] = rush_p_int(wish->rev);

    return rush_ctl_run(ctl, APPLIED, params, 3, NULL) == RUSH_OK
           ? RUSH_OK : RUSH_ERROR;
}
