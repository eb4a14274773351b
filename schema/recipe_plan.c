/* recipe_plan.c - the recipe's "plan": behaviour, fan-out, samples, anchors, minima, cap.
 *
 * Read after the llms and views, since a fixed action names both. */
#include "schema/recipe_reader.h"

#include <string.h>
#include "m4a1/base/text.h"

#define MAX_OTHERS 10000000
#define MAX_SAMPLES 1000

/* As collectors/behaviour.h has them; tests/collectors/test_behaviour.c compares. */
static const char *const behaviours[] = { "m4a1", "uniform", "balanced", "policy",
    "fixed" };

static int is_behaviour(const struct recipe *recipe, const char *name)
{
    return text_equal(recipe->plan.behaviour, name);
}

static void check_policy(struct recipe_reader *r, const struct json *plan)
{
    struct recipe *recipe = r->recipe;
    static const char *const own[] = { "policy", "epsilon", "greedy" };
    char path[RECIPE_PATH];
    for (size_t i = 0; i < COUNT_OF(own) && !is_behaviour(recipe, "policy"); i++)
        if (json_get(plan, own[i]))
            recipe_mistake(r, recipe_path(path, "plan", own[i]),
                "expected only beside \"behaviour\": \"policy\", found it beside \"%s\"",
                recipe->plan.behaviour ? recipe->plan.behaviour : "");
    if (!is_behaviour(recipe, "policy"))
        return;
    recipe->plan.policy = recipe_text(
        r, json_get(plan, "policy"), "plan.policy", "the name of a policy file");
    if (json_get(plan, "epsilon"))
        recipe->plan.epsilon = recipe_number(r, json_get(plan, "epsilon"), "plan.epsilon",
            0, 1, 0, "the share of uniform choices");
    if (json_get(plan, "greedy"))
        recipe->plan.greedy = recipe_bool(r, json_get(plan, "greedy"), "plan.greedy", 0);
}

static const struct llm *find_actor(const struct recipe *recipe, const char *name)
{
    for (size_t i = 0; i < recipe->n_llms; i++) {
        const struct llm *llm = &recipe->llms[i];
        if (text_equal(llm->name, name) &&
            (llm->role == LLM_LOCAL || llm->role == LLM_CLOUD))
            return llm;
    }
    return NULL;
}

static void check_action(struct recipe_reader *r, const struct json *plan)
{
    static const char *const keys[] = { "llm", "views" };
    struct recipe *recipe = r->recipe;
    if (!is_behaviour(recipe, "fixed")) {
        if (json_get(plan, "action"))
            recipe_mistake(r, "plan.action",
                "expected only beside \"behaviour\": \"fixed\", found it beside \"%s\"",
                recipe->plan.behaviour ? recipe->plan.behaviour : "");
        return;
    }
    const struct json *action = recipe_object(r, plan, "plan", "action", 1,
        "an object {\"llm\": NAME, \"views\": \"side+front\"}");
    recipe_known_keys(r, action, "plan.action", keys, COUNT_OF(keys));
    if (!action)
        return;
    recipe->plan.action_llm = recipe_text(r, json_get(action, "llm"), "plan.action.llm",
        "the local or cloud llm that answers every turn");
    if (recipe->plan.action_llm && !find_actor(recipe, recipe->plan.action_llm))
        recipe_wrong(r, "plan.action.llm", json_get(action, "llm"),
            "a local or cloud llm of this recipe");
    const struct json *views = json_get(action, "views");
    if (views && !json_is_string(views))
        recipe_wrong(
            r, "plan.action.views", views, "names of views joined by + (\"\" = no view)");
    else if (views)
        recipe->plan.action_views = recipe_read_set(r, views, "plan.action.views");
}

/* What a data set shall hold at least; 0 = no minimum. */
static void check_minima(struct recipe_reader *r, const struct json *plan)
{
    static const char *const keys[] = { "per_cell", "per_action", "per_state",
        "per_prompt" };
    struct recipe_minima *m = &r->recipe->plan.minima;
    int64_t *const values[] = { &m->per_cell, &m->per_action, &m->per_state,
        &m->per_prompt };
    char path[RECIPE_PATH];
    *m = (struct recipe_minima) { .per_cell = 5, .per_state = 2, .per_prompt = 1 };
    const struct json *minima = recipe_object(
        r, plan, "plan", "minima", 0, "an object {\"per_cell\", \"per_action\", ...}");
    recipe_known_keys(r, minima, "plan.minima", keys, COUNT_OF(keys));
    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        const struct json *j = json_get(minima, keys[i]);
        if (j)
            *values[i] = recipe_int(r, j, recipe_path(path, "plan.minima", keys[i]), 0,
                MAX_OTHERS, *values[i], "a least number (0 = none)");
    }
}

void recipe_read_plan(struct recipe_reader *r)
{
    static const char *const keys[] = { "behaviour", "policy", "epsilon", "greedy",
        "action", "fan_out", "samples", "anchors", "minima", "max_usd" };
    struct recipe *recipe = r->recipe;
    const struct json *plan = recipe_object(
        r, r->root, "", "plan", 0, "an object {\"behaviour\", \"fan_out\", \"max_usd\"}");
    int behaviour = 0;
    recipe->plan.max_usd = -1;
    recipe->plan.samples = 1;
    recipe->plan.anchors = 0.02;
    recipe_known_keys(r, plan, "plan", keys, COUNT_OF(keys));
    if (json_get(plan, "behaviour"))
        behaviour = recipe_choice(r, json_get(plan, "behaviour"), "plan.behaviour",
            behaviours, COUNT_OF(behaviours));
    recipe->plan.behaviour = recipe_copy(r, behaviours[behaviour > 0 ? behaviour : 0]);
    if (behaviour >= 0) {
        check_policy(r, plan);
        check_action(r, plan);
    }
    check_minima(r, plan);
    const struct json *fan_out = json_get(plan, "fan_out");
    if (text_equal(json_text(fan_out, NULL), "all"))
        recipe->plan.fan_out = -1;
    else if (fan_out)
        recipe->plan.fan_out = recipe_int(r, fan_out, "plan.fan_out", 0, MAX_OTHERS, 0,
            "other actions a turn (or \"all\")");
    if (json_get(plan, "samples"))
        recipe->plan.samples = recipe_int(r, json_get(plan, "samples"), "plan.samples", 1,
            MAX_SAMPLES, 1, "how often each action is asked");
    if (json_get(plan, "anchors"))
        recipe->plan.anchors = recipe_number(r, json_get(plan, "anchors"), "plan.anchors",
            0, 1, 0.02, "the share of old calls asked again beside a new llm");
    const struct json *usd = json_get(plan, "max_usd");
    if (usd && !json_is_null(usd))
        recipe->plan.max_usd = recipe_number(
            r, usd, "plan.max_usd", 0, 1e6, -1, "the spending cap in USD (null = none)");
}
