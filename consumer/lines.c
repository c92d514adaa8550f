
/*
 * Copyright (C) Rush
 *
 * Lines "field=value" of one side of a comparison.
 */


#include <stdlib.h>

#include "controller.h"


static int rush_lines_cmp(const void *one, const void *two);
static void rush_lines_field(rush_lines_t *fields, const char *line);


void
rush_lines_add(rush_lines_t *lines, const char *fmt, ...)
{
    char     text[256];
    va_list  args;

    va_start(args, fmt);
    (void) vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);

    rush_buf_add(&lines->text, text, strlen(text) + 1);
}


int
rush_lines_sort(rush_lines_t *lines)
{
    char    *p, *last;
    size_t   i, n;

    if (lines->text.failed) {
        rush_log(RUSH_LOG_ERROR, "reconcile: no memory");
        return RUSH_ERROR;
    }

    if (lines->text.len == 0) {
        return RUSH_OK;
    }

    last = (char *) lines->text.data + lines->text.len;
    n = 0;

    for (p = (char *) lines->text.data; p < last; p += strlen(p) + 1) {
        n++;
    }

    lines->line = malloc(n * sizeof(char *));

    if (lines->line == NULL) {
        rush_log(RUSH_LOG_ERROR, "reconcile: no memory");
        return RUSH_ERROR;
    }

    n = 0;

    for (p = (char *) lines->text.data; p < last; p += strlen(p) + 1) {
        lines->line[n++] = p;
    }

    qsort(lines->line, n, sizeof(char *), rush_lines_cmp);

    for (i = 0; i < n; i++) {
        if (lines->n == 0
            || strcmp(lines->line[lines->n - 1], lines->line[i]) != 0)
        {
            lines->line[lines->n++] = lines->line[i];
        }
    }

    return RUSH_OK;
}


static int
rush_lines_cmp(const void *one, const void *two)
{
    char *const *a = one;
    char *const *b = two;

    return strcmp(*a, *b);
}


void
rush_lines_free(rush_lines_t *lines)
{
    rush_buf_free(&lines->text);
    free(lines->line);
}


int
rush_lines_merge(rush_lines_t *a, rush_lines_t *b, rush_lines_t *fields)
{
    int     rc;
    size_t  i, j;

    i = 0;
    j = 0;

    while (i < a->n || j < b->n) {

        if (i == a->n) {
            rc = 1;

        } else if (j == b->n) {
            rc = -1;

        } else {
            rc = strcmp(a->line[i], b->line[j]);
        }

        if (rc == 0) {
            i++;
            j++;

        } else if (rc < 0) {
            rush_lines_field(fields, a->line[i++]);

        } else {
            rush_lines_field(fields, b->line[j++]);
        }
    }

    return rush_lines_sort(fields);
}


static void
rush_lines_field(rush_lines_t *fields, const char *line)
{
    rush_buf_add(&fields->text, line, (size_t) (strchr(line, '=') - line));
    rush_buf_add(&fields->text, "", 1);
}
