/* trace_tell.c - see trace_tell.h. */
#include "m4a1/cli/trace_tell.h"

#include <inttypes.h>
#include <stdio.h>

#include "m4a1/cli/cli.h"

static void set_numbers(struct json *object, const char *key, const double *x, size_t n)
{
    struct json *list = json_set_array(object, key);
    for (size_t i = 0; i < n; i++)
        json_add_number(list, x[i]);
}

/* Features as text: states, apart by a stroke, and budgets at the end. */
static void print_features(
    const char *label, const struct environment *env, const double *x)
{
    const struct space *space = &env->rec->space;
    size_t one = space->state_size;
    if (env->settings.features == FEATURES_ONE_HOT)
        one += space->n_tasks - 1;
    printf("  %s", label);
    for (size_t i = 0; i < env->n_features; i++) {
        int begins = i && i <= space->tau * one && i % one == 0;
        printf("%s %.6g", begins ? " |" : "", x[i]);
    }
    putchar('\n');
}

static const char *describe_action(
    const struct environment *env, size_t action, char *buf, size_t size)
{
    const struct dataset *data = env->rec->data;
    const struct space_action *one = &env->rec->space.actions[action];
    uint32_t views = one->views;
    size_t at =
        (size_t)snprintf(buf, size, "%s", data->llms[env->rec->llms[one->llm]].name);
    for (size_t v = 0; v < data->n_views && at < size; v++)
        if (views >> v & 1)
            at += (size_t)snprintf(buf + at, size - at, " + %s", data->views[v]);
    return buf;
}

/* ---- neighbours ---- */

static void tie_to_json(struct json *o, const struct knn_neighbours *near)
{
    if (!near->n)
        return;
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
    const struct recorded_session *session =
        &rec->sessions[recorded_session_of(rec, turn)];
    *within = turn - session->first;
    return session;
}

static void neighbours_to_json(
    struct json *o, const struct environment *env, const struct knn_neighbours *near)
{
    struct json *list = json_set_array(o, "neighbours");
    for (size_t i = 0; i < near->n; i++) {
        const struct knn_neighbour *one = &near->all[i];
        const struct recorded_row *from = &env->rec->rows[one->row];
        size_t turn = from->turn, within;
        struct json *row = json_add_object(list);
        json_set_int(row, "session", locate(env->rec, turn, &within)->id);
        json_set_int(row, "turn", (int64_t)within);
        json_set_int(row, "action", from->action);
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
        const struct recorded_row *from = &env->rec->rows[one->row];
        size_t turn = from->turn, within;
        char cells[7][32];
        snprintf(cells[0], sizeof cells[0], "%.6f", one->distance);
        snprintf(
            cells[1], sizeof cells[1], "%" PRId64, locate(env->rec, turn, &within)->id);
        snprintf(cells[2], sizeof cells[2], "%zu", within);
        snprintf(cells[3], sizeof cells[3], "%d", from->action);
        snprintf(cells[4], sizeof cells[4], "%.6f", one->score);
        snprintf(cells[5], sizeof cells[5], "%.4f", one->places);
        snprintf(cells[6], sizeof cells[6], "%.6f", one->weight);
        table_row(
            t, cells[0], cells[1], cells[2], cells[3], cells[4], cells[5], cells[6]);
    }
    table_print(t);
    table_free(t);
}

/* ---- what is shown ---- */

int trace_has_neighbours(const struct environment *env)
{
    enum estimator_kind kind = estimator_fitted(env->estimator)->kind;
    return kind == ESTIMATOR_PUBLISHED || kind == ESTIMATOR_METRIC;
}

static void print_llms(const struct recorded *rec)
{
    if (rec->space.llm_size == 1) {
        printf("(0 local, 1 cloud)");
        return;
    }
    for (size_t i = 0; i < rec->space.n_llms; i++)
        printf("%s%s", i ? ", " : "(one of ", rec->data->llms[rec->llms[i]].name);
    putchar(')');
}

static void print_views(const struct dataset *data)
{
    for (size_t v = 0; v < data->n_views; v++)
        printf(" %s", data->views[v]);
    printf(" (0 or 1)");
}

void trace_print_legend(const struct environment *env)
{
    const struct dataset *data = env->rec->data;
    printf("An observation holds the last %zu turns, oldest first, each as: llm of the "
           "turn before\n",
        env->rec->space.tau);
    print_llms(env->rec);
    printf(", views that it added");
    print_views(data);
    if (env->rec->space.with_context) {
        printf(", views that the dialogue holds");
        print_views(data);
    }
    printf(", task of this turn (");
    for (size_t t = 0; t < data->n_tasks; t++)
        printf("%s%zu %s", t ? ", " : "", t, data->tasks[t]);
    printf("%s%s\n\n",
        env->settings.features == FEATURES_ONE_HOT ? "; one-hot)"
                                                   : "); -1: there is none.",
        env->settings.resource_aware ? " Then what remains of each budget." : "");
}

