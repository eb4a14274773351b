/* test_knn.c - the published estimator, its ties and its order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "m4a1/base/random.h"
#include "m4a1/tmo/knn.h"
#include "tests/support/tmo_data.h"

#define NEAR(a, b) assert_true(fabs((a) - (b)) <= 1e-9)
#define D 29 /* features of a golden row */

static void read_row(const struct json *list, int16_t *x)
{
    assert_int_equal(json_size(list), D);
    for (size_t j = 0; j < D; j++)
        x[j] = (int16_t)json_int(json_at(list, j), 99);
}

static struct knn *build(const int16_t *x, const double *y, size_t n, size_t d, size_t k)
{
    struct knn *knn;
    struct error err = ERROR_INIT;
    enum status s = knn_build(x, y, n, d, k, &knn, &err);
    if (s)
        print_message("%s\n", err.msg);
    assert_int_equal(s, OK);
    return knn;
}

/* One golden query at one k. */
static size_t check_query(
    const struct knn *knn, const int16_t *q, const struct json *expected)
{
    int tie = json_bool(json_get(expected, "tie"), -1);
    double got = knn_estimate(knn, q);
    struct knn_neighbours near;
    assert_int_equal(knn_explain(knn, q, &near, NULL), OK);
    NEAR(near.estimate, got);
    NEAR(near.least, json_number(json_get(expected, "est_min"), NAN));
    NEAR(near.greatest, json_number(json_get(expected, "est_max"), NAN));
    NEAR(got, json_number(json_get(expected, "est_tie_averaged"), NAN));
    if (!tie)
        NEAR(got, json_number(json_get(expected, "est"), NAN));
    assert_int_equal(near.n_taken < near.n_at_last, tie);
    assert_int_equal(near.n_at_last, json_int(json_get(expected, "n_at_kth"), -1));
    assert_int_equal(near.n_taken, json_int(json_get(expected, "n_taken_at_kth"), -1));

    // The neighbours themselves: distances as listed, weights that add up to one and
    // give the estimate.
    const struct json *distances = json_get(expected, "dist");
    double sum = 0, weight = 0, places = 0;
    for (size_t i = 0; i < near.n; i++) {
        if (i < json_size(distances))
            NEAR(near.all[i].distance, json_number(json_at(distances, i), NAN));
        sum += near.all[i].weight * near.all[i].score;
        weight += near.all[i].weight;
        places += near.all[i].places;
    }
    NEAR(sum, got);
    NEAR(weight, 1);
    NEAR(places, (double)json_size(distances));
    knn_neighbours_release(&near);
    return tie ? 1 : 0;
}

static void test_golden(void **state)
{
    (void)state;
    struct json *golden = golden_json("golden/tmo/knn.json");
    if (!golden) {
        print_message("no shared golden/tmo/knn.json\n");
        skip();
    }
    const struct json *pairs = json_get(golden, "pairs");
    size_t n = json_size(pairs), n_ties = 0, n_queries = 0;
    int16_t *x = malloc(n * D * sizeof *x);
    double *y = malloc(n * sizeof *y);
    assert_true(x && y);
    for (size_t i = 0; i < n; i++) {
        read_row(json_at(pairs, i), x + i * D);
        y[i] = json_number(json_at(json_get(golden, "rewards"), i), NAN);
    }
    static const size_t ks[] = { 1, 3, 5, 10 };
    static const char *const names[] = { "1", "3", "5", "10" };
    for (size_t i = 0; i < 4; i++) {
        struct knn *knn = build(x, y, n, D, ks[i]);
        const struct json *q = json_first(json_get(golden, "queries"));
        for (; q; q = json_next(q), n_queries++) {
            int16_t vec[D];
            read_row(json_get(q, "vec"), vec);
            n_ties += check_query(knn, vec, json_get(json_get(q, "k"), names[i]));
        }
        knn_free(knn);
    }
    assert_int_equal(n_queries, 800);
    assert_true(n_ties > 400);
    free(x);
    free(y);
    json_free(golden);
}

