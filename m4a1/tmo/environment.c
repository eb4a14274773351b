/* environment.c - settings, cost tables and the estimator that an environment is made of. */
#include "m4a1/tmo/environment.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct environment_settings environment_published(void)
{
    return (struct environment_settings) {
        .as_published = 1,
        .estimator = estimator_defaults(),
        .costs = costs_published(),
        .alpha = 1,
        .beta_association = 1.0 / 3,
        .beta_latency = 1.0 / 3,
        .beta_usage = 1.0 / 3,
        .constraints = { { CONSTRAINT_LATENCY, 30, 0 }, { CONSTRAINT_USAGE, 0.05, 0 } },
        .n_constraints = 2,
        .lambda = 1,
        .dual_rate = 0.001,
        .reserve_share = 0.9,
    };
}

struct environment_settings environment_defaults(void)
{
    struct environment_settings set = environment_published();
    set.as_published = 0;
    set.transitions = TRANSITIONS_MODEL;
    set.features = FEATURES_ONE_HOT;
    return set;
}

static enum status fit(struct environment *env, struct error *err)
{
    size_t *rows, n;
    int with_fan_out = !env->settings.as_published;
    enum status s = estimator_rows_of(
        env->rec, env->train, env->n_train, with_fan_out, &rows, &n, err);
    if (!s)
        s = estimator_fit(
            &env->settings.estimator, env->rec, rows, n, &env->estimator, err);
    free(rows);
    return s;
}

/* ---- costs ---- */

/* The least and the most of what some action can cost. */
static void range_of(
    const struct environment *env, const double *x, double *least, double *most)
{
    const struct space *space = &env->rec->space;
    *least = INFINITY;
    *most = 0;
    for (size_t llm = 0; llm < space->n_llms; llm++)
        for (size_t n = 0; n <= space_count(space->accepts[llm]); n++) {
            double one = x[costs_cell(&env->costs, llm, n)];
            *least = one < *least ? one : *least;
            *most = one > *most ? one : *most;
        }
}

/* True where showing an llm more views never costs it less. */
static int costs_rise(const struct environment *env)
{
    const struct space *space = &env->rec->space;
    const double *const tables[] = { env->costs.latency_s, env->costs.usage_usd,
        env->costs.latency_reserve_s, env->costs.usage_reserve_usd };
    for (size_t i = 0; i < 4; i++)
        for (size_t llm = 0; llm < space->n_llms; llm++)
            for (size_t n = 1; n <= space_count(space->accepts[llm]); n++) {
                size_t at = costs_cell(&env->costs, llm, n);
                if (tables[i][at] < tables[i][at - 1])
                    return 0;
            }
    return 1;
}

static int is_offered(const struct environment *env, size_t action)
{
    return !env->offered || env->offered[action];
}

/* True where every llm that is offered can be asked without a view. */
static int all_ask_plainly(const struct environment *env)
{
    const struct space *space = &env->rec->space;
    for (size_t a = 0; a < env->n_actions; a++) {
        size_t plain = space_find(space, space->actions[a].llm, 0);
        if (is_offered(env, a) && (plain == SIZE_MAX || !is_offered(env, plain)))
            return 0;
    }
    return 1;
}

/* The actions that a session can be ended with at the least cost: those without a view,
 * where views only add to costs; else all, cheap ones first. */
static enum status list_completing(struct environment *env, struct error *err)
{
    const struct space *space = &env->rec->space;
    const struct environment_settings *set = &env->settings;
    int only_plain = costs_rise(env) && all_ask_plainly(env);
    size_t *list = calloc(env->n_actions, sizeof *list);
    if (!list)
        return error_nomem(err, env->n_actions * sizeof *list);
    free(env->completing);
    env->completing = list;
    env->n_completing = 0;
    for (size_t n = 0; n <= (only_plain ? 0 : space->n_views); n++)
        for (size_t a = 0; a < env->n_actions; a++)
            if (is_offered(env, a) && space_n_uploaded(space, a) == n)
                env->completing[env->n_completing++] = a;
    env->completing_in_order = only_plain;
    for (size_t i = 0; i < set->n_constraints; i++)
        env->completing_in_order &= set->constraints[i].horizon == 0;
    return OK;
}

/* What a turn costs that can always be had, whatever the dialogue holds. */
static void find_steady(struct environment *env)
{
    const struct space *space = &env->rec->space;
    const struct costs *costs = &env->costs;
    struct turn_cost *plain = &env->steady[0], *reserve = &env->steady[1];
    *plain = *reserve = (struct turn_cost) { { INFINITY, INFINITY, 0 } };
    for (size_t a = 0; a < env->n_actions; a++) {
        size_t llm = space->actions[a].llm, cell = costs_cell(costs, llm, 0);
        if (!is_offered(env, a) || space->cloud[llm] || space->accepts[llm] ||
            costs->latency_reserve_s[cell] >= reserve->of[CONSTRAINT_LATENCY])
            continue;
        *plain =
            (struct turn_cost) { { costs->latency_s[cell], costs->usage_usd[cell], 0 } };
        *reserve = (struct turn_cost) { { costs->latency_reserve_s[cell],
            costs->usage_reserve_usd[cell], 0 } };
    }
}

