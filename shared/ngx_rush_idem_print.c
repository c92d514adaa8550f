
/*
 * Copyright (C) Rush
 */


#include <openssl/evp.h>

#include "ngx_rush_core.h"


/*
 * What makes two requests the same is the hash of the route and of all fields
 * that were given, as they were parsed: white space, the order of members and
 * members that nobody reads are no difference.  With a SECRET among them it
 * is a MAC: who can read Redis cannot try passwords.
 */


#define NGX_RUSH_IDEM_HASH  32


static ngx_uint_t ngx_rush_idem_hash(ngx_rush_req_t *q, EVP_MD_CTX *ctx,
    ngx_uint_t *secret);


ngx_int_t
ngx_rush_idem_print(ngx_rush_req_t *q, u_char *hex)
{
    u_char             hash[EVP_MAX_MD_SIZE];
    rush_str_t         text;
    EVP_MD_CTX        *ctx;
    ngx_uint_t         secret, good;
    const rush_seal_t *seal;

    ctx = EVP_MD_CTX_new();
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    secret = 0;

    good = EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1
           && ngx_rush_idem_hash(q, ctx, &secret)
           && EVP_DigestFinal_ex(ctx, hash, NULL) == 1;

    EVP_MD_CTX_free(ctx);

    if (good && secret) {
        seal = ngx_rush_seal_key(q->r);

        text.data = hash;
        text.len = NGX_RUSH_IDEM_HASH;

        good = seal && rush_seal_mac(seal, "idempotency", &text, 1, hash)
                       == RUSH_OK;
    }

    if (!good) {
        ngx_log_error(NGX_LOG_ERR, q->r->connection->log, 0,
                      "request of \"%V\" cannot be hashed", &q->route->name);
        return NGX_ERROR;
    }

    (void) ngx_hex_dump(hex, hash, NGX_RUSH_IDEM_HASH);
    ngx_explicit_memzero(hash, sizeof(hash));

    return NGX_OK;
}


/* by names, so that a later version may have more fields */

static ngx_uint_t
ngx_rush_idem_hash(ngx_rush_req_t *q, EVP_MD_CTX *ctx, ngx_uint_t *secret)
{
    u_char               head[NGX_INT64_LEN + 2];
    size_t               len;
    ngx_str_t           *text, value;
    ngx_uint_t           i, good;
    const rush_field_t  *f;

    good = EVP_DigestUpdate(ctx, q->route->name.data, q->route->name.len) == 1;

    for (i = 0; good && i < q->route->nfields; i++) {
        f = &q->route->fields[i];

        if (!(q->present >> i & 1)) {
            continue;
        }

        value.data = (u_char *) q->data + f->offset;
        value.len = sizeof(int64_t);

        if (f->type >= RUSH_T_STR) {
            text = (ngx_str_t *) value.data;
            value = *text;
        }

        *secret |= (f->type == RUSH_T_SECRET);

        /* names have no LF, and the length tells where a value ends */

        len = ngx_sprintf(head, "=%uz:", value.len) - head;

        good = EVP_DigestUpdate(ctx, "\n", 1) == 1
               && EVP_DigestUpdate(ctx, f->name.data, f->name.len) == 1
               && EVP_DigestUpdate(ctx, head, len) == 1
               && EVP_DigestUpdate(ctx, value.data, value.len) == 1;
    }

    return good;
}
