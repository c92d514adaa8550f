
/*
 * Copyright (C) Rush
 *
 * An entry of the stream of ordinary orders: what it says, and its end.
 */


#include "ordinary.h"
#include "rush_field.h"
#include "rush_id.h"


static int rush_ordinary_number(const redisReply *fields, const char *name,
    int64_t *v);
static int rush_ordinary_text(const redisReply *fields, const char *name,
    size_t max, rush_str_t *s);
static int rush_ordinary_expire(rush_ordinary_t *o,
    const rush_ordinary_row_t *row, size_t *n);


int
rush_ordinary_read(rush_ordinary_t *o, const redisReply *entry,
    const char **cause)
{
    int64_t               id, activity;
    const redisReply     *f;
    rush_ordinary_row_t  *row;

    f = entry->element[1];
    row = &o->rows[o->n];

    memset(row, 0, sizeof(rush_ordinary_row_t));
    row->entry = entry;
    row->id.data = (unsigned char *) entry->element[0]->str;
    row->id.len = (size_t) entry->element[0]->len;

    *cause = "malformed order";

    if (f->type != REDIS_REPLY_ARRAY
        || rush_ordinary_text(f, "o", RUSH_ORDER_NO_LEN, &row->order_no)
           != RUSH_OK
        || rush_ordinary_text(f, "r", RUSH_REQ_MAX, &row->req) != RUSH_OK
        || rush_ordinary_text(f, "m", RUSH_REMARK_MAX * 4, &row->remark)
           != RUSH_OK
        || rush_ordinary_number(f, "u", &row->user) != RUSH_OK
        || rush_ordinary_number(f, "p", &row->product) != RUSH_OK
        || rush_ordinary_number(f, "q", &row->qty) != RUSH_OK
        || rush_ordinary_number(f, "a", &row->address) != RUSH_OK
        || rush_ordinary_number(f, "t", &row->time) != RUSH_OK
        || row->req.len == 0 || row->user == 0 || row->qty == 0)
    {
        return RUSH_ERROR;
    }

    if (rush_order_no_parse(row->order_no.data, row->order_no.len, &id,
                            &activity)
        != RUSH_OK || activity != 0)
    {
        *cause = "order number of an activity";
        return RUSH_ERROR;
    }

    o->n++;

    return RUSH_OK;
}


static int
rush_ordinary_number(const redisReply *fields, const char *name, int64_t *v)
{
    const redisReply  *r;

    r = rush_reply_find(fields, name);

    return r != NULL && r->type == REDIS_REPLY_STRING
           ? rush_parse_u63((unsigned char *) r->str, (size_t) r->len, v)
           : RUSH_ERROR;
}


static int
rush_ordinary_text(const redisReply *fields, const char *name, size_t max,
    rush_str_t *s)
{
    const redisReply  *r;

    r = rush_reply_find(fields, name);

    if (r == NULL || r->type != REDIS_REPLY_STRING || (size_t) r->len > max) {
        return RUSH_ERROR;
    }

    s->data = (unsigned char *) r->str;
    s->len = (size_t) r->len;

    return RUSH_OK;
}


/* pipelined: one XACK for all, and what stands for the orders in Redis need
 * not stay for long */

int
rush_ordinary_ack(rush_ordinary_t *o)
{
    int           rc;
    size_t        i, n;
    redisReply   *reply;
    rush_args_t  *a;

    a = &o->args;

    rush_arg_text(a, "XACK");
    rush_arg_text(a, RUSH_ORDERS_KEY);
    rush_arg_text(a, RUSH_GROUP);

    for (i = 0; i < o->n; i++) {
        rush_arg_str(a, &o->rows[i].id);
    }

    for (i = 0; i < o->nlost; i++) {
        rush_arg_str(a, &o->lost[i]);
    }

    rc = rush_redis_push(o->rd, a);
    n = 1;

    for (i = 0; i < o->n && rc == RUSH_OK; i++) {

        if (o->rows[i].state == RUSH_ORDINARY_STORED) {
            rc = rush_ordinary_expire(o, &o->rows[i], &n);
        }
    }

    while (rc == RUSH_OK && n-- > 0) {
        reply = rush_redis_pull(o->rd);
        rc = rush_reply_ok(reply, "xack") ? RUSH_OK : RUSH_ERROR;
        freeReplyObject(reply);
    }

    if (rc != RUSH_OK || RUSH_FP("O7")) {

        /* the next connection begins with what is still pending */

        rush_redis_close(o->rd);
        return RUSH_ERROR;
    }

    return RUSH_OK;
}


static int
rush_ordinary_expire(rush_ordinary_t *o, const rush_ordinary_row_t *row,
    size_t *n)
{
    int           i;
    char          key[sizeof(RUSH_ORDER_KEY) + RUSH_REQ_MAX + 24];
    rush_args_t  *a;

    a = &o->args;

    for (i = 0; i < 2; i++) {

        if (i == 0) {
            snprintf(key, sizeof(key), RUSH_ORDER_KEY "%.*s",
                     (int) row->order_no.len, row->order_no.data);

        } else if (row->req.len == row->order_no.len
                   && memcmp(row->req.data, row->order_no.data, row->req.len)
                      == 0)
        {
            break;                      /* not an id that a client made */

        } else {
            snprintf(key, sizeof(key), RUSH_ORDER_KEY "%lld:%.*s",
                     (long long) row->user, (int) row->req.len,
                     row->req.data);
        }

        rush_arg_text(a, "PEXPIRE");
        rush_arg_text(a, key);
        rush_arg_int(a, RUSH_ORDER_STORED);

        if (rush_redis_push(o->rd, a) != RUSH_OK) {
            return RUSH_ERROR;
        }

        (*n)++;
    }

    return RUSH_OK;
}


/* a letter that fails once more is known already: nothing is written */

int
rush_ordinary_replay(rush_daemon_t *d, rush_db_t *db,
    const redisReply *entry, const char **what)
{
    int               rc;
    rush_ordinary_t  *o;

    static __thread char  cause[RUSH_CAUSE_LEN];

    *what = "no memory";
    o = rush_ordinary_create(d, NULL, db, "dead letters");

    if (o == NULL) {
        return RUSH_DB_DOWN;
    }

    rc = rush_ordinary_read(o, entry, what);

    if (rc == RUSH_OK && rush_ordinary_store(o) != RUSH_OK) {
        rc = RUSH_DB_DOWN;
    }

    if (rc == RUSH_OK) {
        switch (o->rows[0].state) {

        case RUSH_ORDINARY_STORED:
            *what = o->rows[0].refused ? "stored, cancelled" : "stored";
            break;

        case RUSH_ORDINARY_SAME:
            *what = "was stored before";
            break;

        default:
            memcpy(cause, o->rows[0].cause, sizeof(cause));
            *what = cause;
            rc = RUSH_ERROR;
        }
    }

    rush_ordinary_destroy(o);

    return rc;
}
