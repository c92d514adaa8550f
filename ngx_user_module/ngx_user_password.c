
/*
 * Copyright (C) Rush
 */


#include "ngx_user_module.h"


static ngx_int_t ngx_user_check_new(ngx_rush_req_t *q);
static ngx_int_t ngx_user_read_old(ngx_rush_req_t *q);
static ngx_int_t ngx_user_old_read(ngx_rush_req_t *q);
static ngx_int_t ngx_user_check_old(ngx_rush_req_t *q);
static ngx_int_t ngx_user_old_checked(ngx_rush_req_t *q);
static ngx_int_t ngx_user_hash_new(ngx_rush_req_t *q);
static ngx_int_t ngx_user_new_hashed(ngx_rush_req_t *q);
static ngx_int_t ngx_user_store_new(ngx_rush_req_t *q);
static ngx_int_t ngx_user_new_stored(ngx_rush_req_t *q);

static ngx_int_t ngx_user_weak(ngx_rush_req_t *q, const char *reason);
static ngx_uint_t ngx_user_is_same(rush_str_t *a, rush_str_t *b);
static ngx_uint_t ngx_user_is_common(rush_str_t *password);
static ngx_int_t ngx_user_start(ngx_rush_req_t *q, rush_str_t *password);
static void ngx_user_uncounted(void *data, ngx_rush_rows_t *rows,
    ngx_int_t rc);


ngx_rush_step_t  ngx_user_password_steps[] = {
    ngx_rush_step(ngx_user_check_new),           /* local */
    ngx_rush_step(ngx_user_read_old),            /* mysql: user_by_id */
    ngx_rush_step(ngx_user_old_read),
    ngx_rush_step(ngx_user_count_try),           /* mysql: user_count_try */
    ngx_rush_step(ngx_user_try_counted),
    ngx_rush_step(ngx_user_check_old),           /* thread: bcrypt */
    ngx_rush_step(ngx_user_old_checked),
    ngx_rush_step(ngx_user_hash_new),            /* thread: bcrypt */
    ngx_rush_step(ngx_user_new_hashed),
    ngx_rush_step(ngx_user_store_new),           /* mysql: user_set_password */
    ngx_rush_step(ngx_user_new_stored),
    ngx_rush_step(ngx_user_open_session),        /* mysql: session_insert */
    ngx_rush_step(ngx_user_session_opened),
    ngx_rush_null_step
};


/*
 * The commonest passwords of eight bytes and more, in lower case.  Shorter
 * ones are refused anyway; runs of one character and of neighbours are found
 * by rule.
 */

static const char  *ngx_user_common[] = {
    "password", "password1", "password12", "password123", "password1234",
    "passw0rd", "p@ssword", "p@ssw0rd", "p@ssw0rd1", "p@ssword1",
    "password!", "password1!", "password01", "passwort", "iloveyou",
    "iloveyou1", "iloveyou2", "sunshine", "sunshine1", "princess",
    "princess1", "football", "football1", "baseball", "baseball1",
    "superman", "superman1", "trustno1", "starwars", "starwars1",
    "whatever", "whatever1", "jennifer", "michelle", "computer",
    "internet", "qwertyuiop", "qwerty12", "qwerty123", "qwerty1234",
    "qwerty12345", "qwertyui", "qwer1234", "qwerasdf", "asdfghjkl",
    "asdfghjk", "asdf1234", "asdfasdf", "zxcvbnm1", "zxcvbnm123",
    "zxcvbnm,", "1q2w3e4r", "1q2w3e4r5t", "1qaz2wsx", "1qaz2wsx3edc",
    "1qazxsw2", "q1w2e3r4", "q1w2e3r4t5", "qazwsxedc", "qazwsx123",
    "zaq12wsx", "zaq1zaq1", "abcd1234", "abc12345", "abc123456",
    "a1234567", "a12345678", "a123456789", "aa123456", "aa12345678",
    "aaa111111", "q123456789", "qq123456", "qq123456789", "z123456789",
    "123456789a", "123456789q", "12345678a", "1234567a", "123456aa",
    "123456abc", "1234qwer", "123qwe123", "123qweasd", "123123123",
    "12341234", "12344321", "11223344", "1122334455", "112233445566",
    "13145200", "1314520520", "5201314520", "52013140", "5201314a",
    "woaini123", "woaini520", "woaini1314", "woaini5201314", "li123456",
    "wang123456", "zhang123", "10101010", "12121212", "19871987",
    "147258369", "159357456", "147852369", "741852963", "789456123",
    "987654321a", "88888888a", "letmein1", "letmein123", "welcome1",
    "welcome123", "admin123", "admin1234", "admin123456", "administrator",
    "changeme", "changeme1", "dragon123", "monkey123", "master123",
    "charlie1", "liverpool", "chocolate", "butterfly", "samsung1",
    "test1234", "test12345", "testtest", "secret123", "default1"
};


