/* fill_aim.h - a path of actions that leads to a cell (for plan_fill.c).
 *
 * Pure: it knows what the llms offer, and draws one of the ways uniformly turn by turn
 * over the actions from which the cell can still be reached. */
#ifndef COLLECTORS_FILL_AIM_H
#define COLLECTORS_FILL_AIM_H

#include "collectors/cells.h"

/* The eligible actions of a turn, with the probabilities of the draw, and the choice. */
struct aimed_turn {
    struct behaviour_action *actions; /* owned */
    size_t n, chosen;
};

struct aim {
    struct aimed_turn *turns; /* [n_turns]; owned */
    size_t n_turns;
    size_t at; /* the turn that hits the cell */
};

/* Aim at a context, action or prompt cell with a session of at least min_turns and at
 * most max_turns.  E_NOT_FOUND: it cannot be reached in so many turns. */
MUST_CHECK enum status aim_draw(const struct plan_inputs *in, const struct cell_key *key,
    size_t min_turns, size_t max_turns, struct rng *rng, struct aim *out,
    struct error *err);
void aim_release(struct aim *aim);

#endif
