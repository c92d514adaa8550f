
/*
 * Copyright (C) Rush
 *
 * Redis client, the connection of a lane.
 *
 *   closed --init--> connecting --PONG--> ready
 *                     ^    |                |
 *               retry |    | failed         | lost, stalled, malformed
 *                     |    v                |
 *                    backoff <--------------+
 *
 * The greeting (AUTH, SELECT, PING) leaves in one write.  PING is answered
 * with an error while the server loads its data, so a lane is ready only if
 * the server is.  Commands wait in the lane's buffer until then: they are
 * never run as another user or in another database.
 *
 * The socket is opened here and not by ngx_event_connect_peer(), which logs
 * each failure and a missing unix socket as "crit".
 *
 * A connection belongs to its lane and has no pool.  ngx_rush_lane_down() is
 * the only way out of connecting and ready: it closes, arms the retry and
 * then runs the handlers of the commands.
 */


#include "ngx_rush_redis_lane.h"


#define NGX_RUSH_BACKOFF_MIN  50        /* in ms */
#define NGX_RUSH_BACKOFF_MAX  2000
#define NGX_RUSH_LOG_EVERY    10000
#define NGX_RUSH_READER_KEEP  (256 * 1024)


static void ngx_rush_lane_retry(ngx_event_t *ev);
static ngx_err_t ngx_rush_lane_socket(ngx_rush_lane_t *lane);
static void ngx_rush_lane_write_handler(ngx_event_t *wev);
static void ngx_rush_lane_flush(ngx_event_t *ev);
static ngx_int_t ngx_rush_lane_push(ngx_rush_lane_t *lane);

ngx_int_t
ngx_rush_lane_init(ngx_rush_lane_t *lane, ngx_pool_t *pool)
{
    u_char                 *p, db[NGX_INT_T_LEN];
    size_t                  size;
    ngx_str_t               auth[3], select[2], ping;
    ngx_uint_t              n;
    ngx_rush_redis_conf_t  *cf;

    cf = lane->conf;

    lane->retry.handler = ngx_rush_lane_retry;
    lane->retry.data = lane;
    lane->retry.log = lane->log;
    lane->retry.cancelable = 1;         /* nobody waits for a retry */

    lane->flush.handler = ngx_rush_lane_flush;
    lane->flush.data = lane;
    lane->flush.log = lane->log;

    lane->down_since = ngx_current_msec;

    n = 0;
    ngx_str_set(&auth[n], "AUTH");
    n++;

    if (cf->user.len) {
        auth[n++] = cf->user;
    }

    auth[n++] = cf->password;

    ngx_str_set(&select[0], "SELECT");
    select[1].data = db;
    select[1].len = ngx_sprintf(db, "%i", cf->db) - db;

    ngx_str_set(&ping, "PING");

    size = ngx_rush_redis_size(n, auth) + ngx_rush_redis_size(2, select)
           + ngx_rush_redis_size(1, &ping);

    p = ngx_pnalloc(pool, size);
    if (p == NULL) {
        return NGX_ERROR;
    }

    lane->greeting.data = p;
    lane->greetings_n = 0;

    if (cf->password.len) {
        p = ngx_rush_redis_write(p, n, auth);
        lane->greetings[lane->greetings_n++] = "AUTH";
    }

    if (cf->db) {
        p = ngx_rush_redis_write(p, 2, select);
        lane->greetings[lane->greetings_n++] = "SELECT";
    }

    p = ngx_rush_redis_write(p, 1, &ping);
    lane->greetings[lane->greetings_n++] = "PING";

    lane->greeting.len = p - lane->greeting.data;

    return NGX_OK;
}


static void
ngx_rush_lane_retry(ngx_event_t *ev)
{
    ngx_rush_lane_connect(ev->data);
}


void
ngx_rush_lane_connect(ngx_rush_lane_t *lane)
{
    ngx_err_t  err;

    ngx_log_debug2(NGX_LOG_DEBUG_CORE, lane->log, 0,
                   "redis %V lane: connecting, %ui failures",
                   &lane->name, lane->failures);

    lane->state = NGX_RUSH_LANE_CONNECTING;
    lane->connect_due = ngx_current_msec + lane->conf->connect_timeout;
    lane->connected = 0;
    lane->blocked = 0;
    lane->greeting_pos = 0;
    lane->greeted = 0;
    lane->incomplete = 0;

    lane->reader = redisReaderCreate();
    if (lane->reader == NULL) {
        ngx_rush_lane_down(lane, NGX_ENOMEM, "no memory");
        return;
    }

    /* else it gives its buffer back between two reads */
    lane->reader->maxbuf = NGX_RUSH_READER_KEEP;

    err = ngx_rush_lane_socket(lane);

    if (err) {
        ngx_rush_lane_down(lane, err, "connect() failed");
        return;
    }

    ngx_rush_lane_arm(lane);
}


