/* cmd_stats.c - what a data set holds: coverage, latency, cost and scores.
 *
 * Each topic builds one JSON document; --json prints it, and people get tables of it. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "export/coverage.h"
#include "export/json_keep.h"
#include "export/offers.h"
#include "m4a1/base/text.h"
#include "m4a1/cli/cli.h"
#include "m4a1/cli/rows.h"
#include "m4a1/cli/stats_association.h"
#include "m4a1/cli/stats_latency.h"
#include "m4a1/cli/stats_llms.h"
#include "m4a1/cli/stats_plan.h"

#define CELL_VIEWS 4 /* up to so many views every subset is a column */

struct topic {
    struct cli *cli;
    const struct dataset *data;
    struct json_keeper kept;
    struct json *root;
    size_t *order; /* [data->n_llms] in which tables list the llms; owned */
    int64_t thin;
    int holds; /* coverage: every minimum of the recipe holds; -1 = it names none */
};

/* ---- groups as rows ---- */

static enum status add_group(struct topic *t, struct json *list, const char *name,
    const struct group_filter *filter, struct group *group, struct error *err)
{
    enum status s = coverage_group(t->data, filter, group, err);
    struct json *row = json_keep(&t->kept, json_add_object(list));
    json_keep(&t->kept, json_set_text(row, "name", name));
    json_keep_count(&t->kept, row, "n", group->n);
    json_keep_count(&t->kept, row, "n_scored", group->n_scored);
    json_keep_figure(&t->kept, row, "score", group->score);
    json_keep_figure(&t->kept, row, "score_refused_0", group->score_trained);
    json_keep_figure(&t->kept, row, "refused", group->refused);
    json_keep_figure(&t->kept, row, "latency_s", group->latency_s);
    json_keep_figure(&t->kept, row, "latency_p50_s", group->latency_p50_s);
    json_keep_figure(&t->kept, row, "latency_p90_s", group->latency_p90_s);
    json_keep_figure(&t->kept, row, "cost_usd", group->cost_usd);
    json_keep_figure(&t->kept, row, "cost_sum_usd", group->cost_sum_usd);
    json_keep_count(&t->kept, row, "n_cost", group->n_cost);
    return s;
}

static struct json *new_list(struct topic *t, const char *key)
{
    return json_keep(&t->kept, json_set_array(t->root, key));
}

/* Local, then the cloud by the number of views that image_index lists. */
static enum status add_actions(struct topic *t, struct error *err)
{
    struct json *list = new_list(t, "actions");
    struct group_filter filter = GROUP_ANY;
    struct group group;
    char name[64];
    filter.fan_out = 0;
    filter.cloud = 0;
    enum status s = add_group(t, list, "local", &filter, &group, err);
    filter.cloud = 1;
    for (size_t n = 0; n <= t->data->n_views && !s; n++) {
        filter.n_uploaded = (int)n;
        snprintf(name, sizeof name, n == 0 ? "cloud, text only" : "cloud + %zu view%s", n,
            n == 1 ? "" : "s");
        s = add_group(t, list, name, &filter, &group, err);
    }
    return s;
}

/* Cloud turns that add no view, by what the dialogue holds: views accumulate, so many
 * of them answer with pictures all the same. */
static enum status add_context(struct topic *t, struct error *err)
{
    struct json *list = new_list(t, "cloud_text_only_by_context");
    struct group_filter filter = GROUP_ANY;
    struct group group;
    char name[64];
    enum status s = OK;
    filter.fan_out = 0;
    filter.cloud = 1;
    filter.n_uploaded = 0;
    for (size_t n = 0; n <= t->data->n_views && !s; n++) {
        filter.n_context = (int)n;
        snprintf(name, sizeof name, "%zu view%s in context", n, n == 1 ? "" : "s");
        s = add_group(t, list, name, &filter, &group, err);
    }
    return s;
}

static enum status add_tasks(struct topic *t, struct error *err)
{
    struct json *list = new_list(t, "tasks");
    struct group_filter filter = GROUP_ANY;
    struct group group;
    enum status s = OK;
    filter.fan_out = 0;
    for (size_t i = 0; i < t->data->n_tasks && !s; i++) {
        filter.task = (int)i;
        s = add_group(t, list, t->data->tasks[i], &filter, &group, err);
    }
    return s;
}

