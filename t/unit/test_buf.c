
/*
 * Copyright (C) Rush
 */


#include "unit.h"
#include "rush_buf.h"


static void
assert_buf(rush_buf_t *b, const char *text)
{
    assert_false(b->failed);
    rush_buf_add(b, "", 1);
    assert_string_equal((char *) b->data, text);
    b->len--;
}


static void
test_add(void **state)
{
    int         i;
    rush_buf_t  b;

    memset(&b, 0, sizeof(rush_buf_t));

    rush_buf_add(&b, NULL, 0);
    assert_int_equal(b.len, 0);

    for (i = 0; i < 10000; i++) {
        rush_buf_puts(&b, "0123456789");
    }

    assert_false(b.failed);
    assert_int_equal(b.len, 100000);
    assert_memory_equal(b.data + 99990, "0123456789", 10);

    rush_buf_reset(&b);
    assert_int_equal(b.len, 0);
    assert_non_null(b.data);

    rush_buf_free(&b);
    assert_null(b.data);
    assert_int_equal(b.size, 0);
}


static void
test_printf(void **state)
{
    int         i;
    rush_buf_t  b;

    memset(&b, 0, sizeof(rush_buf_t));

    rush_buf_printf(&b, "%s=%d;", "a", 1);
    assert_buf(&b, "a=1;");

    rush_buf_printf(&b, "%s", "");
    assert_buf(&b, "a=1;");

    for (i = 0; i < 400; i++) {         /* crosses every size on its way */
        rush_buf_printf(&b, "%03d", i);
    }

    assert_int_equal(b.len, 4 + 1200);
    assert_memory_equal(b.data + b.len - 6, "398399", 6);

    rush_buf_printf(&b, "%5000s", "x");
    assert_int_equal(b.len, 4 + 1200 + 5000);
    assert_int_equal(b.data[b.len - 1], 'x');

    rush_buf_free(&b);
}


static void
test_failed(void **state)
{
    rush_buf_t  b;

    memset(&b, 0, sizeof(rush_buf_t));

    rush_buf_puts(&b, "kept");
    rush_buf_add(&b, "x", SIZE_MAX / 2);    /* no such memory */
    assert_true(b.failed);

    rush_json_open(&b, NULL, '{');
    rush_json_time(&b, "t", 1);
    rush_json_text(&b, "k", "v");
    rush_buf_printf(&b, "%d", 1);
    assert_int_equal(b.len, 4);

    rush_buf_reset(&b);
    assert_false(b.failed);
    rush_json_int(&b, NULL, 1);
    assert_buf(&b, "1");

    rush_buf_free(&b);
}


static void
test_commas(void **state)
{
    rush_buf_t  b;
    rush_str_t  s = rush_string("text");

    memset(&b, 0, sizeof(rush_buf_t));

    rush_json_open(&b, NULL, '{');
    rush_json_int(&b, "code", 0);
    rush_json_text(&b, "message", "ok");
    rush_json_open(&b, "data", '{');
    rush_json_open(&b, "empty", '[');
    rush_json_close(&b, ']');
    rush_json_open(&b, "none", '{');
    rush_json_close(&b, '}');
    rush_json_open(&b, "rows", '[');
    rush_json_open(&b, NULL, '{');
    rush_json_id(&b, "id", INT64_MAX);
    rush_json_bool(&b, "yes", 1);
    rush_json_bool(&b, "no", 0);
    rush_json_close(&b, '}');
    rush_json_open(&b, NULL, '{');
    rush_json_null(&b, "null");
    rush_json_str(&b, "s", &s);
    rush_json_close(&b, '}');
    rush_json_int(&b, NULL, -5);
    rush_json_str(&b, NULL, NULL);
    rush_json_text(&b, NULL, NULL);
    rush_json_raw(&b, NULL, "{\"x\":1}", 7);
    rush_json_raw(&b, NULL, "[]", 2);
    rush_json_close(&b, ']');
    rush_json_close(&b, '}');
    rush_json_text(&b, "tail", "{");
    rush_json_text(&b, "end", ",");
    rush_buf_puts(&b, ",\"by hand\":");
    rush_json_int(&b, NULL, 1);
    rush_json_close(&b, '}');

    assert_buf(&b, "{\"code\":0,\"message\":\"ok\",\"data\":{\"empty\":[],"
                   "\"none\":{},\"rows\":[{\"id\":\"9223372036854775807\","
                   "\"yes\":true,\"no\":false},{\"null\":null,"
                   "\"s\":\"text\"},-5,null,null,{\"x\":1},[]]},"
                   "\"tail\":\"{\",\"end\":\",\",\"by hand\":1}");
    rush_buf_free(&b);
}


