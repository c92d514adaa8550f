
/*
 * Copyright (C) Rush
 */


#include "ngx_rush_shm.h"
#include "ngx_rush_counters.h"
#include "rush_id.h"


/*
 * Zones of shared memory, leases, and the zone of the core itself.
 *
 * A zone is one block, taken from the slab allocator as a whole when the
 * memory is fresh: nginx expects its own header with sp->mutex at the start
 * of a zone (the master releases it when a worker dies), so that stays as it
 * is and is never used.  The block begins with ngx_rush_zone_head_t, the rest
 * belongs to the owner:
 *
 *     ngx_slab_pool_t, page table | head, 128 bytes | base ... base + usable
 *
 * Three ways into ngx_rush_zone_map(): fresh memory is laid out; a zone that
 * lives on over a reload, or exists already, is only looked at: magic, layout
 * and size must be ours.  Nothing is written to live contents, since the
 * configuration that asks may still fail.
 *
 * Where a worker finds its zones is settled when it starts, from the cycle
 * it lives in.  Pointers set while a configuration is read would, after a
 * failed reload, lead the next worker into memory that is gone.
 *
 * A changed size makes a new, empty zone; the workers of the old
 * configuration keep theirs until they leave.  The core zone has one fixed
 * size, hence ids go on over every reload.
 *
 * Two masters at a time (binary upgrade by USR2) have two core zones: one
 * takes the even ids, the other the odd ones.  Which one is told to the next
 * master by the environment.
 */


#define NGX_RUSH_ZONE_MAGIC    0x31656e6f7a687372ULL

#define NGX_RUSH_CORE_LAYOUT   0x434f5201
#define NGX_RUSH_CORE_WARN     10000        /* ms */
#define NGX_RUSH_HALF          "RUSH_ID_HALF"

typedef struct {
    uint64_t              magic;
    uint64_t              usable;
    uint32_t              layout;
    uint32_t              size;         /* of this structure */
    u_char                pad[104];
} ngx_rush_zone_head_t;


typedef struct {
    ngx_atomic_t          state;        /* see rush_id.h */
    u_char                pad[120];
    ngx_atomic_t          warned;       /* lease */
    u_char                pad2[120];
} ngx_rush_core_sh_t;


_Static_assert(sizeof(ngx_rush_zone_head_t) == 128, "a head is two lines");


static size_t ngx_rush_zone_least(size_t min);
static ngx_int_t ngx_rush_zone_map(ngx_shm_zone_t *shm_zone, void *data);
static ngx_int_t ngx_rush_zone_check(ngx_shm_zone_t *shm_zone,
    ngx_rush_zone_head_t *head);
static ngx_rush_zone_head_t *ngx_rush_zone_create(ngx_shm_zone_t *shm_zone);
static ngx_int_t ngx_rush_core_half(ngx_cycle_t *cycle);
static ngx_int_t ngx_rush_core_fresh(void *base, size_t size, ngx_log_t *log);


static ngx_int_t            ngx_rush_id_half = NGX_CONF_UNSET;
static ngx_uint_t           ngx_rush_id_node;
static ngx_rush_core_sh_t  *ngx_rush_core_sh;


ngx_int_t
ngx_rush_zone_add(ngx_conf_t *cf, ngx_rush_zone_t *zone)
{
    size_t           least;
    ngx_shm_zone_t  *shm_zone;

    least = ngx_rush_zone_least(zone->min);

    if (zone->size < least) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "zone \"%V\" of %uz bytes is too small, "
                      "at least %uz are needed",
                      &zone->name, zone->size, least);
        return NGX_ERROR;
    }

    shm_zone = ngx_shared_memory_add(cf, &zone->name, zone->size, zone->tag);
    if (shm_zone == NULL) {
        return NGX_ERROR;
    }

    if (shm_zone->data) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "zone \"%V\" is added twice", &zone->name);
        return NGX_ERROR;
    }

    shm_zone->init = ngx_rush_zone_map;
    shm_zone->data = zone;

    return NGX_OK;
}


/* bytes of a zone that leave min usable ones: whole pages of them, a row of
 * the page table for each, the slab header and what alignment takes */

static size_t
ngx_rush_zone_least(size_t min)
{
    size_t  pages;

    pages = (min + sizeof(ngx_rush_zone_head_t) + ngx_pagesize - 1)
            / ngx_pagesize;

    return (pages + 2) * ngx_pagesize
           + ngx_align(pages * sizeof(ngx_slab_page_t), ngx_pagesize);
}


