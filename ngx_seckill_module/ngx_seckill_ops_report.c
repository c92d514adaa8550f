
/*
 * Copyright (C) Rush
 */


#include "ngx_seckill_row.h"
#include "ngx_rush_counters.h"


/*
 * The report of an activity: what all nodes have counted (Redis, see
 * ngx_seckill_ops_tally.c), orders and money (MySQL).
 */


static ngx_int_t ngx_seckill_ask_tally(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_tally_read(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_count_report(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_show_report(ngx_rush_req_t *q);

static void ngx_seckill_put_requests(rush_buf_t *b, int64_t *tally);
static void ngx_seckill_put_latency(rush_buf_t *b, int64_t *tally);
static void ngx_seckill_put_quantile(rush_buf_t *b, const char *name,
    int64_t *tally, int64_t count, int64_t percent);
static void ngx_seckill_put_money(rush_buf_t *b, ngx_rush_rows_t *rows);


enum {                                  /* columns of report_orders */
    R_STATUS = 0, R_COUNT, R_UNITS, R_AMOUNT, R_PAID, R_RETURNED
};


ngx_rush_step_t  ngx_seckill_report_steps[] = {
    ngx_rush_step(ngx_seckill_read_activity),       /* mysql */
    ngx_rush_step(ngx_seckill_ask_tally),           /* redis */
    ngx_rush_step(ngx_seckill_tally_read),
    ngx_rush_step(ngx_seckill_count_report),        /* mysql */
    ngx_rush_step(ngx_seckill_show_report),
    ngx_rush_null_step
};


static ngx_int_t
ngx_seckill_ask_tally(ngx_rush_req_t *q)
{
    ngx_seckill_report_t  *report = q->data;

    char        key[RUSH_KEY_LEN];
    ngx_str_t   args[2 + NGX_SECKILL_T_COUNT];
    ngx_uint_t  i;

    if (q->rows->n == 0) {
        return RUSH_NOT_FOUND;
    }

    ngx_str_set(&args[0], "HMGET");
    args[1].data = (u_char *) key;
    args[1].len = rush_key(key, report->id, 'r');

    for (i = 0; i < NGX_SECKILL_T_COUNT; i++) {
        args[2 + i] = ngx_seckill_tally_names[i];
    }

    return ngx_rush_redis(q, 2 + NGX_SECKILL_T_COUNT, args, RUSH_BUSY);
}


static ngx_int_t
ngx_seckill_tally_read(ngx_rush_req_t *q)
{
    ngx_seckill_report_t  *report = q->data;

    ngx_uint_t   i;
    redisReply  *e;

    if (q->reply->type != REDIS_REPLY_ARRAY
        || q->reply->elements != NGX_SECKILL_T_COUNT)
    {
        ngx_log_error(NGX_LOG_ERR, q->r->connection->log, 0,
                      "report of activity %L cannot be read", report->id);
        return NGX_ERROR;
    }

    for (i = 0; i < NGX_SECKILL_T_COUNT; i++) {
        e = q->reply->element[i];

        if (e->type != REDIS_REPLY_STRING
            || rush_parse_u63((u_char *) e->str, e->len, &report->tally[i])
               != RUSH_OK)
        {
            report->tally[i] = 0;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_seckill_count_report(ngx_rush_req_t *q)
{
    ngx_seckill_report_t  *report = q->data;

    ngx_rush_param_t  p;

    p = ngx_rush_p_int(report->id);

    return ngx_rush_query(q, &ngx_seckill_sql[NGX_SECKILL_SQL_REPORT_ORDERS],
                          &p, 1, RUSH_INTERNAL);
}


static ngx_int_t
ngx_seckill_show_report(ngx_rush_req_t *q)
{
    ngx_seckill_report_t  *report = q->data;

    ngx_uint_t   i;
    rush_buf_t  *b;

    b = &q->out;

    rush_json_open(b, NULL, '{');
    rush_json_id(b, "activity_id", report->id);
    ngx_seckill_put_requests(b, report->tally);
    ngx_seckill_put_latency(b, report->tally);

    rush_json_open(b, "orders", '[');

    for (i = 0; i < q->rows->n; i++) {
        rush_json_open(b, NULL, '{');
        rush_json_int(b, "status", ngx_rush_cell_int(q->rows, i, R_STATUS));
        rush_json_int(b, "count", ngx_rush_cell_int(q->rows, i, R_COUNT));
        rush_json_int(b, "units", ngx_rush_cell_int(q->rows, i, R_UNITS));
        rush_json_int(b, "amount", ngx_rush_cell_int(q->rows, i, R_AMOUNT));
        rush_json_close(b, '}');
    }

    rush_json_close(b, ']');

    ngx_seckill_put_money(b, q->rows);
    rush_json_close(b, '}');

    return NGX_OK;
}


static void
ngx_seckill_put_requests(rush_buf_t *b, int64_t *tally)
{
    int64_t     sum;
    ngx_uint_t  i;

    sum = 0;

    for (i = 0; i < NGX_SECKILL_OUTCOMES; i++) {
        sum += tally[i];
    }

    rush_json_int(b, "requests", sum);

    for (i = 0; i < NGX_SECKILL_OUTCOMES; i++) {

        if (i == NGX_SECKILL_T_REFUSALS) {
            rush_json_open(b, "refused", '{');
        }

        rush_json_int(b, (char *) ngx_seckill_tally_names[i].data, tally[i]);
    }

    rush_json_close(b, '}');
}


static void
ngx_seckill_put_latency(rush_buf_t *b, int64_t *tally)
{
    int64_t     count;
    ngx_uint_t  i;

    count = 0;

    for (i = 0; i < NGX_RUSH_BUCKET_COUNT; i++) {
        count += tally[NGX_SECKILL_T_BUCKETS + i];
    }

    rush_json_open(b, "latency", '{');
    rush_json_int(b, "count", count);
    rush_json_int(b, "average_ms",
                  count ? tally[NGX_SECKILL_T_MS] / count : 0);
    ngx_seckill_put_quantile(b, "p50_ms", tally, count, 50);
    ngx_seckill_put_quantile(b, "p90_ms", tally, count, 90);
    ngx_seckill_put_quantile(b, "p99_ms", tally, count, 99);
    rush_json_close(b, '}');
}


static void
ngx_seckill_put_quantile(rush_buf_t *b, const char *name, int64_t *tally,
    int64_t count, int64_t percent)
{
    int64_t     n;
    ngx_uint_t  i;

    static const int64_t  bounds[] = {
#define NGX_SECKILL_BUCKET_BOUND(ms, le)  ms,
        NGX_RUSH_BUCKETS(NGX_SECKILL_BUCKET_BOUND)
#undef NGX_SECKILL_BUCKET_BOUND
    };

    n = 0;

    for (i = 0; count && i < NGX_RUSH_BUCKET_COUNT - 1; i++) {
        n += tally[NGX_SECKILL_T_BUCKETS + i];

        if (n * 100 >= count * percent) {
            rush_json_int(b, name, bounds[i]);
            return;
        }
    }

    rush_json_null(b, name);
}


static void
ngx_seckill_put_money(rush_buf_t *b, ngx_rush_rows_t *rows)
{
    int64_t     asked, paid, returned;
    ngx_uint_t  i;

    asked = 0;
    paid = 0;
    returned = 0;

    for (i = 0; i < rows->n; i++) {
        asked += ngx_rush_cell_int(rows, i, R_AMOUNT);
        paid += ngx_rush_cell_int(rows, i, R_PAID);
        returned += ngx_rush_cell_int(rows, i, R_RETURNED);
    }

    rush_json_open(b, "money", '{');
    rush_json_int(b, "asked", asked);
    rush_json_int(b, "paid", paid);
    rush_json_int(b, "returned", returned);
    rush_json_close(b, '}');
}
