
/*
 * Copyright (C) Rush
 */


#include "ngx_user_data.h"


#define NGX_USER_PHONE_DIGITS  15


static ngx_int_t ngx_user_read_addresses(ngx_rush_req_t *q);
static ngx_int_t ngx_user_addresses_read(ngx_rush_req_t *q);
static ngx_int_t ngx_user_check_address(ngx_rush_req_t *q);
static ngx_int_t ngx_user_change_address(ngx_rush_req_t *q);
static ngx_int_t ngx_user_address_changed(ngx_rush_req_t *q);
static ngx_int_t ngx_user_remove_address(ngx_rush_req_t *q);
static ngx_int_t ngx_user_parse_address(ngx_rush_req_t *q);

static ngx_uint_t ngx_user_is_phone(rush_str_t *s);
static ngx_uint_t ngx_user_is_postcode(rush_str_t *s);
static ngx_uint_t ngx_user_is_blank(rush_str_t *s);


ngx_rush_step_t  ngx_user_addresses_steps[] = {
    ngx_rush_step(ngx_user_read_addresses),      /* mysql: addresses */
    ngx_rush_step(ngx_user_addresses_read),
    ngx_rush_null_step
};


ngx_rush_step_t  ngx_user_address_add_steps[] = {
    ngx_rush_step(ngx_user_check_address),       /* local */
    ngx_rush_step(ngx_user_insert_item),         /* mysql: address_insert */
    ngx_rush_step(ngx_user_item_inserted),       /* mysql: address_by_... */
    ngx_rush_step(ngx_user_item_judged),         /* mysql: user_is_open */
    ngx_rush_step(ngx_user_item_refused),
    ngx_rush_null_step
};


ngx_rush_step_t  ngx_user_address_change_steps[] = {
    ngx_rush_step(ngx_user_check_address),       /* local */
    ngx_rush_step(ngx_user_change_address),      /* mysql: address_change */
    ngx_rush_step(ngx_user_address_changed),     /* mysql: address_by_id */
    ngx_rush_step(ngx_user_show_item),
    ngx_rush_null_step
};


ngx_rush_step_t  ngx_user_address_remove_steps[] = {
    ngx_rush_step(ngx_user_remove_address),      /* mysql: address_delete */
    ngx_rush_step(ngx_user_item_removed),
    ngx_rush_null_step
};


ngx_rush_step_t  ngx_user_address_parse_steps[] = {
    ngx_rush_step(ngx_user_parse_address),       /* local */
    ngx_rush_null_step
};


/* columns of the address* statements */

enum {
    A_ID = 0, A_RECEIVER, A_MOBILE, A_PROVINCE, A_CITY, A_DISTRICT, A_DETAIL,
    A_POSTCODE, A_TAG, A_CREATED, A_UPDATED, A_HASH, A_DEFAULT
};


const ngx_user_kind_t  ngx_user_address_kind = {
    ngx_user_stmt(ADDRESS_INSERT),
    ngx_user_stmt(ADDRESS_BY_ID),
    ngx_user_stmt(ADDRESS_BY_REQ),
    A_HASH,
    A_DEFAULT,
    1,
    NGX_USER_ADDRESSES,
    RUSH_ADDRESS_LIMIT,
    ngx_user_put_place
};


static ngx_int_t
ngx_user_read_addresses(ngx_rush_req_t *q)
{
    return ngx_user_query_mine(q, ngx_user_stmt(ADDRESSES));
}


static ngx_int_t
ngx_user_addresses_read(ngx_rush_req_t *q)
{
    ngx_user_put_page(q, ngx_user_put_place);

    return NGX_OK;
}


static ngx_int_t
ngx_user_check_address(ngx_rush_req_t *q)
{
    ngx_user_address_add_t  *a = q->data;

    ngx_uint_t               i;

    struct {
        const char          *name;
        rush_str_t          *text;
    } texts[] = {
        { "receiver", &a->receiver }, { "province", &a->province },
        { "city", &a->city }, { "detail", &a->detail }
    };

    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {

        if (texts[i].text->len && ngx_user_is_blank(texts[i].text)) {
            return ngx_rush_refuse(q, texts[i].name, "must not be blank");
        }
    }

    if (a->mobile.len && ngx_user_mobile(&a->mobile) != NGX_OK
        && !ngx_user_is_phone(&a->mobile))
    {
        return ngx_rush_refuse(q, "mobile", "must be a phone number");
    }

    if (!ngx_user_is_postcode(&a->postcode)) {
        return ngx_rush_refuse(q, "postcode", "must be a postcode");
    }

    return NGX_OK;
}