static ngx_int_t
ngx_rush_zone_map(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_rush_zone_t  *zone = shm_zone->data;

    ngx_slab_pool_t       *sp;
    ngx_rush_zone_head_t  *head;

    sp = (ngx_slab_pool_t *) shm_zone->shm.addr;
    head = sp->data;

    if (head) {

        if (ngx_rush_zone_check(shm_zone, head) != NGX_OK) {
            return NGX_ERROR;
        }

    } else {

        head = ngx_rush_zone_create(shm_zone);
        if (head == NULL) {
            return NGX_ERROR;
        }

        sp->data = head;
    }

    zone->base = head + 1;
    zone->usable = head->usable;

    return NGX_OK;
}


static ngx_int_t
ngx_rush_zone_check(ngx_shm_zone_t *shm_zone, ngx_rush_zone_head_t *head)
{
    ngx_rush_zone_t  *zone = shm_zone->data;

    if (head->magic != NGX_RUSH_ZONE_MAGIC
        || head->size != sizeof(ngx_rush_zone_head_t)
        || head->layout != zone->layout)
    {
        ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, 0,
                      "zone \"%V\" has layout %08xD, this build needs %08xD: "
                      "restart nginx or change the size of the zone",
                      &zone->name, head->layout, zone->layout);
        return NGX_ERROR;
    }

    if (head->usable < zone->min) {
        ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, 0,
                      "zone \"%V\" has %uL usable bytes, %uz are needed",
                      &zone->name, head->usable, zone->min);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_rush_zone_head_t *
ngx_rush_zone_create(ngx_shm_zone_t *shm_zone)
{
    ngx_rush_zone_t  *zone = shm_zone->data;

    size_t                 size;
    ngx_slab_pool_t       *sp;
    ngx_rush_zone_head_t  *head;

    sp = (ngx_slab_pool_t *) shm_zone->shm.addr;
    size = (size_t) sp->pfree * ngx_pagesize;

    if (size < zone->min + sizeof(ngx_rush_zone_head_t)) {
        ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, 0,
                      "zone \"%V\" has %uz usable bytes, %uz are needed",
                      &zone->name, size, zone->min);
        return NULL;
    }

    head = ngx_slab_alloc(sp, size);
    if (head == NULL) {
        return NULL;
    }

    /* touches each page: memory that is not there shows now, not later */

    ngx_memzero(head, size);

    head->usable = size - sizeof(ngx_rush_zone_head_t);
    head->layout = zone->layout;
    head->size = sizeof(ngx_rush_zone_head_t);

    if (zone->init
        && zone->init(head + 1, head->usable, shm_zone->shm.log) != NGX_OK)
    {
        return NULL;
    }

    head->magic = NGX_RUSH_ZONE_MAGIC;

    return head;
}


void
ngx_rush_zone_attach(ngx_cycle_t *cycle)
{
    ngx_uint_t             i;
    ngx_list_part_t       *part;
    ngx_rush_zone_t       *zone;
    ngx_shm_zone_t        *shm_zone;
    ngx_slab_pool_t       *sp;
    ngx_rush_zone_head_t  *head;

    part = &cycle->shared_memory.part;
    shm_zone = part->elts;

    for (i = 0; /* void */ ; i++) {

        if (i >= part->nelts) {
            if (part->next == NULL) {
                break;
            }

            part = part->next;
            shm_zone = part->elts;
            i = 0;
        }

        if (shm_zone[i].init != ngx_rush_zone_map) {
            continue;
        }

        zone = shm_zone[i].data;
        sp = (ngx_slab_pool_t *) shm_zone[i].shm.addr;
        head = sp->data;

        zone->base = head + 1;
        zone->usable = head->usable;

        if (zone->link) {
            *zone->link = zone->base;
        }
    }
}


/* MurmurHash64A, Austin Appleby, public domain; the same on every node of
 * one byte order */

uint64_t
ngx_rush_hash(const void *data, size_t len, uint64_t seed)
{
    const u_char  *p = data;

    uint64_t               h, k;
    static const uint64_t  m = 0xc6a4a7935bd1e995ULL;

    h = seed ^ (len * m);

    while (len >= 8) {
        ngx_memcpy(&k, p, 8);

        k *= m;
        k ^= k >> 47;
        k *= m;

        h ^= k;
        h *= m;

        p += 8;
        len -= 8;
    }

    if (len) {
        k = 0;
        ngx_memcpy(&k, p, len);

        h ^= k;
        h *= m;
    }

    h ^= h >> 47;
    h *= m;
    h ^= h >> 47;

    return h;
}


