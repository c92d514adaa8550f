
/*
 * Copyright (C) Rush
 *
 * Notices of payment providers on their way from a worker to the cashier of
 * the consumer, and the keys that go the other way.
 *
 * A worker verifies a notice over the bytes that came, decrypts it and adds
 * it to the stream RUSH_NOTICE_KEY; only when Redis has it the provider is
 * told so.  Fields of an entry, in this order:
 *
 *   p   provider: "wechat", "alipay" or "sandbox"
 *   k   kind: "pay" or "refund"
 *   n   key of the notice, unique for the provider: 1 to RUSH_NOTICE_ID
 *       characters [A-Za-z0-9._:-].  WeChat: its "id"; Alipay: "notify_id".
 *       A name that is longer or has other characters is replaced by "h:" and
 *       the first 62 hex digits of its SHA-256
 *   b   what was signed and decrypted, at most RUSH_NOTICE_BODY bytes of JSON:
 *       WeChat and sandbox: the decrypted resource as it came (read it with
 *       rush_wxpay_trade() or rush_wxpay_refund()); Alipay: all fields of the
 *       form as one flat object of strings, without sign and sign_type (read
 *       it with rush_alipay_notice())
 *   r   ms when it was received, decimal
 *
 * What is in b is authentic but nothing else: merchant, app, seller, amount,
 * currency and state are for the cashier to check (a worker also refuses a
 * merchant or an app that is not the configured one, where one is).  The same
 * notice comes several times, and in any order.
 *
 * Platform certificates of WeChat Pay are downloaded by the consumer.  It puts
 * each under RUSH_PAYKEY_KEY and the serial (upper-case hex, as in the header
 * Wechatpay-Serial), with a life until the certificate ends: rush_seal() of
 * the PEM text (label RUSH_PAYKEY_LABEL, "with" the serial), at most
 * RUSH_PAYKEY_MAX bytes sealed.  A worker that meets a serial it does not know
 * reads that key, and believes the certificate only when the seal is right, its
 * own serial is the same and it has not ended.
 */


#ifndef _RUSH_NOTICE_H_INCLUDED_
#define _RUSH_NOTICE_H_INCLUDED_


#include "rush_base.h"


#define RUSH_NOTICE_KEY        "{rush}pay"
#define RUSH_NOTICE_GROUP      "rush"       /* of the cashier */

#define RUSH_NOTICE_WECHAT     "wechat"
#define RUSH_NOTICE_ALIPAY     "alipay"
#define RUSH_NOTICE_SANDBOX    "sandbox"

#define RUSH_NOTICE_PAY        "pay"
#define RUSH_NOTICE_REFUND     "refund"
#define RUSH_NOTICE_QUERY      "query"      /* made by the teller, not by a
                                               worker */

#define RUSH_NOTICE_ID         64           /* bytes of n, at most */
#define RUSH_NOTICE_RAW        65536        /* bytes of what a provider sends */
#define RUSH_NOTICE_BODY       131072       /* bytes of b: JSON of an Alipay
                                               form may be longer than it */

#define RUSH_PAYKEY_KEY        "{rush}k:wx:"
#define RUSH_PAYKEY_LABEL      "paykey"
#define RUSH_PAYKEY_MAX        8192         /* bytes, sealed */


/*
 * Why something that claims to be from a provider is not believed: names of
 * the counters, and what rush_wxpay.h and rush_alipay.h return (> 0).
 */

#define RUSH_DOUBTS(D)                                                        \
    D(UNSIGNED,  "unsigned",  "headers or fields of the signature missing")   \
    D(TIME,      "time",      "too old, too new or no time")                  \
    D(SERIAL,    "serial",    "signed by a key that is not known")            \
    D(SIGNATURE, "signature", "signature is wrong")                           \
    D(FORMAT,    "format",    "not what the provider would send")             \
    D(RESOURCE,  "resource",  "cannot be decrypted")                          \
    D(OWNER,     "owner",     "of another merchant, app or seller")           \
    D(SIZE,      "size",      "too long")                                     \
    D(OFF,       "off",       "this provider is not configured")              \
    D(UNSURE,    "busy",      "no memory to check it, may be genuine")

typedef enum {
    RUSH_TRUSTED = 0,
#define RUSH_DOUBT_ENUM(name, text, why)  RUSH_DOUBT_##name,
    RUSH_DOUBTS(RUSH_DOUBT_ENUM)
#undef RUSH_DOUBT_ENUM
    RUSH_DOUBT_COUNT
} rush_doubt_e;


/* a check that ended with rc: RUSH_OK, RUSH_UNSURE, or it found what is wrong;
 * of whom memory has failed nothing was found */

static inline rush_doubt_e
rush_doubt(int rc, rush_doubt_e wrong)
{
    if (rc == RUSH_OK) {
        return RUSH_TRUSTED;
    }

    return (rc == RUSH_UNSURE) ? RUSH_DOUBT_UNSURE : wrong;
}


#endif /* _RUSH_NOTICE_H_INCLUDED_ */
