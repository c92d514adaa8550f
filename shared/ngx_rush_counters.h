
/*
 * Copyright (C) Rush
 *
 * The one list of counters: it makes the enum, the words in shared memory,
 * the lines of /metrics (rush_<name>_total) and docs/metrics.md.  Each is
 * exact and only rises; a set of them is read one after another, so sums of
 * two may differ by what happened in between.
 *
 *    NAME, name, type, help
 */


#ifndef _NGX_RUSH_COUNTERS_H_INCLUDED_
#define _NGX_RUSH_COUNTERS_H_INCLUDED_


#include "ngx_rush_shm.h"


#define NGX_RUSH_COUNTERS(C)                                                  \
    C(LIMITED_GLOBAL, limited_global, counter,                                \
      "Requests refused by the global rate limit")                            \
    C(LIMITED_API, limited_api, counter,                                      \
      "Requests refused by the API rate limit of an address")                 \
    C(LIMITED_BUY, limited_buy, counter,                                      \
      "Requests refused by the buy rate limit of a user")                     \
    C(LIMITED_LOGIN, limited_login, counter,                                  \
      "Requests refused by the login rate limit of an address")               \
    C(LIMIT_EVICTED, limit_evicted, counter,                                  \
      "Rate limit cells in use given to another key, the zone is small")      \
    C(ABORTED, aborted, counter,                                              \
      "Requests whose client left while they waited")                         \
    C(TOKEN_BAD, token_bad, counter,                                          \
      "Access tokens refused by signature, claims or age")                    \
    C(TOKEN_REVOKED, token_revoked, counter,                                  \
      "Access tokens refused because they were revoked")                      \
    C(ID_REFUSED, id_refused, counter,                                        \
      "Ids not made because the clock was behind")                            \
                                                                              \
    C(REDIS_COMMANDS, redis_commands, counter,                                \
      "Commands sent to Redis")                                               \
    C(REDIS_ERRORS, redis_errors, counter,                                    \
      "Error replies of Redis")                                               \
    C(REDIS_UNKNOWN, redis_unknown, counter,                                  \
      "Commands whose outcome stayed unknown")                                \
    C(REDIS_REFUSED, redis_refused, counter,                                  \
      "Commands not sent: the queue was full or the connection down")         \
    C(REDIS_TIMEOUTS, redis_timeouts, counter,                                \
      "Commands that had no reply in time")                                   \
    C(REDIS_CONNECTS, redis_connects, counter,                                \
      "Connections made to Redis")                                            \
    C(REDIS_MALFORMED, redis_malformed, counter,                              \
      "Connections to Redis closed because of a malformed reply")             \
    C(REDIS_GATE_SHUT, redis_gate_shut, counter,                              \
      "Script calls answered NOSCRIPT")                                       \
                                                                              \
    C(MYSQL_STATEMENTS, mysql_statements, counter,                            \
      "Statements that succeeded")                                            \
    C(MYSQL_DUPLICATES, mysql_duplicates, counter,                            \
      "Statements refused by a unique key")                                   \
    C(MYSQL_ERRORS, mysql_errors, counter,                                    \
      "Statements that failed")                                               \
    C(MYSQL_REFUSED, mysql_refused, counter,                                  \
      "Statements not executed: the queue was full or the server away")       \
    C(MYSQL_TIMEOUTS, mysql_timeouts, counter,                                \
      "Statements that had no answer in time")                                \
    C(MYSQL_CONNECTS, mysql_connects, counter,                                \
      "Connections made to MySQL")                                            \
                                                                              \
    C(THREAD_TASKS, thread_tasks, counter,                                    \
      "Tasks given to the thread pool")                                       \
    C(THREAD_REFUSED, thread_refused, counter,                                \
      "Tasks refused by a full thread pool")                                  \
                                                                              \
    C(CACHE_HITS, cache_hits, counter,                                        \
      "Answers taken from shared memory")                                     \
    C(CACHE_LOADS, cache_loads, counter,                                      \
      "Leases given to load an answer")                                       \
    C(CACHE_WAITS, cache_waits, counter,                                      \
      "Requests that waited for another one's load")                          \
    C(CACHE_BUSY, cache_busy, counter,                                        \
      "Requests that waited for a load in vain")                              \
    C(CACHE_TOO_LARGE, cache_too_large, counter,                              \
      "Answers not cached because of their size")                             \
    C(CACHE_EVICTED, cache_evicted, counter,                                  \
      "Answers dropped for another key while they were served")               \
                                                                              \
    C(REVOKE_ADDED, revoke_added, counter,                                    \
      "Revocations made on this node")                                        \
    C(REVOKE_RECEIVED, revoke_received, counter,                              \
      "Entries read from the stream of revocations")                          \
    C(REVOKE_BAD, revoke_bad, counter,                                        \
      "Entries of the stream of revocations that are not ours")               \
    C(REVOKE_ASKED, revoke_asked, counter,                                    \
      "Looks into the stream that a request waited for")                      \
    C(REVOKE_RETRIES, revoke_retries, counter,                                \
      "Revocations sent again after a failure")                               \
    C(REVOKE_LOST, revoke_lost, counter,                                      \
      "Revocations not told to other nodes, must stay 0")                     \
    C(REVOKE_EVICTED, revoke_evicted, counter,                                \
      "Live revocations dropped for others, the zone is too small")           \
                                                                              \
    C(IDEM_REPLAYED, idem_replayed, counter,                                  \
      "Requests answered with the kept answer to their Idempotency-Key")      \
    C(IDEM_REUSED, idem_reused, counter,                                      \
      "Requests refused because their key was used for another one")          \
    C(IDEM_RUNNING, idem_running, counter,                                    \
      "Requests refused because another one with their key runs")             \
    C(IDEM_AGAIN, idem_again, counter,                                        \
      "Runs after one whose outcome nobody knows")                            \
    C(IDEM_LOST, idem_lost, counter,                                          \
      "Answers that could not be kept for their key")                         \
                                                                              \
    C(AUDIT_LOST, audit_lost, counter,                                        \
      "Acts of administrators whose outcome could not be recorded")           \
                                                                              \
    C(NOTICE_STORED, notice_stored, counter,                                  \
      "Notices of payment providers that Redis has taken")                    \
    C(NOTICE_IGNORED, notice_ignored, counter,                                \
      "Genuine notices of events that mean nothing to us")                    \
    C(NOTICE_BUSY, notice_busy, counter,                                      \
      "Notices that could not be checked or stored, they come again")         \
    C(NOTICE_LOOKS, notice_looks, counter,                                    \
      "Looks into Redis for a certificate of WeChat Pay")                     \
    C(NOTICE_UNSIGNED, notice_unsigned, counter,                              \
      "Notices refused: no signature, or of a type that proves nothing")      \
    C(NOTICE_TIME, notice_time, counter,                                      \
      "Notices refused: signed too long ago or ahead, replays")               \
    C(NOTICE_SERIAL, notice_serial, counter,                                  \
      "Notices refused: signed by a key that is not known")                   \
    C(NOTICE_SIGNATURE, notice_signature, counter,                            \
      "Notices refused: the signature is wrong")                              \
    C(NOTICE_FORMAT, notice_format, counter,                                  \
      "Notices refused: not in the form of the provider")                     \
    C(NOTICE_RESOURCE, notice_resource, counter,                              \
      "Notices refused: cannot be decrypted")                                 \
    C(NOTICE_OWNER, notice_owner, counter,                                    \
      "Notices refused: of another merchant, app or seller")                  \
    C(NOTICE_SIZE, notice_size, counter,                                      \
      "Notices refused: empty or too long")                                   \
    C(NOTICE_OFF, notice_off, counter,                                        \
      "Notices refused: their provider is not configured")                    \
    C(EVENTS_OPENED, events_opened, counter,                                  \
      "Listeners of event streams that came")                                 \
    C(EVENTS_REFUSED, events_refused, counter,                                \
      "Listeners refused by the limits of rush_events")                       \
    C(EVENTS_SENT, events_sent, counter,                                      \
      "Events sent to listeners, without each one's first")                   \
    C(EVENTS_BEATS, events_beats, counter,                                    \
      "Heartbeats sent to listeners")                                         \
    C(EVENTS_DROPPED, events_dropped, counter,                                \
      "Events a slow listener did not get, because a newer one came")         \
    C(EVENTS_LEFT, events_left, counter,                                      \
      "Listeners that left by themselves")                                    \
    C(EVENTS_SLOW, events_slow, counter,                                      \
      "Listeners closed because they took nothing")                           \
    C(EVENTS_OLD, events_old, counter,                                        \
      "Listeners closed at the end of their lifetime")                        \
    C(EVENTS_TOKEN, events_token, counter,                                    \
      "Listeners closed because their token ended, or is of another")         \
    C(EVENTS_LEAVE, events_leave, counter,                                    \
      "Listeners closed because their worker left")                           \
    C(EVENTS_END, events_end, counter,                                        \
      "Listeners closed after the last event of their stream")                \
    C(EVENTS_LOST, events_lost, counter,                                      \
      "Times a worker had to read states again: it was too slow")             \
                                                                              \
    C(BUY_BATCHES, buy_batches, counter,                                      \
      "Calls of the buy script")                                              \
    C(BUY_SENT, buy_sent, counter,                                            \
      "Buyers sent to Redis")                                                 \
    C(BUY_GRANTED, buy_granted, counter,                                      \
      "Buyers granted")                                                       \
    C(BUY_REPLAYED, buy_replayed, counter,                                    \
      "Buyers answered with the result of their first request")               \
    C(BUY_REFUSED, buy_refused, counter,                                      \
      "Buyers refused by Redis")                                              \
    C(BUY_FILTERED, buy_filtered, counter,                                    \
      "Buyers refused from shared memory")                                    \
    C(BUY_CROWDED, buy_crowded, counter,                                      \
      "Buyers beyond the admission budget or the queue")                      \
    C(BUY_RETRIED, buy_retried, counter,                                      \
      "Buyers sent again after an unknown outcome")                           \
    C(BUY_UNKNOWN, buy_unknown, counter,                                      \
      "Buyers answered that the outcome is unknown")


