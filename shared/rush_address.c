
/*
 * Copyright (C) Rush
 */


#include "rush_address_int.h"
#include "rush_utf8.h"
#include "rush_regions.h"


/*
 * Phone numbers are the surest, so they are taken out first; then labels,
 * then the region.  What is left falls into parts: one of them is the name,
 * six digits are the postcode, the others are the detail.
 */


static void rush_address_read(rush_text_t *t, const unsigned char *p,
    size_t len);
static uint32_t rush_address_plain(uint32_t c);
static void rush_address_labels(rush_text_t *t);
static unsigned rush_address_label(const rush_text_t *t, size_t i,
    int boundary, size_t *len);
static void rush_address_region(rush_address_t *a, rush_text_t *t);
static void rush_address_split(rush_parts_t *ps);
static void rush_address_table(rush_address_t *a, rush_str_t *s,
    const char *name);


void
rush_address_parse(rush_address_t *a, const unsigned char *text, size_t len)
{
    rush_parts_t  ps;

    memset(a, 0, sizeof(rush_address_t));
    memset(&ps, 0, sizeof(rush_parts_t));

    rush_address_read(&ps.text, text, len);
    rush_address_phones(a, &ps.text);
    rush_address_labels(&ps.text);
    rush_address_region(a, &ps.text);
    rush_address_split(&ps);
    rush_address_post(a, &ps);
    rush_address_name(a, &ps);
    rush_address_detail(a, &ps);
}


static void
rush_address_read(rush_text_t *t, const unsigned char *p, size_t len)
{
    size_t                n;
    uint32_t              c;
    const unsigned char  *last;

    last = p + len;

    for ( /* void */ ; p < last && t->n < RUSH_ADDRESS_CHARS; p += n) {
        n = rush_utf8_next(p, last);

        if (n == 0) {
            n = 1;
            continue;
        }

        c = rush_address_plain(rush_address_decode(p, n));

        if (c != 0) {
            t->cp[t->n++] = c;
        }
    }

    t->cp[t->n] = 0;
}


/* wide forms become plain ones, what separates a blank or a line feed; 0:
 * not to be seen anyway */

static uint32_t
rush_address_plain(uint32_t c)
{
    static const uint32_t  strong[] = {
        '\r', '\n', ',', ';', '|', '[', ']', '{', '}', '<', '>', '"', '\'',
        '`', '=', 0x3001, 0x3002, 0x3010, 0x3011, 0x300c, 0x300d, 0x201c,
        0x201d, 0x2018, 0x2019
    };

    size_t  i;

    if (c >= 0xff01 && c <= 0xff5e) {
        c -= 0xff01 - '!';
    }

    for (i = 0; i < sizeof(strong) / sizeof(strong[0]); i++) {
        if (c == strong[i]) {
            return '\n';
        }
    }

    if (c == '\t' || c == 0xa0 || c == 0x3000 || (c >= 0x2000 && c <= 0x200a)
        || (c >= 0x2600 && c <= 0x27bf) || c >= 0x1f000)
    {
        return (c >= 0x20000 && c <= 0x3ffff) ? c : ' ';
    }

    if (c < ' ' || c == 0x7f || c == 0xfeff || c == 0xfe0f || c == 0x20e3
        || (c >= 0x200b && c <= 0x200f) || (c >= 0x202a && c <= 0x202e)
        || (c >= 0x2060 && c <= 0x2064) || (c >= 0x80 && c < 0xa0))
    {
        return 0;
    }

    if (c == 0x2013 || c == 0x2014 || c == 0x2010 || c == 0x2212) {
        return '-';
    }

    return c;
}


static void
rush_address_labels(rush_text_t *t)
{
    int       boundary;
    size_t    i, w, n;
    unsigned  label;

    for (i = 0, w = 0; i < t->n; ) {
        boundary = (w == 0 || rush_is_break(t->cp[w - 1]));
        label = rush_address_label(t, i, boundary, &n);

        if (label == 0) {
            t->cp[w++] = (t->cp[i] == ':') ? '\n' : t->cp[i];
            i++;
            continue;
        }

        t->cp[w++] = label;
        i += n;

        while (t->cp[i] == ' ' || t->cp[i] == ':') {
            i++;
        }
    }

    t->n = w;
    t->cp[w] = 0;
}


/* a label stands at the start of something, or before a colon, and what comes
 * next must be fit for it */

static unsigned
rush_address_label(const rush_text_t *t, size_t i, int boundary, size_t *len)
{
    size_t    k, n;
    uint32_t  next;

    static const struct {
        const char  *words;
        unsigned     label;
    } labels[] = {
        { rush_words_name, RUSH_M_NAME },
        { rush_words_phone, RUSH_M_PHONE },
        { rush_words_area, RUSH_M_AREA },
        { rush_words_address, RUSH_M_ADDRESS },
        { rush_words_post, RUSH_M_POST }
    };

    for (k = 0; k < sizeof(labels) / sizeof(labels[0]); k++) {
        n = rush_address_listed(t, i, labels[k].words);

        if (n == 0) {
            continue;
        }

        *len = n;

        while (t->cp[i + n] == ' ') {
            n++;
        }

        next = t->cp[i + n];

        if (next == ':' && (boundary || *len > 1)) {
            return labels[k].label;
        }

        if (labels[k].label == RUSH_M_PHONE) {

            if (next == RUSH_M_NUMBER
                || (boundary && *len > 1
                    && (rush_is_digit(next) || rush_is_break(next))))
            {
                return RUSH_M_PHONE;
            }

            continue;
        }

        if (!boundary) {
            continue;
        }

        switch (labels[k].label) {

        case RUSH_M_AREA:

            if (*len > 1 && rush_is_break(t->cp[i + *len])) {
                return RUSH_M_AREA;
            }

            break;

        case RUSH_M_POST:

            if (rush_is_digit(next) || rush_is_break(next)) {
                return RUSH_M_POST;
            }

            break;

        default:
            return labels[k].label;
        }
    }

    return 0;
}


