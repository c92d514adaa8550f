
/*
 * Copyright (C) Rush
 *
 * The controller's loop.  Nothing is remembered that matters: each tick
 * compares what MySQL wants with what Redis has, so a new holder of the lock
 * goes on where the old one was killed.
 */


#include <stdlib.h>

#include "dead.h"


#define RUSH_GUARD_PERIOD  1000000      /* us */
#define RUSH_BANS_PERIOD   1000000      /* us */
#define RUSH_DEAD_PERIOD   500000       /* us */
#define RUSH_GATE_PERIOD   1000000      /* us, between tries to open */


static void rush_controller_tick(rush_controller_t *ctl);
static void rush_controller_users(rush_controller_t *ctl);
static int rush_controller_gate(rush_controller_t *ctl);
static int rush_controller_stock(rush_controller_t *ctl);
static int rush_controller_repair(rush_controller_t *ctl);
static int rush_controller_due(int64_t *next, int64_t period);


int
rush_controller_run(rush_daemon_t *d)
{
    rush_controller_t  ctl;

    if (!d->conf.controller) {
        return RUSH_OK;
    }

    rush_log_thread("controller");

    if (rush_controller_open(&ctl, d, "controller") != RUSH_OK) {
        return RUSH_ERROR;
    }

    while (!rush_wait(d, d->conf.poll)) {
        rush_controller_tick(&ctl);
    }

    /* the lock goes with the connection */

    rush_controller_close(&ctl);
    rush_stat_set(d, controller, 0);

    return RUSH_OK;
}


int
rush_controller_open(rush_controller_t *ctl, rush_daemon_t *d,
    const char *name)
{
    memset(ctl, 0, sizeof(rush_controller_t));

    ctl->daemon = d;
    ctl->rd = rush_redis_create(d, name);
    ctl->db = rush_db_create(d, name);

    if (ctl->rd == NULL || ctl->db == NULL) {
        rush_controller_close(ctl);
        return RUSH_ERROR;
    }

    return RUSH_OK;
}


void
rush_controller_close(rush_controller_t *ctl)
{
    rush_store_destroy(ctl->store);
    rush_redis_destroy(ctl->rd);
    rush_db_destroy(ctl->db);
    rush_args_free(&ctl->args);

    free(ctl->wishes);
    free(ctl->metas);
    free(ctl->guards);
}


int
rush_controller_lock(rush_controller_t *ctl)
{
    int64_t      got;
    rush_rows_t  rows;

    if (ctl->lock_generation == rush_db_generation(ctl->db)) {
        return 1;
    }

    ctl->lock_generation = 0;
    memset(&rows, 0, sizeof(rush_rows_t));

    if (rush_ctl_run(ctl, LOCK_GET, NULL, 0, &rows) != RUSH_OK) {
        return RUSH_ERROR;
    }

    got = rows.n == 1 ? rush_cell_int(&rows, 0, 0) : 0;
    rush_rows_free(&rows);

    if (got != 1) {
        return 0;
    }

    ctl->lock_generation = rush_db_generation(ctl->db);
    ctl->run_id[0] = '\0';
    ctl->revoked_ms = 0;

    return 1;
}


static void
rush_controller_tick(rush_controller_t *ctl)
{
    int             held, had;
    rush_daemon_t  *d;

    d = ctl->daemon;
    had = (int) rush_stat_get(d, controller);

    held = rush_db_ready(ctl->db) == RUSH_OK
           && rush_controller_lock(ctl) == 1;

    rush_stat_set(d, controller, held);

    if (held != had) {
        rush_log(RUSH_LOG_INFO, held ? "controller: the lock is ours"
                                     : "controller: the lock is lost");
    }

    if (!held || RUSH_FP("C1")) {
        return;
    }

    rush_controller_users(ctl);

    if (rush_redis_ready(ctl->rd) != RUSH_OK
        || rush_controller_gate(ctl) != RUSH_OK
        || rush_wishes_read(ctl, RUSH_CTL_SQL_ACTIVITIES) != RUSH_OK
        || rush_metas_read(ctl) != RUSH_OK)
    {
        return;
    }

    if (rush_controller_due(&ctl->next_guard, RUSH_GUARD_PERIOD)
        && (rush_guard(ctl) != RUSH_OK
            || rush_revoked_check(ctl) != RUSH_OK))
    {
        return;
    }

    if (rush_follow(ctl) != RUSH_OK || rush_controller_stock(ctl) != RUSH_OK) {
        return;
    }

    if (rush_controller_due(&ctl->next_erase,
                            d->conf.erase_interval * 1000)
        && rush_erase(ctl) != RUSH_OK)
    {
        return;
    }

    (void) rush_controller_repair(ctl);
}


/* what needs no Redis: a trouble there must not stop it, nor this the sale */

static void
rush_controller_users(rush_controller_t *ctl)
{
    rush_param_t  params[2];

    (void) rush_audit_log_move(ctl);

    if (rush_controller_due(&ctl->next_bans, RUSH_BANS_PERIOD)) {
        params[0] = rush_p_int(rush_now());
        params[1] = params[0];

        (void) rush_ctl_run(ctl, BANS_LIFT, params, 2, NULL);
    }

    if (rush_controller_due(&ctl->next_dead, RUSH_DEAD_PERIOD)) {
        (void) rush_dead_asked(ctl);
    }
}


static int
rush_controller_gate(rush_controller_t *ctl)
{
    int  rc;

    rc = rush_gate(ctl);

    if (rc != 0) {
        return rc == 1 ? RUSH_OK : RUSH_ERROR;
    }

    if (!rush_controller_due(&ctl->next_gate, RUSH_GATE_PERIOD)) {
        return RUSH_ERROR;
    }

    return rush_gate_open(ctl);
}


static int
rush_controller_stock(rush_controller_t *ctl)
{
    rush_conf_t  *conf;

    conf = &ctl->daemon->conf;

    if (rush_stock_ops(ctl) != RUSH_OK) {
        return RUSH_ERROR;
    }

    if (rush_controller_due(&ctl->next_sweep, conf->sweep * 1000)
        && (rush_sweep(ctl) != RUSH_OK || rush_late(ctl) != RUSH_OK))
    {
        return RUSH_ERROR;
    }

    if (rush_controller_due(&ctl->next_trim, conf->trim_interval * 1000000)) {
        return rush_trim(ctl);
    }

    return RUSH_OK;
}


/* what administrators asked for; auditor.c looks at all */

static int
rush_controller_repair(rush_controller_t *ctl)
{
    size_t        i;
    rush_audit_t  audit;
    rush_wish_t   wish;
    rush_param_t  param;

    for (i = 0; i < ctl->n && !rush_stopping(ctl->daemon); i++) {

        if (!ctl->wishes[i].repair) {
            continue;
        }

        /* this tick may have changed the row */

        if (rush_wish_read(ctl, ctl->wishes[i].id, &wish) != RUSH_OK
            || rush_reconcile(ctl, &wish, 1, NULL, &audit) != RUSH_OK)
        {
            return RUSH_ERROR;
        }

        param = rush_p_int(wish.id);

        if (rush_ctl_run(ctl, REPAIR_DONE, &param, 1, NULL) != RUSH_OK) {
            return RUSH_ERROR;
        }
    }

    return RUSH_OK;
}


static int
rush_controller_due(int64_t *next, int64_t period)
{
    int64_t  now;

    now = rush_mono();

    if (now < *next) {
        return 0;
    }

    *next = now + period;

    return 1;
}
