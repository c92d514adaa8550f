
/*
 * Copyright (C) Rush
 *
 * Compares one activity in MySQL and in Redis, without changing anything.
 * The numbers are those of the invariants in docs/consumer.md: I1 sold is
 * what the orders hold and at most total, I2 units left and held are total,
 * I3 nobody holds more than the limit, I8 states of orders, I9 units left are
 * total less sold, I10 the same buyers on both sides, I11 whoever was told
 * yes has a row, I12 nothing is left over.  I4 is held by unique keys.
 *
 * A sale may be running: sums are compared only when nothing moved while
 * they were read, buyers that seem to differ are looked at again.
 */


#include "controller.h"


#define RUSH_AUDIT_LINES   200          /* of one activity */
#define RUSH_AUDIT_TRIES   5


typedef struct {
    rush_meta_t      meta;
    int64_t          total;
    int64_t          sold;
    int64_t          live;              /* units of live orders */
    int64_t          back;              /* orders Redis has to hear of */
    int64_t          ops;               /* open */
    int64_t          queue;             /* entries not stored */
} rush_sums_t;


static int rush_audit_ledger(rush_audit_t *audit, const rush_wish_t *wish);
static int rush_audit_states(rush_audit_t *audit);
static int rush_audit_limit(rush_audit_t *audit, const rush_wish_t *wish);
static int rush_audit_redis(rush_audit_t *audit);
static int rush_audit_rest(rush_audit_t *audit);
static int rush_audit_loaded(rush_audit_t *audit, int *loaded);
static int rush_sums_read(rush_audit_t *audit, rush_sums_t *sums);
static int rush_sums_moving(rush_audit_t *audit, rush_sums_t *sums);
static int rush_sums_ledger(rush_audit_t *audit, rush_sums_t *sums);
static void rush_sums_check(rush_audit_t *audit, const rush_sums_t *sums,
    int64_t units);
static int rush_audit_count(rush_audit_t *audit, unsigned stmt, int64_t *n);


int
rush_audit(rush_audit_t *audit, const rush_wish_t *wish)
{
    if (rush_audit_ledger(audit, wish) != RUSH_OK
        || rush_audit_states(audit) != RUSH_OK
        || rush_audit_limit(audit, wish) != RUSH_OK)
    {
        return RUSH_ERROR;
    }

    if (wish->warm && rush_audit_redis(audit) != RUSH_OK) {
        return RUSH_ERROR;
    }

    return rush_audit_rest(audit);
}


int
rush_audit_wait(const rush_audit_t *audit)
{
    return rush_wait(audit->ctl->daemon, audit->ctl->daemon->conf.recheck);
}


void
rush_audit_tell(rush_audit_t *audit, const char *rule, const char *fmt, ...)
{
    char     text[400], name[40];
    va_list  args;

    audit->found++;

    if (audit->told == RUSH_AUDIT_LINES) {
        fmt = "more differences are only counted";

    } else if (audit->told > RUSH_AUDIT_LINES) {
        return;
    }

    audit->told++;

    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);

    snprintf(name, sizeof(name), "activity %lld", (long long) audit->id);

    if (audit->id == 0) {
        snprintf(name, sizeof(name), "books");
    }

    if (audit->out != NULL) {
        fprintf(audit->out, "%s %s: %s\n", rule, name, text);
        return;
    }

    rush_log(RUSH_LOG_WARN, "reconcile: %s %s: %s", rule, name, text);
}


static int
rush_audit_ledger(rush_audit_t *audit, const rush_wish_t *wish)
{
    rush_sums_t  sums;

    if (rush_sums_ledger(audit, &sums) != RUSH_OK) {
        return RUSH_ERROR;
    }

    if (sums.sold != sums.live) {
        audit->ledger++;
        rush_audit_tell(audit, "I1", "sold is %lld, live orders hold %lld "
                        "units", (long long) sums.sold,
                        (long long) sums.live);
    }

    if (sums.sold > sums.total) {
        rush_audit_tell(audit, "I1", "sold is %lld of %lld units",
                        (long long) sums.sold, (long long) sums.total);
    }

    return RUSH_OK;
}


