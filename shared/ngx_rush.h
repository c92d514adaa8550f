
/*
 * Copyright (C) Rush
 *
 * The public API of the core: routes, steps, requests, operations.
 *
 * A route is a row of a table; its logic is an array of steps.  A step
 * returns
 *
 *     NGX_OK      the next step runs; after the last one the answer is code 0
 *     NGX_AGAIN   one operation is in flight; the next step runs when it is
 *                 there
 *     NGX_DONE    stops early with success
 *     NGX_ERROR   answers INTERNAL; who detected it has logged it
 *     RUSH_...    (> 0) answers that code of rush_errors.h
 *
 * An operation never completes inside the call that starts it.  If its start
 * fails, the call returns a code and there is no operation.  An operation
 * lives outside the request pool, so an answer may find nobody (op->q is
 * NULL) and is then dropped.  One operation a request at a time.
 */


#ifndef _NGX_RUSH_H_INCLUDED_
#define _NGX_RUSH_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include <hiredis/hiredis.h>

#include "rush_base.h"
#include "rush_buf.h"
#include "rush_errors.h"
#include "rush_failpoint.h"
#include "rush_field.h"
#include "rush_jwt.h"
#include "rush_permissions.h"
#include "rush_seal.h"
#include "rush_trace.h"


#define NGX_RUSH_ABI  3                 /* modules refuse another core */


_Static_assert(sizeof(rush_str_t) == sizeof(ngx_str_t)
               && offsetof(rush_str_t, data) == offsetof(ngx_str_t, data),
               "rush_str_t must look like ngx_str_t");
_Static_assert(sizeof(ngx_atomic_t) == 8, "64-bit atomics are needed");


/* who may call a route */

#define NGX_RUSH_PUBLIC        0
#define NGX_RUSH_OPTIONAL      1        /* q->logged tells */
#define NGX_RUSH_USER          2
#define NGX_RUSH_ADMIN         3        /* who has a permission: MAY(name) of
                                           rush_permissions.h */
#define NGX_RUSH_INTERNAL      4        /* peers of rush_internal; else 404 */

#define NGX_RUSH_MAY(name)     (NGX_RUSH_ADMIN | RUSH_MAY_##name << 8)

#define ngx_rush_auth(route)        ((route)->auth & 0xff)
#define ngx_rush_permission(route)  ((route)->auth >> 8)

/* writes of administrators are recorded, see ngx_rush_audit.c */
#define ngx_rush_audited(route)                                               \
    (ngx_rush_auth(route) == NGX_RUSH_ADMIN && (route)->method != NGX_HTTP_GET)

/* class of rate limit */

#define NGX_RUSH_LIMIT_NONE    0
#define NGX_RUSH_LIMIT_API     1        /* by client address */
#define NGX_RUSH_LIMIT_BUY     2        /* by user */
#define NGX_RUSH_LIMIT_LOGIN   3        /* by client address */
#define NGX_RUSH_LIMIT_GLOBAL  4        /* all routes together, always asked */
#define NGX_RUSH_LIMIT_CLASSES 5

/* flags of a route */

#define NGX_RUSH_KEEP_RUNNING  0x01     /* finish even if the client leaves */
#define NGX_RUSH_PUBLIC_CACHE  0x02     /* public, max-age=1; not no-store */
#define NGX_RUSH_RAW           0x04     /* the step sends its own body */
#define NGX_RUSH_SURE_LATER    0x08     /* a step calls ngx_rush_sure() before
                                           anything depends on who asks */
#define NGX_RUSH_IDEMPOTENT    0x10     /* takes an Idempotency-Key, see
                                           ngx_rush_idem.c */
#define NGX_RUSH_RAW_BODY      0x40     /* the body is not JSON of ours, and of
                                           any type: q->body has its bytes */


typedef struct ngx_rush_req_s    ngx_rush_req_t;
typedef struct ngx_rush_op_s     ngx_rush_op_t;
typedef struct ngx_rush_rows_s   ngx_rush_rows_t;
typedef struct ngx_rush_listener_s  ngx_rush_listener_t;

typedef ngx_int_t (*ngx_rush_step_pt)(ngx_rush_req_t *q);


