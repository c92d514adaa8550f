
/*
 * Copyright (C) Rush
 */


#include "ngx_user_module.h"

#include <openssl/rand.h>


static ngx_int_t ngx_user_check_send(ngx_rush_req_t *q);
static ngx_int_t ngx_user_send(ngx_rush_req_t *q);
static ngx_int_t ngx_user_queued(ngx_rush_req_t *q);

static ngx_int_t ngx_user_draw_code(u_char *dst);
static ngx_int_t ngx_user_write_message(ngx_rush_req_t *q, u_char *code,
    ngx_str_t *message);


ngx_rush_step_t  ngx_user_send_code_steps[] = {
    ngx_rush_step(ngx_user_check_send),          /* local */
    ngx_rush_step(ngx_user_send),                /* redis: code_send.lua */
    ngx_rush_step(ngx_user_queued),
    ngx_rush_null_step
};


static u_char  ngx_user_shas[RUSH_LUA_COUNT][40];


void
ngx_user_code_init(void)
{
    ngx_uint_t  i;

    for (i = 0; i < RUSH_LUA_COUNT; i++) {
        ngx_rush_script_sha(ngx_user_shas[i], &rush_lua[i]);
    }
}


u_char *
ngx_user_sha(ngx_uint_t lua)
{
    return ngx_user_shas[lua];
}


ngx_int_t
ngx_user_script(ngx_rush_req_t *q, ngx_uint_t lua, ngx_uint_t nkeys,
    ngx_str_t *args, ngx_uint_t nargs)
{
    ngx_str_t  sha;

    sha.data = ngx_user_shas[lua];
    sha.len = sizeof(ngx_user_shas[lua]);

    return ngx_rush_script(q, &sha, nkeys, args, nargs, RUSH_BUSY);
}


static ngx_int_t
ngx_user_check_send(ngx_rush_req_t *q)
{
    ngx_user_send_code_t  *send = q->data;

    ngx_int_t              rc;

    rc = ngx_user_check_scene(q, &send->scene);
    if (rc != NGX_OK) {
        return rc;
    }

    return ngx_user_take_target(q, &send->mobile, &send->email,
                                &send->target);
}


/* nobody looks whether the number has an account: one answer for all */

