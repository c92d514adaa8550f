
/*
 * Copyright (C) Rush
 */


#include "ngx_seckill_pay.h"


/*
 * Money that came in another amount than was asked for: it pays nothing, and
 * goes back when an administrator says so, all of it, once.  How much it is
 * tells the provider only: where it can still be asked, it is asked first,
 * since a notice that is wrong is followed by an answer that is right.
 */


#define NGX_SECKILL_GIVE_TRIES  3       /* to insert */


/* columns of mismatch_why */

enum {
    G_STATE = 0, G_TOLD, G_SURE, G_REFUND
};


static ngx_int_t ngx_seckill_give_look(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_give_looked(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_give_inserted(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_give_show(ngx_rush_req_t *q);

static ngx_int_t ngx_seckill_give_ask(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_give_insert(ngx_rush_req_t *q, int64_t told);


ngx_rush_step_t  ngx_seckill_give_back_steps[] = {
    ngx_rush_step(ngx_seckill_give_look),       /* mysql */
    ngx_rush_step(ngx_seckill_give_looked),     /* mysql: the whole effect, or
                                                   the question */
    ngx_rush_step(ngx_seckill_give_inserted),   /* mysql: reads it back;
                                                   asleep after a question */
    ngx_rush_step(ngx_seckill_give_show),
    ngx_rush_null_step
};


static ngx_int_t
ngx_seckill_give_look(ngx_rush_req_t *q)
{
    ngx_seckill_give_back_t  *give = q->data;

    ngx_rush_param_t  p;

    give->asking = 0;
    p = ngx_rush_p_int(give->id);

    return ngx_rush_query(q, &ngx_seckill_sql[NGX_SECKILL_SQL_MISMATCH_WHY],
                          &p, 1, RUSH_INTERNAL);
}


static ngx_int_t
ngx_seckill_give_looked(ngx_rush_req_t *q)
{
    ngx_seckill_give_back_t  *give = q->data;

    int64_t  told, state;

    if (q->rows->n == 0) {
        return RUSH_NOT_FOUND;
    }

    give->made = ngx_rush_cell_int(q->rows, 0, G_REFUND);

    if (give->made) {
        give->found = 1;
        return NGX_OK;
    }

    state = ngx_rush_cell_int(q->rows, 0, G_STATE);

    switch (state) {

    case RUSH_PAYMENT_ASKED:
    case RUSH_PAYMENT_OPEN:
    case RUSH_PAYMENT_CLOSING:
        told = ngx_rush_cell_int(q->rows, 0, G_SURE);
        break;

    case RUSH_PAYMENT_CLOSED:
    case RUSH_PAYMENT_FAILED:           /* nobody asks about it any more */
        told = ngx_rush_cell_int(q->rows, 0, G_TOLD);
        break;

    default:
        ngx_seckill_put_refusal(&q->out, give->id, state, NULL);
        return RUSH_PAY_STATE;
    }

    if (ngx_rush_cell_int(q->rows, 0, G_TOLD) == 0) {
        return ngx_seckill_refund_refuse(q, 0);
    }

    if (state == RUSH_PAYMENT_ASKED || told == 0) {
        return ngx_seckill_give_ask(q);
    }

    if (ngx_rush_given(q, "amount") && give->amount != told) {
        return ngx_seckill_refund_refuse(q, told);
    }

    return ngx_seckill_give_insert(q, told);
}


static ngx_int_t
ngx_seckill_give_ask(ngx_rush_req_t *q)
{
    ngx_seckill_give_back_t  *give = q->data;

    ngx_rush_param_t  p[2];

    if (!ngx_seckill_pay_may_wait(q)) {
        return RUSH_BUSY;               /* nothing was done */
    }

    give->asking = 1;

    if (give->wait.waiting) {
        return NGX_OK;
    }

    p[0] = ngx_rush_p_int(ngx_rush_now_ms());
    p[1] = ngx_rush_p_int(give->id);

    return ngx_rush_query(q, &ngx_seckill_sql[NGX_SECKILL_SQL_MISMATCH_ASK],
                          p, 2, RUSH_INTERNAL);
}


static ngx_int_t
ngx_seckill_give_insert(ngx_rush_req_t *q, int64_t told)
{
    ngx_seckill_give_back_t  *give = q->data;

    ngx_rush_param_t  p[9];

    give->made = ngx_rush_made_id(q);

    if (give->made == 0) {
        return RUSH_BUSY;
    }

    p[0] = ngx_rush_p_int(give->made);
    p[1] = ngx_rush_p_int(told);
    p[2] = p[1];
    p[3] = ngx_rush_p_str(&give->reason);
    p[4] = ngx_rush_p_int(q->user.user);
    p[5] = ngx_rush_p_int(ngx_rush_now_ms());
    p[6] = p[5];
    p[7] = p[5];
    p[8] = ngx_rush_p_int(give->id);

    return ngx_rush_query(q,
                          &ngx_seckill_sql[NGX_SECKILL_SQL_MISMATCH_INSERT],
                          p, 9, NGX_OK);
}


static ngx_int_t
ngx_seckill_give_inserted(ngx_rush_req_t *q)
{
    ngx_seckill_give_back_t  *give = q->data;

    ngx_rush_param_t  p;

    if (give->asking) {

        if (!give->wait.waiting) {
            ngx_seckill_pay_nudge("pay", give->id);
        }

        q->step -= 3;                   /* ngx_seckill_give_look() */

        return ngx_seckill_pay_sleep(q);
    }

    if (!give->found) {

        if (q->rows == NULL || q->rows->affected == 0) {

            /* another request, or the provider's answer, came between */

            if (++give->tries == NGX_SECKILL_GIVE_TRIES) {
                return RUSH_BUSY;
            }

            q->step -= 3;               /* ngx_seckill_give_look() */
            return NGX_OK;
        }

        q->object = give->made;
        ngx_seckill_pay_nudge("refund", give->made);
    }

    p = ngx_rush_p_int(give->made);

    return ngx_rush_query(q, &ngx_seckill_sql[NGX_SECKILL_SQL_REFUND_ONE], &p,
                          1, RUSH_INTERNAL);
}


/* also that of an earlier request, whoever made it */

static ngx_int_t
ngx_seckill_give_show(ngx_rush_req_t *q)
{
    ngx_seckill_give_back_t  *give = q->data;

    if (q->rows->n == 0) {
        return RUSH_NOT_FOUND;
    }

    if (ngx_rush_given(q, "amount")
        && ngx_rush_cell_int(q->rows, 0, F_AMOUNT) != give->amount)
    {
        return ngx_seckill_refund_refuse(q, 0);
    }

    ngx_seckill_put_refund(&q->out, q->rows, 0, 1);

    return NGX_OK;
}
