
/*
 * Copyright (C) Rush
 *
 * rush-consumer --dead-letters list | show ID | replay ID | discard ID
 *
 * A replay takes the way of the stream: the same parser, the same store.
 */


#include <stdlib.h>
#include <time.h>

#include "rush_field.h"
#include "dead.h"
#include "consumer_sql.h"


static int rush_dead_known(const char *verb, const char *id);
static int rush_dead_list(rush_db_t *db);
static int rush_dead_show(const rush_rows_t *rows);
static int rush_dead_replay_one(rush_store_t *s, const rush_rows_t *rows);
static int rush_dead_close(rush_db_t *db, int64_t id, int state);
static void rush_dead_time(const rush_rows_t *rows, size_t row, size_t col,
    char *text);


int
rush_dead_main(rush_daemon_t *d, const char *verb, const char *id)
{
    int            rc;
    char           name[RUSH_NAME_LEN + 8];
    int64_t        letter;
    rush_db_t     *db;
    rush_rows_t    rows;
    rush_param_t   param;
    rush_store_t  *s;

    if (!rush_dead_known(verb, id)) {
        fprintf(stderr, "rush-consumer: --dead-letters list | show ID | "
                "replay ID | discard ID\n");
        return 2;
    }

    rc = 2;
    letter = 0;
    memset(&rows, 0, sizeof(rush_rows_t));
    snprintf(name, sizeof(name), "%s-d", d->conf.name);

    db = rush_db_create(d, "dead-letters");
    s = (db == NULL) ? NULL : rush_store_create(d, NULL, db, name);

    if (s == NULL || rush_db_ready(db) != RUSH_OK) {
        fprintf(stderr, "rush-consumer: cannot reach mysql\n");
        goto done;
    }

    if (strcmp(verb, "list") == 0) {
        rc = rush_dead_list(db);
        goto done;
    }

    if (id == NULL
        || rush_parse_u63((const unsigned char *) id, strlen(id), &letter)
           != RUSH_OK)
    {
        fprintf(stderr, "rush-consumer: --dead-letters %s takes the id of a "
                "letter\n", verb);
        goto done;
    }

    param = rush_p_int(letter);

    if (rush_db_run(db, &rush_sql[RUSH_SQL_DEAD_BY_ID], &param, 1, &rows)
        != RUSH_OK)
    {
        fprintf(stderr, "rush-consumer: %s\n", rush_db_error(db));
        goto done;
    }

    if (rows.n != 1) {
        fprintf(stderr, "rush-consumer: there is no dead letter %s\n", id);
        rc = 1;
        goto done;
    }

    if (strcmp(verb, "show") == 0) {
        rc = rush_dead_show(&rows);
        goto done;
    }

    if (rush_cell_int(&rows, 0, RUSH_D_STATE) != 0) {
        fprintf(stderr, "rush-consumer: dead letter %s is closed\n", id);
        rc = 1;

    } else if (strcmp(verb, "replay") == 0) {
        rc = rush_dead_replay_one(s, &rows);

    } else {
        rc = rush_dead_close(db, letter, RUSH_DEAD_DISCARDED);
    }

done:

    rush_rows_free(&rows);
    rush_store_destroy(s);
    rush_db_destroy(db);

    return rc;
}


static int
rush_dead_known(const char *verb, const char *id)
{
    if (strcmp(verb, "list") == 0) {
        return id == NULL;
    }

    return strcmp(verb, "show") == 0 || strcmp(verb, "replay") == 0
           || strcmp(verb, "discard") == 0;
}


static int
rush_dead_list(rush_db_t *db)
{
    char         time[32];
    size_t       i;
    rush_rows_t  rows;

    memset(&rows, 0, sizeof(rush_rows_t));

    if (rush_db_run(db, &rush_sql[RUSH_SQL_DEAD_LIST], NULL, 0, &rows)
        != RUSH_OK)
    {
        fprintf(stderr, "rush-consumer: %s\n", rush_db_error(db));
        return 2;
    }

    for (i = 0; i < rows.n; i++) {
        rush_dead_time(&rows, i, 4, time);

        printf("%s\tactivity %s\tentry %s\tpart %s\t%s\t%s\n",
               rush_cell(&rows, i, 0)->data, rush_cell(&rows, i, 1)->data,
               rush_cell(&rows, i, 2)->data, rush_cell(&rows, i, 3)->data,
               time, rush_cell(&rows, i, 5)->data);
    }

    rush_rows_free(&rows);

    return 0;
}


static int
rush_dead_show(const rush_rows_t *rows)
{
    char  created[32], closed[32];

    static const char  *states[] = { "open", "replayed", "discarded",
                                    "replaying" };

    rush_dead_time(rows, 0, RUSH_D_CREATED, created);
    rush_dead_time(rows, 0, RUSH_D_CLOSED, closed);

    printf("id        %s\nactivity  %s\nentry     %s\npart      %s\n"
           "state     %s\ncreated   %s\nclosed    %s\ncause     %s\n"
           "body      %s\n",
           rush_cell(rows, 0, RUSH_D_ID)->data,
           rush_cell(rows, 0, RUSH_D_ACTIVITY)->data,
           rush_cell(rows, 0, RUSH_D_STREAM_ID)->data,
           rush_cell(rows, 0, RUSH_D_PART)->data,
           states[rush_cell_int(rows, 0, RUSH_D_STATE) & 3],
           created, closed,
           rush_cell(rows, 0, RUSH_D_CAUSE)->data,
           rush_cell(rows, 0, RUSH_D_BODY)->data);

    return 0;
}


static int
rush_dead_replay_one(rush_store_t *s, const rush_rows_t *rows)
{
    int         rc;
    rush_buf_t  text;

    memset(&text, 0, sizeof(rush_buf_t));

    rc = rush_dead_replay(s, rows, 0, &text);
    rush_buf_add(&text, "", 1);

    if (text.failed) {
        fprintf(stderr, "rush-consumer: no memory\n");
        rc = 2;

    } else if (rc == 0) {
        printf("%s", (char *) text.data);
        rc = rush_dead_close(s->db, rush_cell_int(rows, 0, RUSH_D_ID),
                             RUSH_DEAD_REPLAYED);

    } else {
        fprintf(stderr, "rush-consumer: %s%s\n",
                rc == 1 ? "still fails: " : "", (char *) text.data);
    }

    rush_buf_free(&text);

    return rc;
}


static int
rush_dead_close(rush_db_t *db, int64_t id, int state)
{
    rush_rows_t   rows;
    rush_param_t  params[3];

    memset(&rows, 0, sizeof(rush_rows_t));

    params[0] = rush_p_int(state);
    params[1] = rush_p_int(rush_now());
    params[2] = rush_p_int(id);

    if (rush_db_run(db, &rush_sql[RUSH_SQL_DEAD_CLOSE], params, 3, &rows)
        != RUSH_OK || rows.affected != 1)
    {
        fprintf(stderr, "rush-consumer: cannot close dead letter %lld\n",
                (long long) id);
        return 2;
    }

    return 0;
}


static void
rush_dead_time(const rush_rows_t *rows, size_t row, size_t col, char *text)
{
    size_t   n;
    int64_t  ms;

    ms = rush_cell_int(rows, row, col);

    if (ms == 0) {
        memcpy(text, "-", 2);
        return;
    }

    n = rush_format_time((unsigned char *) text, ms);
    text[n] = '\0';
}
