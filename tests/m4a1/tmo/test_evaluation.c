/* test_evaluation.c - means, totals and budgets of an evaluation, by hand and against
 * the reference values. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "m4a1/tmo/baselines.h"
#include "m4a1/tmo/evaluation.h"
#include "m4a1/tmo/learner.h"
#include "tests/support/tmo_data.h"

#define NEAR(a, b) assert_true(fabs((a) - (b)) <= 1e-9)

/* A world: data, its encoding and an environment fitted on some of it. */
struct world {
    struct dataset *data;
    struct recorded *rec;
    struct environment *env;
    size_t *train, *test, n_train, n_test;
};

static void world_fit(struct world *w, size_t k)
{
    struct error err = ERROR_INIT;
    struct environment_settings set = environment_published();
    set.estimator.k = k;
    enum status s = environment_new(w->rec, &set, w->train, w->n_train, &w->env, &err);
    if (s)
        print_message("%s\n", err.msg);
    assert_int_equal(s, OK);
}

static void world_release(struct world *w)
{
    environment_free(w->env);
    recorded_free(w->rec);
    dataset_free(w->data);
    free(w->train);
    free(w->test);
}

/* The public data under a split of the reference, or 0 where it is absent. */
static int public_world(struct world *w, int seed)
{
    memset(w, 0, sizeof *w);
    struct json *splits = golden_json("golden/tmo/split.json");
    char key[16];
    snprintf(key, sizeof key, "seed%d", seed);
    w->data = golden_dataset();
    if (!splits || !w->data) {
        json_free(splits);
        dataset_free(w->data);
        return 0;
    }
    const struct recorded_settings settings = recorded_published(0, 1, 5);
    assert_int_equal(recorded_build(w->data, &settings, &w->rec, NULL), OK);
    const struct json *split = json_get(splits, key);
    int64_t *train = golden_ids(json_get(split, "train"), &w->n_train);
    int64_t *test = golden_ids(json_get(split, "test"), &w->n_test);
    assert_int_equal(recorded_indices(w->rec, train, w->n_train, &w->train, NULL), OK);
    assert_int_equal(recorded_indices(w->rec, test, w->n_test, &w->test, NULL), OK);
    free(train);
    free(test);
    json_free(splits);
    world_fit(w, 5);
    return 1;
}

/* One action for ever. */
static void weigh_always(void *arg, const struct episode *ep, double *p)
{
    for (size_t a = 0; a < ep->env->n_actions; a++)
        p[a] = a == *(size_t *)arg;
}

/* Every constant action on every split, against the reference with shared ties. */
static void test_constant_actions(void **state)
{
    (void)state;
    struct json *golden = golden_json("golden/tmo/oracle_shared_ties.json");
    struct world w;
    if (!golden || !public_world(&w, 0)) {
        print_message("no shared golden/tmo or public data\n");
        skip();
    }
    world_release(&w);
    for (int seed = 0; seed < 3; seed++) {
        assert_true(public_world(&w, seed));
        const struct json *rows = json_get(json_at(golden, (size_t)seed), "const");
        assert_int_equal(json_size(rows), 9);
        for (size_t a = 0; a < 9; a++) {
            struct evaluation got;
            const struct chooser always = { weigh_always, &a };
            const struct json *row = json_at(rows, a);
            assert_int_equal(
                evaluation_run(w.env, w.test, w.n_test, &always, 0, &got, NULL), OK);
            NEAR(got.reward, json_number(json_get(row, "reward"), NAN));
            NEAR(got.response, json_number(json_get(row, "response"), NAN));
            NEAR(got.latency_over * 20, json_number(json_get(row, "lat_viol"), NAN));
            NEAR(got.usage_over * 20, json_number(json_get(row, "use_viol"), NAN));
        }
        world_release(&w);
    }
    json_free(golden);
}

/* A2C with the defaults reaches what the authors' program reached with shared ties:
 * 1.145 +- .066 over the three splits, with Local at .838.  One run strays by about .04
 * from the mean of its split, so three of them stay within .1.  And scored by a k-NN that
 * was fitted on the test half, its actions fall as theirs do: they from 1.154 to .646,
 * under Local's .737. */
