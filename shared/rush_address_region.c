
/*
 * Copyright (C) Rush
 */


#include "rush_address_int.h"
#include "rush_utf8.h"
#include "rush_regions.h"


/*
 * Where in the text a region stands: a province of the table, or a prefecture
 * that tells its province, at the start of a part of the text; or a little
 * behind it, when a name stands before it without a blank.  The place that
 * tells most is taken.
 */


#define RUSH_DISTRICT_LEN  12           /* code points that are looked at */
#define RUSH_STUCK_LEN     4            /* of a name before the region */

#define RUSH_C_SHI         0x5e02       /* city */
#define RUSH_C_QU          0x533a       /* district */
#define RUSH_C_XIAN        0x53bf       /* county */
#define RUSH_C_CHENG       0x57ce       /* behind a county: its town */
#define RUSH_C_QI          0x65d7       /* banner */
#define RUSH_C_ZHOU        0x5dde       /* prefecture */
#define RUSH_C_MENG        0x76df       /* league */
#define RUSH_C_JIE         0x8857       /* street */
#define RUSH_C_LU          0x8def       /* road */
#define RUSH_C_DI          0x5730       /* with "district": prefecture */
#define RUSH_C_ZHI         0x6cbb       /* before "prefecture": autonomous */


typedef struct {
    const char      *name;              /* in the table */
    size_t           n;                 /* code points that were there */
    int              full;
} rush_found_t;


static void rush_region_at(const rush_text_t *t, size_t i,
    rush_region_t *region);
static const rush_province_t *rush_region_province(const rush_text_t *t,
    size_t i, rush_found_t *found);
static size_t rush_region_city(const rush_text_t *t, size_t i,
    const rush_province_t *province, rush_region_t *region);
static size_t rush_region_again(const rush_text_t *t, size_t i,
    const rush_province_t *province);
static size_t rush_region_guess(const rush_text_t *t, size_t i);
static const rush_province_t *rush_region_implied(const rush_text_t *t,
    size_t i, rush_found_t *found);
static size_t rush_region_district(const rush_text_t *t, size_t i);
static int rush_region_is_end(const rush_text_t *t, size_t start, size_t i);
static int rush_region_listed(const rush_text_t *t, size_t i,
    const char *list, rush_found_t *found);
static int rush_region_is_street(const rush_text_t *t, size_t i);
static size_t rush_region_skip(const rush_text_t *t, size_t i);


void
rush_address_find(rush_text_t *t, rush_region_t *best)
{
    int             stuck;
    size_t          i, k;
    rush_region_t   region;

    memset(best, 0, sizeof(rush_region_t));

    for (i = 0; i < t->n; i++) {

        if (rush_is_break(t->cp[i])
            || (i > 0 && !rush_is_break(t->cp[i - 1])))
        {
            continue;
        }

        for (k = 0; k <= RUSH_STUCK_LEN && i + k < t->n; k++) {

            if (rush_is_break(t->cp[i + k])) {
                break;
            }

            stuck = (k != 0);

            if (k == 1) {
                continue;               /* nobody has such a short name */
            }

            rush_region_at(t, i + k, &region);

            if (stuck && region.score < 6) {
                continue;
            }

            if (region.score > best->score
                && (best->score == 0 || region.start >= best->end
                    || region.province != best->province))
            {
                *best = region;
            }
        }
    }
}


/* the score: what was told in full counts more than what may be anything */

static void
rush_region_at(const rush_text_t *t, size_t i, rush_region_t *region)
{
    size_t                  at, n;
    rush_found_t            found;
    const rush_province_t  *province;

    memset(region, 0, sizeof(rush_region_t));

    region->start = i;

    n = rush_address_listed(t, i, rush_words_country);
    i = n ? rush_region_skip(t, i + n) : i;

    province = rush_region_province(t, i, &found);

    if (province) {
        region->score = found.full ? 4 : 2;
        region->province = province->name;
        at = rush_region_city(t, i + found.n, province, region);

    } else {
        province = rush_region_implied(t, i, &found);

        if (province == NULL) {
            return;
        }

        region->score = found.full ? 4 : 1;
        region->province = province->name;
        region->city = found.name;
        at = i + found.n;
    }

    region->score += (region->city || region->city_end) ? 2 : 0;
    region->end = at;

    at = rush_region_skip(t, at);
    n = rush_address_listed(t, at, rush_words_below);

    if (n) {
        region->end = at + n;
        at = rush_region_skip(t, at + n);
    }

    n = rush_region_district(t, at);

    if (n) {
        region->score += 2;
        region->end = at + n;

        if (region->city == NULL && region->city_end == 0) {
            /* a county that is directly below its province */
            region->city_at = at;
            region->city_end = at + n;

        } else {
            region->district_at = at;
            region->district_end = at + n;
        }
    }

    if (region->score <= 2) {
        /* two characters that may be anything */
        region->score = (rush_is_break(t->cp[region->end])) ? 1 : 0;
    }
}


