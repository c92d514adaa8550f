
/*
 * Copyright (C) Rush
 *
 * Makes one activity anew in Redis from the rows in MySQL.  The stream is
 * drained first: what it holds was granted, and counting before would sell
 * it a second time.  Nobody buys meanwhile: the gate is shut, or the activity
 * is off.
 *
 * A command may reach Redis long after its sender gave up.  The activity is
 * closed under a new epoch, so that none of an earlier turn is obeyed from
 * then on; and MySQL has the epoch of what was built only after a look at it,
 * because the one that finds both sides under one epoch switches it on.
 */


#include <stdlib.h>

#include "controller.h"


#define RUSH_BUILD_ARGS  4000           /* of one HSET */


typedef struct {
    uint64_t          sum;              /* of hashes, in any order */
    int64_t           fields;
    int64_t           units;            /* of orders; in Redis: of all */
    int64_t           dead;             /* units of open dead letters */
} rush_digest_t;


typedef struct {
    rush_controller_t  *ctl;
    rush_digest_t      *digest;
    int64_t             id;
    int64_t             user;           /* of the last live order */
    int64_t             units;          /* of this user */
    int64_t             room;           /* units that dead letters may hold */
} rush_build_t;


static int rush_rebuild_close(rush_controller_t *ctl,
    const rush_wish_t *wish, rush_meta_t *meta);
static int rush_rebuild_sold(rush_controller_t *ctl, rush_wish_t *wish,
    int64_t units, int fix);
static int rush_rebuild_swap(rush_controller_t *ctl,
    const rush_wish_t *wish, int64_t expected, int64_t epoch, int64_t remain);
static int rush_rebuild_verify(rush_controller_t *ctl,
    const rush_wish_t *wish, const rush_digest_t *built);
static int rush_build(rush_controller_t *ctl, int64_t id,
    rush_digest_t *digest);
static int rush_build_dead(rush_controller_t *ctl, const rush_wish_t *wish,
    rush_digest_t *digest);
static int rush_build_letter(void *data, int64_t user, const rush_str_t *req,
    const rush_str_t *order_no, int64_t qty);
static int rush_build_order(void *data, int64_t user, const rush_str_t *req,
    const rush_str_t *order_no, int64_t qty);
static int rush_build_units(rush_build_t *build);
static int rush_build_field(rush_build_t *build, const char *field,
    const char *value);
static int rush_build_send(rush_controller_t *ctl);
static int rush_digest_redis(rush_controller_t *ctl, int64_t id,
    rush_digest_t *digest);
static void rush_digest_add(rush_digest_t *digest, const char *field,
    const char *value);


int
rush_rebuild(rush_controller_t *ctl, int64_t id, int fix)
{
    int64_t        epoch, start;
    rush_meta_t    meta;
    rush_wish_t    wish;
    rush_digest_t  digest;

    start = rush_mono();

    if (rush_wish_read(ctl, id, &wish) != RUSH_OK
        || rush_meta_read(ctl, id, &meta) != RUSH_OK
        || rush_rebuild_close(ctl, &wish, &meta) != RUSH_OK
        || rush_stream_group(ctl->daemon, ctl->rd, ctl->db, id) < 0
        || rush_stream_drain(ctl->daemon, ctl->rd, ctl->db, id) != RUSH_OK
        || RUSH_FP("C2")
        || rush_wish_read(ctl, id, &wish) != RUSH_OK
        || rush_build(ctl, id, &digest) != RUSH_OK
        || rush_rebuild_sold(ctl, &wish, digest.units, fix) != RUSH_OK
        || rush_build_dead(ctl, &wish, &digest) != RUSH_OK
        || RUSH_FP("C3"))
    {
        return RUSH_ERROR;
    }

    epoch = rush_epoch_next(&wish, &meta);

    if (rush_rebuild_swap(ctl, &wish, meta.epoch, epoch,
                          wish.total - wish.sold - digest.dead)
        != RUSH_OK
        || rush_rebuild_verify(ctl, &wish, &digest) != RUSH_OK
        || rush_epoch_raise(ctl, &wish, epoch) != RUSH_OK
        || rush_meta_read(ctl, id, &meta) != RUSH_OK
        || meta.epoch != epoch
        || rush_change(ctl, &wish, &meta, rush_wish_state(ctl, &wish), 0)
           != RUSH_OK)
    {
        return RUSH_ERROR;
    }

    rush_log(RUSH_LOG_INFO, "activity %lld: rebuilt as epoch %lld, %lld of "
             "%lld units sold, %lld fields, %lld ms", (long long) id,
             (long long) epoch, (long long) wish.sold,
             (long long) wish.total, (long long) digest.fields,
             (long long) (rush_mono() - start) / 1000);

    return RUSH_OK;
}


