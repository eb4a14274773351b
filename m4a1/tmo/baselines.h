/* baselines.h - what learners are compared with: one table of everything that chooses
 * without a network.
 *
 *   random, local, cloud   as TMO's authors draw: local with probability 1/2, else a cloud
 *                          action uniformly; a local action; a cloud action uniformly
 *   llm:NAME               an action of this llm uniformly
 *   best-fixed             one action for every turn
 *   best-by-task           one action for each task
 *   best-by-prompt         one action for each prompt; that of its task for a new one
 *   epsilon-greedy, ucb, linucb, thompson   bandits (bandits.h)
 *   planner                look-ahead in the model (planner.h); planner:D looks D turns
 *                          ahead
 *
 * All that is chosen or learned comes from training sessions in the environment's model;
 * one seed fixes it. */
#ifndef M4A1_TMO_BASELINES_H
#define M4A1_TMO_BASELINES_H

#include <stddef.h>
#include <stdint.h>
#include "m4a1/base/error.h"
#include "m4a1/tmo/chooser.h"
#include "m4a1/tmo/environment.h"

#define BASELINE_MAX_NAME 128

struct baseline_settings {
    int64_t steps; /* of those that learn: as many as a learner makes */
    uint64_t seed;
    size_t depth; /* of the planner: turns that it looks at, 1 = this one only */
    /* How much the bandits explore: 0 = the default of each (bandits.h). */
    double explore;
};

/* 30,000 steps, seed 0, depth 2, default exploration. */
struct baseline_settings baseline_defaults(void);

/* Something that chooses; its chooser is used by one thread at a time. */
struct baseline {
    char name[BASELINE_MAX_NAME];
    struct chooser chooser;
    void *state; /* what chooser.arg points to; owned */
    void (*free_state)(void *state);
};

struct baseline_spec {
    const char *name; /* "llm:" stands for every "llm:NAME" */
    const char *meaning;
    int draws;  /* its choices are drawn: evaluations differ by seed */
    int trains; /* it learns on settings->steps steps of the training stream */
    /* Fill chooser, state and free_state; argument: what stands behind ':' in the name,
     * else NULL. */
    enum status (*make)(const struct environment *env,
        const struct baseline_settings *settings, const char *argument,
        struct baseline *out, struct error *err);
};
extern const struct baseline_spec baseline_specs[];
extern const size_t n_baseline_specs;

/* The spec of a name ("ucb", "llm:NAME", "planner:3"), or NULL. */
const struct baseline_spec *baseline_spec(const char *name);

/* Make one by name; env outlives it.  E_ARG lists the names there are, or says what of
 * the settings is out of range. */
MUST_CHECK enum status baseline_make(const struct environment *env, const char *name,
    const struct baseline_settings *settings, struct baseline *out, struct error *err);
void baseline_release(struct baseline *b);

/* The names of all for this environment, with one of each llm, in the order of the table;
 * one allocation, freed with free(). */
MUST_CHECK enum status baseline_names(
    const struct environment *env, const char *const **out, size_t *n, struct error *err);

#endif