static const rush_province_t *
rush_region_province(const rush_text_t *t, size_t i, rush_found_t *found)
{
    size_t                  k, n;
    rush_found_t            other;
    const rush_province_t  *p;

    for (k = 0; k < RUSH_PROVINCES; k++) {
        p = &rush_provinces[k];

        if (!rush_region_listed(t, i, p->name, found)) {
            continue;
        }

        if (found->full) {
            return p;
        }

        n = rush_address_listed(t, i + found->n, rush_words_self);

        if (p->kind == 'a' && n) {
            found->n += n;
            found->full = 1;
            return p;
        }

        /* the province and one of its cities, or of another one's, may have
         * the same name */

        if (t->cp[i + found->n] == RUSH_C_SHI
            || t->cp[i + found->n] == RUSH_C_ZHOU
            || rush_region_is_street(t, i + found->n)
            || (rush_region_implied(t, i, &other) && other.full))
        {
            return NULL;
        }

        return p;
    }

    return NULL;
}


/* behind the province; returns where the city ends */

static size_t
rush_region_city(const rush_text_t *t, size_t i,
    const rush_province_t *province, rush_region_t *region)
{
    size_t        at, n;
    rush_found_t  found;

    at = rush_region_skip(t, i);

    if (province->kind == 'm' || province->kind == 's') {
        region->city = province->name;

        if (rush_region_listed(t, at, province->cities, &found)) {
            region->city = found.name;
            return at + found.n;
        }

        n = rush_region_again(t, at, province);

        return n ? at + n : i;
    }

    n = rush_region_again(t, at, province);

    if (n && !rush_region_listed(t, at, province->cities, &found)) {
        at = rush_region_skip(t, at + n);
    }

    if (rush_region_listed(t, at, province->cities, &found)
        && (found.full || !rush_region_is_street(t, at + found.n)))
    {
        region->city = found.name;

        if (!found.full && (t->cp[at + found.n] == RUSH_C_XIAN
                            || t->cp[at + found.n] == RUSH_C_SHI))
        {
            return i;                   /* the county of the same name */
        }

        return at + found.n;
    }

    n = rush_region_guess(t, at);

    if (n) {
        region->city_at = at;
        region->city_end = at + n;
        return at + n;
    }

    return i;
}


/* the province told twice, as a municipality is its own city */

static size_t
rush_region_again(const rush_text_t *t, size_t i,
    const rush_province_t *province)
{
    rush_found_t  found;

    if (!rush_region_listed(t, i, province->name, &found)) {
        return 0;
    }

    if (!found.full && rush_region_is_street(t, i + found.n)) {
        return 0;
    }

    return found.n;
}


/* a city that the table does not have, by its ending */

static size_t
rush_region_guess(const rush_text_t *t, size_t i)
{
    size_t  k;

    for (k = 0; k < RUSH_DISTRICT_LEN && rush_is_han(t->cp[i + k]); k++) {

        if (k >= 2 && t->cp[i + k] == RUSH_C_ZHOU
            && t->cp[i + k - 1] == RUSH_C_ZHI)
        {
            return k + 1;
        }

        if (k >= 2 && t->cp[i + k] == RUSH_C_MENG) {
            return k + 1;
        }

        if (k >= 1 && (t->cp[i + k] == RUSH_C_QU
                       || t->cp[i + k] == RUSH_C_XIAN
                       || t->cp[i + k] == RUSH_C_LU
                       || t->cp[i + k] == RUSH_C_JIE))
        {
            return 0;
        }

        if (k >= 1 && t->cp[i + k] == RUSH_C_SHI
            && !rush_address_among(rush_chars_no_city_before,
                                   t->cp[i + k - 1])
            && !rush_address_among(rush_chars_no_city_after,
                                   t->cp[i + k + 1]))
        {
            return k + 1;
        }
    }

    return 0;
}


