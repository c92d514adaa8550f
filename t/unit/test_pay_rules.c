
/*
 * Copyright (C) Rush
 *
 * Rules of refunds, of late payments, of times: each row of a table is a
 * case.
 */


#include "unit.h"

#include "pay_int.h"
#include "rush_order.h"


static void
ours_of(rush_pay_ours_t *ours)
{
    memset(ours, 0, sizeof(rush_pay_ours_t));

    ours->known = 1;
    ours->app = unit_str("wx1");
    ours->merchant = unit_str("19");
}


typedef struct {
    const char      *name;
    rush_return_e    says;
    const char      *merchant;
    const char      *currency;
    int64_t          amount;
    int64_t          all;
    int64_t          state;             /* -1: there is none */
    int64_t          reserved;
    rush_did_e       did;
    const char      *cause;
} refund_case_t;

#define DONE        RUSH_RETURN_DONE
#define FAILED      RUSH_RETURN_FAILED
#define PROCESSING  RUSH_RETURN_PROCESSING

static const refund_case_t  refunds[] = {

    { "says nothing", RUSH_RETURN_OTHER, "19", "", 50, -1, 2, 1,
      RUSH_DID_NOTHING, "" },
    { "no row", DONE, "19", "", 50, -1, -1, 0, RUSH_DID_MISS,
      "no such refund" },
    { "requested", DONE, "19", "", 50, -1, 0, 0, RUSH_DID_DOUBT,
      "nobody has approved it" },
    { "approved, not reserved", DONE, "19", "", 50, -1, 1, 0, RUSH_DID_DOUBT,
      "nobody has approved it" },
    { "approved", DONE, "19", "", 50, -1, 1, 1, RUSH_DID_REFUNDED, "" },
    { "sending", DONE, "19", "", 50, -1, 2, 1, RUSH_DID_REFUNDED, "" },
    { "processing", DONE, "19", "", 50, -1, 3, 1, RUSH_DID_REFUNDED, "" },
    { "done", DONE, "19", "", 50, -1, 4, 1, RUSH_DID_KNOW, "" },
    { "rejected", DONE, "19", "", 50, -1, 5, 0, RUSH_DID_DOUBT,
      "nobody has approved it" },
    { "failed, and then done", DONE, "19", "", 50, -1, 6, 1,
      RUSH_DID_REFUNDED, "" },
    { "failed for its sum, and done", DONE, "19", "", 50, -1, 6, 0,
      RUSH_DID_DOUBT, "nobody has approved it" },

    { "fails", FAILED, "19", "", 50, -1, 2, 1, RUSH_DID_FAIL, "" },
    { "fails while processing", FAILED, "19", "", 50, -1, 3, 1,
      RUSH_DID_FAIL, "" },
    { "fails again", FAILED, "19", "", 50, -1, 6, 1, RUSH_DID_KNOW, "" },
    { "fails after it was done", FAILED, "19", "", 50, -1, 4, 1,
      RUSH_DID_DOUBT, "failed after it was done" },
    { "fails, not approved", FAILED, "19", "", 50, -1, 0, 0, RUSH_DID_DOUBT,
      "nobody has approved it" },

    { "goes on", PROCESSING, "19", "", 50, -1, 2, 1, RUSH_DID_PROGRESS, "" },
    { "goes on, known", PROCESSING, "19", "", 50, -1, 3, 1, RUSH_DID_KNOW,
      "" },
    { "goes on after its end", PROCESSING, "19", "", 50, -1, 4, 1,
      RUSH_DID_KNOW, "" },
    { "goes on after it failed", PROCESSING, "19", "", 50, -1, 6, 1,
      RUSH_DID_KNOW, "" },

    { "another merchant", DONE, "20", "", 50, -1, 2, 1, RUSH_DID_DOUBT,
      "merchant" },
    { "no merchant", DONE, "", "", 50, -1, 2, 1, RUSH_DID_REFUNDED, "" },
    { "dollars", DONE, "19", "USD", 50, -1, 2, 1, RUSH_DID_DOUBT,
      "currency" },
    { "yuan", DONE, "19", "CNY", 50, -1, 2, 1, RUSH_DID_REFUNDED, "" },
    { "another amount", DONE, "19", "", 51, -1, 2, 1, RUSH_DID_DOUBT,
      "amount" },
    { "less", DONE, "19", "", 49, -1, 2, 1, RUSH_DID_DOUBT, "amount" },
    { "the sum of all", DONE, "19", "", -1, 50, 2, 1, RUSH_DID_REFUNDED, "" },
    { "the sum of more", DONE, "19", "", -1, 80, 2, 1, RUSH_DID_REFUNDED,
      "" },
    { "the sum of less", DONE, "19", "", -1, 49, 2, 1, RUSH_DID_DOUBT,
      "amount" },
};


