
/*
 * Copyright (C) Rush
 *
 * What the files of apidoc share; see apidoc.c.
 */


#ifndef _APIDOC_H_INCLUDED_
#define _APIDOC_H_INCLUDED_


#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rush_base.h"
#include "rush_buf.h"
#include "rush_errors.h"
#include "rush_permissions.h"


#define ENUM_PUBLIC    0
#define ENUM_OPTIONAL  1
#define ENUM_USER      2
#define ENUM_ADMIN     3
#define ENUM_INTERNAL  4

#define ENUM_MAY(name)  (ENUM_ADMIN | RUSH_MAY_##name << 8)
#define AUTH(route)     ((route)->auth & 0xff)


typedef struct {
    const char     *name;
    const char     *type;
    const char     *place;
    int             required;
    int64_t         min;
    int64_t         max;
    const char     *text;
} field_t;


typedef struct {
    const char     *name;
    const char     *type;
    int             always;
    const char     *text;
} member_t;


typedef struct {
    const char     *name;
    const member_t *members;
} schema_t;


typedef struct {
    const char     *name;
    long            code;
    int             http;
    const char     *text;
} error_t;


typedef struct {
    const char     *module;
    const char     *name;
    const char     *method;
    const char     *path;
    int             auth;
    const char     *limit;
    const char     *flags;
    const char     *shape;
    const char     *schema;
    const char     *text;
    const field_t  *fields;
    const int      *errors;             /* indexes, -1 ends */
} route_t;


typedef struct {
    const char     *name;
    const char     *help;
} counter_t;


extern const route_t    routes[];
extern const size_t     nroutes;
extern const schema_t   schemas[];
extern const size_t     nschemas;
extern const error_t    errors[];       /* RUSH_ERROR_COUNT */
extern const counter_t  counters[];
extern const size_t     ncounters;

extern rush_buf_t       out;

void write_openapi(void);
void write_schemas(void);

void write_parameters(const route_t *route);

/* takes an Idempotency-Key that the engine reads */
int is_idempotent(const route_t *route);

/* members of a schema that is open */
void write_type(const char *type, int64_t min, int64_t max, int bounds);
void write_export(const route_t *route);


#endif /* _APIDOC_H_INCLUDED_ */
