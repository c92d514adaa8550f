
/*
 * Copyright (C) Rush
 */


#include <poll.h>
#include <stdlib.h>

#include "courier.h"


#define RUSH_COURIER_GRACE    5000      /* ms, for transfers at the end */


static void rush_courier_start(rush_courier_t *co);
static void rush_courier_try(rush_courier_t *co, rush_message_t *m);
static void rush_courier_later(rush_courier_t *co, rush_message_t *m);
static void rush_courier_landed(void *data, void *owner, CURLcode rc);
static void rush_courier_redis(rush_courier_t *co);
static void rush_courier_stop(rush_courier_t *co);
static int64_t rush_courier_due(rush_courier_t *co);


int
rush_courier_run(rush_daemon_t *d)
{
    int              rc;
    size_t           i;
    rush_courier_t  *co;

    co = calloc(1, sizeof(rush_courier_t));
    if (co == NULL) {
        rush_log(RUSH_LOG_ERROR, "no memory for the courier");
        return RUSH_ERROR;
    }

    co->daemon = d;
    co->rd = rush_redis_create(d, "courier");
    co->inbox = (rush_inbox_t) { d, co->rd, &co->args, RUSH_OUT_KEY,
                                 RUSH_COURIER_POLL, 0 };
    rc = rush_curl_open(&co->loop, d, "courier", rush_courier_landed, co);
    rc = (co->rd != NULL && rc == RUSH_OK) ? RUSH_OK : RUSH_ERROR;

    while (rc == RUSH_OK && !rush_stopping(d)) {
        rush_courier_redis(co);
        rush_courier_start(co);

        if (co->loop.flying > 0) {
            rush_curl_perform(&co->loop, RUSH_COURIER_POLL);

        } else if (!rush_redis_connected(co->rd)
                   || rush_courier_count(co, RUSH_MESSAGE_FREE) == 0)
        {
            (void) rush_wait(d, RUSH_COURIER_POLL);
        }

        rush_stat_set(d, messages_held,
                      RUSH_MESSAGES - rush_courier_count(co,
                                                         RUSH_MESSAGE_FREE));
    }

    if (rc == RUSH_OK) {
        rush_courier_stop(co);
    }

    for (i = 0; i < RUSH_MESSAGES; i++) {
        rush_message_land(co, &co->messages[i]);
        rush_message_wipe(&co->messages[i]);
    }

    rush_curl_close(&co->loop);
    rush_redis_destroy(co->rd);
    rush_args_free(&co->args);
    free(co);

    return rc;
}


/* all that needs Redis; a lost connection ends it, until the next turn */

static void
rush_courier_redis(rush_courier_t *co)
{
    int64_t         now, block;
    rush_daemon_t  *d;

    d = co->daemon;

    if (rush_redis_ready(co->rd) != RUSH_OK) {
        return;
    }

    if (co->inbox.generation != rush_redis_generation(co->rd)) {

        if (rush_courier_join(co) != RUSH_OK) {
            return;
        }

        co->inbox.generation = rush_redis_generation(co->rd);
    }

    if (rush_courier_over(co) != RUSH_OK) {
        return;
    }

    now = rush_mono();

    if (now >= co->next_claim) {

        if (rush_courier_keep(co) != RUSH_OK
            || rush_courier_claim(co) != RUSH_OK)
        {
            return;
        }

        co->next_claim = now + d->conf.claim_interval * 1000;
    }

    if (rush_courier_count(co, RUSH_MESSAGE_FREE) == 0) {
        return;
    }

    block = co->loop.flying ? 0 : rush_courier_due(co);
    block = block < d->conf.block ? block : d->conf.block;

    (void) rush_courier_read(co, ">", block);
}


/* what is due, the oldest first as far as places go */

static void
rush_courier_start(rush_courier_t *co)
{
    size_t           i;
    rush_message_t  *m;

    for (i = 0; i < RUSH_MESSAGES; i++) {
        m = &co->messages[i];

        if (m->state != RUSH_MESSAGE_WAITING || m->next > rush_mono()) {
            continue;
        }

        if (rush_now() >= m->expires) {
            rush_log(RUSH_LOG_WARN, "courier: %s %s has expired after %u "
                     "tries", m->mail ? "mail" : "sms", m->id, m->tries);
            rush_stat_add(co->daemon, messages_expired, 1);
            m->state = RUSH_MESSAGE_OVER;
            continue;
        }

        if (co->loop.flying < (size_t) co->daemon->conf.courier.parallel) {
            rush_courier_try(co, m);
        }
    }
}


