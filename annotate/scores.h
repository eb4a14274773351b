/* scores.h - writing scores, and the pass that marks refusals. */
#ifndef ANNOTATE_SCORES_H
#define ANNOTATE_SCORES_H

#include <stdint.h>
#include "m4a1/base/error.h"
#include "schema/store.h"

/* One scorer's value for a response.  A row that was unscored (value NULL, reason set)
 * gives way to a later one of the same scorer and version; a value never does. */
struct score {
    int64_t response_id;
    const char *scorer, *version;
    const double *value;   /* NULL = unscored */
    const char *reason;    /* why; NULL where value is set */
    int64_t judge_call_id; /* 0 = none */
    const char *details;   /* JSON; NULL = none */
};

MUST_CHECK enum status score_put(
    struct store *store, const struct score *score, struct error *err);

/* Mark every response to a prompt (not a judge's) that has no refusal score of today's
 * version yet; scores of earlier versions stay.  One transaction.  n_new: how many were
 * marked. */
MUST_CHECK enum status scores_mark_refusals(
    struct store *store, int64_t *n_new, struct error *err);

#endif
