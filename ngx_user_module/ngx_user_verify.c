
/*
 * Copyright (C) Rush
 */


#include "ngx_user_module.h"

#include <openssl/rand.h>


static ngx_int_t ngx_user_check_verify(ngx_rush_req_t *q);
static ngx_int_t ngx_user_trade(ngx_rush_req_t *q);
static ngx_int_t ngx_user_traded(ngx_rush_req_t *q);
static ngx_int_t ngx_user_make_ticket(ngx_rush_req_t *q);


ngx_rush_step_t  ngx_user_verify_code_steps[] = {
    ngx_rush_step(ngx_user_check_verify),        /* local */
    ngx_rush_step(ngx_user_trade),               /* redis: code_take.lua */
    ngx_rush_step(ngx_user_traded),
    ngx_rush_null_step
};


static ngx_int_t
ngx_user_check_verify(ngx_rush_req_t *q)
{
    ngx_user_verify_code_t  *verify = q->data;

    ngx_int_t                rc;

    rc = ngx_user_check_scene(q, &verify->scene);

    if (rc == NGX_OK) {
        rc = ngx_user_take_target(q, &verify->mobile, &verify->email,
                                  &verify->target);
    }

    if (rc == NGX_OK) {
        rc = ngx_user_check_code(q, &verify->code);
    }

    return rc;
}


/* the ticket itself is the fingerprint: who has the code twice has one */

static ngx_int_t
ngx_user_trade(ngx_rush_req_t *q)
{
    ngx_user_verify_code_t  *verify = q->data;

    size_t                   len;
    u_char                   keys[2][NGX_USER_HEX_LEN + 16];
    u_char                   mac[NGX_USER_HEX_LEN], life[NGX_INT_T_LEN];
    u_char                   sealed[1 + NGX_USER_TARGET_MAX + RUSH_SEAL_EXTRA];
    u_char                   plain[1 + NGX_USER_TARGET_MAX];
    ngx_str_t                args[8];
    rush_str_t               ticket;

    if (ngx_user_make_ticket(q) != NGX_OK) {
        return NGX_ERROR;
    }

    ticket.data = verify->ticket;
    ticket.len = NGX_USER_TICKET_LEN;

    if (ngx_user_code_key(q, &verify->scene, &verify->target, keys[0], &len)
        != NGX_OK
        || ngx_user_code_mac(q, &verify->scene, &verify->target,
                             &verify->code, mac)
           != NGX_OK
        || ngx_user_ticket_key(&ticket, keys[1], &args[1].len) != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_explicit_memzero(verify->code.data, verify->code.len);

    args[0].data = keys[0];
    args[0].len = len;
    args[1].data = keys[1];
    args[2].data = mac;
    args[2].len = NGX_USER_HEX_LEN;

    /* the rest of the key is the digest of the ticket */
    args[3].data = keys[1] + args[1].len - NGX_USER_HEX_LEN;
    args[3].len = NGX_USER_HEX_LEN;
    ngx_str_set(&args[4], NGX_USER_CODE_TRIES);
    args[5].data = verify->scene.data;
    args[5].len = verify->scene.len;

    plain[0] = verify->target.email ? 'e' : 'm';
    ngx_memcpy(&plain[1], verify->target.text.data, verify->target.text.len);

    args[6].data = sealed;
    args[6].len = rush_seal(ngx_rush_seal_key(q->r), "ticket", &ticket, plain,
                            1 + verify->target.text.len, sealed);

    if (args[6].len == 0) {
        return ngx_user_failed(q, "rush_seal()");
    }

    args[7].data = life;
    args[7].len = ngx_sprintf(life, "%i", (ngx_int_t) NGX_USER_TICKET_LIFE)
                  - life;

    return ngx_user_script(q, RUSH_LUA_CODE_TAKE, 2, args, 8);
}


static ngx_int_t
ngx_user_traded(ngx_rush_req_t *q)
{
    ngx_user_verify_code_t  *verify = q->data;

    rush_str_t               ticket;

    if (q->reply->type != REDIS_REPLY_INTEGER) {
        return ngx_user_failed(q, "code_take.lua");
    }

    if (q->reply->integer != 1) {
        return RUSH_CODE_WRONG;
    }

    ticket.data = verify->ticket;
    ticket.len = NGX_USER_TICKET_LEN;

    rush_json_open(&q->out, NULL, '{');
    rush_json_str(&q->out, "ticket", &ticket);
    rush_json_int(&q->out, "expires_in", NGX_USER_TICKET_LIFE / 1000);
    rush_json_close(&q->out, '}');

    ngx_explicit_memzero(verify->ticket, NGX_USER_TICKET_LEN);

    return NGX_OK;
}


/* with an Idempotency-Key the ticket follows from it, so a client that lost
 * the answer may ask again */

static ngx_int_t
ngx_user_make_ticket(ngx_rush_req_t *q)
{
    ngx_user_verify_code_t  *verify = q->data;

    u_char                   raw[NGX_USER_TICKET_RAW];
    rush_str_t               parts[4];

    _Static_assert(NGX_USER_TICKET_RAW == RUSH_SEAL_MAC, "a mac is a ticket");

    if (verify->idempotency_key.len) {
        parts[0] = verify->scene;
        parts[1] = verify->target.text;
        parts[2] = verify->code;
        parts[3] = verify->idempotency_key;

        if (rush_seal_mac(ngx_rush_seal_key(q->r), "make ticket", parts, 4,
                          raw)
            != RUSH_OK)
        {
            return ngx_user_failed(q, "rush_seal_mac()");
        }

    } else if (RAND_bytes(raw, sizeof(raw)) != 1) {
        return ngx_user_failed(q, "RAND_bytes()");
    }

    (void) rush_base64url_encode(verify->ticket, raw, sizeof(raw));
    ngx_explicit_memzero(raw, sizeof(raw));

    return NGX_OK;
}
