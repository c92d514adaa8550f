
/*
 * Copyright (C) Rush
 *
 * The gate is the script cache: workers call scripts by digest only, and a
 * Redis that was restarted has none, so it sells nothing before it was
 * checked.  All between the first and the last look at the run id goes over
 * one connection of each kind; neither comes back by itself, so a second
 * restart in the middle ends the attempt.  Every step may be killed: the
 * next attempt starts from the beginning.
 */


#include "controller.h"


static int rush_run_id(rush_controller_t *ctl, char *run_id);
static int rush_gate_run_id(rush_controller_t *ctl);
static int rush_gate_flush(rush_controller_t *ctl);
static int rush_gate_mine(rush_controller_t *ctl);
static int rush_gate_load(rush_controller_t *ctl, const unsigned *scripts,
    size_t n);


/*
 * buy.lua is the last one: with it the sale goes on.  Ordinary orders wait
 * for no activity: their units are in MySQL, and so is what an id stands for
 * once it is stored
 */

static const unsigned  rush_gate_first[] = {
    RUSH_LUA_LOAD, RUSH_LUA_REBUILD, RUSH_LUA_CHANGE, RUSH_LUA_CODE_SEND,
    RUSH_LUA_CODE_TAKE, RUSH_LUA_TICKET_TAKE, RUSH_LUA_PROOF_FREE,
    RUSH_LUA_ASK, RUSH_LUA_IDEM_ASK, RUSH_LUA_IDEM_KEEP, RUSH_LUA_TALLY,
    RUSH_LUA_STREAM_INFO, RUSH_LUA_ORDER
};

static const unsigned  rush_gate_fence[] = {
    RUSH_LUA_RELEASE, RUSH_LUA_RETAKE, RUSH_LUA_ADJUST, RUSH_LUA_SETTLE,
    RUSH_LUA_BUY
};


int
rush_gate(rush_controller_t *ctl)
{
    int           rc;
    size_t        i;
    redisReply   *reply;
    rush_args_t  *a;

    a = &ctl->args;

    rush_arg_text(a, "SCRIPT");
    rush_arg_text(a, "EXISTS");

    for (i = 0; i < RUSH_LUA_COUNT; i++) {
        rush_arg_text(a, rush_redis_sha((unsigned) i));
    }

    reply = rush_redis_call(ctl->rd, a);

    if (!rush_reply_ok(reply, "script exists")
        || reply->type != REDIS_REPLY_ARRAY
        || reply->elements != RUSH_LUA_COUNT)
    {
        freeReplyObject(reply);
        return RUSH_ERROR;
    }

    rc = 1;

    for (i = 0; i < RUSH_LUA_COUNT; i++) {
        if (rush_reply_int(reply->element[i], 0) != 1) {
            rc = 0;
        }
    }

    freeReplyObject(reply);

    return rc == 1 ? rush_gate_run_id(ctl) : 0;
}


/* a server restarts only under a broken connection; one that did, and has
 * the scripts all the same, got them from somebody who did not rebuild */

static int
rush_gate_run_id(rush_controller_t *ctl)
{
    char  run_id[RUSH_RUN_ID_LEN + 1];

    if (ctl->run_id[0] != '\0'
        && ctl->redis_generation == rush_redis_generation(ctl->rd))
    {
        return 1;
    }

    if (rush_run_id(ctl, run_id) != RUSH_OK) {
        return RUSH_ERROR;
    }

    if (ctl->run_id[0] != '\0' && strcmp(run_id, ctl->run_id) != 0) {
        return 0;
    }

    memcpy(ctl->run_id, run_id, sizeof(run_id));
    ctl->redis_generation = rush_redis_generation(ctl->rd);

    return 1;
}


