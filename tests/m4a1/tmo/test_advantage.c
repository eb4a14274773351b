/* test_advantage.c - advantages by hand; how often an action is drawn. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include "m4a1/tmo/advantage.h"

#define NEAR(a, b) assert_true(fabs((a) - (b)) <= 1e-12)

static void test_advantages(void **state)
{
    (void)state;
    const double reward[] = { 1, 2, 3, 4 }, value[] = { 0.5, 0.25, 1, 2, 8 };
    const unsigned char ended[] = { 0, 1, 0, 0 }, at_the_end[] = { 0, 0, 0, 1 };
    double got[4];
    // lambda 1: discounted rewards up to the end or the last value, minus the value.
    advantages(reward, value, ended, 4, 0.5, 1, got);
    NEAR(got[3], 4 + 0.5 * 8 - 2);
    NEAR(got[2], 3 + 0.5 * 4 + 0.25 * 8 - 1);
    NEAR(got[1], 2 - 0.25);
    NEAR(got[0], 1 + 0.5 * 2 - 0.5);
    // lambda 0: one step.
    advantages(reward, value, ended, 4, 0.5, 0, got);
    NEAR(got[3], 4 + 0.5 * 8 - 2);
    NEAR(got[2], 3 + 0.5 * 2 - 1);
    NEAR(got[0], 1 + 0.5 * 0.25 - 0.5);
    // In between: delta + gamma * lambda * what follows.
    advantages(reward, value, ended, 4, 0.5, 0.5, got);
    NEAR(got[2], (3 + 0.5 * 2 - 1) + 0.25 * (4 + 0.5 * 8 - 2));
    // The last step ended its session: the value behind it does not count.
    advantages(reward, value, at_the_end, 4, 0.5, 1, got);
    NEAR(got[3], 4 - 2);
}

static void test_draws(void **state)
{
    (void)state;
    const float p[] = { 0, 0.5F, 0, 0.25F, 0.25F, 0 };
    size_t n[6] = { 0 };
    struct rng rng;
    rng_init(&rng, 1, "test/draws", 0);
    for (int i = 0; i < 10000; i++)
        n[draw_action(p, 6, &rng)]++;
    assert_true(n[0] == 0 && n[2] == 0 && n[5] == 0);
    assert_in_range(n[1], 4850, 5150);
    assert_in_range(n[3], 2370, 2630);
    // Rounding may leave the sum below 1: the last that is possible takes the rest.
    const float short_of_1[] = { 0.25F, 0.25F, 0 };
    n[0] = n[1] = n[2] = 0;
    for (int i = 0; i < 1000; i++)
        n[draw_action(short_of_1, 3, &rng)]++;
    assert_true(n[1] > n[0] && n[2] == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_advantages),
        cmocka_unit_test(test_draws),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
