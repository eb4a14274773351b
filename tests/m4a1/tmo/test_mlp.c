/* test_mlp.c - forward pass against a plain one in double, gradients against finite
 * differences of it, rows against batches, drawn weights, clipping. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "m4a1/tmo/mlp.h"

#define NEAR(a, b, tolerance) assert_true(fabs((double)(a) - (b)) <= (tolerance))
#define HIDDEN MLP_HIDDEN
#define F 7
#define N_OUT 5
#define ROWS 6
#define AT 16 /* where the network's parameters begin */

struct net {
    struct mlp m;
    float *params, *x;
    struct mlp_pass pass;
};

/* A network with random weights and biases of ordinary size, and ROWS rows of features
 * with zeros among them. */
static struct net make(enum mlp_activation activation)
{
    struct net net = { .m = mlp_place(F, N_OUT, activation, AT) };
    const struct mlp *m = &net.m;
    struct rng rng;
    rng_init(&rng, 1, "test/network", activation);
    net.params = floats_new(m->end);
    net.x = floats_new((size_t)ROWS * F);
    assert_true(net.params && net.x);
    assert_int_equal(mlp_pass_init(&net.pass, m, ROWS, NULL), OK);
    for (size_t i = m->w1; i < m->w3; i++)
        net.params[i] = (float)(0.3 * rng_normal(&rng));
    for (size_t i = 0; i < HIDDEN; i++)
        for (size_t o = 0; o < N_OUT; o++)
            net.params[m->w3 + i * m->n_wide + o] = (float)(0.3 * rng_normal(&rng));
    for (size_t o = 0; o < N_OUT; o++)
        net.params[m->b3 + o] = (float)(0.3 * rng_normal(&rng));
    for (size_t i = 0; i < (size_t)ROWS * F; i++)
        net.x[i] = (float)rng_below(&rng, 4) - 1;
    return net;
}

static void release(struct net *net)
{
    free(net->params);
    free(net->x);
    mlp_pass_release(&net->pass);
}

static double activate(enum mlp_activation activation, double x)
{
    return activation == MLP_TANH ? tanh(x) : x > 0 ? x : 0;
}

/* out [N_OUT] in double, of parameters in double; the sums before the first and second
 * activation go to before [2 HIDDEN]. */
static void plain(const struct mlp *m, const double *params, const float *x, double *out,
    double *before)
{
    double h1[HIDDEN], h2[HIDDEN];
    for (size_t j = 0; j < HIDDEN; j++) {
        double sum = params[m->b1 + j];
        for (size_t i = 0; i < m->n_in; i++)
            sum += (double)x[i] * params[m->w1 + i * HIDDEN + j];
        before[j] = sum;
        h1[j] = activate(m->activation, sum);
    }
    for (size_t j = 0; j < HIDDEN; j++) {
        double sum = params[m->b2 + j];
        for (size_t i = 0; i < HIDDEN; i++)
            sum += h1[i] * params[m->w2 + i * HIDDEN + j];
        before[HIDDEN + j] = sum;
        h2[j] = activate(m->activation, sum);
    }
    for (size_t o = 0; o < m->n_out; o++) {
        out[o] = params[m->b3 + o];
        for (size_t i = 0; i < HIDDEN; i++)
            out[o] += h2[i] * params[m->w3 + i * m->n_wide + o];
    }
}

static double *widen(const struct net *net)
{
    double *params = malloc(net->m.end * sizeof *params);
    assert_non_null(params);
    for (size_t i = 0; i < net->m.end; i++)
        params[i] = (double)net->params[i];
    return params;
}

static void check_forward(enum mlp_activation activation)
{
    struct net net = make(activation);
    const struct mlp *m = &net.m;
    double *params = widen(&net), out[N_OUT], before[2 * HIDDEN];
    mlp_forward(m, net.params, net.x, &net.pass, 0, ROWS);
    for (size_t t = 0; t < ROWS; t++) {
        plain(m, params, net.x + t * F, out, before);
        for (size_t o = 0; o < m->n_wide; o++)
            NEAR(net.pass.out[t * m->n_wide + o], o < N_OUT ? out[o] : 0, 1e-5);
        for (size_t i = 0; i < HIDDEN; i++)
            NEAR(net.pass.h1[t * HIDDEN + i], activate(activation, before[i]), 1e-5);
    }
    free(params);
    release(&net);
}

static void test_forward(void **state)
{
    (void)state;
    check_forward(MLP_TANH);
    check_forward(MLP_RELU);
}

