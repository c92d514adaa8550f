
/*
 * Copyright (C) Rush
 *
 * Products and flash sales: routes, input, errors; orders stand in
 * ngx_seckill_order_api.h.  Shapes of data stand in ngx_seckill_schema.h.
 * Macros only; the format is described in ngx_rush.h.
 */


#ifndef _NGX_SECKILL_API_H_INCLUDED_
#define _NGX_SECKILL_API_H_INCLUDED_


#include "ngx_seckill_events_api.h"
#include "ngx_seckill_notice_api.h"
#include "ngx_seckill_ops_api.h"
#include "ngx_seckill_order_api.h"
#include "ngx_seckill_pay_admin_api.h"
#include "ngx_seckill_pay_api.h"
#include "ngx_seckill_pay_wechat_api.h"
#include "ngx_seckill_refund_api.h"
#include "ngx_seckill_schema.h"


#define NGX_SECKILL_SALE_ROUTES(R)                                            \
    R(seckill, activity_list, GET,                                            \
      "/api/v1/seckill/activities",                                           \
      PUBLIC, NONE, NGX_RUSH_PUBLIC_CACHE, LIST, activity,                    \
      "Activities by state, from shared memory")                              \
    R(seckill, activity_detail, GET,                                          \
      "/api/v1/seckill/activities/{id}",                                      \
      PUBLIC, NONE, NGX_RUSH_PUBLIC_CACHE, OBJECT, activity,                  \
      "One activity, from shared memory, at most 1 s old")                    \
    R(seckill, activity_status, GET,                                          \
      "/api/v1/seckill/activities/{id}/status",                               \
      OPTIONAL, NONE, NGX_RUSH_PUBLIC_CACHE, OBJECT, status,                  \
      "State and countdown; with mine=1 and a token also what the "           \
      "caller holds")                                                         \
    R(seckill, activity_stock, GET,                                           \
      "/api/v1/seckill/activities/{id}/stock",                                \
      PUBLIC, NONE, NGX_RUSH_PUBLIC_CACHE, OBJECT, stock,                     \
      "Units left, from shared memory")                                       \
    R(seckill, buy, POST,                                                     \
      "/api/v1/seckill/activities/{id}/buy",                                  \
      USER, BUY, NGX_RUSH_SURE_LATER, OBJECT, grant,                          \
      "Takes units of stock for the caller")                                  \
    R(seckill, buy_product, POST,                                             \
      "/api/v1/seckill",                                                      \
      USER, BUY, NGX_RUSH_SURE_LATER, OBJECT, grant,                          \
      "Buys in the running activity of a product")                            \
    R(seckill, init, POST,                                                    \
      "/api/v1/seckill/init",                                                 \
      MAY(activities_write), API, NGX_RUSH_IDEMPOTENT, OBJECT, admin_activity,\
      "Quick activity of a product: online now, for a day")                   \
    R(seckill, result, GET,                                                   \
      "/api/v1/seckill/results/{order_no}",                                   \
      USER, API, 0, OBJECT, result,                                           \
      "What became of a granted buy")                                         \
    R(seckill, request, GET,                                                  \
      "/api/v1/seckill/requests/{request_id}",                                \
      USER, BUY, 0, OBJECT, request,                                          \
      "Settles what became of the request id of a buy: the answer is final")  \
    R(seckill, mine, GET,                                                     \
      "/api/v1/seckill/mine",                                                 \
      USER, API, 0, LIST, order,                                              \
      "Flash-sale orders of the caller, newest first")                        \
    R(seckill, product_list, GET,                                             \
      "/api/v1/products",                                                     \
      PUBLIC, API, NGX_RUSH_PUBLIC_CACHE, LIST, product,                      \
      "Products on sale")                                                     \
    R(seckill, product_detail, GET,                                           \
      "/api/v1/products/{id}",                                                \
      PUBLIC, NONE, NGX_RUSH_PUBLIC_CACHE, OBJECT, product,                   \
      "One product, at most 1 s old")                                         \
    R(seckill, product_stock, GET,                                            \
      "/api/v1/products/{id}/stock",                                          \
      PUBLIC, NONE, NGX_RUSH_PUBLIC_CACHE, OBJECT, product_stock,             \
      "Units of a product outside of activities")                             \
    R(seckill, product_create, POST,                                          \
      "/api/v1/admin/products",                                               \
      MAY(products_write), API, NGX_RUSH_IDEMPOTENT, OBJECT, product,         \
      "Creates a product")                                                    \
    R(seckill, product_update, PUT,                                           \
      "/api/v1/admin/products/{id}",                                          \
      MAY(products_write), API, 0, OBJECT, product,                           \
      "Changes the given members")                                            \
    R(seckill, product_delete, DELETE,                                        \
      "/api/v1/admin/products/{id}",                                          \
      MAY(products_write), API, 0, OBJECT, deleted,                           \
      "Takes a product off for good")                                         \
    R(seckill, product_adjust, POST,                                          \
      "/api/v1/admin/products/{id}/stock",                                    \
      MAY(stock_write), API, NGX_RUSH_IDEMPOTENT, OBJECT, product_stock,      \
      "Sets (stock) or adjusts (delta) units, with a reason; once a key")     \
    R(seckill, admin_list, GET,                                               \
      "/api/v1/admin/seckill/activities",                                     \
      MAY(activities_read), API, 0, LIST, admin_activity,                     \
      "Activities in every state")                                            \
    R(seckill, admin_create, POST,                                            \
      "/api/v1/admin/seckill/activities",                                     \
      MAY(activities_write), API, NGX_RUSH_IDEMPOTENT, OBJECT, admin_activity,\
      "Creates a draft, or with online=true goes live")                       \
    R(seckill, admin_get, GET,                                                \
      "/api/v1/admin/seckill/activities/{id}",                                \
      MAY(activities_read), API, 0, OBJECT, admin_activity,                   \
      "Desired and applied state of an activity")                             \
    R(seckill, admin_update, PUT,                                             \
      "/api/v1/admin/seckill/activities/{id}",                                \
      MAY(activities_write), API, 0, OBJECT, admin_activity,                  \
      "Changes the given members; a running sale follows within a second")    \
    R(seckill, admin_delete, DELETE,                                          \
      "/api/v1/admin/seckill/activities/{id}",                                \
      MAY(activities_write), API, 0, OBJECT, deleted,                         \
      "Removes a draft")                                                      \
    R(seckill, admin_online, POST,                                            \
      "/api/v1/admin/seckill/activities/{id}/online",                         \
      MAY(activities_write), API, 0, OBJECT, admin_activity,                  \
      "Puts an activity on sale")                                             \
    R(seckill, admin_offline, POST,                                           \
      "/api/v1/admin/seckill/activities/{id}/offline",                        \
      MAY(activities_write), API, 0, OBJECT, admin_activity,                  \
      "Ends an activity early")                                               \
    R(seckill, admin_pause, POST,                                             \
      "/api/v1/admin/seckill/activities/{id}/pause",                          \
      MAY(activities_write), API, 0, OBJECT, admin_activity,                  \
      "Stops selling for a while")                                            \
    R(seckill, admin_resume, POST,                                            \
      "/api/v1/admin/seckill/activities/{id}/resume",                         \
      MAY(activities_write), API, 0, OBJECT, admin_activity,                  \
      "Goes on selling")                                                      \
    R(seckill, admin_warmup, POST,                                            \
      "/api/v1/admin/seckill/warmup/{id}",                                    \
      MAY(activities_write), API, 0, OBJECT, admin_activity,                  \
      "Loads an activity into Redis before it starts; repeating is harmless") \
    R(seckill, admin_stock, POST,                                             \
      "/api/v1/admin/seckill/activities/{id}/stock",                          \
      MAY(stock_write), API, NGX_RUSH_IDEMPOTENT, OBJECT, stock_op,           \
      "Adds or withdraws units, also while running")                          \
    R(seckill, admin_availability, GET,                                       \
      "/api/v1/admin/seckill/activities/{id}/availability",                   \
      MAY(activities_read), API, 0, OBJECT, availability,                     \
      "Where all units of an activity are")                                   \
    R(seckill, admin_reconcile, POST,                                         \
      "/api/v1/admin/seckill/activities/{id}/reconcile",                      \
      MAY(reconcile), API, 0, OBJECT, reconcile,                              \
      "Compares Redis with the ledger; mode=repair asks the controller "      \
      "to mend")

