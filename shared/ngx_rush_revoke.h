
/*
 * Copyright (C) Rush
 *
 * Private to ngx_rush_revoke.c, the table of revoked tokens, and
 * ngx_rush_feed.c, which keeps the tables of all nodes the same.
 */


#ifndef _NGX_RUSH_REVOKE_H_INCLUDED_
#define _NGX_RUSH_REVOKE_H_INCLUDED_


#include "ngx_rush_shm.h"
#include "ngx_rush_counters.h"


typedef struct {                            /* in shm */
    uint64_t                 buckets;
    ngx_atomic_t             latest;        /* s, when all have expired */
    u_char                   pad[112];

    ngx_atomic_t             lease;         /* of the feed */
    ngx_atomic_t             last;          /* id read last, see the feed */
    ngx_atomic_t             heard;         /* ms, see ngx_rush_revoke_age();
                                               0: never */
    u_char                   pad2[104];
} ngx_rush_revoke_sh_t;


/* into the table of this node */
void ngx_rush_revoke_insert(u_char kind, int64_t id, int64_t version);

/* raises a word, never lowers it */
void ngx_rush_revoke_raise(ngx_atomic_t *value, uint64_t to);

/* s for which an entry is kept */
ngx_uint_t ngx_rush_revoke_keep(void);


extern ngx_rush_revoke_sh_t  *ngx_rush_revoke_sh;   /* NULL: no zone */


#endif /* _NGX_RUSH_REVOKE_H_INCLUDED_ */
