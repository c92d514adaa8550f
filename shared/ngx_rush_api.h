
/*
 * Copyright (C) Rush
 *
 * Routes of the core module.  Macros only: tools/apidoc.c reads this file
 * too.  The format is described in ngx_rush.h.
 */


#ifndef _NGX_RUSH_API_H_INCLUDED_
#define _NGX_RUSH_API_H_INCLUDED_


#define NGX_RUSH_ROUTES(R)                                                    \
    R(rush, health, GET, "/health",                                           \
      PUBLIC, NONE, 0, OBJECT, health, "The process is alive")                \
    R(rush, healthz, GET, "/healthz",                                         \
      PUBLIC, NONE, 0, OBJECT, health, "The process is alive")                \
    R(rush, api_health, GET, "/api/v1/health",                                \
      PUBLIC, NONE, 0, OBJECT, health, "The process is alive")                \
    R(rush, ready, GET, "/ready",                                             \
      PUBLIC, NONE, 0, OBJECT, ready,                                         \
      "The node can sell: 503 when it cannot, with the reasons in data")      \
    R(rush, metrics, GET, "/metrics",                                         \
      INTERNAL, NONE, NGX_RUSH_RAW, NONE, none,                               \
      "Prometheus text, for peers of rush_internal")                          \
    R(rush, version, GET, "/version",                                         \
      PUBLIC, NONE, 0, OBJECT, version, "Version and build")                  \
    R(rush, api_version, GET, "/api/v1/version",                              \
      PUBLIC, NONE, 0, OBJECT, version, "Version and build")                  \
    R(rush, time, GET, "/api/v1/time",                                        \
      PUBLIC, NONE, 0, OBJECT, time, "Server time, for countdowns")           \
    R(rush, openapi, GET, "/api/v1/openapi.json",                             \
      PUBLIC, NONE, NGX_RUSH_RAW, NONE, none, "This document")


#define NGX_RUSH_FIELDS_health(F)
#define NGX_RUSH_FIELDS_healthz(F)
#define NGX_RUSH_FIELDS_api_health(F)
#define NGX_RUSH_FIELDS_ready(F)
#define NGX_RUSH_FIELDS_metrics(F)
#define NGX_RUSH_FIELDS_version(F)
#define NGX_RUSH_FIELDS_api_version(F)
#define NGX_RUSH_FIELDS_time(F)
#define NGX_RUSH_FIELDS_openapi(F)

#define NGX_RUSH_ERRORS_health(E)
#define NGX_RUSH_ERRORS_healthz(E)
#define NGX_RUSH_ERRORS_api_health(E)
#define NGX_RUSH_ERRORS_ready(E)  E(BUSY)
#define NGX_RUSH_ERRORS_metrics(E)  E(NOT_FOUND)
#define NGX_RUSH_ERRORS_version(E)
#define NGX_RUSH_ERRORS_api_version(E)
#define NGX_RUSH_ERRORS_time(E)
#define NGX_RUSH_ERRORS_openapi(E)


#define NGX_RUSH_SCHEMA_none(O)

#define NGX_RUSH_SCHEMA_health(O)                                             \
    O(status, STR, 1, "always \"ok\"")

#define NGX_RUSH_SCHEMA_ready(O)                                              \
    O(redis, BOOL, 1, "this worker is connected to Redis")                    \
    O(mysql, BOOL, 1, "this worker is connected to MySQL")                    \
    O(revocations, BOOL, 1, "revoked tokens were read from Redis")            \
    O(roles, BOOL, 1, "roles were read from MySQL")                           \
    O(selling, BOOL, 0, "no administrator has stopped it")                    \
    O(gate, BOOL, 0, "Redis was checked by the controller and sells")         \
    O(catalog_age_ms, INT, 0, "since activities were read from MySQL")        \
    O(stock_age_ms, INT, 0, "since stock was read from Redis")                \
    O(consumer_age_ms, INT, 0, "since the consumer gave a sign of life")

#define NGX_RUSH_SCHEMA_version(O)                                            \
    O(version, STR, 1, "of Rush")                                             \
    O(nginx, STR, 1, "version that the modules were built for")               \
    O(modules, ARR, 1, "APIs that this configuration serves")

#define NGX_RUSH_SCHEMA_time(O)                                               \
    O(now, TIME, 1, "RFC 3339, UTC")                                          \
    O(now_ms, INT, 1, "ms since 1970-01-01T00:00:00Z")

#define NGX_RUSH_SCHEMAS(S)                                                   \
    S(none) S(health) S(ready) S(version) S(time)


#endif /* _NGX_RUSH_API_H_INCLUDED_ */
