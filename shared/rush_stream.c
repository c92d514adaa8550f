
/*
 * Copyright (C) Rush
 */


#include "rush_field.h"
#include "rush_id.h"
#include "rush_stream.h"


#define RUSH_BUY_HEAD      4            /* status, epoch, remain, rver */
#define RUSH_ENTRY_FIXED   6            /* e, t, p and their values */


typedef struct {
    const char      *word;
    size_t           len;
    rush_outcome_e   outcome;
} rush_refusal_t;


static int rush_reply_result(const redisReply *reply, rush_str_t *order_no);
static int rush_reply_field(const redisReply *list, size_t i,
    const char *name, int64_t *value);
static int rush_entry_id(const redisReply *reply, rush_str_t *id);
static int rush_grant_parse(const redisReply *reply, rush_grant_t *grant);
static size_t rush_cut(rush_str_t *text, rush_str_t *word);
static int rush_is_req(const rush_str_t *req);


#define rush_refusal(word, outcome)  { word, sizeof(word) - 1, outcome }

/* errors that Redis raises before a command or script with "#!lua" starts */

static const rush_refusal_t  rush_refusals[] = {
    rush_refusal("NOSCRIPT", RUSH_GATE_SHUT),
    rush_refusal("LOADING", RUSH_NOT_DONE),
    rush_refusal("BUSY", RUSH_NOT_DONE),
    rush_refusal("OOM", RUSH_NOT_DONE),
    rush_refusal("READONLY", RUSH_NOT_DONE),
    rush_refusal("MISCONF", RUSH_NOT_DONE),
    rush_refusal("NOREPLICAS", RUSH_NOT_DONE),
    rush_refusal("MASTERDOWN", RUSH_NOT_DONE),
    rush_refusal("NOPERM", RUSH_NOT_DONE),
    rush_refusal("NOAUTH", RUSH_NOT_DONE),
    rush_refusal("CLUSTERDOWN", RUSH_NOT_DONE),
    rush_refusal("MOVED", RUSH_NOT_DONE),
    rush_refusal("ASK", RUSH_NOT_DONE),
    rush_refusal("TRYAGAIN", RUSH_NOT_DONE)
};


size_t
rush_key(char *dst, int64_t activity, char kind)
{
    char      *p, digits[20];
    size_t     n;
    uint64_t   v;

    n = sizeof(digits);
    v = (uint64_t) activity;

    do {
        digits[--n] = (char) ('0' + v % 10);
        v /= 10;
    } while (v != 0);

    memcpy(dst, "{a:", 3);
    p = dst + 3;

    memcpy(p, digits + n, sizeof(digits) - n);
    p += sizeof(digits) - n;

    *p++ = '}';
    *p++ = kind;
    *p = '\0';

    return (size_t) (p - dst);
}


int
rush_buy_reply(const redisReply *reply, size_t n, rush_buy_head_t *head)
{
    size_t             i;
    rush_str_t         order_no;
    const redisReply  *r;

    if (reply == NULL || reply->type != REDIS_REPLY_ARRAY
        || reply->elements == 0
        || reply->element[0]->type != REDIS_REPLY_INTEGER)
    {
        return RUSH_ERROR;
    }

    memset(head, 0, sizeof(rush_buy_head_t));

    if (reply->element[0]->integer == RUSH_NOT_LOADED) {
        head->status = RUSH_NOT_LOADED;
        return (reply->elements == 1) ? RUSH_OK : RUSH_ERROR;
    }

    if (reply->element[0]->integer != 0
        || reply->elements != RUSH_BUY_HEAD + n)
    {
        return RUSH_ERROR;
    }

    for (i = 1; i < RUSH_BUY_HEAD; i++) {

        if (reply->element[i]->type != REDIS_REPLY_INTEGER) {
            return RUSH_ERROR;
        }
    }

    for (i = RUSH_BUY_HEAD; i < reply->elements; i++) {
        r = reply->element[i];

        if (rush_reply_result(r, &order_no) == RUSH_NOT_LOADED) {
            return RUSH_ERROR;
        }
    }

    head->epoch = reply->element[1]->integer;
    head->remain = reply->element[2]->integer;
    head->rver = reply->element[3]->integer;
    head->buyers = n;

    return RUSH_OK;
}


