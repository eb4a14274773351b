/* constraints.h - what a session may use up, and how a learner is held to it.
 *
 * A constraint limits one cost: seconds, USD or privacy, over the session or over its
 * last few turns.  A session's excess over a constraint is the greatest amount by which
 * the use within the horizon was ever beyond the budget (over a session: what it used in
 * all, less the budget; 0 where it kept within).  Everything goes by this one figure: the
 * violation rate counts sessions whose excess is positive, penalties add up to lambda
 * times it, and the shield keeps it at 0. */
#ifndef M4A1_TMO_CONSTRAINTS_H
#define M4A1_TMO_CONSTRAINTS_H

#include <stddef.h>
#include "m4a1/base/error.h"

enum constraint_kind {
    CONSTRAINT_LATENCY, /* seconds */
    CONSTRAINT_USAGE,   /* USD */
    /* Sum of the privacy levels of the views that leave the device, each view once per
     * provider and session. */
    CONSTRAINT_PRIVACY,
};
#define N_CONSTRAINT_KINDS 3
extern const char *const constraint_names[N_CONSTRAINT_KINDS]; /* "latency", ... */
extern const char *const constraint_units[N_CONSTRAINT_KINDS]; /* "s", "USD", "levels" */

#define CONSTRAINTS_MAX 6
#define CONSTRAINT_MAX_HORIZON 64

struct constraint {
    enum constraint_kind kind;
    double budget;  /* >= 0 */
    size_t horizon; /* 0 = the session, n = the last n turns */
};

enum constraint_handling {
    HANDLING_NONE,       /* they are counted only */
    HANDLING_PUBLISHED,  /* budgets drawn in training, reward 0 once one is used up */
    HANDLING_PENALTY,    /* the return loses lambda times the excess over the budget */
    HANDLING_LAGRANGIAN, /* the return loses a price for every use; dual ascent sets it */
    HANDLING_SHIELD,     /* actions that would leave too little are not offered */
};
#define N_HANDLINGS 5
extern const char *const handling_names[N_HANDLINGS]; /* "none", "published", ... */

/* Kind or handling of a name; E_ARG lists the names there are. */
MUST_CHECK enum status constraint_kind_of(
    const char *name, enum constraint_kind *out, struct error *err);
MUST_CHECK enum status handling_of(
    const char *name, enum constraint_handling *out, struct error *err);

/* At most CONSTRAINTS_MAX, budgets finite and not negative, horizons in range, none twice;
 * E_ARG names the first that is not. */
MUST_CHECK enum status constraints_check(
    const struct constraint *list, size_t n, struct error *err);

/* What a turn costs, by kind. */
struct turn_cost {
    double of[N_CONSTRAINT_KINDS];
};

/* The books of one session; plain data. */
struct ledger {
    size_t n_turns;
    double budget[CONSTRAINTS_MAX];
    double remaining[CONSTRAINTS_MAX]; /* budget less the use within the horizon */
    double peak[CONSTRAINTS_MAX];      /* the greatest use within the horizon so far */
    double total[N_CONSTRAINT_KINDS];  /* of the session */
    struct turn_cost recent[CONSTRAINT_MAX_HORIZON]; /* turn t at t % MAX */
};

/* Nothing used; budgets of the list. */
void ledger_start(struct ledger *ledger, const struct constraint *list, size_t n);
/* Enter a turn. */
void ledger_spend(struct ledger *ledger, const struct constraint *list, size_t n,
    const struct turn_cost *cost);
/* max(peak - budget, 0) of constraint i; a difference of rounding is none. */
double ledger_excess(const struct ledger *ledger, size_t i);

#endif
