
/*
 * Copyright (C) Rush
 */


#include "ngx_rush_shm.h"
#include "ngx_rush_counters.h"


/*
 * Rate limits by GCRA: of a key only its "theoretical arrival time" is kept,
 * the moment at which its bucket is full again.
 *
 *     line 0: seed, number of buckets | buckets of 8 cells
 *     cell: 18 bits of the key's hash, 46 bits of its tat
 *
 * A bucket is one cache line.  A request finds its bucket by hash and its cell
 * by comparing 8 tags; a refused one has written nothing.  A key that has no
 * cell takes the one with the smallest tat: the key that will miss it least.
 * The hash is of class, key and the rate itself, so locations with rates of
 * their own, or a changed configuration, count apart.
 *
 * No locks: a cell is one word, moved by compare-and-swap.  Two workers may
 * give one new key two cells; the second is never found again and gets old.
 * Two keys of a bucket have the same tag, and then one limit, with a chance of
 * 1 to 32768 when all its cells are in use.  So limits are approximate by that
 * much; nobody outside can choose who meets whom.
 *
 * Time is ngx_current_msec: monotonic, the same in all workers, but coarse
 * (up to 10 ms).  What is allowed at once is never less than what the rate
 * brings in that time, else a high rate with a small burst could not be
 * reached.  Its unit is 256 ns, and it turns over after 208 days; what lies
 * further ahead than a limit can bring it is from the turn before.  Only cells
 * that nobody touched or took for 202 days are mistaken, until the 208th.
 */


#define NGX_RUSH_LIMIT_LAYOUT   0x4c494d02
#define NGX_RUSH_LIMIT_MIN      65536
#define NGX_RUSH_LIMIT_WAYS     8
#define NGX_RUSH_LIMIT_TRIES    8
#define NGX_RUSH_LIMIT_MAX      1000000     /* rate and burst */

#define NGX_RUSH_LIMIT_BITS     46          /* of a tat */
#define NGX_RUSH_LIMIT_TURN     ((uint64_t) 1 << NGX_RUSH_LIMIT_BITS)
#define NGX_RUSH_LIMIT_SECOND   ((uint64_t) 1000000000 / 256)
#define NGX_RUSH_LIMIT_TICK     (NGX_RUSH_LIMIT_SECOND / 100)

/* what may be taken in advance, and what no tat is ahead of now */

#define NGX_RUSH_LIMIT_DEPTH    (6 * 86400 * NGX_RUSH_LIMIT_SECOND)
#define NGX_RUSH_LIMIT_AHEAD    (7 * 86400 * NGX_RUSH_LIMIT_SECOND)

/* a worker's time stands still while it works, others are ahead of it */

#define NGX_RUSH_LIMIT_SLACK    (10 * NGX_RUSH_LIMIT_SECOND)


typedef struct {
    ngx_atomic_t             cells[NGX_RUSH_LIMIT_WAYS];    /* 0: free */
} ngx_rush_limit_bucket_t;


typedef struct {
    uint64_t                 seed;
    uint64_t                 buckets;
    u_char                   pad[112];
} ngx_rush_limit_sh_t;


_Static_assert(sizeof(ngx_rush_limit_bucket_t) == 64
               && sizeof(ngx_rush_limit_sh_t) == 128,
               "buckets are aligned to lines");

_Static_assert(NGX_RUSH_LIMIT_AHEAD < NGX_RUSH_LIMIT_TURN / 2,
               "past and future differ");


static ngx_int_t ngx_rush_limit_fresh(void *base, size_t size,
    ngx_log_t *log);
static uint64_t ngx_rush_limit_key(ngx_rush_rate_t *rate, uint64_t key);
static uint64_t ngx_rush_limit_tag(uint64_t key);
static ngx_rush_limit_bucket_t *ngx_rush_limit_bucket(uint64_t key);
static ngx_atomic_t *ngx_rush_limit_find(ngx_rush_limit_bucket_t *bucket,
    uint64_t tag, uint64_t now, uint64_t *word);
static void ngx_rush_limit_quota(ngx_rush_quota_t *quota, uint64_t ahead,
    uint64_t depth);
static char *ngx_rush_limit_parse(ngx_conf_t *cf, ngx_str_t *value,
    ngx_rush_rate_t *rate);
static void ngx_rush_limit_compute(ngx_rush_rate_t *rate, ngx_uint_t class);


/* how far a cell's tat lies ahead of now, negative: behind; the tag falls out
 * on the left */

#define ngx_rush_limit_ahead(word, now)                                       \
    ((int64_t) (((word) - (now)) << (64 - NGX_RUSH_LIMIT_BITS))               \
     >> (64 - NGX_RUSH_LIMIT_BITS))

