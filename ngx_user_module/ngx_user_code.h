
/*
 * Copyright (C) Rush
 *
 * Codes and tickets.  A code proves that its reader owns a number or an
 * address; a ticket is what a code was traded for.  Redis keeps both, keyed
 * by what nobody can turn back:
 *
 *   {rush}c:k:MAC   hash, 5 min: h mac of the code, n wrong tries, u use
 *   {rush}c:t:SHA   hash, 10 min: s scene, x sealed target, u use
 *   {rush}c:n:MAC   list: when codes were sent to the number
 *   {rush}c:a:MAC   list: when codes were asked for from the address
 *
 * A use takes a code or a ticket by its fingerprint and gives it back when it
 * comes to nothing, so BUSY may be followed by the same request.  A flow that
 * was killed in between leaves it taken: a new code is needed then.
 */


#ifndef _NGX_USER_CODE_H_INCLUDED_
#define _NGX_USER_CODE_H_INCLUDED_


#include "ngx_rush.h"
#include "ngx_rush_redis.h"
#include "rush_lua.h"


#define NGX_USER_CODE_LEN     6         /* digits */
#define NGX_USER_CODE_LIFE    (5 * 60 * 1000)               /* ms */
#define NGX_USER_CODE_TRIES   "5"
#define NGX_USER_MAX_CODES    1000      /* that a limit may allow */
#define NGX_USER_TICKET_LIFE  (10 * 60 * 1000)              /* ms */
#define NGX_USER_TICKET_RAW   32        /* random bytes */
#define NGX_USER_TICKET_LEN   43        /* base64url of them */
#define NGX_USER_HEX_LEN      64        /* of a mac */
#define NGX_USER_TARGET_MAX   128       /* bytes of a number or an address */

#define NGX_USER_OUT_KEY      "{rush}out"
#define NGX_USER_OUT_LABEL    "out"     /* of messages for the consumer */


typedef struct {                        /* what "user_code_limit" sets */
    ngx_int_t             interval;     /* ms between two codes of a number */
    ngx_int_t             hour;         /* codes of a number */
    ngx_int_t             day;          /* the same */
    ngx_int_t             address;      /* codes a day; 0 each: any number */
} ngx_user_code_limit_t;


typedef struct {
    rush_str_t            text;         /* normal form */
    unsigned              email:1;      /* else it is a mobile number */
} ngx_user_target_t;


typedef struct {                        /* a code or a ticket shown */
    ngx_user_target_t     target;       /* of a ticket: once it was taken */
    rush_str_t            shown;        /* the ticket, borrowed */
    u_char                key[sizeof("{rush}c:k:") + NGX_USER_HEX_LEN];
    size_t                key_len;
    u_char                use[NGX_USER_HEX_LEN];
    unsigned              ticket:1;
    unsigned              taken:1;
    unsigned              spent:1;      /* never given back */
} ngx_user_proof_t;


typedef struct {
    ngx_user_target_t     target;
    rush_str_t            scene;
    rush_str_t            mobile;
    rush_str_t            email;
} ngx_user_send_code_t;


typedef struct {
    ngx_user_target_t     target;
    rush_str_t            scene;
    rush_str_t            mobile;
    rush_str_t            email;
    rush_str_t            code;
    rush_str_t            idempotency_key;
    u_char                ticket[NGX_USER_TICKET_LEN];
} ngx_user_verify_code_t;


/* ngx_user_code.c, ngx_user_verify.c */

void ngx_user_code_init(void);          /* in each worker */

/* register, login, reset or bind, else BAD_REQUEST */
ngx_int_t ngx_user_check_scene(ngx_rush_req_t *q, rush_str_t *scene);

/* one of both must be given; it is brought into its normal form */
ngx_int_t ngx_user_take_target(ngx_rush_req_t *q, rush_str_t *mobile,
    rush_str_t *email, ngx_user_target_t *target);

ngx_int_t ngx_user_check_code(ngx_rush_req_t *q, rush_str_t *code);

/* EVALSHA of rush_lua[lua]; a failure answers BUSY */
ngx_int_t ngx_user_script(ngx_rush_req_t *q, ngx_uint_t lua, ngx_uint_t nkeys,
    ngx_str_t *args, ngx_uint_t nargs);
u_char *ngx_user_sha(ngx_uint_t lua);

/* logs what should not happen; returns NGX_ERROR */
ngx_int_t ngx_user_failed(ngx_rush_req_t *q, const char *what);

/* hex of the mac of n parts; NGX_ERROR is logged */
ngx_int_t ngx_user_mac(ngx_rush_req_t *q, u_char *dst, const char *label,
    rush_str_t *parts, ngx_uint_t n);

/* the key of the client's address; key has room for prefix and mac */
ngx_int_t ngx_user_address_key(ngx_rush_req_t *q, const char *prefix,
    u_char *key, size_t *len);

/* the key of a code in Redis, and the mac of the code itself */
ngx_int_t ngx_user_code_key(ngx_rush_req_t *q, rush_str_t *scene,
    ngx_user_target_t *target, u_char *key, size_t *len);
ngx_int_t ngx_user_code_mac(ngx_rush_req_t *q, rush_str_t *scene,
    ngx_user_target_t *target, rush_str_t *code, u_char *mac);


/*
 * ngx_user_proof.c: operations of a step.  The next step calls
 * ngx_user_proof_taken(): NGX_OK, CODE_WRONG or TICKET_INVALID.  "parts" are
 * what the use of a ticket is known by when it comes again; none: by
 * idempotency_key if there is one, else it never comes again.
 */

ngx_int_t ngx_user_take_code(ngx_rush_req_t *q, ngx_user_proof_t *proof,
    const char *scene, rush_str_t *code, rush_str_t *idempotency_key);
ngx_int_t ngx_user_take_ticket(ngx_rush_req_t *q, ngx_user_proof_t *proof,
    const char *scene, rush_str_t *ticket, rush_str_t *parts, ngx_uint_t n);
ngx_int_t ngx_user_proof_taken(ngx_rush_req_t *q, ngx_user_proof_t *proof);

/* the key of a ticket in Redis */
ngx_int_t ngx_user_ticket_key(rush_str_t *ticket, u_char *key, size_t *len);


extern ngx_rush_step_t  ngx_user_send_code_steps[];
extern ngx_rush_step_t  ngx_user_verify_code_steps[];


#endif /* _NGX_USER_CODE_H_INCLUDED_ */
