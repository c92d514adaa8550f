
/*
 * Copyright (C) Rush
 *
 * What each shop has got by each provider on a day in China.  Rows are sums
 * of payments and refunds, so they can be made again at any time.  A payment
 * that comes to a day that is over sets created_ms of its row to 0 in its own
 * transaction; whoever makes the row again locks it first, so nothing that
 * comes meanwhile is missed.
 */


#include "pay_int.h"


#define RUSH_SETTLE_DAYS   7            /* back, after a start */
#define RUSH_SETTLE_DELAY  60000        /* ms, after midnight */


typedef struct {
    rush_db_t       *db;
    int64_t          day;
    int64_t          start;             /* ms */
} rush_settle_tx_t;


static int rush_settle_body(void *data);
static int rush_settle_old_days(rush_daemon_t *d, rush_db_t *db);


int
rush_settle_due(rush_daemon_t *d, rush_db_t *db, int64_t now, int64_t *done)
{
    int      rc;
    int64_t  day, ms;

    /* who looked at the clock before midnight has committed by then */

    now -= RUSH_SETTLE_DELAY;

    ms = rush_pay_day_start(rush_pay_day(now)) - RUSH_SETTLE_DAYS
         * RUSH_PAY_DAY;

    for ( /* void */ ; rush_pay_day(ms) < rush_pay_day(now);
         ms += RUSH_PAY_DAY)
    {
        day = rush_pay_day(ms);

        if (day <= *done) {
            continue;
        }

        rc = rush_settle_day(d, db, day);

        if (rc != RUSH_OK) {
            return rc;
        }

        *done = day;
    }

    return rush_settle_old_days(d, db);
}


static int
rush_settle_old_days(rush_daemon_t *d, rush_db_t *db)
{
    int          rc;
    size_t       i;
    rush_rows_t  rows;

    memset(&rows, 0, sizeof(rush_rows_t));

    rc = rush_cash_run(db, SETTLEMENT_DAYS, NULL, 0, &rows);

    for (i = 0; i < rows.n && rc == RUSH_OK; i++) {
        rc = rush_settle_day(d, db, rush_cell_int(&rows, i, 0));
    }

    rush_rows_free(&rows);

    return rc;
}


int
rush_settle_day(rush_daemon_t *d, rush_db_t *db, int64_t day)
{
    rush_settle_tx_t  tx;

    tx.db = db;
    tx.day = day;
    tx.start = rush_pay_day_start(day);

    if (tx.start == 0) {
        rush_log(RUSH_LOG_ERROR, "settlement: %lld is no day",
                 (long long) day);
        return RUSH_DB_DATA;
    }

    return rush_pay_transaction(d, db, rush_settle_body, &tx);
}


static int
rush_settle_body(void *data)
{
    rush_settle_tx_t  *tx = data;

    int           rc;
    rush_param_t  params[6];

    params[0] = rush_p_int(tx->day);

    rc = rush_cash_run(tx->db, SETTLEMENT_CLAIM, params, 1, NULL);

    if (rc != RUSH_OK) {
        return rc;
    }

    params[1] = rush_p_int(rush_now());
    params[2] = rush_p_int(tx->start);
    params[3] = rush_p_int(tx->start + RUSH_PAY_DAY);
    params[4] = params[2];
    params[5] = params[3];

    return rush_cash_run(tx->db, SETTLEMENT_MAKE, params, 6, NULL);
}
