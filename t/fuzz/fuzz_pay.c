
/*
 * Copyright (C) Rush
 */


#define _GNU_SOURCE
#include <ctype.h>
#include <time.h>

#include "fuzz_pay.h"


static json_t *ref_at(json_t *root, const char *path);
static json_t *ref_load(const unsigned char *p, size_t len);
static int ref_is_good(const ref_path_t *row, const json_t *v);
static int ref_is_text(const ref_path_t *row, const json_t *v);
static int ref_is_far(const char *s, size_t len);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned char  *p;

    if (size == 0) {
        return 0;
    }

    p = fuzz_copy(data + 1, size - 1);
    fuzz_targets[data[0] % fuzz_targets_n](p, size - 1);
    free(p);

    return 0;
}


rush_rsa_t *
fuzz_key(void)
{
    const char         *err;
    static rush_rsa_t  *key;

    if (key == NULL) {
        key = rush_rsa_private(FUZZ_KEY, strlen(FUZZ_KEY), &err);
        fuzz_check(key != NULL);
    }

    return key;
}


int
ref_paths(const ref_path_t *rows, size_t n, const char *const *must,
    const unsigned char *p, size_t len)
{
    int        result;
    size_t     i, there;
    json_t    *root, *v;
    unsigned   keys;

    keys = 0;
    root = ref_load(p, len);

    /* a name that comes twice where nothing is read may be taken */

    if (root == NULL) {
        root = len ? json_loadb((const char *) p, len, 0, NULL) : NULL;
        result = json_is_object(root) ? -1 : 0;
        json_decref(root);

        /* jansson refuses some numbers that are JSON */
        return len && memchr(p, '\0', len) == NULL ? -1 : result;
    }

    result = json_is_object(root) && ref_depth(root, &keys) <= 8;

    for (i = 0; result == 1 && i < n; i++) {
        v = ref_at(root, rows[i].path);

        if (v != NULL && !json_is_null(v)) {
            there = (size_t) ref_is_good(&rows[i], v);
            result = (there == 2) ? -1 : (int) there;
        }
    }

    for (i = 0; result == 1 && must[i] != NULL; i++) {
        v = ref_at(root, must[i]);
        result = json_is_string(v) && json_string_length(v) != 0;
    }

    json_decref(root);

    return result;
}


void
ref_compare(const ref_path_t *rows, size_t n, const void *got,
    const unsigned char *p, size_t len)
{
    size_t             i;
    json_t            *root, *v;
    int64_t            ms;
    const int64_t     *number;
    const rush_str_t  *text;

    root = ref_load(p, len);

    for (i = 0; root != NULL && i < n; i++) {
        v = ref_at(root, rows[i].path);

        if (v == NULL || json_is_null(v)) {
            continue;
        }

        text = (const void *) ((const char *) got + rows[i].offset);
        number = (const void *) text;

        switch (rows[i].kind) {

        case REF_INT:
            fuzz_check(*number == json_integer_value(v));
            break;

        case REF_TIME:
            fuzz_check(ref_time((const unsigned char *) json_string_value(v),
                                json_string_length(v), &ms));
            fuzz_check(*number == ms);
            break;

        case REF_YUAN:

            if (json_string_length(v) != 0) {
                fuzz_check(ref_yuan((const unsigned char *)
                                    json_string_value(v),
                                    json_string_length(v), &ms));
                fuzz_check(*number == ms);
            }

            break;

        case REF_CHINA:

            if (json_string_length(v) != 0) {
                fuzz_check(ref_china((const unsigned char *)
                                     json_string_value(v),
                                     json_string_length(v), &ms));
                fuzz_check(*number == ms);
            }

            break;

        default:
            fuzz_check(text->len == json_string_length(v));
            fuzz_check(text->len == 0
                       || memcmp(text->data, json_string_value(v), text->len)
                          == 0);
        }
    }

    json_decref(root);
}


