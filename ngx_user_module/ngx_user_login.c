
/*
 * Copyright (C) Rush
 */


#include "ngx_user_module.h"


static ngx_int_t ngx_user_show_login(ngx_rush_req_t *q);
static ngx_int_t ngx_user_login_shown(ngx_rush_req_t *q);
static ngx_int_t ngx_user_find(ngx_rush_req_t *q);
static ngx_int_t ngx_user_found(ngx_rush_req_t *q);
static ngx_int_t ngx_user_check_login(ngx_rush_req_t *q);
static ngx_int_t ngx_user_login_checked(ngx_rush_req_t *q);
static ngx_int_t ngx_user_forgive(ngx_rush_req_t *q);
static ngx_int_t ngx_user_forgiven(ngx_rush_req_t *q);

static ngx_int_t ngx_user_login_code(ngx_rush_req_t *q);
static ngx_uint_t ngx_user_is_number(rush_str_t *s);
static const rush_stmt_t *ngx_user_choose(ngx_user_login_t *login,
    rush_str_t *name);
static void ngx_user_put_wait(ngx_rush_req_t *q, ngx_user_t *u);


/*
 * A name that nobody has goes the same way as one that somebody has, with a
 * hash that nothing matches: neither the answer nor its time tells which it
 * was.  Who shows a code or a ticket needs no password, and no failure of
 * others keeps him out.
 */

ngx_rush_step_t  ngx_user_login_steps[] = {
    ngx_rush_step(ngx_user_show_login),          /* redis: code_take.lua or
                                                    ticket_take.lua */
    ngx_rush_step(ngx_user_login_shown),
    ngx_rush_step(ngx_user_find),                /* mysql: user_by_... */
    ngx_rush_step(ngx_user_found),
    ngx_rush_step(ngx_user_count_try),           /* mysql: user_count_try */
    ngx_rush_step(ngx_user_try_counted),
    ngx_rush_step(ngx_user_check_login),         /* thread: bcrypt */
    ngx_rush_step(ngx_user_login_checked),
    ngx_rush_step(ngx_user_forgive),             /* mysql: user_forgive or
                                                    user_rehash */
    ngx_rush_step(ngx_user_forgiven),
    ngx_rush_step(ngx_user_open_session),        /* mysql: session_insert */
    ngx_rush_step(ngx_user_session_opened),
    ngx_rush_null_step
};


static ngx_int_t
ngx_user_show_login(ngx_rush_req_t *q)
{
    ngx_user_login_t  *login = q->data;

    ngx_uint_t         names, proofs;

    names = (login->account.len != 0) + (login->username.len != 0)
            + (login->mobile.len != 0) + (login->email.len != 0);
    proofs = (login->password.len != 0) + (login->code.len != 0)
             + (login->ticket.len != 0);

    if (names != (login->ticket.len ? 0 : 1)) {
        return ngx_rush_refuse(q, "account",
                               login->ticket.len
                               ? "a ticket tells it"
                               : "give one of account, username, mobile, "
                                 "email");
    }

    if (proofs != 1) {
        return ngx_rush_refuse(q, "password",
                               "give one of password, code, ticket");
    }

    if (login->ticket.len) {
        return ngx_user_take_ticket(q, &login->flow.proof, "login",
                                    &login->ticket, &login->idempotency_key,
                                    login->idempotency_key.len != 0);
    }

    return login->code.len ? ngx_user_login_code(q) : NGX_OK;
}


/* codes go to numbers and addresses only */

static ngx_int_t
ngx_user_login_code(ngx_rush_req_t *q)
{
    ngx_user_login_t  *login = q->data;

    ngx_int_t          rc;

    if (login->account.len) {

        if (ngx_strlchr(login->account.data,
                        login->account.data + login->account.len, '@'))
        {
            login->email = login->account;

        } else {
            login->mobile = login->account;
        }
    }

    rc = ngx_user_take_target(q, &login->mobile, &login->email,
                              &login->flow.proof.target);
    if (rc != NGX_OK) {
        return rc;
    }

    return ngx_user_take_code(q, &login->flow.proof, "login", &login->code,
                              &login->idempotency_key);
}


static ngx_int_t
ngx_user_login_shown(ngx_rush_req_t *q)
{
    ngx_user_login_t  *login = q->data;

    ngx_int_t          rc;

    if (login->password.len) {
        return NGX_OK;
    }

    rc = ngx_user_proof_taken(q, &login->flow.proof);
    login->flow.proved = (rc == NGX_OK);

    return rc;
}


static ngx_int_t
ngx_user_find(ngx_rush_req_t *q)
{
    ngx_user_login_t   *login = q->data;

    rush_str_t          name;
    ngx_rush_param_t    param;
    const rush_stmt_t  *stmt;

    if (login->flow.proved) {
        name = login->flow.proof.target.text;
        stmt = ngx_user_by_target(&login->flow.proof.target);

    } else {
        stmt = ngx_user_choose(login, &name);
    }

    param = ngx_rush_p_str(&name);

    return ngx_rush_query(q, stmt, &param, 1, NGX_OK);
}


