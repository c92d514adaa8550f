
/*
 * Copyright (C) Rush
 *
 * docs/openapi.json out of the tables.
 */


#include "apidoc.h"


static const char  schemes[] =
    "{\"user\":{\"type\":\"http\",\"scheme\":\"bearer\","
    "\"bearerFormat\":\"JWT\"},\"admin\":{\"type\":\"http\","
    "\"scheme\":\"bearer\",\"bearerFormat\":\"JWT\"}}";


#define COUNT(a)  (sizeof(a) / sizeof((a)[0]))


static int
has_body(const route_t *route)
{
    const field_t  *f;

    for (f = route->fields; f->name; f++) {
        if (strcmp(f->place, "BODY") == 0) {
            return 1;
        }
    }

    return 0;
}


static void
write_body(const route_t *route)
{
    int             required;
    const field_t  *f;

    if (!has_body(route)) {
        return;
    }

    required = 0;

    for (f = route->fields; f->name; f++) {
        required |= (strcmp(f->place, "BODY") == 0 && f->required);
    }

    rush_json_open(&out, "requestBody", '{');
    rush_json_bool(&out, "required", required);
    rush_json_open(&out, "content", '{');
    rush_json_open(&out, "application/json", '{');
    rush_json_open(&out, "schema", '{');
    rush_json_text(&out, "type", "object");

    if (required) {
        rush_json_open(&out, "required", '[');

        for (f = route->fields; f->name; f++) {
            if (strcmp(f->place, "BODY") == 0 && f->required) {
                rush_json_text(&out, NULL, f->name);
            }
        }

        rush_json_close(&out, ']');
    }

    rush_json_open(&out, "properties", '{');

    for (f = route->fields; f->name; f++) {

        if (strcmp(f->place, "BODY") != 0) {
            continue;
        }

        rush_json_open(&out, f->name, '{');
        write_type(f->type, f->min, f->max, 1);
        rush_json_text(&out, "description", f->text);
        rush_json_close(&out, '}');
    }

    rush_json_close(&out, '}');
    rush_json_close(&out, '}');
    rush_json_close(&out, '}');
    rush_json_close(&out, '}');
    rush_json_close(&out, '}');
}


static void
write_ref(const char *key, const char *schema)
{
    char  buf[128];

    snprintf(buf, sizeof(buf), "#/components/schemas/%s", schema);

    if (key) {
        rush_json_open(&out, key, '{');
    }

    rush_json_text(&out, "$ref", buf);

    if (key) {
        rush_json_close(&out, '}');
    }
}


static void
write_data(const route_t *route)
{
    static const char  *page[] = { "total", "page", "page_size",
                                   "total_page" };

    size_t  i;
    int     feed, both;

    rush_json_open(&out, "data", '{');

    if (strcmp(route->shape, "OBJECT") == 0) {
        write_ref(NULL, route->schema);

    } else if (strcmp(route->shape, "ARRAY") == 0) {
        rush_json_text(&out, "type", "array");
        write_ref("items", route->schema);

    } else if (strcmp(route->shape, "NONE") == 0) {
        rush_json_text(&out, "type", "object");

    } else {
        feed = (strcmp(route->shape, "FEED") == 0);
        both = (strcmp(route->shape, "PAGES") == 0);

        rush_json_text(&out, "type", "object");
        rush_json_open(&out, "required", '[');
        rush_json_text(&out, NULL, "list");

        for (i = 0; i < COUNT(page) && !feed && !both; i++) {
            rush_json_text(&out, NULL, page[i]);
        }

        rush_json_close(&out, ']');
        rush_json_open(&out, "properties", '{');
        rush_json_open(&out, "list", '{');
        rush_json_text(&out, "type", "array");
        write_ref("items", route->schema);
        rush_json_close(&out, '}');

        for (i = 0; i < COUNT(page) && !feed; i++) {
            rush_json_open(&out, page[i], '{');
            rush_json_text(&out, "type", "integer");
            rush_json_close(&out, '}');
        }

        if (feed || both) {
            rush_json_open(&out, "next_last_id", '{');
            rush_json_text(&out, "type", "string");
            rush_json_close(&out, '}');
        }

        rush_json_close(&out, '}');
    }

    rush_json_close(&out, '}');
}


