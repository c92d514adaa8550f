
/*
 * Copyright (C) Rush
 */


#include "ngx_rush_events_int.h"


/*
 * The hub of event streams of a worker.
 *
 * A topic has its listeners in two lists: those that have its event, and the
 * stale ones.  A new event makes all stale, those that waited already first.
 * They are fed NGX_RUSH_EVENTS_SLICE in a turn of the event loop, so that
 * buyers do not wait for 20000 listeners; whoever is not fed when the next
 * event comes gets only that one.
 *
 * A listener stands in one more list: fresh (its request may be given up),
 * idle (by the time something was sent to it) or blocked (by the time since
 * which its socket is full).  One timer a worker looks at the heads of these:
 * heartbeats and closing by age come in slices too.  It runs while there are
 * listeners, and is not cancelable: a worker that leaves says "retry:" to all
 * of them within NGX_RUSH_EVENTS_DRAIN, and ends then.
 *
 * A listener is memory of its own (ngx_alloc), freed in hub_leave(), events
 * are counted references.  Topics belong to their owners.
 */


static void ngx_rush_hub_feed(ngx_event_t *ev);
static void ngx_rush_hub_tick(ngx_event_t *ev);
static void ngx_rush_hub_beat(void);
static void ngx_rush_hub_drop_slow(void);
static void ngx_rush_hub_drain(void);
static ngx_uint_t ngx_rush_hub_is_full(ngx_rbtree_t *tree, uint64_t key,
    ngx_uint_t most);


ngx_rush_events_hub_t    ngx_rush_hub;

static ngx_connection_t  ngx_rush_hub_dummy;    /* debug lines print its fd */


