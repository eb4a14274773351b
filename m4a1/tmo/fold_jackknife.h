/* fold_jackknife.h - how far a cross-validated error strays, refitting included.
 *
 * The spread of held-out errors alone says too little: folds share training rows, and so
 * their errors move together (Bates, Hastie and Tibshirani, "Cross-validation: what does
 * it estimate and how well does it do it?", 2024).  Here each fold is left out in turn and
 * the cross-validation made anew on the others (a delete-a-group jackknife; Shao and Tu,
 * "The Jackknife and Bootstrap", 1995): K (K - 1) / 2 more fits for K folds. */
#ifndef M4A1_TMO_FOLD_JACKKNIFE_H
#define M4A1_TMO_FOLD_JACKKNIFE_H

#include <stddef.h>
#include "m4a1/base/error.h"
#include "m4a1/tmo/estimator.h"
#include "m4a1/tmo/folds.h"
#include "m4a1/tmo/recorded.h"

struct fold_jackknife {
    double mse_se;  /* standard error of the mean squared error */
    double gain_se; /* of 1 - mse / that of the constant */
    size_t df;      /* degrees of freedom: folds - 1 */
};

/* Rows [n] in three folds or more; E_ARG with fewer. */
MUST_CHECK enum status fold_jackknife_run(const struct recorded *rec, const size_t *rows,
    size_t n, const struct folds *folds, const struct estimator_settings *estimator,
    struct fold_jackknife *out, struct error *err);

#endif
