
/*
 * Copyright (C) Rush
 *
 * Alarms, and entries that can never become an order.  A letter is written
 * before its entry is acknowledged; the unique key makes twice once.
 */


#include "store.h"
#include "consumer_sql.h"


#define RUSH_DEAD_MAX_FIELD   131072    /* longer ones are cut: a notice of
                                           a payment is not */
#define RUSH_DEAD_MAX_FIELDS  1024
#define RUSH_ALARM_LEN        500


static int rush_dead_insert(rush_store_t *s, int64_t activity,
    const rush_str_t *id, int64_t part, const char *cause, rush_buf_t *body);
static void rush_dead_grant(rush_buf_t *body, const rush_row_t *row);
static void rush_dead_number(rush_buf_t *body, const char *name, int64_t v);
static void rush_dead_ascii(char *text);


int
rush_alarm(rush_daemon_t *d, rush_db_t *db, const char *kind,
    int64_t activity, const char *fmt, ...)
{
    char          detail[RUSH_ALARM_LEN];
    va_list       args;
    rush_param_t  params[4];

    va_start(args, fmt);
    (void) vsnprintf(detail, sizeof(detail), fmt, args);
    va_end(args);

    rush_dead_ascii(detail);

    rush_log(RUSH_LOG_ALERT, "alarm %s, activity %lld: %s", kind,
             (long long) activity, detail);

    rush_stat_add(d, alarms, 1);

    params[0] = rush_p_text(kind);
    params[1] = rush_p_int(activity);
    params[2] = rush_p_text(detail);
    params[3] = rush_p_int(rush_now());

    return rush_db_run(db, &rush_sql[RUSH_SQL_ALARM_INSERT], params, 4, NULL);
}


/* one grant, with what the entry says of all of them */

int
rush_dead_row(rush_store_t *s, const rush_row_t *row)
{
    int         rc;
    rush_buf_t  body;

    memset(&body, 0, sizeof(rush_buf_t));

    rush_json_open(&body, NULL, '{');
    rush_json_str(&body, "id", &row->id);
    rush_json_open(&body, "fields", '[');
    rush_dead_number(&body, "e", row->epoch);
    rush_dead_number(&body, "t", row->time);
    rush_dead_number(&body, "p", row->price_ver);
    rush_dead_grant(&body, row);
    rush_json_close(&body, ']');
    rush_json_close(&body, '}');

    rc = rush_dead_insert(s, row->activity->id, &row->id, row->part,
                          row->cause, &body);

    rush_buf_free(&body);

    return rc;
}


static void
rush_dead_grant(rush_buf_t *body, const rush_row_t *row)
{
    rush_str_t           text;
    rush_buf_t           b;
    const rush_grant_t  *g;

    g = &row->grant;
    memset(&b, 0, sizeof(rush_buf_t));

    rush_buf_printf(&b, "%lld ", (long long) g->user);
    rush_buf_add(&b, g->req.data, g->req.len);
    rush_buf_add(&b, " ", 1);
    rush_buf_add(&b, g->order_no.data, g->order_no.len);
    rush_buf_printf(&b, " %lld", (long long) g->qty);

    text.data = b.data;
    text.len = b.len;

    if (b.failed) {
        body->failed = 1;

    } else {
        rush_json_text(body, NULL, "g");
        rush_json_str(body, NULL, &text);
    }

    rush_buf_free(&b);
}


static void
rush_dead_number(rush_buf_t *body, const char *name, int64_t v)
{
    rush_json_text(body, NULL, name);
    rush_json_id(body, NULL, v);
}


/* an entry that nobody can read; fields may be of any shape */

int
rush_dead_entry(rush_store_t *s, int64_t activity, const rush_str_t *id,
    const redisReply *fields, const char *cause)
{
    int                rc, cut;
    size_t             i;
    rush_buf_t         body;
    rush_str_t         text;
    const redisReply  *f;

    memset(&body, 0, sizeof(rush_buf_t));
    cut = 0;

    rush_json_open(&body, NULL, '{');
    rush_json_str(&body, "id", id);
    rush_json_open(&body, "fields", '[');

    for (i = 0; fields->type == REDIS_REPLY_ARRAY && i < fields->elements;
         i++)
    {
        f = fields->element[i];

        if (f->type != REDIS_REPLY_STRING || i == RUSH_DEAD_MAX_FIELDS) {
            cut = 1;
            break;
        }

        text.data = (unsigned char *) f->str;
        text.len = (size_t) f->len;

        if (text.len > RUSH_DEAD_MAX_FIELD) {
            text.len = RUSH_DEAD_MAX_FIELD;
            cut = 1;
        }

        rush_json_str(&body, NULL, &text);
    }

    rush_json_close(&body, ']');
    rush_json_bool(&body, "cut", cut);
    rush_json_close(&body, '}');

    rc = rush_dead_insert(s, activity, id, -1, cause, &body);

    rush_buf_free(&body);

    return rc;
}


static int
rush_dead_insert(rush_store_t *s, int64_t activity, const rush_str_t *id,
    int64_t part, const char *cause, rush_buf_t *body)
{
    int           rc;
    char          ascii[RUSH_CAUSE_LEN];
    rush_str_t    text;
    rush_param_t  params[6];

    if (body->failed) {
        rush_log(RUSH_LOG_ERROR, "no memory for a dead letter");
        return RUSH_DB_DOWN;
    }

    snprintf(ascii, sizeof(ascii), "%s", cause);
    rush_dead_ascii(ascii);

    text.data = body->data;
    text.len = body->len;

    params[0] = rush_p_int(activity);
    params[1] = rush_p_str(id);
    params[2] = rush_p_int(part);
    params[3] = rush_p_text(ascii);
    params[4] = rush_p_str(&text);
    params[5] = rush_p_int(rush_now());

    rc = rush_db_run(s->db, &rush_sql[RUSH_SQL_DEAD_INSERT], params, 6, NULL);

    if (rc == RUSH_DB_DUP) {
        return RUSH_OK;
    }

    if (rc != RUSH_OK) {
        return rc;
    }

    if (RUSH_FP("D11")) {
        rush_db_close(s->db);
        return RUSH_DB_DOWN;
    }

    rush_log(RUSH_LOG_ERROR, "dead letter: activity %lld, entry %.*s, "
             "part %lld: %s", (long long) activity, (int) id->len, id->data,
             (long long) part, ascii);

    rush_stat_add(s->daemon, dead_letters, 1);

    return RUSH_OK;
}


/* texts of servers may be cut inside a character */

static void
rush_dead_ascii(char *text)
{
    while (*text != '\0') {

        if (*text < ' ' || *text > '~') {
            *text = '?';
        }

        text++;
    }
}
