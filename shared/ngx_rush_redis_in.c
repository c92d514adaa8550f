
/*
 * Copyright (C) Rush
 *
 * Redis client, the input of a lane: bytes to replies, replies to commands.
 *
 * hiredis keeps what is incomplete, so replies may come byte by byte.  A
 * reply that nobody asked for, or that is no RESP, ends the connection:
 * everything sent on it is RUSH_MAYBE.
 *
 * Handlers run in the loops below.  None can close its lane, because
 * ngx_rush_redis_send() only queues; so after a handler the loops need not
 * look whether the lane is still there.
 */


#include "ngx_rush_redis_lane.h"


#define NGX_RUSH_READ_SIZE    65536
#define NGX_RUSH_READ_ROUNDS  16        /* then others have their turn */
#define NGX_RUSH_REPLY_MAX    (16 * 1024 * 1024)


static ngx_int_t ngx_rush_lane_feed(ngx_rush_lane_t *lane, u_char *buf,
    size_t size);
static ngx_int_t ngx_rush_lane_greeted(ngx_rush_lane_t *lane,
    redisReply *reply);


static u_char  ngx_rush_read_buf[NGX_RUSH_READ_SIZE];


void
ngx_rush_lane_read_handler(ngx_event_t *rev)
{
    ssize_t            n;
    ngx_err_t          err;
    ngx_uint_t         i;
    ngx_rush_lane_t   *lane;
    ngx_connection_t  *c;

    c = rev->data;
    lane = c->data;

    if (c->close) {
        ngx_rush_lane_down(lane, 0, "the worker is shut down");
        return;
    }

    if (!lane->connected && ngx_rush_lane_connected(lane) != NGX_OK) {
        return;
    }

    for (i = 0; i < NGX_RUSH_READ_ROUNDS && rev->ready; i++) {

        n = c->recv(c, ngx_rush_read_buf, NGX_RUSH_READ_SIZE);

        if (n == NGX_AGAIN) {
            break;
        }

        if (n == NGX_ERROR) {
            err = ngx_socket_errno;
            ngx_rush_lane_down(lane, err, "recv() failed");
            return;
        }

        if (n == 0) {
            ngx_rush_lane_down(lane, 0, "closed by the server");
            return;
        }

        if (ngx_rush_lane_feed(lane, ngx_rush_read_buf, n) != NGX_OK) {
            return;
        }
    }

    if (rev->ready) {
        ngx_post_event(rev, &ngx_posted_next_events);
    }

    if (ngx_handle_read_event(rev, 0) != NGX_OK) {
        ngx_rush_lane_down(lane, 0, "no read event");
    }
}


/* NGX_ERROR: the lane is down */

static ngx_int_t
ngx_rush_lane_feed(ngx_rush_lane_t *lane, u_char *buf, size_t size)
{
    void         *reply;
    ngx_int_t     rc;
    const char   *why;
    redisReader  *reader;

    reader = lane->reader;

    lane->alive = ngx_current_msec;
    lane->incomplete += size;

    if (redisReaderFeed(reader, (char *) buf, size) != REDIS_OK) {
        why = reader->errstr;
        goto failed;
    }

    for ( ;; ) {
        reply = NULL;

        if (redisReaderGetReply(reader, &reply) != REDIS_OK) {
            why = reader->errstr;
            goto failed;
        }

        if (reply == NULL) {
            break;
        }

        lane->incomplete = reader->len - reader->pos;

        if (lane->state == NGX_RUSH_LANE_CONNECTING) {
            rc = ngx_rush_lane_greeted(lane, reply);
            freeReplyObject(reply);

            if (rc != NGX_OK) {
                return NGX_ERROR;
            }

            continue;
        }

        if (RUSH_FP("W3")) {
            freeReplyObject(reply);
            why = "failpoint";
            goto failed;
        }

        rc = ngx_rush_lane_answer(lane, reply);
        freeReplyObject(reply);

        if (rc != NGX_OK) {
            why = "reply to no command";
            goto failed;
        }
    }

    if (lane->incomplete && lane->head == NULL
        && lane->state != NGX_RUSH_LANE_CONNECTING)
    {
        /* half of one: the next answer would be read as its end */

        why = "reply to no command";
        goto failed;
    }

    if (lane->incomplete <= NGX_RUSH_REPLY_MAX) {
        return NGX_OK;
    }

    why = "reply is too large";

failed:

    ngx_rush_count(NGX_RUSH_C_REDIS_MALFORMED, 1);

    ngx_rush_lane_down(lane, 0, why);

    return NGX_ERROR;
}


/* NGX_ERROR: the lane is down */

static ngx_int_t
ngx_rush_lane_greeted(ngx_rush_lane_t *lane, redisReply *reply)
{
    u_char       why[256];
    const char  *name;

    name = lane->greetings[lane->greeted++];

    /* a user that may not PING is greeted well enough */

    if (reply->type == REDIS_REPLY_ERROR
        && (lane->greeted != lane->greetings_n
            || ngx_strncmp(reply->str, "NOPERM", 6) != 0))
    {
        ngx_snprintf(why, sizeof(why), "%s was answered \"%*s\"%Z",
                     name, ngx_rush_lane_quote(reply), reply->str);
        ngx_rush_lane_down(lane, 0, (char *) why);
        return NGX_ERROR;
    }

    if (lane->greeted != lane->greetings_n) {
        return NGX_OK;
    }

    if (lane->greeting_pos != lane->greeting.len) {
        ngx_rush_lane_down(lane, 0, "reply to no command");
        return NGX_ERROR;
    }

    ngx_rush_lane_ready(lane);

    return NGX_OK;
}


/* an error reply up to what it quotes: Redis repeats arguments there */

size_t
ngx_rush_lane_quote(redisReply *reply)
{
    size_t  i, len;

    len = ngx_min(reply->len, 100);

    for (i = 0; i < len; i++) {

        if (reply->str[i] == '\'' || reply->str[i] == '"'
            || reply->str[i] == '`')
        {
            break;
        }
    }

    return i;
}
