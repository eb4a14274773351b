/* plan.h - from scenes and prompts to sessions, turns and calls in the store.
 *
 * Along each session one path action continues the dialogue; fan-out calls ask other
 * actions the same turn with the same history; the reference answers once a turn.
 * Every call is known before any is sent, with the probability it was chosen with.
 * Planning again with the same recipe adds nothing; a larger sessions.n adds sessions. */
#ifndef COLLECTORS_PLAN_H
#define COLLECTORS_PLAN_H

#include <stdint.h>
#include "m4a1/base/progress.h"
#include "schema/store.h"

struct plan_options {
    int64_t n_sessions; /* in all for this seed; -1 = the recipe's */
    int64_t seed;       /* -1 = the recipe's */
    int64_t fan_out;    /* other actions a turn, -1 = all; -2 = the recipe's */
    int dry_run;        /* count, then write nothing */
    struct progress *progress;
};

struct plan_counts {
    int64_t sessions, turns, path, fan_out, reference;
    int64_t sessions_before;  /* of this seed, planned earlier */
    int64_t scenes, instants; /* that the new sessions are over */
};

/* One transaction.  E_ARG names what is missing: a recipe, scenes with all views,
 * prompts that suit a scene. */
MUST_CHECK enum status plan_make(struct store *store, const struct plan_options *options,
    struct plan_counts *counts, struct error *err);

#endif
