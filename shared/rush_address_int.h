
/*
 * Copyright (C) Rush
 *
 * Inside of rush_address*.c.  The text is an array of code points.  What
 * separates is one below or equal to a blank: a blank, a line feed for
 * everything stronger, or a mark that tells what stood there.
 */


#ifndef _RUSH_ADDRESS_INT_H_INCLUDED_
#define _RUSH_ADDRESS_INT_H_INCLUDED_


#include "rush_address.h"


#define RUSH_M_NAME      1              /* labels: what comes next */
#define RUSH_M_PHONE     2
#define RUSH_M_AREA      3
#define RUSH_M_ADDRESS   4
#define RUSH_M_POST      5
#define RUSH_M_NUMBER    6              /* a phone number stood here */
#define RUSH_M_REGION    7              /* province, city and district did */
#define RUSH_M_NONE      8              /* nothing of interest did */

#define RUSH_PARTS       64

#define rush_is_break(c)   ((c) <= ' ')
#define rush_is_digit(c)   ((c) >= '0' && (c) <= '9')
#define rush_is_letter(c)  (((c) | 0x20) >= 'a' && ((c) | 0x20) <= 'z')
#define rush_is_han(c)     (((c) >= 0x3400 && (c) <= 0x9fff)                  \
                            || ((c) >= 0x20000 && (c) <= 0x3ffff)             \
                            || (c) == 0x3007)


typedef struct {
    uint32_t         cp[RUSH_ADDRESS_CHARS + 1];    /* a 0 at the end */
    size_t           n;
} rush_text_t;


typedef struct {
    const char      *province;          /* in the table, NULL: none */
    const char      *city;              /* the same */
    size_t           city_at;           /* in the text, without one */
    size_t           city_end;
    size_t           district_at;
    size_t           district_end;
    size_t           start;
    size_t           end;
    unsigned         score;             /* 0: nothing was found */
} rush_region_t;


typedef struct {
    size_t           start;
    size_t           end;
    unsigned         label;             /* RUSH_M_*, 0: none */
    unsigned         region:1;          /* stands right behind the region */
    unsigned         stuck:1;           /* the same without a blank */
    unsigned         number:1;          /* a phone number is beside it */
    unsigned         early:1;           /* before the region */
    unsigned         used:1;
} rush_part_t;


typedef struct {
    rush_text_t      text;
    rush_part_t      part[RUSH_PARTS];
    size_t           n;
} rush_parts_t;


/* rush_address_phone.c: takes all numbers out, keeps the best one */

void rush_address_phones(rush_address_t *a, rush_text_t *t);


/* rush_address.c: strings grow at the end of the memory, one after the
 * other */

void rush_address_add(rush_address_t *a, rush_str_t *s, uint32_t c);
void rush_address_text(rush_address_t *a, rush_str_t *s, const rush_text_t *t,
    size_t start, size_t end);


/* rush_address_parts.c, in this order */

void rush_address_post(rush_address_t *a, rush_parts_t *ps);
void rush_address_name(rush_address_t *a, rush_parts_t *ps);
void rush_address_detail(rush_address_t *a, rush_parts_t *ps);


/* rush_address_region.c */

/* the best place for province, city and district */
void rush_address_find(rush_text_t *t, rush_region_t *region);


/* rush_address_word.c */

/* number of code points of the word at i that are there, 0: other text.
 * "|" in the word is skipped; len in bytes */
size_t rush_address_word(const rush_text_t *t, size_t i, const char *word,
    size_t len);

/* of a sequence of n bytes */
uint32_t rush_address_decode(const unsigned char *p, size_t n);

/* writes three bytes */
void rush_address_first(const rush_text_t *t, size_t i, char *dst);

/* is it one of the characters of the text in UTF-8? */
int rush_address_among(const char *chars, uint32_t c);

/* the longest word of the list at i; code points, 0: none */
size_t rush_address_listed(const rush_text_t *t, size_t i, const char *list);


#endif /* _RUSH_ADDRESS_INT_H_INCLUDED_ */
