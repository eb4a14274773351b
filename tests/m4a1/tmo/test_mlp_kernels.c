/* test_mlp_kernels.c - every compiled form of the loops against plain ones in double, and
 * against each other to the bit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "m4a1/base/random.h"
#include "m4a1/tmo/mlp_kernels.h"

#define HIDDEN MLP_HIDDEN
#define NEAR(a, b, tolerance) assert_true(fabs((double)(a) - (b)) <= (tolerance))
#define GUARD 12345.0f

static struct rng rng;

/* n numbers of deviation `spread`, with a guard behind them. */
static float *draw(size_t n, double spread)
{
    float *x = malloc((n + 1) * sizeof *x);
    assert_non_null(x);
    for (size_t i = 0; i < n; i++)
        x[i] = (float)(spread * rng_normal(&rng));
    x[n] = GUARD;
    return x;
}

static float *copy(const float *x, size_t n)
{
    float *y = malloc((n + 1) * sizeof *y);
    assert_non_null(y);
    memcpy(y, x, (n + 1) * sizeof *y);
    return y;
}

/* What another form gave for the same call: equal to the bit, guard and all. */
static void expect_same(const float *x, const float *y, size_t n)
{
    assert_memory_equal(x, y, (n + 1) * sizeof *x);
    assert_true(x[n] == GUARD);
}

static void test_forms(void **state)
{
    (void)state;
    size_t n = 0;
    while (mlp_kernels_at(n))
        n++;
    assert_string_equal(mlp_kernels_at(n - 1)->name, "plain");
    assert_ptr_equal(mlp_kernels_best(), mlp_kernels_at(0));
#ifdef __x86_64__
    assert_int_equal(n, 1 + (__builtin_cpu_supports("avx2") != 0) +
                            (__builtin_cpu_supports("avx512dq") != 0));
#endif
}

static void check_product(size_t m, size_t k, size_t n, int turned)
{
    float *a = draw(m * k, 1), *b = draw(k * n, 1), *first = NULL;
    size_t row_step = turned ? 1 : k, sum_step = turned ? m : 1;
    const struct mlp_kernels *form;
    for (size_t f = 0; (form = mlp_kernels_at(f)); f++) {
        float *c = draw(m * n, 1);
        form->multiply(&(struct mlp_product) { a, row_step, sum_step, b, c, m, k, n });
        for (size_t i = 0; i < m; i++)
            for (size_t j = 0; j < n; j++) {
                double sum = 0;
                float in_order = 0;
                for (size_t l = 0; l < k; l++) {
                    float x = a[i * row_step + l * sum_step] * b[l * n + j];
                    in_order += x;
                    sum += (double)a[i * row_step + l * sum_step] * (double)b[l * n + j];
                }
                NEAR(c[i * n + j], sum, 1e-5 * (1 + (double)k));
                assert_true(c[i * n + j] == in_order); // the order that is promised
            }
        if (first)
            expect_same(c, first, m * n);
        else
            first = copy(c, m * n);
        free(c);
    }
    free(first);
    free(a);
    free(b);
}

static void test_products(void **state)
{
    (void)state;
    static const size_t ms[] = { 1, 2, 3, 5, 8, 32, 65 }, ks[] = { 1, 5, 64 },
                        ns[] = { 8, 16, 24, 64, 72 };
    rng_init(&rng, 1, "test/products", 0);
    for (size_t i = 0; i < sizeof ms / sizeof *ms; i++)
        for (size_t j = 0; j < sizeof ks / sizeof *ks; j++)
            for (size_t l = 0; l < sizeof ns / sizeof *ns; l++)
                for (int turned = 0; turned < 2; turned++)
                    check_product(ms[i], ks[j], ns[l], turned);
}

/* Both activations and their derivatives. */
static void test_activations(void **state)
{
    (void)state;
    const struct mlp_kernels *form;
    size_t n = 50 * HIDDEN;
    rng_init(&rng, 1, "test/activations", 0);
    float *x = draw(n, 3), *bias = draw(HIDDEN, 1), *back = draw(n, 1);
    x[0] = -bias[0]; // exactly 0
    x[1] = 1000;
    x[2] = -1000;
    x[3] = 1e-6f - bias[3];
    float *first[4] = { NULL };
    for (size_t f = 0; (form = mlp_kernels_at(f)); f++) {
        float *h[4] = { copy(x, n), copy(x, n), copy(back, n), copy(back, n) };
        form->tanh_rows(h[0], bias, 50);
        form->relu_rows(h[1], bias, 50);
        form->tanh_back(h[2], h[0], n);
        form->relu_back(h[3], h[1], n);
        for (size_t i = 0; i < n; i++) {
            double v = (double)(x[i] + bias[i % HIDDEN]), t = tanh(v);
            NEAR(h[0][i], t, 5e-7);
            NEAR(h[0][i], t, 5e-7 * fabs(t)); // relative too
            assert_true(fabsf(h[0][i]) <= 1);
            assert_true(h[1][i] == (v > 0 ? (float)v : 0));
            NEAR(h[2][i], (double)back[i] * (1 - t * t),
                1e-6 * (1 + fabs((double)back[i])));
            assert_true(h[3][i] == (v > 0 ? back[i] : 0));
        }
        assert_true(h[0][0] == 0 && h[1][0] == 0);
        for (int i = 0; i < 4; i++) {
            if (first[i])
                expect_same(h[i], first[i], n);
            else
                first[i] = copy(h[i], n);
            free(h[i]);
        }
    }
    for (int i = 0; i < 4; i++)
        free(first[i]);
    free(x);
    free(bias);
    free(back);
}

