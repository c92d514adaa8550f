
/*
 * Copyright (C) Rush
 *
 * Administration of users and roles, and the record of what administrators
 * do.  Macros only, included by ngx_user_api.h.
 */


#ifndef _NGX_USER_ADMIN_API_H_INCLUDED_
#define _NGX_USER_ADMIN_API_H_INCLUDED_


#define NGX_USER_ADMIN_ROUTES(R)                                              \
    R(user, admin_users, GET, "/api/v1/admin/users",                          \
      MAY(users_read), API, 0, LIST, admin_user,                              \
      "Finds users, exact or by a part of the name; sorted by id")            \
    R(user, admin_batch, POST, "/api/v1/admin/users/batch",                   \
      MAY(users_read), API, 0, ARRAY, admin_user,                             \
      "Up to 100 users by id; unknown ids are left out")                      \
    R(user, admin_create, POST, "/api/v1/admin/users",                        \
      MAY(users_write), API, NGX_RUSH_IDEMPOTENT, OBJECT, admin_user,         \
      "Opens an account; without a password it logs in by code")              \
    R(user, admin_user, GET, "/api/v1/admin/users/{id}",                      \
      MAY(users_read), API, 0, OBJECT, admin_user,                            \
      "A user, deleted ones too")                                             \
    R(user, admin_change, PUT, "/api/v1/admin/users/{id}",                    \
      MAY(users_write), API, 0, OBJECT, admin_user,                           \
      "Changes the given members; \"\" takes a name away")                    \
    R(user, admin_delete, DELETE, "/api/v1/admin/users/{id}",                 \
      MAY(users_write), API, 0, OBJECT, admin_user,                           \
      "Closes an account; it keeps its names and can be restored")            \
    R(user, admin_restore, POST, "/api/v1/admin/users/{id}/restore",          \
      MAY(users_write), API, 0, OBJECT, admin_user,                           \
      "Opens a deleted account again, until it was erased")                   \
    R(user, admin_status, PUT, "/api/v1/admin/users/{id}/status",             \
      MAY(users_ban), API, 0, OBJECT, admin_user,                             \
      "Bans a user, which ends all sessions, or allows one again")            \
    R(user, admin_roles, PUT, "/api/v1/admin/users/{id}/roles",               \
      MAY(roles_write), API, 0, OBJECT, admin_user,                           \
      "Gives a user these roles and no others; ends access tokens")           \
    R(user, admin_revoke, POST, "/api/v1/admin/users/{id}/revoke",            \
      MAY(users_ban), API, 0, OBJECT, admin_user,                             \
      "Ends all sessions of a user")                                          \
    R(user, role_list, GET, "/api/v1/admin/roles",                            \
      MAY(roles_read), API, 0, ARRAY, role,                                   \
      "All roles")                                                            \
    R(user, role_create, POST, "/api/v1/admin/roles",                         \
      MAY(roles_write), API, NGX_RUSH_IDEMPOTENT, OBJECT, role,               \
      "Creates a role, of what the caller may")                               \
    R(user, role_change, PUT, "/api/v1/admin/roles/{id}",                     \
      MAY(roles_write), API, 0, OBJECT, role,                                 \
      "Changes a role; who has it follows within a second")                   \
    R(user, role_delete, DELETE, "/api/v1/admin/roles/{id}",                  \
      MAY(roles_write), API, 0, OBJECT, role_deleted,                         \
      "Removes a role that nobody has")                                       \
    R(user, audit, GET, "/api/v1/admin/audit",                                \
      MAY(audit_read), API, 0, FEED, audit,                                   \
      "What administrators did, newest first")


#define NGX_USER_FIELDS_admin_users(F)                                        \
    F(admin_users, id,       ID,   QUERY, 0, 1, INT64_MAX, "exactly this id") \
    F(admin_users, username, STR,  QUERY, 0, 1, 32,                           \
      "exactly this username")                                                \
    F(admin_users, mobile,   STR,  QUERY, 0, 1, 20,                           \
      "exactly this mobile number")                                           \
    F(admin_users, email,    STR,  QUERY, 0, 1, 128, "exactly this email")    \
    F(admin_users, q,        STR,  QUERY, 0, 1, 64,                           \
      "part of the username or nickname")                                     \
    F(admin_users, status,   KEY,  QUERY, 0, 1, 16,                           \
      "active, banned or deleted; without it all but deleted ones")           \
    F(admin_users, role,     INT,  QUERY, 0, 1, 62, "who has this role")      \
    F(admin_users, from,     TIME, QUERY, 0, 0, INT64_MAX,                    \
      "created at or after")                                                  \
    F(admin_users, to,       TIME, QUERY, 0, 0, INT64_MAX, "created before")  \
    F(admin_users, page,     INT,  QUERY, 0, 1, 10000, "page, from 1")        \
    F(admin_users, page_size, INT, QUERY, 0, 1, 100,                          \
      "rows of a page, default 20")

