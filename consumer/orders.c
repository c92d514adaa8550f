
/*
 * Copyright (C) Rush
 *
 * All orders of one activity, in pieces that fit into memory.  The index
 * u_live gives live orders in pages; of the others it cannot give a page in
 * order, so they are split by user and each part is read at once.
 */


#include "controller.h"


#define RUSH_ORDERS_PART  200000        /* orders given back, about */


static int rush_orders_live(rush_controller_t *ctl, int64_t id,
    rush_order_pt handler, void *data);
static int rush_orders_back(rush_controller_t *ctl, int64_t id,
    rush_order_pt handler, void *data);


int
rush_orders_read(rush_controller_t *ctl, int64_t id, rush_order_pt handler,
    void *data)
{
    if (rush_orders_live(ctl, id, handler, data) != RUSH_OK) {
        return RUSH_ERROR;
    }

    return rush_orders_back(ctl, id, handler, data);
}


static int
rush_orders_live(rush_controller_t *ctl, int64_t id, rush_order_pt handler,
    void *data)
{
    int           rc;
    size_t        i;
    int64_t       user, slot;
    rush_rows_t   rows;
    rush_param_t  params[4];

    memset(&rows, 0, sizeof(rush_rows_t));
    user = 0;
    slot = -1;

    do {
        params[0] = rush_p_int(id);
        params[1] = rush_p_int(user);
        params[2] = rush_p_int(user);
        params[3] = rush_p_int(slot);

        rc = rush_ctl_run(ctl, ORDERS_LIVE, params, 4, &rows);

        for (i = 0; i < rows.n && rc == RUSH_OK; i++) {
            user = rush_cell_int(&rows, i, 0);
            slot = rush_cell_int(&rows, i, 1);

            rc = handler(data, user, rush_cell(&rows, i, 2),
                         rush_cell(&rows, i, 3), rush_cell_int(&rows, i, 4));
        }

    } while (rc == RUSH_OK && rows.n == RUSH_PAGE);

    rush_rows_free(&rows);

    return rc == RUSH_OK ? RUSH_OK : RUSH_ERROR;
}


static int
rush_orders_back(rush_controller_t *ctl, int64_t id, rush_order_pt handler,
    void *data)
{
    int           rc;
    size_t        i;
    int64_t       part, parts;
    rush_rows_t   rows;
    rush_param_t  params[3];

    memset(&rows, 0, sizeof(rush_rows_t));
    params[0] = rush_p_int(id);

    rc = rush_ctl_run(ctl, ORDERS_BACK_COUNT, params, 1, &rows);

    parts = rows.n ? 1 + rush_cell_int(&rows, 0, 0) / RUSH_ORDERS_PART : 0;

    for (part = 0; part < parts && rc == RUSH_OK; part++) {
        params[1] = rush_p_int(parts);
        params[2] = rush_p_int(part);

        rc = rush_ctl_run(ctl, ORDERS_BACK, params, 3, &rows);

        for (i = 0; i < rows.n && rc == RUSH_OK; i++) {
            rc = handler(data, rush_cell_int(&rows, i, 0),
                         rush_cell(&rows, i, 1), rush_cell(&rows, i, 2), 0);
        }
    }

    rush_rows_free(&rows);

    return rc == RUSH_OK ? RUSH_OK : RUSH_ERROR;
}
