/* trace_tell.h - what m4a1 trace shows of the environment: played steps, estimates and the
 * neighbours that they come from; as JSON, or for people. */
#ifndef M4A1_CLI_TRACE_TELL_H
#define M4A1_CLI_TRACE_TELL_H

#include "m4a1/base/json.h"
#include "m4a1/tmo/environment.h"

/* Print what the numbers of an observation are. */
void trace_print_legend(const struct environment *env);

/* True where the estimator has neighbours to show. */
int trace_has_neighbours(const struct environment *env);

/* A step of an episode with the neighbours of its estimate: an object more in steps, or
 * printed where steps is NULL. */
void trace_tell_step(struct json *steps, const struct episode *before,
    const struct episode *after, size_t action, const struct outcome *got,
    const struct knn_neighbours *near);

/* The estimate of an action in a recorded turn: an object more in list, or printed where
 * list is NULL. */
void trace_tell_estimate(struct json *list, const struct environment *env, size_t turn,
    size_t action, const struct knn_neighbours *near);

#endif
