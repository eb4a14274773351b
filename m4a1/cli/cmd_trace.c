/* cmd_trace.c - m4a1 trace: look inside the environment, step by step. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "m4a1/base/text.h"
#include "m4a1/cli/cli.h"
#include "m4a1/cli/tmo_options.h"
#include "m4a1/cli/trace_tell.h"
#include "m4a1/tmo/environment.h"
#include "m4a1/tmo/stream.h"

static const struct cli_option options[] = {
    { "session", "ID[,ID...]", "play these sessions" },
    { "actions", "A[,A...]",
        "actions to play; repeated from the start where a session is "
        "longer (default 0)" },
    { "rules", "train|eval",
        "recorded observations, or those of the played actions "
        "(default eval)" },
    { "estimate", "S:T[:A],...",
        "estimate action A (default: the recorded one) in turn T "
        "(from 0) of session S, with its neighbours" },
    { "split", "FILE|NAME",
        "fit the estimator on its training sessions (default: on all)" },
    { "seed", "N", "which split, where --split has {seed} (default 0)" },
    { "budget", "B[,B...]",
        "budgets that the session starts with, one a constraint (default: the "
        "constraints')" },
    TMO_ACTIONS_OPTION("space", ""),
    TMO_SETUP_OPTIONS(""),
    { "json", NULL, "all figures as JSON, with 17 digits" },
    { NULL, NULL, NULL },
};

/* What is to be traced, and in what. */
struct trace {
    const struct environment *env;
    struct json *root;     /* NULL: print text */
    struct json *sessions; /* its list of played sessions */
    enum environment_rules rules;
    int is_training;
    int64_t *actions;
    size_t n_actions;
    double budgets[CONSTRAINTS_MAX];
};

/* ---- playing ---- */

/* Neighbours where the estimator has some, else none. */
static enum status neighbours(const struct episode *ep, size_t action,
    struct knn_neighbours *near, struct error *err)
{
    memset(near, 0, sizeof *near);
    return trace_has_neighbours(ep->env) ? episode_explain(ep, action, near, err) : OK;
}

static enum status play_step(const struct trace *trace, struct episode *ep,
    struct json *steps, double *sum, struct error *err)
{
    const struct environment_settings *set = &ep->env->settings;
    struct episode before = *ep;
    struct knn_neighbours near;
    struct stream_mark mark;
    struct outcome got;
    double multipliers[CONSTRAINTS_MAX];
    size_t action = (size_t)trace->actions[ep->turn % trace->n_actions];
    enum status s = neighbours(ep, action, &near, err);
    if (s)
        return s;
    for (size_t i = 0; i < CONSTRAINTS_MAX; i++)
        multipliers[i] = set->lambda;
    stream_mark(&mark, ep);
    episode_step(ep, action, &got);
    // Training rules show what training earns.
    if (trace->is_training)
        got.reward = stream_charge(&mark, ep, multipliers, got.reward);
    *sum += got.reward;
    trace_tell_step(steps, &before, ep, action, &got, &near);
    knn_neighbours_release(&near);
    return OK;
}

static enum status play_session(const struct trace *trace, int64_t id, struct error *err)
{
    const struct environment *env = trace->env;
    size_t session = recorded_find(env->rec, id);
    const char *rules = trace->is_training ? "train" : "eval";
    if (session == SIZE_MAX)
        return error_set(
            err, E_NOT_FOUND, "%s has no session %" PRId64, env->rec->data->source, id);
    struct json *steps = NULL, *o = NULL;
    if (trace->root) {
        o = json_add_object(trace->sessions);
        json_set_int(o, "session", id);
        json_set_text(o, "rules", rules);
        steps = json_set_array(o, "steps");
    } else {
        printf("session %" PRId64 ", %s rules\n", id, rules);
    }

    struct episode ep;
    double sum = 0;
    enum status s = OK;
    episode_start(&ep, env, trace->rules, session);
    episode_set_budgets(&ep, trace->budgets);
    while (!ep.done && !s)
        s = play_step(trace, &ep, steps, &sum, err);
    double mean = ep.n_turns ? sum / (double)ep.n_turns : 0;
    if (o)
        json_set_number(o, "mean_reward", mean);
    else if (!s)
        printf("mean reward %.9f\n\n", mean);
    return s;
}

static enum status play(
    struct cli *cli, struct trace *trace, const char *sessions, struct error *err)
{
    const char *actions = cli_value(cli, "actions"), *rules = cli_value(cli, "rules");
    int64_t *ids, most = (int64_t)trace->env->rec->space.n_actions - 1;
    size_t n;
    if (rules && !text_equal(rules, "train") && !text_equal(rules, "eval"))
        return cli_usage(cli, err, "--rules %s: it is train or eval", rules);
    trace->is_training = text_equal(rules, "train");
    int is_recorded = trace->env->settings.transitions == TRANSITIONS_RECORDED;
    trace->rules = trace->is_training && is_recorded ? RULES_RECORDED : RULES_MODEL;
    enum status s = tmo_numbers(actions ? actions : "0", "--actions", 0, most,
        &trace->actions, &trace->n_actions, err);
    if (s)
        return s;
    s = tmo_numbers(sessions, "--session", 0, INT64_MAX, &ids, &n, err);
    if (s == E_ARG)
        s = cli_usage(cli, err, "%s", err ? err->msg : "--session");
    if (!s) {
        if (trace->root)
            trace->sessions = json_set_array(trace->root, "sessions");
        for (size_t i = 0; i < n && !s; i++)
            s = play_session(trace, ids[i], err);
        free(ids);
    }
    free(trace->actions);
    return s;
}

