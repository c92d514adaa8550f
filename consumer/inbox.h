
/*
 * Copyright (C) Rush
 *
 * A stream that workers write to and one thread of each consumer reads, in
 * the group RUSH_GROUP: codes to be brought, asks for WeChat.
 */


#ifndef _RUSH_INBOX_H_INCLUDED_
#define _RUSH_INBOX_H_INCLUDED_


#include "consumer.h"


#define RUSH_INBOX_REFUSED  1


typedef struct {
    rush_daemon_t   *daemon;
    rush_redis_t    *rd;
    rush_args_t     *args;
    const char      *key;               /* of the stream */
    int64_t          pause;             /* ms, when the group is gone */
    unsigned         generation;        /* of the connection that joined; 0:
                                           none */
} rush_inbox_t;


/* RUSH_OK: the group is there, and the stream; RUSH_ERROR: try later */
int rush_inbox_join(const rush_inbox_t *in);

/*
 * At most n entries after "from" (">": new ones), waiting block ms for the
 * first.  RUSH_OK: *reply is the caller's, entries in it are an array, or NULL
 * for none.  Else there is nothing to free: RUSH_ERROR: no connection, or the
 * group is gone (generation is 0 then); RUSH_INBOX_REFUSED: Redis does not
 * want to, which was logged.
 */
int rush_inbox_read(rush_inbox_t *in, size_t n, int64_t block, unsigned noack,
    const char *from, redisReply **reply, const redisReply **entries);


#endif /* _RUSH_INBOX_H_INCLUDED_ */
