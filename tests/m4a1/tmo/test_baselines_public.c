/* test_baselines_public.c - the public data: every baseline beside the bound, in the
 * published world, without budgets and with ones that bind.  Two splits; M4A1_LONG=1 takes
 * ten, and prints the tables of docs/tmo-bound.md. */
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
#include "m4a1/tmo/oracle.h"
#include "tests/support/tmo_data.h"

static size_t n_seeds(void)
{
    const char *is_long = getenv("M4A1_LONG");
    return is_long && strcmp(is_long, "1") == 0 ? 10 : 2;
}

static const char *const names[] = { "random", "local", "cloud", "best-fixed",
    "best-by-task", "best-by-prompt", "epsilon-greedy", "ucb", "linucb", "thompson",
    "planner:1", "planner", "planner:3" };
#define N_NAMES (sizeof names / sizeof *names)
enum { BEST_FIXED = 3, BEST_BY_TASK = 4, GREEDY = 10, PLANNER = 11, PLANNER_3 = 12 };

struct table {
    double best, kept;      /* means over seeds */
    double reward[N_NAMES]; /* likewise */
    double square[N_NAMES];
    size_t n_sessions;
    size_t n_best_over; /* sessions whose best without budgets exceeds one */
    size_t n_over;      /* sessions of all baselines that do */
};

static void add_seed(const struct recorded *rec, const struct environment_settings *set,
    uint64_t seed, struct table *table)
{
    struct split split;
    struct environment *env;
    size_t *train, *test;
    assert_int_equal(split_draw(rec->data, 0, 0.8, seed, &split, NULL), OK);
    assert_int_equal(recorded_indices(rec, split.train, split.n_train, &train, NULL), OK);
    assert_int_equal(recorded_indices(rec, split.test, split.n_test, &test, NULL), OK);
    assert_int_equal(environment_new(rec, set, train, split.n_train, &env, NULL), OK);
    assert_int_equal(environment_tabulate(env, NULL), OK);

    struct oracle oracle;
    struct oracle_options options = oracle_options();
    assert_int_equal(
        oracle_sessions(env, test, split.n_test, &options, &oracle, NULL), OK);
    assert_int_equal(oracle.n_unproved, 0);
    assert_int_equal(oracle.n_feasible, split.n_test);
    double n = (double)n_seeds();
    table->best += oracle.best / n;
    table->kept += oracle.kept / n;
    table->n_best_over += oracle.n_best_over;
    table->n_sessions += oracle.n_sessions;

    for (size_t i = 0; i < N_NAMES; i++) {
        struct baseline b;
        struct evaluation got;
        struct baseline_settings how = baseline_defaults();
        how.seed = seed;
        assert_int_equal(baseline_make(env, names[i], &how, &b, NULL), OK);
        assert_int_equal(
            evaluation_run(env, test, split.n_test, &b.chooser, seed, &got, NULL), OK);
        // A shield that is exact keeps all budgets, so the bound under them holds.
        double bound = set->handling == HANDLING_SHIELD ? oracle.kept : oracle.best;
        assert_true(got.reward <= bound + 1e-9);
        table->reward[i] += got.reward / n;
        table->square[i] += got.reward * got.reward / n;
        table->n_over += (size_t)lround(got.over * (double)got.n_sessions);
        baseline_release(&b);
    }
    oracle_release(&oracle);
    environment_free(env);
    split_release(&split);
    free(train);
    free(test);
}

static struct table measure(
    const struct dataset *data, const struct environment_settings *set)
{
    struct table table = { 0 };
    struct recorded *rec;
    struct recorded_settings how = recorded_published(0, 1, 5);
    assert_int_equal(recorded_build(data, &how, &rec, NULL), OK);
    for (uint64_t seed = 0; seed < n_seeds(); seed++)
        add_seed(rec, set, seed, &table);
    recorded_free(rec);
    double bound = set->handling == HANDLING_SHIELD ? table.kept : table.best;
    print_message("bound %.4f, under budgets %.4f (without them %zu of %zu sessions "
                  "exceed one); %zu sessions of baselines exceed\n",
        table.best, table.kept, table.n_best_over, table.n_sessions, table.n_over);
    for (size_t i = 0; i < N_NAMES; i++)
        print_message("  %-15s %.4f ± %.4f  %.1f %%\n", names[i], table.reward[i],
            sqrt(fmax(0, table.square[i] - table.reward[i] * table.reward[i])),
            100 * table.reward[i] / bound);
    return table;
}

static void check_order(const struct table *table, double bound)
{
    assert_true(table->reward[BEST_FIXED] > table->reward[0]);
    assert_true(table->reward[BEST_BY_TASK] > table->reward[BEST_FIXED]);
    assert_true(table->reward[GREEDY] > table->reward[BEST_FIXED]);
    assert_true(table->reward[PLANNER] > table->reward[BEST_BY_TASK]);
    assert_true(table->reward[PLANNER] > table->reward[GREEDY]);
    assert_true(table->reward[PLANNER_3] > 0.8 * bound);
}

static void test_without_budgets(void **state)
{
    (void)state;
    struct dataset *data = golden_dataset();
    if (!data) {
        print_message("no public data\n");
        skip();
    }
    struct environment_settings set = environment_published();
    struct table table = measure(data, &set);
    check_order(&table, table.best);
    // The published budgets bind for nobody.
    assert_int_equal(table.n_best_over, 0);
    assert_true(table.kept == table.best);
    dataset_free(data);
}

/* Budgets that more than half of the best sequences exceed. */
static void test_with_budgets(void **state)
{
    (void)state;
    struct dataset *data = golden_dataset();
    if (!data) {
        print_message("no public data\n");
        skip();
    }
    struct environment_settings set = environment_published();
    set.constraints[0].budget = 13;
    set.constraints[1].budget = 0.015;
    set.handling = HANDLING_SHIELD;
    struct table table = measure(data, &set);
    check_order(&table, table.kept);
    assert_true(2 * table.n_best_over > table.n_sessions);
    assert_true(table.kept < table.best - 0.05);
    assert_int_equal(table.n_over, 0);
    dataset_free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_budgets),
        cmocka_unit_test(test_with_budgets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
