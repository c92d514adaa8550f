
/*
 * Copyright (C) Rush
 *
 * Event streams of activities and orders: routes, input, errors, what an
 * event tells.  Macros only; the format is described in ngx_rush.h.
 */


#ifndef _NGX_SECKILL_EVENTS_API_H_INCLUDED_
#define _NGX_SECKILL_EVENTS_API_H_INCLUDED_


#define NGX_SECKILL_EVENTS_ROUTES(R)                                          \
    R(seckill, activity_events, GET,                                          \
      "/api/v1/seckill/activities/{id}/events",                               \
      PUBLIC, API, NGX_RUSH_RAW, EVENTS, live_activity,                       \
      "State and units left, now and with each change, until the end")        \
    R(seckill, result_events, GET,                                            \
      "/api/v1/seckill/results/{order_no}/events",                            \
      USER, API, NGX_RUSH_RAW, EVENTS, live_order,                            \
      "What becomes of a granted buy: now and with each change")              \
    R(seckill, order_events, GET,                                             \
      "/api/v1/orders/{id}/events",                                           \
      USER, API, NGX_RUSH_RAW, EVENTS, live_order,                            \
      "States of an order: now and with each change, until a final one")


#define NGX_SECKILL_FIELDS_activity_events(F)                                 \
    F(activity_events, id, ID, PATH, 1, 1, INT64_MAX, "activity")             \
    F(activity_events, last_event_id, KEY, HEADER, 0, 1, 64,                  \
      "of a client that comes again; every stream begins with the present "   \
      "state, so it changes nothing")

#define NGX_SECKILL_FIELDS_result_events(F)                                   \
    F(result_events, order_no, KEY, PATH, 1, 1, 40, "order number")           \
    F(result_events, last_event_id, KEY, HEADER, 0, 1, 64,                    \
      "of a client that comes again; every stream begins with the present "   \
      "state, so it changes nothing")

#define NGX_SECKILL_FIELDS_order_events(F)                                    \
    F(order_events, id, KEY, PATH, 1, 1, 40, "order number")                  \
    F(order_events, last_event_id, KEY, HEADER, 0, 1, 64,                     \
      "of a client that comes again; every stream begins with the present "   \
      "state, so it changes nothing")


#define NGX_SECKILL_ERRORS_activity_events(E)                                 \
    E(NOT_FOUND) E(BUSY)
#define NGX_SECKILL_ERRORS_result_events(E)                                   \
    E(NOT_FOUND) E(BUSY)
#define NGX_SECKILL_ERRORS_order_events(E)                                    \
    E(NOT_FOUND) E(BUSY)


#define NGX_SECKILL_SCHEMA_live_activity(O)                                   \
    O(id, ID, 1, "activity")                                                  \
    O(state, STR, 1, "not_started, running, paused, sold_out or ended")       \
    O(left, INT, 1, "units left")                                             \
    O(total, INT, 1, "units for sale")                                        \
    O(start_ms, INT, 1, "start")                                              \
    O(end_ms, INT, 1, "end")                                                  \
    O(server_time_ms, INT, 1, "now")

#define NGX_SECKILL_SCHEMA_live_order(O)                                      \
    O(order_no, STR, 1, "order number")                                       \
    O(status, INT, 1, "as of an order; 0: on its way, there is no row yet")   \
    O(status_text, STR, 1, "name of the status")                              \
    O(version, INT, 1, "grows with each change")                              \
    O(final, BOOL, 1, "the stream ends with this")                            \
    O(cancel_reason, STR, 0, "user, timeout or rejected")                     \
    O(pay_deadline, TIME, 0, "pay before")                                    \
    O(pay_deadline_ms, INT, 0, "pay before")                                  \
    O(server_time_ms, INT, 1, "now")

#define NGX_SECKILL_EVENTS_SCHEMAS(S)  S(live_activity) S(live_order)


#endif /* _NGX_SECKILL_EVENTS_API_H_INCLUDED_ */
