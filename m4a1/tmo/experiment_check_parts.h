/* experiment_check_parts.h - between the two files of experiment_check.h. */
#ifndef M4A1_TMO_EXPERIMENT_CHECK_PARTS_H
#define M4A1_TMO_EXPERIMENT_CHECK_PARTS_H

#include "m4a1/base/error.h"
#include "m4a1/tmo/experiment.h"
#include "m4a1/tmo/experiment_figure.h"

#define EXPERIMENT_WHERE 700 /* bytes of "FILE: row "...": ..." */

/* A row of that name; E_DATA lists those there are. */
MUST_CHECK enum status experiment_check_row(
    const struct experiment *e, const char *name, const char *where, struct error *err);

/* A figure of that name that this experiment has, of these kinds, too (experiment_figure.h);
 * E_DATA lists those there are. */
MUST_CHECK enum status experiment_check_figure(const struct experiment *e,
    const char *name, unsigned kinds, const char *where, struct error *err);

/* True where a column, claim or plot is of this figure. */
int experiment_shows(const struct experiment *e, enum experiment_figure figure);

/* Columns, claims and plots. */
MUST_CHECK enum status experiment_check_shown(
    const struct experiment *e, struct error *err);

#endif