static void
test_numbers(void **state)
{
    rush_buf_t  b;

    memset(&b, 0, sizeof(rush_buf_t));

    rush_json_open(&b, NULL, '[');
    rush_json_int(&b, NULL, 0);
    rush_json_int(&b, NULL, INT64_MAX);
    rush_json_int(&b, NULL, INT64_MIN);
    rush_json_id(&b, NULL, 0);
    rush_json_id(&b, NULL, INT64_MIN);
    rush_json_id(&b, NULL, 9007199254740993LL);
    rush_json_close(&b, ']');

    assert_buf(&b, "[0,9223372036854775807,-9223372036854775808,\"0\","
                   "\"-9223372036854775808\",\"9007199254740993\"]");
    rush_buf_free(&b);
}


static void
test_times(void **state)
{
    rush_buf_t  b;

    memset(&b, 0, sizeof(rush_buf_t));

    rush_json_open(&b, NULL, '[');
    rush_json_time(&b, NULL, 0);
    rush_json_time(&b, NULL, 1);
    rush_json_time(&b, NULL, -1);
    rush_json_time(&b, NULL, 1709164800999LL);
    rush_json_close(&b, ']');

    assert_buf(&b, "[null,\"1970-01-01T00:00:00.001Z\","
                   "\"1969-12-31T23:59:59.999Z\","
                   "\"2024-02-29T00:00:00.999Z\"]");
    rush_buf_free(&b);
}


/* {what goes in, what comes out between the quotes}; RFC 8259, section 7 */

static const struct {
    rush_str_t    in;
    const char   *out;
} escapes[] = {
    { rush_string(""), "" },
    { rush_string("plain"), "plain" },
    { rush_string("\"\\/"), "\\\"\\\\/" },
    { rush_string("\b\f\n\r\t"), "\\u0008\\u000c\\n\\r\\t" },
    { rush_string("\0\x1f\x7f"), "\\u0000\\u001f\x7f" },
    { rush_string("1234567\"89012345\\"), "1234567\\\"89012345\\\\" },
    { rush_string("\xe4\xbd\xa0\xe5\xa5\xbd"), "\xe4\xbd\xa0\xe5\xa5\xbd" },
    { rush_string("\xf0\x9f\x98\x80"), "\xf0\x9f\x98\x80" },
    { rush_string("\xef\xbf\xbf"), "\xef\xbf\xbf" },
    { rush_string("a\xffz"), "a\xef\xbf\xbdz" },
    { rush_string("\xc0\xaf"), "\xef\xbf\xbd\xef\xbf\xbd" },
    { rush_string("\xed\xa0\x80"),
      "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
    { rush_string("cut\xe4\xbd"), "cut\xef\xbf\xbd\xef\xbf\xbd" },
    { rush_string("12345678\xe4"), "12345678\xef\xbf\xbd" }
};


static void
test_escapes(void **state)
{
    char         out[256];
    size_t       i;
    rush_buf_t   b;
    rush_str_t   s;

    for (i = 0; i < unit_count(escapes); i++) {
        memset(&b, 0, sizeof(rush_buf_t));

        s.data = unit_copy(escapes[i].in.data, escapes[i].in.len);
        s.len = escapes[i].in.len;

        rush_json_str(&b, NULL, &s);
        snprintf(out, sizeof(out), "\"%s\"", escapes[i].out);
        assert_buf(&b, out);

        rush_buf_free(&b);
        free(s.data);
    }
}


static void
test_long_escapes(void **state)
{
    size_t      i;
    rush_buf_t  b;
    rush_str_t  s;

    memset(&b, 0, sizeof(rush_buf_t));

    s.len = 5000;
    s.data = malloc(s.len);
    assert_non_null(s.data);
    memset(s.data, 1, s.len);

    rush_json_str(&b, "k", &s);
    assert_false(b.failed);
    assert_int_equal(b.len, 4 + 2 + 6 * s.len);

    for (i = 5; i < b.len - 1; i += 6) {
        assert_memory_equal(b.data + i, "\\u0001", 6);
    }

    rush_buf_free(&b);
    free(s.data);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_add),
        cmocka_unit_test(test_printf),
        cmocka_unit_test(test_failed),
        cmocka_unit_test(test_commas),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_escapes),
        cmocka_unit_test(test_long_escapes)
    };

    return cmocka_run_group_tests_name("rush_buf", tests, NULL, NULL);
}
