
/*
 * Copyright (C) Rush
 *
 * The proxy that stands before every edge of a chaos world.
 */


#ifndef _PX_H_INCLUDED_
#define _PX_H_INCLUDED_


#include <stddef.h>
#include <stdint.h>


#define PX_UP    0                      /* from the client to the server */
#define PX_DOWN  1

#define PX_CHUNK    16384
#define PX_QUEUE    262144              /* a side is not read above this */
#define PX_WAIT     5                   /* ms, a socket that is full */
#define PX_AFTER    20                  /* ms of silence that end a reply */


typedef struct px_edge_s  px_edge_t;
typedef struct px_pair_s  px_pair_t;


typedef enum {
    PX_PASS = 0,
    PX_REFUSE,
    PX_RESET,
    PX_BLACKHOLE,
    PX_DELAY,
    PX_THROTTLE,
    PX_BYTEWISE,
    PX_CUT
} px_mode_e;


/* also places in px_edge_t.hits, hence after the modes */

typedef enum {
    PX_CUT_REQUEST = PX_CUT + 1,
    PX_CUT_BEFORE,
    PX_CUT_INSIDE,
    PX_CUT_AFTER,
    PX_HITS
} px_where_e;


typedef struct {
    px_mode_e         mode;
    px_where_e        where;
    uint64_t          nth;              /* of the requests that match */
    uint64_t          times;            /* cuts left */
    uint64_t          seen;
    uint64_t          byte;
    uint64_t          ms;
    uint64_t          jitter;           /* ms */
    uint64_t          rate;             /* bytes a second and direction */
    uint64_t          random;           /* state of the jitter */
    unsigned          dirs;             /* bit set of 1 << PX_UP, ... */
    uint64_t          lose;             /* 1: what was held up is dropped */
    uint64_t          rst;              /* 1: cut by RST */
    char              match[64];        /* lower case */
} px_rule_t;


/* one frame of RESP: "todo" elements are not complete yet */

typedef struct {
    uint64_t          todo;
    uint64_t          bulk;             /* bytes left of a string */
    uint64_t          size;             /* of the frame, up to now */
    unsigned          bad;              /* 1: not RESP, nothing is counted */
    unsigned          len;
    char              line[32];
    unsigned          head_len;
    char              head[256];        /* first bytes of the frame */
} px_scan_t;


typedef struct px_chunk_s  px_chunk_t;

struct px_chunk_s {
    px_chunk_t       *next;
    uint64_t          due;              /* ms */
    size_t            pos;
    size_t            len;
    unsigned char     data[];
};


typedef struct {
    int               fd;
    uint32_t          mask;             /* what epoll waits for, 0: nothing */
    px_edge_t        *edge;
    px_pair_t        *pair;             /* NULL: the listening socket */
    unsigned          side;             /* 0 client, 1 server */
    unsigned          connecting;
} px_sock_t;


/* side PX_UP of a pair is the client: what it sends goes up */

typedef struct {
    px_chunk_t       *first;
    px_chunk_t       *last;
    size_t            queued;
    uint64_t          due;              /* of the last chunk */
    uint64_t          tokens;           /* bytes * 1000 */
    uint64_t          filled;           /* ms, when tokens were added */
    unsigned          eof;
    px_scan_t         scan;
} px_flow_t;


struct px_pair_s {
    px_pair_t        *next;
    px_pair_t        *prev;
    px_edge_t        *edge;
    px_sock_t         sock[2];
    px_flow_t         flow[2];
    uint64_t          after;            /* ms, when to cut, 0: no */
    unsigned          cut;              /* closes when all is flushed */
    unsigned          dead;

    /* of protocols that take turns: who spoke last, of the current turn */
    unsigned          speaker;
    unsigned          marked;
    uint64_t          spoken;           /* bytes of the reply */

    /* of Redis: a mark a request in flight */
    unsigned char    *marks;
    size_t            marks_size;
    size_t            marks_first;
    size_t            marks_n;
    unsigned          mark;             /* of the reply that is read now */
};


struct px_edge_s {
    px_edge_t        *next;
    char              name[64];
    char              listen[108];
    char              to[108];
    unsigned          redis;            /* 1: replies are matched by RESP */
    px_sock_t         sock;
    px_rule_t         rule;
    px_pair_t        *pairs;
    uint64_t          conns;
    uint64_t          bytes[2];
    uint64_t          hits[PX_HITS];
};


extern px_edge_t  *px_edges;

uint64_t px_now(void);
int px_listen(px_edge_t *e);
void px_deaf(px_edge_t *e);
int px_socket(const char *addr, int listening);
void px_watch(px_sock_t *s, uint32_t mask);

void px_accept(px_edge_t *e);
void px_ready(px_sock_t *s, uint32_t events);
void px_pair_end(px_pair_t *p, int rst);
int px_pair_turn(px_pair_t *p);
void px_pair_free(px_pair_t *p);

int px_orders(void);

size_t px_frames(px_pair_t *p, unsigned dir, const unsigned char *data,
    size_t n, int *cut);


#endif /* _PX_H_INCLUDED_ */
