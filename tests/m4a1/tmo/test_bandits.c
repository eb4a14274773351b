/* test_bandits.c - bandits on rewards that are known: they find the best arm of each task,
 * explore as their parameter says, and their regressions are ridge regressions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "m4a1/tmo/baselines.h"
#include "m4a1/tmo/stream.h"
#include "tests/support/tmo_data.h"

#define A 5

struct world {
    struct dataset *data;
    struct recorded *rec;
    struct environment *env;
};

/* Sessions of one turn, in which every action of every task was seen: task a is best
 * answered locally, task b in the cloud. */
static struct world open_world(void)
{
    static const double score[2][2] = { { 2, 1 }, { 0, 3 } };
    static const size_t train[16] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14,
        15 };
    struct world w;
    struct recorded_settings how = recorded_published(0, 1, 1);
    struct environment_settings set = environment_published();
    set.estimator.k = 1;
    w.data = simple_dataset(20, 1, score);
    assert_int_equal(recorded_build(w.data, &how, &w.rec, NULL), OK);
    assert_int_equal(environment_new(w.rec, &set, train, 16, &w.env, NULL), OK);
    return w;
}

static void close_world(struct world *w)
{
    environment_free(w->env);
    recorded_free(w->rec);
    dataset_free(w->data);
}

static struct baseline make(
    const struct world *w, const char *name, int64_t steps, double explore)
{
    struct baseline b;
    struct baseline_settings set = baseline_defaults();
    set.steps = steps;
    set.explore = explore;
    set.seed = 4;
    assert_int_equal(baseline_make(w->env, name, &set, &b, NULL), OK);
    return b;
}

static size_t choice(const struct baseline *b, const struct episode *ep)
{
    double p[A];
    b->chooser.weigh(b->chooser.arg, ep, p);
    for (size_t a = 0; a < A; a++)
        if (p[a] > 0) {
            assert_true(p[a] == 1);
            return a;
        }
    fail();
    return 0;
}

static void test_finds_the_best_arms(void **state)
{
    (void)state;
    static const char *const names[] = { "epsilon-greedy", "ucb", "linucb", "thompson" };
    struct world w = open_world();
    for (size_t i = 0; i < 4; i++) {
        struct baseline b = make(&w, names[i], 4000, 0);
        for (size_t session = 0; session < 20; session++) {
            struct episode ep;
            struct outcome outcome;
            episode_start(&ep, w.env, RULES_MODEL, session);
            while (!ep.done) {
                size_t task = (size_t)w.rec->tasks[ep.first + ep.turn];
                assert_int_equal(choice(&b, &ep) > 0, task);
                episode_step(&ep, choice(&b, &ep), &outcome);
            }
        }
        baseline_release(&b);
    }
    close_world(&w);
}

/* UCB1 on its own, over the same stream: after few steps, while the bounds still matter,
 * the arms of the greatest mean are the same. */
static void test_is_ucb1(void **state)
{
    (void)state;
    struct world w = open_world();
    for (int64_t steps = 10; steps <= 40; steps++) {
        struct baseline b = make(&w, "ucb", steps, 0.7);
        struct stream stream;
        double sums[2][A] = { { 0 } }, counts[2][A] = { { 0 } };
        stream_init(&stream, w.env, 4);
        for (int64_t i = 0; i < steps; i++) {
            const struct episode *ep = &stream.episode;
            size_t task = (size_t)w.rec->tasks[ep->first + ep->turn], arm = 0;
            double n = 0, greatest = -INFINITY, reward;
            for (size_t a = 0; a < A; a++)
                n += counts[task][a];
            for (size_t a = 0; a < A; a++) {
                double k = counts[task][a];
                double bound =
                    k > 0 ? sums[task][a] / k + 0.7 * sqrt(2 * log(n) / k) : INFINITY;
                arm = bound > greatest ? a : arm;
                greatest = fmax(greatest, bound);
            }
            stream_step(&stream, arm, &reward);
            sums[task][arm] += reward;
            counts[task][arm]++;
        }
        stream_release(&stream);
        for (size_t session = 0; session < 20; session++) {
            struct episode ep;
            episode_start(&ep, w.env, RULES_MODEL, session);
            size_t task = (size_t)w.rec->tasks[ep.first], best = 0;
            for (size_t a = 1; a < A; a++)
                if (counts[task][a] > 0 && sums[task][a] / counts[task][a] >
                                               sums[task][best] / counts[task][best])
                    best = a;
            assert_int_equal(choice(&b, &ep), best);
        }
        baseline_release(&b);
    }
    close_world(&w);
}