static void
rush_address_region(rush_address_t *a, rush_text_t *t)
{
    size_t         i, end;
    rush_region_t  region, again;

    rush_address_find(t, &region);

    if (region.score == 0) {
        return;
    }

    rush_address_table(a, &a->province, region.province);

    if (region.city) {
        rush_address_table(a, &a->city, region.city);

    } else {
        rush_address_text(a, &a->city, t, region.city_at, region.city_end);
    }

    rush_address_text(a, &a->district, t, region.district_at,
                      region.district_end);

    for (i = region.start; i < region.end; i++) {
        t->cp[i] = RUSH_M_REGION;
    }

    /* told as an area first and once more in the address */

    end = region.end;
    rush_address_find(t, &again);

    if (again.score >= 4 && again.province == region.province
        && (again.city == region.city || again.city == NULL)
        && again.start >= end)
    {
        if (a->district.len == 0) {
            rush_address_text(a, &a->district, t, again.district_at,
                              again.district_end);
        }

        for (i = again.start; i < again.end; i++) {
            t->cp[i] = RUSH_M_REGION;
        }
    }
}


static void
rush_address_split(rush_parts_t *ps)
{
    size_t        i;
    unsigned      label, region, number, seen;
    rush_part_t  *part;
    rush_text_t  *t;

    t = &ps->text;
    label = region = number = seen = 0;
    part = NULL;

    for (i = 0; i < t->n; i++) {

        if (rush_is_break(t->cp[i])) {

            switch (t->cp[i]) {

            case RUSH_M_NUMBER:
                number = 1;
                label = (label == RUSH_M_PHONE) ? 0 : label;

                if (part) {
                    part->number = 1;
                }

                break;

            case RUSH_M_REGION:
                region = seen = 1;
                number = label = 0;
                break;

            case ' ':
                break;

            case '\n':
                number = 0;
                break;

            default:
                label = t->cp[i];
            }

            if (t->cp[i] != ' ' && t->cp[i] != RUSH_M_NUMBER) {
                part = NULL;
            }

            continue;
        }

        if (part && i > 0 && !rush_is_break(t->cp[i - 1])) {
            part->end = i + 1;
            continue;
        }

        if (ps->n == RUSH_PARTS) {
            break;
        }

        part = &ps->part[ps->n++];
        part->start = i;
        part->end = i + 1;
        part->label = label;
        part->region = region;
        part->stuck = (i > 0 && t->cp[i - 1] == RUSH_M_REGION);
        part->number = number;
        part->early = !seen;

        label = region = number = 0;
    }
}


static void
rush_address_table(rush_address_t *a, rush_str_t *s, const char *name)
{
    s->data = a->memory + a->used;

    for ( /* void */ ; *name != ' '; name++) {
        if (*name != '|') {
            a->memory[a->used++] = (unsigned char) *name;
            s->len++;
        }
    }
}


void
rush_address_text(rush_address_t *a, rush_str_t *s, const rush_text_t *t,
    size_t start, size_t end)
{
    for ( /* void */ ; start < end; start++) {
        rush_address_add(a, s, t->cp[start]);
    }
}


/* as UTF-8 */

void
rush_address_add(rush_address_t *a, rush_str_t *s, uint32_t c)
{
    unsigned char  *p;

    if (a->used + 4 > RUSH_ADDRESS_MEMORY) {
        return;
    }

    p = a->memory + a->used;

    if (s->len == 0) {
        s->data = p;
    }

    if (c < 0x80) {
        *p++ = (unsigned char) c;

    } else if (c < 0x800) {
        *p++ = (unsigned char) (0xc0 | c >> 6);
        *p++ = (unsigned char) (0x80 | (c & 0x3f));

    } else if (c < 0x10000) {
        *p++ = (unsigned char) (0xe0 | c >> 12);
        *p++ = (unsigned char) (0x80 | ((c >> 6) & 0x3f));
        *p++ = (unsigned char) (0x80 | (c & 0x3f));

    } else {
        *p++ = (unsigned char) (0xf0 | c >> 18);
        *p++ = (unsigned char) (0x80 | ((c >> 12) & 0x3f));
        *p++ = (unsigned char) (0x80 | ((c >> 6) & 0x3f));
        *p++ = (unsigned char) (0x80 | (c & 0x3f));
    }

    s->len += (size_t) (p - (a->memory + a->used));
    a->used = (size_t) (p - a->memory);
}
