/* space.h - the pure encoding of states and actions for training (TMO, arXiv 2502.11007).
 *
 * It knows numbers only: no store, no data set, no costs.  Letters: M llms, X views,
 * A actions, L numbers an llm takes (1 for one local and one cloud llm, else M), S
 * numbers of a state, O numbers of an observation's states (tau * S).
 *
 * An action is an llm and the views that it shows it.  Actions are any list; the default
 * is all: each local llm without views, then each cloud llm with each subset of the
 * views, subsets ordered by size, then lexicographically.  For one local and one cloud
 * llm that is the published order: 0 local, 1 + i the cloud with the i-th subset.
 *
 * State of a turn: [llm of the turn before (L), its X view bits, with_context: X bits of
 * the views that the dialogue holds before this turn, task index].  For one local and one
 * cloud llm L is one number, 0 local, 1 cloud, -1 none, which is the published encoding;
 * else the llm is one-hot, and all zero where there is none.  Observation: the last tau
 * states, oldest first; missing ones are all -1.  All of these are small integers, so
 * distances between them are exact. */
#ifndef SCHEMA_SPACE_H
#define SCHEMA_SPACE_H

#include <stddef.h>
#include <stdint.h>
#include "m4a1/base/error.h"

#define SPACE_MAX_LLMS 16
#define SPACE_MAX_VIEWS 10
#define SPACE_MAX_TASKS 500
#define SPACE_MAX_TAU 64
#define SPACE_MAX_ACTIONS 16384 /* 15 cloud llms with every subset of 10 views fit */
#define SPACE_ABSENT (-1)       /* every number of a state that is not there */
#define SPACE_MAX_STATES 1024   /* numbers of an observation's states */
#define SPACE_MAX_FEATURES 2048 /* numbers of an observation as a learner sees it */
/* The numbers of an action for an estimator, and of an observation with them behind. */
#define SPACE_MAX_BITS (SPACE_MAX_LLMS + SPACE_MAX_VIEWS)
#define SPACE_MAX_PAIR (SPACE_MAX_STATES + SPACE_MAX_BITS)

struct space_action {
    size_t llm;     /* < M */
    uint32_t views; /* bit i = view i */
};

/* What space_init() is given; all copied. */
struct space_shape {
    size_t n_llms;
    const unsigned char *cloud; /* [M] 1 = views and prompts leave the device */
    size_t n_views, n_tasks, tau;
    int with_context;                   /* states hold the views of the dialogue */
    const struct space_action *actions; /* [n_actions]; NULL = all */
    size_t n_actions;
};

struct space {
    size_t n_llms; /* M */
    unsigned char cloud[SPACE_MAX_LLMS];
    uint32_t accepts[SPACE_MAX_LLMS]; /* the views that some action shows this llm */
    size_t n_views, n_tasks, tau;
    int with_context;
    size_t n_actions;             /* A */
    struct space_action *actions; /* [A]; owned */
    size_t llm_size;              /* L */
    size_t state_size;            /* S = L + X + (with_context ? X : 0) + 1 */
    size_t n_states;              /* O = tau * S */
};

/* What a turn did, as the state of the next one says it. */
struct space_past {
    size_t llm;
    uint32_t views;
};

/* 1 <= n_views <= SPACE_MAX_VIEWS, 1 <= n_tasks <= SPACE_MAX_TASKS, 1 <= tau <=
 * SPACE_MAX_TAU, 1 <= n_llms <= SPACE_MAX_LLMS, listed actions of these llms and views
 * that differ, tau * S <= SPACE_MAX_STATES; E_ARG otherwise, with the number. */
MUST_CHECK enum status space_init(
    struct space *space, const struct space_shape *shape, struct error *err);
/* The published space: one local llm, one cloud llm, all actions, no context. */
MUST_CHECK enum status space_init_published(
    struct space *space, size_t n_views, size_t n_tasks, size_t tau, struct error *err);
void space_release(struct space *space);

/* True where an action (< A) asks a cloud llm. */
int space_is_cloud(const struct space *space, size_t action);
/* How many views an action (< A) shows. */
size_t space_n_uploaded(const struct space *space, size_t action);
/* The action that shows an llm these views, or SIZE_MAX where it is not listed. */
size_t space_find(const struct space *space, size_t llm, uint32_t views);

/* The L + X numbers of an action as an estimator sees it: [llm, view 0, ...], with the
 * llm as in a state.  Of any llm and views, listed or not. */
size_t space_n_bits(const struct space *space);
void space_bits(const struct space *space, size_t llm, uint32_t views, int16_t *bits);
void space_action_bits(const struct space *space, size_t action, int16_t *bits);

/* How many views a set holds. */
size_t space_count(uint32_t views);

/* An observation before the first turn: O times SPACE_ABSENT. */
void space_clear(const struct space *space, int16_t *observation);
/* Push the state of a turn into observation[O]: the oldest falls out, and the new one
 * says what the turn before did (NULL = there was none), which views the dialogue holds
 * (ignored without with_context) and which task (< n_tasks) this turn has. */
void space_push(const struct space *space, int16_t *observation,
    const struct space_past *past, uint32_t context, size_t task);

#endif