static void test_a2c_on_public_data(void **state)
{
    (void)state;
    double sum = 0, local = 0, fallen = 0, fallen_local = 0;
    for (int seed = 0; seed < 3; seed++) {
        struct world w;
        struct network net;
        struct evaluation got;
        struct estimator *other;
        size_t zero = 0;
        struct learner_settings set = learner_published(LEARNER_A2C);
        if (!public_world(&w, seed)) {
            print_message("no shared golden/tmo or public data\n");
            skip();
        }
        const struct chooser greedy = { network_weigh, &net },
                             always = { weigh_always, &zero };
        assert_int_equal(environment_tabulate(w.env, NULL), OK);
        assert_int_equal(
            learner_train(w.env, &set, (uint64_t)seed, NULL, NULL, &net, NULL), OK);
        assert_int_equal(evaluation_estimator(w.env, w.test, w.n_test, &other, NULL), OK);
        const struct evaluation_options options = { .other = other };
        assert_int_equal(
            evaluation_play(w.env, w.test, w.n_test, &greedy, 0, &options, &got, NULL),
            OK);
        sum += got.reward;
        fallen += got.other_reward;
        assert_int_equal(
            evaluation_play(w.env, w.test, w.n_test, &always, 0, &options, &got, NULL),
            OK);
        local += got.reward;
        fallen_local += got.other_reward;
        estimator_free(other);
        network_release(&net);
        world_release(&w);
    }
    print_message("A2C %.3f, Local %.3f; fitted on test sessions %.3f and %.3f\n",
        sum / 3, local / 3, fallen / 3, fallen_local / 3);
    assert_true(fabs(sum / 3 - 1.145) < 0.1);
    assert_true(fabs(local / 3 - 0.838) < 5e-4);
    assert_true(fabs(fallen / 3 - 0.646) < 0.15);
    assert_true(fabs(fallen_local / 3 - 0.737) < 0.02);
}

static const double scores[2][2] = { { 1, 2 }, { 1, 2 } };

/* Sessions of 7 turns with an observation of 2: totals are of all turns, and sessions
 * within a budget add nothing to the excess. */
static void test_totals_and_budgets(void **state)
{
    (void)state;
    struct world w = { .data = simple_dataset(6, 7, scores), .n_train = 6 };
    const struct recorded_settings settings = recorded_published(0, 1, 2);
    assert_int_equal(recorded_build(w.data, &settings, &w.rec, NULL), OK);
    w.train = calloc(6, sizeof *w.train);
    assert_non_null(w.train);
    for (size_t i = 0; i < 6; i++)
        w.train[i] = i;
    world_fit(&w, 5);
    struct evaluation got;
    size_t both = 4, test[] = { 2, 5 };
    const struct chooser always_both = { weigh_always, &both };
    assert_int_equal(evaluation_run(w.env, test, 2, &always_both, 0, &got, NULL), OK);
    NEAR(got.latency_s, 7 * 6.24569);
    NEAR(got.usage_usd, 7 * 0.00945);
    NEAR(got.latency_excess_s, 7 * 6.24569 - 30);
    NEAR(got.usage_excess_usd, 7 * 0.00945 - 0.05);
    NEAR(got.over, 1);
    NEAR(got.association, 0.3);
    assert_int_equal(got.n_sessions, 2);
    assert_int_equal(got.n_turns, 14);
    assert_int_equal(got.n_constraints, 2);
    NEAR(got.constraints[0].rate, 1);
    NEAR(got.constraints[0].mean_excess, 7 * 6.24569 - 30);
    NEAR(got.constraints[1].mean_excess, 7 * 0.00945 - 0.05);
    assert_true(isnan(got.other_reward) && isnan(got.other_response));
    size_t local = 0;
    const struct chooser always_local = { weigh_always, &local };
    assert_int_equal(evaluation_run(w.env, test, 2, &always_local, 0, &got, NULL), OK);
    NEAR(got.constraints[0].rate, 0);
    assert_true(isnan(got.constraints[0].mean_excess));
    NEAR(got.latency_s, 7 * w.env->costs.latency_s[0]);
    assert_true(isnan(got.latency_excess_s) && isnan(got.usage_excess_usd));
    assert_int_equal(got.n_latency_over, 0);
    NEAR(got.over, 0);
    NEAR(got.reward, got.response);
    assert_int_equal(got.n_local, 14);
    assert_int_equal(evaluation_run(w.env, test, 0, &always_local, 0, &got, NULL), E_ARG);
    world_release(&w);
}

/* A list of constraints, privacy and a horizon among them, in the corrected world; and
 * the rewards of each turn, by two estimators. */
