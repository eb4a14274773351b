/* cross_validation.c - fits, estimates held-out rows, and sums the errors up. */
#include "m4a1/tmo/cross_validation.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "m4a1/base/stats.h"
#include "m4a1/tmo/fold_jackknife.h"

const char *const support_bin_names[N_SUPPORT_BINS] = { "0", "1", "2-4", "5+" };

struct cross_validation_settings cross_validation_defaults(void)
{
    return (struct cross_validation_settings) {
        .by = FOLDS_SESSION, .n_folds = 10, .n_repeats = 5, .seed = 0
    };
}

enum status clustered_mean(const double *x, const size_t *groups, size_t n,
    size_t n_groups, struct clustered_mean *out, struct error *err)
{
    memset(out, 0, sizeof *out);
    double *sums = calloc(n_groups ? n_groups : 1, sizeof *sums);
    if (!sums)
        return error_nomem(err, n_groups * sizeof *sums);
    double g = (double)n_groups, squares = 0, cubes = 0;
    out->mean = stats_mean(x, n);
    for (size_t i = 0; i < n; i++)
        sums[groups[i]] += x[i] - out->mean;
    for (size_t i = 0; i < n_groups; i++) {
        squares += sums[i] * sums[i];
        cubes += sums[i] * sums[i] * sums[i];
    }
    free(sums);
    double t = stats_student_end(0.05, g - 1);
    out->se = sqrt(g / (g - 1) * squares) / (double)n;
    double skewness = squares > 0 ? cubes / g / pow(squares / g, 1.5) : 0;
    out->shift = out->se * skewness * (1 + 2 * t * t) / (6 * sqrt(g));
    return OK;
}

/* --- one pass --- */

static enum status predict_fold(const struct recorded *rec, const size_t *rows, size_t n,
    const size_t *folds, size_t fold, const struct estimator_settings *settings,
    size_t *train, double *estimates, size_t *exact, struct error *err)
{
    size_t n_train = 0;
    for (size_t i = 0; i < n; i++)
        if (folds[i] != fold)
            train[n_train++] = rows[i];
    struct estimator *est;
    enum status s = estimator_fit(settings, rec, train, n_train, &est, err);
    if (s)
        return s;
    for (size_t i = 0; i < n; i++) {
        if (folds[i] != fold)
            continue;
        const struct recorded_row *row = &rec->rows[rows[i]];
        struct estimator_query query = estimator_query_of(rec, row->turn);
        estimates[i] = estimator_value(est, &query, (size_t)row->action);
        if (exact) {
            struct estimator_support support;
            estimator_support(est, &query, (size_t)row->action, &support);
            exact[i] = support.n_exact;
        }
    }
    estimator_free(est);
    return OK;
}

enum status cross_validation_predict(const struct recorded *rec, const size_t *rows,
    size_t n, const struct folds *folds, const struct estimator_settings *estimator,
    double *estimates, size_t *exact, struct error *err)
{
    size_t *train = malloc((n ? n : 1) * sizeof *train);
    if (!train)
        return error_nomem(err, n * sizeof *train);
    enum status s = OK;
    for (size_t fold = 0; !s && fold < folds->n_folds; fold++)
        s = predict_fold(
            rec, rows, n, folds->folds, fold, estimator, train, estimates, exact, err);
    free(train);
    return s;
}

/* --- correlations --- */

static double pearson(const double *x, const double *y, size_t n)
{
    double mx = stats_mean(x, n), my = stats_mean(y, n), xx = 0, yy = 0, xy = 0;
    for (size_t i = 0; i < n; i++) {
        xx += (x[i] - mx) * (x[i] - mx);
        yy += (y[i] - my) * (y[i] - my);
        xy += (x[i] - mx) * (y[i] - my);
    }
    return xx > 0 && yy > 0 ? xy / sqrt(xx * yy) : NAN;
}

struct ranked {
    double x;
    size_t at;
};

static int by_x(const void *va, const void *vb)
{
    const struct ranked *a = va, *b = vb;
    return a->x < b->x ? -1 : a->x > b->x;
}

/* Equal values share the mean of their ranks. */
static void rank(const double *x, size_t n, struct ranked *scratch, double *ranks)
{
    for (size_t i = 0; i < n; i++)
        scratch[i] = (struct ranked) { x[i], i };
    qsort(scratch, n, sizeof *scratch, by_x);
    for (size_t i = 0, end = 0; i < n; i = end) {
        for (end = i + 1; end < n && scratch[end].x == scratch[i].x;)
            end++;
        for (size_t j = i; j < end; j++)
            ranks[scratch[j].at] = (double)(i + end - 1) / 2;
    }
}

/* --- all passes --- */

