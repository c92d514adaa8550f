
/*
 * Copyright (C) Rush
 */


#include "ngx_seckill_events.h"


/*
 * Orders that somebody listens to in this worker: a topic each, found by the
 * number.  News come from the log of the site (ngx_seckill_events_log.c), and
 * a topic asks MySQL itself: at once when it is new, since its first state was
 * read before it could hear of news; five times a second while it has no row,
 * once a second when that takes long; else every half a minute, for what no
 * log has told.  One question for up to NGX_SECKILL_ASK orders is under way
 * at a time, so 20000 topics are a load that MySQL sets the pace of.
 *
 * A version is told once.  Whose order it is shows with the row: who listened
 * to the number of another is closed then.
 *
 * A topic lives while it has listeners.  One that is being asked about may
 * go: the answer then finds nobody.
 */


#define NGX_SECKILL_ASK_PAUSE  500      /* ms, after MySQL has failed */
#define NGX_SECKILL_ASK_LONG   10000    /* ms, without a row */

/* lists of topics, by how often they ask */

#define NGX_SECKILL_ASK_NOW    0
#define NGX_SECKILL_ASK_OFTEN  1
#define NGX_SECKILL_ASK_AGAIN  2
#define NGX_SECKILL_ASK_SOME   3
#define NGX_SECKILL_ASK_LISTS  4


typedef struct {
    ngx_rush_topic_t      topic;        /* must be first */
    ngx_rbtree_node_t     node;         /* by the number */
    ngx_queue_t           queue;        /* of a list, by asked */
    ngx_msec_t            asked;
    ngx_msec_t            begun;
    ngx_seckill_news_t    news;
    unsigned              asking:1;     /* in no list */
} ngx_seckill_live_t;


typedef struct {
    int64_t               id;
    int64_t               activity;
} ngx_seckill_asked_t;


#define ngx_seckill_live_of(p)                                                \
    ((ngx_seckill_live_t *) ((u_char *) (p)                                   \
                             - offsetof(ngx_seckill_live_t, node)))


static ngx_seckill_live_t *ngx_seckill_live_find(int64_t id,
    int64_t activity);
static ngx_int_t ngx_seckill_live_compare(ngx_seckill_news_t *news,
    int64_t id, int64_t activity);
static void ngx_seckill_live_insert(ngx_rbtree_node_t *temp,
    ngx_rbtree_node_t *node, ngx_rbtree_node_t *sentinel);
static ngx_seckill_live_t *ngx_seckill_live_create(ngx_seckill_news_t *news);
static void ngx_seckill_live_left(ngx_rush_topic_t *topic);
static ngx_rush_event_t *ngx_seckill_live_event(ngx_seckill_news_t *news);
static ngx_uint_t ngx_seckill_live_is_final(ngx_seckill_news_t *news);
static void ngx_seckill_live_put(ngx_seckill_live_t *live, ngx_uint_t list);
static ngx_seckill_live_t *ngx_seckill_live_due(void);
static void ngx_seckill_live_asked(void *data, ngx_rush_rows_t *rows,
    ngx_int_t rc);


static ngx_rbtree_t         ngx_seckill_lives;
static ngx_rbtree_node_t    ngx_seckill_live_nil;
static ngx_queue_t          ngx_seckill_live_lists[NGX_SECKILL_ASK_LISTS];
static ngx_seckill_asked_t  ngx_seckill_live_question[NGX_SECKILL_ASK];
static ngx_uint_t           ngx_seckill_live_n;     /* of the question; 0:
                                                       none is under way */
static ngx_msec_t           ngx_seckill_live_pause; /* until then */
static rush_buf_t           ngx_seckill_live_json;

static const ngx_msec_t  ngx_seckill_live_periods[NGX_SECKILL_ASK_LISTS] = {
    0, 200, 1000, 30000
};


