
/*
 * Copyright (C) Rush
 *
 * libmariadb as nginx uses it.  What a statement answers is decided by a byte
 * of the plan; rows have as many columns as the statement asks for, and what
 * is in them follows their names.
 *
 * A decision: 0 (and all that is not below) one good row, 1 no row, 2 two
 * rows, 3 a duplicate, 4 deadlock, 5 lock wait, 6 server gone, 7 connection
 * lost, 8 table full, 9 NULLs, 10 long texts, 11 the greatest numbers, 12
 * waits until released, 13 bytes of the input, 14 nothing affected, 15 bad
 * text, 16 no further connection, 17 unknown statement.
 */


#include "fuzz_mysql.h"


#define fuzz_my(m)    ((fuzz_mysql_t *) (void *) (m))
#define fuzz_stmt(s)  ((fuzz_stmt_t *) (void *) (s))


static int fuzz_execute(fuzz_stmt_t *s);


static fuzz_mysql_t  conns[FUZZ_CONNS];
static int           refuse;


int
fuzz_mysql_release(void)
{
    int     n;
    size_t  i;

    for (i = 0, n = 0; i < FUZZ_CONNS; i++) {

        if (conns[i].used && conns[i].waits) {
            conns[i].waits = 0;
            n += send(conns[i].fd[1], "x", 1, MSG_DONTWAIT) == 1;
        }
    }

    return n;
}


void
fuzz_mysql_heal(void)
{
    refuse = 0;
}


size_t
fuzz_mysql_connections(void)
{
    size_t  i, n;

    for (i = 0, n = 0; i < FUZZ_CONNS; i++) {
        n += conns[i].used && conns[i].connected;
    }

    return n;
}


int STDCALL
mysql_server_init(int argc, char **argv, char **groups)
{
    return 0;
}


void STDCALL
mysql_server_end(void)
{
}


MYSQL * STDCALL
mysql_init(MYSQL *mysql)
{
    size_t  i;

    for (i = 0; i < FUZZ_CONNS; i++) {
        if (!conns[i].used) {
            break;
        }
    }

    fuzz_check(i < FUZZ_CONNS);         /* else nginx forgets to close */

    memset(&conns[i], 0, sizeof(fuzz_mysql_t));
    conns[i].used = 1;
    conns[i].fd[0] = conns[i].fd[1] = -1;

    return (MYSQL *) (void *) &conns[i];
}


int
mysql_options(MYSQL *mysql, enum mysql_option option, const void *arg)
{
    return 0;
}


int STDCALL
mysql_real_connect_start(MYSQL **ret, MYSQL *mysql, const char *host,
    const char *user, const char *passwd, const char *db, unsigned int port,
    const char *unix_socket, unsigned long flags)
{
    fuzz_mysql_t  *my = fuzz_my(mysql);

    *ret = NULL;

    if (refuse) {
        refuse = 0;
        my->err = CR_CONNECTION_ERROR;
        return 0;
    }

    fuzz_check(socketpair(AF_UNIX, SOCK_STREAM|SOCK_NONBLOCK, 0, my->fd) == 0);

    my->connected = 1;
    *ret = mysql;

    return 0;
}


int STDCALL
mysql_real_connect_cont(MYSQL **ret, MYSQL *mysql, int status)
{
    *ret = NULL;

    return 0;
}


my_socket STDCALL
mysql_get_socket(MYSQL *mysql)
{
    return fuzz_my(mysql)->fd[0];
}


unsigned int STDCALL
mysql_errno(MYSQL *mysql)
{
    return fuzz_my(mysql)->err;
}


const char * STDCALL
mysql_error(MYSQL *mysql)
{
    return "the text of an error";
}


void STDCALL
mysql_close(MYSQL *mysql)
{
    fuzz_mysql_t  *my = fuzz_my(mysql);

    fuzz_check(my->used);

    if (my->connected) {
        close(my->fd[0]);
        close(my->fd[1]);
    }

    my->used = 0;
    my->connected = 0;
}


MYSQL_STMT * STDCALL
mysql_stmt_init(MYSQL *mysql)
{
    fuzz_stmt_t  *s;

    s = calloc(1, sizeof(fuzz_stmt_t));
    fuzz_check(s != NULL);
    s->my = fuzz_my(mysql);

    return (MYSQL_STMT *) (void *) s;
}


my_bool STDCALL
mysql_stmt_close(MYSQL_STMT *stmt)
{
    free(stmt);

    return 0;
}


int STDCALL
mysql_stmt_prepare_start(int *ret, MYSQL_STMT *stmt, const char *text,
    unsigned long len)
{
    size_t        i;
    fuzz_stmt_t  *s = fuzz_stmt(stmt);

    *ret = 0;
    s->text = text;
    s->params = 0;
    s->err = 0;

    for (i = 0; i < len; i++) {
        s->params += text[i] == '?';
    }

    fuzz_columns(s);

    return 0;
}


int STDCALL
mysql_stmt_prepare_cont(int *ret, MYSQL_STMT *stmt, int status)
{
    *ret = 0;

    return 0;
}


unsigned long STDCALL
mysql_stmt_param_count(MYSQL_STMT *stmt)
{
    return fuzz_stmt(stmt)->params;
}


/* all bytes of parameters must be there */

