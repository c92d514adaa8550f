
/*
 * Copyright (C) Rush
 *
 * Refunds: asked for by buyers, decided by administrators.  Macros only,
 * included by ngx_seckill_api.h; the format is described in ngx_rush.h.
 */


#ifndef _NGX_SECKILL_REFUND_API_H_INCLUDED_
#define _NGX_SECKILL_REFUND_API_H_INCLUDED_


#define NGX_SECKILL_REFUND_ROUTES(R)                                          \
    R(seckill, payment_refund, POST, "/api/v1/payment/{id}/refund",           \
      USER, API, NGX_RUSH_IDEMPOTENT, OBJECT, refund,                         \
      "Asks for money back; an administrator decides")                        \
    R(seckill, payment_refunds, GET, "/api/v1/payment/{id}/refunds",          \
      USER, API, 0, ARRAY, refund,                                            \
      "Refunds of a payment of the caller, newest first, 100 at most")        \
    R(seckill, refund_detail, GET,                                            \
      "/api/v1/payment/{id}/refunds/{refund_id}",                             \
      USER, API, 0, OBJECT, refund,                                           \
      "A refund of a payment of the caller")                                  \
    R(seckill, admin_refunds, GET, "/api/v1/admin/refunds",                   \
      MAY(payments_read), API, 0, FEED, admin_refund,                         \
      "Refunds, newest first")                                                \
    R(seckill, refund_approve, POST, "/api/v1/admin/refunds/{id}/approve",    \
      MAY(refunds_write), API, 0, OBJECT, admin_refund,                       \
      "Lets the money go back, as far as there is so much left")              \
    R(seckill, refund_reject, POST, "/api/v1/admin/refunds/{id}/reject",      \
      MAY(refunds_write), API, 0, OBJECT, admin_refund,                       \
      "Ends a refund that was asked for; the buyer is told why")              \
    R(seckill, refund_retry, POST, "/api/v1/admin/refunds/{id}/retry",        \
      MAY(refunds_write), API, 0, OBJECT, admin_refund,                       \
      "Lets a failed refund begin again, under the same number")              \
    R(seckill, admin_payment_refund, POST,                                    \
      "/api/v1/admin/payments/{id}/refund",                                   \
      MAY(refunds_write), API, NGX_RUSH_IDEMPOTENT, OBJECT, admin_refund,     \
      "Sends money back without being asked")                                 \
    R(seckill, give_back, POST, "/api/v1/admin/payments/{id}/give-back",      \
      MAY(refunds_write), API, NGX_RUSH_IDEMPOTENT, OBJECT, admin_refund,     \
      "Sends back what came in another amount than was asked for")


#define NGX_SECKILL_FIELDS_payment_refund(F)                                  \
    F(payment_refund, id, ID, PATH, 1, 1, INT64_MAX, "payment")               \
    F(payment_refund, amount, MONEY, BODY, 0, 1, 1000000000000,               \
      "fen, default all that is left")                                        \
    F(payment_refund, reason, STR, BODY, 1, 1, 80, "why")

#define NGX_SECKILL_FIELDS_payment_refunds(F)                                 \
    F(payment_refunds, id, ID, PATH, 1, 1, INT64_MAX, "payment")

#define NGX_SECKILL_FIELDS_refund_detail(F)                                   \
    F(refund_detail, id, ID, PATH, 1, 1, INT64_MAX, "payment")                \
    F(refund_detail, refund_id, ID, PATH, 1, 1, INT64_MAX, "refund")

#define NGX_SECKILL_FIELDS_admin_refunds(F)                                   \
    F(admin_refunds, last_id, ID, QUERY, 0, 1, INT64_MAX,                     \
      "rows before this one: next_last_id of the page before")                \
    F(admin_refunds, page_size, INT, QUERY, 0, 1, 100, "rows, default 20")    \
    F(admin_refunds, state, INT, QUERY, 0, 0, 6, "state")                     \
    F(admin_refunds, origin, KEY, QUERY, 0, 1, 16,                            \
      "user, admin, late, second or mismatch")                                \
    F(admin_refunds, provider, KEY, QUERY, 0, 1, 16,                          \
      "wechat, alipay, wallet or sandbox")                                    \
    F(admin_refunds, payment_id, ID, QUERY, 0, 1, INT64_MAX, "payment")       \
    F(admin_refunds, user_id, ID, QUERY, 0, 1, INT64_MAX, "buyer")            \
    F(admin_refunds, order_no, KEY, QUERY, 0, 1, 40, "order number")          \
    F(admin_refunds, from, TIME, QUERY, 0, 0, INT64_MAX, "made at or after")  \
    F(admin_refunds, to, TIME, QUERY, 0, 0, INT64_MAX, "made before")

#define NGX_SECKILL_FIELDS_refund_approve(F)                                  \
    F(refund_approve, id, ID, PATH, 1, 1, INT64_MAX, "refund")                \
    F(refund_approve, version, INT, BODY, 0, 1, INT32_MAX,                    \
      "the one that was looked at")