static void test_worked_example(void **state)
{
    (void)state;
    // Distances from 0: 0, 1, 2, 2, 2; with k = 3 the three at 2 share one place.
    const int16_t x[] = { 0, 1, 2, -2, 2 };
    const double y[] = { 1, 0, 3, 6, 9 };
    struct knn *knn = build(x, y, 5, 1, 3);
    assert_int_equal(knn_n_rows(knn), 5);
    assert_int_equal(knn_n_distinct(knn), 4);
    double w0 = 1 / 1e-6, w1 = 1 / (1 + 1e-6), w2 = 1 / (2 + 1e-6);
    const int16_t q = 0;
    NEAR(knn_estimate(knn, &q), (w0 * 1 + w1 * 0 + w2 * 6) / (w0 + w1 + w2));
    struct knn_neighbours near;
    assert_int_equal(knn_explain(knn, &q, &near, NULL), OK);
    assert_int_equal(near.n, 5);
    assert_int_equal(near.n_at_last, 3);
    assert_int_equal(near.n_taken, 1);
    assert_int_equal(near.all[2].row, 2); // the lowest of the tied scores
    assert_int_equal(near.all[4].row, 4);
    NEAR(near.all[4].places, 1.0 / 3);
    NEAR(near.least, (w0 + w2 * 3) / (w0 + w1 + w2));
    NEAR(near.greatest, (w0 + w2 * 9) / (w0 + w1 + w2));
    knn_neighbours_release(&near);
    knn_free(knn);
}

/* The plain reading of the rule: sort all rows, share the last places. */
static double plain(
    const int16_t *x, const double *y, size_t n, size_t d, size_t k, const int16_t *q)
{
    long d2[64], kth = 0;
    for (size_t i = 0; i < n; i++) {
        d2[i] = 0;
        for (size_t j = 0; j < d; j++)
            d2[i] += (long)(x[i * d + j] - q[j]) * (x[i * d + j] - q[j]);
    }
    size_t closer = 0, at = 0;
    for (kth = 0;; kth++) { // the smallest distance that k rows reach
        closer = at = 0;
        for (size_t i = 0; i < n; i++) {
            closer += d2[i] < kth;
            at += d2[i] == kth;
        }
        if (closer + at >= k)
            break;
    }
    double above = 0, below = 0;
    for (size_t i = 0; i < n; i++) {
        double part = d2[i] < kth ? 1 : 0;
        if (d2[i] == kth)
            part = (double)(k - closer) / (double)at;
        double w = part / (sqrt((double)d2[i]) + 1e-6);
        above += w * y[i];
        below += w;
    }
    return above / below;
}

static void test_against_plain_loop_and_any_order(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 1, "test/knn", 0);
    for (int round = 0; round < 300; round++) {
        int16_t x[40 * 3], shuffled[40 * 3], q[3];
        double y[40], y_shuffled[40];
        size_t order[40], n = 1 + rng_below(&rng, 40), k = 1 + rng_below(&rng, n);
        for (size_t i = 0; i < n; i++) {
            order[i] = i;
            y[i] = rng_uniform(&rng);
            for (size_t j = 0; j < 3; j++)
                x[i * 3 + j] = (int16_t)((int)rng_below(&rng, 4) - 1);
        }
        rng_shuffle(&rng, order, n);
        for (size_t i = 0; i < n; i++) {
            memcpy(shuffled + i * 3, x + order[i] * 3, 3 * sizeof *x);
            y_shuffled[i] = y[order[i]];
        }
        struct knn *a = build(x, y, n, 3, k);
        struct knn *b = build(shuffled, y_shuffled, n, 3, k);
        for (size_t j = 0; j < 3; j++)
            q[j] = (int16_t)((int)rng_below(&rng, 4) - 1);
        NEAR(knn_estimate(a, q), plain(x, y, n, 3, k, q));
        // Not only near: the very same bits, whatever the order of the rows.
        assert_true(knn_estimate(a, q) == knn_estimate(b, q));
        knn_free(a);
        knn_free(b);
    }
}

static void test_refusals(void **state)
{
    (void)state;
    struct knn *knn;
    struct error err = ERROR_INIT;
    int16_t x[] = { 1, 2 };
    double y[] = { 1, 2 };
    assert_int_equal(knn_build(x, y, 2, 1, 0, &knn, &err), E_ARG);
    assert_int_equal(knn_build(x, y, 2, 1, 3, &knn, &err), E_ARG);
    assert_non_null(strstr(err.msg, "k = 3"));
    assert_int_equal(knn_build(x, y, 2, 0, 1, &knn, &err), E_ARG);
    assert_int_equal(knn_build(x, y, 2, 1, KNN_MAX_K + 1, &knn, &err), E_ARG);
    y[1] = NAN;
    assert_int_equal(knn_build(x, y, 2, 1, 1, &knn, &err), E_ARG);
    assert_non_null(strstr(err.msg, "row 1"));
    y[1] = 1;
    x[0] = 501;
    assert_int_equal(knn_build(x, y, 2, 1, 1, &knn, &err), E_ARG);
    assert_null(knn);
    knn_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_worked_example),
        cmocka_unit_test(test_against_plain_loop_and_any_order),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