/* ---- estimating ---- */

/* One S:T or S:T:A. */
static enum status estimate_one(
    const struct trace *trace, struct json *list, char *text, struct error *err)
{
    const struct recorded *rec = trace->env->rec;
    char *turn_text = strchr(text, ':'), *action_text = NULL;
    int64_t id, turn, action = -1;
    if (turn_text) {
        *turn_text++ = '\0';
        action_text = strchr(turn_text, ':');
        if (action_text)
            *action_text++ = '\0';
    } else {
        return error_set(
            err, E_ARG, "--estimate %s: expected SESSION:TURN[:ACTION]", text);
    }
    enum status s = text_to_int(text, "--estimate: session", 0, INT64_MAX, &id, err);
    size_t at = s ? SIZE_MAX : recorded_find(rec, id);
    if (!s && at == SIZE_MAX)
        return error_set(
            err, E_NOT_FOUND, "%s has no session %" PRId64, rec->data->source, id);
    const struct recorded_session *session = s ? NULL : &rec->sessions[at];
    if (!s)
        s = text_to_int(
            turn_text, "--estimate: turn", 0, (int64_t)session->n_turns - 1, &turn, err);
    if (!s && action_text)
        s = text_to_int(action_text, "--estimate: action", 0,
            (int64_t)rec->space.n_actions - 1, &action, err);
    if (s)
        return s;
    if (!action_text)
        action = rec->actions[session->first + (size_t)turn];
    if (action < 0)
        return error_set(err, E_ARG,
            "--estimate %s:%s: the recorded action is not among those listed; name one",
            text, turn_text);
    struct knn_neighbours near = { 0 };
    size_t at_turn = session->first + (size_t)turn;
    if (trace_has_neighbours(trace->env))
        s = environment_explain(trace->env, at_turn, (size_t)action, &near, err);
    if (s)
        return s;
    trace_tell_estimate(list, trace->env, at_turn, (size_t)action, &near);
    knn_neighbours_release(&near);
    return OK;
}

static enum status estimate(
    const struct trace *trace, const char *text, struct error *err)
{
    struct json *list = trace->root ? json_set_array(trace->root, "estimates") : NULL;
    enum status s = OK;
    for (const char *at = text; !s && *at;) {
        size_t len = strcspn(at, ",");
        char *one = text_copy_n(at, len);
        s = one ? estimate_one(trace, list, one, err) : error_nomem(err, len);
        free(one);
        at += len;
        if (*at == ',')
            at++;
    }
    return s;
}

/* ---- set-up ---- */

/* The training sessions of --split, or all of DATA. */
static enum status fit_sessions(struct cli *cli, const struct recorded *rec,
    size_t **sessions, size_t *n, struct error *err)
{
    int64_t seed;
    enum status s = cli_int(cli, "seed", 0, 0, INT64_MAX, &seed, err);
    if (s)
        return s;
    if (cli_value(cli, "split")) {
        struct split split;
        s = tmo_split(cli, rec->data, (uint64_t)seed, &split, err);
        if (s)
            return s;
        *n = split.n_train;
        s = recorded_indices(rec, split.train, split.n_train, sessions, err);
        split_release(&split);
        return s;
    }
    *n = rec->n_sessions;
    *sessions = calloc(*n ? *n : 1, sizeof **sessions);
    if (!*sessions)
        return error_nomem(err, *n * sizeof **sessions);
    for (size_t i = 0; i < *n; i++)
        (*sessions)[i] = i;
    return OK;
}

static enum status read_budget(struct cli *cli, struct trace *trace, struct error *err)
{
    const struct environment_settings *set = &trace->env->settings;
    const char *text = cli_value(cli, "budget");
    for (size_t i = 0; i < set->n_constraints; i++)
        trace->budgets[i] = set->constraints[i].budget;
    if (!text)
        return OK;
    enum status s = OK;
    size_t n = 0;
    for (const char *at = text; !s && (*at || !n); n++) {
        size_t len = strcspn(at, ",");
        if (n == set->n_constraints)
            return cli_usage(cli, err,
                "--budget %s: there are %zu constraints, so as many budgets", text,
                set->n_constraints);
        char *one = text_copy_n(at, len);
        s = one ? text_to_double(one, "--budget", 0, 1e9, &trace->budgets[n], err)
                : error_nomem(err, len);
        free(one);
        at += len + (at[len] == ',');
    }
    if (!s && n < set->n_constraints)
        s = cli_usage(cli, err,
            "--budget %s: expected %zu budgets, one a constraint, as in 15,0.02", text,
            set->n_constraints);
    return s;
}

