
/*
 * Copyright (C) Rush
 */


#ifndef _RUSH_ERRORS_H_INCLUDED_
#define _RUSH_ERRORS_H_INCLUDED_


/*
 * The one list of results a client can see.  It makes the enum, the table
 * the engine replies from, the per-code counters, docs/errors.md and the
 * "code" schema of docs/openapi.json.  Codes are never reused or renumbered.
 *
 *   1..999 common, 1xxxx user, 2xxxx product, 3xxxx order, 4xxxx payment,
 *   5xxxx cart and coupon, 6xxxx seckill and queue, 7xxxx upload,
 *   8xxxx lottery and comment, 9xxxx check-in, tasks, points, wallet
 *
 * A business refusal answers HTTP 200 with its code; transport outcomes
 * answer their real status.  Both carry the envelope.
 *
 *    name                code   http  message
 */

#define RUSH_ERRORS(E)                                                        \
    E(INTERNAL,              1,  500, "internal error")                       \
    E(BAD_REQUEST,           2,  400, "malformed request")                    \
    E(BUSY,                  3,  503, "service is busy, try again")           \
    E(NOT_FOUND,             4,  404, "not found")                            \
    E(METHOD,                5,  405, "method not allowed")                   \
    E(UNAUTHORIZED,          6,  401, "log in first")                         \
    E(FORBIDDEN,             7,  403, "not allowed")                          \
    E(TOO_LARGE,             8,  413, "request is too large")                 \
    E(MEDIA_TYPE,            9,  415, "content type must be application/json")\
    E(LIMITED,              10,  429, "too many requests, slow down")         \
    E(UNKNOWN,              11,  202, "outcome is not known yet, ask again")  \
    E(CLOSED,               12,  503, "selling is closed, try again")         \
    E(CONFLICT,             13,  409, "changed by somebody else, read again") \
    E(KEY_REUSED,           14,  422, "idempotency key was used otherwise")   \
    E(KEY_RUNNING,          15,  409, "the first request still runs")         \
                                                                              \
    E(USER_EXISTS,       10001,  200, "account exists already")               \
    E(LOGIN_FAILED,      10002,  200, "wrong account or password")            \
    E(USER_LOCKED,       10003,  200, "too many failures, try again later")   \
    E(WRONG_PASSWORD,    10004,  200, "wrong password")                       \
    E(WEAK_PASSWORD,     10005,  200, "password is too easy to guess")        \
    E(USER_BANNED,       10006,  200, "account is closed")                    \
    E(REFRESH_INVALID,   10007,  401, "refresh token is not valid")           \
    E(CODE_LIMITED,      10020,  429, "too many codes, try again later")      \
    E(CODE_WRONG,        10021,  200, "code is wrong, used or too old")       \
    E(TICKET_INVALID,    10022,  200, "ticket is wrong, used or too old")     \
    E(ADDRESS_LIMIT,     10030,  200, "there are 20 addresses already")       \
    E(SPONSOR_LIMIT,     10031,  200, "there are 50 sponsor cards already")   \
    E(LOGIN_AGAIN,       10032,  200, "log in once more, then try again")     \
    E(LAST_ADMIN,        10040,  200, "the last administrator has to stay")   \
    E(USER_STATE,        10041,  200, "account cannot do this in its state")  \
    E(ROLE_UNKNOWN,      10042,  200, "there is no such role")                \
    E(ROLE_EXISTS,       10043,  200, "role exists already")                  \
    E(ROLE_IN_USE,       10044,  200, "somebody has this role")               \
    E(ROLE_FIXED,        10045,  200, "role 1 cannot be changed")             \
    E(ROLES_FULL,        10046,  200, "there are 62 roles already")           \
    E(WX_CODE_INVALID,   10050,  200, "WeChat code is wrong, used or too old")\
    E(WX_DATA_INVALID,   10051,  200, "phone number of WeChat is not valid")  \
    E(WX_BOUND,          10052,  200, "WeChat is bound already")              \
    E(WX_DENIED,         10053,  200, "WeChat has blocked this user")         \
    E(WX_UNAVAILABLE,    10054,  503, "WeChat is away, try with a new code")  \
    E(LAST_LOGIN,        10055,  200, "no other way to log in is left")       \
                                                                              \
    E(PRODUCT_IN_USE,    20001,  200, "product is in a running activity")     \
    E(PRODUCT_STOCK,     20002,  200, "not enough stock")                     \
    E(PRODUCT_OFF,       20003,  200, "product is not on sale")               \
                                                                              \
    E(ORDER_STATE,       30001,  200, "order cannot do this in its state")    \
    E(ORDER_PROCESSING,  30002,  409, "order is being written, try again")    \
    E(TRADE_CODE,        30003,  200, "no order waits for this code")         \
    E(ADDRESS_UNKNOWN,   30004,  200, "there is no such address")             \
                                                                              \
    E(PAY_OPEN,          40001,  200, "another payment of it is open")        \
    E(PAY_STATE,         40002,  200, "payment cannot do this in its state")  \
    E(PAY_CHANNEL,       40003,  200, "this way to pay is not offered")       \
    E(PAY_FAILED,        40004,  200, "the provider refused the payment")     \
    E(PAYER_UNKNOWN,     40005,  200, "bind WeChat first, or pay otherwise")  \
    E(REFUND_SUM,        40006,  200, "more than is left of the payment")     \
    E(REFUND_STATE,      40007,  200, "refund cannot do this in its state")   \
    E(NOTHING_TO_PAY,    40008,  200, "there is nothing to pay")              \
                                                                              \
    E(NOT_STARTED,       60001,  200, "not started yet")                      \
    E(SOLD_OUT,          60002,  200, "sold out")                             \
    E(ENDED,             60003,  200, "the sale has ended")                   \
    E(BUY_LIMIT,         60004,  200, "limit per buyer reached")              \
    E(PAUSED,            60005,  200, "the sale is paused")                   \
    E(QUANTITY,          60006,  200, "quantity is not allowed")              \
    E(CROWDED,           60007,  429, "too many buyers at once, try again")   \
    E(RELEASED,          60008,  200, "the order of this buy was given back") \
    E(DENIED,            60009,  200, "this request was refused for good")    \
    E(ACTIVITY_STATE,    60010,  200, "activity cannot do this in its state") \
    E(NO_ACTIVITY,       60011,  200, "no sale is running for this product")


enum {
#define RUSH_ERROR_ENUM(name, code, http, text)  RUSH_##name = code,
    RUSH_ERRORS(RUSH_ERROR_ENUM)
#undef RUSH_ERROR_ENUM
};


/* position of a code in the list above: the index of tables and counters */

enum {
#define RUSH_ERROR_INDEX(name, code, http, text)  RUSH_I_##name,
    RUSH_ERRORS(RUSH_ERROR_INDEX)
#undef RUSH_ERROR_INDEX
    RUSH_ERROR_COUNT
};


#endif /* _RUSH_ERRORS_H_INCLUDED_ */
