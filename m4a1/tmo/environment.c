/* environment.c - rewards, budgets and observations of the published environment. */
#include "m4a1/tmo/environment.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct environment_settings environment_published(void)
{
    return (struct environment_settings) {
        .k = 5,
        .device = COSTS_DEVICE,
        .network = COSTS_NETWORK,
        .alpha = 1,
        .beta_association = 1.0 / 3,
        .beta_latency = 1.0 / 3,
        .beta_usage = 1.0 / 3,
        .latency_budget_s = 30,
        .usage_budget_usd = 0.05,
    };
}

/* The features that the estimator compares: states, then the action's bits. */
static void join_pair(
    const struct space *space, const int16_t *states, size_t action, int16_t *pair)
{
    memcpy(pair, states, space->n_states * sizeof *pair);
    space_action_bits(space, action, pair + space->n_states);
}

static size_t count_rows(const struct environment *env)
{
    size_t n = 0;
    for (size_t i = 0; i < env->n_train; i++) {
        const struct recorded_session *session = &env->rec->sessions[env->train[i]];
        for (size_t t = session->first; t < session->first + session->n_turns; t++)
            n += isnan(env->rec->scores[t]) ? 0 : 1;
    }
    return n;
}

static enum status fit(struct environment *env, struct error *err)
{
    const struct recorded *rec = env->rec;
    const struct space *space = &rec->space;
    size_t n = count_rows(env), d = space->n_states + space->n_views + 1;
    if (n < env->settings.k)
        return error_set(err, E_DATA,
            "the %zu training sessions have %zu scored turns of the chosen llms, fewer "
            "than k = %zu; annotate the data first, or take a smaller --k",
            env->n_train, n, env->settings.k);

    int16_t *x = malloc((n ? n : 1) * d * sizeof *x);
    double *y = malloc((n ? n : 1) * sizeof *y);
    env->row_turns = malloc((n ? n : 1) * sizeof *env->row_turns);
    enum status s = OK;
    if (!x || !y || !env->row_turns) {
        s = error_nomem(err, n * d * sizeof *x);
        goto out;
    }
    size_t row = 0;
    for (size_t i = 0; i < env->n_train; i++) {
        const struct recorded_session *session = &rec->sessions[env->train[i]];
        for (size_t t = session->first; t < session->first + session->n_turns; t++) {
            if (isnan(rec->scores[t]))
                continue;
            join_pair(space, rec->observations + t * space->n_states,
                (size_t)rec->actions[t], x + row * d);
            y[row] = rec->scores[t];
            env->row_turns[row++] = t;
        }
    }
    s = knn_build(x, y, n, d, env->settings.k, &env->knn, err);
out:
    free(x);
    free(y);
    return s;
}

enum status environment_new(const struct recorded *rec,
    const struct environment_settings *settings, const size_t *train, size_t n_train,
    struct environment **out, struct error *err)
{
    *out = NULL;
    if (!n_train)
        return error_set(err, E_ARG, "there are no training sessions to learn from");
    for (size_t i = 0; i < n_train; i++)
        if (!rec->sessions[train[i]].n_turns)
            return error_set(err, E_DATA, "session %lld has no turns to train on",
                (long long)rec->sessions[train[i]].id);

    struct environment *env = calloc(1, sizeof *env);
    if (!env)
        return error_nomem(err, sizeof *env);
    env->rec = rec;
    env->settings = *settings;
    env->n_features = rec->space.n_states + (settings->resource_aware ? 2 : 0);
    enum status s = costs_build(
        settings->device, settings->network, rec->space.n_views, &env->costs, err);
    if (s)
        goto fail;
    env->train = malloc(n_train * sizeof *train);
    if (!env->train) {
        s = error_nomem(err, n_train * sizeof *train);
        goto fail;
    }
    memcpy(env->train, train, n_train * sizeof *train);
    env->n_train = n_train;
    s = fit(env, err);
    if (s)
        goto fail;
    *out = env;
    return OK;
fail:
    environment_free(env);
    return s;
}

void environment_free(struct environment *env)
{
    if (!env)
        return;
    free(env->train);
    free(env->row_turns);
    knn_free(env->knn);
    free(env->table);
    free(env);
}

static double estimate(
    const struct environment *env, const int16_t *states, size_t action)
{
    int16_t pair[SPACE_MAX_PAIR];
    join_pair(&env->rec->space, states, action, pair);
    return knn_estimate(env->knn, pair);
}

enum status environment_tabulate(struct environment *env, struct error *err)
{
    const struct recorded *rec = env->rec;
    size_t n_actions = rec->space.n_actions;
    double *table = calloc(rec->n_turns * n_actions, sizeof *table);
    if (!table)
        return error_nomem(err, rec->n_turns * n_actions * sizeof *table);
    for (size_t i = 0; i < env->n_train; i++) {
        const struct recorded_session *session = &rec->sessions[env->train[i]];
        for (size_t t = session->first; t < session->first + session->n_turns; t++)
            for (size_t a = 0; a < n_actions; a++)
                table[t * n_actions + a] =
                    estimate(env, rec->observations + t * rec->space.n_states, a);
    }
    free(env->table);
    env->table = table;
    return OK;
}

