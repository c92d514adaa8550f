
/*
 * Copyright (C) Rush
 *
 * Redis client, commands as operations of a step, on the SIDE lane.
 *
 * An op is malloc() memory of a free list of the worker: the answer may come
 * after its request is gone.  It is released in its handler, before the
 * request goes on, and the list is never given back.
 */


#include <ngx_sha1.h>

#include "ngx_rush_redis.h"


typedef struct ngx_rush_redis_op_s  ngx_rush_redis_op_t;

struct ngx_rush_redis_op_s {
    ngx_rush_op_t         op;           /* first */
    ngx_rush_redis_op_t  *next;
};


static void ngx_rush_redis_answered(void *data, redisReply *reply,
    rush_outcome_e outcome);


static ngx_rush_redis_op_t  *ngx_rush_redis_ops;


ngx_int_t
ngx_rush_redis(ngx_rush_req_t *q, ngx_uint_t n, ngx_str_t *args,
    ngx_int_t on_fail)
{
    ngx_rush_redis_op_t  *op;

    op = ngx_rush_redis_ops;

    if (op) {
        ngx_rush_redis_ops = op->next;

    } else {
        op = ngx_alloc(sizeof(ngx_rush_redis_op_t), q->r->connection->log);
        if (op == NULL) {
            return NGX_ERROR;
        }
    }

    op->op.on_fail = on_fail;

    if (ngx_rush_redis_send(NGX_RUSH_LANE_SIDE, n, args, 0,
                            ngx_rush_redis_answered, op)
        != NGX_OK)
    {
        op->next = ngx_rush_redis_ops;
        ngx_rush_redis_ops = op;

        /* NGX_OK: the next step runs at once and sees reply NULL */
        return (on_fail == NGX_OK) ? NGX_OK : RUSH_BUSY;
    }

    return ngx_rush_op_start(q, &op->op);
}


static void
ngx_rush_redis_answered(void *data, redisReply *reply, rush_outcome_e outcome)
{
    ngx_rush_redis_op_t  *op = data;

    ngx_int_t        on_fail;
    ngx_rush_req_t  *q;

    q = ngx_rush_op_finish(&op->op);
    on_fail = op->op.on_fail;

    op->next = ngx_rush_redis_ops;
    ngx_rush_redis_ops = op;

    if (q == NULL) {
        return;
    }

    switch (outcome) {

    case RUSH_DONE:
        q->reply = reply;
        ngx_rush_resume(q, NGX_OK);
        return;

    case RUSH_GATE_SHUT:
        ngx_rush_resume(q, RUSH_CLOSED);
        return;

    default: /* RUSH_NOT_DONE, RUSH_MAYBE */
        ngx_rush_resume(q, on_fail);
    }
}


ngx_int_t
ngx_rush_script(ngx_rush_req_t *q, ngx_str_t *sha, ngx_uint_t nkeys,
    ngx_str_t *args, ngx_uint_t nargs, ngx_int_t on_fail)
{
    u_char      nbuf[NGX_INT_T_LEN];
    ngx_str_t  *argv;

    argv = ngx_palloc(q->r->pool, (nargs + 3) * sizeof(ngx_str_t));
    if (argv == NULL) {
        return NGX_ERROR;
    }

    ngx_str_set(&argv[0], "EVALSHA");
    argv[1] = *sha;
    argv[2].data = nbuf;
    argv[2].len = ngx_sprintf(nbuf, "%ui", nkeys) - nbuf;

    if (nargs) {
        ngx_memcpy(&argv[3], args, nargs * sizeof(ngx_str_t));
    }

    return ngx_rush_redis(q, nargs + 3, argv, on_fail);
}


void
ngx_rush_script_sha(u_char *dst, const rush_script_t *script)
{
    u_char      digest[20];
    ngx_sha1_t  sha1;

    ngx_sha1_init(&sha1);
    ngx_sha1_update(&sha1, script->text, script->len);
    ngx_sha1_final(digest, &sha1);

    (void) ngx_hex_dump(dst, digest, sizeof(digest));
}