#define NGX_USER_FIELDS_admin_batch(F)                                        \
    F(admin_batch, ids, LIST, BODY, 1, 1, 100, "ids of users")

#define NGX_USER_FIELDS_admin_create(F)                                       \
    F(admin_create, username, STR,    BODY, 0, 3, 32, "username")             \
    F(admin_create, mobile,   STR,    BODY, 0, 7, 20, "mobile number")        \
    F(admin_create, email,    STR,    BODY, 0, 3, 128, "email address")       \
    F(admin_create, password, SECRET, BODY, 0, 1, 72,                         \
      "8 to 72 bytes, not easy to guess")                                     \
    F(admin_create, nickname, STR,    BODY, 0, 1, 64,                         \
      "name that others see")

#define NGX_USER_FIELDS_admin_user(F)                                         \
    F(admin_user, id, ID, PATH, 1, 1, INT64_MAX, "user")

#define NGX_USER_FIELDS_admin_change(F)                                       \
    F(admin_change, id,        ID,   PATH, 1, 1, INT64_MAX, "user")           \
    F(admin_change, username,  STR,  BODY, 0, 0, 32,  "\"\" for none")        \
    F(admin_change, mobile,    STR,  BODY, 0, 0, 20,  "\"\" for none")        \
    F(admin_change, email,     STR,  BODY, 0, 0, 128, "\"\" for none")        \
    F(admin_change, nickname,  STR,  BODY, 0, 1, 64,                          \
      "name that others see")                                                 \
    F(admin_change, info,      TEXT, BODY, 0, 0, 255, "about the user")       \
    F(admin_change, signature, STR,  BODY, 0, 0, 255, "motto")

#define NGX_USER_FIELDS_admin_delete(F)                                       \
    F(admin_delete, id, ID, PATH, 1, 1, INT64_MAX, "user")

#define NGX_USER_FIELDS_admin_restore(F)                                      \
    F(admin_restore, id, ID, PATH, 1, 1, INT64_MAX, "user")

#define NGX_USER_FIELDS_admin_status(F)                                       \
    F(admin_status, id,     ID,   PATH, 1, 1, INT64_MAX, "user")              \
    F(admin_status, status, KEY,  BODY, 1, 1, 16, "banned or active")         \
    F(admin_status, reason, STR,  BODY, 0, 1, 200,                            \
      "why; a ban needs one")                                                 \
    F(admin_status, until,  TIME, BODY, 0, 0, INT64_MAX,                      \
      "when the ban ends by itself")

#define NGX_USER_FIELDS_admin_roles(F)                                        \
    F(admin_roles, id,    ID,   PATH, 1, 1, INT64_MAX, "user")                \
    F(admin_roles, roles, LIST, BODY, 1, 0, 62, "ids of roles")

#define NGX_USER_FIELDS_admin_revoke(F)                                       \
    F(admin_revoke, id, ID, PATH, 1, 1, INT64_MAX, "user")

#define NGX_USER_FIELDS_role_list(F)

#define NGX_USER_FIELDS_role_create(F)                                        \
    F(role_create, name,        STR,  BODY, 1, 1, 32, "name")                 \
    F(role_create, permissions, LIST, BODY, 1, 0, 62,                         \
      "names as \"x-permission\" of the routes has them")

#define NGX_USER_FIELDS_role_change(F)                                        \
    F(role_change, id,          ID,   PATH, 1, 1, INT64_MAX, "role")          \
    F(role_change, name,        STR,  BODY, 0, 1, 32, "name")                 \
    F(role_change, permissions, LIST, BODY, 0, 0, 62, "all it shall have")

#define NGX_USER_FIELDS_role_delete(F)                                        \
    F(role_delete, id, ID, PATH, 1, 1, INT64_MAX, "role")

#define NGX_USER_FIELDS_audit(F)                                              \
    F(audit, last_id,   ID,   QUERY, 0, 1, INT64_MAX,                         \
      "rows before this one: next_last_id of the page before")                \
    F(audit, page_size, INT,  QUERY, 0, 1, 100, "rows, default 20")           \
    F(audit, user_id,   ID,   QUERY, 0, 1, INT64_MAX, "who did it")           \
    F(audit, act,       ID,   QUERY, 0, 1, INT64_MAX, "both rows of an act")  \
    F(audit, object,    KEY,  QUERY, 0, 1, 64, "id of what it was done to")   \
    F(audit, route,     KEY,  QUERY, 0, 1, 64, "as seckill_admin_pause")      \
    F(audit, from,      TIME, QUERY, 0, 0, INT64_MAX, "at or after")          \
    F(audit, to,        TIME, QUERY, 0, 0, INT64_MAX, "before")


