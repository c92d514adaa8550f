
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
 *               counts from when it was due, so a slow server cannot hide
 *     -m M      method (GET)
 *     -b BODY   JSON body
 *     -k FILE   token key; -u N first user id (1000000); -U N users in turn
 *     -x PATH   another path, see -p
 *     -p N      one request in N goes to the path of -x
 *     -w N      requests before the clock starts
 *     -B        no body
 *     -z        polls without sleeping: waking a client costs the server CPU,
 *               and how often it sleeps depends on which of them is faster
 *     -s FILE   is made when the tokens are signed and the clock starts
 *     -o FILE   writes "user code" a line for each answer of code 0
 *
 * It talks to loopback only and stops by itself.
 */


#define _GNU_SOURCE

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "rush_base.h"
#include "rush_jwt.h"


#define BUF        16384
#define MAX_CODE   100000
#define BUCKETS    (64 * 16)            /* 16 steps a power of two, in us */


typedef struct {
    int           fd;
    size_t        out_len, out_pos;
    size_t        in_len;
    int64_t       due;                  /* us */
    long          user;                 /* index */
    unsigned      busy:1;
    char          out[4096];
    char          in[BUF];
} conn_t;


static struct {
    long          connections, requests, users, warm;
    double        seconds, rate;
    const char   *method, *body, *key, *path, *other, *mark;
    long          every, first, spin;
    char          host[64];
    int           port;
    FILE         *granted;
} opt = { 64, 100000, 0, 0, 0, 0, "GET", NULL, NULL, "/", NULL, NULL, 0,
          1000000, 0, "127.0.0.1", 80, NULL };


static int         ep;
static char      **tokens;
static conn_t     *conns;
static conn_t    **idle;
static long        nidle;
static long        sent, answered, failed, reconnects;
static long        served;              /* by the warm-up */
static long        codes[MAX_CODE], statuses[600];
static uint64_t    hist[BUCKETS];
static int64_t     started;


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


static int
bucket(int64_t us)
{
    int  power;

    if (us < 16) {
        return us < 0 ? 0 : (int) us;
    }

    power = 63 - __builtin_clzll((unsigned long long) us);
    return (power - 3) * 16 + (int) ((us >> (power - 4)) & 15);
}


static double
percentile(double p)
{
    int       i;
    uint64_t  n, all;

    for (i = 0, all = 0; i < BUCKETS; i++) {
        all += hist[i];
    }

    n = 0;

    for (i = 0; i < BUCKETS; i++) {
        n += hist[i];

        if (n && n >= p * all) {
            return i < 16 ? i
                   : (double) ((16ULL + i % 16 + 1) << (i / 16 - 1));
        }
    }

    return 0;
}


static void
make_tokens(void)
{
    long            i, n;
    char           *text;
    FILE           *f;
    size_t          len;
    rush_jwt_t     *jwt;
    const char     *err;
    rush_claims_t   claims;
    unsigned char   token[RUSH_JWT_MAX_LEN];

    if (opt.key == NULL) {
        return;
    }

    f = fopen(opt.key, "r");
    text = malloc(65536);
    jwt = rush_jwt_create("rush", "rush", 30);
    if (f == NULL || text == NULL || jwt == NULL) {
        die(opt.key);
    }

    len = fread(text, 1, 65536, f);
    fclose(f);

    if (rush_jwt_load(jwt, (unsigned char *) text, len, &err) != RUSH_OK) {
        fprintf(stderr, "load: %s: %s\n", opt.key, err);
        exit(1);
    }

    n = opt.users;
    tokens = calloc(n, sizeof(char *));
    if (tokens == NULL) {
        die("tokens");
    }

    memset(&claims, 0, sizeof(claims));
    claims.version = 1;
    claims.issued = time(NULL);
    claims.expires = claims.issued + 7200;

    for (i = 0; i < n; i++) {
        claims.user = opt.first + i;
        claims.session = 1 + i;
        len = rush_jwt_sign(jwt, &claims, token);
        tokens[i] = len ? strndup((char *) token, len) : NULL;

        if (tokens[i] == NULL) {
            die("token");
        }
    }

    rush_jwt_destroy(jwt);
    free(text);
}


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
    reconnects++;
    open_conn(c);
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

    c->user = opt.users ? (served + sent) % opt.users : 0;
    sent++;

    n = snprintf(c->out, sizeof(c->out),
                 "%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                 "User-Agent: rush-load\r\nAccept: */*\r\n", opt.method, path);

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

    c->due = due;
    c->busy = 1;
    c->in_len = 0;
    rc = write(c->fd, c->out, n);

    if (rc != n) {
        failed++;
        close_conn(c);
        idle[nidle++] = c;
    }
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

    if (status > 0 && status < 600) {
        statuses[status]++;
    }

    p = strstr(end, "\"code\":");
    code = p ? strtol(p + 7, NULL, 10) : -1;

    if (code >= 0 && code < MAX_CODE) {
        codes[code]++;
    }

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
            failed++;
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

    hist[bucket(now_us() - c->due)]++;
    answered++;
    c->busy = 0;
    idle[nidle++] = c;

    if (strcasestr(c->in, "\r\nConnection: close")) {
        close_conn(c);
    }
}


static int
ended(int64_t now)
{
    return sent >= opt.requests
           || (opt.seconds > 0 && now - started > opt.seconds * 1e6);
}


static int
may_send(int64_t now)
{
    if (ended(now)) {
        return 0;
    }

    return opt.rate == 0 || (now - started) * opt.rate / 1e6 >= sent + 1;
}


static void
run(void)
{
    int                  i, n, timeout;
    int64_t              now;
    struct epoll_event   events[256];

    started = now_us();

    for ( ;; ) {
        now = now_us();

        while (nidle && may_send(now)) {
            nidle--;
            send_request(idle[nidle],
                         opt.rate > 0 ? started
                                        + (int64_t) (sent / opt.rate * 1e6)
                                      : now);
        }

        if ((answered >= sent && ended(now))
            || now - started > 600 * 1000000LL)     /* whatever happens */
        {
            return;
        }

        timeout = (opt.rate > 0 || opt.spin) ? 0 : 100;
        n = epoll_wait(ep, events, 256, timeout);

        for (i = 0; i < n; i++) {
            read_answer(events[i].data.ptr);
        }
    }
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
report(double seconds)
{
    long  i, n;

    printf("{\"requests\":%ld,\"failed\":%ld,\"reconnects\":%ld,"
           "\"seconds\":%.3f,\"rps\":%.0f,\"p50_us\":%.0f,\"p90_us\":%.0f,"
           "\"p99_us\":%.0f,\"p999_us\":%.0f,\"status\":{",
           answered, failed, reconnects, seconds, answered / seconds,
           percentile(0.5), percentile(0.9), percentile(0.99),
           percentile(0.999));

    for (i = 0, n = 0; i < 600; i++) {
        if (statuses[i]) {
            printf("%s\"%ld\":%ld", n++ ? "," : "", i, statuses[i]);
        }
    }

    printf("},\"code\":{");

    for (i = 0, n = 0; i < MAX_CODE; i++) {
        if (codes[i]) {
            printf("%s\"%ld\":%ld", n++ ? "," : "", i, codes[i]);
        }
    }

    printf("}}\n");
}


