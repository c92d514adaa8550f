
/*
 * Copyright (C) Rush
 */


#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "unit.h"
#include "rush_field.h"
#include "rush_id.h"


#define PROCESSES  8
#define IDS        200000
#define START      1735689600000LL      /* 2025-01-01T00:00:00Z */


static int64_t
clock_ms(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_REALTIME, &ts);

    return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}


/* the layout of ids, by the two published ones and rows of our own epoch */

static const struct {
    int64_t   id;
    int64_t   epoch;
    int64_t   time;
    unsigned  node;
    unsigned  seq;
} layouts[] = {
    /* en.wikipedia.org/wiki/Snowflake_ID, a tweet */
    { 1541815603606036480LL, 1288834974657LL, 1656432460105LL, 378, 0 },
    /* discord.com/developers/docs/reference#snowflakes */
    { 175928847299117063LL, 1420070400000LL, 1462015105796LL, 32, 7 },
    { 4194304, RUSH_ID_EPOCH, RUSH_ID_EPOCH + 1, 0, 0 },
    { 132633958809624575LL, RUSH_ID_EPOCH, 1735689600000LL, 5, 4095 },
    { INT64_MAX, RUSH_ID_EPOCH, 3903090455551LL, 1023, 4095 }
};


/* the generator is asked to make that very id, then to read it */

static void
check_layout(int64_t id, int64_t epoch, int64_t time, unsigned node,
    unsigned seq)
{
    int64_t            now;
    volatile uint64_t  word;

    now = time - epoch + RUSH_ID_EPOCH;
    assert_true(rush_id_time(id) == now);

    word = (uint64_t) (time - epoch) << 12 | seq;

    if (word == 0) {
        return;                         /* id 0 stands for "none" */
    }

    word--;
    assert_true(rush_id_next(&word, now, node) == id);
}


static void
test_layout(void **state)
{
    size_t  i;

    for (i = 0; i < unit_count(layouts); i++) {
        check_layout(layouts[i].id, layouts[i].epoch, layouts[i].time,
                     layouts[i].node, layouts[i].seq);
    }
}


static unit_vectors_t  vectors;


static void
test_published(void **state)
{
    size_t           rows;
    unit_vectors_t  *v;

    v = &vectors;

    if (!unit_vectors(v, "snowflake")) {
        return;
    }

    for (rows = 0; unit_row(v); rows++) {
        check_layout(strtoll((char *) v->column[0].data, NULL, 10),
                     strtoll((char *) v->column[1].data, NULL, 10),
                     strtoll((char *) v->column[2].data, NULL, 10),
                     (unsigned) strtoul((char *) v->column[3].data, NULL, 10),
                     (unsigned) strtoul((char *) v->column[4].data, NULL, 10));
    }

    assert_true(rows >= 8);
}


static void
test_full_sequence(void **state)
{
    int                i;
    int64_t            id, last;
    volatile uint64_t  word;

    word = 0;
    last = 0;

    for (i = 0; i < 5000; i++) {
        id = rush_id_next(&word, START, 3);
        assert_true(id > last);
        assert_int_equal(rush_id_time(id), START + (i >= 4096));
        assert_int_equal(id >> 12 & 1023, 3);
        last = id;
    }
}


static void
test_clock_back(void **state)
{
    int64_t            last, id;
    volatile uint64_t  word;

    word = 0;
    last = rush_id_next(&word, START, 1);
    assert_true(last > 0);

    id = rush_id_next(&word, START - 1, 1);
    assert_true(id > last);
    last = id;

    id = rush_id_next(&word, START - 49, 1);
    assert_true(id > last);
    last = id;

    id = rush_id_next(&word, START - RUSH_ID_MAX_AHEAD, 1);
    assert_true(id > last);
    last = id;

    assert_int_equal(rush_id_next(&word, START - RUSH_ID_MAX_AHEAD - 1, 1), 0);
    assert_int_equal(rush_id_next(&word, START - 1000, 1), 0);

    /* the clock catches up */
    id = rush_id_next(&word, START - 10, 1);
    assert_true(id > last);
}


static void
test_never_far_ahead(void **state)
{
    int                n;
    volatile uint64_t  word;

    word = 0;

    for (n = 0; rush_id_next(&word, START, 1) != 0; n++) {
        assert_true(n < 1000000);
    }

    assert_int_equal(n, (RUSH_ID_MAX_AHEAD + 1) * 4096);
    assert_true(rush_id_next(&word, START + 1, 1) != 0);
}


