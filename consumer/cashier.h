
/*
 * Copyright (C) Rush
 *
 * Inside of the cashier: cashier.c is the loop, cashier_entry.c applies one
 * notice, cashier_sweep.c comes back to what had to wait.
 *
 * Any number of consumers may have one.  An entry is acknowledged when MySQL
 * has it, so it may be applied twice: pay_apply.c makes that once.
 */


#ifndef _RUSH_CASHIER_H_INCLUDED_
#define _RUSH_CASHIER_H_INCLUDED_


#include "inbox.h"
#include "pay_int.h"
#include "rush_notice.h"
#include "store.h"


#define RUSH_CASHIER_READ  16           /* entries at once: they are done long
                                           before others may claim them */


typedef struct {
    rush_daemon_t   *daemon;
    rush_redis_t    *rd;
    rush_db_t       *db;
    rush_args_t      args;
    rush_inbox_t     inbox;
    rush_store_t     store;             /* of dead letters: daemon and db */
    rush_buf_t       json;              /* a body that is decoded in place */
    int64_t          next_claim;        /* us, rush_mono() */
    int64_t          next_sweep;
    int64_t          next_own;
    int64_t          settled;           /* day, the last one that was made */
    int64_t          after_notice;      /* cursors of the sweeps: ids */
    int64_t          after_refund;
    unsigned         own:1;             /* own entries are pending */
    unsigned         held:1;            /* one could not be applied just now */
} rush_cashier_t;


/* one notice as it stands in the stream or in payment_notice; borrowed */

typedef struct {
    int              provider;
    const char      *kind;              /* RUSH_NOTICE_* */
    rush_str_t       key;
    rush_str_t       body;
    int64_t          received_ms;
    unsigned         again:1;
} rush_told_t;


/*
 * cashier_entry.c.  RUSH_OK; RUSH_DB_DATA: it can never be applied, and *cause
 * tells why; RUSH_DB_DOWN, RUSH_DB_RETRY: later.
 */
int rush_cashier_apply(rush_cashier_t *ca, const rush_told_t *told,
    const char **cause);

/* the fields of an entry; RUSH_ERROR: *cause */
int rush_cashier_told(const redisReply *fields, rush_told_t *told,
    const char **cause);

/* an entry of the stream, [id, fields]: applied, or set aside.  RUSH_OK: it
 * may be acknowledged */
int rush_cashier_entry(rush_cashier_t *ca, const redisReply *entry);

/* a dead letter, as an entry: RUSH_OK and a static sentence; RUSH_ERROR: it
 * still fails, and why; RUSH_DB_DOWN, RUSH_DB_RETRY */
int rush_cashier_replay(rush_daemon_t *d, rush_db_t *db,
    const redisReply *entry, const char **what);

/* one whose fields are gone */
int rush_cashier_lost(rush_cashier_t *ca, const char *id);


/* cashier_sweep.c: RUSH_OK, or RUSH_DB_* */

int rush_cashier_sweep(rush_cashier_t *ca);


#endif /* _RUSH_CASHIER_H_INCLUDED_ */
