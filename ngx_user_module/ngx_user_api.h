
/*
 * Copyright (C) Rush
 *
 * The API of accounts: routes, fields, errors, shapes of answers.  Macros
 * only, tools/apidoc.c reads them too; the columns are told in ngx_rush.h.
 */


#ifndef _NGX_USER_API_H_INCLUDED_
#define _NGX_USER_API_H_INCLUDED_


#include "ngx_user_admin_api.h"
#include "ngx_user_code_api.h"
#include "ngx_user_data_api.h"
#include "ngx_user_wx_api.h"


#define NGX_USER_ACCOUNT_ROUTES(R)                                            \
    R(user, register, POST, "/api/v1/user/register",                          \
      PUBLIC, LOGIN, 0, OBJECT, login,                                        \
      "Opens an account by username, mobile or email, and logs in")            \
    R(user, login, POST, "/api/v1/user/login",                                \
      PUBLIC, LOGIN, NGX_RUSH_KEEP_RUNNING, OBJECT, login,                    \
      "Logs in by password, code or ticket")                                  \
    R(user, logout, POST, "/api/v1/user/logout",                              \
      USER, API, NGX_RUSH_KEEP_RUNNING, NONE, none,                           \
      "Ends this session, or every session of the user")                      \
    R(user, profile, GET, "/api/v1/user/profile",                             \
      USER, API, 0, OBJECT, user,                                             \
      "Reads the caller's profile")                                           \
    R(user, change, PUT, "/api/v1/user/profile",                              \
      USER, API, 0, OBJECT, user,                                             \
      "Changes the given members of the caller's profile")                    \
    R(user, password, POST, "/api/v1/user/password",                          \
      USER, LOGIN, NGX_RUSH_KEEP_RUNNING, OBJECT, tokens,                     \
      "Changes the password, ends all sessions and opens a new one")          \
    R(user, refresh, POST, "/api/v1/auth/refresh-token",                      \
      PUBLIC, API, NGX_RUSH_KEEP_RUNNING, OBJECT, tokens,                     \
      "Trades a refresh token, once, for a new pair of tokens")


/* a password has 8 bytes at least: shorter ones answer WEAK_PASSWORD */

#define NGX_USER_FIELDS_register(F)                                           \
    F(register, username, STR,    BODY, 0, 3, 32,                             \
      "a letter, then letters, digits, \"_\", \".\", \"-\"; case is ignored") \
    F(register, mobile,   STR,    BODY, 0, 7, 20,                             \
      "11 digits of mainland China, or + and 7 to 15 digits")                 \
    F(register, email,    STR,    BODY, 0, 3, 128, "email address")           \
    F(register, password, SECRET, BODY, 0, 1, 72,                             \
      "8 to 72 bytes, not easy to guess; required without code and ticket")   \
    F(register, code,     SECRET, BODY, 0, 1, 16,                             \
      "of scene register, sent to the mobile or email")                       \
    F(register, ticket,   SECRET, BODY, 0, 1, 64,                             \
      "of scene register, tells the mobile or email")                         \
    F(register, nickname, STR,    BODY, 0, 1, 64, "name that others see")     \
    F(register, idempotency_key, KEY, HEADER, 0, 1, 64,                       \
      "the same one may show its code again")

#define NGX_USER_FIELDS_login(F)                                              \
    F(login, account,  STR,    BODY, 0, 1, 128,                               \
      "username, mobile or email; or one of the next three")                  \
    F(login, username, STR,    BODY, 0, 1, 32,  "username")                   \
    F(login, mobile,   STR,    BODY, 0, 1, 20,  "mobile number")              \
    F(login, email,    STR,    BODY, 0, 1, 128, "email address")              \
    F(login, password, SECRET, BODY, 0, 1, 72,                                \
      "password; or one of the next two")                                     \
    F(login, code,     SECRET, BODY, 0, 1, 16,                                \
      "of scene login, sent to the mobile or email")                          \
    F(login, ticket,   SECRET, BODY, 0, 1, 64,                                \
      "of scene login, instead of all others")                                \
    F(login, idempotency_key, KEY, HEADER, 0, 1, 64,                          \
      "the same one may show its code again")

/* "?all=true" will do too; the body has the last word */
#define NGX_USER_FIELDS_logout(F)                                             \
    F(logout, all, BOOL, QUERY, 0, 0, 1, "true: every session of the user")   \
    F(logout, all, BOOL, BODY,  0, 0, 1, "true: every session of the user")

#define NGX_USER_FIELDS_profile(F)

