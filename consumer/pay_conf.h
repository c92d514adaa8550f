
/*
 * Copyright (C) Rush
 *
 * What the consumer knows of payment providers: addresses, names, keys.  Keys
 * are loaded and tried out when the configuration is read; they do not change
 * afterwards, so threads share them.  None is ever logged.
 */


#ifndef _RUSH_PAY_CONF_H_INCLUDED_
#define _RUSH_PAY_CONF_H_INCLUDED_


#include "rush_rsa.h"
#include "rush_wxpay.h"


typedef struct {                        /* [pay] */
    int64_t          parallel;          /* calls under way at once */
    int64_t          poll;              /* ms, work is looked for */
    int64_t          connect_timeout;   /* ms */
    int64_t          timeout;           /* ms, of a call as a whole */
    int64_t          retry_min;         /* ms, the first pause */
    int64_t          retry_max;         /* ms, the longest one */
    int64_t          breaker;           /* failures that open it */
    int64_t          breaker_pause;     /* ms, until one call may try */
    int64_t          minute;            /* ms, of all schedules */
    int64_t          close_patience;    /* s, with a provider that is silent */
    int64_t          bills;             /* 1: each day's are fetched */
    int64_t          bill_hour;         /* China time, from which on */
} rush_pay_conf_t;


typedef struct {                        /* [wechat_pay] */
    char            *appid;             /* "": no WeChat Pay */
    char            *mchid;
    char            *serial;            /* of the merchant's certificate */
    char            *key_file;
    char            *apiv3_key_file;
    char            *public_key_id;     /* "": platform certificates */
    char            *public_key_file;
    char            *base_url;
    char            *base_url2;         /* "": there is one host only */
    char            *notify_url;
    char            *refund_notify_url;
    char            *ca_file;           /* "": those of the system */
    int64_t          certificates;      /* s, between downloads */
    int64_t          both;              /* 1: certificates beside the key */

    rush_rsa_t      *key;               /* ours, private */
    rush_rsa_t      *public_key;        /* theirs, NULL: certificates */
    unsigned char    apiv3[RUSH_WXPAY_APIV3];
} rush_wechat_pay_conf_t;


typedef struct {                        /* [alipay] */
    char            *app_id;            /* "": no Alipay */
    char            *seller_id;
    char            *key_file;
    char            *public_key_file;   /* "": certificates */
    char            *app_cert_file;
    char            *cert_file;         /* of Alipay */
    char            *root_cert_file;
    char            *gateway;
    char            *notify_url;
    char            *return_url;        /* "": none */
    char            *ca_file;

    rush_rsa_t      *key;               /* ours, private */
    rush_rsa_t      *public_key;        /* theirs */
    rush_buf_t       app_sn;            /* NUL behind; empty without
                                           certificates */
    rush_buf_t       root_sn;
} rush_alipay_conf_t;


#endif /* _RUSH_PAY_CONF_H_INCLUDED_ */
