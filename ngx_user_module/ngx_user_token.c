
/*
 * Copyright (C) Rush
 */


#include "ngx_user_module.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <openssl/sha.h>


static ngx_int_t ngx_user_end(ngx_rush_req_t *q);
static ngx_int_t ngx_user_ended(ngx_rush_req_t *q);

static ngx_int_t ngx_user_find_family(ngx_rush_req_t *q);
static ngx_int_t ngx_user_family_found(ngx_rush_req_t *q);
static ngx_int_t ngx_user_rotate(ngx_rush_req_t *q);
static ngx_int_t ngx_user_rotated(ngx_rush_req_t *q);
static ngx_int_t ngx_user_punish(ngx_rush_req_t *q);
static ngx_int_t ngx_user_punished(ngx_rush_req_t *q);

static ngx_int_t ngx_user_make_token(ngx_rush_req_t *q,
    ngx_user_session_t *s, u_char *half);
static ngx_int_t ngx_user_sha256(u_char *dst, u_char *data, size_t len);
static void ngx_user_take_agent(ngx_rush_req_t *q, u_char *buf,
    ngx_str_t *agent);


ngx_rush_step_t  ngx_user_logout_steps[] = {
    ngx_rush_step(ngx_user_end),                 /* mysql: session_end or
                                                    user_end_all */
    ngx_rush_step(ngx_user_ended),
    ngx_rush_null_step
};


ngx_rush_step_t  ngx_user_refresh_steps[] = {
    ngx_rush_step(ngx_user_find_family),         /* mysql: session_by_family */
    ngx_rush_step(ngx_user_family_found),
    ngx_rush_step(ngx_user_rotate),              /* mysql: session_rotate */
    ngx_rush_step(ngx_user_rotated),
    ngx_rush_step(ngx_user_punish),              /* mysql: session_end, when
                                                    the token was used twice */
    ngx_rush_step(ngx_user_punished),
    ngx_rush_null_step
};


static ngx_int_t
ngx_user_end(ngx_rush_req_t *q)
{
    ngx_user_logout_t  *logout = q->data;

    int64_t             now;
    ngx_rush_param_t    params[5];

    now = ngx_rush_now_ms();

    params[0] = ngx_rush_p_int(now);

    if (!logout->all) {
        params[1] = ngx_rush_p_int(q->user.session);
        params[2] = ngx_rush_p_int(q->user.user);

        return ngx_rush_query(q, ngx_user_stmt(SESSION_END), params, 3,
                              NGX_OK);
    }

    params[1] = ngx_rush_p_int(now);
    params[2] = ngx_rush_p_int(now);
    params[3] = ngx_rush_p_int(q->user.user);
    params[4] = ngx_rush_p_int(q->user.version);

    return ngx_rush_query(q, ngx_user_stmt(USER_END_ALL), params, 5, NGX_OK);
}


static ngx_int_t
ngx_user_ended(ngx_rush_req_t *q)
{
    ngx_user_logout_t  *logout = q->data;

    if (!logout->all) {
        /* also when it had ended before: the token in hand must end */
        ngx_rush_revoke(q, 's', q->user.session, 0);
        return NGX_OK;
    }

    if (q->rows == NULL || q->rows->affected == 0) {
        /* the version has gone on, so this token has ended already */
        return RUSH_UNAUTHORIZED;
    }

    ngx_rush_revoke(q, 'u', q->user.user, q->user.version + 1);

    return NGX_OK;
}