/* fan_out: -1 = with the fan-out answers, 0 = the path only. */
static enum status add_llms(
    struct topic *t, const char *key, int fan_out, struct error *err)
{
    struct json *list = new_list(t, key);
    struct group_filter filter = GROUP_ANY;
    struct group group;
    enum status s = OK;
    filter.fan_out = fan_out;
    for (size_t i = 0; i < t->data->n_llms && !s; i++) {
        size_t llm = t->order[i];
        filter.llm = (int)llm;
        s = add_group(t, list, t->data->llms[llm].name, &filter, &group, err);
    }
    return s;
}

/* ---- coverage ---- */

static void set_name_of(
    const struct dataset *data, uint32_t views, char *out, size_t size)
{
    size_t at = 0;
    out[0] = '\0';
    for (size_t v = 0; v < data->n_views && at < size; v++) {
        if (views >> v & 1)
            at += (size_t)snprintf(out + at, size - at, at ? "+%zu" : "%zu", v);
    }
    if (!views)
        snprintf(out, size, "none");
}

/* Subsets in the published order: by size, then lexicographically. */
static size_t list_subsets(size_t n_views, uint32_t *out)
{
    size_t n = 0;
    for (int size = 0; size <= (int)n_views; size++) {
        // Reading view 0 as the highest digit, the lexicographic order falls.
        for (uint32_t code = (UINT32_C(1) << n_views); code-- > 0;) {
            uint32_t set = 0;
            for (size_t v = 0; v < n_views; v++)
                set |= (code >> (n_views - 1 - v) & 1) << v;
            if (__builtin_popcount(set) == size)
                out[n++] = set;
        }
    }
    return n;
}

/* One row a task and llm: how often image_index listed each set of views, the path and the
 * fan-out together.  Cells that cannot occur (offers.h) are left out. */
static enum status add_cells(struct topic *t, struct error *err)
{
    const struct dataset *data = t->data;
    uint32_t sets[1 << CELL_VIEWS];
    size_t thin = 0, empty = 0, cells = 0;
    if (data->n_views > CELL_VIEWS)
        return OK;
    size_t n_sets = list_subsets(data->n_views, sets);
    char *possible;
    enum status s = offers_of_data(data, &possible, err);
    struct json *list = s ? NULL : new_list(t, "cells");
    for (size_t i = 0; i < data->n_tasks * data->n_llms && !s; i++) {
        size_t task = i / data->n_llms, llm = t->order[i % data->n_llms];
        struct json *row = json_keep(&t->kept, json_add_object(list));
        json_keep(&t->kept, json_set_text(row, "task", data->tasks[task]));
        json_keep(&t->kept, json_set_text(row, "llm", data->llms[llm].name));
        struct json *counts = json_keep(&t->kept, json_set_object(row, "views"));
        for (size_t k = 0; k < n_sets && !s; k++) {
            struct group_filter filter = { (int)task, (int)llm, -1, -1, -1,
                (int64_t)sets[k], -1 };
            struct group group;
            char name[64];
            s = coverage_group(data, &filter, &group, err);
            if (s || (group.n == 0 && !possible[llm * n_sets + sets[k]]))
                continue;
            set_name_of(data, sets[k], name, sizeof name);
            json_keep_count(&t->kept, counts, name, group.n);
            cells++;
            empty += group.n == 0;
            thin += group.n > 0 && (int64_t)group.n < t->thin;
        }
    }
    struct json *sum = json_keep(&t->kept, json_set_object(t->root, "cell_counts"));
    json_keep_count(&t->kept, sum, "cells", cells);
    json_keep_count(&t->kept, sum, "empty", empty);
    json_keep_count(&t->kept, sum, "thin", thin);
    json_keep(&t->kept, json_set_int(sum, "thin_below", t->thin));
    free(possible);
    return s;
}

static void add_shape(struct topic *t, const struct coverage *c)
{
    struct json *list = new_list(t, "turns_a_session");
    for (size_t n = c->shortest; n <= c->longest && c->sessions; n++) {
        struct json *row = json_keep(&t->kept, json_add_object(list));
        json_keep_count(&t->kept, row, "turns", n);
        json_keep_count(&t->kept, row, "sessions", coverage_sessions_of(t->data, n));
    }
    list = new_list(t, "views");
    for (size_t v = 0; v < t->data->n_views; v++) {
        struct json *row = json_keep(&t->kept, json_add_object(list));
        json_keep(&t->kept, json_set_text(row, "name", t->data->views[v]));
        json_keep(&t->kept, json_set_int(row, "privacy", t->data->privacy[v]));
        json_keep_count(&t->kept, row, "added", coverage_view_added(t->data, v));
        json_keep_count(&t->kept, row, "in_context", coverage_view_context(t->data, v));
    }
}

