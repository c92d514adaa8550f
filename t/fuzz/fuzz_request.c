
/*
 * Copyright (C) Rush
 *
 * A whole request in a real worker: bytes of a client, answers of Redis and
 * MySQL, aborts, lost connections and time, all from the input.
 *
 *   byte 0   bit 0: what timers ask takes decisions too; bit 1: Redis breaks
 *            first; bit 2: not all of the request is sent; bit 3: no step
 *            gives back what is held
 *   byte 1   length of the script, then the script: a byte for each command,
 *            statement and step of the client
 *   then     the request; "$U" and "$A" stand for tokens of a user and an
 *            administrator; after 0xff, cut by 0xff, bytes for replies
 *
 * What must hold: no alert in the log, no error line without a backend at
 * fault, an answer of ours is JSON with our members, no connection is left
 * behind and the lanes come back.
 */


#include "fuzz_nginx.h"
#include "rush_jwt.h"
#include "rush_permissions.h"


#define MAX_REQUEST  (64 * 1024)
#define MAX_ANSWER   (256 * 1024)
#define MAX_TURNS    24


static void fuzz_world(void);
static size_t fuzz_expand(const rush_str_t *s, unsigned char *dst);
static size_t fuzz_token(unsigned role, unsigned char *dst);
static void fuzz_turn(int64_t ms);
static void fuzz_step(unsigned s);
static void fuzz_put(size_t n);
static int fuzz_get(void);
static int fuzz_is_whole(void);
static void fuzz_look(void);
static void fuzz_json_body(const char *body, size_t len);
static void fuzz_heal(void);
static size_t fuzz_used(void);


fuzz_plan_t         fuzz_plan;

static int          client;             /* -1: closed */
static size_t       request_len;
static size_t       request_pos;
static size_t       answer_len;
static size_t       looked;             /* fuzz_traffic of the last look */
static size_t       base;               /* connections of nginx itself */
static rush_jwt_t  *jwt;
static int64_t      session;

static unsigned char  request[MAX_REQUEST];
static char           answer[MAX_ANSWER + 1];


/* RUSH_FUZZ_DIR has redis.sock, http.sock, jwt.key */

void
fuzz_request_start(void)
{
    char  path[128];

    snprintf(path, sizeof(path), "%s/redis.sock", fuzz_dir);
    fuzz_redis_start(path);
}


unsigned
fuzz_decide(int background)
{
    unsigned  d;

    if (!fuzz_inside || (background && !fuzz_plan.background)) {
        return 0;
    }

    d = fuzz_byte(&fuzz_plan.script);
    fuzz_plan.faults += d != 0;

    return d;
}


int
fuzz_request(const uint8_t *data, size_t size)
{
    unsigned             how, turns;
    rush_str_t           text;
    fuzz_input_t         in;
    struct sockaddr_un   sa;

    if (jwt == NULL) {
        fuzz_world();
    }

    in.p = data;
    in.len = size;
    memset(&fuzz_plan, 0, sizeof(fuzz_plan));

    how = fuzz_byte(&in);
    fuzz_plan.background = how & 1;

    fuzz_plan.script.p = in.p + 1;
    fuzz_plan.script.len = fuzz_byte(&in);

    if (fuzz_plan.script.len > in.len) {
        fuzz_plan.script.len = in.len;
    }

    in.p += fuzz_plan.script.len;
    in.len -= fuzz_plan.script.len;

    text = fuzz_until(&in, 0xff);
    fuzz_plan.raw = in;

    session++;
    request_len = fuzz_expand(&text, request);
    request_pos = 0;
    answer_len = 0;

    fuzz_inside = 1;

    if (how & 2) {
        fuzz_plan.faults++;
        fuzz_redis_break();
        fuzz_turn(0);
    }

    memset(&sa, 0, sizeof(sa));
    sa.sun_family = AF_UNIX;
    snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/http.sock",
             fuzz_dir);

    client = socket(AF_UNIX, SOCK_STREAM|SOCK_NONBLOCK|SOCK_CLOEXEC, 0);
    fuzz_check(client != -1);
    fuzz_check(connect(client, (struct sockaddr *) &sa, sizeof(sa)) == 0);

    if (how & 4) {
        fuzz_step(fuzz_decide(0));
        fuzz_step(fuzz_decide(0));
    }

    fuzz_put(request_len);

    for (turns = 0; client != -1 && turns < MAX_TURNS; turns++) {

        fuzz_turn(turns < 4 ? 0 : 20);

        if (fuzz_get() || fuzz_is_whole()) {
            break;
        }

        if (turns > 4 && fuzz_plan.script.len > 0) {
            fuzz_step(fuzz_decide(0));

        } else if (turns > 8 && !(how & 8)) {
            fuzz_redis_release();
            fuzz_mysql_release();
        }
    }

    fuzz_look();
    fuzz_heal();

    fuzz_inside = 0;

    return 0;
}


