
/*
 * Copyright (C) Rush
 *
 * Bills of providers: lines, amounts, archives, and what is none of these.
 */


#include "unit.h"

#include <zlib.h>

#include "bill_csv.h"


#define HEAD   "time,appid,mchid,sub,device,wx,no\r\n"
#define LINE(wx, no, state, refund, sum, back, fee)                           \
    "`2026-01-01 10:00:00,`wx1,`190,`0,`,`" wx ",`" no ",`o1,`NATIVE,`"       \
    state ",`OTHERS,`CNY,`" sum ",`0.00,`1,`" refund ",`" back ",`0.00,`,`,"  \
    "`Tea, green,`,`" fee ",`0.60%,`" sum ",`" back ",`\r\n"
#define SUMS(n)  "count,sum\r\n`" n ",`1.00\r\n"

#define ALI_HEAD  "#title\r\n#account\r\na,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q,r," \
    "s,t,u,v,w,x,y\r\n"
#define ALI(no, sum, refund, fee)                                             \
    "2088\t," no "\t,type\t,Tea\t,t\t,t\t,\t,\t,\t,\t,a\t," sum "\t," sum     \
    "\t,0\t,0\t,0\t,0\t,0\t,\t,0\t,0\t," refund "\t," fee "\t,0\t,\t\r\n"


static rush_buf_t
text_of(const char *text)
{
    rush_buf_t  b;

    memset(&b, 0, sizeof(rush_buf_t));
    rush_buf_puts(&b, text);

    return b;
}


static void
test_fen(void **state)
{
    size_t      i;
    int64_t     fen;
    rush_str_t  s;

    static const struct {
        const char  *text;
        int64_t      fen;               /* -1000: refused */
    } all[] = {
        { "0", 0 }, { "1", 100 }, { "1.5", 150 }, { "0.01", 1 },
        { "0.00600", 1 }, { "0.00499", 0 }, { "-0.06", -6 },
        { "-12.345", -1235 }, { "123456789.99", 12345678999LL },
        { "1.", 100 }, { "", -1000 }, { "-", -1000 }, { ".5", -1000 },
        { "1,0", -1000 }, { "1.0.0", -1000 }, { "+1", -1000 },
        { "1e3", -1000 }, { "99999999999999999999", -1000 }
    };

    for (i = 0; i < unit_count(all); i++) {
        s.data = (unsigned char *) (uintptr_t) all[i].text;
        s.len = strlen(all[i].text);
        fen = 0;

        if (rush_bill_fen(&s, &fen) != RUSH_OK) {
            fen = -1000;
        }

        assert_int_equal(fen, all[i].fen);
    }
}


static void
test_wechat(void **state)
{
    size_t            i, n;
    rush_buf_t        b;
    const char       *err;
    rush_bill_row_t  *rows;

    static const char *const  bad[] = {
        "", "`1,`2\r\n", HEAD, HEAD "`1,`2\r\n" SUMS("1"),
        HEAD LINE("4200", "77", "SUCCESS", "0", "10.00", "0.00", "0.06")
            SUMS("2"),
        HEAD LINE("4200", "77", "SUCCESS", "0", "10.00", "0.00", "0.06"),
        HEAD LINE("4200", "", "SUCCESS", "0", "10.00", "0.00", "0.06")
            SUMS("1"),
        HEAD LINE("4200", "77", "SUCCESS", "0", "0.00", "0.00", "0.06")
            SUMS("1"),
        HEAD LINE("4200", "77", "SUCCESS", "0", "ten", "0.00", "0.06")
            SUMS("1"),
        "<html>not found</html>"
    };

    b = text_of(HEAD
                LINE("4200", "77", "SUCCESS", "0", "10.00", "0.00", "0.06000")
                LINE("4201", "77", "REFUND", "R78", "0.00", "3.00", "-0.018")
                SUMS("2"));

    assert_int_equal(rush_bill_wechat(&b, &rows, &n, &err), RUSH_OK);
    assert_int_equal(n, 2);
    assert_string_equal(rows[0].number, "77");
    assert_int_equal(rows[0].refund, 0);
    assert_int_equal(rows[0].amount, 1000);
    assert_int_equal(rows[0].fee, 6);
    assert_string_equal(rows[1].number, "R78");
    assert_int_equal(rows[1].refund, 1);
    assert_int_equal(rows[1].amount, 300);
    assert_int_equal(rows[1].fee, -2);
    free(rows);
    rush_buf_free(&b);

    for (i = 0; i < unit_count(bad); i++) {
        b = text_of(bad[i]);
        assert_int_equal(rush_bill_wechat(&b, &rows, &n, &err), RUSH_ERROR);
        free(rows);
        rush_buf_free(&b);
    }
}


