
/*
 * Copyright (C) Rush
 *
 * Operations: the red switch, streams, dead letters, the report of a sale.
 * Macros only, included by ngx_seckill_api.h.
 */


#ifndef _NGX_SECKILL_OPS_API_H_INCLUDED_
#define _NGX_SECKILL_OPS_API_H_INCLUDED_


#define NGX_SECKILL_OPS_ROUTES(R)                                             \
    R(seckill, stop_selling, POST,                                            \
      "/api/v1/admin/system/stop-selling",                                    \
      MAY(operations), API, NGX_RUSH_SURE_LATER, OBJECT, selling,             \
      "Refuses all buys and orders: at once here, elsewhere in a second")     \
    R(seckill, resume_selling, POST,                                          \
      "/api/v1/admin/system/resume-selling",                                  \
      MAY(operations), API, 0, OBJECT, selling,                               \
      "Sells again")                                                          \
    R(seckill, streams, GET,                                                  \
      "/api/v1/admin/streams",                                                \
      MAY(operations), API, 0, FEED, stream,                                  \
      "What waits in the streams of Redis")                                   \
    R(seckill, dead_letters, GET,                                             \
      "/api/v1/admin/dead-letters",                                           \
      MAY(operations), API, 0, FEED, dead_letter,                             \
      "Entries of streams that could not be stored, oldest first")            \
    R(seckill, dead_replay, POST,                                             \
      "/api/v1/admin/dead-letters/{id}/replay",                               \
      MAY(operations), API, 0, OBJECT, dead_state,                            \
      "Has it stored once more; fails again: it is open again, with a cause") \
    R(seckill, dead_discard, POST,                                            \
      "/api/v1/admin/dead-letters/{id}/discard",                              \
      MAY(operations), API, 0, OBJECT, dead_state,                            \
      "Gives it up for good")                                                 \
    R(seckill, report, GET,                                                   \
      "/api/v1/admin/seckill/activities/{id}/report",                         \
      MAY(activities_read), API, 0, OBJECT, report,                           \
      "What became of the requests, orders and money of an activity")


#define NGX_SECKILL_FIELDS_stop_selling(F)                                    \
    F(stop_selling, reason, STR, BODY, 1, 1, 200, "why")

#define NGX_SECKILL_FIELDS_resume_selling(F)                                  \
    F(resume_selling, reason, STR, BODY, 0, 0, 200, "why")

#define NGX_SECKILL_FIELDS_streams(F)                                         \
    F(streams, last_id, ID, QUERY, 0, 1, INT64_MAX,                           \
      "activities after this one: next_last_id of the page before")           \
    F(streams, page_size, INT, QUERY, 0, 1, 50, "activities, default 20")

#define NGX_SECKILL_FIELDS_dead_letters(F)                                    \
    F(dead_letters, state, KEY, QUERY, 0, 1, 16,                              \
      "open (default), replaying, replayed or discarded")                     \
    F(dead_letters, last_id, ID, QUERY, 0, 1, INT64_MAX,                      \
      "letters after this one: next_last_id of the page before")              \
    F(dead_letters, page_size, INT, QUERY, 0, 1, 100, "rows, default 20")

#define NGX_SECKILL_FIELDS_dead_replay(F)                                     \
    F(dead_replay, id, ID, PATH, 1, 1, INT64_MAX, "dead letter")

#define NGX_SECKILL_FIELDS_dead_discard(F)                                    \
    F(dead_discard, id, ID, PATH, 1, 1, INT64_MAX, "dead letter")             \
    F(dead_discard, reason, STR, BODY, 1, 1, 200, "why")

#define NGX_SECKILL_FIELDS_report(F)                                          \
    F(report, id, ID, PATH, 1, 1, INT64_MAX, "activity")


#define NGX_SECKILL_ERRORS_stop_selling(E)    E(BUSY)
#define NGX_SECKILL_ERRORS_resume_selling(E)  E(BUSY)
#define NGX_SECKILL_ERRORS_streams(E)         E(CLOSED) E(BUSY)
#define NGX_SECKILL_ERRORS_dead_letters(E)    E(BUSY)
#define NGX_SECKILL_ERRORS_dead_replay(E)     E(NOT_FOUND) E(CONFLICT) E(BUSY)
#define NGX_SECKILL_ERRORS_dead_discard(E)    E(NOT_FOUND) E(CONFLICT) E(BUSY)
#define NGX_SECKILL_ERRORS_report(E)          E(NOT_FOUND) E(BUSY)


#define NGX_SECKILL_SCHEMA_selling(O)                                         \
    O(selling, BOOL, 1, "buys and orders are taken")                          \
    O(operator, STR, 1, "who switched it last, \"0\": nobody")                 \
    O(reason, STR, 1, "why")                                                  \
    O(changed_at, TIME, 1, "when, null: never")

#define NGX_SECKILL_SCHEMA_stream(O)                                          \
    O(stream, STR, 1, "key in Redis")                                         \
    O(activity_id, ID, 0, "whose orders it carries")                          \
    O(length, INT, 1, "entries, read ones too until they are trimmed")        \
    O(last_id, STR, 1, "of the newest entry")                                 \
    O(groups, ARR, 1,                                                         \
      "name, consumers, pending (given out, not acknowledged), lag (not "     \
      "given out, null: Redis does not know) and oldest_pending_ms, the age " \
      "of the oldest pending entry, of each group")

#define NGX_SECKILL_SCHEMA_dead_letter(O)                                     \
    O(id, ID, 1, "dead letter")                                               \
    O(stream, STR, 1, "key that it was read from")                            \
    O(entry, STR, 1, "id of the entry")                                       \
    O(part, INT, 1, "grant in the entry, from 0; -1: all of it")              \
    O(state, STR, 1, "open, replaying, replayed or discarded")                \
    O(cause, STR, 1, "why it could not be stored")                            \
    O(body, STR, 1,                                                           \
      "the entry as JSON, 4096 characters of it at most; \"***\" without "    \
      "users_private where it has data of a person")                          \
    O(created_at, TIME, 1, "when it was put aside")                           \
    O(closed_at, TIME, 1, "null: not closed")                                 \
    O(closed_by, STR, 1, "who asked for that, \"0\": nobody")                  \
    O(reason, STR, 1, "why")

#define NGX_SECKILL_SCHEMA_dead_state(O)                                      \
    O(id, ID, 1, "dead letter")                                               \
    O(state, STR, 1, "replaying, replayed or discarded")

#define NGX_SECKILL_SCHEMA_report(O)                                          \
    O(activity_id, ID, 1, "activity")                                         \
    O(requests, INT, 1, "buys that were answered, on all nodes")              \
    O(success, INT, 1, "of them: an order")                                   \
    O(replayed, INT, 1, "of them: the order that the id had got before")      \
    O(unknown, INT, 1, "of them: 202")                                        \
    O(refused, OBJ, 1, "of them: refusals by reason")                         \
    O(latency, OBJ, 1,                                                        \
      "of answers that Redis had a part in: count, average_ms and the upper " \
      "bounds p50_ms, p90_ms, p99_ms (null: none, or above 10 s)")            \
    O(orders, ARR, 1, "status, count, units and amount (fen)")                \
    O(money, OBJ, 1,                                                          \
      "fen: asked (all orders), paid (of paid ones) and returned (of it)")

#define NGX_SECKILL_OPS_SCHEMAS(S)                                            \
    S(selling) S(stream) S(dead_letter) S(dead_state) S(report)


#endif /* _NGX_SECKILL_OPS_API_H_INCLUDED_ */
