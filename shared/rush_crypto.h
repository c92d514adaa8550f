
/*
 * Copyright (C) Rush
 *
 * OpenSSL 3 makes the methods of an operation (all digests, all signatures, and
 * so on) at the first fetch of one of them, and only once: a method that finds
 * no memory then is missing in this process until its end, and every signature
 * would be "not supported".  So all that Rush needs is fetched at the start,
 * where a lack of memory ends the start; workers inherit it.
 */


#ifndef _RUSH_CRYPTO_H_INCLUDED_
#define _RUSH_CRYPTO_H_INCLUDED_


#include "rush_base.h"


/* RUSH_ERROR: no memory, or an OpenSSL without these algorithms */
int rush_crypto_ready(void);


#endif /* _RUSH_CRYPTO_H_INCLUDED_ */