/* A row has the same bits alone, in a batch, at another place of a pass and without one. */
static void test_rows_are_batches(void **state)
{
    (void)state;
    struct net net = make(MLP_TANH);
    const struct mlp *m = &net.m;
    struct mlp_pass single;
    assert_int_equal(mlp_pass_init(&single, m, ROWS, NULL), OK);
    mlp_forward(m, net.params, net.x, &net.pass, 0, ROWS);
    for (size_t t = 0; t < ROWS; t++) {
        float out[MLP_LANES];
        mlp_forward(m, net.params, net.x + t * F, &single, ROWS - 1 - t, 1);
        assert_memory_equal(single.out + (ROWS - 1 - t) * m->n_wide,
            net.pass.out + t * m->n_wide, m->n_wide * sizeof *out);
        assert_memory_equal(single.h2 + (ROWS - 1 - t) * HIDDEN, net.pass.h2 + t * HIDDEN,
            HIDDEN * sizeof *out);
        mlp_values(m, net.params, net.x + t * F, out);
        assert_memory_equal(out, net.pass.out + t * m->n_wide, m->n_wide * sizeof *out);
    }
    mlp_pass_release(&single);
    release(&net);
}

/* The loss of test_gradients: squares of the outputs, each with a weight of its own. */
static double loss(const struct net *net, const double *params, double *before)
{
    double sum = 0, out[N_OUT];
    for (size_t t = 0; t < ROWS; t++) {
        plain(&net->m, params, net->x + t * F, out, before + t * 2 * HIDDEN);
        for (size_t o = 0; o < N_OUT; o++)
            sum += (0.1 * (double)(t + o) - 0.3) * out[o] * out[o];
    }
    return sum;
}

/* Every parameter, by central differences of the plain pass in double; the gradients are
 * single precision, so they may be off by 2e-6 of the greatest.  ReLU has no derivative
 * where a sum changes its sign within the difference: such a parameter is left out. */
static void check_gradients(enum mlp_activation activation)
{
    struct net net = make(activation);
    const struct mlp *m = &net.m;
    float *gradient = floats_new(m->end + MLP_LANES);
    double *params = widen(&net), most = 0;
    static double before[2][(size_t)ROWS * 2 * HIDDEN];
    size_t n_checked = 0;
    assert_non_null(gradient);
    for (size_t i = 0; i < m->end + MLP_LANES; i++)
        gradient[i] = 1e9f; // what was there before is overwritten
    mlp_forward(m, net.params, net.x, &net.pass, 0, ROWS);
    for (size_t t = 0; t < ROWS; t++)
        for (size_t o = 0; o < N_OUT; o++)
            net.pass.d_out[t * m->n_wide + o] =
                (float)(2 * (0.1 * (double)(t + o) - 0.3) *
                        (double)net.pass.out[t * m->n_wide + o]);
    mlp_backward(m, net.params, net.x, &net.pass, ROWS, gradient);
    for (size_t i = AT; i < m->end; i++)
        most = fmax(most, fabs((double)gradient[i]));
    assert_true(most > 1 && most < 1e3);

    const double h = 1e-6;
    for (size_t i = AT; i < m->end; i++) {
        double kept = params[i], sides[2];
        int bends = 0;
        for (int side = 0; side < 2; side++) {
            params[i] = kept + (side ? h : -h);
            sides[side] = loss(&net, params, before[side]);
        }
        params[i] = kept;
        for (size_t j = 0; j < (size_t)ROWS * 2 * HIDDEN; j++)
            bends |= activation == MLP_RELU && (before[0][j] > 0) != (before[1][j] > 0);
        if (bends)
            continue;
        NEAR(gradient[i], (sides[1] - sides[0]) / (2 * h), 2e-6 * most);
        n_checked++;
    }
    assert_true(n_checked > (m->end - AT) * 99 / 100);
    assert_true(gradient[0] == 1e9f && gradient[m->end] == 1e9f); // not its own
    for (size_t i = 0; i < HIDDEN; i++)                           // what pads stays 0
        assert_true(gradient[m->w3 + i * m->n_wide + N_OUT] == 0);
    free(params);
    free(gradient);
    release(&net);
}

static void test_gradients(void **state)
{
    (void)state;
    check_gradients(MLP_TANH);
    check_gradients(MLP_RELU);
}

/* Rows or columns of w [n_in][stride], whichever are fewer, are orthogonal and of length
 * gain. */
static void check_orthogonal(
    const float *w, size_t n_in, size_t n_out, size_t stride, double gain)
{
    int by_input = n_in < n_out;
    size_t n = by_input ? n_in : n_out, len = by_input ? n_out : n_in;
    for (size_t a = 0; a < n; a++) {
        for (size_t b = 0; b <= a; b++) {
            double dot = 0;
            for (size_t i = 0; i < len; i++)
                dot += by_input ? (double)w[a * stride + i] * (double)w[b * stride + i]
                                : (double)w[i * stride + a] * (double)w[i * stride + b];
            NEAR(dot, a == b ? gain * gain : 0, 1e-6 * gain * gain);
        }
    }
}

