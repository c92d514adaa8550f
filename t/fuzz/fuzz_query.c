
/*
 * Copyright (C) Rush
 *
 * A query string into a struct, against a decoder that first cuts and then
 * looks; and one raw value of a path or header by each row.
 */


#include "fuzz.h"
#include "fuzz_field.h"


static const rush_field_t  fields[] = {
    fuzz_field(INT, n, QUERY, 1, -5, 100000),
    fuzz_field(MONEY, fen, QUERY, 0, 0, 9007199254740992),
    fuzz_field(INT, all, QUERY, 0, -INT64_MAX, INT64_MAX),
    fuzz_field(ID, id, QUERY, 0, 0, 0),
    fuzz_field(TIME, at, QUERY, 0, 0, 0),
    fuzz_field(BOOL, on, QUERY, 0, 0, 0),
    fuzz_field(STR, name, QUERY, 0, 1, 8),
    fuzz_field(TEXT, text, QUERY, 0, 0, 16),
    fuzz_field(KEY, key, QUERY, 0, 1, 64),
    fuzz_field(SECRET, pw, QUERY, 0, 8, 72)
};

#define FIELDS  (sizeof(fields) / sizeof(fields[0]))


static int ref_query(fuzz_input_t in, fuzz_values_t *want, uint64_t *present,
    unsigned char *memory);
static int ref_unescape(const rush_str_t *from, rush_str_t *to);
static int ref_value(const rush_field_t *f, const rush_str_t *s,
    fuzz_values_t *want);
static int ref_int(const rush_str_t *s, int64_t *v);
static void fuzz_value(unsigned i, const uint8_t *data, size_t size);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int                  rc, ok;
    uint64_t             present, expected;
    fuzz_input_t         in;
    fuzz_values_t        got, want;
    unsigned char       *args, *memory;
    rush_field_error_t   err;

    if (size > 0 && data[0] < FIELDS) {
        fuzz_value(data[0], data + 1, size - 1);
        return 0;
    }

    memset(&got, 0, sizeof(got));
    memset(&want, 0, sizeof(want));
    memset(&err, 0, sizeof(err));
    present = 0;
    expected = 0;

    in.p = data;
    in.len = size;
    memory = fuzz_copy(data, size);
    ok = ref_query(in, &want, &expected, memory);

    args = fuzz_copy(data, size);
    rc = rush_field_query(fields, FIELDS, &got, &present, args, size, &err);

    fuzz_check(ok == (rc == RUSH_OK));

    if (ok) {
        fuzz_check(present == expected);
        fuzz_same(fields, FIELDS, present, &got, &want);

    } else {
        fuzz_check(err.reason != NULL && err.field != NULL);
    }

    free(args);
    free(memory);

    return 0;
}


static void
fuzz_value(unsigned i, const uint8_t *data, size_t size)
{
    int                  rc, ok;
    uint64_t             present;
    rush_str_t           s;
    fuzz_values_t        got, want;
    unsigned char       *text;
    rush_field_error_t   err;

    memset(&got, 0, sizeof(got));
    memset(&want, 0, sizeof(want));
    present = 0;

    s.data = (unsigned char *) (uintptr_t) data;
    s.len = size;
    ok = ref_value(&fields[i], &s, &want);

    text = fuzz_copy(data, size);
    rc = rush_field_value(fields, i, &got, &present, text, size, &err);

    fuzz_check(ok == (rc == RUSH_OK));

    if (ok) {
        fuzz_check(present == (uint64_t) 1 << i);
        fuzz_same(fields, FIELDS, present, &got, &want);
    }

    free(text);
}


/* memory: as large as the input, decoded values go there */

static int
ref_query(fuzz_input_t in, fuzz_values_t *want, uint64_t *present,
    unsigned char *memory)
{
    int            ok;
    size_t         i;
    rush_str_t     name, value;
    fuzz_input_t   pair;

    while (in.len != 0) {
        value = fuzz_until(&in, '&');
        pair.p = value.data;
        pair.len = value.len;

        name = fuzz_until(&pair, '=');
        value.data = (unsigned char *) (uintptr_t) pair.p;
        value.len = pair.len;

        ok = ref_unescape(&name, &(rush_str_t) { 0, memory });
        if (!ok) {
            continue;
        }

        name.len = (size_t) ok - 1;

        for (i = 0; i < FIELDS; i++) {
            if (fields[i].name.len == name.len
                && memcmp(fields[i].name.data, memory, name.len) == 0)
            {
                break;
            }
        }

        if (i == FIELDS) {
            continue;
        }

        if (*present >> i & 1) {
            return 0;
        }

        ok = ref_unescape(&value, &(rush_str_t) { 0, memory });
        if (!ok) {
            return 0;
        }

        value.data = memory;
        value.len = (size_t) ok - 1;
        memory += value.len;

        if (!ref_value(&fields[i], &value, want)) {
            return 0;
        }

        *present |= (uint64_t) 1 << i;
    }

    return 1;
}


/* the length and 1, 0 when it cannot be decoded */

static int
ref_unescape(const rush_str_t *from, rush_str_t *to)
{
    char      hex[3];
    size_t    i;

    for (i = 0; i < from->len; i++) {

        if (from->data[i] != '%') {
            to->data[to->len++] = from->data[i] == '+' ? ' ' : from->data[i];
            continue;
        }

        if (i + 2 >= from->len || !isxdigit(from->data[i + 1])
            || !isxdigit(from->data[i + 2]))
        {
            return 0;
        }

        memcpy(hex, &from->data[i + 1], 2);
        hex[2] = '\0';
        to->data[to->len++] = (unsigned char) strtol(hex, NULL, 16);
        i += 2;
    }

    return (int) to->len + 1;
}


static int
ref_value(const rush_field_t *f, const rush_str_t *s, fuzz_values_t *want)
{
    int64_t      v;
    rush_str_t  *place;

    place = (rush_str_t *) (void *) ((char *) want + f->offset);
    v = 0;

    switch (f->type) {

    case RUSH_T_INT:
    case RUSH_T_MONEY:
        if (!ref_int(s, &v) || v < f->min || v > f->max) {
            return 0;
        }

        break;

    case RUSH_T_ID:
        if (!ref_u63(s->data, s->len, &v) || v == 0) {
            return 0;
        }

        break;

    case RUSH_T_TIME:
        if ((!ref_u63(s->data, s->len, &v) && !ref_time(s->data, s->len, &v))
            || v < 0 || v > 253402300799999LL)
        {
            return 0;
        }

        break;

    case RUSH_T_BOOL:
        v = (s->len == 1 && *s->data == '1')
            || (s->len == 4 && memcmp(s->data, "true", 4) == 0);

        if (!v && (s->len != 1 || *s->data != '0')
            && (s->len != 5 || memcmp(s->data, "false", 5) != 0))
        {
            return 0;
        }

        break;

    default:
        *place = *s;
        return ref_text(f, s);
    }

    memcpy(place, &v, sizeof(v));

    return 1;
}


/* "-" and digits; -2^63 is one more than 63 bits hold */

static int
ref_int(const rush_str_t *s, int64_t *v)
{
    int  minus;

    minus = s->len > 0 && s->data[0] == '-';

    if (!ref_u63(s->data + minus, s->len - (size_t) minus, v)) {
        return 0;
    }

    if (minus) {
        *v = -*v;
    }

    return !minus || *v != 0;
}
