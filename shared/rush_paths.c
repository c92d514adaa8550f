
/*
 * Copyright (C) Rush
 */


#include "rush_paths.h"
#include "rush_alipay.h"


typedef struct {
    const rush_path_t  *rows;
    unsigned            n;
    unsigned char      *dst;
    const char        **err;
    uint32_t            seen;           /* bit i: row i was read */
    unsigned char       entered[RUSH_PATHS_MAX];    /* objects of its path */
    unsigned            level;          /* objects that are open now */
    size_t              end[RUSH_JSON_MAX_DEPTH + 1];   /* of path, a level */
    char                path[RUSH_PATH_MAX];
} rush_walk_t;


static int rush_paths_key(rush_walk_t *w, const rush_str_t *name);
static int rush_paths_value(rush_walk_t *w, rush_reader_t *j,
    rush_token_e token);
static int rush_paths_enter(rush_walk_t *w, unsigned *found);
static int rush_paths_set(rush_walk_t *w, const rush_path_t *row,
    rush_token_e token, rush_str_t *text);
static int rush_paths_str(const rush_path_t *row, const rush_str_t *text);
static int rush_paths_fail(rush_walk_t *w, const char *err);


int
rush_paths(const rush_path_t *rows, unsigned n, void *dst,
    unsigned char *json, size_t len, const char **err)
{
    rush_reader_t  j;

    rush_reader_init(&j, json, len);
    j.many = 1;

    if (rush_reader_next(&j) != RUSH_J_OBJECT) {
        *err = j.error;
        return RUSH_ERROR;
    }

    if (rush_paths_object(rows, n, dst, &j, err) != RUSH_OK) {
        return RUSH_ERROR;
    }

    if (rush_reader_next(&j) != RUSH_J_END) {
        *err = j.error;
        return RUSH_ERROR;
    }

    return RUSH_OK;
}


int
rush_paths_object(const rush_path_t *rows, unsigned n, void *dst,
    rush_reader_t *j, const char **err)
{
    rush_walk_t   w;
    rush_token_e  token;

    memset(&w, 0, sizeof(rush_walk_t));
    w.rows = rows;
    w.n = n;
    w.dst = dst;
    w.err = err;

    for ( ;; ) {
        token = rush_reader_next(j);

        if (token == RUSH_J_CLOSE) {

            if (w.level == 0) {
                return RUSH_OK;
            }

            w.level--;
            continue;
        }

        if (token != RUSH_J_KEY) {
            return rush_paths_fail(&w, j->error);
        }

        if (rush_paths_key(&w, &j->text) != RUSH_OK) {

            if (rush_reader_skip(j, rush_reader_next(j)) != RUSH_OK) {
                return rush_paths_fail(&w, j->error);
            }

            continue;
        }

        if (rush_paths_value(&w, j, rush_reader_next(j)) != RUSH_OK) {
            return RUSH_ERROR;
        }
    }
}


/* the path becomes that of the member; RUSH_ERROR: longer than all rows */

static int
rush_paths_key(rush_walk_t *w, const rush_str_t *name)
{
    size_t  at;

    at = w->level ? w->end[w->level] : 0;

    if (name->len == 0 || name->len + 2 > RUSH_PATH_MAX - at
        || memchr(name->data, '.', name->len) != NULL
        || memchr(name->data, '\0', name->len) != NULL)
    {
        return RUSH_ERROR;
    }

    memcpy(w->path + at, name->data, name->len);
    w->path[at + name->len] = '\0';

    return RUSH_OK;
}


static int
rush_paths_value(rush_walk_t *w, rush_reader_t *j, rush_token_e token)
{
    unsigned  i, found;

    if (token == RUSH_J_ERROR) {
        return rush_paths_fail(w, j->error);
    }

    if (token == RUSH_J_NULL) {
        return RUSH_OK;
    }

    for (i = 0; i < w->n; i++) {

        if (strcmp(w->rows[i].path, w->path) != 0) {
            continue;
        }

        if (w->seen & (uint32_t) 1 << i) {
            return rush_paths_fail(w, "a member is there twice");
        }

        w->seen |= (uint32_t) 1 << i;

        return rush_paths_set(w, &w->rows[i], token, &j->text);
    }

    found = 0;

    if (token == RUSH_J_OBJECT
        && rush_paths_enter(w, &found) != RUSH_OK)
    {
        return RUSH_ERROR;
    }

    if (found) {
        return RUSH_OK;
    }

    if (rush_reader_skip(j, token) != RUSH_OK) {
        return rush_paths_fail(w, j->error);
    }

    return RUSH_OK;
}


/* into an object, when a row is inside */

static int
rush_paths_enter(rush_walk_t *w, unsigned *found)
{
    size_t    len;
    unsigned  i;

    len = strlen(w->path);

    for (i = 0; i < w->n; i++) {

        if (strncmp(w->rows[i].path, w->path, len) != 0
            || w->rows[i].path[len] != '.')
        {
            continue;
        }

        if (w->entered[i] > w->level) {
            return rush_paths_fail(w, "an object is there twice");
        }

        w->entered[i] = (unsigned char) (w->level + 1);
        *found = 1;
    }

    if (*found) {
        w->path[len] = '.';
        w->level++;
        w->end[w->level] = len + 1;
    }

    return RUSH_OK;
}


static int
rush_paths_set(rush_walk_t *w, const rush_path_t *row, rush_token_e token,
    rush_str_t *text)
{
    int       rc;
    void     *place;
    int64_t  *v;

    place = w->dst + row->offset;
    v = place;

    if (token != (row->type == RUSH_P_INT ? RUSH_J_NUMBER : RUSH_J_STRING)) {
        return rush_paths_fail(w, "a member is of another type");
    }

    switch (row->type) {

    case RUSH_P_INT:

        rc = rush_parse_u63(text->data, text->len, v);

        if (rc != RUSH_OK || *v > row->max) {
            return rush_paths_fail(w, "a number is out of range");
        }

        return RUSH_OK;

    case RUSH_P_TIME:
        rc = rush_parse_time(text->data, text->len, v);
        break;

    case RUSH_P_YUAN:
        rc = text->len == 0 ? RUSH_OK
                            : rush_yuan_to_fen(text->data, text->len, v);
        break;

    case RUSH_P_CHINA:
        rc = text->len == 0 ? RUSH_OK
                            : rush_alipay_parse_time(text->data, text->len, v);
        break;

    default:
        rc = rush_paths_str(row, text);

        if (rc == RUSH_OK) {
            *(rush_str_t *) place = *text;
        }
    }

    if (rc != RUSH_OK) {
        return rush_paths_fail(w, "a member is not what it should be");
    }

    return RUSH_OK;
}


static int
rush_paths_str(const rush_path_t *row, const rush_str_t *text)
{
    size_t         i;
    unsigned char  c;

    if ((int64_t) text->len > row->max) {
        return RUSH_ERROR;
    }

    if (row->type == RUSH_P_TEXT) {
        return RUSH_OK;
    }

    for (i = 0; i < text->len; i++) {
        c = text->data[i];

        if (c < 0x20 || c == 0x7f) {
            return RUSH_ERROR;
        }

        if (row->type == RUSH_P_ID
            && (c <= 0x20 || c > 0x7e || c == '"' || c == '\\' || c == '&'
                || c == '='))
        {
            return RUSH_ERROR;
        }
    }

    return RUSH_OK;
}


static int
rush_paths_fail(rush_walk_t *w, const char *err)
{
    *w->err = err;

    return RUSH_ERROR;
}
