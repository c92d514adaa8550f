
/*
 * Copyright (C) Rush
 *
 * The consumer without its daemon: fuzz_consumer.c has the log, the clock and
 * a MySQL that keeps dead letters and rows for the target to look at.
 */


#ifndef _FUZZ_CONSUMER_H_INCLUDED_
#define _FUZZ_CONSUMER_H_INCLUDED_


#include "store.h"


#define FUZZ_LETTERS  64
#define FUZZ_ROWS     1024
#define FUZZ_PRICE    100


typedef struct {
    int64_t         activity;
    int64_t         part;
    rush_str_t      id;                 /* owned, as body and cause */
    rush_str_t      body;
    rush_str_t      cause;
} fuzz_letter_t;


typedef struct {
    fuzz_letter_t   letters[FUZZ_LETTERS];
    size_t          nletters;
    size_t          letter;             /* the one that DEAD_BY_ID gives */
    size_t          closed;
    size_t          acks;               /* replies of XACK asked for */
    size_t          alarms;
    rush_row_t      rows[FUZZ_ROWS];    /* what was stored; borrows */
    size_t          nrows;
    const rush_row_t  *expect;          /* NULL, or what is stored next */
} fuzz_ledger_t;

extern fuzz_ledger_t    fuzz_ledger;
extern rush_activity_t  fuzz_activity;


void fuzz_ledger_clear(void);


#endif /* _FUZZ_CONSUMER_H_INCLUDED_ */
