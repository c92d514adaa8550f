
/*
 * Copyright (C) Rush
 *
 * Load generator: one thread, epoll, keep-alive connections to a loopback
 * address, each request with the token of another user.  Tokens are signed
 * before the clock starts.  Prints one JSON object.
 *
 *   load [options] http://127.0.0.1:8080/path
 *
 *     -c N      connections (64)
 *     -n N      requests in all (100000), also the number of users in turn
 *     -t S      stop after S seconds
 *     -r R      open loop: R requests/s at even times; the time of a request
 *               counts from when it was due, so a slow server cannot hide.
 *               R:S,R:S... that many for so many seconds each, then it ends
 *     -d MS     a request that found no free connection for so long is dropped
 *     -C        a connection for each request
 *     -l FILE   writes a line of JSON each second
 *     -m M      method (GET)
 *     -b BODY   JSON body
 *     -k FILE   token key; -u N first user id (1000000); -U N users in turn
 *     -x PATH   another path, see -p
 *     -p N      one request in N goes to the path of -x
 *     -w N      requests before the clock starts
 *     -B        no body
 *     -R FILE   the bytes of the whole request, the same each time
 *     -z        polls without sleeping: waking a client costs the server CPU,
 *               and how often it sleeps depends on which of them is faster
 *     -s FILE   is made when the tokens are signed and the clock starts
 *     -o FILE   writes "user code" a line for each answer of code 0
 *
 * It talks to loopback only and stops by itself, or by SIGTERM.
 */


#define _GNU_SOURCE

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "load.h"


#define BUF        16384


typedef struct {
    int           fd;
    size_t        out_len, out_pos;
    size_t        in_len;
    int64_t       due;                  /* us */
    long          user;                 /* index */
    int           phase;                /* of the rate */
    unsigned      busy:1;
    char          out[4096];
    char          in[BUF];
} conn_t;


typedef struct {
    long          connections, requests, users, warm;
    double        seconds;
    int           drop, close_each;
    const char   *method, *body, *key, *path, *other, *mark, *raw;
    size_t        raw_len;
    long          every, first, spin;
    char          host[64];
    int           port;
    FILE         *granted, *timeline;
} options_t;


static options_t   opt = {
    .connections = 64, .requests = 100000, .method = "GET", .path = "/",
    .first = 1000000, .host = "127.0.0.1", .port = 80
};


static int         ep;
static char      **tokens;
static conn_t     *conns;
static conn_t    **idle;
static long        nidle;
static long        sent, answered, reconnects;
static long        served;              /* by the warm-up */
static int64_t     started;

static volatile sig_atomic_t  stopped;


static void
die(const char *text)
{
    fprintf(stderr, "load: %s: %s\n", text, strerror(errno));
    exit(1);
}


static int64_t
now_us(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000000LL + ts.tv_nsec / 1000;
}


static int build(conn_t *c, const char *path);


static void
open_conn(conn_t *c)
{
    int                  one;
    struct epoll_event   ev;
    struct sockaddr_in   sin;

    memset(&sin, 0, sizeof(sin));
    sin.sin_family = AF_INET;
    sin.sin_port = htons(opt.port);

    if (inet_pton(AF_INET, opt.host, &sin.sin_addr) != 1
        || (ntohl(sin.sin_addr.s_addr) >> 24) != 127)
    {
        fprintf(stderr, "load: only loopback addresses\n");
        exit(1);
    }

    c->fd = socket(AF_INET, SOCK_STREAM, 0);

    if (c->fd == -1
        || connect(c->fd, (struct sockaddr *) &sin, sizeof(sin)) == -1)
    {
        die("connect");
    }

    one = 1;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    fcntl(c->fd, F_SETFL, O_NONBLOCK);

    ev.events = EPOLLIN;
    ev.data.ptr = c;
    c->in_len = 0;
    c->busy = 0;

    if (epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &ev) == -1) {
        die("epoll_ctl");
    }
}


static void
close_conn(conn_t *c)
{
    close(c->fd);

    if (!opt.close_each) {
        reconnects++;
        open_conn(c);
    }
}


static void
send_request(conn_t *c, int64_t due)
{
    int          n;
    ssize_t      rc;
    const char  *path;

    path = opt.path;

    if (opt.other && opt.every && sent % opt.every == opt.every - 1) {
        path = opt.other;
    }

    c->phase = load_rate_phase();
    c->user = opt.users ? (served + sent) % opt.users : 0;
    sent++;
    load_stat_sent(c->phase);

    n = build(c, path);

    if (opt.close_each) {
        open_conn(c);
    }

    c->due = due;
    c->busy = 1;
    c->in_len = 0;
    rc = write(c->fd, c->out, n);

    if (rc != n) {
        load_stat_failed(c->phase);
        answered++;
        close_conn(c);
        idle[nidle++] = c;
    }
}


