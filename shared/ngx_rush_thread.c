
/*
 * Copyright (C) Rush
 *
 * A step's operation in a thread.  The task, the operation and a copy of the
 * data are one block outside of the request pool: a request may be gone
 * while a thread still works.  The result goes back into the request only if
 * that is still there; the copy is wiped in either case, it may hold a
 * password.
 */


#include "ngx_rush_core.h"
#include "ngx_rush_counters.h"

#if !(NGX_THREADS)
#error Rush needs nginx --with-threads
#endif

#include <ngx_thread_pool.h>


#define NGX_RUSH_THREAD_TIMEOUT  60000          /* ms, then it is reported */


typedef struct {
    ngx_thread_task_t     task;         /* must be first */
    ngx_rush_op_t         op;
    void                (*work)(void *data);
    void                 *result;       /* in the request, of size bytes */
    size_t                size;
    uint64_t              data[1];      /* aligned for anything */
} ngx_rush_thread_op_t;


static void ngx_rush_thread_work(void *data, ngx_log_t *log);
static void ngx_rush_thread_done(ngx_event_t *ev);
static void ngx_rush_thread_free(ngx_rush_thread_op_t *top);


static ngx_thread_pool_t  *ngx_rush_threads;


char *
ngx_rush_thread_pool_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char               *p = conf;
    ngx_str_t          *value;
    ngx_thread_pool_t **tp;

    tp = (ngx_thread_pool_t **) (p + cmd->offset);

    if (*tp) {
        return "is duplicate";
    }

    value = cf->args->elts;

    *tp = ngx_thread_pool_add(cf, &value[1]);
    if (*tp == NULL) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


ngx_int_t
ngx_rush_need_threads(ngx_conf_t *cf, const char *directive)
{
    ngx_rush_main_conf_t  *mcf;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_rush_core_module);

    if (mcf->thread_pool == NULL) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"%s\" needs \"rush_thread_pool\"", directive);
        return NGX_ERROR;
    }

    return NGX_OK;
}


void
ngx_rush_thread_init(ngx_thread_pool_t *tp)
{
    ngx_rush_threads = tp;
}


ngx_thread_pool_t *
ngx_rush_thread_pool(void)
{
    return ngx_rush_threads;
}


ngx_int_t
ngx_rush_thread(ngx_rush_req_t *q, void (*work)(void *data), void *data,
    size_t size)
{
    ngx_thread_pool_t     *tp;
    ngx_rush_thread_op_t  *top;

    tp = ngx_rush_thread_pool();

    if (tp == NULL) {
        ngx_log_error(NGX_LOG_ERR, q->r->connection->log, 0,
                      "\"rush_thread_pool\" is not set");
        return NGX_ERROR;
    }

    top = ngx_calloc(sizeof(ngx_rush_thread_op_t) + size, ngx_cycle->log);
    if (top == NULL) {
        return RUSH_BUSY;
    }

    top->work = work;
    top->result = data;
    top->size = size;
    top->op.on_fail = RUSH_BUSY;

    ngx_memcpy(top->data, data, size);

    top->task.ctx = top;
    top->task.handler = ngx_rush_thread_work;
    top->task.event.data = top;
    top->task.event.handler = ngx_rush_thread_done;
    top->task.event.log = ngx_cycle->log;

    if (ngx_thread_task_post(tp, &top->task) != NGX_OK) {
        ngx_rush_count(NGX_RUSH_C_THREAD_REFUSED, 1);
        ngx_rush_thread_free(top);
        return RUSH_BUSY;
    }

    ngx_rush_count(NGX_RUSH_C_THREAD_TASKS, 1);

    /* not cancelable: a worker that is to leave waits for the thread */

    ngx_add_timer(&top->task.event, NGX_RUSH_THREAD_TIMEOUT);

    return ngx_rush_op_start(q, &top->op);
}


/* in the thread: nothing of the worker may be touched here */

static void
ngx_rush_thread_work(void *data, ngx_log_t *log)
{
    ngx_rush_thread_op_t  *top = data;

    top->work(top->data);
}


static void
ngx_rush_thread_done(ngx_event_t *ev)
{
    ngx_rush_thread_op_t  *top = ev->data;

    ngx_rush_req_t  *q;

    if (ev->timedout) {
        ngx_log_error(NGX_LOG_ERR, ev->log, 0,
                      "thread operation took too long");
        ev->timedout = 0;
        return;
    }

    if (ev->timer_set) {
        ngx_del_timer(ev);
    }

    q = ngx_rush_op_finish(&top->op);

    if (q) {
        ngx_memcpy(top->result, top->data, top->size);
    }

    ngx_rush_thread_free(top);

    if (q) {
        ngx_rush_resume(q, NGX_OK);
    }
}


static void
ngx_rush_thread_free(ngx_rush_thread_op_t *top)
{
    ngx_explicit_memzero(top->data, top->size);
    ngx_free(top);
}
