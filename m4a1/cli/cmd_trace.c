/* cmd_trace.c - m4a1 trace: look inside the environment, step by step. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "m4a1/base/buffer.h"
#include "m4a1/base/text.h"
#include "m4a1/cli/cli.h"
#include "m4a1/cli/tmo_options.h"
#include "m4a1/tmo/environment.h"

static const struct cli_option options[] = {
    { "as-published", NULL, "the environment and estimator that TMO published" },
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
    { "budget", "S,USD", "budgets that the session starts with (default 30,0.05)" },
    { "tau", "N", "turns that an observation holds (default 5)" },
    { "k", "N", "neighbours of the estimator (default 5)" },
    { "resource-aware", NULL, "observations end in the two remaining budgets" },
    { "device", "NAME", "local device (default \"Jetson TX2\")" },
    { "network", "NAME", "Wired (default), WiFi, 5G or 4G" },
    { "local", "NAME", "the local llm, where DATA has several" },
    { "cloud", "NAME", "the cloud llm, where DATA has several" },
    { "json", NULL, "all figures as JSON, with 17 digits" },
    { NULL, NULL, NULL },
};

/* What is to be traced, and in what. */
struct trace {
    const struct environment *env;
    struct json *root;     /* NULL: print text */
    struct json *sessions; /* its list of played sessions */
    enum environment_rules rules;
    int64_t *actions;
    size_t n_actions;
    double latency_budget_s, usage_budget_usd;
};

static void set_numbers(struct json *object, const char *key, const double *x, size_t n)
{
    struct json *list = json_set_array(object, key);
    for (size_t i = 0; i < n; i++)
        json_add_number(list, x[i]);
}

/* Features as text: states of small integers, apart by a stroke, and budgets at the end. */
static void print_features(
    const char *label, const struct space *space, const double *x, size_t n)
{
    printf("  %s", label);
    for (size_t i = 0; i < n; i++) {
        int begins = i && i <= space->n_states && i % space->state_size == 0;
        printf("%s %.6g", begins ? " |" : "", x[i]);
    }
    putchar('\n');
}

/* What the numbers of an observation are. */
static void print_legend(const struct environment *env)
{
    const struct dataset *data = env->rec->data;
    printf(
        "An observation holds the last %zu turns, oldest first, each as: llm of the turn "
        "before\n(0 local, 1 cloud), that turn's views",
        env->rec->space.tau);
    for (size_t v = 0; v < data->n_views; v++)
        printf(" %s", data->views[v]);
    printf(" (0 or 1), task of this turn (");
    for (size_t t = 0; t < data->n_tasks; t++)
        printf("%s%zu %s", t ? ", " : "", t, data->tasks[t]);
    printf("); -1: there is none.%s\n\n",
        env->settings.resource_aware ? " Then the seconds and USD that remain." : "");
}

static const char *describe_action(
    const struct environment *env, size_t action, char *buf, size_t size)
{
    const struct dataset *data = env->rec->data;
    uint32_t views = env->rec->space.views[action];
    size_t at = (size_t)snprintf(buf, size, "%s",
        data->llms[space_is_cloud(action) ? env->rec->cloud : env->rec->local].name);
    for (size_t v = 0; v < data->n_views && at < size; v++)
        if (views >> v & 1)
            at += (size_t)snprintf(buf + at, size - at, " + %s", data->views[v]);
    return buf;
}

/* ---- neighbours ---- */

static void tie_to_json(struct json *o, const struct knn_neighbours *near)
{
    struct json *tie = json_set_object(o, "tie");
    json_set_bool(tie, "tied", near->n_taken < near->n_at_last);
    json_set_int(tie, "rows_at_last_distance", (int64_t)near->n_at_last);
    json_set_int(tie, "places_they_share", (int64_t)near->n_taken);
    json_set_number(tie, "least", near->least);
    json_set_number(tie, "greatest", near->greatest);
}

static void print_tie(const struct knn_neighbours *near)
{
    if (near->n_taken < near->n_at_last)
        printf("    tie: %zu rows share the last %zu of the places; other choices among "
               "them give %.6f to %.6f\n",
            near->n_at_last, near->n_taken, near->least, near->greatest);
}

/* The session and turn (within it) of a recorded turn. */
static const struct recorded_session *locate(
    const struct recorded *rec, size_t turn, size_t *within)
{
    const struct recorded_session *session = rec->sessions;
    while (turn >= session->first + session->n_turns)
        session++;
    *within = turn - session->first;
    return session;
}

static void neighbours_to_json(
    struct json *o, const struct environment *env, const struct knn_neighbours *near)
{
    struct json *list = json_set_array(o, "neighbours");
    for (size_t i = 0; i < near->n; i++) {
        const struct knn_neighbour *one = &near->all[i];
        size_t turn = env->row_turns[one->row], within;
        struct json *row = json_add_object(list);
        json_set_int(row, "session", locate(env->rec, turn, &within)->id);
        json_set_int(row, "turn", (int64_t)within);
        json_set_int(row, "action", env->rec->actions[turn]);
        json_set_number(row, "distance", one->distance);
        json_set_number(row, "score", one->score);
        json_set_number(row, "places", one->places);
        json_set_number(row, "weight", one->weight);
    }
}