ngx_int_t
ngx_rush_events_init(ngx_cycle_t *cycle, ngx_rush_events_conf_t *conf)
{
    u_char                  text[32];
    ngx_uint_t              i, n;
    ngx_event_t            *ev[3];
    ngx_rush_events_hub_t  *hub;

    static const ngx_event_handler_pt  handlers[3] = {
        ngx_rush_hub_tick, ngx_rush_hub_feed, ngx_rush_listener_detach
    };

    hub = &ngx_rush_hub;

    hub->conf = conf;

    if (conf->max == 0) {
        conf->max = ngx_max(cycle->connection_n / 2, 1);
    }

    ngx_queue_init(&hub->fresh);
    ngx_queue_init(&hub->idle);
    ngx_queue_init(&hub->blocked);
    ngx_queue_init(&hub->feeding);

    ngx_rbtree_init(&hub->users, &hub->sentinel, ngx_rbtree_insert_value);
    ngx_rbtree_init(&hub->addresses, &hub->sentinel, ngx_rbtree_insert_value);

    ngx_rush_hub_dummy.fd = (ngx_socket_t) -1;

    ev[0] = &hub->tick;
    ev[1] = &hub->feed;
    ev[2] = &hub->detach;

    for (i = 0; i < 3; i++) {
        ev[i]->handler = handlers[i];
        ev[i]->data = &ngx_rush_hub_dummy;
        ev[i]->log = cycle->log;
    }

    hub->beat = ngx_rush_event_raw((u_char *) ":\n\n", 3, 0);

    if (hub->beat == NULL) {
        return NGX_ERROR;
    }

    /* 1 to 3 s, so that not everybody comes back at once */

    for (i = 0; i < NGX_RUSH_EVENTS_BYES; i++) {
        n = 1000 + 2000 * i / (NGX_RUSH_EVENTS_BYES - 1);

        hub->byes[i] = ngx_rush_event_raw(text,
            ngx_sprintf(text, "retry: %ui\n\n", n) - text, 1);

        if (hub->byes[i] == NULL) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


void
ngx_rush_topic_init(ngx_rush_topic_t *topic, ngx_rush_topic_pt left)
{
    ngx_memzero(topic, sizeof(ngx_rush_topic_t));

    ngx_queue_init(&topic->fed);
    ngx_queue_init(&topic->stale);

    topic->left = left;
}


ngx_rush_event_t *
ngx_rush_event(const char *name, uint64_t id, u_char *data, size_t len,
    ngx_uint_t last)
{
    size_t             size;
    u_char            *p, *text;
    ngx_rush_event_t  *event;

    size = ngx_strlen(name) + 2 * len + NGX_INT64_LEN + 64;

    text = ngx_alloc(size, ngx_cycle->log);
    if (text == NULL) {
        return NULL;
    }

    p = ngx_snprintf(text, size, "event: %s\nid: %uL\ndata: %*s\n\n", name,
                     id, len, data);

    if (last) {
        p = ngx_snprintf(p, text + size - p, "event: end\ndata: %*s\n\n", len,
                         data);
    }

    event = ngx_rush_event_raw(text, p - text, last);

    ngx_free(text);

    return event;
}


ngx_rush_event_t *
ngx_rush_event_raw(u_char *text, size_t len, ngx_uint_t last)
{
    u_char            *p;
    ngx_rush_event_t  *event;

    static const u_char  tail[] = CRLF "0" CRLF CRLF;

    event = ngx_alloc(sizeof(ngx_rush_event_t) + NGX_INT64_LEN + 2 + len
                      + sizeof(tail) - 1, ngx_cycle->log);
    if (event == NULL) {
        return NULL;
    }

    event->refs = 1;
    event->len = len;
    event->last = last;

    p = ngx_sprintf(event->bytes, "%xz" CRLF, len);
    event->head = p - event->bytes;

    p = ngx_cpymem(p, text, len);
    ngx_memcpy(p, tail, sizeof(tail) - 1);

    return event;
}


void
ngx_rush_event_free(ngx_rush_event_t *event)
{
    if (event && --event->refs == 0) {
        ngx_free(event);
    }
}


void
ngx_rush_topic_send(ngx_rush_topic_t *topic, ngx_rush_event_t *event)
{
    if (event == NULL) {
        return;
    }

    if (topic->n == 0) {
        ngx_rush_event_free(event);
        return;
    }

    if (topic->event) {
        ngx_rush_event_free(topic->event);

    } else {
        ngx_queue_insert_tail(&ngx_rush_hub.feeding, &topic->feeding);
    }

    topic->event = event;

    if (!ngx_queue_empty(&topic->fed)) {
        ngx_queue_add(&topic->stale, &topic->fed);
        ngx_queue_init(&topic->fed);
    }

    if (!ngx_rush_hub.feed.posted) {
        ngx_post_event(&ngx_rush_hub.feed, &ngx_posted_events);
    }
}


/* the topic of a listener that is told something may be gone after */

static void
ngx_rush_hub_feed(ngx_event_t *ev)
{
    ngx_uint_t            i;
    ngx_queue_t          *q;
    ngx_rush_topic_t     *topic;
    ngx_rush_listener_t  *l;

    i = 0;

    while (i < NGX_RUSH_EVENTS_SLICE
           && !ngx_queue_empty(&ngx_rush_hub.feeding))
    {
        topic = ngx_queue_data(ngx_queue_head(&ngx_rush_hub.feeding),
                               ngx_rush_topic_t, feeding);

        if (ngx_queue_empty(&topic->stale)) {
            ngx_queue_remove(&topic->feeding);
            ngx_rush_event_free(topic->event);
            topic->event = NULL;
            continue;
        }

        q = ngx_queue_head(&topic->stale);
        ngx_queue_remove(q);
        ngx_queue_insert_tail(&topic->fed, q);

        l = ngx_queue_data(q, ngx_rush_listener_t, link);

        ngx_rush_listener_tell(l, topic->event);
        i++;
    }

    if (!ngx_queue_empty(&ngx_rush_hub.feeding)) {
        ngx_post_event(ev, &ngx_posted_next_events);
    }
}


void
ngx_rush_topic_keep(ngx_rush_topic_t *topic, int64_t user)
{
    ngx_uint_t            i, n;
    ngx_queue_t          *q, *list[2];
    ngx_rush_listener_t  *l;

    list[0] = &topic->fed;
    list[1] = &topic->stale;

    /* with the last of them the topic may go: it is not looked at then */

    n = topic->n;

    for (i = 0; i < 2 && n; i++) {
        q = ngx_queue_head(list[i]);

        while (n && q != ngx_queue_sentinel(list[i])) {
            l = ngx_queue_data(q, ngx_rush_listener_t, link);
            q = ngx_queue_next(q);
            n--;

            if (l->user == NULL || l->user->node.key != (uint64_t) user) {
                ngx_rush_listener_bye(l, NGX_RUSH_CLOSED_TOKEN);
            }
        }
    }
}


void
ngx_rush_hub_enter(ngx_rush_listener_t *l, ngx_rush_topic_t *topic)
{
    l->topic = topic;
    topic->n++;

    ngx_queue_insert_tail(&topic->fed, &l->link);
    ngx_queue_init(&l->due);
    ngx_rush_hub_refresh(l);

    ngx_rush_hub.n++;

    ngx_rush_count(NGX_RUSH_C_EVENTS_OPENED, 1);
    ngx_rush_events_gauge(ngx_rush_hub.n);

    if (!ngx_rush_hub.tick.timer_set) {
        ngx_add_timer(&ngx_rush_hub.tick, NGX_RUSH_EVENTS_TICK);
    }
}


void
ngx_rush_hub_refresh(ngx_rush_listener_t *l)
{
    ngx_queue_remove(&l->due);
    ngx_queue_insert_tail(&ngx_rush_hub.fresh, &l->due);

    l->blocked = 0;

    if (!ngx_rush_hub.detach.posted) {
        ngx_post_event(&ngx_rush_hub.detach, &ngx_posted_events);
    }
}


void
ngx_rush_hub_leave(ngx_rush_listener_t *l, ngx_uint_t why)
{
    ngx_rush_topic_t  *topic;

    topic = l->topic;

    ngx_queue_remove(&l->link);
    ngx_queue_remove(&l->due);

    ngx_rush_hub.n--;

    ngx_rush_count(why, 1);
    ngx_rush_events_gauge(ngx_rush_hub.n);

    ngx_rush_events_uncount(&ngx_rush_hub.users, l->user);
    ngx_rush_events_uncount(&ngx_rush_hub.addresses, l->address);
    ngx_rush_event_free(l->event);
    ngx_rush_event_free(l->next);

    ngx_free(l);

    if (--topic->n) {
        return;
    }

    if (topic->event) {
        ngx_queue_remove(&topic->feeding);
        ngx_rush_event_free(topic->event);
        topic->event = NULL;
    }

    topic->left(topic);
}


/* into the list where it stands while it waits: since now */

void
ngx_rush_hub_wait(ngx_rush_listener_t *l, ngx_uint_t blocked)
{
    if (blocked && l->blocked) {
        return;                         /* since then */
    }

    ngx_queue_remove(&l->due);
    ngx_queue_insert_tail(blocked ? &ngx_rush_hub.blocked
                                  : &ngx_rush_hub.idle, &l->due);

    l->blocked = blocked;
    l->since = ngx_current_msec;
}


static void
ngx_rush_hub_tick(ngx_event_t *ev)
{
    if (ngx_exiting || ngx_quit) {
        ngx_rush_hub_drain();

    } else {
        ngx_rush_hub_drop_slow();
        ngx_rush_hub_beat();
    }

    if (ngx_rush_hub.n) {
        ngx_add_timer(ev, NGX_RUSH_EVENTS_TICK);
    }
}


static void
ngx_rush_hub_beat(void)
{
    ngx_uint_t            n;
    ngx_rush_listener_t  *l;

    /* at most; on the average n / (heartbeat / tick) are due */

    for (n = ngx_rush_hub.n / 32 + 32; n; n--) {

        if (ngx_queue_empty(&ngx_rush_hub.idle)) {
            return;
        }

        l = ngx_queue_data(ngx_queue_head(&ngx_rush_hub.idle),
                           ngx_rush_listener_t, due);

        if ((ngx_msec_int_t) (ngx_current_msec - l->since)
            < (ngx_msec_int_t) ngx_rush_hub.conf->heartbeat)
        {
            return;
        }

        ngx_rush_listener_tell(l, ngx_rush_hub.beat);
    }
}


static void
ngx_rush_hub_drop_slow(void)
{
    ngx_rush_listener_t  *l;

    while (!ngx_queue_empty(&ngx_rush_hub.blocked)) {

        l = ngx_queue_data(ngx_queue_head(&ngx_rush_hub.blocked),
                           ngx_rush_listener_t, due);

        if ((ngx_msec_int_t) (ngx_current_msec - l->since)
            < (ngx_msec_int_t) ngx_rush_hub.conf->stall)
        {
            return;
        }

        ngx_rush_listener_close(l, NGX_RUSH_CLOSED_SLOW);
    }
}


/* an equal part of those that are left, each time */

static void
ngx_rush_hub_drain(void)
{
    ngx_int_t             turns;
    ngx_uint_t            i, n;
    ngx_queue_t          *list[3];
    ngx_rush_listener_t  *l;

    if (ngx_rush_hub.leaving == 0) {
        ngx_rush_hub.leaving = ngx_max(ngx_current_msec, 1);
    }

    turns = ((ngx_msec_int_t) (ngx_rush_hub.leaving + NGX_RUSH_EVENTS_DRAIN
                               - ngx_current_msec)) / NGX_RUSH_EVENTS_TICK;

    n = turns > 1 ? (ngx_rush_hub.n + turns - 1) / turns : ngx_rush_hub.n;

    list[0] = &ngx_rush_hub.idle;
    list[1] = &ngx_rush_hub.fresh;
    list[2] = &ngx_rush_hub.blocked;

    for (i = 0; i < 3; i++) {

        while (n && !ngx_queue_empty(list[i])) {
            l = ngx_queue_data(ngx_queue_head(list[i]), ngx_rush_listener_t,
                               due);

            ngx_rush_listener_bye(l, NGX_RUSH_CLOSED_LEAVE);
            n--;
        }
    }
}


ngx_int_t
ngx_rush_may_listen(ngx_rush_req_t *q)
{
    ngx_int_t                rc;
    ngx_rush_events_conf_t  *conf;

    conf = ngx_rush_hub.conf;
    rc = RUSH_OK;

    if (ngx_rush_hub.n >= conf->max) {
        rc = RUSH_BUSY;

    } else if ((q->logged && ngx_rush_hub_is_full(&ngx_rush_hub.users,
                                                  q->user.user, conf->user))
               || ngx_rush_hub_is_full(&ngx_rush_hub.addresses,
                                       ngx_rush_addr_key(q->r),
                                       conf->address))
    {
        rc = RUSH_LIMITED;
    }

    if (rc != RUSH_OK) {
        ngx_rush_count(NGX_RUSH_C_EVENTS_REFUSED, 1);
        q->retry_after = 5 + rush_random_next(&ngx_rush_random) % 6;
    }

    return rc;
}


static ngx_rush_events_count_t *
ngx_rush_events_find(ngx_rbtree_t *tree, uint64_t key)
{
    ngx_rbtree_node_t  *node;

    node = tree->root;

    while (node != tree->sentinel) {

        if (key == node->key) {
            return (ngx_rush_events_count_t *) node;
        }

        node = (key < node->key) ? node->left : node->right;
    }

    return NULL;
}


static ngx_uint_t
ngx_rush_hub_is_full(ngx_rbtree_t *tree, uint64_t key, ngx_uint_t most)
{
    ngx_rush_events_count_t  *count;

    if (key == 0) {
        return 0;
    }

    count = ngx_rush_events_find(tree, key);

    return count && count->n >= most;
}


ngx_rush_events_count_t *
ngx_rush_events_count(ngx_rbtree_t *tree, uint64_t key)
{
    ngx_rush_events_count_t  *count;

    count = ngx_rush_events_find(tree, key);

    if (count == NULL) {
        count = ngx_alloc(sizeof(ngx_rush_events_count_t), ngx_cycle->log);
        if (count == NULL) {
            return NULL;
        }

        count->node.key = key;
        count->n = 0;

        ngx_rbtree_insert(tree, &count->node);
    }

    count->n++;

    return count;
}


void
ngx_rush_events_uncount(ngx_rbtree_t *tree, ngx_rush_events_count_t *count)
{
    if (count && --count->n == 0) {
        ngx_rbtree_delete(tree, &count->node);
        ngx_free(count);
    }
}
