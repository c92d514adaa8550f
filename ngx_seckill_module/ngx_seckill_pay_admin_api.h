
/*
 * Copyright (C) Rush
 *
 * Payments as administrators see them, bills of providers, settlements.
 * Macros only, included by ngx_seckill_api.h; the format is described in
 * ngx_rush.h.
 */


#ifndef _NGX_SECKILL_PAY_ADMIN_API_H_INCLUDED_
#define _NGX_SECKILL_PAY_ADMIN_API_H_INCLUDED_


#define NGX_SECKILL_PAY_ADMIN_ROUTES(R)                                       \
    R(seckill, admin_payments, GET, "/api/v1/admin/payments",                 \
      MAY(payments_read), API, 0, FEED, admin_payment,                        \
      "Payments, newest first")                                               \
    R(seckill, payment_notices, GET, "/api/v1/admin/payments/{id}/notices",   \
      MAY(payments_read), API, 0, FEED, notice,                               \
      "What the provider has told about a payment, newest first")             \
    R(seckill, admin_notices, GET, "/api/v1/admin/notices",                   \
      MAY(payments_read), API, 0, FEED, notice,                               \
      "What providers have told and somebody has to look at, newest first")   \
    R(seckill, notice_close, POST, "/api/v1/admin/notices/{id}/close",        \
      MAY(refunds_write), API, 0, OBJECT, notice,                             \
      "Somebody has dealt with such a notice")                                \
    R(seckill, bill_ask, POST, "/api/v1/admin/payments/reconcile",            \
      MAY(payments_write), API, 0, OBJECT, bill,                              \
      "Has our books compared with the provider's bill of a day")             \
    R(seckill, bill, GET, "/api/v1/admin/payments/reconcile",                 \
      MAY(payments_read), API, 0, OBJECT, bill,                               \
      "What such a comparison has found")                                     \
    R(seckill, settlements, GET, "/api/v1/admin/settlements",                 \
      MAY(payments_read), API, 0, LIST, settlement,                           \
      "Money of a day by shop and provider, newest day first")


#define NGX_SECKILL_FIELDS_admin_payments(F)                                  \
    F(admin_payments, last_id, ID, QUERY, 0, 1, INT64_MAX,                    \
      "rows before this one: next_last_id of the page before")                \
    F(admin_payments, page_size, INT, QUERY, 0, 1, 100, "rows, default 20")   \
    F(admin_payments, payment_id, ID, QUERY, 0, 1, INT64_MAX, "this one")     \
    F(admin_payments, state, INT, QUERY, 0, 0, 7, "state")                    \
    F(admin_payments, channel, KEY, QUERY, 0, 1, 32, "channel")               \
    F(admin_payments, provider, KEY, QUERY, 0, 1, 16,                         \
      "wechat, alipay, wallet or sandbox")                                    \
    F(admin_payments, user_id, ID, QUERY, 0, 1, INT64_MAX, "buyer")           \
    F(admin_payments, order_no, KEY, QUERY, 0, 1, 40, "order number")         \
    F(admin_payments, transaction_id, KEY, QUERY, 0, 1, 64,                   \
      "number of the provider")                                               \
    F(admin_payments, from, TIME, QUERY, 0, 0, INT64_MAX, "made at or after") \
    F(admin_payments, to, TIME, QUERY, 0, 0, INT64_MAX, "made before")

#define NGX_SECKILL_FIELDS_payment_notices(F)                                 \
    F(payment_notices, id, ID, PATH, 1, 1, INT64_MAX, "payment")              \
    F(payment_notices, last_id, ID, QUERY, 0, 1, INT64_MAX,                   \
      "rows before this one: next_last_id of the page before")                \
    F(payment_notices, page_size, INT, QUERY, 0, 1, 20, "rows, default 20")

#define NGX_SECKILL_FIELDS_admin_notices(F)                                   \
    F(admin_notices, state, KEY, QUERY, 0, 1, 16,                             \
      "open (default): mismatches, and unmatched ones with an alarm; or "     \
      "closed")                                                               \
    F(admin_notices, last_id, ID, QUERY, 0, 1, INT64_MAX,                     \
      "rows before this one: next_last_id of the page before")                \
    F(admin_notices, page_size, INT, QUERY, 0, 1, 20, "rows, default 20")

