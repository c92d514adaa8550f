
/*
 * Copyright (C) Rush
 *
 * What belongs to a user: sessions, addresses, sponsor cards, figures,
 * export and the end of an account.  Macros only, included by ngx_user_api.h.
 */


#ifndef _NGX_USER_DATA_API_H_INCLUDED_
#define _NGX_USER_DATA_API_H_INCLUDED_


#define NGX_USER_DATA_ROUTES(R)                                               \
    R(user, sessions, GET, "/api/v1/user/sessions",                           \
      USER, API, 0, LIST, session,                                            \
      "Devices that are logged in, the one used last comes first")            \
    R(user, session_end, DELETE, "/api/v1/user/sessions/{id}",                \
      USER, API, NGX_RUSH_KEEP_RUNNING, NONE, none,                           \
      "Ends one session: its tokens are good no more")                        \
    R(user, addresses, GET, "/api/v1/user/addresses",                         \
      USER, API, 0, LIST, address,                                            \
      "Delivery addresses, the default one comes first")                      \
    R(user, address_add, POST, "/api/v1/user/addresses",                      \
      USER, API, 0, OBJECT, address,                                          \
      "Adds an address, 20 at most; the first one is the default")            \
    R(user, address_change, PUT, "/api/v1/user/addresses/{id}",               \
      USER, API, 0, OBJECT, address,                                          \
      "Changes the given members of an address")                              \
    R(user, address_remove, DELETE, "/api/v1/user/addresses/{id}",            \
      USER, API, 0, NONE, none,                                               \
      "Removes an address; of the others the next one is the default then")   \
    R(user, address_parse, POST, "/api/v1/user/addresses/parse",              \
      USER, API, 0, OBJECT, parsed,                                           \
      "Splits an address that was pasted, and stores nothing")                \
    R(user, sponsors, GET, "/api/v1/user/sponsors",                           \
      USER, API, 0, LIST, sponsor,                                            \
      "The caller's sponsor cards, the newest comes first")                   \
    R(user, sponsor_add, POST, "/api/v1/user/sponsors",                       \
      USER, API, 0, OBJECT, sponsor,                                          \
      "Adds a sponsor card, 50 at most")                                      \
    R(user, sponsor, GET, "/api/v1/user/sponsors/{id}",                       \
      OPTIONAL, API, 0, OBJECT, sponsor,                                      \
      "One sponsor card: of the caller, or one that is shown")                \
    R(user, sponsor_change, PUT, "/api/v1/user/sponsors/{id}",                \
      USER, API, 0, OBJECT, sponsor,                                          \
      "Changes the given members of a sponsor card")                          \
    R(user, sponsor_remove, DELETE, "/api/v1/user/sponsors/{id}",             \
      USER, API, 0, NONE, none,                                               \
      "Removes a sponsor card")                                               \
    R(user, stats, GET, "/api/v1/user/stats",                                 \
      USER, API, 0, OBJECT, stats,                                            \
      "The caller's orders by state")                                         \
    R(user, export, GET, "/api/v1/user/export",                               \
      USER, LOGIN, 0, OBJECT, export,                                         \
      "All personal data of the caller as one document, unmasked")            \
    R(user, close, DELETE, "/api/v1/user",                                    \
      USER, LOGIN, NGX_RUSH_KEEP_RUNNING, NONE, none,                         \
      "Closes the account and ends all sessions; its data is erased later")


#define NGX_USER_FIELDS_paged(F, route)                                       \
    F(route, page,      INT, QUERY, 0, 1, 10000, "page, from 1")              \
    F(route, page_size, INT, QUERY, 0, 1, 100,   "rows of a page, default 20")

#define NGX_USER_FIELDS_sessions(F)   NGX_USER_FIELDS_paged(F, sessions)

#define NGX_USER_FIELDS_session_end(F)                                        \
    F(session_end, id, ID, PATH, 1, 1, INT64_MAX, "session")

#define NGX_USER_FIELDS_addresses(F)  NGX_USER_FIELDS_paged(F, addresses)

/* the order of the body's rows is that of the statements' parameters */

#define NGX_USER_FIELDS_address_body(F, route, req)                           \
    F(route, receiver, STR, BODY, req, 1, 32, "who receives it")              \
    F(route, mobile,   STR, BODY, req, 5, 24,                                 \
      "mobile or landline number: digits, \"+\" before, \"-\" between")       \
    F(route, province, STR, BODY, req, 1, 32, "province")                     \
    F(route, city,     STR, BODY, req, 1, 32, "city")                         \
    F(route, district, STR, BODY, 0,   0, 32, "district, \"\" if none")       \
    F(route, detail,   STR, BODY, req, 1, 255, "street, number, door")        \
    F(route, postcode, STR, BODY, 0,   0, 12,                                 \
      "letters, digits, \"-\" and blanks, \"\" if none")                      \
    F(route, tag,      STR, BODY, 0,   0, 16, "home, office, \"\" if none")   \
    F(route, is_default, BOOL, BODY, 0, 0, 1,                                 \
      "true: the default from now on; false: it goes to the end of the list")

