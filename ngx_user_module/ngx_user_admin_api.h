
/*
 * Copyright (C) Rush
 *
 * Administration of users, roles and permissions, and the audit.  Macros only, included by ngx_user_api.h.
 */


#ifndef _NGX_USER_ADMIN_API_H_INCLUDED_
#define _NGX_USER_ADMIN_API_H_INCLUDED_


#define NGX_USER_ADMIN_ROUTES(R)

#define NGX_USER_ADMIN_SCHEMAS(S)


#endif /* _NGX_USER_ADMIN_API_H_INCLUDED_ */
