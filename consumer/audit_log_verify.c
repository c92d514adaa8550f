
/*
 * Copyright (C) Rush
 *
 * Recomputes the chain of audit_log from its first row: what was changed,
 * removed, added or put elsewhere does not fit any more.  The end is known
 * from audit_head.  Rows that come meanwhile do no harm.
 *
 * Whoever may write everything in MySQL can make the whole chain anew.  So
 * the head is printed: note it elsewhere, and compare later.
 */


#include "audit_log.h"


typedef struct {
    int64_t      seq;
    char         hash[RUSH_AUDIT_HASH_LEN + 1];
} rush_audit_head_t;


static int rush_audit_log_verify(rush_controller_t *ctl);
static int rush_audit_log_head(rush_controller_t *ctl,
    rush_audit_head_t *head);
static int rush_audit_log_row(const rush_rows_t *rows, size_t row,
    rush_audit_head_t *last);
static int rush_audit_log_bad(int64_t seq, const char *why);


int
rush_audit_log_main(rush_daemon_t *d)
{
    int                rc;
    rush_controller_t  ctl;

    if (rush_controller_open(&ctl, d, "verify") != RUSH_OK) {
        return 2;
    }

    rc = (rush_db_ready(ctl.db) == RUSH_OK) ? rush_audit_log_verify(&ctl) : 2;

    rush_controller_close(&ctl);

    if (rc == 2) {
        fprintf(stderr, "rush-consumer: the record cannot be read\n");
    }

    return rc;
}


/* exit status: 0 whole, 1 not, 2 could not look */

static int
rush_audit_log_verify(rush_controller_t *ctl)
{
    int                rc;
    size_t             i;
    rush_rows_t        rows;
    rush_param_t       param;
    rush_audit_head_t  head, end, last;

    memset(&rows, 0, sizeof(rush_rows_t));
    memset(&last, 0, sizeof(rush_audit_head_t));
    memset(last.hash, '0', RUSH_AUDIT_HASH_LEN);

    rc = rush_audit_log_head(ctl, &head);

    if (rc == 0 && head.seq == 0
        && memcmp(head.hash, last.hash, RUSH_AUDIT_HASH_LEN) != 0)
    {
        rc = rush_audit_log_bad(0, "the head is not that of an empty chain");
    }

    while (rc == 0) {
        param = rush_p_int(last.seq);

        if (rush_ctl_run(ctl, AUDIT_ROWS, &param, 1, &rows) != RUSH_OK) {
            rc = 2;
        }

        if (rc != 0 || rows.n == 0) {
            break;
        }

        for (i = 0; rc == 0 && i < rows.n; i++) {
            rc = rush_audit_log_row(&rows, i, &last);

            if (rc == 0 && last.seq == head.seq
                && memcmp(last.hash, head.hash, RUSH_AUDIT_HASH_LEN) != 0)
            {
                rc = rush_audit_log_bad(last.seq, "is not what the head says");
            }
        }
    }

    rush_rows_free(&rows);

    if (rc == 0 && last.seq < head.seq) {
        rc = rush_audit_log_bad(last.seq + 1, "is missing, the end was cut");
    }

    if (rc == 0) {
        rc = rush_audit_log_head(ctl, &end);
    }

    if (rc == 0 && last.seq > end.seq) {
        rc = rush_audit_log_bad(end.seq + 1, "stands behind the head");
    }

    if (rc == 0) {
        printf("audit: %lld rows are whole, the last one is %s\n",
               (long long) last.seq, last.hash);
    }

    return rc;
}


static int
rush_audit_log_head(rush_controller_t *ctl, rush_audit_head_t *head)
{
    rush_rows_t        rows;
    const rush_str_t  *hash;

    memset(&rows, 0, sizeof(rush_rows_t));

    if (rush_ctl_run(ctl, AUDIT_HEAD, NULL, 0, &rows) != RUSH_OK) {
        return 2;
    }

    if (rows.n != 1 || rush_cell(&rows, 0, 1)->len != RUSH_AUDIT_HASH_LEN) {
        rush_rows_free(&rows);
        return rush_audit_log_bad(0, "the head is gone");
    }

    hash = rush_cell(&rows, 0, 1);
    head->seq = rush_cell_int(&rows, 0, 0);
    memcpy(head->hash, hash->data, RUSH_AUDIT_HASH_LEN + 1);

    rush_rows_free(&rows);

    return 0;
}


static int
rush_audit_log_row(const rush_rows_t *rows, size_t row,
    rush_audit_head_t *last)
{
    char               hash[RUSH_AUDIT_HASH_LEN + 1];
    int64_t            seq;
    rush_str_t         prev;
    const rush_str_t  *stored;

    seq = rush_cell_int(rows, row, 0);

    if (seq != last->seq + 1) {
        return rush_audit_log_bad(last->seq + 1, "is missing");
    }

    prev.data = (unsigned char *) last->hash;
    prev.len = RUSH_AUDIT_HASH_LEN;
    stored = rush_cell(rows, row, RUSH_AUDIT_COLS + 1);

    if (stored->len != RUSH_AUDIT_HASH_LEN
        || memcmp(stored->data, last->hash, RUSH_AUDIT_HASH_LEN) != 0)
    {
        return rush_audit_log_bad(seq, "does not follow the row before");
    }

    if (rush_audit_log_hash(seq, &prev, rush_cell(rows, row, 1), hash)
        != RUSH_OK)
    {
        return 2;
    }

    stored = rush_cell(rows, row, RUSH_AUDIT_COLS + 2);

    if (stored->len != RUSH_AUDIT_HASH_LEN
        || memcmp(stored->data, hash, RUSH_AUDIT_HASH_LEN) != 0)
    {
        return rush_audit_log_bad(seq, "was changed");
    }

    last->seq = seq;
    memcpy(last->hash, hash, sizeof(hash));

    return 0;
}


static int
rush_audit_log_bad(int64_t seq, const char *why)
{
    printf("audit: row %lld: %s\n", (long long) seq, why);

    return 1;
}