static void test_rows_and_columns(void **state)
{
    (void)state;
    const struct mlp_kernels *form;
    static const size_t widths[] = { 8, 16, 64, 1032 };
    rng_init(&rng, 1, "test/rows", 0);
    for (size_t w = 0; w < sizeof widths / sizeof *widths; w++) {
        size_t width = widths[w], n = 7 * width;
        float *x = draw(n, 1), *bias = draw(width, 1), *square = draw(HIDDEN * width, 1);
        for (size_t f = 0; (form = mlp_kernels_at(f)); f++) {
            float *y = copy(x, n), *sums = draw(width, 1),
                  *flipped = draw(HIDDEN * width, 1);
            form->add_bias(y, bias, 7, width);
            form->sum_rows(sums, x, 7, width);
            form->transpose(flipped, square, width);
            for (size_t i = 0; i < width; i++) {
                float sum = 0;
                for (size_t t = 0; t < 7; t++) {
                    sum += x[t * width + i];
                    assert_true(y[t * width + i] == x[t * width + i] + bias[i]);
                }
                assert_true(sums[i] == sum);
                for (size_t j = 0; j < HIDDEN; j++)
                    assert_true(flipped[i * HIDDEN + j] == square[j * width + i]);
            }
            assert_true(y[n] == GUARD && sums[width] == GUARD &&
                        flipped[HIDDEN * width] == GUARD);
            free(y);
            free(sums);
            free(flipped);
        }
        free(x);
        free(bias);
        free(square);
    }
}

static void check_softmax(size_t n, double spread, int masked)
{
    size_t end = mlp_padded(n);
    float *x = draw(end, spread), *first = NULL;
    const struct mlp_kernels *form;
    double most = -INFINITY, sum = 0, total = 0;
    for (size_t i = 0; i < n; i++) {
        x[i] = masked && i % 3 == 1 ? -INFINITY : x[i];
        most = (double)x[i] > most ? (double)x[i] : most;
    }
    for (size_t i = 0; i < n; i++)
        sum += exp((double)x[i] - most);
    for (size_t f = 0; (form = mlp_kernels_at(f)); f++) {
        float *p = draw(end, 1);
        form->softmax(p, x, n);
        total = 0;
        for (size_t i = 0; i < end; i++) {
            double exact = i < n ? exp((double)x[i] - most) / sum : 0;
            NEAR(p[i], exact, 1e-5 * exact + 1e-37); // x - most is rounded
            total += (double)p[i];
        }
        NEAR(total, 1, 1e-6);
        if (first)
            expect_same(p, first, end);
        else
            first = copy(p, end);
        free(p);
    }
    free(first);
    free(x);
}

static void test_softmax(void **state)
{
    (void)state;
    static const size_t ns[] = { 1, 2, 7, 8, 9, 16, 1025 };
    rng_init(&rng, 1, "test/softmax", 0);
    for (size_t i = 0; i < sizeof ns / sizeof *ns; i++)
        for (int masked = 0; masked < 2; masked++) {
            check_softmax(ns[i], 1, masked);
            check_softmax(ns[i], 100, masked); // most of them vanish
        }
}

/* Norms and both optimisers over many sizes: forms agree to the bit, and norms with double.
 * What optimisers do is test_rmsprop.c's and test_adam.c's. */
static void test_sums_and_steps(void **state)
{
    (void)state;
    const struct mlp_kernels *form;
    const struct rmsprop_step rms = { .99f, .01f, 1e-5f, 7e-4f };
    const struct adam_step adam = { .9f, .1f, .999f, .001f, 3.0f, 1e-5f, 3e-4f };
    rng_init(&rng, 1, "test/steps", 0);
    for (size_t n = 8; n <= 200; n += 24) {
        float *g = draw(n, 1), *x = draw(n, 1), *mean = draw(n, 1), *square = draw(n, 1);
        float *first[5] = { NULL }, norm = 0;
        double exact = 0;
        for (size_t i = 0; i < n; i++) {
            square[i] *= square[i];
            exact += (double)g[i] * (double)g[i];
        }
        for (size_t f = 0; (form = mlp_kernels_at(f)); f++) {
            float *got[5] = { copy(x, n), copy(square, n), copy(x, n), copy(mean, n),
                copy(square, n) };
            float sum = form->square_sum(g, n);
            NEAR(sum, exact, 1e-5 * exact);
            assert_true(f == 0 || sum == norm);
            norm = sum;
            form->rmsprop(&rms, got[0], got[1], g, .7f, n);
            form->adam(&adam, got[2], got[3], got[4], g, .7f, n);
            for (int i = 0; i < 5; i++) {
                if (first[i])
                    expect_same(got[i], first[i], n);
                else
                    first[i] = copy(got[i], n);
                free(got[i]);
            }
        }
        for (int i = 0; i < 5; i++)
            free(first[i]);
        free(g);
        free(x);
        free(mean);
        free(square);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_products),
        cmocka_unit_test(test_activations),
        cmocka_unit_test(test_rows_and_columns),
        cmocka_unit_test(test_softmax),
        cmocka_unit_test(test_sums_and_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
