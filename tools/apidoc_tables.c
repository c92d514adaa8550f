
/*
 * Copyright (C) Rush
 *
 * The tables of the source, as data.
 */


#include "apidoc.h"

#include "ngx_rush_api.h"
#include "ngx_user_api.h"
#include "ngx_seckill_api.h"

/* the list of counters without what needs nginx */
#define _NGX_RUSH_SHM_H_INCLUDED_
typedef uintptr_t  ngx_uint_t;
#include "ngx_rush_counters.h"


#define FIELD(route, member, type, place, req, lo, hi, text)                  \
    { #member, #type, #place, req, lo, hi, text },
#define MEMBER(name, type, always, text)  { #name, #type, always, text },
#define ERROR_INDEX(name)  RUSH_I_##name,

#define TABLES(X, x, name)                                                    \
    static const field_t  x##_##name##_fields[] = {                           \
        X##_FIELDS_##name(FIELD) { NULL, NULL, NULL, 0, 0, 0, NULL } };       \
    static const int  x##_##name##_errors[] = {                               \
        X##_ERRORS_##name(ERROR_INDEX) -1 };

#define ROUTE(x, name, method, path, auth, limit, flags, shape, schema, text) \
    { #x, #name, #method, path, ENUM_##auth, #limit, #flags, #shape,          \
      #x "_" #schema, text, x##_##name##_fields, x##_##name##_errors },

#define R_RUSH(x, name, m, p, a, l, f, sh, sc, t)  TABLES(NGX_RUSH, x, name)
#define R_USER(x, name, m, p, a, l, f, sh, sc, t)  TABLES(NGX_USER, x, name)
#define R_SECKILL(x, name, m, p, a, l, f, sh, sc, t)                          \
    TABLES(NGX_SECKILL, x, name)

NGX_RUSH_ROUTES(R_RUSH)
NGX_USER_ROUTES(R_USER)
NGX_SECKILL_ROUTES(R_SECKILL)


const route_t  routes[] = {
    NGX_RUSH_ROUTES(ROUTE)
    NGX_USER_ROUTES(ROUTE)
    NGX_SECKILL_ROUTES(ROUTE)
};


#define S_RUSH(name)                                                          \
    static const member_t  rush_schema_##name[] = {                           \
        NGX_RUSH_SCHEMA_##name(MEMBER) { NULL, NULL, 0, NULL } };
#define S_USER(name)                                                          \
    static const member_t  user_schema_##name[] = {                           \
        NGX_USER_SCHEMA_##name(MEMBER) { NULL, NULL, 0, NULL } };
#define S_SECKILL(name)                                                       \
    static const member_t  seckill_schema_##name[] = {                        \
        NGX_SECKILL_SCHEMA_##name(MEMBER) { NULL, NULL, 0, NULL } };

NGX_RUSH_SCHEMAS(S_RUSH)
NGX_USER_SCHEMAS(S_USER)
NGX_SECKILL_SCHEMAS(S_SECKILL)

#define S_RUSH_ROW(name)     { "rush_" #name, rush_schema_##name },
#define S_USER_ROW(name)     { "user_" #name, user_schema_##name },
#define S_SECKILL_ROW(name)  { "seckill_" #name, seckill_schema_##name },

const schema_t  schemas[] = {
    NGX_RUSH_SCHEMAS(S_RUSH_ROW)
    NGX_USER_SCHEMAS(S_USER_ROW)
    NGX_SECKILL_SCHEMAS(S_SECKILL_ROW)
};


const error_t  errors[] = {
#define ERROR_ROW(name, code, http, text)  { #name, code, http, text },
    RUSH_ERRORS(ERROR_ROW)
#undef ERROR_ROW
};


const counter_t  counters[] = {
#define COUNTER_ROW(NAME, name, type, help)  { #name, help },
    NGX_RUSH_COUNTERS(COUNTER_ROW)
#undef COUNTER_ROW
};


const size_t  nroutes = sizeof(routes) / sizeof(routes[0]);
const size_t  nschemas = sizeof(schemas) / sizeof(schemas[0]);
const size_t  ncounters = sizeof(counters) / sizeof(counters[0]);
