
/*
 * Copyright (C) Rush
 *
 * Redis client, the commands: the queue of a lane and its deadlines.  The
 * connection is in ngx_rush_redis_lane.c, the buffer in ngx_rush_redis_out.c.
 *
 * ngx_rush_redis_send() writes a command as RESP behind the others in the
 * lane's buffer, appends a cmd to the lane's queue and posts one event; that
 * event writes everything when the posted events of this turn run.  Replies
 * meet the queue in order.
 *
 * A cmd is in the queue from the call until its reply or the end of the
 * connection.  Its offset counts the bytes of commands of this connection,
 * so "offset >= lane->sent" means that the connection never took a byte of
 * it.  When its deadline passes, a cmd that may have left is given up:
 * handler NULL, it stays to swallow the late reply.  One that has not left
 * is cut out of the buffer, so it is certainly not executed.
 *
 * One timer serves all deadlines of a lane.  It is set to the earliest one
 * known and is not moved when a command ends; when it fires, it walks the
 * queue and sets itself anew.  It holds a graceful exit (is not cancelable)
 * only while somebody waits.
 *
 * Memory: cmds come from malloc() through a free list of the worker, at most
 * "queue" a lane; the buffer is malloc() memory, used again, given back when
 * it had grown.  All of it is freed in exit_process, where commands in
 * flight are dropped without a call: their requests go with the process.
 *
 * Not handled: Cluster, Sentinel, TLS, RESP3.
 */


#include "ngx_rush_redis_lane.h"


/* a long queue is not walked more often, in ms */
#define NGX_RUSH_TICK  10


static ngx_rush_cmd_t *ngx_rush_redis_cmd(ngx_log_t *log);
static void ngx_rush_lane_watch(ngx_rush_lane_t *lane, ngx_msec_t timeout);
static void ngx_rush_lane_timer(ngx_event_t *ev);
static ngx_uint_t ngx_rush_lane_give_up(ngx_rush_lane_t *lane);
static ngx_uint_t ngx_rush_lane_withdraw(ngx_rush_lane_t *lane);
static rush_outcome_e ngx_rush_lane_error(ngx_rush_lane_t *lane,
    redisReply *reply);
static void ngx_rush_redis_refuse(ngx_rush_cmd_t *cmd, uint64_t sent);


static ngx_rush_lane_t  ngx_rush_lanes[NGX_RUSH_LANES] = {
    { .name = ngx_string("hot") },
    { .name = ngx_string("side") }
};

static ngx_rush_cmd_t  *ngx_rush_redis_free;


ngx_int_t
ngx_rush_redis_init(ngx_cycle_t *cycle, ngx_rush_redis_conf_t *cf)
{
    ngx_uint_t        i;
    ngx_rush_lane_t  *lane;

    for (i = 0; i < NGX_RUSH_LANES; i++) {
        lane = &ngx_rush_lanes[i];

        lane->conf = cf;
        lane->log = cycle->log;
        lane->last = &lane->head;

        lane->timer.handler = ngx_rush_lane_timer;
        lane->timer.data = lane;
        lane->timer.log = cycle->log;
        lane->timer.cancelable = 1;

        if (ngx_rush_lane_init(lane, cycle->pool) != NGX_OK) {
            return NGX_ERROR;
        }

        /* a server that is down is no reason not to start */
        ngx_rush_lane_connect(lane);
    }

    return NGX_OK;
}


void
ngx_rush_redis_exit(ngx_cycle_t *cycle)
{
    ngx_uint_t        i;
    ngx_rush_cmd_t   *cmd;
    ngx_rush_lane_t  *lane;

    for (i = 0; i < NGX_RUSH_LANES; i++) {
        lane = &ngx_rush_lanes[i];

        if (lane->state == NGX_RUSH_LANE_CLOSED) {
            continue;
        }

        ngx_rush_lane_close(lane);
        lane->state = NGX_RUSH_LANE_CLOSED;

        *lane->last = ngx_rush_redis_free;
        ngx_rush_redis_free = lane->head;

        lane->head = NULL;
        lane->last = &lane->head;
        lane->total = 0;
        lane->live = 0;

        ngx_rush_out_free(lane);
    }

    while (ngx_rush_redis_free) {
        cmd = ngx_rush_redis_free;
        ngx_rush_redis_free = cmd->next;
        ngx_free(cmd);
    }
}


