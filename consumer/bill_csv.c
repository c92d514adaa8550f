
/*
 * Copyright (C) Rush
 */


#include <stdlib.h>

#include "bill_csv.h"
#include "rush_field.h"


/* cells from the left; those behind a name of goods from the right */

#define RUSH_WX_NO        6
#define RUSH_WX_STATE     9
#define RUSH_WX_REFUND    15
#define RUSH_WX_FEE       5
#define RUSH_WX_TOTAL     3
#define RUSH_WX_BACK      2
#define RUSH_WX_CELLS     27

#define RUSH_ALI_NO       1
#define RUSH_ALI_TOTAL    14
#define RUSH_ALI_REFUND   4
#define RUSH_ALI_FEE      3
#define RUSH_ALI_CELLS    25


static int rush_bill_line(unsigned char **p, unsigned char *last,
    rush_str_t *line);
static size_t rush_bill_cells(const rush_str_t *line, unsigned char mark,
    rush_str_t *cells);
static int rush_bill_bad(const rush_bill_row_t *row, size_t count,
    size_t least, const char **err);
static rush_bill_row_t *rush_bill_add(rush_bill_row_t **rows, size_t *n,
    size_t *room);
static int rush_bill_number(rush_bill_row_t *row, const rush_str_t *cell);
static int rush_bill_wechat_row(rush_bill_row_t *row, rush_str_t *cells,
    size_t n);
static int rush_bill_alipay_row(rush_bill_row_t *row, rush_str_t *cells,
    size_t n);


int
rush_bill_wechat(rush_buf_t *text, rush_bill_row_t **rows, size_t *n,
    const char **err)
{
    size_t            count, room;
    int64_t           want;
    rush_str_t        line, cells[RUSH_BILL_CELLS];
    unsigned char    *p, *last;
    rush_bill_row_t  *row;

    *rows = NULL;
    *n = 0;
    room = 0;
    want = -1;

    p = text->data;
    last = p + text->len;

    /* a line of names, data, a line of names, one line of sums */

    if (text->len == 0 || !rush_bill_line(&p, last, &line)
        || line.len == 0 || line.data[0] == '`')
    {
        *err = "it does not begin with names of columns";
        return RUSH_ERROR;
    }

    while (rush_bill_line(&p, last, &line) && line.len > 0
           && line.data[0] == '`')
    {
        count = rush_bill_cells(&line, '`', cells);
        row = count < RUSH_WX_CELLS ? NULL : rush_bill_add(rows, n, &room);

        if (row == NULL || rush_bill_wechat_row(row, cells, count) != RUSH_OK)
        {
            return rush_bill_bad(row, count, RUSH_WX_CELLS, err);
        }
    }

    if (rush_bill_line(&p, last, &line)
        && rush_bill_cells(&line, '`', cells) > 0
        && rush_parse_u63(cells[0].data, cells[0].len, &want) == RUSH_OK
        && want == (int64_t) *n)
    {
        return RUSH_OK;
    }

    *err = "its sums are of another number of lines";

    return RUSH_ERROR;
}


int
rush_bill_alipay(rush_buf_t *text, rush_bill_row_t **rows, size_t *n,
    const char **err)
{
    int               rc, named;
    size_t            count, room;
    rush_buf_t        plain, *b;
    rush_str_t        line, cells[RUSH_BILL_CELLS];
    unsigned char    *p, *last;
    rush_bill_row_t  *row;

    *rows = NULL;
    *n = 0;
    room = 0;
    named = 0;
    rc = RUSH_OK;
    b = text;

    memset(&plain, 0, sizeof(rush_buf_t));

    if (text->len > 2 && memcmp(text->data, "PK", 2) == 0) {
        b = &plain;
        rc = rush_bill_unzip(text, b, err);
    }

    p = b->data;
    last = p + b->len;

    while (rc == RUSH_OK && b->len > 0 && rush_bill_line(&p, last, &line)) {

        if (line.len == 0 || line.data[0] == '#') {
            continue;
        }

        count = rush_bill_cells(&line, '\t', cells);

        /* the first one that is no remark has the names of columns */

        if (!named) {

            if (count < RUSH_ALI_CELLS) {
                break;
            }

            named = 1;
            continue;
        }

        row = count < RUSH_ALI_CELLS ? NULL : rush_bill_add(rows, n, &room);

        if (row == NULL || rush_bill_alipay_row(row, cells, count) != RUSH_OK)
        {
            rc = rush_bill_bad(row, count, RUSH_ALI_CELLS, err);
        }
    }

    if (rc == RUSH_OK && !named) {
        *err = "it has no names of columns";
        rc = RUSH_ERROR;
    }

    rush_buf_free(&plain);

    return rc;
}


static int
rush_bill_line(unsigned char **p, unsigned char *last, rush_str_t *line)
{
    unsigned char  *end;

    if (*p >= last) {
        return 0;
    }

    end = memchr(*p, '\n', (size_t) (last - *p));

    if (end == NULL) {
        end = last;
    }

    line->data = *p;
    line->len = (size_t) (end - *p);
    *p = end + 1;

    if (line->len > 0 && line->data[line->len - 1] == '\r') {
        line->len--;
    }

    return 1;
}


/* cells end at commas; WeChat puts its mark before each one, so that a comma
 * inside of a cell is none, Alipay blanks behind */