#define ngx_rush_limit_word(tag, tat)                                         \
    ((tag) << NGX_RUSH_LIMIT_BITS | ((tat) & (NGX_RUSH_LIMIT_TURN - 1)))


static ngx_str_t  ngx_rush_limit_names[NGX_RUSH_LIMIT_CLASSES] = {
    ngx_null_string,
    ngx_string("api"),
    ngx_string("buy"),
    ngx_string("login"),
    ngx_string("global")
};

static ngx_rush_rate_t  ngx_rush_limit_defaults[NGX_RUSH_LIMIT_CLASSES] = {
    { .rate = 0, .burst = 0, .period = 1 },
    { .rate = 100, .burst = 200, .period = 1 },
    { .rate = 5, .burst = 10, .period = 1 },
    { .rate = 10, .burst = 20, .period = 1 },
    { .rate = 1000, .burst = 2000, .period = 1 }
};

static ngx_rush_limit_sh_t  *ngx_rush_limit_sh;


ngx_int_t
ngx_rush_limit(ngx_rush_rate_t *rate, uint64_t key, ngx_rush_quota_t *quota)
{
    int64_t                   ahead;
    uint64_t                  now, tag, word, start;
    ngx_uint_t                tries;
    ngx_atomic_t             *cell;
    ngx_rush_limit_bucket_t  *bucket;

    if (rate->rate == 0 || ngx_rush_limit_sh == NULL) {
        return NGX_OK;
    }

    now = (uint64_t) ngx_current_msec * 1000000 / 256;
    key = ngx_rush_limit_key(rate, key);
    tag = ngx_rush_limit_tag(key);
    bucket = ngx_rush_limit_bucket(key);

    for (tries = 0; tries < NGX_RUSH_LIMIT_TRIES; tries++) {

        cell = ngx_rush_limit_find(bucket, tag, now, &word);
        ahead = ngx_rush_limit_ahead(word, now);
        start = now;

        if (word >> NGX_RUSH_LIMIT_BITS == tag) {

            if (ahead > (int64_t) (rate->depth + rate->step
                                   + NGX_RUSH_LIMIT_SLACK))
            {
                ahead = 0;              /* of the turn before */
            }

            if (ahead > (int64_t) rate->depth) {
                ngx_rush_limit_quota(quota, (uint64_t) ahead, rate->depth);
                return NGX_DECLINED;
            }

            start += (uint64_t) ngx_max(ahead, 0);

        } else if (ahead > 0 && word != 0
                   && ahead <= (int64_t) NGX_RUSH_LIMIT_AHEAD)
        {
            ngx_rush_count(NGX_RUSH_C_LIMIT_EVICTED, 1);
        }

        if (ngx_atomic_cmp_set(cell, word,
                               ngx_rush_limit_word(tag, start + rate->step)))
        {
            return NGX_OK;
        }
    }

    /* many workers at one cell: to let one through is better than to spin */

    return NGX_OK;
}


void
ngx_rush_limit_fetch(ngx_rush_rate_t *rate, uint64_t key)
{
    ngx_rush_limit_bucket_t  *bucket;

    if (rate->rate == 0 || ngx_rush_limit_sh == NULL) {
        return;
    }

    bucket = ngx_rush_limit_bucket(ngx_rush_limit_key(rate, key));

    __builtin_prefetch(bucket, 1);      /* to be written */
}


static uint64_t
ngx_rush_limit_key(ngx_rush_rate_t *rate, uint64_t key)
{
    return ngx_rush_mix(key ^ ngx_rush_mix(ngx_rush_limit_sh->seed
                                           + rate->salt));
}


/* other bits than those that choose the bucket */

static uint64_t
ngx_rush_limit_tag(uint64_t key)
{
    key &= (1 << (64 - NGX_RUSH_LIMIT_BITS)) - 1;

    return key | (key == 0);
}


static ngx_rush_limit_bucket_t *
ngx_rush_limit_bucket(uint64_t key)
{
    ngx_rush_limit_bucket_t  *buckets;

    buckets = (ngx_rush_limit_bucket_t *) (ngx_rush_limit_sh + 1);

    return &buckets[((key >> 32) * ngx_rush_limit_sh->buckets) >> 32];
}


/* the cell of the tag, or the one to take for it; *word as it was seen */