enum {
#define NGX_RUSH_COUNTER_ENUM(NAME, name, type, help)  NGX_RUSH_C_##NAME,
    NGX_RUSH_COUNTERS(NGX_RUSH_COUNTER_ENUM)
#undef NGX_RUSH_COUNTER_ENUM
    NGX_RUSH_COUNTER_COUNT
};


/* bounds of the buckets in ms, as "le" in seconds; +Inf follows */

#define NGX_RUSH_BUCKETS(B)                                                   \
    B(1, "0.001") B(2, "0.0025") B(5, "0.005") B(10, "0.01") B(25, "0.025")   \
    B(50, "0.05") B(100, "0.1") B(250, "0.25") B(500, "0.5") B(1000, "1")     \
    B(2500, "2.5") B(5000, "5") B(10000, "10")

#define NGX_RUSH_BUCKET_COUNT  14

/* bounds of the lag of the event loop in us, as "le" in seconds */

#define NGX_RUSH_LAGS(B)                                                      \
    B(2000, "0.002") B(5000, "0.005") B(10000, "0.01") B(20000, "0.02")       \
    B(50000, "0.05") B(100000, "0.1") B(200000, "0.2") B(500000, "0.5")       \
    B(1000000, "1")

#define NGX_RUSH_LAG_COUNT  10