struct run {
    const struct recorded *rec;
    size_t *rows, n;
    double *scores;               /* [n] */
    double *estimates, *constant; /* [n] of one repeat */
    double *errors, *saved;    /* [n] squared error, and what it saves; mean of repeats */
    double *ranks_a, *ranks_b; /* [n] */
    struct ranked *scratch;    /* [n] */
    size_t *exact;             /* [n] */
    size_t *groups;            /* [n] owned; the same in every repeat */
    double sum_xx, sum_xy;     /* for the slope */
    double best, chance, regret; /* sums over measured turns */
    size_t n_measured, n_pearson;
    struct fold_jackknife jackknife; /* df 0: none */
};

static void run_release(struct run *run)
{
    free(run->rows);
    free(run->scores);
    free(run->estimates);
    free(run->constant);
    free(run->errors);
    free(run->saved);
    free(run->ranks_a);
    free(run->ranks_b);
    free(run->scratch);
    free(run->exact);
    free(run->groups);
}

static enum status run_allocate(struct run *run, struct error *err)
{
    size_t n = run->n ? run->n : 1;
    run->scores = malloc(n * sizeof *run->scores);
    run->estimates = malloc(n * sizeof *run->estimates);
    run->constant = malloc(n * sizeof *run->constant);
    run->errors = calloc(n, sizeof *run->errors);
    run->saved = calloc(n, sizeof *run->saved);
    run->ranks_a = malloc(n * sizeof *run->ranks_a);
    run->ranks_b = malloc(n * sizeof *run->ranks_b);
    run->scratch = malloc(n * sizeof *run->scratch);
    run->exact = malloc(n * sizeof *run->exact);
    run->groups = malloc(n * sizeof *run->groups);
    if (!run->scores || !run->estimates || !run->constant || !run->errors ||
        !run->saved || !run->ranks_a || !run->ranks_b || !run->scratch || !run->exact ||
        !run->groups)
        return error_nomem(err, n * sizeof *run->scratch);
    for (size_t i = 0; i < run->n; i++)
        run->scores[i] = run->rec->rows[run->rows[i]].score;
    return OK;
}

static enum support_bin bin_of(size_t n_exact)
{
    return n_exact == 0   ? SUPPORT_NONE
           : n_exact == 1 ? SUPPORT_ONE
           : n_exact < 5  ? SUPPORT_FEW
                          : SUPPORT_MANY;
}

static void add_errors(struct run *run, double repeats, struct cross_validation *out)
{
    double mean = stats_mean(run->estimates, run->n);
    for (size_t i = 0; i < run->n; i++) {
        double off = run->estimates[i] - run->scores[i];
        double constant = run->constant[i] - run->scores[i];
        struct support_row *bin = &out->by_support[bin_of(run->exact[i])];
        run->errors[i] += off * off / repeats;
        run->saved[i] += (constant * constant - off * off) / repeats;
        out->mae += fabs(off) / repeats / (double)run->n;
        out->constant_mse += constant * constant / repeats / (double)run->n;
        bin->n++;
        bin->estimate += run->estimates[i];
        bin->score += run->scores[i];
        bin->mse += off * off;
        run->sum_xx += (run->estimates[i] - mean) * (run->estimates[i] - mean);
        run->sum_xy += (run->estimates[i] - mean) * run->scores[i];
    }
}

static void add_correlations(struct run *run, struct cross_validation *out)
{
    double r = pearson(run->estimates, run->scores, run->n);
    if (isnan(r))
        return;
    rank(run->estimates, run->n, run->scratch, run->ranks_a);
    rank(run->scores, run->n, run->scratch, run->ranks_b);
    out->pearson += r;
    out->spearman += pearson(run->ranks_a, run->ranks_b, run->n);
    run->n_pearson++;
}

/* The rows of one turn, at[0 .. n - 1] into run->rows: what the estimate would choose. */
static void add_choice(struct run *run, const size_t *at, size_t n)
{
    double top = -INFINITY, best = -INFINITY, mean_hit = 0, hit = 0, taken = 0;
    size_t n_top = 0, n_best = 0;
    for (size_t i = 0; i < n; i++) {
        top = fmax(top, run->estimates[at[i]]);
        best = fmax(best, run->scores[at[i]]);
    }
    for (size_t i = 0; i < n; i++) {
        int is_best = run->scores[at[i]] >= best;
        n_best += is_best ? 1 : 0;
        if (run->estimates[at[i]] < top)
            continue;
        n_top++;
        hit += is_best;
        taken += run->scores[at[i]];
    }
    mean_hit = (double)n_best / (double)n;
    run->n_measured++;
    run->best += hit / (double)n_top; // estimates that tie share the choice
    run->chance += mean_hit;
    run->regret += best - taken / (double)n_top;
}

