
/*
 * Copyright (C) Rush
 *
 * What follows from a notice: each row of a table is a case.
 */


#include "unit.h"

#include "pay_int.h"
#include "rush_order.h"


#define PAID      RUSH_SAYS_PAID
#define RETURNED  RUSH_SAYS_RETURNED
#define OTHER     RUSH_SAYS_OTHER


typedef struct {
    const char      *name;
    const char      *kind;
    rush_says_e      says;
    const char      *app;
    const char      *merchant;
    const char      *currency;
    int64_t          amount;
    const char      *transaction;

    int64_t          state;             /* of the payment, -1: there is none */
    const char      *known;             /* its transaction */
    int64_t          status;            /* of the order, -1: there is none */
    int64_t          stock;

    rush_did_e       did;
    const char      *cause;
} pay_case_t;


#define OURS  "wx1", "19"

static const pay_case_t  cases[] = {

    { "not paid", "pay", OTHER, OURS, "CNY", 100, "T", 1, "", 1, 0,
      RUSH_DID_NOTHING, "" },
    { "not paid, and none of ours", "pay", OTHER, OURS, "CNY", 100, "T", -1,
      "", -1, 0, RUSH_DID_NOTHING, "" },
    { "no row", "pay", PAID, OURS, "CNY", 100, "T", -1, "", -1, 0,
      RUSH_DID_MISS, "no such payment" },

    { "asked", "pay", PAID, OURS, "CNY", 100, "T", 0, "", 1, 0,
      RUSH_DID_PAID, "" },
    { "open", "pay", PAID, OURS, "CNY", 100, "T", 1, "", 1, 0,
      RUSH_DID_PAID, "" },
    { "closing", "pay", PAID, OURS, "CNY", 100, "T", 3, "", 1, 0,
      RUSH_DID_PAID, "" },
    { "closed", "pay", PAID, OURS, "CNY", 100, "T", 4, "", 1, 0,
      RUSH_DID_PAID, "" },
    { "failed", "pay", PAID, OURS, "CNY", 100, "T", 5, "", 1, 0,
      RUSH_DID_PAID, "" },

    { "paid", "pay", PAID, OURS, "CNY", 100, "T", 2, "T", 2, 4,
      RUSH_DID_KNOW, "" },
    { "late, known", "pay", PAID, OURS, "CNY", 100, "T", 6, "T", 5, 3,
      RUSH_DID_KNOW, "" },
    { "went back, known", "pay", PAID, OURS, "CNY", 100, "T", 7, "T", 5, 3,
      RUSH_DID_KNOW, "" },
    { "known, and some went back", "pay", RETURNED, OURS, "CNY", 100, "T", 2,
      "T", 2, 4, RUSH_DID_KNOW, "" },
    { "another transaction", "pay", PAID, OURS, "CNY", 100, "U", 2, "T", 2, 4,
      RUSH_DID_DOUBT, "paid by another transaction" },
    { "another one of what is late", "pay", PAID, OURS, "CNY", 100, "U", 6,
      "T", 5, 3, RUSH_DID_DOUBT, "paid by another transaction" },
    { "the beginning of a transaction", "pay", PAID, OURS, "CNY", 100, "T", 2,
      "TT", 2, 4, RUSH_DID_DOUBT, "paid by another transaction" },
    { "went back before we knew", "query", RETURNED, OURS, "CNY", 100, "T", 1,
      "", 1, 0, RUSH_DID_DOUBT, "went back, not by us" },
    { "a state of tomorrow", "pay", PAID, OURS, "CNY", 100, "T", 8, "", 1, 0,
      RUSH_DID_DOUBT, "state" },

    { "another app", "pay", PAID, "wx2", "19", "CNY", 100, "T", 1, "", 1, 0,
      RUSH_DID_DOUBT, "app" },
    { "no app", "pay", PAID, "", "19", "CNY", 100, "T", 1, "", 1, 0,
      RUSH_DID_DOUBT, "app" },
    { "another merchant", "pay", PAID, "wx1", "190", "CNY", 100, "T", 1, "",
      1, 0, RUSH_DID_DOUBT, "merchant" },
    { "no merchant", "pay", PAID, "wx1", "", "CNY", 100, "T", 1, "", 1, 0,
      RUSH_DID_DOUBT, "merchant" },
    { "asked: it tells nothing", "query", PAID, "", "", "", 100, "T", 1, "",
      1, 0, RUSH_DID_PAID, "" },
    { "asked: another merchant", "query", PAID, "wx1", "20", "CNY", 100, "T",
      1, "", 1, 0, RUSH_DID_DOUBT, "merchant" },
    { "asked: another currency", "query", PAID, OURS, "USD", 100, "T", 1, "",
      1, 0, RUSH_DID_DOUBT, "currency" },

    { "dollars", "pay", PAID, OURS, "USD", 100, "T", 1, "", 1, 0,
      RUSH_DID_DOUBT, "currency" },
    { "cny", "pay", PAID, OURS, "cny", 100, "T", 1, "", 1, 0,
      RUSH_DID_DOUBT, "currency" },
    { "no currency", "pay", PAID, OURS, "", 100, "T", 1, "", 1, 0,
      RUSH_DID_DOUBT, "currency" },
    { "a fen less", "pay", PAID, OURS, "CNY", 99, "T", 1, "", 1, 0,
      RUSH_DID_DOUBT, "amount" },
    { "a fen more", "pay", PAID, OURS, "CNY", 101, "T", 1, "", 1, 0,
      RUSH_DID_DOUBT, "amount" },
    { "no amount", "pay", PAID, OURS, "CNY", -1, "T", 1, "", 1, 0,
      RUSH_DID_DOUBT, "amount" },
    { "asked: no amount", "query", PAID, OURS, "CNY", -1, "T", 1, "", 1, 0,
      RUSH_DID_DOUBT, "amount" },
    { "paid, another amount now", "pay", PAID, OURS, "CNY", 1, "T", 2, "T", 2,
      4, RUSH_DID_DOUBT, "amount" },
    { "no transaction", "pay", PAID, OURS, "CNY", 100, "", 1, "", 1, 0,
      RUSH_DID_DOUBT, "no transaction" },

    { "no order", "pay", PAID, OURS, "CNY", 100, "T", 1, "", -1, 0,
      RUSH_DID_LATE, "" },
    { "processing", "pay", PAID, OURS, "CNY", 100, "T", 1, "", 0, 0,
      RUSH_DID_LATE, "" },
    { "to pay, given back", "pay", PAID, OURS, "CNY", 100, "T", 1, "", 1, 1,
      RUSH_DID_LATE, "" },
    { "order paid", "pay", PAID, OURS, "CNY", 100, "T", 1, "", 2, 4,
      RUSH_DID_SECOND, "" },
    { "order shipped", "pay", PAID, OURS, "CNY", 100, "T", 4, "", 3, 4,
      RUSH_DID_SECOND, "" },
    { "order done", "pay", PAID, OURS, "CNY", 100, "T", 4, "", 4, 4,
      RUSH_DID_SECOND, "" },
    { "order cancelled", "pay", PAID, OURS, "CNY", 100, "T", 3, "", 5, 1,
      RUSH_DID_LATE, "" },
    { "order given back", "pay", PAID, OURS, "CNY", 100, "T", 4, "", 5, 3,
      RUSH_DID_LATE, "" },
    { "order refunding", "pay", PAID, OURS, "CNY", 100, "T", 4, "", 6, 4,
      RUSH_DID_SECOND, "" },
    { "order refunded", "pay", PAID, OURS, "CNY", 100, "T", 4, "", 7, 3,
      RUSH_DID_SECOND, "" },
    { "order expired", "pay", PAID, OURS, "CNY", 100, "T", 4, "", 8, 3,
      RUSH_DID_SECOND, "" },
    { "order rejected", "pay", PAID, OURS, "CNY", 100, "T", 1, "", 9, 5,
      RUSH_DID_LATE, "" },
};


