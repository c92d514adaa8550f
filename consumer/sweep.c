
/*
 * Copyright (C) Rush
 *
 * Orders that were not paid in time are cancelled, and what cancelled orders
 * held is given back.  A row is its own outbox: stock_state 1 asks for it, 2
 * the ledger has it, 3 Redis has it too.  The ledger goes first, so a rebuild
 * at any moment counts right, and release.lua does nothing twice.  Ordinary
 * orders hold units of a product: product.c.
 */


#include <stdlib.h>

#include "controller.h"


#define RUSH_SWEEP_ROUNDS  20           /* of one tick */


/* how orders of one kind give their units back */

typedef struct {
    unsigned          asked;            /* rows: order, owner, units */
    unsigned          mark;             /* one order */
    int             (*lower)(rush_controller_t *ctl, int64_t owner,
                             int64_t units);
} rush_back_t;


static int rush_sweep_unpaid(rush_controller_t *ctl, size_t *n);
static int rush_sweep_ledger(rush_controller_t *ctl, size_t *n);
static int rush_sweep_products(rush_controller_t *ctl, size_t *n);
static int rush_sweep_back(rush_controller_t *ctl, const rush_back_t *back,
    size_t *n);
static int rush_sweep_owner(rush_controller_t *ctl, const rush_back_t *back,
    const rush_rows_t *rows, size_t from, char *done);
static int rush_sweep_lower(rush_controller_t *ctl, int64_t activity,
    int64_t units);
static int rush_sweep_redis(rush_controller_t *ctl, size_t *n);
static int rush_sweep_release(rush_controller_t *ctl,
    const rush_rows_t *rows);
static int rush_sweep_done(rush_controller_t *ctl, const rush_rows_t *rows);
static int rush_sweep_mark(rush_controller_t *ctl, const rush_stmt_t *stmt,
    const rush_str_t *order_no, uint64_t *changed);


typedef int (*rush_sweep_pt)(rush_controller_t *ctl, size_t *n);

static const rush_sweep_pt  rush_sweep_parts[] = {
    rush_sweep_unpaid,
    rush_sweep_ledger,
    rush_sweep_products,
    rush_sweep_redis
};


int
rush_sweep(rush_controller_t *ctl)
{
    size_t  i, n, round;

    for (i = 0; i < sizeof(rush_sweep_parts) / sizeof(rush_sweep_pt); i++) {

        for (round = 0; round < RUSH_SWEEP_ROUNDS; round++) {

            if (rush_sweep_parts[i](ctl, &n) != RUSH_OK) {
                return RUSH_ERROR;
            }

            if (n < (size_t) ctl->daemon->conf.sweep_batch
                || rush_stopping(ctl->daemon))
            {
                break;
            }
        }
    }

    return RUSH_OK;
}


static int
rush_sweep_unpaid(rush_controller_t *ctl, size_t *n)
{
    int           rc;
    rush_rows_t   rows;
    rush_param_t  params[2];

    memset(&rows, 0, sizeof(rush_rows_t));

    /* so long a provider may take to say that nobody has paid */

    params[0] = rush_p_int(ctl->daemon->conf.pay.close_patience * 1000);
    params[1] = rush_p_int(ctl->daemon->conf.sweep_batch);

    rc = rush_ctl_run(ctl, SWEEP, params, 2, &rows);

    *n = (size_t) rows.affected;
    rush_rows_free(&rows);

    if (rc != RUSH_OK) {
        *n = 0;
        return rc == RUSH_DB_RETRY ? RUSH_OK : RUSH_ERROR;
    }

    rush_stat_add(ctl->daemon, timeouts, *n);

    return RUSH_OK;
}


static int
rush_sweep_ledger(rush_controller_t *ctl, size_t *n)
{
    static const rush_back_t  back = {
        RUSH_CTL_SQL_BACK_ASKED, RUSH_CTL_SQL_BACK_IN_LEDGER, rush_sweep_lower
    };

    return rush_sweep_back(ctl, &back, n);
}


