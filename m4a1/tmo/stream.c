/* stream.c - draw sessions and budgets, and charge rewards for constraints. */
#include "m4a1/tmo/stream.h"

#include <string.h>

static double draw_budget(double least, double most, struct rng *rng)
{
    double sigma = (most - least) / 6;
    double x = (least + most) / 2 + (sigma > 1e-8 ? sigma : 1e-8) * rng_normal(rng);
    return x < least ? least : x > most ? most : x;
}

/* As the authors draw them: between tau local turns and tau of the cloud with all views. */
static void draw_budgets(struct stream *s, double *budgets)
{
    const struct environment *env = s->env;
    const struct space *space = &env->rec->space;
    double tau = (double)space->tau;
    size_t cheap = 0, dear = space->n_llms * (space->n_views + 1) - 1;
    for (size_t i = 0; i < env->settings.n_constraints; i++) {
        const struct constraint *one = &env->settings.constraints[i];
        const double *cost =
            one->kind == CONSTRAINT_LATENCY ? env->costs.latency_s : env->costs.usage_usd;
        budgets[i] = one->kind == CONSTRAINT_PRIVACY
                         ? one->budget
                         : draw_budget(tau * cost[cheap], tau * cost[dear], &s->budgets);
    }
}

static int is_published(const struct environment *env)
{
    return env->settings.handling == HANDLING_PUBLISHED && env->settings.resource_aware;
}

static void next_session(struct stream *s)
{
    const struct environment *env = s->env;
    int is_model = env->settings.transitions == TRANSITIONS_MODEL;
    size_t session = 0;
    if (s->recombined)
        env = recombined_draw(s->recombined, &s->sessions);
    else
        session = env->train[rng_below(&s->sessions, env->n_train)];
    episode_start(&s->episode, env, is_model ? RULES_MODEL : RULES_RECORDED, session);
    s->episode.cache = is_model ? &s->cache : NULL;
    if (is_published(env)) {
        double budgets[CONSTRAINTS_MAX];
        draw_budgets(s, budgets);
        episode_set_budgets(&s->episode, budgets);
    }
}

void stream_init(struct stream *s, const struct environment *env, uint64_t seed)
{
    memset(s, 0, sizeof *s);
    s->env = env;
    rng_init(&s->sessions, seed, "stream/sessions", 0);
    rng_init(&s->budgets, seed, "stream/budgets", 0);
    response_cache_init(&s->cache, env);
    next_session(s);
}

enum status stream_recombine(struct stream *s, struct error *err)
{
    if (s->env->settings.transitions != TRANSITIONS_MODEL)
        return OK;
    enum status status = recombined_new(s->env, &s->recombined, err);
    if (!status)
        next_session(s);
    return status;
}

int stream_is_masked(const struct environment *env)
{
    return env->settings.handling == HANDLING_SHIELD || env->offered;
}

void stream_release(struct stream *s)
{
    recombined_free(s->recombined);
    response_cache_release(&s->cache);
}

void stream_observe(const struct stream *s, double *features)
{
    episode_observe(&s->episode, features);
}

void stream_allowed(const struct stream *s, unsigned char *allowed)
{
    episode_allowed(&s->episode, allowed);
}

void stream_mark(struct stream_mark *mark, const struct episode *ep)
{
    for (size_t i = 0; i < ep->env->settings.n_constraints; i++) {
        mark->peak[i] = ep->ledger.peak[i];
        mark->excess[i] = ledger_excess(&ep->ledger, i);
    }
}

double stream_charge(const struct stream_mark *mark, const struct episode *behind,
    const double *multipliers, double reward)
{
    const struct environment *env = behind->env;
    const struct environment_settings *set = &env->settings;
    const struct ledger *ledger = &behind->ledger;
    for (size_t i = 0; i < set->n_constraints; i++) {
        double scale = environment_scale(env, i);
        if (set->handling == HANDLING_PENALTY)
            reward -= set->lambda * (ledger_excess(ledger, i) - mark->excess[i]) / scale;
        else if (set->handling == HANDLING_LAGRANGIAN)
            reward -= multipliers[i] * (ledger->peak[i] - mark->peak[i]) / scale;
        else if (is_published(env) && ledger->remaining[i] < 0)
            return 0;
    }
    return reward;
}

/* The session is over: count it, and let the multipliers climb or sink. */
static void settle(struct stream *s)
{
    const struct environment_settings *set = &s->env->settings;
    const struct ledger *ledger = &s->episode.ledger;
    s->n_sessions++;
    for (size_t i = 0; i < set->n_constraints; i++) {
        s->n_violations[i] += ledger_excess(ledger, i) > 0;
        if (set->handling != HANDLING_LAGRANGIAN)
            continue;
        double beyond =
            (ledger->peak[i] - ledger->budget[i]) / environment_scale(s->env, i);
        double moved = s->multipliers[i] + set->dual_rate * beyond;
        s->multipliers[i] = moved > 0 ? moved : 0;
    }
}

int stream_step(struct stream *s, size_t action, double *reward)
{
    struct stream_mark mark;
    struct outcome outcome;
    stream_mark(&mark, &s->episode);
    episode_step(&s->episode, action, &outcome);
    s->n_steps++;
    s->reward_sum += outcome.reward;
    *reward = stream_charge(&mark, &s->episode, s->multipliers, outcome.reward);
    if (!s->episode.done)
        return 0;
    settle(s);
    next_session(s);
    return 1;
}
