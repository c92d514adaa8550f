
/*
 * Copyright (C) Rush
 *
 * The result of a statement: what its error means, or its rows as one block
 * of memory, cells first and their texts behind them.  The library has
 * stored all rows when they are fetched here, so nothing waits.
 */


#include "ngx_rush_mysql_int.h"


typedef struct {
    u_char                   *data;     /* the block */
    size_t                    size;
    size_t                    used;
} ngx_rush_mysql_block_t;


typedef struct {
    ngx_uint_t                err;
    ngx_rush_mysql_verdict_e  verdict;
} ngx_rush_mysql_error_t;


static ngx_int_t ngx_rush_mysql_bind(ngx_rush_mysql_stmt_t *stmt);
static ngx_int_t ngx_rush_mysql_copy(ngx_rush_mysql_stmt_t *stmt,
    ngx_rush_mysql_block_t *block, ngx_uint_t cell, ngx_uint_t col);
static ngx_int_t ngx_rush_mysql_reserve(ngx_rush_mysql_stmt_t *stmt,
    ngx_rush_mysql_block_t *block, size_t len);


static ngx_rush_mysql_error_t  ngx_rush_mysql_errors[] = {
    { 1020, NGX_RUSH_MYSQL_AGAIN },     /* record changed since last read */
    { 1022, NGX_RUSH_MYSQL_DUPLICATE },
    { 1040, NGX_RUSH_MYSQL_REFUSED },   /* too many connections */
    { 1062, NGX_RUSH_MYSQL_DUPLICATE },
    { 1203, NGX_RUSH_MYSQL_REFUSED },   /* too many connections of a user */
    { 1205, NGX_RUSH_MYSQL_AGAIN },     /* lock wait timeout */
    { 1213, NGX_RUSH_MYSQL_AGAIN },     /* deadlock */
    { 1226, NGX_RUSH_MYSQL_REFUSED },   /* resource limit of a user */
    { 1243, NGX_RUSH_MYSQL_FRESH },     /* unknown prepared statement */
    { 1290, NGX_RUSH_MYSQL_REFUSED },   /* read-only */
    { 1461, NGX_RUSH_MYSQL_REFUSED },   /* too many prepared statements */
    { 1586, NGX_RUSH_MYSQL_DUPLICATE },
    { 1615, NGX_RUSH_MYSQL_FRESH },     /* must be prepared again */
    { 1792, NGX_RUSH_MYSQL_REFUSED },   /* read-only transaction */
    { 1836, NGX_RUSH_MYSQL_REFUSED },   /* read-only mode */
    { 1969, NGX_RUSH_MYSQL_REFUSED }    /* max_statement_time: rolled back */
};


ngx_rush_mysql_verdict_e
ngx_rush_mysql_verdict(ngx_uint_t err)
{
    ngx_uint_t  i, n;

    n = sizeof(ngx_rush_mysql_errors) / sizeof(ngx_rush_mysql_errors[0]);

    for (i = 0; i < n; i++) {
        if (ngx_rush_mysql_errors[i].err == err) {
            return ngx_rush_mysql_errors[i].verdict;
        }
    }

    return NGX_RUSH_MYSQL_FAILED;
}


/* NGX_OK: rows->cells is to be freed; NGX_ERROR: logged, nothing is */

ngx_int_t
ngx_rush_mysql_fetch(ngx_rush_mysql_stmt_t *stmt, ngx_rush_rows_t *rows)
{
    int                     rc;
    size_t                  size;
    ngx_uint_t              i, row, col;
    ngx_rush_mysql_block_t  block;

    rows->n = mysql_stmt_num_rows(stmt->handle);
    rows->cols = mysql_stmt_field_count(stmt->handle);

    if (rows->n == 0) {
        return NGX_OK;
    }

    size = rows->cols * sizeof(ngx_str_t);

    if (rows->n > NGX_RUSH_MYSQL_MAX_ROWS
        || rows->n > NGX_RUSH_MYSQL_MAX_SIZE / size)
    {
        ngx_rush_mysql_log(NGX_LOG_ERR, stmt->def, 0, NULL,
                           "has too many rows");
        return NGX_ERROR;
    }

    if (ngx_rush_mysql_bind(stmt) != NGX_OK) {
        return NGX_ERROR;
    }

    block.used = rows->n * size;
    block.size = block.used + rows->n * rows->cols * 16 + 1;
    block.data = ngx_alloc(block.size, ngx_rush_mysql->log);

    if (block.data == NULL) {
        return NGX_ERROR;
    }

    for (row = 0, i = 0; row < rows->n; row++) {

        rc = mysql_stmt_fetch(stmt->handle);

        if (rc != 0 && rc != MYSQL_DATA_TRUNCATED) {
            ngx_rush_mysql_log(NGX_LOG_ERR, stmt->def,
                               mysql_stmt_errno(stmt->handle),
                               mysql_stmt_sqlstate(stmt->handle),
                               "has a row that cannot be fetched");
            goto failed;
        }

        for (col = 0; col < rows->cols; col++, i++) {
            if (ngx_rush_mysql_copy(stmt, &block, i, col) != NGX_OK) {
                goto failed;
            }
        }
    }

    rows->cells = (ngx_str_t *) block.data;

    for (i = 0; i < rows->n * rows->cols; i++) {
        if (rows->cells[i].data) {
            rows->cells[i].data = block.data + (size_t) rows->cells[i].data;
        }
    }

    return NGX_OK;

failed:

    ngx_free(block.data);

    return NGX_ERROR;
}


