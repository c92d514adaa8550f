
/*
 * Copyright (C) Rush
 *
 * Daily bills as providers write them, into rows: the CSV of WeChat Pay
 * (bill_type ALL, not packed) and of Alipay (type "trade", a ZIP with GBK
 * inside, or the bare CSV).  Nothing but numbers and amounts is read.
 */


#ifndef _RUSH_BILL_CSV_H_INCLUDED_
#define _RUSH_BILL_CSV_H_INCLUDED_


#include "pay.h"


#define RUSH_BILL_SHA1   20
#define RUSH_BILL_CELLS  64             /* of a line; 25 or 27 are there */
#define RUSH_BILL_FILE   (256 << 20)    /* bytes, unpacked */


/* *rows is the caller's and borrows nothing of the text, also after a
 * RUSH_ERROR or RUSH_UNSURE (no memory); *err is a static sentence */

int rush_bill_wechat(rush_buf_t *text, rush_bill_row_t **rows, size_t *n,
    const char **err);
int rush_bill_alipay(rush_buf_t *text, rush_bill_row_t **rows, size_t *n,
    const char **err);

/* bill_zip.c: files of the archive but summaries, one after the other */
int rush_bill_unzip(const rush_buf_t *zip, rush_buf_t *text,
    const char **err);

/* "-12.3456" yuan -> fen, rounded half away from zero */
int rush_bill_fen(const rush_str_t *s, int64_t *fen);


#endif /* _RUSH_BILL_CSV_H_INCLUDED_ */
