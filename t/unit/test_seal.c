
/*
 * Copyright (C) Rush
 */


#include "unit.h"
#include "rush_seal.h"


#define ZERO16  "00000000000000000000000000000000"
#define KEY15   "feffe9928665731c6d6a8f9467308308"
#define TEXT15  "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a3" \
                "18a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
#define SEAL15  "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd255" \
                "5d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"

#define FILE_TEXT  "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"


/* McGrew and Viega, "The Galois/Counter Mode of Operation", cases 13 to 16 */

static const struct {
    const char  *key;
    const char  *nonce;
    const char  *with;
    const char  *text;
    const char  *sealed;
    const char  *tag;
} gcm[] = {
    { ZERO16 ZERO16, "000000000000000000000000", "", "", "",
      "530f8afbc74536b9a963b4f1c4cb738b" },
    { ZERO16 ZERO16, "000000000000000000000000", "", ZERO16,
      "cea7403d4d606b6e074ec5d3baf39d18", "d0d1c8a799996bf0265b98b5d48ab919" },
    { KEY15 KEY15, "cafebabefacedbaddecaf888", "", TEXT15 "1aafd255",
      SEAL15 "898015ad", "b094dac5d93471bdec1a502270e3cc6c" },
    { KEY15 KEY15, "cafebabefacedbaddecaf888",
      "feedfacedeadbeeffeedfacedeadbeefabaddad2", TEXT15, SEAL15,
      "76fc6ece0f4e1768cddf8853bb2d551b" }
};


/* RFC 4231, 4.2 to 4.4 and 4.7 */

