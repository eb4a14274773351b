/* evaluation.c - play test sessions in order and take means.
 *
 * Two of the authors' figures are mended: totals run over all turns of a session, not
 * over the window, and the mean excess counts no zero of a session that kept within. */
#include "m4a1/tmo/evaluation.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "m4a1/base/stats.h"
#include "m4a1/tmo/shield.h"

const char *const evaluation_figure_names[N_FIGURES] = { "response", "association",
    "latency_s", "usage_usd", "reward", "latency_excess_s", "usage_excess_usd", "over",
    "privacy", "other_response", "other_reward" };

/* What is at hand while sessions are played. */
struct playing {
    const struct environment *env;
    const struct chooser *chooser;
    struct evaluation_options options;
    struct response_cache cache;
    struct rng rng;
    double *p;                              /* [A] */
    size_t actions[CONSTRAINT_MAX_HORIZON]; /* of the session, as many as risks go by */
};

/* Sums over the turns of one session. */
struct tally {
    double response, association, reward, other_response, other_reward;
    size_t n_local, n_shown;
};

static size_t draw_action(const double *p, size_t n, struct rng *rng)
{
    double u = rng_uniform(rng), sum = 0;
    size_t last = 0;
    for (size_t a = 0; a < n; a++) {
        if (p[a] <= 0)
            continue;
        last = a;
        sum += p[a];
        if (u < sum)
            break;
    }
    return last;
}

/* The second estimator's word on the same action. */
static void score_again(const struct playing *play, const struct episode *ep,
    size_t action, const struct outcome *outcome, struct tally *tally)
{
    size_t turn = ep->first + ep->turn;
    struct estimator_query query = episode_query(ep);
    double response = estimator_value(play->options.other, &query, action);
    double reward =
        outcome->reward + play->env->settings.alpha * (response - outcome->response);
    tally->other_response += response;
    tally->other_reward += reward;
    if (play->options.other_rewards)
        play->options.other_rewards[turn] = reward;
}

static void play_session(struct playing *play, struct episode *ep, struct tally *tally)
{
    const struct environment *env = play->env;
    while (!ep->done) {
        struct outcome outcome;
        play->chooser->weigh(play->chooser->arg, ep, play->p);
        size_t action = draw_action(play->p, env->n_actions, &play->rng);
        if (ep->turn < CONSTRAINT_MAX_HORIZON)
            play->actions[ep->turn] = action;
        episode_outcome(ep, action, &outcome);
        tally->response += outcome.response;
        tally->association += outcome.association;
        tally->reward += outcome.reward;
        if (play->options.rewards)
            play->options.rewards[ep->first + ep->turn] = outcome.reward;
        if (play->options.other)
            score_again(play, ep, action, &outcome, tally);
        tally->n_local += !space_is_cloud(&env->rec->space, action);
        tally->n_shown += space_count(recorded_shown(env->rec, action, ep->context));
        episode_apply(ep, action, &outcome);
    }
}

/* What the session used beyond the budgets of one kind. */
static double excess_of(const struct episode *ep, enum constraint_kind kind)
{
    const struct environment_settings *set = &ep->env->settings;
    double most = 0;
    for (size_t i = 0; i < set->n_constraints; i++) {
        double one = ledger_excess(&ep->ledger, i);
        if (set->constraints[i].kind == kind && one > most)
            most = one;
    }
    return most;
}

static void keep_session(
    struct evaluation_session *out, const struct episode *ep, const struct tally *tally)
{
    double n = (double)ep->n_turns;
    *out = (struct evaluation_session) { .session = ep->session,
        .n_turns = ep->n_turns,
        .response = tally->response / n,
        .association = tally->association / n,
        .reward = tally->reward / n,
        .n_local = tally->n_local,
        .n_shown = tally->n_shown };
    memcpy(out->use, ep->ledger.total, sizeof out->use);
    for (size_t i = 0; i < ep->env->settings.n_constraints; i++)
        out->excess = fmax(
            out->excess, ledger_excess(&ep->ledger, i) / environment_scale(ep->env, i));
}

static void add_session(
    struct evaluation *out, const struct episode *ep, const struct tally *tally)
{
    double n = (double)ep->n_turns;
    double late = excess_of(ep, CONSTRAINT_LATENCY);
    double dear = excess_of(ep, CONSTRAINT_USAGE);
    out->n_sessions++;
    out->n_turns += ep->n_turns;
    out->n_local += tally->n_local;
    out->response += tally->response / n;
    out->association += tally->association / n;
    out->reward += tally->reward / n;
    out->other_response += tally->other_response / n;
    out->other_reward += tally->other_reward / n;
    out->latency_s += ep->ledger.total[CONSTRAINT_LATENCY];
    out->usage_usd += ep->ledger.total[CONSTRAINT_USAGE];
    out->privacy += ep->ledger.total[CONSTRAINT_PRIVACY];
    if (late > 0) {
        out->n_latency_over++;
        out->latency_excess_s += late;
    }
    if (dear > 0) {
        out->n_usage_over++;
        out->usage_excess_usd += dear;
    }
    int any = 0;
    for (size_t i = 0; i < ep->env->settings.n_constraints; i++) {
        double excess = ledger_excess(&ep->ledger, i);
        if (excess > 0) {
            out->constraints[i].n_over++;
            out->constraints[i].mean_excess += excess;
            any = 1;
        }
    }
    out->over += any;
}

static void add_risk(
    struct evaluation *out, const struct playing *play, const struct episode *ep)
{
    double risk[CONSTRAINTS_MAX];
    size_t n =
        ep->n_turns < CONSTRAINT_MAX_HORIZON ? ep->n_turns : CONSTRAINT_MAX_HORIZON;
    shield_risk(play->env, ep->session, play->actions, n, 0, risk);
    for (size_t i = 0; i < out->n_constraints; i++)
        out->constraints[i].probability += risk[i];
}