/* Put the state of the current turn into ep->states. */
static void arrive(struct episode *ep, long previous_action)
{
    const struct recorded *rec = ep->env->rec;
    size_t t = ep->first + ep->turn;
    if (ep->rules == RULES_TRAIN)
        memcpy(ep->states, rec->observations + t * rec->space.n_states,
            rec->space.n_states * sizeof *ep->states);
    else
        space_push(&rec->space, ep->states, previous_action, (size_t)rec->tasks[t]);
}

void episode_start(struct episode *ep, const struct environment *env,
    enum environment_rules rules, size_t session, double latency_budget_s,
    double usage_budget_usd)
{
    const struct recorded_session *from = &env->rec->sessions[session];
    ep->env = env;
    ep->rules = rules;
    ep->first = from->first;
    ep->n_turns = from->n_turns;
    ep->turn = 0;
    ep->done = from->n_turns == 0;
    ep->remaining_latency_s = latency_budget_s;
    ep->remaining_usage_usd = usage_budget_usd;
    ep->total_latency_s = ep->total_usage_usd = 0;
    space_clear(&env->rec->space, ep->states);
    if (!ep->done)
        arrive(ep, SPACE_ABSENT);
}

static double draw_budget(double least, double most, struct rng *rng)
{
    double sigma = (most - least) / 6;
    double x = (least + most) / 2 + (sigma > 1e-8 ? sigma : 1e-8) * rng_normal(rng);
    return x < least ? least : x > most ? most : x;
}

void episode_draw(struct episode *ep, const struct environment *env, struct rng *sessions,
    struct rng *budgets)
{
    const struct costs *costs = &env->costs;
    size_t session = env->train[rng_below(sessions, env->n_train)];
    double latency_s = env->settings.latency_budget_s;
    double usage_usd = env->settings.usage_budget_usd;
    if (env->settings.resource_aware) {
        double tau = (double)env->rec->space.tau;
        size_t dear = costs->n_kinds - 1;
        latency_s =
            draw_budget(tau * costs->latency_s[0], tau * costs->latency_s[dear], budgets);
        usage_usd =
            draw_budget(tau * costs->usage_usd[0], tau * costs->usage_usd[dear], budgets);
    }
    episode_start(ep, env, RULES_TRAIN, session, latency_s, usage_usd);
}

void episode_observe(const struct episode *ep, double *features)
{
    size_t n = ep->env->rec->space.n_states;
    for (size_t i = 0; i < n; i++)
        features[i] = ep->done ? SPACE_ABSENT : ep->states[i];
    if (!ep->env->settings.resource_aware)
        return;
    features[n] = ep->done ? SPACE_ABSENT : (double)(float)ep->remaining_latency_s;
    features[n + 1] = ep->done ? SPACE_ABSENT : (double)(float)ep->remaining_usage_usd;
}

static double response(const struct episode *ep, size_t action)
{
    const struct environment *env = ep->env;
    if (env->table && ep->rules == RULES_TRAIN)
        return env->table[(ep->first + ep->turn) * env->rec->space.n_actions + action];
    return estimate(env, ep->states, action);
}

void episode_step(struct episode *ep, size_t action, struct outcome *out)
{
    const struct environment *env = ep->env;
    const struct environment_settings *set = &env->settings;
    size_t kind = costs_kind(&env->rec->space, action);
    out->response = response(ep, action);
    out->association = recorded_association(
        env->rec, ep->first + ep->turn, action, &out->association_normalised);
    out->latency_s = env->costs.latency_s[kind];
    out->usage_usd = env->costs.usage_usd[kind];
    out->reward = set->alpha * out->response +
                  set->beta_association * out->association_normalised -
                  set->beta_latency * env->costs.latency_share[kind] -
                  set->beta_usage * env->costs.usage_share[kind];

    ep->total_latency_s += out->latency_s;
    ep->total_usage_usd += out->usage_usd;
    if (ep->rules == RULES_EVALUATE || set->resource_aware) {
        ep->remaining_latency_s -= out->latency_s;
        ep->remaining_usage_usd -= out->usage_usd;
    }
    if (ep->rules == RULES_TRAIN && set->resource_aware &&
        (ep->remaining_latency_s < 0 || ep->remaining_usage_usd < 0))
        out->reward = 0;

    ep->turn++;
    ep->done = ep->turn >= ep->n_turns;
    if (!ep->done)
        arrive(ep, (long)action);
}

static enum status explain(const struct environment *env, const int16_t *states,
    size_t action, struct knn_neighbours *out, struct error *err)
{
    int16_t pair[SPACE_MAX_PAIR];
    join_pair(&env->rec->space, states, action, pair);
    return knn_explain(env->knn, pair, out, err);
}

enum status episode_explain(const struct episode *ep, size_t action,
    struct knn_neighbours *out, struct error *err)
{
    return explain(ep->env, ep->states, action, out, err);
}

enum status environment_explain(const struct environment *env, size_t turn, size_t action,
    struct knn_neighbours *out, struct error *err)
{
    const int16_t *states = env->rec->observations + turn * env->rec->space.n_states;
    return explain(env, states, action, out, err);
}
