
/*
 * Copyright (C) Rush
 */


#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <stdlib.h>
#include <unistd.h>

#include "conf.h"
#include "rush_field.h"


#define RUSH_CONF_MAX_SECRET  1024


typedef struct {
    rush_conf_t       *conf;
    const char        *file;
    FILE              *err;
    int                line;            /* of the last handled setting */
    int                faults;
} rush_conf_ctx_t;


static int rush_conf_value(rush_conf_ctx_t *ctx, const rush_setting_t *s,
    const char *where, const char *value);
static int rush_conf_handler(void *user, const char *section,
    const char *name, const char *value);
static void rush_conf_env(rush_conf_ctx_t *ctx);
static void rush_conf_check(rush_conf_ctx_t *ctx);
static void rush_conf_secret(rush_conf_ctx_t *ctx, const char *where,
    const char *file, char **secret);
static void rush_conf_seal(rush_conf_ctx_t *ctx);
static void rush_conf_wipe(char **secret);
static void rush_conf_name(rush_conf_ctx_t *ctx);


int
rush_conf_read(rush_conf_t *conf, const char *file, FILE *err)
{
    int                    rc;
    size_t                 i;
    rush_conf_ctx_t        ctx;

    memset(conf, 0, sizeof(rush_conf_t));
    memset(&ctx, 0, sizeof(rush_conf_ctx_t));

    ctx.conf = conf;
    ctx.file = file;
    ctx.err = err;

    for (i = 0; i < rush_nsettings; i++) {
        (void) rush_conf_value(&ctx, &rush_settings[i], "default",
                               rush_settings[i].dflt);
    }

    if (ctx.faults) {
        return ctx.faults;
    }

    if (file != NULL) {
        rc = ini_parse(file, rush_conf_handler, &ctx);

        if (rc == -1) {
            fprintf(err, "%s: cannot read: %s\n", file, strerror(errno));
            ctx.faults++;

        } else if (rc != 0 && ctx.faults == 0) {
            fprintf(err, "%s:%d: not a \"name = value\" line\n", file, rc);
            ctx.faults++;
        }
    }

    rush_conf_env(&ctx);
    rush_conf_name(&ctx);
    rush_conf_secret(&ctx, "[redis] \"password_file\"",
                     conf->redis.password_file, &conf->redis.password);
    rush_conf_secret(&ctx, "[mysql] \"password_file\"",
                     conf->mysql.password_file, &conf->mysql.password);
    rush_conf_secret(&ctx, "[sms] \"secret_file\"",
                     conf->courier.sms_secret_file, &conf->courier.sms_secret);
    rush_conf_secret(&ctx, "[mail] \"password_file\"",
                     conf->courier.mail_password_file,
                     &conf->courier.mail_password);
    rush_conf_secret(&ctx, "[wechat] \"secret_file\"",
                     conf->wechat.secret_file, &conf->wechat.secret);
    rush_conf_seal(&ctx);

    rush_conf_check(&ctx);
    ctx.faults += rush_courier_check(conf, err);
    ctx.faults += rush_wechat_check(conf, err);
    ctx.faults += rush_pay_check(conf, err);

    return ctx.faults;
}


void
rush_conf_free(rush_conf_t *conf)
{
    char    **p;
    size_t    i;

    for (i = 0; i < rush_nsettings; i++) {

        if (rush_settings[i].type == RUSH_C_STR) {
            p = (char **) ((char *) conf + rush_settings[i].offset);
            free(*p);
            *p = NULL;
        }
    }

    rush_conf_wipe(&conf->redis.password);
    rush_conf_wipe(&conf->mysql.password);
    rush_conf_wipe(&conf->courier.sms_secret);
    rush_conf_wipe(&conf->courier.mail_password);
    rush_conf_wipe(&conf->wechat.secret);
    rush_seal_wipe(&conf->seal);
    rush_pay_free(conf);
}


