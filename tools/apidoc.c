
/*
 * Copyright (C) Rush
 *
 * Prints the documents that follow from the tables of the source:
 *
 *   apidoc openapi   docs/openapi.json, OpenAPI 3.1
 *   apidoc errors    docs/errors.md
 *   apidoc metrics   docs/metrics.md
 *
 * It includes the same ngx_<x>_api.h as the modules, so a route cannot be
 * served and be missing here.  Built with shared/rush_buf.c.
 */


#include "apidoc.h"


rush_buf_t  out;


/* breaks lines where a path, a parameter or a schema begins, for diffs */

static void
print_broken(void)
{
    size_t         i, depth;
    unsigned char  c;
    int            text;

    depth = 0;
    text = 0;

    for (i = 0; i < out.len; i++) {
        c = out.data[i];
        putchar(c);

        if (text) {
            if (c == '\\') {
                putchar(out.data[++i]);
            } else if (c == '"') {
                text = 0;
            }
            continue;
        }

        if (c == '"') {
            text = 1;
        } else if (c == '{' || c == '[') {
            depth++;
        } else if (c == '}' || c == ']') {
            depth--;
        }

        if ((c == ',' || c == '{') && depth <= 5) {
            putchar('\n');
            printf("%*s", (int) depth, "");
        }
    }

    putchar('\n');
}


static void
print_errors(void)
{
    size_t  i;

    printf("# Codes\n\nMade by `./build.sh docs` from `shared/rush_errors.h`."
           "  A code never changes its meaning.\n\n"
           "| code | HTTP | name | message |\n|---:|---:|---|---|\n"
           "| 0 | 200 | | success |\n");

    for (i = 0; i < RUSH_ERROR_COUNT; i++) {
        printf("| %ld | %d | %s | %s |\n", errors[i].code, errors[i].http,
               errors[i].name, errors[i].text);
    }
}


static void
print_metrics(void)
{
    size_t  i;

    printf("# Counters of the workers\n\nMade by `./build.sh docs` from "
           "`shared/ngx_rush_counters.h`.  `/metrics` has them with requests, "
           "answers by code, latency histograms by route and gauges; each "
           "line there tells itself what it is.\n\n"
           "| name | meaning |\n|---|---|\n");

    for (i = 0; i < ncounters; i++) {
        printf("| rush_%s_total | %s |\n", counters[i].name,
               counters[i].help);
    }
}


int
main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "openapi") == 0) {
        write_openapi();

        if (out.failed) {
            fprintf(stderr, "apidoc: no memory\n");
            return 1;
        }

        print_broken();
        rush_buf_free(&out);
        return 0;
    }

    if (argc == 2 && strcmp(argv[1], "errors") == 0) {
        print_errors();
        return 0;
    }

    if (argc == 2 && strcmp(argv[1], "metrics") == 0) {
        print_metrics();
        return 0;
    }

    fprintf(stderr, "usage: apidoc openapi|errors|metrics\n");

    return 2;
}
