/* test_adam.c - steps of the optimiser against those of PyTorch. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include "m4a1/tmo/adam.h"
#include "m4a1/tmo/mlp.h"

#define N MLP_LANES
#define NEAR(a, b, tolerance) assert_true(fabs((double)(a) - (b)) <= (tolerance))

/* The figures are PyTorch 1.13's in float64, printed to ten digits by
 *
 *     x = torch.tensor([1, -2, .5, 0, 3, -.25, .125, 10], dtype=torch.float64,
 *                      requires_grad=True)
 *     k = torch.tensor([1, .5, 2, 1, .01, 100, 0, -1], dtype=torch.float64)
 *     opt = torch.optim.Adam([x], lr=3e-4, eps=1e-5)
 *     for t in range(4):
 *         opt.zero_grad()
 *         (k * x * x / 2).sum().backward()
 *         torch.nn.utils.clip_grad_norm_([x], .5)
 *         opt.step()
 *         print(x.tolist())
 *
 * and for the second table with lr=1e-2, eps=1e-8 and a norm of 10. */
static const float start[N] = { 1, -2, .5F, 0, 3, -.25F, .125F, 10 };
static const float k[N] = { 1, .5F, 2, 1, .01F, 100, 0, -1 };

static const double of_ppo[4][N] = {
    { 0.9997001618, -1.999700162, 0.4997001618, 0, 2.999705301, -0.2497000065, 0.125,
        10.00029998 },
    { 0.9994003179, -1.999400317, 0.4994003202, 0, 2.999410592, -0.2494000143, 0.125,
        10.00059998 },
    { 0.9991004644, -1.99910046, 0.4991004731, 0, 2.99911587, -0.2491000244, 0.125,
        10.00089998 },
    { 0.9988005977, -1.998800588, 0.4988006181, 0, 2.998821128, -0.2488000376, 0.125,
        10.00120001 },
};
static const double of_dqn[4][N] = {
    { 0.9900000003, -1.99, 0.4900000003, 0, 2.990000009, -0.24, 0.125, 10.01 },
    { 0.9799943269, -1.979993357, 0.4799964748, 0, 2.979993066, -0.2300016305, 0.125,
        10.02000772 },
    { 0.9699789688, -1.96997541, 0.4699869043, 0, 2.969974309, -0.2200062456, 0.125,
        10.03002851 },
    { 0.9599497449, -1.959941332, 0.4599686453, 0, 2.95993871, -0.2100154485, 0.125,
        10.04006789 },
};

/* The tolerance is a few roundings of single precision a step. */
static void check(double rate, double epsilon, double max, const double expected[4][N])
{
    struct adam opt;
    float x[N], g[N];
    assert_int_equal(adam_init(&opt, N, rate, epsilon, NULL), OK);
    for (size_t i = 0; i < N; i++)
        x[i] = start[i];
    for (size_t t = 0; t < 4; t++) {
        for (size_t i = 0; i < N; i++)
            g[i] = k[i] * x[i];
        adam_step(&opt, g, gradient_scale(g, N, max, NULL), x);
        for (size_t i = 0; i < N; i++)
            NEAR(x[i], expected[t][i], 3e-7 * (1 + fabs(expected[t][i])));
    }
    adam_release(&opt);
}

static void test_steps_of_pytorch(void **state)
{
    (void)state;
    check(3e-4, 1e-5, 0.5, of_ppo);
    check(1e-2, 1e-8, 10, of_dqn);
}

/* A constant gradient moves by the rate each step: both corrections are at work, the first
 * step and the thousandth. */
static void test_corrections(void **state)
{
    (void)state;
    struct adam opt;
    float x[N] = { 0 }, g[N];
    assert_int_equal(adam_init(&opt, N, 1e-3, 1e-8, NULL), OK);
    for (size_t i = 0; i < N; i++)
        g[i] = i % 2 ? 2.5F : -0.01F;
    for (int t = 1; t <= 1000; t++) {
        adam_step(&opt, g, 1, x);
        NEAR(x[0], 1e-3 * t, 1e-5 * 1e-3 * t + 1e-6);
        NEAR(x[1], -1e-3 * t, 1e-5 * 1e-3 * t + 1e-6);
    }
    adam_release(&opt);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steps_of_pytorch),
        cmocka_unit_test(test_corrections),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
