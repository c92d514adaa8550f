
/*
 * Copyright (C) Rush
 *
 * A growing byte buffer and a JSON writer on top of it.  Memory comes from
 * malloc(); after a failed allocation "failed" is set, later calls do nothing
 * and the owner checks once at the end.  Zero-filled is a valid empty buffer.
 *
 * The writer puts commas by itself: a value that follows a value or a closing
 * bracket gets one.  A NULL key means an element of an array (or the root).
 * Strings are escaped as RFC 8259 asks; their bytes must be valid UTF-8
 * (bad bytes are written as U+FFFD).  64-bit ids are written as strings,
 * because JavaScript keeps 53 bits.
 */


#ifndef _RUSH_BUF_H_INCLUDED_
#define _RUSH_BUF_H_INCLUDED_


#include "rush_base.h"


typedef struct {
    unsigned char   *data;
    size_t           len;
    size_t           size;
    unsigned         failed:1;
} rush_buf_t;


void rush_buf_free(rush_buf_t *b);
void rush_buf_wipe(rush_buf_t *b);          /* a secret: frees it, too */
void rush_buf_reset(rush_buf_t *b);         /* keeps the memory */
void rush_buf_add(rush_buf_t *b, const void *data, size_t len);
void rush_buf_puts(rush_buf_t *b, const char *text);
void rush_buf_printf(rush_buf_t *b, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

void rush_json_open(rush_buf_t *b, const char *key, char bracket);  /* { or [ */
void rush_json_close(rush_buf_t *b, char bracket);                  /* } or ] */
void rush_json_str(rush_buf_t *b, const char *key, const rush_str_t *s);
void rush_json_text(rush_buf_t *b, const char *key, const char *text);
void rush_json_int(rush_buf_t *b, const char *key, int64_t v);
void rush_json_id(rush_buf_t *b, const char *key, int64_t v);     /* "123" */
void rush_json_bool(rush_buf_t *b, const char *key, int v);
void rush_json_null(rush_buf_t *b, const char *key);
void rush_json_time(rush_buf_t *b, const char *key, int64_t ms);  /* RFC 3339,
                                            UTC with ms; 0 is written null */
void rush_json_raw(rush_buf_t *b, const char *key, const void *json,
    size_t len);                                /* already valid JSON */


#endif /* _RUSH_BUF_H_INCLUDED_ */