#define NGX_SECKILL_FIELDS_activity_list(F)                                   \
    F(activity_list, state, KEY, QUERY, 0, 1, 16,                             \
      "upcoming, running or ended")                                           \
    F(activity_list, page, INT, QUERY, 0, 1, 10000, "page, from 1")           \
    F(activity_list, page_size, INT, QUERY, 0, 1, 100,                        \
      "rows of a page, default 20")

#define NGX_SECKILL_FIELDS_activity_detail(F)                                 \
    F(activity_detail, id, ID, PATH, 1, 1, INT64_MAX, "activity")

#define NGX_SECKILL_FIELDS_activity_status(F)                                 \
    F(activity_status, id, ID, PATH, 1, 1, INT64_MAX, "activity")             \
    F(activity_status, mine, BOOL, QUERY, 0, 0, 1,                            \
      "tell what the caller holds")

#define NGX_SECKILL_FIELDS_activity_stock(F)                                  \
    F(activity_stock, id, ID, PATH, 1, 1, INT64_MAX, "activity")

#define NGX_SECKILL_FIELDS_buy(F)                                             \
    F(buy, id, ID, PATH, 1, 1, INT64_MAX, "activity")                         \
    F(buy, quantity, INT, BODY, 0, 1, 100, "units, default 1")                \
    F(buy, retry, BOOL, BODY, 0, 0, 1,                                        \
      "this key was sent before: ask Redis, not the local filter")            \
    F(buy, idempotency_key, KEY, HEADER, 0, 1, 64,                            \
      "id of this buy; the same id gets the same answer")

