/* test_ridge.c - ridge regression against the plain normal equations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "m4a1/tmo/cholesky.h"
#include "m4a1/tmo/ridge.h"
#include "tests/support/scored_case.h"
#include "tests/support/world_data.h"

#define NEAR(a, b) assert_true(fabs((a) - (b)) <= 1e-9)
#define MAX_COLUMNS 128

static void test_cholesky(void **state)
{
    (void)state;
    // a = l l^T with l = (2; 1 3; -1 2 1), b = a (1, 2, 3)
    double a[] = { 4, 0, 0, 2, 10, 0, -2, 5, 6 }, b[3];
    const double l[] = { 2, 1, 3, -1, 2, 1 };
    const double x[] = { 1, 2, 3 };
    const double full[3][3] = { { 4, 2, -2 }, { 2, 10, 5 }, { -2, 5, 6 } };
    for (size_t i = 0; i < 3; i++)
        b[i] = full[i][0] * x[0] + full[i][1] * x[1] + full[i][2] * x[2];
    assert_int_equal(cholesky_factor(a, 3), 0);
    for (size_t i = 0, at = 0; i < 3; i++)
        for (size_t j = 0; j <= i; j++)
            NEAR(a[i * 3 + j], l[at++]);
    cholesky_solve(a, 3, b);
    for (size_t i = 0; i < 3; i++)
        NEAR(b[i], x[i]);
    double bad[] = { 1, 0, 2, 1 };
    assert_int_equal(cholesky_factor(bad, 2), -1);
}

/* All columns of a row in one vector, as ridge.h tells them; returns their number. */
static size_t columns_of(const struct recorded *rec, const struct sample *x, double *row)
{
    size_t m = rec->space.n_llms, p = rec->n_prompts, n_llm = m == 2 ? 1 : m;
    size_t n = 2 + n_llm + rec->space.n_tasks + p * (1 + n_llm);
    assert_true(n <= MAX_COLUMNS);
    memset(row, 0, n * sizeof *row);
    double *llm = row + 1, *task = llm + n_llm, *views = task + rec->space.n_tasks;
    double *prompt = views + 1, *product = prompt + p;
    int has = m > 2 || x->llm == 1;
    size_t column = m == 2 ? 0 : x->llm;
    row[0] = 1;
    task[x->task] = 1;
    *views = (double)space_count(x->shown);
    prompt[x->prompt] = 1;
    if (has) {
        llm[column] = 1;
        product[x->prompt * n_llm + column] = 1;
    }
    return n;
}

/* X^T X + penalties, by elimination of the whole. */
static void check_against_dense(const struct samples *samples, double alpha)
{
    static double a[MAX_COLUMNS * MAX_COLUMNS], b[MAX_COLUMNS], row[MAX_COLUMNS];
    const struct recorded *rec = samples->rec;
    size_t n = columns_of(rec, &samples->all[0].x, row);
    size_t n_llm = rec->space.n_llms == 2 ? 1 : rec->space.n_llms;
    memset(a, 0, sizeof a);
    memset(b, 0, sizeof b);
    for (size_t s = 0; s < samples->n; s++) {
        columns_of(rec, &samples->all[s].x, row);
        for (size_t i = 0; i < n; i++) {
            b[i] += row[i] * samples->all[s].y;
            for (size_t j = 0; j < n; j++)
                a[i * n + j] += row[i] * row[j];
        }
    }
    for (size_t i = 1; i < n; i++) {
        int is_task = i > n_llm && i <= n_llm + rec->space.n_tasks;
        a[i * n + i] += is_task ? 10 * alpha : alpha;
    }
    assert_int_equal(cholesky_factor(a, n), 0);
    cholesky_solve(a, n, b);

    struct ridge *ridge;
    struct ridge_penalties penalties = ridge_uniform(alpha);
    assert_int_equal(ridge_fit(samples, NULL, &penalties, &ridge, NULL), OK);
    for (size_t s = 0; s < samples->n; s++) {
        double expected = 0;
        columns_of(rec, &samples->all[s].x, row);
        for (size_t i = 0; i < n; i++)
            expected += row[i] * b[i];
        NEAR(ridge_value(ridge, &samples->all[s].x), expected);
    }
    ridge_free(ridge);
}

static void all_samples(const struct recorded *rec, struct samples *out)
{
    size_t *rows = malloc(rec->n_rows * sizeof *rows);
    assert_non_null(rows);
    for (size_t i = 0; i < rec->n_rows; i++)
        rows[i] = i;
    assert_int_equal(samples_build(out, rec, rows, rec->n_rows, NULL), OK);
    free(rows);
}

static void test_two_llms(void **state)
{
    (void)state;
    struct scored_case c;
    struct samples samples;
    scored_make(&c, 30, 7, NULL, 0);
    c.view = 0.2;
    c.noise_sd = 0.5;
    scored_draw(&c, 0.7, 1);
    all_samples(c.rec, &samples);
    check_against_dense(&samples, 1);
    check_against_dense(&samples, 0.01);
    check_against_dense(&samples, 100);
    samples_release(&samples);
    scored_release(&c);
}

static void test_many_llms(void **state)
{
    (void)state;
    struct world w;
    struct samples samples;
    world_make(&w, &(struct world_shape) { 4, 2, 3, 40, 6 }, 5);
    all_samples(w.rec, &samples);
    assert_int_equal(w.rec->space.n_llms, 5);
    check_against_dense(&samples, 1);
    samples_release(&samples);
    world_release(&w);
}

static void test_unseen_prompt(void **state)
{
    (void)state;
    struct scored_case c;
    struct samples samples;
    struct ridge *ridge;
    scored_make(&c, 300, 60, NULL, 0);
    // Task a (even prompts) scores 1 more, the cloud llm 2 more.
    scored_draw(&c, 0, 2);
    for (size_t p = 0; p < 60; p++)
        for (size_t cloud = 0; cloud < 2; cloud++)
            c.truth[p][cloud] = (p % 2 ? 0 : 1) + 2 * (double)cloud;
    for (size_t i = 0; i < c.rec->n_rows; i++)
        c.rec->rows[i].score = scored_mean(&c, i);
    all_samples(c.rec, &samples);
    unsigned char *use = malloc(samples.n);
    assert_non_null(use);
    for (size_t i = 0; i < samples.n; i++)
        use[i] = samples.all[i].x.prompt != 4;
    struct ridge_penalties penalties = ridge_uniform(0.01);
    assert_int_equal(ridge_fit(&samples, use, &penalties, &ridge, NULL), OK);
    // A prompt without rows, and one that the data does not have: llm and task tell.  The
    // task's effect is shared with the 30 prompts that have it, 0.75 to 0.25 by penalties.
    struct sample x = { .prompt = 4, .task = 0, .llm = 1 }, y = x;
    y.prompt = SAMPLE_UNSEEN;
    NEAR(ridge_value(ridge, &x), ridge_value(ridge, &y));
    y.task = 1;
    double by_task = ridge_value(ridge, &x) - ridge_value(ridge, &y);
    assert_true(fabs(by_task - 0.75) < 0.02);
    y = x;
    y.llm = 0;
    assert_true(fabs(ridge_value(ridge, &x) - ridge_value(ridge, &y) - 2) < 0.05);
    ridge_free(ridge);
    free(use);
    samples_release(&samples);
    scored_release(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cholesky),
        cmocka_unit_test(test_two_llms),
        cmocka_unit_test(test_many_llms),
        cmocka_unit_test(test_unseen_prompt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
