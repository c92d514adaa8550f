
/*
 * Copyright (C) Rush
 *
 * Synchronous Redis connection of one thread, over hiredis 0.14 or later.
 * After any I/O fault the context is freed at once; rush_redis_ready() makes
 * the next one, with a growing and jittered pause between tries.
 */


#include <errno.h>
#include <stdlib.h>
#include <openssl/evp.h>

#include "consumer.h"
#include "rush_lua.h"


#define RUSH_REDIS_BACKOFF_MIN  50          /* ms */
#define RUSH_REDIS_BACKOFF_MAX  2000


struct rush_redis_s {
    rush_daemon_t   *daemon;
    const char      *name;
    redisContext    *c;                     /* NULL: no connection */
    rush_args_t      args;                  /* for words and scripts */
    unsigned         generation;
    int64_t          next_try;              /* us, rush_mono() */
    int64_t          backoff;               /* ms */
    unsigned         told:1;                /* the fault is in the log */
};


static int rush_redis_login(rush_redis_t *rd);
static int rush_redis_greet(rush_redis_t *rd, const char *word,
    const char *a, const char *b);
static void rush_redis_failed(rush_redis_t *rd, const char *what);
static int rush_redis_frame(const rush_args_t *a, rush_buf_t *b);
static struct timeval rush_redis_time(int64_t ms);


rush_redis_t *
rush_redis_create(rush_daemon_t *d, const char *name)
{
    rush_redis_t  *rd;

    rd = calloc(1, sizeof(rush_redis_t));
    if (rd == NULL) {
        rush_log(RUSH_LOG_ERROR, "no memory for a redis connection");
        return NULL;
    }

    rd->daemon = d;
    rd->name = name;
    rd->backoff = RUSH_REDIS_BACKOFF_MIN;

    return rd;
}


void
rush_redis_destroy(rush_redis_t *rd)
{
    if (rd == NULL) {
        return;
    }

    rush_redis_close(rd);
    rush_args_free(&rd->args);
    free(rd);
}


void
rush_redis_close(rush_redis_t *rd)
{
    if (rd->c != NULL) {
        redisFree(rd->c);
        rd->c = NULL;
    }
}


int
rush_redis_connected(rush_redis_t *rd)
{
    return rd->c != NULL;
}


unsigned
rush_redis_generation(rush_redis_t *rd)
{
    return rd->generation;
}


int
rush_redis_ready(rush_redis_t *rd)
{
    int64_t             now;
    const rush_peer_t  *peer;

    if (rd->c != NULL) {
        return RUSH_OK;
    }

    now = rush_mono();

    if (now < rd->next_try) {
        return RUSH_ERROR;
    }

    /* full jitter: threads and instances must not come back together */

    rd->next_try = now + rd->backoff * 500 + random() % (rd->backoff * 500);
    rd->backoff = rd->backoff * 2;

    if (rd->backoff > RUSH_REDIS_BACKOFF_MAX) {
        rd->backoff = RUSH_REDIS_BACKOFF_MAX;
    }

    peer = &rd->daemon->conf.redis;

    if (peer->socket[0] != '\0') {
        rd->c = redisConnectUnixWithTimeout(peer->socket,
                                      rush_redis_time(peer->connect_timeout));
    } else {
        rd->c = redisConnectWithTimeout(peer->host, (int) peer->port,
                                      rush_redis_time(peer->connect_timeout));
    }

    if (rd->c == NULL || rd->c->err) {
        rush_redis_failed(rd, "connect");
        return RUSH_ERROR;
    }

    if (redisSetTimeout(rd->c, rush_redis_time(peer->timeout)) != REDIS_OK) {
        rush_redis_failed(rd, "set timeout");
        return RUSH_ERROR;
    }

    if (rush_redis_login(rd) != RUSH_OK) {
        return RUSH_ERROR;
    }

    rd->generation++;
    rd->next_try = 0;
    rd->backoff = RUSH_REDIS_BACKOFF_MIN;

    if (rd->told || rd->generation == 1) {
        rush_log(RUSH_LOG_INFO, "redis %s: connected", rd->name);
    }

    rd->told = 0;

    return RUSH_OK;
}


static int
rush_redis_login(rush_redis_t *rd)
{
    int                 rc;
    char                number[24];
    const rush_peer_t  *peer;

    peer = &rd->daemon->conf.redis;

    if (peer->user[0] != '\0') {
        rc = rush_redis_greet(rd, "AUTH", peer->user, peer->password);

    } else if (peer->password[0] != '\0') {
        rc = rush_redis_greet(rd, "AUTH", peer->password, NULL);

    } else {
        rc = rush_redis_greet(rd, "PING", NULL, NULL);
    }

    if (rc != RUSH_OK) {
        return RUSH_ERROR;
    }

    if (peer->db != 0) {
        snprintf(number, sizeof(number), "%lld", (long long) peer->db);
        return rush_redis_greet(rd, "SELECT", number, NULL);
    }

    return RUSH_OK;
}


static int
rush_redis_greet(rush_redis_t *rd, const char *word, const char *a,
    const char *b)
{
    redisReply  *reply;

    reply = rush_redis_words(rd, word, a, b, NULL);

    if (reply == NULL) {
        return RUSH_ERROR;
    }

    if (reply->type == REDIS_REPLY_ERROR) {

        /* "LOADING ...", "WRONGPASS ...": no secret is in the text */

        if (!rd->told) {
            rush_log(RUSH_LOG_WARN, "redis %s: %s: %s", rd->name, word,
                     reply->str);
            rd->told = 1;
        }

        freeReplyObject(reply);
        rush_redis_close(rd);

        return RUSH_ERROR;
    }

    freeReplyObject(reply);

    return RUSH_OK;
}


