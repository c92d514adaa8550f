
/*
 * Copyright (C) Rush
 */


#ifndef _RUSH_UTF8_H_INCLUDED_
#define _RUSH_UTF8_H_INCLUDED_


#include "rush_base.h"


/*
 * Length of the sequence that starts at p < last, 1 to 4, or 0 when it is not
 * UTF-8 as RFC 3629 defines (overlong, surrogate, above U+10FFFF, cut).
 */
size_t rush_utf8_next(const unsigned char *p, const unsigned char *last);


#endif /* _RUSH_UTF8_H_INCLUDED_ */
