
/*
 * Copyright (C) Rush
 *
 * WeChat Pay, API v3: signing of requests, what proves answers and notices,
 * decryption, and the objects in them.  Bytes in, struct out: nothing here
 * reads a file, a socket or a clock.
 *
 * Order of reading an answer: rush_wxpay_verify() over headers and raw body,
 * then the reader of what was asked for.  Readers decode strings in place: the
 * JSON must be writable, and strings are borrowed from it (so verify first).
 * A string that is absent has len 0, a number that is absent is -1, a time
 * that is absent is 0.  Strings have valid UTF-8 and no control character;
 * ids are checked for length and alphabet.
 */


#ifndef _RUSH_WXPAY_H_INCLUDED_
#define _RUSH_WXPAY_H_INCLUDED_


#include "rush_notice.h"
#include "rush_rsa.h"


#define RUSH_WXPAY_APIV3      32        /* bytes of the APIv3 key */
#define RUSH_WXPAY_WINDOW     300000    /* ms that a signature is good for */
#define RUSH_WXPAY_SERIAL     64        /* characters, with PUB_KEY_ID_... */
#define RUSH_WXPAY_NONCE      32        /* characters of ours */
#define RUSH_WXPAY_KEYS       8         /* of a ring */
#define RUSH_WXPAY_RESOURCE   65536     /* bytes of a resource, in base64 */


/* --- our side --- */

typedef struct {                        /* all borrowed */
    rush_str_t           mchid;
    rush_str_t           serial;        /* of the merchant's certificate */
    const rush_rsa_t    *key;           /* the merchant's private key */
} rush_wxpay_merchant_t;

typedef struct {                        /* all borrowed */
    rush_str_t           method;        /* "POST" */
    rush_str_t           target;        /* path and query as they are sent */
    rush_str_t           body;          /* as it is sent; may be empty */
    int64_t              now;           /* ms */
    rush_str_t           nonce;         /* len 0: a random one is made */
} rush_wxpay_request_t;

/* adds the value of the header Authorization, "WECHATPAY2-SHA256-RSA2048
 * mchid=...", to b; RUSH_ERROR: no signature could be made */
int rush_wxpay_authorize(const rush_wxpay_merchant_t *m,
    const rush_wxpay_request_t *rq, rush_buf_t *b);

/* the message that is signed, for tests */
void rush_wxpay_message(const rush_wxpay_request_t *rq,
    const rush_str_t *timestamp, const rush_str_t *nonce, rush_buf_t *b);

/*
 * What a client needs to open the payment, as members of a JSON object that is
 * open in b: appId, timeStamp, nonceStr, package, signType, paySign.  now in
 * ms; nonce of len 0: a random one is made.
 */
typedef struct {
    rush_str_t           appid;
    rush_str_t           prepay_id;
    int64_t              now;
    rush_str_t           nonce;
} rush_wxpay_client_t;

int rush_wxpay_jsapi(const rush_rsa_t *key, const rush_wxpay_client_t *c,
    rush_buf_t *b);

/* for an app: appid, partnerid, prepayid, package, noncestr, timestamp, sign */
int rush_wxpay_app(const rush_rsa_t *key, const rush_str_t *mchid,
    const rush_wxpay_client_t *c, rush_buf_t *b);


/* --- their side --- */

typedef struct {                        /* as the headers have them, borrowed;
                                           len 0: there was none */
    rush_str_t           timestamp;     /* Wechatpay-Timestamp */
    rush_str_t           nonce;
    rush_str_t           serial;
    rush_str_t           signature;
} rush_wxpay_seal_t;

/*
 * Keys that prove what comes: the configured public key (PUB_KEY_ID_...) and
 * platform certificates, old and new side by side.  Zero-filled is empty.
 */
typedef struct {
    unsigned             n;
    struct {
        rush_rsa_t      *key;           /* owned by the ring */
        int64_t          until;         /* ms, 0: without end */
        size_t           len;
        char             serial[RUSH_WXPAY_SERIAL];
    } keys[RUSH_WXPAY_KEYS];
} rush_wxpay_ring_t;

