/*
 * Copyright (C) Rush
 *
 * A sale: buy.lua with batches, settle.lua and release.lua, the worker's
 * filter and retries, the writer, cancelled orders, a rebuild.  Each request
 * asks for one unit.  With LOSSY, Redis forgets what is not on its disk yet.
 */

#ifndef NQ
#define NQ        2             /* requests */
#endif
#ifndef TOTAL
#define TOTAL     1
#endif
#ifndef LIMIT
#define LIMIT     1
#endif
#ifdef ONE_USER
#define USER(q)   0             /* who asks */
#else
#define USER(q)   (q)
#endif
#ifndef TRIES
#define TRIES     2
#endif
#ifndef SETTLES
#define SETTLES   1             /* a client asks what became of its request */
#endif
#ifndef RESTARTS
#define RESTARTS  1             /* of Redis */
#endif
#ifndef CRASHES
#define CRASHES   1             /* of the writer or the controller */
#endif
#ifndef CANCELS
#define CANCELS   1
#endif
#ifndef DENIALS
#define DENIALS   1             /* paused, too late, not yet */
#endif

#define KEYED(q)  (q == 0)      /* with an Idempotency-Key */
#define NONE      NQ
#define RETRY     2             /* of a copy, beside 1: it is under way */
#define STALE     4             /* its epoch is over */

#include "hits.pml"

mtype = { OK, NO, GIVEN, SHUT };

/* Redis.  kept: 0 nothing, 1 an order, 2 given back, 3 refused for good;
 * ent, the stream: 0 nothing, 1 new, 2 delivered, 3 acknowledged */

bool   gate = true;
short  remain = TOTAL;
byte   kept[NQ];
byte   ent[NQ];

#ifdef LOSSY
short  remain_d = TOTAL;
byte   kept_d[NQ];
byte   ent_d[NQ];
#endif

/* MySQL.  row: 0 none, 1 live, 2 cancelled, 3 out of the ledger, 4 done */


byte   row[NQ];
byte   sold;

/* copies of request q: 2q the one that is waited for, 2q + 1 a late one */

byte   copy[2 * NQ];
mtype  answer[NQ];              /* on its way to the client */
mtype  told[NQ];                /* the last definite answer */
byte   clients = NQ;
byte   memory = NONE;           /* what the writer holds */

byte   restarts = RESTARTS, crashes = CRASHES, cancels = CANCELS;
byte   denials = DENIALS;


#define holds(q)   (kept[q] == 1 -> 1 : 0)
#define busy(q)    (ent[q] == 1 || ent[q] == 2)
#define back(q)    (row[q] == 2 || row[q] == 3)
#define live(q)    (row[q] == 1 || row[q] == 2)
#define image(q)   (live(q) -> 1 : (row[q] == 3 || row[q] == 4 -> 2 : 0))
#define same(q)    ((kept[q] == 3 -> 0 : kept[q]) == image(q))
#define stored(q)  (told[q] != OK || row[q] != 0)
#define no_won(q)  (told[q] == NO && kept[q] == 1)
#define still(q)   (!busy(q) && !back(q) && !copy[2 * q] && !copy[2 * q + 1])
#define dirty(q)   (kept[q] != kept_d[q] || ent[q] != ent_d[q])
#define over(q, p) (USER(q) == USER(p) && kept[p] == 1 -> 1 : 0)

#define greedy(q)  (HELD(q) > LIMIT)

#if NQ == 3
#define ALL(f)     (f(0) && f(1) && f(2))
#define ANY(f)     (f(0) || f(1) || f(2))
#define SUM(f)     (f(0) + f(1) + f(2))
#define HELD(q)    (over(q, 0) + over(q, 1) + over(q, 2))
#else
#define ALL(f)     (f(0) && f(1))
#define ANY(f)     (f(0) || f(1))
#define SUM(f)     (f(0) + f(1))
#define HELD(q)    (over(q, 0) + over(q, 1))
#endif

/* what a writer holds was on the disk, or else it is lost with the writer */

#ifdef LOSSY_WRITER
#define MAY_LOSE   1
#else
#define MAY_LOSE   (memory == NONE)
#endif

