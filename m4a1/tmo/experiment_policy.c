/* experiment_policy.c - train or make what chooses, and play the test sessions with it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "m4a1/tmo/baselines.h"
#include "m4a1/tmo/chooser.h"
#include "m4a1/tmo/evaluation.h"
#include "m4a1/tmo/experiment_cell_parts.h"
#include "m4a1/tmo/learner.h"
#include "m4a1/tmo/oracle.h"
#include "m4a1/tmo/policy_network.h"

/* ---- playing ---- */

static void keep_sessions(
    struct cell *c, const struct evaluation_session *all, struct experiment_outcome *out)
{
    double excess = 0, n_over = 0, n_shown = 0, n_turns = 0;
    for (size_t i = 0; i < c->n_test; i++) {
        const struct evaluation_session *one = &all[i];
        if (!one->n_turns)
            continue;
        const double by_session[N_BY_SESSION] = { one->reward, one->response,
            one->use[CONSTRAINT_LATENCY], one->use[CONSTRAINT_USAGE], one->excess > 0 };
        out->ids[out->n_sessions] = c->rec->sessions[one->session].id;
        memcpy(out->by_session[out->n_sessions++], by_session, sizeof by_session);
        n_over += one->excess > 0;
        excess += one->excess;
        n_shown += (double)one->n_shown;
        n_turns += (double)one->n_turns;
    }
    out->figures[EX_EXCESS] = n_over > 0 ? excess / n_over : NAN;
    out->figures[EX_VIEWS] = n_shown / n_turns;
}

static void take_figures(const struct evaluation *e, double *f)
{
    f[EX_REWARD] = e->reward;
    f[EX_REWARD_TEST] = e->other_reward;
    f[EX_RESPONSE] = e->response;
    f[EX_ASSOCIATION] = e->association;
    f[EX_LATENCY_S] = e->latency_s;
    f[EX_USAGE_USD] = e->usage_usd;
    f[EX_PRIVACY] = e->privacy;
    f[EX_VIOLATION] = e->over;
    f[EX_LOCAL] = (double)e->n_local / (double)e->n_turns;
}

/* What scores the same choices knowing the test sessions only; NULL where it is not asked
 * for, or where they are too few. */
static enum status fit_other(
    const struct cell *c, int wanted, struct estimator **out, struct error *err)
{
    struct error why = ERROR_INIT;
    *out = NULL;
    if (!wanted || c->lab->experiment->same_sessions)
        return OK;
    enum status s = evaluation_estimator(c->env, c->test, c->n_test, out, &why);
    if (s && s != E_DATA && err)
        *err = why;
    return s == E_DATA ? OK : s;
}

static enum status evaluate(
    struct cell *c, const struct chooser *chooser, int with_other, struct error *err)
{
    struct evaluation evaluation;
    struct estimator *other = NULL;
    struct evaluation_session *sessions = calloc(c->n_test + 1, sizeof *sessions);
    if (!sessions)
        return error_nomem(err, c->n_test * sizeof *sessions);
    enum status s = fit_other(c, with_other, &other, err);
    const struct evaluation_options options = { .other = other, .by_session = sessions };
    if (!s)
        s = evaluation_play(c->env, c->test, c->n_test, chooser, c->place->seed, &options,
            &evaluation, err);
    if (!s) {
        take_figures(&evaluation, c->outcome.figures);
        keep_sessions(c, sessions, &c->outcome);
    }
    estimator_free(other);
    free(sessions);
    return s;
}

/* ---- rows ---- */

static int report(void *arg, int64_t n_steps)
{
    const struct experiment_lab *lab = arg;
    (void)n_steps;
    return lab->stop && lab->stop();
}

static int report_session(void *arg, size_t n_done, size_t n_all)
{
    (void)n_all;
    return report(arg, (int64_t)n_done);
}

static enum status run_learner(struct cell *c, struct error *err)
{
    struct environment *ground;
    struct network network;
    enum status s = cell_training_ground(c, &ground, err);
    if (s)
        return s;
    double before = cell_cpu_s();
    s = learner_train(ground, &c->config.learner, c->place->seed, report,
        (void *)(uintptr_t)c->lab, &network, err);
    if (s)
        return s;
    c->outcome.figures[EX_CPU_S] = cell_cpu_s() - before;
    c->outcome.figures[EX_FEATURES] = (double)network.n_features;
    c->outcome.figures[EX_PARAMETERS] = (double)network.n_params;
    const struct chooser chooser = { network_weigh, &network };
    s = evaluate(c, &chooser, 1, err);
    network_release(&network);
    return s;
}

static enum status run_baseline(struct cell *c, struct error *err)
{
    struct baseline_settings settings = baseline_defaults();
    struct baseline baseline;
    settings.seed = c->place->seed;
    settings.steps = c->config.learner.steps;
    double before = cell_cpu_s();
    enum status s = baseline_make(c->env, c->row->baseline, &settings, &baseline, err);
    if (s)
        return s;
    c->outcome.figures[EX_CPU_S] = cell_cpu_s() - before;
    s = evaluate(c, &baseline.chooser, 1, err);
    baseline_release(&baseline);
    return s;
}

static enum status run_bound(struct cell *c, struct error *err)
{
    const struct environment_settings *set = &c->config.environment;
    struct oracle oracle;
    struct oracle_options options = oracle_options();
    options.report = report_session;
    options.arg = (void *)(uintptr_t)c->lab;
    double before = cell_cpu_s();
    enum status s = oracle_sessions(c->env, c->test, c->n_test, &options, &oracle, err);
    if (s)
        return s;
    c->outcome.figures[EX_CPU_S] = cell_cpu_s() - before;
    c->outcome.figures[EX_UNPROVED] =
        (double)oracle.n_unproved / (double)oracle.n_sessions;
    struct oracle_player player = { &oracle,
        set->n_constraints && set->handling != HANDLING_NONE };
    const struct chooser chooser = { oracle_weigh, &player };
    s = evaluate(c, &chooser, 0, err);
    oracle_release(&oracle);
    return s;
}

enum status cell_run_policy(struct cell *c, struct error *err)
{
    switch (c->row->kind) {
    case ROW_LEARNER: return run_learner(c, err);
    case ROW_BASELINE: return run_baseline(c, err);
    case ROW_BOUND: return run_bound(c, err);
    case ROW_ESTIMATOR: break;
    }
    return OK;
}
