/* Statistics of associations: distribution, flags, and the correlation with measured gains. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "export/association_gain.h"
#include "export/association_spread.h"
#include "export/dataset_build.h"
#include "m4a1/base/random.h"

#define N_SCENES 8
#define N_TURNS 2 /* a session, of which every scene has one */
#define N_VIEWS 3
#define N_ACTIONS 8

/* A data set on the stack: every turn asks every subset of three views of one llm. */
struct fixture {
    struct dataset data;
    struct session sessions[N_SCENES];
    struct turn turns[N_SCENES][N_TURNS];
    struct interaction fan_out[N_SCENES][N_TURNS][N_ACTIONS];
    double association[N_SCENES][N_TURNS][N_VIEWS];
    char scenes[N_SCENES][16];
};

static char *view_names[] = { "first", "side", "top" };
static char *task_names[] = { "Query", "Recommendation" };
static struct dataset_llm llms[] = { { "small", 0, NULL }, { "big", 1, NULL } };

static struct interaction answer(int llm, uint32_t views, double score)
{
    struct interaction it;
    interaction_init(&it);
    it.llm = llm;
    it.views_added = it.views_context = views;
    it.score = score;
    it.refused = 0;
    return it;
}

/* Turn t of a scene has task t; the path is text only. */
static void set_up(struct fixture *f)
{
    memset(f, 0, sizeof *f);
    f->data = (struct dataset) { .views = view_names,
        .n_views = N_VIEWS,
        .tasks = task_names,
        .n_tasks = 2,
        .llms = llms,
        .n_llms = 2,
        .sessions = f->sessions,
        .n_sessions = N_SCENES };
    for (int i = 0; i < N_SCENES; i++) {
        // Names in another order than the sessions.
        snprintf(f->scenes[i], sizeof f->scenes[i], "scene_%d", (i * 5) % N_SCENES);
        f->sessions[i] = (struct session) {
            .id = i, .scene = f->scenes[i], .turns = f->turns[i], .n_turns = N_TURNS
        };
        for (int t = 0; t < N_TURNS; t++) {
            f->turns[i][t] = (struct turn) { .task = t,
                .association = f->association[i][t],
                .path = answer(1, 0, 1),
                .fan_out = f->fan_out[i][t],
                .n_fan_out = N_ACTIONS - 1 };
            for (uint32_t views = 1; views < N_ACTIONS; views++)
                f->fan_out[i][t][views - 1] = answer(1, views, 1);
        }
    }
}

/* Let view v be worth what gain says, whatever else is shown. */
static void set_gains(struct fixture *f, const double gain[N_SCENES][N_TURNS][N_VIEWS])
{
    for (int i = 0; i < N_SCENES; i++)
        for (int t = 0; t < N_TURNS; t++)
            for (uint32_t views = 1; views < N_ACTIONS; views++) {
                double score = 1;
                for (int v = 0; v < N_VIEWS; v++)
                    score += (views >> v & 1) ? gain[i][t][v] : 0;
                f->fan_out[i][t][views - 1].score = score;
            }
}

static void draw(double out[N_SCENES][N_TURNS][N_VIEWS], uint64_t seed)
{
    struct rng rng;
    rng_init(&rng, seed, "test_association", 0);
    for (int i = 0; i < N_SCENES * N_TURNS * N_VIEWS; i++)
        out[i / (N_TURNS * N_VIEWS)][i / N_VIEWS % N_TURNS][i % N_VIEWS] =
            rng_uniform(&rng);
}

static struct association_gain gain_of(const struct fixture *f, int task)
{
    struct association_gain out;
    assert_int_equal(association_gain(&f->data, task, 1, &out, NULL), OK);
    return out;
}

static struct association_spread spread_of(const struct fixture *f, int task, int view)
{
    struct association_spread out;
    assert_int_equal(association_spread(&f->data, task, view, &out, NULL), OK);
    return out;
}

/* ---- gains ---- */