static enum status price(struct environment *env, struct error *err)
{
    const struct recorded *rec = env->rec;
    const char *names[SPACE_MAX_LLMS];
    for (size_t i = 0; i < rec->space.n_llms; i++)
        names[i] = rec->data->llms[rec->llms[i]].name;
    struct costs costs;
    enum status s = costs_build(&env->settings.costs, &rec->space, names, &costs, err);
    if (s)
        return s;
    env->costs = costs;
    const double *const seconds[] = { costs.latency_s, costs.latency_reserve_s };
    const double *const usd[] = { costs.usage_usd, costs.usage_reserve_usd };
    for (size_t i = 0; i < 2; i++) {
        range_of(env, seconds[i], &env->cheapest[i][CONSTRAINT_LATENCY],
            &env->dearest[i][CONSTRAINT_LATENCY]);
        range_of(env, usd[i], &env->cheapest[i][CONSTRAINT_USAGE],
            &env->dearest[i][CONSTRAINT_USAGE]);
        for (size_t v = 0; v < rec->space.n_views; v++)
            env->dearest[i][CONSTRAINT_PRIVACY] += rec->data->privacy[v];
    }
    find_steady(env);
    return list_completing(env, err);
}

double environment_scale(const struct environment *env, size_t i)
{
    const struct constraint *one = &env->settings.constraints[i];
    double scale = one->budget > 0 ? one->budget : env->dearest[0][one->kind];
    return scale > 0 ? scale : 1;
}

/* ---- building ---- */

static enum status check(const struct recorded *rec,
    const struct environment_settings *set, const size_t *train, size_t n_train,
    struct error *err)
{
    if (set->as_published != rec->as_published)
        return error_set(err, E_ARG,
            "the data are encoded for the %s environment, and the other is asked for",
            rec->as_published ? "published" : "default");
    if (!n_train)
        return error_set(err, E_ARG, "there are no training sessions to learn from");
    for (size_t i = 0; i < n_train; i++)
        if (!rec->sessions[train[i]].n_turns)
            return error_set(err, E_DATA, "session %lld has no turns to train on",
                (long long)rec->sessions[train[i]].id);
    if (!isfinite(set->lambda) || set->lambda < 0 || !isfinite(set->dual_rate) ||
        set->dual_rate < 0)
        return error_set(err, E_ARG,
            "lambda and dual_rate are numbers from 0, not %g and %g", set->lambda,
            set->dual_rate);
    if (!(set->reserve_share > 0 && set->reserve_share < 1))
        return error_set(err, E_ARG, "reserve_share lies between 0 and 1, and is %g",
            set->reserve_share);
    return constraints_check(set->constraints, set->n_constraints, err);
}

static enum status count_features(struct environment *env, struct error *err)
{
    const struct space *space = &env->rec->space;
    size_t n = space->n_states;
    if (env->settings.features == FEATURES_ONE_HOT)
        n = space->tau * (space->state_size - 1 + space->n_tasks);
    if (env->settings.resource_aware)
        n += env->settings.n_constraints;
    if (n > SPACE_MAX_FEATURES)
        return error_set(err, E_ARG,
            "observations of %zu turns and %zu tasks have %zu features, and %d is the "
            "most; take a smaller tau",
            space->tau, space->n_tasks, n, SPACE_MAX_FEATURES);
    env->n_features = n;
    return OK;
}

enum status environment_new(const struct recorded *rec,
    const struct environment_settings *settings, const size_t *train, size_t n_train,
    struct environment **out, struct error *err)
{
    *out = NULL;
    enum status s = check(rec, settings, train, n_train, err);
    if (s)
        return s;
    struct environment *env = calloc(1, sizeof *env);
    if (!env)
        return error_nomem(err, sizeof *env);
    env->rec = rec;
    env->settings = *settings;
    if (!env->settings.longest)
        env->settings.longest = rec->longest;
    env->n_actions = rec->space.n_actions;
    env->train = malloc(n_train * sizeof *train);
    if (!env->train) {
        s = error_nomem(err, n_train * sizeof *train);
        goto fail;
    }
    memcpy(env->train, train, n_train * sizeof *train);
    env->n_train = n_train;
    s = count_features(env, err);
    if (!s)
        s = price(env, err);
    if (!s)
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
    costs_release(&env->costs);
    free(env->train);
    free(env->completing);
    estimator_free(env->estimator);
    free(env->table);
    free(env->offered);
    free(env);
}

enum status environment_offer(
    struct environment *env, const unsigned char *offered, struct error *err)
{
    if (!memchr(offered, 1, env->n_actions))
        return error_set(err, E_ARG, "no action is offered");
    unsigned char *copy = malloc(env->n_actions);
    if (!copy)
        return error_nomem(err, env->n_actions);
    memcpy(copy, offered, env->n_actions);
    free(env->offered);
    env->offered = copy;
    find_steady(env);
    return list_completing(env, err);
}

enum status environment_tabulate(struct environment *env, struct error *err)
{
    const struct recorded *rec = env->rec;
    double *table = calloc(rec->n_turns * env->n_actions, sizeof *table);
    if (!table)
        return error_nomem(err, rec->n_turns * env->n_actions * sizeof *table);
    for (size_t i = 0; i < env->n_train; i++) {
        const struct recorded_session *session = &rec->sessions[env->train[i]];
        for (size_t t = session->first; t < session->first + session->n_turns; t++) {
            struct estimator_query query = estimator_query_of(rec, t);
            estimator_values(env->estimator, &query, table + t * env->n_actions);
        }
    }
    free(env->table);
    env->table = table;
    return OK;
}

/* ---- explaining ---- */

enum status episode_explain(const struct episode *ep, size_t action,
    struct knn_neighbours *out, struct error *err)
{
    struct estimator_query query = episode_query(ep);
    return estimator_explain(ep->env->estimator, &query, action, out, err);
}

enum status environment_explain(const struct environment *env, size_t turn, size_t action,
    struct knn_neighbours *out, struct error *err)
{
    struct estimator_query query = estimator_query_of(env->rec, turn);
    return estimator_explain(env->estimator, &query, action, out, err);
}
