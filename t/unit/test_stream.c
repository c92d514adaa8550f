
/*
 * Copyright (C) Rush
 *
 * Replies are given as Redis sends them (RESP2) and read by hiredis.
 */


#include "unit.h"
#include "rush_buf.h"
#include "rush_stream.h"


#define ORDER    "132633958809624575-7"
#define FIXED    "$1\r\ne\r\n$1\r\n3\r\n$1\r\nt\r\n$13\r\n1735689600000\r\n"   \
                 "$1\r\np\r\n$1\r\n2\r\n"
#define ENTRY    "*2\r\n$15\r\n1735689600000-5\r\n"
#define GRANT    "$1\r\ng\r\n"


static redisReply *
read_reply(const char *resp, size_t len)
{
    void         *reply;
    redisReader  *reader;

    reader = redisReaderCreate();
    assert_non_null(reader);
    assert_int_equal(redisReaderFeed(reader, resp, len), REDIS_OK);
    assert_int_equal(redisReaderGetReply(reader, &reply), REDIS_OK);
    assert_non_null(reply);
    redisReaderFree(reader);

    return reply;
}


static void
test_keys(void **state)
{
    char  key[RUSH_KEY_LEN];

    assert_int_equal(rush_key(key, 7, 'm'), 6);
    assert_string_equal(key, "{a:7}m");

    assert_int_equal(rush_key(key, 0, 'u'), 6);
    assert_string_equal(key, "{a:0}u");

    assert_int_equal(rush_key(key, INT64_MAX, 's'), 24);
    assert_string_equal(key, "{a:9223372036854775807}s");
}


static void
test_buy_reply(void **state)
{
    int                  code;
    size_t               i;
    redisReply          *reply;
    rush_str_t           no;
    rush_buy_head_t      head;
    static const char    resp[] =
        "*14\r\n:0\r\n:3\r\n:41\r\n:99\r\n"
        ":0\r\n:-2\r\n:-3\r\n:-4\r\n:-5\r\n:-9\r\n"
        "$20\r\n" ORDER "\r\n$21\r\n-" ORDER "\r\n$1\r\n-\r\n:-8\r\n";
    static const int     codes[] = {
        RUSH_GRANTED, RUSH_OLD_EPOCH, RUSH_TOO_LATE, RUSH_NOT_ON, RUSH_EARLY,
        RUSH_NO_STOCK, RUSH_REPLAYED, RUSH_GIVEN_BACK, RUSH_REFUSED,
        RUSH_OVER_LIMIT
    };

    reply = read_reply(resp, sizeof(resp) - 1);

    assert_int_equal(rush_buy_reply(reply, 10, &head), RUSH_OK);
    assert_int_equal(head.status, 0);
    assert_int_equal(head.epoch, 3);
    assert_int_equal(head.remain, 41);
    assert_int_equal(head.rver, 99);
    assert_int_equal(head.buyers, 10);

    for (i = 0; i < unit_count(codes); i++) {
        code = rush_buy_result(reply, i, &no);
        assert_int_equal(code, codes[i]);

        if (code == RUSH_REPLAYED || code == RUSH_GIVEN_BACK) {
            assert_int_equal(no.len, 20);
            assert_memory_equal(no.data, ORDER, 20);

        } else {
            assert_int_equal(no.len, 0);
        }
    }

    /* the number of buyers must fit */
    assert_int_equal(rush_buy_reply(reply, 9, &head), RUSH_ERROR);
    assert_int_equal(rush_buy_reply(reply, 11, &head), RUSH_ERROR);
    assert_int_equal(rush_buy_reply(reply, 0, &head), RUSH_ERROR);

    freeReplyObject(reply);
}


static void
test_not_loaded(void **state)
{
    redisReply       *reply;
    rush_buy_head_t   head;

    reply = read_reply("*1\r\n:-1\r\n", 9);
    assert_int_equal(rush_buy_reply(reply, 5, &head), RUSH_OK);
    assert_int_equal(head.status, RUSH_NOT_LOADED);
    assert_int_equal(head.buyers, 0);
    freeReplyObject(reply);
}


/* none of them is a reply of buy.lua for one buyer */

