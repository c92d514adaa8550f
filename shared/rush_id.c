
/*
 * Copyright (C) Rush
 */


#include "rush_field.h"
#include "rush_id.h"


#define RUSH_ID_SEQ_BITS   12
#define RUSH_ID_NODE_BITS  10
#define RUSH_ID_MS_BITS    41


static unsigned char *rush_id_digits(unsigned char *p, uint64_t v);


int64_t
rush_id_next(volatile uint64_t *state, int64_t now_ms, unsigned node)
{
    uint64_t  old, now, next;

    if (now_ms < RUSH_ID_EPOCH || node > RUSH_ID_MAX_NODE) {
        return 0;
    }

    now = (uint64_t) (now_ms - RUSH_ID_EPOCH) << RUSH_ID_SEQ_BITS;
    old = __atomic_load_n(state, __ATOMIC_RELAXED);

    do {
        /* one more carries from the sequence into the ms */
        next = (now > old) ? now : old + 1;

        if ((next >> RUSH_ID_SEQ_BITS)
            > (now >> RUSH_ID_SEQ_BITS) + RUSH_ID_MAX_AHEAD)
        {
            return 0;
        }

    } while (!__atomic_compare_exchange_n(state, &old, next, 0,
                                          __ATOMIC_RELAXED,
                                          __ATOMIC_RELAXED));

    if (next >> (RUSH_ID_MS_BITS + RUSH_ID_SEQ_BITS)) {
        return 0;
    }

    return (int64_t) ((next >> RUSH_ID_SEQ_BITS)
                      << (RUSH_ID_NODE_BITS + RUSH_ID_SEQ_BITS)
                      | (uint64_t) node << RUSH_ID_SEQ_BITS
                      | (next & ((1 << RUSH_ID_SEQ_BITS) - 1)));
}


int64_t
rush_id_time(int64_t id)
{
    return (id >> (RUSH_ID_NODE_BITS + RUSH_ID_SEQ_BITS)) + RUSH_ID_EPOCH;
}


size_t
rush_order_no_format(unsigned char *dst, int64_t id, int64_t activity)
{
    unsigned char  *p;

    p = rush_id_digits(dst, (uint64_t) id);
    *p++ = '-';
    p = rush_id_digits(p, (uint64_t) activity);

    return (size_t) (p - dst);
}


static unsigned char *
rush_id_digits(unsigned char *p, uint64_t v)
{
    size_t          n;
    unsigned char  *last, text[20];

    last = text + sizeof(text);
    n = 0;

    do {
        *--last = (unsigned char) ('0' + v % 10);
        v /= 10;
        n++;
    } while (v != 0);

    memcpy(p, last, n);

    return p + n;
}


int
rush_order_no_parse(const unsigned char *p, size_t len, int64_t *id,
    int64_t *activity)
{
    int64_t               a, b;
    const unsigned char  *dash;

    if (len == 0 || len > RUSH_ORDER_NO_LEN) {
        return RUSH_ERROR;
    }

    dash = memchr(p, '-', len);
    if (dash == NULL) {
        return RUSH_ERROR;
    }

    if (rush_parse_u63(p, (size_t) (dash - p), &a) != RUSH_OK
        || rush_parse_u63(dash + 1, len - (size_t) (dash - p) - 1, &b)
           != RUSH_OK)
    {
        return RUSH_ERROR;
    }

    *id = a;
    *activity = b;

    return RUSH_OK;
}
