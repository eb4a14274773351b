/* evaluate_tell.h - what m4a1 evaluate found, for people and as JSON. */
#ifndef M4A1_CLI_EVALUATE_TELL_H
#define M4A1_CLI_EVALUATE_TELL_H

#include "m4a1/cli/evaluate_run.h"

void evaluate_tell(const struct evaluate_report *report); /* on standard output */
MUST_CHECK enum status evaluate_json(
    const struct evaluate_report *report, struct error *err);

/* The evaluations of a row, one a seed: all[n], freed by the caller, and their trials'
 * seeds (may be NULL); n is 0 for a row without returns. */
MUST_CHECK enum status evaluate_returns(const struct evaluate_report *report,
    const struct evaluation_row *row, struct evaluation **all, uint64_t **seeds,
    size_t *n, struct error *err);

extern const char evaluate_meaning[]; /* of the returns, as one line */

#endif
