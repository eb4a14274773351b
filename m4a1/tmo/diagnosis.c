/* diagnosis.c - one walk through the test sessions, then four questions. */
#include "m4a1/tmo/diagnosis.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "export/json_keep.h"
#include "m4a1/base/stats.h"

const char *const diagnosis_names[N_DIAGNOSES] = { "always local",
    "all views for all tasks", "violations", "variance between seeds" };

/* Sums of residuals (score less estimate) of held-out rows. */
struct residuals {
    double n, sum, squares;
};

/* What the walks through all runs' test sessions add up to. */
struct sums {
    const struct environment *env; /* of the first run: the settings of all */
    double n_turns, n_local;
    double
        n_worth; /* turns left to a local llm where the estimate says a cloud llm answers better */
    double *task_turns,
        *task_full;          /* [Y] turns, and those that show a cloud llm all views */
    double spread, n_spread; /* deviation over mean of a turn's associations */
    double n_sessions, n_over;
    double
        n_hopeless[CONSTRAINTS_MAX]; /* over though the cheapest actions would be, too */
    double charge, earned;  /* of sessions over a budget: charge, and reward without it */
    double *rewards;        /* [n runs] mean over sessions of the mean reward of a turn */
    struct residuals of[2]; /* local, cloud */
    double error, variance; /* held-out: mean squared error, variance of the scores */
    double n_rows, score_sum, score_squares, error_sum;
};

static int is_local(const struct environment *env, size_t action)
{
    return !space_is_cloud(&env->rec->space, action);
}

static size_t most_probable(const double *p, size_t n)
{
    size_t best = 0;
    for (size_t a = 1; a < n; a++)
        if (p[a] > p[best])
            best = a;
    return best;
}

/* ---- one turn ---- */

static void see_choice(struct sums *s, const struct episode *ep, size_t action,
    const struct outcome *outcomes)
{
    const struct recorded *rec = ep->env->rec;
    const struct space *space = &rec->space;
    size_t task = (size_t)rec->tasks[ep->first + ep->turn];
    uint32_t all = ((uint32_t)1 << space->n_views) - 1;
    s->n_turns++;
    s->task_turns[task]++;
    if (!is_local(ep->env, action)) {
        s->task_full[task] += recorded_shown(rec, action, ep->context) == all;
        return;
    }
    s->n_local++;
    for (size_t a = 0; a < space->n_actions; a++)
        if (!is_local(ep->env, a) && outcomes[a].response > outcomes[action].response) {
            s->n_worth++;
            break;
        }
}

static void see_associations(struct sums *s, const struct episode *ep)
{
    size_t x = ep->env->rec->space.n_views;
    const double *of = ep->env->rec->associations + (ep->first + ep->turn) * x;
    double mean = x > 1 ? stats_mean(of, x) : 0, squares = 0;
    if (!(fabs(mean) > 0))
        return;
    for (size_t v = 0; v < x; v++)
        squares += (of[v] - mean) * (of[v] - mean);
    s->spread += sqrt(squares / (double)x) / fabs(mean);
    s->n_spread++;
}

/* ---- one session ---- */

static void see_budgets(struct sums *s, const struct episode *ep, double earned)
{
    const struct environment *env = ep->env;
    double charge = 0;
    int over = 0;
    for (size_t i = 0; i < env->settings.n_constraints; i++) {
        double excess = ledger_excess(&ep->ledger, i);
        const struct constraint *one = &env->settings.constraints[i];
        over |= excess > 0;
        charge += env->settings.lambda * excess / environment_scale(env, i);
        if (excess > 0 && !one->horizon &&
            env->cheapest[0][one->kind] * (double)ep->n_turns > one->budget)
            s->n_hopeless[i]++;
    }
    s->n_sessions++;
    s->n_over += over;
    if (over) {
        s->charge += charge;
        s->earned += fabs(earned);
    }
}

