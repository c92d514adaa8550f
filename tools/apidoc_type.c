
/*
 * Copyright (C) Rush
 *
 * Types of fields and members as JSON Schema.
 */


#include "apidoc.h"


void
write_type(const char *type, int64_t min, int64_t max, int bounds)
{
    int  text;

    text = 0;

    if (strcmp(type, "INT") == 0 || strcmp(type, "MONEY") == 0) {
        rush_json_text(&out, "type", "integer");

    } else if (strcmp(type, "BOOL") == 0) {
        rush_json_text(&out, "type", "boolean");
        bounds = 0;

    } else if (strcmp(type, "ID") == 0) {
        rush_json_text(&out, "type", "string");
        rush_json_text(&out, "pattern", "^[1-9][0-9]{0,18}$");
        bounds = 0;

    } else if (strcmp(type, "TIME") == 0) {
        rush_json_open(&out, "type", '[');
        rush_json_text(&out, NULL, "string");
        rush_json_text(&out, NULL, "null");
        rush_json_close(&out, ']');
        rush_json_text(&out, "format", "date-time");
        bounds = 0;

    } else if (strcmp(type, "OBJ") == 0) {
        rush_json_text(&out, "type", "object");
        bounds = 0;

    } else if (strcmp(type, "LIST") == 0) {
        rush_json_text(&out, "type", "array");
        rush_json_open(&out, "items", '{');
        rush_json_open(&out, "type", '[');
        rush_json_text(&out, NULL, "string");
        rush_json_text(&out, NULL, "integer");
        rush_json_close(&out, ']');
        rush_json_text(&out, "pattern", "^[A-Za-z0-9._:-]{1,64}$");
        rush_json_close(&out, '}');
        rush_json_int(&out, "minItems", min);
        rush_json_int(&out, "maxItems", max);
        bounds = 0;

    } else if (strcmp(type, "ARR") == 0) {
        rush_json_text(&out, "type", "array");
        bounds = 0;

    } else {
        rush_json_text(&out, "type", "string");
        text = 1;

        if (strcmp(type, "KEY") == 0) {
            rush_json_text(&out, "pattern", min ? "^[A-Za-z0-9._:-]+$"
                                                : "^[A-Za-z0-9._:-]*$");
        }
    }

    if (bounds) {
        rush_json_int(&out, text ? "minLength" : "minimum", min);

        if (max != INT64_MAX) {
            rush_json_int(&out, text ? "maxLength" : "maximum", max);
        }
    }
}


/* a list that is also given in another form */

void
write_export(const route_t *route)
{
    const field_t  *f;

    for (f = route->fields; f->name; f++) {

        if (strcmp(f->name, "export") == 0) {
            rush_json_open(&out, "text/csv", '{');
            rush_json_close(&out, '}');
        }
    }
}
