
/*
 * Copyright (C) Rush
 *
 * One connection: a state machine over the calls of the library that start
 * and continue.
 *
 *     closed -> connecting -> idle -> [preparing ->] executing -> [storing ->]
 *     idle -> ...,   any -> closing -> closed
 *
 * A call runs on a stack of its own inside the library and is suspended
 * whenever the socket says EAGAIN; conn->wait tells what it waits for.  The
 * library opens and closes the socket as it likes, so events are kept on a
 * duplicate of the descriptor, which lives until ngx_rush_mysql_close().
 *
 * The library is given no timeouts: the timer of connecting and those of
 * operations cover all waiting.  They end a suspended call by continuing it
 * with MYSQL_WAIT_TIMEOUT, which unwinds its stack without any I/O.
 */


#include "ngx_rush_mysql_int.h"


#define NGX_RUSH_MYSQL_UNWIND  16       /* turns; each address takes one */


static ngx_int_t ngx_rush_mysql_options(MYSQL *mysql);
static void ngx_rush_mysql_cont(ngx_rush_mysql_conn_t *conn, int events);
static ngx_int_t ngx_rush_mysql_arm(ngx_rush_mysql_conn_t *conn);
static ngx_int_t ngx_rush_mysql_wrap(ngx_rush_mysql_conn_t *conn, int fd);
static void ngx_rush_mysql_read_handler(ngx_event_t *rev);
static void ngx_rush_mysql_write_handler(ngx_event_t *wev);
static void ngx_rush_mysql_event(ngx_rush_mysql_conn_t *conn, int events);
static void ngx_rush_mysql_timeout(ngx_event_t *ev);
static void ngx_rush_mysql_broken(ngx_rush_mysql_conn_t *conn,
    ngx_uint_t err, const char *text);


void
ngx_rush_mysql_connect(ngx_rush_mysql_conn_t *conn)
{
    ngx_rush_mysql_conf_t  *cf;

    cf = ngx_rush_mysql->conf;

    ngx_log_debug1(NGX_LOG_DEBUG_EVENT, ngx_rush_mysql->log, 0,
                   "mysql %V: connecting", &ngx_rush_mysql->name);

    conn->state = NGX_RUSH_MYSQL_CONNECTING;
    conn->connected = NULL;
    conn->wait = 0;
    conn->fd = -1;

    conn->mysql = mysql_init(NULL);

    if (conn->mysql == NULL || ngx_rush_mysql_options(conn->mysql) != NGX_OK) {
        ngx_rush_mysql_broken(conn, CR_OUT_OF_MEMORY, "out of memory");
        return;
    }

    /* background work: waiting operations have timers of their own */

    conn->timer.handler = ngx_rush_mysql_timeout;
    conn->timer.data = conn;
    conn->timer.log = ngx_rush_mysql->log;
    conn->timer.cancelable = 1;

    ngx_add_timer(&conn->timer, cf->connect_timeout);

    conn->wait = mysql_real_connect_start(&conn->connected, conn->mysql,
                            cf->host.len ? (char *) cf->host.data : NULL,
                            (char *) cf->user.data,
                            cf->password.len ? (char *) cf->password.data
                                             : NULL,
                            (char *) cf->database.data, cf->port,
                            cf->socket.len ? (char *) cf->socket.data : NULL,
                            0);

    ngx_rush_mysql_run(conn);
}


