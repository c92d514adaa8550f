
/*
 * Copyright (C) Rush
 *
 * Products, flash sales and orders: shapes of "data" in answers.  Macros
 * only; the format is described in ngx_rush.h.
 */


#ifndef _NGX_SECKILL_SCHEMA_H_INCLUDED_
#define _NGX_SECKILL_SCHEMA_H_INCLUDED_


#define NGX_SECKILL_SCHEMA_none(O)

#define NGX_SECKILL_SCHEMA_activity(O)                                        \
    O(id, ID, 1, "activity")                                                  \
    O(product_id, ID, 1, "product")                                           \
    O(title, STR, 1, "title")                                                 \
    O(product_title, STR, 1, "title of the product")                          \
    O(image, STR, 1, "picture of the product")                                \
    O(price, MONEY, 1, "of one unit, fen")                                    \
    O(original_price, MONEY, 1, "of the product outside of the sale, fen")    \
    O(currency, STR, 1, "CNY")                                                \
    O(start_at, TIME, 1, "start")                                             \
    O(start_ms, INT, 1, "start")                                              \
    O(end_at, TIME, 1, "end")                                                 \
    O(end_ms, INT, 1, "end")                                                  \
    O(limit_per_user, INT, 1, "units a buyer may hold")                       \
    O(total, INT, 1, "units for sale")                                        \
    O(pay_seconds, INT, 1, "time to pay")                                     \
    O(state, STR, 1,                                                          \
      "not_started, running, paused, sold_out or ended")                      \
    O(left, INT, 1, "units left")

#define NGX_SECKILL_SCHEMA_status(O)                                          \
    O(id, ID, 1, "activity")                                                  \
    O(state, STR, 1, "not_started, running, paused, sold_out or ended")       \
    O(server_time, TIME, 1, "now")                                            \
    O(server_time_ms, INT, 1, "now")                                          \
    O(starts_in_ms, INT, 1, "0 when started")                                 \
    O(ends_in_ms, INT, 1, "0 when ended")                                     \
    O(left, INT, 1, "units left")                                             \
    O(mine, INT, 0, "units the caller holds")

#define NGX_SECKILL_SCHEMA_stock(O)                                           \
    O(id, ID, 1, "activity")                                                  \
    O(left, INT, 1, "units left")                                             \
    O(total, INT, 1, "units for sale")                                        \
    O(generation, INT, 1, "grows when units come back")

#define NGX_SECKILL_SCHEMA_grant(O)                                           \
    O(order_no, STR, 1, "order number")                                       \
    O(request_id, STR, 1, "id of this buy")                                   \
    O(status, STR, 1, "queued")                                               \
    O(replayed, BOOL, 0, "the answer of an earlier request with this id")     \
    O(poll, STR, 1, "where to ask for the result")                            \
    O(poll_after_ms, INT, 1, "when to ask")

#define NGX_SECKILL_SCHEMA_result(O)                                          \
    O(order_no, STR, 1, "order number")                                       \
    O(status, STR, 1, "queued, success or failed")                            \
    O(order_status, INT, 0, "status of the order")                            \
    O(reason, STR, 0, "why it failed")                                        \
    O(amount, MONEY, 0, "fen")                                                \
    O(pay_deadline, TIME, 0, "pay before")                                    \
    O(pay_deadline_ms, INT, 0, "pay before")                                  \
    O(poll_after_ms, INT, 0, "when to ask again")

#define NGX_SECKILL_SCHEMA_request(O)                                         \
    O(request_id, STR, 1, "id of a buy")                                      \
    O(outcome, STR, 1, "granted, given_back or refused")                      \
    O(order_no, STR, 0, "order number")                                       \
    O(final, BOOL, 1, "always true")

#define NGX_SECKILL_SCHEMA_product(O)                                         \
    O(id, ID, 1, "product")                                                   \
    O(title, STR, 1, "title")                                                 \
    O(description, STR, 1, "text")                                            \
    O(image, STR, 1, "address of a picture")                                  \
    O(category, STR, 1, "category")                                           \
    O(price, MONEY, 1, "fen")                                                 \
    O(currency, STR, 1, "CNY")                                                \
    O(stock, INT, 1, "units outside of activities")                           \
    O(status, INT, 1, "1 on sale, 0 off")                                     \
    O(version, INT, 1, "grows with each change")                              \
    O(activity_id, ID, 0, "running or next activity")                         \
    O(created_at, TIME, 1, "created")                                         \
    O(updated_at, TIME, 1, "last change")

