
/*
 * Copyright (C) Rush
 *
 * The pool of a worker: its connections and the queue before them.
 *
 * ngx_rush_mysql_send() only puts an operation into the queue and posts the
 * pump, so a handler never runs inside of it.  The pump gives operations to
 * idle connections and opens further ones.  While the worker lives it keeps
 * at least one connection, so that it knows whether there is a server.
 *
 * A failure to connect starts a pause with jitter, in which nobody connects.
 * If no connection is left then, the server counts as down: everything that
 * waits is refused and so is what comes, until one probe a pause succeeds.
 *
 * Not handled: transactions, statements with several results, TLS.
 */


#include "ngx_rush_mysql_int.h"
#include "ngx_rush_counters.h"


#define NGX_RUSH_MYSQL_BACKOFF_MIN  50          /* ms */
#define NGX_RUSH_MYSQL_BACKOFF_MAX  2000


static void ngx_rush_mysql_setup(ngx_rush_mysql_t *my);
static void ngx_rush_mysql_pump(ngx_event_t *ev);
static void ngx_rush_mysql_grow(void);
static void ngx_rush_mysql_down(void);


ngx_rush_mysql_t  *ngx_rush_mysql;


ngx_int_t
ngx_rush_mysql_init(ngx_cycle_t *cycle, ngx_rush_mysql_conf_t *cf)
{
    ngx_rush_mysql_t  *my;

    if (cf->connections == 0) {
        return NGX_OK;                  /* no directive */
    }

    if (mysql_library_init(0, NULL, NULL)) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, 0,
                      "mysql_library_init() failed");
        return NGX_ERROR;
    }

    my = ngx_pcalloc(cycle->pool, sizeof(ngx_rush_mysql_t));
    if (my == NULL) {
        return NGX_ERROR;
    }

    my->conns = ngx_pcalloc(cycle->pool,
                            cf->connections * sizeof(ngx_rush_mysql_conn_t));
    if (my->conns == NULL) {
        return NGX_ERROR;
    }

    my->name.data = ngx_pnalloc(cycle->pool, cf->host.len + cf->socket.len
                                + sizeof("unix:") + sizeof(":65535"));
    if (my->name.data == NULL) {
        return NGX_ERROR;
    }

    my->name.len = (cf->host.len ? ngx_sprintf(my->name.data, "%V:%ui",
                                               &cf->host,
                                               (ngx_uint_t) cf->port)
                                 : ngx_sprintf(my->name.data, "unix:%V",
                                               &cf->socket))
                   - my->name.data;

    my->conf = cf;
    my->log = cycle->log;

    ngx_queue_init(&my->waiting);
    ngx_rush_mysql_setup(my);

    my->pump.handler = ngx_rush_mysql_pump;
    my->pump.data = my;
    my->pump.log = my->log;

    my->backoff.handler = ngx_rush_mysql_pump;
    my->backoff.data = my;
    my->backoff.log = my->log;
    my->backoff.cancelable = 1;

    ngx_rush_mysql = my;

    /* not posted: the first wait for events knows nothing of posted ones */

    ngx_rush_mysql_connect(&my->conns[0]);

    return NGX_OK;
}


/*
 * The server gives up a little earlier than we do: then the outcome is known
 * and nothing runs on behind our back.  MySQL skips the comment.
 */

static void
ngx_rush_mysql_setup(ngx_rush_mysql_t *my)
{
    ngx_msec_t  lock, run;

    lock = ngx_max((my->conf->timeout - 1) / 2000, 1);  /* two tries, in s */
    run = my->conf->timeout - my->conf->timeout / 10;

    (void) ngx_snprintf((u_char *) my->setup, sizeof(my->setup),
                        "SET SESSION autocommit=1,"
                        "sql_mode='STRICT_TRANS_TABLES,STRICT_ALL_TABLES,"
                        "NO_ZERO_IN_DATE,NO_ZERO_DATE,"
                        "ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION',"
                        "time_zone='+00:00',sql_select_limit=%d,"
                        "innodb_lock_wait_timeout=%M"
                        "/*M!100101 ,max_statement_time=%M.%03M*/%Z",
                        NGX_RUSH_MYSQL_MAX_ROWS + 1, lock,
                        run / 1000, run % 1000);
}


/* what waits or runs is forgotten: its requests leave with the process */

void
ngx_rush_mysql_exit(ngx_cycle_t *cycle)
{
    ngx_uint_t              i;
    ngx_rush_mysql_t       *my;
    ngx_rush_mysql_op_t    *op;
    ngx_rush_mysql_conn_t  *conn;

    my = ngx_rush_mysql;

    if (my == NULL) {
        return;
    }

    while (!ngx_queue_empty(&my->waiting)) {
        op = ngx_rush_mysql_next();
        ngx_rush_mysql_free(op);
    }

    for (i = 0; i < my->conf->connections; i++) {

        conn = &my->conns[i];
        op = conn->op;
        conn->op = NULL;

        if (conn->state != NGX_RUSH_MYSQL_CLOSED) {
            ngx_rush_mysql_close(conn);
        }

        if (op) {
            ngx_rush_mysql_free(op);
        }
    }

    if (my->pump.posted) {
        ngx_delete_posted_event(&my->pump);
    }

    if (my->backoff.timer_set) {
        ngx_del_timer(&my->backoff);
    }

    ngx_rush_mysql = NULL;

    mysql_library_end();
}


void
ngx_rush_mysql_state(ngx_rush_mysql_state_t *state)
{
    ngx_memzero(state, sizeof(ngx_rush_mysql_state_t));

    if (ngx_rush_mysql) {
        state->up = ngx_rush_mysql_count(NGX_RUSH_MYSQL_IDLE,
                                         NGX_RUSH_MYSQL_STORING);
        state->busy = ngx_rush_mysql_count(NGX_RUSH_MYSQL_PREPARING,
                                           NGX_RUSH_MYSQL_STORING);
        state->waiting = ngx_rush_mysql->nwaiting;
        state->down_since = ngx_rush_mysql->down_since;
    }
}


