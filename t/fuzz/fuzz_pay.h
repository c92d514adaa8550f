
/*
 * Copyright (C) Rush
 *
 * What the targets of payment providers share: a key, and a reference for
 * objects that are read by rows of paths.
 */


#ifndef _FUZZ_PAY_H_INCLUDED_
#define _FUZZ_PAY_H_INCLUDED_


#include "fuzz.h"
#include "rush_rsa.h"


/* the key of the examples in WeChat Pay's manual */

#define FUZZ_KEY                                                              \
    "MIIEvAIBADANBgkqhkiG9w0BAQEFAASCBKYwggSiAgEAAoIBAQCm2mb6q8gMKH/3CN"       \
    "TbpJAIrbqiBiQGEOtjGcBrDYltsGynWgNscqT7WvfzU14FQbYcQUC5T4Wvva7mi3fI"       \
    "p3OgX8VqMDNA0qebnr38Pe6kqiLyZgFpJPXlSKDyPyqhRbVTbXssvSMQeVKcdXeVxo"       \
    "NNeoOlNFHgF/P0io6AmAVnz+hN8SiZKuOsth5/zUTLGvtkgxBcQooQrtXhRcpLT798"       \
    "OyIb9xeJ2HO3xRtMv2+perEzb4gMibI74UBz+2QEbnkubPE+2jU2rRZudnNEz/BPOt"       \
    "3Qj/w2V6/G0VumGDh6+UeMU0jv4aupHztWITC4Akn0l7lBCNy3lgl8VFaJnkIxAgMB"       \
    "AAECggEAYGL8aESB7NwciDWW2UdoWUsa7GxFtSdjAz2mFXGdeTsYmVh7b9OOkRGM+Q"       \
    "io4LqEHDBp1mMk5E/cUJwy1zw8pGGO5nfvs7u9TT3XnHaefIs4YvUgTYAneIuLRkXN"       \
    "N5rQU+CD7mVYczTSz0Vgjqo9wa1LjUz7G0xbBmJgTdMEFGJseJjy6AbJo0CGIwp6HJ"       \
    "bTm4CmOUgXnnDAIbEGTIRImkZFH/rzneIeR7oZ77FVwxr1CZB2gfRCov/yRPbw8vnr"       \
    "yYkmvQ7D/ze3j5097vRg/MoDGBSdoOwcmo75vyofr0ASzytMjmHYyifqkf5slPropS"       \
    "iJeGf4p/7gtKyF6dE/XQKBgQDVAlJ+4U5ZVGOuDc3+sAhz8CTzgFNlq9vKuSoFK6hO"       \
    "z2L+cwj+E7NXGkOe2DsHHZNy2Xqxk7caKhPEp1z9hhpMpyLVMoFt6CKemyoRBWDCQw"       \
    "LLwem9SZF/IAyovBkLiH36P42Jm26gUkNMKC/5Zhtqxf6RZgRQzbVudJi47vIRCwKB"       \
    "gQDIh0+v27Oo+DM3fhObH4I1NrXpWOEGH7OQG1dEsMuFYF4hjGhg0kBEP3w9vVdl2+"       \
    "mRllZKTsx9oqjb8OibPLLIH8xsdbAB0WLfJvjLu4wl/ILUzN1RI03dWnnv2EnEeQn6"       \
    "c3hizvrJ9wR5U4ue9RPVnQooJ0hZF1PUuCL5fWK3MwKBgElReU/PAYbh80WP3t3Rfb"       \
    "daa32dKBeQ5iCLR5lsA4zM+YgX1HqQEWTj126vgvHaDkyz6vWAoL/Sx+cirHFfXWIR"       \
    "DX5Q2hgYlQH+6qXdMgbrxeSYpHnQ/tHBGFpkFELSAnrGsVMyOwvYBO4LzyeLK9i+uf"       \
    "cWJFoj1FVmsMLHDG8tAoGARdbiiQQCoYG4DMarO2aQ6cmhN6EN1h0qY7EyBqlwaIZ0"       \
    "okiNfdMcMOjPc41DKCWcRmlOqlihXcxN9TQFPzO3rH1urAOdBjUPs1qWYhZyrDQyuL"       \
    "yVBBJApyxAtajloDjrob+fmQIvVDHk7ACN6xG+E7K6+9salnTKbJapD618uQMCgYBN"       \
    "y6XUvzLkP/A1U/UZdtcxl8GwU/dturLxz4CyGbqDw4ubaYY2e13lnqHUqQgPtiSyH5"       \
    "1nq3tdo8G0YAJdfkSvKvnfslW91fyEBUKnkdW1o3/1UFU/wprZ7ixVL/F42A4xDu7O"       \
    "FE8EnweJOZ0jWceEOdhCkaIGBCfRnlECRK8UyQ=="


typedef enum {
    REF_ID = 0,
    REF_STR,
    REF_TEXT,
    REF_INT,
    REF_TIME,
    REF_YUAN,
    REF_CHINA
} ref_kind_e;


typedef struct {
    const char   *path;
    ref_kind_e    kind;
    int64_t       max;
    size_t        offset;
} ref_path_t;


#define ROWS(a)  (sizeof(a) / sizeof((a)[0]))


/* of a program: the first byte of an input tells which one gets the rest */

typedef void (*fuzz_target_pt)(const unsigned char *p, size_t len);

extern const fuzz_target_pt  fuzz_targets[];
extern const size_t          fuzz_targets_n;


rush_rsa_t *fuzz_key(void);             /* the same one each time */

/*
 * Whether an object must be taken (1), must not (0), or may be (-1), by
 * jansson; when it was taken, the struct must have its values.  must: members
 * that have to be there, the last is NULL.
 */
int ref_paths(const ref_path_t *rows, size_t n, const char *const *must,
    const unsigned char *p, size_t len);
void ref_compare(const ref_path_t *rows, size_t n, const void *got,
    const unsigned char *p, size_t len);

int ref_yuan(const unsigned char *p, size_t len, int64_t *fen);
int ref_china(const unsigned char *p, size_t len, int64_t *ms);


#endif /* _FUZZ_PAY_H_INCLUDED_ */
