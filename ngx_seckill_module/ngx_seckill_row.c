
/*
 * Copyright (C) Rush
 */


#include "ngx_seckill_row.h"


/* consumers may have been away for hours, a clock may be wrong by some */

#define NGX_SECKILL_YOUNG  86400000     /* ms */


ngx_seckill_page_t
ngx_seckill_page(int64_t page, int64_t size)
{
    ngx_seckill_page_t  p;

    p.page = page ? page : 1;
    p.size = size ? size : NGX_SECKILL_PAGE_SIZE;
    p.offset = (p.page - 1) * p.size;

    return p;
}


ngx_uint_t
ngx_seckill_find_name(const char *const *names, ngx_uint_t n, ngx_str_t *name)
{
    ngx_uint_t  i;

    for (i = 0; i < n; i++) {

        if (ngx_strlen(names[i]) == name->len
            && ngx_memcmp(names[i], name->data, name->len) == 0)
        {
            break;
        }
    }

    return i;
}


void
ngx_seckill_list_open(ngx_rush_req_t *q)
{
    rush_json_open(&q->out, NULL, '{');
    rush_json_open(&q->out, "list", '[');
}


void
ngx_seckill_list_close(ngx_rush_req_t *q, ngx_seckill_page_t *page,
    int64_t total)
{
    rush_json_close(&q->out, ']');
    rush_json_int(&q->out, "total", total);
    rush_json_int(&q->out, "page", page->page);
    rush_json_int(&q->out, "page_size", page->size);
    rush_json_int(&q->out, "total_page",
                  (total + page->size - 1) / page->size);
    rush_json_close(&q->out, '}');
}


void
ngx_seckill_feed_close(ngx_rush_req_t *q, int64_t size, ngx_uint_t col)
{
    ngx_uint_t  n;

    n = q->rows->n;

    rush_json_close(&q->out, ']');

    if ((int64_t) n == size) {
        rush_json_id(&q->out, "next_last_id",
                     ngx_rush_cell_int(q->rows, n - 1, col));
    }

    rush_json_close(&q->out, '}');
}


void
ngx_seckill_put_order(rush_buf_t *b, ngx_rush_rows_t *rows, ngx_uint_t row,
    ngx_uint_t admin)
{
    rush_json_open(b, NULL, '{');
    ngx_seckill_put_order_members(b, rows, row, admin);
    rush_json_close(b, '}');
}


void
ngx_seckill_put_order_members(rush_buf_t *b, ngx_rush_rows_t *rows,
    ngx_uint_t row, ngx_uint_t admin)
{
    int64_t     status, deadline;
    ngx_str_t  *reason;

    status = ngx_rush_cell_int(rows, row, O_STATUS);
    deadline = ngx_rush_cell_int(rows, row, O_DEADLINE);
    reason = ngx_rush_cell(rows, row, O_CANCEL_REASON);

    if (admin) {
        rush_json_id(b, "user_id", ngx_rush_cell_int(rows, row, O_USER));
        rush_json_str(b, "request_id",
                      (rush_str_t *) ngx_rush_cell(rows, row, O_REQ));
    }

    rush_json_str(b, "order_no",
                  (rush_str_t *) ngx_rush_cell(rows, row, O_ORDER_NO));

    if (ngx_rush_cell_int(rows, row, O_ACTIVITY)) {
        rush_json_id(b, "activity_id",
                     ngx_rush_cell_int(rows, row, O_ACTIVITY));
    }

    rush_json_id(b, "product_id", ngx_rush_cell_int(rows, row, O_PRODUCT));
    rush_json_str(b, "title",
                  (rush_str_t *) ngx_rush_cell(rows, row, O_TITLE));
    rush_json_int(b, "quantity", ngx_rush_cell_int(rows, row, O_QTY));
    rush_json_int(b, "price", ngx_rush_cell_int(rows, row, O_PRICE));
    rush_json_int(b, "amount", ngx_rush_cell_int(rows, row, O_AMOUNT));
    rush_json_text(b, "currency", NGX_SECKILL_CURRENCY);
    rush_json_int(b, "status", status);
    rush_json_text(b, "status_text",
                   (status >= 0 && status < RUSH_ORDER_NSTATES)
                   ? rush_order_states[status] : "");

    if (reason->len) {
        rush_json_str(b, "cancel_reason", (rush_str_t *) reason);
    }

    rush_json_time(b, "created_at", ngx_rush_cell_int(rows, row, O_GRANTED));
    rush_json_time(b, "pay_deadline", deadline);
    rush_json_int(b, "pay_deadline_ms", deadline);
    rush_json_time(b, "paid_at", ngx_rush_cell_int(rows, row, O_PAID));
    rush_json_time(b, "closed_at", ngx_rush_cell_int(rows, row, O_CLOSED));
    rush_json_int(b, "version", ngx_rush_cell_int(rows, row, O_VERSION));
}


void
ngx_seckill_put_deleted(ngx_rush_req_t *q, int64_t id)
{
    rush_json_open(&q->out, NULL, '{');
    rush_json_id(&q->out, "id", id);
    rush_json_close(&q->out, '}');
}


ngx_rush_param_t
ngx_seckill_opt_int(ngx_rush_req_t *q, const char *name, int64_t v)
{
    return ngx_rush_given(q, name) ? ngx_rush_p_int(v) : ngx_rush_p_null();
}


