
/*
 * Copyright (C) Rush
 */


#include "rush_field.h"
#include "rush_json.h"
#include "rush_list.h"
#include "rush_utf8.h"


#define RUSH_FIELD_TIME_MAX  253402300799999LL  /* the end of year 9999 */


static const rush_field_t *rush_field_find(const rush_field_t *f, unsigned n,
    rush_place_e place, const rush_str_t *name);
static int rush_field_json(const rush_field_t *f, void *dst,
    rush_token_e token, rush_reader_t *j, rush_field_error_t *err);
static int rush_field_set(const rush_field_t *f, void *dst, rush_str_t *text,
    rush_field_error_t *err);
static int rush_field_int(const rush_field_t *f, int64_t *dst,
    const rush_str_t *text, rush_field_error_t *err);
static int rush_field_bool(int64_t *dst, const rush_str_t *text);
static int rush_field_str(const rush_field_t *f, const rush_str_t *text,
    rush_field_error_t *err);
static int rush_field_unescape(rush_str_t *text);
static int rush_field_hex(unsigned char c);
static int rush_field_fail(rush_field_error_t *err, const rush_field_t *f,
    const char *reason, unsigned range);


/* 1: of a KEY, 2: control character allowed in TEXT, 4: any other one */

static const unsigned char  rush_field_class[256] = {
    4, 4, 4, 4, 4, 4, 4, 4,  4, 2, 2, 4, 4, 2, 4, 4,
    4, 4, 4, 4, 4, 4, 4, 4,  4, 4, 4, 4, 4, 4, 4, 4,
    /*  !"#$%&'                ()*+,-./ */
    0, 0, 0, 0, 0, 0, 0, 0,  0, 0, 0, 0, 0, 1, 1, 0,
    /* 01234567                89:;<=>? */
    1, 1, 1, 1, 1, 1, 1, 1,  1, 1, 1, 0, 0, 0, 0, 0,
    /* @ABCDEFG                HIJKLMNO */
    0, 1, 1, 1, 1, 1, 1, 1,  1, 1, 1, 1, 1, 1, 1, 1,
    /* PQRSTUVW                XYZ[\]^_ */
    1, 1, 1, 1, 1, 1, 1, 1,  1, 1, 1, 0, 0, 0, 0, 1,
    /* `abcdefg                hijklmno */
    0, 1, 1, 1, 1, 1, 1, 1,  1, 1, 1, 1, 1, 1, 1, 1,
    /* pqrstuvw                xyz{|}~  */
    1, 1, 1, 1, 1, 1, 1, 1,  1, 1, 1, 0, 0, 0, 0, 4
};


int
rush_field_body(const rush_field_t *f, unsigned n, void *dst,
    uint64_t *present, unsigned char *json, size_t len,
    rush_field_error_t *err)
{
    rush_token_e         token;
    rush_reader_t        j;
    const rush_field_t  *field;

    if (len == 0) {
        return rush_field_fail(err, NULL, "body must be a JSON object", 0);
    }

    rush_reader_init(&j, json, len);

    token = rush_reader_next(&j);       /* "{", or an error */

    while (token != RUSH_J_ERROR) {

        token = rush_reader_next(&j);

        if (token == RUSH_J_CLOSE) {
            token = rush_reader_next(&j);
            break;
        }

        if (token != RUSH_J_KEY) {
            break;
        }

        field = rush_field_find(f, n, RUSH_IN_BODY, &j.text);
        token = rush_reader_next(&j);

        if (field == NULL) {

            if (rush_reader_skip(&j, token) != RUSH_OK) {
                break;
            }

            continue;
        }

        if (token == RUSH_J_ERROR) {
            break;
        }

        if (token == RUSH_J_NULL) {
            continue;
        }

        if (rush_field_json(field, dst, token, &j, err) != RUSH_OK) {
            return RUSH_ERROR;
        }

        *present |= (uint64_t) 1 << (field - f);
    }

    if (token != RUSH_J_END || j.error != NULL) {
        return rush_field_fail(err, NULL, j.error, 0);
    }

    return RUSH_OK;
}


int
rush_field_query(const rush_field_t *f, unsigned n, void *dst,
    uint64_t *present, unsigned char *args, size_t len,
    rush_field_error_t *err)
{
    uint64_t             bit;
    rush_str_t           name, value;
    unsigned char       *p, *last, *end, *eq;
    const rush_field_t  *field;

    if (len == 0) {
        return RUSH_OK;
    }

    last = args + len;

    for (p = args; p < last; p = end + 1) {

        end = memchr(p, '&', (size_t) (last - p));
        if (end == NULL) {
            end = last;
        }

        eq = memchr(p, '=', (size_t) (end - p));
        if (eq == NULL) {
            eq = end;
        }

        name.data = p;
        name.len = (size_t) (eq - p);
        value.data = (eq < end) ? eq + 1 : end;
        value.len = (size_t) (end - value.data);

        if (rush_field_unescape(&name) != RUSH_OK) {
            continue;                   /* no row has such a name */
        }

        field = rush_field_find(f, n, RUSH_IN_QUERY, &name);
        if (field == NULL) {
            continue;
        }

        bit = (uint64_t) 1 << (field - f);

        if (*present & bit) {
            return rush_field_fail(err, field, "is given twice", 0);
        }

        if (rush_field_unescape(&value) != RUSH_OK) {
            return rush_field_fail(err, field, "has a bad percent escape", 0);
        }

        if (rush_field_set(field, dst, &value, err) != RUSH_OK) {
            return RUSH_ERROR;
        }

        *present |= bit;
    }

    return RUSH_OK;
}


