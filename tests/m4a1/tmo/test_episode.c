/* test_episode.c - walks in the default world: views that accumulate, what leaves the
 * device, features, budgets; and the memory of estimates. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "m4a1/base/text.h"
#include "m4a1/tmo/environment.h"
#include "tests/support/tmo_data.h"
#include "tests/support/world_data.h"

#define NEAR(a, b) assert_true(fabs((a) - (b)) <= 1e-12)

static const struct world_shape some_world = {
    .n_cloud = 2, .n_views = 3, .n_tasks = 3, .n_sessions = 30, .max_turns = 5
};

/* Who does what the data did sees what the data saw. */
static void test_recorded_path_in_the_model(void **state)
{
    (void)state;
    struct world w;
    world_make(&w, &some_world, 11);
    struct environment_settings set = environment_defaults();
    struct environment *env = world_environment(&w, &set);
    const struct recorded *rec = w.rec;
    for (size_t i = 0; i < rec->n_sessions; i++) {
        struct episode ep;
        struct outcome out;
        episode_start(&ep, env, RULES_MODEL, i);
        while (!ep.done) {
            size_t t = ep.first + ep.turn;
            assert_memory_equal(ep.states, rec->observations + t * rec->space.n_states,
                rec->space.n_states * sizeof *ep.states);
            assert_int_equal(ep.context, rec->contexts[t]);
            struct estimator_query a = episode_query(&ep), b = estimator_query_of(rec, t);
            assert_true(a.prompt == b.prompt && a.task == b.task);
            episode_step(&ep, (size_t)rec->actions[t], &out);
        }
    }
    environment_free(env);
    world_release(&w);
}

/* Actions that add the same views are one, to the estimator and to costs. */
static void same_effect(const struct episode *ep, size_t a, const struct outcome *all)
{
    const struct recorded *rec = ep->env->rec;
    for (size_t b = 0; b < a; b++)
        if (rec->space.actions[a].llm == rec->space.actions[b].llm &&
            recorded_added(rec, a, ep->context) == recorded_added(rec, b, ep->context))
            assert_memory_equal(&all[a], &all[b], sizeof all[a]);
}

/* Outcomes of all actions are those of each step, with the memory and without; acting
 * changes nothing else than the episode. */
static void test_looking_ahead(void **state)
{
    (void)state;
    struct world w;
    world_make(&w, &some_world, 12);
    struct environment_settings set = environment_defaults();
    struct environment *env = world_environment(&w, &set);
    struct response_cache cache;
    struct rng rng;
    struct outcome all[64], one;
    rng_init(&rng, 1, "test", 0);
    response_cache_init(&cache, env);
    assert_true(env->n_actions <= 64);
    for (int walk = 0; walk < 200; walk++) {
        struct episode ep;
        episode_start(&ep, env, RULES_MODEL, (size_t)walk % w.rec->n_sessions);
        ep.cache = walk % 2 ? &cache : NULL;
        while (!ep.done) {
            episode_outcomes(&ep, all);
            for (size_t a = 0; a < env->n_actions; a++) {
                struct episode copy = ep;
                copy.cache = NULL;
                episode_step(&copy, a, &one);
                assert_memory_equal(&all[a], &one, sizeof one);
                same_effect(&ep, a, all);
            }
            size_t action = rng_below(&rng, env->n_actions);
            episode_apply(&ep, action, &all[action]);
        }
    }
    assert_true(cache.n_used > 50);
    response_cache_release(&cache);
    environment_free(env);
    world_release(&w);
}

/* Levels 1, 2, 4.  A provider is sent a view once, and all that the dialogue holds; two
 * llms of one provider share. */
static void test_privacy(void **state)
{
    (void)state;
    struct world w;
    const struct world_shape shape = {
        .n_cloud = 3, .n_views = 3, .n_tasks = 1, .n_sessions = 8, .max_turns = 9
    };
    world_make(&w, &shape, 1);
    for (int v = 0; v < 3; v++)
        w.data->privacy[v] = 1 << v;
    w.data->llms[1].provider = text_copy("one");
    w.data->llms[3].provider = text_copy("one");
    struct recorded_settings encoding = recorded_defaults();
    recorded_free(w.rec);
    assert_int_equal(recorded_build(w.data, &encoding, &w.rec, NULL), OK);
    assert_int_equal(w.rec->n_providers, 3); // the local llm's is one
    struct environment_settings set = environment_defaults();
    set.constraints[0] = (struct constraint) { CONSTRAINT_PRIVACY, 3, 0 };
    set.n_constraints = 1;
    struct environment *env = world_environment(&w, &set);
    const struct space *space = &w.rec->space;
    struct episode ep;
    struct outcome out;
    episode_start(&ep, env, RULES_MODEL, 0);
    ep.n_turns = 9;
    static const struct {
        size_t llm;
        uint32_t views;
        double privacy;
        size_t n_shown;
    } turns[] = { { 1, 1, 1, 1 }, { 1, 1, 0, 1 }, { 0, 0, 0, 0 }, { 2, 2, 3, 2 },
        { 3, 0, 2, 2 }, { 3, 4, 4, 3 }, { 1, 7, 0, 3 }, { 2, 0, 4, 3 } };
    double sum = 0;
    assert_true(w.rec->n_turns >= sizeof turns / sizeof *turns);
    for (size_t t = 0; t < sizeof turns / sizeof *turns; t++) {
        size_t action = space_find(space, turns[t].llm, turns[t].views);
        assert_int_equal(
            space_count(recorded_shown(w.rec, action, ep.context)), turns[t].n_shown);
        size_t cell = costs_cell(&env->costs, turns[t].llm, turns[t].n_shown);
        episode_step(&ep, action, &out);
        sum += turns[t].privacy;
        NEAR(out.privacy, turns[t].privacy);
        NEAR(out.latency_s, env->costs.latency_s[cell]);
        NEAR(out.usage_usd, env->costs.usage_usd[cell]);
        NEAR(ep.ledger.total[CONSTRAINT_PRIVACY], sum);
    }
    assert_int_equal(ep.context, 7);
    NEAR(ledger_excess(&ep.ledger, 0), sum - 3);
    environment_free(env);
    world_release(&w);
}

