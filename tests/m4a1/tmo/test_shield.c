/* test_shield.c - on random worlds: what can be met is met, and nothing is taken away that
 * leaves enough; both against exhaustive search. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>
#include "m4a1/tmo/evaluation.h"
#include "m4a1/tmo/shield.h"
#include "m4a1/tmo/stream.h"
#include "tests/support/world_data.h"

/* Where a session is, for the search: costs only. */
struct spot {
    struct ledger ledger;
    uint32_t context, sent[SPACE_MAX_LLMS];
};

static void act(const struct environment *env, struct spot *s, size_t action)
{
    const struct recorded *rec = env->rec;
    const struct space_action *one = &rec->space.actions[action];
    uint32_t shown = recorded_shown(rec, action, s->context);
    size_t cell = costs_cell(&env->costs, one->llm, space_count(shown));
    struct turn_cost cost = { { env->costs.latency_s[cell], env->costs.usage_usd[cell],
        0 } };
    if (rec->space.cloud[one->llm]) {
        uint32_t *sent = &s->sent[rec->providers[one->llm]];
        for (size_t v = 0; v < rec->space.n_views; v++)
            if ((shown & ~*sent) >> v & 1)
                cost.of[CONSTRAINT_PRIVACY] += rec->data->privacy[v];
        *sent |= shown;
    }
    s->context |= one->views;
    ledger_spend(
        &s->ledger, env->settings.constraints, env->settings.n_constraints, &cost);
}

static int is_within(const struct environment *env, const struct spot *s)
{
    for (size_t i = 0; i < env->settings.n_constraints; i++)
        if (ledger_excess(&s->ledger, i) > 0)
            return 0;
    return 1;
}

/* True where some sequence of n actions stays within all budgets. */
static int can_meet(const struct environment *env, const struct spot *from, size_t n)
{
    if (!is_within(env, from))
        return 0;
    if (!n)
        return 1;
    for (size_t a = 0; a < env->n_actions; a++) {
        struct spot s = *from;
        act(env, &s, a);
        if (can_meet(env, &s, n - 1))
            return 1;
    }
    return 0;
}

static struct spot spot_of(const struct episode *ep)
{
    struct spot s = { .ledger = ep->ledger, .context = ep->context };
    memcpy(s.sent, ep->sent, sizeof s.sent);
    return s;
}

/* Exactly the actions behind which the longest session can be met are allowed, where there
 * is one. */
static void check_allowed(const struct episode *ep, const unsigned char *allowed)
{
    const struct environment *env = ep->env;
    size_t left = env->settings.longest - ep->turn - 1, n = 0, n_exact = 0;
    unsigned char exact[64];
    assert_true(env->n_actions <= sizeof exact);
    for (size_t a = 0; a < env->n_actions; a++) {
        struct spot s = spot_of(ep);
        act(env, &s, a);
        exact[a] = (unsigned char)can_meet(env, &s, left);
        n += allowed[a];
        n_exact += exact[a];
    }
    assert_true(n > 0);
    if (n_exact)
        assert_memory_equal(allowed, exact, env->n_actions);
}

static struct environment_settings draw_settings(struct rng *rng)
{
    struct environment_settings set = environment_defaults();
    set.handling = HANDLING_SHIELD;
    set.n_constraints = 0;
    for (int kind = 0; kind < N_CONSTRAINT_KINDS; kind++) {
        if (!rng_below(rng, 3))
            continue;
        struct constraint *one = &set.constraints[set.n_constraints++];
        one->kind = (enum constraint_kind)kind;
        one->horizon = rng_below(rng, 2) ? 0 : 1 + rng_below(rng, 3);
        one->budget = kind == CONSTRAINT_LATENCY ? (double)rng_below(rng, 24) / 4
                      : kind == CONSTRAINT_USAGE ? (double)rng_below(rng, 16) / 100
                                                 : (double)rng_below(rng, 6);
    }
    return set;
}

/* Sessions of one world under an actor that takes any allowed action.  With reserves above
 * the costs less is allowed than could be, but what costs can meet is met. */
static void check_world(
    const struct world *w, struct rng *rng, size_t *n_met, size_t *n_bound)
{
    struct environment_settings set = draw_settings(rng);
    struct environment *env = world_environment(w, &set);
    for (size_t i = 0; i < w->rec->n_sessions; i++) {
        struct episode ep;
        unsigned char allowed[64];
        episode_start(&ep, env, RULES_MODEL, i);
        struct spot start = spot_of(&ep);
        int can = can_meet(env, &start, ep.n_turns);
        assert_int_equal(shield_can_meet(&ep, ep.n_turns), can);
        while (!ep.done) {
            struct outcome out;
            episode_allowed(&ep, allowed);
            if (i < 4 && env->costs.is_exact)
                check_allowed(&ep, allowed);
            size_t action = rng_below(rng, env->n_actions);
            *n_bound += !allowed[action];
            while (!allowed[action])
                action = (action + 1) % env->n_actions;
            episode_step(&ep, action, &out);
        }
        *n_met += (size_t)can;
        struct spot end = spot_of(&ep);
        if (can)
            assert_true(is_within(env, &end));
    }
    environment_free(env);
}