#define QUIET  (clients == 0 && gate && memory == NONE && ALL(still))


#define each(...)                                                            \
    i = 0;                                                                   \
    do                                                                       \
    :: i < NQ -> __VA_ARGS__; i++                                            \
    :: else -> break                                                         \
    od;                                                                      \
    i = 0


/* buy.lua, one buyer of a call */

inline grant(q) {
    assert(row[q] == 0);                        /* one order a request */
#if !defined(LOSSY) && !defined(BUG_NO_DEDUP)
    assert(ent[q] == 0);
#endif
    remain--;
    kept[q] = 1;
    ent[q] = 1;
    res = OK;
    HIT(GRANT)
}

inline refuse(q, s) {
    res = NO;
    HIT(REFUSE);
#ifndef BUG_NO_DENY_TOMBSTONE
    if :: copy[s] & RETRY -> kept[q] = 3; HIT(TOMBSTONE) :: else fi
#endif
}

#ifdef BUG_BATCH_DEDUP
#define seen(q)   before[q]
#elif defined(BUG_NO_DEDUP)
#define seen(q)   (kept[q] == 1 -> 0 : kept[q])
#else
#define seen(q)   kept[q]
#endif

#ifdef BUG_BATCH_STOCK
#define LEFT      stock
#else
#define LEFT      remain
#endif

#ifdef BUG_BATCH_LIMIT
#define AT_LIMIT(q)  limited[q]
#else
#define AT_LIMIT(q)  (HELD(q) >= LIMIT)
#endif

inline buy(s, q) {
#ifdef BUG_DEDUP_AFTER_DECREMENT
    if :: remain > 0 -> remain-- :: else fi;
#endif
    if
    :: seen(q) == 1 -> res = OK; HIT(REPLAY)
    :: seen(q) == 2 -> res = GIVEN; HIT(GIVEN_BACK)
    :: seen(q) == 3 -> res = NO; HIT(REFUSED_BEFORE)
    :: seen(q) == 0 ->
       if
       :: copy[s] & STALE -> res = SHUT; HIT(OLD_EPOCH)
       :: !(copy[s] & STALE) && (deny || AT_LIMIT(q)) -> refuse(q, s)
       :: !(copy[s] & STALE) && !deny && !AT_LIMIT(q) && LEFT > 0 -> grant(q)
       :: !(copy[s] & STALE) && !deny && !AT_LIMIT(q) && LEFT <= 0 ->
          refuse(q, s); HIT(SOLD_OUT)
       fi
    fi
}


/* its answer comes or is lost; one of an old epoch is sent once more */

inline done(s, q) {
    if
    :: res == SHUT && (copy[s] & STALE) && KEYED(q) -> copy[s] = 1 | RETRY
    :: else ->
       copy[s] = 0;
       if :: !(s & 1) && !lose -> answer[q] = res :: else fi
    fi
}


/* what a script that forgets its earlier buyers would see */

hidden byte   before[NQ], limited[NQ];
hidden short  stock;

inline begin() {
#ifdef BUG_BATCH_DEDUP
    each(before[i] = kept[i]);
#endif
#ifdef BUG_BATCH_LIMIT
    each(limited[i] = (HELD(i) >= LIMIT));
#endif
#ifdef BUG_BATCH_STOCK
    stock = remain;
#endif
    skip
}