void
ngx_seckill_live_init(void)
{
    ngx_uint_t  i;

    ngx_rbtree_init(&ngx_seckill_lives, &ngx_seckill_live_nil,
                    ngx_seckill_live_insert);

    for (i = 0; i < NGX_SECKILL_ASK_LISTS; i++) {
        ngx_queue_init(&ngx_seckill_live_lists[i]);
    }
}


/* a topic that is there may know more, or less, than what was just read */

ngx_int_t
ngx_seckill_live_join(ngx_rush_req_t *q, ngx_seckill_news_t *news)
{
    ngx_int_t            rc;
    ngx_rush_event_t    *event;
    ngx_seckill_live_t  *live;

    live = ngx_seckill_live_find(news->id, news->activity);

    if (live && live->news.version > news->version) {
        *news = live->news;

        if (news->user != q->user.user) {
            return RUSH_NOT_FOUND;
        }
    }

    event = ngx_seckill_live_event(news);

    if (ngx_seckill_live_is_final(news)) {
        rc = ngx_rush_listen(q, NULL, event);

        if (live) {
            ngx_seckill_live_learn(news);
        }

        return rc;
    }

    if (live == NULL) {
        live = ngx_seckill_live_create(news);

        if (live == NULL) {
            ngx_rush_event_free(event);
            return NGX_ERROR;
        }

    } else if (live->news.version < news->version) {
        ngx_seckill_live_learn(news);

        /* all others may have been strangers */

        live = ngx_seckill_live_find(news->id, news->activity);

        if (live == NULL) {
            live = ngx_seckill_live_create(news);

            if (live == NULL) {
                ngx_rush_event_free(event);
                return NGX_ERROR;
            }
        }
    }

    rc = ngx_rush_listen(q, &live->topic, event);

    if (live->topic.n == 0) {
        ngx_seckill_live_left(&live->topic);
    }

    return rc;
}


static ngx_seckill_live_t *
ngx_seckill_live_find(int64_t id, int64_t activity)
{
    ngx_int_t            rc;
    ngx_rbtree_node_t   *node;
    ngx_seckill_live_t  *live;

    node = ngx_seckill_lives.root;

    while (node != ngx_seckill_lives.sentinel) {
        live = ngx_seckill_live_of(node);
        rc = ngx_seckill_live_compare(&live->news, id, activity);

        if (rc == 0) {
            return live;
        }

        node = (rc > 0) ? node->left : node->right;
    }

    return NULL;
}


/* by both: a client may make up a number with the id of another */

static ngx_int_t
ngx_seckill_live_compare(ngx_seckill_news_t *news, int64_t id,
    int64_t activity)
{
    if (news->id != id) {
        return news->id < id ? -1 : 1;
    }

    return news->activity < activity ? -1 : news->activity > activity;
}


static void
ngx_seckill_live_insert(ngx_rbtree_node_t *temp, ngx_rbtree_node_t *node,
    ngx_rbtree_node_t *sentinel)
{
    ngx_rbtree_node_t  **p;
    ngx_seckill_live_t  *live;

    live = ngx_seckill_live_of(node);

    for ( ;; ) {

        p = ngx_seckill_live_compare(&ngx_seckill_live_of(temp)->news,
                                     live->news.id, live->news.activity) > 0
            ? &temp->left : &temp->right;

        if (*p == sentinel) {
            break;
        }

        temp = *p;
    }

    *p = node;
    node->parent = temp;
    node->left = sentinel;
    node->right = sentinel;
    ngx_rbt_red(node);
}


static ngx_seckill_live_t *
ngx_seckill_live_create(ngx_seckill_news_t *news)
{
    ngx_seckill_live_t  *live;

    live = ngx_alloc(sizeof(ngx_seckill_live_t), ngx_cycle->log);
    if (live == NULL) {
        return NULL;
    }

    ngx_rush_topic_init(&live->topic, ngx_seckill_live_left);

    live->node.key = 0;
    live->news = *news;
    live->begun = ngx_current_msec;
    live->asking = 0;

    ngx_rbtree_insert(&ngx_seckill_lives, &live->node);

    live->asked = ngx_current_msec;
    ngx_queue_insert_tail(&ngx_seckill_live_lists[NGX_SECKILL_ASK_NOW],
                          &live->queue);

    return live;
}