ngx_int_t
ngx_rush_redis_send(ngx_uint_t lane_n, ngx_uint_t n, ngx_str_t *args,
    ngx_msec_t timeout, ngx_rush_redis_pt handler, void *data)
{
    ngx_rush_cmd_t   *cmd;
    ngx_rush_lane_t  *lane;

    ngx_rush_assert(lane_n < NGX_RUSH_LANES && n != 0 && handler != NULL);

    lane = &ngx_rush_lanes[lane_n];

    if (lane->state != NGX_RUSH_LANE_READY) {

        /*
         * One lost connection is worth a short wait.  A server that failed
         * again is refused at once, until the reconnect, the probe, is
         * through.
         */

        if (lane->state != NGX_RUSH_LANE_CONNECTING || lane->failures > 1) {
            goto refused;
        }
    }

    if (lane->total >= lane->conf->queue
        || ngx_rush_out_room(lane, ngx_rush_redis_size(n, args)) != NGX_OK)
    {
        ngx_log_debug2(NGX_LOG_DEBUG_CORE, lane->log, 0,
                       "redis %V lane is full, %ui commands",
                       &lane->name, lane->total);
        goto refused;
    }

    cmd = ngx_rush_redis_cmd(lane->log);
    if (cmd == NULL) {
        goto refused;
    }

    if (timeout == 0) {
        timeout = lane->conf->timeout;
    }

    cmd->next = NULL;
    cmd->handler = handler;
    cmd->data = data;
    cmd->deadline = ngx_current_msec + timeout;
    cmd->offset = lane->sent + (lane->out_last - lane->out_pos);

    lane->out_last = ngx_rush_redis_write(lane->out + lane->out_last, n, args)
                     - lane->out;

    if (lane->total == 0) {
        lane->alive = ngx_current_msec;
        timeout = ngx_min(timeout, lane->conf->stall);
    }

    *lane->last = cmd;
    lane->last = &cmd->next;
    lane->total++;
    lane->live++;

    ngx_rush_lane_watch(lane, timeout);

    if (lane->state == NGX_RUSH_LANE_READY && !lane->blocked) {
        ngx_post_event(&lane->flush, &ngx_posted_events);
    }

    ngx_rush_count(NGX_RUSH_C_REDIS_COMMANDS, 1);

    return NGX_OK;

refused:

    ngx_rush_count(NGX_RUSH_C_REDIS_REFUSED, 1);

    return NGX_BUSY;
}


static ngx_rush_cmd_t *
ngx_rush_redis_cmd(ngx_log_t *log)
{
    ngx_rush_cmd_t  *cmd;

    cmd = ngx_rush_redis_free;

    if (cmd) {
        ngx_rush_redis_free = cmd->next;
        return cmd;
    }

    return ngx_alloc(sizeof(ngx_rush_cmd_t), log);
}


static ngx_inline void
ngx_rush_redis_release(ngx_rush_cmd_t *cmd)
{
    cmd->next = ngx_rush_redis_free;
    ngx_rush_redis_free = cmd;
}


/* the timer fires not later than in timeout ms */

static void
ngx_rush_lane_watch(ngx_rush_lane_t *lane, ngx_msec_t timeout)
{
    ngx_msec_int_t  later;

    lane->timer.cancelable = 0;

    if (lane->timer.timer_set) {
        later = (ngx_msec_int_t) (lane->timer.timer.key
                                  - (ngx_current_msec + timeout));

        if (later <= 0) {
            return;
        }

        /* ngx_add_timer() alone would keep a key that is a bit later */
        ngx_del_timer(&lane->timer);
    }

    ngx_add_timer(&lane->timer, timeout);
}


