/* cmd_evaluate.c - m4a1 evaluate: policies beside Random, Local and Cloud. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "m4a1/base/text.h"
#include "m4a1/cli/cli.h"
#include "m4a1/cli/tmo_options.h"
#include "m4a1/tmo/baselines.h"
#include "m4a1/tmo/evaluation.h"
#include "m4a1/tmo/policy.h"

static const struct cli_option options[] = {
    { "seeds", "N|LIST", "without policies: seeds of the baselines (default 0,1,2)" },
    { "seed", "N", "without policies: one seed" },
    { "split", "FILE|NAME", "without policies: as in train (default: 80/20 by seed)" },
    { "tau", "N", "without policies: turns of an observation (default 5)" },
    { "k", "N", "without policies: neighbours of the estimator (default 5)" },
    { "device", "NAME", "without policies: local device (default \"Jetson TX2\")" },
    { "network", "NAME", "without policies: Wired (default), WiFi, 5G or 4G" },
    { "local", "NAME", "without policies: the local llm, where DATA has several" },
    { "cloud", "NAME", "without policies: the cloud llm, where DATA has several" },
    { "json", NULL, "every figure as JSON, with those of each seed" },
    { NULL, NULL, NULL },
};

static const char warning[] =
    "return inside the published simulator, whose estimator is fitted on the\n"
    "training sessions and serves the evaluation too; it does not predict scores of\n"
    "held-out answers (docs/tmo.md)";

enum line { LINE_RANDOM, LINE_LOCAL, LINE_CLOUD, LINE_A2C, LINE_A2C_AWARE, N_LINES };
static const char *const line_names[N_LINES] = { "Random", "Local", "Cloud", "A2C",
    "A2C, resource-aware" };

/* Evaluations of one way of choosing, one a seed. */
struct row {
    struct evaluation *all; /* [n] */
    uint64_t *seeds;        /* [n] */
    size_t n;
};

struct report {
    const struct dataset *data;
    struct row rows[N_LINES];
    struct policy *seen; /* contexts that have their baselines already; splits owned */
    size_t n_seen;
};

static enum status row_add(
    struct row *row, uint64_t seed, const struct evaluation *one, struct error *err)
{
    if (row->n == EVALUATION_MAX_SEEDS)
        return error_set(
            err, E_LIMIT, "more than %d evaluations in one line", EVALUATION_MAX_SEEDS);
    struct evaluation *all = realloc(row->all, (row->n + 1) * sizeof *all);
    if (all)
        row->all = all;
    uint64_t *seeds = realloc(row->seeds, (row->n + 1) * sizeof *seeds);
    if (seeds)
        row->seeds = seeds;
    if (!all || !seeds)
        return error_nomem(err, (row->n + 1) * sizeof *all);
    row->all[row->n] = *one;
    row->seeds[row->n++] = seed;
    return OK;
}

static int same_ids(const int64_t *a, size_t n_a, const int64_t *b, size_t n_b)
{
    return n_a == n_b && memcmp(a, b, n_a * sizeof *a) == 0;
}

/* True where both contexts give the baselines the same figures. */
static int same_context(const struct policy *a, const struct policy *b)
{
    return a->seed == b->seed && a->tau == b->tau && a->local == b->local &&
           a->cloud == b->cloud && a->environment.k == b->environment.k &&
           a->environment.device == b->environment.device &&
           a->environment.network == b->environment.network &&
           same_ids(a->split.train, a->split.n_train, b->split.train, b->split.n_train) &&
           same_ids(a->split.test, a->split.n_test, b->split.test, b->split.n_test);
}

static enum status add_baselines(struct report *report, const struct policy *context,
    const struct environment *env, const size_t *test, struct error *err)
{
    for (enum baseline_kind kind = 0; kind < N_BASELINES; kind++) {
        struct baseline baseline;
        struct evaluation one;
        baseline_init(&baseline, kind, env->rec->space.n_actions, context->seed);
        enum status s = evaluation_run(
            env, test, context->split.n_test, baseline_choose, &baseline, &one, err);
        if (!s)
            s = row_add(&report->rows[LINE_RANDOM + (int)kind], context->seed, &one, err);
        if (s)
            return s;
    }
    return OK;
}

/* Remember a context, taking over its split. */
static enum status remember(
    struct report *report, struct policy *context, struct error *err)
{
    struct policy *seen =
        realloc(report->seen, (report->n_seen + 1) * sizeof *report->seen);
    if (!seen)
        return error_nomem(err, (report->n_seen + 1) * sizeof *seen);
    report->seen = seen;
    struct policy *kept = &seen[report->n_seen++];
    *kept = *context;
    kept->network = (struct actor_critic) { 0 };
    context->split = (struct split) { 0 };
    return OK;
}

static int is_seen(const struct report *report, const struct policy *context)
{
    for (size_t i = 0; i < report->n_seen; i++)
        if (same_context(&report->seen[i], context))
            return 1;
    return 0;
}

