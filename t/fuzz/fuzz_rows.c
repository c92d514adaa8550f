
/*
 * Copyright (C) Rush
 *
 * Rows of the MySQL of fuzz_mysql.c: what a statement asks for, filled by the
 * names of its columns.
 */


#include "fuzz_mysql.h"


#define FUZZ_LONG  5000


static void fuzz_column(fuzz_stmt_t *s, const char *p, const char *last);
static rush_str_t fuzz_default(fuzz_stmt_t *s, const rush_str_t *name);


static char  longtext[FUZZ_LONG];

/* the end of a name -> what is there; numbers are numbers as a text too */

static const struct {
    const char  *end;
    const char  *value;
} values[] = {
    { "start_ms", "1000000000000" }, { "stop_ms", "4000000000000" },
    { "expires_ms", "4000000000000" }, { "expire_ms", "4000000000000" },
    { "fail_ms", "0" }, { "revoked_ms", "0" },
    { "_ms", "1795000000000" },
    { "order_no", "123-5" }, { "req_id", "req-1" }, { "COUNT(*)", "1" },
    { "product_id", "7" }, { "user_id", "1000001" }, { "id", "5" },
    { "title", "a title" }, { "password_hash", NULL },
    { "username", "alice" }, { "mobile", "13800138000" },
    { "email", "a@example.com" }, { "token_version", "0" },
    { "cancel_reason", "user" }, { "stock_state", "0" },
    { "roles", "0" }, { "permissions", "4611686018427387903" },
    { "total", "100" },
    { "price", "1000" }, { "", "1" }
};


/* names between SELECT and FROM, at depth 0 */

void
fuzz_columns(fuzz_stmt_t *s)
{
    int          depth;
    const char  *p, *start;

    s->cols = 0;

    if (strncmp(s->text, "SELECT ", 7) != 0) {
        return;
    }

    depth = 0;
    start = s->text + 7;

    for (p = start; *p != '\0'; p++) {
        depth += (*p == '(') - (*p == ')');

        if (depth != 0) {
            continue;
        }

        if (*p == ',') {
            fuzz_column(s, start, p);
            start = p + 1;
        }

        if (strncmp(p, "FROM", 4) == 0) {
            fuzz_column(s, start, p);
            return;
        }
    }
}


static void
fuzz_column(fuzz_stmt_t *s, const char *p, const char *last)
{
    while (last > p && (last[-1] == ' ' || last[-1] == '\n')) {
        last--;
    }

    fuzz_check(s->cols < FUZZ_COLS);

    s->names[s->cols].data = (unsigned char *) (uintptr_t) p;
    s->names[s->cols].len = (size_t) (last - p);
    s->cols++;
}


rush_str_t
fuzz_cell(fuzz_stmt_t *s, size_t col, int *null)
{
    rush_str_t  text;

    *null = 0;
    text = fuzz_default(s, &s->names[col]);

    if (memcmp(s->names[col].data, "COUNT(*)", 8) == 0) {
        return text;
    }

    switch (s->decision) {

    case 9:
        *null = 1;
        text.len = 0;
        break;

    case 10:
        memset(longtext, 'x', sizeof(longtext));
        text.data = (unsigned char *) longtext;
        text.len = FUZZ_LONG / 64 * (col + 1);
        break;

    case 11:
        text.data = (unsigned char *) "9223372036854775807";
        text.len = 19;
        break;

    case 13:
        text = s->raw;
        break;

    case 15:
        text.data = (unsigned char *) "\xff\xc3\n\"\\\0\xed\xa0\x80";
        text.len = 9;
        break;
    }

    return text;
}


static rush_str_t
fuzz_default(fuzz_stmt_t *s, const rush_str_t *name)
{
    size_t       i, n;
    rush_str_t   text;
    const char  *value;

    /* as crypt_r() of fuzz_libc.c makes them */
    static const char  hash[] =
        "$2b$04$abcdefghijklmnopqrstuu0123456789ABCDEFGHIJKLMNOPQRSTU";

    for (i = 0; ; i++) {
        n = strlen(values[i].end);

        if (n <= name->len
            && memcmp(name->data + name->len - n, values[i].end, n) == 0)
        {
            break;
        }
    }

    value = values[i].value ? values[i].value : hash;

    if (strcmp(values[i].end, "") == 0 && name->len >= 6
        && memcmp(name->data + name->len - 6, "status", 6) == 0
        && strstr(s->text, "FROM user") != NULL)
    {
        value = "0";                    /* an account that is not closed */
    }

    /* the second row is another one */

    if (s->row > 1 && strcmp(values[i].end, "id") == 0) {
        value = "6";
    }

    n = strlen(value);
    memcpy(s->cell, value, n);

    text.data = (unsigned char *) s->cell;
    text.len = n;

    return text;
}
