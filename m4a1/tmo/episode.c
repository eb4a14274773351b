/* episode.c - one walk through a session: observing, looking ahead, acting. */
#include <string.h>

#include "m4a1/tmo/environment_parts.h"
#include "m4a1/tmo/shield.h"

/* Put the state of the current turn into ep->states. */
static void arrive(struct episode *ep, const struct space_past *past)
{
    const struct recorded *rec = ep->env->rec;
    size_t t = ep->first + ep->turn;
    if (ep->rules == RULES_RECORDED) {
        memcpy(ep->states, rec->observations + t * rec->space.n_states,
            rec->space.n_states * sizeof *ep->states);
        ep->context = rec->contexts[t];
    } else {
        space_push(&rec->space, ep->states, past, ep->context, (size_t)rec->tasks[t]);
    }
}

void episode_start(struct episode *ep, const struct environment *env,
    enum environment_rules rules, size_t session)
{
    const struct recorded_session *from = &env->rec->sessions[session];
    ep->env = env;
    ep->cache = NULL;
    ep->rules = rules;
    ep->session = session;
    ep->first = from->first;
    ep->n_turns = from->n_turns;
    ep->turn = 0;
    ep->done = from->n_turns == 0;
    ep->context = 0;
    memset(ep->sent, 0, sizeof ep->sent);
    ledger_start(&ep->ledger, env->settings.constraints, env->settings.n_constraints);
    space_clear(&env->rec->space, ep->states);
    if (!ep->done)
        arrive(ep, NULL);
}

void episode_set_budgets(struct episode *ep, const double *budgets)
{
    for (size_t i = 0; i < ep->env->settings.n_constraints; i++)
        ep->ledger.budget[i] = ep->ledger.remaining[i] = budgets[i];
}

/* ---- observing ---- */

/* Each state with its task one-hot; missing states are all zero. */
static size_t spread(const struct space *space, const int16_t *states, double *features)
{
    size_t at = 0, n_plain = space->state_size - 1;
    for (size_t t = 0; t < space->tau; t++, states += space->state_size) {
        int task = states[n_plain];
        for (size_t i = 0; i < n_plain; i++)
            features[at++] = task == SPACE_ABSENT ? 0 : states[i];
        for (size_t i = 0; i < space->n_tasks; i++)
            features[at++] = (size_t)task == i;
    }
    return at;
}

void episode_observe(const struct episode *ep, double *features)
{
    const struct environment *env = ep->env;
    const struct space *space = &env->rec->space;
    size_t at = 0;
    if (ep->done) {
        for (size_t i = 0; i < env->n_features; i++)
            features[i] = SPACE_ABSENT;
        return;
    }
    if (env->settings.features == FEATURES_ONE_HOT) {
        at = spread(space, ep->states, features);
    } else {
        for (; at < space->n_states; at++)
            features[at] = ep->states[at];
    }
    for (size_t i = 0; env->settings.resource_aware && i < env->settings.n_constraints;
         i++) {
        double left = ep->ledger.remaining[i];
        features[at++] = env->settings.as_published ? (double)(float)left
                                                    : left / environment_scale(env, i);
    }
}

struct estimator_query episode_query(const struct episode *ep)
{
    size_t t = ep->first + ep->turn;
    return (struct estimator_query) { .states = ep->states,
        .task = (size_t)ep->env->rec->tasks[t],
        .prompt = ep->env->rec->prompts[t],
        .context = ep->context };
}

/* ---- looking ahead ---- */

/* The tabulated estimates of this turn, or NULL. */
static const double *tabulated(const struct episode *ep)
{
    const struct environment *env = ep->env;
    return env->table && ep->rules == RULES_RECORDED
               ? env->table + (ep->first + ep->turn) * env->n_actions
               : NULL;
}

static double response_of(const struct episode *ep, size_t action)
{
    const double *row = tabulated(ep);
    if (row)
        return row[action];
    struct estimator_query query = episode_query(ep);
    return ep->cache ? response_cache_one(ep->cache, &query, action)
                     : estimator_value(ep->env->estimator, &query, action);
}