static ngx_int_t
ngx_user_find_family(ngx_rush_req_t *q)
{
    ngx_user_refresh_t  *refresh = q->data;

    u_char               raw[NGX_USER_REFRESH_LEN];
    rush_str_t          *token, family;
    ngx_rush_param_t     param;

    token = &refresh->refresh_token;

    if (token->len != NGX_USER_REFRESH_LEN
        || rush_base64url_decode(raw, token->data, token->len)
           != 2 * NGX_USER_HALF_LEN)
    {
        return RUSH_REFRESH_INVALID;
    }

    ngx_memcpy(refresh->half, raw, NGX_USER_HALF_LEN);

    if (ngx_user_sha256(refresh->flow.session.family, refresh->half,
                        NGX_USER_HALF_LEN)
        != NGX_OK
        || ngx_user_sha256(refresh->hash, token->data, token->len) != NGX_OK)
    {
        return NGX_ERROR;               /* not the token is wrong */
    }

    ngx_explicit_memzero(raw, sizeof(raw));
    ngx_explicit_memzero(token->data, token->len);

    family.data = refresh->flow.session.family;
    family.len = NGX_USER_HASH_LEN;
    param = ngx_rush_p_str(&family);

    return ngx_rush_query(q, ngx_user_stmt(SESSION_BY_FAMILY), &param, 1,
                          NGX_OK);
}


static ngx_int_t
ngx_user_family_found(ngx_rush_req_t *q)
{
    ngx_user_refresh_t  *refresh = q->data;

    int64_t              expires_ms, revoked_ms;
    ngx_str_t           *hash;
    ngx_user_t          *u;
    ngx_rush_rows_t     *rows;

    rows = q->rows;

    if (rows == NULL || rows->n == 0) {
        return RUSH_REFRESH_INVALID;
    }

    u = &refresh->flow.user;

    hash = ngx_rush_cell(rows, 0, 0);
    refresh->flow.session.id = ngx_rush_cell_int(rows, 0, 1);
    expires_ms = ngx_rush_cell_int(rows, 0, 2);
    revoked_ms = ngx_rush_cell_int(rows, 0, 3);
    u->id = ngx_rush_cell_int(rows, 0, 4);
    u->roles = ngx_rush_cell_int(rows, 0, 5);
    u->status = ngx_rush_cell_int(rows, 0, 6);
    u->version = ngx_rush_cell_int(rows, 0, 7);

    if (revoked_ms || expires_ms <= ngx_rush_now_ms()) {
        return RUSH_REFRESH_INVALID;
    }

    refresh->reused = (hash->len != NGX_USER_HASH_LEN
                       || CRYPTO_memcmp(hash->data, refresh->hash,
                                        NGX_USER_HASH_LEN) != 0);

    if (refresh->reused || u->status == NGX_USER_ACTIVE) {
        return NGX_OK;
    }

    return u->status == NGX_USER_BANNED ? RUSH_USER_BANNED
                                        : RUSH_REFRESH_INVALID;
}


static ngx_int_t
ngx_user_rotate(ngx_rush_req_t *q)
{
    ngx_user_refresh_t   *refresh = q->data;

    int64_t               now;
    ngx_int_t             rc;
    rush_str_t            hash, old;
    ngx_rush_param_t      params[6];
    ngx_user_session_t   *s;
    ngx_user_loc_conf_t  *ucf;

    if (refresh->reused) {
        return NGX_OK;
    }

    s = &refresh->flow.session;

    rc = ngx_user_make_token(q, s, refresh->half);
    if (rc != NGX_OK) {
        return rc;
    }

    ucf = ngx_http_get_module_loc_conf(q->r, ngx_http_user_module);
    now = ngx_rush_now_ms();

    hash.data = s->hash;
    hash.len = NGX_USER_HASH_LEN;
    old.data = refresh->hash;
    old.len = NGX_USER_HASH_LEN;

    params[0] = ngx_rush_p_str(&hash);
    params[1] = ngx_rush_p_int(now);
    params[2] = ngx_rush_p_int(now + ucf->refresh_ttl * 1000);
    params[3] = ngx_rush_p_int(NGX_USER_FAMILY_LIFE);
    params[4] = ngx_rush_p_int(s->id);
    params[5] = ngx_rush_p_str(&old);

    return ngx_rush_query(q, ngx_user_stmt(SESSION_ROTATE), params, 6,
                          NGX_OK);
}


