/*
 * Copyright (C) Rush
 *
 * The controllers: gate.c, rebuild.c, follow.c, sweep.c, with change.lua,
 * rebuild.lua and release.lua, for one activity.  A controller that lost its
 * lock goes on until its next statement in MySQL, and a command to Redis may
 * be executed long after whoever sent it gave up.
 */

#ifndef TOTAL
#define TOTAL     1
#endif
#ifndef LATE
#define LATE      1             /* commands that arrive late */
#endif
#ifndef LOST
#define LOST      1             /* answers of Redis that are lost */
#endif
#ifndef LOCKLOSS
#define LOCKLOSS  1             /* locks lost, connections to MySQL broken */
#endif
#ifndef RESTARTS
#define RESTARTS  0             /* of Redis, which keeps its data */
#endif
#ifndef EMPTIES
#define EMPTIES   0             /* of Redis, which keeps nothing */
#endif
#ifndef REPAIRS
#define REPAIRS   1
#endif
#ifndef CHANGES
#define CHANGES   1             /* of the limit, by administrators */
#endif
#ifndef CANCELS
#define CANCELS   1
#endif

#define N         2             /* orders that may be granted */
#define NONE      2             /* nobody has the lock */

#include "hits.pml"

mtype = { NOP, FLUSH, LOAD_CTL, LOAD_BUY, CHANGE, UNLINK, HSET, SWAP,
          RELEASE, OK, REFUSED, ERR };

/* Redis.  kept: 0 nothing, 1 an order, 2 given back */

bool   gate = true;             /* buy.lua, release.lua */
bool   ctl = true;              /* change.lua, rebuild.lua */
byte   runid;                     /* grows with a restart */
byte   ep = 1;
bool   on = true;
short  remain = TOTAL;
byte   kept[N];
byte   new[N];                  /* {a:ID}u:new */
bool   ent[N];                  /* in the stream, not stored */

/* MySQL.  row: 0 none, 1 live, 2 cancelled, 3 out of the ledger, 4 done */

byte   wep = 1;
byte   sold;
byte   row[N];
byte   lock = NONE;
bool   repair;
bool   limit;                   /* Redis has another limit */

/* a command that is late */

mtype  lop = NOP;
byte   lx, ly, lz;

bool   told[N];                 /* granted, and the buyer knows */
byte   late = LATE, lost = LOST, lockloss = LOCKLOSS, restarts = RESTARTS;
byte   empties = EMPTIES, repairs = REPAIRS, changes = CHANGES, cancels = CANCELS;


#define held(i)    (kept[i] == 1 -> 1 : 0)
#define live(i)    (row[i] == 1 || row[i] == 2)
#define image(i)   (live(i) -> 1 : (row[i] >= 3 -> 2 : 0))
#define back(i)    (row[i] == 2 || row[i] == 3)
#define max(a, b)  ((a) > (b) -> (a) : (b))

#define WORK  (!gate || !ctl || ep != wep || !on || limit || repair          \
               || back(0) || back(1))

#define QUIET (!WORK && !ent[0] && !ent[1])

#define SAME  (remain == TOTAL - sold && kept[0] == image(0)                 \
               && kept[1] == image(1))

#define KEPT  ((!told[0] || row[0]) && (!told[1] || row[1]))


/* batch.c, store.c: one transaction, then XACK */

inline store(i) {
    assert(sold < TOTAL);                       /* never oversell_blocked */
    row[i] = 1;
    sold++;
    ent[i] = false
}


/* one command, executed by Redis */

