
/*
 * Copyright (C) Rush
 *
 * Platform certificates of WeChat Pay.  The consumer downloads them and puts
 * them into Redis, sealed (see rush_notice.h); a process that meets a serial it
 * does not know reads that one key, and keeps the certificate until it ends,
 * old and new side by side.
 *
 * Anybody may send a serial, so what was asked for is remembered: a serial that
 * is not there is not asked for again within a second, and there are at most
 * NGX_SECKILL_NOTICE_LOOKS questions a second in all.  Requests that come
 * while one asks wait for its answer.  The table is by hash; one of two serials
 * of the same place is asked for once more, nothing else.
 */


#include "ngx_seckill_notice.h"


#define NGX_SECKILL_LOOKS   256         /* serials that are remembered */
#define NGX_SECKILL_LOOKED  1000        /* ms */

#define NGX_SECKILL_KEY_LEN (sizeof(RUSH_PAYKEY_KEY) - 1 + RUSH_WXPAY_SERIAL)


typedef struct {
    uint64_t              hash;         /* of the serial */
    ngx_msec_t            at;
    unsigned              used:1;
    unsigned              asking:1;     /* there is no answer yet */
} ngx_seckill_look_t;


static uint64_t ngx_seckill_look_hash(rush_str_t *serial);
static ngx_int_t ngx_seckill_look_take(ngx_rush_req_t *q, rush_str_t *serial,
    u_char *data, size_t len);


/* of this process: certificates are nobody's secret, and stay on reload */

static rush_wxpay_ring_t   ngx_seckill_notice_ring;
static ngx_seckill_look_t  ngx_seckill_looks[NGX_SECKILL_LOOKS];
static ngx_msec_t          ngx_seckill_look_window;
static ngx_uint_t          ngx_seckill_look_count;


const rush_rsa_t *
ngx_seckill_notice_key(rush_str_t *serial, int64_t now)
{
    return rush_wxpay_ring_find(&ngx_seckill_notice_ring, serial, now);
}


/*
 * NGX_AGAIN or NGX_OK: asked, looked() is next; NGX_DONE: somebody asks, wait
 * and come again; NGX_DECLINED: it was not there; NGX_BUSY: too many ask
 */

ngx_int_t
ngx_seckill_notice_look(ngx_rush_req_t *q, rush_str_t *serial)
{
    u_char               key[NGX_SECKILL_KEY_LEN];
    uint64_t             hash;
    ngx_str_t            args[2];
    ngx_msec_t           window;
    ngx_seckill_look_t  *look;

    if (ngx_rush_seal_key(q->r) == NULL) {
        return NGX_DECLINED;            /* public key only */
    }

    hash = ngx_seckill_look_hash(serial);
    look = &ngx_seckill_looks[hash % NGX_SECKILL_LOOKS];

    if (look->used && look->hash == hash
        && ngx_current_msec - look->at < NGX_SECKILL_LOOKED)
    {
        return look->asking ? NGX_DONE : NGX_DECLINED;
    }

    window = ngx_current_msec / 1000;

    if (window != ngx_seckill_look_window) {
        ngx_seckill_look_window = window;
        ngx_seckill_look_count = 0;
    }

    if (ngx_seckill_look_count++ >= NGX_SECKILL_NOTICE_LOOKS) {
        return NGX_BUSY;
    }

    ngx_rush_count(NGX_RUSH_C_NOTICE_LOOKS, 1);

    look->hash = hash;
    look->at = ngx_current_msec;
    look->used = 1;
    look->asking = 1;

    ngx_str_set(&args[0], "GET");
    args[1].data = key;
    args[1].len = ngx_sprintf(key, RUSH_PAYKEY_KEY "%*s", serial->len,
                              serial->data)
                  - key;

    return ngx_rush_redis(q, 2, args, NGX_OK);
}


/* NGX_OK: it is in the ring; NGX_DECLINED: there is none; NGX_ERROR: Redis is
 * away, or what it has could not be read now */

ngx_int_t
ngx_seckill_notice_looked(ngx_rush_req_t *q, rush_str_t *serial)
{
    uint64_t             hash;
    ngx_int_t            rc;
    ngx_seckill_look_t  *look;

    hash = ngx_seckill_look_hash(serial);
    look = &ngx_seckill_looks[hash % NGX_SECKILL_LOOKS];

    if (q->reply == NULL) {
        rc = NGX_ERROR;

    } else if (q->reply->type == REDIS_REPLY_NIL) {
        rc = NGX_DECLINED;

    } else if (q->reply->type != REDIS_REPLY_STRING) {
        rc = NGX_ERROR;                 /* no answer to a GET */

    } else {
        rc = ngx_seckill_look_take(q, serial, (u_char *) q->reply->str,
                                   q->reply->len);
    }

    if (look->hash == hash) {
        look->asking = 0;
        look->used = (rc == NGX_DECLINED);
    }

    return rc;
}


static ngx_int_t
ngx_seckill_look_take(ngx_rush_req_t *q, rush_str_t *serial, u_char *data,
    size_t len)
{
    int          n;
    u_char      *pem;
    ngx_int_t    rc;
    rush_rsa_t  *key;
    const char  *err;

    rc = NGX_DECLINED;

    if (len > RUSH_PAYKEY_MAX) {
        err = "is too long";
        goto failed;
    }

    pem = ngx_pnalloc(q->r->pool, len + 1);
    if (pem == NULL) {
        return NGX_ERROR;
    }

    n = rush_unseal(ngx_rush_seal_key(q->r), RUSH_PAYKEY_LABEL, serial, data,
                    len, pem);

    if (n == RUSH_UNSURE) {
        return NGX_ERROR;
    }

    if (n < 0) {
        err = "is not sealed by the key of this node";
        goto failed;
    }

    key = rush_rsa_public(pem, n, &err);

    if (key == NULL) {

        /* memory, or a fault of ours: it says nothing of the notice */

        rc = NGX_ERROR;
        goto failed;
    }

    if (!rush_wxpay_is_of(key, serial)
        || rush_rsa_info(key)->until <= ngx_rush_now_ms())
    {
        rush_rsa_free(key);
        err = "is of another serial, or has ended";
        goto failed;
    }

    if (rush_wxpay_ring_add(&ngx_seckill_notice_ring, serial, key)
        != RUSH_OK)
    {
        err = "has no place";
        rc = NGX_ERROR;
        goto failed;
    }

    return NGX_OK;

failed:

    /* only the consumer writes there */

    ngx_log_error(NGX_LOG_ERR, q->r->connection->log, 0,
                  "certificate \"%*s\" of wechat in redis %s", serial->len,
                  serial->data, err);

    return rc;
}


static uint64_t
ngx_seckill_look_hash(rush_str_t *serial)
{
    size_t    i;
    uint64_t  h;

    h = 0xcbf29ce484222325ULL;          /* FNV-1a */

    for (i = 0; i < serial->len; i++) {
        h = (h ^ serial->data[i]) * 0x100000001b3ULL;
    }

    return h;
}
