
/*
 * Copyright (C) Rush
 *
 * What a message says: opened, and as text, as JSON for a webhook, as mail of
 * RFC 5322.
 */


#include <stdlib.h>
#include <time.h>
#include <openssl/evp.h>

#include "courier.h"


#define RUSH_MAIL_WORD   39             /* bytes of a word of RFC 2047: with
                                           "Subject: " in 78 columns */
#define RUSH_MAIL_LINE   57             /* bytes of a line of base64 */


typedef struct {
    rush_str_t           kind;
    rush_str_t           target;
    rush_str_t           scene;
    rush_str_t           code;
    int64_t              life;
} rush_opened_t;


static const char *rush_message_template(rush_courier_t *co,
    const rush_message_t *m);
static void rush_message_fill(rush_courier_t *co, const rush_message_t *m,
    const char *template, rush_buf_t *b);
static int rush_is_ascii(const unsigned char *p, size_t len);
static void rush_mail_base64(rush_buf_t *b, const unsigned char *p,
    size_t len);
static void rush_mail_quoted(rush_buf_t *b, const char *text);


#define rush_opened_field(name, type, max)                                    \
    { rush_string(#name), type, RUSH_IN_BODY, 1, 1, max,                      \
      offsetof(rush_opened_t, name) }

static const rush_field_t  rush_opened_fields[] = {
    rush_opened_field(kind, RUSH_T_KEY, 8),
    rush_opened_field(target, RUSH_T_STR, 128),
    rush_opened_field(scene, RUSH_T_KEY, 16),
    rush_opened_field(code, RUSH_T_KEY, 16),
    rush_opened_field(life, RUSH_T_INT, 86400000)
};

#define RUSH_OPENED_FIELDS                                                    \
    (sizeof(rush_opened_fields) / sizeof(rush_opened_fields[0]))


int
rush_message_open(rush_courier_t *co, rush_message_t *m, const char *id,
    const void *sealed, size_t len)
{
    int                 n;
    uint64_t            present;
    rush_opened_t       o;
    rush_field_error_t  err;

    memset(m, 0, sizeof(rush_message_t));
    memset(&o, 0, sizeof(rush_opened_t));
    rush_id_copy(m->id, id);

    if (len > RUSH_MESSAGE_SEALED) {
        return RUSH_ERROR;
    }

    n = rush_unseal(&co->daemon->conf.seal, RUSH_OUT_LABEL, NULL, sealed, len,
                    m->text);

    if (n < 0) {
        return RUSH_ERROR;
    }

    present = 0;

    if (rush_field_body(rush_opened_fields, RUSH_OPENED_FIELDS, &o, &present,
                        m->text, (size_t) n, &err)
        != RUSH_OK
        || rush_field_required(rush_opened_fields, RUSH_OPENED_FIELDS,
                               present, &err)
           != RUSH_OK)
    {
        rush_message_wipe(m);
        return RUSH_ERROR;
    }

    m->target = o.target;
    m->scene = o.scene;
    m->code = o.code;
    m->mail = (o.kind.len == 4);

    /* the id of an entry is the time of Redis at which it was made */

    m->expires = strtoll(m->id, NULL, 10) + o.life;
    m->pause = co->daemon->conf.courier.retry_min;
    m->state = RUSH_MESSAGE_WAITING;

    return RUSH_OK;
}


/* the id stays: it has to be acknowledged */

void
rush_message_wipe(rush_message_t *m)
{
    explicit_bzero(m->text, sizeof(m->text));

    memset(&m->target, 0, sizeof(rush_str_t));
    memset(&m->scene, 0, sizeof(rush_str_t));
    memset(&m->code, 0, sizeof(rush_str_t));
}


void
rush_message_text(rush_courier_t *co, const rush_message_t *m, rush_buf_t *b)
{
    rush_message_fill(co, m, rush_message_template(co, m), b);
}


static const char *
rush_message_template(rush_courier_t *co, const rush_message_t *m)
{
    const rush_courier_conf_t  *conf;

    conf = &co->daemon->conf.courier;

    switch (m->scene.data[0]) {

    case 'r':
        return m->scene.len == sizeof("reset") - 1 ? conf->text_reset
                                                   : conf->text_register;
    case 'b':
        return conf->text_bind;

    default:
        return conf->text_login;
    }
}


static void
rush_message_fill(rush_courier_t *co, const rush_message_t *m,
    const char *template, rush_buf_t *b)
{
    const char  *p, *brace;
    int64_t      minutes;

    minutes = (m->expires - rush_now() + 59999) / 60000;

    for (p = template; *p != '\0'; /* void */) {
        brace = strchr(p, '{');

        if (brace == NULL) {
            rush_buf_puts(b, p);
            break;
        }

        rush_buf_add(b, p, (size_t) (brace - p));
        p = brace;

        if (strncmp(p, "{brand}", 7) == 0) {
            rush_buf_puts(b, co->daemon->conf.courier.brand);
            p += 7;

        } else if (strncmp(p, "{code}", 6) == 0) {
            rush_buf_add(b, m->code.data, m->code.len);
            p += 6;

        } else if (strncmp(p, "{minutes}", 9) == 0) {
            rush_buf_printf(b, "%lld", (long long) minutes);
            p += 9;

        } else {
            rush_buf_add(b, p, 1);
            p++;
        }
    }
}


void
rush_message_json(rush_courier_t *co, const rush_message_t *m, rush_buf_t *b)
{
    rush_buf_t  text;
    rush_str_t  s;

    memset(&text, 0, sizeof(rush_buf_t));
    rush_message_text(co, m, &text);

    s.data = text.data;
    s.len = text.len;

    rush_json_open(b, NULL, '{');
    rush_json_text(b, "id", m->id);
    rush_json_text(b, "kind", m->mail ? "mail" : "sms");
    rush_json_str(b, "target", &m->target);
    rush_json_str(b, "scene", &m->scene);
    rush_json_str(b, "code", &m->code);
    rush_json_str(b, "text", &s);
    rush_json_time(b, "expires_at", m->expires);
    rush_json_close(b, '}');

    if (text.failed) {
        b->failed = 1;
    }

    rush_buf_wipe(&text);
}


/*
 * Plain text in one part.  ASCII goes as it is, curl doubles leading dots;
 * all else in base64, which every server takes.
 */

void
rush_message_mail(rush_courier_t *co, const rush_message_t *m, rush_buf_t *b)
{
    char                        date[64];
    time_t                      now;
    rush_buf_t                  text;
    struct tm                   tm;
    const char                 *at;
    const rush_courier_conf_t  *conf;

    conf = &co->daemon->conf.courier;

    /* the locale is "C": names of days and months are English */

    now = time(NULL);
    (void) gmtime_r(&now, &tm);
    (void) strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S +0000", &tm);

    at = strrchr(conf->mail_from, '@');

    rush_buf_printf(b, "Date: %s\r\nFrom: ", date);
    rush_mail_quoted(b, conf->brand);
    rush_buf_printf(b, " <%s>\r\nTo: <", conf->mail_from);
    rush_buf_add(b, m->target.data, m->target.len);
    rush_buf_printf(b, ">\r\nMessage-ID: <rush-%s%s>\r\nSubject: ", m->id,
                    at ? at : "@localhost");

    memset(&text, 0, sizeof(rush_buf_t));
    rush_message_fill(co, m, conf->subject, &text);
    rush_mail_words(b, (const char *) text.data, text.len);

    rush_buf_puts(b, "\r\nAuto-Submitted: auto-generated\r\n"
                     "MIME-Version: 1.0\r\n"
                     "Content-Type: text/plain; charset=UTF-8\r\n"
                     "Content-Transfer-Encoding: ");

    rush_buf_reset(&text);
    rush_message_text(co, m, &text);

    if (rush_is_ascii(text.data, text.len)) {
        rush_buf_puts(b, "7bit\r\n\r\n");
        rush_buf_add(b, text.data, text.len);
        rush_buf_puts(b, "\r\n");

    } else {
        rush_buf_puts(b, "base64\r\n\r\n");
        rush_mail_base64(b, text.data, text.len);
    }

    if (text.failed) {
        b->failed = 1;
    }

    rush_buf_wipe(&text);
}


/* settings have no control characters, so nothing can end a header */

static int
rush_is_ascii(const unsigned char *p, size_t len)
{
    size_t  i;

    for (i = 0; i < len; i++) {
        if (p[i] > '~') {
            return 0;
        }
    }

    return 1;
}


static void
rush_mail_base64(rush_buf_t *b, const unsigned char *p, size_t len)
{
    size_t         n;
    unsigned char  line[4 * (RUSH_MAIL_LINE / 3) + 1];

    while (len > 0) {
        n = len < RUSH_MAIL_LINE ? len : RUSH_MAIL_LINE;

        rush_buf_add(b, line, (size_t) EVP_EncodeBlock(line, p, (int) n));
        rush_buf_puts(b, "\r\n");

        p += n;
        len -= n;
    }

    explicit_bzero(line, sizeof(line));
}


/* a character does not end in the next word */

void
rush_mail_words(rush_buf_t *b, const char *text, size_t len)
{
    size_t                n;
    unsigned char         word[4 * (RUSH_MAIL_WORD / 3) + 1];
    const unsigned char  *p;

    p = (const unsigned char *) text;

    if (rush_is_ascii(p, len)) {
        rush_buf_add(b, p, len);
        return;
    }

    for ( ;; ) {
        n = len < RUSH_MAIL_WORD ? len : RUSH_MAIL_WORD;

        while (n < len && (p[n] & 0xc0) == 0x80) {
            n--;
        }

        rush_buf_puts(b, "=?UTF-8?B?");
        rush_buf_add(b, word, (size_t) EVP_EncodeBlock(word, p, (int) n));
        rush_buf_puts(b, "?=");

        p += n;
        len -= n;

        if (len == 0) {
            break;
        }

        rush_buf_puts(b, "\r\n ");
    }

    explicit_bzero(word, sizeof(word));
}


/* the name before an address */

static void
rush_mail_quoted(rush_buf_t *b, const char *text)
{
    const char  *p;

    if (!rush_is_ascii((const unsigned char *) text, strlen(text))) {
        rush_mail_words(b, text, strlen(text));
        return;
    }

    rush_buf_puts(b, "\"");

    for (p = text; *p != '\0'; p++) {

        if (*p == '"' || *p == '\\') {
            rush_buf_puts(b, "\\");
        }

        rush_buf_add(b, p, 1);
    }

    rush_buf_puts(b, "\"");
}