inline execute(o, x, y, z) {
    rc = OK;
    if
    :: o == FLUSH -> gate = false; ctl = false
    :: o == LOAD_CTL -> ctl = true
    :: o == LOAD_BUY -> gate = true; HIT(OPEN)
    :: o == UNLINK -> new[0] = 0; new[1] = 0
    :: o == HSET ->
       if :: x -> new[0] = x :: else fi;
       if :: y -> new[1] = y :: else fi
    :: o == CHANGE && !ctl -> rc = ERR
    :: o == CHANGE && ctl && ep != x -> rc = REFUSED; HIT(CHANGE_REFUSED)
    :: o == CHANGE && ctl && ep == x -> on = y; ep = z
    :: o == SWAP && !ctl -> rc = ERR
#ifndef BUG_SWAP_NOT_FENCED
    :: o == SWAP && ctl && ep >= x -> rc = REFUSED; HIT(SWAP_REFUSED)
    :: o == SWAP && ctl && ep < x ->
#else
    :: o == SWAP && ctl ->
#endif
       ep = x; on = false; remain = y; HIT(SWAP);
       kept[0] = new[0]; kept[1] = new[1];
       new[0] = 0; new[1] = 0
    :: o == RELEASE && !gate -> rc = ERR
    :: o == RELEASE && gate ->
#ifdef BUG_BLIND_RELEASE
       kept[x] = 2; remain++
#else
       if :: kept[x] == 1 -> kept[x] = 2; remain++; HIT(RELEASE)
          :: else -> HIT(RELEASE_NOTHING) fi
#endif
    fi
}


active proctype redis() {
    mtype  rc;

end:
    do
    :: d_step { lop != NOP ->
           HIT(LATE);
           execute(lop, lx, ly, lz);
           lop = NOP; lx = 0; ly = 0; lz = 0; rc = NOP }
    :: d_step { lop != NOP -> lop = NOP; lx = 0; ly = 0; lz = 0 }
    :: d_step { restarts > 0 ->
           restarts--; runid++; gate = false; ctl = false; HIT(RESTART);
           lop = NOP; lx = 0; ly = 0; lz = 0 }
    :: d_step { empties > 0 && !ent[0] && !ent[1] ->
           empties--; runid++; gate = false; ctl = false; HIT(EMPTY);
           ep = 0; on = false; remain = 0;
           kept[0] = 0; kept[1] = 0; new[0] = 0; new[1] = 0;
           lop = NOP; lx = 0; ly = 0; lz = 0 }
    od
}


/* a fault ends the turn, the next one compares again */

inline call(o, x, y, z) {
    atomic {
        if
        :: conn != runid -> goto start
        :: conn == runid -> d_step { execute(o, x, y, z) }
        :: conn == runid && lost > 0 ->
           d_step { lost--; execute(o, x, y, z); rc = ERR }
        :: conn == runid && late > 0 ->
           d_step { late--; lop = o; lx = x; ly = y; lz = z; rc = ERR }
        fi;
        if :: rc != OK -> goto start :: else -> rc = NOP fi
    }
}


/* MySQL knows the lock's connection: without it no statement works */

#define sql  if :: lock != c -> goto start :: else fi


inline raise() {
    atomic { sql; if :: wep != we -> goto start :: else -> wep = my fi;
             assert(wep < 30) }
}