static void
test_bounds(void **state)
{
    volatile uint64_t  word;

    word = 0;
    assert_int_equal(rush_id_next(&word, RUSH_ID_EPOCH - 1, 0), 0);
    assert_int_equal(rush_id_next(&word, 0, 0), 0);
    assert_int_equal(rush_id_next(&word, -1, 0), 0);
    assert_int_equal(rush_id_next(&word, START, RUSH_ID_MAX_NODE + 1), 0);
    assert_int_equal(word, 0);

    assert_int_equal(rush_id_next(&word, RUSH_ID_EPOCH, 0), 1);

    /* the first ms that has no 41 bits */
    assert_int_equal(rush_id_next(&word, RUSH_ID_EPOCH + (1LL << 41), 0), 0);
}


static int
compare_ids(const void *one, const void *two)
{
    int64_t  a, b;

    a = *(const int64_t *) one;
    b = *(const int64_t *) two;

    return (a > b) - (a < b);
}


/* the clock of each process jumps about by up to 40 ms */

static void
make_ids(volatile uint64_t *word, int64_t *ids, unsigned seed)
{
    int      i, back;
    int64_t  id, last;

    last = 0;
    back = 0;

    for (i = 0; i < IDS; /* void */ ) {

        if (i % 1000 == 0) {
            seed = seed * 1103515245U + 12345U;
            back = (int) (seed >> 16) % 40;
        }

        id = rush_id_next(word, clock_ms() - back, 7);

        if (id == 0) {                  /* ahead of this clock: wait */
            usleep(1000);
            continue;
        }

        if (id <= last) {
            _exit(1);
        }

        last = id;
        ids[i++] = id;
    }

    _exit(0);
}


static void
test_processes(void **state)
{
    int                 status;
    pid_t               pid;
    size_t              i, n, size;
    int64_t            *ids;
    volatile uint64_t  *word;

    n = (size_t) PROCESSES * IDS;
    size = 64 + n * sizeof(int64_t);

    word = mmap(NULL, size, PROT_READ|PROT_WRITE, MAP_SHARED|MAP_ANONYMOUS,
                -1, 0);
    assert_true((void *) word != MAP_FAILED);

    ids = (int64_t *) (uintptr_t) word + 8;

    for (i = 0; i < PROCESSES; i++) {
        pid = fork();
        assert_true(pid >= 0);

        if (pid == 0) {
            make_ids(word, ids + i * IDS, (unsigned) i + 1);
        }
    }

    for (i = 0; i < PROCESSES; i++) {
        assert_true(wait(&status) > 0);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }

    qsort(ids, n, sizeof(int64_t), compare_ids);

    assert_true(ids[0] > 0);

    for (i = 1; i < n; i++) {
        assert_true(ids[i] != ids[i - 1]);
    }

    assert_int_equal(munmap((void *) (uintptr_t) word, size), 0);
}


static void
test_order_no(void **state)
{
    size_t         n;
    int64_t        id, activity;
    unsigned char  no[RUSH_ORDER_NO_LEN];

    n = rush_order_no_format(no, INT64_MAX, INT64_MAX);
    assert_int_equal(n, 39);
    assert_memory_equal(no, "9223372036854775807-9223372036854775807", 39);
    assert_int_equal(rush_order_no_parse(no, n, &id, &activity), RUSH_OK);
    assert_true(id == INT64_MAX && activity == INT64_MAX);

    n = rush_order_no_format(no, 132633958809624575LL, 0);
    assert_int_equal(n, 20);
    assert_memory_equal(no, "132633958809624575-0", 20);
    assert_int_equal(rush_order_no_parse(no, n, &id, &activity), RUSH_OK);
    assert_true(id == 132633958809624575LL && activity == 0);
}


static void
test_bad_order_no(void **state)
{
    size_t              i;
    int64_t             id, activity;
    unsigned char      *p;
    static const char  *bad[] = {
        "", "-", "1", "1-", "-1", "1--1", "1-1-1", "01-1", "1-01", "+1-1",
        "1-+1", " 1-1", "1-1 ", "1-a", "a-1", "1_1",
        "9223372036854775808-1", "1-9223372036854775808",
        "99999999999999999999-1",
        "9223372036854775807-92233720368547758070"
    };

    id = 42;
    activity = 43;

    for (i = 0; i < unit_count(bad); i++) {
        p = unit_copy(bad[i], strlen(bad[i]));
        assert_int_equal(rush_order_no_parse(p, strlen(bad[i]), &id,
                                             &activity),
                         RUSH_ERROR);
        free(p);
    }

    assert_int_equal(rush_order_no_parse((unsigned char *) "1-1\0", 4, &id,
                                         &activity),
                     RUSH_ERROR);
    assert_true(id == 42 && activity == 43);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_layout),
        cmocka_unit_test(test_published),
        cmocka_unit_test(test_full_sequence),
        cmocka_unit_test(test_clock_back),
        cmocka_unit_test(test_never_far_ahead),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_processes),
        cmocka_unit_test(test_order_no),
        cmocka_unit_test(test_bad_order_no)
    };

    return cmocka_run_group_tests_name("rush_id", tests, NULL, NULL);
}
