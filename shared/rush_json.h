
/*
 * Copyright (C) Rush
 *
 * A pull reader of JSON (RFC 8259), strict and without allocation.  Private
 * to rush_field.c and rush_jwt_verify.c; the writer is in rush_buf.h.
 *
 * The input is one object.  Each call of rush_reader_next() gives one token;
 * strings are decoded in place, so the input must be writable.  Duplicate
 * names within an object (compared after decoding), NUL, lone surrogates and
 * invalid UTF-8 are errors, as are more than RUSH_JSON_MAX_KEYS names in all
 * or more than RUSH_JSON_MAX_DEPTH levels.  After an error the reader must
 * not be called again.
 */


#ifndef _RUSH_JSON_H_INCLUDED_
#define _RUSH_JSON_H_INCLUDED_


#include "rush_field.h"


typedef enum {
    RUSH_J_ERROR = 0,                   /* j->error tells why */
    RUSH_J_OBJECT,
    RUSH_J_ARRAY,
    RUSH_J_CLOSE,                       /* of the innermost of both */
    RUSH_J_KEY,                         /* j->text, its value comes next */
    RUSH_J_STRING,                      /* j->text */
    RUSH_J_NUMBER,                      /* j->text, as it was written */
    RUSH_J_TRUE,
    RUSH_J_FALSE,
    RUSH_J_NULL,
    RUSH_J_END                          /* only blanks were left */
} rush_token_e;


typedef struct {
    unsigned char   *p;
    unsigned char   *last;
    rush_str_t       text;              /* borrowed from the input */
    const char      *error;             /* static */
    unsigned         state;
    unsigned         depth;             /* levels open now */
    unsigned         total;             /* names seen in all */
    unsigned         nkeys;             /* names of the levels open now */
    unsigned         many:1;            /* set by the caller after init: names
                                           are not counted nor kept, and one
                                           that comes twice is its business */
    struct {
        unsigned     array;             /* 0: an object */
        unsigned     first;             /* its first name in keys[] */
        uint64_t     seen;              /* hashes of its names */
    } level[RUSH_JSON_MAX_DEPTH + 1];   /* from 1 */
    rush_str_t       keys[RUSH_JSON_MAX_KEYS];
} rush_reader_t;


void rush_reader_init(rush_reader_t *j, unsigned char *json, size_t len);
rush_token_e rush_reader_next(rush_reader_t *j);

/*
 * After the token "token" of a value: reads an object or array to its end.
 * RUSH_ERROR when there is an error inside.
 */
int rush_reader_skip(rush_reader_t *j, rush_token_e token);


#define RUSH_JSON_ONES   0x0101010101010101ULL
#define RUSH_JSON_HIGHS  0x8080808080808080ULL


/*
 * Index of the first byte of p[0..7] that needs a look: a quote, a backslash,
 * a control character or a part of a longer UTF-8 sequence; 8 if there is
 * none.  A borrow can only spoil bytes above the first true match.
 */

static inline unsigned
rush_json_plain8(const unsigned char *p)
{
    uint64_t  v, m, quote, slash;

    memcpy(&v, p, 8);

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap64(v);
#endif

    quote = v ^ (RUSH_JSON_ONES * '"');
    slash = v ^ (RUSH_JSON_ONES * '\\');

    m = (v - RUSH_JSON_ONES * 0x20) & ~v;
    m |= (quote - RUSH_JSON_ONES) & ~quote;
    m |= (slash - RUSH_JSON_ONES) & ~slash;
    m = (m | v) & RUSH_JSON_HIGHS;

    return m ? (unsigned) __builtin_ctzll(m) / 8 : 8;
}


#endif /* _RUSH_JSON_H_INCLUDED_ */
