
/*
 * Copyright (C) Rush
 *
 * Codes by message, tickets, and what they open: accounts without a
 * password, new passwords, bound numbers.  Macros only, included by ngx_user_api.h.
 */


#ifndef _NGX_USER_CODE_API_H_INCLUDED_
#define _NGX_USER_CODE_API_H_INCLUDED_


#define NGX_USER_CODE_ROUTES(R)

#define NGX_USER_CODE_SCHEMAS(S)


#endif /* _NGX_USER_CODE_API_H_INCLUDED_ */
