
/*
 * Copyright (C) Rush
 */


#include "ngx_rush_events_int.h"

#include <signal.h>


/*
 * The directive of event streams, and how many listeners the node has: each
 * worker has a place in a zone with its pid and its number.  Of a worker that
 * was killed both stay behind, so places of processes that are gone do not
 * count, and the next one takes them.
 */


#define NGX_RUSH_EVENTS_LAYOUT   0x45565401
#define NGX_RUSH_EVENTS_PLACES   256


typedef struct {
    ngx_atomic_t             pid;           /* 0: free */
    ngx_atomic_t             n;
} ngx_rush_events_place_t;


typedef struct {
    ngx_rush_events_place_t  places[NGX_RUSH_EVENTS_PLACES];
} ngx_rush_events_sh_t;


typedef struct {
    ngx_str_t                name;
    size_t                   offset;        /* of an ngx_uint_t */
    ngx_uint_t               least;
    ngx_uint_t               most;
    ngx_uint_t               usual;
    ngx_uint_t               ms;            /* 1: a time */
} ngx_rush_events_option_t;


static char *ngx_rush_events_set(ngx_conf_t *cf, ngx_str_t *value,
    ngx_rush_events_conf_t *conf);
static void ngx_rush_events_take_place(void);
static ngx_uint_t ngx_rush_events_lives(ngx_atomic_uint_t pid);


/* without "max", half of the connections of a worker: the rest is for who
 * buys */

static ngx_rush_events_option_t  ngx_rush_events_options[] = {
    { ngx_string("max="), offsetof(ngx_rush_events_conf_t, max),
      1, 1000000, 0, 0 },
    { ngx_string("user="), offsetof(ngx_rush_events_conf_t, user),
      1, 1000000, 8, 0 },
    { ngx_string("address="), offsetof(ngx_rush_events_conf_t, address),
      1, 1000000, 256, 0 },
    { ngx_string("heartbeat="), offsetof(ngx_rush_events_conf_t, heartbeat),
      100, 600000, 15000, 1 },
    { ngx_string("lifetime="), offsetof(ngx_rush_events_conf_t, lifetime),
      1000, 86400000, 1800000, 1 },
    { ngx_string("stall="), offsetof(ngx_rush_events_conf_t, stall),
      100, 600000, 10000, 1 },
    { ngx_null_string, 0, 0, 0, 0, 0 }
};

_Static_assert(sizeof(ngx_uint_t) == sizeof(ngx_msec_t),
               "numbers and times are set in the same way");

#define ngx_rush_events_field(conf, option)                                   \
    ((ngx_uint_t *) ((char *) (conf) + (option)->offset))


static ngx_rush_events_sh_t     *ngx_rush_events_sh;
static ngx_rush_events_place_t  *ngx_rush_events_mine;


void
ngx_rush_events_unset(ngx_rush_events_conf_t *conf)
{
    ngx_rush_events_option_t  *option;

    for (option = ngx_rush_events_options; option->name.len; option++) {
        *ngx_rush_events_field(conf, option) = NGX_CONF_UNSET_UINT;
    }
}


char *
ngx_rush_events_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char        *p = conf;

    char        *rv;
    ngx_str_t   *value;
    ngx_uint_t   i;

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {
        rv = ngx_rush_events_set(cf, &value[i], (ngx_rush_events_conf_t *)
                                                (p + cmd->offset));
        if (rv != NGX_CONF_OK) {
            return rv;
        }
    }

    return NGX_CONF_OK;
}


