
/*
 * Copyright (C) Rush
 *
 * Clients that hold connections and give nothing for them: slow ones send a
 * request byte by byte and never end it, idle ones send one request and stay.
 * What the server closes is opened again.
 *
 *   storm SLOW IDLE PORT FILE
 *
 * makes FILE when all are there, ends by SIGTERM and prints one JSON object.
 * It talks to loopback only.
 */


#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>


#define EVERY_MS  500                   /* a byte of a slow one */


typedef struct {
    int       fd;
    unsigned  slow:1;
    size_t    sent;
} client_t;


static const char  slow_text[] =
    "POST /api/v1/seckill/activities/1/buy HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    "X-Slow: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

static const char  idle_text[] =
    "GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";

static int   ep, port;
static long  opened, closed, refused;

static volatile sig_atomic_t  stopped;


static void
stop(int sig)
{
    (void) sig;
    stopped = 1;
}


static long
now_ms(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}


static void
open_client(client_t *c)
{
    ssize_t              n;
    struct epoll_event   ev;
    struct sockaddr_in   sin;

    memset(&sin, 0, sizeof(sin));
    sin.sin_family = AF_INET;
    sin.sin_port = htons((in_port_t) port);
    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);

    c->sent = 0;
    c->fd = socket(AF_INET, SOCK_STREAM, 0);

    if (c->fd == -1
        || connect(c->fd, (struct sockaddr *) &sin, sizeof(sin)) == -1
        || fcntl(c->fd, F_SETFL, O_NONBLOCK) == -1)
    {
        if (c->fd != -1) {
            close(c->fd);
        }

        c->fd = -1;
        refused++;
        return;
    }

    ev.events = EPOLLIN | EPOLLRDHUP;
    ev.data.ptr = c;

    if (epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &ev) == -1) {
        fprintf(stderr, "storm: epoll_ctl: %s\n", strerror(errno));
        exit(1);
    }

    opened++;

    if (!c->slow) {
        n = write(c->fd, idle_text, sizeof(idle_text) - 1);
        c->sent = n > 0 ? (size_t) n : 0;
    }
}


static void
drain(client_t *c)
{
    char     text[4096];
    ssize_t  n;

    n = read(c->fd, text, sizeof(text));

    if (n > 0 || (n == -1 && errno == EAGAIN)) {
        return;
    }

    close(c->fd);
    closed++;
    open_client(c);
}


static void
drip(client_t *clients, long n)
{
    long  i;

    for (i = 0; i < n; i++) {

        if (clients[i].fd == -1) {
            open_client(&clients[i]);
            continue;
        }

        if (clients[i].slow && clients[i].sent < sizeof(slow_text) - 1
            && write(clients[i].fd, slow_text + clients[i].sent, 1) == 1)
        {
            clients[i].sent++;
        }
    }
}


int
main(int argc, char **argv)
{
    int                  i, n;
    long                 slow, all, next;
    FILE                *f;
    client_t            *clients;
    struct rlimit        limit;
    struct epoll_event   events[256];

    if (argc != 5) {
        fprintf(stderr, "usage: storm SLOW IDLE PORT FILE\n");
        return 2;
    }

    slow = atol(argv[1]);
    all = slow + atol(argv[2]);
    port = atoi(argv[3]);

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void) setrlimit(RLIMIT_NOFILE, &limit);
    }

    signal(SIGTERM, stop);
    signal(SIGPIPE, SIG_IGN);

    ep = epoll_create1(0);
    clients = calloc((size_t) all, sizeof(client_t));

    if (ep == -1 || clients == NULL) {
        fprintf(stderr, "storm: %s\n", strerror(errno));
        return 1;
    }

    for (i = 0; i < all; i++) {
        clients[i].slow = (i < slow);
        open_client(&clients[i]);
    }

    f = fopen(argv[4], "w");
    if (f == NULL || fclose(f) != 0) {
        fprintf(stderr, "storm: %s: %s\n", argv[4], strerror(errno));
        return 1;
    }

    next = now_ms() + EVERY_MS;

    while (!stopped) {
        n = epoll_wait(ep, events, 256, 50);

        for (i = 0; i < n; i++) {
            drain(events[i].data.ptr);
        }

        if (now_ms() >= next) {
            drip(clients, all);
            next = now_ms() + EVERY_MS;
        }
    }

    printf("{\"opened\":%ld,\"closed\":%ld,\"refused\":%ld}\n", opened, closed,
           refused);
    return 0;
}