typedef struct {
    ngx_str_t             name;         /* in logs and metrics */
    ngx_rush_step_pt      handler;
} ngx_rush_step_t;

#define ngx_rush_step(fn)   { ngx_string(#fn), fn }
#define ngx_rush_null_step  { ngx_null_string, NULL }


typedef struct {
    ngx_str_t             name;         /* "seckill_buy" */
    ngx_uint_t            method;       /* NGX_HTTP_POST */
    ngx_str_t             path;         /* "/api/v1/products/{id}" */
    ngx_uint_t            auth;
    ngx_uint_t            limit;
    ngx_uint_t            flags;
    const rush_field_t   *fields;
    ngx_uint_t            nfields;
    size_t                size;         /* of q->data */
    ngx_rush_step_t      *steps;
    ngx_uint_t            api;          /* set by the core: bit of the API */
    ngx_uint_t            index;        /* set by the core: for counters */
} ngx_rush_route_t;


struct ngx_rush_op_s {                  /* header of every operation */
    ngx_rush_req_t       *q;            /* NULL once the request is gone */
    ngx_int_t             on_fail;      /* code answered when it fails;
                                           NGX_OK: the next step runs and
                                           sees reply and rows NULL */
};


struct ngx_rush_req_s {                 /* in r->pool */
    ngx_http_request_t   *r;
    ngx_rush_route_t     *route;        /* NULL: no such route */
    ngx_rush_step_t      *step;         /* next to run */
    ngx_rush_op_t        *op;           /* in flight, at most one */

    rush_claims_t         user;         /* when logged is set */
    rush_trace_t          trace;

    redisReply           *reply;        /* borrowed, for one step */
    ngx_rush_rows_t      *rows;         /* borrowed, for one step */

    rush_buf_t            out;          /* JSON value of "data", "" is {} */
    ngx_str_t             etag;         /* with quotes; GET only */
    ngx_uint_t            retry_after;  /* seconds, 0: table's default */
    int64_t               object;       /* id that an audited route has made,
                                           for the record; 0: none */
    ngx_str_t             token;        /* as sent, borrowed from the header */
    ngx_str_t             body;         /* as sent, may be changed in place;
                                           for NGX_RUSH_RAW_BODY */

    void                 *data;         /* route->size bytes, zeroed */
    uint64_t              present;      /* bit i: row i of fields was given */

    rush_field_error_t    field_error;

    ngx_msec_t            came;         /* when unsure was set */
    ngx_msec_t            revoked_at;
    uint64_t              revoked;      /* last revocation, 0: none */

    ngx_str_t             key;          /* Idempotency-Key, borrowed */
    int64_t               owner;        /* of its record, 0: not we */
    int64_t               made;         /* see ngx_rush_made_id() */
    ngx_msec_t            owned_at;
    ngx_str_t            *keep;         /* the call that tells its outcome */

    int64_t               act;          /* in the record, 0: none */
    ngx_int_t             outcome;      /* to be answered when it is written */

    unsigned              logged:1;
    unsigned              suspended:1;
    unsigned              replied:1;
    unsigned              not_final:1;  /* refusal carries "final":false */
    unsigned              final:1;      /* refusal carries "final":true */
    unsigned              ending:1;     /* the outcome is being written */
    unsigned              telling:1;    /* revocations are being told */
    unsigned              unsure:1;     /* the token may have been revoked */
    unsigned              begun:1;      /* steps run */
    unsigned              asking:1;     /* whether the key was used before */
    unsigned              again:1;      /* an earlier try may have run */
    unsigned              keeping:1;    /* the answer is being kept */
    unsigned              stays:1;      /* finished even without a client */
    unsigned              whole:1;      /* a failure has data too: all of it */

    ngx_int_t             raw_rc;       /* of ngx_rush_send() */
    ngx_rush_listener_t  *listener;     /* that has this request */
};


/* rows of one set of routes; see "How a module declares its API" below */

ngx_int_t ngx_rush_add_routes(ngx_conf_t *cf, ngx_uint_t abi,
    const char *module, ngx_rush_route_t *routes, ngx_uint_t n);

