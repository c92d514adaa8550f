
/*
 * Copyright (C) Rush
 *
 * What the stand-in for payment providers needs of cryptography, by OpenSSL
 * and none of our code: a filter of lines, so that a key is read once and a
 * signature costs no process.
 *
 *   sign KEYFILE TEXT              -> base64
 *   verify KEYFILE TEXT SIGNATURE  -> 1, 0
 *   seal KEY NONCE WITH TEXT       -> base64 of AES-256-GCM and its tag
 *   open KEY NONCE WITH TEXT       -> "+" and base64, or "-"
 *
 * All arguments but files are base64, with "=" in front of each.
 */


#define _DEFAULT_SOURCE                 /* strsep() */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/evp.h>
#include <openssl/pem.h>


#define FILES  32
#define TAG    16


typedef struct {
    size_t          len;
    unsigned char  *data;
} text_t;


typedef struct {
    char           *name;
    EVP_PKEY       *pkey;
} file_key_t;


static file_key_t  keys[FILES];
static size_t  nkeys;


static void
die(const char *what)
{
    fprintf(stderr, "crypto: %s\n", what);
    exit(1);
}


static text_t
decode(char *word)
{
    int     n;
    size_t  len;
    text_t  t;

    if (word == NULL || word[0] != '=') {
        die("an argument without =");
    }

    word++;
    len = strlen(word);
    t.data = malloc(len + 1);

    if (t.data == NULL) {
        die("no memory");
    }

    n = EVP_DecodeBlock(t.data, (unsigned char *) word, (int) len);

    if (n < 0) {
        n = 0;                          /* a signature may be anything */
    }

    while (n > 0 && len > 0 && word[len - 1] == '=') {
        n--;
        len--;
    }

    t.len = (size_t) n;

    return t;
}


static void
say(const char *before, const unsigned char *p, size_t len)
{
    char  *out;

    out = malloc(len / 3 * 4 + 8);
    if (out == NULL) {
        die("no memory");
    }

    EVP_EncodeBlock((unsigned char *) out, p, (int) len);
    printf("%s%s\n", before, out);
    free(out);
}


static EVP_PKEY *
key_of(const char *name)
{
    FILE    *f;
    X509    *x;
    size_t   i;

    for (i = 0; i < nkeys; i++) {
        if (strcmp(keys[i].name, name) == 0) {
            return keys[i].pkey;
        }
    }

    f = fopen(name, "r");
    if (f == NULL || nkeys == FILES) {
        die(name);
    }

    if (strstr(name, ".crt") != NULL) {
        x = PEM_read_X509(f, NULL, NULL, NULL);
        keys[nkeys].pkey = x ? X509_get_pubkey(x) : NULL;
        X509_free(x);

    } else if (strstr(name, ".pub") != NULL) {
        keys[nkeys].pkey = PEM_read_PUBKEY(f, NULL, NULL, NULL);

    } else {
        keys[nkeys].pkey = PEM_read_PrivateKey(f, NULL, NULL, NULL);
    }

    fclose(f);

    keys[nkeys].name = strdup(name);

    if (keys[nkeys].pkey == NULL || keys[nkeys].name == NULL) {
        die(name);
    }

    return keys[nkeys++].pkey;
}


static void
sign(const char *file, text_t text)
{
    size_t          len;
    EVP_MD_CTX     *ctx;
    unsigned char   out[1024];

    ctx = EVP_MD_CTX_new();
    len = sizeof(out);

    if (EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key_of(file)) != 1
        || EVP_DigestSign(ctx, out, &len, text.data, text.len) != 1)
    {
        die("cannot sign");
    }

    EVP_MD_CTX_free(ctx);
    say("", out, len);
}


static void
verify(const char *file, text_t text, text_t signature)
{
    int          rc;
    EVP_MD_CTX  *ctx;

    ctx = EVP_MD_CTX_new();

    if (EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, key_of(file))
        != 1)
    {
        die("cannot verify");
    }

    rc = EVP_DigestVerify(ctx, signature.data, signature.len, text.data,
                          text.len);
    EVP_MD_CTX_free(ctx);
    printf("%d\n", rc == 1);
}


static void
gcm(int encrypt, text_t key, text_t nonce, text_t with, text_t text)
{
    int              n;
    size_t           len;
    unsigned char   *out;
    EVP_CIPHER_CTX  *ctx;

    if (!encrypt && text.len < TAG) {
        printf("-\n");
        return;
    }

    len = encrypt ? text.len : text.len - TAG;
    out = malloc(len + TAG);
    ctx = EVP_CIPHER_CTX_new();

    if (key.len != 32 || out == NULL
        || EVP_CipherInit_ex(ctx, EVP_aes_256_gcm(), NULL, NULL, NULL,
                             encrypt) != 1
        || EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN, (int) nonce.len,
                               NULL) != 1
        || EVP_CipherInit_ex(ctx, NULL, NULL, key.data, nonce.data, encrypt)
           != 1)
    {
        die("cannot encrypt");
    }

    if (with.len) {
        EVP_CipherUpdate(ctx, NULL, &n, with.data, (int) with.len);
    }

    if (len) {
        EVP_CipherUpdate(ctx, out, &n, text.data, (int) len);
    }

    if (!encrypt) {
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG, text.data + len);

        if (EVP_CipherFinal_ex(ctx, out + len, &n) != 1) {
            printf("-\n");

        } else {
            say("+", out, len);
        }

    } else {
        EVP_CipherFinal_ex(ctx, out + len, &n);
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG, out + len);
        say("", out, len + TAG);
    }

    free(out);
    EVP_CIPHER_CTX_free(ctx);
}


int
main(void)
{
    char    *line, *rest, *word[5];
    size_t   i, size;
    text_t   t[5];

    line = NULL;
    size = 0;

    while (getline(&line, &size, stdin) > 0) {
        memset(t, 0, sizeof(t));
        line[strcspn(line, "\n")] = '\0';
        rest = line;

        for (i = 0; i < 5; i++) {
            word[i] = strsep(&rest, " ");

            if (i > 0 && word[i] != NULL && word[i][0] == '=') {
                t[i] = decode(word[i]);
            }
        }

        if (word[0] == NULL || word[2] == NULL) {
            die("a line that is none");
        }

        if (strcmp(word[0], "sign") == 0) {
            sign(word[1], t[2]);

        } else if (strcmp(word[0], "verify") == 0) {
            verify(word[1], t[2], t[3]);

        } else if (strcmp(word[0], "seal") == 0) {
            gcm(1, t[1], t[2], t[3], t[4]);

        } else {
            gcm(0, t[1], t[2], t[3], t[4]);
        }

        fflush(stdout);

        for (i = 1; i < 5; i++) {
            free(t[i].data);
        }
    }

    return 0;
}
