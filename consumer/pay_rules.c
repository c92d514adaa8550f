
/*
 * Copyright (C) Rush
 *
 * What follows from a row and from what a provider says: functions without
 * I/O, so that every case is a row of t/unit/test_pay.c.  The order of the
 * checks of rush_pay_decide() is the protocol: who it is for, then how much,
 * then whether it is known, then what the order says.
 */


#include "pay_int.h"
#include "rush_order.h"


#define RUSH_CURRENCY  "CNY"
#define RUSH_HOURS     25               /* a payment is asked about for so
                                           long */


static const char *rush_pay_doubt(const rush_pay_facts_t *f,
    const rush_pay_row_t *row, const rush_pay_ours_t *ours);
static const char *rush_refund_doubt(const rush_refund_facts_t *f,
    const rush_refund_row_t *row, const rush_pay_ours_t *ours);
static int rush_is_other(const rush_str_t *told, const rush_str_t *ours,
    int asked);
static int64_t rush_pay_offset(int64_t n);


rush_did_e
rush_pay_decide(const rush_pay_facts_t *f, const rush_pay_row_t *row,
    const rush_pay_order_t *order, const rush_pay_ours_t *ours,
    const char **cause)
{
    *cause = "";

    if (f->says == RUSH_SAYS_OTHER) {
        return RUSH_DID_NOTHING;
    }

    if (row->id == 0) {
        *cause = "no such payment";
        return RUSH_DID_MISS;
    }

    if (!ours->known) {

        /* it waits until somebody has configured what it is compared with */

        *cause = "provider is not configured";
        return RUSH_DID_MISS;
    }

    *cause = rush_pay_doubt(f, row, ours);

    if (**cause != '\0') {
        return RUSH_DID_DOUBT;
    }

    switch (row->state) {

    case RUSH_PAYMENT_PAID:
    case RUSH_PAYMENT_LATE:
    case RUSH_PAYMENT_RETURNED:

        if (rush_str_same(&row->transaction_id, &f->transaction_id)) {
            return RUSH_DID_KNOW;
        }

        *cause = "paid by another transaction";
        return RUSH_DID_DOUBT;

    case RUSH_PAYMENT_ASKED:
    case RUSH_PAYMENT_OPEN:
    case RUSH_PAYMENT_CLOSING:
    case RUSH_PAYMENT_CLOSED:
    case RUSH_PAYMENT_FAILED:
        break;

    default:
        *cause = "state";
        return RUSH_DID_DOUBT;
    }

    if (f->says == RUSH_SAYS_RETURNED) {
        *cause = "went back, not by us";
        return RUSH_DID_DOUBT;
    }

    if (order->order_no.len == 0) {
        return RUSH_DID_LATE;
    }

    switch (order->status) {

    case RUSH_ORDER_TO_PAY:
        return order->stock_state == RUSH_STOCK_HELD ? RUSH_DID_PAID
                                                     : RUSH_DID_LATE;
    case RUSH_ORDER_PAID:
    case RUSH_ORDER_SHIPPED:
    case RUSH_ORDER_DONE:
    case RUSH_ORDER_REFUNDING:
    case RUSH_ORDER_REFUNDED:
    case RUSH_ORDER_EXPIRED:
        return RUSH_DID_SECOND;

    default:
        return RUSH_DID_LATE;
    }
}


static const char *
rush_pay_doubt(const rush_pay_facts_t *f, const rush_pay_row_t *row,
    const rush_pay_ours_t *ours)
{
    int  asked;

    /* an answer to our own question need not tell who we are */

    asked = strcmp(f->kind, "query") == 0;

    if (row->provider != f->provider) {
        return "provider";
    }

    if (rush_is_other(&f->app, &ours->app, asked)) {
        return "app";
    }

    if (rush_is_other(&f->merchant, &ours->merchant, asked)) {
        return "merchant";
    }

    if ((f->currency.len != 0 || !asked)
        && !rush_str_is(&f->currency, RUSH_CURRENCY))
    {
        return "currency";
    }

    if (f->amount != row->amount) {
        return "amount";
    }

    if (f->transaction_id.len == 0) {
        return "no transaction";
    }

    return "";
}


