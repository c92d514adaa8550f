
/*
 * Copyright (C) Rush
 */


#include "rush_list.h"


#define RUSH_LIST_MEMBER  64            /* bytes */


static int rush_list_member(const rush_str_t *s);
static long rush_list_count(const rush_str_t *list);
static int rush_list_fail(rush_field_error_t *err, const rush_field_t *f,
    const char *reason, unsigned range);


/* members are joined in place of the array: one with its comma is never
 * longer than it was in JSON */

int
rush_list_json(const rush_field_t *f, void *dst, rush_token_e token,
    rush_reader_t *j, rush_field_error_t *err)
{
    rush_str_t      list;
    unsigned char  *p;

    if (token != RUSH_J_ARRAY) {
        return rush_list_fail(err, f, "must be an array", 0);
    }

    p = j->p - 1;                       /* the bracket */
    list.data = p;

    for ( ;; ) {
        token = rush_reader_next(j);

        if (token == RUSH_J_CLOSE) {
            list.len = (size_t) (p - list.data);
            return rush_list_set(f, dst, &list, err);
        }

        if (token == RUSH_J_ERROR) {
            return rush_list_fail(err, NULL, j->error, 0);
        }

        if ((token != RUSH_J_STRING && token != RUSH_J_NUMBER)
            || !rush_list_member(&j->text))
        {
            return rush_list_fail(err, f, "must hold ids or names", 0);
        }

        if (p != list.data) {
            *p++ = ',';
        }

        memmove(p, j->text.data, j->text.len);
        p += j->text.len;
    }
}


int
rush_list_set(const rush_field_t *f, void *dst, const rush_str_t *text,
    rush_field_error_t *err)
{
    long  n;

    n = rush_list_count(text);

    if (n < 0) {
        return rush_list_fail(err, f, "must hold ids or names", 0);
    }

    if (n < f->min || n > f->max) {
        return rush_list_fail(err, f, "has a wrong length", 1);
    }

    *(rush_str_t *) dst = *text;

    return RUSH_OK;
}


static int
rush_list_member(const rush_str_t *s)
{
    size_t         i;
    unsigned char  c;

    for (i = 0; i < s->len; i++) {
        c = s->data[i];

        if ((c < '0' || c > '9') && ((c | 0x20) < 'a' || (c | 0x20) > 'z')
            && c != '.' && c != '_' && c != ':' && c != '-')
        {
            return 0;
        }
    }

    return s->len != 0 && s->len <= RUSH_LIST_MEMBER;
}


/* -1: it is none */

static long
rush_list_count(const rush_str_t *list)
{
    long        n;
    rush_str_t  rest, member;

    rest = *list;

    if (rest.len != 0 && rest.data[rest.len - 1] == ',') {
        return -1;
    }

    for (n = 0; rush_list_next(&rest, &member); n++) {

        if (!rush_list_member(&member)) {
            return -1;
        }
    }

    return n;
}


int
rush_list_next(rush_str_t *list, rush_str_t *member)
{
    unsigned char  *comma;

    if (list->len == 0) {
        return 0;
    }

    member->data = list->data;
    comma = memchr(list->data, ',', list->len);

    if (comma == NULL) {
        member->len = list->len;
        list->len = 0;
        return 1;
    }

    member->len = (size_t) (comma - list->data);
    list->data = comma + 1;
    list->len -= member->len + 1;

    return 1;
}


static int
rush_list_fail(rush_field_error_t *err, const rush_field_t *f,
    const char *reason, unsigned range)
{
    err->reason = reason;
    err->field = f;
    err->range = range;

    return RUSH_ERROR;
}
