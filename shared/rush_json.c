
/*
 * Copyright (C) Rush
 */


#include "rush_json.h"
#include "rush_utf8.h"


/* what may come next */

#define RUSH_JS_ROOT         0
#define RUSH_JS_VALUE        1
#define RUSH_JS_FIRST_VALUE  2          /* or the end of the array */
#define RUSH_JS_KEY          3
#define RUSH_JS_FIRST_KEY    4          /* or the end of the object */
#define RUSH_JS_MORE         5          /* a comma, or the end of the level */
#define RUSH_JS_END          6


static rush_token_e rush_reader_fail(rush_reader_t *j, const char *error);
static rush_token_e rush_reader_value(rush_reader_t *j);
static rush_token_e rush_reader_open(rush_reader_t *j, unsigned array);
static rush_token_e rush_reader_close(rush_reader_t *j);
static rush_token_e rush_reader_key(rush_reader_t *j);
static int rush_reader_is_known(rush_reader_t *j);
static rush_token_e rush_reader_word(rush_reader_t *j, const char *word,
    size_t len, rush_token_e token);
static rush_token_e rush_reader_number(rush_reader_t *j);
static int rush_reader_string(rush_reader_t *j);
static unsigned char *rush_reader_escape(rush_reader_t *j, unsigned char *dst);
static int rush_reader_hex4(rush_reader_t *j, uint32_t *code);


static const unsigned char  rush_json_blank[256] = {
    [' '] = 1, ['\t'] = 1, ['\n'] = 1, ['\r'] = 1
};


void
rush_reader_init(rush_reader_t *j, unsigned char *json, size_t len)
{
    j->p = json;
    j->last = json + len;
    j->text.len = 0;
    j->text.data = NULL;
    j->error = NULL;
    j->state = RUSH_JS_ROOT;
    j->depth = 0;
    j->total = 0;
    j->nkeys = 0;
    j->many = 0;
}


rush_token_e
rush_reader_next(rush_reader_t *j)
{
    unsigned char  c;

    for ( ;; ) {

        while (j->p < j->last && rush_json_blank[*j->p]) {
            j->p++;
        }

        if (j->p == j->last) {

            if (j->state == RUSH_JS_END) {
                return RUSH_J_END;
            }

            return rush_reader_fail(j, "JSON ends too early");
        }

        c = *j->p;

        switch (j->state) {

        case RUSH_JS_MORE:

            if (c == ',') {
                j->p++;
                j->state = j->level[j->depth].array ? RUSH_JS_VALUE
                                                    : RUSH_JS_KEY;
                continue;
            }

            return rush_reader_close(j);

        case RUSH_JS_FIRST_KEY:

            if (c == '}') {
                return rush_reader_close(j);
            }

            return rush_reader_key(j);

        case RUSH_JS_KEY:
            return rush_reader_key(j);

        case RUSH_JS_FIRST_VALUE:

            if (c == ']') {
                return rush_reader_close(j);
            }

            return rush_reader_value(j);

        case RUSH_JS_VALUE:
            return rush_reader_value(j);

        case RUSH_JS_ROOT:

            if (c == '{') {
                return rush_reader_open(j, 0);
            }

            return rush_reader_fail(j, "body must be a JSON object");

        default: /* RUSH_JS_END */
            return rush_reader_fail(j, "bytes after the JSON object");
        }
    }
}


int
rush_reader_skip(rush_reader_t *j, rush_token_e token)
{
    unsigned  depth;

    if (token != RUSH_J_OBJECT && token != RUSH_J_ARRAY) {
        return (token == RUSH_J_ERROR) ? RUSH_ERROR : RUSH_OK;
    }

    depth = j->depth;                   /* of what was just opened */

    do {
        if (rush_reader_next(j) == RUSH_J_ERROR) {
            return RUSH_ERROR;
        }
    } while (j->depth >= depth);

    return RUSH_OK;
}


static rush_token_e
rush_reader_fail(rush_reader_t *j, const char *error)
{
    j->error = error;

    return RUSH_J_ERROR;
}


static rush_token_e
rush_reader_value(rush_reader_t *j)
{
    j->state = RUSH_JS_MORE;

    switch (*j->p) {

    case '"':
        if (rush_reader_string(j) != RUSH_OK) {
            return RUSH_J_ERROR;
        }

        return RUSH_J_STRING;

    case '{':
        return rush_reader_open(j, 0);

    case '[':
        return rush_reader_open(j, 1);

    case 't':
        return rush_reader_word(j, "true", 4, RUSH_J_TRUE);

    case 'f':
        return rush_reader_word(j, "false", 5, RUSH_J_FALSE);

    case 'n':
        return rush_reader_word(j, "null", 4, RUSH_J_NULL);
    }

    return rush_reader_number(j);
}


