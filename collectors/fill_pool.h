/* fill_pool.h - the fan-out calls that could still be added, by the cells that they would
 * help (for plan_fill.c).
 *
 * Each call of the pool is an action that its turn could ask and does not.  It counts for
 * up to four cells: context, action, prompt and state. */
#ifndef COLLECTORS_FILL_POOL_H
#define COLLECTORS_FILL_POOL_H

#include "collectors/cells.h"
#include "collectors/plan_turns.h"
#include "collectors/tally.h"
#include "m4a1/base/random.h"

#define FILL_SLOTS 4             /* context, action, prompt, state */
#define FILL_NONE ((uint32_t)-1) /* no call, no cell */

struct fill_call {
    uint32_t turn; /* index into the pool's turns */
    uint32_t actor, added;
    uint32_t cell[FILL_SLOTS]; /* index into the cells; FILL_NONE = there is none */
    uint32_t next[FILL_SLOTS]; /* the next call of that cell */
    int is_taken;
};

struct fill_pool {
    const struct plan_inputs *in;
    struct cells *cells;     /* not owned; must not be loaded anew while the pool lives */
    struct plan_turn *turns; /* owned, as all below */
    size_t n_turns;
    struct fill_call *calls;
    size_t n, size;
    uint32_t *first; /* [cells->n] the first call of each cell */
    struct tally asked;
    int64_t last_turn; /* turns up to this one are in */
};

/* An empty pool over these cells.  Release with fill_pool_release(), also after an error. */
MUST_CHECK enum status fill_pool_open(struct fill_pool *pool, struct store *store,
    const struct plan_inputs *in, struct cells *cells, struct error *err);
void fill_pool_release(struct fill_pool *pool);

/* Put in the turns that the store has and the pool has not, in a random order, so that no
 * session is favoured; with their calls that help some cell that lacks any. */
MUST_CHECK enum status fill_pool_add_turns(
    struct fill_pool *pool, struct store *store, struct rng *rng, struct error *err);

/* How many calls of the pool help the cell now, at most `enough` of them; of a state only
 * different actions count, and each once. */
int64_t fill_pool_n(const struct fill_pool *pool, size_t cell, int64_t enough);

/* The call that helps this cell and the most others beside; FILL_NONE: there is none. */
uint32_t fill_pool_best(const struct fill_pool *pool, size_t cell);

/* The call is planned now: its cells count it. */
MUST_CHECK enum status fill_pool_take(
    struct fill_pool *pool, uint32_t call, struct error *err);

/* A path call is planned now in a turn that is not in the pool. */
MUST_CHECK enum status fill_pool_count(struct fill_pool *pool,
    const struct plan_turn *turn, size_t actor, uint32_t added, struct error *err);

#endif