/* Who was refused for good where: missing turns are not missing at random. */
static enum status add_censoring(struct topic *t, struct error *err)
{
    struct json *list = new_list(t, "censoring");
    struct censoring *cells;
    size_t n;
    enum status s = coverage_censoring(t->data, &cells, &n, err);
    for (size_t i = 0; i < n && !s; i++) {
        struct json *row = json_keep(&t->kept, json_add_object(list));
        json_keep(&t->kept, json_set_text(row, "task", t->data->tasks[cells[i].task]));
        json_keep(&t->kept, json_set_text(row, "llm", t->data->llms[cells[i].llm].name));
        json_keep_count(&t->kept, row, "asked", cells[i].asked);
        json_keep_count(&t->kept, row, "censored", cells[i].refused);
        json_keep(&t->kept, json_set_number(row, "share",
                                (double)cells[i].refused / (double)cells[i].asked));
        json_keep_count(&t->kept, row, "turns_lost", cells[i].lost);
    }
    free(cells);
    return s;
}

static enum status build_coverage(struct topic *t, struct error *err)
{
    struct coverage c;
    enum status s = coverage_count(t->data, &c, err);
    struct json_keeper *k = &t->kept;
    json_keep_count(k, t->root, "sessions", c.sessions);
    json_keep_count(k, t->root, "imported_sessions", c.imported);
    json_keep_count(k, t->root, "censored_sessions", c.censored);
    json_keep_count(k, t->root, "scenes", c.scenes);
    json_keep_count(k, t->root, "prompts", c.prompts);
    json_keep_count(k, t->root, "turns", c.turns);
    json_keep_count(k, t->root, "fan_out", c.fan_out);
    json_keep_count(k, t->root, "answers", c.answered);
    json_keep_count(k, t->root, "scored", c.scored);
    json_keep_count(k, t->root, "refused", c.refused);
    json_keep_count(k, t->root, "simulated", c.simulated);
    json_keep_count(k, t->root, "turns_with_associations", c.associated);
    add_shape(t, &c);
    if (!s && !(s = add_tasks(t, err)) && !(s = add_actions(t, err)) &&
        !(s = add_context(t, err)) && !(s = add_llms(t, "llms", -1, err)))
        s = add_cells(t, err);
    if (!s)
        s = add_censoring(t, err);
    if (!s)
        s = stats_add_space(t->data->source, &t->kept, t->root, &t->holds, err);
    return s;
}

/* ---- tables ---- */

/* What a column counts. */
static void print_columns(const struct json *views)
{
    int at = 0;
    printf("views in the dialogue: those that image_index lists (");
    for (const struct json *v = json_first(views); v; v = json_next(v), at++)
        printf("%s%d %s", at ? ", " : "", at, json_text(json_get(v, "name"), ""));
    printf("): all that\nit holds once the answer's action has added some; none: that "
           "action adds none\n");
}

static void print_cells(const struct json *root)
{
    char cells[ROWS_MAX_COLUMNS][ROWS_CELL] = { "task", "llm" };
    const struct json *list = json_get(root, "cells"), *widest = NULL;
    for (const struct json *row = json_first(list); row; row = json_next(row)) {
        if (json_size(json_get(row, "views")) >= json_size(widest))
            widest = json_get(row, "views");
    }
    size_t n = 2 + json_size(widest), at = 2;
    if (!widest || n > ROWS_MAX_COLUMNS)
        return;
    struct table *t = table_new(n);
    for (const struct json *c = json_first(widest); c; c = json_next(c), at++)
        snprintf(cells[at], sizeof cells[at], "%s", json_key(c));
    rows_add(t, cells);
    for (const struct json *row = json_first(list); row; row = json_next(row)) {
        rows_format(json_get(row, "task"), 't', cells[0], sizeof cells[0]);
        rows_format(json_get(row, "llm"), 't', cells[1], sizeof cells[1]);
        at = 2;
        for (const struct json *c = json_first(widest); c; c = json_next(c), at++)
            rows_format(json_get(json_get(row, "views"), json_key(c)), 'i', cells[at],
                sizeof cells[at]);
        rows_add(t, cells);
    }
    printf("\ntask x llm x views in the dialogue (a set a column; - cannot be)\n");
    table_print(t);
    table_free(t);
}

