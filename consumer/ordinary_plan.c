
/*
 * Copyright (C) Rush
 *
 * What becomes of a batch of ordinary orders: who comes first in the stream
 * has the first choice.
 */


#include <stdlib.h>

#include "ordinary.h"
#include "consumer_sql.h"


static int rush_plan_products(rush_ordinary_t *o, size_t n, int locked);
static int rush_plan_addresses(rush_ordinary_t *o, size_t n);
static int rush_plan_id(const void *one, const void *two);
static size_t rush_plan_find(rush_ordinary_t *o, int64_t id);
static int rush_plan_place(rush_ordinary_t *o, rush_ordinary_row_t *row);
static const char *rush_plan_row(rush_ordinary_t *o,
    rush_ordinary_row_t *row);


/* columns of ordinary_addresses */

enum {
    RUSH_A_ID = 0,
    RUSH_A_USER,
    RUSH_A_RECEIVER,
    RUSH_A_MOBILE,
    RUSH_A_PROVINCE,
    RUSH_A_CITY,
    RUSH_A_DISTRICT,
    RUSH_A_DETAIL,
    RUSH_A_POSTCODE,
    RUSH_A_TAG
};


int
rush_ordinary_plan(rush_ordinary_t *o, size_t n, int locked)
{
    int     rc;
    size_t  i;

    rc = rush_plan_products(o, n, locked);

    if (rc == RUSH_OK) {
        rc = rush_plan_addresses(o, n);
    }

    if (rc != RUSH_OK) {
        return rc;
    }

    rush_buf_reset(&o->places);

    for (i = 0; i < n; i++) {
        o->sorted[i]->refused = rush_plan_row(o, o->sorted[i]);
    }

    if (o->places.failed) {
        rush_log(RUSH_LOG_ERROR, "no memory for ordinary orders");
        return RUSH_DB_DOWN;
    }

    return RUSH_OK;
}


/* NULL: it is to be paid; else why it is cancelled at once */

static const char *
rush_plan_row(rush_ordinary_t *o, rush_ordinary_row_t *row)
{
    rush_ordinary_product_t  *p;

    row->place = o->places.len;
    row->place_len = 0;
    row->at = rush_plan_find(o, row->product);

    if (row->at == o->nproducts || o->products[row->at].status != 1) {
        return "product";
    }

    if (row->address != 0 && rush_plan_place(o, row) != RUSH_OK) {
        return "address";
    }

    p = &o->products[row->at];

    if (p->left < row->qty || p->price > INT64_MAX / row->qty) {
        return "stock";
    }

    p->left -= row->qty;
    p->taken += row->qty;

    return NULL;
}


static int
rush_plan_products(rush_ordinary_t *o, size_t n, int locked)
{
    int                       rc;
    size_t                    i;
    rush_ordinary_product_t  *p;

    for (i = 0; i < n; i++) {
        o->list[i] = o->sorted[i]->product;
    }

    o->nproducts = 0;

    rc = rush_db_list(o->db, &rush_sql[locked ? RUSH_SQL_ORDINARY_LOCK
                                              : RUSH_SQL_ORDINARY_PRODUCTS],
                      NULL, 0, o->list, n, &o->titles);

    for (i = 0; rc == RUSH_OK && i < o->titles.n && i < n; i++) {
        p = &o->products[o->nproducts++];

        p->id = rush_cell_int(&o->titles, i, 0);
        p->status = rush_cell_int(&o->titles, i, 1);
        p->left = rush_cell_int(&o->titles, i, 2);
        p->price = rush_cell_int(&o->titles, i, 3);
        p->shop = rush_cell_int(&o->titles, i, 4);
        p->title = *rush_cell(&o->titles, i, 5);
        p->taken = 0;
    }

    return rc;
}


static int
rush_plan_addresses(rush_ordinary_t *o, size_t n)
{
    size_t  i, count;

    count = 0;

    for (i = 0; i < n; i++) {

        if (o->sorted[i]->address != 0) {
            o->list[count++] = o->sorted[i]->address;
        }
    }

    rush_rows_free(&o->addresses);

    return count == 0
           ? RUSH_OK
           : rush_db_list(o->db, &rush_sql[RUSH_SQL_ORDINARY_ADDRESSES], NULL,
                          0, o->list, count, &o->addresses);
}


static size_t
rush_plan_find(rush_ordinary_t *o, int64_t id)
{
    rush_ordinary_product_t  key, *p;

    memset(&key, 0, sizeof(rush_ordinary_product_t));
    key.id = id;

    p = bsearch(&key, o->products, o->nproducts,
                sizeof(rush_ordinary_product_t), rush_plan_id);

    return p == NULL ? o->nproducts : (size_t) (p - o->products);
}


static int
rush_plan_id(const void *one, const void *two)
{
    int64_t  a, b;

    a = ((const rush_ordinary_product_t *) one)->id;
    b = ((const rush_ordinary_product_t *) two)->id;

    return a < b ? -1 : a > b;
}