/* with an open gate: nobody buys from here on */

static int
rush_rebuild_close(rush_controller_t *ctl, const rush_wish_t *wish,
    rush_meta_t *meta)
{
    int64_t  epoch;

    if (meta->epoch == 0) {
        return RUSH_OK;
    }

    epoch = rush_epoch_next(wish, meta);

    if (rush_change(ctl, wish, meta, "off", epoch) != RUSH_OK) {
        return RUSH_ERROR;
    }

    meta->epoch = epoch;

    return RUSH_OK;
}


static int
rush_rebuild_sold(rush_controller_t *ctl, rush_wish_t *wish, int64_t units,
    int fix)
{
    int           rc;
    rush_rows_t   rows;
    rush_param_t  params[3];

    if (wish->sold == units) {
        return RUSH_OK;
    }

    if (rush_alarm(ctl->daemon, ctl->db, "sold_differs", wish->id,
                   "sold is %lld, the orders hold %lld units",
                   (long long) wish->sold, (long long) units)
        != RUSH_OK)
    {
        return RUSH_ERROR;
    }

    if (!fix || units > wish->total) {

        /* rather sell less */

        if (units > wish->sold) {
            wish->sold = units > wish->total ? wish->total : units;
        }

        return RUSH_OK;
    }

    memset(&rows, 0, sizeof(rush_rows_t));

    params[0] = rush_p_int(units);
    params[1] = rush_p_int(wish->id);
    params[2] = rush_p_int(wish->sold);

    rc = rush_ctl_run(ctl, SOLD_FIX, params, 3, &rows);

    if (rc == RUSH_OK && rows.affected == 1) {
        wish->sold = units;

    } else {
        rc = RUSH_ERROR;
    }

    rush_rows_free(&rows);

    return rc;
}


static int
rush_rebuild_swap(rush_controller_t *ctl, const rush_wish_t *wish,
    int64_t expected, int64_t epoch, int64_t remain)
{
    int          rc;
    redisReply  *reply;

    rush_arg_int(&ctl->args, expected);

    if (rush_load_args(ctl, wish, epoch, "off", remain) != RUSH_OK) {
        rush_args_free(&ctl->args);
        return RUSH_ERROR;
    }

    reply = rush_redis_script(ctl->rd, RUSH_LUA_REBUILD, wish->id, "muson",
                              &ctl->args);

    if (!rush_reply_ok(reply, "rebuild.lua")) {
        freeReplyObject(reply);
        return RUSH_ERROR;
    }

    rc = rush_reply_int(reply, 0) == 1 ? RUSH_OK : RUSH_ERROR;
    freeReplyObject(reply);

    if (rc != RUSH_OK) {
        rush_log(RUSH_LOG_WARN, "activity %lld: somebody else rebuilt it",
                 (long long) wish->id);
    }

    return rc;
}


/* what stands in Redis now must be what MySQL gave */

