/* test_cross_validation.c - held-out errors: folds, figures, the authors' measurements, and
 * intervals held against known truth. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "m4a1/tmo/cross_validation.h"
#include "tests/support/scored_case.h"
#include "tests/support/tmo_data.h"

#define NEAR(a, b) assert_true(fabs((a) - (b)) <= 1e-9)

static int is_long(void)
{
    const char *text = getenv("M4A1_LONG");
    return text && *text && strcmp(text, "0") != 0;
}

static size_t *all_rows(const struct recorded *rec)
{
    size_t *rows = malloc(rec->n_rows * sizeof *rows);
    assert_non_null(rows);
    for (size_t i = 0; i < rec->n_rows; i++)
        rows[i] = i;
    return rows;
}

static struct cross_validation run(const struct recorded *rec, const size_t *sessions,
    size_t n, const struct estimator_settings *est,
    const struct cross_validation_settings *set)
{
    struct cross_validation out;
    struct error err = ERROR_INIT;
    enum status s = cross_validation_run(rec, sessions, n, est, set, &out, &err);
    if (s)
        print_message("%s\n", err.msg);
    assert_int_equal(s, OK);
    return out;
}

/* --- folds --- */

static void check_folds(
    const struct recorded *rec, enum folds_by by, size_t n_folds, size_t n_groups)
{
    struct folds a, b;
    size_t *rows = all_rows(rec), n = rec->n_rows;
    assert_int_equal(folds_draw(rec, rows, n, by, n_folds, 3, &a, NULL), OK);
    assert_int_equal(folds_draw(rec, rows, n, by, n_folds, 3, &b, NULL), OK);
    assert_int_equal(a.n_groups, n_groups);
    assert_int_equal(a.n_folds, n_folds < n_groups ? n_folds : n_groups);
    size_t groups_in[16] = { 0 }, fold_of[128];
    memset(fold_of, 0xff, sizeof fold_of);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(a.folds[i], b.folds[i]); // one seed, one draw
        assert_true(a.groups[i] < n_groups && a.folds[i] < a.n_folds);
        if (fold_of[a.groups[i]] == SIZE_MAX)
            groups_in[a.folds[i]]++;
        else
            assert_int_equal(fold_of[a.groups[i]], a.folds[i]); // groups stay together
        fold_of[a.groups[i]] = a.folds[i];
    }
    for (size_t f = 0; f < a.n_folds; f++) // dealt out evenly
        assert_true(groups_in[f] == n_groups / a.n_folds ||
                    groups_in[f] == n_groups / a.n_folds + 1);
    folds_release(&a);
    folds_release(&b);
    free(rows);
}

static void test_folds(void **state)
{
    (void)state;
    struct scored_case c;
    struct folds f;
    struct error err = ERROR_INIT;
    scored_make(&c, 23, 6, NULL, 1);
    check_folds(c.rec, FOLDS_SESSION, 10, 23);
    check_folds(c.rec, FOLDS_PROMPT, 4, 6);
    check_folds(c.rec, FOLDS_PROMPT, 10, 6);
    check_folds(c.rec, FOLDS_SCENE, 5, 12); // two sessions a scene
    size_t *rows = all_rows(c.rec);
    assert_int_equal(folds_draw(c.rec, rows, 4, FOLDS_SESSION, 10, 0, &f, &err), E_DATA);
    assert_int_equal(
        folds_draw(c.rec, rows, c.rec->n_rows, FOLDS_SESSION, 1, 0, &f, &err), E_DATA);
    free(rows);
    scored_release(&c);
}

/* --- figures --- */

static void test_clustered_mean(void **state)
{
    (void)state;
    // Sums of groups less the mean 3: -3, 0, 3.
    const double x[] = { 1, 2, 3, 3, 4, 5 };
    const size_t groups[] = { 0, 0, 1, 1, 2, 2 };
    struct clustered_mean m;
    assert_int_equal(clustered_mean(x, groups, 6, 3, &m, NULL), OK);
    NEAR(m.mean, 3);
    NEAR(m.se, sqrt(3.0 / 2 * 18) / 6);
    NEAR(m.shift, 0); // symmetric
}

