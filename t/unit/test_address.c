
/*
 * Copyright (C) Rush
 */


#include "unit.h"
#include "rush_address.h"
#include "rush_utf8.h"


#define LINE_LEN  2048


/* a line of what was found, as address.txt has it */

static void
told(const rush_address_t *a, char *dst)
{
    size_t             i;
    char              *p;
    const rush_str_t  *all[] = { &a->name, &a->phone, &a->province, &a->city,
                                 &a->district, &a->detail, &a->postcode };

    p = dst;

    for (i = 0; i < unit_count(all); i++) {

        if (i) {
            *p++ = '|';
        }

        assert_true((size_t) (p - dst) + all[i]->len < LINE_LEN - 2);

        if (all[i]->len) {
            memcpy(p, all[i]->data, all[i]->len);
            p += all[i]->len;
        }
    }

    *p = '\0';
}


static void
test_samples(void **state)
{
    char            line[LINE_LEN], text[LINE_LEN], found[LINE_LEN], *p;
    FILE           *f;
    size_t          n;
    unsigned        samples, bad;
    unsigned char  *copy;
    rush_address_t  a;

    f = fopen(UNIT_DIR "/address.txt", "r");
    assert_non_null(f);

    samples = bad = 0;
    text[0] = '\0';

    while (fgets(line, sizeof(line), f)) {
        line[strcspn(line, "\n")] = '\0';

        if (line[0] == '#') {
            continue;
        }

        if (strncmp(line, "  ", 2) != 0) {
            memcpy(text, line, sizeof(text));
            continue;
        }

        for (p = text; *p; p++) {
            if (*p == '~') {
                *p = '\n';
            }
        }

        n = strlen(text);
        copy = unit_copy(text, n);
        rush_address_parse(&a, copy, n);
        free(copy);

        told(&a, found);
        samples++;

        if (strcmp(found, line + 2) != 0) {
            print_message("# %s\n#   found  %s\n#   wanted %s\n", text, found,
                          line + 2);
            bad++;
        }
    }

    (void) fclose(f);

    assert_int_equal(bad, 0);
    assert_true(samples >= 60);
}


/* what was found is UTF-8, of the memory of the answer, and fits */

static void
check(const unsigned char *text, size_t len)
{
    size_t                i, n, sum;
    rush_address_t        a;
    const unsigned char  *p, *last;
    const rush_str_t     *all[] = { &a.name, &a.phone, &a.province, &a.city,
                                    &a.district, &a.detail, &a.postcode };

    memset(&a, 0xa5, sizeof(a));
    rush_address_parse(&a, text, len);

    sum = 0;

    for (i = 0; i < unit_count(all); i++) {

        if (all[i]->len == 0) {
            continue;
        }

        sum += all[i]->len;
        p = all[i]->data;
        last = p + all[i]->len;

        assert_true(p >= a.memory && last <= a.memory + sizeof(a.memory));

        for ( /* void */ ; p < last; p += n) {
            n = rush_utf8_next(p, last);
            assert_true(n != 0);
            assert_true(*p >= ' ');
        }
    }

    assert_true(sum <= a.used && a.used <= sizeof(a.memory));
}


static size_t
any(size_t max)
{
    static uint64_t  seed = 1;

    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;

    return (size_t) (seed >> 33) % max;
}


/* pieces of the samples put together at random, cut anywhere, bytes flipped */

static void
test_any_input(void **state)
{
    FILE           *f;
    long            size;
    size_t          i, k, len, at, n;
    unsigned char  *all, *copy, text[3000];

    f = fopen(UNIT_DIR "/address.txt", "r");
    assert_non_null(f);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    size = ftell(f);
    assert_true(size > 1000);
    rewind(f);
    all = malloc((size_t) size);
    assert_non_null(all);
    assert_int_equal(fread(all, 1, (size_t) size, f), (size_t) size);
    (void) fclose(f);

    for (i = 0; i < 4000; i++) {
        len = 0;

        for (k = any(8) + 1; k > 0; k--) {
            n = any(60);
            at = any((size_t) size - n);
            memcpy(text + len, all + at, n);
            len += n;
        }

        for (k = any(4); k > 0 && len > 0; k--) {
            text[any(len)] = (unsigned char) any(256);
        }

        copy = unit_copy(text, len);
        check(copy, len);
        free(copy);
    }

    /* longer than what is looked at, and one part without an end */

    memset(text, '1', sizeof(text));
    check(text, sizeof(text));
    memset(text, ' ', sizeof(text));
    check(text, sizeof(text));

    for (i = 0; i + 3 <= sizeof(text); i += 3) {
        memcpy(text + i, "\345\214\272", 3);
    }

    check(text, sizeof(text));

    for (i = 0; i + 2 <= sizeof(text); i += 2) {
        memcpy(text + i, "a ", 2);
    }

    check(text, sizeof(text));
    check(text, 0);
    free(all);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_samples),
        cmocka_unit_test(test_any_input)
    };

    return cmocka_run_group_tests_name("address", tests, NULL, NULL);
}
