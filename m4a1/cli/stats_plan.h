/* stats_plan.h - the topics of m4a1 stats that look at a store's plan: the state-action
 * space against the recipe's minima, and drift.  Each builds a document and prints it. */
#ifndef M4A1_CLI_STATS_PLAN_H
#define M4A1_CLI_STATS_PLAN_H

#include "export/json_keep.h"
#include "m4a1/base/error.h"

/* Put member "space" into root.  *holds: 1 = every minimum holds, 0 = not, -1 = data is
 * no store with a recipe; nothing is put in then. */
MUST_CHECK enum status stats_add_space(const char *data, struct json_keeper *k,
    struct json *root, int *holds, struct error *err);
/* NULL is fine: nothing is printed.  The minima and whether they hold; then the thin cells,
 * and with all also the grids of answers. */
void stats_print_minima(const struct json *space);
void stats_print_space(const struct json *space, int all);

/* Put member "llms" into root; E_ARG where data is no store. */
MUST_CHECK enum status stats_add_drift(
    const char *data, struct json_keeper *k, struct json *root, struct error *err);
void stats_print_drift(const struct json *root);

#endif
