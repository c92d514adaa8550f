
/*
 * Copyright (C) Rush
 *
 * What a token costs a worker: its signature and claims alone, and together
 * with the two look-ups in the table of revoked tokens.  The code is that of
 * the core module; what it needs of nginx stands at the end.  Users are many
 * and in no order, so the table is read from memory and not from a cache.
 * Prints one JSON object, ns a token; medians of rounds in turn.
 *
 *   token KEY_FILE [ROUNDS]
 */


#include "ngx_rush_revoke.h"


#define TOKENS   20000
#define REVOKED  100000
#define ZONE     (4 * 1024 * 1024)
#define ROUNDS   51


static int64_t run(int look);
static int compare(const void *a, const void *b);
static int64_t now_ns(void);


static rush_jwt_t     *jwt;
static unsigned char   text[TOKENS][RUSH_JWT_MAX_LEN];
static size_t          len[TOKENS];
static ngx_time_t      clock_now;

volatile ngx_time_t   *ngx_cached_time = &clock_now;
ngx_module_t           ngx_http_rush_core_module;


int
main(int argc, char **argv)
{
    int             i, rounds;
    FILE           *f;
    size_t          n;
    int64_t         alone[101], both[101], more[101];
    const char     *err;
    rush_claims_t   claims;
    unsigned char   key[4096];

    rounds = argc > 2 ? (int) strtol(argv[2], NULL, 10) : ROUNDS;
    f = argc > 1 ? fopen(argv[1], "r") : NULL;

    if (f == NULL || rounds < 1 || rounds > 100) {
        fprintf(stderr, "usage: token KEY_FILE [ROUNDS]\n");
        return 2;
    }

    n = fread(key, 1, sizeof(key), f);
    (void) fclose(f);

    clock_now.sec = time(NULL);
    jwt = rush_jwt_create("rush", "rush", 30);
    err = "no memory";

    if (jwt == NULL || rush_jwt_load(jwt, key, n, &err) != RUSH_OK) {
        fprintf(stderr, "token: %s\n", err);
        return 1;
    }

    ngx_rush_revoke_sh = aligned_alloc(256, ZONE);

    if (ngx_rush_revoke_sh == NULL) {
        return 1;
    }

    memset(ngx_rush_revoke_sh, 0, ZONE);
    ngx_rush_revoke_sh->buckets = (ZONE - sizeof(ngx_rush_revoke_sh_t)) / 128;

    for (i = 0; i < REVOKED; i++) {
        ngx_rush_revoke_insert(i & 1 ? 's' : 'u',
                               (int64_t) (ngx_rush_mix(i + 1) >> 2), 1);
    }

    for (i = 0; i < TOKENS; i++) {
        memset(&claims, 0, sizeof(rush_claims_t));
        claims.user = (int64_t) (ngx_rush_mix(7000000 + i) >> 2);
        claims.session = (int64_t) (ngx_rush_mix(9000000 + i) >> 2);
        claims.version = 1;
        claims.issued = clock_now.sec;
        claims.expires = clock_now.sec + 3600;

        len[i] = rush_jwt_sign(jwt, &claims, text[i]);

        if (len[i] == 0) {
            return 1;
        }
    }

    (void) run(1);                      /* warm */

    for (i = 0; i < rounds; i++) {
        alone[i] = run(0);
        both[i] = run(1);
        more[i] = both[i] - alone[i];
    }

    qsort(alone, rounds, sizeof(int64_t), compare);
    qsort(both, rounds, sizeof(int64_t), compare);
    qsort(more, rounds, sizeof(int64_t), compare);

    printf("{\"signature_ns\":%lld,\"both_ns\":%lld,\"revoked_ns\":%lld}\n",
           (long long) alone[rounds / 2], (long long) both[rounds / 2],
           (long long) more[rounds / 2]);

    rush_jwt_destroy(jwt);
    free(ngx_rush_revoke_sh);

    return 0;
}


static int64_t
run(int look)
{
    int            i, bad;
    int64_t        start;
    rush_claims_t  claims;

    bad = 0;
    start = now_ns();

    for (i = 0; i < TOKENS; i++) {

        if (rush_jwt_verify(jwt, text[i], len[i], clock_now.sec, &claims)
            != RUSH_OK)
        {
            bad++;
            continue;
        }

        bad += (look && ngx_rush_revoked(&claims) != NGX_OK);
    }

    start = now_ns() - start;

    if (bad) {
        fprintf(stderr, "token: %d were refused\n", bad);
        exit(1);
    }

    return start / TOKENS;
}


static int
compare(const void *a, const void *b)
{
    const int64_t  *x = a;
    const int64_t  *y = b;

    return (*x > *y) - (*x < *y);
}


static int64_t
now_ns(void)
{
    struct timespec  ts;

    /* of this thread: others share the machine */
    (void) clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);

    return (int64_t) ts.tv_sec * 1000000000 + ts.tv_nsec;
}


/* what the table needs of the rest */

void
ngx_rush_count(ngx_uint_t counter, ngx_uint_t n)
{
    /* nobody asks */
}


ngx_int_t
ngx_rush_zone_add(ngx_conf_t *cf, ngx_rush_zone_t *zone)
{
    return NGX_ERROR;                   /* there is no configuration */
}


void *
ngx_pcalloc(ngx_pool_t *pool, size_t size)
{
    return NULL;
}
