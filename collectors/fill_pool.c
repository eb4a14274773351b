/* fill_pool.c - see fill_pool.h.  The calls of a cell are a linked list. */
#include "collectors/fill_pool.h"

#include <stdlib.h>
#include <string.h>

#include "m4a1/base/text.h"

#define SLOT_STATE 3

static int64_t llm_of(const struct fill_pool *pool, size_t actor)
{
    return pool->in->llms[pool->in->actor_llm[actor]].llm_id;
}

static uint32_t index_of(const struct cells *cells, struct cell_key key)
{
    const struct cell *cell = cells_find(cells, &key);
    return cell ? (uint32_t)(cell - cells->cell) : FILL_NONE;
}

static void find_cells(const struct fill_pool *pool, const struct plan_turn *t,
    size_t actor, uint32_t added, uint32_t out[FILL_SLOTS])
{
    const struct cells *cells = pool->cells;
    int64_t llm_id = llm_of(pool, actor);
    out[0] = index_of(cells,
        cells_context_key(t->task_id, (int)t->position, llm_id, t->context | added));
    out[1] = index_of(cells, cells_action_key(t->task_id, llm_id, added));
    out[2] = index_of(cells, cells_prompt_key(t->prompt_id));
    out[SLOT_STATE] =
        index_of(cells, cells_state_key(t->task_id, t->previous_id, t->context));
}

static struct tally_key tally_key_of(
    const struct fill_pool *pool, const struct plan_turn *t, size_t actor, uint32_t added)
{
    return (struct tally_key) { .task_id = t->task_id,
        .previous_id = t->previous_id,
        .llm_id = llm_of(pool, actor),
        .context = t->context,
        .added = added };
}

static int is_new_action(const struct fill_pool *pool, const struct fill_call *c)
{
    struct tally_key key = tally_key_of(pool, &pool->turns[c->turn], c->actor, c->added);
    return tally_of(&pool->asked, &key) == 0;
}

/* Does the call help the cell of this slot? */
static int helps(const struct fill_pool *pool, const struct fill_call *c, int slot)
{
    return c->cell[slot] != FILL_NONE &&
           cell_lacks(&pool->cells->cell[c->cell[slot]], 0) > 0 &&
           (slot != SLOT_STATE || is_new_action(pool, c));
}

static int n_helped(const struct fill_pool *pool, const struct fill_call *c)
{
    int n = 0;
    for (int slot = 0; slot < FILL_SLOTS; slot++)
        n += helps(pool, c, slot);
    return n;
}

/* ---- putting in ---- */

enum status fill_pool_open(struct fill_pool *pool, struct store *store,
    const struct plan_inputs *in, struct cells *cells, struct error *err)
{
    *pool = (struct fill_pool) { .in = in, .cells = cells };
    pool->first = malloc((cells->n + 1) * sizeof *pool->first);
    if (!pool->first)
        return error_nomem(err, cells->n * sizeof *pool->first);
    for (size_t i = 0; i < cells->n; i++)
        pool->first[i] = FILL_NONE;
    return tally_load(store, &pool->asked, err);
}

void fill_pool_release(struct fill_pool *pool)
{
    free(pool->turns);
    free(pool->calls);
    free(pool->first);
    tally_release(&pool->asked);
    *pool = (struct fill_pool) { 0 };
}

static enum status add_call(
    struct fill_pool *pool, const struct fill_call *call, struct error *err)
{
    if (pool->n == pool->size) {
        size_t size = pool->size ? 2 * pool->size : 1024;
        struct fill_call *grown =
            size < FILL_NONE ? realloc(pool->calls, size * sizeof *grown) : NULL;
        if (!grown)
            return error_nomem(err, size * sizeof *grown);
        pool->calls = grown;
        pool->size = size;
    }
    uint32_t at = (uint32_t)pool->n++;
    struct fill_call *c = &pool->calls[at];
    *c = *call;
    for (int slot = 0; slot < FILL_SLOTS; slot++) {
        if (c->cell[slot] == FILL_NONE)
            continue;
        c->next[slot] = pool->first[c->cell[slot]];
        pool->first[c->cell[slot]] = at;
    }
    return OK;
}

static int is_asked(
    const struct plan_asked *asked, size_t n, int64_t llm_id, uint32_t added)
{
    for (size_t i = 0; i < n; i++) {
        if (asked[i].llm_id == llm_id && asked[i].added == added)
            return 1;
    }
    return 0;
}

