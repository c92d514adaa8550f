
/*
 * Copyright (C) Rush
 */


#include <unistd.h>

#include "unit.h"


const char  unit_key[] =
    "MIIEowIBAAKCAQEAjOeAPWmVTuGFg/QPgrB1XzmqbfiRRcvR+WtFaP2Ul3ndlp7x75"
    "1xTX40YWH+TnDxBXfF+uo0lPyIQ6toAcMpp/G2ctDupyycEzujYAZZbRDpwlE41psL"
    "cL+Vi+Ng1ORD22RSPpRz3Du4L3zX9ntee0NYyYYX4zJ7e3fZT4YBARBHT7TmP6wr8P"
    "gV+pb4ihfoZ27LrXoa1z9nMLFvJ/I7cNkgRHYSeTMMhTP3h1sh/Pso/MTY63oOjufO"
    "ZcNyS4jYDbY+Uv48nNkRsK/FtKnjqZyPKmq3xWtKNy5jOhJjhh9b2hb48BLRjbX7V2"
    "IQKa9rjCXj99GSlfNdjhVWeWUclwIDAQABAoIBAFaQt0mDf1ZJ2SQbIhhRXpqVK+6K"
    "An4V3TdVvvvkppB1LzylA9AJMx2/xmB5uqnoWzrXvcsMbieGChVAzhIfG41xQ3zAfY"
    "45Kt3qCtIotHH8LRDTo469DEdFfJPHqqrAXiwAM0L9Iz0Pd3W9RlTIsGAcHQUaG7za"
    "O+C73ccsdZt3vSpxVWIbuaX3G6xD6ZXnoOyxtYfs3qpop+wjc9RoIzN+Pqd29jaLYc"
    "sN7D72q81gu8k6wpqxMC24O/wy/AhI4fSaYif7XQBAjjOUe93jrxBHcV1Wy0KOSaSH"
    "woQ1nLL5KBVp6RqYb3TGaAKQE3rgpIrJg/x1X3p93nxmt6JnPnkCgYEA6rRB+NIKtO"
    "b9S7udL9zXrCV7MnQk7adRkVNAG8OszfADzH5U1HQ11GpnuS/JZu2DeL2lwmzfsk4e"
    "f1AcpjHb/iorr9UeGabM1Zp97Ebte9d+LeNdmuNS9DM0l8/R2SGKQ+EFaIGwg5pVuF"
    "8NlB8S0CEnabf/IRlj18q27/AKIfUCgYEAmbByZpzVUU+5Z5cB76DTXXbkaEmJhrCU"
    "JqWtzhsRy5tc/BimIW4JEzYvM1fWOqGEqhxz/Wo57SttMxsTReCI3lsFtCLhTnxECA"
    "ZiRuBR4XJpcnVyKonSHWWfUtNiUN95eSkhV4jrcA4BSMTXPzTftxYJFZ5KMaaxte5e"
    "MMO30NsCgYB2IYhbDo0pBGJVLfct0gATu0HI4UB9BYw+kyJfVxuxA69FzAgybtNxOK"
    "VARlceoUldCkdWFqp4+mzLM61X0RyjTuJyO9hMnPHYSUw8Em8RuCLgQeIpRWXJV8SO"
    "7KD4orMO+0FXmn8XniSrCdyxwvobG7TUtzGInVjtkjCFj9HpyQKBgGAE5iSH3Zp0dc"
    "BrjvEYiJV/P0qMjxiQX68ZmdIIBYEwqtJxz/FY3uCa3Lh2K0jsOodRSYJNCK3NkOb6"
    "BnuEwd4x/glCNYOkjZh57JKdeWqh4ZF6IP7EpnppUDYeDPG7/Reeg889ouKaTWEaYe"
    "SCczbe1IQmJfKJU8P3je9niAM7AoGBANhr1tkbmmMN/LzAOYOYxWZeSBHUDvfBIhLG"
    "IPtA83uYuHieRIzfcLfUochgJfTbXHfXDgkIrH2Zlfun6XTMobWUoDTK4buaoB9xzX"
    "f2XB6u1w9BbuDM/Z4Nkz4vJHwmgXLJ1WnJxz94cocJytatXWiRvErJVNgof3ykb5xk"
    "zGov";


static int unit_digit(char c);


int
unit_vectors(unit_vectors_t *v, const char *name)
{
    char         command[1024], file[512];
    const char  *dir;

    dir = getenv("RUSH_VECTORS");
    if (dir == NULL) {
        dir = UNIT_DIR "/../../../shared/vectors";
    }

    snprintf(file, sizeof(file), "%s/%s.json", dir, name);

    if (access(file, R_OK) != 0) {
        print_message("# skipped: no published vectors %s.json\n", name);
        return 0;
    }

    snprintf(command, sizeof(command), "perl '%s/vectors.pl' %s '%s'",
             UNIT_DIR, name, file);

    v->pipe = popen(command, "r");
    assert_non_null(v->pipe);

    return 1;
}


int
unit_row(unit_vectors_t *v)
{
    char           *line, *p;
    size_t          size;
    ssize_t         n;
    unsigned char  *dst;

    line = NULL;
    size = 0;
    n = getline(&line, &size, v->pipe);

    if (n < 0) {
        free(line);
        assert_int_equal(pclose(v->pipe), 0);
        return 0;
    }

    line[strcspn(line, "\n")] = '\0';
    assert_true((size_t) n < sizeof(v->memory));

    p = line + strcspn(line, "\t");
    assert_true((size_t) (p - line) < sizeof(v->word));
    memcpy(v->word, line, (size_t) (p - line));
    v->word[p - line] = '\0';

    dst = v->memory;

    for (v->n = 0; *p == '\t'; v->n++) {
        assert_true(v->n < UNIT_COLUMNS);
        v->column[v->n].data = dst;

        for (p++; *p != '\t' && *p != '\0'; p += 2) {
            *dst++ = (unsigned char) (unit_digit(p[0]) << 4
                                      | unit_digit(p[1]));
        }

        v->column[v->n].len = (size_t) (dst - v->column[v->n].data);
        *dst++ = '\0';
    }

    free(line);

    return 1;
}


static int
unit_digit(char c)
{
    const char         *p;
    static const char   digits[] = "0123456789abcdef";

    p = strchr(digits, c);
    assert_true(p != NULL && c != '\0');

    return (int) (p - digits);
}


unsigned char *
unit_copy(const void *data, size_t len)
{
    unsigned char  *p;

    p = malloc(len != 0 ? len : 1);
    assert_non_null(p);

    if (len != 0) {
        memcpy(p, data, len);
    }

    return p;
}


rush_str_t
unit_str(const char *text)
{
    rush_str_t  s;

    s.data = (unsigned char *) (uintptr_t) text;
    s.len = strlen(text);

    return s;
}


int
unit_is(const rush_str_t *s, const char *text)
{
    return s->len == strlen(text) && memcmp(s->data, text, s->len) == 0;
}


rush_rsa_t *
unit_rsa(rush_str_t text, int is_private)
{
    const char  *err;
    rush_rsa_t  *rsa;

    rsa = is_private ? rush_rsa_private(text.data, text.len, &err)
                     : rush_rsa_public(text.data, text.len, &err);
    assert_non_null(rsa);

    return rsa;
}
