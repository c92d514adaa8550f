
/*
 * Copyright (C) Rush
 *
 * Rows of money: how they are read, locked and written, and the transaction
 * around it.
 */


#include <stdlib.h>

#include "pay_int.h"


/* columns of payment_get, order_get, refund_get */

enum {
    RUSH_PG_ID = 0,
    RUSH_PG_ORDER,
    RUSH_PG_USER,
    RUSH_PG_PROVIDER,
    RUSH_PG_CHANNEL,
    RUSH_PG_AMOUNT,
    RUSH_PG_STATE,
    RUSH_PG_TRANSACTION,
    RUSH_PG_REFUNDED,
    RUSH_PG_RETURNED,
    RUSH_PG_PAID
};

enum {
    RUSH_OG_USER = 0,
    RUSH_OG_ACTIVITY,
    RUSH_OG_PRODUCT,
    RUSH_OG_REQ,
    RUSH_OG_QTY,
    RUSH_OG_STATUS,
    RUSH_OG_STOCK,
    RUSH_OG_REASON,
    RUSH_OG_PAYMENT,
    RUSH_OG_SHOP,
    RUSH_OG_SLOT
};

enum {
    RUSH_RG_ID = 0,
    RUSH_RG_PAYMENT,
    RUSH_RG_ORDER,
    RUSH_RG_PROVIDER,
    RUSH_RG_AMOUNT,
    RUSH_RG_STATE,
    RUSH_RG_RESERVED,
    RUSH_RG_WHOLE,
    RUSH_RG_UNITS,
    RUSH_RG_BY,
    RUSH_RG_ORIGIN
};


static const char  *rush_provider_names[] = {
#define RUSH_PAY_TEXT(name, n, text)  text,
    RUSH_PAY_PROVIDERS(RUSH_PAY_TEXT)
#undef RUSH_PAY_TEXT
};


const char *
rush_provider_name(int64_t provider)
{
    return (provider > 0 && provider < RUSH_PROVIDERS)
           ? rush_provider_names[provider] : "";
}


int
rush_provider_find(const char *name, size_t len)
{
    int  i;

    for (i = 1; i < RUSH_PROVIDERS; i++) {
        if (strlen(rush_provider_names[i]) == len
            && memcmp(rush_provider_names[i], name, len) == 0)
        {
            return i;
        }
    }

    return 0;
}


const char *
rush_channel_name(int64_t channel)
{
    switch (channel) {

#define RUSH_PAY_TEXT(name, n, text, provider)                                \
    case n:                                                                   \
        return text;
    RUSH_PAY_CHANNELS(RUSH_PAY_TEXT)
#undef RUSH_PAY_TEXT

    default:
        return "";
    }
}


int
rush_pay_row_get(rush_db_t *db, int64_t id, rush_rows_t *rows,
    rush_pay_row_t *row)
{
    int           rc;
    rush_param_t  param;

    memset(row, 0, sizeof(rush_pay_row_t));

    if (id == 0) {
        rush_rows_free(rows);
        return RUSH_OK;
    }

    param = rush_p_int(id);
    rc = rush_cash_run(db, PAYMENT_GET, &param, 1, rows);

    if (rc != RUSH_OK || rows->n == 0) {
        return rc;
    }

    row->id = rush_cell_int(rows, 0, RUSH_PG_ID);
    row->order_no = *rush_cell(rows, 0, RUSH_PG_ORDER);
    row->user = rush_cell_int(rows, 0, RUSH_PG_USER);
    row->provider = rush_cell_int(rows, 0, RUSH_PG_PROVIDER);
    row->channel = rush_cell_int(rows, 0, RUSH_PG_CHANNEL);
    row->amount = rush_cell_int(rows, 0, RUSH_PG_AMOUNT);
    row->state = rush_cell_int(rows, 0, RUSH_PG_STATE);
    row->transaction_id = *rush_cell(rows, 0, RUSH_PG_TRANSACTION);
    row->refunded = rush_cell_int(rows, 0, RUSH_PG_REFUNDED);
    row->returned = rush_cell_int(rows, 0, RUSH_PG_RETURNED);
    row->paid_ms = rush_cell_int(rows, 0, RUSH_PG_PAID);

    return RUSH_OK;
}


