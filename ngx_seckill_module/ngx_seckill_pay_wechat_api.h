
/*
 * Copyright (C) Rush
 *
 * Payments by other names, as clients of WeChat Pay know them: the handlers are
 * those of payments, refunds and notices, and take their ids from the body or
 * the query.  Macros only, included by ngx_seckill_api.h; the format is
 * described in ngx_rush.h.
 */


#ifndef _NGX_SECKILL_PAY_WECHAT_API_H_INCLUDED_
#define _NGX_SECKILL_PAY_WECHAT_API_H_INCLUDED_


#define NGX_SECKILL_PAY_WECHAT_ROUTES(R)                                      \
    R(seckill, wechat_order, POST, "/api/v1/pay/wechat/unified-order",        \
      USER, API, NGX_RUSH_IDEMPOTENT, OBJECT, payment,                        \
      "payment/create by WeChat Pay")                                         \
    R(seckill, wechat_query, GET, "/api/v1/pay/wechat/query",                 \
      USER, API, 0, OBJECT, payment,                                          \
      "payment/{id}/status")                                                  \
    R(seckill, wechat_close, POST, "/api/v1/pay/wechat/close",                \
      USER, API, 0, OBJECT, payment,                                          \
      "payment/{id}/close")                                                   \
    R(seckill, wechat_refund, POST, "/api/v1/pay/wechat/refund",              \
      USER, API, NGX_RUSH_IDEMPOTENT, OBJECT, refund,                         \
      "payment/{id}/refund")                                                  \
    R(seckill, wechat_notify, POST, "/api/v1/pay/wechat/notify",              \
      PUBLIC, NONE, NGX_SECKILL_NOTICE_FLAGS, TEXT, none,                     \
      "payment/callback/wechat, for payments and refunds")


#define NGX_SECKILL_FIELDS_wechat_order(F)                                    \
    F(wechat_order, order_id, KEY, BODY, 1, 1, 40, "order number")            \
    F(wechat_order, channel, KEY, BODY, 0, 1, 32,                             \
      "wechat_native (the default), wechat_jsapi or wechat_h5")               \
    F(wechat_order, address_id, ID, BODY, 0, 1, INT64_MAX,                    \
      "address of the caller, for an order that has none yet")

#define NGX_SECKILL_FIELDS_wechat_query(F)                                    \
    F(wechat_query, payment_id, ID, QUERY, 1, 1, INT64_MAX, "payment")        \
    F(wechat_query, sync, BOOL, QUERY, 0, 0, 1,                               \
      "1: asks the provider about an open one, every 3 s at most")

#define NGX_SECKILL_FIELDS_wechat_close(F)                                    \
    F(wechat_close, payment_id, ID, BODY, 1, 1, INT64_MAX, "payment")

#define NGX_SECKILL_FIELDS_wechat_refund(F)                                   \
    F(wechat_refund, payment_id, ID, BODY, 1, 1, INT64_MAX, "payment")        \
    F(wechat_refund, amount, MONEY, BODY, 0, 1, 1000000000000,                \
      "fen, default all that is left")                                        \
    F(wechat_refund, reason, STR, BODY, 1, 1, 80, "why")

#define NGX_SECKILL_FIELDS_wechat_notify(F)


#define NGX_SECKILL_ERRORS_wechat_order(E)                                    \
    NGX_SECKILL_ERRORS_payment_create(E)
#define NGX_SECKILL_ERRORS_wechat_query(E)                                    \
    NGX_SECKILL_ERRORS_payment_status(E)
#define NGX_SECKILL_ERRORS_wechat_close(E)                                    \
    NGX_SECKILL_ERRORS_payment_close(E)
#define NGX_SECKILL_ERRORS_wechat_refund(E)                                   \
    NGX_SECKILL_ERRORS_payment_refund(E)
#define NGX_SECKILL_ERRORS_wechat_notify(E)


#endif /* _NGX_SECKILL_PAY_WECHAT_API_H_INCLUDED_ */
