
/*
 * Copyright (C) Rush
 *
 * Orders: routes, input, errors, shapes of data.  Macros only, included by
 * ngx_seckill_api.h; the format is described in ngx_rush.h.
 */


#ifndef _NGX_SECKILL_ORDER_API_H_INCLUDED_
#define _NGX_SECKILL_ORDER_API_H_INCLUDED_


#define NGX_SECKILL_ORDER_ROUTES(R)                                           \
    R(seckill, order_place, POST,                                             \
      "/api/v1/orders",                                                       \
      USER, BUY, NGX_RUSH_IDEMPOTENT, OBJECT, grant,                          \
      "Orders a product outside of activities")                               \
    R(seckill, order_list, GET,                                               \
      "/api/v1/orders",                                                       \
      USER, API, 0, PAGES, order,                                             \
      "Orders of the caller, newest first")                                   \
    R(seckill, order_detail, GET,                                             \
      "/api/v1/orders/{id}",                                                  \
      USER, API, 0, OBJECT, order_detail,                                     \
      "One order of the caller, with its changes")                            \
    R(seckill, order_cancel, POST,                                            \
      "/api/v1/orders/{id}/cancel",                                           \
      USER, API, 0, OBJECT, order,                                            \
      "Cancels an unpaid order; its stock comes back")                        \
    R(seckill, order_confirm, POST,                                           \
      "/api/v1/orders/{id}/confirm",                                          \
      USER, API, 0, OBJECT, order,                                            \
      "A shipped order has come")                                             \
    R(seckill, order_hide, DELETE,                                            \
      "/api/v1/orders/{id}",                                                  \
      USER, API, 0, OBJECT, order_hidden,                                     \
      "Takes a finished order off the caller's lists")                        \
    R(seckill, admin_order_list, GET,                                         \
      "/api/v1/admin/orders",                                                 \
      MAY(orders_read), API, NGX_RUSH_RAW, PAGES, admin_order,                \
      "Orders of everybody, newest number first; all of them as CSV with "    \
      "export=csv")                                                           \
    R(seckill, admin_order_detail, GET,                                       \
      "/api/v1/admin/orders/{id}",                                            \
      MAY(orders_read), API, 0, OBJECT, admin_order_detail,                   \
      "Any order, with its changes")                                          \
    R(seckill, admin_order_status, PUT,                                       \
      "/api/v1/admin/orders/{id}/status",                                     \
      MAY(orders_write), API, 0, OBJECT, admin_order_detail,                  \
      "Moves an order by hand")                                               \
    R(seckill, admin_order_ship, POST,                                        \
      "/api/v1/admin/orders/{id}/ship",                                       \
      MAY(orders_write), API, 0, OBJECT, admin_order_detail,                  \
      "A paid order is on its way")                                           \
    R(seckill, admin_order_redeem, POST,                                      \
      "/api/v1/admin/orders/redeem",                                          \
      MAY(orders_write), API, 0, OBJECT, admin_order_detail,                  \
      "Takes a trade code at the door, once")


#define NGX_SECKILL_FIELDS_order_place(F)                                     \
    F(order_place, product_id, ID, BODY, 1, 1, INT64_MAX, "product")          \
    F(order_place, quantity, INT, BODY, 0, 1, 100, "units, default 1")        \
    F(order_place, address_id, ID, BODY, 0, 1, INT64_MAX,                     \
      "where it goes, one of the caller's; none for what is not sent")        \
    F(order_place, remark, STR, BODY, 0, 0, 200, "for the seller")

#define NGX_SECKILL_FIELDS_order_list(F)                                      \
    F(order_list, status, INT, QUERY, 0, 0, 9, "only in this status")         \
    F(order_list, kind, KEY, QUERY, 0, 1, 16,                                 \
      "seckill: of activities, ordinary: of no activity")                     \
    F(order_list, since, TIME, QUERY, 0, 0, INT64_MAX,                        \
      "made then or later")                                                   \
    F(order_list, until, TIME, QUERY, 0, 0, INT64_MAX, "made before then")    \
    F(order_list, last_id, KEY, QUERY, 0, 0, 40,                              \
      "number of the last order one has, \"\" for none: a list without "      \
      "totals, which stays fast")                                             \
    F(order_list, page, INT, QUERY, 0, 1, 10000, "page, from 1")              \
    F(order_list, page_size, INT, QUERY, 0, 1, 100,                           \
      "rows of a page, default 20")

#define NGX_SECKILL_FIELDS_order_detail(F)                                    \
    F(order_detail, id, KEY, PATH, 1, 1, 40, "order number")