int
rush_pay_order_get(rush_db_t *db, const rush_str_t *order_no,
    rush_rows_t *rows, rush_pay_order_t *order)
{
    int           rc;
    rush_param_t  param;

    memset(order, 0, sizeof(rush_pay_order_t));

    if (order_no->len == 0) {
        rush_rows_free(rows);
        return RUSH_OK;
    }

    param = rush_p_str(order_no);
    rc = rush_cash_run(db, ORDER_GET, &param, 1, rows);

    if (rc != RUSH_OK || rows->n == 0) {
        return rc;
    }

    order->order_no = *order_no;
    order->user = rush_cell_int(rows, 0, RUSH_OG_USER);
    order->activity = rush_cell_int(rows, 0, RUSH_OG_ACTIVITY);
    order->product = rush_cell_int(rows, 0, RUSH_OG_PRODUCT);
    order->req = *rush_cell(rows, 0, RUSH_OG_REQ);
    order->qty = rush_cell_int(rows, 0, RUSH_OG_QTY);
    order->status = rush_cell_int(rows, 0, RUSH_OG_STATUS);
    order->stock_state = rush_cell_int(rows, 0, RUSH_OG_STOCK);
    order->cancel_reason = *rush_cell(rows, 0, RUSH_OG_REASON);
    order->payment = rush_cell_int(rows, 0, RUSH_OG_PAYMENT);
    order->shop = rush_cell_int(rows, 0, RUSH_OG_SHOP);
    order->slot = rush_cell_int(rows, 0, RUSH_OG_SLOT);

    return RUSH_OK;
}


int
rush_refund_row_get(rush_db_t *db, int64_t id, rush_rows_t *rows,
    rush_refund_row_t *row)
{
    int           rc;
    rush_param_t  param;

    memset(row, 0, sizeof(rush_refund_row_t));

    if (id == 0) {
        rush_rows_free(rows);
        return RUSH_OK;
    }

    param = rush_p_int(id);
    rc = rush_cash_run(db, REFUND_GET, &param, 1, rows);

    if (rc != RUSH_OK || rows->n == 0) {
        return rc;
    }

    row->id = rush_cell_int(rows, 0, RUSH_RG_ID);
    row->payment = rush_cell_int(rows, 0, RUSH_RG_PAYMENT);
    row->order_no = *rush_cell(rows, 0, RUSH_RG_ORDER);
    row->provider = rush_cell_int(rows, 0, RUSH_RG_PROVIDER);
    row->amount = rush_cell_int(rows, 0, RUSH_RG_AMOUNT);
    row->state = rush_cell_int(rows, 0, RUSH_RG_STATE);
    row->reserved = rush_cell_int(rows, 0, RUSH_RG_RESERVED);
    row->whole = rush_cell_int(rows, 0, RUSH_RG_WHOLE);
    row->units_back = rush_cell_int(rows, 0, RUSH_RG_UNITS);
    row->decided_by = rush_cell_int(rows, 0, RUSH_RG_BY);
    row->origin = rush_cell_int(rows, 0, RUSH_RG_ORIGIN);

    return RUSH_OK;
}


int
rush_pay_one(rush_db_t *db, const rush_stmt_t *stmt,
    const rush_param_t *params, size_t n)
{
    int          rc;
    rush_rows_t  rows;

    memset(&rows, 0, sizeof(rush_rows_t));

    rc = rush_db_run(db, stmt, params, n, &rows);

    if (rc == RUSH_OK && rows.affected != 1) {
        rush_log(RUSH_LOG_WARN, "%s changed %llu rows", stmt->name,
                 (unsigned long long) rows.affected);
        rc = RUSH_DB_RETRY;
    }

    rush_rows_free(&rows);

    return rc;
}


int
rush_pay_ledger(rush_db_t *db, char kind, int64_t id, int64_t provider,
    const rush_str_t *order_no, int64_t amount)
{
    char          txn[32], ours[64], theirs[32];
    rush_param_t  params[8];

    snprintf(txn, sizeof(txn), "%c:%lld", kind, (long long) id);
    snprintf(theirs, sizeof(theirs), "provider:%s",
             rush_provider_name(provider));
    snprintf(ours, sizeof(ours), "order:%.*s", (int) order_no->len,
             order_no->data);

    params[0] = rush_p_text(txn);
    params[1] = rush_p_text(theirs);
    params[2] = rush_p_int(kind == 'p' ? amount : -amount);
    params[3] = rush_p_int(rush_now());
    params[4] = params[0];
    params[5] = rush_p_text(ours);
    params[6] = rush_p_int(kind == 'p' ? -amount : amount);
    params[7] = params[3];

    return rush_cash_run(db, LEDGER_ADD, params, 8, NULL);
}


