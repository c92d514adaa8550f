
/*
 * Copyright (C) Rush
 */


#include "ngx_seckill_notice.h"

#include <openssl/evp.h>


/*
 * What both providers share: the answer in their form, and the stream.  The
 * one durable effect is the entry; who was not told that it is there comes
 * again, and the cashier knows both by the notice's own id.
 */


static ngx_int_t ngx_seckill_notice_answer(ngx_rush_req_t *q, ngx_int_t code,
    const char *why);
static ngx_uint_t ngx_seckill_notice_status(ngx_int_t code);
static ngx_int_t ngx_seckill_notice_id(rush_str_t *id, u_char *dst,
    ngx_str_t *name);


#define NGX_SECKILL_NOTICE_FAIL  "{\"code\":\"FAIL\",\"message\":\"%s\"}"

#define ngx_seckill_notice_is_alipay(q)                                       \
    ((q)->route->steps == ngx_seckill_callback_alipay_steps)


_Static_assert(NGX_RUSH_C_NOTICE_OFF - NGX_RUSH_C_NOTICE_UNSIGNED
               == RUSH_DOUBT_OFF - RUSH_DOUBT_UNSIGNED
               && NGX_RUSH_C_NOTICE_SIZE - NGX_RUSH_C_NOTICE_UNSIGNED
                  == RUSH_DOUBT_SIZE - RUSH_DOUBT_UNSIGNED
               && NGX_RUSH_C_NOTICE_FORMAT - NGX_RUSH_C_NOTICE_UNSIGNED
                  == RUSH_DOUBT_FORMAT - RUSH_DOUBT_UNSIGNED,
               "counters of notices in the order of RUSH_DOUBTS");


#define NGX_SECKILL_DOUBT_TEXT(name, text, why)  text,

static const char  *ngx_seckill_doubts[] = {
    "", RUSH_DOUBTS(NGX_SECKILL_DOUBT_TEXT)
};

/* the last one, UNSURE, is no refusal */

static const ngx_int_t  ngx_seckill_refusals[RUSH_DOUBT_UNSURE] = {
    [RUSH_DOUBT_UNSIGNED] = RUSH_UNAUTHORIZED,
    [RUSH_DOUBT_TIME] = RUSH_UNAUTHORIZED,
    [RUSH_DOUBT_SERIAL] = RUSH_UNAUTHORIZED,
    [RUSH_DOUBT_SIGNATURE] = RUSH_UNAUTHORIZED,
    [RUSH_DOUBT_FORMAT] = RUSH_BAD_REQUEST,
    [RUSH_DOUBT_RESOURCE] = RUSH_BAD_REQUEST,
    [RUSH_DOUBT_OWNER] = RUSH_BAD_REQUEST,
    [RUSH_DOUBT_SIZE] = RUSH_BAD_REQUEST,
    [RUSH_DOUBT_OFF] = RUSH_NOT_FOUND
};

_Static_assert(RUSH_DOUBT_OFF == RUSH_DOUBT_UNSURE - 1
               && RUSH_DOUBT_UNSURE == RUSH_DOUBT_COUNT - 1,
               "each doubt but UNSURE has its refusal");


static ngx_str_t  ngx_seckill_json_type = ngx_string("application/json");
static ngx_str_t  ngx_seckill_text_type = ngx_string("text/plain");


ngx_seckill_notice_conf_t *
ngx_seckill_notice_conf(ngx_rush_req_t *q)
{
    ngx_seckill_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(q->r, ngx_http_seckill_module);

    return mcf->notice;
}


/* who is refused learns no more than that: the log tells the reason */

ngx_int_t
ngx_seckill_notice_refuse(ngx_rush_req_t *q, rush_doubt_e doubt)
{
    if (doubt == RUSH_DOUBT_UNSURE) {
        return ngx_seckill_notice_busy(q);
    }

    ngx_rush_count(NGX_RUSH_C_NOTICE_UNSIGNED + doubt - RUSH_DOUBT_UNSIGNED,
                   1);

    ngx_log_error(NGX_LOG_INFO, q->r->connection->log, 0,
                  "notice of %s refused: %s",
                  ngx_seckill_notice_is_alipay(q) ? "alipay" : "wechat",
                  ngx_seckill_doubts[doubt]);

    return ngx_seckill_notice_answer(q, ngx_seckill_refusals[doubt],
                                     "refused");
}


ngx_int_t
ngx_seckill_notice_busy(ngx_rush_req_t *q)
{
    ngx_rush_count(NGX_RUSH_C_NOTICE_BUSY, 1);

    return ngx_seckill_notice_answer(q, RUSH_BUSY, "come again");
}


ngx_int_t
ngx_seckill_notice_taken(ngx_rush_req_t *q)
{
    return ngx_seckill_notice_answer(q, RUSH_OK, NULL);
}


