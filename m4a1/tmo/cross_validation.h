/* cross_validation.h - how well an estimator predicts rows it was not fitted on.
 *
 * Rows of some sessions are parted into folds (by session, prompt or scene); each fold is
 * estimated by what was fitted on the others, everything that is learned or chosen
 * included.  Repeats draw other folds.  Intervals treat groups (what folds keep together)
 * as what was sampled, since rows of a group are not independent, and count how far the
 * fits stray (fold_jackknife.h). */
#ifndef M4A1_TMO_CROSS_VALIDATION_H
#define M4A1_TMO_CROSS_VALIDATION_H

#include <stddef.h>
#include <stdint.h>
#include "m4a1/base/error.h"
#include "m4a1/tmo/estimator.h"
#include "m4a1/tmo/folds.h"
#include "m4a1/tmo/recorded.h"

/* Rows by how many training rows match them exactly. */
enum support_bin { SUPPORT_NONE, SUPPORT_ONE, SUPPORT_FEW, SUPPORT_MANY };
#define N_SUPPORT_BINS 4
extern const char *const support_bin_names[N_SUPPORT_BINS]; /* "0", "1", "2-4", "5+" */

struct support_row {
    size_t n;                    /* rows, counted in every repeat */
    double estimate, score, mse; /* means; NAN for n = 0 */
};

struct cross_validation {
    size_t n_rows, n_groups, n_folds, n_repeats;
    double mse, mse_low, mse_high; /* 95 % interval over groups */
    double mae;
    double pearson, spearman; /* means over repeats; NAN where estimates do not differ */
    double slope;             /* of score on estimate; 1 = calibrated */
    /* the constant on the same folds, and the part of its error that is gone */
    double constant_mse, gain, gain_low, gain_high;
    struct support_row by_support[N_SUPPORT_BINS];
    /* Turns with two or more measured actions: how often the best by estimate is the best
     * measured, how often a random one is, and the score that its choice loses. */
    size_t n_measured_turns;
    double best_share, chance_share, regret; /* NAN where there is no such turn */
};

struct cross_validation_settings {
    enum folds_by by;
    size_t n_folds, n_repeats;
    uint64_t seed; /* of the folds: repeat i takes seed + i */
    int quick;     /* 1: intervals from the spread over groups alone, which are too narrow
                      where fitting strays; saves half of n_folds^2 fits */
};

/* Folds by session, 10 of them, 5 repeats, seed 0. */
struct cross_validation_settings cross_validation_defaults(void);

/* Cross-validate an estimator on all rows (path and fan-out) of n sessions (indices). */
MUST_CHECK enum status cross_validation_run(const struct recorded *rec,
    const size_t *sessions, size_t n, const struct estimator_settings *estimator,
    const struct cross_validation_settings *settings, struct cross_validation *out,
    struct error *err);

/* One pass over given folds of rows[n]: estimates[n] of each row by what was fitted on
 * the other folds, and exact[n] (may be NULL) how many of those rows match it. */
MUST_CHECK enum status cross_validation_predict(const struct recorded *rec,
    const size_t *rows, size_t n, const struct folds *folds,
    const struct estimator_settings *estimator, double *estimates, size_t *exact,
    struct error *err);

/* The mean of x[n] where groups[n] (0 .. n_groups - 1) were sampled, not rows. */
struct clustered_mean {
    double mean;
    double se; /* sqrt(G / (G - 1) * sum over groups of (sum of x - mean)^2) / n */
    /* Where the ends of a 95 % interval belong: mean + shift -+ t * se.  Errors have a long
     * tail (Hall, "On the removal of skewness by transformation", 1992). */
    double shift;
};
MUST_CHECK enum status clustered_mean(const double *x, const size_t *groups, size_t n,
    size_t n_groups, struct clustered_mean *out, struct error *err);

#endif
