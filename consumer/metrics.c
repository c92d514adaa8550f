
/*
 * Copyright (C) Rush
 *
 * The one list of metrics: /metrics is written from it and so is
 * docs/metrics.md.
 */


#include "rush_pay.h"
#include "store.h"


#define RUSH_M_COUNTER  0
#define RUSH_M_GAUGE    1


typedef struct {
    const char      *name;
    int              type;
    size_t           offset;            /* of an int64_t in rush_stats_t */
    const char      *help;
} rush_metric_t;


#define rush_counter(name, field, help)                                       \
    { "rush_consumer_" name, RUSH_M_COUNTER, offsetof(rush_stats_t, field),   \
      help }
#define rush_gauge(name, field, help)                                         \
    { "rush_consumer_" name, RUSH_M_GAUGE, offsetof(rush_stats_t, field),     \
      help }


static const rush_metric_t  rush_metric_list[] = {
    rush_counter("orders_total", orders, "orders committed"),
    rush_counter("rejected_total", rejected, "orders the ledger refused"),
    rush_counter("duplicates_total", duplicates,
                 "grants delivered again and found stored"),
    rush_counter("ordinary_total", ordinary,
                 "ordinary orders committed, cancelled ones among them"),
    rush_counter("ordinary_refused_total", ordinary_refused,
                 "of them cancelled at once: no stock, product or address"),
    rush_counter("retries_total", retries, "transactions run again"),
    rush_counter("claimed_total", claimed,
                 "entries taken over from other consumers"),
    rush_counter("dead_letters_total", dead_letters, "dead letters written"),
    rush_counter("oversell_blocked_total", oversell_blocked,
                 "orders beyond the total; must stay 0"),
    rush_counter("limit_blocked_total", limit_blocked,
                 "orders beyond the limit of a buyer; must stay 0"),
    rush_counter("entries_lost_total", entries_lost,
                 "pending entries without a body; must stay 0"),
    rush_counter("group_lost_total", group_lost,
                 "consumer groups made again"),
    rush_counter("alarms_total", alarms, "rows written to table alarm"),
    rush_counter("rebuilds_total", rebuilds,
                 "activities rebuilt from MySQL"),
    rush_counter("timeouts_total", timeouts, "unpaid orders cancelled"),
    rush_counter("releases_total", releases, "orders given back to Redis"),
    rush_counter("adjusts_total", adjusts, "stock operations done"),
    rush_counter("trimmed_total", trimmed, "stream entries trimmed"),
    rush_counter("repairs_total", repairs, "repairs made by reconcile"),
    rush_counter("erased_total", erased, "closed accounts made anonymous"),
    rush_counter("purged_total", purged, "ended sessions removed"),
    rush_counter("messages_sent_total", messages_sent,
                 "codes handed over to a mail server or a provider"),
    rush_counter("messages_retried_total", messages_retried,
                 "tries after the first one of a message"),
    rush_counter("messages_failed_total", messages_failed,
                 "codes that were refused for good"),
    rush_counter("messages_expired_total", messages_expired,
                 "codes that could not be handed over in time"),
    rush_counter("asks_answered_total", asks_answered,
                 "logins that WeChat has answered"),
    rush_counter("asks_refused_total", asks_refused,
                 "logins that WeChat has refused"),
    rush_counter("asks_failed_total", asks_failed,
                 "logins that came to nothing: WeChat was away, or refuses us"),
    rush_counter("asks_retried_total", asks_retried,
                 "calls of WeChat made again"),
    rush_counter("asks_expired_total", asks_expired,
                 "logins that nobody waited for any more"),
    rush_counter("orders_paid_total", pay_paid, "orders that were paid"),
    rush_counter("payments_late_total", pay_late,
                 "payments of orders that waited no more"),
    rush_counter("payments_second_total", pay_second,
                 "payments of orders that were paid already: they go back"),
    rush_counter("orders_revived_total", pay_revived,
                 "cancelled orders that a late payment has brought back"),
    rush_counter("notices_known_total", pay_known,
                 "notices of providers that told nothing new"),
    rush_counter("notices_unmatched_total", pay_unmatched,
                 "notices that came before their payment, or have none"),
    rush_counter("notices_mismatch_total", pay_mismatch,
                 "notices with another amount, merchant or state; an alarm"),
    rush_counter("refunds_done_total", refunds_done,
                 "refunds that providers have paid back"),
    rush_counter("refunds_failed_total", refunds_failed,
                 "refunds that providers could not pay back"),

    rush_gauge("dead_letters_open", dead_open, "dead letters to look at"),
    rush_gauge("notices_unmatched", notices_open,
               "notices without a payment now"),
    rush_gauge("refunds_failed", refunds_open,
               "failed refunds that nobody has decided about"),
    rush_gauge("stream_lag", lag, "entries not yet delivered"),
    rush_gauge("stream_pending", pending,
               "entries delivered and not acknowledged"),
    rush_gauge("streams", streams, "warm activities"),
    rush_gauge("ordinary_lag", ordinary_lag,
               "ordinary orders not yet delivered"),
    rush_gauge("ordinary_pending", ordinary_pending,
               "ordinary orders delivered and not acknowledged"),
    rush_gauge("messages_held", messages_held,
               "codes on their way or waiting for another try"),
    rush_gauge("asks_held", asks_held, "logins that WeChat is asked about"),
    rush_gauge("payments_open", pay_open,
               "payments that were asked for and are not over"),
    rush_gauge("refunds_waiting", refunds_waiting,
               "refunds that are not over"),
    rush_gauge("pay_silent_milliseconds", pay_silent,
               "age of the oldest call that has got no answer"),
    rush_gauge("teller", teller, "1: holds the teller's lock"),
    rush_gauge("redis_up", redis_up, "1: Redis answers"),
    rush_gauge("mysql_up", mysql_up, "1: MySQL answers"),
    rush_gauge("controller", controller, "1: holds the controller lock"),
    rush_gauge("differences", differences,
               "found by the last reconcile; must be 0"),
    rush_gauge("paused_backlog", paused_backlog,
               "activities paused because the stream is too long"),
    rush_gauge("audit_waiting", audit_waiting,
               "rows of administrators not in the chain yet, 1000 at most"),
    rush_gauge("clock_skew_milliseconds", clock_skew,
               "greatest difference of the clocks of Redis, MySQL, this host")
};

