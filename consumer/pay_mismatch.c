
/*
 * Copyright (C) Rush
 *
 * Money that came in another amount than was asked for.  It pays nothing, but
 * the provider holds it: an administrator may decide that it goes back, by a
 * refund of origin "mismatch".
 *
 * What was signed is read once more here, so nothing but the provider's own
 * word tells how much there is.  The payment becomes one of the amount that
 * came, and of that all goes back: so its row, the ledger, the settlement and
 * the bill tell of the same sum.
 */


#include "pay_int.h"


typedef struct {
    rush_daemon_t            *daemon;
    rush_db_t                *db;
    const rush_refund_row_t  *refund;
    const rush_pay_row_t     *row;
    const rush_pay_order_t   *order;
    rush_rows_t               told;     /* owned */
    rush_buf_t                json;     /* owned, facts borrow */
    rush_pay_facts_t          facts;
} rush_mismatch_t;


/* columns of notice_of_amount */

enum {
    RUSH_NA_PROVIDER = 0,
    RUSH_NA_KIND,
    RUSH_NA_BODY,
    RUSH_NA_RECEIVED
};


static int rush_mismatch_read(rush_mismatch_t *mm, const char **cause);
static int rush_mismatch_turn(rush_mismatch_t *mm);


int
rush_mismatch_take(rush_daemon_t *d, rush_db_t *db,
    const rush_refund_row_t *refund, const rush_pay_row_t *row,
    const rush_pay_order_t *order, const char **cause)
{
    int              rc;
    rush_mismatch_t  mm;

    memset(&mm, 0, sizeof(rush_mismatch_t));

    mm.daemon = d;
    mm.db = db;
    mm.refund = refund;
    mm.row = row;
    mm.order = order;

    rc = rush_mismatch_read(&mm, cause);

    if (rc == RUSH_OK && **cause == '\0') {
        rc = rush_mismatch_turn(&mm);
    }

    /* who has paid is in it */

    rush_buf_wipe(&mm.json);
    rush_rows_free(&mm.told);

    return rc;
}


static int
rush_mismatch_read(rush_mismatch_t *mm, const char **cause)
{
    int                rc;
    const char        *err;
    rush_param_t       params[2];
    rush_pay_ours_t    ours;
    rush_pay_facts_t  *f;
    const rush_str_t  *body;

    *cause = "notice";
    f = &mm->facts;

    params[0] = rush_p_int(mm->row->id);
    params[1] = rush_p_int(mm->refund->amount);

    rc = rush_cash_run(mm->db, NOTICE_OF_AMOUNT, params, 2, &mm->told);

    if (rc != RUSH_OK || mm->told.n == 0) {
        return rc;
    }

    body = rush_cell(&mm->told, 0, RUSH_NA_BODY);
    rush_buf_add(&mm->json, body->data, body->len);

    if (mm->json.failed) {
        return rush_pay_cut(mm->db);
    }

    f->provider = (int) rush_cell_int(&mm->told, 0, RUSH_NA_PROVIDER);
    f->kind = rush_str_is(rush_cell(&mm->told, 0, RUSH_NA_KIND),
                          RUSH_NOTICE_QUERY)
              ? RUSH_NOTICE_QUERY : RUSH_NOTICE_PAY;
    f->received_ms = rush_cell_int(&mm->told, 0, RUSH_NA_RECEIVED);

    if (rush_pay_facts(f, f->provider, mm->json.data, mm->json.len, &err)
        != RUSH_OK)
    {
        return RUSH_OK;
    }

    rush_pay_ours(mm->daemon, f->provider, &ours);
    *cause = rush_mismatch_decide(f, mm->refund, mm->row, &ours);

    if (**cause != '\0') {
        return RUSH_OK;
    }

    return rush_pay_other(mm->db, f, mm->row, cause);
}


static int
rush_mismatch_turn(rush_mismatch_t *mm)
{
    int                rc;
    char               text[80];
    int64_t            paid_ms;
    rush_param_t       params[8];
    rush_pay_facts_t  *f;

    f = &mm->facts;
    paid_ms = f->paid_ms ? f->paid_ms : f->received_ms;

    snprintf(text, sizeof(text), "%lld fen came, %lld were asked for",
             (long long) f->amount, (long long) mm->row->amount);

    params[0] = rush_p_int(f->amount);
    params[1] = params[0];
    params[2] = rush_p_str(&f->transaction_id);
    params[3] = rush_p_int(paid_ms);
    params[4] = rush_p_text(text);
    params[5] = rush_p_int(rush_now());
    params[6] = rush_p_int(mm->row->id);
    params[7] = rush_p_int(mm->row->state);

    rc = rush_pay_one(mm->db, &rush_cash_sql[RUSH_CASH_SQL_PAYMENT_MISMATCH],
                      params, 8);

    if (rc == RUSH_OK) {
        rc = rush_pay_ledger(mm->db, 'p', mm->row->id, mm->row->provider,
                             &mm->row->order_no, f->amount);
    }

    if (rc == RUSH_OK) {
        rc = rush_settle_old(mm->db, paid_ms, mm->order->shop,
                             mm->row->provider);
    }

    return rc;
}
