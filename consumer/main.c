
/*
 * Copyright (C) Rush
 *
 * Options, threads, signals.  Foreground, no pid file: a supervisor does
 * that.  Signals are blocked in all threads and read from a descriptor by
 * the main thread, so no handler runs anywhere.
 */


#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <curl/curl.h>

#include "pay.h"
#include "rush_crypto.h"
#include "store.h"


#define RUSH_THREADS  (RUSH_MAX_WRITERS + 8)


typedef int (*rush_thread_pt)(void *data);


typedef struct {
    pthread_t        id;
    const char      *name;
    rush_thread_pt   body;
    void            *data;
    rush_daemon_t   *daemon;
    int              rc;
} rush_thread_t;


typedef struct {
    const char      *conf;
    const char      *dead;              /* verb of --dead-letters */
    const char      *id;
    unsigned         test:1;
    unsigned         reconcile:1;
    unsigned         repair:1;
    unsigned         dry_run:1;
    unsigned         metrics:1;
    unsigned         verify:1;
} rush_options_t;


static int rush_options(rush_options_t *o, int argc, char **argv);
static int rush_serve(rush_daemon_t *d);
static int rush_start_all(rush_daemon_t *d, rush_thread_t *threads,
    rush_writer_t *writers, size_t *n);
static int rush_start(rush_daemon_t *d, rush_thread_t *t, const char *name,
    rush_thread_pt body, void *data);
static void *rush_thread(void *data);
static int rush_thread_writer(void *data);
static int rush_thread_controller(void *data);
static int rush_thread_auditor(void *data);
static int rush_thread_monitor(void *data);
static int rush_thread_orders(void *data);
static int rush_thread_courier(void *data);
static int rush_thread_asker(void *data);
static int rush_thread_cashier(void *data);
static int rush_thread_teller(void *data);
static int rush_signal(rush_daemon_t *d, int fd);
static int rush_print_metrics(void);


static const char  rush_usage[] =
    "rush-consumer [-c FILE] [-t]\n"
    "rush-consumer [-c FILE] --dead-letters list | show ID | replay ID | "
    "discard ID\n"
    "rush-consumer [-c FILE] --reconcile [--repair] [--dry-run]\n"
    "rush-consumer [-c FILE] --verify-audit\n"
    "rush-consumer --metrics | --version | --help\n"
    "\n"
    "  -c FILE         settings; variables RUSH_* stand above it\n"
    "  -t              checks the settings and exits\n"
    "  --dead-letters  looks at entries that could not be stored\n"
    "  --reconcile     compares Redis with MySQL and prints differences\n"
    "  --verify-audit  recomputes the chain of what administrators did\n"
    "  --metrics       prints names and meanings of all metrics\n";