static ngx_atomic_t *
ngx_rush_limit_find(ngx_rush_limit_bucket_t *bucket, uint64_t tag,
    uint64_t now, uint64_t *word)
{
    int64_t        ahead, least;
    uint64_t       w;
    ngx_uint_t     i;
    ngx_atomic_t  *cell;

    least = INT64_MAX;
    cell = NULL;

    for (i = 0; i < NGX_RUSH_LIMIT_WAYS; i++) {
        w = bucket->cells[i];

        if (w >> NGX_RUSH_LIMIT_BITS == tag) {
            *word = w;
            return &bucket->cells[i];
        }

        ahead = ngx_rush_limit_ahead(w, now);

        if (w == 0 || ahead > (int64_t) NGX_RUSH_LIMIT_AHEAD) {
            ahead = INT64_MIN;
        }

        if (ahead < least) {
            least = ahead;
            *word = w;
            cell = &bucket->cells[i];
        }
    }

    return cell;
}


static void
ngx_rush_limit_quota(ngx_rush_quota_t *quota, uint64_t ahead, uint64_t depth)
{
    if (quota == NULL) {
        return;
    }

    quota->remaining = 0;
    quota->reset = (ahead + NGX_RUSH_LIMIT_SECOND - 1) / NGX_RUSH_LIMIT_SECOND;
    quota->retry_after = ngx_max((ahead - depth + NGX_RUSH_LIMIT_SECOND - 1)
                                 / NGX_RUSH_LIMIT_SECOND, 1);
}


uint64_t
ngx_rush_addr_key(ngx_http_request_t *r)
{
    uint64_t              prefix;
    uint32_t              addr;
    struct sockaddr      *sa;
#if (NGX_HAVE_INET6)
    struct sockaddr_in6  *sin6;
#endif

    sa = r->connection->sockaddr;

    switch (sa->sa_family) {

    case AF_INET:
        addr = ((struct sockaddr_in *) sa)->sin_addr.s_addr;
        return ngx_rush_mix((uint64_t) addr << 1 | 1);

#if (NGX_HAVE_INET6)
    case AF_INET6:
        sin6 = (struct sockaddr_in6 *) sa;

        if (IN6_IS_ADDR_V4MAPPED(&sin6->sin6_addr)) {
            ngx_memcpy(&addr, &sin6->sin6_addr.s6_addr[12], 4);
            return ngx_rush_mix((uint64_t) addr << 1 | 1);
        }

        ngx_memcpy(&prefix, sin6->sin6_addr.s6_addr, 8);
        return ngx_rush_mix(ngx_rush_mix(prefix) + 6);
#endif
    }

    return 0;
}


char *
ngx_rush_limit_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_rush_rate_t  *rates = (ngx_rush_rate_t *) ((char *) conf
                                                   + cmd->offset);

    char             *rv;
    ngx_str_t        *value;
    ngx_uint_t        i, class;
    ngx_rush_rate_t   rate;

    value = cf->args->elts;

    for (class = 1; class < NGX_RUSH_LIMIT_CLASSES; class++) {

        if (value[1].len == ngx_rush_limit_names[class].len
            && ngx_strcmp(value[1].data, ngx_rush_limit_names[class].data)
               == 0)
        {
            break;
        }
    }

    if (class == NGX_RUSH_LIMIT_CLASSES) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "limit class \"%V\" is unknown: "
                           "global, api, buy or login", &value[1]);
        return NGX_CONF_ERROR;
    }

    if (rates[class].rate != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    ngx_memzero(&rate, sizeof(ngx_rush_rate_t));
    rate.period = 1;

    if (cf->args->nelts == 3 && ngx_strcmp(value[2].data, "off") == 0) {
        rates[class] = rate;
        return NGX_CONF_OK;
    }

    for (i = 2; i < cf->args->nelts; i++) {

        rv = ngx_rush_limit_parse(cf, &value[i], &rate);
        if (rv != NGX_CONF_OK) {
            return rv;
        }
    }

    if (rate.rate == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "limit \"%V\" needs \"rate=\" or \"off\"",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    if (rate.burst == 0) {
        rate.burst = rate.rate;
    }

    if (rate.burst * rate.period * NGX_RUSH_LIMIT_SECOND / rate.rate
        > NGX_RUSH_LIMIT_DEPTH)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "limit \"%V\": the burst is more than the rate "
                           "brings in 6 days", &value[1]);
        return NGX_CONF_ERROR;
    }

    rates[class] = rate;

    return NGX_CONF_OK;
}