static void
test_refund_cases(void **state)
{
    size_t                i;
    rush_did_e            did;
    const char           *cause;
    rush_pay_ours_t       ours;
    rush_refund_row_t     row;
    rush_refund_facts_t   f;
    const refund_case_t  *c;

    ours_of(&ours);

    for (i = 0; i < sizeof(refunds) / sizeof(refund_case_t); i++) {
        c = &refunds[i];

        memset(&f, 0, sizeof(rush_refund_facts_t));
        memset(&row, 0, sizeof(rush_refund_row_t));

        f.provider = RUSH_PROVIDER_WECHAT;
        f.says = c->says;
        f.merchant = unit_str(c->merchant);
        f.currency = unit_str(c->currency);
        f.amount = c->amount;
        f.all = c->all;

        if (c->state != -1) {
            row.id = 5;
            row.provider = RUSH_PROVIDER_WECHAT;
            row.amount = 50;
            row.state = c->state;
            row.reserved = c->reserved;
        }

        did = rush_refund_decide(&f, &row, &ours, &cause);

        if (did != c->did || strcmp(cause, c->cause) != 0) {
            print_error("\"%s\": %d \"%s\"\n", c->name, did, cause);
        }

        assert_int_equal(did, c->did);
        assert_string_equal(cause, c->cause);

        f.provider = RUSH_PROVIDER_SANDBOX;
        did = rush_refund_decide(&f, &row, &ours, &cause);
        assert_true(did != RUSH_DID_REFUNDED && did != RUSH_DID_FAIL);
    }
}


typedef struct {
    int64_t          amount;            /* of the refund; 100 were paid */
    int64_t          refunded;
    int64_t          state;             /* of the payment */
    int64_t          status;
    int64_t          stock;
    int              own;               /* this payment paid the order */
    const char      *cause;
    unsigned         whole;
    unsigned         units;
} reserve_case_t;

static const reserve_case_t  reserves[] = {
    { 100, 0, 2, 2, 4, 1, "", 1, 1 },
    { 100, 0, 2, 3, 4, 1, "", 1, 0 },       /* shipped: units are gone */
    { 100, 0, 2, 4, 4, 1, "", 1, 0 },
    { 100, 0, 2, 8, 3, 1, "", 1, 0 },
    { 100, 0, 2, 8, 4, 1, "", 1, 0 },
    { 100, 0, 2, 6, 4, 1, "", 0, 0 },
    { 99, 0, 2, 2, 4, 1, "", 0, 0 },        /* a part */
    { 40, 60, 2, 2, 4, 1, "", 1, 1 },       /* the rest of it */
    { 41, 60, 2, 2, 4, 1, "sum", 0, 0 },
    { 101, 0, 2, 2, 4, 1, "sum", 0, 0 },
    { 1, 100, 2, 7, 3, 1, "sum", 0, 0 },
    { INT64_MAX, 1, 2, 2, 4, 1, "sum", 0, 0 },
    { 100, 0, 2, 2, 4, 0, "", 0, 0 },       /* not the order's payment */
    { 100, 0, 1, 1, 0, 1, "state", 0, 0 },
    { 100, 0, 6, 5, 3, 1, "state", 0, 0 },
    { 100, 100, 7, 5, 3, 1, "state", 0, 0 },
};


