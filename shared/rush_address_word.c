
/*
 * Copyright (C) Rush
 */


#include "rush_address_int.h"
#include "rush_utf8.h"


size_t
rush_address_listed(const rush_text_t *t, size_t i, const char *list)
{
    char         first[4];
    size_t       n, best;
    const char  *word, *end;

    best = 0;
    rush_address_first(t, i, first);

    for (word = list; *word != '\0'; word = end + 1) {
        end = strchr(word, ' ');

        if (word[0] != first[0] || word[1] != first[1]) {
            continue;
        }

        n = rush_address_word(t, i, word, (size_t) (end - word));

        if (n > best) {
            best = n;
        }
    }

    return best;
}


/* the first character of the text as UTF-8, for a quick look: three bytes of
 * any name; of a word in letters, two letters */

void
rush_address_first(const rush_text_t *t, size_t i, char *dst)
{
    uint32_t  c;

    c = t->cp[i];

    if (c < 0x80) {
        dst[0] = (char) c;
        dst[1] = (char) (c ? t->cp[i + 1] : 0);
        dst[2] = '\0';

    } else {
        dst[0] = (char) (0xe0 | c >> 12);
        dst[1] = (char) (0x80 | ((c >> 6) & 0x3f));
        dst[2] = (char) (0x80 | (c & 0x3f));
    }
}


size_t
rush_address_word(const rush_text_t *t, size_t i, const char *word, size_t len)
{
    size_t                n, start;
    uint32_t              c;
    const unsigned char  *p, *last;

    start = i;
    p = (const unsigned char *) word;
    last = p + len;

    while (p < last) {

        if (*p == '|') {
            p++;
            continue;
        }

        n = rush_utf8_next(p, last);
        c = rush_address_decode(p, n);

        /* the text ends with a 0, which no word has */

        if (n == 0 || t->cp[i] != c) {
            return 0;
        }

        i++;
        p += n;
    }

    return i - start;
}


int
rush_address_among(const char *chars, uint32_t c)
{
    size_t                n;
    const unsigned char  *p, *last;

    p = (const unsigned char *) chars;
    last = p + strlen(chars);

    for ( /* void */ ; p < last; p += n) {
        n = rush_utf8_next(p, last);

        if (n == 0) {
            return 0;
        }

        if (rush_address_decode(p, n) == c) {
            return 1;
        }
    }

    return 0;
}


uint32_t
rush_address_decode(const unsigned char *p, size_t n)
{
    size_t    i;
    uint32_t  c;

    c = (n <= 1) ? p[0] : (uint32_t) p[0] & (0x7f >> n);

    for (i = 1; i < n; i++) {
        c = c << 6 | (p[i] & 0x3f);
    }

    return c;
}
