
/*
 * Copyright (C) Rush
 *
 * Units added to an activity or withdrawn from it.  Redis must never have
 * more to sell than the ledger: growth goes to MySQL first, a withdrawal to
 * Redis first.  adjust.lua remembers the id of an operation, so each step
 * may be repeated.
 */


#include "controller.h"


#define RUSH_OP_ASKED    0
#define RUSH_OP_LEDGER   1
#define RUSH_OP_DONE     2
#define RUSH_OP_REFUSED  3


typedef struct {
    int64_t           id;
    int64_t           activity;
    int64_t           delta;
    int64_t           state;
    int64_t           warm;
} rush_op_t;


static int rush_op_run(rush_controller_t *ctl, rush_op_t *op);
static int rush_op_grow(rush_controller_t *ctl, rush_op_t *op);
static int rush_op_shrink(rush_controller_t *ctl, rush_op_t *op);
static int rush_op_ledger(rush_controller_t *ctl, rush_op_t *op, int to);
static int rush_op_redis(rush_controller_t *ctl, rush_op_t *op,
    int64_t *result);
static int rush_op_state(rush_controller_t *ctl, rush_op_t *op, int to,
    uint64_t *changed);
static int rush_op_close(rush_controller_t *ctl, rush_op_t *op, int to);


int
rush_stock_ops(rush_controller_t *ctl)
{
    int          rc;
    size_t       i;
    rush_op_t    op;
    rush_rows_t  rows;

    memset(&rows, 0, sizeof(rush_rows_t));

    if (rush_ctl_run(ctl, OPS, NULL, 0, &rows) != RUSH_OK) {
        return RUSH_ERROR;
    }

    rc = RUSH_OK;

    for (i = 0; i < rows.n && rc == RUSH_OK; i++) {
        op.id = rush_cell_int(&rows, i, 0);
        op.activity = rush_cell_int(&rows, i, 1);
        op.delta = rush_cell_int(&rows, i, 2);
        op.state = rush_cell_int(&rows, i, 3);
        op.warm = rush_cell_int(&rows, i, 4);

        rc = rush_op_run(ctl, &op);
    }

    rush_rows_free(&rows);

    return rc;
}


static int
rush_op_run(rush_controller_t *ctl, rush_op_t *op)
{
    if (op->delta < 0 && op->warm) {
        return rush_op_shrink(ctl, op);
    }

    return rush_op_grow(ctl, op);
}


/* also what is withdrawn from an activity that is not in Redis */

static int
rush_op_grow(rush_controller_t *ctl, rush_op_t *op)
{
    int      rc;
    int64_t  result;

    if (op->state == RUSH_OP_ASKED) {
        rc = rush_op_ledger(ctl, op, RUSH_OP_LEDGER);

        if (rc != 1) {
            return rc;
        }

        op->state = RUSH_OP_LEDGER;
    }

    if (op->warm) {

        if (rush_op_redis(ctl, op, &result) != RUSH_OK) {
            return RUSH_ERROR;
        }

        if (result == -1) {

            /* the rebuild that comes knows it from the state of the row */

            return RUSH_OK;
        }
    }

    return rush_op_close(ctl, op, RUSH_OP_DONE);
}


static int
rush_op_shrink(rush_controller_t *ctl, rush_op_t *op)
{
    int      rc;
    int64_t  result;

    if (rush_op_redis(ctl, op, &result) != RUSH_OK) {
        return RUSH_ERROR;
    }

    if (result == -1) {
        return RUSH_OK;
    }

    if (result == 0) {
        return rush_op_close(ctl, op, RUSH_OP_REFUSED);
    }

    rc = rush_op_ledger(ctl, op, RUSH_OP_DONE);

    if (rc == 1) {
        rush_stat_add(ctl->daemon, adjusts, 1);
        return RUSH_OK;
    }

    if (rc == 0) {

        /* Redis sold less than the ledger did: that cannot be */

        return rush_alarm(ctl->daemon, ctl->db, "adjust_refused",
                          op->activity, "redis gave up %lld units that the "
                          "ledger has sold", (long long) -op->delta)
               == RUSH_OK ? RUSH_OK : RUSH_ERROR;
    }

    return rc;
}


/* the sum and the state of the operation in one transaction: 1 done, 0
 * refused (then the operation is closed), RUSH_ERROR */

static int
rush_op_ledger(rush_controller_t *ctl, rush_op_t *op, int to)
{
    int           rc;
    uint64_t      changed;
    rush_rows_t   rows;
    rush_param_t  params[4];

    memset(&rows, 0, sizeof(rush_rows_t));

    if (rush_db_begin(ctl->db) != RUSH_OK) {
        return RUSH_ERROR;
    }

    params[0] = rush_p_int(op->delta);
    params[1] = rush_p_int(op->activity);
    params[2] = rush_p_int(op->delta);
    params[3] = rush_p_int(op->delta);

    rc = rush_ctl_run(ctl, OP_TOTAL, params, 4, &rows);
    changed = rows.affected;
    rush_rows_free(&rows);

    if (rc == RUSH_OK && changed == 0 && op->delta != 0) {
        rush_db_rollback(ctl->db);

        rc = rush_op_close(ctl, op, RUSH_OP_REFUSED);
        return rc == RUSH_OK ? 0 : rc;
    }

    if (rc == RUSH_OK) {
        rc = rush_op_state(ctl, op, to, &changed);
    }

    if (rc != RUSH_OK || changed != 1) {
        rush_db_rollback(ctl->db);
        return RUSH_ERROR;
    }

    return rush_db_commit(ctl->db) == RUSH_OK ? 1 : RUSH_ERROR;
}


static int
rush_op_redis(rush_controller_t *ctl, rush_op_t *op, int64_t *result)
{
    redisReply  *reply;

    rush_arg_int(&ctl->args, op->id);
    rush_arg_int(&ctl->args, op->delta);

    reply = rush_redis_script(ctl->rd, RUSH_LUA_ADJUST, op->activity, "muso",
                              &ctl->args);

    if (!rush_reply_ok(reply, "adjust.lua")) {
        freeReplyObject(reply);
        return RUSH_ERROR;
    }

    *result = -1;

    if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 2) {
        *result = rush_reply_int(reply->element[0], -1);
    }

    freeReplyObject(reply);

    return RUSH_FP("C6") ? RUSH_ERROR : RUSH_OK;
}


static int
rush_op_state(rush_controller_t *ctl, rush_op_t *op, int to,
    uint64_t *changed)
{
    int           rc;
    rush_rows_t   rows;
    rush_param_t  params[4];

    memset(&rows, 0, sizeof(rush_rows_t));

    params[0] = rush_p_int(to);
    params[1] = rush_p_int(to >= RUSH_OP_DONE ? rush_now() : 0);
    params[2] = rush_p_int(op->id);
    params[3] = rush_p_int(op->state);

    rc = rush_ctl_run(ctl, OP_STATE, params, 4, &rows);
    *changed = rows.affected;
    rush_rows_free(&rows);

    return rc;
}


static int
rush_op_close(rush_controller_t *ctl, rush_op_t *op, int to)
{
    uint64_t  changed;

    if (rush_op_state(ctl, op, to, &changed) != RUSH_OK) {
        return RUSH_ERROR;
    }

    rush_log(RUSH_LOG_INFO, "activity %lld: %+lld units %s",
             (long long) op->activity, (long long) op->delta,
             to == RUSH_OP_DONE ? "done" : "refused");

    if (to == RUSH_OP_DONE) {
        rush_stat_add(ctl->daemon, adjusts, 1);
    }

    return RUSH_OK;
}
