/* Hashes against published examples (FIPS 180-4, RFC 4231), base64 (RFC 4648). */
#include "m4a1/base/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "m4a1/base/text.h"

static void test_sha256(void **state)
{
    (void)state;
    char hex[HASH_HEX];
    hash_hex("abc", 3, hex);
    assert_string_equal(
        hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    hash_hex("", 0, hex);
    assert_string_equal(
        hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

static void test_in_pieces(void **state)
{
    (void)state;
    struct hash_run *run = NULL;
    char whole[HASH_HEX], pieces[HASH_HEX];
    const char *text = "a text of some length, to be hashed in pieces of all sizes";
    size_t n = strlen(text);
    hash_hex(text, n, whole);
    for (size_t cut = 0; cut <= n; cut++) {
        assert_int_equal(hash_begin(&run, NULL), OK);
        hash_more(run, text, cut);
        hash_more(run, text + cut, n - cut);
        assert_int_equal(hash_end_hex(run, pieces, NULL), OK);
        assert_string_equal(pieces, whole);
    }
}

static void expect_hmac(
    const void *key, size_t n_key, const void *data, size_t len, const char *expected)
{
    uint8_t out[HASH_BYTES];
    char hex[HASH_HEX];
    assert_int_equal(hash_hmac(key, n_key, data, len, out, NULL), OK);
    hash_digits(out, hex);
    assert_string_equal(hex, expected);
}

static void test_hmac(void **state)
{
    (void)state;
    char key[131], data[50];
    memset(key, 0x0b, 20);
    expect_hmac(key, 20, "Hi There", 8,
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    expect_hmac("Jefe", 4, "what do ya want for nothing?", 28,
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    memset(key, 0xaa, 131);
    memset(data, 0xdd, 50);
    expect_hmac(key, 20, data, 50,
        "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
    // A key that is longer than a block is hashed first.
    expect_hmac(key, 131, "Test Using Larger Than Block-Size Key - Hash Key First", 54,
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    expect_hmac(
        "", 0, "", 0, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

static void test_base64(void **state)
{
    (void)state;
    static const struct {
        const char *text, *encoded;
    } rows[] = { { "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" }, { "foo", "Zm9v" },
        { "foobar", "Zm9vYmFy" } };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char encoded[16];
        uint8_t decoded[16];
        size_t len = strlen(rows[i].text), n = 0;
        assert_int_equal(base64_size(len), strlen(rows[i].encoded) + 1);
        base64_encode(rows[i].text, len, encoded);
        assert_string_equal(encoded, rows[i].encoded);
        assert_int_equal(base64_decode(encoded, strlen(encoded), decoded, &n, NULL), OK);
        assert_int_equal(n, len);
        assert_memory_equal(decoded, rows[i].text, len);
    }
    static const char *const broken[] = { "Zg=", "Zg", "Z===", "Zm9v\n", "Zm9-", "====" };
    for (size_t i = 0; i < COUNT_OF(broken); i++) {
        uint8_t decoded[16];
        size_t n = 0;
        assert_int_equal(
            base64_decode(broken[i], strlen(broken[i]), decoded, &n, NULL), E_DATA);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sha256),
        cmocka_unit_test(test_in_pieces),
        cmocka_unit_test(test_hmac),
        cmocka_unit_test(test_base64),
    };
    return cmocka_run_group_tests_name("hash", tests, NULL, NULL);
}
