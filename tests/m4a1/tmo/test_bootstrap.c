/* Intervals by hand, and on simulated data whose truth is known. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "m4a1/base/random.h"
#include "m4a1/tmo/bootstrap.h"
#include "tests/support/tmo_data.h"

#define N_MAX 400

/* 200 data sets always, 1,000 with M4A1_LONG=1. */
static int is_long(void)
{
    const char *text = getenv("M4A1_LONG");
    return text && *text && *text != '0';
}

/* So few data sets tell 95 % from 90 % only roughly: the bounds widen by what chance does
 * to the count, three standard deviations of it. */
static void assert_covers(const char *what, int held, int n)
{
    double share = (double)held / n;
    double slack = is_long() ? 0 : 3 * sqrt(0.95 * 0.05 / n);
    print_message("%s: %.1f %% of %d\n", what, 100 * share, n);
    assert_true(share >= 0.93 - slack && share <= 0.97 + slack);
}

static void by_hand(void **state)
{
    (void)state;
    /* Two figures over six clusters; the second is 1 more everywhere. */
    const double above[] = { 1, 2, 3, 4, 2, 3, 2, 3, 4, 5, 3, 4 };
    const double below[] = { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 };
    struct bootstrap_sums sums = { 2, 6, above, below, NULL };
    struct bootstrap_settings set = bootstrap_defaults();
    struct interval values[2], again[2];
    struct comparison against[2];
    assert_int_equal(bootstrap_run(&sums, 0, &set, values, against, NULL), OK);
    assert_true(values[0].value == 2.5 && values[1].value == 3.5);
    assert_true(values[0].low < 2 && values[0].low >= 1);
    assert_true(values[0].high > 3 && values[0].high <= 4);
    /* Paired: the difference is the same in every resample. */
    assert_true(fabs(against[1].difference.low - 1) < 1e-12);
    assert_true(fabs(against[1].difference.high - 1) < 1e-12);
    assert_true(against[1].p < 0.05 && against[1].adjusted == against[1].p);
    assert_true(isnan(against[0].p) && isnan(against[0].difference.value));
    assert_int_equal(bootstrap_run(&sums, SIZE_MAX, &set, again, NULL, NULL), OK);
    assert_true(again[1].low == values[1].low && again[1].high == values[1].high);
    /* What rests on four of them has no interval. */
    const double weights[] = { 1, 1, 1, 1, 0, 0, 1, 1, 1, 1, 1, 1 };
    sums.weights = weights;
    assert_int_equal(bootstrap_run(&sums, 0, &set, values, against, NULL), OK);
    assert_true(isnan(values[0].low) && !isnan(values[1].low));
    assert_true(isnan(against[1].p) && against[1].difference.value == 1);
}

static void what_is_not_defined(void **state)
{
    (void)state;
    const double above[] = { 1, 0, 0 }, below[] = { 2, 0, 0 }, none[] = { 0, 0, 0 };
    struct bootstrap_sums sums = { 1, 3, above, below, NULL };
    struct bootstrap_settings set = bootstrap_defaults();
    struct interval one;
    assert_int_equal(bootstrap_run(&sums, SIZE_MAX, &set, &one, NULL, NULL), OK);
    assert_true(one.value == 0.5 && isnan(one.low) && isnan(one.high));
    sums.below = none;
    assert_int_equal(bootstrap_run(&sums, SIZE_MAX, &set, &one, NULL, NULL), OK);
    assert_true(isnan(one.value) && isnan(one.low));
    sums.n_clusters = 0;
    assert_int_equal(bootstrap_run(&sums, SIZE_MAX, &set, &one, NULL, NULL), OK);
    assert_true(isnan(one.value));
    struct error err = ERROR_INIT;
    set.n_resamples = 10;
    assert_int_equal(bootstrap_run(&sums, SIZE_MAX, &set, &one, NULL, &err), E_ARG);
    assert_non_null(strstr(err.msg, "10 resamples"));
    set = bootstrap_defaults();
    set.level = 1;
    assert_int_equal(bootstrap_run(&sums, SIZE_MAX, &set, &one, NULL, &err), E_ARG);
}

/* Clusters of unequal sizes with an effect of their own: the mean over turns is a ratio. */
static void draw_clusters(
    struct rng *rng, size_t n, double gain, double *above, double *below)
{
    for (size_t c = 0; c < n; c++) {
        size_t n_turns = 2 + rng_below(rng, 4);
        double effect = rng_normal(rng);
        for (size_t p = 0; p < 2; p++)
            above[p * n + c] = below[p * n + c] = 0;
        for (size_t t = 0; t < n_turns; t++) {
            double shared = 0.5 + effect + rng_normal(rng);
            above[c] += shared;
            above[n + c] += shared + gain + rng_normal(rng);
            below[c]++;
            below[n + c]++;
        }
    }
}

/* Means and paired differences of few and of many clusters hold the truth as often as
 * they say, and noise is called a gain as seldom. */
