/* behaviour.c - the rules for a path action; docs/planning.md tells when to use which. */
#include "collectors/behaviour.h"

#include <stdlib.h>

#include "m4a1/base/text.h"

static int fits(
    const struct behaviour_llm *llm, uint32_t context, uint32_t set, int keeps_views)
{
    return accepts_action(llm->accepts, llm->views, set, context, keeps_views, NULL);
}

static int compare_actions(const void *a, const void *b)
{
    const struct behaviour_action *x = a, *y = b;
    if (x->llm != y->llm)
        return x->llm < y->llm ? -1 : 1;
    return (x->added > y->added) - (x->added < y->added);
}

/* Append the actions of one llm, with probabilities that add up to 1; returns how many. */
static size_t actions_of(const struct behaviour_llm *llms, size_t i, uint32_t context,
    int keeps_views, struct behaviour_action *out)
{
    const struct behaviour_llm *llm = &llms[i];
    size_t n = 0, of_size[ACCEPTS_MAX_VIEWS + 1] = { 0 };
    int n_sizes = 0;
    for (size_t k = 0; k < llm->n_sets; k++) {
        if (fits(llm, context, llm->sets[k], keeps_views))
            n_sizes += !of_size[__builtin_popcount(llm->sets[k])]++;
    }
    for (size_t k = 0; k < llm->n_sets; k++) {
        uint32_t set = llm->sets[k], added = set & ~context;
        if (!fits(llm, context, set, keeps_views))
            continue;
        double p = 1.0 / n_sizes / (double)of_size[__builtin_popcount(set)];
        size_t at = 0;
        while (at < n && out[at].added != added)
            at++;
        if (at == n)
            out[n++] = (struct behaviour_action) { i, added, 0 };
        out[at].probability += p;
    }
    qsort(out, n, sizeof *out, compare_actions);
    return n;
}

enum status behaviour_eligible(const struct behaviour_llm *llms, size_t n_llms,
    uint32_t context, int keeps_views, struct behaviour_action **actions, size_t *n,
    struct error *err)
{
    *n = 0;
    size_t n_sets = 0, of_role[2] = { 0, 0 };
    for (size_t i = 0; i < n_llms; i++)
        n_sets += llms[i].n_sets;
    *actions = calloc(n_sets + 1, sizeof **actions);
    if (!*actions)
        return error_nomem(err, n_sets * sizeof **actions);
    for (size_t i = 0; i < n_llms; i++) {
        size_t added = actions_of(llms, i, context, keeps_views, *actions + *n);
        of_role[llms[i].cloud] += added > 0;
        *n += added;
    }
    if (!*n) {
        free(*actions);
        *actions = NULL;
        return error_set(err, E_ARG,
            "no llm can take the views the dialogue holds: raise \"accepts\", list "
            "smaller actions, or set history.images to \"drop\"");
    }
    double p_role = of_role[0] && of_role[1] ? 0.5 : 1.0;
    for (size_t i = 0; i < *n; i++) {
        struct behaviour_action *a = &(*actions)[i];
        a->probability *= p_role / (double)of_role[llms[a->llm].cloud];
    }
    return OK;
}

/* ---- the rules ---- */

static enum status weigh_m4a1(const struct behaviour_choice *choice,
    struct behaviour_action *actions, size_t n, struct error *err)
{
    (void)choice, (void)actions, (void)n, (void)err; // as behaviour_eligible() gave them
    return OK;
}

static enum status weigh_uniform(const struct behaviour_choice *choice,
    struct behaviour_action *actions, size_t n, struct error *err)
{
    (void)choice, (void)err;
    for (size_t i = 0; i < n; i++)
        actions[i].probability = 1.0 / (double)n;
    return OK;
}

static enum status weigh_balanced(const struct behaviour_choice *choice,
    struct behaviour_action *actions, size_t n, struct error *err)
{
    (void)err;
    int64_t least = choice->seen[0];
    size_t ties = 0;
    for (size_t i = 1; i < n; i++)
        least = choice->seen[i] < least ? choice->seen[i] : least;
    for (size_t i = 0; i < n; i++)
        ties += choice->seen[i] == least;
    for (size_t i = 0; i < n; i++)
        actions[i].probability = choice->seen[i] == least ? 1.0 / (double)ties : 0;
    return OK;
}

/* The share of action i under the policy alone; uniform where it wants none. */
static double share_of(const struct behaviour_choice *choice, size_t i, size_t n,
    double best, double total, size_t n_best)
{
    if (!(total > 0))
        return 1.0 / (double)n;
    if (choice->greedy)
        return choice->wanted[i] == best ? 1.0 / (double)n_best : 0;
    return choice->wanted[i] / total;
}

static enum status weigh_policy(const struct behaviour_choice *choice,
    struct behaviour_action *actions, size_t n, struct error *err)
{
    (void)err;
    double best = 0, total = 0;
    size_t n_best = 0;
    for (size_t i = 0; i < n; i++) {
        best = choice->wanted[i] > best ? choice->wanted[i] : best;
        total += choice->wanted[i];
    }
    for (size_t i = 0; i < n; i++)
        n_best += choice->wanted[i] == best;
    for (size_t i = 0; i < n; i++)
        actions[i].probability =
            (1 - choice->epsilon) * share_of(choice, i, n, best, total, n_best) +
            choice->epsilon / (double)n;
    return OK;
}

static enum status weigh_fixed(const struct behaviour_choice *choice,
    struct behaviour_action *actions, size_t n, struct error *err)
{
    int found = 0;
    for (size_t i = 0; i < n; i++) {
        int same = actions[i].llm == choice->llm &&
                   actions[i].added == (choice->views & ~choice->context);
        actions[i].probability = same;
        found |= same;
    }
    return found ? OK
                 : error_set(err, E_ARG,
                       "the action that plan.action names is not eligible here: the "
                       "recipe's actions say what an llm offers, and \"accepts\" how "
                       "many views of each kind it takes");
}

const struct behaviour behaviours[BEHAVIOUR_N] = {
    { "m4a1", 0, 0, 0, weigh_m4a1 },
    { "uniform", 0, 0, 0, weigh_uniform },
    { "balanced", 1, 0, 0, weigh_balanced },
    { "policy", 0, 1, 0, weigh_policy },
    { "fixed", 0, 0, 1, weigh_fixed },
};

const struct behaviour *behaviour_find(const char *name)
{
    for (size_t i = 0; i < BEHAVIOUR_N; i++) {
        if (text_equal(behaviours[i].name, name))
            return &behaviours[i];
    }
    return NULL;
}

size_t behaviour_draw(const struct behaviour_action *actions, size_t n, struct rng *rng)
{
    double u = rng_uniform(rng);
    for (size_t i = 0; i + 1 < n; i++) {
        u -= actions[i].probability;
        if (u < 0)
            return i;
    }
    return n - 1;
}
