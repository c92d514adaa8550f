
/*
 * Copyright (C) Rush
 *
 * Tokens of the users of a load, signed before the clock starts.
 */


#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "rush_base.h"
#include "rush_jwt.h"

#include "load.h"


/* NULL: said why */

char **
load_tokens(const char *file, long first, long users)
{
    long            i;
    char          **tokens;
    FILE           *f;
    size_t          len;
    rush_jwt_t     *jwt;
    const char     *err;
    rush_claims_t   claims;
    unsigned char   text[65536], token[RUSH_JWT_MAX_LEN];

    f = fopen(file, "r");
    jwt = rush_jwt_create("rush", "rush", 30);
    tokens = calloc(users, sizeof(char *));

    if (f == NULL || jwt == NULL || tokens == NULL) {
        fprintf(stderr, "load: %s: %s\n", file, strerror(errno));
        return NULL;
    }

    len = fread(text, 1, sizeof(text), f);
    fclose(f);

    if (rush_jwt_load(jwt, text, len, &err) != RUSH_OK) {
        fprintf(stderr, "load: %s: %s\n", file, err);
        return NULL;
    }

    memset(&claims, 0, sizeof(claims));
    claims.version = 1;
    claims.issued = time(NULL);
    claims.expires = claims.issued + 7200;

    for (i = 0; i < users; i++) {
        claims.user = first + i;
        claims.session = 1 + i;
        len = rush_jwt_sign(jwt, &claims, token);
        tokens[i] = len ? strndup((char *) token, len) : NULL;

        if (tokens[i] == NULL) {
            fprintf(stderr, "load: no token\n");
            return NULL;
        }
    }

    rush_jwt_destroy(jwt);
    return tokens;
}
