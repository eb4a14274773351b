/* test_baselines.c - the table of baselines: what each draws, what is fitted, what a
 * shield leaves of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "m4a1/tmo/baselines.h"
#include "m4a1/tmo/evaluation.h"
#include "tests/support/tmo_data.h"

#define NEAR(a, b) assert_true(fabs((a) - (b)) <= 1e-12)
#define A 5 /* local, and the cloud with each subset of two views */

struct world {
    struct dataset *data;
    struct recorded *rec;
    struct environment *env;
};

#define N_TRAIN 16
static const size_t train[N_TRAIN] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14,
    15 };
static const size_t test[] = { 16, 17, 18, 19 };

/* Task a is best answered locally, task b in the cloud. */
static struct world open_world(
    const struct environment_settings *set, int as_published, size_t n_turns)
{
    static const double score[2][2] = { { 2, 1 }, { 0, 3 } };
    struct world w;
    struct error err = ERROR_INIT;
    struct recorded_settings how =
        as_published ? recorded_published(0, 1, 2) : recorded_defaults();
    w.data = simple_dataset(20, n_turns, score);
    assert_int_equal(recorded_build(w.data, &how, &w.rec, NULL), OK);
    enum status s = environment_new(w.rec, set, train, N_TRAIN, &w.env, &err);
    if (s)
        print_message("%s\n", err.msg);
    assert_int_equal(s, OK);
    assert_int_equal(w.env->n_actions, A);
    return w;
}

static void close_world(struct world *w)
{
    environment_free(w->env);
    recorded_free(w->rec);
    dataset_free(w->data);
}

static struct baseline make(const struct world *w, const char *name, uint64_t seed)
{
    struct baseline b;
    struct error err = ERROR_INIT;
    struct baseline_settings set = baseline_defaults();
    set.seed = seed;
    set.steps = 500;
    enum status s = baseline_make(w->env, name, &set, &b, &err);
    if (s)
        print_message("%s: %s\n", name, err.msg);
    assert_int_equal(s, OK);
    return b;
}

static void expect_first(const struct world *w, const char *name, const double *expected)
{
    struct baseline b = make(w, name, 0);
    struct episode ep;
    double p[A];
    episode_start(&ep, w->env, RULES_MODEL, 16);
    b.chooser.weigh(b.chooser.arg, &ep, p);
    for (size_t a = 0; a < A; a++)
        NEAR(p[a], expected[a]);
    baseline_release(&b);
}

static void test_shares(void **state)
{
    (void)state;
    struct environment_settings set = environment_published();
    struct world w = open_world(&set, 1, 3);
    expect_first(&w, "random", (const double[A]) { 0.5, .125, .125, .125, .125 });
    expect_first(&w, "local", (const double[A]) { 1, 0, 0, 0, 0 });
    expect_first(&w, "cloud", (const double[A]) { 0, .25, .25, .25, .25 });
    expect_first(&w, "llm:local", (const double[A]) { 1, 0, 0, 0, 0 });
    expect_first(&w, "llm:cloud", (const double[A]) { 0, .25, .25, .25, .25 });
    close_world(&w);
}

static double reward_of(const struct world *w, const char *name)
{
    struct baseline b = make(w, name, 3);
    struct evaluation got;
    assert_int_equal(evaluation_run(w->env, test, 4, &b.chooser, 0, &got, NULL), OK);
    baseline_release(&b);
    return got.reward;
}

/* What a constant action earns, its means over the sessions given. */
static double constant(const struct world *w, const size_t *sessions, size_t n, size_t a)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        struct episode ep;
        struct outcome outcome;
        episode_start(&ep, w->env, RULES_MODEL, sessions[i]);
        while (!ep.done) {
            episode_step(&ep, a, &outcome);
            sum += outcome.reward / (double)ep.n_turns / (double)n;
        }
    }
    return sum;
}

