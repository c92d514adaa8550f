
/*
 * Copyright (C) Rush
 *
 * Types that nginx modules and the consumer share.  No nginx header is
 * included here; rush_str_t has the layout of ngx_str_t (checked by a static
 * assertion in ngx_rush.h), so a pointer to one serves as the other.
 */


#ifndef _RUSH_BASE_H_INCLUDED_
#define _RUSH_BASE_H_INCLUDED_


#include <stddef.h>
#include <stdint.h>
#include <string.h>


#define RUSH_VERSION  "0.1.0"

#define RUSH_OK        0
#define RUSH_ERROR   (-1)
#define RUSH_UNSURE  (-9)               /* it could not be found out: memory */


typedef struct {
    size_t           len;
    unsigned char   *data;              /* not NUL-terminated */
} rush_str_t;

#define rush_string(s)  { sizeof(s) - 1, (unsigned char *) s }


/* one SQL statement, made from "-- name:" blocks by tools/embed.pl */

typedef struct {
    const char      *name;
    const char      *text;
    size_t           len;               /* of text */
    unsigned         params;            /* number of "?" */
} rush_stmt_t;


/* one Lua script, made from lua/<name>.lua by tools/embed.pl */

typedef struct {
    const char      *name;
    const char      *text;
    size_t           len;
} rush_script_t;


#endif /* _RUSH_BASE_H_INCLUDED_ */
