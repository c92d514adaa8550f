
/*
 * Copyright (C) Rush
 */


#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <stdlib.h>
#include <unistd.h>

#include "consumer.h"
#include "rush_field.h"


#define RUSH_CONF_MAX_SECRET  1024


typedef enum {
    RUSH_C_INT = 0,
    RUSH_C_STR
} rush_conf_type_e;


/* one setting; env also works without a file */

typedef struct {
    const char        *section;
    const char        *name;
    const char        *env;
    rush_conf_type_e   type;
    size_t             offset;
    const char        *dflt;            /* INT: digits */
    int64_t            min;
    int64_t            max;
} rush_setting_t;


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


#define RUSH_INT(section, name, env, field, dflt, min, max)                   \
    { section, name, env, RUSH_C_INT, offsetof(rush_conf_t, field), dflt,     \
      min, max }
#define RUSH_STR(section, name, env, field, dflt)                             \
    { section, name, env, RUSH_C_STR, offsetof(rush_conf_t, field), dflt,     \
      0, 0 }

#define RUSH_DAY  86400

static const rush_setting_t  rush_settings[] = {

    RUSH_STR("consumer", "name", "RUSH_CONSUMER_NAME", name, ""),
    RUSH_INT("consumer", "writers", "RUSH_CONSUMER_WRITERS",
             writers, "2", 1, RUSH_MAX_WRITERS),
    RUSH_INT("consumer", "batch", "RUSH_CONSUMER_BATCH",
             batch, "500", 1, 4096),
    RUSH_INT("consumer", "block", "RUSH_CONSUMER_BLOCK",
             block, "250", 1, 10000),
    RUSH_INT("consumer", "claim_idle", "RUSH_CONSUMER_CLAIM_IDLE",
             claim_idle, "30000", 10, 3600000),
    RUSH_INT("consumer", "claim_interval", "RUSH_CONSUMER_CLAIM_INTERVAL",
             claim_interval, "5000", 10, 3600000),
    RUSH_INT("consumer", "discover", "RUSH_CONSUMER_DISCOVER",
             discover, "300", 10, 60000),
    RUSH_STR("consumer", "listen", "RUSH_CONSUMER_LISTEN",
             listen, "127.0.0.1:9122"),
    RUSH_STR("consumer", "log", "RUSH_CONSUMER_LOG", log, ""),
    RUSH_STR("consumer", "log_level", "RUSH_CONSUMER_LOG_LEVEL",
             log_level, "info"),
    RUSH_STR("consumer", "seal_key", "RUSH_CONSUMER_SEAL_KEY", seal_key, ""),

    RUSH_INT("controller", "enabled", "RUSH_CONTROLLER_ENABLED",
             controller, "1", 0, 1),
    RUSH_INT("controller", "poll", "RUSH_CONTROLLER_POLL",
             poll, "200", 10, 10000),
    RUSH_INT("controller", "sweep", "RUSH_CONTROLLER_SWEEP",
             sweep, "500", 10, 60000),
    RUSH_INT("controller", "sweep_batch", "RUSH_CONTROLLER_SWEEP_BATCH",
             sweep_batch, "200", 1, 10000),
    RUSH_INT("controller", "reconcile", "RUSH_CONTROLLER_RECONCILE",
             reconcile, "60", 0, RUSH_DAY),
    RUSH_INT("controller", "trim_interval", "RUSH_CONTROLLER_TRIM_INTERVAL",
             trim_interval, "60", 1, RUSH_DAY),
    RUSH_INT("controller", "trim_keep", "RUSH_CONTROLLER_TRIM_KEEP",
             trim_keep, "86400", 0, 30 * RUSH_DAY),
    RUSH_INT("controller", "max_backlog", "RUSH_CONTROLLER_MAX_BACKLOG",
             max_backlog, "1000000", 100, 100000000),
    RUSH_INT("controller", "clock_alarm", "RUSH_CONTROLLER_CLOCK_ALARM",
             clock_alarm, "500", 10, 60000),
    RUSH_INT("controller", "clock_pause", "RUSH_CONTROLLER_CLOCK_PAUSE",
             clock_pause, "2000", 10, 600000),

    RUSH_INT("accounts", "erase_after", "RUSH_ACCOUNTS_ERASE_AFTER",
             erase_after, "2592000", 1, 3650 * RUSH_DAY),
    RUSH_INT("accounts", "erase_interval", "RUSH_ACCOUNTS_ERASE_INTERVAL",
             erase_interval, "10000", 10, 3600000),
    RUSH_INT("accounts", "session_keep", "RUSH_ACCOUNTS_SESSION_KEEP",
             session_keep, "604800", 0, 365 * RUSH_DAY),

    RUSH_STR("redis", "socket", "RUSH_REDIS_SOCKET", redis.socket, ""),
    RUSH_STR("redis", "host", "RUSH_REDIS_HOST", redis.host, "127.0.0.1"),
    RUSH_INT("redis", "port", "RUSH_REDIS_PORT",
             redis.port, "6379", 1, 65535),
    RUSH_STR("redis", "user", "RUSH_REDIS_USER", redis.user, ""),
    RUSH_STR("redis", "password_file", "RUSH_REDIS_PASSWORD_FILE",
             redis.password_file, ""),
    RUSH_INT("redis", "db", "RUSH_REDIS_DB", redis.db, "0", 0, 15),
    RUSH_INT("redis", "connect_timeout", "RUSH_REDIS_CONNECT_TIMEOUT",
             redis.connect_timeout, "2000", 10, 60000),
    RUSH_INT("redis", "timeout", "RUSH_REDIS_TIMEOUT",
             redis.timeout, "5000", 10, 60000),

    RUSH_STR("mysql", "socket", "RUSH_MYSQL_SOCKET", mysql.socket, ""),
    RUSH_STR("mysql", "host", "RUSH_MYSQL_HOST", mysql.host, "127.0.0.1"),
    RUSH_INT("mysql", "port", "RUSH_MYSQL_PORT",
             mysql.port, "3306", 1, 65535),
    RUSH_STR("mysql", "user", "RUSH_MYSQL_USER", mysql.user, "rush"),
    RUSH_STR("mysql", "password_file", "RUSH_MYSQL_PASSWORD_FILE",
             mysql.password_file, ""),
    RUSH_STR("mysql", "database", "RUSH_MYSQL_DB", mysql.database, "rush"),
    RUSH_INT("mysql", "connect_timeout", "RUSH_MYSQL_CONNECT_TIMEOUT",
             mysql.connect_timeout, "2000", 1000, 60000),
    RUSH_INT("mysql", "timeout", "RUSH_MYSQL_TIMEOUT",
             mysql.timeout, "30000", 1000, 600000),

    RUSH_INT("courier", "parallel", "RUSH_COURIER_PARALLEL",
             courier.parallel, "16", 1, 64),
    RUSH_INT("courier", "retry_min", "RUSH_COURIER_RETRY_MIN",
             courier.retry_min, "1000", 10, 60000),
    RUSH_INT("courier", "retry_max", "RUSH_COURIER_RETRY_MAX",
             courier.retry_max, "30000", 10, 300000),
    RUSH_STR("courier", "file", "RUSH_COURIER_FILE", courier.file, ""),
    RUSH_STR("courier", "brand", "RUSH_COURIER_BRAND",
             courier.brand, "Rush"),
    RUSH_STR("courier", "subject", "RUSH_COURIER_SUBJECT",
             courier.subject, "Your code for {brand}"),
    RUSH_STR("courier", "text_register", "RUSH_COURIER_TEXT_REGISTER",
             courier.text_register, "[{brand}] {code} opens your account. "
             "{minutes} min."),
    RUSH_STR("courier", "text_login", "RUSH_COURIER_TEXT_LOGIN",
             courier.text_login, "[{brand}] {code} logs you in. "
             "{minutes} min. Tell nobody."),
    RUSH_STR("courier", "text_reset", "RUSH_COURIER_TEXT_RESET",
             courier.text_reset, "[{brand}] {code} sets a new password. "
             "{minutes} min. Tell nobody."),
    RUSH_STR("courier", "text_bind", "RUSH_COURIER_TEXT_BIND",
             courier.text_bind, "[{brand}] {code} binds this to an account. "
             "{minutes} min."),

    RUSH_STR("sms", "driver", "RUSH_SMS_DRIVER", courier.sms_driver, ""),
    RUSH_STR("sms", "url", "RUSH_SMS_URL", courier.sms_url, ""),
    RUSH_STR("sms", "secret_file", "RUSH_SMS_SECRET_FILE",
             courier.sms_secret_file, ""),
    RUSH_STR("sms", "ca_file", "RUSH_SMS_CA_FILE", courier.sms_ca_file, ""),
    RUSH_INT("sms", "timeout", "RUSH_SMS_TIMEOUT",
             courier.sms_timeout, "5000", 100, 60000),

    RUSH_STR("mail", "driver", "RUSH_MAIL_DRIVER", courier.mail_driver, ""),
    RUSH_STR("mail", "url", "RUSH_MAIL_URL", courier.mail_url, ""),
    RUSH_INT("mail", "starttls", "RUSH_MAIL_STARTTLS",
             courier.mail_starttls, "1", 0, 1),
    RUSH_STR("mail", "user", "RUSH_MAIL_USER", courier.mail_user, ""),
    RUSH_STR("mail", "password_file", "RUSH_MAIL_PASSWORD_FILE",
             courier.mail_password_file, ""),
    RUSH_STR("mail", "from", "RUSH_MAIL_FROM", courier.mail_from, ""),
    RUSH_STR("mail", "ca_file", "RUSH_MAIL_CA_FILE",
             courier.mail_ca_file, ""),
    RUSH_INT("mail", "timeout", "RUSH_MAIL_TIMEOUT",
             courier.mail_timeout, "20000", 100, 120000),

    RUSH_STR("wechat", "appid", "RUSH_WECHAT_APPID", wechat.appid, ""),
    RUSH_STR("wechat", "secret_file", "RUSH_WECHAT_SECRET_FILE",
             wechat.secret_file, ""),
    RUSH_STR("wechat", "base_url", "RUSH_WECHAT_BASE_URL",
             wechat.base_url, "https://api.weixin.qq.com"),
    RUSH_STR("wechat", "ca_file", "RUSH_WECHAT_CA_FILE",
             wechat.ca_file, ""),
    RUSH_INT("wechat", "parallel", "RUSH_WECHAT_PARALLEL",
             wechat.parallel, "32", 1, 64),
    RUSH_INT("wechat", "timeout", "RUSH_WECHAT_TIMEOUT",
             wechat.timeout, "2500", 100, 2900),
};

#define RUSH_SETTINGS  (sizeof(rush_settings) / sizeof(rush_settings[0]))


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

    for (i = 0; i < RUSH_SETTINGS; i++) {
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

    return ctx.faults;
}


void
rush_conf_free(rush_conf_t *conf)
{
    char    **p;
    size_t    i;

    for (i = 0; i < RUSH_SETTINGS; i++) {

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

    for (i = 0; i < RUSH_SETTINGS; i++) {

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

    for (i = 0; i < RUSH_SETTINGS; i++) {
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
