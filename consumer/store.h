
/*
 * Copyright (C) Rush
 *
 * Inside of the way from the stream to MySQL: activity.c keeps what orders
 * need to know of their activity, batch.c holds a batch, store.c writes it,
 * resolve.c finds out why a unique key refused, dead.c sets aside what never
 * fits.
 *
 * A store belongs to one thread and is used for one batch after the other.
 * Strings of rows and items are borrowed from the Redis reply (or the dead
 * letter) that the batch came from.
 */


#ifndef _RUSH_STORE_H_INCLUDED_
#define _RUSH_STORE_H_INCLUDED_


#include "consumer.h"
#include "db.h"


#define RUSH_CAUSE_LEN   200
#define RUSH_COLUMNS     14             /* of order_insert */


typedef struct {
    int64_t           version;
    int64_t           price;
} rush_price_t;


typedef struct {
    int64_t           id;
    int64_t           product;
    int64_t           limit;            /* units of one user */
    int64_t           pay_seconds;
    int64_t           epoch;
    rush_str_t        title;            /* owned */
    rush_price_t     *prices;           /* owned */
    size_t            nprices;

    char              position[RUSH_ID_LEN];  /* committed by this consumer */
    char              batch[RUSH_ID_LEN];     /* greatest of the batch */
    unsigned          warm:1;
    unsigned          joined:1;         /* group and own pending are done */
    unsigned          replayed:1;
    unsigned          in_batch:1;
} rush_activity_t;


typedef enum {
    RUSH_ROW_NEW = 0,
    RUSH_ROW_STORED,
    RUSH_ROW_SAME,                      /* it was there: delivered again */
    RUSH_ROW_REJECT,                    /* to be stored with status 9 */
    RUSH_ROW_REJECTED,
    RUSH_ROW_BAD,                       /* to be a dead letter */
    RUSH_ROW_DEAD
} rush_row_e;


typedef struct {
    rush_activity_t  *activity;
    rush_str_t        id;               /* of the entry */
    int64_t           epoch;
    int64_t           time;             /* ms */
    int64_t           price_ver;
    int64_t           part;             /* grant in the entry */
    rush_grant_t      grant;
    int64_t           price;
    int64_t           amount;
    int64_t           slot;
    rush_row_e        state;
    const char       *alarm;            /* static, NULL: none */
    char              cause[RUSH_CAUSE_LEN];  /* BAD */
} rush_row_t;


typedef struct {
    rush_activity_t  *activity;
    rush_str_t        id;
} rush_item_t;


typedef struct {
    rush_daemon_t    *daemon;
    rush_redis_t     *rd;
    rush_db_t        *db;
    const char       *consumer;

    rush_activity_t **activities;       /* owned, sorted by id */
    size_t            nactivities;

    rush_row_t       *rows;             /* of the batch, in stream order */
    size_t            nrows;
    size_t            rows_size;
    rush_item_t      *items;            /* to be acknowledged after it */
    size_t            nitems;
    size_t            items_size;

    rush_row_t      **sorted;           /* scratch of one transaction */
    void             *memory;           /* of columns */
    size_t            sorted_size;
    rush_column_t     cols[RUSH_COLUMNS];

    unsigned          look_first;       /* batches to compare before */
    unsigned          no_position:1;    /* a replay: nothing is delivered */
    unsigned          drain:1;          /* on connections of a controller */
    rush_rows_t       dead;             /* known letters, for a replay */
    size_t            grants;           /* of an entry, mean * 16 */
    rush_args_t       args;             /* of the next command */
    int64_t           pause;            /* ms, while MySQL is away */

    rush_entry_t      entry;            /* scratch of the parser */
} rush_store_t;


/* consumer: the name in the group, borrowed */
rush_store_t *rush_store_create(rush_daemon_t *d, rush_redis_t *rd,
    rush_db_t *db, const char *consumer);
void rush_store_destroy(rush_store_t *s);

/* as rush_db_ready(); RUSH_ERROR: it was lost and must not come back */
int rush_store_ready(rush_store_t *s);

/* empties the batch */
void rush_store_reset(rush_store_t *s);

/* RUSH_ERROR: no memory */
int rush_store_item(rush_store_t *s, rush_activity_t *a,
    const rush_str_t *id);
int rush_store_rows(rush_store_t *s, rush_activity_t *a,
    const rush_entry_t *entry, int64_t part);

