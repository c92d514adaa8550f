
/*
 * Copyright (C) Rush
 *
 * W3C Trace Context, level 2: traceparent in, a trace id of our own else.
 * Source: https://www.w3.org/TR/trace-context-2/
 */


#ifndef _RUSH_TRACE_H_INCLUDED_
#define _RUSH_TRACE_H_INCLUDED_


#include "rush_base.h"


#define RUSH_TRACE_LEN  32              /* hex digits of a trace id */


typedef struct {
    unsigned char    id[RUSH_TRACE_LEN];
    unsigned         flags;             /* sampled 0x01, random 0x02 */
} rush_trace_t;


/* xoshiro256** state of one process: fast, for ids that are no secrets */

typedef struct {
    uint64_t         s[4];
} rush_random_t;


int rush_random_init(rush_random_t *rnd);   /* getrandom(2); RUSH_ERROR */
uint64_t rush_random_next(rush_random_t *rnd);

/* RUSH_OK when the header is valid; else RUSH_ERROR and *trace untouched */
int rush_trace_parse(rush_trace_t *trace, const unsigned char *p, size_t len);

void rush_trace_new(rush_trace_t *trace, rush_random_t *rnd);


#endif /* _RUSH_TRACE_H_INCLUDED_ */