rush_did_e
rush_refund_decide(const rush_refund_facts_t *f,
    const rush_refund_row_t *row, const rush_pay_ours_t *ours,
    const char **cause)
{
    *cause = "";

    if (f->says == RUSH_RETURN_OTHER) {
        return RUSH_DID_NOTHING;
    }

    if (row->id == 0) {
        *cause = "no such refund";
        return RUSH_DID_MISS;
    }

    if (!ours->known) {
        *cause = "provider is not configured";
        return RUSH_DID_MISS;
    }

    *cause = rush_refund_doubt(f, row, ours);

    if (**cause != '\0') {
        return RUSH_DID_DOUBT;
    }

    if (row->state == RUSH_REFUND_DONE) {

        if (f->says == RUSH_RETURN_FAILED) {
            *cause = "failed after it was done";
            return RUSH_DID_DOUBT;
        }

        return RUSH_DID_KNOW;
    }

    if (row->reserved == 0 || row->state == RUSH_REFUND_REQUESTED
        || row->state == RUSH_REFUND_REJECTED)
    {
        *cause = "nobody has approved it";
        return RUSH_DID_DOUBT;
    }

    if (f->says == RUSH_RETURN_DONE) {
        return RUSH_DID_REFUNDED;
    }

    if (row->state == RUSH_REFUND_FAILED) {
        return RUSH_DID_KNOW;
    }

    if (f->says == RUSH_RETURN_FAILED) {
        return RUSH_DID_FAIL;
    }

    return row->state == RUSH_REFUND_PROCESSING ? RUSH_DID_KNOW
                                                : RUSH_DID_PROGRESS;
}


static const char *
rush_refund_doubt(const rush_refund_facts_t *f, const rush_refund_row_t *row,
    const rush_pay_ours_t *ours)
{
    if (row->provider != f->provider) {
        return "provider";
    }

    if (rush_is_other(&f->merchant, &ours->merchant, 1)) {
        return "merchant";
    }

    if (f->currency.len != 0 && !rush_str_is(&f->currency, RUSH_CURRENCY)) {
        return "currency";
    }

    if ((f->amount != -1 && f->amount != row->amount)
        || (f->all != -1 && f->all < row->amount))
    {
        return "amount";
    }

    return "";
}


/* 1: it is for somebody else.  Nothing to compare with is no difference */

static int
rush_is_other(const rush_str_t *told, const rush_str_t *ours, int asked)
{
    if (ours->len == 0 || (told->len == 0 && asked)) {
        return 0;
    }

    return !rush_str_same(told, ours);
}


const char *
rush_reserve_decide(const rush_refund_row_t *refund,
    const rush_pay_row_t *payment, const rush_pay_order_t *order,
    unsigned *whole, unsigned *units_back)
{
    *whole = 0;
    *units_back = 0;

    if (payment->id == 0 || payment->state != RUSH_PAYMENT_PAID) {
        return "state";
    }

    if (refund->amount > payment->amount - payment->refunded) {
        return "sum";
    }

    if (refund->amount < payment->amount - payment->refunded
        || order->payment != payment->id)
    {
        return "";
    }

    switch (order->status) {

    case RUSH_ORDER_PAID:
        *units_back = order->stock_state == RUSH_STOCK_SOLD;
        *whole = 1;
        break;

    case RUSH_ORDER_SHIPPED:
    case RUSH_ORDER_DONE:
    case RUSH_ORDER_EXPIRED:
        *whole = 1;
        break;

    default:
        break;
    }

    return "";
}


const char *
rush_mismatch_decide(const rush_pay_facts_t *f,
    const rush_refund_row_t *refund, const rush_pay_row_t *row,
    const rush_pay_ours_t *ours)
{
    if (row->id == 0) {
        return "state";
    }

    switch (row->state) {

    case RUSH_PAYMENT_ASKED:
    case RUSH_PAYMENT_OPEN:
    case RUSH_PAYMENT_CLOSING:
    case RUSH_PAYMENT_CLOSED:
    case RUSH_PAYMENT_FAILED:
        break;

    default:
        return "state";
    }

    if (!ours->known) {
        return "provider is not configured";
    }

    /* it is ours in all but the amount */

    if (f->says != RUSH_SAYS_PAID || f->transaction_id.len == 0
        || strcmp(rush_pay_doubt(f, row, ours), "amount") != 0)
    {
        return "notice";
    }

    if (refund->amount <= 0 || f->amount != refund->amount) {
        return "sum";
    }

    return "";
}


