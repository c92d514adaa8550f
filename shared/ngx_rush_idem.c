
/*
 * Copyright (C) Rush
 */


#include "ngx_rush_core.h"
#include "ngx_rush_counters.h"
#include "rush_lua.h"


/*
 * Idempotency-Key (draft-ietf-httpapi-idempotency-key-header): a request of a
 * NGX_RUSH_IDEMPOTENT route that has one runs once, and each copy of it gets
 * the first answer.
 *
 * A record in Redis, {rush}i:USER:ROUTE:KEY, belongs to the run that made it
 * (idem_ask.lua) and takes its outcome before the client gets it
 * (idem_keep.lua).  A run that ends without telling loses the record after
 * rush_idempotency lock=; it runs no step after that time, so two of them are
 * never under way.  Such a run, and one that ended with 202 or 5xx, may have
 * had its effect: the next one is given the same id to make things under
 * (ngx_rush_made_id), and finds what is there.  All other refusals, 404
 * excepted, free the key: nothing was done.
 *
 * What Redis does not answer is told once more (ngx_rush_idem_later.c).
 *
 * From the question on the request is finished even if its client leaves.
 * When Redis does not answer the question, nothing runs: BUSY.
 *
 * An answer is kept as it is sent, so a route that answers tokens or codes
 * cannot have the flag.
 */


#define NGX_RUSH_IDEM_KEY      64       /* of a client */
#define NGX_RUSH_IDEM_NAME     64       /* of a route */
#define NGX_RUSH_IDEM_RECORD   (sizeof("{rush}i:::") + NGX_INT64_LEN          \
                                + NGX_RUSH_IDEM_NAME + NGX_RUSH_IDEM_KEY)
#define NGX_RUSH_IDEM_ANSWER   16384    /* bytes of data */


typedef struct {
    u_char                  text[NGX_RUSH_IDEM_RECORD];
    ngx_str_t               key;
    u_char                  owner_text[NGX_INT64_LEN];
    ngx_str_t               owner;
    u_char                  keep_text[NGX_INT64_LEN];
    ngx_str_t               keep;
} ngx_rush_idem_names_t;


static ngx_int_t ngx_rush_idem_taken(ngx_rush_req_t *q, redisReply *reply);
static ngx_int_t ngx_rush_idem_replay(ngx_rush_req_t *q, redisReply *outcome);
static void ngx_rush_idem_free(ngx_rush_req_t *q);
static void ngx_rush_idem_outcome(ngx_rush_req_t *q, ngx_int_t rc,
    ngx_str_t *args);
static void ngx_rush_idem_call(ngx_rush_idem_names_t *names,
    ngx_str_t *args);
static ngx_rush_main_conf_t *ngx_rush_idem_names(ngx_rush_req_t *q,
    int64_t owner, ngx_rush_idem_names_t *names);


static u_char  ngx_rush_idem_ask_sha[40];
static u_char  ngx_rush_idem_keep_sha[40];

static ngx_str_t  ngx_rush_idem_replayed = ngx_string("true");


ngx_int_t
ngx_rush_idem_header(ngx_rush_req_t *q)
{
    uint64_t   present;
    ngx_int_t  rc;

    static const rush_field_t  field = {
        rush_string("idempotency_key"), RUSH_T_KEY, RUSH_IN_HEADER, 0, 1,
        NGX_RUSH_IDEM_KEY, 0
    };

    rc = ngx_rush_header_item(q->r, "idempotency-key",
                              sizeof("idempotency-key") - 1, &q->key);

    if (rc == NGX_DECLINED) {
        return RUSH_OK;
    }

    if (rc == NGX_OK) {
        rc = rush_field_value(&field, 0, &q->key, &present, q->key.data,
                              q->key.len, &q->field_error);

    } else {
        q->field_error.reason = "is given twice";
    }

    if (rc != NGX_OK) {
        q->field_error.field = &field;
        return RUSH_BAD_REQUEST;
    }

    return RUSH_OK;
}


