
/*
 * Copyright (C) Rush
 */


#include "rush_address_int.h"
#include "rush_regions.h"


/*
 * What is left without phone number, labels and region: one part of it is the
 * name.  It is told by its length, a surname, a title, and by standing beside
 * the phone number, at the start or at the end.
 */


#define RUSH_NAME_SCORE    3            /* at least */

#define RUSH_C_DOT         0xb7         /* in names of minorities */
#define RUSH_C_BULLET      0x2022
#define RUSH_C_MIDDLE      0x30fb
#define RUSH_C_RECEIVE     0x6536       /* "shou", behind a name */


static int rush_address_name_score(const rush_parts_t *ps, size_t i);
static int rush_address_is_latin(const rush_parts_t *ps, size_t i);
static size_t rush_address_trim(const rush_text_t *t, size_t start,
    size_t end);
static int rush_address_name_tail(rush_address_t *a, rush_parts_t *ps);
static void rush_address_join(rush_address_t *a, const rush_text_t *t,
    const rush_part_t *part, uint32_t *last);


/* told by its label, or six digits that stand alone */

void
rush_address_post(rush_address_t *a, rush_parts_t *ps)
{
    size_t        i, k;
    rush_part_t  *part;

    for (i = 0; i < ps->n && a->postcode.len == 0; i++) {
        part = &ps->part[i];

        for (k = part->start; k < part->end; k++) {
            if (!rush_is_digit(ps->text.cp[k])) {
                break;
            }
        }

        if (k - part->start != 6
            || (k != part->end && part->label != RUSH_M_POST))
        {
            continue;
        }

        rush_address_text(a, &a->postcode, &ps->text, part->start, k);

        part->start = k;
        part->used = (k == part->end);
    }
}


void
rush_address_name(rush_address_t *a, rush_parts_t *ps)
{
    int           score, best;
    size_t        i, end, found;
    rush_part_t  *part;

    found = 0;
    best = 0;

    for (i = 0; i < ps->n; i++) {
        part = &ps->part[i];

        if (part->used) {
            continue;
        }

        score = (part->label == RUSH_M_NAME && part->end - part->start <= 20)
                ? 100 : rush_address_name_score(ps, i);

        if (score > best) {
            best = score;
            found = i;
        }
    }

    if (best < RUSH_NAME_SCORE) {
        (void) rush_address_name_tail(a, ps);
        return;
    }

    part = &ps->part[found];
    part->used = 1;
    end = rush_address_trim(&ps->text, part->start, part->end);

    /* a first and a last name in letters */

    if (found + 1 < ps->n && part[1].start == end + 1 && !part[1].used
        && ps->text.cp[end] == ' ' && rush_address_is_latin(ps, found)
        && rush_address_is_latin(ps, found + 1))
    {
        part[1].used = 1;
        end = part[1].end;
    }

    rush_address_text(a, &a->name, &ps->text, part->start, end);
}


static int
rush_address_is_latin(const rush_parts_t *ps, size_t i)
{
    size_t              k;
    const rush_part_t  *part;

    part = &ps->part[i];

    for (k = part->start; k < part->end; k++) {
        if (!rush_is_letter(ps->text.cp[k])) {
            return 0;
        }
    }

    return 1;
}


