
/*
 * Copyright (C) Rush
 *
 * The small parsers and writers, chosen by the first byte: UTF-8, base64url,
 * time, order numbers, ids, and the JSON writer, whose output jansson reads.
 */


#include <ctype.h>

#include "fuzz.h"
#include "rush_buf.h"
#include "rush_field.h"
#include "rush_id.h"
#include "rush_jwt.h"
#include "rush_stream.h"


static void fuzz_utf8(const unsigned char *p, size_t len);
static void fuzz_base64(const unsigned char *p, size_t len);
static void fuzz_time(const unsigned char *p, size_t len);
static void fuzz_number(const unsigned char *p, size_t len);
static void fuzz_order_no(const unsigned char *p, size_t len);
static void fuzz_id(const unsigned char *p, size_t len);
static void fuzz_writer(const unsigned char *p, size_t len);
static void fuzz_key_file(const unsigned char *p, size_t len);


static void (*const targets[])(const unsigned char *p, size_t len) = {
    fuzz_utf8, fuzz_base64, fuzz_time, fuzz_number, fuzz_order_no, fuzz_id,
    fuzz_writer, fuzz_key_file
};

#define TARGETS  (sizeof(targets) / sizeof(targets[0]))


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned char  *p;

    if (size == 0) {
        return 0;
    }

    p = fuzz_copy(data + 1, size - 1);
    targets[data[0] % TARGETS](p, size - 1);
    free(p);

    return 0;
}


static void
fuzz_utf8(const unsigned char *p, size_t len)
{
    int     ok;
    size_t  i, n, chars;

    chars = 0;

    for (i = 0; i < len; i++) {
        chars += (p[i] & 0xc0) != 0x80;
    }

    ok = ref_utf8(p, len);

    fuzz_check(ok == (rush_utf8_check(p, len, &n) == RUSH_OK));
    fuzz_check(!ok || n == chars);
}


static void
fuzz_base64(const unsigned char *p, size_t len)
{
    long            n, want;
    unsigned char  *got, *ref, *text;

    got = malloc(len * 3 / 4 + 3);
    ref = malloc(len + 8);
    text = malloc(len * 4 / 3 + 4);
    fuzz_check(got != NULL && ref != NULL && text != NULL);

    n = rush_base64url_decode(got, p, len);
    want = ref_base64url(ref, p, len);

    fuzz_check(n == want);

    if (n > 0) {
        fuzz_check(memcmp(got, ref, (size_t) n) == 0);
        fuzz_check(rush_base64url_encode(text, got, (size_t) n) == len);
        fuzz_check(memcmp(text, p, len) == 0);
    }

    /* and any bytes, there and back */

    want = (long) rush_base64url_encode(text, p, len);
    n = rush_base64url_decode(ref, text, (size_t) want);

    fuzz_check(n == (long) len);
    fuzz_check(n == 0 || memcmp(ref, p, len) == 0);

    free(got);
    free(ref);
    free(text);
}


static void
fuzz_time(const unsigned char *p, size_t len)
{
    int            rc, ok;
    int64_t        got, want, back;
    fuzz_input_t   in;
    unsigned char  text[24];

    ok = ref_time(p, len, &want);
    rc = rush_parse_time(p, len, &got);

    fuzz_check(ok == (rc == RUSH_OK));
    fuzz_check(!ok || got == want);

    if (!ok) {
        in.p = p;
        in.len = len;
        got = fuzz_int(&in) >> (len % 40);

        if (got < -62167219200000LL || got > 253402300799999LL) {
            fuzz_check(rush_format_time(text, got) == 24);
            return;
        }
    }

    fuzz_check(rush_format_time(text, got) == 24);
    fuzz_check(ref_time(text, 24, &back) && back == got);
    fuzz_check(rush_parse_time(text, 24, &back) == RUSH_OK && back == got);
}


static void
fuzz_number(const unsigned char *p, size_t len)
{
    int      rc, ok;
    int64_t  got, want;

    ok = ref_u63(p, len, &want);
    rc = rush_parse_u63(p, len, &got);

    fuzz_check(ok == (rc == RUSH_OK));
    fuzz_check(!ok || got == want);
}


static void
fuzz_order_no(const unsigned char *p, size_t len)
{
    int             rc, ok;
    char            key[RUSH_KEY_LEN], want[64];
    size_t          n;
    int64_t         id, activity, a, b;
    fuzz_input_t    in;
    rush_str_t      s;
    unsigned char   text[RUSH_ORDER_NO_LEN];

    in.p = p;
    in.len = len;
    s = fuzz_until(&in, '-');

    ok = len <= RUSH_ORDER_NO_LEN && s.len < len && ref_u63(s.data, s.len, &a)
         && ref_u63(in.p, in.len, &b);
    rc = rush_order_no_parse(p, len, &id, &activity);

    fuzz_check(ok == (rc == RUSH_OK));

    if (!ok) {
        return;
    }

    fuzz_check(id == a && activity == b);

    n = rush_order_no_format(text, id, activity);
    fuzz_check(n == len && memcmp(text, p, n) == 0);

    n = rush_key(key, activity, 's');
    snprintf(want, sizeof(want), "{a:%lld}s", (long long) activity);
    fuzz_check(n == strlen(want) && strcmp(key, want) == 0);
}


