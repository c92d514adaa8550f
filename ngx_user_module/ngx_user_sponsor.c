
/*
 * Copyright (C) Rush
 */


#include "ngx_user_data.h"


#define NGX_USER_MINI_PROGRAM  3        /* type */


static ngx_int_t ngx_user_read_sponsors(ngx_rush_req_t *q);
static ngx_int_t ngx_user_sponsors_read(ngx_rush_req_t *q);
static ngx_int_t ngx_user_check_card(ngx_rush_req_t *q);
static ngx_int_t ngx_user_find_card(ngx_rush_req_t *q);
static ngx_int_t ngx_user_card_found(ngx_rush_req_t *q);
static ngx_int_t ngx_user_change_card(ngx_rush_req_t *q);
static ngx_int_t ngx_user_card_changed(ngx_rush_req_t *q);
static ngx_int_t ngx_user_remove_card(ngx_rush_req_t *q);


ngx_rush_step_t  ngx_user_sponsors_steps[] = {
    ngx_rush_step(ngx_user_read_sponsors),       /* mysql: sponsors */
    ngx_rush_step(ngx_user_sponsors_read),
    ngx_rush_null_step
};


ngx_rush_step_t  ngx_user_sponsor_add_steps[] = {
    ngx_rush_step(ngx_user_check_card),          /* local */
    ngx_rush_step(ngx_user_insert_item),         /* mysql: sponsor_insert */
    ngx_rush_step(ngx_user_item_inserted),       /* mysql: sponsor_by_... */
    ngx_rush_step(ngx_user_item_judged),         /* mysql: user_is_open */
    ngx_rush_step(ngx_user_item_refused),
    ngx_rush_null_step
};


ngx_rush_step_t  ngx_user_sponsor_steps[] = {
    ngx_rush_step(ngx_user_find_card),           /* mysql: sponsor_seen */
    ngx_rush_step(ngx_user_card_found),
    ngx_rush_null_step
};


ngx_rush_step_t  ngx_user_sponsor_change_steps[] = {
    ngx_rush_step(ngx_user_check_card),          /* local */
    ngx_rush_step(ngx_user_change_card),         /* mysql: sponsor_change */
    ngx_rush_step(ngx_user_card_changed),        /* mysql: sponsor_by_id */
    ngx_rush_step(ngx_user_show_item),
    ngx_rush_null_step
};


ngx_rush_step_t  ngx_user_sponsor_remove_steps[] = {
    ngx_rush_step(ngx_user_remove_card),         /* mysql: sponsor_delete */
    ngx_rush_step(ngx_user_item_removed),
    ngx_rush_null_step
};


/* columns of the sponsor* statements */

enum {
    S_ID = 0, S_TYPE, S_APPLET, S_NAME, S_DESC, S_AVATAR, S_QR_CODE,
    S_INPUT_A, S_INPUT_B, S_SHOW, S_CREATED, S_UPDATED, S_HASH
};


const ngx_user_kind_t  ngx_user_sponsor_kind = {
    ngx_user_stmt(SPONSOR_INSERT),
    ngx_user_stmt(SPONSOR_BY_ID),
    ngx_user_stmt(SPONSOR_BY_REQ),
    S_HASH,
    S_SHOW,                             /* not looked at */
    0,
    NGX_USER_SPONSORS,
    RUSH_SPONSOR_LIMIT,
    ngx_user_put_card
};


static ngx_int_t
ngx_user_read_sponsors(ngx_rush_req_t *q)
{
    return ngx_user_query_mine(q, ngx_user_stmt(SPONSORS));
}


static ngx_int_t
ngx_user_sponsors_read(ngx_rush_req_t *q)
{
    ngx_user_put_page(q, ngx_user_put_card);

    return NGX_OK;
}


static ngx_int_t
ngx_user_check_card(ngx_rush_req_t *q)
{
    ngx_user_sponsor_add_t  *card = q->data;

    if (ngx_rush_given(q, "type")) {

        if (card->type == NGX_USER_MINI_PROGRAM && card->applet_type == 0) {
            return ngx_rush_refuse(q, "applet_type",
                                   "must be 1 to 3 with type 3");
        }

        if (card->type != NGX_USER_MINI_PROGRAM && card->applet_type != 0) {
            return ngx_rush_refuse(q, "applet_type",
                                   "must be 0 with this type");
        }

    } else if (ngx_rush_given(q, "applet_type")) {
        return ngx_rush_refuse(q, "type", "must be given with applet_type");
    }

    if (!ngx_user_is_address(&card->avatar)) {
        return ngx_rush_refuse(q, "avatar",
                               "must begin with http://, https:// or /");
    }

    if (!ngx_user_is_address(&card->qr_code)) {
        return ngx_rush_refuse(q, "qr_code",
                               "must begin with http://, https:// or /");
    }

    return NGX_OK;
}


