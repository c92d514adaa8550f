
/*
 * Copyright (C) Rush
 *
 * What the proxy is told: lines, each answered by one line on stdout, "ok ..."
 * or "error ...".
 *
 *   edge NAME KIND LISTEN TO      KIND redis, mysql or http; addresses are
 *                                 paths of sockets or 127.0.0.1:port
 *   rule NAME pass
 *   rule NAME refuse              connections end, new ones are refused
 *   rule NAME reset               the same by RST
 *   rule NAME blackhole [dir=up|down|both] [lose=1]
 *                                 nothing moves; held bytes arrive after it,
 *                                 lose=1: connections with such bytes end
 *   rule NAME delay ms=N [jitter=N] [dir=]
 *   rule NAME throttle rate=N [dir=]          bytes a second
 *   rule NAME bytewise [dir=]
 *   rule NAME cut where=request|before|inside|after [nth=N] [times=N]
 *        [byte=K] [match=TEXT] [rst=1]
 *                                 the connection of each N-th request that
 *                                 contains TEXT ends: after byte K of the
 *                                 request, before its reply, after byte K of
 *                                 it, after all of it; times times
 *   counts NAME                   ok key=value ...
 *   close NAME
 */


#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "proxy.h"


#define PX_WORDS   16


static void px_order(char *line);
static const char *px_order_edge(char **w);
static const char *px_order_rule(px_edge_t *e, char **w, int n);
static const char *px_rule_arg(px_rule_t *rule, char *arg);
static const char *px_rule_number(px_rule_t *rule, const char *name,
    const char *v);
static void px_rule_set(px_edge_t *e, const px_rule_t *rule);
static int px_has_held(px_pair_t *p);
static void px_counts(px_edge_t *e);
static void px_close(px_edge_t *e);
static px_edge_t *px_edge(const char *name);


static const char *px_names[PX_HITS] = {
    "pass", "refuse", "reset", "blackhole", "delay", "throttle", "bytewise",
    NULL, "cut_request", "cut_before", "cut_inside", "cut_after"
};

static char        px_in[4096];
static size_t      px_in_len;


int
px_orders(void)
{
    char     *eol;
    size_t    used;
    ssize_t   n;

    n = read(0, px_in + px_in_len, sizeof(px_in) - px_in_len - 1);

    if (n <= 0) {
        return n == -1 && (errno == EINTR || errno == EAGAIN) ? 0 : -1;
    }

    px_in_len += (size_t) n;
    px_in[px_in_len] = '\0';

    for ( ;; ) {
        eol = strchr(px_in, '\n');
        if (eol == NULL) {
            return px_in_len == sizeof(px_in) - 1 ? -1 : 0;
        }

        *eol = '\0';
        px_order(px_in);
        fflush(stdout);

        used = (size_t) (eol + 1 - px_in);
        px_in_len -= used;
        memmove(px_in, eol + 1, px_in_len + 1);
    }
}


static void
px_order(char *line)
{
    int          n;
    char        *w[PX_WORDS], *p;
    px_edge_t   *e;
    const char  *error;

    for (n = 0, p = line; n < PX_WORDS && *p; n++) {
        w[n] = p;
        p += strcspn(p, " ");

        if (*p) {
            *p++ = '\0';
        }
    }

    e = n > 1 ? px_edge(w[1]) : NULL;

    if (n == 5 && strcmp(w[0], "edge") == 0) {
        error = e ? "exists" : px_order_edge(w);

    } else if (e == NULL) {
        error = "no such edge";

    } else if (n > 2 && strcmp(w[0], "rule") == 0) {
        error = px_order_rule(e, w, n);

    } else if (n == 2 && strcmp(w[0], "counts") == 0) {
        px_counts(e);
        return;

    } else if (n == 2 && strcmp(w[0], "close") == 0) {
        px_close(e);
        error = NULL;

    } else {
        error = "no such order";
    }

    printf(error ? "error %s\n" : "ok\n", error);
}


static px_edge_t *
px_edge(const char *name)
{
    px_edge_t  *e;

    for (e = px_edges; e; e = e->next) {
        if (strcmp(e->name, name) == 0) {
            return e;
        }
    }

    return NULL;
}


static const char *
px_order_edge(char **w)
{
    px_edge_t  *e;

    if (strlen(w[1]) >= sizeof(e->name) || strlen(w[3]) >= sizeof(e->listen)
        || strlen(w[4]) >= sizeof(e->to))
    {
        return "too long";
    }

    e = calloc(1, sizeof(px_edge_t));
    if (e == NULL) {
        return "no memory";
    }

    memcpy(e->name, w[1], strlen(w[1]));
    memcpy(e->listen, w[3], strlen(w[3]));
    memcpy(e->to, w[4], strlen(w[4]));
    e->redis = strcmp(w[2], "redis") == 0;
    e->sock.fd = -1;

    if (px_listen(e) == -1) {
        free(e);
        return strerror(errno);
    }

    e->next = px_edges;
    px_edges = e;

    return NULL;
}


