/* test_tower_kernels.c - every compiled form of the kernels, attention, and the team, against plain
 * loops. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "annotate/clip/attention.h"
#include "annotate/clip/half.h"
#include "annotate/clip/tower_kernels.h"
#include "annotate/clip/team.h"
#include "m4a1/base/random.h"

#define MAX_N 4096

static struct rng rng;

/* n numbers of deviation `spread`, with a guard behind them. */
static float *draw(size_t n, double spread)
{
    float *x = malloc((n + 1) * sizeof *x);
    assert_non_null(x);
    for (size_t i = 0; i < n; i++)
        x[i] = (float)(spread * rng_normal(&rng));
    x[n] = 12345.0f;
    return x;
}

static void expect_guard(const float *x, size_t n)
{
    assert_true(x[n] == 12345.0f);
}

/* Calls test with each form that runs here. */
static void with_each(void (*test)(const struct kernels *k))
{
    const struct kernels *k;
    rng_init(&rng, 1, "kernels", 0);
    for (size_t i = 0; (k = kernels_at(i)); i++)
        test(k);
    assert_string_equal(kernels_at(0)->name, kernels_best()->name);
}

static void check_layer_norm(const struct kernels *k)
{
    static const size_t widths[] = { 1, 2, 15, 16, 17, 48, 55, 768, 1000 };
    for (size_t w = 0; w < sizeof widths / sizeof *widths; w++) {
        size_t width = widths[w], n = 3 * width;
        float *x = draw(n, 2), *gain = draw(width, 1), *bias = draw(width, 1);
        float *y = draw(n, 0);
        for (size_t i = 0; i < n; i++)
            x[i] += 5;
        k->layer_norm(x, 3, width, gain, bias, 1e-5f, y);
        expect_guard(y, n);
        for (size_t r = 0; r < 3; r++) {
            double mean = 0, variance = 0;
            for (size_t i = 0; i < width; i++)
                mean += x[r * width + i] / (double)width;
            for (size_t i = 0; i < width; i++)
                variance += pow(x[r * width + i] - mean, 2) / (double)width;
            for (size_t i = 0; i < width; i++)
                assert_float_equal(y[r * width + i],
                    (float)((x[r * width + i] - mean) / sqrt(variance + 1e-5) * gain[i] +
                            bias[i]),
                    2e-5);
        }
        k->layer_norm(x, 3, width, gain, bias, 1e-5f, x); // in place
        assert_memory_equal(x, y, n * sizeof *x);
        free(x);
        free(y);
        free(gain);
        free(bias);
    }
}

static void test_layer_norm(void **state)
{
    (void)state;
    with_each(check_layer_norm);
}

static void check_multiply(const struct kernels *k)
{
    for (int round = 0; round < 200; round++) {
        size_t m = 1 + rng_below(&rng, 20), n = 16 * (1 + rng_below(&rng, 9)),
               inner = 1 + rng_below(&rng, 70), lda = inner + rng_below(&rng, 5),
               ldb = n + rng_below(&rng, 5), ldc = n + rng_below(&rng, 5);
        float *a = draw(m * lda, 1), *b = draw(inner * ldb, 1), *c = draw(m * ldc, 0);
        k->multiply(a, lda, b, ldb, c, ldc, m, inner, n);
        expect_guard(c, m * ldc);
        for (size_t i = 0; i < m; i++)
            for (size_t j = 0; j < ldc; j++) {
                double sum = 0;
                for (size_t l = 0; l < inner && j < n; l++)
                    sum += (double)a[i * lda + l] * b[l * ldb + j];
                assert_float_equal(c[i * ldc + j], (float)sum, 2e-5);
            }
        free(a);
        free(b);
        free(c);
    }
}

static void test_multiply(void **state)
{
    (void)state;
    with_each(check_multiply);
}

static void check_softmax(const struct kernels *k)
{
    static const double spreads[] = { 0, 0.1, 3, 40 };
    for (size_t n = 1; n < 70; n++)
        for (size_t s = 0; s < 4; s++) {
            size_t padded = kernels_padded(n);
            float *x = draw(padded, spreads[s]), *before = draw(padded, 0);
            memcpy(before, x, padded * sizeof *x);
            k->softmax(x, n, 0.125f);
            expect_guard(x, padded);
            double sum = 0, top = -INFINITY;
            for (size_t i = 0; i < n; i++)
                top = before[i] > top ? before[i] : top;
            for (size_t i = 0; i < n; i++)
                sum += exp(0.125 * ((double)before[i] - top));
            for (size_t i = 0; i < padded; i++) {
                double share = i < n ? exp(0.125 * ((double)before[i] - top)) / sum : 0;
                assert_float_equal(x[i], share, 3e-7);
            }
            free(x);
            free(before);
        }
    float far[16] = { -3e38f, 0, 3e38f };
    k->softmax(far, 3, 1.0f);
    assert_true(far[0] == 0.0f && far[1] == 0.0f && far[2] == 1.0f);
}

static void test_softmax(void **state)
{
    (void)state;
    with_each(check_softmax);
}

