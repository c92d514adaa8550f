
/*
 * Copyright (C) Rush
 *
 * Input tables: a request is parsed into a zeroed struct by rows of
 * {name, type, place, bounds, offset}.  Nothing else reads client input.
 *
 * Values land as: INT, MONEY, ID, TIME -> int64_t; BOOL -> int64_t 0 or 1;
 * STR, TEXT, KEY, LIST -> rush_str_t, borrowed from the buffer that was parsed
 * (decoded in place, so the buffer must be writable and must outlive it).
 *
 *   INT    JSON integer written as digits (no fraction, exponent, "+",
 *          leading zero); in a path or query the same digits; min..max
 *   MONEY  as INT, in fen
 *   ID     1..2^63-1, as a JSON string of digits or as a JSON integer
 *   TIME   RFC 3339 with offset or Z -> ms since the epoch; or an integer
 *          number of ms
 *   BOOL   true, false; in a query 1, 0, true, false
 *   STR    one line of text: valid UTF-8, no control character; min..max
 *          counts characters (code points)
 *   TEXT   as STR, but LF, CR and TAB are allowed
 *   KEY    [A-Za-z0-9._:-], min..max bytes
 *   LIST   min..max short texts, in JSON an array of them; see rush_list.h
 *   SECRET as STR without NUL, min..max counts bytes (passwords, tokens)
 *
 * JSON is read strictly (RFC 8259): the whole input is one object; at most
 * RUSH_JSON_MAX_KEYS keys and RUSH_JSON_MAX_DEPTH levels; duplicate keys,
 * NUL, lone surrogates, overlong or otherwise invalid UTF-8 are refused;
 * names compare byte by byte.  Unknown members are skipped after the same
 * checks.  A JSON null counts as absent.
 */


#ifndef _RUSH_FIELD_H_INCLUDED_
#define _RUSH_FIELD_H_INCLUDED_


#include "rush_base.h"


#define RUSH_JSON_MAX_DEPTH  8
#define RUSH_JSON_MAX_KEYS   32
#define RUSH_MAX_FIELDS      32


typedef enum {
    RUSH_T_INT = 0,
    RUSH_T_MONEY,
    RUSH_T_ID,
    RUSH_T_TIME,
    RUSH_T_BOOL,
    RUSH_T_STR,
    RUSH_T_TEXT,
    RUSH_T_KEY,
    RUSH_T_SECRET,
    RUSH_T_LIST
} rush_type_e;


typedef enum {
    RUSH_IN_PATH = 0,
    RUSH_IN_QUERY,
    RUSH_IN_BODY,
    RUSH_IN_HEADER                      /* name in lower case */
} rush_place_e;


typedef struct {
    rush_str_t       name;
    rush_type_e      type;
    rush_place_e     place;
    unsigned         required;          /* 0 or 1 */
    int64_t          min;
    int64_t          max;
    size_t           offset;            /* in the struct */
} rush_field_t;


typedef struct {
    const char      *reason;            /* static text, "must be 1 to 5" is
                                           built from min and max by the
                                           caller when range is set */
    const rush_field_t  *field;         /* NULL: the body as a whole */
    unsigned         range:1;
} rush_field_error_t;


/*
 * All return RUSH_OK, or RUSH_ERROR with *err filled.  Bit i of *present is
 * set when field i was given.
 */

int rush_field_body(const rush_field_t *f, unsigned n, void *dst,
    uint64_t *present, unsigned char *json, size_t len,
    rush_field_error_t *err);

/* "a=1&b=%41+c", without "?"; an unknown name is skipped, a known one that
 * is given twice is refused */
int rush_field_query(const rush_field_t *f, unsigned n, void *dst,
    uint64_t *present, unsigned char *args, size_t len,
    rush_field_error_t *err);

/* one raw value (path segment that nginx has decoded, header) for row i */
int rush_field_value(const rush_field_t *f, unsigned i, void *dst,
    uint64_t *present, unsigned char *text, size_t len,
    rush_field_error_t *err);

/* after all places were read: RUSH_ERROR names the first missing row */
int rush_field_required(const rush_field_t *f, unsigned n, uint64_t present,
    rush_field_error_t *err);


/* digits only, no sign, no leading zero but "0" itself; RUSH_ERROR when not */
int rush_parse_u63(const unsigned char *p, size_t len, int64_t *v);

/* RFC 3339 date-time -> ms since the epoch */
int rush_parse_time(const unsigned char *p, size_t len, int64_t *ms);

/* writes 24 bytes "2026-11-21T03:04:05.678Z"; returns 24 */
size_t rush_format_time(unsigned char *dst, int64_t ms);

/* RUSH_OK when the bytes are UTF-8 as RFC 3629 defines; *chars may be NULL */
int rush_utf8_check(const unsigned char *p, size_t len, size_t *chars);


#endif /* _RUSH_FIELD_H_INCLUDED_ */
