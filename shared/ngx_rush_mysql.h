
/*
 * Copyright (C) Rush
 *
 * MySQL client of a worker: a small pool of connections over the
 * non-blocking API of MariaDB Connector/C, prepared statements only.  An
 * operation waits in a FIFO queue of limited length when all connections
 * are at work.
 */


#ifndef _NGX_RUSH_MYSQL_H_INCLUDED_
#define _NGX_RUSH_MYSQL_H_INCLUDED_


#include "ngx_rush.h"


struct ngx_rush_rows_s {                /* borrowed for the handler or step */
    ngx_uint_t            n;            /* rows */
    ngx_uint_t            cols;
    uint64_t              affected;     /* rows changed, not rows found */
    uint64_t              insert_id;
    ngx_str_t            *cells;        /* n * cols, row by row, as text;
                                           data is NULL for SQL NULL */
};

#define ngx_rush_cell(rows, row, col)                                         \
    (&(rows)->cells[(row) * (rows)->cols + (col)])

/* 0 for NULL and for what is no number */
int64_t ngx_rush_cell_int(ngx_rush_rows_t *rows, ngx_uint_t row,
    ngx_uint_t col);


typedef enum {
    NGX_RUSH_P_INT = 0,
    NGX_RUSH_P_STR,
    NGX_RUSH_P_NULL
} ngx_rush_param_e;

typedef struct {
    ngx_rush_param_e      type;
    int64_t               i;
    ngx_str_t             s;            /* copied when the call starts */
} ngx_rush_param_t;

#define ngx_rush_p_int(v)   (ngx_rush_param_t) { NGX_RUSH_P_INT, (v),         \
                                                 { 0, NULL } }
#define ngx_rush_p_str(v)   (ngx_rush_param_t) { NGX_RUSH_P_STR, 0,           \
                                                 { (v)->len,                  \
                                                   (u_char *) (v)->data } }
#define ngx_rush_p_null()   (ngx_rush_param_t) { NGX_RUSH_P_NULL, 0,          \
                                                 { 0, NULL } }


/* rc: NGX_OK rows is there; NGX_DECLINED duplicate key (1062), nothing
 * changed; NGX_BUSY certainly not executed; NGX_ERROR failed or unknown */
typedef void (*ngx_rush_mysql_pt)(void *data, ngx_rush_rows_t *rows,
    ngx_int_t rc);


typedef struct {
    ngx_str_t             host;         /* numeric, resolved at -t; or empty */
    in_port_t             port;
    ngx_str_t             socket;       /* unix socket path; or empty */
    ngx_str_t             user;
    ngx_str_t             password;     /* from password_file= */
    ngx_str_t             database;
    ngx_uint_t            connections;  /* a worker, default 4 */
    ngx_uint_t            queue;        /* waiting operations, default 256 */
    ngx_msec_t            connect_timeout;
    ngx_msec_t            timeout;      /* of one statement with its wait,
                                           default 3000 */
} ngx_rush_mysql_conf_t;


/* slot of "rush_mysql address user= [password_file=] database=
 * [connections=] [queue=] [timeout=] [connect_timeout=]" */
char *ngx_rush_mysql_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

ngx_int_t ngx_rush_mysql_init(ngx_cycle_t *cycle, ngx_rush_mysql_conf_t *cf);
void ngx_rush_mysql_exit(ngx_cycle_t *cycle);


/* NGX_OK: started or queued; NGX_BUSY: refused, the handler never runs */
ngx_int_t ngx_rush_mysql_send(const rush_stmt_t *stmt,
    ngx_rush_param_t *params, ngx_uint_t n, ngx_rush_mysql_pt handler,
    void *data);

/* the same as a step's operation: q->rows in the next step.  A duplicate key
 * answers on_dup (NGX_OK: the next step sees rows NULL); a failure BUSY */
ngx_int_t ngx_rush_query(ngx_rush_req_t *q, const rush_stmt_t *stmt,
    ngx_rush_param_t *params, ngx_uint_t n, ngx_int_t on_dup);


typedef struct {
    ngx_uint_t            up;           /* connections open */
    ngx_uint_t            busy;
    ngx_uint_t            waiting;
    ngx_msec_t            down_since;   /* 0: up */
} ngx_rush_mysql_state_t;

void ngx_rush_mysql_state(ngx_rush_mysql_state_t *state);


#endif /* _NGX_RUSH_MYSQL_H_INCLUDED_ */