static enum status add_turn(
    struct fill_pool *pool, struct store *store, uint32_t turn, struct error *err)
{
    const struct plan_turn *t = &pool->turns[turn];
    const struct plan_inputs *in = pool->in;
    struct behaviour_action *actions = NULL;
    struct plan_asked *asked = NULL;
    struct error why = ERROR_INIT;
    size_t n, n_asked = 0;
    enum status s = behaviour_eligible(
        in->actors, in->n_actors, t->context, t->keeps_views, &actions, &n, &why);
    if (s == E_ARG) // nothing is eligible any more: llms were retired since
        return OK;
    if (s)
        return error_set(err, s, "%s", why.msg);
    s = plan_turn_asked(store, t->turn_id, &asked, &n_asked, err);
    for (size_t i = 0; i < n && !s; i++) {
        struct fill_call c = {
            .turn = turn, .actor = (uint32_t)actions[i].llm, .added = actions[i].added
        };
        if (is_asked(asked, n_asked, llm_of(pool, c.actor), c.added))
            continue;
        find_cells(pool, t, c.actor, c.added, c.cell);
        for (int slot = 0; slot < FILL_SLOTS; slot++)
            c.next[slot] = FILL_NONE;
        if (n_helped(pool, &c))
            s = add_call(pool, &c, err);
    }
    free(asked);
    free(actions);
    return s;
}

enum status fill_pool_add_turns(
    struct fill_pool *pool, struct store *store, struct rng *rng, struct error *err)
{
    struct plan_turn *turns = NULL;
    size_t n, *order = NULL, before = pool->n_turns;
    enum status s = plan_turns_load(store, pool->last_turn, &turns, &n, err);
    if (s)
        return s;
    order = calloc(n + 1, sizeof *order);
    struct plan_turn *grown =
        realloc(pool->turns, (before + n + 1) * sizeof *pool->turns);
    if (grown)
        pool->turns = grown;
    if (!order || !grown)
        s = error_nomem(err, (before + n) * sizeof *grown);
    for (size_t i = 0; i < n && !s; i++) {
        order[i] = i;
        if (turns[i].turn_id > pool->last_turn)
            pool->last_turn = turns[i].turn_id;
    }
    if (!s)
        rng_shuffle(rng, order, n);
    for (size_t i = 0; i < n && !s; i++) {
        pool->turns[before + i] = turns[order[i]];
        pool->n_turns++;
        s = add_turn(pool, store, (uint32_t)(before + i), err);
    }
    free(order);
    free(turns);
    return s;
}

/* ---- looking and taking ---- */

static int slot_of(const struct cell *cell)
{
    static const int slots[N_CELL_KINDS] = { [CELL_CONTEXT] = 0,
        [CELL_ACTION] = 1,
        [CELL_PROMPT] = 2,
        [CELL_STATE] = SLOT_STATE };
    return slots[cell->key.kind];
}

/* Of a state's calls, those with an action that an earlier one of the list has are no more
 * actions. */
static int repeats(const struct fill_pool *pool, uint32_t from, const struct fill_call *c)
{
    const struct fill_call *d;
    for (; from != FILL_NONE; from = d->next[SLOT_STATE]) {
        d = &pool->calls[from];
        if (d == c)
            break;
        if (!d->is_taken && d->actor == c->actor && d->added == c->added)
            return 1;
    }
    return 0;
}

int64_t fill_pool_n(const struct fill_pool *pool, size_t cell, int64_t enough)
{
    int slot = slot_of(&pool->cells->cell[cell]);
    int64_t n = 0;
    const struct fill_call *c;
    for (uint32_t i = pool->first[cell]; i != FILL_NONE && n < enough;
         i = c->next[slot]) {
        c = &pool->calls[i];
        n += !c->is_taken && helps(pool, c, slot) &&
             (slot != SLOT_STATE || !repeats(pool, pool->first[cell], c));
    }
    return n;
}

uint32_t fill_pool_best(const struct fill_pool *pool, size_t cell)
{
    int slot = slot_of(&pool->cells->cell[cell]), most = 0;
    uint32_t best = FILL_NONE;
    const struct fill_call *c;
    for (uint32_t i = pool->first[cell]; i != FILL_NONE; i = c->next[slot]) {
        c = &pool->calls[i];
        int n = c->is_taken || !helps(pool, c, slot) ? 0 : n_helped(pool, c);
        if (n > most) {
            most = n;
            best = i;
        }
    }
    return best;
}

static enum status count(struct fill_pool *pool, const uint32_t cell[FILL_SLOTS],
    const struct tally_key *key, struct error *err)
{
    for (int slot = 0; slot < FILL_SLOTS; slot++)
        if (cell[slot] != FILL_NONE)
            pool->cells->cell[cell[slot]].planned +=
                slot != SLOT_STATE || tally_of(&pool->asked, key) == 0;
    return tally_add(&pool->asked, key, err);
}

enum status fill_pool_take(struct fill_pool *pool, uint32_t call, struct error *err)
{
    struct fill_call *c = &pool->calls[call];
    struct tally_key key = tally_key_of(pool, &pool->turns[c->turn], c->actor, c->added);
    c->is_taken = 1;
    return count(pool, c->cell, &key, err);
}

enum status fill_pool_count(struct fill_pool *pool, const struct plan_turn *turn,
    size_t actor, uint32_t added, struct error *err)
{
    uint32_t cell[FILL_SLOTS];
    struct tally_key key = tally_key_of(pool, turn, actor, added);
    find_cells(pool, turn, actor, added, cell);
    return count(pool, cell, &key, err);
}