static ngx_int_t
ngx_user_check_new(ngx_rush_req_t *q)
{
    ngx_user_password_t  *pass = q->data;

    if (pass->old_password.len == pass->new_password.len
        && ngx_memcmp(pass->old_password.data, pass->new_password.data,
                      pass->old_password.len) == 0)
    {
        return ngx_rush_refuse(q, "new_password", "must not be the old one");
    }

    return NGX_OK;
}


static ngx_int_t
ngx_user_read_old(ngx_rush_req_t *q)
{
    ngx_rush_param_t  param;

    param = ngx_rush_p_int(q->user.user);

    return ngx_rush_query(q, ngx_user_stmt(USER_BY_ID), &param, 1, NGX_OK);
}


static ngx_int_t
ngx_user_old_read(ngx_rush_req_t *q)
{
    ngx_user_password_t  *pass = q->data;

    ngx_int_t             rc;
    ngx_user_t           *u;

    u = &pass->flow.user;

    rc = ngx_user_load(q, u);

    if (rc == NGX_DECLINED) {
        return RUSH_NOT_FOUND;
    }

    if (rc != NGX_OK) {
        return rc;
    }

    if (u->status != NGX_USER_ACTIVE) {
        return RUSH_USER_BANNED;
    }

    if (u->version != q->user.version) {
        return RUSH_UNAUTHORIZED;       /* this node learns of it just now */
    }

    return ngx_user_check_policy(q, &pass->new_password, u);
}


static ngx_int_t
ngx_user_check_old(ngx_rush_req_t *q)
{
    ngx_user_password_t  *pass = q->data;

    return ngx_user_verify(q, &pass->old_password, &pass->flow.user.hash);
}


static ngx_int_t
ngx_user_old_checked(ngx_rush_req_t *q)
{
    return ngx_user_verified(q, RUSH_WRONG_PASSWORD);
}


static ngx_int_t
ngx_user_hash_new(ngx_rush_req_t *q)
{
    ngx_user_password_t  *pass = q->data;

    return ngx_user_hash(q, &pass->new_password);
}


static ngx_int_t
ngx_user_new_hashed(ngx_rush_req_t *q)
{
    return ngx_user_take_hash(q);
}


static ngx_int_t
ngx_user_store_new(ngx_rush_req_t *q)
{
    ngx_user_password_t  *pass = q->data;

    return ngx_user_set_password(q, &pass->flow.user);
}


static ngx_int_t
ngx_user_new_stored(ngx_rush_req_t *q)
{
    ngx_user_password_t  *pass = q->data;

    return ngx_user_password_set(q, &pass->flow.user);
}


ngx_int_t
ngx_user_set_password(ngx_rush_req_t *q, ngx_user_t *u)
{
    int64_t           now;
    ngx_rush_param_t  params[6];

    now = ngx_rush_now_ms();

    params[0] = ngx_rush_p_str(&u->hash);
    params[1] = ngx_rush_p_int(now);
    params[2] = ngx_rush_p_int(now);
    params[3] = ngx_rush_p_int(now);
    params[4] = ngx_rush_p_int(u->id);
    params[5] = ngx_rush_p_int(u->version);

    return ngx_rush_query(q, ngx_user_stmt(USER_SET_PASSWORD), params, 6,
                          NGX_OK);
}


ngx_int_t
ngx_user_password_set(ngx_rush_req_t *q, ngx_user_t *u)
{
    if (q->rows == NULL || q->rows->affected == 0) {
        return RUSH_CONFLICT;           /* two changes at once */
    }

    u->version++;

    ngx_rush_revoke(q, 'u', u->id, u->version);

    return NGX_OK;
}


ngx_int_t
ngx_user_check_policy(ngx_rush_req_t *q, rush_str_t *password, ngx_user_t *u)
{
    if (password->len < NGX_USER_PASSWORD_MIN) {
        return ngx_user_weak(q, "shorter than 8 bytes");
    }

    if (ngx_user_is_same(password, &u->username)
        || ngx_user_is_same(password, &u->mobile)
        || ngx_user_is_same(password, &u->email))
    {
        return ngx_user_weak(q, "the same as the account");
    }

    if (ngx_user_is_common(password)) {
        return ngx_user_weak(q, "one of the commonest");
    }

    return NGX_OK;
}


static ngx_int_t
ngx_user_weak(ngx_rush_req_t *q, const char *reason)
{
    rush_json_open(&q->out, NULL, '{');
    rush_json_text(&q->out, "reason", reason);
    rush_json_close(&q->out, '}');

    return RUSH_WEAK_PASSWORD;
}


