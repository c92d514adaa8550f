
/*
 * Copyright (C) Rush
 */


#include "rush_address_int.h"


#define RUSH_PHONE_LEN    24            /* with NUL */
#define RUSH_TURN         0x8f6c        /* "zhuan": before an extension */

#define RUSH_LANDLINE     1             /* the better one is greater */
#define RUSH_MOBILE       2


typedef struct {
    const rush_text_t  *text;
    size_t              at;             /* next to look at */
    int                 country;        /* +86 was there */
    int                 kind;
    size_t              len;
    char                number[RUSH_PHONE_LEN];
} rush_phone_t;


static size_t rush_phone_match(const rush_text_t *t, size_t i,
    rush_phone_t *p);
static void rush_phone_country(rush_phone_t *p);
static int rush_phone_mobile(rush_phone_t *p);
static int rush_phone_landline(rush_phone_t *p);
static int rush_phone_service(rush_phone_t *p);
static int rush_phone_abroad(rush_phone_t *p);
static void rush_phone_extension(rush_phone_t *p);
static int rush_phone_digits(rush_phone_t *p, size_t n);
static void rush_phone_gap(rush_phone_t *p);
static void rush_phone_add(rush_phone_t *p, uint32_t c);


void
rush_address_phones(rush_address_t *a, rush_text_t *t)
{
    int           best;
    size_t        i, n, w;
    rush_phone_t  p;

    best = 0;

    for (i = 0, w = 0; i < t->n; ) {
        n = 0;

        if (w == 0 || (!rush_is_digit(t->cp[w - 1])
                       && !rush_is_letter(t->cp[w - 1])
                       && t->cp[w - 1] != '-'))
        {
            n = rush_phone_match(t, i, &p);
        }

        if (n == 0) {
            t->cp[w++] = t->cp[i++];
            continue;
        }

        if (p.kind > best) {
            best = p.kind;

            memcpy(a->memory + a->used, p.number, p.len);
            a->phone.data = a->memory + a->used;
            a->phone.len = p.len;
        }

        t->cp[w++] = RUSH_M_NUMBER;
        i += n;
    }

    t->n = w;
    t->cp[w] = 0;
    a->used += a->phone.len;
}


static size_t
rush_phone_match(const rush_text_t *t, size_t i, rush_phone_t *p)
{
    size_t  k;

    static int  (*const  forms[])(rush_phone_t *) = {
        rush_phone_mobile, rush_phone_landline, rush_phone_service,
        rush_phone_abroad
    };

    if (!rush_is_digit(t->cp[i]) && t->cp[i] != '+' && t->cp[i] != '(') {
        return 0;
    }

    for (k = 0; k < sizeof(forms) / sizeof(forms[0]); k++) {
        memset(p, 0, sizeof(rush_phone_t));
        p->text = t;
        p->at = i;

        if (forms[k](p) && !rush_is_digit(t->cp[p->at])) {
            rush_phone_extension(p);

            if (t->cp[i] == '(' && t->cp[p->at] == ')') {
                p->at++;
            }

            return p->at - i;
        }
    }

    return 0;
}


/* +86, 0086, (+86), 86 */

static void
rush_phone_country(rush_phone_t *p)
{
    size_t           at;
    const uint32_t  *cp;

    cp = p->text->cp;
    at = p->at;

    if (cp[at] == '(') {
        at++;
    }

    if (cp[at] == '+') {
        at++;

    } else if (cp[at] == '0' && cp[at + 1] == '0') {
        at += 2;
    }

    if (cp[at] != '8' || cp[at + 1] != '6') {
        return;
    }

    at += 2;

    if (cp[at] == ')') {
        at++;
    }

    p->at = at;
    p->country = 1;

    rush_phone_gap(p);
}


static int
rush_phone_mobile(rush_phone_t *p)
{
    const uint32_t  *cp;

    cp = p->text->cp;
    rush_phone_country(p);

    if (!p->country && cp[p->at] == '(') {
        p->at++;
    }

    if (cp[p->at] != '1' || cp[p->at + 1] < '3' || cp[p->at + 1] > '9'
        || !rush_phone_digits(p, 3))
    {
        return 0;
    }

    rush_phone_gap(p);

    if (!rush_phone_digits(p, 4)) {
        return 0;
    }

    rush_phone_gap(p);

    p->kind = RUSH_MOBILE;

    return rush_phone_digits(p, 4);
}


