
/*
 * Copyright (C) Rush
 *
 * The JSON reader, through rush_field_body(): whatever is wrong with the
 * document as a whole names no row.
 */


#include "unit.h"
#include "rush_field.h"


typedef struct {
    int64_t     i;
    rush_str_t  str;
    rush_str_t  text;
} values_t;


#define ROW(name, type, place, max, member)                                   \
    { rush_string(name), type, place, 0, -max, max,                           \
      offsetof(values_t, member) }

static const rush_field_t  body[] = {
    ROW("i", RUSH_T_INT, RUSH_IN_BODY, 5, i),
    ROW("str", RUSH_T_STR, RUSH_IN_BODY, 4, str),
    ROW("text", RUSH_T_TEXT, RUSH_IN_BODY, 100, text),
    ROW("q", RUSH_T_INT, RUSH_IN_QUERY, 5, i)
};


static unsigned char       *input;      /* freed by the next parse */
static values_t             values;
static uint64_t             present;
static rush_field_error_t   error;


static int
parse_bytes(const char *json, size_t len)
{
    int  rc;

    free(input);
    input = unit_copy(json, len);

    memset(&values, 0, sizeof(values_t));
    memset(&error, 0, sizeof(rush_field_error_t));
    present = 0;

    rc = rush_field_body(body, unit_count(body), &values, &present, input,
                         len, &error);

    if (rc != RUSH_OK) {
        assert_int_equal(rc, RUSH_ERROR);
        assert_non_null(error.reason);
        assert_null(error.field);
    }

    return rc;
}


static void
assert_good(const char *json)
{
    if (parse_bytes(json, strlen(json)) != RUSH_OK) {
        fail_msg("refused: %s", json);
    }
}


static void
assert_bad(const char *json)
{
    if (parse_bytes(json, strlen(json)) != RUSH_ERROR) {
        fail_msg("accepted: %s", json);
    }
}


static void
test_number_grammar(void **state)
{
    size_t              i;
    char                json[64];
    static const char  *good[] = {
        "0", "-0", "1", "10", "0.1", "-0.1", "1.0", "1e1", "1E1", "1e+1",
        "1e-1", "0e0", "123.456e789", "1e400", "true", "false", "null",
        "\"\"", "[]", "{}", "[1]", "[1,2]", "[[],{}]", "{\"a\":1}",
        "[ ]", "{ }", "[ 1 , 2 ]", "{ \"a\" : 1 , \"b\" : 2 }"
    };
    static const char  *bad[] = {
        "007", "00", "01", "-01", "-", "+1", ".5", "1.", "1.e1", "1e", "1e+",
        "1E-", "0x1", "1_0", "1a", "--1", "1.2.3", "1e1.5", "NaN",
        "Infinity", "-Infinity", "True", "TRUE", "FALSE", "Null", "nul",
        "tru", "truex", "nulll", "undefined", "'a'", "[1,]", "[,1]", "[1 2]",
        "[1", "1]", "[", "]", "{", "}", "[}", "{]", "{\"a\"}", "{\"a\":}",
        "{\"a\":1,}", "{,}", "{\"a\" 1}", "{\"a\":1 \"b\":2}", "{a:1}",
        "{1:1}", "{'a':1}", "{null:1}", "/**/1", "1//", "#", "", " ", "\"",
        "\"a", "\"\\", "\"\\\"", "1,1", "1:1", "\xef\xbb\xbf" "1", "\f1",
        "\v1", "\xc2\xa0" "1"
    };

    for (i = 0; i < unit_count(good); i++) {
        snprintf(json, sizeof(json), "{\"other\":%s}", good[i]);
        assert_good(json);
        assert_int_equal(present, 0);
    }

    for (i = 0; i < unit_count(bad); i++) {
        snprintf(json, sizeof(json), "{\"other\":%s}", bad[i]);
        assert_bad(json);
    }
}


