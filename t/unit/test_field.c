
/*
 * Copyright (C) Rush
 */


#include "unit.h"
#include "rush_field.h"


typedef struct {
    int64_t     i;
    int64_t     money;
    int64_t     id;
    int64_t     time;
    int64_t     yes;
    rush_str_t  str;
    rush_str_t  text;
    rush_str_t  key;
    rush_str_t  secret;
    int64_t     wide;
} values_t;


#define ROW(name, type, place, required, min, max, member)                    \
    { rush_string(name), type, place, required, min, max,                     \
      offsetof(values_t, member) }

static const rush_field_t  body[] = {
    ROW("i", RUSH_T_INT, RUSH_IN_BODY, 1, -5, 5, i),
    ROW("money", RUSH_T_MONEY, RUSH_IN_BODY, 0, 0, 100000000, money),
    ROW("id", RUSH_T_ID, RUSH_IN_BODY, 0, 0, 0, id),
    ROW("time", RUSH_T_TIME, RUSH_IN_BODY, 0, 0, 0, time),
    ROW("yes", RUSH_T_BOOL, RUSH_IN_BODY, 0, 0, 0, yes),
    ROW("str", RUSH_T_STR, RUSH_IN_BODY, 0, 0, 4, str),
    ROW("text", RUSH_T_TEXT, RUSH_IN_BODY, 0, 0, 100, text),
    ROW("key", RUSH_T_KEY, RUSH_IN_BODY, 0, 1, 8, key),
    ROW("secret", RUSH_T_SECRET, RUSH_IN_BODY, 0, 2, 4, secret),
    ROW("wide", RUSH_T_INT, RUSH_IN_BODY, 0, INT64_MIN, INT64_MAX, wide),
    ROW("q", RUSH_T_INT, RUSH_IN_QUERY, 0, 0, 5, i)
};

static const rush_field_t  query[] = {
    ROW("i", RUSH_T_INT, RUSH_IN_QUERY, 0, -5, 5, i),
    ROW("id", RUSH_T_ID, RUSH_IN_QUERY, 0, 0, 0, id),
    ROW("time", RUSH_T_TIME, RUSH_IN_QUERY, 0, 0, 0, time),
    ROW("yes", RUSH_T_BOOL, RUSH_IN_QUERY, 0, 0, 0, yes),
    ROW("str", RUSH_T_STR, RUSH_IN_QUERY, 1, 0, 8, str),
    ROW("key", RUSH_T_KEY, RUSH_IN_QUERY, 0, 1, 8, key),
    ROW("text", RUSH_T_STR, RUSH_IN_BODY, 0, 0, 8, text)
};


static unsigned char       *input;      /* freed by the next parse */
static values_t             values;
static uint64_t             present;
static rush_field_error_t   error;


static int
parse_bytes(const char *json, size_t len)
{
    free(input);
    input = unit_copy(json, len);

    memset(&values, 0, sizeof(values_t));
    memset(&error, 0, sizeof(rush_field_error_t));
    present = 0;

    return rush_field_body(body, unit_count(body), &values, &present, input,
                           len, &error);
}


static int
parse(const char *json)
{
    int  rc;

    rc = parse_bytes(json, strlen(json));

    if (rc != RUSH_OK) {
        assert_int_equal(rc, RUSH_ERROR);
        assert_non_null(error.reason);
    }

    return rc;
}


#define assert_good(json)  assert_int_equal(parse(json), RUSH_OK)

/* the fault is in one row */

#define assert_refused(json, row)                                             \
    do {                                                                      \
        assert_int_equal(parse(json), RUSH_ERROR);                            \
        assert_non_null(error.field);                                         \
        assert_string_equal((char *) error.field->name.data, row);            \
        assert_false(error.range);                                            \
    } while (0)

#define assert_range(json, row)                                               \
    do {                                                                      \
        assert_int_equal(parse(json), RUSH_ERROR);                            \
        assert_non_null(error.field);                                         \
        assert_string_equal((char *) error.field->name.data, row);            \
        assert_true(error.range);                                             \
    } while (0)

#define assert_text(s, expected)                                              \
    do {                                                                      \
        assert_int_equal((s).len, sizeof(expected) - 1);                      \
        assert_memory_equal((s).data, expected, sizeof(expected) - 1);        \
    } while (0)


