
/*
 * Copyright (C) Rush
 *
 * Requests and replies in a stream of bytes, and which of them a cut hits.
 * Redis pipelines, so RESP is followed frame by frame.  The others take
 * turns: a reply is all that the server says until the client speaks again.
 */


#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "proxy.h"


static size_t px_scan(px_scan_t *s, const unsigned char *data, size_t n,
    int *end);
static void px_scan_line(px_scan_t *s);
static size_t px_redis_up(px_pair_t *p, const unsigned char *data, size_t n,
    int *cut);
static size_t px_redis_down(px_pair_t *p, const unsigned char *data,
    size_t n, int *cut);
static size_t px_turn_up(px_pair_t *p, const unsigned char *data, size_t n,
    int *cut);
static size_t px_turn_down(px_pair_t *p, size_t n, int *cut);
static int px_hit(px_edge_t *e, const char *head, size_t len);
static size_t px_cut(px_pair_t *p, px_where_e where, size_t n, int *cut);
static void px_mark_push(px_pair_t *p, unsigned mark);
static unsigned px_mark_pop(px_pair_t *p);


/* how many of the bytes are forwarded, and whether the pair ends then */

size_t
px_frames(px_pair_t *p, unsigned dir, const unsigned char *data, size_t n,
    int *cut)
{
    *cut = 0;

    if (p->edge->redis) {
        return dir == PX_UP ? px_redis_up(p, data, n, cut)
                            : px_redis_down(p, data, n, cut);
    }

    return dir == PX_UP ? px_turn_up(p, data, n, cut)
                        : px_turn_down(p, n, cut);
}


static size_t
px_redis_up(px_pair_t *p, const unsigned char *data, size_t n, int *cut)
{
    int         end, hit;
    size_t      at, used, keep;
    px_rule_t  *rule;
    px_scan_t  *s;

    rule = &p->edge->rule;
    s = &p->flow[PX_UP].scan;

    for (at = 0; at < n && !s->bad; at += used) {
        used = px_scan(s, data + at, n - at, &end);

        if (!end) {
            continue;
        }

        hit = px_hit(p->edge, s->head, s->head_len);

        if (hit && rule->where == PX_CUT_REQUEST) {
            keep = rule->byte < used ? rule->byte : used - 1;
            return px_cut(p, PX_CUT_REQUEST, at + keep, cut);
        }

        px_mark_push(p, hit);
    }

    return n;
}


static size_t
px_redis_down(px_pair_t *p, const unsigned char *data, size_t n, int *cut)
{
    int         end;
    size_t      at, used;
    uint64_t    before, want;
    px_rule_t  *rule;
    px_scan_t  *s;

    rule = &p->edge->rule;
    s = &p->flow[PX_DOWN].scan;

    for (at = 0; at < n && !s->bad; at += used) {

        if (s->size == 0) {
            p->mark = px_mark_pop(p);
        }

        before = s->size;
        used = px_scan(s, data + at, n - at, &end);

        if (!p->mark || rule->mode != PX_CUT) {
            continue;
        }

        if (rule->where == PX_CUT_BEFORE) {
            return px_cut(p, PX_CUT_BEFORE, at, cut);
        }

        if (rule->where == PX_CUT_AFTER && end) {
            return px_cut(p, PX_CUT_AFTER, at + used, cut);
        }

        /* really inside: the last byte never arrives */

        want = rule->byte;

        if (end && want >= before + used) {
            want = before + used - 1;
        }

        if (rule->where == PX_CUT_INSIDE && want < before + used) {
            want = want > before ? want - before : 0;
            return px_cut(p, PX_CUT_INSIDE, at + want, cut);
        }
    }

    return n;
}


static size_t
px_turn_up(px_pair_t *p, const unsigned char *data, size_t n, int *cut)
{
    px_rule_t  *rule;

    rule = &p->edge->rule;

    if (p->after) {
        return px_cut(p, PX_CUT_AFTER, 0, cut);
    }

    if (p->speaker == PX_DOWN) {
        p->speaker = PX_UP;
        p->marked = px_hit(p->edge, (const char *) data, n);
        p->spoken = 0;

        if (p->marked && rule->where == PX_CUT_REQUEST) {
            return px_cut(p, PX_CUT_REQUEST,
                          rule->byte < n ? rule->byte : n - 1, cut);
        }
    }

    return n;
}