int
rush_refund_make(rush_db_t *db, const rush_pay_row_t *payment, int origin,
    const char *reason)
{
    rush_param_t  params[12];

    params[0] = rush_p_int(payment->id);
    params[1] = params[0];
    params[2] = rush_p_str(&payment->order_no);
    params[3] = rush_p_int(payment->user);
    params[4] = rush_p_int(payment->provider);
    params[5] = rush_p_int(payment->amount);
    params[6] = params[5];
    params[7] = rush_p_text(reason);
    params[8] = rush_p_int(origin);
    params[9] = rush_p_int(rush_now());
    params[10] = params[9];
    params[11] = params[9];

    return rush_cash_run(db, REFUND_MAKE, params, 12, NULL);
}


int
rush_settle_old(rush_db_t *db, int64_t ms, int64_t shop, int64_t provider)
{
    int64_t       day;
    rush_param_t  params[3];

    day = rush_pay_day(ms);

    if (day >= rush_pay_day(rush_now())) {
        return RUSH_OK;
    }

    params[0] = rush_p_int(day);
    params[1] = rush_p_int(shop);
    params[2] = rush_p_int(provider);

    return rush_cash_run(db, SETTLEMENT_OLD, params, 3, NULL);
}


/* one transaction of a provider pays one payment */

int
rush_pay_other(rush_db_t *db, const rush_pay_facts_t *f,
    const rush_pay_row_t *row, const char **cause)
{
    int           rc;
    rush_rows_t   rows;
    rush_param_t  params[3];

    memset(&rows, 0, sizeof(rush_rows_t));

    params[0] = rush_p_int(row->provider);
    params[1] = rush_p_str(&f->transaction_id);
    params[2] = rush_p_int(row->id);

    rc = rush_cash_run(db, PAYMENT_OTHER, params, 3, &rows);

    if (rc == RUSH_OK && rows.n > 0) {
        *cause = "transaction of another payment";
    }

    rush_rows_free(&rows);

    return rc;
}


void
rush_pay_ours(const rush_daemon_t *d, int64_t provider,
    rush_pay_ours_t *ours)
{
    const char         *app, *merchant;
    const rush_conf_t  *conf;

    conf = &d->conf;
    app = "";
    merchant = "";

    memset(ours, 0, sizeof(rush_pay_ours_t));

    switch (provider) {

    case RUSH_PROVIDER_WECHAT:
        app = conf->wechat_pay.appid;
        merchant = conf->wechat_pay.mchid;
        ours->known = app[0] != '\0' && merchant[0] != '\0';
        break;

    case RUSH_PROVIDER_ALIPAY:
        app = conf->alipay.app_id;
        merchant = conf->alipay.seller_id;
        ours->known = app[0] != '\0' && merchant[0] != '\0';
        break;

    case RUSH_PROVIDER_SANDBOX:
        ours->known = conf->sandbox != 0;
        break;

    default:
        break;
    }

    ours->app.data = (unsigned char *) (uintptr_t) app;
    ours->app.len = strlen(app);
    ours->merchant.data = (unsigned char *) (uintptr_t) merchant;
    ours->merchant.len = strlen(merchant);
}


int
rush_pay_cut(rush_db_t *db)
{
    rush_db_close(db);

    return RUSH_DB_DOWN;
}


int
rush_pay_transaction(rush_daemon_t *d, rush_db_t *db, rush_pay_body_pt body,
    void *data)
{
    int       rc;
    unsigned  try;

    rc = RUSH_DB_RETRY;

    for (try = 0; try < RUSH_PAY_TRIES; try++) {

        if (try > 0) {
            rush_stat_add(d, retries, 1);

            if (rush_wait(d, random() % RUSH_PAY_WAIT + 1)) {
                return RUSH_DB_DOWN;
            }
        }

        rc = rush_db_begin(db);

        if (rc == RUSH_OK) {
            rc = rush_pay_fail(db, "K2");
        }

        if (rc == RUSH_OK) {
            rc = body(data);
        }

        if (rc == RUSH_OK) {
            rc = rush_pay_fail(db, "K4");
        }

        if (rc == RUSH_OK) {
            rc = rush_db_commit(db);
        }

        if (rc == RUSH_OK) {
            return RUSH_OK;
        }

        rush_db_rollback(db);

        if (rc != RUSH_DB_RETRY && rc != RUSH_DB_DUP) {
            return rc;
        }
    }

    return rc == RUSH_DB_DUP ? RUSH_DB_DATA : rc;
}
