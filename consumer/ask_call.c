
/*
 * Copyright (C) Rush
 *
 * Calls of WeChat's servers over curl.  The address of a call holds secrets
 * (the app's, a code, an access token): it is never logged.
 */


#include "ask.h"


#define RUSH_CALL_CONNECT  1000         /* ms, at most */


static int rush_call_begin(rush_call_t *call, rush_ask_t *ask);
static void rush_call_path(rush_asker_t *ar, rush_buf_t *url,
    const char *path);
static void rush_call_arg(rush_call_t *call, rush_buf_t *url,
    const char *name, const void *value, size_t len);
static int rush_call_start(rush_asker_t *ar, rush_call_t *call,
    rush_buf_t *url, int64_t timeout);
static int rush_call_post(rush_call_t *call);
static size_t rush_call_read(char *src, size_t size, size_t n, void *data);


int
rush_call_session(rush_asker_t *ar, rush_ask_t *ask)
{
    rush_buf_t                  url;
    const rush_wechat_conf_t   *conf;

    memset(&url, 0, sizeof(rush_buf_t));
    conf = &ar->daemon->conf.wechat;

    if (rush_call_begin(&ask->call, ask) != RUSH_OK) {
        return RUSH_ERROR;
    }

    rush_call_path(ar, &url, "/sns/jscode2session?grant_type="
                   "authorization_code");
    rush_call_arg(&ask->call, &url, "&appid=", conf->appid,
                  strlen(conf->appid));
    rush_call_arg(&ask->call, &url, "&secret=", conf->secret,
                  strlen(conf->secret));
    rush_call_arg(&ask->call, &url, "&js_code=", ask->code.data,
                  ask->code.len);

    return rush_call_start(ar, &ask->call, &url, ask->deadline);
}


int
rush_call_phone(rush_asker_t *ar, rush_ask_t *ask)
{
    rush_buf_t  url, *b;

    memset(&url, 0, sizeof(rush_buf_t));

    if (rush_call_begin(&ask->call, ask) != RUSH_OK) {
        return RUSH_ERROR;
    }

    rush_call_path(ar, &url, "/wxa/business/getuserphonenumber");
    rush_call_arg(&ask->call, &url, "?access_token=", ar->token,
                  strlen(ar->token));

    b = &ask->call.body;
    rush_json_open(b, NULL, '{');
    rush_json_str(b, "code", &ask->phone_code);
    rush_json_close(b, '}');

    return rush_call_start(ar, &ask->call, &url, ask->deadline);
}


/* the same one for all who ask for it, until it is about to end */

int
rush_call_token(rush_asker_t *ar)
{
    int64_t                    deadline;
    rush_buf_t                 url, *b;
    const rush_wechat_conf_t  *conf;

    memset(&url, 0, sizeof(rush_buf_t));
    conf = &ar->daemon->conf.wechat;

    if (rush_call_begin(&ar->token_call, NULL) != RUSH_OK) {
        return RUSH_ERROR;
    }

    rush_call_path(ar, &url, "/cgi-bin/stable_token");

    b = &ar->token_call.body;
    rush_json_open(b, NULL, '{');
    rush_json_text(b, "grant_type", "client_credential");
    rush_json_text(b, "appid", conf->appid);
    rush_json_text(b, "secret", conf->secret);
    rush_json_bool(b, "force_refresh", 0);
    rush_json_close(b, '}');

    deadline = rush_mono() + conf->timeout * 1000;

    return rush_call_start(ar, &ar->token_call, &url, deadline);
}


static int
rush_call_begin(rush_call_t *call, rush_ask_t *ask)
{
    call->ask = ask;
    call->len = 0;
    call->list = NULL;
    call->easy = curl_easy_init();
    memset(&call->body, 0, sizeof(rush_buf_t));

    return call->easy == NULL ? RUSH_ERROR : RUSH_OK;
}


static void
rush_call_path(rush_asker_t *ar, rush_buf_t *url, const char *path)
{
    size_t       len;
    const char  *base;

    base = ar->daemon->conf.wechat.base_url;
    len = strlen(base);

    while (len > 0 && base[len - 1] == '/') {
        len--;
    }

    rush_buf_add(url, base, len);
    rush_buf_puts(url, path);
}


