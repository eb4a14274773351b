/* baseline_tables.c - the best fixed action, and the best for each task or prompt.
 *
 * What an action earns depends on what was done before, so a table is judged whole: by
 * its mean reward over training sessions in the model.  The best fixed action is the best
 * of all.  The tables start from it (that of prompts from the one of tasks) and change
 * one cell at a time for the better until no change is: a local optimum.  Big data sets
 * are judged on MAX_SESSIONS training sessions, and cells try the MAX_TRIED best fixed
 * actions. */
#include <stdlib.h>
#include <string.h>
#include "m4a1/base/random.h"
#include "m4a1/tmo/baseline_parts.h"

#define MAX_SESSIONS 500
#define MAX_TRIED 32
#define NONE SIZE_MAX /* of a prompt: the action of its task */

struct action_table {
    size_t n_tasks;
    size_t actions[]; /* of each task, then of each prompt */
};

struct candidate {
    double reward;
    size_t action;
};

struct fit {
    const struct environment *env;
    struct response_cache cache;
    struct action_table *table;
    size_t *sessions; /* that tables are judged on; owned */
    size_t n_sessions;
    struct candidate *tried; /* [A] actions, the best fixed ones first; owned */
    size_t n_tried;
    double reward; /* of the table */
};

static size_t look_up(
    const struct action_table *table, const struct recorded *rec, size_t turn)
{
    size_t by_prompt = table->actions[table->n_tasks + rec->prompts[turn]];
    return by_prompt == NONE ? table->actions[rec->tasks[turn]] : by_prompt;
}

static void weigh(void *arg, const struct episode *ep, double *p)
{
    const struct action_table *table = arg;
    baseline_take(ep, look_up(table, ep->env->rec, ep->first + ep->turn), p);
}

/* The mean reward over turns, then sessions, less what constraints charge. */
static double judge(struct fit *fit)
{
    double sum = 0;
    for (size_t i = 0; i < fit->n_sessions; i++) {
        struct episode ep;
        double reward = 0;
        episode_start(&ep, fit->env, RULES_MODEL, fit->sessions[i]);
        ep.cache = &fit->cache;
        while (!ep.done) {
            struct episode before = ep;
            struct outcome outcome;
            size_t action = look_up(fit->table, fit->env->rec, ep.first + ep.turn);
            episode_step(&ep, baseline_legal(&ep, action), &outcome);
            reward += outcome.reward - baseline_charge(&before, &ep);
        }
        sum += reward / (double)ep.n_turns;
    }
    return sum / (double)fit->n_sessions;
}

static int by_reward(const void *va, const void *vb)
{
    const struct candidate *a = va, *b = vb;
    if (a->reward != b->reward)
        return a->reward > b->reward ? -1 : 1;
    return a->action < b->action ? -1 : a->action > b->action;
}

static void set_tasks(struct action_table *table, size_t action)
{
    for (size_t task = 0; task < table->n_tasks; task++)
        table->actions[task] = action;
}

static void fit_fixed(struct fit *fit)
{
    size_t n = fit->env->n_actions;
    for (size_t a = 0; a < n; a++) {
        set_tasks(fit->table, a);
        fit->tried[a] = (struct candidate) { judge(fit), a };
    }
    qsort(fit->tried, n, sizeof *fit->tried, by_reward);
    set_tasks(fit->table, fit->tried[0].action);
    fit->n_tried = n < MAX_TRIED ? n : MAX_TRIED;
    fit->reward = fit->tried[0].reward;
}

/* Give a cell the action that makes the table best.  1 = it was changed. */
static int improve(struct fit *fit, size_t cell)
{
    size_t best = fit->table->actions[cell], before = best;
    for (size_t i = 0; i < fit->n_tried; i++) {
        fit->table->actions[cell] = fit->tried[i].action;
        double reward = judge(fit);
        if (reward > fit->reward) {
            fit->reward = reward;
            best = fit->tried[i].action;
        }
    }
    fit->table->actions[cell] = best;
    return best != before;
}

