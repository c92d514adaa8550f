
/*
 * Copyright (C) Rush
 *
 * Of each provider: whether it may be called, and by which host.  After
 * "breaker" failures in a row nobody calls for "breaker_pause"; then one call
 * may try, and opens it for all or for as long again.
 */


#include <stdlib.h>

#include "teller.h"


#define RUSH_ALARM_PAUSE  60000000LL    /* us */


static rush_call_outcome_e rush_breaker_outcome(const rush_said_t *said);
static void rush_breaker_alarm(rush_teller_t *te,
    const rush_provider_t *provider, int64_t *next, const char *kind,
    const char *text);
static void rush_breaker_fine(rush_teller_t *te, rush_job_t *job);
static void rush_breaker_failed(rush_teller_t *te, rush_job_t *job,
    int unseen);


/* counters, alarms, and whether this provider is to be left alone */

void
rush_breaker_count(rush_teller_t *te, rush_job_t *job)
{
    rush_breaker_t       *b;
    rush_call_outcome_e   outcome;

    b = &te->breakers[job->provider->number];
    outcome = rush_breaker_outcome(&job->said);

    rush_stat_add(te->daemon, calls[job->provider->number][outcome], 1);

    if (job->said.what == RUSH_SAID_FORGED) {
        rush_breaker_alarm(te, job->provider, &b->next_forged, "pay_forged",
                           job->said.cause);

    } else if (job->said.alarm) {
        rush_breaker_alarm(te, job->provider, &b->next_refused,
                           "pay_refused", job->said.cause);
    }

    if (outcome == RUSH_OUTCOME_UNSEEN || outcome == RUSH_OUTCOME_UNKNOWN
        || outcome == RUSH_OUTCOME_FORGED)
    {
        rush_breaker_failed(te, job, outcome == RUSH_OUTCOME_UNSEEN);

    } else {
        rush_breaker_fine(te, job);
    }

    rush_stat_set(te->daemon, breaker[job->provider->number],
                  rush_breaker_state(b));
}


static rush_call_outcome_e
rush_breaker_outcome(const rush_said_t *said)
{
    switch (said->what) {

    case RUSH_SAID_UNSEEN:
        return RUSH_OUTCOME_UNSEEN;

    case RUSH_SAID_UNKNOWN:
        return RUSH_OUTCOME_UNKNOWN;

    case RUSH_SAID_FORGED:
        return RUSH_OUTCOME_FORGED;

    case RUSH_SAID_LATER:
        return RUSH_OUTCOME_LATER;

    case RUSH_SAID_REFUSED:
        return RUSH_OUTCOME_REFUSED;

    default:
        return RUSH_OUTCOME_ANSWERED;
    }
}


static void
rush_breaker_fine(rush_teller_t *te, rush_job_t *job)
{
    rush_breaker_t  *b;

    b = &te->breakers[job->provider->number];

    if (b->until != 0) {
        rush_log(RUSH_LOG_INFO, "%s: answers again", job->provider->name);
    }

    b->failures = 0;
    b->bad = 0;
    b->until = 0;
    b->probing = 0;
    job->probe = 0;
}


static void
rush_breaker_failed(rush_teller_t *te, rush_job_t *job, int unseen)
{
    int64_t           now;
    rush_breaker_t   *b;
    rush_pay_conf_t  *conf;

    b = &te->breakers[job->provider->number];
    conf = &te->daemon->conf.pay;
    now = rush_mono();

    b->failures++;
    b->bad++;

    /* one failure may be a call's, two are the host's */

    if ((unseen || b->bad >= 2) && job->host == b->host
        && job->provider->host(&te->daemon->conf, b->host ^ 1)[0] != '\0')
    {
        b->host ^= 1;
        b->bad = 0;
        b->host_until = now + RUSH_TELLER_HOST * 1000;
        rush_log(RUSH_LOG_WARN, "%s: host %u is next", job->provider->name,
                 b->host + 1);
    }

    if (job->probe || b->failures >= conf->breaker) {

        if (b->until == 0) {
            rush_log(RUSH_LOG_WARN, "%s: %lld calls have failed, a pause",
                     job->provider->name, (long long) b->failures);
        }

        b->until = now + conf->breaker_pause * 750
                   + random() % (conf->breaker_pause * 500);
    }

    if (job->probe) {
        b->probing = 0;
        job->probe = 0;
    }
}


int
rush_breaker_state(const rush_breaker_t *b)
{
    if (b->until == 0) {
        return RUSH_BREAKER_CLOSED;
    }

    return rush_mono() < b->until ? RUSH_BREAKER_OPEN : RUSH_BREAKER_HALF;
}


int
rush_breaker_allows(rush_teller_t *te, const rush_provider_t *provider)
{
    int              state;
    rush_breaker_t  *b;

    b = &te->breakers[provider->number];
    state = rush_breaker_state(b);

    rush_stat_set(te->daemon, breaker[provider->number], state);

    return state == RUSH_BREAKER_CLOSED
           || (state == RUSH_BREAKER_HALF && !b->probing);
}


unsigned
rush_breaker_host(rush_teller_t *te, const rush_provider_t *provider)
{
    rush_breaker_t  *b;

    b = &te->breakers[provider->number];

    if (b->host != 0 && rush_mono() >= b->host_until && b->bad == 0) {
        b->host = 0;
    }

    return b->host;
}


void
rush_teller_alarm(rush_teller_t *te, const rush_provider_t *provider,
    const char *kind, int64_t id, const char *text)
{
    if (rush_db_connected(te->db)) {
        (void) rush_alarm(te->daemon, te->db, kind, 0, "%s: %lld: %s",
                          provider->name, (long long) id, text);
    }
}


/* what each call may tell is told once a minute */

static void
rush_breaker_alarm(rush_teller_t *te, const rush_provider_t *provider,
    int64_t *next, const char *kind, const char *text)
{
    if (rush_mono() >= *next && rush_db_connected(te->db)) {
        *next = rush_mono() + RUSH_ALARM_PAUSE;
        (void) rush_alarm(te->daemon, te->db, kind, 0, "%s: %s",
                          provider->name, text);
    }
}
