
/*
 * Copyright (C) Rush
 */


#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <time.h>
#include <openssl/evp.h>

#include "fuzz.h"


static void ref_small(unsigned char *text, int end);


void
fuzz_fail(const char *file, int line, const char *what)
{
    fprintf(stderr, "%s:%d: \"%s\" does not hold\n", file, line, what);
    abort();
}


unsigned
fuzz_byte(fuzz_input_t *in)
{
    if (in->len == 0) {
        return 0;
    }

    in->len--;

    return *in->p++;
}


int64_t
fuzz_int(fuzz_input_t *in)
{
    int       i;
    uint64_t  v;

    v = 0;

    for (i = 0; i < 8; i++) {
        v = v << 8 | fuzz_byte(in);
    }

    return (int64_t) v;
}


rush_str_t
fuzz_until(fuzz_input_t *in, uint8_t end)
{
    rush_str_t      s;
    const uint8_t  *p;

    p = in->len ? memchr(in->p, end, in->len) : NULL;

    s.data = (unsigned char *) (uintptr_t) in->p;
    s.len = (p != NULL) ? (size_t) (p - in->p) : in->len;

    in->p += s.len + (p != NULL);
    in->len -= s.len + (p != NULL);

    return s;
}


unsigned char *
fuzz_copy(const void *data, size_t len)
{
    unsigned char  *p;

    p = malloc(len);                    /* of 0 bytes: nothing may be read */
    fuzz_check(p != NULL || len == 0);

    if (len != 0) {
        memcpy(p, data, len);
    }

    return p;
}


json_t *
ref_json(const unsigned char *p, size_t len, size_t flags)
{
    json_t        *root;
    json_error_t   e;
    unsigned char *text;

    /* jansson loses a NUL that it looked at and put back */

    if (len != 0 && memchr(p, '\0', len) != NULL) {
        return NULL;
    }

    text = fuzz_copy(p, len);

    for ( ;; ) {
        root = json_loadb((char *) text, len, flags|JSON_REJECT_DUPLICATES,
                          &e);

        if (root != NULL
            || json_error_code(&e) != json_error_numeric_overflow)
        {
            break;
        }

        ref_small(text, e.position);
    }

    free(text);

    return root;
}


/*
 * Makes the number that ends before "end" a small one.  It has the right form
 * but may follow another without a comma, which must stay so: a sign begins
 * it, unless it is that of an exponent.
 */

static void
ref_small(unsigned char *text, int end)
{
    int  start;

    for (start = end;
         start > 0 && (isdigit(text[start - 1])
                       || memchr("+-.eE", text[start - 1], 5) != NULL);
         start--)
    {
        if (start < end && text[start] == '-'
            && (text[start - 1] | 0x20) != 'e')
        {
            break;
        }
    }

    if (text[start] == '-') {
        start++;
    }

    fuzz_check(end - start >= 3);

    memset(text + start, ' ', (size_t) (end - start));
    memcpy(text + start, "0.5", 3);
}


int
ref_is_minus(const unsigned char *p, size_t len, const char *name)
{
    int      minus;
    json_t  *root, *v;

    root = ref_json(p, len, JSON_DECODE_INT_AS_REAL);
    v = json_object_get(root, name);

    minus = json_is_real(v) && json_real_value(v) == 0
            && signbit(json_real_value(v));

    json_decref(root);

    return minus;
}


unsigned
ref_depth(const json_t *v, unsigned *keys)
{
    size_t       i;
    void        *it;
    json_t      *root;
    unsigned     n, deepest;

    root = (json_t *) (uintptr_t) v;
    deepest = 0;

    if (json_is_array(v)) {

        for (i = 0; i < json_array_size(v); i++) {
            n = ref_depth(json_array_get(v, i), keys);
            deepest = (n > deepest) ? n : deepest;
        }

        return deepest + 1;
    }

    if (json_is_object(v)) {

        for (it = json_object_iter(root); it != NULL;
             it = json_object_iter_next(root, it))
        {
            n = ref_depth(json_object_iter_value(it), keys);
            deepest = (n > deepest) ? n : deepest;
            (*keys)++;
        }

        return deepest + 1;
    }

    return 0;
}


int
ref_utf8(const unsigned char *p, size_t len)
{
    json_t  *s;

    s = json_stringn(len ? (const char *) p : "", len);

    if (s == NULL) {
        return 0;
    }

    json_decref(s);

    return 1;
}


