/* plan_add.h - a new llm asked over the histories that are there.
 *
 * For each planned turn its eligible actions become fan-out calls (a new reference: one
 * reference call).  Beside them an anchor sample of old answered calls is asked again as
 * calls of purpose check, in the same blocks, so that what changed at the old llms in
 * between can be told from what is new (export/drift.h). */
#ifndef COLLECTORS_PLAN_ADD_H
#define COLLECTORS_PLAN_ADD_H

#include "collectors/plan.h"

#define PLAN_MIN_ANCHORS 10 /* of an llm: fewer pairs allow no verdict (export/drift.h) */

struct add_options {
    const char *llm; /* its name; NULL = anchors only */
    int64_t fan_out; /* of its actions a turn, -1 = all; -2 = the recipe's, 0 as all */
    double anchors;  /* share of old answers asked again; < 0 = the recipe's share, and at
                      * least PLAN_MIN_ANCHORS of each llm where it has as many */
    int64_t seed;    /* -1 = the recipe's */
    int dry_run;
    struct plan_estimate *estimate; /* filled where not NULL; released by the caller */
    struct progress *progress;
};

struct add_result {
    struct plan_counts counts;
    int64_t n_turns;          /* turns that can be asked */
    int64_t n_without_action; /* of these: the llm can take no action there */
    int64_t n_old_answers;    /* answers the anchors were drawn from */
};

/* One transaction.  Doing it again adds only what is missing: turns planned since, and
 * anchors where there are none of this new llm yet.  E_NOT_FOUND: no such llm. */
MUST_CHECK enum status plan_add_llm(struct store *store,
    const struct add_options *options, struct add_result *result, struct error *err);

#endif
