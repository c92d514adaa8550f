
/*
 * Copyright (C) Rush
 *
 * Calls of idem_keep.lua that nobody waits for: what a request could not tell
 * about its Idempotency-Key is told again, twice a second, for as long as the
 * record may be its own.  To say it twice changes nothing.
 *
 * A call is malloc() memory of its own; there are NGX_RUSH_IDEM_CALLS of them
 * in a worker at most, more are lost and counted.  A worker that stops does
 * not wait for them.
 */


#include "ngx_rush_core.h"
#include "ngx_rush_counters.h"


#define NGX_RUSH_IDEM_CALLS  1024
#define NGX_RUSH_IDEM_PAUSE  500        /* ms */


typedef struct {
    ngx_event_t          event;
    ngx_msec_t           until;
    ngx_str_t            args[NGX_RUSH_IDEM_ARGS];
} ngx_rush_idem_call_t;


static void ngx_rush_idem_send(ngx_event_t *ev);
static void ngx_rush_idem_sent(void *data, redisReply *reply,
    rush_outcome_e outcome);
static void ngx_rush_idem_again(ngx_rush_idem_call_t *call);
static void ngx_rush_idem_drop(ngx_rush_idem_call_t *call);


static ngx_uint_t  ngx_rush_idem_calls;


void
ngx_rush_idem_later(ngx_str_t *args, ngx_msec_t until)
{
    size_t                 size;
    u_char                *p;
    ngx_uint_t             i;
    ngx_rush_idem_call_t  *call;

    size = sizeof(ngx_rush_idem_call_t);

    for (i = 0; i < NGX_RUSH_IDEM_ARGS; i++) {
        size += args[i].len;
    }

    call = (ngx_rush_idem_calls < NGX_RUSH_IDEM_CALLS)
           ? ngx_alloc(size, ngx_cycle->log) : NULL;

    if (call == NULL) {
        ngx_rush_count(NGX_RUSH_C_IDEM_LOST, 1);
        return;
    }

    ngx_rush_idem_calls++;

    ngx_memzero(call, sizeof(ngx_rush_idem_call_t));
    p = (u_char *) (call + 1);

    for (i = 0; i < NGX_RUSH_IDEM_ARGS; i++) {
        call->args[i].data = p;
        call->args[i].len = args[i].len;

        if (args[i].len) {
            p = ngx_cpymem(p, args[i].data, args[i].len);
        }
    }

    call->until = until;
    call->event.data = call;
    call->event.handler = ngx_rush_idem_send;
    call->event.log = ngx_cycle->log;
    call->event.cancelable = 1;

    ngx_rush_idem_send(&call->event);
}


static void
ngx_rush_idem_send(ngx_event_t *ev)
{
    ngx_rush_idem_call_t  *call = ev->data;

    if (ngx_rush_redis_send(NGX_RUSH_LANE_SIDE, NGX_RUSH_IDEM_ARGS,
                            call->args, 0, ngx_rush_idem_sent, call)
        != NGX_OK)
    {
        ngx_rush_idem_again(call);
    }
}


static void
ngx_rush_idem_sent(void *data, redisReply *reply, rush_outcome_e outcome)
{
    ngx_rush_idem_call_t  *call = data;

    if (outcome == RUSH_DONE) {
        ngx_rush_idem_drop(call);
        return;
    }

    ngx_rush_idem_again(call);
}


static void
ngx_rush_idem_again(ngx_rush_idem_call_t *call)
{
    if ((ngx_msec_int_t) (call->until - ngx_current_msec) <= 0
        || ngx_exiting)
    {
        ngx_rush_count(NGX_RUSH_C_IDEM_LOST, 1);
        ngx_rush_idem_drop(call);
        return;
    }

    ngx_add_timer(&call->event, NGX_RUSH_IDEM_PAUSE);
}


static void
ngx_rush_idem_drop(ngx_rush_idem_call_t *call)
{
    ngx_rush_idem_calls--;
    ngx_free(call);
}
