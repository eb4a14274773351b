/* propensity.c - stored probabilities, else those of the rule, listed once a context. */
#include "m4a1/tmo/propensity.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "collectors/behaviour.h"

/* The rule's actions in each context that occurs. */
struct rule {
    const struct dataset *data;
    struct behaviour_llm *llms; /* [n_llms] */
    uint32_t *subsets;          /* [2^X]; the first is the empty one */
    struct accepts_view views[ACCEPTS_MAX_VIEWS];
    struct behaviour_action **actions; /* [2^X]; NULL = not asked for yet */
    size_t *n;                         /* [2^X] */
};

static void rule_release(struct rule *rule)
{
    for (size_t c = 0; rule->actions && c < (size_t)1 << rule->data->n_views; c++)
        free(rule->actions[c]);
    free(rule->actions);
    free(rule->n);
    free(rule->subsets);
    free(rule->llms);
}

/* Local llms are shown nothing, cloud ones any subset: the published actions. */
static enum status rule_init(
    struct rule *rule, const struct dataset *data, struct error *err)
{
    size_t n_subsets = (size_t)1 << data->n_views;
    *rule = (struct rule) { .data = data };
    rule->llms = calloc(data->n_llms + 1, sizeof *rule->llms);
    rule->subsets = calloc(n_subsets, sizeof *rule->subsets);
    rule->actions = calloc(n_subsets, sizeof *rule->actions);
    rule->n = calloc(n_subsets, sizeof *rule->n);
    if (!rule->llms || !rule->subsets || !rule->actions || !rule->n) {
        rule_release(rule);
        return error_nomem(err, n_subsets * sizeof *rule->actions);
    }
    for (size_t i = 0; i < n_subsets; i++)
        rule->subsets[i] = (uint32_t)i;
    for (size_t v = 0; v < data->n_views; v++)
        rule->views[v] = (struct accepts_view) { data->views[v], VIEW_IMAGE, 1 };
    for (size_t i = 0; i < data->n_llms; i++) {
        struct behaviour_llm *llm = &rule->llms[i];
        *llm = (struct behaviour_llm) { .cloud = data->llms[i].cloud != 0,
            .sets = rule->subsets,
            .n_sets = data->llms[i].cloud ? n_subsets : 1,
            .views = rule->views };
        for (int kind = 0; kind < N_VIEW_KINDS; kind++)
            llm->accepts[kind] = ACCEPTS_MAX_VIEWS;
    }
    return OK;
}

/* The probability that the rule gives to what a path did; 0 where it never does that. */
static enum status rule_ask(struct rule *rule, uint32_t context,
    const struct interaction *path, uint32_t added, double *out, struct error *err)
{
    *out = 0;
    if (!rule->actions[context]) {
        enum status s = behaviour_eligible(rule->llms, rule->data->n_llms, context, 1,
            &rule->actions[context], &rule->n[context], err);
        if (s)
            return s;
    }
    const struct behaviour_action *all = rule->actions[context];
    for (size_t i = 0; i < rule->n[context]; i++)
        if (all[i].llm == (size_t)path->llm && all[i].added == added)
            *out = all[i].probability;
    return OK;
}

static enum status one_turn(struct rule *rule, const struct recorded *rec, size_t session,
    size_t t, struct propensity *out, struct error *err)
{
    size_t at = rec->sessions[session].first + t;
    const struct interaction *path = &rec->data->sessions[session].turns[t].path;
    double p = path->probability;
    enum status s = OK;
    if (isnan(p)) {
        s = rule_ask(rule, rec->contexts[at], path, rec->added[at], &p, err);
        if (!s && !(p > 0))
            s = error_set(err, E_DATA,
                "%s: session %" PRId64 ", turn %zu stores no probability of its action, "
                "and M4A1's rule never chooses it; off-policy values need to know how "
                "the actions were chosen",
                rec->data->source, rec->sessions[session].id, t);
        out->n_by_rule++;
    } else {
        if (!(p > 0 && p <= 1))
            s = error_set(err, E_DATA,
                "%s: session %" PRId64 ", turn %zu: the action that was taken has the "
                "probability %g, which is not in (0, 1]",
                rec->data->source, rec->sessions[session].id, t, p);
        out->n_stored++;
    }
    out->path[at] = p;
    out->log_likelihood += s ? 0 : log(p);
    return s;
}

enum status propensity_build(
    const struct recorded *rec, struct propensity *out, struct error *err)
{
    *out = (struct propensity) { 0 };
    struct rule rule;
    enum status s = rule_init(&rule, rec->data, err);
    if (s)
        return s;
    out->path = calloc(rec->n_turns + 1, sizeof *out->path);
    if (!out->path)
        s = error_nomem(err, rec->n_turns * sizeof *out->path);
    for (size_t i = 0; i < rec->n_sessions && !s; i++)
        for (size_t t = 0; t < rec->sessions[i].n_turns && !s; t++)
            s = one_turn(&rule, rec, i, t, out, err);
    rule_release(&rule);
    if (s)
        propensity_release(out);
    return s;
}

void propensity_release(struct propensity *propensity)
{
    free(propensity->path);
    *propensity = (struct propensity) { 0 };
}
