
/*
 * Copyright (C) Rush
 *
 * What the load generator counts: answers by status and code, their times in
 * histograms of 16 steps a power of two, for each phase of the load and for
 * the current second.  An answer counts for the phase its request was due in.
 */


#include <stdlib.h>
#include <string.h>

#include "load.h"


#define MAX_CODE   100000
#define BUCKETS    (64 * 16)            /* in us */


typedef struct {
    long       sent, failed, dropped;
    long       n[LOAD_CLASSES];
    uint64_t   hist[LOAD_CLASSES][BUCKETS];
} load_sum_t;


static long        codes[MAX_CODE], statuses[600];
static load_sum_t  sums[LOAD_PHASES], second;


void
load_stat_clear(void)
{
    memset(sums, 0, sizeof(sums));
    memset(&second, 0, sizeof(second));
    memset(codes, 0, sizeof(codes));
    memset(statuses, 0, sizeof(statuses));
}


static int
bucket(int64_t us)
{
    int  power;

    if (us < 16) {
        return us < 0 ? 0 : (int) us;
    }

    power = 63 - __builtin_clzll((unsigned long long) us);
    return (power - 3) * 16 + (int) ((us >> (power - 4)) & 15);
}


/* over n sums; class LOAD_CLASSES: of all answers */

static double
percentile(load_sum_t *sum, int n, load_class_e class, double p)
{
    int       i, k, j;
    uint64_t  seen, total, step[BUCKETS];

    memset(step, 0, sizeof(step));

    for (i = 0, total = 0; i < BUCKETS; i++) {
        for (k = 0; k < LOAD_CLASSES; k++) {
            for (j = 0; j < n; j++) {
                if (class == LOAD_CLASSES || (int) class == k) {
                    step[i] += sum[j].hist[k][i];
                }
            }
        }

        total += step[i];
    }

    for (i = 0, seen = 0; i < BUCKETS; i++) {
        seen += step[i];

        if (seen && seen >= p * total) {
            return i < 16 ? i
                   : (double) ((16ULL + i % 16 + 1) << (i / 16 - 1));
        }
    }

    return 0;
}


void
load_stat_answer(int phase, long status, long code, int64_t us)
{
    int           b;
    load_class_e  class;

    if (status > 0 && status < 600) {
        statuses[status]++;
    }

    if (code >= 0 && code < MAX_CODE) {
        codes[code]++;
    }

    b = bucket(us);
    switch (code) {
    case 0:
        class = LOAD_GRANTED;
        break;

    case -1:                            /* not ours */
    case 1:                             /* see docs/errors.md */
    case 3:
    case 11:
    case 12:
        class = LOAD_UNABLE;
        break;

    default:
        class = LOAD_REFUSED;
    }


    sums[phase].n[class]++;
    sums[phase].hist[class][b]++;
    second.n[class]++;
    second.hist[class][b]++;
}


void
load_stat_failed(int phase)
{
    sums[phase].failed++;
    second.failed++;
}


void
load_stat_dropped(int phase)
{
    sums[phase].dropped++;
    second.dropped++;
}


void
load_stat_sent(int phase)
{
    sums[phase].sent++;
    second.sent++;
}


static void
print_sum(FILE *f, load_sum_t *sum)
{
    fprintf(f, "\"sent\":%ld,\"failed\":%ld,\"dropped\":%ld,"
            "\"granted\":%ld,\"refused\":%ld,\"unable\":%ld,"
            "\"granted_p50_us\":%.0f,\"granted_p99_us\":%.0f,"
            "\"refused_p99_us\":%.0f,\"refused_max_us\":%.0f}",
            sum->sent, sum->failed, sum->dropped, sum->n[LOAD_GRANTED],
            sum->n[LOAD_REFUSED], sum->n[LOAD_UNABLE],
            percentile(sum, 1, LOAD_GRANTED, 0.5),
            percentile(sum, 1, LOAD_GRANTED, 0.99),
            percentile(sum, 1, LOAD_REFUSED, 0.99),
            percentile(sum, 1, LOAD_REFUSED, 1));
}


void
load_stat_second(FILE *f, double seconds)
{
    fprintf(f, "{\"at\":%.3f,", seconds);
    print_sum(f, &second);
    fprintf(f, "\n");

    memset(&second, 0, sizeof(second));
}


static void
counts(const char *name, long *value, long n)
{
    long  i, some;

    printf(",\"%s\":{", name);

    for (i = 0, some = 0; i < n; i++) {
        if (value[i]) {
            printf("%s\"%ld\":%ld", some++ ? "," : "", i, value[i]);
        }
    }

    printf("}");
}


void
load_stat_report(double seconds, long reconnects)
{
    int   i, k;
    long  n, failed, dropped;

    n = failed = dropped = 0;

    for (i = 0; i < LOAD_PHASES; i++) {
        for (k = 0; k < LOAD_CLASSES; k++) {
            n += sums[i].n[k];
        }

        failed += sums[i].failed;
        dropped += sums[i].dropped;
    }

    n += failed;

    printf("{\"requests\":%ld,\"failed\":%ld,\"dropped\":%ld,"
           "\"reconnects\":%ld,\"seconds\":%.3f,\"rps\":%.0f,"
           "\"p50_us\":%.0f,\"p90_us\":%.0f,\"p99_us\":%.0f,"
           "\"p999_us\":%.0f", n, failed, dropped, reconnects, seconds,
           n / seconds, percentile(sums, LOAD_PHASES, LOAD_CLASSES, 0.5),
           percentile(sums, LOAD_PHASES, LOAD_CLASSES, 0.9),
           percentile(sums, LOAD_PHASES, LOAD_CLASSES, 0.99),
           percentile(sums, LOAD_PHASES, LOAD_CLASSES, 0.999));

    counts("status", statuses, 600);
    counts("code", codes, MAX_CODE);

    printf(",\"phases\":[");

    for (i = 0; i < LOAD_PHASES && sums[i].sent + sums[i].dropped; i++) {
        printf("%s{", i ? "," : "");
        print_sum(stdout, &sums[i]);
    }

    printf("]}\n");
}
