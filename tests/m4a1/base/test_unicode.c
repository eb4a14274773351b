/* Characters, normalisation and lower case. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <utf8proc.h>

#include "m4a1/base/random.h"
#include "m4a1/base/text.h"
#include "m4a1/base/unicode.h"

static struct buffer out;

static const char *nfc(const char *s)
{
    buffer_clear(&out);
    assert_int_equal(unicode_nfc(s, strlen(s), &out, NULL), OK);
    return buffer_str(&out);
}

static const char *lower(const char *s)
{
    buffer_clear(&out);
    assert_int_equal(unicode_lower(s, strlen(s), &out, NULL), OK);
    return buffer_str(&out);
}

static void walks_through_characters(void **state)
{
    (void)state;
    const char *s = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80";
    static const int32_t expected[] = { 'a', 0xE9, 0x20AC, 0x1F600 };
    size_t i = 0;
    for (size_t n = 0; n < COUNT_OF(expected); n++)
        assert_int_equal(unicode_next(s, strlen(s), &i), expected[n]);
    assert_int_equal(i, strlen(s));
    i = 1; // broken texts end, too
    assert_int_equal(unicode_next("a\xc3", 2, &i), 0xFFFD);
    assert_int_equal(i, 2);

    buffer_clear(&out);
    for (size_t n = 0; n < COUNT_OF(expected); n++)
        unicode_add(&out, expected[n]);
    assert_string_equal(buffer_str(&out), s);
    static const int32_t none[] = { -1, 0xD800, 0xDFFF, 0x110000, INT32_MAX };
    for (size_t n = 0; n < COUNT_OF(none); n++) {
        buffer_clear(&out);
        unicode_add(&out, none[n]);
        assert_string_equal(buffer_str(&out), "\xef\xbf\xbd");
    }
}

static void knows_white_space_and_digits(void **state)
{
    (void)state;
    int n = 0;
    for (int32_t c = 0; c < 0x110000; c++)
        n += unicode_is_space(c);
    assert_int_equal(n, 25); // White_Space of Unicode 15
    assert_true(unicode_is_space(0x85) && unicode_is_space(0x3000));
    assert_false(unicode_is_space(0x180E) || unicode_is_space(0x200B));
    assert_false(unicode_is_space(0x1C) || unicode_is_space(0xFEFF));
    assert_true(unicode_is_digit('7') && unicode_is_digit(0x663));
    assert_false(unicode_is_digit(0xB2) || unicode_is_digit(0x2167));
    assert_int_equal(unicode_from_c1(0x80), 0x20AC);
    assert_int_equal(unicode_from_c1(0x92), 0x2019);
    assert_int_equal(unicode_from_c1(0x81), 0x81); // a hole
    assert_int_equal(unicode_from_c1(0x9F), 0x178);
    assert_int_equal(unicode_from_c1(0xA0), 0xA0);
}

static void composes(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        { "", "" },
        { "plain", "plain" },
        { "e\xcc\x81", "\xc3\xa9" },                                // e + acute
        { "xe\xcc\x81y", "x\xc3\xa9y" },                            // in a word
        { "\xe2\x84\xab", "\xc3\x85" },                             // angstrom sign
        { "\xe1\x84\x80\xe1\x85\xa1\xe1\x86\xa8", "\xea\xb0\x81" }, // jamo
        { "a\xcc\x81\xcc\x96", "\xc3\xa1\xcc\x96" },    // marks in another order
        { "\xe0\xa5\x98", "\xe0\xa4\x95\xe0\xa4\xbc" }, // never composed
        { "\xcc\x81", "\xcc\x81" },                     // a mark alone
        { "<\xcc\xb8", "\xe2\x89\xae" },                // not less-than
        { "\xe4\xbd\xa0", "\xe4\xbd\xa0" },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        assert_string_equal(nfc(cases[i][0]), cases[i][1]);
    buffer_clear(&out);
    unicode_add_nfkc(&out, 0xFF21);
    unicode_add_nfkc(&out, 0xFFE3); // a space and a macron
    unicode_add_nfkc(&out, 'x');
    assert_string_equal(buffer_str(&out), "A \xcc\x84x");
}

/* Runs of marks and letters against utf8proc's own NFC, whose sort is another. */
static void composes_as_utf8proc_does(void **state)
{
    (void)state;
    static const int32_t some[] = { 'a', 'e', 0x41, 0xC5, 0x301, 0x316, 0x300, 0x323,
        0x345, 0x344, 0x5B0, 0x1100, 0x1161, 0x11A8, 0xAC00, 0x915, 0x93C, 0x958, 0x212B,
        0x1D15E, 0x1F82, 0x4F60 };
    struct rng rng;
    rng_init(&rng, 7, "unicode", 0);
    for (int round = 0; round < 5000; round++) {
        struct buffer text;
        buffer_init(&text, 1000);
        for (uint64_t n = rng_below(&rng, 40); n > 0; n--)
            unicode_add(&text, some[rng_below(&rng, COUNT_OF(some))]);
        utf8proc_uint8_t *expected =
            utf8proc_NFC((const utf8proc_uint8_t *)buffer_str(&text));
        assert_string_equal(nfc(buffer_str(&text)), (const char *)expected);
        free(expected);
        buffer_release(&text);
    }
}