#define NGX_USER_FIELDS_address_add(F)                                        \
    F(address_add, idempotency_key, KEY, HEADER, 0, 1, 64,                    \
      "the same key again answers with the address made first")               \
    NGX_USER_FIELDS_address_body(F, address_add, 1)

#define NGX_USER_FIELDS_address_change(F)                                     \
    F(address_change, id, ID, PATH, 1, 1, INT64_MAX, "address")               \
    NGX_USER_FIELDS_address_body(F, address_change, 0)

#define NGX_USER_FIELDS_address_remove(F)                                     \
    F(address_remove, id, ID, PATH, 1, 1, INT64_MAX, "address")

#define NGX_USER_FIELDS_address_parse(F)                                      \
    F(address_parse, text, TEXT, BODY, 1, 1, 500, "what was pasted")

#define NGX_USER_FIELDS_sponsors(F)   NGX_USER_FIELDS_paged(F, sponsors)

#define NGX_USER_FIELDS_sponsor_body(F, route, req)                           \
    F(route, type, INT, BODY, req, 1, 5,                                      \
      "1 WeChat account, 2 official account, 3 mini program, 4 group, "       \
      "5 channel")                                                            \
    F(route, applet_type, INT, BODY, 0, 0, 3,                                 \
      "of type 3: 1 link, 2 path, 3 code; 0 for all others")                  \
    F(route, name,    STR,  BODY, req, 1, 64, "name of the sponsor")          \
    F(route, desc,    TEXT, BODY, 0, 0, 255, "about it")                      \
    F(route, avatar,  STR,  BODY, 0, 0, 255,                                  \
      "http or https address or a path, \"\" for none")                       \
    F(route, qr_code, STR,  BODY, 0, 0, 255,                                  \
      "http or https address or a path, \"\" for none")                       \
    F(route, input_a, STR,  BODY, 0, 0, 255,                                  \
      "link or id of the mini program, id of the channel")                    \
    F(route, input_b, STR,  BODY, 0, 0, 255, "path in the mini program")      \
    F(route, is_show, BOOL, BODY, 0, 0, 1,                                    \
      "others may see it, true if not given")

#define NGX_USER_FIELDS_sponsor_add(F)                                        \
    F(sponsor_add, idempotency_key, KEY, HEADER, 0, 1, 64,                    \
      "the same key again answers with the card made first")                  \
    NGX_USER_FIELDS_sponsor_body(F, sponsor_add, 1)

#define NGX_USER_FIELDS_sponsor(F)                                            \
    F(sponsor, id, ID, PATH, 1, 1, INT64_MAX, "sponsor card")

#define NGX_USER_FIELDS_sponsor_change(F)                                     \
    F(sponsor_change, id, ID, PATH, 1, 1, INT64_MAX, "sponsor card")          \
    NGX_USER_FIELDS_sponsor_body(F, sponsor_change, 0)

#define NGX_USER_FIELDS_sponsor_remove(F)                                     \
    F(sponsor_remove, id, ID, PATH, 1, 1, INT64_MAX, "sponsor card")

#define NGX_USER_FIELDS_stats(F)

#define NGX_USER_FIELDS_export(F)                                             \
    F(export, orders_after, KEY, QUERY, 0, 1, 40,                             \
      "orders_next of the document before: the orders that follow")

#define NGX_USER_FIELDS_close(F)                                              \
    F(close, password, SECRET, BODY, 0, 1, 72,                                \
      "password; an account without one needs a login of the last 10 minutes")


#define NGX_USER_ERRORS_sessions(E)        E(BUSY)
#define NGX_USER_ERRORS_session_end(E)     E(NOT_FOUND) E(BUSY)
#define NGX_USER_ERRORS_addresses(E)       E(BUSY)
#define NGX_USER_ERRORS_address_add(E)                                        \
    E(ADDRESS_LIMIT) E(KEY_REUSED) E(NOT_FOUND) E(BUSY)
#define NGX_USER_ERRORS_address_change(E)  E(NOT_FOUND) E(BUSY)
#define NGX_USER_ERRORS_address_remove(E)  E(NOT_FOUND) E(BUSY)
#define NGX_USER_ERRORS_address_parse(E)
#define NGX_USER_ERRORS_sponsors(E)        E(BUSY)
#define NGX_USER_ERRORS_sponsor_add(E)                                        \
    E(SPONSOR_LIMIT) E(KEY_REUSED) E(NOT_FOUND) E(BUSY)
