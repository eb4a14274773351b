/* Lines come out the same however the stream is cut. */
#include "collectors/llm/ndjson.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "m4a1/base/text.h"

static int write_line(const char *line, size_t len, size_t end, void *arg)
{
    assert_int_equal(strlen(line), len);
    buffer_printf(arg, "[%s|%zu]", line, end);
    return text_equal(line, "stop");
}

/* Feed text in pieces that end at the given offsets. */
static void feed(const char *text, size_t len, size_t a, size_t b, struct buffer *out)
{
    struct ndjson n;
    ndjson_init(&n, 100);
    buffer_clear(out);
    assert_int_equal(ndjson_feed(&n, text, a, write_line, out, NULL), OK);
    assert_int_equal(ndjson_feed(&n, text + a, b - a, write_line, out, NULL), OK);
    assert_int_equal(ndjson_feed(&n, text + b, len - b, write_line, out, NULL), OK);
    assert_int_equal(ndjson_end(&n, write_line, out, NULL), OK);
    ndjson_release(&n);
}

static void expect(const char *text, const char *expected)
{
    struct buffer out;
    buffer_init(&out, 10000);
    size_t len = strlen(text);
    for (size_t a = 0; a <= len; a++) {
        for (size_t b = a; b <= len; b++) {
            feed(text, len, a, b, &out);
            if (strcmp(buffer_str(&out), expected) != 0)
                fail_msg("cut at %zu and %zu: %s", a, b, buffer_str(&out));
        }
    }
    buffer_release(&out);
}

static void test_every_cut(void **state)
{
    (void)state;
    expect("", "");
    expect("\n\r\n \t\n", "");
    expect("{\"a\":1}\n{\"b\":\"\xC3\xA9\xE2\x82\xAC\"}\n",
        "[{\"a\":1}|8][{\"b\":\"\xC3\xA9\xE2\x82\xAC\"}|22]");
    expect("a\r\nb\r\n\nlast", "[a\r|3][b\r|6][last|11]");
    expect("a\nstop\nb\nc", "[a|2][stop|7]");
}

static void test_ceiling(void **state)
{
    (void)state;
    struct ndjson n;
    struct buffer out;
    struct error err = ERROR_INIT;
    char long_line[200];
    memset(long_line, 'x', sizeof long_line);
    buffer_init(&out, 10000);
    ndjson_init(&n, 100);
    // What a line leaves behind does not count for the next one.
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ndjson_feed(&n, long_line, 99, write_line, &out, NULL), OK);
        assert_int_equal(ndjson_feed(&n, "\n", 1, write_line, &out, NULL), OK);
    }
    assert_int_equal(ndjson_feed(&n, long_line, 200, write_line, &out, &err), E_LIMIT);
    assert_non_null(strstr(err.msg, "100"));
    ndjson_release(&n);
    buffer_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_cut),
        cmocka_unit_test(test_ceiling),
    };
    return cmocka_run_group_tests_name("ndjson", tests, NULL, NULL);
}
