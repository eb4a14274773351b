/* test_metric.c - the learned k-NN: its formula, its learning, prompts it has not seen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "m4a1/tmo/estimator.h"
#include "m4a1/tmo/metric.h"
#include "m4a1/tmo/ridge.h"
#include "tests/support/scored_case.h"

#define NEAR(a, b) assert_true(fabs((a) - (b)) <= 1e-9)

static size_t *all_rows(const struct recorded *rec)
{
    size_t *rows = malloc(rec->n_rows * sizeof *rows);
    assert_non_null(rows);
    for (size_t i = 0; i < rec->n_rows; i++)
        rows[i] = i;
    return rows;
}

static void build_samples(const struct recorded *rec, struct samples *out)
{
    size_t *rows = all_rows(rec);
    assert_int_equal(samples_build(out, rec, rows, rec->n_rows, NULL), OK);
    free(rows);
}

/* The formula of metric.h, row by row, for prompts with rows. */
static double plain_value(const struct samples *samples, const struct ridge *base,
    const struct metric_weights *w, const struct sample *x, size_t *n_exact)
{
    double above = 0, below = w->pull;
    *n_exact = 0;
    for (size_t i = 0; i < samples->n; i++) {
        const struct sample *row = &samples->all[i].x;
        if (row->prompt != x->prompt)
            continue;
        double d = w->llm * (row->llm != x->llm ? 2 : 0) +
                   w->before * (double)space_count(row->before ^ x->before) +
                   w->after * (double)space_count(row->after ^ x->after);
        above += exp(-d) * (samples->all[i].y - ridge_value(base, row));
        below += exp(-d);
        *n_exact += d == 0;
    }
    return ridge_value(base, x) + above / below;
}

static void test_formula(void **state)
{
    (void)state;
    struct scored_case c;
    struct samples samples;
    struct metric *metric;
    struct ridge *base;
    scored_make(&c, 40, 6, NULL, 0);
    c.noise_sd = 1;
    scored_draw(&c, 1, 3);
    build_samples(c.rec, &samples);
    struct metric_weights w = metric_weights_start();
    struct ridge_penalties penalties = { .prompt = w.prompt,
        .product = RIDGE_NEVER,
        .llm = 0.5,
        .task = w.task,
        .views = RIDGE_NEVER };
    assert_int_equal(ridge_fit(&samples, NULL, &penalties, &base, NULL), OK);
    assert_int_equal(metric_fit_with(&samples, NULL, &w, NULL, &metric, NULL), OK);
    for (size_t i = 0; i < samples.n; i++) {
        struct sample x = samples.all[i].x;
        size_t n_exact, expected;
        for (x.llm = 0; x.llm < 2; x.llm++) {
            NEAR(
                metric_value(metric, &x), plain_value(&samples, base, &w, &x, &expected));
            double nearest = metric_nearest(metric, &x, &n_exact);
            assert_int_equal(n_exact, expected);
            assert_true((nearest == 0) == (n_exact > 0));
        }
    }
    // A prompt that the data does not have: the base alone, and no row is near.
    struct sample x = { .prompt = SAMPLE_UNSEEN, .task = 1, .llm = 1 };
    size_t n_exact;
    NEAR(metric_value(metric, &x), ridge_value(base, &x));
    assert_true(isinf(metric_nearest(metric, &x, &n_exact)));
    metric_free(metric);
    ridge_free(base);
    samples_release(&samples);
    scored_release(&c);
}

/* Fit with the learned weights; how far off the true means of rows it is. */
static double error_of(const struct scored_case *c, struct metric **out)
{
    struct samples samples;
    build_samples(c->rec, &samples);
    assert_int_equal(metric_fit(&samples, 10, 0, out, NULL), OK);
    double sum = 0;
    for (size_t i = 0; i < samples.n; i++) {
        double off =
            metric_value(*out, &samples.all[i].x) - scored_mean(c, samples.all[i].row);
        sum += off * off / (double)samples.n;
    }
    samples_release(&samples);
    return sum;
}