static void
ours_of(rush_pay_ours_t *ours)
{
    memset(ours, 0, sizeof(rush_pay_ours_t));

    ours->known = 1;
    ours->app = unit_str("wx1");
    ours->merchant = unit_str("19");
}


static rush_did_e
decide(const pay_case_t *c, const rush_pay_ours_t *ours, int provider,
    const char **cause)
{
    rush_pay_row_t    row;
    rush_pay_facts_t  f;
    rush_pay_order_t  order;

    memset(&f, 0, sizeof(rush_pay_facts_t));
    memset(&row, 0, sizeof(rush_pay_row_t));
    memset(&order, 0, sizeof(rush_pay_order_t));

    f.provider = provider;
    f.kind = c->kind;
    f.says = c->says;
    f.app = unit_str(c->app);
    f.merchant = unit_str(c->merchant);
    f.currency = unit_str(c->currency);
    f.amount = c->amount;
    f.transaction_id = unit_str(c->transaction);

    if (c->state != -1) {
        row.id = 77;
        row.provider = RUSH_PROVIDER_WECHAT;
        row.amount = 100;
        row.state = c->state;
        row.transaction_id = unit_str(c->known);
    }

    if (c->status != -1) {
        order.order_no = unit_str("1-0");
        order.status = c->status;
        order.stock_state = c->stock;
    }

    return rush_pay_decide(&f, &row, &order, ours, cause);
}


