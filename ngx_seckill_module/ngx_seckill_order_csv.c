
/*
 * Copyright (C) Rush
 *
 * Orders as CSV (RFC 4180): a page of rows is read, written and has left for
 * the client before the next one is asked for, so an export takes the memory
 * of one page, however long it is.  When MySQL fails in the middle the
 * connection is closed without the end of the body, and the client knows.
 *
 * A cell that a spreadsheet would take for a formula gets a "'" in front.
 */


#include "ngx_seckill_order.h"


#define NGX_SECKILL_CSV_ROWS  500       /* of a page */


typedef struct {
    rush_buf_t   page;
    ngx_uint_t   viewer;
    u_char       order_no[RUSH_ORDER_NO_LEN];
    ngx_str_t    last;                  /* in order_no */
} ngx_seckill_csv_t;


static void ngx_seckill_csv_cleanup(void *data);
static void ngx_seckill_csv_row(ngx_seckill_csv_t *csv,
    ngx_rush_rows_t *rows, ngx_uint_t row);
static void ngx_seckill_csv_text(rush_buf_t *b, rush_str_t *text);
static void ngx_seckill_csv_int(rush_buf_t *b, int64_t v);
static void ngx_seckill_csv_time(rush_buf_t *b, int64_t ms);


static ngx_str_t  ngx_seckill_csv_type = ngx_string("text/csv; charset=utf-8");
static ngx_str_t  ngx_seckill_csv_name =
    ngx_string("attachment; filename=\"orders.csv\"");

static const char  ngx_seckill_csv_head[] =
    "order_no,user_id,activity_id,product_id,shop_id,title,quantity,price,"
    "amount,status,cancel_reason,created_at,pay_deadline,paid_at,pay_type,"
    "shipped_at,carrier,tracking,done_at,closed_at,receiver,mobile,province,"
    "city,district,detail,postcode,remark\r\n";


