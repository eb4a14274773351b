/* behaviour.h - the rule that chooses a turn's action, as a distribution.
 *
 * Pure: no store, no clock.  An action is an llm and the set of views it adds to the
 * dialogue.  First the eligible actions are listed, then a behaviour gives each its
 * probability, then one is drawn.  The probability of every eligible action is stored
 * with the choice, so that values of other policies can be estimated from the data
 * later. */
#ifndef COLLECTORS_BEHAVIOUR_H
#define COLLECTORS_BEHAVIOUR_H

#include <stddef.h>
#include <stdint.h>
#include "m4a1/base/error.h"
#include "m4a1/base/random.h"
#include "schema/accepts.h"

/* What an llm offers. */
struct behaviour_llm {
    int cloud;      /* 0 = local */
    uint32_t *sets; /* [n_sets] listed sets of views, each once */
    size_t n_sets;
    int accepts[N_VIEW_KINDS];        /* as llm.accepts */
    const struct accepts_view *views; /* [32] by bit, borrowed */
};

struct behaviour_action {
    size_t llm;     /* index into the llms */
    uint32_t added; /* views that are new to the dialogue */
    double probability;
};

/* The eligible actions when the dialogue holds context, with the probabilities of
 * M4A1's rule: local or cloud with 1/2 each (1 where only one of them is eligible),
 * an llm of that role uniformly, a size uniformly among its listed sets' sizes, one of
 * the sets of that size uniformly, united with what is there already.  Listed sets
 * that add the same views are one action.  An llm is eligible with those sets only
 * that it accepts (accepts_action()); keeps_views tells whether views of earlier turns
 * are sent again.
 *   actions  [*n], in the order of llms, then of bits; freed with free()
 * E_ARG where nothing is eligible. */
MUST_CHECK enum status behaviour_eligible(const struct behaviour_llm *llms, size_t n_llms,
    uint32_t context, int keeps_views, struct behaviour_action **actions, size_t *n,
    struct error *err);

/* What a behaviour may look at beside the actions; members it does not need are unread. */
struct behaviour_choice {
    uint32_t context;     /* views that the dialogue holds before the turn */
    const int64_t *seen;  /* [n] how often each action was planned in this state */
    const double *wanted; /* [n] weight a policy gives to each action, at least 0 */
    double epsilon;       /* with this probability uniform instead of the policy */
    int greedy;           /* the policy's best action instead of its probabilities */
    size_t llm;           /* the named action: index into the llms ... */
    uint32_t views;       /* ... and the views it shall show */
};

struct behaviour {
    const char *name; /* as recipes say it */
    int needs_seen, needs_policy, needs_action;
    /* Give actions[n] (n > 0) probabilities that add up to 1. */
    enum status (*weigh)(const struct behaviour_choice *choice,
        struct behaviour_action *actions, size_t n, struct error *err);
};

/* The behaviours:
 *   m4a1      the rule of behaviour_eligible()
 *   uniform   every eligible action alike
 *   balanced  uniform over the actions seen least often in this state
 *   policy    (1 - epsilon) times the policy's weights over the eligible actions, or
 *             times uniform over its best ones, plus epsilon times uniform; uniform
 *             where it wants none of them
 *   fixed     the named action with probability 1; E_ARG where it is not eligible */
extern const struct behaviour behaviours[];
#define BEHAVIOUR_N 5

const struct behaviour *behaviour_find(const char *name); /* NULL: no such behaviour */

/* Draw one; returns its index. */
size_t behaviour_draw(const struct behaviour_action *actions, size_t n, struct rng *rng);

#endif