active proctype worker() {
    byte   s, t, i;
    bool   deny, lose;
    mtype  res;

end:
    do
    :: atomic {
           if
           :: copy[0] -> s = 0
           :: copy[1] -> s = 1
           :: copy[2] -> s = 2
           :: copy[3] -> s = 3
#if NQ == 3
           :: copy[4] -> s = 4
           :: copy[5] -> s = 5
#endif
           fi;

           t = s;                               /* a batch of one, or of two */

           if
           :: skip
           :: copy[0] && s != 0 -> t = 0
           :: copy[1] && s != 1 -> t = 1
           :: copy[2] && s != 2 -> t = 2
           :: copy[3] && s != 3 -> t = 3
#if NQ == 3
           :: copy[4] && s != 4 -> t = 4
           :: copy[5] && s != 5 -> t = 5
#endif
           fi;

           if :: lose = true :: lose = false fi;
           if :: denials > 0 && gate -> denials--; deny = true :: skip fi;

           d_step {
               if
               :: !gate ->
                  HIT(NOSCRIPT);
                  res = SHUT;
                  copy[s] = copy[s] & (7 - STALE);
                  done(s, s / 2);
                  if :: t != s -> copy[t] = copy[t] & (7 - STALE);
                     done(t, t / 2) :: else fi
               :: else ->
                  begin();
                  buy(s, s / 2);
                  done(s, s / 2);
                  if :: t != s -> HIT(BATCH); buy(t, t / 2); done(t, t / 2)
                     :: else fi
               fi;

               s = 0; t = 0; i = 0; deny = false; lose = false; res = 0
           }
       }
    od
}


inline tell(q, what) {
#ifndef LOSSY
    assert(!(told[q] == OK && what == NO));             /* I5 */
    assert(!(told[q] == NO && what == OK));
#endif
    told[q] = what
}


proctype client(byte q) {
    byte   n;
    mtype  res;

    do
    :: n < TRIES && told[q] != GIVEN && (told[q] == 0 || KEYED(q)) ->
       n++;

       if
#ifdef BUG_FILTER_ON_RETRY
       :: atomic { n > 1 && told[q] == 0 -> tell(q, NO) }
#endif
       :: n == 1 -> HIT(FILTER)                 /* says no more than "not now" */
       :: atomic { copy[2 * q] = 1 | (n > 1 || KEYED(q) -> RETRY : 0) }

          if
          :: atomic { answer[q] ->
                 if
                 :: answer[q] != SHUT -> res = answer[q]; tell(q, res); res = 0
                 :: else
                 fi;
                 answer[q] = 0 }

          :: atomic { answer[q] == 0 ->                 /* nobody knows */
                 if
                 :: copy[2 * q] && copy[2 * q + 1] == 0 ->
                    copy[2 * q + 1] = copy[2 * q]
                 :: true
                 fi;
                 copy[2 * q] = 0;
#ifdef BUG_RETURN_ON_TIMEOUT
                 remain++;
#endif
                 HIT(UNKNOWN) }
          fi
       fi

#if SETTLES
    :: d_step { n > 0 && gate ->                        /* settle.lua */
           HIT(SETTLE);
           if
           :: kept[q] == 0 ->
#ifndef BUG_SETTLE_READS_ONLY
              kept[q] = 3;
#endif
              res = NO
           :: kept[q] == 1 -> res = OK
           :: kept[q] == 2 -> res = GIVEN
           :: kept[q] == 3 -> res = NO
           fi;
           tell(q, res); res = 0; n = TRIES }
       break
#endif

    :: break
    od;

    clients--
}


/* one MySQL transaction: unique order, sold <= total */

inline commit(q) {
    if
    :: row[q] == 0 && sold < TOTAL -> row[q] = 1; sold++; HIT(STORED)
    :: row[q] == 0 && sold >= TOTAL -> assert(false)    /* oversell_blocked */
    :: else -> HIT(STORED_BEFORE)
    fi
}

inline acknowledge(q) {
    if :: ent[q] == 2 -> ent[q] = 3 :: else fi
}

inline pick(n) {
    i = 0;
    do
    :: i < NQ && ent[i] == n && memory == NONE -> memory = i; ent[i] = 2; i++
    :: i < NQ && (ent[i] != n || memory != NONE) -> i++
    :: i == NQ -> break
    od;
    i = 0
}

#define crash  atomic { crashes > 0 -> crashes--; HIT(CRASH); memory = NONE; \
                        goto end }

active proctype writer() {
    byte  i;

end:
    do
    :: atomic { ANY(busy) -> pick(2); if :: memory == NONE -> pick(1)
           :: else fi }
       if :: crash :: skip fi;
#ifdef BUG_ACK_FIRST
       d_step { acknowledge(memory) };
       if :: crash :: skip fi;
       d_step { commit(memory); memory = NONE }
#else
       d_step { commit(memory) };
       if :: crash :: skip fi;
       d_step { acknowledge(memory); memory = NONE }
#endif
    od
}