/* Perfect estimates: scores are the truth, and alpha takes nothing. */
static void test_perfect_and_hopeless(void **state)
{
    (void)state;
    struct scored_case c;
    struct estimator_settings est = estimator_defaults();
    struct cross_validation_settings set = cross_validation_defaults();
    scored_make(&c, 60, 5, NULL, 1);
    scored_draw(&c, 1, 1);
    est.kind = ESTIMATOR_RIDGE;
    est.alpha = 1e-9;
    struct cross_validation cv = run(c.rec, c.sessions, 60, &est, &set);
    assert_int_equal(cv.n_rows, 480);
    assert_int_equal(cv.n_groups, 60);
    assert_true(cv.mse < 1e-6 && cv.mae < 1e-3);
    assert_true(cv.pearson > 0.9999 && cv.gain > 0.9999);
    assert_true(fabs(cv.slope - 1) < 1e-3);
    // Both llms answered every turn, and the better one is always known.
    assert_int_equal(cv.n_measured_turns, 240);
    NEAR(cv.best_share, 1);
    NEAR(cv.chance_share, 0.5);
    NEAR(cv.regret, 0);

    est.kind = ESTIMATOR_CONSTANT;
    cv = run(c.rec, c.sessions, 60, &est, &set);
    NEAR(cv.gain, 0);
    NEAR(cv.mse, cv.constant_mse);
    NEAR(cv.best_share, 0.5); // ties share the choice
    assert_true(cv.regret > 0.1);
    assert_int_equal(cv.by_support[SUPPORT_MANY].n, 480 * set.n_repeats);
    assert_true(isnan(cv.by_support[SUPPORT_NONE].mse));

    set.n_repeats = 0;
    struct error err = ERROR_INIT;
    assert_int_equal(
        cross_validation_run(c.rec, c.sessions, 60, &est, &set, &cv, &err), E_ARG);
    scored_release(&c);
}

/* --- the public data --- */

static struct recorded *published_data(struct dataset **data)
{
    struct recorded *rec;
    *data = golden_dataset();
    if (!*data) {
        print_message("no shared data/m4a1_public.json\n");
        skip();
    }
    struct recorded_settings set = recorded_published(0, 1, 5);
    assert_int_equal(recorded_build(*data, &set, &rec, NULL), OK);
    return rec;
}

static size_t row_of(const struct recorded *rec, const struct json *pair)
{
    size_t session = recorded_find(rec, json_int(json_at(pair, 0), -1));
    assert_true(session != SIZE_MAX);
    size_t turn = rec->sessions[session].first + (size_t)json_int(json_at(pair, 1), 0);
    for (size_t i = 0; i < rec->n_path_rows; i++)
        if (rec->rows[i].turn == turn)
            return i;
    fail_msg("a golden row is not there");
    return SIZE_MAX;
}

/* Estimates of the authors' held-out rows by one estimator; their mean squared error. */
static double check_holdout(const struct recorded *rec, const struct json *golden,
    const struct estimator_settings *set, const struct json *expected)
{
    const struct json *test = json_get(golden, "test"),
                      *pred = json_get(expected, "pred");
    size_t *rows = all_rows(rec), n = rec->n_rows, n_test = json_size(test), n_untied = 0;
    for (size_t i = 0; i < n_test; i++)
        rows[row_of(rec, json_at(test, i))] = SIZE_MAX;
    size_t n_train = 0;
    for (size_t i = 0; i < n; i++)
        if (rows[i] != SIZE_MAX)
            rows[n_train++] = rows[i];
    struct estimator *est;
    assert_int_equal(estimator_fit(set, rec, rows, n_train, &est, NULL), OK);
    double mse = 0;
    for (size_t i = 0; i < n_test; i++) {
        const struct recorded_row *row = &rec->rows[row_of(rec, json_at(test, i))];
        struct estimator_query query = estimator_query_of(rec, row->turn);
        double estimate = estimator_value(est, &query, (size_t)row->action);
        mse += (estimate - row->score) * (estimate - row->score) / (double)n_test;
        NEAR(row->score, json_number(json_at(json_get(golden, "truth"), i), NAN));
        if (!pred)
            continue;
        struct knn_neighbours near;
        double theirs = json_number(json_at(pred, i), NAN);
        assert_int_equal(
            estimator_explain(est, &query, (size_t)row->action, &near, NULL), OK);
        assert_true(theirs > near.least - 1e-9 && theirs < near.greatest + 1e-9);
        if (near.n_taken == near.n_at_last) {
            NEAR(theirs, estimate);
            n_untied++;
        }
        knn_neighbours_release(&near);
    }
    assert_true(!pred || n_untied > 0);
    estimator_free(est);
    free(rows);
    return mse;
}

