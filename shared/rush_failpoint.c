
/*
 * Copyright (C) Rush
 */


#include "rush_failpoint.h"


#if (RUSH_FAILPOINTS)


#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>


#define RUSH_FP_SIZE   (RUSH_FP_MAX * sizeof(rush_fp_t))
#define RUSH_FP_PAUSE  3000             /* ms */
#define RUSH_FP_TURN   10


_Static_assert(sizeof(rush_fp_t) == 32, "the file is read by scripts");


static rush_fp_t *rush_fp_map(void);
static void rush_fp_sleep(const rush_fp_t *fp);
static int rush_fp_fires(rush_fp_t *fp);


static rush_fp_t  *rush_fp_table;


int
rush_failpoint(const char *name)
{
    rush_fp_t  *fp, *last;

    fp = rush_fp_map();
    if (fp == NULL) {
        return 0;
    }

    for (last = fp + RUSH_FP_MAX; fp < last && fp->name[0] != '\0'; fp++) {

        if (strncmp(fp->name, name, sizeof(fp->name)) == 0) {
            break;
        }
    }

    if (fp == last || fp->name[0] == '\0') {
        return 0;
    }

    (void) __atomic_add_fetch(&fp->hits, 1, __ATOMIC_RELAXED);

    if (fp->action == RUSH_FP_OFF || !rush_fp_fires(fp)) {
        return 0;
    }

    switch (fp->action) {

    case RUSH_FP_KILL:
        (void) kill(getpid(), SIGKILL); /* nothing runs after it */
        break;

    case RUSH_FP_SLEEP:
        rush_fp_sleep(fp);
        break;

    case RUSH_FP_ERROR:
        return 1;
    }

    return 0;
}


/* a test that has seen enough switches it off */

static void
rush_fp_sleep(const rush_fp_t *fp)
{
    int              ms;
    struct timespec  pause;

    for (ms = 0; ms < RUSH_FP_PAUSE && fp->action != RUSH_FP_OFF;
         ms += RUSH_FP_TURN)
    {
        pause.tv_sec = 0;
        pause.tv_nsec = RUSH_FP_TURN * 1000000;

        while (nanosleep(&pause, &pause) != 0) {
            /* a signal does not shorten it */
        }
    }
}


/*
 * The file may come after the process has started, so a failed attempt is
 * repeated at the next point; nothing here runs in a release build.
 */

static rush_fp_t *
rush_fp_map(void)
{
    int          fd;
    void        *p;
    const char  *file;
    struct stat  st;

    if (rush_fp_table != NULL) {
        return rush_fp_table;
    }

    file = getenv("RUSH_FAILPOINT_FILE");
    if (file == NULL) {
        return NULL;
    }

    fd = open(file, O_RDWR|O_CLOEXEC);
    if (fd == -1) {
        return NULL;
    }

    if (fstat(fd, &st) == -1 || st.st_size < (off_t) RUSH_FP_SIZE) {
        (void) close(fd);               /* was only read */
        return NULL;
    }

    p = mmap(NULL, RUSH_FP_SIZE, PROT_READ|PROT_WRITE, MAP_SHARED, fd, 0);

    (void) close(fd);                   /* the mapping stays */

    if (p == MAP_FAILED) {
        return NULL;
    }

    rush_fp_table = p;

    return rush_fp_table;
}


/* of several processes exactly one sees the step from 1 to 0 */

static int
rush_fp_fires(rush_fp_t *fp)
{
    uint32_t  n;

    n = __atomic_load_n(&fp->countdown, __ATOMIC_RELAXED);

    while (n != 0) {

        if (__atomic_compare_exchange_n(&fp->countdown, &n, n - 1, 0,
                                        __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        {
            return n == 1;
        }
    }

    return 0;
}


#endif
