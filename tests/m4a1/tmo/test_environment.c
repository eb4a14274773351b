/* test_environment.c - rewards, budgets and observations, against 400 rollouts of the
 * authors' program; and the table against the plain path. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "m4a1/tmo/environment.h"
#include "m4a1/tmo/stream.h"
#include "tests/support/tmo_data.h"

#define NEAR(a, b) assert_true(fabs((a) - (b)) <= 1e-9)

static struct recorded *build(const struct dataset *data, size_t tau)
{
    struct recorded *rec;
    const struct recorded_settings set = recorded_published(0, 1, tau);
    assert_int_equal(recorded_build(data, &set, &rec, NULL), OK);
    return rec;
}

static struct environment *make(const struct recorded *rec, const size_t *train,
    size_t n_train, int resource_aware, size_t k)
{
    struct environment *env;
    struct error err = ERROR_INIT;
    struct environment_settings set = environment_published();
    set.resource_aware = resource_aware;
    set.handling = resource_aware ? HANDLING_PUBLISHED : HANDLING_NONE;
    set.estimator.k = k;
    enum status s = environment_new(rec, &set, train, n_train, &env, &err);
    if (s)
        print_message("%s\n", err.msg);
    assert_int_equal(s, OK);
    return env;
}

static void near_observation(const struct episode *ep, const struct json *expected)
{
    double features[SPACE_MAX_FEATURES];
    episode_observe(ep, features);
    assert_int_equal(json_size(expected), ep->env->n_features);
    for (size_t i = 0; i < ep->env->n_features; i++)
        NEAR(features[i], json_number(json_at(expected, i), NAN));
}

static double number(const struct json *object, const char *key)
{
    return json_number(json_get(object, key), NAN);
}

static void check_step(struct episode *ep, const struct json *step)
{
    struct outcome got;
    struct knn_neighbours near;
    size_t action = (size_t)json_int(json_get(step, "action"), 0);
    assert_int_equal(episode_explain(ep, action, &near, NULL), OK);
    // What training earns, zeroed past the budget, is the stream's.
    struct stream stream;
    double earned;
    stream_init(&stream, ep->env, 0);
    stream.episode = *ep;
    stream_step(&stream, action, &earned);
    stream_release(&stream);
    episode_step(ep, action, &got);
    NEAR(near.estimate, got.response);

    // Ours is the mean over the choices among tied rows; the authors' is one of them.
    double least = number(step, "resp_min"), greatest = number(step, "resp_max");
    int tie = json_bool(json_get(step, "tie"), -1);
    assert_int_equal(near.n_taken < near.n_at_last, tie);
    NEAR(near.least, least);
    NEAR(near.greatest, greatest);
    assert_true(got.response >= least - 1e-9 && got.response <= greatest + 1e-9);
    double reward = number(step, "reward");
    if (ep->rules == RULES_MODEL) {
        NEAR(got.response, number(step, "resp_tie_averaged"));
        NEAR(got.reward - got.response, reward - number(step, "response_score"));
        NEAR(got.association, number(step, "association_score"));
        NEAR(ep->ledger.total[CONSTRAINT_LATENCY], number(step, "total_latency"));
        NEAR(ep->ledger.total[CONSTRAINT_USAGE], number(step, "total_usage"));
    } else if (!tie || reward == 0) {
        NEAR(earned, reward);
    } else {
        double without = earned - got.response;
        assert_true(reward >= without + least - 1e-9);
        assert_true(reward <= without + greatest + 1e-9);
    }
    NEAR(ep->ledger.remaining[0], number(step, "remaining_latency"));
    NEAR(ep->ledger.remaining[1], number(step, "remaining_usage"));
    assert_int_equal(ep->done, json_bool(json_get(step, "done"), -1));
    near_observation(ep, json_get(step, "obs"));
    knn_neighbours_release(&near);
}

static size_t check_rollouts(const struct json *rollouts, const struct recorded *rec,
    struct environment *const env[2], enum environment_rules rules)
{
    size_t n_steps = 0;
    assert_int_equal(json_size(rollouts), 200);
    for (const struct json *r = json_first(rollouts); r; r = json_next(r)) {
        const struct environment *one = env[json_bool(json_get(r, "rc"), 0)];
        const struct json *budget = json_get(r, "initial_budget");
        double latency_s = json_number(json_at(budget, 0), 30);
        double usage_usd = json_number(json_at(budget, 1), 0.05);
        struct episode ep;
        size_t session = recorded_find(rec, json_int(json_get(r, "episode"), -1));
        assert_true(session < rec->n_sessions);
        episode_start(&ep, one, rules, session);
        episode_set_budgets(&ep, (double[]) { latency_s, usage_usd });
        near_observation(&ep, json_get(r, "obs0"));
        const struct json *step = json_first(json_get(r, "steps"));
        for (; step; step = json_next(step), n_steps++)
            check_step(&ep, step);
        assert_true(ep.done);
    }
    return n_steps;
}

static void test_golden(void **state)
{
    (void)state;
    struct json *golden = golden_json("golden/tmo/rollouts.json");
    struct json *splits = golden_json("golden/tmo/split.json");
    struct dataset *data = golden_dataset();
    if (!golden || !splits || !data) {
        print_message("no shared golden/tmo or public data\n");
        skip();
    }
    struct error err = ERROR_INIT;
    struct recorded *rec = build(data, 5);
    size_t n, *train;
    int64_t *ids = golden_ids(json_get(json_get(splits, "seed0"), "train"), &n);
    assert_int_equal(recorded_indices(rec, ids, n, &train, &err), OK);
    struct environment *env[2] = { make(rec, train, n, 0, 5), make(rec, train, n, 1, 5) };
    assert_int_equal(estimator_n_rows(env[0]->estimator), 272);

    size_t n_eval = check_rollouts(json_get(golden, "eval"), rec, env, RULES_MODEL);
    size_t n_train = check_rollouts(json_get(golden, "train"), rec, env, RULES_RECORDED);
    assert_int_equal(n_eval, 800);
    assert_true(n_train > 600);
    // The same rollouts from the table.
    assert_int_equal(environment_tabulate(env[0], &err), OK);
    assert_int_equal(environment_tabulate(env[1], &err), OK);
    check_rollouts(json_get(golden, "train"), rec, env, RULES_RECORDED);

    environment_free(env[0]);
    environment_free(env[1]);
    free(ids);
    free(train);
    recorded_free(rec);
    dataset_free(data);
    json_free(splits);
    json_free(golden);
}

static const double scores[2][2] = { { 1, 2 }, { 0.5, 0.25 } };

/* Random walks give the very same numbers with the table, with a memory and without. */
static void test_table_equals_plain_path(void **state)
{
    (void)state;
    struct dataset *data = simple_dataset(12, 5, scores);
    struct recorded *rec = build(data, 3);
    const size_t train[] = { 0, 2, 4, 5, 7, 8, 9, 11 };
    struct environment *plain = make(rec, train, 8, 1, 3);
    struct environment *table = make(rec, train, 8, 1, 3);
    assert_int_equal(environment_tabulate(table, NULL), OK);
    struct response_cache cache;
    response_cache_init(&cache, plain);
    struct rng actions;
    rng_init(&actions, 1, "actions", 0);
    for (int walk = 0; walk < 200; walk++) {
        enum environment_rules rules = walk % 2 ? RULES_MODEL : RULES_RECORDED;
        struct episode a, b, c;
        episode_start(&a, plain, rules, train[walk % 8]);
        episode_start(&b, table, rules, train[walk % 8]);
        episode_start(&c, plain, rules, train[walk % 8]);
        c.cache = &cache;
        while (!a.done) {
            struct outcome x, y, all[5];
            size_t action = rng_below(&actions, rec->space.n_actions);
            double responses[5];
            episode_outcomes(&c, all);
            episode_responses(&b, responses);
            episode_step(&a, action, &x);
            episode_step(&b, action, &y);
            assert_true(x.response == y.response && x.reward == y.reward);
            assert_memory_equal(&x, &all[action], sizeof x);
            assert_true(responses[action] == x.response);
            episode_apply(&c, action, &all[action]);
            assert_memory_equal(
                a.states, c.states, rec->space.n_states * sizeof *a.states);
        }
        assert_true(b.done && c.done);
    }
    response_cache_release(&cache);
    environment_free(plain);
    environment_free(table);
    recorded_free(rec);
    dataset_free(data);
}

static void test_refusals(void **state)
{
    (void)state;
    struct dataset *data = simple_dataset(3, 2, scores);
    struct environment *env;
    struct error err = ERROR_INIT;
    struct recorded *rec = build(data, 5);
    const size_t train[] = { 0, 1 };
    struct environment_settings set = environment_published();
    assert_int_equal(environment_new(rec, &set, train, 2, &env, &err), E_DATA);
    assert_non_null(strstr(err.msg, "4 scored turns"));
    assert_int_equal(environment_new(rec, &set, train, 0, &env, &err), E_ARG);
    set.estimator.k = 2;
    set.costs.device = "Abacus";
    assert_int_equal(environment_new(rec, &set, train, 2, &env, &err), E_ARG);
    assert_null(env);
    recorded_free(rec);
    dataset_free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_table_equals_plain_path),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
