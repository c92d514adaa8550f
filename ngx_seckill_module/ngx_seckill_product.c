
/*
 * Copyright (C) Rush
 */


#include "ngx_seckill_row.h"


static ngx_int_t ngx_seckill_cached_list(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_count_products(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_products_counted(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_products_listed(ngx_rush_req_t *q);

static ngx_int_t ngx_seckill_cached_product(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_find_product(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_product_found(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_product_stock_found(ngx_rush_req_t *q);

static ngx_int_t ngx_seckill_make_filter(ngx_rush_req_t *q);
static ngx_uint_t ngx_seckill_fill_filter(ngx_rush_req_t *q,
    ngx_rush_param_t *p);
static void ngx_seckill_put_activity(rush_buf_t *b, int64_t product);


/* the cache is asked again after each wait for somebody else's load */

ngx_rush_step_t  ngx_seckill_product_list_steps[] = {
    ngx_rush_step(ngx_seckill_cached_list),         /* shm, or waits */
    ngx_rush_step(ngx_seckill_cached_list),
    ngx_rush_step(ngx_seckill_cached_list),
    ngx_rush_step(ngx_seckill_count_products),      /* mysql */
    ngx_rush_step(ngx_seckill_products_counted),    /* mysql: the page */
    ngx_rush_step(ngx_seckill_products_listed),
    ngx_rush_null_step
};


ngx_rush_step_t  ngx_seckill_product_detail_steps[] = {
    ngx_rush_step(ngx_seckill_cached_product),      /* shm, or waits */
    ngx_rush_step(ngx_seckill_cached_product),
    ngx_rush_step(ngx_seckill_cached_product),
    ngx_rush_step(ngx_seckill_find_product),        /* mysql */
    ngx_rush_step(ngx_seckill_product_found),
    ngx_rush_null_step
};


ngx_rush_step_t  ngx_seckill_product_stock_steps[] = {
    ngx_rush_step(ngx_seckill_cached_product),      /* shm, or waits */
    ngx_rush_step(ngx_seckill_cached_product),
    ngx_rush_step(ngx_seckill_cached_product),
    ngx_rush_step(ngx_seckill_find_product),        /* mysql */
    ngx_rush_step(ngx_seckill_product_stock_found),
    ngx_rush_null_step
};


static ngx_int_t
ngx_seckill_cached_list(ngx_rush_req_t *q)
{
    ngx_seckill_product_list_t  *list = q->data;

    u_char     *p;
    ngx_int_t   rc;

    if (list->loading) {
        return NGX_OK;                  /* the lease is ours, or no cache */
    }

    if (list->key.data == NULL) {
        rc = ngx_seckill_make_filter(q);

        if (rc != NGX_OK) {
            return rc;
        }

        if (list->keyword.len) {
            list->loading = 1;          /* too many keys to keep */
            return NGX_OK;
        }

        p = ngx_pnalloc(q->r->pool, list->category.len + 64);
        if (p == NULL) {
            return NGX_ERROR;
        }

        list->key.data = p;
        list->key.len = ngx_sprintf(p, "products %L %L %ui %V",
                                    list->page, list->page_size, list->order,
                                    &list->category)
                        - p;
    }

    rc = ngx_rush_cache_get(q, &list->key);

    if (rc == NGX_OK) {
        return NGX_DONE;
    }

    if (rc == NGX_DECLINED) {
        list->loading = 1;
        return NGX_OK;
    }

    return rc;
}


static ngx_int_t
ngx_seckill_make_filter(ngx_rush_req_t *q)
{
    ngx_seckill_product_list_t  *list = q->data;

    u_char      *p;
    ngx_uint_t   i;
    ngx_str_t   *sort;

    sort = &list->sort;

    list->page = ngx_max(list->page, 1);
    list->page_size = list->page_size ? list->page_size
                                      : NGX_SECKILL_PAGE_SIZE;

    if (sort->len == 9 && ngx_memcmp(sort->data, "price_asc", 9) == 0) {
        list->order = 1;

    } else if (sort->len == 10 && ngx_memcmp(sort->data, "price_desc", 10)
                                  == 0)
    {
        list->order = 2;

    } else if (sort->len
               && (sort->len != 3 || ngx_memcmp(sort->data, "new", 3) != 0))
    {
        return ngx_rush_refuse(q, "sort",
                               "must be new, price_asc or price_desc");
    }

    if (list->keyword.len == 0) {
        return NGX_OK;
    }

    /* %keyword% with the signs of LIKE taken literally */

    p = ngx_pnalloc(q->r->pool, 2 * list->keyword.len + 2);
    if (p == NULL) {
        return NGX_ERROR;
    }

    list->like.data = p;
    *p++ = '%';

    for (i = 0; i < list->keyword.len; i++) {

        if (ngx_strlchr((u_char *) "%_\\", (u_char *) "%_\\" + 3,
                        list->keyword.data[i]))
        {
            *p++ = '\\';
        }

        *p++ = list->keyword.data[i];
    }

    *p++ = '%';
    list->like.len = p - list->like.data;

    return NGX_OK;
}


static ngx_uint_t
ngx_seckill_fill_filter(ngx_rush_req_t *q, ngx_rush_param_t *p)
{
    ngx_seckill_product_list_t  *list = q->data;

    p[0] = list->category.len ? ngx_rush_p_str(&list->category)
                              : ngx_rush_p_null();
    p[1] = p[0];
    p[2] = list->like.len ? ngx_rush_p_str(&list->like) : ngx_rush_p_null();
    p[3] = p[2];

    return 4;
}


static ngx_int_t
ngx_seckill_count_products(ngx_rush_req_t *q)
{
    ngx_seckill_product_list_t  *list = q->data;

    ngx_uint_t        n;
    ngx_rush_param_t  p[4];

    if (!list->loading) {
        return RUSH_BUSY;               /* others load, and fail to */
    }

    n = ngx_seckill_fill_filter(q, p);

    return ngx_rush_query(q,
                          &ngx_seckill_sql[NGX_SECKILL_SQL_COUNT_PRODUCTS], p,
                          n, RUSH_INTERNAL);
}


static ngx_int_t
ngx_seckill_products_counted(ngx_rush_req_t *q)
{
    ngx_seckill_product_list_t  *list = q->data;

    ngx_uint_t           n;
    ngx_rush_param_t     p[7];
    ngx_seckill_page_t   page;

    list->total = ngx_rush_cell_int(q->rows, 0, 0);

    page = ngx_seckill_page(list->page, list->page_size);

    n = ngx_seckill_fill_filter(q, p);
    p[n++] = ngx_rush_p_int(list->order);
    p[n++] = ngx_rush_p_int(page.size);
    p[n++] = ngx_rush_p_int(page.offset);

    return ngx_rush_query(q, &ngx_seckill_sql[NGX_SECKILL_SQL_PRODUCTS], p, n,
                          RUSH_INTERNAL);
}


static ngx_int_t
ngx_seckill_products_listed(ngx_rush_req_t *q)
{
    ngx_seckill_product_list_t  *list = q->data;

    ngx_uint_t           i;
    ngx_seckill_page_t   page;

    page = ngx_seckill_page(list->page, list->page_size);

    ngx_seckill_list_open(q);

    for (i = 0; i < q->rows->n; i++) {
        ngx_seckill_put_product(&q->out, q->rows, i);
    }

    ngx_seckill_list_close(q, &page, list->total);

    if (list->key.len) {
        ngx_rush_cache_put(q, &list->key, 1);
    }

    return NGX_OK;
}


/* detail and stock of a product have one struct */

static ngx_int_t
ngx_seckill_cached_product(ngx_rush_req_t *q)
{
    ngx_seckill_product_detail_t  *product = q->data;

    ngx_int_t   rc;
    ngx_uint_t  stock;

    if (product->loading) {
        return NGX_OK;
    }

    stock = (q->route->steps == ngx_seckill_product_stock_steps);

    product->key.data = product->text;
    product->key.len = ngx_seckill_product_key(product->text, product->id,
                                               stock);

    rc = ngx_rush_cache_get(q, &product->key);

    if (rc == NGX_OK) {
        return NGX_DONE;
    }

    if (rc == NGX_DECLINED) {
        product->loading = 1;
        return NGX_OK;
    }

    return rc;
}


size_t
ngx_seckill_product_key(u_char *dst, int64_t id, ngx_uint_t stock)
{
    return ngx_sprintf(dst, "product%s %L", stock ? " stock" : "", id) - dst;
}


void
ngx_seckill_drop_product(int64_t id)
{
    u_char     text[NGX_SECKILL_KEY];
    ngx_str_t  key;

    key.data = text;

    key.len = ngx_seckill_product_key(text, id, 0);
    ngx_rush_cache_drop(&key);

    key.len = ngx_seckill_product_key(text, id, 1);
    ngx_rush_cache_drop(&key);
}


static ngx_int_t
ngx_seckill_find_product(ngx_rush_req_t *q)
{
    ngx_seckill_product_detail_t  *product = q->data;

    ngx_rush_param_t  p;

    if (!product->loading) {
        return RUSH_BUSY;
    }

    p = ngx_rush_p_int(product->id);

    return ngx_rush_query(q, &ngx_seckill_sql[NGX_SECKILL_SQL_PRODUCT], &p, 1,
                          RUSH_INTERNAL);
}


static ngx_int_t
ngx_seckill_product_found(ngx_rush_req_t *q)
{
    ngx_seckill_product_detail_t  *product = q->data;

    if (q->rows->n == 0) {
        ngx_rush_cache_put(q, &product->key, 0);
        return RUSH_NOT_FOUND;
    }

    ngx_seckill_put_product(&q->out, q->rows, 0);
    ngx_rush_cache_put(q, &product->key, 1);

    return NGX_OK;
}


static ngx_int_t
ngx_seckill_product_stock_found(ngx_rush_req_t *q)
{
    ngx_seckill_product_stock_t  *product = q->data;

    if (q->rows->n == 0) {
        ngx_rush_cache_put(q, &product->key, 0);
        return RUSH_NOT_FOUND;
    }

    ngx_seckill_put_stock(&q->out, q->rows);
    ngx_rush_cache_put(q, &product->key, 1);

    return NGX_OK;
}


void
ngx_seckill_put_stock(rush_buf_t *b, ngx_rush_rows_t *rows)
{
    rush_json_open(b, NULL, '{');
    rush_json_id(b, "id", ngx_rush_cell_int(rows, 0, P_ID));
    rush_json_int(b, "stock", ngx_rush_cell_int(rows, 0, P_STOCK));
    rush_json_close(b, '}');
}


void
ngx_seckill_put_product(rush_buf_t *b, ngx_rush_rows_t *rows, ngx_uint_t row)
{
    int64_t  id;

    id = ngx_rush_cell_int(rows, row, P_ID);

    rush_json_open(b, NULL, '{');
    rush_json_id(b, "id", id);
    rush_json_str(b, "title",
                  (rush_str_t *) ngx_rush_cell(rows, row, P_TITLE));
    rush_json_str(b, "description",
                  (rush_str_t *) ngx_rush_cell(rows, row, P_DESCRIPTION));
    rush_json_str(b, "image",
                  (rush_str_t *) ngx_rush_cell(rows, row, P_IMAGE));
    rush_json_str(b, "category",
                  (rush_str_t *) ngx_rush_cell(rows, row, P_CATEGORY));
    rush_json_int(b, "price", ngx_rush_cell_int(rows, row, P_PRICE));
    rush_json_text(b, "currency", NGX_SECKILL_CURRENCY);
    rush_json_int(b, "stock", ngx_rush_cell_int(rows, row, P_STOCK));
    rush_json_int(b, "status", ngx_rush_cell_int(rows, row, P_STATUS));
    rush_json_int(b, "version", ngx_rush_cell_int(rows, row, P_VERSION));
    ngx_seckill_put_activity(b, id);
    rush_json_time(b, "created_at", ngx_rush_cell_int(rows, row, P_CREATED));
    rush_json_time(b, "updated_at", ngx_rush_cell_int(rows, row, P_UPDATED));
    rush_json_close(b, '}');
}


static void
ngx_seckill_put_activity(rush_buf_t *b, int64_t product)
{
    int64_t               now;
    ngx_uint_t            i, n;
    ngx_seckill_slot_t  **slots;

    now = ngx_seckill_now();
    slots = ngx_seckill_sorted(&n);

    for (i = 0; i < n; i++) {

        if ((int64_t) slots[i]->product == product
            && ngx_seckill_state(slots[i], now) != NGX_SECKILL_ENDED)
        {
            rush_json_id(b, "activity_id", slots[i]->id);
            return;
        }
    }
}
