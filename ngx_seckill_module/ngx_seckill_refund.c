
/*
 * Copyright (C) Rush
 */


#include "ngx_seckill_pay.h"


#define NGX_SECKILL_REFUND_TRIES  3     /* to insert */


/* columns of refundable */

enum {
    L_STATE = 0, L_STATUS, L_MINE, L_LEFT, L_REFUND
};


static ngx_int_t ngx_seckill_refund_ask(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_refund_asked(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_refund_inserted(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_refund_show(ngx_rush_req_t *q);

static ngx_int_t ngx_seckill_refund_insert(ngx_rush_req_t *q);

static ngx_int_t ngx_seckill_refunds_find(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_refunds_found(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_refunds_none(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_refund_find(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_refund_found(ngx_rush_req_t *q);


#define ngx_seckill_refund_steps                                              \
    ngx_rush_step(ngx_seckill_refund_ask),      /* mysql: what is left */     \
    ngx_rush_step(ngx_seckill_refund_asked),    /* mysql: the whole effect */ \
    ngx_rush_step(ngx_seckill_refund_inserted), /* mysql: reads it back */    \
    ngx_rush_step(ngx_seckill_refund_show),                                   \
    ngx_rush_null_step

ngx_rush_step_t  ngx_seckill_payment_refund_steps[] = {
    ngx_seckill_refund_steps
};

ngx_rush_step_t  ngx_seckill_admin_payment_refund_steps[] = {
    ngx_seckill_refund_steps
};

ngx_rush_step_t  ngx_seckill_wechat_refund_steps[] = {
    ngx_seckill_refund_steps
};


ngx_rush_step_t  ngx_seckill_payment_refunds_steps[] = {
    ngx_rush_step(ngx_seckill_refunds_find),    /* mysql */
    ngx_rush_step(ngx_seckill_refunds_found),   /* mysql, when there is none */
    ngx_rush_step(ngx_seckill_refunds_none),
    ngx_rush_null_step
};


ngx_rush_step_t  ngx_seckill_refund_detail_steps[] = {
    ngx_rush_step(ngx_seckill_refund_find),     /* mysql */
    ngx_rush_step(ngx_seckill_refund_found),
    ngx_rush_null_step
};


#define ngx_seckill_by_admin(q)                                               \
    (ngx_rush_auth((q)->route) == NGX_RUSH_ADMIN)


/*
 * A buyer's request is kept with its Idempotency-Key for good: a copy finds
 * the refund long after the first answer was forgotten.
 */

static ngx_int_t
ngx_seckill_refund_ask(ngx_rush_req_t *q)
{
    ngx_seckill_payment_refund_t  *refund = q->data;

    ngx_rush_param_t  p[6];

    if (refund->made == 0) {
        refund->made = ngx_rush_made_id(q);

        if (refund->made == 0) {
            return RUSH_BUSY;
        }
    }

    p[0] = ngx_rush_p_int(refund->made);
    p[3] = ngx_rush_p_int(refund->id);

    if (ngx_seckill_by_admin(q)) {
        p[1] = ngx_rush_p_null();
        p[2] = p[1];
        p[4] = p[1];

    } else {
        p[1] = ngx_rush_p_int(q->user.user);
        p[2] = q->key.len ? ngx_rush_p_str(&q->key) : ngx_rush_p_null();
        p[4] = p[1];
    }

    p[5] = p[4];

    return ngx_rush_query(q, &ngx_seckill_sql[NGX_SECKILL_SQL_REFUNDABLE], p,
                          6, RUSH_INTERNAL);
}


static ngx_int_t
ngx_seckill_refund_asked(ngx_rush_req_t *q)
{
    ngx_seckill_payment_refund_t  *refund = q->data;

    int64_t  id, left, status;

    if (q->rows->n == 0) {
        return RUSH_NOT_FOUND;
    }

    id = ngx_rush_cell_int(q->rows, 0, L_REFUND);

    if (id) {
        refund->found = 1;
        refund->made = id;
        return NGX_OK;
    }

    if (ngx_rush_cell_int(q->rows, 0, L_STATE) != RUSH_PAYMENT_PAID) {
        return RUSH_PAY_STATE;
    }

    status = ngx_rush_cell_int(q->rows, 0, L_STATUS);

    if (ngx_rush_cell_int(q->rows, 0, L_MINE) == 0
        || (status != NGX_SECKILL_PAID && status != NGX_SECKILL_SHIPPED
            && status != NGX_SECKILL_DONE && status != NGX_SECKILL_EXPIRED))
    {
        return RUSH_ORDER_STATE;
    }

    left = ngx_rush_cell_int(q->rows, 0, L_LEFT);

    if (!ngx_rush_given(q, "amount")) {
        refund->amount = left;
    }

    if (left <= 0 || refund->amount > left) {
        return ngx_seckill_refund_refuse(q, ngx_max(left, 0));
    }

    return ngx_seckill_refund_insert(q);
}


static ngx_int_t
ngx_seckill_refund_insert(ngx_rush_req_t *q)
{
    ngx_seckill_payment_refund_t  *refund = q->data;

    int64_t           now;
    ngx_rush_param_t  p[14];

    now = ngx_rush_now_ms();

    p[0] = ngx_rush_p_int(refund->made);
    p[1] = ngx_rush_p_int(refund->amount);
    p[2] = ngx_rush_p_str(&refund->reason);

    if (ngx_seckill_by_admin(q)) {
        p[3] = ngx_rush_p_int(RUSH_ORIGIN_ADMIN);
        p[4] = ngx_rush_p_int(RUSH_REFUND_APPROVED);
        p[5] = ngx_rush_p_int(q->user.user);
        p[6] = ngx_rush_p_null();
        p[11] = p[6];

    } else {
        p[3] = ngx_rush_p_int(RUSH_ORIGIN_USER);
        p[4] = ngx_rush_p_int(RUSH_REFUND_REQUESTED);
        p[5] = ngx_rush_p_int(0);
        p[6] = q->key.len ? ngx_rush_p_str(&q->key) : ngx_rush_p_null();
        p[11] = ngx_rush_p_int(q->user.user);
    }

    p[7] = ngx_rush_p_int(now);
    p[8] = p[7];
    p[9] = p[7];
    p[10] = ngx_rush_p_int(refund->id);
    p[12] = p[11];
    p[13] = p[1];

    return ngx_rush_query(q, &ngx_seckill_sql[NGX_SECKILL_SQL_REFUND_INSERT],
                          p, 14, NGX_OK);
}


ngx_int_t
ngx_seckill_refund_refuse(ngx_rush_req_t *q, int64_t left)
{
    rush_json_open(&q->out, NULL, '{');
    rush_json_int(&q->out, "left", left);
    rush_json_close(&q->out, '}');

    return RUSH_REFUND_SUM;
}


static ngx_int_t
ngx_seckill_refund_inserted(ngx_rush_req_t *q)
{
    ngx_seckill_payment_refund_t  *refund = q->data;

    ngx_rush_param_t  p;

    if (!refund->found) {

        if (q->rows == NULL || q->rows->affected == 0) {

            /* a copy of this request, or another one, came between */

            if (++refund->tries == NGX_SECKILL_REFUND_TRIES) {
                return RUSH_BUSY;
            }

            q->step -= 3;               /* ngx_seckill_refund_ask() */
            return NGX_OK;
        }

        q->object = refund->made;

        if (ngx_seckill_by_admin(q)) {
            ngx_seckill_pay_nudge("refund", refund->made);
        }
    }

    p = ngx_rush_p_int(refund->made);

    return ngx_rush_query(q, &ngx_seckill_sql[NGX_SECKILL_SQL_REFUND_ONE], &p,
                          1, RUSH_INTERNAL);
}


static ngx_int_t
ngx_seckill_refund_show(ngx_rush_req_t *q)
{
    ngx_seckill_payment_refund_t  *refund = q->data;

    if (q->rows->n == 0) {
        return RUSH_NOT_FOUND;
    }

    if (ngx_rush_cell_int(q->rows, 0, F_PAYMENT) != refund->id
        || (ngx_rush_given(q, "amount")
            && ngx_rush_cell_int(q->rows, 0, F_AMOUNT) != refund->amount))
    {
        return RUSH_KEY_REUSED;
    }

    ngx_seckill_put_refund(&q->out, q->rows, 0, ngx_seckill_by_admin(q));

    return NGX_OK;
}


static ngx_int_t
ngx_seckill_refunds_find(ngx_rush_req_t *q)
{
    ngx_seckill_payment_refunds_t  *list = q->data;

    ngx_rush_param_t  p[2];

    p[0] = ngx_rush_p_int(list->id);
    p[1] = ngx_rush_p_int(q->user.user);

    return ngx_rush_query(q,
                       &ngx_seckill_sql[NGX_SECKILL_SQL_REFUNDS_OF_PAYMENT],
                       p, 2, RUSH_INTERNAL);
}


static ngx_int_t
ngx_seckill_refunds_found(ngx_rush_req_t *q)
{
    ngx_seckill_payment_refunds_t  *list = q->data;

    ngx_uint_t        i;
    ngx_rush_param_t  p[2];

    rush_json_open(&q->out, NULL, '[');

    for (i = 0; i < q->rows->n; i++) {
        ngx_seckill_put_refund(&q->out, q->rows, i, 0);
    }

    rush_json_close(&q->out, ']');

    if (q->rows->n) {
        return NGX_DONE;
    }

    p[0] = ngx_rush_p_int(list->id);
    p[1] = ngx_rush_p_int(q->user.user);

    return ngx_rush_query(q, &ngx_seckill_sql[NGX_SECKILL_SQL_PAYMENT_MINE],
                          p, 2, RUSH_INTERNAL);
}


static ngx_int_t
ngx_seckill_refunds_none(ngx_rush_req_t *q)
{
    if (q->rows->n == 0) {
        rush_buf_reset(&q->out);
        return RUSH_NOT_FOUND;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_seckill_refund_find(ngx_rush_req_t *q)
{
    ngx_seckill_refund_detail_t  *refund = q->data;

    ngx_rush_param_t  p;

    p = ngx_rush_p_int(refund->refund_id);

    return ngx_rush_query(q, &ngx_seckill_sql[NGX_SECKILL_SQL_REFUND_ONE], &p,
                          1, RUSH_INTERNAL);
}


static ngx_int_t
ngx_seckill_refund_found(ngx_rush_req_t *q)
{
    ngx_seckill_refund_detail_t  *refund = q->data;

    if (q->rows->n == 0
        || ngx_rush_cell_int(q->rows, 0, F_USER) != q->user.user
        || ngx_rush_cell_int(q->rows, 0, F_PAYMENT) != refund->id)
    {
        return RUSH_NOT_FOUND;
    }

    ngx_seckill_put_refund(&q->out, q->rows, 0, 0);

    return NGX_OK;
}
