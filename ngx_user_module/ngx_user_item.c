
/*
 * Copyright (C) Rush
 */


#include "ngx_user_data.h"


/*
 * Addresses and sponsor cards: a user has some of them at most.  A row takes
 * one of as many slots, which a unique key keeps; who loses a race for a slot
 * looks for another one.  With an Idempotency-Key a repeated request finds
 * the row that it made before.
 */


#define NGX_USER_ITEM_TRIES  16
#define NGX_USER_ITEM_HEAD   5          /* parameters before the fields */


static const ngx_user_kind_t *ngx_user_kind(ngx_rush_req_t *q);
static uint64_t ngx_user_hash_body(ngx_rush_param_t *params, ngx_uint_t n);
static ngx_int_t ngx_user_item_again(ngx_rush_req_t *q);
static void ngx_user_put_item(ngx_rush_req_t *q);


static const ngx_user_kind_t *
ngx_user_kind(ngx_rush_req_t *q)
{
    return (q->route->steps == ngx_user_sponsor_add_steps
            || q->route->steps == ngx_user_sponsor_change_steps)
           ? &ngx_user_sponsor_kind : &ngx_user_address_kind;
}


ngx_int_t
ngx_user_insert_item(ngx_rush_req_t *q)
{
    ngx_user_item_t        *item = q->data;

    int64_t                 now;
    ngx_uint_t              n;
    ngx_rush_param_t        p[NGX_USER_ITEM_HEAD + NGX_USER_BODY + 4];
    const ngx_user_kind_t  *kind;

    kind = ngx_user_kind(q);

    if (item->tries == 0) {
        item->id = ngx_rush_id();
    }

    if (item->id == 0 || ++item->tries > NGX_USER_ITEM_TRIES) {
        return RUSH_BUSY;
    }

    ngx_memzero(p, sizeof(p));

    n = NGX_USER_ITEM_HEAD;
    n += ngx_user_body(q, &p[n]);

    item->hash = ngx_user_hash_body(&p[NGX_USER_ITEM_HEAD],
                                    n - NGX_USER_ITEM_HEAD);
    now = ngx_rush_now_ms();

    if (kind->place) {
        ngx_user_take_place(&p[n - 1], now);

        if (p[n - 1].type == NGX_RUSH_P_NULL) {
            p[n - 1] = ngx_rush_p_int(now);
        }
    }

    p[0] = ngx_rush_p_int(item->id);
    p[1] = item->idempotency_key.len ? ngx_rush_p_str(&item->idempotency_key)
                                     : ngx_rush_p_null();
    p[2] = ngx_rush_p_int((int64_t) item->hash);
    p[3] = ngx_rush_p_int(now);
    p[4] = ngx_rush_p_int(now);

    p[n++] = ngx_rush_p_int((int64_t) kind->slots);
    p[n++] = ngx_rush_p_int(q->user.user);
    p[n++] = ngx_rush_p_int((int64_t) (ngx_random() % kind->slots));
    p[n++] = ngx_rush_p_int((int64_t) kind->slots);

    return ngx_rush_query(q, kind->insert, p, n, NGX_OK);
}


ngx_int_t
ngx_user_item_inserted(ngx_rush_req_t *q)
{
    ngx_user_item_t        *item = q->data;

    ngx_rush_param_t        p[2];
    const ngx_user_kind_t  *kind;

    kind = ngx_user_kind(q);

    item->taken = (q->rows == NULL);
    item->full = (q->rows && q->rows->affected == 0);

    if (!item->taken && !item->full) {
        return ngx_user_query_item(q, kind->by_id, item->id);
    }

    if (item->idempotency_key.len) {
        p[0] = ngx_rush_p_int(q->user.user);
        p[1] = ngx_rush_p_str(&item->idempotency_key);

        return ngx_rush_query(q, kind->by_req, p, 2, RUSH_INTERNAL);
    }

    if (item->taken) {
        return ngx_user_item_again(q);
    }

    return ngx_user_query_mine(q, ngx_user_stmt(USER_IS_OPEN));
}


ngx_int_t
ngx_user_item_judged(ngx_rush_req_t *q)
{
    ngx_user_item_t        *item = q->data;

    const ngx_user_kind_t  *kind;

    kind = ngx_user_kind(q);

    if (!item->taken && !item->full) {

        if (q->rows->n == 0) {
            return RUSH_NOT_FOUND;      /* removed since */
        }

        ngx_user_put_item(q);
        return NGX_DONE;
    }

    if (item->idempotency_key.len == 0) {
        return q->rows->n ? kind->full : RUSH_NOT_FOUND;
    }

    if (q->rows->n) {

        if (ngx_rush_cell_int(q->rows, 0, kind->hash)
            != (int64_t) item->hash)
        {
            return RUSH_KEY_REUSED;
        }

        ngx_user_put_item(q);
        return NGX_DONE;
    }

    if (item->taken) {
        return ngx_user_item_again(q);
    }

    return ngx_user_query_mine(q, ngx_user_stmt(USER_IS_OPEN));
}


