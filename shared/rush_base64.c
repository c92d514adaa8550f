
/*
 * Copyright (C) Rush
 *
 * base64url of RFC 4648, section 5, without padding; base64 of section 4 with
 * padding is the same in other letters.
 */


#include "rush_jwt.h"
#include "rush_rsa.h"


/* an index into the alphabet, or -1: a bad byte makes a whole group < 0 */

#define X  -1

static const int32_t  rush_base64_value[256] = {
    X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X,
    X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X,
    X, X, X, X, X, X, X, X, X, X, X, X, X, 62, X, X,
    52, 53, 54, 55, 56, 57, 58, 59, 60, 61, X, X, X, X, X, X,
    X, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14,
    15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, X, X, X, X, 63,
    X, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40,
    41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, X, X, X, X, X,
    X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X,
    X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X,
    X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X,
    X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X,
    X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X,
    X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X,
    X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X,
    X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X
};

#undef X


static const unsigned char  rush_base64_digit[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";


/*
 * The shifts are done unsigned; -1 keeps bit 31 through each of them, as
 * values have 6 bits and the largest shift is 18.
 */

#define rush_base64_bits(c, shift)                                            \
    ((uint32_t) rush_base64_value[c] << (shift))


long
rush_base64url_decode(unsigned char *dst, const unsigned char *src,
    size_t len)
{
    size_t          n;
    uint32_t        v, bad;
    unsigned char  *start;

    start = dst;
    bad = 0;

    for (n = len / 4; n > 0; n--) {
        v = rush_base64_bits(src[0], 18) | rush_base64_bits(src[1], 12)
            | rush_base64_bits(src[2], 6) | rush_base64_bits(src[3], 0);

        bad |= v;

        dst[0] = (unsigned char) (v >> 16);
        dst[1] = (unsigned char) (v >> 8);
        dst[2] = (unsigned char) v;

        src += 4;
        dst += 3;
    }

    /* the bits that are left over must be zero */

    switch (len % 4) {

    case 1:
        return -1;

    case 2:
        v = rush_base64_bits(src[0], 6) | rush_base64_bits(src[1], 0);
        bad |= v;

        if (v & 0xf) {
            return -1;
        }

        *dst++ = (unsigned char) (v >> 4);
        break;

    case 3:
        v = rush_base64_bits(src[0], 12) | rush_base64_bits(src[1], 6)
            | rush_base64_bits(src[2], 0);
        bad |= v;

        if (v & 0x3) {
            return -1;
        }

        *dst++ = (unsigned char) (v >> 10);
        *dst++ = (unsigned char) (v >> 2);
        break;
    }

    if (bad >> 31) {
        return -1;
    }

    return (long) (dst - start);
}


size_t
rush_base64url_encode(unsigned char *dst, const unsigned char *src,
    size_t len)
{
    uint32_t        v;
    unsigned char  *start;

    for (start = dst; len > 2; len -= 3, src += 3) {
        v = (uint32_t) src[0] << 16 | (uint32_t) src[1] << 8 | src[2];

        *dst++ = rush_base64_digit[v >> 18];
        *dst++ = rush_base64_digit[v >> 12 & 0x3f];
        *dst++ = rush_base64_digit[v >> 6 & 0x3f];
        *dst++ = rush_base64_digit[v & 0x3f];
    }

    if (len == 2) {
        v = (uint32_t) src[0] << 8 | src[1];

        *dst++ = rush_base64_digit[v >> 10];
        *dst++ = rush_base64_digit[v >> 4 & 0x3f];
        *dst++ = rush_base64_digit[v << 2 & 0x3f];

    } else if (len == 1) {
        *dst++ = rush_base64_digit[src[0] >> 2];
        *dst++ = rush_base64_digit[src[0] << 4 & 0x3f];
    }

    return (size_t) (dst - start);
}


/*
 * In place the reader is never ahead of itself: each group of 4 is turned into
 * the other letters before it becomes 3 bytes at or before its place.
 */

long
rush_base64_decode(unsigned char *dst, const unsigned char *src, size_t len)
{
    long            n, total;
    size_t          i, group;
    unsigned char   c, text[4];

    if (len % 4 != 0) {
        return -1;
    }

    for (total = 0; len > 0; src += 4, len -= 4) {

        for (group = 0; group < 4 && src[group] != '='; group++) {
            /* void */
        }

        if (group < 4
            && (len != 4 || group < 2 || (group == 2 && src[3] != '=')))
        {
            return -1;
        }

        for (i = 0; i < group; i++) {
            c = src[i];

            if (c == '-' || c == '_') {
                return -1;
            }

            text[i] = (c == '+') ? '-' : (c == '/') ? '_' : c;
        }

        n = rush_base64url_decode(dst, text, group);

        if (n < 0) {
            return -1;
        }

        dst += n;
        total += n;
    }

    return total;
}


size_t
rush_base64_encode(unsigned char *dst, const unsigned char *src, size_t len)
{
    size_t  i, n;

    n = rush_base64url_encode(dst, src, len);

    for (i = 0; i < n; i++) {
        dst[i] = (dst[i] == '-') ? '+' : (dst[i] == '_') ? '/' : dst[i];
    }

    while (n % 4 != 0) {
        dst[n++] = '=';
    }

    return n;
}