/* slot handler for the "<x>_api" directive of a module; cmd->post points to
 * the module's ngx_rush_route_t table given to ngx_rush_add_routes() */
char *ngx_rush_api_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

/* in postconfiguration: does any location serve this table? */
ngx_uint_t ngx_rush_api_used(ngx_conf_t *cf, ngx_rush_route_t *routes);


void ngx_rush_resume(ngx_rush_req_t *q, ngx_int_t rc);

/* for drivers: link and unlink; op_start returns NGX_AGAIN */
ngx_int_t ngx_rush_op_start(ngx_rush_req_t *q, ngx_rush_op_t *op);
ngx_rush_req_t *ngx_rush_op_finish(ngx_rush_op_t *op);

/* an operation that only waits; the next step runs after ms */
ngx_int_t ngx_rush_sleep(ngx_rush_req_t *q, ngx_msec_t ms);

/* in postconfiguration: without rush_thread_pool "directive" cannot work */
ngx_int_t ngx_rush_need_threads(ngx_conf_t *cf, const char *directive);

/* runs work(copy of data) in the thread pool of rush_thread_pool; the copy
 * comes back into data before the next step; BUSY when the queue is full */
ngx_int_t ngx_rush_thread(ngx_rush_req_t *q, void (*work)(void *data),
    void *data, size_t size);


/*
 * Whether the caller's token still holds, where this node has not heard of
 * revocations for a while and asks Redis: NGX_OK, NGX_AGAIN (call it again
 * then), UNAUTHORIZED or BUSY.  Asked before the first step, but for routes
 * with NGX_RUSH_SURE_LATER.
 */
ngx_int_t ngx_rush_sure(ngx_rush_req_t *q);

/* was this field of the route in the request? */
ngx_uint_t ngx_rush_given(ngx_rush_req_t *q, const char *name);

/* answers; a step of a NGX_RUSH_RAW route calls ngx_rush_send() and returns
 * NGX_DONE, or the code that the answer counts as.  type is borrowed static
 * text, body is copied */
ngx_int_t ngx_rush_send(ngx_rush_req_t *q, ngx_uint_t status, ngx_str_t *type,
    u_char *body, size_t len);
ngx_int_t ngx_rush_add_header(ngx_http_request_t *r, const char *name,
    size_t len, ngx_str_t *value);

/* the same for a body in pieces: return what it returns; the next step runs
 * when the piece has left, until then data is borrowed, of the last piece
 * until the request ends.  A request that ends before that closes its
 * connection */
ngx_int_t ngx_rush_piece(ngx_rush_req_t *q, ngx_str_t *type, u_char *data,
    size_t len, ngx_uint_t last);

/* BAD_REQUEST that names a field: {"field":..., "reason":...} */
ngx_int_t ngx_rush_refuse(ngx_rush_req_t *q, const char *field,
    const char *reason);

ngx_int_t ngx_rush_header(ngx_http_request_t *r, const char *lowcase,
    size_t len, ngx_str_t *value);      /* NGX_DECLINED none, NGX_ERROR
                                           several */

/* RUSH_OK, FORBIDDEN, or BUSY: roles are not known (yet) */
ngx_int_t ngx_rush_may(int64_t roles, ngx_uint_t permission);

/* mask of all that these roles may; whether all of them exist.  Both as far
 * as is known: ask ngx_rush_may() first */
int64_t ngx_rush_permissions(int64_t roles);
ngx_uint_t ngx_rush_roles_exist(int64_t roles);

int64_t ngx_rush_now_ms(void);          /* CLOCK_REALTIME, ms */
int64_t ngx_rush_id(void);              /* 0: answer BUSY; see rush_id.h */

/* the id of what a request makes: the same in each try of one Idempotency-Key,
 * so a unique column finds what an earlier one has made.  0: answer BUSY */
int64_t ngx_rush_made_id(ngx_rush_req_t *q);

/* signs an access token with the core's key.  claims->expires is a lifetime
 * in seconds; issued and expires are set from it and the clock.  dst holds
 * RUSH_JWT_MAX_LEN; returns the length, 0 on error */
