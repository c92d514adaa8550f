
/*
 * Copyright (C) Rush
 *
 * A whole request out of a file.
 */


#include <stdlib.h>

#include "load.h"


char *
load_raw(const char *file, size_t *len, size_t max)
{
    FILE  *f;
    char  *text;

    text = malloc(max);
    f = fopen(file, "r");

    if (text == NULL || f == NULL) {
        perror(file);
        exit(1);
    }

    *len = fread(text, 1, max, f);
    fclose(f);

    if (*len == 0 || *len == max) {
        fprintf(stderr, "load: %s is empty or too long\n", file);
        exit(1);
    }

    return text;
}
