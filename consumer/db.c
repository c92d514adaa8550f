
/*
 * Copyright (C) Rush
 *
 * Synchronous MySQL connection of one thread, over MariaDB Connector/C.
 * The library's own reconnect stays off: it would drop a transaction in
 * silence.
 *
 * Faults have four classes, see consumer.h.  Only errors that are certainly
 * about the data (SQLSTATE 22, 23) may send an order to the dead letters;
 * what is not known counts as an outage, because orders can wait and a full
 * disk or a missing grant must not empty a stream into the dead letters.
 */


#include <stdlib.h>
#include <sys/socket.h>

#include "db.h"


#define RUSH_DB_BACKOFF_MIN  50             /* ms */
#define RUSH_DB_BACKOFF_MAX  2000

/* bit of MARIADB_CONNECTION_EXTENDED_SERVER_CAPABILITIES */
#define RUSH_DB_CAP_BULK     4


static void rush_db_end(rush_db_t *db);
static int rush_db_session(rush_db_t *db);
static int rush_db_command(rush_db_t *db, const char *text);


rush_db_t *
rush_db_create(rush_daemon_t *d, const char *name)
{
    rush_db_t  *db;

    db = calloc(1, sizeof(rush_db_t));
    if (db == NULL) {
        rush_log(RUSH_LOG_ERROR, "no memory for a mysql connection");
        return NULL;
    }

    db->daemon = d;
    db->name = name;
    db->backoff = RUSH_DB_BACKOFF_MIN;

    return db;
}


void
rush_db_destroy(rush_db_t *db)
{
    if (db == NULL) {
        return;
    }

    rush_db_end(db);
    free(db);
}


void
rush_db_close(rush_db_t *db)
{
    /* the library would wait for an answer that is not read to its end */

    if (db->my != NULL) {
        (void) shutdown(mysql_get_socket(db->my), SHUT_RDWR);
    }                                   /* or there is none */

    rush_db_end(db);
}


static void
rush_db_end(rush_db_t *db)
{
    size_t  i;

    if (db->my == NULL) {
        return;
    }

    for (i = 0; i < db->n; i++) {
        (void) mysql_stmt_close(db->prepared[i].st);
    }

    mysql_close(db->my);

    db->my = NULL;
    db->n = 0;
    db->transaction = 0;
    db->failed = 0;
}


int
rush_db_connected(rush_db_t *db)
{
    return db->my != NULL;
}


unsigned
rush_db_generation(rush_db_t *db)
{
    return db->generation;
}


unsigned
rush_db_errno(rush_db_t *db)
{
    return db->code;
}


const char *
rush_db_error(rush_db_t *db)
{
    return db->error;
}


int
rush_db_ready(rush_db_t *db)
{
    int64_t             now;
    my_bool             off;
    unsigned            connect, timeout;
    const rush_peer_t  *peer;

    if (db->my != NULL) {
        return RUSH_OK;
    }

    now = rush_mono();

    if (now < db->next_try) {
        return RUSH_DB_DOWN;
    }

    db->next_try = now + db->backoff * 500 + random() % (db->backoff * 500);
    db->backoff = db->backoff * 2;

    if (db->backoff > RUSH_DB_BACKOFF_MAX) {
        db->backoff = RUSH_DB_BACKOFF_MAX;
    }

    db->my = mysql_init(NULL);
    if (db->my == NULL) {
        rush_log(RUSH_LOG_ERROR, "mysql %s: no memory", db->name);
        return RUSH_DB_DOWN;
    }

    peer = &db->daemon->conf.mysql;
    off = 0;
    connect = (unsigned) ((peer->connect_timeout + 999) / 1000);
    timeout = (unsigned) ((peer->timeout + 999) / 1000);

    (void) mysql_options(db->my, MYSQL_OPT_CONNECT_TIMEOUT, &connect);
    (void) mysql_options(db->my, MYSQL_OPT_READ_TIMEOUT, &timeout);
    (void) mysql_options(db->my, MYSQL_OPT_WRITE_TIMEOUT, &timeout);
    (void) mysql_options(db->my, MYSQL_OPT_RECONNECT, &off);
    (void) mysql_options(db->my, MYSQL_SET_CHARSET_NAME, "utf8mb4");

    if (mysql_real_connect(db->my,
                           peer->socket[0] != '\0' ? NULL : peer->host,
                           peer->user, peer->password, peer->database,
                           (unsigned) peer->port,
                           peer->socket[0] != '\0' ? peer->socket : NULL, 0)
        == NULL)
    {
        return rush_db_fault(db, NULL, "connect");
    }

    if (rush_db_session(db) != RUSH_OK) {
        return RUSH_DB_DOWN;
    }

    if (db->told || db->generation == 0) {
        rush_log(RUSH_LOG_INFO, "mysql %s: connected to %s%s", db->name,
                 mysql_get_server_info(db->my),
                 db->bulk ? ", array inserts" : "");
    }

    db->generation++;
    db->next_try = 0;
    db->backoff = RUSH_DB_BACKOFF_MIN;
    db->told = 0;

    return RUSH_OK;
}


