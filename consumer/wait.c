
/*
 * Copyright (C) Rush
 *
 * What all threads wait by: the end of the daemon, and its clocks.
 */


#include <errno.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

#include "consumer.h"


int
rush_stopping(rush_daemon_t *d)
{
    return __atomic_load_n(&d->stop, __ATOMIC_ACQUIRE);
}


void
rush_stop(rush_daemon_t *d)
{
    uint64_t  one;

    __atomic_store_n(&d->stop, 1, __ATOMIC_RELEASE);

    one = 1;

    if (write(d->stop_fd, &one, sizeof(one)) == -1 && errno != EAGAIN) {
        rush_log(RUSH_LOG_ERROR, "eventfd: %s", strerror(errno));
    }
}


int
rush_wait(rush_daemon_t *d, int64_t ms)
{
    struct pollfd  fd;

    fd.fd = d->stop_fd;
    fd.events = POLLIN;

    if (!rush_stopping(d)) {
        (void) poll(&fd, 1, (int) ms);
    }

    return rush_stopping(d);
}


int64_t
rush_now(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_REALTIME, &ts);

    return (int64_t) ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}


int64_t
rush_mono(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return (int64_t) ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}
