
/*
 * Copyright (C) Rush
 *
 * Operations.  One is a block of memory outside of any pool, with its
 * parameters and their texts.  It waits in the queue, works on a connection
 * and ends by ngx_rush_mysql_finish(), exactly once and never inside of the
 * call that starts it.
 *
 * Its timer covers the wait and the execution and is not cancelable: a
 * worker that is to leave waits for its answers.
 */


#include "ngx_rush_mysql_int.h"
#include "ngx_rush_counters.h"


static ngx_rush_mysql_op_t *ngx_rush_mysql_create(const rush_stmt_t *stmt,
    ngx_rush_param_t *params, ngx_uint_t n);
static void ngx_rush_mysql_enqueue(ngx_rush_mysql_op_t *op);
static void ngx_rush_mysql_expired(ngx_event_t *ev);
static void ngx_rush_query_handler(void *data, ngx_rush_rows_t *rows,
    ngx_int_t rc);


ngx_int_t
ngx_rush_mysql_send(const rush_stmt_t *stmt, ngx_rush_param_t *params,
    ngx_uint_t n, ngx_rush_mysql_pt handler, void *data)
{
    ngx_rush_mysql_op_t  *op;

    op = ngx_rush_mysql_create(stmt, params, n);
    if (op == NULL) {
        ngx_rush_count(NGX_RUSH_C_MYSQL_REFUSED, 1);
        return NGX_BUSY;
    }

    op->handler = handler;
    op->data = data;

    ngx_rush_mysql_enqueue(op);

    return NGX_OK;
}


ngx_int_t
ngx_rush_query(ngx_rush_req_t *q, const rush_stmt_t *stmt,
    ngx_rush_param_t *params, ngx_uint_t n, ngx_int_t on_dup)
{
    ngx_rush_mysql_op_t  *op;

    op = ngx_rush_mysql_create(stmt, params, n);
    if (op == NULL) {
        ngx_rush_count(NGX_RUSH_C_MYSQL_REFUSED, 1);
        return RUSH_BUSY;
    }

    op->op.on_fail = RUSH_BUSY;
    op->on_dup = on_dup;
    op->handler = ngx_rush_query_handler;
    op->data = op;

    ngx_rush_mysql_enqueue(op);

    return ngx_rush_op_start(q, &op->op);
}


static void
ngx_rush_query_handler(void *data, ngx_rush_rows_t *rows, ngx_int_t rc)
{
    ngx_rush_mysql_op_t  *op = data;

    ngx_int_t        on_fail;
    ngx_rush_req_t  *q;

    on_fail = op->op.on_fail;

    q = ngx_rush_op_finish(&op->op);
    if (q == NULL) {
        return;
    }

    switch (rc) {

    case NGX_OK:
        q->rows = rows;
        break;

    case NGX_DECLINED:
        rc = op->on_dup;
        break;

    default:
        rc = on_fail;
        break;
    }

    ngx_rush_resume(q, rc);
}


static ngx_rush_mysql_op_t *
ngx_rush_mysql_create(const rush_stmt_t *stmt, ngx_rush_param_t *params,
    ngx_uint_t n)
{
    size_t                size;
    u_char               *p;
    MYSQL_BIND           *bind;
    ngx_uint_t            i, limit;
    ngx_rush_mysql_t     *my;
    ngx_rush_mysql_op_t  *op;

    my = ngx_rush_mysql;

    if (my == NULL || my->down_since) {
        return NULL;
    }

    if (n != stmt->params) {
        ngx_rush_mysql_log(NGX_LOG_ALERT, stmt, 0, NULL,
                           "is called with another number of parameters");
        return NULL;
    }

    /* idle connections take theirs at the end of this turn */

    limit = my->conf->queue + ngx_rush_mysql_count(NGX_RUSH_MYSQL_IDLE,
                                                   NGX_RUSH_MYSQL_IDLE);
    if (my->nwaiting >= limit) {
        return NULL;
    }

    size = sizeof(ngx_rush_mysql_op_t)
           + n * (sizeof(MYSQL_BIND) + sizeof(int64_t));

    for (i = 0; i < n; i++) {
        if (params[i].type == NGX_RUSH_P_STR) {
            size += params[i].s.len;
        }
    }

    op = ngx_calloc(size, my->log);
    if (op == NULL) {
        return NULL;
    }

    op->stmt = stmt;
    op->size = size;
    op->params = (MYSQL_BIND *) (op + 1);

    p = (u_char *) (op->params + n);

    /* numbers first: they are aligned */

    for (i = 0; i < n; i++, p += sizeof(int64_t)) {
        bind = &op->params[i];
        bind->buffer = p;
        bind->buffer_type = (params[i].type == NGX_RUSH_P_INT)
                            ? MYSQL_TYPE_LONGLONG : MYSQL_TYPE_NULL;
        ngx_memcpy(p, &params[i].i, sizeof(int64_t));
    }

    for (i = 0; i < n; i++) {

        if (params[i].type == NGX_RUSH_P_STR) {
            bind = &op->params[i];
            bind->buffer = p;
            bind->buffer_type = MYSQL_TYPE_STRING;
            bind->buffer_length = params[i].s.len;

            if (params[i].s.len) {      /* else it may have no data */
                p = ngx_cpymem(p, params[i].s.data, params[i].s.len);
            }
        }
    }

    return op;
}