/* Sessions of one turn, in which every action of every task was seen. */
static void test_fitted(void **state)
{
    (void)state;
    struct environment_settings set = environment_published();
    set.estimator.k = 1;
    struct world w = open_world(&set, 1, 1);
    size_t best = 0;
    for (size_t a = 1; a < A; a++)
        if (constant(&w, train, N_TRAIN, a) > constant(&w, train, N_TRAIN, best))
            best = a;
    NEAR(reward_of(&w, "best-fixed"), constant(&w, test, 4, best));
    struct baseline b = make(&w, "best-by-task", 0);
    for (size_t i = 0; i < 4; i++) {
        struct episode ep;
        struct outcome all[A];
        double p[A];
        episode_start(&ep, w.env, RULES_MODEL, test[i]);
        episode_outcomes(&ep, all);
        b.chooser.weigh(b.chooser.arg, &ep, p);
        for (size_t a = 0; a < A; a++)
            for (size_t other = 0; p[a] > 0 && other < A; other++)
                assert_true(all[a].reward >= all[other].reward);
        assert_int_equal(p[0] <= 0, w.rec->tasks[ep.first]);
    }
    baseline_release(&b);
    assert_true(reward_of(&w, "best-by-task") > reward_of(&w, "best-fixed") + 0.1);
    // One prompt in all: no more is known than the best fixed action.
    NEAR(reward_of(&w, "best-by-prompt"), reward_of(&w, "best-fixed"));
    close_world(&w);
}

/* All names give probabilities over what is allowed, and the same by seed. */
static void check_all(const struct world *w)
{
    const char *const *names;
    size_t n;
    assert_int_equal(baseline_names(w->env, &names, &n, NULL), OK);
    assert_int_equal(n, n_baseline_specs + 1);
    for (size_t i = 0; i < n; i++) {
        struct baseline one = make(w, names[i], 5), two = make(w, names[i], 5);
        assert_string_equal(one.name, names[i]);
        assert_non_null(baseline_spec(names[i]));
        struct episode ep;
        episode_start(&ep, w->env, RULES_MODEL, 17);
        while (!ep.done) {
            double p[A], q[A], sum = 0;
            unsigned char allowed[A];
            struct outcome outcome;
            size_t action = 0;
            episode_allowed(&ep, allowed);
            one.chooser.weigh(one.chooser.arg, &ep, p);
            two.chooser.weigh(two.chooser.arg, &ep, q);
            assert_memory_equal(p, q, sizeof p);
            for (size_t a = 0; a < A; a++) {
                assert_true(p[a] >= 0 && (allowed[a] || p[a] <= 0));
                sum += p[a];
                action = p[a] > p[action] ? a : action;
            }
            NEAR(sum, 1);
            episode_step(&ep, action, &outcome);
        }
        for (size_t k = 0; k < w->env->settings.n_constraints; k++)
            assert_true(ledger_excess(&ep.ledger, k) <= 0);
        baseline_release(&one);
        baseline_release(&two);
    }
    free((void *)names);
}

static void test_all(void **state)
{
    (void)state;
    struct environment_settings set = environment_defaults();
    struct world w = open_world(&set, 0, 3);
    check_all(&w);
    close_world(&w);
    // Budgets that leave room for one view only.
    set.handling = HANDLING_SHIELD;
    set.resource_aware = 1;
    set.constraints[1].budget = 0.006;
    w = open_world(&set, 0, 3);
    check_all(&w);
    close_world(&w);
    // Nothing but the cloud is offered, to the local baseline too.
    set = environment_defaults();
    w = open_world(&set, 0, 3);
    assert_int_equal(
        environment_offer(w.env, (const unsigned char[A]) { 0, 1, 0, 1, 0 }, NULL), OK);
    check_all(&w);
    expect_first(&w, "local", (const double[A]) { 0, .5, 0, .5, 0 });
    close_world(&w);
}

static void refused(const struct world *w, const char *name, int64_t steps,
    double explore, const char *word)
{
    struct baseline b;
    struct error err = ERROR_INIT;
    struct baseline_settings set = baseline_defaults();
    set.steps = steps;
    set.explore = explore;
    assert_int_equal(baseline_make(w->env, name, &set, &b, &err), E_ARG);
    if (!strstr(err.msg, word))
        print_message("%s\n", err.msg);
    assert_non_null(strstr(err.msg, word));
}

static void test_refusals(void **state)
{
    (void)state;
    struct environment_settings set = environment_published();
    struct world w = open_world(&set, 1, 3);
    refused(&w, "clever", 10, 0, "llm:NAME");
    refused(&w, "llm:", 10, 0, "llm:NAME");
    refused(&w, "randomly", 10, 0, "best-by-task");
    refused(&w, "ucb:3", 10, 0, "planner");
    refused(&w, "llm:gpt", 10, 0, "gpt");
    refused(&w, "planner:0", 10, 0, "depth");
    refused(&w, "planner:x", 10, 0, "depth");
    refused(&w, "ucb", 0, 0, "step");
    refused(&w, "epsilon-greedy", 10, 2, "probability");
    refused(&w, "thompson", 10, -1, "exploration");
    close_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shares),
        cmocka_unit_test(test_fitted),
        cmocka_unit_test(test_all),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
