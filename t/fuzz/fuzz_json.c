
/*
 * Copyright (C) Rush
 *
 * A JSON body into a struct, against jansson: what is taken, and the values.
 * Differences that are meant (rush_field.h): at most 8 levels and 32 names,
 * an integer is written as digits ("-0" and "1.0" are none), an id may be a
 * string of digits.
 */


#include "fuzz.h"
#include "fuzz_field.h"


static const rush_field_t  fields[] = {
    fuzz_field(INT, n, BODY, 1, -5, 100000),
    fuzz_field(MONEY, fen, BODY, 0, 0, 9007199254740992),
    fuzz_field(INT, all, BODY, 0, -INT64_MAX, INT64_MAX),
    fuzz_field(ID, id, BODY, 0, 0, 0),
    fuzz_field(TIME, at, BODY, 0, 0, 0),
    fuzz_field(BOOL, on, BODY, 0, 0, 0),
    fuzz_field(STR, name, BODY, 0, 1, 8),
    fuzz_field(TEXT, text, BODY, 0, 0, 16),
    fuzz_field(KEY, key, BODY, 0, 1, 64),
    fuzz_field(SECRET, pw, BODY, 0, 8, 72)
};

#define FIELDS  (sizeof(fields) / sizeof(fields[0]))


static int ref_body(const uint8_t *data, size_t size, fuzz_values_t *want,
    uint64_t *present, json_t **root);
static int ref_field(const rush_field_t *f, const json_t *v, int minus,
    fuzz_values_t *want);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int                 rc, ok;
    json_t             *root;
    uint64_t            present, expected;
    fuzz_values_t       got, want;
    unsigned char      *body;
    rush_field_error_t  err;

    memset(&got, 0, sizeof(got));
    memset(&want, 0, sizeof(want));
    memset(&err, 0, sizeof(err));
    present = 0;
    expected = 0;

    ok = ref_body(data, size, &want, &expected, &root);

    body = fuzz_copy(data, size);
    rc = rush_field_body(fields, FIELDS, &got, &present, body, size, &err);

    fuzz_check(rc == RUSH_OK || rc == RUSH_ERROR);
    fuzz_check(ok == (rc == RUSH_OK));

    if (rc == RUSH_OK) {
        fuzz_check(present == expected);
        fuzz_same(fields, FIELDS, present, &got, &want);
        rc = rush_field_required(fields, FIELDS, present, &err);
        fuzz_check((rc == RUSH_OK) == (present & 1));

    } else {
        fuzz_check(err.reason != NULL);
    }

    free(body);
    json_decref(root);

    return 0;
}


/* strings are borrowed from *root */

static int
ref_body(const uint8_t *data, size_t size, fuzz_values_t *want,
    uint64_t *present, json_t **root)
{
    int        ok, minus;
    size_t     i;
    json_t    *v;
    unsigned   keys;

    *root = ref_json(data, size, 0);
    keys = 0;

    if (!json_is_object(*root) || ref_depth(*root, &keys) > 8 || keys > 32) {
        return 0;
    }

    ok = 1;

    for (i = 0; i < FIELDS; i++) {

        v = json_object_get(*root, (char *) fields[i].name.data);

        if (v == NULL || json_is_null(v)) {
            continue;
        }

        minus = json_is_integer(v) && json_integer_value(v) == 0
                && ref_is_minus(data, size, (char *) fields[i].name.data);

        if (!ref_field(&fields[i], v, minus, want)) {
            ok = 0;
        }

        *present |= (uint64_t) 1 << i;
    }

    return ok;
}


static int
ref_field(const rush_field_t *f, const json_t *v, int minus,
    fuzz_values_t *want)
{
    int64_t      n;
    rush_str_t  *s, text;

    s = (rush_str_t *) (void *) ((char *) want + f->offset);
    text.data = (unsigned char *) (uintptr_t) json_string_value(v);
    text.len = json_string_length(v);
    n = json_integer_value(v);

    switch (f->type) {

    case RUSH_T_INT:
    case RUSH_T_MONEY:
        memcpy(s, &n, 8);
        return json_is_integer(v) && !minus && n >= f->min && n <= f->max;

    case RUSH_T_ID:
        if (json_is_string(v) && !ref_u63(text.data, text.len, &n)) {
            return 0;
        }

        memcpy(s, &n, 8);
        return (json_is_integer(v) || json_is_string(v)) && n > 0;

    case RUSH_T_TIME:
        if (json_is_string(v) && !ref_time(text.data, text.len, &n)) {
            return 0;
        }

        memcpy(s, &n, 8);
        return (json_is_integer(v) || json_is_string(v)) && !minus && n >= 0
               && n <= 253402300799999LL;

    case RUSH_T_BOOL:
        n = json_is_true(v);
        memcpy(s, &n, 8);
        return json_is_boolean(v);

    default:
        *s = text;
        return json_is_string(v) && ref_text(f, &text);
    }
}