static double walk_session(struct sums *s, const struct diagnosis_run *run,
    size_t session, double *p, struct outcome *outcomes)
{
    struct episode ep;
    double sum = 0;
    episode_start(&ep, run->env, RULES_MODEL, session);
    while (!ep.done) {
        run->chooser->weigh(run->chooser->arg, &ep, p);
        size_t action = most_probable(p, run->env->n_actions);
        episode_outcomes(&ep, outcomes);
        see_choice(s, &ep, action, outcomes);
        see_associations(s, &ep);
        sum += outcomes[action].reward;
        episode_apply(&ep, action, &outcomes[action]);
    }
    see_budgets(s, &ep, sum);
    return ep.n_turns ? sum / (double)ep.n_turns : 0;
}

/* ---- held-out rows ---- */

static enum status see_rows(
    struct sums *s, const struct diagnosis_run *run, struct error *err)
{
    const struct recorded *rec = run->env->rec;
    unsigned char *flags = calloc(rec->n_sessions + 1, 1);
    if (!flags)
        return error_nomem(err, rec->n_sessions);
    for (size_t i = 0; i < run->n; i++)
        flags[run->sessions[i]] = 1;
    for (size_t i = 0; i < rec->n_rows; i++) {
        const struct recorded_row *row = &rec->rows[i];
        if (!flags[recorded_session_of(rec, row->turn)])
            continue;
        struct estimator_query query = estimator_query_of(rec, row->turn);
        double residual = row->score - estimator_value(run->env->estimator, &query,
                                           (size_t)row->action);
        struct residuals *of = &s->of[!is_local(run->env, (size_t)row->action)];
        of->n++;
        of->sum += residual;
        of->squares += residual * residual;
        s->n_rows++;
        s->error_sum += residual * residual;
        s->score_sum += row->score;
        s->score_squares += row->score * row->score;
    }
    free(flags);
    return OK;
}

static enum status walk(
    struct sums *s, const struct diagnosis_run *runs, size_t n, struct error *err)
{
    size_t n_actions = runs[0].env->n_actions;
    double *p = calloc(n_actions, sizeof *p);
    struct outcome *outcomes = calloc(n_actions, sizeof *outcomes);
    enum status status =
        p && outcomes ? OK : error_nomem(err, n_actions * sizeof *outcomes);
    for (size_t r = 0; r < n && !status; r++) {
        double sum = 0;
        for (size_t i = 0; i < runs[r].n; i++)
            sum += walk_session(s, &runs[r], runs[r].sessions[i], p, outcomes);
        s->rewards[r] = runs[r].n ? sum / (double)runs[r].n : 0;
        status = see_rows(s, &runs[r], err);
    }
    free(p);
    free(outcomes);
    return status;
}

/* ---- the four questions ---- */

/* Mean residual and its standard error. */
static double bias_of(const struct residuals *r, double *error)
{
    double mean = r->n > 0 ? r->sum / r->n : 0;
    double variance = r->n > 1 ? (r->squares - r->n * mean * mean) / (r->n - 1) : 0;
    *error = r->n > 1 ? sqrt(fmax(variance, 0) / r->n) : INFINITY;
    return mean;
}