/* an order that "taken" has no units for is no order of these: reconcile
 * tells of it, and the others do not wait behind it */

static int
rush_sweep_products(rush_controller_t *ctl, size_t *n)
{
    static const rush_back_t  back = {
        RUSH_CTL_SQL_PRODUCTS_ASKED, RUSH_CTL_SQL_PRODUCT_ORDER_BACK,
        rush_product_back
    };

    return rush_sweep_back(ctl, &back, n);
}


static int
rush_sweep_back(rush_controller_t *ctl, const rush_back_t *back, size_t *n)
{
    int           rc;
    char         *done;
    size_t        i;
    rush_rows_t   rows;
    rush_param_t  param;

    memset(&rows, 0, sizeof(rush_rows_t));
    param = rush_p_int(ctl->daemon->conf.sweep_batch);

    if (rush_db_run(ctl->db, &rush_ctl_sql[back->asked], &param, 1, &rows)
        != RUSH_OK)
    {
        return RUSH_ERROR;
    }

    *n = rows.n;
    done = calloc(rows.n + 1, 1);

    if (done == NULL) {
        rush_log(RUSH_LOG_ERROR, "sweep: no memory");
        rush_rows_free(&rows);
        return RUSH_ERROR;
    }

    rc = RUSH_OK;

    for (i = 0; i < rows.n && rc == RUSH_OK; i++) {
        if (!done[i]) {
            rc = rush_sweep_owner(ctl, back, &rows, i, done);
        }
    }

    free(done);
    rush_rows_free(&rows);

    if (rc == RUSH_DB_RETRY) {

        /* a deadlock: again at the next tick */

        *n = 0;
        return RUSH_OK;
    }

    return rc == RUSH_OK ? RUSH_OK : RUSH_ERROR;
}


/* one transaction; the hot row of the activity or the product is its last
 * one */

static int
rush_sweep_owner(rush_controller_t *ctl, const rush_back_t *back,
    const rush_rows_t *rows, size_t from, char *done)
{
    int       rc;
    size_t    i;
    int64_t   owner, units;
    uint64_t  changed;

    owner = rush_cell_int(rows, from, 1);
    units = 0;

    rc = rush_db_begin(ctl->db);

    for (i = from; i < rows->n && rc == RUSH_OK; i++) {

        if (rush_cell_int(rows, i, 1) != owner) {
            continue;
        }

        done[i] = 1;
        rc = rush_sweep_mark(ctl, &rush_ctl_sql[back->mark],
                             rush_cell(rows, i, 0), &changed);

        if (rc == RUSH_OK && changed == 1) {
            units += rush_cell_int(rows, i, 2);
        }
    }

    if (rc == RUSH_OK && units > 0) {
        rc = back->lower(ctl, owner, units);
    }

    if (rc == RUSH_OK) {
        return rush_db_commit(ctl->db);
    }

    rush_db_rollback(ctl->db);

    /* a broken sum stops its activity or product only: repair mends it */

    return rc == RUSH_DB_DATA ? RUSH_OK : rc;
}


static int
rush_sweep_lower(rush_controller_t *ctl, int64_t activity, int64_t units)
{
    int           rc;
    rush_rows_t   rows;
    rush_param_t  params[3];

    memset(&rows, 0, sizeof(rush_rows_t));

    params[0] = rush_p_int(units);
    params[1] = rush_p_int(activity);
    params[2] = rush_p_int(units);

    rc = rush_ctl_run(ctl, LEDGER_LOWER, params, 3, &rows);

    if (rc == RUSH_OK && rows.affected != 1) {
        rush_log(RUSH_LOG_ALERT, "activity %lld: %lld units come back, but "
                 "fewer are sold", (long long) activity, (long long) units);
        rc = RUSH_DB_DATA;
    }

    rush_rows_free(&rows);

    return rc;
}