int
rush_field_value(const rush_field_t *f, unsigned i, void *dst,
    uint64_t *present, unsigned char *text, size_t len,
    rush_field_error_t *err)
{
    rush_str_t            value;
    static unsigned char  empty[1];

    value.data = (len != 0) ? text : empty;     /* never NULL in a struct */
    value.len = len;

    if (rush_field_set(&f[i], dst, &value, err) != RUSH_OK) {
        return RUSH_ERROR;
    }

    *present |= (uint64_t) 1 << i;

    return RUSH_OK;
}


int
rush_field_required(const rush_field_t *f, unsigned n, uint64_t present,
    rush_field_error_t *err)
{
    unsigned  i;

    for (i = 0; i < n; i++) {

        if (f[i].required && !(present >> i & 1)) {
            return rush_field_fail(err, &f[i], "is required", 0);
        }
    }

    return RUSH_OK;
}


int
rush_parse_u63(const unsigned char *p, size_t len, int64_t *v)
{
    uint64_t              r;
    const unsigned char  *last;

    if (len == 0 || len > 19 || (*p == '0' && len > 1)) {
        return RUSH_ERROR;
    }

    last = p + len;

    for (r = 0; p < last; p++) {

        if (*p < '0' || *p > '9') {
            return RUSH_ERROR;
        }

        r = r * 10 + (uint64_t) (*p - '0');     /* 19 nines fit in 64 bits */
    }

    if (r > INT64_MAX) {
        return RUSH_ERROR;
    }

    *v = (int64_t) r;

    return RUSH_OK;
}


static const rush_field_t *
rush_field_find(const rush_field_t *f, unsigned n, rush_place_e place,
    const rush_str_t *name)
{
    unsigned  i;

    for (i = 0; i < n; i++) {

        if (f[i].name.len == name->len && f[i].place == place
            && memcmp(f[i].name.data, name->data, name->len) == 0)
        {
            return &f[i];
        }
    }

    return NULL;
}


/* JSON knows types: a number in a string is no number, but an id may be one */

static int
rush_field_json(const rush_field_t *f, void *dst, rush_token_e token,
    rush_reader_t *j, rush_field_error_t *err)
{
    int64_t     *v;
    rush_str_t  *text;

    text = &j->text;
    v = (int64_t *) (void *) ((unsigned char *) dst + f->offset);

    switch (f->type) {

    case RUSH_T_INT:
    case RUSH_T_MONEY:

        if (token != RUSH_J_NUMBER) {
            return rush_field_fail(err, f, "must be an integer", 0);
        }

        return rush_field_int(f, v, text, err);

    case RUSH_T_BOOL:

        if (token != RUSH_J_TRUE && token != RUSH_J_FALSE) {
            return rush_field_fail(err, f, "must be true or false", 0);
        }

        *v = (token == RUSH_J_TRUE);
        return RUSH_OK;

    case RUSH_T_ID:

        if (token != RUSH_J_NUMBER && token != RUSH_J_STRING) {
            return rush_field_fail(err, f, "must be an id", 0);
        }

        break;

    case RUSH_T_TIME:

        if (token == RUSH_J_STRING
            && rush_parse_time(text->data, text->len, v) == RUSH_OK
            && *v >= 0)
        {
            return RUSH_OK;
        }

        if (token != RUSH_J_NUMBER) {
            return rush_field_fail(err, f, "must be a time", 0);
        }

        break;

    case RUSH_T_LIST:
        return rush_list_json(f, v, token, j, err);

    default:

        if (token != RUSH_J_STRING) {
            return rush_field_fail(err, f, "must be a string", 0);
        }

        break;
    }

    return rush_field_set(f, dst, text, err);
}


