/* estimator_choose.h - which estimator the training rows speak for.
 *
 * Every estimator is cross-validated on the training rows.  Those whose error is less than
 * that of the constant beyond chance stay (one-sided t test over groups of the mean
 * difference of squared errors, 5 % over all of them by Bonferroni's rule); the one with
 * the least error is taken, and where none stays, the constant.  So scores that are only
 * noise are estimated by their mean. */
#ifndef M4A1_TMO_ESTIMATOR_CHOOSE_H
#define M4A1_TMO_ESTIMATOR_CHOOSE_H

#include <stddef.h>
#include "m4a1/base/error.h"
#include "m4a1/tmo/estimator.h"
#include "m4a1/tmo/recorded.h"

/* One candidate; NAN where it could not be fitted (fewer rows than k). */
struct estimator_candidate {
    double mse;      /* mean squared error of held-out rows */
    double gain;     /* that of the constant, minus mse */
    double gain_se;  /* its standard error over groups */
    double p_chance; /* one-sided */
};

struct estimator_choice {
    enum estimator_kind kind;
    struct estimator_candidate candidates[ESTIMATOR_AUTO]; /* by kind */
    size_t n_groups, n_folds;
};

/* Choose by settings->choose_by, n_folds and seed; k and alpha are the candidates'.
 * E_DATA where rows are of fewer than two groups. */
MUST_CHECK enum status estimator_choose(const struct estimator_settings *settings,
    const struct recorded *rec, const size_t *rows, size_t n,
    struct estimator_choice *out, struct error *err);

#endif