/* no slot was free: of a user with too many, or of nobody */

ngx_int_t
ngx_user_item_refused(ngx_rush_req_t *q)
{
    return q->rows->n ? ngx_user_kind(q)->full : RUSH_NOT_FOUND;
}


static ngx_int_t
ngx_user_item_again(ngx_rush_req_t *q)
{
    q->step = &q->route->steps[1];

    return NGX_OK;
}


ngx_int_t
ngx_user_show_item(ngx_rush_req_t *q)
{
    if (q->rows->n == 0) {
        return RUSH_NOT_FOUND;
    }

    ngx_user_put_item(q);

    return NGX_OK;
}


ngx_int_t
ngx_user_item_removed(ngx_rush_req_t *q)
{
    return q->rows->affected ? NGX_OK : RUSH_NOT_FOUND;
}


static void
ngx_user_put_item(ngx_rush_req_t *q)
{
    ngx_uint_t              is_default;
    const ngx_user_kind_t  *kind;

    kind = ngx_user_kind(q);
    is_default = ngx_rush_cell_int(q->rows, 0, kind->is_default) != 0;

    kind->put(&q->out, q->rows, 0, is_default);
}


/* is_default, the last field, becomes the place of an address */

void
ngx_user_take_place(ngx_rush_param_t *p, int64_t now)
{
    if (p->type == NGX_RUSH_P_INT) {
        p->i = p->i ? -now : now;
    }
}


ngx_uint_t
ngx_user_body(ngx_rush_req_t *q, ngx_rush_param_t *params)
{
    u_char              *base = q->data;

    ngx_uint_t           i, n;
    rush_str_t          *text;
    const rush_field_t  *f;

    n = 0;

    for (i = 0; i < q->route->nfields; i++) {
        f = &q->route->fields[i];

        if (f->place != RUSH_IN_BODY) {
            continue;
        }

        ngx_rush_assert(n < NGX_USER_BODY);

        if (!((q->present >> i) & 1)) {
            params[n++] = ngx_rush_p_null();

        } else if (f->type == RUSH_T_INT || f->type == RUSH_T_BOOL) {
            params[n++] = ngx_rush_p_int(*(int64_t *) (base + f->offset));

        } else {
            text = (rush_str_t *) (base + f->offset);
            params[n++] = ngx_rush_p_str(text);
        }
    }

    return n;
}


/* tells requests apart that have the same key; it stays in 63 bits */

static uint64_t
ngx_user_hash_body(ngx_rush_param_t *params, ngx_uint_t n)
{
    uint64_t    hash;
    ngx_uint_t  i;

    hash = 0;

    for (i = 0; i < n; i++) {
        hash = ngx_rush_hash(&params[i].type, sizeof(params[i].type), hash);

        if (params[i].type == NGX_RUSH_P_INT) {
            hash = ngx_rush_hash(&params[i].i, sizeof(int64_t), hash);

        } else if (params[i].type == NGX_RUSH_P_STR) {
            hash = ngx_rush_hash(params[i].s.data, params[i].s.len, hash);
        }
    }

    return hash >> 1;
}


ngx_int_t
ngx_user_query_mine(ngx_rush_req_t *q, const rush_stmt_t *stmt)
{
    ngx_rush_param_t  p;

    p = ngx_rush_p_int(q->user.user);

    return ngx_rush_query(q, stmt, &p, 1, RUSH_INTERNAL);
}


ngx_int_t
ngx_user_query_item(ngx_rush_req_t *q, const rush_stmt_t *stmt, int64_t id)
{
    ngx_rush_param_t  p[2];

    p[0] = ngx_rush_p_int(q->user.user);
    p[1] = ngx_rush_p_int(id);

    return ngx_rush_query(q, stmt, p, 2, RUSH_INTERNAL);
}


void
ngx_user_put_page(ngx_rush_req_t *q, ngx_user_put_pt put)
{
    ngx_user_paged_t  *page = q->data;

    int64_t            i, last;

    ngx_user_page_defaults(page);

    page->total = (int64_t) q->rows->n;
    last = ngx_min(page->page * page->page_size, page->total);

    rush_json_open(&q->out, NULL, '{');
    rush_json_open(&q->out, "list", '[');

    for (i = (page->page - 1) * page->page_size; i < last; i++) {
        put(&q->out, q->rows, i, i == 0);
    }

    ngx_user_list_close(q, page);
}


void
ngx_user_page_defaults(ngx_user_paged_t *page)
{
    page->page = page->page ? page->page : 1;
    page->page_size = page->page_size ? page->page_size : NGX_USER_PAGE_SIZE;
}


void
ngx_user_list_close(ngx_rush_req_t *q, ngx_user_paged_t *page)
{
    rush_json_close(&q->out, ']');
    rush_json_int(&q->out, "total", page->total);
    rush_json_int(&q->out, "page", page->page);
    rush_json_int(&q->out, "page_size", page->page_size);
    rush_json_int(&q->out, "total_page",
                  (page->total + page->page_size - 1) / page->page_size);
    rush_json_close(&q->out, '}');
}
