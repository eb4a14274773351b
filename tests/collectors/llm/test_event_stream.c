/* Frames of AWS's event streams come out the same however they are cut, and broken ones
 * are seen.  The first two frames are examples that AWS publishes with its SDKs
 * ("empty_message", "payload_no_headers"). */
#include "collectors/llm/event_stream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "m4a1/base/text.h"
#include "tests/support/event_frames.h"

static const char empty[] = "\x00\x00\x00\x10\x00\x00\x00\x00\x05\xc2\x48\xeb"
                            "\x7d\x98\xc8\xff";
static const char payload[] = "\x00\x00\x00\x1d\x00\x00\x00\x00\xfd\x52\x8c\x5a"
                              "{'foo':'bar'}"
                              "\xc3\x65\x39\x36";

static int write_frame(const struct event_frame *frame, void *arg)
{
    struct buffer *out = arg;
    buffer_printf(out, "[%s|%s|", frame->kind, frame->name);
    buffer_add(out, frame->payload, frame->len);
    buffer_printf(out, "|%zu]", frame->end);
    return text_equal(frame->name, "stop");
}

static enum status feed(const char *bytes, size_t len, size_t a, size_t b,
    struct buffer *out, struct error *err)
{
    struct event_stream es;
    event_stream_init(&es, 1000);
    buffer_clear(out);
    enum status s = event_stream_feed(&es, bytes, a, write_frame, out, err);
    if (s == OK)
        s = event_stream_feed(&es, bytes + a, b - a, write_frame, out, err);
    if (s == OK)
        s = event_stream_feed(&es, bytes + b, len - b, write_frame, out, err);
    event_stream_release(&es);
    return s;
}

static void test_every_cut(void **state)
{
    (void)state;
    struct buffer in, out;
    buffer_init(&in, 10000);
    buffer_init(&out, 10000);
    buffer_add(&in, empty, sizeof empty - 1);
    buffer_add(&in, payload, sizeof payload - 1);
    event_frames_add(&in, "event", "messageStart", "{}");
    size_t behind_three = in.len;
    event_frames_add(&in, "exception", "stop", "x");
    event_frames_add(&in, "event", "never", "");
    char *expected = text_format("[|||16][||{'foo':'bar'}|45][event|messageStart|{}|%zu]["
                                 "exception|stop|x|",
        behind_three);
    for (size_t a = 0; a <= in.len; a++) {
        for (size_t b = a; b <= in.len; b++) {
            assert_int_equal(feed(in.data, in.len, a, b, &out, NULL), OK);
            if (!text_starts(buffer_str(&out), expected) || strstr(out.data, "never"))
                fail_msg("cut at %zu and %zu: %s", a, b, buffer_str(&out));
        }
    }
    free(expected);
    buffer_release(&in);
    buffer_release(&out);
}

/* Any byte that is another one breaks a frame: its checksums hold all of it. */
static void test_every_error(void **state)
{
    (void)state;
    struct buffer in, out;
    buffer_init(&in, 10000);
    buffer_init(&out, 10000);
    event_frames_add(&in, "event", "metadata", "{\"a\":1}");
    for (size_t i = 0; i < in.len; i++) {
        struct error err = ERROR_INIT;
        in.data[i] ^= 0x20;
        assert_int_equal(feed(in.data, in.len, 0, 0, &out, &err), E_DATA);
        assert_non_null(strstr(err.msg, "checksum"));
        assert_int_equal(out.len, 0);
        in.data[i] ^= 0x20;
    }
    buffer_release(&in);
    buffer_release(&out);
}

static void expect_broken(
    struct buffer *in, size_t len, size_t n_headers, enum status status, const char *says)
{
    struct error err = ERROR_INIT;
    struct buffer out;
    buffer_init(&out, 10000);
    event_frames_seal(in, len, n_headers);
    assert_int_equal(feed(in->data, in->len, 0, 0, &out, &err), status);
    if (!strstr(err.msg, says))
        fail_msg("\"%s\" does not say \"%s\"", err.msg, says);
    buffer_release(&out);
}

static void test_lengths(void **state)
{
    (void)state;
    struct buffer in;
    buffer_init(&in, 10000);
    event_frames_add(&in, "event", "e", "12345678");
    size_t len = in.len;
    expect_broken(&in, 15, 0, E_DATA, "lengths");
    expect_broken(&in, len, len, E_DATA, "lengths");
    expect_broken(&in, 1001, 0, E_LIMIT, "1001");
    expect_broken(&in, 0xffffffff, 0, E_LIMIT, "4294967295");
    // Headers that end inside a name, a type or a value.
    for (size_t n = 1; n < len - 16 - 8; n++)
        if (n != 22) // the first header alone is whole
            expect_broken(&in, len, n, E_DATA, "headers");
    buffer_release(&in);
}

static void test_crc(void **state)
{
    (void)state;
    assert_int_equal(event_stream_crc("123456789", 9), 0xcbf43926);
    assert_int_equal(event_stream_crc("", 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crc),
        cmocka_unit_test(test_every_cut),
        cmocka_unit_test(test_every_error),
        cmocka_unit_test(test_lengths),
    };
    return cmocka_run_group_tests_name("event_stream", tests, NULL, NULL);
}
