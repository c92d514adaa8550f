
/*
 * Copyright (C) Rush
 *
 * One connection through the proxy: two sockets, and between them chunks of
 * bytes that wait for their time.  A pair that ended is freed at the end of
 * the turn of the event loop, as events of it may still be at hand.
 */


#define _GNU_SOURCE

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy.h"


static int px_connect(px_pair_t *p);
static int px_stopped(px_edge_t *e, unsigned dir);
static void px_read(px_pair_t *p, unsigned dir);
static void px_add(px_pair_t *p, unsigned dir, const unsigned char *data,
    size_t n);
static int px_flush(px_pair_t *p, unsigned dir);
static size_t px_allowed(px_pair_t *p, unsigned dir, int *wait);
static void px_drop(px_flow_t *f);
static int px_sooner(int a, int b);
static void px_interest(px_pair_t *p);
static uint64_t px_random(px_rule_t *rule);


void
px_accept(px_edge_t *e)
{
    int         fd;
    px_pair_t  *p;

    fd = accept4(e->sock.fd, NULL, NULL, SOCK_NONBLOCK|SOCK_CLOEXEC);
    if (fd == -1) {
        return;
    }

    p = calloc(1, sizeof(px_pair_t));
    if (p == NULL) {
        close(fd);
        return;
    }

    e->conns++;

    p->edge = e;
    p->speaker = PX_DOWN;
    p->sock[0].fd = fd;
    p->sock[1].fd = -1;
    p->sock[0].pair = p;
    p->sock[1].pair = p;
    p->sock[1].side = 1;

    p->next = e->pairs;
    e->pairs = p;

    if (p->next) {
        p->next->prev = p;
    }

    if (e->rule.mode == PX_RESET) {
        e->hits[PX_RESET]++;
        px_pair_end(p, 1);
        return;
    }

    /* the kernel answered the handshake, nobody else does */

    if (px_stopped(e, PX_UP)) {
        e->hits[PX_BLACKHOLE]++;
        return;
    }

    if (px_connect(p) == -1) {
        px_pair_end(p, 0);
        return;
    }

    px_interest(p);
}


static int
px_connect(px_pair_t *p)
{
    p->sock[1].fd = px_socket(p->edge->to, 0);
    p->sock[1].connecting = 1;

    return p->sock[1].fd == -1 ? -1 : 0;
}


static int
px_stopped(px_edge_t *e, unsigned dir)
{
    return e->rule.mode == PX_BLACKHOLE && (e->rule.dirs & (1u << dir));
}


void
px_ready(px_sock_t *s, uint32_t events)
{
    px_pair_t  *p;

    p = s->pair;

    if (p->dead) {
        return;
    }

    if (s->connecting && (events & (EPOLLOUT|EPOLLERR|EPOLLHUP))) {
        int        error;
        socklen_t  len;

        len = sizeof(error);

        if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &len) == -1
            || error)
        {
            px_pair_end(p, 0);
            return;
        }

        s->connecting = 0;
    }

    if (events & (EPOLLIN|EPOLLHUP|EPOLLERR)) {
        px_read(p, s->side);
    }
}


static void
px_read(px_pair_t *p, unsigned dir)
{
    int            cut;
    size_t         keep;
    ssize_t        n;
    px_flow_t     *f;
    unsigned char  buf[PX_CHUNK];

    f = &p->flow[dir];

    if (p->cut || f->eof || f->queued > PX_QUEUE) {
        return;
    }

    if (px_stopped(p->edge, dir)) {
        return;
    }

    n = read(p->sock[dir].fd, buf, sizeof(buf));

    if (n == -1) {
        if (errno != EAGAIN && errno != EINTR) {
            px_pair_end(p, errno == ECONNRESET);
        }

        return;
    }

    if (n == 0) {
        f->eof = 1;
        return;
    }

    p->edge->bytes[dir] += (uint64_t) n;

    keep = px_frames(p, dir, buf, (size_t) n, &cut);

    px_add(p, dir, buf, keep);

    if (cut) {

        /* what is before the cut arrives, the other way is over */

        px_drop(&p->flow[!dir]);
    }
}


