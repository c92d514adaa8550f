
/*
 * Copyright (C) Rush
 */


#include "ngx_seckill_row.h"


static ngx_int_t ngx_seckill_read_books(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_books_read(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_stock_read(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_show_availability(ngx_rush_req_t *q);

static ngx_int_t ngx_seckill_check_mode(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_ask_pending(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_ask_repair(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_show_reconcile(ngx_rush_req_t *q);

static void ngx_seckill_put_differences(rush_buf_t *b,
    ngx_seckill_books_t *books);
static int64_t ngx_seckill_element(redisReply *reply, size_t i);


/* both routes have the id and the books in front of their structs */

ngx_rush_step_t  ngx_seckill_admin_availability_steps[] = {
    ngx_rush_step(ngx_seckill_read_books),          /* mysql */
    ngx_rush_step(ngx_seckill_books_read),          /* redis */
    ngx_rush_step(ngx_seckill_stock_read),
    ngx_rush_step(ngx_seckill_show_availability),
    ngx_rush_null_step
};


ngx_rush_step_t  ngx_seckill_admin_reconcile_steps[] = {
    ngx_rush_step(ngx_seckill_check_mode),
    ngx_rush_step(ngx_seckill_read_books),          /* mysql */
    ngx_rush_step(ngx_seckill_books_read),          /* redis */
    ngx_rush_step(ngx_seckill_stock_read),
    ngx_rush_step(ngx_seckill_ask_pending),         /* redis */
    ngx_rush_step(ngx_seckill_ask_repair),          /* mysql, when asked for */
    ngx_rush_step(ngx_seckill_show_reconcile),
    ngx_rush_null_step
};


static ngx_int_t
ngx_seckill_read_books(ngx_rush_req_t *q)
{
    ngx_seckill_admin_availability_t  *a = q->data;

    ngx_rush_param_t  p;

    p = ngx_rush_p_int(a->id);

    return ngx_rush_query(q, &ngx_seckill_sql[NGX_SECKILL_SQL_BOOKS], &p, 1,
                          RUSH_INTERNAL);
}


static ngx_int_t
ngx_seckill_books_read(ngx_rush_req_t *q)
{
    ngx_seckill_admin_availability_t  *a = q->data;

    char                  key[RUSH_KEY_LEN];
    ngx_str_t             args[4];
    ngx_seckill_books_t  *books;

    if (q->rows->n == 0) {
        return RUSH_NOT_FOUND;
    }

    books = &a->books;

    books->total = ngx_rush_cell_int(q->rows, 0, 0);
    books->sold = ngx_rush_cell_int(q->rows, 0, 1);
    books->held = ngx_rush_cell_int(q->rows, 0, 2);
    books->paid = ngx_rush_cell_int(q->rows, 0, 3);
    books->returning = ngx_rush_cell_int(q->rows, 0, 4);
    books->returned = ngx_rush_cell_int(q->rows, 0, 5);

    ngx_str_set(&args[0], "HMGET");
    args[1].data = (u_char *) key;
    args[1].len = rush_key(key, a->id, 'm');
    ngx_str_set(&args[2], "remain");
    ngx_str_set(&args[3], "epoch");

    return ngx_rush_redis(q, 4, args, RUSH_BUSY);
}


static ngx_int_t
ngx_seckill_stock_read(ngx_rush_req_t *q)
{
    ngx_seckill_admin_availability_t  *a = q->data;

    a->books.remain = ngx_seckill_element(q->reply, 0);
    a->books.epoch = ngx_seckill_element(q->reply, 1);

    return NGX_OK;
}


static int64_t
ngx_seckill_element(redisReply *reply, size_t i)
{
    int64_t      v;
    redisReply  *e;

    if (reply->type != REDIS_REPLY_ARRAY || i >= reply->elements) {
        return -1;
    }

    e = reply->element[i];

    if (e->type == REDIS_REPLY_INTEGER) {
        return e->integer;
    }

    if (e->type != REDIS_REPLY_STRING
        || rush_parse_u63((u_char *) e->str, e->len, &v) != RUSH_OK)
    {
        return -1;
    }

    return v;
}


static ngx_int_t
ngx_seckill_show_availability(ngx_rush_req_t *q)
{
    ngx_seckill_admin_availability_t  *a = q->data;

    int64_t               queued;
    rush_buf_t           *b;
    ngx_seckill_books_t  *books;

    b = &q->out;
    books = &a->books;
    queued = books->remain < 0 ? 0
                               : books->total - books->sold - books->remain;

    rush_json_open(b, NULL, '{');
    rush_json_id(b, "id", a->id);
    rush_json_int(b, "total", books->total);
    rush_json_int(b, "free", books->remain);
    rush_json_int(b, "queued", ngx_max(queued, 0));
    rush_json_int(b, "held", books->held);
    rush_json_int(b, "paid", books->paid);
    rush_json_int(b, "returning", books->returning);
    rush_json_int(b, "returned", books->returned);
    rush_json_int(b, "sold", books->sold);
    rush_json_close(b, '}');

    return NGX_OK;
}


static ngx_int_t
ngx_seckill_check_mode(ngx_rush_req_t *q)
{
    ngx_seckill_admin_reconcile_t  *a = q->data;

    ngx_str_t  *mode;

    mode = &a->mode;

    if (mode->len == 6 && ngx_memcmp(mode->data, "repair", 6) == 0) {
        a->repair = !a->dry_run;
        return NGX_OK;
    }

    if (mode->len == 0
        || (mode->len == 6 && ngx_memcmp(mode->data, "report", 6) == 0))
    {
        return NGX_OK;
    }

    return ngx_rush_refuse(q, "mode", "must be report or repair");
}


static ngx_int_t
ngx_seckill_ask_pending(ngx_rush_req_t *q)
{
    ngx_seckill_admin_reconcile_t  *a = q->data;

    char       key[RUSH_KEY_LEN];
    ngx_str_t  args[3];

    if (a->books.remain < 0) {
        return NGX_OK;                  /* not loaded: there is no stream */
    }

    ngx_str_set(&args[0], "XPENDING");
    args[1].data = (u_char *) key;
    args[1].len = rush_key(key, a->id, 's');
    ngx_str_set(&args[2], RUSH_GROUP);

    return ngx_rush_redis(q, 3, args, RUSH_BUSY);
}


static ngx_int_t
ngx_seckill_ask_repair(ngx_rush_req_t *q)
{
    ngx_seckill_admin_reconcile_t  *a = q->data;

    int64_t           pending;
    ngx_rush_param_t  p;

    if (q->reply) {
        pending = ngx_seckill_element(q->reply, 0);
        a->books.pending = ngx_max(pending, 0);
    }

    if (!a->repair) {
        return NGX_OK;
    }

    p = ngx_rush_p_int(a->id);

    return ngx_rush_query(q, &ngx_seckill_sql[NGX_SECKILL_SQL_ASK_REPAIR], &p,
                          1, RUSH_INTERNAL);
}


static ngx_int_t
ngx_seckill_show_reconcile(ngx_rush_req_t *q)
{
    ngx_seckill_admin_reconcile_t  *a = q->data;

    rush_buf_t           *b;
    ngx_seckill_books_t  *books;

    b = &q->out;
    books = &a->books;

    rush_json_open(b, NULL, '{');
    rush_json_id(b, "id", a->id);
    rush_json_text(b, "mode", a->repair ? "repair" : "report");
    rush_json_int(b, "total", books->total);
    rush_json_int(b, "sold", books->sold);
    rush_json_int(b, "live", books->held + books->paid + books->returning);
    rush_json_int(b, "redis_remain", books->remain);
    rush_json_int(b, "redis_epoch", books->epoch);
    rush_json_int(b, "stream_pending", books->pending);
    rush_json_open(b, "differences", '[');
    ngx_seckill_put_differences(b, books);
    rush_json_close(b, ']');
    rush_json_bool(b, "repair_asked", a->repair);
    rush_json_close(b, '}');

    return NGX_OK;
}


static void
ngx_seckill_put_differences(rush_buf_t *b, ngx_seckill_books_t *books)
{
    int64_t  live;

    live = books->held + books->paid + books->returning;

    if (live != books->sold) {
        rush_json_text(b, NULL, "I1: live orders and the ledger's sold differ");
    }

    if (books->sold > books->total) {
        rush_json_text(b, NULL, "I1: more sold than there is");
    }

    if (books->remain < 0) {
        return;
    }

    if (books->remain > books->total - books->sold) {
        rush_json_text(b, NULL,
                       "I9: Redis has more stock than the ledger allows");

    } else if (books->remain < books->total - books->sold
               && books->pending == 0)
    {
        rush_json_text(b, NULL, "I9: Redis has less stock than the ledger; "
                                "orders may be on their way, look again");
    }
}
