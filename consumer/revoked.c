
/*
 * Copyright (C) Rush
 *
 * Workers learn of revoked tokens from the stream RUSH_REVOKE_KEY; what they
 * need to know is in MySQL as well.  A Redis that has lost its data gets it
 * again, else a worker that starts then would let revoked tokens in.
 */


#include "controller.h"


static int rush_revoked_send(rush_controller_t *ctl,
    const rush_rows_t *rows, const char *kind);


int
rush_revoked_check(rush_controller_t *ctl)
{
    int          there;
    redisReply  *reply;

    reply = rush_redis_words(ctl->rd, "EXISTS", RUSH_REVOKE_KEY, NULL);

    if (!rush_reply_ok(reply, "exists")) {
        freeReplyObject(reply);
        return RUSH_ERROR;
    }

    there = rush_reply_int(reply, 0) == 1;
    freeReplyObject(reply);

    return there ? RUSH_OK : rush_revoked_again(ctl);
}


int
rush_revoked_again(rush_controller_t *ctl)
{
    int           rc;
    rush_rows_t   rows;
    rush_param_t  param;

    memset(&rows, 0, sizeof(rush_rows_t));
    param = rush_p_int(rush_now() - RUSH_REVOKE_KEEP);

    rc = rush_ctl_run(ctl, REVOKED_USERS, &param, 1, &rows);

    if (rc == RUSH_OK) {
        rc = rush_revoked_send(ctl, &rows, "u");
    }

    if (rc == RUSH_OK) {
        rc = rush_ctl_run(ctl, REVOKED_SESSIONS, &param, 1, &rows);
    }

    if (rc == RUSH_OK) {
        rc = rush_revoked_send(ctl, &rows, "s");
    }

    rush_rows_free(&rows);

    return rc == RUSH_OK ? RUSH_OK : RUSH_ERROR;
}


static int
rush_revoked_send(rush_controller_t *ctl, const rush_rows_t *rows,
    const char *kind)
{
    size_t        i;
    redisReply   *reply;
    rush_args_t  *a;

    a = &ctl->args;

    for (i = 0; i < rows->n; i++) {
        rush_arg_text(a, "XADD");
        rush_arg_text(a, RUSH_REVOKE_KEY);
        rush_arg_text(a, "*");
        rush_arg_text(a, "k");
        rush_arg_text(a, kind);
        rush_arg_text(a, "i");
        rush_arg_str(a, rush_cell(rows, i, 0));
        rush_arg_text(a, "v");
        rush_arg_int(a, rows->cols > 1 ? rush_cell_int(rows, i, 1) : 0);

        if (rush_redis_push(ctl->rd, a) != RUSH_OK) {
            rush_redis_close(ctl->rd);
            return RUSH_ERROR;
        }
    }

    for (i = 0; i < rows->n; i++) {
        reply = rush_redis_pull(ctl->rd);

        if (!rush_reply_ok(reply, "xadd")) {
            freeReplyObject(reply);
            rush_redis_close(ctl->rd);
            return RUSH_ERROR;
        }

        freeReplyObject(reply);
    }

    if (rows->n > 0) {
        rush_log(RUSH_LOG_INFO, "revoked: %zu of kind \"%s\" sent again",
                 rows->n, kind);
    }

    return RUSH_OK;
}
