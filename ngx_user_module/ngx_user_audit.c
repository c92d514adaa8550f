
/*
 * Copyright (C) Rush
 */


#include "ngx_user_admin.h"


/*
 * Reads the record of what administrators did, as far as the consumer has
 * put it into its chain; the core writes it (ngx_rush_audit.c).
 */


static ngx_int_t ngx_user_read_audit(ngx_rush_req_t *q);
static ngx_int_t ngx_user_audit_read(ngx_rush_req_t *q);
static void ngx_user_put_audit(rush_buf_t *b, ngx_rush_rows_t *rows,
    ngx_uint_t row);


enum {                                  /* columns of audit_list */
    NGX_USER_AUDIT_SEQ = 0,
    NGX_USER_AUDIT_ACT,
    NGX_USER_AUDIT_KIND,
    NGX_USER_AUDIT_CODE,
    NGX_USER_AUDIT_USER,
    NGX_USER_AUDIT_ROLES,
    NGX_USER_AUDIT_ROUTE,
    NGX_USER_AUDIT_OBJECT,
    NGX_USER_AUDIT_FIELDS,
    NGX_USER_AUDIT_ADDRESS,
    NGX_USER_AUDIT_TRACE,
    NGX_USER_AUDIT_CREATED,
    NGX_USER_AUDIT_PREV,
    NGX_USER_AUDIT_HASH
};


ngx_rush_step_t  ngx_user_audit_steps[] = {
    ngx_rush_step(ngx_user_read_audit),          /* mysql: audit_list */
    ngx_rush_step(ngx_user_audit_read),
    ngx_rush_null_step
};


static ngx_int_t
ngx_user_read_audit(ngx_rush_req_t *q)
{
    ngx_user_audit_t  *audit = q->data;

    ngx_rush_param_t   p[12];

    p[0] = ngx_rush_p_int(audit->last_id ? audit->last_id : INT64_MAX);
    p[1] = audit->user_id ? ngx_rush_p_int(audit->user_id)
                          : ngx_rush_p_null();
    p[2] = p[1];
    p[3] = audit->act ? ngx_rush_p_int(audit->act) : ngx_rush_p_null();
    p[4] = p[3];
    p[5] = audit->object.len ? ngx_rush_p_str(&audit->object)
                             : ngx_rush_p_null();
    p[6] = p[5];
    p[7] = audit->route.len ? ngx_rush_p_str(&audit->route)
                            : ngx_rush_p_null();
    p[8] = p[7];
    p[9] = ngx_rush_p_int(audit->from);
    p[10] = ngx_rush_p_int(ngx_rush_given(q, "to") ? audit->to : INT64_MAX);

    if (audit->page_size == 0) {
        audit->page_size = NGX_USER_PAGE_SIZE;
    }

    p[11] = ngx_rush_p_int(audit->page_size);

    return ngx_rush_query(q, ngx_user_stmt(AUDIT_LIST), p, 12, NGX_OK);
}


static ngx_int_t
ngx_user_audit_read(ngx_rush_req_t *q)
{
    ngx_user_audit_t  *audit = q->data;

    ngx_uint_t         i, n;

    n = q->rows->n;

    rush_json_open(&q->out, NULL, '{');
    rush_json_open(&q->out, "list", '[');

    for (i = 0; i < n; i++) {
        ngx_user_put_audit(&q->out, q->rows, i);
    }

    rush_json_close(&q->out, ']');

    if ((int64_t) n == audit->page_size) {
        rush_json_id(&q->out, "next_last_id",
                     ngx_rush_cell_int(q->rows, n - 1, NGX_USER_AUDIT_SEQ));
    }

    rush_json_close(&q->out, '}');

    return NGX_OK;
}


static void
ngx_user_put_audit(rush_buf_t *b, ngx_rush_rows_t *rows, ngx_uint_t row)
{
    ngx_str_t  *fields;
    ngx_uint_t  outcome;

#define ngx_user_text(col)  ((rush_str_t *) ngx_rush_cell(rows, row, col))
#define ngx_user_int(col)   ngx_rush_cell_int(rows, row, col)

    outcome = ngx_user_int(NGX_USER_AUDIT_KIND) != 0;
    fields = ngx_rush_cell(rows, row, NGX_USER_AUDIT_FIELDS);

    rush_json_open(b, NULL, '{');
    rush_json_id(b, "id", ngx_user_int(NGX_USER_AUDIT_SEQ));
    rush_json_id(b, "act", ngx_user_int(NGX_USER_AUDIT_ACT));
    rush_json_text(b, "kind", outcome ? "outcome" : "intent");

    if (outcome) {
        rush_json_int(b, "code", ngx_user_int(NGX_USER_AUDIT_CODE));
    }

    rush_json_id(b, "user_id", ngx_user_int(NGX_USER_AUDIT_USER));
    ngx_user_put_roles(b, ngx_user_int(NGX_USER_AUDIT_ROLES));
    rush_json_str(b, "route", ngx_user_text(NGX_USER_AUDIT_ROUTE));
    rush_json_str(b, "object", ngx_user_text(NGX_USER_AUDIT_OBJECT));
    rush_json_raw(b, "fields", fields->data, fields->len);
    rush_json_str(b, "address", ngx_user_text(NGX_USER_AUDIT_ADDRESS));
    rush_json_str(b, "trace", ngx_user_text(NGX_USER_AUDIT_TRACE));
    rush_json_time(b, "at", ngx_user_int(NGX_USER_AUDIT_CREATED));
    rush_json_str(b, "prev_hash", ngx_user_text(NGX_USER_AUDIT_PREV));
    rush_json_str(b, "hash", ngx_user_text(NGX_USER_AUDIT_HASH));
    rush_json_close(b, '}');

#undef ngx_user_text
#undef ngx_user_int
}