/* What remains of each budget; those of the published constraints by name, too. */
static void constraints_to_json(struct json *o, const struct episode *after)
{
    const struct environment_settings *set = &after->env->settings;
    struct json *list = json_set_array(o, "constraints");
    for (size_t i = 0; i < set->n_constraints; i++) {
        const struct constraint *one = &set->constraints[i];
        double left = after->ledger.remaining[i];
        struct json *c = json_add_object(list);
        json_set_text(c, "kind", constraint_names[one->kind]);
        json_set_int(c, "horizon", (int64_t)one->horizon);
        json_set_number(c, "remaining", left);
        json_set_number(c, "excess", ledger_excess(&after->ledger, i));
        if (!one->horizon && one->kind == CONSTRAINT_LATENCY)
            json_set_number(o, "remaining_latency_s", left);
        if (!one->horizon && one->kind == CONSTRAINT_USAGE)
            json_set_number(o, "remaining_usage_usd", left);
    }
}

/* The actions that a shield leaves. */
static void allowed_to_json(struct json *o, const struct episode *before)
{
    unsigned char allowed[SPACE_MAX_ACTIONS];
    if (before->env->settings.handling != HANDLING_SHIELD)
        return;
    struct json *list = json_set_array(o, "allowed");
    episode_allowed(before, allowed);
    for (size_t a = 0; a < before->env->n_actions; a++)
        if (allowed[a])
            json_add_int(list, (int64_t)a);
}

static void print_budgets(const struct episode *before, const struct episode *after)
{
    const struct environment_settings *set = &after->env->settings;
    const double *total = after->ledger.total;
    unsigned char allowed[SPACE_MAX_ACTIONS];
    printf("  totals %.6f s, %.9f USD, %g levels; remaining", total[CONSTRAINT_LATENCY],
        total[CONSTRAINT_USAGE], total[CONSTRAINT_PRIVACY]);
    for (size_t i = 0; i < set->n_constraints; i++)
        printf("%s %.9g %s", i ? "," : "", after->ledger.remaining[i],
            constraint_units[set->constraints[i].kind]);
    putchar('\n');
    if (set->handling != HANDLING_SHIELD)
        return;
    episode_allowed(before, allowed);
    printf("  the shield leaves");
    for (size_t a = 0; a < after->env->n_actions; a++)
        if (allowed[a])
            printf(" %zu", a);
    putchar('\n');
}

static void step_to_json(struct json *steps, const struct episode *before,
    const struct episode *after, size_t action, const struct outcome *got,
    const struct knn_neighbours *near)
{
    double features[SPACE_MAX_FEATURES];
    size_t n = before->env->n_features;
    const struct ledger *ledger = &after->ledger;
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
    json_set_number(o, "privacy", got->privacy);
    json_set_number(o, "total_latency_s", ledger->total[CONSTRAINT_LATENCY]);
    json_set_number(o, "total_usage_usd", ledger->total[CONSTRAINT_USAGE]);
    json_set_number(o, "total_privacy", ledger->total[CONSTRAINT_PRIVACY]);
    constraints_to_json(o, after);
    allowed_to_json(o, before);
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
    print_features("observation", before->env, features);
    printf("  response %.9f, association %.9f (%.9f of the turn's range), reward %.9f\n",
        got->response, got->association, got->association_normalised, got->reward);
    print_budgets(before, after);
    print_tie(near);
}

void trace_tell_step(struct json *steps, const struct episode *before,
    const struct episode *after, size_t action, const struct outcome *got,
    const struct knn_neighbours *near)
{
    if (steps)
        step_to_json(steps, before, after, action, got, near);
    else
        print_step(before, after, action, got, near);
}

void trace_tell_estimate(struct json *list, const struct environment *env, size_t turn,
    size_t action, const struct knn_neighbours *near)
{
    size_t within;
    const struct recorded_session *session = locate(env->rec, turn, &within);
    int recorded = env->rec->actions[turn] == (int)action;
    struct estimator_query query = estimator_query_of(env->rec, turn);
    double value = estimator_value(env->estimator, &query, action);
    if (list) {
        struct json *o = json_add_object(list);
        json_set_int(o, "session", session->id);
        json_set_int(o, "turn", (int64_t)within);
        json_set_int(o, "action", (int64_t)action);
        json_set_bool(o, "recorded", recorded);
        json_set_number(o, "estimate", value);
        tie_to_json(o, near);
        neighbours_to_json(o, env, near);
        return;
    }
    char name[256];
    printf("session %" PRId64 ", turn %zu, action %zu (%s), %s: estimate %.9f\n",
        session->id, within, action, describe_action(env, action, name, sizeof name),
        recorded ? "as recorded" : "counterfactual", value);
    print_tie(near);
    if (near->n)
        print_neighbours(env, near);
    putchar('\n');
}