/* Rows are the path's in order, then those of fan-out: link those of a turn. */
static enum status add_choices(struct run *run, struct error *err)
{
    size_t n_turns = run->rec->n_turns, none = SIZE_MAX;
    size_t *last = malloc((n_turns ? n_turns : 1) * sizeof *last);
    size_t *before = malloc((run->n ? run->n : 1) * sizeof *before);
    size_t *at = malloc((run->n ? run->n : 1) * sizeof *at);
    enum status s = OK;
    if (!last || !before || !at) {
        s = error_nomem(err, n_turns * sizeof *last);
        goto out;
    }
    for (size_t t = 0; t < n_turns; t++)
        last[t] = none;
    for (size_t i = 0; i < run->n; i++) {
        size_t turn = run->rec->rows[run->rows[i]].turn;
        before[i] = last[turn];
        last[turn] = i;
    }
    for (size_t t = 0; t < n_turns; t++) {
        size_t n = 0;
        for (size_t i = last[t]; i != none; i = before[i])
            at[n++] = i;
        if (n > 1)
            add_choice(run, at, n);
    }
out:
    free(last);
    free(before);
    free(at);
    return s;
}

static enum status repeat(struct run *run, const struct estimator_settings *estimator,
    const struct cross_validation_settings *settings, size_t i,
    struct cross_validation *out, struct error *err)
{
    struct folds folds;
    struct estimator_settings constant = *estimator;
    constant.kind = ESTIMATOR_CONSTANT;
    enum status s = folds_draw(run->rec, run->rows, run->n, settings->by,
        settings->n_folds, settings->seed + i, &folds, err);
    if (s)
        return s;
    s = cross_validation_predict(
        run->rec, run->rows, run->n, &folds, estimator, run->estimates, run->exact, err);
    if (!s)
        s = cross_validation_predict(
            run->rec, run->rows, run->n, &folds, &constant, run->constant, NULL, err);
    if (!s) {
        add_errors(run, (double)settings->n_repeats, out);
        add_correlations(run, out);
        s = add_choices(run, err);
    }
    if (!s && !i && !settings->quick && folds.n_folds >= 3)
        s = fold_jackknife_run(
            run->rec, run->rows, run->n, &folds, estimator, &run->jackknife, err);
    memcpy(run->groups, folds.groups, run->n * sizeof *run->groups);
    out->n_groups = folds.n_groups;
    out->n_folds = folds.n_folds;
    folds_release(&folds);
    return s;
}

static enum status finish(
    struct run *run, struct cross_validation *out, struct error *err)
{
    struct clustered_mean error, saved;
    enum status s =
        clustered_mean(run->errors, run->groups, run->n, out->n_groups, &error, err);
    if (!s)
        s = clustered_mean(run->saved, run->groups, run->n, out->n_groups, &saved, err);
    if (s)
        return s;
    double scale = out->constant_mse > 0 ? out->constant_mse : 1;
    double t = stats_student_end(0.05, (double)(out->n_groups - 1));
    double mse_se = error.se, gain_se = saved.se / scale;
    if (run->jackknife.df) {
        t = stats_student_end(0.05, (double)run->jackknife.df);
        mse_se = run->jackknife.mse_se;
        gain_se = run->jackknife.gain_se;
    }
    out->mse = error.mean;
    out->mse_low = fmax(error.mean + error.shift - t * mse_se, 0);
    out->mse_high = error.mean + error.shift + t * mse_se;
    out->gain = saved.mean / scale;
    out->gain_low = out->gain - t * gain_se;
    out->gain_high = out->gain + t * gain_se;
    out->pearson = run->n_pearson ? out->pearson / (double)run->n_pearson : NAN;
    out->spearman = run->n_pearson ? out->spearman / (double)run->n_pearson : NAN;
    out->slope = run->sum_xx > 0 ? run->sum_xy / run->sum_xx : NAN;
    for (size_t i = 0; i < N_SUPPORT_BINS; i++) {
        struct support_row *bin = &out->by_support[i];
        double n = bin->n ? (double)bin->n : NAN;
        bin->estimate /= n;
        bin->score /= n;
        bin->mse /= n;
    }
    double n = run->n_measured ? (double)run->n_measured : NAN;
    out->n_measured_turns = run->n_measured / out->n_repeats;
    out->best_share = run->best / n;
    out->chance_share = run->chance / n;
    out->regret = run->regret / n;
    return OK;
}

enum status cross_validation_run(const struct recorded *rec, const size_t *sessions,
    size_t n, const struct estimator_settings *estimator,
    const struct cross_validation_settings *settings, struct cross_validation *out,
    struct error *err)
{
    memset(out, 0, sizeof *out);
    if (!settings->n_repeats)
        return error_set(err, E_ARG, "cross-validation takes 1 repeat or more");
    struct run run = { .rec = rec };
    enum status s = estimator_rows_of(rec, sessions, n, 1, &run.rows, &run.n, err);
    if (s)
        return s;
    out->n_rows = run.n;
    out->n_repeats = settings->n_repeats;
    s = run_allocate(&run, err);
    for (size_t i = 0; !s && i < settings->n_repeats; i++)
        s = repeat(&run, estimator, settings, i, out, err);
    if (!s)
        s = finish(&run, out, err);
    run_release(&run);
    return s;
}
