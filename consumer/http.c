
/*
 * Copyright (C) Rush
 *
 * /metrics (Prometheus text 0.0.4) and /health for probes on the loopback.
 * One request a connection, a few connections at once, in the main thread:
 * nothing here waits for anything but poll().  A client that does not end
 * its request within RUSH_HTTP_TIMEOUT is closed.
 */


#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "store.h"


#define RUSH_HTTP_CLIENTS  16
#define RUSH_HTTP_TIMEOUT  2000000      /* us */
#define RUSH_HTTP_REQUEST  2048


typedef struct {
    int           fd;                   /* -1: free */
    int64_t       since;                /* us */
    size_t        len;
    char          in[RUSH_HTTP_REQUEST];
    rush_buf_t    out;
    size_t        sent;
} rush_http_client_t;


static void rush_http_accept(int fd);
static void rush_http_serve(rush_daemon_t *d, rush_http_client_t *c);
static int rush_http_read(rush_daemon_t *d, rush_http_client_t *c);
static void rush_http_answer(rush_daemon_t *d, rush_http_client_t *c);
static void rush_http_health(rush_daemon_t *d, rush_buf_t *b);
static void rush_http_close(rush_http_client_t *c);


static rush_http_client_t  rush_http_clients[RUSH_HTTP_CLIENTS];


int
rush_http_listen(const char *address, FILE *err)
{
    int               fd, rc, on;
    char              host[256], *port;
    size_t            i;
    struct addrinfo   hints, *list;

    for (i = 0; i < RUSH_HTTP_CLIENTS; i++) {
        rush_http_clients[i].fd = -1;
    }

    snprintf(host, sizeof(host), "%s", address);
    port = strrchr(host, ':');

    if (port == NULL) {
        fprintf(err, "\"listen\" must be ADDRESS:PORT\n");
        return -1;
    }

    *port++ = '\0';

    if (host[0] == '[' && strlen(host) > 2) {
        host[strlen(host) - 1] = '\0';
        memmove(host, host + 1, strlen(host));
    }

    memset(&hints, 0, sizeof(hints));
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICHOST|AI_NUMERICSERV|AI_PASSIVE;

    rc = getaddrinfo(host, port, &hints, &list);
    if (rc != 0) {
        fprintf(err, "\"listen\" %s: %s\n", address, gai_strerror(rc));
        return -1;
    }

    on = 1;
    fd = socket(list->ai_family, SOCK_STREAM|SOCK_NONBLOCK|SOCK_CLOEXEC, 0);

    if (fd == -1
        || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == -1
        || bind(fd, list->ai_addr, list->ai_addrlen) == -1
        || listen(fd, RUSH_HTTP_CLIENTS) == -1)
    {
        fprintf(err, "\"listen\" %s: %s\n", address, strerror(errno));

        if (fd != -1) {
            (void) close(fd);
        }

        fd = -1;
    }

    freeaddrinfo(list);

    return fd;
}


int
rush_http_poll(rush_daemon_t *d, int fd, int other, int ms)
{
    int                  rc;
    nfds_t               i, n;
    struct pollfd        fds[RUSH_HTTP_CLIENTS + 2];
    rush_http_client_t  *c;

    fds[0].fd = other;
    fds[0].events = POLLIN;
    fds[1].fd = fd;                     /* -1 is skipped */
    fds[1].events = POLLIN;
    n = 2;

    for (i = 0; i < RUSH_HTTP_CLIENTS; i++) {
        c = &rush_http_clients[i];

        fds[n].fd = c->fd;
        fds[n].events = c->out.len > 0 ? POLLOUT : POLLIN;
        n++;
    }

    rc = poll(fds, n, ms);

    if (rc < 0) {
        return 0;
    }

    for (i = 0; i < RUSH_HTTP_CLIENTS; i++) {
        c = &rush_http_clients[i];

        if (c->fd == -1) {
            continue;
        }

        if (rc > 0 && fds[i + 2].revents != 0) {
            rush_http_serve(d, c);

        } else if (rush_mono() - c->since > RUSH_HTTP_TIMEOUT) {
            rush_http_close(c);
        }
    }

    if (rc > 0 && (fds[1].revents & POLLIN)) {
        rush_http_accept(fd);
    }

    return rc > 0 && (fds[0].revents & POLLIN);
}


