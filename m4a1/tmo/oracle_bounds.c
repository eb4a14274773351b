/* oracle_bounds.c - what no turn of a session exceeds, whatever came before it. */
#include <math.h>
#include <stdlib.h>

#include "m4a1/tmo/oracle.h"

int oracle_reads_states(const struct environment *env)
{
    return estimator_fitted(env->estimator)->kind == ESTIMATOR_PUBLISHED;
}

/* The greatest estimate of the k-NN, times alpha: estimates are means of scores. */
static double most_response(const struct environment *env)
{
    const struct recorded *rec = env->rec;
    double least = INFINITY, most = -INFINITY;
    for (size_t i = 0; i < rec->n_rows; i++) {
        least = fmin(least, rec->rows[i].score);
        most = fmax(most, rec->rows[i].score);
    }
    return fmax(env->settings.alpha * least, env->settings.alpha * most);
}

/* The views that some listed action adds. */
static uint32_t views_of(const struct space *space)
{
    uint32_t all = 0;
    for (size_t a = 0; a < space->n_actions; a++)
        all |= space->actions[a].views;
    return all;
}

/* All but the response, at best over the llms and whatever views they can be shown. */
static double most_of_turn(const struct environment *env, size_t turn)
{
    const struct environment_settings *set = &env->settings;
    const struct space *space = &env->rec->space;
    uint32_t all = views_of(space);
    double most = -INFINITY;
    for (size_t llm = 0; llm < space->n_llms; llm++)
        for (uint32_t shown = 0; shown <= all; shown++) {
            if (shown & ~(space->accepts[llm] & all))
                continue;
            size_t at = llm * (space->n_views + 1) + space_count(shown);
            double association;
            recorded_association(env->rec, turn, shown, &association);
            double reward = set->beta_association * association -
                            set->beta_latency * env->costs.latency_share[at] -
                            set->beta_usage * env->costs.usage_share[at];
            most = fmax(most, reward);
        }
    return most;
}

static struct turn_cost least_cost(const struct environment *env)
{
    const struct space *space = &env->rec->space;
    struct turn_cost least = { { INFINITY, INFINITY, 0 } };
    for (size_t llm = 0; llm < space->n_llms; llm++)
        for (size_t n = 0; n <= space_count(space->accepts[llm]); n++) {
            size_t at = llm * (space->n_views + 1) + n;
            double *of = least.of;
            of[CONSTRAINT_LATENCY] =
                fmin(of[CONSTRAINT_LATENCY], env->costs.latency_s[at]);
            of[CONSTRAINT_USAGE] = fmin(of[CONSTRAINT_USAGE], env->costs.usage_usd[at]);
        }
    return least;
}

/* The greatest reward of a turn where it depends on the views of the dialogue only. */
static double most_of_contexts(struct episode *ep, size_t turn, struct outcome *outcomes)
{
    uint32_t all = views_of(&ep->env->rec->space);
    double most = -INFINITY;
    ep->turn = turn;
    for (uint32_t context = 0; context <= all; context++) {
        if (context & ~all)
            continue;
        ep->context = context;
        episode_outcomes(ep, outcomes);
        for (size_t a = 0; a < ep->env->n_actions; a++)
            most = fmax(most, outcomes[a].reward);
    }
    return most;
}

enum status oracle_bounds(const struct environment *env, size_t session, double *most,
    struct turn_cost *least, struct error *err)
{
    const struct recorded_session *of = &env->rec->sessions[session];
    struct outcome *outcomes = malloc(env->n_actions * sizeof *outcomes);
    if (!outcomes)
        return error_nomem(err, env->n_actions * sizeof *outcomes);
    struct episode ep;
    episode_start(&ep, env, RULES_MODEL, session);
    int reads_states = oracle_reads_states(env);
    double response = most_response(env);
    for (size_t t = 0; t < of->n_turns; t++) {
        most[t] = reads_states ? response + most_of_turn(env, of->first + t)
                               : most_of_contexts(&ep, t, outcomes);
        least[t] = least_cost(env);
    }
    free(outcomes);
    return OK;
}
