
/*
 * Copyright (C) Rush
 *
 * What the unit tests share.
 */


#ifndef _UNIT_H_INCLUDED_
#define _UNIT_H_INCLUDED_


#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "rush_base.h"
#include "rush_rsa.h"


#define UNIT_COLUMNS  8

#define unit_count(a)  (sizeof(a) / sizeof((a)[0]))


/*
 * Published vectors, one row a line of vectors.pl; a column is hex of the
 * bytes.  unit_vectors() returns 0 and says so when there is no such file;
 * skip() of cmocka would be a failure in TAP.
 */

typedef struct {
    FILE            *pipe;
    size_t           n;                 /* columns of the row */
    char             word[32];          /* the first column, plain */
    rush_str_t       column[UNIT_COLUMNS];  /* decoded, NUL behind each */
    unsigned char    memory[65536];
} unit_vectors_t;


int unit_vectors(unit_vectors_t *v, const char *name);
int unit_row(unit_vectors_t *v);        /* 0: no more; closes the pipe */

/* a copy in memory of just that size, so that sanitizers see every byte read
 * too far; the caller frees it */
unsigned char *unit_copy(const void *data, size_t len);

rush_str_t unit_str(const char *text);          /* borrowed */
int unit_is(const rush_str_t *s, const char *text);

extern const char  unit_key[];          /* RSA, as Alipay's console shows it */

/* a key, or the test fails; the caller frees it */
rush_rsa_t *unit_rsa(rush_str_t text, int is_private);


#endif /* _UNIT_H_INCLUDED_ */