static int
rush_db_session(rush_db_t *db)
{
    unsigned long  caps;

    /* lock waits end long before the client's own timeout; a value that does
     * not fit must be an error, never a warning */

    if (rush_db_command(db, "SET SESSION TRANSACTION ISOLATION LEVEL "
                            "READ COMMITTED")
        != RUSH_OK
        || rush_db_command(db, "SET SESSION innodb_lock_wait_timeout = 5, "
                               "sql_mode = 'STRICT_ALL_TABLES,"
                               "NO_ENGINE_SUBSTITUTION,"
                               "ERROR_FOR_DIVISION_BY_ZERO', "
                               "time_zone = '+00:00'")
           != RUSH_OK)
    {
        rush_db_close(db);
        return RUSH_DB_DOWN;
    }

    caps = 0;
    (void) mariadb_get_infov(db->my,
                             MARIADB_CONNECTION_EXTENDED_SERVER_CAPABILITIES,
                             &caps);

    db->bulk = (caps & RUSH_DB_CAP_BULK) ? 1 : 0;

    return RUSH_OK;
}


int
rush_db_fault(rush_db_t *db, MYSQL_STMT *st, const char *what)
{
    int          rc, connecting;
    unsigned     code;
    const char  *state, *text;

    if (st != NULL && mysql_stmt_errno(st) != 0) {
        code = mysql_stmt_errno(st);
        state = mysql_stmt_sqlstate(st);
        text = mysql_stmt_error(st);

    } else {
        code = mysql_errno(db->my);
        state = mysql_sqlstate(db->my);
        text = mysql_error(db->my);
    }

    db->code = code;
    db->failed = db->transaction;
    snprintf(db->error, sizeof(db->error), "%u: %s", code, text);

    if (code == 1062 || code == 1586) {
        return RUSH_DB_DUP;
    }

    connecting = strcmp(what, "connect") == 0;

    switch (code) {

    case 1020:                          /* ER_CHECKREAD */
    case 1205:                          /* ER_LOCK_WAIT_TIMEOUT */
    case 1213:                          /* ER_LOCK_DEADLOCK */
        rc = RUSH_DB_RETRY;
        break;

    case 1265:                          /* WARN_DATA_TRUNCATED */
    case 1366:                          /* wrong value for a field */
    case 3819:                          /* MySQL: check violated */
        rc = RUSH_DB_DATA;
        break;

    default:
        rc = (strncmp(state, "22", 2) == 0 || strncmp(state, "23", 2) == 0)
             ? RUSH_DB_DATA : RUSH_DB_DOWN;
    }

    if (!connecting || !db->told) {
        rush_log(RUSH_LOG_WARN, "mysql %s: %s: %s", db->name, what,
                 db->error);
    }

    if (rc == RUSH_DB_DOWN || connecting) {
        db->told = 1;
        rush_db_close(db);
        return RUSH_DB_DOWN;
    }

    return rc;
}


MYSQL_STMT *
rush_db_prepare(rush_db_t *db, const rush_stmt_t *stmt, size_t rows, int *rc)
{
    char        *tuple;
    size_t       i;
    my_bool      on;
    MYSQL_STMT  *st;
    rush_buf_t   text;

    *rc = RUSH_DB_DOWN;

    for (i = 0; i < db->n; i++) {
        if (db->prepared[i].stmt == stmt && db->prepared[i].rows == rows) {
            return db->prepared[i].st;
        }
    }

    if (db->n == RUSH_DB_STMTS) {
        rush_log(RUSH_LOG_ERROR, "mysql %s: too many statements", db->name);
        return NULL;
    }

    memset(&text, 0, sizeof(rush_buf_t));
    rush_buf_add(&text, stmt->text, stmt->len);

    if (rows > 1) {
        tuple = strrchr(stmt->text, '(');

        for (i = 1; i < rows; i++) {
            rush_buf_add(&text, ",", 1);
            rush_buf_puts(&text, tuple);
        }
    }

    st = mysql_stmt_init(db->my);

    if (st == NULL || text.failed) {
        rush_log(RUSH_LOG_ERROR, "mysql %s: no memory", db->name);

        if (st != NULL) {
            (void) mysql_stmt_close(st);
        }

        rush_buf_free(&text);
        return NULL;
    }

    on = 1;
    (void) mysql_stmt_attr_set(st, STMT_ATTR_UPDATE_MAX_LENGTH, &on);

    if (mysql_stmt_prepare(st, (char *) text.data, text.len) != 0) {
        rush_buf_free(&text);
        *rc = rush_db_fault(db, st, stmt->name);
        (void) mysql_stmt_close(st);
        return NULL;
    }

    rush_buf_free(&text);

    db->prepared[db->n].stmt = stmt;
    db->prepared[db->n].rows = rows;
    db->prepared[db->n].st = st;
    db->n++;

    return st;
}


