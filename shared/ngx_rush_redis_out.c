
/*
 * Copyright (C) Rush
 *
 * Redis client, the output of a lane: one growing buffer and RESP.
 *
 * Sent bytes are [0, out_pos), bytes to send [out_pos, out_last).  The
 * memory is used again as soon as everything has left.
 */


#include "ngx_rush_redis_lane.h"


#define NGX_RUSH_OUT_MIN   65536
#define NGX_RUSH_OUT_KEEP  (1024 * 1024)
#define NGX_RUSH_OUT_MAX   (16 * 1024 * 1024)

/* "$18446744073709551615\r\n" */
#define NGX_RUSH_RESP_LEN  (1 + NGX_INT64_LEN + 2)


static ngx_inline u_char *ngx_rush_redis_len(u_char *p, u_char type,
    size_t n);


ngx_int_t
ngx_rush_out_room(ngx_rush_lane_t *lane, size_t size)
{
    u_char  *p;
    size_t   used, want;

    if (size <= lane->out_size - lane->out_last) {
        return NGX_OK;
    }

    used = lane->out_last - lane->out_pos;

    if (size > NGX_RUSH_OUT_MAX || used > NGX_RUSH_OUT_MAX - size) {
        return NGX_BUSY;
    }

    if (used + size <= lane->out_size / 2) {
        ngx_memmove(lane->out, lane->out + lane->out_pos, used);
        lane->out_pos = 0;
        lane->out_last = used;
        return NGX_OK;
    }

    want = ngx_max(lane->out_size, NGX_RUSH_OUT_MIN);

    while (want < used + size) {
        want *= 2;
    }

    if (want == lane->out_size) {
        want *= 2;
    }

    p = ngx_alloc(want, lane->log);
    if (p == NULL) {
        return NGX_BUSY;
    }

    if (lane->out) {
        ngx_memcpy(p, lane->out + lane->out_pos, used);
        ngx_free(lane->out);
    }

    lane->out = p;
    lane->out_pos = 0;
    lane->out_last = used;
    lane->out_size = want;

    return NGX_OK;
}


void
ngx_rush_out_reset(ngx_rush_lane_t *lane)
{
    lane->out_pos = 0;
    lane->out_last = 0;

    if (lane->out_size > NGX_RUSH_OUT_KEEP) {
        ngx_rush_out_free(lane);
    }
}


void
ngx_rush_out_free(ngx_rush_lane_t *lane)
{
    if (lane->out) {
        ngx_free(lane->out);
    }

    lane->out = NULL;
    lane->out_pos = 0;
    lane->out_last = 0;
    lane->out_size = 0;
}


/* an upper bound; what cannot be sent anyway gives a size that is refused */

size_t
ngx_rush_redis_size(ngx_uint_t n, ngx_str_t *args)
{
    size_t      size;
    ngx_uint_t  i;

    size = NGX_RUSH_RESP_LEN;

    for (i = 0; i < n; i++) {

        if (size > NGX_RUSH_OUT_MAX || args[i].len > NGX_RUSH_OUT_MAX) {
            return NGX_RUSH_OUT_MAX + 1;
        }

        size += NGX_RUSH_RESP_LEN + args[i].len + 2;
    }

    return size;
}


u_char *
ngx_rush_redis_write(u_char *p, ngx_uint_t n, ngx_str_t *args)
{
    ngx_uint_t  i;

    p = ngx_rush_redis_len(p, '*', n);

    for (i = 0; i < n; i++) {
        p = ngx_rush_redis_len(p, '$', args[i].len);

        if (args[i].len) {
            p = ngx_cpymem(p, args[i].data, args[i].len);
        }

        *p++ = CR;
        *p++ = LF;
    }

    return p;
}


static ngx_inline u_char *
ngx_rush_redis_len(u_char *p, u_char type, size_t n)
{
    *p++ = type;

    if (n < 10) {
        *p++ = (u_char) ('0' + n);

    } else if (n < 100) {
        *p++ = (u_char) ('0' + n / 10);
        *p++ = (u_char) ('0' + n % 10);

    } else {
        p = ngx_sprintf(p, "%uz", n);
    }

    *p++ = CR;
    *p++ = LF;

    return p;
}