static void
px_add(px_pair_t *p, unsigned dir, const unsigned char *data, size_t n)
{
    px_flow_t   *f;
    px_rule_t   *rule;
    px_chunk_t  *c;

    if (n == 0) {
        return;
    }

    f = &p->flow[dir];
    rule = &p->edge->rule;

    c = malloc(sizeof(px_chunk_t) + n);
    if (c == NULL) {
        px_pair_end(p, 1);
        return;
    }

    memcpy(c->data, data, n);
    c->next = NULL;
    c->pos = 0;
    c->len = n;
    c->due = 0;

    if (rule->mode == PX_DELAY && (rule->dirs & (1u << dir))) {
        p->edge->hits[PX_DELAY]++;
        c->due = px_now() + rule->ms;

        if (rule->jitter) {
            c->due += px_random(rule) % rule->jitter;
        }
    }

    /* nothing overtakes what came before */

    c->due = c->due > f->due || f->first == NULL ? c->due : f->due;
    f->due = c->due;

    if (rule->mode == PX_THROTTLE || rule->mode == PX_BYTEWISE) {
        p->edge->hits[rule->mode] += (rule->dirs >> dir) & 1;
    }

    if (f->first == NULL) {
        f->first = c;
    } else {
        f->last->next = c;
    }

    f->last = c;
    f->queued += n;
}


/* what is due now; returns ms until there is more to do, -1: nothing */

int
px_pair_turn(px_pair_t *p)
{
    int       wait, t;
    uint64_t  now;
    unsigned  dir;

    if (p->dead) {
        return -1;
    }

    if (p->sock[1].fd == -1) {

        if (px_stopped(p->edge, PX_UP)) {
            return -1;
        }

        if (px_connect(p) == -1) {
            px_pair_end(p, 0);
            return -1;
        }
    }

    wait = -1;

    for (dir = 0; dir < 2; dir++) {
        t = px_flush(p, dir);

        if (p->dead) {
            return -1;
        }

        wait = px_sooner(wait, t);
    }

    if (p->after && !p->cut) {
        now = px_now();

        if (now >= p->after) {
            p->edge->hits[PX_CUT_AFTER]++;
            p->cut = 1;
        } else {
            wait = px_sooner(wait, (int) (p->after - now));
        }
    }

    /* an end is passed on when all before it was */

    if ((p->cut && !p->flow[0].first && !p->flow[1].first)
        || (p->flow[0].eof && !p->flow[0].first)
        || (p->flow[1].eof && !p->flow[1].first))
    {
        px_pair_end(p, p->cut && p->edge->rule.rst);
        return -1;
    }

    px_interest(p);

    return wait;
}


static int
px_flush(px_pair_t *p, unsigned dir)
{
    int          wait;
    size_t       n, most;
    ssize_t      sent;
    px_sock_t   *to;
    px_flow_t   *f;
    px_chunk_t  *c;

    f = &p->flow[dir];
    to = &p->sock[!dir];

    while (f->first && !to->connecting) {
        c = f->first;
        most = px_allowed(p, dir, &wait);

        if (most == 0) {
            return wait;
        }

        n = c->len - c->pos;
        n = n < most ? n : most;

        sent = send(to->fd, c->data + c->pos, n, MSG_NOSIGNAL);

        if (sent == -1) {
            if (errno == EAGAIN || errno == EINTR) {
                return PX_WAIT;
            }

            px_pair_end(p, errno == ECONNRESET);
            return -1;
        }

        c->pos += (size_t) sent;
        f->queued -= (size_t) sent;
        f->tokens -= p->edge->rule.mode == PX_THROTTLE
                     ? (uint64_t) sent * 1000 : 0;

        if (c->pos == c->len) {
            f->first = c->next;
            free(c);
        }

        if (p->edge->rule.mode == PX_BYTEWISE
            && (p->edge->rule.dirs & (1u << dir)))
        {
            /* a packet of its own each: let the peer read */

            return f->first ? 0 : -1;
        }
    }

    return -1;
}