/*
 * The write event is waited for even when connect() succeeds at once (unix
 * sockets): there is one way into "connected", and it works before the first
 * turn of the event loop, too.
 */

static ngx_err_t
ngx_rush_lane_socket(ngx_rush_lane_t *lane)
{
    int                on;
    ngx_err_t          err;
    ngx_addr_t        *addr;
    ngx_socket_t       s;
    ngx_connection_t  *c;

    addr = &lane->conf->addr;

    s = ngx_socket(addr->sockaddr->sa_family, SOCK_STREAM, 0);
    if (s == (ngx_socket_t) -1) {
        return ngx_socket_errno;
    }

    c = ngx_get_connection(s, lane->log);
    if (c == NULL) {
        (void) ngx_close_socket(s);     /* nothing was sent or received */
        return NGX_ENOMEM;
    }

    lane->connection = c;

    c->data = lane;
    c->type = SOCK_STREAM;
    c->recv = ngx_recv;
    c->send = ngx_send;
    c->log = lane->log;
    c->log_error = NGX_ERROR_INFO;      /* lane_down() tells */
    c->read->log = lane->log;
    c->write->log = lane->log;
    c->read->handler = ngx_rush_lane_read_handler;
    c->write->handler = ngx_rush_lane_write_handler;
    c->number = ngx_atomic_fetch_add(ngx_connection_counter, 1);

    if (ngx_nonblocking(s) == -1) {
        return ngx_socket_errno;
    }

    if (addr->sockaddr->sa_family != AF_UNIX) {
        on = 1;

        if (setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(int)) == -1) {
            return ngx_socket_errno;
        }
    }

    if (connect(s, addr->sockaddr, addr->socklen) == -1) {
        err = ngx_socket_errno;

        /* EAGAIN is a unix socket whose listen queue is full */

        if (err != NGX_EINPROGRESS) {
            return err;
        }
    }

    if (ngx_handle_read_event(c->read, 0) != NGX_OK
        || ngx_handle_write_event(c->write, 0) != NGX_OK)
    {
        return ngx_errno ? ngx_errno : NGX_ENOMEM;
    }

    return 0;
}


/* NGX_ERROR: the lane is down */

ngx_int_t
ngx_rush_lane_connected(ngx_rush_lane_t *lane)
{
    int        err;
    socklen_t  len;

    err = 0;
    len = sizeof(int);

    if (getsockopt(lane->connection->fd, SOL_SOCKET, SO_ERROR, &err, &len)
        == -1)
    {
        err = ngx_socket_errno;
    }

    if (RUSH_FP("W6")) {
        err = NGX_ECONNREFUSED;
    }

    if (err) {
        ngx_rush_lane_down(lane, err, "connect() failed");
        return NGX_ERROR;
    }

    lane->connected = 1;
    lane->blocked = 1;                  /* the greeting waits */

    return NGX_OK;
}


/*
 * An edge-triggered write event comes with each read event, so it sends only
 * if the last write did not fit: else one turn would make several writes.
 */

static void
ngx_rush_lane_write_handler(ngx_event_t *wev)
{
    ngx_rush_lane_t   *lane;
    ngx_connection_t  *c;

    c = wev->data;
    lane = c->data;

    if (!lane->connected && ngx_rush_lane_connected(lane) != NGX_OK) {
        return;
    }

    if (lane->blocked) {
        lane->blocked = 0;

        if (ngx_rush_lane_push(lane) != NGX_OK) {
            return;
        }
    }

    if (ngx_handle_write_event(wev, 0) != NGX_OK) {
        ngx_rush_lane_down(lane, 0, "no write event");
    }
}


static void
ngx_rush_lane_flush(ngx_event_t *ev)
{
    ngx_rush_lane_t  *lane = ev->data;

    if (lane->state != NGX_RUSH_LANE_READY || lane->blocked) {
        return;
    }

    if (ngx_rush_lane_push(lane) == NGX_OK && RUSH_FP("W2")) {
        ngx_rush_lane_down(lane, 0, "failpoint");
    }
}


/* NGX_ERROR: the lane is down */