static const char *bad_replies[] = {
    "*-1\r\n",
    "*0\r\n",
    "$-1\r\n",
    ":0\r\n",
    "+OK\r\n",
    "$1\r\n0\r\n",
    "-ERR unknown\r\n",
    "*1\r\n:0\r\n",
    "*1\r\n$2\r\n-1\r\n",
    "*2\r\n:-1\r\n:0\r\n",
    "*5\r\n:-1\r\n:1\r\n:1\r\n:1\r\n:0\r\n",
    "*5\r\n:-2\r\n:1\r\n:1\r\n:1\r\n:0\r\n",
    "*5\r\n:1\r\n:1\r\n:1\r\n:1\r\n:0\r\n",
    "*5\r\n$1\r\n0\r\n:1\r\n:1\r\n:1\r\n:0\r\n",
    "*5\r\n:0\r\n$1\r\n1\r\n:1\r\n:1\r\n:0\r\n",
    "*5\r\n:0\r\n:1\r\n$-1\r\n:1\r\n:0\r\n",
    "*5\r\n:0\r\n:1\r\n:1\r\n*0\r\n:0\r\n",
    "*4\r\n:0\r\n:1\r\n:1\r\n:1\r\n",
    "*3\r\n:0\r\n:1\r\n:1\r\n",
    "*6\r\n:0\r\n:1\r\n:1\r\n:1\r\n:0\r\n:0\r\n",
    "*5\r\n:0\r\n:1\r\n:1\r\n:1\r\n:1\r\n",
    "*5\r\n:0\r\n:1\r\n:1\r\n:1\r\n:-1\r\n",
    "*5\r\n:0\r\n:1\r\n:1\r\n:1\r\n:-10\r\n",
    "*5\r\n:0\r\n:1\r\n:1\r\n:1\r\n:-4294967296\r\n",
    "*5\r\n:0\r\n:1\r\n:1\r\n:1\r\n$-1\r\n",
    "*5\r\n:0\r\n:1\r\n:1\r\n:1\r\n$0\r\n\r\n",
    "*5\r\n:0\r\n:1\r\n:1\r\n:1\r\n$2\r\n--\r\n",
    "*5\r\n:0\r\n:1\r\n:1\r\n:1\r\n$5\r\nabc-1\r\n",
    "*5\r\n:0\r\n:1\r\n:1\r\n:1\r\n$3\r\n123\r\n",
    "*5\r\n:0\r\n:1\r\n:1\r\n:1\r\n$4\r\n--12\r\n",
    "*5\r\n:0\r\n:1\r\n:1\r\n:1\r\n+OK\r\n",
    "*5\r\n:0\r\n:1\r\n:1\r\n:1\r\n-ERR x\r\n",
    "*5\r\n:0\r\n:1\r\n:1\r\n:1\r\n*1\r\n:0\r\n"
};


static void
test_bad_replies(void **state)
{
    size_t            i;
    redisReply       *reply;
    rush_buy_head_t   head;

    for (i = 0; i < unit_count(bad_replies); i++) {
        reply = read_reply(bad_replies[i], strlen(bad_replies[i]));
        assert_int_equal(rush_buy_reply(reply, 1, &head), RUSH_ERROR);
        freeReplyObject(reply);
    }

    assert_int_equal(rush_buy_reply(NULL, 1, &head), RUSH_ERROR);
}


/* texts of Redis 7.0 */