/* the address as it is now, whatever its user makes of it later */

static int
rush_plan_place(rush_ordinary_t *o, rush_ordinary_row_t *row)
{
    size_t      lo, hi, mid;
    rush_buf_t  b;

    lo = 0;
    hi = o->addresses.n;

    while (lo < hi) {
        mid = lo + (hi - lo) / 2;

        if (rush_cell_int(&o->addresses, mid, RUSH_A_ID) < row->address) {
            lo = mid + 1;

        } else {
            hi = mid;
        }
    }

    if (lo == o->addresses.n
        || rush_cell_int(&o->addresses, lo, RUSH_A_ID) != row->address
        || rush_cell_int(&o->addresses, lo, RUSH_A_USER) != row->user)
    {
        return RUSH_ERROR;
    }

    memset(&b, 0, sizeof(rush_buf_t));

    rush_json_open(&b, NULL, '{');
    rush_json_id(&b, "id", row->address);
    rush_json_str(&b, "receiver", rush_cell(&o->addresses, lo,
                                            RUSH_A_RECEIVER));
    rush_json_str(&b, "mobile", rush_cell(&o->addresses, lo, RUSH_A_MOBILE));
    rush_json_str(&b, "province", rush_cell(&o->addresses, lo,
                                            RUSH_A_PROVINCE));
    rush_json_str(&b, "city", rush_cell(&o->addresses, lo, RUSH_A_CITY));
    rush_json_str(&b, "district", rush_cell(&o->addresses, lo,
                                            RUSH_A_DISTRICT));
    rush_json_str(&b, "detail", rush_cell(&o->addresses, lo, RUSH_A_DETAIL));
    rush_json_str(&b, "postcode", rush_cell(&o->addresses, lo,
                                            RUSH_A_POSTCODE));
    rush_json_str(&b, "tag", rush_cell(&o->addresses, lo, RUSH_A_TAG));
    rush_json_close(&b, '}');

    if (b.failed) {
        o->places.failed = 1;

    } else {
        rush_buf_add(&o->places, b.data, b.len);
        row->place_len = b.len;
    }

    rush_buf_free(&b);

    return RUSH_OK;
}


void
rush_ordinary_columns(rush_ordinary_t *o, size_t n)
{
    char                     *p;
    size_t                    i, k;
    int64_t                   now;
    rush_str_t                none, why, place;
    rush_column_t            *c;
    rush_ordinary_row_t      *row;
    rush_ordinary_product_t  *product, gone;

    static const char  types[] = "siisiiisisiiiiiisssis";

    now = rush_now();
    none.data = (unsigned char *) (uintptr_t) "";
    none.len = 0;

    memset(&gone, 0, sizeof(rush_ordinary_product_t));
    gone.title = none;

    c = o->cols;
    p = o->memory;

    for (k = 0; k < RUSH_ORDINARY_COLUMNS; k++) {
        c[k].type = types[k] == 'i' ? RUSH_P_INT : RUSH_P_STR;
        c[k].i = (int64_t *) (void *) p;
        c[k].s = (char **) (void *) p;
        c[k].len = (unsigned long *) (void *) (p + o->size * sizeof(char *));
        p += o->size * 2 * sizeof(int64_t);
    }

#define rush_col_str(k, v)                                                    \
    c[k].s[i] = (char *) (v).data;                                            \
    c[k].len[i] = (v).len

    for (i = 0; i < n; i++) {
        row = o->sorted[i];
        product = row->at < o->nproducts ? &o->products[row->at] : &gone;

        why = none;

        if (row->refused != NULL) {
            why.data = (unsigned char *) (uintptr_t) row->refused;
            why.len = strlen(row->refused);
        }

        place = none;

        if (row->place_len > 0) {
            place.data = o->places.data + row->place;
            place.len = row->place_len;
        }

        rush_col_str(0, row->order_no);
        c[1].i[i] = row->user;
        c[2].i[i] = row->product;
        rush_col_str(3, row->req);
        c[4].i[i] = row->qty;
        c[5].i[i] = product->price;
        c[6].i[i] = product->price > INT64_MAX / row->qty
                    ? 0 : product->price * row->qty;
        rush_col_str(7, product->title);
        c[8].i[i] = product->shop;
        rush_col_str(9, row->id);
        c[10].i[i] = row->time;
        c[11].i[i] = row->time + o->daemon->conf.order_pay_seconds * 1000;
        c[12].i[i] = now;
        c[13].i[i] = row->refused ? now : 0;
        c[14].i[i] = row->refused ? RUSH_ORDER_CANCELLED : RUSH_ORDER_TO_PAY;
        c[15].i[i] = row->refused ? RUSH_STOCK_NEVER : RUSH_STOCK_HELD;
        rush_col_str(16, why);
        rush_col_str(17, row->remark);
        rush_col_str(18, place);
        c[19].i[i] = rush_order_hash(row->product, row->qty, row->address,
                                     &row->remark);
        rush_col_str(20, why);
    }

#undef rush_col_str
}