/*
 * The ring takes the key, also when it fails (RUSH_ERROR: the serial is bad).
 * A serial that is there is replaced; in a full ring the one that ends first
 * goes, never one without end.  For a certificate, serial may be NULL: its own.
 */
int rush_wxpay_ring_add(rush_wxpay_ring_t *ring, const rush_str_t *serial,
    rush_rsa_t *key);
const rush_rsa_t *rush_wxpay_ring_find(const rush_wxpay_ring_t *ring,
    const rush_str_t *serial, int64_t now);
void rush_wxpay_ring_free(rush_wxpay_ring_t *ring);

/* [0-9A-Za-z_]{1,64}: may be looked for, and stand in the name of a key */
int rush_wxpay_is_serial(const rush_str_t *serial);

/* is it the serial of this certificate, with or without zeros in front? */
int rush_wxpay_is_of(const rush_rsa_t *key, const rush_str_t *serial);

/*
 * RUSH_TRUSTED, or why not.  SERIAL: no key of the ring has this serial, ask
 * for certificates and try again; UNSURE: try again; all else is final.  now in
 * ms.
 */
rush_doubt_e rush_wxpay_verify(const rush_wxpay_ring_t *ring,
    const rush_wxpay_seal_t *seal, const rush_str_t *body, int64_t now);

/* what can be said without a key */
rush_doubt_e rush_wxpay_check(const rush_wxpay_seal_t *seal, int64_t now);

/* the same without a ring: for the first download of certificates, whose key
 * comes with the answer */
rush_doubt_e rush_wxpay_verify_by(const rush_rsa_t *key,
    const rush_wxpay_seal_t *seal, const rush_str_t *body, int64_t now);


/* an encrypted resource, of a notice or a certificate; borrowed */

typedef struct {
    rush_str_t           algorithm;
    rush_str_t           nonce;
    rush_str_t           associated_data;
    rush_str_t           ciphertext;    /* base64 */
} rush_wxpay_resource_t;

/* text of a file with the APIv3 key: exactly 32 printable ASCII bytes, blanks
 * and line ends behind them are cut; key holds RUSH_WXPAY_APIV3 bytes */
int rush_wxpay_apiv3(const void *text, size_t len, unsigned char *key,
    const char **err);

/*
 * dst holds ciphertext.len / 4 * 3 bytes and may not be the ciphertext; returns
 * the length of the plaintext; RUSH_ERROR when it is not authentic or the
 * algorithm is another one, RUSH_UNSURE when memory failed (dst is wiped then).
 * key: RUSH_WXPAY_APIV3 bytes.
 */
long rush_wxpay_open(const unsigned char *key, const rush_wxpay_resource_t *rs,
    unsigned char *dst);


/* --- objects; RUSH_ERROR: *err is a static sentence --- */

typedef struct {                        /* the envelope of a notice */
    rush_str_t             id;
    rush_str_t             event_type;
    rush_str_t             resource_type;
    rush_str_t             original_type;   /* "transaction", "refund" */
    int64_t                created;         /* ms */
    rush_wxpay_resource_t  resource;
} rush_wxpay_notice_t;

int rush_wxpay_notice(rush_wxpay_notice_t *n, unsigned char *json, size_t len,
    const char **err);

#define rush_wxpay_is_pay(n)                                                  \
    rush_wxpay_is_event(n, "TRANSACTION.", "transaction")
#define rush_wxpay_is_refund(n)                                               \
    rush_wxpay_is_event(n, "REFUND.", "refund")
int rush_wxpay_is_event(const rush_wxpay_notice_t *n, const char *prefix,
    const char *type);