static void
test_reserve(void **state)
{
    size_t                 i;
    unsigned               whole, units;
    const char            *cause;
    rush_pay_row_t         payment;
    rush_pay_order_t       order;
    rush_refund_row_t      refund;
    const reserve_case_t  *c;

    for (i = 0; i < sizeof(reserves) / sizeof(reserve_case_t); i++) {
        c = &reserves[i];

        memset(&payment, 0, sizeof(rush_pay_row_t));
        memset(&order, 0, sizeof(rush_pay_order_t));
        memset(&refund, 0, sizeof(rush_refund_row_t));

        refund.id = 5;
        refund.amount = c->amount;
        payment.id = 77;
        payment.amount = 100;
        payment.refunded = c->refunded;
        payment.state = c->state;
        order.order_no = unit_str("1-0");
        order.status = c->status;
        order.stock_state = c->stock;
        order.payment = c->own ? 77 : 78;

        cause = rush_reserve_decide(&refund, &payment, &order, &whole,
                                    &units);

        if (strcmp(cause, c->cause) != 0 || whole != c->whole
            || units != c->units)
        {
            print_error("case %zu: \"%s\" %u %u\n", i, cause, whole, units);
        }

        assert_string_equal(cause, c->cause);
        assert_int_equal(whole, c->whole);
        assert_int_equal(units, c->units);
    }

    memset(&payment, 0, sizeof(rush_pay_row_t));
    assert_string_equal(rush_reserve_decide(&refund, &payment, &order, &whole,
                                            &units), "state");
}


/* 100 were asked for, an administrator gives 60 back */

typedef struct {
    rush_says_e      says;
    const char      *kind;
    const char      *app;
    const char      *merchant;
    const char      *currency;
    int64_t          told;
    const char      *transaction;
    int64_t          state;             /* of the payment; -1: there is none */
    int64_t          amount;            /* of the refund */
    const char      *cause;
} mismatch_case_t;

#define PAID  RUSH_SAYS_PAID
#define OURS  "wx1", "19", "CNY"

static const mismatch_case_t  mismatches[] = {
    { PAID, "pay", OURS, 60, "T", 0, 60, "" },
    { PAID, "pay", OURS, 60, "T", 1, 60, "" },
    { PAID, "query", OURS, 60, "T", 1, 60, "" },
    { PAID, "query", "", "", "", 60, "T", 3, 60, "" },
    { PAID, "pay", OURS, 60, "T", 4, 60, "" },
    { PAID, "pay", OURS, 60, "T", 5, 60, "" },
    { PAID, "pay", OURS, 160, "T", 1, 160, "" },

    { PAID, "pay", OURS, 60, "T", 2, 60, "state" },
    { PAID, "pay", OURS, 60, "T", 6, 60, "state" },
    { PAID, "pay", OURS, 60, "T", 7, 60, "state" },
    { PAID, "pay", OURS, 60, "T", 8, 60, "state" },
    { PAID, "pay", OURS, 60, "T", -1, 60, "state" },

    { PAID, "pay", OURS, 60, "T", 1, 61, "sum" },
    { PAID, "pay", OURS, 60, "T", 1, 59, "sum" },
    { PAID, "pay", OURS, 60, "T", 1, 100, "sum" },
    { PAID, "pay", OURS, 0, "T", 1, 0, "sum" },
    { PAID, "pay", OURS, -1, "T", 1, -1, "sum" },

    { PAID, "pay", OURS, 100, "T", 1, 100, "notice" },     /* what it should */
    { PAID, "pay", OURS, 60, "", 1, 60, "notice" },
    { PAID, "pay", "wx2", "19", "CNY", 60, "T", 1, 60, "notice" },
    { PAID, "pay", "wx1", "20", "CNY", 60, "T", 1, 60, "notice" },
    { PAID, "pay", "wx1", "", "CNY", 60, "T", 1, 60, "notice" },
    { PAID, "pay", "wx1", "19", "USD", 60, "T", 1, 60, "notice" },
    { RUSH_SAYS_RETURNED, "pay", OURS, 60, "T", 1, 60, "notice" },
    { RUSH_SAYS_OTHER, "pay", OURS, 60, "T", 1, 60, "notice" },
};


static const char *
mismatch(const mismatch_case_t *c, const rush_pay_ours_t *ours)
{
    rush_pay_row_t     row;
    rush_pay_facts_t   f;
    rush_refund_row_t  refund;

    memset(&f, 0, sizeof(rush_pay_facts_t));
    memset(&row, 0, sizeof(rush_pay_row_t));
    memset(&refund, 0, sizeof(rush_refund_row_t));

    f.provider = RUSH_PROVIDER_WECHAT;
    f.kind = c->kind;
    f.says = c->says;
    f.app = unit_str(c->app);
    f.merchant = unit_str(c->merchant);
    f.currency = unit_str(c->currency);
    f.amount = c->told;
    f.transaction_id = unit_str(c->transaction);
    refund.amount = c->amount;

    if (c->state != -1) {
        row.id = 77;
        row.provider = RUSH_PROVIDER_WECHAT;
        row.amount = 100;
        row.state = c->state;
    }

    return rush_mismatch_decide(&f, &refund, &row, ours);
}


