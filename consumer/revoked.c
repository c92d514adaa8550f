
/*
 * Copyright (C) Rush
 *
 * Workers learn of revoked tokens from the stream RUSH_REVOKE_KEY; what they
 * need to know is in MySQL as well.  A Redis that has lost its data gets it
 * again, else a worker that starts then would let revoked tokens in.
 *
 * A worker writes to MySQL first and tells others then.  It may be killed in
 * between, or never hear that the statement was executed.  So what is new in
 * MySQL is told once a second, too: twice, mostly, which does no harm.
 */


#include "controller.h"


#define RUSH_REVOKED_START    60000     /* ms, looked back by a new holder */
#define RUSH_REVOKED_OVERLAP  6000      /* ms, a statement and the clocks */


static int rush_revoked_since(rush_controller_t *ctl, int64_t since, int all);
static int rush_revoked_send(rush_controller_t *ctl,
    const rush_rows_t *rows, const char *kind, int all);
static int rush_revoked_told(rush_controller_t *ctl, int64_t id,
    int64_t version, char kind);


int
rush_revoked_check(rush_controller_t *ctl)
{
    int          there;
    int64_t      now, since;
    redisReply  *reply;

    reply = rush_redis_words(ctl->rd, "EXISTS", RUSH_REVOKE_KEY, NULL);

    if (!rush_reply_ok(reply, "exists")) {
        freeReplyObject(reply);
        return RUSH_ERROR;
    }

    there = rush_reply_int(reply, 0) == 1;
    freeReplyObject(reply);

    if (!there) {
        return rush_revoked_again(ctl);
    }

    now = rush_now();
    since = (ctl->revoked_ms ? ctl->revoked_ms : now - RUSH_REVOKED_START)
            - RUSH_REVOKED_OVERLAP;

    if (rush_revoked_since(ctl, since, 0) != RUSH_OK) {
        return RUSH_ERROR;
    }

    ctl->revoked_ms = now;

    return RUSH_OK;
}


int
rush_revoked_again(rush_controller_t *ctl)
{
    return rush_revoked_since(ctl, rush_now() - RUSH_REVOKE_KEEP, 1);
}


/* all: also what was told before */

static int
rush_revoked_since(rush_controller_t *ctl, int64_t since, int all)
{
    int           rc;
    rush_rows_t   rows;
    rush_param_t  param;

    memset(&rows, 0, sizeof(rush_rows_t));
    param = rush_p_int(since);

    rc = rush_ctl_run(ctl, REVOKED_USERS, &param, 1, &rows);

    if (rc == RUSH_OK) {
        rc = rush_revoked_send(ctl, &rows, "u", all);
    }

    if (rc == RUSH_OK) {
        rc = rush_ctl_run(ctl, REVOKED_SESSIONS, &param, 1, &rows);
    }

    if (rc == RUSH_OK) {
        rc = rush_revoked_send(ctl, &rows, "s", all);
    }

    if (rc != RUSH_OK) {
        memset(ctl->revoked_told, 0, sizeof(ctl->revoked_told));
    }

    rush_rows_free(&rows);

    return rc == RUSH_OK ? RUSH_OK : RUSH_ERROR;
}


static int
rush_revoked_send(rush_controller_t *ctl, const rush_rows_t *rows,
    const char *kind, int all)
{
    size_t        i, n;
    int64_t       version;
    redisReply   *reply;
    rush_args_t  *a;

    a = &ctl->args;

    n = 0;

    for (i = 0; i < rows->n; i++) {
        version = rows->cols > 1 ? rush_cell_int(rows, i, 1) : 0;

        if (rush_revoked_told(ctl, rush_cell_int(rows, i, 0), version,
                              kind[0])
            && !all)
        {
            continue;
        }

        rush_arg_text(a, "XADD");
        rush_arg_text(a, RUSH_REVOKE_KEY);
        rush_arg_text(a, "*");
        rush_arg_text(a, "k");
        rush_arg_text(a, kind);
        rush_arg_text(a, "i");
        rush_arg_str(a, rush_cell(rows, i, 0));
        rush_arg_text(a, "v");
        rush_arg_int(a, version);

        n++;

        if (rush_redis_push(ctl->rd, a) != RUSH_OK) {
            rush_redis_close(ctl->rd);
            return RUSH_ERROR;
        }
    }

    for (i = 0; i < n; i++) {
        reply = rush_redis_pull(ctl->rd);

        if (!rush_reply_ok(reply, "xadd")) {
            freeReplyObject(reply);
            rush_redis_close(ctl->rd);
            return RUSH_ERROR;
        }

        freeReplyObject(reply);
    }

    if (n > 0) {
        rush_log(all ? RUSH_LOG_INFO : RUSH_LOG_DEBUG,
                 "revoked: %zu of kind \"%s\" sent again", n, kind);
    }

    return RUSH_OK;
}


/* was it told before?  It counts as told now.  What falls out of the table is
 * told once more */

static int
rush_revoked_told(rush_controller_t *ctl, int64_t id, int64_t version,
    char kind)
{
    uint64_t  h, *cell;

    h = ((uint64_t) id << 1 | (kind == 's')) * 0x9e3779b97f4a7c15ULL;
    h = (h ^ (h >> 29) ^ (uint64_t) version) * 0xbf58476d1ce4e5b9ULL;
    h |= 1;                             /* not an empty cell */

    cell = &ctl->revoked_told[(h >> 32) % RUSH_REVOKED_CELLS];

    if (*cell == h) {
        return 1;
    }

    *cell = h;

    return 0;
}