static ngx_int_t
ngx_rush_mysql_options(MYSQL *mysql)
{
    my_bool         off;
    size_t          packet;
    unsigned int    protocol, zero;

    static const char  isolation[] = "SET SESSION TRANSACTION ISOLATION "
                                     "LEVEL READ COMMITTED";

    off = 0;
    zero = 0;
    packet = NGX_RUSH_MYSQL_MAX_SIZE;
    protocol = ngx_rush_mysql->conf->host.len ? MYSQL_PROTOCOL_TCP
                                              : MYSQL_PROTOCOL_SOCKET;

    /*
     * A server may ask for local files: never answered.  With the usual
     * REPEATABLE READ an INSERT that looks at its own table would lock what
     * it looks at, so two of them at once would deadlock.
     */

    if (mysql_options(mysql, MYSQL_OPT_NONBLOCK, NULL)
        || mysql_options(mysql, MYSQL_OPT_PROTOCOL, &protocol)
        || mysql_options(mysql, MYSQL_SET_CHARSET_NAME, "utf8mb4")
        || mysql_options(mysql, MYSQL_OPT_RECONNECT, &off)
        || mysql_options(mysql, MYSQL_OPT_LOCAL_INFILE, &zero)
        || mysql_options(mysql, MYSQL_OPT_MAX_ALLOWED_PACKET, &packet)
        || mysql_options(mysql, MYSQL_INIT_COMMAND, isolation)
        || mysql_options(mysql, MYSQL_INIT_COMMAND, ngx_rush_mysql->setup))
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* drives calls until one has to wait or there is nothing left to do */

void
ngx_rush_mysql_run(ngx_rush_mysql_conn_t *conn)
{
    do {
        if (conn->wait) {

            if (ngx_rush_mysql_arm(conn) != NGX_OK) {
                ngx_rush_mysql_broken(conn, 0, "has no events");
            }

            return;
        }

        if (conn->state == NGX_RUSH_MYSQL_CONNECTING) {

            if (conn->connected == NULL) {
                ngx_rush_mysql_broken(conn, mysql_errno(conn->mysql),
                                      mysql_error(conn->mysql));
                return;
            }

            ngx_del_timer(&conn->timer);

            ngx_rush_mysql_connected();
            ngx_rush_mysql_idle(conn);

            return;
        }

    } while (ngx_rush_mysql_step(conn) == NGX_AGAIN);
}


static void
ngx_rush_mysql_cont(ngx_rush_mysql_conn_t *conn, int events)
{
    switch (conn->state) {

    case NGX_RUSH_MYSQL_CONNECTING:
        conn->wait = mysql_real_connect_cont(&conn->connected, conn->mysql,
                                             events);
        break;

    case NGX_RUSH_MYSQL_PREPARING:
        conn->wait = mysql_stmt_prepare_cont(&conn->ret, conn->stmt->handle,
                                             events);
        break;

    case NGX_RUSH_MYSQL_EXECUTING:
        conn->wait = mysql_stmt_execute_cont(&conn->ret, conn->stmt->handle,
                                             events);
        break;

    case NGX_RUSH_MYSQL_STORING:
        conn->wait = mysql_stmt_store_result_cont(&conn->ret,
                                                  conn->stmt->handle, events);
        break;

    default:
        conn->wait = 0;
        break;
    }
}


/* ready for the next operation, if there is nothing wrong with it */

void
ngx_rush_mysql_idle(ngx_rush_mysql_conn_t *conn)
{
    conn->state = NGX_RUSH_MYSQL_IDLE;

    if (ngx_rush_mysql_arm(conn) != NGX_OK) {
        ngx_rush_mysql_close(conn);

    } else if (conn->connection->read->pending_eof
               && !ngx_rush_mysql_alive(conn))
    {
        /* the end came in one event with the answer; there is no other */
        ngx_rush_mysql_close(conn);
    }

    ngx_rush_mysql_wake();
}


/* an idle server has nothing to say: bytes mean its end as well */

ngx_uint_t
ngx_rush_mysql_alive(ngx_rush_mysql_conn_t *conn)
{
    u_char   byte;
    ssize_t  n;

    n = recv(conn->connection->fd, &byte, 1, MSG_PEEK|MSG_DONTWAIT);

    return n == -1 && (ngx_socket_errno == NGX_EAGAIN
                       || ngx_socket_errno == NGX_EINTR);
}


void
ngx_rush_mysql_close(ngx_rush_mysql_conn_t *conn)
{
    ngx_uint_t  i;

    ngx_log_debug2(NGX_LOG_DEBUG_EVENT, ngx_rush_mysql->log, 0,
                   "mysql %V: closing in state %ui", &ngx_rush_mysql->name,
                   (ngx_uint_t) conn->state);

    if (conn->timer.timer_set) {
        ngx_del_timer(&conn->timer);
    }

    /*
     * mysql_close() says good-bye and would wait for room to write.  An idle
     * connection has room; any other has its socket shut down first
     */

    if (conn->state != NGX_RUSH_MYSQL_IDLE && conn->connection) {
        (void) shutdown(conn->connection->fd, SHUT_RDWR);   /* may be down */
    }

    for (i = 0; conn->wait && i < NGX_RUSH_MYSQL_UNWIND; i++) {
        ngx_rush_mysql_cont(conn, MYSQL_WAIT_TIMEOUT);
    }

    conn->wait = 0;
    conn->stmt = NULL;
    conn->state = NGX_RUSH_MYSQL_CLOSING;

    if (conn->mysql) {
        mysql_close(conn->mysql);
        conn->mysql = NULL;
    }

    ngx_rush_mysql_forget(conn);

    /* last: events leave the kernel with the last descriptor of a socket */

    if (conn->connection) {
        ngx_close_connection(conn->connection);
        conn->connection = NULL;
    }

    conn->state = NGX_RUSH_MYSQL_CLOSED;

    ngx_rush_mysql_wake();              /* another one may be wanted */
}


static ngx_int_t
ngx_rush_mysql_arm(ngx_rush_mysql_conn_t *conn)
{
    int           fd;
    ngx_event_t  *rev, *wev;

    fd = mysql_get_socket(conn->mysql);

    if ((conn->connection == NULL || fd != conn->fd)
        && ngx_rush_mysql_wrap(conn, fd) != NGX_OK)
    {
        return NGX_ERROR;
    }

    rev = conn->connection->read;
    wev = conn->connection->write;

    /*
     * The library has always seen EAGAIN here, so that edges are enough;
     * for level-triggered methods an event not waited for is "ready" and is
     * taken out.  An idle connection is read, to learn of its end
     */

    rev->ready = (conn->wait && !(conn->wait & MYSQL_WAIT_READ));
    wev->ready = !(conn->wait & MYSQL_WAIT_WRITE);

    if (ngx_handle_read_event(rev, 0) != NGX_OK
        || ngx_handle_write_event(wev, 0) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_rush_mysql_wrap(ngx_rush_mysql_conn_t *conn, int fd)
{
    int                copy;
    ngx_connection_t  *c;

    if (conn->connection) {
        ngx_close_connection(conn->connection);
        conn->connection = NULL;
    }

    copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

    if (copy == -1) {
        ngx_log_error(NGX_LOG_ERR, ngx_rush_mysql->log, ngx_errno,
                      "mysql %V: fcntl(F_DUPFD_CLOEXEC) failed",
                      &ngx_rush_mysql->name);
        return NGX_ERROR;
    }

    c = ngx_get_connection(copy, ngx_rush_mysql->log);

    if (c == NULL) {

        if (ngx_close_socket(copy) == -1) {
            ngx_log_error(NGX_LOG_ALERT, ngx_rush_mysql->log,
                          ngx_socket_errno, ngx_close_socket_n " failed");
        }

        return NGX_ERROR;
    }

    c->data = conn;
    c->read->handler = ngx_rush_mysql_read_handler;
    c->write->handler = ngx_rush_mysql_write_handler;
    c->read->log = ngx_rush_mysql->log;
    c->write->log = ngx_rush_mysql->log;

    conn->connection = c;
    conn->fd = fd;

    return NGX_OK;
}


static void
ngx_rush_mysql_read_handler(ngx_event_t *rev)
{
    ngx_connection_t  *c = rev->data;

    ngx_rush_mysql_event(c->data, MYSQL_WAIT_READ);
}


static void
ngx_rush_mysql_write_handler(ngx_event_t *wev)
{
    ngx_connection_t  *c = wev->data;

    ngx_rush_mysql_event(c->data, MYSQL_WAIT_WRITE);
}


static void
ngx_rush_mysql_event(ngx_rush_mysql_conn_t *conn, int events)
{
    if (conn->wait & events) {
        ngx_rush_mysql_cont(conn, events);
        ngx_rush_mysql_run(conn);

        return;
    }

    if (conn->state == NGX_RUSH_MYSQL_IDLE && !ngx_rush_mysql_alive(conn)) {

        ngx_log_error(NGX_LOG_INFO, ngx_rush_mysql->log, 0,
                      "mysql %V: server closed an idle connection",
                      &ngx_rush_mysql->name);

        ngx_rush_mysql_close(conn);
    }
}


static void
ngx_rush_mysql_timeout(ngx_event_t *ev)
{
    ngx_rush_mysql_broken(ev->data, NGX_ETIMEDOUT, "no greeting in time");
}


static void
ngx_rush_mysql_broken(ngx_rush_mysql_conn_t *conn, ngx_uint_t err,
    const char *text)
{
    u_char  buf[256];

    if (conn->op) {
        (void) ngx_rush_mysql_lost(conn, err, text);    /* always over */
        return;
    }

    (void) ngx_cpystrn(buf, (u_char *) text, sizeof(buf));

    ngx_rush_mysql_close(conn);
    ngx_rush_mysql_refused(err, (char *) buf);
}