#define NGX_SECKILL_FIELDS_order_cancel(F)                                    \
    F(order_cancel, id, KEY, PATH, 1, 1, 40, "order number")

#define NGX_SECKILL_FIELDS_order_confirm(F)                                   \
    F(order_confirm, id, KEY, PATH, 1, 1, 40, "order number")

#define NGX_SECKILL_FIELDS_order_hide(F)                                      \
    F(order_hide, id, KEY, PATH, 1, 1, 40, "order number")

#define NGX_SECKILL_FIELDS_admin_order_list(F)                                \
    F(admin_order_list, status, INT, QUERY, 0, 0, 9, "only in this status")   \
    F(admin_order_list, kind, KEY, QUERY, 0, 1, 16,                           \
      "seckill: of activities, ordinary: of no activity")                     \
    F(admin_order_list, user_id, ID, QUERY, 0, 1, INT64_MAX, "of this user")  \
    F(admin_order_list, product_id, ID, QUERY, 0, 1, INT64_MAX,               \
      "of this product")                                                      \
    F(admin_order_list, activity_id, ID, QUERY, 0, 1, INT64_MAX,              \
      "of this activity")                                                     \
    F(admin_order_list, since, TIME, QUERY, 0, 0, INT64_MAX,                  \
      "made then or later")                                                   \
    F(admin_order_list, until, TIME, QUERY, 0, 0, INT64_MAX,                  \
      "made before then")                                                     \
    F(admin_order_list, last_id, KEY, QUERY, 0, 0, 40,                        \
      "number of the last order one has, \"\" for none: a list without "      \
      "totals, which stays fast")                                             \
    F(admin_order_list, export, KEY, QUERY, 0, 1, 8,                          \
      "csv: all orders of the filter, as RFC 4180")                           \
    F(admin_order_list, page, INT, QUERY, 0, 1, 10000, "page, from 1")        \
    F(admin_order_list, page_size, INT, QUERY, 0, 1, 100,                     \
      "rows of a page, default 20")

#define NGX_SECKILL_FIELDS_admin_order_detail(F)                              \
    F(admin_order_detail, id, KEY, PATH, 1, 1, 40, "order number")

#define NGX_SECKILL_FIELDS_admin_order_status(F)                              \
    F(admin_order_status, id, KEY, PATH, 1, 1, 40, "order number")            \
    F(admin_order_status, status, KEY, BODY, 1, 1, 16,                        \
      "shipped, done, cancelled or expired; money goes back by a refund")     \
    F(admin_order_status, reason, STR, BODY, 1, 1, 200, "why")                \
    F(admin_order_status, version, INT, BODY, 1, 1, INT32_MAX,                \
      "version that was looked at")

#define NGX_SECKILL_FIELDS_admin_order_ship(F)                                \
    F(admin_order_ship, id, KEY, PATH, 1, 1, 40, "order number")              \
    F(admin_order_ship, carrier, STR, BODY, 1, 1, 32, "who brings it")        \
    F(admin_order_ship, number, KEY, BODY, 1, 1, 64, "tracking number")       \
    F(admin_order_ship, version, INT, BODY, 0, 1, INT32_MAX,                  \
      "version that was looked at")

#define NGX_SECKILL_FIELDS_admin_order_redeem(F)                              \
    F(admin_order_redeem, trade_code, SECRET, BODY, 1, 1, 32,                 \
      "as the buyer shows it; case, blanks and \"-\" do not matter")


#define NGX_SECKILL_ERRORS_order_place(E)                                     \
    E(PRODUCT_OFF) E(PRODUCT_STOCK) E(ADDRESS_UNKNOWN) E(UNKNOWN) E(CLOSED)   \
    E(BUSY)
#define NGX_SECKILL_ERRORS_order_list(E)                                      \
    E(BUSY)
#define NGX_SECKILL_ERRORS_order_detail(E)                                    \
    E(NOT_FOUND) E(ORDER_PROCESSING) E(BUSY)
#define NGX_SECKILL_ERRORS_order_cancel(E)                                    \
    E(NOT_FOUND) E(ORDER_STATE) E(ORDER_PROCESSING) E(BUSY)
#define NGX_SECKILL_ERRORS_order_confirm(E)                                   \
    E(NOT_FOUND) E(ORDER_STATE) E(ORDER_PROCESSING) E(BUSY)
#define NGX_SECKILL_ERRORS_order_hide(E)                                      \
    E(NOT_FOUND) E(ORDER_STATE) E(ORDER_PROCESSING) E(BUSY)
#define NGX_SECKILL_ERRORS_admin_order_list(E)                                \
    E(BUSY)
