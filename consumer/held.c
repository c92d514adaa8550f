
/*
 * Copyright (C) Rush
 *
 * Compares who holds what in Redis and in MySQL.  Both sides are written as
 * lines "field=value" of the users hash; the lines that stand on one side
 * only name the fields to look at one by one, a few times, because orders
 * may be on their way.
 */


#include <stdlib.h>

#include "controller.h"


#define RUSH_HELD_TRIES  10
#define RUSH_HELD_MANY   1000           /* fields: look less often */


typedef struct {
    rush_daemon_t   *daemon;
    rush_lines_t    *lines;
    int64_t          user;              /* of the last live order */
    int64_t          units;             /* of this user */
} rush_ledger_side_t;


typedef struct {
    const char      *rule;              /* NULL: no difference */
    char             text[300];
    unsigned         lost:1;
} rush_held_t;


static int rush_held_redis(rush_audit_t *audit, rush_lines_t *lines);
static int rush_held_mysql(rush_audit_t *audit, rush_lines_t *lines);
static int rush_held_order(void *data, int64_t user, const rush_str_t *req,
    const rush_str_t *order_no, int64_t qty);
static void rush_held_units(rush_ledger_side_t *side);
static int rush_held_recheck(rush_audit_t *audit, rush_lines_t *fields);
static int rush_held_look(rush_audit_t *audit, const char *field,
    rush_held_t *held);
static int rush_held_user(rush_audit_t *audit, const char *user,
    const char *value, rush_held_t *held);
static int rush_held_request(rush_audit_t *audit, const char *field,
    const char *value, rush_held_t *held);
static void rush_held_row(const char *field, const char *value,
    const rush_rows_t *rows, rush_held_t *held);


int
rush_audit_holds(rush_audit_t *audit)
{
    int           rc;
    rush_lines_t  redis, mysql, fields;

    memset(&redis, 0, sizeof(rush_lines_t));
    memset(&mysql, 0, sizeof(rush_lines_t));
    memset(&fields, 0, sizeof(rush_lines_t));

    rc = RUSH_ERROR;

    if (rush_held_redis(audit, &redis) == RUSH_OK
        && rush_held_mysql(audit, &mysql) == RUSH_OK
        && rush_lines_merge(&redis, &mysql, &fields) == RUSH_OK)
    {
        rc = fields.n ? rush_held_recheck(audit, &fields) : RUSH_OK;
    }

    rush_lines_free(&redis);
    rush_lines_free(&mysql);
    rush_lines_free(&fields);

    return rc;
}


int
rush_audit_units(rush_audit_t *audit, int64_t *units)
{
    int           rc;
    char         *value;
    size_t        i;
    rush_lines_t  redis;

    memset(&redis, 0, sizeof(rush_lines_t));

    rc = rush_held_redis(audit, &redis);
    *units = 0;
    audit->orders = 0;

    for (i = 0; rc == RUSH_OK && i < redis.n; i++) {
        value = strchr(redis.line[i], '=') + 1;

        if (strchr(redis.line[i], ':') == NULL) {
            *units += strtoll(value, NULL, 10);

        } else if (*value != '-') {
            audit->orders++;
        }
    }

    rush_lines_free(&redis);

    return rc;
}


static int
rush_held_redis(rush_audit_t *audit, rush_lines_t *lines)
{
    int           more;
    char          cursor[24];
    size_t        i;
    redisReply   *reply, *fields;
    rush_args_t  *a;

    memcpy(cursor, "0", sizeof("0"));
    a = &audit->ctl->args;

    do {
        if (rush_stopping(audit->ctl->daemon)) {
            return RUSH_ERROR;
        }

        rush_arg_text(a, "HSCAN");
        rush_arg_key(a, audit->id, 'u');
        rush_arg_text(a, cursor);
        rush_arg_text(a, "COUNT");
        rush_arg_text(a, "1000");

        reply = rush_redis_call(audit->ctl->rd, a);

        if (!rush_reply_ok(reply, "hscan")
            || reply->type != REDIS_REPLY_ARRAY || reply->elements != 2)
        {
            freeReplyObject(reply);
            return RUSH_ERROR;
        }

        snprintf(cursor, sizeof(cursor), "%s", reply->element[0]->str);
        more = strcmp(cursor, "0") != 0;
        fields = reply->element[1];

        for (i = 0; i + 1 < fields->elements; i += 2) {

            /* denials are not in MySQL */

            if (strcmp(fields->element[i + 1]->str, "-") != 0) {
                rush_lines_add(lines, "%s=%s",
                               fields->element[i]->str,
                               fields->element[i + 1]->str);
            }
        }

        freeReplyObject(reply);

    } while (more);

    return rush_lines_sort(lines);
}


static int
rush_held_mysql(rush_audit_t *audit, rush_lines_t *lines)
{
    rush_ledger_side_t  side;

    memset(&side, 0, sizeof(rush_ledger_side_t));
    side.daemon = audit->ctl->daemon;
    side.lines = lines;

    if (rush_orders_read(audit->ctl, audit->id, rush_held_order, &side)
        != RUSH_OK)
    {
        return RUSH_ERROR;
    }

    rush_held_units(&side);

    return rush_lines_sort(lines);
}


static int
rush_held_order(void *data, int64_t user, const rush_str_t *req,
    const rush_str_t *order_no, int64_t qty)
{
    rush_ledger_side_t  *side = data;

    rush_lines_add(side->lines, "%lld:%s=%s%s", (long long) user,
                   (char *) req->data, qty == 0 ? "-" : "",
                   (char *) order_no->data);

    if (qty > 0 && user != side->user) {
        rush_held_units(side);
        side->user = user;
        side->units = 0;
    }

    side->units += qty;

    return rush_stopping(side->daemon) ? RUSH_ERROR : RUSH_OK;
}