static void ask_local(const struct sums *s, struct diagnosis_finding *f)
{
    double local_error, cloud_error;
    double local = bias_of(&s->of[0], &local_error);
    double cloud = bias_of(&s->of[1], &cloud_error);
    double gap = cloud - local;
    double error = sqrt(local_error * local_error + cloud_error * cloud_error);
    f->figure = s->n_local / s->n_turns;
    f->threshold = DIAGNOSIS_LOCAL_SHARE;
    f->found = f->figure >= f->threshold;
    snprintf(f->said, sizeof f->said,
        "%.0f %% of the test turns are left to local llms (threshold %.0f %%)",
        100 * f->figure, 100 * f->threshold);
    if (!f->found)
        return;
    if (gap > DIAGNOSIS_BIAS && gap > 2 * error) {
        snprintf(f->cause, sizeof f->cause,
            "the cloud is underestimated: held-out cloud scores are %.2f above their "
            "estimates, local ones %.2f (difference %.2f, standard error %.2f, threshold "
            "%.2f)",
            cloud, local, gap, error, DIAGNOSIS_BIAS);
        snprintf(f->next, sizeof f->next, "%s",
            s->env->settings.estimator.kind == ESTIMATOR_AUTO ? "--estimator role"
                                                              : "--estimator auto");
        return;
    }
    const struct environment_settings *set = &s->env->settings;
    snprintf(f->cause, sizeof f->cause,
        "the reward's weights: in %.0f %% of the turns left to local llms the estimate "
        "says that a cloud llm answers better, and latency (weight %.3g) and usage "
        "(%.3g) "
        "outweigh it%s",
        s->n_local > 0 ? 100 * s->n_worth / s->n_local : 0, set->beta_latency,
        set->beta_usage,
        s->n_worth < s->n_local / 2 ? "; in most it does not, so local may be right"
                                    : "");
    snprintf(f->next, sizeof f->next, "--set reward.latency=%.3g --set reward.usage=%.3g",
        set->beta_latency / 3, set->beta_usage / 3);
}

static void ask_views(const struct sums *s, struct diagnosis_finding *f)
{
    const struct recorded *rec = s->env->rec;
    double least = 1;
    int any = 0;
    f->threshold = DIAGNOSIS_VIEWS_SHARE;
    for (size_t y = 0; y < rec->space.n_tasks; y++)
        if (s->task_turns[y] > 0) {
            least = fmin(least, s->task_full[y] / s->task_turns[y]);
            any = 1;
        }
    f->figure = any ? least : 0;
    f->applies = rec->space.n_views > 1;
    f->found = f->applies && f->figure >= f->threshold;
    if (!f->applies) {
        snprintf(f->said, sizeof f->said, "the data have one view");
        return;
    }
    snprintf(f->said, sizeof f->said,
        "of every task at least %.0f %% of the test turns show a cloud llm all %zu views "
        "(threshold %.0f %%)",
        100 * f->figure, rec->space.n_views, 100 * f->threshold);
    if (!f->found)
        return;
    double spread = s->n_spread > 0 ? s->spread / s->n_spread : 0;
    double weight = s->env->settings.beta_association;
    if (spread < DIAGNOSIS_SPREAD) {
        snprintf(f->cause, sizeof f->cause,
            "associations hardly differ between the views of a turn (deviation %.1f %% "
            "of "
            "the mean, threshold %.0f %%), so every view adds about as much",
            100 * spread, 100 * DIAGNOSIS_SPREAD);
        snprintf(f->next, sizeof f->next, "--set reward.association=0");
    } else {
        snprintf(f->cause, sizeof f->cause,
            "the weight of association (%.3g): it grows with every view, and outweighs "
            "their latency and usage",
            weight);
        snprintf(f->next, sizeof f->next, "--set reward.association=%.3g", weight / 3);
    }
}

/* The options that give all constraints, the worst one with twice its budget. */
static void tell_constraints(
    const struct environment_settings *set, size_t worst, char *out, size_t size)
{
    size_t at = 0;
    for (size_t i = 0; i < set->n_constraints && at < size; i++) {
        const struct constraint *one = &set->constraints[i];
        char horizon[24] = "";
        if (one->horizon)
            snprintf(horizon, sizeof horizon, ":%zu", one->horizon);
        at += (size_t)snprintf(out + at, size - at, "%s--constraint %s=%.4g%s",
            i ? " " : "", constraint_names[one->kind], (i == worst ? 2 : 1) * one->budget,
            horizon);
    }
}

