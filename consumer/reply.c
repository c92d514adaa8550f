
/*
 * Copyright (C) Rush
 *
 * Building Redis commands and reading replies: no connection is needed.
 */


#include <ctype.h>
#include <stdlib.h>

#include "consumer.h"


static void rush_id_parse(const char *p, size_t len, uint64_t *ms,
    uint64_t *seq);


void
rush_arg(rush_args_t *a, const void *data, size_t len)
{
    rush_buf_printf(&a->buf, "$%zu\r\n", len);
    rush_buf_add(&a->buf, data, len);
    rush_buf_add(&a->buf, "\r\n", 2);
    a->n++;
}


void
rush_arg_text(rush_args_t *a, const char *text)
{
    rush_arg(a, text, strlen(text));
}


void
rush_arg_str(rush_args_t *a, const rush_str_t *s)
{
    rush_arg(a, s->data, s->len);
}


void
rush_arg_int(rush_args_t *a, int64_t v)
{
    int   n;
    char  text[24];

    n = snprintf(text, sizeof(text), "%lld", (long long) v);

    rush_arg(a, text, (size_t) n);
}


void
rush_arg_key(rush_args_t *a, int64_t activity, char kind)
{
    int   n;
    char  key[RUSH_KEY_LEN];

    if (kind == 'n') {
        n = snprintf(key, sizeof(key), "{a:%lld}u:new", (long long) activity);

    } else {
        n = snprintf(key, sizeof(key), "{a:%lld}%c", (long long) activity,
                     kind);
    }

    rush_arg(a, key, (size_t) n);
}


void
rush_args_free(rush_args_t *a)
{
    rush_buf_free(&a->buf);
    a->n = 0;
}


int
rush_reply_is(const redisReply *reply, const char *word)
{
    size_t  len;

    len = strlen(word);

    return reply != NULL && reply->type == REDIS_REPLY_ERROR
           && (size_t) reply->len >= len
           && strncmp(reply->str, word, len) == 0;
}


int
rush_reply_ok(const redisReply *reply, const char *what)
{
    if (reply == NULL) {
        return 0;
    }

    if (reply->type == REDIS_REPLY_ERROR) {
        /* one that was started just now is no fault */

        rush_log(strncmp(reply->str, "LOADING ", 8) == 0 ? RUSH_LOG_WARN
                                                         : RUSH_LOG_ERROR,
                 "redis: %s: %s", what, reply->str);
        return 0;
    }

    return 1;
}


int64_t
rush_reply_int(const redisReply *reply, int64_t dflt)
{
    char     *end;
    int64_t   v;

    if (reply == NULL) {
        return dflt;
    }

    if (reply->type == REDIS_REPLY_INTEGER) {
        return reply->integer;
    }

    if (reply->type != REDIS_REPLY_STRING || reply->len == 0
        || !(isdigit((unsigned char) reply->str[0]) || reply->str[0] == '-'))
    {
        return dflt;
    }

    v = strtoll(reply->str, &end, 10);

    return *end == '\0' ? v : dflt;
}


void
rush_id_copy(char *dst, const char *src)
{
    size_t  len;

    len = strlen(src);

    if (len > RUSH_ID_LEN - 1) {
        len = RUSH_ID_LEN - 1;
    }

    memmove(dst, src, len);
    dst[len] = '\0';
}


int
rush_id_cmp(const char *a, size_t alen, const char *b, size_t blen)
{
    uint64_t  ams, aseq, bms, bseq;

    rush_id_parse(a, alen, &ams, &aseq);
    rush_id_parse(b, blen, &bms, &bseq);

    if (ams != bms) {
        return ams < bms ? -1 : 1;
    }

    return aseq == bseq ? 0 : (aseq < bseq ? -1 : 1);
}


static void
rush_id_parse(const char *p, size_t len, uint64_t *ms, uint64_t *seq)
{
    size_t     i;
    uint64_t  *v;

    *ms = 0;
    *seq = 0;
    v = ms;

    for (i = 0; i < len; i++) {

        if (p[i] == '-' && v == ms) {
            v = seq;
            continue;
        }

        if (!isdigit((unsigned char) p[i])) {
            *ms = 0;
            *seq = 0;
            return;
        }

        *v = *v * 10 + (uint64_t) (p[i] - '0');
    }
}


const redisReply *
rush_reply_find(const redisReply *list, const char *name)
{
    size_t             i;
    const redisReply  *key, *value;

    if (list == NULL || list->type != REDIS_REPLY_ARRAY) {
        return NULL;
    }

    for (i = 0; i + 1 < list->elements; i += 2) {
        key = list->element[i];
        value = list->element[i + 1];

        if (key->type == REDIS_REPLY_STRING && strcmp(key->str, name) == 0
            && (value->type == REDIS_REPLY_STRING
                || value->type == REDIS_REPLY_INTEGER))
        {
            return value;
        }
    }

    return NULL;
}
