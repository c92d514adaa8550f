
/*
 * Copyright (C) Rush
 *
 * A stream entry to orders, by the consumer's own way: entry.c, batch.c and
 * the parser of shared/, with dead letters and their replay (dead.c,
 * dead_cli.c).  A reference parser tells which entries are good.
 *
 * Entries are lines, their parts are cut by "|": the id, then names and
 * values.  A part may begin with a mark: "#" an integer, "!" nil, "[" an
 * empty array, "~" an error.
 *
 * What must hold: a good entry becomes rows with what it says; a bad one a
 * letter that is JSON, holds the fields, and fails again when it is replayed;
 * each is acknowledged once.  A row that is set aside is whole after a
 * replay.
 */


#include "fuzz.h"
#include "fuzz_consumer.h"


#define MAX_ENTRIES  6
#define MAX_PARTS    320
#define MAX_REPLIES  (MAX_ENTRIES * (MAX_PARTS + 3) + 1)


static redisReply *fuzz_entries(fuzz_input_t *in);
static redisReply *fuzz_element(const rush_str_t *s);
static redisReply *fuzz_list(size_t n);
static void fuzz_free(void);
static int ref_entry(const redisReply *e, size_t *grants);
static int ref_text_is(const redisReply *r, const char *text);
static int ref_grant(const redisReply *r);
static void fuzz_letter(const redisReply *e, size_t i);
static void fuzz_rows(rush_store_t *s);
static void fuzz_row(const rush_row_t *row);


static rush_daemon_t  daemon_;
static rush_store_t  *store;

static redisReply     replies[MAX_REPLIES];
static redisReply    *elements[MAX_REPLIES];
static size_t         nreplies;
static size_t         nelements;


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t          i, grants, good, letters, asked;
    redisReply     *list, *e;
    fuzz_input_t    in;

    if (store == NULL) {
        fuzz_activity.id = 5;
        daemon_.conf.batch = 4;
        daemon_.conf.name = "fuzz";
        store = rush_store_create(&daemon_, NULL, rush_db_create(NULL, NULL),
                                  "fuzz-1");
        fuzz_check(store != NULL);
    }

    in.p = data;
    in.len = size;

    list = fuzz_entries(&in);

    fuzz_activity.position[0] = '\0';
    fuzz_activity.in_batch = 0;
    rush_store_reset(store);

    good = 0;
    letters = 0;
    asked = 0;

    /* one after the other, so that it is known which letter is whose */

    for (i = 0; i < list->elements; i++) {
        e = list->element[i];

        if (!ref_entry(e, &grants)) {
            letters += e->element[1]->type != REDIS_REPLY_NIL;

        } else {
            good += grants;
        }

        asked++;
    }

    if (good > FUZZ_ROWS || letters + good > FUZZ_LETTERS) {
        goto done;
    }

    fuzz_check(rush_stream_entries(store, &fuzz_activity, list) == RUSH_OK);
    fuzz_check(rush_stream_commit(store) == RUSH_OK);

    fuzz_check(fuzz_ledger.acks == asked);
    fuzz_check(fuzz_ledger.nletters >= letters);
    fuzz_check(fuzz_ledger.nrows + fuzz_ledger.nletters == good + letters);

    for (i = 0, letters = 0; i < list->elements; i++) {
        e = list->element[i];

        if (!ref_entry(e, &grants) && e->element[1]->type != REDIS_REPLY_NIL)
        {
            fuzz_letter(e, letters++);
        }
    }

    fuzz_rows(store);

done:

    fuzz_ledger_clear();
    fuzz_free();

    return 0;
}