#define NGX_SECKILL_SCHEMA_product_stock(O)                                   \
    O(id, ID, 1, "product")                                                   \
    O(stock, INT, 1, "units")

#define NGX_SECKILL_SCHEMA_deleted(O)                                         \
    O(id, ID, 1, "what was removed")

#define NGX_SECKILL_SCHEMA_stock_op(O)                                        \
    O(op_id, ID, 1, "id of the change")                                       \
    O(activity_id, ID, 1, "activity")                                         \
    O(delta, INT, 1, "units")                                                 \
    O(state, STR, 1, "asked: the controller applies it within a second")

#define NGX_SECKILL_SCHEMA_availability(O)                                    \
    O(id, ID, 1, "activity")                                                  \
    O(total, INT, 1, "units for sale")                                        \
    O(free, INT, 1, "left in Redis, -1 when not loaded")                      \
    O(queued, INT, 1, "granted, not yet in MySQL")                            \
    O(held, INT, 1, "unpaid")                                                 \
    O(paid, INT, 1, "paid")                                                   \
    O(returning, INT, 1, "cancelled, on the way back")                        \
    O(returned, INT, 1, "given back so far")                                  \
    O(sold, INT, 1, "ledger count of live units")

#define NGX_SECKILL_SCHEMA_reconcile(O)                                       \
    O(id, ID, 1, "activity")                                                  \
    O(mode, STR, 1, "report or repair")                                       \
    O(total, INT, 1, "ledger")                                                \
    O(sold, INT, 1, "ledger")                                                 \
    O(live, INT, 1, "units of live orders")                                   \
    O(redis_remain, INT, 1, "-1 when not loaded")                             \
    O(redis_epoch, INT, 1, "epoch")                                           \
    O(stream_pending, INT, 1, "entries not acknowledged")                     \
    O(differences, ARR, 1, "sentences; empty when all agree")                 \
    O(repair_asked, BOOL, 1, "the controller will mend")

#define NGX_SECKILL_SCHEMA_admin_activity(O)                                  \
    O(id, ID, 1, "activity")                                                  \
    O(product_id, ID, 1, "product")                                           \
    O(title, STR, 1, "title")                                                 \
    O(price, MONEY, 1, "of one unit, fen")                                    \
    O(price_ver, INT, 1, "version of the price")                              \
    O(start_at, TIME, 1, "start")                                             \
    O(start_ms, INT, 1, "start")                                              \
    O(end_at, TIME, 1, "end")                                                 \
    O(end_ms, INT, 1, "end")                                                  \
    O(total, INT, 1, "units for sale")                                        \
    O(sold, INT, 1, "units of live orders")                                   \
    O(limit_per_user, INT, 1, "units a buyer may hold")                       \
    O(pay_seconds, INT, 1, "time to pay")                                     \
    O(status, STR, 1, "draft, online, paused or offline")                     \
    O(warm, BOOL, 1, "loaded into Redis, or asked to be")                     \
    O(rev, INT, 1, "desired revision")                                        \
    O(applied_rev, INT, 1, "revision that Redis has")                         \
    O(applied, BOOL, 1, "Redis has what is desired")                          \
    O(epoch, INT, 1, "raised by each rebuild")                                \
    O(created_at, TIME, 1, "created")                                         \
    O(updated_at, TIME, 1, "last change")

#define NGX_SECKILL_SCHEMAS(S)                                                \
    S(none) S(activity) S(status) S(stock) S(grant) S(result) S(request)      \
    S(product) S(product_stock) S(deleted) S(stock_op) S(availability)        \
    S(reconcile) S(admin_activity) NGX_SECKILL_ORDER_SCHEMAS(S)               \
    NGX_SECKILL_PAY_SCHEMAS(S) NGX_SECKILL_REFUND_SCHEMAS(S)                  \
    NGX_SECKILL_PAY_ADMIN_SCHEMAS(S) NGX_SECKILL_EVENTS_SCHEMAS(S)            \
    NGX_SECKILL_OPS_SCHEMAS(S)


#endif /* _NGX_SECKILL_SCHEMA_H_INCLUDED_ */
