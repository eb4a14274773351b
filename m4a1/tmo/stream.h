/* stream.h - training steps without end: all that a learner sees of the world.
 *
 * Sessions are drawn uniformly from the training sessions; one that ends is followed by
 * the next at once; or they are recombined from turns of these (recombined.h).  What constraints do to the reward happens here:
 *   published   each session's budgets are drawn (normal around the middle of tau times
 *               the cheapest and the dearest action, sigma a sixth of the range, clipped);
 *               once one is used up the reward is 0.  Only with resource_aware.
 *   penalty     minus lambda times what the turn adds to the excess over each budget
 *               (constraints.h), as a share of its scale; over a session that adds up to
 *               lambda * sum(max(g, 0)), and it is part of the return, so it has a gradient
 *   lagrangian  minus multiplier times what the turn adds to the peak use, as a share of
 *               the scale; multipliers begin at 0, and behind each session every one goes
 *               up by dual_rate * (peak use - budget) / scale, and not below 0 (dual
 *               ascent): budgets are met in the mean over sessions, not in each
 *   shield      nothing: stream_allowed() masks actions */
#ifndef M4A1_TMO_STREAM_H
#define M4A1_TMO_STREAM_H

#include <stdint.h>
#include "m4a1/base/random.h"
#include "m4a1/tmo/environment.h"
#include "m4a1/tmo/recombined.h"

struct stream {
    const struct environment *env;
    struct episode episode;
    struct rng sessions, budgets;
    struct response_cache cache;
    struct recombined *recombined; /* NULL = sessions are walked as they are; owned */
    double multipliers[CONSTRAINTS_MAX];
    int64_t n_steps, n_sessions;           /* sessions: those that ended */
    int64_t n_violations[CONSTRAINTS_MAX]; /* sessions with an excess */
    double reward_sum;                     /* of all steps, nothing taken off */
};

/* Begin; (env, seed) fixes all draws.  env outlives the stream, which stays where it is. */
void stream_init(struct stream *s, const struct environment *env, uint64_t seed);
void stream_release(struct stream *s);
/* Draw recombined sessions from here on, beginning a new one.  Nothing changes where
 * transitions are the recorded ones, since such sessions were never recorded. */
MUST_CHECK enum status stream_recombine(struct stream *s, struct error *err);
/* True where some action may not be allowed in some turn of this environment. */
int stream_is_masked(const struct environment *env);

/* What constraints take from the reward of a turn: mark before acting, charge behind it.
 * multipliers: of HANDLING_LAGRANGIAN, [n_constraints]. */
struct stream_mark {
    double peak[CONSTRAINTS_MAX], excess[CONSTRAINTS_MAX];
};
void stream_mark(struct stream_mark *mark, const struct episode *ep);
double stream_charge(const struct stream_mark *mark, const struct episode *behind,
    const double *multipliers, double reward);

/* The observation to act on, F features. */
void stream_observe(const struct stream *s, double *features);
/* Which actions may be taken, [A] of 0 or 1. */
void stream_allowed(const struct stream *s, unsigned char *allowed);
/* Act.  1 = that session ended, and the next one was begun. */
int stream_step(struct stream *s, size_t action, double *reward);

#endif
