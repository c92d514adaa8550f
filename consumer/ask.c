
/*
 * Copyright (C) Rush
 *
 * The thread: asks come from Redis, answers go there.
 */


#include <stdlib.h>

#include "ask.h"


#define RUSH_ASK_POLL   10              /* ms, while something is under way */
#define RUSH_ASK_GRACE  3000            /* ms, for calls at the end */

/* a worker looks for a bad answer just now, or never */
#define RUSH_ASK_REFUSED_LIFE  RUSH_ASK_LIFE


static void rush_asker_redis(rush_asker_t *ar);
static int rush_asker_tell(rush_asker_t *ar);
static void rush_asker_place(rush_asker_t *ar, const rush_ask_t *ask);
static int rush_asker_write(rush_asker_t *ar, const rush_ask_t *ask);
static int rush_asker_read(rush_asker_t *ar, size_t n, int64_t block);
static int rush_asker_take(rush_asker_t *ar, const redisReply *entries);
static int rush_asker_mark(rush_asker_t *ar, const redisReply *entries);
static void rush_asker_entry(rush_asker_t *ar, const redisReply *entry);
static void rush_asker_landed(void *data, void *owner, CURLcode rc);
static void rush_asker_stop(rush_asker_t *ar);
static size_t rush_asker_count(rush_asker_t *ar, rush_ask_e state);
static size_t rush_asker_places(rush_asker_t *ar);


int
rush_asker_run(rush_daemon_t *d)
{
    int            rc;
    size_t         i;
    rush_asker_t  *ar;

    ar = calloc(1, sizeof(rush_asker_t));
    if (ar == NULL) {
        rush_log(RUSH_LOG_ERROR, "no memory for asking WeChat");
        return RUSH_ERROR;
    }

    ar->daemon = d;
    ar->rd = rush_redis_create(d, "wechat");
    ar->inbox = (rush_inbox_t) { d, ar->rd, &ar->args, RUSH_ASK_KEY,
                                 RUSH_ASK_POLL, 0 };
    rc = rush_curl_open(&ar->loop, d, "wechat", rush_asker_landed, ar);
    rc = (ar->rd != NULL && rc == RUSH_OK) ? RUSH_OK : RUSH_ERROR;

    while (rc == RUSH_OK && !rush_stopping(d)) {
        rush_asker_redis(ar);
        rush_ask_go(ar);

        if (ar->loop.flying > 0) {
            rush_curl_perform(&ar->loop, RUSH_ASK_POLL);

        } else if (!rush_redis_connected(ar->rd)
                   || rush_asker_count(ar, RUSH_ASK_ANSWER) > 0)
        {
            (void) rush_wait(d, RUSH_ASK_POLL);
        }

        rush_stat_set(d, asks_held,
                      RUSH_ASKS - rush_asker_count(ar, RUSH_ASK_FREE));
    }

    if (rc == RUSH_OK) {
        rush_asker_stop(ar);
    }

    for (i = 0; i < RUSH_ASKS; i++) {
        rush_call_land(ar, &ar->asks[i].call);
        rush_ask_wipe(&ar->asks[i]);
    }

    rush_call_land(ar, &ar->token_call);

    rush_curl_close(&ar->loop);
    rush_redis_destroy(ar->rd);
    rush_args_free(&ar->args);
    explicit_bzero(ar, sizeof(rush_asker_t));
    free(ar);

    return rc;
}


/* all that needs Redis; a lost connection ends it, until the next turn */

static void
rush_asker_redis(rush_asker_t *ar)
{
    size_t  n;

    if (rush_redis_ready(ar->rd) != RUSH_OK) {
        return;
    }

    if (ar->inbox.generation != rush_redis_generation(ar->rd)) {

        /* a stream that is not there tells workers that nobody would answer */

        if (rush_inbox_join(&ar->inbox) != RUSH_OK) {
            return;
        }

        ar->inbox.generation = rush_redis_generation(ar->rd);
    }

    if (rush_asker_tell(ar) != RUSH_OK) {
        return;
    }

    n = rush_asker_places(ar);

    if (n > 0) {
        (void) rush_asker_read(ar, n,
                               rush_asker_count(ar, RUSH_ASK_FREE) == RUSH_ASKS
                               && ar->loop.flying == 0
                               ? ar->daemon->conf.block : 0);
    }
}


/* what cannot be told now is tried again, as long as somebody waits */

static int
rush_asker_tell(rush_asker_t *ar)
{
    size_t       i;
    rush_ask_t  *ask;

    for (i = 0; i < RUSH_ASKS; i++) {
        ask = &ar->asks[i];

        if (ask->state != RUSH_ASK_ANSWER) {
            continue;
        }

        if (rush_asker_write(ar, ask) != RUSH_OK) {
            return RUSH_ERROR;
        }

        rush_ask_wipe(ask);
    }

    return RUSH_OK;
}


