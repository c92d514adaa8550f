
/*
 * Copyright (C) Rush
 *
 * traceparent, against the grammar of W3C Trace Context written as a form;
 * and ids of our own, which must be taken by both.
 */


#include "fuzz.h"
#include "rush_trace.h"


static int ref_trace(const uint8_t *p, size_t len, rush_trace_t *want);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int             i, rc, ok;
    rush_trace_t    got, want, before;
    fuzz_input_t    in;
    rush_random_t   rnd;
    unsigned char  *p, own[56];

    memset(&got, 0x5a, sizeof(got));
    memset(&want, 0x5a, sizeof(want));
    before = got;

    p = fuzz_copy(data, size);

    ok = ref_trace(data, size, &want);
    rc = rush_trace_parse(&got, p, size);

    fuzz_check(ok == (rc == RUSH_OK));
    fuzz_check(memcmp(&got, ok ? &want : &before, sizeof(got)) == 0);

    free(p);

    if (size < 32) {
        return 0;
    }

    in.p = data;
    in.len = size;

    for (i = 0; i < 4; i++) {
        rnd.s[i] = (uint64_t) fuzz_int(&in);
    }

    if ((rnd.s[0] | rnd.s[1] | rnd.s[2] | rnd.s[3]) == 0) {
        return 0;                       /* rush_random_init() has none */
    }

    rush_trace_new(&got, &rnd);

    memcpy(own, "00-", 3);
    memcpy(own + 3, got.id, RUSH_TRACE_LEN);
    memcpy(own + 35, "-00f067aa0ba902b7-02", 20);

    fuzz_check(ref_trace(own, 55, &want));
    fuzz_check(rush_trace_parse(&before, own, 55) == RUSH_OK);
    fuzz_check(memcmp(before.id, got.id, RUSH_TRACE_LEN) == 0);

    return 0;
}


static int
ref_trace(const uint8_t *p, size_t len, rush_trace_t *want)
{
    int          zero;
    char         text[56];
    size_t       i;

    static const char  form[] =
        "xx-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx-xxxxxxxxxxxxxxxx-xx";

    while (len > 0 && (p[0] == ' ' || p[0] == '\t')) {
        p++;
        len--;
    }

    while (len > 0 && (p[len - 1] == ' ' || p[len - 1] == '\t')) {
        len--;
    }

    if (len < 55) {
        return 0;
    }

    for (i = 0; i < 55; i++) {
        if (form[i] == 'x' ? (p[i] == '\0'
                              || strchr("0123456789abcdef", p[i]) == NULL)
                           : p[i] != '-')
        {
            return 0;
        }
    }

    memcpy(text, p, 55);
    text[55] = '\0';

    if (strncmp(text, "ff", 2) == 0) {
        return 0;
    }

    if (len > 55 && (p[55] != '-' || strncmp(text, "00", 2) == 0)) {
        return 0;
    }

    zero = strspn(text + 3, "0") >= 32 || strspn(text + 36, "0") >= 16;
    if (zero) {
        return 0;
    }

    memcpy(want->id, text + 3, RUSH_TRACE_LEN);
    want->flags = (unsigned) strtoul(text + 53, NULL, 16) & 3;

    return 1;
}
