
/*
 * Copyright (C) Rush
 *
 * Bytes from Redis: through hiredis at once and in pieces, which must give
 * the same replies, and from there into everything that reads a reply: that
 * of buy.lua, error classes, stream entries, helpers of the consumer.
 *
 * The first byte is the number of buyers that were asked for, the second one
 * the size of the pieces; RESP follows.
 */


#define _GNU_SOURCE
#include <hiredis/hiredis.h>

#include "fuzz.h"
#include "fuzz_consumer.h"
#include "rush_id.h"


#define MAX_REPLIES  64


static size_t fuzz_read(fuzz_input_t in, size_t piece, redisReply **replies);
static int fuzz_equal(const redisReply *a, const redisReply *b);
static void fuzz_buy(const redisReply *reply, size_t n);
static int ref_result(const redisReply *r, rush_str_t *order_no);
static void fuzz_outcome(const redisReply *reply);
static void fuzz_helpers(const redisReply *reply);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t          i, n, m, buyers, piece;
    const char     *cause;
    redisReply     *whole[MAX_REPLIES], *pieces[MAX_REPLIES];
    rush_entry_t    entry;
    fuzz_input_t    in;

    in.p = data;
    in.len = size;

    buyers = fuzz_byte(&in) % (RUSH_BATCH_MAX + 1);
    piece = fuzz_byte(&in) + 1;

    n = fuzz_read(in, size + 1, whole);
    m = fuzz_read(in, piece, pieces);

    fuzz_check(n == m);

    for (i = 0; i < n; i++) {
        fuzz_check(fuzz_equal(whole[i], pieces[i]));

        fuzz_buy(whole[i], buyers);
        fuzz_outcome(whole[i]);
        fuzz_helpers(whole[i]);

        cause = NULL;

        if (rush_entry_parse(whole[i], &entry, &cause) != RUSH_OK) {
            fuzz_check(cause != NULL);
        }

        freeReplyObject(whole[i]);
        freeReplyObject(pieces[i]);
    }

    return 0;
}


/* replies up to the first fault, as a lane takes them */

static size_t
fuzz_read(fuzz_input_t in, size_t piece, redisReply **replies)
{
    char         *copy;
    void         *reply;
    size_t        n, count;
    redisReader  *reader;

    reader = redisReaderCreate();
    fuzz_check(reader != NULL);

    count = 0;

    while (in.len > 0 && count < MAX_REPLIES) {
        n = (in.len < piece) ? in.len : piece;
        copy = (char *) fuzz_copy(in.p, n);

        if (redisReaderFeed(reader, copy, n) != REDIS_OK) {
            free(copy);
            break;
        }

        free(copy);
        in.p += n;
        in.len -= n;
        reply = NULL;

        while (count < MAX_REPLIES) {
            reply = NULL;

            if (redisReaderGetReply(reader, &reply) != REDIS_OK) {
                in.len = 0;
                break;
            }

            if (reply == NULL) {
                break;
            }

            replies[count++] = reply;
        }
    }

    redisReaderFree(reader);

    return count;
}


static int
fuzz_equal(const redisReply *a, const redisReply *b)
{
    size_t  i;

    if (a->type != b->type) {
        return 0;
    }

    switch (a->type) {

    case REDIS_REPLY_INTEGER:
        return a->integer == b->integer;

    case REDIS_REPLY_NIL:
        return 1;

    case REDIS_REPLY_ARRAY:

        for (i = 0; i < a->elements && i < b->elements; i++) {
            if (!fuzz_equal(a->element[i], b->element[i])) {
                return 0;
            }
        }

        return a->elements == b->elements;

    default:
        return a->len == b->len && memcmp(a->str, b->str, a->len) == 0;
    }
}