static void test_golden_holdout(void **state)
{
    (void)state;
    struct dataset *data;
    struct recorded *rec = published_data(&data);
    struct json *file = golden_json("golden/tmo/knn_validation.json");
    if (!file) {
        recorded_free(rec);
        dataset_free(data);
        skip();
    }
    const struct json *golden = json_get(file, "holdout_seed0");
    static const size_t ks[] = { 1, 3, 5, 10 };
    static const char *const names[] = { "k1", "k3", "k5", "k10" };
    struct estimator_settings set = estimator_defaults();
    for (size_t i = 0; i < 4; i++) {
        set.k = ks[i];
        check_holdout(rec, golden, &set, json_get(golden, names[i]));
    }
    const struct json *mean = json_get(golden, "mean_baseline");
    set.kind = ESTIMATOR_CONSTANT;
    NEAR(check_holdout(rec, golden, &set, mean), json_number(json_get(mean, "mse"), NAN));
    const struct json *role = json_get(golden, "action_mean_baseline");
    set.kind = ESTIMATOR_ROLE;
    NEAR(check_holdout(rec, golden, &set, role), json_number(json_get(role, "mse"), NAN));
    json_free(file);
    recorded_free(rec);
    dataset_free(data);
}

/* The squared error that is to be expected where k rows are drawn from those that tie, as
 * the authors' tree does: that of the mean estimate, and the variance of the draw. */
static double error_of_drawn_ties(const struct estimator *est, const struct recorded *rec,
    const struct recorded_row *row)
{
    struct estimator_query query = estimator_query_of(rec, row->turn);
    struct knn_neighbours near;
    assert_int_equal(
        estimator_explain(est, &query, (size_t)row->action, &near, NULL), OK);
    const struct knn_neighbour *tied = near.all + near.n - near.n_at_last;
    double n = (double)near.n_at_last, taken = (double)near.n_taken, mean = 0, spread = 0;
    for (size_t i = 0; i < near.n_at_last; i++)
        mean += tied[i].score / n;
    for (size_t i = 0; i < near.n_at_last; i++)
        spread += (tied[i].score - mean) * (tied[i].score - mean) / n;
    double weight = tied[0].weight / tied[0].places; // of a whole place
    double draws = n > 1 ? taken * spread * (n - taken) / (n - 1) : 0;
    double off = near.estimate - row->score;
    knn_neighbours_release(&near);
    return off * off + weight * weight * draws;
}

static double drawn_ties(
    const struct recorded *rec, const size_t *rows, size_t n, size_t k)
{
    enum { REPEATS = 20 };
    struct estimator_settings set = estimator_defaults();
    size_t *train = malloc(n * sizeof *train);
    double sum = 0;
    assert_non_null(train);
    set.k = k;
    for (uint64_t seed = 0; seed < REPEATS; seed++) {
        struct folds f;
        assert_int_equal(folds_draw(rec, rows, n, FOLDS_SESSION, 10, seed, &f, NULL), OK);
        for (size_t fold = 0; fold < 10; fold++) {
            size_t n_train = 0;
            struct estimator *est;
            for (size_t i = 0; i < n; i++)
                if (f.folds[i] != fold)
                    train[n_train++] = rows[i];
            assert_int_equal(estimator_fit(&set, rec, train, n_train, &est, NULL), OK);
            for (size_t i = 0; i < n; i++)
                if (f.folds[i] == fold)
                    sum += error_of_drawn_ties(est, rec, &rec->rows[rows[i]]);
            estimator_free(est);
        }
        folds_release(&f);
    }
    free(train);
    return sum / REPEATS / (double)n;
}

