
/*
 * Copyright (C) Rush
 */


#include "ngx_user_data.h"


static ngx_int_t ngx_user_count_sessions(ngx_rush_req_t *q);
static ngx_int_t ngx_user_sessions_counted(ngx_rush_req_t *q);
static ngx_int_t ngx_user_sessions_read(ngx_rush_req_t *q);

static ngx_int_t ngx_user_end_session(ngx_rush_req_t *q);
static ngx_int_t ngx_user_session_gone(ngx_rush_req_t *q);
static ngx_int_t ngx_user_session_found(ngx_rush_req_t *q);


ngx_rush_step_t  ngx_user_sessions_steps[] = {
    ngx_rush_step(ngx_user_count_sessions),      /* mysql: count_sessions */
    ngx_rush_step(ngx_user_sessions_counted),    /* mysql: sessions_page */
    ngx_rush_step(ngx_user_sessions_read),
    ngx_rush_null_step
};


ngx_rush_step_t  ngx_user_session_end_steps[] = {
    ngx_rush_step(ngx_user_end_session),         /* mysql: session_end */
    ngx_rush_step(ngx_user_session_gone),        /* mysql: session_one, when
                                                    nothing was changed */
    ngx_rush_step(ngx_user_session_found),
    ngx_rush_null_step
};


static ngx_int_t
ngx_user_count_sessions(ngx_rush_req_t *q)
{
    return ngx_user_query_item(q, ngx_user_stmt(COUNT_SESSIONS),
                               ngx_rush_now_ms());
}


static ngx_int_t
ngx_user_sessions_counted(ngx_rush_req_t *q)
{
    ngx_user_paged_t  *page = q->data;

    ngx_rush_param_t   p[4];

    ngx_user_page_defaults(page);
    page->total = ngx_rush_cell_int(q->rows, 0, 0);

    p[0] = ngx_rush_p_int(q->user.user);
    p[1] = ngx_rush_p_int(ngx_rush_now_ms());
    p[2] = ngx_rush_p_int(page->page_size);
    p[3] = ngx_rush_p_int((page->page - 1) * page->page_size);

    return ngx_rush_query(q, ngx_user_stmt(SESSIONS_PAGE), p, 4,
                          RUSH_INTERNAL);
}


static ngx_int_t
ngx_user_sessions_read(ngx_rush_req_t *q)
{
    ngx_user_paged_t  *page = q->data;

    int64_t            id;
    rush_buf_t        *b;
    ngx_uint_t         i;
    ngx_rush_rows_t   *rows;

    b = &q->out;
    rows = q->rows;

    rush_json_open(b, NULL, '{');
    rush_json_open(b, "list", '[');

    for (i = 0; i < rows->n; i++) {
        id = ngx_rush_cell_int(rows, i, 2);

        rush_json_open(b, NULL, '{');
        rush_json_id(b, "id", id);
        rush_json_str(b, "device", ngx_user_cell(rows, i, 0));
        rush_json_str(b, "address", ngx_user_cell(rows, i, 1));
        rush_json_time(b, "created_at", ngx_rush_cell_int(rows, i, 3));
        rush_json_time(b, "used_at", ngx_rush_cell_int(rows, i, 4));
        rush_json_time(b, "expires_at", ngx_rush_cell_int(rows, i, 5));
        rush_json_bool(b, "current", id == q->user.session);
        rush_json_close(b, '}');
    }

    ngx_user_list_close(q, page);

    return NGX_OK;
}


static ngx_int_t
ngx_user_end_session(ngx_rush_req_t *q)
{
    ngx_user_object_t  *session = q->data;

    ngx_rush_param_t    p[3];

    p[0] = ngx_rush_p_int(ngx_rush_now_ms());
    p[1] = ngx_rush_p_int(session->id);
    p[2] = ngx_rush_p_int(q->user.user);

    return ngx_rush_query(q, ngx_user_stmt(SESSION_END), p, 3, RUSH_INTERNAL);
}


static ngx_int_t
ngx_user_session_gone(ngx_rush_req_t *q)
{
    ngx_user_object_t  *session = q->data;

    ngx_rush_param_t    p[2];

    if (q->rows->affected) {
        ngx_rush_revoke(q, 's', session->id, 0);
        return NGX_DONE;
    }

    p[0] = ngx_rush_p_int(session->id);
    p[1] = ngx_rush_p_int(q->user.user);

    return ngx_rush_query(q, ngx_user_stmt(SESSION_ONE), p, 2, RUSH_INTERNAL);
}


static ngx_int_t
ngx_user_session_found(ngx_rush_req_t *q)
{
    ngx_user_object_t  *session = q->data;

    if (q->rows->n == 0) {
        return RUSH_NOT_FOUND;
    }

    /* it had ended, but who ended it may have died before it told others */

    ngx_rush_revoke(q, 's', session->id, 0);

    return NGX_OK;
}
