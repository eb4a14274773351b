/* plan_undo.h - takes back what was planned and never asked.
 *
 * Attempted calls stay, always, and with them what they stand on: a path call stays while
 * any call of its turn or of a later one was attempted, a first sample while a further one
 * was.  A path call that goes takes its turn and all later ones along, so that each turn
 * keeps its path; a session none of whose calls was attempted goes whole, and can be planned
 * again.  Sessions of a frozen split stay. */
#ifndef COLLECTORS_PLAN_UNDO_H
#define COLLECTORS_PLAN_UNDO_H

#include <stdint.h>
#include "m4a1/base/error.h"
#include "schema/store.h"

struct undo_options {
    const char *llm; /* calls of this llm in all plans; NULL = those of the last plan */
    int dry_run;
};

struct undo_result {
    int64_t path, fan_out, reference, check, judge; /* calls that were dropped */
    int64_t turns, sessions, plans;
    int64_t shortened;  /* sessions that lost their last turns */
    int64_t attempted;  /* calls of the plan or llm that stay since they were attempted */
    int64_t kept;       /* others that stay: something that was attempted needs them */
    char behaviour[32]; /* of the last plan; "" with llm */
};

/* One transaction.  E_NOT_FOUND: no such llm, or nothing was ever planned. */
MUST_CHECK enum status plan_undo(struct store *store, const struct undo_options *options,
    struct undo_result *result, struct error *err);

#endif