static void
rush_held_units(rush_ledger_side_t *side)
{
    if (side->units > 0) {
        rush_lines_add(side->lines, "%lld=%lld", (long long) side->user,
                       (long long) side->units);
    }
}


static int
rush_held_recheck(rush_audit_t *audit, rush_lines_t *fields)
{
    int          rc;
    size_t       i, n, try, tries;
    rush_held_t  held;

    tries = fields->n > RUSH_HELD_MANY ? 2 : RUSH_HELD_TRIES;

    for (try = 1; try <= tries && fields->n > 0; try++) {

        if (try > 1 && rush_audit_wait(audit)) {
            return RUSH_ERROR;
        }

        n = 0;

        for (i = 0; i < fields->n; i++) {
            rc = rush_held_look(audit, fields->line[i], &held);

            if (rc != RUSH_OK) {
                return rc;
            }

            if (held.rule == NULL) {
                continue;
            }

            fields->line[n++] = fields->line[i];

            if (try < tries) {
                continue;
            }

            rush_audit_tell(audit, held.rule, "%s", held.text);

            if (held.lost) {
                audit->lost++;
                rush_buf_puts(&audit->names, fields->line[i]);
                rush_buf_add(&audit->names, "", 1);

            } else {
                audit->wrong++;
            }
        }

        fields->n = n;
    }

    return RUSH_OK;
}


/* what Redis says first: a row that comes later explains it */

static int
rush_held_look(rush_audit_t *audit, const char *field, rush_held_t *held)
{
    char          value[64];
    redisReply   *reply;
    rush_args_t  *a;

    memset(held, 0, sizeof(rush_held_t));
    a = &audit->ctl->args;

    rush_arg_text(a, "HGET");
    rush_arg_key(a, audit->id, 'u');
    rush_arg_text(a, field);

    reply = rush_redis_call(audit->ctl->rd, a);

    if (!rush_reply_ok(reply, "hget")) {
        freeReplyObject(reply);
        return RUSH_ERROR;
    }

    snprintf(value, sizeof(value), "%s",
             reply->type == REDIS_REPLY_STRING ? reply->str : "");
    freeReplyObject(reply);

    if (strchr(field, ':') == NULL) {
        return rush_held_user(audit, field, value, held);
    }

    return rush_held_request(audit, field, value, held);
}


static int
rush_held_user(rush_audit_t *audit, const char *user, const char *value,
    rush_held_t *held)
{
    int64_t       units, back;
    rush_rows_t   rows;
    rush_param_t  params[2];

    memset(&rows, 0, sizeof(rush_rows_t));

    params[0] = rush_p_int(strtoll(user, NULL, 10));
    params[1] = rush_p_int(audit->id);

    if (rush_ctl_run(audit->ctl, UNITS_OF_USER, params, 2, &rows) != RUSH_OK)
    {
        return RUSH_ERROR;
    }

    units = rows.n == 1 ? rush_cell_int(&rows, 0, 0) : 0;
    back = rows.n == 1 ? rush_cell_int(&rows, 0, 1) : 0;
    rush_rows_free(&rows);

    if (back == 0 && strtoll(value, NULL, 10) != units) {
        held->rule = "I10";
        snprintf(held->text, sizeof(held->text), "user %s holds %s units in "
                 "redis, %lld in mysql", user, *value ? value : "no",
                 (long long) units);
    }

    return RUSH_OK;
}


static int
rush_held_request(rush_audit_t *audit, const char *field, const char *value,
    rush_held_t *held)
{
    rush_rows_t   rows;
    rush_param_t  params[3];

    memset(&rows, 0, sizeof(rush_rows_t));

    params[0] = rush_p_int(strtoll(field, NULL, 10));
    params[1] = rush_p_int(audit->id);
    params[2] = rush_p_text(strchr(field, ':') + 1);

    if (rush_ctl_run(audit->ctl, ORDER_OF_REQUEST, params, 3, &rows)
        != RUSH_OK)
    {
        return RUSH_ERROR;
    }

    if (rows.n == 1) {
        rush_held_row(field, value, &rows, held);

    } else if (*value != '\0' && strcmp(value, "-") != 0) {
        held->lost = *value != '-';
        held->rule = "I11";
        snprintf(held->text, sizeof(held->text), "request %s: order %s is "
                 "%s in redis and has no row", field,
                 held->lost ? value : value + 1,
                 held->lost ? "held" : "given back");
    }

    rush_rows_free(&rows);

    return RUSH_OK;
}


static void
rush_held_row(const char *field, const char *value, const rush_rows_t *rows,
    rush_held_t *held)
{
    int          holds, back;
    int64_t      state;
    const char  *order;

    order = (char *) rush_cell(rows, 0, 0)->data;
    state = rush_cell_int(rows, 0, 2);

    holds = strcmp(value, order) == 0;
    back = *value == '-' && strcmp(value + 1, order) == 0;

    switch (state) {

    case 0:
    case 1:
    case 4:
        if (holds) {
            return;
        }

        break;

    case 2:                             /* Redis is next */
        if (holds || back) {
            return;
        }

        break;

    case 3:
        if (back) {
            return;
        }

        break;

    default:                            /* the ledger refused it */
        if (!holds) {
            return;
        }
    }

    held->rule = "I10";
    snprintf(held->text, sizeof(held->text), "request %s: order %s has stock "
             "state %lld, redis keeps \"%s\"", field, order,
             (long long) state, value);
}
