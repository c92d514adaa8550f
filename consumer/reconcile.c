
/*
 * Copyright (C) Rush
 *
 * rush-consumer --reconcile, and what the controller does for repair = 1.
 * An order that is held in Redis, has no row and is in no dead letter is put
 * into the stream again; all other differences are mended by a rebuild of
 * the activity from MySQL, which is the ledger.
 */


#include <stdlib.h>

#include "controller.h"


#define RUSH_CLI_CONNECT  5000          /* ms */
#define RUSH_CLI_REPAIR   60000         /* ms, the controller takes at most */


typedef struct {
    size_t           activities;
    size_t           orders;
    size_t           found;
} rush_total_t;


static int rush_repair(rush_controller_t *ctl, const rush_wish_t *wish,
    rush_audit_t *audit);
static int rush_repair_lost(rush_controller_t *ctl, const rush_wish_t *wish,
    rush_audit_t *audit, size_t *dropped, size_t *open);
static int rush_lost_dead(rush_controller_t *ctl, int64_t id,
    const rush_str_t *order, int64_t *state);
static int rush_lost_order(rush_controller_t *ctl, int64_t id,
    const char *name, rush_buf_t *order);
static int rush_lost_units(rush_controller_t *ctl, int64_t id,
    const char *name, const char *last, int64_t *qty);
static int rush_lost_add(rush_controller_t *ctl, int64_t id,
    const rush_meta_t *meta, const char *name, const rush_str_t *order,
    int64_t qty);
static int rush_cli_connect(rush_controller_t *ctl);
static int rush_cli_run(rush_controller_t *ctl, int repair, int dry_run);
static int rush_cli_pass(rush_controller_t *ctl, int repair, int quiet,
    rush_total_t *total);
static int rush_cli_ask(rush_controller_t *ctl);
static int rush_cli_wait(rush_controller_t *ctl);


int
rush_reconcile(rush_controller_t *ctl, const rush_wish_t *wish, int repair,
    FILE *out, rush_audit_t *audit)
{
    int  rc;

    memset(audit, 0, sizeof(rush_audit_t));
    audit->ctl = ctl;
    audit->out = out;
    audit->id = wish->id;

    rc = rush_audit(audit, wish);

    if (rc == RUSH_OK && repair
        && (audit->lost || audit->wrong || audit->ledger))
    {
        rc = rush_repair(ctl, wish, audit);

        rush_buf_free(&audit->names);
        memset(audit, 0, sizeof(rush_audit_t));
        audit->ctl = ctl;
        audit->out = out;
        audit->id = wish->id;

        if (rc == RUSH_OK) {
            rc = rush_audit(audit, wish);
        }
    }

    rush_buf_free(&audit->names);

    return rc;
}


static int
rush_repair(rush_controller_t *ctl, const rush_wish_t *wish,
    rush_audit_t *audit)
{
    size_t        dropped, open;
    rush_rows_t   rows;
    rush_param_t  params[3];

    dropped = 0;
    open = 0;

    if (audit->lost
        && rush_repair_lost(ctl, wish, audit, &dropped, &open) != RUSH_OK)
    {
        return RUSH_ERROR;
    }

    if (open > 0) {

        /* a rebuild would sell again what they hold */

        rush_log(RUSH_LOG_WARN, "activity %lld: %zu orders in dead letters "
                 "have to be replayed or discarded first",
                 (long long) wish->id, open);
        return RUSH_OK;
    }

    rush_stat_add(ctl->daemon, repairs, 1);

    if (wish->warm) {

        if (audit->wrong || audit->ledger || dropped) {
            return rush_rebuild(ctl, wish->id, 1);
        }

        return RUSH_OK;
    }

    /* nobody buys or stores: the sum can be corrected in place */

    memset(&rows, 0, sizeof(rush_rows_t));
    params[0] = rush_p_int(wish->id);

    if (rush_ctl_run(ctl, LEDGER, params, 1, &rows) != RUSH_OK
        || rows.n != 1)
    {
        rush_rows_free(&rows);
        return RUSH_ERROR;
    }

    params[0] = rush_p_int(rush_cell_int(&rows, 0, 2));
    params[1] = rush_p_int(wish->id);
    params[2] = rush_p_int(rush_cell_int(&rows, 0, 1));
    rush_rows_free(&rows);

    return rush_ctl_run(ctl, SOLD_FIX, params, 3, NULL) == RUSH_OK
           ? RUSH_OK : RUSH_ERROR;
}