ngx_int_t
ngx_rush_idem_ask(ngx_rush_req_t *q)
{
    u_char                  print[NGX_RUSH_IDEM_PRINT];
    u_char                  lock[NGX_INT64_LEN];
    ngx_int_t               rc;
    ngx_str_t               args[5], sha;
    ngx_rush_main_conf_t   *mcf;
    ngx_rush_idem_names_t   names;

    if (q->key.len == 0 || q->owner) {
        return NGX_OK;
    }

    q->owner = ngx_rush_id();
    if (q->owner == 0) {
        return RUSH_BUSY;
    }

    mcf = ngx_rush_idem_names(q, q->owner, &names);

    args[0] = names.key;
    args[1].data = print;
    args[1].len = sizeof(print);
    args[2] = names.owner;
    args[3].data = lock;
    args[3].len = ngx_sprintf(lock, "%M", mcf->idem_lock) - lock;
    args[4] = names.keep;

    sha.data = ngx_rush_idem_ask_sha;
    sha.len = sizeof(ngx_rush_idem_ask_sha);

    rc = ngx_rush_idem_print(q, print);

    if (rc == NGX_OK) {
        q->asking = 1;
        q->owned_at = ngx_current_msec;

        rc = ngx_rush_script(q, &sha, 1, args, 5, RUSH_BUSY);
    }

    if (rc != NGX_AGAIN) {
        q->owner = 0;                   /* not asked */
    }

    return rc;
}


ngx_int_t
ngx_rush_idem_asked(ngx_rush_req_t *q, ngx_int_t rc)
{
    redisReply  *reply;

    q->asking = 0;

    reply = q->reply;
    q->reply = NULL;

    if (rc != NGX_OK) {
        /* the question may be answered yet, with nobody there to run */
        ngx_rush_idem_free(q);
        q->owner = 0;
        return rc == RUSH_CLOSED ? RUSH_BUSY : rc;
    }

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements == 0
        || reply->element[0]->type != REDIS_REPLY_INTEGER)
    {
        goto malformed;
    }

    switch (reply->element[0]->integer) {

    case 0:
        rc = ngx_rush_idem_taken(q, reply);
        break;

    case 1:
        ngx_rush_count(NGX_RUSH_C_IDEM_RUNNING, 1);
        rc = RUSH_KEY_RUNNING;
        break;

    case 2:
        ngx_rush_count(NGX_RUSH_C_IDEM_REUSED, 1);
        rc = RUSH_KEY_REUSED;
        break;

    default:
        rc = (reply->elements == 2) ? ngx_rush_idem_replay(q,
                                                           reply->element[1])
                                    : NGX_DECLINED;
    }

    if (rc == NGX_DECLINED) {
        goto malformed;
    }

    if (rc != NGX_OK) {
        q->owner = 0;
    }

    return rc;

malformed:

    ngx_log_error(NGX_LOG_ERR, q->r->connection->log, 0,
                  "idem_ask.lua: the answer has a wrong shape");
    q->owner = 0;

    return NGX_ERROR;
}


static ngx_int_t
ngx_rush_idem_taken(ngx_rush_req_t *q, redisReply *reply)
{
    if (reply->elements != 3
        || reply->element[1]->type != REDIS_REPLY_STRING
        || reply->element[2]->type != REDIS_REPLY_INTEGER
        || rush_parse_u63((u_char *) reply->element[1]->str,
                          reply->element[1]->len, &q->made)
           != RUSH_OK)
    {
        return NGX_DECLINED;
    }

    q->again = (reply->element[2]->integer == 1);

    if (q->again) {
        ngx_rush_count(NGX_RUSH_C_IDEM_AGAIN, 1);
    }

    (void) RUSH_FP("W11");

    return NGX_OK;
}


/* "code data" */

static ngx_int_t
ngx_rush_idem_replay(ngx_rush_req_t *q, redisReply *outcome)
{
    u_char   *p, *last;
    int64_t   code;

    if (outcome->type != REDIS_REPLY_STRING) {
        return NGX_DECLINED;
    }

    p = (u_char *) outcome->str;
    last = ngx_strlchr(p, p + outcome->len, ' ');

    if (last == NULL || rush_parse_u63(p, last - p, &code) != RUSH_OK) {
        return NGX_DECLINED;
    }

    rush_buf_add(&q->out, last + 1, p + outcome->len - (last + 1));

    if (ngx_rush_add_header(q->r, "Idempotency-Replayed",
                            sizeof("Idempotency-Replayed") - 1,
                            &ngx_rush_idem_replayed)
        != NGX_OK)
    {
        rush_buf_reset(&q->out);
        return NGX_ERROR;
    }

    ngx_rush_count(NGX_RUSH_C_IDEM_REPLAYED, 1);

    return code == 0 ? NGX_DONE : (ngx_int_t) code;
}


