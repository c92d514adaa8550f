
/*
 * Copyright (C) Rush
 *
 * Payments and refunds: channels, states, what workers and the consumer tell
 * each other.  Amounts are integer fen, CNY.
 */


#ifndef _RUSH_PAY_H_INCLUDED_
#define _RUSH_PAY_H_INCLUDED_


#define RUSH_PAY_PROVIDERS(P)                                                 \
    P(NONE,        0, "")                                                     \
    P(WECHAT,      1, "wechat")                                               \
    P(ALIPAY,      2, "alipay")                                               \
    P(WALLET,      3, "wallet")                                               \
    P(SANDBOX,     4, "sandbox")        /* our own, for demo and drills */


/* channel, number, name, provider */

#define RUSH_PAY_CHANNELS(C)                                                  \
    C(WECHAT_NATIVE,    1, "wechat_native",    WECHAT)                        \
    C(WECHAT_JSAPI,     2, "wechat_jsapi",     WECHAT)                        \
    C(WECHAT_H5,        3, "wechat_h5",        WECHAT)                        \
    C(ALIPAY_PAGE,      4, "alipay_page",      ALIPAY)                        \
    C(ALIPAY_WAP,       5, "alipay_wap",       ALIPAY)                        \
    C(ALIPAY_PRECREATE, 6, "alipay_precreate", ALIPAY)                        \
    C(WALLET,           7, "wallet",           WALLET)                        \
    C(SANDBOX,          8, "sandbox",          SANDBOX)


/* payment.state; 0, 1 and 3 are open: an order has one of them at most */

#define RUSH_PAYMENT_STATES(S)                                                \
    S(ASKED,       0, "asked")          /* intent; the provider is next */    \
    S(OPEN,        1, "open")           /* the buyer can pay */               \
    S(PAID,        2, "paid")                                                 \
    S(CLOSING,     3, "closing")        /* the provider is asked, then told */\
    S(CLOSED,      4, "closed")                                               \
    S(FAILED,      5, "failed")         /* the provider refused */            \
    S(LATE,        6, "late")           /* paid, the order waited no more */  \
    S(RETURNED,    7, "returned")       /* paid, the money goes back */


/* refund.state */

#define RUSH_REFUND_STATES(S)                                                 \
    S(REQUESTED,   0, "requested")      /* an administrator decides */        \
    S(APPROVED,    1, "approved")       /* to be sent */                      \
    S(SENDING,     2, "sending")        /* intent; outcome not known */       \
    S(PROCESSING,  3, "processing")     /* the provider is at it */           \
    S(DONE,        4, "done")                                                 \
    S(REJECTED,    5, "rejected")                                             \
    S(FAILED,      6, "failed")         /* an operator decides */


/* refund.origin */

#define RUSH_REFUND_ORIGINS(O)                                                \
    O(USER,        0, "user")                                                 \
    O(ADMIN,       1, "admin")                                                \
    O(LATE,        2, "late")           /* paid after the order had ended */  \
    O(SECOND,      3, "second")         /* paid twice */                      \
    O(MISMATCH,    4, "mismatch")       /* another amount than asked for */


/* payment_notice.state */

#define RUSH_NOTICE_STATES(S)                                                 \
    S(UNMATCHED,   0, "unmatched")      /* no such payment (yet) */           \
    S(APPLIED,     1, "applied")                                              \
    S(DUPLICATE,   2, "duplicate")      /* told what was known */             \
    S(MISMATCH,    3, "mismatch")       /* amount, merchant: alarm */         \
    S(IGNORED,     4, "ignored")        /* of no meaning for us */            \
    S(CLOSED,      5, "closed")         /* an operator has dealt with it */


enum {
#define RUSH_PAY_ENUM(name, n, text)  RUSH_PROVIDER_##name = n,
    RUSH_PAY_PROVIDERS(RUSH_PAY_ENUM)
#undef RUSH_PAY_ENUM
    RUSH_PROVIDERS
};


enum {
#define RUSH_PAY_ENUM(name, n, text, provider)  RUSH_CHANNEL_##name = n,
    RUSH_PAY_CHANNELS(RUSH_PAY_ENUM)
#undef RUSH_PAY_ENUM
    RUSH_CHANNELS
};


enum {
#define RUSH_PAY_ENUM(name, n, text)  RUSH_PAYMENT_##name = n,
    RUSH_PAYMENT_STATES(RUSH_PAY_ENUM)
#undef RUSH_PAY_ENUM
#define RUSH_PAY_ENUM(name, n, text)  RUSH_REFUND_##name = n,
    RUSH_REFUND_STATES(RUSH_PAY_ENUM)
#undef RUSH_PAY_ENUM
#define RUSH_PAY_ENUM(name, n, text)  RUSH_ORIGIN_##name = n,
    RUSH_REFUND_ORIGINS(RUSH_PAY_ENUM)
#undef RUSH_PAY_ENUM
#define RUSH_PAY_ENUM(name, n, text)  RUSH_NOTICE_##name = n,
    RUSH_NOTICE_STATES(RUSH_PAY_ENUM)
#undef RUSH_PAY_ENUM
    RUSH_PAY_NOTHING = -1
};


/*
 * A hint for the teller, which looks into MySQL once a second without it:
 * stream, MAXLEN ~ 10000, fields k "pay", "close" or "refund", i the id.
 */

#define RUSH_TELL_KEY        "{rush}tell"

/* refund.id in text behind it; never another number for the same refund */
#define RUSH_REFUND_PREFIX   "R"

#define RUSH_PAY_LETTER      (-2)       /* dead_letter.activity_id of notices
                                           that can never be applied */


#endif /* _RUSH_PAY_H_INCLUDED_ */