static void describe(const struct trace *trace, size_t n_sessions, int is_all)
{
    const struct environment *env = trace->env;
    const struct estimator *est = env->estimator;
    const char *of = is_all ? "all" : "the split's";
    size_t k = estimator_fitted(est)->k;
    if (!trace->root) {
        printf("Estimator: %s, k = %zu, %zu rows (%zu distinct) of %s %zu %ssessions of "
               "%s.\n\n",
            estimator_name(est), k, estimator_n_rows(est), estimator_n_distinct(est), of,
            n_sessions, is_all ? "" : "training ", env->rec->data->source);
        return;
    }
    struct json *o = json_set_object(trace->root, "estimator");
    json_set_text(o, "kind", estimator_name(est));
    json_set_int(o, "k", (int64_t)k);
    json_set_int(o, "rows", (int64_t)estimator_n_rows(est));
    json_set_int(o, "distinct_rows", (int64_t)estimator_n_distinct(est));
    json_set_int(o, "sessions", (int64_t)n_sessions);
    json_set_int(trace->root, "tau", (int64_t)env->rec->space.tau);
    json_set_bool(trace->root, "resource_aware", env->settings.resource_aware);
    json_set_text(trace->root, "handling", handling_names[env->settings.handling]);
}

static enum status trace_in(
    struct cli *cli, struct trace *trace, size_t n_sessions, struct error *err)
{
    const char *sessions = cli_value(cli, "session");
    const char *estimates = cli_value(cli, "estimate");
    enum status s = read_budget(cli, trace, err);
    if (!s && cli_flag(cli, "json")) {
        trace->root = json_new_object();
        s = trace->root ? OK : error_nomem(err, 64);
    }
    if (!s)
        describe(trace, n_sessions, !cli_value(cli, "split"));
    if (!s && sessions && !trace->root)
        trace_print_legend(trace->env);
    if (!s && sessions)
        s = play(cli, trace, sessions, err);
    if (!s && estimates)
        s = estimate(trace, estimates, err);
    if (!s && trace->root)
        s = cli_print_json(trace->root, err);
    json_free(trace->root);
    return s;
}

static enum status check_usage(struct cli *cli, struct error *err)
{
    if (!cli_value(cli, "session") && !cli_value(cli, "estimate"))
        return cli_usage(cli, err,
            "say what to trace: --session ID --actions A,... or --estimate S:T[:A]");
    return OK;
}

static enum status run(struct cli *cli, struct error *err)
{
    struct dataset *data = NULL;
    struct recorded *rec = NULL;
    struct environment *env = NULL;
    struct tmo_config config = { 0 };
    size_t *sessions = NULL, n = 0;
    enum status s = check_usage(cli, err);
    if (!s)
        s = tmo_data(cli, &data, err);
    if (!s)
        s = tmo_config_options(cli, "space", &config, err);
    if (!s)
        s = tmo_record(cli, &config, data, &rec, err);
    if (!s)
        s = fit_sessions(cli, rec, &sessions, &n, err);
    if (!s)
        s = environment_new(rec, &config.environment, sessions, n, &env, err);
    if (!s) {
        tmo_setup_warn(rec);
        tmo_costs_warn(env);
        struct trace trace = { .env = env };
        s = trace_in(cli, &trace, n, err);
    }
    environment_free(env);
    free(sessions);
    recorded_free(rec);
    tmo_config_release(&config);
    dataset_free(data);
    return s;
}

const struct verb verb_trace = {
    .name = "trace",
    .stage = STAGE_TRAIN,
    .args = "DATA",
    .min_args = 1,
    .max_args = 1,
    .summary = "look inside the environment, step by step",
    .help =
        "Plays given actions through given sessions and prints what each step sees and\n"
        "earns: observation, estimated response, association, totals, remaining\n"
        "budgets, reward. Or estimates single turns, as recorded or with another\n"
        "action, and lists the neighbours that the estimate comes from, with their\n"
        "weight. Use it to see why a policy earns what it earns.\n\n"
        "Actions: 0 is the local llm, 1 the cloud one without a view, then the cloud\n"
        "with each set of views by size (three views: 0, 1, 2, 01, 02, 12, 012 are\n"
        "2 to 8). With several llms each local one comes first, then each cloud one\n"
        "with its sets of views.\n\n"
        "  m4a1 trace study.m4a1 --session 23 --actions 0,3,8\n"
        "  m4a1 trace M4A1.json --as-published --session 23 --actions 0,3,8\n"
        "  m4a1 trace M4A1.json --as-published --session 19,6 --rules train \\\n"
        "      --split split.json:seed0 --resource-aware --budget 15,0.02 --json\n"
        "  m4a1 trace M4A1.json --as-published --estimate 12:0,12:0:8 --k 3\n",
    .options = options,
    .run = run,
};
