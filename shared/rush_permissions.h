
/*
 * Copyright (C) Rush
 *
 * What a role may allow.  A route names one in the auth column of its row,
 * MAY(name); a role is a row of MySQL with a mask of these bits; a user has a
 * mask of roles.  Role 1 may everything, also what is added here later.
 *
 * A number is never reused or changed: masks are stored.  From 0 to 61.
 */


#ifndef _RUSH_PERMISSIONS_H_INCLUDED_
#define _RUSH_PERMISSIONS_H_INCLUDED_


#include "rush_base.h"


#define RUSH_PERMISSIONS(P)                                                   \
    P(products_write,    0, "create, change and delete products")             \
    P(stock_write,       1, "change the stock of products and activities")    \
    P(activities_read,   2, "see activities in every state, and their books") \
    P(activities_write,  3, "create, change, switch and delete activities")   \
    P(reconcile,         4, "compare Redis with the ledger, and mend")        \
    P(orders_read,       5, "see the orders of everybody")                    \
    P(users_read,        6, "find and see users, mobile and email masked")    \
    P(users_private,     7, "see mobile and email as they are")               \
    P(users_write,       8, "create, change, delete and restore users")       \
    P(users_ban,         9, "ban users, end their sessions")                  \
    P(roles_read,       10, "see roles")                                      \
    P(roles_write,      11, "change roles, give and take them")               \
    P(audit_read,       12, "see what administrators did")                    \
    P(orders_write,     13, "ship, redeem, change the state of orders")       \
    P(payments_read,    14, "see payments, refunds, settlements, bills")      \
    P(payments_write,   15, "compare with the bills of providers")            \
    P(refunds_write,    16, "decide on refunds")                              \
    P(operations,       17, "streams, dead letters, the red switch")


enum {
#define RUSH_PERMISSION_ENUM(name, bit, text)  RUSH_MAY_##name = bit,
    RUSH_PERMISSIONS(RUSH_PERMISSION_ENUM)
#undef RUSH_PERMISSION_ENUM
};


#define RUSH_MAX_ROLES     62           /* ids 1..62 */
#define RUSH_ADMIN_ROLE    1            /* its id */

#define rush_role_bit(id)  ((int64_t) 1 << ((id) - 1))

/* permissions of role 1, and bits that a stored mask can have */
#define RUSH_MAY_ALL       (((int64_t) 1 << 62) - 1)


typedef struct {
    rush_str_t       name;
    unsigned         bit;
    const char      *text;
} rush_permission_t;


extern const rush_permission_t  rush_permissions[];     /* sorted by bit */
extern const unsigned           rush_npermissions;

/* the bit of a name, -1: there is none */
int rush_permission_find(const rush_str_t *name);


#endif /* _RUSH_PERMISSIONS_H_INCLUDED_ */
