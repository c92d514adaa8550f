
/*
 * Copyright (C) Rush
 */


#include "fuzz.h"
#include "fuzz_consumer.h"
#include "cashier.h"
#include "ordinary.h"


static rush_str_t fuzz_keep(const rush_str_t *s);
static void fuzz_same_row(const rush_row_t *a, const rush_row_t *b);
static int fuzz_same_text(const rush_str_t *a, const rush_str_t *b);


fuzz_ledger_t    fuzz_ledger;
rush_activity_t  fuzz_activity;

/* rush_store_t of the replay wants an array of one */
static rush_activity_t  *activities[1] = { &fuzz_activity };


void
fuzz_ledger_clear(void)
{
    size_t  i;

    for (i = 0; i < fuzz_ledger.nletters; i++) {
        free(fuzz_ledger.letters[i].id.data);
        free(fuzz_ledger.letters[i].body.data);
        free(fuzz_ledger.letters[i].cause.data);
    }

    fuzz_ledger.nletters = 0;
    fuzz_ledger.closed = 0;
    fuzz_ledger.acks = 0;
    fuzz_ledger.alarms = 0;
    fuzz_ledger.nrows = 0;
}


static rush_str_t
fuzz_keep(const rush_str_t *s)
{
    rush_str_t  copy;

    copy.len = s->len;
    copy.data = calloc(1, s->len + 1);
    fuzz_check(copy.data != NULL);

    if (s->len != 0) {
        memcpy(copy.data, s->data, s->len);
    }

    return copy;
}


int
rush_db_run(rush_db_t *db, const rush_stmt_t *stmt, const rush_param_t *params,
    size_t n, rush_rows_t *rows)
{
    char            text[6][24];
    size_t          i;
    fuzz_letter_t  *l;

    if (rows != NULL) {
        rush_rows_free(rows);
    }

    if (strcmp(stmt->name, "dead_insert") == 0) {
        fuzz_check(n == 6 && fuzz_ledger.nletters < FUZZ_LETTERS);

        l = &fuzz_ledger.letters[fuzz_ledger.nletters++];
        l->activity = params[0].i;
        l->id = fuzz_keep(&params[1].s);
        l->part = params[2].i;
        l->cause = fuzz_keep(&params[3].s);
        l->body = fuzz_keep(&params[4].s);

        return RUSH_OK;
    }

    if (strcmp(stmt->name, "dead_by_id") == 0) {
        l = &fuzz_ledger.letters[fuzz_ledger.letter];

        rows->n = 1;
        rows->cols = 9;
        rows->cells = calloc(9, sizeof(rush_str_t));
        fuzz_check(rows->cells != NULL);

        memset(text, 0, sizeof(text));
        snprintf(text[1], sizeof(text[1]), "%lld", (long long) l->activity);
        snprintf(text[3], sizeof(text[3]), "%lld", (long long) l->part);

        for (i = 0; i < 4; i++) {
            rows->cells[i].data = (unsigned char *) text[i];
            rows->cells[i].len = strlen(text[i]);
        }

        rows->cells[2] = l->id;
        rows->cells[7] = l->cause;
        rows->cells[8] = l->body;

        /* numbers are read before this returns: keep them as integers */

        for (i = 0; i < 2; i++) {
            rows->cells[i * 2 + 1].data = NULL;
            rows->cells[i * 2 + 1].len = (size_t) (i ? l->part : l->activity);
        }

        return RUSH_OK;
    }

    if (strcmp(stmt->name, "dead_close") == 0) {
        fuzz_ledger.closed++;
        rows->affected = 1;
        return RUSH_OK;
    }

    fuzz_check(strcmp(stmt->name, "alarm_insert") == 0);
    fuzz_check(ref_utf8(params[2].s.data, params[2].s.len));
    fuzz_ledger.alarms++;

    return RUSH_OK;
}


/* cells of numbers hold them in len, see above */

int64_t
rush_cell_int(const rush_rows_t *rows, size_t row, size_t col)
{
    return rush_cell(rows, row, col)->data == NULL
           ? (int64_t) rush_cell(rows, row, col)->len : 0;
}


void
rush_rows_free(rush_rows_t *rows)
{
    free(rows->cells);
    memset(rows, 0, sizeof(rush_rows_t));
}


