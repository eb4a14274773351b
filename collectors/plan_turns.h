/* plan_turns.h - turns that are there, for those who add calls to them. */
#ifndef COLLECTORS_PLAN_TURNS_H
#define COLLECTORS_PLAN_TURNS_H

#include "collectors/plan_write.h"

/* A planned turn whose history is whole: no earlier path call failed for good. */
struct plan_turn {
    int64_t turn_id, position, task_id, prompt_id;
    int64_t block, plan_index;
    int64_t parent_id, previous_id; /* the path call before, and its llm; 0 = none */
    uint32_t context;               /* views before the turn */
    int keeps_views;                /* the history rule of its plan */
    char session[HASH_HEX], parent[HASH_HEX]; /* identities */
};

/* All of them behind turn_id after, in their order; *turns is freed with free(). */
MUST_CHECK enum status plan_turns_load(struct store *store, int64_t after,
    struct plan_turn **turns, size_t *n, struct error *err);

/* The session of a turn as plan_write.h wants it, to add calls to that turn. */
struct session_plan plan_turn_session(const struct plan_turn *turn);

/* An action asked in a turn: by its path call or a fan-out call. */
struct plan_asked {
    int64_t llm_id;
    uint32_t added;
};

/* What is asked in this turn; *asked is freed with free(). */
MUST_CHECK enum status plan_turn_asked(struct store *store, int64_t turn_id,
    struct plan_asked **asked, size_t *n, struct error *err);

#endif
