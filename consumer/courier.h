
/*
 * Copyright (C) Rush
 *
 * The courier: one thread that takes messages from the stream RUSH_OUT_KEY
 * and brings them to people, many at a time over curl's multi interface.
 *
 * Entry of the stream:  k "code"  m <sealed JSON: kind "sms" or "mail",
 * target, scene, code, life in ms>.  It is acknowledged once it was handed
 * over, has failed for good or has expired; who is killed before leaves it
 * pending, so it comes again: a message may come twice, never not at all.
 *
 * Messages that wait for their next try are held in memory.  Every
 * claim_interval the courier claims what it holds again, so nobody takes it
 * over, and learns what others have taken over meanwhile.
 *
 * Neither a target nor a code is ever logged.
 */


#ifndef _RUSH_COURIER_H_INCLUDED_
#define _RUSH_COURIER_H_INCLUDED_


#include "curl_loop.h"
#include "inbox.h"
#include "rush_field.h"


#define RUSH_OUT_KEY          "{rush}out"
#define RUSH_OUT_LABEL        "out"     /* of the seal */

#define RUSH_COURIER_POLL     50        /* ms, while something is under way */

#define RUSH_MESSAGES         256       /* held at once */
#define RUSH_MESSAGE_SEALED   1024      /* bytes, more are none of ours */


typedef enum {
    RUSH_MESSAGE_FREE = 0,
    RUSH_MESSAGE_WAITING,               /* for its next try */
    RUSH_MESSAGE_FLYING,
    RUSH_MESSAGE_OVER                   /* to be acknowledged */
} rush_message_e;


typedef struct {
    rush_message_e       state;
    char                 id[RUSH_ID_LEN];       /* of the entry */
    int64_t              expires;       /* ms since the epoch */
    int64_t              next;          /* us, rush_mono() */
    int64_t              pause;         /* ms, before the next try */
    unsigned             tries;
    unsigned             mail:1;        /* else sms */
    unsigned             ours:1;        /* Redis says so */

    unsigned char        text[RUSH_MESSAGE_SEALED];     /* opened; wiped */
    rush_str_t           target;        /* in text */
    rush_str_t           scene;
    rush_str_t           code;

    CURL                *easy;          /* flying */
    struct curl_slist   *list;          /* headers or recipients */
    rush_buf_t           body;
    size_t               read;          /* of body, by curl */
} rush_message_t;


typedef struct {
    rush_daemon_t       *daemon;
    rush_redis_t        *rd;
    rush_args_t          args;
    rush_curl_loop_t     loop;
    rush_inbox_t         inbox;
    int64_t              next_claim;    /* us */
    rush_message_t       messages[RUSH_MESSAGES];
} rush_courier_t;


/* courier.c */

size_t rush_courier_count(rush_courier_t *co, rush_message_e state);
void rush_courier_drop(rush_courier_t *co, rush_message_t *m);

/* id NULL: a free place */
rush_message_t *rush_courier_find(rush_courier_t *co, const char *id);


/* courier_stream.c: RUSH_OK, or RUSH_ERROR: try later */

int rush_courier_join(rush_courier_t *co);
int rush_courier_read(rush_courier_t *co, const char *from, int64_t block);
int rush_courier_claim(rush_courier_t *co);
int rush_courier_keep(rush_courier_t *co);
int rush_courier_over(rush_courier_t *co);


/* courier_message.c */

/* RUSH_ERROR: not a message that this key has sealed */
int rush_message_open(rush_courier_t *co, rush_message_t *m, const char *id,
    const void *sealed, size_t len);
void rush_message_wipe(rush_message_t *m);

void rush_message_text(rush_courier_t *co, const rush_message_t *m,
    rush_buf_t *b);
void rush_message_json(rush_courier_t *co, const rush_message_t *m,
    rush_buf_t *b);
void rush_message_mail(rush_courier_t *co, const rush_message_t *m,
    rush_buf_t *b);

/* "From" and the like: one word, or several of RFC 2047 */
void rush_mail_words(rush_buf_t *b, const char *text, size_t len);


/* courier_send.c */

typedef enum {
    RUSH_SEND_DONE = 0,
    RUSH_SEND_AGAIN,
    RUSH_SEND_NEVER
} rush_send_e;

/* RUSH_OK: m is flying, or over at once (log driver); RUSH_ERROR: no memory */
int rush_message_send(rush_courier_t *co, rush_message_t *m);
rush_send_e rush_message_verdict(rush_message_t *m, CURLcode rc);
void rush_message_land(rush_courier_t *co, rush_message_t *m);


#endif /* _RUSH_COURIER_H_INCLUDED_ */
