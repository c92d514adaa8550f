
/*
 * Copyright (C) Rush
 */


#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "rush_buf.h"
#include "rush_json.h"
#include "rush_utf8.h"


#define RUSH_BUF_FIRST  256
#define RUSH_TIME_LEN   24


static unsigned char *rush_buf_room(rush_buf_t *b, size_t n);
static void rush_json_before(rush_buf_t *b, const char *key);
static void rush_json_quote(rush_buf_t *b, const unsigned char *p, size_t len);
static size_t rush_json_plain(const unsigned char *p, size_t len);
static size_t rush_json_escape(rush_buf_t *b, const unsigned char *p,
    const unsigned char *last);
static void rush_json_number(rush_buf_t *b, int64_t v, int quoted);


void
rush_buf_free(rush_buf_t *b)
{
    free(b->data);

    b->data = NULL;
    b->len = 0;
    b->size = 0;
    b->failed = 0;
}


void
rush_buf_wipe(rush_buf_t *b)
{
    if (b->data != NULL) {
        explicit_bzero(b->data, b->size);
    }

    rush_buf_free(b);
}


void
rush_buf_reset(rush_buf_t *b)
{
    b->len = 0;
    b->failed = 0;
}


void
rush_buf_add(rush_buf_t *b, const void *data, size_t len)
{
    unsigned char  *p;

    if (len == 0) {
        return;
    }

    p = rush_buf_room(b, len);
    if (p == NULL) {
        return;
    }

    memcpy(p, data, len);
    b->len += len;
}


void
rush_buf_puts(rush_buf_t *b, const char *text)
{
    rush_buf_add(b, text, strlen(text));
}


void
rush_buf_printf(rush_buf_t *b, const char *fmt, ...)
{
    int             n;
    va_list         args;
    unsigned char  *p;

    if (rush_buf_room(b, 1) == NULL) {
        return;
    }

    va_start(args, fmt);
    n = vsnprintf((char *) b->data + b->len, b->size - b->len, fmt, args);
    va_end(args);

    if (n < 0) {
        b->failed = 1;
        return;
    }

    if ((size_t) n >= b->size - b->len) {

        p = rush_buf_room(b, (size_t) n + 1);
        if (p == NULL) {
            return;
        }

        va_start(args, fmt);
        n = vsnprintf((char *) p, (size_t) n + 1, fmt, args);
        va_end(args);

        if (n < 0) {
            b->failed = 1;
            return;
        }
    }

    b->len += (size_t) n;
}


/* memory for n more bytes at the end; b->len is the caller's to move */

static unsigned char *
rush_buf_room(rush_buf_t *b, size_t n)
{
    size_t          need, size;
    unsigned char  *p;

    if (b->failed) {
        return NULL;
    }

    if (b->data != NULL && n <= b->size - b->len) {
        return b->data + b->len;
    }

    if (n > SIZE_MAX / 4 || b->len > SIZE_MAX / 4) {
        b->failed = 1;
        return NULL;
    }

    need = b->len + n;
    size = (b->size != 0) ? b->size : RUSH_BUF_FIRST;

    while (size < need) {
        size *= 2;
    }

    p = realloc(b->data, size);
    if (p == NULL) {
        b->failed = 1;
        return NULL;
    }

    b->data = p;
    b->size = size;

    return p + b->len;
}


void
rush_json_open(rush_buf_t *b, const char *key, char bracket)
{
    rush_json_before(b, key);
    rush_buf_add(b, &bracket, 1);
}


void
rush_json_close(rush_buf_t *b, char bracket)
{
    rush_buf_add(b, &bracket, 1);
}


void
rush_json_str(rush_buf_t *b, const char *key, const rush_str_t *s)
{
    if (s == NULL) {
        rush_json_null(b, key);
        return;
    }

    rush_json_before(b, key);
    rush_json_quote(b, s->data, s->len);
}


void
rush_json_text(rush_buf_t *b, const char *key, const char *text)
{
    if (text == NULL) {
        rush_json_null(b, key);
        return;
    }

    rush_json_before(b, key);
    rush_json_quote(b, (const unsigned char *) text, strlen(text));
}


void
rush_json_int(rush_buf_t *b, const char *key, int64_t v)
{
    rush_json_before(b, key);
    rush_json_number(b, v, 0);
}


void
rush_json_id(rush_buf_t *b, const char *key, int64_t v)
{
    rush_json_before(b, key);
    rush_json_number(b, v, 1);
}


