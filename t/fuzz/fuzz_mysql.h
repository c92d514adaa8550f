
/*
 * Copyright (C) Rush
 *
 * A connection and a statement of fuzz_mysql.c; its rows are in fuzz_rows.c.
 */


#ifndef _FUZZ_MYSQL_H_INCLUDED_
#define _FUZZ_MYSQL_H_INCLUDED_


#include "fuzz_nginx.h"
#include <mariadb/mysql.h>
#include <mariadb/errmsg.h>


#define FUZZ_COLS   64
#define FUZZ_ROOM   64
#define FUZZ_CONNS  16


typedef struct {
    int              fd[2];             /* nginx watches the first one */
    unsigned         used:1;
    unsigned         connected:1;
    unsigned         waits:1;
    unsigned         err;
} fuzz_mysql_t;


typedef struct {
    fuzz_mysql_t    *my;
    const char      *text;
    size_t           params;
    size_t           cols;
    rush_str_t       names[FUZZ_COLS];
    unsigned         decision;
    unsigned         err;
    size_t           rows;
    size_t           row;
    MYSQL_BIND      *binds;
    rush_str_t       raw;
    char             cell[FUZZ_ROOM];
} fuzz_stmt_t;


/* the names of the columns of a SELECT */
void fuzz_columns(fuzz_stmt_t *s);

/* the text of a cell of the row, by its name and the decision */
rush_str_t fuzz_cell(fuzz_stmt_t *s, size_t col, int *null);


#endif /* _FUZZ_MYSQL_H_INCLUDED_ */
