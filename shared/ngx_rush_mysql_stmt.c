
/*
 * Copyright (C) Rush
 *
 * One statement on one connection, from its start to its answer: it is
 * prepared at its first use on the connection and lives as long as that
 * does.  What an error leaves of the operation and of the connection is
 * decided in ngx_rush_mysql_failed() and ngx_rush_mysql_lost() only.
 */


#include "ngx_rush_mysql_int.h"


static ngx_int_t ngx_rush_mysql_begin(ngx_rush_mysql_conn_t *conn);
static ngx_int_t ngx_rush_mysql_prepared(ngx_rush_mysql_conn_t *conn);
static ngx_int_t ngx_rush_mysql_execute(ngx_rush_mysql_conn_t *conn);
static ngx_int_t ngx_rush_mysql_executed(ngx_rush_mysql_conn_t *conn);
static ngx_int_t ngx_rush_mysql_stored(ngx_rush_mysql_conn_t *conn);
static ngx_int_t ngx_rush_mysql_failed(ngx_rush_mysql_conn_t *conn);
static ngx_int_t ngx_rush_mysql_done(ngx_rush_mysql_conn_t *conn,
    ngx_rush_rows_t *rows, ngx_int_t rc);
static ngx_rush_mysql_stmt_t *ngx_rush_mysql_find(ngx_rush_mysql_conn_t *conn,
    const rush_stmt_t *def);


void
ngx_rush_mysql_start(ngx_rush_mysql_conn_t *conn, ngx_rush_mysql_op_t *op)
{
    conn->op = op;
    op->conn = conn;

    if (ngx_rush_mysql_begin(conn) == NGX_AGAIN) {
        ngx_rush_mysql_run(conn);
    }
}


/*
 * The call of a step has ended.  NGX_AGAIN: another one is started;
 * NGX_DONE: the operation is over or back in the queue
 */

ngx_int_t
ngx_rush_mysql_step(ngx_rush_mysql_conn_t *conn)
{
    switch (conn->state) {

    case NGX_RUSH_MYSQL_PREPARING:
        return ngx_rush_mysql_prepared(conn);

    case NGX_RUSH_MYSQL_EXECUTING:
        return ngx_rush_mysql_executed(conn);

    case NGX_RUSH_MYSQL_STORING:
        return ngx_rush_mysql_stored(conn);

    default:
        return NGX_DONE;
    }
}


static ngx_int_t
ngx_rush_mysql_begin(ngx_rush_mysql_conn_t *conn)
{
    const rush_stmt_t  *def;

    def = conn->op->stmt;

    conn->stmt = ngx_rush_mysql_find(conn, def);
    if (conn->stmt == NULL) {
        return ngx_rush_mysql_done(conn, NULL, NGX_BUSY);
    }

    if (conn->stmt->prepared) {
        return ngx_rush_mysql_execute(conn);
    }

    ngx_log_debug2(NGX_LOG_DEBUG_EVENT, ngx_rush_mysql->log, 0,
                   "mysql %V: preparing %s", &ngx_rush_mysql->name,
                   def->name);

    conn->state = NGX_RUSH_MYSQL_PREPARING;
    conn->wait = mysql_stmt_prepare_start(&conn->ret, conn->stmt->handle,
                                          def->text, def->len);
    return NGX_AGAIN;
}


static ngx_int_t
ngx_rush_mysql_prepared(ngx_rush_mysql_conn_t *conn)
{
    if (conn->ret) {
        return ngx_rush_mysql_failed(conn);
    }

    conn->stmt->prepared = 1;

    if (mysql_stmt_param_count(conn->stmt->handle) != conn->op->stmt->params) {
        ngx_rush_mysql_log(NGX_LOG_ALERT, conn->op->stmt, 0, NULL,
                           "has another number of parameters");
        return ngx_rush_mysql_done(conn, NULL, NGX_ERROR);
    }

    return ngx_rush_mysql_execute(conn);
}