static rush_token_e
rush_reader_open(rush_reader_t *j, unsigned array)
{
    if (j->depth == RUSH_JSON_MAX_DEPTH) {
        return rush_reader_fail(j, "JSON is nested too deep");
    }

    j->p++;
    j->depth++;
    j->level[j->depth].array = array;
    j->level[j->depth].first = j->nkeys;
    j->level[j->depth].seen = 0;
    j->state = array ? RUSH_JS_FIRST_VALUE : RUSH_JS_FIRST_KEY;

    return array ? RUSH_J_ARRAY : RUSH_J_OBJECT;
}


static rush_token_e
rush_reader_close(rush_reader_t *j)
{
    if (*j->p != (j->level[j->depth].array ? ']' : '}')) {
        return rush_reader_fail(j, "malformed JSON");
    }

    j->p++;
    j->nkeys = j->level[j->depth].first;
    j->depth--;
    j->state = (j->depth != 0) ? RUSH_JS_MORE : RUSH_JS_END;

    return RUSH_J_CLOSE;
}


static rush_token_e
rush_reader_key(rush_reader_t *j)
{
    if (*j->p != '"') {
        return rush_reader_fail(j, "malformed JSON");
    }

    if (rush_reader_string(j) != RUSH_OK) {
        return RUSH_J_ERROR;
    }

    while (j->p < j->last && rush_json_blank[*j->p]) {
        j->p++;
    }

    if (j->p == j->last || *j->p != ':') {
        return rush_reader_fail(j, "malformed JSON");
    }

    j->p++;
    j->state = RUSH_JS_VALUE;

    if (j->many) {
        return RUSH_J_KEY;
    }

    if (rush_reader_is_known(j)) {
        return rush_reader_fail(j, "duplicate name in JSON");
    }

    if (j->total == RUSH_JSON_MAX_KEYS) {
        return rush_reader_fail(j, "too many names in JSON");
    }

    j->keys[j->nkeys++] = j->text;
    j->total++;

    return RUSH_J_KEY;
}


/*
 * Most names of an object differ in a hash of 6 bits; the names themselves
 * are compared only when that bit was seen before.  A quote stands before
 * and behind the name, so an empty one can be hashed too.
 */

static int
rush_reader_is_known(rush_reader_t *j)
{
    unsigned              i, n;
    uint64_t              bit;
    rush_str_t           *key;
    const unsigned char  *p;

    p = j->text.data;
    n = p[0] * 3U + (p + j->text.len)[-1] * 7U + (unsigned) j->text.len;
    bit = (uint64_t) 1 << (n & 63);

    if (!(j->level[j->depth].seen & bit)) {
        j->level[j->depth].seen |= bit;
        return 0;
    }

    for (i = j->level[j->depth].first; i < j->nkeys; i++) {
        key = &j->keys[i];

        if (key->len == j->text.len && memcmp(key->data, p, key->len) == 0) {
            return 1;
        }
    }

    return 0;
}


static rush_token_e
rush_reader_word(rush_reader_t *j, const char *word, size_t len,
    rush_token_e token)
{
    if ((size_t) (j->last - j->p) < len || memcmp(j->p, word, len) != 0) {
        return rush_reader_fail(j, "malformed JSON");
    }

    j->p += len;

    return token;
}


/* [ "-" ] ( "0" / 1-9 digits ) [ "." digits ] [ ( "e" / "E" ) sign digits ] */

static rush_token_e
rush_reader_number(rush_reader_t *j)
{
    unsigned char  *p, *last, *start;

#define rush_is_digit(p, last)  ((p) < (last) && *(p) >= '0' && *(p) <= '9')

    p = j->p;
    last = j->last;

    if (*p == '-') {
        p++;
    }

    if (!rush_is_digit(p, last)) {
        return rush_reader_fail(j, "malformed JSON");
    }

    if (*p++ != '0') {
        while (rush_is_digit(p, last)) {
            p++;
        }
    }

    if (p < last && *p == '.') {

        for (start = ++p; rush_is_digit(p, last); p++) { /* void */ }

        if (p == start) {
            return rush_reader_fail(j, "malformed JSON");
        }
    }

    if (p < last && (*p == 'e' || *p == 'E')) {
        p++;

        if (p < last && (*p == '+' || *p == '-')) {
            p++;
        }

        for (start = p; rush_is_digit(p, last); p++) { /* void */ }

        if (p == start) {
            return rush_reader_fail(j, "malformed JSON");
        }
    }

#undef rush_is_digit

    j->text.data = j->p;
    j->text.len = (size_t) (p - j->p);
    j->p = p;

    return RUSH_J_NUMBER;
}