/* bytes that may go now; when none, ms to wait */

static size_t
px_allowed(px_pair_t *p, unsigned dir, int *wait)
{
    uint64_t    now, burst;
    px_flow_t  *f;
    px_rule_t  *rule;

    f = &p->flow[dir];
    rule = &p->edge->rule;
    now = px_now();
    *wait = -1;

    if (px_stopped(p->edge, dir)) {
        return 0;
    }

    if (rule->mode == PX_DELAY && f->first->due > now) {
        *wait = (int) (f->first->due - now);
        return 0;
    }

    if (!(rule->dirs & (1u << dir))) {
        return SIZE_MAX;
    }

    if (rule->mode == PX_BYTEWISE) {
        return 1;
    }

    if (rule->mode != PX_THROTTLE) {
        return SIZE_MAX;
    }

    burst = (rule->rate / 20 + 1) * 1000;
    f->tokens += (now - f->filled) * rule->rate;
    f->tokens = f->tokens < burst ? f->tokens : burst;
    f->filled = now;

    if (f->tokens < 1000) {
        *wait = PX_WAIT;
        return 0;
    }

    return f->tokens / 1000;
}


static void
px_drop(px_flow_t *f)
{
    px_chunk_t  *c;

    while (f->first) {
        c = f->first;
        f->first = c->next;
        free(c);
    }

    f->queued = 0;
}


static int
px_sooner(int a, int b)
{
    if (a == -1 || b == -1) {
        return a > b ? a : b;
    }

    return a < b ? a : b;
}


static void
px_interest(px_pair_t *p)
{
    uint32_t    mask;
    unsigned    side;
    px_flow_t  *in, *out;
    px_sock_t  *s;

    for (side = 0; side < 2; side++) {
        s = &p->sock[side];
        in = &p->flow[side];
        out = &p->flow[!side];

        if (s->fd == -1) {
            continue;
        }

        mask = 0;

        if (!p->cut && !in->eof && in->queued <= PX_QUEUE
            && !px_stopped(p->edge, side) && !s->connecting)
        {
            mask |= EPOLLIN;
        }

        if (s->connecting
            || (out->first && !px_stopped(p->edge, !side)
                && p->edge->rule.mode != PX_DELAY
                && p->edge->rule.mode != PX_THROTTLE
                && p->edge->rule.mode != PX_BYTEWISE))
        {
            mask |= EPOLLOUT;
        }

        px_watch(s, mask);
    }
}


void
px_pair_end(px_pair_t *p, int rst)
{
    unsigned       side;
    struct linger  linger;

    if (p->dead) {
        return;
    }

    p->dead = 1;

    for (side = 0; side < 2; side++) {

        if (p->sock[side].fd == -1) {
            continue;
        }

        px_watch(&p->sock[side], 0);

        if (rst) {
            linger.l_onoff = 1;
            linger.l_linger = 0;
            (void) setsockopt(p->sock[side].fd, SOL_SOCKET, SO_LINGER,
                              &linger, sizeof(struct linger));
        }

        close(p->sock[side].fd);
        p->sock[side].fd = -1;
    }
}


void
px_pair_free(px_pair_t *p)
{
    if (p->prev) {
        p->prev->next = p->next;
    } else {
        p->edge->pairs = p->next;
    }

    if (p->next) {
        p->next->prev = p->prev;
    }

    px_drop(&p->flow[0]);
    px_drop(&p->flow[1]);
    free(p->marks);
    free(p);
}


/* splitmix64 */

static uint64_t
px_random(px_rule_t *rule)
{
    uint64_t  z;

    z = (rule->random += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;

    return z ^ (z >> 31);
}
