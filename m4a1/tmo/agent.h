/* agent.h - an llm as the one that chooses: the state of a turn in words, the listed
 * actions by number, and its answers as a chooser.
 *
 * Questions are calls of purpose `agent` in the store that holds the llm's configuration;
 * the engine asks them, so each has its latency and its cost.  A question depends on the
 * state alone: equal states are one call, whichever sessions they are of.  An answer that
 * names no listed action, or a call that failed for good, counts as failed, and the local
 * llm without views answers that turn. */
#ifndef M4A1_TMO_AGENT_H
#define M4A1_TMO_AGENT_H

#include <stddef.h>
#include <stdint.h>
#include "m4a1/base/buffer.h"
#include "m4a1/base/error.h"
#include "m4a1/tmo/chooser.h"
#include "schema/store.h"

/* Ask what the agent is to do in the turn that ep is in; past[ep->turn] are the actions
 * that it took so far.  options[A] gets the actions in the order of their numbers, from 1,
 * *n how many are listed: those that are allowed, and of those that would do the same here
 * (their views are in the dialogue already) the first. */
MUST_CHECK enum status agent_question(const struct episode *ep, const size_t *past,
    struct buffer *out, size_t *options, size_t *n, struct error *err);

/* The first whole number in an answer where it is one of 1 .. n, else 0. */
size_t agent_read(const char *answer, size_t n);

/* What became of a decision. */
struct agent_decision {
    size_t action;
    int failed;                  /* the agent named none, and the local llm answers */
    double latency_s, usage_usd; /* of asking; NAN where unknown */
};

/* One llm as an agent in an environment.  Sessions are walked together, turn by turn. */
struct agent {
    const struct environment *env; /* the caller's, which outlives this */
    struct store *store; /* the caller's, open for writing while rounds are asked */
    char *name;          /* of the llm */
    int64_t llm_id;
    struct episode *episodes; /* [n] */
    size_t n;
    struct agent_decision *decisions; /* [n_turns of env->rec] */
    size_t *past;                     /* [n_turns of env->rec] the actions of these */
    int64_t *calls;                   /* [n] of this round; 0 = none */
    size_t n_decisions, n_failed;
    size_t n_calls; /* different questions */
};

/* Begin with n sessions (indices into env->rec), whose rows of the store are in the
 * data's session_id.  Questions that an earlier run left and never attempted are dropped:
 * they are planned anew where they are still to be asked.  E_ARG names the llms that there
 * are.  Released in every case. */
MUST_CHECK enum status agent_begin(struct agent *agent, const struct environment *env,
    struct store *store, const char *llm, const size_t *sessions, size_t n,
    struct error *err);
void agent_release(struct agent *agent);

/* Write down the questions of the next turn of each session; *open gets how many of them
 * have no answer and did not fail for good.  *done is 1 where no session has a turn left. */
MUST_CHECK enum status agent_plan_round(
    struct agent *agent, int *done, int64_t *open, struct error *err);

/* Take the answers and go on to the next turn.  E_PARTIAL where some are not there yet. */
MUST_CHECK enum status agent_take_round(struct agent *agent, struct error *err);

/* A chooser that repeats the decisions in the same sessions; arg is a const struct agent,
 * whose rounds are all taken. */
void agent_weigh(void *agent, const struct episode *ep, double *p);

/* Means over decisions of what asking took, as far as known; NAN where nothing is. */
void agent_means(const struct agent *agent, double *latency_s, double *usage_usd);

#endif