static ngx_int_t
ngx_user_rotated(ngx_rush_req_t *q)
{
    ngx_user_refresh_t  *refresh = q->data;

    if (!refresh->reused && (q->rows == NULL || q->rows->affected == 0)) {
        /* somebody else has traded the same token since it was found */
        refresh->reused = 1;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_user_punish(ngx_rush_req_t *q)
{
    ngx_user_refresh_t  *refresh = q->data;

    ngx_rush_param_t     params[3];

    if (!refresh->reused) {
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_INFO, q->r->connection->log, 0,
                  "refresh token of session %L was used twice",
                  refresh->flow.session.id);

    params[0] = ngx_rush_p_int(ngx_rush_now_ms());
    params[1] = ngx_rush_p_int(refresh->flow.session.id);
    params[2] = ngx_rush_p_int(refresh->flow.user.id);

    return ngx_rush_query(q, ngx_user_stmt(SESSION_END), params, 3, NGX_OK);
}


static ngx_int_t
ngx_user_punished(ngx_rush_req_t *q)
{
    ngx_user_refresh_t  *refresh = q->data;

    ngx_int_t            rc;

    if (refresh->reused) {
        ngx_rush_revoke(q, 's', refresh->flow.session.id, 0);
        return RUSH_REFRESH_INVALID;
    }

    rush_json_open(&q->out, NULL, '{');

    rc = ngx_user_put_tokens(q, &refresh->flow);
    if (rc != NGX_OK) {
        return rc;
    }

    rush_json_close(&q->out, '}');

    return NGX_OK;
}


ngx_int_t
ngx_user_open_session(ngx_rush_req_t *q)
{
    ngx_user_flow_t      *flow = q->data;

    u_char                buf[NGX_USER_AGENT_LEN];
    int64_t               now;
    ngx_int_t             rc;
    ngx_str_t             hash, family, agent;
    ngx_rush_param_t      params[10];
    ngx_user_session_t   *s;
    ngx_user_loc_conf_t  *ucf;

    s = &flow->session;

    s->id = ngx_rush_id();
    if (s->id == 0) {
        return RUSH_BUSY;
    }

    rc = ngx_user_make_token(q, s, NULL);
    if (rc != NGX_OK) {
        return rc;
    }

    ucf = ngx_http_get_module_loc_conf(q->r, ngx_http_user_module);
    now = ngx_rush_now_ms();

    hash.data = s->hash;
    hash.len = NGX_USER_HASH_LEN;
    family.data = s->family;
    family.len = NGX_USER_HASH_LEN;

    ngx_user_take_agent(q, buf, &agent);

    params[0] = ngx_rush_p_int(s->id);
    params[1] = ngx_rush_p_str(&hash);
    params[2] = ngx_rush_p_str(&family);
    params[3] = ngx_rush_p_int(now);
    params[4] = ngx_rush_p_int(now);
    params[5] = ngx_rush_p_int(now + ucf->refresh_ttl * 1000);
    params[6] = ngx_rush_p_str(&agent);
    params[7] = ngx_rush_p_str(&q->r->connection->addr_text);
    params[8] = ngx_rush_p_int(flow->user.id);
    params[9] = ngx_rush_p_int(flow->user.version);

    return ngx_rush_query(q, ngx_user_stmt(SESSION_INSERT), params, 10,
                          RUSH_BUSY);
}


ngx_int_t
ngx_user_session_opened(ngx_rush_req_t *q)
{
    ngx_user_flow_t  *flow = q->data;

    ngx_int_t         rc;

    if (q->rows == NULL || q->rows->affected == 0) {
        return RUSH_CONFLICT;
    }

    rush_json_open(&q->out, NULL, '{');

    rc = ngx_user_put_tokens(q, flow);
    if (rc != NGX_OK) {
        return rc;
    }

    flow->proof.spent = 1;

    if (!q->logged) {
        /* a change of the password does not tell the profile again */
        ngx_user_put(&q->out, "user", &flow->user);
    }

    rush_json_close(&q->out, '}');

    return NGX_OK;
}


ngx_int_t
ngx_user_put_tokens(ngx_rush_req_t *q, ngx_user_flow_t *flow)
{
    u_char                token[RUSH_JWT_MAX_LEN];
    rush_str_t            text;
    rush_claims_t         claims;
    ngx_user_loc_conf_t  *ucf;

    ucf = ngx_http_get_module_loc_conf(q->r, ngx_http_user_module);

    ngx_memzero(&claims, sizeof(rush_claims_t));
    claims.user = flow->user.id;
    claims.session = flow->session.id;
    claims.version = flow->user.version;
    claims.roles = flow->user.roles;
    claims.expires = ucf->access_ttl;

    text.data = token;
    text.len = ngx_rush_token(&claims, token);

    if (text.len == 0) {
        ngx_log_error(NGX_LOG_ERR, q->r->connection->log, 0,
                      "access token cannot be signed");
        rush_buf_reset(&q->out);
        return NGX_ERROR;
    }

    rush_json_str(&q->out, "access_token", &text);

    text.data = flow->session.token;
    text.len = NGX_USER_REFRESH_LEN;
    rush_json_str(&q->out, "refresh_token", &text);

    rush_json_text(&q->out, "token_type", "Bearer");
    rush_json_int(&q->out, "expires_in", ucf->access_ttl);
    rush_json_int(&q->out, "refresh_after", ucf->access_ttl / 2);
    rush_json_int(&q->out, "refresh_expires_in", ucf->refresh_ttl);

    ngx_explicit_memzero(token, sizeof(token));
    ngx_explicit_memzero(flow->session.token, NGX_USER_REFRESH_LEN);

    return NGX_OK;
}


/* half: of the family that goes on, NULL for a new one */

static ngx_int_t
ngx_user_make_token(ngx_rush_req_t *q, ngx_user_session_t *s, u_char *half)
{
    u_char  raw[2 * NGX_USER_HALF_LEN];

    if (RAND_bytes(raw, sizeof(raw)) != 1) {
        ngx_log_error(NGX_LOG_ALERT, q->r->connection->log, 0,
                      "RAND_bytes() failed");
        return NGX_ERROR;
    }

    if (half) {
        ngx_memcpy(raw, half, NGX_USER_HALF_LEN);

    } else if (ngx_user_sha256(s->family, raw, NGX_USER_HALF_LEN) != NGX_OK) {
        return NGX_ERROR;
    }

    (void) rush_base64url_encode(s->token, raw, sizeof(raw));

    if (ngx_user_sha256(s->hash, s->token, NGX_USER_REFRESH_LEN) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_explicit_memzero(raw, sizeof(raw));

    return NGX_OK;
}


/* OpenSSL takes memory for it */

static ngx_int_t
ngx_user_sha256(u_char *dst, u_char *data, size_t len)
{
    u_char  digest[SHA256_DIGEST_LENGTH];

    if (SHA256(data, len, digest) == NULL) {
        return NGX_ERROR;
    }

    (void) ngx_hex_dump(dst, digest, SHA256_DIGEST_LENGTH);

    return NGX_OK;
}


/* what a browser says of itself, cut, and ASCII whatever it sent */

static void
ngx_user_take_agent(ngx_rush_req_t *q, u_char *buf, ngx_str_t *agent)
{
    size_t            i;
    ngx_table_elt_t  *h;

    h = q->r->headers_in.user_agent;

    agent->data = buf;
    agent->len = h ? ngx_min(h->value.len, NGX_USER_AGENT_LEN) : 0;

    for (i = 0; i < agent->len; i++) {
        buf[i] = h->value.data[i];

        if (buf[i] < ' ' || buf[i] > '~') {
            buf[i] = '?';
        }
    }
}
