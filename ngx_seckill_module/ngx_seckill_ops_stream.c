
/*
 * Copyright (C) Rush
 */


#include "ngx_seckill_row.h"
#include "rush_notice.h"
#include "rush_pay.h"
#include "rush_ask.h"


/*
 * Streams, one question after another: those of the whole system on the first
 * page, then those of the activities that this node sells, by id.  Redis is
 * all that has to be there.
 */


static ngx_int_t ngx_seckill_begin_streams(ngx_rush_req_t *q);
static void ngx_seckill_streams_free(void *data);
static ngx_int_t ngx_seckill_ask_stream(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_stream_read(ngx_rush_req_t *q);

static int64_t ngx_seckill_next_activity(int64_t after);
static ngx_int_t ngx_seckill_put_stream(ngx_rush_req_t *q, rush_str_t *name);
static void ngx_seckill_put_groups(rush_buf_t *b, redisReply *reply);
static ngx_uint_t ngx_seckill_is_info(redisReply *reply);
static ngx_int_t ngx_seckill_end_streams(ngx_rush_req_t *q);


#define NGX_SECKILL_STREAM_HEAD   3     /* elements before the groups */
#define NGX_SECKILL_STREAM_GROUP  5     /* of a group */


ngx_rush_step_t  ngx_seckill_streams_steps[] = {
    ngx_rush_step(ngx_seckill_begin_streams),
    ngx_rush_step(ngx_seckill_ask_stream),          /* redis:
                                                       stream_info.lua */
    ngx_rush_step(ngx_seckill_stream_read),
    ngx_rush_null_step
};


static ngx_str_t  ngx_seckill_streams[] = {
    ngx_string(NGX_SECKILL_ORDERS), ngx_string(RUSH_NOTICE_KEY),
    ngx_string(RUSH_TELL_KEY), ngx_string("{rush}out"),
    ngx_string(RUSH_ASK_KEY), ngx_string(RUSH_REVOKE_KEY)
};

#define NGX_SECKILL_STREAMS                                                   \
    (sizeof(ngx_seckill_streams) / sizeof(ngx_str_t))


static ngx_int_t
ngx_seckill_begin_streams(ngx_rush_req_t *q)
{
    ngx_seckill_streams_t  *s = q->data;

    ngx_pool_cleanup_t  *cln;

    cln = ngx_pool_cleanup_add(q->r->pool, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    cln->handler = ngx_seckill_streams_free;
    cln->data = &s->doc;

    if (s->page_size == 0) {
        s->page_size = NGX_SECKILL_PAGE_SIZE;
    }

    s->activity = s->last_id;
    s->fixed = s->last_id ? NGX_SECKILL_STREAMS : 0;

    rush_json_open(&s->doc, NULL, '{');
    rush_json_open(&s->doc, "list", '[');

    return NGX_OK;
}


static void
ngx_seckill_streams_free(void *data)
{
    rush_buf_t  *b = data;

    rush_buf_free(b);
}


static ngx_int_t
ngx_seckill_ask_stream(ngx_rush_req_t *q)
{
    ngx_seckill_streams_t  *s = q->data;

    char       key[RUSH_KEY_LEN];
    ngx_str_t  arg, sha;

    if (s->fixed < NGX_SECKILL_STREAMS) {
        arg = ngx_seckill_streams[s->fixed];

    } else {
        s->next = ngx_seckill_next_activity(s->activity);

        if (s->next == 0 || (int64_t) s->n == s->page_size) {
            return ngx_seckill_end_streams(q);
        }

        s->activity = s->next;
        s->n++;

        arg.data = (u_char *) key;
        arg.len = rush_key(key, s->activity, 's');
    }

    sha.data = ngx_seckill_sha[RUSH_LUA_STREAM_INFO];
    sha.len = 40;

    return ngx_rush_script(q, &sha, 1, &arg, 1, RUSH_BUSY);
}


static ngx_int_t
ngx_seckill_stream_read(ngx_rush_req_t *q)
{
    ngx_seckill_streams_t  *s = q->data;

    char        key[RUSH_KEY_LEN];
    ngx_int_t   rc;
    rush_str_t  name;

    if (s->fixed < NGX_SECKILL_STREAMS) {
        name.data = ngx_seckill_streams[s->fixed].data;
        name.len = ngx_seckill_streams[s->fixed].len;

    } else {
        name.data = (u_char *) key;
        name.len = rush_key(key, s->activity, 's');
    }

    rc = ngx_seckill_put_stream(q, &name);

    s->fixed += (s->fixed < NGX_SECKILL_STREAMS);
    q->step = &q->route->steps[1];

    return rc;
}


/* the least id after this one; 0: none */

static int64_t
ngx_seckill_next_activity(int64_t after)
{
    int64_t               id, least;
    ngx_uint_t            i, n;
    ngx_seckill_slot_t  **slots;

    least = 0;
    slots = ngx_seckill_sorted(&n);

    for (i = 0; i < n; i++) {
        id = slots[i]->id;

        if (id > after && (least == 0 || id < least) && slots[i]->epoch) {
            least = id;
        }
    }

    return least;
}


static ngx_int_t
ngx_seckill_put_stream(ngx_rush_req_t *q, rush_str_t *name)
{
    ngx_seckill_streams_t  *s = q->data;

    rush_buf_t  *b;
    rush_str_t   last;
    redisReply  *reply;

    reply = q->reply;

    if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 0) {
        return NGX_OK;                  /* there is none (yet) */
    }

    if (!ngx_seckill_is_info(reply)) {
        ngx_log_error(NGX_LOG_ERR, q->r->connection->log, 0,
                      "stream_info.lua: the answer has a wrong shape");
        return NGX_ERROR;
    }

    b = &s->doc;

    last.data = (u_char *) reply->element[1]->str;
    last.len = reply->element[1]->len;

    rush_json_open(b, NULL, '{');
    rush_json_str(b, "stream", name);

    if (s->fixed == NGX_SECKILL_STREAMS) {
        rush_json_id(b, "activity_id", s->activity);
    }

    rush_json_int(b, "length", reply->element[0]->integer);
    rush_json_str(b, "last_id", &last);
    ngx_seckill_put_groups(b, reply);
    rush_json_close(b, '}');

    return NGX_OK;
}


static ngx_uint_t
ngx_seckill_is_info(redisReply *reply)
{
    size_t       i;
    const char  *p;

    static const char  head[] = "isi", group[] = "siiis";

    if (reply->type != REDIS_REPLY_ARRAY
        || reply->elements < NGX_SECKILL_STREAM_HEAD
        || (reply->elements - NGX_SECKILL_STREAM_HEAD)
           % NGX_SECKILL_STREAM_GROUP != 0)
    {
        return 0;
    }

    for (i = 0; i < reply->elements; i++) {
        p = i < NGX_SECKILL_STREAM_HEAD
            ? &head[i] : &group[(i - NGX_SECKILL_STREAM_HEAD)
                                % NGX_SECKILL_STREAM_GROUP];

        if (reply->element[i]->type != (*p == 'i' ? REDIS_REPLY_INTEGER
                                                  : REDIS_REPLY_STRING))
        {
            return 0;
        }
    }

    return 1;
}


static void
ngx_seckill_put_groups(rush_buf_t *b, redisReply *reply)
{
    size_t        i;
    int64_t       ms, now;
    u_char       *p, *dash;
    rush_str_t    name;
    redisReply  **e;

    now = reply->element[2]->integer;

    rush_json_open(b, "groups", '[');

    for (i = NGX_SECKILL_STREAM_HEAD; i < reply->elements;
         i += NGX_SECKILL_STREAM_GROUP)
    {
        e = &reply->element[i];

        name.data = (u_char *) e[0]->str;
        name.len = e[0]->len;

        rush_json_open(b, NULL, '{');
        rush_json_str(b, "name", &name);
        rush_json_int(b, "consumers", e[1]->integer);
        rush_json_int(b, "pending", e[2]->integer);

        if (e[3]->integer >= 0) {
            rush_json_int(b, "lag", e[3]->integer);

        } else {
            rush_json_null(b, "lag");
        }

        /* ids begin with the ms when an entry was added */

        p = (u_char *) e[4]->str;
        dash = ngx_strlchr(p, p + e[4]->len, '-');

        if (dash && rush_parse_u63(p, dash - p, &ms) == RUSH_OK) {
            rush_json_int(b, "oldest_pending_ms", ngx_max(now - ms, 0));

        } else {
            rush_json_null(b, "oldest_pending_ms");
        }

        rush_json_close(b, '}');
    }

    rush_json_close(b, ']');
}


static ngx_int_t
ngx_seckill_end_streams(ngx_rush_req_t *q)
{
    ngx_seckill_streams_t  *s = q->data;

    rush_json_close(&s->doc, ']');

    if (s->next) {
        rush_json_id(&s->doc, "next_last_id", s->activity);
    }

    rush_json_close(&s->doc, '}');

    rush_buf_add(&q->out, s->doc.data, s->doc.len);
    q->out.failed |= s->doc.failed;

    return NGX_DONE;
}