#define NGX_SECKILL_FIELDS_refund_reject(F)                                   \
    F(refund_reject, id, ID, PATH, 1, 1, INT64_MAX, "refund")                 \
    F(refund_reject, version, INT, BODY, 0, 1, INT32_MAX,                     \
      "the one that was looked at")                                           \
    F(refund_reject, reason, STR, BODY, 1, 1, 200, "why, for the buyer")

#define NGX_SECKILL_FIELDS_refund_retry(F)                                    \
    F(refund_retry, id, ID, PATH, 1, 1, INT64_MAX, "refund")                  \
    F(refund_retry, version, INT, BODY, 0, 1, INT32_MAX,                      \
      "the one that was looked at")

#define NGX_SECKILL_FIELDS_admin_payment_refund(F)                            \
    F(admin_payment_refund, id, ID, PATH, 1, 1, INT64_MAX, "payment")         \
    F(admin_payment_refund, amount, MONEY, BODY, 0, 1, 1000000000000,         \
      "fen, default all that is left")                                        \
    F(admin_payment_refund, reason, STR, BODY, 1, 1, 80,                      \
      "why, for the buyer")

#define NGX_SECKILL_FIELDS_give_back(F)                                       \
    F(give_back, id, ID, PATH, 1, 1, INT64_MAX, "payment")                    \
    F(give_back, amount, MONEY, BODY, 0, 1, 1000000000000,                    \
      "fen that came, as it was looked at: nothing else goes back")           \
    F(give_back, reason, STR, BODY, 1, 1, 80, "why, for the buyer")


#define NGX_SECKILL_ERRORS_payment_refund(E)                                  \
    E(NOT_FOUND) E(ORDER_STATE) E(PAY_STATE) E(REFUND_SUM) E(BUSY)
#define NGX_SECKILL_ERRORS_payment_refunds(E)                                 \
    E(NOT_FOUND) E(BUSY)
#define NGX_SECKILL_ERRORS_refund_detail(E)                                   \
    E(NOT_FOUND) E(BUSY)
#define NGX_SECKILL_ERRORS_admin_refunds(E)                                   \
    E(BUSY)
#define NGX_SECKILL_ERRORS_refund_approve(E)                                  \
    E(NOT_FOUND) E(REFUND_STATE) E(CONFLICT) E(BUSY)
#define NGX_SECKILL_ERRORS_refund_reject(E)                                   \
    E(NOT_FOUND) E(REFUND_STATE) E(CONFLICT) E(BUSY)
#define NGX_SECKILL_ERRORS_refund_retry(E)                                    \
    E(NOT_FOUND) E(REFUND_STATE) E(CONFLICT) E(BUSY)
#define NGX_SECKILL_ERRORS_admin_payment_refund(E)                            \
    E(NOT_FOUND) E(ORDER_STATE) E(PAY_STATE) E(REFUND_SUM) E(BUSY)
#define NGX_SECKILL_ERRORS_give_back(E)                                       \
    E(NOT_FOUND) E(PAY_STATE) E(REFUND_SUM) E(BUSY)


/* members that buyers and administrators see */

#define NGX_SECKILL_SCHEMA_refund(O)                                          \
    O(id, ID, 1, "refund")                                                    \
    O(payment_id, ID, 1, "payment")                                           \
    O(order_no, STR, 1, "order number")                                       \
    O(amount, MONEY, 1, "fen")                                                \
    O(currency, STR, 1, "CNY")                                                \
    O(reason, STR, 1, "why")                                                  \
    O(origin, STR, 1, "user, admin, late, second or mismatch")                \
    O(state, INT, 1,                                                          \
      "0 requested, 1 approved, 2 sending, 3 processing, 4 done, "            \
      "5 rejected, 6 failed")                                                 \
    O(state_text, STR, 1, "name of the state")                                \
    O(cause, STR, 0, "why it was rejected")                                   \
    O(created_at, TIME, 1, "when it was made")                                \
    O(done_at, TIME, 1, "when the money went back, null before")

#define NGX_SECKILL_SCHEMA_admin_refund(O)                                    \
    NGX_SECKILL_SCHEMA_refund(O)                                              \
    O(user_id, ID, 1, "buyer")                                                \
    O(provider, STR, 1, "wechat, alipay, wallet or sandbox")                  \
    O(out_refund_no, STR, 1, "number at the provider, never another one")     \
    O(provider_no, STR, 1, "number of the provider")                          \
    O(total, MONEY, 1, "of the payment, fen")                                 \
    O(reserved, BOOL, 1, "its sum is promised by the payment")                \
    O(whole, BOOL, 1, "it ends the order")                                    \
    O(units_back, BOOL, 1, "its units go back into stock")                    \
    O(decided_by, STR, 1, "administrator, \"0\" for none")                    \
    O(tries, INT, 1, "calls of the provider in this state")                   \
    O(next_at, TIME, 1, "next call")                                          \
    O(updated_at, TIME, 1, "last change")                                     \
    O(version, INT, 1, "rises with each change")


#define NGX_SECKILL_REFUND_SCHEMAS(S)  S(refund) S(admin_refund)


#endif /* _NGX_SECKILL_REFUND_API_H_INCLUDED_ */