#define NGX_USER_ERRORS_admin_users(E)    E(BUSY)
#define NGX_USER_ERRORS_admin_batch(E)    E(BUSY)
#define NGX_USER_ERRORS_admin_create(E)                                       \
    E(USER_EXISTS) E(WEAK_PASSWORD) E(BUSY)
#define NGX_USER_ERRORS_admin_user(E)     E(NOT_FOUND) E(BUSY)
#define NGX_USER_ERRORS_admin_change(E)                                       \
    E(NOT_FOUND) E(USER_EXISTS) E(USER_STATE) E(CONFLICT) E(BUSY)
#define NGX_USER_ERRORS_admin_delete(E)                                       \
    E(NOT_FOUND) E(USER_STATE) E(LAST_ADMIN) E(CONFLICT) E(BUSY)
#define NGX_USER_ERRORS_admin_restore(E)                                      \
    E(NOT_FOUND) E(USER_STATE) E(CONFLICT) E(BUSY)
#define NGX_USER_ERRORS_admin_status(E)                                       \
    E(NOT_FOUND) E(USER_STATE) E(LAST_ADMIN) E(CONFLICT) E(BUSY)
#define NGX_USER_ERRORS_admin_roles(E)                                        \
    E(NOT_FOUND) E(USER_STATE) E(ROLE_UNKNOWN) E(LAST_ADMIN) E(CONFLICT)      \
    E(BUSY)
#define NGX_USER_ERRORS_admin_revoke(E)                                       \
    E(NOT_FOUND) E(CONFLICT) E(BUSY)
#define NGX_USER_ERRORS_role_list(E)      E(BUSY)
#define NGX_USER_ERRORS_role_create(E)                                        \
    E(ROLE_EXISTS) E(ROLES_FULL) E(BUSY)
#define NGX_USER_ERRORS_role_change(E)                                        \
    E(NOT_FOUND) E(ROLE_EXISTS) E(ROLE_FIXED) E(CONFLICT) E(BUSY)
#define NGX_USER_ERRORS_role_delete(E)                                        \
    E(NOT_FOUND) E(ROLE_IN_USE) E(ROLE_FIXED) E(CONFLICT) E(BUSY)
#define NGX_USER_ERRORS_audit(E)          E(BUSY)


#define NGX_USER_SCHEMA_admin_user(O)                                         \
    O(id,           ID,   1, "user")                                          \
    O(username,     STR,  1, "\"\" if none")                                  \
    O(mobile,       STR,  1, "masked without users_private, \"\" if none")    \
    O(email,        STR,  1, "masked without users_private, \"\" if none")    \
    O(nickname,     STR,  1, "name that others see")                          \
    O(avatar,       STR,  1, "address of a picture")                          \
    O(info,         STR,  1, "about the user")                                \
    O(signature,    STR,  1, "motto")                                         \
    O(status,       STR,  1, "active, banned or deleted")                     \
    O(ban_reason,   STR,  1, "of the last ban, \"\" if none")                 \
    O(banned_until, TIME, 1, "null: until it is lifted, or no ban")           \
    O(roles,        ARR,  1, "ids of roles")                                  \
    O(created_at,   TIME, 1, "when the account was opened")                   \
    O(updated_at,   TIME, 1, "when it was changed")                           \
    O(deleted_at,   TIME, 1, "when it was closed, or null")

#define NGX_USER_SCHEMA_role(O)                                               \
    O(id,          INT,  1, "role, 1 may everything")                         \
    O(name,        STR,  1, "name")                                           \
    O(permissions, ARR,  1, "names")                                          \
    O(created_at,  TIME, 1, "when it was created")                            \
    O(updated_at,  TIME, 1, "when it was changed")

#define NGX_USER_SCHEMA_role_deleted(O)                                       \
    O(id, INT, 1, "role")

#define NGX_USER_SCHEMA_audit(O)                                              \
    O(id,         ID,   1, "1, 2, 3, ...: place in the chain")                \
    O(act,        ID,   1, "the same for an intent and its outcome")          \
    O(kind,       STR,  1, "intent or outcome")                               \
    O(code,       INT,  0, "of an outcome: what was answered")                \
    O(user_id,    ID,   1, "who")                                             \
    O(roles,      ARR,  1, "ids of roles that the caller had")                \
    O(route,      STR,  1, "name of the route")                               \
    O(object,     STR,  1, "id of what it was done to, \"\" if none")         \
    O(fields,     OBJ,  1, "what was given, without secrets")                 \
    O(address,    STR,  1, "of the caller")                                   \
    O(trace,      STR,  1, "trace_id of the request")                         \
    O(at,         TIME, 1, "when")                                            \
    O(prev_hash,  STR,  1, "hash of the row before")                          \
    O(hash,       STR,  1, "of this row")

#define NGX_USER_ADMIN_SCHEMAS(S)                                             \
    S(admin_user) S(role) S(role_deleted) S(audit)


#endif /* _NGX_USER_ADMIN_API_H_INCLUDED_ */
