
/*
 * Copyright (C) Rush
 *
 * Inside of db.c, db_insert.c and db_rows.c, and the insert of store.c.
 */


#ifndef _RUSH_DB_H_INCLUDED_
#define _RUSH_DB_H_INCLUDED_


#include <mariadb/mysql.h>
#include "consumer.h"


#define RUSH_DB_STMTS  128              /* prepared, of a connection */


typedef struct {
    const rush_stmt_t  *stmt;
    size_t              rows;           /* tuples after VALUES */
    MYSQL_STMT         *st;
} rush_prepared_t;


struct rush_db_s {
    rush_daemon_t      *daemon;
    const char         *name;
    MYSQL              *my;             /* NULL: no connection */
    rush_prepared_t     prepared[RUSH_DB_STMTS];
    size_t              n;
    unsigned            generation;
    int64_t             next_try;       /* us, rush_mono() */
    int64_t             backoff;        /* ms */
    unsigned            code;           /* of the last fault */
    char                error[256];
    unsigned            told:1;         /* the outage is in the log */
    unsigned            bulk:1;         /* the server takes arrays */
    unsigned            transaction:1;
    unsigned            failed:1;       /* a statement of it failed */
};


/* columns of many rows; i or s and len are arrays, by type */

typedef struct {
    rush_param_e        type;           /* not RUSH_P_NULL */
    int64_t            *i;
    char              **s;
    unsigned long      *len;
} rush_column_t;


/*
 * The statement has one tuple "(?, ...)" at its end.  Rows from .. from + n
 * of the columns go in: as one array where the server is a MariaDB, else as
 * statements with 2^k tuples.  Some rows may be in when it fails: roll back.
 */
int rush_db_insert(rush_db_t *db, const rush_stmt_t *stmt,
    const rush_column_t *cols, size_t from, size_t n);


/* the statement with "rows" tuples (0: with arrays), from the cache or new;
 * NULL and *rc */
MYSQL_STMT *rush_db_prepare(rush_db_t *db, const rush_stmt_t *stmt,
    size_t rows, int *rc);

/* takes the fault of the connection (st NULL) or of the statement */
int rush_db_fault(rush_db_t *db, MYSQL_STMT *st, const char *what);

/* the answer of what was just executed */
int rush_db_fetch(rush_db_t *db, MYSQL_STMT *st, const char *what,
    rush_rows_t *rows);
int rush_db_fetch_text(rush_db_t *db, const char *what, rush_rows_t *rows);


#endif /* _RUSH_DB_H_INCLUDED_ */