static int
rush_run_id(rush_controller_t *ctl, char *run_id)
{
    char        *p;
    redisReply  *reply;

    reply = rush_redis_words(ctl->rd, "INFO", "server", NULL);

    if (!rush_reply_ok(reply, "info") || reply->type != REDIS_REPLY_STRING) {
        freeReplyObject(reply);
        return RUSH_ERROR;
    }

    p = strstr(reply->str, "\nrun_id:");

    if (p == NULL || strlen(p) < 8 + RUSH_RUN_ID_LEN) {
        rush_log(RUSH_LOG_ERROR, "redis: info has no run id");
        freeReplyObject(reply);
        return RUSH_ERROR;
    }

    memcpy(run_id, p + 8, RUSH_RUN_ID_LEN);
    run_id[RUSH_RUN_ID_LEN] = '\0';

    freeReplyObject(reply);

    return RUSH_OK;
}


int
rush_gate_open(rush_controller_t *ctl)
{
    char     first[RUSH_RUN_ID_LEN + 1], last[RUSH_RUN_ID_LEN + 1];
    size_t   i;
    int64_t  start;

    start = rush_mono();

    if (rush_run_id(ctl, first) != RUSH_OK
        || rush_gate_flush(ctl) != RUSH_OK
        || rush_gate_load(ctl, rush_gate_first,
                          sizeof(rush_gate_first) / sizeof(unsigned))
           != RUSH_OK
        || rush_wishes_read(ctl, RUSH_CTL_SQL_ACTIVITIES) != RUSH_OK)
    {
        return RUSH_ERROR;
    }

    rush_log(RUSH_LOG_WARN, "gate: shut, rebuilding redis %s", first);

    for (i = 0; i < ctl->n; i++) {
        if (ctl->wishes[i].warm
            && rush_rebuild(ctl, ctl->wishes[i].id, 0) != RUSH_OK)
        {
            return RUSH_ERROR;
        }
    }

    if (rush_revoked_again(ctl) != RUSH_OK || RUSH_FP("C4")
        || rush_gate_mine(ctl) != RUSH_OK
        || rush_run_id(ctl, last) != RUSH_OK)
    {
        return RUSH_ERROR;
    }

    if (strcmp(first, last) != 0) {
        rush_log(RUSH_LOG_ERROR, "gate: redis changed during the rebuild");
        return RUSH_ERROR;
    }

    if (rush_gate_load(ctl, rush_gate_fence,
                       sizeof(rush_gate_fence) / sizeof(unsigned))
        != RUSH_OK)
    {
        return RUSH_ERROR;
    }

    memcpy(ctl->run_id, last, sizeof(last));
    ctl->redis_generation = rush_redis_generation(ctl->rd);
    rush_stat_add(ctl->daemon, rebuilds, 1);

    rush_log(RUSH_LOG_INFO, "gate: open after %lld ms",
             (long long) (rush_mono() - start) / 1000);

    return RUSH_OK;
}


/* some of the scripts may be there: nobody may run them now */

static int
rush_gate_flush(rush_controller_t *ctl)
{
    int          rc;
    redisReply  *reply;

    reply = rush_redis_words(ctl->rd, "SCRIPT", "FLUSH", NULL);
    rc = rush_reply_ok(reply, "script flush") ? RUSH_OK : RUSH_ERROR;
    freeReplyObject(reply);

    return rc;
}


static int
rush_gate_load(rush_controller_t *ctl, const unsigned *scripts, size_t n)
{
    size_t  i;

    for (i = 0; i < n; i++) {
        if (rush_redis_load(ctl->rd, scripts[i]) != RUSH_OK) {
            return RUSH_ERROR;
        }
    }

    return RUSH_OK;
}


/* an administrator may have ended our lock, though not our connection */

static int
rush_gate_mine(rush_controller_t *ctl)
{
    int          mine;
    rush_rows_t  rows;

    memset(&rows, 0, sizeof(rush_rows_t));

    if (rush_ctl_run(ctl, LOCK_MINE, NULL, 0, &rows) != RUSH_OK) {
        return RUSH_ERROR;
    }

    mine = rows.n == 1 && rush_cell_int(&rows, 0, 0) == 1;
    rush_rows_free(&rows);

    if (!mine) {
        ctl->lock_generation = 0;
        return RUSH_ERROR;
    }

    return RUSH_OK;
}