static void test_constraints_and_turns(void **state)
{
    (void)state;
    struct dataset *data = simple_dataset(6, 3, scores);
    struct recorded *rec;
    struct environment *env;
    struct recorded_settings settings = recorded_defaults();
    struct environment_settings set = environment_defaults();
    const struct constraint list[] = { { CONSTRAINT_LATENCY, 8, 1 },
        { CONSTRAINT_LATENCY, 12, 2 }, { CONSTRAINT_PRIVACY, 1, 0 },
        { CONSTRAINT_USAGE, 1, 0 } };
    size_t all[] = { 0, 1, 2, 3, 4, 5 };
    data->privacy[0] = 1;
    data->privacy[1] = 2;
    memcpy(set.constraints, list, sizeof list);
    set.n_constraints = 4;
    set.estimator.kind = ESTIMATOR_ROLE;
    assert_int_equal(recorded_build(data, &settings, &rec, NULL), OK);
    assert_int_equal(environment_new(rec, &set, all, 6, &env, NULL), OK);
    size_t both = space_find(&rec->space, 1, 3);
    const struct chooser always = { weigh_always, &both };
    struct estimator *other;
    double rewards[18], other_rewards[18];
    assert_int_equal(evaluation_estimator(env, all + 1, 2, &other, NULL), OK);
    struct evaluation_session sessions[6];
    const struct evaluation_options options = { .other = other,
        .by_session = sessions,
        .rewards = rewards,
        .other_rewards = other_rewards };
    struct evaluation got;
    assert_int_equal(evaluation_play(env, all, 6, &always, 0, &options, &got, NULL), OK);
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(sessions[i].session, i);
        assert_int_equal(sessions[i].n_turns, 3);
        assert_int_equal(sessions[i].n_local, 0);
        assert_int_equal(sessions[i].n_shown, 6); /* two views in each of three turns */
        NEAR(sessions[i].excess, 2);              /* of privacy, 2 beyond a budget of 1 */
        NEAR(sessions[i].use[CONSTRAINT_PRIVACY], 3);
        NEAR(sessions[i].reward,
            (rewards[3 * i] + rewards[3 * i + 1] + rewards[3 * i + 2]) / 3);
    }
    assert_int_equal(got.n_constraints, 4);
    assert_int_equal(got.constraints[0].n_over, 0);
    NEAR(got.constraints[1].rate, 1);
    NEAR(got.constraints[1].mean_excess, 2 * 6.24569 - 12);
    NEAR(got.constraints[2].mean_excess, 2); /* 1 + 2 once, whatever the turns */
    NEAR(got.privacy, 3);
    assert_int_equal(got.constraints[3].n_over, 0);
    NEAR(got.over, 1);
    double sum = 0, other_sum = 0;
    for (size_t t = 0; t < 18; t++) {
        sum += rewards[t] / 18;
        other_sum += other_rewards[t] / 18;
    }
    NEAR(sum, got.reward);
    NEAR(other_sum, got.other_reward);
    NEAR(got.response, 2);
    NEAR(got.other_response, 2);
    estimator_free(other);
    environment_free(env);
    recorded_free(rec);
    dataset_free(data);
}

static void test_summary(void **state)
{
    (void)state;
    const struct evaluation all[] = { { .reward = 1 }, { .reward = 2 }, { .reward = 6 } };
    double mean, deviation;
    evaluation_summary(all, 3, FIGURE_REWARD, &mean, &deviation);
    NEAR(mean, 3);
    NEAR(deviation, sqrt(14.0 / 3));
}

/* The mean excess is that of the sessions beyond, not of the seeds. */
static void test_excess_is_pooled(void **state)
{
    (void)state;
    const struct evaluation all[] = {
        { .latency_excess_s = 1, .n_latency_over = 3, .usage_excess_usd = NAN },
        { .latency_excess_s = NAN, .usage_excess_usd = NAN },
        { .latency_excess_s = 5, .n_latency_over = 1, .usage_excess_usd = NAN },
    };
    double mean, deviation;
    evaluation_summary(all, 3, FIGURE_LATENCY_EXCESS_S, &mean, &deviation);
    NEAR(mean, 2);
    evaluation_summary(all, 3, FIGURE_USAGE_EXCESS_USD, &mean, &deviation);
    assert_true(isnan(mean));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_constant_actions),
        cmocka_unit_test(test_a2c_on_public_data),
        cmocka_unit_test(test_totals_and_budgets),
        cmocka_unit_test(test_constraints_and_turns),
        cmocka_unit_test(test_summary),
        cmocka_unit_test(test_excess_is_pooled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