/* Every change makes the reward greater, so this ends. */
static void fit_cells(struct fit *fit, size_t first, size_t n)
{
    int changed = 1;
    while (changed) {
        changed = 0;
        for (size_t cell = first; cell < first + n; cell++)
            if (fit->table->actions[cell] != NONE)
                changed |= improve(fit, cell);
    }
}

/* Prompts of training begin with the action of their task. */
static void fit_prompts(struct fit *fit)
{
    const struct recorded *rec = fit->env->rec;
    struct action_table *table = fit->table;
    for (size_t i = 0; i < fit->n_sessions; i++) {
        const struct recorded_session *of = &rec->sessions[fit->sessions[i]];
        for (size_t t = of->first; t < of->first + of->n_turns; t++)
            table->actions[table->n_tasks + rec->prompts[t]] =
                table->actions[rec->tasks[t]];
    }
    fit->reward = judge(fit);
    fit_cells(fit, table->n_tasks, rec->n_prompts);
}

static enum status fit_init(
    struct fit *fit, const struct environment *env, uint64_t seed, struct error *err)
{
    const struct recorded *rec = env->rec;
    size_t n_cells = rec->space.n_tasks + rec->n_prompts;
    memset(fit, 0, sizeof *fit);
    fit->env = env;
    response_cache_init(&fit->cache, env);
    fit->table = malloc(sizeof *fit->table + n_cells * sizeof *fit->table->actions);
    fit->sessions = malloc(2 * env->n_train * sizeof *fit->sessions);
    fit->tried = malloc(env->n_actions * sizeof *fit->tried);
    if (!fit->table || !fit->sessions || !fit->tried)
        return error_nomem(err, 2 * env->n_train * sizeof *fit->sessions);
    fit->table->n_tasks = rec->space.n_tasks;
    for (size_t i = 0; i < n_cells; i++)
        fit->table->actions[i] = i < fit->table->n_tasks ? 0 : NONE;

    struct rng rng;
    rng_init(&rng, seed, "baseline/sessions", 0);
    fit->n_sessions = env->n_train < MAX_SESSIONS ? env->n_train : MAX_SESSIONS;
    rng_sample(
        &rng, env->n_train, fit->n_sessions, fit->sessions + env->n_train, fit->sessions);
    for (size_t i = 0; i < fit->n_sessions; i++)
        fit->sessions[i] = env->train[fit->sessions[i]];
    return OK;
}

static enum status make(const struct environment *env,
    const struct baseline_settings *settings, int by_task, int by_prompt,
    struct baseline *out, struct error *err)
{
    struct fit fit;
    enum status s = fit_init(&fit, env, settings->seed, err);
    if (!s) {
        fit_fixed(&fit);
        if (by_task)
            fit_cells(&fit, 0, fit.table->n_tasks);
        if (by_prompt)
            fit_prompts(&fit);
        out->chooser = (struct chooser) { weigh, fit.table };
        out->state = fit.table;
        out->free_state = free;
    } else {
        free(fit.table);
    }
    response_cache_release(&fit.cache);
    free(fit.sessions);
    free(fit.tried);
    return s;
}

enum status baseline_best_fixed(const struct environment *env,
    const struct baseline_settings *settings, const char *argument, struct baseline *out,
    struct error *err)
{
    (void)argument;
    return make(env, settings, 0, 0, out, err);
}

enum status baseline_best_by_task(const struct environment *env,
    const struct baseline_settings *settings, const char *argument, struct baseline *out,
    struct error *err)
{
    (void)argument;
    return make(env, settings, 1, 0, out, err);
}

enum status baseline_best_by_prompt(const struct environment *env,
    const struct baseline_settings *settings, const char *argument, struct baseline *out,
    struct error *err)
{
    (void)argument;
    return make(env, settings, 1, 1, out, err);
}