static int
rush_audit_states(rush_audit_t *audit)
{
    size_t        i;
    rush_rows_t   rows;
    rush_param_t  param;

    memset(&rows, 0, sizeof(rush_rows_t));
    param = rush_p_int(audit->id);

    if (rush_ctl_run(audit->ctl, BAD_STATES, &param, 1, &rows) != RUSH_OK) {
        return RUSH_ERROR;
    }

    for (i = 0; i < rows.n; i++) {
        rush_audit_tell(audit, "I8", "order %s has status %s with stock "
                        "state %s", (char *) rush_cell(&rows, i, 0)->data,
                        (char *) rush_cell(&rows, i, 1)->data,
                        (char *) rush_cell(&rows, i, 2)->data);
    }

    rush_rows_free(&rows);

    return RUSH_OK;
}


static int
rush_audit_limit(rush_audit_t *audit, const rush_wish_t *wish)
{
    size_t        i;
    rush_rows_t   rows;
    rush_param_t  params[2];

    memset(&rows, 0, sizeof(rush_rows_t));

    params[0] = rush_p_int(audit->id);
    params[1] = rush_p_int(wish->limit);

    if (rush_ctl_run(audit->ctl, LEDGER_LIMIT, params, 2, &rows) != RUSH_OK) {
        return RUSH_ERROR;
    }

    for (i = 0; i < rows.n; i++) {
        rush_audit_tell(audit, "I3", "user %s holds %s units, the limit is "
                        "%lld", (char *) rush_cell(&rows, i, 0)->data,
                        (char *) rush_cell(&rows, i, 1)->data,
                        (long long) wish->limit);
    }

    rush_rows_free(&rows);

    return RUSH_OK;
}


static int
rush_audit_redis(rush_audit_t *audit)
{
    int          try, loaded;
    int64_t      units;
    rush_sums_t  before, after;

    if (rush_audit_loaded(audit, &loaded) != RUSH_OK) {
        return RUSH_ERROR;
    }

    if (!loaded) {
        audit->wrong++;
        rush_audit_tell(audit, "I9", "it is not loaded");
        return RUSH_OK;
    }

    if (rush_audit_holds(audit) != RUSH_OK) {
        return RUSH_ERROR;
    }

    for (try = 0; try < RUSH_AUDIT_TRIES; try++) {

        if (try > 0 && rush_audit_wait(audit)) {
            return RUSH_ERROR;
        }

        /* the sums are dear: not before they may agree */

        if (rush_sums_moving(audit, &before) != RUSH_OK) {
            return RUSH_ERROR;
        }

        if (before.ops || before.queue) {
            continue;
        }

        if (rush_sums_read(audit, &before) != RUSH_OK
            || rush_audit_units(audit, &units) != RUSH_OK
            || rush_sums_read(audit, &after) != RUSH_OK)
        {
            return RUSH_ERROR;
        }

        if (memcmp(&before, &after, sizeof(rush_sums_t)) == 0
            && after.back == 0 && after.ops == 0 && after.queue == 0)
        {
            rush_sums_check(audit, &after, units);
            return RUSH_OK;
        }
    }

    return RUSH_OK;
}


/* the controller may be at it */

static int
rush_audit_loaded(rush_audit_t *audit, int *loaded)
{
    int          try;
    rush_meta_t  meta;

    *loaded = 0;

    for (try = 0; try < RUSH_AUDIT_TRIES && !*loaded; try++) {

        if ((try > 0 && rush_audit_wait(audit))
            || rush_meta_read(audit->ctl, audit->id, &meta) != RUSH_OK)
        {
            return RUSH_ERROR;
        }

        *loaded = (meta.epoch != 0);
    }

    return RUSH_OK;
}


static int
rush_sums_read(rush_audit_t *audit, rush_sums_t *sums)
{
    if (rush_sums_ledger(audit, sums) != RUSH_OK
        || rush_meta_read(audit->ctl, audit->id, &sums->meta) != RUSH_OK)
    {
        return RUSH_ERROR;
    }

    return rush_sums_moving(audit, sums);
}


