
/*
 * Copyright (C) Rush
 *
 * Compares all activities from time to time, and whether the books balance,
 * in a thread of its own: a large sale takes minutes, and neither a sale that
 * is to stop nor a Redis that has come back waits for that.  It changes
 * nothing, and looks only where the controller of this process is at work.
 *
 * The controller does not wait for it, either: what seems to differ may be an
 * act of which one half is done, so only what is found each time is told.
 */


#include <stdlib.h>

#include "controller.h"


#define RUSH_AUDITOR_PAUSE  100         /* ms */
#define RUSH_AUDITOR_TRIES  3


static void rush_auditor_pass(rush_controller_t *ctl);
static int rush_auditor_activity(rush_controller_t *ctl, int64_t id,
    size_t *found);
static int rush_auditor_look(rush_controller_t *ctl, const rush_wish_t *wish,
    rush_audit_t *audit, char **lines);
static void rush_auditor_tell(char *lines);


int
rush_auditor_run(rush_daemon_t *d)
{
    int64_t            next, now;
    rush_controller_t  ctl;

    if (rush_controller_open(&ctl, d, "auditor") != RUSH_OK) {
        return RUSH_ERROR;
    }

    next = 0;

    while (!rush_wait(d, RUSH_AUDITOR_PAUSE)) {
        now = rush_mono();

        if (now < next || !rush_stat_get(d, controller)
            || rush_db_ready(ctl.db) != RUSH_OK
            || rush_redis_ready(ctl.rd) != RUSH_OK)
        {
            continue;
        }

        ctl.run_id[0] = '\0';           /* the controller looks at that */

        if (rush_gate(&ctl) == 1) {
            next = now + d->conf.reconcile * 1000000;
            rush_auditor_pass(&ctl);
        }
    }

    rush_controller_close(&ctl);

    return RUSH_OK;
}


/* what could not be compared to the end is told as it was */

static void
rush_auditor_pass(rush_controller_t *ctl)
{
    size_t        i, found;
    rush_audit_t  books;

    found = 0;

    if (rush_wishes_read(ctl, RUSH_CTL_SQL_ACTIVITIES) != RUSH_OK) {
        return;
    }

    for (i = 0; i < ctl->n; i++) {
        if (rush_auditor_activity(ctl, ctl->wishes[i].id, &found) != RUSH_OK) {
            return;
        }
    }

    memset(&books, 0, sizeof(rush_audit_t));
    books.ctl = ctl;

    if (rush_books(&books, 1) == RUSH_OK) {
        rush_stat_set(ctl->daemon, differences, found + books.found);
    }
}


static int
rush_auditor_activity(rush_controller_t *ctl, int64_t id, size_t *found)
{
    int           rc, try;
    char         *lines;
    rush_wish_t   wish;
    rush_audit_t  audit;

    lines = NULL;
    rc = RUSH_OK;

    for (try = 0; try < RUSH_AUDITOR_TRIES; try++) {
        free(lines);
        lines = NULL;

        if (rush_stopping(ctl->daemon)
            || rush_wish_read(ctl, id, &wish) != RUSH_OK
            || rush_auditor_look(ctl, &wish, &audit, &lines) != RUSH_OK)
        {
            rc = RUSH_ERROR;
            break;
        }

        if (audit.found == 0) {
            break;
        }

        if (try + 1 == RUSH_AUDITOR_TRIES) {
            rush_auditor_tell(lines);
            *found += audit.found;

        } else if (rush_audit_wait(&audit)) {
            rc = RUSH_ERROR;
            break;
        }
    }

    free(lines);

    return rc;
}


/* lines: the caller's, also without success */

static int
rush_auditor_look(rush_controller_t *ctl, const rush_wish_t *wish,
    rush_audit_t *audit, char **lines)
{
    int      rc;
    FILE    *out;
    size_t   size;

    out = open_memstream(lines, &size);
    if (out == NULL) {
        return RUSH_ERROR;
    }

    rc = rush_reconcile(ctl, wish, 0, out, audit);

    return fclose(out) == 0 ? rc : RUSH_ERROR;
}


static void
rush_auditor_tell(char *lines)
{
    char  *line, *rest;

    for (line = strtok_r(lines, "\n", &rest);
         line != NULL;
         line = strtok_r(NULL, "\n", &rest))
    {
        rush_log(RUSH_LOG_WARN, "reconcile: %s", line);
    }
}
