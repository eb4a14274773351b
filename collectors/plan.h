/* plan.h - from scenes and prompts to sessions, turns and calls in the store.
 *
 * Along each session one path action continues the dialogue; fan-out calls ask other
 * actions the same turn with the same history; the reference answers once a turn.
 * Every call is known before any is sent, with the probability it was chosen with.
 * Planning again with the same recipe adds nothing; a larger sessions.n adds sessions. */
#ifndef COLLECTORS_PLAN_H
#define COLLECTORS_PLAN_H

#include <stdint.h>
#include "collectors/plan_estimate.h"
#include "collectors/plan_inputs.h"
#include "m4a1/base/progress.h"
#include "schema/store.h"

/* One turn of a dialogue as a policy sees it. */
struct plan_step {
    const char *task;
    size_t actor;            /* who answered; index into the inputs' actors */
    uint32_t added, context; /* context includes what was added */
};

/* What a trained policy wants, asked of whoever can run one. */
struct plan_policy {
    /* Fill wanted[n_actions], each at least 0, for the turn whose task is
     * steps[n_steps - 1].task; the steps before it were played. */
    enum status (*weigh)(void *data, const struct plan_inputs *in,
        const struct plan_step *steps, size_t n_steps,
        const struct behaviour_action *actions, size_t n_actions, double *wanted,
        struct error *err);
    void *data;
    const char *file; /* named in the plan's settings */
    const char *sha256;
};

struct plan_options {
    int64_t n_sessions;    /* in all for this seed; -1 = the recipe's */
    int64_t seed;          /* -1 = the recipe's */
    int64_t fan_out;       /* other actions a turn, -1 = all; -2 = the recipe's */
    int64_t samples;       /* 0 = the recipe's */
    const char *behaviour; /* NULL = the recipe's */
    const struct plan_policy *policy; /* for the behaviour "policy" */
    const char *script; /* scripted sessions (plan_script.h); NULL = the recipe's */
    double epsilon;     /* of it; < 0 = the recipe's */
    int greedy;         /* of it; -1 = the recipe's */
    int dry_run;        /* count, then write nothing */
    struct plan_estimate *estimate; /* filled where not NULL; released by the caller */
    struct progress *progress;
};

/* Everything as the recipe says. */
struct plan_options plan_options_init(void);

struct plan_counts {
    int64_t sessions, turns, path, fan_out, reference, check;
    int64_t sessions_before;  /* of this seed, planned earlier */
    int64_t scenes, instants; /* that the new sessions are over */
};

/* One transaction.  E_ARG names what is missing: a recipe, scenes with all views,
 * prompts that suit a scene, a policy. */
MUST_CHECK enum status plan_make(struct store *store, const struct plan_options *options,
    struct plan_counts *counts, struct error *err);

#endif
