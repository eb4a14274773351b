/* test_baselines.c - how often each baseline takes which action. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include "m4a1/tmo/baselines.h"

#define N 80000

static void count(enum baseline_kind kind, size_t *n_taken, uint64_t seed)
{
    struct baseline b;
    baseline_init(&b, kind, 9, seed);
    for (int i = 0; i < N; i++)
        n_taken[baseline_choose(&b, NULL)]++;
}

/* Within five standard deviations of an expected share. */
static void near_share(size_t n, double share)
{
    double expected = N * share, variance = N * share * (1 - share);
    double off = (double)n - expected;
    assert_true(off * off <= 25 * variance);
}

static void test_shares(void **state)
{
    (void)state;
    size_t random[9] = { 0 }, local[9] = { 0 }, cloud[9] = { 0 };
    count(BASELINE_RANDOM, random, 1);
    count(BASELINE_LOCAL, local, 1);
    count(BASELINE_CLOUD, cloud, 1);
    assert_int_equal(local[0], N);
    assert_int_equal(cloud[0], 0);
    near_share(random[0], 0.5);
    for (size_t a = 1; a < 9; a++) {
        near_share(random[a], 0.5 / 8);
        near_share(cloud[a], 1.0 / 8);
    }
}

static void test_seed_fixes_draws(void **state)
{
    (void)state;
    struct baseline a, b, c;
    baseline_init(&a, BASELINE_RANDOM, 9, 7);
    baseline_init(&b, BASELINE_RANDOM, 9, 7);
    baseline_init(&c, BASELINE_RANDOM, 9, 8);
    int differs = 0;
    for (int i = 0; i < 1000; i++) {
        size_t x = baseline_choose(&a, NULL);
        assert_int_equal(x, baseline_choose(&b, NULL));
        differs += x != baseline_choose(&c, NULL);
    }
    assert_true(differs > 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shares),
        cmocka_unit_test(test_seed_fixes_draws),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
