
/*
 * Copyright (C) Rush
 *
 * Dead letters that are stored once more: by --dead-letters, and where an
 * administrator has asked for it (dead_letter.state 3) by the controller.
 */


#ifndef _RUSH_DEAD_H_INCLUDED_
#define _RUSH_DEAD_H_INCLUDED_


#include "controller.h"
#include "store.h"


#define RUSH_DEAD_REPLAYED   1
#define RUSH_DEAD_DISCARDED  2


enum {                                  /* columns of dead_by_id, dead_asked */
    RUSH_D_ID = 0,
    RUSH_D_ACTIVITY,
    RUSH_D_STREAM_ID,
    RUSH_D_PART,
    RUSH_D_STATE,
    RUSH_D_CREATED,
    RUSH_D_CLOSED,
    RUSH_D_CAUSE,
    RUSH_D_BODY
};


/*
 * Takes the way of the stream: the same parser, the same store.  0: stored,
 * or it was, text has a line for each order; 1: still fails, text is the
 * cause; 2: cannot be stored now.  The letter is not closed.
 */
int rush_dead_replay(rush_store_t *s, const rush_rows_t *rows, size_t row,
    rush_buf_t *text);

/* for the controller: all that was asked for */
int rush_dead_asked(rush_controller_t *ctl);


#endif /* _RUSH_DEAD_H_INCLUDED_ */
