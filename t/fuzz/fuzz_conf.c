
/*
 * Copyright (C) Rush
 *
 * Directives: the input is a configuration, read as "nginx -t" reads it, up
 * to the end of its blocks.  Modules are ours and those they stand on; the
 * others have directives that touch files or processes.
 *
 * What must hold: a configuration that is refused says why.
 */


#include "fuzz_nginx.h"


static ngx_cycle_t *conf_cycle(ngx_pool_t *pool, ngx_log_t *log);
static char *conf_parse(ngx_cycle_t *cycle, const uint8_t *data, size_t size);
static void conf_log(ngx_log_t *log, ngx_uint_t level, u_char *buf,
    size_t len);


static ngx_uint_t        complaints;
static ngx_open_file_t   log_file;

static const char  *allowed[] = {
    "ngx_thread_pool_module", "ngx_http_module", "ngx_http_core_module",
    "ngx_http_rush_core_module", "ngx_http_user_module",
    "ngx_http_seckill_module"
};


int
fuzz_conf(const uint8_t *data, size_t size)
{
    char         *rc;
    ngx_log_t     log;
    ngx_pool_t   *pool;
    ngx_cycle_t  *cycle;

    ngx_memzero(&log, sizeof(ngx_log_t));
    log.log_level = NGX_LOG_INFO;
    log.file = &log_file;
    log.writer = conf_log;
    complaints = 0;

    pool = ngx_create_pool(NGX_DEFAULT_POOL_SIZE, &log);
    fuzz_check(pool != NULL);

    cycle = conf_cycle(pool, &log);
    rc = conf_parse(cycle, data, size);

    fuzz_check(rc == NGX_CONF_OK || complaints != 0);

    ngx_destroy_pool(pool);

    return 0;
}


static void
conf_log(ngx_log_t *log, ngx_uint_t level, u_char *buf, size_t len)
{
    fuzz_check(level != NGX_LOG_ALERT);

    complaints += level <= NGX_LOG_EMERG;

    if (fuzz_verbose) {
        fprintf(stderr, "%.*s\n", (int) len, buf);
    }
}


/* as ngx_init_cycle() */

static ngx_cycle_t *
conf_cycle(ngx_pool_t *pool, ngx_log_t *log)
{
    ngx_uint_t    i, k, n;
    ngx_cycle_t  *cycle, *old;

    old = (ngx_cycle_t *) ngx_cycle;

    cycle = ngx_pcalloc(pool, sizeof(ngx_cycle_t));
    fuzz_check(cycle != NULL);

    cycle->pool = pool;
    cycle->log = log;
    cycle->new_log = *log;
    cycle->old_cycle = old;
    cycle->conf_prefix = old->conf_prefix;
    cycle->prefix = old->prefix;
    cycle->conf_file = old->conf_file;
    cycle->hostname = old->hostname;

    ngx_queue_init(&cycle->reusable_connections_queue);
    ngx_rbtree_init(&cycle->config_dump_rbtree, &cycle->config_dump_sentinel,
                    ngx_str_rbtree_insert_value);

    if (ngx_array_init(&cycle->paths, pool, 10, sizeof(ngx_path_t *))
        != NGX_OK
        || ngx_array_init(&cycle->config_dump, pool, 1,
                          sizeof(ngx_conf_dump_t))
           != NGX_OK
        || ngx_array_init(&cycle->listening, pool, 10,
                          sizeof(ngx_listening_t))
           != NGX_OK
        || ngx_list_init(&cycle->open_files, pool, 20,
                         sizeof(ngx_open_file_t))
           != NGX_OK
        || ngx_list_init(&cycle->shared_memory, pool, 10,
                         sizeof(ngx_shm_zone_t))
           != NGX_OK)
    {
        fuzz_check(!"memory");
    }

    cycle->modules = ngx_pcalloc(pool, (ngx_max_module + 1)
                                       * sizeof(ngx_module_t *));
    cycle->conf_ctx = ngx_pcalloc(pool, ngx_max_module * sizeof(void *));
    fuzz_check(cycle->modules != NULL && cycle->conf_ctx != NULL);

    for (i = 0; old->modules[i]; i++) {

        n = sizeof(allowed) / sizeof(allowed[0]);

        for (k = 0; k < n; k++) {
            if (ngx_strcmp(old->modules[i]->name, allowed[k]) == 0) {
                cycle->modules[cycle->modules_n++] = old->modules[i];
            }
        }
    }

    fuzz_check(cycle->modules_n == n);

    return cycle;
}


/* block by block: a file's end is not looked for, but a brace */

static char *
conf_parse(ngx_cycle_t *cycle, const uint8_t *data, size_t size)
{
    char               *rc;
    void               *ctx;
    ngx_buf_t           b;
    ngx_conf_t          conf;
    ngx_uint_t          i;
    ngx_module_t       *m;
    ngx_conf_file_t     file;
    ngx_core_module_t  *core;

    /* not one of the modules, as "load_module" is its directive */

    core = ngx_core_module.ctx;
    cycle->conf_ctx[ngx_core_module.index] = core->create_conf(cycle);
    fuzz_check(ngx_get_conf(cycle->conf_ctx, ngx_core_module) != NULL);

    for (i = 0; i < cycle->modules_n; i++) {
        m = cycle->modules[i];
        core = m->ctx;

        if (m->type == NGX_CORE_MODULE && core->create_conf) {
            ctx = core->create_conf(cycle);
            fuzz_check(ctx != NULL);
            cycle->conf_ctx[m->index] = ctx;
        }
    }

    ngx_memzero(&conf, sizeof(ngx_conf_t));
    ngx_memzero(&file, sizeof(ngx_conf_file_t));
    ngx_memzero(&b, sizeof(ngx_buf_t));

    b.start = ngx_pnalloc(cycle->pool, size + 1);
    fuzz_check(b.start != NULL);

    b.pos = b.start;
    b.last = ngx_cpymem(b.start, data, size);
    *b.last++ = '}';
    b.end = b.last;
    b.temporary = 1;

    file.file.fd = 0;                   /* never read: its size is 0 */
    ngx_str_set(&file.file.name, "fuzz");
    file.line = 1;
    file.buffer = &b;

    conf.args = ngx_array_create(cycle->pool, 10, sizeof(ngx_str_t));
    conf.temp_pool = ngx_create_pool(NGX_DEFAULT_POOL_SIZE, cycle->log);
    fuzz_check(conf.args != NULL && conf.temp_pool != NULL);

    conf.ctx = cycle->conf_ctx;
    conf.cycle = cycle;
    conf.pool = cycle->pool;
    conf.log = cycle->log;
    conf.module_type = NGX_CORE_MODULE;
    conf.cmd_type = NGX_MAIN_CONF;
    conf.conf_file = &file;

    rc = ngx_conf_parse(&conf, NULL);

    for (i = 0; rc == NGX_CONF_OK && i < cycle->modules_n; i++) {
        m = cycle->modules[i];
        core = m->ctx;

        if (m->type == NGX_CORE_MODULE && core->init_conf) {
            rc = core->init_conf(cycle, cycle->conf_ctx[m->index]);
        }
    }

    ngx_destroy_pool(conf.temp_pool);

    return rc;
}
