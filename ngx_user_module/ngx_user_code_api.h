
/*
 * Copyright (C) Rush
 *
 * Codes by message, tickets, and what they open: accounts without a
 * password, new passwords, bound numbers.  Macros only, included by
 * ngx_user_api.h.
 */


#ifndef _NGX_USER_CODE_API_H_INCLUDED_
#define _NGX_USER_CODE_API_H_INCLUDED_


#define NGX_USER_CODE_ROUTES(R)                                               \
    R(user, send_code, POST, "/api/v1/user/send-code",                        \
      PUBLIC, LOGIN, 0, OBJECT, code,                                         \
      "Sends a code of 6 digits; the last one of this scene ends")            \
    R(user, verify_code, POST, "/api/v1/user/verify-code",                    \
      PUBLIC, LOGIN, 0, OBJECT, ticket,                                       \
      "Trades a code, once, for a ticket")                                    \
    R(user, reset, POST, "/api/v1/user/password/reset",                       \
      PUBLIC, LOGIN, NGX_RUSH_KEEP_RUNNING, NONE, none,                       \
      "Sets a new password by a ticket and ends all sessions")                \
    R(user, bind, POST, "/api/v1/user/bind",                                  \
      USER, LOGIN, NGX_RUSH_KEEP_RUNNING, OBJECT, user,                       \
      "Attaches the mobile or email of a ticket to the account")


#define NGX_USER_FIELDS_send_code(F)                                          \
    F(send_code, scene,  STR, BODY, 1, 1, 16,                                 \
      "register, login, reset or bind")                                       \
    F(send_code, mobile, STR, BODY, 0, 7, 20,                                 \
      "11 digits of mainland China, or + and 7 to 15 digits; or email")       \
    F(send_code, email,  STR, BODY, 0, 3, 128, "email address; or mobile")

#define NGX_USER_FIELDS_verify_code(F)                                        \
    F(verify_code, scene,  STR,    BODY, 1, 1, 16, "as it was sent for")      \
    F(verify_code, mobile, STR,    BODY, 0, 7, 20,  "mobile number; or email")\
    F(verify_code, email,  STR,    BODY, 0, 3, 128, "email address")          \
    F(verify_code, code,   SECRET, BODY, 1, 1, 16,  "6 digits")               \
    F(verify_code, idempotency_key, KEY, HEADER, 0, 1, 64,                    \
      "the same one gets the same ticket again")

#define NGX_USER_FIELDS_reset(F)                                              \
    F(reset, ticket,       SECRET, BODY, 1, 1, 64, "of scene reset")          \
    F(reset, new_password, SECRET, BODY, 1, 1, 72,                            \
      "8 to 72 bytes, not easy to guess")

#define NGX_USER_FIELDS_bind(F)                                               \
    F(bind, ticket,   SECRET, BODY, 1, 1, 64, "of scene bind")                \
    F(bind, password, SECRET, BODY, 0, 1, 72,                                 \
      "needed when another one is replaced")


#define NGX_USER_ERRORS_send_code(E)                                          \
    E(CODE_LIMITED) E(CLOSED) E(BUSY)
#define NGX_USER_ERRORS_verify_code(E)                                        \
    E(CODE_WRONG) E(CLOSED) E(BUSY)
#define NGX_USER_ERRORS_reset(E)                                              \
    E(TICKET_INVALID) E(WEAK_PASSWORD) E(USER_BANNED) E(NOT_FOUND)            \
    E(CONFLICT) E(CLOSED) E(BUSY)
#define NGX_USER_ERRORS_bind(E)                                               \
    E(TICKET_INVALID) E(USER_EXISTS) E(WRONG_PASSWORD) E(USER_LOCKED)         \
    E(USER_BANNED) E(NOT_FOUND) E(CONFLICT) E(CLOSED) E(BUSY)


#define NGX_USER_SCHEMA_code(O)                                               \
    O(expires_in,   INT, 1, "life of the code, s")                            \
    O(resend_after, INT, 1, "until another one may be asked for, s")

#define NGX_USER_SCHEMA_ticket(O)                                             \
    O(ticket,     STR, 1, "for register, login, reset or bind, as its scene") \
    O(expires_in, INT, 1, "life of the ticket, s")

#define NGX_USER_CODE_SCHEMAS(S)  S(code) S(ticket)


#endif /* _NGX_USER_CODE_API_H_INCLUDED_ */