static void intervals_of_means_cover(void **state)
{
    (void)state;
    static const size_t sizes[] = { 8, 20, 80 };
    static double above[2 * N_MAX], below[2 * N_MAX];
    int n_sets = is_long() ? 1000 : 200;
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        int held = 0, held_difference = 0, called = 0;
        for (int i = 0; i < n_sets; i++) {
            struct rng rng;
            struct interval values[2];
            struct comparison against[2];
            struct bootstrap_settings set = { 2000, (uint64_t)i, 0.95 };
            rng_init(&rng, (uint64_t)i, "test means", sizes[k]);
            draw_clusters(&rng, sizes[k], 0, above, below);
            const struct bootstrap_sums sums = { 2, sizes[k], above, below, NULL };
            assert_int_equal(bootstrap_run(&sums, 0, &set, values, against, NULL), OK);
            held += values[0].low <= 0.5 && values[0].high >= 0.5;
            const struct interval *d = &against[1].difference;
            held_difference += d->low <= 0 && d->high >= 0;
            called += against[1].p < 0.05;
        }
        char what[64];
        snprintf(what, sizeof what, "mean, %zu clusters", sizes[k]);
        assert_covers(what, held, n_sets);
        snprintf(what, sizeof what, "difference, %zu clusters", sizes[k]);
        assert_covers(what, held_difference, n_sets);
        assert_covers("no gain in noise", n_sets - called, n_sets);
    }
}

/* A self-normalised value: half of the turns have a weight, and most of it lies on few. */
static void intervals_of_weighted_values_cover(void **state)
{
    (void)state;
    static double above[N_MAX], below[N_MAX];
    int n_sets = is_long() ? 1000 : 200, held = 0;
    for (int i = 0; i < n_sets; i++) {
        struct rng rng;
        struct interval value;
        struct bootstrap_settings set = { 2000, (uint64_t)i, 0.95 };
        rng_init(&rng, (uint64_t)i, "test weights", 0);
        for (size_t c = 0; c < 100; c++) {
            above[c] = below[c] = 0;
            for (size_t t = 0; t < 4; t++) {
                double p = rng_uniform(&rng) < 0.5 ? 0.5 : 0.125;
                double w = rng_uniform(&rng) < p ? 1 / p : 0;
                above[c] += w * (0.7 + rng_normal(&rng));
                below[c] += w;
            }
        }
        const struct bootstrap_sums sums = { 1, 100, above, below, NULL };
        assert_int_equal(bootstrap_run(&sums, SIZE_MAX, &set, &value, NULL, NULL), OK);
        held += value.low <= 0.7 && value.high >= 0.7;
    }
    assert_covers("self-normalised value", held, n_sets);
}

/* Of ten comparisons without a difference, Holm calls one in 5 % of the data sets. */
static void several_comparisons(void **state)
{
    (void)state;
    enum { P = 11, C = 60 };
    static double above[P * C], below[P * C];
    int n_sets = is_long() ? 1000 : 200, called = 0, bare = 0;
    for (int i = 0; i < n_sets; i++) {
        struct rng rng;
        struct interval values[P];
        struct comparison against[P];
        struct bootstrap_settings set = { 2000, (uint64_t)i, 0.95 };
        rng_init(&rng, (uint64_t)i, "test several", 0);
        for (size_t j = 0; j < (size_t)P * C; j++) {
            above[j] = rng_normal(&rng);
            below[j] = 1;
        }
        const struct bootstrap_sums sums = { P, C, above, below, NULL };
        assert_int_equal(bootstrap_run(&sums, 0, &set, values, against, NULL), OK);
        int any = 0, any_bare = 0;
        for (size_t p = 1; p < P; p++) {
            any |= against[p].adjusted <= 0.05;
            any_bare |= against[p].p <= 0.05;
        }
        called += any;
        bare += any_bare;
    }
    print_message("a false gain in %.1f %% with Holm's correction, %.1f %% without\n",
        100.0 * called / n_sets, 100.0 * bare / n_sets);
    assert_true((double)called / n_sets <= (is_long() ? 0.07 : 0.1));
    assert_true(bare > 2 * called);
}

static void clusters_of_turns(void **state)
{
    (void)state;
    struct dataset *data = golden_dataset();
    if (!data) {
        print_message("no shared public data\n");
        skip();
    }
    struct recorded_settings settings = recorded_defaults();
    struct recorded *rec;
    assert_int_equal(recorded_build(data, &settings, &rec, NULL), OK);
    static const size_t n_of[] = { 100, 20, 44 };
    for (enum folds_by by = 0; by < N_FOLDS_BY; by++) {
        struct clusters clusters;
        char seen[100] = { 0 };
        assert_int_equal(clusters_build(rec, by, &clusters, NULL), OK);
        assert_int_equal(clusters.n, n_of[by]);
        for (size_t t = 0; t < rec->n_turns; t++)
            seen[clusters.of_turn[t]] = 1;
        for (size_t c = 0; c < clusters.n; c++)
            assert_true(seen[c]);
        clusters_release(&clusters);
    }
    recorded_free(rec);
    dataset_free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_hand),
        cmocka_unit_test(what_is_not_defined),
        cmocka_unit_test(intervals_of_means_cover),
        cmocka_unit_test(intervals_of_weighted_values_cover),
        cmocka_unit_test(several_comparisons),
        cmocka_unit_test(clusters_of_turns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