/* rows of a route: success in 2xx, then everything else by status class */

#define NGX_RUSH_ROW_OK     0
#define NGX_RUSH_ROW_2XX    1
#define NGX_RUSH_ROW_3XX    2
#define NGX_RUSH_ROW_4XX    3
#define NGX_RUSH_ROW_5XX    4
#define NGX_RUSH_ROW_COUNT  5


typedef struct {                        /* a route, all workers together */
    uint64_t              rows[NGX_RUSH_ROW_COUNT][NGX_RUSH_BUCKET_COUNT];
    uint64_t              sum;          /* ms */
} ngx_rush_route_sum_t;


typedef struct {                        /* all workers together */
    uint64_t              buckets[NGX_RUSH_LAG_COUNT];
    uint64_t              us;           /* sum */
} ngx_rush_lag_sum_t;


/* sums over all workers, for /metrics */

uint64_t ngx_rush_sum_counter(ngx_uint_t counter);
uint64_t ngx_rush_sum_answers(ngx_uint_t error_index);
void ngx_rush_sum_route(ngx_uint_t route, ngx_rush_route_sum_t *sum);
void ngx_rush_sum_lag(ngx_rush_lag_sum_t *sum);

void ngx_rush_count_lag(uint64_t us);


#endif /* _NGX_RUSH_COUNTERS_H_INCLUDED_ */