static int
rush_asker_write(rush_asker_t *ar, const rush_ask_t *ask)
{
    int             rc;
    size_t          len;
    rush_buf_t      b, name;
    rush_str_t      id, text;
    redisReply     *reply;
    rush_args_t    *a;
    unsigned char   sealed[RUSH_ANSWER_MAX];

    memset(&b, 0, sizeof(rush_buf_t));
    memset(&name, 0, sizeof(rush_buf_t));

    if (ask->result == RUSH_OK) {
        rush_buf_printf(&name, "%s:%s", ar->daemon->conf.wechat.appid,
                        ask->session.openid);
    }

    text.data = name.data;
    text.len = name.len;
    id.data = (unsigned char *) (uintptr_t) ask->id;
    id.len = RUSH_ASK_ID;

    rush_json_open(&b, NULL, '{');
    rush_json_int(&b, "code", ask->result);
    rush_json_str(&b, "key", &text);
    rush_json_text(&b, "mobile",
                   ask->result == RUSH_OK ? ask->mobile : "");
    rush_json_close(&b, '}');

    len = (b.failed || name.failed
           || b.len + RUSH_SEAL_EXTRA > sizeof(sealed))
          ? 0 : rush_seal(&ar->daemon->conf.seal, RUSH_ANSWER_LABEL, &id,
                          b.data, b.len, sealed);

    rush_buf_wipe(&b);
    rush_buf_wipe(&name);

    if (len == 0) {
        rush_log(RUSH_LOG_ERROR, "wechat: cannot seal an answer");
        return RUSH_OK;                 /* its worker learns of nothing */
    }

    a = &ar->args;

    rush_asker_place(ar, ask);
    rush_arg(a, sealed, len);
    rush_arg_text(a, "PX");
    rush_arg_int(a, ask->result == RUSH_OK ? RUSH_ANSWER_LIFE
                                           : RUSH_ASK_REFUSED_LIFE);

    reply = rush_redis_call(ar->rd, a);
    rc = rush_reply_ok(reply, "set") ? RUSH_OK : RUSH_ERROR;
    freeReplyObject(reply);

    return rc;
}


static int
rush_asker_read(rush_asker_t *ar, size_t n, int64_t block)
{
    int                rc;
    redisReply        *reply;
    const redisReply  *entries;

    rc = rush_inbox_read(&ar->inbox, n, block, 1, ">", &reply, &entries);

    if (rc == RUSH_INBOX_REFUSED) {
        (void) rush_wait(ar->daemon, 10 * RUSH_ASK_POLL);
    }

    if (rc != RUSH_OK) {
        return RUSH_ERROR;
    }

    if (entries != NULL) {
        rc = rush_asker_take(ar, entries);
    }

    freeReplyObject(reply);

    return rc;
}


static int
rush_asker_take(rush_asker_t *ar, const redisReply *entries)
{
    int                rc;
    size_t             i;
    const redisReply  *entry;

    for (i = 0; i < entries->elements; i++) {
        entry = entries->element[i];

        if (entry->type != REDIS_REPLY_ARRAY || entry->elements != 2
            || entry->element[0]->type != REDIS_REPLY_STRING)
        {
            rush_log(RUSH_LOG_ERROR, "wechat: malformed entry");
            return RUSH_ERROR;
        }
    }

    for (i = 0; i < entries->elements; i++) {
        rush_asker_entry(ar, entries->element[i]);
    }

    rc = rush_asker_mark(ar, entries);

    for (i = 0; i < RUSH_ASKS; i++) {

        if (ar->asks[i].state != RUSH_ASK_NEW) {
            continue;
        }

        if (rc == RUSH_OK) {
            ar->asks[i].state = RUSH_ASK_SESSION;

        } else {
            rush_ask_wipe(&ar->asks[i]);
        }
    }

    return rc;
}


/* removes the entries, nobody else gets them; those of who is killed before
 * are trimmed soon */

