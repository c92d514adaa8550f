
/*
 * Copyright (C) Rush
 */


#include "ngx_seckill.h"
#include "ngx_rush_counters.h"


static ngx_int_t ngx_seckill_find(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_find_sale(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_surely(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_reserve(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_reserved(ngx_rush_req_t *q);

static void ngx_seckill_buy_known(ngx_rush_req_t *q, ngx_int_t code,
    rush_str_t *order_no);
static void ngx_seckill_buy_unknown(ngx_rush_req_t *q,
    ngx_seckill_buyer_t *buyer);
static ngx_int_t ngx_seckill_buy_code(ngx_int_t code);
static ngx_uint_t ngx_seckill_buy_tally(ngx_int_t code,
    rush_outcome_e outcome);


ngx_rush_step_t  ngx_seckill_buy_steps[] = {
    ngx_rush_step(ngx_seckill_find),            /* shm: may refuse */
    ngx_rush_step(ngx_seckill_surely),          /* redis, when the node has
                                                   not heard from it */
    ngx_rush_step(ngx_seckill_reserve),         /* redis: buy.lua, batched */
    ngx_rush_step(ngx_seckill_reserved),
    ngx_rush_null_step
};


ngx_rush_step_t  ngx_seckill_buy_product_steps[] = {
    ngx_rush_step(ngx_seckill_find_sale),    /* shm: may refuse */
    ngx_rush_step(ngx_seckill_surely),
    ngx_rush_step(ngx_seckill_reserve),
    ngx_rush_step(ngx_seckill_reserved),
    ngx_rush_null_step
};


static ngx_int_t
ngx_seckill_find(ngx_rush_req_t *q)
{
    ngx_seckill_buy_t  *buy = q->data;

    ngx_int_t            rc;
    ngx_seckill_slot_t  *slot;

    slot = ngx_seckill_find_slot(buy->id);

    if (slot == NULL) {
        return ngx_seckill_no_slot();
    }

    if (buy->quantity == 0) {
        buy->quantity = 1;
    }

    rc = ngx_seckill_admit(slot, ngx_seckill_now(), buy->retry != 0);

    if (rc == NGX_OK && ngx_seckill_batch_is_full(slot)) {
        rc = RUSH_CROWDED;
    }

    if (rc != NGX_OK) {
        /* this copy was not sent; an earlier one may have won */
        q->not_final = 1;

        ngx_rush_count(rc == RUSH_CROWDED ? NGX_RUSH_C_BUY_CROWDED
                                          : NGX_RUSH_C_BUY_FILTERED, 1);
        ngx_seckill_tally_refused(slot, rc);
        return rc;
    }

    buy->slot = slot;

    return NGX_OK;
}


static ngx_int_t
ngx_seckill_find_sale(ngx_rush_req_t *q)
{
    ngx_seckill_buy_t  *buy = q->data;

    int64_t               now;
    ngx_uint_t            i, n;
    ngx_seckill_slot_t  **slots;

    now = ngx_seckill_now();
    slots = ngx_seckill_sorted(&n);

    for (i = 0; i < n; i++) {

        if ((int64_t) slots[i]->product == buy->product_id
            && ngx_seckill_state(slots[i], now) != NGX_SECKILL_ENDED)
        {
            /* sorted by start: a running one comes before a later one */
            buy->id = slots[i]->id;
            return ngx_seckill_find(q);
        }
    }

    return ngx_seckill_shm->catalog_ms ? RUSH_NO_ACTIVITY : RUSH_BUSY;
}


/* who is refused needs no token that still holds; who may get a unit does */

static ngx_int_t
ngx_seckill_surely(ngx_rush_req_t *q)
{
    ngx_int_t  rc;

    rc = ngx_rush_sure(q);

    if (rc == NGX_AGAIN) {
        q->step--;
    }

    return rc;
}


static ngx_int_t
ngx_seckill_reserve(ngx_rush_req_t *q)
{
    ngx_seckill_buy_t  *buy = q->data;

    int64_t               id;
    ngx_seckill_buyer_t  *buyer;

    id = ngx_rush_id();

    if (id == 0) {
        return RUSH_BUSY;               /* the clock stepped back too far */
    }

    (void) RUSH_FP("W1");

    buyer = ngx_seckill_batch_add(buy->slot);

    if (buyer == NULL) {
        return RUSH_BUSY;
    }

    buyer->order_id = id;
    buyer->order_no_len = rush_order_no_format(buyer->order_no, id,
                                               buyer->activity);
    buyer->user_len = ngx_sprintf(buyer->user, "%L", q->user.user)
                      - buyer->user;
    buyer->qty_len = ngx_sprintf(buyer->qty, "%L", buy->quantity)
                     - buyer->qty;

    if (buy->idempotency_key.len) {
        buyer->keyed = 1;
        buyer->req_len = buy->idempotency_key.len;
        ngx_memcpy(buyer->req, buy->idempotency_key.data, buyer->req_len);

    } else {
        buyer->req_len = buyer->order_no_len;
        ngx_memcpy(buyer->req, buyer->order_no, buyer->req_len);
    }

    return ngx_rush_op_start(q, &buyer->op);
}


static ngx_int_t
ngx_seckill_reserved(ngx_rush_req_t *q)
{
    ngx_seckill_buy_t  *buy = q->data;

    rush_buf_t  *b;
    rush_str_t   order_no;

    order_no.data = buy->order_no;
    order_no.len = buy->order_no_len;

    b = &q->out;

    rush_json_open(b, NULL, '{');
    rush_json_str(b, "order_no", &order_no);
    rush_json_str(b, "request_id", (rush_str_t *) &buy->req);
    rush_json_text(b, "status", "queued");

    if (buy->replayed) {
        rush_json_bool(b, "replayed", 1);
    }

    rush_buf_puts(b, ",\"poll\":\"/api/v1/seckill/results/");
    rush_buf_add(b, order_no.data, order_no.len);
    rush_buf_puts(b, "\",\"poll_after_ms\":200}");

    return NGX_OK;
}


void
ngx_seckill_buy_finish(ngx_seckill_buyer_t *buyer, ngx_int_t code,
    rush_str_t *order_no, rush_outcome_e outcome)
{
    u_char             *p;
    ngx_rush_req_t     *q;
    ngx_seckill_buy_t  *buy;

    q = ngx_rush_op_finish(&buyer->op);

    ngx_seckill_tally_answered(buyer->activity,
                               ngx_seckill_buy_tally(code, outcome),
                               q ? q->r : NULL);

    if (q == NULL) {
        return;                         /* the order stands; it can be seen */
    }

    /* the batch goes back to its list, the request may live longer */

    buy = q->data;

    p = ngx_pnalloc(q->r->pool, buyer->req_len);

    if (p == NULL) {
        ngx_rush_resume(q, RUSH_INTERNAL);
        return;
    }

    ngx_memcpy(p, buyer->req, buyer->req_len);
    buy->req.data = p;
    buy->req.len = buyer->req_len;

    ngx_memcpy(buy->order_no, buyer->order_no, buyer->order_no_len);
    buy->order_no_len = buyer->order_no_len;

    switch (outcome) {

    case RUSH_DONE:
        ngx_seckill_buy_known(q, code, order_no);
        return;

    case RUSH_NOT_DONE:
        ngx_rush_resume(q, RUSH_BUSY);
        return;

    case RUSH_GATE_SHUT:
        ngx_rush_resume(q, RUSH_CLOSED);
        return;

    case RUSH_MAYBE:
        ngx_seckill_buy_unknown(q, buyer);
        return;
    }
}


static void
ngx_seckill_buy_known(ngx_rush_req_t *q, ngx_int_t code, rush_str_t *order_no)
{
    ngx_seckill_buy_t  *buy = q->data;

    if (code != RUSH_GRANTED && code != RUSH_REPLAYED) {
        code = ngx_seckill_buy_code(code);
        q->final = (code != RUSH_BUSY);

        ngx_rush_count(NGX_RUSH_C_BUY_REFUSED, 1);
        ngx_rush_resume(q, code);
        return;
    }

    buy->replayed = (code == RUSH_REPLAYED);

    if (buy->replayed) {
        buy->order_no_len = ngx_min(order_no->len, RUSH_ORDER_NO_LEN);
        ngx_memcpy(buy->order_no, order_no->data, buy->order_no_len);
    }

    ngx_rush_count(buy->replayed ? NGX_RUSH_C_BUY_REPLAYED
                                 : NGX_RUSH_C_BUY_GRANTED, 1);
    ngx_rush_resume(q, NGX_OK);
}


static ngx_uint_t
ngx_seckill_buy_tally(ngx_int_t code, rush_outcome_e outcome)
{
    switch (outcome) {

    case RUSH_MAYBE:
        return NGX_SECKILL_T_UNKNOWN;

    case RUSH_GATE_SHUT:
        return NGX_SECKILL_T_CLOSED;

    case RUSH_NOT_DONE:
        return NGX_SECKILL_T_BUSY;

    default: /* RUSH_DONE */
        break;
    }

    return code == RUSH_GRANTED ? NGX_SECKILL_T_SUCCESS
           : code == RUSH_REPLAYED ? NGX_SECKILL_T_REPLAYED
           : ngx_seckill_tally_of(ngx_seckill_buy_code(code));
}


static ngx_int_t
ngx_seckill_buy_code(ngx_int_t code)
{
    switch (code) {

    case RUSH_GIVEN_BACK:
        return RUSH_RELEASED;

    case RUSH_REFUSED:
        return RUSH_DENIED;

    case RUSH_NOT_ON:
        return RUSH_PAUSED;

    case RUSH_EARLY:
        return RUSH_NOT_STARTED;

    case RUSH_OVER:
        return RUSH_ENDED;

    case RUSH_BAD_QTY:
        return RUSH_QUANTITY;

    case RUSH_OVER_LIMIT:
        return RUSH_BUY_LIMIT;

    case RUSH_NO_STOCK:
        return RUSH_SOLD_OUT;
    }

    /* RUSH_TOO_LATE, RUSH_OLD_EPOCH: looked at, certainly not granted */

    return RUSH_BUSY;
}


static void
ngx_seckill_buy_unknown(ngx_rush_req_t *q, ngx_seckill_buyer_t *buyer)
{
    rush_buf_t         *b;
    ngx_seckill_buy_t  *buy;

    buy = q->data;
    b = &q->out;

    ngx_rush_count(NGX_RUSH_C_BUY_UNKNOWN, 1);

    rush_json_open(b, NULL, '{');
    rush_json_str(b, "request_id", (rush_str_t *) &buy->req);
    rush_buf_puts(b, ",\"poll\":\"/api/v1/seckill/requests/");
    rush_buf_add(b, buy->req.data, buy->req.len);
    rush_buf_printf(b, "?activity_id=%lld\",\"poll_after_ms\":500}",
                    (long long) buyer->activity);

    ngx_rush_resume(q, RUSH_UNKNOWN);
}
