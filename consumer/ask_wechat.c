
/*
 * Copyright (C) Rush
 *
 * What becomes of an ask: who it is, then its number when one was brought,
 * then the answer.
 */


#include "ask.h"


#define RUSH_TOKEN_REST  300            /* s, an access token is not used in
                                           its last ones */


typedef struct {
    rush_str_t           code;
    rush_str_t           phone_code;
    rush_str_t           iv;
    rush_str_t           data;
} rush_asked_t;


static void rush_ask_session(rush_asker_t *ar, rush_ask_t *ask, CURLcode rc);
static void rush_ask_known(rush_asker_t *ar, rush_ask_t *ask);
static void rush_ask_phone(rush_asker_t *ar, rush_ask_t *ask, CURLcode rc);
static void rush_ask_token(rush_asker_t *ar, CURLcode rc);
static void rush_ask_no_token(rush_asker_t *ar, unsigned may_retry);
static int rush_ask_retry(rush_asker_t *ar, rush_ask_t *ask, unsigned what);
static void rush_ask_end(rush_asker_t *ar, rush_ask_t *ask, int result);
static int rush_ask_result(rush_wx_rc_e rc);
static void rush_ask_tell(const char *what, rush_wx_rc_e rc, int64_t code);
static int rush_ask_is_name(const char *s);


