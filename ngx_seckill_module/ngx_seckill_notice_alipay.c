
/*
 * Copyright (C) Rush
 */


#include "ngx_seckill_notice.h"


static ngx_int_t ngx_seckill_alipay_check(ngx_rush_req_t *q);

static ngx_int_t ngx_seckill_alipay_pass(ngx_rush_req_t *q, rush_buf_t *b);
static rush_doubt_e ngx_seckill_alipay_owner(ngx_seckill_alipay_conf_t *acf,
    rush_alipay_notice_t *t);


ngx_rush_step_t  ngx_seckill_callback_alipay_steps[] = {
    ngx_rush_step(ngx_seckill_alipay_check),     /* RSA; redis: XADD */
    ngx_rush_step(ngx_seckill_notice_added),
    ngx_rush_null_step
};


static ngx_int_t
ngx_seckill_alipay_check(ngx_rush_req_t *q)
{
    int                         n;
    ngx_int_t                   rc;
    rush_buf_t                  b;
    const char                 *err;
    rush_pair_t                 f[RUSH_ALIPAY_FIELDS];
    rush_doubt_e                doubt;
    const rush_str_t           *type;
    ngx_seckill_alipay_conf_t  *acf;

    acf = &ngx_seckill_notice_conf(q)->alipay;

    if (acf->key == NULL) {
        return ngx_seckill_notice_refuse(q, RUSH_DOUBT_OFF);
    }

    if (q->body.len == 0) {
        return ngx_seckill_notice_refuse(q, RUSH_DOUBT_SIZE);
    }

    n = rush_form_read(f, q->body.data, q->body.len, &err);

    if (n < 0) {
        return ngx_seckill_notice_refuse(q, RUSH_DOUBT_FORMAT);
    }

    doubt = rush_alipay_check(acf->key, f, n);

    if (doubt != RUSH_TRUSTED) {
        return ngx_seckill_notice_refuse(q, doubt);
    }

    type = rush_form_find(f, n, "notify_type");

    if (type == NULL || type->len != sizeof("trade_status_sync") - 1
        || ngx_memcmp(type->data, "trade_status_sync", type->len) != 0)
    {
        ngx_rush_count(NGX_RUSH_C_NOTICE_IGNORED, 1);
        return ngx_seckill_notice_taken(q);
    }

    ngx_memzero(&b, sizeof(rush_buf_t));
    rush_alipay_json(f, n, &b);

    rc = b.failed ? ngx_seckill_notice_busy(q)
                  : ngx_seckill_alipay_pass(q, &b);

    rush_buf_wipe(&b);                  /* who has paid */

    return rc;
}


static ngx_int_t
ngx_seckill_alipay_pass(ngx_rush_req_t *q, rush_buf_t *b)
{
    u_char                *copy;
    ngx_int_t              rc;
    const char            *err;
    rush_doubt_e           doubt;
    rush_alipay_notice_t   t;

    copy = ngx_pnalloc(q->r->pool, b->len);
    if (copy == NULL) {
        return ngx_seckill_notice_busy(q);
    }

    ngx_memcpy(copy, b->data, b->len);  /* it is decoded in place */

    if (rush_alipay_notice(&t, copy, b->len, &err) != RUSH_OK) {
        doubt = RUSH_DOUBT_FORMAT;

    } else {
        doubt = ngx_seckill_alipay_owner(&ngx_seckill_notice_conf(q)->alipay,
                                         &t);
    }

    rc = (doubt != RUSH_TRUSTED)
         ? ngx_seckill_notice_refuse(q, doubt)
         : ngx_seckill_notice_add(q, t.is_refund ? RUSH_NOTICE_REFUND
                                                 : RUSH_NOTICE_PAY,
                                  &t.notify_id, b->data, b->len);

    ngx_explicit_memzero(copy, b->len);

    return rc;
}


static rush_doubt_e
ngx_seckill_alipay_owner(ngx_seckill_alipay_conf_t *acf,
    rush_alipay_notice_t *t)
{
    if (!ngx_seckill_notice_is_ours(acf->apps, &t->app_id)) {
        return RUSH_DOUBT_OWNER;
    }

    if (acf->seller.len
        && (t->seller_id.len != acf->seller.len
            || ngx_memcmp(t->seller_id.data, acf->seller.data,
                          acf->seller.len) != 0))
    {
        return RUSH_DOUBT_OWNER;
    }

    return RUSH_TRUSTED;
}