static void
ngx_seckill_live_left(ngx_rush_topic_t *topic)
{
    ngx_seckill_live_t  *live = (ngx_seckill_live_t *) topic;

    if (!live->asking) {
        ngx_queue_remove(&live->queue);
    }

    ngx_rbtree_delete(&ngx_seckill_lives, &live->node);
    ngx_free(live);
}


static ngx_uint_t
ngx_seckill_live_is_final(ngx_seckill_news_t *news)
{
    switch (news->status) {

    case RUSH_ORDER_DONE:
    case RUSH_ORDER_CANCELLED:
    case RUSH_ORDER_REFUNDED:
    case RUSH_ORDER_EXPIRED:
    case RUSH_ORDER_REJECTED:
        return 1;
    }

    return 0;
}


static ngx_rush_event_t *
ngx_seckill_live_event(ngx_seckill_news_t *news)
{
    u_char       number[RUSH_ORDER_NO_LEN];
    rush_buf_t  *b;
    rush_str_t   s;
    ngx_uint_t   final;

    b = &ngx_seckill_live_json;
    final = ngx_seckill_live_is_final(news);

    if (b->failed) {
        rush_buf_free(b);
    }

    rush_buf_reset(b);
    rush_json_open(b, NULL, '{');

    s.data = number;
    s.len = rush_order_no_format(number, news->id, news->activity);

    rush_json_str(b, "order_no", &s);
    rush_json_int(b, "status", news->status);
    rush_json_text(b, "status_text", news->status < RUSH_ORDER_NSTATES
                                     ? rush_order_states[news->status] : "");
    rush_json_int(b, "version", news->version);
    rush_json_bool(b, "final", final);

    if (news->reason[0]) {
        s.data = news->reason;
        s.len = ngx_strnlen(news->reason, NGX_SECKILL_REASON);
        rush_json_str(b, "cancel_reason", &s);
    }

    if (news->version) {
        rush_json_time(b, "pay_deadline", news->deadline);
        rush_json_int(b, "pay_deadline_ms", news->deadline);
    }

    rush_json_int(b, "server_time_ms", ngx_rush_now_ms());
    rush_json_close(b, '}');

    if (b->failed) {
        return NULL;
    }

    return ngx_rush_event("order", news->version, b->data, b->len, final);
}


/* listeners may be closed in here, their topic with them */

void
ngx_seckill_live_learn(ngx_seckill_news_t *news)
{
    ngx_uint_t           fresh;
    ngx_seckill_live_t  *live;

    live = ngx_seckill_live_find(news->id, news->activity);

    if (live == NULL || live->news.version >= news->version) {
        return;
    }

    fresh = (live->news.version == 0);
    live->news = *news;

    if (fresh) {
        ngx_rush_topic_keep(&live->topic, news->user);

        live = ngx_seckill_live_find(news->id, news->activity);

        if (live == NULL) {
            return;
        }
    }

    ngx_rush_topic_send(&live->topic, ngx_seckill_live_event(news));
}


static void
ngx_seckill_live_put(ngx_seckill_live_t *live, ngx_uint_t list)
{
    if (!live->asking) {
        ngx_queue_remove(&live->queue);
    }

    ngx_queue_insert_tail(&ngx_seckill_live_lists[list], &live->queue);

    live->asking = 0;
    live->asked = ngx_current_msec;
}


/* out of its list */

static ngx_seckill_live_t *
ngx_seckill_live_due(void)
{
    ngx_uint_t           i;
    ngx_queue_t         *list;
    ngx_seckill_live_t  *live;

    for (i = 0; i < NGX_SECKILL_ASK_LISTS; i++) {
        list = &ngx_seckill_live_lists[i];

        if (ngx_queue_empty(list)) {
            continue;
        }

        live = ngx_queue_data(ngx_queue_head(list), ngx_seckill_live_t,
                              queue);

        if (ngx_current_msec - live->asked >= ngx_seckill_live_periods[i]) {
            ngx_queue_remove(&live->queue);
            live->asking = 1;

            return live;
        }
    }

    return NULL;
}


