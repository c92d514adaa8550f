
/*
 * Copyright (C) Rush
 *
 * A ZIP archive in memory (APPNOTE 6.3, no encryption, no ZIP64): entries are
 * found by the central directory, stored or deflated, and their CRC is checked.
 */


#define _GNU_SOURCE                     /* memmem() */

#include <zlib.h>

#include "bill_csv.h"


#define RUSH_ZIP_END       22           /* bytes of the end record */
#define RUSH_ZIP_ENTRY     46
#define RUSH_ZIP_LOCAL     30
#define RUSH_ZIP_COMMENT   65535
#define RUSH_ZIP_FILES     64


typedef struct {
    size_t           at;                /* of the local header */
    size_t           packed;
    size_t           size;
    unsigned         method;
    unsigned         flags;
    uint32_t         crc;
    rush_str_t       name;
} rush_zip_entry_t;


static const unsigned char *rush_zip_end(const rush_buf_t *zip);
static int rush_zip_file(const rush_buf_t *zip, const rush_zip_entry_t *e,
    rush_buf_t *text);
static int rush_zip_inflate(const unsigned char *p,
    const rush_zip_entry_t *e, rush_buf_t *text);
static int rush_zip_is_sum(const rush_str_t *name);
static unsigned rush_zip_16(const unsigned char *p);
static uint32_t rush_zip_32(const unsigned char *p);


int
rush_bill_unzip(const rush_buf_t *zip, rush_buf_t *text, const char **err)
{
    int                   rc;
    size_t                at, i, n, len;
    rush_zip_entry_t      e;
    const unsigned char  *p;

    *err = "it is no archive that can be read";

    p = rush_zip_end(zip);
    if (p == NULL) {
        return RUSH_ERROR;
    }

    n = rush_zip_16(p + 10);
    at = rush_zip_32(p + 16);

    for (i = 0; i < n && i < RUSH_ZIP_FILES; i++) {

        if (at > zip->len || zip->len - at < RUSH_ZIP_ENTRY
            || memcmp(zip->data + at, "PK\1\2", 4) != 0)
        {
            return RUSH_ERROR;
        }

        p = zip->data + at;

        e.flags = rush_zip_16(p + 8);
        e.method = rush_zip_16(p + 10);
        e.crc = rush_zip_32(p + 16);
        e.packed = rush_zip_32(p + 20);
        e.size = rush_zip_32(p + 24);
        e.at = rush_zip_32(p + 42);
        e.name.len = rush_zip_16(p + 28);
        e.name.data = zip->data + at + RUSH_ZIP_ENTRY;

        len = RUSH_ZIP_ENTRY + e.name.len + rush_zip_16(p + 30)
              + rush_zip_16(p + 32);

        if (zip->len - at < len) {
            return RUSH_ERROR;
        }

        rc = rush_zip_is_sum(&e.name) ? RUSH_OK
                                      : rush_zip_file(zip, &e, text);

        if (rc != RUSH_OK) {
            return rc;
        }

        at += len;
    }

    return RUSH_OK;
}


/* at the end, before a comment */

static const unsigned char *
rush_zip_end(const rush_buf_t *zip)
{
    size_t                i;
    const unsigned char  *p;

    if (zip->len < RUSH_ZIP_END) {
        return NULL;
    }

    for (i = 0; i <= RUSH_ZIP_COMMENT && i + RUSH_ZIP_END <= zip->len; i++) {
        p = zip->data + zip->len - RUSH_ZIP_END - i;

        if (memcmp(p, "PK\5\6", 4) == 0 && rush_zip_16(p + 20) == i) {
            return p;
        }
    }

    return NULL;
}


static int
rush_zip_file(const rush_buf_t *zip, const rush_zip_entry_t *e,
    rush_buf_t *text)
{
    int                   rc;
    size_t                at, from;
    const unsigned char  *p;

    if (e->at > zip->len || zip->len - e->at < RUSH_ZIP_LOCAL
        || memcmp(zip->data + e->at, "PK\3\4", 4) != 0
        || (e->flags & 1) != 0 || e->size > RUSH_BILL_FILE - text->len)
    {
        return RUSH_ERROR;
    }

    p = zip->data + e->at;
    at = e->at + RUSH_ZIP_LOCAL + rush_zip_16(p + 26) + rush_zip_16(p + 28);

    if (at > zip->len || zip->len - at < e->packed) {
        return RUSH_ERROR;
    }

    p = zip->data + at;
    from = text->len;

    rc = RUSH_ERROR;

    if (e->method == 0 && e->packed == e->size) {
        rush_buf_add(text, p, e->size);
        rc = RUSH_OK;

    } else if (e->method == Z_DEFLATED) {
        rc = rush_zip_inflate(p, e, text);
    }

    if (text->failed) {
        return RUSH_UNSURE;
    }

    if (rc != RUSH_OK) {
        return rc;
    }

    if (text->len - from != e->size
        || crc32(0, text->data + from, (uInt) e->size) != e->crc)
    {
        return RUSH_ERROR;
    }

    return RUSH_OK;
}


static int
rush_zip_inflate(const unsigned char *p, const rush_zip_entry_t *e,
    rush_buf_t *text)
{
    int            rc;
    size_t         n, left;
    z_stream       z;
    unsigned char  block[16384];

    memset(&z, 0, sizeof(z_stream));

    /* without a header of zlib */

    if (inflateInit2(&z, -MAX_WBITS) != Z_OK) {
        return RUSH_UNSURE;             /* memory */
    }

    z.next_in = (unsigned char *) (uintptr_t) p;
    z.avail_in = (uInt) e->packed;
    left = e->size;

    do {
        z.next_out = block;
        z.avail_out = sizeof(block);

        rc = inflate(&z, Z_NO_FLUSH);
        n = sizeof(block) - z.avail_out;

        if ((rc != Z_OK && rc != Z_STREAM_END) || n > left) {
            rc = (rc == Z_MEM_ERROR) ? rc : Z_DATA_ERROR;
            break;
        }

        rush_buf_add(text, block, n);
        left -= n;

    } while (rc != Z_STREAM_END && n > 0);

    (void) inflateEnd(&z);

    return (rc == Z_STREAM_END && left == 0) ? RUSH_OK
           : rc == Z_MEM_ERROR ? RUSH_UNSURE : RUSH_ERROR;
}


/* "summary" in GBK or UTF-8: its sums are in no need of a second reading */

static int
rush_zip_is_sum(const rush_str_t *name)
{
    return memmem(name->data, name->len, "\xbb\xe3\xd7\xdc", 4) != NULL
           || memmem(name->data, name->len, "\xe6\xb1\x87\xe6\x80\xbb", 6)
              != NULL;
}


static unsigned
rush_zip_16(const unsigned char *p)
{
    return p[0] | (unsigned) p[1] << 8;
}


static uint32_t
rush_zip_32(const unsigned char *p)
{
    return rush_zip_16(p) | (uint32_t) rush_zip_16(p + 2) << 16;
}
