/* test_estimator.c - one interface to all estimators. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "m4a1/tmo/estimator.h"
#include "m4a1/tmo/estimator_choose.h"
#include "tests/support/scored_case.h"
#include "tests/support/world_data.h"

#define NEAR(a, b) assert_true(fabs((a) - (b)) <= 1e-9)

static size_t *all_rows(const struct recorded *rec)
{
    size_t *rows = malloc(rec->n_rows * sizeof *rows);
    assert_non_null(rows);
    for (size_t i = 0; i < rec->n_rows; i++)
        rows[i] = i;
    return rows;
}

static struct estimator *fit(const struct recorded *rec, enum estimator_kind kind)
{
    struct estimator_settings set = estimator_defaults();
    struct estimator *est;
    struct error err = ERROR_INIT;
    size_t *rows = all_rows(rec);
    set.kind = kind;
    enum status s = estimator_fit(&set, rec, rows, rec->n_rows, &est, &err);
    if (s)
        print_message("%s\n", err.msg);
    assert_int_equal(s, OK);
    free(rows);
    return est;
}

static void test_names(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    for (size_t i = 0; i < N_ESTIMATORS; i++) {
        enum estimator_kind kind;
        assert_int_equal(estimator_kind_of(estimator_names[i], &kind, &err), OK);
        assert_int_equal(kind, i);
    }
    for (size_t i = 0; i < N_FOLDS_BY; i++) {
        enum folds_by by;
        assert_int_equal(folds_by_of(folds_by_names[i], &by, &err), OK);
        assert_int_equal(by, i);
    }
    enum estimator_kind kind;
    enum folds_by by;
    assert_int_equal(estimator_kind_of("forest", &kind, &err), E_ARG);
    assert_non_null(strstr(err.msg, "published, ridge, metric"));
    assert_int_equal(folds_by_of("turn", &by, &err), E_ARG);
    assert_non_null(strstr(err.msg, "session, prompt, scene"));
}

static void test_refusals(void **state)
{
    (void)state;
    struct scored_case c;
    struct estimator_settings set = estimator_defaults();
    struct estimator *est;
    struct error err = ERROR_INIT;
    scored_make(&c, 2, 3, NULL, 0);
    size_t *rows = all_rows(c.rec);
    set.k = KNN_MAX_K + 1;
    assert_int_equal(estimator_fit(&set, c.rec, rows, 8, &est, &err), E_ARG);
    set = estimator_defaults();
    set.alpha = 0;
    assert_int_equal(estimator_fit(&set, c.rec, rows, 8, &est, &err), E_ARG);
    set.alpha = NAN;
    assert_int_equal(estimator_fit(&set, c.rec, rows, 8, &est, &err), E_ARG);
    set = estimator_defaults();
    set.n_folds = 1;
    assert_int_equal(estimator_fit(&set, c.rec, rows, 8, &est, &err), E_ARG);
    set = estimator_defaults();
    assert_int_equal(estimator_fit(&set, c.rec, rows, 4, &est, &err), E_DATA);
    assert_non_null(strstr(err.msg, "4 scored turns"));
    for (size_t kind = 0; kind < N_ESTIMATORS; kind++) {
        set.kind = (enum estimator_kind)kind;
        assert_int_equal(estimator_fit(&set, c.rec, rows, 0, &est, &err), E_DATA);
        assert_null(est);
    }
    estimator_free(NULL);
    free(rows);
    scored_release(&c);
}

/* All actions at once are each action alone, and their supports make sense. */
static void check_world(const struct recorded *rec, enum estimator_kind kind)
{
    struct estimator *est = fit(rec, kind);
    size_t n_actions = rec->space.n_actions;
    double *by_action = malloc(n_actions * sizeof *by_action);
    assert_non_null(by_action);
    assert_int_equal(estimator_n_rows(est), rec->n_rows);
    for (size_t t = 0; t < rec->n_turns; t += 7) {
        struct estimator_query query = estimator_query_of(rec, t);
        estimator_values(est, &query, by_action);
        for (size_t a = 0; a < n_actions; a++) {
            struct estimator_support support;
            assert_true(isfinite(by_action[a]));
            assert_true(by_action[a] == estimator_value(est, &query, a));
            estimator_support(est, &query, a, &support);
            assert_true(support.nearest >= 0);
            assert_true(!support.n_exact || support.nearest == 0);
            assert_true(support.n_exact <= rec->n_rows);
        }
    }
    for (size_t i = 0; i < rec->n_rows; i += 5) { // a row always matches itself
        struct estimator_query query = estimator_query_of(rec, rec->rows[i].turn);
        struct estimator_support support;
        estimator_support(est, &query, (size_t)rec->rows[i].action, &support);
        assert_true(support.n_exact >= 1 && support.nearest == 0);
    }
    free(by_action);
    estimator_free(est);
}

static void test_every_kind(void **state)
{
    (void)state;
    struct world w;
    world_make(&w, &(struct world_shape) { 3, 3, 4, 30, 6 }, 9);
    for (size_t kind = 0; kind < N_ESTIMATORS; kind++)
        check_world(w.rec, (enum estimator_kind)kind);
    world_release(&w);
}