static ngx_int_t
ngx_user_change_address(ngx_rush_req_t *q)
{
    ngx_user_address_change_t  *a = q->data;

    int64_t                     now;
    ngx_uint_t                  i, n;
    ngx_rush_param_t            p[NGX_USER_BODY + 3];

    now = ngx_rush_now_ms();
    n = ngx_user_body(q, p);

    for (i = 0; i < n; i++) {
        if (p[i].type != NGX_RUSH_P_NULL) {
            break;
        }
    }

    if (i == n) {
        return NGX_OK;                  /* nothing to change */
    }

    ngx_user_take_place(&p[n - 1], now);

    p[n++] = ngx_rush_p_int(now);
    p[n++] = ngx_rush_p_int(q->user.user);
    p[n++] = ngx_rush_p_int(a->id);

    return ngx_rush_query(q, ngx_user_stmt(ADDRESS_CHANGE), p, n,
                          RUSH_INTERNAL);
}


static ngx_int_t
ngx_user_address_changed(ngx_rush_req_t *q)
{
    ngx_user_address_change_t  *a = q->data;

    if (q->rows && q->rows->affected == 0) {
        return RUSH_NOT_FOUND;
    }

    return ngx_user_query_item(q, ngx_user_stmt(ADDRESS_BY_ID), a->id);
}


static ngx_int_t
ngx_user_remove_address(ngx_rush_req_t *q)
{
    ngx_user_object_t  *a = q->data;

    return ngx_user_query_item(q, ngx_user_stmt(ADDRESS_DELETE), a->id);
}


static ngx_int_t
ngx_user_parse_address(ngx_rush_req_t *q)
{
    ngx_user_address_parse_t  *parse = q->data;

    rush_buf_t                *b;
    rush_address_t             found;

    rush_address_parse(&found, parse->text.data, parse->text.len);

    b = &q->out;

    rush_json_open(b, NULL, '{');
    rush_json_str(b, "receiver", &found.name);
    rush_json_str(b, "mobile", &found.phone);
    rush_json_str(b, "province", &found.province);
    rush_json_str(b, "city", &found.city);
    rush_json_str(b, "district", &found.district);
    rush_json_str(b, "detail", &found.detail);
    rush_json_str(b, "postcode", &found.postcode);
    rush_json_bool(b, "complete",
                   found.name.len && found.phone.len && found.province.len
                   && found.city.len && found.detail.len);
    rush_json_close(b, '}');

    return NGX_OK;
}


/* "+" before, single "-" between, 5 to 15 digits: 010-62345678-801, 95588 */

static ngx_uint_t
ngx_user_is_phone(rush_str_t *s)
{
    size_t      i;
    ngx_uint_t  digits, dash;

    digits = 0;
    dash = 1;                           /* not before the first digit */

    for (i = (s->len && s->data[0] == '+'); i < s->len; i++) {

        if (s->data[i] >= '0' && s->data[i] <= '9') {
            digits++;
            dash = 0;

        } else if (s->data[i] == '-' && !dash) {
            dash = 1;

        } else {
            return 0;
        }
    }

    return digits >= 5 && digits <= NGX_USER_PHONE_DIGITS && !dash;
}


static ngx_uint_t
ngx_user_is_postcode(rush_str_t *s)
{
    u_char  c;
    size_t  i;

    for (i = 0; i < s->len; i++) {
        c = ngx_tolower(s->data[i]);

        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '-'
              || c == ' '))
        {
            return 0;
        }
    }

    return 1;
}


/* U+3000, the wide blank, too */

static ngx_uint_t
ngx_user_is_blank(rush_str_t *s)
{
    u_char  *p, *last;

    last = s->data + s->len;

    for (p = s->data; p < last; p++) {

        if (*p == ' ') {
            continue;
        }

        if (last - p >= 3 && p[0] == 0xe3 && p[1] == 0x80 && p[2] == 0x80) {
            p += 2;
            continue;
        }

        return 0;
    }

    return 1;
}


void
ngx_user_put_place(rush_buf_t *b, ngx_rush_rows_t *rows, ngx_uint_t row,
    ngx_uint_t is_default)
{
    rush_json_open(b, NULL, '{');
    rush_json_id(b, "id", ngx_rush_cell_int(rows, row, A_ID));
    rush_json_str(b, "receiver", ngx_user_cell(rows, row, A_RECEIVER));
    rush_json_str(b, "mobile", ngx_user_cell(rows, row, A_MOBILE));
    rush_json_str(b, "province", ngx_user_cell(rows, row, A_PROVINCE));
    rush_json_str(b, "city", ngx_user_cell(rows, row, A_CITY));
    rush_json_str(b, "district", ngx_user_cell(rows, row, A_DISTRICT));
    rush_json_str(b, "detail", ngx_user_cell(rows, row, A_DETAIL));
    rush_json_str(b, "postcode", ngx_user_cell(rows, row, A_POSTCODE));
    rush_json_str(b, "tag", ngx_user_cell(rows, row, A_TAG));
    rush_json_bool(b, "is_default", is_default);
    rush_json_time(b, "created_at", ngx_rush_cell_int(rows, row, A_CREATED));
    rush_json_time(b, "updated_at", ngx_rush_cell_int(rows, row, A_UPDATED));
    rush_json_close(b, '}');
}
