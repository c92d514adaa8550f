
/*
 * Copyright (C) Rush
 *
 * When the requests of an open loop are due: at even times, at a rate that
 * may change by phases.
 */


#include <stdlib.h>

#include "load.h"


static struct {
    double   rate;                      /* a second */
    double   until;                     /* us after the start, 0: for ever */
} phases[LOAD_PHASES];


static int     nphases, phase, is_off;
static double  due;


/* R or R:S,R:S... */

void
load_rate_parse(char *text)
{
    char    *p;
    double   until;

    until = 0;

    for (p = text, nphases = 0; *p && nphases < LOAD_PHASES; nphases++) {
        phases[nphases].rate = strtod(p, &p);

        if (*p == ':') {
            until += strtod(p + 1, &p) * 1e6;
            phases[nphases].until = until;
        }

        if (phases[nphases].rate <= 0 || (*p && *p++ != ',')) {
            fprintf(stderr, "load: a rate is R or R:S,R:S...\n");
            exit(2);
        }
    }
}


void
load_rate_off(int off)
{
    is_off = off;
}


void
load_rate_start(void)
{
    phase = 0;
    due = 0;
}


int
load_rate(void)
{
    return nphases > 0 && !is_off;
}


int
load_rate_over(void)
{
    return load_rate() && phase == nphases;
}


int
load_rate_phase(void)
{
    return phase;
}


int64_t
load_rate_due(void)
{
    return (int64_t) due;
}


void
load_rate_next(void)
{
    if (!load_rate() || phase == nphases) {
        return;
    }

    due += 1e6 / phases[phase].rate;

    if (phases[phase].until > 0 && due >= phases[phase].until) {
        due = phases[phase].until;
        phase++;
    }
}