static char *
ngx_rush_events_set(ngx_conf_t *cf, ngx_str_t *value,
    ngx_rush_events_conf_t *conf)
{
    ngx_int_t                  n;
    ngx_str_t                  s;
    ngx_uint_t                *field;
    ngx_rush_events_option_t  *option;

    for (option = ngx_rush_events_options; option->name.len; option++) {

        if (value->len > option->name.len
            && ngx_strncmp(value->data, option->name.data, option->name.len)
               == 0)
        {
            break;
        }
    }

    if (option->name.len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid parameter \"%V\"",
                           value);
        return NGX_CONF_ERROR;
    }

    field = ngx_rush_events_field(conf, option);

    if (*field != NGX_CONF_UNSET_UINT) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"%V\" stands twice",
                           value);
        return NGX_CONF_ERROR;
    }

    s.data = value->data + option->name.len;
    s.len = value->len - option->name.len;

    n = option->ms ? ngx_parse_time(&s, 0) : ngx_atoi(s.data, s.len);

    if (n == NGX_ERROR || (ngx_uint_t) n < option->least
        || (ngx_uint_t) n > option->most)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" is not valid, from %ui to %ui%s", value,
                           option->least, option->most,
                           option->ms ? "ms" : "");
        return NGX_CONF_ERROR;
    }

    *field = n;

    return NGX_CONF_OK;
}


char *
ngx_rush_events_conf(ngx_conf_t *cf, ngx_rush_events_conf_t *conf)
{
    ngx_uint_t                *field;
    ngx_rush_events_option_t  *option;

    for (option = ngx_rush_events_options; option->name.len; option++) {
        field = ngx_rush_events_field(conf, option);
        ngx_conf_init_uint_value(*field, option->usual);
    }

    return NGX_CONF_OK;
}


ngx_int_t
ngx_rush_events_zone(ngx_conf_t *cf)
{
    ngx_rush_zone_t  *zone;

    zone = ngx_pcalloc(cf->pool, sizeof(ngx_rush_zone_t));
    if (zone == NULL) {
        return NGX_ERROR;
    }

    ngx_str_set(&zone->name, "rush_events");
    zone->min = sizeof(ngx_rush_events_sh_t);
    zone->size = 8 * ngx_pagesize;
    zone->layout = NGX_RUSH_EVENTS_LAYOUT;
    zone->tag = &ngx_http_rush_core_module;
    zone->link = (void **) &ngx_rush_events_sh;

    return ngx_rush_zone_add(cf, zone);
}


void
ngx_rush_events_gauge(ngx_uint_t n)
{
    if (ngx_rush_events_mine == NULL) {
        ngx_rush_events_take_place();
    }

    if (ngx_rush_events_mine) {
        ngx_rush_events_mine->n = n;
    }
}


static void
ngx_rush_events_take_place(void)
{
    ngx_uint_t                i;
    ngx_atomic_uint_t         pid;
    ngx_rush_events_place_t  *place;

    for (i = 0; i < NGX_RUSH_EVENTS_PLACES; i++) {
        place = &ngx_rush_events_sh->places[i];
        pid = place->pid;

        if (!ngx_rush_events_lives(pid)
            && ngx_atomic_cmp_set(&place->pid, pid, ngx_pid))
        {
            ngx_rush_events_mine = place;
            return;
        }
    }
}


static ngx_uint_t
ngx_rush_events_lives(ngx_atomic_uint_t pid)
{
    return pid && (kill(pid, 0) == 0 || ngx_errno != NGX_ESRCH);
}


void
ngx_rush_events_exit(void)
{
    if (ngx_rush_events_mine) {
        ngx_rush_events_mine->n = 0;
        ngx_rush_events_mine->pid = 0;
        ngx_rush_events_mine = NULL;
    }
}


void
ngx_rush_events_metrics(rush_buf_t *b)
{
    uint64_t                  n;
    ngx_uint_t                i;
    ngx_rush_events_place_t  *place;

    n = 0;

    for (i = 0; ngx_rush_events_sh && i < NGX_RUSH_EVENTS_PLACES; i++) {
        place = &ngx_rush_events_sh->places[i];

        if (place->n && ngx_rush_events_lives(place->pid)) {
            n += place->n;
        }
    }

    rush_buf_printf(b, "# HELP rush_events_listeners Listeners of event "
                       "streams, of all workers\n"
                       "# TYPE rush_events_listeners gauge\n"
                       "rush_events_listeners %llu\n",
                    (unsigned long long) n);
}