int
rush_store_batch(rush_store_t *s)
{
    size_t  i;

    fuzz_check(rush_store_price(s) == RUSH_OK);

    for (i = 0; i < s->nrows; i++) {

        if (s->rows[i].state == RUSH_ROW_BAD) {
            fuzz_check(rush_dead_row(s, &s->rows[i]) == RUSH_OK);
            s->rows[i].state = RUSH_ROW_DEAD;
            continue;
        }

        fuzz_check(s->rows[i].state == RUSH_ROW_NEW);
        s->rows[i].state = RUSH_ROW_STORED;

        if (fuzz_ledger.expect != NULL) {
            fuzz_same_row(&s->rows[i], fuzz_ledger.expect);
        }

        fuzz_check(fuzz_ledger.nrows < FUZZ_ROWS);
        fuzz_ledger.rows[fuzz_ledger.nrows++] = s->rows[i];
    }

    return RUSH_OK;
}


static void
fuzz_same_row(const rush_row_t *a, const rush_row_t *b)
{
    fuzz_check(a->epoch == b->epoch && a->time == b->time
               && a->price_ver == b->price_ver && a->part == b->part
               && a->amount == b->amount
               && a->grant.user == b->grant.user
               && a->grant.qty == b->grant.qty);
    fuzz_check(fuzz_same_text(&a->id, &b->id)
               && fuzz_same_text(&a->grant.req, &b->grant.req)
               && fuzz_same_text(&a->grant.order_no, &b->grant.order_no));
}


static int
fuzz_same_text(const rush_str_t *a, const rush_str_t *b)
{
    return a->len == b->len && memcmp(a->data, b->data, a->len) == 0;
}


int
rush_activity_load(rush_store_t *s, int64_t id, rush_activity_t **a)
{
    *a = (id == fuzz_activity.id) ? &fuzz_activity : NULL;

    if (s->nactivities == 0) {
        s->activities = activities;
        s->nactivities = 1;
    }

    return RUSH_OK;
}


/* price version 0 is not known */

int
rush_activity_price(const rush_activity_t *a, int64_t version, int64_t *price)
{
    *price = FUZZ_PRICE;

    return version ? RUSH_OK : RUSH_ERROR;
}


void
rush_activity_free(rush_store_t *s)
{
    s->nactivities = 0;
}


/* any pointer does: nothing below looks into it */

rush_db_t *
rush_db_create(rush_daemon_t *d, const char *name)
{
    return (rush_db_t *) (void *) &fuzz_ledger;
}


void
rush_db_destroy(rush_db_t *db)
{
}


int
rush_db_ready(rush_db_t *db)
{
    return RUSH_OK;
}


int
rush_db_connected(rush_db_t *db)
{
    return 1;
}


const char *
rush_db_error(rush_db_t *db)
{
    return "";
}


int
rush_redis_push(rush_redis_t *rd, rush_args_t *a)
{
    fuzz_check(!a->buf.failed && a->n > 3);

    fuzz_ledger.acks += a->n - 3;       /* XACK key group */
    rush_buf_reset(&a->buf);
    a->n = 0;

    return RUSH_OK;
}


redisReply *
rush_redis_pull(rush_redis_t *rd)
{
    redisReply  *reply;

    reply = calloc(1, sizeof(redisReply));
    fuzz_check(reply != NULL);
    reply->type = REDIS_REPLY_INTEGER;

    return reply;
}


void
rush_redis_close(rush_redis_t *rd)
{
    fuzz_check(0);
}


int
rush_wait(rush_daemon_t *d, int64_t ms)
{
    return 1;
}


int64_t
rush_now(void)
{
    return 1795000000000LL;
}


int64_t
rush_mono(void)
{
    return 1795000000000000LL;
}


void
rush_log(int level, const char *fmt, ...)
{
    int      n;
    char     text[4096];
    va_list  args;

    va_start(args, fmt);
    n = vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);

    fuzz_check(n >= 0);
}


/* dead_cli.c tells its user a lot: it gets these instead */

int fuzz_printf(const char *fmt, ...);
int fuzz_fprintf(FILE *f, const char *fmt, ...);


int
fuzz_printf(const char *fmt, ...)
{
    return 0;
}


int
fuzz_fprintf(FILE *f, const char *fmt, ...)
{
    return 0;
}


/* letters here are of activities */

int
rush_ordinary_replay(rush_daemon_t *d, rush_db_t *db, const redisReply *entry,
    const char **what)
{
    fuzz_check(0);
    return RUSH_ERROR;
}


int
rush_cashier_replay(rush_daemon_t *d, rush_db_t *db, const redisReply *entry,
    const char **what)
{
    fuzz_check(0);
    return RUSH_ERROR;
}