static const struct {
    const char      *error;
    rush_outcome_e   outcome;
} errors[] = {
    { "NOSCRIPT No matching script. Please use EVAL.", RUSH_GATE_SHUT },
    { "LOADING Redis is loading the dataset in memory", RUSH_NOT_DONE },
    { "BUSY Redis is busy running a script. You can only call SCRIPT KILL or "
      "SHUTDOWN NOSAVE.", RUSH_NOT_DONE },
    { "OOM command not allowed when used memory > 'maxmemory'.",
      RUSH_NOT_DONE },
    { "READONLY You can't write against a read only replica.",
      RUSH_NOT_DONE },
    { "MISCONF Redis is configured to save RDB snapshots, but it's currently "
      "unable to persist to disk.", RUSH_NOT_DONE },
    { "NOREPLICAS Not enough good replicas to write.", RUSH_NOT_DONE },
    { "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is "
      "set to 'no'.", RUSH_NOT_DONE },
    { "NOPERM this user has no permissions to run the 'evalsha' command",
      RUSH_NOT_DONE },
    { "NOAUTH Authentication required.", RUSH_NOT_DONE },
    { "CLUSTERDOWN The cluster is down", RUSH_NOT_DONE },
    { "MOVED 3999 127.0.0.1:6381", RUSH_NOT_DONE },
    { "ASK 3999 127.0.0.1:6381", RUSH_NOT_DONE },
    { "TRYAGAIN Multiple keys request during rehashing of slot",
      RUSH_NOT_DONE },
    { "OOM allow-oom flag is not set on the script, can not run it when used "
      "memory > 'maxmemory'", RUSH_NOT_DONE },
    { "OOM", RUSH_NOT_DONE },

    { "ERR value is not an integer or out of range script: "
      "c76d5f5da6cc6b804a3bc49e1dae6f811ce66dc2, on @user_script:1.",
      RUSH_MAYBE },
    { "OOM command not allowed when used memory > 'maxmemory'. script: "
      "c76d5f5da6cc6b804a3bc49e1dae6f811ce66dc2, on @user_script:80.",
      RUSH_MAYBE },
    { "READONLY You can't write against a read only replica. script: abc, on "
      "@user_script:9.", RUSH_MAYBE },
    { "NOREPLICAS Not enough good replicas to write. script: abc, on "
      "@user_script:9.", RUSH_MAYBE },
    { "WRONGTYPE Operation against a key holding the wrong kind of value",
      RUSH_MAYBE },
    { "ERR unknown command", RUSH_MAYBE },
    { "ERR Error running script (call to f_1): @user_script:1: Script killed "
      "by user with SCRIPT KILL...", RUSH_MAYBE },
    { "UNKILLABLE Sorry the script already executed write commands",
      RUSH_MAYBE },
    { "BUSYGROUP Consumer Group name already exists", RUSH_MAYBE },
    { "BUSYKEY Target key name already exists.", RUSH_MAYBE },
    { "NOGROUP No such key", RUSH_MAYBE },
    { "OOMX", RUSH_MAYBE },
    { "oom command", RUSH_MAYBE },
    { " OOM command", RUSH_MAYBE },
    { "OO", RUSH_MAYBE },
    { "", RUSH_MAYBE }
};


static void
test_outcome(void **state)
{
    size_t          i, n;
    unsigned char  *p;

    for (i = 0; i < unit_count(errors); i++) {
        n = strlen(errors[i].error);
        p = unit_copy(errors[i].error, n);
        assert_int_equal(rush_outcome((char *) p, n), errors[i].outcome);
        free(p);
    }
}


static int
parse_entry(const char *resp, size_t len, rush_entry_t *entry)
{
    int          rc;
    redisReply  *reply;
    const char  *cause;

    cause = NULL;
    reply = read_reply(resp, len);
    rc = rush_entry_parse(reply, entry, &cause);

    if (rc != RUSH_OK) {
        assert_non_null(cause);
    }

    /* what is kept in the entry points into the reply */
    freeReplyObject(reply);

    return rc;
}


static void
test_entry(void **state)
{
    redisReply         *reply;
    const char         *cause;
    rush_grant_t       *g;
    rush_entry_t        entry;
    static const char   good[] =
        ENTRY "*10\r\n" FIXED
        GRANT "$35\r\n5 key.A:1_-x " ORDER " 2\r\n"
        GRANT "$59\r\n9223372036854775807 a " ORDER
        " 1000000000000000\r\n";

    reply = read_reply(good, sizeof(good) - 1);
    assert_int_equal(rush_entry_parse(reply, &entry, &cause), RUSH_OK);

    assert_int_equal(entry.id.len, 15);
    assert_memory_equal(entry.id.data, "1735689600000-5", 15);
    assert_int_equal(entry.epoch, 3);
    assert_int_equal(entry.time, 1735689600000LL);
    assert_int_equal(entry.price_ver, 2);
    assert_int_equal(entry.count, 2);

    g = &entry.grants[0];
    assert_int_equal(g->user, 5);
    assert_int_equal(g->req.len, 10);
    assert_memory_equal(g->req.data, "key.A:1_-x", 10);
    assert_int_equal(g->order_no.len, 20);
    assert_memory_equal(g->order_no.data, ORDER, 20);
    assert_int_equal(g->qty, 2);

    g = &entry.grants[1];
    assert_true(g->user == INT64_MAX);
    assert_int_equal(g->qty, 1000000000000000LL);

    freeReplyObject(reply);
}