static void
rush_call_arg(rush_call_t *call, rush_buf_t *url, const char *name,
    const void *value, size_t len)
{
    char  *text;

    rush_buf_puts(url, name);

    /* to curl a length of 0 means strlen() */

    text = len ? curl_easy_escape(call->easy, value, (int) len) : NULL;

    if (text == NULL) {
        url->failed |= (len != 0);
        return;
    }

    rush_buf_puts(url, text);
    explicit_bzero(text, strlen(text));
    curl_free(text);
}


static int
rush_call_start(rush_asker_t *ar, rush_call_t *call, rush_buf_t *url,
    int64_t deadline)
{
    int          rc;
    CURL        *easy;
    int64_t      left;
    const char  *ca_file;

    easy = call->easy;
    ca_file = ar->daemon->conf.wechat.ca_file;
    left = (deadline - rush_mono()) / 1000;
    left = left > 0 ? left : 1;

    rush_buf_add(url, "", 1);

    rc = (url->failed || call->body.failed
          || rush_curl_options(easy, call, left, ca_file) != RUSH_OK
          || curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L) != CURLE_OK
          || rush_curl_protocols(easy, "http,https",
                                 CURLPROTO_HTTP|CURLPROTO_HTTPS) != CURLE_OK
          || curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                              (long) RUSH_CALL_CONNECT) != CURLE_OK
          || curl_easy_setopt(easy, CURLOPT_USERAGENT,
                              "rush-consumer/" RUSH_VERSION) != CURLE_OK
          || curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, rush_call_read)
             != CURLE_OK
          || curl_easy_setopt(easy, CURLOPT_WRITEDATA, call) != CURLE_OK
          || curl_easy_setopt(easy, CURLOPT_URL, (char *) url->data)
             != CURLE_OK
          || (call->body.len > 0 && rush_call_post(call) != RUSH_OK)
          || rush_curl_add(&ar->loop, easy) != RUSH_OK)
         ? RUSH_ERROR : RUSH_OK;

    rush_buf_wipe(url);

    if (rc != RUSH_OK) {
        rush_log(RUSH_LOG_ERROR, "wechat: no memory for a call");
        rush_call_land(ar, call);
        return RUSH_ERROR;
    }

    call->flying = 1;

    return RUSH_OK;
}


static int
rush_call_post(rush_call_t *call)
{
    if (rush_curl_header(&call->list, "Expect", "") != RUSH_OK
        || rush_curl_header(&call->list, "Content-Type", "application/json")
           != RUSH_OK
        || curl_easy_setopt(call->easy, CURLOPT_HTTPHEADER, call->list)
           != CURLE_OK)
    {
        return RUSH_ERROR;
    }

    return rush_curl_post(call->easy, &call->body);
}


/* more than fits is none of WeChat's answers: it ends the call */

static size_t
rush_call_read(char *src, size_t size, size_t n, void *data)
{
    rush_call_t  *call = data;

    size_t        len;

    len = size * n;

    if (len > sizeof(call->answer) - call->len) {
        return 0;
    }

    memcpy(call->answer + call->len, src, len);
    call->len += len;

    return len;
}


rush_call_e
rush_call_outcome(const rush_call_t *call, CURLcode rc)
{
    long         status;
    const char  *what;

    status = 0;
    (void) curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);

    if (rc == CURLE_OK && status == 200) {
        return RUSH_CALL_ANSWERED;
    }

    what = call->ask == NULL ? "stable_token"
           : call->ask->state == RUSH_ASK_PHONE ? "getuserphonenumber"
           : "jscode2session";

    rush_log(RUSH_LOG_WARN, "wechat: %s: %s (%ld)", what,
             rc == CURLE_OK ? "no answer" : curl_easy_strerror(rc), status);

    switch (rc) {

    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
        return RUSH_CALL_UNSEEN;

    default:
        return RUSH_CALL_UNKNOWN;
    }
}


void
rush_call_land(rush_asker_t *ar, rush_call_t *call)
{
    if (call->flying) {
        rush_curl_remove(&ar->loop, call->easy);
        call->flying = 0;
    }

    if (call->easy != NULL) {
        curl_easy_cleanup(call->easy);
        call->easy = NULL;
    }

    curl_slist_free_all(call->list);
    call->list = NULL;

    rush_buf_wipe(&call->body);
    explicit_bzero(call->answer, sizeof(call->answer));
    call->len = 0;
}
