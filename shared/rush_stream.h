
/*
 * Copyright (C) Rush
 *
 * What nginx, the scripts and the consumer agree on: Redis key names, the
 * entry of an order stream, the reply of buy.lua, classes of outcome.
 * Keys of one activity share the hash tag {a:ID}.
 *
 *   {a:ID}m   hash: epoch state start stop remain limit price_ver rver total
 *             state is "on", "paused", "off"; start, stop in ms
 *   {a:ID}u   hash: "<user>" -> units held, "<user>:<req>" -> order number,
 *             "-<order number>" given back, "-" refused for good
 *   {a:ID}s   stream of granted orders, group "rush"
 *   {a:ID}o   hash: op id of each applied stock adjustment -> its delta
 *   {rush}beat  ms since the epoch: when a consumer last reached both backends
 *   {rush}out  stream of messages for the courier, group "rush"
 *   {rush}c:*  codes, tickets, and when codes were sent (ngx_user_code.h)
 *   {rush}rv  stream of revocations (field k: "u" or "s", i: id, v: version)
 *
 * Entry of {a:ID}s, one per script call:  e <epoch> t <ms> p <price_ver>
 * followed by one  g "<user> <req> <order_no> <qty>"  per granted buyer.
 */


#ifndef _RUSH_STREAM_H_INCLUDED_
#define _RUSH_STREAM_H_INCLUDED_


#include <hiredis/hiredis.h>
#include "rush_base.h"


#define RUSH_GROUP         "rush"
#define RUSH_REVOKE_KEY    "{rush}rv"
#define RUSH_BEAT_KEY      "{rush}beat"
#define RUSH_KEY_LEN       32           /* room for a key, NUL included */
#define RUSH_BATCH_MAX     128          /* buyers of one buy.lua call */
#define RUSH_REQ_MAX       64           /* bytes of a request id */

/* dst has RUSH_KEY_LEN; kind is 'm', 'u', 's' or 'o'; returns the length */
size_t rush_key(char *dst, int64_t activity, char kind);


/* codes of buy.lua, each buyer's own */

#define RUSH_GRANTED        0
#define RUSH_NOT_LOADED   (-1)
#define RUSH_OLD_EPOCH    (-2)
#define RUSH_TOO_LATE     (-3)
#define RUSH_NOT_ON       (-4)
#define RUSH_EARLY        (-5)
#define RUSH_OVER         (-6)
#define RUSH_BAD_QTY      (-7)
#define RUSH_OVER_LIMIT   (-8)
#define RUSH_NO_STOCK     (-9)
/* made by rush_buy_result() from a string element */
#define RUSH_REPLAYED       1           /* order number of the first answer */
#define RUSH_GIVEN_BACK     2           /* "-<order number>" */
#define RUSH_REFUSED        3           /* "-" */


/*
 * Reply of buy.lua: [-1] when the activity is not loaded, else
 * [0, epoch, remain, rver, result of buyer 1, result of buyer 2, ...];
 * a result is an integer code or a string as kept in {a:ID}u.
 */

typedef struct {
    int64_t          status;            /* 0 or RUSH_NOT_LOADED */
    int64_t          epoch;
    int64_t          remain;
    int64_t          rver;
    size_t           buyers;
} rush_buy_head_t;

/* RUSH_ERROR: not a reply of buy.lua for n buyers (protocol error) */
int rush_buy_reply(const redisReply *reply, size_t n, rush_buy_head_t *head);

/* code of buyer i; *order_no is borrowed from the reply (len 0 if none) */
int rush_buy_result(const redisReply *reply, size_t i, rush_str_t *order_no);


/* what is known about a command that did not bring a plain answer */

typedef enum {
    RUSH_DONE = 0,                      /* executed, the answer is here */
    RUSH_NOT_DONE,                      /* certainly not executed */
    RUSH_GATE_SHUT,                     /* not executed: NOSCRIPT */
    RUSH_MAYBE                          /* nobody may conclude anything */
} rush_outcome_e;

/* for a reply of type REDIS_REPLY_ERROR; an error that is not in the list of
 * refusals raised before a script starts is RUSH_MAYBE */
rush_outcome_e rush_outcome(const char *error, size_t len);


typedef struct {
    int64_t          user;
    rush_str_t       req;               /* borrowed from the entry */
    rush_str_t       order_no;
    int64_t          qty;
} rush_grant_t;


typedef struct {
    rush_str_t       id;                /* "ms-seq", borrowed */
    int64_t          epoch;
    int64_t          time;              /* ms, Redis clock */
    int64_t          price_ver;
    size_t           count;
    rush_grant_t     grants[RUSH_BATCH_MAX];
} rush_entry_t;

/* one element of an XREADGROUP/XRANGE answer: [id, [field, value, ...]].
 * RUSH_ERROR and a static *cause when it is not ours (a dead letter) */
int rush_entry_parse(const redisReply *reply, rush_entry_t *entry,
    const char **cause);


#endif /* _RUSH_STREAM_H_INCLUDED_ */
