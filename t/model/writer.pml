/*
 * Copyright (C) Rush
 *
 * From the stream to the ledger: stream.c, store.c, resolve.c, replay.c.  Two
 * writers, two entries of the stream; the first has the orders 0 and 1, the
 * second order 2.  MySQL may come back without its last transactions.
 */

#ifndef CRASHES
#define CRASHES   2             /* of writers, at any step */
#endif
#ifndef LOST
#define LOST      1             /* answers to COMMIT that are lost */
#endif
#ifndef CLAIMS
#define CLAIMS    2             /* of entries that another one holds */
#endif
#ifndef LOSSES
#define LOSSES    0             /* of the last transactions of MySQL */
#endif
#ifndef TOTAL
#define TOTAL     3
#endif

#define NE        2
#define NOBODY    2
#define BIT(e)    (1 << (e))

#include "hits.pml"

/* Redis: entries 0 .. added - 1, those below delivered were handed out */

byte   added, delivered;
byte   owner[NE] = NOBODY;      /* of a pending entry */
bool   acked[NE];

/* MySQL; pos: entries below it were committed, or are another writer's */

byte   row[3];                  /* rows of an order */
byte   sold;
byte   pos[2];

byte   row_d[3], sold_d, pos_d[2];
bool   saved;

byte   crashes = CRASHES, lost = LOST, claims = CLAIMS, losses = LOSSES;
bool   restart[2];              /* all are restarted after a loss */

#define rows(e)     ((e) == 0 -> 2 : 1)
#define stored(e)   ((e) == 0 -> row[0] && row[1] : row[2])
#define least       (pos[0] < pos[1] -> pos[0] : pos[1])
#define ALL_STORED  ((added < 1 || (row[0] && row[1])) && (added < 2 || row[2]))
#define QUIET       (added == NE && acked[0] && acked[1] && !restart[0]      \
                     && !restart[1])


/* one order of a batch: new, or delivered again */

inline insert(o) {
#ifdef BUG_ORDER_NO_IN_CONSUMER
    row[o]++; n++;
#else
    if
    :: row[o] == 0 -> row[o] = 1; n++
    :: else -> HIT(DUPLICATE);
#ifdef BUG_COUNT_DUPLICATES
       n++
#endif
    fi;
#endif
    assert(row[o] <= 1)                         /* I4 */
}


/* a transaction finds what stands in its way, and then is the only one */

inline transaction() {
    n = 0;
    if :: batch & BIT(0) -> insert(0); insert(1) :: else fi;
    if :: batch & BIT(1) -> insert(2) :: else fi;
    sold = sold + n;
    n = 0;
    if
    :: !replay && (batch & BIT(1)) && mine < 2 -> mine = 2
    :: !replay && batch == BIT(0) && mine < 1 -> mine = 1
    :: else
    fi;
    if :: !replay -> pos[w] = mine :: else fi;
    HIT(COMMIT)
}


inline acknowledge() {
    i = 0;
    do
    :: i < NE && (batch & BIT(i)) -> acked[i] = true; owner[i] = NOBODY; i++
    :: i < NE && !(batch & BIT(i)) -> i++
    :: else -> break
    od;
    i = 0
}


inline own() {
    i = 0;
    do
    :: i < NE && owner[i] == w -> batch = batch | BIT(i); i++
    :: i < NE && owner[i] != w -> i++
    :: else -> break
    od;
    i = 0
}


#define die    atomic { crashes > 0 -> crashes--; HIT(CRASH); goto start }
#define alive  if :: restart[w] -> goto start :: else fi

#if defined(BUG_ONE_WRITER_REPLAYS) || defined(BUG_OWN_BEFORE_REPLAY)
#define REPLAYS  (w == 0)
#else
#define REPLAYS  1
#endif

#define idle   (added == delivered && mine < delivered)

#define claimable(e)  (claims > 0 && owner[e] != NOBODY && owner[e] != w             \
                       && !restart[w])


proctype writer(byte w) {
    byte  batch, mine, i, n;
    bool  replay;

start:
    atomic { batch = 0; replay = false; mine = pos[w]; restart[w] = false }

#ifdef BUG_OWN_BEFORE_REPLAY
    atomic { own(); if :: batch -> goto store :: else fi }
#endif

    /* what was acknowledged, and is in MySQL unless that lost it */

    atomic {
        if
        :: losses < LOSSES && least < delivered && REPLAYS ->
           replay = true; HIT(REPLAY); i = least;
           do
           :: i < delivered -> batch = batch | BIT(i); i++
           :: else -> break
           od;
           i = 0
        :: else
        fi
    }

    if
    :: replay ->
       if :: die :: skip fi;
       atomic { alive; transaction(); batch = 0; replay = false }
    :: else
    fi;

#if !defined(BUG_NO_OWN_PENDING) && !defined(BUG_OWN_BEFORE_REPLAY)
    atomic { own(); if :: batch -> goto store :: else fi }
#endif

end:
    do
    :: atomic { !restart[w] && delivered < added ->
           batch = BIT(delivered); owner[delivered] = w; delivered++ }
       goto store
    :: atomic { !restart[w] && delivered == 0 && added == 2 ->
           batch = 3; owner[0] = w; owner[1] = w; delivered = 2; HIT(TWO) }
       goto store
    :: atomic { claimable(0) ->
           claims--; owner[0] = w; batch = BIT(0); HIT(CLAIM) }
       goto store
    :: atomic { claimable(1) ->
           claims--; owner[1] = w; batch = BIT(1); HIT(CLAIM) }
       goto store
    :: d_step { idle && !restart[w] -> mine = delivered; pos[w] = mine; HIT(IDLE) }
    :: atomic { restart[w] -> goto start }
    od;

store:
    if :: die :: skip fi;

#ifdef BUG_ACK_FIRST
    atomic { alive; acknowledge() };
    if :: die :: skip fi;
#endif

    atomic {
        alive;
        if
        :: d_step { transaction() }
        :: atomic { lost > 0 -> lost--; transaction(); HIT(COMMIT_LOST);
               goto start }
#ifdef BUG_HALF_TRANSACTION
        :: d_step { transaction(); sold-- }
#endif
        fi
    }

    if :: die :: skip fi;
    atomic { alive; acknowledge(); batch = 0 };
    goto end
}


active proctype world() {
end:
    do
    :: added < NE -> added++
#if LOSSES
    :: d_step { !saved && losses > 0 ->
           saved = true; sold_d = sold; pos_d[0] = pos[0]; pos_d[1] = pos[1];
           row_d[0] = row[0]; row_d[1] = row[1]; row_d[2] = row[2] }
    :: d_step { saved && losses > 0 ->
           losses--; sold = sold_d; pos[0] = pos_d[0]; pos[1] = pos_d[1];
           row[0] = row_d[0]; row[1] = row_d[1]; row[2] = row_d[2];
           restart[0] = true; restart[1] = true; HIT(LOSS);
           sold_d = 0; pos_d[0] = 0; pos_d[1] = 0;
           row_d[0] = 0; row_d[1] = 0; row_d[2] = 0 }
#endif
#ifdef BUG_TRIM_PENDING
    :: d_step { delivered > 0 && owner[0] != NOBODY ->
           owner[0] = NOBODY; acked[0] = true }
#endif
    od
}


active proctype audit() {
end:
    do
    :: atomic { sold > TOTAL || sold != row[0] + row[1] + row[2] ->
           assert(false) }                              /* I1 */
    :: atomic { timeout -> assert(QUIET); assert(ALL_STORED);   /* I11, I12 */
           HIT(QUIET); break }
    od
}


init {
    atomic { run writer(0); run writer(1) }
}
