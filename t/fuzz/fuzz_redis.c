
/*
 * Copyright (C) Rush
 *
 * The Redis of the whole-request target: reads commands from the lanes and
 * answers as the plan decides.
 *
 * A decision: 0 (and all that is not below) the good answer; 1 to 9 the code
 * of buy.lua with a minus; 10 "-", 11 an order number, 12 one given back; 13
 * NOSCRIPT, 14 OOM, 15 an unknown error, 16 an error inside of a script; 17
 * held until released; 18 the connection ends, 19 after half of the answer;
 * 20 a byte a turn from now on; 21 bytes of the input; 22 an integer, 23 an
 * empty array, 24 nil, 25 nested arrays, 26 the answer twice, 27 a long
 * string.
 */


#include "fuzz_nginx.h"
#include "rush_buf.h"


#define FUZZ_PEERS  8
#define FUZZ_ARGS   700
#define FUZZ_LONG   70000


typedef struct {
    int              fd;                /* 0: free */
    rush_buf_t       in;
    rush_buf_t       out;               /* what may be sent */
    rush_buf_t       held;              /* what waits for a release */
    unsigned         slow:1;
    unsigned         holds:1;
    unsigned         ends:1;            /* closed when out is sent */
} fuzz_peer_t;


static int fuzz_accept(void);
static void fuzz_close(fuzz_peer_t *p);
static int fuzz_send(fuzz_peer_t *p);
static size_t fuzz_command(fuzz_peer_t *p, rush_str_t *args, size_t *nargs);
static void fuzz_answer(fuzz_peer_t *p, rush_str_t *args, size_t n);
static int fuzz_odd(fuzz_peer_t *p, unsigned d, rush_buf_t *b);
static void fuzz_good(rush_buf_t *b, rush_str_t *args, size_t n, unsigned d);
static void fuzz_own_reply(rush_buf_t *b, rush_str_t *args, size_t n,
    unsigned d);
static void fuzz_buy_reply(rush_buf_t *b, size_t buyers, unsigned d);
static int fuzz_is(const rush_str_t *s, const char *text);
static int fuzz_begins(const rush_str_t *s, const char *text);


static int          listener;
static size_t       idle;               /* fuzz_traffic without work to do */
static size_t       accepted;           /* fuzz_connects that were seen */
static fuzz_peer_t  peers[FUZZ_PEERS];


void
fuzz_redis_start(const char *path)
{
    struct sockaddr_un  sa;

    memset(&sa, 0, sizeof(sa));
    sa.sun_family = AF_UNIX;
    fuzz_check(strlen(path) < sizeof(sa.sun_path));
    memcpy(sa.sun_path, path, strlen(path));

    listener = socket(AF_UNIX, SOCK_STREAM|SOCK_NONBLOCK|SOCK_CLOEXEC, 0);

    fuzz_check(listener != -1);
    fuzz_check(bind(listener, (struct sockaddr *) &sa, sizeof(sa)) == 0);
    fuzz_check(listen(listener, 16) == 0);
}


int
fuzz_redis_turn(void)
{
    int           did;
    size_t        i, n, nargs;
    ssize_t       got;
    rush_str_t    args[FUZZ_ARGS];
    fuzz_peer_t  *p;
    char          buf[16384];

    if (fuzz_traffic == idle) {
        return 0;
    }

    did = fuzz_accept();

    for (i = 0; i < FUZZ_PEERS; i++) {
        p = &peers[i];

        if (p->fd == 0) {
            continue;
        }

        got = recv(p->fd, buf, sizeof(buf), MSG_DONTWAIT);

        if (got == 0) {
            fuzz_close(p);
            did = 1;
            continue;
        }

        if (got > 0) {
            rush_buf_add(&p->in, buf, (size_t) got);
            did = 1;
        }

        for ( ;; ) {
            n = fuzz_command(p, args, &nargs);

            if (n == 0) {
                break;
            }

            if (!p->ends) {
                fuzz_answer(p, args, nargs);
            }

            memmove(p->in.data, p->in.data + n, p->in.len - n);
            p->in.len -= n;
        }

        did |= fuzz_send(p);
    }

    if (!did) {
        idle = fuzz_traffic;
    }

    return did;
}


void
fuzz_redis_release(void)
{
    size_t        i;
    fuzz_peer_t  *p;

    for (i = 0; i < FUZZ_PEERS; i++) {
        p = &peers[i];

        if (p->fd != 0) {
            fuzz_traffic += p->held.len;
            rush_buf_add(&p->out, p->held.data, p->held.len);
            rush_buf_reset(&p->held);
            p->holds = 0;
            p->slow = 0;
        }
    }
}


void
fuzz_redis_break(void)
{
    size_t  i;

    for (i = 0; i < FUZZ_PEERS; i++) {
        if (peers[i].fd != 0) {
            fuzz_close(&peers[i]);
        }
    }
}


size_t
fuzz_redis_connections(void)
{
    size_t  i, n;

    for (i = 0, n = 0; i < FUZZ_PEERS; i++) {
        n += peers[i].fd != 0;
    }

    return n;
}