ngx_int_t
ngx_seckill_csv_begin(ngx_rush_req_t *q)
{
    ngx_seckill_admin_order_list_t  *list = q->data;

    ngx_seckill_csv_t   *csv;
    ngx_pool_cleanup_t  *cln;

    cln = ngx_pool_cleanup_add(q->r->pool, sizeof(ngx_seckill_csv_t));
    if (cln == NULL) {
        return NGX_ERROR;
    }

    csv = cln->data;
    ngx_memzero(csv, sizeof(ngx_seckill_csv_t));
    cln->handler = ngx_seckill_csv_cleanup;

    csv->viewer = ngx_seckill_viewer(q);
    csv->last.data = csv->order_no;
    rush_buf_puts(&csv->page, ngx_seckill_csv_head);

    list->csv = csv;

    if (ngx_rush_add_header(q->r, "Content-Disposition",
                            sizeof("Content-Disposition") - 1,
                            &ngx_seckill_csv_name)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_seckill_read_after(q, &list->last_id, NGX_SECKILL_CSV_ROWS);
}


static void
ngx_seckill_csv_cleanup(void *data)
{
    ngx_seckill_csv_t  *csv = data;

    rush_buf_free(&csv->page);
}


ngx_int_t
ngx_seckill_csv_next(ngx_rush_req_t *q)
{
    ngx_seckill_admin_order_list_t  *list = q->data;

    ngx_str_t          *no;
    ngx_uint_t          i, n;
    ngx_seckill_csv_t  *csv;

    csv = list->csv;
    n = q->rows->n;

    for (i = 0; i < n; i++) {
        ngx_seckill_csv_row(csv, q->rows, i);
    }

    if (csv->page.failed) {
        return NGX_ERROR;
    }

    if (n) {
        no = ngx_rush_cell(q->rows, n - 1, O_ORDER_NO);
        csv->last.len = ngx_min(no->len, RUSH_ORDER_NO_LEN);
        ngx_memcpy(csv->order_no, no->data, csv->last.len);
    }

    return ngx_rush_piece(q, &ngx_seckill_csv_type, csv->page.data,
                          csv->page.len, n < NGX_SECKILL_CSV_ROWS);
}


ngx_int_t
ngx_seckill_csv_sent(ngx_rush_req_t *q)
{
    ngx_seckill_admin_order_list_t  *list = q->data;

    ngx_seckill_csv_t  *csv;

    csv = list->csv;

    rush_buf_reset(&csv->page);
    q->step -= 2;                       /* ngx_seckill_csv_next() */

    return ngx_seckill_read_after(q, &csv->last, NGX_SECKILL_CSV_ROWS);
}


static void
ngx_seckill_csv_row(ngx_seckill_csv_t *csv, ngx_rush_rows_t *rows,
    ngx_uint_t row)
{
    u_char               text[NGX_SECKILL_PLACE];
    u_char               masked[NGX_SECKILL_MOBILE];
    int64_t              status;
    rush_buf_t          *b;
    rush_str_t           name;
    ngx_seckill_place_t  place;

#define ngx_seckill_csv_cell(col)                                             \
    ngx_seckill_csv_text(b, (rush_str_t *) ngx_rush_cell(rows, row, col))
#define ngx_seckill_csv_number(col)                                           \
    ngx_seckill_csv_int(b, ngx_rush_cell_int(rows, row, col))
#define ngx_seckill_csv_date(col)                                             \
    ngx_seckill_csv_time(b, ngx_rush_cell_int(rows, row, col))

    b = &csv->page;
    status = ngx_rush_cell_int(rows, row, O_STATUS);
    name.data = (u_char *) ((status >= 0 && status < RUSH_ORDER_NSTATES)
                            ? rush_order_states[status] : "");
    name.len = ngx_strlen(name.data);

    ngx_seckill_read_place(ngx_rush_cell(rows, row, O_ADDRESS), text, &place);

    if (csv->viewer == NGX_SECKILL_CLERK) {
        ngx_seckill_mask(&place.mobile, masked);
    }

    ngx_seckill_csv_cell(O_ORDER_NO);
    ngx_seckill_csv_number(O_USER);
    ngx_seckill_csv_number(O_ACTIVITY);
    ngx_seckill_csv_number(O_PRODUCT);
    ngx_seckill_csv_number(O_SHOP);
    ngx_seckill_csv_cell(O_TITLE);
    ngx_seckill_csv_number(O_QTY);
    ngx_seckill_csv_number(O_PRICE);
    ngx_seckill_csv_number(O_AMOUNT);
    ngx_seckill_csv_text(b, &name);
    ngx_seckill_csv_cell(O_CANCEL_REASON);
    ngx_seckill_csv_date(O_GRANTED);
    ngx_seckill_csv_date(O_DEADLINE);
    ngx_seckill_csv_date(O_PAID);
    ngx_seckill_csv_cell(O_PAY_TYPE);
    ngx_seckill_csv_date(O_SHIPPED);
    ngx_seckill_csv_cell(O_CARRIER);
    ngx_seckill_csv_cell(O_TRACKING);
    ngx_seckill_csv_date(O_DONE);
    ngx_seckill_csv_date(O_CLOSED);
    ngx_seckill_csv_text(b, &place.receiver);
    ngx_seckill_csv_text(b, &place.mobile);
    ngx_seckill_csv_text(b, &place.province);
    ngx_seckill_csv_text(b, &place.city);
    ngx_seckill_csv_text(b, &place.district);
    ngx_seckill_csv_text(b, &place.detail);
    ngx_seckill_csv_text(b, &place.postcode);
    ngx_seckill_csv_cell(O_REMARK);

#undef ngx_seckill_csv_cell
#undef ngx_seckill_csv_number
#undef ngx_seckill_csv_date

    /* instead of the last comma */

    if (!b->failed) {
        b->len--;
    }

    rush_buf_puts(b, "\r\n");
}


static void
ngx_seckill_csv_text(rush_buf_t *b, rush_str_t *text)
{
    u_char  c;
    size_t  i, from;

    c = text->len ? text->data[0] : 0;

    rush_buf_puts(b, "\"");

    if (c == '=' || c == '+' || c == '-' || c == '@' || c == '\t'
        || c == '\r' || c == '\n')
    {
        rush_buf_puts(b, "'");
    }

    from = 0;

    for (i = 0; i < text->len; i++) {

        if (text->data[i] == '"') {
            rush_buf_add(b, text->data + from, i + 1 - from);
            from = i;                   /* a second time */
        }
    }

    rush_buf_add(b, text->data + from, text->len - from);
    rush_buf_puts(b, "\",");
}


static void
ngx_seckill_csv_int(rush_buf_t *b, int64_t v)
{
    rush_buf_printf(b, "%lld,", (long long) v);
}


static void
ngx_seckill_csv_time(rush_buf_t *b, int64_t ms)
{
    unsigned char  text[24];

    if (ms) {
        rush_buf_add(b, text, rush_format_time(text, ms));
    }

    rush_buf_puts(b, ",");
}
