
/*
 * Copyright (C) Rush
 *
 * Notices of payment providers.  They decide the form of question and answer:
 * WeChat Pay gets 200 without a body, or 4xx or 5xx and {"code":"FAIL",...};
 * Alipay gets "success", or 4xx or 5xx and "failure".  Macros only, included
 * by ngx_seckill_api.h.
 */


#ifndef _NGX_SECKILL_NOTICE_API_H_INCLUDED_
#define _NGX_SECKILL_NOTICE_API_H_INCLUDED_


#define NGX_SECKILL_NOTICE_FLAGS                                              \
    NGX_RUSH_RAW|NGX_RUSH_RAW_BODY|NGX_RUSH_KEEP_RUNNING


#define NGX_SECKILL_NOTICE_ROUTES(R)                                          \
    R(seckill, callback_wechat, POST, "/api/v1/payment/callback/wechat",      \
      PUBLIC, NONE, NGX_SECKILL_NOTICE_FLAGS, TEXT, none,                     \
      "Notices of WeChat Pay; 401 when one is not genuine, 503: come again")  \
    R(seckill, callback_wechat_refund, POST,                                  \
      "/api/v1/payment/callback/wechat/refund",                               \
      PUBLIC, NONE, NGX_SECKILL_NOTICE_FLAGS, TEXT, none,                     \
      "The same, for refunds; what a notice is stands in itself")             \
    R(seckill, callback_alipay, POST, "/api/v1/payment/callback/alipay",      \
      PUBLIC, NONE, NGX_SECKILL_NOTICE_FLAGS, TEXT, none,                     \
      "Notices of Alipay, a form; answered by the word success or failure")


#define NGX_SECKILL_FIELDS_callback_wechat(F)
#define NGX_SECKILL_FIELDS_callback_wechat_refund(F)
#define NGX_SECKILL_FIELDS_callback_alipay(F)

#define NGX_SECKILL_ERRORS_callback_wechat(E)
#define NGX_SECKILL_ERRORS_callback_wechat_refund(E)
#define NGX_SECKILL_ERRORS_callback_alipay(E)


#endif /* _NGX_SECKILL_NOTICE_API_H_INCLUDED_ */