static void
test_mismatch(void **state)
{
    size_t            i;
    const char       *cause;
    rush_pay_ours_t   ours;

    ours_of(&ours);

    for (i = 0; i < unit_count(mismatches); i++) {
        cause = mismatch(&mismatches[i], &ours);

        if (strcmp(cause, mismatches[i].cause) != 0) {
            print_error("case %zu: \"%s\"\n", i, cause);
        }

        assert_string_equal(cause, mismatches[i].cause);
    }

    ours.known = 0;
    assert_string_equal(mismatch(&mismatches[0], &ours),
                        "provider is not configured");
}


typedef struct {
    int64_t          status;            /* -1: no order */
    const char      *reason;
    int64_t          stock;
    int64_t          activity;
    int64_t          payment;           /* that paid the order */
    rush_late_e      revive;            /* when that is wanted */
    rush_late_e      refund;            /* when it is not */
} late_case_t;

static const late_case_t  lates[] = {
    { -1, "", 0, 0, 0, RUSH_LATE_REFUND, RUSH_LATE_REFUND },
    { 5, "timeout", 1, 0, 0, RUSH_LATE_KEEP, RUSH_LATE_REFUND },
    { 5, "timeout", 1, 9, 0, RUSH_LATE_KEEP, RUSH_LATE_REFUND },
    { 5, "timeout", 2, 9, 0, RUSH_LATE_WAIT, RUSH_LATE_REFUND },
    { 5, "timeout", 3, 9, 0, RUSH_LATE_RETAKE, RUSH_LATE_REFUND },
    { 5, "timeout", 3, 0, 0, RUSH_LATE_STOCK, RUSH_LATE_REFUND },
    { 5, "timeout", 5, 0, 0, RUSH_LATE_REFUND, RUSH_LATE_REFUND },
    { 5, "user", 1, 9, 0, RUSH_LATE_REFUND, RUSH_LATE_REFUND },
    { 5, "user", 3, 0, 0, RUSH_LATE_REFUND, RUSH_LATE_REFUND },
    { 5, "admin", 3, 9, 0, RUSH_LATE_REFUND, RUSH_LATE_REFUND },
    { 5, "", 3, 9, 0, RUSH_LATE_REFUND, RUSH_LATE_REFUND },
    { 0, "", 0, 9, 0, RUSH_LATE_REFUND, RUSH_LATE_REFUND },
    { 9, "rejected", 5, 9, 0, RUSH_LATE_REFUND, RUSH_LATE_REFUND },
    { 2, "", 4, 9, 78, RUSH_LATE_SECOND, RUSH_LATE_SECOND },
    { 3, "", 4, 9, 78, RUSH_LATE_SECOND, RUSH_LATE_SECOND },
    { 4, "", 4, 0, 78, RUSH_LATE_SECOND, RUSH_LATE_SECOND },
    { 6, "", 4, 0, 78, RUSH_LATE_SECOND, RUSH_LATE_SECOND },
    { 7, "", 3, 0, 78, RUSH_LATE_SECOND, RUSH_LATE_SECOND },
    { 8, "", 3, 9, 78, RUSH_LATE_SECOND, RUSH_LATE_SECOND },
    { 2, "", 4, 9, 77, RUSH_LATE_WAIT, RUSH_LATE_WAIT },
};


static void
test_late(void **state)
{
    size_t              i;
    rush_pay_row_t      payment;
    rush_pay_order_t    order;
    const late_case_t  *c;

    for (i = 0; i < sizeof(lates) / sizeof(late_case_t); i++) {
        c = &lates[i];

        memset(&payment, 0, sizeof(rush_pay_row_t));
        memset(&order, 0, sizeof(rush_pay_order_t));

        payment.id = 77;
        payment.state = 6;

        if (c->status != -1) {
            order.order_no = unit_str("1-0");
        }

        order.status = c->status;
        order.cancel_reason = unit_str(c->reason);
        order.stock_state = c->stock;
        order.activity = c->activity;
        order.payment = c->payment;

        assert_int_equal(rush_late_decide(&payment, &order, 1), c->revive);
        assert_int_equal(rush_late_decide(&payment, &order, 0), c->refund);
    }
}


