
/*
 * Copyright (C) Rush
 */


#include "inbox.h"


int
rush_inbox_join(const rush_inbox_t *in)
{
    int          rc;
    redisReply  *reply;

    reply = rush_redis_words(in->rd, "XGROUP", "CREATE", in->key, RUSH_GROUP,
                             "0", "MKSTREAM", NULL);

    rc = (reply != NULL && (rush_reply_is(reply, "BUSYGROUP")
                            || rush_reply_ok(reply, "xgroup")))
         ? RUSH_OK : RUSH_ERROR;

    freeReplyObject(reply);

    return rc;
}


int
rush_inbox_read(rush_inbox_t *in, size_t n, int64_t block, unsigned noack,
    const char *from, redisReply **reply, const redisReply **entries)
{
    redisReply   *r;
    rush_args_t  *a;

    a = in->args;

    rush_arg_text(a, "XREADGROUP");
    rush_arg_text(a, "GROUP");
    rush_arg_text(a, RUSH_GROUP);
    rush_arg_text(a, in->daemon->conf.name);
    rush_arg_text(a, "COUNT");
    rush_arg_int(a, (int64_t) n);

    if (block > 0) {
        rush_arg_text(a, "BLOCK");
        rush_arg_int(a, block);
    }

    if (noack) {
        rush_arg_text(a, "NOACK");
    }

    rush_arg_text(a, "STREAMS");
    rush_arg_text(a, in->key);
    rush_arg_text(a, from);

    r = rush_redis_call(in->rd, a);

    if (r == NULL) {
        return RUSH_ERROR;
    }

    if (rush_reply_is(r, "NOGROUP") || rush_reply_is(r, "UNBLOCKED")) {

        /* Redis has lost its data: the group is made again */

        freeReplyObject(r);
        in->generation = 0;
        (void) rush_wait(in->daemon, in->pause);

        return RUSH_ERROR;
    }

    if (!rush_reply_ok(r, "xreadgroup")) {
        freeReplyObject(r);
        return RUSH_INBOX_REFUSED;
    }

    *reply = r;
    *entries = (r->type == REDIS_REPLY_ARRAY && r->elements == 1
                && r->element[0]->type == REDIS_REPLY_ARRAY
                && r->element[0]->elements == 2)
               ? r->element[0]->element[1] : NULL;

    return RUSH_OK;
}
