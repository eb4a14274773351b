/* evaluate_run.c - from policies, or options, to a table of rows. */
#include "m4a1/cli/evaluate_run.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "m4a1/base/text.h"
#include "m4a1/cli/tmo_options.h"
#include "m4a1/tmo/baselines.h"
#include "m4a1/tmo/oracle.h"
#include "m4a1/tmo/training.h"
#include "schema/store.h"

void evaluate_release(struct evaluate_report *r)
{
    for (size_t i = 0; i < r->n_policies; i++) {
        environment_free(r->policies[i].env);
        policy_release(&r->policies[i].policy);
    }
    for (size_t i = 0; r->envs && i < r->table.n_trials; i++)
        environment_free(r->envs[i]);
    for (size_t i = 0; i < r->n_openings; i++)
        free(r->opened[i]);
    free(r->policies);
    free(r->envs);
    free(r->openings);
    free(r->opened);
    free(r->what);
    free(r->diagnoses);
    evaluation_table_release(&r->table);
    recorded_free(r->rec);
    tmo_config_release(&r->config);
}

void evaluate_name_constraint(const struct constraint *one, char *out, size_t size)
{
    char horizon[40] = "";
    if (one->horizon)
        snprintf(horizon, sizeof horizon, " in %zu turns", one->horizon);
    snprintf(out, size, "%s <= %g %s%s", constraint_names[one->kind], one->budget,
        constraint_units[one->kind], horizon);
}

/* ---- trials ---- */

/* Add a split, with an environment for baselines that keep no budget. */
static enum status add_trial(struct evaluate_report *r, uint64_t seed,
    const size_t *train, size_t n_train, const size_t *test, size_t n_test, size_t *trial,
    struct error *err)
{
    struct environment_settings set = r->config.environment;
    struct environment *env = NULL;
    set.handling = HANDLING_NONE;
    set.resource_aware = 0;
    struct environment **envs = realloc(r->envs, (r->table.n_trials + 1) * sizeof *envs);
    if (!envs)
        return error_nomem(err, (r->table.n_trials + 1) * sizeof *envs);
    r->envs = envs;
    size_t n_before = r->table.n_trials;
    enum status s = environment_new(r->rec, &set, train, n_train, &env, err);
    if (!s)
        s = evaluation_table_trial(
            &r->table, env, seed, train, n_train, test, n_test, trial, err);
    if (!s && r->table.n_trials > n_before)
        envs[*trial] = env;
    else
        environment_free(env);
    return s;
}

/* All sessions as one trial, for what has learned nothing from any of them. */
static enum status add_all_sessions(struct evaluate_report *r, struct error *err)
{
    size_t n = r->rec->n_sessions;
    size_t *all = calloc(n + 1, sizeof *all);
    if (!all)
        return error_nomem(err, n * sizeof *all);
    for (size_t i = 0; i < n; i++)
        all[i] = i;
    enum status s = add_trial(r, 0, all, n, all, n, &r->all_trial, err);
    free(all);
    return s;
}

/* ---- rows ---- */

static unsigned parts_of(const struct evaluate_report *r, size_t trial)
{
    if (r->all_trial == SIZE_MAX)
        return EVALUATE_RETURN | EVALUATE_VALUES;
    return trial == r->all_trial ? EVALUATE_VALUES : EVALUATE_RETURN;
}

/* A cloud llm without any view, each alike. */
static void weigh_plain(void *arg, const struct episode *ep, double *p)
{
    const struct space *space = &ep->env->rec->space;
    double n = 0;
    (void)arg;
    for (size_t a = 0; a < space->n_actions; a++)
        n += space_is_cloud(space, a) && !space->actions[a].views;
    for (size_t a = 0; a < space->n_actions; a++)
        p[a] = space_is_cloud(space, a) && !space->actions[a].views ? 1 / n : 0;
}

static int has_plain(const struct space *space)
{
    for (size_t a = 0; a < space->n_actions; a++)
        if (space_is_cloud(space, a) && !space->actions[a].views)
            return 1;
    return 0;
}

/* "random" is the row "Random". */
static void name_baseline(const char *name, char *out, size_t size)
{
    snprintf(out, size, "%s", name);
    out[0] = (char)toupper((unsigned char)out[0]);
}

/* Drawing by fixed shares is all that these do. */
static int learns_nothing(const char *name)
{
    static const char *const fixed[] = { "random", "local", "cloud" };
    for (size_t i = 0; i < COUNT_OF(fixed); i++)
        if (text_equal(name, fixed[i]))
            return 1;
    return text_starts(name, "llm:");
}

static enum status add_baseline(
    struct evaluate_report *r, const char *name, size_t trial, struct error *err)
{
    struct baseline b;
    struct baseline_settings set = baseline_defaults();
    const struct environment *env = r->envs[trial];
    char row[BASELINE_MAX_NAME];
    if (trial == r->all_trial && !learns_nothing(name))
        return OK;
    set.seed = r->table.trials[trial].seed;
    name_baseline(name, row, sizeof row);
    enum status s = baseline_make(env, name, &set, &b, err);
    if (s)
        return s;
    s = evaluation_table_add(
        &r->table, row, trial, env, &b.chooser, parts_of(r, trial), err);
    baseline_release(&b);
    return s;
}