static int
build(conn_t *c, const char *path)
{
    int  n;

    if (opt.raw) {
        memcpy(c->out, opt.raw, opt.raw_len);
        return (int) opt.raw_len;
    }

    n = snprintf(c->out, sizeof(c->out),
                 "%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                 "User-Agent: rush-load\r\nAccept: */*\r\n%s", opt.method, path,
                 opt.close_each ? "Connection: close\r\n" : "");

    if (tokens) {
        n += snprintf(c->out + n, sizeof(c->out) - n,
                      "Authorization: Bearer %s\r\n", tokens[c->user]);
    }

    if (opt.body) {
        n += snprintf(c->out + n, sizeof(c->out) - n,
                      "Content-Type: application/json\r\n"
                      "Content-Length: %zu\r\n\r\n%s", strlen(opt.body),
                      opt.body);

    } else {
        n += snprintf(c->out + n, sizeof(c->out) - n, "%s\r\n",
                      strcmp(opt.method, "POST") == 0
                      ? "Content-Length: 0\r\n" : "");
    }

    return n;
}


/* 1 when a whole answer is there */

static int
parse_answer(conn_t *c)
{
    char  *end, *p;
    long   len, code, status;

    c->in[c->in_len] = '\0';

    end = strstr(c->in, "\r\n\r\n");
    if (end == NULL) {
        return 0;
    }

    status = strtol(c->in + 9, NULL, 10);
    p = strcasestr(c->in, "\r\nContent-Length:");
    len = (p && p < end) ? strtol(p + 17, NULL, 10) : 0;

    if (status == 304) {
        len = 0;
    }

    if ((long) c->in_len < end + 4 - c->in + len) {
        return 0;
    }

    p = strstr(end, "\"code\":");
    code = p ? strtol(p + 7, NULL, 10) : -1;

    load_stat_answer(c->phase, status, code, now_us() - c->due);

    if (code == 0 && opt.granted) {
        fprintf(opt.granted, "%ld %ld\n", opt.first + c->user, code);
    }

    return 1;
}


static void
read_answer(conn_t *c)
{
    ssize_t  n;

    n = read(c->fd, c->in + c->in_len, BUF - 1 - c->in_len);

    if (n == -1 && errno == EAGAIN) {
        return;
    }

    if (n <= 0 || c->in_len + n == BUF - 1) {
        if (c->busy) {
            load_stat_failed(c->phase);
            answered++;
            idle[nidle++] = c;
        }

        close_conn(c);
        return;
    }

    c->in_len += n;

    if (!c->busy || !parse_answer(c)) {
        return;
    }

    answered++;
    c->busy = 0;
    idle[nidle++] = c;

    if (opt.close_each || strcasestr(c->in, "\r\nConnection: close")) {
        close_conn(c);
    }
}


static int
ended(int64_t now)
{
    return stopped || sent >= opt.requests || load_rate_over()
           || (opt.seconds > 0 && now - started > opt.seconds * 1e6);
}


static void
send_due(int64_t now)
{
    int64_t  due;

    while (!ended(now)) {
        due = load_rate() ? started + load_rate_due() : now;

        if (due > now) {
            return;
        }

        if (nidle) {
            nidle--;
            send_request(idle[nidle], due);

        } else if (opt.drop && now - due > opt.drop * 1000L) {
            load_stat_dropped(load_rate_phase());

        } else {
            return;
        }

        load_rate_next();
    }
}


/* in ms; below one it polls, sleeping would be too long */

static int
pause_ms(int64_t now)
{
    int64_t  left;

    if (opt.spin || ended(now) || !load_rate()) {
        return opt.spin ? 0 : 100;
    }

    left = started + load_rate_due() - now;

    return left > 0 ? (int) (left / 1000) : 0;
}


static void
run(void)
{
    int                  i, n;
    int64_t              now, second;
    struct epoll_event   events[256];

    started = now_us();
    second = started + 1000000;
    load_rate_start();

    for ( ;; ) {
        now = now_us();
        send_due(now);

        if (opt.timeline && now >= second) {
            load_stat_second(opt.timeline, (now - started) / 1e6);
            second += 1000000;
        }

        if ((answered >= sent && ended(now))
            || now - started > 600 * 1000000LL)     /* whatever happens */
        {
            return;
        }

        n = epoll_wait(ep, events, 256, pause_ms(now));

        for (i = 0; i < n; i++) {
            read_answer(events[i].data.ptr);
        }
    }
}


static void
stop(int sig)
{
    stopped = 1;
}


static FILE *
create(const char *name)
{
    FILE  *f;

    f = fopen(name, "w");

    if (f == NULL) {
        die(name);
    }

    return f;
}


static void
parse_url(char *url)
{
    char  *p, *q;

    if (strncmp(url, "http://", 7) != 0) {
        fprintf(stderr, "load: http://ADDRESS:PORT/path\n");
        exit(1);
    }

    p = url + 7;
    q = strchr(p, '/');

    if (q) {
        opt.path = strdup(q);
        *q = '\0';
    }

    q = strchr(p, ':');

    if (q) {
        opt.port = (int) strtol(q + 1, NULL, 10);
        *q = '\0';
    }

    snprintf(opt.host, sizeof(opt.host), "%s", p);
}


static void
parse_options(int argc, char **argv)
{
    int  ch;

    static const char  letters[] = "c:n:t:r:d:Cl:m:b:BR:k:u:U:x:p:w:s:o:z";

    while ((ch = getopt(argc, argv, letters)) != -1) {
        switch (ch) {
        case 'c': opt.connections = atol(optarg); break;
        case 'n': opt.requests = atol(optarg); break;
        case 't': opt.seconds = strtod(optarg, NULL); break;
        case 'r': load_rate_parse(optarg); break;
        case 'd': opt.drop = atoi(optarg); break;
        case 'C': opt.close_each = 1; break;
        case 'l': opt.timeline = create(optarg); break;
        case 'm': opt.method = optarg; break;
        case 'b': opt.body = optarg; break;
        case 'B': opt.body = opt.key = NULL; break;
        case 'R': opt.raw = load_raw(optarg, &opt.raw_len,
                                       sizeof(conns->out)); break;
        case 'z': opt.spin = 1; break;
        case 's': opt.mark = optarg; break;
        case 'k': opt.key = optarg; break;
        case 'u': opt.first = atol(optarg); break;
        case 'U': opt.users = atol(optarg); break;
        case 'x': opt.other = optarg; break;
        case 'p': opt.every = atol(optarg); break;
        case 'w': opt.warm = atol(optarg); break;
        case 'o': opt.granted = create(optarg); break;
        default: exit(2);
        }
    }

    if (optind != argc - 1 || opt.connections < 1) {
        fprintf(stderr, "usage: load [options] http://127.0.0.1:PORT/path\n");
        exit(2);
    }

    parse_url(argv[optind]);

    if (opt.users == 0) {
        opt.users = opt.requests + opt.warm;
    }
}


/* as fast as it goes, and forgotten */

static void
warm_up(void)
{
    options_t  saved;

    saved = opt;
    opt.requests = opt.warm;
    opt.seconds = 0;
    opt.timeline = NULL;
    load_rate_off(1);

    run();

    load_rate_off(0);
    opt = saved;
    served = sent;
    sent = answered = reconnects = 0;
    load_stat_clear();
}


int
main(int argc, char **argv)
{
    int64_t  t;

    parse_options(argc, argv);

    if (opt.key) {
        tokens = load_tokens(opt.key, opt.first, opt.users);

        if (tokens == NULL) {
            return 1;
        }
    }

    ep = epoll_create1(0);
    conns = calloc(opt.connections, sizeof(conn_t));
    idle = calloc(opt.connections, sizeof(conn_t *));

    if (ep == -1 || conns == NULL || idle == NULL
        || signal(SIGTERM, stop) == SIG_ERR)
    {
        die("start");
    }

    while (nidle < opt.connections) {
        if (!opt.close_each) {
            open_conn(&conns[nidle]);
        }

        idle[nidle] = &conns[nidle];
        nidle++;
    }

    if (opt.warm) {
        warm_up();
    }

    if (opt.mark) {
        fclose(create(opt.mark));
        usleep(20000);                  /* whoever measures begins now */
    }

    t = now_us();
    run();
    load_stat_report((now_us() - t) / 1e6, reconnects);

    if (opt.granted) {
        fclose(opt.granted);
    }

    if (opt.timeline) {
        fclose(opt.timeline);
    }

    return 0;
}
