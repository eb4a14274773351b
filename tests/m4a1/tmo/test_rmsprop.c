/* test_rmsprop.c - steps of the optimiser against those of PyTorch. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include "m4a1/tmo/mlp.h"
#include "m4a1/tmo/rmsprop.h"

#define N MLP_LANES
#define NEAR(a, b, tolerance) assert_true(fabs((double)(a) - (b)) <= (tolerance))

/* The figures are PyTorch 1.13's in float64, printed to ten digits by
 *
 *     x = torch.tensor([1, -2, .5, 0, 3, -.25, .125, 10], dtype=torch.float64,
 *                      requires_grad=True)
 *     k = torch.tensor([1, .5, 2, 1, .01, 100, 0, -1], dtype=torch.float64)
 *     opt = torch.optim.RMSprop([x], lr=7e-4, alpha=.99, eps=1e-5)
 *     for t in range(4):
 *         opt.zero_grad()
 *         (k * x * x / 2).sum().backward()
 *         torch.nn.utils.clip_grad_norm_([x], .5)
 *         opt.step()
 *         print(x.tolist())
 *
 * and for the second table with lr=.1, alpha=.9, eps=.01 and no clipping. */
static const float start[N] = { 1, -2, .5F, 0, 3, -.25F, .125F, 10 };
static const float k[N] = { 1, .5F, 2, 1, .01F, 100, 0, -1 };

static const double clipped[4][N] = {
    { 0.9930375713, -1.993037571, 0.4930375713, 0, 2.994067176, -0.2430015106, 0.125,
        10.00699622 },
    { 0.9880519776, -1.988043422, 0.488069226, 0, 2.98961213, -0.2380504371, 0.125,
        10.01201759 },
    { 0.9839466341, -1.983926678, 0.483986913, 0, 2.985861535, -0.2340033426, 0.125,
        10.0161593 },
    { 0.9803664121, -1.980333597, 0.4804327178, 0, 2.982545767, -0.2304936821, 0.125,
        10.01977623 },
};
static const double plain[4][N] = {
    { 0.6934656997, -1.6934657, 0.1934656997, 0, 2.846049894, 0.06582827134, 0.125,
        10.31523092 },
    { 0.5117417505, -1.488004858, 0.07761561516, 0, 2.720827277, -0.01863699585, 0.125,
        10.54746446 },
    { 0.3831319706, -1.325628557, 0.02929643206, 0, 2.611234187, 0.006488416039, 0.125,
        10.74363502 },
    { 0.286729167, -1.188697878, 0.01014029375, 0, 2.51198724, -0.002727495038, 0.125,
        10.91887651 },
};

/* The tolerance is a few roundings of single precision a step. */
static void check(struct rmsprop *opt, double max, const double expected[4][N])
{
    float x[N], g[N];
    for (size_t i = 0; i < N; i++)
        x[i] = start[i];
    for (size_t t = 0; t < 4; t++) {
        for (size_t i = 0; i < N; i++)
            g[i] = k[i] * x[i];
        rmsprop_step(opt, g, max > 0 ? gradient_scale(g, N, max, NULL) : 1, x);
        for (size_t i = 0; i < N; i++)
            NEAR(x[i], expected[t][i], 1e-6 * (1 + fabs(expected[t][i])));
    }
    rmsprop_release(opt);
}

static void test_steps_of_pytorch(void **state)
{
    (void)state;
    struct rmsprop opt;
    assert_int_equal(rmsprop_init(&opt, N, 7e-4, 0.99, 1e-5, NULL), OK);
    check(&opt, 0.5, clipped);
    assert_int_equal(rmsprop_init(&opt, N, 0.1, 0.9, 0.01, NULL), OK);
    check(&opt, 0, plain);
}

/* The square starts at zero and epsilon stands behind the root: the first step is rate /
 * sqrt(1 - alpha) long whatever the gradient's size.  With ones, or with epsilon under the
 * root, it would be near zero for this gradient. */
static void test_first_step_of_a_small_gradient(void **state)
{
    (void)state;
    struct rmsprop opt;
    enum { MANY = 24 };
    float x[MANY] = { 0 }, g[MANY];
    assert_int_equal(rmsprop_init(&opt, MANY, 7e-4, 0.99, 1e-5, NULL), OK);
    for (size_t i = 0; i < MANY; i++)
        g[i] = i % 2 ? -0.01F : 0.01F;
    rmsprop_step(&opt, g, 1, x);
    for (size_t i = 0; i < MANY; i++)
        NEAR(x[i], (i % 2 ? 1 : -1) * 7e-4 * 0.01 / (sqrt(0.01 * 1e-4) + 1e-5), 1e-9);
    rmsprop_release(&opt);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steps_of_pytorch),
        cmocka_unit_test(test_first_step_of_a_small_gradient),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