static void
test_next(void **state)
{
    int64_t  minute, at, n, made;

    static const int64_t  first[] = { 1, 5, 15, 60, 120, 180 };

    minute = 60000;
    made = 1790000000000LL;
    at = made;

    for (n = 0; n < 6; n++) {
        assert_int_equal(rush_pay_next(n, made, at, minute),
                         made + first[n] * minute);
        at = made + first[n] * minute;
    }

    for (n = 6; at < made + 1500 * minute; n++) {
        assert_int_equal(rush_pay_next(n, made, at, minute),
                         at + 60 * minute);
        at += 60 * minute;
    }

    assert_int_equal(n, 28);
    assert_int_equal(rush_pay_next(n, made, at, minute), 0);
    assert_int_equal(rush_pay_next(n, made, at + 1, minute), 0);

    /* between two of them; and nobody ran for ten hours */

    assert_int_equal(rush_pay_next(1, made, made + 61 * 1000, minute),
                     made + 5 * minute);
    assert_int_equal(rush_pay_next(3, made, made + 599 * minute, minute),
                     made + 600 * minute);

    /* never asked: once at least, however late */

    assert_int_equal(rush_pay_next(0, made, made + minute, minute),
                     made + minute);
    assert_int_equal(rush_pay_next(0, made, made + 2000 * minute, minute),
                     made + 2000 * minute);
    assert_int_equal(rush_pay_next(1, made, made + 2000 * minute, minute), 0);

    /* a drill: a minute is 10 ms */

    assert_int_equal(rush_pay_next(2, made, made + 60, 10), made + 150);
}


static void
test_day(void **state)
{
    int64_t  day, ms;

    assert_int_equal(rush_pay_day(0), 19700101);
    assert_int_equal(rush_pay_day(16 * RUSH_PAY_HOUR - 1), 19700101);
    assert_int_equal(rush_pay_day(16 * RUSH_PAY_HOUR), 19700102);
    assert_int_equal(rush_pay_day(1709222400000LL), 20240301);
    assert_int_equal(rush_pay_day(1709222399999LL), 20240229);
    assert_int_equal(rush_pay_day_start(20240229), 1709136000000LL);
    assert_int_equal(rush_pay_day_start(20240301), 1709222400000LL);

    assert_int_equal(rush_pay_day_start(0), 0);
    assert_int_equal(rush_pay_day_start(20230229), 0);
    assert_int_equal(rush_pay_day_start(20230631), 0);
    assert_int_equal(rush_pay_day_start(20231301), 0);
    assert_int_equal(rush_pay_day_start(20230100), 0);
    assert_int_equal(rush_pay_day_start(-20230101), 0);

    for (ms = 1704038400000LL; ms < 2524579200000LL; ms += RUSH_PAY_DAY) {
        day = rush_pay_day(ms);
        assert_int_equal(rush_pay_day_start(day), ms);
        assert_int_equal(rush_pay_day(ms + RUSH_PAY_DAY - 1), day);
    }
}


static void
test_states(void **state)
{
    assert_int_equal(rush_did_state(RUSH_DID_NOTHING), 4);
    assert_int_equal(rush_did_state(RUSH_DID_MISS), 0);
    assert_int_equal(rush_did_state(RUSH_DID_DOUBT), 3);
    assert_int_equal(rush_did_state(RUSH_DID_KNOW), 2);
    assert_int_equal(rush_did_state(RUSH_DID_PAID), 1);
    assert_int_equal(rush_did_state(RUSH_DID_SECOND), 1);
    assert_int_equal(rush_did_state(RUSH_DID_FAIL), 1);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_refund_cases),
        cmocka_unit_test(test_reserve),
        cmocka_unit_test(test_mismatch),
        cmocka_unit_test(test_late),
        cmocka_unit_test(test_next),
        cmocka_unit_test(test_day),
        cmocka_unit_test(test_states),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