static int
fuzz_accept(void)
{
    int     fd, did;
    size_t  i;

    if (fuzz_connects == accepted) {
        return 0;
    }

    accepted = fuzz_connects;

    for (did = 0; ; did = 1) {
        fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK|SOCK_CLOEXEC);

        if (fd == -1) {
            return did;
        }

        for (i = 0; i < FUZZ_PEERS && peers[i].fd != 0; i++) { /* void */ }

        fuzz_check(i < FUZZ_PEERS);     /* there are two lanes */
        peers[i].fd = fd;
    }
}


static void
fuzz_close(fuzz_peer_t *p)
{
    close(p->fd);
    rush_buf_free(&p->in);
    rush_buf_free(&p->out);
    rush_buf_free(&p->held);
    memset(p, 0, sizeof(fuzz_peer_t));
}


static int
fuzz_send(fuzz_peer_t *p)
{
    size_t   n;
    ssize_t  sent;

    n = p->slow && p->out.len > 1 ? 1 : p->out.len;

    if (n != 0) {
        sent = send(p->fd, p->out.data, n, MSG_DONTWAIT|MSG_NOSIGNAL);

        if (sent <= 0) {
            fuzz_close(p);
            return 1;
        }

        memmove(p->out.data, p->out.data + sent, p->out.len - (size_t) sent);
        p->out.len -= (size_t) sent;
    }

    if (p->ends && p->out.len == 0) {
        fuzz_close(p);
        return 1;
    }

    return n != 0;
}


/* the length of the first command, 0 when it is not there yet; what lanes
 * send is always well-formed */

static size_t
fuzz_command(fuzz_peer_t *p, rush_str_t *args, size_t *nargs)
{
    char    *s, *last, *end;
    size_t   i, n;

    s = (char *) p->in.data;
    last = s + p->in.len;

    if (p->in.len == 0 || memchr(s, '\n', p->in.len) == NULL) {
        return 0;
    }

    fuzz_check(*s == '*');
    *nargs = strtoul(s + 1, &end, 10);
    fuzz_check(*nargs > 0 && *nargs <= FUZZ_ARGS && end[0] == '\r');
    s = end + 2;

    for (i = 0; i < *nargs; i++) {

        if (s >= last || memchr(s, '\n', (size_t) (last - s)) == NULL) {
            return 0;
        }

        fuzz_check(*s == '$');
        n = strtoul(s + 1, &end, 10);
        fuzz_check(end[0] == '\r');
        s = end + 2;

        if ((size_t) (last - s) < n + 2) {
            return 0;
        }

        args[i].data = (unsigned char *) s;
        args[i].len = n;
        fuzz_check(s[n] == '\r' && s[n + 1] == '\n');
        s += n + 2;
    }

    return (size_t) (s - (char *) p->in.data);
}


static void
fuzz_answer(fuzz_peer_t *p, rush_str_t *args, size_t n)
{
    int          background;
    unsigned     d;
    rush_buf_t   b;

    if (fuzz_is(&args[0], "PING")) {
        rush_buf_puts(p->holds ? &p->held : &p->out, "+PONG\r\n");
        return;
    }

    background = fuzz_is(&args[0], "SCRIPT") || fuzz_is(&args[0], "GET")
                 || fuzz_is(&args[0], "XREAD")
                 || (fuzz_is(&args[0], "HMGET") && n == 5);

    d = fuzz_decide(background);
    memset(&b, 0, sizeof(b));

    if (!fuzz_odd(p, d, &b)) {
        fuzz_good(&b, args, n, d);
    }

    if (d == 19) {
        b.len /= 2;
    }

    rush_buf_add(p->holds ? &p->held : &p->out, b.data, b.len);

    if (d == 26) {
        rush_buf_add(p->holds ? &p->held : &p->out, b.data, b.len);
    }

    rush_buf_free(&b);
}


/* 1: b has the answer, or there is none */

static int
fuzz_odd(fuzz_peer_t *p, unsigned d, rush_buf_t *b)
{
    size_t       i;
    rush_str_t   raw;

    static const char  *texts[] = {
        [13] = "-NOSCRIPT No matching script. Please use EVAL.\r\n",
        [14] = "-OOM command not allowed when used memory > 'maxmemory'.\r\n",
        [15] = "-WHAT is this\r\n",
        [16] = "-OOM not allowed script: 0123, on @user_script:7.\r\n",
        [22] = ":-77\r\n", [23] = "*0\r\n", [24] = "$-1\r\n",
        [25] = "*2\r\n*1\r\n*1\r\n:1\r\n*1\r\n$1\r\nx\r\n"
    };

    switch (d) {

    case 17:
        p->holds = 1;
        return 0;

    case 18:
    case 19:
        p->ends = 1;
        return d == 18;

    case 20:
        p->slow = 1;
        return 0;

    case 21:
        raw = fuzz_until(&fuzz_plan.raw, 0xff);
        rush_buf_add(b, raw.data, raw.len);
        return 1;

    case 27:
        rush_buf_printf(b, "$%d\r\n", FUZZ_LONG);

        for (i = 0; i < FUZZ_LONG / 10; i++) {
            rush_buf_puts(b, "0123456789");
        }

        rush_buf_puts(b, "\r\n");
        return 1;
    }

    if (d < sizeof(texts) / sizeof(texts[0]) && texts[d] != NULL) {
        rush_buf_puts(b, texts[d]);
        return 1;
    }

    return 0;
}


