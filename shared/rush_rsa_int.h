
/*
 * Copyright (C) Rush
 *
 * Private to rush_rsa.c (keys, signatures) and rush_rsa_cert.c.
 */


#ifndef _RUSH_RSA_INT_H_INCLUDED_
#define _RUSH_RSA_INT_H_INCLUDED_


#include <openssl/evp.h>
#include <openssl/x509.h>

#include "rush_rsa.h"


struct rush_rsa_s {
    EVP_PKEY        *pkey;
    rush_rsa_info_t  info;
};


/* the key of a certificate, whose info is taken; frees the certificate, which
 * may be NULL */
EVP_PKEY *rush_rsa_of_x509(rush_rsa_t *key, X509 *x);

/* for OpenSSL, which would ask the terminal */
int rush_rsa_no_password(char *buf, int size, int flag, void *data);


#endif /* _RUSH_RSA_INT_H_INCLUDED_ */
