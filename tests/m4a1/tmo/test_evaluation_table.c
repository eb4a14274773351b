/* Rows beside each other: sums of several splits, comparisons, shares of a bound. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "m4a1/tmo/evaluation_table.h"
#include "tests/support/tmo_data.h"

#define NEAR(a, b) assert_true(fabs((a) - (b)) <= 1e-9)

static const double scores[2][2] = { { 1, 2 }, { 1, 3 } };
static const size_t train[] = { 0, 1, 2, 3, 4, 5, 6, 7 }, test[] = { 8, 9, 10, 11 },
                    other_train[] = { 4, 5, 6, 7, 8, 9, 10, 11 },
                    other_test[] = { 0, 1, 2, 10 };

struct world {
    struct dataset *data;
    struct recorded *rec;
    struct environment *env;
    struct evaluation_table table;
    size_t first, second; /* trials */
};

static void world_init(struct world *w, enum folds_by by)
{
    struct recorded_settings settings = recorded_defaults();
    struct environment_settings set = environment_defaults();
    struct evaluation_settings evaluation = evaluation_defaults();
    set.estimator.k = 3;
    set.beta_association = set.beta_latency = set.beta_usage = 0;
    evaluation.by = by;
    evaluation.bootstrap.n_resamples = 1000;
    w->data = simple_dataset(12, 3, scores);
    assert_int_equal(recorded_build(w->data, &settings, &w->rec, NULL), OK);
    assert_int_equal(environment_new(w->rec, &set, train, 8, &w->env, NULL), OK);
    assert_int_equal(evaluation_table_init(&w->table, w->rec, &evaluation, NULL), OK);
    assert_int_equal(
        evaluation_table_trial(&w->table, w->env, 0, train, 8, test, 4, &w->first, NULL),
        OK);
    assert_int_equal(evaluation_table_trial(&w->table, w->env, 1, other_train, 8,
                         other_test, 4, &w->second, NULL),
        OK);
}

static void world_release(struct world *w)
{
    evaluation_table_release(&w->table);
    environment_free(w->env);
    recorded_free(w->rec);
    dataset_free(w->data);
}

/* An llm without a view. */
static void weigh_llm(void *arg, const struct episode *ep, double *p)
{
    for (size_t a = 0; a < ep->env->n_actions; a++)
        p[a] = a == space_find(&ep->env->rec->space, *(size_t *)arg, 0);
}

static void add(struct world *w, const char *name, size_t trial, size_t llm)
{
    const struct chooser chooser = { weigh_llm, &llm };
    struct error err = ERROR_INIT;
    if (evaluation_table_add(&w->table, name, trial, w->env, &chooser,
            EVALUATE_RETURN | EVALUATE_VALUES, &err))
        fail_msg("%s", err.msg);
}

static void trials_are_told_apart(void **state)
{
    (void)state;
    struct world w;
    size_t again;
    world_init(&w, FOLDS_SESSION);
    assert_int_equal(w.first, 0);
    assert_int_equal(w.second, 1);
    assert_int_equal(
        evaluation_table_trial(&w.table, w.env, 0, train, 8, test, 4, &again, NULL), OK);
    assert_int_equal(again, 0);
    assert_int_equal(w.table.n_trials, 2);
    assert_int_equal(w.table.trials[0].overlap.of[OVERLAP_PROMPTS].n_carriers_shared, 12);
    add(&w, "Local", 0, 0);
    const struct chooser chooser = { weigh_llm, &again };
    struct error err = ERROR_INIT;
    assert_int_equal(evaluation_table_add(
                         &w.table, "Local", 0, w.env, &chooser, EVALUATE_RETURN, &err),
        E_ARG);
    assert_non_null(strstr(err.msg, "\"Local\" were trained on the same split"));
    world_release(&w);
}

static const char *const bounds[EVALUATION_BOUNDS] = { "Bound", "Nobody" };