static ngx_uint_t
ngx_user_is_same(rush_str_t *a, rush_str_t *b)
{
    return a->len == b->len && ngx_strncasecmp(a->data, b->data, a->len) == 0;
}


static ngx_uint_t
ngx_user_is_common(rush_str_t *password)
{
    u_char      *p, *last;
    size_t       i, len;
    ngx_uint_t   up, down, same;

    up = down = same = 1;
    last = password->data + password->len;

    for (p = password->data + 1; p < last; p++) {
        up &= (p[0] == p[-1] + 1 || (p[0] == '0' && p[-1] == '9'));
        down &= (p[0] == p[-1] - 1 || (p[0] == '9' && p[-1] == '0'));
        same &= (p[0] == p[-1]);
    }

    if (up || down || same) {
        return 1;
    }

    for (i = 0; i < sizeof(ngx_user_common) / sizeof(char *); i++) {
        len = ngx_strlen(ngx_user_common[i]);

        if (len == password->len
            && ngx_strncasecmp(password->data,
                               (u_char *) ngx_user_common[i], len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


ngx_int_t
ngx_user_hash(ngx_rush_req_t *q, rush_str_t *password)
{
    ngx_user_flow_t  *flow = q->data;

    ngx_memzero(&flow->secret, sizeof(rush_password_t));
    flow->secret.op = RUSH_PASSWORD_HASH;

    return ngx_user_start(q, password);
}


ngx_int_t
ngx_user_verify(ngx_rush_req_t *q, rush_str_t *password, rush_str_t *stored)
{
    ngx_user_flow_t  *flow = q->data;

    ngx_memzero(&flow->secret, sizeof(rush_password_t));

    if (stored && stored->len) {
        flow->secret.op = RUSH_PASSWORD_VERIFY;
        rush_password_stored(&flow->secret, stored->data, stored->len);

    } else {
        flow->secret.op = RUSH_PASSWORD_DUMMY;
    }

    return ngx_user_start(q, password);
}


static ngx_int_t
ngx_user_start(ngx_rush_req_t *q, rush_str_t *password)
{
    ngx_user_flow_t      *flow = q->data;

    ngx_int_t             rc;
    ngx_user_loc_conf_t  *ucf;

    ucf = ngx_http_get_module_loc_conf(q->r, ngx_http_user_module);
    flow->secret.cost = ucf->bcrypt_cost;

    if (rush_password_set(&flow->secret, password->data, password->len)
        != RUSH_OK)
    {
        return RUSH_BAD_REQUEST;        /* the field table lets none through */
    }

    rc = ngx_rush_thread(q, rush_password_work, &flow->secret,
                         sizeof(rush_password_t));

    /* the thread has a copy of its own, which it wipes */
    ngx_explicit_memzero(flow->secret.password, sizeof(flow->secret.password));
    ngx_explicit_memzero(password->data, password->len);

    if (rc != NGX_AGAIN) {
        ngx_user_uncount(flow);
    }

    return rc;
}


void
ngx_user_uncount(ngx_user_flow_t *flow)
{
    ngx_rush_param_t  param;

    if (!flow->counted) {
        return;
    }

    param = ngx_rush_p_int(flow->user.id);

    (void) ngx_rush_mysql_send(ngx_user_stmt(USER_UNCOUNT_TRY), &param, 1,
                               ngx_user_uncounted, NULL);
}


static void
ngx_user_uncounted(void *data, ngx_rush_rows_t *rows, ngx_int_t rc)
{
    /* nobody waits; the driver has logged what failed */
}


ngx_int_t
ngx_user_take_hash(ngx_rush_req_t *q)
{
    ngx_user_flow_t  *flow = q->data;

    u_char           *p;

    if (!flow->secret.ok) {
        ngx_log_error(NGX_LOG_ERR, q->r->connection->log, 0,
                      "password cannot be hashed");
        return NGX_ERROR;
    }

    p = ngx_pnalloc(q->r->pool, RUSH_PASSWORD_HASH_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(p, flow->secret.result, RUSH_PASSWORD_HASH_LEN);

    flow->user.hash.data = p;
    flow->user.hash.len = RUSH_PASSWORD_HASH_LEN;

    return NGX_OK;
}


/* what the thread found: NGX_OK, "wrong", or that it found out nothing */

ngx_int_t
ngx_user_verified(ngx_rush_req_t *q, ngx_int_t wrong)
{
    ngx_user_flow_t  *flow = q->data;

    if (flow->secret.failed) {
        ngx_log_error(NGX_LOG_ERR, q->r->connection->log, 0,
                      "password cannot be checked");
        ngx_user_uncount(flow);

        return NGX_ERROR;
    }

    return (flow->secret.ok && flow->user.id != 0) ? NGX_OK : wrong;
}
