/* Bodies made of pieces: what is read, hashed and lent. */
#include "collectors/llm/body.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "m4a1/base/text.h"
#include "schema/query.h"
#include "tests/support/protocol_case.h"
#include "tests/support/store_fixture.h"

static struct store_fixture f;
static struct frame_cache *cache;

static struct frame *frame(int64_t id)
{
    struct frame *out = NULL;
    assert_int_equal(frame_cache_get(cache, f.store, id, &out, NULL), OK);
    return out;
}

static int set_up(void **state)
{
    (void)state;
    store_fixture_open(&f, "keep");
    return frame_cache_new(1, &cache, NULL) != OK; // keeps nothing beyond the last one
}

static int tear_down(void **state)
{
    (void)state;
    frame_cache_free(cache);
    store_fixture_close(&f);
    return 0;
}

/* {"a":"FIRST","b":"SECOND"}, the first one as a data URL. */
static void write_body(struct body *body, struct frame *first, struct frame *second)
{
    body_init(body);
    buffer_printf(&body->text, "{\"a\":\"sha256:%s\",\"b\":\"sha256:%s\"}",
        frame_sha256(first), frame_sha256(second));
    assert_int_equal(body_add_frame(body, 6, first, 1, NULL), OK);
    size_t at = 6 + 7 + HASH_HEX - 1 + strlen("\",\"b\":\"");
    assert_int_equal(body_add_frame(body, at, second, 0, NULL), OK);
    assert_int_equal(body_close(body, NULL), OK);
}

static void test_pieces(void **state)
{
    (void)state;
    struct frame *first = frame(1), *second = frame(2);
    struct body body;
    write_body(&body, first, second);
    const char *a = NULL, *b = NULL;
    size_t n_a = 0, n_b = 0;
    assert_int_equal(frame_encoded(first, 1, &a, &n_a, NULL), OK);
    assert_int_equal(frame_encoded(second, 0, &b, &n_b, NULL), OK);
    assert_true(text_starts(a, "data:image/jpeg;base64,"));
    char *whole = text_format("{\"a\":\"%s\",\"b\":\"%s\"}", a, b), hash[HASH_HEX];
    assert_int_equal(body.len, strlen(whole));
    assert_ptr_equal(body.pieces[1].data, a); // lent, not copied

    char sent[HASH_HEX];
    hash_hex(whole, strlen(whole), hash);
    assert_int_equal(body_hash(&body, sent, NULL), OK);
    assert_string_equal(sent, hash);

    // However it is cut while it is read.
    for (size_t cut = 1; cut < 200; cut += cut / 3 + 1) {
        struct body_place place = { 0 };
        char *copy = malloc(body.len + cut);
        size_t n = 0, more = 0;
        while ((more = body_read(&body, &place, copy + n, cut)))
            n += more;
        assert_int_equal(n, body.len);
        assert_memory_equal(copy, whole, n);
        free(copy);
    }
    body_release(&body);
    assert_int_equal(body.len, 0);
    frame_release(first);
    frame_release(second);
    free(whole);
}

/* A body needs neither the dialogue nor the cache that its frames came from. */
static void test_frames_are_held(void **state)
{
    (void)state;
    struct frame *first = frame(1), *second = frame(2);
    struct body body;
    struct buffer before, after;
    write_body(&body, first, second);
    protocol_flatten(&body, &before);
    frame_release(first);
    frame_release(second);
    frame_release(frame(3)); // pushes the others out of the cache
    protocol_flatten(&body, &after);
    assert_string_equal(buffer_str(&before), buffer_str(&after));
    buffer_release(&before);
    buffer_release(&after);
    body_release(&body);
}

static void expect_lost(const char *text, size_t at)
{
    struct frame *image = frame(1);
    struct error err = ERROR_INIT;
    struct body body;
    body_init(&body);
    buffer_add_str(&body.text, text);
    assert_int_equal(body_add_frame(&body, at, image, 0, &err), E_DATA);
    assert_non_null(strstr(err.msg, "lost"));
    body_release(&body);
    frame_release(image);
}

static void test_no_mark(void **state)
{
    (void)state;
    struct frame *other = frame(2);
    char *wrong = text_format("sha256:%s", frame_sha256(other));
    expect_lost("", 0);
    expect_lost("{}", 9);
    expect_lost("sha256:abc", 0);
    expect_lost(wrong, 0);
    free(wrong);
    frame_release(other);
}

static void test_text_alone(void **state)
{
    (void)state;
    struct body body;
    struct body_place place = { 0 };
    char to[4], hash[HASH_HEX], expected[HASH_HEX];
    body_init(&body);
    assert_int_equal(body_close(&body, NULL), OK); // nothing at all
    assert_int_equal(body_read(&body, &place, to, sizeof to), 0);
    hash_hex("", 0, expected);
    assert_int_equal(body_hash(&body, hash, NULL), OK);
    assert_string_equal(hash, expected);
    body_release(&body);
    buffer_add_str(&body.text, "{}");
    assert_int_equal(body_close(&body, NULL), OK);
    assert_int_equal(body_read(&body, &place, to, sizeof to), 2);
    assert_memory_equal(to, "{}", 2);
    body_release(&body);
}

/* A frame lies in memory once, but a request is as long as its views together. */
static void test_too_long(void **state)
{
    (void)state;
    size_t n_bytes = 4u << 20, n = BODY_MAX / n_bytes;
    char *bytes = calloc(1, n_bytes);
    assert_int_equal(
        store_run(f.store, NULL, "UPDATE frame SET bytes = ? WHERE frame_id = 3", "b",
            (const void *)bytes, n_bytes),
        OK);
    struct frame *image = frame(3);
    struct error err = ERROR_INIT;
    struct body body;
    body_init(&body);
    for (size_t i = 0; i < n; i++)
        buffer_printf(&body.text, "sha256:%s", frame_sha256(image));
    for (size_t i = 0; i < n; i++)
        assert_int_equal(
            body_add_frame(&body, i * (7 + HASH_HEX - 1), image, 0, NULL), OK);
    assert_int_equal(body_close(&body, &err), E_LIMIT);
    assert_non_null(strstr(err.msg, "views"));
    body_release(&body);
    frame_release(image);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_frames_are_held),
        cmocka_unit_test(test_no_mark),
        cmocka_unit_test(test_text_alone),
        cmocka_unit_test(test_too_long),
    };
    return cmocka_run_group_tests_name("body", tests, set_up, tear_down);
}