const rush_stmt_t *
ngx_user_by_target(ngx_user_target_t *target)
{
    return target->email ? ngx_user_stmt(USER_BY_EMAIL)
                         : ngx_user_stmt(USER_BY_MOBILE);
}


static ngx_int_t
ngx_user_found(ngx_rush_req_t *q)
{
    ngx_user_login_t  *login = q->data;

    ngx_int_t          rc;

    rc = ngx_user_load(q, &login->flow.user);

    if (rc == NGX_DECLINED) {
        return login->flow.proved ? RUSH_LOGIN_FAILED : NGX_OK;
    }

    return rc;
}


ngx_int_t
ngx_user_count_try(ngx_rush_req_t *q)
{
    ngx_user_flow_t   *flow = q->data;

    int64_t            now;
    ngx_rush_param_t   params[8];

    if (flow->proved) {
        return NGX_OK;
    }

    now = ngx_rush_now_ms();

    params[0] = ngx_rush_p_int(now - NGX_USER_TRY_MEMORY);
    params[1] = ngx_rush_p_int(now);
    params[2] = ngx_rush_p_int(flow->user.id);
    params[3] = ngx_rush_p_int(NGX_USER_FREE_TRIES);
    params[4] = ngx_rush_p_int(now);
    params[5] = ngx_rush_p_int(NGX_USER_MAX_WAIT);
    params[6] = ngx_rush_p_int(NGX_USER_FREE_TRIES);
    params[7] = ngx_rush_p_int(NGX_USER_MAX_DOUBLINGS);

    return ngx_rush_query(q, ngx_user_stmt(USER_COUNT_TRY), params, 8,
                          NGX_OK);
}


ngx_int_t
ngx_user_try_counted(ngx_rush_req_t *q)
{
    ngx_user_flow_t  *flow = q->data;

    if (flow->user.id == 0 || flow->proved) {
        return NGX_OK;
    }

    if (q->rows == NULL || q->rows->affected == 0) {
        ngx_user_put_wait(q, &flow->user);
        return RUSH_USER_LOCKED;
    }

    flow->counted = 1;

    return NGX_OK;
}


static ngx_int_t
ngx_user_check_login(ngx_rush_req_t *q)
{
    ngx_user_login_t  *login = q->data;

    ngx_user_t        *u;

    if (login->flow.proved) {
        return NGX_OK;
    }

    u = &login->flow.user;

    return ngx_user_verify(q, &login->password, u->id ? &u->hash : NULL);
}