static ngx_int_t
ngx_rush_lane_push(ngx_rush_lane_t *lane)
{
    u_char            *p;
    size_t             size;
    ssize_t            n;
    ngx_err_t          err;
    ngx_uint_t         ready;
    ngx_connection_t  *c;

    c = lane->connection;
    ready = (lane->state == NGX_RUSH_LANE_READY);

    for ( ;; ) {

        if (ready) {
            p = lane->out + lane->out_pos;
            size = lane->out_last - lane->out_pos;

        } else {
            p = lane->greeting.data + lane->greeting_pos;
            size = lane->greeting.len - lane->greeting_pos;
        }

        if (size == 0) {
            break;
        }

        n = c->send(c, p, size);

        if (n == NGX_ERROR) {
            err = ngx_socket_errno;

            /* a stream socket that fails has taken nothing of this call */

            ngx_rush_lane_down(lane, err, "send() failed");
            return NGX_ERROR;
        }

        if (n == NGX_AGAIN || n == 0) {
            lane->blocked = 1;

            if (ngx_handle_write_event(c->write, 0) != NGX_OK) {
                ngx_rush_lane_down(lane, 0, "no write event");
                return NGX_ERROR;
            }

            return NGX_OK;
        }

        if (ready) {
            lane->out_pos += n;
            lane->sent += n;

        } else {
            lane->greeting_pos += n;
        }
    }

    if (ready) {
        ngx_rush_out_reset(lane);
    }

    return NGX_OK;
}


void
ngx_rush_lane_ready(ngx_rush_lane_t *lane)
{
    ngx_uint_t  level;

    level = lane->failures ? NGX_LOG_NOTICE : NGX_LOG_INFO;

    ngx_log_error(level, lane->log, 0, "redis %V: %V lane is up",
                  &lane->conf->addr.name, &lane->name);

    lane->state = NGX_RUSH_LANE_READY;
    lane->failures = 0;
    lane->down_since = 0;
    lane->alive = ngx_current_msec;

    ngx_rush_count(NGX_RUSH_C_REDIS_CONNECTS, 1);

    ngx_rush_lane_arm(lane);

    if (lane->total) {
        ngx_post_event(&lane->flush, &ngx_posted_events);
    }
}


void
ngx_rush_lane_down(ngx_rush_lane_t *lane, ngx_err_t err, const char *why)
{
    ngx_msec_t  delay;
    ngx_uint_t  level, logs;

    logs = ngx_rush_lane_logs(lane, NGX_RUSH_LANE_DOWN);

    if (lane->state == NGX_RUSH_LANE_READY) {
        logs = 1;
        lane->logged[NGX_RUSH_LANE_DOWN] = ngx_current_msec;
        lane->down_since = ngx_current_msec;
    }

    if (logs) {
        level = ngx_exiting ? NGX_LOG_NOTICE : NGX_LOG_ERR;

        ngx_log_error(level, lane->log, err,
                      "redis %V: %V lane is down, %ui commands: %s",
                      &lane->conf->addr.name, &lane->name, lane->live, why);
    }

    ngx_rush_lane_close(lane);

    delay = ngx_min(NGX_RUSH_BACKOFF_MAX,
                    NGX_RUSH_BACKOFF_MIN << ngx_min(lane->failures, 6));
    delay = 1 + (ngx_msec_t) ngx_random() % delay;

    lane->failures++;
    lane->state = NGX_RUSH_LANE_BACKOFF;

    ngx_add_timer(&lane->retry, delay);

    ngx_rush_lane_fail(lane);
}


/* commands are left to the caller */

void
ngx_rush_lane_close(ngx_rush_lane_t *lane)
{
    if (lane->timer.timer_set) {
        ngx_del_timer(&lane->timer);
    }

    if (lane->retry.timer_set) {
        ngx_del_timer(&lane->retry);
    }

    if (lane->flush.posted) {
        ngx_delete_posted_event(&lane->flush);
    }

    if (lane->connection) {
        ngx_close_connection(lane->connection);
        lane->connection = NULL;
    }

    if (lane->reader) {
        redisReaderFree(lane->reader);
        lane->reader = NULL;
    }
}


/* a server in trouble does not fill the log */

ngx_uint_t
ngx_rush_lane_logs(ngx_rush_lane_t *lane, ngx_uint_t what)
{
    ngx_msec_t  last;

    last = lane->logged[what];

    if (last && ngx_current_msec - last < NGX_RUSH_LOG_EVERY) {
        return 0;
    }

    lane->logged[what] = ngx_current_msec;

    return 1;
}