static ngx_int_t
ngx_rush_mysql_bind(ngx_rush_mysql_stmt_t *stmt)
{
    size_t       size;
    ngx_uint_t   i, n;
    MYSQL_BIND  *binds;

    n = mysql_stmt_field_count(stmt->handle);

    if (n != stmt->ncols) {

        size = sizeof(MYSQL_BIND) + sizeof(ngx_rush_mysql_col_t);

        binds = ngx_calloc(n * size, ngx_rush_mysql->log);
        if (binds == NULL) {
            return NGX_ERROR;
        }

        if (stmt->binds) {
            ngx_free(stmt->binds);
        }

        stmt->binds = binds;
        stmt->cols = (ngx_rush_mysql_col_t *) &binds[n];
        stmt->ncols = n;

        for (i = 0; i < n; i++) {
            binds[i].buffer_type = MYSQL_TYPE_STRING;
            binds[i].buffer = stmt->cols[i].text;
            binds[i].buffer_length = NGX_RUSH_MYSQL_SCRATCH;
            binds[i].length = &stmt->cols[i].length;
            binds[i].is_null = &stmt->cols[i].null;
        }
    }

    if (mysql_stmt_bind_result(stmt->handle, stmt->binds)) {
        ngx_rush_mysql_log(NGX_LOG_ERR, stmt->def,
                           mysql_stmt_errno(stmt->handle),
                           mysql_stmt_sqlstate(stmt->handle),
                           "has a result that cannot be bound");
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* data of a cell is an offset for now: the block may still move */

static ngx_int_t
ngx_rush_mysql_copy(ngx_rush_mysql_stmt_t *stmt,
    ngx_rush_mysql_block_t *block, ngx_uint_t cell, ngx_uint_t col)
{
    size_t                 len;
    ngx_str_t             *s;
    MYSQL_BIND             bind;
    ngx_rush_mysql_col_t  *c;

    c = &stmt->cols[col];
    len = c->null ? 0 : c->length;

    if (ngx_rush_mysql_reserve(stmt, block, len) != NGX_OK) {
        return NGX_ERROR;
    }

    s = (ngx_str_t *) block->data + cell;

    if (c->null) {
        ngx_str_null(s);
        return NGX_OK;
    }

    s->len = len;
    s->data = (u_char *) block->used;

    if (len <= NGX_RUSH_MYSQL_SCRATCH) {
        ngx_memcpy(block->data + block->used, c->text, len);

    } else {
        ngx_memzero(&bind, sizeof(MYSQL_BIND));
        bind.buffer_type = MYSQL_TYPE_STRING;
        bind.buffer = block->data + block->used;
        bind.buffer_length = len;

        if (mysql_stmt_fetch_column(stmt->handle, &bind, col, 0)) {
            ngx_rush_mysql_log(NGX_LOG_ERR, stmt->def,
                               mysql_stmt_errno(stmt->handle),
                               mysql_stmt_sqlstate(stmt->handle),
                               "has a column that cannot be fetched");
            return NGX_ERROR;
        }
    }

    block->used += len;

    return NGX_OK;
}


static ngx_int_t
ngx_rush_mysql_reserve(ngx_rush_mysql_stmt_t *stmt,
    ngx_rush_mysql_block_t *block, size_t len)
{
    size_t   size;
    u_char  *p;

    if (len < block->size - block->used) {
        return NGX_OK;
    }

    if (len >= NGX_RUSH_MYSQL_MAX_SIZE - ngx_min(block->used,
                                                 NGX_RUSH_MYSQL_MAX_SIZE))
    {
        ngx_rush_mysql_log(NGX_LOG_ERR, stmt->def, 0, NULL,
                           "has too large a result");
        return NGX_ERROR;
    }

    size = ngx_max(block->size * 2, block->used + len + 1);

    p = ngx_alloc(size, ngx_rush_mysql->log);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(p, block->data, block->used);
    ngx_free(block->data);

    block->data = p;
    block->size = size;

    return NGX_OK;
}


int64_t
ngx_rush_cell_int(ngx_rush_rows_t *rows, ngx_uint_t row, ngx_uint_t col)
{
    u_char      *p, *last;
    uint64_t     limit, value;
    ngx_str_t   *cell;
    ngx_uint_t   minus;

    /* a count has always one row, from a server in its senses */

    if (row >= rows->n) {
        return 0;
    }

    cell = ngx_rush_cell(rows, row, col);

    if (cell->len == 0) {
        return 0;
    }

    p = cell->data;
    last = p + cell->len;

    minus = (cell->len > 1 && *p == '-');
    limit = (uint64_t) INT64_MAX + minus;

    for (p += minus, value = 0; p < last; p++) {

        if (*p < '0' || *p > '9' || value > (limit - (*p - '0')) / 10) {
            return 0;
        }

        value = value * 10 + (*p - '0');
    }

    return (int64_t) (minus ? 0 - value : value);
}