static void ask_violations(const struct sums *s, struct diagnosis_finding *f)
{
    const struct environment_settings *set = &s->env->settings;
    double rate = s->n_sessions > 0 ? s->n_over / s->n_sessions : 0;
    f->figure = rate;
    f->threshold = DIAGNOSIS_VIOLATION_RATE;
    f->applies = set->handling != HANDLING_NONE && set->n_constraints;
    f->found = f->applies && rate > f->threshold;
    if (!f->applies) {
        snprintf(f->said, sizeof f->said,
            "%.0f %% of the test sessions exceed a budget; training was not held to any "
            "(handling none)",
            100 * rate);
        return;
    }
    snprintf(f->said, sizeof f->said,
        "%.0f %% of the test sessions exceed a budget under handling %s, lambda %.3g "
        "(threshold %.0f %%)",
        100 * rate, handling_names[set->handling], set->lambda, 100 * f->threshold);
    if (!f->found)
        return;
    double share = s->earned > 0 ? s->charge / s->earned : INFINITY;
    size_t worst = 0;
    for (size_t i = 1; i < set->n_constraints; i++)
        if (s->n_hopeless[i] > s->n_hopeless[worst])
            worst = i;
    if (s->n_hopeless[worst] > s->n_over / 2) {
        snprintf(f->cause, sizeof f->cause,
            "a budget that nobody can meet: %.0f of the %.0f sessions exceed that of %s "
            "even with the cheapest action in every turn",
            s->n_hopeless[worst], s->n_over,
            constraint_names[set->constraints[worst].kind]);
        tell_constraints(set, worst, f->next, sizeof f->next);
    } else if (set->handling == HANDLING_PENALTY && share < 1) {
        snprintf(f->cause, sizeof f->cause,
            "the penalty is small against the reward: it takes %.0f %% of what such a "
            "session earns (threshold 100 %%)",
            100 * share);
        snprintf(f->next, sizeof f->next, "--handling penalty --lambda %.3g",
            share > 0 ? 2 * set->lambda / share : 10 * (set->lambda + 1));
    } else if (!set->resource_aware || s->env->rec->longest > s->env->rec->space.tau) {
        snprintf(f->cause, sizeof f->cause,
            "the policy may not see what it has used up: sessions have up to %zu turns, "
            "tau is %zu, and remaining budgets are %s",
            s->env->rec->longest, s->env->rec->space.tau,
            set->resource_aware ? "observed" : "not observed");
        snprintf(
            f->next, sizeof f->next, "--tau %zu --resource-aware", s->env->rec->longest);
    } else {
        snprintf(f->cause, sizeof f->cause,
            "charges act on the mean; only the shield keeps every session within");
        snprintf(f->next, sizeof f->next, "--handling shield");
    }
}

static void ask_variance(const struct sums *s, size_t n, struct diagnosis_finding *f)
{
    const struct estimator_settings *fitted = estimator_fitted(s->env->estimator);
    f->threshold = DIAGNOSIS_DEVIATION;
    f->applies = n >= DIAGNOSIS_MIN_RUNS;
    if (!f->applies) {
        snprintf(f->said, sizeof f->said,
            "%zu seed%s cannot show it; take %d or more (--seeds)", n, n == 1 ? "" : "s",
            DIAGNOSIS_MIN_RUNS);
        return;
    }
    double mean = stats_mean(s->rewards, n), squares = 0;
    for (size_t i = 0; i < n; i++)
        squares += (s->rewards[i] - mean) * (s->rewards[i] - mean);
    double deviation = sqrt(squares / (double)(n - 1));
    f->figure = fabs(mean) > 0 ? deviation / fabs(mean) : 0;
    f->found = f->figure > f->threshold;
    snprintf(f->said, sizeof f->said,
        "rewards of %zu seeds deviate by %.0f %% of their mean (threshold %.0f %%); "
        "where "
        "each has a split of its own, part of it is the split's",
        n, 100 * f->figure, 100 * f->threshold);
    if (!f->found)
        return;
    double noise = s->variance > 0 ? s->error / s->variance : 0;
    int has_k = fitted->kind == ESTIMATOR_PUBLISHED;
    if (noise > DIAGNOSIS_NOISE) {
        snprintf(f->cause, sizeof f->cause,
            "noise: on held-out scores the estimator %s errs by %.0f %% of their "
            "variance "
            "(threshold %.0f %%)%s",
            estimator_name(s->env->estimator), 100 * noise, 100 * DIAGNOSIS_NOISE,
            has_k ? "; a small k follows single scores" : "");
        if (has_k)
            snprintf(f->next, sizeof f->next, "--k %zu",
                4 * fitted->k < KNN_MAX_K ? 4 * fitted->k : (size_t)KNN_MAX_K);
        else
            snprintf(f->next, sizeof f->next, "--estimator role");
    } else {
        snprintf(f->cause, sizeof f->cause,
            "learning: the estimator predicts held-out scores (error %.0f %% of their "
            "variance), so runs end in different policies",
            100 * noise);
        snprintf(f->next, sizeof f->next, "--set learner.steps=100000");
    }
}