static size_t
rush_bill_cells(const rush_str_t *line, unsigned char mark,
    rush_str_t *cells)
{
    size_t          n;
    rush_str_t     *c;
    unsigned char  *p, *last;

    n = 0;
    p = line->data;
    last = p + line->len;
    c = NULL;

    for ( ;; ) {

        if (c == NULL) {

            if (n == RUSH_BILL_CELLS) {
                return n;
            }

            c = &cells[n++];
            p += (mark == '`' && p < last && *p == '`');
            c->data = p;
        }

        if (p >= last || (*p == ',' && (mark != '`' || p + 1 >= last
                                        || p[1] == '`')))
        {
            c->len = (size_t) (p - c->data);

            while (c->len > 0 && (c->data[c->len - 1] == '\t'
                                  || c->data[c->len - 1] == ' '))
            {
                c->len--;
            }

            if (p >= last) {
                return n;
            }

            c = NULL;
        }

        p++;
    }
}


/* what is wrong with a line of count cells */

static int
rush_bill_bad(const rush_bill_row_t *row, size_t count, size_t least,
    const char **err)
{
    if (count >= least && row == NULL) {
        *err = "no memory";
        return RUSH_UNSURE;
    }

    *err = count < least ? "a line is too short"
                         : "a line has no number or no amount";

    return RUSH_ERROR;
}


static rush_bill_row_t *
rush_bill_add(rush_bill_row_t **rows, size_t *n, size_t *room)
{
    size_t            more;
    rush_bill_row_t  *all;

    if (*n == *room) {
        more = *room ? *room * 2 : 256;
        all = realloc(*rows, more * sizeof(rush_bill_row_t));

        if (all == NULL) {
            return NULL;
        }

        *rows = all;
        *room = more;
    }

    memset(&(*rows)[*n], 0, sizeof(rush_bill_row_t));

    return &(*rows)[(*n)++];
}


/* a number that is longer than ours is somebody else's; its beginning is
 * kept, which is none of ours either */

static int
rush_bill_number(rush_bill_row_t *row, const rush_str_t *cell)
{
    size_t  len;

    len = cell->len < RUSH_PAY_NUMBER ? cell->len : RUSH_PAY_NUMBER - 1;

    if (len == 0) {
        return RUSH_ERROR;
    }

    memcpy(row->number, cell->data, len);
    row->number[len] = '\0';

    return RUSH_OK;
}


static int
rush_bill_wechat_row(rush_bill_row_t *row, rush_str_t *cells, size_t n)
{
    const rush_str_t  *state;

    state = &cells[RUSH_WX_STATE];

    row->refund = !(state->len == 7
                    && memcmp(state->data, "SUCCESS", 7) == 0);

    if (rush_bill_number(row, &cells[row->refund ? RUSH_WX_REFUND
                                                 : RUSH_WX_NO])
        != RUSH_OK
        || rush_bill_fen(&cells[n - (row->refund ? RUSH_WX_BACK
                                                 : RUSH_WX_TOTAL)],
                         &row->amount)
           != RUSH_OK
        || rush_bill_fen(&cells[n - RUSH_WX_FEE], &row->fee) != RUSH_OK)
    {
        return RUSH_ERROR;
    }

    return row->amount > 0 ? RUSH_OK : RUSH_ERROR;
}


/* what comes back has a sign, and the number of the request */

static int
rush_bill_alipay_row(rush_bill_row_t *row, rush_str_t *cells, size_t n)
{
    const rush_str_t  *request;

    request = &cells[n - RUSH_ALI_REFUND];

    if (rush_bill_fen(&cells[n - RUSH_ALI_TOTAL], &row->amount) != RUSH_OK
        || rush_bill_fen(&cells[n - RUSH_ALI_FEE], &row->fee) != RUSH_OK)
    {
        return RUSH_ERROR;
    }

    row->refund = row->amount < 0;
    row->amount = row->refund ? -row->amount : row->amount;

    /* to Alipay a fee is below 0, to everybody else it is money that is paid */

    row->fee = -row->fee;

    if (rush_bill_number(row, row->refund ? request : &cells[RUSH_ALI_NO])
        != RUSH_OK)
    {
        return RUSH_ERROR;
    }

    return row->amount > 0 ? RUSH_OK : RUSH_ERROR;
}


int
rush_bill_fen(const rush_str_t *s, int64_t *fen)
{
    int                   minus, digits, next;
    int64_t               v;
    const unsigned char  *p, *last;

    p = s->data;
    last = p + s->len;
    minus = (p < last && *p == '-');
    p += minus;

    v = 0;
    digits = -1;                        /* behind the point */
    next = 0;

    if (p == last || *p < '0' || *p > '9') {
        return RUSH_ERROR;
    }

    for ( /* void */ ; p < last; p++) {

        if (*p == '.' && digits == -1) {
            digits = 0;
            continue;
        }

        if (*p < '0' || *p > '9' || v > INT64_MAX / 1000) {
            return RUSH_ERROR;
        }

        if (digits < 2) {
            v = v * 10 + (*p - '0');

        } else if (digits == 2) {
            next = *p - '0';
        }

        digits += (digits >= 0);
    }

    for (digits = digits < 0 ? 0 : digits; digits < 2; digits++) {
        v *= 10;
    }

    v += (next >= 5);
    *fen = minus ? -v : v;

    return RUSH_OK;
}