static void
test_document(void **state)
{
    size_t       i, n;
    static char  whole[] = "{\"str\":\"\\u00e9\\ud83d\\ude00\",\"i\":-1,"
                           "\"x\":[true,{\"y\":null}]}";

    assert_good("{}");
    assert_int_equal(present, 0);
    assert_good("\t\r\n {\n} \r\n");

    assert_bad("");
    assert_bad(" ");
    assert_bad("[]");
    assert_bad("1");
    assert_bad("null");
    assert_bad("\"{}\"");
    assert_bad("{}{}");
    assert_bad("{},");
    assert_bad("{}x");
    assert_bad("{} }");
    assert_bad("\xef\xbb\xbf{}");
    assert_bad("{\"i\":1}\n{\"i\":2}");
    assert_bad("i=1");

    assert_int_equal(parse_bytes("{}\0", 3), RUSH_ERROR);
    assert_int_equal(parse_bytes("\0{}", 3), RUSH_ERROR);
    assert_int_equal(parse_bytes("{\"i\":1\0}", 8), RUSH_ERROR);
    assert_int_equal(rush_field_body(body, unit_count(body), &values,
                                     &present, NULL, 0, &error),
                     RUSH_ERROR);

    /* no part of a document is one */
    n = strlen(whole);
    assert_int_equal(parse_bytes(whole, n), RUSH_OK);

    for (i = 0; i < n; i++) {
        assert_int_equal(parse_bytes(whole, i), RUSH_ERROR);
    }
}


static void
test_names(void **state)
{
    assert_good("{\"I\":9,\"Str\":1,\"TEXT\":-1}");
    assert_int_equal(present, 0);

    assert_good("{\"\\u0069\":3}");     /* a name is compared as decoded */
    assert_int_equal(values.i, 3);

    assert_good("{\"\":1,\"i\":1}");
    assert_good("{\"q\":\"not of the body\"}");
    assert_int_equal(present, 0);

    assert_bad("{\"i\":1,\"i\":1}");
    assert_bad("{\"i\":1,\"\\u0069\":1}");
    assert_bad("{\"i\":null,\"i\":1}");
    assert_bad("{\"\":1,\"\":2}");
    assert_bad("{\"x\":1,\"x\":1}");
    assert_bad("{\"o\":{\"x\":1,\"y\":2,\"x\":1}}");
    assert_bad("{\"o\":[{\"x\":1,\"x\":1}]}");

    /* names of one object only; the outer ones are not forgotten */
    assert_good("{\"o\":{\"x\":1},\"p\":{\"x\":1},\"x\":1}");
    assert_bad("{\"x\":1,\"o\":{\"x\":1,\"y\":{\"x\":1}},\"x\":1}");
    assert_bad("{\"o\":{\"x\":1},\"o\":{}}");

    /* "X" and "x" share a bit of the hash, so names are compared here */
    assert_good("{\"o\":{\"x\":1},\"X\":1,\"x\":1}");
    assert_good("{\"X\":1,\"x\":1,\"o\":{\"X\":1,\"x\":1}}");
    assert_bad("{\"X\":1,\"x\":1,\"X\":1}");
    assert_good("{\"ab\":1,\"ba\":1,\"a\":1,\"b\":1,\"aab\":1,\"abb\":1}");
}


static void check_names(int n, const char *value);


static void
test_limits(void **state)
{
    /* the object itself is the first level */
    assert_good("{\"a\":[[[[[[[]]]]]]]}");
    assert_bad("{\"a\":[[[[[[[[]]]]]]]]}");
    assert_good("{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{}}}}}}}}");
    assert_bad("{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{}"
               "}}}}}}}}");

    /* names are counted over all levels */
    check_names(RUSH_JSON_MAX_KEYS, "1");
    check_names(RUSH_JSON_MAX_KEYS / 2, "{\"x\":1}");
}


/* an object of n such members is good, one more name is too many */

static void
check_names(int n, const char *value)
{
    int     i;
    char    json[1024];
    size_t  len;

    for (i = 0, len = 0; i < n; i++) {
        len += (size_t) snprintf(json + len, sizeof(json) - len,
                                 "%c\"k%d\":%s", i ? ',' : '{', i, value);
    }

    snprintf(json + len, sizeof(json) - len, "}");
    assert_good(json);

    snprintf(json + len, sizeof(json) - len, ",\"last\":1}");
    assert_bad(json);
}


/* {a JSON string, its decoded bytes or NULL}; RFC 8259, section 7 and 8 */

