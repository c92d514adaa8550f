
/*
 * Copyright (C) Rush
 *
 * Out of what a provider has signed, what counts of it.
 */


#include "pay_int.h"
#include "rush_alipay.h"
#include "rush_field.h"
#include "rush_wxpay.h"


static void rush_facts_str(rush_str_t *dst, const rush_str_t *src);


int64_t
rush_pay_number(const rush_str_t *number)
{
    int64_t  id;

    if (rush_parse_u63(number->data, number->len, &id) != RUSH_OK) {
        return 0;
    }

    return id;
}


int64_t
rush_refund_number(const rush_str_t *number)
{
    rush_str_t  digits;

    static const size_t  len = sizeof(RUSH_REFUND_PREFIX) - 1;

    if (number->len <= len
        || memcmp(number->data, RUSH_REFUND_PREFIX, len) != 0)
    {
        return 0;
    }

    digits.data = number->data + len;
    digits.len = number->len - len;

    return rush_pay_number(&digits);
}


int
rush_pay_facts(rush_pay_facts_t *f, int provider, unsigned char *json,
    size_t len, const char **err)
{
    rush_wxpay_trade_t    t;
    rush_alipay_notice_t  a;

    static const rush_str_t  cny = rush_string("CNY");

    if (provider == RUSH_PROVIDER_ALIPAY) {

        if (rush_alipay_notice(&a, json, len, err) != RUSH_OK) {
            return RUSH_ERROR;
        }

        f->payment = rush_pay_number(&a.out_trade_no);
        rush_facts_str(&f->transaction_id, &a.trade_no);
        rush_facts_str(&f->app, &a.app_id);
        rush_facts_str(&f->merchant, &a.seller_id);
        f->currency = cny;
        f->amount = a.total;
        f->paid_ms = a.paid_ms;

        /* closed with a time of payment: the whole of it has gone back */

        f->says = (a.state == RUSH_ALIPAY_SUCCESS
                   || a.state == RUSH_ALIPAY_FINISHED) ? RUSH_SAYS_PAID
                  : (a.state == RUSH_ALIPAY_CLOSED && a.paid_ms != 0)
                  ? RUSH_SAYS_RETURNED : RUSH_SAYS_OTHER;
        return RUSH_OK;
    }

    if (rush_wxpay_trade(&t, json, len, err) != RUSH_OK) {
        return RUSH_ERROR;
    }

    f->payment = rush_pay_number(&t.out_trade_no);
    rush_facts_str(&f->transaction_id, &t.transaction_id);
    rush_facts_str(&f->app, &t.appid);
    rush_facts_str(&f->merchant, &t.mchid);
    rush_facts_str(&f->currency, &t.currency);
    f->amount = t.total;
    f->paid_ms = t.success_ms;
    f->says = t.state == RUSH_WXPAY_SUCCESS ? RUSH_SAYS_PAID
              : t.state == RUSH_WXPAY_REFUND ? RUSH_SAYS_RETURNED
              : RUSH_SAYS_OTHER;

    return RUSH_OK;
}


int
rush_refund_facts(rush_refund_facts_t *f, int provider, unsigned char *json,
    size_t len, const char **err)
{
    rush_wxpay_refund_t   t;
    rush_alipay_notice_t  a;

    if (provider == RUSH_PROVIDER_ALIPAY) {

        if (rush_alipay_notice(&a, json, len, err) != RUSH_OK) {
            return RUSH_ERROR;
        }

        /* Alipay tells the sum of all refunds.  Without our number nobody
         * knows which one it is: its query will tell */

        f->refund = rush_refund_number(&a.out_biz_no);
        f->number = (rush_str_t) rush_string("");       /* it has none */
        rush_facts_str(&f->merchant, &a.seller_id);
        f->amount = -1;
        f->all = a.refund_fee;
        f->done_ms = a.refund_ms;
        f->says = (a.out_biz_no.len != 0 && a.refund_fee > 0)
                  ? RUSH_RETURN_DONE : RUSH_RETURN_OTHER;
        return RUSH_OK;
    }

    if (rush_wxpay_refund(&t, json, len, err) != RUSH_OK) {
        return RUSH_ERROR;
    }

    f->refund = rush_refund_number(&t.out_refund_no);
    rush_facts_str(&f->number, &t.refund_id);
    rush_facts_str(&f->merchant, &t.mchid);
    rush_facts_str(&f->currency, &t.currency);
    f->amount = t.refund;
    f->all = -1;
    f->done_ms = t.success_ms;

    switch (t.state) {

    case RUSH_WXPAY_SUCCESS:
        f->says = RUSH_RETURN_DONE;
        break;

    case RUSH_WXPAY_CLOSED:
    case RUSH_WXPAY_ABNORMAL:
        f->says = RUSH_RETURN_FAILED;
        break;

    case RUSH_WXPAY_PROCESSING:
        f->says = RUSH_RETURN_PROCESSING;
        break;

    default:
        f->says = RUSH_RETURN_OTHER;
    }

    return RUSH_OK;
}


int
rush_pay_is_refund(int provider, unsigned char *json, size_t len)
{
    const char            *err;
    rush_alipay_notice_t   a;

    return provider == RUSH_PROVIDER_ALIPAY
           && rush_alipay_notice(&a, json, len, &err) == RUSH_OK
           && a.is_refund;
}


/* what would not fit into its column would be lost */

static void
rush_facts_str(rush_str_t *dst, const rush_str_t *src)
{
    *dst = *src;

    if (dst->len > 64) {
        dst->len = 64;
    }
}