/* 010-62345678, (0755)26012345, +86 755 2601 2345 */

static int
rush_phone_landline(rush_phone_t *p)
{
    size_t           area, n;
    const uint32_t  *cp;

    cp = p->text->cp;
    rush_phone_country(p);

    if (cp[p->at] == '(') {
        p->at++;
    }

    if (cp[p->at] == '0') {
        p->at++;

    } else if (!p->country) {
        return 0;
    }

    if (cp[p->at] < '1' || cp[p->at] > '9') {
        return 0;
    }

    area = (cp[p->at] <= '2') ? 2 : 3;

    rush_phone_add(p, '0');

    if (!rush_phone_digits(p, area)) {
        return 0;
    }

    if (cp[p->at] == ')') {
        p->at++;
    }

    rush_phone_gap(p);
    rush_phone_add(p, '-');

    if (!rush_phone_digits(p, 3)) {
        return 0;
    }

    for (n = 3; n < 8; n++) {

        if (n == 3 || n == 4) {
            rush_phone_gap(p);
        }

        if (!rush_phone_digits(p, 1)) {
            break;
        }
    }

    p->kind = RUSH_LANDLINE;

    return n >= 7;
}


/* 400-820-8820 */

static int
rush_phone_service(rush_phone_t *p)
{
    size_t           n;
    const uint32_t  *cp;

    cp = p->text->cp;

    if ((cp[p->at] != '4' && cp[p->at] != '8') || cp[p->at + 1] != '0'
        || cp[p->at + 2] != '0' || !rush_phone_digits(p, 3))
    {
        return 0;
    }

    for (n = 3; n < 10; n++) {

        if (n == 3 || n == 6 || n == 7) {
            rush_phone_gap(p);
        }

        if (!rush_phone_digits(p, 1)) {
            return 0;
        }
    }

    p->kind = RUSH_LANDLINE;

    return 1;
}


/* +852 6123 4567 */

static int
rush_phone_abroad(rush_phone_t *p)
{
    size_t           n;
    const uint32_t  *cp;

    cp = p->text->cp;

    if (cp[p->at] != '+' || cp[p->at + 1] < '1' || cp[p->at + 1] > '9') {
        return 0;
    }

    rush_phone_add(p, '+');
    p->at++;

    for (n = 0; n < 15; n++) {

        if (n) {
            rush_phone_gap(p);
        }

        if (!rush_phone_digits(p, 1)) {
            break;
        }
    }

    p->kind = RUSH_MOBILE;

    return n >= 8;
}


/* -1234: not the number of a house, which says what it is */

static void
rush_phone_extension(rush_phone_t *p)
{
    size_t           i, at;
    uint32_t         next;
    const uint32_t  *cp;

    cp = p->text->cp;
    at = p->at;

    if (cp[at] != '-' && cp[at] != RUSH_TURN && cp[at] != '#') {
        return;
    }

    for (i = at + 1; rush_is_digit(cp[i]) && i < at + 7; i++) { /* void */ }

    next = cp[i];

    if (i - at < 3 || rush_is_digit(next) || rush_is_letter(next)
        || next == '-' || p->len + (i - at) >= RUSH_PHONE_LEN)
    {
        return;
    }

    if (cp[at] == '-' && rush_is_han(next)) {
        return;
    }

    rush_phone_add(p, '-');

    for (i = at + 1; rush_is_digit(cp[i]); i++) {
        rush_phone_add(p, cp[i]);
    }

    p->at = i;
}


static int
rush_phone_digits(rush_phone_t *p, size_t n)
{
    for ( /* void */ ; n > 0; n--) {

        if (!rush_is_digit(p->text->cp[p->at])) {
            return 0;
        }

        rush_phone_add(p, p->text->cp[p->at++]);
    }

    return 1;
}


static void
rush_phone_gap(rush_phone_t *p)
{
    uint32_t  c;

    c = p->text->cp[p->at];

    if ((c == ' ' || c == '-') && rush_is_digit(p->text->cp[p->at + 1])) {
        p->at++;
    }
}


static void
rush_phone_add(rush_phone_t *p, uint32_t c)
{
    if (p->len < RUSH_PHONE_LEN - 1) {
        p->number[p->len++] = (char) c;
    }
}