static enum status add_named(
    struct evaluate_report *r, const char *list, size_t trial, struct error *err)
{
    enum status s = OK;
    while (list && *list && !s) {
        size_t len = strcspn(list, ",");
        char *one = text_copy_n(list, len);
        s = one ? add_baseline(r, one, trial, err) : error_nomem(err, len);
        free(one);
        list += len + (list[len] == ',');
    }
    return s;
}

static enum status add_baselines(
    struct cli *cli, struct evaluate_report *r, size_t trial, struct error *err)
{
    static const struct chooser plain = { weigh_plain, NULL };
    unsigned parts = parts_of(r, trial);
    enum status s = add_named(r, "random,local,cloud", trial, err);
    if (!s && has_plain(&r->rec->space))
        s = evaluation_table_add(
            &r->table, ROW_PLAIN, trial, r->envs[trial], &plain, parts, err);
    if (!s)
        s = add_named(r, cli_value(cli, "baselines"), trial, err);
    if (!s && parts & EVALUATE_VALUES)
        s = evaluation_table_add(
            &r->table, ROW_BEHAVIOUR, trial, r->envs[trial], NULL, EVALUATE_VALUES, err);
    return s;
}

static int searched(void *arg, size_t n_done, size_t n_all)
{
    (void)n_done, (void)n_all;
    progress_step(arg, 1, NULL);
    return cli_interrupted != 0;
}

static enum status add_bounds(
    struct cli *cli, struct evaluate_report *r, size_t trial, struct error *err)
{
    static const char *const rows[] = { ROW_BOUND, ROW_BOUND_KEPT };
    const struct trial *one = &r->table.trials[trial];
    struct environment *env = r->envs[trial];
    struct oracle oracle;
    struct oracle_options options = oracle_options();
    options.report = searched;
    options.arg = cli_progress(cli, "searching best sequences", (int64_t)one->n_test);
    enum status s = oracle_sessions(env, one->test, one->n_test, &options, &oracle, err);
    progress_free(options.arg);
    if (s)
        return s;
    for (int kept = 0; kept < 2 && !s; kept++) {
        struct oracle_player player = { &oracle, kept };
        const struct chooser chooser = { oracle_weigh, &player };
        if (!kept || env->settings.n_constraints)
            s = evaluation_table_add(
                &r->table, rows[kept], trial, env, &chooser, EVALUATE_RETURN, err);
    }
    if (!*r->unproved)
        oracle_unproved(&oracle, r->unproved, sizeof r->unproved);
    oracle_release(&oracle);
    return s;
}

/* ---- policies ---- */

static enum status evaluate_policy(
    struct evaluate_report *r, struct evaluated *own, struct error *err)
{
    const struct policy *policy = &own->policy;
    const struct chooser chooser = { network_weigh, &own->policy.network };
    size_t *train = NULL, *test = NULL;
    enum status s =
        recorded_indices(r->rec, policy->split.train, policy->split.n_train, &train, err);
    if (!s)
        s = recorded_indices(
            r->rec, policy->split.test, policy->split.n_test, &test, err);
    if (!s)
        s = environment_new(r->rec, &policy->config.environment, train,
            policy->split.n_train, &own->env, err);
    if (!s)
        s = add_trial(r, policy->seed, train, policy->split.n_train, test,
            policy->split.n_test, &own->trial, err);
    if (!s)
        s = evaluation_table_add(&r->table, own->row, own->trial, own->env, &chooser,
            parts_of(r, own->trial), err);
    if (s)
        error_prefix(err, "%s: ", own->path);
    free(train);
    free(test);
    return s;
}

/* ---- openings ---- */

static enum status count_openings(struct evaluate_report *r, struct error *err)
{
    const struct evaluation_table *table = &r->table;
    size_t n = 0;
    if (!store_is_database(r->data->source))
        return OK;
    r->openings = calloc(table->n_trials, sizeof *r->openings);
    r->opened = calloc(table->n_trials, sizeof *r->opened);
    r->what = calloc(table->n_rows, sizeof *r->what);
    int64_t *ids = calloc(r->rec->n_sessions * table->n_trials + 1, sizeof *ids);
    enum status s = r->openings && r->opened && r->what && ids
                        ? OK
                        : error_nomem(err, r->rec->n_sessions * sizeof *ids);
    for (size_t i = 0; i < table->n_rows && !s; i++)
        r->what[i] = table->rows[i].name;
    for (size_t i = 0; i < table->n_trials && !s; i++) {
        const struct trial *trial = &table->trials[i];
        int64_t *own = ids + i * r->rec->n_sessions;
        for (size_t k = 0; k < trial->n_test; k++)
            own[k] = r->rec->sessions[trial->test[k]].id;
        r->opened[n] =
            i == r->all_trial ? text_copy("all sessions")
            : r->config.split_from
                ? text_format("%s, seed %" PRIu64, r->config.split_from, trial->seed)
                : text_format("drawn by seed %" PRIu64, trial->seed);
        if (!r->opened[n])
            s = error_nomem(err, 64);
        r->openings[n] = (struct opening) { .split = r->opened[n],
            .test = own,
            .n_test = trial->n_test,
            .what = r->what,
            .n_what = table->n_rows };
        r->n_openings = ++n;
    }
    if (!s)
        s = openings_count(r->data, r->openings, n, r->why_not, sizeof r->why_not, err);
    free(ids);
    return s;
}