proctype controller(byte c) {
    byte   mep, we, my, sum, units, i, nx, ny;
    bool   opening;
    byte   first, conn;
    mtype  rc;

start:
    atomic { mep = 0; we = 0; my = 0; sum = 0; units = 0; i = 0; nx = 0;
             ny = 0; opening = false; first = 0; conn = 0; rc = NOP }

end:
    atomic { WORK && (lock == c || lock == NONE) ->
        lock = c;
        conn = runid;
        we = wep;
        mep = ep;

        if
        :: !gate || !ctl -> goto open
        :: else
        fi;

        if
        :: mep != we -> goto rebuild
        :: mep == we && limit -> goto change
        :: mep == we && !limit && !on -> my = mep; goto switch_on
        :: mep == we && !limit && on && repair -> goto rebuild
        :: mep == we && !limit && on && !repair -> goto sweep
        fi
    }

open:
    first = runid;
    call(FLUSH, 0, 0, 0);
    call(LOAD_CTL, 0, 0, 0);
    opening = true;

rebuild:
    atomic { sql; we = wep; mep = ep }

#ifndef BUG_NO_CLOSE
#ifdef BUG_CLOSE_KEEPS_EPOCH
    my = mep;
#else
    my = 1 + max(mep, we);
#endif
    if
    :: mep == 0                                 /* nothing is loaded */
    :: else -> call(CHANGE, mep, false, my); mep = my
    fi;
#endif

#ifndef BUG_NO_DRAIN
    do
    :: atomic { ent[0] -> sql; store(0); HIT(DRAIN) }
    :: atomic { ent[1] -> sql; store(1) }
    :: atomic { !ent[0] && !ent[1] -> break }
    od;
#endif

    atomic { sql; sum = sold; we = wep }

    my = 1 + max(mep, we);

#ifdef BUG_RAISE_BEFORE_VERIFY
    raise();
#endif

    call(UNLINK, 0, 0, 0);

    atomic { sql; nx = image(0); ny = image(1);
             units = (live(0) -> 1 : 0) + (live(1) -> 1 : 0);
             if :: units > sum -> sum = units :: else fi }

    call(HSET, nx, ny, 0);
    call(SWAP, my, TOTAL - sum, 0);

    if
    :: atomic { kept[0] != nx || kept[1] != ny || remain != TOTAL - sum ->
           HIT(DIFFERS); goto start }
    :: else
    fi;

#ifndef BUG_RAISE_BEFORE_VERIFY
    raise();
#endif

switch_on:
    call(CHANGE, my, true, my);
    limit = false;

    if
    :: atomic { !opening && repair -> sql; repair = false; HIT(REPAIRED) }
    :: atomic { opening -> opening = false }
       atomic { sql; if :: first != runid -> goto start :: else fi }
       call(LOAD_BUY, 0, 0, 0)
    :: else
    fi;
    goto start;

change:
    my = 1 + max(mep, we);
    raise();
    call(CHANGE, mep, true, my);
    limit = false;
    HIT(CHANGED);
    goto start;

sweep:
    atomic {
        sql;
        if
        :: row[0] == 2 -> row[0] = 3; sold--; i = 0
        :: row[1] == 2 -> row[1] = 3; sold--; i = 1
        :: row[0] == 3 -> i = 0
        :: row[1] == 3 -> i = 1
        :: else -> goto start
        fi
    }
    call(RELEASE, i, 0, 0);
    atomic { sql; row[i] = 4 }
    goto start
}


/* buyers with the epoch of the moment: the others are refused anyhow */

inline buy(i) {
    assert(!ent[i] && row[i] == 0);             /* one order a request */
    kept[i] = 1; remain--; ent[i] = true; told[i] = true; HIT(GRANT)
}

#define open_for(i)  (gate && on && kept[i] == 0 && remain > 0)


active proctype world() {
end:
    do
    :: atomic { open_for(0) -> buy(0) }
    :: atomic { open_for(1) -> buy(1) }
    :: atomic { ent[0] -> store(0) }
    :: atomic { ent[1] -> store(1) }
    :: atomic { cancels > 0 && row[0] == 1 -> cancels--; row[0] = 2 }
    :: atomic { cancels > 0 && row[1] == 1 -> cancels--; row[1] = 2 }
    :: atomic { lockloss > 0 && lock != NONE -> lockloss--; lock = NONE }
    :: atomic { changes > 0 -> changes--; limit = true }
    :: atomic { repairs > 0 -> repairs--; repair = true }
    od
}


active proctype audit() {
end:
    do
    :: atomic { remain < 0 || (on && remain + held(0) + held(1) != TOTAL) ->
           assert(false) }                      /* I2 */
    :: atomic { QUIET && !SAME -> assert(false) }       /* I9, I10 */
    :: atomic { QUIET && !KEPT -> assert(false) }       /* I11 */
    :: atomic { timeout -> assert(QUIET); HIT(QUIET); break }
    od
}


init {
    atomic { run controller(0); run controller(1) }
}