/* The figures of the goldens' README: ten folds by session, others than ours, and ties
 * broken as their tree happens to. */
static void test_authors_figures(void **state)
{
    (void)state;
    struct dataset *data;
    struct recorded *rec = published_data(&data);
    size_t *rows = all_rows(rec);
    static const size_t ks[] = { 1, 3, 5, 10 };
    static const double theirs[] = { 1.755, 1.307, 1.239, 1.169 };
    for (size_t i = 0; i < 4; i++) {
        double ours = drawn_ties(rec, rows, rec->n_rows, ks[i]);
        print_message(
            "k %zu: mean squared error %.3f, theirs %.3f\n", ks[i], ours, theirs[i]);
        assert_true(fabs(ours - theirs[i]) < 0.1);
    }
    free(rows);
    recorded_free(rec);
    dataset_free(data);
}

/* What the estimators reach, ten folds by session and by prompt. */
static void test_public_data(void **state)
{
    (void)state;
    struct dataset *data;
    struct recorded *rec = published_data(&data);
    size_t *sessions = all_rows(rec), n = rec->n_sessions;
    struct estimator_settings est = estimator_defaults();
    struct cross_validation_settings set = cross_validation_defaults();
    set.quick = 1;
    double mse[ESTIMATOR_AUTO], by_prompt[ESTIMATOR_AUTO];
    struct cross_validation cv;
    for (size_t kind = 0; kind < ESTIMATOR_AUTO; kind++) {
        est.kind = (enum estimator_kind)kind;
        set.by = FOLDS_SESSION;
        cv = run(rec, sessions, n, &est, &set);
        mse[kind] = cv.mse;
        if (kind == ESTIMATOR_METRIC)
            assert_true(cv.pearson > 0.6 && fabs(cv.slope - 1) < 0.15);
        set.by = FOLDS_PROMPT;
        by_prompt[kind] = run(rec, sessions, n, &est, &set).mse;
    }
    assert_true(fabs(mse[ESTIMATOR_CONSTANT] - 0.937) < 0.01);
    assert_true(fabs(mse[ESTIMATOR_ROLE] - 0.850) < 0.015);
    assert_true(mse[ESTIMATOR_RIDGE] < 0.60);
    assert_true(mse[ESTIMATOR_METRIC] < mse[ESTIMATOR_RIDGE]);
    assert_true(by_prompt[ESTIMATOR_METRIC] < by_prompt[ESTIMATOR_TASK]);
    free(sessions);
    recorded_free(rec);
    dataset_free(data);
}

/* --- known truth --- */

/* The true error of what is fitted on the first n sessions: of fresh scores of the
 * sessions behind them. */
static double true_error(
    const struct scored_case *c, size_t n, const struct estimator_settings *set)
{
    size_t *train, *test, n_train, n_test;
    struct estimator *est;
    assert_int_equal(
        estimator_rows_of(c->rec, c->sessions, n, 1, &train, &n_train, NULL), OK);
    assert_int_equal(estimator_rows_of(c->rec, c->sessions + n, c->rec->n_sessions - n, 1,
                         &test, &n_test, NULL),
        OK);
    assert_int_equal(estimator_fit(set, c->rec, train, n_train, &est, NULL), OK);
    double error = c->session_sd * c->session_sd + c->noise_sd * c->noise_sd;
    for (size_t i = 0; i < n_test; i++) {
        const struct recorded_row *row = &c->rec->rows[test[i]];
        struct estimator_query query = estimator_query_of(c->rec, row->turn);
        double off =
            estimator_value(est, &query, (size_t)row->action) - scored_mean(c, test[i]);
        error += off * off / (double)n_test;
    }
    estimator_free(est);
    free(train);
    free(test);
    return error;
}