static int
rush_rebuild_verify(rush_controller_t *ctl, const rush_wish_t *wish,
    const rush_digest_t *built)
{
    rush_meta_t    meta;
    rush_digest_t  digest;

    if (rush_meta_read(ctl, wish->id, &meta) != RUSH_OK
        || rush_digest_redis(ctl, wish->id, &digest) != RUSH_OK)
    {
        return RUSH_ERROR;
    }

    if (digest.sum != built->sum || digest.fields != built->fields
        || digest.units != built->units + built->dead
        || meta.total != wish->total
        || meta.remain != wish->total - wish->sold - built->dead
        || meta.remain < 0)
    {
        (void) rush_alarm(ctl->daemon, ctl->db, "rebuild_differs", wish->id,
                          "%lld fields of %lld, %lld units of %lld, %lld "
                          "left of %lld", (long long) digest.fields,
                          (long long) built->fields,
                          (long long) digest.units,
                          (long long) built->units + built->dead,
                          (long long) meta.remain, (long long) meta.total);

        return RUSH_ERROR;
    }

    return RUSH_OK;
}


static int
rush_build(rush_controller_t *ctl, int64_t id, rush_digest_t *digest)
{
    redisReply    *reply;
    rush_build_t   build;

    memset(digest, 0, sizeof(rush_digest_t));
    memset(&build, 0, sizeof(rush_build_t));

    build.ctl = ctl;
    build.digest = digest;
    build.id = id;

    rush_arg_text(&ctl->args, "UNLINK");
    rush_arg_key(&ctl->args, id, 'n');

    reply = rush_redis_call(ctl->rd, &ctl->args);

    if (!rush_reply_ok(reply, "unlink")) {
        freeReplyObject(reply);
        return RUSH_ERROR;
    }

    freeReplyObject(reply);

    if (rush_orders_read(ctl, id, rush_build_order, &build) != RUSH_OK
        || rush_build_units(&build) != RUSH_OK)
    {
        rush_buf_reset(&ctl->args.buf);
        ctl->args.n = 0;
        return RUSH_ERROR;
    }

    return ctl->args.n ? rush_build_send(ctl) : RUSH_OK;
}


/*
 * The buyer of an open dead letter was told yes: the unit stays taken until
 * somebody replays or discards the letter.
 */

static int
rush_build_dead(rush_controller_t *ctl, const rush_wish_t *wish,
    rush_digest_t *digest)
{
    rush_build_t  build;

    memset(&build, 0, sizeof(rush_build_t));

    build.ctl = ctl;
    build.digest = digest;
    build.id = wish->id;
    build.room = wish->total - wish->sold;

    return rush_dead_grants(ctl, wish->id, rush_build_letter, &build);
}


static int
rush_build_letter(void *data, int64_t user, const rush_str_t *req,
    const rush_str_t *order_no, int64_t qty)
{
    rush_build_t  *build = data;

    char          field[128];
    rush_args_t  *a;

    if (build->digest->dead + qty > build->room) {
        return RUSH_OK;                 /* the ledger has no unit for it */
    }

    snprintf(field, sizeof(field), "%lld:%s", (long long) user,
             (char *) req->data);

    build->digest->dead += qty;
    rush_digest_add(build->digest, field, (char *) order_no->data);

    if (rush_build_field(build, field, (char *) order_no->data) != RUSH_OK
        || rush_build_send(build->ctl) != RUSH_OK)
    {
        return RUSH_ERROR;
    }

    a = &build->ctl->args;

    rush_arg_text(a, "HINCRBY");
    rush_arg_key(a, build->id, 'n');
    rush_arg_int(a, user);
    rush_arg_int(a, qty);

    return rush_build_send(build->ctl);
}


/* an order that was given back leaves a tombstone: a late copy of its
 * request must not win again */

static int
rush_build_order(void *data, int64_t user, const rush_str_t *req,
    const rush_str_t *order_no, int64_t qty)
{
    rush_build_t  *build = data;

    int   rc;
    char  field[128], value[72];

    if (qty > 0 && user != build->user) {

        rc = rush_build_units(build);
        if (rc != RUSH_OK) {
            return rc;
        }

        build->user = user;
        build->units = 0;
    }

    build->units += qty;
    build->digest->units += qty;

    snprintf(field, sizeof(field), "%lld:%s", (long long) user,
             (char *) req->data);
    snprintf(value, sizeof(value), "%s%s", qty == 0 ? "-" : "",
             (char *) order_no->data);

    rush_digest_add(build->digest, field, value);

    return rush_build_field(build, field, value);
}


