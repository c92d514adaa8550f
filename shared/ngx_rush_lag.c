
/*
 * Copyright (C) Rush
 */


#include "ngx_rush_core.h"
#include "ngx_rush_counters.h"


/*
 * How late a worker is.  A timer asks to be called every 10 ms; what keeps it
 * from being called is a turn of the event loop that takes long, or a machine
 * that gives no time.  A turn of T ms is seen as one of T - 10 to T.  nginx's
 * own clock steps by some ms and is that of the start of a turn, so the
 * monotonic clock is asked.
 */


#define NGX_RUSH_LAG_PERIOD  10         /* ms */


static void ngx_rush_lag_handler(ngx_event_t *ev);
static uint64_t ngx_rush_lag_now(void);


static ngx_event_t       ngx_rush_lag_event;
static ngx_connection_t  ngx_rush_lag_conn;     /* debug logs look at its fd */
static uint64_t          ngx_rush_lag_due;      /* us */


void
ngx_rush_lag_init(ngx_cycle_t *cycle)
{
    ngx_rush_lag_conn.fd = (ngx_socket_t) -1;

    ngx_memzero(&ngx_rush_lag_event, sizeof(ngx_event_t));

    ngx_rush_lag_event.data = &ngx_rush_lag_conn;
    ngx_rush_lag_event.handler = ngx_rush_lag_handler;
    ngx_rush_lag_event.log = cycle->log;
    ngx_rush_lag_event.cancelable = 1;

    ngx_rush_lag_due = ngx_rush_lag_now() + NGX_RUSH_LAG_PERIOD * 1000;

    ngx_add_timer(&ngx_rush_lag_event, NGX_RUSH_LAG_PERIOD);
}


static void
ngx_rush_lag_handler(ngx_event_t *ev)
{
    uint64_t  now;

    now = ngx_rush_lag_now();

    ngx_rush_count_lag(now > ngx_rush_lag_due ? now - ngx_rush_lag_due : 0);

    ngx_rush_lag_due = now + NGX_RUSH_LAG_PERIOD * 1000;

    ngx_add_timer(ev, NGX_RUSH_LAG_PERIOD);
}


static uint64_t
ngx_rush_lag_now(void)
{
    struct timespec  ts;

    /* cannot fail for this clock */
    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return (uint64_t) ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}


void
ngx_rush_metrics_lag(rush_buf_t *b)
{
    uint64_t            n;
    ngx_uint_t          i;
    ngx_rush_lag_sum_t  sum;

    static const char *const  le[] = {
#define NGX_RUSH_LE(us, le)  le,
        NGX_RUSH_LAGS(NGX_RUSH_LE)
#undef NGX_RUSH_LE
        "+Inf"
    };

    ngx_rush_sum_lag(&sum);

    rush_buf_puts(b, "# HELP rush_loop_lag_seconds "
                     "How late a timer of 10 ms was called, of all workers\n"
                     "# TYPE rush_loop_lag_seconds histogram\n");

    n = 0;

    for (i = 0; i < NGX_RUSH_LAG_COUNT; i++) {
        n += sum.buckets[i];

        rush_buf_printf(b, "rush_loop_lag_seconds_bucket{le=\"%s\"} %llu\n",
                        le[i], (unsigned long long) n);
    }

    rush_buf_printf(b, "rush_loop_lag_seconds_sum %llu.%06llu\n"
                    "rush_loop_lag_seconds_count %llu\n",
                    (unsigned long long) (sum.us / 1000000),
                    (unsigned long long) (sum.us % 1000000),
                    (unsigned long long) n);
}