/* dropped: orders that somebody discarded as dead letters; the rebuild gives
 * their units back.  open: nobody has decided yet */

static int
rush_repair_lost(rush_controller_t *ctl, const rush_wish_t *wish,
    rush_audit_t *audit, size_t *dropped, size_t *open)
{
    int           rc;
    char         *name, *last;
    int64_t       qty, state;
    rush_buf_t    text;
    rush_str_t    order;
    rush_meta_t   meta;

    if (audit->names.failed
        || rush_meta_read(ctl, wish->id, &meta) != RUSH_OK)
    {
        return RUSH_ERROR;
    }

    memset(&text, 0, sizeof(rush_buf_t));
    name = (char *) audit->names.data;
    last = name + audit->names.len;
    rc = RUSH_OK;

    for ( /* void */ ; name < last && rc == RUSH_OK; name += strlen(name) + 1)
    {
        rush_buf_reset(&text);
        rc = rush_lost_order(ctl, wish->id, name, &text);

        if (rc != RUSH_OK || text.len == 0) {
            continue;
        }

        order.data = text.data;
        order.len = text.len;
        rc = rush_lost_dead(ctl, wish->id, &order, &state);

        if (rc != RUSH_OK) {
            continue;
        }

        if (state == 0 || state == 3) {
            (*open)++;
            continue;
        }

        if (state == 2) {
            (*dropped)++;
            continue;
        }

        rc = rush_lost_units(ctl, wish->id, name, last, &qty);

        if (rc == RUSH_OK) {
            rc = rush_lost_add(ctl, wish->id, &meta, name, &order, qty);
        }
    }

    rush_buf_free(&text);

    if (rc != RUSH_OK) {
        return rc;
    }

    return rush_stream_drain(ctl->daemon, ctl->rd, ctl->db, wish->id);
}


/* -1: it is in no dead letter */

static int
rush_lost_dead(rush_controller_t *ctl, int64_t id, const rush_str_t *order,
    int64_t *state)
{
    rush_rows_t   rows;
    rush_param_t  params[2];

    memset(&rows, 0, sizeof(rush_rows_t));

    params[0] = rush_p_int(id);
    params[1] = rush_p_str(order);

    if (rush_ctl_run(ctl, DEAD_STATE, params, 2, &rows) != RUSH_OK) {
        return RUSH_ERROR;
    }

    *state = rows.n ? rush_cell_int(&rows, 0, 0) : -1;
    rush_rows_free(&rows);

    return RUSH_OK;
}


/* nothing: it is held no more */

static int
rush_lost_order(rush_controller_t *ctl, int64_t id, const char *name,
    rush_buf_t *order)
{
    redisReply  *reply;

    rush_arg_text(&ctl->args, "HGET");
    rush_arg_key(&ctl->args, id, 'u');
    rush_arg_text(&ctl->args, name);

    reply = rush_redis_call(ctl->rd, &ctl->args);

    if (!rush_reply_ok(reply, "hget")) {
        freeReplyObject(reply);
        return RUSH_ERROR;
    }

    if (reply->type == REDIS_REPLY_STRING && reply->str[0] != '-') {
        rush_buf_add(order, reply->str, (size_t) reply->len);
    }

    freeReplyObject(reply);

    return order->failed ? RUSH_ERROR : RUSH_OK;
}


/*
 * Redis keeps units by user, not by order.  The user's units that have no
 * row belong to his lost orders: one each, the rest to the first of them
 * ("name"; the others follow it).  What was added before counts as stored.
 */