int
main(int argc, char **argv)
{
    int      ch;
    long     i, requests;
    FILE    *f;
    double   seconds, rate;
    int64_t  t;

    while ((ch = getopt(argc, argv, "c:n:t:r:m:b:Bk:u:U:x:p:w:s:o:z")) != -1) {
        switch (ch) {
        case 'c': opt.connections = atol(optarg); break;
        case 'n': opt.requests = atol(optarg); break;
        case 't': opt.seconds = strtod(optarg, NULL); break;
        case 'r': opt.rate = strtod(optarg, NULL); break;
        case 'm': opt.method = optarg; break;
        case 'b': opt.body = optarg; break;
        case 'B': opt.body = opt.key = NULL; break;
        case 'z': opt.spin = 1; break;
        case 's': opt.mark = optarg; break;
        case 'k': opt.key = optarg; break;
        case 'u': opt.first = atol(optarg); break;
        case 'U': opt.users = atol(optarg); break;
        case 'x': opt.other = optarg; break;
        case 'p': opt.every = atol(optarg); break;
        case 'w': opt.warm = atol(optarg); break;
        case 'o': opt.granted = fopen(optarg, "w"); break;
        default: return 2;
        }
    }

    if (optind != argc - 1 || opt.connections < 1) {
        fprintf(stderr, "usage: load [options] http://127.0.0.1:PORT/path\n");
        return 2;
    }

    parse_url(argv[optind]);

    if (opt.users == 0) {
        opt.users = opt.requests + opt.warm;
    }

    make_tokens();

    ep = epoll_create1(0);
    conns = calloc(opt.connections, sizeof(conn_t));
    idle = calloc(opt.connections, sizeof(conn_t *));

    if (ep == -1 || conns == NULL || idle == NULL) {
        die("start");
    }

    for (i = 0; i < opt.connections; i++) {
        open_conn(&conns[i]);
        idle[nidle++] = &conns[i];
    }

    if (opt.warm) {
        requests = opt.requests;
        seconds = opt.seconds;
        rate = opt.rate;
        opt.requests = opt.warm;
        opt.seconds = opt.rate = 0;
        run();

        opt.requests = requests;
        opt.seconds = seconds;
        opt.rate = rate;
        served = sent;
        sent = answered = failed = reconnects = 0;
        memset(hist, 0, sizeof(hist));
        memset(codes, 0, sizeof(codes));
        memset(statuses, 0, sizeof(statuses));
    }

    if (opt.mark) {
        f = fopen(opt.mark, "w");

        if (f == NULL || fclose(f) != 0) {
            die(opt.mark);
        }

        usleep(20000);                  /* whoever measures begins now */
    }

    t = now_us();
    run();
    report((now_us() - t) / 1e6);

    if (opt.granted) {
        fclose(opt.granted);
    }

    return 0;
}
