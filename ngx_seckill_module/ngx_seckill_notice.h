
/*
 * Copyright (C) Rush
 *
 * Notices of payment providers, on their way to the stream of the cashier;
 * see rush_notice.h.  Private to the seckill module.
 */


#ifndef _NGX_SECKILL_NOTICE_H_INCLUDED_
#define _NGX_SECKILL_NOTICE_H_INCLUDED_


#include "ngx_seckill.h"
#include "ngx_rush_counters.h"
#include "rush_alipay.h"
#include "rush_notice.h"
#include "rush_wxpay.h"


#define NGX_SECKILL_NOTICE_LOOKS  128   /* for keys, a second */
#define NGX_SECKILL_NOTICE_WAIT   20    /* ms, for one that is looked for */


typedef struct {
    rush_wxpay_ring_t     ring;         /* the configured public key */
    ngx_str_t             mchid;        /* len 0: not checked */
    ngx_array_t          *appids;       /* ngx_str_t, NULL: not checked */
    u_char                apiv3[RUSH_WXPAY_APIV3];
    unsigned              on:1;
} ngx_seckill_wechat_conf_t;


typedef struct {
    rush_rsa_t           *key;          /* NULL: off */
    ngx_str_t             seller;       /* len 0: not checked */
    ngx_array_t          *apps;         /* ngx_str_t, NULL: not checked */
} ngx_seckill_alipay_conf_t;


typedef struct ngx_seckill_notice_conf_s {
    ngx_seckill_wechat_conf_t  wechat;
    ngx_seckill_alipay_conf_t  alipay;
} ngx_seckill_notice_conf_t;


/* ngx_seckill_notice_conf.c */

/* all off, when no directive has made it */
ngx_seckill_notice_conf_t *ngx_seckill_notice_make(ngx_conf_t *cf,
    ngx_seckill_main_conf_t *mcf);
char *ngx_seckill_wechat_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_seckill_alipay_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
ngx_int_t ngx_seckill_notice_check(ngx_conf_t *cf,
    ngx_seckill_notice_conf_t *ncf);
ngx_uint_t ngx_seckill_notice_is_ours(ngx_array_t *names, rush_str_t *name);


/* ngx_seckill_notice_key.c: platform certificates of this process */

/* the key of a serial that is not configured, NULL: not here */
const rush_rsa_t *ngx_seckill_notice_key(rush_str_t *serial, int64_t now);

/* steps: NGX_OK when there may be a key now; NGX_DECLINED: there is none */
ngx_int_t ngx_seckill_notice_look(ngx_rush_req_t *q, rush_str_t *serial);
ngx_int_t ngx_seckill_notice_looked(ngx_rush_req_t *q, rush_str_t *serial);


/* ngx_seckill_notice.c: what both providers share */

/* steps return these: the answer is in the form of the provider */
ngx_int_t ngx_seckill_notice_refuse(ngx_rush_req_t *q, rush_doubt_e doubt);
ngx_int_t ngx_seckill_notice_busy(ngx_rush_req_t *q);
ngx_int_t ngx_seckill_notice_taken(ngx_rush_req_t *q);

/* into the stream; id is unique for the provider */
ngx_int_t ngx_seckill_notice_add(ngx_rush_req_t *q, const char *kind,
    rush_str_t *id, u_char *body, size_t len);
ngx_int_t ngx_seckill_notice_added(ngx_rush_req_t *q);

ngx_seckill_notice_conf_t *ngx_seckill_notice_conf(ngx_rush_req_t *q);


#endif /* _NGX_SECKILL_NOTICE_H_INCLUDED_ */
