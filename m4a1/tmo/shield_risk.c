/* shield_risk.c - how likely a session is to exceed where its costs are not fixed. */
#include <math.h>
#include <string.h>

#include "m4a1/base/random.h"
#include "m4a1/base/stats.h"
#include "m4a1/tmo/shield.h"

/* One figure of a turn: fixed, or log-normal. */
struct figure {
    double mean, mu, sigma; /* sigma 0: fixed at the mean */
};

struct turn_risk {
    struct figure latency, usage;
    double privacy;
};

/* The log-normal with this mean whose quantile at z deviations is the reserve: with v the
 * reserve and m the mean, ln(v / m) = z * sigma - sigma^2 / 2.  No log-normal has a reserve
 * further from its mean than sigma = z gives. */
static struct figure figure_of(double mean, double reserve, double z)
{
    struct figure f = { .mean = mean };
    if (!(mean > 0) || reserve <= mean || z <= 0)
        return f;
    double under = z * z - 2 * log(reserve / mean);
    f.sigma = z - sqrt(under > 0 ? under : 0);
    f.mu = log(mean) - f.sigma * f.sigma / 2;
    return f;
}

static double draw(const struct figure *f, struct rng *rng)
{
    return f->sigma > 0 ? exp(f->mu + f->sigma * rng_normal(rng)) : f->mean;
}

static struct turn_risk risk_of(const struct episode *ep, size_t action, double z)
{
    const struct environment *env = ep->env;
    const struct costs *costs = &env->costs;
    uint32_t shown = recorded_shown(env->rec, action, ep->context);
    size_t cell =
        costs_cell(costs, env->rec->space.actions[action].llm, space_count(shown));
    return (struct turn_risk) {
        .latency = figure_of(costs->latency_s[cell], costs->latency_reserve_s[cell], z),
        .usage = figure_of(costs->usage_usd[cell], costs->usage_reserve_usd[cell], z),
    };
}

/* One session with drawn costs. */
static void play(const struct environment *env, const struct turn_risk *turns, size_t n,
    struct rng *rng, size_t *n_beyond)
{
    const struct environment_settings *set = &env->settings;
    struct ledger ledger;
    ledger_start(&ledger, set->constraints, set->n_constraints);
    for (size_t t = 0; t < n; t++) {
        const struct turn_cost cost = { { draw(&turns[t].latency, rng),
            draw(&turns[t].usage, rng), turns[t].privacy } };
        ledger_spend(&ledger, set->constraints, set->n_constraints, &cost);
    }
    for (size_t i = 0; i < set->n_constraints; i++)
        n_beyond[i] += ledger_excess(&ledger, i) > 0;
}

void shield_risk(const struct environment *env, size_t session, const size_t *actions,
    size_t n, uint64_t seed, double *out)
{
    enum { MOST = CONSTRAINT_MAX_HORIZON };
    const struct environment_settings *set = &env->settings;
    struct turn_risk turns[MOST];
    size_t n_beyond[CONSTRAINTS_MAX] = { 0 }, n_turns = 0;
    double z = stats_normal_at(set->reserve_share);
    struct episode ep;
    struct rng rng;
    episode_start(&ep, env, RULES_MODEL, session);
    for (; n_turns < n && n_turns < MOST && !ep.done; n_turns++) {
        struct outcome outcome;
        turns[n_turns] = risk_of(&ep, actions[n_turns], z);
        episode_step(&ep, actions[n_turns], &outcome);
        turns[n_turns].privacy = outcome.privacy;
    }
    rng_init(&rng, seed, "shield/risk", session);
    size_t n_draws = env->costs.is_exact ? 1 : SHIELD_DRAWS;
    for (size_t d = 0; d < n_draws; d++)
        play(env, turns, n_turns, &rng, n_beyond);
    for (size_t i = 0; i < set->n_constraints; i++)
        out[i] = (double)n_beyond[i] / (double)n_draws;
}
