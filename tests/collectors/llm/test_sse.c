/* Event streams come out the same however they are cut. */
#include "collectors/llm/sse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "m4a1/base/text.h"

static int write_event(
    const char *event, const char *data, size_t len, size_t end, void *arg)
{
    assert_int_equal(strlen(data), len);
    buffer_printf(arg, "[%s|%s|%zu]", event, data, end);
    return text_equal(data, "stop");
}

/* Feed text in pieces that end at the given offsets. */
static void feed(const char *text, size_t len, size_t a, size_t b, struct buffer *out)
{
    struct sse sse;
    sse_init(&sse, 1000);
    buffer_clear(out);
    assert_int_equal(sse_feed(&sse, text, a, write_event, out, NULL), OK);
    assert_int_equal(sse_feed(&sse, text + a, b - a, write_event, out, NULL), OK);
    assert_int_equal(sse_feed(&sse, text + b, len - b, write_event, out, NULL), OK);
    assert_int_equal(sse_end(&sse, write_event, out, NULL), OK);
    sse_release(&sse);
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
    expect("data: a\n\ndata: b\n\n", "[|a|9][|b|18]");
    expect("data: a\r\ndata:  b\r\n\r\n", "[|a\n b|20]");
    expect("data: a\r\rdata:b\r\r", "[|a|9][|b|17]");
    expect(": ping\n\nevent: e\nid: 1\ndata: x\n\n", "[e|x|32]");
    expect("event: lost\n\ndata\n\n", "[||19]");
    expect("\xEF\xBB\xBF"
           "data: \xC3\xA9\xE2\x82\xAC\n\n",
        "[|\xC3\xA9\xE2\x82\xAC|16]");
    expect("data: a\n\n\n\ndata: last", "[|a|9][|last|21]");
    expect("data: stop\n\ndata: more\n\n", "[|stop|12]");
}

static void test_broken_end_is_no_event(void **state)
{
    (void)state;
    struct sse sse;
    struct buffer out;
    sse_init(&sse, 1000);
    buffer_init(&out, 1000);
    const char *text = "data: a\n\ndata: half";
    assert_int_equal(sse_feed(&sse, text, strlen(text), write_event, &out, NULL), OK);
    assert_string_equal(buffer_str(&out), "[|a|9]");
    sse_release(&sse);
    buffer_release(&out);
}

static void test_ceiling(void **state)
{
    (void)state;
    struct sse sse;
    struct buffer out;
    struct error err = ERROR_INIT;
    buffer_init(&out, 100000);
    sse_init(&sse, 20);
    assert_int_equal(sse_feed(&sse, "data: 123456789012345678901234567890", 36,
                         write_event, &out, &err),
        E_LIMIT);
    sse_release(&sse);
    sse_init(&sse, 20);
    const char *many = "data: 1234567890\ndata: 1234567890\ndata: 1234567890\n";
    assert_int_equal(
        sse_feed(&sse, many, strlen(many), write_event, &out, &err), E_LIMIT);
    sse_release(&sse);
    buffer_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_cut),
        cmocka_unit_test(test_broken_end_is_no_event),
        cmocka_unit_test(test_ceiling),
    };
    return cmocka_run_group_tests_name("sse", tests, NULL, NULL);
}
