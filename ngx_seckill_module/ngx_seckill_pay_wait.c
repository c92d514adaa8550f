
/*
 * Copyright (C) Rush
 */


#include "ngx_seckill_pay.h"


#define NGX_SECKILL_STATE_NAME(NAME, number, name)  name,

static const char  *ngx_seckill_payment_names[] = {
    RUSH_PAYMENT_STATES(NGX_SECKILL_STATE_NAME)
};

#define NGX_SECKILL_PAYMENT_NAMES                                             \
    (sizeof(ngx_seckill_payment_names) / sizeof(char *))


static void ngx_seckill_pay_nudged(void *data, redisReply *reply,
    rush_outcome_e outcome);
static void ngx_seckill_put_poll(rush_buf_t *b, int64_t payment);


const char *
ngx_seckill_payment_name(int64_t state)
{
    return (state >= 0 && state < (int64_t) NGX_SECKILL_PAYMENT_NAMES)
           ? ngx_seckill_payment_names[state] : "";
}


/* the consumer finds the row by itself within a second or so */

void
ngx_seckill_pay_nudge(const char *kind, int64_t id)
{
    u_char     text[NGX_INT64_LEN];
    ngx_str_t  args[10];

    ngx_str_set(&args[0], "XADD");
    ngx_str_set(&args[1], RUSH_TELL_KEY);
    ngx_str_set(&args[2], "MAXLEN");
    ngx_str_set(&args[3], "~");
    ngx_str_set(&args[4], "10000");
    ngx_str_set(&args[5], "*");
    ngx_str_set(&args[6], "k");
    args[7].data = (u_char *) kind;
    args[7].len = ngx_strlen(kind);
    ngx_str_set(&args[8], "i");
    args[9].data = text;
    args[9].len = ngx_sprintf(text, "%L", id) - text;

    (void) ngx_rush_redis_send(NGX_RUSH_LANE_SIDE, 10, args, 0,
                               ngx_seckill_pay_nudged, NULL);
}


static void
ngx_seckill_pay_nudged(void *data, redisReply *reply, rush_outcome_e outcome)
{
    /* nobody waits */
}


ngx_int_t
ngx_seckill_pay_sleep(ngx_rush_req_t *q)
{
    ngx_seckill_wait_t  *w = q->data;

    ngx_msec_t  pause;

    if (!w->waiting) {
        w->waiting = 1;
        w->started = ngx_current_msec;
        w->pause = NGX_SECKILL_PAY_FIRST;
    }

    pause = w->pause;
    w->pause = ngx_min(pause * 2, NGX_SECKILL_PAY_MOST);

    return ngx_rush_sleep(q, pause);
}


ngx_int_t
ngx_seckill_pay_look(ngx_rush_req_t *q)
{
    ngx_seckill_wait_t  *w = q->data;

    ngx_rush_param_t  p[2];

    p[0] = ngx_rush_p_int(w->payment);
    p[1] = ngx_rush_p_int(q->user.user);

    return ngx_rush_query(q, &ngx_seckill_sql[NGX_SECKILL_SQL_PAYMENT_MINE],
                          p, 2, RUSH_INTERNAL);
}


ngx_int_t
ngx_seckill_pay_again(ngx_rush_req_t *q)
{
    q->step -= 3;                       /* ngx_seckill_pay_sleep() */

    return NGX_OK;
}


ngx_uint_t
ngx_seckill_pay_may_wait(ngx_rush_req_t *q)
{
    ngx_seckill_wait_t  *w = q->data;

    return !w->waiting
           || ngx_current_msec - w->started + w->pause < NGX_SECKILL_PAY_WAIT;
}


ngx_int_t
ngx_seckill_pay_unknown(ngx_rush_req_t *q)
{
    ngx_seckill_wait_t  *w = q->data;

    rush_json_open(&q->out, NULL, '{');
    rush_json_id(&q->out, "payment_id", w->payment);
    ngx_seckill_put_poll(&q->out, w->payment);
    rush_json_close(&q->out, '}');

    return RUSH_UNKNOWN;
}