int
main(int argc, char **argv)
{
    int             rc, failed;
    rush_daemon_t   d;
    rush_options_t  o;

    memset(&d, 0, sizeof(rush_daemon_t));

    rc = rush_options(&o, argc, argv);
    if (rc != RUSH_OK) {
        return rc;
    }

    if (o.metrics) {
        return rush_print_metrics();
    }

    /* of a tool 1 is an answer */

    failed = (o.dead != NULL || o.reconcile || o.verify) ? 2 : 1;

    if (rush_crypto_ready() != RUSH_OK) {
        fprintf(stderr, "rush-consumer: cannot start: OpenSSL is not ready\n");
        return failed;
    }

    rc = rush_conf_read(&d.conf, o.conf, stderr);

    if (rc != 0) {
        rush_conf_free(&d.conf);
        return failed;
    }

    if (o.test) {
        printf("rush-consumer: the configuration is fine\n");
        rush_conf_free(&d.conf);
        return 0;
    }

    srandom((unsigned) (rush_mono() ^ getpid()));
    (void) signal(SIGPIPE, SIG_IGN);

    d.stop_fd = eventfd(0, EFD_NONBLOCK|EFD_CLOEXEC);

    if (d.stop_fd == -1 || mysql_library_init(0, NULL, NULL) != 0
        || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
    {
        fprintf(stderr, "rush-consumer: cannot start: %s\n",
                strerror(errno));
        rush_conf_free(&d.conf);
        return failed;
    }

    if (o.dead != NULL || o.reconcile || o.verify) {

        /* the answer goes to stdout, faults as log lines to stderr */

        (void) rush_log_open("", "warn");

        rc = o.verify ? rush_audit_log_main(&d)
             : o.reconcile ? rush_reconcile_main(&d, o.repair, o.dry_run)
             : rush_dead_main(&d, o.dead, o.id);

    } else if (rush_log_open(d.conf.log, d.conf.log_level) != RUSH_OK) {
        fprintf(stderr, "rush-consumer: cannot open log \"%s\": %s\n",
                d.conf.log, strerror(errno));
        rc = 1;

    } else {
        rc = rush_serve(&d);
    }

    curl_global_cleanup();
    mysql_library_end();
    (void) close(d.stop_fd);
    rush_conf_free(&d.conf);

    return rc;
}


/* RUSH_OK, or the exit status */

static int
rush_options(rush_options_t *o, int argc, char **argv)
{
    int  c;

    static const struct option  names[] = {
        { "config", required_argument, NULL, 'c' },
        { "test", no_argument, NULL, 't' },
        { "dead-letters", required_argument, NULL, 'd' },
        { "reconcile", no_argument, NULL, 'r' },
        { "repair", no_argument, NULL, 'R' },
        { "dry-run", no_argument, NULL, 'n' },
        { "verify-audit", no_argument, NULL, 'v' },
        { "metrics", no_argument, NULL, 'm' },
        { "version", no_argument, NULL, 'V' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 }
    };

    memset(o, 0, sizeof(rush_options_t));

    for ( ;; ) {
        c = getopt_long(argc, argv, "c:tVh", names, NULL);

        if (c == -1) {
            break;
        }

        switch (c) {

        case 'c':
            o->conf = optarg;
            break;

        case 't':
            o->test = 1;
            break;

        case 'd':
            o->dead = optarg;
            break;

        case 'r':
            o->reconcile = 1;
            break;

        case 'R':
            o->repair = 1;
            break;

        case 'n':
            o->dry_run = 1;
            break;

        case 'v':
            o->verify = 1;
            break;

        case 'm':
            o->metrics = 1;
            break;

        case 'V':
            printf("rush-consumer %s\n", RUSH_VERSION);
            exit(0);

        case 'h':
            fputs(rush_usage, stdout);
            exit(0);

        default:
            fputs(rush_usage, stderr);
            return 2;
        }
    }

    if (o->dead != NULL && optind < argc) {
        o->id = argv[optind++];
    }

    if (optind < argc || (!o->reconcile && (o->repair || o->dry_run))) {
        fputs(rush_usage, stderr);
        return 2;
    }

    return RUSH_OK;
}


static int
rush_serve(rush_daemon_t *d)
{
    int            fd, sig, rc;
    size_t         i, n;
    sigset_t       set;
    rush_writer_t  writers[RUSH_MAX_WRITERS];
    rush_thread_t  threads[RUSH_THREADS];

    (void) sigemptyset(&set);
    (void) sigaddset(&set, SIGTERM);
    (void) sigaddset(&set, SIGINT);
    (void) sigaddset(&set, SIGQUIT);
    (void) sigaddset(&set, SIGUSR1);
    (void) sigaddset(&set, SIGHUP);

    if (pthread_sigmask(SIG_BLOCK, &set, NULL) != 0) {
        return 1;
    }

    sig = signalfd(-1, &set, SFD_NONBLOCK|SFD_CLOEXEC);
    if (sig == -1) {
        fprintf(stderr, "rush-consumer: signalfd: %s\n", strerror(errno));
        return 1;
    }

    fd = -1;

    if (d->conf.listen[0] != '\0') {
        fd = rush_http_listen(d->conf.listen, stderr);

        if (fd == -1) {
            (void) close(sig);
            return 1;
        }
    }

    rush_log(RUSH_LOG_INFO, "rush-consumer %s, name %s, %lld writers",
             RUSH_VERSION, d->conf.name, (long long) d->conf.writers);

    n = 0;
    memset(writers, 0, sizeof(writers));
    rc = rush_start_all(d, threads, writers, &n);

    if (rc == RUSH_OK && rush_pay_wanted(&d->conf)) {
        rc = rush_start(d, &threads[n++], "teller", rush_thread_teller, d);
    }

    if (rc != RUSH_OK) {
        n--;
        rush_stop(d);
    }

    while (!rush_stopping(d)) {

        if (rush_http_poll(d, fd, sig, 1000)) {
            (void) rush_signal(d, sig);
        }
    }

    for (i = 0; i < n; i++) {
        (void) pthread_join(threads[i].id, NULL);

        if (threads[i].rc != RUSH_OK) {
            rc = RUSH_ERROR;
        }
    }

    if (fd != -1) {
        (void) close(fd);
    }

    (void) close(sig);

    rush_log(RUSH_LOG_INFO, "stopped");

    return rc == RUSH_OK ? 0 : 1;
}


/* *n counts the one that could not be started, too */

static int
rush_start_all(rush_daemon_t *d, rush_thread_t *threads,
    rush_writer_t *writers, size_t *n)
{
    int     rc;
    size_t  i;

    const struct {
        const char      *name;
        rush_thread_pt   body;
        int              wanted;
    } bodies[] = {
        { "orders", rush_thread_orders, 1 },
        { "monitor", rush_thread_monitor, 1 },
        { "controller", rush_thread_controller, d->conf.controller != 0 },
        { "auditor", rush_thread_auditor,
          d->conf.controller != 0 && d->conf.reconcile != 0 },
        { "courier", rush_thread_courier, rush_courier_wanted(&d->conf) },
        { "wechat", rush_thread_asker, rush_wechat_wanted(&d->conf) },
        { "cashier", rush_thread_cashier, d->conf.cashier.enabled != 0 }
    };

    rc = RUSH_OK;

    for (i = 0; rc == RUSH_OK && i < (size_t) d->conf.writers; i++) {
        writers[i].daemon = d;
        writers[i].n = (int) i + 1;
        snprintf(writers[i].name, sizeof(writers[i].name), "%s-%d",
                 d->conf.name, writers[i].n);

        rc = rush_start(d, &threads[(*n)++], writers[i].name,
                        rush_thread_writer, &writers[i]);
    }

    for (i = 0; rc == RUSH_OK && i < sizeof(bodies) / sizeof(bodies[0]); i++) {

        if (bodies[i].wanted) {
            rc = rush_start(d, &threads[(*n)++], bodies[i].name,
                            bodies[i].body, d);
        }
    }

    return rc;
}


static int
rush_start(rush_daemon_t *d, rush_thread_t *t, const char *name,
    rush_thread_pt body, void *data)
{
    int  rc;

    t->name = name;
    t->body = body;
    t->data = data;
    t->daemon = d;
    t->rc = RUSH_OK;

    rc = pthread_create(&t->id, NULL, rush_thread, t);

    if (rc != 0) {
        rush_log(RUSH_LOG_ERROR, "thread %s: %s", name, strerror(rc));
        return RUSH_ERROR;
    }

    return RUSH_OK;
}


/* a thread that ends by itself takes the daemon with it: the supervisor
 * starts it again, half a daemon would go unseen */

static void *
rush_thread(void *data)
{
    rush_thread_t  *t = data;

    rush_log_thread(t->name);

    (void) mysql_thread_init();

    t->rc = t->body(t->data);

    if (!rush_stopping(t->daemon)) {
        rush_log(RUSH_LOG_ERROR, "thread ended, the daemon stops");
        t->rc = RUSH_ERROR;
        rush_stop(t->daemon);
    }

    mysql_thread_end();

    return NULL;
}


static int
rush_thread_writer(void *data)
{
    return rush_writer_run(data);
}


static int
rush_thread_controller(void *data)
{
    return rush_controller_run(data);
}


static int
rush_thread_auditor(void *data)
{
    return rush_auditor_run(data);
}


static int
rush_thread_monitor(void *data)
{
    return rush_monitor_run(data);
}


static int
rush_thread_orders(void *data)
{
    return rush_ordinary_run(data);
}


static int
rush_thread_courier(void *data)
{
    return rush_courier_run(data);
}


static int
rush_thread_asker(void *data)
{
    return rush_asker_run(data);
}


static int
rush_thread_cashier(void *data)
{
    return rush_cashier_run(data);
}


static int
rush_thread_teller(void *data)
{
    return rush_teller_run(data);
}


static int
rush_signal(rush_daemon_t *d, int fd)
{
    struct signalfd_siginfo  info;

    if (read(fd, &info, sizeof(info)) != sizeof(info)) {
        return RUSH_ERROR;
    }

    switch (info.ssi_signo) {

    case SIGUSR1:
        rush_log_reopen();
        rush_log(RUSH_LOG_INFO, "log reopened");
        break;

    case SIGHUP:
        rush_log(RUSH_LOG_INFO, "settings are read at the start only");
        break;

    default:
        rush_log(RUSH_LOG_INFO, "signal %u, batches are finished",
                 info.ssi_signo);
        rush_stop(d);
    }

    return RUSH_OK;
}


static int
rush_print_metrics(void)
{
    rush_buf_t     b;
    rush_daemon_t  d;

    memset(&b, 0, sizeof(rush_buf_t));
    memset(&d, 0, sizeof(rush_daemon_t));

    rush_metrics(&d, &b);

    if (!b.failed) {
        (void) fwrite(b.data, 1, b.len, stdout);
    }

    rush_buf_free(&b);

    return 0;
}