static int
rush_lost_units(rush_controller_t *ctl, int64_t id, const char *name,
    const char *last, int64_t *qty)
{
    char          user[24];
    size_t        len;
    int64_t       held, more;
    rush_buf_t    text;
    rush_rows_t   rows;
    rush_param_t  params[2];

    len = (size_t) (strchr(name, ':') - name);
    snprintf(user, sizeof(user), "%.*s", (int) len, name);

    memset(&text, 0, sizeof(rush_buf_t));
    memset(&rows, 0, sizeof(rush_rows_t));

    if (rush_lost_order(ctl, id, user, &text) != RUSH_OK) {
        rush_buf_free(&text);
        return RUSH_ERROR;
    }

    rush_buf_add(&text, "", 1);
    held = text.failed ? 0 : strtoll((char *) text.data, NULL, 10);
    rush_buf_free(&text);

    params[0] = rush_p_int(strtoll(user, NULL, 10));
    params[1] = rush_p_int(id);

    if (rush_ctl_run(ctl, UNITS_OF_USER, params, 2, &rows) != RUSH_OK) {
        return RUSH_ERROR;
    }

    held -= rows.n == 1 ? rush_cell_int(&rows, 0, 0) : 0;
    rush_rows_free(&rows);

    more = 0;

    for (name += strlen(name) + 1; name < last; name += strlen(name) + 1) {
        if (strncmp(name, user, len) == 0 && name[len] == ':') {
            more++;
        }
    }

    *qty = held - more > 1 ? held - more : 1;

    return RUSH_OK;
}


static int
rush_lost_add(rush_controller_t *ctl, int64_t id, const rush_meta_t *meta,
    const char *name, const rush_str_t *order, int64_t qty)
{
    int           rc;
    char          grant[200];
    size_t        len;
    redisReply   *reply;
    rush_args_t  *a;

    a = &ctl->args;
    len = (size_t) (strchr(name, ':') - name);

    snprintf(grant, sizeof(grant), "%.*s %s %.*s %lld", (int) len, name,
             name + len + 1, (int) order->len, (char *) order->data,
             (long long) qty);

    rush_arg_text(a, "XADD");
    rush_arg_key(a, id, 's');
    rush_arg_text(a, "*");
    rush_arg_text(a, "e");
    rush_arg_int(a, meta->epoch);
    rush_arg_text(a, "t");
    rush_arg_int(a, rush_now());
    rush_arg_text(a, "p");
    rush_arg_int(a, meta->price_ver);
    rush_arg_text(a, "g");
    rush_arg_text(a, grant);

    reply = rush_redis_call(ctl->rd, a);
    rc = rush_reply_ok(reply, "xadd") ? RUSH_OK : RUSH_ERROR;
    freeReplyObject(reply);

    if (rc == RUSH_OK) {
        rush_log(RUSH_LOG_WARN, "activity %lld: order %.*s is in the stream "
                 "again", (long long) id, (int) order->len,
                 (char *) order->data);

        /* stored at once: the next order of the user sees it */

        rc = rush_stream_drain(ctl->daemon, ctl->rd, ctl->db, id);
    }

    return rc;
}


int
rush_reconcile_main(rush_daemon_t *d, int repair, int dry_run)
{
    int                rc;
    rush_controller_t  ctl;

    if (rush_controller_open(&ctl, d, "reconcile") != RUSH_OK) {
        return 2;
    }

    rc = rush_cli_connect(&ctl);

    if (rc == 0) {
        rc = rush_cli_run(&ctl, repair, dry_run);
    }

    rush_controller_close(&ctl);

    return rc;
}


static int
rush_cli_connect(rush_controller_t *ctl)
{
    int64_t  until;

    until = rush_mono() + RUSH_CLI_CONNECT * 1000;

    while (rush_db_ready(ctl->db) != RUSH_OK
           || rush_redis_ready(ctl->rd) != RUSH_OK)
    {
        if (rush_wait(ctl->daemon, 50) || rush_mono() > until) {
            fprintf(stderr, "reconcile: mysql or redis cannot be reached\n");
            return 2;
        }
    }

    if (rush_gate(ctl) != 1) {
        fprintf(stderr, "reconcile: the gate is shut: redis has no scripts, "
                "the controller has to rebuild it first\n");
        return 2;
    }

    return 0;
}