/* an entry of one grant with that text */

static int
parse_grant(const char *text, rush_entry_t *entry)
{
    int         rc;
    rush_buf_t  b;

    memset(&b, 0, sizeof(rush_buf_t));
    rush_buf_printf(&b, ENTRY "*8\r\n" FIXED GRANT "$%zu\r\n%s\r\n",
                    strlen(text), text);
    assert_false(b.failed);

    rc = parse_entry((char *) b.data, b.len, entry);
    rush_buf_free(&b);

    return rc;
}


#define REQ16  "aB0._:-z01234567"
#define REQ64  REQ16 REQ16 REQ16 REQ16


static void
test_grants(void **state)
{
    size_t              i;
    rush_entry_t        entry;
    static const char  *good[] = {
        "1 a " ORDER " 1",
        "1 " REQ64 " " ORDER " 1",
        "1 " ORDER " " ORDER " 1",
        "1 -._:09azAZ 1-0 9223372036854775807"
    };
    static const char  *bad[] = {
        "", " ", "   ", "1", "1 a", "1 a " ORDER, "1 a " ORDER " ",
        "1 a " ORDER " 0", "1 a " ORDER " -1", "1 a " ORDER " 01",
        "1 a " ORDER " 1.0", "1 a " ORDER " 1 ", "1 a " ORDER " 1 1",
        "1 a " ORDER " 9223372036854775808", "0 a " ORDER " 1",
        "-1 a " ORDER " 1", "x a " ORDER " 1", " 1 a " ORDER " 1",
        "1  a " ORDER " 1", "1  " ORDER " 1", "1 a  " ORDER " 1",
        "1 a b 1", "1 a 1 1", "1 a -" ORDER " 1", "1 a 1-1-1 1",
        "1 " REQ64 "x " ORDER " 1", "1 a/b " ORDER " 1",
        "1 a\tb " ORDER " 1", "1 \xc3\xa9 " ORDER " 1", "1 @ " ORDER " 1",
        "1 [ " ORDER " 1", "1 ; " ORDER " 1", "1 { " ORDER " 1"
    };

    for (i = 0; i < unit_count(good); i++) {
        assert_int_equal(parse_grant(good[i], &entry), RUSH_OK);
        assert_int_equal(entry.count, 1);
    }

    for (i = 0; i < unit_count(bad); i++) {
        assert_int_equal(parse_grant(bad[i], &entry), RUSH_ERROR);
    }
}


#define G1  GRANT "$26\r\n1 a " ORDER " 1\r\n"