static void test_explanations(void **state)
{
    (void)state;
    static const enum estimator_kind kinds[] = { ESTIMATOR_PUBLISHED, ESTIMATOR_METRIC };
    struct world w;
    struct knn_neighbours near;
    struct error err = ERROR_INIT;
    world_make(&w, &(struct world_shape) { 2, 2, 3, 30, 5 }, 10);
    const struct recorded *rec = w.rec;
    for (size_t k = 0; k < 2; k++) {
        struct estimator *est = fit(rec, kinds[k]);
        for (size_t t = 0; t < rec->n_turns; t += 5) {
            struct estimator_query query = estimator_query_of(rec, t);
            size_t action = t % rec->space.n_actions;
            assert_int_equal(estimator_explain(est, &query, action, &near, &err), OK);
            NEAR(near.estimate, estimator_value(est, &query, action));
            double sum = near.base;
            for (size_t i = 0; i < near.n; i++) {
                NEAR(near.all[i].score, rec->rows[near.all[i].row].score);
                assert_true(!i || near.all[i].distance >= near.all[i - 1].distance);
                sum += near.all[i].weight * near.all[i].score;
            }
            NEAR(sum, near.estimate);
            knn_neighbours_release(&near);
        }
        estimator_free(est);
    }
    struct estimator *est = fit(rec, ESTIMATOR_RIDGE);
    struct estimator_query query = estimator_query_of(rec, 0);
    assert_int_equal(estimator_explain(est, &query, 0, &near, &err), E_ARG);
    estimator_free(est);
    world_release(&w);
}

static void test_means(void **state)
{
    (void)state;
    struct scored_case c;
    scored_make(&c, 20, 4, NULL, 0);
    c.noise_sd = 1;
    scored_draw(&c, 1, 1);
    double sums[2][2] = { { 0 } }, all = 0;
    size_t counts[2][2] = { { 0 } };
    for (size_t i = 0; i < c.rec->n_rows; i++) {
        const struct recorded_row *row = &c.rec->rows[i];
        size_t role = row->action > 0, task = (size_t)c.rec->tasks[row->turn];
        all += row->score / (double)c.rec->n_rows;
        sums[0][role] += row->score;
        counts[0][role]++;
        sums[1][task] += row->score;
        counts[1][task]++;
    }
    struct estimator *constant = fit(c.rec, ESTIMATOR_CONSTANT);
    struct estimator *role = fit(c.rec, ESTIMATOR_ROLE);
    struct estimator *task = fit(c.rec, ESTIMATOR_TASK);
    for (size_t i = 0; i < 2; i++) {
        struct estimator_query query = { .task = i, .prompt = SIZE_MAX };
        struct estimator_support support;
        NEAR(estimator_value(constant, &query, 3), all);
        NEAR(estimator_value(role, &query, i), sums[0][i] / (double)counts[0][i]);
        NEAR(estimator_value(task, &query, 3), sums[1][i] / (double)counts[1][i]);
        estimator_support(task, &query, 3, &support);
        assert_int_equal(support.n_exact, counts[1][i]);
    }
    estimator_free(constant);
    estimator_free(role);
    estimator_free(task);
    scored_release(&c);
}

/* Estimates depend on no order of rows, to the bit. */
static void test_any_order(void **state)
{
    (void)state;
    struct world w;
    struct rng rng;
    world_make(&w, &(struct world_shape) { 2, 2, 3, 30, 5 }, 11);
    rng_init(&rng, 1, "test/estimator", 0);
    size_t *rows = all_rows(w.rec);
    rng_shuffle(&rng, rows, w.rec->n_rows);
    for (size_t kind = 0; kind < ESTIMATOR_CONSTANT; kind++) {
        struct estimator *a = fit(w.rec, (enum estimator_kind)kind), *b;
        struct estimator_settings set = estimator_defaults();
        set.kind = (enum estimator_kind)kind;
        assert_int_equal(estimator_fit(&set, w.rec, rows, w.rec->n_rows, &b, NULL), OK);
        for (size_t t = 0; t < w.rec->n_turns; t += 3) {
            struct estimator_query query = estimator_query_of(w.rec, t);
            for (size_t action = 0; action < w.rec->space.n_actions; action++)
                assert_true(estimator_value(a, &query, action) ==
                            estimator_value(b, &query, action));
        }
        estimator_free(a);
        estimator_free(b);
    }
    free(rows);
    world_release(&w);
}

static void test_auto_takes_what_the_data_say(void **state)
{
    (void)state;
    struct scored_case c;
    struct estimator_choice choice;
    struct estimator_settings set = estimator_defaults();
    scored_make(&c, 80, 8, NULL, 0);
    size_t *rows = all_rows(c.rec);
    set.kind = ESTIMATOR_AUTO;
    c.noise_sd = 0.4;
    scored_draw(&c, 0.8, 1);
    assert_int_equal(
        estimator_choose(&set, c.rec, rows, c.rec->n_rows, &choice, NULL), OK);
    assert_true(choice.kind == ESTIMATOR_RIDGE || choice.kind == ESTIMATOR_METRIC);
    for (size_t i = 0; i < ESTIMATOR_AUTO; i++)
        assert_true(choice.candidates[choice.kind].mse <= choice.candidates[i].mse);
    struct estimator *est = fit(c.rec, ESTIMATOR_AUTO);
    assert_int_equal(estimator_fitted(est)->kind, choice.kind);
    assert_string_equal(estimator_name(est), estimator_names[choice.kind]);
    estimator_free(est);

    // One session cannot be parted.
    struct error err = ERROR_INIT;
    assert_int_equal(estimator_choose(&set, c.rec, rows, 4, &choice, &err), E_DATA);
    assert_non_null(strstr(err.msg, "session"));
    free(rows);
    scored_release(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_every_kind),
        cmocka_unit_test(test_explanations),
        cmocka_unit_test(test_means),
        cmocka_unit_test(test_any_order),
        cmocka_unit_test(test_auto_takes_what_the_data_say),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