size_t ngx_rush_token(rush_claims_t *claims, u_char *dst);


/* the key of rush_seal_key, NULL: none is set; in postconfiguration: without
 * one "directive" cannot work */
const rush_seal_t *ngx_rush_seal_key(ngx_http_request_t *r);
ngx_int_t ngx_rush_need_seal(ngx_conf_t *cf, const char *directive);


/* a module's part of /ready: adds members to an open JSON object; anything
 * but NGX_OK makes the answer 503 */
typedef ngx_int_t (*ngx_rush_ready_pt)(rush_buf_t *b);
ngx_int_t ngx_rush_add_ready(ngx_conf_t *cf, ngx_rush_ready_pt handler);


/*
 * How a module declares its API: ngx_<x>_api.h holds macros only, so that
 * tools/apidoc.c can print OpenAPI from it.
 *
 *   #define NGX_SECKILL_ROUTES(R)                                          \
 *       R(seckill, buy, POST, "/api/v1/seckill/activities/{id}/buy",       \
 *         USER, BUY, 0, OBJECT, grant, "Takes units of stock")
 *
 *   #define NGX_SECKILL_FIELDS_buy(F)                                      \
 *       F(buy, id,       ID,  PATH, 1, 1, INT64_MAX, "activity")           \
 *       F(buy, quantity, INT, BODY, 0, 1, 100,       "units, default 1")
 *
 *   #define NGX_SECKILL_ERRORS_buy(E)  E(SOLD_OUT) E(BUY_LIMIT)
 *
 *   #define NGX_SECKILL_SCHEMA_grant(O)                                    \
 *       O(order_no, STR, 1, "order number")    type, always there, text
 *
 *   #define NGX_SECKILL_SCHEMAS(S)  S(grant) S(activity)
 *
 * Columns of R: module, name, method, path, auth, limit, flags, shape of
 * "data" (OBJECT, LIST (with list,total,page,page_size,total_page), FEED
 * (list, next_last_id), PAGES (one of these two), ARRAY, NONE; EVENTS: a
 * stream of them, see ngx_rush_events.h), schema, sentence.  Columns of F:
 * route, member and name, type, place, required, min, max, sentence; in a
 * HEADER row "_" stands for "-".  Types of O: STR INT ID BOOL TIME MONEY OBJ
 * ARR.
 *
 * Each route <name> has a struct ngx_<x>_<name>_t for q->data (a typedef of
 * a common struct will do) and an array ngx_<x>_<name>_steps.
 * The module expands the list with the macros below.
 */

#define NGX_RUSH_FIELD_ROW(x, route, member, type, place, req, lo, hi)        \
    { rush_string(#member), RUSH_T_##type, RUSH_IN_##place, req, lo, hi,      \
      offsetof(ngx_##x##_##route##_t, member) },

#define NGX_RUSH_ROUTE_ROW(x, name, method, path, auth, limit, flags,         \
    shape, schema, text)                                                      \
    { ngx_string(#x "_" #name), NGX_HTTP_##method, ngx_string(path),          \
      NGX_RUSH_##auth, NGX_RUSH_LIMIT_##limit, flags,                         \
      ngx_##x##_##name##_fields,                                              \
      sizeof(ngx_##x##_##name##_fields) / sizeof(rush_field_t) - 1,           \
      sizeof(ngx_##x##_##name##_t), ngx_##x##_##name##_steps, 0, 0 },

/* each fields array ends with one spare row, so that it is never empty */
#define NGX_RUSH_FIELD_END  { rush_string(""), RUSH_T_INT, RUSH_IN_QUERY,     \
                              0, 0, 0, 0 }


/* the version differences of nginx stand here and nowhere else */

ngx_int_t ngx_rush_cookie(ngx_http_request_t *r, ngx_str_t *name,
    ngx_str_t *value);


#if (NGX_DEBUG)
#define ngx_rush_assert(c)  ((void) ((c) ? 0 : (abort(), 0)))
#else
#define ngx_rush_assert(c)
#endif


extern ngx_module_t  ngx_http_rush_core_module;


#endif /* _NGX_RUSH_H_INCLUDED_ */
