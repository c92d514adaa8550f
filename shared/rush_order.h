
/*
 * Copyright (C) Rush
 *
 * The states of an order, who may move it from which to which: one machine
 * for flash sales and ordinary orders, forward only.  MySQL has the edges too
 * (order_edge, sql/0006-orders.sql), and a trigger refuses what is not among
 * them, whoever asks; t/02-sql.t compares both.
 *
 * 9, refused by the ledger, has no way in or out: such a row is born so.
 * 5 is left again only by a payment that came too late and found stock.
 */


#ifndef _RUSH_ORDER_H_INCLUDED_
#define _RUSH_ORDER_H_INCLUDED_


#include "rush_base.h"


#define RUSH_ORDER_STATES(S)                                                  \
    S(NEW,         0, "processing")                                           \
    S(TO_PAY,      1, "to_pay")                                               \
    S(PAID,        2, "paid")                                                 \
    S(SHIPPED,     3, "shipped")                                              \
    S(DONE,        4, "done")                                                 \
    S(CANCELLED,   5, "cancelled")                                            \
    S(REFUNDING,   6, "refunding")                                            \
    S(REFUNDED,    7, "refunded")                                             \
    S(EXPIRED,     8, "expired")                                              \
    S(REJECTED,    9, "rejected")


/* who: bits of a mask; orders.actor_kind is the number */

#define RUSH_ORDER_ACTORS(A)                                                  \
    A(USER,        1, "user")           /* who bought */                      \
    A(ADMIN,       2, "admin")                                                \
    A(SYSTEM,      3, "system")         /* deadlines, automatic refunds */    \
    A(PROVIDER,    4, "provider")       /* what one has signed */


enum {
#define RUSH_ORDER_STATE_ENUM(name, n, text)  RUSH_ORDER_##name = n,
    RUSH_ORDER_STATES(RUSH_ORDER_STATE_ENUM)
#undef RUSH_ORDER_STATE_ENUM
    RUSH_ORDER_NSTATES
};


enum {
#define RUSH_ORDER_ACTOR_ENUM(name, n, text)                                  \
    RUSH_ACTOR_##name = n,                                                    \
    RUSH_BY_##name = 1 << n,
    RUSH_ORDER_ACTORS(RUSH_ORDER_ACTOR_ENUM)
#undef RUSH_ORDER_ACTOR_ENUM
    RUSH_BY_NOBODY = 0,
    RUSH_ORDER_NACTORS = RUSH_ACTOR_PROVIDER + 1
};


#define RUSH_ORDER_EDGES(E)                                                   \
    E(NEW,        TO_PAY,    RUSH_BY_SYSTEM)                                  \
    E(NEW,        CANCELLED, RUSH_BY_USER|RUSH_BY_ADMIN|RUSH_BY_SYSTEM)       \
    E(TO_PAY,     PAID,      RUSH_BY_PROVIDER)                                \
    E(TO_PAY,     CANCELLED, RUSH_BY_USER|RUSH_BY_ADMIN|RUSH_BY_SYSTEM)       \
    E(CANCELLED,  PAID,      RUSH_BY_PROVIDER)                                \
    E(PAID,       SHIPPED,   RUSH_BY_ADMIN)                                   \
    E(PAID,       DONE,      RUSH_BY_ADMIN)                                   \
    E(PAID,       EXPIRED,   RUSH_BY_ADMIN|RUSH_BY_SYSTEM)                    \
    E(PAID,       REFUNDING, RUSH_BY_ADMIN|RUSH_BY_SYSTEM)                    \
    E(SHIPPED,    DONE,      RUSH_BY_USER|RUSH_BY_ADMIN|RUSH_BY_SYSTEM)       \
    E(SHIPPED,    REFUNDING, RUSH_BY_ADMIN|RUSH_BY_SYSTEM)                    \
    E(DONE,       REFUNDING, RUSH_BY_ADMIN|RUSH_BY_SYSTEM)                    \
    E(EXPIRED,    REFUNDING, RUSH_BY_ADMIN|RUSH_BY_SYSTEM)                    \
    E(REFUNDING,  REFUNDED,  RUSH_BY_PROVIDER|RUSH_BY_SYSTEM)


/* orders.stock_state */

#define RUSH_STOCK_HELD      0          /* until paid or pay_deadline_ms */
#define RUSH_STOCK_ASKED     1          /* to give back: ledger next */
#define RUSH_STOCK_LEDGER    2          /* given back there: Redis next */
#define RUSH_STOCK_BACK      3
#define RUSH_STOCK_SOLD      4
#define RUSH_STOCK_NEVER     5          /* the ledger refused */


/*
 * Ordinary orders, order_no "<snowflake>-0": a worker puts them into the
 * stream RUSH_ORDERS_KEY (group RUSH_GROUP), fields o order_no, u user, r
 * request id, p product, q quantity, a address id (0: none), m remark, t ms.
 * Until the row is there RUSH_ORDER_KEY and the order number hold the user;
 * with RUSH_ORDER_KEY "USER:REQUEST" a request id of a client finds its order
 * number.  Who has written the row leaves both for RUSH_ORDER_STORED ms more:
 * a worker may have asked MySQL just before.
 */

#define RUSH_ORDERS_KEY      "{rush}order"
#define RUSH_ORDER_KEY       "{rush}o:"
#define RUSH_ORDERS_LETTER   (-1)       /* dead_letter.activity_id */

#define RUSH_ORDER_KEPT      86400000   /* ms: consumers may be away */
#define RUSH_ORDER_STORED    600000     /* ms */

#define RUSH_REMARK_MAX      200        /* characters */
#define RUSH_TRADE_LEN       8          /* characters of
                                           23456789ABCDEFGHJKLMNPQRSTUVWXYZ */


extern const char *const  rush_order_states[RUSH_ORDER_NSTATES];
extern const char *const  rush_order_actors[RUSH_ORDER_NACTORS];

/* mask of RUSH_BY_..., 0: there is no such edge */
unsigned rush_order_may(int64_t from, int64_t to);

/* a new trade code, RUSH_TRADE_LEN bytes without a NUL, that nobody can
 * guess; RUSH_ERROR: no random bytes */
int rush_trade_code(unsigned char *dst);

/* what a person has typed: case, blanks and "-" do not matter; RUSH_ERROR: it
 * can be no trade code */
int rush_trade_code_read(unsigned char *dst, const unsigned char *p,
    size_t len);

/* of what a request for an ordinary order says: the same id with another one
 * is a mistake of the client */
int64_t rush_order_hash(int64_t product, int64_t qty, int64_t address,
    const rush_str_t *remark);


#endif /* _RUSH_ORDER_H_INCLUDED_ */