/* How often the interval covers the true error, in n_sets data sets of 60 sessions. */
static double coverage(enum estimator_kind kind, size_t n_sets)
{
    enum { SESSIONS = 60, BEHIND = 200 };
    struct scored_case c;
    struct estimator_settings est = estimator_defaults();
    struct cross_validation_settings set = cross_validation_defaults();
    size_t covered = 0;
    est.kind = kind;
    set.n_repeats = 1;
    scored_make(&c, SESSIONS + BEHIND, 10, NULL, 0);
    c.session_sd = 0.3;
    c.noise_sd = 0.5;
    for (size_t s = 0; s < n_sets; s++) {
        scored_draw(&c, 0.4, s);
        struct cross_validation cv = run(c.rec, c.sessions, SESSIONS, &est, &set);
        double truth = true_error(&c, SESSIONS, &est);
        covered += truth >= cv.mse_low && truth <= cv.mse_high;
    }
    scored_release(&c);
    return (double)covered / (double)n_sets;
}

static void test_intervals_cover_the_truth(void **state)
{
    (void)state;
    static const enum estimator_kind kinds[] = { ESTIMATOR_RIDGE, ESTIMATOR_PUBLISHED,
        ESTIMATOR_ROLE, ESTIMATOR_METRIC };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        // The metric learns its weights in each of 56 fits a data set.
        size_t n_sets = is_long() ? 1000 : kinds[i] == ESTIMATOR_METRIC ? 5 : 200;
        double share = coverage(kinds[i], n_sets);
        print_message("%s: 95 %% intervals cover the true error in %.1f %% of %zu data "
                      "sets\n",
            estimator_names[kinds[i]], 100 * share, n_sets);
        double slack = n_sets == 1000 ? 0 : 2.6 * sqrt(0.05 * 0.95 / (double)n_sets);
        assert_true(share >= 0.93 - slack && share <= 0.97 + slack);
    }
}

/* Scores that nothing explains: auto takes the constant, and nobody shows a gain. */
static void test_pure_noise(void **state)
{
    (void)state;
    enum { SESSIONS = 60 };
    size_t n_sets = is_long() ? 1000 : 20, n_constant = 0, n_gains = 0;
    struct scored_case c;
    struct estimator_settings est = estimator_defaults();
    struct cross_validation_settings set = cross_validation_defaults();
    double gain = 0;
    set.n_repeats = 1;
    set.quick = 1;
    scored_make(&c, SESSIONS, 10, NULL, 0);
    c.noise_sd = 0.6;
    size_t *rows = all_rows(c.rec);
    for (size_t s = 0; s < n_sets; s++) {
        struct estimator *fitted;
        scored_draw(&c, 0, s);
        est.kind = ESTIMATOR_AUTO;
        assert_int_equal(
            estimator_fit(&est, c.rec, rows, c.rec->n_rows, &fitted, NULL), OK);
        n_constant += estimator_fitted(fitted)->kind == ESTIMATOR_CONSTANT;
        estimator_free(fitted);
        est.kind = ESTIMATOR_METRIC;
        struct cross_validation cv = run(c.rec, c.sessions, SESSIONS, &est, &set);
        n_gains += cv.gain_low > 0;
        gain += cv.gain / (double)n_sets;
    }
    print_message(
        "pure noise, %zu data sets: auto takes the constant in %zu; the metric's "
        "gain is above 0 in %zu, its mean %.4f\n",
        n_sets, n_constant, n_gains, gain);
    assert_true((double)n_constant >= 0.93 * (double)n_sets);
    assert_true((double)n_gains <= 0.05 * (double)n_sets && gain < 0);
    free(rows);
    scored_release(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_folds),
        cmocka_unit_test(test_clustered_mean),
        cmocka_unit_test(test_perfect_and_hopeless),
        cmocka_unit_test(test_golden_holdout),
        cmocka_unit_test(test_authors_figures),
        cmocka_unit_test(test_public_data),
        cmocka_unit_test(test_intervals_cover_the_truth),
        cmocka_unit_test(test_pure_noise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