#define NGX_SECKILL_FIELDS_notice_close(F)                                    \
    F(notice_close, id, ID, PATH, 1, 1, INT64_MAX, "notice")                  \
    F(notice_close, reason, STR, BODY, 1, 1, 200, "what was done about it")

#define NGX_SECKILL_FIELDS_bill_ask(F)                                        \
    F(bill_ask, day, INT, BODY, 1, 20200101, 29991231,                        \
      "YYYYMMDD, China time; one that is over")                               \
    F(bill_ask, provider, KEY, BODY, 1, 1, 16, "wechat, alipay or sandbox")

#define NGX_SECKILL_FIELDS_bill(F)                                            \
    F(bill, day, INT, QUERY, 1, 20200101, 29991231, "YYYYMMDD, China time")   \
    F(bill, provider, KEY, QUERY, 1, 1, 16, "wechat, alipay or sandbox")      \
    F(bill, last_id, ID, QUERY, 0, 1, INT64_MAX,                              \
      "differences behind this one: next_last_id of the page before")

#define NGX_SECKILL_FIELDS_settlements(F)                                     \
    F(settlements, from, INT, QUERY, 0, 20200101, 29991231,                   \
      "first day, YYYYMMDD")                                                  \
    F(settlements, to, INT, QUERY, 0, 20200101, 29991231,                     \
      "last day, YYYYMMDD")                                                   \
    F(settlements, shop_id, INT, QUERY, 0, 0, INT64_MAX, "shop")              \
    F(settlements, provider, KEY, QUERY, 0, 1, 16,                            \
      "wechat, alipay, wallet or sandbox")                                    \
    F(settlements, page, INT, QUERY, 0, 1, 10000, "page, from 1")             \
    F(settlements, page_size, INT, QUERY, 0, 1, 100,                          \
      "rows of a page, default 20")


#define NGX_SECKILL_ERRORS_admin_payments(E)                                  \
    E(BUSY)
#define NGX_SECKILL_ERRORS_payment_notices(E)                                 \
    E(NOT_FOUND) E(BUSY)
#define NGX_SECKILL_ERRORS_admin_notices(E)                                   \
    E(BUSY)
#define NGX_SECKILL_ERRORS_notice_close(E)                                    \
    E(NOT_FOUND) E(CONFLICT) E(BUSY)
#define NGX_SECKILL_ERRORS_bill_ask(E)                                        \
    E(BUSY)
#define NGX_SECKILL_ERRORS_bill(E)                                            \
    E(NOT_FOUND) E(BUSY)
#define NGX_SECKILL_ERRORS_settlements(E)                                     \
    E(BUSY)


#define NGX_SECKILL_SCHEMA_admin_payment(O)                                   \
    O(id, ID, 1, "payment; to the provider it is out_trade_no")               \
    O(order_no, STR, 1, "order number")                                       \
    O(user_id, ID, 1, "buyer")                                                \
    O(provider, STR, 1, "wechat, alipay, wallet or sandbox")                  \
    O(channel, STR, 1, "channel")                                             \
    O(amount, MONEY, 1,                                                       \
      "fen, of the order; of one that was given back what had come")          \
    O(currency, STR, 1, "CNY")                                                \
    O(subject, STR, 1, "what the buyer reads at the provider")                \
    O(payer, STR, 1, "openid, masked")                                        \
    O(state, INT, 1,                                                          \
      "0 asked, 1 open, 2 paid, 3 closing, 4 closed, 5 failed, 6 late, "      \
      "7 returned")                                                           \
    O(state_text, STR, 1, "name of the state")                                \
    O(cause, STR, 1,                                                          \
      "what the provider said, when it failed; what came, when that went "    \
      "back")                                                                 \
    O(transaction_id, STR, 1, "number of the provider")                       \
    O(refunded, MONEY, 1, "fen that will go back")                            \
    O(returned, MONEY, 1, "fen that went back")                               \
    O(tries, INT, 1, "calls of the provider in this state")                   \
    O(next_at, TIME, 1, "next call")                                          \
    O(pay_deadline, TIME, 1, "of the order")                                  \
    O(created_at, TIME, 1, "when it was asked for")                           \
    O(paid_at, TIME, 1, "null when not paid")                                 \
    O(closed_at, TIME, 1, "null when not closed")                             \
    O(updated_at, TIME, 1, "last change")                                     \
    O(version, INT, 1, "rises with each change")

