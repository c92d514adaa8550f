
/*
 * Copyright (C) Rush
 *
 * What must not be kept: personal data of accounts that were closed some time
 * ago, and sessions that have ended.  Orders stay, under a number that leads
 * to nobody.
 */


#include "controller.h"


#define RUSH_ERASE_BATCH   20           /* accounts of one tick */
#define RUSH_PURGE_BATCH   500          /* sessions of one statement */

/* a revoked session is told to workers again when Redis has lost it */
#define RUSH_REVOKED_KEEP  (2 * RUSH_REVOKE_KEEP)


static int rush_erase_accounts(rush_controller_t *ctl);
static int rush_erase_one(rush_controller_t *ctl, int64_t id, int64_t limit);
static int rush_purge(rush_controller_t *ctl, unsigned stmt, int64_t limit);


int
rush_erase(rush_controller_t *ctl)
{
    int      rc;
    int64_t  now;

    now = rush_now();

    rc = rush_erase_accounts(ctl);

    if (rc == RUSH_OK) {
        rc = rush_purge(ctl, RUSH_CTL_SQL_PURGE_EXPIRED,
                        now - ctl->daemon->conf.session_keep * 1000);
    }

    if (rc == RUSH_OK) {
        rc = rush_purge(ctl, RUSH_CTL_SQL_PURGE_REVOKED,
                        now - ctl->daemon->conf.session_keep * 1000
                        - RUSH_REVOKED_KEEP);
    }

    return rc;
}


static int
rush_erase_accounts(rush_controller_t *ctl)
{
    int           rc;
    size_t        i;
    int64_t       limit;
    rush_rows_t   rows;
    rush_param_t  params[2];

    memset(&rows, 0, sizeof(rush_rows_t));

    limit = rush_now() - ctl->daemon->conf.erase_after * 1000;

    params[0] = rush_p_int(limit);
    params[1] = rush_p_int(RUSH_ERASE_BATCH);

    if (rush_ctl_run(ctl, ERASE_DUE, params, 2, &rows) != RUSH_OK) {
        return RUSH_ERROR;
    }

    rc = RUSH_OK;

    for (i = 0; i < rows.n && rc == RUSH_OK && !rush_stopping(ctl->daemon);
         i++)
    {
        rc = rush_erase_one(ctl, rush_cell_int(&rows, i, 0), limit);
    }

    rush_rows_free(&rows);

    return rc;
}


/* one transaction; its first statement locks the account */

static int
rush_erase_one(rush_controller_t *ctl, int64_t id, int64_t limit)
{
    int           rc;
    size_t        i;
    int64_t       now;
    rush_rows_t   rows;
    rush_param_t  params[4];

    static const unsigned  tables[] = {
        RUSH_CTL_SQL_ERASE_SESSIONS,
        RUSH_CTL_SQL_ERASE_ADDRESSES,
        RUSH_CTL_SQL_ERASE_SPONSORS,
        RUSH_CTL_SQL_ERASE_ORDERS
    };

    memset(&rows, 0, sizeof(rush_rows_t));

    now = rush_now();

    params[0] = rush_p_int(now);
    params[1] = rush_p_int(now);
    params[2] = rush_p_int(id);
    params[3] = rush_p_int(limit);

    rc = rush_db_begin(ctl->db);

    if (rc == RUSH_OK) {
        rc = rush_ctl_run(ctl, ERASE_USER, params, 4, &rows);
    }

    if (rc == RUSH_OK && rows.affected != 1) {

        /* opened again meanwhile */

        rush_rows_free(&rows);
        rush_db_rollback(ctl->db);
        return RUSH_OK;
    }

    rush_rows_free(&rows);

    for (i = 0; i < sizeof(tables) / sizeof(tables[0]) && rc == RUSH_OK; i++)
    {
        rc = rush_db_run(ctl->db, &rush_ctl_sql[tables[i]], &params[2], 1,
                         NULL);

        if (rc == RUSH_OK && RUSH_FP("C5")) {
            rc = RUSH_ERROR;
        }
    }

    if (rc == RUSH_OK) {
        rc = rush_db_commit(ctl->db);
    }

    if (rc != RUSH_OK) {
        rush_db_rollback(ctl->db);

        /* a deadlock: again at the next tick */

        return rc == RUSH_DB_RETRY ? RUSH_OK : RUSH_ERROR;
    }

    rush_stat_add(ctl->daemon, erased, 1);
    rush_log(RUSH_LOG_INFO, "account %lld: erased", (long long) id);

    return RUSH_OK;
}


static int
rush_purge(rush_controller_t *ctl, unsigned stmt, int64_t limit)
{
    int           rc;
    rush_rows_t   rows;
    rush_param_t  params[2];

    memset(&rows, 0, sizeof(rush_rows_t));

    params[0] = rush_p_int(limit);
    params[1] = rush_p_int(RUSH_PURGE_BATCH);

    rc = rush_db_run(ctl->db, &rush_ctl_sql[stmt], params, 2, &rows);

    if (rc == RUSH_OK) {
        rush_stat_add(ctl->daemon, purged, rows.affected);
    }

    rush_rows_free(&rows);

    return (rc == RUSH_OK || rc == RUSH_DB_RETRY) ? RUSH_OK : RUSH_ERROR;
}
