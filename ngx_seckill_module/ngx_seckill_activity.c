
/*
 * Copyright (C) Rush
 */


#include "ngx_seckill.h"


static ngx_int_t ngx_seckill_list_activities(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_show_activity(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_show_status(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_count_mine(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_mine_counted(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_show_stock(ngx_rush_req_t *q);

static ngx_int_t ngx_seckill_add_activity(ngx_rush_req_t *q,
    ngx_seckill_slot_t *slot, int64_t now);
static ngx_int_t ngx_seckill_wanted(ngx_str_t *state, ngx_uint_t *first,
    ngx_uint_t *last);
static ngx_int_t ngx_seckill_etag(ngx_rush_req_t *q, ngx_seckill_slot_t *slot,
    int64_t now, ngx_uint_t timed);


ngx_rush_step_t  ngx_seckill_activity_list_steps[] = {
    ngx_rush_step(ngx_seckill_list_activities),
    ngx_rush_null_step
};


ngx_rush_step_t  ngx_seckill_activity_detail_steps[] = {
    ngx_rush_step(ngx_seckill_show_activity),
    ngx_rush_null_step
};


ngx_rush_step_t  ngx_seckill_activity_status_steps[] = {
    ngx_rush_step(ngx_seckill_show_status),
    ngx_rush_step(ngx_seckill_count_mine),      /* redis, when asked for */
    ngx_rush_step(ngx_seckill_mine_counted),
    ngx_rush_null_step
};


ngx_rush_step_t  ngx_seckill_activity_stock_steps[] = {
    ngx_rush_step(ngx_seckill_show_stock),
    ngx_rush_null_step
};


static ngx_int_t
ngx_seckill_list_activities(ngx_rush_req_t *q)
{
    ngx_seckill_activity_list_t  *list = q->data;

    int64_t               now, skip, left;
    ngx_uint_t            i, n, state, first, last, total;
    ngx_seckill_slot_t  **slots;

    if (ngx_seckill_wanted(&list->state, &first, &last) != NGX_OK) {
        return ngx_rush_refuse(q, "state",
                               "must be upcoming, running or ended");
    }

    if (ngx_seckill_shm->catalog_ms == 0) {
        return RUSH_BUSY;
    }

    list->page = ngx_max(list->page, 1);
    list->page_size = list->page_size ? list->page_size
                                      : NGX_SECKILL_PAGE_SIZE;

    now = ngx_seckill_now();
    slots = ngx_seckill_sorted(&n);
    skip = (list->page - 1) * list->page_size;
    left = list->page_size;
    total = 0;

    rush_json_open(&q->out, NULL, '{');
    rush_json_open(&q->out, "list", '[');

    for (i = 0; i < n; i++) {
        state = ngx_seckill_state(slots[i], now);

        if (state < first || state > last) {
            continue;
        }

        total++;

        if (skip > 0) {
            skip--;
            continue;
        }

        if (left > 0
            && ngx_seckill_add_activity(q, slots[i], now) == NGX_OK)
        {
            left--;
        }
    }

    rush_json_close(&q->out, ']');
    rush_json_int(&q->out, "total", total);
    rush_json_int(&q->out, "page", list->page);
    rush_json_int(&q->out, "page_size", list->page_size);
    rush_json_int(&q->out, "total_page",
                  (total + list->page_size - 1) / list->page_size);
    rush_json_close(&q->out, '}');

    return ngx_seckill_etag(q, NULL, now, 0);
}


static ngx_int_t
ngx_seckill_wanted(ngx_str_t *state, ngx_uint_t *first, ngx_uint_t *last)
{
    *first = NGX_SECKILL_NOT_STARTED;
    *last = NGX_SECKILL_ENDED;

    if (state->len == 0) {
        return NGX_OK;
    }

    if (state->len == 8 && ngx_memcmp(state->data, "upcoming", 8) == 0) {
        *last = NGX_SECKILL_NOT_STARTED;
        return NGX_OK;
    }

    if (state->len == 7 && ngx_memcmp(state->data, "running", 7) == 0) {
        *first = NGX_SECKILL_RUNNING;
        *last = NGX_SECKILL_SOLD_OUT;
        return NGX_OK;
    }

    if (state->len == 5 && ngx_memcmp(state->data, "ended", 5) == 0) {
        *first = NGX_SECKILL_ENDED;
        return NGX_OK;
    }

    return NGX_DECLINED;
}


static ngx_int_t
ngx_seckill_add_activity(ngx_rush_req_t *q, ngx_seckill_slot_t *slot,
    int64_t now)
{
    size_t       len;
    rush_buf_t  *b;

    static u_char  json[NGX_SECKILL_JSON];

    b = &q->out;
    len = ngx_seckill_read_json(slot, json);

    if (len == 0) {
        return NGX_DECLINED;
    }

    /* the rendered part begins with "{" and has no "}" */

    if (b->len && b->data[b->len - 1] == '}') {
        rush_buf_puts(b, ",");
    }

    rush_buf_add(b, json, len);
    rush_json_text(b, "state",
                   ngx_seckill_state_names[ngx_seckill_state(slot, now)]);
    rush_json_int(b, "left", ngx_seckill_left(slot, now));
    rush_json_close(b, '}');

    return NGX_OK;
}


int64_t
ngx_seckill_left(ngx_seckill_slot_t *slot, int64_t now)
{
    if (slot->epoch) {
        return (int64_t) slot->remain;
    }

    /* not in Redis: before the sale all of it is there */

    return now < (int64_t) slot->start ? (int64_t) slot->total : 0;
}


static ngx_int_t
ngx_seckill_show_activity(ngx_rush_req_t *q)
{
    ngx_seckill_activity_detail_t  *detail = q->data;

    int64_t              now;
    ngx_seckill_slot_t  *slot;

    slot = ngx_seckill_find_slot(detail->id);

    if (slot == NULL || slot->status == NGX_SECKILL_DRAFT) {
        return ngx_seckill_no_slot();
    }

    now = ngx_seckill_now();

    if (ngx_seckill_add_activity(q, slot, now) != NGX_OK) {
        return RUSH_BUSY;
    }

    /* shows texts of the product, which have no part in the revision */

    return ngx_seckill_etag(q, NULL, now, 0);
}


static ngx_int_t
ngx_seckill_show_status(ngx_rush_req_t *q)
{
    ngx_seckill_activity_status_t  *status = q->data;

    int64_t              now, start, stop;
    rush_buf_t          *b;
    ngx_seckill_slot_t  *slot;

    slot = ngx_seckill_find_slot(status->id);

    if (slot == NULL || slot->status == NGX_SECKILL_DRAFT) {
        return ngx_seckill_no_slot();
    }

    b = &q->out;
    now = ngx_seckill_now();
    start = (int64_t) slot->start - now;
    stop = (int64_t) slot->stop - now;

    rush_json_open(b, NULL, '{');
    rush_json_id(b, "id", status->id);
    rush_json_text(b, "state",
                   ngx_seckill_state_names[ngx_seckill_state(slot, now)]);
    rush_json_time(b, "server_time", now);
    rush_json_int(b, "server_time_ms", now);
    rush_json_int(b, "starts_in_ms", ngx_max(start, 0));
    rush_json_int(b, "ends_in_ms", ngx_max(stop, 0));
    rush_json_int(b, "left", ngx_seckill_left(slot, now));

    if (status->mine && q->logged) {
        return NGX_OK;
    }

    rush_json_close(b, '}');

    if (ngx_seckill_etag(q, slot, now, 1) != NGX_OK) {
        return NGX_ERROR;
    }

    return NGX_DONE;
}


static ngx_int_t
ngx_seckill_count_mine(ngx_rush_req_t *q)
{
    ngx_seckill_activity_status_t  *status = q->data;

    char       key[RUSH_KEY_LEN];
    u_char     user[NGX_INT64_LEN];
    ngx_str_t  args[3];

    ngx_str_set(&args[0], "HGET");
    args[1].data = (u_char *) key;
    args[1].len = rush_key(key, status->id, 'u');
    args[2].data = user;
    args[2].len = ngx_sprintf(user, "%L", q->user.user) - user;

    /* without Redis the rest of the answer is still worth something */

    return ngx_rush_redis(q, 3, args, NGX_OK);
}


static ngx_int_t
ngx_seckill_mine_counted(ngx_rush_req_t *q)
{
    int64_t  units;

    if (q->reply) {
        units = 0;

        if (q->reply->type == REDIS_REPLY_STRING) {
            (void) rush_parse_u63((u_char *) q->reply->str, q->reply->len,
                                  &units);
        }

        rush_json_int(&q->out, "mine", units);
    }

    rush_json_close(&q->out, '}');

    return NGX_OK;
}


static ngx_int_t
ngx_seckill_show_stock(ngx_rush_req_t *q)
{
    ngx_seckill_activity_stock_t  *stock = q->data;

    int64_t              now;
    ngx_seckill_slot_t  *slot;

    slot = ngx_seckill_find_slot(stock->id);

    if (slot == NULL || slot->status == NGX_SECKILL_DRAFT) {
        return ngx_seckill_no_slot();
    }

    now = ngx_seckill_now();

    rush_json_open(&q->out, NULL, '{');
    rush_json_id(&q->out, "id", stock->id);
    rush_json_int(&q->out, "left", ngx_seckill_left(slot, now));
    rush_json_int(&q->out, "total", slot->total);
    rush_json_int(&q->out, "generation", slot->rver);
    rush_json_close(&q->out, '}');

    return ngx_seckill_etag(q, slot, now, 0);
}


/*
 * Weak, because the trace id of each answer differs.  What an answer shows of
 * a slot follows from its revision, state and stock; a countdown also from
 * the clock.
 */

static ngx_int_t
ngx_seckill_etag(ngx_rush_req_t *q, ngx_seckill_slot_t *slot, int64_t now,
    ngx_uint_t timed)
{
    u_char  *p;

    p = ngx_pnalloc(q->r->pool, 4 * NGX_INT64_LEN + sizeof("W/\"----\""));
    if (p == NULL) {
        return NGX_ERROR;
    }

    q->etag.data = p;

    if (slot == NULL) {
        p = ngx_sprintf(p, "W/\"%08xD\"",
                        ngx_murmur_hash2(q->out.data, q->out.len));

    } else {
        p = ngx_sprintf(p, "W/\"%uA-%ui-%L-%L\"", slot->rev,
                        ngx_seckill_state(slot, now),
                        ngx_seckill_left(slot, now),
                        timed ? now / 1000 : (int64_t) slot->rver);
    }

    q->etag.len = p - q->etag.data;

    return NGX_OK;
}