static int
rush_field_set(const rush_field_t *f, void *dst, rush_str_t *text,
    rush_field_error_t *err)
{
    void     *place;
    int64_t  *v;

    place = (unsigned char *) dst + f->offset;
    v = place;

    switch (f->type) {

    case RUSH_T_INT:
    case RUSH_T_MONEY:
        return rush_field_int(f, v, text, err);

    case RUSH_T_ID:

        if (rush_parse_u63(text->data, text->len, v) != RUSH_OK || *v == 0) {
            return rush_field_fail(err, f, "must be an id", 0);
        }

        return RUSH_OK;

    case RUSH_T_TIME:

        if ((rush_parse_u63(text->data, text->len, v) != RUSH_OK
             && rush_parse_time(text->data, text->len, v) != RUSH_OK)
            || *v < 0 || *v > RUSH_FIELD_TIME_MAX)
        {
            return rush_field_fail(err, f, "must be a time", 0);
        }

        return RUSH_OK;

    case RUSH_T_BOOL:

        if (rush_field_bool(v, text) != RUSH_OK) {
            return rush_field_fail(err, f, "must be true or false", 0);
        }

        return RUSH_OK;

    case RUSH_T_LIST:
        return rush_list_set(f, place, text, err);

    default: /* RUSH_T_STR, RUSH_T_TEXT, RUSH_T_KEY, RUSH_T_SECRET */

        if (rush_field_str(f, text, err) != RUSH_OK) {
            return RUSH_ERROR;
        }

        *(rush_str_t *) place = *text;

        return RUSH_OK;
    }
}


static int
rush_field_int(const rush_field_t *f, int64_t *dst, const rush_str_t *text,
    rush_field_error_t *err)
{
    size_t                i, len;
    int64_t               v;
    unsigned              negative;
    const unsigned char  *p;

    p = text->data;
    len = text->len;
    negative = (len != 0 && *p == '-');

    if (negative) {
        p++;
        len--;
    }

    if (rush_parse_u63(p, len, &v) != RUSH_OK) {

        /* too large is another fault than not a number */

        for (i = 0; i < len && p[i] >= '0' && p[i] <= '9'; i++) { /* void */ }

        if (i < len || len < 19 || *p == '0') {
            return rush_field_fail(err, f, "must be an integer", 0);
        }

        return rush_field_fail(err, f, "is out of range", 1);
    }

    if (negative) {

        if (v == 0) {
            return rush_field_fail(err, f, "must be an integer", 0);
        }

        v = -v;
    }

    if (v < f->min || v > f->max) {
        return rush_field_fail(err, f, "is out of range", 1);
    }

    *dst = v;

    return RUSH_OK;
}


static int
rush_field_bool(int64_t *dst, const rush_str_t *text)
{
    if ((text->len == 1 && text->data[0] == '1')
        || (text->len == 4 && memcmp(text->data, "true", 4) == 0))
    {
        *dst = 1;
        return RUSH_OK;
    }

    if ((text->len == 1 && text->data[0] == '0')
        || (text->len == 5 && memcmp(text->data, "false", 5) == 0))
    {
        *dst = 0;
        return RUSH_OK;
    }

    return RUSH_ERROR;
}


static int
rush_field_str(const rush_field_t *f, const rush_str_t *text,
    rush_field_error_t *err)
{
    size_t                n, chars;
    unsigned              refused;
    const unsigned char  *p, *last;

    p = text->data;
    last = p + text->len;
    refused = (f->type == RUSH_T_TEXT) ? 4 : 4|2;

    for (chars = 0; p < last; chars++) {

        if (f->type == RUSH_T_KEY) {

            if (rush_field_class[*p++] != 1) {
                return rush_field_fail(err, f,
                                       "may hold only A-Z a-z 0-9 . _ : -", 0);
            }

            continue;
        }

        if (rush_field_class[*p] & refused) {
            return rush_field_fail(err, f, "has a control character", 0);
        }

        n = rush_utf8_next(p, last);
        if (n == 0) {
            return rush_field_fail(err, f, "must be valid UTF-8", 0);
        }

        if (p[0] == 0xc2 && p[1] < 0xa0) {      /* U+0080 to U+009F */
            return rush_field_fail(err, f, "has a control character", 0);
        }

        p += n;
    }

    if (f->type == RUSH_T_SECRET) {
        chars = text->len;
    }

    if ((int64_t) chars < f->min || (int64_t) chars > f->max) {
        return rush_field_fail(err, f, "has a wrong length", 1);
    }

    return RUSH_OK;
}


/* "%41" and "+" of a query, in place */

static int
rush_field_unescape(rush_str_t *text)
{
    int             high, low;
    unsigned char  *p, *dst, *last;

    dst = text->data;
    last = dst + text->len;

    for (p = dst; p < last; p++) {

        if (*p == '+') {
            *dst++ = ' ';
            continue;
        }

        if (*p != '%') {
            *dst++ = *p;
            continue;
        }

        if (last - p < 3) {
            return RUSH_ERROR;
        }

        high = rush_field_hex(p[1]);
        low = rush_field_hex(p[2]);

        if (high < 0 || low < 0) {
            return RUSH_ERROR;
        }

        *dst++ = (unsigned char) (high << 4 | low);
        p += 2;
    }

    text->len = (size_t) (dst - text->data);

    return RUSH_OK;
}


static int
rush_field_hex(unsigned char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }

    c |= 0x20;

    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }

    return -1;
}


static int
rush_field_fail(rush_field_error_t *err, const rush_field_t *f,
    const char *reason, unsigned range)
{
    err->reason = reason;
    err->field = f;
    err->range = range;

    return RUSH_ERROR;
}