static void
test_int(void **state)
{
    assert_good("{\"i\":0}");
    assert_int_equal(values.i, 0);
    assert_int_equal(present, 1);

    assert_good("{\"i\":-1}");
    assert_int_equal(values.i, -1);
    assert_good("{\"i\":5}");
    assert_good(" { \"i\" :\t-5\r\n} ");
    assert_int_equal(values.i, -5);

    assert_range("{\"i\":6}", "i");
    assert_range("{\"i\":-6}", "i");
    assert_range("{\"i\":2147483648}", "i");
    assert_range("{\"i\":9223372036854775807}", "i");
    assert_range("{\"i\":9223372036854775808}", "i");
    assert_range("{\"i\":-9223372036854775809}", "i");
    assert_range("{\"i\":123456789012345678901234567890}", "i");

    assert_refused("{\"i\":1.5}", "i");
    assert_refused("{\"i\":1.0}", "i");
    assert_refused("{\"i\":1e0}", "i");
    assert_refused("{\"i\":1e3}", "i");
    assert_refused("{\"i\":1E+2}", "i");
    assert_refused("{\"i\":-0}", "i");
    assert_refused("{\"i\":0.0}", "i");
    assert_refused("{\"i\":\"1\"}", "i");
    assert_refused("{\"i\":\"\"}", "i");
    assert_refused("{\"i\":true}", "i");
    assert_refused("{\"i\":[1]}", "i");
    assert_refused("{\"i\":{\"i\":1}}", "i");

    assert_good("{\"wide\":2147483648}");
    assert_true(values.wide == 2147483648LL);
    assert_good("{\"wide\":9007199254740993}");
    assert_true(values.wide == 9007199254740993LL);
    assert_good("{\"wide\":9223372036854775807}");
    assert_true(values.wide == INT64_MAX);
    assert_good("{\"wide\":-9223372036854775807}");
    assert_true(values.wide == -INT64_MAX);
    assert_range("{\"wide\":9223372036854775808}", "wide");
    assert_range("{\"wide\":10000000000000000000}", "wide");

    assert_good("{\"money\":100000000}");
    assert_range("{\"money\":100000001}", "money");
    assert_range("{\"money\":-1}", "money");
    assert_refused("{\"money\":9.99}", "money");
}


static void
test_text_types(void **state)
{
    assert_good("{\"str\":\"\\u4f60\\u4f60\\u4f60\\ud83d\\ude00\"}");
    assert_int_equal(values.str.len, 13);
    assert_range("{\"str\":\"12345\"}", "str");
    assert_refused("{\"str\":\"a\\n\"}", "str");
    assert_refused("{\"str\":\"\\t\"}", "str");
    assert_refused("{\"str\":\"\\u001f\"}", "str");
    assert_refused("{\"str\":\"\\u007f\"}", "str");
    assert_refused("{\"str\":\"\\u0080\"}", "str");
    assert_refused("{\"str\":\"\\u009f\"}", "str");
    assert_good("{\"str\":\"\\u00a0\"}");
    assert_refused("{\"str\":1}", "str");
    assert_refused("{\"str\":false}", "str");
    assert_refused("{\"str\":[\"a\"]}", "str");

    assert_good("{\"text\":\"a\\r\\n\\tb\"}");
    assert_text(values.text, "a\r\n\tb");
    assert_refused("{\"text\":\"\\b\"}", "text");
    assert_refused("{\"text\":\"\\f\"}", "text");
    assert_refused("{\"text\":\"\\u0085\"}", "text");

    assert_good("{\"key\":\"aZ09._:-\"}");
    assert_text(values.key, "aZ09._:-");
    assert_range("{\"key\":\"\"}", "key");
    assert_range("{\"key\":\"123456789\"}", "key");
    assert_refused("{\"key\":\"a b\"}", "key");
    assert_refused("{\"key\":\"a/b\"}", "key");
    assert_refused("{\"key\":\"\\u00e9\"}", "key");
    assert_refused("{\"key\":\"a\\n\"}", "key");
    assert_refused("{\"key\":7}", "key");

    /* bytes, not characters */
    assert_good("{\"secret\":\"\\u00e9\\u00e9\"}");
    assert_range("{\"secret\":\"\\u00e9\\u00e9a\"}", "secret");
    assert_range("{\"secret\":\"a\"}", "secret");
    assert_refused("{\"secret\":\"a\\nb\"}", "secret");
}


