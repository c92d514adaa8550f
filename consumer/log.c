
/*
 * Copyright (C) Rush
 *
 * One JSON object a line, written by one write(2), so lines of threads do not
 * mix.  A reopen puts the new file under the same descriptor number: writers
 * need no lock.
 */


#include <fcntl.h>
#include <unistd.h>

#include "consumer.h"
#include "rush_field.h"


#define RUSH_LOG_LINE  2048


static const char  *rush_log_levels[] = {
    "debug", "info", "warn", "error", "alert"
};

static int            rush_log_fd = STDERR_FILENO;
static int            rush_log_level = RUSH_LOG_INFO;
static const char    *rush_log_file;

static __thread const char  *rush_log_name = "main";


/* file is borrowed for ever; RUSH_ERROR: it cannot be opened, see errno */

int
rush_log_open(const char *file, const char *level)
{
    int  fd, i;

    for (i = RUSH_LOG_DEBUG; i <= RUSH_LOG_ERROR; i++) {
        if (strcmp(level, rush_log_levels[i]) == 0) {
            rush_log_level = i;
        }
    }

    if (file[0] == '\0') {
        return RUSH_OK;
    }

    fd = open(file, O_WRONLY|O_CREAT|O_APPEND|O_CLOEXEC, 0640);
    if (fd == -1) {
        return RUSH_ERROR;
    }

    rush_log_fd = fd;
    rush_log_file = file;

    return RUSH_OK;
}


void
rush_log_reopen(void)
{
    int  fd;

    if (rush_log_file == NULL) {
        return;
    }

    fd = open(rush_log_file, O_WRONLY|O_CREAT|O_APPEND|O_CLOEXEC, 0640);
    if (fd == -1) {
        rush_log(RUSH_LOG_ERROR, "log file \"%s\" cannot be reopened",
                 rush_log_file);
        return;
    }

    if (dup2(fd, rush_log_fd) == -1
        || fcntl(rush_log_fd, F_SETFD, FD_CLOEXEC) == -1)
    {
        rush_log(RUSH_LOG_ERROR, "log file \"%s\" cannot be replaced",
                 rush_log_file);
    }

    (void) close(fd);
}


void
rush_log_thread(const char *name)
{
    rush_log_name = name;
}


void
rush_log(int level, const char *fmt, ...)
{
    int             n;
    char            message[RUSH_LOG_LINE];
    size_t          len;
    ssize_t         sent;
    va_list         args;
    rush_buf_t      b;
    rush_str_t      s;
    unsigned char   time[32];

    if (level < rush_log_level) {
        return;
    }

    va_start(args, fmt);
    n = vsnprintf(message, sizeof(message), fmt, args);
    va_end(args);

    if (n < 0) {
        return;
    }

    s.data = (unsigned char *) message;
    s.len = (size_t) n < sizeof(message) ? (size_t) n : sizeof(message) - 1;

    len = rush_format_time(time, rush_now());

    memset(&b, 0, sizeof(rush_buf_t));

    rush_json_open(&b, NULL, '{');
    rush_json_str(&b, "time", &(rush_str_t) { len, time });
    rush_json_text(&b, "level", rush_log_levels[level]);
    rush_json_text(&b, "thread", rush_log_name);
    rush_json_str(&b, "message", &s);
    rush_json_close(&b, '}');
    rush_buf_add(&b, "\n", 1);

    /* nobody could be told that the log cannot be written */

    if (!b.failed) {
        sent = write(rush_log_fd, b.data, b.len);
        (void) sent;
    }

    rush_buf_free(&b);
}
