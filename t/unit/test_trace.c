
/*
 * Copyright (C) Rush
 */


#include "unit.h"
#include "rush_trace.h"


#define ID    "12345678901234567890123456789012"
#define SPAN  "1234567890123456"


/* {header, flags or -1 for invalid}; most are of w3c/trace-context test.py */

static const struct {
    const char  *header;
    int          flags;
} headers[] = {
    { "00-" ID "-" SPAN "-01", 1 },
    { "00-" ID "-" SPAN "-00", 0 },
    { "00-" ID "-" SPAN "-02", 2 },
    { "00-" ID "-" SPAN "-03", 3 },
    { "00-" ID "-" SPAN "-ff", 3 },     /* unknown flags are not kept */
    { "00-" ID "-" SPAN "-08", 0 },
    { " 00-" ID "-" SPAN "-01", 1 },
    { "\t00-" ID "-" SPAN "-01\t ", 1 },
    { "00-" ID "-" SPAN "-01.", -1 },
    { "00-" ID "-" SPAN "-01-what-the-future-will-be-like", -1 },
    { "00-" ID "-" SPAN "-01-", -1 },
    { "cc-" ID "-" SPAN "-01", 1 },
    { "cc-" ID "-" SPAN "-01-what-the-future-will-be-like", 1 },
    { "cc-" ID "-" SPAN "-01.what-the-future-will-be-like", -1 },
    { "01-" ID "-" SPAN "-01", 1 },
    { "fe-" ID "-" SPAN "-01", 1 },
    { "ff-" ID "-" SPAN "-01", -1 },
    { ".0-" ID "-" SPAN "-01", -1 },
    { "0.-" ID "-" SPAN "-01", -1 },
    { "CC-" ID "-" SPAN "-01", -1 },
    { "000-" ID "-" SPAN "-01", -1 },
    { "0000-" ID "-" SPAN "-01", -1 },
    { "0-" ID "-" SPAN "-01", -1 },
    { "00-00000000000000000000000000000000-" SPAN "-01", -1 },
    { "00-" ID "-0000000000000000-01", -1 },
    { "00-.2345678901234567890123456789012-" SPAN "-01", -1 },
    { "00-1234567890123456789012345678901.-" SPAN "-01", -1 },
    { "00-1234567890123456789012345678901A-" SPAN "-01", -1 },
    { "00-1234567890123456789012345678901g-" SPAN "-01", -1 },
    { "00-" ID "3-" SPAN "-01", -1 },
    { "00-1234567890123456789012345678901-" SPAN "-01", -1 },
    { "00-" ID "-.234567890123456-01", -1 },
    { "00-" ID "-123456789012345.-01", -1 },
    { "00-" ID "-12345678901234567-01", -1 },
    { "00-" ID "-123456789012345-01", -1 },
    { "00-" ID "-" SPAN "-.0", -1 },
    { "00-" ID "-" SPAN "-0.", -1 },
    { "00-" ID "-" SPAN "-0F", -1 },
    { "00-" ID "-" SPAN "-001", -1 },
    { "00-" ID "-" SPAN "-1", -1 },
    { "00-" ID "-" SPAN "-", -1 },
    { "00-" ID "-" SPAN, -1 },
    { "00_" ID "-" SPAN "-01", -1 },
    { "00-" ID "_" SPAN "-01", -1 },
    { "00-" ID "-" SPAN "_01", -1 },
    { "00-" ID "-" SPAN "-01,00-" ID "-" SPAN "-01", -1 },
    { "", -1 },
    { "   ", -1 },
    { "-", -1 }
};