static int
rush_asker_mark(rush_asker_t *ar, const redisReply *entries)
{
    int           rc;
    size_t        i, n;
    redisReply   *reply;
    rush_args_t  *a;

    a = &ar->args;

    rush_arg_text(a, "XDEL");
    rush_arg_text(a, RUSH_ASK_KEY);

    for (i = 0; i < entries->elements; i++) {
        rush_arg_text(a, entries->element[i]->element[0]->str);
    }

    rc = rush_redis_push(ar->rd, a);
    n = 1;

    for (i = 0; i < RUSH_ASKS && rc == RUSH_OK; i++) {

        if (ar->asks[i].state == RUSH_ASK_NEW) {
            rush_asker_place(ar, &ar->asks[i]);
            rush_arg_text(a, RUSH_ANSWER_TAKEN);
            rush_arg_text(a, "PX");
            rush_arg_int(a, RUSH_ASK_TAKEN);

            rc = rush_redis_push(ar->rd, a);
            n++;
        }
    }

    while (rc == RUSH_OK && n-- > 0) {
        reply = rush_redis_pull(ar->rd);
        rc = rush_reply_ok(reply, "taking an ask") ? RUSH_OK : RUSH_ERROR;
        freeReplyObject(reply);
    }

    if (rc != RUSH_OK) {
        /* what was not pulled would be the answer to something else */
        rush_redis_close(ar->rd);
    }

    return rc;
}


/* "SET" and the place of the answer */

static void
rush_asker_place(rush_asker_t *ar, const rush_ask_t *ask)
{
    char  key[sizeof(RUSH_ANSWER_KEY) + RUSH_ASK_ID];

    snprintf(key, sizeof(key), "%s%s", RUSH_ANSWER_KEY, ask->id);

    rush_arg_text(&ar->args, "SET");
    rush_arg_text(&ar->args, key);
}


static void
rush_asker_entry(rush_asker_t *ar, const redisReply *entry)
{
    size_t             i;
    int64_t            age;
    rush_ask_t        *ask;
    const redisReply  *id, *sealed;

    /* the id of an entry is the time of Redis at which it was made; a code
     * that nobody waits for stays unused */

    age = rush_now() - strtoll(entry->element[0]->str, NULL, 10);

    if (age >= RUSH_ASK_WAIT) {
        rush_stat_add(ar->daemon, asks_expired, 1);
        return;
    }

    for (i = 0; ar->asks[i].state != RUSH_ASK_FREE; i++) {

        if (i == RUSH_ASKS - 1) {
            return;                     /* more than was asked for */
        }
    }

    ask = &ar->asks[i];
    id = rush_reply_find(entry->element[1], "i");
    sealed = rush_reply_find(entry->element[1], "m");

    if (id == NULL || sealed == NULL || id->type != REDIS_REPLY_STRING
        || sealed->type != REDIS_REPLY_STRING || id->len != RUSH_ASK_ID
        || strspn(id->str, "0123456789abcdef") != RUSH_ASK_ID)
    {
        rush_log(RUSH_LOG_ERROR, "wechat: malformed ask");
        rush_stat_add(ar->daemon, asks_failed, 1);
        return;
    }

    memcpy(ask->id, id->str, RUSH_ASK_ID + 1);

    if (rush_ask_open(ar, ask, sealed->str, (size_t) sealed->len) != RUSH_OK) {
        rush_log(RUSH_LOG_ERROR, "wechat: an ask cannot be opened: is "
                 "seal_key that of nginx?");
        rush_stat_add(ar->daemon, asks_failed, 1);
        rush_ask_wipe(ask);
        return;
    }

    ask->deadline = rush_mono() + ar->daemon->conf.wechat.timeout * 1000;
    ask->end = rush_mono() + RUSH_ASK_TAKEN * 1000;
    ask->state = RUSH_ASK_NEW;
}


static void
rush_asker_landed(void *data, void *owner, CURLcode rc)
{
    rush_ask_landed(data, owner, rc);
}


/* what is under way may end, workers wait for it */

static void
rush_asker_stop(rush_asker_t *ar)
{
    int64_t  end;

    end = rush_mono() + RUSH_ASK_GRACE * 1000;

    for ( ;; ) {
        rush_ask_go(ar);

        if (ar->loop.flying == 0 || rush_mono() >= end) {
            break;
        }

        rush_curl_perform(&ar->loop, RUSH_ASK_POLL);
    }

    if (rush_redis_connected(ar->rd)) {
        (void) rush_asker_tell(ar);
    }
}


static size_t
rush_asker_count(rush_asker_t *ar, rush_ask_e state)
{
    size_t  i, n;

    n = 0;

    for (i = 0; i < RUSH_ASKS; i++) {
        n += (ar->asks[i].state == state);
    }

    return n;
}


/* asks that may come: "parallel" are under way at once */

static size_t
rush_asker_places(rush_asker_t *ar)
{
    size_t  free, busy, most;

    free = rush_asker_count(ar, RUSH_ASK_FREE);
    busy = RUSH_ASKS - free - rush_asker_count(ar, RUSH_ASK_ANSWER);
    most = (size_t) ar->daemon->conf.wechat.parallel;

    if (busy >= most) {
        return 0;
    }

    return free < most - busy ? free : most - busy;
}