static void check_to_bf16(const struct kernels *k)
{
    /* Ties go to the even neighbour: 1 + 2^-8 to 1, 1 + 3 * 2^-8 to 1 + 2^-6. */
    const float ties[] = { 1.00390625f, 1.01171875f, -1.00390625f, 0.0f, 1.0f };
    const float want[] = { 1.0f, 1.015625f, -1.0f, 0.0f, 1.0f };
    float *x = draw(MAX_N, 3), back[MAX_N];
    uint16_t half[MAX_N + 1];
    memcpy(x, ties, sizeof ties);
    for (size_t n = 1; n < 40; n++) {
        half[n] = 0xabcd;
        k->to_bf16(x, n, half);
        assert_int_equal(half[n], 0xabcd);
    }
    k->to_bf16(x, MAX_N, half);
    bfloat_to_float((const uint8_t *)half, MAX_N, back);
    assert_memory_equal(back, want, sizeof want);
    for (size_t i = 0; i < MAX_N; i++)
        assert_true(fabsf(back[i] - x[i]) <= fabsf(x[i]) / 256);
    free(x);
}

static void test_to_bf16(void **state)
{
    (void)state;
    with_each(check_to_bf16);
}

static void check_transpose(const struct kernels *k)
{
    for (int round = 0; round < 100; round++) {
        size_t rows = 1 + rng_below(&rng, 50), columns = 1 + rng_below(&rng, 50),
               ldx = columns + rng_below(&rng, 4), ldy = kernels_padded(rows);
        float *x = draw(rows * ldx, 1), *y = draw(columns * ldy, 1);
        k->transpose(x, ldx, rows, columns, y);
        expect_guard(y, columns * ldy);
        for (size_t c = 0; c < columns; c++)
            for (size_t r = 0; r < ldy; r++)
                assert_true(y[c * ldy + r] == (r < rows ? x[r * ldx + c] : 0.0f));
        free(x);
        free(y);
    }
}

static void test_transpose(void **state)
{
    (void)state;
    with_each(check_transpose);
}

/* --- attention --- */

static void plain_attention(const struct attention_shape *shape, const float *qkv,
    size_t n, size_t query, float *out)
{
    size_t d = shape->head_width, width = d * shape->n_heads, row = 3 * width;
    size_t n_seen = shape->causal ? query + 1 : n;
    double p[256];
    for (size_t h = 0; h < width; h += d) {
        double sum = 0;
        for (size_t j = 0; j < n_seen; j++) {
            double score = 0;
            for (size_t c = h; c < h + d; c++)
                score += (double)qkv[query * row + c] * qkv[j * row + width + c];
            p[j] = exp(score / sqrt((double)d));
            sum += p[j];
        }
        for (size_t c = h; c < h + d; c++) {
            double v = 0;
            for (size_t j = 0; j < n_seen; j++)
                v += p[j] / sum * qkv[j * row + 2 * width + c];
            out[c] = (float)v;
        }
    }
}

static void check_attention(const struct kernels *k)
{
    for (int round = 0; round < 150; round++) {
        const struct attention_shape shape = { 1 + rng_below(&rng, 4),
            1 + rng_below(&rng, 70), rng_below(&rng, 2) != 0 };
        size_t width = shape.n_heads * shape.head_width, n = 1 + rng_below(&rng, 90);
        size_t first = rng_below(&rng, n), end = first + 1 + rng_below(&rng, n - first);
        size_t n_scratch = attention_scratch(&shape, n), n_out = (end - first) * width;
        float *qkv = draw(n * 3 * width, 1), *scratch = draw(n_scratch, 1e3);
        float *out = draw(n_out, 0), want[280];
        attention_run(k, &shape, qkv, n, first, end, scratch, out);
        expect_guard(scratch, n_scratch);
        expect_guard(out, n_out);
        for (size_t i = first; i < end; i++) {
            plain_attention(&shape, qkv, n, i, want);
            for (size_t c = 0; c < width; c++)
                assert_float_equal(out[(i - first) * width + c], want[c], 1e-5);
        }
        free(qkv);
        free(scratch);
        free(out);
    }
}

static void test_attention(void **state)
{
    (void)state;
    with_each(check_attention);
}

/* --- team --- */

#define ROUNDS 2000

struct relay {
    struct team *team;
    atomic_size_t n_here;
    atomic_int wrong;
};

/* At every meeting all of the run must have arrived, and none be further. */
static void relay(void *arg, size_t rank, size_t size)
{
    struct relay *r = arg;
    if (rank >= size)
        atomic_fetch_add(&r->wrong, 1);
    for (size_t i = 1; i <= ROUNDS; i++) {
        atomic_fetch_add(&r->n_here, 1);
        team_meet(r->team);
        if (atomic_load(&r->n_here) != i * size)
            atomic_fetch_add(&r->wrong, 1);
        team_meet(r->team);
    }
}

static void test_team(void **state)
{
    (void)state;
    struct relay r = { .team = NULL };
    assert_int_equal(team_new(3, NULL, &r.team, NULL), OK);
    assert_int_equal(team_size(r.team), 3);
    for (size_t size = 1; size <= 3; size++) {
        atomic_store(&r.n_here, 0);
        team_run(r.team, size, relay, &r);
        assert_int_equal(atomic_load(&r.n_here), ROUNDS * size);
        assert_int_equal(atomic_load(&r.wrong), 0);
    }
    team_free(r.team);
    assert_int_equal(team_new(0, NULL, &r.team, NULL), OK);
    assert_true(team_size(r.team) >= 1);
    team_free(r.team);
    team_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layer_norm),
        cmocka_unit_test(test_multiply),
        cmocka_unit_test(test_softmax),
        cmocka_unit_test(test_to_bf16),
        cmocka_unit_test(test_transpose),
        cmocka_unit_test(test_attention),
        cmocka_unit_test(test_team),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
