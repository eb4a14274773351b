/* oracle.h - the best that could be had: for every session the best sequence of actions
 * inside the environment's model, without and under its constraints, exact.
 *
 * The oracle knows the session's turns before they come, which no policy does; so what it
 * reaches bounds every policy's return in the same model from above.  It says nothing of
 * answers outside the model.  The search is oracle_search.h; where a session is too big
 * to be searched through, the result says so and lies between two bounds. */
#ifndef M4A1_TMO_ORACLE_H
#define M4A1_TMO_ORACLE_H

#include <stddef.h>
#include <stdint.h>
#include "m4a1/base/error.h"
#include "m4a1/tmo/chooser.h"
#include "m4a1/tmo/environment.h"
#include "m4a1/tmo/oracle_search.h"

/* Called behind each session; nonzero asks to stop. */
typedef int oracle_report(void *arg, size_t n_done, size_t n_all);

struct oracle_options {
    struct search_ceilings ceilings; /* of each session */
    oracle_report *report;           /* NULL = none */
    void *arg;
};
/* The search's ceilings, no report. */
struct oracle_options oracle_options(void);

/* A sequence of actions and what it leads to.  Rewards, responses and associations are
 * means over the turns of the session; costs are totals, of use by constraint_kind. */
struct oracle_sequence {
    size_t actions[SEARCH_MAX_TURNS];
    double reward;
    double upper; /* no sequence has a greater mean reward; reward where proved */
    int proved;   /* nothing better exists; among equals the least by action numbers */
    double response, association;
    double use[N_CONSTRAINT_KINDS];
    double excess[CONSTRAINTS_MAX]; /* over each constraint (constraints.h) */
    int feasible;                   /* all constraints are kept */
};

struct oracle_session {
    size_t session; /* index into env->rec */
    size_t n_turns;
    struct oracle_sequence best; /* without constraints */
    /* Under them.  Where no sequence is feasible: one of least excess, as the sum of each
     * constraint's share of its budget, and of these the best. */
    struct oracle_sequence kept;
};

struct oracle {
    struct oracle_session *sessions; /* those with turns, in the order given; owned */
    size_t n_sessions;
    double best, best_upper; /* means over sessions */
    /* Over the sessions with a feasible sequence; NAN where there is none. */
    double kept, kept_upper;
    size_t n_feasible;
    size_t n_best_over;              /* sessions whose best breaks a constraint */
    size_t n_unproved;               /* sessions where best or kept is not proved */
    size_t n_infeasible_unproved;    /* no feasible sequence found, and none ruled out */
    size_t n_moves;                  /* looked at in all */
    struct search_ceilings ceilings; /* that were searched under */
};

/* Search the n sessions (indices into env->rec) for the best sequences of the actions
 * that are offered (environment_offer); a shield takes none away.  E_ARG where none has a turn, or one has
 * more than SEARCH_MAX_TURNS; E_INTERRUPTED where the report asks to stop. */
MUST_CHECK enum status oracle_sessions(const struct environment *env,
    const size_t *sessions, size_t n, const struct oracle_options *options,
    struct oracle *out, struct error *err);
void oracle_release(struct oracle *oracle);

/* What was not proved, with the numbers and what to do, in text[size]; "" where all was. */
void oracle_unproved(const struct oracle *oracle, char *text, size_t size);

/* Everything that an action could lead to in the turns of a session is within these:
 * most[t] reward, least[t] use of each kind, [n_turns] each.  E_NOMEM. */
MUST_CHECK enum status oracle_bounds(const struct environment *env, size_t session,
    double *most, struct turn_cost *least, struct error *err);

/* True where estimates depend on what the turns before did; else on the views of the
 * dialogue only, and long sessions have few different nodes. */
int oracle_reads_states(const struct environment *env);

/* Play what was found: the arg of oracle_weigh(). */
struct oracle_player {
    const struct oracle *oracle;
    int kept; /* the sequence under constraints */
};

/* A chooser (chooser.h) for the sessions of the oracle. */
void oracle_weigh(void *player, const struct episode *ep, double *p);

#endif