static int
rush_cli_run(rush_controller_t *ctl, int repair, int dry_run)
{
    int           rc, lock;
    rush_total_t  total;

    if (rush_cli_pass(ctl, 0, 0, &total) != RUSH_OK) {
        fprintf(stderr, "reconcile: a connection was lost\n");
        return 2;
    }

    if (total.found && repair && dry_run) {
        printf("repair would put lost orders into their streams again and "
               "rebuild what differs\n");

    } else if (total.found && repair) {
        printf("repairing\n");
        lock = rush_controller_lock(ctl);
        rc = lock == 1 ? rush_cli_pass(ctl, 1, 1, &total)
             : lock == 0 ? rush_cli_ask(ctl) : RUSH_ERROR;

        if (rc != RUSH_OK || rush_cli_pass(ctl, 0, 0, &total) != RUSH_OK) {
            fprintf(stderr, "reconcile: the repair did not end\n");
            return 2;
        }
    }

    printf("reconcile: %zu activities, %zu orders held, %zu differences\n",
           total.activities, total.orders, total.found);

    return total.found ? 1 : 0;
}


static int
rush_cli_pass(rush_controller_t *ctl, int repair, int quiet,
    rush_total_t *total)
{
    size_t         i;
    rush_audit_t   audit;

    memset(total, 0, sizeof(rush_total_t));

    if (rush_wishes_read(ctl, RUSH_CTL_SQL_ACTIVITIES_ALL) != RUSH_OK) {
        return RUSH_ERROR;
    }

    for (i = 0; i < ctl->n; i++) {

        if (rush_reconcile(ctl, &ctl->wishes[i], repair,
                           quiet ? NULL : stdout, &audit)
            != RUSH_OK)
        {
            return RUSH_ERROR;
        }

        total->activities++;
        total->orders += audit.orders;
        total->found += audit.found;
        ctl->wishes[i].repair = audit.found != 0;
    }

    if (rush_products_check(ctl, quiet ? NULL : stdout, repair, &total->found)
        != RUSH_OK)
    {
        return RUSH_ERROR;
    }

    memset(&audit, 0, sizeof(rush_audit_t));
    audit.ctl = ctl;
    audit.out = quiet ? NULL : stdout;

    if (!quiet && rush_books(&audit, 0) != RUSH_OK) {
        return RUSH_ERROR;
    }

    total->found += audit.found;

    return RUSH_OK;
}


/* the controller of a running consumer does it */

static int
rush_cli_ask(rush_controller_t *ctl)
{
    size_t        i, found;
    rush_param_t  param;

    found = 0;

    /* of ordinary orders there is nothing in Redis: any process may do it */

    if (rush_products_check(ctl, NULL, 1, &found) != RUSH_OK) {
        return RUSH_ERROR;
    }

    for (i = 0; i < ctl->n; i++) {

        if (!ctl->wishes[i].repair) {
            continue;
        }

        param = rush_p_int(ctl->wishes[i].id);

        if (rush_ctl_run(ctl, REPAIR_SET, &param, 1, NULL) != RUSH_OK) {
            return RUSH_ERROR;
        }
    }

    return rush_cli_wait(ctl);
}


static int
rush_cli_wait(rush_controller_t *ctl)
{
    int64_t      until, open;
    rush_rows_t  rows;

    memset(&rows, 0, sizeof(rush_rows_t));
    until = rush_mono() + RUSH_CLI_REPAIR * 1000;

    do {
        if (rush_wait(ctl->daemon, 100)
            || rush_ctl_run(ctl, REPAIRS_OPEN, NULL, 0, &rows) != RUSH_OK)
        {
            return RUSH_ERROR;
        }

        open = rows.n == 1 ? rush_cell_int(&rows, 0, 0) : 1;
        rush_rows_free(&rows);

    } while (open && rush_mono() < until);

    return open ? RUSH_ERROR : RUSH_OK;
}
