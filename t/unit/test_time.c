
/*
 * Copyright (C) Rush
 */


#include "unit.h"
#include "rush_field.h"


/* {text, ms}; RFC 3339, 5.8 and calendar edges */

static const struct {
    const char  *text;
    int64_t      ms;
} times[] = {
    { "1970-01-01T00:00:00Z", 0 },
    { "1970-01-01t00:00:00z", 0 },
    { "1970-01-01T00:00:00-00:00", 0 },
    { "1970-01-01T08:00:00+08:00", 0 },
    { "1985-04-12T23:20:50.52Z", 482196050520LL },
    { "1996-12-19T16:39:57-08:00", 851042397000LL },
    { "1937-01-01T12:00:27.87+00:20", -1041337172130LL },
    { "2024-01-01T00:00:00Z", 1704067200000LL },
    { "2024-02-29T23:59:59.999Z", 1709251199999LL },
    { "2000-02-29T00:00:00Z", 951782400000LL },
    { "2026-11-21T11:04:05.678+08:00", 1795230245678LL },
    { "2026-11-21T03:04:05.6789999Z", 1795230245678LL },
    { "2026-11-21T03:04:05.6Z", 1795230245600LL },
    { "9999-12-31T23:59:59.999Z", 253402300799999LL },
    { "0000-01-01T00:00:00Z", -62167219200000LL }
};

static const char *bad_times[] = {
    "", "Z", "1970-01-01", "1970-01-01T00:00:00", "1970-01-01 00:00:00Z",
    "1970-01-01T00:00Z", "1970-1-1T00:00:00Z", "70-01-01T00:00:00Z",
    "1970-13-01T00:00:00Z", "1970-00-01T00:00:00Z", "1970-01-00T00:00:00Z",
    "1970-01-32T00:00:00Z", "1970-04-31T00:00:00Z", "1970-02-29T00:00:00Z",
    "1900-02-29T00:00:00Z", "2100-02-29T00:00:00Z", "1970-01-01T24:00:00Z",
    "1970-01-01T00:60:00Z", "1970-01-01T00:00:61Z", "1990-12-31T23:59:60Z",
    "1970-01-01T00:00:00.Z", "1970-01-01T00:00:00,5Z", "1970-01-01T00:00:00.5",
    "1970-01-01T00:00:00+0800", "1970-01-01T00:00:00+08",
    "1970-01-01T00:00:00+24:00", "1970-01-01T00:00:00+00:60",
    "1970-01-01T00:00:00 08:00", "1970-01-01T00:00:00ZZ",
    "1970-01-01T00:00:00Z ", " 1970-01-01T00:00:00Z",
    "+970-01-01T00:00:00Z", "1970/01/01T00:00:00Z", "0000-01-01T00:00:00+01:00",
    "9999-12-31T23:59:59-00:01", "now", "20240101T000000Z"
};


static void
test_times(void **state)
{
    size_t          i, n;
    int64_t         ms;
    unsigned char  *p, out[24];

    for (i = 0; i < unit_count(times); i++) {
        n = strlen(times[i].text);
        p = unit_copy(times[i].text, n);
        assert_int_equal(rush_parse_time(p, n, &ms), RUSH_OK);
        assert_true(ms == times[i].ms);
        free(p);

        assert_int_equal(rush_format_time(out, ms), 24);
        assert_int_equal(rush_parse_time(out, 24, &ms), RUSH_OK);
        assert_true(ms == times[i].ms);
    }

    for (i = 0; i < unit_count(bad_times); i++) {
        n = strlen(bad_times[i]);
        p = unit_copy(bad_times[i], n);
        assert_int_equal(rush_parse_time(p, n, &ms), RUSH_ERROR);
        free(p);
    }

    assert_int_equal(rush_format_time(out, 1795230245678LL), 24);
    assert_memory_equal(out, "2026-11-21T03:04:05.678Z", 24);
    (void) rush_format_time(out, INT64_MAX);
    assert_memory_equal(out, "9999-12-31T23:59:59.999Z", 24);
    (void) rush_format_time(out, INT64_MIN);
    assert_memory_equal(out, "0000-01-01T00:00:00.000Z", 24);
}


/* each day of 10000 years, at an odd time of it */

static void
test_calendar(void **state)
{
    int            y, m, d, n, ok;
    int64_t        ms, v;
    unsigned char  out[24];
    char           text[64];

    ok = 1;
    ms = -62167219200000LL + 45296789;          /* 12:34:56.789 */

    for (y = 0; y < 10000; y++) {
        for (m = 1; m <= 12; m++) {

            n = (m == 2) ? 28 + (y % 4 == 0 && (y % 100 || y % 400 == 0))
                         : 30 + ((m + (m > 7)) & 1);

            for (d = 1; d <= n; d++, ms += 86400000) {
                (void) rush_format_time(out, ms);
                ok &= rush_parse_time(out, 24, &v) == RUSH_OK && v == ms;

                if (d == 1 || d == n) {
                    snprintf(text, sizeof(text),
                             "%04d-%02d-%02dT12:34:56.789Z", y, m, d);
                    assert_memory_equal(out, text, 24);
                }
            }
        }
    }

    assert_true(ok);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_calendar)
    };

    return cmocka_run_group_tests_name("rush_time", tests, NULL, NULL);
}