static void
rush_courier_try(rush_courier_t *co, rush_message_t *m)
{
    const char  *driver;

    driver = m->mail ? co->daemon->conf.courier.mail_driver
                     : co->daemon->conf.courier.sms_driver;

    if (driver[0] == '\0') {
        rush_log(RUSH_LOG_ERROR, "courier: no driver for %s %s",
                 m->mail ? "mail" : "sms", m->id);
        rush_stat_add(co->daemon, messages_failed, 1);
        m->state = RUSH_MESSAGE_OVER;
        return;
    }

    if (m->tries > 0) {
        rush_stat_add(co->daemon, messages_retried, 1);
    }

    m->tries++;

    if (rush_message_send(co, m) != RUSH_OK) {
        rush_courier_later(co, m);
    }
}


/* a jittered pause that doubles; the last one ends when the message does */

static void
rush_courier_later(rush_courier_t *co, rush_message_t *m)
{
    int64_t  pause, left;

    pause = m->pause * 3 / 4 + random() % (m->pause / 2 + 1);
    left = m->expires - rush_now();

    if (pause > left) {
        pause = left > 0 ? left : 0;
    }

    m->next = rush_mono() + pause * 1000;
    m->pause *= 2;

    if (m->pause > co->daemon->conf.courier.retry_max) {
        m->pause = co->daemon->conf.courier.retry_max;
    }
}


void
rush_courier_drop(rush_courier_t *co, rush_message_t *m)
{
    rush_message_land(co, m);
    rush_message_wipe(m);
    m->state = RUSH_MESSAGE_FREE;
}


static void
rush_courier_landed(void *data, void *owner, CURLcode rc)
{
    rush_courier_t  *co = data;
    rush_message_t  *m = owner;

    rush_send_e      verdict;

    verdict = rush_message_verdict(m, rc);
    rush_message_land(co, m);

    switch (verdict) {

    case RUSH_SEND_DONE:
        rush_stat_add(co->daemon, messages_sent, 1);
        m->state = RUSH_MESSAGE_OVER;
        break;

    case RUSH_SEND_NEVER:
        rush_stat_add(co->daemon, messages_failed, 1);
        m->state = RUSH_MESSAGE_OVER;
        break;

    case RUSH_SEND_AGAIN:
        rush_courier_later(co, m);
        break;
    }
}


/* what flies may land; the rest is left for others, and for the next start */

static void
rush_courier_stop(rush_courier_t *co)
{
    int64_t  end;

    end = rush_mono() + RUSH_COURIER_GRACE * 1000;

    while (co->loop.flying > 0 && rush_mono() < end) {
        rush_curl_perform(&co->loop, RUSH_COURIER_POLL);
    }

    if (rush_redis_connected(co->rd)) {
        (void) rush_courier_over(co);
    }
}


size_t
rush_courier_count(rush_courier_t *co, rush_message_e state)
{
    size_t  i, n;

    n = 0;

    for (i = 0; i < RUSH_MESSAGES; i++) {
        n += (co->messages[i].state == state);
    }

    return n;
}


rush_message_t *
rush_courier_find(rush_courier_t *co, const char *id)
{
    size_t           i;
    rush_message_t  *m;

    for (i = 0; i < RUSH_MESSAGES; i++) {
        m = &co->messages[i];

        if (id == NULL ? m->state == RUSH_MESSAGE_FREE
                       : (m->state != RUSH_MESSAGE_FREE
                          && strcmp(m->id, id) == 0))
        {
            return m;
        }
    }

    return NULL;
}


/* ms until the next try, at least 1 */

static int64_t
rush_courier_due(rush_courier_t *co)
{
    size_t   i;
    int64_t  now, due;

    now = rush_mono();
    due = INT64_MAX;

    for (i = 0; i < RUSH_MESSAGES; i++) {

        if (co->messages[i].state == RUSH_MESSAGE_OVER) {
            return 1;
        }

        if (co->messages[i].state == RUSH_MESSAGE_WAITING
            && co->messages[i].next - now < due)
        {
            due = co->messages[i].next - now;
        }
    }

    due /= 1000;

    return due > 0 ? due : 1;
}