static void test_learns_what_matters(void **state)
{
    (void)state;
    struct scored_case c;
    struct metric *metric;
    scored_make(&c, 250, 5, NULL, 0);
    c.noise_sd = 0.3;
    // Views matter a lot: rows with other views are put further off.
    c.view = 1.5;
    scored_draw(&c, 0.5, 4);
    assert_true(error_of(&c, &metric) < 0.02);
    assert_true(metric_learned(metric)->after > metric_weights_start().after);
    metric_free(metric);
    // They do not, and noise is all there is beside prompts: rows are pooled.
    c.view = 0;
    c.noise_sd = 2;
    scored_draw(&c, 0.5, 5);
    assert_true(error_of(&c, &metric) < 0.1);
    metric_free(metric);
    scored_release(&c);
}

/* Prompts in pairs that say the same in other words score the same. */
static void test_unseen_prompts_by_their_words(void **state)
{
    (void)state;
    enum { PROMPTS = 40 };
    static const char *const subjects[] = { "potatoes", "lights", "music", "dishes",
        "ketchup", "oven", "eggs", "neighbours", "curtains", "bicycles", "letters",
        "radiators", "guests", "cucumbers", "windows", "shelves", "parcels", "flowers",
        "towels", "batteries" };
    static char words[PROMPTS][96];
    const char *texts[PROMPTS];
    for (size_t p = 0; p < PROMPTS; p++) {
        snprintf(words[p], sizeof words[p],
            p < PROMPTS / 2 ? "please look after the %s"
                            : "would you look after my %s now",
            subjects[p % (PROMPTS / 2)]);
        texts[p] = words[p];
    }
    struct scored_case c;
    struct samples samples;
    struct metric *metric;
    scored_make(&c, 200, PROMPTS, texts, 0);
    c.noise_sd = 0.3;
    scored_draw(&c, 1, 6);
    for (size_t p = PROMPTS / 2; p < PROMPTS; p++)
        memcpy(c.truth[p], c.truth[p - PROMPTS / 2], sizeof c.truth[p]);
    struct rng rng;
    rng_init(&rng, 7, "test/metric", 0);
    for (size_t i = 0; i < c.rec->n_rows; i++)
        c.rec->rows[i].score = scored_mean(&c, i) + c.noise_sd * rng_normal(&rng);

    // Held out: prompts 0 .. 4, whose partners stay.
    size_t *rows = all_rows(c.rec), n = 0;
    for (size_t i = 0; i < c.rec->n_rows; i++)
        if (c.rec->prompts[c.rec->rows[i].turn] >= 5)
            rows[n++] = i;
    assert_int_equal(samples_build(&samples, c.rec, rows, n, NULL), OK);
    assert_int_equal(metric_fit(&samples, 10, 0, &metric, NULL), OK);
    assert_true(metric_learned(metric)->unseen < METRIC_NEVER);
    double by_words = 0, by_base = 0;
    for (uint32_t p = 0; p < 5; p++)
        for (uint32_t llm = 0; llm < 2; llm++) {
            struct sample x = { .prompt = p, .task = p % 2, .llm = llm };
            double off = metric_value(metric, &x) - c.truth[p][llm];
            x.prompt = SAMPLE_UNSEEN;
            double base = metric_value(metric, &x) - c.truth[p][llm];
            by_words += off * off / 10;
            by_base += base * base / 10;
        }
    assert_true(by_words < 0.5 * by_base);
    metric_free(metric);
    samples_release(&samples);
    free(rows);
    scored_release(&c);
}

static void test_outliers(void **state)
{
    (void)state;
    struct scored_case c;
    struct samples samples;
    struct metric *metric;
    scored_make(&c, 40, 4, NULL, 0);
    scored_draw(&c, 0, 8);
    c.rec->rows[0].score = 1000;
    build_samples(c.rec, &samples);
    struct metric_weights w = metric_weights_start();
    w.clip = 0.98;
    assert_int_equal(metric_fit_with(&samples, NULL, &w, NULL, &metric, NULL), OK);
    for (size_t i = 0; i < samples.n; i++)
        NEAR(metric_value(metric, &samples.all[i].x), 1);
    metric_free(metric);
    samples_release(&samples);
    scored_release(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_formula),
        cmocka_unit_test(test_learns_what_matters),
        cmocka_unit_test(test_unseen_prompts_by_their_words),
        cmocka_unit_test(test_outliers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