#define rush_asked_field(name, min, max)                                      \
    { rush_string(#name), RUSH_T_SECRET, RUSH_IN_BODY, 1, min, max,           \
      offsetof(rush_asked_t, name) }

static const rush_field_t  rush_asked_fields[] = {
    rush_asked_field(code, 1, RUSH_WX_CODE_MAX),
    rush_asked_field(phone_code, 0, RUSH_WX_CODE_MAX),
    rush_asked_field(iv, 0, RUSH_WX_IV_MAX),
    rush_asked_field(data, 0, RUSH_WX_CRYPT_MAX)
};

#define RUSH_ASKED_FIELDS                                                     \
    (sizeof(rush_asked_fields) / sizeof(rush_asked_fields[0]))


int
rush_ask_open(rush_asker_t *ar, rush_ask_t *ask, const void *sealed,
    size_t len)
{
    int                 n;
    uint64_t            present;
    rush_str_t          id;
    rush_asked_t        o;
    rush_field_error_t  err;

    memset(&o, 0, sizeof(rush_asked_t));

    id.data = (unsigned char *) ask->id;
    id.len = RUSH_ASK_ID;

    if (len > sizeof(ask->text)) {
        return RUSH_ERROR;
    }

    n = rush_unseal(&ar->daemon->conf.seal, RUSH_ASK_LABEL, &id, sealed, len,
                    ask->text);

    if (n < 0) {
        return RUSH_ERROR;
    }

    present = 0;

    if (rush_field_body(rush_asked_fields, RUSH_ASKED_FIELDS, &o, &present,
                        ask->text, (size_t) n, &err)
        != RUSH_OK
        || rush_field_required(rush_asked_fields, RUSH_ASKED_FIELDS, present,
                               &err)
           != RUSH_OK)
    {
        return RUSH_ERROR;
    }

    ask->code = o.code;
    ask->phone_code = o.phone_code;
    ask->iv = o.iv;
    ask->data = o.data;

    return RUSH_OK;
}


/* no call is under way; the place is free then */

void
rush_ask_wipe(rush_ask_t *ask)
{
    explicit_bzero(ask, sizeof(rush_ask_t));
}


void
rush_ask_go(rush_asker_t *ar)
{
    int          rc;
    size_t       i;
    int64_t      now;
    rush_ask_t  *ask;

    now = rush_mono();

    for (i = 0; i < RUSH_ASKS; i++) {
        ask = &ar->asks[i];

        if (ask->state == RUSH_ASK_FREE || ask->call.flying) {
            continue;
        }

        if (ask->state == RUSH_ASK_ANSWER) {

            if (now >= ask->end) {
                rush_stat_add(ar->daemon, asks_expired, 1);
                rush_ask_wipe(ask);
            }

            continue;
        }

        if (now >= ask->deadline) {
            rush_ask_end(ar, ask, RUSH_WX_UNAVAILABLE);
            continue;
        }

        rc = RUSH_OK;

        if (ask->state == RUSH_ASK_TOKEN && now < ar->token_end) {
            ask->state = RUSH_ASK_PHONE;
        }

        if (ask->state == RUSH_ASK_SESSION) {
            rc = rush_call_session(ar, ask);

        } else if (ask->state == RUSH_ASK_PHONE) {
            rc = rush_call_phone(ar, ask);

        } else if (!ar->token_call.flying) {
            rc = rush_call_token(ar);
        }

        if (rc != RUSH_OK) {
            rush_ask_end(ar, ask, RUSH_WX_UNAVAILABLE);
        }
    }
}


void
rush_ask_landed(rush_asker_t *ar, rush_call_t *call, CURLcode rc)
{
    if (call->ask == NULL) {
        rush_ask_token(ar, rc);

    } else if (call->ask->state == RUSH_ASK_PHONE) {
        rush_ask_phone(ar, call->ask, rc);

    } else {
        rush_ask_session(ar, call->ask, rc);
    }
}


static void
rush_ask_session(rush_asker_t *ar, rush_ask_t *ask, CURLcode rc)
{
    int64_t       code;
    rush_call_e   outcome;
    rush_wx_rc_e  wx;

    code = 0;
    wx = RUSH_WX_BUSY;
    outcome = rush_call_outcome(&ask->call, rc);

    if (outcome == RUSH_CALL_ANSWERED) {
        wx = rush_wx_session(ask->call.answer, ask->call.len, &ask->session,
                             &code);

        if (wx == RUSH_WX_OK && !rush_ask_is_name(ask->session.openid)) {
            wx = RUSH_WX_BUSY;
        }

        rush_ask_tell("jscode2session", wx, code);
    }

    rush_call_land(ar, &ask->call);

    if (wx == RUSH_WX_OK) {
        rush_ask_known(ar, ask);
        return;
    }

    if ((outcome == RUSH_CALL_UNSEEN || code == -1)
        && rush_ask_retry(ar, ask, RUSH_AGAIN_SESSION) == RUSH_OK)
    {
        return;
    }

    rush_ask_end(ar, ask, rush_ask_result(wx));
}


static void
rush_ask_known(rush_asker_t *ar, rush_ask_t *ask)
{
    rush_wx_rc_e  wx;

    if (ask->phone_code.len > 0) {
        ask->state = RUSH_ASK_TOKEN;
        return;
    }

    wx = RUSH_WX_OK;

    if (ask->data.len > 0) {
        wx = rush_wx_open_phone(ask->session.key, &ask->data, &ask->iv,
                                ar->daemon->conf.wechat.appid,
                                rush_now() / 1000, ask->mobile);
    }

    rush_ask_end(ar, ask, rush_ask_result(wx));
}


static void
rush_ask_phone(rush_asker_t *ar, rush_ask_t *ask, CURLcode rc)
{
    int64_t       code;
    rush_call_e   outcome;
    rush_wx_rc_e  wx;

    code = 0;
    wx = RUSH_WX_BUSY;
    outcome = rush_call_outcome(&ask->call, rc);

    if (outcome == RUSH_CALL_ANSWERED) {
        wx = rush_wx_phone(ask->call.answer, ask->call.len,
                           ar->daemon->conf.wechat.appid, rush_now() / 1000,
                           ask->mobile, &code);

        rush_ask_tell("getuserphonenumber", wx, code);
    }

    rush_call_land(ar, &ask->call);

    if (wx == RUSH_WX_BAD_TOKEN) {

        /* another ask may have fetched one since, but then this is only one
         * call more */

        ar->token_end = 0;

        if (rush_ask_retry(ar, ask, RUSH_AGAIN_FRESH) == RUSH_OK) {
            ask->state = RUSH_ASK_TOKEN;
            return;
        }
    }

    if ((outcome == RUSH_CALL_UNSEEN || code == -1)
        && rush_ask_retry(ar, ask, RUSH_AGAIN_PHONE) == RUSH_OK)
    {
        return;
    }

    rush_ask_end(ar, ask, wx == RUSH_WX_BAD_CODE ? RUSH_WX_DATA_INVALID
                                                 : rush_ask_result(wx));
}


static void
rush_ask_token(rush_asker_t *ar, CURLcode rc)
{
    int64_t       code, expires;
    rush_call_t  *call;
    rush_wx_rc_e  wx;

    code = 0;
    expires = 0;
    wx = RUSH_WX_BUSY;
    call = &ar->token_call;
    ar->token_end = 0;

    if (rush_call_outcome(call, rc) == RUSH_CALL_ANSWERED) {
        wx = rush_wx_token(call->answer, call->len, ar->token, &expires,
                           &code);

        rush_ask_tell("stable_token", wx, code);
    }

    rush_call_land(ar, call);

    if (wx != RUSH_WX_OK) {
        explicit_bzero(ar->token, sizeof(ar->token));
        rush_ask_no_token(ar, wx == RUSH_WX_BUSY);
        return;
    }

    /* one that ends soon is used for what waits, at least */

    expires = expires > 2 * RUSH_TOKEN_REST ? expires - RUSH_TOKEN_REST
                                            : expires / 2 + 1;
    expires = expires < 7200 ? expires : 7200;

    ar->token_end = rush_mono() + expires * 1000000;
}


static void
rush_ask_no_token(rush_asker_t *ar, unsigned may_retry)
{
    size_t       i;
    rush_ask_t  *ask;

    for (i = 0; i < RUSH_ASKS; i++) {
        ask = &ar->asks[i];

        if (ask->state == RUSH_ASK_TOKEN
            && (!may_retry
                || rush_ask_retry(ar, ask, RUSH_AGAIN_TOKEN) != RUSH_OK))
        {
            rush_ask_end(ar, ask, RUSH_WX_UNAVAILABLE);
        }
    }
}


static int
rush_ask_retry(rush_asker_t *ar, rush_ask_t *ask, unsigned what)
{
    if ((ask->again & what) || rush_mono() >= ask->deadline) {
        return RUSH_ERROR;
    }

    ask->again |= what;
    rush_stat_add(ar->daemon, asks_retried, 1);

    return RUSH_OK;
}


static void
rush_ask_end(rush_asker_t *ar, rush_ask_t *ask, int result)
{
    if (result == RUSH_OK) {
        rush_stat_add(ar->daemon, asks_answered, 1);

    } else if (result == RUSH_WX_UNAVAILABLE) {
        rush_stat_add(ar->daemon, asks_failed, 1);

    } else {
        rush_stat_add(ar->daemon, asks_refused, 1);
    }

    explicit_bzero(ask->session.key, sizeof(ask->session.key));
    explicit_bzero(ask->text, sizeof(ask->text));

    ask->result = result;
    ask->state = RUSH_ASK_ANSWER;
}


static int
rush_ask_result(rush_wx_rc_e rc)
{
    switch (rc) {

    case RUSH_WX_OK:
        return RUSH_OK;

    case RUSH_WX_BAD_CODE:
        return RUSH_WX_CODE_INVALID;

    case RUSH_WX_BAD_DATA:
        return RUSH_WX_DATA_INVALID;

    case RUSH_WX_OFTEN:
        return RUSH_LIMITED;

    case RUSH_WX_BLOCKED:
        return RUSH_WX_DENIED;

    default:
        return RUSH_WX_UNAVAILABLE;
    }
}


/* a client's fault is none of ours */

static void
rush_ask_tell(const char *what, rush_wx_rc_e rc, int64_t code)
{
    switch (rc) {

    case RUSH_WX_OK:
    case RUSH_WX_BAD_CODE:
    case RUSH_WX_BAD_DATA:
    case RUSH_WX_OFTEN:
    case RUSH_WX_BLOCKED:
        return;

    case RUSH_WX_REFUSED:
        rush_log(RUSH_LOG_ERROR, "wechat: %s refuses us: errcode %lld", what,
                 (long long) code);
        return;

    default:
        rush_log(RUSH_LOG_WARN, "wechat: %s: errcode %lld%s", what,
                 (long long) code, code == 0 ? ", no sense" : "");
    }
}


/* an openid, as far as it may stand behind "appid:" */

static int
rush_ask_is_name(const char *s)
{
    size_t  n;

    n = strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
               "0123456789_-");

    return n > 0 && s[n] == '\0';
}