void
ngx_rush_mysql_wake(void)
{
    ngx_post_event(&ngx_rush_mysql->pump, &ngx_posted_events);
}


static void
ngx_rush_mysql_pump(ngx_event_t *ev)
{
    ngx_uint_t              i;
    ngx_rush_mysql_t       *my;
    ngx_rush_mysql_conn_t  *conn;

    my = ngx_rush_mysql;

    for (i = 0; i < my->conf->connections; i++) {

        conn = &my->conns[i];

        if (ngx_queue_empty(&my->waiting)) {
            break;
        }

        if (conn->state != NGX_RUSH_MYSQL_IDLE) {
            continue;
        }

        if (ngx_rush_mysql_alive(conn)) {
            ngx_rush_mysql_start(conn, ngx_rush_mysql_next());

        } else {
            ngx_rush_mysql_close(conn);
        }
    }

    ngx_rush_mysql_grow();
}


/* one connection at least, or as many as there are operations waiting */

static void
ngx_rush_mysql_grow(void)
{
    ngx_uint_t              i, want, connecting, up;
    ngx_rush_mysql_t       *my;
    ngx_rush_mysql_conn_t  *conn;

    my = ngx_rush_mysql;

    up = ngx_rush_mysql_count(NGX_RUSH_MYSQL_IDLE, NGX_RUSH_MYSQL_STORING);
    connecting = ngx_rush_mysql_count(NGX_RUSH_MYSQL_CONNECTING,
                                      NGX_RUSH_MYSQL_CONNECTING);

    if (my->backoff.timer_set) {

        if (up + connecting == 0) {
            ngx_rush_mysql_down();
        }

        return;
    }

    want = my->nwaiting;

    if (up == 0 && (my->down_since || (want == 0 && !ngx_exiting))) {
        want = 1;
    }

    for (i = 0; i < my->conf->connections && connecting < want; i++) {

        conn = &my->conns[i];

        if (conn->state != NGX_RUSH_MYSQL_CLOSED) {
            continue;
        }

        ngx_rush_mysql_connect(conn);

        if (my->backoff.timer_set) {
            break;                      /* refused at once */
        }

        connecting++;
    }
}


static void
ngx_rush_mysql_down(void)
{
    ngx_rush_mysql_t     *my;
    ngx_rush_mysql_op_t  *op;

    my = ngx_rush_mysql;

    if (my->down_since == 0) {
        my->down_since = ngx_max(ngx_current_msec, 1);
    }

    /* ends: nothing enters the queue while it is down */

    while (!ngx_queue_empty(&my->waiting)) {
        op = ngx_rush_mysql_next();
        ngx_rush_mysql_finish(op, NULL, NGX_BUSY);
    }
}


ngx_uint_t
ngx_rush_mysql_count(ngx_rush_mysql_state_e from, ngx_rush_mysql_state_e to)
{
    ngx_uint_t              i, n;
    ngx_rush_mysql_state_e  state;

    n = 0;

    for (i = 0; i < ngx_rush_mysql->conf->connections; i++) {
        state = ngx_rush_mysql->conns[i].state;
        n += (state >= from && state <= to);
    }

    return n;
}


void
ngx_rush_mysql_connected(void)
{
    ngx_rush_mysql_t  *my;

    my = ngx_rush_mysql;

    if (my->fails) {
        ngx_log_error(NGX_LOG_NOTICE, my->log, 0,
                      "mysql %V: connected after %ui failures", &my->name,
                      my->fails);
    }

    my->fails = 0;
    my->down_since = 0;

    ngx_rush_count(NGX_RUSH_C_MYSQL_CONNECTS, 1);
}


/* a connection could not be opened */

void
ngx_rush_mysql_refused(ngx_uint_t err, const char *text)
{
    ngx_msec_t         cap;
    ngx_uint_t         level;
    ngx_rush_mysql_t  *my;

    my = ngx_rush_mysql;

    /* the first failure is news, the others are of the same kind */

    level = my->fails ? NGX_LOG_INFO : NGX_LOG_ERR;

    ngx_log_error(level, my->log, 0,
                  "mysql %V: cannot connect: %s (%ui)", &my->name, text, err);

    cap = NGX_RUSH_MYSQL_BACKOFF_MIN;
    cap <<= ngx_min(my->fails, 5) + 1;
    cap = ngx_min(cap, NGX_RUSH_MYSQL_BACKOFF_MAX);

    my->fails++;

    if (!my->backoff.timer_set) {
        cap -= NGX_RUSH_MYSQL_BACKOFF_MIN;
        ngx_add_timer(&my->backoff, NGX_RUSH_MYSQL_BACKOFF_MIN
                                    + (ngx_msec_t) ngx_random() % (cap + 1));
    }
}


/* the same more than once a second says nothing new */

void
ngx_rush_mysql_log(ngx_uint_t level, const rush_stmt_t *stmt, ngx_uint_t err,
    const char *sqlstate, const char *text)
{
    ngx_rush_mysql_t  *my;

    my = ngx_rush_mysql;

    if (my->logged == ngx_time() && my->logged_errno == err
        && my->logged_stmt == stmt)
    {
        return;
    }

    my->logged = ngx_time();
    my->logged_errno = err;
    my->logged_stmt = stmt;

    ngx_log_error(level, my->log, 0,
                  "mysql %V: statement \"%s\" %s (%ui, %s)", &my->name,
                  stmt->name, text, err, sqlstate ? sqlstate : "-");
}
