
/*
 * Copyright (C) Rush
 *
 * What a route reads but its body.
 */


#include "apidoc.h"


/* headers are written with "-" */

static const char *
wire_name(const field_t *f, char *buf, size_t size)
{
    size_t  i;

    snprintf(buf, size, "%s", f->name);

    for (i = 0; buf[i] && strcmp(f->place, "HEADER") == 0; i++) {
        if (buf[i] == '_') {
            buf[i] = '-';
        }
    }

    return buf;
}


int
is_idempotent(const route_t *route)
{
    return strstr(route->flags, "NGX_RUSH_IDEMPOTENT") != NULL;
}


/* not a field of the route: the engine reads it */

static void
write_key(void)
{
    rush_json_open(&out, NULL, '{');
    rush_json_text(&out, "name", "idempotency-key");
    rush_json_text(&out, "in", "header");
    rush_json_bool(&out, "required", 0);
    rush_json_text(&out, "description",
                   "id of this request: a copy with the same id and the same "
                   "fields gets the first answer, for a day");
    rush_json_open(&out, "schema", '{');
    write_type("KEY", 1, 64, 1);
    rush_json_close(&out, '}');
    rush_json_close(&out, '}');
}


void
write_parameters(const route_t *route)
{
    char            buf[64];
    const char     *place;
    const field_t  *f;

    rush_json_open(&out, "parameters", '[');

    for (f = route->fields; f->name; f++) {

        if (strcmp(f->place, "BODY") == 0) {
            continue;
        }

        place = strcmp(f->place, "PATH") == 0 ? "path"
                : strcmp(f->place, "QUERY") == 0 ? "query" : "header";

        rush_json_open(&out, NULL, '{');
        rush_json_text(&out, "name", wire_name(f, buf, sizeof(buf)));
        rush_json_text(&out, "in", place);
        rush_json_bool(&out, "required", f->required || place[0] == 'p');
        rush_json_text(&out, "description", f->text);
        rush_json_open(&out, "schema", '{');
        write_type(f->type, f->min, f->max, 1);
        rush_json_close(&out, '}');
        rush_json_close(&out, '}');
    }

    if (is_idempotent(route)) {
        write_key();
    }

    rush_json_close(&out, ']');
}
