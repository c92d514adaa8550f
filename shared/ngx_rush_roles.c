
/*
 * Copyright (C) Rush
 */


#include "ngx_rush_core.h"
#include "rush_permissions.h"
#include "ngx_rush_sql.h"


/*
 * What roles may: one word of permissions for each, in a zone of its own.
 * Four times a second one worker of the node reads the table of roles.
 *
 * Who asked first is told by "asked", a number that only grows: an answer
 * that is older than what is stored changes nothing.  A zone that was never
 * filled, or has not heard from MySQL for a while, knows nothing: then nobody
 * may anything, and the answer is BUSY, not no.
 */


#define NGX_RUSH_ROLES_LAYOUT  0x524f4c01
#define NGX_RUSH_ROLES_PERIOD  250      /* ms */
#define NGX_RUSH_ROLES_LEASE   225      /* ms, under the period */
#define NGX_RUSH_ROLES_STALE   10000    /* ms */

/* beside the permissions, which are below: the role exists */
#define NGX_RUSH_ROLE_EXISTS   ((uint64_t) 1 << 63)


typedef struct {                        /* in shm */
    ngx_atomic_t          lease;
    ngx_atomic_t          asked;        /* questions so far */
    ngx_atomic_t          told;         /* number of the one answered last */
    ngx_atomic_t          heard;        /* ms, 0: never */
    u_char                pad[96];
    ngx_atomic_t          roles[RUSH_MAX_ROLES];    /* index: id - 1 */
} ngx_rush_roles_sh_t;


static void ngx_rush_roles_handler(ngx_event_t *ev);
static void ngx_rush_roles_answer(void *data, ngx_rush_rows_t *rows,
    ngx_int_t rc);
static ngx_uint_t ngx_rush_roles_known(void);


static ngx_rush_roles_sh_t  *ngx_rush_roles_sh;
static ngx_event_t           ngx_rush_roles_event;
static ngx_connection_t      ngx_rush_roles_dummy;


ngx_int_t
ngx_rush_may(int64_t roles, ngx_uint_t permission)
{
    if (roles == 0) {
        return RUSH_FORBIDDEN;
    }

    if (!ngx_rush_roles_known()) {
        return RUSH_BUSY;
    }

    return (ngx_rush_permissions(roles) >> permission & 1) ? RUSH_OK
                                                           : RUSH_FORBIDDEN;
}


int64_t
ngx_rush_permissions(int64_t roles)
{
    int64_t     may;
    ngx_uint_t  i;

    may = 0;

    for (i = 0; ngx_rush_roles_sh && i < RUSH_MAX_ROLES; i++) {

        if (roles >> i & 1) {
            may |= (int64_t) (ngx_rush_roles_sh->roles[i]
                              & ~NGX_RUSH_ROLE_EXISTS);
        }
    }

    return may;
}


ngx_uint_t
ngx_rush_roles_exist(int64_t roles)
{
    ngx_uint_t  i;

    if (ngx_rush_roles_sh == NULL || roles >> RUSH_MAX_ROLES) {
        return 0;
    }

    for (i = 0; i < RUSH_MAX_ROLES; i++) {

        if ((roles >> i & 1)
            && !(ngx_rush_roles_sh->roles[i] & NGX_RUSH_ROLE_EXISTS))
        {
            return 0;
        }
    }

    return 1;
}


ngx_msec_t
ngx_rush_roles_age(void)
{
    ngx_msec_int_t  age;

    if (ngx_rush_roles_sh == NULL || ngx_rush_roles_sh->heard == 0) {
        return (ngx_msec_t) -1;
    }

    age = (ngx_msec_int_t) (ngx_current_msec - ngx_rush_roles_sh->heard);

    return ngx_max(age, 0);             /* another worker's clock is ahead */
}


static ngx_uint_t
ngx_rush_roles_known(void)
{
    return ngx_rush_roles_age() <= NGX_RUSH_ROLES_STALE;
}


static void
ngx_rush_roles_handler(ngx_event_t *ev)
{
    uint64_t  n;

    if (ngx_exiting) {
        return;
    }

    if (ngx_rush_lease(&ngx_rush_roles_sh->lease, NGX_RUSH_ROLES_LEASE)
        == NGX_OK)
    {
        n = ngx_atomic_fetch_add(&ngx_rush_roles_sh->asked, 1) + 1;

        /* refused: MySQL is down, the next turn asks again */

        (void) ngx_rush_mysql_send(&ngx_rush_sql[NGX_RUSH_SQL_ROLES], NULL, 0,
                                   ngx_rush_roles_answer, (void *) n);
    }

    ngx_add_timer(ev, NGX_RUSH_ROLES_PERIOD);
}


static void
ngx_rush_roles_answer(void *data, ngx_rush_rows_t *rows, ngx_int_t rc)
{
    int64_t     id;
    uint64_t    n, told, roles[RUSH_MAX_ROLES];
    ngx_uint_t  i;

    if (rc != NGX_OK || rows->cols != 2) {
        return;                         /* the driver has logged it */
    }

    ngx_memzero(roles, sizeof(roles));

    for (i = 0; i < rows->n; i++) {
        id = ngx_rush_cell_int(rows, i, 0);

        if (id >= 1 && id <= RUSH_MAX_ROLES) {
            roles[id - 1] = (ngx_rush_cell_int(rows, i, 1) & RUSH_MAY_ALL)
                            | NGX_RUSH_ROLE_EXISTS;
        }
    }

    n = (uintptr_t) data;

    do {
        told = ngx_rush_roles_sh->told;

        if (told >= n) {
            return;                     /* a later question was answered */
        }

    } while (!ngx_atomic_cmp_set(&ngx_rush_roles_sh->told, told, n));

    for (i = 0; i < RUSH_MAX_ROLES; i++) {
        ngx_rush_roles_sh->roles[i] = roles[i];
    }

    ngx_rush_roles_sh->heard = ngx_max(ngx_current_msec, 1);
}


ngx_int_t
ngx_rush_roles_zone(ngx_conf_t *cf)
{
    ngx_rush_zone_t  *zone;

    zone = ngx_pcalloc(cf->pool, sizeof(ngx_rush_zone_t));
    if (zone == NULL) {
        return NGX_ERROR;
    }

    ngx_str_set(&zone->name, "rush_roles");
    zone->min = sizeof(ngx_rush_roles_sh_t);
    zone->size = 8 * ngx_pagesize;
    zone->layout = NGX_RUSH_ROLES_LAYOUT;
    zone->tag = &ngx_http_rush_core_module;
    zone->link = (void **) &ngx_rush_roles_sh;

    return ngx_rush_zone_add(cf, zone);
}


void
ngx_rush_roles_init(ngx_cycle_t *cycle)
{
    ngx_rush_roles_dummy.fd = (ngx_socket_t) -1;

    ngx_rush_roles_event.handler = ngx_rush_roles_handler;
    ngx_rush_roles_event.data = &ngx_rush_roles_dummy;
    ngx_rush_roles_event.log = cycle->log;
    ngx_rush_roles_event.cancelable = 1;

    ngx_add_timer(&ngx_rush_roles_event, 1);
}
