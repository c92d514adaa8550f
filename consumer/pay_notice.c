
/*
 * Copyright (C) Rush
 *
 * What a provider told is stored before it has an effect, in the same
 * transaction.  It is known again by its key; the same key with another body
 * is another notice, so that nothing a provider says is taken for a repeat
 * that is none.
 */


#include <openssl/sha.h>

#include "pay_int.h"


#define RUSH_NOTICE_MARK  16            /* hex digits of a body's hash */


static int rush_notice_find(rush_db_t *db, const rush_notice_t *n,
    const rush_str_t *key, int64_t *id, int *state);
static int rush_notice_add(rush_db_t *db, const rush_notice_t *n,
    const rush_str_t *key, int64_t *id);
static void rush_notice_other(const rush_notice_t *n, char *text,
    size_t size);


int
rush_notice_keep(rush_db_t *db, const rush_notice_t *n, int64_t *id,
    int *known)
{
    int           rc, state;
    char          text[160];
    rush_str_t    key;
    rush_param_t  param;

    *known = 0;
    key = n->key;

    rc = rush_notice_find(db, n, &key, id, &state);

    if (rc == RUSH_OK && *id == -1) {
        rush_notice_other(n, text, sizeof(text));
        key.data = (unsigned char *) text;
        key.len = strlen(text);

        rc = rush_notice_find(db, n, &key, id, &state);
    }

    if (rc != RUSH_OK) {
        return rc;
    }

    if (*id == 0) {
        return rush_notice_add(db, n, &key, id);
    }

    *known = state != RUSH_NOTICE_UNMATCHED;

    if (n->again) {
        return RUSH_OK;
    }

    param = rush_p_int(*id);

    return rush_cash_run(db, NOTICE_AGAIN, &param, 1, NULL);
}


/* *id: 0 there is none, -1 there is another one under this key */

static int
rush_notice_find(rush_db_t *db, const rush_notice_t *n,
    const rush_str_t *key, int64_t *id, int *state)
{
    int           rc;
    rush_rows_t   rows;
    rush_param_t  params[2];

    memset(&rows, 0, sizeof(rush_rows_t));
    *id = 0;
    *state = 0;

    params[0] = rush_p_int(n->provider);
    params[1] = rush_p_str(key);

    rc = rush_cash_run(db, NOTICE_GET, params, 2, &rows);

    if (rc == RUSH_OK && rows.n == 1) {
        *id = -1;

        if (rush_str_same(rush_cell(&rows, 0, 2), &n->body)) {
            *id = rush_cell_int(&rows, 0, 0);
            *state = (int) rush_cell_int(&rows, 0, 1);
        }
    }

    rush_rows_free(&rows);

    return rc;
}


static int
rush_notice_add(rush_db_t *db, const rush_notice_t *n, const rush_str_t *key,
    int64_t *id)
{
    int           rc;
    rush_rows_t   rows;
    rush_param_t  params[9];

    memset(&rows, 0, sizeof(rush_rows_t));

    params[0] = rush_p_int(n->provider);
    params[1] = rush_p_str(key);
    params[2] = rush_p_text(n->kind);
    params[3] = rush_p_int(n->payment);
    params[4] = rush_p_int(n->refund);
    params[5] = rush_p_str(&n->transaction_id);
    params[6] = rush_p_int(n->amount > 0 ? n->amount : 0);
    params[7] = rush_p_str(&n->body);
    params[8] = rush_p_int(n->received_ms);

    rc = rush_cash_run(db, NOTICE_ADD, params, 9, &rows);
    *id = (int64_t) rows.insert_id;
    rush_rows_free(&rows);

    return rc;
}


static void
rush_notice_other(const rush_notice_t *n, char *text, size_t size)
{
    char           hex[2 * SHA256_DIGEST_LENGTH + 1];
    unsigned       i;
    unsigned char  hash[SHA256_DIGEST_LENGTH];

    (void) SHA256(n->body.data, n->body.len, hash);

    for (i = 0; i < RUSH_NOTICE_MARK / 2; i++) {
        snprintf(&hex[2 * i], 3, "%02x", hash[i]);
    }

    snprintf(text, size, "%.*s:%s", (int) n->key.len, n->key.data, hex);
}


int
rush_notice_done(rush_db_t *db, int64_t id, rush_did_e did,
    const char *cause)
{
    rush_param_t  params[4];

    if (did == RUSH_DID_MISS) {

        /* it stays as it is, for the sweeper */

        return RUSH_OK;
    }

    params[0] = rush_p_int(rush_did_state(did));
    params[1] = rush_p_text(cause);
    params[2] = rush_p_int(rush_now());
    params[3] = rush_p_int(id);

    return rush_pay_one(db, &rush_cash_sql[RUSH_CASH_SQL_NOTICE_DONE], params,
                        4);
}