static size_t
px_turn_down(px_pair_t *p, size_t n, int *cut)
{
    size_t      want;
    px_rule_t  *rule;

    rule = &p->edge->rule;
    p->speaker = PX_DOWN;
    p->spoken += n;

    if (!p->marked || rule->mode != PX_CUT) {
        return n;
    }

    switch (rule->where) {

    case PX_CUT_BEFORE:
        return px_cut(p, PX_CUT_BEFORE, 0, cut);

    case PX_CUT_INSIDE:
        want = rule->byte < n ? rule->byte : n - 1;
        return px_cut(p, PX_CUT_INSIDE, want, cut);

    default:
        p->after = px_now() + PX_AFTER;
        return n;
    }
}


/* counts the requests that match; 1: this one */

static int
px_hit(px_edge_t *e, const char *head, size_t len)
{
    size_t      i, m;
    px_rule_t  *rule;

    rule = &e->rule;

    if (rule->mode != PX_CUT || rule->times == 0) {
        return 0;
    }

    m = strlen(rule->match);
    len = len < 256 ? len : 256;

    for (i = 0; m && i + m <= len; i++) {
        if (strncasecmp(head + i, rule->match, m) == 0) {
            break;
        }
    }

    if (m && i + m > len) {
        return 0;
    }

    rule->seen++;

    if (rule->seen % rule->nth) {
        return 0;
    }

    rule->times--;

    return 1;
}


static size_t
px_cut(px_pair_t *p, px_where_e where, size_t n, int *cut)
{
    p->edge->hits[where]++;
    p->cut = 1;
    *cut = 1;

    return n;
}


/*
 * Consumes bytes up to the end of a frame.  Nested arrays need no stack: an
 * array of n elements is n more to come.
 */

static size_t
px_scan(px_scan_t *s, const unsigned char *data, size_t n, int *end)
{
    size_t  i, skip;

    *end = 0;

    if (s->size == 0) {
        s->todo = 1;
        s->head_len = 0;
        s->len = 0;
        s->bulk = 0;
    }

    for (i = 0; i < n; /* void */ ) {

        if (s->head_len < sizeof(s->head)) {
            s->head[s->head_len++] = (char) data[i];
        }

        if (s->bulk) {

            /* the head is filled byte by byte, the rest in one go */

            skip = s->head_len < sizeof(s->head) ? 1 : n - i;
            skip = s->bulk < skip ? s->bulk : skip;
            s->bulk -= skip;
            i += skip;
            s->size += skip;

            if (s->bulk == 0) {
                s->todo--;
            }

        } else {

            if (s->len < sizeof(s->line) - 1) {
                s->line[s->len++] = (char) data[i];
            }

            s->size++;

            if (data[i++] == '\n') {
                px_scan_line(s);
            }
        }

        if (s->bad) {
            return n;
        }

        if (s->todo == 0) {
            s->size = 0;
            *end = 1;
            return i;
        }
    }

    return n;
}


static void
px_scan_line(px_scan_t *s)
{
    long long  v;

    s->line[s->len] = '\0';
    s->len = 0;

    switch (s->line[0]) {

    case '$':
        v = strtoll(s->line + 1, NULL, 10);

        if (v >= 0) {
            s->bulk = (uint64_t) v + 2;
        } else {
            s->todo--;
        }

        break;

    case '*':
        v = strtoll(s->line + 1, NULL, 10);
        s->todo += v > 0 ? (uint64_t) v : 0;
        s->todo--;
        break;

    case '+':
    case '-':
    case ':':
        s->todo--;
        break;

    default:
        s->bad = 1;
    }
}


static void
px_mark_push(px_pair_t *p, unsigned mark)
{
    size_t          i, size;
    unsigned char  *marks;

    if (p->marks_n == p->marks_size) {
        size = p->marks_size ? p->marks_size * 2 : 64;
        marks = malloc(size);
        if (marks == NULL) {
            abort();
        }

        for (i = 0; i < p->marks_n; i++) {
            marks[i] = p->marks[(p->marks_first + i) % p->marks_size];
        }

        free(p->marks);
        p->marks = marks;
        p->marks_size = size;
        p->marks_first = 0;
    }

    p->marks[(p->marks_first + p->marks_n++) % p->marks_size] =
                                                       (unsigned char) mark;
}


static unsigned
px_mark_pop(px_pair_t *p)
{
    unsigned  mark;

    if (p->marks_n == 0) {
        return 0;
    }

    mark = p->marks[p->marks_first];
    p->marks_first = (p->marks_first + 1) % p->marks_size;
    p->marks_n--;

    return mark;
}
