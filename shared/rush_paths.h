
/*
 * Copyright (C) Rush
 *
 * Objects that others define: a few members, some of them inside of others,
 * are read into a zeroed struct by rows of {path, type, bound, offset}; all
 * else is only checked to be JSON (strictly, as in rush_json.h, but with any
 * number of names).  A member that is read may be there once only, and so may
 * each object on its path.  null counts as absent, arrays are not entered.
 *
 *   ID     string of printable ASCII without blank, '"', '\', '&', '='
 *   STR    string without control characters
 *   TEXT   any string
 *   INT    0 to max, written as digits -> int64_t
 *   TIME   string, RFC 3339 -> int64_t, ms
 *   YUAN   string, an amount of Alipay -> int64_t, fen; "" is absent
 *   CHINA  string, a time of Alipay -> int64_t, ms; "" is absent
 *
 * Strings are rush_str_t, at most max bytes, borrowed from the JSON, which is
 * decoded in place.
 */


#ifndef _RUSH_PATHS_H_INCLUDED_
#define _RUSH_PATHS_H_INCLUDED_


#include "rush_json.h"


#define RUSH_PATHS_MAX  32              /* rows of a table */
#define RUSH_PATH_MAX   64              /* bytes of a path */


typedef enum {
    RUSH_P_ID = 0,
    RUSH_P_STR,
    RUSH_P_TEXT,
    RUSH_P_INT,
    RUSH_P_TIME,
    RUSH_P_YUAN,
    RUSH_P_CHINA
} rush_path_e;


typedef struct {
    const char      *path;              /* "amount.total" */
    rush_path_e      type;
    int64_t          max;
    size_t           offset;            /* in the struct */
} rush_path_t;


/* *err is a static sentence when RUSH_ERROR is returned */

int rush_paths(const rush_path_t *rows, unsigned n, void *dst,
    unsigned char *json, size_t len, const char **err);

/* the same for an object inside, whose "{" was the last token */
int rush_paths_object(const rush_path_t *rows, unsigned n, void *dst,
    rush_reader_t *j, const char **err);


#endif /* _RUSH_PATHS_H_INCLUDED_ */
