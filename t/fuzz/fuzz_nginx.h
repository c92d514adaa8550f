
/*
 * Copyright (C) Rush
 *
 * The targets that run inside of nginx.  The fuzzer is a module and, loaded
 * before all else (LD_PRELOAD), takes the place of what would make a run
 * another one each time: clocks, waiting, names, bcrypt, and libmariadb.
 */


#ifndef _FUZZ_NGINX_H_INCLUDED_
#define _FUZZ_NGINX_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "fuzz.h"


extern volatile int  fuzz_inside;       /* 1: nginx works on an input */

/* of the environment, as it was at the start */
extern char  *fuzz_target;
extern char  *fuzz_dir;
extern char  *fuzz_args;
extern int    fuzz_stderr;
extern int    fuzz_verbose;             /* RUSH_FUZZ_VERBOSE: tells the log */


/* fuzz_conf.c, fuzz_request.c */

int fuzz_conf(const uint8_t *data, size_t size);
int fuzz_request(const uint8_t *data, size_t size);
void fuzz_request_start(void);          /* before the lanes connect */


/* fuzz_libc.c: the clock and the threads */

void fuzz_clock_start(void);
void fuzz_clock_step(int64_t ms);
int64_t fuzz_now(void);                 /* ms since the epoch */
void fuzz_wait_threads(void);

/* what went to the error log: how many lines of level error; alerts are
 * failures at once */
extern size_t  fuzz_errors;

/* grows with each call that may make something ready */
extern size_t  fuzz_traffic;
extern size_t  fuzz_connects;
size_t fuzz_traffic_now(void);


/*
 * Decisions: each command, statement and step of a client takes a byte, 0
 * when there are none left.  What a byte means is told where it is taken.
 */

typedef struct {
    fuzz_input_t     script;
    fuzz_input_t     raw;               /* replies, cut by 0xff */
    unsigned         background:1;      /* also for what timers ask */
    size_t           faults;            /* taken that are no normal answer */
} fuzz_plan_t;

extern fuzz_plan_t  fuzz_plan;

unsigned fuzz_decide(int background);


/* fuzz_redis.c: a server of the unix socket "redis.sock" */

void fuzz_redis_start(const char *path);
int fuzz_redis_turn(void);              /* 1: there was something to do */
void fuzz_redis_release(void);          /* replies that were held back */
void fuzz_redis_break(void);            /* all connections */
size_t fuzz_redis_connections(void);


/* fuzz_mysql.c: libmariadb */

int fuzz_mysql_release(void);           /* calls that wait go on; how many */
void fuzz_mysql_heal(void);             /* connections are taken again */
size_t fuzz_mysql_connections(void);    /* that have an nginx connection */


#endif /* _FUZZ_NGINX_H_INCLUDED_ */