static void
rush_conf_wipe(char **secret)
{
    if (*secret != NULL) {
        explicit_bzero(*secret, strlen(*secret));
        free(*secret);
        *secret = NULL;
    }
}


/* "where" names the place of the value: the file's section or a variable */

static int
rush_conf_value(rush_conf_ctx_t *ctx, const rush_setting_t *s,
    const char *where, const char *value)
{
    char     *end, *copy, **p;
    int64_t   v, *n;

    if (s->type == RUSH_C_STR) {
        copy = strdup(value);

        if (copy == NULL) {
            fprintf(ctx->err, "%s \"%s\": no memory\n", where, s->name);
            ctx->faults++;
            return RUSH_ERROR;
        }

        p = (char **) ((char *) ctx->conf + s->offset);
        free(*p);
        *p = copy;

        return RUSH_OK;
    }

    errno = 0;
    v = strtoll(value, &end, 10);

    if (errno != 0 || end == value || *end != '\0'
        || v < s->min || v > s->max)
    {
        fprintf(ctx->err, "%s \"%s\" must be a number from %lld to %lld, "
                "not \"%s\"\n", where, s->name, (long long) s->min,
                (long long) s->max, value);
        ctx->faults++;
        return RUSH_ERROR;
    }

    n = (int64_t *) ((char *) ctx->conf + s->offset);
    *n = v;

    return RUSH_OK;
}


/* inih: 1 goes on, 0 is a fault of the line; all faults are to be shown */

static int
rush_conf_handler(void *user, const char *section, const char *name,
    const char *value)
{
    rush_conf_ctx_t  *ctx = user;

    char    where[256];
    size_t  i;

    snprintf(where, sizeof(where), "%s: [%s]", ctx->file, section);

    for (i = 0; i < rush_nsettings; i++) {

        if (strcmp(rush_settings[i].section, section) == 0
            && strcmp(rush_settings[i].name, name) == 0)
        {
            (void) rush_conf_value(ctx, &rush_settings[i], where, value);
            return 1;
        }
    }

    fprintf(ctx->err, "%s has no setting \"%s\"\n", where, name);
    ctx->faults++;

    return 1;
}


static void
rush_conf_env(rush_conf_ctx_t *ctx)
{
    size_t       i;
    const char  *value;

    for (i = 0; i < rush_nsettings; i++) {
        value = getenv(rush_settings[i].env);

        if (value != NULL) {
            (void) rush_conf_value(ctx, &rush_settings[i],
                                   rush_settings[i].env, value);
        }
    }
}


/* rules between settings */

static void
rush_conf_check(rush_conf_ctx_t *ctx)
{
    FILE         *err;
    int64_t       port;
    const char   *colon;
    rush_conf_t  *conf;

    conf = ctx->conf;
    err = ctx->err;

    if (conf->redis.timeout <= conf->block + 100) {
        fprintf(err, "[redis] \"timeout\" must be above [consumer] \"block\" "
                "by more than 100 ms, or an idle stream looks like a dead "
                "server\n");
        ctx->faults++;
    }

    if (conf->clock_pause <= conf->clock_alarm) {
        fprintf(err, "[controller] \"clock_pause\" must be above "
                "\"clock_alarm\"\n");
        ctx->faults++;
    }

    if (conf->mysql.user[0] == '\0' || conf->mysql.database[0] == '\0') {
        fprintf(err, "[mysql] \"user\" and \"database\" must not be "
                "empty\n");
        ctx->faults++;
    }

    if (strcmp(conf->log_level, "debug") != 0
        && strcmp(conf->log_level, "info") != 0
        && strcmp(conf->log_level, "warn") != 0
        && strcmp(conf->log_level, "error") != 0)
    {
        fprintf(err, "[consumer] \"log_level\" must be debug, info, warn or "
                "error, not \"%s\"\n", conf->log_level);
        ctx->faults++;
    }

    if (strcmp(conf->cashier.late_payment, "revive") != 0
        && strcmp(conf->cashier.late_payment, "refund") != 0)
    {
        fprintf(err, "[cashier] \"late_payment\" must be revive or refund, "
                "not \"%s\"\n", conf->cashier.late_payment);
        ctx->faults++;
    }

    if (conf->listen[0] != '\0') {
        colon = strrchr(conf->listen, ':');

        if (colon == NULL || rush_parse_u63((unsigned char *) colon + 1,
                                            strlen(colon + 1), &port)
                             != RUSH_OK
            || port < 1 || port > 65535)
        {
            fprintf(err, "[consumer] \"listen\" must be ADDRESS:PORT or "
                    "empty, not \"%s\"\n", conf->listen);
            ctx->faults++;
        }
    }
}


