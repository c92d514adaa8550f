
/*
 * Copyright (C) Rush
 *
 * An ordinary order.  The worker refuses what cannot be had as far as one
 * look at MySQL tells, and hands over the rest by order.lua; the consumer
 * decides (consumer/ordinary.h).
 *
 * The same Idempotency-Key gets the same order, also when the engine does not
 * remember it: by the row, or, while there is none, by a key in Redis that
 * outlives the row's coming.
 */


#include "ngx_seckill_order.h"


/* columns of order_check */

enum {
    C_STATUS = 0, C_STOCK, C_ADDRESS, C_ORDER_NO, C_HASH
};


typedef struct {
    ngx_rush_op_t  op;                  /* must be first */
} ngx_seckill_place_op_t;


static ngx_int_t ngx_seckill_check_order(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_order_checked(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_order_placed(ngx_rush_req_t *q);

static ngx_int_t ngx_seckill_place_known(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_place_send(ngx_rush_req_t *q);
static void ngx_seckill_place_answered(void *data, redisReply *reply,
    rush_outcome_e outcome);
static void ngx_seckill_put_placed(ngx_rush_req_t *q, const char *status,
    ngx_uint_t pause);


ngx_rush_step_t  ngx_seckill_order_place_steps[] = {
    ngx_rush_step(ngx_seckill_check_order),     /* mysql */
    ngx_rush_step(ngx_seckill_order_checked),   /* redis: order.lua */
    ngx_rush_step(ngx_seckill_order_placed),
    ngx_rush_null_step
};


static ngx_int_t
ngx_seckill_check_order(ngx_rush_req_t *q)
{
    ngx_seckill_order_place_t  *order = q->data;

    int64_t           id;
    ngx_rush_param_t  p[5];

    if (!ngx_seckill_sells()) {
        return RUSH_CLOSED;
    }

    if (order->quantity == 0) {
        order->quantity = 1;
    }

    id = ngx_rush_made_id(q);

    if (id == 0) {
        return RUSH_BUSY;               /* the clock stepped back too far */
    }

    order->order_no_len = rush_order_no_format(order->order_no, id, 0);
    order->hash = rush_order_hash(order->product_id, order->quantity,
                                  order->address_id,
                                  (rush_str_t *) &order->remark);

    order->req = q->key;

    if (order->req.len == 0) {
        order->req.data = order->order_no;
        order->req.len = order->order_no_len;
    }

    p[0] = ngx_rush_p_int(order->product_id);
    p[1] = ngx_rush_p_int(order->address_id);
    p[2] = ngx_rush_p_int(q->user.user);
    p[3] = p[2];
    p[4] = ngx_rush_p_str(&order->req);

    return ngx_rush_query(q, &ngx_seckill_sql[NGX_SECKILL_SQL_ORDER_CHECK],
                          p, 5, RUSH_INTERNAL);
}


static ngx_int_t
ngx_seckill_order_checked(ngx_rush_req_t *q)
{
    ngx_seckill_order_place_t  *order = q->data;

    if (q->rows->n == 0) {
        return RUSH_INTERNAL;
    }

    if (ngx_rush_cell(q->rows, 0, C_ORDER_NO)->data) {
        return ngx_seckill_place_known(q);
    }

    if (ngx_rush_cell_int(q->rows, 0, C_STATUS) != 1) {
        order->refused = RUSH_PRODUCT_OFF;

    } else if (order->address_id
               && ngx_rush_cell(q->rows, 0, C_ADDRESS)->data == NULL)
    {
        order->refused = RUSH_ADDRESS_UNKNOWN;

    } else if (ngx_rush_cell_int(q->rows, 0, C_STOCK) < order->quantity) {
        order->refused = RUSH_PRODUCT_STOCK;
    }

    /* an earlier request with this id may be on its way, and have had what
     * is gone now: order.lua knows */

    if (order->refused && q->key.len == 0) {
        return order->refused;
    }

    return ngx_seckill_place_send(q);
}


static ngx_int_t
ngx_seckill_place_known(ngx_rush_req_t *q)
{
    ngx_seckill_order_place_t  *order = q->data;

    ngx_str_t  *no;

    if (ngx_rush_cell_int(q->rows, 0, C_HASH) != order->hash) {
        return RUSH_KEY_REUSED;
    }

    no = ngx_rush_cell(q->rows, 0, C_ORDER_NO);

    order->replayed = 1;
    order->order_no_len = ngx_min(no->len, RUSH_ORDER_NO_LEN);
    ngx_memcpy(order->order_no, no->data, order->order_no_len);

    ngx_seckill_put_placed(q, "queued", 200);

    return NGX_DONE;
}


static ngx_int_t
ngx_seckill_place_send(ngx_rush_req_t *q)
{
    ngx_seckill_order_place_t  *order = q->data;

    u_char                  *p, *last;
    u_char                   text[2 * sizeof(RUSH_ORDER_KEY)
                                  + RUSH_ORDER_NO_LEN + RUSH_REQ_MAX
                                  + 10 * NGX_INT64_LEN];
    int64_t                  numbers[8];
    ngx_str_t                args[17], *arg;
    ngx_uint_t               i;
    ngx_seckill_place_op_t  *op;

    /* the positions of the numbers among the arguments */

    static const ngx_uint_t  at[] = { 1, 3, 4, 5, 7, 8, 9, 10 };

    numbers[0] = q->user.user;
    numbers[1] = order->product_id;
    numbers[2] = order->quantity;
    numbers[3] = order->address_id;
    numbers[4] = order->hash;
    numbers[5] = ngx_seckill_conf->order_backlog;
    numbers[6] = RUSH_ORDER_KEPT;
    numbers[7] = order->refused ? 1 : 0;

    p = text;
    last = text + sizeof(text);
    arg = args;

    ngx_str_set(&arg[0], "EVALSHA");
    arg[1].data = ngx_seckill_sha[RUSH_LUA_ORDER];
    arg[1].len = 40;
    ngx_str_set(&arg[2], "2");
    ngx_str_set(&arg[3], RUSH_ORDERS_KEY);

    arg[4].data = p;
    p = ngx_slprintf(p, last, RUSH_ORDER_KEY "%*s", order->order_no_len,
                     order->order_no);
    arg[4].len = p - arg[4].data;
    arg += 5;

    if (q->key.len) {
        ngx_str_set(&args[2], "3");
        arg->data = p;
        p = ngx_slprintf(p, last, RUSH_ORDER_KEY "%L:%V", q->user.user,
                         &order->req);
        arg->len = p - arg->data;
        arg++;
    }

    arg[0].data = order->order_no;
    arg[0].len = order->order_no_len;
    arg[2] = order->req;
    arg[6] = order->remark;

    for (i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
        arg[at[i]].data = p;
        p = ngx_slprintf(p, last, "%L", numbers[i]);
        arg[at[i]].len = p - arg[at[i]].data;
    }

    op = ngx_alloc(sizeof(ngx_seckill_place_op_t), q->r->connection->log);
    if (op == NULL) {
        return NGX_ERROR;
    }

    (void) RUSH_FP("W20");

    if (ngx_rush_redis_send(NGX_RUSH_LANE_SIDE, arg + 11 - args, args, 0,
                            ngx_seckill_place_answered, op)
        != NGX_OK)
    {
        ngx_free(op);
        return RUSH_BUSY;
    }

    return ngx_rush_op_start(q, &op->op);
}


static void
ngx_seckill_place_answered(void *data, redisReply *reply,
    rush_outcome_e outcome)
{
    ngx_seckill_place_op_t  *op = data;

    ngx_rush_req_t  *q;

    q = ngx_rush_op_finish(&op->op);
    ngx_free(op);

    if (q == NULL) {
        return;                         /* the order stands; it can be seen */
    }

    switch (outcome) {

    case RUSH_DONE:
        q->reply = reply;
        ngx_rush_resume(q, NGX_OK);
        return;

    case RUSH_NOT_DONE:
        ngx_rush_resume(q, RUSH_BUSY);
        return;

    case RUSH_GATE_SHUT:
        ngx_rush_resume(q, RUSH_CLOSED);
        return;

    case RUSH_MAYBE:
        ngx_seckill_put_placed(q, "unknown", 500);
        ngx_rush_resume(q, RUSH_UNKNOWN);
        return;
    }
}


static ngx_int_t
ngx_seckill_order_placed(ngx_rush_req_t *q)
{
    ngx_seckill_order_place_t  *order = q->data;

    int64_t  id, activity;

    if (q->reply->type == REDIS_REPLY_INTEGER) {
        return q->reply->integer == -2 ? RUSH_KEY_REUSED
               : q->reply->integer == -3 ? (ngx_int_t) order->refused
               : RUSH_BUSY;
    }

    if (q->reply->type != REDIS_REPLY_STRING
        || rush_order_no_parse((u_char *) q->reply->str, q->reply->len, &id,
                               &activity)
           != RUSH_OK)
    {
        ngx_log_error(NGX_LOG_ERR, q->r->connection->log, 0,
                      "order.lua: unexpected reply");
        return RUSH_BUSY;
    }

    if ((size_t) q->reply->len != order->order_no_len
        || ngx_memcmp(q->reply->str, order->order_no, order->order_no_len)
           != 0)
    {
        order->replayed = 1;
        order->order_no_len = q->reply->len;
        ngx_memcpy(order->order_no, q->reply->str, order->order_no_len);
    }

    ngx_seckill_put_placed(q, "queued", 200);

    return NGX_OK;
}


static void
ngx_seckill_put_placed(ngx_rush_req_t *q, const char *status,
    ngx_uint_t pause)
{
    ngx_seckill_order_place_t  *order = q->data;

    rush_buf_t  *b;
    rush_str_t   order_no;

    order_no.data = order->order_no;
    order_no.len = order->order_no_len;

    b = &q->out;

    rush_json_open(b, NULL, '{');
    rush_json_str(b, "order_no", &order_no);
    rush_json_str(b, "request_id", (rush_str_t *) &order->req);
    rush_json_text(b, "status", status);

    if (order->replayed) {
        rush_json_bool(b, "replayed", 1);
    }

    rush_buf_puts(b, ",\"poll\":\"/api/v1/seckill/results/");
    rush_buf_add(b, order_no.data, order_no.len);
    rush_buf_printf(b, "\",\"poll_after_ms\":%d}", (int) pause);
}
