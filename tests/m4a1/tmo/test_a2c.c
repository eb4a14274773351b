/* test_a2c.c - advantages by hand, learning where the best is known, one seed one net. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>
#include "m4a1/tmo/a2c.h"
#include "m4a1/tmo/evaluation.h"
#include "tests/support/tmo_data.h"

#define NEAR(a, b) assert_true(fabs((a) - (b)) <= 1e-12)

static void test_advantages(void **state)
{
    (void)state;
    const double reward[] = { 1, 2, 3, 4 }, value[] = { 0.5, 0.25, 1, 2, 8 };
    const int ended[] = { 0, 1, 0, 0 };
    double got[4];
    // lambda 1: discounted rewards up to the end or the last value, minus the value.
    a2c_advantages(reward, value, ended, 4, 0.5, 1, got);
    NEAR(got[3], 4 + 0.5 * 8 - 2);
    NEAR(got[2], 3 + 0.5 * 4 + 0.25 * 8 - 1);
    NEAR(got[1], 2 - 0.25);
    NEAR(got[0], 1 + 0.5 * 2 - 0.5);
    // lambda 0: one step.
    a2c_advantages(reward, value, ended, 4, 0.5, 0, got);
    NEAR(got[3], 4 + 0.5 * 8 - 2);
    NEAR(got[2], 3 + 0.5 * 2 - 1);
    NEAR(got[0], 1 + 0.5 * 0.25 - 0.5);
    // In between: delta + gamma * lambda * what follows.
    a2c_advantages(reward, value, ended, 4, 0.5, 0.5, got);
    NEAR(got[2], (3 + 0.5 * 2 - 1) + 0.25 * (4 + 0.5 * 8 - 2));
    // The last step ended its session: the value behind it does not count.
    a2c_advantages(reward, value, ((int[]) { 0, 0, 0, 1 }), 4, 0.5, 1, got);
    NEAR(got[3], 4 - 2);
}

/* One-turn sessions that record every action in both tasks, and k 1, so that every
 * estimate is the score itself.  Task a is worth 2 in the cloud and 0 locally, task b
 * the other way round: whatever views and costs add (at most 1/3, at least -2/3), the
 * best llm is plain. */
static const double scores[2][2] = { { 0, 2 }, { 2, 0 } };

static struct environment *make(
    const struct dataset *data, size_t k, struct recorded **rec)
{
    struct environment *env;
    struct environment_settings set = environment_published();
    size_t train[40];
    set.k = k;
    for (size_t i = 0; i < data->n_sessions; i++)
        train[i] = i;
    assert_int_equal(recorded_build(data, 0, 1, 2, rec, NULL), OK);
    assert_int_equal(
        environment_new(*rec, &set, train, data->n_sessions, &env, NULL), OK);
    assert_int_equal(environment_tabulate(env, NULL), OK);
    return env;
}

static void test_learns_the_known_best(void **state)
{
    (void)state;
    struct dataset *data = simple_dataset(32, 1, scores);
    struct recorded *rec;
    struct environment *env = make(data, 1, &rec);
    struct a2c_settings set = a2c_published();
    set.steps = 10000;
    for (uint64_t seed = 0; seed < 3; seed++) {
        struct actor_critic ac;
        assert_int_equal(a2c_train(env, &set, seed, NULL, NULL, &ac, NULL), OK);
        double got = 0, best = 0, features[SPACE_MAX_FEATURES];
        for (size_t i = 0; i < rec->n_sessions; i++) {
            struct episode ep;
            struct outcome outcome;
            episode_start(&ep, env, RULES_TRAIN, i, 30, 0.05);
            while (!ep.done) {
                double most = -1e9;
                for (size_t a = 0; a < rec->space.n_actions; a++) {
                    struct episode tried = ep;
                    episode_step(&tried, a, &outcome);
                    most = outcome.reward > most ? outcome.reward : most;
                }
                int task = rec->tasks[ep.first + ep.turn];
                episode_observe(&ep, features);
                size_t action = evaluation_greedy(&ac, features);
                assert_int_equal(space_is_cloud(action), task == 0);
                episode_step(&ep, action, &outcome);
                got += outcome.reward;
                best += most;
            }
        }
        assert_true(got > 0.95 * best);
        actor_critic_release(&ac);
    }
    environment_free(env);
    recorded_free(rec);
    dataset_free(data);
}

static int count_steps(void *arg, int64_t n)
{
    *(int64_t *)arg += n;
    return 0;
}

static int stop_at_once(void *arg, int64_t n)
{
    (void)arg;
    (void)n;
    return 1;
}

static void test_seed_progress_and_stop(void **state)
{
    (void)state;
    struct dataset *data = simple_dataset(8, 3, scores);
    struct recorded *rec;
    struct environment *env = make(data, 5, &rec);
    struct a2c_settings set = a2c_published();
    struct actor_critic a, b, c;
    struct error err = ERROR_INIT;
    int64_t n_steps = 0;
    set.steps = 1203; // rounded up to whole rollouts
    assert_int_equal(a2c_train(env, &set, 4, count_steps, &n_steps, &a, NULL), OK);
    assert_int_equal(n_steps, 1205);
    assert_int_equal(a2c_train(env, &set, 4, NULL, NULL, &b, NULL), OK);
    assert_int_equal(a2c_train(env, &set, 5, NULL, NULL, &c, NULL), OK);
    assert_memory_equal(a.params, b.params, a.n_params * sizeof *a.params);
    assert_memory_not_equal(a.params, c.params, a.n_params * sizeof *a.params);
    actor_critic_release(&a);
    actor_critic_release(&b);
    actor_critic_release(&c);

    assert_int_equal(
        a2c_train(env, &set, 4, stop_at_once, NULL, &a, &err), E_INTERRUPTED);
    assert_non_null(strstr(err.msg, "500 of 1203"));
    set.n_rollout = 0;
    assert_int_equal(a2c_train(env, &set, 4, NULL, NULL, &a, &err), E_ARG);
    environment_free(env);
    recorded_free(rec);
    dataset_free(data);
}

/* The table only saves time: with and without it every weight is the same. */
static void test_table_changes_nothing(void **state)
{
    (void)state;
    struct dataset *data = simple_dataset(8, 3, scores);
    struct recorded *rec;
    struct environment *env = make(data, 5, &rec);
    struct a2c_settings set = a2c_published();
    struct actor_critic with, without;
    set.steps = 2000;
    assert_int_equal(a2c_train(env, &set, 1, NULL, NULL, &with, NULL), OK);
    double *table = env->table;
    env->table = NULL;
    assert_int_equal(a2c_train(env, &set, 1, NULL, NULL, &without, NULL), OK);
    env->table = table;
    assert_memory_equal(with.params, without.params, with.n_params * sizeof *with.params);
    actor_critic_release(&with);
    actor_critic_release(&without);
    environment_free(env);
    recorded_free(rec);
    dataset_free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_advantages),
        cmocka_unit_test(test_learns_the_known_best),
        cmocka_unit_test(test_seed_progress_and_stop),
        cmocka_unit_test(test_table_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
