/* baselines.c - the table of baselines, and those that know nothing but the actions. */
#include "m4a1/tmo/baselines.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "m4a1/base/buffer.h"
#include "m4a1/base/text.h"
#include "m4a1/tmo/bandits.h"
#include "m4a1/tmo/baseline_parts.h"
#include "m4a1/tmo/planner.h"

#define LLM "llm:"

struct baseline_settings baseline_defaults(void)
{
    return (struct baseline_settings) {
        .steps = 30000, .seed = 0, .depth = PLANNER_DEPTH, .explore = 0
    };
}

size_t baseline_legal(const struct episode *ep, size_t action)
{
    unsigned char allowed[SPACE_MAX_ACTIONS];
    if (ep->env->settings.handling != HANDLING_SHIELD && !ep->env->offered)
        return action;
    episode_allowed(ep, allowed);
    for (size_t a = 0; !allowed[action] && a < ep->env->n_actions; a++)
        if (allowed[a])
            action = a;
    return action;
}

void baseline_take(const struct episode *ep, size_t action, double *p)
{
    memset(p, 0, ep->env->n_actions * sizeof *p);
    p[baseline_legal(ep, action)] = 1;
}

double baseline_charge(const struct episode *before, const struct episode *after)
{
    const struct environment_settings *set = &before->env->settings;
    double sum = 0;
    if (set->handling != HANDLING_PENALTY && set->handling != HANDLING_LAGRANGIAN)
        return 0;
    for (size_t i = 0; i < set->n_constraints; i++)
        sum += (ledger_excess(&after->ledger, i) - ledger_excess(&before->ledger, i)) /
               environment_scale(before->env, i);
    return set->lambda * sum;
}

/* ---- fixed probabilities ---- */

static void weigh_mix(void *arg, const struct episode *ep, double *p)
{
    const double *weights = arg;
    size_t n = ep->env->n_actions;
    unsigned char allowed[SPACE_MAX_ACTIONS];
    double sum = 0;
    episode_allowed(ep, allowed);
    for (size_t a = 0; a < n; a++)
        sum += p[a] = allowed[a] ? weights[a] : 0;
    // None of its own actions may be taken: any of the others.
    if (sum <= 0)
        for (size_t a = 0; a < n; a++)
            sum += p[a] = allowed[a];
    for (size_t a = 0; a < n; a++)
        p[a] /= sum;
}

/* local: probability of a local action; the rest is for cloud actions.  Both uniformly
 * among their own, and all for the others where there are none of one kind. */
static enum status make_mix(
    const struct environment *env, double local, struct baseline *out, struct error *err)
{
    const struct space *space = &env->rec->space;
    double *weights = malloc(space->n_actions * sizeof *weights);
    if (!weights)
        return error_nomem(err, space->n_actions * sizeof *weights);
    size_t n_cloud = 0;
    for (size_t a = 0; a < space->n_actions; a++)
        n_cloud += space_is_cloud(space, a) ? 1 : 0;
    size_t n_local = space->n_actions - n_cloud;
    if (!n_cloud || !n_local)
        local = n_local ? 1 : 0;
    for (size_t a = 0; a < space->n_actions; a++)
        weights[a] = space_is_cloud(space, a) ? (1 - local) / (double)n_cloud
                                              : local / (double)n_local;
    out->chooser = (struct chooser) { weigh_mix, weights };
    out->state = weights;
    out->free_state = free;
    return OK;
}

static enum status make_random(const struct environment *env,
    const struct baseline_settings *settings, const char *argument, struct baseline *out,
    struct error *err)
{
    (void)settings;
    (void)argument;
    return make_mix(env, 0.5, out, err);
}

static enum status make_local(const struct environment *env,
    const struct baseline_settings *settings, const char *argument, struct baseline *out,
    struct error *err)
{
    (void)settings;
    (void)argument;
    return make_mix(env, 1, out, err);
}

static enum status make_cloud(const struct environment *env,
    const struct baseline_settings *settings, const char *argument, struct baseline *out,
    struct error *err)
{
    (void)settings;
    (void)argument;
    return make_mix(env, 0, out, err);
}

static const char *llm_name(const struct environment *env, size_t llm)
{
    return env->rec->data->llms[env->rec->llms[llm]].name;
}

static enum status make_llm(const struct environment *env,
    const struct baseline_settings *settings, const char *argument, struct baseline *out,
    struct error *err)
{
    (void)settings;
    const struct space *space = &env->rec->space;
    size_t llm = 0, n = 0;
    while (llm < space->n_llms && strcmp(llm_name(env, llm), argument) != 0)
        llm++;
    for (size_t a = 0; a < space->n_actions; a++)
        n += space->actions[a].llm == llm;
    if (!n)
        return error_set(err, E_ARG,
            "baseline \"llm:%s\": no action of the data asks an llm of that name",
            argument);
    double *weights = calloc(space->n_actions, sizeof *weights);
    if (!weights)
        return error_nomem(err, space->n_actions * sizeof *weights);
    for (size_t a = 0; a < space->n_actions; a++)
        weights[a] = space->actions[a].llm == llm ? 1 / (double)n : 0;
    out->chooser = (struct chooser) { weigh_mix, weights };
    out->state = weights;
    out->free_state = free;
    return OK;
}

