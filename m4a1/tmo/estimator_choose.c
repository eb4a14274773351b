/* estimator_choose.c - cross-validates each candidate on the same folds. */
#include "m4a1/tmo/estimator_choose.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "m4a1/base/stats.h"
#include "m4a1/tmo/cross_validation.h"

#define CHANCE 0.05

struct comparison {
    const struct recorded *rec;
    const size_t *rows;
    struct folds folds;
    double *estimates, *constant, *saved; /* [n] estimates; squared errors; less error */
};

/* Errors of one candidate beside those of the constant. */
static enum status compare(struct comparison *c,
    const struct estimator_settings *settings, struct estimator_candidate *out,
    struct error *err)
{
    size_t n = c->folds.n;
    int is_constant = settings->kind == ESTIMATOR_CONSTANT;
    enum status s = cross_validation_predict(
        c->rec, c->rows, n, &c->folds, settings, c->estimates, NULL, err);
    if (s)
        return s;
    out->mse = 0;
    for (size_t i = 0; i < n; i++) {
        double off = c->estimates[i] - c->rec->rows[c->rows[i]].score;
        if (is_constant)
            c->constant[i] = off * off;
        c->saved[i] = c->constant[i] - off * off;
        out->mse += off * off / (double)n;
    }
    struct clustered_mean saved;
    s = clustered_mean(c->saved, c->folds.groups, n, c->folds.n_groups, &saved, err);
    if (s)
        return s;
    out->gain = saved.mean;
    out->gain_se = saved.se;
    double df = (double)(c->folds.n_groups - 1);
    out->p_chance = 1;
    if (out->gain > 0)
        out->p_chance =
            out->gain_se > 0 ? stats_student_tails(out->gain / out->gain_se, df) / 2 : 0;
    return OK;
}

static enum status compare_all(struct comparison *c,
    const struct estimator_settings *settings, struct estimator_choice *out,
    struct error *err)
{
    static const enum estimator_kind order[] = { ESTIMATOR_CONSTANT, ESTIMATOR_ROLE,
        ESTIMATOR_TASK, ESTIMATOR_RIDGE, ESTIMATOR_METRIC, ESTIMATOR_PUBLISHED };
    size_t n = sizeof order / sizeof *order;
    double least = INFINITY;
    for (size_t i = 0; i < n; i++) {
        struct estimator_settings one = *settings;
        struct error ignored = ERROR_INIT;
        struct estimator_candidate *candidate = &out->candidates[order[i]];
        one.kind = order[i];
        enum status s = compare(c, &one, candidate, &ignored);
        if (s && s != E_DATA)
            return error_set(err, s, "%s", ignored.msg);
        if (s) { // too few rows for this one
            *candidate = (struct estimator_candidate) { NAN, NAN, NAN, NAN };
            continue;
        }
        if (candidate->p_chance < CHANCE / (double)(n - 1) && candidate->mse < least) {
            least = candidate->mse;
            out->kind = order[i];
        }
    }
    return OK;
}

enum status estimator_choose(const struct estimator_settings *settings,
    const struct recorded *rec, const size_t *rows, size_t n,
    struct estimator_choice *out, struct error *err)
{
    *out = (struct estimator_choice) { .kind = ESTIMATOR_CONSTANT };
    struct comparison c = { .rec = rec, .rows = rows };
    enum status s = folds_draw(rec, rows, n, settings->choose_by, settings->n_folds,
        settings->seed, &c.folds, err);
    if (s)
        return s;
    out->n_groups = c.folds.n_groups;
    out->n_folds = c.folds.n_folds;
    c.estimates = malloc(n * sizeof *c.estimates);
    c.constant = malloc(n * sizeof *c.constant);
    c.saved = malloc(n * sizeof *c.saved);
    if (c.estimates && c.constant && c.saved)
        s = compare_all(&c, settings, out, err);
    else
        s = error_nomem(err, n * sizeof *c.estimates);
    free(c.estimates);
    free(c.constant);
    free(c.saved);
    folds_release(&c.folds);
    return s;
}
