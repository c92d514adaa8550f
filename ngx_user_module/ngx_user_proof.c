
/*
 * Copyright (C) Rush
 *
 * Showing a code or a ticket.  It is taken before anything else is done, as
 * who has none must not cost a hash; a pool cleanup gives it back when the
 * flow ends, by whatever way, before the proof is spent.
 */


#include "ngx_user_module.h"

#include <openssl/rand.h>
#include <openssl/sha.h>


static ngx_int_t ngx_user_name_use(ngx_rush_req_t *q, ngx_user_proof_t *proof,
    rush_str_t *parts, ngx_uint_t n);
static ngx_int_t ngx_user_keep_proof(ngx_rush_req_t *q,
    ngx_user_proof_t *proof);
static ngx_int_t ngx_user_open_target(ngx_rush_req_t *q,
    ngx_user_proof_t *proof);
static void ngx_user_free_proof(void *data);
static void ngx_user_proof_freed(void *data, redisReply *reply,
    rush_outcome_e outcome);


ngx_int_t
ngx_user_take_code(ngx_rush_req_t *q, ngx_user_proof_t *proof,
    const char *scene, rush_str_t *code, rush_str_t *idempotency_key)
{
    u_char      mac[NGX_USER_HEX_LEN];
    ngx_int_t   rc;
    ngx_str_t   args[4];
    rush_str_t  name;

    rc = ngx_user_check_code(q, code);
    if (rc != NGX_OK) {
        return rc;
    }

    name.data = (u_char *) scene;
    name.len = ngx_strlen(scene);

    if (ngx_user_code_key(q, &name, &proof->target, proof->key,
                          &proof->key_len)
        != NGX_OK
        || ngx_user_code_mac(q, &name, &proof->target, code, mac) != NGX_OK
        || ngx_user_name_use(q, proof, idempotency_key,
                             idempotency_key->len != 0)
           != NGX_OK
        || ngx_user_keep_proof(q, proof) != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_explicit_memzero(code->data, code->len);

    args[0].data = proof->key;
    args[0].len = proof->key_len;
    args[1].data = mac;
    args[1].len = NGX_USER_HEX_LEN;
    args[2].data = proof->use;
    args[2].len = NGX_USER_HEX_LEN;
    ngx_str_set(&args[3], NGX_USER_CODE_TRIES);

    return ngx_user_script(q, RUSH_LUA_CODE_TAKE, 1, args, 4);
}


ngx_int_t
ngx_user_take_ticket(ngx_rush_req_t *q, ngx_user_proof_t *proof,
    const char *scene, rush_str_t *ticket, rush_str_t *parts, ngx_uint_t n)
{
    ngx_str_t  args[3];

    if (ticket->len != NGX_USER_TICKET_LEN) {
        return RUSH_TICKET_INVALID;
    }

    proof->ticket = 1;
    proof->shown = *ticket;

    if (ngx_user_ticket_key(ticket, proof->key, &proof->key_len) != NGX_OK
        || ngx_user_name_use(q, proof, parts, n) != NGX_OK
        || ngx_user_keep_proof(q, proof) != NGX_OK)
    {
        return NGX_ERROR;
    }

    args[0].data = proof->key;
    args[0].len = proof->key_len;
    args[1].data = (u_char *) scene;
    args[1].len = ngx_strlen(scene);
    args[2].data = proof->use;
    args[2].len = NGX_USER_HEX_LEN;

    return ngx_user_script(q, RUSH_LUA_TICKET_TAKE, 1, args, 3);
}


ngx_int_t
ngx_user_proof_taken(ngx_rush_req_t *q, ngx_user_proof_t *proof)
{
    if (proof->ticket) {

        if (q->reply->type != REDIS_REPLY_STRING) {
            return RUSH_TICKET_INVALID;
        }

        proof->taken = 1;

        return ngx_user_open_target(q, proof);
    }

    if (q->reply->type != REDIS_REPLY_INTEGER || q->reply->integer != 1) {
        return RUSH_CODE_WRONG;
    }

    proof->taken = 1;

    return NGX_OK;
}


ngx_int_t
ngx_user_ticket_key(rush_str_t *ticket, u_char *key, size_t *len)
{
    u_char  *p, digest[SHA256_DIGEST_LENGTH];

    if (SHA256(ticket->data, ticket->len, digest) == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(key, "{rush}c:t:", sizeof("{rush}c:t:") - 1);
    p = ngx_hex_dump(p, digest, sizeof(digest));
    *len = p - key;

    return NGX_OK;
}


/* no parts: nothing is ever the same use again */

static ngx_int_t
ngx_user_name_use(ngx_rush_req_t *q, ngx_user_proof_t *proof,
    rush_str_t *parts, ngx_uint_t n)
{
    u_char      raw[NGX_USER_HEX_LEN / 2];
    rush_str_t  all[3];
    ngx_uint_t  i;

    if (n == 0) {

        if (RAND_bytes(raw, sizeof(raw)) != 1) {
            return ngx_user_failed(q, "RAND_bytes()");
        }

        (void) ngx_hex_dump(proof->use, raw, sizeof(raw));

        return NGX_OK;
    }

    ngx_rush_assert(n < 3);

    all[0].data = q->route->name.data;
    all[0].len = q->route->name.len;

    for (i = 0; i < n; i++) {
        all[i + 1] = parts[i];
    }

    return ngx_user_mac(q, proof->use, "use", all, n + 1);
}


static ngx_int_t
ngx_user_keep_proof(ngx_rush_req_t *q, ngx_user_proof_t *proof)
{
    ngx_pool_cleanup_t  *cln;

    cln = ngx_pool_cleanup_add(q->r->pool, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    cln->handler = ngx_user_free_proof;
    cln->data = proof;

    return NGX_OK;
}


static ngx_int_t
ngx_user_open_target(ngx_rush_req_t *q, ngx_user_proof_t *proof)
{
    int         n;
    u_char     *p;
    rush_str_t  ticket;

    ticket = proof->shown;

    if (q->reply->len > RUSH_SEAL_EXTRA + 1 + NGX_USER_TARGET_MAX) {
        return ngx_user_failed(q, "length of a ticket's target");
    }

    p = ngx_pnalloc(q->r->pool, q->reply->len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    n = rush_unseal(ngx_rush_seal_key(q->r), "ticket", &ticket, q->reply->str,
                    q->reply->len, p);

    ngx_explicit_memzero(ticket.data, ticket.len);

    if (n < 2) {
        /* sealed by another key: the file was changed since */
        return RUSH_TICKET_INVALID;
    }

    proof->target.email = (p[0] == 'e');
    proof->target.text.data = p + 1;
    proof->target.text.len = n - 1;

    return NGX_OK;
}


/* also when the answer of Redis was lost: it may have been taken */

static void
ngx_user_free_proof(void *data)
{
    ngx_user_proof_t  *proof = data;

    ngx_str_t          args[5];

    if (proof->spent) {
        return;
    }

    ngx_str_set(&args[0], "EVALSHA");
    args[1].data = ngx_user_sha(RUSH_LUA_PROOF_FREE);
    args[1].len = 40;
    ngx_str_set(&args[2], "1");
    args[3].data = proof->key;
    args[3].len = proof->key_len;
    args[4].data = proof->use;
    args[4].len = NGX_USER_HEX_LEN;

    (void) ngx_rush_redis_send(NGX_RUSH_LANE_SIDE, 5, args, 0,
                               ngx_user_proof_freed, NULL);
}


static void
ngx_user_proof_freed(void *data, redisReply *reply, rush_outcome_e outcome)
{
    /* nobody waits; what was not given back ends with its life */
}
