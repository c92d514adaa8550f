
/*
 * Copyright (C) Rush
 */


#include "ngx_seckill_row.h"


/* of product_adjusted, behind a whole product: it was done, and it is what
 * the request asks for */

enum {
    P_ADJUSTED = P_UPDATED + 1, P_SAME
};


static ngx_int_t ngx_seckill_insert_product(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_product_inserted(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_show_inserted(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_update_product(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_product_updated(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_delete_product(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_product_deleted(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_deletion_explained(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_adjust_product(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_product_adjusted(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_show_adjusted(ngx_rush_req_t *q);

static ngx_int_t ngx_seckill_read_product(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_product_read(ngx_rush_req_t *q);


/* the structs begin with the id of the product, but for that of a new one */

ngx_rush_step_t  ngx_seckill_product_create_steps[] = {
    ngx_rush_step(ngx_seckill_insert_product),      /* mysql */
    ngx_rush_step(ngx_seckill_product_inserted),    /* mysql: reads it back */
    ngx_rush_step(ngx_seckill_show_inserted),
    ngx_rush_null_step
};


ngx_rush_step_t  ngx_seckill_product_update_steps[] = {
    ngx_rush_step(ngx_seckill_update_product),      /* mysql */
    ngx_rush_step(ngx_seckill_product_updated),
    ngx_rush_step(ngx_seckill_read_product),        /* mysql */
    ngx_rush_step(ngx_seckill_product_read),
    ngx_rush_null_step
};


ngx_rush_step_t  ngx_seckill_product_delete_steps[] = {
    ngx_rush_step(ngx_seckill_delete_product),      /* mysql */
    ngx_rush_step(ngx_seckill_product_deleted),     /* mysql, when refused */
    ngx_rush_step(ngx_seckill_deletion_explained),
    ngx_rush_null_step
};


ngx_rush_step_t  ngx_seckill_product_adjust_steps[] = {
    ngx_rush_step(ngx_seckill_adjust_product),      /* mysql: the whole
                                                       effect */
    ngx_rush_step(ngx_seckill_product_adjusted),    /* mysql: reads it back */
    ngx_rush_step(ngx_seckill_show_adjusted),
    ngx_rush_null_step
};


static ngx_int_t
ngx_seckill_insert_product(ngx_rush_req_t *q)
{
    ngx_seckill_product_create_t  *product = q->data;

    int64_t           now;
    ngx_rush_param_t  p[10];

    now = ngx_rush_now_ms();

    p[0] = ngx_rush_p_str(&product->title);
    p[1] = ngx_rush_p_str(&product->description);
    p[2] = ngx_rush_p_str(&product->image);
    p[3] = ngx_rush_p_str(&product->category);
    p[4] = ngx_rush_p_int(product->price);
    p[5] = ngx_rush_p_int(product->stock);
    p[6] = ngx_rush_p_int(ngx_rush_given(q, "status") ? product->status
                                                         : 1);
    p[7] = ngx_rush_p_int(now);
    p[8] = p[7];
    p[9] = ngx_rush_p_int(ngx_rush_made_id(q));

    if (p[9].i == 0) {
        return RUSH_BUSY;
    }

    return ngx_rush_query(q, &ngx_seckill_sql[NGX_SECKILL_SQL_PRODUCT_INSERT],
                          p, 10, NGX_OK);
}


static ngx_int_t
ngx_seckill_product_inserted(ngx_rush_req_t *q)
{
    ngx_rush_param_t  p;

    /* a duplicate: an earlier try has made it */

    if (q->rows) {
        q->object = q->rows->insert_id;
    }

    p = ngx_rush_p_int(ngx_rush_made_id(q));

    return ngx_rush_query(q, &ngx_seckill_sql[NGX_SECKILL_SQL_PRODUCT_MADE],
                          &p, 1, RUSH_INTERNAL);
}


static ngx_int_t
ngx_seckill_show_inserted(ngx_rush_req_t *q)
{
    if (q->rows->n == 0) {
        return RUSH_NOT_FOUND;
    }

    q->object = ngx_rush_cell_int(q->rows, 0, P_ID);
    ngx_seckill_drop_product(q->object);
    ngx_seckill_put_product(&q->out, q->rows, 0);

    return NGX_OK;
}


static ngx_int_t
ngx_seckill_read_product(ngx_rush_req_t *q)
{
    int64_t  *id = q->data;

    ngx_rush_param_t  p;

    p = ngx_rush_p_int(*id);

    return ngx_rush_query(q, &ngx_seckill_sql[NGX_SECKILL_SQL_PRODUCT], &p, 1,
                          RUSH_INTERNAL);
}


static ngx_int_t
ngx_seckill_product_read(ngx_rush_req_t *q)
{
    ngx_seckill_product_update_t  *product = q->data;

    if (q->rows->n == 0) {
        return RUSH_NOT_FOUND;
    }

    if (product->missed) {
        return RUSH_CONFLICT;           /* it is there in another version */
    }

    ngx_seckill_put_product(&q->out, q->rows, 0);

    return NGX_OK;
}


static ngx_int_t
ngx_seckill_update_product(ngx_rush_req_t *q)
{
    ngx_seckill_product_update_t  *product = q->data;

    ngx_rush_param_t  p[9];

    p[0] = ngx_seckill_opt_str(q, "title", &product->title);
    p[1] = ngx_seckill_opt_str(q, "description", &product->description);
    p[2] = ngx_seckill_opt_str(q, "image", &product->image);
    p[3] = ngx_seckill_opt_str(q, "category", &product->category);
    p[4] = ngx_seckill_opt_int(q, "price", product->price);
    p[5] = ngx_seckill_opt_int(q, "status", product->status);
    p[6] = ngx_rush_p_int(ngx_rush_now_ms());
    p[7] = ngx_rush_p_int(product->id);
    p[8] = ngx_seckill_opt_int(q, "version", product->version);

    return ngx_rush_query(q, &ngx_seckill_sql[NGX_SECKILL_SQL_PRODUCT_UPDATE],
                          p, 9, RUSH_INTERNAL);
}


static ngx_int_t
ngx_seckill_product_updated(ngx_rush_req_t *q)
{
    ngx_seckill_product_update_t  *product = q->data;

    product->missed = (q->rows->affected == 0);

    ngx_seckill_drop_product(product->id);

    return NGX_OK;
}


static ngx_int_t
ngx_seckill_delete_product(ngx_rush_req_t *q)
{
    ngx_seckill_product_delete_t  *product = q->data;

    ngx_rush_param_t  p[3];

    p[0] = ngx_rush_p_int(ngx_rush_now_ms());
    p[1] = ngx_rush_p_int(product->id);
    p[2] = p[0];

    return ngx_rush_query(q, &ngx_seckill_sql[NGX_SECKILL_SQL_PRODUCT_DELETE],
                          p, 3, RUSH_INTERNAL);
}


static ngx_int_t
ngx_seckill_product_deleted(ngx_rush_req_t *q)
{
    ngx_seckill_product_delete_t  *product = q->data;

    if (q->rows->affected == 0) {
        return ngx_seckill_read_product(q);
    }

    ngx_seckill_drop_product(product->id);
    ngx_seckill_put_deleted(q, product->id);

    return NGX_DONE;
}


static ngx_int_t
ngx_seckill_deletion_explained(ngx_rush_req_t *q)
{
    return q->rows->n ? RUSH_PRODUCT_IN_USE : RUSH_NOT_FOUND;
}


/*
 * The stock and its log move in one statement.  An adjustment is known again
 * by its id while the key of the request is remembered, and by the key itself
 * for good.
 */

static ngx_int_t
ngx_seckill_adjust_product(ngx_rush_req_t *q)
{
    ngx_seckill_product_adjust_t  *product = q->data;

    ngx_uint_t        set;
    ngx_rush_param_t  p[13];

    set = ngx_rush_given(q, "stock");

    if (set == ngx_rush_given(q, "delta")) {
        return ngx_rush_refuse(q, "delta", "give either stock or delta");
    }

    p[0] = ngx_seckill_opt_int(q, "stock", product->stock);
    p[1] = ngx_rush_p_int(product->delta);
    p[2] = ngx_rush_p_int(ngx_rush_now_ms());
    p[3] = ngx_rush_p_int(ngx_rush_made_id(q));
    p[4] = q->key.len ? ngx_rush_p_str(&q->key) : ngx_rush_p_null();
    p[5] = ngx_rush_p_int(set);
    p[6] = ngx_rush_p_int(set ? product->stock : product->delta);
    p[7] = ngx_rush_p_int(q->user.user);
    p[8] = ngx_rush_p_str(&product->reason);
    p[9] = ngx_rush_p_int(product->id);
    p[10] = p[3];
    p[11] = p[0];
    p[12] = p[1];

    if (p[3].i == 0) {
        return RUSH_BUSY;
    }

    return ngx_rush_query(q, &ngx_seckill_sql[NGX_SECKILL_SQL_PRODUCT_STOCK],
                          p, 13, NGX_OK);
}


static ngx_int_t
ngx_seckill_product_adjusted(ngx_rush_req_t *q)
{
    ngx_seckill_product_adjust_t  *product = q->data;

    ngx_uint_t        set;
    ngx_rush_param_t  p[7];

    ngx_seckill_drop_product(product->id);

    set = ngx_rush_given(q, "stock");

    p[0] = ngx_rush_p_int(set);
    p[1] = ngx_rush_p_int(set ? product->stock : product->delta);
    p[2] = ngx_rush_p_str(&product->reason);
    p[3] = ngx_rush_p_int(ngx_rush_made_id(q));
    p[4] = ngx_rush_p_int(q->user.user);
    p[5] = q->key.len ? ngx_rush_p_str(&q->key) : ngx_rush_p_null();
    p[6] = ngx_rush_p_int(product->id);

    return ngx_rush_query(q,
                          &ngx_seckill_sql[NGX_SECKILL_SQL_PRODUCT_ADJUSTED],
                          p, 7, RUSH_INTERNAL);
}


static ngx_int_t
ngx_seckill_show_adjusted(ngx_rush_req_t *q)
{
    if (q->rows->n == 0) {
        return RUSH_NOT_FOUND;
    }

    if (ngx_rush_cell_int(q->rows, 0, P_ADJUSTED) == 0) {
        return RUSH_PRODUCT_STOCK;
    }

    if (ngx_rush_cell_int(q->rows, 0, P_SAME) == 0) {
        return RUSH_KEY_REUSED;
    }

    ngx_seckill_put_stock(&q->out, q->rows);

    return NGX_OK;
}
