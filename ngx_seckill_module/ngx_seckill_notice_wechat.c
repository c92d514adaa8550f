
/*
 * Copyright (C) Rush
 */


#include "ngx_seckill_notice.h"


static ngx_int_t ngx_seckill_wechat_seal(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_wechat_key(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_wechat_key_found(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_wechat_verify(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_wechat_open(ngx_rush_req_t *q);

static ngx_int_t ngx_seckill_wechat_headers(ngx_rush_req_t *q,
    rush_wxpay_seal_t *seal);
static ngx_int_t ngx_seckill_wechat_pass(ngx_rush_req_t *q,
    rush_wxpay_notice_t *n, u_char *text, size_t len);
static rush_doubt_e ngx_seckill_wechat_owner(ngx_seckill_wechat_conf_t *wcf,
    ngx_uint_t is_pay, u_char *text, size_t len);


/* of all routes: what a notice is stands in itself */

#define ngx_seckill_wechat_steps                                              \
    ngx_rush_step(ngx_seckill_wechat_seal),      /* local */                  \
    ngx_rush_step(ngx_seckill_wechat_key),       /* redis: GET, or sleeps */  \
    ngx_rush_step(ngx_seckill_wechat_key_found), /* back, after a sleep */    \
    ngx_rush_step(ngx_seckill_wechat_verify),    /* RSA, 20 us */             \
    ngx_rush_step(ngx_seckill_wechat_open),      /* redis: XADD */            \
    ngx_rush_step(ngx_seckill_notice_added),                                  \
    ngx_rush_null_step

ngx_rush_step_t  ngx_seckill_callback_wechat_steps[] = {
    ngx_seckill_wechat_steps
};

ngx_rush_step_t  ngx_seckill_callback_wechat_refund_steps[] = {
    ngx_seckill_wechat_steps
};

ngx_rush_step_t  ngx_seckill_wechat_notify_steps[] = {
    ngx_seckill_wechat_steps
};

#define NGX_SECKILL_WECHAT_KEY  1       /* of these steps */


static ngx_int_t
ngx_seckill_wechat_seal(ngx_rush_req_t *q)
{
    ngx_seckill_callback_wechat_t  *c = q->data;

    if (!ngx_seckill_notice_conf(q)->wechat.on) {
        return ngx_seckill_notice_refuse(q, RUSH_DOUBT_OFF);
    }

    if (q->body.len == 0) {
        return ngx_seckill_notice_refuse(q, RUSH_DOUBT_SIZE);
    }

    c->now = ngx_rush_now_ms();

    if (ngx_seckill_wechat_headers(q, &c->seal) != NGX_OK) {
        return ngx_seckill_notice_refuse(q, RUSH_DOUBT_UNSIGNED);
    }

    return NGX_OK;
}


/* one that comes twice proves nothing */

static ngx_int_t
ngx_seckill_wechat_headers(ngx_rush_req_t *q, rush_wxpay_seal_t *seal)
{
    ngx_int_t   rc;
    ngx_str_t   value;
    ngx_uint_t  i;

    static const struct {
        ngx_str_t    name;
        size_t       offset;
    } headers[] = {
        { ngx_string("wechatpay-timestamp"),
          offsetof(rush_wxpay_seal_t, timestamp) },
        { ngx_string("wechatpay-nonce"),
          offsetof(rush_wxpay_seal_t, nonce) },
        { ngx_string("wechatpay-serial"),
          offsetof(rush_wxpay_seal_t, serial) },
        { ngx_string("wechatpay-signature"),
          offsetof(rush_wxpay_seal_t, signature) }
    };

    for (i = 0; i < 4; i++) {
        rc = ngx_rush_header(q->r, (char *) headers[i].name.data,
                             headers[i].name.len, &value);

        if (rc != NGX_OK) {
            return NGX_ERROR;
        }

        *(ngx_str_t *) ((u_char *) seal + headers[i].offset) = value;
    }

    return NGX_OK;
}


/* a serial that is not configured and not known to this process is looked for
 * in Redis, when there is nothing else against this notice */

static ngx_int_t
ngx_seckill_wechat_key(ngx_rush_req_t *q)
{
    ngx_seckill_callback_wechat_t  *c = q->data;

    ngx_int_t                   rc;
    rush_doubt_e                doubt;
    ngx_seckill_wechat_conf_t  *wcf;

    wcf = &ngx_seckill_notice_conf(q)->wechat;

    c->key = rush_wxpay_ring_find(&wcf->ring, &c->seal.serial, c->now);

    if (c->key == NULL) {
        c->key = ngx_seckill_notice_key(&c->seal.serial, c->now);
    }

    if (c->key) {
        return NGX_OK;
    }

    doubt = rush_wxpay_check(&c->seal, c->now);

    if (doubt != RUSH_TRUSTED) {
        return ngx_seckill_notice_refuse(q, doubt);
    }

    rc = ngx_seckill_notice_look(q, &c->seal.serial);

    if (rc == NGX_DECLINED) {
        return ngx_seckill_notice_refuse(q, RUSH_DOUBT_SERIAL);
    }

    if (rc == NGX_BUSY) {
        return ngx_seckill_notice_busy(q);
    }

    c->slept = (rc == NGX_DONE);        /* another request asks for it */

    return c->slept ? ngx_rush_sleep(q, NGX_SECKILL_NOTICE_WAIT) : rc;
}


static ngx_int_t
ngx_seckill_wechat_key_found(ngx_rush_req_t *q)
{
    ngx_seckill_callback_wechat_t  *c = q->data;

    ngx_int_t  rc;

    if (c->key) {
        return NGX_OK;
    }

    if (c->slept) {
        q->step = q->route->steps + NGX_SECKILL_WECHAT_KEY;
        return NGX_OK;
    }

    rc = ngx_seckill_notice_looked(q, &c->seal.serial);

    if (rc == NGX_DECLINED) {
        return ngx_seckill_notice_refuse(q, RUSH_DOUBT_SERIAL);
    }

    if (rc != NGX_OK) {
        return ngx_seckill_notice_busy(q);
    }

    c->key = ngx_seckill_notice_key(&c->seal.serial, c->now);

    return c->key ? NGX_OK : ngx_seckill_notice_refuse(q, RUSH_DOUBT_SERIAL);
}


static ngx_int_t
ngx_seckill_wechat_verify(ngx_rush_req_t *q)
{
    ngx_seckill_callback_wechat_t  *c = q->data;

    rush_str_t    body;
    rush_doubt_e  doubt;

    body.data = q->body.data;
    body.len = q->body.len;

    doubt = rush_wxpay_verify_by(c->key, &c->seal, &body, c->now);

    return doubt == RUSH_TRUSTED ? NGX_OK
                                 : ngx_seckill_notice_refuse(q, doubt);
}


static ngx_int_t
ngx_seckill_wechat_open(ngx_rush_req_t *q)
{
    long                        len;
    u_char                     *text;
    size_t                      size;
    ngx_int_t                   rc;
    const char                 *err;
    rush_wxpay_notice_t         n;
    ngx_seckill_wechat_conf_t  *wcf;

    wcf = &ngx_seckill_notice_conf(q)->wechat;

    if (rush_wxpay_notice(&n, q->body.data, q->body.len, &err) != RUSH_OK) {
        return ngx_seckill_notice_refuse(q, RUSH_DOUBT_FORMAT);
    }

    if (!rush_wxpay_is_pay(&n) && !rush_wxpay_is_refund(&n)) {
        ngx_rush_count(NGX_RUSH_C_NOTICE_IGNORED, 1);
        return ngx_seckill_notice_taken(q);
    }

    size = n.resource.ciphertext.len / 4 * 3;

    text = ngx_pnalloc(q->r->pool, size + 1);
    if (text == NULL) {
        return ngx_seckill_notice_busy(q);
    }

    len = rush_wxpay_open(wcf->apiv3, &n.resource, text);

    if (len < 0) {
        return ngx_seckill_notice_refuse(q, rush_doubt(len,
                                                      RUSH_DOUBT_RESOURCE));
    }

    rc = ngx_seckill_wechat_pass(q, &n, text, len);

    ngx_explicit_memzero(text, size);   /* who has paid */

    return rc;
}


static ngx_int_t
ngx_seckill_wechat_pass(ngx_rush_req_t *q, rush_wxpay_notice_t *n,
    u_char *text, size_t len)
{
    u_char        *copy;
    ngx_uint_t     is_pay;
    rush_doubt_e   doubt;

    is_pay = rush_wxpay_is_pay(n);

    copy = ngx_pnalloc(q->r->pool, len + 1);
    if (copy == NULL) {
        return ngx_seckill_notice_busy(q);
    }

    ngx_memcpy(copy, text, len);        /* it is decoded in place */

    doubt = ngx_seckill_wechat_owner(&ngx_seckill_notice_conf(q)->wechat,
                                     is_pay, copy, len);

    ngx_explicit_memzero(copy, len);

    if (doubt != RUSH_TRUSTED) {
        return ngx_seckill_notice_refuse(q, doubt);
    }

    return ngx_seckill_notice_add(q, is_pay ? RUSH_NOTICE_PAY
                                            : RUSH_NOTICE_REFUND,
                                  &n->id, text, len);
}


static rush_doubt_e
ngx_seckill_wechat_owner(ngx_seckill_wechat_conf_t *wcf, ngx_uint_t is_pay,
    u_char *text, size_t len)
{
    const char           *err;
    rush_str_t           *mchid;
    rush_wxpay_trade_t    t;
    rush_wxpay_refund_t   f;

    if (is_pay) {

        if (rush_wxpay_trade(&t, text, len, &err) != RUSH_OK) {
            return RUSH_DOUBT_FORMAT;
        }

        if (!ngx_seckill_notice_is_ours(wcf->appids, &t.appid)) {
            return RUSH_DOUBT_OWNER;
        }

        mchid = &t.mchid;

    } else {

        if (rush_wxpay_refund(&f, text, len, &err) != RUSH_OK) {
            return RUSH_DOUBT_FORMAT;
        }

        mchid = &f.mchid;
    }

    if (wcf->mchid.len
        && (mchid->len != wcf->mchid.len
            || ngx_memcmp(mchid->data, wcf->mchid.data, mchid->len) != 0))
    {
        return RUSH_DOUBT_OWNER;
    }

    return RUSH_TRUSTED;
}
