
/*
 * Copyright (C) Rush
 *
 * Alipay, gateway.do with RSA2: signing of requests, what proves answers and
 * notices, money, and the objects in them.  Bytes in, struct out: nothing here
 * reads a file, a socket or a clock.
 *
 * Readers decode strings in place: the text must be writable, and strings are
 * borrowed from it (so verify first).  A string that is absent has len 0,
 * money that is absent is -1, a time that is absent is 0.
 */


#ifndef _RUSH_ALIPAY_H_INCLUDED_
#define _RUSH_ALIPAY_H_INCLUDED_


#include "rush_notice.h"
#include "rush_rsa.h"


#define RUSH_ALIPAY_FIELDS   64         /* of a request or a form, at most */
#define RUSH_ALIPAY_MAX_FEN  10000000000LL      /* 100000000.00 yuan */
#define RUSH_ALIPAY_YUAN     24         /* bytes of an amount */
#define RUSH_ALIPAY_TIME     19         /* "2025-01-01 08:00:00" */


typedef struct {                        /* borrowed */
    rush_str_t           name;
    rush_str_t           value;
} rush_pair_t;


/* --- our side --- */

/*
 * The string that is signed: all pairs but "sign" (and those in skip, names
 * with a blank between them, may be NULL) that are not empty, sorted by name,
 * joined.  Sorts f.
 */
void rush_alipay_message(rush_pair_t *f, size_t n, const char *skip,
    rush_buf_t *b);

/*
 * Adds "name=value&...&sign=..." to b, names and values percent-encoded:
 * the body of a POST to the gateway, or, behind "?", the address that a
 * browser opens (page.pay, wap.pay).  Sorts f.  RUSH_ERROR: no signature.
 */
int rush_alipay_sign(const rush_rsa_t *key, rush_pair_t *f, size_t n,
    rush_buf_t *b);

/* percent-encoding of all but [A-Za-z0-9-._~] */
void rush_form_add(rush_buf_t *b, const rush_str_t *s);

/* fen -> "1.00"; dst holds RUSH_ALIPAY_YUAN; 0: out of 0..MAX_FEN */
size_t rush_fen_to_yuan(unsigned char *dst, int64_t fen);

/* "1", "1.0", "1.00" -> 100; no sign, no blank, no leading zero but "0.", at
 * most two decimals, at most MAX_FEN */
int rush_yuan_to_fen(const unsigned char *p, size_t len, int64_t *fen);

/* China time (UTC+8), RUSH_ALIPAY_TIME bytes "2025-01-01 08:00:00" <-> ms */
size_t rush_alipay_format_time(unsigned char *dst, int64_t ms);
int rush_alipay_parse_time(const unsigned char *p, size_t len, int64_t *ms);


/* --- answers of the gateway --- */

typedef struct {                        /* borrowed from the raw text */
    rush_str_t           signed_text;   /* the value, exactly as it came */
    rush_str_t           sign;          /* base64, len 0: none */
    rush_str_t           cert_sn;       /* alipay_cert_sn, len 0: none */
    unsigned             error:1;       /* it is "error_response" */
} rush_alipay_slice_t;

/*
 * Finds the value of "<method with _>_response", or of "error_response", among
 * the members of the outer object.  Changes nothing.  RUSH_ERROR: the text is
 * no JSON object, has neither, or has one of the four twice.
 */
int rush_alipay_slice(rush_alipay_slice_t *s, const char *method,
    const unsigned char *text, size_t len, const char **err);

/*
 * UNSIGNED: there is no signature (of an error_response this is usual; then
 * nothing in it is a fact).  Tries the text as it came, then with "\/" -> "/".
 * SERIAL: the signature is wrong, and by its own words of another certificate.
 */
rush_doubt_e rush_alipay_verify(const rush_rsa_t *key,
    const rush_alipay_slice_t *s);


/* the value that was cut out; all trades, refunds, queries, closes and bills
 * in one struct, as their fields do not collide */