enum status diagnosis_make(const struct diagnosis_run *runs, size_t n,
    const char *command, struct diagnosis *out, struct error *err)
{
    struct sums s = { .env = n ? runs[0].env : NULL };
    memset(out, 0, sizeof *out);
    if (!n)
        return error_set(err, E_ARG, "there is no policy to look at");
    size_t n_tasks = s.env->rec->space.n_tasks;
    s.task_turns = calloc(2 * n_tasks + n, sizeof *s.task_turns);
    if (!s.task_turns)
        return error_nomem(err, (2 * n_tasks + n) * sizeof *s.task_turns);
    s.task_full = s.task_turns + n_tasks;
    s.rewards = s.task_turns + 2 * n_tasks;
    enum status status = walk(&s, runs, n, err);
    if (!status && s.n_turns < 1)
        status = error_set(err, E_ARG, "there is no test turn to look at");
    if (!status) {
        s.error = s.n_rows > 0 ? s.error_sum / s.n_rows : 0;
        double mean = s.n_rows > 0 ? s.score_sum / s.n_rows : 0;
        s.variance = s.n_rows > 0 ? s.score_squares / s.n_rows - mean * mean : 0;
        for (size_t i = 0; i < N_DIAGNOSES; i++) {
            out->findings[i].kind = (enum diagnosis_kind)i;
            out->findings[i].applies = 1;
        }
        ask_local(&s, &out->findings[DIAGNOSIS_LOCAL]);
        ask_views(&s, &out->findings[DIAGNOSIS_VIEWS]);
        ask_violations(&s, &out->findings[DIAGNOSIS_VIOLATIONS]);
        ask_variance(&s, n, &out->findings[DIAGNOSIS_VARIANCE]);
        for (size_t i = 0; i < N_DIAGNOSES; i++) {
            struct diagnosis_finding *f = &out->findings[i];
            char options[sizeof f->next];
            memcpy(options, f->next, sizeof options);
            if (f->found)
                snprintf(f->next, sizeof f->next, "%.250s %.200s --out again", command,
                    options);
        }
    }
    free(s.task_turns);
    return status;
}

enum status diagnosis_write(
    const struct diagnosis *d, struct json *object, struct error *err)
{
    struct json_keeper k = { 1 };
    struct json *list = json_keep(&k, json_set_array(object, "diagnosis"));
    for (size_t i = 0; i < N_DIAGNOSES; i++) {
        const struct diagnosis_finding *f = &d->findings[i];
        struct json *o = json_keep(&k, json_add_object(list));
        json_keep(&k, json_set_text(o, "name", diagnosis_names[f->kind]));
        json_keep(&k, json_set_bool(o, "applies", f->applies));
        json_keep(&k, json_set_bool(o, "found", f->found));
        json_keep_figure(&k, o, "figure", f->figure);
        json_keep_figure(&k, o, "threshold", f->threshold);
        json_keep(&k, json_set_text(o, "said", f->said));
        json_keep(&k, json_set_text(o, "cause", f->cause));
        json_keep(&k, json_set_text(o, "next", f->next));
    }
    return k.ok ? OK : error_nomem(err, sizeof *d);
}