static void test_orthogonal_weights(void **state)
{
    (void)state;
    struct mlp m = mlp_place(25, 9, MLP_TANH, 0);
    float *params = floats_new(m.end), *again = floats_new(m.end);
    struct rng rng;
    rng_init(&rng, 5, "test/draw", 0);
    assert_int_equal(mlp_draw_orthogonal(&m, params, 0.01, &rng, NULL), OK);
    check_orthogonal(params + m.w1, 25, HIDDEN, HIDDEN, sqrt(2));
    check_orthogonal(params + m.w2, HIDDEN, HIDDEN, HIDDEN, sqrt(2));
    check_orthogonal(params + m.w3, HIDDEN, 9, m.n_wide, 0.01);
    for (size_t j = 0; j < HIDDEN; j++)
        assert_true(params[m.b1 + j] == 0 && params[m.b2 + j] == 0);
    for (size_t i = 0; i < HIDDEN; i++)
        for (size_t o = 9; o < m.n_wide; o++)
            assert_true(params[m.w3 + i * m.n_wide + o] == 0);
    // The same draws give the same weights.
    rng_init(&rng, 5, "test/draw", 0);
    assert_int_equal(mlp_draw_orthogonal(&m, again, 0.01, &rng, NULL), OK);
    assert_memory_equal(params, again, m.end * sizeof *params);
    free(params);
    free(again);
}

/* n numbers at x are within the limit and fill it: deviation limit / sqrt 3. */
static void check_uniform(const float *x, size_t n, double limit)
{
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++) {
        assert_true(fabs((double)x[i]) <= limit && x[i] != 0);
        sum += (double)x[i];
        squares += (double)x[i] * (double)x[i];
    }
    double deviation = limit / sqrt(3), count = (double)n;
    NEAR(sum / count, 0, 4 * deviation / sqrt(count));
    NEAR(sqrt(squares / count), deviation, 2 * deviation / sqrt(count));
}

static void test_uniform_weights(void **state)
{
    (void)state;
    struct mlp m = mlp_place(25, 16, MLP_RELU, 0), padded = mlp_place(25, 9, MLP_RELU, 0);
    float *params = floats_new(m.end);
    struct rng rng;
    rng_init(&rng, 5, "test/draw", 0);
    mlp_draw_uniform(&m, params, &rng);
    check_uniform(params + m.w1, (size_t)25 * HIDDEN, 1.0 / 5);
    check_uniform(params + m.b1, HIDDEN, 1.0 / 5);
    check_uniform(params + m.w2, (size_t)HIDDEN * HIDDEN, 1.0 / 8);
    check_uniform(params + m.b2, HIDDEN, 1.0 / 8);
    check_uniform(params + m.w3, (size_t)HIDDEN * 16, 1.0 / 8);
    check_uniform(params + m.b3, 16, 1.0 / 8);
    mlp_draw_uniform(&padded, params, &rng);
    for (size_t i = 0; i < HIDDEN; i++)
        for (size_t o = 0; o < padded.n_wide; o++)
            assert_true((params[padded.w3 + i * padded.n_wide + o] == 0) == (o >= 9));
    free(params);
}

static void test_softmax_with_a_mask(void **state)
{
    (void)state;
    const float logits[MLP_LANES] = { 1, 2, 3, 100, 2, 77, 77, 77 };
    const unsigned char allowed[] = { 1, 0, 1, 0, 1 };
    double sum = exp(1) + exp(3) + exp(2);
    float p[MLP_LANES];
    mlp_softmax(logits, allowed, 5, p);
    NEAR(p[0], exp(1) / sum, 1e-7);
    NEAR(p[2], exp(3) / sum, 1e-7);
    NEAR(p[4], exp(2) / sum, 1e-7);
    assert_true(p[1] == 0 && p[3] == 0 && p[5] == 0 && p[6] == 0 && p[7] == 0);
    mlp_softmax(logits, NULL, 5, p);
    NEAR(p[3], 1, 1e-7);
}

static void test_clipping(void **state)
{
    (void)state;
    enum { N = 24 };
    float g[N] = { 0 };
    double norm;
    assert_true(gradient_scale(g, N, 0.5, &norm) == 1 && norm == 0);
    g[3] = 3;
    g[17] = 4;
    assert_true(gradient_scale(g, N, 6, &norm) == 1); // short enough already
    NEAR(norm, 5, 0);
    assert_true(gradient_scale(g, N, 0.5, NULL) == (float)(0.5 / (5 + 1e-6)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forward),
        cmocka_unit_test(test_rows_are_batches),
        cmocka_unit_test(test_gradients),
        cmocka_unit_test(test_orthogonal_weights),
        cmocka_unit_test(test_uniform_weights),
        cmocka_unit_test(test_softmax_with_a_mask),
        cmocka_unit_test(test_clipping),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
