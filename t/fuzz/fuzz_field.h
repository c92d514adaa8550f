
/*
 * Copyright (C) Rush
 *
 * A field of each type, and what both targets of fields (JSON, query) know
 * of their rules.
 */


#ifndef _FUZZ_FIELD_H_INCLUDED_
#define _FUZZ_FIELD_H_INCLUDED_


#include <ctype.h>

#include "fuzz.h"
#include "rush_field.h"


typedef struct {
    int64_t          n;
    int64_t          fen;
    int64_t          all;
    int64_t          id;
    int64_t          at;
    int64_t          on;
    rush_str_t       name;
    rush_str_t       text;
    rush_str_t       key;
    rush_str_t       pw;
} fuzz_values_t;


#define fuzz_field(type, member, place, required, min, max)                   \
    { rush_string(#member), RUSH_T_##type, RUSH_IN_##place, required,         \
      min, max, offsetof(fuzz_values_t, member) }


/* rules of the types that are text; the bytes may be anything */

static inline int
ref_text(const rush_field_t *f, const rush_str_t *s)
{
    size_t          i, chars;
    unsigned char   c;

    chars = 0;

    for (i = 0; i < s->len; i++) {
        c = s->data[i];
        chars += (c & 0xc0) != 0x80;

        if (f->type == RUSH_T_KEY) {
            if (!isalnum(c) && strchr("._:-", c) == NULL) {
                return 0;
            }

            if (c == '\0') {
                return 0;
            }

            continue;
        }

        if (c == 0x7f || (c == 0xc2 && i + 1 < s->len
                          && s->data[i + 1] < 0xa0))
        {
            return 0;
        }

        if (c < 0x20 && (f->type != RUSH_T_TEXT || c == '\0'
                         || strchr("\t\r\n", c) == NULL))
        {
            return 0;
        }
    }

    if (!ref_utf8(s->data, s->len)) {
        return 0;
    }

    if (f->type == RUSH_T_SECRET) {
        chars = s->len;
    }

    return (int64_t) chars >= f->min && (int64_t) chars <= f->max;
}


static inline void
fuzz_same(const rush_field_t *f, size_t n, uint64_t present,
    const fuzz_values_t *got, const fuzz_values_t *want)
{
    size_t             i;
    const rush_str_t  *a, *b;

    for (i = 0; i < n; i++) {

        if (!(present >> i & 1)) {
            continue;
        }

        a = (const void *) ((const char *) got + f[i].offset);
        b = (const void *) ((const char *) want + f[i].offset);

        if (f[i].type < RUSH_T_STR) {
            fuzz_check(memcmp(a, b, sizeof(int64_t)) == 0);
            continue;
        }

        fuzz_check(a->len == b->len
                   && (a->len == 0 || memcmp(a->data, b->data, a->len) == 0));
    }
}


#endif /* _FUZZ_FIELD_H_INCLUDED_ */
