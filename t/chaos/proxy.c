
/*
 * Copyright (C) Rush
 *
 * One process that stands before every edge of a chaos world and makes the
 * network's faults.  Orders (proxy_order.c) come on stdin; its end ends it.
 */


#define _GNU_SOURCE

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "proxy.h"


#define PX_EVENTS  256


static int px_edges_turn(void);


px_edge_t         *px_edges;

static int         px_epoll;
static px_sock_t   px_stdin;


int
main(void)
{
    int                 i, n, wait;
    px_sock_t          *s;
    struct epoll_event  events[PX_EVENTS];

    signal(SIGPIPE, SIG_IGN);
    (void) prctl(PR_SET_PDEATHSIG, SIGKILL);

    px_epoll = epoll_create1(EPOLL_CLOEXEC);
    if (px_epoll == -1) {
        perror("proxy: epoll_create1");
        return 1;
    }

    px_stdin.fd = 0;
    px_watch(&px_stdin, EPOLLIN);
    wait = -1;

    for ( ;; ) {
        n = epoll_wait(px_epoll, events, PX_EVENTS, wait);

        if (n == -1 && errno != EINTR) {
            perror("proxy: epoll_wait");
            return 1;
        }

        for (i = 0; i < n; i++) {
            s = events[i].data.ptr;

            if (s->pair) {
                px_ready(s, events[i].events);
            } else if (s->edge) {
                px_accept(s->edge);
            }
        }

        /* edges go here, when no event of theirs is left */

        for (i = 0; i < n; i++) {
            if (events[i].data.ptr == &px_stdin && px_orders() == -1) {
                return 0;
            }
        }

        wait = px_edges_turn();
    }
}


uint64_t
px_now(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return (uint64_t) ts.tv_sec * 1000 + (uint64_t) ts.tv_nsec / 1000000;
}


/* a socket nobody waits for is out of the set: it would tell of its end */

void
px_watch(px_sock_t *s, uint32_t mask)
{
    int                 op;
    struct epoll_event  ev;

    if (s->mask == mask) {
        return;
    }

    op = s->mask == 0 ? EPOLL_CTL_ADD : mask == 0 ? EPOLL_CTL_DEL
                                                  : EPOLL_CTL_MOD;
    memset(&ev, 0, sizeof(struct epoll_event));
    ev.events = mask;
    ev.data.ptr = s;

    if (epoll_ctl(px_epoll, op, s->fd, &ev) == -1) {
        perror("proxy: epoll_ctl");
        exit(1);
    }

    s->mask = mask;
}


/* a path is a unix socket, anything else an address of IPv4 with a port */

int
px_socket(const char *addr, int listening)
{
    int                  fd, rc, one;
    char                 host[64];
    size_t               len;
    socklen_t            size;
    const char          *colon;
    struct sockaddr_in   in;
    struct sockaddr_un   un;
    struct sockaddr     *sa;

    one = 1;

    if (addr[0] == '/') {
        memset(&un, 0, sizeof(struct sockaddr_un));
        un.sun_family = AF_UNIX;
        memcpy(un.sun_path, addr, strlen(addr));
        sa = (struct sockaddr *) &un;
        size = sizeof(struct sockaddr_un);

    } else {
        colon = strrchr(addr, ':');
        len = colon ? (size_t) (colon - addr) : sizeof(host);

        if (len >= sizeof(host)) {
            errno = EINVAL;
            return -1;
        }

        memcpy(host, addr, len);
        host[len] = '\0';

        memset(&in, 0, sizeof(struct sockaddr_in));
        in.sin_family = AF_INET;
        in.sin_port = htons((uint16_t) strtoul(colon + 1, NULL, 10));
        in.sin_addr.s_addr = inet_addr(host);
        sa = (struct sockaddr *) &in;
        size = sizeof(struct sockaddr_in);
    }

    fd = socket(sa->sa_family, SOCK_STREAM|SOCK_NONBLOCK|SOCK_CLOEXEC, 0);
    if (fd == -1) {
        return -1;
    }

    if (sa->sa_family == AF_INET) {
        (void) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
        (void) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    }

    if (listening) {
        if (sa->sa_family == AF_UNIX) {
            (void) unlink(addr);
        }

        rc = bind(fd, sa, size);
        rc = rc == 0 ? listen(fd, 511) : rc;

    } else {
        rc = connect(fd, sa, size);
        rc = rc == -1 && errno == EINPROGRESS ? 0 : rc;
    }

    if (rc == -1) {
        close(fd);
        return -1;
    }

    return fd;
}


int
px_listen(px_edge_t *e)
{
    if (e->sock.fd != -1) {
        return 0;
    }

    e->sock.fd = px_socket(e->listen, 1);
    e->sock.edge = e;

    if (e->sock.fd == -1) {
        return -1;
    }

    px_watch(&e->sock, EPOLLIN);

    return 0;
}


void
px_deaf(px_edge_t *e)
{
    if (e->sock.fd != -1) {
        px_watch(&e->sock, 0);
        close(e->sock.fd);
        e->sock.fd = -1;
    }
}


/* what is due on all edges, and the dead are buried; ms to wait */

static int
px_edges_turn(void)
{
    int         t, wait;
    px_edge_t  *e;
    px_pair_t  *p, *next;

    wait = -1;

    for (e = px_edges; e; e = e->next) {
        for (p = e->pairs; p; p = next) {
            next = p->next;
            t = px_pair_turn(p);

            if (p->dead) {
                px_pair_free(p);

            } else if (t != -1 && (wait == -1 || t < wait)) {
                wait = t;
            }
        }
    }

    return wait;
}