/* a city that tells its province */

static const rush_province_t *
rush_region_implied(const rush_text_t *t, size_t i, rush_found_t *found)
{
    size_t                  k, best;
    rush_found_t            one;
    const rush_province_t  *p;

    p = NULL;
    best = 0;

    for (k = 0; k < RUSH_PROVINCES; k++) {

        if (rush_region_listed(t, i, rush_provinces[k].cities, &one)
            && one.n > best
            && (one.full || !rush_region_is_street(t, i + one.n)))
        {
            best = one.n;
            *found = one;
            p = &rush_provinces[k];
        }
    }

    return p;
}


static size_t
rush_region_district(const rush_text_t *t, size_t i)
{
    size_t    k;
    uint32_t  c, next;

    for (k = 0; k < RUSH_DISTRICT_LEN; k++) {
        c = t->cp[i + k];

        if (!rush_is_han(c)) {
            return 0;
        }

        next = t->cp[i + k + 1];

        if (k >= 1 && rush_region_is_end(t, i, i + k)) {
            return k + 1;
        }

        /* a town or a road comes first: there is no district */

        if (k >= 1
            && (rush_address_among(rush_chars_stop, c)
                || (c == RUSH_C_JIE && next != RUSH_C_QU))
            && next != RUSH_C_QU && next != RUSH_C_XIAN
            && next != RUSH_C_SHI)
        {
            return 0;
        }
    }

    return 0;
}


static int
rush_region_is_end(const rush_text_t *t, size_t start, size_t i)
{
    uint32_t  before, next;

    before = t->cp[i - 1];
    next = t->cp[i + 1];

    switch (t->cp[i]) {

    case RUSH_C_QU:

        return before != RUSH_C_DI
               && !rush_address_among(rush_chars_no_area, before);

    case RUSH_C_XIAN:
        return next != RUSH_C_CHENG || !rush_is_break(t->cp[i + 2]);

    case RUSH_C_QI:
        return i - start >= 2 && before != 0x7ea2   /* the red flag */
               && !rush_region_is_street(t, i + 1);

    case RUSH_C_SHI:
        return !rush_address_among(rush_chars_no_city_before, before)
               && !rush_address_among(rush_chars_no_city_after, next);
    }

    return 0;
}


/* the longest name of the list; in full, with its short form and an ending of
 * its own kind, or the short form alone */

static int
rush_region_listed(const rush_text_t *t, size_t i, const char *list,
    rush_found_t *found)
{
    char         first[4];
    size_t       n, brief;
    uint32_t     next;
    const char  *name, *end, *bar;

    memset(found, 0, sizeof(rush_found_t));
    rush_address_first(t, i, first);

    for (name = list; *name != '\0'; name = end + 1) {
        end = strchr(name, ' ');

        if (memcmp(name, first, 3) != 0) {
            continue;
        }

        n = rush_address_word(t, i, name, (size_t) (end - name));

        if (n > found->n) {
            found->name = name;
            found->n = n;
            found->full = 1;
            continue;
        }

        bar = memchr(name, '|', (size_t) (end - name));

        if (n || bar == NULL) {
            continue;
        }

        brief = rush_address_word(t, i, name, (size_t) (bar - name));

        if (brief == 0 || brief <= found->n) {
            continue;
        }

        next = t->cp[i + brief];

        found->name = name;
        found->n = brief;
        found->full = 0;

        if (next == RUSH_C_ZHOU && end - bar > 10) {
            found->n++;                 /* of an autonomous prefecture */
            found->full = 1;
        }
    }

    return found->n != 0;
}


static int
rush_region_is_street(const rush_text_t *t, size_t i)
{
    return rush_address_listed(t, i, rush_words_road) != 0;
}


/* blanks, commas and labels of addresses between the parts of a region */

static size_t
rush_region_skip(const rush_text_t *t, size_t i)
{
    while (t->cp[i] == ' ' || t->cp[i] == '\n' || t->cp[i] == RUSH_M_AREA
           || t->cp[i] == RUSH_M_ADDRESS || t->cp[i] == '-'
           || t->cp[i] == '/')
    {
        i++;
    }

    return i;
}