#define NGX_USER_ERRORS_sponsor(E)         E(NOT_FOUND) E(BUSY)
#define NGX_USER_ERRORS_sponsor_change(E)  E(NOT_FOUND) E(BUSY)
#define NGX_USER_ERRORS_sponsor_remove(E)  E(NOT_FOUND) E(BUSY)
#define NGX_USER_ERRORS_stats(E)           E(BUSY)
#define NGX_USER_ERRORS_export(E)          E(NOT_FOUND) E(BUSY)
#define NGX_USER_ERRORS_close(E)                                              \
    E(NOT_FOUND) E(WRONG_PASSWORD) E(USER_LOCKED) E(USER_BANNED)              \
    E(LOGIN_AGAIN) E(FORBIDDEN) E(CONFLICT) E(BUSY)


#define NGX_USER_SCHEMA_session(O)                                            \
    O(id,         ID,   1, "session")                                         \
    O(device,     STR,  1, "what the client said of itself at the login")     \
    O(address,    STR,  1, "address it logged in from")                       \
    O(created_at, TIME, 1, "when it logged in")                               \
    O(used_at,    TIME, 1, "when it refreshed its tokens last")               \
    O(expires_at, TIME, 1, "when it ends if it does not refresh")             \
    O(current,    BOOL, 1, "the one this request belongs to")

#define NGX_USER_SCHEMA_place(O)                                              \
    O(receiver,   STR,  1, "who receives it")                                 \
    O(mobile,     STR,  1, "mobile or landline number")                       \
    O(province,   STR,  1, "province")                                        \
    O(city,       STR,  1, "city")                                            \
    O(district,   STR,  1, "district, \"\" if none")                          \
    O(detail,     STR,  1, "street, number, door")                            \
    O(postcode,   STR,  1, "\"\" if none")

#define NGX_USER_SCHEMA_address(O)                                            \
    O(id,         ID,   1, "address")                                         \
    NGX_USER_SCHEMA_place(O)                                                  \
    O(tag,        STR,  1, "home, office, \"\" if none")                      \
    O(is_default, BOOL, 1, "exactly one address of a user is the default")    \
    O(created_at, TIME, 1, "when it was added")                               \
    O(updated_at, TIME, 1, "when it was changed last")

#define NGX_USER_SCHEMA_parsed(O)                                             \
    NGX_USER_SCHEMA_place(O)                                                  \
    O(complete,   BOOL, 1,                                                    \
      "receiver, mobile, province, city and detail were found")

#define NGX_USER_SCHEMA_sponsor(O)                                            \
    O(id,          ID,   1, "sponsor card")                                   \
    O(type,        INT,  1,                                                   \
      "1 WeChat account, 2 official account, 3 mini program, 4 group, "       \
      "5 channel")                                                            \
    O(applet_type, INT,  1, "of type 3: 1 link, 2 path, 3 code; else 0")      \
    O(name,        STR,  1, "name of the sponsor")                            \
    O(desc,        STR,  1, "about it")                                       \
    O(avatar,      STR,  1, "address of a picture")                           \
    O(qr_code,     STR,  1, "address of a picture")                           \
    O(input_a,     STR,  1, "link or id")                                     \
    O(input_b,     STR,  1, "path in the mini program")                       \
    O(is_show,     BOOL, 1, "others may see it")                              \
    O(created_at,  TIME, 1, "when it was added")                              \
    O(updated_at,  TIME, 1, "when it was changed last")

#define NGX_USER_SCHEMA_stats(O)                                              \
    O(orders_total, INT, 1, "orders of the caller")                           \
    O(orders,       OBJ, 1,                                                   \
      "their number by state: processing, to_pay, paid, shipped, done, "      \
      "cancelled, refunding, refunded, expired, rejected")

#define NGX_USER_SCHEMA_export(O)                                             \
    O(exported_at, TIME, 1, "when this was read")                             \
    O(account,     OBJ,  1, "the account, number and address unmasked")       \
    O(sessions,    ARR,  1, "sessions, ended ones too while they are kept")   \
    O(addresses,   ARR,  1, "delivery addresses")                             \
    O(sponsors,    ARR,  1, "sponsor cards")                                  \
    O(orders,      ARR,  1, "orders, 5000 at most")                           \
    O(orders_next, STR,  0,                                                   \
      "there are more orders: give it as orders_after")


#define NGX_USER_DATA_SCHEMAS(S)                                              \
    S(session) S(address) S(parsed) S(sponsor) S(stats) S(export)


#endif /* _NGX_USER_DATA_API_H_INCLUDED_ */
