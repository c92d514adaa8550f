
/*
 * Copyright (C) Rush
 *
 * What workers ask of WeChat, see rush_ask.h: one thread that takes asks from
 * the stream, calls WeChat, many at a time over curl's multi interface, and
 * puts answers where workers look for them.
 *
 * An ask goes to one consumer, once: entries are not acknowledged and never
 * claimed, and one that could not be marked as taken is left alone.  Who is
 * killed leaves a worker without an answer, and its client comes again.  What
 * is shown to WeChat is good for one use, so a call whose outcome is unknown
 * is not repeated: only what WeChat has refused to look at (-1, an access
 * token that has ended) or has not seen at all is, once.  (curl itself sends
 * again what it sent over an old connection that WeChat closed; was it seen
 * after all, the code is told to be used.)
 *
 *   NEW      to be marked as taken
 *   SESSION  jscode2session: who it is, and the session key
 *   TOKEN    waits for an access token, which all asks share
 *   PHONE    getuserphonenumber
 *   ANSWER   to be told
 *
 * Neither codes nor keys, openids or numbers are ever logged.
 */


#ifndef _RUSH_ASK_CONSUMER_H_INCLUDED_
#define _RUSH_ASK_CONSUMER_H_INCLUDED_


#include "curl_loop.h"
#include "inbox.h"
#include "rush_ask.h"
#include "rush_errors.h"
#include "rush_field.h"
#include "wechat.h"


#define RUSH_ASKS         64            /* held at once */
#define RUSH_ASK_SEALED   (RUSH_WX_CRYPT_MAX + 2048)    /* with escapes */
#define RUSH_CALL_MAX     8192          /* bytes of an answer of WeChat */


typedef enum {
    RUSH_ASK_FREE = 0,
    RUSH_ASK_NEW,
    RUSH_ASK_SESSION,
    RUSH_ASK_TOKEN,
    RUSH_ASK_PHONE,
    RUSH_ASK_ANSWER
} rush_ask_e;


/* what was tried twice */

#define RUSH_AGAIN_SESSION  0x01
#define RUSH_AGAIN_TOKEN    0x02        /* to fetch one */
#define RUSH_AGAIN_PHONE    0x04
#define RUSH_AGAIN_FRESH    0x08        /* with another access token */


typedef struct rush_ask_s  rush_ask_t;


typedef struct {                        /* a call of WeChat */
    rush_ask_t          *ask;           /* NULL: of the access token */
    CURL                *easy;
    struct curl_slist   *list;
    rush_buf_t           body;          /* sent; wiped */
    size_t               len;           /* of answer */
    char                 answer[RUSH_CALL_MAX];         /* wiped */
    unsigned             flying:1;
} rush_call_t;


struct rush_ask_s {
    rush_ask_e           state;
    char                 id[RUSH_ASK_ID + 1];
    int64_t              deadline;      /* us, rush_mono(), of all calls */
    int64_t              end;           /* the same, of the answer */
    unsigned             again;
    int                  result;        /* of rush_errors.h */

    unsigned char        text[RUSH_ASK_SEALED];         /* opened; wiped */
    rush_str_t           code;          /* in text */
    rush_str_t           phone_code;
    rush_str_t           iv;
    rush_str_t           data;

    rush_wx_session_t    session;       /* wiped */
    char                 mobile[RUSH_WX_MOBILE];
    rush_call_t          call;
};


typedef struct {
    rush_daemon_t       *daemon;
    rush_redis_t        *rd;
    rush_args_t          args;
    rush_curl_loop_t     loop;
    rush_inbox_t         inbox;

    char                 token[RUSH_WX_TOKEN];          /* "": none */
    int64_t              token_end;     /* us, rush_mono() */
    rush_call_t          token_call;

    rush_ask_t           asks[RUSH_ASKS];
} rush_asker_t;


/* ask_call.c */

/* RUSH_OK: it flies; RUSH_ERROR: no memory */
int rush_call_session(rush_asker_t *ar, rush_ask_t *ask);
int rush_call_phone(rush_asker_t *ar, rush_ask_t *ask);
int rush_call_token(rush_asker_t *ar);

/* whatever a call has left */
void rush_call_land(rush_asker_t *ar, rush_call_t *call);

typedef enum {
    RUSH_CALL_ANSWERED = 0,             /* HTTP 200, the answer is whole */
    RUSH_CALL_UNSEEN,                   /* WeChat has certainly not seen it */
    RUSH_CALL_UNKNOWN
} rush_call_e;

/* logs all but the first */
rush_call_e rush_call_outcome(const rush_call_t *call, CURLcode rc);


/* ask_wechat.c */

/* RUSH_ERROR: nothing that this key has sealed for this id */
int rush_ask_open(rush_asker_t *ar, rush_ask_t *ask, const void *sealed,
    size_t len);
void rush_ask_wipe(rush_ask_t *ask);

/* starts what can be, ends what is too old */
void rush_ask_go(rush_asker_t *ar);
void rush_ask_landed(rush_asker_t *ar, rush_call_t *call, CURLcode rc);


#endif /* _RUSH_ASK_CONSUMER_H_INCLUDED_ */