#define NGX_SECKILL_SCHEMA_notice(O)                                          \
    O(id, ID, 1, "notice")                                                    \
    O(provider, STR, 1, "wechat, alipay or sandbox")                          \
    O(kind, STR, 1, "pay, refund, or query: we have asked")                   \
    O(notice_key, STR, 1, "of the provider; twice is once")                   \
    O(payment_id, STR, 1, "payment that it names, \"0\" for none")            \
    O(refund_id, STR, 1, "refund, \"0\" for none")                            \
    O(transaction_id, STR, 1, "number of the provider")                       \
    O(amount, MONEY, 1, "fen that it tells of")                               \
    O(state, INT, 1,                                                          \
      "0 unmatched, 1 applied, 2 duplicate, 3 mismatch, 4 ignored, "          \
      "5 closed")                                                             \
    O(state_text, STR, 1, "name of the state")                                \
    O(cause, STR, 1, "why it was not applied")                                \
    O(body, STR, 1,                                                           \
      "as it came out of its signature; \"***\" without users_private")       \
    O(times, INT, 1, "how often it came")                                     \
    O(received_at, TIME, 1, "when it came first")                             \
    O(applied_at, TIME, 1, "null before")                                     \
    O(closed_at, TIME, 1, "null: nobody has closed it")                       \
    O(closed_by, STR, 1, "who has, \"0\": nobody")                            \
    O(reason, STR, 1, "what was done about it")

#define NGX_SECKILL_SCHEMA_bill(O)                                            \
    O(day, INT, 1, "YYYYMMDD, China time")                                    \
    O(provider, STR, 1, "wechat, alipay or sandbox")                          \
    O(state, INT, 1, "0 asked, 1 done, 2 failed")                             \
    O(state_text, STR, 1, "name of the state")                                \
    O(trades, INT, 1, "payments in the bill")                                 \
    O(paid, MONEY, 1, "their sum, fen")                                       \
    O(refunds, INT, 1, "refunds in the bill")                                 \
    O(refunded, MONEY, 1, "their sum, fen")                                   \
    O(fee, MONEY, 1, "of the provider, fen")                                  \
    O(diffs, INT, 1, "differences")                                           \
    O(cause, STR, 1, "why it failed")                                         \
    O(created_at, TIME, 1, "first asked for")                                 \
    O(updated_at, TIME, 1, "last change")                                     \
    O(differences, ARR, 1,                                                    \
      "{id, kind, number, ours, theirs}, 100 at most; -1: none")              \
    O(next_last_id, STR, 0, "there may be more")

#define NGX_SECKILL_SCHEMA_settlement(O)                                      \
    O(day, INT, 1, "YYYYMMDD, China time")                                    \
    O(shop_id, STR, 1, "shop, \"0\" for none")                                \
    O(provider, STR, 1, "wechat, alipay, wallet or sandbox")                  \
    O(paid_count, INT, 1, "payments")                                         \
    O(paid, MONEY, 1, "their sum, fen")                                       \
    O(refund_count, INT, 1, "refunds")                                        \
    O(refunded, MONEY, 1, "their sum, fen")                                   \
    O(fee, MONEY, 1, "of the provider, fen")                                  \
    O(net, MONEY, 1, "paid without refunds and fee, fen")                     \
    O(currency, STR, 1, "CNY")                                                \
    O(created_at, TIME, 1, "null: it will be made again")


#define NGX_SECKILL_PAY_ADMIN_SCHEMAS(S)                                      \
    S(admin_payment) S(notice) S(bill) S(settlement)


#endif /* _NGX_SECKILL_PAY_ADMIN_API_H_INCLUDED_ */