static enum status evaluate_in(struct report *report, struct policy *policy,
    const struct environment *env, const size_t *test, struct error *err)
{
    enum status s = OK;
    if (policy->network.params) {
        struct evaluation one;
        int line = policy->environment.resource_aware ? LINE_A2C_AWARE : LINE_A2C;
        s = evaluation_run(env, test, policy->split.n_test, evaluation_greedy,
            &policy->network, &one, err);
        if (!s)
            s = row_add(&report->rows[line], policy->seed, &one, err);
    }
    if (!s && !is_seen(report, policy)) {
        s = add_baselines(report, policy, env, test, err);
        if (!s)
            s = remember(report, policy, err);
    }
    return s;
}

/* Evaluate a policy (without parameters: only its baselines) on its own test sessions. */
static enum status evaluate(
    struct report *report, struct policy *policy, int is_first, struct error *err)
{
    struct recorded *rec = NULL;
    struct environment *env = NULL;
    size_t *train = NULL, *test = NULL;
    enum status s = recorded_build(
        report->data, policy->local, policy->cloud, policy->tau, &rec, err);
    if (!s && is_first)
        tmo_setup_warn(rec);
    if (!s)
        s = recorded_indices(
            rec, policy->split.train, policy->split.n_train, &train, err);
    if (!s)
        s = recorded_indices(rec, policy->split.test, policy->split.n_test, &test, err);
    if (!s)
        s = environment_new(
            rec, &policy->environment, train, policy->split.n_train, &env, err);
    if (!s)
        s = evaluate_in(report, policy, env, test, err);
    environment_free(env);
    free(train);
    free(test);
    recorded_free(rec);
    return s;
}

static enum status evaluate_policies(
    struct cli *cli, struct report *report, struct error *err)
{
    static const char *const of_policy[] = { "seeds", "seed", "split", "tau", "k",
        "device", "network", "local", "cloud" };
    for (size_t i = 0; i < COUNT_OF(of_policy); i++)
        if (cli_value(cli, of_policy[i]))
            return cli_usage(cli, err,
                "--%s: a policy file says this itself, and each is evaluated on its own "
                "test sessions; leave the option away",
                of_policy[i]);
    enum status s = OK;
    for (int i = 1; i < cli_n_args(cli) && !s; i++) {
        struct policy policy;
        s = policy_load(cli_arg(cli, i), report->data, &policy, err);
        if (s)
            return s;
        s = evaluate(report, &policy, i == 1, err);
        policy_release(&policy);
    }
    return s;
}

static enum status evaluate_baselines(
    struct cli *cli, struct report *report, struct error *err)
{
    struct tmo_setup setup;
    uint64_t *seeds = NULL;
    size_t n;
    enum status s = tmo_seeds(cli, &seeds, &n, err);
    if (!s)
        s = tmo_setup_read(cli, report->data, &setup, err);
    for (size_t i = 0; !s && i < n; i++) {
        struct policy context = { .seed = seeds[i],
            .environment = setup.settings,
            .tau = setup.tau,
            .local = setup.local,
            .cloud = setup.cloud };
        s = tmo_split(cli, report->data, seeds[i], &context.split, err);
        if (!s)
            s = evaluate(report, &context, i == 0, err);
        policy_release(&context);
    }
    free(seeds);
    return s;
}

/* ---- output ---- */

/* A column of the table; those with a deviation show it behind the mean. */
static const struct column {
    const char *head;
    enum evaluation_figure figure;
    double scale;
    int digits, with_deviation;
} columns[] = {
    { "reward", FIGURE_REWARD, 1, 3, 1 },
    { "response", FIGURE_RESPONSE, 1, 3, 1 },
    { "association", FIGURE_ASSOCIATION, 1, 3, 1 },
    { "latency s", FIGURE_LATENCY_S, 1, 2, 1 },
    { "usage mUSD", FIGURE_USAGE_USD, 1e3, 2, 1 },
    { "over", FIGURE_OVER, 100, 1, 0 },
    { "by s", FIGURE_LATENCY_EXCESS_S, 1, 2, 0 },
    { "by mUSD", FIGURE_USAGE_EXCESS_USD, 1e3, 2, 0 },
};

static void fill_cell(
    const struct row *row, const struct column *c, char *out, size_t size)
{
    double mean, deviation;
    evaluation_summary(row->all, row->n, c->figure, &mean, &deviation);
    if (isnan(mean)) // no session exceeds
        snprintf(out, size, "-");
    else if (c->with_deviation)
        snprintf(out, size, "%.*f ± %.*f", c->digits, c->scale * mean, c->digits,
            c->scale * deviation);
    else
        snprintf(out, size, "%.*f%s", c->digits, c->scale * mean,
            c->figure == FIGURE_OVER ? " %" : "");
}

