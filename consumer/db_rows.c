
/*
 * Copyright (C) Rush
 *
 * Answers of MySQL as rows of text.  Cells and their bytes are one block of
 * memory; while it grows a cell keeps an offset, which becomes a pointer at
 * the end.
 */


#include <stdlib.h>

#include "db.h"


#define RUSH_DB_MIN_CELL  64            /* numbers and dates as text */


typedef struct {
    rush_buf_t    cells;                /* rush_str_t; data: offset + 1 */
    rush_buf_t    bytes;
} rush_gather_t;


static void rush_gather_cell(rush_gather_t *g, const char *data, size_t len,
    int null);
static int rush_gather_done(rush_gather_t *g, rush_rows_t *rows);
static int rush_db_read(rush_db_t *db, MYSQL_STMT *st, const char *what,
    MYSQL_RES *meta, rush_rows_t *rows);


void
rush_rows_free(rush_rows_t *rows)
{
    free(rows->cells);
    memset(rows, 0, sizeof(rush_rows_t));
}


int64_t
rush_cell_int(const rush_rows_t *rows, size_t row, size_t col)
{
    const rush_str_t  *cell;

    cell = rush_cell(rows, row, col);

    if (cell->data == NULL) {
        return 0;
    }

    return strtoll((char *) cell->data, NULL, 10);
}


static void
rush_gather_cell(rush_gather_t *g, const char *data, size_t len, int null)
{
    rush_str_t  cell;

    cell.len = len;
    cell.data = null ? NULL : (unsigned char *) (g->bytes.len + 1);

    rush_buf_add(&g->cells, &cell, sizeof(rush_str_t));

    if (!null) {
        rush_buf_add(&g->bytes, data, len);
        rush_buf_add(&g->bytes, "", 1);
    }
}


static int
rush_gather_done(rush_gather_t *g, rush_rows_t *rows)
{
    size_t          i, n;
    rush_str_t     *cells;
    unsigned char  *bytes;

    cells = NULL;
    n = g->cells.len / sizeof(rush_str_t);

    if (!g->cells.failed && !g->bytes.failed && n > 0) {
        cells = malloc(g->cells.len + g->bytes.len);
    }

    if (cells != NULL) {
        memcpy(cells, g->cells.data, g->cells.len);
        bytes = (unsigned char *) cells + g->cells.len;

        if (g->bytes.len > 0) {
            memcpy(bytes, g->bytes.data, g->bytes.len);
        }

        for (i = 0; i < n; i++) {
            if (cells[i].data != NULL) {
                cells[i].data = bytes + ((uintptr_t) cells[i].data - 1);
            }
        }

        rows->cells = cells;
        rows->n = n / rows->cols;
    }

    n = (g->cells.failed || g->bytes.failed || (n > 0 && cells == NULL));

    rush_buf_free(&g->cells);
    rush_buf_free(&g->bytes);

    if (n) {
        rush_log(RUSH_LOG_ERROR, "mysql: no memory for rows");
        return RUSH_ERROR;
    }

    return RUSH_OK;
}


int
rush_db_fetch(rush_db_t *db, MYSQL_STMT *st, const char *what,
    rush_rows_t *rows)
{
    int         rc;
    MYSQL_RES  *meta;

    meta = mysql_stmt_result_metadata(st);

    if (meta == NULL) {

        if (mysql_stmt_field_count(st) != 0) {
            return rush_db_fault(db, st, what);
        }

        if (rows != NULL) {
            rows->affected = mysql_stmt_affected_rows(st);
            rows->insert_id = mysql_stmt_insert_id(st);
        }

        return RUSH_OK;
    }

    rc = RUSH_OK;

    if (mysql_stmt_store_result(st) != 0) {
        rc = rush_db_fault(db, st, what);
        mysql_free_result(meta);
        return rc;
    }

    if (rows != NULL) {
        mysql_free_result(meta);

        /* asked again: max_length is known only after the store */

        meta = mysql_stmt_result_metadata(st);

        if (meta == NULL) {
            return rush_db_fault(db, st, what);
        }

        rc = rush_db_read(db, st, what, meta, rows);
    }

    mysql_free_result(meta);

    /*
     * A fault may have closed the connection and freed the statement.  What
     * was not read to its end cannot be freed: of a result without rows the
     * library would wait for some until its timeout.
     */

    if (db->my != NULL && rc != RUSH_OK) {
        rush_db_close(db);

    } else if (db->my != NULL) {
        (void) mysql_stmt_free_result(st);
    }

    return rc;
}


