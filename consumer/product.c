
/*
 * Copyright (C) Rush
 *
 * Units of ordinary orders: product.stock and product.taken.  sweep.c gives
 * back what a cancelled order held, in one transaction with its row; and
 * --reconcile compares "taken" with what the orders hold.
 */


#include <stdlib.h>

#include "controller.h"


static int rush_product_states(rush_controller_t *ctl, FILE *out,
    size_t *found);
static int rush_product_sums(rush_controller_t *ctl, FILE *out, int repair,
    size_t *found);
static int rush_product_fix(rush_controller_t *ctl, const rush_rows_t *rows,
    size_t row);
static void rush_product_tell(FILE *out, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));


int
rush_product_back(rush_controller_t *ctl, int64_t product, int64_t units)
{
    int           rc;
    rush_rows_t   rows;
    rush_param_t  params[4];

    memset(&rows, 0, sizeof(rush_rows_t));

    params[0] = rush_p_int(units);
    params[1] = rush_p_int(units);
    params[2] = rush_p_int(product);
    params[3] = rush_p_int(units);

    rc = rush_ctl_run(ctl, PRODUCT_BACK, params, 4, &rows);

    if (rc == RUSH_OK && rows.affected != 1) {
        rush_log(RUSH_LOG_ALERT, "product %lld: %lld units come back, but "
                 "fewer are taken", (long long) product, (long long) units);
        rc = RUSH_DB_DATA;
    }

    rush_rows_free(&rows);

    if (rc == RUSH_OK && RUSH_FP("O8")) {
        rush_db_close(ctl->db);
        rc = RUSH_DB_DOWN;
    }

    return rc;
}


int
rush_products_check(rush_controller_t *ctl, FILE *out, int repair,
    size_t *found)
{
    return rush_product_states(ctl, out, found) == RUSH_OK
           ? rush_product_sums(ctl, out, repair, found) : RUSH_ERROR;
}


static int
rush_product_states(rush_controller_t *ctl, FILE *out, size_t *found)
{
    size_t        i;
    rush_rows_t   rows;
    rush_param_t  param;

    memset(&rows, 0, sizeof(rush_rows_t));
    param = rush_p_int(0);

    if (rush_ctl_run(ctl, BAD_STATES, &param, 1, &rows) != RUSH_OK) {
        return RUSH_ERROR;
    }

    for (i = 0; i < rows.n; i++) {
        rush_product_tell(out, "I8 order %s has status %s with stock state "
                          "%s", (char *) rush_cell(&rows, i, 0)->data,
                          (char *) rush_cell(&rows, i, 1)->data,
                          (char *) rush_cell(&rows, i, 2)->data);
        (*found)++;
    }

    rush_rows_free(&rows);

    return RUSH_OK;
}


static int
rush_product_sums(rush_controller_t *ctl, FILE *out, int repair,
    size_t *found)
{
    int          rc;
    size_t       i;
    rush_rows_t  rows;

    memset(&rows, 0, sizeof(rush_rows_t));

    if (rush_ctl_run(ctl, PRODUCT_SUMS, NULL, 0, &rows) != RUSH_OK) {
        return RUSH_ERROR;
    }

    rc = RUSH_OK;

    for (i = 0; i < rows.n && rc == RUSH_OK; i++) {
        rush_product_tell(out, "I1 product %lld: %lld units are taken, live "
                          "orders hold %lld",
                          (long long) rush_cell_int(&rows, i, 0),
                          (long long) rush_cell_int(&rows, i, 2),
                          (long long) rush_cell_int(&rows, i, 3));
        (*found)++;

        if (repair) {
            rc = rush_product_fix(ctl, &rows, i);
        }
    }

    rush_rows_free(&rows);

    return rc;
}


/* stock and taken together stay what they are: a unit that no order holds
 * goes back on sale, one too many is taken from what is on sale */

static int
rush_product_fix(rush_controller_t *ctl, const rush_rows_t *rows, size_t row)
{
    int           rc;
    rush_rows_t   changed;
    rush_param_t  params[6];

    memset(&changed, 0, sizeof(rush_rows_t));

    params[0] = rush_p_int(rush_cell_int(rows, row, 3));
    params[1] = params[0];
    params[2] = rush_p_int(rush_cell_int(rows, row, 0));
    params[3] = rush_p_int(rush_cell_int(rows, row, 1));
    params[4] = rush_p_int(rush_cell_int(rows, row, 2));
    params[5] = params[0];

    rc = rush_ctl_run(ctl, PRODUCT_FIX, params, 6, &changed);

    if (rc == RUSH_OK && changed.affected == 1) {
        rush_stat_add(ctl->daemon, repairs, 1);
    }

    rush_rows_free(&changed);

    return rc == RUSH_OK ? RUSH_OK : RUSH_ERROR;
}


static void
rush_product_tell(FILE *out, const char *fmt, ...)
{
    char     text[200];
    va_list  args;

    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);

    if (out != NULL) {
        fprintf(out, "%s\n", text);
    }
}