/* lanes up, the catalog read, and how many connections that takes */

static void
fuzz_world(void)
{
    int                  i;
    FILE                *f;
    char                 path[128], key[256];
    size_t               n;
    const char          *err;

    snprintf(path, sizeof(path), "%s/jwt.key", fuzz_dir);
    f = fopen(path, "r");
    fuzz_check(f != NULL);
    n = fread(key, 1, sizeof(key), f);
    fclose(f);

    jwt = rush_jwt_create("rush", "rush", 0);
    fuzz_check(jwt != NULL);
    fuzz_check(rush_jwt_load(jwt, (unsigned char *) key, n, &err) == RUSH_OK);

    client = -1;
    fuzz_inside = 1;

    for (i = 0; i < 50; i++) {
        fuzz_turn(50);
    }

    fuzz_check(fuzz_redis_connections() == 2);
    base = fuzz_used();
    fuzz_inside = 0;
}


static size_t
fuzz_expand(const rush_str_t *s, unsigned char *dst)
{
    size_t  i, n;

    for (i = 0, n = 0; i < s->len && n < MAX_REQUEST - RUSH_JWT_MAX_LEN;
         i++)
    {
        if (s->data[i] == '$' && i + 1 < s->len
            && (s->data[i + 1] == 'U' || s->data[i + 1] == 'A'))
        {
            n += fuzz_token(s->data[++i] == 'A', dst + n);
            continue;
        }

        dst[n++] = s->data[i];
    }

    return n;
}


/* a session of its own each time: what one input revokes is of no interest
 * to the next one */

static size_t
fuzz_token(unsigned role, unsigned char *dst)
{
    rush_claims_t  c;

    memset(&c, 0, sizeof(c));
    c.user = 1000000 + session;
    c.session = session;
    c.issued = fuzz_now() / 1000;
    c.expires = c.issued + 3600;
    c.roles = role ? rush_role_bit(5) : 0;     /* see fuzz_rows.c */

    return rush_jwt_sign(jwt, &c, dst);
}


static void
fuzz_turn(int64_t ms)
{
    int  i;

    fuzz_clock_step(ms);

    for (i = 0; i < 8; i++) {
        ngx_process_events_and_timers((ngx_cycle_t *) ngx_cycle);
        fuzz_wait_threads();

        if (!fuzz_redis_turn()) {
            break;
        }
    }
}


static void
fuzz_step(unsigned s)
{
    unsigned  n;

    n = s >> 3;

    switch (s & 7) {

    case 1:
        fuzz_put(n + 1);
        break;

    case 2:
        fuzz_clock_step(1LL << (n & 15));
        break;

    case 3:
        fuzz_redis_release();
        break;

    case 4:
        if (client != -1) {
            (void) shutdown(client, SHUT_WR);   /* may be closed already */
        }

        break;

    case 5:
        if (client != -1) {
            close(client);
            client = -1;
        }

        break;

    case 6:
        fuzz_mysql_release();
        break;

    case 7:
        fuzz_redis_break();
        break;
    }

    fuzz_turn(0);
}


/* n more bytes of the request */

