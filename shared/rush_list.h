
/*
 * Copyright (C) Rush
 *
 * Lists of short texts: ids, names.  In a body they are an array of strings
 * or integers, in a query "a,b,c"; in the struct of a route they are that
 * second text.  Each member is 1 to 64 of [A-Za-z0-9._:-].
 */


#ifndef _RUSH_LIST_H_INCLUDED_
#define _RUSH_LIST_H_INCLUDED_


#include "rush_json.h"


/* for rush_field.c: a value of a body, whose token was read; and a text.
 * RUSH_OK, or RUSH_ERROR and *err */

int rush_list_json(const rush_field_t *f, void *dst, rush_token_e token,
    rush_reader_t *j, rush_field_error_t *err);
int rush_list_set(const rush_field_t *f, void *dst, const rush_str_t *text,
    rush_field_error_t *err);

/* takes the first member off; 0 when there is none left */
int rush_list_next(rush_str_t *list, rush_str_t *member);


#endif /* _RUSH_LIST_H_INCLUDED_ */