static ngx_int_t
ngx_user_send(ngx_rush_req_t *q)
{
    ngx_user_send_code_t  *send = q->data;

    size_t                  len;
    u_char                 *p, keys[3][NGX_USER_HEX_LEN + 16];
    u_char                  numbers[5 * NGX_INT_T_LEN], code[8];
    u_char                  mac[NGX_USER_HEX_LEN];
    ngx_int_t               rc, values[5];
    ngx_str_t               args[11];
    ngx_uint_t              i;
    rush_str_t              text;
    ngx_user_loc_conf_t    *ucf;
    ngx_user_code_limit_t  *limit;

    ucf = ngx_http_get_module_loc_conf(q->r, ngx_http_user_module);
    limit = &ucf->code_limit;

    if (ngx_user_draw_code(code) != NGX_OK) {
        return ngx_user_failed(q, "code");
    }

    text.data = code;
    text.len = NGX_USER_CODE_LEN;

    rc = ngx_user_code_key(q, &send->scene, &send->target, keys[0], &len);
    args[0].data = keys[0];
    args[0].len = len;

    p = ngx_cpymem(keys[1], "{rush}c:n:", sizeof("{rush}c:n:") - 1);
    args[1].data = keys[1];
    args[1].len = p - keys[1] + NGX_USER_HEX_LEN;

    if (rc != NGX_OK
        || ngx_user_mac(q, p, "number", &send->target.text, 1) != NGX_OK
        || ngx_user_address_key(q, "{rush}c:a:", keys[2], &len) != NGX_OK
        || ngx_user_code_mac(q, &send->scene, &send->target, &text, mac)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    args[2].data = keys[2];
    args[2].len = len;
    ngx_str_set(&args[3], NGX_USER_OUT_KEY);
    args[4].data = mac;
    args[4].len = NGX_USER_HEX_LEN;

    values[0] = NGX_USER_CODE_LIFE;
    values[1] = limit->interval;
    values[2] = limit->hour;
    values[3] = limit->day;
    values[4] = limit->address;
    p = numbers;

    for (i = 0; i < 5; i++) {
        args[5 + i].data = p;
        p = ngx_sprintf(p, "%i", values[i]);
        args[5 + i].len = p - args[5 + i].data;
    }

    rc = ngx_user_write_message(q, code, &args[10]);
    ngx_explicit_memzero(code, sizeof(code));

    if (rc != NGX_OK) {
        return rc;
    }

    return ngx_user_script(q, RUSH_LUA_CODE_SEND, 4, args, 11);
}


static ngx_int_t
ngx_user_queued(ngx_rush_req_t *q)
{
    int64_t               wait;
    ngx_user_loc_conf_t  *ucf;

    if (q->reply->type != REDIS_REPLY_INTEGER) {
        return ngx_user_failed(q, "code_send.lua");
    }

    wait = (q->reply->integer + 999) / 1000;

    if (wait > 0) {
        q->retry_after = wait;

        rush_json_open(&q->out, NULL, '{');
        rush_json_int(&q->out, "retry_after_s", wait);
        rush_json_close(&q->out, '}');

        return RUSH_CODE_LIMITED;
    }

    ucf = ngx_http_get_module_loc_conf(q->r, ngx_http_user_module);

    rush_json_open(&q->out, NULL, '{');
    rush_json_int(&q->out, "expires_in", NGX_USER_CODE_LIFE / 1000);
    rush_json_int(&q->out, "resend_after",
                  (ucf->code_limit.interval + 999) / 1000);
    rush_json_close(&q->out, '}');

    return NGX_OK;
}


ngx_int_t
ngx_user_check_scene(ngx_rush_req_t *q, rush_str_t *scene)
{
    ngx_uint_t  i;

    static ngx_str_t  scenes[] = {
        ngx_string("register"), ngx_string("login"), ngx_string("reset"),
        ngx_string("bind")
    };

    for (i = 0; i < sizeof(scenes) / sizeof(ngx_str_t); i++) {

        if (scene->len == scenes[i].len
            && ngx_memcmp(scene->data, scenes[i].data, scene->len) == 0)
        {
            return NGX_OK;
        }
    }

    return ngx_rush_refuse(q, "scene",
                           "must be register, login, reset or bind");
}


ngx_int_t
ngx_user_take_target(ngx_rush_req_t *q, rush_str_t *mobile, rush_str_t *email,
    ngx_user_target_t *target)
{
    if ((mobile->len != 0) == (email->len != 0)) {
        return ngx_rush_refuse(q, "mobile", "give either mobile or email");
    }

    if (mobile->len) {

        if (ngx_user_mobile(mobile) != NGX_OK) {
            return ngx_rush_refuse(q, "mobile", NGX_USER_MOBILE_RULE);
        }

        target->text = *mobile;
        target->email = 0;

        return NGX_OK;
    }

    if (ngx_user_email(email) != NGX_OK) {
        return ngx_rush_refuse(q, "email", NGX_USER_EMAIL_RULE);
    }

    target->text = *email;
    target->email = 1;

    return NGX_OK;
}


ngx_int_t
ngx_user_check_code(ngx_rush_req_t *q, rush_str_t *code)
{
    size_t  i;

    for (i = 0; i < code->len; i++) {

        if (code->data[i] < '0' || code->data[i] > '9') {
            break;
        }
    }

    if (i != NGX_USER_CODE_LEN || i != code->len) {
        return ngx_rush_refuse(q, "code", "must be 6 digits");
    }

    return NGX_OK;
}


ngx_int_t
ngx_user_mac(ngx_rush_req_t *q, u_char *dst, const char *label,
    rush_str_t *parts, ngx_uint_t n)
{
    u_char  mac[RUSH_SEAL_MAC];

    if (rush_seal_mac(ngx_rush_seal_key(q->r), label, parts, n, mac)
        != RUSH_OK)
    {
        return ngx_user_failed(q, "rush_seal_mac()");
    }

    (void) ngx_hex_dump(dst, mac, sizeof(mac));

    return NGX_OK;
}


ngx_int_t
ngx_user_code_key(ngx_rush_req_t *q, rush_str_t *scene,
    ngx_user_target_t *target, u_char *key, size_t *len)
{
    u_char      *p;
    rush_str_t   parts[2];

    parts[0] = *scene;
    parts[1] = target->text;

    p = ngx_cpymem(key, "{rush}c:k:", sizeof("{rush}c:k:") - 1);
    *len = p - key + NGX_USER_HEX_LEN;

    return ngx_user_mac(q, p, "code key", parts, 2);
}


ngx_int_t
ngx_user_code_mac(ngx_rush_req_t *q, rush_str_t *scene,
    ngx_user_target_t *target, rush_str_t *code, u_char *mac)
{
    rush_str_t  parts[3];

    parts[0] = *scene;
    parts[1] = target->text;
    parts[2] = *code;

    return ngx_user_mac(q, mac, "code", parts, 3);
}


/* each of a million is as likely as the others */

static ngx_int_t
ngx_user_draw_code(u_char *dst)
{
    uint32_t  v;

    do {
        if (RAND_bytes((u_char *) &v, sizeof(v)) != 1) {
            return NGX_ERROR;
        }
    } while (v >= 4294000000U);

    (void) ngx_sprintf(dst, "%06uD", v % 1000000);

    return NGX_OK;
}


/* for consumer/courier_message.c */

static ngx_int_t
ngx_user_write_message(ngx_rush_req_t *q, u_char *code, ngx_str_t *message)
{
    ngx_user_send_code_t  *send = q->data;

    ngx_int_t              rc;
    rush_buf_t             b;
    rush_str_t             text;

    ngx_memzero(&b, sizeof(rush_buf_t));

    text.data = code;
    text.len = NGX_USER_CODE_LEN;

    rush_json_open(&b, NULL, '{');
    rush_json_text(&b, "kind", send->target.email ? "mail" : "sms");
    rush_json_str(&b, "target", &send->target.text);
    rush_json_str(&b, "scene", &send->scene);
    rush_json_str(&b, "code", &text);
    rush_json_int(&b, "life", NGX_USER_CODE_LIFE);
    rush_json_close(&b, '}');

    rc = NGX_ERROR;
    message->len = 0;
    message->data = b.failed ? NULL
                             : ngx_pnalloc(q->r->pool,
                                           b.len + RUSH_SEAL_EXTRA);

    if (message->data) {
        message->len = rush_seal(ngx_rush_seal_key(q->r), NGX_USER_OUT_LABEL,
                                 NULL, b.data, b.len, message->data);
        rc = message->len ? NGX_OK : ngx_user_failed(q, "rush_seal()");
    }

    rush_buf_wipe(&b);

    return rc;
}


/* IPv6 by the network that one customer gets */

ngx_int_t
ngx_user_address_key(ngx_rush_req_t *q, const char *prefix, u_char *key,
    size_t *len)
{
    u_char               *p;
    rush_str_t            address;
    struct sockaddr      *sa;
#if (NGX_HAVE_INET6)
    struct sockaddr_in6  *sin6;
#endif

    sa = q->r->connection->sockaddr;

    ngx_str_null(&address);

    switch (sa->sa_family) {

    case AF_INET:
        address.data = (u_char *) &((struct sockaddr_in *) sa)->sin_addr;
        address.len = 4;
        break;

#if (NGX_HAVE_INET6)
    case AF_INET6:
        sin6 = (struct sockaddr_in6 *) sa;
        address.data = sin6->sin6_addr.s6_addr;
        address.len = 8;

        if (IN6_IS_ADDR_V4MAPPED(&sin6->sin6_addr)) {
            address.data += 12;
            address.len = 4;
        }

        break;
#endif
    }

    p = ngx_cpymem(key, prefix, ngx_strlen(prefix));
    *len = p - key + NGX_USER_HEX_LEN;

    return ngx_user_mac(q, p, "address", &address, 1);
}


ngx_int_t
ngx_user_failed(ngx_rush_req_t *q, const char *what)
{
    ngx_log_error(NGX_LOG_ERR, q->r->connection->log, 0, "%s failed", what);

    return NGX_ERROR;
}