static const char *
px_order_rule(px_edge_t *e, char **w, int n)
{
    int          i;
    px_rule_t    rule;
    const char  *error;

    memset(&rule, 0, sizeof(px_rule_t));
    rule.dirs = (1u << PX_UP) | (1u << PX_DOWN);
    rule.nth = 1;
    rule.times = 1;
    rule.where = PX_CUT_BEFORE;

    if (strcmp(w[2], "cut") == 0) {
        rule.mode = PX_CUT;

    } else {
        for (i = 0; i < PX_CUT && strcmp(w[2], px_names[i]) != 0; i++) {
            /* void */
        }

        if (i == PX_CUT) {
            return "no such rule";
        }

        rule.mode = (px_mode_e) i;
    }

    for (i = 3; i < n; i++) {
        error = px_rule_arg(&rule, w[i]);
        if (error) {
            return error;
        }
    }

    if (rule.nth == 0 || (rule.mode == PX_THROTTLE && rule.rate == 0)) {
        return "must not be 0";
    }

    px_rule_set(e, &rule);

    if (rule.mode != PX_REFUSE && px_listen(e) == -1) {
        return strerror(errno);
    }

    return NULL;
}


static const char *
px_rule_arg(px_rule_t *rule, char *arg)
{
    int    i;
    char  *v;

    v = strchr(arg, '=');
    if (v == NULL) {
        return "name=value is needed";
    }

    *v++ = '\0';

    if (strcmp(arg, "match") == 0 && strlen(v) < sizeof(rule->match)) {
        memcpy(rule->match, v, strlen(v) + 1);
        return NULL;
    }

    if (strcmp(arg, "dir") == 0) {
        rule->dirs = strcmp(v, "up") == 0 ? 1u << PX_UP
                     : strcmp(v, "down") == 0 ? 1u << PX_DOWN : 3u;
        return NULL;
    }

    for (i = PX_CUT_REQUEST; strcmp(arg, "where") == 0 && i < PX_HITS; i++) {
        if (strcmp(v, px_names[i] + 4) == 0) {
            rule->where = (px_where_e) i;
            return NULL;
        }
    }

    return px_rule_number(rule, arg, v);
}


static const char *
px_rule_number(px_rule_t *rule, const char *name, const char *v)
{
    char    *end;
    size_t   i;

    const struct {
        const char  *name;
        uint64_t    *at;
    } numbers[] = {
        { "nth", &rule->nth },
        { "times", &rule->times },
        { "byte", &rule->byte },
        { "ms", &rule->ms },
        { "jitter", &rule->jitter },
        { "rate", &rule->rate },
        { "seed", &rule->random },
        { "lose", &rule->lose },
        { "rst", &rule->rst }
    };

    for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        if (strcmp(name, numbers[i].name) == 0) {
            *numbers[i].at = strtoull(v, &end, 10);
            return end == v || *end ? "a number is needed" : NULL;
        }
    }

    return "no such setting";
}


static void
px_rule_set(px_edge_t *e, const px_rule_t *rule)
{
    int         end, lose;
    px_pair_t  *p;

    lose = e->rule.mode == PX_BLACKHOLE && e->rule.lose;
    end = rule->mode == PX_REFUSE || rule->mode == PX_RESET;

    if (rule->mode == PX_REFUSE) {
        px_deaf(e);
        e->hits[PX_REFUSE]++;
    }

    for (p = e->pairs; p; p = p->next) {

        if (end || rule->mode == PX_BLACKHOLE) {
            e->hits[rule->mode]++;
        }

        if (end || (lose && px_has_held(p))) {
            px_pair_end(p, rule->mode != PX_REFUSE);
        }
    }

    e->rule = *rule;
}


static int
px_has_held(px_pair_t *p)
{
    int       n;
    unsigned  side;

    for (side = 0; side < 2; side++) {

        if (p->flow[side].first) {
            return 1;
        }

        if (p->sock[side].fd != -1
            && ioctl(p->sock[side].fd, FIONREAD, &n) == 0 && n > 0)
        {
            return 1;
        }
    }

    return 0;
}


static void
px_counts(px_edge_t *e)
{
    int         i, n;
    px_pair_t  *p;

    for (n = 0, p = e->pairs; p; p = p->next) {
        n++;
    }

    printf("ok conns=%llu open=%d up=%llu down=%llu",
           (unsigned long long) e->conns, n,
           (unsigned long long) e->bytes[PX_UP],
           (unsigned long long) e->bytes[PX_DOWN]);

    for (i = PX_REFUSE; i < PX_HITS; i++) {
        if (px_names[i]) {
            printf(" %s=%llu", px_names[i],
                   (unsigned long long) e->hits[i]);
        }
    }

    printf("\n");
}


static void
px_close(px_edge_t *e)
{
    px_pair_t   *p;
    px_edge_t  **at;

    px_deaf(e);

    if (e->listen[0] == '/') {
        (void) unlink(e->listen);
    }

    for (p = e->pairs; p; p = e->pairs) {
        px_pair_end(p, 0);
        px_pair_free(p);
    }

    for (at = &px_edges; *at != e; at = &(*at)->next) {
        /* void */
    }

    *at = e->next;
    free(e);
}