/* codes that a route may answer, its own and those of its columns */

static void
collect_errors(const route_t *route, char *set)
{
    const int      *e;
    const field_t  *f;

    memset(set, 0, RUSH_ERROR_COUNT);

    set[RUSH_I_INTERNAL] = 1;

    for (e = route->errors; *e != -1; e++) {
        set[*e] = 1;
    }

    if (AUTH(route) == ENUM_INTERNAL) {
        return;
    }

    set[RUSH_I_LIMITED] = 1;            /* the global limit */

    if (AUTH(route) != ENUM_PUBLIC) {
        set[RUSH_I_UNAUTHORIZED] = 1;
    }

    if (AUTH(route) == ENUM_ADMIN) {
        set[RUSH_I_FORBIDDEN] = 1;
        set[RUSH_I_BUSY] = 1;           /* roles or the record are not there */
    }

    for (f = route->fields; f->name; f++) {
        set[strcmp(f->place, "PATH") == 0 ? RUSH_I_NOT_FOUND
                                          : RUSH_I_BAD_REQUEST] = 1;
    }

    if (is_idempotent(route)) {
        set[RUSH_I_BAD_REQUEST] = 1;
        set[RUSH_I_BUSY] = 1;
        set[RUSH_I_KEY_REUSED] = 1;
        set[RUSH_I_KEY_RUNNING] = 1;
    }

    if (has_body(route)) {
        set[RUSH_I_TOO_LARGE] = 1;
        set[RUSH_I_MEDIA_TYPE] = 1;
    }
}


static void
write_envelope(const char *set, int http, const route_t *success)
{
    size_t  i, n;

    n = 0;

    rush_json_open(&out, "content", '{');
    rush_json_open(&out, "application/json", '{');
    rush_json_open(&out, "schema", '{');
    rush_json_open(&out, "allOf", '[');
    rush_json_open(&out, NULL, '{');
    write_ref(NULL, "envelope");
    rush_json_close(&out, '}');
    rush_json_open(&out, NULL, '{');
    rush_json_open(&out, "anyOf", '[');

    if (success) {
        rush_json_open(&out, NULL, '{');
        rush_json_open(&out, "properties", '{');
        rush_json_open(&out, "code", '{');
        rush_json_int(&out, "const", 0);
        rush_json_close(&out, '}');
        write_data(success);
        rush_json_close(&out, '}');
        rush_json_close(&out, '}');
    }

    for (i = 0; i < RUSH_ERROR_COUNT; i++) {
        n += (set[i] && errors[i].http == http);
    }

    if (n) {
        rush_json_open(&out, NULL, '{');
        rush_json_open(&out, "properties", '{');
        rush_json_open(&out, "code", '{');
        rush_json_open(&out, "enum", '[');

        for (i = 0; i < RUSH_ERROR_COUNT; i++) {
            if (set[i] && errors[i].http == http) {
                rush_json_int(&out, NULL, errors[i].code);
            }
        }

        rush_json_close(&out, ']');
        rush_json_close(&out, '}');
        rush_json_close(&out, '}');
        rush_json_close(&out, '}');
    }

    rush_json_close(&out, ']');
    rush_json_close(&out, '}');
    rush_json_close(&out, ']');
    rush_json_close(&out, '}');
    rush_json_close(&out, '}');

    if (success) {
        write_export(success);
    }

    rush_json_close(&out, '}');
}


/* a stream: the schema is that of the data of each event */

static void
write_stream(const route_t *route)
{
    rush_json_open(&out, "content", '{');
    rush_json_open(&out, "text/event-stream", '{');
    write_ref("schema", route->schema);
    rush_json_close(&out, '}');
    rush_json_close(&out, '}');
}