static void
ngx_rush_idem_free(ngx_rush_req_t *q)
{
    ngx_str_t               args[NGX_RUSH_IDEM_ARGS];
    ngx_rush_idem_names_t   names;
    ngx_rush_main_conf_t   *mcf;

    mcf = ngx_rush_idem_names(q, q->owner, &names);

    ngx_rush_idem_call(&names, args);
    ngx_str_set(&args[5], "free");

    ngx_rush_idem_later(args, q->owned_at + mcf->idem_lock);
}


ngx_uint_t
ngx_rush_idem_over(ngx_rush_req_t *q)
{
    ngx_rush_main_conf_t  *mcf;

    if (q->owner == 0) {
        return 0;
    }

    mcf = ngx_http_get_module_main_conf(q->r, ngx_http_rush_core_module);

    return ngx_current_msec - q->owned_at >= mcf->idem_lock;
}


ngx_int_t
ngx_rush_idem_keep(ngx_rush_req_t *q, ngx_int_t rc)
{
    ngx_int_t               sent;
    ngx_str_t              *args;
    ngx_rush_idem_names_t  *names;

    if (q->owner == 0) {
        return NGX_OK;
    }

    (void) RUSH_FP("W12");

    names = ngx_palloc(q->r->pool, sizeof(ngx_rush_idem_names_t)
                                   + NGX_RUSH_IDEM_ARGS * sizeof(ngx_str_t));
    if (names == NULL) {
        ngx_rush_count(NGX_RUSH_C_IDEM_LOST, 1);
        return NGX_ERROR;
    }

    args = (ngx_str_t *) (names + 1);

    (void) ngx_rush_idem_names(q, q->owner, names);

    ngx_rush_idem_call(names, args);
    ngx_rush_idem_outcome(q, rc, args);

    q->owner = 0;
    q->keeping = 1;
    q->keep = args;
    q->outcome = rc;

    sent = ngx_rush_redis(q, NGX_RUSH_IDEM_ARGS, args, RUSH_BUSY);

    if (sent != NGX_AGAIN) {
        ngx_rush_idem_kept(q, RUSH_BUSY);
    }

    return sent;
}


/* what was asked for in vain is tried again for as long as the record is ours;
 * the client does not wait for that */

void
ngx_rush_idem_kept(ngx_rush_req_t *q, ngx_int_t rc)
{
    ngx_rush_main_conf_t  *mcf;

    if (rc != NGX_OK) {
        mcf = ngx_http_get_module_main_conf(q->r, ngx_http_rush_core_module);
        ngx_rush_idem_later(q->keep, q->owned_at + mcf->idem_lock);

    } else if (q->reply->type != REDIS_REPLY_INTEGER
               || q->reply->integer != 1)
    {
        ngx_rush_count(NGX_RUSH_C_IDEM_LOST, 1);
    }

    q->reply = NULL;
}


static void
ngx_rush_idem_outcome(ngx_rush_req_t *q, ngx_int_t rc, ngx_str_t *args)
{
    u_char      *p;
    ngx_str_t    data;
    ngx_uint_t   status, weight;

    status = ngx_rush_reply_status(rc);

    if (status >= NGX_HTTP_INTERNAL_SERVER_ERROR
        || status == NGX_HTTP_ACCEPTED)
    {
        ngx_str_set(&args[5], "doubt");
        return;
    }

    if (status != NGX_HTTP_OK && status != NGX_HTTP_NOT_FOUND) {
        ngx_str_set(&args[5], "free");
        return;
    }

    ngx_rush_reply_data(q, &data);

    p = ngx_pnalloc(q->r->pool, NGX_INT_T_LEN + 1 + data.len);

    if (p == NULL || q->out.failed || data.len > NGX_RUSH_IDEM_ANSWER) {
        /* without memory it is a fault of the day, too long one of ours */

        weight = data.len > NGX_RUSH_IDEM_ANSWER ? NGX_LOG_ALERT : NGX_LOG_ERR;

        ngx_log_error(weight, q->r->connection->log, 0,
                      "answer of \"%V\" cannot be kept, %uz bytes",
                      &q->route->name, data.len);
        ngx_str_set(&args[5], "doubt");
        return;
    }

    ngx_str_set(&args[5], "done");
    args[7].data = p;
    args[7].len = ngx_sprintf(p, "%i %V", ngx_max(rc, 0), &data) - p;
}