static char *
ngx_rush_limit_parse(ngx_conf_t *cf, ngx_str_t *value, ngx_rush_rate_t *rate)
{
    size_t      len;
    u_char     *p;
    ngx_int_t   n;

    p = value->data;
    len = value->len;
    n = NGX_ERROR;

    if (len > 6 && ngx_strncmp(p, "burst=", 6) == 0 && rate->burst == 0) {
        n = ngx_atoi(p + 6, len - 6);
        rate->burst = n;

    } else if (len > 5 && ngx_strncmp(p, "rate=", 5) == 0 && rate->rate == 0) {
        p += 5;
        len -= 5;

        if (len > 3 && ngx_strncmp(p + len - 3, "r/s", 3) == 0) {
            len -= 3;

        } else if (len > 3 && ngx_strncmp(p + len - 3, "r/m", 3) == 0) {
            len -= 3;
            rate->period = 60;
        }

        n = ngx_atoi(p, len);
        rate->rate = n;
    }

    if (n < 1 || n > NGX_RUSH_LIMIT_MAX) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "limit parameter \"%V\" is not valid: rate=N[r/s] "
                           "or rate=Nr/m, burst=N, N from 1 to %d",
                           value, NGX_RUSH_LIMIT_MAX);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


void
ngx_rush_limit_unset(ngx_rush_rate_t *rates)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_RUSH_LIMIT_CLASSES; i++) {
        rates[i].rate = NGX_CONF_UNSET_UINT;
        rates[i].burst = NGX_CONF_UNSET_UINT;
        rates[i].period = NGX_CONF_UNSET_UINT;
    }
}


void
ngx_rush_limit_merge(ngx_rush_rate_t *conf, ngx_rush_rate_t *prev)
{
    ngx_uint_t        i;
    ngx_rush_rate_t  *rate;

    for (i = 0; i < NGX_RUSH_LIMIT_CLASSES; i++) {
        rate = &conf[i];

        if (rate->rate == NGX_CONF_UNSET_UINT) {
            *rate = (prev[i].rate != NGX_CONF_UNSET_UINT)
                    ? prev[i] : ngx_rush_limit_defaults[i];
        }

        if (rate->rate == 0) {
            continue;
        }

        ngx_rush_limit_compute(rate, i);
    }
}


/* counts apart from the classes, also from one of the same rate */

void
ngx_rush_rate_init(ngx_rush_rate_t *rate, ngx_uint_t n, ngx_uint_t burst,
    ngx_uint_t period)
{
    ngx_memzero(rate, sizeof(ngx_rush_rate_t));

    if (n == 0) {
        return;
    }

    rate->rate = n;
    rate->burst = burst;
    rate->period = period;

    ngx_rush_limit_compute(rate, NGX_RUSH_LIMIT_CLASSES);
}


/* to the nearest unit: at 100000r/s within 2 %, at 1000r/s within 0.02 % */

static void
ngx_rush_limit_compute(ngx_rush_rate_t *rate, ngx_uint_t class)
{
    rate->step = (rate->period * NGX_RUSH_LIMIT_SECOND + rate->rate / 2)
                 / rate->rate;

    rate->depth = (uint64_t) (ngx_max(rate->burst, 1) - 1) * rate->step;
    rate->depth = ngx_max(rate->depth, NGX_RUSH_LIMIT_TICK);
    rate->depth = ngx_min(rate->depth, NGX_RUSH_LIMIT_DEPTH);

    rate->salt = class + ngx_rush_mix(rate->step ^ rate->depth << 20);
}


ngx_int_t
ngx_rush_limit_zone(ngx_conf_t *cf, size_t size)
{
    ngx_rush_zone_t  *zone;

    zone = ngx_pcalloc(cf->pool, sizeof(ngx_rush_zone_t));
    if (zone == NULL) {
        return NGX_ERROR;
    }

    ngx_str_set(&zone->name, "rush_limit");
    zone->size = size;
    zone->min = NGX_RUSH_LIMIT_MIN;
    zone->layout = NGX_RUSH_LIMIT_LAYOUT;
    zone->init = ngx_rush_limit_fresh;
    zone->tag = &ngx_http_rush_core_module;
    zone->link = (void **) &ngx_rush_limit_sh;

    return ngx_rush_zone_add(cf, zone);
}


static ngx_int_t
ngx_rush_limit_fresh(void *base, size_t size, ngx_log_t *log)
{
    ngx_rush_limit_sh_t  *sh = base;

    /* nobody outside can tell which keys share a bucket */

    sh->seed = (uint64_t) ngx_random() << 32 ^ (uint64_t) ngx_random()
               ^ ngx_rush_mix((uint64_t) ngx_rush_now_ms() ^ ngx_pid);

    sh->buckets = (size - sizeof(ngx_rush_limit_sh_t))
                  / sizeof(ngx_rush_limit_bucket_t);

    return NGX_OK;
}
