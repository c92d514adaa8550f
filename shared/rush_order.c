
/*
 * Copyright (C) Rush
 */


#include <openssl/rand.h>

#include "rush_order.h"


#define RUSH_TRADE_ALPHABET  "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
#define RUSH_TRADE_RADIX     (sizeof(RUSH_TRADE_ALPHABET) - 1)

#define RUSH_HASH_FIRST      0xcbf29ce484222325ULL      /* FNV-1a */
#define RUSH_HASH_PRIME      0x100000001b3ULL


static uint64_t rush_order_mix(uint64_t h, const void *data, size_t len);


const char *const  rush_order_states[RUSH_ORDER_NSTATES] = {
#define RUSH_ORDER_STATE_NAME(name, n, text)  text,
    RUSH_ORDER_STATES(RUSH_ORDER_STATE_NAME)
#undef RUSH_ORDER_STATE_NAME
};


const char *const  rush_order_actors[RUSH_ORDER_NACTORS] = {
    "",
#define RUSH_ORDER_ACTOR_NAME(name, n, text)  text,
    RUSH_ORDER_ACTORS(RUSH_ORDER_ACTOR_NAME)
#undef RUSH_ORDER_ACTOR_NAME
};


unsigned
rush_order_may(int64_t from, int64_t to)
{
    size_t  i;

    static const struct {
        int       from;
        int       to;
        unsigned  actors;

    } edges[] = {
#define RUSH_ORDER_EDGE_ROW(one, two, who)                                    \
        { RUSH_ORDER_##one, RUSH_ORDER_##two, who },
        RUSH_ORDER_EDGES(RUSH_ORDER_EDGE_ROW)
#undef RUSH_ORDER_EDGE_ROW
    };

    for (i = 0; i < sizeof(edges) / sizeof(edges[0]); i++) {

        if (edges[i].from == from && edges[i].to == to) {
            return edges[i].actors;
        }
    }

    return RUSH_BY_NOBODY;
}


/* bytes above the greatest multiple of the radix would favor some letters */

int
rush_trade_code(unsigned char *dst)
{
    size_t         i, n, limit;
    unsigned char  random[2 * RUSH_TRADE_LEN];

    static const unsigned char  alphabet[] = RUSH_TRADE_ALPHABET;

    n = 0;
    limit = 256 - 256 % RUSH_TRADE_RADIX;

    while (n < RUSH_TRADE_LEN) {

        if (RAND_bytes(random, sizeof(random)) != 1) {
            return RUSH_ERROR;
        }

        for (i = 0; i < sizeof(random) && n < RUSH_TRADE_LEN; i++) {

            if (random[i] < limit) {
                dst[n++] = alphabet[random[i] % RUSH_TRADE_RADIX];
            }
        }
    }

    memset(random, 0, sizeof(random));

    return RUSH_OK;
}


int
rush_trade_code_read(unsigned char *dst, const unsigned char *p, size_t len)
{
    size_t         i, n;
    unsigned char  c;

    n = 0;

    for (i = 0; i < len; i++) {
        c = p[i];

        if (c == ' ' || c == '-') {
            continue;
        }

        if (c >= 'a' && c <= 'z') {
            c -= 'a' - 'A';
        }

        if (n == RUSH_TRADE_LEN || c == '\0'
            || strchr(RUSH_TRADE_ALPHABET, c) == NULL)
        {
            return RUSH_ERROR;
        }

        dst[n++] = c;
    }

    return n == RUSH_TRADE_LEN ? RUSH_OK : RUSH_ERROR;
}


int64_t
rush_order_hash(int64_t product, int64_t qty, int64_t address,
    const rush_str_t *remark)
{
    uint64_t  h;

    h = rush_order_mix(RUSH_HASH_FIRST, &product, sizeof(int64_t));
    h = rush_order_mix(h, &qty, sizeof(int64_t));
    h = rush_order_mix(h, &address, sizeof(int64_t));
    h = rush_order_mix(h, remark->data, remark->len);

    return (int64_t) (h >> 1);
}


static uint64_t
rush_order_mix(uint64_t h, const void *data, size_t len)
{
    size_t                i;
    const unsigned char  *p;

    p = data;

    for (i = 0; i < len; i++) {
        h = (h ^ p[i]) * RUSH_HASH_PRIME;
    }

    return h;
}