/* Two trials, of which a row has one only: it is compared on that one. */
static void rows_beside_each_other(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, FOLDS_SESSION);
    for (size_t trial = 0; trial < 2; trial++) {
        assert_int_equal(evaluation_table_add(&w.table, "Behaviour", trial, w.env, NULL,
                             EVALUATE_RETURN | EVALUATE_VALUES, NULL),
            OK);
        add(&w, "Local", trial, 0);
    }
    add(&w, "Cloud", 1, 1);
    add(&w, "Bound", 1, 1);
    struct error err = ERROR_INIT;
    assert_int_equal(evaluation_table_finish(&w.table, "Mars", bounds, &err), E_ARG);
    assert_non_null(strstr(err.msg, "called \"Mars\""));
    assert_int_equal(evaluation_table_finish(&w.table, "Local", bounds, &err), OK);
    const struct evaluation_row *behaviour = evaluation_table_row(&w.table, "Behaviour"),
                                *local = evaluation_table_row(&w.table, "Local"),
                                *cloud = evaluation_table_row(&w.table, "Cloud");
    const enum measure turn = MEASURE_OFF_POLICY + (int)OFF_POLICY_TURN;
    NEAR(local->values[turn].value, 1);
    NEAR(local->values[MEASURE_RETURN].value,
        (local->entries[0].evaluation.reward + local->entries[1].evaluation.reward) / 2);
    NEAR(local->deviation,
        fabs(local->entries[0].evaluation.reward - local->entries[1].evaluation.reward) /
            2);
    assert_true(isnan(cloud->deviation));
    NEAR(cloud->against[MEASURE_RETURN].difference.value,
        cloud->entries[0].evaluation.reward - local->entries[1].evaluation.reward);
    assert_true(isnan(local->against[MEASURE_RETURN].p));
    NEAR(cloud->shares[0], 1);
    NEAR(local->shares[0],
        local->entries[1].evaluation.reward / cloud->entries[0].evaluation.reward);
    assert_true(isnan(local->shares[1]));
    assert_true(
        isnan(evaluation_table_row(&w.table, "Bound")->against[MEASURE_RETURN].p));
    /* the behaviour has no return; its value is the mean of all rewards */
    assert_true(isnan(behaviour->values[MEASURE_RETURN].value));
    assert_false(behaviour->entries[0].has_return);
    double sum = 0;
    for (size_t i = 0; i < 4; i++)
        for (size_t t = 0; t < 3; t++)
            sum += w.rec->scores[w.rec->sessions[test[i]].first + t] +
                   w.rec->scores[w.rec->sessions[other_test[i]].first + t];
    NEAR(behaviour->values[turn].value, sum / 24);
    /* session 10 is a test session of both, and counts once */
    assert_int_equal(behaviour->value.n_turns, 21);
    assert_int_equal(local->value.n_turns, 21);
    assert_true(local->value.effective_turns <= 21);
    /* adjusted over the two other rows */
    for (enum measure m = 0; m < N_MEASURES; m++) {
        double p = cloud->against[m].p, q = behaviour->against[m].p;
        if (!isnan(p) && !isnan(q))
            NEAR(fmin(cloud->against[m].adjusted, behaviour->against[m].adjusted),
                fmin(1, 2 * fmin(p, q)));
    }
    world_release(&w);
}

/* Prompts are no clusters of what a whole session hangs together by. */
static void clusters_of_prompts(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, FOLDS_PROMPT);
    add(&w, "Local", 0, 0);
    assert_int_equal(evaluation_table_finish(&w.table, NULL, bounds, NULL), OK);
    const struct evaluation_row *local = evaluation_table_row(&w.table, "Local");
    assert_true(isnan(local->values[MEASURE_OFF_POLICY + (int)OFF_POLICY_SEQUENCE].low));
    /* there is one prompt in all */
    assert_true(isnan(local->values[MEASURE_RETURN].low));
    assert_true(!isnan(local->values[MEASURE_RETURN].value));
    world_release(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trials_are_told_apart),
        cmocka_unit_test(rows_beside_each_other),
        cmocka_unit_test(clusters_of_prompts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