static void
write_responses(const route_t *route)
{
    char         set[RUSH_ERROR_COUNT], status[16], text[512];
    size_t       i, len;
    int          http, found, stream;
    const char  *raw;

    collect_errors(route, set);

    raw = (strcmp(route->name, "metrics") == 0) ? "text/plain"
          : (strcmp(route->name, "openapi") == 0) ? "application/json"
          : (strcmp(route->shape, "TEXT") == 0) ? "text/plain" : NULL;

    rush_json_open(&out, "responses", '{');

    for (http = 200; http < 600; http++) {
        found = (http == 200);
        len = 0;
        text[0] = '\0';

        for (i = 0; i < RUSH_ERROR_COUNT; i++) {

            if (!set[i] || errors[i].http != http) {
                continue;
            }

            found = 1;
            len += snprintf(text + len, sizeof(text) - len, "%s%ld %s",
                            len ? ", " : "", errors[i].code, errors[i].name);

            if (len >= sizeof(text)) {
                fprintf(stderr, "apidoc: too many errors in one status\n");
                exit(1);
            }
        }

        if (!found) {
            continue;
        }

        snprintf(status, sizeof(status), "%d", http);

        stream = (http == 200 && strcmp(route->shape, "EVENTS") == 0);

        rush_json_open(&out, status, '{');
        rush_json_text(&out, "description",
                       stream ? "server-sent events, each with this data"
                       : len ? text : "code 0 and the data");

        if (stream) {
            write_stream(route);

        } else if (http == 200 && raw) {
            rush_json_open(&out, "content", '{');
            rush_json_open(&out, raw, '{');
            rush_json_close(&out, '}');
            rush_json_close(&out, '}');

        } else {
            write_envelope(set, http, http == 200 ? route : NULL);
        }

        rush_json_close(&out, '}');
    }

    rush_json_close(&out, '}');
}


static void
write_operation(const route_t *route)
{
    char    buf[128];
    size_t  i;

    for (i = 0; route->method[i]; i++) {
        buf[i] = route->method[i] | 0x20;
    }

    buf[i] = '\0';

    rush_json_open(&out, buf, '{');

    snprintf(buf, sizeof(buf), "%s_%s", route->module, route->name);
    rush_json_text(&out, "operationId", buf);
    rush_json_text(&out, "summary", route->text);

    rush_json_open(&out, "tags", '[');
    rush_json_text(&out, NULL, strcmp(route->module, "rush") == 0
                               ? "system" : route->module);
    rush_json_close(&out, ']');

    if (AUTH(route) == ENUM_ADMIN) {
        rush_json_text(&out, "x-permission", (char *)
                       rush_permissions[route->auth >> 8].name.data);
    }

    if (AUTH(route) != ENUM_PUBLIC && AUTH(route) != ENUM_INTERNAL) {
        rush_json_open(&out, "security", '[');

        if (AUTH(route) == ENUM_OPTIONAL) {
            rush_json_open(&out, NULL, '{');
            rush_json_close(&out, '}');
        }

        rush_json_open(&out, NULL, '{');
        rush_json_open(&out, AUTH(route) == ENUM_ADMIN ? "admin" : "user",
                       '[');
        rush_json_close(&out, ']');
        rush_json_close(&out, '}');
        rush_json_close(&out, ']');
    }

    write_parameters(route);
    write_body(route);
    write_responses(route);

    rush_json_close(&out, '}');
}


void
write_openapi(void)
{
    size_t  i, j;

    rush_json_open(&out, NULL, '{');
    rush_json_text(&out, "openapi", "3.1.0");
    rush_json_open(&out, "info", '{');
    rush_json_text(&out, "title", "Rush");
    rush_json_text(&out, "version", RUSH_VERSION);
    rush_json_text(&out, "description",
                   "Flash sales answered inside nginx workers.  Every answer "
                   "is the envelope {code, message, data, trace_id}; a "
                   "business refusal is HTTP 200 with a code that is not 0.");
    rush_json_close(&out, '}');

    rush_json_open(&out, "paths", '{');

    for (i = 0; i < nroutes; i++) {

        for (j = 0; j < i; j++) {
            if (strcmp(routes[j].path, routes[i].path) == 0) {
                break;
            }
        }

        if (j < i) {
            continue;                   /* written with the first */
        }

        rush_json_open(&out, routes[i].path, '{');

        for (j = i; j < nroutes; j++) {
            if (strcmp(routes[j].path, routes[i].path) == 0) {
                write_operation(&routes[j]);
            }
        }

        rush_json_close(&out, '}');
    }

    rush_json_close(&out, '}');

    rush_json_open(&out, "components", '{');
    write_schemas();
    rush_json_raw(&out, "securitySchemes", schemes, strlen(schemes));
    rush_json_close(&out, '}');
    rush_json_close(&out, '}');
}
