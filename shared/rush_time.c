
/*
 * Copyright (C) Rush
 *
 * RFC 3339 date-time.  Days are counted in eras of 400 years that begin on
 * the first of March, so that the leap day is the last of a year.  A leap
 * second (":60") is refused: neither MySQL nor JavaScript can hold one.
 */


#include "rush_field.h"


#define RUSH_MS_DAY    86400000LL
#define RUSH_TIME_MIN  (-62167219200000LL)      /* 0000-01-01T00:00:00Z */
#define RUSH_TIME_MAX  253402300799999LL        /* 9999-12-31T23:59:59.999Z */


static int rush_digits(const unsigned char *p, unsigned n, int *v);
static int rush_days_in_month(int year, int month);
static int64_t rush_days(int year, int month, int day);
static int rush_parse_offset(const unsigned char *p,
    const unsigned char *last, int64_t *ms);


int
rush_parse_time(const unsigned char *p, size_t len, int64_t *ms)
{
    int                   year, month, day, hour, min, sec, frac, scale;
    int64_t               offset, v;
    const unsigned char  *last;

    last = p + len;

    if (len < sizeof("2024-01-01T00:00:00Z") - 1) {
        return RUSH_ERROR;
    }

    if (rush_digits(p, 4, &year) != RUSH_OK || p[4] != '-'
        || rush_digits(p + 5, 2, &month) != RUSH_OK || p[7] != '-'
        || rush_digits(p + 8, 2, &day) != RUSH_OK
        || (p[10] != 'T' && p[10] != 't')
        || rush_digits(p + 11, 2, &hour) != RUSH_OK || p[13] != ':'
        || rush_digits(p + 14, 2, &min) != RUSH_OK || p[16] != ':'
        || rush_digits(p + 17, 2, &sec) != RUSH_OK)
    {
        return RUSH_ERROR;
    }

    if (month < 1 || month > 12 || day < 1
        || day > rush_days_in_month(year, month)
        || hour > 23 || min > 59 || sec > 59)
    {
        return RUSH_ERROR;
    }

    p += 19;
    frac = 0;

    if (*p == '.') {
        scale = 100;

        if (++p == last || *p < '0' || *p > '9') {
            return RUSH_ERROR;
        }

        while (p < last && *p >= '0' && *p <= '9') {
            frac += (*p++ - '0') * scale;
            scale /= 10;                /* digits after ms are cut off */
        }
    }

    if (rush_parse_offset(p, last, &offset) != RUSH_OK) {
        return RUSH_ERROR;
    }

    v = rush_days(year, month, day) * RUSH_MS_DAY
        + ((hour * 60 + min) * 60 + sec) * 1000LL + frac - offset;

    if (v < RUSH_TIME_MIN || v > RUSH_TIME_MAX) {
        return RUSH_ERROR;
    }

    *ms = v;

    return RUSH_OK;
}


/* "Z", "+hh:mm" or "-hh:mm", and nothing behind it */

static int
rush_parse_offset(const unsigned char *p, const unsigned char *last,
    int64_t *ms)
{
    int  hour, min;

    if (last - p == 1 && (*p == 'Z' || *p == 'z')) {
        *ms = 0;
        return RUSH_OK;
    }

    if (last - p != 6 || (*p != '+' && *p != '-')
        || rush_digits(p + 1, 2, &hour) != RUSH_OK || p[3] != ':'
        || rush_digits(p + 4, 2, &min) != RUSH_OK
        || hour > 23 || min > 59)
    {
        return RUSH_ERROR;
    }

    *ms = (hour * 60 + min) * 60000LL;

    if (*p == '-') {
        *ms = -*ms;
    }

    return RUSH_OK;
}


size_t
rush_format_time(unsigned char *dst, int64_t ms)
{
    int                         i;
    int64_t                     days, era, rest;
    unsigned                    doe, yoe, doy, mp, part[7];
    static const unsigned char  width[7] = { 4, 2, 2, 2, 2, 2, 3 };
    static const unsigned char  after[] = "--T::.Z";

    if (ms < RUSH_TIME_MIN) {
        ms = RUSH_TIME_MIN;
    }

    if (ms > RUSH_TIME_MAX) {
        ms = RUSH_TIME_MAX;
    }

    days = (ms - RUSH_TIME_MIN) / RUSH_MS_DAY;      /* since 0000-01-01 */
    rest = (ms - RUSH_TIME_MIN) % RUSH_MS_DAY;

    days += 146097 - 60;                /* since -0400-03-01 */
    era = days / 146097 - 1;
    doe = (unsigned) (days % 146097);
    yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    mp = (5 * doy + 2) / 153;

    part[1] = (mp < 10) ? mp + 3 : mp - 9;
    part[2] = doy - (153 * mp + 2) / 5 + 1;
    part[0] = (unsigned) (era * 400 + yoe) + (part[1] <= 2);

    part[3] = (unsigned) (rest / 3600000);
    part[4] = (unsigned) (rest / 60000 % 60);
    part[5] = (unsigned) (rest / 1000 % 60);
    part[6] = (unsigned) (rest % 1000);

    for (i = 0; i < 7; i++) {

        for (mp = width[i]; mp > 0; mp--) {
            dst[mp - 1] = (unsigned char) ('0' + part[i] % 10);
            part[i] /= 10;
        }

        dst += width[i];
        *dst++ = after[i];
    }

    return 24;
}


static int
rush_digits(const unsigned char *p, unsigned n, int *v)
{
    int  r;

    for (r = 0; n > 0; n--, p++) {

        if (*p < '0' || *p > '9') {
            return RUSH_ERROR;
        }

        r = r * 10 + (*p - '0');
    }

    *v = r;

    return RUSH_OK;
}


static int
rush_days_in_month(int year, int month)
{
    static const unsigned char  days[12] = {
        31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31
    };

    if (month == 2 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)) {
        return 29;
    }

    return days[month - 1];
}


/* days since 1970-01-01 */

static int64_t
rush_days(int year, int month, int day)
{
    int  era, yoe, doy;

    year += 400;                        /* keeps the division positive */

    if (month <= 2) {
        year--;
    }

    era = year / 400;
    yoe = year % 400;
    doy = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;

    return (int64_t) (era - 1) * 146097 + yoe * 365 + yoe / 4 - yoe / 100
           + doy - 719468;
}