static void
fuzz_good(rush_buf_t *b, rush_str_t *args, size_t n, unsigned d)
{
    size_t       i;
    char         now[24];

    if (fuzz_is(&args[0], "SCRIPT")) {
        rush_buf_puts(b, "*1\r\n:1\r\n");

    } else if (fuzz_is(&args[0], "GET")) {
        snprintf(now, sizeof(now), "%lld", (long long) fuzz_now());
        rush_buf_printf(b, "$%zu\r\n%s\r\n", strlen(now), now);

    } else if (fuzz_is(&args[0], "HMGET")) {
        rush_buf_printf(b, "*%zu\r\n", n - 2);

        for (i = 2; i < n; i++) {
            rush_buf_puts(b, "$2\r\n97\r\n");
        }

    } else if (fuzz_is(&args[0], "HGET")) {
        rush_buf_puts(b, "$1\r\n1\r\n");

    } else if (fuzz_is(&args[0], "XADD")) {
        rush_buf_puts(b, "$3\r\n5-1\r\n");

    } else if (fuzz_is(&args[0], "XREAD")) {
        rush_buf_puts(b, "*-1\r\n");

    } else if (fuzz_is(&args[0], "EVALSHA") && n > 4
               && fuzz_begins(&args[3], "{rush}"))
    {
        fuzz_own_reply(b, args, n, d);

    } else if (fuzz_is(&args[0], "EVALSHA") && fuzz_is(&args[2], "3")) {
        fuzz_buy_reply(b, (n - 8) / 5, d);

    } else if (fuzz_is(&args[0], "EVALSHA")) {
        rush_buf_puts(b, d == 11 ? "$5\r\n123-5\r\n"
                         : d == 12 ? "$6\r\n-123-5\r\n"
                         : d == 1 ? ":-1\r\n" : "$1\r\n-\r\n");

    } else {
        rush_buf_puts(b, "*0\r\n");
    }
}


/* idem_ask.lua, idem_keep.lua, order.lua */

static void
fuzz_own_reply(rush_buf_t *b, rush_str_t *args, size_t n, unsigned d)
{
    rush_str_t  *s;

    if (fuzz_begins(&args[3], "{rush}order")) {

        if (d >= 1 && d <= 3) {
            rush_buf_printf(b, ":-%u\r\n", d);
            return;
        }

        s = &args[3 + (size_t) (args[2].data[0] - '0')];
        rush_buf_printf(b, "$%zu\r\n", s->len);
        rush_buf_add(b, s->data, s->len);
        rush_buf_puts(b, "\r\n");
        return;
    }

    if (!fuzz_begins(&args[3], "{rush}i:") || n != 8
        || fuzz_is(&args[5], "done") || fuzz_is(&args[5], "free")
        || fuzz_is(&args[5], "doubt"))
    {
        rush_buf_puts(b, d == 1 ? ":0\r\n" : ":1\r\n");
        return;
    }

    switch (d) {

    case 1:
    case 2:
        rush_buf_printf(b, "*1\r\n:%u\r\n", d);
        return;

    case 3:
        rush_buf_puts(b, "*2\r\n:3\r\n$4\r\n0 {}\r\n");
        return;
    }

    rush_buf_printf(b, "*3\r\n:0\r\n$%zu\r\n", args[5].len);
    rush_buf_add(b, args[5].data, args[5].len);
    rush_buf_puts(b, d == 4 ? "\r\n:1\r\n" : "\r\n:0\r\n");
}


static void
fuzz_buy_reply(rush_buf_t *b, size_t buyers, unsigned d)
{
    size_t  i;

    if (d == 1) {
        rush_buf_puts(b, "*1\r\n:-1\r\n");
        return;
    }

    rush_buf_printf(b, "*%zu\r\n:0\r\n:97\r\n:50\r\n:97\r\n", buyers + 4);

    for (i = 0; i < buyers; i++) {
        if (d >= 10 && d <= 12) {
            rush_buf_puts(b, d == 10 ? "$1\r\n-\r\n"
                             : d == 11 ? "$5\r\n123-5\r\n"
                                       : "$6\r\n-123-5\r\n");
        } else {
            rush_buf_printf(b, ":%d\r\n", d < 10 ? -(int) d : 0);
        }
    }
}


static int
fuzz_is(const rush_str_t *s, const char *text)
{
    return s->len == strlen(text) && memcmp(s->data, text, s->len) == 0;
}


static int
fuzz_begins(const rush_str_t *s, const char *text)
{
    return s->len >= strlen(text) && memcmp(s->data, text, strlen(text)) == 0;
}