/* a call of idem_keep.lua; args[5] and args[7] are the caller's */

static void
ngx_rush_idem_call(ngx_rush_idem_names_t *names, ngx_str_t *args)
{
    ngx_str_set(&args[0], "EVALSHA");
    args[1].data = ngx_rush_idem_keep_sha;
    args[1].len = sizeof(ngx_rush_idem_keep_sha);
    ngx_str_set(&args[2], "1");
    args[3] = names->key;
    args[4] = names->owner;
    ngx_str_null(&args[5]);
    args[6] = names->keep;
    ngx_str_null(&args[7]);
}


int64_t
ngx_rush_made_id(ngx_rush_req_t *q)
{
    if (q->made == 0) {
        q->made = ngx_rush_id();
    }

    return q->made;
}


static ngx_rush_main_conf_t *
ngx_rush_idem_names(ngx_rush_req_t *q, int64_t owner,
    ngx_rush_idem_names_t *names)
{
    ngx_rush_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(q->r, ngx_http_rush_core_module);

    names->key.data = names->text;
    names->key.len = ngx_sprintf(names->text, "{rush}i:%L:%V:%V",
                                 (int64_t) q->user.user, &q->route->name,
                                 &q->key)
                     - names->text;

    names->owner.data = names->owner_text;
    names->owner.len = ngx_sprintf(names->owner_text, "%L", owner)
                       - names->owner_text;

    names->keep.data = names->keep_text;
    names->keep.len = ngx_sprintf(names->keep_text, "%M", mcf->idem_keep)
                      - names->keep_text;

    return mcf;
}


ngx_int_t
ngx_rush_idem_check(ngx_conf_t *cf, ngx_rush_route_t *route)
{
    ngx_uint_t  auth;

    if (!(route->flags & NGX_RUSH_IDEMPOTENT)) {
        return NGX_OK;
    }

    auth = ngx_rush_auth(route);

    /* without a user there is nobody a key could belong to: two strangers
     * behind one address would read each other's answers */

    if ((auth != NGX_RUSH_USER && auth != NGX_RUSH_ADMIN)
        || route->method == NGX_HTTP_GET
        || (route->flags & (NGX_RUSH_RAW|NGX_RUSH_SURE_LATER))
        || route->name.len > NGX_RUSH_IDEM_NAME)
    {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "route \"%V\" cannot take an Idempotency-Key",
                      &route->name);
        return NGX_ERROR;
    }

    return NGX_OK;
}


void
ngx_rush_idem_init(void)
{
    ngx_rush_script_sha(ngx_rush_idem_ask_sha, &rush_lua[RUSH_LUA_IDEM_ASK]);
    ngx_rush_script_sha(ngx_rush_idem_keep_sha,
                        &rush_lua[RUSH_LUA_IDEM_KEEP]);
}


char *
ngx_rush_idem_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_rush_main_conf_t  *mcf = conf;

    ngx_str_t             *value, s;
    ngx_msec_t            *p;
    ngx_uint_t             i;

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        if (ngx_strncmp(value[i].data, "lock=", 5) == 0) {
            p = &mcf->idem_lock;

        } else if (ngx_strncmp(value[i].data, "keep=", 5) == 0) {
            p = &mcf->idem_keep;

        } else {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "parameter \"%V\" is unknown", &value[i]);
            return NGX_CONF_ERROR;
        }

        if (*p != NGX_CONF_UNSET_MSEC) {
            return "is duplicate";
        }

        s.data = value[i].data + 5;
        s.len = value[i].len - 5;
        *p = ngx_parse_time(&s, 0);

        if (*p == (ngx_msec_t) NGX_ERROR || *p < 100
            || *p > 30 * 86400 * (ngx_msec_t) 1000)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"%V\" must be 100ms to 30d", &value[i]);
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}