#define NGX_SECKILL_FIELDS_buy_product(F)                                     \
    F(buy_product, product_id, ID, BODY, 1, 1, INT64_MAX, "product")          \
    F(buy_product, quantity, INT, BODY, 0, 1, 100, "units, default 1")        \
    F(buy_product, retry, BOOL, BODY, 0, 0, 1,                                \
      "this key was sent before: ask Redis, not the local filter")            \
    F(buy_product, idempotency_key, KEY, HEADER, 0, 1, 64,                    \
      "id of this buy; the same id gets the same answer")

#define NGX_SECKILL_FIELDS_init(F)                                            \
    F(init, product_id, ID, BODY, 1, 1, INT64_MAX, "product")                 \
    F(init, stock, INT, BODY, 1, 1, 100000000, "units for sale")              \
    F(init, price, MONEY, BODY, 0, 0, 1000000000000,                          \
      "fen, default the product's")                                           \
    F(init, limit_per_user, INT, BODY, 0, 1, 100, "default 1")

#define NGX_SECKILL_FIELDS_result(F)                                          \
    F(result, order_no, KEY, PATH, 1, 1, 40, "order number")

#define NGX_SECKILL_FIELDS_request(F)                                         \
    F(request, request_id, KEY, PATH, 1, 1, 64, "id of a buy")                \
    F(request, activity_id, ID, QUERY, 0, 1, INT64_MAX,                       \
      "its activity; needed for ids the client made")

#define NGX_SECKILL_FIELDS_mine(F)                                            \
    F(mine, page, INT, QUERY, 0, 1, 10000, "page, from 1")                    \
    F(mine, page_size, INT, QUERY, 0, 1, 100, "rows of a page, default 20")

#define NGX_SECKILL_FIELDS_product_list(F)                                    \
    F(product_list, page, INT, QUERY, 0, 1, 10000, "page, from 1")            \
    F(product_list, page_size, INT, QUERY, 0, 1, 100,                         \
      "rows of a page, default 20")                                           \
    F(product_list, category, STR, QUERY, 0, 0, 64, "category")               \
    F(product_list, keyword, STR, QUERY, 0, 0, 64, "part of the title")       \
    F(product_list, sort, KEY, QUERY, 0, 1, 16,                               \
      "new, price_asc or price_desc")

#define NGX_SECKILL_FIELDS_product_detail(F)                                  \
    F(product_detail, id, ID, PATH, 1, 1, INT64_MAX, "product")

