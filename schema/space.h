/* space.h - the pure encoding of states and actions for training (TMO, arXiv 2502.11007).
 *
 * It knows numbers only: no store, no data set, no costs.  Letters: X views, A actions,
 * S numbers a state (X + 2), O numbers of an observation's states (tau * S), F features
 * of an observation (O, or O + 2 with the two budget features).
 *
 * Actions, in the published order: 0 is the local llm; 1 + i the cloud llm with the i-th
 * subset of the views, subsets ordered by size, then lexicographically.
 * State of a turn: [previous turn's llm (0 local, 1 cloud, -1 none), previous turn's X
 * view bits, task index].  Observation: the last tau states, oldest first; missing ones
 * are all -1.  All of these are small integers, so distances between them are exact. */
#ifndef SCHEMA_SPACE_H
#define SCHEMA_SPACE_H

#include <stddef.h>
#include <stdint.h>
#include "m4a1/base/error.h"

#define SPACE_MAX_VIEWS 10 /* 1 + 2^10 actions */
#define SPACE_MAX_TASKS 500
#define SPACE_MAX_TAU 64
#define SPACE_ABSENT (-1) /* every number of a state that is not there */
/* Enough for any observation, and for one with its action bits behind it. */
#define SPACE_MAX_STATES (SPACE_MAX_TAU * (SPACE_MAX_VIEWS + 2))
#define SPACE_MAX_FEATURES (SPACE_MAX_STATES + 2)
#define SPACE_MAX_PAIR (SPACE_MAX_STATES + SPACE_MAX_VIEWS + 1)

struct space {
    size_t n_views, n_tasks, tau;
    size_t n_actions;  /* A = 1 + 2^X */
    size_t state_size; /* S = X + 2 */
    size_t n_states;   /* O = tau * S */
    uint32_t *views;   /* [A] the views an action uploads, bit i = view i; owned */
};

/* 1 <= n_views <= SPACE_MAX_VIEWS, 1 <= n_tasks <= SPACE_MAX_TASKS, 1 <= tau <=
 * SPACE_MAX_TAU; E_ARG otherwise, with the number. */
MUST_CHECK enum status space_init(
    struct space *space, size_t n_views, size_t n_tasks, size_t tau, struct error *err);
void space_release(struct space *space);

/* True for every action but 0. */
int space_is_cloud(size_t action);
/* How many views action (< A) uploads. */
size_t space_n_uploaded(const struct space *space, size_t action);
/* The action of the cloud llm with these views; of the local one for cloud = 0. */
size_t space_action(const struct space *space, int cloud, uint32_t views);

/* The X + 1 bits of an action as the estimator sees it: [cloud, view 0, ...]. */
void space_action_bits(const struct space *space, size_t action, int16_t *bits);

/* An observation before the first turn: O times SPACE_ABSENT. */
void space_clear(const struct space *space, int16_t *observation);
/* Push the state of a turn into observation[O]: the oldest falls out, and the new one
 * says what the turn before did (action SPACE_ABSENT = there was none) and which task
 * (< n_tasks) this turn has. */
void space_push(
    const struct space *space, int16_t *observation, long previous_action, size_t task);

#endif