/*
 * Brings every row of the batch to STORED, SAME, REJECTED or DEAD and the
 * positions forward.  RUSH_OK or RUSH_DB_DOWN: nothing is lost, call again;
 * what was committed is found then.
 */
int rush_store_batch(rush_store_t *s);

/* the same until it is done; RUSH_ERROR when the daemon stops meanwhile */
int rush_store_flush(rush_store_t *s);

/* price and amount of NEW rows.  RUSH_OK or RUSH_DB_DOWN */
int rush_store_price(rush_store_t *s);


/* resolve.c: NEW rows from .. to against what is stored: SAME, BAD, REJECT,
 * or a free slot.  RUSH_OK or RUSH_DB_* */
int rush_resolve(rush_store_t *s, size_t from, size_t to);

/* the row is refused by a unique key though rush_resolve() saw no reason:
 * its order number belongs to somebody else.  RUSH_OK or RUSH_DB_* */
int rush_resolve_one(rush_store_t *s, rush_row_t *row);


/* activity.c: RUSH_OK or RUSH_DB_*; *a NULL: there is none with this id */

int rush_activity_warm(rush_store_t *s);        /* all with warm = 1 */
int rush_activity_load(rush_store_t *s, int64_t id, rush_activity_t **a);
rush_activity_t *rush_activity_find(rush_store_t *s, int64_t id);
int rush_activity_price(const rush_activity_t *a, int64_t version,
    int64_t *price);                            /* RUSH_ERROR: not known */
void rush_activity_free(rush_store_t *s);


/* dead.c: RUSH_OK or RUSH_DB_*; twice is fine */

int rush_dead_row(rush_store_t *s, const rush_row_t *row);
int rush_dead_entry(rush_store_t *s, int64_t activity,
    const rush_str_t *id, const redisReply *fields, const char *cause);

/* the command line: exit status */
/* the body of a letter as an element of XRANGE, NULL when it cannot be read;
 * freed by freeReplyObject() */
redisReply *rush_dead_body(const rush_str_t *body, const rush_str_t *id);

int rush_dead_main(rush_daemon_t *d, const char *verb, const char *id);


/* stream.c */

typedef struct {
    rush_daemon_t    *daemon;
    int               n;                /* 1 .. writers */
    char              name[RUSH_NAME_LEN + 8];
    int64_t           idle;             /* us, next rush_stream_idle() */
} rush_writer_t;

int rush_writer_run(rush_writer_t *w);

/* every activity begins with the group and its own pending entries again */
void rush_store_unjoin(rush_store_t *s);

/* all RUSH_OK or RUSH_ERROR: a connection was lost, or the daemon stops */
int rush_stream_own(rush_store_t *s, rush_activity_t *a);
int rush_stream_claim(rush_store_t *s, int64_t idle);
int rush_stream_new(rush_store_t *s, rush_activity_t *a, size_t *n);

/* entry.c: the same */
int rush_stream_entries(rush_store_t *s, rush_activity_t *a,
    const redisReply *entries);
int rush_stream_commit(rush_store_t *s);
int rush_entry_read(rush_store_t *s, const rush_activity_t *a,
    const redisReply *entry, const char **cause);   /* into s->entry */
int rush_stream_lost(rush_store_t *s, rush_activity_t *a,
    const rush_str_t *id);

/* replay.c: where this consumer was; it gets a row of its own, so that the
 * lowest position counts those who have not committed yet */
int rush_stream_position(rush_store_t *s, rush_activity_t *a);

/* nothing came and nothing is pending: the position follows the others */
int rush_stream_idle(rush_store_t *s, rush_activity_t *a);

/* stores again what was delivered after the oldest committed
 * position, because MySQL may have lost its last seconds */
int rush_stream_replay(rush_store_t *s, rush_activity_t *a);


/* monitor.c: thread body; fills the gauges once a second */
int rush_monitor_run(rush_daemon_t *d);


/* metrics.c: the text of /metrics */
void rush_metrics(rush_daemon_t *d, rush_buf_t *b);


/* http.c: /metrics and /health, served by the calling thread.  fd or -1 */
int rush_http_listen(const char *address, FILE *err);

/* waits up to ms for work on the sockets and on "other"; returns 1 when
 * "other" is readable */
int rush_http_poll(rush_daemon_t *d, int fd, int other, int ms);


#endif /* _RUSH_STORE_H_INCLUDED_ */
