
/*
 * Copyright (C) Rush
 *
 * Do the books balance?  Each row of the table is one question to MySQL that
 * has no answer when all is well: what a payment, its order, its refunds, the
 * ledger and the notices say of each other.  Nothing is changed here, and
 * nothing mends itself: money that does not add up is looked at by somebody.
 *
 * A question is one statement, so it sees one moment of rows that change
 * together; what it finds is asked again after a while all the same, since a
 * transaction that was read twice would look like a difference.
 */


#include "controller.h"
#include "pay_int.h"
#include "rush_id.h"


#define RUSH_BOOKS_TRIES   3
#define RUSH_BOOKS_RECENT  (2 * RUSH_PAY_DAY)   /* for the auditor */
#define RUSH_BOOKS_LATE    600000       /* ms, a late payment may wait */


typedef enum {
    RUSH_SINCE_MS = 0,                  /* what the "?" are */
    RUSH_SINCE_ID,
    RUSH_SINCE_ID_TWICE,
    RUSH_SINCE_ID_LATE,                 /* and until when */
    RUSH_SINCE_MS_OLD
} rush_since_e;


typedef struct {
    unsigned         stmt;
    rush_since_e     since;
    unsigned         whole;             /* 1: looks at all rows, whatever
                                           since: by --reconcile only */
    const char      *rule;
    const char      *text;              /* of what was found, two numbers */
} rush_book_t;


static int rush_book_ask(rush_audit_t *audit, const rush_book_t *book,
    int64_t since, rush_rows_t *rows);
static int rush_book_check(rush_audit_t *audit, const rush_book_t *book,
    int64_t since);


#define rush_book(name, since, whole, rule, text)                             \
    { RUSH_CASH_SQL_BOOKS_##name, RUSH_SINCE_##since, whole, rule, text }

static const rush_book_t  rush_books_list[] = {

    rush_book(SUMS, MS, 0, "I7", "ledger %s: the sum is %s fen, of %s rows"),
    rush_book(PAYMENTS, ID, 0, "I7",
              "payment %s: %s fen were paid, the ledger has %s"),
    rush_book(REFUNDS, ID, 0, "I7",
              "refund %s: %s fen went back, the ledger has %s"),
    rush_book(STRAYS, MS, 0, "I7",
              "ledger %s: %s fen (row %s) that no payment or refund explains"),
    rush_book(PROMISED, ID_TWICE, 0, "I7",
              "payment %s: %s fen are promised back, its refunds say %s"),
    rush_book(RETURNED, ID_TWICE, 0, "I7",
              "payment %s: %s fen went back, its refunds say %s"),
    rush_book(OVER, ID, 0, "I7",
              "payment %s: %s fen were paid, %s are promised back"),
    rush_book(TWICE, ID, 0, "I7", "order %s is paid %s times (payment %s)"),
    rush_book(PAID, ID, 0, "I7",
              "payment %s has state %s, its order has status %s"),
    rush_book(ENDED, ID, 0, "I7",
              "order %s has status %s, payment %s did not go back"),
    rush_book(ORDERS, MS, 1, "I7",
              "order %s has status %s, payment %s did not pay it"),

    rush_book(EDGES, MS, 0, "I8", "order %s went from %s to %s"),
    rush_book(PATH, MS, 0, "I8", "order %s came to %s and left from %s"),
    rush_book(LAST, MS, 0, "I8",
              "order %s has status %s, its record ends at %s"),
    rush_book(UNLOGGED, MS, 1, "I8",
              "order %s has status %s, version %s and no record"),

    rush_book(UNMATCHED, MS_OLD, 0, "I13",
              "notice %s has no payment (payment %s, refund %s)"),
    rush_book(SILENT, MS, 0, "I13",
              "notice %s differs and nobody was told (payment %s, refund %s)"),
    rush_book(APPLIED, ID, 0, "I13",
              "notice %s was applied, payment %s has state %s"),
    rush_book(GONE, MS, 1, "I13",
              "notice %s was applied, payment %s is gone (state %s)"),
    rush_book(OWED, ID, 0, "I13",
              "payment %s: %s fen are to go back, its refunds say %s"),
    rush_book(LATE, ID_LATE, 0, "I13",
              "payment %s: %s fen came late, nobody has decided (state %s)"),

    rush_book(LETTERS, MS, 0, "I12",
              "dead letter %s of payments (%s, state %s)")
};

#define RUSH_BOOKS  (sizeof(rush_books_list) / sizeof(rush_book_t))


int
rush_books(rush_audit_t *audit, int recent)
{
    size_t   i;
    int64_t  since;

    since = recent ? rush_now() - RUSH_BOOKS_RECENT : 0;

    for (i = 0; i < RUSH_BOOKS; i++) {

        if (recent && rush_books_list[i].whole) {
            continue;
        }

        if (rush_stopping(audit->ctl->daemon)
            || rush_book_check(audit, &rush_books_list[i], since) != RUSH_OK)
        {
            return RUSH_ERROR;
        }
    }

    return RUSH_OK;
}


static int
rush_book_check(rush_audit_t *audit, const rush_book_t *book, int64_t since)
{
    int          try;
    char         text[200];
    size_t       i;
    rush_rows_t  rows;

    memset(&rows, 0, sizeof(rush_rows_t));

    for (try = 0; try < RUSH_BOOKS_TRIES; try++) {

        if (try > 0 && rush_audit_wait(audit)) {
            rush_rows_free(&rows);
            return RUSH_ERROR;
        }

        if (rush_book_ask(audit, book, since, &rows) != RUSH_OK) {
            rush_rows_free(&rows);
            return RUSH_ERROR;
        }

        if (rows.n == 0) {
            break;
        }
    }

    for (i = 0; i < rows.n; i++) {
        snprintf(text, sizeof(text), book->text,
                 (char *) rush_cell(&rows, i, 0)->data,
                 (char *) rush_cell(&rows, i, 1)->data,
                 (char *) rush_cell(&rows, i, 2)->data);
        rush_audit_tell(audit, book->rule, "%s", text);
    }

    rush_rows_free(&rows);

    return RUSH_OK;
}


static int
rush_book_ask(rush_audit_t *audit, const rush_book_t *book, int64_t since,
    rush_rows_t *rows)
{
    int64_t       id, now;
    size_t        n;
    rush_param_t  params[2];

    now = rush_now();

    /* a time of before the first id is none */

    id = since > RUSH_ID_EPOCH ? (since - RUSH_ID_EPOCH) << 22 : 0;

    params[0] = rush_p_int(id);
    params[1] = rush_p_int(id);
    n = 1;

    switch (book->since) {

    case RUSH_SINCE_ID:
        break;

    case RUSH_SINCE_ID_TWICE:
        n = 2;
        break;

    case RUSH_SINCE_ID_LATE:
        params[1] = rush_p_int(now - RUSH_BOOKS_LATE);
        n = 2;
        break;

    case RUSH_SINCE_MS_OLD:
        params[0] = rush_p_int(since);
        params[1] = rush_p_int(now - audit->ctl->daemon->conf
                                         .cashier.unmatched_alarm * 1000);
        n = 2;
        break;

    default:
        params[0] = rush_p_int(since);
    }

    return rush_db_run(audit->ctl->db, &rush_cash_sql[book->stmt], params, n,
                       rows) == RUSH_OK ? RUSH_OK : RUSH_ERROR;
}