void
ngx_rush_lane_arm(ngx_rush_lane_t *lane)
{
    ngx_msec_int_t   left, wait;
    ngx_rush_cmd_t  *cmd;

    if (lane->timer.timer_set) {
        ngx_del_timer(&lane->timer);
    }

    lane->timer.cancelable = (lane->live == 0);

    if (lane->state == NGX_RUSH_LANE_CONNECTING) {
        wait = lane->connect_due - ngx_current_msec;

    } else if (lane->total) {
        wait = lane->alive + lane->conf->stall - ngx_current_msec;

    } else {
        return;
    }

    for (cmd = lane->head; cmd; cmd = cmd->next) {

        if (cmd->handler) {
            left = cmd->deadline - ngx_current_msec;
            wait = ngx_min(wait, left);
        }
    }

    ngx_add_timer(&lane->timer, (ngx_msec_t) ngx_max(wait, NGX_RUSH_TICK));
}


static void
ngx_rush_lane_timer(ngx_event_t *ev)
{
    ngx_rush_lane_t  *lane = ev->data;

    ngx_uint_t        n;
    ngx_msec_int_t    late;

    if (lane->state == NGX_RUSH_LANE_CONNECTING) {
        late = ngx_current_msec - lane->connect_due;

        if (late >= 0) {
            ngx_rush_lane_down(lane, NGX_ETIMEDOUT, "connecting");
            return;
        }

    } else if (lane->total) {
        late = ngx_current_msec - lane->alive - lane->conf->stall;

        if (late >= 0) {
            ngx_rush_lane_down(lane, NGX_ETIMEDOUT, "no reply");
            return;
        }
    }

    n = ngx_rush_lane_give_up(lane);
    n += ngx_rush_lane_withdraw(lane);

    ngx_rush_count(NGX_RUSH_C_REDIS_TIMEOUTS, n);

    if (n && ngx_rush_lane_logs(lane, NGX_RUSH_LANE_TIMEOUT)) {
        ngx_log_error(NGX_LOG_ERR, lane->log, NGX_ETIMEDOUT,
                      "redis %V: %ui commands on the %V lane",
                      &lane->conf->addr.name, n, &lane->name);
    }

    ngx_rush_lane_arm(lane);
}


/* commands of which a byte may have left; they stay in the queue.  Handlers
 * may append to it while it is walked: such a deadline has not passed */

static ngx_uint_t
ngx_rush_lane_give_up(ngx_rush_lane_t *lane)
{
    ngx_uint_t          n;
    ngx_msec_int_t      left;
    ngx_rush_cmd_t     *cmd;
    ngx_rush_redis_pt   handler;

    n = 0;

    for (cmd = lane->head; cmd; cmd = cmd->next) {

        if (cmd->offset >= lane->sent) {
            break;
        }

        left = cmd->deadline - ngx_current_msec;

        if (cmd->handler == NULL || left > 0) {
            continue;
        }

        handler = cmd->handler;
        cmd->handler = NULL;
        lane->live--;
        n++;

        handler(cmd->data, NULL, RUSH_MAYBE);
    }

    ngx_rush_count(NGX_RUSH_C_REDIS_UNKNOWN, n);

    return n;
}


/* commands still in our buffer; no handler runs until it is whole again */

static ngx_uint_t
ngx_rush_lane_withdraw(ngx_rush_lane_t *lane)
{
    size_t            len, cut;
    u_char           *p;
    uint64_t          end;
    ngx_uint_t        n;
    ngx_msec_int_t    left;
    ngx_rush_cmd_t   *cmd, *next, *gone, **prev, **last;

    n = 0;
    cut = 0;
    gone = NULL;
    last = &gone;
    prev = &lane->head;
    end = lane->sent + (lane->out_last - lane->out_pos);

    for (cmd = lane->head; cmd; cmd = next) {
        next = cmd->next;

        if (cmd->offset < lane->sent) {
            prev = &cmd->next;
            continue;
        }

        len = (next ? next->offset : end) - cmd->offset;
        left = cmd->deadline - ngx_current_msec;

        if (left <= 0) {
            *prev = next;
            *last = cmd;
            last = &cmd->next;
            cut += len;
            n++;
            continue;
        }

        if (cut) {
            p = lane->out + lane->out_pos + (cmd->offset - lane->sent);
            ngx_memmove(p - cut, p, len);
            cmd->offset -= cut;
        }

        prev = &cmd->next;
    }

    *last = NULL;

    lane->last = prev;
    lane->out_last -= cut;
    lane->total -= n;
    lane->live -= n;

    ngx_rush_redis_refuse(gone, 0);

    return n;
}