/* ---- the table ---- */

const struct baseline_spec baseline_specs[] = {
    { "random", "a local action with probability 1/2, else a cloud action uniformly", 1,
        0, make_random },
    { "local", "a local action", 0, 0, make_local },
    { "cloud", "a cloud action uniformly", 1, 0, make_cloud },
    { LLM, "an action of this llm uniformly", 1, 0, make_llm },
    { "best-fixed", "the one action that is best on training sessions", 0, 0,
        baseline_best_fixed },
    { "best-by-task", "one action for each task, the best on training sessions", 0, 0,
        baseline_best_by_task },
    { "best-by-prompt", "one action for each prompt, the best on training sessions", 0, 0,
        baseline_best_by_prompt },
    { "epsilon-greedy", "linear rewards; now and then any action", 0, 1,
        bandit_make_epsilon_greedy },
    { "ucb", "mean rewards by task, with upper confidence bounds (UCB1)", 0, 1,
        bandit_make_ucb },
    { "linucb", "linear rewards with upper confidence bounds", 0, 1, bandit_make_linucb },
    { "thompson", "linear rewards drawn from their posterior", 0, 1,
        bandit_make_thompson },
    { "planner", "looks ahead in the model over the tasks that may come", 0, 0,
        planner_make },
};
const size_t n_baseline_specs = sizeof baseline_specs / sizeof *baseline_specs;

/* The length of a name up to and with its ':', or of all of it. */
static size_t head_length(const char *name)
{
    const char *colon = strchr(name, ':');
    return colon ? (size_t)(colon - name) + 1 : strlen(name);
}

const struct baseline_spec *baseline_spec(const char *name)
{
    size_t n = head_length(name);
    int has_argument = name[n] != '\0' && name[n - 1] == ':';
    for (size_t i = 0; i < n_baseline_specs; i++) {
        const struct baseline_spec *spec = &baseline_specs[i];
        int is_llm = strcmp(spec->name, LLM) == 0;
        size_t length = strlen(spec->name);
        if (!has_argument && !is_llm && strcmp(spec->name, name) == 0)
            return spec;
        if (has_argument && is_llm && strncmp(name, LLM, n) == 0)
            return spec;
        if (has_argument && strcmp(spec->name, "planner") == 0 && n == length + 1 &&
            strncmp(name, spec->name, length) == 0)
            return spec;
    }
    return NULL;
}

static enum status unknown(const char *name, struct error *err)
{
    struct buffer names;
    buffer_init(&names, 1000);
    for (size_t i = 0; i < n_baseline_specs; i++)
        buffer_printf(&names, "%s%s%s", i ? ", " : "", baseline_specs[i].name,
            strcmp(baseline_specs[i].name, LLM) == 0 ? "NAME" : "");
    enum status s = error_set(err, E_ARG, "there is no baseline \"%s\"; take one of: %s",
        name, buffer_str(&names));
    buffer_release(&names);
    return s;
}

enum status baseline_make(const struct environment *env, const char *name,
    const struct baseline_settings *settings, struct baseline *out, struct error *err)
{
    memset(out, 0, sizeof *out);
    const struct baseline_spec *spec = baseline_spec(name);
    if (!spec || strlen(name) >= sizeof out->name)
        return unknown(name, err);
    snprintf(out->name, sizeof out->name, "%s", name);
    size_t n = head_length(name);
    enum status s =
        spec->make(env, settings, name[n] != '\0' ? name + n : NULL, out, err);
    if (s)
        baseline_release(out);
    return s;
}

void baseline_release(struct baseline *b)
{
    if (b->free_state)
        b->free_state(b->state);
    memset(b, 0, sizeof *b);
}

enum status baseline_names(
    const struct environment *env, const char *const **out, size_t *n, struct error *err)
{
    const struct space *space = &env->rec->space;
    size_t most = n_baseline_specs + space->n_llms;
    size_t bytes = most * sizeof(char *) + space->n_llms * BASELINE_MAX_NAME;
    const char **names = malloc(bytes);
    *out = NULL;
    *n = 0;
    if (!names)
        return error_nomem(err, bytes);
    char *text = (char *)(names + most);
    for (size_t i = 0; i < n_baseline_specs; i++) {
        if (strcmp(baseline_specs[i].name, LLM) != 0) {
            names[(*n)++] = baseline_specs[i].name;
            continue;
        }
        for (size_t llm = 0; llm < space->n_llms; llm++, text += BASELINE_MAX_NAME) {
            snprintf(text, BASELINE_MAX_NAME, LLM "%s", llm_name(env, llm));
            names[(*n)++] = text;
        }
    }
    *out = names;
    return OK;
}
