
/*
 * Copyright (C) Rush
 *
 * What the servers of WeChat say to a mini program's own server, without any
 * connection: answers of jscode2session, stable_token and getuserphonenumber
 * (JSON, HTTP 200 also for failures), and "open data" that the client brings
 * (AES-128-CBC under the session key, PKCS#7).
 * https://developers.weixin.qq.com/miniprogram/dev/OpenApiDoc/
 *
 * Session keys never leave the process and are wiped by who asked for them.
 */


#ifndef _RUSH_WECHAT_H_INCLUDED_
#define _RUSH_WECHAT_H_INCLUDED_


#include "rush_base.h"


#define RUSH_WX_OPENID    64            /* bytes of each, NUL included */
#define RUSH_WX_TOKEN     1024
#define RUSH_WX_MOBILE    24
#define RUSH_WX_KEY       16
#define RUSH_WX_DATA_MAX  4096          /* of encrypted data, base64 */
#define RUSH_WX_AGE       600           /* s, of a number's watermark */


typedef enum {
    RUSH_WX_OK = 0,
    RUSH_WX_BUSY,                       /* -1, 45009, or no sense: again */
    RUSH_WX_BAD_CODE,                   /* 40029, 40163: log in again */
    RUSH_WX_OFTEN,                      /* 45011 */
    RUSH_WX_BLOCKED,                    /* 40226: a user WeChat distrusts */
    RUSH_WX_BAD_TOKEN,                  /* 40001, 40014, 42001: fetch one */
    RUSH_WX_BAD_DATA,                   /* open data is not of this session */
    RUSH_WX_REFUSED                     /* all else: appid, secret, ... */
} rush_wx_rc_e;


typedef struct {
    char             openid[RUSH_WX_OPENID];
    char             unionid[RUSH_WX_OPENID];   /* "": none */
    unsigned char    key[RUSH_WX_KEY];
} rush_wx_session_t;


/* each reads one whole answer; errcode, when there is one, lands in *code */

rush_wx_rc_e rush_wx_session(const char *body, size_t len,
    rush_wx_session_t *s, int64_t *code);

/* expires: seconds */
rush_wx_rc_e rush_wx_token(const char *body, size_t len,
    char token[RUSH_WX_TOKEN], int64_t *expires, int64_t *code);

/* mobile: 11 digits of mainland China, or "+" and the number.  now: seconds;
 * what was marked more than RUSH_WX_AGE ago, or later than the clocks of both
 * may differ, is BAD_DATA */
rush_wx_rc_e rush_wx_phone(const char *body, size_t len, const char *appid,
    int64_t now, char mobile[RUSH_WX_MOBILE], int64_t *code);

/* the same from encryptedData and iv, both base64 text */
rush_wx_rc_e rush_wx_open_phone(const unsigned char key[RUSH_WX_KEY],
    const rush_str_t *data, const rush_str_t *iv, const char *appid,
    int64_t now, char mobile[RUSH_WX_MOBILE]);

/* open data to its JSON text, NUL behind; dst holds data->len bytes.  Returns
 * its length, RUSH_ERROR when key, iv and data do not fit */
long rush_wx_open(unsigned char *dst, const unsigned char key[RUSH_WX_KEY],
    const rush_str_t *data, const rush_str_t *iv);


#endif /* _RUSH_WECHAT_H_INCLUDED_ */
