/* planner.h - look ahead in the environment's model, over the turns that may come.
 *
 * The planner knows what a policy may know: the turns so far, this turn's task, prompt
 * and associations.  What comes is a distribution from training sessions: whether a
 * session of so many turns goes on, the next task given this one (one count spread over
 * the tasks as they come in all), the prompt given the task where the estimator reads
 * prompts.  A possible turn has the associations of the recorded training turn of its
 * kind that lies nearest to their mean.  Depth d is an expectimax over d turns, this one
 * included: depth 1 is greedy.
 *
 * A session's result is the mean over its turns, and the planner does not know their
 * number, so a turn counts by the expectation of 1 / number of turns: turn t + 1 weighs
 * w(t + 1) / w(t) of turn t, w(t) = sum over lengths n > t of P(n) / n. */
#ifndef M4A1_TMO_PLANNER_H
#define M4A1_TMO_PLANNER_H

#include "m4a1/tmo/baselines.h"

#define PLANNER_DEPTH 2 /* of "planner" without a number */
#define PLANNER_MAX_DEPTH 6

/* Maker of the table of baselines; the argument, where there is one, is the depth.
 * E_ARG for a depth out of range. */
MUST_CHECK enum status planner_make(const struct environment *env,
    const struct baseline_settings *settings, const char *argument, struct baseline *out,
    struct error *err);

#endif
