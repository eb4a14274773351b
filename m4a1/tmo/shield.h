/* shield.h - which actions leave enough of every budget for the rest of the session.
 *
 * An action is allowed where, behind it, some sequence of actions stays within all
 * budgets to the end of the longest session (settings->longest turns; an actor does not
 * know how long this one is).  Where no action is, the reserve is for as many turns as
 * some action still leaves room for.  So a session whose budgets can be met keeps within
 * them, however long it is: what can be met for n turns is never given away for less.
 * A budget that is exceeded already is out of reach; then the others are kept, and of the
 * actions that keep them the ones that add least to it are allowed.
 *
 * Exact for fixed costs (the search gives up behind SHIELD_MAX_NODES steps, and takes the
 * action for one that leaves too little).  Where costs are measured it sets aside a quantile
 * of each, or the mean where no action leaves that much; so a session can exceed, with a
 * probability that shield_risk() tells. */
#ifndef M4A1_TMO_SHIELD_H
#define M4A1_TMO_SHIELD_H

#include "m4a1/tmo/environment.h"

#define SHIELD_MAX_NODES 20000

/* [A] of 0 or 1, never none; ep is not over.  Whatever the handling is. */
void shield_allowed(const struct episode *ep, unsigned char *allowed);

/* With which probability a session that took these actions [n] (in turn, of session, from
 * its start) exceeds each constraint, out [n_constraints], where its costs are measured:
 * seconds and USD of each turn are drawn log-normal with the cell's mean, and its reserve
 * at settings->reserve_share.  Costs that are fixed are not drawn.  One seed fixes the
 * SHIELD_DRAWS draws. */
#define SHIELD_DRAWS 2000
void shield_risk(const struct environment *env, size_t session, const size_t *actions,
    size_t n, uint64_t seed, double *out);

/* True where ep's session can go on for n_turns turns within all budgets. */
int shield_can_meet(const struct episode *ep, size_t n_turns);

#endif
