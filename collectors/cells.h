/* cells.h - which parts of the state-action space a plan covers, and how well.
 *
 * Four kinds of cells, each with a minimum of the recipe (plan.minima, docs/planning.md):
 *   context  a task, a turn, the views that the dialogue holds with the answer, an llm
 *   action   a task, an llm and the views that it adds
 *   state    a task, the views before the turn, the llm of the turn before: how many
 *            different actions are measured in it
 *   prompt   a prompt
 * Contexts and actions are all that can occur by what the llms offer; states are those
 * that sessions came to.  Calls count once, whatever their samples. */
#ifndef COLLECTORS_CELLS_H
#define COLLECTORS_CELLS_H

#include <stddef.h>
#include <stdint.h>
#include "collectors/plan_inputs.h"
#include "schema/store.h"

#define CELLS_MAX_VIEWS 10 /* 1,024 sets; above, sets are too many to be filled */
#define CELLS_MAX_TURNS 64

enum cell_kind { CELL_CONTEXT, CELL_ACTION, CELL_STATE, CELL_PROMPT, N_CELL_KINDS };
extern const char *const cell_kind_names[N_CELL_KINDS]; /* "context", ... */

/* What a cell is; members that its kind does not have are 0. */
struct cell_key {
    enum cell_kind kind;
    int64_t task_id;
    int64_t prompt_id;
    int64_t llm_id;
    int64_t previous_id; /* llm of the turn before; 0 = first turn */
    int turn;
    uint32_t views; /* context: with the answer; action: added; state: before */
};

struct cell {
    struct cell_key key;
    int64_t wanted;   /* the minimum; 0 = none */
    int64_t planned;  /* calls (states: actions) that are answered or still to be asked */
    int64_t answered; /* of these */
    int64_t failed;   /* refused for good, or behind such a one */
    int64_t offered;  /* states: how many actions are eligible there */
};

struct cells {
    struct cell *cell; /* sorted by key */
    size_t n, size;
    int64_t n_histories; /* different pasts that some answer has behind it */
    int64_t n_first;     /* different scenes at an instant that a dialogue began with */
};

/* Find out what can occur, and count what is there.  E_LIMIT above CELLS_MAX_VIEWS. */
MUST_CHECK enum status cells_load(struct store *store, const struct plan_inputs *in,
    const struct recipe_minima *minima, struct cells *out, struct error *err);
void cells_release(struct cells *cells);

/* The cell of this key, or NULL. */
struct cell *cells_find(const struct cells *cells, const struct cell_key *key);

/* The keys of an answer: context and action. */
struct cell_key cells_context_key(
    int64_t task_id, int turn, int64_t llm_id, uint32_t context_with);
struct cell_key cells_action_key(int64_t task_id, int64_t llm_id, uint32_t added);
struct cell_key cells_state_key(
    int64_t task_id, int64_t previous_id, uint32_t context_before);
struct cell_key cells_prompt_key(int64_t prompt_id);

/* By how much planned (or answered) falls short of what is wanted; 0 = it does not. */
int64_t cell_lacks(const struct cell *cell, int answered_only);
/* Cells of a kind that fall short. */
size_t cells_n_thin(const struct cells *cells, enum cell_kind kind, int answered_only);
/* What they lack, added up. */
int64_t cells_n_missing(
    const struct cells *cells, enum cell_kind kind, int answered_only);
size_t cells_n(const struct cells *cells, enum cell_kind kind);

/* The cell that falls short the most in proportion; NULL where none has a minimum. */
const struct cell *cells_thinnest(const struct cells *cells, int answered_only);

/* A cell in words: "Query, turn 2, gpt with side+front in context", cut to size. */
void cell_describe(
    const struct plan_inputs *in, const struct cell_key *key, char *out, size_t size);

#endif