static ngx_int_t
ngx_seckill_notice_answer(ngx_rush_req_t *q, ngx_int_t code, const char *why)
{
    u_char      text[128];
    ngx_int_t   rc;
    ngx_str_t   body, *type;
    ngx_uint_t  status;

    status = ngx_seckill_notice_status(code);

    if (ngx_seckill_notice_is_alipay(q)) {
        type = &ngx_seckill_text_type;

        if (code == RUSH_OK) {
            ngx_str_set(&body, "success");

        } else {
            ngx_str_set(&body, "failure");
        }

    } else {
        type = &ngx_seckill_json_type;
        body.data = text;
        body.len = (code == RUSH_OK) ? 0
                   : ngx_snprintf(text, sizeof(text),
                                  NGX_SECKILL_NOTICE_FAIL, why) - text;
    }

    rc = ngx_rush_send(q, status, type, body.data, body.len);

    return (rc == NGX_DONE && code != RUSH_OK) ? code : rc;
}


static ngx_uint_t
ngx_seckill_notice_status(ngx_int_t code)
{
    switch (code) {

    case RUSH_OK:
        return NGX_HTTP_OK;

    case RUSH_UNAUTHORIZED:
        return NGX_HTTP_UNAUTHORIZED;

    case RUSH_BAD_REQUEST:
        return NGX_HTTP_BAD_REQUEST;

    case RUSH_NOT_FOUND:
        return NGX_HTTP_NOT_FOUND;
    }

    return NGX_HTTP_SERVICE_UNAVAILABLE;
}


ngx_int_t
ngx_seckill_notice_add(ngx_rush_req_t *q, const char *kind, rush_str_t *id,
    u_char *body, size_t len)
{
    u_char      received[NGX_INT64_LEN], name[RUSH_NOTICE_ID];
    ngx_int_t   rc;
    ngx_str_t   args[13];

    if (len > RUSH_NOTICE_BODY) {
        return ngx_seckill_notice_refuse(q, RUSH_DOUBT_SIZE);
    }

    if (ngx_seckill_notice_id(id, name, &args[8]) != NGX_OK) {
        return ngx_seckill_notice_busy(q);
    }

    ngx_str_set(&args[0], "XADD");
    ngx_str_set(&args[1], RUSH_NOTICE_KEY);
    ngx_str_set(&args[2], "*");
    ngx_str_set(&args[3], "p");

    if (ngx_seckill_notice_is_alipay(q)) {
        ngx_str_set(&args[4], RUSH_NOTICE_ALIPAY);

    } else {
        ngx_str_set(&args[4], RUSH_NOTICE_WECHAT);
    }

    ngx_str_set(&args[5], "k");
    args[6].data = (u_char *) kind;
    args[6].len = ngx_strlen(kind);
    ngx_str_set(&args[7], "n");
    ngx_str_set(&args[9], "b");
    args[10].data = body;
    args[10].len = len;
    ngx_str_set(&args[11], "r");
    args[12].data = received;
    args[12].len = ngx_sprintf(received, "%L", ngx_rush_now_ms()) - received;

    rc = ngx_rush_redis(q, 13, args, NGX_OK);

    if (rc == NGX_ERROR) {
        return ngx_seckill_notice_busy(q);
    }

    return rc;
}


/* a name that is no name of ours has a hash instead, see rush_notice.h */

static ngx_int_t
ngx_seckill_notice_id(rush_str_t *id, u_char *dst, ngx_str_t *name)
{
    u_char    hash[EVP_MAX_MD_SIZE], hex[2 * EVP_MAX_MD_SIZE], c;
    size_t    i;
    unsigned  n;

    name->data = id->data;
    name->len = id->len;

    for (i = 0; i < id->len && id->len <= RUSH_NOTICE_ID; i++) {
        c = id->data[i];

        if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z')
              || (c >= 'a' && c <= 'z') || c == '.' || c == '_' || c == ':'
              || c == '-'))
        {
            break;
        }
    }

    if (i == id->len) {
        return NGX_OK;
    }

    if (EVP_Digest(id->data, id->len, hash, &n, EVP_sha256(), NULL) != 1) {
        return NGX_ERROR;
    }

    (void) ngx_hex_dump(hex, hash, n);

    dst[0] = 'h';
    dst[1] = ':';
    ngx_memcpy(dst + 2, hex, RUSH_NOTICE_ID - 2);

    name->data = dst;
    name->len = RUSH_NOTICE_ID;

    return NGX_OK;
}


/* the last step: only what Redis has is taken */

ngx_int_t
ngx_seckill_notice_added(ngx_rush_req_t *q)
{
    if (q->reply == NULL || q->reply->type != REDIS_REPLY_STRING) {
        return ngx_seckill_notice_busy(q);
    }

    ngx_rush_count(NGX_RUSH_C_NOTICE_STORED, 1);

    return ngx_seckill_notice_taken(q);
}