static void
put(rush_buf_t *b, uint32_t v, int bytes)
{
    unsigned char  c;

    for ( /* void */ ; bytes > 0; bytes--, v >>= 8) {
        c = (unsigned char) v;
        rush_buf_add(b, &c, 1);
    }
}


/* an archive of two stored files, the second one a summary */

static rush_buf_t
archive(const char *text)
{
    int         i;
    size_t      at[2], dir;
    uint32_t    crc[2], len[2];
    rush_buf_t  b;

    static const char *const  names[] = { "bill.csv", "bill\xbb\xe3\xd7\xdc" };

    memset(&b, 0, sizeof(rush_buf_t));

    for (i = 0; i < 2; i++) {
        len[i] = i == 0 ? (uint32_t) strlen(text) : 7;
        crc[i] = (uint32_t) crc32(0, (const unsigned char *)
                                  (i == 0 ? text : "garbage"), len[i]);
        at[i] = b.len;

        rush_buf_add(&b, "PK\3\4", 4);
        put(&b, 20, 2); put(&b, 0, 2); put(&b, 0, 2); put(&b, 0, 4);
        put(&b, crc[i], 4); put(&b, len[i], 4); put(&b, len[i], 4);
        put(&b, (uint32_t) strlen(names[i]), 2); put(&b, 0, 2);
        rush_buf_puts(&b, names[i]);
        rush_buf_puts(&b, i == 0 ? text : "garbage");
    }

    dir = b.len;

    for (i = 0; i < 2; i++) {
        rush_buf_add(&b, "PK\1\2", 4);
        put(&b, 20, 2); put(&b, 20, 2); put(&b, 0, 2); put(&b, 0, 2);
        put(&b, 0, 4); put(&b, crc[i], 4); put(&b, len[i], 4);
        put(&b, len[i], 4); put(&b, (uint32_t) strlen(names[i]), 2);
        put(&b, 0, 4); put(&b, 0, 4); put(&b, 0, 4);
        put(&b, (uint32_t) at[i], 4);
        rush_buf_puts(&b, names[i]);
    }

    crc[0] = (uint32_t) (b.len - dir);
    rush_buf_add(&b, "PK\5\6", 4);
    put(&b, 0, 4); put(&b, 2, 2); put(&b, 2, 2); put(&b, crc[0], 4);
    put(&b, (uint32_t) dir, 4); put(&b, 0, 2);

    return b;
}


static void
test_alipay(void **state)
{
    int               rc;
    size_t            i, n;
    rush_buf_t        b, zip;
    const char       *err;
    rush_bill_row_t  *rows;

    static const char  good[] =
        ALI_HEAD ALI("77", "10.00", "", "-0.06")
        ALI("77", "-3.00", "R78", "0.02") "#end\r\n";

    static const char *const  bad[] = {
        "", "#only\r\n", "<html>no bill</html>", "PK", "PK\3\4garbage",
        ALI_HEAD "1,2,3\r\n", ALI_HEAD ALI("77", "0.00", "", "0"),
        ALI_HEAD ALI("77", "-1.00", "", "0")
    };

    zip = archive(good);

    for (i = 0; i < 2; i++) {
        b = i == 0 ? text_of(good) : zip;

        assert_int_equal(rush_bill_alipay(&b, &rows, &n, &err), RUSH_OK);
        assert_int_equal(n, 2);
        assert_string_equal(rows[0].number, "77");
        assert_int_equal(rows[0].amount, 1000);
        assert_int_equal(rows[0].fee, 6);
        assert_string_equal(rows[1].number, "R78");
        assert_int_equal(rows[1].refund, 1);
        assert_int_equal(rows[1].amount, 300);
        assert_int_equal(rows[1].fee, -2);
        free(rows);

        if (i == 0) {
            rush_buf_free(&b);
        }
    }

    for (i = 0; i < unit_count(bad); i++) {
        b = text_of(bad[i]);
        assert_int_equal(rush_bill_alipay(&b, &rows, &n, &err), RUSH_ERROR);
        free(rows);
        rush_buf_free(&b);
    }

    /* whatever byte is another one: it is refused or read, and no more */

    for (i = 0; i < zip.len; i++) {
        zip.data[i] ^= 0xff;
        rc = rush_bill_alipay(&zip, &rows, &n, &err);
        assert_true(rc == RUSH_OK || rc == RUSH_ERROR);
        free(rows);
        zip.data[i] ^= 0xff;
    }

    for (i = zip.len; i > 0; i--) {
        zip.len = i - 1;
        assert_int_equal(rush_bill_alipay(&zip, &rows, &n, &err),
                         RUSH_ERROR);
        free(rows);
    }

    rush_buf_free(&zip);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_fen),
        cmocka_unit_test(test_wechat),
        cmocka_unit_test(test_alipay)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