void
ngx_seckill_live_ask(void)
{
    u_char                numbers[NGX_SECKILL_ASK][RUSH_ORDER_NO_LEN];
    ngx_str_t             s;
    ngx_uint_t            i, n;
    ngx_seckill_live_t   *live, *lives[NGX_SECKILL_ASK];
    ngx_rush_param_t      p[NGX_SECKILL_ASK];

    if (ngx_seckill_live_n
        || (ngx_msec_int_t) (ngx_seckill_live_pause - ngx_current_msec) > 0)
    {
        return;
    }

    for (n = 0; n < NGX_SECKILL_ASK; n++) {
        live = ngx_seckill_live_due();

        if (live == NULL) {
            break;
        }

        lives[n] = live;
        ngx_seckill_live_question[n].id = live->news.id;
        ngx_seckill_live_question[n].activity = live->news.activity;

        s.data = numbers[n];
        s.len = rush_order_no_format(numbers[n], live->news.id,
                                     live->news.activity);
        p[n] = ngx_rush_p_str(&s);
    }

    if (n == 0) {
        return;
    }

    s.len = 0;
    s.data = numbers[0];

    for (i = n; i < NGX_SECKILL_ASK; i++) {
        p[i] = ngx_rush_p_str(&s);
    }

    if (ngx_rush_mysql_send(&ngx_seckill_sql[NGX_SECKILL_SQL_ORDERS_LIVE], p,
                            NGX_SECKILL_ASK, ngx_seckill_live_asked, NULL)
        == NGX_OK)
    {
        ngx_seckill_live_n = n;
        return;
    }

    ngx_seckill_live_pause = ngx_current_msec + NGX_SECKILL_ASK_PAUSE;

    for (i = 0; i < n; i++) {
        ngx_seckill_live_put(lives[i], NGX_SECKILL_ASK_NOW);
    }
}


static void
ngx_seckill_live_asked(void *data, ngx_rush_rows_t *rows, ngx_int_t rc)
{
    ngx_uint_t           i, n, list;
    ngx_seckill_live_t  *live;
    ngx_seckill_news_t   news;

    n = ngx_seckill_live_n;
    ngx_seckill_live_n = 0;

    for (i = 0; rc == NGX_OK && i < rows->n; i++) {

        if (ngx_seckill_news_read(&news, rows, i) == NGX_OK) {
            ngx_seckill_live_learn(&news);
        }
    }

    for (i = 0; i < n; i++) {
        live = ngx_seckill_live_find(ngx_seckill_live_question[i].id,
                                     ngx_seckill_live_question[i].activity);

        if (live == NULL || !live->asking) {
            continue;                   /* gone, and perhaps there again */
        }

        list = (rc != NGX_OK) ? NGX_SECKILL_ASK_NOW
               : live->news.version ? NGX_SECKILL_ASK_SOME
               : ngx_current_msec - live->begun > NGX_SECKILL_ASK_LONG
               ? NGX_SECKILL_ASK_AGAIN : NGX_SECKILL_ASK_OFTEN;

        ngx_seckill_live_put(live, list);
    }

    if (rc != NGX_OK) {
        ngx_seckill_live_pause = ngx_current_msec + NGX_SECKILL_ASK_PAUSE;
        return;
    }

    ngx_seckill_live_ask();
}


void
ngx_seckill_live_ask_all(void)
{
    ngx_uint_t    i;
    ngx_queue_t  *now;

    now = &ngx_seckill_live_lists[NGX_SECKILL_ASK_NOW];

    for (i = 1; i < NGX_SECKILL_ASK_LISTS; i++) {

        if (!ngx_queue_empty(&ngx_seckill_live_lists[i])) {
            ngx_queue_add(now, &ngx_seckill_live_lists[i]);
            ngx_queue_init(&ngx_seckill_live_lists[i]);
        }
    }
}