active proctype controller() {
    byte  c, i;

end:
    do
#ifndef BUG_NO_DRAIN
    :: atomic { !gate && !ANY(busy) -> goto rebuild }
    :: atomic { !gate && ANY(busy) -> goto drain }
#else
    :: atomic { !gate -> goto rebuild }
#endif
    :: atomic { gate && back(0) -> c = 0; goto sweep }
    :: atomic { gate && back(1) -> c = 1; goto sweep }
#if NQ == 3
    :: atomic { gate && back(2) -> c = 2; goto sweep }
#endif
    od;

drain:
    atomic { each(if :: busy(i) -> commit(i); ent[i] = 3; HIT(DRAIN)
                     :: else fi) };
    goto end;

rebuild:
    atomic {
        remain = TOTAL - sold;
#ifdef BUG_NO_TOMBSTONES_IN_REBUILD
        each(kept[i] = (live(i) -> 1 : 0));
#else
        each(kept[i] = image(i));
#endif
        /* a final no is said of one epoch */
        each(if :: told[i] == NO -> told[i] = 0 :: else fi;
             if :: answer[i] == NO -> answer[i] = SHUT :: else fi);
        i = 0;
        do
        :: i < 2 * NQ ->
           if :: copy[i] -> copy[i] = copy[i] | STALE :: else fi;
           i++
        :: else -> break
        od;
        i = 0;
        gate = true;
        HIT(REBUILD)
    }
    goto end;

sweep:
    if
    :: d_step { row[c] == 2 -> row[c] = 3; sold-- }
    :: else
    fi;
    d_step {
        if
        :: !gate
#ifdef BUG_BLIND_RELEASE
        :: else ->
#else
        :: gate && kept[c] != 1 -> HIT(RELEASE_NOTHING)
        :: gate && kept[c] == 1 ->
#endif
           remain++; HIT(RELEASE);
#ifdef BUG_NO_TOMBSTONE
           kept[c] = 0
#else
           kept[c] = 2
#endif
        fi
    }
    if
    :: atomic { crashes > 0 -> crashes--; c = 0; goto end }
    :: atomic { if :: gate -> row[c] = 4 :: else fi; c = 0; goto end }
    fi
}


active proctype world() {
    byte  i;

end:
    do
    :: atomic { cancels > 0 && row[0] == 1 -> cancels--; row[0] = 2 }
    :: atomic { cancels > 0 && row[1] == 1 -> cancels--; row[1] = 2 }
#ifdef LOSSY
    :: d_step { restarts > 0 && gate && MAY_LOSE ->
           restarts--;
           remain = remain_d;
           each(kept[i] = kept_d[i]; ent[i] = ent_d[i]);
           HIT(RESTART);
#ifndef BUG_NO_FENCE
           gate = false
#endif
       }
    :: d_step { remain != remain_d || ANY(dirty) ->     /* fsync */
           remain_d = remain;
           each(kept_d[i] = kept[i]; ent_d[i] = ent[i]) }
#else
    :: d_step { restarts > 0 && gate -> restarts--; gate = false;
           HIT(RESTART) }
#endif
    od
}


active proctype audit() {
end:
    do
    :: atomic { remain < 0 || sold > TOTAL || remain + SUM(holds) != TOTAL ->
           assert(!gate) }                              /* I1, I2 */
    :: atomic { ANY(greedy) -> assert(!gate) }          /* I3 */
    :: atomic { ANY(no_won) -> assert(false) }          /* I6 */
    :: atomic { QUIET && (remain != TOTAL - sold || !ALL(same)) ->
           assert(false) }                              /* I9, I10 */
#if !defined(LOSSY) || defined(LOSSY_KEEPS)
    :: atomic { QUIET && !ALL(stored) -> assert(false) }        /* I11 */
#endif
    :: atomic { timeout -> assert(QUIET); HIT(QUIET); break }
    od
}


init {
    atomic {
        run client(0);
        run client(1);
#if NQ == 3
        run client(2)
#endif
    }
}
