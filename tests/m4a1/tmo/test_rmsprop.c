/* test_rmsprop.c - worked steps of the optimiser and of clipping. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include "m4a1/tmo/rmsprop.h"

#define NEAR(a, b) assert_true(fabs((a) - (b)) <= 1e-12)

/* Three steps by hand on f = x^2 / 2 from x = 1: g is x itself. */
static void test_worked_steps(void **state)
{
    (void)state;
    struct rmsprop opt;
    assert_int_equal(rmsprop_init(&opt, 1, 0.1, 0.9, 0.01, NULL), OK);
    double x = 1, g = x;
    rmsprop_step(&opt, &g, &x); // square 0.1, so 1 - 0.1 / (sqrt 0.1 + 0.01)
    NEAR(opt.square[0], 0.1);
    NEAR(x, 0.693465699682845);
    g = x;
    rmsprop_step(&opt, &g, &x);
    double square = 0.9 * 0.1 + 0.1 * g * g;
    NEAR(opt.square[0], square);
    NEAR(x, g - 0.1 * g / (sqrt(square) + 0.01));
    double before = x;
    g = 0;
    rmsprop_step(&opt, &g, &x); // no gradient, no move; the square decays
    NEAR(x, before);
    NEAR(opt.square[0], 0.9 * square);
    rmsprop_release(&opt);
}

/* As in PyTorch the square starts at zero and epsilon stands behind the root: the first
 * step is rate / sqrt(1 - alpha) long whatever the gradient's size.  With ones, or with
 * epsilon under the root, it would be near zero for this gradient. */
static void test_first_step_of_a_small_gradient(void **state)
{
    (void)state;
    struct rmsprop opt;
    enum { N = 19 }; // beyond whole blocks of the loop
    double x[N] = { 0 }, g[N];
    assert_int_equal(rmsprop_init(&opt, N, 7e-4, 0.99, 1e-5, NULL), OK);
    for (size_t i = 0; i < N; i++)
        g[i] = i % 2 ? -0.01 : 0.01;
    rmsprop_step(&opt, g, x);
    for (size_t i = 0; i < N; i++)
        NEAR(x[i], (i % 2 ? 1 : -1) * 7e-4 * 0.01 / (sqrt(0.01 * 1e-4) + 1e-5));
    rmsprop_release(&opt);
}

static void test_clipping(void **state)
{
    (void)state;
    enum { N = 20 };
    double g[N];
    for (size_t i = 0; i < N; i++)
        g[i] = i == 3 ? 3 : i == 17 ? 4 : 0;
    NEAR(gradient_clip(g, N, 6), 5); // long enough already
    NEAR(g[3], 3);
    NEAR(gradient_clip(g, N, 0.5), 5);
    NEAR(g[3], 3 * 0.5 / (5 + 1e-6));
    NEAR(g[17], 4 * 0.5 / (5 + 1e-6));
    double zero[N] = { 0 };
    NEAR(gradient_clip(zero, N, 0.5), 0);
    NEAR(zero[0], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_worked_steps),
        cmocka_unit_test(test_first_step_of_a_small_gradient),
        cmocka_unit_test(test_clipping),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
