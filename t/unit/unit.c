
/*
 * Copyright (C) Rush
 */


#include <unistd.h>

#include "unit.h"


static int unit_digit(char c);


int
unit_vectors(unit_vectors_t *v, const char *name)
{
    char         command[1024], file[512];
    const char  *dir;

    dir = getenv("RUSH_VECTORS");
    if (dir == NULL) {
        dir = UNIT_DIR "/../../../shared/vectors";
    }

    snprintf(file, sizeof(file), "%s/%s.json", dir, name);

    if (access(file, R_OK) != 0) {
        print_message("# skipped: no published vectors %s.json\n", name);
        return 0;
    }

    snprintf(command, sizeof(command), "perl '%s/vectors.pl' %s '%s'",
             UNIT_DIR, name, file);

    v->pipe = popen(command, "r");
    assert_non_null(v->pipe);

    return 1;
}


int
unit_row(unit_vectors_t *v)
{
    char           *line, *p;
    size_t          size;
    ssize_t         n;
    unsigned char  *dst;

    line = NULL;
    size = 0;
    n = getline(&line, &size, v->pipe);

    if (n < 0) {
        free(line);
        assert_int_equal(pclose(v->pipe), 0);
        return 0;
    }

    line[strcspn(line, "\n")] = '\0';
    assert_true((size_t) n < sizeof(v->memory));

    p = line + strcspn(line, "\t");
    assert_true((size_t) (p - line) < sizeof(v->word));
    memcpy(v->word, line, (size_t) (p - line));
    v->word[p - line] = '\0';

    dst = v->memory;

    for (v->n = 0; *p == '\t'; v->n++) {
        assert_true(v->n < UNIT_COLUMNS);
        v->column[v->n].data = dst;

        for (p++; *p != '\t' && *p != '\0'; p += 2) {
            *dst++ = (unsigned char) (unit_digit(p[0]) << 4
                                      | unit_digit(p[1]));
        }

        v->column[v->n].len = (size_t) (dst - v->column[v->n].data);
        *dst++ = '\0';
    }

    free(line);

    return 1;
}


static int
unit_digit(char c)
{
    const char         *p;
    static const char   digits[] = "0123456789abcdef";

    p = strchr(digits, c);
    assert_true(p != NULL && c != '\0');

    return (int) (p - digits);
}


unsigned char *
unit_copy(const void *data, size_t len)
{
    unsigned char  *p;

    p = malloc(len != 0 ? len : 1);
    assert_non_null(p);

    if (len != 0) {
        memcpy(p, data, len);
    }

    return p;
}
