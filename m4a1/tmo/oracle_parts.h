/* oracle_parts.h - what the search without limits and the one under limits share. */
#ifndef M4A1_TMO_ORACLE_PARTS_H
#define M4A1_TMO_ORACLE_PARTS_H

#include "m4a1/tmo/oracle_memory.h"
#include "m4a1/tmo/oracle_search.h"

/* An action in the order in which a node's are tried. */
struct search_try {
    double lacking; /* least excess that it leaves; 0 without limits */
    double promise; /* most reward that it and all after it can bring */
    size_t action;
};

struct search {
    const struct search_problem *problem;
    struct memory memory;
    size_t max_moves, n_moves;
    int gave_up;                                 /* at max_moves */
    double ahead[SEARCH_MAX_TURNS + 1];          /* [t] most that turns t .. can bring */
    unsigned char *nodes;                        /* [T][node_size] */
    unsigned char *key;                          /* [key_size] */
    struct search_move *moves[SEARCH_MAX_TURNS]; /* [A] each; used without memory */
    struct search_try *tries[SEARCH_MAX_TURNS];  /* [A] each */
    size_t actions[SEARCH_MAX_TURNS];            /* taken on the way */
};

struct search_range {
    double lower, upper; /* lower: found; upper: not exceeded */
};

static inline void *search_node(const struct search *s, size_t turn)
{
    return s->nodes + turn * s->problem->node_size;
}

/* Remember the node that stands at turn; NULL where memory is full. */
struct memory_entry *search_remember(struct search *s, size_t turn);

/* False once max_moves were looked at: nothing more is proved then. */
int search_may_go_on(struct search *s);

/* The moves of the node at turn, from memory where they are there. */
const struct search_move *search_expand(
    struct search *s, size_t turn, struct memory_entry *entry);

/* Put the node behind a move at turn + 1; nothing in the last turn. */
void search_follow(
    struct search *s, size_t turn, size_t action, const struct search_move *move);

/* Most promising first; least lacking before that; the least action among equals. */
void search_sort(struct search_try *tries, size_t n);

/* What the turns from the node at turn can bring without limits.  Exact where that is
 * need or more; else only upper is of use, and it is below need. */
struct search_range search_solve(struct search *s, size_t turn, double need);

/* The best under limits, given the best without them. */
MUST_CHECK enum status search_within(struct search *s,
    const struct search_result *free_of_limits, struct search_result *out,
    struct error *err);

#endif