static void
test_id_bool(void **state)
{
    assert_good("{\"id\":1}");
    assert_int_equal(values.id, 1);
    assert_good("{\"id\":\"1\"}");
    assert_good("{\"id\":9223372036854775807}");
    assert_true(values.id == INT64_MAX);
    assert_good("{\"id\":\"9223372036854775807\"}");
    assert_true(values.id == INT64_MAX);
    assert_good("{\"id\":\"9007199254740993\"}");
    assert_true(values.id == 9007199254740993LL);

    assert_refused("{\"id\":0}", "id");
    assert_refused("{\"id\":\"0\"}", "id");
    assert_refused("{\"id\":-1}", "id");
    assert_refused("{\"id\":\"-1\"}", "id");
    assert_refused("{\"id\":\"007\"}", "id");
    assert_refused("{\"id\":\" 1\"}", "id");
    assert_refused("{\"id\":\"1 \"}", "id");
    assert_refused("{\"id\":\"+1\"}", "id");
    assert_refused("{\"id\":\"\"}", "id");
    assert_refused("{\"id\":\"1e3\"}", "id");
    assert_refused("{\"id\":1.5}", "id");
    assert_refused("{\"id\":1e3}", "id");
    assert_refused("{\"id\":9223372036854775808}", "id");
    assert_refused("{\"id\":\"9223372036854775808\"}", "id");
    assert_refused("{\"id\":\"99999999999999999999\"}", "id");
    assert_refused("{\"id\":true}", "id");
    assert_refused("{\"id\":[]}", "id");

    assert_good("{\"yes\":true}");
    assert_int_equal(values.yes, 1);
    assert_good("{\"yes\":false}");
    assert_int_equal(values.yes, 0);
    assert_int_equal(present, 1 << 4);
    assert_refused("{\"yes\":1}", "yes");
    assert_refused("{\"yes\":\"true\"}", "yes");
    assert_refused("{\"yes\":{}}", "yes");
}


static void
test_null_required(void **state)
{
    assert_good("{\"i\":null,\"str\":null,\"id\":5}");
    assert_int_equal(present, 1 << 2);
    assert_null(values.str.data);

    assert_int_equal(rush_field_required(body, unit_count(body), present,
                                         &error),
                     RUSH_ERROR);
    assert_ptr_equal(error.field, &body[0]);

    assert_good("{\"i\":0}");
    assert_int_equal(rush_field_required(body, unit_count(body), present,
                                         &error),
                     RUSH_OK);
}


static void
test_time_field(void **state)
{
    assert_good("{\"time\":\"2024-01-01T00:00:00Z\"}");
    assert_true(values.time == 1704067200000LL);
    assert_good("{\"time\":1704067200000}");
    assert_true(values.time == 1704067200000LL);
    assert_good("{\"time\":0}");
    assert_good("{\"time\":253402300799999}");

    assert_refused("{\"time\":\"1704067200000\"}", "time");
    assert_refused("{\"time\":253402300800000}", "time");
    assert_refused("{\"time\":-1}", "time");
    assert_refused("{\"time\":1.5}", "time");
    assert_refused("{\"time\":\"1969-12-31T23:59:59Z\"}", "time");
    assert_refused("{\"time\":\"2024-01-01\"}", "time");
    assert_refused("{\"time\":true}", "time");
}


static int
parse_query(const char *args)
{
    free(input);
    input = unit_copy(args, strlen(args));

    memset(&values, 0, sizeof(values_t));
    memset(&error, 0, sizeof(rush_field_error_t));
    present = 0;

    return rush_field_query(query, unit_count(query), &values, &present,
                            input, strlen(args), &error);
}