static void test_random_worlds(void **state)
{
    (void)state;
    struct rng rng;
    size_t n_met = 0, n_bound = 0;
    rng_init(&rng, 1, "test", 0);
    for (uint64_t seed = 0; seed < 60; seed++) {
        struct world w;
        const struct world_shape shape = { .n_cloud = 1 + seed % 2,
            .n_views = 1 + seed / 2 % 2,
            .n_tasks = 2,
            .n_sessions = 12,
            .max_turns = 4 };
        world_make(&w, &shape, seed);
        for (size_t i = 0; seed % 3 == 0 && i < w.costs.n_rows; i++)
            for (size_t n = 0; n < COST_CELLS; n++)
                w.costs.rows[i].latency_reserve_s[n] += 0.25 * (double)rng_below(&rng, 4);
        check_world(&w, &rng, &n_met, &n_bound);
        world_release(&w);
    }
    print_message(
        "%zu sessions could be met; %zu choices were taken away\n", n_met, n_bound);
    assert_true(n_met > 200 && n_bound > 200);
}

/* Two sessions that begin alike: the short one could spend more, but nobody knows that it
 * is short, so both reserve for the longest. */
static void test_reserve_by_hand(void **state)
{
    (void)state;
    struct world w;
    const struct world_shape shape = {
        .n_cloud = 1, .n_views = 1, .n_tasks = 1, .n_sessions = 2, .max_turns = 3
    };
    world_make(&w, &shape, 7);
    for (size_t i = 0; i < w.costs.n_rows; i++)
        for (size_t n = 0; n < COST_CELLS; n++)
            w.costs.rows[i].latency_s[n] = w.costs.rows[i].latency_reserve_s[n] =
                i ? 3 + (double)n : 1;
    struct environment_settings set = environment_defaults();
    set.handling = HANDLING_SHIELD;
    set.constraints[0] = (struct constraint) { CONSTRAINT_LATENCY, 6, 0 };
    set.n_constraints = 1;
    set.longest = 3;
    struct environment *env = world_environment(&w, &set);
    // Actions: local 1 s, cloud 3 s, cloud with the view 4 s; two local turns behind.
    unsigned char allowed[3];
    struct outcome out;
    struct episode ep;
    episode_start(&ep, env, RULES_MODEL, 0);
    ep.n_turns = 3;
    episode_allowed(&ep, allowed);
    assert_memory_equal(allowed, ((unsigned char[]) { 1, 1, 1 }), 3);
    episode_step(&ep, 1, &out); // 3 s are left for two turns: one must be local
    episode_allowed(&ep, allowed);
    assert_memory_equal(allowed, ((unsigned char[]) { 1, 0, 0 }), 3);
    // A budget that cannot be met: the reserve shrinks, then the least excess is left.
    episode_start(&ep, env, RULES_MODEL, 0);
    ep.n_turns = 3;
    episode_set_budgets(&ep, (double[]) { 2 });
    assert_int_equal(shield_can_meet(&ep, 2), 1);
    assert_int_equal(shield_can_meet(&ep, 3), 0);
    for (int t = 0; t < 2; t++) {
        episode_allowed(&ep, allowed);
        assert_memory_equal(allowed, ((unsigned char[]) { 1, 0, 0 }), 3);
        episode_step(&ep, 0, &out);
    }
    episode_allowed(&ep, allowed);
    assert_memory_equal(allowed, ((unsigned char[]) { 1, 0, 0 }), 3);
    environment_free(env);
    world_release(&w);
}

/* An ablation takes the local llm away: what is reserved is the cloud's price. */
static void test_reckons_with_what_is_offered(void **state)
{
    (void)state;
    struct world w;
    const struct world_shape shape = {
        .n_cloud = 1, .n_views = 1, .n_tasks = 1, .n_sessions = 4, .max_turns = 3
    };
    world_make(&w, &shape, 7);
    for (size_t i = 0; i < w.costs.n_rows; i++)
        for (size_t n = 0; n < COST_CELLS; n++)
            w.costs.rows[i].latency_s[n] = w.costs.rows[i].latency_reserve_s[n] =
                i ? 3 + (double)n : 1;
    struct environment_settings set = environment_defaults();
    set.handling = HANDLING_SHIELD;
    set.constraints[0] = (struct constraint) { CONSTRAINT_LATENCY, 7, 0 };
    set.n_constraints = 1;
    set.longest = 2;
    struct environment *env = world_environment(&w, &set);
    unsigned char allowed[3];
    struct episode ep;
    struct outcome out;
    assert_int_equal(
        environment_offer(env, (const unsigned char[]) { 0, 1, 1 }, NULL), OK);
    episode_start(&ep, env, RULES_MODEL, 0);
    episode_allowed(&ep, allowed); // 4 s, and 4 s more with the view: 8 s are too many
    assert_memory_equal(allowed, ((unsigned char[]) { 0, 1, 0 }), 3);
    episode_step(&ep, 1, &out);
    episode_allowed(&ep, allowed);
    assert_memory_equal(allowed, ((unsigned char[]) { 0, 1, 1 }), 3);
    assert_int_equal(
        environment_offer(env, (const unsigned char[]) { 0, 0, 0 }, NULL), E_ARG);
    environment_free(env);
    world_release(&w);
}