#define NGX_SECKILL_ERRORS_admin_order_detail(E)                              \
    E(NOT_FOUND) E(BUSY)
#define NGX_SECKILL_ERRORS_admin_order_status(E)                              \
    E(NOT_FOUND) E(ORDER_STATE) E(CONFLICT) E(BUSY)
#define NGX_SECKILL_ERRORS_admin_order_ship(E)                                \
    E(NOT_FOUND) E(ORDER_STATE) E(CONFLICT) E(BUSY)
#define NGX_SECKILL_ERRORS_admin_order_redeem(E)                              \
    E(TRADE_CODE) E(ORDER_STATE) E(BUSY)


#define NGX_SECKILL_ORDER_MEMBERS(O)                                          \
    O(order_no, STR, 1, "order number")                                       \
    O(activity_id, ID, 0, "activity, if it is of one")                        \
    O(product_id, ID, 1, "product")                                           \
    O(title, STR, 1, "title when it was made")                                \
    O(quantity, INT, 1, "units")                                              \
    O(price, MONEY, 1, "of one unit, fen")                                    \
    O(amount, MONEY, 1, "fen")                                                \
    O(currency, STR, 1, "CNY")                                                \
    O(status, INT, 1,                                                         \
      "0 processing, 1 to_pay, 2 paid, 3 shipped, 4 done, 5 cancelled, "      \
      "6 refunding, 7 refunded, 8 expired, 9 rejected")                       \
    O(status_text, STR, 1, "name of the status")                              \
    O(cancel_reason, STR, 0,                                                  \
      "user, admin, timeout, rejected; stock, product or address: it could "  \
      "not be had")                                                           \
    O(created_at, TIME, 1, "when it was made")                                \
    O(pay_deadline, TIME, 1, "pay before")                                    \
    O(pay_deadline_ms, INT, 1, "pay before")                                  \
    O(paid_at, TIME, 1, "null when not paid")                                 \
    O(closed_at, TIME, 1, "null when not closed")                             \
    O(version, INT, 1, "grows with each change")

#define NGX_SECKILL_ORDER_DETAILS(O)                                          \
    O(shop_id, ID, 0, "shop")                                                 \
    O(remark, STR, 1, "of the buyer")                                         \
    O(address, OBJ, 0,                                                        \
      "as it was: receiver, mobile, province, city, district, detail, "       \
      "postcode")                                                             \
    O(server_time_ms, INT, 1, "now, for countdowns")                          \
    O(paid_ms, INT, 1, "0 when not paid")                                     \
    O(pay_type, STR, 0, "channel that paid")                                  \
    O(shipped_at, TIME, 1, "null when not shipped")                           \
    O(carrier, STR, 0, "who brings it")                                       \
    O(tracking, STR, 0, "its number there")                                   \
    O(redeemed_at, TIME, 1, "null when its trade code was not used")          \
    O(done_at, TIME, 1, "null when not done")                                 \
    O(log, ARR, 1,                                                            \
      "changes of status: from, to (names), version, by (user, admin, "       \
      "system or provider), reason, at")

#define NGX_SECKILL_SCHEMA_order(O)                                           \
    NGX_SECKILL_ORDER_MEMBERS(O)

#define NGX_SECKILL_SCHEMA_order_detail(O)                                    \
    NGX_SECKILL_ORDER_MEMBERS(O)                                              \
    NGX_SECKILL_ORDER_DETAILS(O)                                              \
    O(trade_code, STR, 0, "to be shown at the door; once it is paid")

#define NGX_SECKILL_SCHEMA_order_hidden(O)                                    \
    O(order_no, STR, 1, "order number")

#define NGX_SECKILL_SCHEMA_admin_order(O)                                     \
    O(user_id, ID, 1, "buyer")                                                \
    O(request_id, STR, 1, "id of the request")                                \
    NGX_SECKILL_ORDER_MEMBERS(O)

#define NGX_SECKILL_SCHEMA_admin_order_detail(O)                              \
    O(user_id, ID, 1, "buyer")                                                \
    O(request_id, STR, 1, "id of the request")                                \
    NGX_SECKILL_ORDER_MEMBERS(O)                                              \
    NGX_SECKILL_ORDER_DETAILS(O)                                              \
    O(hidden, BOOL, 1, "from the buyer's lists")

#define NGX_SECKILL_ORDER_SCHEMAS(S)                                          \
    S(order) S(order_detail) S(order_hidden) S(admin_order)                   \
    S(admin_order_detail)


#endif /* _NGX_SECKILL_ORDER_API_H_INCLUDED_ */
