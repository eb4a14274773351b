/* plan_policy.c - from a plan's dialogue to a policy's state, and from its actions back. */
#include "m4a1/cli/plan_policy.h"

#include <stdlib.h>

#include "m4a1/base/text.h"
#include "m4a1/tmo/policy_player.h"

struct cli_policy {
    char *file;
    struct policy_player *player;
    double *probabilities; /* [n_actions] */
    struct policy_turn *past;
};

static const char *name_of_actor(const struct plan_inputs *in, size_t actor)
{
    return in->llms[in->actor_llm[actor]].name;
}

/* Everything the policy knows has to be in the store, and every view of the store known
 * to the policy: it would choose blindly otherwise. */
static enum status check_names(
    const struct cli_policy *c, const struct plan_inputs *in, struct error *err)
{
    const struct space *space = policy_player_space(c->player);
    const struct dataset *about = policy_player_policy(c->player)->about;
    for (size_t k = 0; k < space->n_llms; k++) {
        const char *name = about->llms[policy_player_llm(c->player, k)].name;
        size_t i = 0;
        while (i < in->n_actors && !text_equal(name_of_actor(in, i), name))
            i++;
        if (i == in->n_actors)
            return error_set(err, E_ARG,
                "policy %s chooses llm \"%s\", which the store's recipe does not have",
                c->file, name);
    }
    for (size_t v = 0; v < about->n_views; v++) {
        size_t i = 0;
        while (i < RECIPE_MAX_VIEWS &&
               !(in->view_names[i] && text_equal(in->view_names[i], about->views[v])))
            i++;
        if (i == RECIPE_MAX_VIEWS)
            return error_set(err, E_ARG,
                "policy %s chooses view \"%s\", which the store's recipe does not have",
                c->file, about->views[v]);
    }
    return OK;
}

/* A set in the store's positions as the policy's, or back. */
static uint32_t to_policy(
    const struct dataset *about, const struct plan_inputs *in, uint32_t set)
{
    uint32_t out = 0;
    for (size_t v = 0; v < about->n_views; v++)
        for (int i = 0; i < RECIPE_MAX_VIEWS; i++)
            if ((set >> i & 1) && text_equal(in->view_names[i], about->views[v]))
                out |= UINT32_C(1) << v;
    return out;
}

static uint32_t to_store(
    const struct dataset *about, const struct plan_inputs *in, uint32_t set)
{
    uint32_t out = 0;
    for (size_t v = 0; v < about->n_views; v++)
        for (int i = 0; i < RECIPE_MAX_VIEWS; i++)
            if ((set >> v & 1) && text_equal(in->view_names[i], about->views[v]))
                out |= UINT32_C(1) << i;
    return out;
}

static enum status find_task(
    const struct cli_policy *c, const char *task, size_t *out, struct error *err)
{
    const struct dataset *about = policy_player_policy(c->player)->about;
    for (*out = 0; *out < about->n_tasks; ++*out) {
        if (text_equal(about->tasks[*out], task))
            return OK;
    }
    return error_set(err, E_ARG,
        "policy %s was not trained on the task \"%s\"; plan it with another behaviour",
        c->file, task);
}

static size_t find_llm(const struct dataset *about, const char *name)
{
    size_t i = 0;
    while (i < about->n_llms && !text_equal(about->llms[i].name, name))
        i++;
    return i;
}

static enum status encode_past(struct cli_policy *c, const struct plan_inputs *in,
    const struct plan_step *steps, size_t n_past, struct error *err)
{
    const struct dataset *about = policy_player_policy(c->player)->about;
    struct policy_turn *past = realloc(c->past, (n_past + 1) * sizeof *past);
    enum status s = OK;
    if (!past)
        return error_nomem(err, n_past * sizeof *past);
    c->past = past;
    for (size_t t = 0; t < n_past && !s; t++) {
        const struct plan_step *step = &steps[t];
        past[t].llm = find_llm(about, name_of_actor(in, step->actor));
        past[t].added = to_policy(about, in, step->added);
        past[t].context = to_policy(about, in, step->context);
        s = find_task(c, step->task, &past[t].task, err);
    }
    return s;
}

/* The policy's views are shown beside what is there already, so several of its actions
 * may be one of the plan's; those that are not eligible are left out. */
static enum status weigh(void *data, const struct plan_inputs *in,
    const struct plan_step *steps, size_t n_steps, const struct behaviour_action *actions,
    size_t n_actions, double *wanted, struct error *err)
{
    struct cli_policy *c = data;
    const struct dataset *about = policy_player_policy(c->player)->about;
    const struct space *space = policy_player_space(c->player);
    size_t task = 0;
    enum status s = n_steps == 1 ? check_names(c, in, err) : OK;
    if (!s)
        s = encode_past(c, in, steps, n_steps - 1, err);
    if (!s)
        s = find_task(c, steps[n_steps - 1].task, &task, err);
    if (!s)
        s = policy_player_weigh(
            c->player, c->past, n_steps - 1, task, c->probabilities, err);
    if (s)
        return s;
    uint32_t context = n_steps > 1 ? c->past[n_steps - 2].context : 0;
    for (size_t i = 0; i < n_actions; i++)
        wanted[i] = 0;
    for (size_t a = 0; a < space->n_actions; a++) {
        size_t llm = policy_player_llm(c->player, space->actions[a].llm);
        uint32_t added = to_store(about, in, policy_player_added(c->player, a, context));
        for (size_t i = 0; i < n_actions; i++)
            if (actions[i].added == added &&
                text_equal(name_of_actor(in, actions[i].llm), about->llms[llm].name))
                wanted[i] += c->probabilities[a];
    }
    return OK;
}

enum status cli_policy_open(const char *file, struct cli_policy **policy,
    struct plan_policy *out, struct error *err)
{
    struct cli_policy *c = *policy = calloc(1, sizeof *c);
    if (!c || !(c->file = text_copy(file)))
        return error_nomem(err, sizeof *c);
    enum status s = policy_player_open(file, &c->player, err);
    if (s)
        return s;
    size_t n = policy_player_space(c->player)->n_actions;
    c->probabilities = calloc(n, sizeof *c->probabilities);
    if (!c->probabilities)
        return error_nomem(err, n * sizeof *c->probabilities);
    *out = (struct plan_policy) { .weigh = weigh,
        .data = c,
        .file = c->file,
        .sha256 = policy_player_sha256(c->player) };
    return OK;
}

void cli_policy_free(struct cli_policy *policy)
{
    if (!policy)
        return;
    policy_player_free(policy->player);
    free(policy->probabilities);
    free(policy->past);
    free(policy->file);
    free(policy);
}