static const char *bad_entries[] = {
    "*-1\r\n", "$-1\r\n", "*0\r\n", ":1\r\n", "$3\r\n1-1\r\n",
    "*1\r\n$3\r\n1-1\r\n",
    "*3\r\n$3\r\n1-1\r\n*0\r\n*0\r\n",
    "*2\r\n:1\r\n*0\r\n",
    "*2\r\n$-1\r\n*0\r\n",
    "*2\r\n$3\r\n1_1\r\n*0\r\n",
    ENTRY "$-1\r\n",
    ENTRY "*-1\r\n",
    ENTRY ":1\r\n",
    ENTRY "$1\r\ne\r\n",
    ENTRY "*0\r\n",
    ENTRY "*2\r\n$1\r\ne\r\n$1\r\n3\r\n",
    ENTRY "*6\r\n" FIXED,
    ENTRY "*7\r\n" FIXED "$1\r\ng\r\n",
    ENTRY "*8\r\n" FIXED "$1\r\nx\r\n$26\r\n1 a " ORDER " 1\r\n",
    ENTRY "*8\r\n" FIXED "$2\r\ngg\r\n$1\r\n1\r\n",
    ENTRY "*8\r\n" FIXED ":1\r\n$1\r\n1\r\n",
    ENTRY "*8\r\n" FIXED "$1\r\ng\r\n:1\r\n",
    ENTRY "*8\r\n" FIXED "$1\r\ng\r\n$-1\r\n",
    ENTRY "*8\r\n$1\r\nt\r\n$1\r\n1\r\n$1\r\ne\r\n$1\r\n1\r\n$1\r\np\r\n"
          "$1\r\n1\r\n$1\r\ng\r\n$1\r\n1\r\n",
    ENTRY "*8\r\n$1\r\ne\r\n:1\r\n$1\r\nt\r\n$1\r\n1\r\n$1\r\np\r\n"
          "$1\r\n1\r\n$1\r\ng\r\n$1\r\n1\r\n",
    ENTRY "*8\r\n$1\r\ne\r\n$1\r\nx\r\n$1\r\nt\r\n$1\r\n1\r\n$1\r\np\r\n"
          "$1\r\n1\r\n$1\r\ng\r\n$1\r\n1\r\n",
    ENTRY "*8\r\n$1\r\ne\r\n$1\r\n1\r\n$1\r\nt\r\n$2\r\n-1\r\n$1\r\np\r\n"
          "$1\r\n1\r\n$1\r\ng\r\n$1\r\n1\r\n",
    ENTRY "*8\r\n$1\r\ne\r\n$1\r\n1\r\n$1\r\nt\r\n$1\r\n1\r\n$1\r\np\r\n"
          "$0\r\n\r\n$1\r\ng\r\n$1\r\n1\r\n"
};


static void
test_bad_entries(void **state)
{
    size_t        i;
    const char   *cause;
    rush_entry_t  entry;

    for (i = 0; i < unit_count(bad_entries); i++) {
        assert_int_equal(parse_entry(bad_entries[i], strlen(bad_entries[i]),
                                     &entry),
                         RUSH_ERROR);
    }

    assert_int_equal(rush_entry_parse(NULL, &entry, &cause), RUSH_ERROR);
}


/* the id of a dead letter is known whenever there is one */

static void
test_dead_letter(void **state)
{
    redisReply    *reply;
    const char    *cause;
    rush_entry_t   entry;

    reply = read_reply(ENTRY "*-1\r\n", sizeof(ENTRY "*-1\r\n") - 1);
    assert_int_equal(rush_entry_parse(reply, &entry, &cause), RUSH_ERROR);
    assert_string_equal(cause, "entry was deleted");
    assert_int_equal(entry.id.len, 15);
    freeReplyObject(reply);

    reply = read_reply("*0\r\n", 4);
    assert_int_equal(rush_entry_parse(reply, &entry, &cause), RUSH_ERROR);
    assert_int_equal(entry.id.len, 0);
    freeReplyObject(reply);
}


static int
parse_many(size_t grants)
{
    int           rc;
    size_t        i;
    rush_buf_t    b;
    rush_entry_t  entry;

    memset(&b, 0, sizeof(rush_buf_t));
    rush_buf_printf(&b, ENTRY "*%zu\r\n" FIXED, 6 + 2 * grants);

    for (i = 0; i < grants; i++) {
        rush_buf_puts(&b, G1);
    }

    assert_false(b.failed);

    rc = parse_entry((char *) b.data, b.len, &entry);
    rush_buf_free(&b);

    if (rc == RUSH_OK) {
        assert_int_equal(entry.count, grants);
    }

    return rc;
}


static void
test_many_grants(void **state)
{
    assert_int_equal(parse_many(1), RUSH_OK);
    assert_int_equal(parse_many(RUSH_BATCH_MAX), RUSH_OK);
    assert_int_equal(parse_many(RUSH_BATCH_MAX + 1), RUSH_ERROR);
    assert_int_equal(parse_many(1000), RUSH_ERROR);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_buy_reply),
        cmocka_unit_test(test_not_loaded),
        cmocka_unit_test(test_bad_replies),
        cmocka_unit_test(test_outcome),
        cmocka_unit_test(test_entry),
        cmocka_unit_test(test_grants),
        cmocka_unit_test(test_bad_entries),
        cmocka_unit_test(test_dead_letter),
        cmocka_unit_test(test_many_grants)
    };

    return cmocka_run_group_tests_name("rush_stream", tests, NULL, NULL);
}