/* an outage is told once */

static void
rush_redis_failed(rush_redis_t *rd, const char *what)
{
    if (!rd->told) {
        rush_log(RUSH_LOG_WARN, "redis %s: %s: %s", rd->name, what,
                 rd->c == NULL ? "no memory" : rd->c->errstr);
        rd->told = 1;
    }

    rush_redis_close(rd);
}


static int
rush_redis_frame(const rush_args_t *a, rush_buf_t *b)
{
    memset(b, 0, sizeof(rush_buf_t));

    rush_buf_printf(b, "*%zu\r\n", a->n);
    rush_buf_add(b, a->buf.data, a->buf.len);

    if (a->buf.failed || b->failed) {
        rush_buf_free(b);
        rush_log(RUSH_LOG_ERROR, "no memory for a redis command");
        return RUSH_ERROR;
    }

    return RUSH_OK;
}


int
rush_redis_push(rush_redis_t *rd, rush_args_t *a)
{
    int         rc;
    rush_buf_t  frame;

    rc = RUSH_ERROR;

    if (rd->c != NULL && rush_redis_frame(a, &frame) == RUSH_OK) {

        if (redisAppendFormattedCommand(rd->c, (char *) frame.data,
                                        frame.len)
            == REDIS_OK)
        {
            rc = RUSH_OK;

        } else {
            rush_redis_failed(rd, "append");
        }

        rush_buf_free(&frame);
    }

    rush_buf_reset(&a->buf);
    a->n = 0;

    return rc;
}


redisReply *
rush_redis_pull(rush_redis_t *rd)
{
    void  *reply;

    if (rd->c == NULL) {
        return NULL;
    }

    reply = NULL;

    if (redisGetReply(rd->c, &reply) != REDIS_OK || reply == NULL) {
        rush_redis_failed(rd, "reply");
        return NULL;
    }

    return reply;
}


redisReply *
rush_redis_call(rush_redis_t *rd, rush_args_t *a)
{
    if (rush_redis_push(rd, a) != RUSH_OK) {
        return NULL;
    }

    return rush_redis_pull(rd);
}


redisReply *
rush_redis_words(rush_redis_t *rd, ...)
{
    va_list      words;
    const char  *word;

    va_start(words, rd);

    for ( ;; ) {
        word = va_arg(words, const char *);

        if (word == NULL) {
            break;
        }

        rush_arg_text(&rd->args, word);
    }

    va_end(words);

    return rush_redis_call(rd, &rd->args);
}


redisReply *
rush_redis_script(rush_redis_t *rd, unsigned lua, int64_t activity,
    const char *keys, rush_args_t *argv)
{
    const char   *sha;
    rush_args_t  *a;

    a = &rd->args;
    sha = rush_redis_sha(lua);

    rush_arg_text(a, "EVALSHA");
    rush_arg(a, sha, RUSH_SHA_LEN);
    rush_arg_int(a, (int64_t) strlen(keys));

    while (*keys != '\0') {
        rush_arg_key(a, activity, *keys++);
    }

    if (argv != NULL) {
        rush_buf_add(&a->buf, argv->buf.data, argv->buf.len);
        a->n += argv->n;

        if (argv->buf.failed) {
            a->buf.failed = 1;
        }

        rush_buf_reset(&argv->buf);
        argv->n = 0;
    }

    return rush_redis_call(rd, a);
}


/* every thread computes the same bytes, so a race is harmless but would be
 * undefined: the table belongs to the thread */

const char *
rush_redis_sha(unsigned lua)
{
    static __thread char  sha[RUSH_LUA_COUNT][RUSH_SHA_LEN + 1];

    unsigned       i, n;
    unsigned char  md[EVP_MAX_MD_SIZE];

    if (sha[lua][0] == '\0') {

        if (EVP_Digest(rush_lua[lua].text, rush_lua[lua].len, md, &n,
                       EVP_sha1(), NULL)
            != 1 || n != RUSH_SHA_LEN / 2)
        {
            rush_log(RUSH_LOG_ERROR, "sha1 is not available");
            return "0000000000000000000000000000000000000000";
        }

        for (i = 0; i < n; i++) {
            snprintf(&sha[lua][i * 2], 3, "%02x", md[i]);
        }
    }

    return sha[lua];
}


int
rush_redis_load(rush_redis_t *rd, unsigned lua)
{
    int          rc;
    redisReply  *reply;

    rush_arg_text(&rd->args, "SCRIPT");
    rush_arg_text(&rd->args, "LOAD");
    rush_arg(&rd->args, rush_lua[lua].text, rush_lua[lua].len);

    reply = rush_redis_call(rd, &rd->args);

    if (!rush_reply_ok(reply, "script load")) {
        freeReplyObject(reply);
        return RUSH_ERROR;
    }

    rc = RUSH_OK;

    if (reply->type != REDIS_REPLY_STRING
        || strcmp(reply->str, rush_redis_sha(lua)) != 0)
    {
        rush_log(RUSH_LOG_ERROR, "redis %s: script load of %s answered "
                 "another digest", rd->name, rush_lua[lua].name);
        rc = RUSH_ERROR;
    }

    freeReplyObject(reply);

    return rc;
}


static struct timeval
rush_redis_time(int64_t ms)
{
    struct timeval  tv;

    tv.tv_sec = ms / 1000;
    tv.tv_usec = (ms % 1000) * 1000;

    return tv;
}
