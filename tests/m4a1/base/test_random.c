/* Random numbers, hashes, statistics: known values and plain properties. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "m4a1/base/hash.h"
#include "m4a1/base/random.h"
#include "m4a1/base/stats.h"

/* First outputs of the authors' own xoshiro256plusplus.c from the state 1, 2, 3, 4. */
static void steps_as_published(void **state)
{
    (void)state;
    struct rng rng = { { 1, 2, 3, 4 } };
    static const uint64_t expected[] = { 41943041u, 58720359u, 3588806011781223u,
        3591011842654386u, 9228616714210784205u };
    for (size_t i = 0; i < 5; i++)
        assert_true(rng_next(&rng) == expected[i]);
}

static void streams_are_apart_and_repeat(void **state)
{
    (void)state;
    struct rng a, b, c, d;
    rng_init(&a, 7, "plan", 0);
    rng_init(&b, 7, "plan", 0);
    rng_init(&c, 7, "plan", 1);
    rng_init(&d, 7, "split", 0);
    uint64_t first = rng_next(&a);
    assert_true(first == rng_next(&b));
    assert_true(first != rng_next(&c));
    assert_true(first != rng_next(&d));
}

static void draws_are_uniform(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 1, "test", 0);
    enum { N = 60000, SIDES = 6 };
    int count[SIDES] = { 0 };
    double sum = 0, squares = 0;
    for (int i = 0; i < N; i++) {
        count[rng_below(&rng, SIDES)]++;
        double u = rng_uniform(&rng), z = rng_normal(&rng);
        assert_true(u >= 0 && u < 1);
        sum += z;
        squares += z * z;
    }
    double chi2 = 0;
    for (int i = 0; i < SIDES; i++)
        chi2 += pow(count[i] - N / 6.0, 2) / (N / 6.0);
    assert_true(chi2 < 25); /* 5 degrees of freedom: p = 1e-4 */
    assert_true(fabs(sum / N) < 0.02);
    assert_true(fabs(squares / N - 1) < 0.03);
}

static void samples_without_replacement(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 2, "test", 0);
    int seen[10] = { 0 };
    for (int round = 0; round < 3000; round++) {
        size_t scratch[10], out[4];
        rng_sample(&rng, 10, 4, scratch, out);
        for (int i = 0; i < 4; i++) {
            seen[out[i]]++;
            for (int j = 0; j < i; j++)
                assert_int_not_equal(out[i], out[j]);
        }
    }
    for (int i = 0; i < 10; i++)
        assert_in_range(seen[i], 1080, 1320); /* 1200 expected, 4.5 deviations */
    size_t items[5] = { 0, 1, 2, 3, 4 }, sum = 0;
    rng_shuffle(&rng, items, 5);
    for (int i = 0; i < 5; i++)
        sum += items[i];
    assert_int_equal(sum, 10);
}

static void hashes_as_published(void **state)
{
    (void)state;
    char hex[HASH_HEX];
    hash_hex("abc", 3, hex); /* FIPS 180-4, example of one block */
    assert_string_equal(
        hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void base64_goes_both_ways(void **state)
{
    (void)state;
    static const char *const plain[] = { "", "f", "fo", "foo", "foob", "fooba",
        "foobar" };
    static const char *const coded[] = { "", "Zg==", "Zm8=", "Zm9v",
        "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy" }; /* RFC 4648, section 10 */
    for (int i = 0; i < 7; i++) {
        char out[16];
        uint8_t back[16];
        size_t len;
        base64_encode(plain[i], strlen(plain[i]), out);
        assert_string_equal(out, coded[i]);
        assert_int_equal(base64_size(strlen(plain[i])), strlen(out) + 1);
        assert_int_equal(base64_decode(out, strlen(out), back, &len, NULL), OK);
        assert_int_equal(len, strlen(plain[i]));
        assert_memory_equal(back, plain[i], len);
    }
    uint8_t back[16];
    size_t len;
    static const char *const bad[] = { "Zg=", "Zg", "Z===", "Zm 9", "Zm9\n", "====" };
    for (int i = 0; i < 6; i++)
        assert_int_equal(base64_decode(bad[i], strlen(bad[i]), back, &len, NULL), E_DATA);
}

static void base64_of_long_runs(void **state)
{
    (void)state;
    size_t len = ((size_t)3 << 24) + 5, back_len; /* longer than one piece */
    uint8_t *data = malloc(len), *back = malloc(len + 4);
    char *text = malloc(base64_size(len));
    for (size_t i = 0; i < len; i++)
        data[i] = (uint8_t)(i * 2654435761u >> 13);
    base64_encode(data, len, text);
    assert_int_equal(strlen(text) + 1, base64_size(len));
    assert_int_equal(base64_decode(text, strlen(text), back, &back_len, NULL), OK);
    assert_int_equal(back_len, len);
    assert_memory_equal(data, back, len);
    free(data);
    free(back);
    free(text);
}

static void statistics(void **state)
{
    (void)state;
    double x[] = { 4, 1, 3, 2 };
    assert_true(stats_mean(x, 4) == 2.5);
    assert_true(fabs(stats_deviation(x, 4) - sqrt(1.25)) < 1e-15);
    assert_true(stats_quantile(x, 4, 0.5) == 2.5);
    assert_true(fabs(stats_quantile(x, 4, 0.9) - 3.7) < 1e-12); /* numpy.quantile */
    assert_true(stats_quantile(x, 4, 1) == 4);
    assert_true(isnan(stats_mean(x, 0)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_as_published),
        cmocka_unit_test(streams_are_apart_and_repeat),
        cmocka_unit_test(draws_are_uniform),
        cmocka_unit_test(samples_without_replacement),
        cmocka_unit_test(hashes_as_published),
        cmocka_unit_test(base64_goes_both_ways),
        cmocka_unit_test(base64_of_long_runs),
        cmocka_unit_test(statistics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
