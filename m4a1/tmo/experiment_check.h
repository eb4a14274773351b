/* experiment_check.h - everything in an experiment's file that could fail or mean nothing
 * is refused when it is read, not behind hours of computing. */
#ifndef M4A1_TMO_EXPERIMENT_CHECK_H
#define M4A1_TMO_EXPERIMENT_CHECK_H

#include "m4a1/base/error.h"
#include "m4a1/tmo/experiment.h"

/* Of a laid-out experiment: names that are there twice, baselines and offers, synthetic
 * data, columns, claims, plots, and the config of every cell.  E_DATA names the file, the
 * member, and what there is. */
MUST_CHECK enum status experiment_check(const struct experiment *e, struct error *err);

#endif