/* Tasks one-hot, missing states all zero, what remains of budgets as a share. */
static void test_features(void **state)
{
    (void)state;
    struct world w;
    const struct world_shape shape = {
        .n_cloud = 1, .n_views = 1, .n_tasks = 2, .n_sessions = 1, .max_turns = 2
    };
    world_make(&w, &shape, 4);
    struct environment_settings set = environment_defaults();
    set.resource_aware = 1;
    set.constraints[0] = (struct constraint) { CONSTRAINT_LATENCY, 8, 0 };
    set.constraints[1] = (struct constraint) { CONSTRAINT_PRIVACY, 0, 0 };
    struct environment *env = world_environment(&w, &set);
    double x[SPACE_MAX_FEATURES];
    struct episode ep;
    struct outcome out;
    // A state: llm, view, dialogue's view, two tasks.
    assert_int_equal(env->n_features, 3 * 5 + 2);
    episode_start(&ep, env, RULES_MODEL, 0);
    episode_observe(&ep, x);
    for (int i = 0; i < 10; i++)
        NEAR(x[i], 0);
    size_t task = (size_t)w.rec->tasks[0];
    const double first[] = { -1, 0, 0, task == 0, task == 1, 1, 0 };
    for (int i = 0; i < 7; i++)
        NEAR(x[10 + i], first[i]);
    episode_step(&ep, 2, &out);
    episode_observe(&ep, x);
    task = (size_t)w.rec->tasks[1];
    const double second[] = { 1, 1, 1, task == 0, task == 1, 1 - out.latency_s / 8, -1 };
    for (int i = 0; i < 7; i++)
        NEAR(x[10 + i], second[i]);
    episode_step(&ep, 0, &out);
    episode_observe(&ep, x);
    NEAR(x[0], SPACE_ABSENT);
    environment_free(env);
    world_release(&w);
}

/* Use over the last two turns; the excess is the greatest there ever was. */
static void test_windows(void **state)
{
    (void)state;
    const struct constraint list[] = { { CONSTRAINT_USAGE, 5, 2 },
        { CONSTRAINT_USAGE, 9, 0 } };
    static const double costs[] = { 1, 4, 3, 0, 2 }, remaining[] = { 4, 0, -2, 2, 3 },
                        excess[] = { 0, 0, 2, 2, 2 };
    struct ledger ledger;
    ledger_start(&ledger, list, 2);
    for (int t = 0; t < 5; t++) {
        const struct turn_cost cost = { { 100, costs[t], 100 } };
        ledger_spend(&ledger, list, 2, &cost);
        NEAR(ledger.remaining[0], remaining[t]);
        NEAR(ledger_excess(&ledger, 0), excess[t]);
    }
    NEAR(ledger.remaining[1], -1);
    NEAR(ledger_excess(&ledger, 1), 1);
    NEAR(ledger.total[CONSTRAINT_LATENCY], 500);
    // Ten tenths meet a budget of 1, whatever their sum is in binary.
    const struct constraint one = { CONSTRAINT_USAGE, 0.3, 0 };
    ledger_start(&ledger, &one, 1);
    for (int t = 0; t < 3; t++)
        ledger_spend(&ledger, &one, 1, &(const struct turn_cost) { { 0, 0.1, 0 } });
    assert_true(ledger.total[CONSTRAINT_USAGE] > 0.3);
    assert_true(ledger_excess(&ledger, 0) == 0);
}

static void test_names_and_limits(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    enum constraint_kind kind;
    enum constraint_handling handling;
    assert_int_equal(constraint_kind_of("privacy", &kind, &err), OK);
    assert_int_equal(kind, CONSTRAINT_PRIVACY);
    assert_int_equal(constraint_kind_of("money", &kind, &err), E_ARG);
    assert_non_null(strstr(err.msg, "latency, usage, privacy"));
    assert_int_equal(handling_of("shield", &handling, &err), OK);
    assert_int_equal(handling, HANDLING_SHIELD);
    assert_int_equal(handling_of("sword", &handling, &err), E_ARG);
    const struct constraint bad[] = { { CONSTRAINT_USAGE, -1, 0 },
        { CONSTRAINT_USAGE, NAN, 0 },
        { CONSTRAINT_USAGE, 1, CONSTRAINT_MAX_HORIZON + 1 } };
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(constraints_check(&bad[i], 1, &err), E_ARG);
    const struct constraint twice[] = { { CONSTRAINT_USAGE, 1, 3 },
        { CONSTRAINT_USAGE, 2, 3 } };
    assert_int_equal(constraints_check(twice, 2, &err), E_ARG);
    assert_int_equal(constraints_check(twice, CONSTRAINTS_MAX + 1, &err), E_ARG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recorded_path_in_the_model),
        cmocka_unit_test(test_looking_ahead),
        cmocka_unit_test(test_privacy),
        cmocka_unit_test(test_features),
        cmocka_unit_test(test_windows),
        cmocka_unit_test(test_names_and_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