static void gains_in_proportion_correlate_fully(void **state)
{
    (void)state;
    struct fixture f;
    double gain[N_SCENES][N_TURNS][N_VIEWS];
    set_up(&f);
    draw(f.association, 1);
    for (int i = 0; i < N_SCENES * N_TURNS * N_VIEWS; i++)
        (&gain[0][0][0])[i] = 0.25 + 2 * (&f.association[0][0][0])[i];
    set_gains(&f, (const double(*)[N_TURNS][N_VIEWS])gain);
    struct association_gain g = gain_of(&f, -1);
    // A view has four pairs a turn: with each subset of the two others.
    assert_int_equal(g.n_pairs, N_SCENES * N_TURNS * N_VIEWS * 4);
    assert_int_equal(g.n_points, N_SCENES * N_TURNS * N_VIEWS);
    assert_int_equal(g.n_scenes, N_SCENES);
    assert_true(fabs(g.all.r - 1) < 1e-9 && fabs(g.all.low - 1) < 1e-9);
    assert_true(fabs(g.within.r - 1) < 1e-9 && fabs(g.within.high - 1) < 1e-9);
    g = gain_of(&f, 1);
    assert_int_equal(g.n_points, N_SCENES * N_VIEWS);
    // The other way round.
    for (int i = 0; i < N_SCENES * N_TURNS * N_VIEWS; i++)
        (&gain[0][0][0])[i] = -(&f.association[0][0][0])[i];
    set_gains(&f, (const double(*)[N_TURNS][N_VIEWS])gain);
    assert_true(fabs(gain_of(&f, -1).all.r + 1) < 1e-9);
}

static void correlation_is_pearsons(void **state)
{
    (void)state;
    struct fixture f;
    double gain[N_SCENES][N_TURNS][N_VIEWS], n = N_SCENES * N_TURNS * N_VIEWS;
    double x = 0, y = 0, xx = 0, xy = 0, yy = 0;
    set_up(&f);
    draw(f.association, 2);
    draw(gain, 3);
    set_gains(&f, (const double(*)[N_TURNS][N_VIEWS])gain);
    for (int i = 0; i < (int)n; i++) {
        double a = (&f.association[0][0][0])[i], b = (&gain[0][0][0])[i];
        x += a;
        y += b;
        xx += a * a;
        xy += a * b;
        yy += b * b;
    }
    double r = (n * xy - x * y) / sqrt((n * xx - x * x) * (n * yy - y * y));
    struct association_gain g = gain_of(&f, -1);
    assert_true(fabs(g.all.r - r) < 1e-9);
    assert_true(fabs(g.gain - y / n) < 1e-9);
    // Unrelated: the interval holds 0 and the estimate, and the same seed gives the same.
    assert_true(g.all.low < 0 && g.all.high > 0);
    assert_true(g.all.low < r && r < g.all.high);
    struct association_gain again = gain_of(&f, -1);
    assert_true(again.all.low == g.all.low && again.within.high == g.within.high);
}

/* Turns that differ in level make a correlation that says nothing about views. */
static void levels_of_turns_are_told_apart(void **state)
{
    (void)state;
    struct fixture f;
    double gain[N_SCENES][N_TURNS][N_VIEWS];
    set_up(&f);
    for (int i = 0; i < N_SCENES; i++)
        for (int t = 0; t < N_TURNS; t++)
            for (int v = 0; v < N_VIEWS; v++) {
                f.association[i][t][v] = i + 0.1 * v;
                gain[i][t][v] = i - 0.1 * v;
            }
    set_gains(&f, (const double(*)[N_TURNS][N_VIEWS])gain);
    struct association_gain g = gain_of(&f, -1);
    assert_true(g.all.r > 0.95 && g.all.low > 0);
    assert_true(fabs(g.within.r + 1) < 1e-9);
}

static void only_pairs_that_differ_by_one_view_count(void **state)
{
    (void)state;
    struct fixture f;
    set_up(&f);
    draw(f.association, 4);
    for (int i = 0; i < N_SCENES; i++)
        for (int t = 0; t < N_TURNS; t++) {
            f.turns[i][t].n_fan_out = 3;
            f.fan_out[i][t][0] = answer(1, 6, 9);   // two views more than the path
            f.fan_out[i][t][1] = answer(0, 1, 9);   // another llm
            f.fan_out[i][t][2] = answer(1, 1, NAN); // no score
        }
    struct association_gain g = gain_of(&f, -1);
    assert_int_equal(g.n_pairs, 0);
    assert_int_equal(g.n_points, 0);
    assert_true(isnan(g.gain) && isnan(g.all.r) && isnan(g.within.low));
    // Two samples, one of them refused, that is 0: their mean 1.5 less 1.
    f.turns[0][0].n_fan_out = 2;
    f.fan_out[0][0][0] = answer(1, 1, 3);
    f.fan_out[0][0][1] = answer(1, 1, 8);
    f.fan_out[0][0][1].refused = 1;
    g = gain_of(&f, -1);
    assert_int_equal(g.n_pairs, 1);
    assert_true(fabs(g.gain - 0.5) < 1e-12);
    assert_true(isnan(g.all.r)); // one point
    // Without an association there is no point.
    f.association[0][0][0] = NAN;
    assert_int_equal(gain_of(&f, -1).n_points, 0);
    f.turns[0][0].association = NULL;
    assert_int_equal(gain_of(&f, 0).n_points, 0);
}

