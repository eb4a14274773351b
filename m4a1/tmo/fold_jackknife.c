/* fold_jackknife.c - one fit without each pair of folds serves both of them. */
#include "m4a1/tmo/fold_jackknife.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What is left where fold k is left out. */
struct without {
    double errors, constant; /* sums of squared errors */
    double n;                /* rows */
};

struct jackknife {
    const struct recorded *rec;
    const size_t *rows;
    const struct folds *folds;
    const struct estimator_settings *settings;
    size_t *train;        /* [n] */
    struct without *left; /* [folds] */
};

/* Fit without folds a and b; its errors on a count where b is left out, and the other way. */
static enum status run_pair(struct jackknife *j, size_t a, size_t b, struct error *err)
{
    const size_t *folds = j->folds->folds;
    size_t n_train = 0;
    double mean = 0;
    for (size_t i = 0; i < j->folds->n; i++)
        if (folds[i] != a && folds[i] != b) {
            mean += j->rec->rows[j->rows[i]].score;
            j->train[n_train++] = j->rows[i];
        }
    mean /= n_train ? (double)n_train : 1;
    struct estimator *est;
    enum status s = estimator_fit(j->settings, j->rec, j->train, n_train, &est, err);
    if (s)
        return s;
    for (size_t i = 0; i < j->folds->n; i++) {
        if (folds[i] != a && folds[i] != b)
            continue;
        const struct recorded_row *row = &j->rec->rows[j->rows[i]];
        struct estimator_query query = estimator_query_of(j->rec, row->turn);
        double off = estimator_value(est, &query, (size_t)row->action) - row->score;
        struct without *left = &j->left[folds[i] == a ? b : a];
        left->errors += off * off;
        left->constant += (mean - row->score) * (mean - row->score);
        left->n++;
    }
    estimator_free(est);
    return OK;
}

static double spread(const double *x, size_t n)
{
    double mean = 0, squares = 0;
    for (size_t i = 0; i < n; i++)
        mean += x[i] / (double)n;
    for (size_t i = 0; i < n; i++)
        squares += (x[i] - mean) * (x[i] - mean);
    return sqrt((double)(n - 1) / (double)n * squares);
}

static enum status finish(
    const struct jackknife *j, struct fold_jackknife *out, struct error *err)
{
    size_t n = j->folds->n_folds;
    double *mse = malloc(n * sizeof *mse), *gain = malloc(n * sizeof *gain);
    enum status s = OK;
    if (mse && gain) {
        for (size_t k = 0; k < n; k++) {
            const struct without *left = &j->left[k];
            mse[k] = left->errors / left->n;
            gain[k] = left->constant > 0 ? 1 - left->errors / left->constant : 0;
        }
        *out = (struct fold_jackknife) { spread(mse, n), spread(gain, n), n - 1 };
    } else {
        s = error_nomem(err, n * sizeof *mse);
    }
    free(mse);
    free(gain);
    return s;
}

enum status fold_jackknife_run(const struct recorded *rec, const size_t *rows, size_t n,
    const struct folds *folds, const struct estimator_settings *estimator,
    struct fold_jackknife *out, struct error *err)
{
    memset(out, 0, sizeof *out);
    if (folds->n_folds < 3)
        return error_set(err, E_ARG,
            "the error of a cross-validation takes 3 folds or more, not %zu",
            folds->n_folds);
    struct jackknife j = {
        .rec = rec, .rows = rows, .folds = folds, .settings = estimator
    };
    j.train = malloc((n ? n : 1) * sizeof *j.train);
    j.left = calloc(folds->n_folds, sizeof *j.left);
    enum status s = OK;
    if (!j.train || !j.left)
        s = error_nomem(err, n * sizeof *j.train);
    for (size_t a = 0; !s && a < folds->n_folds; a++)
        for (size_t b = a + 1; !s && b < folds->n_folds; b++)
            s = run_pair(&j, a, b, err);
    if (!s)
        s = finish(&j, out, err);
    free(j.train);
    free(j.left);
    return s;
}