static ngx_int_t
ngx_rush_mysql_execute(ngx_rush_mysql_conn_t *conn)
{
    MYSQL_STMT  *handle;

    ngx_log_debug2(NGX_LOG_DEBUG_EVENT, ngx_rush_mysql->log, 0,
                   "mysql %V: executing %s", &ngx_rush_mysql->name,
                   conn->op->stmt->name);

    conn->state = NGX_RUSH_MYSQL_EXECUTING;
    handle = conn->stmt->handle;

    if (conn->op->stmt->params
        && mysql_stmt_bind_param(handle, conn->op->params))
    {
        return ngx_rush_mysql_failed(conn);
    }

    conn->wait = mysql_stmt_execute_start(&conn->ret, handle);

    return NGX_AGAIN;
}


static ngx_int_t
ngx_rush_mysql_executed(ngx_rush_mysql_conn_t *conn)
{
    MYSQL_STMT       *handle;
    ngx_rush_rows_t   rows;

    if (conn->ret) {
        return ngx_rush_mysql_failed(conn);
    }

    handle = conn->stmt->handle;

    if (mysql_stmt_field_count(handle)) {
        conn->state = NGX_RUSH_MYSQL_STORING;
        conn->wait = mysql_stmt_store_result_start(&conn->ret, handle);

        return NGX_AGAIN;
    }

    ngx_memzero(&rows, sizeof(ngx_rush_rows_t));
    rows.affected = mysql_stmt_affected_rows(handle);
    rows.insert_id = mysql_stmt_insert_id(handle);

    return ngx_rush_mysql_done(conn, &rows, NGX_OK);
}


static ngx_int_t
ngx_rush_mysql_stored(ngx_rush_mysql_conn_t *conn)
{
    ngx_int_t         rc;
    MYSQL_STMT       *handle;
    ngx_rush_rows_t   rows;

    if (conn->ret) {
        return ngx_rush_mysql_failed(conn);
    }

    handle = conn->stmt->handle;

    if (mysql_stmt_more_results(handle)) {
        return ngx_rush_mysql_lost(conn, 0, "has more than one result");
    }

    ngx_memzero(&rows, sizeof(ngx_rush_rows_t));
    rc = ngx_rush_mysql_fetch(conn->stmt, &rows);

    /*
     * Nothing is freed unless the cursor stands on a row.  Without rows, a
     * seek would make the next execution wait for some
     */

    if (mysql_stmt_num_rows(handle)) {
        mysql_stmt_data_seek(handle, 0);
    }

    if (mysql_stmt_free_result(handle)) {

        if (rows.cells) {
            ngx_free(rows.cells);
        }

        return ngx_rush_mysql_lost(conn, mysql_stmt_errno(handle),
                                   "has a result that cannot be freed");
    }

    rc = ngx_rush_mysql_done(conn, (rc == NGX_OK) ? &rows : NULL, rc);

    if (rows.cells) {
        ngx_free(rows.cells);
    }

    return rc;
}


static ngx_int_t
ngx_rush_mysql_failed(ngx_rush_mysql_conn_t *conn)
{
    ngx_uint_t            err;
    const char           *sqlstate;
    ngx_rush_mysql_op_t  *op;

    op = conn->op;
    err = mysql_stmt_errno(conn->stmt->handle);
    sqlstate = mysql_stmt_sqlstate(conn->stmt->handle);

    if (err == 0
        || IS_MYSQL_ERROR(err)          /* the library's own */
        || IS_MARIADB_ERROR(err))
    {
        return ngx_rush_mysql_lost(conn, err, "is lost");
    }

    switch (ngx_rush_mysql_verdict(err)) {

    case NGX_RUSH_MYSQL_DUPLICATE:
        return ngx_rush_mysql_done(conn, NULL, NGX_DECLINED);

    case NGX_RUSH_MYSQL_AGAIN:

        if (!op->retried) {
            op->retried = 1;
            return ngx_rush_mysql_begin(conn);
        }

        ngx_rush_mysql_log(NGX_LOG_WARN, op->stmt, err, sqlstate,
                           "is refused twice");
        return ngx_rush_mysql_done(conn, NULL, NGX_BUSY);

    case NGX_RUSH_MYSQL_FRESH:

        if (!op->retried) {
            op->retried = 1;
            conn->op = NULL;

            ngx_rush_mysql_close(conn);
            ngx_rush_mysql_requeue(op);

            return NGX_DONE;
        }

        /* fall through */

    case NGX_RUSH_MYSQL_REFUSED:
        ngx_rush_mysql_log(NGX_LOG_ERR, op->stmt, err, sqlstate,
                           "is refused");
        return ngx_rush_mysql_done(conn, NULL, NGX_BUSY);

    default: /* NGX_RUSH_MYSQL_FAILED */
        ngx_rush_mysql_log(NGX_LOG_ERR, op->stmt, err, sqlstate, "failed");
        return ngx_rush_mysql_done(conn, NULL, NGX_ERROR);
    }
}