static void constant_gains_have_no_correlation(void **state)
{
    (void)state;
    struct fixture f;
    set_up(&f);
    draw(f.association, 5);
    struct association_gain g = gain_of(&f, -1); // every score is 1
    assert_int_equal(g.n_points, N_SCENES * N_TURNS * N_VIEWS);
    assert_true(g.gain == 0 && isnan(g.all.r) && isnan(g.all.low));
}

/* ---- distribution ---- */

static void values_are_summed_by_task_and_view(void **state)
{
    (void)state;
    struct fixture f;
    set_up(&f);
    for (int i = 0; i < N_SCENES; i++)
        for (int v = 0; v < N_VIEWS; v++) {
            f.association[i][0][v] = 0.1 + 0.05 * v;
            f.association[i][1][v] = v == 0 ? NAN : -0.5;
        }
    struct association_spread a = spread_of(&f, 0, -1);
    assert_int_equal(a.n, N_SCENES * N_VIEWS);
    assert_true(fabs(a.mean - 0.15) < 1e-12 && fabs(a.median - 0.15) < 1e-12);
    assert_true(fabs(a.least - 0.1) < 1e-12 && fabs(a.greatest - 0.2) < 1e-12);
    assert_int_equal(a.n_turns, N_SCENES);
    assert_true(fabs(a.spread - 0.1) < 1e-12 && a.flat_share == 0);
    assert_int_equal(a.top_view, 2);
    assert_true(a.top_share == 1);
    assert_int_equal(a.is_one_view, 0); // too few turns to say so
    a = spread_of(&f, 1, 0);
    assert_int_equal(a.n, 0);
    assert_true(isnan(a.mean) && isnan(a.spread));
    a = spread_of(&f, -1, 1);
    assert_int_equal(a.n, 2 * N_SCENES);
    // A turn whose two values are equal: flat, and its first place is shared.
    a = spread_of(&f, 1, -1);
    assert_int_equal(a.n_turns, N_SCENES);
    assert_true(a.flat_share == 1 && a.top_share == 0.5);
}

static void failing_associations_are_flagged(void **state)
{
    (void)state;
    struct fixture f;
    set_up(&f);
    for (int i = 0; i < N_SCENES; i++)
        for (int t = 0; t < N_TURNS; t++)
            for (int v = 0; v < N_VIEWS; v++)
                f.association[i][t][v] = 0.2 + 0.001 * ((i + t + v) % N_VIEWS);
    struct association_spread a = spread_of(&f, -1, -1);
    assert_true(a.is_flat && !a.is_high && !a.is_one_view);
    for (int i = 0; i < N_SCENES * N_TURNS * N_VIEWS; i++)
        (&f.association[0][0][0])[i] += 0.2 + 0.02 * (i * 7 % 5);
    a = spread_of(&f, -1, -1);
    assert_true(!a.is_flat && a.is_high);
    for (int i = 0; i < N_SCENES; i++)
        for (int t = 0; t < N_TURNS; t++)
            for (int v = 0; v < N_VIEWS; v++)
                f.association[i][t][v] = 0.2 + 0.02 * v;
    a = spread_of(&f, -1, -1);
    assert_true(!a.is_flat && !a.is_high && a.is_one_view && a.top_view == 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gains_in_proportion_correlate_fully),
        cmocka_unit_test(correlation_is_pearsons),
        cmocka_unit_test(levels_of_turns_are_told_apart),
        cmocka_unit_test(only_pairs_that_differ_by_one_view_count),
        cmocka_unit_test(constant_gains_have_no_correlation),
        cmocka_unit_test(values_are_summed_by_task_and_view),
        cmocka_unit_test(failing_associations_are_flagged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
