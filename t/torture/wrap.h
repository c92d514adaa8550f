
/*
 * Copyright (C) Rush
 *
 * What the preloaded library is told, and tells.
 */


#ifndef _RUSH_TORTURE_WRAP_H_INCLUDED_
#define _RUSH_TORTURE_WRAP_H_INCLUDED_


#include <stdint.h>


#define RUSH_TORTURE_ALLOC    0x01
#define RUSH_TORTURE_SLAB     0x02
#define RUSH_TORTURE_MYSQL    0x04
#define RUSH_TORTURE_CONNECT  0x08
#define RUSH_TORTURE_SOCKET   0x10
#define RUSH_TORTURE_SEND     0x20
#define RUSH_TORTURE_RECV     0x40
#define RUSH_TORTURE_POOL     0x80      /* of ALLOC those of modules */


typedef struct {
    volatile int32_t   pid;             /* where calls fail; -1: anywhere */
    volatile uint32_t  kind;            /* 0: nothing fails */
    volatile uint32_t  error;           /* of MySQL, or an errno */
    volatile uint32_t  after;           /* MySQL: the call is made first */
    volatile uint64_t  n;               /* which call */
    volatile uint64_t  times;           /* and how many from there */
    volatile uint64_t  seen;            /* calls */
    volatile uint64_t  hits;            /* of them failed */
    volatile int64_t   live;            /* blocks, of "watch" */
    volatile int32_t   watch;
    volatile uint32_t  check;           /* 1: look for lost blocks; 0: done */
    volatile uint32_t  lost;            /* some were */
    uint32_t           unused;
    char               where[952];
} rush_torture_t;


_Static_assert(sizeof(rush_torture_t) == 1024, "Torture.pm writes it");


int torture_hit(uint32_t kind);
void torture_spare(int on);
uint32_t torture_error(void);
uint32_t torture_after(void);


#endif /* _RUSH_TORTURE_WRAP_H_INCLUDED_ */