/* "where" names the setting; without a file the secret is "" */

static void
rush_conf_secret(rush_conf_ctx_t *ctx, const char *where, const char *file,
    char **secret)
{
    int      fd;
    char     text[RUSH_CONF_MAX_SECRET];
    ssize_t  n;

    text[0] = '\0';

    if (file != NULL && file[0] != '\0') {
        fd = open(file, O_RDONLY|O_CLOEXEC);
        n = (fd == -1) ? -1 : read(fd, text, sizeof(text) - 1);

        if (n == -1) {
            fprintf(ctx->err, "%s: cannot read \"%s\": %s\n", where, file,
                    strerror(errno));
            ctx->faults++;
            n = 0;
        }

        if (fd != -1) {
            (void) close(fd);
        }

        while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r')) {
            n--;
        }

        text[n] = '\0';
    }

    *secret = strdup(text);
    explicit_bzero(text, sizeof(text));

    if (*secret == NULL) {
        fprintf(ctx->err, "%s: no memory\n", where);
        ctx->faults++;
    }
}


static void
rush_conf_seal(rush_conf_ctx_t *ctx)
{
    char        *text;
    const char  *err;

    if (ctx->conf->seal_key == NULL || ctx->conf->seal_key[0] == '\0') {
        return;
    }

    text = NULL;
    rush_conf_secret(ctx, "[consumer] \"seal_key\"", ctx->conf->seal_key,
                     &text);

    if (text != NULL && text[0] != '\0'
        && rush_seal_load(&ctx->conf->seal, (unsigned char *) text,
                          strlen(text), &err)
           != RUSH_OK)
    {
        fprintf(ctx->err, "[consumer] \"seal_key\": \"%s\" %s\n",
                ctx->conf->seal_key, err);
        ctx->faults++;
    }

    rush_conf_wipe(&text);
}


/* the restarted process must find the entries it held: a stable name */

static void
rush_conf_name(rush_conf_ctx_t *ctx)
{
    char          host[256];
    char         *name;
    size_t        i, n;
    rush_conf_t  *conf;

    conf = ctx->conf;

    if (conf->name != NULL && conf->name[0] == '\0') {

        if (gethostname(host, sizeof(host) - 1) != 0) {
            memcpy(host, "rush", sizeof("rush"));
        }

        host[sizeof(host) - 1] = '\0';
        host[RUSH_NAME_LEN - 1] = '\0';

        name = strdup(host);
        if (name == NULL) {
            fprintf(ctx->err, "[consumer] no memory\n");
            ctx->faults++;
            return;
        }

        free(conf->name);
        conf->name = name;
    }

    if (conf->name == NULL) {
        return;
    }

    n = strlen(conf->name);

    for (i = 0; i < n; i++) {

        if (strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                   "0123456789._-", conf->name[i]) == NULL)
        {
            break;
        }
    }

    if (i != n || n == 0 || n >= RUSH_NAME_LEN) {
        fprintf(ctx->err, "[consumer] \"name\" must be 1 to %d of "
                "A-Z a-z 0-9 . _ -\n", RUSH_NAME_LEN - 1);
        ctx->faults++;
    }
}
