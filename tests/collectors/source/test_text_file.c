/* test_text_file.c - which texts are stored, and what is said of the others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "collectors/source/text_file.h"
#include "m4a1/base/text.h"

static void test_texts(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len, skip;
        const char *says; /* NULL = it is taken */
    } cases[] = {
        { "t_s,temp\n0,21.5\r\n", 17, 0, NULL },
        { "Gr\xc3\xbc\xc3\x9f", 6, 0, NULL },
        { "\xef\xbb\xbfhello", 8, 3, NULL },
        { "", 0, 0, "empty (0 bytes)" },
        { "\xef\xbb\xbf", 3, 3, "empty (3 bytes)" },
        { "abc\0def", 7, 0, "NUL byte at byte offset 3" },
        { "Gr\xfc\xdf", 4, 0, "not valid UTF-8 at byte offset 2 (0xfc)" },
        { "\xff\xfe"
          "a\0b\0",
            6, 0, "UTF-16" },
        { "ok\xff then\0", 8, 0, "byte offset 2 (0xff)" },
        { "cut \xe2\x82", 6, 0, "byte offset 4" },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct error err = ERROR_INIT;
        size_t skip;
        enum status s = text_file_check(cases[i].bytes, cases[i].len, &skip, &err);
        assert_int_equal(s, cases[i].says ? E_DATA : OK);
        assert_int_equal(skip, cases[i].skip);
        if (cases[i].says && !strstr(err.msg, cases[i].says))
            fail_msg("case %zu: %s", i, err.msg);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_texts) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