#define NGX_USER_FIELDS_change(F)                                             \
    F(change, nickname,      STR,  BODY, 0, 1, 64,  "name that others see")   \
    F(change, sex,           INT,  BODY, 0, 0, 2,                             \
      "0 not told, 1 male, 2 female")                                         \
    F(change, avatar,        STR,  BODY, 0, 0, 255,                           \
      "http or https address or a path, \"\" for none")                       \
    F(change, info,          TEXT, BODY, 0, 0, 255, "about the user")         \
    F(change, signature,     STR,  BODY, 0, 0, 255, "motto")                  \
    F(change, location_name, STR,  BODY, 0, 0, 128, "name of a place")        \
    F(change, longitude,     STR,  BODY, 0, 0, 16,                            \
      "decimal degrees, -180 to 180, \"\" for none")                          \
    F(change, latitude,      STR,  BODY, 0, 0, 16,                            \
      "decimal degrees, -90 to 90, \"\" for none")

#define NGX_USER_FIELDS_password(F)                                           \
    F(password, old_password, SECRET, BODY, 1, 1, 72, "present password")     \
    F(password, new_password, SECRET, BODY, 1, 1, 72,                         \
      "8 to 72 bytes, not easy to guess")

#define NGX_USER_FIELDS_refresh(F)                                            \
    F(refresh, refresh_token, SECRET, BODY, 1, 1, 512,                        \
      "the refresh token given last")


#define NGX_USER_ERRORS_register(E)                                           \
    E(USER_EXISTS) E(WEAK_PASSWORD) E(CODE_WRONG) E(TICKET_INVALID)           \
    E(CLOSED) E(BUSY)
#define NGX_USER_ERRORS_login(E)                                              \
    E(LOGIN_FAILED) E(USER_LOCKED) E(USER_BANNED) E(CODE_WRONG)               \
    E(TICKET_INVALID) E(CONFLICT) E(CLOSED) E(BUSY)
#define NGX_USER_ERRORS_logout(E)    E(BUSY)
#define NGX_USER_ERRORS_profile(E)   E(NOT_FOUND) E(BUSY)
#define NGX_USER_ERRORS_change(E)    E(NOT_FOUND) E(BUSY)
#define NGX_USER_ERRORS_password(E)                                           \
    E(NOT_FOUND) E(WRONG_PASSWORD) E(WEAK_PASSWORD) E(USER_LOCKED)            \
    E(USER_BANNED) E(CONFLICT) E(BUSY)
#define NGX_USER_ERRORS_refresh(E)                                            \
    E(REFRESH_INVALID) E(USER_BANNED) E(BUSY)


#define NGX_USER_SCHEMA_none(O)

#define NGX_USER_SCHEMA_tokens(O)                                             \
    O(access_token,       STR, 1, "for \"Authorization: Bearer\"")            \
    O(refresh_token,      STR, 1, "good for one use")                         \
    O(token_type,         STR, 1, "Bearer")                                   \
    O(expires_in,         INT, 1, "life of the access token, s")              \
    O(refresh_after,      INT, 1, "when to trade the refresh token, s")       \
    O(refresh_expires_in, INT, 1, "life of the refresh token, s")

#define NGX_USER_SCHEMA_login(O)                                              \
    NGX_USER_SCHEMA_tokens(O)                                                 \
    O(user,               OBJ, 1, "the account, as GET /user/profile")

#define NGX_USER_SCHEMA_user(O)                                               \
    O(id,            ID,   1, "user")                                         \
    O(username,      STR,  1, "in lower case, \"\" if none")                  \
    O(mobile,        STR,  1, "masked, \"\" if none")                         \
    O(email,         STR,  1, "masked, \"\" if none")                         \
    O(nickname,      STR,  1, "name that others see")                         \
    O(avatar,        STR,  1, "address of a picture")                         \
    O(sex,           INT,  1, "0 not told, 1 male, 2 female")                 \
    O(info,          STR,  1, "about the user")                               \
    O(signature,     STR,  1, "motto")                                        \
    O(location_name, STR,  1, "name of a place")                              \
    O(longitude,     STR,  1, "decimal degrees, \"\" if not told")            \
    O(latitude,      STR,  1, "decimal degrees, \"\" if not told")            \
    O(wechat,        BOOL, 1, "logs in by WeChat too")                        \
    O(role,          STR,  1, "user or admin")                                \
    O(created_at,    TIME, 1, "when the account was opened")

#define NGX_USER_ACCOUNT_SCHEMAS(S)  S(none) S(tokens) S(login) S(user)


#define NGX_USER_ROUTES(R)                                                    \
    NGX_USER_ACCOUNT_ROUTES(R) NGX_USER_CODE_ROUTES(R) NGX_USER_WX_ROUTES(R)  \
    NGX_USER_DATA_ROUTES(R) NGX_USER_ADMIN_ROUTES(R)

#define NGX_USER_SCHEMAS(S)                                                   \
    NGX_USER_ACCOUNT_SCHEMAS(S) NGX_USER_CODE_SCHEMAS(S)                      \
    NGX_USER_DATA_SCHEMAS(S) NGX_USER_ADMIN_SCHEMAS(S)


#endif /* _NGX_USER_API_H_INCLUDED_ */
