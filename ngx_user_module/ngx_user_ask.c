
/*
 * Copyright (C) Rush
 *
 * Steps that ask WeChat by way of the consumer and wait for the answer; what
 * they leave in Redis is told in rush_ask.h.
 */


#include "ngx_user_wx.h"


typedef struct {                        /* an answer, opened */
    int64_t               code;
    rush_str_t            key;
    rush_str_t            mobile;
} ngx_user_answer_t;


static ngx_int_t ngx_user_ask_name(ngx_rush_req_t *q);
static ngx_int_t ngx_user_ask_seal(ngx_rush_req_t *q, ngx_str_t *sealed);
static ngx_int_t ngx_user_ask_open(ngx_rush_req_t *q, ngx_user_answer_t *a);
static ngx_int_t ngx_user_ask_judge(ngx_rush_req_t *q, ngx_user_answer_t *a);
static ngx_int_t ngx_user_ask_spoilt(ngx_rush_req_t *q, const char *what);
static void ngx_user_ask_forgotten(void *data, redisReply *reply,
    rush_outcome_e outcome);


#define NGX_USER_ANSWER_KEY  (sizeof(RUSH_ANSWER_KEY) - 1 + RUSH_ASK_ID)

#define ngx_user_ask_id(a)   ((a)->key + sizeof(RUSH_ANSWER_KEY) - 1)