static void print_table(const struct report *report)
{
    struct table *t = table_new(10);
    const struct column *c = columns;
    table_row(t, "policy", "seeds", c[0].head, c[1].head, c[2].head, c[3].head, c[4].head,
        c[5].head, c[6].head, c[7].head);
    for (int line = 0; line < N_LINES; line++) {
        const struct row *row = &report->rows[line];
        char seeds[24], cells[COUNT_OF(columns)][48];
        if (!row->n)
            continue;
        snprintf(seeds, sizeof seeds, "%zu", row->n);
        for (size_t i = 0; i < COUNT_OF(columns); i++)
            fill_cell(row, &columns[i], cells[i], sizeof cells[i]);
        table_row(t, line_names[line], seeds, cells[0], cells[1], cells[2], cells[3],
            cells[4], cells[5], cells[6], cells[7]);
    }
    table_print(t);
    table_free(t);
    printf(
        "\nMean ± population deviation over seeds, each on its own test sessions. "
        "Latency and\nusage are totals of a session. over: share of sessions beyond "
        "30 s or 0.05 USD; by: mean\nexcess of all sessions beyond that budget, - where "
        "there is none. Policies take their\nmost probable action.\n\nThis is the "
        "%s.\n",
        warning);
}

/* A figure, null where no session has it. */
static void set_figure(struct json *object, const char *key, double x)
{
    if (isnan(x))
        json_set_null(object, key);
    else
        json_set_number(object, key, x);
}

static void add_row(struct json *rows, const char *name, const struct row *row)
{
    struct json *o = json_add_object(rows);
    json_set_text(o, "policy", name);
    struct json *seeds = json_set_array(o, "seeds");
    struct json *sessions = json_set_array(o, "test_sessions");
    for (size_t i = 0; i < row->n; i++) {
        json_add_int(seeds, (int64_t)row->seeds[i]);
        json_add_int(sessions, (int64_t)row->all[i].n_sessions);
    }
    for (enum evaluation_figure f = 0; f < N_FIGURES; f++) {
        double mean, deviation;
        evaluation_summary(row->all, row->n, f, &mean, &deviation);
        struct json *figure = json_set_object(o, evaluation_figure_names[f]);
        set_figure(figure, "mean", mean);
        set_figure(figure, "deviation", deviation);
        struct json *each = json_set_array(figure, "by_seed");
        for (size_t i = 0; i < row->n; i++) {
            double x = evaluation_figure(&row->all[i], f);
            if (isnan(x))
                json_add_null(each);
            else
                json_add_number(each, x);
        }
    }
}

static enum status print_json(const struct report *report, struct error *err)
{
    struct json *root = json_new_object();
    if (!root)
        return error_nomem(err, 64);
    char meaning[sizeof warning];
    for (size_t i = 0; i < sizeof warning; i++)
        meaning[i] = warning[i] == '\n' ? ' ' : warning[i];
    json_set_text(root, "data", report->data->source);
    json_set_text(root, "digest", report->data->digest);
    json_set_bool(root, "simulated", report->data->simulated);
    json_set_text(root, "environment", "as-published");
    json_set_text(root, "meaning", meaning);
    struct json *rows = json_set_array(root, "policies");
    for (int line = 0; line < N_LINES; line++)
        if (report->rows[line].n)
            add_row(rows, line_names[line], &report->rows[line]);
    enum status s = cli_print_json(root, err);
    json_free(root);
    return s;
}

static void report_release(struct report *report)
{
    for (int i = 0; i < N_LINES; i++) {
        free(report->rows[i].all);
        free(report->rows[i].seeds);
    }
    for (size_t i = 0; i < report->n_seen; i++)
        split_release(&report->seen[i].split);
    free(report->seen);
}

static enum status run(struct cli *cli, struct error *err)
{
    struct dataset *data;
    struct report report = { 0 };
    enum status s = tmo_data(cli, &data, err);
    if (s)
        return s;
    report.data = data;
    s = cli_n_args(cli) > 1 ? evaluate_policies(cli, &report, err)
                            : evaluate_baselines(cli, &report, err);
    if (!s && cli_flag(cli, "json"))
        s = print_json(&report, err);
    else if (!s)
        print_table(&report);
    report_release(&report);
    dataset_free(data);
    return s;
}

const struct verb verb_evaluate = {
    .name = "evaluate",
    .stage = STAGE_TRAIN,
    .args = "DATA [POLICY...]",
    .min_args = 1,
    .max_args = -1,
    .summary = "what policies are worth, beside Random, Local and Cloud",
    .help =
        "Plays each POLICY file through its own test sessions, in order and from its\n"
        "own earlier actions, and prints mean and deviation over seeds beside the\n"
        "baselines on the same sessions. A policy that was trained on other data is\n"
        "refused, and the message says what differs. Without POLICY files, only the\n"
        "baselines.\n\n"
        "The figures are returns in the published simulator. They rank nothing about\n"
        "real answers: docs/tmo.md says why.\n\n"
        "  m4a1 evaluate M4A1.json policies/*.json\n"
        "  m4a1 evaluate study.m4a1 --seeds 10\n"
        "  m4a1 evaluate M4A1.json policies/a2c-seed0.json --json\n",
    .options = options,
    .run = run,
};
