/* baseline_parts.h - what the files of the baselines share. */
#ifndef M4A1_TMO_BASELINE_PARTS_H
#define M4A1_TMO_BASELINE_PARTS_H

#include "m4a1/tmo/baselines.h"

/* The action itself where it may be taken, else the first that may be. */
size_t baseline_legal(const struct episode *ep, size_t action);
/* Set p[A] to 1 there. */
void baseline_take(const struct episode *ep, size_t action, double *p);

/* What is taken off a turn's reward for constraints, where the handling is a price: the
 * price times what the turn added to each excess, as a share of its scale. */
double baseline_charge(const struct episode *before, const struct episode *after);

/* Best fixed action, best by task, best by prompt (baseline_tables.c). */
MUST_CHECK enum status baseline_best_fixed(const struct environment *env,
    const struct baseline_settings *settings, const char *argument, struct baseline *out,
    struct error *err);
MUST_CHECK enum status baseline_best_by_task(const struct environment *env,
    const struct baseline_settings *settings, const char *argument, struct baseline *out,
    struct error *err);
MUST_CHECK enum status baseline_best_by_prompt(const struct environment *env,
    const struct baseline_settings *settings, const char *argument, struct baseline *out,
    struct error *err);

#endif