static void
rush_http_accept(int fd)
{
    int                  client;
    size_t               i;
    rush_http_client_t  *c;

    client = accept(fd, NULL, NULL);
    if (client == -1) {
        return;
    }

    if (fcntl(client, F_SETFL, O_NONBLOCK) == -1
        || fcntl(client, F_SETFD, FD_CLOEXEC) == -1)
    {
        (void) close(client);
        return;
    }

    for (i = 0; i < RUSH_HTTP_CLIENTS; i++) {
        c = &rush_http_clients[i];

        if (c->fd == -1) {
            c->fd = client;
            c->since = rush_mono();
            c->len = 0;
            c->sent = 0;
            return;
        }
    }

    (void) close(client);
}


static void
rush_http_serve(rush_daemon_t *d, rush_http_client_t *c)
{
    ssize_t  n;

    if (c->out.len == 0 && rush_http_read(d, c) != RUSH_OK) {
        return;
    }

    n = send(c->fd, c->out.data + c->sent, c->out.len - c->sent,
             MSG_NOSIGNAL);

    if (n == -1) {

        if (errno != EAGAIN && errno != EINTR) {
            rush_http_close(c);
        }

        return;
    }

    c->sent += (size_t) n;

    if (c->sent == c->out.len) {
        rush_http_close(c);
    }
}


/* RUSH_OK: an answer is ready */

static int
rush_http_read(rush_daemon_t *d, rush_http_client_t *c)
{
    ssize_t  n;

    n = recv(c->fd, c->in + c->len, sizeof(c->in) - 1 - c->len, 0);

    if (n == -1 && (errno == EAGAIN || errno == EINTR)) {
        return RUSH_ERROR;
    }

    if (n <= 0) {
        rush_http_close(c);
        return RUSH_ERROR;
    }

    c->len += (size_t) n;
    c->in[c->len] = '\0';

    /* what follows the header is not looked at */

    if (strstr(c->in, "\r\n\r\n") == NULL && c->len < sizeof(c->in) - 1) {
        return RUSH_ERROR;
    }

    rush_http_answer(d, c);

    if (c->out.failed) {
        rush_http_close(c);
        return RUSH_ERROR;
    }

    return RUSH_OK;
}


static void
rush_http_answer(rush_daemon_t *d, rush_http_client_t *c)
{
    const char  *status, *type;
    rush_buf_t   body;

    memset(&body, 0, sizeof(rush_buf_t));

    status = "200 OK";
    type = "application/json";

    if (strncmp(c->in, "GET /metrics ", 13) == 0
        || strncmp(c->in, "GET /metrics?", 13) == 0)
    {
        type = "text/plain; version=0.0.4; charset=utf-8";
        rush_metrics(d, &body);

    } else if (strncmp(c->in, "GET /health ", 12) == 0) {

        if (!rush_stat_get(d, redis_up) || !rush_stat_get(d, mysql_up)) {
            status = "503 Service Unavailable";
        }

        rush_http_health(d, &body);

    } else if (strncmp(c->in, "GET ", 4) == 0) {
        status = "404 Not Found";
        type = "text/plain";
        rush_buf_puts(&body, "/metrics and /health\n");

    } else {
        status = "405 Method Not Allowed";
        type = "text/plain";
        rush_buf_puts(&body, "GET only\n");
    }

    rush_buf_reset(&c->out);
    rush_buf_printf(&c->out, "HTTP/1.1 %s\r\nContent-Type: %s\r\n"
                    "Content-Length: %zu\r\nCache-Control: no-store\r\n"
                    "Connection: close\r\n\r\n", status, type, body.len);
    rush_buf_add(&c->out, body.data, body.len);

    if (body.failed) {
        c->out.failed = 1;
    }

    rush_buf_free(&body);
}


static void
rush_http_health(rush_daemon_t *d, rush_buf_t *b)
{
    int  redis, mysql;

    redis = rush_stat_get(d, redis_up) != 0;
    mysql = rush_stat_get(d, mysql_up) != 0;

    rush_json_open(b, NULL, '{');
    rush_json_text(b, "status", redis && mysql ? "ok" : "down");
    rush_json_text(b, "version", RUSH_VERSION);
    rush_json_text(b, "name", d->conf.name);
    rush_json_bool(b, "redis", redis);
    rush_json_bool(b, "mysql", mysql);
    rush_json_bool(b, "controller", rush_stat_get(d, controller) != 0);
    rush_json_int(b, "lag", rush_stat_get(d, lag));
    rush_json_int(b, "pending", rush_stat_get(d, pending));
    rush_json_int(b, "dead_letters", rush_stat_get(d, dead_open));
    rush_json_close(b, '}');
    rush_buf_add(b, "\n", 1);
}


static void
rush_http_close(rush_http_client_t *c)
{
    (void) close(c->fd);
    rush_buf_free(&c->out);

    c->fd = -1;
    c->len = 0;
    c->sent = 0;
}