static const struct {
    const char  *json;
    const char  *out;
} strings[] = {
    { "", "" },
    { "plain", "plain" },
    { "12345678", "12345678" },
    { "1234567890abcdef", "1234567890abcdef" },
    { "\\\"\\\\\\/", "\"\\/" },
    { "a\\nb\\rc\\td", "a\nb\rc\td" },
    { "\\u0041\\u00e9\\u4F60\\u4f60", "A\xc3\xa9\xe4\xbd\xa0\xe4\xbd\xa0" },
    { "\\u07ff\\u0800\\uffff", "\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf" },
    { "\\ud83d\\ude00", "\xf0\x9f\x98\x80" },
    { "\\uD834\\uDD1E", "\xf0\x9d\x84\x9e" },      /* RFC 8259, section 7 */
    { "\\ud800\\udc00", "\xf0\x90\x80\x80" },
    { "\\udbff\\udfff", "\xf4\x8f\xbf\xbf" },
    { "\\ud83d\\ude00x\\n\xe4\xbd\xa0y", "\xf0\x9f\x98\x80x\n"
      "\xe4\xbd\xa0y" },
    { "\xc2\xa0\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80",
      "\xc2\xa0\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80" },
    { "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf" },
    { "\xef\xbf\xbe\xef\xbb\xbf", "\xef\xbf\xbe\xef\xbb\xbf" },

    { "\\u0000", NULL },
    { "a\\u0000b", NULL },
    { "\\ud800", NULL },
    { "\\udbff", NULL },
    { "\\udc00", NULL },
    { "\\udfff", NULL },
    { "\\ud83dx", NULL },
    { "\\ud83d\\n", NULL },
    { "\\ud83d\\u", NULL },
    { "\\ud83d\\ude0", NULL },
    { "\\ud83d\\u0041", NULL },
    { "\\ud83d\\ud83d", NULL },
    { "\\ude00\\ud83d", NULL },
    { "\\u", NULL },
    { "\\u00", NULL },
    { "\\u00g0", NULL },
    { "\\u 041", NULL },
    { "\\u+041", NULL },
    { "\\U0041", NULL },
    { "\\x41", NULL },
    { "\\a", NULL },
    { "\\'", NULL },
    { "\\0", NULL },
    { "\\ ", NULL },
    { "\n", NULL },
    { "a\tb", NULL },
    { "12345678\r", NULL },
    { "\x1f", NULL },
    { "\x01", NULL },
    { "\x80", NULL },
    { "\xbf", NULL },
    { "\xc0\xaf", NULL },               /* overlong "/" */
    { "\xc1\xbf", NULL },
    { "\xe0\x80\xaf", NULL },
    { "\xe0\x9f\xbf", NULL },
    { "\xf0\x80\x80\xaf", NULL },
    { "\xf0\x8f\xbf\xbf", NULL },
    { "\xc0\x80", NULL },               /* overlong NUL */
    { "\xed\xa0\x80", NULL },           /* surrogates */
    { "\xed\xbf\xbf", NULL },
    { "\xed\xa0\xbd\xed\xb8\x80", NULL },
    { "\xf4\x90\x80\x80", NULL },       /* above U+10FFFF */
    { "\xf5\x80\x80\x80", NULL },
    { "\xfe", NULL },
    { "\xff", NULL },
    { "\xc3", NULL },
    { "\xe4\xbd", NULL },
    { "\xf0\x9f\x98", NULL },
    { "\xe4\xbd\xa0\xe5\xa5", NULL },
    { "\xc3\xc3\xa9", NULL },
    { "caf\xe9", NULL }                 /* Latin-1 */
};


static void
test_strings(void **state)
{
    size_t  i, n;
    char    json[128];

    for (i = 0; i < unit_count(strings); i++) {
        snprintf(json, sizeof(json), "{\"text\":\"%s\",\"i\":1}",
                 strings[i].json);

        if (strings[i].out == NULL) {
            assert_bad(json);
            continue;
        }

        assert_good(json);
        assert_int_equal(values.i, 1);

        n = strlen(strings[i].out);
        assert_int_equal(values.text.len, n);
        assert_memory_equal(values.text.data, strings[i].out, n);
    }

    /* a name and a skipped value obey the same rules */
    assert_bad("{\"\xff\":1}");
    assert_bad("{\"\\u0000\":1}");
    assert_bad("{\"x\":[\"\\ud800\"]}");
    assert_int_equal(parse_bytes("{\"x\":\"a\0b\"}", 11), RUSH_ERROR);
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
        cmocka_unit_test(test_number_grammar),
        cmocka_unit_test(test_document),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_strings)
    };

    return cmocka_run_group_tests_name("rush_json", tests, NULL, free_input);
}
