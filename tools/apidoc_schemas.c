
/*
 * Copyright (C) Rush
 *
 * The schemas of docs/openapi.json.
 */


#include "apidoc.h"


static const char  members[] =
    "{\"code\":{\"type\":\"integer\"},\"message\":{\"type\":\"string\"},"
    "\"data\":{\"type\":[\"object\",\"array\"]},"
    "\"trace_id\":{\"type\":\"string\",\"pattern\":\"^[0-9a-f]{32}$\"}}";


#define COUNT(a)  (sizeof(a) / sizeof((a)[0]))


void
write_schemas(void)
{
    size_t           i;
    const member_t  *m;

    static const char  *envelope[] = { "code", "message", "data",
                                       "trace_id" };

    rush_json_open(&out, "schemas", '{');
    rush_json_open(&out, "envelope", '{');
    rush_json_text(&out, "type", "object");
    rush_json_open(&out, "required", '[');

    for (i = 0; i < COUNT(envelope); i++) {
        rush_json_text(&out, NULL, envelope[i]);
    }

    rush_json_close(&out, ']');
    rush_json_raw(&out, "properties", members, strlen(members));
    rush_json_bool(&out, "additionalProperties", 0);
    rush_json_close(&out, '}');

    for (i = 0; i < nschemas; i++) {

        if (schemas[i].members[0].name == NULL) {
            continue;
        }

        rush_json_open(&out, schemas[i].name, '{');
        rush_json_text(&out, "type", "object");
        rush_json_open(&out, "required", '[');

        for (m = schemas[i].members; m->name; m++) {
            if (m->always) {
                rush_json_text(&out, NULL, m->name);
            }
        }

        rush_json_close(&out, ']');
        rush_json_open(&out, "properties", '{');

        for (m = schemas[i].members; m->name; m++) {
            rush_json_open(&out, m->name, '{');
            write_type(m->type, 0, 0, 0);
            rush_json_text(&out, "description", m->text);
            rush_json_close(&out, '}');
        }

        rush_json_close(&out, '}');
        rush_json_bool(&out, "additionalProperties", 0);
        rush_json_close(&out, '}');
    }

    rush_json_close(&out, '}');
}
