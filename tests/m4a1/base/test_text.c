/* Strings, numbers, figures for people, buffers, errors. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <cmocka.h>

#include "m4a1/base/buffer.h"
#include "m4a1/base/clock.h"
#include "m4a1/base/text.h"

static void suggests_the_nearest_name(void **state)
{
    (void)state;
    static const char *const names[] = { "collect", "check", "annotate", "export" };
    assert_string_equal(text_nearest("colect", names, 4), "collect");
    assert_string_equal(text_nearest("annotat", names, 4), "annotate");
    assert_string_equal(text_nearest("chekc", names, 4), "check");
    assert_string_equal(text_nearest("exp", names, 4), "export");
    assert_null(text_nearest("zzzzzz", names, 4));
}

static void reads_whole_numbers_strictly(void **state)
{
    (void)state;
    int64_t x;
    assert_int_equal(text_to_int("-3", "--n", -5, 5, &x, NULL), OK);
    assert_int_equal(x, -3);
    static const char *const bad[] = { "", " 3", "3 ", "3.5", "0x3", "9", "+3",
        "99999999999999999999" };
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_int_equal(text_to_int(bad[i], "--n", -5, 5, &x, NULL), E_ARG);
    struct error err = ERROR_INIT;
    assert_int_equal(text_to_int("7", "--n", -5, 5, &x, &err), E_ARG);
    assert_string_equal(err.msg, "--n: expected a whole number from -5 to 5, found '7'");
    double d;
    assert_int_equal(text_to_double("2.5e-1", "--x", 0, 1, &d, NULL), OK);
    assert_true(d == 0.25);
    assert_int_equal(text_to_double("nan", "--x", 0, 1, &d, NULL), E_ARG);
    assert_int_equal(text_to_double("inf", "--x", 0, 1e300, &d, NULL), E_ARG);
}

static void formats_figures(void **state)
{
    (void)state;
    char buf[32];
    assert_string_equal(text_bytes(999, buf, sizeof buf), "999 bytes");
    assert_string_equal(text_bytes(1234567, buf, sizeof buf), "1.2 MB");
    assert_string_equal(text_duration(0.25, buf, sizeof buf), "250 ms");
    assert_string_equal(text_duration(200, buf, sizeof buf), "3 min 20 s");
    assert_string_equal(text_duration(7320, buf, sizeof buf), "2 h 2 min");
    assert_string_equal(text_usd(0.01234, buf, sizeof buf), "$0.0123");
    assert_string_equal(text_usd(0, buf, sizeof buf), "$0.00");
    assert_string_equal(text_usd(1e6, buf, sizeof buf), "$1000000.00");
    assert_string_equal(text_usd(9.99994, buf, sizeof buf), "$9.9999");
    assert_string_equal(text_usd(0.00006, buf, sizeof buf), "$0.0001");
    assert_string_equal(text_usd(0.00002, buf, sizeof buf), "$0.000020");
    assert_string_equal(text_usd(0.000001, buf, sizeof buf), "$0.000001");
    assert_string_equal(text_usd(1e-12, buf, sizeof buf), "$1.0e-12");
    assert_string_equal(text_usd(-0.00002, buf, sizeof buf), "$-0.000020");
    assert_string_equal(text_double(0.1, buf), "0.1");
    assert_string_equal(text_double(0.1 + 0.2, buf), "0.30000000000000004");
    assert_string_equal(
        clock_iso8601(1700000000123, buf, sizeof buf), "2023-11-14T22:13:20Z");
    assert_string_equal(clock_iso8601(-1, buf, sizeof buf), "1969-12-31T23:59:59Z");
}

static void finds_broken_utf8(void **state)
{
    (void)state;
    assert_int_equal(text_utf8_valid("a\xc3\xa9\xf0\x9f\x8d\x85", 7), 7);
    assert_int_equal(text_utf8_valid("a\xc3", 2), 1);
    assert_int_equal(text_utf8_valid("\xc0\x80", 2), 0);
    assert_int_equal(text_utf8_valid("ab\xf4\x90\x80\x80", 6), 2);
}

static void a_buffer_keeps_its_ceiling(void **state)
{
    (void)state;
    struct buffer b;
    buffer_init(&b, 100);
    assert_string_equal(buffer_str(&b), "");
    for (int i = 0; i < 10; i++)
        buffer_printf(&b, "%09d,", i);
    assert_int_equal(b.len, 100);
    assert_int_equal(buffer_add_char(&b, 'x'), E_LIMIT);
    buffer_add_str(&b, "dropped");
    struct error err = ERROR_INIT;
    assert_int_equal(buffer_status(&b, "body", &err), E_LIMIT);
    assert_string_equal(err.msg, "body: longer than the ceiling of 100 bytes");
    buffer_clear(&b);
    buffer_add(&b, "a\0b", 3);
    size_t len;
    char *data = buffer_detach(&b, &len);
    assert_int_equal(len, 3);
    assert_memory_equal(data, "a\0b", 4);
    free(data);
    buffer_release(&b);
}

static void errors_carry_their_story(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    assert_int_equal(error_set(&err, E_DATA, "line %d", 7), E_DATA);
    assert_int_equal(error_prefix(&err, "reading %s: ", "x.json"), E_DATA);
    assert_string_equal(err.msg, "reading x.json: line 7");
    errno = ENOENT;
    assert_int_equal(error_errno(&err, "cannot open %s", "y"), E_NOT_FOUND);
    assert_string_equal(err.msg, "cannot open y: No such file or directory");
    assert_int_equal(error_set(NULL, E_IO, "unheard"), E_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(suggests_the_nearest_name),
        cmocka_unit_test(reads_whole_numbers_strictly),
        cmocka_unit_test(formats_figures),
        cmocka_unit_test(finds_broken_utf8),
        cmocka_unit_test(a_buffer_keeps_its_ceiling),
        cmocka_unit_test(errors_carry_their_story),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
