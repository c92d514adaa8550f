
/*
 * Copyright (C) Rush
 */


#include "ngx_rush.h"


/* an operation that only waits; its timer outlives a request that is gone */


typedef struct {
    ngx_rush_op_t        op;            /* must be first */
    ngx_event_t          event;
} ngx_rush_sleep_t;


static void ngx_rush_sleep_handler(ngx_event_t *ev);


ngx_int_t
ngx_rush_sleep(ngx_rush_req_t *q, ngx_msec_t ms)
{
    ngx_rush_sleep_t  *s;

    s = ngx_calloc(sizeof(ngx_rush_sleep_t), ngx_cycle->log);
    if (s == NULL) {
        return NGX_ERROR;
    }

    s->event.data = s;
    s->event.handler = ngx_rush_sleep_handler;
    s->event.log = ngx_cycle->log;

    ngx_add_timer(&s->event, ms);

    return ngx_rush_op_start(q, &s->op);
}


static void
ngx_rush_sleep_handler(ngx_event_t *ev)
{
    ngx_rush_sleep_t  *s = ev->data;

    ngx_rush_req_t    *q;

    q = ngx_rush_op_finish(&s->op);
    ngx_free(s);

    if (q) {
        ngx_rush_resume(q, NGX_OK);
    }
}
