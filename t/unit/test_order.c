
/*
 * Copyright (C) Rush
 */


#include "unit.h"
#include "rush_order.h"


#define CODES     20000
#define ALPHABET  "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"


static int
compare(const void *a, const void *b)
{
    return memcmp(a, b, RUSH_TRADE_LEN);
}


/*
 * 160000 letters: 5000 each are expected, with a deviation of 70; six of them
 * either way are passed once in 10^9 runs.  Among 20000 codes of 2^40 two are
 * equal once in 5000 runs; three pairs never are.
 */

static void
test_trade_code(void **state)
{
    size_t                i, k, same, count[sizeof(ALPHABET) - 1];
    const char           *p;
    static unsigned char  codes[CODES][RUSH_TRADE_LEN];

    memset(count, 0, sizeof(count));

    for (i = 0; i < CODES; i++) {
        assert_int_equal(rush_trade_code(codes[i]), RUSH_OK);

        for (k = 0; k < RUSH_TRADE_LEN; k++) {
            p = memchr(ALPHABET, codes[i][k], sizeof(ALPHABET) - 1);
            assert_non_null(p);
            count[p - ALPHABET]++;
        }
    }

    for (i = 0; i < sizeof(count) / sizeof(count[0]); i++) {
        assert_in_range(count[i], 5000 - 420, 5000 + 420);
    }

    qsort(codes, CODES, RUSH_TRADE_LEN, compare);
    same = 0;

    for (i = 1; i < CODES; i++) {
        same += compare(codes[i - 1], codes[i]) == 0;
    }

    assert_in_range(same, 0, 2);
}


static void
test_trade_code_read(void **state)
{
    size_t         i;
    unsigned char  code[RUSH_TRADE_LEN];

    static const struct {
        const char  *text;
        const char  *code;              /* NULL: none */
    } rows[] = {
        { "ABCD2345", "ABCD2345" },
        { "abcd2345", "ABCD2345" },
        { "abcd-2345", "ABCD2345" },
        { " AbCd 23-45 ", "ABCD2345" },
        { "ABCD234", NULL },
        { "ABCD23456", NULL },
        { "ABCD2340", NULL },
        { "ABCD2341", NULL },
        { "IBCD2345", NULL },
        { "OBCD2345", NULL },
        { "ABCD_345", NULL },
        { "ABCD\xc3\xa4""34", NULL },
        { "--------", NULL },
        { "", NULL }
    };

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {

        if (rows[i].code == NULL) {
            assert_int_equal(rush_trade_code_read(code,
                                          (unsigned char *) rows[i].text,
                                          strlen(rows[i].text)),
                             RUSH_ERROR);
            continue;
        }

        assert_int_equal(rush_trade_code_read(code,
                                              (unsigned char *) rows[i].text,
                                              strlen(rows[i].text)),
                         RUSH_OK);
        assert_memory_equal(code, rows[i].code, RUSH_TRADE_LEN);
    }

    assert_int_equal(rush_trade_code_read(code, (unsigned char *) "ABCD\0345",
                                          8), RUSH_ERROR);
}


static void
test_edges(void **state)
{
    int  from, to, n;

    assert_int_equal(rush_order_may(RUSH_ORDER_TO_PAY, RUSH_ORDER_PAID),
                     RUSH_BY_PROVIDER);
    assert_int_equal(rush_order_may(RUSH_ORDER_SHIPPED, RUSH_ORDER_DONE),
                     RUSH_BY_USER|RUSH_BY_ADMIN|RUSH_BY_SYSTEM);
    assert_int_equal(rush_order_may(RUSH_ORDER_PAID, RUSH_ORDER_TO_PAY), 0);
    assert_int_equal(rush_order_may(-1, 1), 0);

    n = 0;

    for (from = 0; from < RUSH_ORDER_NSTATES; from++) {
        assert_int_equal(rush_order_may(from, from), 0);
        assert_int_equal(rush_order_may(from, RUSH_ORDER_REJECTED), 0);
        assert_int_equal(rush_order_may(RUSH_ORDER_REFUNDED, from), 0);

        for (to = 0; to < RUSH_ORDER_NSTATES; to++) {
            n += rush_order_may(from, to) != 0;
        }
    }

    assert_int_equal(n, 14);
    assert_string_equal(rush_order_states[RUSH_ORDER_TO_PAY], "to_pay");
    assert_string_equal(rush_order_states[RUSH_ORDER_REJECTED], "rejected");
    assert_string_equal(rush_order_actors[RUSH_ACTOR_PROVIDER], "provider");
    assert_string_equal(rush_order_actors[RUSH_ACTOR_USER], "user");
}


/* each part of a request counts */

static void
test_hash(void **state)
{
    int64_t            h;
    static rush_str_t  none = rush_string("");
    static rush_str_t  a = rush_string("a");
    static rush_str_t  b = rush_string("b");

    h = rush_order_hash(7, 1, 5, &a);

    assert_true(h >= 0);
    assert_true(h == rush_order_hash(7, 1, 5, &a));
    assert_true(h != rush_order_hash(8, 1, 5, &a));
    assert_true(h != rush_order_hash(7, 2, 5, &a));
    assert_true(h != rush_order_hash(7, 1, 6, &a));
    assert_true(h != rush_order_hash(7, 1, 5, &b));
    assert_true(h != rush_order_hash(7, 1, 5, &none));
    assert_true(rush_order_hash(1, 7, 5, &a)
                != rush_order_hash(7, 1, 5, &a));
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_trade_code),
        cmocka_unit_test(test_trade_code_read),
        cmocka_unit_test(test_edges),
        cmocka_unit_test(test_hash)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
