/* cmd_stats.c - what a data set holds: coverage, latency, cost and scores.
 *
 * Each topic builds one JSON document; --json prints it, and people get tables of it. */
#include <stdio.h>
#include <stdlib.h>

#include "m4a1/base/text.h"
#include "m4a1/cli/cli.h"
#include "m4a1/cli/rows.h"
#include "m4a1/cli/stats_association.h"
#include "m4a1/cli/stats_latency.h"
#include "m4a1/cli/stats_llms.h"
#include "m4a1/cli/stats_plan.h"
#include "m4a1/cli/stats_topic.h"

/* ---- the other topics: by llm, by action ---- */

static enum status build_by_llm(struct stats_topic *t, struct error *err)
{
    enum status s = stats_add_llms(t, "path", 0, err);
    if (!s)
        s = stats_add_llms(t, "path_and_fan_out", -1, err);
    if (!s)
        s = stats_add_actions(t, err);
    return s ? s : stats_add_tasks(t, err);
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

static enum status build_cost(struct stats_topic *t, struct error *err)
{
    enum status s = build_by_llm(t, err);
    return s ? s : stats_add_cost(t->data->source, &t->kept, t->root, err);
}

static void print_drift(const struct json *j, int all)
{
    (void)all;
    stats_print_drift(j);
}

static enum status build_drift(struct stats_topic *t, struct error *err)
{
    return stats_add_drift(cli_arg(t->cli, 1), &t->kept, t->root, err);
}

static void print_association(const struct json *j, int all)
{
    (void)all;
    stats_print_association(j);
}

static enum status build_association(struct stats_topic *t, struct error *err)
{
    return stats_add_association(
        t->data, cli_value(t->cli, "model"), &t->kept, t->root, err);
}

static const struct {
    const char *name;
    enum status (*build)(struct stats_topic *t, struct error *err);
    void (*print)(const struct json *j, int all);
} topics[] = {
    { "coverage", stats_build_coverage, stats_print_coverage },
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
static enum status check_minima(const struct stats_topic *t, struct error *err)
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
    struct stats_topic t = { .cli = cli, .kept = { 1 }, .holds = -1 };
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
    if (cli_flag(cli, "check") && topics[at].build != stats_build_coverage)
        return cli_usage(cli, err, "--check belongs to the topic coverage");
    if (cli_flag(cli, "all") && topics[at].build != stats_build_coverage)
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
