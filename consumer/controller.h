
/*
 * Copyright (C) Rush
 *
 * Inside of the controller: controller.c is the loop, gate.c opens the sale,
 * follow.c makes Redis follow MySQL, rebuild.c makes Redis anew from MySQL,
 * stockop.c, sweep.c and product.c change stock, guard.c watches clocks and
 * backlog, trim.c the length of the streams, revoked.c the revoked tokens,
 * erase.c what must not be kept, late.c payments of orders that waited no
 * more, dead_replay.c dead letters that are stored once more; audit.c and
 * held.c compare, books.c adds up, reconcile.c mends.  auditor.c compares all,
 * in a thread of its own.
 * audit_log.c keeps the record of administrators.
 *
 * One process at a time works: it holds the MySQL lock 'rush_ctl.DATABASE',
 * which goes with its connection.  Functions that return int give RUSH_OK, or
 * RUSH_ERROR when a connection was lost or a peer refused (logged): then the
 * tick ends, and the next one starts from what MySQL and Redis say.
 */


#ifndef _RUSH_CONTROLLER_H_INCLUDED_
#define _RUSH_CONTROLLER_H_INCLUDED_


#include "consumer.h"
#include "controller_sql.h"
#include "rush_lua.h"
#include "store.h"


#define RUSH_RUN_ID_LEN   40
#define RUSH_PAGE         2000          /* rows of orders_live */
#define RUSH_REVOKE_KEEP  86400000      /* ms, the longest user_access_ttl */
#define RUSH_REVOKED_CELLS  4096


typedef struct {
    int64_t           id;
    int64_t           status;
    int64_t           warm;
    int64_t           rev;
    int64_t           applied_rev;
    int64_t           epoch;
    int64_t           repair;
    int64_t           start;
    int64_t           stop;
    int64_t           total;
    int64_t           sold;
    int64_t           limit;
    int64_t           price_ver;
    int64_t           selling;          /* 0: the red switch is off */
} rush_wish_t;                          /* a row of seckill_activity */


typedef struct {
    int64_t           epoch;            /* 0: not loaded */
    int64_t           start;
    int64_t           stop;
    int64_t           remain;
    int64_t           limit;
    int64_t           price_ver;
    int64_t           total;
    char              state[8];
} rush_meta_t;                          /* {a:ID}m */


typedef struct {
    int64_t           lag;
    int64_t           pending;
    char              delivered[48];    /* ids of entries */
    char              oldest[48];       /* pending, "": none */
    unsigned          exists:1;         /* the group does */
} rush_queue_t;


typedef struct {
    int64_t           id;
    unsigned          paused:1;         /* because of its backlog */
    unsigned          told:1;           /* alarm at half of the limit */
} rush_guard_t;


typedef struct {
    rush_daemon_t    *daemon;
    rush_redis_t     *rd;
    rush_db_t        *db;
    rush_args_t       args;

    rush_wish_t      *wishes;           /* of this tick, owned */
    rush_meta_t      *metas;            /* the same, owned */
    size_t            n;
    rush_guard_t     *guards;           /* owned */
    rush_store_t     *store;            /* for dead letters, owned or NULL */
    size_t            nguards;

    char              run_id[RUSH_RUN_ID_LEN + 1];  /* "": not known */
    unsigned          lock_generation;  /* of db, 0: not held */
    unsigned          redis_generation; /* run_id was compared in it */
    int64_t           next_guard;       /* us, rush_mono() */
    int64_t           next_sweep;
    int64_t           next_trim;
    int64_t           next_erase;
    int64_t           next_bans;
    int64_t           next_dead;
    int64_t           next_gate;        /* after a rebuild that failed */
    int64_t           late_after;       /* cursor: id of a payment */
    int64_t           revoked_ms;       /* MySQL was looked at, 0: never */
    uint64_t          revoked_told[RUSH_REVOKED_CELLS];
    unsigned          clock_bad:1;
    unsigned          clock_told:1;
    unsigned          orders_told:1;    /* their backlog */
} rush_controller_t;