static int
rush_sums_moving(rush_audit_t *audit, rush_sums_t *sums)
{
    rush_queue_t  queue;

    if (rush_audit_count(audit, RUSH_CTL_SQL_OPS_OPEN, &sums->ops) != RUSH_OK
        || rush_queue_read(audit->ctl, audit->id, &queue) != RUSH_OK)
    {
        return RUSH_ERROR;
    }

    sums->queue = queue.lag + queue.pending;

    return RUSH_OK;
}


/* one statement: one moment */

static int
rush_sums_ledger(rush_audit_t *audit, rush_sums_t *sums)
{
    rush_rows_t   rows;
    rush_param_t  param;

    memset(sums, 0, sizeof(rush_sums_t));
    memset(&rows, 0, sizeof(rush_rows_t));
    param = rush_p_int(audit->id);

    if (rush_ctl_run(audit->ctl, LEDGER, &param, 1, &rows) != RUSH_OK) {
        return RUSH_ERROR;
    }

    if (rows.n == 1) {
        sums->total = rush_cell_int(&rows, 0, 0);
        sums->sold = rush_cell_int(&rows, 0, 1);
        sums->live = rush_cell_int(&rows, 0, 2);
        sums->back = rush_cell_int(&rows, 0, 3);
    }

    rush_rows_free(&rows);

    return RUSH_OK;
}


static void
rush_sums_check(rush_audit_t *audit, const rush_sums_t *sums, int64_t units)
{
    const rush_meta_t  *meta;

    meta = &sums->meta;

    if (meta->remain < 0 || meta->remain + units != meta->total) {
        audit->wrong++;
        rush_audit_tell(audit, "I2", "%lld units left and %lld held in "
                        "redis, total is %lld", (long long) meta->remain,
                        (long long) units, (long long) meta->total);
    }

    if (meta->total != sums->total
        || meta->remain != sums->total - sums->sold)
    {
        audit->wrong++;
        rush_audit_tell(audit, "I9", "%lld of %lld units left in redis, "
                        "%lld of %lld sold in mysql",
                        (long long) meta->remain, (long long) meta->total,
                        (long long) sums->sold, (long long) sums->total);
    }
}


/* what is still on its way is told only when it does not move on */

static int
rush_audit_rest(rush_audit_t *audit)
{
    int           try;
    int64_t       dead, left, least;
    rush_queue_t  queue;

    if (rush_audit_count(audit, RUSH_CTL_SQL_DEAD_LETTERS, &dead)
        != RUSH_OK)
    {
        return RUSH_ERROR;
    }

    if (dead > 0) {
        rush_audit_tell(audit, "I12", "%lld open dead letters",
                        (long long) dead);
    }

    least = INT64_MAX;

    for (try = 0; try < RUSH_AUDIT_TRIES; try++) {

        if (rush_queue_read(audit->ctl, audit->id, &queue) != RUSH_OK) {
            return RUSH_ERROR;
        }

        left = queue.lag + queue.pending;

        if (left == 0) {
            return RUSH_OK;
        }

        if (try > 0 && left < least) {
            return RUSH_OK;
        }

        least = left < least ? left : least;

        if (rush_audit_wait(audit)) {
            return RUSH_ERROR;
        }
    }

    rush_audit_tell(audit, "I12", "%lld entries of the stream are not "
                    "stored", (long long) left);

    return RUSH_OK;
}


static int
rush_audit_count(rush_audit_t *audit, unsigned stmt, int64_t *n)
{
    rush_rows_t   rows;
    rush_param_t  param;

    memset(&rows, 0, sizeof(rush_rows_t));
    param = rush_p_int(audit->id);

    if (rush_db_run(audit->ctl->db, &rush_ctl_sql[stmt], &param, 1, &rows)
        != RUSH_OK)
    {
        return RUSH_ERROR;
    }

    *n = rows.n == 1 ? rush_cell_int(&rows, 0, 0) : 0;
    rush_rows_free(&rows);

    return RUSH_OK;
}
