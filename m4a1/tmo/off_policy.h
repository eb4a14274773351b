/* off_policy.h - what a way of choosing would have earned, from answers that were recorded.
 *
 * No simulator is trusted here: the behaviour that collected the data was random and its
 * probabilities are known (propensity.h), so turns in which it happened to do what the
 * policy would do stand for the others.  The rewards are those of the environment with the
 * recorded score in place of the estimate: S by the refusal rule of the encoding, the
 * association of the shown views, latency and usage by the cost table or as observed.
 * Actions that add the same views to the dialogue are one.
 *
 *   per turn   one-step deviations: histories are the behaviour's, and the policy chooses
 *              one turn.  The weight of a turn is the policy's probability of what was
 *              done over the behaviour's.
 *   sequence   the policy chooses all turns: the weight is the product of these over the
 *              session so far.  Few sessions agree with a policy throughout, so the
 *              effective sample is small and says so.
 *   direct     where fan-out measured every action of a turn, the reward of the policy's
 *              own, per turn on the behaviour's histories, without weights.
 *
 * Self-normalised values divide by the sum of weights.  Doubly robust ones add the
 * weighted errors of an outcome model to what the model expects (Dudik, Langford & Li,
 * "Doubly robust policy evaluation and learning", 2011; of sequences Jiang & Li, "Doubly
 * robust off-policy value evaluation", 2016).  The model is an estimator of scores,
 * cross-fitted: a session's is fitted on all sessions of the data but those of its fold.
 * For a sequence it plays the policy on from each turn through the recorded script.
 *
 * All values are rewards a turn. */
#ifndef M4A1_TMO_OFF_POLICY_H
#define M4A1_TMO_OFF_POLICY_H

#include <stddef.h>
#include <stdint.h>
#include "m4a1/base/error.h"
#include "m4a1/tmo/bootstrap.h"
#include "m4a1/tmo/chooser.h"
#include "m4a1/tmo/propensity.h"

struct off_policy_settings {
    struct estimator_settings model; /* of the outcome model */
    size_t n_folds;                  /* 2 .. 1000; never more than sessions */
    uint64_t seed;                   /* deals sessions to folds, draws in the model */
    int observed_costs; /* latency and USD of the answers, in the table's range */
    size_t n_draws;     /* of what follows a turn, for policies that draw; >= 1 */
};

/* Ridge, 5 folds, seed 0, costs of the table, 8 draws. */
struct off_policy_settings off_policy_defaults(void);

struct off_policy; /* opaque */

/* What can be said of the n sessions (indices into env->rec) to a chooser that acts in
 * env; env outlives it.  E_DATA where there is no turn, fewer than two sessions in all, or
 * a probability is missing. */
MUST_CHECK enum status off_policy_new(const struct environment *env,
    const size_t *sessions, size_t n, const struct off_policy_settings *settings,
    struct off_policy **out, struct error *err);
void off_policy_free(struct off_policy *op); /* NULL is fine */

/* Turns of all its sessions, in their order; how many have every action measured; and how
 * its probabilities are known. */
size_t off_policy_n_turns(const struct off_policy *op);
size_t off_policy_n_direct(const struct off_policy *op);
const struct propensity *off_policy_propensity(const struct off_policy *op);

/* One turn under one policy. */
struct off_policy_turn {
    size_t turn, session; /* of rec */
    double counts;        /* 1; 0 where the path has no reward to count */
    double ratio;         /* policy's over behaviour's probability of what was done */
    double product;       /* of the ratios of this session so far, this one included */
    double reward;        /* of the path */
    double robust;        /* the turn's share of the doubly robust value, per turn */
    double robust_sequence;
    double direct; /* NAN where not every action was measured */
    int is_last;   /* of its session */
};

/* Ask a chooser in every turn.  out[off_policy_n_turns()]. */
MUST_CHECK enum status off_policy_ask(const struct off_policy *op,
    const struct chooser *chooser, struct off_policy_turn *out, struct error *err);
/* The behaviour itself: all ratios 1. */
void off_policy_behaviour(const struct off_policy *op, struct off_policy_turn *out);

enum off_policy_figure {
    OFF_POLICY_TURN,            /* self-normalised, per turn */
    OFF_POLICY_TURN_ROBUST,     /* doubly robust, per turn */
    OFF_POLICY_SEQUENCE,        /* self-normalised, sequential */
    OFF_POLICY_SEQUENCE_ROBUST, /* doubly robust, sequential */
    OFF_POLICY_DIRECT,
};
#define N_OFF_POLICY_FIGURES 5
extern const char *const off_policy_names[N_OFF_POLICY_FIGURES]; /* "turn", ... */

/* Add turns[n] to the sums of a figure, each at the cluster of its turn, for
 * bootstrap_run(): a figure is sum above / sum below, and weights say how much rests on
 * each cluster. */
void off_policy_sums(const struct off_policy_turn *turns, size_t n,
    enum off_policy_figure figure, const struct clusters *clusters, double *above,
    double *below, double *weights);

/* The figures of turns[n]; NAN where not defined. */
struct off_policy_value {
    double of[N_OFF_POLICY_FIGURES];
    double effective_turns;    /* (sum w)^2 / sum w^2 of the ratios */
    double effective_sessions; /* the same of the products of whole sessions */
    double
        mean_ratio; /* near 1; far below: the policy does what the behaviour never did */
    size_t n_turns, n_direct;
};
void off_policy_summary(
    const struct off_policy_turn *turns, size_t n, struct off_policy_value *out);

#endif
