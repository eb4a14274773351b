/* plan_write.h - the rows that a plan consists of, shared by all that add to one.
 *
 * The caller holds a transaction.  Sessions and turns are written in order: a session,
 * then for each turn its row, the calls beside the path, and the path call, which
 * becomes the parent of the next turn's calls. */
#ifndef COLLECTORS_PLAN_WRITE_H
#define COLLECTORS_PLAN_WRITE_H

#include "collectors/plan.h"
#include "m4a1/base/hash.h"
#include "m4a1/base/json.h"

struct planner {
    struct store *store;
    struct plan_inputs in;
    struct plan_counts *counts;
    int64_t plan_id, seed, samples;
    int64_t first_call; /* calls of this run are numbered from here */
};

/* One session while it is being written; also one that is there and gets more calls. */
struct session_plan {
    int64_t index, session_id, turn_id;
    int64_t block; /* of its calls */
    char identity[HASH_HEX];
    const struct plan_scene *scene;
    size_t *prompts; /* [n_turns] indices into the inputs' prompts */
    size_t n_turns;
    uint32_t context;  /* views that the dialogue holds before the turn */
    int64_t parent_id; /* the path call of the turn before; 0 in the first turn */
    char parent[HASH_HEX];
};

/* The block of a session's calls: calls of one block are sent in one random order. */
int64_t plan_block(int64_t index);

/* Inputs, seed and samples; E_ARG where the store has no actor, or an llm that could not be
 * asked as it is (bounds.h).  Release either way. */
MUST_CHECK enum status planner_open(struct planner *p, struct store *store,
    const struct plan_options *options, struct plan_counts *counts, struct error *err);
void planner_release(struct planner *p);

/* The row of this run.  settings is an object to which the history rule is added;
 * taken over, NULL is out of memory. */
MUST_CHECK enum status plan_write_run(
    struct planner *p, const char *behaviour, struct json *settings, struct error *err);

/* The session's identity: frames, prompts, history rule, plan seed and index. */
MUST_CHECK enum status plan_identify_session(
    const struct planner *p, struct session_plan *session, struct error *err);

/* Fills identity and session_id. */
MUST_CHECK enum status plan_write_session(
    struct planner *p, struct session_plan *session, struct error *err);
/* Fills turn_id. */
MUST_CHECK enum status plan_write_turn(
    struct planner *p, struct session_plan *session, int64_t turn, struct error *err);

/* A call to be written into the session's current turn. */
struct plan_call {
    const char *purpose;
    const struct llm *llm;
    uint32_t added;
    int64_t sample;
    double probability;   /* 0 = none is stored */
    const char *eligible; /* NULL = none is stored */
    int64_t subject_id;   /* the call that a check asks again; 0 = none */
    const char *subject;  /* its identity */
};

/* Fills id and identity; *id is 0 where a call of this identity is there already. */
MUST_CHECK enum status plan_write_call(struct planner *p,
    const struct session_plan *session, int64_t turn, const struct plan_call *call,
    int64_t *id, char identity[HASH_HEX], struct error *err);

/* A fan-out call and its further samples; counts those that are new. */
MUST_CHECK enum status plan_write_fan_out(struct planner *p,
    const struct session_plan *session, int64_t turn,
    const struct behaviour_action *action, double probability, struct error *err);

/* What every reference answers this turn. */
MUST_CHECK enum status plan_write_references(struct planner *p,
    const struct session_plan *session, int64_t turn, struct error *err);

/* The path call of action a of actions[n], with its further samples as fan-out calls;
 * the session's context and parent move on. */
MUST_CHECK enum status plan_write_path(struct planner *p, struct session_plan *session,
    int64_t turn, const struct behaviour_action *actions, size_t n, size_t a,
    struct error *err);

/* E_ARG where the llm cannot show these views behind the session's context: names the
 * llm and the views that are too many. */
MUST_CHECK enum status plan_check_accepts(const struct planner *p, const struct llm *llm,
    uint32_t views, uint32_t context, struct error *err);

#endif