/* One line on these cells, and what they are. */
static void print_cell_counts(const struct json *root)
{
    const struct json *sum = json_get(root, "cell_counts");
    if (!sum)
        return;
    printf(
        "\ntask x llm x views in the dialogue, path and fan-out, answered or planned:\n"
        "%lld of %lld possible cells are empty, %lld hold fewer than %lld\n",
        (long long)json_int(json_get(sum, "empty"), 0),
        (long long)json_int(json_get(sum, "cells"), 0),
        (long long)json_int(json_get(sum, "thin"), 0),
        (long long)json_int(json_get(sum, "thin_below"), 0));
    print_columns(json_get(root, "views"));
}

static long long number(const struct json *j, const char *key)
{
    return (long long)json_int(json_get(j, key), 0);
}

/* A count and the ending of its noun. */
#define S(key) number(j, key), text_s(number(j, key))

static void print_coverage(const struct json *j, int all)
{
    static const struct rows_head turns[] = { { "turns", "turns", 'i' },
        { "sessions", "sessions", 'i' } };
    static const struct rows_head views[] = { { "view", "name", 't' },
        { "privacy", "privacy", 'i' }, { "added", "added", 'i' },
        { "in context", "in_context", 'i' } };
    static const struct rows_head groups[] = { { "", "name", 't' }, { "n", "n", 'i' },
        { "score", "score", 'x' }, { "refusals 0", "score_refused_0", 'x' },
        { "refused", "refused", 'p' }, { "seconds", "latency_s", 's' },
        { "median", "latency_p50_s", 's' }, { "USD", "cost_usd", 'u' } };
    printf(
        "%s: %lld session%s over %lld scene%s, %lld turn%s, %lld prompt%s, %lld fan-out "
        "answer%s\n",
        json_text(json_get(j, "data"), ""), S("sessions"), S("scenes"), S("turns"),
        S("prompts"), S("fan_out"));
    printf("%lld answer%s: %lld scored, %lld refused, %lld simulated; %lld imported and "
           "%lld censored session%s; %lld turn%s with associations\n",
        S("answers"), number(j, "scored"), number(j, "refused"), number(j, "simulated"),
        number(j, "imported_sessions"), S("censored_sessions"),
        S("turns_with_associations"));
    stats_print_minima(json_get(j, "space"));
    print_cell_counts(j);
    rows_print("turns a session", json_get(j, "turns_a_session"), turns, COUNT_OF(turns));
    rows_print("tasks (path; in all tables \"refusals 0\" is the score where refusals "
               "count 0, as training takes them)",
        json_get(j, "tasks"), groups, COUNT_OF(groups));
    rows_print("actions along the path, by how many views image_index lists (see above)",
        json_get(j, "actions"), groups, COUNT_OF(groups));
    rows_print("llms (path and fan-out)", json_get(j, "llms"), groups, COUNT_OF(groups));
    rows_print("views along the path", json_get(j, "views"), views, COUNT_OF(views));
    static const struct rows_head censoring[] = { { "task", "task", 't' },
        { "llm", "llm", 't' }, { "asked", "asked", 'i' }, { "censored", "censored", 'i' },
        { "share", "share", 'p' }, { "turns lost", "turns_lost", 'i' } };
    rows_print("censored sessions, by the call that was refused for good",
        json_get(j, "censoring"), censoring, COUNT_OF(censoring));
    if (all) {
        rows_print("cloud turns that add no view, by the views that the dialogue holds",
            json_get(j, "cloud_text_only_by_context"), groups, COUNT_OF(groups));
        print_cells(j);
    }
    stats_print_space(json_get(j, "space"), all);
    if (!all)
        printf("\n--all adds the tables of cells%s.\n",
            json_get(j, "space") ? " and every thin cell" : "");
}

/* ---- the other topics: by llm, by action ---- */

static enum status build_by_llm(struct topic *t, struct error *err)
{
    enum status s = add_llms(t, "path", 0, err);
    if (!s)
        s = add_llms(t, "path_and_fan_out", -1, err);
    if (!s)
        s = add_actions(t, err);
    return s ? s : add_tasks(t, err);
}

static void print_by_llm(
    const struct json *j, const struct rows_head *heads, size_t n, const char *what)
{
    static const struct {
        const char *key, *title;
    } lists[] = { { "path", "llms along the path" },
        { "path_and_fan_out", "llms, path and fan-out" },
        { "actions", "actions along the path" }, { "tasks", "tasks along the path" } };
    printf("%s: %s\n", json_text(json_get(j, "data"), ""), what);
    for (size_t i = 0; i < COUNT_OF(lists); i++)
        rows_print(lists[i].title, json_get(j, lists[i].key), heads, n);
}