static int
rush_address_name_score(const rush_parts_t *ps, size_t i)
{
    int                 score, titled, surname;
    size_t              k, end, len, letters, dots;
    uint32_t            c;
    const rush_part_t  *part;
    const rush_text_t  *t;

    t = &ps->text;
    part = &ps->part[i];

    end = rush_address_trim(t, part->start, part->end);
    len = end - part->start;

    if (part->stuck || part->label > RUSH_M_PHONE || len < 2 || len > 20) {
        return 0;
    }

    letters = dots = 0;

    for (k = part->start; k < end; k++) {
        c = t->cp[k];

        if (rush_is_letter(c)) {
            letters++;

        } else if (c == RUSH_C_DOT || c == RUSH_C_BULLET
                   || c == RUSH_C_MIDDLE)
        {
            dots++;

        } else if (!rush_is_han(c)) {
            return 0;
        }
    }

    if (letters) {
        return (letters == len && (part->number || i == 0))
               ? RUSH_NAME_SCORE : 0;
    }

    titled = len > 2
             && rush_address_listed(t, end - 2, rush_words_title) == 2;

    if (len > (size_t) (dots ? 20 : titled ? 6 : 4)) {
        return 0;
    }

    surname = rush_address_among(rush_chars_surname, t->cp[part->start]);

    score = 3 * (surname || titled || dots) + 2 * part->number
            + 2 * part->early + (i == 0) + (i == ps->n - 1)
            - (len == 4 && !titled);

    if (!titled && !dots
        && rush_address_among(rush_chars_place, t->cp[end - 1]))
    {
        /* more often the end of a place, but there are such names */

        return (surname && len <= 3 && (part->number || part->early))
               ? score - 2 : 0;
    }

    return score;
}


/* without what says that it is the one who receives */

static size_t
rush_address_trim(const rush_text_t *t, size_t start, size_t end)
{
    if (end - start > 3 && t->cp[end - 1] == ')'
        && t->cp[end - 2] == RUSH_C_RECEIVE && t->cp[end - 3] == '(')
    {
        return end - 3;
    }

    if (end - start > 2 && t->cp[end - 1] == RUSH_C_RECEIVE) {
        return end - 1;
    }

    return end;
}


/* "... 1 hao zhang san" without a blank, beside the phone or at the end */

static int
rush_address_name_tail(rush_address_t *a, rush_parts_t *ps)
{
    size_t              i, k, end;
    rush_part_t        *part;
    const rush_text_t  *t;

    t = &ps->text;

    for (i = ps->n; i > 0; i--) {
        part = &ps->part[i - 1];

        if (part->used || (!part->number && i != ps->n)) {
            continue;
        }

        end = rush_address_trim(t, part->start, part->end);

        for (k = end; k > part->start && rush_is_han(t->cp[k - 1]); k--) {
            if (rush_address_among(rush_chars_end, t->cp[k - 1])) {
                break;
            }
        }

        if (k == part->start || end - k < 2 || end - k > 4
            || !rush_address_among(rush_chars_surname, t->cp[k])
            || rush_address_among(rush_chars_place, t->cp[end - 1])
            || (!rush_is_han(t->cp[k - 1]) && t->cp[k - 1] != ')'
                && !rush_is_digit(t->cp[k - 1])))
        {
            continue;
        }

        rush_address_text(a, &a->name, t, k, end);
        part->end = k;

        return 1;
    }

    return 0;
}


/* what is left; parts before the region come last */

void
rush_address_detail(rush_address_t *a, rush_parts_t *ps)
{
    size_t    i;
    uint32_t  last;
    unsigned  early;

    last = 0;

    for (early = 0; early < 2; early++) {
        for (i = 0; i < ps->n; i++) {
            if (!ps->part[i].used && ps->part[i].early == early) {
                rush_address_join(a, &ps->text, &ps->part[i], &last);
            }
        }
    }
}


/* last: the last character that was written, 0 before the first */

static void
rush_address_join(rush_address_t *a, const rush_text_t *t,
    const rush_part_t *part, uint32_t *last)
{
    size_t    start, end;
    uint32_t  first;

    start = part->start;
    end = part->end;

    while (start < end && (t->cp[start] == '-' || t->cp[start] == '/'
                           || t->cp[start] == '.'))
    {
        start++;
    }

    while (start < end && (t->cp[end - 1] == '-' || t->cp[end - 1] == '/')) {
        end--;
    }

    if (start == end
        || (end - start == 1 && t->cp[start] == RUSH_C_RECEIVE))
    {
        return;
    }

    first = t->cp[start];

    if ((rush_is_digit(first) || rush_is_letter(first))
        && (rush_is_digit(*last) || rush_is_letter(*last)))
    {
        rush_address_add(a, &a->detail, ' ');
    }

    rush_address_text(a, &a->detail, t, start, end);

    *last = t->cp[end - 1];
}
