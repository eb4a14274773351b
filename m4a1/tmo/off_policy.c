/* off_policy.c - what can be known before any policy is asked: rewards of paths, what
 * fan-out measured, outcome models. */
#include "m4a1/tmo/off_policy_parts.h"

#include <math.h>
#include <stdlib.h>

#include "m4a1/base/random.h"

#define FOLDS_MAX 1000

struct off_policy_settings off_policy_defaults(void)
{
    struct off_policy_settings set = {
        .model = estimator_defaults(), .n_folds = 5, .n_draws = 8
    };
    set.model.kind = ESTIMATOR_RIDGE;
    return set;
}

/* ---- rewards ---- */

/* Put the observed seconds and USD in place of the table's. */
static double observed(const struct off_policy *op, const struct outcome *outcome,
    const struct interaction *path)
{
    const struct environment_settings *set = &op->env->settings;
    double change = 0;
    if (!isnan(path->latency_s) && op->range_s > 0)
        change -=
            set->beta_latency * (path->latency_s - outcome->latency_s) / op->range_s;
    if (!isnan(path->cost_usd) && op->range_usd > 0)
        change -= set->beta_usage * (path->cost_usd - outcome->usage_usd) / op->range_usd;
    return change;
}

static void price_session(struct off_policy *op, size_t session)
{
    const struct recorded *rec = op->env->rec;
    struct episode ep;
    episode_start(&ep, op->env, RULES_RECORDED, session);
    while (!ep.done) {
        struct outcome outcome;
        size_t turn = ep.first + ep.turn, action = off_policy_stand_in(op, turn, session);
        const struct interaction *path = off_policy_path(rec, session, turn);
        episode_step(&ep, action, &outcome);
        op->rewards[turn] = NAN;
        if (rec->actions[turn] >= 0 && !isnan(rec->scores[turn]))
            op->rewards[turn] =
                off_policy_reward(op, &outcome, rec->scores[turn]) +
                (op->settings.observed_costs ? observed(op, &outcome, path) : 0);
    }
}

static void range_of_costs(struct off_policy *op)
{
    const struct costs *costs = &op->env->costs;
    double least_s = INFINITY, least_usd = INFINITY, most_s = 0, most_usd = 0;
    for (size_t i = 0; i < costs->n_llms * (costs->n_views + 1); i++) {
        if (!costs->is_kind[i])
            continue;
        least_s = fmin(least_s, costs->latency_s[i]);
        least_usd = fmin(least_usd, costs->usage_usd[i]);
        most_s = fmax(most_s, costs->latency_s[i]);
        most_usd = fmax(most_usd, costs->usage_usd[i]);
    }
    op->range_s = most_s - least_s;
    op->range_usd = most_usd - least_usd;
}

/* ---- what fan-out measured ---- */

/* Enter a row for every action that does in its turn what the row's did; sums and counts
 * are [A]. */
static void enter_row(const struct off_policy *op, const struct recorded_row *row,
    double *sums, double *counts)
{
    const struct space *space = &op->env->rec->space;
    const struct space_action *did = &space->actions[row->action];
    uint32_t context = op->env->rec->contexts[row->turn];
    for (size_t a = 0; a < space->n_actions; a++)
        if (space->actions[a].llm == did->llm &&
            off_policy_newly(op, a, context) == (did->views & ~context)) {
            sums[a] += row->score;
            counts[a]++;
        }
}

/* Keep the means of a turn where every action was measured. */
static enum status keep_measured(struct off_policy *op, size_t turn, const double *sums,
    const double *counts, struct error *err)
{
    size_t n = op->env->n_actions;
    for (size_t a = 0; a < n; a++)
        if (counts[a] == 0)
            return OK;
    size_t size = (op->n_measured + 1) * n * sizeof *op->measured;
    double *measured = realloc(op->measured, size);
    if (!measured)
        return error_nomem(err, size);
    op->measured = measured;
    for (size_t a = 0; a < n; a++)
        measured[op->n_measured * n + a] = sums[a] / counts[a];
    op->measured_at[turn] = op->n_measured++;
    return OK;
}

/* Rows of the path and of fan-out come in the order of turns, each on its own. */
static enum status gather_measured(struct off_policy *op, struct error *err)
{
    const struct recorded *rec = op->env->rec;
    size_t n = op->env->n_actions, path = 0, fan_out = rec->n_path_rows;
    double *sums = calloc(2 * n, sizeof *sums), *counts = sums + n;
    enum status s = sums ? OK : error_nomem(err, 2 * n * sizeof *sums);
    for (size_t t = 0; t < rec->n_turns && !s; t++) {
        op->measured_at[t] = SIZE_MAX;
        for (size_t a = 0; a < 2 * n; a++)
            sums[a] = 0;
        for (; path < rec->n_path_rows && rec->rows[path].turn == t; path++)
            enter_row(op, &rec->rows[path], sums, counts);
        for (; fan_out < rec->n_rows && rec->rows[fan_out].turn == t; fan_out++)
            enter_row(op, &rec->rows[fan_out], sums, counts);
        s = keep_measured(op, t, sums, counts, err);
    }
    free(sums);
    for (size_t i = 0; i < op->n_sessions && !s; i++) {
        const struct recorded_session *one = &rec->sessions[op->sessions[i]];
        for (size_t t = one->first; t < one->first + one->n_turns; t++)
            op->n_direct += op->measured_at[t] != SIZE_MAX;
    }
    return s;
}