static int
rush_db_read(rush_db_t *db, MYSQL_STMT *st, const char *what,
    MYSQL_RES *meta, rush_rows_t *rows)
{
    int             rc;
    char           *buf;
    size_t          i, cols, size;
    my_bool        *null;
    MYSQL_BIND     *bind;
    MYSQL_FIELD    *fields;
    rush_gather_t   g;
    unsigned long  *len;

    cols = mysql_num_fields(meta);
    fields = mysql_fetch_fields(meta);

    memset(&g, 0, sizeof(rush_gather_t));

    size = 0;
    for (i = 0; i < cols; i++) {
        size += fields[i].max_length + RUSH_DB_MIN_CELL;
    }

    bind = calloc(cols + 1, sizeof(MYSQL_BIND));
    len = calloc(cols + 1, sizeof(unsigned long));
    null = calloc(cols + 1, sizeof(my_bool));
    buf = malloc(size + 1);

    if (bind == NULL || len == NULL || null == NULL || buf == NULL) {
        rush_log(RUSH_LOG_ERROR, "mysql: no memory for rows");
        db->failed = db->transaction;
        rc = RUSH_DB_DOWN;
        goto done;
    }

    size = 0;
    for (i = 0; i < cols; i++) {
        bind[i].buffer_type = MYSQL_TYPE_STRING;
        bind[i].buffer = buf + size;
        bind[i].buffer_length = fields[i].max_length + RUSH_DB_MIN_CELL;
        bind[i].length = &len[i];
        bind[i].is_null = &null[i];
        size += bind[i].buffer_length;
    }

    if (mysql_stmt_bind_result(st, bind) != 0) {
        rc = rush_db_fault(db, st, what);
        goto done;
    }

    rows->cols = cols;

    for ( ;; ) {
        rc = mysql_stmt_fetch(st);

        if (rc != 0) {
            break;
        }

        for (i = 0; i < cols; i++) {
            rush_gather_cell(&g, bind[i].buffer, len[i], null[i]);
        }
    }

    if (rc != MYSQL_NO_DATA) {
        rush_log(RUSH_LOG_ERROR, "mysql %s: %s: cannot read rows", db->name,
                 what);
        rush_buf_free(&g.cells);
        rush_buf_free(&g.bytes);
        db->failed = db->transaction;
        rc = RUSH_DB_DOWN;
        goto done;
    }

    rc = RUSH_OK;

    if (rush_gather_done(&g, rows) != RUSH_OK) {
        db->failed = db->transaction;
        rc = RUSH_DB_DOWN;
    }

done:

    free(bind);
    free(len);
    free(null);
    free(buf);

    return rc;
}


int
rush_db_fetch_text(rush_db_t *db, const char *what, rush_rows_t *rows)
{
    size_t          i;
    MYSQL_RES      *res;
    MYSQL_ROW       row;
    rush_gather_t   g;
    unsigned long  *len;

    res = mysql_store_result(db->my);

    if (res == NULL) {

        if (mysql_field_count(db->my) != 0) {
            return rush_db_fault(db, NULL, what);
        }

        if (rows != NULL) {
            rows->affected = mysql_affected_rows(db->my);
            rows->insert_id = mysql_insert_id(db->my);
        }

        return RUSH_OK;
    }

    if (rows == NULL) {
        mysql_free_result(res);
        return RUSH_OK;
    }

    memset(&g, 0, sizeof(rush_gather_t));
    rows->cols = mysql_num_fields(res);

    for ( ;; ) {
        row = mysql_fetch_row(res);

        if (row == NULL) {
            break;
        }

        len = mysql_fetch_lengths(res);

        for (i = 0; i < rows->cols; i++) {
            rush_gather_cell(&g, row[i], len[i], row[i] == NULL);
        }
    }

    mysql_free_result(res);

    if (rush_gather_done(&g, rows) != RUSH_OK) {
        db->failed = db->transaction;
        return RUSH_DB_DOWN;
    }

    return RUSH_OK;
}