static void print_latency(const struct json *j, int all)
{
    (void)all;
    static const struct rows_head heads[] = { { "", "name", 't' }, { "n", "n", 'i' },
        { "mean", "latency_s", 's' }, { "median", "latency_p50_s", 's' },
        { "90 %", "latency_p90_s", 's' } };
    print_by_llm(j, heads, COUNT_OF(heads), "seconds from request to last byte");
}

static void print_cost(const struct json *j, int all)
{
    (void)all;
    static const struct rows_head heads[] = { { "", "name", 't' }, { "n", "n", 'i' },
        { "priced", "n_cost", 'i' }, { "mean USD", "cost_usd", 'u' },
        { "sum USD", "cost_sum_usd", 'u' } };
    print_by_llm(j, heads, COUNT_OF(heads), "cost of the answers");
    stats_print_cost(j);
}

static void print_scores(const struct json *j, int all)
{
    (void)all;
    static const struct rows_head heads[] = { { "", "name", 't' }, { "n", "n", 'i' },
        { "scored", "n_scored", 'i' }, { "score", "score", 'x' },
        { "refusals 0", "score_refused_0", 'x' }, { "refused", "refused", 'p' } };
    print_by_llm(j, heads, COUNT_OF(heads),
        "response scores, candidate / reference; refusals 0: with refusals counted 0, as "
        "training takes them");
}

static enum status build_cost(struct topic *t, struct error *err)
{
    enum status s = build_by_llm(t, err);
    return s ? s : stats_add_cost(t->data->source, &t->kept, t->root, err);
}

static void print_drift(const struct json *j, int all)
{
    (void)all;
    stats_print_drift(j);
}

static enum status build_drift(struct topic *t, struct error *err)
{
    return stats_add_drift(cli_arg(t->cli, 1), &t->kept, t->root, err);
}

static void print_association(const struct json *j, int all)
{
    (void)all;
    stats_print_association(j);
}

static enum status build_association(struct topic *t, struct error *err)
{
    return stats_add_association(
        t->data, cli_value(t->cli, "model"), &t->kept, t->root, err);
}

static const struct {
    const char *name;
    enum status (*build)(struct topic *t, struct error *err);
    void (*print)(const struct json *j, int all);
} topics[] = {
    { "coverage", build_coverage, print_coverage },
    { "latency", build_by_llm, print_latency },
    { "cost", build_cost, print_cost },
    { "scores", build_by_llm, print_scores },
    { "association", build_association, print_association },
    { "drift", build_drift, print_drift },
};

static enum status find_topic(struct cli *cli, size_t *out, struct error *err)
{
    const char *name = cli_arg(cli, 0), *names[COUNT_OF(topics)];
    for (*out = 0; *out < COUNT_OF(topics); ++*out) {
        if (text_equal(topics[*out].name, name))
            return OK;
        names[*out] = topics[*out].name;
    }
    const char *nearest = text_nearest(name, names, COUNT_OF(names));
    return cli_usage(cli, err,
        "there is no topic '%s'; the topics are coverage, latency, cost, scores, "
        "association and drift%s%s%s",
        name, nearest ? " (did you mean " : "", nearest ? nearest : "",
        nearest ? "?)" : "");
}

/* --check: the exit status says whether the minima hold. */
static enum status check_minima(const struct topic *t, struct error *err)
{
    if (t->holds < 0)
        return error_set(err, E_ARG,
            "%s: only a store with a recipe has minima to be checked", t->data->source);
    return t->holds
               ? OK
               : error_set(err, E_DATA,
                     "%s: not every minimum of the recipe holds; m4a1 plan %s --fill "
                     "adds what is missing",
                     t->data->source, t->data->source);
}

