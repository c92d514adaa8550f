
/*
 * Copyright (C) Rush
 */


#include <errno.h>
#include <sys/random.h>

#include "rush_trace.h"


#define RUSH_TRACEPARENT_LEN  55        /* of version 00 */
#define RUSH_TRACE_SAMPLED    0x01
#define RUSH_TRACE_RANDOM     0x02

#define rush_rotl(x, k)  (((x) << (k)) | ((x) >> (64 - (k))))


static int rush_trace_hex(const unsigned char *p, size_t n, unsigned *value);
static unsigned char *rush_trace_put(unsigned char *p, uint64_t v);


/* the value of a lower-case hex digit plus 1, 0 for any other byte */

static const unsigned char  rush_trace_digit[256] = {
    ['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,
    ['6'] = 7,  ['7'] = 8,  ['8'] = 9,  ['9'] = 10, ['a'] = 11, ['b'] = 12,
    ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16
};


/* two hex digits of each byte */

#define H1(a)  a "0" a "1" a "2" a "3" a "4" a "5" a "6" a "7"                \
               a "8" a "9" a "a" a "b" a "c" a "d" a "e" a "f"

static const char  rush_trace_pair[] =
    H1("0") H1("1") H1("2") H1("3") H1("4") H1("5") H1("6") H1("7")
    H1("8") H1("9") H1("a") H1("b") H1("c") H1("d") H1("e") H1("f");

#undef H1


int
rush_random_init(rush_random_t *rnd)
{
    ssize_t         n;
    size_t          done;
    unsigned char  *p;

    p = (unsigned char *) rnd->s;

    for (done = 0; done < sizeof(rnd->s); done += (size_t) n) {

        n = getrandom(p + done, sizeof(rnd->s) - done, 0);

        if (n < 0) {
            if (errno == EINTR) {
                n = 0;
                continue;
            }

            return RUSH_ERROR;
        }
    }

    /* the one state that xoshiro never leaves */

    if ((rnd->s[0] | rnd->s[1] | rnd->s[2] | rnd->s[3]) == 0) {
        rnd->s[0] = 1;
    }

    return RUSH_OK;
}


/* xoshiro256** 1.0, https://prng.di.unimi.it/xoshiro256starstar.c */

uint64_t
rush_random_next(rush_random_t *rnd)
{
    uint64_t  r, t, *s;

    s = rnd->s;
    r = rush_rotl(s[1] * 5, 7) * 9;
    t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rush_rotl(s[3], 45);

    return r;
}


/*
 * version "-" trace-id "-" parent-id "-" flags.  Version 00 ends there; a
 * later one may go on after one more dash; ff is not a version.
 */

int
rush_trace_parse(rush_trace_t *trace, const unsigned char *p, size_t len)
{
    unsigned  version, flags, unused;

    while (len != 0 && (*p == ' ' || *p == '\t')) {
        p++;
        len--;
    }

    while (len != 0 && (p[len - 1] == ' ' || p[len - 1] == '\t')) {
        len--;
    }

    if (len < RUSH_TRACEPARENT_LEN
        || p[2] != '-' || p[35] != '-' || p[52] != '-'
        || rush_trace_hex(p, 2, &version) != RUSH_OK
        || rush_trace_hex(p + 53, 2, &flags) != RUSH_OK)
    {
        return RUSH_ERROR;
    }

    if (version == 0xff) {
        return RUSH_ERROR;
    }

    if (len > RUSH_TRACEPARENT_LEN
        && (version == 0 || p[RUSH_TRACEPARENT_LEN] != '-'))
    {
        return RUSH_ERROR;
    }

    if (rush_trace_hex(p + 3, RUSH_TRACE_LEN, &unused) != RUSH_OK
        || memcmp(p + 3, "00000000000000000000000000000000", 32) == 0
        || rush_trace_hex(p + 36, 16, &unused) != RUSH_OK
        || memcmp(p + 36, "0000000000000000", 16) == 0)
    {
        return RUSH_ERROR;
    }

    memcpy(trace->id, p + 3, RUSH_TRACE_LEN);
    trace->flags = flags & (RUSH_TRACE_SAMPLED|RUSH_TRACE_RANDOM);

    return RUSH_OK;
}


/* *value holds the last digits that fit */

static int
rush_trace_hex(const unsigned char *p, size_t n, unsigned *value)
{
    size_t    i;
    unsigned  d, v;

    v = 0;

    for (i = 0; i < n; i++) {

        d = rush_trace_digit[p[i]];
        if (d == 0) {
            return RUSH_ERROR;
        }

        v = v << 4 | (d - 1);
    }

    *value = v;

    return RUSH_OK;
}


void
rush_trace_new(rush_trace_t *trace, rush_random_t *rnd)
{
    uint64_t        a, b;
    unsigned char  *p;

    do {
        a = rush_random_next(rnd);
        b = rush_random_next(rnd);
    } while ((a | b) == 0);

    p = rush_trace_put(trace->id, a);
    (void) rush_trace_put(p, b);        /* the end is of no interest */

    trace->flags = RUSH_TRACE_RANDOM;
}


static unsigned char *
rush_trace_put(unsigned char *p, uint64_t v)
{
    int  i;

    for (i = 56; i >= 0; i -= 8) {
        memcpy(p, rush_trace_pair + 2 * (v >> i & 0xff), 2);
        p += 2;
    }

    return p;
}
