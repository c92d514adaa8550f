
/*
 * Copyright (C) Rush
 */


#include <arpa/inet.h>
#include <curl/curl.h>

#include "consumer.h"
#include "rush_field.h"


#define RUSH_COURIER_TEXT  500          /* bytes of a template */


static int rush_courier_driver(const char *section, const char *driver,
    const char *name, FILE *err);
static int rush_courier_mail(const rush_courier_conf_t *conf, FILE *err);
static int rush_courier_texts(const rush_courier_conf_t *conf, FILE *err);
static int rush_courier_line(const char *name, const char *text, int code,
    FILE *err);


int
rush_courier_wanted(const rush_conf_t *conf)
{
    return conf->courier.sms_driver[0] != '\0'
           || conf->courier.mail_driver[0] != '\0';
}


int
rush_courier_check(rush_conf_t *conf, FILE *err)
{
    int                         faults;
    const rush_courier_conf_t  *c;

    c = &conf->courier;

    if (!rush_courier_wanted(conf)) {
        return 0;
    }

    faults = rush_courier_driver("sms", c->sms_driver, "webhook", err)
             + rush_courier_driver("mail", c->mail_driver, "smtp", err)
             + rush_courier_texts(c, err);

    if (conf->seal_key[0] == '\0') {
        fprintf(err, "[consumer] \"seal_key\" is needed to send messages\n");
        faults++;
    }

    if ((strcmp(c->sms_driver, "log") == 0
         || strcmp(c->mail_driver, "log") == 0)
        && c->file[0] == '\0')
    {
        fprintf(err, "[courier] \"file\" is needed by driver log\n");
        faults++;
    }

    if (c->retry_max < c->retry_min) {
        fprintf(err, "[courier] \"retry_max\" must not be below "
                "\"retry_min\"\n");
        faults++;
    }

    if (conf->claim_interval * 2 > conf->claim_idle) {
        fprintf(err, "[consumer] \"claim_interval\" must be half of "
                "\"claim_idle\" at most, or messages that wait are sent "
                "twice\n");
        faults++;
    }

    if (strcmp(c->sms_driver, "webhook") == 0) {
        faults += rush_conf_url("sms", "url", c->sms_url, "http", err);

        if (strlen(c->sms_secret) < 16) {
            fprintf(err, "[sms] \"secret_file\" must hold at least 16 "
                    "bytes\n");
            faults++;
        }
    }

    if (strcmp(c->mail_driver, "smtp") == 0) {
        faults += rush_courier_mail(c, err);
    }

    return faults;
}


static int
rush_courier_driver(const char *section, const char *driver,
    const char *name, FILE *err)
{
    if (driver[0] == '\0' || strcmp(driver, "log") == 0
        || strcmp(driver, name) == 0)
    {
        return 0;
    }

    fprintf(err, "[%s] \"driver\" must be %s, log or empty, not \"%s\"\n",
            section, name, driver);

    return 1;
}


static int
rush_courier_mail(const rush_courier_conf_t *conf, FILE *err)
{
    int          faults, local;
    const char  *at, *p;

    faults = rush_conf_url("mail", "url", conf->mail_url, "smtp", err);

    at = strchr(conf->mail_from, '@');

    for (p = conf->mail_from; *p > ' ' && *p <= '~' && *p != '<' && *p != '>';
         p++)
    {
        /* void */
    }

    if (at == NULL || at == conf->mail_from || at[1] == '\0' || *p != '\0'
        || strchr(at + 1, '@') != NULL || strlen(conf->mail_from) > 200)
    {
        fprintf(err, "[mail] \"from\" must be an address as "
                "name@example.com, not \"%s\"\n", conf->mail_from);
        faults++;
    }

    local = rush_conf_is_local(conf->mail_url);

    if (conf->mail_user[0] != '\0' && !conf->mail_starttls && !local
        && strncmp(conf->mail_url, "smtps:", 6) != 0)
    {
        fprintf(err, "[mail] a password is not sent without TLS: "
                "\"starttls\" must be 1\n");
        faults++;
    }

    if ((conf->mail_user[0] != '\0') != (conf->mail_password[0] != '\0')) {
        fprintf(err, "[mail] \"user\" and \"password_file\" go together\n");
        faults++;
    }

    return faults;
}


/* "http" takes https too, "smtp" smtps; no name, password or path that curl
 * would take for something else */

int
rush_conf_url(const char *section, const char *name, const char *url,
    const char *scheme, FILE *err)
{
    int     bad;
    char   *part;
    CURLU  *u;

    u = curl_url();
    if (u == NULL) {
        fprintf(err, "[%s] no memory\n", section);
        return 1;
    }

    bad = curl_url_set(u, CURLUPART_URL, url, 0) != CURLUE_OK;
    part = NULL;

    if (!bad && curl_url_get(u, CURLUPART_SCHEME, &part, 0) == CURLUE_OK) {
        bad = strncmp(part, scheme, 4) != 0
              || (part[4] != '\0' && strcmp(part + 4, "s") != 0);
    }

    curl_free(part);
    part = NULL;

    if (!bad && curl_url_get(u, CURLUPART_USER, &part, 0) == CURLUE_OK) {
        bad = 1;
    }

    curl_free(part);
    curl_url_cleanup(u);

    if (bad) {
        fprintf(err, "[%s] \"%s\" must be %s://HOST... or %ss://HOST..., "
                "not \"%s\"\n", section, name, scheme, scheme, url);
    }

    return bad;
}


static int
rush_courier_texts(const rush_courier_conf_t *conf, FILE *err)
{
    return rush_courier_line("brand", conf->brand, 0, err)
           + rush_courier_line("subject", conf->subject, 0, err)
           + rush_courier_line("text_register", conf->text_register, 1, err)
           + rush_courier_line("text_login", conf->text_login, 1, err)
           + rush_courier_line("text_reset", conf->text_reset, 1, err)
           + rush_courier_line("text_bind", conf->text_bind, 1, err);
}


/* a subject is seen on locked screens, so no code belongs there */

static int
rush_courier_line(const char *name, const char *text, int code, FILE *err)
{
    size_t                i, len;
    const unsigned char  *p;

    len = strlen(text);
    p = (const unsigned char *) text;

    for (i = 0; i < len && p[i] >= ' ' && p[i] != 0x7f; i++) { /* void */ }

    if (len == 0 || len > RUSH_COURIER_TEXT || i != len
        || rush_utf8_check(p, len, NULL) != RUSH_OK)
    {
        fprintf(err, "[courier] \"%s\" must be a line of 1 to %d bytes of "
                "UTF-8\n", name, RUSH_COURIER_TEXT);
        return 1;
    }

    if ((strstr(text, "{code}") != NULL) != code) {
        fprintf(err, "[courier] \"%s\" must %shave {code} in it\n", name,
                code ? "" : "not ");
        return 1;
    }

    return 0;
}


/* a name that only begins like one of this host is somebody else's */

int
rush_conf_is_local(const char *url)
{
    int              local;
    char            *host;
    CURLU           *u;
    struct in_addr   addr;

    host = NULL;
    local = 0;
    u = curl_url();

    if (u != NULL && curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK
        && curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK)
    {
        local = strcmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0
                || (inet_pton(AF_INET, host, &addr) == 1
                    && (ntohl(addr.s_addr) >> 24) == 127);
    }

    curl_free(host);
    curl_url_cleanup(u);

    return local;
}