static void
test_parse(void **state)
{
    size_t          i;
    rush_trace_t    trace;
    unsigned char  *p;

    for (i = 0; i < unit_count(headers); i++) {
        memset(&trace, 0x55, sizeof(rush_trace_t));
        p = unit_copy(headers[i].header, strlen(headers[i].header));

        if (headers[i].flags < 0) {
            assert_int_equal(rush_trace_parse(&trace, p,
                                              strlen(headers[i].header)),
                             RUSH_ERROR);
            assert_int_equal(trace.id[0], 0x55);
            assert_int_equal(trace.flags, 0x55555555);

        } else {
            assert_int_equal(rush_trace_parse(&trace, p,
                                              strlen(headers[i].header)),
                             RUSH_OK);
            assert_memory_equal(trace.id, ID, RUSH_TRACE_LEN);
            assert_int_equal(trace.flags, headers[i].flags);
        }

        free(p);
    }
}


static unit_vectors_t  vectors;


static void
test_published(void **state)
{
    int              rc;
    size_t           rows;
    rush_trace_t     trace;
    unit_vectors_t  *v;

    v = &vectors;

    if (!unit_vectors(v, "tracecontext")) {
        return;
    }

    for (rows = 0; unit_row(v); rows++) {
        rc = rush_trace_parse(&trace, v->column[0].data, v->column[0].len);

        if (strcmp(v->word, "continue") != 0) {
            assert_int_equal(rc, RUSH_ERROR);
            continue;
        }

        assert_int_equal(rc, RUSH_OK);
        assert_int_equal(v->column[1].len, RUSH_TRACE_LEN);
        assert_memory_equal(trace.id, v->column[1].data, RUSH_TRACE_LEN);

        if (v->column[2].len != 0) {
            assert_int_equal(trace.flags,
                             strtol((char *) v->column[2].data, NULL, 10) & 3);
        }
    }

    assert_true(rows >= 40);
}


static void
test_new(void **state)
{
    int            i, j, k;
    unsigned       digits[16];
    rush_trace_t   a, b, read;
    rush_random_t  rnd;
    char           header[64];

    assert_int_equal(rush_random_init(&rnd), RUSH_OK);
    memset(digits, 0, sizeof(digits));
    memset(&b, 0, sizeof(rush_trace_t));

    for (i = 0; i < 10000; i++) {
        rush_trace_new(&a, &rnd);
        assert_int_equal(a.flags, 2);
        assert_memory_not_equal(a.id, b.id, RUSH_TRACE_LEN);
        b = a;

        for (j = 0; j < RUSH_TRACE_LEN; j++) {
            k = a.id[j] - '0';

            if (k > 9) {
                k = a.id[j] - 'a' + 10;
            }

            assert_true(k >= 0 && k < 16);
            digits[k]++;
        }

        snprintf(header, sizeof(header), "00-%.32s-" SPAN "-02",
                 (char *) a.id);
        assert_int_equal(rush_trace_parse(&read, (unsigned char *) header,
                                          55),
                         RUSH_OK);
        assert_memory_equal(read.id, a.id, RUSH_TRACE_LEN);
    }

    for (i = 0; i < 16; i++) {          /* 20000 each, sigma is 137 */
        assert_in_range(digits[i], 19000, 21000);
    }
}


/* first numbers of xoshiro256** from the state 1, 2, 3, 4: the test of the
 * rand_xoshiro crate, made with the reference implementation */

static void
test_random(void **state)
{
    size_t                 i;
    rush_random_t          rnd = { { 1, 2, 3, 4 } };
    static const uint64_t  numbers[] = {
        11520ULL, 0ULL, 1509978240ULL, 1215971899390074240ULL,
        1216172134540287360ULL, 607988272756665600ULL,
        16172922978634559625ULL, 8476171486693032832ULL,
        10595114339597558777ULL, 2904607092377533576ULL
    };

    for (i = 0; i < unit_count(numbers); i++) {
        assert_true(rush_random_next(&rnd) == numbers[i]);
    }
}


/* 128 bits as hex digits, high first */

static void
test_hex(void **state)
{
    rush_trace_t   trace;
    rush_random_t  rnd = { { 1, 2, 3, 4 } };

    rush_trace_new(&trace, &rnd);
    assert_memory_equal(trace.id, "0000000000002d000000000000000000", 32);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_published),
        cmocka_unit_test(test_new),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_hex)
    };

    return cmocka_run_group_tests_name("rush_trace", tests, NULL, NULL);
}