static json_t *
ref_load(const unsigned char *p, size_t len)
{
    return ref_json(p, len, 0);
}


static json_t *
ref_at(json_t *root, const char *path)
{
    char         name[64];
    size_t       len;
    json_t      *v;

    for (v = root; v != NULL && *path != '\0'; path += len) {
        path += (*path == '.');
        len = strcspn(path, ".");
        memcpy(name, path, len);
        name[len] = '\0';
        v = json_object_get(v, name);
    }

    return v;
}


/* 2: cannot be said */

static int
ref_is_good(const ref_path_t *row, const json_t *v)
{
    int64_t               n;
    size_t                len;
    const unsigned char  *s;

    if (row->kind == REF_INT) {

        if (json_is_real(v)) {
            return 2;                   /* one that was too large for it */
        }

        n = json_integer_value(v);

        return !json_is_integer(v) ? 0 : n == 0 ? 2 : n > 0 && n <= row->max;
    }

    if (!json_is_string(v)) {
        return 0;
    }

    s = (const unsigned char *) json_string_value(v);
    len = json_string_length(v);

    switch (row->kind) {

    case REF_TIME:
        return ref_time(s, len, &n);

    case REF_YUAN:
        return len == 0 || ref_yuan(s, len, &n);

    case REF_CHINA:
        return len == 0 || ref_china(s, len, &n);

    default:
        return ref_is_text(row, v);
    }
}


static int
ref_is_text(const ref_path_t *row, const json_t *v)
{
    size_t       len;
    const char  *s;

    s = json_string_value(v);
    len = json_string_length(v);

    if ((int64_t) len > row->max) {
        return 0;
    }

    return row->kind == REF_TEXT
           || (row->kind == REF_STR && strcspn(s, "\001\002\003\004\005\006"
                   "\a\b\t\n\v\f\r\016\017\020\021\022\023\024\025\026\027\030"
                   "\031\032\033\034\035\036\037\177") == len)
           || (row->kind == REF_ID && !ref_is_far(s, len)
               && strcspn(s, "\"\\&=") == len);
}


/* has something that is no graphic character of ASCII */

static int
ref_is_far(const char *s, size_t len)
{
    size_t  i;

    for (i = 0; i < len; i++) {

        if ((unsigned char) s[i] >= 0x80 || !isgraph((unsigned char) s[i])) {
            return 1;
        }
    }

    return 0;
}


int
ref_yuan(const unsigned char *p, size_t len, int64_t *fen)
{
    int     n;
    char    text[32], again[32];
    long    yuan;

    if (len == 0 || len > 15 || !isdigit(p[0]) || !isdigit(p[len - 1])) {
        return 0;
    }

    memcpy(text, p, len);
    text[len] = '\0';

    if (strspn(text, "0123456789.") != len) {
        return 0;
    }

    yuan = strtol(text, NULL, 10);
    *fen = yuan * 100;

    snprintf(again, sizeof(again), "%ld", yuan);
    n = (int) strlen(again);

    if (strncmp(text, again, (size_t) n) != 0) {
        return 0;
    }

    switch (len - (size_t) n) {

    case 0:
        break;

    case 2:
        *fen += (text[n + 1] - '0') * 10;
        break;

    case 3:
        *fen += strtol(text + n + 1, NULL, 10);
        break;

    default:
        return 0;
    }

    return (text[n] == '\0' || (text[n] == '.' && isdigit(text[n + 1])))
           && *fen <= 10000000000;
}


int
ref_china(const unsigned char *p, size_t len, int64_t *ms)
{
    unsigned char  text[64];

    if (len < 19 || len > 23 || p[10] != ' ') {
        return 0;
    }

    memcpy(text, p, len);
    text[10] = 'T';
    text[len] = 'Z';

    if (!ref_time(text, len + 1, ms)) {
        return 0;
    }

    *ms -= 8 * 3600 * 1000;

    return 1;
}