static int
rush_sweep_redis(rush_controller_t *ctl, size_t *n)
{
    int           rc;
    rush_rows_t   rows;
    rush_param_t  param;

    memset(&rows, 0, sizeof(rush_rows_t));
    param = rush_p_int(ctl->daemon->conf.sweep_batch);

    if (rush_ctl_run(ctl, BACK_TO_REDIS, &param, 1, &rows) != RUSH_OK) {
        return RUSH_ERROR;
    }

    *n = rows.n;
    rc = RUSH_OK;

    if (rows.n > 0) {
        rc = rush_sweep_release(ctl, &rows);

        if (rc == RUSH_OK && RUSH_FP("D10")) {
            rc = RUSH_ERROR;
        }

        if (rc == RUSH_OK) {
            rc = rush_sweep_done(ctl, &rows);
        }
    }

    rush_rows_free(&rows);

    return rc;
}


static int
rush_sweep_release(rush_controller_t *ctl, const rush_rows_t *rows)
{
    int           rc;
    size_t        i;
    int64_t       activity;
    redisReply   *reply;
    rush_args_t  *a;

    a = &ctl->args;

    for (i = 0; i < rows->n; i++) {
        activity = rush_cell_int(rows, i, 1);

        rush_arg_text(a, "EVALSHA");
        rush_arg(a, rush_redis_sha(RUSH_LUA_RELEASE), RUSH_SHA_LEN);
        rush_arg_text(a, "2");
        rush_arg_key(a, activity, 'm');
        rush_arg_key(a, activity, 'u');
        rush_arg_str(a, rush_cell(rows, i, 2));
        rush_arg_str(a, rush_cell(rows, i, 3));
        rush_arg_str(a, rush_cell(rows, i, 0));
        rush_arg_str(a, rush_cell(rows, i, 4));

        if (rush_redis_push(ctl->rd, a) != RUSH_OK) {
            rush_redis_close(ctl->rd);
            return RUSH_ERROR;
        }
    }

    rc = RUSH_OK;

    for (i = 0; i < rows->n; i++) {
        reply = rush_redis_pull(ctl->rd);

        if (reply == NULL) {
            return RUSH_ERROR;
        }

        if (reply->type != REDIS_REPLY_INTEGER) {

            /* NOSCRIPT: the gate has shut; the rows wait */

            if (rc == RUSH_OK) {
                (void) rush_reply_ok(reply, "release.lua");
            }

            rc = RUSH_ERROR;

        } else {
            rush_stat_add(ctl->daemon, releases, reply->integer);
        }

        freeReplyObject(reply);
    }

    return rc;
}


static int
rush_sweep_done(rush_controller_t *ctl, const rush_rows_t *rows)
{
    int       rc;
    size_t    i;
    uint64_t  changed;

    rc = rush_db_begin(ctl->db);

    for (i = 0; i < rows->n && rc == RUSH_OK; i++) {
        rc = rush_sweep_mark(ctl, &rush_ctl_sql[RUSH_CTL_SQL_BACK_DONE],
                             rush_cell(rows, i, 0), &changed);
    }

    if (rc == RUSH_OK && rush_db_commit(ctl->db) == RUSH_OK) {
        return RUSH_OK;
    }

    rush_db_rollback(ctl->db);

    return RUSH_ERROR;
}


static int
rush_sweep_mark(rush_controller_t *ctl, const rush_stmt_t *stmt,
    const rush_str_t *order_no, uint64_t *changed)
{
    int           rc;
    rush_rows_t   rows;
    rush_param_t  param;

    memset(&rows, 0, sizeof(rush_rows_t));
    param = rush_p_str(order_no);

    rc = rush_db_run(ctl->db, stmt, &param, 1, &rows);
    *changed = rows.affected;
    rush_rows_free(&rows);

    return rc;
}
