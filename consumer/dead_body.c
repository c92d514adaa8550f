
/*
 * Copyright (C) Rush
 *
 * The body of a dead letter, {"id":"...","fields":["...",...]} as dead.c
 * wrote it, read again as XRANGE would give it; and what the open letters of
 * an activity hold.
 */


#include <stdlib.h>

#include "controller.h"
#include "store.h"


static int rush_dead_hold(rush_controller_t *ctl, int64_t id,
    const rush_grant_t *grant, rush_order_pt handler, void *data);
static redisReply *rush_dead_string(const char *data, size_t len);
static int rush_dead_push(redisReply *list, redisReply *element);
static const char *rush_dead_unquote(const char *p, rush_buf_t *b);


int
rush_dead_grants(rush_controller_t *ctl, int64_t id, rush_order_pt handler,
    void *data)
{
    int            rc;
    size_t         i;
    redisReply    *reply;
    const char    *cause;
    rush_rows_t    rows;
    rush_param_t   param;
    rush_entry_t  *entry;

    entry = malloc(sizeof(rush_entry_t));
    if (entry == NULL) {
        return RUSH_ERROR;
    }

    memset(&rows, 0, sizeof(rush_rows_t));
    param = rush_p_int(id);

    rc = rush_ctl_run(ctl, DEAD_GRANTS, &param, 1, &rows);

    for (i = 0; i < rows.n && rc == RUSH_OK; i++) {
        reply = rush_dead_body(rush_cell(&rows, i, 1),
                               rush_cell(&rows, i, 0));

        if (reply == NULL) {
            rc = RUSH_ERROR;

        } else if (rush_entry_parse(reply, entry, &cause) == RUSH_OK
                   && entry->count == 1)
        {
            rc = rush_dead_hold(ctl, id, &entry->grants[0], handler, data);
        }

        freeReplyObject(reply);
    }

    rush_rows_free(&rows);
    free(entry);

    return rc == RUSH_OK ? RUSH_OK : RUSH_ERROR;
}


/* unless it has its row: a replay killed before it closed the letter */

static int
rush_dead_hold(rush_controller_t *ctl, int64_t id, const rush_grant_t *grant,
    rush_order_pt handler, void *data)
{
    int           stored;
    char          req[RUSH_REQ_MAX + 1], order[RUSH_REQ_MAX + 1];
    rush_str_t    r, o;
    rush_rows_t   rows;
    rush_param_t  params[3];

    r.data = (unsigned char *) req;
    r.len = (size_t) snprintf(req, sizeof(req), "%.*s",
                              (int) grant->req.len, grant->req.data);
    o.data = (unsigned char *) order;
    o.len = (size_t) snprintf(order, sizeof(order), "%.*s",
                              (int) grant->order_no.len,
                              grant->order_no.data);

    memset(&rows, 0, sizeof(rush_rows_t));

    params[0] = rush_p_int(grant->user);
    params[1] = rush_p_int(id);
    params[2] = rush_p_str(&r);

    if (rush_ctl_run(ctl, ORDER_OF_REQUEST, params, 3, &rows) != RUSH_OK) {
        return RUSH_ERROR;
    }

    stored = rows.n != 0;
    rush_rows_free(&rows);

    return stored ? RUSH_OK : handler(data, grant->user, &r, &o, grant->qty);
}


redisReply *
rush_dead_body(const rush_str_t *body, const rush_str_t *id)
{
    const char  *p;
    rush_buf_t   b;
    redisReply  *entry, *fields, *name;

    static const char  key[] = "\"fields\":[";

    memset(&b, 0, sizeof(rush_buf_t));

    entry = calloc(1, sizeof(redisReply));
    fields = calloc(1, sizeof(redisReply));
    name = rush_dead_string((char *) id->data, id->len);

    if (entry == NULL || fields == NULL || name == NULL) {
        free(entry);
        freeReplyObject(fields);
        freeReplyObject(name);
        return NULL;
    }

    entry->type = REDIS_REPLY_ARRAY;
    fields->type = REDIS_REPLY_ARRAY;

    if (rush_dead_push(entry, name) != RUSH_OK) {
        freeReplyObject(fields);
        goto failed;
    }

    if (rush_dead_push(entry, fields) != RUSH_OK) {
        goto failed;
    }

    /* the cell ends with NUL, which no case below steps over */

    p = strstr((char *) body->data, key);

    if (p == NULL || strstr(p, "\"cut\":true") != NULL) {
        goto failed;
    }

    p += sizeof(key) - 1;

    while (*p != ']') {

        if (*p == ',') {
            p++;
        }

        rush_buf_reset(&b);
        p = rush_dead_unquote(p, &b);

        if (p == NULL || b.failed
            || rush_dead_push(fields, rush_dead_string((char *) b.data,
                                                       b.len))
               != RUSH_OK)
        {
            goto failed;
        }
    }

    rush_buf_free(&b);

    return entry;

failed:

    rush_buf_free(&b);
    freeReplyObject(entry);

    return NULL;
}


static redisReply *
rush_dead_string(const char *data, size_t len)
{
    redisReply  *r;

    r = calloc(1, sizeof(redisReply));
    if (r == NULL) {
        return NULL;
    }

    r->type = REDIS_REPLY_STRING;
    r->str = calloc(1, len + 1);

    if (r->str == NULL) {
        free(r);
        return NULL;
    }

    if (len > 0) {
        memcpy(r->str, data, len);
    }

    r->len = len;

    return r;
}


/* owns the element from now on, also when it fails */

static int
rush_dead_push(redisReply *list, redisReply *element)
{
    redisReply  **elements;

    if (element == NULL) {
        return RUSH_ERROR;
    }

    elements = realloc(list->element,
                       (list->elements + 1) * sizeof(redisReply *));
    if (elements == NULL) {
        freeReplyObject(element);
        return RUSH_ERROR;
    }

    list->element = elements;
    list->element[list->elements++] = element;

    return RUSH_OK;
}


/* returns the place behind the string, NULL when it is none */

static const char *
rush_dead_unquote(const char *p, rush_buf_t *b)
{
    char         *end;
    char          hex[5];
    unsigned long  v;

    static const char  from[] = "\"\\/bfnrt";
    static const char  to[] = "\"\\/\b\f\n\r\t";

    if (*p++ != '"') {
        return NULL;
    }

    while (*p != '"') {

        if (*p == '\0') {
            return NULL;
        }

        if (*p != '\\') {
            rush_buf_add(b, p++, 1);
            continue;
        }

        p++;

        if (*p == '\0') {
            return NULL;
        }

        if (*p != 'u') {
            end = strchr(from, *p++);

            if (end == NULL) {
                return NULL;
            }

            rush_buf_add(b, &to[end - from], 1);
            continue;
        }

        /* the writer escapes control characters only */

        snprintf(hex, sizeof(hex), "%s", p + 1);
        v = strtoul(hex, &end, 16);

        if (end != hex + 4 || v > 0x7f) {
            return NULL;
        }

        hex[0] = (char) v;
        rush_buf_add(b, hex, 1);
        p += 5;
    }

    return p + 1;
}