/* ---- all ---- */

static enum status evaluate_settings(
    struct cli *cli, struct evaluation_settings *out, struct error *err)
{
    static const char *const names[N_FOLDS_BY] = { "sessions", "prompts", "scenes" };
    const char *by = cli_value(cli, "by");
    int64_t n_resamples, n_folds, seed;
    *out = evaluation_defaults();
    enum status s = cli_int(cli, "resamples", (int64_t)out->bootstrap.n_resamples, 100,
        1000000, &n_resamples, err);
    if (!s)
        s = cli_int(
            cli, "folds", (int64_t)out->off_policy.n_folds, 2, 1000, &n_folds, err);
    if (!s)
        s = cli_int(cli, "bootstrap-seed", 0, 0, INT64_MAX, &seed, err);
    if (s)
        return s;
    out->bootstrap.n_resamples = (size_t)n_resamples;
    out->off_policy.n_folds = (size_t)n_folds;
    out->bootstrap.seed = out->off_policy.seed = (uint64_t)seed;
    out->off_policy.observed_costs = cli_flag(cli, "observed-costs");
    for (out->by = 0; by && out->by < N_FOLDS_BY; out->by++)
        if (text_equal(by, names[out->by]))
            return OK;
    return by ? cli_usage(cli, err, "--by %s: there are sessions, scenes and prompts", by)
              : OK;
}

static enum status begin(struct cli *cli, struct evaluate_report *r, struct error *err)
{
    struct evaluation_settings settings;
    struct propensity propensity;
    enum status s = evaluate_settings(cli, &settings, err);
    if (!s)
        s = tmo_record(cli, &r->config, r->data, &r->rec, err);
    if (!s)
        s = evaluation_table_init(&r->table, r->rec, &settings, err);
    if (!s)
        s = propensity_build(r->rec, &propensity, err);
    if (s)
        return s;
    r->n_by_rule = propensity.n_by_rule;
    r->n_stored = propensity.n_stored;
    propensity_release(&propensity);
    return cli_flag(cli, "all-sessions") ? add_all_sessions(r, err) : OK;
}

static enum status run_policies(
    struct cli *cli, struct evaluate_report *r, struct error *err)
{
    enum status s = evaluate_load(cli, r, err);
    if (!s)
        s = begin(cli, r, err);
    for (size_t i = 0; i < r->n_policies && !s; i++)
        s = evaluate_policy(r, &r->policies[i], err);
    return s;
}

/* Without policies: the splits of the seeds. */
static enum status run_seeds(
    struct cli *cli, struct evaluate_report *r, struct error *err)
{
    uint64_t *seeds = NULL;
    size_t n, trial;
    enum status s = tmo_seeds(cli, &seeds, &n, err);
    if (!s)
        s = tmo_config_options(cli, "actions", &r->config, err);
    if (!s)
        s = begin(cli, r, err);
    for (size_t i = 0; i < n && !s; i++) {
        struct training t;
        s = training_prepare(&t, r->rec, &r->config, seeds[i], err);
        if (s)
            break;
        s = add_trial(r, seeds[i], t.train, t.policy.split.n_train, t.test,
            t.policy.split.n_test, &trial, err);
        training_release(&t);
    }
    free(seeds);
    return s;
}

enum status evaluate_run(struct cli *cli, struct evaluate_report *r, struct error *err)
{
    static const char *const bounds[EVALUATION_BOUNDS] = { ROW_BOUND, ROW_BOUND_KEPT };
    r->all_trial = SIZE_MAX;
    r->reference = cli_value(cli, "against") ? cli_value(cli, "against") : "Local";
    enum status s =
        cli_n_args(cli) > 1 ? run_policies(cli, r, err) : run_seeds(cli, r, err);
    if (!s) {
        tmo_setup_warn(r->rec);
        tmo_costs_warn(r->envs[0]);
    }
    for (size_t i = 0; i < r->table.n_trials && !s; i++) {
        s = cli_interrupted ? error_set(err, E_INTERRUPTED, "interrupted") : OK;
        if (!s)
            s = add_baselines(cli, r, i, err);
        if (!s && i != r->all_trial)
            s = evaluate_agent(cli, &r->table, i, r->envs[i], &r->agent, err);
        if (!s && cli_flag(cli, "oracle") && i != r->all_trial)
            s = add_bounds(cli, r, i, err);
    }
    if (!s)
        s = evaluation_table_finish(&r->table, r->reference, bounds, err);
    if (!s && r->n_policies)
        s = evaluate_diagnose(cli, r, err);
    if (!s)
        s = count_openings(r, err);
    return s;
}
