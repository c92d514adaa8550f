
/*
 * Copyright (C) Rush
 *
 * What workers have asked of WeChat by the consumer, since a worker calls
 * nobody outside.
 *
 * The id of an ask is a mac of all that is asked, so the same ask has the
 * same one, on whatever node.  It stands in the stream RUSH_ASK_KEY, fields
 * "i" and "m" (sealed JSON, bound to the id: code, phone_code, iv, data), for
 * as long as a worker waits for it.  The answer is under RUSH_ANSWER_KEY and
 * the id: "" at first, RUSH_ANSWER_TAKEN while a consumer is at it, then sealed
 * JSON, bound to the id:
 *
 *   code     0 or one of rush_errors.h
 *   key      "appid:openid", who it is
 *   mobile   a number that WeChat vouches for, or ""
 *
 * An ask is made once at most, since what it shows to WeChat is good for one
 * use: as long as there is a place for its answer it is not put into the
 * stream again, and that is longer than a consumer may take it.
 * A good answer stays for RUSH_ANSWER_LIFE or until it has led to a login, so
 * a worker that could not go on (BUSY) may be asked the same again.
 */


#ifndef _RUSH_ASK_H_INCLUDED_
#define _RUSH_ASK_H_INCLUDED_


#define RUSH_ASK_KEY        "{rush}ask"
#define RUSH_ASK_LABEL      "ask"       /* of the seal */
#define RUSH_ASK_ID         64          /* hex digits */
#define RUSH_ASK_WAIT       3000        /* ms, a worker waits */
#define RUSH_ASK_LIFE       4000        /* ms, of an ask in the stream and of
                                           its place; consumers take none that
                                           is older than RUSH_ASK_WAIT */
#define RUSH_ASK_TAKEN      8000        /* ms, of the place then */

#define RUSH_ANSWER_KEY     "{rush}c:q:"
#define RUSH_ANSWER_LABEL   "answer"
#define RUSH_ANSWER_TAKEN   "?"
#define RUSH_ANSWER_LIFE    60000       /* ms */
#define RUSH_ANSWER_MAX     512         /* bytes, sealed */

#define RUSH_WX_CODE_MAX    128         /* bytes of what is shown to WeChat */
#define RUSH_WX_IV_MAX      32
#define RUSH_WX_CRYPT_MAX   2048
#define RUSH_WX_NAME_MAX    100         /* of "appid:openid" */


#endif /* _RUSH_ASK_H_INCLUDED_ */