static redisReply *
fuzz_entries(fuzz_input_t *in)
{
    size_t          n, parts;
    redisReply     *list, *e, *fields;
    rush_str_t      line, part;
    fuzz_input_t    l;

    list = fuzz_list(MAX_ENTRIES);

    for (n = 0; n < MAX_ENTRIES && in->len > 0; n++) {
        line = fuzz_until(in, '\n');
        l.p = line.data;
        l.len = line.len;

        e = fuzz_list(2);
        e->elements = 2;
        list->element[n] = e;
        list->elements = n + 1;

        /* the id of an entry is a string, else entry.c gives up */

        part = fuzz_until(&l, '|');
        e->element[0] = fuzz_list(0);
        e->element[0]->type = REDIS_REPLY_STRING;
        e->element[0]->str = calloc(1, part.len + 1);
        fuzz_check(e->element[0]->str != NULL);
        memcpy(e->element[0]->str, part.data, part.len);
        e->element[0]->len = part.len;

        if (l.len == 1) {
            part = fuzz_until(&l, '|');
            e->element[1] = fuzz_element(&part);
            continue;
        }

        fields = fuzz_list(MAX_PARTS);
        e->element[1] = fields;

        for (parts = 0; parts < MAX_PARTS && l.len > 0; parts++) {
            part = fuzz_until(&l, '|');
            fields->element[parts] = fuzz_element(&part);
            fields->elements = parts + 1;
        }
    }

    return list;
}


static redisReply *
fuzz_element(const rush_str_t *s)
{
    size_t        skip;
    redisReply   *r;
    fuzz_input_t  in;

    r = fuzz_list(0);
    skip = 0;

    switch (s->len ? s->data[0] : 0) {

    case '#':
        in.p = s->data + 1;
        in.len = s->len - 1;
        r->type = REDIS_REPLY_INTEGER;
        r->integer = fuzz_int(&in);
        return r;

    case '!':
        r->type = REDIS_REPLY_NIL;
        return r;

    case '[':
        return r;

    case '~':
        r->type = REDIS_REPLY_ERROR;
        skip = 1;
        break;

    default:
        r->type = REDIS_REPLY_STRING;
    }

    r->len = s->len - skip;
    r->str = calloc(1, r->len + 1);
    fuzz_check(r->str != NULL);

    if (r->len != 0) {
        memcpy(r->str, s->data + skip, r->len);
    }

    return r;
}


/* an array with room for n; only strings are memory of their own, in which
 * every byte read too far is seen */

static redisReply *
fuzz_list(size_t n)
{
    redisReply  *r;

    fuzz_check(nreplies < MAX_REPLIES && nelements + n <= MAX_REPLIES);

    r = &replies[nreplies++];
    memset(r, 0, sizeof(redisReply));

    r->type = REDIS_REPLY_ARRAY;
    r->element = &elements[nelements];
    nelements += n;

    return r;
}


static void
fuzz_free(void)
{
    while (nreplies > 0) {
        free(replies[--nreplies].str);
    }

    nelements = 0;
}


/* 1: its form is good and all its orders are of our activity */

static int
ref_entry(const redisReply *e, size_t *grants)
{
    int64_t         v;
    size_t          i;
    rush_str_t      ms;
    redisReply    **f;
    fuzz_input_t    in;

    *grants = 0;

    in.p = (const uint8_t *) e->element[0]->str;
    in.len = e->element[0]->len;
    ms = fuzz_until(&in, '-');

    if (e->element[0]->len > 40 || ms.len == e->element[0]->len
        || !ref_u63(ms.data, ms.len, &v) || !ref_u63(in.p, in.len, &v)
        || e->element[1]->type != REDIS_REPLY_ARRAY)
    {
        return 0;
    }

    f = e->element[1]->element;
    i = e->element[1]->elements;

    if (i < 8 || i > 6 + 2 * 128 || i % 2 != 0) {
        return 0;
    }

    for (i = 0; i < e->element[1]->elements; i += 2) {

        if (!ref_text_is(f[i], i == 0 ? "e" : i == 2 ? "t" : i == 4 ? "p"
                                                               : "g")
            || f[i + 1]->type != REDIS_REPLY_STRING)
        {
            return 0;
        }

        if (i < 6 ? !ref_u63((unsigned char *) f[i + 1]->str, f[i + 1]->len,
                             &v)
                  : !ref_grant(f[i + 1]))
        {
            return 0;
        }
    }

    *grants = i / 2 - 3;

    return 1;
}


static int
ref_text_is(const redisReply *r, const char *text)
{
    return r->type == REDIS_REPLY_STRING && r->len == strlen(text)
           && memcmp(r->str, text, r->len) == 0;
}


/* "user req order-5 qty" */