static ngx_int_t
ngx_user_login_checked(ngx_rush_req_t *q)
{
    ngx_user_login_t  *login = q->data;

    ngx_int_t          rc;

    if (!login->flow.proved) {
        rc = ngx_user_verified(q, RUSH_LOGIN_FAILED);

        if (rc != NGX_OK) {
            return rc;
        }
    }

    if (login->flow.user.status != NGX_USER_ACTIVE) {
        return RUSH_USER_BANNED;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_user_forgive(ngx_rush_req_t *q)
{
    ngx_user_login_t  *login = q->data;

    rush_str_t         hash;
    ngx_user_t        *u;
    ngx_rush_param_t   params[3];

    u = &login->flow.user;

    if (login->flow.secret.result[0] == '\0') {
        params[0] = ngx_rush_p_int(u->id);

        return ngx_rush_query(q, ngx_user_stmt(USER_FORGIVE), params, 1,
                              NGX_OK);
    }

    /* the thread has hashed it anew */

    hash.data = (u_char *) login->flow.secret.result;
    hash.len = RUSH_PASSWORD_HASH_LEN;

    params[0] = ngx_rush_p_str(&hash);
    params[1] = ngx_rush_p_int(u->id);
    params[2] = ngx_rush_p_str(&u->hash);

    return ngx_rush_query(q, ngx_user_stmt(USER_REHASH), params, 3, NGX_OK);
}


static ngx_int_t
ngx_user_forgiven(ngx_rush_req_t *q)
{
    return NGX_OK;                      /* two logins at once change nothing */
}


/*
 * A username begins with a letter, a mobile number with "+" or a digit, an
 * email has "@".  What can be none of them, non-ASCII among it, is looked up
 * as "", which nobody has.
 */

static const rush_stmt_t *
ngx_user_choose(ngx_user_login_t *login, rush_str_t *name)
{
    if (login->account.len) {

        if (ngx_strlchr(login->account.data,
                        login->account.data + login->account.len, '@'))
        {
            login->email = login->account;

        } else if (ngx_user_is_number(&login->account)) {
            login->mobile = login->account;

        } else {
            login->username = login->account;
        }
    }

    if (login->mobile.len) {
        *name = login->mobile;

        if (ngx_user_mobile(name) != NGX_OK) {
            name->len = 0;
        }

        return ngx_user_stmt(USER_BY_MOBILE);
    }

    if (login->username.len) {
        *name = login->username;

        if (ngx_user_username(name) != NGX_OK) {
            name->len = 0;
        }

        return ngx_user_stmt(USER_BY_USERNAME);
    }

    *name = login->email;

    if (ngx_user_ascii(name) != NGX_OK) {
        name->len = 0;
    }

    return ngx_user_stmt(USER_BY_EMAIL);
}


/* MySQL refuses to compare anything else with a column of ASCII */

ngx_int_t
ngx_user_ascii(rush_str_t *s)
{
    size_t  i;

    for (i = 0; i < s->len; i++) {

        if (s->data[i] > 0x7e) {
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


ngx_int_t
ngx_user_username(rush_str_t *s)
{
    u_char  c;
    size_t  i;

    if (s->len < 3 || s->len > 32) {
        return NGX_DECLINED;
    }

    for (i = 0; i < s->len; i++) {
        c = ngx_tolower(s->data[i]);

        if (c >= 'a' && c <= 'z') {
            s->data[i] = c;
            continue;
        }

        if (i == 0 || !((c >= '0' && c <= '9') || c == '_' || c == '.'
                        || c == '-'))
        {
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


ngx_int_t
ngx_user_mobile(rush_str_t *s)
{
    size_t       i;
    ngx_uint_t   plus;

    plus = (s->len && s->data[0] == '+');

    for (i = plus; i < s->len; i++) {

        if (s->data[i] < '0' || s->data[i] > '9') {
            return NGX_DECLINED;
        }
    }

    if (plus && s->len == 14
        && ngx_strncmp(s->data, (u_char *) "+861", 4) == 0)
    {
        /* the same number as without its country */
        s->data += 3;
        s->len -= 3;
        plus = 0;
    }

    if (plus) {
        return (s->len >= 8 && s->len <= 16 && s->data[1] != '0')
               ? NGX_OK : NGX_DECLINED;
    }

    return (s->len == 11 && s->data[0] == '1' && s->data[1] >= '3')
           ? NGX_OK : NGX_DECLINED;
}


/*
 * What all mailers take without quotes; in lower case, so that an address has
 * one form.  A part before the "@" that differs in case only is another
 * mailbox by the letter of RFC 5321, and by no provider.
 */

ngx_int_t
ngx_user_email(rush_str_t *s)
{
    u_char      c, before;
    size_t      i, at, start;
    ngx_uint_t  labels;

    if (s->len > NGX_USER_TARGET_MAX) {
        return NGX_DECLINED;
    }

    at = 0;
    start = 0;                          /* of a label of the domain */
    before = '.';
    labels = 0;

    for (i = 0; i < s->len; i++) {
        c = ngx_tolower(s->data[i]);
        s->data[i] = c;

        if (c == '@') {

            if (at || before == '.' || i > 64) {
                return NGX_DECLINED;
            }

            at = i;
            start = i + 1;
            before = '.';
            continue;
        }

        if (c == '.') {

            if (before == '.'
                || (at && (before == '-' || i - start > 63)))
            {
                return NGX_DECLINED;
            }

            labels++;
            start = i + 1;

        } else if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')
                     || (c == '-' && (at == 0 || before != '.'))
                     || (at == 0 && ngx_strchr("!#$%&'*+/=?^_`{|}~", c)
                         && c != '\0')))
        {
            return NGX_DECLINED;
        }

        before = c;

        if (at == 0) {
            labels = 0;
        }
    }

    return (at && labels && before != '.' && before != '-'
            && s->len - start <= 63)
           ? NGX_OK : NGX_DECLINED;
}


static ngx_uint_t
ngx_user_is_number(rush_str_t *s)
{
    return s->data[0] == '+' || (s->data[0] >= '0' && s->data[0] <= '9');
}


static void
ngx_user_put_wait(ngx_rush_req_t *q, ngx_user_t *u)
{
    int64_t  wait, max;

    /* others may have failed since the row was read */

    max = 1000 << ngx_min(ngx_max(u->fails - NGX_USER_FREE_TRIES, 0),
                          NGX_USER_MAX_DOUBLINGS);
    max = ngx_min(max, NGX_USER_MAX_WAIT);
    wait = u->fail_ms + max - ngx_rush_now_ms();
    wait = ngx_min(ngx_max(wait, 1), max);

    rush_json_open(&q->out, NULL, '{');
    rush_json_int(&q->out, "retry_after_s", (wait + 999) / 1000);
    rush_json_text(&q->out, "step_up", "code");
    rush_json_close(&q->out, '}');
}