static void print_neighbours(
    const struct environment *env, const struct knn_neighbours *near)
{
    struct table *t = table_new(7);
    table_row(t, "distance", "session", "turn", "action", "score", "places", "weight");
    for (size_t i = 0; i < near->n; i++) {
        const struct knn_neighbour *one = &near->all[i];
        size_t turn = env->row_turns[one->row], within;
        char cells[7][32];
        snprintf(cells[0], sizeof cells[0], "%.6f", one->distance);
        snprintf(
            cells[1], sizeof cells[1], "%" PRId64, locate(env->rec, turn, &within)->id);
        snprintf(cells[2], sizeof cells[2], "%zu", within);
        snprintf(cells[3], sizeof cells[3], "%d", env->rec->actions[turn]);
        snprintf(cells[4], sizeof cells[4], "%.6f", one->score);
        snprintf(cells[5], sizeof cells[5], "%.4f", one->places);
        snprintf(cells[6], sizeof cells[6], "%.6f", one->weight);
        table_row(
            t, cells[0], cells[1], cells[2], cells[3], cells[4], cells[5], cells[6]);
    }
    table_print(t);
    table_free(t);
}

/* ---- playing ---- */

static void step_to_json(struct json *steps, const struct episode *before,
    const struct episode *after, size_t action, const struct outcome *got,
    const struct knn_neighbours *near)
{
    double features[SPACE_MAX_FEATURES];
    size_t n = before->env->n_features;
    struct json *o = json_add_object(steps);
    json_set_int(o, "turn", (int64_t)before->turn);
    json_set_int(o, "action", (int64_t)action);
    episode_observe(before, features);
    set_numbers(o, "observation", features, n);
    json_set_number(o, "response", got->response);
    json_set_number(o, "association", got->association);
    json_set_number(o, "association_normalised", got->association_normalised);
    json_set_number(o, "latency_s", got->latency_s);
    json_set_number(o, "usage_usd", got->usage_usd);
    json_set_number(o, "total_latency_s", after->total_latency_s);
    json_set_number(o, "total_usage_usd", after->total_usage_usd);
    json_set_number(o, "remaining_latency_s", after->remaining_latency_s);
    json_set_number(o, "remaining_usage_usd", after->remaining_usage_usd);
    json_set_number(o, "reward", got->reward);
    json_set_bool(o, "end", after->done);
    tie_to_json(o, near);
    episode_observe(after, features);
    set_numbers(o, "next_observation", features, n);
}

static void print_step(const struct episode *before, const struct episode *after,
    size_t action, const struct outcome *got, const struct knn_neighbours *near)
{
    char name[256];
    double features[SPACE_MAX_FEATURES];
    printf("turn %zu: action %zu (%s)%s\n", before->turn, action,
        describe_action(before->env, action, name, sizeof name),
        after->done ? ", the session ends" : "");
    episode_observe(before, features);
    print_features(
        "observation", &before->env->rec->space, features, before->env->n_features);
    printf("  response %.9f, association %.9f (%.9f of the turn's range), reward %.9f\n",
        got->response, got->association, got->association_normalised, got->reward);
    printf("  totals %.6f s, %.9f USD; remaining %.6f s, %.9f USD\n",
        after->total_latency_s, after->total_usage_usd, after->remaining_latency_s,
        after->remaining_usage_usd);
    print_tie(near);
}

static enum status play_step(const struct trace *trace, struct episode *ep,
    struct json *steps, double *sum, struct error *err)
{
    struct episode before = *ep;
    struct knn_neighbours near;
    struct outcome got;
    size_t action = (size_t)trace->actions[ep->turn % trace->n_actions];
    enum status s = episode_explain(ep, action, &near, err);
    if (s)
        return s;
    episode_step(ep, action, &got);
    *sum += got.reward;
    if (trace->root)
        step_to_json(steps, &before, ep, action, &got, &near);
    else
        print_step(&before, ep, action, &got, &near);
    knn_neighbours_release(&near);
    return OK;
}

