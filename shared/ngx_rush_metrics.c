
/*
 * Copyright (C) Rush
 */


#include "ngx_rush_core.h"
#include "ngx_rush_counters.h"


/*
 * /metrics in Prometheus text format 0.0.4.  Each family stands together
 * under its HELP and TYPE; every known label set is there from the start,
 * with 0.  Names of routes, codes and versions are ours and need no escaping.
 * Gauges of drivers are those of the worker that answers.
 */


static void ngx_rush_metrics_requests(rush_buf_t *b);
static void ngx_rush_metrics_request(rush_buf_t *b, ngx_uint_t route,
    const char *name, int len);
static void ngx_rush_metrics_durations(rush_buf_t *b);
static void ngx_rush_metrics_duration(rush_buf_t *b, ngx_uint_t route,
    const char *name, int len);
static void ngx_rush_metrics_answers(rush_buf_t *b);
static void ngx_rush_metrics_counters(rush_buf_t *b);
static void ngx_rush_metrics_gauges(rush_buf_t *b);
static void ngx_rush_metrics_gauge(rush_buf_t *b, const char *name,
    const char *help, ngx_uint_t value);
static void ngx_rush_metrics_modules(rush_buf_t *b);
static void ngx_rush_metrics_handler(void *data);


static const char  ngx_rush_metrics_none[] = "none";


/*
 * Handlers are kept as cleanup records of the pool of their cycle: so they
 * live and go with the configuration and the libraries they belong to, and a
 * configuration that fails leaves none behind.
 */

ngx_int_t
ngx_rush_add_metrics(ngx_conf_t *cf, ngx_rush_metrics_pt handler)
{
    ngx_pool_cleanup_t   *cln;
    ngx_rush_metrics_pt  *data;

    cln = ngx_pool_cleanup_add(cf->cycle->pool, sizeof(ngx_rush_metrics_pt));
    if (cln == NULL) {
        return NGX_ERROR;
    }

    data = cln->data;
    *data = handler;

    cln->handler = ngx_rush_metrics_handler;

    return NGX_OK;
}


static void
ngx_rush_metrics_handler(void *data)
{
    /* nothing to free: its address marks the records */
}


void
ngx_rush_metrics(rush_buf_t *b)
{
    /* routes have their places in the zone from the first count on */

    ngx_rush_count(NGX_RUSH_C_REDIS_COMMANDS, 0);

    ngx_rush_metrics_requests(b);
    ngx_rush_metrics_durations(b);
    ngx_rush_metrics_answers(b);
    ngx_rush_metrics_counters(b);
    ngx_rush_metrics_gauges(b);
    ngx_rush_events_metrics(b);
    ngx_rush_metrics_lag(b);
    ngx_rush_metrics_modules(b);
}


static void
ngx_rush_metrics_requests(rush_buf_t *b)
{
    ngx_str_t   *name;
    ngx_uint_t   i, n;

    rush_buf_puts(b, "# HELP rush_requests_total Requests answered\n"
                     "# TYPE rush_requests_total counter\n");

    n = ngx_rush_route_count();

    for (i = 0; i < n; i++) {
        name = ngx_rush_route_name(i);
        ngx_rush_metrics_request(b, i, (char *) name->data, name->len);
    }

    ngx_rush_metrics_request(b, NGX_RUSH_NO_ROUTE, ngx_rush_metrics_none,
                             sizeof(ngx_rush_metrics_none) - 1);
}


static void
ngx_rush_metrics_request(rush_buf_t *b, ngx_uint_t route, const char *name,
    int len)
{
    uint64_t              n;
    ngx_uint_t            i, j;
    ngx_rush_route_sum_t  sum;

    ngx_rush_sum_route(route, &sum);

    n = 0;

    for (i = 0; i < NGX_RUSH_ROW_COUNT; i++) {

        for (j = 0; j < NGX_RUSH_BUCKET_COUNT; j++) {
            n += sum.rows[i][j];
        }

        if (i == NGX_RUSH_ROW_OK) {
            continue;                   /* goes with the other 2xx */
        }

        rush_buf_printf(b, "rush_requests_total{route=\"%.*s\","
                        "status=\"%uxx\"} %llu\n",
                        len, name, (unsigned) (i + 1),
                        (unsigned long long) n);
        n = 0;
    }
}


static void
ngx_rush_metrics_durations(rush_buf_t *b)
{
    ngx_str_t   *name;
    ngx_uint_t   i, n;

    rush_buf_puts(b, "# HELP rush_request_duration_seconds "
                     "Time from the request to its answer\n"
                     "# TYPE rush_request_duration_seconds histogram\n");

    n = ngx_rush_route_count();

    for (i = 0; i < n; i++) {
        name = ngx_rush_route_name(i);
        ngx_rush_metrics_duration(b, i, (char *) name->data, name->len);
    }

    ngx_rush_metrics_duration(b, NGX_RUSH_NO_ROUTE, ngx_rush_metrics_none,
                              sizeof(ngx_rush_metrics_none) - 1);
}


