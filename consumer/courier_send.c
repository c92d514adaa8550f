
/*
 * Copyright (C) Rush
 *
 * Drivers of the courier: mail by SMTP, SMS by a webhook, both over curl, and
 * a file for those who try things out.  A driver starts a transfer; what came
 * of it is judged when curl says that it is over.
 */


#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "courier.h"


static int rush_send_log(rush_courier_t *co, rush_message_t *m);
static int rush_send_common(rush_message_t *m, int64_t timeout,
    const char *ca_file);
static int rush_send_mail(rush_courier_t *co, rush_message_t *m);
static int rush_send_webhook(rush_courier_t *co, rush_message_t *m);
static int rush_send_signature(rush_courier_t *co, rush_message_t *m);
static size_t rush_send_read(char *dst, size_t size, size_t n, void *data);
static size_t rush_send_drop(char *src, size_t size, size_t n, void *data);


int
rush_message_send(rush_courier_t *co, rush_message_t *m)
{
    int          rc;
    const char  *driver;

    driver = m->mail ? co->daemon->conf.courier.mail_driver
                     : co->daemon->conf.courier.sms_driver;

    if (strcmp(driver, "log") == 0) {
        return rush_send_log(co, m);
    }

    m->easy = curl_easy_init();
    m->read = 0;

    rc = m->easy == NULL ? RUSH_ERROR
         : m->mail ? rush_send_mail(co, m) : rush_send_webhook(co, m);

    if (rc != RUSH_OK
        || rush_curl_add(&co->loop, m->easy) != RUSH_OK)
    {
        rush_message_land(co, m);
        return RUSH_ERROR;
    }

    m->state = RUSH_MESSAGE_FLYING;

    return RUSH_OK;
}


/* one line, written at once, so several consumers may share the file */

static int
rush_send_log(rush_courier_t *co, rush_message_t *m)
{
    int          fd, rc;
    ssize_t      n;
    const char  *file;

    file = co->daemon->conf.courier.file;
    rc = RUSH_ERROR;

    rush_message_json(co, m, &m->body);
    rush_buf_puts(&m->body, "\n");

    fd = open(file, O_WRONLY|O_CREAT|O_APPEND|O_CLOEXEC|O_NOFOLLOW, 0600);

    if (fd != -1 && !m->body.failed && fchmod(fd, 0600) == 0) {
        n = write(fd, m->body.data, m->body.len);
        rc = n == (ssize_t) m->body.len ? RUSH_OK : RUSH_ERROR;
    }

    if (rc != RUSH_OK) {
        rush_log(RUSH_LOG_ERROR, "courier: cannot write \"%s\": %s", file,
                 strerror(errno));
    }

    if (fd != -1) {
        (void) close(fd);
    }

    rush_message_land(co, m);

    if (rc == RUSH_OK) {
        rush_stat_add(co->daemon, messages_sent, 1);
        m->state = RUSH_MESSAGE_OVER;
    }

    return rc;
}


static int
rush_send_common(rush_message_t *m, int64_t timeout, const char *ca_file)
{
    if (rush_curl_options(m->easy, m, timeout, ca_file) != RUSH_OK
        || curl_easy_setopt(m->easy, CURLOPT_WRITEFUNCTION, rush_send_drop)
           != CURLE_OK)
    {
        return RUSH_ERROR;
    }

    return RUSH_OK;
}


static int
rush_send_mail(rush_courier_t *co, rush_message_t *m)
{
    CURL                 *easy;
    char                  to[160];
    rush_courier_conf_t  *conf;

    easy = m->easy;
    conf = &co->daemon->conf.courier;

    rush_message_mail(co, m, &m->body);

    snprintf(to, sizeof(to), "<%.*s>", (int) m->target.len, m->target.data);
    m->list = curl_slist_append(NULL, to);
    explicit_bzero(to, sizeof(to));

    if (m->list == NULL || m->body.failed
        || rush_send_common(m, conf->mail_timeout, conf->mail_ca_file)
           != RUSH_OK
        || rush_curl_protocols(easy, "smtp,smtps",
                               CURLPROTO_SMTP|CURLPROTO_SMTPS) != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_URL, conf->mail_url) != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_USE_SSL,
                            (long) (conf->mail_starttls ? CURLUSESSL_ALL
                                                        : CURLUSESSL_NONE))
           != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_MAIL_FROM, conf->mail_from)
           != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_MAIL_RCPT, m->list) != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L) != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_READFUNCTION, rush_send_read)
           != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_READDATA, m) != CURLE_OK)
    {
        return RUSH_ERROR;
    }

    if (conf->mail_user[0] != '\0'
        && (curl_easy_setopt(easy, CURLOPT_USERNAME, conf->mail_user)
            != CURLE_OK
            || curl_easy_setopt(easy, CURLOPT_PASSWORD, conf->mail_password)
               != CURLE_OK))
    {
        return RUSH_ERROR;
    }

    return RUSH_OK;
}