int
ref_u63(const unsigned char *p, size_t len, int64_t *v)
{
    char    text[24];
    size_t  i;

    if (len == 0 || len > 19 || (len > 1 && p[0] == '0')) {
        return 0;
    }

    for (i = 0; i < len; i++) {
        if (!isdigit(p[i])) {
            return 0;
        }

        text[i] = (char) p[i];
    }

    text[len] = '\0';
    errno = 0;
    *v = strtoll(text, NULL, 10);

    return errno == 0;
}


/* the form is looked at first: sscanf() takes blanks, signs and less digits */

int
ref_time(const unsigned char *p, size_t len, int64_t *ms)
{
    int        n, frac, oh, om;
    char       text[64], *end;
    size_t     i;
    time_t     s;
    struct tm  t, back;

    static const char  form[] = "dddd-dd-ddtdd:dd:dd";

    if (len < 20) {
        return 0;
    }

    for (i = 0; i < 19; i++) {
        if (form[i] == 'd' ? !isdigit(p[i]) : tolower(p[i]) != form[i]) {
            return 0;
        }
    }

    memset(&t, 0, sizeof(t));
    memcpy(text, p, 19);
    text[10] = 'T';
    text[19] = '\0';

    n = sscanf(text, "%d-%d-%dT%d:%d:%d", &t.tm_year, &t.tm_mon, &t.tm_mday,
               &t.tm_hour, &t.tm_min, &t.tm_sec);
    fuzz_check(n == 6);

    t.tm_year -= 1900;
    t.tm_mon -= 1;
    back = t;

    s = timegm(&back);

    /* a day that is not in the calendar comes back as another one */

    if (back.tm_year != t.tm_year || back.tm_mon != t.tm_mon
        || back.tm_mday != t.tm_mday || back.tm_hour != t.tm_hour
        || back.tm_min != t.tm_min || back.tm_sec != t.tm_sec)
    {
        return 0;
    }

    i = 19;
    frac = 0;

    if (p[i] == '.') {

        for (n = 100, i++; i < len && isdigit(p[i]); i++, n /= 10) {
            frac += (p[i] - '0') * n;
        }

        if (i == 20) {
            return 0;
        }
    }

    len -= i;
    p += i;
    oh = om = 0;

    if (len == 6 && (p[0] == '+' || p[0] == '-')) {
        memcpy(text, p, 6);
        text[6] = '\0';

        if (!isdigit(p[1]) || !isdigit(p[2]) || p[3] != ':' || !isdigit(p[4])
            || !isdigit(p[5]))
        {
            return 0;
        }

        oh = (int) strtol(text + 1, &end, 10);
        om = (int) strtol(text + 4, &end, 10);

        if (oh > 23 || om > 59) {
            return 0;
        }

        s -= (p[0] == '+' ? 1 : -1) * (oh * 3600 + om * 60);

    } else if (len != 1 || tolower(p[0]) != 'z') {
        return 0;
    }

    *ms = (int64_t) s * 1000 + frac;

    /* years 0 to 9999 */

    return *ms >= -62167219200000LL && *ms <= 253402300799999LL;
}


long
ref_base64url(unsigned char *dst, const unsigned char *src, size_t len)
{
    int             n;
    long            pad;
    size_t          i;
    unsigned char  *text, *back;

    if (len == 0) {
        return 0;
    }

    if (len % 4 == 1) {
        return -1;
    }

    pad = (long) (4 - len % 4) % 4;
    text = malloc(len + 4);
    back = malloc(len + 8);
    fuzz_check(text != NULL && back != NULL);

    for (i = 0; i < len; i++) {

        if (!isalnum(src[i]) && src[i] != '-' && src[i] != '_') {
            n = -1;
            goto done;
        }

        text[i] = src[i] == '-' ? '+' : src[i] == '_' ? '/' : src[i];
    }

    memset(text + len, '=', (size_t) pad);

    n = EVP_DecodeBlock(dst, text, (int) len + (int) pad);
    if (n < 0) {
        goto done;
    }

    n -= (int) pad;

    /* canonical: it is what the bytes are encoded to */

    EVP_EncodeBlock(back, dst, n);

    if (memcmp(back, text, len) != 0) {
        n = -1;
    }

done:

    free(text);
    free(back);

    return n;
}