static enum status play_session(const struct trace *trace, int64_t id, struct error *err)
{
    const struct environment *env = trace->env;
    size_t session = recorded_find(env->rec, id);
    const char *rules = trace->rules == RULES_TRAIN ? "train" : "eval";
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
    episode_start(&ep, env, trace->rules, session, trace->latency_budget_s,
        trace->usage_budget_usd);
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
    trace->rules = text_equal(rules, "train") ? RULES_TRAIN : RULES_EVALUATE;
    enum status s = tmo_numbers(actions ? actions : "0", "--actions", 0, most,
        &trace->actions, &trace->n_actions, err);
    if (s)
        return s;
    s = tmo_numbers(sessions, "--session", 0, INT64_MAX, &ids, &n, err);
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

static enum status estimate_turn(const struct trace *trace, struct json *list,
    const struct recorded_session *session, size_t t, size_t action, struct error *err)
{
    const struct environment *env = trace->env;
    struct knn_neighbours near;
    size_t turn = session->first + t;
    enum status s = environment_explain(env, turn, action, &near, err);
    if (s)
        return s;
    int recorded = env->rec->actions[turn] == (int)action;
    if (list) {
        struct json *o = json_add_object(list);
        json_set_int(o, "session", session->id);
        json_set_int(o, "turn", (int64_t)t);
        json_set_int(o, "action", (int64_t)action);
        json_set_bool(o, "recorded", recorded);
        json_set_number(o, "estimate", near.estimate);
        tie_to_json(o, &near);
        neighbours_to_json(o, env, &near);
    } else {
        char name[256];
        printf("session %" PRId64 ", turn %zu, action %zu (%s), %s: estimate %.9f\n",
            session->id, t, action, describe_action(env, action, name, sizeof name),
            recorded ? "as recorded" : "counterfactual", near.estimate);
        print_tie(&near);
        print_neighbours(env, &near);
        putchar('\n');
    }
    knn_neighbours_release(&near);
    return OK;
}

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
    return estimate_turn(trace, list, session, (size_t)turn, (size_t)action, err);
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
    const char *text = cli_value(cli, "budget");
    trace->latency_budget_s = trace->env->settings.latency_budget_s;
    trace->usage_budget_usd = trace->env->settings.usage_budget_usd;
    if (!text)
        return OK;
    const char *comma = strchr(text, ',');
    if (!comma)
        return cli_usage(
            cli, err, "--budget %s: expected seconds and USD, as in 15,0.02", text);
    char *first = text_copy_n(text, (size_t)(comma - text));
    enum status s = first ? text_to_double(first, "--budget: seconds", 0, 1e9,
                                &trace->latency_budget_s, err)
                          : error_nomem(err, strlen(text));
    free(first);
    if (!s)
        s = text_to_double(
            comma + 1, "--budget: USD", 0, 1e9, &trace->usage_budget_usd, err);
    return s;
}

static void describe(const struct trace *trace, size_t n_sessions, int is_all)
{
    const struct environment *env = trace->env;
    const char *of = is_all ? "all" : "the split's";
    if (!trace->root) {
        printf(
            "Estimator: k = %zu, %zu rows (%zu distinct) of %s %zu %ssessions of %s.\n\n",
            env->settings.k, knn_n_rows(env->knn), knn_n_distinct(env->knn), of,
            n_sessions, is_all ? "" : "training ", env->rec->data->source);
        return;
    }
    struct json *o = json_set_object(trace->root, "estimator");
    json_set_int(o, "k", (int64_t)env->settings.k);
    json_set_int(o, "rows", (int64_t)knn_n_rows(env->knn));
    json_set_int(o, "distinct_rows", (int64_t)knn_n_distinct(env->knn));
    json_set_int(o, "sessions", (int64_t)n_sessions);
    json_set_int(trace->root, "tau", (int64_t)env->rec->space.tau);
    json_set_bool(trace->root, "resource_aware", env->settings.resource_aware);
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
        print_legend(trace->env);
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
    if (!cli_flag(cli, "as-published"))
        return cli_usage(cli, err,
            "only the published environment is there so far: say --as-published");
    return OK;
}

static enum status run(struct cli *cli, struct error *err)
{
    struct dataset *data = NULL;
    struct recorded *rec = NULL;
    struct environment *env = NULL;
    struct tmo_setup setup;
    size_t *sessions = NULL, n = 0;
    enum status s = check_usage(cli, err);
    if (!s)
        s = tmo_data(cli, &data, err);
    if (!s)
        s = tmo_setup_read(cli, data, &setup, err);
    if (!s)
        s = recorded_build(data, setup.local, setup.cloud, setup.tau, &rec, err);
    if (!s)
        s = fit_sessions(cli, rec, &sessions, &n, err);
    if (!s)
        s = environment_new(rec, &setup.settings, sessions, n, &env, err);
    if (!s) {
        tmo_setup_warn(rec);
        struct trace trace = { .env = env };
        s = trace_in(cli, &trace, n, err);
    }
    environment_free(env);
    free(sessions);
    recorded_free(rec);
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
        "2 to 8).\n\n"
        "  m4a1 trace M4A1.json --as-published --session 23 --actions 0,3,8\n"
        "  m4a1 trace M4A1.json --as-published --session 19,6 --rules train \\\n"
        "      --split split.json:seed0 --resource-aware --budget 15,0.02 --json\n"
        "  m4a1 trace M4A1.json --as-published --estimate 12:0,12:0:8 --k 3\n",
    .options = options,
    .run = run,
};