#define NGX_SECKILL_FIELDS_product_stock(F)                                   \
    F(product_stock, id, ID, PATH, 1, 1, INT64_MAX, "product")

#define NGX_SECKILL_FIELDS_product_create(F)                                  \
    F(product_create, title, STR, BODY, 1, 1, 128, "title")                   \
    F(product_create, description, TEXT, BODY, 0, 0, 2000, "text")            \
    F(product_create, image, STR, BODY, 0, 0, 255, "address of a picture")    \
    F(product_create, category, STR, BODY, 0, 0, 64, "category")              \
    F(product_create, price, MONEY, BODY, 1, 0, 1000000000000, "fen")         \
    F(product_create, stock, INT, BODY, 0, 0, 100000000, "units")             \
    F(product_create, status, INT, BODY, 0, 0, 1, "1 on sale, 0 off")

#define NGX_SECKILL_FIELDS_product_update(F)                                  \
    F(product_update, id, ID, PATH, 1, 1, INT64_MAX, "product")               \
    F(product_update, title, STR, BODY, 0, 1, 128, "title")                   \
    F(product_update, description, TEXT, BODY, 0, 0, 2000, "text")            \
    F(product_update, image, STR, BODY, 0, 0, 255, "address of a picture")    \
    F(product_update, category, STR, BODY, 0, 0, 64, "category")              \
    F(product_update, price, MONEY, BODY, 0, 0, 1000000000000, "fen")         \
    F(product_update, status, INT, BODY, 0, 0, 1, "1 on sale, 0 off")         \
    F(product_update, version, INT, BODY, 0, 1, 2147483647,                   \
      "change only this version")

#define NGX_SECKILL_FIELDS_product_delete(F)                                  \
    F(product_delete, id, ID, PATH, 1, 1, INT64_MAX, "product")

#define NGX_SECKILL_FIELDS_product_adjust(F)                                  \
    F(product_adjust, id, ID, PATH, 1, 1, INT64_MAX, "product")               \
    F(product_adjust, stock, INT, BODY, 0, 0, 100000000, "new number")        \
    F(product_adjust, delta, INT, BODY, 0, -100000000, 100000000,             \
      "change of the number")                                                 \
    F(product_adjust, reason, STR, BODY, 1, 1, 200, "why")

#define NGX_SECKILL_FIELDS_admin_list(F)                                      \
    F(admin_list, status, INT, QUERY, 0, 0, 3,                                \
      "0 draft, 1 online, 2 paused, 3 offline")                               \
    F(admin_list, page, INT, QUERY, 0, 1, 10000, "page, from 1")              \
    F(admin_list, page_size, INT, QUERY, 0, 1, 100,                           \
      "rows of a page, default 20")

#define NGX_SECKILL_FIELDS_admin_create(F)                                    \
    F(admin_create, product_id, ID, BODY, 1, 1, INT64_MAX, "product")         \
    F(admin_create, title, STR, BODY, 1, 1, 128, "title")                     \
    F(admin_create, price, MONEY, BODY, 1, 0, 1000000000000,                  \
      "of one unit, fen")                                                     \
    F(admin_create, start_at, TIME, BODY, 1, 0, 253402300799000,              \
      "start")                                                                \
    F(admin_create, end_at, TIME, BODY, 1, 0, 253402300799000,                \
      "end")                                                                  \
    F(admin_create, total, INT, BODY, 1, 0, 100000000, "units for sale")      \
    F(admin_create, limit_per_user, INT, BODY, 0, 1, 100,                     \
      "units a buyer may hold, default 1")                                    \
    F(admin_create, pay_seconds, INT, BODY, 0, 5, 604800,                     \
      "time to pay, default 1800")                                            \
    F(admin_create, online, BOOL, BODY, 0, 0, 1, "go live at once")

#define NGX_SECKILL_FIELDS_admin_get(F)                                       \
    F(admin_get, id, ID, PATH, 1, 1, INT64_MAX, "activity")

