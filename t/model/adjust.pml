/*
 * Copyright (C) Rush
 *
 * Units added and withdrawn while buyers buy: stockop.c with adjust.lua, and
 * what a rebuild tells adjust.lua about earlier operations.  A controller
 * that was killed, or lost its lock, is one whose answer was lost or whose
 * command comes late.
 */

#ifndef TOTAL
#define TOTAL     1
#endif
#ifndef LATE
#define LATE      2             /* commands that arrive late */
#endif
#ifndef LOST
#define LOST      1             /* answers of Redis that are lost */
#endif
#ifndef SHUTS
#define SHUTS     2             /* the gate shuts, a rebuild opens it */
#endif
#ifndef GRANTS
#define GRANTS    3
#endif
#ifndef CANCELS
#define CANCELS   2
#endif

#define NOPS      3
#define GROWS(k)  (k == 0)      /* operations: +1, -1, -1 */

#include "hits.pml"

mtype = { ASKED, LEDGER, DONE, REFUSED };

/* Redis.  set: what {a:ID}o says, 0 nothing, 1 applied, 2 refused */

bool   gate = true;
short  remain = TOTAL;
byte   set[NOPS];
byte   ents;                    /* grants not stored yet */

/* MySQL */

byte   total = TOTAL, sold, back;       /* back: cancelled, Redis is next */
mtype  op[NOPS] = ASKED;
byte   asked;                   /* operations that were asked for so far */

bool   fly[NOPS];               /* a late copy of adjust.lua */
byte   late = LATE, lost = LOST, shuts = SHUTS;
byte   grants = GRANTS, cancels = CANCELS;

#define open(k)  (k < asked && (op[k] == ASKED || op[k] == LEDGER))

#define QUIET  (gate && ents == 0 && back == 0                               \
                && !open(0) && !open(1) && !open(2))


#ifdef BUG_NOT_IDEMPOTENT
#define seen(k)  0
#else
#define seen(k)  set[k]
#endif


/* adjust.lua; res: 0 refused, 1 applied, 2 was applied, 3 gate is shut */

inline adjust(k) {
    if
    :: !gate -> res = 3
    :: gate && seen(k) == 1 -> res = 2; HIT(APPLIED_BEFORE)
    :: gate && seen(k) == 2 -> res = 0; HIT(REFUSED_BEFORE)
    :: gate && seen(k) == 0 && GROWS(k) ->
       remain++; set[k] = 1; res = 1; HIT(GROWN)
    :: gate && seen(k) == 0 && !GROWS(k) && remain > 0 ->
       remain--; set[k] = 1; res = 1; HIT(SHRUNK)
    :: gate && seen(k) == 0 && !GROWS(k) && remain <= 0 ->
       res = 0; HIT(SHRINK_REFUSED);
#ifndef BUG_REFUSAL_NOT_KEPT
       set[k] = 2
#endif
    fi
}


inline ask(k) {
    atomic {
        if
        :: d_step { adjust(k) }
        :: lost > 0 -> d_step { lost--; adjust(k); res = 3 }
        :: late > 0 && !fly[k] -> d_step { late--; fly[k] = true; res = 3 }
        fi
    }
}


/* 9.. of rebuild.lua: what total contains, or what is over */

#if defined(BUG_REBUILD_FORGETS)
#define told(k)  0
#elif defined(BUG_REBUILD_FORGETS_CLOSED)
#define told(k)  (op[k] == LEDGER -> 1 : 0)
#else
#define told(k)  (op[k] == ASKED -> 0 : 1)
#endif


active proctype controller() {
    byte  k, res;

end:
    do
    :: atomic { !gate && ents == 0 ->
           remain = total - sold; back = 0; HIT(REBUILD);
           set[0] = told(0); set[1] = told(1); set[2] = told(2);
           gate = true }
    :: atomic { gate && open(0) -> k = 0 } goto run_op
    :: atomic { gate && open(1) -> k = 1 } goto run_op
    :: atomic { gate && open(2) -> k = 2 } goto run_op
    :: d_step { gate && back > 0 -> back--; remain++; HIT(RELEASE) }
    od;

run_op:
    if
    :: GROWS(k) -> goto grow
    :: else -> goto shrink
    fi;

grow:
#ifdef BUG_GROW_REDIS_FIRST
    ask(k);
    if :: res == 1 || res == 2 -> skip :: else -> goto over fi;
    d_step { total++; op[k] = DONE };
#else
    if
    :: d_step { op[k] == ASKED -> total++; op[k] = LEDGER }
    :: else
    fi;
    ask(k);
    if :: res == 1 || res == 2 -> op[k] = DONE :: else fi;
#endif
    goto over;

shrink:
#ifdef BUG_SHRINK_LEDGER_FIRST
    if
    :: d_step { op[k] == ASKED && total > sold -> total--; op[k] = LEDGER }
    :: d_step { op[k] == ASKED && total <= sold -> op[k] = REFUSED }
       goto over
    :: else
    fi;
    ask(k);
    if :: res == 1 || res == 2 -> op[k] = DONE :: else fi;
#else
    ask(k);
    if
    :: res == 0 -> op[k] = REFUSED
    :: d_step { (res == 1 || res == 2) -> assert(total > sold);
           total--; op[k] = DONE }
    :: res == 3
    fi;
#endif

over:
    atomic { k = 0; res = 0 }
    goto end
}


active proctype world() {
    byte  res;

end:
    do
    :: d_step { grants > 0 && gate && remain > 0 ->
           grants--; remain--; ents++; HIT(GRANT) }
    :: d_step { ents > 0 ->
           assert(sold < total);                /* never oversell_blocked */
           ents--; sold++ }
    :: d_step { cancels > 0 && sold > 0 ->
           cancels--; sold--; back++ }
    :: d_step { shuts > 0 && gate -> shuts--; gate = false }
    :: d_step { asked < NOPS -> asked++ }
    :: d_step { fly[0] -> fly[0] = false; adjust(0); res = 0; HIT(LATE) }
    :: d_step { fly[1] -> fly[1] = false; adjust(1); res = 0; HIT(LATE) }
    :: d_step { fly[2] -> fly[2] = false; adjust(2); res = 0; HIT(LATE) }
    od
}


active proctype audit() {
end:
    do
    :: atomic { remain < 0 || sold > total -> assert(false) }   /* I1, I2 */
    :: atomic { QUIET && remain != total - sold -> assert(false) }  /* I9 */
    :: atomic { timeout -> assert(QUIET); HIT(QUIET); break }
    od
}