static void
fuzz_put(size_t n)
{
    ssize_t  sent;

    if (n > request_len - request_pos) {
        n = request_len - request_pos;
    }

    if (client == -1 || n == 0) {
        return;
    }

    sent = send(client, request + request_pos, n, MSG_DONTWAIT|MSG_NOSIGNAL);

    if (sent > 0) {
        request_pos += (size_t) sent;
    }
}


/* 1: the server has closed */

static int
fuzz_get(void)
{
    ssize_t  n;

    if (fuzz_traffic == looked) {
        return 0;
    }

    looked = fuzz_traffic;

    n = recv(client, answer + answer_len, MAX_ANSWER - answer_len,
             MSG_DONTWAIT);

    if (n > 0) {
        answer_len += (size_t) n;
        answer[answer_len] = '\0';
    }

    return n == 0;
}


/* a header and as many bytes as it tells; of the first answer */

static int
fuzz_is_whole(void)
{
    char  *body, *length;

    if (answer_len == 0) {
        return 0;
    }

    body = strstr(answer, "\r\n\r\n");
    length = strstr(answer, "\r\nContent-Length: ");

    if (body == NULL || length == NULL || length > body) {
        return 0;
    }

    return answer + answer_len - body - 4 >= strtol(length + 18, NULL, 10);
}


static void
fuzz_look(void)
{
    char  *body, *type, *length;
    long   len;

    if (fuzz_verbose) {
        fprintf(stderr, "%.*s\n", (int) answer_len, answer);
    }

    if (answer_len == 0 || memcmp(request, "HEAD ", 5) == 0) {
        return;
    }

    /* HTTP/0.9 has no header */

    if (strncmp(answer, "HTTP/1.1 ", 9) != 0 || !fuzz_is_whole()) {
        return;
    }

    body = strstr(answer, "\r\n\r\n") + 4;
    type = strstr(answer, "\r\nContent-Type: application/json");
    length = strstr(answer, "\r\nContent-Length: ");
    len = strtol(length + 18, NULL, 10);

    if (type != NULL && type < body && len > 0) {
        fuzz_json_body(body, (size_t) len);
    }
}


static void
fuzz_json_body(const char *body, size_t len)
{
    json_t  *root, *code;

    root = json_loadb(body, len, JSON_REJECT_DUPLICATES|JSON_ALLOW_NUL, NULL);
    fuzz_check(root != NULL);

    if (json_object_get(root, "openapi") == NULL) {
        code = json_object_get(root, "code");

        fuzz_check(json_is_integer(code) || json_object_get(root, "status")
                   || json_object_get(root, "ready")
                   || json_object_get(root, "version"));

        if (code != NULL) {
            fuzz_check(json_is_string(json_object_get(root, "message")));
            fuzz_check(json_string_length(json_object_get(root, "trace_id"))
                       == 32);
            fuzz_check(json_object_get(root, "data") != NULL
                       || json_integer_value(code) != 0);
        }
    }

    json_decref(root);
}


/* the client is gone and the backends are well: all must come back */

static void
fuzz_heal(void)
{
    int  i;

    if (client != -1) {
        close(client);
        client = -1;
    }

    fuzz_plan.script.len = 0;
    fuzz_plan.background = 0;
    fuzz_mysql_heal();

    for (i = 0; i < 100; i++) {
        fuzz_redis_release();
        fuzz_mysql_release();
        fuzz_turn(i == 0 ? 0 : 100);

        if (fuzz_redis_connections() == 2 && fuzz_used() == base) {
            break;
        }

        if (i > 50) {
            fuzz_clock_step(2000);
        }
    }

    fuzz_check(fuzz_redis_connections() == 2);
    fuzz_check(fuzz_used() == base);

    /* the greeting of a new lane; then limits by rate and leases are those of
     * the start again */

    fuzz_turn(0);
    fuzz_turn(10000);
}


/* MySQL's come and go as they are needed */

static size_t
fuzz_used(void)
{
    return ngx_cycle->connection_n - ngx_cycle->free_connection_n
           - fuzz_mysql_connections();
}
