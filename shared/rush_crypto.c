
/*
 * Copyright (C) Rush
 */


#include "rush_crypto.h"

#include <openssl/crypto.h>
#include <openssl/decoder.h>
#include <openssl/err.h>
#include <openssl/evp.h>


/* one method stands for all of its operation */

#define RUSH_OPERATIONS(F)                                                    \
    F(EVP_MD,        "SHA256")                                                \
    F(EVP_MAC,       "HMAC")                                                  \
    F(EVP_CIPHER,    "AES-256-GCM")                                           \
    F(EVP_SIGNATURE, "RSA")                                                   \
    F(EVP_KEYMGMT,   "RSA")                                                   \
    F(EVP_RAND,      "CTR-DRBG")                                              \
    F(OSSL_DECODER,  "RSA")


#define RUSH_OPERATION_FETCH(type, name)                                      \
                                                                              \
static int                                                                    \
rush_fetch_##type(void)                                                       \
{                                                                             \
    type  *method;                                                            \
                                                                              \
    method = type##_fetch(NULL, name, NULL);                                  \
    type##_free(method);                                                      \
                                                                              \
    return method != NULL;                                                    \
}

RUSH_OPERATIONS(RUSH_OPERATION_FETCH)


int
rush_crypto_ready(void)
{
    int  ready;

    ERR_clear_error();

    ready = OSSL_LIB_CTX_get0_global_default() != NULL;

#define RUSH_OPERATION_TRY(type, name)  ready = ready && rush_fetch_##type();
    RUSH_OPERATIONS(RUSH_OPERATION_TRY)
#undef RUSH_OPERATION_TRY

    /* a method beside the one that was fetched */

    ready = ready && ERR_peek_error() == 0;
    ERR_clear_error();

    return ready ? RUSH_OK : RUSH_ERROR;
}