ngx_rush_param_t
ngx_seckill_opt_str(ngx_rush_req_t *q, const char *name, ngx_str_t *v)
{
    return ngx_rush_given(q, name) ? ngx_rush_p_str(v) : ngx_rush_p_null();
}


ngx_int_t
ngx_seckill_ask_held(ngx_rush_req_t *q, int64_t activity)
{
    char       key[RUSH_KEY_LEN];
    u_char     user[NGX_INT64_LEN];
    ngx_str_t  args[3];

    ngx_str_set(&args[0], "HGET");
    args[1].data = (u_char *) key;
    args[1].len = rush_key(key, activity, 'u');
    args[2].data = user;
    args[2].len = ngx_sprintf(user, "%L", q->user.user) - user;

    return ngx_rush_redis(q, 3, args, RUSH_BUSY);
}


int64_t
ngx_seckill_held(ngx_rush_req_t *q)
{
    int64_t  units;

    if (q->reply == NULL || q->reply->type != REDIS_REPLY_STRING
        || rush_parse_u63((u_char *) q->reply->str, q->reply->len, &units)
           != RUSH_OK)
    {
        return 0;
    }

    return units;
}


ngx_int_t
ngx_seckill_ask_order(ngx_rush_req_t *q, ngx_str_t *order_no,
    int64_t activity)
{
    u_char     key[sizeof(RUSH_ORDER_KEY) + RUSH_ORDER_NO_LEN];
    ngx_str_t  args[2];

    if (activity) {
        return ngx_seckill_ask_held(q, activity);
    }

    ngx_str_set(&args[0], "GET");
    args[1].data = key;
    args[1].len = ngx_snprintf(key, sizeof(key), RUSH_ORDER_KEY "%V",
                               order_no)
                  - key;

    return ngx_rush_redis(q, 2, args, RUSH_BUSY);
}


/* units of the activity: whose number it is shows when the row is there */

ngx_uint_t
ngx_seckill_is_coming(ngx_rush_req_t *q, int64_t activity)
{
    int64_t  v;

    v = ngx_seckill_held(q);

    return activity ? v != 0 : v == q->user.user;
}


ngx_int_t
ngx_seckill_read_order(ngx_rush_req_t *q, ngx_str_t *order_no)
{
    ngx_rush_param_t  p;

    p = ngx_rush_p_str(order_no);

    return ngx_rush_query(q, &ngx_seckill_sql[NGX_SECKILL_SQL_ORDER_ANY],
                          &p, 1, RUSH_INTERNAL);
}


ngx_uint_t
ngx_seckill_is_young(int64_t id)
{
    int64_t  age;

    age = ngx_rush_now_ms() - rush_id_time(id);

    return age > -NGX_SECKILL_YOUNG && age < NGX_SECKILL_YOUNG;
}


ngx_uint_t
ngx_seckill_is_strange(ngx_rush_req_t *q)
{
    return q->rows->n
           && ngx_rush_cell_int(q->rows, 0, O_USER) != q->user.user;
}


void
ngx_seckill_put_admin_activity(rush_buf_t *b, ngx_rush_rows_t *rows,
    ngx_uint_t row)
{
    int64_t  start, stop, status, rev, applied;

    static const char  *names[] = { "draft", "online", "paused", "offline" };

    start = ngx_rush_cell_int(rows, row, A_START);
    stop = ngx_rush_cell_int(rows, row, A_STOP);
    status = ngx_rush_cell_int(rows, row, A_STATUS);
    rev = ngx_rush_cell_int(rows, row, A_REV);
    applied = ngx_rush_cell_int(rows, row, A_APPLIED_REV);

    rush_json_open(b, NULL, '{');
    rush_json_id(b, "id", ngx_rush_cell_int(rows, row, A_ID));
    rush_json_id(b, "product_id", ngx_rush_cell_int(rows, row, A_PRODUCT));
    rush_json_str(b, "title",
                  (rush_str_t *) ngx_rush_cell(rows, row, A_TITLE));
    rush_json_int(b, "price", ngx_rush_cell_int(rows, row, A_PRICE));
    rush_json_int(b, "price_ver", ngx_rush_cell_int(rows, row, A_PRICE_VER));
    rush_json_time(b, "start_at", start);
    rush_json_int(b, "start_ms", start);
    rush_json_time(b, "end_at", stop);
    rush_json_int(b, "end_ms", stop);
    rush_json_int(b, "total", ngx_rush_cell_int(rows, row, A_TOTAL));
    rush_json_int(b, "sold", ngx_rush_cell_int(rows, row, A_SOLD));
    rush_json_int(b, "limit_per_user", ngx_rush_cell_int(rows, row, A_LIMIT));
    rush_json_int(b, "pay_seconds",
                  ngx_rush_cell_int(rows, row, A_PAY_SECONDS));
    rush_json_text(b, "status",
                   (status >= 0 && status < 4) ? names[status] : "");
    rush_json_bool(b, "warm", ngx_rush_cell_int(rows, row, A_WARM) != 0);
    rush_json_int(b, "rev", rev);
    rush_json_int(b, "applied_rev", applied);
    rush_json_bool(b, "applied", rev == applied);
    rush_json_int(b, "epoch", ngx_rush_cell_int(rows, row, A_EPOCH));
    rush_json_time(b, "created_at", ngx_rush_cell_int(rows, row, A_CREATED));
    rush_json_time(b, "updated_at", ngx_rush_cell_int(rows, row, A_UPDATED));
    rush_json_close(b, '}');
}
