/* planner.c - expectimax over copies of an episode. */
#include "m4a1/tmo/planner.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "m4a1/base/text.h"
#include "m4a1/tmo/baseline_parts.h"

/* A kind of turn that may come: a task, or a task and a prompt. */
struct kind_of_turn {
    size_t task, prompt;
    size_t turn;  /* a recorded training turn that stands for it */
    size_t count; /* training turns of it */
};

struct planner {
    const struct environment *env;
    struct response_cache cache;
    size_t depth, n_tasks;
    double *weights; /* [n_weights] of turn t + 1 beside turn t; 0 behind */
    size_t n_weights;
    double *next; /* [n_tasks][n_tasks] P(next task | task) */
    struct kind_of_turn *kinds;
    double *share; /* [n_kinds] P(kind | its task) */
    size_t n_kinds;
    struct outcome *outcomes[PLANNER_MAX_DEPTH]; /* [A] of each depth */
    unsigned char *allowed[PLANNER_MAX_DEPTH];   /* [A] of each depth */
};

static void release(void *state)
{
    struct planner *p = state;
    response_cache_release(&p->cache);
    free(p->weights);
    free(p->next);
    free(p->kinds);
    free(p->share);
    for (size_t i = 0; i < PLANNER_MAX_DEPTH; i++) {
        free(p->outcomes[i]);
        free(p->allowed[i]);
    }
    free(p);
}

/* ---- what training sessions say of the future ---- */

static const struct recorded_session *session_of(const struct planner *p, size_t i)
{
    return &p->env->rec->sessions[p->env->train[i]];
}

/* weights[t] = w(t + 1) / w(t). */
static void learn_lengths(struct planner *p)
{
    for (size_t i = 0; i < p->env->n_train; i++) {
        size_t n = session_of(p, i)->n_turns;
        for (size_t t = 0; t < n; t++)
            p->weights[t] += 1 / (double)n;
    }
    for (size_t t = 0; t + 1 < p->n_weights; t++)
        p->weights[t] = p->weights[t] > 0 ? p->weights[t + 1] / p->weights[t] : 0;
}

static void learn_tasks(struct planner *p)
{
    const struct recorded *rec = p->env->rec;
    size_t n = p->n_tasks;
    double all = 0;
    for (size_t i = 0; i < p->n_kinds; i++)
        all += (double)p->kinds[i].count;
    for (size_t i = 0; i < p->n_kinds; i++)
        for (size_t from = 0; from < n; from++)
            p->next[from * n + p->kinds[i].task] += (double)p->kinds[i].count / all;
    for (size_t i = 0; i < p->env->n_train; i++) {
        const struct recorded_session *of = session_of(p, i);
        for (size_t t = of->first; t + 1 < of->first + of->n_turns; t++)
            p->next[(size_t)rec->tasks[t] * n + (size_t)rec->tasks[t + 1]]++;
    }
    for (size_t from = 0; from < n; from++) {
        double sum = 0;
        for (size_t to = 0; to < n; to++)
            sum += p->next[from * n + to];
        for (size_t to = 0; to < n; to++)
            p->next[from * n + to] /= sum;
    }
}

static size_t kind_at(const struct planner *p, size_t turn, int by_prompt)
{
    const struct recorded *rec = p->env->rec;
    size_t i = 0;
    while (i < p->n_kinds && (p->kinds[i].task != (size_t)rec->tasks[turn] ||
                                 (by_prompt && p->kinds[i].prompt != rec->prompts[turn])))
        i++;
    return i;
}

/* The turn of a kind whose associations lie nearest to the kind's mean, the first among
 * equals. */
static void choose_turns(struct planner *p, const size_t *kind_of, double *mean)
{
    const struct recorded *rec = p->env->rec;
    size_t n_views = rec->space.n_views;
    for (size_t k = 0; k < p->n_kinds; k++) {
        double nearest = INFINITY;
        memset(mean, 0, n_views * sizeof *mean);
        for (size_t t = 0; t < rec->n_turns; t++)
            for (size_t v = 0; kind_of[t] == k && v < n_views; v++)
                mean[v] += rec->associations[t * n_views + v] / (double)p->kinds[k].count;
        for (size_t t = 0; t < rec->n_turns; t++) {
            double d2 = 0;
            for (size_t v = 0; v < n_views; v++)
                d2 += pow(rec->associations[t * n_views + v] - mean[v], 2);
            if (kind_of[t] == k && d2 < nearest) {
                nearest = d2;
                p->kinds[k].turn = t;
            }
        }
    }
}

static enum status learn_kinds(struct planner *p, int by_prompt, struct error *err)
{
    const struct recorded *rec = p->env->rec;
    size_t *kind_of = malloc(rec->n_turns * sizeof *kind_of);
    double *mean = malloc(rec->space.n_views * sizeof *mean);
    if (!kind_of || !mean) {
        free(kind_of);
        free(mean);
        return error_nomem(err, rec->n_turns * sizeof *kind_of);
    }
    memset(kind_of, 0xff, rec->n_turns * sizeof *kind_of);
    for (size_t i = 0; i < p->env->n_train; i++) {
        const struct recorded_session *of = session_of(p, i);
        for (size_t t = of->first; t < of->first + of->n_turns; t++) {
            size_t k = kind_of[t] = kind_at(p, t, by_prompt);
            if (k == p->n_kinds)
                p->kinds[p->n_kinds++] =
                    (struct kind_of_turn) { .task = (size_t)rec->tasks[t],
                        .prompt = rec->prompts[t] };
            p->kinds[k].count++;
        }
    }
    choose_turns(p, kind_of, mean);
    for (size_t k = 0; k < p->n_kinds; k++) {
        size_t of_task = 0;
        for (size_t i = 0; i < p->n_kinds; i++)
            of_task += p->kinds[i].task == p->kinds[k].task ? p->kinds[i].count : 0;
        p->share[k] = (double)p->kinds[k].count / (double)of_task;
    }
    free(kind_of);
    free(mean);
    return OK;
}