int
rush_buy_result(const redisReply *reply, size_t i, rush_str_t *order_no)
{
    return rush_reply_result(reply->element[RUSH_BUY_HEAD + i], order_no);
}


/* RUSH_NOT_LOADED, which no single buyer can have, for what is no result */

static int
rush_reply_result(const redisReply *reply, rush_str_t *order_no)
{
    int         code;
    int64_t     id, activity;
    rush_str_t  text;

    order_no->len = 0;
    order_no->data = NULL;

    if (reply->type == REDIS_REPLY_INTEGER) {

        if (reply->integer > RUSH_GRANTED || reply->integer < RUSH_NO_STOCK) {
            return RUSH_NOT_LOADED;
        }

        return (int) reply->integer;
    }

    if (reply->type != REDIS_REPLY_STRING || reply->len == 0) {
        return RUSH_NOT_LOADED;
    }

    text.data = (unsigned char *) reply->str;
    text.len = (size_t) reply->len;
    code = RUSH_REPLAYED;

    if (text.data[0] == '-') {

        if (text.len == 1) {
            return RUSH_REFUSED;
        }

        text.data++;
        text.len--;
        code = RUSH_GIVEN_BACK;
    }

    if (rush_order_no_parse(text.data, text.len, &id, &activity) != RUSH_OK) {
        return RUSH_NOT_LOADED;
    }

    *order_no = text;

    return code;
}


rush_outcome_e
rush_outcome(const char *error, size_t len)
{
    size_t                 i;
    const char            *p;
    const rush_refusal_t  *r;
    static const char      inside[] = " script: ";

    r = NULL;

    for (i = 0; i < sizeof(rush_refusals) / sizeof(rush_refusals[0]); i++) {
        r = &rush_refusals[i];

        if (len >= r->len && memcmp(error, r->word, r->len) == 0
            && (len == r->len || error[r->len] == ' '))
        {
            break;
        }
    }

    if (i == sizeof(rush_refusals) / sizeof(rush_refusals[0])) {
        return RUSH_MAYBE;
    }

    /*
     * An error of a command that a script has called carries the same word,
     * and " script: <sha>, on @user_script:<line>" behind it; the script may
     * have written before.
     */

    for (p = error; len >= sizeof(inside) - 1; p++, len--) {

        if (memcmp(p, inside, sizeof(inside) - 1) == 0) {
            return RUSH_MAYBE;
        }
    }

    return r->outcome;
}


int
rush_entry_parse(const redisReply *reply, rush_entry_t *entry,
    const char **cause)
{
    size_t             i;
    const redisReply  *list, *name;

    entry->id.len = 0;
    entry->id.data = NULL;
    entry->count = 0;

    if (reply == NULL || reply->type != REDIS_REPLY_ARRAY
        || reply->elements != 2
        || rush_entry_id(reply->element[0], &entry->id) != RUSH_OK)
    {
        *cause = "not a stream entry";
        return RUSH_ERROR;
    }

    list = reply->element[1];

    if (list->type == REDIS_REPLY_NIL) {
        *cause = "entry was deleted";
        return RUSH_ERROR;
    }

    if (list->type != REDIS_REPLY_ARRAY || list->elements % 2 != 0) {
        *cause = "entry has no list of fields";
        return RUSH_ERROR;
    }

    if (list->elements < RUSH_ENTRY_FIXED
        || rush_reply_field(list, 0, "e", &entry->epoch) != RUSH_OK
        || rush_reply_field(list, 2, "t", &entry->time) != RUSH_OK
        || rush_reply_field(list, 4, "p", &entry->price_ver) != RUSH_OK)
    {
        *cause = "entry does not begin with e, t, p";
        return RUSH_ERROR;
    }

    if (list->elements == RUSH_ENTRY_FIXED) {
        *cause = "entry has no grant";
        return RUSH_ERROR;
    }

    if (list->elements > RUSH_ENTRY_FIXED + 2 * RUSH_BATCH_MAX) {
        *cause = "entry has too many grants";
        return RUSH_ERROR;
    }

    for (i = RUSH_ENTRY_FIXED; i < list->elements; i += 2) {
        name = list->element[i];

        if (name->type != REDIS_REPLY_STRING || name->len != 1
            || name->str[0] != 'g')
        {
            *cause = "entry has an unknown field";
            return RUSH_ERROR;
        }

        if (rush_grant_parse(list->element[i + 1],
                             &entry->grants[entry->count])
            != RUSH_OK)
        {
            *cause = "entry has a malformed grant";
            return RUSH_ERROR;
        }

        entry->count++;
    }

    return RUSH_OK;
}