static int
rush_send_webhook(rush_courier_t *co, rush_message_t *m)
{
    CURL                 *easy;
    rush_courier_conf_t  *conf;

    easy = m->easy;
    conf = &co->daemon->conf.courier;

    rush_message_json(co, m, &m->body);

    if (m->body.failed
        || rush_send_common(m, conf->sms_timeout, conf->sms_ca_file)
           != RUSH_OK
        || rush_curl_header(&m->list, "Content-Type", "application/json")
           != RUSH_OK
        || rush_curl_header(&m->list, "Idempotency-Key", m->id) != RUSH_OK
        || rush_curl_header(&m->list, "Expect", "") != RUSH_OK
        || rush_send_signature(co, m) != RUSH_OK
        || rush_curl_protocols(easy, "http,https",
                               CURLPROTO_HTTP|CURLPROTO_HTTPS) != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_URL, conf->sms_url) != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_USERAGENT,
                            "rush-consumer/" RUSH_VERSION) != CURLE_OK
        || rush_curl_post(easy, &m->body) != RUSH_OK
        || curl_easy_setopt(easy, CURLOPT_HTTPHEADER, m->list) != CURLE_OK)
    {
        return RUSH_ERROR;
    }

    return RUSH_OK;
}


/* of the time too, so that a receiver can refuse what is old */

static int
rush_send_signature(rush_courier_t *co, rush_message_t *m)
{
    int             n;
    char            value[2 * RUSH_SEAL_MAC + 64];
    size_t          i;
    int64_t         now;
    rush_buf_t      b;
    const char     *secret;
    unsigned char   mac[RUSH_SEAL_MAC];

    now = rush_now() / 1000;
    secret = co->daemon->conf.courier.sms_secret;

    memset(&b, 0, sizeof(rush_buf_t));
    rush_buf_printf(&b, "%lld.", (long long) now);
    rush_buf_add(&b, m->body.data, m->body.len);

    n = b.failed ? RUSH_ERROR
                 : rush_hmac(secret, strlen(secret), b.data, b.len, mac);

    rush_buf_wipe(&b);

    if (n != RUSH_OK) {
        return RUSH_ERROR;
    }

    n = snprintf(value, sizeof(value), "t=%lld,v1=", (long long) now);

    for (i = 0; i < RUSH_SEAL_MAC; i++) {
        n += snprintf(value + n, sizeof(value) - (size_t) n, "%02x", mac[i]);
    }

    return rush_curl_header(&m->list, "X-Rush-Signature", value);
}


static size_t
rush_send_read(char *dst, size_t size, size_t n, void *data)
{
    rush_message_t  *m = data;

    size_t           len;

    len = m->body.len - m->read;

    if (len > size * n) {
        len = size * n;
    }

    memcpy(dst, m->body.data + m->read, len);
    m->read += len;

    return len;
}


/* nobody reads what a provider answers */

static size_t
rush_send_drop(char *src, size_t size, size_t n, void *data)
{
    return size * n;
}


/*
 * A mail server's 5xx is final, its 4xx (greylisting, a full disk) is not.
 * What is refused before a recipient was named is ours or the server's to
 * mend: a password, TLS.
 */

rush_send_e
rush_message_verdict(rush_message_t *m, CURLcode rc)
{
    long  status;

    status = 0;
    (void) curl_easy_getinfo(m->easy, CURLINFO_RESPONSE_CODE, &status);

    if (m->mail) {

        if (rc == CURLE_OK) {
            return RUSH_SEND_DONE;
        }

        rush_log(RUSH_LOG_WARN, "courier: mail %s, try %u: %s (%ld)", m->id,
                 m->tries, curl_easy_strerror(rc), status);

        return (status >= 500 && status < 600 && rc != CURLE_LOGIN_DENIED
                && rc != CURLE_USE_SSL_FAILED
                && rc != CURLE_REMOTE_ACCESS_DENIED)
               ? RUSH_SEND_NEVER : RUSH_SEND_AGAIN;
    }

    if (rc == CURLE_OK && status >= 200 && status < 300) {
        return RUSH_SEND_DONE;
    }

    rush_log(RUSH_LOG_WARN, "courier: sms %s, try %u: %s (%ld)", m->id,
             m->tries, rc == CURLE_OK ? "refused" : curl_easy_strerror(rc),
             status);

    return (rc != CURLE_OK || status >= 500 || status == 408 || status == 425
            || status == 429)
           ? RUSH_SEND_AGAIN : RUSH_SEND_NEVER;
}


/* whatever a try has left */

void
rush_message_land(rush_courier_t *co, rush_message_t *m)
{
    if (m->state == RUSH_MESSAGE_FLYING) {
        rush_curl_remove(&co->loop, m->easy);
        m->state = RUSH_MESSAGE_WAITING;
    }

    if (m->easy != NULL) {
        curl_easy_cleanup(m->easy);
        m->easy = NULL;
    }

    curl_slist_free_all(m->list);
    m->list = NULL;

    rush_buf_wipe(&m->body);
}