#define RUSH_METRICS  (sizeof(rush_metric_list) / sizeof(rush_metric_list[0]))


/* as in batch.c, which fills them */

static const char  *rush_metric_bounds[RUSH_HISTOGRAM + 1] = {
    "0.001", "0.0025", "0.005", "0.01", "0.025", "0.05", "0.1", "0.25",
    "0.5", "1", "2.5", "5", "+Inf"
};


static void rush_metrics_calls(rush_daemon_t *d, rush_buf_t *b);
static void rush_metrics_batches(rush_daemon_t *d, rush_buf_t *b);
static void rush_metrics_head(rush_buf_t *b, const char *name,
    const char *type, const char *help);


void
rush_metrics(rush_daemon_t *d, rush_buf_t *b)
{
    size_t                i;
    int64_t               last, age;
    const int64_t        *value;
    const rush_metric_t  *m;

    for (i = 0; i < RUSH_METRICS; i++) {
        m = &rush_metric_list[i];
        value = (const int64_t *) (const void *)
                ((const char *) &d->stats + m->offset);

        rush_metrics_head(b, m->name,
                          m->type == RUSH_M_COUNTER ? "counter" : "gauge",
                          m->help);
        rush_buf_printf(b, "%s %lld\n", m->name,
                        (long long) __atomic_load_n(value, __ATOMIC_RELAXED));
    }

    rush_metrics_batches(d, b);
    rush_metrics_calls(d, b);

    last = rush_stat_get(d, last_commit);
    age = last ? rush_now() - last : 0;

    rush_metrics_head(b, "rush_consumer_last_commit_age_seconds", "gauge",
                      "time since the last transaction, 0 before the first");
    rush_buf_printf(b, "rush_consumer_last_commit_age_seconds %lld.%03lld\n",
                    (long long) (age / 1000), (long long) (age % 1000));

    rush_metrics_head(b, "rush_consumer_build_info", "gauge",
                      "version of the program");
    rush_buf_puts(b, "rush_consumer_build_info{version=\"" RUSH_VERSION
                     "\"} 1\n");
}


/* of payment providers that can be called */

static void
rush_metrics_calls(rush_daemon_t *d, rush_buf_t *b)
{
    int     who;
    size_t  i;

    static const char *const  names[RUSH_PAY_WHO] = {
        [RUSH_PROVIDER_WECHAT] = "wechat",
        [RUSH_PROVIDER_ALIPAY] = "alipay",
        [RUSH_PROVIDER_SANDBOX] = "sandbox"
    };

    static const char *const  outcomes[] = {
#define RUSH_OUTCOME_NAME(name, text)  text,
        RUSH_PAY_OUTCOMES(RUSH_OUTCOME_NAME)
#undef RUSH_OUTCOME_NAME
    };

    rush_metrics_head(b, "rush_consumer_pay_calls_total", "counter",
                      "calls of payment providers, by what came of them");

    for (who = 0; who < RUSH_PAY_WHO; who++) {

        for (i = 0; names[who] != NULL && i < RUSH_OUTCOMES; i++) {
            rush_buf_printf(b, "rush_consumer_pay_calls_total{provider="
                            "\"%s\",outcome=\"%s\"} %lld\n", names[who],
                            outcomes[i],
                            (long long) rush_stat_get(d, calls[who][i]));
        }
    }

    rush_metrics_head(b, "rush_consumer_pay_breaker", "gauge",
                      "of calls: 0 closed, 1 half open, 2 open");

    for (who = 0; who < RUSH_PAY_WHO; who++) {

        if (names[who] != NULL) {
            rush_buf_printf(b, "rush_consumer_pay_breaker{provider=\"%s\"} "
                            "%lld\n", names[who],
                            (long long) rush_stat_get(d, breaker[who]));
        }
    }
}


/* the count and +Inf come from one sum, so they always agree */

static void
rush_metrics_batches(rush_daemon_t *d, rush_buf_t *b)
{
    size_t   i;
    int64_t  n, us;

    rush_metrics_head(b, "rush_consumer_batch_seconds", "histogram",
                      "time of one batch from its read to its commit");

    n = 0;

    for (i = 0; i <= RUSH_HISTOGRAM; i++) {
        n += rush_stat_get(d, batch_bucket[i]);

        rush_buf_printf(b, "rush_consumer_batch_seconds_bucket{le=\"%s\"} "
                        "%lld\n", rush_metric_bounds[i], (long long) n);
    }

    us = rush_stat_get(d, batch_us);

    rush_buf_printf(b, "rush_consumer_batch_seconds_sum %lld.%06lld\n",
                    (long long) (us / 1000000), (long long) (us % 1000000));
    rush_buf_printf(b, "rush_consumer_batch_seconds_count %lld\n",
                    (long long) n);

    rush_metrics_head(b, "rush_consumer_batches_total", "counter",
                      "batches written");
    rush_buf_printf(b, "rush_consumer_batches_total %lld\n", (long long) n);
}


static void
rush_metrics_head(rush_buf_t *b, const char *name, const char *type,
    const char *help)
{
    rush_buf_printf(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name,
                    type);
}
