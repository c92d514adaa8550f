
/*
 * Copyright (C) Rush
 *
 * Payments as buyers see them.  Macros only, included by ngx_seckill_api.h;
 * the format is described in ngx_rush.h.
 */


#ifndef _NGX_SECKILL_PAY_API_H_INCLUDED_
#define _NGX_SECKILL_PAY_API_H_INCLUDED_


#define NGX_SECKILL_PAY_ROUTES(R)                                             \
    R(seckill, payment_create, POST, "/api/v1/payment/create",                \
      USER, API, NGX_RUSH_IDEMPOTENT, OBJECT, payment,                        \
      "Starts to pay an order; 202: ask for its status")                      \
    R(seckill, order_pay, POST, "/api/v1/orders/{id}/pay",                    \
      USER, API, NGX_RUSH_IDEMPOTENT, OBJECT, payment,                        \
      "Starts to pay this order; 202: ask for its status")                    \
    R(seckill, payment_status, GET, "/api/v1/payment/{id}/status",            \
      USER, API, 0, OBJECT, payment,                                          \
      "A payment of the caller; sync=1 has the provider asked first")         \
    R(seckill, payment_close, POST, "/api/v1/payment/{id}/close",             \
      USER, API, 0, OBJECT, payment,                                          \
      "Ends an open payment, so that another can begin; 202: ask again")      \
    R(seckill, sandbox_pay, POST, "/api/v1/payment/sandbox/{id}/pay",         \
      USER, API, NGX_RUSH_KEEP_RUNNING, OBJECT, sandbox,                      \
      "Pays as the buyer's wallet would, where the sandbox is offered")


#define NGX_SECKILL_FIELDS_payment_create(F)                                  \
    F(payment_create, order_id, KEY, BODY, 1, 1, 40, "order number")          \
    F(payment_create, channel, KEY, BODY, 1, 1, 32,                           \
      "wechat_native, wechat_jsapi, wechat_h5, alipay_page, alipay_wap, "     \
      "alipay_precreate, wallet or sandbox")                                  \
    F(payment_create, address_id, ID, BODY, 0, 1, INT64_MAX,                  \
      "address of the caller, for an order that has none yet")

#define NGX_SECKILL_FIELDS_order_pay(F)                                       \
    F(order_pay, id, KEY, PATH, 1, 1, 40, "order number")                     \
    F(order_pay, channel, KEY, BODY, 1, 1, 32,                                \
      "wechat_native, wechat_jsapi, wechat_h5, alipay_page, alipay_wap, "     \
      "alipay_precreate, wallet or sandbox")

#define NGX_SECKILL_FIELDS_payment_status(F)                                  \
    F(payment_status, id, ID, PATH, 1, 1, INT64_MAX, "payment")               \
    F(payment_status, sync, BOOL, QUERY, 0, 0, 1,                             \
      "1: asks the provider about an open one, every 3 s at most")

#define NGX_SECKILL_FIELDS_payment_close(F)                                   \
    F(payment_close, id, ID, PATH, 1, 1, INT64_MAX, "payment")

#define NGX_SECKILL_FIELDS_sandbox_pay(F)                                     \
    F(sandbox_pay, id, ID, PATH, 1, 1, INT64_MAX, "payment")                  \
    F(sandbox_pay, fault, KEY, BODY, 0, 1, 16,                                \
      "of the notice: none, lost, twice or wrong_amount")                     \
    F(sandbox_pay, late_ms, INT, BODY, 0, 0, 60000,                           \
      "the notice, and this answer, come so much later")


#define NGX_SECKILL_ERRORS_payment_create(E)                                  \
    E(NOT_FOUND) E(ORDER_STATE) E(ORDER_PROCESSING) E(ADDRESS_UNKNOWN)        \
    E(PAY_OPEN) E(PAY_STATE) E(PAY_CHANNEL) E(PAY_FAILED)         \
    E(PAYER_UNKNOWN) E(NOTHING_TO_PAY) E(UNKNOWN) E(BUSY)
#define NGX_SECKILL_ERRORS_order_pay(E)                                       \
    E(NOT_FOUND) E(ORDER_STATE) E(ORDER_PROCESSING)                           \
    E(PAY_OPEN) E(PAY_STATE) E(PAY_CHANNEL) E(PAY_FAILED)         \
    E(PAYER_UNKNOWN) E(NOTHING_TO_PAY) E(UNKNOWN) E(BUSY)
#define NGX_SECKILL_ERRORS_payment_status(E)                                  \
    E(NOT_FOUND) E(BUSY)
#define NGX_SECKILL_ERRORS_payment_close(E)                                   \
    E(NOT_FOUND) E(PAY_STATE) E(UNKNOWN) E(BUSY)
#define NGX_SECKILL_ERRORS_sandbox_pay(E)                                     \
    E(NOT_FOUND) E(PAY_STATE) E(BUSY)


#define NGX_SECKILL_SCHEMA_payment(O)                                         \
    O(id, ID, 1, "payment; to the provider it is out_trade_no")               \
    O(order_no, STR, 1, "order number")                                       \
    O(channel, STR, 1, "as it was asked for")                                 \
    O(amount, MONEY, 1,                                                       \
      "fen, of the order; of one that was given back what had come")          \
    O(currency, STR, 1, "CNY")                                                \
    O(state, INT, 1,                                                          \
      "0 asked, 1 open, 2 paid, 3 closing, 4 closed, 5 failed, 6 late, "      \
      "7 returned")                                                           \
    O(state_text, STR, 1, "name of the state")                                \
    O(params, OBJ, 0, "what the client gives the provider, while it is open") \
    O(cause, STR, 0,                                                          \
      "of a failed one: refused, not_configured, payer_unknown, too_late")    \
    O(refunded, MONEY, 1, "fen that will go back")                            \
    O(returned, MONEY, 1, "fen that went back")                               \
    O(pay_deadline, TIME, 1, "of the order")                                  \
    O(pay_deadline_ms, INT, 1, "of the order")                                \
    O(created_at, TIME, 1, "when it was asked for")                           \
    O(paid_at, TIME, 1, "null when not paid")                                 \
    O(closed_at, TIME, 1, "null when not closed")                             \
    O(poll, STR, 0, "where to ask, while it may change by itself")            \
    O(poll_after_ms, INT, 0, "when to ask")

#define NGX_SECKILL_SCHEMA_sandbox(O)                                         \
    O(id, ID, 1, "payment")                                                   \
    O(paid_at, TIME, 1, "when the trade was paid")                            \
    O(notice, STR, 1, "sent, lost (as asked, or Redis is away)")


#define NGX_SECKILL_PAY_SCHEMAS(S)  S(payment) S(sandbox)


#endif /* _NGX_SECKILL_PAY_API_H_INCLUDED_ */