/* the connection cannot be used any more while a statement is at work */

ngx_int_t
ngx_rush_mysql_lost(ngx_rush_mysql_conn_t *conn, ngx_uint_t err,
    const char *text)
{
    ngx_uint_t            sent;
    ngx_rush_mysql_op_t  *op;

    op = conn->op;

    /*
     * CR_SERVER_GONE_ERROR is of writing: the last bytes of the command did
     * not leave, so the server cannot have run it
     */

    sent = (conn->state == NGX_RUSH_MYSQL_STORING
            || (conn->state == NGX_RUSH_MYSQL_EXECUTING
                && err != CR_SERVER_GONE_ERROR));

    if (sent || op->retried) {
        ngx_rush_mysql_log(NGX_LOG_ERR, op->stmt, err, NULL, text);
    }

    conn->op = NULL;

    ngx_rush_mysql_close(conn);

    if (sent) {
        ngx_rush_mysql_finish(op, NULL, NGX_ERROR);

    } else if (op->retried) {
        ngx_rush_mysql_finish(op, NULL, NGX_BUSY);

    } else {
        op->retried = 1;
        ngx_rush_mysql_requeue(op);
    }

    return NGX_DONE;
}


static ngx_int_t
ngx_rush_mysql_done(ngx_rush_mysql_conn_t *conn, ngx_rush_rows_t *rows,
    ngx_int_t rc)
{
    ngx_rush_mysql_op_t  *op;

    op = conn->op;

    conn->op = NULL;
    conn->stmt = NULL;

    ngx_rush_mysql_idle(conn);
    ngx_rush_mysql_finish(op, rows, rc);

    return NGX_DONE;
}


static ngx_rush_mysql_stmt_t *
ngx_rush_mysql_find(ngx_rush_mysql_conn_t *conn, const rush_stmt_t *def)
{
    ngx_rush_mysql_stmt_t  *stmt, **bucket;

    bucket = &conn->stmts[(uintptr_t) def / sizeof(rush_stmt_t)
                          % NGX_RUSH_MYSQL_BUCKETS];

    for (stmt = *bucket; stmt; stmt = stmt->next) {
        if (stmt->def == def) {
            return stmt;
        }
    }

    stmt = ngx_calloc(sizeof(ngx_rush_mysql_stmt_t), ngx_rush_mysql->log);
    if (stmt == NULL) {
        return NULL;
    }

    stmt->handle = mysql_stmt_init(conn->mysql);

    if (stmt->handle == NULL) {
        ngx_log_error(NGX_LOG_ERR, ngx_rush_mysql->log, 0,
                      "mysql %V: mysql_stmt_init() failed",
                      &ngx_rush_mysql->name);
        ngx_free(stmt);
        return NULL;
    }

    stmt->def = def;
    stmt->next = *bucket;
    *bucket = stmt;

    return stmt;
}


/* after mysql_close(), which makes closing of statements free of I/O */

void
ngx_rush_mysql_forget(ngx_rush_mysql_conn_t *conn)
{
    ngx_uint_t              i;
    ngx_rush_mysql_stmt_t  *stmt;

    for (i = 0; i < NGX_RUSH_MYSQL_BUCKETS; i++) {

        while (conn->stmts[i]) {
            stmt = conn->stmts[i];
            conn->stmts[i] = stmt->next;

            (void) mysql_stmt_close(stmt->handle);  /* only frees */

            if (stmt->binds) {
                ngx_free(stmt->binds);
            }

            ngx_free(stmt);
        }
    }
}