#define NGX_SECKILL_FIELDS_admin_update(F)                                    \
    F(admin_update, id, ID, PATH, 1, 1, INT64_MAX, "activity")                \
    F(admin_update, product_id, ID, BODY, 0, 1, INT64_MAX, "product")         \
    F(admin_update, title, STR, BODY, 0, 1, 128, "title")                     \
    F(admin_update, price, MONEY, BODY, 0, 0, 1000000000000,                  \
      "of one unit, fen")                                                     \
    F(admin_update, start_at, TIME, BODY, 0, 0, 253402300799000,              \
      "start")                                                                \
    F(admin_update, end_at, TIME, BODY, 0, 0, 253402300799000,                \
      "end")                                                                  \
    F(admin_update, limit_per_user, INT, BODY, 0, 1, 100,                     \
      "units a buyer may hold, default 1")                                    \
    F(admin_update, pay_seconds, INT, BODY, 0, 5, 604800,                     \
      "time to pay, default 1800")                                            \
    F(admin_update, total, INT, BODY, 0, 0, 100000000,                        \
      "units for sale; a draft that is not warm only, later by its stock "   \
      "route")

#define NGX_SECKILL_FIELDS_admin_delete(F)                                    \
    F(admin_delete, id, ID, PATH, 1, 1, INT64_MAX, "activity")

#define NGX_SECKILL_FIELDS_admin_online(F)                                    \
    F(admin_online, id, ID, PATH, 1, 1, INT64_MAX, "activity")

#define NGX_SECKILL_FIELDS_admin_offline(F)                                   \
    F(admin_offline, id, ID, PATH, 1, 1, INT64_MAX, "activity")

#define NGX_SECKILL_FIELDS_admin_pause(F)                                     \
    F(admin_pause, id, ID, PATH, 1, 1, INT64_MAX, "activity")

#define NGX_SECKILL_FIELDS_admin_resume(F)                                    \
    F(admin_resume, id, ID, PATH, 1, 1, INT64_MAX, "activity")

#define NGX_SECKILL_FIELDS_admin_warmup(F)                                    \
    F(admin_warmup, id, ID, PATH, 1, 1, INT64_MAX, "activity")

#define NGX_SECKILL_FIELDS_admin_stock(F)                                     \
    F(admin_stock, id, ID, PATH, 1, 1, INT64_MAX, "activity")                 \
    F(admin_stock, delta, INT, BODY, 1, -100000000, 100000000,                \
      "units to add, or to withdraw when negative")                           \
    F(admin_stock, reason, STR, BODY, 0, 0, 200, "why")

#define NGX_SECKILL_FIELDS_admin_availability(F)                              \
    F(admin_availability, id, ID, PATH, 1, 1, INT64_MAX, "activity")

#define NGX_SECKILL_FIELDS_admin_reconcile(F)                                 \
    F(admin_reconcile, id, ID, PATH, 1, 1, INT64_MAX, "activity")             \
    F(admin_reconcile, mode, KEY, BODY, 0, 1, 16,                             \
      "report (default) or repair")                                           \
    F(admin_reconcile, dry_run, BOOL, BODY, 0, 0, 1, "report only")


#define NGX_SECKILL_ERRORS_activity_list(E)                                   \
    E(BUSY)
#define NGX_SECKILL_ERRORS_activity_detail(E)                                 \
    E(NOT_FOUND) E(BUSY)
#define NGX_SECKILL_ERRORS_activity_status(E)                                 \
    E(NOT_FOUND) E(BUSY)
#define NGX_SECKILL_ERRORS_activity_stock(E)                                  \
    E(NOT_FOUND) E(BUSY)
#define NGX_SECKILL_ERRORS_buy(E)                                             \
    E(NOT_FOUND) E(NOT_STARTED) E(SOLD_OUT) E(ENDED) E(BUY_LIMIT)             \
    E(PAUSED) E(QUANTITY) E(CROWDED) E(RELEASED) E(DENIED) E(UNKNOWN)         \
    E(CLOSED) E(BUSY)
#define NGX_SECKILL_ERRORS_buy_product(E)                                     \
    E(NO_ACTIVITY) E(NOT_STARTED) E(SOLD_OUT) E(ENDED) E(BUY_LIMIT)           \
    E(PAUSED) E(QUANTITY) E(CROWDED) E(RELEASED) E(DENIED) E(UNKNOWN)         \
    E(CLOSED) E(BUSY)