static enum status run(struct cli *cli, struct error *err)
{
    static const char *const of_latency[] = { "profile", "llm", "min-n" };
    size_t at;
    struct dataset *data = NULL;
    struct topic t = { .cli = cli, .kept = { 1 }, .holds = -1 };
    enum status s = find_topic(cli, &at, err);
    int is_latency = !s && text_equal(topics[at].name, "latency");
    if (is_latency && stats_latency_applies(cli_arg(cli, 1)))
        return stats_latency(cli, err);
    for (size_t i = 0; i < COUNT_OF(of_latency) && !s; i++)
        if (cli_value(cli, of_latency[i]))
            return cli_usage(cli, err,
                "--%s is of the topic latency, and of a store with measured answers",
                of_latency[i]);
    if (s || (s = cli_int(cli, "thin", 5, 1, 1000000, &t.thin, err)))
        return s;
    int reads_data = topics[at].build != build_drift;
    if (cli_flag(cli, "check") && topics[at].build != build_coverage)
        return cli_usage(cli, err, "--check belongs to the topic coverage");
    if (cli_flag(cli, "all") && topics[at].build != build_coverage)
        return cli_usage(cli, err, "--all belongs to the topic coverage");
    if (cli_value(cli, "model") && topics[at].build != build_association)
        return cli_usage(cli, err, "--model belongs to the topic association");
    if (reads_data && (s = stats_association_read(
                           cli_arg(cli, 1), cli_value(cli, "model"), &data, err)))
        return s;
    t.data = data;
    t.root = json_keep(&t.kept, json_new_object());
    json_keep(&t.kept, json_set_text(t.root, "data", cli_arg(cli, 1)));
    if (reads_data)
        s = stats_llm_order(data, &t.order, err);
    if (!s)
        s = topics[at].build(&t, err);
    if (!s && !t.kept.ok)
        s = error_nomem(err, sizeof t);
    if (!s && cli_flag(cli, "json"))
        s = cli_print_json(t.root, err);
    else if (!s)
        topics[at].print(t.root, cli_flag(cli, "all"));
    json_free(t.root);
    if (!s && cli_flag(cli, "check"))
        s = check_minima(&t, err);
    free(t.order);
    dataset_free(data);
    return s;
}

static const struct cli_option options[] = {
    { "thin", "N", "coverage: a cell with fewer than N rows is thin (default 5)" },
    { "all", NULL, "coverage: every table of cells and every thin cell" },
    { "llm", "NAME", "latency: of this llm only" },
    { "min-n", "N", "latency: only rows with at least N answers (default 1)" },
    { "profile", "FILE",
        "latency: also write seconds and USD by action as JSON, for training" },
    { "model", "NAME", "association: whose values (default: the last model's)" },
    { "check", NULL, "coverage: exit status 1 unless the minima of the recipe hold" },
    { "json", NULL, "print it as JSON" },
    { NULL, NULL, NULL },
};

const struct verb verb_stats = {
    .name = "stats",
    .stage = STAGE_CURATE,
    .args = "TOPIC DATA",
    .min_args = 2,
    .max_args = 2,
    .summary = "coverage, latency, cost, scores, association or drift of a data set",
    .help =
        "TOPIC is coverage, latency, cost, scores, association or drift. DATA is a "
        "store,\n"
        "an export folder or an authors' JSON file. Rows without an answer or a score "
        "are counted "
        "too.\n\n"
        "coverage shows sessions, tasks and actions, and how often image_index listed\n"
        "each set of views for each task and llm: where cells are empty or thin, "
        "nothing\n"
        "can be learned about that action. Views accumulate: once added they stay in "
        "the\n"
        "dialogue, so \"text only\" often means with the views that are there already. "
        "Of\n"
        "a store with a recipe it also shows the state-action space against the\n"
        "recipe's minima (docs/planning.md), and --check makes that the exit status.\n\n"
        "latency of a store tells measured times by llm and by views: calls at once and\n"
        "one by one, first calls and cold starts each apart.\n\n"
        "association shows how text-view similarity is distributed, flags values that\n"
        "cannot tell views apart, and asks whether they say which view is worth adding:\n"
        "their correlation with the gain that fan-out answers measured "
        "(docs/association.md).\n\n"
        "drift compares old answers of a store with those to the same calls asked again\n"
        "(m4a1 plan --add-llm plans them): scores, refusals, latency, tokens, cost, and "
        "the\n"
        "models and fingerprints that servers name.\n\n"
        "  m4a1 stats coverage M4A1.json\n"
        "  m4a1 stats coverage kitchen.m4a1 --check\n"
        "  m4a1 stats association kitchen.m4a1\n"
        "  m4a1 stats drift kitchen.m4a1\n"
        "  m4a1 stats latency kitchen.m4a1 --json\n"
        "  m4a1 stats latency kitchen.m4a1 --profile costs.json\n",
    .options = options,
    .run = run,
};
