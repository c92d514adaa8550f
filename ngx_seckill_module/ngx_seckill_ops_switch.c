
/*
 * Copyright (C) Rush
 */


#include "ngx_seckill.h"


/*
 * The red switch: a row of the table "switch".  Each node reads it with its
 * refresh, twice a second, into one word of shared memory, and refuses while
 * it says no, or is not known yet; no Redis is needed for that.  Who called
 * the route need not wait for the refresh.  The controller makes Redis follow,
 * so that a node that cannot read MySQL does not sell either.
 */


static ngx_int_t ngx_seckill_stop(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_go_on(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_switch_set(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_show_switch(ngx_rush_req_t *q);

static ngx_int_t ngx_seckill_set_switch(ngx_rush_req_t *q, ngx_uint_t on);
static void ngx_seckill_switch_known(void *data, ngx_rush_rows_t *rows,
    ngx_int_t rc);
static void ngx_seckill_switch_learn(ngx_rush_rows_t *rows, ngx_msec_t asked);


enum {                                  /* columns of switch_selling */
    S_IS_ON = 0, S_OPERATOR, S_REASON, S_CHANGED
};


ngx_rush_step_t  ngx_seckill_stop_selling_steps[] = {
    ngx_rush_step(ngx_seckill_stop),                /* mysql */
    ngx_rush_step(ngx_seckill_switch_set),          /* mysql: reads it back */
    ngx_rush_step(ngx_seckill_show_switch),
    ngx_rush_null_step
};


ngx_rush_step_t  ngx_seckill_resume_selling_steps[] = {
    ngx_rush_step(ngx_seckill_go_on),               /* mysql */
    ngx_rush_step(ngx_seckill_switch_set),          /* mysql */
    ngx_rush_step(ngx_seckill_show_switch),
    ngx_rush_null_step
};


static ngx_uint_t  ngx_seckill_switch_busy;
static ngx_msec_t  ngx_seckill_switch_asked;


/*
 * Whether the token holds is not asked of Redis: it may be what is broken, and
 * to stop is never wrong for long.  This node's own table was asked.
 */

static ngx_int_t
ngx_seckill_stop(ngx_rush_req_t *q)
{
    return ngx_seckill_set_switch(q, 0);
}


static ngx_int_t
ngx_seckill_go_on(ngx_rush_req_t *q)
{
    return ngx_seckill_set_switch(q, 1);
}


/* switched already: who did that, when and why stays */

static ngx_int_t
ngx_seckill_set_switch(ngx_rush_req_t *q, ngx_uint_t on)
{
    ngx_seckill_stop_selling_t  *sw = q->data;

    ngx_rush_param_t  p[4];

    p[0] = ngx_rush_p_int(on);
    p[1] = ngx_rush_p_int(q->user.user);
    p[2] = ngx_rush_p_str(&sw->reason);
    p[3] = ngx_rush_p_int(ngx_rush_now_ms());

    return ngx_rush_query(q, &ngx_seckill_sql[NGX_SECKILL_SQL_SWITCH_SET], p,
                          4, RUSH_INTERNAL);
}


static ngx_int_t
ngx_seckill_switch_set(ngx_rush_req_t *q)
{
    return ngx_rush_query(q,
                          &ngx_seckill_sql[NGX_SECKILL_SQL_SWITCH_SELLING],
                          NULL, 0, RUSH_INTERNAL);
}


static ngx_int_t
ngx_seckill_show_switch(ngx_rush_req_t *q)
{
    rush_buf_t  *b;

    if (q->rows->n == 0) {
        return RUSH_BUSY;               /* somebody has removed it */
    }

    ngx_seckill_switch_learn(q->rows, ngx_current_msec);

    b = &q->out;

    rush_json_open(b, NULL, '{');
    rush_json_bool(b, "selling", ngx_rush_cell_int(q->rows, 0, S_IS_ON) != 0);
    rush_json_id(b, "operator", ngx_rush_cell_int(q->rows, 0, S_OPERATOR));
    rush_json_str(b, "reason", (rush_str_t *) ngx_rush_cell(q->rows, 0,
                                                            S_REASON));
    rush_json_time(b, "changed_at", ngx_rush_cell_int(q->rows, 0, S_CHANGED));
    rush_json_close(b, '}');

    return NGX_OK;
}


void
ngx_seckill_switch_read(void)
{
    if (ngx_seckill_switch_busy) {
        return;
    }

    if (ngx_rush_mysql_send(&ngx_seckill_sql[NGX_SECKILL_SQL_SWITCH_SELLING],
                            NULL, 0, ngx_seckill_switch_known, NULL)
        == NGX_OK)
    {
        ngx_seckill_switch_busy = 1;
        ngx_seckill_switch_asked = ngx_current_msec;
    }
}


static void
ngx_seckill_switch_known(void *data, ngx_rush_rows_t *rows, ngx_int_t rc)
{
    ngx_seckill_switch_busy = 0;

    if (rc == NGX_OK) {
        ngx_seckill_switch_learn(rows, ngx_seckill_switch_asked);
    }
}


/*
 * An answer to a question from before a newer one says nothing.  Two workers
 * that learn in the same moment may leave the older word; the next refresh
 * mends that.
 */

static void
ngx_seckill_switch_learn(ngx_rush_rows_t *rows, ngx_msec_t asked)
{
    if ((ngx_msec_int_t) (asked - (ngx_msec_t) ngx_seckill_shm->switch_msec)
        < 0 && ngx_seckill_shm->selling)
    {
        return;
    }

    ngx_seckill_shm->switch_msec = asked;
    ngx_seckill_shm->selling =
        (rows->n && ngx_rush_cell_int(rows, 0, S_IS_ON) == 0)
        ? NGX_SECKILL_STOPPED : NGX_SECKILL_SELLING;
}