/* NGX_ERROR: nobody has asked */

ngx_int_t
ngx_rush_lane_answer(ngx_rush_lane_t *lane, redisReply *reply)
{
    void               *data;
    rush_outcome_e      outcome;
    ngx_rush_cmd_t     *cmd;
    ngx_rush_redis_pt   handler;

    cmd = lane->head;

    if (cmd == NULL || cmd->offset >= lane->sent) {
        return NGX_ERROR;
    }

    lane->head = cmd->next;
    lane->total--;

    if (lane->head == NULL) {
        lane->last = &lane->head;
    }

    handler = cmd->handler;
    data = cmd->data;

    ngx_rush_redis_release(cmd);

    if (handler == NULL) {
        return NGX_OK;
    }

    lane->live--;
    lane->timer.cancelable = (lane->live == 0);

    outcome = RUSH_DONE;

    if (reply->type == REDIS_REPLY_ERROR) {
        outcome = ngx_rush_lane_error(lane, reply);
    }

    handler(data, reply, outcome);

    return NGX_OK;
}


static rush_outcome_e
ngx_rush_lane_error(ngx_rush_lane_t *lane, redisReply *reply)
{
    rush_outcome_e  outcome;

    outcome = rush_outcome(reply->str, reply->len);

    if (outcome == RUSH_GATE_SHUT) {
        ngx_rush_count(NGX_RUSH_C_REDIS_GATE_SHUT, 1);
        return outcome;
    }

    ngx_rush_count(NGX_RUSH_C_REDIS_ERRORS, 1);

    if (outcome == RUSH_MAYBE) {
        ngx_rush_count(NGX_RUSH_C_REDIS_UNKNOWN, 1);
    }

    if (ngx_rush_lane_logs(lane, NGX_RUSH_LANE_REFUSED)) {
        ngx_log_error(NGX_LOG_ERR, lane->log, 0,
                      "redis %V: error on the %V lane: %*s",
                      &lane->conf->addr.name, &lane->name,
                      ngx_rush_lane_quote(reply), reply->str);
    }

    return outcome;
}


/* the connection is gone, and the lane takes no commands any more */

void
ngx_rush_lane_fail(ngx_rush_lane_t *lane)
{
    uint64_t         sent;
    ngx_rush_cmd_t  *cmd;

    cmd = lane->head;
    sent = lane->sent;

    lane->head = NULL;
    lane->last = &lane->head;
    lane->total = 0;
    lane->live = 0;
    lane->sent = 0;
    ngx_rush_out_reset(lane);

    ngx_rush_redis_refuse(cmd, sent);
}


static void
ngx_rush_redis_refuse(ngx_rush_cmd_t *cmd, uint64_t sent)
{
    void               *data;
    rush_outcome_e      outcome;
    ngx_rush_cmd_t     *next;
    ngx_rush_redis_pt   handler;

    for ( /* void */ ; cmd; cmd = next) {
        next = cmd->next;
        handler = cmd->handler;
        data = cmd->data;
        outcome = (cmd->offset < sent) ? RUSH_MAYBE : RUSH_NOT_DONE;

        ngx_rush_redis_release(cmd);

        if (handler == NULL) {
            continue;
        }

        if (outcome == RUSH_MAYBE) {
            ngx_rush_count(NGX_RUSH_C_REDIS_UNKNOWN, 1);
        }

        handler(data, NULL, outcome);
    }
}


void
ngx_rush_redis_state(ngx_rush_redis_state_t *state)
{
    ngx_uint_t        i;
    ngx_rush_lane_t  *lane;

    ngx_memzero(state, sizeof(ngx_rush_redis_state_t));

    for (i = 0; i < NGX_RUSH_LANES; i++) {
        lane = &ngx_rush_lanes[i];

        state->in_flight += lane->live;

        if (lane->state == NGX_RUSH_LANE_READY) {
            state->up++;

        } else if (state->down_since == 0
                   || (ngx_msec_int_t) (lane->down_since - state->down_since)
                      < 0)
        {
            state->down_since = lane->down_since;
        }
    }
}
