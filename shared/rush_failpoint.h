
/*
 * Copyright (C) Rush
 *
 * Failpoints: named places where a test makes a process die, sleep or fail.
 * They compile to nothing unless RUSH_FAILPOINTS is defined.  The table is a
 * file named by the environment variable RUSH_FAILPOINT_FILE, mapped shared,
 * so a test arms a point in running processes by writing the file.
 */


#ifndef _RUSH_FAILPOINT_H_INCLUDED_
#define _RUSH_FAILPOINT_H_INCLUDED_


#include <stdint.h>


#define RUSH_FP_MAX     64

#define RUSH_FP_OFF     0
#define RUSH_FP_KILL    1               /* SIGKILL to itself */
#define RUSH_FP_SLEEP   2               /* 3 s, or until it is switched off;
                                           blocking: that is the fault */
#define RUSH_FP_ERROR   3               /* rush_failpoint() returns 1 */


typedef struct {
    char               name[16];        /* NUL-padded, "" ends the table */
    volatile uint32_t  action;
    volatile uint32_t  countdown;       /* fires when it goes from 1 to 0;
                                           0: never fires */
    volatile uint64_t  hits;
} rush_fp_t;                            /* 32 bytes, RUSH_FP_MAX in a file */


#if (RUSH_FAILPOINTS)

int rush_failpoint(const char *name);
#define RUSH_FP(name)  rush_failpoint(name)

#else

#define RUSH_FP(name)  0

#endif


#endif /* _RUSH_FAILPOINT_H_INCLUDED_ */
