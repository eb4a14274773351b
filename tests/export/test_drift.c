/* What counts as changed: how often intervals cover, and how often an llm that did not
 * change is said to have. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <math.h>
#include <stdlib.h>
#include <cmocka.h>

#include "export/drift.h"
#include "m4a1/base/random.h"

#define RUNS 1000

/* Answers of an llm that stayed as it was: normal scores, or latencies with a long tail. */
static double draw(struct rng *rng, int tailed)
{
    double x = rng_normal(rng);
    return tailed ? exp(0.7 * x) : x;
}

static struct drift_change compare(struct rng *rng, size_t n, int tailed, double shift)
{
    double first[64], again[64];
    struct drift_change c;
    for (size_t i = 0; i < n; i++) {
        first[i] = draw(rng, tailed);
        again[i] = draw(rng, tailed) + shift;
    }
    assert_int_equal(drift_compare(first, again, n, &c, NULL), OK);
    return c;
}

static void intervals_cover_as_often_as_they_say(void **state)
{
    (void)state;
    static const size_t sizes[] = { 2, 5, 10, 30 };
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++)
        for (int tailed = 0; tailed < 2; tailed++) {
            int covered = 0;
            for (uint64_t run = 0; run < RUNS; run++) {
                struct rng rng;
                rng_init(&rng, 1, tailed ? "tailed" : "normal", RUNS * sizes[k] + run);
                struct drift_change c = compare(&rng, sizes[k], tailed, 0.5);
                covered += c.low <= 0.5 && c.high >= 0.5;
            }
            // A t interval is exact for normal differences, and careful with long tails.
            assert_in_range(covered, RUNS * 93 / 100, RUNS * (tailed ? 99 : 97) / 100);
        }
}

/* Six figures, nothing changed: any "changed" at all is a false alarm. */
static void false_alarms_are_five_per_cent_an_llm(void **state)
{
    (void)state;
    int alarms = 0, few = 0;
    for (uint64_t run = 0; run < RUNS; run++) {
        struct drift_change c[6];
        struct rng rng;
        int changed = 0;
        rng_init(&rng, 1, "family", run);
        for (int f = 0; f < 6; f++)
            c[f] = compare(&rng, 12, f % 2, 0);
        drift_judge(c, 6);
        for (int f = 0; f < 6; f++)
            changed |= c[f].verdict == DRIFT_CHANGED;
        alarms += changed;
        for (int f = 0; f < 6; f++)
            c[f] = compare(&rng, DRIFT_MIN_PAIRS - 1, f % 2, 100);
        drift_judge(c, 6);
        for (int f = 0; f < 6; f++)
            few += c[f].verdict != DRIFT_TOO_FEW;
    }
    assert_in_range(alarms, 0, RUNS * 7 / 100);
    assert_int_equal(few, 0); /* not even a large change makes a verdict of nine pairs */
}

static void large_changes_are_found_step_by_step(void **state)
{
    (void)state;
    struct drift_change c[4];
    struct rng rng;
    double p[] = { 0.02, 0.001, NAN, 0.013 };
    rng_init(&rng, 1, "step", 0);
    for (int f = 0; f < 4; f++) {
        c[f] = compare(&rng, 20, 0, 0);
        c[f].p = p[f];
    }
    c[2].n = 0; /* no pairs: takes no part */
    c[2].verdict = DRIFT_NONE;
    drift_judge(c, 4);
    /* 0.001 <= 0.05 / 3, 0.013 <= 0.05 / 2, 0.02 <= 0.05 */
    assert_int_equal(c[0].verdict, DRIFT_CHANGED);
    assert_int_equal(c[1].verdict, DRIFT_CHANGED);
    assert_int_equal(c[2].verdict, DRIFT_NONE);
    assert_int_equal(c[3].verdict, DRIFT_CHANGED);
    c[0].p = 0.04; /* the second step fails, and with it the third, though 0.04 < 0.05 */
    c[3].p = 0.026;
    drift_judge(c, 4);
    assert_int_equal(c[0].verdict, DRIFT_NO_SHOWN);
    assert_int_equal(c[3].verdict, DRIFT_NO_SHOWN);
}

/* By hand: differences 1, 2, 3 have the mean 2 and the standard error 1 / sqrt(3). */
static void the_interval_is_that_of_the_t_test(void **state)
{
    (void)state;
    static const double first[] = { 1, 1, NAN, 1 }, again[] = { 2, 3, 9, 4 };
    static const double zero[] = { 0, 0, 0, 0 };
    struct drift_change c;
    assert_int_equal(drift_compare(first, again, 4, &c, NULL), OK);
    assert_int_equal(c.n, 3);
    assert_true(fabs(c.difference - 2) < 1e-12);
    assert_true(fabs(c.high - (2 + 4.302653 / sqrt(3))) < 1e-5);
    assert_true(fabs(c.low - (2 - 4.302653 / sqrt(3))) < 1e-5);
    assert_true(fabs(c.p - 0.0741799) < 1e-6);
    assert_int_equal(drift_compare(zero, zero, 4, &c, NULL), OK);
    assert_true(c.is_all_zero && c.p == 1 && c.low == 0 && c.high == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(intervals_cover_as_often_as_they_say),
        cmocka_unit_test(false_alarms_are_five_per_cent_an_llm),
        cmocka_unit_test(large_changes_are_found_step_by_step),
        cmocka_unit_test(the_interval_is_that_of_the_t_test),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
