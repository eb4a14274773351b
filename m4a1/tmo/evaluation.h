/* evaluation.h - what a way of choosing is worth inside an environment's model.
 *
 * These are returns in a simulator whose estimator was fitted on training sessions, the
 * paper's measure; they do not predict scores of held-out turns (docs/tmo-evaluation.md).
 * The same actions can be scored again by a second estimator, say one that was fitted on
 * the test sessions only: what a policy learned of the first one's noise is lost there. */
#ifndef M4A1_TMO_EVALUATION_H
#define M4A1_TMO_EVALUATION_H

#include <stddef.h>
#include <stdint.h>
#include "m4a1/base/error.h"
#include "m4a1/tmo/chooser.h"

/* How a constraint was kept. */
struct evaluation_constraint {
    size_t n_over;      /* sessions beyond the budget */
    double rate;        /* their share */
    double mean_excess; /* of these sessions, in the constraint's unit; NAN where none */
    /* With costs as they vary (shield_risk), the mean over sessions; NAN = not asked for */
    double probability;
};

/* Means over sessions of means over turns, as the authors have them, and shares. */
struct evaluation {
    size_t n_sessions, n_turns;
    double response, association, reward; /* per turn, then per session */
    double other_response, other_reward;  /* by the second estimator; NAN = none */
    double latency_s, usage_usd, privacy; /* per session, all its turns */
    size_t n_constraints;
    struct evaluation_constraint constraints[CONSTRAINTS_MAX]; /* as in the settings */
    double over; /* share of sessions beyond some budget */
    /* The same by kind, with the greatest excess of a session over budgets of a kind. */
    double latency_excess_s, usage_excess_usd;
    size_t n_latency_over, n_usage_over;
    double latency_over, usage_over;
    size_t n_local; /* turns answered by local llms */
};

/* One session: means over its turns, and totals. */
struct evaluation_session {
    size_t session; /* index into rec */
    size_t n_turns; /* 0: it has none, and nothing else is set */
    double response, association, reward;
    double use[N_CONSTRAINT_KINDS];
    double excess;           /* beyond a budget, the greatest as a share of its scale */
    size_t n_local, n_shown; /* turns of local llms; views that llms see with turns */
};

/* What may be had beside the means; zeroed: nothing. */
struct evaluation_options {
    const struct estimator *other;         /* scores the same actions, too; NULL = none */
    struct evaluation_session *by_session; /* [n]; NULL = not wanted */
    /* [n_turns] of rec: the reward of each turn that was played; NULL = not wanted */
    double *rewards, *other_rewards;
    int with_risk; /* work out the probabilities of violations */
};

/* Walk the n sessions (indices into env->rec) in order under the rules of the model, with
 * full budgets each; actions are drawn from the chooser's probabilities by seed.  options
 * may be NULL.  E_ARG where there is no turn to evaluate. */
MUST_CHECK enum status evaluation_play(const struct environment *env,
    const size_t *sessions, size_t n, const struct chooser *chooser, uint64_t seed,
    const struct evaluation_options *options, struct evaluation *out, struct error *err);
/* The same without options. */
MUST_CHECK enum status evaluation_run(const struct environment *env,
    const size_t *sessions, size_t n, const struct chooser *chooser, uint64_t seed,
    struct evaluation *out, struct error *err);

/* An estimator of the kind that env's is, fitted on these sessions only; E_DATA where they
 * have too few scored answers. */
MUST_CHECK enum status evaluation_estimator(const struct environment *env,
    const size_t *sessions, size_t n, struct estimator **out, struct error *err);

/* The figures of a table, over seeds. */
enum evaluation_figure {
    FIGURE_RESPONSE,
    FIGURE_ASSOCIATION,
    FIGURE_LATENCY_S,
    FIGURE_USAGE_USD,
    FIGURE_REWARD,
    FIGURE_LATENCY_EXCESS_S,
    FIGURE_USAGE_EXCESS_USD,
    FIGURE_OVER,
    FIGURE_PRIVACY,
    FIGURE_OTHER_RESPONSE,
    FIGURE_OTHER_REWARD,
    N_FIGURES
};
extern const char *const evaluation_figure_names[N_FIGURES];

double evaluation_figure(const struct evaluation *one, enum evaluation_figure figure);

#define EVALUATION_MAX_SEEDS 1000

/* Mean and population deviation of a figure over n <= EVALUATION_MAX_SEEDS evaluations.
 * The mean excess is that of all sessions that exceed, whichever evaluation they are of;
 * it is NAN where none does, and its deviation always is. */
void evaluation_summary(const struct evaluation *all, size_t n,
    enum evaluation_figure figure, double *mean, double *deviation);

#endif