static ngx_int_t
ngx_user_find_card(ngx_rush_req_t *q)
{
    ngx_user_sponsor_t  *card = q->data;

    ngx_rush_param_t     p[2];

    p[0] = ngx_rush_p_int(card->id);
    p[1] = ngx_rush_p_int(q->logged ? q->user.user : 0);

    return ngx_rush_query(q, ngx_user_stmt(SPONSOR_SEEN), p, 2,
                          RUSH_INTERNAL);
}


static ngx_int_t
ngx_user_card_found(ngx_rush_req_t *q)
{
    if (q->rows->n == 0) {
        return RUSH_NOT_FOUND;
    }

    ngx_user_put_card(&q->out, q->rows, 0, 0);

    return NGX_OK;
}


static ngx_int_t
ngx_user_change_card(ngx_rush_req_t *q)
{
    ngx_user_sponsor_change_t  *card = q->data;

    ngx_uint_t                  i, n;
    ngx_rush_param_t            p[NGX_USER_BODY + 3];

    n = ngx_user_body(q, p);

    for (i = 0; i < n; i++) {
        if (p[i].type != NGX_RUSH_P_NULL) {
            break;
        }
    }

    if (i == n) {
        return NGX_OK;                  /* nothing to change */
    }

    if (ngx_rush_given(q, "type")) {
        p[1] = ngx_rush_p_int(card->applet_type);   /* not what it was */
    }

    p[n++] = ngx_rush_p_int(ngx_rush_now_ms());
    p[n++] = ngx_rush_p_int(q->user.user);
    p[n++] = ngx_rush_p_int(card->id);

    return ngx_rush_query(q, ngx_user_stmt(SPONSOR_CHANGE), p, n,
                          RUSH_INTERNAL);
}


static ngx_int_t
ngx_user_card_changed(ngx_rush_req_t *q)
{
    ngx_user_sponsor_change_t  *card = q->data;

    if (q->rows && q->rows->affected == 0) {
        return RUSH_NOT_FOUND;
    }

    return ngx_user_query_item(q, ngx_user_stmt(SPONSOR_BY_ID), card->id);
}


static ngx_int_t
ngx_user_remove_card(ngx_rush_req_t *q)
{
    ngx_user_object_t  *card = q->data;

    return ngx_user_query_item(q, ngx_user_stmt(SPONSOR_DELETE), card->id);
}


void
ngx_user_put_card(rush_buf_t *b, ngx_rush_rows_t *rows, ngx_uint_t row,
    ngx_uint_t is_default)
{
    rush_json_open(b, NULL, '{');
    rush_json_id(b, "id", ngx_rush_cell_int(rows, row, S_ID));
    rush_json_int(b, "type", ngx_rush_cell_int(rows, row, S_TYPE));
    rush_json_int(b, "applet_type", ngx_rush_cell_int(rows, row, S_APPLET));
    rush_json_str(b, "name", ngx_user_cell(rows, row, S_NAME));
    rush_json_str(b, "desc", ngx_user_cell(rows, row, S_DESC));
    rush_json_str(b, "avatar", ngx_user_cell(rows, row, S_AVATAR));
    rush_json_str(b, "qr_code", ngx_user_cell(rows, row, S_QR_CODE));
    rush_json_str(b, "input_a", ngx_user_cell(rows, row, S_INPUT_A));
    rush_json_str(b, "input_b", ngx_user_cell(rows, row, S_INPUT_B));
    rush_json_bool(b, "is_show", ngx_rush_cell_int(rows, row, S_SHOW) != 0);
    rush_json_time(b, "created_at", ngx_rush_cell_int(rows, row, S_CREATED));
    rush_json_time(b, "updated_at", ngx_rush_cell_int(rows, row, S_UPDATED));
    rush_json_close(b, '}');
}