/* from the opening quote; j->text gets the decoded bytes */

static int
rush_reader_string(rush_reader_t *j)
{
    size_t          n;
    unsigned char  *p, *dst, *last;

    last = j->last;
    p = j->p + 1;
    j->text.data = p;
    dst = NULL;                         /* same as p until an escape comes */

    for ( ;; ) {

        if (dst == NULL && last - p >= 8) {
            n = rush_json_plain8(p);
            p += n;

            if (n == 8) {
                continue;
            }
        }

        if (p == last) {
            (void) rush_reader_fail(j, "JSON ends too early");
            return RUSH_ERROR;
        }

        if (*p == '"') {
            break;
        }

        if (*p < 0x20) {
            (void) rush_reader_fail(j, "control character in JSON string");
            return RUSH_ERROR;
        }

        if (*p == '\\') {
            j->p = p + 1;
            dst = rush_reader_escape(j, (dst != NULL) ? dst : p);

            if (dst == NULL) {
                return RUSH_ERROR;
            }

            p = j->p;
            continue;
        }

        n = rush_utf8_next(p, last);
        if (n == 0) {
            (void) rush_reader_fail(j, "invalid UTF-8 in JSON string");
            return RUSH_ERROR;
        }

        if (dst != NULL) {
            memmove(dst, p, n);
            dst += n;
        }

        p += n;
    }

    j->text.len = (size_t) ((dst != NULL ? dst : p) - j->text.data);
    j->p = p + 1;

    return RUSH_OK;
}


/*
 * j->p is behind the backslash; it moves behind the escape.  The decoded
 * bytes, never more than the escape took, go to dst; returns their end.
 */

static unsigned char *
rush_reader_escape(rush_reader_t *j, unsigned char *dst)
{
    uint32_t           code, low;
    const char        *f;
    unsigned char      c;
    static const char  from[] = "\"\\/bfnrt";
    static const char  to[] = "\"\\/\b\f\n\r\t";

    if (j->p == j->last) {
        (void) rush_reader_fail(j, "JSON ends too early");
        return NULL;
    }

    c = *j->p++;

    if (c != 'u') {

        f = (c != '\0') ? strchr(from, c) : NULL;
        if (f == NULL) {
            (void) rush_reader_fail(j, "unknown escape in JSON string");
            return NULL;
        }

        *dst++ = (unsigned char) to[f - from];
        return dst;
    }

    if (rush_reader_hex4(j, &code) != RUSH_OK) {
        return NULL;
    }

    if (code == 0) {
        (void) rush_reader_fail(j, "NUL in JSON string");
        return NULL;
    }

    if (code >= 0xd800 && code <= 0xdfff) {

        if (code >= 0xdc00 || j->last - j->p < 2
            || j->p[0] != '\\' || j->p[1] != 'u')
        {
            (void) rush_reader_fail(j, "lone surrogate in JSON string");
            return NULL;
        }

        j->p += 2;

        if (rush_reader_hex4(j, &low) != RUSH_OK) {
            return NULL;
        }

        if (low < 0xdc00 || low > 0xdfff) {
            (void) rush_reader_fail(j, "lone surrogate in JSON string");
            return NULL;
        }

        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }

    if (code < 0x80) {
        *dst++ = (unsigned char) code;
        return dst;
    }

    if (code < 0x800) {
        *dst++ = (unsigned char) (0xc0 | code >> 6);

    } else {

        if (code < 0x10000) {
            *dst++ = (unsigned char) (0xe0 | code >> 12);

        } else {
            *dst++ = (unsigned char) (0xf0 | code >> 18);
            *dst++ = (unsigned char) (0x80 | (code >> 12 & 0x3f));
        }

        *dst++ = (unsigned char) (0x80 | (code >> 6 & 0x3f));
    }

    *dst++ = (unsigned char) (0x80 | (code & 0x3f));

    return dst;
}


static int
rush_reader_hex4(rush_reader_t *j, uint32_t *code)
{
    int            i;
    uint32_t       v;
    unsigned char  c;

    v = 0;

    for (i = 0; i < 4; i++) {

        c = (j->p < j->last) ? *j->p : 0;

        if (c >= '0' && c <= '9') {
            v = v << 4 | (uint32_t) (c - '0');

        } else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f') {
            v = v << 4 | (uint32_t) ((c | 0x20) - 'a' + 10);

        } else {
            (void) rush_reader_fail(j, "malformed JSON");
            return RUSH_ERROR;
        }

        j->p++;
    }

    *code = v;

    return RUSH_OK;
}
