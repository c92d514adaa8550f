
/*
 * Copyright (C) Rush
 */


#include "ngx_seckill_row.h"


/*
 * Switches of an activity.  Each changes what MySQL wants; the controller in
 * the consumer makes Redis follow, and applied_rev in the answer tells how
 * far it is.  A switch that is set already is a success.
 */


static ngx_int_t ngx_seckill_online(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_offline(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_pause(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_resume(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_warmup(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_switched(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_show_online(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_show_offline(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_show_paused(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_show_warm(ngx_rush_req_t *q);

static ngx_int_t ngx_seckill_ask_stock(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_stock_asked(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_stock_refused(ngx_rush_req_t *q);

static ngx_int_t ngx_seckill_set_status(ngx_rush_req_t *q, int64_t status,
    int64_t from, int64_t other);
static ngx_int_t ngx_seckill_show_switched(ngx_rush_req_t *q,
    ngx_uint_t column, int64_t value);


ngx_rush_step_t  ngx_seckill_admin_online_steps[] = {
    ngx_rush_step(ngx_seckill_online),              /* mysql */
    ngx_rush_step(ngx_seckill_switched),            /* mysql: reads it back */
    ngx_rush_step(ngx_seckill_show_online),
    ngx_rush_null_step
};


ngx_rush_step_t  ngx_seckill_admin_offline_steps[] = {
    ngx_rush_step(ngx_seckill_offline),             /* mysql */
    ngx_rush_step(ngx_seckill_switched),            /* mysql */
    ngx_rush_step(ngx_seckill_show_offline),
    ngx_rush_null_step
};


ngx_rush_step_t  ngx_seckill_admin_pause_steps[] = {
    ngx_rush_step(ngx_seckill_pause),               /* mysql */
    ngx_rush_step(ngx_seckill_switched),            /* mysql */
    ngx_rush_step(ngx_seckill_show_paused),
    ngx_rush_null_step
};


ngx_rush_step_t  ngx_seckill_admin_resume_steps[] = {
    ngx_rush_step(ngx_seckill_resume),              /* mysql */
    ngx_rush_step(ngx_seckill_switched),            /* mysql */
    ngx_rush_step(ngx_seckill_show_online),
    ngx_rush_null_step
};


ngx_rush_step_t  ngx_seckill_admin_warmup_steps[] = {
    ngx_rush_step(ngx_seckill_warmup),              /* mysql */
    ngx_rush_step(ngx_seckill_switched),            /* mysql */
    ngx_rush_step(ngx_seckill_show_warm),
    ngx_rush_null_step
};


ngx_rush_step_t  ngx_seckill_admin_stock_steps[] = {
    ngx_rush_step(ngx_seckill_ask_stock),           /* mysql */
    ngx_rush_step(ngx_seckill_stock_asked),         /* mysql, when refused */
    ngx_rush_step(ngx_seckill_stock_refused),
    ngx_rush_null_step
};


static ngx_int_t
ngx_seckill_online(ngx_rush_req_t *q)
{
    return ngx_seckill_set_status(q, NGX_SECKILL_ONLINE, NGX_SECKILL_DRAFT,
                                  NGX_SECKILL_OFFLINE);
}


static ngx_int_t
ngx_seckill_offline(ngx_rush_req_t *q)
{
    return ngx_seckill_set_status(q, NGX_SECKILL_OFFLINE, NGX_SECKILL_ONLINE,
                                  NGX_SECKILL_IS_PAUSED);
}


static ngx_int_t
ngx_seckill_pause(ngx_rush_req_t *q)
{
    return ngx_seckill_set_status(q, NGX_SECKILL_IS_PAUSED,
                                  NGX_SECKILL_ONLINE, NGX_SECKILL_ONLINE);
}


static ngx_int_t
ngx_seckill_resume(ngx_rush_req_t *q)
{
    return ngx_seckill_set_status(q, NGX_SECKILL_ONLINE,
                                  NGX_SECKILL_IS_PAUSED,
                                  NGX_SECKILL_IS_PAUSED);
}


static ngx_int_t
ngx_seckill_set_status(ngx_rush_req_t *q, int64_t status, int64_t from,
    int64_t other)
{
    ngx_seckill_admin_online_t  *a = q->data;

    ngx_rush_param_t  p[8];

    p[0] = ngx_rush_p_int(status);
    p[1] = p[0];
    p[2] = ngx_rush_p_int(ngx_rush_now_ms());
    p[3] = ngx_rush_p_int(a->id);
    p[4] = ngx_rush_p_int(from);
    p[5] = ngx_rush_p_int(other);
    p[6] = p[0];
    p[7] = p[2];

    return ngx_rush_query(q,
                          &ngx_seckill_sql[NGX_SECKILL_SQL_ACTIVITY_STATUS],
                          p, 8, RUSH_INTERNAL);
}


static ngx_int_t
ngx_seckill_warmup(ngx_rush_req_t *q)
{
    ngx_seckill_admin_warmup_t  *a = q->data;

    ngx_rush_param_t  p[3];

    p[0] = ngx_rush_p_int(ngx_rush_now_ms());
    p[1] = ngx_rush_p_int(a->id);
    p[2] = p[0];

    return ngx_rush_query(q, &ngx_seckill_sql[NGX_SECKILL_SQL_ACTIVITY_WARM],
                          p, 3, RUSH_INTERNAL);
}


static ngx_int_t
ngx_seckill_switched(ngx_rush_req_t *q)
{
    ngx_seckill_admin_online_t  *a = q->data;

    a->missed = (q->rows->affected == 0);

    return ngx_seckill_read_activity(q);
}


static ngx_int_t
ngx_seckill_show_online(ngx_rush_req_t *q)
{
    return ngx_seckill_show_switched(q, A_STATUS, NGX_SECKILL_ONLINE);
}


static ngx_int_t
ngx_seckill_show_offline(ngx_rush_req_t *q)
{
    return ngx_seckill_show_switched(q, A_STATUS, NGX_SECKILL_OFFLINE);
}


static ngx_int_t
ngx_seckill_show_paused(ngx_rush_req_t *q)
{
    return ngx_seckill_show_switched(q, A_STATUS, NGX_SECKILL_IS_PAUSED);
}


static ngx_int_t
ngx_seckill_show_warm(ngx_rush_req_t *q)
{
    return ngx_seckill_show_switched(q, A_WARM, 1);
}


static ngx_int_t
ngx_seckill_show_switched(ngx_rush_req_t *q, ngx_uint_t column, int64_t value)
{
    ngx_seckill_admin_online_t  *a = q->data;

    if (q->rows->n == 0) {
        return RUSH_NOT_FOUND;
    }

    if (a->missed && ngx_rush_cell_int(q->rows, 0, column) != value) {
        return RUSH_ACTIVITY_STATE;
    }

    ngx_seckill_put_admin_activity(&q->out, q->rows, 0);

    return NGX_OK;
}


static ngx_int_t
ngx_seckill_ask_stock(ngx_rush_req_t *q)
{
    ngx_seckill_admin_stock_t  *a = q->data;

    ngx_rush_param_t  p[6];

    if (a->delta == 0) {
        return ngx_rush_refuse(q, "delta", "must not be 0");
    }

    a->op = ngx_rush_made_id(q);

    if (a->op == 0) {
        return RUSH_BUSY;
    }

    p[0] = ngx_rush_p_int(a->op);
    p[1] = ngx_rush_p_int(a->delta);
    p[2] = ngx_rush_p_str(&a->reason);
    p[3] = ngx_rush_p_int(q->user.user);
    p[4] = ngx_rush_p_int(ngx_rush_now_ms());
    p[5] = ngx_rush_p_int(a->id);

    return ngx_rush_query(q, &ngx_seckill_sql[NGX_SECKILL_SQL_STOCK_OP], p, 6,
                          NGX_OK);
}


static ngx_int_t
ngx_seckill_stock_asked(ngx_rush_req_t *q)
{
    ngx_seckill_admin_stock_t  *a = q->data;

    /* a duplicate: an earlier try has asked for it */

    if (q->rows && q->rows->affected == 0) {
        return ngx_seckill_read_activity(q);
    }

    rush_json_open(&q->out, NULL, '{');
    rush_json_id(&q->out, "op_id", a->op);
    rush_json_id(&q->out, "activity_id", a->id);
    rush_json_int(&q->out, "delta", a->delta);
    rush_json_text(&q->out, "state", "asked");
    rush_json_close(&q->out, '}');

    return NGX_DONE;
}


static ngx_int_t
ngx_seckill_stock_refused(ngx_rush_req_t *q)
{
    return q->rows->n ? RUSH_ACTIVITY_STATE : RUSH_NOT_FOUND;
}
