
/*
 * Copyright (C) Rush
 *
 * A lane of the Redis client, private to ngx_rush_redis*.c.
 */


#ifndef _NGX_RUSH_REDIS_LANE_H_INCLUDED_
#define _NGX_RUSH_REDIS_LANE_H_INCLUDED_


#include "ngx_rush_counters.h"
#include "ngx_rush_redis.h"


#define NGX_RUSH_LANE_CLOSED      0     /* not configured, or the end */
#define NGX_RUSH_LANE_CONNECTING  1     /* until the greeting is answered */
#define NGX_RUSH_LANE_READY       2
#define NGX_RUSH_LANE_BACKOFF     3

#define NGX_RUSH_GREETINGS        3     /* AUTH, SELECT, PING */

/* what is logged once in a while only */

#define NGX_RUSH_LANE_DOWN        0
#define NGX_RUSH_LANE_TIMEOUT     1
#define NGX_RUSH_LANE_REFUSED     2
#define NGX_RUSH_LANE_LOGS        3


typedef struct ngx_rush_cmd_s  ngx_rush_cmd_t;

struct ngx_rush_cmd_s {
    ngx_rush_cmd_t         *next;
    ngx_rush_redis_pt       handler;    /* NULL: given up, its late reply
                                           is dropped */
    void                   *data;
    ngx_msec_t              deadline;
    uint64_t                offset;     /* of its first byte in what this
                                           connection sends */
};


typedef struct {
    ngx_connection_t       *connection;
    redisReader            *reader;     /* as old as the connection */
    ngx_rush_redis_conf_t  *conf;
    ngx_log_t              *log;
    ngx_str_t               name;

    ngx_uint_t              state;
    ngx_uint_t              failures;   /* in a row */
    ngx_msec_t              down_since; /* 0: up */
    ngx_msec_t              connect_due;
    ngx_msec_t              alive;      /* last bytes from the server, or the
                                           first command in flight */

    ngx_event_t             timer;      /* deadlines, stall, connect */
    ngx_event_t             retry;      /* backoff */
    ngx_event_t             flush;      /* one write a turn */

    ngx_rush_cmd_t         *head;       /* in the order of the replies */
    ngx_rush_cmd_t        **last;
    ngx_uint_t              total;
    ngx_uint_t              live;       /* without those given up */

    u_char                 *out;        /* commands not sent yet */
    size_t                  out_pos;
    size_t                  out_last;
    size_t                  out_size;
    uint64_t                sent;       /* bytes of commands the connection
                                           took; stands at out + out_pos */

    ngx_str_t               greeting;   /* in cycle->pool, with password */
    size_t                  greeting_pos;
    const char             *greetings[NGX_RUSH_GREETINGS];
    ngx_uint_t              greetings_n;
    ngx_uint_t              greeted;

    size_t                  incomplete; /* bytes since the last reply */

    ngx_msec_t              logged[NGX_RUSH_LANE_LOGS];

    unsigned                connected:1;
    unsigned                blocked:1;  /* waits until it can write */
} ngx_rush_lane_t;


/* ngx_rush_redis_lane.c: the connection */

ngx_int_t ngx_rush_lane_init(ngx_rush_lane_t *lane, ngx_pool_t *pool);
void ngx_rush_lane_connect(ngx_rush_lane_t *lane);
ngx_int_t ngx_rush_lane_connected(ngx_rush_lane_t *lane);
void ngx_rush_lane_ready(ngx_rush_lane_t *lane);
void ngx_rush_lane_down(ngx_rush_lane_t *lane, ngx_err_t err,
    const char *why);
void ngx_rush_lane_close(ngx_rush_lane_t *lane);
ngx_uint_t ngx_rush_lane_logs(ngx_rush_lane_t *lane, ngx_uint_t what);

/* ngx_rush_redis_in.c: the replies */

void ngx_rush_lane_read_handler(ngx_event_t *rev);
size_t ngx_rush_lane_quote(redisReply *reply);

/* ngx_rush_redis_out.c: the buffer; room is NGX_BUSY when it is full */

ngx_int_t ngx_rush_out_room(ngx_rush_lane_t *lane, size_t size);
void ngx_rush_out_reset(ngx_rush_lane_t *lane);
void ngx_rush_out_free(ngx_rush_lane_t *lane);
size_t ngx_rush_redis_size(ngx_uint_t n, ngx_str_t *args);
u_char *ngx_rush_redis_write(u_char *p, ngx_uint_t n, ngx_str_t *args);

/* ngx_rush_redis.c: the commands */

void ngx_rush_lane_arm(ngx_rush_lane_t *lane);
ngx_int_t ngx_rush_lane_answer(ngx_rush_lane_t *lane, redisReply *reply);
void ngx_rush_lane_fail(ngx_rush_lane_t *lane);


#endif /* _NGX_RUSH_REDIS_LANE_H_INCLUDED_ */
