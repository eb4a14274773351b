/* test_a2c.c - learning where the best is known, the authors' means on the public data, one
 * seed one net, many runs at once.
 *
 * tests/run: limit 120 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <pthread.h>
#include <string.h>
#include "m4a1/tmo/a2c.h"
#include "tests/support/learner_checks.h"

static void test_learns_the_known_best(void **state)
{
    (void)state;
    struct learner_case c;
    struct learner_settings set = learner_published(LEARNER_A2C);
    set.steps = 10000;
    learner_case_simple(&c, 32, 1, 1);
    for (uint64_t seed = 0; seed < 3; seed++) {
        struct network net = learner_case_train(&c, &set, seed);
        assert_true(learner_case_share(&c, &net) > 0.95);
        for (size_t i = 0; i < c.n_test; i++) {
            double features[2 * 4];
            struct episode ep;
            episode_start(&ep, c.env, RULES_RECORDED, i);
            episode_observe(&ep, features);
            assert_int_equal(
                space_is_cloud(&c.rec->space, network_greedy(&net, features, NULL)),
                c.rec->tasks[ep.first] == 0);
        }
        network_release(&net);
    }
    learner_case_release(&c);
}

/* An entropy weight that outweighs all rewards keeps the policy near uniform, so the
 * greatest logit stays near the least; without it they part. */
static void test_entropy_spreads(void **state)
{
    (void)state;
    struct learner_case c;
    struct learner_settings set = learner_published(LEARNER_A2C);
    double width[2];
    set.steps = 10000;
    learner_case_simple(&c, 32, 1, 1);
    for (int weighted = 0; weighted < 2; weighted++) {
        double features[2 * 4], logits[5], least = INFINITY, most = -INFINITY;
        struct episode ep;
        set.entropy_weight = weighted ? 20 : 0;
        struct network net = learner_case_train(&c, &set, 0);
        episode_start(&ep, c.env, RULES_RECORDED, 0);
        episode_observe(&ep, features);
        network_scores(&net, features, logits);
        for (size_t a = 0; a < 5; a++) {
            least = fmin(least, logits[a]);
            most = fmax(most, logits[a]);
        }
        width[weighted] = most - least;
        network_release(&net);
    }
    assert_true(width[0] > 2 && width[1] < 0.5);
    learner_case_release(&c);
}

static void test_public_data(void **state)
{
    (void)state;
    check_public(LEARNER_A2C, 0, 1.145, 0.066);
}

static void test_public_data_with_budgets(void **state)
{
    (void)state;
    check_public(LEARNER_A2C, 1, 0.999, 0.065);
}

static void test_seed_progress_and_stop(void **state)
{
    (void)state;
    struct learner_case c;
    struct learner_settings set = learner_published(LEARNER_A2C);
    struct network first, again, other;
    struct error err = ERROR_INIT;
    int64_t n_steps = 0;
    set.steps = 1203; // rounded up to whole rollouts
    learner_case_simple(&c, 8, 3, 5);
    assert_int_equal(
        learner_train(c.env, &set, 4, count_steps, &n_steps, &first, NULL), OK);
    assert_int_equal(n_steps, 1205);
    again = learner_case_train(&c, &set, 4);
    other = learner_case_train(&c, &set, 5);
    assert_memory_equal(
        first.params, again.params, first.n_params * sizeof *first.params);
    assert_memory_not_equal(
        first.params, other.params, first.n_params * sizeof *first.params);
    network_release(&first);
    network_release(&again);
    network_release(&other);

    assert_int_equal(
        learner_train(c.env, &set, 4, stop_at_once, NULL, &first, &err), E_INTERRUPTED);
    assert_non_null(strstr(err.msg, "500 of 1205"));
    set.n_rollout = 0;
    assert_int_equal(learner_train(c.env, &set, 4, NULL, NULL, &first, &err), E_ARG);
    assert_non_null(strstr(err.msg, "n_rollout"));
    assert_null(first.params);
    learner_case_release(&c);
}

static void test_divergence_is_not_kept(void **state)
{
    (void)state;
    struct learner_case c;
    struct learner_settings set = learner_published(LEARNER_A2C);
    struct network net;
    struct error err = ERROR_INIT;
    set.steps = 500;
    learner_case_simple(&c, 8, 3, 5);
    c.env->settings.alpha = NAN;
    assert_int_equal(learner_train(c.env, &set, 4, NULL, NULL, &net, &err), E_DATA);
    assert_non_null(strstr(err.msg, "diverged"));
    learner_case_release(&c);
}

/* The table only saves time: with and without it every weight is the same. */
static void test_table_changes_nothing(void **state)
{
    (void)state;
    struct learner_case c;
    struct learner_settings set = learner_published(LEARNER_A2C);
    set.steps = 2000;
    learner_case_simple(&c, 8, 3, 5);
    struct network with = learner_case_train(&c, &set, 1);
    double *table = c.env->table;
    c.env->table = NULL;
    struct network without = learner_case_train(&c, &set, 1);
    c.env->table = table;
    assert_memory_equal(with.params, without.params, with.n_params * sizeof *with.params);
    network_release(&with);
    network_release(&without);
    learner_case_release(&c);
}

struct job {
    const struct learner_case *c;
    struct learner_settings set;
    struct network net;
};

static void *run(void *arg)
{
    struct job *job = arg;
    job->net = learner_case_train(job->c, &job->set, 7);
    return NULL;
}

/* Runs side by side on one environment do not touch each other. */
static void test_many_at_once(void **state)
{
    (void)state;
    enum { N = 8 };
    struct learner_case c;
    struct learner_settings set = learner_published(LEARNER_A2C);
    pthread_t threads[N];
    struct job jobs[N];
    set.steps = 1500;
    learner_case_simple(&c, 8, 3, 5);
    for (size_t i = 0; i < N; i++) {
        jobs[i] = (struct job) { .c = &c, .set = set };
        assert_int_equal(pthread_create(&threads[i], NULL, run, &jobs[i]), 0);
    }
    for (size_t i = 0; i < N; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_memory_equal(jobs[i].net.params, jobs[0].net.params,
            jobs[0].net.n_params * sizeof *jobs[0].net.params);
    }
    for (size_t i = 0; i < N; i++)
        network_release(&jobs[i].net);
    learner_case_release(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_learns_the_known_best),
        cmocka_unit_test(test_entropy_spreads),
        cmocka_unit_test(test_public_data),
        cmocka_unit_test(test_public_data_with_budgets),
        cmocka_unit_test(test_seed_progress_and_stop),
        cmocka_unit_test(test_divergence_is_not_kept),
        cmocka_unit_test(test_table_changes_nothing),
        cmocka_unit_test(test_many_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
