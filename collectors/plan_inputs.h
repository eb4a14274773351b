/* plan_inputs.h - what a plan is drawn from: complete scenes, prompts, llms with their
 * actions, all in the store's terms (for plan.c). */
#ifndef COLLECTORS_PLAN_INPUTS_H
#define COLLECTORS_PLAN_INPUTS_H

#include "collectors/behaviour.h"
#include "schema/accepts.h"
#include "schema/recipe.h"
#include "schema/store.h"

/* One instant of a scene at which every view has a frame. */
struct plan_scene {
    int64_t scene_id, at_ms;
    char *name;
    char *frames;  /* JSON: view -> hash of its frame; of a video [[offset ms, hash]] */
    uint64_t tags; /* bit i = has tag i of plan_inputs.tags */
};

struct plan_prompt {
    int64_t prompt_id, task_id;
    char *id; /* the recipe's name for it; NULL = none */
    char *task, *text;
    uint64_t needs;
};

struct plan_inputs {
    struct recipe *recipe;
    struct llm *llms; /* not retired, in the store's order */
    size_t n_llms;
    struct behaviour_llm *actors; /* local and cloud llms */
    size_t *actor_llm;            /* [n_actors] index into llms */
    size_t n_actors;
    uint32_t all_views;                 /* the views that are not retired */
    char *view_names[RECIPE_MAX_VIEWS]; /* by position; NULL = no such view */
    struct accepts_store views;         /* by position, retired ones too */
    struct plan_scene *scenes;
    size_t n_scenes;
    struct plan_prompt *prompts;
    size_t n_prompts;
    char **tags; /* scene tags that some prompt needs, at most 64 */
    size_t n_tags;
};

MUST_CHECK enum status plan_inputs_load(
    struct store *store, struct plan_inputs *in, struct error *err);
void plan_inputs_release(struct plan_inputs *in);

/* A recipe's set of views in the store's positions. */
uint32_t plan_inputs_positions(const struct plan_inputs *in, uint32_t set);

/* The actor of this row of llm, or in->n_actors where it is none. */
size_t plan_inputs_actor(const struct plan_inputs *in, int64_t llm_id);

/* What can be done in a dialogue that holds context, by the recipe's own history rule: see
 * behaviour_eligible(). */
MUST_CHECK enum status plan_inputs_eligible(const struct plan_inputs *in,
    uint32_t context, struct behaviour_action **actions, size_t *n, struct error *err);

/* True where every tag that the prompt needs is one of the scene's. */
int plan_prompt_suits(const struct plan_prompt *prompt, const struct plan_scene *scene);

#endif
