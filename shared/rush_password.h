
/*
 * Copyright (C) Rush
 *
 * Password hashes: bcrypt ($2b$).  One piece of work for a thread, as it
 * takes 50 ms and more; input and result are one struct without pointers.
 */


#ifndef _RUSH_PASSWORD_H_INCLUDED_
#define _RUSH_PASSWORD_H_INCLUDED_


#include "rush_base.h"


#define RUSH_PASSWORD_MAX       72      /* bytes; bcrypt ignores the rest */
#define RUSH_PASSWORD_HASH_LEN  60
#define RUSH_PASSWORD_COST      10      /* default; 4 to 16 */


typedef enum {
    RUSH_PASSWORD_HASH = 0,             /* password -> result */
    RUSH_PASSWORD_VERIFY,               /* password against stored; when it is
                                           right and cost is higher than that
                                           of stored: also as HASH */
    RUSH_PASSWORD_DUMMY                 /* as long as VERIFY, never ok: for a
                                           user who does not exist */
} rush_password_op_e;


typedef struct {
    rush_password_op_e  op;
    unsigned            cost;           /* of what is hashed; DUMMY's too */
    char                password[RUSH_PASSWORD_MAX + 1];
    size_t              len;            /* of password */
    char                stored[64];     /* NUL-terminated hash */
    char                result[64];     /* the same; "": none was made */
    int                 ok;             /* hashed, or it is the password */
    int                 failed;         /* no memory: it was not looked at */
} rush_password_t;


/* RUSH_ERROR: empty, too long, or with a NUL inside */
int rush_password_set(rush_password_t *p, const void *data, size_t len);

/* stored hash as read from the database; a strange one never verifies */
void rush_password_stored(rush_password_t *p, const void *data, size_t len);

/* data is a rush_password_t; the password is wiped from it.  Thread-safe */
void rush_password_work(void *data);


#endif /* _RUSH_PASSWORD_H_INCLUDED_ */
