/* learner_checks.h - what the tests of A2C, PPO and DQN have in common; after cmocka.h. */
#ifndef TESTS_SUPPORT_LEARNER_CHECKS_H
#define TESTS_SUPPORT_LEARNER_CHECKS_H

#include <math.h>
#include "tests/support/learner_case.h"

/* On the goldens' splits the mean lies within two of the authors' deviations from theirs,
 * with shared ties (golden/tmo/README.md).  Several runs a split, so that it is ours that is
 * compared and not the luck of three. */
static inline void check_public(
    enum learner_kind kind, int resource_aware, double mean, double deviation)
{
    double ours = learner_case_mean(kind, resource_aware);
    if (isnan(ours)) {
        print_message("no shared golden/tmo or public data\n");
        skip();
    }
    print_message("%s%s: %.3f, the authors' %.3f +- %.3f\n", learner_names[kind],
        resource_aware ? ", resource-aware" : "", ours, mean, deviation);
    assert_true(fabs(ours - mean) < 2 * deviation);
}

/* Reports of a run: one adds up the steps, one stops it at once. */
static inline int count_steps(void *arg, int64_t n)
{
    *(int64_t *)arg += n;
    return 0;
}

static inline int stop_at_once(void *arg, int64_t n)
{
    (void)arg;
    (void)n;
    return 1;
}

#endif
