/* test_advantage.c - advantages by hand; how often an action is drawn; what losses of a
 * policy pull its logits by. */
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

#define A 5

/* scale * -log p[action] - weight * entropy of the softmax of logits; p goes out. */
static double loss(
    const double *logits, size_t action, double scale, double weight, float *p)
{
    double sum = 0, entropy = 0, taken = 0;
    for (size_t a = 0; a < A; a++)
        sum += exp(logits[a]);
    for (size_t a = 0; a < A; a++) {
        double share = exp(logits[a]) / sum;
        p[a] = (float)share;
        entropy -= share * log(share);
        taken = a == action ? share : taken;
    }
    return -scale * log(taken) - weight * entropy;
}

/* Both pulls on the logits against central differences; they are single precision, and may
 * be off by 1e-6. */
static void test_derivatives_of_losses(void **state)
{
    (void)state;
    double logits[A] = { 0.3, -1.2, 2.5, 0, -3 };
    const double pulls[][2] = { { 0.7, 0 }, { 0, 0.9 }, { -1.5, 0.25 } };
    for (size_t i = 0; i < sizeof pulls / sizeof *pulls; i++) {
        float p[A], d[A], ignored[A];
        const double h = 1e-5, scale = pulls[i][0], weight = pulls[i][1];
        double entropy = -loss(logits, 3, 0, 1, p); // no other term
        set_log_loss(d, p, A, 3, scale);
        assert_true(fabs(add_entropy_loss(d, p, A, weight) - entropy) < 1e-6);
        for (size_t a = 0; a < A; a++) {
            double kept = logits[a], sides[2];
            for (int side = 0; side < 2; side++) {
                logits[a] = kept + (side ? h : -h);
                sides[side] = loss(logits, 3, scale, weight, ignored);
            }
            logits[a] = kept;
            assert_true(fabs((double)d[a] - (sides[1] - sides[0]) / (2 * h)) < 1e-6);
        }
    }
    // A masked action has no probability, and is not pulled.
    const float masked[] = { 0.5F, 0, 0.5F };
    float d[3];
    set_log_loss(d, masked, 3, 0, 1);
    assert_true(add_entropy_loss(d, masked, 3, 1) > 0.69);
    assert_true(d[1] == 0 && d[0] == -0.5F && d[2] == 0.5F);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_advantages),
        cmocka_unit_test(test_draws),
        cmocka_unit_test(test_derivatives_of_losses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
