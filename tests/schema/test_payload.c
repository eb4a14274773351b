/* Payloads come back as they went in, and broken ones are refused. */
#include "schema/payload.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "m4a1/base/random.h"

static void round_trip(const char *data, size_t len)
{
    struct buffer packed, back;
    buffer_init(&packed, 1 << 22);
    buffer_init(&back, 1 << 22);
    assert_int_equal(payload_pack(data, len, &packed, NULL), OK);
    assert_int_equal(payload_unpack(packed.data, packed.len, &back, NULL), OK);
    assert_int_equal(back.len, len);
    if (len)
        assert_memory_equal(back.data, data, len);
    buffer_release(&packed);
    buffer_release(&back);
}

static void test_round_trip(void **state)
{
    (void)state;
    static char noise[1 << 20];
    struct rng rng;
    rng_init(&rng, 1, "test", 0);
    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = (char)rng_next(&rng);
    round_trip("", 0);
    round_trip("{}", 2);
    round_trip("\0\0\0", 3);
    round_trip(noise, sizeof noise);
}

static void test_broken(void **state)
{
    (void)state;
    struct buffer packed, back;
    struct error err = ERROR_INIT;
    char text[5000];
    memset(text, 'a', sizeof text);
    buffer_init(&packed, 10000);
    assert_int_equal(payload_pack(text, sizeof text, &packed, NULL), OK);
    assert_true(packed.len < 100);
    buffer_init(&back, 10000);
    for (size_t n = 0; n < packed.len; n++) {
        buffer_clear(&back);
        assert_int_equal(payload_unpack(packed.data, n, &back, &err), E_DATA);
    }
    buffer_add(&packed, "x", 1);
    buffer_clear(&back);
    assert_int_equal(payload_unpack(packed.data, packed.len, &back, &err), E_DATA);
    assert_int_equal(payload_unpack("plain text", 10, &back, &err), E_DATA);
    buffer_release(&back);
    // A small payload that unpacks to more than is allowed.
    buffer_init(&back, 100);
    assert_int_equal(payload_unpack(packed.data, packed.len - 1, &back, &err), E_LIMIT);
    buffer_release(&back);
    buffer_release(&packed);
}

static void *pack_often(void *arg)
{
    struct buffer *out = arg;
    for (int i = 0; i < 200; i++) {
        char text[300];
        memset(text, 'a' + i % 26, sizeof text);
        buffer_clear(out);
        if (payload_pack(text, sizeof text - (size_t)i, out, NULL) != OK)
            return NULL;
    }
    return out;
}

/* Each thread has its own context, and what it packed before leaves no trace. */
static void test_threads(void **state)
{
    (void)state;
    pthread_t threads[4];
    struct buffer packed[4], alone;
    for (size_t i = 0; i < 4; i++) {
        buffer_init(&packed[i], 10000);
        assert_int_equal(pthread_create(&threads[i], NULL, pack_often, &packed[i]), 0);
    }
    buffer_init(&alone, 10000);
    char text[101];
    memset(text, 'a' + 199 % 26, sizeof text);
    assert_int_equal(payload_pack(text, sizeof text, &alone, NULL), OK);
    for (size_t i = 0; i < 4; i++) {
        void *ended = NULL;
        assert_int_equal(pthread_join(threads[i], &ended), 0);
        assert_ptr_equal(ended, &packed[i]);
        assert_int_equal(packed[i].len, alone.len);
        assert_memory_equal(packed[i].data, alone.data, alone.len);
        buffer_release(&packed[i]);
    }
    buffer_release(&alone);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_broken),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests_name("payload", tests, NULL, NULL);
}
