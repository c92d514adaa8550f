
/*
 * Copyright (C) Rush
 *
 * What belongs to a user: sessions, addresses, sponsor cards, figures,
 * export and the end of an account.  Macros only, included by ngx_user_api.h.
 */


#ifndef _NGX_USER_DATA_API_H_INCLUDED_
#define _NGX_USER_DATA_API_H_INCLUDED_


#define NGX_USER_DATA_ROUTES(R)

#define NGX_USER_DATA_SCHEMAS(S)


#endif /* _NGX_USER_DATA_API_H_INCLUDED_ */
