
/*
 * Copyright (C) Rush
 */


#include <stdlib.h>

#include "cashier.h"
#include "dead.h"
#include "ordinary.h"
#include "consumer_sql.h"


/* of a stream that is none of an activity */

typedef int (*rush_dead_pt)(rush_daemon_t *d, rush_db_t *db,
    const redisReply *entry, const char **what);


static int rush_dead_grants_again(rush_store_t *s, rush_activity_t *a,
    const redisReply *entry, int64_t part, rush_buf_t *text);
static int rush_dead_entry_again(rush_store_t *s, const redisReply *entry,
    rush_dead_pt replay, rush_buf_t *text);
static int rush_dead_one(rush_controller_t *ctl, const rush_rows_t *rows,
    size_t row);


int
rush_dead_replay(rush_store_t *s, const rush_rows_t *rows, size_t row,
    rush_buf_t *text)
{
    int               rc;
    int64_t           id;
    redisReply       *entry;
    rush_activity_t  *a;

    id = rush_cell_int(rows, row, RUSH_D_ACTIVITY);

    entry = rush_dead_body(rush_cell(rows, row, RUSH_D_BODY),
                           rush_cell(rows, row, RUSH_D_STREAM_ID));

    if (entry == NULL) {
        rush_buf_puts(text, "the body cannot be read");
        return 1;
    }

    if (id == RUSH_ORDERS_LETTER) {
        rc = rush_dead_entry_again(s, entry, rush_ordinary_replay, text);

    } else if (id == RUSH_PAY_LETTER) {

        /* over HTTP the cashier looks for them itself */

        rc = rush_dead_entry_again(s, entry, rush_cashier_replay, text);

    } else if (rush_activity_load(s, id, &a) != RUSH_OK) {
        rush_buf_puts(text, rush_db_error(s->db));
        rc = 2;

    } else if (a == NULL) {
        rush_buf_printf(text, "there is no activity %lld", (long long) id);
        rc = 1;

    } else {
        rc = rush_dead_grants_again(s, a, entry,
                                    rush_cell_int(rows, row, RUSH_D_PART),
                                    text);
    }

    freeReplyObject(entry);

    return rc;
}


static int
rush_dead_grants_again(rush_store_t *s, rush_activity_t *a,
    const redisReply *entry, int64_t part, rush_buf_t *text)
{
    size_t       i;
    const char  *cause, *what;
    rush_row_t  *row;

    if (rush_entry_read(s, a, entry, &cause) != RUSH_OK) {
        rush_buf_puts(text, cause);
        return 1;
    }

    rush_store_reset(s);
    s->no_position = 1;

    if (rush_store_rows(s, a, &s->entry, part) != RUSH_OK
        || rush_store_flush(s) != RUSH_OK)
    {
        rush_buf_puts(text, "cannot store it now");
        return 2;
    }

    for (i = 0; i < s->nrows; i++) {
        row = &s->rows[i];

        if (row->state == RUSH_ROW_DEAD) {
            rush_buf_reset(text);
            rush_buf_puts(text, row->cause);
            return 1;
        }

        what = row->state == RUSH_ROW_STORED ? "stored"
               : row->state == RUSH_ROW_SAME ? "was stored before"
               : "rejected";

        rush_buf_add(text, row->grant.order_no.data, row->grant.order_no.len);
        rush_buf_printf(text, " %s\n", what);
    }

    return 0;
}


static int
rush_dead_entry_again(rush_store_t *s, const redisReply *entry,
    rush_dead_pt replay, rush_buf_t *text)
{
    int          rc;
    const char  *what;

    rc = replay(s->daemon, s->db, entry, &what);

    if (rc == RUSH_ERROR) {
        rush_buf_puts(text, what);
        return 1;
    }

    if (rc != RUSH_OK) {
        rush_buf_puts(text, "cannot store it now");
        return 2;
    }

    rush_buf_puts(text, what);
    rush_buf_puts(text, "\n");

    return 0;
}


int
rush_dead_asked(rush_controller_t *ctl)
{
    int          rc;
    char         name[RUSH_NAME_LEN + 8];
    size_t       i;
    rush_rows_t  rows;

    memset(&rows, 0, sizeof(rush_rows_t));

    if (rush_db_run(ctl->db, &rush_sql[RUSH_SQL_DEAD_ASKED], NULL, 0, &rows)
        != RUSH_OK)
    {
        return RUSH_ERROR;
    }

    if (rows.n != 0 && ctl->store == NULL) {
        snprintf(name, sizeof(name), "%s-d", ctl->daemon->conf.name);
        ctl->store = rush_store_create(ctl->daemon, NULL, ctl->db, name);
    }

    rc = (rows.n != 0 && ctl->store == NULL) ? RUSH_ERROR : RUSH_OK;

    for (i = 0; i < rows.n && rc == RUSH_OK; i++) {
        rc = rush_dead_one(ctl, &rows, i);
    }

    rush_rows_free(&rows);

    return rc;
}


/* killed in between, it is asked for still, and finds its rows */

static int
rush_dead_one(rush_controller_t *ctl, const rush_rows_t *rows, size_t row)
{
    int           rc;
    int64_t       id;
    rush_buf_t    text;
    rush_str_t    cause;
    rush_param_t  params[2];

    memset(&text, 0, sizeof(rush_buf_t));

    id = rush_cell_int(rows, row, RUSH_D_ID);
    rc = rush_dead_replay(ctl->store, rows, row, &text);

    if (rc == 2 || text.failed) {
        rush_buf_free(&text);
        return RUSH_ERROR;              /* again at the next look */
    }

    rush_log(rc == 0 ? RUSH_LOG_INFO : RUSH_LOG_WARN, "dead letter %lld: %s",
             (long long) id, rc == 0 ? "replayed" : "still fails");

    cause.data = text.data;
    cause.len = text.len < 255 ? text.len : 255;

    params[0] = rc == 0 ? rush_p_int(rush_now()) : rush_p_str(&cause);
    params[1] = rush_p_int(id);

    rc = rush_db_run(ctl->db, &rush_sql[rc == 0 ? RUSH_SQL_DEAD_DONE
                                                : RUSH_SQL_DEAD_OPEN_AGAIN],
                     params, 2, NULL);

    rush_buf_free(&text);

    return rc == RUSH_OK ? RUSH_OK : RUSH_ERROR;
}
