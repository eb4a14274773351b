/* bandits.h - learners that look at one turn only: what an action earns now, not what it
 * leads to.
 *
 * Each learns on the training stream, and then takes the action of the greatest estimated
 * mean.  Letters: A arms (actions), D numbers of a turn (1 and the learners' features), x
 * these numbers, n_a steps that took arm a.
 *
 *   ucb             UCB1 (Auer, Cesa-Bianchi, Fischer 2002), an own bandit for each task:
 *                   each arm once, then the greatest mean + c * sqrt(2 ln n / n_a)
 *   linucb          disjoint LinUCB (Li, Chu, Langford, Schapire 2010, algorithm 1): each
 *                   arm a ridge regression with the unit penalty; the greatest
 *                   x . theta_a + c * sqrt(x' V_a x), V_a the inverse of 1 + sum(x x')
 *   thompson        linear Thompson sampling (Agrawal, Goyal 2013): the greatest draw from
 *                   N(x . theta_a, c^2 x' V_a x) of the same regressions
 *   epsilon-greedy  the greatest x . theta_a of them; with probability c any arm (Sutton,
 *                   Barto 2018, section 2.2)
 *
 * c is settings->explore; its defaults were chosen on training sessions of the public data
 * alone (docs/tmo-bound.md has the figures). */
#ifndef M4A1_TMO_BANDITS_H
#define M4A1_TMO_BANDITS_H

#include "m4a1/tmo/baselines.h"

#define BANDIT_EPSILON 0.03
#define BANDIT_UCB 0.5
#define BANDIT_LINUCB 2
#define BANDIT_THOMPSON 1

/* Makers of the table of baselines; arguments as there.  E_ARG for steps below 1,
 * exploration that is negative (or above 1 where it is a probability), and for more arms
 * and features than fit. */
MUST_CHECK enum status bandit_make_epsilon_greedy(const struct environment *env,
    const struct baseline_settings *settings, const char *argument, struct baseline *out,
    struct error *err);
MUST_CHECK enum status bandit_make_ucb(const struct environment *env,
    const struct baseline_settings *settings, const char *argument, struct baseline *out,
    struct error *err);
MUST_CHECK enum status bandit_make_linucb(const struct environment *env,
    const struct baseline_settings *settings, const char *argument, struct baseline *out,
    struct error *err);
MUST_CHECK enum status bandit_make_thompson(const struct environment *env,
    const struct baseline_settings *settings, const char *argument, struct baseline *out,
    struct error *err);

#endif
