
/*
 * Copyright (C) Rush
 */


#include "curl_loop.h"


#define RUSH_CURL_HEADER  2048          /* bytes of a line */


int
rush_curl_open(rush_curl_loop_t *loop, rush_daemon_t *d, const char *name,
    rush_landed_pt landed, void *data)
{
    loop->daemon = d;
    loop->name = name;
    loop->landed = landed;
    loop->data = data;
    loop->flying = 0;
    loop->multi = curl_multi_init();

    return loop->multi == NULL ? RUSH_ERROR : RUSH_OK;
}


void
rush_curl_close(rush_curl_loop_t *loop)
{
    if (loop->multi != NULL) {
        (void) curl_multi_cleanup(loop->multi);
        loop->multi = NULL;
    }
}


int
rush_curl_options(CURL *easy, void *owner, int64_t timeout,
    const char *ca_file)
{
    if (curl_easy_setopt(easy, CURLOPT_PRIVATE, owner) != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_PROXY, "") != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_NETRC, (long) CURL_NETRC_IGNORED)
           != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L) != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long) timeout)
           != CURLE_OK
        || (ca_file[0] != '\0'
            && curl_easy_setopt(easy, CURLOPT_CAINFO, ca_file) != CURLE_OK))
    {
        return RUSH_ERROR;
    }

    return RUSH_OK;
}


int
rush_curl_header(struct curl_slist **list, const char *name,
    const char *value)
{
    int                 n;
    char                line[RUSH_CURL_HEADER];
    struct curl_slist  *head;

    n = snprintf(line, sizeof(line), "%s:%s%s", name, value[0] ? " " : "",
                 value);

    head = (n > 0 && (size_t) n < sizeof(line))
           ? curl_slist_append(*list, line) : NULL;

    explicit_bzero(line, sizeof(line));

    if (head == NULL) {
        return RUSH_ERROR;
    }

    *list = head;

    return RUSH_OK;
}


int
rush_curl_post(CURL *easy, const rush_buf_t *body)
{
    if (curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long) body->len)
        != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_POSTFIELDS,
                            body->len ? (char *) body->data : "")
           != CURLE_OK)
    {
        return RUSH_ERROR;
    }

    return RUSH_OK;
}


int
rush_curl_add(rush_curl_loop_t *loop, CURL *easy)
{
    if (curl_multi_add_handle(loop->multi, easy) != CURLM_OK) {
        return RUSH_ERROR;
    }

    loop->flying++;

    return RUSH_OK;
}


void
rush_curl_remove(rush_curl_loop_t *loop, CURL *easy)
{
    (void) curl_multi_remove_handle(loop->multi, easy);
    loop->flying--;
}


void
rush_curl_perform(rush_curl_loop_t *loop, int ms)
{
    int                 n;
    char               *owner;
    CURLMsg            *msg;
    struct curl_waitfd  stop;

    memset(&stop, 0, sizeof(struct curl_waitfd));

    /* at the end it is readable for ever */

    stop.fd = loop->daemon->stop_fd;
    stop.events = CURL_WAIT_POLLIN;

    if (curl_multi_perform(loop->multi, &n) != CURLM_OK
        || curl_multi_poll(loop->multi, &stop,
                           rush_stopping(loop->daemon) ? 0 : 1, ms, NULL)
           != CURLM_OK)
    {
        rush_log(RUSH_LOG_ERROR, "%s: curl_multi failed", loop->name);
        (void) rush_wait(loop->daemon, ms);
    }

    for ( ;; ) {
        msg = curl_multi_info_read(loop->multi, &n);

        if (msg == NULL) {
            return;
        }

        owner = NULL;

        if (msg->msg == CURLMSG_DONE
            && curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &owner)
               == CURLE_OK
            && owner != NULL)
        {
            loop->landed(loop->data, owner, msg->data.result);
        }
    }
}
