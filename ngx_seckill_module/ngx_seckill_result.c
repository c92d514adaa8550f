
/*
 * Copyright (C) Rush
 */


#include "ngx_seckill_row.h"


static ngx_int_t ngx_seckill_find_result(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_result_found(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_show_result(ngx_rush_req_t *q);

static ngx_int_t ngx_seckill_settle(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_settled(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_show_request(ngx_rush_req_t *q);

static void ngx_seckill_put_result(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_put_request(ngx_rush_req_t *q,
    const char *outcome, u_char *order_no, size_t len);
static ngx_int_t ngx_seckill_find_request(ngx_rush_req_t *q);


ngx_rush_step_t  ngx_seckill_result_steps[] = {
    ngx_rush_step(ngx_seckill_find_result),     /* mysql */
    ngx_rush_step(ngx_seckill_result_found),    /* redis, without a row */
    ngx_rush_step(ngx_seckill_show_result),     /* mysql, if not held */
    ngx_rush_step(ngx_seckill_result_found),
    ngx_rush_null_step
};


ngx_rush_step_t  ngx_seckill_request_steps[] = {
    ngx_rush_step(ngx_seckill_settle),          /* redis: settle.lua */
    ngx_rush_step(ngx_seckill_settled),         /* mysql, when not loaded */
    ngx_rush_step(ngx_seckill_show_request),
    ngx_rush_null_step
};


static ngx_int_t
ngx_seckill_find_result(ngx_rush_req_t *q)
{
    ngx_seckill_result_t  *result = q->data;

    if (rush_order_no_parse(result->order_no.data, result->order_no.len,
                            &result->order_id, &result->activity)
        != RUSH_OK)
    {
        return RUSH_NOT_FOUND;
    }

    return ngx_seckill_read_order(q, &result->order_no);
}


static ngx_int_t
ngx_seckill_result_found(ngx_rush_req_t *q)
{
    ngx_seckill_result_t  *result = q->data;

    if (ngx_seckill_is_strange(q)) {
        return RUSH_NOT_FOUND;
    }

    if (q->rows->n) {
        ngx_seckill_put_result(q);
        return NGX_DONE;
    }

    if (result->again || !ngx_seckill_is_young(result->order_id)) {
        return RUSH_NOT_FOUND;
    }

    return ngx_seckill_ask_order(q, &result->order_no, result->activity);
}


static void
ngx_seckill_put_result(ngx_rush_req_t *q)
{
    int64_t      status, deadline;
    ngx_str_t   *reason;
    rush_buf_t  *b;

    b = &q->out;
    status = ngx_rush_cell_int(q->rows, 0, O_STATUS);
    deadline = ngx_rush_cell_int(q->rows, 0, O_DEADLINE);
    reason = ngx_rush_cell(q->rows, 0, O_CANCEL_REASON);

    rush_json_open(b, NULL, '{');
    rush_json_str(b, "order_no",
                  (rush_str_t *) ngx_rush_cell(q->rows, 0, O_ORDER_NO));
    rush_json_text(b, "status", reason->len ? "failed" : "success");
    rush_json_int(b, "order_status", status);

    if (reason->len) {
        rush_json_str(b, "reason", (rush_str_t *) reason);
    }

    rush_json_int(b, "amount", ngx_rush_cell_int(q->rows, 0, O_AMOUNT));
    rush_json_time(b, "pay_deadline", deadline);
    rush_json_int(b, "pay_deadline_ms", deadline);
    rush_json_close(b, '}');
}


/*
 * No row yet.  The order may be on its way; if not, its row may have come
 * since MySQL was asked.
 */

static ngx_int_t
ngx_seckill_show_result(ngx_rush_req_t *q)
{
    ngx_seckill_result_t  *result = q->data;

    if (!ngx_seckill_is_coming(q, result->activity)) {
        result->again = 1;
        return ngx_seckill_read_order(q, &result->order_no);
    }

    rush_json_open(&q->out, NULL, '{');
    rush_json_str(&q->out, "order_no", (rush_str_t *) &result->order_no);
    rush_json_text(&q->out, "status", "queued");
    rush_json_int(&q->out, "poll_after_ms", 200);
    rush_json_close(&q->out, '}');

    return NGX_DONE;
}


static ngx_int_t
ngx_seckill_settle(ngx_rush_req_t *q)
{
    ngx_seckill_request_t  *request = q->data;

    char       meta[RUSH_KEY_LEN], users[RUSH_KEY_LEN];
    u_char     user[NGX_INT64_LEN];
    int64_t    id;
    ngx_str_t  sha, args[4];

    if (request->activity_id == 0) {

        /* an id that a worker made names its activity */

        if (rush_order_no_parse(request->request_id.data,
                                request->request_id.len, &id,
                                &request->activity_id)
            != RUSH_OK)
        {
            return ngx_seckill_find_request(q);
        }
    }

    request->settled = 1;

    sha.data = ngx_seckill_sha[RUSH_LUA_SETTLE];
    sha.len = 40;

    args[0].data = (u_char *) meta;
    args[0].len = rush_key(meta, request->activity_id, 'm');
    args[1].data = (u_char *) users;
    args[1].len = rush_key(users, request->activity_id, 'u');
    args[2].data = user;
    args[2].len = ngx_sprintf(user, "%L", q->user.user) - user;
    args[3] = request->request_id;

    return ngx_rush_script(q, &sha, 2, args, 4, RUSH_BUSY);
}


static ngx_int_t
ngx_seckill_settled(ngx_rush_req_t *q)
{
    ngx_seckill_request_t  *request = q->data;

    u_char  *p;
    size_t   len;

    if (!request->settled) {
        return ngx_seckill_show_request(q);
    }

    if (q->reply->type != REDIS_REPLY_STRING) {
        return ngx_seckill_find_request(q);     /* not loaded */
    }

    p = (u_char *) q->reply->str;
    len = q->reply->len;

    if (len == 0 || p[0] != '-') {
        return ngx_seckill_put_request(q, "granted", p, len);
    }

    return len == 1 ? ngx_seckill_put_request(q, "refused", NULL, 0)
                    : ngx_seckill_put_request(q, "given_back", p + 1,
                                              len - 1);
}


static ngx_int_t
ngx_seckill_find_request(ngx_rush_req_t *q)
{
    ngx_seckill_request_t  *request = q->data;

    ngx_rush_param_t  p[4];

    /* one id may stand for a buy in each of several activities */

    p[0] = ngx_rush_p_int(q->user.user);
    p[1] = ngx_rush_p_str(&request->request_id);
    p[2] = request->activity_id ? ngx_rush_p_int(request->activity_id)
                                : ngx_rush_p_null();
    p[3] = p[2];

    return ngx_rush_query(q, &ngx_seckill_sql[NGX_SECKILL_SQL_ORDER_BY_REQ],
                          p, 4, RUSH_INTERNAL);
}


static ngx_int_t
ngx_seckill_show_request(ngx_rush_req_t *q)
{
    ngx_seckill_request_t  *request = q->data;

    int64_t     state;
    ngx_str_t  *order_no;

    if (q->rows->n == 0) {

        if (request->activity_id == 0) {
            return ngx_rush_refuse(q, "activity_id",
                                   "is needed for an id that the client made");
        }

        /*
         * Without the activity in Redis nothing can be granted now, but the
         * rows of what was granted may still be on their way.
         */

        if (ngx_seckill_find_slot(request->activity_id)
            || ngx_seckill_shm->catalog_ms == 0)
        {
            return RUSH_CLOSED;
        }

        return RUSH_NOT_FOUND;
    }

    order_no = ngx_rush_cell(q->rows, 0, 0);
    state = ngx_rush_cell_int(q->rows, 0, 1);

    return ngx_seckill_put_request(q, state == 0 || state == 4 ? "granted"
                                                               : "given_back",
                                   order_no->data, order_no->len);
}


static ngx_int_t
ngx_seckill_put_request(ngx_rush_req_t *q, const char *outcome,
    u_char *order_no, size_t len)
{
    ngx_seckill_request_t  *request = q->data;

    rush_str_t  s;

    rush_json_open(&q->out, NULL, '{');
    rush_json_str(&q->out, "request_id", (rush_str_t *) &request->request_id);
    rush_json_text(&q->out, "outcome", outcome);

    if (len) {
        s.data = order_no;
        s.len = len;
        rush_json_str(&q->out, "order_no", &s);
    }

    rush_json_bool(&q->out, "final", 1);
    rush_json_close(&q->out, '}');

    return NGX_DONE;
}