static const struct {
    const char  *key;
    size_t       repeat;                /* of the only byte; 0: as it stands */
    const char  *text;
    size_t       length;                /* of 0xdd, 0: as it stands */
    const char  *mac;
} hmac[] = {
    { "\x0b", 20, "Hi There", 0,
      "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7" },
    { "Jefe", 0, "what do ya want for nothing?", 0,
      "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843" },
    { "\xaa", 20, "", 50,
      "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe" },
    { "\xaa", 131, "Test Using Larger Than Block-Size Key - Hash Key First",
      0, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54" }
};


static size_t
unhex(unsigned char *dst, const char *hex)
{
    size_t    i;
    unsigned  v;

    for (i = 0; hex[2 * i] != '\0'; i++) {
        assert_int_equal(sscanf(&hex[2 * i], "%2x", &v), 1);
        dst[i] = (unsigned char) v;
    }

    return i;
}


static void
test_gcm(void **state)
{
    size_t         i, n;
    rush_str_t     with;
    unsigned char  key[32], nonce[12], aad[32], text[64], want[64], tag[16],
                   out[64], made[16];

    for (i = 0; i < unit_count(gcm); i++) {
        assert_int_equal(unhex(key, gcm[i].key), 32);
        assert_int_equal(unhex(nonce, gcm[i].nonce), 12);
        assert_int_equal(unhex(tag, gcm[i].tag), 16);
        with.data = aad;
        with.len = unhex(aad, gcm[i].with);
        n = unhex(text, gcm[i].text);
        assert_int_equal(unhex(want, gcm[i].sealed), n);

        assert_int_equal(rush_seal_gcm(key, nonce, &with, text, n, out, made),
                         RUSH_OK);
        assert_memory_equal(out, want, n);
        assert_memory_equal(made, tag, 16);

        assert_int_equal(rush_unseal_gcm(key, nonce, &with, want, n, out,
                                         tag), RUSH_OK);
        assert_memory_equal(out, text, n);

        tag[15] ^= 1;
        assert_int_equal(rush_unseal_gcm(key, nonce, &with, want, n, out,
                                         tag), RUSH_ERROR);
    }
}


static void
test_hmac(void **state)
{
    size_t         i, n;
    unsigned char  key[131], text[64], want[32], mac[32];

    for (i = 0; i < unit_count(hmac); i++) {
        n = hmac[i].repeat ? hmac[i].repeat : strlen(hmac[i].key);
        memset(key, hmac[i].key[0], sizeof(key));

        if (hmac[i].repeat == 0) {
            memcpy(key, hmac[i].key, n);
        }

        memset(text, 0xdd, sizeof(text));
        memcpy(text, hmac[i].text, strlen(hmac[i].text));
        unhex(want, hmac[i].mac);

        assert_int_equal(rush_hmac(key, n, text,
                                   hmac[i].length ? hmac[i].length
                                                  : strlen(hmac[i].text),
                                   mac),
                         RUSH_OK);
        assert_memory_equal(mac, want, 32);
    }
}


static void
load(rush_seal_t *seal, const char *text, int expected)
{
    const char     *err;
    unsigned char  *copy;

    err = NULL;
    copy = unit_copy(text, strlen(text));

    assert_int_equal(rush_seal_load(seal, copy, strlen(text), &err),
                     expected);
    assert_int_equal(err != NULL, expected != RUSH_OK);
    free(copy);
}


static void
test_load(void **state)
{
    size_t       i;
    rush_seal_t  seal;

    load(&seal, FILE_TEXT, RUSH_OK);

    for (i = 0; i < RUSH_SEAL_KEY; i++) {
        assert_int_equal(seal.key[i], i);
    }

    load(&seal, FILE_TEXT "\n", RUSH_OK);
    load(&seal, FILE_TEXT " \r\n", RUSH_OK);

    load(&seal, "", RUSH_ERROR);
    load(&seal, "\n", RUSH_ERROR);
    load(&seal, "k1:" FILE_TEXT, RUSH_ERROR);
    load(&seal, FILE_TEXT "A", RUSH_ERROR);
    load(&seal, FILE_TEXT "\n" FILE_TEXT, RUSH_ERROR);
    load(&seal, " " FILE_TEXT, RUSH_ERROR);
    load(&seal, "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9", RUSH_ERROR);
    load(&seal, "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh+", RUSH_ERROR);

    rush_seal_wipe(&seal);

    for (i = 0; i < RUSH_SEAL_KEY; i++) {
        assert_int_equal(seal.key[i], 0);
    }
}


static void
test_seal(void **state)
{
    int             len;
    size_t          i, n;
    rush_str_t      with = rush_string("id 7"), other = rush_string("id 8");
    rush_seal_t     a, b;
    unsigned char  *copy, first[64], again[64], out[64];

    memset(&a, 1, sizeof(rush_seal_t));
    memset(&b, 2, sizeof(rush_seal_t));

    for (n = 0; n < 20; n++) {
        assert_int_equal(rush_seal(&a, "x", &with, "12345678901234567890", n,
                                   first), n + RUSH_SEAL_EXTRA);
        assert_int_equal(rush_seal(&a, "x", &with, "12345678901234567890", n,
                                   again), n + RUSH_SEAL_EXTRA);
        assert_memory_not_equal(first, again, RUSH_SEAL_NONCE);

        copy = unit_copy(first, n + RUSH_SEAL_EXTRA);
        len = rush_unseal(&a, "x", &with, copy, n + RUSH_SEAL_EXTRA, out);
        assert_int_equal(len, n);
        assert_memory_equal(out, "12345678901234567890", n);

        /* another key, label, binding, length */

        assert_int_equal(rush_unseal(&b, "x", &with, copy,
                                     n + RUSH_SEAL_EXTRA, out), RUSH_ERROR);
        assert_int_equal(rush_unseal(&a, "y", &with, copy,
                                     n + RUSH_SEAL_EXTRA, out), RUSH_ERROR);
        assert_int_equal(rush_unseal(&a, "x", &other, copy,
                                     n + RUSH_SEAL_EXTRA, out), RUSH_ERROR);
        assert_int_equal(rush_unseal(&a, "x", NULL, copy,
                                     n + RUSH_SEAL_EXTRA, out), RUSH_ERROR);

        for (i = 0; i < n + RUSH_SEAL_EXTRA; i++) {
            assert_int_equal(rush_unseal(&a, "x", &with, copy, i, out),
                             RUSH_ERROR);
            copy[i] ^= 0x80;
            assert_int_equal(rush_unseal(&a, "x", &with, copy,
                                         n + RUSH_SEAL_EXTRA, out),
                             RUSH_ERROR);
            copy[i] ^= 0x80;
        }

        free(copy);
    }
}


static void
test_mac(void **state)
{
    size_t         i, j;
    rush_seal_t    a, b;
    unsigned char  mac[6][RUSH_SEAL_MAC];
    rush_str_t     ab_c[] = { rush_string("ab"), rush_string("c") };
    rush_str_t     a_bc[] = { rush_string("a"), rush_string("bc") };
    rush_str_t     abc[] = { rush_string("abc") };

    memset(&a, 1, sizeof(rush_seal_t));
    memset(&b, 2, sizeof(rush_seal_t));

    assert_int_equal(rush_seal_mac(&a, "x", ab_c, 2, mac[0]), RUSH_OK);
    assert_int_equal(rush_seal_mac(&a, "x", a_bc, 2, mac[1]), RUSH_OK);
    assert_int_equal(rush_seal_mac(&a, "x", abc, 1, mac[2]), RUSH_OK);
    assert_int_equal(rush_seal_mac(&a, "y", abc, 1, mac[3]), RUSH_OK);
    assert_int_equal(rush_seal_mac(&b, "x", abc, 1, mac[4]), RUSH_OK);
    assert_int_equal(rush_seal_mac(&a, "x", NULL, 0, mac[5]), RUSH_OK);

    for (i = 0; i < 6; i++) {
        for (j = 0; j < i; j++) {
            assert_memory_not_equal(mac[i], mac[j], RUSH_SEAL_MAC);
        }
    }

    assert_int_equal(rush_seal_mac(&a, "x", ab_c, 2, mac[1]), RUSH_OK);
    assert_memory_equal(mac[0], mac[1], RUSH_SEAL_MAC);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_gcm),
        cmocka_unit_test(test_hmac),
        cmocka_unit_test(test_load),
        cmocka_unit_test(test_seal),
        cmocka_unit_test(test_mac)
    };

    return cmocka_run_group_tests_name("rush_seal", tests, NULL, NULL);
}