#define NGX_SECKILL_ERRORS_init(E)                                            \
    E(NOT_FOUND) E(BUSY)
#define NGX_SECKILL_ERRORS_result(E)                                          \
    E(NOT_FOUND) E(BUSY)
#define NGX_SECKILL_ERRORS_request(E)                                         \
    E(NOT_FOUND) E(CLOSED) E(BUSY)
#define NGX_SECKILL_ERRORS_mine(E)                                            \
    E(BUSY)
#define NGX_SECKILL_ERRORS_product_list(E)                                    \
    E(BUSY)
#define NGX_SECKILL_ERRORS_product_detail(E)                                  \
    E(NOT_FOUND) E(BUSY)
#define NGX_SECKILL_ERRORS_product_stock(E)                                   \
    E(NOT_FOUND) E(BUSY)
#define NGX_SECKILL_ERRORS_product_create(E)                                  \
    E(BUSY)
#define NGX_SECKILL_ERRORS_product_update(E)                                  \
    E(NOT_FOUND) E(CONFLICT) E(BUSY)
#define NGX_SECKILL_ERRORS_product_delete(E)                                  \
    E(NOT_FOUND) E(PRODUCT_IN_USE) E(BUSY)
#define NGX_SECKILL_ERRORS_product_adjust(E)                                  \
    E(NOT_FOUND) E(PRODUCT_STOCK) E(BUSY)
#define NGX_SECKILL_ERRORS_admin_list(E)                                      \
    E(BUSY)
#define NGX_SECKILL_ERRORS_admin_create(E)                                    \
    E(NOT_FOUND) E(BUSY)
#define NGX_SECKILL_ERRORS_admin_get(E)                                       \
    E(NOT_FOUND) E(BUSY)
#define NGX_SECKILL_ERRORS_admin_update(E)                                    \
    E(NOT_FOUND) E(ACTIVITY_STATE) E(CONFLICT) E(BUSY)
#define NGX_SECKILL_ERRORS_admin_delete(E)                                    \
    E(NOT_FOUND) E(ACTIVITY_STATE) E(BUSY)
#define NGX_SECKILL_ERRORS_admin_online(E)                                    \
    E(NOT_FOUND) E(ACTIVITY_STATE) E(BUSY)
#define NGX_SECKILL_ERRORS_admin_offline(E)                                   \
    E(NOT_FOUND) E(ACTIVITY_STATE) E(BUSY)
#define NGX_SECKILL_ERRORS_admin_pause(E)                                     \
    E(NOT_FOUND) E(ACTIVITY_STATE) E(BUSY)
#define NGX_SECKILL_ERRORS_admin_resume(E)                                    \
    E(NOT_FOUND) E(ACTIVITY_STATE) E(BUSY)
#define NGX_SECKILL_ERRORS_admin_warmup(E)                                    \
    E(NOT_FOUND) E(ACTIVITY_STATE) E(BUSY)
#define NGX_SECKILL_ERRORS_admin_stock(E)                                     \
    E(NOT_FOUND) E(ACTIVITY_STATE) E(BUSY)
#define NGX_SECKILL_ERRORS_admin_availability(E)                              \
    E(NOT_FOUND) E(BUSY)
#define NGX_SECKILL_ERRORS_admin_reconcile(E)                                 \
    E(NOT_FOUND) E(BUSY)


#define NGX_SECKILL_ROUTES(R)                                                 \
    NGX_SECKILL_SALE_ROUTES(R) NGX_SECKILL_ORDER_ROUTES(R)                    \
    NGX_SECKILL_PAY_ROUTES(R) NGX_SECKILL_REFUND_ROUTES(R)                    \
    NGX_SECKILL_PAY_WECHAT_ROUTES(R)                                          \
    NGX_SECKILL_PAY_ADMIN_ROUTES(R) NGX_SECKILL_NOTICE_ROUTES(R)              \
    NGX_SECKILL_EVENTS_ROUTES(R) NGX_SECKILL_OPS_ROUTES(R)


#endif /* _NGX_SECKILL_API_H_INCLUDED_ */