typedef enum {
    RUSH_WXPAY_OTHER = 0,               /* not known: not final */
    RUSH_WXPAY_SUCCESS,
    RUSH_WXPAY_REFUND,                  /* paid, and some of it went back */
    RUSH_WXPAY_NOTPAY,
    RUSH_WXPAY_CLOSED,
    RUSH_WXPAY_REVOKED,
    RUSH_WXPAY_USERPAYING,
    RUSH_WXPAY_PAYERROR,
    RUSH_WXPAY_PROCESSING,              /* of a refund */
    RUSH_WXPAY_ABNORMAL                 /* of a refund */
} rush_wxpay_state_e;

typedef struct {                        /* resource of a notice, or the answer
                                           of a query */
    rush_str_t           appid;
    rush_str_t           mchid;
    rush_str_t           out_trade_no;
    rush_str_t           transaction_id;
    rush_str_t           trade_type;
    rush_str_t           trade_state;
    rush_str_t           bank_type;
    rush_str_t           attach;
    rush_str_t           openid;        /* SECRET: not into a log */
    rush_str_t           currency;
    int64_t              total;         /* fen */
    int64_t              payer_total;   /* fen */
    int64_t              success_ms;
    rush_wxpay_state_e   state;
} rush_wxpay_trade_t;

/* out_trade_no and trade_state must be there */
int rush_wxpay_trade(rush_wxpay_trade_t *t, unsigned char *json, size_t len,
    const char **err);

typedef struct {                        /* resource of a notice, or the answer
                                           of a refund and its query */
    rush_str_t           mchid;
    rush_str_t           out_trade_no;
    rush_str_t           transaction_id;
    rush_str_t           out_refund_no;
    rush_str_t           refund_id;
    rush_str_t           status;        /* "status" or "refund_status" */
    rush_str_t           channel;
    rush_str_t           account;       /* user_received_account; SECRET */
    rush_str_t           currency;      /* not in notices */
    int64_t              total;         /* fen */
    int64_t              refund;        /* fen */
    int64_t              payer_refund;  /* fen */
    int64_t              success_ms;
    rush_wxpay_state_e   state;
} rush_wxpay_refund_t;

/* out_refund_no and a status must be there */
int rush_wxpay_refund(rush_wxpay_refund_t *t, unsigned char *json, size_t len,
    const char **err);

typedef struct {                        /* one of the three is there */
    rush_str_t           prepay_id;
    rush_str_t           code_url;
    rush_str_t           h5_url;
} rush_wxpay_prepay_t;

int rush_wxpay_prepay(rush_wxpay_prepay_t *t, unsigned char *json, size_t len,
    const char **err);

typedef struct {
    rush_str_t           hash_type;     /* "SHA1" */
    rush_str_t           hash_value;    /* lower-case hex */
    rush_str_t           download_url;
} rush_wxpay_bill_t;

int rush_wxpay_bill(rush_wxpay_bill_t *t, unsigned char *json, size_t len,
    const char **err);

/* body of a 4xx or 5xx: decide by status and code, never by the message; it is
 * "" when the body is no JSON */
typedef struct {
    rush_str_t           code;          /* [A-Z0-9_]{0,64} */
    rush_str_t           message;
} rush_wxpay_error_t;

void rush_wxpay_error(rush_wxpay_error_t *t, unsigned char *json, size_t len);


typedef struct {                        /* a row of /v3/certificates */
    rush_str_t             serial;
    int64_t                from;        /* ms */
    int64_t                until;       /* ms */
    rush_wxpay_resource_t  resource;
} rush_wxpay_certificate_t;

/* returns the number of rows (at most max), or RUSH_ERROR */
int rush_wxpay_certificates(rush_wxpay_certificate_t *rows, unsigned max,
    unsigned char *json, size_t len, const char **err);

/*
 * Decrypts one row and checks that the certificate in it has that serial.
 * Returns its public key, *pem gets the text (added).  NULL: *err tells.
 */
rush_rsa_t *rush_wxpay_certificate(const unsigned char *key,
    const rush_wxpay_certificate_t *row, rush_buf_t *pem, const char **err);


#endif /* _RUSH_WXPAY_H_INCLUDED_ */