static void
test_pay_cases(void **state)
{
    size_t           i;
    rush_did_e       did;
    const char      *cause;
    rush_pay_ours_t  ours;

    ours_of(&ours);

    for (i = 0; i < sizeof(cases) / sizeof(pay_case_t); i++) {
        did = decide(&cases[i], &ours, RUSH_PROVIDER_WECHAT, &cause);

        if (did != cases[i].did || strcmp(cause, cases[i].cause) != 0) {
            print_error("\"%s\": %d \"%s\"\n", cases[i].name, did, cause);
        }

        assert_int_equal(did, cases[i].did);
        assert_string_equal(cause, cases[i].cause);
    }
}


/* nobody has to be asked before: a state is one of those, whatever else */

static void
test_pay_all(void **state)
{
    size_t            n;
    rush_did_e        did;
    pay_case_t        c;
    const char       *cause;
    rush_pay_ours_t   ours;

    ours_of(&ours);
    c = cases[3];
    n = 0;

    for (c.state = -1; c.state < 10; c.state++) {
        for (c.status = -1; c.status < 11; c.status++) {
            for (c.stock = 0; c.stock < 7; c.stock++) {
                did = decide(&c, &ours, RUSH_PROVIDER_WECHAT, &cause);

                /* an order becomes paid from one place only */

                assert_true((did == RUSH_DID_PAID)
                            == (c.status == 1 && c.stock == 0
                                && (c.state == 0 || c.state == 1
                                    || c.state == 3 || c.state == 4
                                    || c.state == 5)));
                n++;
            }
        }
    }

    assert_int_equal(n, 11 * 12 * 7);
}


static void
test_pay_provider(void **state)
{
    const char       *cause;
    rush_pay_ours_t   ours;

    ours_of(&ours);

    assert_int_equal(decide(&cases[3], &ours, RUSH_PROVIDER_ALIPAY, &cause),
                     RUSH_DID_DOUBT);
    assert_string_equal(cause, "provider");

    /* who is not configured waits for it, and is not refused for good */

    memset(&ours, 0, sizeof(rush_pay_ours_t));
    assert_int_equal(decide(&cases[3], &ours, RUSH_PROVIDER_WECHAT, &cause),
                     RUSH_DID_MISS);

    /* the sandbox has neither app nor merchant */

    ours.known = 1;
    assert_int_equal(decide(&cases[3], &ours, RUSH_PROVIDER_WECHAT, &cause),
                     RUSH_DID_PAID);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_pay_cases),
        cmocka_unit_test(test_pay_all),
        cmocka_unit_test(test_pay_provider),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
