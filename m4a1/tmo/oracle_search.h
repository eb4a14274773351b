/* oracle_search.h - the best sequence of actions through a walk of known length, exact.
 *
 * It knows nodes, rewards, costs and limits only: no session, no estimator.  A walk has
 * T turns; in each, one of A actions is taken, which brings a reward, costs something,
 * and leads to one known node.  Equal nodes (equal keys) have equal futures.
 *
 * Without limits: depth first with memory, a node's actions by what they could still
 * bring, cut off where that is too little (branch and bound).  With limits: the same over
 * (reward, what was spent so far), where the best without limits from a node bounds what
 * it can bring, and a node that was reached before with as much reward for less is left.
 * Both are exact as long as the ceilings hold; else the result is a sequence that was
 * found, with an upper bound of what none can exceed. */
#ifndef M4A1_TMO_ORACLE_SEARCH_H
#define M4A1_TMO_ORACLE_SEARCH_H

#include <stddef.h>
#include <stdint.h>
#include "m4a1/base/error.h"
#include "m4a1/tmo/constraints.h"

#define SEARCH_MAX_TURNS 64
#define SEARCH_MAX_ACTIONS 16384
/* Sums of rewards this close are equal: their turns may have been added in another
 * order. */
#define SEARCH_EQUAL 1e-11

struct search_move {
    double reward;
    struct turn_cost cost; /* none negative */
};

struct search_problem {
    size_t n_turns, n_actions; /* T, A */
    size_t node_size;          /* bytes of a node: plain data, copied at will */
    size_t key_size;           /* bytes of a key */
    const void *start;         /* node of the first turn */
    const struct constraint *limits;
    size_t n_limits;               /* <= CONSTRAINTS_MAX */
    const double *most;            /* [T] no turn brings more than this */
    const struct turn_cost *least; /* [T] no turn costs less than this */
    const void *arg;
    /* All A moves of a node. */
    void (*expand)(const void *arg, const void *node, struct search_move *moves);
    /* Turn a node into the one behind an action; never called in the last turn. */
    void (*follow)(
        const void *arg, void *node, size_t action, const struct search_move *move);
    /* What the future of a node depends on (its turn is added here). */
    void (*key)(const void *arg, const void *node, void *key);
};

struct search_ceilings {
    size_t max_moves; /* moves that are looked at before the search gives up proving */
    size_t max_bytes; /* of memory of nodes; beyond it nodes are not remembered */
};
/* 20 million moves, 256 MiB. */
struct search_ceilings search_ceilings(void);

struct search_result {
    double reward; /* sum over the turns of the sequence */
    double upper;  /* no sequence exceeds it; reward where the search was finished */
    int proved; /* the sequence is the best, and the least by action numbers of these */
    /* With limits: the sum over limits of the excess (constraints.h), each as a share of
     * its budget (of 1 where that is 0); 0 = all are kept.  Where no sequence keeps all,
     * this is one of least excess, of these the best. */
    double excess;
    size_t actions[SEARCH_MAX_TURNS];
    size_t n_moves; /* looked at */
};

/* The best sequence without limits, and, unless kept is NULL, under them.
 * E_ARG for more turns, actions or limits than fit. */
MUST_CHECK enum status search_best(const struct search_problem *problem,
    const struct search_ceilings *ceilings, struct search_result *free_of_limits,
    struct search_result *kept, struct error *err);

#endif
