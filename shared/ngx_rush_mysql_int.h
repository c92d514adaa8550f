
/*
 * Copyright (C) Rush
 *
 * Private to ngx_rush_mysql*.c.
 */


#ifndef _NGX_RUSH_MYSQL_INT_H_INCLUDED_
#define _NGX_RUSH_MYSQL_INT_H_INCLUDED_


#include "ngx_rush_mysql.h"
#include <mariadb/mysql.h>
#include <mariadb/errmsg.h>


#define NGX_RUSH_MYSQL_PORT          3306
#define NGX_RUSH_MYSQL_MAX_ROWS      10000
#define NGX_RUSH_MYSQL_MAX_SIZE      (16 * 1024 * 1024)
#define NGX_RUSH_MYSQL_BUCKETS       64     /* of prepared statements */
#define NGX_RUSH_MYSQL_SCRATCH       64     /* bytes a column; a shorter text
                                               is converted only once */


typedef struct ngx_rush_mysql_s      ngx_rush_mysql_t;
typedef struct ngx_rush_mysql_op_s   ngx_rush_mysql_op_t;
typedef struct ngx_rush_mysql_stmt_s ngx_rush_mysql_stmt_t;


typedef enum {
    NGX_RUSH_MYSQL_CLOSED = 0,
    NGX_RUSH_MYSQL_CONNECTING,
    NGX_RUSH_MYSQL_IDLE,
    NGX_RUSH_MYSQL_PREPARING,
    NGX_RUSH_MYSQL_EXECUTING,
    NGX_RUSH_MYSQL_STORING,
    NGX_RUSH_MYSQL_CLOSING
} ngx_rush_mysql_state_e;


typedef enum {                          /* what an error of the server means */
    NGX_RUSH_MYSQL_FAILED = 0,
    NGX_RUSH_MYSQL_DUPLICATE,
    NGX_RUSH_MYSQL_REFUSED,             /* certainly not executed */
    NGX_RUSH_MYSQL_AGAIN,               /* the same, and a retry may help */
    NGX_RUSH_MYSQL_FRESH                /* the same, on another connection */
} ngx_rush_mysql_verdict_e;


typedef struct {
    unsigned long             length;
    my_bool                   null;
    u_char                    text[NGX_RUSH_MYSQL_SCRATCH];
} ngx_rush_mysql_col_t;


struct ngx_rush_mysql_stmt_s {          /* of one connection */
    const rush_stmt_t        *def;
    MYSQL_STMT               *handle;
    MYSQL_BIND               *binds;    /* one block with cols */
    ngx_rush_mysql_col_t     *cols;
    ngx_uint_t                ncols;
    ngx_rush_mysql_stmt_t    *next;
    unsigned                  prepared:1;
};


typedef struct {
    MYSQL                    *mysql;
    MYSQL                    *connected;    /* result of connecting */
    int                       ret;      /* result of any other call */
    int                       wait;     /* MYSQL_WAIT_..., 0: no call waits */
    ngx_rush_mysql_state_e    state;

    ngx_connection_t         *connection;   /* its fd is a duplicate */
    int                       fd;       /* the library's, never closed here */
    ngx_event_t               timer;    /* of connecting */

    ngx_rush_mysql_op_t      *op;
    ngx_rush_mysql_stmt_t    *stmt;     /* of op */
    ngx_rush_mysql_stmt_t    *stmts[NGX_RUSH_MYSQL_BUCKETS];
} ngx_rush_mysql_conn_t;


struct ngx_rush_mysql_op_s {            /* one block with params and texts */
    ngx_rush_op_t             op;       /* of ngx_rush_query() only */
    ngx_int_t                 on_dup;   /* the same */

    const rush_stmt_t        *stmt;
    MYSQL_BIND               *params;
    size_t                    size;     /* of the block */

    ngx_rush_mysql_pt         handler;
    void                     *data;

    ngx_queue_t               queue;    /* while it waits */
    ngx_rush_mysql_conn_t    *conn;     /* NULL while it waits */
    ngx_event_t               timer;

    unsigned                  retried:1;
};


struct ngx_rush_mysql_s {               /* one a worker, in cycle->pool */
    ngx_rush_mysql_conf_t    *conf;
    ngx_log_t                *log;
    ngx_str_t                 name;     /* in logs */
    char                      setup[384];   /* run on each connection */

    ngx_rush_mysql_conn_t    *conns;    /* conf->connections */
    ngx_queue_t               waiting;
    ngx_uint_t                nwaiting;

    ngx_event_t               pump;     /* posted */
    ngx_event_t               backoff;  /* cancelable; set: do not connect */
    ngx_uint_t                fails;    /* to connect, in a row */
    ngx_msec_t                down_since;   /* 0: up */

    time_t                    logged;   /* when, */
    ngx_uint_t                logged_errno; /* and what */
    const rush_stmt_t        *logged_stmt;
};


extern ngx_rush_mysql_t  *ngx_rush_mysql;


/* ngx_rush_mysql.c */

void ngx_rush_mysql_wake(void);
ngx_uint_t ngx_rush_mysql_count(ngx_rush_mysql_state_e from,
    ngx_rush_mysql_state_e to);
void ngx_rush_mysql_connected(void);
void ngx_rush_mysql_refused(ngx_uint_t err, const char *text);
void ngx_rush_mysql_log(ngx_uint_t level, const rush_stmt_t *stmt,
    ngx_uint_t err, const char *sqlstate, const char *text);

/* ngx_rush_mysql_op.c */

ngx_rush_mysql_op_t *ngx_rush_mysql_next(void);
void ngx_rush_mysql_requeue(ngx_rush_mysql_op_t *op);
void ngx_rush_mysql_finish(ngx_rush_mysql_op_t *op, ngx_rush_rows_t *rows,
    ngx_int_t rc);
void ngx_rush_mysql_free(ngx_rush_mysql_op_t *op);

/* ngx_rush_mysql_conn.c */

void ngx_rush_mysql_connect(ngx_rush_mysql_conn_t *conn);
void ngx_rush_mysql_run(ngx_rush_mysql_conn_t *conn);
void ngx_rush_mysql_idle(ngx_rush_mysql_conn_t *conn);
ngx_uint_t ngx_rush_mysql_alive(ngx_rush_mysql_conn_t *conn);
void ngx_rush_mysql_close(ngx_rush_mysql_conn_t *conn);

/* ngx_rush_mysql_stmt.c */

void ngx_rush_mysql_start(ngx_rush_mysql_conn_t *conn,
    ngx_rush_mysql_op_t *op);
ngx_int_t ngx_rush_mysql_step(ngx_rush_mysql_conn_t *conn);
ngx_int_t ngx_rush_mysql_lost(ngx_rush_mysql_conn_t *conn, ngx_uint_t err,
    const char *text);
void ngx_rush_mysql_forget(ngx_rush_mysql_conn_t *conn);

/* ngx_rush_mysql_rows.c */

ngx_int_t ngx_rush_mysql_fetch(ngx_rush_mysql_stmt_t *stmt,
    ngx_rush_rows_t *rows);
ngx_rush_mysql_verdict_e ngx_rush_mysql_verdict(ngx_uint_t err);


#endif /* _NGX_RUSH_MYSQL_INT_H_INCLUDED_ */
