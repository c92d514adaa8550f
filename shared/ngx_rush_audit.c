
/*
 * Copyright (C) Rush
 */


#include "ngx_rush_core.h"
#include "rush_list.h"
#include "ngx_rush_sql.h"


/*
 * The record of what administrators do.  A route with a permission that is
 * no GET writes an intent before its first step and the outcome before its
 * answer.  Without an intent nothing is done: BUSY.  An intent without an
 * outcome is an act of which nobody knows how it ended (the worker was
 * killed, or MySQL left in between); its effect may have taken place.
 *
 * What was refused before the first step (no token, no permission, malformed)
 * is no act.
 *
 * Fields are told as they were given, but SECRET ones, which are left out,
 * and numbers and addresses of a person, which are masked: the record cannot
 * be changed later, when that person wants to be forgotten.
 */


#define NGX_RUSH_AUDIT_PARAMS  12
#define NGX_RUSH_AUDIT_OBJECT  64       /* bytes */


static ngx_int_t ngx_rush_audit_write(ngx_rush_req_t *q, ngx_uint_t kind,
    ngx_str_t *object, ngx_str_t *fields, ngx_int_t code);
static void ngx_rush_audit_object(ngx_rush_req_t *q, u_char *buf,
    ngx_str_t *object);
static void ngx_rush_audit_field(rush_buf_t *b, const rush_field_t *f,
    void *place);
static void ngx_rush_audit_list(rush_buf_t *b, const char *key,
    rush_str_t *list);


static ngx_str_t  ngx_rush_audit_masked[] = {
    ngx_string("mobile"), ngx_string("email"), ngx_null_string
};


ngx_int_t
ngx_rush_audit_intent(ngx_rush_req_t *q)
{
    u_char               text[NGX_RUSH_AUDIT_OBJECT];
    ngx_int_t            rc;
    ngx_str_t            fields, object;
    ngx_uint_t           i;
    rush_buf_t           b;
    const rush_field_t  *f;

    q->act = ngx_rush_id();
    if (q->act == 0) {
        return RUSH_BUSY;
    }

    ngx_memzero(&b, sizeof(rush_buf_t));
    rush_json_open(&b, NULL, '{');

    for (i = 0; i < q->route->nfields; i++) {
        f = &q->route->fields[i];

        if (q->present & ((uint64_t) 1 << i)) {
            ngx_rush_audit_field(&b, f, (u_char *) q->data + f->offset);
        }
    }

    rush_json_close(&b, '}');

    if (b.failed) {
        rush_buf_free(&b);
        return NGX_ERROR;
    }

    fields.data = b.data;
    fields.len = b.len;

    ngx_rush_audit_object(q, text, &object);
    rc = ngx_rush_audit_write(q, NGX_RUSH_AUDIT_INTENT, &object, &fields, 0);

    rush_buf_free(&b);

    return rc;
}


ngx_int_t
ngx_rush_audit_outcome(ngx_rush_req_t *q, ngx_int_t code)
{
    u_char            text[NGX_RUSH_AUDIT_OBJECT];
    ngx_str_t         object;
    static ngx_str_t  none = ngx_string("{}");

    ngx_rush_audit_object(q, text, &object);

    return ngx_rush_audit_write(q, NGX_RUSH_AUDIT_OUTCOME, &object, &none,
                                code);
}


static ngx_int_t
ngx_rush_audit_write(ngx_rush_req_t *q, ngx_uint_t kind, ngx_str_t *object,
    ngx_str_t *fields, ngx_int_t code)
{
    ngx_str_t          trace;
    ngx_rush_param_t   p[NGX_RUSH_AUDIT_PARAMS];

    trace.data = q->trace.id;
    trace.len = RUSH_TRACE_LEN;

    p[0] = ngx_rush_p_int(q->act);
    p[1] = ngx_rush_p_int(kind);
    p[2] = ngx_rush_p_int(q->user.user);
    p[3] = ngx_rush_p_int(q->user.session);
    p[4] = ngx_rush_p_int(q->user.roles);
    p[5] = ngx_rush_p_str(&q->route->name);
    p[6] = ngx_rush_p_str(object);
    p[7] = ngx_rush_p_str(fields);
    p[8] = ngx_rush_p_str(&q->r->connection->addr_text);
    p[9] = ngx_rush_p_str(&trace);
    p[10] = ngx_rush_p_int(code);
    p[11] = ngx_rush_p_int(ngx_rush_now_ms());

    return ngx_rush_query(q, &ngx_rush_sql[NGX_RUSH_SQL_AUDIT], p,
                          NGX_RUSH_AUDIT_PARAMS, NGX_OK);
}


/* what a step has made (q->object), else the first field of the path */

static void
ngx_rush_audit_object(ngx_rush_req_t *q, u_char *buf, ngx_str_t *object)
{
    void                *place;
    int64_t              id;
    rush_str_t          *s;
    ngx_uint_t           i;
    const rush_field_t  *f;

    id = q->object;

    object->data = buf;
    object->len = 0;

    for (i = 0; id == 0 && i < q->route->nfields; i++) {
        f = &q->route->fields[i];

        if (f->place != RUSH_IN_PATH) {
            continue;
        }

        place = (u_char *) q->data + f->offset;

        if (f->type == RUSH_T_KEY) {
            s = place;
            object->len = ngx_min(s->len, NGX_RUSH_AUDIT_OBJECT);
            ngx_memcpy(buf, s->data, object->len);
            return;
        }

        id = *(int64_t *) place;
    }

    if (id) {
        object->len = ngx_sprintf(buf, "%L", id) - buf;
    }
}


static void
ngx_rush_audit_field(rush_buf_t *b, const rush_field_t *f, void *place)
{
    int64_t      v;
    ngx_str_t   *name;
    const char  *key;

    v = (f->type < RUSH_T_STR) ? *(int64_t *) place : 0;
    key = (char *) f->name.data;        /* a literal, so NUL follows */

    switch (f->type) {

    case RUSH_T_INT:
    case RUSH_T_MONEY:
        rush_json_int(b, key, v);
        return;

    case RUSH_T_ID:
        rush_json_id(b, key, v);
        return;

    case RUSH_T_TIME:
        rush_json_time(b, key, v);
        return;

    case RUSH_T_BOOL:
        rush_json_bool(b, key, v != 0);
        return;

    case RUSH_T_SECRET:
        return;

    case RUSH_T_LIST:
        ngx_rush_audit_list(b, key, place);
        return;

    default: /* RUSH_T_STR, RUSH_T_TEXT, RUSH_T_KEY */
        break;
    }

    for (name = ngx_rush_audit_masked; name->len; name++) {

        if (name->len == f->name.len
            && ngx_memcmp(name->data, f->name.data, name->len) == 0)
        {
            rush_json_text(b, key, ((rush_str_t *) place)->len ? "***" : "");
            return;
        }
    }

    rush_json_str(b, key, place);
}


static void
ngx_rush_audit_list(rush_buf_t *b, const char *key, rush_str_t *list)
{
    rush_str_t  rest, member;

    rest = *list;

    rush_json_open(b, key, '[');

    while (rush_list_next(&rest, &member)) {
        rush_json_str(b, NULL, &member);
    }

    rush_json_close(b, ']');
}