typedef struct {
    rush_str_t           code;          /* "10000" */
    rush_str_t           sub_code;      /* "ACQ.TRADE_NOT_EXIST" */
    rush_str_t           msg;
    rush_str_t           sub_msg;       /* not for decisions */
    rush_str_t           trade_no;
    rush_str_t           out_trade_no;
    rush_str_t           trade_status;
    rush_str_t           qr_code;
    rush_str_t           buyer_id;      /* SECRET: buyer_user_id or
                                           buyer_open_id */
    rush_str_t           fund_change;   /* "Y", "N" */
    rush_str_t           out_request_no;
    rush_str_t           refund_status; /* "REFUND_SUCCESS" */
    rush_str_t           bill_download_url;
    int64_t              total;         /* fen, total_amount */
    int64_t              receipt;       /* fen, receipt_amount */
    int64_t              refund_fee;    /* fen, of all refunds together */
    int64_t              refund_amount; /* fen, of this one (refund query) */
    int64_t              paid_ms;       /* send_pay_date */
    int64_t              refund_ms;     /* gmt_refund_pay */
} rush_alipay_answer_t;

int rush_alipay_answer(rush_alipay_answer_t *a, unsigned char *json,
    size_t len, const char **err);


/* --- notices --- */

/*
 * A form into pairs, percent-decoded once, in place ("+" is a blank).  Returns
 * their number, or RUSH_ERROR: a bad escape, an empty name, a name twice,
 * more than RUSH_ALIPAY_FIELDS (f has room for so many), a zero byte.
 */
int rush_form_read(rush_pair_t *f, unsigned char *text, size_t len,
    const char **err);

/* NULL: no such field */
const rush_str_t *rush_form_find(const rush_pair_t *f, size_t n,
    const char *name);

/*
 * Is this form signed by Alipay?  UNSIGNED: no sign, or a sign_type that is
 * not RSA2; FORMAT: a charset that is not utf-8, or bytes that are not UTF-8;
 * SIGNATURE; UNSURE: try again.  sign_type and alipay_cert_sn may be signed or
 * not.  Sorts f.
 */
rush_doubt_e rush_alipay_check(const rush_rsa_t *key, rush_pair_t *f,
    size_t n);

/* the pairs as one flat JSON object, without sign, sign_type, alipay_cert_sn */
void rush_alipay_json(const rush_pair_t *f, size_t n, rush_buf_t *b);


typedef enum {
    RUSH_ALIPAY_OTHER = 0,
    RUSH_ALIPAY_WAIT,                   /* WAIT_BUYER_PAY */
    RUSH_ALIPAY_SUCCESS,                /* TRADE_SUCCESS */
    RUSH_ALIPAY_FINISHED,               /* TRADE_FINISHED: paid, no refunds */
    RUSH_ALIPAY_CLOSED                  /* TRADE_CLOSED: unpaid and timed out,
                                           or all of it went back */
} rush_alipay_state_e;

rush_alipay_state_e rush_alipay_state(const rush_str_t *trade_status);

typedef struct {                        /* b of a notice, see rush_notice.h */
    rush_str_t           notify_id;
    rush_str_t           notify_type;
    rush_str_t           app_id;
    rush_str_t           seller_id;
    rush_str_t           trade_no;
    rush_str_t           out_trade_no;
    rush_str_t           out_biz_no;    /* of a refund: our out_request_no */
    rush_str_t           trade_status;
    rush_str_t           buyer_id;      /* SECRET */
    int64_t              total;         /* fen, total_amount */
    int64_t              receipt;       /* fen */
    int64_t              refund_fee;    /* fen, of all refunds together */
    int64_t              paid_ms;       /* gmt_payment */
    int64_t              refund_ms;     /* gmt_refund */
    rush_alipay_state_e  state;
    unsigned             is_refund:1;   /* has gmt_refund, refund_fee or
                                           out_biz_no */
} rush_alipay_notice_t;

int rush_alipay_notice(rush_alipay_notice_t *t, unsigned char *json,
    size_t len, const char **err);


#endif /* _RUSH_ALIPAY_H_INCLUDED_ */