static void
ngx_rush_metrics_duration(rush_buf_t *b, ngx_uint_t route, const char *name,
    int len)
{
    uint64_t              n;
    ngx_uint_t            i, j;
    ngx_rush_route_sum_t  sum;

    static const char *const  le[] = {
#define NGX_RUSH_LE(ms, le)  le,
        NGX_RUSH_BUCKETS(NGX_RUSH_LE)
#undef NGX_RUSH_LE
        "+Inf"
    };

    ngx_rush_sum_route(route, &sum);

    n = 0;

    for (i = 0; i < NGX_RUSH_BUCKET_COUNT; i++) {

        for (j = 0; j < NGX_RUSH_ROW_COUNT; j++) {
            n += sum.rows[j][i];
        }

        rush_buf_printf(b, "rush_request_duration_seconds_bucket"
                        "{route=\"%.*s\",le=\"%s\"} %llu\n",
                        len, name, le[i], (unsigned long long) n);
    }

    rush_buf_printf(b, "rush_request_duration_seconds_sum{route=\"%.*s\"} "
                    "%llu.%03llu\n",
                    len, name, (unsigned long long) (sum.sum / 1000),
                    (unsigned long long) (sum.sum % 1000));

    rush_buf_printf(b, "rush_request_duration_seconds_count"
                    "{route=\"%.*s\"} %llu\n",
                    len, name, (unsigned long long) n);
}


static void
ngx_rush_metrics_answers(rush_buf_t *b)
{
    ngx_uint_t  i;

    static const struct {
        int          code;
        const char  *name;
    } answers[] = {
#define NGX_RUSH_ANSWER(name, code, http, text)  { code, #name },
        RUSH_ERRORS(NGX_RUSH_ANSWER)
#undef NGX_RUSH_ANSWER
        { 0, "OK" }
    };

    rush_buf_puts(b, "# HELP rush_answers_total Answers by code\n"
                     "# TYPE rush_answers_total counter\n");

    for (i = 0; i <= RUSH_ERROR_COUNT; i++) {
        rush_buf_printf(b, "rush_answers_total{code=\"%d\",name=\"%s\"} "
                        "%llu\n",
                        answers[i].code, answers[i].name,
                        (unsigned long long) ngx_rush_sum_answers(i));
    }
}


static void
ngx_rush_metrics_counters(rush_buf_t *b)
{
    ngx_uint_t  i;

    static const struct {
        const char  *name;
        const char  *type;
        const char  *help;
    } counters[] = {
#define NGX_RUSH_COUNTER(NAME, name, type, help)  { #name, #type, help },
        NGX_RUSH_COUNTERS(NGX_RUSH_COUNTER)
#undef NGX_RUSH_COUNTER
    };

    for (i = 0; i < NGX_RUSH_COUNTER_COUNT; i++) {
        rush_buf_printf(b, "# HELP rush_%s_total %s\n"
                        "# TYPE rush_%s_total %s\n"
                        "rush_%s_total %llu\n",
                        counters[i].name, counters[i].help,
                        counters[i].name, counters[i].type,
                        counters[i].name,
                        (unsigned long long) ngx_rush_sum_counter(i));
    }
}


static void
ngx_rush_metrics_gauges(rush_buf_t *b)
{
    ngx_msec_t               age;
    ngx_core_conf_t         *ccf;
    ngx_rush_redis_state_t   redis;
    ngx_rush_mysql_state_t   mysql;

    ngx_rush_redis_state(&redis);
    ngx_rush_mysql_state(&mysql);

    ngx_rush_metrics_gauge(b, "redis_up", "Whether Redis can be reached",
                           redis.up != 0);
    ngx_rush_metrics_gauge(b, "redis_lanes", "Connections to Redis in use",
                           redis.up);
    ngx_rush_metrics_gauge(b, "redis_in_flight",
                           "Commands without a reply yet", redis.in_flight);
    ngx_rush_metrics_gauge(b, "mysql_up", "Whether MySQL can be reached",
                           mysql.down_since == 0);
    ngx_rush_metrics_gauge(b, "mysql_connections", "Connections to MySQL",
                           mysql.up);
    ngx_rush_metrics_gauge(b, "mysql_busy", "Connections at work",
                           mysql.busy);
    ngx_rush_metrics_gauge(b, "mysql_waiting",
                           "Statements waiting for a connection",
                           mysql.waiting);

    ccf = (ngx_core_conf_t *) ngx_get_conf(ngx_cycle->conf_ctx,
                                           ngx_core_module);

    ngx_rush_metrics_gauge(b, "workers", "Workers of this node",
                           ngx_max(ccf->worker_processes, 1));

    rush_buf_puts(b, "# HELP rush_revocation_feed_age_seconds "
                     "Time since the stream of revocations was read\n"
                     "# TYPE rush_revocation_feed_age_seconds gauge\n");

    age = ngx_rush_revoke_age();

    if (age == (ngx_msec_t) -1) {
        rush_buf_puts(b, "rush_revocation_feed_age_seconds +Inf\n");

    } else {
        rush_buf_printf(b, "rush_revocation_feed_age_seconds %llu.%03llu\n",
                        (unsigned long long) (age / 1000),
                        (unsigned long long) (age % 1000));
    }

    rush_buf_puts(b, "# HELP rush_build_info Versions\n"
                     "# TYPE rush_build_info gauge\n"
                     "rush_build_info{version=\"" RUSH_VERSION "\","
                     "nginx=\"" NGINX_VERSION "\"} 1\n");
}


static void
ngx_rush_metrics_gauge(rush_buf_t *b, const char *name, const char *help,
    ngx_uint_t value)
{
    rush_buf_printf(b, "# HELP rush_%s %s\n"
                    "# TYPE rush_%s gauge\n"
                    "rush_%s %llu\n",
                    name, help, name, name, (unsigned long long) value);
}


static void
ngx_rush_metrics_modules(rush_buf_t *b)
{
    ngx_pool_cleanup_t   *cln;
    ngx_rush_metrics_pt  *handler;

    for (cln = ngx_cycle->pool->cleanup; cln; cln = cln->next) {

        if (cln->handler == ngx_rush_metrics_handler) {
            handler = cln->data;
            (*handler)(b);
        }
    }
}