/* Means and the published k-NN do not look at prompts: one kind of turn a task will do. */
static int reads_prompts(const struct environment *env)
{
    enum estimator_kind kind = estimator_fitted(env->estimator)->kind;
    return kind == ESTIMATOR_RIDGE || kind == ESTIMATOR_METRIC;
}

/* ---- looking ahead ---- */

static double look(struct planner *p, const struct episode *ep, size_t left, size_t *out);

/* What the turns behind an action are worth, left of them looked at. */
static double look_behind(struct planner *p, const struct episode *ep, size_t action,
    const struct outcome *outcome, size_t left)
{
    const struct recorded *rec = p->env->rec;
    const double *next = p->next + (size_t)rec->tasks[ep->first + ep->turn] * p->n_tasks;
    double sum = 0;
    for (size_t k = 0; k < p->n_kinds; k++) {
        double probability = next[p->kinds[k].task] * p->share[k];
        struct episode then = *ep;
        // Whatever the session is, its next turn is the one that stands for this kind.
        then.first = p->kinds[k].turn - (ep->turn + 1);
        then.n_turns = ep->turn + 2;
        episode_apply(&then, action, outcome);
        sum += probability * look(p, &then, left, NULL);
    }
    return sum;
}

/* What constraints take off an action's reward. */
static double charge(
    const struct episode *ep, size_t action, const struct outcome *outcome)
{
    enum constraint_handling handling = ep->env->settings.handling;
    if (handling != HANDLING_PENALTY && handling != HANDLING_LAGRANGIAN)
        return 0;
    struct episode then = *ep;
    then.n_turns = ep->turn + 1;
    episode_apply(&then, action, outcome);
    return baseline_charge(ep, &then);
}

/* The greatest worth of the turn that ep is in and the left - 1 behind it; the action in
 * *out, the first among equals. */
static double look(struct planner *p, const struct episode *ep, size_t left, size_t *out)
{
    struct outcome *outcomes = p->outcomes[left - 1];
    unsigned char *allowed = p->allowed[left - 1];
    double weight = ep->turn < p->n_weights ? p->weights[ep->turn] : 0;
    double best = -INFINITY;
    episode_outcomes(ep, outcomes);
    episode_allowed(ep, allowed);
    for (size_t a = 0; a < p->env->n_actions; a++) {
        if (!allowed[a])
            continue;
        double worth = outcomes[a].reward - charge(ep, a, &outcomes[a]);
        if (left > 1 && weight > 0)
            worth += weight * look_behind(p, ep, a, &outcomes[a], left - 1);
        if (worth > best) {
            best = worth;
            if (out)
                *out = a;
        }
    }
    return best;
}

static void weigh(void *arg, const struct episode *ep, double *p)
{
    struct planner *planner = arg;
    struct episode here = *ep;
    size_t action = 0;
    here.rules = RULES_MODEL;
    here.cache = &planner->cache;
    look(planner, &here, planner->depth, &action);
    memset(p, 0, planner->env->n_actions * sizeof *p);
    p[action] = 1;
}

/* ---- making one ---- */

static enum status planner_init(
    struct planner *p, const struct environment *env, size_t depth, struct error *err)
{
    const struct recorded *rec = env->rec;
    int ok = 1;
    p->env = env;
    response_cache_init(&p->cache, env);
    p->depth = depth;
    p->n_tasks = rec->space.n_tasks;
    p->n_weights = rec->longest + 1;
    p->weights = calloc(p->n_weights, sizeof *p->weights);
    p->next = calloc(p->n_tasks * p->n_tasks, sizeof *p->next);
    p->kinds = calloc(rec->n_turns, sizeof *p->kinds);
    p->share = calloc(rec->n_turns, sizeof *p->share);
    for (size_t i = 0; i < depth; i++) {
        p->outcomes[i] = malloc(env->n_actions * sizeof *p->outcomes[i]);
        p->allowed[i] = malloc(env->n_actions);
        ok = ok && p->outcomes[i] && p->allowed[i];
    }
    if (!ok || !p->weights || !p->next || !p->kinds || !p->share)
        return error_nomem(err, rec->n_turns * sizeof *p->kinds);
    learn_lengths(p);
    enum status s = learn_kinds(p, reads_prompts(env), err);
    if (!s)
        learn_tasks(p);
    return s;
}

enum status planner_make(const struct environment *env,
    const struct baseline_settings *settings, const char *argument, struct baseline *out,
    struct error *err)
{
    int64_t depth = (int64_t)settings->depth;
    enum status s = OK;
    if (argument)
        s = text_to_int(
            argument, "the depth of the planner", 1, PLANNER_MAX_DEPTH, &depth, err);
    if (s)
        return s;
    if (depth < 1 || depth > PLANNER_MAX_DEPTH)
        return error_set(err, E_ARG,
            "the depth of the planner is 1 to %d turns, not %lld", PLANNER_MAX_DEPTH,
            (long long)depth);
    struct planner *p = calloc(1, sizeof *p);
    if (!p)
        return error_nomem(err, sizeof *p);
    s = planner_init(p, env, (size_t)depth, err);
    if (s) {
        release(p);
        return s;
    }
    out->chooser = (struct chooser) { weigh, p };
    out->state = p;
    out->free_state = release;
    return OK;
}