/* Solve m x = y by elimination with pivots; m and y are used up. */
static void solve(size_t d, double m[][32], double *y)
{
    for (size_t c = 0; c < d; c++) {
        size_t pivot = c;
        for (size_t r = c + 1; r < d; r++)
            pivot = fabs(m[r][c]) > fabs(m[pivot][c]) ? r : pivot;
        for (size_t k = 0; k < d; k++) {
            double keep = m[c][k];
            m[c][k] = m[pivot][k];
            m[pivot][k] = keep;
        }
        double keep = y[c];
        y[c] = y[pivot];
        y[pivot] = keep;
        for (size_t r = 0; r < d; r++) {
            double by = r == c ? 0 : m[r][c] / m[c][c];
            for (size_t k = 0; k < d; k++)
                m[r][k] -= by * m[c][k];
            y[r] -= by * y[c];
        }
    }
    for (size_t c = 0; c < d; c++)
        y[c] /= m[c][c];
}

/* An epsilon of 1 draws every arm from a known stream, so its data can be gathered again
 * and regressed at once: the same greatest mean everywhere. */
static void test_is_ridge_regression(void **state)
{
    (void)state;
    enum { STEPS = 600 };
    struct world w = open_world();
    size_t d = w.env->n_features + 1;
    assert_true(d <= 32);
    struct baseline b = make(&w, "epsilon-greedy", STEPS, 1);

    static double m[A][32][32], y[A][32];
    struct stream stream;
    struct rng rng;
    memset(m, 0, sizeof m);
    memset(y, 0, sizeof y);
    for (size_t a = 0; a < A; a++)
        for (size_t i = 0; i < d; i++)
            m[a][i][i] = 1;
    rng_init(&rng, 4, "bandit/epsilon", 0);
    stream_init(&stream, w.env, 4);
    for (size_t step = 0; step < STEPS; step++) {
        double x[32] = { 1 }, reward, greatest = -1;
        size_t arm = 0;
        stream_observe(&stream, x + 1);
        (void)rng_uniform(&rng); // below 1: explore
        for (size_t a = 0; a < A; a++) {
            double value = rng_uniform(&rng);
            arm = value > greatest ? a : arm;
            greatest = fmax(greatest, value);
        }
        stream_step(&stream, arm, &reward);
        for (size_t i = 0; i < d; i++) {
            y[arm][i] += reward * x[i];
            for (size_t j = 0; j < d; j++)
                m[arm][i][j] += x[i] * x[j];
        }
    }
    stream_release(&stream);
    for (size_t a = 0; a < A; a++)
        solve(d, m[a], y[a]);

    for (size_t session = 0; session < 20; session++) {
        struct episode ep;
        double x[32] = { 1 }, mean[A] = { 0 };
        size_t best = 0;
        episode_start(&ep, w.env, RULES_MODEL, session);
        episode_observe(&ep, x + 1);
        for (size_t a = 0; a < A; a++) {
            for (size_t i = 0; i < d; i++)
                mean[a] += y[a][i] * x[i];
            best = mean[a] > mean[best] ? a : best;
        }
        assert_true(mean[best] > 1);
        assert_true(fabs(mean[choice(&b, &ep)] - mean[best]) < 1e-9);
    }
    baseline_release(&b);
    close_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finds_the_best_arms),
        cmocka_unit_test(test_is_ucb1),
        cmocka_unit_test(test_is_ridge_regression),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