static void lowers_as_python_does(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        { "", "" },
        { "MiXed 42", "mixed 42" },
        { "\xc3\x89T\xc3\x89", "\xc3\xa9t\xc3\xa9" },
        { "\xc4\xb0stanbul", "i\xcc\x87stanbul" },
        { "STRASSE \xe1\xba\x9e", "strasse \xc3\x9f" },
        { "\xf0\x90\x90\x80", "\xf0\x90\x90\xa8" }, // Deseret
        { "\xc7\x85", "\xc7\x86" },                 // title case
        // Sigma: alone, at the end of a word, within, behind what is ignored or no letter.
        { "\xce\xa3", "\xcf\x83" },
        { "\xce\x9f\xce\x94\xce\x9f\xce\xa3", "\xce\xbf\xce\xb4\xce\xbf\xcf\x82" },
        { "\xce\x9f\xce\xa3 \xce\x9f", "\xce\xbf\xcf\x82 \xce\xbf" },
        { "A\xce\xa3"
          "B",
            "a\xcf\x83"
            "b" },
        { "A\xce\xa3.B", "a\xcf\x83.b" },
        { "A.\xce\xa3", "a.\xcf\x82" },
        { "A\xce\xa3'", "a\xcf\x82'" },
        { "1\xce\xa3", "1\xcf\x83" },
        { "A\xcc\x81\xce\xa3", "a\xcc\x81\xcf\x82" },
        { "\xe2\x85\xa7\xce\xa3", "\xe2\x85\xb7\xcf\x82" }, // a Roman number is cased
        { "\xc2\xaa\xce\xa3", "\xc2\xaa\xcf\x82" },         // so is an ordinal
        { "\xe4\xbd\xa0\xce\xa3", "\xe4\xbd\xa0\xcf\x83" },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        assert_string_equal(lower(cases[i][0]), cases[i][1]);
    buffer_clear(&out);
    unicode_add_upper(&out, 0xE9);
    unicode_add_upper(&out, 0xDF);
    unicode_add_upper(&out, '1');
    assert_string_equal(buffer_str(&out), "\xc3\x89SS1");
}

static char *repeat(const char *s, size_t len)
{
    char *text = malloc(len + 1);
    assert_non_null(text);
    for (size_t i = 0; i < len; i++)
        text[i] = s[i % strlen(s)];
    text[len] = '\0';
    return text;
}

/* A million marks out of order take a moment; sorted by insertion, a quarter of an hour. */
static void takes_long_texts(void **state)
{
    (void)state;
    const size_t len = 2 << 20;
    char *marks = repeat("\xcc\x81\xcc\x96", len),
         *sigmas = repeat("\xce\xa3''", 3 << 18);
    assert_int_equal(strlen(nfc(marks)), len);
    assert_memory_equal(out.data, "\xcc\x96\xcc\x96", 4);
    assert_memory_equal(out.data + len - 4, "\xcc\x81\xcc\x81", 4);
    assert_int_equal(strlen(lower(sigmas)), 3 << 18);
    free(marks);
    free(sigmas);
}

static void keeps_the_ceiling(void **state)
{
    (void)state;
    struct buffer small;
    struct error err = ERROR_INIT;
    buffer_init(&small, 3);
    assert_int_equal(unicode_lower("ABCD", 4, &small, &err), E_LIMIT);
    buffer_clear(&small);
    assert_int_equal(unicode_nfc("e\xcc\x81xyz", 6, &small, &err), E_LIMIT);
    assert_true(err.msg[0] != '\0');
    buffer_release(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(walks_through_characters),
        cmocka_unit_test(knows_white_space_and_digits),
        cmocka_unit_test(composes),
        cmocka_unit_test(composes_as_utf8proc_does),
        cmocka_unit_test(lowers_as_python_does),
        cmocka_unit_test(takes_long_texts),
        cmocka_unit_test(keeps_the_ceiling),
    };
    buffer_init(&out, 16 << 20);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    buffer_release(&out);
    return failed;
}