static int
rush_reply_field(const redisReply *list, size_t i, const char *name,
    int64_t *value)
{
    const redisReply  *n, *v;

    n = list->element[i];
    v = list->element[i + 1];

    if (n->type != REDIS_REPLY_STRING || v->type != REDIS_REPLY_STRING
        || n->len != 1 || n->str[0] != *name)
    {
        return RUSH_ERROR;
    }

    return rush_parse_u63((unsigned char *) v->str, (size_t) v->len, value);
}


/* "ms-seq" has the form of an order number */

static int
rush_entry_id(const redisReply *reply, rush_str_t *id)
{
    int64_t  ms, seq;

    if (reply->type != REDIS_REPLY_STRING
        || rush_order_no_parse((unsigned char *) reply->str,
                               (size_t) reply->len, &ms, &seq)
           != RUSH_OK)
    {
        return RUSH_ERROR;
    }

    id->data = (unsigned char *) reply->str;
    id->len = (size_t) reply->len;

    return RUSH_OK;
}


/* "<user> <req> <order_no> <qty>" */

static int
rush_grant_parse(const redisReply *reply, rush_grant_t *grant)
{
    int64_t     id, activity;
    rush_str_t  text, user, qty;

    if (reply->type != REDIS_REPLY_STRING) {
        return RUSH_ERROR;
    }

    text.data = (unsigned char *) reply->str;
    text.len = (size_t) reply->len;

    if (rush_cut(&text, &user) == 0
        || rush_cut(&text, &grant->req) == 0
        || rush_cut(&text, &grant->order_no) == 0)
    {
        return RUSH_ERROR;
    }

    qty = text;

    if (rush_parse_u63(user.data, user.len, &grant->user) != RUSH_OK
        || rush_parse_u63(qty.data, qty.len, &grant->qty) != RUSH_OK
        || grant->user == 0 || grant->qty == 0)
    {
        return RUSH_ERROR;
    }

    if (!rush_is_req(&grant->req)
        || rush_order_no_parse(grant->order_no.data, grant->order_no.len,
                               &id, &activity)
           != RUSH_OK)
    {
        return RUSH_ERROR;
    }

    return RUSH_OK;
}


/* moves what is before the next blank to *word; its length, 0 if none */

static size_t
rush_cut(rush_str_t *text, rush_str_t *word)
{
    unsigned char  *p;

    p = (text->len != 0) ? memchr(text->data, ' ', text->len) : NULL;
    if (p == NULL) {
        return 0;
    }

    word->data = text->data;
    word->len = (size_t) (p - text->data);

    text->data = p + 1;
    text->len -= word->len + 1;

    return word->len;
}


static int
rush_is_req(const rush_str_t *req)
{
    size_t         i;
    unsigned char  c;

    if (req->len > RUSH_REQ_MAX) {
        return 0;
    }

    for (i = 0; i < req->len; i++) {
        c = req->data[i];

        if ((c < '0' || c > ':') && ((c | 0x20) < 'a' || (c | 0x20) > 'z')
            && c != '.' && c != '_' && c != '-')
        {
            return 0;
        }
    }

    return 1;
}