/* A session may be as long as a config says: no recursion grows with it. */
static void test_very_long_sessions(void **state)
{
    (void)state;
    struct world w;
    const struct world_shape shape = {
        .n_cloud = 1, .n_views = 1, .n_tasks = 1, .n_sessions = 4, .max_turns = 3
    };
    world_make(&w, &shape, 7);
    for (size_t i = 0; i < w.costs.n_rows; i++)
        for (size_t n = 0; n < COST_CELLS; n++)
            w.costs.rows[i].latency_s[n] = w.costs.rows[i].latency_reserve_s[n] =
                i ? 1 + 10 * (double)n : 2;
    struct environment_settings set = environment_defaults();
    set.handling = HANDLING_SHIELD;
    set.constraints[0] = (struct constraint) { CONSTRAINT_LATENCY, 150000, 0 };
    set.n_constraints = 1;
    set.longest = 100000;
    struct environment *env = world_environment(&w, &set);
    unsigned char allowed[3];
    struct episode ep;
    episode_start(&ep, env, RULES_MODEL, 0);
    // Local again and again takes 200,000 s, the cloud without the view 100,000 s.
    episode_allowed(&ep, allowed);
    assert_memory_equal(allowed, ((unsigned char[]) { 1, 1, 0 }), 3);
    environment_free(env);
    world_release(&w);
}

static void weigh_second(void *arg, const struct episode *ep, double *p)
{
    (void)arg;
    for (size_t a = 0; a < ep->env->n_actions; a++)
        p[a] = a == 1;
}

/* Answers of 2 s in the mean, of which nine in ten take at most 3 s: one turn exceeds 3 s
 * with probability 0.1, and never 3 USD. */
static void test_risk(void **state)
{
    (void)state;
    struct world w;
    const struct world_shape shape = {
        .n_cloud = 1, .n_views = 1, .n_tasks = 1, .n_sessions = 2, .max_turns = 2
    };
    world_make(&w, &shape, 7);
    for (size_t i = 0; i < w.costs.n_rows; i++)
        for (size_t n = 0; n < COST_CELLS; n++) {
            w.costs.rows[i].latency_s[n] = 2;
            w.costs.rows[i].latency_reserve_s[n] = i ? 3 : 2;
        }
    struct environment_settings set = environment_defaults();
    set.constraints[0] = (struct constraint) { CONSTRAINT_LATENCY, 3, 1 };
    set.constraints[1] = (struct constraint) { CONSTRAINT_USAGE, 3, 0 };
    struct environment *env = world_environment(&w, &set);
    double risk[2];
    const size_t cloud[] = { 1, 1 }, local[] = { 0, 0 };
    assert_false(env->costs.is_exact);
    shield_risk(env, 0, cloud, 1, 1, risk);
    print_message("one turn in ten exceeds: %.3f\n", risk[0]);
    assert_true(risk[0] > 0.08 && risk[0] < 0.12);
    assert_true(risk[1] == 0);
    shield_risk(env, 0, cloud, 2, 1, risk); // 1 - 0.9^2
    assert_true(risk[0] > 0.165 && risk[0] < 0.215);
    shield_risk(env, 0, local, 2, 1, risk);
    assert_true(risk[0] == 0);
    // An evaluation tells the mean over its sessions; session 0 has two turns.
    struct evaluation got;
    const struct chooser chooser = { weigh_second, NULL };
    struct evaluation_options options = { .with_risk = 1 };
    const size_t first = 0;
    assert_int_equal(
        evaluation_play(env, &first, 1, &chooser, 0, &options, &got, NULL), OK);
    assert_true(got.constraints[0].probability > 0.165);
    assert_true(got.constraints[0].probability < 0.215);
    assert_true(got.constraints[1].probability == 0 && got.over == 0);
    assert_int_equal(evaluation_run(env, &first, 1, &chooser, 0, &got, NULL), OK);
    assert_true(isnan(got.constraints[0].probability));
    environment_free(env);
    world_release(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_worlds),
        cmocka_unit_test(test_reserve_by_hand),
        cmocka_unit_test(test_reckons_with_what_is_offered),
        cmocka_unit_test(test_very_long_sessions),
        cmocka_unit_test(test_risk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
