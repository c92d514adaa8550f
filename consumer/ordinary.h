
/*
 * Copyright (C) Rush
 *
 * Ordinary orders: no script has granted them, their units are
 * product.stock.  One thread of each consumer reads the stream
 * RUSH_ORDERS_KEY, in the group RUSH_GROUP, and writes a batch in one
 * transaction (ordinary_store.c): price, title, shop and address as they are
 * then, the rows, and last the units of each product.  What cannot be had is
 * a row too, cancelled, so that its buyer learns of it.
 *
 * Rows borrow from the Redis reply that the batch came from.
 */


#ifndef _RUSH_ORDINARY_H_INCLUDED_
#define _RUSH_ORDINARY_H_INCLUDED_


#include "inbox.h"
#include "rush_order.h"
#include "store.h"


#define RUSH_ORDINARY_COLUMNS  21


typedef enum {
    RUSH_ORDINARY_NEW = 0,
    RUSH_ORDINARY_STORED,
    RUSH_ORDINARY_SAME,                 /* it was there: delivered again */
    RUSH_ORDINARY_BAD,                  /* to be a dead letter */
    RUSH_ORDINARY_DEAD
} rush_ordinary_e;


typedef struct {
    const redisReply  *entry;           /* [id, fields], borrowed */
    rush_str_t         id;
    rush_str_t         order_no;
    rush_str_t         req;
    rush_str_t         remark;
    int64_t            user;
    int64_t            product;
    int64_t            qty;
    int64_t            address;         /* 0: none */
    int64_t            time;            /* ms */

    const char        *refused;         /* of this try, static; NULL: it is
                                           to be paid */
    size_t             at;              /* of products, of this try */
    size_t             place;           /* in places, of this try */
    size_t             place_len;
    rush_ordinary_e    state;
    char               cause[RUSH_CAUSE_LEN];   /* BAD */
} rush_ordinary_row_t;


typedef struct {
    int64_t            id;
    int64_t            status;
    int64_t            left;
    int64_t            taken;           /* by this try */
    int64_t            price;
    int64_t            shop;
    rush_str_t         title;           /* borrowed from rows */
} rush_ordinary_product_t;


typedef struct {
    rush_daemon_t            *daemon;
    rush_redis_t             *rd;
    rush_db_t                *db;
    rush_store_t             *store;    /* for letters and alarms */
    rush_args_t               args;
    rush_inbox_t              inbox;
    int64_t                   pause;    /* ms, while MySQL is away */

    rush_ordinary_row_t      *rows;     /* of the batch, in stream order */
    size_t                    n;
    rush_str_t               *lost;     /* ids without a body */
    size_t                    nlost;
    size_t                    size;     /* of both */

    /* of one try */
    rush_ordinary_row_t     **sorted;
    int64_t                  *list;     /* ids */
    rush_ordinary_product_t  *products; /* sorted by id */
    size_t                    nproducts;
    rush_rows_t               titles;   /* what products borrow from */
    rush_rows_t               addresses;
    rush_buf_t                places;   /* addresses as JSON */
    void                     *memory;   /* of cols */
    rush_column_t             cols[RUSH_ORDINARY_COLUMNS];
} rush_ordinary_t;


/* ordinary.c */

rush_ordinary_t *rush_ordinary_create(rush_daemon_t *d, rush_redis_t *rd,
    rush_db_t *db, const char *name);
void rush_ordinary_destroy(rush_ordinary_t *o);


/* ordinary_entry.c */

/* [id, fields] into the batch.  RUSH_ERROR and a static *cause */
int rush_ordinary_read(rush_ordinary_t *o, const redisReply *entry,
    const char **cause);

/* of the whole batch */
int rush_ordinary_ack(rush_ordinary_t *o);

/* a dead letter, as an entry: RUSH_OK and a static sentence, RUSH_ERROR and
 * a cause (valid until the next call): it still fails; RUSH_DB_DOWN */
int rush_ordinary_replay(rush_daemon_t *d, rush_db_t *db,
    const redisReply *entry, const char **what);


/* ordinary_store.c: brings every row of the batch to STORED, SAME or DEAD.
 * RUSH_OK or RUSH_DB_DOWN: nothing is lost, call again */
int rush_ordinary_store(rush_ordinary_t *o);


/* ordinary_plan.c, inside of a transaction */

/* what becomes of the rows in o->sorted; locked: products keep what was read
 * until COMMIT.  RUSH_OK or RUSH_DB_* */
int rush_ordinary_plan(rush_ordinary_t *o, size_t n, int locked);

void rush_ordinary_columns(rush_ordinary_t *o, size_t n);


#endif /* _RUSH_ORDINARY_H_INCLUDED_ */
