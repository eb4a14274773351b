/* learner_case.h - what learners are tested and measured on: the public slice of M4A1 as
 * published, and a small problem whose best actions are known. */
#ifndef TESTS_SUPPORT_LEARNER_CASE_H
#define TESTS_SUPPORT_LEARNER_CASE_H

#include <stddef.h>
#include "m4a1/tmo/environment.h"
#include "m4a1/tmo/learner.h"

struct learner_case {
    struct dataset *data;
    struct recorded *rec;
    struct environment *env; /* tabulated */
    size_t *train, *test;    /* [n_train], [n_test] indices into rec */
    size_t n_train, n_test;
};

/* The public slice with the goldens' split of seed 0, 1 or 2, in the published world, with
 * budgets in the observation or without.  0 where the shared files are absent. */
int learner_case_public(struct learner_case *c, int seed, int resource_aware);

/* n_sessions sessions of n_turns turns that record every action in both tasks.  Task 0 is
 * worth 2 in the cloud and 0 locally, task 1 the other way round: whatever views and costs
 * add (at most 1/3, at least -2/3), the best llm is plain.  All sessions are of both
 * halves; k neighbours, 1 of them gives the scores themselves. */
void learner_case_simple(
    struct learner_case *c, size_t n_sessions, size_t n_turns, size_t k);

void learner_case_release(struct learner_case *c);

/* Train with a seed, or fail the program with the learner's message. */
struct network learner_case_train(
    const struct learner_case *c, const struct learner_settings *set, uint64_t seed);

/* The mean over test sessions of the mean reward a turn, greedy, own transitions: the
 * reward of the authors' tables. */
double learner_case_reward(const struct learner_case *c, const struct network *net);

/* The mean reward on test sessions of five runs on each of the goldens' three splits, with
 * published settings; NAN where the shared files are absent. */
double learner_case_mean(enum learner_kind kind, int resource_aware);

/* The reward of the greedy actions in recorded observations, as a share of the best. */
double learner_case_share(const struct learner_case *c, const struct network *net);

#endif
