
/*
 * Copyright (C) Rush
 */


#include "rush_password.h"

#include <crypt.h>
#include <stdio.h>
#include <stdlib.h>
#include <openssl/crypto.h>


#define RUSH_PASSWORD_COST_MIN  4
#define RUSH_PASSWORD_COST_MAX  16

/* a salt and a hash that belong to no password */
#define RUSH_PASSWORD_NOBODY                                                  \
    "KmtEzKxEnh2Pt9l1KVvOeuQ5bBXSiSmCCpNR9Ej6mQUcSBHPJ1IFi"


static int rush_password_setting(rush_password_t *p, char *setting,
    size_t size);
static int rush_password_is_hash(const char *s);
static unsigned rush_password_cost(const rush_password_t *p);
static void rush_password_again(rush_password_t *p, struct crypt_data *cd);


int
rush_password_set(rush_password_t *p, const void *data, size_t len)
{
    if (len == 0 || len > RUSH_PASSWORD_MAX || memchr(data, '\0', len)) {
        return RUSH_ERROR;
    }

    memset(p->password, 0, sizeof(p->password));
    memcpy(p->password, data, len);
    p->len = len;

    return RUSH_OK;
}


void
rush_password_stored(rush_password_t *p, const void *data, size_t len)
{
    memset(p->stored, 0, sizeof(p->stored));

    if (len == RUSH_PASSWORD_HASH_LEN) {
        memcpy(p->stored, data, len);
    }
}


void
rush_password_work(void *data)
{
    rush_password_t  *p = data;

    char               *hash;
    char                setting[CRYPT_GENSALT_OUTPUT_SIZE];
    struct crypt_data  *cd;

    p->ok = 0;
    p->failed = 0;
    memset(p->result, 0, sizeof(p->result));

    cd = NULL;

    if (p->len == 0 || p->len > RUSH_PASSWORD_MAX
        || memchr(p->password, '\0', p->len)
        || rush_password_setting(p, setting, sizeof(setting)) != RUSH_OK)
    {
        goto done;
    }

    p->password[p->len] = '\0';

    cd = calloc(1, sizeof(struct crypt_data));  /* 32K: too much for a stack */
    if (cd == NULL) {
        p->failed = 1;
        goto done;
    }

    hash = crypt_r(p->password, setting, cd);

    /* a failure is a token that starts with "*" */

    if (hash == NULL || !rush_password_is_hash(hash)) {
        goto done;
    }

    if (p->op == RUSH_PASSWORD_HASH) {
        memcpy(p->result, hash, RUSH_PASSWORD_HASH_LEN);
        p->ok = 1;

    } else {
        p->ok = (CRYPTO_memcmp(hash, setting, RUSH_PASSWORD_HASH_LEN) == 0
                 && p->op == RUSH_PASSWORD_VERIFY);

        if (p->ok) {
            rush_password_again(p, cd);
        }
    }

done:

    if (cd) {
        OPENSSL_cleanse(cd, sizeof(struct crypt_data));
        free(cd);
    }

    OPENSSL_cleanse(p->password, sizeof(p->password));
    OPENSSL_cleanse(setting, sizeof(setting));
    p->len = 0;
}


/* what crypt_r() needs: a new salt, or a whole hash */

static int
rush_password_setting(rush_password_t *p, char *setting, size_t size)
{
    unsigned  cost;

    cost = rush_password_cost(p);

    switch (p->op) {

    case RUSH_PASSWORD_HASH:

        if (crypt_gensalt_rn("$2b$", cost, NULL, 0, setting, (int) size)
            == NULL)
        {
            return RUSH_ERROR;
        }

        return RUSH_OK;

    case RUSH_PASSWORD_VERIFY:

        p->stored[sizeof(p->stored) - 1] = '\0';

        if (!rush_password_is_hash(p->stored)) {
            return RUSH_ERROR;
        }

        memcpy(setting, p->stored, RUSH_PASSWORD_HASH_LEN + 1);

        return RUSH_OK;

    case RUSH_PASSWORD_DUMMY:

        (void) snprintf(setting, size, "$2b$%02u$" RUSH_PASSWORD_NOBODY,
                        cost);          /* always fits */
        return RUSH_OK;
    }

    return RUSH_ERROR;
}


static int
rush_password_is_hash(const char *s)
{
    return strncmp(s, "$2b$", 4) == 0 && strlen(s) == RUSH_PASSWORD_HASH_LEN;
}


static unsigned
rush_password_cost(const rush_password_t *p)
{
    if (p->cost < RUSH_PASSWORD_COST_MIN) {
        return RUSH_PASSWORD_COST_MIN;
    }

    return p->cost > RUSH_PASSWORD_COST_MAX ? RUSH_PASSWORD_COST_MAX : p->cost;
}


/* the stored hash is cheaper than hashes are now: "$2b$NN$...".  When it does
 * not work out, the old one is still right */

static void
rush_password_again(rush_password_t *p, struct crypt_data *cd)
{
    char      *hash;
    char       setting[CRYPT_GENSALT_OUTPUT_SIZE];
    unsigned   cost, stored;

    cost = rush_password_cost(p);
    stored = (unsigned) (p->stored[4] - '0') * 10
             + (unsigned) (p->stored[5] - '0');

    if (stored >= cost
        || crypt_gensalt_rn("$2b$", cost, NULL, 0, setting, sizeof(setting))
           == NULL)
    {
        return;
    }

    hash = crypt_r(p->password, setting, cd);

    if (hash != NULL && rush_password_is_hash(hash)) {
        memcpy(p->result, hash, RUSH_PASSWORD_HASH_LEN);
    }

    OPENSSL_cleanse(setting, sizeof(setting));
}
