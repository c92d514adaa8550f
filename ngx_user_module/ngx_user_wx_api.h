
/*
 * Copyright (C) Rush
 *
 * Login by WeChat mini program.  Macros only, included by ngx_user_api.h.
 */


#ifndef _NGX_USER_WX_API_H_INCLUDED_
#define _NGX_USER_WX_API_H_INCLUDED_


#define NGX_USER_WX_ROUTES(R)                                                 \
    R(user, wx_mini_auth, POST, "/api/v1/user/wx-mini-auth",                  \
      PUBLIC, LOGIN, 0, OBJECT, login,                                        \
      "Logs in by WeChat, and opens an account for who has none")             \
    R(user, wx_mini_bind, POST, "/api/v1/user/wx-mini-bind",                  \
      USER, LOGIN, 0, OBJECT, user,                                           \
      "Lets WeChat open the account; needs a login of the last 10 minutes")   \
    R(user, wx_mini_unbind, POST, "/api/v1/user/wx-mini-unbind",              \
      USER, LOGIN, 0, OBJECT, user,                                           \
      "WeChat opens the account no longer; another way to log in must stay")


#define NGX_USER_FIELDS_wx_mini_auth(F)                                       \
    F(wx_mini_auth, code, SECRET, BODY, 1, 1, 128, "of wx.login()")           \
    F(wx_mini_auth, phone_code, SECRET, BODY, 0, 1, 128,                      \
      "of a getPhoneNumber button; or the next two")                          \
    F(wx_mini_auth, iv, SECRET, BODY, 0, 1, 32,                               \
      "of a getPhoneNumber button, base64")                                   \
    F(wx_mini_auth, encrypted_data, SECRET, BODY, 0, 1, 2048,                 \
      "of a getPhoneNumber button, base64")

#define NGX_USER_FIELDS_wx_mini_bind(F)                                       \
    F(wx_mini_bind, code, SECRET, BODY, 1, 1, 128, "of wx.login()")

#define NGX_USER_FIELDS_wx_mini_unbind(F)


#define NGX_USER_ERRORS_wx_mini_auth(E)                                       \
    E(WX_CODE_INVALID) E(WX_DATA_INVALID) E(WX_DENIED) E(WX_UNAVAILABLE)     \
    E(LOGIN_FAILED) E(USER_BANNED) E(CONFLICT) E(CLOSED) E(BUSY)
#define NGX_USER_ERRORS_wx_mini_bind(E)                                       \
    E(WX_CODE_INVALID) E(WX_BOUND) E(WX_DENIED) E(WX_UNAVAILABLE)            \
    E(LOGIN_AGAIN) E(USER_BANNED) E(NOT_FOUND) E(CONFLICT) E(CLOSED) E(BUSY)
#define NGX_USER_ERRORS_wx_mini_unbind(E)                                     \
    E(LAST_LOGIN) E(USER_BANNED) E(NOT_FOUND) E(CONFLICT) E(BUSY)


#endif /* _NGX_USER_WX_API_H_INCLUDED_ */
