
/*
 * Copyright (C) Rush
 */


#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "unit.h"
#include "rush_failpoint.h"


#define SIZE  (RUSH_FP_MAX * sizeof(rush_fp_t))


static char        file[] = "/tmp/rush-failpoint-XXXXXX";
static rush_fp_t  *table;


static int
setup(void **state)
{
    int  fd;

    assert_int_equal(RUSH_FP("early"), 0);      /* no table is no fault */

    fd = mkstemp(file);
    assert_true(fd >= 0);
    assert_int_equal(setenv("RUSH_FAILPOINT_FILE", file, 1), 0);
    assert_int_equal(RUSH_FP("W1"), 0);         /* still too short */

    assert_int_equal(ftruncate(fd, SIZE), 0);
    table = mmap(NULL, SIZE, PROT_READ|PROT_WRITE, MAP_SHARED, fd, 0);
    assert_true((void *) table != MAP_FAILED);
    close(fd);

    memcpy(table[0].name, "W1", 3);
    memcpy(table[1].name, "sixteen_letters_", 16);
    memcpy(table[2].name, "W2", 3);

    return 0;
}


static int
teardown(void **state)
{
    unlink(file);

    return munmap(table, SIZE);
}


static void
test_error(void **state)
{
    table[2].action = RUSH_FP_ERROR;
    table[2].countdown = 0;
    assert_int_equal(RUSH_FP("W2"), 0);
    assert_int_equal(table[2].hits, 1);

    table[2].countdown = 2;
    assert_int_equal(RUSH_FP("W2"), 0);
    assert_int_equal(RUSH_FP("W2"), 1);
    assert_int_equal(RUSH_FP("W2"), 0);
    assert_int_equal(table[2].countdown, 0);
    assert_int_equal(table[2].hits, 4);

    table[1].action = RUSH_FP_ERROR;
    table[1].countdown = 1;
    assert_int_equal(RUSH_FP("sixteen_letters_"), 1);

    assert_int_equal(RUSH_FP("W"), 0);
    assert_int_equal(RUSH_FP("W22"), 0);
    assert_int_equal(RUSH_FP(""), 0);
}


static void
test_kill(void **state)
{
    int    status;
    pid_t  pid;

    table[0].action = RUSH_FP_KILL;
    table[0].countdown = 1;

    pid = fork();
    assert_true(pid >= 0);

    if (pid == 0) {
        _exit(RUSH_FP("W1"));
    }

    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);

    assert_int_equal(RUSH_FP("W1"), 0);         /* it fired already */
}


/* until it is switched off */

static void
test_sleep(void **state)
{
    int              i, status;
    pid_t            pid;
    struct timespec  start, end, turn;

    turn.tv_sec = 0;
    turn.tv_nsec = 1000000;

    table[0].action = RUSH_FP_SLEEP;
    table[0].hits = 0;
    table[0].countdown = 1;

    (void) clock_gettime(CLOCK_MONOTONIC, &start);

    pid = fork();
    assert_true(pid >= 0);

    if (pid == 0) {
        _exit(RUSH_FP("W1"));
    }

    while (table[0].hits == 0) {
        (void) nanosleep(&turn, NULL);
    }

    for (i = 0; i < 50; i++) {
        (void) nanosleep(&turn, NULL);
        assert_int_equal(waitpid(pid, &status, WNOHANG), 0);
    }

    table[0].action = RUSH_FP_OFF;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);

    (void) clock_gettime(CLOCK_MONOTONIC, &end);
    assert_true(end.tv_sec - start.tv_sec < 3);
}


/* exactly one of the processes gets the fault */

static void
test_once(void **state)
{
    int    i, j, status, faults;
    pid_t  pid;

    table[0].action = RUSH_FP_ERROR;
    table[0].hits = 0;
    table[0].countdown = 2000;

    for (i = 0; i < 4; i++) {
        pid = fork();
        assert_true(pid >= 0);

        if (pid == 0) {
            faults = 0;

            for (j = 0; j < 1000; j++) {
                faults += RUSH_FP("W1");
            }

            _exit(faults);
        }
    }

    faults = 0;

    for (i = 0; i < 4; i++) {
        assert_true(wait(&status) > 0);
        assert_true(WIFEXITED(status));
        faults += WEXITSTATUS(status);
    }

    assert_int_equal(faults, 1);
    assert_int_equal(table[0].hits, 4000);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_error),
        cmocka_unit_test(test_kill),
        cmocka_unit_test(test_sleep),
        cmocka_unit_test(test_once)
    };

    return cmocka_run_group_tests_name("rush_failpoint", tests, setup,
                                       teardown);
}