int
rush_db_run(rush_db_t *db, const rush_stmt_t *stmt,
    const rush_param_t *params, size_t n, rush_rows_t *rows)
{
    int             rc;
    size_t          i;
    MYSQL_BIND     *bind;
    MYSQL_STMT     *st;
    unsigned long  *len;

    if (rows != NULL) {
        rush_rows_free(rows);
    }

    if (db->my == NULL) {
        return RUSH_DB_DOWN;
    }

    st = rush_db_prepare(db, stmt, 1, &rc);
    if (st == NULL) {
        return rc;
    }

    if (mysql_stmt_param_count(st) != n) {
        rush_log(RUSH_LOG_ALERT, "statement %s takes %lu parameters, not %zu",
                 stmt->name, mysql_stmt_param_count(st), n);
        db->failed = db->transaction;
        return RUSH_DB_DATA;
    }

    bind = calloc(n + 1, sizeof(MYSQL_BIND));
    len = calloc(n + 1, sizeof(unsigned long));

    if (bind == NULL || len == NULL) {
        rush_log(RUSH_LOG_ERROR, "mysql %s: no memory", db->name);
        db->failed = db->transaction;
        rc = RUSH_DB_DOWN;
        goto done;
    }

    for (i = 0; i < n; i++) {

        switch (params[i].type) {

        case RUSH_P_INT:
            bind[i].buffer_type = MYSQL_TYPE_LONGLONG;
            bind[i].buffer = (void *) (uintptr_t) &params[i].i;
            break;

        case RUSH_P_STR:
            len[i] = params[i].s.len;
            bind[i].buffer_type = MYSQL_TYPE_STRING;
            bind[i].buffer = params[i].s.data;
            bind[i].buffer_length = len[i];
            bind[i].length = &len[i];
            break;

        default:
            bind[i].buffer_type = MYSQL_TYPE_NULL;
        }
    }

    if ((n != 0 && mysql_stmt_bind_param(st, bind) != 0)
        || mysql_stmt_execute(st) != 0)
    {
        rc = rush_db_fault(db, st, stmt->name);
        goto done;
    }

    rc = rush_db_fetch(db, st, stmt->name, rows);

done:

    free(bind);
    free(len);

    return rc;
}


int
rush_db_list(rush_db_t *db, const rush_stmt_t *stmt,
    const rush_param_t *params, size_t n, const int64_t *list, size_t count,
    rush_rows_t *rows)
{
    int          rc;
    size_t       i, used;
    const char  *p, *last;
    rush_buf_t   text;

    static const char  mark[] = "@list";

    if (rows != NULL) {
        rush_rows_free(rows);
    }

    if (db->my == NULL) {
        return RUSH_DB_DOWN;
    }

    memset(&text, 0, sizeof(rush_buf_t));
    last = stmt->text + stmt->len;
    used = 0;

    for (p = stmt->text; p < last; p++) {

        if (*p == '?' && used < n) {
            rush_buf_printf(&text, "%lld", (long long) params[used++].i);

        } else if (strncmp(p, mark, sizeof(mark) - 1) == 0) {

            for (i = 0; i < count; i++) {
                rush_buf_printf(&text, i ? ",%lld" : "%lld",
                                (long long) list[i]);
            }

            p += sizeof(mark) - 2;

        } else {
            rush_buf_add(&text, p, 1);
        }
    }

    if (text.failed) {
        rush_log(RUSH_LOG_ERROR, "mysql %s: no memory", db->name);
        db->failed = db->transaction;
        rc = RUSH_DB_DOWN;

    } else if (mysql_real_query(db->my, (char *) text.data, text.len) != 0) {
        rc = rush_db_fault(db, NULL, stmt->name);

    } else {
        rc = rush_db_fetch_text(db, stmt->name, rows);
    }

    rush_buf_free(&text);

    return rc;
}


static int
rush_db_command(rush_db_t *db, const char *text)
{
    if (db->my == NULL) {
        return RUSH_DB_DOWN;
    }

    if (mysql_real_query(db->my, text, strlen(text)) != 0) {
        return rush_db_fault(db, NULL, text);
    }

    return RUSH_OK;
}


int
rush_db_begin(rush_db_t *db)
{
    int  rc;

    rc = rush_db_command(db, "BEGIN");

    if (rc == RUSH_OK) {
        db->transaction = 1;
        db->failed = 0;
    }

    return rc;
}


int
rush_db_commit(rush_db_t *db)
{
    if (db->my == NULL) {
        return RUSH_DB_DOWN;
    }

    if (db->failed || !db->transaction) {
        rush_db_rollback(db);
        return RUSH_DB_RETRY;
    }

    if (mysql_send_query(db->my, "COMMIT", sizeof("COMMIT") - 1) != 0) {
        return rush_db_fault(db, NULL, "commit");
    }

    if (RUSH_FP("D5")) {
        rush_db_close(db);
        return RUSH_DB_DOWN;
    }

    if (mysql_read_query_result(db->my) != 0) {
        return rush_db_fault(db, NULL, "commit");
    }

    db->transaction = 0;

    return RUSH_OK;
}


void
rush_db_rollback(rush_db_t *db)
{
    if (db->my == NULL || !db->transaction) {
        return;
    }

    if (rush_db_command(db, "ROLLBACK") == RUSH_OK) {
        db->transaction = 0;
        db->failed = 0;
        return;
    }

    /* the server rolls back when the connection goes */

    rush_db_close(db);
}
