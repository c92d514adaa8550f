
/*
 * Copyright (C) Rush
 *
 * What workers wrote to audit_inbox becomes rows of audit_log, in one
 * transaction: read, chained, inserted, taken out of the inbox, and the head
 * of the chain moved.  Killed in between, nothing of it has happened.  Two
 * that try at a time meet at the head, which is locked.
 *
 * (audit.c is something else: it compares stock.)
 */


#include <openssl/evp.h>

#include "audit_log.h"


static int rush_audit_log_batch(rush_controller_t *ctl);
static int rush_audit_log_add(rush_controller_t *ctl,
    const rush_rows_t *inbox, size_t row, int64_t seq, rush_str_t *hash);


int
rush_audit_log_move(rush_controller_t *ctl)
{
    int          rc;
    int64_t      waiting;
    rush_rows_t  rows;

    memset(&rows, 0, sizeof(rush_rows_t));

    rc = rush_ctl_run(ctl, AUDIT_WAITING, NULL, 0, &rows);

    waiting = (rc == RUSH_OK && rows.n == 1) ? rush_cell_int(&rows, 0, 0) : 0;
    rush_rows_free(&rows);

    if (rc != RUSH_OK) {
        return rc;
    }

    rush_stat_set(ctl->daemon, audit_waiting, waiting);

    if (waiting == 0) {
        return RUSH_OK;
    }

    rc = rush_db_begin(ctl->db);
    if (rc != RUSH_OK) {
        return RUSH_ERROR;
    }

    rc = rush_audit_log_batch(ctl);

    if (rc == RUSH_OK) {
        (void) RUSH_FP("C9");
        rc = rush_db_commit(ctl->db);
    }

    if (rc != RUSH_OK) {
        rush_db_rollback(ctl->db);
    }

    return rc;
}


static int
rush_audit_log_batch(rush_controller_t *ctl)
{
    int           rc;
    char          text[RUSH_AUDIT_HASH_LEN + 1];
    size_t        i;
    int64_t       seq;
    rush_str_t    hash;
    rush_rows_t   head, inbox;
    rush_param_t  params[2];

    memset(&head, 0, sizeof(rush_rows_t));
    memset(&inbox, 0, sizeof(rush_rows_t));

    rc = rush_ctl_run(ctl, AUDIT_HEAD_LOCK, NULL, 0, &head);

    if (rc == RUSH_OK
        && (head.n != 1 || rush_cell(&head, 0, 1)->len != RUSH_AUDIT_HASH_LEN))
    {
        rush_log(RUSH_LOG_ALERT, "audit: the head of the chain is gone");
        rc = RUSH_ERROR;
    }

    if (rc == RUSH_OK) {
        rc = rush_ctl_run(ctl, AUDIT_INBOX, NULL, 0, &inbox);
    }

    if (rc != RUSH_OK) {
        rush_rows_free(&head);
        return rc;
    }

    seq = rush_cell_int(&head, 0, 0);
    memcpy(text, rush_cell(&head, 0, 1)->data, sizeof(text));
    hash.data = (unsigned char *) text;
    hash.len = RUSH_AUDIT_HASH_LEN;

    for (i = 0; rc == RUSH_OK && i < inbox.n; i++) {
        rc = rush_audit_log_add(ctl, &inbox, i, ++seq, &hash);
    }

    if (rc == RUSH_OK && inbox.n > 0) {
        params[0] = rush_p_int(seq);
        params[1] = rush_p_str(&hash);
        rc = rush_ctl_run(ctl, AUDIT_HEAD_SET, params, 2, NULL);
    }

    rush_rows_free(&head);
    rush_rows_free(&inbox);

    return rc;
}


/* hash is the one of the row before, and becomes the one of this row */

static int
rush_audit_log_add(rush_controller_t *ctl, const rush_rows_t *inbox,
    size_t row, int64_t seq, rush_str_t *hash)
{
    int                rc;
    char               text[RUSH_AUDIT_HASH_LEN + 1];
    size_t             i;
    rush_str_t         new;
    rush_param_t       params[RUSH_AUDIT_COLS + 3];
    const rush_str_t  *cells;

    cells = rush_cell(inbox, row, 1);

    if (rush_audit_log_hash(seq, hash, cells, text) != RUSH_OK) {
        rush_log(RUSH_LOG_ERROR, "audit: no memory for a hash");
        return RUSH_ERROR;
    }

    new.data = (unsigned char *) text;
    new.len = RUSH_AUDIT_HASH_LEN;

    params[0] = rush_p_int(seq);

    for (i = 0; i < RUSH_AUDIT_COLS; i++) {
        params[i + 1] = rush_p_str(&cells[i]);
    }

    params[RUSH_AUDIT_COLS + 1] = rush_p_str(hash);
    params[RUSH_AUDIT_COLS + 2] = rush_p_str(&new);

    rc = rush_ctl_run(ctl, AUDIT_INSERT, params, RUSH_AUDIT_COLS + 3, NULL);

    if (rc == RUSH_DB_DUP) {
        rush_log(RUSH_LOG_ALERT, "audit: row %lld is there already, the head "
                 "of the chain was set back", (long long) seq);
    }

    if (rc == RUSH_OK) {
        params[0] = rush_p_int(rush_cell_int(inbox, row, 0));
        rc = rush_ctl_run(ctl, AUDIT_INBOX_DELETE, params, 1, NULL);
    }

    memcpy(hash->data, text, RUSH_AUDIT_HASH_LEN);

    return rc;
}


int
rush_audit_log_hash(int64_t seq, const rush_str_t *prev,
    const rush_str_t *cells, char *hash)
{
    int            ok;
    char           number[24];
    size_t         i;
    rush_buf_t     b;
    unsigned       len;
    unsigned char  digest[EVP_MAX_MD_SIZE];

    memset(&b, 0, sizeof(rush_buf_t));

    snprintf(number, sizeof(number), "%lld", (long long) seq);
    rush_buf_printf(&b, "%zu:%s,", strlen(number), number);
    rush_buf_printf(&b, "%zu:", prev->len);
    rush_buf_add(&b, prev->data, prev->len);
    rush_buf_puts(&b, ",");

    for (i = 0; i < RUSH_AUDIT_COLS; i++) {
        rush_buf_printf(&b, "%zu:", cells[i].len);
        rush_buf_add(&b, cells[i].data, cells[i].len);
        rush_buf_puts(&b, ",");
    }

    ok = !b.failed
         && EVP_Digest(b.data, b.len, digest, &len, EVP_sha256(), NULL) == 1;

    rush_buf_free(&b);

    if (!ok) {
        return RUSH_ERROR;
    }

    for (i = 0; i < RUSH_AUDIT_HASH_LEN / 2; i++) {
        snprintf(hash + 2 * i, 3, "%02x", digest[i]);
    }

    return RUSH_OK;
}
