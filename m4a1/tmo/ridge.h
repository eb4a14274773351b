/* ridge.h - ridge regression of scores on prompt, llm and their product, task and number
 * of shown views.
 *
 *   score = intercept + llm + task + views * n + prompt + (prompt x llm)
 *
 * Least squares plus a penalty times the square of every coefficient but the intercept
 * (Hoerl and Kennard 1970).  With two llms the second one has a column and the first has
 * none; with more each has one.  A prompt without training rows has coefficients 0, so
 * what is left is llm, task and views.
 *
 * The normal equations are solved exactly.  Prompts meet each other only through the
 * other columns, so each is eliminated on its own: thousands of prompts are no trouble.
 * A fitted model is read-only.  Letters: P prompts, L columns of llms, T tasks, B = 2 + L
 * + T columns that are not a prompt's. */
#ifndef M4A1_TMO_RIDGE_H
#define M4A1_TMO_RIDGE_H

#include <stddef.h>
#include "m4a1/base/error.h"
#include "m4a1/tmo/sample.h"

/* What a column's squared coefficient costs; above 0. */
struct ridge_penalties {
    double prompt, product, llm, task, views;
};

#define RIDGE_NEVER 1e12 /* a penalty that leaves the column out */

/* alpha for all columns, 10 alpha for tasks: prompts explain, tasks stand in for prompts
 * that were not seen. */
struct ridge_penalties ridge_uniform(double alpha);

struct ridge; /* opaque */

/* Fit on the samples i for which use is NULL or use[i] is not 0; one at least.  On
 * success *out is freed by the caller. */
MUST_CHECK enum status ridge_fit(const struct samples *samples, const unsigned char *use,
    const struct ridge_penalties *penalties, struct ridge **out, struct error *err);
void ridge_free(struct ridge *ridge); /* NULL is fine */

double ridge_value(const struct ridge *ridge, const struct sample *x);

#endif