static int
rush_build_units(rush_build_t *build)
{
    char  field[24], value[24];

    if (build->units == 0) {
        return RUSH_OK;
    }

    snprintf(field, sizeof(field), "%lld", (long long) build->user);
    snprintf(value, sizeof(value), "%lld", (long long) build->units);

    return rush_build_field(build, field, value);
}


static int
rush_build_field(rush_build_t *build, const char *field, const char *value)
{
    rush_args_t  *a;

    a = &build->ctl->args;

    if (a->n == 0) {
        rush_arg_text(a, "HSET");
        rush_arg_key(a, build->id, 'n');
    }

    rush_arg_text(a, field);
    rush_arg_text(a, value);

    return a->n < RUSH_BUILD_ARGS ? RUSH_OK : rush_build_send(build->ctl);
}


static int
rush_build_send(rush_controller_t *ctl)
{
    int          rc;
    redisReply  *reply;

    reply = rush_redis_call(ctl->rd, &ctl->args);
    rc = rush_reply_ok(reply, "hset") ? RUSH_OK : RUSH_ERROR;
    freeReplyObject(reply);

    return rc;
}


/* the hash was made by one RENAME and nobody adds to it: HSCAN tells no
 * field twice.  "-" alone is a denial that a worker has just left */

static int
rush_digest_redis(rush_controller_t *ctl, int64_t id, rush_digest_t *digest)
{
    int           more;
    char          cursor[24];
    size_t        i;
    redisReply   *reply, *fields;
    rush_args_t  *a;

    memset(digest, 0, sizeof(rush_digest_t));
    memcpy(cursor, "0", sizeof("0"));
    a = &ctl->args;

    do {
        rush_arg_text(a, "HSCAN");
        rush_arg_key(a, id, 'u');
        rush_arg_text(a, cursor);
        rush_arg_text(a, "COUNT");
        rush_arg_text(a, "2000");

        reply = rush_redis_call(ctl->rd, a);

        if (!rush_reply_ok(reply, "hscan")
            || reply->type != REDIS_REPLY_ARRAY || reply->elements != 2)
        {
            freeReplyObject(reply);
            return RUSH_ERROR;
        }

        snprintf(cursor, sizeof(cursor), "%s", reply->element[0]->str);
        more = strcmp(cursor, "0") != 0;
        fields = reply->element[1];

        for (i = 0; i + 1 < fields->elements; i += 2) {

            if (strchr(fields->element[i]->str, ':') == NULL) {
                digest->units += rush_reply_int(fields->element[i + 1], 0);

            } else if (strcmp(fields->element[i + 1]->str, "-") != 0) {
                rush_digest_add(digest, fields->element[i]->str,
                                fields->element[i + 1]->str);
            }
        }

        freeReplyObject(reply);

    } while (more);

    return RUSH_OK;
}


/* FNV-1a of "field=value", mixed so that sums do not cancel out */

static void
rush_digest_add(rush_digest_t *digest, const char *field, const char *value)
{
    uint64_t     h;
    const char  *p;

    h = 14695981039346656037ULL;

    for (p = field; *p != '\0'; p++) {
        h = (h ^ (unsigned char) *p) * 1099511628211ULL;
    }

    h = (h ^ '=') * 1099511628211ULL;

    for (p = value; *p != '\0'; p++) {
        h = (h ^ (unsigned char) *p) * 1099511628211ULL;
    }

    h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9ULL;
    h = (h ^ (h >> 27)) * 0x94d049bb133111ebULL;

    digest->sum += h ^ (h >> 31);
    digest->fields++;
}