#define ngx_user_answer_field(name, type, max)                                \
    { rush_string(#name), type, RUSH_IN_BODY, 1, 0, max,                      \
      offsetof(ngx_user_answer_t, name) }

static const rush_field_t  ngx_user_answer_fields[] = {
    ngx_user_answer_field(code, RUSH_T_INT, 99999),
    ngx_user_answer_field(key, RUSH_T_STR, RUSH_WX_NAME_MAX),
    ngx_user_answer_field(mobile, RUSH_T_STR, 20)
};

#define NGX_USER_ANSWER_FIELDS                                                \
    (sizeof(ngx_user_answer_fields) / sizeof(rush_field_t))


ngx_int_t
ngx_user_ask(ngx_rush_req_t *q)
{
    ngx_user_wx_mini_auth_t  *auth = q->data;

    size_t                len;
    u_char               *p, address[NGX_USER_HEX_LEN + 16];
    u_char                numbers[3 * NGX_INT_T_LEN];
    ngx_int_t             values[3];
    ngx_str_t             args[8];
    ngx_uint_t            i;
    ngx_user_loc_conf_t  *ucf;

    ucf = ngx_http_get_module_loc_conf(q->r, ngx_http_user_module);

    if (ngx_user_ask_name(q) != NGX_OK
        || ngx_user_ask_seal(q, &args[4]) != NGX_OK
        || ngx_user_address_key(q, "{rush}c:w:", address, &len) != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_explicit_memzero(auth->code.data, auth->code.len);

    if (auth->phone_code.len) {
        ngx_explicit_memzero(auth->phone_code.data, auth->phone_code.len);
    }

    args[0].data = auth->ask.key;
    args[0].len = NGX_USER_ANSWER_KEY;
    args[1].data = address;
    args[1].len = len;
    ngx_str_set(&args[2], RUSH_ASK_KEY);
    args[3].data = ngx_user_ask_id(&auth->ask);
    args[3].len = RUSH_ASK_ID;

    values[0] = ucf->wx_limit.address;
    values[1] = ucf->wx_limit.waiting;
    values[2] = RUSH_ASK_LIFE;
    p = numbers;

    for (i = 0; i < 3; i++) {
        args[5 + i].data = p;
        p = ngx_sprintf(p, "%i", values[i]);
        args[5 + i].len = p - args[5 + i].data;
    }

    auth->ask.started = ngx_current_msec;

    return ngx_user_script(q, RUSH_LUA_ASK, 3, args, 8);
}


/* also when there was no answer yet: q->reply is NULL then */

ngx_int_t
ngx_user_ask_wait(ngx_rush_req_t *q)
{
    ngx_user_wx_mini_auth_t  *auth = q->data;

    int64_t          left;
    ngx_msec_t       pause;
    ngx_user_ask_t  *ask;

    ask = &auth->ask;

    if (q->reply) {

        if (q->reply->type != REDIS_REPLY_INTEGER) {
            return ngx_user_failed(q, "ask.lua");
        }

        left = q->reply->integer;

        if (left > 0) {
            q->retry_after = (left + 999) / 1000;
            return RUSH_LIMITED;
        }

        if (left < 0) {
            return RUSH_BUSY;           /* too many, or nobody listens */
        }

        ask->pause = NGX_USER_POLL_FIRST;
    }

    if (ngx_current_msec - ask->started >= RUSH_ASK_WAIT) {
        return RUSH_BUSY;
    }

    pause = ask->pause;
    ask->pause = ngx_min(pause * 2, NGX_USER_POLL_MOST);

    return ngx_rush_sleep(q, pause);
}


ngx_int_t
ngx_user_ask_look(ngx_rush_req_t *q)
{
    ngx_user_wx_mini_auth_t  *auth = q->data;

    ngx_str_t  args[2];

    ngx_str_set(&args[0], "GET");
    args[1].data = auth->ask.key;
    args[1].len = NGX_USER_ANSWER_KEY;

    return ngx_rush_redis(q, 2, args, RUSH_BUSY);
}


ngx_int_t
ngx_user_ask_answered(ngx_rush_req_t *q)
{
    ngx_int_t          rc;
    ngx_user_answer_t  answer;

    if (q->reply->type == REDIS_REPLY_NIL) {
        return RUSH_BUSY;               /* Redis has lost it */
    }

    if (q->reply->type != REDIS_REPLY_STRING) {
        return ngx_user_failed(q, "answer of WeChat");
    }

    if (q->reply->len < sizeof(RUSH_ANSWER_TAKEN)) {
        q->step -= 3;                   /* ngx_user_ask_wait() */
        return NGX_OK;
    }

    rc = ngx_user_ask_open(q, &answer);

    return rc == NGX_OK ? ngx_user_ask_judge(q, &answer) : rc;
}


ngx_int_t
ngx_user_ask_forget(ngx_rush_req_t *q)
{
    ngx_user_wx_mini_auth_t  *auth = q->data;

    ngx_str_t  args[2];

    ngx_str_set(&args[0], "DEL");
    args[1].data = auth->ask.key;
    args[1].len = NGX_USER_ANSWER_KEY;

    (void) ngx_rush_redis_send(NGX_RUSH_LANE_SIDE, 2, args, 0,
                               ngx_user_ask_forgotten, NULL);

    return NGX_OK;
}


static void
ngx_user_ask_forgotten(void *data, redisReply *reply, rush_outcome_e outcome)
{
    /* nobody waits; what is still there ends with its life */
}


/* a bind and a login do not share their answers, nor do two users */

static ngx_int_t
ngx_user_ask_name(ngx_rush_req_t *q)
{
    ngx_user_wx_mini_auth_t  *auth = q->data;

    u_char      *p, user[NGX_INT64_LEN];
    rush_str_t   parts[6];

    parts[0].data = q->route->name.data;
    parts[0].len = q->route->name.len;
    parts[1].data = user;
    parts[1].len = ngx_sprintf(user, "%L", q->logged ? q->user.user
                                                     : (int64_t) 0)
                   - user;
    parts[2] = auth->code;
    parts[3] = auth->phone_code;
    parts[4] = auth->iv;
    parts[5] = auth->encrypted_data;

    p = ngx_cpymem(auth->ask.key, RUSH_ANSWER_KEY,
                   sizeof(RUSH_ANSWER_KEY) - 1);

    return ngx_user_mac(q, p, "ask id", parts, 6);
}


/* for consumer/ask_wechat.c */

static ngx_int_t
ngx_user_ask_seal(ngx_rush_req_t *q, ngx_str_t *sealed)
{
    ngx_user_wx_mini_auth_t  *auth = q->data;

    ngx_int_t   rc;
    rush_buf_t  b;
    rush_str_t  id;

    ngx_memzero(&b, sizeof(rush_buf_t));

    id.data = ngx_user_ask_id(&auth->ask);
    id.len = RUSH_ASK_ID;

    rush_json_open(&b, NULL, '{');
    rush_json_str(&b, "code", &auth->code);
    rush_json_str(&b, "phone_code", &auth->phone_code);
    rush_json_str(&b, "iv", &auth->iv);
    rush_json_str(&b, "data", &auth->encrypted_data);
    rush_json_close(&b, '}');

    rc = NGX_ERROR;
    sealed->len = 0;
    sealed->data = b.failed ? NULL
                            : ngx_pnalloc(q->r->pool,
                                          b.len + RUSH_SEAL_EXTRA);

    if (sealed->data) {
        sealed->len = rush_seal(ngx_rush_seal_key(q->r), RUSH_ASK_LABEL, &id,
                                b.data, b.len, sealed->data);
        rc = sealed->len ? NGX_OK : ngx_user_failed(q, "rush_seal()");
    }

    rush_buf_wipe(&b);

    return rc;
}


static ngx_int_t
ngx_user_ask_open(ngx_rush_req_t *q, ngx_user_answer_t *a)
{
    ngx_user_wx_mini_auth_t  *auth = q->data;

    int                 n;
    u_char             *p;
    uint64_t            present;
    rush_str_t          id;
    rush_field_error_t  err;

    ngx_memzero(a, sizeof(ngx_user_answer_t));

    if (q->reply->len > RUSH_ANSWER_MAX) {
        return ngx_user_ask_spoilt(q, "length");
    }

    p = ngx_pnalloc(q->r->pool, q->reply->len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    id.data = ngx_user_ask_id(&auth->ask);
    id.len = RUSH_ASK_ID;

    n = rush_unseal(ngx_rush_seal_key(q->r), RUSH_ANSWER_LABEL, &id,
                    q->reply->str, q->reply->len, p);

    if (n < 0) {
        return ngx_user_ask_spoilt(q, "rush_unseal()");
    }

    present = 0;

    if (rush_field_body(ngx_user_answer_fields, NGX_USER_ANSWER_FIELDS, a,
                        &present, p, n, &err)
        != RUSH_OK
        || rush_field_required(ngx_user_answer_fields, NGX_USER_ANSWER_FIELDS,
                               present, &err)
           != RUSH_OK)
    {
        return ngx_user_ask_spoilt(q, "JSON");
    }

    return NGX_OK;
}


static ngx_int_t
ngx_user_ask_judge(ngx_rush_req_t *q, ngx_user_answer_t *a)
{
    ngx_user_wx_mini_auth_t  *auth = q->data;

    switch (a->code) {

    case RUSH_OK:
        break;

    case RUSH_LIMITED:
        q->retry_after = 10;
        return RUSH_LIMITED;

    case RUSH_WX_CODE_INVALID:
    case RUSH_WX_DATA_INVALID:
    case RUSH_WX_DENIED:
    case RUSH_WX_UNAVAILABLE:
        return a->code;

    default:
        return ngx_user_ask_spoilt(q, "code");
    }

    if (a->key.len == 0) {
        return ngx_user_ask_spoilt(q, "key");
    }

    auth->ask.wx_key = a->key;

    /* a number that no account may have is as good as none */

    if (a->mobile.len && ngx_user_mobile(&a->mobile) == NGX_OK) {
        auth->ask.mobile = a->mobile;
    }

    return NGX_OK;
}


/* whoever wrote that: it opens nothing */

static ngx_int_t
ngx_user_ask_spoilt(ngx_rush_req_t *q, const char *what)
{
    ngx_log_error(NGX_LOG_ERR, q->r->connection->log, 0,
                  "answer of WeChat is spoilt: %s; is \"rush_seal_key\" that "
                  "of the consumer?", what);

    return RUSH_BUSY;
}
