/* plan_script.h - sessions written down instead of drawn.
 *
 * JSON lines, one session each: {"scene": "kitchen_01", "at_s": 0, "prompts": ["q1",
 * "q7"], "actions": [{"llm": "phi"}, {"llm": "gpt", "views": ["side"]}]}.  at_s may be
 * left out where the scene has one instant; without actions the behaviour draws them;
 * views are those that the turn shall add. */
#ifndef COLLECTORS_PLAN_SCRIPT_H
#define COLLECTORS_PLAN_SCRIPT_H

#include "collectors/plan_inputs.h"

struct plan_script_action {
    size_t llm; /* index into the inputs' llms */
    uint32_t views;
};

struct plan_script_session {
    int line;
    const struct plan_scene *scene;
    size_t *prompts; /* [n_turns] */
    size_t n_turns;
    struct plan_script_action *actions; /* [n_turns]; NULL = drawn */
};

struct plan_script {
    struct plan_script_session *sessions;
    size_t n_sessions, max_turns;
};

/* E_DATA names file and line of the first mistake. */
MUST_CHECK enum status plan_script_load(const char *path, const struct plan_inputs *in,
    struct plan_script **out, struct error *err);
void plan_script_free(struct plan_script *script); /* NULL is fine */

#endif
