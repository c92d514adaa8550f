
/*
 * Copyright (C) Rush
 */


#include "unit.h"
#include "rush_list.h"


typedef struct {
    rush_str_t  ids;
    rush_str_t  names;
} values_t;


static const rush_field_t  rows[] = {
    { rush_string("ids"), RUSH_T_LIST, RUSH_IN_BODY, 0, 1, 3,
      offsetof(values_t, ids) },
    { rush_string("names"), RUSH_T_LIST, RUSH_IN_BODY, 0, 0, 40,
      offsetof(values_t, names) },
    { rush_string("ids"), RUSH_T_LIST, RUSH_IN_QUERY, 0, 1, 3,
      offsetof(values_t, ids) }
};


static values_t            values;
static uint64_t            present;
static rush_field_error_t  error;


/* NULL, or what is wrong; *input must be freed after a look at the values */

static const char *
parse(const char *json, unsigned char **input)
{
    int  rc;

    *input = unit_copy(json, strlen(json));

    memset(&values, 0, sizeof(values_t));
    memset(&error, 0, sizeof(rush_field_error_t));
    present = 0;

    rc = rush_field_body(rows, unit_count(rows), &values, &present, *input,
                         strlen(json), &error);

    return rc == RUSH_OK ? NULL : error.reason;
}


static const struct {
    const char  *json;
    const char  *list;                  /* NULL: refused */
} arrays[] = {
    { "{\"ids\":[1]}", "1" }, { "{\"ids\":[1,2,3]}", "1,2,3" },
    { "{\"ids\":[\"1\",\"22\",333]}", "1,22,333" },
    { " {\"ids\" :\r\n [ 1 ,\t\"a.b_c:d-e\" ] } ", "1,a.b_c:d-e" },
    { "{\"ids\":[\"\\u0031\\u0032\",\"\\u0033\"]}", "12,3" },
    { "{\"ids\":[9223372036854775808,-1]}", "9223372036854775808,-1" },
    { "{\"ids\":[\"0123456789012345678901234567890123456789"
      "012345678901234567890123\"]}",
      "0123456789012345678901234567890123456789012345678901234567890123" },
    { "{\"ids\":[\"0123456789012345678901234567890123456789"
      "0123456789012345678901234\"]}", NULL },

    { "{\"ids\":[]}", NULL }, { "{\"ids\":[1,2,3,4]}", NULL },
    { "{\"ids\":1}", NULL }, { "{\"ids\":\"1\"}", NULL },
    { "{\"ids\":\"1,2\"}", NULL }, { "{\"ids\":{}}", NULL },
    { "{\"ids\":true}", NULL }, { "{\"ids\":[\"1,2\"]}", NULL },
    { "{\"ids\":[\"\"]}", NULL }, { "{\"ids\":[\" 1\"]}", NULL },
    { "{\"ids\":[\"a b\"]}", NULL }, { "{\"ids\":[\"\\u0000\"]}", NULL },
    { "{\"ids\":[\"\xc3\xa9\"]}", NULL }, { "{\"ids\":[null]}", NULL },
    { "{\"ids\":[true]}", NULL }, { "{\"ids\":[[1]]}", NULL },
    { "{\"ids\":[{\"a\":1}]}", NULL }, { "{\"ids\":[1,]}", NULL },
    { "{\"ids\":[,1]}", NULL }, { "{\"ids\":[1", NULL },
    { "{\"ids\":[1}", NULL }, { "{\"ids\":[01]}", NULL },
    { "{\"ids\":[1e5+]}", NULL }, { "{\"ids\":[1],\"ids\":[1]}", NULL }
};


static void
test_arrays(void **state)
{
    size_t          i;
    const char     *reason;
    unsigned char  *input;

    for (i = 0; i < unit_count(arrays); i++) {
        reason = parse(arrays[i].json, &input);

        if (arrays[i].list == NULL) {
            if (reason == NULL) {
                fail_msg("accepted: %s", arrays[i].json);
            }

        } else if (reason != NULL || present != 1
                   || values.ids.len != strlen(arrays[i].list)
                   || memcmp(values.ids.data, arrays[i].list, values.ids.len)
                      != 0)
        {
            fail_msg("%s: %s", arrays[i].json, reason ? reason : "other");
        }

        free(input);
    }
}


/* what stands behind a list is read as it was written */

static void
test_neighbours(void **state)
{
    unsigned char  *input;

    assert_null(parse("{\"x\":[[1],{}],\"names\":[],\"y\":{\"names\":[1]},"
                      "\"ids\":[\"\\u0061\",2],\"z\":\"\\u0062\"}", &input));
    assert_true(present == 3 && values.names.len == 0
                && values.names.data != NULL);
    assert_true(values.ids.len == 3
                && memcmp(values.ids.data, "a,2", 3) == 0);
    free(input);

    assert_null(parse("{\"ids\":null}", &input));
    assert_true(present == 0);
    free(input);

    assert_string_equal(parse("{\"ids\":[1,2,3,4]}", &input),
                        "has a wrong length");
    assert_true(error.range && error.field == &rows[0]);
    free(input);

    assert_non_null(parse("{\"ids\":[1,\"\\ud800\"]}", &input));
    assert_null(error.field);           /* the body itself is broken */
    free(input);
}


static void
test_query(void **state)
{
    int             rc;
    size_t          i;
    unsigned char  *input;

    static const struct {
        const char  *args;
        int          good;
    } queries[] = {
        { "ids=1", 1 }, { "ids=1,2,3", 1 }, { "ids=a%2Cb", 1 },
        { "ids=", 0 }, { "ids=,", 0 }, { "ids=1,", 0 }, { "ids=,1", 0 },
        { "ids=1,,2", 0 }, { "ids=1,2,3,4", 0 }, { "ids=1+2", 0 },
        { "ids=1&ids=2", 0 }
    };

    for (i = 0; i < unit_count(queries); i++) {
        input = unit_copy(queries[i].args, strlen(queries[i].args));
        memset(&values, 0, sizeof(values_t));
        present = 0;

        rc = rush_field_query(rows, unit_count(rows), &values, &present,
                              input, strlen(queries[i].args), &error);

        if ((rc == RUSH_OK) != queries[i].good) {
            fail_msg("%s", queries[i].args);
        }

        free(input);
    }
}


static void
test_next(void **state)
{
    rush_str_t  list = rush_string("a,bb,ccc"), member;

    assert_int_equal(rush_list_next(&list, &member), 1);
    assert_true(member.len == 1 && member.data[0] == 'a');
    assert_int_equal(rush_list_next(&list, &member), 1);
    assert_true(member.len == 2 && member.data[1] == 'b');
    assert_int_equal(rush_list_next(&list, &member), 1);
    assert_true(member.len == 3 && member.data[2] == 'c');
    assert_int_equal(rush_list_next(&list, &member), 0);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_arrays),
        cmocka_unit_test(test_neighbours),
        cmocka_unit_test(test_query),
        cmocka_unit_test(test_next)
    };

    return cmocka_run_group_tests_name("rush_list", tests, NULL, NULL);
}