static void
fuzz_buy(const redisReply *reply, size_t n)
{
    int               ok, code;
    size_t            i;
    rush_str_t        got, want;
    rush_buy_head_t   head;
    redisReply      **e;

    e = reply->element;
    ok = reply->type == REDIS_REPLY_ARRAY && reply->elements > 0;

    if (ok && reply->elements == 1) {
        ok = e[0]->type == REDIS_REPLY_INTEGER && e[0]->integer == -1;
        fuzz_check(ok == (rush_buy_reply(reply, n, &head) == RUSH_OK));
        fuzz_check(!ok || head.status == RUSH_NOT_LOADED);
        return;
    }

    ok = ok && reply->elements == n + 4;

    for (i = 0; ok && i < 4; i++) {
        ok = e[i]->type == REDIS_REPLY_INTEGER;
    }

    ok = ok && e[0]->integer == 0;

    for (i = 4; ok && i < reply->elements; i++) {
        ok = ref_result(e[i], &want) != RUSH_NOT_LOADED;
    }

    fuzz_check(ok == (rush_buy_reply(reply, n, &head) == RUSH_OK));

    if (!ok) {
        return;
    }

    fuzz_check(head.status == 0 && head.epoch == e[1]->integer
               && head.remain == e[2]->integer
               && head.rver == e[3]->integer && head.buyers == n);

    for (i = 0; i < n; i++) {
        code = rush_buy_result(reply, i, &got);
        fuzz_check(code == ref_result(e[i + 4], &want));
        fuzz_check(got.len == want.len
                   && (got.len == 0
                       || memcmp(got.data, want.data, got.len) == 0));
    }
}


static int
ref_result(const redisReply *r, rush_str_t *order_no)
{
    int            back;
    int64_t        v;
    rush_str_t     first;
    fuzz_input_t   in;

    order_no->len = 0;

    if (r->type == REDIS_REPLY_INTEGER) {
        return r->integer <= 0 && r->integer >= -9 ? (int) r->integer
                                                   : RUSH_NOT_LOADED;
    }

    if (r->type != REDIS_REPLY_STRING) {
        return RUSH_NOT_LOADED;
    }

    if (r->len == 1 && r->str[0] == '-') {
        return RUSH_REFUSED;
    }

    back = r->len > 0 && r->str[0] == '-';

    in.p = (const uint8_t *) r->str + back;
    in.len = r->len - (size_t) back;

    order_no->data = (unsigned char *) (uintptr_t) in.p;
    order_no->len = in.len;
    first = fuzz_until(&in, '-');

    if (order_no->len > RUSH_ORDER_NO_LEN || first.len == order_no->len
        || !ref_u63(first.data, first.len, &v) || !ref_u63(in.p, in.len, &v))
    {
        order_no->len = 0;
        return RUSH_NOT_LOADED;
    }

    return back ? RUSH_GIVEN_BACK : RUSH_REPLAYED;
}


static void
fuzz_outcome(const redisReply *reply)
{
    size_t           i;
    rush_str_t       word;
    fuzz_input_t     in;
    rush_outcome_e   want, got;

    static const char  *refusals[] = {
        "LOADING", "BUSY", "OOM", "READONLY", "MISCONF", "NOREPLICAS",
        "MASTERDOWN", "NOPERM", "NOAUTH", "CLUSTERDOWN", "MOVED", "ASK",
        "TRYAGAIN", "NOSCRIPT"
    };

    if (reply->type != REDIS_REPLY_ERROR) {
        return;
    }

    in.p = (const uint8_t *) reply->str;
    in.len = reply->len;
    word = fuzz_until(&in, ' ');
    want = RUSH_MAYBE;

    for (i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {

        if (word.len == strlen(refusals[i])
            && memcmp(word.data, refusals[i], word.len) == 0
            && memmem(reply->str, reply->len, " script: ", 9) == NULL)
        {
            want = word.data[0] == 'N' && word.data[2] == 'S'
                   ? RUSH_GATE_SHUT : RUSH_NOT_DONE;
        }
    }

    got = rush_outcome(reply->str, reply->len);

    fuzz_check(got == want);
}


static void
fuzz_helpers(const redisReply *reply)
{
    size_t             i;
    const redisReply  *found;

    (void) rush_reply_ok(reply, "fuzz");
    fuzz_check(!rush_reply_is(reply, "NOGROUP")
               || reply->type == REDIS_REPLY_ERROR);

    if (reply->type == REDIS_REPLY_INTEGER) {
        fuzz_check(rush_reply_int(reply, 1) == reply->integer);

    } else if (reply->type != REDIS_REPLY_STRING) {
        fuzz_check(rush_reply_int(reply, 77) == 77);

    } else {
        (void) rush_reply_int(reply, 0);
        fuzz_check(rush_id_cmp(reply->str, reply->len, reply->str,
                               reply->len)
                   == 0);
    }

    found = rush_reply_find(reply, "lag");

    if (found != NULL) {
        for (i = 1; i < reply->elements && reply->element[i] != found; i++) {
            /* void */
        }

        fuzz_check(i < reply->elements && i % 2 == 1);
    }

    for (i = 0; reply->type == REDIS_REPLY_ARRAY && i < reply->elements; i++)
    {
        fuzz_helpers(reply->element[i]);
    }
}
