
/*
 * Copyright (C) Rush
 *
 * The module: when nginx (one process, all modules ready) would begin to
 * serve, libFuzzer begins.  Its target and arguments are in the environment:
 * RUSH_FUZZ_TARGET, RUSH_FUZZ_ARGS (one a line).
 */


#include "fuzz_nginx.h"


#define MAX_ARGS  64


int LLVMFuzzerRunDriver(int *argc, char ***argv,
    int (*callback)(const uint8_t *data, size_t size));

static char *fuzz_set(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
static ngx_int_t fuzz_init_module(ngx_cycle_t *cycle);
static ngx_int_t fuzz_init_process(ngx_cycle_t *cycle);


static ngx_command_t  fuzz_commands[] = {

    /* without a directive nobody would know that it is loaded */

    { ngx_string("fuzz"),
      NGX_MAIN_CONF|NGX_DIRECT_CONF|NGX_CONF_NOARGS,
      fuzz_set,
      0,
      0,
      NULL },

      ngx_null_command
};


static ngx_core_module_t  fuzz_module_ctx = {
    ngx_string("fuzz"),
    NULL,
    NULL
};


ngx_module_t  ngx_fuzz_module = {
    NGX_MODULE_V1,
    &fuzz_module_ctx,
    fuzz_commands,
    NGX_CORE_MODULE,
    NULL,
    fuzz_init_module,
    fuzz_init_process,
    NULL,
    NULL,
    NULL,
    NULL,
    NGX_MODULE_V1_PADDING
};


/* what nginx looks for in a file of modules; longer than needed, as those of
 * our modules, found by the same names, poison what follows them */

ngx_module_t *ngx_modules[32] = { &ngx_fuzz_module, NULL };
char *ngx_module_names[32] = { "ngx_fuzz_module", NULL };
char *ngx_module_order[32] = { NULL };


static char *
fuzz_set(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    return NGX_CONF_OK;
}


static ngx_int_t
fuzz_init_module(ngx_cycle_t *cycle)
{
    if (strcmp(fuzz_target, "request") == 0) {
        fuzz_request_start();
    }

    return NGX_OK;
}


static ngx_int_t
fuzz_init_process(ngx_cycle_t *cycle)
{
    int          n, request;
    char        *args[MAX_ARGS], **argv, *p, *end;
    static char  name[128];

    n = 0;
    args[n++] = name;
    snprintf(name, sizeof(name), "%s/again", fuzz_dir);

    for (p = fuzz_args; *p && n < MAX_ARGS - 1; p = end) {
        args[n++] = p;
        end = strchr(p, '\n');

        if (end == NULL) {
            break;
        }

        *end++ = '\0';
    }

    args[n] = NULL;
    argv = args;
    request = strcmp(fuzz_target, "request") == 0;

    /* core files are modules too: this one is the last that starts */

    ngx_cycle = cycle;
    fuzz_check(dup2(fuzz_stderr, 2) == 2);
    fuzz_clock_start();

    exit(LLVMFuzzerRunDriver(&n, &argv, request ? fuzz_request : fuzz_conf));
}