/* ---- the outcome model ---- */

static enum status deal(struct off_policy *op, struct error *err)
{
    size_t *order = calloc(op->n_sessions + 1, sizeof *order);
    if (!order)
        return error_nomem(err, op->n_sessions * sizeof *order);
    struct rng rng;
    rng_init(&rng, op->settings.seed, "off-policy folds", 0);
    for (size_t i = 0; i < op->n_sessions; i++)
        order[i] = i;
    rng_shuffle(&rng, order, op->n_sessions);
    for (size_t i = 0; i < op->n_sessions; i++)
        op->fold_of[order[i]] = i % op->n_folds;
    free(order);
    return OK;
}

/* Fit the model of a fold on every session of the data that is not in it. */
static enum status fit_fold(struct off_policy *op, size_t fold, struct error *err)
{
    const struct recorded *rec = op->env->rec;
    size_t *others = calloc(rec->n_sessions + 1, sizeof *others), n = 0, n_rows;
    size_t *rows = NULL;
    char *held_out = calloc(rec->n_sessions + 1, 1);
    enum status s =
        others && held_out ? OK : error_nomem(err, rec->n_sessions * sizeof *others);
    for (size_t i = 0; i < op->n_sessions && !s; i++)
        if (op->fold_of[i] == fold)
            held_out[op->sessions[i]] = 1;
    for (size_t i = 0; i < rec->n_sessions && !s; i++)
        if (!held_out[i])
            others[n++] = i;
    if (!s)
        s = estimator_rows_of(rec, others, n, !rec->as_published, &rows, &n_rows, err);
    if (!s)
        s = estimator_fit(
            &op->settings.model, rec, rows, n_rows, &op->estimators[fold], err);
    if (s)
        error_prefix(err, "outcome model of fold %zu: ", fold);
    free(rows);
    free(others);
    free(held_out);
    return s;
}

/* ---- building ---- */

static enum status check(const struct recorded *rec, size_t n,
    const struct off_policy_settings *set, struct error *err)
{
    if (set->n_folds < 2 || set->n_folds > FOLDS_MAX)
        return error_set(err, E_ARG, "off-policy values take 2 to %d folds, not %zu",
            FOLDS_MAX, set->n_folds);
    if (!set->n_draws)
        return error_set(err, E_ARG, "off-policy values take one draw or more");
    if (!n || rec->n_sessions < 2)
        return error_set(err, E_DATA,
            "%s: off-policy values need a session to value and another to fit the "
            "outcome model on; there are %zu and %zu in all",
            rec->data->source, n, rec->n_sessions);
    return OK;
}

static enum status prepare(
    struct off_policy *op, const size_t *sessions, size_t n, struct error *err)
{
    const struct recorded *rec = op->env->rec;
    op->n_sessions = n;
    op->n_folds = op->settings.n_folds < n ? op->settings.n_folds : n;
    op->sessions = calloc(n, sizeof *op->sessions);
    op->fold_of = calloc(n, sizeof *op->fold_of);
    op->estimators = calloc(op->n_folds, sizeof *op->estimators);
    op->rewards = calloc(rec->n_turns + 1, sizeof *op->rewards);
    op->measured_at = calloc(rec->n_turns + 1, sizeof *op->measured_at);
    if (!op->sessions || !op->fold_of || !op->estimators || !op->rewards ||
        !op->measured_at)
        return error_nomem(err, rec->n_turns * sizeof *op->rewards);
    for (size_t i = 0; i < n; i++) {
        op->sessions[i] = sessions[i];
        op->n_turns += rec->sessions[sessions[i]].n_turns;
    }
    if (!op->n_turns)
        return error_set(
            err, E_DATA, "%s: the %zu sessions have no turns", rec->data->source, n);
    enum status s = propensity_build(rec, &op->propensity, err);
    range_of_costs(op);
    for (size_t i = 0; i < n && !s; i++)
        price_session(op, sessions[i]);
    if (!s)
        s = gather_measured(op, err);
    if (!s)
        s = deal(op, err);
    for (size_t fold = 0; fold < op->n_folds && !s; fold++)
        s = fit_fold(op, fold, err);
    return s;
}

enum status off_policy_new(const struct environment *env, const size_t *sessions,
    size_t n, const struct off_policy_settings *settings, struct off_policy **out,
    struct error *err)
{
    *out = NULL;
    enum status s = check(env->rec, n, settings, err);
    if (s)
        return s;
    struct off_policy *op = calloc(1, sizeof *op);
    if (!op)
        return error_nomem(err, sizeof *op);
    op->env = env;
    op->settings = *settings;
    s = prepare(op, sessions, n, err);
    if (s) {
        off_policy_free(op);
        return s;
    }
    *out = op;
    return OK;
}

void off_policy_free(struct off_policy *op)
{
    if (!op)
        return;
    for (size_t i = 0; op->estimators && i < op->n_folds; i++)
        estimator_free(op->estimators[i]);
    propensity_release(&op->propensity);
    free(op->estimators);
    free(op->sessions);
    free(op->fold_of);
    free(op->rewards);
    free(op->measured_at);
    free(op->measured);
    free(op);
}

size_t off_policy_n_turns(const struct off_policy *op)
{
    return op->n_turns;
}

size_t off_policy_n_direct(const struct off_policy *op)
{
    return op->n_direct;
}

const struct propensity *off_policy_propensity(const struct off_policy *op)
{
    return &op->propensity;
}
