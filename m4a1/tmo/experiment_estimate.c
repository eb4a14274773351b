/* experiment_estimate.c - how well an estimator predicts scores that it has not seen. */
#include <math.h>
#include <stdlib.h>

#include "m4a1/tmo/cross_validation.h"
#include "m4a1/tmo/experiment_cell_parts.h"

static void take_validation(struct cell *c, const struct cross_validation *cv)
{
    c->outcome.figures[EX_MSE] = cv->mse;
    c->outcome.figures[EX_MAE] = cv->mae;
    c->outcome.figures[EX_PEARSON] = cv->pearson;
    c->outcome.figures[EX_SPEARMAN] = cv->spearman;
    c->outcome.figures[EX_SLOPE] = cv->slope;
    c->outcome.figures[EX_GAIN] = cv->gain;
    c->outcome.figures[EX_BEST_SHARE] = cv->best_share;
    c->outcome.figures[EX_CHANCE_SHARE] = cv->chance_share;
    for (size_t bin = 0; bin < N_SUPPORT_BINS; bin++) {
        const struct support_row *row = &cv->by_support[bin];
        double *f = &c->outcome.figures[EX_SUPPORT + bin * N_SUPPORT_FIGURES];
        f[SUPPORT_ROWS] = (double)row->n / (double)cv->n_rows;
        f[SUPPORT_ESTIMATE] = row->estimate;
        f[SUPPORT_SCORE] = row->score;
        f[SUPPORT_MSE] = row->mse;
    }
}

/* One tenth of the sessions, estimated by what was fitted on the others. */
static enum status hold_out(struct cell *c, struct error *err)
{
    struct estimator *est = NULL;
    struct split split = { 0 };
    size_t *train = NULL, *test = NULL, *rows = NULL, *held = NULL, n_rows, n_held;
    double n = 0, error = 0, sx = 0, sy = 0, sxx = 0, syy = 0, sxy = 0;
    enum status s = split_draw(c->data, 0, 0.9, c->place->seed, &split, err);
    if (!s)
        s = recorded_indices(c->rec, split.train, split.n_train, &train, err);
    if (!s)
        s = recorded_indices(c->rec, split.test, split.n_test, &test, err);
    if (!s)
        s = estimator_rows_of(c->rec, train, split.n_train, 1, &rows, &n_rows, err);
    if (!s)
        s = estimator_rows_of(c->rec, test, split.n_test, 1, &held, &n_held, err);
    if (!s)
        s = estimator_fit(
            &c->config.environment.estimator, c->rec, rows, n_rows, &est, err);
    for (size_t i = 0; !s && i < n_held; i++) {
        const struct recorded_row *row = &c->rec->rows[held[i]];
        struct estimator_query query = estimator_query_of(c->rec, row->turn);
        double x = estimator_value(est, &query, (size_t)row->action), y = row->score;
        n += 1;
        error += (x - y) * (x - y);
        sx += x;
        sy += y;
        sxx += x * x;
        syy += y * y;
        sxy += x * y;
    }
    if (!s && n > 1) {
        double vx = sxx - sx * sx / n, vy = syy - sy * sy / n;
        c->outcome.figures[EX_HELD_OUT_MSE] = error / n;
        if (vx > 1e-12 && vy > 1e-12)
            c->outcome.figures[EX_HELD_OUT_PEARSON] = (sxy - sx * sy / n) / sqrt(vx * vy);
    }
    estimator_free(est);
    free(train);
    free(test);
    free(rows);
    free(held);
    split_release(&split);
    return s;
}

enum status cell_run_estimator(struct cell *c, struct error *err)
{
    struct cross_validation_settings settings = cross_validation_defaults();
    struct cross_validation cv;
    size_t *all = malloc(c->rec->n_sessions * sizeof *all);
    if (!all)
        return error_nomem(err, c->rec->n_sessions * sizeof *all);
    for (size_t i = 0; i < c->rec->n_sessions; i++)
        all[i] = i;
    settings.by = c->config.environment.estimator.choose_by;
    settings.n_repeats = 1;
    settings.quick = 1; // its intervals are not shown
    settings.seed = c->place->seed;
    double before = cell_cpu_s();
    enum status s = cross_validation_run(c->rec, all, c->rec->n_sessions,
        &c->config.environment.estimator, &settings, &cv, err);
    if (!s) {
        take_validation(c, &cv);
        s = hold_out(c, err);
    }
    c->outcome.figures[EX_CPU_S] = cell_cpu_s() - before;
    free(all);
    return s;
}