/*
 * The word is the ms until which the job is taken.  ngx_current_msec is a
 * monotonic clock that all processes of a host share; each keeps a copy as
 * old as its turn of the event loop, so a job may come again that much too
 * early.  Nobody has to give a lease back, so nobody can fail to.
 */

ngx_int_t
ngx_rush_lease(ngx_atomic_t *lease, ngx_msec_t ms)
{
    ngx_atomic_uint_t  old;

    old = *lease;

    if ((ngx_msec_int_t) (old - ngx_current_msec) > 0) {
        return NGX_DECLINED;
    }

    if (ngx_atomic_cmp_set(lease, old, ngx_current_msec + ms)) {
        return NGX_OK;
    }

    return NGX_DECLINED;
}


ngx_int_t
ngx_rush_core_zone(ngx_conf_t *cf)
{
    ngx_rush_zone_t  *zone;

    zone = ngx_pcalloc(cf->pool, sizeof(ngx_rush_zone_t));
    if (zone == NULL || ngx_rush_core_half(cf->cycle) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_str_set(&zone->name, "rush_core");
    zone->min = sizeof(ngx_rush_core_sh_t);
    zone->size = ngx_max(ngx_rush_zone_least(zone->min), 8 * ngx_pagesize);
    zone->layout = NGX_RUSH_CORE_LAYOUT;
    zone->init = ngx_rush_core_fresh;
    zone->tag = &ngx_http_rush_core_module;
    zone->link = (void **) &ngx_rush_core_sh;

    return ngx_rush_zone_add(cf, zone);
}


/*
 * nginx hands the variables of "env" on to the binary that follows.  Ours is
 * read once: without a master the environment becomes that of the follower.
 */

static ngx_int_t
ngx_rush_core_half(ngx_cycle_t *cycle)
{
    char             *value;
    ngx_str_t        *env;
    ngx_core_conf_t  *ccf;

    if (ngx_rush_id_half == NGX_CONF_UNSET) {
        value = getenv(NGX_RUSH_HALF);
        ngx_rush_id_half = (value != NULL && value[0] == '1');
    }

    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);

    env = ngx_array_push(&ccf->env);
    if (env == NULL) {
        return NGX_ERROR;
    }

    /* the name only, as after "env name=value" */

    env->data = (u_char *) (ngx_rush_id_half ? NGX_RUSH_HALF "=0"
                                             : NGX_RUSH_HALF "=1");
    env->len = sizeof(NGX_RUSH_HALF) - 1;

    return NGX_OK;
}


/*
 * Who had this node id before was at most RUSH_ID_MAX_AHEAD ms ahead of the
 * clock, so a start as far ahead repeats none of its ids, however quickly it
 * follows, as long as the clock was not set back in between.
 */

static ngx_int_t
ngx_rush_core_fresh(void *base, size_t size, ngx_log_t *log)
{
    ngx_rush_core_sh_t  *sh = base;

    int64_t              now;

    now = ngx_rush_now_ms();

    if (now < RUSH_ID_EPOCH) {
        ngx_log_error(NGX_LOG_EMERG, log, 0,
                      "system clock stands before 2024, "
                      "ids cannot be made from it");
        return NGX_ERROR;
    }

    sh->state = ((uint64_t) (now - RUSH_ID_EPOCH + RUSH_ID_MAX_AHEAD) << 12)
                - 1;

    return NGX_OK;
}


void
ngx_rush_id_init(ngx_uint_t node)
{
    ngx_rush_id_node = node;

    ngx_rush_zone_attach((ngx_cycle_t *) ngx_cycle);
}


int64_t
ngx_rush_id(void)
{
    int64_t  id;

    if (ngx_rush_core_sh == NULL) {
        return 0;
    }

    do {
        id = rush_id_next(&ngx_rush_core_sh->state, ngx_rush_now_ms(),
                          ngx_rush_id_node);
    } while (id != 0 && (id & 1) != ngx_rush_id_half);

    if (id != 0) {
        return id;
    }

    ngx_rush_count(NGX_RUSH_C_ID_REFUSED, 1);

    if (ngx_rush_lease(&ngx_rush_core_sh->warned, NGX_RUSH_CORE_WARN)
        == NGX_OK)
    {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "ids are ahead of the system clock (it was set back, or "
                      "too many are asked for), none until it catches up");
    }

    return 0;
}


/* not ngx_timeofday(): that one is as old as the turn of the event loop */

int64_t
ngx_rush_now_ms(void)
{
    struct timespec  ts;

    /* cannot fail for this clock */

    (void) clock_gettime(CLOCK_REALTIME, &ts);

    return (int64_t) ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}
