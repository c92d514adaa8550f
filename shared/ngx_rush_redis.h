
/*
 * Copyright (C) Rush
 *
 * Redis client of a worker.  Two lanes, each one pipelined connection: HOT
 * for the buy path, SIDE for everything else (and for the second try of a
 * buy whose answer was lost).  hiredis formats and parses, nginx does the
 * I/O.  All commands of one event-loop turn leave in one write.
 *
 * Outcome of a command (rush_stream.h): an error reply is classified by
 * rush_outcome(); a command still in our own queue when the connection dies
 * is RUSH_NOT_DONE; one of which a byte may have left is RUSH_MAYBE.  A
 * command whose own timeout passes is RUSH_MAYBE, its late reply is dropped
 * in order (or RUSH_NOT_DONE if none of it has left: it is taken out of the
 * queue); the connection is closed only when no reply at all came for the
 * stall time.
 */


#ifndef _NGX_RUSH_REDIS_H_INCLUDED_
#define _NGX_RUSH_REDIS_H_INCLUDED_


#include "ngx_rush.h"
#include "rush_stream.h"


#define NGX_RUSH_LANE_HOT   0
#define NGX_RUSH_LANE_SIDE  1
#define NGX_RUSH_LANES      2


/* runs exactly once, never inside the call that starts the command; reply
 * is borrowed for the call: NULL unless outcome is RUSH_DONE, or it is the
 * error reply */
typedef void (*ngx_rush_redis_pt)(void *data, redisReply *reply,
    rush_outcome_e outcome);


typedef struct {
    ngx_addr_t            addr;         /* numeric or unix, resolved at -t */
    ngx_str_t             user;         /* ACL user, empty: none */
    ngx_str_t             password;     /* from password_file= */
    ngx_int_t             db;
    ngx_msec_t            connect_timeout;
    ngx_msec_t            timeout;      /* of one command, default 1000 */
    ngx_msec_t            stall;        /* no reply at all, default 1000 */
    ngx_uint_t            queue;        /* commands in flight and waiting, a
                                           lane; more are refused; 65536 */
} ngx_rush_redis_conf_t;


/* slot of "rush_redis address [user=] [password_file=] [db=] [timeout=]
 * [connect_timeout=] [stall=] [queue=]" */
char *ngx_rush_redis_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

ngx_int_t ngx_rush_redis_init(ngx_cycle_t *cycle, ngx_rush_redis_conf_t *cf);
void ngx_rush_redis_exit(ngx_cycle_t *cycle);


/* NGX_OK: queued; NGX_BUSY: refused, not executed, the handler never runs.
 * args are copied.  timeout 0: the configured one */
ngx_int_t ngx_rush_redis_send(ngx_uint_t lane, ngx_uint_t n, ngx_str_t *args,
    ngx_msec_t timeout, ngx_rush_redis_pt handler, void *data);

/* the same as a step's operation on the SIDE lane: q->reply in the next
 * step; error replies and lost connections answer on_fail */
ngx_int_t ngx_rush_redis(ngx_rush_req_t *q, ngx_uint_t n, ngx_str_t *args,
    ngx_int_t on_fail);

/* EVALSHA of a script; sha is 40 hex digits.  NOSCRIPT answers CLOSED */
ngx_int_t ngx_rush_script(ngx_rush_req_t *q, ngx_str_t *sha, ngx_uint_t nkeys,
    ngx_str_t *args, ngx_uint_t nargs, ngx_int_t on_fail);

/* hex SHA-1 of a script's text; dst holds 40 bytes */
void ngx_rush_script_sha(u_char *dst, const rush_script_t *script);


typedef struct {
    ngx_uint_t            up;           /* lanes connected and ready */
    ngx_uint_t            in_flight;
    ngx_msec_t            down_since;   /* 0: up */
} ngx_rush_redis_state_t;

void ngx_rush_redis_state(ngx_rush_redis_state_t *state);


#endif /* _NGX_RUSH_REDIS_H_INCLUDED_ */