static void
ngx_rush_mysql_enqueue(ngx_rush_mysql_op_t *op)
{
    ngx_rush_mysql_t  *my;

    my = ngx_rush_mysql;

    op->timer.handler = ngx_rush_mysql_expired;
    op->timer.data = op;
    op->timer.log = my->log;

    ngx_add_timer(&op->timer, my->conf->timeout);

    ngx_queue_insert_tail(&my->waiting, &op->queue);
    my->nwaiting++;

    ngx_rush_mysql_wake();
}


void
ngx_rush_mysql_requeue(ngx_rush_mysql_op_t *op)
{
    op->conn = NULL;

    ngx_queue_insert_head(&ngx_rush_mysql->waiting, &op->queue);
    ngx_rush_mysql->nwaiting++;

    ngx_rush_mysql_wake();
}


ngx_rush_mysql_op_t *
ngx_rush_mysql_next(void)
{
    ngx_queue_t  *queue;

    queue = ngx_queue_head(&ngx_rush_mysql->waiting);

    ngx_queue_remove(queue);
    ngx_rush_mysql->nwaiting--;

    return ngx_queue_data(queue, ngx_rush_mysql_op_t, queue);
}


void
ngx_rush_mysql_finish(ngx_rush_mysql_op_t *op, ngx_rush_rows_t *rows,
    ngx_int_t rc)
{
    ngx_log_debug3(NGX_LOG_DEBUG_EVENT, ngx_rush_mysql->log, 0,
                   "mysql %V: %s ends with %i", &ngx_rush_mysql->name,
                   op->stmt->name, rc);

    switch (rc) {

    case NGX_OK:
        ngx_rush_count(NGX_RUSH_C_MYSQL_STATEMENTS, 1);
        break;

    case NGX_DECLINED:
        ngx_rush_count(NGX_RUSH_C_MYSQL_DUPLICATES, 1);
        break;

    case NGX_BUSY:
        ngx_rush_count(NGX_RUSH_C_MYSQL_REFUSED, 1);
        break;

    default:
        ngx_rush_count(NGX_RUSH_C_MYSQL_ERRORS, 1);
    }

    op->conn = NULL;
    op->handler(op->data, rows, rc);

    ngx_rush_mysql_free(op);
}


void
ngx_rush_mysql_free(ngx_rush_mysql_op_t *op)
{
    if (op->timer.timer_set) {
        ngx_del_timer(&op->timer);
    }

    ngx_explicit_memzero(op, op->size);     /* parameters may be secret */
    ngx_free(op);
}


/* of the wait and the execution together */

static void
ngx_rush_mysql_expired(ngx_event_t *ev)
{
    ngx_rush_mysql_op_t  *op = ev->data;

    ngx_int_t               rc;
    ngx_rush_mysql_conn_t  *conn;

    conn = op->conn;
    rc = NGX_BUSY;

    ngx_rush_count(NGX_RUSH_C_MYSQL_TIMEOUTS, 1);

    if (conn == NULL) {
        ngx_queue_remove(&op->queue);
        ngx_rush_mysql->nwaiting--;

        ngx_rush_mysql_log(NGX_LOG_WARN, op->stmt, NGX_ETIMEDOUT, NULL,
                           "waited too long for a connection");

    } else {
        ngx_rush_mysql_log(NGX_LOG_ERR, op->stmt, NGX_ETIMEDOUT, NULL,
                           "timed out");

        if (conn->state != NGX_RUSH_MYSQL_PREPARING) {
            rc = NGX_ERROR;
        }

        conn->op = NULL;
        ngx_rush_mysql_close(conn);
    }

    ngx_rush_mysql_finish(op, NULL, rc);
}