void
ngx_seckill_put_refusal(rush_buf_t *b, int64_t payment, int64_t state,
    ngx_str_t *cause)
{
    rush_json_open(b, NULL, '{');
    rush_json_id(b, "payment_id", payment);
    rush_json_int(b, "state", state);
    rush_json_text(b, "state_text", ngx_seckill_payment_name(state));

    if (cause) {
        rush_json_text(b, "cause", ngx_seckill_pay_class(cause));
    }

    rush_json_close(b, '}');
}


/* the first ones are words of the consumer (consumer/teller*.c) */

const char *
ngx_seckill_pay_class(ngx_str_t *cause)
{
    ngx_uint_t  i;

    static const struct {
        ngx_str_t    cause;
        const char  *class;
    } classes[] = {
        { ngx_string("the provider is not configured"), "not_configured" },
        { ngx_string("no such channel"), "not_configured" },
        { ngx_string("nobody knows the payer's openid"), "payer_unknown" },
        { ngx_string("the order waits no more"), "too_late" },
        { ngx_null_string, "refused" }
    };

    for (i = 0; classes[i].cause.len; i++) {

        if (classes[i].cause.len == cause->len
            && ngx_memcmp(classes[i].cause.data, cause->data, cause->len)
               == 0)
        {
            break;
        }
    }

    return classes[i].class;
}


static void
ngx_seckill_put_poll(rush_buf_t *b, int64_t payment)
{
    u_char      text[sizeof("/api/v1/payment//status") + NGX_INT64_LEN];
    rush_str_t  path;

    path.data = text;
    path.len = ngx_sprintf(text, "/api/v1/payment/%L/status", payment) - text;

    rush_json_str(b, "poll", &path);
    rush_json_int(b, "poll_after_ms", NGX_SECKILL_PAY_POLL);
}


void
ngx_seckill_put_payment(rush_buf_t *b, ngx_rush_rows_t *rows, ngx_uint_t row)
{
    int64_t     id, state, deadline;
    ngx_str_t  *params;

    id = ngx_rush_cell_int(rows, row, Y_ID);
    state = ngx_rush_cell_int(rows, row, Y_STATE);
    deadline = ngx_rush_cell_int(rows, row, Y_DEADLINE);
    params = ngx_rush_cell(rows, row, Y_PARAMS);

    rush_json_open(b, NULL, '{');
    rush_json_id(b, "id", id);
    rush_json_str(b, "order_no",
                  (rush_str_t *) ngx_rush_cell(rows, row, Y_ORDER_NO));
    rush_json_text(b, "channel", ngx_seckill_channel_name(
                                 ngx_rush_cell_int(rows, row, Y_CHANNEL)));
    rush_json_int(b, "amount", ngx_rush_cell_int(rows, row, Y_AMOUNT));
    rush_json_text(b, "currency", NGX_SECKILL_CURRENCY);
    rush_json_int(b, "state", state);
    rush_json_text(b, "state_text", ngx_seckill_payment_name(state));

    if (state == RUSH_PAYMENT_OPEN && params->len > 1
        && params->data[0] == '{')
    {
        rush_json_raw(b, "params", params->data, params->len);
    }

    if (state == RUSH_PAYMENT_FAILED) {
        rush_json_text(b, "cause", ngx_seckill_pay_class(
                                       ngx_rush_cell(rows, row, Y_CAUSE)));
    }

    rush_json_int(b, "refunded", ngx_rush_cell_int(rows, row, Y_REFUNDED));
    rush_json_int(b, "returned", ngx_rush_cell_int(rows, row, Y_RETURNED));
    rush_json_time(b, "pay_deadline", deadline);
    rush_json_int(b, "pay_deadline_ms", deadline);
    rush_json_time(b, "created_at", ngx_rush_cell_int(rows, row, Y_CREATED));
    rush_json_time(b, "paid_at", ngx_rush_cell_int(rows, row, Y_PAID));
    rush_json_time(b, "closed_at", ngx_rush_cell_int(rows, row, Y_CLOSED));

    if (state == RUSH_PAYMENT_ASKED || state == RUSH_PAYMENT_OPEN
        || state == RUSH_PAYMENT_CLOSING || state == RUSH_PAYMENT_LATE)
    {
        ngx_seckill_put_poll(b, id);
    }

    rush_json_close(b, '}');
}
