/* Payloads come back as they went in, and broken ones are refused. */
#include "schema/payload.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_broken),
    };
    return cmocka_run_group_tests_name("payload", tests, NULL, NULL);
}