static void take_means(struct evaluation *out)
{
    double n = (double)out->n_sessions;
    double n_late = (double)out->n_latency_over, n_dear = (double)out->n_usage_over;
    out->latency_excess_s = n_late > 0 ? out->latency_excess_s / n_late : NAN;
    out->usage_excess_usd = n_dear > 0 ? out->usage_excess_usd / n_dear : NAN;
    for (size_t i = 0; i < out->n_constraints; i++) {
        struct evaluation_constraint *one = &out->constraints[i];
        one->rate = (double)one->n_over / n;
        one->probability /= n;
        one->mean_excess = one->n_over ? one->mean_excess / (double)one->n_over : NAN;
    }
    out->response /= n;
    out->association /= n;
    out->reward /= n;
    out->latency_s /= n;
    out->usage_usd /= n;
    out->privacy /= n;
    out->other_response /= n;
    out->other_reward /= n;
    out->latency_over = n_late / n;
    out->usage_over = n_dear / n;
    out->over /= n;
}

enum status evaluation_play(const struct environment *env, const size_t *sessions,
    size_t n, const struct chooser *chooser, uint64_t seed,
    const struct evaluation_options *options, struct evaluation *out, struct error *err)
{
    struct playing play = { .env = env, .chooser = chooser };
    memset(out, 0, sizeof *out);
    out->n_constraints = env->settings.n_constraints;
    if (options)
        play.options = *options;
    if (play.options.by_session)
        memset(play.options.by_session, 0, n * sizeof *play.options.by_session);
    play.p = calloc(env->n_actions, sizeof *play.p);
    if (!play.p)
        return error_nomem(err, env->n_actions * sizeof *play.p);
    response_cache_init(&play.cache, env);
    for (size_t i = 0; i < n; i++) {
        struct episode ep;
        struct tally tally = { 0 };
        // A session's draws are its own, so that other sessions do not move them.
        rng_init(&play.rng, seed, "evaluation", sessions[i]);
        episode_start(&ep, env, RULES_MODEL, sessions[i]);
        ep.cache = &play.cache;
        if (ep.done)
            continue;
        play_session(&play, &ep, &tally);
        add_session(out, &ep, &tally);
        if (play.options.by_session)
            keep_session(&play.options.by_session[i], &ep, &tally);
        if (play.options.with_risk)
            add_risk(out, &play, &ep);
    }
    response_cache_release(&play.cache);
    free(play.p);
    if (!out->n_sessions)
        return error_set(err, E_ARG,
            "there is nothing to evaluate: the %zu test sessions have no turns", n);
    take_means(out);
    for (size_t i = 0; i < out->n_constraints && !play.options.with_risk; i++)
        out->constraints[i].probability = NAN;
    if (!play.options.other)
        out->other_response = out->other_reward = NAN;
    return OK;
}

enum status evaluation_run(const struct environment *env, const size_t *sessions,
    size_t n, const struct chooser *chooser, uint64_t seed, struct evaluation *out,
    struct error *err)
{
    return evaluation_play(env, sessions, n, chooser, seed, NULL, out, err);
}

enum status evaluation_estimator(const struct environment *env, const size_t *sessions,
    size_t n, struct estimator **out, struct error *err)
{
    size_t *rows, n_rows;
    *out = NULL;
    enum status s = estimator_rows_of(
        env->rec, sessions, n, !env->settings.as_published, &rows, &n_rows, err);
    if (!s)
        s = estimator_fit(
            estimator_fitted(env->estimator), env->rec, rows, n_rows, out, err);
    free(rows);
    return s;
}

double evaluation_figure(const struct evaluation *one, enum evaluation_figure figure)
{
    switch (figure) {
    case FIGURE_RESPONSE: return one->response;
    case FIGURE_ASSOCIATION: return one->association;
    case FIGURE_LATENCY_S: return one->latency_s;
    case FIGURE_USAGE_USD: return one->usage_usd;
    case FIGURE_REWARD: return one->reward;
    case FIGURE_LATENCY_EXCESS_S: return one->latency_excess_s;
    case FIGURE_USAGE_EXCESS_USD: return one->usage_excess_usd;
    case FIGURE_OVER: return one->over;
    case FIGURE_PRIVACY: return one->privacy;
    case FIGURE_OTHER_RESPONSE: return one->other_response;
    case FIGURE_OTHER_REWARD: return one->other_reward;
    case N_FIGURES: break;
    }
    return 0;
}

/* Over all sessions beyond the budget, so that an evaluation without any weighs nothing. */
static double pooled_excess(
    const struct evaluation *all, size_t n, enum evaluation_figure figure)
{
    double sum = 0, n_over = 0;
    for (size_t i = 0; i < n; i++) {
        size_t over = figure == FIGURE_LATENCY_EXCESS_S ? all[i].n_latency_over
                                                        : all[i].n_usage_over;
        if (over) {
            sum += (double)over * evaluation_figure(&all[i], figure);
            n_over += (double)over;
        }
    }
    return n_over > 0 ? sum / n_over : NAN;
}

void evaluation_summary(const struct evaluation *all, size_t n,
    enum evaluation_figure figure, double *mean, double *deviation)
{
    if (figure == FIGURE_LATENCY_EXCESS_S || figure == FIGURE_USAGE_EXCESS_USD) {
        *mean = pooled_excess(all, n, figure);
        *deviation = NAN;
        return;
    }
    double x[EVALUATION_MAX_SEEDS];
    for (size_t i = 0; i < n; i++)
        x[i] = evaluation_figure(&all[i], figure);
    *mean = stats_mean(x, n);
    *deviation = stats_deviation(x, n);
}