my_bool STDCALL
mysql_stmt_bind_param(MYSQL_STMT *stmt, MYSQL_BIND *bind)
{
    size_t         i, n;
    volatile int   sum;

    for (i = 0, sum = 0; i < fuzz_stmt(stmt)->params; i++) {

        if (bind[i].buffer_type == MYSQL_TYPE_NULL) {
            continue;
        }

        n = bind[i].buffer_type == MYSQL_TYPE_LONGLONG
            ? 8 : bind[i].length ? *bind[i].length : bind[i].buffer_length;

        while (n-- > 0) {
            sum += ((unsigned char *) bind[i].buffer)[n];
        }
    }

    return 0;
}


int STDCALL
mysql_stmt_execute_start(int *ret, MYSQL_STMT *stmt)
{
    fuzz_stmt_t  *s = fuzz_stmt(stmt);

    s->decision = fuzz_decide(strstr(s->text, "a.rev, a.warm") != NULL);
    s->row = 0;
    s->rows = 1;

    if (s->decision == 12) {
        s->my->waits = 1;
        return MYSQL_WAIT_READ;
    }

    *ret = fuzz_execute(s);

    return 0;
}


int STDCALL
mysql_stmt_execute_cont(int *ret, MYSQL_STMT *stmt, int status)
{
    char          byte;
    fuzz_stmt_t  *s = fuzz_stmt(stmt);

    s->my->waits = 0;

    if (status & MYSQL_WAIT_TIMEOUT) {
        s->err = CR_SERVER_LOST;
        *ret = 1;
        return 0;
    }

    if (recv(s->my->fd[0], &byte, 1, MSG_DONTWAIT) != 1) {
        s->my->waits = 1;
        return MYSQL_WAIT_READ;
    }

    *ret = fuzz_execute(s);

    return 0;
}


static int
fuzz_execute(fuzz_stmt_t *s)
{
    int  counts;

    static const unsigned  errors[] = {
        [3] = 1062, [4] = 1213, [5] = 1205, [6] = CR_SERVER_GONE_ERROR,
        [7] = CR_SERVER_LOST, [8] = 1114, [17] = 1243
    };

    /* always one row, with a number that some table may have */
    counts = strncmp(s->text, "SELECT COUNT(*) FROM", 20) == 0;

    s->err = 0;

    if (s->decision < sizeof(errors) / sizeof(errors[0])) {
        s->err = errors[s->decision];
    }

    switch (s->decision) {

    case 1:
        s->rows = counts ? 1 : 0;
        break;

    case 2:
        s->rows = counts ? 1 : 2;
        break;

    case 13:
        s->raw = fuzz_until(&fuzz_plan.raw, 0xff);
        break;

    case 16:
        refuse = 1;
        break;
    }

    return s->err != 0;
}


unsigned int STDCALL
mysql_stmt_errno(MYSQL_STMT *stmt)
{
    return fuzz_stmt(stmt)->err;
}


const char * STDCALL
mysql_stmt_sqlstate(MYSQL_STMT *stmt)
{
    return "HY000";
}


unsigned int STDCALL
mysql_stmt_field_count(MYSQL_STMT *stmt)
{
    return (unsigned) fuzz_stmt(stmt)->cols;
}


int STDCALL
mysql_stmt_store_result_start(int *ret, MYSQL_STMT *stmt)
{
    *ret = 0;

    return 0;
}


int STDCALL
mysql_stmt_store_result_cont(int *ret, MYSQL_STMT *stmt, int status)
{
    *ret = 0;

    return 0;
}


my_bool STDCALL
mysql_stmt_more_results(MYSQL_STMT *stmt)
{
    return 0;
}


unsigned long long STDCALL
mysql_stmt_num_rows(MYSQL_STMT *stmt)
{
    return fuzz_stmt(stmt)->rows;
}


unsigned long long STDCALL
mysql_stmt_affected_rows(MYSQL_STMT *stmt)
{
    return fuzz_stmt(stmt)->decision == 14 ? 0 : 1;
}


unsigned long long STDCALL
mysql_stmt_insert_id(MYSQL_STMT *stmt)
{
    return 7;
}


my_bool STDCALL
mysql_stmt_bind_result(MYSQL_STMT *stmt, MYSQL_BIND *bind)
{
    fuzz_stmt(stmt)->binds = bind;

    return 0;
}


int STDCALL
mysql_stmt_fetch(MYSQL_STMT *stmt)
{
    int           null, cut;
    size_t        i, n;
    rush_str_t    text;
    MYSQL_BIND   *b;
    fuzz_stmt_t  *s = fuzz_stmt(stmt);

    fuzz_check(s->row++ < s->rows);

    for (i = 0, cut = 0; i < s->cols; i++) {
        b = &s->binds[i];
        text = fuzz_cell(s, i, &null);

        *b->is_null = (my_bool) null;
        *b->length = (unsigned long) text.len;

        n = text.len < b->buffer_length ? text.len : b->buffer_length;
        cut |= n < text.len;

        if (n != 0) {
            memcpy(b->buffer, text.data, n);
        }
    }

    return cut ? MYSQL_DATA_TRUNCATED : 0;
}


int STDCALL
mysql_stmt_fetch_column(MYSQL_STMT *stmt, MYSQL_BIND *bind, unsigned int col,
    unsigned long offset)
{
    int           null;
    rush_str_t    text;
    fuzz_stmt_t  *s = fuzz_stmt(stmt);

    text = fuzz_cell(s, col, &null);
    fuzz_check(!null && bind->buffer_length == text.len);
    memcpy(bind->buffer, text.data, text.len);

    return 0;
}


void STDCALL
mysql_stmt_data_seek(MYSQL_STMT *stmt, unsigned long long offset)
{
}


my_bool STDCALL
mysql_stmt_free_result(MYSQL_STMT *stmt)
{
    return 0;
}
