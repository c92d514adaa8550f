
/*
 * Copyright (C) Rush
 *
 * Parts of the load generator: what is counted, when requests are due, the
 * tokens.
 */


#ifndef LOAD_H_INCLUDED
#define LOAD_H_INCLUDED


#include <stdint.h>
#include <stdio.h>


#define LOAD_PHASES  8


typedef enum {
    LOAD_GRANTED,                       /* code 0 */
    LOAD_REFUSED,                       /* a verdict: no */
    LOAD_UNABLE,                        /* busy, closed, unknown: try again */
    LOAD_CLASSES
} load_class_e;


void load_stat_clear(void);
void load_stat_answer(int phase, long status, long code, int64_t us);
void load_stat_failed(int phase);
void load_stat_dropped(int phase);
void load_stat_sent(int phase);
void load_stat_second(FILE *f, double seconds); /* and begins the next */
void load_stat_report(double seconds, long reconnects);

void load_rate_parse(char *text);
void load_rate_off(int off);
void load_rate_start(void);
int load_rate(void);                    /* 0: as fast as it goes */
int load_rate_over(void);
int load_rate_phase(void);
int64_t load_rate_due(void);            /* us after the start */
void load_rate_next(void);

/* ends the program when there is none, or max bytes of it */
char *load_raw(const char *file, size_t *len, size_t max);

char **load_tokens(const char *file, long first, long users);


#endif /* LOAD_H_INCLUDED */
