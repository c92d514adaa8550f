
/*
 * Copyright (C) Rush
 *
 * Splits a Chinese address that somebody has pasted: "name phone address" in
 * any order, with labels, blanks, commas, lines or nothing in between.
 *
 * It finds what it can and leaves the rest to the user: what was not found
 * is "".  Provinces and prefectures come from a table (rush_regions.txt) and
 * are told by their full names; districts are found by their ending; what is
 * left is the detail.  Nothing is allocated, and each input ends: at most
 * RUSH_ADDRESS_CHARS characters are looked at, what is no UTF-8 is skipped.
 */


#ifndef _RUSH_ADDRESS_H_INCLUDED_
#define _RUSH_ADDRESS_H_INCLUDED_


#include "rush_base.h"


#define RUSH_ADDRESS_CHARS   512
#define RUSH_ADDRESS_MEMORY  4096


typedef struct {
    rush_str_t       name;              /* all point into memory */
    rush_str_t       phone;             /* 11 digits, or area-number, or with
                                           "+"; "-extension" behind it */
    rush_str_t       province;
    rush_str_t       city;
    rush_str_t       district;
    rush_str_t       detail;
    rush_str_t       postcode;
    size_t           used;
    unsigned char    memory[RUSH_ADDRESS_MEMORY];
} rush_address_t;


void rush_address_parse(rush_address_t *a, const unsigned char *text,
    size_t len);


#endif /* _RUSH_ADDRESS_H_INCLUDED_ */
