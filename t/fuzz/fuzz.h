
/*
 * Copyright (C) Rush
 *
 * What the targets share: checks, bounded copies, and references that were
 * written by others (jansson) or in another way than the product.
 */


#ifndef _FUZZ_H_INCLUDED_
#define _FUZZ_H_INCLUDED_


#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <jansson.h>

#include "rush_base.h"


/* a difference from the reference is a crash for libFuzzer */

#define fuzz_check(what)                                                      \
    if (!(what)) {                                                            \
        fuzz_fail(__FILE__, __LINE__, #what);                                 \
    }

void fuzz_fail(const char *file, int line, const char *what)
    __attribute__((noreturn));


/* the input, taken from the front; zeros when it is used up */

typedef struct {
    const uint8_t   *p;
    size_t           len;
} fuzz_input_t;

unsigned fuzz_byte(fuzz_input_t *in);
int64_t fuzz_int(fuzz_input_t *in);     /* 8 bytes */

/* up to the byte "end", which is skipped, or all that is left */
rush_str_t fuzz_until(fuzz_input_t *in, uint8_t end);

/* a copy in memory of just that size; the caller frees it */
unsigned char *fuzz_copy(const void *data, size_t len);


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


/*
 * jansson on bytes, strict, without duplicate names.  It refuses integers
 * above 63 bits and numbers above a double, which RFC 8259 allows: they are
 * read as 0.5, which is no integer either.  It takes some NUL bytes, which are
 * no JSON.  flags: of json_loadb().
 */
json_t *ref_json(const unsigned char *p, size_t len, size_t flags);

/* 1 when the member "name" of this object is written "-0": a double has it,
 * an integer has not */
int ref_is_minus(const unsigned char *p, size_t len, const char *name);

/* levels of objects and arrays; *keys counts names in all */
unsigned ref_depth(const json_t *v, unsigned *keys);

/* 1 when bytes are UTF-8 (by jansson) */
int ref_utf8(const unsigned char *p, size_t len);

/* 1 and *v: digits without leading zero, below 2^63 */
int ref_u63(const unsigned char *p, size_t len, int64_t *v);

/* 1 and *ms: RFC 3339, by sscanf() and timegm() */
int ref_time(const unsigned char *p, size_t len, int64_t *ms);

/* base64url by EVP_DecodeBlock(): length, or -1 */
long ref_base64url(unsigned char *dst, const unsigned char *src, size_t len);


#endif /* _FUZZ_H_INCLUDED_ */
