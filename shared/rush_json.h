
/*
 * Copyright (C) Rush
 *
 * A pull reader of JSON (RFC 8259), strict and without allocation.  Private
 * to rush_field.c and rush_jwt.c; the writer is in rush_buf.h.
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
    struct {
        unsigned     array;             /* 0: an object */
        unsigned     first;             /* its first name in keys[] */
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


#endif /* _RUSH_JSON_H_INCLUDED_ */
