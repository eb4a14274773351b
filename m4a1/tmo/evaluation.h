/* evaluation.h - what a way of choosing is worth inside the published simulator.
 *
 * These are returns in a simulator whose estimator was fitted on training sessions; they
 * do not predict scores of held-out turns (docs/tmo.md). */
#ifndef M4A1_TMO_EVALUATION_H
#define M4A1_TMO_EVALUATION_H

#include <stddef.h>
#include <stdint.h>
#include "m4a1/base/error.h"
#include "m4a1/tmo/chooser.h"

/* Means over sessions of means over turns, as the authors have them, and shares. */
struct evaluation {
    size_t n_sessions, n_turns;
    double response, association, reward; /* per turn, then per session */
    double latency_s, usage_usd;          /* per session, all its turns */
    /* mean excess over the sessions that exceed a budget; NAN where none does */
    double latency_excess_s, usage_excess_usd;
    size_t n_latency_over, n_usage_over;   /* sessions beyond each budget */
    double latency_over, usage_over, over; /* shares of sessions over each, over either */
    size_t n_local;                        /* turns answered by the local llm */
};

/* Walk the n sessions (indices into env->rec) in order under the rules of the model, with
 * full budgets each; actions are drawn from the chooser's probabilities by seed.  E_ARG
 * where there is no turn to evaluate. */
MUST_CHECK enum status evaluation_run(const struct environment *env,
    const size_t *sessions, size_t n, const struct chooser *chooser, uint64_t seed,
    struct evaluation *out, struct error *err);

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