rush_late_e
rush_late_decide(const rush_pay_row_t *payment,
    const rush_pay_order_t *order, int revive)
{
    if (order->order_no.len == 0) {
        return RUSH_LATE_REFUND;
    }

    switch (order->status) {

    case RUSH_ORDER_CANCELLED:
        break;

    case RUSH_ORDER_PAID:
    case RUSH_ORDER_SHIPPED:
    case RUSH_ORDER_DONE:
    case RUSH_ORDER_REFUNDING:
    case RUSH_ORDER_REFUNDED:
    case RUSH_ORDER_EXPIRED:
        return order->payment == payment->id ? RUSH_LATE_WAIT
                                             : RUSH_LATE_SECOND;
    default:
        return RUSH_LATE_REFUND;
    }

    /* who cancelled does not want it any more */

    if (!revive || !rush_str_is(&order->cancel_reason, "timeout")) {
        return RUSH_LATE_REFUND;
    }

    switch (order->stock_state) {

    case RUSH_STOCK_ASKED:
        return RUSH_LATE_KEEP;

    case RUSH_STOCK_LEDGER:
        return RUSH_LATE_WAIT;

    case RUSH_STOCK_BACK:
        return order->activity > 0 ? RUSH_LATE_RETAKE : RUSH_LATE_STOCK;

    default:
        return RUSH_LATE_REFUND;
    }
}


int
rush_did_state(rush_did_e did)
{
    switch (did) {

    case RUSH_DID_NOTHING:
        return RUSH_NOTICE_IGNORED;

    case RUSH_DID_KNOW:
        return RUSH_NOTICE_DUPLICATE;

    case RUSH_DID_MISS:
        return RUSH_NOTICE_UNMATCHED;

    case RUSH_DID_DOUBT:
        return RUSH_NOTICE_MISMATCH;

    default:
        return RUSH_NOTICE_APPLIED;
    }
}


int
rush_str_is(const rush_str_t *s, const char *text)
{
    return s->len == strlen(text) && memcmp(s->data, text, s->len) == 0;
}


int
rush_str_same(const rush_str_t *a, const rush_str_t *b)
{
    return a->len == b->len
           && (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}


int64_t
rush_pay_next(int64_t tries, int64_t created, int64_t now, int64_t minute)
{
    int64_t  n, at;

    at = 0;

    for (n = 0; rush_pay_offset(n) <= RUSH_HOURS * 60; n++) {
        at = created + rush_pay_offset(n) * minute;

        if (at > now) {
            break;
        }
    }

    if (tries == 0 && n > 0) {
        return now;
    }

    return at > now ? at : 0;
}


/* in minutes after the creation: 1, 5, 15, then each hour */

static int64_t
rush_pay_offset(int64_t n)
{
    static const int64_t  first[] = { 1, 5, 15 };

    return n < 3 ? first[n] : (n - 2) * 60;
}


int64_t
rush_pay_day(int64_t ms)
{
    int64_t  days, era, doe, yoe, doy, mp, y, m;

    days = (ms + RUSH_PAY_ZONE) / RUSH_PAY_DAY + 719468;

    /* the calendar by eras of 400 years that begin on the 1st of March */

    era = days / 146097;
    doe = days - era * 146097;
    yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    mp = (5 * doy + 2) / 153;
    m = mp < 10 ? mp + 3 : mp - 9;
    y = yoe + era * 400 + (m <= 2);

    return y * 10000 + m * 100 + doy - (153 * mp + 2) / 5 + 1;
}


int64_t
rush_pay_day_start(int64_t day)
{
    int64_t  y, m, d, era, yoe, doy, doe, ms;

    y = day / 10000;
    m = day / 100 % 100;
    d = day % 100;

    if (y < 1971 || y > 9999 || m < 1 || m > 12 || d < 1 || d > 31) {
        return 0;
    }

    y -= (m <= 2);
    era = y / 400;
    yoe = y - era * 400;
    doy = (153 * (m > 2 ? m - 3 : m + 9) + 2) / 5 + d - 1;
    doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    ms = (era * 146097 + doe - 719468) * RUSH_PAY_DAY - RUSH_PAY_ZONE;

    /* the 31st of June is none */

    return rush_pay_day(ms) == day ? ms : 0;
}
