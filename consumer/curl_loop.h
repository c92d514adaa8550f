
/*
 * Copyright (C) Rush
 *
 * Many transfers of one thread over curl's multi interface: what the courier,
 * the asker and the teller have in common.  A transfer is an easy handle; its
 * owner is what CURLOPT_PRIVATE says.
 */


#ifndef _RUSH_CURL_LOOP_H_INCLUDED_
#define _RUSH_CURL_LOOP_H_INCLUDED_


#include <curl/curl.h>

#include "consumer.h"


#if (LIBCURL_VERSION_NUM >= 0x075500)
#define rush_curl_protocols(easy, text, bits)                                 \
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, text)
#else
#define rush_curl_protocols(easy, text, bits)                                 \
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS, (long) (bits))
#endif


/* a transfer is over; the owner removes it */
typedef void (*rush_landed_pt)(void *data, void *owner, CURLcode rc);


typedef struct {
    rush_daemon_t   *daemon;
    const char      *name;              /* static, for log lines */
    CURLM           *multi;
    rush_landed_pt   landed;
    void            *data;              /* for landed */
    size_t           flying;
} rush_curl_loop_t;


/* RUSH_ERROR: no memory */
int rush_curl_open(rush_curl_loop_t *loop, rush_daemon_t *d,
    const char *name, rush_landed_pt landed, void *data);
void rush_curl_close(rush_curl_loop_t *loop);

/*
 * What all transfers have: an owner, a time limit, trusted certificates ("":
 * those of the system), and nothing that a variable of the environment, a
 * .netrc or a redirection could change.
 */
int rush_curl_options(CURL *easy, void *owner, int64_t timeout,
    const char *ca_file);

/* appends "name: value"; to curl an empty value means: without that header */
int rush_curl_header(struct curl_slist **list, const char *name,
    const char *value);

/* a body that stays where it is until the transfer is over */
int rush_curl_post(CURL *easy, const rush_buf_t *body);

int rush_curl_add(rush_curl_loop_t *loop, CURL *easy);
void rush_curl_remove(rush_curl_loop_t *loop, CURL *easy);

/* waits ms for something to happen, not at all once the daemon stops; calls
 * landed for each transfer that is over */
void rush_curl_perform(rush_curl_loop_t *loop, int ms);


#endif /* _RUSH_CURL_LOOP_H_INCLUDED_ */