void
rush_json_bool(rush_buf_t *b, const char *key, int v)
{
    rush_json_before(b, key);

    if (v) {
        rush_buf_add(b, "true", 4);

    } else {
        rush_buf_add(b, "false", 5);
    }
}


void
rush_json_null(rush_buf_t *b, const char *key)
{
    rush_json_before(b, key);
    rush_buf_add(b, "null", 4);
}


void
rush_json_time(rush_buf_t *b, const char *key, int64_t ms)
{
    unsigned char  *p;

    if (ms == 0) {
        rush_json_null(b, key);
        return;
    }

    rush_json_before(b, key);

    p = rush_buf_room(b, RUSH_TIME_LEN + 2);
    if (p == NULL) {
        return;
    }

    *p++ = '"';
    p += rush_format_time(p, ms);
    *p = '"';

    b->len += RUSH_TIME_LEN + 2;
}


void
rush_json_raw(rush_buf_t *b, const char *key, const void *json, size_t len)
{
    rush_json_before(b, key);
    rush_buf_add(b, json, len);
}


/*
 * The last byte written tells whether a comma is due: a value ends with a
 * quote, a letter, a digit or a closing bracket, never with one of these.
 */

static void
rush_json_before(rush_buf_t *b, const char *key)
{
    unsigned char  c;

    if (b->failed) {
        return;
    }

    if (b->len != 0) {
        c = b->data[b->len - 1];

        if (c != '{' && c != '[' && c != ':' && c != ',') {
            rush_buf_add(b, ",", 1);
        }
    }

    if (key != NULL) {
        rush_json_quote(b, (const unsigned char *) key, strlen(key));
        rush_buf_add(b, ":", 1);
    }
}


static void
rush_json_quote(rush_buf_t *b, const unsigned char *p, size_t len)
{
    size_t          n;
    unsigned char  *dst;

    dst = rush_buf_room(b, len + 2);    /* enough when nothing is escaped */
    if (dst == NULL) {
        return;
    }

    *dst = '"';
    b->len++;

    for ( ;; ) {
        n = rush_json_plain(p, len);
        rush_buf_add(b, p, n);

        if (n == len) {
            break;
        }

        p += n;
        len -= n;

        n = rush_json_escape(b, p, p + len);
        p += n;
        len -= n;
    }

    rush_buf_add(b, "\"", 1);
}


/* how many bytes at p need no escape */

static size_t
rush_json_plain(const unsigned char *p, size_t len)
{
    size_t  i, n;

    for (i = 0; len - i >= 8; i += 8) {

        n = rush_json_plain8(p + i);
        if (n != 8) {
            return i + n;
        }
    }

    while (i < len && p[i] >= 0x20 && p[i] < 0x80
           && p[i] != '"' && p[i] != '\\')
    {
        i++;
    }

    return i;
}


/* writes the character at p; returns how many bytes of p it took */

static size_t
rush_json_escape(rush_buf_t *b, const unsigned char *p,
    const unsigned char *last)
{
    size_t                      n;
    unsigned char               u[6];
    static const unsigned char  hex[] = "0123456789abcdef";

    if (*p >= 0x80) {

        n = rush_utf8_next(p, last);
        if (n != 0) {
            rush_buf_add(b, p, n);
            return n;
        }

        rush_buf_add(b, "\xef\xbf\xbd", 3);
        return 1;
    }

    switch (*p) {

    case '"':
        rush_buf_add(b, "\\\"", 2);
        break;

    case '\\':
        rush_buf_add(b, "\\\\", 2);
        break;

    case '\n':
        rush_buf_add(b, "\\n", 2);
        break;

    case '\r':
        rush_buf_add(b, "\\r", 2);
        break;

    case '\t':
        rush_buf_add(b, "\\t", 2);
        break;

    default:
        memcpy(u, "\\u00", 4);
        u[4] = hex[*p >> 4];
        u[5] = hex[*p & 0xf];
        rush_buf_add(b, u, 6);
        break;
    }

    return 1;
}


static void
rush_json_number(rush_buf_t *b, int64_t v, int quoted)
{
    uint64_t        n;
    unsigned char  *p, text[24];

    p = text + sizeof(text);
    n = (v < 0) ? 0 - (uint64_t) v : (uint64_t) v;

    if (quoted) {
        *--p = '"';
    }

    do {
        *--p = (unsigned char) ('0' + n % 10);
        n /= 10;
    } while (n != 0);

    if (v < 0) {
        *--p = '-';
    }

    if (quoted) {
        *--p = '"';
    }

    rush_buf_add(b, p, (size_t) (text + sizeof(text) - p));
}