static int
ref_grant(const redisReply *r)
{
    int            i;
    size_t         n;
    int64_t        v;
    rush_str_t     word[5];
    fuzz_input_t   in;

    static const char  ends[] = "   -";

    in.p = (const uint8_t *) r->str;
    in.len = r->len;

    /* user, req, order number as a whole */

    for (i = 0; i < 3; i++) {
        n = in.len;
        word[i] = fuzz_until(&in, (uint8_t) ends[i]);

        if (word[i].len == n) {
            return 0;
        }
    }

    if (!ref_u63(in.p, in.len, &v) || v == 0
        || !ref_u63(word[0].data, word[0].len, &v) || v == 0
        || word[1].len == 0 || word[1].len > 64 || word[2].len > 40
        || strspn((char *) word[1].data,
                  "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                  "0123456789._:-")
           < word[1].len)
    {
        return 0;
    }

    in.p = word[2].data;
    in.len = word[2].len;
    word[3] = fuzz_until(&in, '-');

    return word[3].len < word[2].len
           && ref_u63(word[3].data, word[3].len, &v)
           && ref_u63(in.p, in.len, &v) && v == fuzz_activity.id;
}


/* letter i is of the bad entry e */

static void
fuzz_letter(const redisReply *e, size_t i)
{
    json_t         *body, *fields, *field;
    size_t          k, n;
    redisReply    **f;
    fuzz_letter_t  *l;

    /* letters of rows may stand between */

    for (n = 0; n < fuzz_ledger.nletters; n++) {
        l = &fuzz_ledger.letters[n];

        if (l->part == -1 && i-- == 0) {
            break;
        }
    }

    fuzz_check(n < fuzz_ledger.nletters);

    l = &fuzz_ledger.letters[n];
    fuzz_check(l->activity == fuzz_activity.id && l->cause.len != 0);
    fuzz_check(l->id.len == e->element[0]->len
               && memcmp(l->id.data, e->element[0]->str, l->id.len) == 0);

    body = json_loadb((char *) l->body.data, l->body.len,
                      JSON_REJECT_DUPLICATES|JSON_ALLOW_NUL, NULL);
    fuzz_check(body != NULL);

    fields = json_object_get(body, "fields");
    fuzz_check(json_is_array(fields));
    fuzz_check(json_is_true(json_object_get(body, "cut"))
               || e->element[1]->type != REDIS_REPLY_ARRAY
               || json_array_size(fields) == e->element[1]->elements);

    f = e->element[1]->element;

    for (k = 0; k < json_array_size(fields); k++) {
        field = json_array_get(fields, k);

        if (ref_utf8((unsigned char *) f[k]->str, f[k]->len)
            && f[k]->len <= 4096)
        {
            fuzz_check(json_string_length(field) == f[k]->len
                       && memcmp(json_string_value(field), f[k]->str,
                                 f[k]->len)
                          == 0);
        }
    }

    json_decref(body);

    fuzz_ledger.letter = n;
    fuzz_check(rush_dead_main(&daemon_, "replay", "1") == 1);
    fuzz_check(fuzz_ledger.closed == 0);
}


/* a stored row as a letter of its own, and back */

static void
fuzz_rows(rush_store_t *s)
{
    size_t       i, n;
    rush_row_t   row;

    n = fuzz_ledger.nrows;

    for (i = 0; i < n; i++) {
        fuzz_row(&fuzz_ledger.rows[i]);
    }

    /* the last one: a replay makes a store of its own */

    if (n == 0 || fuzz_ledger.nletters == FUZZ_LETTERS) {
        return;
    }

    row = fuzz_ledger.rows[n - 1];

    fuzz_check(rush_dead_row(s, &row) == RUSH_OK);

    fuzz_ledger.letter = fuzz_ledger.nletters - 1;
    fuzz_ledger.nrows = 0;
    fuzz_ledger.closed = 0;
    fuzz_ledger.expect = &row;

    fuzz_check(rush_dead_main(&daemon_, "replay", "1") == 0);

    fuzz_ledger.expect = NULL;
    fuzz_check(fuzz_ledger.nrows == 1 && fuzz_ledger.closed == 1);
}


static void
fuzz_row(const rush_row_t *row)
{
    fuzz_check(row->grant.user > 0 && row->grant.qty > 0);
    fuzz_check(row->grant.req.len > 0 && row->grant.order_no.len > 0);
    fuzz_check(row->amount / FUZZ_PRICE == row->grant.qty);
    fuzz_check(row->price_ver != 0 && row->epoch >= 0 && row->time >= 0);
}
