
/*
 * Copyright (C) Rush
 *
 * Snowflake ids: 41 bits of ms since 2024-01-01T00:00:00Z, 10 bits of node,
 * 12 bits of sequence.  All processes of one node share one 64-bit word
 * "state" = ms << 12 | sequence, moved forward by compare-and-swap; it is a
 * logical clock, so a full sequence or a clock that steps back keeps ids
 * rising.  It never runs more than RUSH_ID_MAX_AHEAD ms ahead of the clock.
 *
 * An order number is "<snowflake>-<activity>": the activity tells where the
 * grant lives in Redis.  Ordinary orders have activity 0.
 */


#ifndef _RUSH_ID_H_INCLUDED_
#define _RUSH_ID_H_INCLUDED_


#include "rush_base.h"


#define RUSH_ID_EPOCH      1704067200000LL
#define RUSH_ID_MAX_AHEAD  50
#define RUSH_ID_MAX_NODE   1023

#define RUSH_ORDER_NO_LEN  40           /* room for the longest, no NUL */


/* 0 when the clock is too far behind the state: answer BUSY */
int64_t rush_id_next(volatile uint64_t *state, int64_t now_ms, unsigned node);

/* ms since the Unix epoch in which the id was made */
int64_t rush_id_time(int64_t id);

size_t rush_order_no_format(unsigned char *dst, int64_t id, int64_t activity);

/* both parts canonical digits; RUSH_ERROR when not */
int rush_order_no_parse(const unsigned char *p, size_t len, int64_t *id,
    int64_t *activity);


#endif /* _RUSH_ID_H_INCLUDED_ */