/* a node makes ids while its clock steps as the input says */

static void
fuzz_id(const unsigned char *p, size_t len)
{
    int64_t        id, last, now;
    unsigned       node;
    uint64_t       state;
    fuzz_input_t   in;

    in.p = p;
    in.len = len;

    state = 0;
    last = 0;
    node = fuzz_byte(&in) << 3;
    now = RUSH_ID_EPOCH + (fuzz_int(&in) & 0x1ffffffffff);

    while (in.len > 0) {
        now += (int8_t) fuzz_byte(&in);
        id = rush_id_next(&state, now, node);

        if (now < RUSH_ID_EPOCH || node > RUSH_ID_MAX_NODE) {
            fuzz_check(id == 0);
            continue;
        }

        if (id == 0) {
            continue;                   /* the clock is too far behind */
        }

        fuzz_check(id > last);
        fuzz_check((id >> 12 & 0x3ff) == (int64_t) node);
        fuzz_check(rush_id_time(id) >= now
                   && rush_id_time(id) <= now + RUSH_ID_MAX_AHEAD);
        last = id;
    }
}


/* an array of strings, numbers and times, cut out of the input */

static void
fuzz_writer(const unsigned char *p, size_t len)
{
    size_t        n;
    int64_t       v, ms;
    json_t       *root, *o;
    const char   *text;
    rush_buf_t    b;
    rush_str_t    s;
    fuzz_input_t  in, copy;

    in.p = p;
    in.len = len;
    memset(&b, 0, sizeof(b));
    v = 0;

    rush_json_open(&b, NULL, '[');

    while (in.len > 0) {
        s = fuzz_until(&in, '|');
        copy.p = s.data;
        copy.len = s.len;
        v = fuzz_int(&copy);

        rush_json_open(&b, NULL, '{');
        rush_json_str(&b, "s", &s);
        rush_json_int(&b, "n", v);
        rush_json_id(&b, "id", v);
        rush_json_time(&b, "t", v >> 20);
        rush_json_bool(&b, "b", v & 1);
        rush_json_null(&b, "z");
        rush_json_close(&b, '}');
    }

    rush_json_close(&b, ']');
    fuzz_check(!b.failed);

    root = json_loadb((char *) b.data, b.len, JSON_REJECT_DUPLICATES
                      |JSON_ALLOW_NUL, NULL);
    fuzz_check(root != NULL);

    n = json_array_size(root);

    if (n != 0) {                       /* the last one */
        o = json_array_get(root, n - 1);

        fuzz_check(json_integer_value(json_object_get(o, "n")) == v);
        fuzz_check(strtoll(json_string_value(json_object_get(o, "id")),
                           NULL, 10) == v);

        text = json_string_value(json_object_get(o, "t"));
        fuzz_check((text == NULL) == (v >> 20 == 0));

        if (text != NULL) {
            fuzz_check(ref_time((const unsigned char *) text, 24, &ms));
        }

        if (ref_utf8(s.data, s.len)) {
            text = json_string_value(json_object_get(o, "s"));
            fuzz_check(json_string_length(json_object_get(o, "s")) == s.len
                       && memcmp(text, s.data, s.len) == 0);
        }
    }

    json_decref(root);
    rush_buf_free(&b);
}


/* what was loaded can sign, and is taken by itself */

static void
fuzz_key_file(const unsigned char *p, size_t len)
{
    int             rc;
    size_t          n;
    const char     *err;
    rush_jwt_t     *jwt;
    rush_claims_t   c, back;
    unsigned char   token[RUSH_JWT_MAX_LEN];

    jwt = rush_jwt_create("rush", "rush", 0);
    fuzz_check(jwt != NULL);

    err = NULL;
    rc = rush_jwt_load(jwt, p, len, &err);

    fuzz_check((rc == RUSH_OK) == (err == NULL));

    if (rc == RUSH_OK) {
        memset(&c, 0, sizeof(c));
        c.user = 7;
        c.issued = 100;
        c.expires = 200;

        n = rush_jwt_sign(jwt, &c, token);
        fuzz_check(n != 0);
        fuzz_check(rush_jwt_verify(jwt, token, n, 150, &back) == RUSH_OK);
        fuzz_check(back.user == 7 && back.expires == 200);
    }

    rush_jwt_destroy(jwt);
}
