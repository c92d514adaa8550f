
/*
 * Copyright (C) Rush
 */


#include "rush_field.h"
#include "rush_utf8.h"


#define rush_utf8_tail(c)  (((c) & 0xc0) == 0x80)


/*
 * The first byte decides the length and the range of the second byte
 * (RFC 3629, section 4); all later bytes are plain continuations.
 */

size_t
rush_utf8_next(const unsigned char *p, const unsigned char *last)
{
    size_t         n;
    unsigned char  c, low, high;

    c = p[0];
    low = 0x80;
    high = 0xbf;

    if (c < 0x80) {
        return 1;
    }

    if (c < 0xc2 || c > 0xf4) {
        return 0;
    }

    n = (c < 0xe0) ? 2 : (c < 0xf0) ? 3 : 4;

    if ((size_t) (last - p) < n) {
        return 0;
    }

    switch (c) {

    case 0xe0:
        low = 0xa0;
        break;

    case 0xed:
        high = 0x9f;
        break;

    case 0xf0:
        low = 0x90;
        break;

    case 0xf4:
        high = 0x8f;
        break;
    }

    if (p[1] < low || p[1] > high) {
        return 0;
    }

    if (n > 2 && !rush_utf8_tail(p[2])) {
        return 0;
    }

    if (n > 3 && !rush_utf8_tail(p[3])) {
        return 0;
    }

    return n;
}


int
rush_utf8_check(const unsigned char *p, size_t len, size_t *chars)
{
    size_t                n, count;
    const unsigned char  *last;

    last = (len != 0) ? p + len : p;    /* p may be NULL then */

    for (count = 0; p < last; count++) {

        if (*p < 0x80) {
            p++;
            continue;
        }

        n = rush_utf8_next(p, last);
        if (n == 0) {
            return RUSH_ERROR;
        }

        p += n;
    }

    if (chars != NULL) {
        *chars = count;
    }

    return RUSH_OK;
}