static void
test_query(void **state)
{
    size_t              i;
    static const char  *bad[] = {
        "i=6", "i=1.5", "i=01", "i=+1", "i=%2B1", "i=", "i", "i=1e3", "i=0x1",
        "i= 1", "i=1+", "i=-0", "i=--1", "i=-", "i=9223372036854775808",
        "i=1&i=1", "i=1&i=2", "i=1&%69=1", "id=0", "id=-1", "id=abc", "id=",
        "yes=yes", "yes=TRUE", "yes=2", "yes=", "yes",
        "str=%", "str=%4", "str=%zz", "str=%4g", "str=%00", "str=a%0ab",
        "str=%ff", "str=%c0%af", "str=%ed%a0%80", "str=123456789",
        "key=", "key=a%20b", "key=a+b", "key=a%2Fb",
        "time=2024-01-01T08:00:00+08:00", "time=soon", "time=-1",
        "time=253402300800000", "time="
    };

    assert_int_equal(parse_query(""), RUSH_OK);
    assert_int_equal(present, 0);
    assert_int_equal(rush_field_query(query, unit_count(query), &values,
                                      &present, NULL, 0, &error),
                     RUSH_OK);

    assert_int_equal(parse_query("i=-5&id=77&yes=1&str=%41+c%2b&key=a:1"),
                     RUSH_OK);
    assert_int_equal(values.i, -5);
    assert_int_equal(values.id, 77);
    assert_int_equal(values.yes, 1);
    assert_text(values.str, "A c+");
    assert_text(values.key, "a:1");
    assert_int_equal(present, 1|2|8|16|32);

    assert_int_equal(parse_query("&&i=1&&"), RUSH_OK);
    assert_int_equal(values.i, 1);
    assert_int_equal(parse_query("=&=1&x&x=1&x=2&I=9&text=%&%=1&%zz=1&i=2"),
                     RUSH_OK);
    assert_int_equal(values.i, 2);
    assert_int_equal(present, 1);

    assert_int_equal(parse_query("%73%74%72=a%3db=c"), RUSH_OK);
    assert_text(values.str, "a=b=c");
    assert_int_equal(parse_query("str"), RUSH_OK);
    assert_text(values.str, "");
    assert_int_equal(present, 16);
    assert_int_equal(parse_query("str=%e4%bd%a0"), RUSH_OK);
    assert_text(values.str, "\xe4\xbd\xa0");
    assert_int_equal(parse_query("yes=false"), RUSH_OK);
    assert_int_equal(parse_query("yes=0"), RUSH_OK);
    assert_int_equal(values.yes, 0);
    assert_int_equal(parse_query("time=1704067200000"), RUSH_OK);
    assert_int_equal(parse_query("time=2024-01-01T08:00:00%2B08:00"),
                     RUSH_OK);
    assert_true(values.time == 1704067200000LL);

    for (i = 0; i < unit_count(bad); i++) {
        assert_int_equal(parse_query(bad[i]), RUSH_ERROR);
        assert_non_null(error.field);
        assert_non_null(error.reason);
    }
}


static void
test_value(void **state)
{
    unsigned char  text[] = "42";

    present = 4;
    assert_int_equal(rush_field_value(query, 1, &values, &present, text, 2,
                                      &error),
                     RUSH_OK);
    assert_int_equal(values.id, 42);
    assert_int_equal(present, 4|2);

    assert_int_equal(rush_field_value(query, 0, &values, &present, text, 2,
                                      &error),
                     RUSH_ERROR);
    assert_true(error.range);
    assert_ptr_equal(error.field, &query[0]);
    assert_int_equal(present, 4|2);

    assert_int_equal(rush_field_value(query, 4, &values, &present, NULL, 0,
                                      &error),
                     RUSH_OK);
    assert_int_equal(values.str.len, 0);
    assert_non_null(values.str.data);

    assert_int_equal(rush_field_value(query, 1, &values, &present, NULL, 0,
                                      &error),
                     RUSH_ERROR);
}


static void
test_u63(void **state)
{
    size_t          i;
    int64_t         v;
    unsigned char  *p;
    static const struct {
        const char  *text;
        int64_t      value;
    } rows[] = {
        { "0", 0 }, { "9", 9 }, { "10", 10 }, { "2147483648", 2147483648LL },
        { "9007199254740993", 9007199254740993LL },
        { "9223372036854775807", INT64_MAX }, { "9223372036854775808", -1 },
        { "9999999999999999999", -1 }, { "10000000000000000000", -1 },
        { "18446744073709551617", -1 }, { "", -1 }, { "00", -1 }, { "01", -1 },
        { "-1", -1 }, { "+1", -1 }, { " 1", -1 }, { "1 ", -1 }, { "1.0", -1 },
        { "1e3", -1 }, { "0x1", -1 }, { "a", -1 }, { "1/", -1 }, { "1:", -1 },
        { "\xd9\xa1", -1 }
    };

    for (i = 0; i < unit_count(rows); i++) {
        p = unit_copy(rows[i].text, strlen(rows[i].text));
        v = -1;
        assert_int_equal(rush_parse_u63(p, strlen(rows[i].text), &v),
                         rows[i].value < 0 ? RUSH_ERROR : RUSH_OK);
        assert_true(v == rows[i].value);
        free(p);
    }
}


static int
free_input(void **state)
{
    free(input);
    input = NULL;

    return 0;
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_int),
        cmocka_unit_test(test_text_types),
        cmocka_unit_test(test_id_bool),
        cmocka_unit_test(test_null_required),
        cmocka_unit_test(test_time_field),
        cmocka_unit_test(test_query),
        cmocka_unit_test(test_value),
        cmocka_unit_test(test_u63)
    };

    return cmocka_run_group_tests_name("rush_field", tests, NULL, free_input);
}