#define rush_ctl_run(ctl, name, params, n, rows)                              \
    rush_db_run((ctl)->db, &rush_ctl_sql[RUSH_CTL_SQL_##name], params, n, rows)


/* controller.c */

int rush_controller_open(rush_controller_t *ctl, rush_daemon_t *d,
    const char *name);
void rush_controller_close(rush_controller_t *ctl);

/* 1 it is held now, 0 somebody else has it, RUSH_ERROR */
int rush_controller_lock(rush_controller_t *ctl);


/* follow.c */

int rush_wishes_read(rush_controller_t *ctl, unsigned stmt);
int rush_wish_read(rush_controller_t *ctl, int64_t id, rush_wish_t *wish);
int rush_metas_read(rush_controller_t *ctl);
int rush_meta_read(rush_controller_t *ctl, int64_t id, rush_meta_t *meta);
const char *rush_wish_state(rush_controller_t *ctl, const rush_wish_t *wish);
int rush_follow(rush_controller_t *ctl);

/* change.lua to the wish, with state; epoch 0: keeps it */
int rush_change(rush_controller_t *ctl, const rush_wish_t *wish,
    const rush_meta_t *meta, const char *state, int64_t epoch);

/* one that neither side has had */
int64_t rush_epoch_next(const rush_wish_t *wish, const rush_meta_t *meta);
int rush_epoch_raise(rush_controller_t *ctl, const rush_wish_t *wish,
    int64_t epoch);

/* arguments of load.lua and rebuild.lua, ids of operations included */
int rush_load_args(rush_controller_t *ctl, const rush_wish_t *wish,
    int64_t epoch, const char *state, int64_t remain);


/* gate.c */

/* 1 open, 0 shut, RUSH_ERROR */
int rush_gate(rush_controller_t *ctl);
int rush_gate_open(rush_controller_t *ctl);


/* rebuild.c */

/* fix: "sold" is made what the orders say.  Works with an open gate too */
int rush_rebuild(rush_controller_t *ctl, int64_t id, int fix);


/* revoked.c: all that may still count is sent to the workers once more; check:
 * when Redis has lost it, else what is new */

int rush_revoked_again(rush_controller_t *ctl);
int rush_revoked_check(rush_controller_t *ctl);


/* orders.c: live orders first, by user; then, with qty 0, those given back or
 * refused.  A handler returns RUSH_OK or RUSH_ERROR */

typedef int (*rush_order_pt)(void *data, int64_t user, const rush_str_t *req,
    const rush_str_t *order_no, int64_t qty);

int rush_orders_read(rush_controller_t *ctl, int64_t id,
    rush_order_pt handler, void *data);

/* dead_body.c: grants of open dead letters that have no row */
int rush_dead_grants(rush_controller_t *ctl, int64_t id,
    rush_order_pt handler, void *data);


/* erase.c */

int rush_erase(rush_controller_t *ctl);


/* stockop.c, sweep.c */

int rush_stock_ops(rush_controller_t *ctl);
int rush_sweep(rush_controller_t *ctl);


/* product.c: of ordinary orders */

/* in the caller's transaction, as its last row; RUSH_OK or RUSH_DB_*, DATA:
 * fewer are taken */
int rush_product_back(rush_controller_t *ctl, int64_t product,
    int64_t units);

/* adds what differs to *found; lines go to "out", NULL: nowhere */
int rush_products_check(rush_controller_t *ctl, FILE *out, int repair,
    size_t *found);


/* late.c: in this thread, so that no sweep, rebuild or repair comes between
 * what Redis and what MySQL is told */

int rush_late(rush_controller_t *ctl);


/* guard.c */

int rush_guard(rush_controller_t *ctl);
int rush_guard_paused(rush_controller_t *ctl, int64_t id);
int rush_trim(rush_controller_t *ctl);
int rush_queue_read(rush_controller_t *ctl, int64_t id, rush_queue_t *queue);
int rush_queue_key(rush_controller_t *ctl, const char *key,
    rush_queue_t *queue);


/* audit_log.c: from the inbox into the chain; RUSH_OK, or RUSH_DB_* */

int rush_audit_log_move(rush_controller_t *ctl);


/* audit.c: one activity, both sides */

typedef struct {
    rush_controller_t  *ctl;
    FILE               *out;            /* NULL: the log */
    int64_t             id;
    size_t              orders;         /* held in Redis */
    size_t              found;          /* differences */
    size_t              ledger;         /* of them: sold */
    size_t              wrong;          /* of them: a rebuild mends */
    size_t              lost;           /* of them: held, no row */
    size_t              told;           /* lines */
    rush_buf_t          names;          /* of the lost, "user:req\0" each,
                                           owned */
} rush_audit_t;

int rush_audit(rush_audit_t *audit, const rush_wish_t *wish);
void rush_audit_tell(rush_audit_t *audit, const char *rule,
    const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* before a second look at what differs; true: the end */
int rush_audit_wait(const rush_audit_t *audit);

/* books.c: what was paid and given back, of all orders; recent: of what is
 * younger than two days.  audit->id is 0 */
int rush_books(rush_audit_t *audit, int recent);

/* held.c: every buyer of one activity, both sides */
int rush_audit_holds(rush_audit_t *audit);

/* units that buyers hold in Redis */
int rush_audit_units(rush_audit_t *audit, int64_t *units);


/* lines.c */

typedef struct {
    rush_buf_t          text;           /* lines, a NUL behind each */
    char              **line;           /* sorted, owned */
    size_t              n;
} rush_lines_t;

void rush_lines_add(rush_lines_t *lines, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* sorts, and drops what HSCAN told twice */
int rush_lines_sort(rush_lines_t *lines);

/* fields of lines that stand on one side only, each once */
int rush_lines_merge(rush_lines_t *a, rush_lines_t *b, rush_lines_t *fields);
void rush_lines_free(rush_lines_t *lines);


/* reconcile.c */

/* compares and, when asked, repairs what this process can; RUSH_OK with the
 * number of differences left in audit->found */
int rush_reconcile(rush_controller_t *ctl, const rush_wish_t *wish,
    int repair, FILE *out, rush_audit_t *audit);


#endif /* _RUSH_CONTROLLER_H_INCLUDED_ */
