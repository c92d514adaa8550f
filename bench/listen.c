
/*
 * Copyright (C) Rush
 *
 * Listeners of event streams, as many as a line of FILE each has:
 *
 *     path token          "-" is no token
 *
 *   listen PORT FILE
 *
 * opens them 64 at a time and prints "ready MS" when each has its first
 * event.  Then, for each line "round" on stdin, it waits until each has one
 * more event (comments are none) and prints "fed FIRST LAST", ms after the
 * line, or "lost N" after 30 s; "end" ends it.  It talks to loopback only, from
 * addresses of their own for 250 listeners each.
 */


#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>


#define MOST     100000
#define AT_ONCE  64
#define PATIENT  30000.0                /* ms */


static int     ep, port, n, opened, waiting;
static int     fds[MOST];
static char    fed[MOST];
static char   *lines[MOST];
static double  first, last;


static double
now_ms(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);

    return ts.tv_sec * 1e3 + ts.tv_nsec / 1e6;
}


static void
die(const char *what)
{
    perror(what);
    exit(1);
}


static void
open_one(int i)
{
    int                 fd, len;
    char                text[4096], path[512], token[2048];
    struct epoll_event  ev;
    struct sockaddr_in  sin;

    if (sscanf(lines[i], "%511s %2047s", path, token) != 2) {
        fprintf(stderr, "line %d is not \"path token\"\n", i + 1);
        exit(1);
    }

    fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd == -1) {
        die("socket");
    }

    memset(&sin, 0, sizeof(sin));
    sin.sin_family = AF_INET;
    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 256 + i / 250);

    if (bind(fd, (struct sockaddr *) &sin, sizeof(sin)) == -1) {
        die("bind");
    }

    sin.sin_port = htons(port);
    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);

    if (connect(fd, (struct sockaddr *) &sin, sizeof(sin)) == -1) {
        die("connect");
    }

    len = snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                   "User-Agent: listen\r\nAccept: text/event-stream\r\n"
                   "%s%s%s\r\n", path,
                   token[0] == '-' ? "" : "Authorization: Bearer ",
                   token[0] == '-' ? "" : token,
                   token[0] == '-' ? "" : "\r\n");

    if (send(fd, text, len, 0) != len) {
        die("send");
    }

    (void) fcntl(fd, F_SETFL, O_NONBLOCK);

    ev.events = EPOLLIN;
    ev.data.u32 = i;

    if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev) == -1) {
        die("epoll_ctl");
    }

    fds[i] = fd;
}


static void
read_one(int i)
{
    char     text[16384];
    ssize_t  len;

    len = recv(fds[i], text, sizeof(text) - 1, 0);

    if (len == -1 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }

    if (len <= 0) {
        fprintf(stderr, "listener %d was closed\n", i);
        exit(1);
    }

    text[len] = '\0';

    if (strstr(text, "HTTP/1.1 ") == text && !strstr(text, " 200 OK\r\n")) {
        fprintf(stderr, "listener %d: %.*s\n", i, 60, text);
        exit(1);
    }

    if (fed[i] || strstr(text, "\nevent: ") == NULL) {
        return;
    }

    fed[i] = 1;
    last = now_ms();

    if (first == 0) {
        first = last;
    }

    waiting--;
}


static void
turn(void)
{
    int                 i, got;
    struct epoll_event  ev[512];

    got = epoll_wait(ep, ev, 512, 100);

    for (i = 0; i < got; i++) {
        read_one(ev[i].data.u32);
    }
}


int
main(int argc, char **argv)
{
    int      i;
    char     text[4096];
    FILE    *file;
    double   start;

    if (argc != 3) {
        fprintf(stderr, "usage: listen PORT FILE\n");
        return 2;
    }

    port = (int) strtol(argv[1], NULL, 10);
    ep = epoll_create1(0);
    file = fopen(argv[2], "r");

    if (ep == -1 || file == NULL) {
        die(argv[2]);
    }

    while (n < MOST && fgets(text, sizeof(text), file)) {
        lines[n++] = strdup(text);
    }

    fclose(file);
    start = now_ms();
    waiting = n;

    while (waiting) {

        while (opened < n && opened - (n - waiting) < AT_ONCE) {
            open_one(opened++);
        }

        turn();
    }

    printf("ready %.0f\n", now_ms() - start);
    fflush(stdout);

    /* a line comes when all is read that was sent */

    while (fgets(text, sizeof(text), stdin) && strcmp(text, "round\n") == 0) {

        memset(fed, 0, sizeof(fed));
        start = now_ms();
        first = 0;
        waiting = n;

        printf("round\n");
        fflush(stdout);

        while (waiting && now_ms() - start < PATIENT) {
            turn();
        }

        if (waiting) {
            printf("lost %d\n", waiting);

        } else {
            printf("fed %.1f %.1f\n", first - start, last - start);
        }

        fflush(stdout);
    }

    for (i = 0; i < opened; i++) {
        close(fds[i]);
    }

    return 0;
}
