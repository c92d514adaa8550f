
/*
 * Copyright (C) Rush
 */


#include "ngx_seckill_order.h"


static void ngx_seckill_put_place(rush_buf_t *b, ngx_str_t *json,
    ngx_uint_t viewer);
static void ngx_seckill_put_log(rush_buf_t *b, ngx_rush_rows_t *rows);
static void ngx_seckill_put_given(rush_buf_t *b, const char *name,
    ngx_str_t *value);


#define ngx_seckill_place_field(name)                                         \
    { rush_string(#name), RUSH_T_TEXT, RUSH_IN_BODY, 0, 0, 2000,              \
      offsetof(ngx_seckill_place_t, name) }

static const rush_field_t  ngx_seckill_place_fields[] = {
    ngx_seckill_place_field(receiver),
    ngx_seckill_place_field(mobile),
    ngx_seckill_place_field(province),
    ngx_seckill_place_field(city),
    ngx_seckill_place_field(district),
    ngx_seckill_place_field(detail),
    ngx_seckill_place_field(postcode)
};

#define NGX_SECKILL_PLACE_FIELDS                                              \
    (sizeof(ngx_seckill_place_fields) / sizeof(rush_field_t))


ngx_int_t
ngx_seckill_read_whole(ngx_rush_req_t *q, ngx_str_t *order_no)
{
    ngx_rush_param_t  p;

    p = ngx_rush_p_str(order_no);

    return ngx_rush_query(q, &ngx_seckill_sql[NGX_SECKILL_SQL_ORDER_WHOLE],
                          &p, 1, RUSH_INTERNAL);
}


ngx_uint_t
ngx_seckill_viewer(ngx_rush_req_t *q)
{
    return ngx_rush_may(q->user.roles, RUSH_MAY_users_private) == RUSH_OK
           ? NGX_SECKILL_PRIVY : NGX_SECKILL_CLERK;
}


void
ngx_seckill_put_order_whole(ngx_rush_req_t *q, ngx_uint_t viewer)
{
    int64_t           status;
    rush_buf_t       *b;
    ngx_rush_rows_t  *rows;

    b = &q->out;
    rows = q->rows;
    status = ngx_rush_cell_int(rows, 0, O_STATUS);

    rush_json_open(b, NULL, '{');
    ngx_seckill_put_order_members(b, rows, 0, viewer != NGX_SECKILL_OWNER);

    if (ngx_rush_cell_int(rows, 0, O_SHOP)) {
        rush_json_id(b, "shop_id", ngx_rush_cell_int(rows, 0, O_SHOP));
    }

    rush_json_str(b, "remark", (rush_str_t *) ngx_rush_cell(rows, 0,
                                                            O_REMARK));
    ngx_seckill_put_place(b, ngx_rush_cell(rows, 0, O_ADDRESS), viewer);
    rush_json_int(b, "server_time_ms", ngx_rush_now_ms());
    rush_json_int(b, "paid_ms", ngx_rush_cell_int(rows, 0, O_PAID));
    ngx_seckill_put_given(b, "pay_type", ngx_rush_cell(rows, 0, O_PAY_TYPE));
    rush_json_time(b, "shipped_at", ngx_rush_cell_int(rows, 0, O_SHIPPED));
    ngx_seckill_put_given(b, "carrier", ngx_rush_cell(rows, 0, O_CARRIER));
    ngx_seckill_put_given(b, "tracking", ngx_rush_cell(rows, 0, O_TRACKING));
    rush_json_time(b, "redeemed_at", ngx_rush_cell_int(rows, 0, O_REDEEMED));
    rush_json_time(b, "done_at", ngx_rush_cell_int(rows, 0, O_DONE));

    if (viewer != NGX_SECKILL_OWNER) {

        /* a trade code is between the buyer and the door */

        rush_json_bool(b, "hidden",
                       ngx_rush_cell_int(rows, 0, O_HIDDEN) != 0);

    } else if (status == RUSH_ORDER_PAID || status == RUSH_ORDER_SHIPPED
               || status == RUSH_ORDER_DONE)
    {
        ngx_seckill_put_given(b, "trade_code",
                              ngx_rush_cell(rows, 0, O_TRADE_CODE));
    }

    ngx_seckill_put_log(b, rows);
    rush_json_close(b, '}');
}


static void
ngx_seckill_put_given(rush_buf_t *b, const char *name, ngx_str_t *value)
{
    if (value->len) {
        rush_json_str(b, name, (rush_str_t *) value);
    }
}


static void
ngx_seckill_put_place(rush_buf_t *b, ngx_str_t *json, ngx_uint_t viewer)
{
    u_char               text[NGX_SECKILL_PLACE];
    u_char               masked[NGX_SECKILL_MOBILE];
    ngx_seckill_place_t  place;

    if (json->len == 0) {
        return;
    }

    ngx_seckill_read_place(json, text, &place);

    if (viewer == NGX_SECKILL_CLERK) {
        ngx_seckill_mask(&place.mobile, masked);
    }

    rush_json_open(b, "address", '{');
    rush_json_str(b, "receiver", &place.receiver);
    rush_json_str(b, "mobile", &place.mobile);
    rush_json_str(b, "province", &place.province);
    rush_json_str(b, "city", &place.city);
    rush_json_str(b, "district", &place.district);
    rush_json_str(b, "detail", &place.detail);
    rush_json_str(b, "postcode", &place.postcode);
    rush_json_close(b, '}');
}


void
ngx_seckill_read_place(ngx_str_t *json, u_char *buf,
    ngx_seckill_place_t *place)
{
    uint64_t            present;
    rush_field_error_t  err;

    ngx_memzero(place, sizeof(ngx_seckill_place_t));

    if (json->len == 0 || json->len > NGX_SECKILL_PLACE) {
        return;
    }

    ngx_memcpy(buf, json->data, json->len);
    present = 0;

    if (rush_field_body(ngx_seckill_place_fields, NGX_SECKILL_PLACE_FIELDS,
                        place, &present, buf, json->len, &err)
        != RUSH_OK)
    {
        ngx_memzero(place, sizeof(ngx_seckill_place_t));
    }
}


/* three in front and four behind stay, of short ones less */

void
ngx_seckill_mask(rush_str_t *mobile, u_char *masked)
{
    size_t  i, len, head, tail;

    len = ngx_min(mobile->len, NGX_SECKILL_MOBILE);
    head = len >= 10 ? 3 : 0;
    tail = len >= 10 ? 4 : len / 3;

    for (i = 0; i < len; i++) {
        masked[i] = (i < head || i >= len - tail) ? mobile->data[i] : '*';
    }

    mobile->data = masked;
    mobile->len = len;
}


static void
ngx_seckill_put_log(rush_buf_t *b, ngx_rush_rows_t *rows)
{
    int64_t     from, to, kind;
    ngx_uint_t  i;

    rush_json_open(b, "log", '[');

    for (i = 0; i < rows->n; i++) {

        if (ngx_rush_cell(rows, i, O_LOG_VERSION)->data == NULL) {
            continue;                   /* nothing has changed yet */
        }

        from = ngx_rush_cell_int(rows, i, O_LOG_FROM);
        to = ngx_rush_cell_int(rows, i, O_LOG_TO);
        kind = ngx_rush_cell_int(rows, i, O_LOG_KIND);

        rush_json_open(b, NULL, '{');
        rush_json_text(b, "from", (from >= 0 && from < RUSH_ORDER_NSTATES)
                                  ? rush_order_states[from] : "");
        rush_json_text(b, "to", (to >= 0 && to < RUSH_ORDER_NSTATES)
                                ? rush_order_states[to] : "");
        rush_json_int(b, "version", ngx_rush_cell_int(rows, i,
                                                      O_LOG_VERSION));
        rush_json_text(b, "by", (kind > 0 && kind < RUSH_ORDER_NACTORS)
                                ? rush_order_actors[kind] : "");
        rush_json_str(b, "reason", (rush_str_t *)
                                   ngx_rush_cell(rows, i, O_LOG_REASON));
        rush_json_time(b, "at", ngx_rush_cell_int(rows, i, O_LOG_TIME));
        rush_json_close(b, '}');
    }

    rush_json_close(b, ']');
}