void episode_responses(const struct episode *ep, double *response)
{
    const double *row = tabulated(ep);
    struct estimator_query query = episode_query(ep);
    if (row)
        memcpy(response, row, ep->env->n_actions * sizeof *response);
    else if (ep->cache)
        response_cache_all(ep->cache, &query, response);
    else
        estimator_values(ep->env->estimator, &query, response);
}

/* Levels of the views that the llm's provider has not been sent before. */
static double privacy_of(const struct episode *ep, size_t llm, uint32_t shown)
{
    const struct recorded *rec = ep->env->rec;
    double sum = 0;
    if (!rec->space.cloud[llm])
        return 0;
    uint32_t anew = shown & ~ep->sent[rec->providers[llm]];
    for (size_t v = 0; anew >> v; v++)
        if (anew >> v & 1)
            sum += rec->data->privacy[v];
    return sum;
}

/* All but the response, which is given. */
static void fill(
    const struct episode *ep, size_t action, double response, struct outcome *out)
{
    const struct environment *env = ep->env;
    const struct environment_settings *set = &env->settings;
    size_t llm = env->rec->space.actions[action].llm;
    uint32_t shown = recorded_shown(env->rec, action, ep->context);
    size_t at = costs_cell(&env->costs, llm, space_count(shown));
    out->response = response;
    out->association = recorded_association(
        env->rec, ep->first + ep->turn, shown, &out->association_normalised);
    out->latency_s = env->costs.latency_s[at];
    out->usage_usd = env->costs.usage_usd[at];
    out->privacy = privacy_of(ep, llm, shown);
    out->reward = set->alpha * out->response +
                  set->beta_association * out->association_normalised -
                  set->beta_latency * env->costs.latency_share[at] -
                  set->beta_usage * env->costs.usage_share[at];
}

void episode_outcome(const struct episode *ep, size_t action, struct outcome *out)
{
    fill(ep, action, response_of(ep, action), out);
}

void episode_outcomes(const struct episode *ep, struct outcome *out)
{
    // Responses lie at the front of out, and are spread from the last on: the outcome of
    // action a begins behind the responses of all actions before it.
    double *response = &out->response;
    episode_responses(ep, response);
    for (size_t a = ep->env->n_actions; a-- > 0;)
        fill(ep, a, response[a], &out[a]);
}

/* ---- acting ---- */

void episode_apply(struct episode *ep, size_t action, const struct outcome *outcome)
{
    const struct environment *env = ep->env;
    const struct environment_settings *set = &env->settings;
    const struct recorded *rec = env->rec;
    struct space_past past = { .llm = rec->space.actions[action].llm,
        .views = recorded_added(rec, action, ep->context) };
    const struct turn_cost cost = { { outcome->latency_s, outcome->usage_usd,
        outcome->privacy } };
    if (rec->space.cloud[past.llm])
        ep->sent[rec->providers[past.llm]] |= recorded_shown(rec, action, ep->context);
    ep->context |= past.views;

    ledger_spend(&ep->ledger, set->constraints, set->n_constraints, &cost);
    // The authors' training counts budgets down only where the observation shows them.
    if (set->as_published && ep->rules == RULES_RECORDED && !set->resource_aware)
        memcpy(ep->ledger.remaining, ep->ledger.budget, sizeof ep->ledger.remaining);

    ep->turn++;
    ep->done = ep->turn >= ep->n_turns;
    if (!ep->done)
        arrive(ep, &past);
}

void episode_step(struct episode *ep, size_t action, struct outcome *out)
{
    episode_outcome(ep, action, out);
    episode_apply(ep, action, out);
}

void episode_allowed(const struct episode *ep, unsigned char *allowed)
{
    const struct environment *env = ep->env;
    if (env->settings.handling == HANDLING_SHIELD && !ep->done)
        shield_allowed(ep, allowed);
    else if (env->offered)
        memcpy(allowed, env->offered, env->n_actions);
    else
        memset(allowed, 1, env->n_actions);
}
