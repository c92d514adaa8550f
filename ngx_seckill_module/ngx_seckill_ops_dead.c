
/*
 * Copyright (C) Rush
 */


#include "ngx_seckill_row.h"
#include "rush_notice.h"


/*
 * Dead letters: entries of streams that the consumer could not store.  The
 * row is its own outbox: "replay" marks it, and the controller stores it the
 * way of the stream, or opens it again with the new cause.
 */


static ngx_int_t ngx_seckill_list_dead(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_dead_listed(ngx_rush_req_t *q);
static void ngx_seckill_put_dead(ngx_rush_req_t *q, ngx_uint_t row,
    ngx_uint_t private);

static ngx_int_t ngx_seckill_ask_replay(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_dead_closed(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_show_replay(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_discard(ngx_rush_req_t *q);
static ngx_int_t ngx_seckill_show_discard(ngx_rush_req_t *q);

static ngx_int_t ngx_seckill_close_dead(ngx_rush_req_t *q, int64_t state);
static void ngx_seckill_put_dead_state(ngx_rush_req_t *q, ngx_uint_t state);


/* dead_letter.state */

enum {
    D_OPEN = 0, D_REPLAYED, D_DISCARDED, D_REPLAYING, D_STATES
};

enum {                                  /* columns of dead_list */
    D_ID = 0, D_ACTIVITY, D_ENTRY, D_PART, D_STATE, D_CAUSE, D_BODY,
    D_CREATED, D_CLOSED, D_CLOSED_BY, D_REASON
};


ngx_rush_step_t  ngx_seckill_dead_letters_steps[] = {
    ngx_rush_step(ngx_seckill_list_dead),           /* mysql */
    ngx_rush_step(ngx_seckill_dead_listed),
    ngx_rush_null_step
};


ngx_rush_step_t  ngx_seckill_dead_replay_steps[] = {
    ngx_rush_step(ngx_seckill_ask_replay),          /* mysql */
    ngx_rush_step(ngx_seckill_dead_closed),        /* mysql, when refused */
    ngx_rush_step(ngx_seckill_show_replay),
    ngx_rush_null_step
};


ngx_rush_step_t  ngx_seckill_dead_discard_steps[] = {
    ngx_rush_step(ngx_seckill_discard),             /* mysql */
    ngx_rush_step(ngx_seckill_dead_closed),        /* mysql, when refused */
    ngx_rush_step(ngx_seckill_show_discard),
    ngx_rush_null_step
};


static const char  *ngx_seckill_dead_states[D_STATES] = {
    "open", "replayed", "discarded", "replaying"
};


static ngx_int_t
ngx_seckill_list_dead(ngx_rush_req_t *q)
{
    ngx_seckill_dead_letters_t  *list = q->data;

    ngx_uint_t        state;
    ngx_rush_param_t  p[3];

    state = D_OPEN;

    if (list->state.len) {
        state = ngx_seckill_find_name(ngx_seckill_dead_states, D_STATES,
                                      &list->state);
    }

    if (state == D_STATES) {
        return ngx_rush_refuse(q, "state", "must be open, replaying, "
                               "replayed or discarded");
    }

    p[0] = ngx_rush_p_int(state);
    p[1] = ngx_rush_p_int(list->last_id);
    p[2] = ngx_rush_p_int(ngx_seckill_feed_size(list->page_size));

    return ngx_rush_query(q, &ngx_seckill_sql[NGX_SECKILL_SQL_DEAD_LIST], p,
                          3, RUSH_INTERNAL);
}


static ngx_int_t
ngx_seckill_dead_listed(ngx_rush_req_t *q)
{
    ngx_seckill_dead_letters_t  *list = q->data;

    ngx_uint_t  i, private;

    private = (ngx_rush_may(q->user.roles, RUSH_MAY_users_private) == RUSH_OK);

    ngx_seckill_list_open(q);

    for (i = 0; i < q->rows->n; i++) {
        ngx_seckill_put_dead(q, i, private);
    }

    ngx_seckill_feed_close(q, ngx_seckill_feed_size(list->page_size), D_ID);

    return NGX_OK;
}


static void
ngx_seckill_put_dead(ngx_rush_req_t *q, ngx_uint_t row, ngx_uint_t private)
{
    char         key[RUSH_KEY_LEN];
    int64_t      activity;
    rush_buf_t  *b;

#define ngx_seckill_text(col)                                                 \
    ((rush_str_t *) ngx_rush_cell(q->rows, row, col))
#define ngx_seckill_int(col)  ngx_rush_cell_int(q->rows, row, col)

    b = &q->out;
    activity = ngx_seckill_int(D_ACTIVITY);

    rush_json_open(b, NULL, '{');
    rush_json_id(b, "id", ngx_seckill_int(D_ID));

    if (activity > 0) {
        (void) rush_key(key, activity, 's');
        rush_json_text(b, "stream", key);

    } else {
        rush_json_text(b, "stream", activity == -1 ? NGX_SECKILL_ORDERS
                                                   : RUSH_NOTICE_KEY);
    }

    rush_json_str(b, "entry", ngx_seckill_text(D_ENTRY));
    rush_json_int(b, "part", ngx_seckill_int(D_PART));
    rush_json_text(b, "state", ngx_seckill_dead_states[
                               (ngx_uint_t) ngx_seckill_int(D_STATE)
                               % D_STATES]);
    rush_json_str(b, "cause", ngx_seckill_text(D_CAUSE));

    /* grants are numbers; remarks and payers are about a person */

    if (activity > 0 || private) {
        rush_json_str(b, "body", ngx_seckill_text(D_BODY));

    } else {
        rush_json_text(b, "body", "***");
    }

    rush_json_time(b, "created_at", ngx_seckill_int(D_CREATED));
    rush_json_time(b, "closed_at", ngx_seckill_int(D_CLOSED));
    rush_json_id(b, "closed_by", ngx_seckill_int(D_CLOSED_BY));
    rush_json_str(b, "reason", ngx_seckill_text(D_REASON));
    rush_json_close(b, '}');

#undef ngx_seckill_text
#undef ngx_seckill_int
}


static ngx_int_t
ngx_seckill_ask_replay(ngx_rush_req_t *q)
{
    return ngx_seckill_close_dead(q, D_REPLAYING);
}


static ngx_int_t
ngx_seckill_discard(ngx_rush_req_t *q)
{
    return ngx_seckill_close_dead(q, D_DISCARDED);
}


static ngx_int_t
ngx_seckill_close_dead(ngx_rush_req_t *q, int64_t state)
{
    ngx_seckill_dead_discard_t  *dead = q->data;

    ngx_rush_param_t  p[5];

    dead->state = state;

    p[0] = ngx_rush_p_int(state);
    p[1] = ngx_rush_p_int(q->user.user);
    p[2] = ngx_rush_p_str(&dead->reason);
    p[3] = ngx_rush_p_int(state == D_DISCARDED ? ngx_rush_now_ms() : 0);
    p[4] = ngx_rush_p_int(dead->id);

    return ngx_rush_query(q, &ngx_seckill_sql[NGX_SECKILL_SQL_DEAD_CLOSE], p,
                          5, RUSH_INTERNAL);
}


static ngx_int_t
ngx_seckill_dead_closed(ngx_rush_req_t *q)
{
    ngx_seckill_dead_discard_t  *dead = q->data;

    ngx_rush_param_t  p;

    if (q->rows->affected) {
        /* the controller may be done with it by now */
        ngx_seckill_put_dead_state(q, dead->state);
        return NGX_DONE;
    }

    p = ngx_rush_p_int(dead->id);

    return ngx_rush_query(q, &ngx_seckill_sql[NGX_SECKILL_SQL_DEAD_STATE], &p,
                          1, RUSH_INTERNAL);
}


/* asked for before: the same answer */

static ngx_int_t
ngx_seckill_show_replay(ngx_rush_req_t *q)
{
    int64_t  state;

    state = q->rows->n ? ngx_rush_cell_int(q->rows, 0, 0) : D_STATES;

    if (state == D_REPLAYING || state == D_REPLAYED) {
        ngx_seckill_put_dead_state(q, state);
        return NGX_OK;
    }

    return state == D_STATES ? RUSH_NOT_FOUND : RUSH_CONFLICT;
}


static ngx_int_t
ngx_seckill_show_discard(ngx_rush_req_t *q)
{
    int64_t  state;

    state = q->rows->n ? ngx_rush_cell_int(q->rows, 0, 0) : D_STATES;

    if (state == D_DISCARDED) {
        ngx_seckill_put_dead_state(q, state);
        return NGX_OK;
    }

    return state == D_STATES ? RUSH_NOT_FOUND : RUSH_CONFLICT;
}


static void
ngx_seckill_put_dead_state(ngx_rush_req_t *q, ngx_uint_t state)
{
    ngx_seckill_dead_discard_t  *dead = q->data;

    rush_json_open(&q->out, NULL, '{');
    rush_json_id(&q->out, "id", dead->id);
    rush_json_text(&q->out, "state", ngx_seckill_dead_states[state]);
    rush_json_close(&q->out, '}');
}
